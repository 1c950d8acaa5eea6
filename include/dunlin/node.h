/* dunlin_node - keeps a store in step with peers, over TCP, on a thread of its own.
 *
 * Every connection is encrypted and authenticated (Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b).  A node talks about a space
 * only to devices that are members of it.  It writes to the store only; documents take changes in when their owner
 * calls dunlin_store_doc_pull().
 */
#ifndef DUNLIN_NODE_H
#define DUNLIN_NODE_H

#include <dunlin/space.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dunlin_node dunlin_node;

struct dunlin_node_options {
  size_t size;              /* sizeof(struct dunlin_node_options) */
  const char *listen;       /* HOST:PORT to take connections on (port 0: any free one), or NULL */
  const char *const *peers; /* HOST:PORT of nodes to connect to, and to connect to again when lost */
  size_t peer_count;
  const char *invitation;  /* a line to join with, or NULL; the node connects to the address in it */
  const char *join_alias;  /* the alias of the space that is joined; NULL: as its owner calls it */
  unsigned handshake_ms;   /* how long a handshake may take; default 5000 */
  unsigned retry_ms;       /* first delay before connecting again, doubled up to 30 s; default 1000; 0: do not */
  void (*wake)(void *ctx); /* called from the node's thread when an event is waiting; may be NULL */
  void *wake_ctx;
};
DUNLIN_API struct dunlin_node_options dunlin_node_defaults(void);

/* Starts.  DUNLIN_EADDR when an address is not understood or the port is in use, DUNLIN_EINVITE, DUNLIN_EEXPIRED. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_node_start(dunlin_store *store, const struct dunlin_node_options *options,
                                                 dunlin_node **out, struct dunlin_why *why);
/* Ends all connections and the thread, and frees the node. */
DUNLIN_API void dunlin_node_stop(dunlin_node *node);

/* The port it listens on; 0 when it does not. */
DUNLIN_API unsigned dunlin_node_port(const dunlin_node *node);

enum dunlin_node_event_kind {
  DUNLIN_NODE_CONNECTED = 1, /* a peer proved who it is */
  DUNLIN_NODE_IN_SYNC,       /* this peer and we hold the same, durably on both sides */
  DUNLIN_NODE_RECEIVED,      /* runs from this peer are durable here */
  DUNLIN_NODE_JOINED,        /* guest: the space of our invitation is in our store; `space` names it */
  DUNLIN_NODE_GUEST,         /* host: a guest has joined `space` */
  DUNLIN_NODE_CLOSED,        /* a connection ended or could not be made; `error` says why (0: the peer left) */
  DUNLIN_NODE_REFUSED,       /* a log of this peer is invalid and was left alone; the connection goes on */
  DUNLIN_NODE_FORKED, /* a writer's log has two branches: a store was copied, or its owner cheats; both are kept */
  DUNLIN_NODE_COPIED, /* this store itself was copied, or set back to an older copy; it goes on as a new writer */
};

struct dunlin_node_event {
  enum dunlin_node_event_kind kind;
  int error;
  struct dunlin_id device; /* of the peer, when known */
  struct dunlin_id space;
  char address[DUNLIN_MAX_NAME + 1]; /* of the peer */
  char text[256];                    /* with an error: one sentence */
};

/* Takes the next event; waits up to `timeout_ms` for one (0: not at all, -1: for ever).  1 when there is one, else
 * 0. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_node_next_event(dunlin_node *node, struct dunlin_node_event *out, int timeout_ms);

struct dunlin_node_stats {
  uint64_t bytes_sent, bytes_received; /* on the wire */
  uint64_t runs_sent, runs_received;
  size_t connections; /* with a finished handshake */
};
DUNLIN_API struct dunlin_node_stats dunlin_node_stats(const dunlin_node *node);

#ifdef __cplusplus
}
#endif
#endif
