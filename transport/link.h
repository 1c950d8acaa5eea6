/* A link carries bytes to a peer and back, in order, until it ends: TCP on a libuv loop (link_uv.h), or anything else
 * that can do this, such as the simulated network of the tests.  Nothing here knows what is said on it. */
#ifndef TRANSPORT_LINK_H
#define TRANSPORT_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_WRITE (256u * 1024) /* bytes that one write takes at most */

struct link;

/* What the owner of a link is told, never from inside its own call.  `ended` comes at most once, with a sentence about
 * the reason (NULL: the peer closed); the owner then calls link_close(). */
struct link_owner {
  void (*opened)(void *ctx);
  void (*received)(void *ctx, const uint8_t *data, size_t len);
  void (*drained)(void *ctx); /* the last write is done */
  void (*ended)(void *ctx, const char *why);
};

/* What a kind of link does; the functions below say what each means. */
struct link_kind {
  int (*own)(struct link *link, const struct link_owner *owner, void *ctx);
  bool (*busy)(const struct link *link);
  size_t (*write)(struct link *link, const void *data, size_t len);
  void (*finish)(struct link *link);
  void (*close)(struct link *link);
  void (*reset)(struct link *link);
};

/* The first member of every link. */
struct link {
  const struct link_kind *kind;
};

/* Where links and time come from. `ctx` goes into every call. */
struct link_driver {
  void *ctx;
  uint64_t (*now)(void *ctx); /* milliseconds of a clock that does not go back */
  /* Begins to connect to HOST:PORT; `opened` or `ended` tells how it went.  DUNLIN_EADDR, DUNLIN_ENOMEM. */
  int (*connect)(void *ctx, const char *address, const struct link_owner *owner, void *owner_ctx, struct link **out);
  /* Call the hub's hub_tick() at that time (UINT64_MAX: not at all); only the last wish counts. */
  void (*wake_at)(void *ctx, uint64_t at);
};

/* Takes an accepted link over and begins to read.  0 or DUNLIN_ENET. */
static inline int link_own(struct link *link, const struct link_owner *owner, void *ctx) {
  return link->kind->own(link, owner, ctx);
}
/* A write is under way, or the link is not open. */
static inline bool link_busy(const struct link *link) {
  return link->kind->busy(link);
}
/* Copies up to LINK_WRITE bytes and sends them; 0 taken when busy. */
static inline size_t link_write(struct link *link, const void *data, size_t len) {
  return link->kind->write(link, data, len);
}
/* Says that nothing more will be sent, once the write under way is done. */
static inline void link_finish(struct link *link) {
  link->kind->finish(link);
}
/* Ends it; no calls to the owner from then on, and the link must not be used. */
static inline void link_close(struct link *link) {
  link->kind->close(link);
}
/* Turns an accepted link away with a reset, which the other side can tell from a refusal of what it said. */
static inline void link_reset(struct link *link) {
  link->kind->reset(link);
}

#endif
