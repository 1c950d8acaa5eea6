/* A small generator (xorshift64*, Vigna 2016), so that a seed means the same everywhere. */
#ifndef TEST_RNG_H
#define TEST_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
  uint64_t state;
};
static inline struct rng rng_of(uint64_t seed) {
  return (struct rng){seed * 0x9e3779b97f4a7c15u + 0x1234567u};
}
static inline uint64_t rng_next(struct rng *r) {
  r->state ^= r->state >> 12;
  r->state ^= r->state << 25;
  r->state ^= r->state >> 27;
  return r->state * 0x2545f4914f6cdd1du;
}
static inline size_t rng_below(struct rng *r, size_t n) {
  return n ? (size_t)(rng_next(r) >> 11) % n : 0;
}
/* Whether something that happens `n` times in `of` happens now. */
static inline int rng_chance(struct rng *r, size_t n, size_t of) {
  return rng_below(r, of) < n;
}

#endif
