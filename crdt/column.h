/* A column of a document: bytes that only ever grow at the end, addressed by 32-bit offsets.  The front may be missing:
 * what was there before the document was opened lies in its saved form until history is needed. */
#ifndef CRDT_COLUMN_H
#define CRDT_COLUMN_H

#include "crdt/buf.h"

/* Of a column of text: the scalar value `scalars` behind the one at `from` is at `at`. */
struct column_place {
  uint32_t from, scalars, at;
};

struct column {
  struct buf buf;
  uint32_t base;            /* the offset of its first byte in memory */
  struct column_place last; /* what history_text_at() was asked last */
};

static inline uint32_t column_end(const struct column *c) {
  return c->base + (uint32_t)c->buf.len;
}
static inline const uint8_t *column_at(const struct column *c, uint32_t at) {
  return c->buf.data + (at - c->base);
}
/* Takes back what was added behind `end`. */
static inline void column_truncate(struct column *c, uint32_t end) {
  c->buf.len = end - c->base;
  if (c->last.at > end) c->last = (struct column_place){0};
  c->buf.error = 0;
}

#endif
