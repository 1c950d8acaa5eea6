/* Canonical msgpack: a strict, bounds-checked reader for hostile bytes, and a writer, on top of msgpack-c's packer
 * where it is not on a hot path.
 *
 * Canonical means: the shortest form of every integer, length and array; valid UTF-8 in strings; floats always 64 bits,
 * with one NaN (7ff8000000000000); no maps.  The reader refuses anything else, so two encodings of one thing do not
 * exist.  It allocates nothing: strings and bytes point into the input. */
#ifndef CRDT_MSGPACK_H
#define CRDT_MSGPACK_H

#include "crdt/buf.h"

/* A time: msgpack extension type 1 with 8 bytes, big-endian microseconds since 1970. */
#define MP_EXT_TIME 1

struct mp_reader {
  const uint8_t *at, *end;
  int error; /* sticky, DUNLIN_EFORMAT; every read then gives zeros */
};

enum mp_type { MP_NIL, MP_BOOL, MP_UINT, MP_INT, MP_FLOAT, MP_STR, MP_BIN, MP_ARRAY, MP_TIME, MP_BAD };

struct mp_reader mp_reader_of(const void *data, size_t len);
/* The type of what comes next, without taking it.  MP_INT is a negative integer.  MP_BAD at the end or on any byte that
 * canonical msgpack does not use. */
extern const uint8_t mp_types[256];
static inline enum mp_type mp_peek(const struct mp_reader *r) {
  return r->at == r->end ? MP_BAD : (enum mp_type)mp_types[*r->at]; /* after an error nothing is left */
}
void mp_fail(struct mp_reader *r);
static inline bool mp_is_nil(const struct mp_reader *r) {
  return r->at != r->end && *r->at == 0xc0; /* after an error nothing is left */
}

void mp_read_nil(struct mp_reader *r);
bool mp_read_bool(struct mp_reader *r);
uint64_t mp_read_long_uint(struct mp_reader *r, uint64_t max);
static inline uint64_t mp_read_uint(struct mp_reader *r, uint64_t max) {
  if (r->at == r->end || *r->at > 0x7f || *r->at > max) return mp_read_long_uint(r, max);
  return *r->at++;
}
int64_t mp_read_long_int(struct mp_reader *r);
static inline int64_t mp_read_int(struct mp_reader *r) { /* any sign */
  return r->at == r->end || *r->at > 0x7f ? mp_read_long_int(r) : *r->at++;
}
double mp_read_float(struct mp_reader *r);
int64_t mp_read_time(struct mp_reader *r);
struct dunlin_bytes mp_read_str(struct mp_reader *r, size_t max);
struct dunlin_bytes mp_read_long_text(struct mp_reader *r, size_t max, size_t *scalars);
/* A string, counting its characters. */
static inline struct dunlin_bytes mp_read_text(struct mp_reader *r, size_t max, size_t *scalars) {
  if (r->at == r->end || *r->at != 0xa0) return mp_read_long_text(r, max, scalars);
  if (scalars) *scalars = 0;
  r->at++;
  return (struct dunlin_bytes){"", 0}; /* most changes that are not typing */
}
struct dunlin_bytes mp_read_long_bin(struct mp_reader *r, size_t max);
static inline struct dunlin_bytes mp_read_bin(struct mp_reader *r, size_t max) {
  size_t left = (size_t)(r->end - r->at);
  if (left < 2 || r->at[0] != 0xc4 || r->at[1] > max || r->at[1] > left - 2) return mp_read_long_bin(r, max);
  struct dunlin_bytes bin = {r->at + 2, r->at[1]};
  r->at += 2 + bin.len;
  return bin;
}
/* Exactly `len` bytes. On an error gives a pointer to 64 zeros, so ids may be copied before the error is looked at. */
const uint8_t *mp_read_bin_exact(struct mp_reader *r, size_t len);
/* The number of elements; never more than the bytes that are left, and never more than `max`. */
size_t mp_read_long_array(struct mp_reader *r, size_t max);
static inline size_t mp_read_array(struct mp_reader *r, size_t max) {
  size_t count = r->at == r->end ? 16 : *r->at ^ 0x90u;
  if (count > 15 || count > max || count > (size_t)(r->end - r->at) - 1) return mp_read_long_array(r, max);
  r->at++;
  return count;
}
/* Passes over anything but an array. */
void mp_skip(struct mp_reader *r);
/* Behind so many values that were read once and found to be in form (no arrays): they are not looked at again. */
const uint8_t *mp_pass(const uint8_t *at, size_t count);
/* 0 when everything was read without an error and nothing is left, else DUNLIN_EFORMAT. */
int mp_end(const struct mp_reader *r);

void mp_write_nil(struct buf *out);
void mp_write_bool(struct buf *out, bool v);
void mp_write_uint(struct buf *out, uint64_t v);
void mp_write_int(struct buf *out, int64_t v);
void mp_write_float(struct buf *out, double v); /* every NaN becomes the one NaN */
void mp_write_time(struct buf *out, int64_t us);
void mp_write_str(struct buf *out, const void *data, size_t len);
void mp_write_str_head(struct buf *out, size_t len); /* the bytes are the caller's to append */
void mp_write_bin(struct buf *out, const void *data, size_t len);
void mp_write_bin_head(struct buf *out, size_t len); /* the bytes are the caller's to append */
void mp_write_array(struct buf *out, size_t count);

/* Whether the bytes are well-formed UTF-8 (no surrogates, no over-long forms); counts scalar values if asked. */
bool utf8_valid(const void *data, size_t len, size_t *scalars);
/* Decodes one scalar value of valid UTF-8 and moves `*at` behind it. */
uint32_t utf8_next(const uint8_t **at);
/* How many bytes that many scalar values of valid UTF-8 take. */
size_t utf8_skip(const void *data, size_t scalars);
/* Encodes; returns 1 to 4. */
size_t utf8_put(uint8_t out[4], uint32_t scalar);

#endif
