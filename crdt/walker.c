#include "crdt/walker.h"

#include <stdlib.h>
#include <string.h>

static bool before(void *ctx, uint32_t ord, uint32_t other);

void walker_init(struct walker *w, const struct graph *graph, const struct oplog *log, const struct lv_ranges *voids) {
  *w = (struct walker){.graph = graph, .log = log, .voids = voids};
  tracker_init(&w->tracker, graph->env, before, w);
}

void walker_stop(struct walker *w) {
  const struct dunlin_env *env = w->graph->env;
  tracker_free(&w->tracker);
  w->is_live = false;
  ENV_FREE_ARRAY(env, w->version, w->version_cap);
  lv_ranges_free(&w->left, env);
  lv_ranges_free(&w->entered, env);
  ENV_FREE_ARRAY(env, w->pieces, w->piece_cap);
  ENV_FREE_ARRAY(env, w->numbers, w->number_cap);
  walker_init(w, w->graph, w->log, w->voids);
}

void walker_free(struct walker *w) {
  walker_stop(w);
}

static int set_version(struct walker *w, const uint32_t *version, size_t count) {
  if (ENV_GROW(w->graph->env, w->version, w->version_cap, count)) return DUNLIN_ENOMEM;
  if (count) memcpy(w->version, version, count * sizeof *version);
  w->version_count = count;
  return 0;
}

int walker_start(struct walker *w, uint32_t base) {
  size_t run = oplog_from(w->log, base);
  uint32_t ord = w->log->ops;
  if (run < w->log->count) ord = op_piece(&w->log->runs[run], base, LV_LIMIT).ord;
  const struct graph *g = w->graph;
  const uint32_t *heads = g->heads;
  size_t count = g->head_count;
  uint32_t one;
  /* What comes first behind a critical version builds on just that. */
  if (base < g->lvs) heads = graph_parents_at(g, graph_run_at(g, base), base, &one, &count);
  w->base = w->to = base;
  w->is_live = false;
  int error = ENV_GROW(g->env, w->version, w->version_cap, 1); /* room for the version after a change */
  if (!error) error = set_version(w, heads, count);
  if (!error) error = tracker_reset(&w->tracker, ord);
  if (!error) w->is_live = true;
  return error;
}

/* ---- Order of concurrent insertions at one place ------------------------------------------------------------ */

static uint32_t lv_of(const struct walker *w, uint32_t ord) {
  size_t low = 0, high = w->log->count;
  if (ord >= w->log->ops) return w->open_lv + (ord - w->log->ops);
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (w->log->runs[mid].ord <= ord) low = mid;
    else high = mid;
  }
  return w->log->runs[low].lv + (ord - w->log->runs[low].ord);
}

static bool before(void *ctx, uint32_t ord, uint32_t other) {
  const struct walker *w = ctx;
  return graph_before(w->graph, lv_of(w, ord), lv_of(w, other));
}

/* ---- The prepare version ------------------------------------------------------------------------------------ */

static int move_piece(struct walker *w, const struct op_run *run, struct op_piece piece, int by) {
  uint32_t done = run->idle ? piece.len : 0;
  while (done < piece.len) {
    int error = tracker_reserve(&w->tracker, piece.ord + piece.len);
    if (error) return error;
    if (run->kind == OP_DELETE) done += tracker_move_delete(&w->tracker, piece.ord + done, piece.len - done, by);
    else done += tracker_move_insert(&w->tracker, piece.ord + done, piece.len - done, by);
  }
  return 0;
}

static int retreat(struct walker *w, struct lv_range range) {
  if (range.from < w->base) range.from = w->base;
  if (range.from >= range.to) return 0;
  size_t at = oplog_from(w->log, range.to - 1);
  if (at == w->log->count || w->log->runs[at].lv >= range.to) at--; /* wraps when there is none */
  int error = 0;
  for (; !error && at < w->log->count && w->log->runs[at].lv + w->log->runs[at].len > range.from; at--)
    error = move_piece(w, &w->log->runs[at], op_piece(&w->log->runs[at], range.from, range.to), -1);
  return error;
}

static int advance(struct walker *w, struct lv_range range) {
  if (range.from < w->base) range.from = w->base;
  if (range.from >= range.to) return 0;
  int error = 0;
  size_t at = oplog_from(w->log, range.from);
  for (; !error && at < w->log->count && w->log->runs[at].lv < range.to; at++)
    error = move_piece(w, &w->log->runs[at], op_piece(&w->log->runs[at], range.from, range.to), 1);
  return error;
}

int walker_go(struct walker *w, const uint32_t *version, size_t count) {
  if (count == w->version_count && (!count || !memcmp(version, w->version, count * sizeof *version))) return 0;
  int error = graph_difference(w->graph, w->version, w->version_count, version, count, &w->left, &w->entered);
  if (!error) error = set_version(w, version, count);
  for (size_t i = 0; !error && i < w->left.count; i++) error = retreat(w, w->left.list[i]);
  for (size_t i = w->entered.count; !error && i-- > 0;) error = advance(w, w->entered.list[i]);
  if (error) walker_stop(w);
  return error;
}

/* ---- Applying ----------------------------------------------------------------------------------------------- */

static int apply_insert(struct walker *w, const struct op_run *run, struct op_piece piece, bool is_void,
                        const struct walker_sink *sink) {
  uint32_t pos = tracker_insert(&w->tracker, piece.ord, piece.a, piece.len, is_void);
  return sink && !is_void ? sink->insert(sink->ctx, pos, run, piece.skipped, piece.len) : 0;
}

static int apply_delete(struct walker *w, const struct op_run *run, struct op_piece piece, bool is_void,
                        const struct walker_sink *sink) {
  bool backward = run->at == DIRECTION_BACKWARD;
  int error = 0;
  for (uint32_t effect; !error && piece.len;) {
    error = tracker_reserve(&w->tracker, piece.ord + piece.len);
    if (error) return error;
    uint32_t done = tracker_delete(&w->tracker, piece.ord, piece.a, piece.len, backward, is_void, &effect);
    if (sink && effect != TRACKER_NONE) error = sink->erase(sink->ctx, effect, done);
    piece.len -= done;
    if (!backward) piece.ord += done;
  }
  return error;
}

int walker_apply(struct walker *w, const struct op_run *run, struct op_piece piece, bool is_void,
                 const struct walker_sink *sink) {
  int error = tracker_reserve(&w->tracker, piece.ord + piece.len);
  if (error) return error;
  return run->kind == OP_DELETE ? apply_delete(w, run, piece, is_void, sink)
                                : apply_insert(w, run, piece, is_void, sink);
}

/* The LV at which being void changes, behind `lv`, and whether `lv` is. */
static uint32_t void_until(const struct walker *w, uint32_t lv, bool *is_void) {
  uint32_t until = LV_LIMIT;
  *is_void = false;
  for (size_t i = 0; i < w->voids->count; i++) {
    const struct lv_range *r = &w->voids->list[i];
    if (lv >= r->to) break;
    *is_void = lv >= r->from;
    until = *is_void ? r->to : r->from;
  }
  return until;
}

/* All operations of the container in [from, to), which lie in one run of the graph. */
static int apply_range(struct walker *w, uint32_t from, uint32_t to, const struct walker_sink *sink) {
  int error = 0;
  for (size_t at = oplog_from(w->log, from); !error && at < w->log->count && w->log->runs[at].lv < to; at++) {
    const struct op_run *run = &w->log->runs[at];
    uint32_t lv = run->lv > from ? run->lv : from, end = run->lv + run->len < to ? run->lv + run->len : to;
    while (!error && !run->idle && lv < end) {
      bool is_void;
      uint32_t until = void_until(w, lv, &is_void);
      if (until > end) until = end;
      error = walker_apply(w, run, op_piece(run, lv, until), is_void, sink);
      lv = until;
    }
  }
  return error;
}

/* ---- The plan: which branch first --------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* The piece that ends behind `lv`. */
static size_t piece_ending(const struct walker *w, size_t count, uint32_t lv) {
  size_t low = 0, high = count;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (w->pieces[mid].from <= lv) low = mid;
    else high = mid;
  }
  return low;
}

/* Cuts the graph from w->to up to `to` into pieces, in order. */
static int cut_pieces(struct walker *w, uint32_t to, size_t *count) {
  const struct graph *g = w->graph;
  uint32_t first = graph_run_at(g, w->to), last = graph_run_at(g, to - 1), one;
  size_t cuts = 0, parents;
  for (uint32_t run = first; run <= last; run++) {
    uint32_t from = g->runs[run].lv > w->to ? g->runs[run].lv : w->to;
    const uint32_t *list = graph_parents_at(g, run, from, &one, &parents);
    if (ENV_GROW(g->env, w->numbers, w->number_cap, cuts + parents + 2)) return DUNLIN_ENOMEM;
    w->numbers[cuts++] = from;
    for (size_t i = 0; i < parents; i++)
      if (list[i] + 1 > w->to && list[i] + 1 < to) w->numbers[cuts++] = list[i] + 1;
  }
  qsort(w->numbers, cuts, sizeof *w->numbers, by_number);
  if (ENV_GROW(g->env, w->pieces, w->piece_cap, cuts)) return DUNLIN_ENOMEM;
  *count = 0;
  for (size_t i = 0; i < cuts; i++) {
    if (*count && w->pieces[*count - 1].from == w->numbers[i]) continue;
    if (*count) w->pieces[*count - 1].to = w->numbers[i];
    w->pieces[(*count)++] = (struct walker_piece){.from = w->numbers[i], .to = to};
  }
  for (size_t i = 0; i < *count; i++) w->pieces[i].run = graph_run_at(g, w->pieces[i].from);
  return 0;
}

/* Calls on (parent piece, piece) for each parent of each piece that is in the plan. */
static void link_pieces(struct walker *w, size_t count, bool fill) {
  uint32_t one;
  size_t parents;
  for (size_t i = 0; i < count; i++) {
    struct walker_piece *p = &w->pieces[i];
    const uint32_t *list = graph_parents_at(w->graph, p->run, p->from, &one, &parents);
    for (size_t k = 0; k < parents; k++) {
      if (list[k] < w->to) continue;
      struct walker_piece *parent = &w->pieces[piece_ending(w, count, list[k])];
      if (fill) w->numbers[parent->children + parent->child_count++] = (uint32_t)i;
      else parent->children++, p->waits++;
    }
  }
}

/* Gives each piece its children, and its weight. */
static int link_plan(struct walker *w, size_t count) {
  uint32_t edges = 0;
  link_pieces(w, count, false);
  for (size_t i = 0; i < count; i++) {
    uint32_t own = w->pieces[i].children;
    w->pieces[i].children = edges;
    edges += own;
  }
  if (ENV_GROW(w->graph->env, w->numbers, w->number_cap, edges + count)) return DUNLIN_ENOMEM;
  link_pieces(w, count, true);
  for (size_t i = count; i-- > 0;) {
    struct walker_piece *p = &w->pieces[i];
    uint64_t weight = p->to - p->from;
    for (uint32_t k = 0; k < p->child_count; k++) {
      const struct walker_piece *child = &w->pieces[w->numbers[p->children + k]];
      weight += child->weight / (child->waits ? child->waits : 1);
    }
    p->weight = weight > UINT32_MAX ? UINT32_MAX : (uint32_t)weight;
  }
  return 0;
}

/* Puts what has become ready on the stack above `bottom`, the lightest on top: the branch that comes last need not be left again. */
static size_t push_ready(const struct walker *w, uint32_t *stack, size_t bottom, size_t depth, uint32_t piece) {
  size_t at = depth;
  for (; at > bottom && w->pieces[stack[at - 1]].weight < w->pieces[piece].weight; at--) stack[at] = stack[at - 1];
  stack[at] = piece;
  return depth + 1;
}

static int carry_out(struct walker *w, size_t count, const struct walker_sink *sink) {
  uint32_t *stack = w->numbers + (w->number_cap - count), one;
  size_t depth = 0, parents;
  int error = 0;
  for (size_t i = count; i-- > 0;)
    if (!w->pieces[i].waits) depth = push_ready(w, stack, 0, depth, (uint32_t)i);
  while (!error && depth) {
    const struct walker_piece *p = &w->pieces[stack[--depth]];
    const uint32_t *list = graph_parents_at(w->graph, p->run, p->from, &one, &parents);
    error = walker_go(w, list, parents);
    if (!error) error = apply_range(w, p->from, p->to, sink);
    uint32_t last = p->to - 1;
    if (!error) error = set_version(w, &last, 1);
    if (error) break; /* the plan may be gone */
    size_t bottom = depth;
    for (uint32_t k = 0; k < p->child_count; k++) {
      uint32_t child = w->numbers[p->children + k];
      if (!--w->pieces[child].waits) depth = push_ready(w, stack, bottom, depth, child);
    }
  }
  return error;
}

int walker_replay(struct walker *w, uint32_t to, const struct walker_sink *sink) {
  size_t count = 0;
  if (to <= w->to) return 0;
  int error = cut_pieces(w, to, &count);
  if (!error) error = link_plan(w, count);
  if (!error) error = carry_out(w, count, sink);
  if (!error) w->to = to;
  else walker_stop(w);
  return error;
}
