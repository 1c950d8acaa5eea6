/* Plain values as msgpack, and when two are the same. */
#ifndef CRDT_VALUE_H
#define CRDT_VALUE_H

#include <dunlin/doc.h>

#include "crdt/msgpack.h"

/* Writes a plain value; DUNLIN_EINVAL sticks in `out` for a container. */
void value_write(struct buf *out, const struct dunlin_value *value);
/* Reads one; strings and bytes point into the input.  Anything else than a value makes the reader fail. */
struct dunlin_value value_read(struct mp_reader *r);

/* Whether two values are the same to the byte: equal kinds, equal bits, the same container. */
bool value_same(const struct dunlin_value *a, const struct dunlin_value *b);

#endif
