/* Counting in valid UTF-8, eight bytes at a time. */
#ifndef CRDT_ROPE_UTF8_H
#define CRDT_ROPE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* The sum of the bytes of a word, which is below 256. */
static inline size_t utf8_across(uint64_t word) {
  return (size_t)(word * UTF8_ONES >> 56);
}

static inline size_t utf8_scalars(const uint8_t *bytes, size_t size) {
  size_t count = 0;
  for (; size >= 8; bytes += 8, size -= 8) count += utf8_across(utf8_begins(utf8_word(bytes)));
  for (; size; bytes++, size--) count += !utf8_continues(*bytes);
  return count;
}

/* The characters that take two UTF-16 units. */
static inline size_t utf8_pairs(const uint8_t *bytes, size_t size) {
  size_t count = 0;
  for (; size >= 8; bytes += 8, size -= 8) count += utf8_across(utf8_begins_pair(utf8_word(bytes)));
  for (; size; bytes++, size--) count += *bytes >= 0xf0;
  return count;
}

/* The byte where character `at` begins, or `size`. */
static inline size_t utf8_offset(const uint8_t *bytes, size_t size, size_t at) {
  size_t offset = 0;
  while (size - offset >= 8) {
    size_t begun = utf8_across(utf8_begins(utf8_word(bytes + offset)));
    if (begun > at) break;
    at -= begun;
    offset += 8;
  }
  for (; offset < size; offset++)
    if (!utf8_continues(bytes[offset]) && !at--) break;
  return offset;
}

#endif
