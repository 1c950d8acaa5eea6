/* Whether a graph agrees with itself.  What it keeps up as it grows is found again here from runs and parents alone. */
#include <string.h>

#include "crdt/graph.h"

static uint32_t run_end(const struct graph *g, size_t run) {
  return run + 1 < g->run_count ? g->runs[run + 1].lv : g->lvs;
}

static uint32_t run_changes(const struct graph *g, size_t run) {
  return (run + 1 < g->run_count ? g->runs[run + 1].change : g->changes) - g->runs[run].change;
}

/* Whether the run only goes on where the one before ends, and so should be part of it. */
static bool needless(const struct graph *g, size_t run) {
  const struct graph_run *r = &g->runs[run];
  return run && r->parent_count == 1 && g->parents[r->parents] + 1 == r->lv && r[-1].actor == r->actor &&
         r[-1].number + run_changes(g, run - 1) == r->number;
}

/* Each parent comes before, is the last of its change, and is named once; the lamport time is above theirs. */
static int check_parents(const struct graph *g, const struct graph_run *r) {
  const uint32_t *parents = r->parent_count ? g->parents + r->parents : NULL;
  uint32_t lamport = 0;
  for (uint32_t i = 0; i < r->parent_count; i++) {
    if (parents[i] >= r->lv) return DUNLIN_ECORRUPT;
    struct graph_op op = graph_op(g, parents[i]);
    if (graph_start(g, op.change + 1) != parents[i] + 1) return DUNLIN_ECORRUPT;
    if (op.lamport >= lamport) lamport = op.lamport + 1;
    for (uint32_t k = 0; k < i; k++)
      if (parents[k] == parents[i]) return DUNLIN_ECORRUPT;
  }
  return lamport == r->lamport ? 0 : DUNLIN_ECORRUPT;
}

/* A run jumps to where the way down its only parents comes by. */
static int check_jump(const struct graph *g, const struct graph_run *r) {
  const struct graph_run *down = r->parent_count == 1 ? &g->runs[graph_run_at(g, g->parents[r->parents])] : NULL;
  uint32_t steps = !down ? 0 : down->steps == GRAPH_STEPS ? GRAPH_STEPS : down->steps + 1u;
  if (r->steps != steps) return DUNLIN_ECORRUPT;
  if (!graph_has_jump(r)) return 0;
  struct graph_jump jump = graph_jump_of(g, r);
  uint32_t at = g->parents[r->parents], depth = jump.depth - 1;
  for (; at > jump.to && graph_has_jump(down); depth--) {
    at = g->parents[down->parents];
    down = &g->runs[graph_run_at(g, at)];
  }
  uint32_t rest = graph_has_jump(down) ? graph_jump_of(g, down).depth : 0;
  return at == jump.to && depth == rest ? 0 : DUNLIN_ECORRUPT;
}

static int check_runs(const struct graph *g) {
  uint32_t parents = 0;
  if (!g->run_count != !g->lvs || !g->lvs != !g->changes) return DUNLIN_ECORRUPT;
  if (g->run_count && (g->runs[0].lv || g->runs[0].change)) return DUNLIN_ECORRUPT;
  for (size_t i = 0; i < g->run_count; i++) {
    const struct graph_run *r = &g->runs[i];
    if (r->lv >= run_end(g, i) || r->actor >= g->actor_count || r->parents != parents || needless(g, i) ||
        graph_start(g, r->change) != r->lv || graph_change_at(g, r->lv) != r->change || graph_run_at(g, r->lv) != i ||
        graph_run_at(g, run_end(g, i) - 1) != i || graph_run_of(g, r->change) != i)
      return DUNLIN_ECORRUPT;
    int error = check_parents(g, r);
    if (!error) error = check_jump(g, r);
    if (error) return error;
    parents += r->parent_count + (graph_has_jump(r) ? 2u : 0);
  }
  return parents == g->parent_used ? 0 : DUNLIN_ECORRUPT;
}

static int check_lengths(const struct graph *g) {
  uint32_t lv = 0, change = 0;
  for (size_t i = 0; i < g->length_count; i++) {
    const struct graph_length *l = &g->lengths[i];
    uint32_t until = i + 1 < g->length_count ? l[1].change : g->changes;
    if (l->lv != lv || l->change != change || !l->length || until <= change) return DUNLIN_ECORRUPT;
    if (i && l[-1].length == l->length) return DUNLIN_ECORRUPT;
    lv += (until - change) * l->length;
    change = until;
  }
  return lv == g->lvs && change == g->changes ? 0 : DUNLIN_ECORRUPT;
}

static int check_times(const struct graph *g) {
  for (size_t i = 0; i < g->time_count; i++) {
    const struct graph_time *t = &g->times[i];
    if (t->change >= g->changes || t->time == (i ? t[-1].time : 0) || (i && t->change <= t[-1].change))
      return DUNLIN_ECORRUPT;
  }
  return 0;
}

/* ---- Actors ------------------------------------------------------------------------------------------------- */

/* Whether two runs of the actor have a number in common. */
static bool share_number(const struct graph *g, uint32_t a, uint32_t b) {
  const struct graph_run *x = &g->runs[a], *y = &g->runs[b];
  return x->number < y->number + run_changes(g, b) && y->number < x->number + run_changes(g, a);
}

static int check_actor(const struct graph *g, uint32_t actor) {
  const struct graph_actor *a = &g->actors[actor];
  uint32_t changes = 0;
  bool forked = false;
  if (graph_actor_find(g, &a->name) != actor) return DUNLIN_ECORRUPT;
  for (size_t i = 0; i < a->run_count; i++) {
    uint32_t run = a->runs[i];
    if (run >= g->run_count || g->runs[run].actor != actor || (i && a->runs[i - 1] >= run)) return DUNLIN_ECORRUPT;
    for (size_t k = 0; k < i; k++) forked |= share_number(g, a->runs[k], run);
    changes += run_changes(g, run);
  }
  return changes == a->changes && forked == a->forked ? 0 : DUNLIN_ECORRUPT;
}

static int check_actors(const struct graph *g) {
  size_t runs = 0;
  int error = 0;
  for (uint32_t i = 0; !error && i < g->actor_count; i++) {
    error = check_actor(g, i);
    runs += g->actors[i].run_count;
  }
  return error ? error : runs == g->run_count ? 0 : DUNLIN_ECORRUPT;
}

/* ---- Heads -------------------------------------------------------------------------------------------------- */

static bool builds_on(const struct graph *g, uint32_t lv) {
  for (const struct graph_run *r = g->runs; r < g->runs + g->run_count; r++)
    for (uint32_t i = 0; i < r->parent_count; i++)
      if (g->parents[r->parents + i] == lv) return true;
  return false;
}

/* Only the last change of a run can be one. */
static int check_heads(const struct graph *g) {
  size_t heads = 0;
  for (size_t i = 1; i < g->head_count; i++)
    if (g->heads[i - 1] >= g->heads[i]) return DUNLIN_ECORRUPT;
  for (size_t i = 0; i < g->run_count; i++) {
    uint32_t last = run_end(g, i) - 1, found = 0;
    for (size_t k = 0; k < g->head_count; k++) found += g->heads[k] == last;
    if (found != !builds_on(g, last)) return DUNLIN_ECORRUPT;
    heads += found;
  }
  return heads == g->head_count ? 0 : DUNLIN_ECORRUPT;
}

/* ---- Critical versions -------------------------------------------------------------------------------------- */

/* What the first change of a run has in its past: of each run before it, the LVs below the bound in `seen`; 0 is
 * none. */
static void find_past(const struct graph *g, size_t run, uint32_t *seen) {
  memset(seen, 0, run * sizeof *seen);
  for (size_t at = run + 1; at-- > 0;) {
    const struct graph_run *r = &g->runs[at];
    if (at < run && !seen[at]) continue;
    for (uint32_t k = 0; k < r->parent_count; k++) {
      uint32_t parent = g->parents[r->parents + k], *bound = &seen[graph_run_at(g, parent)];
      if (*bound < parent + 1) *bound = parent + 1;
    }
  }
}

/* Whether a parent of the run is also in the past of another one: then the graph may overlook critical versions. */
static bool has_needless_parent(const struct graph *g, size_t run, uint32_t *seen) {
  const struct graph_run *r = &g->runs[run];
  for (uint32_t i = 0; i < r->parent_count; i++) {
    uint32_t parent = g->parents[r->parents + i], of = graph_run_at(g, parent);
    for (uint32_t k = 0; k < r->parent_count; k++) {
      uint32_t other = g->parents[r->parents + k], run_other = graph_run_at(g, other);
      if (other <= parent) continue;
      if (of == run_other) return true;
      find_past(g, run_other, seen);
      if (seen[of] > parent) return true;
    }
  }
  return false;
}

/* The first LV before run `run` that it has not seen; LV_NONE. */
static uint32_t first_unseen(const struct graph *g, size_t run, uint32_t *seen) {
  find_past(g, run, seen);
  for (size_t i = 0; i < run; i++) {
    if (!seen[i]) return g->runs[i].lv;
    if (seen[i] < run_end(g, i)) return seen[i];
  }
  return LV_NONE;
}

static bool listed(const struct graph *g, uint32_t x) {
  for (size_t i = 0; i < g->critical_count; i++)
    if (g->critical[i].from <= x && x <= g->critical[i].to) return true;
  return false;
}

/* By definition: x is critical when no run that reaches beyond it has left something before it unseen.  The end of all
 * is listed only when the last change built on everything, and nothing is lost when it is not. */
static int check_critical(const struct graph *g) {
  uint32_t *seen = env_calloc(g->env, g->run_count + 1, sizeof *seen), least = LV_NONE;
  bool complete = true;
  int error = seen ? 0 : DUNLIN_ENOMEM;
  for (size_t run = 0; !error && complete && run < g->run_count; run++) complete = !has_needless_parent(g, run, seen);
  for (size_t run = g->run_count; !error && run-- > 0;) {
    uint32_t unseen = first_unseen(g, run, seen);
    if (unseen < least) least = unseen;
    for (uint32_t x = g->runs[run].lv; !error && x < run_end(g, run); x++) {
      bool critical = least >= x, found = listed(g, x);
      if ((found && !critical) || (complete && critical && !found)) error = DUNLIN_ECORRUPT;
    }
  }
  env_free(g->env, seen, (g->run_count + 1) * sizeof *seen);
  return error;
}

int graph_check(const struct graph *g, bool deep) {
  int error = check_runs(g);
  if (!error) error = check_lengths(g);
  if (!error) error = check_times(g);
  if (!error) error = check_actors(g);
  for (size_t i = 0; !error && i < g->critical_count; i++) {
    const struct graph_critical *c = &g->critical[i];
    if (c->from > c->to || c->to > g->lvs || (i && c[-1].to >= c->from)) error = DUNLIN_ECORRUPT;
  }
  if (!error && deep) error = check_heads(g);
  if (!error && deep) error = check_critical(g);
  return error;
}
