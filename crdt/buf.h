/* A growable byte buffer with a hard maximum, for everything that is written piece by piece. */
#ifndef CRDT_BUF_H
#define CRDT_BUF_H

#include "crdt/env.h"

struct buf {
  const struct dunlin_env *env;
  uint8_t *data;
  size_t len, cap, max;
  int error; /* sticky: DUNLIN_ENOMEM or DUNLIN_ELIMIT; appends do nothing from then on */
};

void buf_init(struct buf *buf, const struct dunlin_env *env, size_t max);
void buf_free(struct buf *buf);
void buf_append_slowly(struct buf *buf, const void *data, size_t len);
static inline void buf_append(struct buf *buf, const void *data, size_t len) {
  if (buf->error || !len || len > buf->cap - buf->len || len > buf->max - buf->len) {
    buf_append_slowly(buf, data, len);
  } else {
    __builtin_memcpy(buf->data + buf->len, data, len);
    buf->len += len;
  }
}
/* Room for `len` more bytes, counted as written; NULL when there is none (the error sticks), or nothing in an empty
 * buffer. */
uint8_t *buf_extend(struct buf *buf, size_t len);
void buf_clear(struct buf *buf); /* keeps the memory; forgets the error */
/* Hands the bytes over, shrunk to fit, for dunlin_free(); the buffer is empty afterwards. */
int buf_take(struct buf *buf, void **out, size_t *len);

void put_be32(uint8_t out[4], uint32_t v);
void put_be64(uint8_t out[8], uint64_t v);
uint32_t get_be32(const uint8_t in[4]);
uint64_t get_be64(const uint8_t in[8]);

#endif
