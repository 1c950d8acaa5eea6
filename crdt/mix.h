/* A hash for tables in memory, from a secret seed, so that nobody can prepare keys that collide.
 *
 * Each step multiplies by a factor that is secret too and folds the product, eight bytes at a time: with a factor that
 * is known, what differs in the highest bits of one word could be made up for in the next one, whatever the seed. */
#ifndef CRDT_MIX_H
#define CRDT_MIX_H

#include <stddef.h>
#include <stdint.h>

/* Both halves of the product, one over the other. */
static inline uint64_t mix_fold(uint64_t a, uint64_t b) {
#ifdef __SIZEOF_INT128__
  __extension__ typedef unsigned __int128 wide;
  wide product = (wide)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
  uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
  uint64_t middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (uint32_t)middle;
  return (a * b) ^ (a1 * b1 + (middle >> 32) + (other >> 32));
#endif
}

static inline uint64_t mix_factor(uint64_t seed) {
  return seed * 0xd1342543de82ef95u | 1;
}

static inline uint64_t mix_word(uint64_t seed, uint64_t word) {
  return mix_fold(seed ^ word, mix_factor(seed));
}

/* A number that says nothing of what comes before or behind: for priorities in a tree.  Products of numbers in a row
 * rise for as long as the factor is small, which is of length n once in n seeds. */
static inline uint64_t mix_rank(uint64_t seed, uint64_t number) {
  uint64_t h = mix_word(seed, number) * 0xff51afd7ed558ccdu;
  h = (h ^ h >> 32) * 0xc4ceb9fe1a85ec53u;
  return h ^ h >> 29;
}

static inline uint64_t mix_bytes(uint64_t seed, const void *data, size_t len) {
  const uint8_t *p = data;
  uint64_t h = seed ^ len * 0x9e3779b97f4a7c15u, factor = mix_factor(seed);
  for (; len >= sizeof h; p += sizeof h, len -= sizeof h) {
    uint64_t word;
    __builtin_memcpy(&word, p, sizeof word);
    h = mix_fold(h ^ word, factor);
  }
  uint64_t rest = 0;
  for (size_t i = 0; i < len; i++) rest = rest << 8 | p[i];
  if (len) h = mix_fold(h ^ rest, factor);
  return mix_fold(h, factor); /* once more: one product of numbers in a row is one, too */
}

#endif
