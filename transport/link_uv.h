/* TCP connections on a libuv loop.  Everything here runs on the loop's thread, except link_uv_listen() while the loop
 * does not run yet. */
#ifndef TRANSPORT_LINK_UV_H
#define TRANSPORT_LINK_UV_H

#include <dunlin/node.h>
#include <uv.h>

#include "transport/address.h"
#include "transport/link.h"

#define LINK_READ (64u * 1024) /* bytes that one read takes */

struct link_listener;

struct link_loop {
  uv_loop_t uv;
  const struct dunlin_env *env;
  uint8_t read[LINK_READ]; /* libuv hands each read out before it makes the next one */
};

/* Listens.  `accepted` gets a new link and where it comes from; it calls link_own(), link_close() or link_reset(). */
typedef void link_accepted(void *ctx, struct link *link, const struct sockaddr *from);
int link_uv_listen(struct link_loop *loop, const struct address *address, link_accepted *accepted, void *ctx,
                   struct link_listener **out, unsigned *port, struct dunlin_why *why);
void link_listener_close(struct link_listener *listener); /* NULL is fine */

/* Resolves and connects, as link_driver.connect. */
int link_uv_connect(struct link_loop *loop, const char *address, const struct link_owner *owner, void *ctx,
                    struct link **out);

#endif
