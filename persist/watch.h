/* Being told that something new is durable: this process's threads, its node, other processes.
 *
 * After a commit 8 bytes, the arrival number, are written to DIR/wake; whoever watches that file (inotify) then looks
 * at the storage.  Watching data.mdb itself would wake too early, before the commit counts. */
#ifndef PERSIST_WATCH_H
#define PERSIST_WATCH_H

#include <pthread.h>
#include <stdatomic.h>

#include <dunlin/store.h>

#define WATCH_MAX 8u

struct watch {
  const struct dunlin_env *env;
  char *path;
  int wake_fd; /* DIR/wake */
  int pipe[2]; /* interrupts: written to by dunlin_store_interrupt() */
  atomic_uint interrupts, served;
  pthread_mutex_t lock;
  struct {
    void (*wake)(void *ctx);
    void *ctx;
  } subscribers[WATCH_MAX];
  size_t count;
};

int watch_open(struct watch *watch, const struct dunlin_env *env, const char *dir);
void watch_close(struct watch *watch);
/* Something is durable. */
void watch_tell(struct watch *watch, uint64_t arrival);

#endif
