#include "transport/limiter.h"

#include <string.h>

/* The network of an address; false for the loopback and for what is no IP address.  An IPv4 address in IPv6 clothes
 * counts as IPv4, or one /64 would hold all of them. */
static bool network_of(const struct sockaddr *from, uint8_t out[9]) {
  memset(out, 0, 9);
  const uint8_t *v4 = NULL;
  if (from->sa_family == AF_INET) {
    v4 = (const uint8_t *)&((const struct sockaddr_in *)(const void *)from)->sin_addr;
  } else if (from->sa_family == AF_INET6) {
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
    if (IN6_IS_ADDR_LOOPBACK(v6)) return false;
    if (IN6_IS_ADDR_V4MAPPED(v6)) v4 = v6->s6_addr + 12;
    out[0] = 6;
    memcpy(out + 1, v6->s6_addr, 8);
  } else {
    return false;
  }
  if (!v4) return true;
  memset(out, 0, 9);
  out[0] = 4;
  memcpy(out + 1, v4, 3);
  return v4[0] != 127;
}

static struct limiter_bucket *bucket_of(struct limiter *limiter, const uint8_t network[9], uint64_t now) {
  struct limiter_bucket *oldest = &limiter->buckets[0];
  for (size_t i = 0; i < LIMITER_NETWORKS; i++) {
    struct limiter_bucket *bucket = &limiter->buckets[i];
    if (bucket->at && !memcmp(bucket->network, network, 9)) return bucket;
    if (bucket->at < oldest->at) oldest = bucket;
  }
  *oldest = (struct limiter_bucket){.at = now, .tokens = LIMITER_BURST};
  memcpy(oldest->network, network, 9);
  return oldest;
}

bool limiter_take(struct limiter *limiter, const struct sockaddr *from, uint64_t now) {
  uint8_t network[9];
  if (!network_of(from, network)) return true;
  struct limiter_bucket *bucket = bucket_of(limiter, network, now);
  uint64_t refill = (now - bucket->at) / LIMITER_REFILL_MS;
  if (refill >= LIMITER_BURST - bucket->tokens) {
    bucket->tokens = LIMITER_BURST;
    bucket->at = now;
  } else {
    bucket->tokens += (unsigned)refill;
    bucket->at += refill * LIMITER_REFILL_MS;
  }
  if (!bucket->tokens) return false;
  bucket->tokens--;
  return true;
}
