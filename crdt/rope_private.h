/* What the edits of a rope and its readers share: counting in valid UTF-8, eight bytes at a time, and adding up
 * counts. */
#ifndef CRDT_ROPE_PRIVATE_H
#define CRDT_ROPE_PRIVATE_H

#include <string.h>

#include "crdt/rope.h"

#define UTF8_ONES 0x0101010101010101u

static inline bool utf8_continues(uint8_t byte) {
  return (byte & 0xc0) == 0x80;
}

static inline uint64_t utf8_word(const uint8_t *bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

/* 1 in each byte that begins a character; 1 in each that begins one of four bytes, which is two UTF-16 units. */
static inline uint64_t utf8_begins(uint64_t word) {
  return (~(word >> 7) | word >> 6) & UTF8_ONES;
}
static inline uint64_t utf8_begins_pair(uint64_t word) {
  return word >> 7 & word >> 6 & word >> 5 & word >> 4 & UTF8_ONES;
}

/* 1 in each byte that begins an anchor. */
static inline uint64_t utf8_begins_anchor(uint64_t word) {
  return utf8_begins_pair(word) & word >> 3 & word >> 2 & word >> 1;
}

/* The sum of the bytes of a word, which is below 256. */
static inline size_t utf8_across(uint64_t word) {
  return (size_t)(word * UTF8_ONES >> 56);
}

/* Counts over 64 bytes at once, which the compiler turns into wide instructions. */
static inline size_t utf8_begins_64(const uint8_t *bytes) {
  uint64_t sum = 0;
  for (int i = 0; i < 8; i++) sum += utf8_begins(utf8_word(bytes + i * 8));
  return utf8_across(sum);
}
static inline size_t utf8_begins_pair_64(const uint8_t *bytes) {
  uint64_t sum = 0;
  for (int i = 0; i < 8; i++) sum += utf8_begins_pair(utf8_word(bytes + i * 8));
  return utf8_across(sum);
}

static inline size_t utf8_scalars(const uint8_t *bytes, size_t size) {
  size_t count = 0;
  for (; size >= 64; bytes += 64, size -= 64) count += utf8_begins_64(bytes);
  for (; size >= 8; bytes += 8, size -= 8) count += utf8_across(utf8_begins(utf8_word(bytes)));
  for (; size; bytes++, size--) count += !utf8_continues(*bytes);
  return count;
}

/* The characters that take two UTF-16 units, and the anchors. */
static inline size_t utf8_pairs(const uint8_t *bytes, size_t size) {
  size_t count = 0;
  for (; size >= 64; bytes += 64, size -= 64) count += utf8_begins_pair_64(bytes);
  for (; size >= 8; bytes += 8, size -= 8) count += utf8_across(utf8_begins_pair(utf8_word(bytes)));
  for (; size; bytes++, size--) count += *bytes >= 0xf0;
  return count;
}

static inline size_t utf8_anchors(const uint8_t *bytes, size_t size) {
  size_t count = 0;
  for (; size >= 8; bytes += 8, size -= 8) count += utf8_across(utf8_begins_anchor(utf8_word(bytes)));
  for (; size; bytes++, size--) count += *bytes >= 0xfe;
  return count;
}

/* The byte where character `at` begins, or `size`. */
static inline size_t utf8_offset(const uint8_t *bytes, size_t size, size_t at) {
  size_t offset = 0, begun;
  for (; size - offset >= 64 && (begun = utf8_begins_64(bytes + offset)) <= at; offset += 64) at -= begun;
  for (; size - offset >= 8 && (begun = utf8_across(utf8_begins(utf8_word(bytes + offset)))) <= at; offset += 8)
    at -= begun;
  for (; offset < size; offset++)
    if (!utf8_continues(bytes[offset]) && !at--) break;
  return offset;
}

/* Counts.  They are added modulo 2^32, so that a difference may be negative. */

static inline void sum_add(struct rope_sum *sum, struct rope_sum more) {
  sum->scalars += more.scalars;
  sum->bytes += more.bytes;
  sum->pairs += more.pairs;
  sum->anchors += more.anchors;
}
static inline struct rope_sum sum_minus(struct rope_sum a, struct rope_sum b) {
  return (struct rope_sum){a.scalars - b.scalars, a.bytes - b.bytes, a.pairs - b.pairs, a.anchors - b.anchors};
}
static inline struct rope_sum row(const struct rope_node *node, uint32_t i) {
  return (struct rope_sum){node->scalars[i], node->bytes[i], node->pairs[i], node->anchors[i]};
}
static inline struct rope_sum rows_sum(const struct rope_node *node, uint32_t from, uint32_t to) {
  struct rope_sum sum = {0};
  for (uint32_t i = from; i < to; i++) sum_add(&sum, row(node, i));
  return sum;
}
static inline bool is_ascii(struct rope_sum sum) {
  return sum.bytes == sum.scalars;
}

/* The byte where the scalar value `at` of a leaf begins. */
static inline uint32_t leaf_offset(const uint8_t *bytes, struct rope_sum sum, uint32_t at) {
  return is_ascii(sum) ? at : (uint32_t)utf8_offset(bytes, sum.bytes, at);
}

/* Counts pairs and anchors, of which there are mostly none. */
static inline void sum_wide(struct rope_sum *sum, const uint8_t *bytes) {
  sum->pairs = (uint32_t)utf8_pairs(bytes, sum->bytes);
  if (sum->pairs) sum->anchors = (uint32_t)utf8_anchors(bytes, sum->bytes);
}

static inline struct rope_sum sum_of(const uint8_t *bytes, uint32_t size, bool ascii) {
  struct rope_sum sum = {.scalars = size, .bytes = size};
  if (ascii) return sum;
  sum.scalars = (uint32_t)utf8_scalars(bytes, size);
  sum_wide(&sum, bytes);
  return sum;
}

#endif
