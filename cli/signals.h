/* Ending cleanly: commands that wait are told of SIGINT and SIGTERM through a pipe that they can poll. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <dunlin/store.h>

/* From now on SIGINT and SIGTERM do not end the program but make signals_ended() true, wake signals_wait(), and
 * interrupt dunlin_store_wait() of `store` (NULL: of none).  0 or DUNLIN_EIO. */
int signals_catch(dunlin_store *store);
bool signals_ended(void);

/* Waits for a signal or for signals_wake(), at most `timeout_ms` (-1: for ever). */
void signals_wait(int timeout_ms);
/* Makes the current or next signals_wait() return; from any thread. */
void signals_wake(void *unused);

#endif
