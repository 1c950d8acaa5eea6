/* Signals are for the program's own threads, SIGPIPE for none: a thread inherits what is blocked where it is made. */
#ifndef PERSIST_SIGNALS_H
#define PERSIST_SIGNALS_H

#include <pthread.h>
#include <signal.h>

/* Blocks all of them for this thread; what was blocked before is to be set again. */
static inline sigset_t signals_block(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  return before;
}
static inline void signals_restore(sigset_t before) {
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

#endif
