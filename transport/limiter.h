/* How often a network may open a handshake: a token bucket for each /24 (IPv4) and /64 (IPv6).  The loopback is not
 * limited: who is on this machine has better ways to be a nuisance. */
#ifndef TRANSPORT_LIMITER_H
#define TRANSPORT_LIMITER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define LIMITER_BURST 20u      /* handshakes at once ... */
#define LIMITER_REFILL_MS 500u /* ... and one more each half second */
#define LIMITER_NETWORKS 256u  /* remembered; the one unused for longest makes place */

struct limiter {
  struct limiter_bucket {
    uint8_t network[9]; /* 4 or 6, and the prefix */
    uint64_t at;        /* when `tokens` was right; 0: the place is free */
    unsigned tokens;
  } buckets[LIMITER_NETWORKS];
};

/* Takes a token for the network of `from` at `now` (milliseconds, above 0); false when there is none. */
bool limiter_take(struct limiter *limiter, const struct sockaddr *from, uint64_t now);

#endif
