#include "crdt/graph.h"

#include <string.h>

void graph_init(struct graph *graph, const struct dunlin_env *env) {
  *graph = (struct graph){.env = env};
}

void graph_free(struct graph *g) {
  for (size_t i = 0; i < g->actor_count; i++) ENV_FREE_ARRAY(g->env, g->actors[i].changes, g->actors[i].cap);
  ENV_FREE_ARRAY(g->env, g->actors, g->actor_cap);
  ENV_FREE_ARRAY(g->env, g->changes, g->cap);
  ENV_FREE_ARRAY(g->env, g->parents, g->parent_cap);
  ENV_FREE_ARRAY(g->env, g->heads, g->head_cap);
  ENV_FREE_ARRAY(g->env, g->version, g->version_cap);
  ENV_FREE_ARRAY(g->env, g->in_version, g->in_version_cap);
  idmap_free(&g->ids, g->env);
  idmap_free(&g->actor_ids, g->env);
}

uint32_t graph_actor(struct graph *g, const struct dunlin_actor *name) {
  struct dunlin_id padded = {{0}};
  memcpy(padded.bytes, name->bytes, sizeof name->bytes);
  uint32_t found = idmap_get(&g->actor_ids, &padded);
  if (found != IDMAP_NONE) return found;
  if (ENV_GROW(g->env, g->actors, g->actor_cap, g->actor_count + 1)) return IDMAP_NONE;
  if (idmap_put(&g->actor_ids, g->env, &padded, (uint32_t)g->actor_count)) return IDMAP_NONE;
  g->actors[g->actor_count] = (struct graph_actor){.name = *name};
  return (uint32_t)g->actor_count++;
}

/* ---- Adding ------------------------------------------------------------------------------------------------- */

int graph_push(struct graph *g, uint32_t actor, uint64_t number, int64_t time) {
  struct graph_actor *a = &g->actors[actor];
  if (g->count >= UINT32_MAX - 1) return DUNLIN_ELIMIT;
  if (ENV_GROW(g->env, g->changes, g->cap, g->count + 1) ||
      ENV_GROW(g->env, g->in_version, g->in_version_cap, g->count + 1) ||
      ENV_GROW(g->env, g->parents, g->parent_cap, g->parent_used + g->version_count) ||
      ENV_GROW(g->env, g->version, g->version_cap, 1) || ENV_GROW(g->env, a->changes, a->cap, a->count + 1))
    return DUNLIN_ENOMEM;
  struct graph_change change = {.actor = actor,
                                .number = number,
                                .time = time,
                                .lamport = 0,
                                .parents = (uint32_t)g->parent_used,
                                .parent_count = (uint32_t)g->version_count};
  for (size_t i = 0; i < g->version_count; i++) {
    uint64_t above = g->changes[g->version[i]].lamport + 1;
    if (above > change.lamport) change.lamport = above;
    g->parents[g->parent_used++] = g->version[i];
  }
  g->changes[g->count] = change;
  g->in_version[g->count] = 1;
  a->changes[a->count++] = (uint32_t)g->count;
  g->version[0] = (uint32_t)g->count++;
  g->version_count = 1;
  return 0;
}

static void remove_head(struct graph *g, uint32_t change) {
  for (size_t i = 0; i < g->head_count; i++)
    if (g->heads[i] == change) {
      g->heads[i] = g->heads[--g->head_count];
      return;
    }
}

int graph_settle(struct graph *g, const struct dunlin_id *id) {
  uint32_t last = (uint32_t)g->count - 1;
  struct graph_change *change = &g->changes[last];
  if (ENV_GROW(g->env, g->heads, g->head_cap, g->head_count + 1)) return DUNLIN_ENOMEM;
  int error = idmap_put(&g->ids, g->env, id, last);
  if (error) return error;
  change->id = *id;
  for (uint32_t i = 0; i < change->parent_count; i++) remove_head(g, g->parents[change->parents + i]);
  g->heads[g->head_count++] = last;
  return 0;
}

void graph_pop(struct graph *g) {
  struct graph_change *change = &g->changes[--g->count];
  g->actors[change->actor].count--;
  g->parent_used = change->parents;
  g->version_count = change->parent_count; /* as many as were there before, so the array is large enough */
  if (change->parent_count) memcpy(g->version, g->parents + change->parents, change->parent_count * sizeof *g->version);
}

/* ---- Walking ------------------------------------------------------------------------------------------------ */

enum { OLD = 1, NEW = 2, BOTH = OLD | NEW };

/* Changes to look at, the latest first; a binary heap. `open` counts those that are not in both pasts. */
struct frontier {
  struct frontier_entry {
    uint32_t change;
    uint8_t side;
  } * entries;
  size_t count, cap, open;
};

static int frontier_add(struct frontier *f, const struct dunlin_env *env, uint32_t change, uint8_t side) {
  if (ENV_GROW(env, f->entries, f->cap, f->count + 1)) return DUNLIN_ENOMEM;
  size_t at = f->count++;
  f->open += side != BOTH;
  for (; at && f->entries[(at - 1) / 2].change < change; at = (at - 1) / 2) f->entries[at] = f->entries[(at - 1) / 2];
  f->entries[at] = (struct frontier_entry){change, side};
  return 0;
}

static struct frontier_entry frontier_take_one(struct frontier *f) {
  struct frontier_entry top = f->entries[0], last = f->entries[--f->count];
  size_t at = 0;
  for (size_t child; (child = 2 * at + 1) < f->count; at = child) {
    if (child + 1 < f->count && f->entries[child + 1].change > f->entries[child].change) child++;
    if (f->entries[child].change <= last.change) break;
    f->entries[at] = f->entries[child];
  }
  f->entries[at] = last;
  f->open -= top.side != BOTH;
  return top;
}

/* The latest change, with the sides of all its entries. */
static struct frontier_entry frontier_take(struct frontier *f) {
  struct frontier_entry top = frontier_take_one(f);
  while (f->count && f->entries[0].change == top.change) top.side |= frontier_take_one(f).side;
  return top;
}

struct change_list {
  uint32_t *changes;
  size_t count, cap;
};

static int list_add(struct change_list *list, const struct dunlin_env *env, uint32_t change) {
  if (ENV_GROW(env, list->changes, list->cap, list->count + 1)) return DUNLIN_ENOMEM;
  list->changes[list->count++] = change;
  return 0;
}

/* Finds the changes that are only in the past of the walking version (`left`) and only in that of `to` (`entered`), the
 * latest first, visiting no more than what differs and its parents. */
static int difference(const struct graph *g, const uint32_t *to, size_t count, struct change_list *left,
                      struct change_list *entered) {
  struct frontier f = {0};
  int error = 0;
  for (size_t i = 0; i < g->version_count && !error; i++) error = frontier_add(&f, g->env, g->version[i], OLD);
  for (size_t i = 0; i < count && !error; i++) error = frontier_add(&f, g->env, to[i], NEW);
  while (!error && f.open) {
    struct frontier_entry top = frontier_take(&f);
    if (top.side == OLD) error = list_add(left, g->env, top.change);
    else if (top.side == NEW) error = list_add(entered, g->env, top.change);
    const struct graph_change *change = &g->changes[top.change];
    for (uint32_t i = 0; i < change->parent_count && !error; i++)
      error = frontier_add(&f, g->env, g->parents[change->parents + i], top.side);
  }
  ENV_FREE_ARRAY(g->env, f.entries, f.cap);
  return error;
}

static bool at_version(const struct graph *g, const uint32_t *to, size_t count) {
  if (count != g->version_count) return false;
  for (size_t i = 0; i < count; i++) {
    bool found = false;
    for (size_t k = 0; k < count && !found; k++) found = g->version[k] == to[i];
    if (!found) return false;
  }
  return true;
}

int graph_walk(struct graph *g, const uint32_t *to, size_t count, graph_step *leave, graph_step *enter, void *ctx) {
  if (at_version(g, to, count)) return 0;
  struct change_list left = {0}, entered = {0};
  int error = ENV_GROW(g->env, g->version, g->version_cap, count + 1);
  if (!error) error = difference(g, to, count, &left, &entered);
  for (size_t i = 0; !error && i < left.count; i++) {
    leave(ctx, left.changes[i]);
    g->in_version[left.changes[i]] = 0;
  }
  for (size_t i = entered.count; !error && i-- > 0;) {
    enter(ctx, entered.changes[i]);
    g->in_version[entered.changes[i]] = 1;
  }
  if (!error) {
    if (count) memcpy(g->version, to, count * sizeof *to);
    g->version_count = count;
  }
  ENV_FREE_ARRAY(g->env, left.changes, left.cap);
  ENV_FREE_ARRAY(g->env, entered.changes, entered.cap);
  return error;
}

/* ---- Orders ------------------------------------------------------------------------------------------------- */

int64_t graph_actor_reached(const struct graph *g, uint32_t actor) {
  const struct graph_actor *a = &g->actors[actor];
  int64_t reached = -1;
  for (size_t i = a->count; i-- > 0;) {
    const struct graph_change *change = &g->changes[a->changes[i]];
    if (!g->in_version[a->changes[i]]) continue;
    if ((int64_t)change->number > reached) reached = (int64_t)change->number;
    /* Numbers grow along a branch, and an actor that has not forked has one branch: its latest is its highest. */
    if (change->number + 1 == i + 1) break;
  }
  return reached;
}

bool graph_before(const struct graph *g, uint32_t change, uint32_t index, uint32_t other, uint32_t other_index) {
  if (change == other) return index < other_index;
  const struct graph_change *a = &g->changes[change], *b = &g->changes[other];
  if (a->actor != b->actor) return actor_compare(&g->actors[a->actor].name, &g->actors[b->actor].name) < 0;
  if (a->number != b->number) return a->number < b->number;
  return id_compare(&a->id, &b->id) < 0;
}

bool graph_wins(const struct graph *g, uint32_t change, uint32_t index, uint32_t other, uint32_t other_index) {
  if (change == other) return index > other_index;
  const struct graph_change *a = &g->changes[change], *b = &g->changes[other];
  if (a->lamport != b->lamport) return a->lamport > b->lamport;
  if (a->actor != b->actor) return actor_compare(&g->actors[a->actor].name, &g->actors[b->actor].name) > 0;
  return id_compare(&a->id, &b->id) > 0;
}
