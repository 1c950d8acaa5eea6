#include "crdt/graph.h"

#include <string.h>

void graph_init(struct graph *graph, const struct dunlin_env *env, uint64_t seed) {
  *graph = (struct graph){.env = env, .unseen_at = LV_NONE, .actor_ids.seed = seed};
}

void lv_ranges_free(struct lv_ranges *ranges, const struct dunlin_env *env) {
  ENV_FREE_ARRAY(env, ranges->list, ranges->cap);
  *ranges = (struct lv_ranges){0};
}

void graph_free(struct graph *g) {
  for (size_t i = 0; i < g->actor_count; i++) ENV_FREE_ARRAY(g->env, g->actors[i].runs, g->actors[i].run_cap);
  ENV_FREE_ARRAY(g->env, g->actors, g->actor_cap);
  ENV_FREE_ARRAY(g->env, g->runs, g->run_cap);
  ENV_FREE_ARRAY(g->env, g->parents, g->parent_cap);
  ENV_FREE_ARRAY(g->env, g->lengths, g->length_cap);
  ENV_FREE_ARRAY(g->env, g->times, g->time_cap);
  ENV_FREE_ARRAY(g->env, g->heads, g->head_cap);
  ENV_FREE_ARRAY(g->env, g->critical, g->critical_cap);
  ENV_FREE_ARRAY(g->env, g->open.parents, g->open.parent_cap);
  lv_ranges_free(&g->unseen, g->env);
  idmap_free(&g->actor_ids, g->env);
}

static struct dunlin_id padded(const struct dunlin_actor *name) {
  struct dunlin_id out = {{0}};
  memcpy(out.bytes, name->bytes, sizeof name->bytes);
  return out;
}

uint32_t graph_actor_find(const struct graph *g, const struct dunlin_actor *name) {
  struct dunlin_id key = padded(name);
  return idmap_get(&g->actor_ids, &key);
}

uint32_t graph_actor(struct graph *g, const struct dunlin_actor *name) {
  struct dunlin_id key = padded(name);
  uint32_t found = idmap_get(&g->actor_ids, &key);
  if (found != IDMAP_NONE) return found;
  if (ENV_GROW(g->env, g->actors, g->actor_cap, g->actor_count + 1)) return IDMAP_NONE;
  if (idmap_put(&g->actor_ids, g->env, &key, (uint32_t)g->actor_count)) return IDMAP_NONE;
  g->actors[g->actor_count] = (struct graph_actor){.name = *name};
  return (uint32_t)g->actor_count++;
}

void graph_forget_actor(struct graph *g) {
  struct graph_actor *last = &g->actors[--g->actor_count];
  struct dunlin_id key = padded(&last->name);
  idmap_remove(&g->actor_ids, &key);
  ENV_FREE_ARRAY(g->env, last->runs, last->run_cap);
}

/* ---- Looking up --------------------------------------------------------------------------------------------- */

uint32_t graph_run_at(const struct graph *g, uint32_t lv) {
  enum { near = 8 }; /* what is asked about is mostly recent */
  size_t low = 0, high = g->run_count;
  for (int i = 0; high && i < near; i++, high--)
    if (g->runs[high - 1].lv <= lv) return (uint32_t)(high - 1);
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (g->runs[mid].lv <= lv) low = mid;
    else high = mid;
  }
  return (uint32_t)low;
}

uint32_t graph_run_near(const struct graph *g, uint32_t lv, uint32_t hint) {
  uint32_t at = hint, step = 1, last = (uint32_t)g->run_count - 1;
  if (hint > last || g->runs[hint].lv > lv) return graph_run_at(g, lv);
  for (; step <= last - at && g->runs[at + step].lv <= lv; step *= 2) at += step;
  for (; step; step /= 2)
    if (step <= last - at && g->runs[at + step].lv <= lv) at += step;
  return at;
}

uint32_t graph_run_of(const struct graph *g, uint32_t change) {
  size_t low = 0, high = g->run_count;
  if (high && g->runs[high - 1].change <= change) return (uint32_t)(high - 1);
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (g->runs[mid].change <= change) low = mid;
    else high = mid;
  }
  return (uint32_t)low;
}

uint32_t graph_start(const struct graph *g, uint32_t change) {
  size_t low = 0, high = g->length_count;
  if (change >= g->changes) return g->lvs;
  if (g->lengths[high - 1].change <= change) low = high - 1;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (g->lengths[mid].change <= change) low = mid;
    else high = mid;
  }
  const struct graph_length *l = &g->lengths[low];
  return l->lv + (change - l->change) * l->length;
}

uint32_t graph_change_at(const struct graph *g, uint32_t lv) {
  size_t low = 0, high = g->length_count;
  if (lv >= g->lvs) return g->changes;
  if (g->lengths[high - 1].lv <= lv) low = high - 1;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (g->lengths[mid].lv <= lv) low = mid;
    else high = mid;
  }
  const struct graph_length *l = &g->lengths[low];
  return l->change + (lv - l->lv) / l->length;
}

int64_t graph_time_of(const struct graph *g, uint32_t change) {
  size_t low = 0, high = g->time_count;
  if (!high || g->times[0].change > change) return 0;
  if (g->times[high - 1].change <= change) low = high - 1;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (g->times[mid].change <= change) low = mid;
    else high = mid;
  }
  return g->times[low].time;
}

const uint32_t *graph_parents_at(const struct graph *g, uint32_t run, uint32_t lv, uint32_t *one, size_t *count) {
  const struct graph_run *r = &g->runs[run];
  if (r->lv == lv) {
    *count = r->parent_count;
    return r->parent_count ? g->parents + r->parents : NULL;
  }
  *one = lv - 1;
  *count = 1;
  return one;
}

struct graph_op graph_op(const struct graph *g, uint32_t lv) {
  if (lv >= g->lvs) return (struct graph_op){g->changes, g->open.actor, g->open.number, g->open.lamport};
  const struct graph_run *r = &g->runs[graph_run_at(g, lv)];
  uint32_t change = graph_change_at(g, lv), step = change - r->change;
  return (struct graph_op){change, r->actor, r->number + step, r->lamport + step};
}

/* ---- Difference of two versions ----------------------------------------------------------------------------- */

enum { SIDE_A = 1, SIDE_B = 2, BOTH = SIDE_A | SIDE_B };

/* LVs to look at, the latest first; a binary heap.  `open` counts those that are not in both pasts. */
struct frontier_entry {
  uint32_t lv;
  uint32_t side;
};
struct frontier {
  const struct dunlin_env *env;
  struct frontier_entry *entries, few[32];
  size_t count, cap, open;
};

static int frontier_add(struct frontier *f, uint32_t lv, uint32_t side) {
  if (f->count == f->cap) {
    struct frontier_entry *old = f->entries == f->few ? NULL : f->entries;
    size_t cap = old ? f->cap : 0;
    if (ENV_GROW(f->env, old, cap, 2 * f->cap)) return DUNLIN_ENOMEM;
    if (f->entries == f->few) memcpy(old, f->few, sizeof f->few);
    f->entries = old;
    f->cap = cap;
  }
  size_t at = f->count++;
  f->open += side != BOTH;
  for (; at && f->entries[(at - 1) / 2].lv < lv; at = (at - 1) / 2) f->entries[at] = f->entries[(at - 1) / 2];
  f->entries[at] = (struct frontier_entry){lv, side};
  return 0;
}

static struct frontier_entry frontier_take_one(struct frontier *f) {
  struct frontier_entry top = f->entries[0], last = f->entries[--f->count];
  size_t at = 0;
  for (size_t child; (child = 2 * at + 1) < f->count; at = child) {
    if (child + 1 < f->count && f->entries[child + 1].lv > f->entries[child].lv) child++;
    if (f->entries[child].lv <= last.lv) break;
    f->entries[at] = f->entries[child];
  }
  f->entries[at] = last;
  f->open -= top.side != BOTH;
  return top;
}

/* The latest, with the sides of all its entries. */
static struct frontier_entry frontier_take(struct frontier *f) {
  struct frontier_entry top = frontier_take_one(f);
  while (f->count && f->entries[0].lv == top.lv) top.side |= frontier_take_one(f).side;
  return top;
}

static int range_add(struct lv_ranges *ranges, const struct dunlin_env *env, uint32_t from, uint32_t to) {
  if (!ranges) return 0;
  if (ranges->count && ranges->list[ranges->count - 1].from == to) {
    ranges->list[ranges->count - 1].from = from;
    return 0;
  }
  if (ENV_GROW(env, ranges->list, ranges->cap, ranges->count + 1)) return DUNLIN_ENOMEM;
  ranges->list[ranges->count++] = (struct lv_range){from, to};
  return 0;
}

/* Goes down one run from `top` to its start or to the next LV on the frontier. */
static int difference_step(const struct graph *g, struct frontier *f, struct frontier_entry top,
                           struct lv_ranges *only_a, struct lv_ranges *only_b) {
  const struct graph_run *run = &g->runs[graph_run_at(g, top.lv)];
  bool met = f->count && f->entries[0].lv >= run->lv;
  uint32_t from = met ? f->entries[0].lv + 1 : run->lv;
  int error = 0;
  if (top.side == SIDE_A) error = range_add(only_a, g->env, from, top.lv + 1);
  else if (top.side == SIDE_B) error = range_add(only_b, g->env, from, top.lv + 1);
  if (met) return error ? error : frontier_add(f, from - 1, top.side);
  for (uint32_t i = 0; !error && i < run->parent_count; i++)
    error = frontier_add(f, g->parents[run->parents + i], top.side);
  return error;
}

int graph_difference(const struct graph *g, const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count,
                     struct lv_ranges *only_a, struct lv_ranges *only_b) {
  struct frontier f = {.env = g->env, .cap = sizeof f.few / sizeof *f.few};
  int error = 0;
  f.entries = f.few;
  if (only_a) only_a->count = 0;
  if (only_b) only_b->count = 0;
  for (size_t i = 0; i < a_count && !error; i++) error = frontier_add(&f, a[i], SIDE_A);
  for (size_t i = 0; i < b_count && !error; i++) error = frontier_add(&f, b[i], SIDE_B);
  while (!error && f.open) error = difference_step(g, &f, frontier_take(&f), only_a, only_b);
  if (f.entries != f.few) ENV_FREE_ARRAY(g->env, f.entries, f.cap);
  return error;
}

/* ---- The open change ---------------------------------------------------------------------------------------- */

/* Whether it is the last operation of a head. */
static bool is_head(const struct graph *g, uint32_t lv) {
  size_t low = 0, high = g->head_count;
  if (high && g->heads[high - 1] == lv) return true;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (g->heads[mid] <= lv) low = mid;
    else high = mid;
  }
  return high && g->heads[low] == lv;
}

/* Whether the parents, each given once, are all heads. */
static bool are_all_heads(const struct graph *g, const uint32_t *parents, size_t count) {
  if (count != g->head_count) return false;
  for (size_t i = 0; i < count; i++)
    if (!is_head(g, parents[i])) return false;
  return true;
}

static bool same_version(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count) {
  if (a_count != b_count) return false;
  for (size_t i = 0; i < a_count; i++) {
    bool found = a[i] == b[i];
    for (size_t k = 0; k < b_count && !found; k++) found = b[k] == a[i];
    if (!found) return false;
  }
  return true;
}

/* The first range, counted from the latest, that ends at or before `lv`, less one: the one that may hold it. */
static bool unseen_holds(const struct graph *g, uint32_t lv, uint32_t *from) {
  size_t low = 0, high = g->unseen.count; /* the ranges before `low` begin behind lv */
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (g->unseen.list[mid].from > lv) low = mid + 1;
    else high = mid;
  }
  if (low == g->unseen.count || g->unseen.list[low].to <= lv) return false;
  *from = g->unseen.list[low].from;
  return true;
}

/* Whether the version is, or adds nothing to, the one whose unseen operations are known. */
static bool sees_alike(const struct graph *g, const uint32_t *parents, size_t count) {
  bool has_it = false;
  uint32_t from;
  for (size_t i = 0; g->unseen_at != LV_NONE && i < count; i++) {
    has_it |= parents[i] == g->unseen_at;
    if (unseen_holds(g, parents[i], &from)) return false;
  }
  return has_it;
}

int graph_open(struct graph *g, const uint32_t *parents, size_t count) {
  if (ENV_GROW(g->env, g->open.parents, g->open.parent_cap, count)) return DUNLIN_ENOMEM;
  uint64_t lamport = 0;
  for (size_t i = 0; i < count; i++) {
    uint64_t above = (uint64_t)graph_op(g, parents[i]).lamport + 1;
    if (above > lamport) lamport = above;
    g->open.parents[i] = parents[i];
  }
  g->open.parent_count = count;
  g->open.lamport = (uint32_t)lamport;
  g->open.is_open = true;
  g->open.goes_on = false;
  g->open.builds_on_all = are_all_heads(g, parents, count);
  g->open.unseen_known = sees_alike(g, parents, count);
  memset(&g->open.id, 0, sizeof g->open.id);
  if (g->open.builds_on_all) {
    g->unseen.count = 0;
    g->open.unseen_known = true;
  }
  if (!g->open.unseen_known) g->unseen_at = LV_NONE;
  g->open.critical = graph_critical_open(g);
  g->open.error = 0;
  return 0;
}

bool graph_open_next(struct graph *g, uint32_t actor) {
  uint32_t number = g->actors[actor].changes;
  if (g->head_count != 1 || !g->open.parent_cap || !graph_goes_on(g, number)) return false;
  const struct graph_run *last = &g->runs[g->run_count - 1];
  if (last->actor != actor) return false;
  g->open.is_open = g->open.goes_on = g->open.builds_on_all = g->open.unseen_known = true;
  g->open.parents[0] = g->lvs - 1;
  g->open.parent_count = 1;
  g->open.actor = actor;
  g->open.number = number;
  g->open.lamport = last->lamport + (g->changes - last->change);
  g->open.time = 0;
  g->open.critical = g->lvs;
  g->open.error = 0;
  g->unseen.count = 0;
  memset(&g->open.id, 0, sizeof g->open.id);
  return true;
}

void graph_abandon(struct graph *g) {
  g->open.is_open = false;
  g->unseen_at = LV_NONE;
}

int graph_prepare_seen(struct graph *g) {
  if (g->open.unseen_known) return 0;
  int error = graph_difference(g, g->heads, g->head_count, g->open.parents, g->open.parent_count, &g->unseen, NULL);
  if (!error) g->open.unseen_known = true;
  return error;
}

/* Whether it is sure that everything before `lv` and itself was seen, without looking; else graph->unseen says. */
static bool surely_seen(struct graph *g, uint32_t lv) {
  if (lv >= g->lvs || lv < g->open.critical) return true;
  if (!g->open.unseen_known && graph_prepare_seen(g)) {
    g->open.error = DUNLIN_ENOMEM;
    return true;
  }
  return !g->unseen.count;
}

/* The latest operation at or before `lv` in the past of `at`, or `at` itself; LV_NONE.  False: it lies beyond a
 * merge. */
static bool chain_before(const struct graph *g, uint32_t at, uint32_t lv, uint32_t *found) {
  while (at > lv) {
    const struct graph_run *run = &g->runs[graph_run_at(g, at)];
    if (run->lv <= lv) {
      *found = lv;
      return true;
    }
    if (run->parent_count > 1) return false;
    if (!run->parent_count) {
      *found = LV_NONE;
      return true;
    }
    uint32_t to = graph_has_jump(run) ? graph_jump_of(g, run).to : 0;
    at = to && to >= lv ? to : g->parents[run->parents];
  }
  *found = at;
  return true;
}

/* Without a list of all that was not seen, when the way down from the parents is plain. */
static bool before_by_chains(const struct graph *g, uint32_t lv, uint32_t *found) {
  enum { most = 4 };
  *found = LV_NONE;
  if (g->open.parent_count > most) return false;
  for (size_t i = 0; i < g->open.parent_count; i++) {
    uint32_t one;
    if (!chain_before(g, g->open.parents[i], lv, &one)) return false;
    if (one != LV_NONE && (*found == LV_NONE || one > *found)) *found = one;
  }
  return true;
}

uint32_t graph_seen_before(struct graph *g, uint32_t lv) {
  uint32_t from, found;
  if (lv >= g->lvs || lv < g->open.critical) return lv;
  if (g->open.unseen_known || !before_by_chains(g, lv, &found)) {
    if (surely_seen(g, lv) || !unseen_holds(g, lv, &from)) return lv;
    found = from ? from - 1 : LV_NONE;
  }
  bool above = g->open.critical && (found == LV_NONE || found < g->open.critical);
  return above ? g->open.critical - 1 : found;
}

bool graph_seen(struct graph *g, uint32_t lv) {
  return graph_seen_before(g, lv) == lv;
}

bool graph_any_seen(struct graph *g, const uint32_t *lvs, size_t count) {
  while (count) {
    uint32_t seen = graph_seen_before(g, lvs[count - 1]);
    if (seen == lvs[count - 1]) return true;
    if (seen == LV_NONE) return false;
    size_t low = 0; /* those before `low` are at or before it */
    while (low < count) {
      size_t mid = (low + count) / 2;
      if (lvs[mid] <= seen) low = mid + 1;
      else count = mid;
    }
  }
  return false;
}

/* Whether a parent is the actor's last change. */
static bool builds_on_last(const struct graph *g, const struct graph_actor *a) {
  uint32_t run = a->runs[a->run_count - 1];
  uint32_t end = run + 1 < g->run_count ? g->runs[run + 1].lv : g->lvs;
  for (size_t i = 0; i < g->open.parent_count; i++)
    if (g->open.parents[i] + 1 == end) return true;
  return false;
}

/* How many of the actor's runs begin at or before `lv`, of the first `count`. */
static size_t runs_until(const struct graph *g, const struct graph_actor *a, size_t count, uint32_t lv) {
  size_t low = 0;
  while (low < count) {
    size_t mid = (low + count) / 2;
    if (g->runs[a->runs[mid]].lv <= lv) low = mid + 1;
    else count = mid;
  }
  return low;
}

int64_t graph_actor_reached(struct graph *g, uint32_t actor) {
  const struct graph_actor *a = &g->actors[actor];
  int64_t reached = -1;
  if (!a->forked && (!a->run_count || builds_on_last(g, a))) return (int64_t)a->changes - 1;
  if (g->open.parent_count == 1) { /* what is before it in the actor's own log has lower numbers */
    struct graph_op parent = graph_op(g, g->open.parents[0]);
    if (parent.actor == actor) return parent.number;
  }
  for (size_t i = a->run_count; i;) {
    const struct graph_run *run = &g->runs[a->runs[i - 1]];
    uint32_t end = a->runs[i - 1] + 1 < g->run_count ? run[1].lv : g->lvs;
    uint32_t seen = graph_seen_before(g, end - 1);
    if (seen == LV_NONE) break;
    if (seen < run->lv) {
      i = runs_until(g, a, i - 1, seen);
      continue;
    }
    int64_t number = graph_op(g, seen).number;
    if (number > reached) reached = number;
    if (!a->forked) break;
    i--;
  }
  return reached;
}

/* ---- Critical versions -------------------------------------------------------------------------------------- */

/* The versions of one entry of the list that the open change leaves critical: up to the result; LV_NONE: none. */
static uint32_t critical_left(const struct graph *g, const struct graph_critical *c) {
  uint32_t latest = 0, one;
  size_t count;
  for (size_t i = 0; i < g->open.parent_count; i++)
    if (g->open.parents[i] > latest) latest = g->open.parents[i];
  if (g->open.parent_count && latest >= c->from) return latest + 1 < c->to ? latest + 1 : c->to;
  if (!c->from) return 0;
  const uint32_t *heads = graph_parents_at(g, graph_run_at(g, c->from), c->from, &one, &count);
  return same_version(heads, count, g->open.parents, g->open.parent_count) ? c->from : LV_NONE;
}

uint32_t graph_critical_open(const struct graph *g) {
  if (g->open.builds_on_all) return g->lvs;
  for (size_t i = g->critical_count; i-- > 0;) {
    uint32_t left = critical_left(g, &g->critical[i]);
    if (left != LV_NONE) return left;
  }
  return 0;
}

uint32_t graph_critical_before(const struct graph *g, uint32_t lv) {
  for (size_t i = g->critical_count; i-- > 0;)
    if (g->critical[i].from <= lv) return g->critical[i].to < lv ? g->critical[i].to : lv;
  return 0;
}

/* `to` is the end of the open change; there is room for one more. */
static void critical_update(struct graph *g, uint32_t to) {
  if (!g->open.builds_on_all) {
    for (; g->critical_count; g->critical_count--) {
      struct graph_critical *top = &g->critical[g->critical_count - 1];
      uint32_t left = critical_left(g, top);
      if (left == LV_NONE) continue;
      top->to = left;
      return;
    }
    return;
  }
  struct graph_critical *top = g->critical_count ? &g->critical[g->critical_count - 1] : NULL;
  if (top && top->to == g->lvs) top->to = to;
  else g->critical[g->critical_count++] = (struct graph_critical){g->lvs, to};
}

/* ---- Settling ----------------------------------------------------------------------------------------------- */

/* Whether the open change just goes on with the last run. */
static bool goes_on(const struct graph *g) {
  if (!g->run_count || g->open.parent_count != 1 || g->open.parents[0] + 1 != g->lvs) return false;
  const struct graph_run *last = &g->runs[g->run_count - 1];
  return last->actor == g->open.actor && last->number + (g->changes - last->change) == g->open.number;
}

int graph_reserve(struct graph *g, uint32_t length) {
  if (length > LV_LIMIT - g->lvs) return DUNLIN_ELIMIT;
  if (g->open.goes_on) return graph_reserve_next(g);
  struct graph_actor *a = &g->actors[g->open.actor];
  return ENV_GROW(g->env, g->runs, g->run_cap, g->run_count + 1) ||
                 ENV_GROW(g->env, g->parents, g->parent_cap, g->parent_used + g->open.parent_count + 2) ||
                 ENV_GROW(g->env, g->lengths, g->length_cap, g->length_count + 1) ||
                 ENV_GROW(g->env, g->times, g->time_cap, g->time_count + 1) ||
                 ENV_GROW(g->env, g->heads, g->head_cap, g->head_count + 1) ||
                 ENV_GROW(g->env, g->critical, g->critical_cap, g->critical_count + 1) ||
                 ENV_GROW(g->env, a->runs, a->run_cap, a->run_count + 1)
             ? DUNLIN_ENOMEM
             : 0;
}

/* The jump of the run that holds an LV; of a run without one, none. */
static struct graph_jump jump_at(const struct graph *g, uint32_t lv) {
  const struct graph_run *run = &g->runs[graph_run_at(g, lv)];
  return graph_has_jump(run) ? graph_jump_of(g, run) : (struct graph_jump){.to = lv};
}

/* Gives a run whose only parent is `parent` a jump, when the way down is not short: such that any run further down is
 * reached in a few steps. */
static void find_jump(const struct graph *g, uint32_t parent, struct graph_run *run, struct graph_jump *jump) {
  const struct graph_run *p = &g->runs[graph_run_at(g, parent)];
  run->steps = (p->steps < GRAPH_STEPS ? p->steps + 1u : GRAPH_STEPS) & 0xffffu;
  if (!graph_has_jump(run)) return;
  struct graph_jump last = jump_at(g, parent), far = jump_at(g, last.to), behind = jump_at(g, far.to);
  bool doubles = far.depth && last.depth - far.depth == far.depth - behind.depth;
  *jump = (struct graph_jump){last.depth + 1, doubles ? far.to : parent};
}

static void add_run(struct graph *g) {
  struct graph_actor *a = &g->actors[g->open.actor];
  if (g->open.number < a->changes) a->forked = true;
  a->runs[a->run_count++] = (uint32_t)g->run_count;
  struct graph_run run = {.lv = g->lvs,
                          .change = g->changes,
                          .actor = g->open.actor,
                          .number = g->open.number,
                          .lamport = g->open.lamport,
                          .parents = (uint32_t)g->parent_used,
                          .parent_count = g->open.parent_count & 0xffffu};
  struct graph_jump jump = {0};
  if (run.parent_count == 1) find_jump(g, g->open.parents[0], &run, &jump);
  g->runs[g->run_count++] = run;
  for (size_t i = 0; i < g->open.parent_count; i++) g->parents[g->parent_used++] = g->open.parents[i];
  if (!graph_has_jump(&run)) return;
  g->parents[g->parent_used++] = jump.depth;
  g->parents[g->parent_used++] = jump.to;
}

static void remove_head(struct graph *g, uint32_t lv) {
  size_t low = 0, high = g->head_count;
  if (!is_head(g, lv)) return;
  if (g->heads[high - 1] == lv) low = high - 1;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (g->heads[mid] <= lv) low = mid;
    else high = mid;
  }
  g->head_count--;
  memmove(g->heads + low, g->heads + low + 1, (g->head_count - low) * sizeof *g->heads);
}

static void update_heads(struct graph *g, uint32_t last) {
  for (size_t i = 0; i < g->open.parent_count; i++) remove_head(g, g->open.parents[i]);
  g->heads[g->head_count++] = last;
}

static void settle(struct graph *g, uint32_t changes, uint32_t length) {
  critical_update(g, g->lvs + length);
  if (!goes_on(g)) add_run(g);
  update_heads(g, g->lvs + length - 1);
  g->actors[g->open.actor].changes += changes;
  g->changes += changes;
  g->lvs += length;
  g->unseen_at = g->open.unseen_known ? g->lvs - 1 : LV_NONE;
  g->open.is_open = false;
}

int graph_settle_run(struct graph *g, uint32_t changes, uint32_t length) {
  int error = graph_reserve(g, length);
  if (!error) settle(g, changes, length);
  return error;
}

/* The next change has this length and time; there is room. */
static void note_change(struct graph *g, uint32_t length, int64_t time) {
  if (!g->length_count || g->lengths[g->length_count - 1].length != length)
    g->lengths[g->length_count++] = (struct graph_length){g->lvs, g->changes, length};
  if (time != (g->time_count ? g->times[g->time_count - 1].time : 0))
    g->times[g->time_count++] = (struct graph_time){g->changes, time};
}

int graph_settle(struct graph *g, uint32_t length) {
  int error = graph_reserve(g, length);
  if (error) return error;
  if (g->open.goes_on) {
    graph_settle_next(g, length, g->open.time);
    g->open.is_open = false;
    return 0;
  }
  note_change(g, length, g->open.time);
  settle(g, 1, length);
  return 0;
}

bool graph_goes_on(const struct graph *g, uint64_t number) {
  if (!g->run_count || !g->critical_count) return false;
  const struct graph_run *last = &g->runs[g->run_count - 1];
  const struct graph_actor *a = &g->actors[last->actor];
  if (a->forked || a->changes != number || last->number + (g->changes - last->change) != number) return false;
  return g->head_count > 1 || g->critical[g->critical_count - 1].to == g->lvs;
}

int graph_reserve_next(struct graph *g) {
  return ENV_GROW(g->env, g->lengths, g->length_cap, g->length_count + 1) ||
                 ENV_GROW(g->env, g->times, g->time_cap, g->time_count + 1)
             ? DUNLIN_ENOMEM
             : 0;
}

static bool knows_last(const struct graph *g) {
  return g->head_count == 1 || g->unseen_at == g->lvs - 1;
}

bool graph_last_saw(const struct graph *g, uint32_t lv, uint32_t *seen) {
  uint32_t from;
  if (!knows_last(g)) return chain_before(g, g->lvs - 1, lv, seen);
  *seen = g->head_count == 1 || !unseen_holds(g, lv, &from) ? lv : from ? from - 1 : LV_NONE;
  return true;
}

void graph_as_next(struct graph *g, uint64_t number, const struct dunlin_id *id) {
  const struct graph_run *last = &g->runs[g->run_count - 1];
  g->open.actor = last->actor;
  g->open.number = (uint32_t)number;
  g->open.lamport = last->lamport + (g->changes - last->change);
  g->open.id = *id;
}

void graph_settle_next(struct graph *g, uint32_t length, int64_t time) {
  const struct graph_run *last = &g->runs[g->run_count - 1];
  uint32_t was = g->lvs - 1;
  note_change(g, length, time);
  g->open.actor = last->actor;
  g->actors[last->actor].changes++;
  g->changes++;
  g->lvs += length;
  if (g->head_count == 1) g->critical[g->critical_count - 1].to = g->lvs, g->unseen.count = 0;
  g->unseen_at = g->head_count == 1 || g->unseen_at == was ? g->lvs - 1 : LV_NONE;
  g->heads[g->head_count - 1] = g->lvs - 1; /* they are in order */
}

/* ---- Orders ------------------------------------------------------------------------------------------------- */

static int compare_ids(const struct graph *g, uint32_t change, uint32_t other) {
  struct dunlin_id a = change == g->changes ? g->open.id : g->id_of(g->ctx, change);
  struct dunlin_id b = other == g->changes ? g->open.id : g->id_of(g->ctx, other);
  return id_compare(&a, &b);
}

bool graph_before(const struct graph *g, uint32_t lv, uint32_t other) {
  struct graph_op a = graph_op(g, lv), b = graph_op(g, other);
  if (a.change == b.change) return lv < other;
  if (a.actor != b.actor) return actor_compare(&g->actors[a.actor].name, &g->actors[b.actor].name) < 0;
  return a.number != b.number ? a.number < b.number : compare_ids(g, a.change, b.change) < 0;
}

bool graph_wins(const struct graph *g, uint32_t lv, uint32_t other) {
  struct graph_op a = graph_op(g, lv), b = graph_op(g, other);
  if (a.change == b.change) return lv > other;
  if (a.lamport != b.lamport) return a.lamport > b.lamport;
  if (a.actor != b.actor) return actor_compare(&g->actors[a.actor].name, &g->actors[b.actor].name) > 0;
  return compare_ids(g, a.change, b.change) > 0;
}
