/* In which order to replay a concurrent part of the graph: branch by branch, so that the prepare version moves little.
 *
 * The part is cut into pieces that no fork and no merge divides.  What differs between two versions is found on pieces
 * alone, in time proportional to it. */
#ifndef CRDT_WALK_PLAN_H
#define CRDT_WALK_PLAN_H

#include "crdt/graph.h"
#include "crdt/oplog.h"

struct walk_plan_piece {
  uint32_t from, to;              /* local versions */
  uint32_t run;                   /* of the graph */
  uint32_t op, op_end;            /* runs of the container's log that reach into it: from `op` up to `op_end` */
  uint32_t waits;                 /* parents in the plan that have not been replayed yet */
  uint32_t weight;                /* what follows, roughly */
  uint32_t parents, parent_count; /* pieces, in plan->numbers */
  uint32_t children, child_count; /* likewise */
  uint32_t chain, before;         /* its chain, and 1 + the piece before it in that; 0: it is the first */
};

/* Chains: pieces of which each has the one before in its past.  As many as branches that are open at once; what differs
 * between two versions is the end of some chains, then, as long as there are few of them. */
#define PLAN_CHAINS 8

/* What a version has of each chain: 1 + the last piece; 0: nothing. */
struct walk_plan_reach {
  uint32_t last[PLAN_CHAINS];
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
  struct walk_plan_reach *reach; /* of the version after each piece */
  size_t reach_cap;
  uint32_t chains;  /* how many; 0: too many */
  uint32_t run;     /* of the graph, and */
  size_t op;        /* a run of the log: where the last plan ended, as a hint */
  bool has_outside; /* a piece has a parent before the part that is not what all of it builds on */
};

#define PLAN_NONE UINT32_MAX

/* Plans the LVs [from, to), of which `base` is a critical version.  DUNLIN_ENOMEM. */
int walk_plan_make(struct walk_plan *plan, const struct graph *graph, const struct oplog *log, uint32_t base,
                   uint32_t from, uint32_t to);
void walk_plan_free(struct walk_plan *plan, const struct dunlin_env *env);

/* The next piece, whose parents have all been given out; PLAN_NONE at the end. */
uint32_t walk_plan_next(struct walk_plan *plan);

/* What the version after piece `at` (PLAN_NONE: the base) has and the parents of `next` have not, and the other way
 * round, in plan->left and plan->entered. */
void walk_plan_difference(struct walk_plan *plan, uint32_t at, uint32_t next);

#endif
