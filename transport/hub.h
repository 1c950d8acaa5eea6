/* All connections of a node: accepts and calls, feeds sessions, keeps their time, collects their events.
 *
 * Runs on the loop's thread, except hub_init(), hub_add_caller() and hub_listen(), which come before the loop runs. */
#ifndef TRANSPORT_HUB_H
#define TRANSPORT_HUB_H

#include "transport/caller.h"
#include "transport/limiter.h"
#include "transport/link_uv.h"
#include "transport/session.h"

#define HUB_HALF_OPEN 64u   /* connections in their handshake that others made */
#define HUB_LINGER_MS 1000u /* for the last bytes of a session that is over to arrive */
#define HUB_MAX_CALLERS 256u

struct connection;

struct hub {
  struct link_loop loop;
  uv_timer_t timer;
  dunlin_store *store;
  const struct dunlin_env *env;
  unsigned handshake_ms;
  const char *alias;
  struct limiter limiter;
  struct link_listener *listener;
  struct caller *callers;
  size_t caller_cap, caller_count;
  struct connection *connections; /* a list */
  bool stopping;
  /* For the owner: an event, and numbers that have grown. */
  void (*event)(void *ctx, const struct dunlin_node_event *event);
  void (*count)(void *ctx, const struct dunlin_node_stats *grown);
  void *ctx;
};

int hub_init(struct hub *hub, dunlin_store *store, const struct dunlin_node_options *options);
int hub_listen(struct hub *hub, const struct address *address, unsigned *port, struct dunlin_why *why);
int hub_add_caller(struct hub *hub, const char *address, unsigned retry_ms, const struct dunlin_invitation *invitation);
/* Begins to call. */
void hub_start(struct hub *hub);
/* The store holds something new. */
void hub_store_changed(struct hub *hub);
/* Takes leave of all peers and closes everything; the loop ends when that is done. */
void hub_stop(struct hub *hub);
/* After the loop has ended. */
void hub_free(struct hub *hub);

#endif
