/* The default environment without a library beside the C library, so that documents can be built for any machine:
 * BLAKE2b as RFC 7693 writes it, randomness from a seed, no compression. */
#include "test/cross/environment.h"

#include <stdlib.h>
#include <string.h>

#include "test/support/rng.h"

/* ---- BLAKE2b ------------------------------------------------------------------------------------------------- */

enum { block_size = 128 };

struct blake {
  uint64_t h[8], counted;
  uint8_t block[block_size];
  size_t fill;
};

static const uint64_t start[8] = {0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
                                  0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u};

static const uint8_t order[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

static uint64_t word_at(const uint8_t *bytes) {
  uint64_t word = 0;
  for (int i = 7; i >= 0; i--) word = word << 8 | bytes[i];
  return word;
}

static uint64_t turn(uint64_t word, unsigned by) {
  return word >> by | word << (64 - by);
}

static void mix(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d, uint64_t x, uint64_t y) {
  *a += *b + x;
  *d = turn(*d ^ *a, 32);
  *c += *d;
  *b = turn(*b ^ *c, 24);
  *a += *b + y;
  *d = turn(*d ^ *a, 16);
  *c += *d;
  *b = turn(*b ^ *c, 63);
}

static void take_block(struct blake *b, bool last) {
  uint64_t v[16], m[16];
  for (size_t i = 0; i < 8; i++) v[i] = b->h[i], v[i + 8] = start[i];
  for (size_t i = 0; i < 16; i++) m[i] = word_at(b->block + 8 * i);
  v[12] ^= b->counted;
  if (last) v[14] = ~v[14];
  for (size_t round = 0; round < 12; round++) {
    const uint8_t *s = order[round % 10];
    for (size_t i = 0; i < 4; i++) mix(&v[i], &v[i + 4], &v[i + 8], &v[i + 12], m[s[2 * i]], m[s[2 * i + 1]]);
    for (size_t i = 0; i < 4; i++)
      mix(&v[i], &v[4 + (i + 1) % 4], &v[8 + (i + 2) % 4], &v[12 + (i + 3) % 4], m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
  }
  for (size_t i = 0; i < 8; i++) b->h[i] ^= v[i] ^ v[i + 8];
}

void cross_hash(void *ctx, const char *label, const struct dunlin_bytes *parts, size_t count, uint8_t out[32]) {
  (void)ctx;
  struct blake b = {.counted = 0};
  uint8_t personal[16] = {0};
  memcpy(personal, label, strnlen(label, sizeof personal));
  memcpy(b.h, start, sizeof start);
  b.h[0] ^= 0x01010020; /* 32 bytes of output, no key, no tree */
  b.h[6] ^= word_at(personal);
  b.h[7] ^= word_at(personal + 8);
  for (size_t i = 0; i < count; i++) {
    const uint8_t *bytes = parts[i].data;
    for (size_t j = 0; j < parts[i].len; j++) {
      if (b.fill == block_size) {
        b.counted += block_size;
        take_block(&b, false);
        b.fill = 0;
      }
      b.block[b.fill++] = bytes[j];
    }
  }
  b.counted += b.fill;
  memset(b.block + b.fill, 0, block_size - b.fill);
  take_block(&b, true);
  for (size_t i = 0; i < 32; i++) out[i] = (uint8_t)(b.h[i / 8] >> (8 * (i % 8)));
}

/* ---- The rest ------------------------------------------------------------------------------------------------ */

static struct rng source = {1};

void cross_random(uint64_t seed) {
  source = rng_of(seed);
}

static int seeded(void *ctx, void *out, size_t len) {
  uint8_t *bytes = out;
  (void)ctx;
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(rng_next(&source) >> 56);
  return 0;
}

static void *from_malloc(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  (void)ctx, (void)old_size;
  if (new_size) return realloc(ptr, new_size);
  free(ptr);
  return NULL;
}

const struct dunlin_env *cross_env(void) {
  static const struct dunlin_env env = {
      .size = sizeof env, .realloc = from_malloc, .hash = cross_hash, .random = seeded};
  return &env;
}

#ifndef CROSS_BESIDE_DEFAULT
const struct dunlin_env *dunlin_env_default(void) {
  return cross_env();
}
#endif
