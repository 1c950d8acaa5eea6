/* The event graph: changes numbered in this replica's order (parents first), their parents, and one *walking version*.
 *
 * The walking version is the version at which the next change's operations are to be read: indexes count what is visible
 * there, and a write has seen what is in its past.  graph_walk() moves it, telling which changes leave and enter.  In the
 * paper on Eg-walker (Gentle and Kleppmann, 2025) this is the prepare version, and leaving and entering are retreat and
 * advance. */
#ifndef CRDT_GRAPH_H
#define CRDT_GRAPH_H

#include <dunlin/doc.h>

#include "crdt/idmap.h"

struct graph_change {
  struct dunlin_id id;
  uint64_t number, lamport;
  int64_t time;
  uint64_t bytes_at; /* canonical bytes in the document's history */
  uint32_t bytes_len;
  uint32_t actor;                 /* in graph->actors */
  uint32_t parents, parent_count; /* in graph->parents */
  uint32_t length;                /* local versions */
  uint32_t effects, effect_count; /* in the document's effects */
};

struct graph_actor {
  struct dunlin_actor name;
  uint32_t *changes; /* all of this actor's, in this replica's order */
  size_t count, cap;
};

struct graph {
  const struct dunlin_env *env;
  struct graph_change *changes;
  size_t count, cap;
  uint32_t *parents;
  size_t parent_used, parent_cap;
  struct idmap ids; /* change id -> change */
  struct graph_actor *actors;
  size_t actor_count, actor_cap;
  struct idmap actor_ids; /* actor, padded with zeros -> actor */
  uint32_t *heads;        /* changes that none builds on */
  size_t head_count, head_cap;
  uint32_t *version; /* heads of the walking version */
  size_t version_count, version_cap;
  uint8_t *in_version; /* a change: whether it is in the walking version's past or one of its heads */
  size_t in_version_cap;
};

void graph_init(struct graph *graph, const struct dunlin_env *env);
void graph_free(struct graph *graph);

/* The number of an actor, added when it is new; IDMAP_NONE when out of memory. */
uint32_t graph_actor(struct graph *graph, const struct dunlin_actor *name);

/* Adds a change at the walking version, whose heads are its parents, and makes it the walking version's only head.  It is
 * not among graph->heads yet, and has no id.  0 or DUNLIN_ENOMEM. */
int graph_push(struct graph *graph, uint32_t actor, uint64_t number, int64_t time);
/* Gives the change pushed last its id and makes it a head. */
int graph_settle(struct graph *graph, const struct dunlin_id *id);
/* Takes the change pushed last away again (not after graph_settle); the walking version is its parents'. */
void graph_pop(struct graph *graph);

/* Moves the walking version to the changes `to`.  Calls `leave` for each change that is no longer in it, children before
 * parents, then `enter` for each that now is, parents before children.  DUNLIN_ENOMEM before anything was called. */
typedef void graph_step(void *ctx, uint32_t change);
int graph_walk(struct graph *graph, const uint32_t *to, size_t count, graph_step *leave, graph_step *enter, void *ctx);

/* The highest number among the actor's changes in the walking version; -1 when there are none. */
int64_t graph_actor_reached(const struct graph *graph, uint32_t actor);

/* Whether operation (change, index) goes before (other, other_index) among ties in a sequence: the lower
 * (actor, number, change id, index). */
bool graph_before(const struct graph *graph, uint32_t change, uint32_t index, uint32_t other, uint32_t other_index);
/* Whether it wins over the other in a register: the higher (lamport, actor, change id, index). */
bool graph_wins(const struct graph *graph, uint32_t change, uint32_t index, uint32_t other, uint32_t other_index);

#endif
