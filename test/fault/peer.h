/* A peer that passes the handshake, with the keys of a real device, and then says what it likes: it speaks Noise and
 * frames by hand, to a session in memory, the victim.  Every field of every message is the test's to choose. */
#ifndef TEST_FAULT_PEER_H
#define TEST_FAULT_PEER_H

#include "transport/session_private.h"

struct peer {
  dunlin_store *store; /* whose keys it has */
  struct session *victim;
  struct exchange_identity identity;
  uint8_t hash[NOISE_HASH];
  struct frame_writer writer;
  struct frame_reader reader;
  unsigned heard[16]; /* messages of the victim, by type */
  uint64_t want_id;   /* of its last WANT */
};

/* Calls a session of `victim`'s store and goes through the handshake.  `granted` false: with a handshake key that no
 * grant names.  Aborts when the handshake itself does not work. */
void peer_open(struct peer *peer, dunlin_store *store, dunlin_store *victim, bool granted);
void peer_close(struct peer *peer);

/* A message: its fields go to peer->writer.plain between the two.  What the victim answers is counted. */
size_t peer_begin(struct peer *peer, unsigned type, size_t fields);
void peer_end(struct peer *peer, size_t begin);
/* Takes what the victim has to say, and counts it; done after every message. */
void peer_listen(struct peer *peer);
/* Bytes that are no message. */
void peer_feed(struct peer *peer, const void *data, size_t len);

/* A greeting, signed, as `device` in `role` (1: the caller). */
void peer_hello(struct peer *peer, unsigned version, const struct dunlin_id *device, unsigned role);
/* A summary of one space that equals nobody's, after which the victim tells what it has. */
void peer_summary(struct peer *peer, const struct dunlin_id *space);
/* Claims to hold a log up to that entry. */
void peer_have(struct peer *peer, const struct log_name *name, uint64_t count, const uint8_t tip[8]);
void peer_run(struct peer *peer, uint64_t id, const void *sealed, size_t len);
void peer_done(struct peer *peer, uint64_t id);

#endif
