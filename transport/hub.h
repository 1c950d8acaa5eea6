/* All connections of a node: takes and makes calls, feeds sessions, keeps their time, collects their events.  Links and
 * time come from a driver; nothing here does I/O but through the store.  Belongs to one thread. */
#ifndef TRANSPORT_HUB_H
#define TRANSPORT_HUB_H

#include "transport/caller.h"
#include "transport/limiter.h"
#include "transport/link.h"
#include "transport/session.h"

#define HUB_HALF_OPEN 64u   /* connections in their handshake that others made */
#define HUB_LINGER_MS 1000u /* for the last bytes of a session that is over to arrive */
#define HUB_MAX_CALLERS 256u

struct connection;

struct hub {
  struct link_driver driver;
  dunlin_store *store;
  const struct dunlin_env *env;
  unsigned handshake_ms;
  const char *alias;
  struct limiter limiter;
  struct caller *callers;
  size_t caller_cap, caller_count;
  struct connection *connections; /* a list */
  bool stopping;
  uint64_t wake_at; /* as the driver was last told */
  /* For the owner: an event, numbers that have grown, and that the last connection is gone after hub_stop(). */
  void (*event)(void *ctx, const struct dunlin_node_event *event);
  void (*count)(void *ctx, const struct dunlin_node_stats *grown);
  void (*stopped)(void *ctx);
  void *ctx;
};

/* Fills everything but what is for the owner. */
void hub_init(struct hub *hub, dunlin_store *store, const struct dunlin_node_options *options,
              const struct link_driver *driver);
int hub_add_caller(struct hub *hub, const char *address, unsigned retry_ms, const struct dunlin_invitation *invitation);
/* Begins to call. */
void hub_start(struct hub *hub);
/* The time that the driver was asked to wake us at has come. */
void hub_tick(struct hub *hub);
/* Somebody calls from there: takes the link over, or resets it. */
void hub_accept(struct hub *hub, struct link *link, const struct sockaddr *from);
/* The store holds something new. */
void hub_store_changed(struct hub *hub);
/* Takes leave of all peers; `stopped` is told when that is done. */
void hub_stop(struct hub *hub);
/* Frees what is left; connections that still are there end without a word. */
void hub_free(struct hub *hub);

#endif
