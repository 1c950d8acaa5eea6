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

/* Nearly all registers have one write: that lies in the register itself.  All zeros is an empty one.  Of several the
 * order in which they win lies behind them, so that it takes little time to keep up, and they themselves lie in the
 * order of their LVs: what a change has seen of very many is found without looking at each. */
struct reg {
  uint32_t count;
  uint32_t cap; /* of `many`; 0: there is `one` */
  union {
    struct reg_write one;
    struct reg_write *many; /* in the order of LVs; then `cap` numbers of these, in winner order */
  } as;
};

static inline uint32_t *reg_order(const struct reg *reg) {
  return (uint32_t *)(void *)(reg->as.many + reg->cap);
}

/* Write `i` in winner order, below the count. */
static inline const struct reg_write *reg_at(const struct reg *reg, uint32_t i) {
  return reg->cap ? &reg->as.many[reg_order(reg)[i]] : &reg->as.one;
}

/* What a write or deletion took out, so that it can be undone. */
struct reg_undo {
  struct reg removed;
};

void reg_free(struct reg *reg, const struct dunlin_env *env);

/* Puts a write behind the others; its value is copied.  For reading registers back in the order in which they were;
 * reg_complete() when all are there.  DUNLIN_ENOMEM. */
int reg_append(struct reg *reg, const struct dunlin_env *env, const struct reg_write *write);
int reg_complete(struct reg *reg, const struct dunlin_env *env);

/* Writes that are to be replaced: these, and those from `own` on, which the change itself made. */
struct reg_names {
  const uint32_t *lvs;
  size_t count;
  uint32_t own;
};

/* Removes the writes that the open change has seen (with `names` only these), and adds `write` (NULL: a deletion),
 * whose value is copied.  1: it can be taken back with the undo record, which is to be given to exactly one of
 * reg_revert() and reg_undo_free(); 0: there is nothing to undo that an earlier record of this change does not undo;
 * DUNLIN_ENOMEM. */
int reg_apply(struct reg *reg, struct graph *graph, const struct reg_write *write, const struct reg_names *names,
              struct reg_undo *undo);
/* Puts `write` in the place of all writes, seen or not.  1, or DUNLIN_ENOMEM. */
int reg_replace(struct reg *reg, const struct dunlin_env *env, const struct reg_write *write, struct reg_undo *undo);
/* Takes back all that the open change has written since the record. */
void reg_revert(struct reg *reg, const struct graph *graph, struct reg_undo *undo);
/* Likewise a write of the graph: `seen_before` says which operation is the latest at or before an LV that it has seen,
 * or LV_NONE, or any between that and `lv` for the question to be asked again.  0 or DUNLIN_ENOMEM; to be taken back
 * the last one first. */
int reg_apply_late(struct reg *reg, const struct graph *graph, const struct reg_write *write,
                   const struct reg_names *names, uint32_t (*seen_before)(void *ctx, uint32_t lv), void *ctx,
                   struct reg_undo *undo);
void reg_revert_late(struct reg *reg, const struct graph *graph, uint32_t lv, struct reg_undo *undo);
void reg_undo_free(struct reg_undo *undo, const struct dunlin_env *env);

#endif
