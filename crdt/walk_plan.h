/* In which order to replay a concurrent part of the graph: branch by branch, so that the prepare version moves little.
 *
 * The part is cut into pieces that no fork and no merge divides.  What differs between two versions is found on pieces alone, in time
 * proportional to it. */
#ifndef CRDT_WALK_PLAN_H
#define CRDT_WALK_PLAN_H

#include "crdt/graph.h"
#include "crdt/oplog.h"

struct walk_plan_piece {
  uint32_t from, to;              /* local versions */
  uint32_t run;                   /* of the graph */
  uint32_t op;                    /* the first run of the container's log that reaches into it or beyond */
  uint32_t waits;                 /* parents in the plan that have not been replayed yet */
  uint32_t weight;                /* what follows, roughly */
  uint32_t parents, parent_count; /* pieces, in plan->numbers */
  uint32_t children, child_count; /* likewise */
};

struct walk_plan {
  struct walk_plan_piece *pieces;
  size_t count, cap;
  uint32_t *numbers;
  size_t number_cap;
  uint32_t *ready, depth;   /* a stack */
  uint32_t *frontier;       /* scratch of walk_plan_difference() */
  uint32_t *left, *entered; /* pieces, the latest first */
  uint32_t left_count, entered_count;
  bool has_outside; /* a piece has a parent before the part that is not what all of it builds on */
};

#define PLAN_NONE UINT32_MAX

/* Plans the LVs [from, to), of which `base` is a critical version.  DUNLIN_ENOMEM. */
int walk_plan_make(struct walk_plan *plan, const struct graph *graph, const struct oplog *log, uint32_t base,
                   uint32_t from, uint32_t to);
void walk_plan_free(struct walk_plan *plan, const struct dunlin_env *env);

/* The next piece, whose parents have all been given out; PLAN_NONE at the end. */
uint32_t walk_plan_next(struct walk_plan *plan);

/* What the version after piece `at` (PLAN_NONE: the base) has and the parents of `next` have not, and the other way round, in
 * plan->left and plan->entered. */
void walk_plan_difference(struct walk_plan *plan, uint32_t at, uint32_t next);

#endif
