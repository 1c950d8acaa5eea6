#include "crdt/walker.h"

#include <string.h>

static bool before(void *ctx, uint32_t ord, uint32_t other);
static bool wins(void *ctx, uint32_t ord, uint32_t other);

void walker_init(struct walker *w, const struct graph *graph, const struct oplog *log, const struct lv_ranges *voids,
                 const struct column *values) {
  *w = (struct walker){.graph = graph, .log = log, .voids = voids, .values = values};
  tracker_init(&w->tracker, graph->env, before, wins, w);
}

void walker_stop(struct walker *w) {
  const struct dunlin_env *env = w->graph->env;
  tracker_free(&w->tracker);
  w->is_live = false;
  ENV_FREE_ARRAY(env, w->version, w->version_cap);
  ENV_FREE_ARRAY(env, w->sets, w->set_cap);
  lv_ranges_free(&w->left, env);
  lv_ranges_free(&w->entered, env);
  walk_plan_free(&w->plan, env);
  bool notes_sets = w->notes_sets;
  walker_init(w, w->graph, w->log, w->voids, w->values);
  w->notes_sets = notes_sets;
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
  size_t run = w->plan.op = oplog_near(w->log, base, w->plan.op);
  uint32_t ord = w->log->ops;
  if (run < w->log->count) ord = op_piece(&w->log->runs[run], base, LV_LIMIT).ord;
  const struct graph *g = w->graph;
  const uint32_t *heads = g->heads;
  size_t count = g->head_count;
  uint32_t one;
  /* What comes first behind a critical version builds on just that. */
  if (base < g->lvs) {
    w->plan.run = graph_run_near(g, base, w->plan.run);
    heads = graph_parents_at(g, w->plan.run, base, &one, &count);
  }
  w->base = w->to = base;
  w->is_live = false;
  ENV_FREE_ARRAY(g->env, w->sets, w->set_cap);
  w->sets = NULL;
  w->set_cap = 0;
  int error = ENV_GROW(g->env, w->version, w->version_cap, 1); /* room for the version after a change */
  if (!error) error = set_version(w, heads, count);
  if (!error) error = tracker_reset(&w->tracker, ord);
  if (!error) w->is_live = true;
  return error;
}

/* ---- Order of concurrent insertions at one place ------------------------------------------------------------ */

static uint32_t lv_of(const struct walker *w, uint32_t ord) {
  if (ord >= w->log->ops) return w->open_lv + (ord - w->log->ops);
  const struct op_run *run = &w->log->runs[oplog_by_ord(w->log, ord)];
  return run->lv + (ord - run->ord);
}

static bool before(void *ctx, uint32_t ord, uint32_t other) {
  const struct walker *w = ctx;
  return graph_before(w->graph, lv_of(w, ord), lv_of(w, other));
}

static bool wins(void *ctx, uint32_t ord, uint32_t other) {
  const struct walker *w = ctx;
  return graph_wins(w->graph, lv_of(w, ord), lv_of(w, other));
}

/* ---- Writes to elements ------------------------------------------------------------------------------------- */

static int reserve_set(struct walker *w, uint32_t ord) {
  size_t before = w->set_cap;
  int error = ENV_GROW(w->graph->env, w->sets, w->set_cap, (size_t)(ord - w->tracker.first_ord) / 8 + 1);
  if (w->set_cap > before) memset(w->sets + before, 0, w->set_cap - before);
  return error;
}

static void move_set(struct walker *w, uint32_t ord, int by) {
  uint32_t at = ord - w->tracker.first_ord;
  uint8_t bit = (uint8_t)(1u << at % 8);
  if (by > 0) w->sets[at / 8] |= bit;
  else w->sets[at / 8] &= (uint8_t)~bit;
}

bool walker_seen(const struct walker *w, uint32_t lv) {
  if (lv < w->base) return true;
  const struct op_run *run = &w->log->runs[oplog_from(w->log, lv)];
  uint32_t at = run->ord - w->tracker.first_ord;
  return !walker_is_set(run) || w->sets[at / 8] & 1u << at % 8; /* who writes to an element has seen it made */
}

/* ---- The prepare version ------------------------------------------------------------------------------------ */

static int move_piece(struct walker *w, const struct op_run *run, struct op_piece piece, int by) {
  uint32_t done = run->idle || walker_is_set(run) ? piece.len : 0;
  if (done && !run->idle) move_set(w, piece.ord, by); /* sets are runs of one */
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
  int error = op_is_anchor(run->kind) ? tracker_reserve_anchor(&w->tracker, piece.ord + piece.len) : 0;
  if (error) return error;
  uint32_t pos = op_is_anchor(run->kind)
                     ? tracker_insert_anchor(&w->tracker, piece.ord, piece.a, op_is_opening(run->kind), is_void)
                     : tracker_insert(&w->tracker, piece.ord, piece.a, piece.len, is_void);
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

/* The index before which a move puts its element. */
static uint32_t move_target(const struct walker *w, const struct op_run *run) {
  const uint8_t *start = column_at(w->values, run->at), *end = w->values->buf.data + w->values->buf.len;
  struct mp_reader r = {start, end, 0};
  return (uint32_t)mp_read_uint(&r, UINT32_MAX);
}

static int apply_move(struct walker *w, const struct op_run *run, struct op_piece piece, bool is_void,
                      const struct walker_sink *sink) {
  uint32_t was, is, to = move_target(w, run);
  if (to > w->tracker.now) return DUNLIN_ECORRUPT;
  int error = tracker_reserve_move(&w->tracker, piece.ord + 1);
  if (error) return error;
  tracker_move(&w->tracker, piece.ord, piece.a, to, is_void, &was, &is);
  return sink && was != is ? sink->move(sink->ctx, was, is) : 0;
}

static int apply_set(struct walker *w, const struct op_run *run, struct op_piece piece, bool is_void,
                     const struct walker_sink *sink) {
  int error = reserve_set(w, piece.ord);
  if (error) return error;
  move_set(w, piece.ord, 1);
  if (w->notes_sets) tracker_note(&w->tracker, piece.ord, piece.a);
  if (!sink || is_void) return 0;
  uint32_t pos = tracker_effect_index(&w->tracker, piece.a);
  return pos == TRACKER_NONE ? 0 : sink->set(sink->ctx, pos, run);
}

int walker_apply(struct walker *w, const struct op_run *run, struct op_piece piece, bool is_void,
                 const struct walker_sink *sink) {
  int error = tracker_reserve(&w->tracker, piece.ord + piece.len);
  if (error) return error;
  switch (run->kind) {
    case OP_DELETE: return apply_delete(w, run, piece, is_void, sink);
    case OP_LIST_MOVE: return apply_move(w, run, piece, is_void, sink);
    case OP_LIST_SET:
    case OP_LIST_SET_OVER:
    case OP_LIST_SET_CHILD: return apply_set(w, run, piece, is_void, sink);
    default: return apply_insert(w, run, piece, is_void, sink);
  }
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

/* All operations of the container in a piece. */
static int apply_piece(struct walker *w, const struct walk_plan_piece *p, const struct walker_sink *sink) {
  int error = 0;
  for (size_t at = p->op; !error && at < p->op_end; at++) {
    const struct op_run *run = &w->log->runs[at];
    uint32_t lv = run->lv > p->from ? run->lv : p->from, end = run->lv + run->len < p->to ? run->lv + run->len : p->to;
    while (!error && !run->idle && lv < end) {
      bool is_void = false;
      uint32_t until = w->voids->count ? void_until(w, lv, &is_void) : end;
      if (until > end) until = end;
      error = walker_apply(w, run, op_piece(run, lv, until), is_void, sink);
      lv = until;
    }
  }
  return error;
}

/* ---- Replaying ---------------------------------------------------------------------------------------------- */

static int leave_piece(struct walker *w, const struct walk_plan_piece *p) {
  int error = 0;
  for (size_t at = p->op_end; !error && at-- > p->op;)
    error = move_piece(w, &w->log->runs[at], op_piece(&w->log->runs[at], p->from, p->to), -1);
  return error;
}

static int enter_piece(struct walker *w, const struct walk_plan_piece *p) {
  int error = 0;
  for (size_t at = p->op; !error && at < p->op_end; at++)
    error = move_piece(w, &w->log->runs[at], op_piece(&w->log->runs[at], p->from, p->to), 1);
  return error;
}

/* Moves the prepare version from behind piece `at` to the parents of piece `next`. */
static int go_to_piece(struct walker *w, uint32_t at, uint32_t next) {
  struct walk_plan *plan = &w->plan;
  int error = 0;
  if (plan->has_outside) {
    const struct walk_plan_piece *p = &plan->pieces[next];
    uint32_t one;
    size_t count;
    const uint32_t *heads = graph_parents_at(w->graph, p->run, p->from, &one, &count);
    return walker_go(w, heads, count);
  }
  walk_plan_difference(plan, at, next);
  for (uint32_t i = 0; !error && i < plan->left_count; i++) error = leave_piece(w, &plan->pieces[plan->left[i]]);
  for (uint32_t i = plan->entered_count; !error && i-- > 0;) error = enter_piece(w, &plan->pieces[plan->entered[i]]);
  return error;
}

int walker_replay(struct walker *w, uint32_t to, const struct walker_sink *sink) {
  if (to <= w->to) return 0;
  int error = walk_plan_make(&w->plan, w->graph, w->log, w->base, w->to, to);
  /* A version that is not the base's: what differs is asked of the graph. */
  w->plan.has_outside |= w->to != w->base;
  uint32_t at = PLAN_NONE, next;
  while (!error && (next = walk_plan_next(&w->plan)) != PLAN_NONE) {
    uint32_t last = w->plan.pieces[next].to - 1;
    error = go_to_piece(w, at, next);
    if (!error) error = apply_piece(w, &w->plan.pieces[next], sink);
    if (!error) error = set_version(w, &last, 1);
    at = next;
  }
  if (!error) w->to = to;
  else walker_stop(w);
  return error;
}
