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

/* The part that is planned. */
struct part {
  const struct graph *graph;
  uint32_t base, from, to; /* local versions */
  uint32_t first, last;    /* runs of the graph */
  uint32_t most;           /* no less than the parents of all these */
  uint32_t edges, cuts;    /* parents in the part; places where a run is cut */
  uint32_t first_edge,
      child; /* where the pieces' parents begin in plan->numbers; how many children have a place there */
};

/* The run that holds `lv`, which is in the part and before run `below`. */
static uint32_t run_before(const struct part *part, uint32_t below, uint32_t lv) {
  enum { near = 6 };
  const struct graph_run *runs = part->graph->runs;
  uint32_t low = part->first, high = below;
  for (int i = 0; i < near && high > low; i++)
    if (runs[--high].lv <= lv) return high;
  while (high - low > 1) {
    uint32_t mid = (low + high) / 2;
    if (runs[mid].lv <= lv) low = mid;
    else high = mid;
  }
  return low;
}

/* Finds the runs in which the parents of the others lie: plan->numbers, one after the other; and where a parent lies
 * inside its run, which is cut behind it: behind part->most of them, sorted. */
static int find_cuts(struct walk_plan *plan, const struct graph *g, struct part *part) {
  const struct graph_run *runs = g->runs, *end = &runs[part->last];
  part->most = end->parents + end->parent_count - runs[part->first].parents;
  if (ENV_GROW(g->env, plan->numbers, plan->number_cap, 2 * (size_t)part->most + 1)) return DUNLIN_ENOMEM;
  uint32_t *cuts = plan->numbers + part->most, latest = 0;
  bool sorted = true;
  for (uint32_t run = part->first; run <= part->last; run++) {
    const struct graph_run *r = &runs[run];
    if (r->lv < part->from) continue; /* goes on with what is before the part */
    for (uint32_t i = 0; i < r->parent_count; i++) {
      uint32_t lv = g->parents[r->parents + i];
      plan->has_outside |= lv < part->from && lv >= part->base;
      if (lv < part->from) continue;
      uint32_t parent = run_before(part, run, lv);
      plan->numbers[part->edges++] = parent;
      if (runs[parent + 1].lv == lv + 1) continue;
      sorted &= latest <= lv;
      latest = lv;
      cuts[part->cuts++] = lv + 1;
    }
  }
  if (!sorted) qsort(cuts, part->cuts, sizeof *cuts, by_number);
  return 0;
}

/* Room for all that is noted of the pieces, once it is known how many there are at most. */
static int make_room(struct walk_plan *plan, const struct dunlin_env *env, struct part *part) {
  size_t pieces = (size_t)part->cuts + (part->last - part->first) + 1, edges = (size_t)part->edges + part->cuts;
  if (edges < part->most) edges = part->most;
  if (ENV_GROW(env, plan->pieces, plan->cap, pieces) ||
      ENV_GROW(env, plan->numbers, plan->number_cap, 2 * edges + 4 * pieces + 1))
    return DUNLIN_ENOMEM;
  part->first_edge = (uint32_t)edges;
  plan->ready = plan->numbers + 2 * edges;
  plan->frontier = plan->ready + pieces;
  plan->left = plan->frontier + pieces + 1;
  plan->entered = plan->left + pieces;
  return 0;
}

/* Makes the pieces; plan->ready: the last one of each run, until pieces become ready. */
static void cut_pieces(struct walk_plan *plan, const struct graph *g, const struct oplog *log,
                       const struct part *part) {
  const uint32_t *cut = plan->numbers + part->most, *cuts_end = cut + part->cuts;
  size_t op = oplog_near(log, part->from, plan->op);
  plan->count = 0;
  for (uint32_t run = part->first; run <= part->last; run++) {
    uint32_t at = g->runs[run].lv > part->from ? g->runs[run].lv : part->from, end = run_end(g, run);
    if (end > part->to) end = part->to;
    while (at < end) {
      while (cut < cuts_end && *cut <= at) cut++;
      uint32_t stop = cut < cuts_end && *cut < end ? *cut : end;
      size_t first = op;
      while (op < log->count && log->runs[op].lv < stop) op++;
      plan->pieces[plan->count++] =
          (struct walk_plan_piece){.from = at, .to = stop, .run = run, .op = (uint32_t)first, .op_end = (uint32_t)op};
      if (op > first && log->runs[op - 1].lv + log->runs[op - 1].len > stop) op--; /* goes on in the next piece */
      at = stop;
    }
    plan->ready[run - part->first] = (uint32_t)plan->count - 1;
  }
  plan->op = op;
}

/* The piece of run `run` that ends behind `lv`. */
static uint32_t piece_ending(const struct walk_plan *plan, uint32_t run, uint32_t lv) {
  uint32_t high = plan->ready[run], low = run ? plan->ready[run - 1] + 1 : 0;
  if (plan->pieces[high].to == lv + 1) return high;
  while (high - low > 1) {
    uint32_t mid = (low + high) / 2;
    if (plan->pieces[mid].from <= lv) low = mid;
    else high = mid;
  }
  return low;
}

/* Notes the parents of a piece; `edge` of those of runs have been noted before. */
static void link_parents(struct walk_plan *plan, const struct part *part, struct walk_plan_piece *p, uint32_t *edge) {
  const struct graph *g = part->graph;
  const struct graph_run *r = &g->runs[p->run];
  uint32_t *out = plan->numbers + p->parents, count = 0;
  if (r->lv == p->from) {
    for (uint32_t k = 0; k < r->parent_count; k++) {
      uint32_t lv = g->parents[r->parents + k];
      if (lv >= part->from) out[count++] = piece_ending(plan, plan->numbers[(*edge)++] - part->first, lv);
    }
  } else if (p->from > part->from) {
    out[count++] = (uint32_t)(p - plan->pieces) - 1;
  } else {
    plan->has_outside |= p->from > part->base;
  }
  for (uint32_t k = 0; k < count; k++) plan->pieces[out[k]].child_count++;
  p->parent_count = p->waits = count;
}

/* Puts a piece on a chain; false when they do not suffice. */
static bool find_chain(struct walk_plan *plan, uint32_t piece, struct walk_plan_reach *ends) {
  struct walk_plan_piece *p = &plan->pieces[piece];
  struct walk_plan_reach reach = {{0}};
  for (uint32_t k = 0; k < p->parent_count; k++) {
    const struct walk_plan_reach *parent = &plan->reach[plan->numbers[p->parents + k]];
    for (int c = 0; c < PLAN_CHAINS; c++)
      reach.last[c] = reach.last[c] < parent->last[c] ? parent->last[c] : reach.last[c];
  }
  uint32_t chain = 0;
  while (reach.last[chain] != ends->last[chain])
    if (++chain == PLAN_CHAINS) return false;
  if (chain >= plan->chains) plan->chains = chain + 1;
  p->chain = chain;
  p->before = ends->last[chain];
  reach.last[chain] = ends->last[chain] = piece + 1;
  plan->reach[piece] = reach;
  return true;
}

/* Parents and chains of all pieces.  Where chains do not suffice, little memory has been asked for. */
static int link_pieces(struct walk_plan *plan, const struct part *part) {
  struct walk_plan_reach ends = {{0}};
  uint32_t edge = 0, at = part->first_edge;
  bool chained = true;
  plan->chains = 0;
  for (uint32_t i = 0; i < plan->count; i++) {
    struct walk_plan_piece *p = &plan->pieces[i];
    p->parents = at;
    link_parents(plan, part, p, &edge);
    at += p->parent_count;
    if (!chained) continue;
    if (ENV_GROW(part->graph->env, plan->reach, plan->reach_cap, i + 1)) return DUNLIN_ENOMEM;
    chained = find_chain(plan, i, &ends);
  }
  if (!chained) plan->chains = 0;
  return 0;
}

/* Puts what has become ready on the stack above `bottom`, the lightest on top: the branch that comes last need not be
 * left again. */
static void push_ready(struct walk_plan *plan, uint32_t bottom, uint32_t piece) {
  uint32_t at = plan->depth++;
  for (; at > bottom && plan->pieces[plan->ready[at - 1]].weight < plan->pieces[piece].weight; at--)
    plan->ready[at] = plan->ready[at - 1];
  plan->ready[at] = piece;
}

static uint32_t add_weight(uint32_t weight, uint32_t more) {
  return weight > UINT32_MAX - more ? UINT32_MAX : weight + more;
}

/* Weighs the pieces and makes them known to their parents, the latest first: then what follows each has been
 * weighed. */
static void weigh(struct walk_plan *plan) {
  uint32_t room = 0;
  for (size_t i = plan->count; i-- > 0;) {
    struct walk_plan_piece *p = &plan->pieces[i];
    p->weight = add_weight(p->weight, p->to - p->from);
    if (!p->waits) push_ready(plan, 0, (uint32_t)i);
    uint32_t share = p->waits > 1 ? p->weight / p->waits : p->weight;
    for (uint32_t k = 0; k < p->parent_count; k++) {
      struct walk_plan_piece *parent = &plan->pieces[plan->numbers[p->parents + k]];
      parent->weight = add_weight(parent->weight, share);
      if (!parent->children) parent->children = room += parent->child_count; /* from its end on */
      plan->numbers[--parent->children] = (uint32_t)i;
    }
  }
}

int walk_plan_make(struct walk_plan *plan, const struct graph *g, const struct oplog *log, uint32_t base, uint32_t from,
                   uint32_t to) {
  struct part part = {.graph = g, .base = base, .from = from, .to = to};
  part.first = graph_run_near(g, from, plan->run);
  part.last = plan->run = graph_run_near(g, to - 1, part.first);
  plan->has_outside = false;
  plan->depth = 0;
  if (find_cuts(plan, g, &part) || make_room(plan, g->env, &part)) return DUNLIN_ENOMEM;
  cut_pieces(plan, g, log, &part);
  if (link_pieces(plan, &part)) return DUNLIN_ENOMEM;
  weigh(plan);
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

/* Writes the pieces that chains have at `from` and not at `to`, the latest first; gives how many. */
static uint32_t pieces_between(const struct walk_plan *plan, const struct walk_plan_reach *from,
                               const struct walk_plan_reach *to, uint32_t *out) {
  uint32_t end[PLAN_CHAINS], stop[PLAN_CHAINS], open = 0, count = 0;
  for (uint32_t c = 0; c < plan->chains; c++) {
    end[open] = from->last[c];
    stop[open] = to->last[c];
    open += end[open] > stop[open];
  }
  while (open) {
    uint32_t c = 0;
    for (uint32_t k = 1; k < open; k++)
      if (end[k] > end[c]) c = k;
    do {
      out[count++] = end[c] - 1;
      end[c] = plan->pieces[end[c] - 1].before;
    } while (open == 1 && end[c] > stop[c]);
    if (end[c] > stop[c]) continue;
    open--;
    end[c] = end[open];
    stop[c] = stop[open];
  }
  return count;
}

static void chain_difference(struct walk_plan *plan, uint32_t at, uint32_t next) {
  static const struct walk_plan_reach nothing;
  const struct walk_plan_reach *have = at == PLAN_NONE ? &nothing : &plan->reach[at];
  struct walk_plan_reach want = plan->reach[next];
  want.last[plan->pieces[next].chain] = plan->pieces[next].before;
  plan->left_count = pieces_between(plan, have, &want, plan->left);
  plan->entered_count = pieces_between(plan, &want, have, plan->entered);
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
