/* The operations of one container, run-length encoded: what changes did to it, as their authors wrote it.
 *
 * A run is operations of one kind with consecutive local versions.  Text that was typed is one run, over many changes;
 * so is what was deleted forwards or backwards.  Inserted text and values lie in the document's two columns, at `at`.
 *
 * `ord` counts the container's own operations; it names one as well as its local version does, without gaps. */
#ifndef CRDT_OPLOG_H
#define CRDT_OPLOG_H

#include "crdt/change.h"
#include "crdt/env.h"

enum { DIRECTION_NONE, DIRECTION_FORWARD, DIRECTION_BACKWARD }; /* of deletions: in `at` */

/* Rows join up to this: what has to be passed over to find one of the operations.  One row may be longer. */
enum { OPLOG_MOST = 1 << 20, OPLOG_MOST_VALUES = 64 };

struct op_run {
  uint32_t lv;
  uint32_t ord : 31, idle : 1; /* idle: of no effect, since this version does not know it or one that it builds on */
  uint32_t a;                  /* as in a change's row; for a run of deletions the lowest index */
  uint32_t at;                 /* offset in the text or values column; of deletions the direction */
  uint32_t len : 25, kind : 7;
};

struct oplog {
  struct op_run *runs;
  size_t count, cap;
  uint32_t ops; /* how many */
};

/* Two rows of a change that could be one must be one; and neighbouring runs merge by the same rule.  Makes `*a` and
 * `*len` those of both when `kind` at `next`, `next_len` goes on where they end. */
static inline bool rows_join(uint8_t kind, uint32_t *a, uint32_t *len, uint32_t next, uint32_t next_len) {
  if (kind == OP_TEXT_INSERT || kind == OP_LIST_INSERT) {
    if (next != *a + (uint64_t)*len) return false;
  } else if (kind == OP_DELETE) {
    if (next + (uint64_t)next_len == *a) *a = next; /* backspace */
    else if (next != *a) return false;
  } else {
    return false;
  }
  *len += next_len;
  return true;
}

/* A row of a change. */
struct oplog_row {
  uint8_t kind;
  bool idle;
  uint32_t lv, a, len, at;
};

/* Appends one row; its text or values follow those of the row before in their column.  DUNLIN_ENOMEM. */
int oplog_push(struct oplog *log, const struct dunlin_env *env, const struct oplog_row *row);
/* Takes back the last `len` operations, which are all of the last run. */
void oplog_take_back(struct oplog *log, uint32_t len);
/* The first run that reaches beyond `lv`; log->count when there is none. */
size_t oplog_from(const struct oplog *log, uint32_t lv);
/* The same in a time that depends on how far it is behind `hint`, which may be any number. */
size_t oplog_near(const struct oplog *log, uint32_t lv, size_t hint);
/* The run that has operation `ord` of the container; there must be one. */
size_t oplog_by_ord(const struct oplog *log, uint32_t ord);
void oplog_free(struct oplog *log, const struct dunlin_env *env);

/* The part of a run that lies in the LVs [from, to), as a row; `skipped` operations of the run come before it. */
struct op_piece {
  uint32_t lv, ord, a, len, skipped;
};
static inline struct op_piece op_piece(const struct op_run *run, uint32_t from, uint32_t to) {
  uint32_t first = from > run->lv ? from : run->lv, end = run->lv + run->len;
  if (to < end) end = to;
  struct op_piece p = {first, run->ord + (first - run->lv), run->a, end - first, first - run->lv};
  if (run->kind == OP_TEXT_INSERT || run->kind == OP_LIST_INSERT) p.a += p.skipped;
  else if (run->kind == OP_DELETE && run->at == DIRECTION_BACKWARD) p.a += run->len - p.skipped - p.len;
  return p;
}

#endif
