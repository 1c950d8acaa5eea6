/* The event graph: who made which change on top of which, run-length encoded.
 *
 * Operations are numbered by *local version* (LV) in this replica's order, parents before children; a change is
 * consecutive ones.  Changes are numbered too.  A *run* is consecutive changes by one actor, each built on just the one
 * before.  A version is a set of heads, each given by the last LV of a change.
 *
 * One change at a time is *open*: it has parents, and its LVs come after all others, but it is not in the graph until
 * graph_settle().  What it has seen is its parents' past and itself. */
#ifndef CRDT_GRAPH_H
#define CRDT_GRAPH_H

#include <dunlin/doc.h>

#include "crdt/idmap.h"

#define LV_NONE UINT32_MAX
#define LV_LIMIT 0x7fffffffu /* local versions are below it */

struct graph_run {
  uint32_t lv, change;             /* the first of each */
  uint32_t actor, number, lamport; /* of the first change; the others follow on */
  uint32_t parents; /* of the first change, in graph->parents: the last LV of each; behind them the jump */
  uint32_t parent_count : 16;
  uint32_t steps : 16; /* how long the way down is that goes on while a run has just one parent; at most GRAPH_STEPS */
};
enum { GRAPH_STEPS = 4 }; /* so long that the run has a jump */

/* Of a run on a long way down: a place much further down, so that any is reached in a few steps. */
struct graph_jump {
  uint32_t depth; /* how many runs with a jump there are from this one on down */
  uint32_t to;    /* the LV at which the way comes by there (skew-binary) */
};

/* Changes of one length in a row. */
struct graph_length {
  uint32_t lv, change, length;
};

/* From this change on, each has this time. */
struct graph_time {
  uint32_t change;
  int64_t time;
};

struct graph_actor {
  struct dunlin_actor name;
  uint32_t *runs; /* in this replica's order */
  size_t run_count, run_cap;
  uint32_t changes; /* how many */
  uint32_t before;  /* so many numbers are used up by changes that are still in the document's file */
  bool forked;      /* two changes have one number */
};

/* For every x from `from` to `to`: all that comes at x or after has everything before x in its past ("critical
 * versions" in the paper on Eg-walker).  Inside, each operation builds on just the one before. */
struct graph_critical {
  uint32_t from, to;
};

struct lv_range {
  uint32_t from, to; /* `to` is behind the last */
};
struct lv_ranges {
  struct lv_range *list; /* the latest first */
  size_t count, cap;
};

struct graph {
  const struct dunlin_env *env;
  struct graph_run *runs;
  size_t run_count, run_cap;
  uint32_t *parents;
  size_t parent_used, parent_cap;
  struct graph_length *lengths;
  size_t length_count, length_cap;
  struct graph_time *times;
  size_t time_count, time_cap;
  uint32_t lvs, changes; /* how many of each there are */
  struct graph_actor *actors;
  size_t actor_count, actor_cap;
  struct idmap actor_ids; /* actor, padded with zeros -> actor */
  uint32_t *heads;        /* changes that none builds on, in order */
  size_t head_count, head_cap;
  struct graph_critical *critical;
  size_t critical_count, critical_cap;
  struct {
    bool is_open, builds_on_all; /* whether the parents are all heads */
    bool goes_on;                /* graph_open_next() */
    uint32_t actor, number, lamport;
    int64_t time;
    uint32_t *parents;
    size_t parent_count, parent_cap;
    struct dunlin_id id; /* decides between two changes of one number; zeros while not known */
    uint32_t critical;   /* it has seen everything before this */
    bool unseen_known;
    int error; /* what it has not seen could not be found out, for want of memory */
  } open;
  /* The id of a change, which only decides between two of one actor and number. */
  struct dunlin_id (*id_of)(void *ctx, uint32_t change);
  void *ctx;
  struct lv_ranges unseen; /* what the open change has not seen */
  uint32_t unseen_at;      /* the version {this} has not seen it either; LV_NONE */
};

static inline bool graph_has_jump(const struct graph_run *run) {
  return run->steps == GRAPH_STEPS;
}
/* That of a run that has one. */
static inline struct graph_jump graph_jump_of(const struct graph *graph, const struct graph_run *run) {
  const uint32_t *jump = graph->parents + run->parents + run->parent_count;
  return (struct graph_jump){jump[0], jump[1]};
}

/* Who made an operation. */
struct graph_op {
  uint32_t change, actor, number, lamport;
};

/* `seed`: random, of the table of actors. */
void graph_init(struct graph *graph, const struct dunlin_env *env, uint64_t seed);
void graph_free(struct graph *graph);

/* The number of an actor, added when it is new; IDMAP_NONE when out of memory. */
uint32_t graph_actor(struct graph *graph, const struct dunlin_actor *name);
/* Takes the last one out again, which has made nothing. */
void graph_forget_actor(struct graph *graph);
uint32_t graph_actor_find(const struct graph *graph, const struct dunlin_actor *name); /* IDMAP_NONE */

/* Opens a change on the parents, given by LVs (in any order; copied).  Its number is the caller's to set in graph->open
 * before graph_settle(), and so is the actor.  DUNLIN_ENOMEM. */
int graph_open(struct graph *graph, const uint32_t *parents, size_t count);
/* The same on all heads with actor, number and time, when these are one change and the actor's last one: what is
 * written mostly goes on with what was.  False: it is not so, and nothing has happened. */
bool graph_open_next(struct graph *graph, uint32_t actor);
void graph_abandon(struct graph *graph);
/* Makes the open change, of `length` operations, part of the graph.  DUNLIN_ENOMEM, DUNLIN_ELIMIT. */
int graph_settle(struct graph *graph, uint32_t length);
/* Likewise the open change and those that its actor made on top of it, `changes` in all with `length` operations.
 * Their lengths and times are in graph->lengths and graph->times already. */
int graph_settle_run(struct graph *graph, uint32_t changes, uint32_t length);

/* As graph_seen_before(), for the last change; false: that takes a list of what it has not seen, which is not at
 * hand. */
bool graph_last_saw(const struct graph *graph, uint32_t lv, uint32_t *seen);
/* Before graph_settle_next(): its operations can be compared with others. */
void graph_as_next(struct graph *graph, uint64_t number, const struct dunlin_id *id);
/* A change by the actor of the last one, which builds on just that, needs not be opened when it has this number and
 * graph_goes_on(): graph_settle_next() makes it part of the graph, once graph_reserve_next() has made room.
 * DUNLIN_ENOMEM. */
bool graph_goes_on(const struct graph *graph, uint64_t number);
int graph_reserve_next(struct graph *graph);
void graph_settle_next(struct graph *graph, uint32_t length, int64_t time);

/* Whether graph_settle() will succeed: makes room for it. DUNLIN_ENOMEM, DUNLIN_ELIMIT. */
int graph_reserve(struct graph *graph, uint32_t length);

/* Whether the open change has the operation in its past, or made it.  When memory runs out while finding out what it
 * has not seen, open.error says so. */
bool graph_seen(struct graph *graph, uint32_t lv);
/* The latest operation at or before `lv` that it has in its past, or made; LV_NONE.  Memory: as for graph_seen(). */
uint32_t graph_seen_before(struct graph *graph, uint32_t lv);
/* Whether it is one of these, which are in order.  Memory: as for graph_seen(). */
bool graph_any_seen(struct graph *graph, const uint32_t *lvs, size_t count);
/* Finds out what it has not seen, into graph->unseen.  DUNLIN_ENOMEM. */
int graph_prepare_seen(struct graph *graph);
/* The highest number among the actor's changes that the open change has seen; -1.  Memory: as for graph_seen(). */
int64_t graph_actor_reached(struct graph *graph, uint32_t actor);
/* The largest x for which all operations from x on, and the open change, have everything before x in their past. */
uint32_t graph_critical_open(const struct graph *graph);
/* The largest such x, for what is in the graph, at or before `lv`. */
uint32_t graph_critical_before(const struct graph *graph, uint32_t lv);

/* What is only in the past of `a` and only in that of `b` (heads included), the latest first; each may be NULL.  Takes
 * time proportional to what differs.  The lists are replaced.  DUNLIN_ENOMEM. */
int graph_difference(const struct graph *graph, const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count,
                     struct lv_ranges *only_a, struct lv_ranges *only_b);
void lv_ranges_free(struct lv_ranges *ranges, const struct dunlin_env *env);

/* The run that holds an LV or a change of the graph. */
uint32_t graph_run_at(const struct graph *graph, uint32_t lv);
uint32_t graph_run_near(const struct graph *graph, uint32_t lv,
                        uint32_t hint); /* soon when it is not far behind the hint */
uint32_t graph_run_of(const struct graph *graph, uint32_t change);
/* The first LV of a change; that of the change after the last one is graph->lvs. */
uint32_t graph_start(const struct graph *graph, uint32_t change);
uint32_t graph_change_at(const struct graph *graph, uint32_t lv);
int64_t graph_time_of(const struct graph *graph, uint32_t change);
/* The parents of the change that starts run `run` when `lv` is the run's first, else just `lv` - 1, put into `one`. */
const uint32_t *graph_parents_at(const struct graph *graph, uint32_t run, uint32_t lv, uint32_t *one, size_t *count);
struct graph_op graph_op(const struct graph *graph, uint32_t lv); /* the open change's LVs too */

/* Whether an operation goes before the other among ties in a sequence: the lower (actor, number, change id, index). */
bool graph_before(const struct graph *graph, uint32_t lv, uint32_t other);
/* Whether it wins over the other in a register: the higher (lamport, actor, change id, index). */
bool graph_wins(const struct graph *graph, uint32_t lv, uint32_t other);

/* 0; DUNLIN_ECORRUPT when something in it contradicts itself.  `deep`: heads and critical versions are found again by
 * going through everybody's past, which takes DUNLIN_ENOMEM and long.  graph_check.c */
int graph_check(const struct graph *graph, bool deep);

#endif
