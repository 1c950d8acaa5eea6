/* A register: all writes that no other write has seen, in winner order. */
#ifndef CRDT_REGISTER_H
#define CRDT_REGISTER_H

#include "crdt/graph.h"
#include "crdt/value.h"

struct reg_write {
  uint32_t lv; /* the operation */
  uint32_t class;
  struct dunlin_value value; /* strings and bytes are owned by the write */
};

/* Nearly all registers have one write: that lies in the register itself.  All zeros is an empty one. */
struct reg {
  uint32_t count;
  uint32_t cap; /* of `many`; 0: there is `one` */
  union {
    struct reg_write one;
    struct reg_write *many;
  } as;
};

static inline const struct reg_write *reg_writes(const struct reg *reg) {
  return reg->cap ? reg->as.many : &reg->as.one;
}

/* What a write or deletion took out, so that it can be undone. */
struct reg_undo {
  struct reg removed;
};

void reg_free(struct reg *reg, const struct dunlin_env *env);

/* Puts a write behind the others; its value is copied.  For reading registers back in the order in which they were.  DUNLIN_ENOMEM. */
int reg_append(struct reg *reg, const struct dunlin_env *env, const struct reg_write *write);

/* Writes that are to be replaced: these, and those from `own` on, which the change itself made. */
struct reg_names {
  const uint32_t *lvs;
  size_t count;
  uint32_t own;
};

/* Removes the writes that the open change has seen (with `names` only these), and adds `write` (NULL: a deletion), whose value is copied.  1: it can be taken
 * back with the undo record, which is to be given to exactly one of reg_revert() and reg_undo_free(); 0: there is nothing to undo that
 * an earlier record of this change does not undo; DUNLIN_ENOMEM. */
int reg_apply(struct reg *reg, struct graph *graph, const struct reg_write *write, const struct reg_names *names,
              struct reg_undo *undo);
/* Puts `write` in the place of all writes, seen or not.  1, or DUNLIN_ENOMEM. */
int reg_replace(struct reg *reg, const struct dunlin_env *env, const struct reg_write *write, struct reg_undo *undo);
/* Takes back all that the open change has written since the record. */
void reg_revert(struct reg *reg, const struct graph *graph, struct reg_undo *undo);
/* Likewise a write of the graph: `seen` says which others it has seen.  0 or DUNLIN_ENOMEM; to be taken back the last one first. */
int reg_apply_late(struct reg *reg, const struct graph *graph, const struct reg_write *write,
                   const struct reg_names *names, bool (*seen)(void *ctx, uint32_t lv), void *ctx,
                   struct reg_undo *undo);
void reg_revert_late(struct reg *reg, const struct graph *graph, uint32_t lv, struct reg_undo *undo);
void reg_undo_free(struct reg_undo *undo, const struct dunlin_env *env);

/* Write `i` in winner order, passing over writes of a container that came before; NULL past the last. */
const struct reg_write *reg_distinct(const struct reg *reg, size_t i);

#endif
