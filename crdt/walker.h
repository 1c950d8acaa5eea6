/* Eg-walker (Gentle and Kleppmann, EuroSys 2025): turns the operations of a container, whose indexes are those of their
 * authors' versions, into edits of what it shows now.
 *
 * An operation that builds on all others of its container needs none of this.  For others the walker keeps a tracker,
 * from the last version that all concurrent operations have in their past. */
#ifndef CRDT_WALKER_H
#define CRDT_WALKER_H

#include "crdt/column.h"
#include "crdt/graph.h"
#include "crdt/oplog.h"
#include "crdt/walk_plan.h"
#include "crdt/tracker.h"

/* Where edits go.  `skipped` operations of the run come before those inserted.  A result other than 0 ends the walk.
 * Those of a text need no `move` and `set`. */
struct walker_sink {
  void *ctx;
  int (*insert)(void *ctx, uint32_t pos, const struct op_run *run, uint32_t skipped, uint32_t len);
  int (*erase)(void *ctx, uint32_t pos, uint32_t len);
  int (*move)(void *ctx, uint32_t from, uint32_t to); /* taken out, then put in */
  int (*set)(void *ctx, uint32_t pos, const struct op_run *run);
};

struct walker {
  const struct graph *graph;
  const struct oplog *log;
  const struct lv_ranges *voids; /* the operations of void changes, the latest first */
  const struct column *values;   /* where moves say where to; NULL for a text */
  struct tracker tracker;
  bool is_live;
  bool notes_sets;   /* the tracker's index says of writes to elements which item they meant */
  uint32_t base, to; /* the operations from LV `base` on, up to `to`, are in the tracker */
  uint32_t open_lv;  /* of the first operation that is not in the log yet */
  uint32_t *version; /* the prepare version */
  size_t version_count, version_cap;
  uint8_t
      *sets; /* of a list: a bit for each operation from tracker.first_ord on, whether it wrote to an element and is in
                    the prepare version */
  size_t set_cap;
  struct lv_ranges left, entered;
  struct walk_plan plan;
};

/* Whether an operation writes to an element: it neither makes nor moves one. */
static inline bool walker_is_set(const struct op_run *run) {
  return run->kind == OP_LIST_SET || run->kind == OP_LIST_SET_CHILD || run->kind == OP_LIST_SET_OVER;
}

void walker_init(struct walker *walker, const struct graph *graph, const struct oplog *log,
                 const struct lv_ranges *voids, const struct column *values);
void walker_free(struct walker *walker);

/* Begins at the critical version before `base`. DUNLIN_ENOMEM. */
int walker_start(struct walker *walker, uint32_t base);
/* Forgets the tracker. */
void walker_stop(struct walker *walker);

/* Takes in all operations from walker->to up to LV `to`, all of them in the graph; `sink` NULL: they are in the state
 * already. */
int walker_replay(struct walker *walker, uint32_t to, const struct walker_sink *sink);

/* Moves the prepare version; operations of the graph only.  DUNLIN_ENOMEM. */
int walker_go(struct walker *walker, const uint32_t *version, size_t count);
/* Applies part of a run at the prepare version. */
int walker_apply(struct walker *walker, const struct op_run *run, struct op_piece piece, bool is_void,
                 const struct walker_sink *sink);

/* Whether who writes to an element at the prepare version has seen that operation, another one that wrote to it. */
bool walker_seen(const struct walker *walker, uint32_t lv);

#endif
