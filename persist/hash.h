/* The hash of the formats: BLAKE2b of any length up to 64, personalised by a label, keyed where the format says so. */
#ifndef PERSIST_HASH_H
#define PERSIST_HASH_H

#include <dunlin/dunlin.h>

/* H(label, parts) of `len` bytes (1 to 64), or H(key, label, parts) when `key` (32 bytes) is not NULL.  The label has
 * at most 16 bytes and is padded with zeros. */
void hash_parts(uint8_t *out, size_t len, const uint8_t *key, const char *label, const struct dunlin_bytes *parts,
                size_t count);

#define HASH_PARTS(out, len, key, label, ...)                                                                          \
  hash_parts((out), (len), (key), (label), (const struct dunlin_bytes[]){__VA_ARGS__},                                 \
             sizeof(const struct dunlin_bytes[]){__VA_ARGS__} / sizeof(struct dunlin_bytes))

#endif
