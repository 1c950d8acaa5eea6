/* TCP connections on a libuv loop.  Knows nothing of what is said on them.
 *
 * Everything here runs on the loop's thread, except link_listen() while the loop does not run yet. */
#ifndef TRANSPORT_LINK_UV_H
#define TRANSPORT_LINK_UV_H

#include <dunlin/node.h>
#include <uv.h>

#include "crdt/buf.h"
#include "transport/address.h"

#define LINK_READ (64u * 1024)   /* bytes that one read takes */
#define LINK_WRITE (256u * 1024) /* bytes that one write takes */

struct link;
struct link_listener;

/* What the owner of a link is told.  `ended` comes at most once, with a sentence about the reason (NULL: the peer closed);
 * the owner then calls link_close(). */
struct link_owner {
  void (*opened)(void *ctx);
  void (*received)(void *ctx, const uint8_t *data, size_t len);
  void (*drained)(void *ctx); /* the last write is done */
  void (*ended)(void *ctx, const char *why);
};

struct link_loop {
  uv_loop_t uv;
  const struct dunlin_env *env;
  uint8_t read[LINK_READ]; /* libuv hands each read out before it makes the next one */
};

/* Listens.  `accepted` gets a new link and where it comes from; it calls link_own() or link_close(). */
typedef void link_accepted(void *ctx, struct link *link, const struct sockaddr *from);
int link_listen(struct link_loop *loop, const struct address *address, link_accepted *accepted, void *ctx,
                struct link_listener **out, unsigned *port, struct dunlin_why *why);
void link_listener_close(struct link_listener *listener);

/* Resolves and connects; `opened` or `ended` tells how it went. */
int link_connect(struct link_loop *loop, const struct address *address, const struct link_owner *owner, void *ctx,
                 struct link **out);
/* Takes an accepted link over and begins to read. */
int link_own(struct link *link, const struct link_owner *owner, void *ctx);

bool link_busy(const struct link *link); /* a write is under way, or the link is not open */
/* Copies up to LINK_WRITE bytes and sends them; 0 taken when busy. */
size_t link_write(struct link *link, const void *data, size_t len);
/* Says that nothing more will be sent, once the write under way is done. */
void link_finish(struct link *link);
/* Ends it; no calls to the owner from then on.  Frees the link when libuv is done with it. */
void link_close(struct link *link);

/* Turns an accepted link away with a reset, which the other side can tell from a refusal of what it said. */
void link_reset(struct link *link);

/* "127.0.0.1:5000", "[::1]:5000". */
void link_address_text(const struct sockaddr *from, char *out, size_t cap);

#endif
