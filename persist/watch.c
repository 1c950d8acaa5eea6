#include "persist/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/inotify.h>
#endif

#include "crdt/buf.h"
#include "persist/store.h"

/* How long a waiter sleeps before it looks by itself: where there is no inotify, this is how late it can be. */
#define SLOW_POLL_MS 250

int watch_open(struct watch *watch, const struct dunlin_env *env, const char *dir) {
  *watch = (struct watch){.env = env, .wake_fd = -1, .pipe = {-1, -1}};
  pthread_mutex_init(&watch->lock, NULL);
  size_t len = strlen(dir);
  watch->path = env_alloc(env, len + sizeof "/wake");
  if (!watch->path) return DUNLIN_ENOMEM;
  memcpy(watch->path, dir, len);
  memcpy(watch->path + len, "/wake", sizeof "/wake");
  watch->wake_fd = open(watch->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (watch->wake_fd < 0) return why_errno();
  if (pipe(watch->pipe)) return why_errno();
  for (int i = 0; i < 2; i++) {
    fcntl(watch->pipe[i], F_SETFD, FD_CLOEXEC);
    fcntl(watch->pipe[i], F_SETFL, O_NONBLOCK);
  }
  return 0;
}

void watch_close(struct watch *watch) {
  if (!watch->env) return;
  if (watch->wake_fd >= 0) close(watch->wake_fd);
  for (int i = 0; i < 2; i++)
    if (watch->pipe[i] >= 0) close(watch->pipe[i]);
  if (watch->path) env_free(watch->env, watch->path, strlen(watch->path) + 1);
  pthread_mutex_destroy(&watch->lock);
  *watch = (struct watch){0};
}

void watch_tell(struct watch *watch, uint64_t arrival) {
  uint8_t raw[8];
  put_be64(raw, arrival);
  /* A failed write costs other processes the slow poll, nothing else. */
  ssize_t written = pwrite(watch->wake_fd, raw, sizeof raw, 0);
  (void)written;
  pthread_mutex_lock(&watch->lock);
  for (size_t i = 0; i < watch->count; i++) watch->subscribers[i].wake(watch->subscribers[i].ctx);
  pthread_mutex_unlock(&watch->lock);
}

int exchange_subscribe(dunlin_store *store, void (*wake)(void *ctx), void *ctx) {
  struct watch *watch = &store->watch;
  int r = DUNLIN_EBUSY;
  pthread_mutex_lock(&watch->lock);
  if (watch->count < WATCH_MAX) {
    watch->subscribers[watch->count].wake = wake;
    watch->subscribers[watch->count++].ctx = ctx;
    r = 0;
  }
  pthread_mutex_unlock(&watch->lock);
  return r;
}

void exchange_unsubscribe(dunlin_store *store, void (*wake)(void *ctx), void *ctx) {
  struct watch *watch = &store->watch;
  pthread_mutex_lock(&watch->lock);
  for (size_t i = 0; i < watch->count; i++) {
    if (watch->subscribers[i].wake != wake || watch->subscribers[i].ctx != ctx) continue;
    watch->subscribers[i] = watch->subscribers[--watch->count];
    break;
  }
  pthread_mutex_unlock(&watch->lock);
}

const char *exchange_wake_path(dunlin_store *store) {
  return store->watch.path;
}

int exchange_refresh(dunlin_store *store) {
  return index_refresh(store);
}

/* ---- Waiting ------------------------------------------------------------------------------------------------ */

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A descriptor that becomes readable when the file is written to, or -1. */
static int watch_file(const char *path) {
#ifdef __linux__
  int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return -1;
  if (inotify_add_watch(fd, path, IN_MODIFY) >= 0) return fd;
  close(fd);
#else
  (void)path;
#endif
  return -1;
}

static void drain(int fd) {
  char bytes[512];
  while (fd >= 0 && read(fd, bytes, sizeof bytes) > 0) continue;
}

/* Whether an interrupt came that no earlier call has answered. */
static bool interrupted(struct watch *watch, unsigned since) {
  unsigned now = atomic_load(&watch->interrupts);
  if (now == since && now == atomic_load(&watch->served)) return false;
  atomic_store(&watch->served, now);
  drain(watch->pipe[0]);
  return true;
}

int dunlin_store_wait(dunlin_store *store, uint64_t *seen, int timeout_ms) {
  int r = store_usable(store);
  if (r) return r;
  struct watch *watch = &store->watch;
  unsigned since = atomic_load(&watch->interrupts);
  int64_t deadline = now_ms() + timeout_ms;
  struct pollfd fds[2] = {{.fd = watch->pipe[0], .events = POLLIN}, {.fd = watch_file(watch->path), .events = POLLIN}};
  for (;;) {
    r = index_refresh(store);
    uint64_t arrivals = index_arrivals(&store->index);
    if (r < 0) break;
    r = arrivals > *seen;
    if (r) *seen = arrivals;
    if (r || interrupted(watch, since)) break;
    int64_t left = timeout_ms < 0 ? SLOW_POLL_MS : deadline - now_ms();
    if (left <= 0) break;
    poll(fds, 2, left < SLOW_POLL_MS ? (int)left : SLOW_POLL_MS);
    drain(fds[1].fd);
  }
  if (fds[1].fd >= 0) close(fds[1].fd);
  return r;
}

void dunlin_store_interrupt(dunlin_store *store) {
  int saved = errno;
  atomic_fetch_add(&store->watch.interrupts, 1);
  ssize_t written = write(store->watch.pipe[1], "", 1);
  (void)written; /* full: then it is readable, which is all that matters */
  errno = saved;
}
