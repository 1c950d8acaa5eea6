/* Whom to call and when: one caller for each address that a node was given.  No I/O: times and outcomes go in,
 * decisions come out.
 *
 * Which device listens at an address may be unknown, so the keys of all devices that share a space with us are tried,
 * one connection after another; the one that worked is remembered and tried first.  A caller with an invitation uses
 * that until it has joined. */
#ifndef TRANSPORT_CALLER_H
#define TRANSPORT_CALLER_H

#include <dunlin/node.h>

#include "persist/exchange.h"

#define CALLER_MAX_DELAY_MS 30000u

struct caller {
  char address[DUNLIN_MAX_NAME + 1];
  unsigned retry_ms; /* first delay; 0: a failure is final */
  struct dunlin_invitation invitation;
  bool joining; /* calls with the invitation */
  bool busy;    /* a connection is being made or stands */
  bool given_up;
  uint64_t at; /* when to call next */
  unsigned delay_ms;
  struct dunlin_id known; /* the device that answered last; zeros: none yet */
  size_t tried;           /* keys tried in this round */
};

void caller_init(struct caller *c, const char *address, unsigned retry_ms, uint64_t now);
/* Whether to call now, and otherwise when (UINT64_MAX: not before something happens). */
bool caller_due(const struct caller *c, uint64_t now);
uint64_t caller_deadline(const struct caller *c);

/* The key to call under; the caller is busy from then on.  DUNLIN_ESTRANGER: no device is known that could be called;
 * DUNLIN_EEXPIRED: the invitation has expired. */
int caller_psk(struct caller *c, dunlin_store *store, uint8_t psk[32]);
/* The peer has proved who it is. */
void caller_connected(struct caller *c, const struct dunlin_id *device);
/* The conversation has come to something: the next failure counts as the first.  Merely having connected does not
 * count, or a peer that cannot store anything would be called every second for as long as its disk is full. */
void caller_settled(struct caller *c);
/* The invitation has done its work. */
void caller_joined(struct caller *c);
/* The connection is gone or was not made.  `key_refused`: the peer does not know the key.  `jitter` is random.  Returns
 * whether this is worth telling: not while there are other keys to try. */
bool caller_ended(struct caller *c, dunlin_store *store, int error, bool key_refused, uint64_t now, uint32_t jitter);

#endif
