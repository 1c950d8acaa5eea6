#include "crdt/walk_plan.h"

#include <stdlib.h>

void walk_plan_free(struct walk_plan *plan, const struct dunlin_env *env) {
  ENV_FREE_ARRAY(env, plan->pieces, plan->cap);
  ENV_FREE_ARRAY(env, plan->numbers, plan->number_cap);
  ENV_FREE_ARRAY(env, plan->reach, plan->reach_cap);
  *plan = (struct walk_plan){0};
}

static int by_number(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static uint32_t run_end(const struct graph *g, uint32_t run) {
  return run + 1 < g->run_count ? g->runs[run + 1].lv : g->lvs;
}

/* Whether a run of the graph begins at `lv`; run `below` and those from there on begin behind it. */
static bool begins_run(const struct graph *g, uint32_t below, uint32_t lv) {
  enum { near = 6 };
  for (uint32_t i = 1; i <= near && i <= below; i++)
    if (g->runs[below - i].lv <= lv) return g->runs[below - i].lv == lv;
  return g->runs[graph_run_at(g, lv)].lv == lv;
}

/* Where a parent lies inside a run of the part: the run is cut behind it.  The places, sorted, in plan->numbers. */
static int find_cuts(struct walk_plan *plan, const struct graph *g, uint32_t from, uint32_t first, uint32_t last,
                     size_t *cuts) {
  *cuts = 0;
  for (uint32_t run = first; run <= last; run++) {
    const struct graph_run *r = &g->runs[run];
    if (r->lv < from) continue; /* goes on with what is before the part */
    if (ENV_GROW(g->env, plan->numbers, plan->number_cap, *cuts + r->parent_count)) return DUNLIN_ENOMEM;
    for (uint32_t i = 0; i < r->parent_count; i++) {
      uint32_t behind = g->parents[r->parents + i] + 1;
      if (behind > from && behind < r->lv && !begins_run(g, run, behind)) plan->numbers[(*cuts)++] = behind;
    }
  }
  bool sorted = true;
  for (size_t i = 1; i < *cuts && sorted; i++) sorted = plan->numbers[i - 1] <= plan->numbers[i];
  if (!sorted) qsort(plan->numbers, *cuts, sizeof *plan->numbers, by_number);
  return 0;
}

static int cut_pieces(struct walk_plan *plan, const struct graph *g, const struct oplog *log, uint32_t from,
                      uint32_t to) {
  uint32_t first = graph_run_at(g, from), last = graph_run_at(g, to - 1);
  size_t cuts, cut = 0, op = oplog_from(log, from);
  int error = find_cuts(plan, g, from, first, last, &cuts);
  if (error) return error;
  if (ENV_GROW(g->env, plan->pieces, plan->cap, cuts + (last - first) + 1)) return DUNLIN_ENOMEM;
  plan->count = 0;
  for (uint32_t run = first; run <= last; run++) {
    uint32_t at = g->runs[run].lv > from ? g->runs[run].lv : from, end = run_end(g, run) < to ? run_end(g, run) : to;
    while (at < end) {
      while (cut < cuts && plan->numbers[cut] <= at) cut++;
      uint32_t stop = cut < cuts && plan->numbers[cut] < end ? plan->numbers[cut] : end;
      while (op < log->count && log->runs[op].lv + log->runs[op].len <= at) op++;
      plan->pieces[plan->count++] = (struct walk_plan_piece){.from = at, .to = stop, .run = run, .op = (uint32_t)op};
      at = stop;
    }
  }
  return 0;
}

/* The piece that ends behind `lv`. */
static uint32_t piece_ending(const struct walk_plan *plan, size_t below, uint32_t lv) {
  enum { near = 6 };
  size_t low = 0, high = below;
  for (size_t i = 1; i <= near && i <= below; i++)
    if (plan->pieces[below - i].from <= lv) return (uint32_t)(below - i);
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (plan->pieces[mid].from <= lv) low = mid;
    else high = mid;
  }
  return (uint32_t)low;
}

/* Notes the parents of each piece in plan->numbers, which has room. */
static uint32_t link_parents(struct walk_plan *plan, const struct graph *g, uint32_t base, uint32_t from) {
  uint32_t edges = 0, one;
  for (size_t i = 0; i < plan->count; i++) {
    struct walk_plan_piece *p = &plan->pieces[i];
    size_t count;
    const uint32_t *list = graph_parents_at(g, p->run, p->from, &one, &count);
    p->parents = edges;
    for (size_t k = 0; k < count; k++) {
      plan->has_outside |= list[k] < from && list[k] >= base;
      if (list[k] < from) continue;
      uint32_t parent = piece_ending(plan, i, list[k]);
      plan->numbers[edges++] = parent;
      plan->pieces[parent].child_count++;
      p->waits++;
    }
    p->parent_count = p->waits;
  }
  return edges;
}

static void link_children(struct walk_plan *plan, uint32_t at) {
  for (size_t i = 0; i < plan->count; i++) {
    struct walk_plan_piece *p = &plan->pieces[i];
    p->children = at;
    at += p->child_count;
    p->child_count = 0;
  }
  for (size_t i = 0; i < plan->count; i++) {
    const struct walk_plan_piece *p = &plan->pieces[i];
    for (uint32_t k = 0; k < p->parent_count; k++) {
      struct walk_plan_piece *parent = &plan->pieces[plan->numbers[p->parents + k]];
      plan->numbers[parent->children + parent->child_count++] = (uint32_t)i;
    }
  }
}

static void weigh(struct walk_plan *plan) {
  for (size_t i = plan->count; i-- > 0;) {
    struct walk_plan_piece *p = &plan->pieces[i];
    uint64_t weight = p->to - p->from;
    for (uint32_t k = 0; k < p->child_count; k++) {
      const struct walk_plan_piece *child = &plan->pieces[plan->numbers[p->children + k]];
      weight += child->waits > 1 ? child->weight / child->waits : child->weight;
    }
    p->weight = weight > UINT32_MAX ? UINT32_MAX : (uint32_t)weight;
  }
}

/* Puts what has become ready on the stack above `bottom`, the lightest on top: the branch that comes last need not be left again. */
static void push_ready(struct walk_plan *plan, uint32_t bottom, uint32_t piece) {
  uint32_t at = plan->depth++;
  for (; at > bottom && plan->pieces[plan->ready[at - 1]].weight < plan->pieces[piece].weight; at--)
    plan->ready[at] = plan->ready[at - 1];
  plan->ready[at] = piece;
}

/* Puts each piece on a chain, for as long as they suffice.  Where they do not, little memory has been asked for. */
static int find_chains(struct walk_plan *plan, const struct dunlin_env *env) {
  struct walk_plan_reach ends = {{0}};
  plan->chains = 0;
  for (size_t i = 0; i < plan->count; i++) {
    if (ENV_GROW(env, plan->reach, plan->reach_cap, i + 1)) return DUNLIN_ENOMEM;
    struct walk_plan_piece *p = &plan->pieces[i];
    struct walk_plan_reach *reach = &plan->reach[i];
    *reach = (struct walk_plan_reach){{0}};
    for (uint32_t k = 0; k < p->parent_count; k++) {
      const struct walk_plan_reach *parent = &plan->reach[plan->numbers[p->parents + k]];
      for (int c = 0; c < PLAN_CHAINS; c++)
        if (reach->last[c] < parent->last[c]) reach->last[c] = parent->last[c];
    }
    uint32_t chain = 0;
    while (chain < PLAN_CHAINS && reach->last[chain] != ends.last[chain]) chain++;
    if (chain == PLAN_CHAINS) {
      plan->chains = 0;
      return 0;
    }
    if (chain >= plan->chains) plan->chains = chain + 1;
    p->chain = chain;
    p->before = ends.last[chain];
    reach->last[chain] = ends.last[chain] = (uint32_t)i + 1;
  }
  return 0;
}

int walk_plan_make(struct walk_plan *plan, const struct graph *g, const struct oplog *log, uint32_t base, uint32_t from,
                   uint32_t to) {
  int error = cut_pieces(plan, g, log, from, to);
  if (error) return error;
  size_t edges = 0, count = plan->count;
  for (size_t i = 0; i < count; i++)
    edges += g->runs[plan->pieces[i].run].lv == plan->pieces[i].from ? g->runs[plan->pieces[i].run].parent_count : 1;
  if (ENV_GROW(g->env, plan->numbers, plan->number_cap, 2 * edges + 4 * count + 1)) return DUNLIN_ENOMEM;
  plan->has_outside = false;
  plan->depth = 0;
  plan->ready = plan->numbers + 2 * edges;
  plan->frontier = plan->ready + count;
  plan->left = plan->frontier + count + 1;
  plan->entered = plan->left + count;
  link_children(plan, link_parents(plan, g, base, from));
  weigh(plan);
  if (find_chains(plan, g->env)) return DUNLIN_ENOMEM;
  for (size_t i = count; i-- > 0;)
    if (!plan->pieces[i].waits) push_ready(plan, 0, (uint32_t)i);
  return 0;
}

uint32_t walk_plan_next(struct walk_plan *plan) {
  if (!plan->depth) return PLAN_NONE;
  uint32_t next = plan->ready[--plan->depth], bottom = plan->depth;
  const struct walk_plan_piece *p = &plan->pieces[next];
  /* Its children wait until it has been replayed, which is before the next call. */
  for (uint32_t k = 0; k < p->child_count; k++) {
    uint32_t child = plan->numbers[p->children + k];
    if (!--plan->pieces[child].waits) push_ready(plan, bottom, child);
  }
  return next;
}

/* ---- Difference --------------------------------------------------------------------------------------------- */

enum { AT = 1, NEXT = 2, BOTH = AT | NEXT };

/* Pieces to look at with the side that reaches them (piece * 4 + side), in order; each once. */
struct frontier {
  uint32_t *list, count, open;
};

static void frontier_add(struct frontier *f, uint32_t piece, uint32_t side) {
  uint32_t at = f->count;
  while (at && f->list[at - 1] >> 2 > piece) at--;
  if (at && f->list[at - 1] >> 2 == piece) {
    uint32_t had = f->list[at - 1] & BOTH;
    f->open -= had != BOTH && (had | side) == BOTH;
    f->list[at - 1] |= side;
    return;
  }
  for (uint32_t i = f->count++; i > at; i--) f->list[i] = f->list[i - 1];
  f->list[at] = piece << 2 | side;
  f->open += side != BOTH;
}

/* The piece that is the latest of those which chains have behind `to`, and takes it from its chain; PLAN_NONE. */
static uint32_t take_latest(const struct walk_plan *plan, struct walk_plan_reach *from,
                            const struct walk_plan_reach *to) {
  uint32_t latest = PLAN_NONE;
  for (uint32_t c = 0; c < plan->chains; c++)
    if (from->last[c] > to->last[c] && (latest == PLAN_NONE || from->last[c] > latest + 1)) latest = from->last[c] - 1;
  if (latest != PLAN_NONE) from->last[plan->pieces[latest].chain] = plan->pieces[latest].before;
  return latest;
}

static void chain_difference(struct walk_plan *plan, uint32_t at, uint32_t next) {
  struct walk_plan_reach have = {{0}}, want = plan->reach[next];
  uint32_t piece;
  if (at != PLAN_NONE) have = plan->reach[at];
  want.last[plan->pieces[next].chain] = plan->pieces[next].before;
  struct walk_plan_reach from = have;
  while ((piece = take_latest(plan, &from, &want)) != PLAN_NONE) plan->left[plan->left_count++] = piece;
  from = want;
  while ((piece = take_latest(plan, &from, &have)) != PLAN_NONE) plan->entered[plan->entered_count++] = piece;
}

void walk_plan_difference(struct walk_plan *plan, uint32_t at, uint32_t next) {
  const struct walk_plan_piece *p = &plan->pieces[next];
  struct frontier f = {.list = plan->frontier};
  plan->left_count = plan->entered_count = 0;
  if (p->parent_count == 1 && plan->numbers[p->parents] == at) return;
  if (plan->chains) {
    chain_difference(plan, at, next);
    return;
  }
  if (at != PLAN_NONE) frontier_add(&f, at, AT);
  for (uint32_t i = 0; i < p->parent_count; i++) frontier_add(&f, plan->numbers[p->parents + i], NEXT);
  while (f.open) {
    uint32_t top = f.list[--f.count], side = top & BOTH;
    f.open -= side != BOTH;
    if (side == AT) plan->left[plan->left_count++] = top >> 2;
    if (side == NEXT) plan->entered[plan->entered_count++] = top >> 2;
    p = &plan->pieces[top >> 2];
    for (uint32_t i = 0; i < p->parent_count; i++) frontier_add(&f, plan->numbers[p->parents + i], side);
  }
}
