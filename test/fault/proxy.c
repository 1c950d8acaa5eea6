#include "test/fault/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "test/support/rng.h"

#define LINKS 64
#define PIECE 16384u
#define QUEUE (1u << 20) /* bytes that wait; then nothing more is read */

struct piece {
  struct piece *next;
  int64_t due; /* milliseconds */
  size_t len, sent;
  uint8_t data[];
};

/* One direction of a connection. */
struct flow {
  struct piece *first, **last;
  size_t waiting;
  int64_t free_at; /* when a throttled line takes the next piece */
  bool ended;      /* its source has said all */
  bool shut;       /* and its destination knows */
};

/* fds[0] is the caller's socket, fds[1] the one to whom is called; flows[0] goes from the caller. */
struct proxied {
  int fds[2];
  bool connecting;
  struct flow flows[2];
};

struct proxy {
  pthread_t thread;
  pthread_mutex_t lock; /* of what follows up to `links` */
  struct proxy_settings settings[2];
  bool stop, cut, refuse;
  void (*watch)(void *ctx, enum proxy_direction from, const void *data, size_t len);
  void *watch_ctx;
  uint64_t mangled;
  int listener, wake[2];
  unsigned port, target;
  struct proxied links[LINKS]; /* the thread's own; fds[0] < 0: free */
  struct rng rng;
};

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct sockaddr_in loopback(unsigned port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

/* ---- Pieces ------------------------------------------------------------------------------------------------------ */

static void flow_free(struct flow *flow) {
  for (struct piece *piece = flow->first, *next; piece; piece = next) {
    next = piece->next;
    free(piece);
  }
  *flow = (struct flow){0};
}

static void append(struct flow *flow, const uint8_t *data, size_t len, int64_t due) {
  struct piece *piece = malloc(sizeof *piece + len);
  if (!piece) abort();
  *piece = (struct piece){.due = due, .len = len};
  memcpy(piece->data, data, len);
  if (!flow->first) flow->last = &flow->first;
  *flow->last = piece;
  flow->last = &piece->next;
  flow->waiting += len;
}

/* The last two that wait change places. */
static bool swap_last(struct flow *flow) {
  struct piece **at = &flow->first;
  if (!*at || !(*at)->next || (*at)->sent) return false;
  while ((*at)->next->next) at = &(*at)->next;
  struct piece *one = *at, *two = one->next;
  *at = two;
  two->next = one;
  one->next = NULL;
  flow->last = &one->next;
  return true;
}

/* What becomes of a piece; with the lock held. */
static void mangle(struct proxy *proxy, struct flow *flow, const struct proxy_settings *s, uint8_t *data, size_t len) {
  struct rng *rng = &proxy->rng;
  int64_t due = now_ms() + s->delay_ms + (int64_t)rng_below(rng, s->jitter_ms + 1);
  if (s->bytes_per_second) {
    if (flow->free_at > due) due = flow->free_at;
    flow->free_at = due + (int64_t)(len * 1000 / s->bytes_per_second);
  }
  if (rng_chance(rng, s->drop, 1000)) {
    proxy->mangled++;
    return;
  }
  if (rng_chance(rng, s->flip, 1000)) {
    data[rng_below(rng, len)] ^= (uint8_t)(1u << rng_below(rng, 8));
    proxy->mangled++;
  }
  append(flow, data, len, due);
  if (rng_chance(rng, s->duplicate, 1000)) {
    append(flow, data, len, due);
    proxy->mangled++;
  }
  if (rng_chance(rng, s->reorder, 1000)) proxy->mangled += swap_last(flow);
}

/* ---- Connections ------------------------------------------------------------------------------------------------- */

static void link_end(struct proxied *link) {
  for (int i = 0; i < 2; i++) {
    close(link->fds[i]);
    flow_free(&link->flows[i]);
  }
  link->fds[0] = -1;
}

static void link_begin(struct proxy *proxy, int fd) {
  struct sockaddr_in target = loopback(proxy->target);
  struct proxied *link = proxy->links;
  while (link < proxy->links + LINKS && link->fds[0] >= 0) link++;
  int to = link < proxy->links + LINKS ? socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : -1;
  if (to < 0) {
    close(fd);
    return;
  }
  *link = (struct proxied){.fds = {fd, to}, .connecting = true};
  if (connect(to, (struct sockaddr *)&target, sizeof target) && errno != EINPROGRESS) link_end(link);
}

/* Reads a piece from side `i`; false when the connection is gone. */
static bool take(struct proxy *proxy, struct proxied *link, int i) {
  uint8_t data[PIECE];
  struct flow *flow = &link->flows[i];
  ssize_t n = recv(link->fds[i], data, sizeof data, 0);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) {
    flow->ended = true;
    return true;
  }
  pthread_mutex_lock(&proxy->lock);
  if (proxy->watch) proxy->watch(proxy->watch_ctx, i ? PROXY_FROM_CALLED : PROXY_FROM_CALLER, data, (size_t)n);
  mangle(proxy, flow, &proxy->settings[i], data, (size_t)n);
  pthread_mutex_unlock(&proxy->lock);
  return true;
}

/* Writes what is due to the other side; false when the connection is gone. */
static bool give(struct proxied *link, int i, bool stalled, int64_t now) {
  struct flow *flow = &link->flows[i];
  int to = link->fds[!i];
  while (flow->first && flow->first->due <= now && !stalled && !link->connecting) {
    struct piece *piece = flow->first;
    ssize_t n = send(to, piece->data + piece->sent, piece->len - piece->sent, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    piece->sent += (size_t)n;
    if (piece->sent < piece->len) return true;
    flow->first = piece->next;
    flow->waiting -= piece->len;
    free(piece);
  }
  if (flow->ended && !flow->first && !flow->shut && !stalled) {
    shutdown(to, SHUT_WR);
    flow->shut = true;
  }
  return true;
}

static int64_t first_due(const struct flow *flow, bool stalled) {
  return flow->first && !stalled ? flow->first->due : INT64_MAX;
}

/* ---- The thread -------------------------------------------------------------------------------------------------- */

struct view {
  struct pollfd fds[2 + 2 * LINKS];
  bool stalled[2], refuse;
  int64_t due;
};

static void look(struct proxy *proxy, struct view *view) {
  pthread_mutex_lock(&proxy->lock);
  for (int i = 0; i < 2; i++) view->stalled[i] = proxy->settings[i].stalled;
  view->refuse = proxy->refuse;
  pthread_mutex_unlock(&proxy->lock);
  view->due = INT64_MAX;
  view->fds[0] = (struct pollfd){.fd = proxy->wake[0], .events = POLLIN};
  view->fds[1] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
  for (size_t l = 0; l < LINKS; l++) {
    struct proxied *link = &proxy->links[l];
    for (int i = 0; i < 2; i++) {
      struct pollfd *fd = &view->fds[2 + 2 * l + (size_t)i];
      *fd = (struct pollfd){.fd = link->fds[0] < 0 ? -1 : link->fds[i]};
      if (link->fds[0] < 0) continue;
      const struct flow *in = &link->flows[i], *out = &link->flows[!i];
      if (!in->ended && in->waiting < QUEUE) fd->events |= POLLIN;
      int64_t due = first_due(out, view->stalled[!i]);
      if ((i == 1 && link->connecting) || due <= now_ms()) fd->events |= POLLOUT;
      else if (due < view->due) view->due = due;
    }
  }
}

static void serve(struct proxy *proxy, struct view *view) {
  int64_t now = now_ms();
  if (view->fds[1].revents & POLLIN) {
    int fd = accept4(proxy->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && view->refuse) close(fd);
    else if (fd >= 0) link_begin(proxy, fd);
  }
  for (size_t l = 0; l < LINKS; l++) {
    struct proxied *link = &proxy->links[l];
    bool alive = link->fds[0] >= 0;
    if (!alive || view->fds[2 + 2 * l].fd < 0) continue;
    if (view->fds[3 + 2 * l].revents & POLLOUT) link->connecting = false;
    for (int i = 0; alive && i < 2; i++) {
      if (view->fds[2 + 2 * l + (size_t)i].revents & (POLLIN | POLLHUP | POLLERR)) alive = take(proxy, link, i);
      if (alive) alive = give(link, i, view->stalled[i], now);
    }
    if (!alive || (link->flows[0].shut && link->flows[1].shut)) link_end(link);
  }
}

static void *run(void *ctx) {
  struct proxy *proxy = ctx;
  struct view *view = malloc(sizeof *view);
  if (!view) abort();
  for (bool stop = false; !stop;) {
    look(proxy, view);
    int64_t now = now_ms();
    poll(view->fds, 2 + 2 * LINKS, view->due == INT64_MAX ? 200 : view->due > now ? (int)(view->due - now) : 0);
    char bytes[64];
    if (view->fds[0].revents & POLLIN && read(proxy->wake[0], bytes, sizeof bytes) < 0) abort();
    pthread_mutex_lock(&proxy->lock);
    bool cut = proxy->cut;
    stop = proxy->stop;
    proxy->cut = false;
    pthread_mutex_unlock(&proxy->lock);
    for (size_t l = 0; cut && l < LINKS; l++)
      if (proxy->links[l].fds[0] >= 0) link_end(&proxy->links[l]);
    if (!cut) serve(proxy, view);
  }
  free(view);
  return NULL;
}

static void wake(struct proxy *proxy) {
  if (write(proxy->wake[1], "", 1) < 0) abort();
}

/* ---- From outside ------------------------------------------------------------------------------------------------ */

struct proxy *proxy_start(unsigned target_port, uint64_t seed) {
  struct proxy *proxy = calloc(1, sizeof *proxy);
  struct sockaddr_in at = loopback(0);
  socklen_t len = sizeof at;
  if (!proxy) abort();
  proxy->rng = rng_of(seed + 1);
  proxy->target = target_port;
  for (size_t i = 0; i < LINKS; i++) proxy->links[i].fds[0] = -1;
  proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (proxy->listener < 0 || bind(proxy->listener, (struct sockaddr *)&at, sizeof at) || listen(proxy->listener, 64) ||
      getsockname(proxy->listener, (struct sockaddr *)&at, &len) || pipe2(proxy->wake, O_CLOEXEC) ||
      pthread_mutex_init(&proxy->lock, NULL) || pthread_create(&proxy->thread, NULL, run, proxy))
    abort();
  proxy->port = ntohs(at.sin_port);
  return proxy;
}

void proxy_stop(struct proxy *proxy) {
  pthread_mutex_lock(&proxy->lock);
  proxy->stop = proxy->cut = true;
  pthread_mutex_unlock(&proxy->lock);
  wake(proxy);
  pthread_join(proxy->thread, NULL);
  close(proxy->listener);
  close(proxy->wake[0]);
  close(proxy->wake[1]);
  pthread_mutex_destroy(&proxy->lock);
  free(proxy);
}

unsigned proxy_port(const struct proxy *proxy) {
  return proxy->port;
}

void proxy_set(struct proxy *proxy, enum proxy_direction direction, const struct proxy_settings *settings) {
  pthread_mutex_lock(&proxy->lock);
  if (direction & PROXY_FROM_CALLER) proxy->settings[0] = *settings;
  if (direction & PROXY_FROM_CALLED) proxy->settings[1] = *settings;
  pthread_mutex_unlock(&proxy->lock);
  wake(proxy);
}

void proxy_cut(struct proxy *proxy) {
  pthread_mutex_lock(&proxy->lock);
  proxy->cut = true;
  pthread_mutex_unlock(&proxy->lock);
  wake(proxy);
}

void proxy_refuse(struct proxy *proxy, bool refuse) {
  pthread_mutex_lock(&proxy->lock);
  proxy->refuse = refuse;
  pthread_mutex_unlock(&proxy->lock);
  wake(proxy);
}

void proxy_watch(struct proxy *proxy, void (*watch)(void *ctx, enum proxy_direction from, const void *data, size_t len),
                 void *ctx) {
  pthread_mutex_lock(&proxy->lock);
  proxy->watch = watch;
  proxy->watch_ctx = ctx;
  pthread_mutex_unlock(&proxy->lock);
}

uint64_t proxy_mangled(const struct proxy *proxy) {
  pthread_mutex_t *lock = (pthread_mutex_t *)&proxy->lock; /* const to the caller: nothing it can see changes */
  pthread_mutex_lock(lock);
  uint64_t mangled = proxy->mangled;
  pthread_mutex_unlock(lock);
  return mangled;
}
