/* One conversation with one peer, without I/O: bytes and the time go in, bytes, a deadline and events come out.
 * docs/protocol.md says every byte of it.
 *
 * A session goes through a handshake (Noise, who is there), possibly a join, and then keeps the common spaces in step
 * until it ends.  Times are milliseconds of any clock that does not jump.  Store calls are made inside, so receiving
 * may wait for the disk; nothing here waits for the network. */
#ifndef TRANSPORT_SESSION_H
#define TRANSPORT_SESSION_H

#include <dunlin/node.h>

#include "crdt/buf.h"

struct session;

struct session_config {
  dunlin_store *store;
  const char *address; /* of the peer, for sentences; copied */
  bool initiator;
  uint8_t psk[32];                            /* initiator: under which it calls; copied and wiped with the session */
  const struct dunlin_invitation *invitation; /* initiator that joins: its invitation, else NULL; copied */
  const char *alias;                          /* of the space that is joined, or NULL; must outlive the session */
  unsigned handshake_ms;
};

int session_new(const struct session_config *config, uint64_t now, struct session **out);
void session_free(struct session *s);

/* Bytes have come.  An error (also of the calls below) means that the session is over: what session_output() still
 * gives should be sent, then the link closed.  session_over() tells the same at any time. */
int session_receive(struct session *s, uint64_t now, const void *data, size_t len);
/* The link has ended: closed by the peer (`why` NULL), or lost for a reason.  Gives the error that this is: none when
 * the peer took its leave. */
int session_eof(struct session *s, const char *why);
/* Something new may be in the store. */
int session_store_changed(struct session *s, uint64_t now);
/* To be called when session_deadline() has come. */
int session_tick(struct session *s, uint64_t now);
uint64_t session_deadline(const struct session *s);
/* Takes leave, for the reason `error` (0: none). */
void session_leave(struct session *s, int error);

/* What is to be sent now, borrowed until the next call with this session; then session_sent() says how much was
 * taken. */
int session_output(struct session *s, uint64_t now, struct dunlin_bytes *out);
void session_sent(struct session *s, size_t len);

/* The next event; `address` is not filled.  CLOSED never comes from here: see session_over(). */
bool session_next_event(struct session *s, struct dunlin_node_event *out);

bool session_over(const struct session *s);
/* Why it is over, and a sentence for it ("" when the peer left). */
int session_error(const struct session *s);
const char *session_why(const struct session *s);
/* Whether the peer has proved who it is; then `device` (may be NULL) is filled. */
bool session_established(const struct session *s, struct dunlin_id *device);
/* Initiator: the responder hung up on our first message, so it does not know the key that we called under. */
bool session_key_refused(const struct session *s);

struct session_counts {
  uint64_t runs_sent, runs_received;
};
struct session_counts session_counts(const struct session *s);

#endif
