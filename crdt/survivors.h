/* Which of the characters and anchors that a text's operations insert show in the end, and in which order: found out from the
 * operations alone, which need not be valid. */
#ifndef CRDT_SURVIVORS_H
#define CRDT_SURVIVORS_H

#include "crdt/graph.h"
#include "crdt/oplog.h"

/* What operations `ord` to `ord` + `len` - 1 of the container inserted: characters, or one anchor. */
struct survivor {
  uint32_t ord, len;
  uint32_t at;   /* what survivors_find() was told */
  uint32_t mark; /* of survivors.c */
};
struct survivors {
  struct survivor *list; /* in the order of the operations, without the anchors */
  size_t count, cap;
};

/* Told of all that show, in the order of the text; what it sets `*at` to is kept.  A result other than 0 ends that. */
typedef int survivors_see(void *ctx, uint32_t ord, uint32_t len, uint32_t *at);

/* `seed`: random; `see` may be NULL.  DUNLIN_EFORMAT when an index is out of range; DUNLIN_ENOMEM; what `see` gave. */
int survivors_find(struct survivors *out, const struct graph *graph, const struct oplog *log,
                   const struct lv_ranges *voids, uint64_t seed, survivors_see *see, void *ctx);
void survivors_free(struct survivors *survivors, const struct dunlin_env *env);

#endif
