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

struct reg {
  struct reg_write *writes;
  uint32_t count;
  size_t cap;
};

/* What a write or deletion took out, so that it can be undone. */
struct reg_undo {
  struct reg_write *removed;
  size_t removed_count, removed_cap;
  bool added; /* whether there was a write to add */
};

void reg_free(struct reg *reg, const struct dunlin_env *env);

/* Removes the writes that the open change has seen, and adds `write` (NULL: a deletion), whose value is copied.  0 or
 * DUNLIN_ENOMEM.  The undo record is to be given to exactly one of reg_revert() and reg_undo_free(). */
int reg_apply(struct reg *reg, struct graph *graph, const struct reg_write *write, struct reg_undo *undo);
/* `lv` names the write that was added. */
void reg_revert(struct reg *reg, const struct graph *graph, uint32_t lv, struct reg_undo *undo);
void reg_undo_free(struct reg_undo *undo, const struct dunlin_env *env);

/* Write `i` in winner order, passing over writes of a container that came before; NULL past the last. */
const struct reg_write *reg_distinct(const struct reg *reg, size_t i);

#endif
