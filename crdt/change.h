/* Changes and deltas as bytes: docs/format.md says every one of them.
 *
 * A *canonical change* is what is hashed into a change's id.  A *delta* is changes in a row, with parents that are in the
 * same delta written as small numbers instead of ids; it gives back each change's canonical bytes exactly. */
#ifndef CRDT_CHANGE_H
#define CRDT_CHANGE_H

#include "crdt/msgpack.h"

struct change_id_bytes {
  struct dunlin_id id;
  struct dunlin_bytes bytes; /* canonical */
};

struct dunlin_id change_id(const struct dunlin_env *env, const struct dunlin_id *doc, struct dunlin_bytes canonical);

/* Appends the delta of `count` changes, parents before children.  DUNLIN_EFORMAT when one is not canonical.  Errors of `out`
 * stick there and are returned. */
int delta_write(struct buf *out, const struct change_id_bytes *changes, size_t count);

/* Reads a delta of the document `doc`, checking every byte, and hands each change to `each` with its id computed.  The bytes
 * are borrowed until `each` returns; a result other than 0 ends the reading with that result.  Nothing is handed out before
 * the whole delta has been checked for form.  DUNLIN_EFORMAT, DUNLIN_ELIMIT, DUNLIN_ENOMEM. */
typedef int delta_each(void *ctx, const struct change_id_bytes *change);
int delta_read(const struct dunlin_env *env, const struct dunlin_id *doc, const void *data, size_t len,
               delta_each *each, void *ctx);

#endif
