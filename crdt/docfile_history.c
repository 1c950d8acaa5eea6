/* Decoding the history that a document was opened without. */
#include <string.h>

#include "crdt/docfile_history.h"

/* ---- The graph ---------------------------------------------------------------------------------------------- */

static int read_lengths(struct history *h, struct mp_reader *r) {
  struct graph *g = &h->graph;
  struct column_in counts = docfile_column(r), lengths = docfile_column(r);
  uint32_t change = 0, lv = 0;
  if (counts.count != lengths.count) mp_fail(r);
  if (r->error || ENV_GROW(g->env, g->lengths, g->length_cap, counts.count)) return r->error ? r->error : DUNLIN_ENOMEM;
  for (size_t i = lengths.count; i; i--) {
    uint32_t count = docfile_take(&counts, r, (uint64_t)h->file->changes - change + 1);
    uint32_t length = docfile_take(&lengths, r, DUNLIN_MAX_DELTA_OPS + 1);
    if (!count || !length || (uint64_t)count * length > h->file->lvs - lv) mp_fail(r);
    if (r->error) return r->error;
    g->lengths[g->length_count++] = (struct graph_length){lv, change, length};
    change += count;
    lv += count * length;
  }
  return change == h->file->changes && lv == h->file->lvs ? 0 : DUNLIN_EFORMAT;
}

static int read_times(struct history *h, struct mp_reader *r) {
  struct graph *g = &h->graph;
  struct column_in steps = docfile_column(r), times = docfile_column(r);
  uint32_t change = 0;
  int64_t time = 0;
  if (steps.count != times.count) mp_fail(r);
  if (r->error || ENV_GROW(g->env, g->times, g->time_cap, steps.count)) return r->error ? r->error : DUNLIN_ENOMEM;
  for (size_t i = times.count; i; i--) {
    uint32_t step = docfile_take(&steps, r, (uint64_t)h->file->changes - change);
    int64_t by = docfile_take_int(&times, r);
    if ((!step && g->time_count) || !by) mp_fail(r);
    if (r->error) return r->error;
    change += step;
    time = (int64_t)((uint64_t)time + (uint64_t)by);
    g->times[g->time_count++] = (struct graph_time){change, time};
  }
  return 0;
}

/* Where the changes up to one end, found in order. */
struct end_of_changes {
  size_t at; /* in graph->lengths */
};

static uint32_t end_of(const struct history *h, struct end_of_changes *e, uint32_t change) {
  const struct graph *g = &h->graph;
  while (e->at + 1 < g->length_count && g->lengths[e->at + 1].change < change) e->at++;
  const struct graph_length *l = &g->lengths[e->at];
  return l->lv + (change - l->change) * l->length;
}

/* The columns of the graph's runs. */
struct runs_in {
  struct column_in actors, counts, shapes, others, backs, numbers;
};

/* The last operation of a parent, given by its actor and how many changes that has made since. */
static uint32_t take_parent(struct history *h, struct docfile_actors *actors, struct runs_in *in, struct mp_reader *r) {
  const struct graph *g = &h->graph;
  uint32_t actor = docfile_take(&in->others, r, h->file->actor_count + 1);
  actor = actor ? actor - 1 : docfile_other(actors);
  uint32_t back = actor == LV_NONE ? 0 : docfile_take(&in->backs, r, actors->counts[actor]);
  if (actor == LV_NONE || !actors->counts[actor]) mp_fail(r);
  if (r->error) return 0;
  uint32_t at = actors->counts[actor] - 1 - back;
  const struct graph_actor *a = &g->actors[h->file->actors[actor]];
  size_t low = 0, high = a->run_count;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (actors->firsts[a->runs[mid]] <= at) low = mid;
    else high = mid;
  }
  uint32_t change = g->runs[a->runs[low]].change + (at - actors->firsts[a->runs[low]]);
  return graph_start(g, change + 1) - 1;
}

static int read_run(struct history *h, struct docfile_actors *actors, struct runs_in *in, struct end_of_changes *ends,
                    struct mp_reader *r) {
  struct graph *g = &h->graph;
  uint32_t parents[DUNLIN_MAX_PARENTS], parent_count = 0;
  uint32_t actor = docfile_take(&in->actors, r, h->file->actor_count);
  uint32_t changes = docfile_take(&in->counts, r, (uint64_t)h->file->changes - g->changes + 1);
  uint32_t shape = docfile_take(&in->shapes, r, 2 * DUNLIN_MAX_PARENTS + 1);
  if (!changes) mp_fail(r);
  if (r->error) return r->error;
  docfile_actors_turn(actors, actor, g->run_count);
  if (shape & 1u) {
    if (!actors->counts[actor]) return DUNLIN_EFORMAT;
    parents[parent_count++] = graph_start(g, actors->newest[actor] + 1) - 1;
  }
  for (uint32_t k = shape / 2; k && !r->error; k--) parents[parent_count++] = take_parent(h, actors, in, r);
  uint32_t number = actors->numbers[actor];
  if (in->numbers.count) number -= docfile_take(&in->numbers, r, (uint64_t)number + 1);
  if (r->error) return r->error;
  int error = graph_open(g, parents, parent_count);
  if (error) return error;
  size_t before = g->run_count;
  uint32_t change = g->changes;
  g->open.actor = h->file->actors[actor];
  g->open.number = number;
  error = graph_settle_run(g, changes, end_of(h, ends, change + changes) - g->lvs);
  if (!error && g->run_count == before) error = DUNLIN_EFORMAT; /* it goes on with the one before */
  /* An actor that does not fork has one newest change; each run costs time for each head. */
  if (!error && !(h->file->flags & FLAG_PLAIN) && g->head_count > h->file->actor_count) error = DUNLIN_EFORMAT;
  docfile_actors_done(actors, change, changes, number);
  return error;
}

static int read_runs(struct history *h, struct mp_reader *r) {
  struct graph *g = &h->graph;
  struct runs_in in = {docfile_column(r), {{0}}, {{0}}, {{0}}, {{0}}, {{0}}};
  in.counts = docfile_column(r);
  in.shapes = docfile_column(r);
  in.others = docfile_column(r);
  in.backs = docfile_column(r);
  in.numbers = docfile_column(r);
  size_t count = in.actors.count;
  if (in.numbers.count != (h->file->flags & FLAG_PLAIN ? count : 0)) mp_fail(r);
  struct end_of_changes ends = {0};
  struct docfile_actors actors;
  int error = read_lengths(h, r);
  if (!error) error = read_times(h, r);
  if (error) return error;
  error = docfile_actors_init(&actors, g->env, h->file->actor_count, count);
  for (size_t i = 0; !error && i < count; i++) error = read_run(h, &actors, &in, &ends, r);
  docfile_actors_free(&actors);
  if (error) return error;
  bool all = !in.counts.count && !in.shapes.count && !in.others.count && !in.backs.count && !in.numbers.count;
  return g->changes == h->file->changes && all ? r->error : DUNLIN_EFORMAT;
}

/* Whether the state was told the truth about the graph. */
static int check_graph(const struct history *h) {
  const struct graph *g = &h->graph, *stubs = &h->doc->graph;
  size_t heads = 0;
  for (size_t i = 0; i < stubs->run_count && stubs->runs[i].change < h->file->changes; i++) {
    const struct graph_run *stub = &stubs->runs[i];
    struct graph_op op = graph_op(g, stub->lv);
    uint32_t end = graph_start(g, stub->change + 1);
    if (graph_start(g, stub->change) != stub->lv || op.actor != stub->actor || op.number != stub->number ||
        op.lamport != stub->lamport || i >= g->head_count || g->heads[i] != end - 1 ||
        stubs->lengths[i].lv + stubs->lengths[i].length != end)
      return DUNLIN_EFORMAT;
    heads++;
  }
  if (heads != g->head_count) return DUNLIN_EFORMAT;
  for (size_t i = 0; i < h->file->actor_count; i++) {
    const struct graph_actor *a = &g->actors[h->file->actors[i]], *stub = &stubs->actors[h->file->actors[i]];
    if (a->forked != (stub->before != a->changes)) return DUNLIN_EFORMAT;
  }
  return 0;
}

static int read_voids(struct history *h, struct mp_reader *r) {
  struct column_in in = docfile_column(r);
  struct lv_ranges *v = &h->voids;
  uint32_t end = 0;
  if (in.count % 2) mp_fail(r);
  size_t count = in.count / 2;
  if (r->error || ENV_GROW(h->graph.env, v->list, v->cap, count)) return r->error ? r->error : DUNLIN_ENOMEM;
  for (size_t i = count; i-- > 0;) {
    uint32_t from = end + docfile_take(&in, r, (uint64_t)h->file->lvs - end);
    uint32_t length = docfile_take(&in, r, (uint64_t)h->file->lvs - from + 1);
    if (!length) mp_fail(r);
    if (r->error) return r->error;
    v->list[i] = (struct lv_range){from, from + length};
    end = from + length;
  }
  v->count = count;
  return 0;
}

/* ---- Logs --------------------------------------------------------------------------------------------------- */

static bool set_code(struct op_run *run, uint32_t code) {
  switch (code) {
    case CODE_INSERT: run->kind = OP_TEXT_INSERT; return true;
    case CODE_DELETE:
    case CODE_DELETE_BEFORE: run->at = DIRECTION_NONE; break;
    case CODE_FORWARD: run->at = DIRECTION_FORWARD; break;
    case CODE_BACKWARD: run->at = DIRECTION_BACKWARD; break;
    default:
      code -= CODE_OTHER;
      if (code % 2048 >= 512) return false;
      run->kind = code / 4 % 128 & 0x7fu;
      run->idle = code >= 2048;
      run->at = code % 4;
      if (run->kind == OP_DELETE) return run->at <= DIRECTION_BACKWARD;
      return !run->at && (run->idle || run->kind != OP_TEXT_INSERT);
  }
  run->kind = OP_DELETE;
  return true;
}

/* Whether a run can be in a container's log; idle ones always can. */
static bool kind_fits(const struct container *c, const struct op_run *run) {
  if (run->idle) return true;
  switch (run->kind) {
    case OP_TEXT_INSERT:
    case OP_MARK_START:
    case OP_MARK_START_GROWS:
    case OP_MARK_END:
    case OP_MARK_END_GROWS: return c->kind == DUNLIN_TEXT;
    case OP_DELETE: return c->kind == DUNLIN_TEXT || c->kind == DUNLIN_LIST;
    case OP_MAP_SET:
    case OP_MAP_SET_OVER:
    case OP_MAP_CHILD:
    case OP_MAP_DELETE:
    case OP_MAP_DELETE_OVER: return c->kind == DUNLIN_MAP;
    case OP_COUNTER_ADD: return c->kind == DUNLIN_COUNTER;
    case OP_OFFER: return is_offer(c->kind) || is_set(c->kind);
    case OP_SET_REMOVE: return c->kind == DUNLIN_SET;
    default: return c->kind == DUNLIN_LIST;
  }
}

/* How many operations a stretch of a kind may have; what has effect. */
static uint32_t longest(uint8_t kind) {
  if (kind == OP_TEXT_INSERT || kind == OP_LIST_INSERT || kind == OP_DELETE) return DUNLIN_MAX_DELTA_OPS;
  return kind == OP_MAP_SET ? OPLOG_MOST_VALUES : 1;
}

/* Long stretches are of one change: to find a place in one takes as much time as it is long. */
static bool is_divided(const struct graph *g, const struct op_run *run) {
  uint32_t most = run->kind == OP_LIST_INSERT ? OPLOG_MOST_VALUES : OPLOG_MOST;
  return run->len > most && graph_change_at(g, run->lv) != graph_change_at(g, run->lv + run->len - 1);
}

/* Kinds and lengths; the indexes are read when it is known who made what. */
static int read_log(struct history *h, uint32_t container, struct mp_reader *r) {
  const struct container *c = h->doc->containers[container];
  struct container_history *ch = &h->containers[container];
  struct oplog *log = &ch->log;
  ch->codes = docfile_column(r);
  ch->indexes = docfile_column(r);
  struct column_in codes = ch->codes, lengths = docfile_column(r);
  if (codes.count != ch->indexes.count || codes.count != lengths.count) mp_fail(r);
  if (r->error || ENV_GROW(h->graph.env, log->runs, log->cap, codes.count)) return r->error ? r->error : DUNLIN_ENOMEM;
  for (size_t i = codes.count; i; i--) {
    struct op_run run = {.ord = log->ops & LV_LIMIT};
    uint32_t length = docfile_take(&lengths, r, DUNLIN_MAX_DELTA_OPS + 1);
    if (!set_code(&run, docfile_take(&codes, r, CODE_OTHER + 4096)) || !kind_fits(c, &run)) mp_fail(r);
    if (run.idle && !(h->file->flags & FLAG_IDLE)) mp_fail(r); /* it was not replayed */
    if (!length || length > h->file->lvs - log->ops || ((run.kind & OP_CREATES) && length != 1)) mp_fail(r);
    if (!run.idle && length > longest(run.kind)) mp_fail(r);
    if (r->error) return r->error;
    run.len = length & ((1u << 25) - 1);
    log->runs[log->count++] = run;
    log->ops += length;
  }
  return log->ops == h->file->ops[container] ? 0 : DUNLIN_EFORMAT;
}

static int read_indexes(struct history *h, uint32_t container, struct docfile_cursors *cursors, struct mp_reader *r) {
  struct container_history *ch = &h->containers[container];
  enum dunlin_kind kind = h->doc->containers[container]->kind;
  bool walks = kind == DUNLIN_TEXT || kind == DUNLIN_LIST;
  docfile_cursors_begin(cursors);
  for (size_t i = 0; i < ch->log.count; i++) {
    struct op_run *run = &ch->log.runs[i];
    uint32_t *cursor = docfile_cursor(cursors, &h->graph, run->lv);
    uint32_t code = docfile_take(&ch->codes, r, UINT32_MAX);
    uint64_t coded = docfile_take_long(&ch->indexes, r);
    int64_t by = coded & 1u ? -(int64_t)(coded / 2) - 1 : (int64_t)(coded / 2);
    bool counts_end = code == CODE_BACKWARD || code == CODE_DELETE_BEFORE;
    int64_t a = *cursor + by - (counts_end ? run->len : 0);
    if (coded > 2 * (uint64_t)UINT32_MAX || a < 0 || a > UINT32_MAX) mp_fail(r);
    if (walks && !run->idle && a + run->len > DOCFILE_LVS) mp_fail(r); /* the walker has no more */
    if (r->error) return r->error;
    run->a = (uint32_t)a;
    *cursor = run->a + (code == CODE_INSERT ? run->len : 0);
  }
  return 0;
}

static int read_all_indexes(struct history *h, struct mp_reader *r) {
  struct docfile_cursors cursors;
  int error = docfile_cursors_init(&cursors, &h->graph);
  for (uint32_t i = 0; !error && i < h->file->container_count; i++) error = read_indexes(h, i, &cursors, r);
  docfile_cursors_free(&cursors, h->graph.env);
  return error;
}

/* Who owns which operations: that gives the logs their local versions. */
static int read_owners(struct history *h, struct mp_reader *r, struct column_in *containers,
                       struct column_in *lengths) {
  uint32_t lv = 0;
  if (containers->count != lengths->count) mp_fail(r);
  if (r->error || ENV_GROW(h->graph.env, h->owners, h->owner_cap, containers->count))
    return r->error ? r->error : DUNLIN_ENOMEM;
  while (containers->count) {
    uint32_t container = docfile_take(containers, r, h->file->container_count);
    uint32_t left = docfile_take(lengths, r, (uint64_t)h->file->lvs - lv + 1);
    if (!left || (h->owner_count && h->owners[h->owner_count - 1].container == container)) mp_fail(r);
    if (r->error) return r->error;
    struct container_history *c = &h->containers[container];
    h->owners[h->owner_count++] = (struct owner){lv, container};
    while (left) {
      if (c->next == c->log.count || c->log.runs[c->next].len > left) return DUNLIN_EFORMAT;
      struct op_run *run = &c->log.runs[c->next];
      run->lv = lv;
      if (is_divided(&h->graph, run)) return DUNLIN_EFORMAT;
      lv += run->len;
      left -= run->len;
      c->next++;
    }
  }
  return lv == h->file->lvs ? 0 : DUNLIN_EFORMAT;
}

/* ---- Values ------------------------------------------------------------------------------------------------- */

static int read_values(const struct history *h, struct values_in *v, struct mp_reader *r) {
  const struct dunlin_env *env = h->graph.env;
  const uint8_t *state;
  uint8_t *own = NULL;
  uint64_t counts[PARTS] = {0};
  for (uint32_t c = 0; c < h->file->container_count; c++) {
    const struct oplog *log = &h->containers[c].log;
    for (size_t i = 0; i < log->count; i++) values_count(log->runs[i].kind, log->runs[i].len, counts);
  }
  /* The keys of the state come first: they are the first thing in it. */
  int error = docfile_unpack(h->doc, DOCFILE_STATE, NULL, &state, &own);
  struct mp_reader in = mp_reader_of(error ? NULL : state, error ? 0 : h->file->sections[DOCFILE_STATE].raw);
  if (!error) error = keys_read(&v->names, &in, h->doc->saved_keys.len ? &h->doc->saved_keys : NULL);
  env_free(env, own, h->file->sections[DOCFILE_STATE].raw);
  return error ? error : values_read(v, env, r, counts);
}

/* Gives each run its place in the columns, in order; text and values are put together. */
static int fill_columns(struct history *h, struct values_in *v, struct mp_reader *r) {
  int error = 0;
  for (uint32_t i = 0; i < h->file->container_count; i++) h->containers[i].next = 0;
  for (size_t o = 0; !error && o < h->owner_count; o++) {
    struct container_history *c = &h->containers[h->owners[o].container];
    uint32_t to = o + 1 < h->owner_count ? h->owners[o + 1].lv : h->file->lvs;
    for (; !error && c->next < c->log.count && c->log.runs[c->next].lv < to; c->next++) {
      struct op_run *run = &c->log.runs[c->next];
      run->at = run->kind & OP_TEXT ? column_end(&h->text) : run->at;
      if (run->kind & OP_TEXT) error = docfile_take_text(&h->texts, &c->text, run, &h->text.buf, &h->doc->text_wide);
      else if (run->kind != OP_DELETE) run->at = column_end(&h->values);
      for (uint32_t i = run->kind & OP_VALUES ? run->len : 0; i && !r->error; i--)
        values_take(v, run->kind, &h->values.buf, r);
      if (r->error || h->values.buf.len > h->file->values_bytes) error = DUNLIN_EFORMAT;
      if (!error) error = h->values.buf.error;
    }
  }
  values_end(v, r);
  if (!error) error = r->error;
  if (!error && h->values.buf.len != h->file->values_bytes) error = DUNLIN_EFORMAT;
  bool all = !h->texts.gone_left && h->text.buf.len == h->file->text_bytes;
  return error ? error : all ? 0 : DUNLIN_EFORMAT;
}

/* ---- What made containers ----------------------------------------------------------------------------------- */

static int add_made(const struct dunlin_env *env, struct lv_set *made, uint32_t lv) {
  if (ENV_GROW(env, made->lvs, made->cap, made->count + 1)) return DUNLIN_ENOMEM;
  made->lvs[made->count++] = lv;
  return 0;
}

/* Whether an operation makes just that container, going by its values.  Those of lists have ids that say so. */
static bool makes(const struct history *h, const struct op_run *run, const struct container *made) {
  struct mp_reader r = mp_reader_of(column_at(&h->values, run->at), column_end(&h->values) - run->at);
  if (run->idle) return true;
  if (run->kind != OP_MAP_CHILD) return mp_read_uint(&r, KIND_LAST) == (uint64_t)made->kind;
  const struct map *parent = &h->doc->containers[made->parent]->as.map;
  struct dunlin_bytes key = mp_read_str(&r, DUNLIN_MAX_KEY);
  if (made->entry >= parent->count) return false;
  return (uint32_t)made->kind == run->a && mp_read_uint(&r, UINT32_MAX) == made->generation &&
         !key_compare(key, map_key(&parent->entries[made->entry]));
}

static int read_makers(struct history *h, struct mp_reader *r, struct column_in *makers) {
  const struct dunlin_env *env = h->graph.env;
  if (ENV_GROW(env, h->makers, h->maker_cap, makers->count)) return DUNLIN_ENOMEM;
  for (uint32_t i = 0; i < h->file->container_count; i++) h->containers[i].next = 0;
  for (size_t o = 0; o < h->owner_count; o++) {
    struct container_history *c = &h->containers[h->owners[o].container];
    uint32_t to = o + 1 < h->owner_count ? h->owners[o + 1].lv : h->file->lvs;
    for (; c->next < c->log.count && c->log.runs[c->next].lv < to; c->next++) {
      const struct op_run *run = &c->log.runs[c->next];
      if (!(run->kind & OP_CREATES)) continue;
      uint32_t made = docfile_take(makers, r, h->file->container_count);
      if (!made || h->doc->containers[made]->parent != h->owners[o].container) mp_fail(r);
      else if (!makes(h, run, h->doc->containers[made])) mp_fail(r);
      if (r->error) return r->error;
      h->makers[h->maker_count++] = (struct owner){run->lv, made};
      if (add_made(env, &h->containers[made].made, run->lv)) return DUNLIN_ENOMEM;
    }
  }
  for (uint32_t i = 1; i < h->file->container_count; i++)
    if (!h->containers[i].made.count) return DUNLIN_EFORMAT;
  return makers->count ? DUNLIN_EFORMAT : 0;
}

/* ---- What came since ---------------------------------------------------------------------------------------- */

/* The changes that were made on top of the file. */
static int add_new_changes(struct history *h) {
  const struct graph *old = &h->doc->graph;
  struct graph *g = &h->graph;
  int error = ENV_GROW(g->env, g->lengths, g->length_cap, g->length_count + old->length_count) ||
                      ENV_GROW(g->env, g->times, g->time_cap, g->time_count + old->time_count + 1)
                  ? DUNLIN_ENOMEM
                  : 0;
  for (uint32_t run = graph_run_of(old, g->changes); !error && run < old->run_count; run++) {
    uint32_t end = run + 1 < old->run_count ? old->runs[run + 1].change : old->changes, one;
    size_t count;
    if (end <= g->changes) continue; /* a stand-in for a change of the file */
    uint32_t lv = g->lvs;
    struct graph_op op = graph_op(old, lv);
    const uint32_t *parents = graph_parents_at(old, run, lv, &one, &count);
    error = graph_open(g, parents, count);
    if (error) break;
    g->open.actor = op.actor;
    g->open.number = op.number;
    for (uint32_t change = g->changes; change < end; change++) {
      uint32_t length = graph_start(old, change + 1) - graph_start(old, change);
      int64_t time = graph_time_of(old, change);
      if (!g->length_count || g->lengths[g->length_count - 1].length != length)
        g->lengths[g->length_count++] = (struct graph_length){graph_start(old, change), change, length};
      if (time != (g->time_count ? g->times[g->time_count - 1].time : 0))
        g->times[g->time_count++] = (struct graph_time){change, time};
    }
    error = graph_settle_run(g, end - g->changes, graph_start(old, end) - lv);
  }
  return error;
}

/* Appends a container's new runs row by row, so that they join as they would have done. */
static int add_new_rows(struct history *h, uint32_t container) {
  struct dunlin_doc *doc = h->doc;
  const struct oplog *from = &doc->containers[container]->log;
  int error = 0;
  for (size_t i = 0; !error && i < from->count; i++) {
    const struct op_run *run = &from->runs[i];
    for (uint32_t lv = run->lv, end; !error && lv < run->lv + run->len; lv = end) {
      end = graph_start(&h->graph, graph_change_at(&h->graph, lv) + 1);
      struct op_piece piece = op_piece(run, lv, end);
      struct oplog_row row = {run->kind, run->idle, piece.lv, piece.a, piece.len, run->at};
      if (piece.skipped && run->kind != OP_DELETE) row.at = history_place(doc, run, piece.skipped);
      error = oplog_push(&h->containers[container].log, doc->env, &row);
    }
  }
  return error;
}

static int add_new_sets(struct history *h) {
  const struct dunlin_doc *doc = h->doc;
  int error = ENV_GROW(doc->env, h->owners, h->owner_cap, h->owner_count + doc->owner_count) ||
                      ENV_GROW(doc->env, h->makers, h->maker_cap, h->maker_count + doc->maker_count)
                  ? DUNLIN_ENOMEM
                  : 0;
  for (size_t i = 0; !error && i < doc->owner_count; i++)
    if (i || !h->owner_count || h->owners[h->owner_count - 1].container != doc->owners[0].container)
      h->owners[h->owner_count++] = doc->owners[i];
  for (size_t i = 0; !error && i < doc->maker_count; i++) h->makers[h->maker_count++] = doc->makers[i];
  for (uint32_t i = 1; !error && i < h->file->container_count; i++) {
    const struct lv_set *made = &doc->containers[i]->made;
    for (size_t k = 1; !error && k < made->count; k++) /* the first is a stand-in */
      error = add_made(doc->env, &h->containers[i].made, made->lvs[k]);
  }
  return error;
}

static int add_new(struct history *h) {
  const struct dunlin_doc *doc = h->doc;
  buf_append(&h->text.buf, doc->text.buf.data, doc->text.buf.len);
  buf_append(&h->values.buf, doc->values.buf.data, doc->values.buf.len);
  if (ENV_GROW(doc->env, h->voids.list, h->voids.cap, h->voids.count + doc->voids.count)) return DUNLIN_ENOMEM;
  if (doc->voids.count) { /* the latest first */
    memmove(h->voids.list + doc->voids.count, h->voids.list, h->voids.count * sizeof *h->voids.list);
    memcpy(h->voids.list, doc->voids.list, doc->voids.count * sizeof *h->voids.list);
    h->voids.count += doc->voids.count;
  }
  int error = h->text.buf.error ? h->text.buf.error : h->values.buf.error;
  if (!error && doc->graph.changes > h->file->changes) error = add_new_changes(h);
  for (uint32_t i = 0; !error && i < h->file->container_count; i++) error = add_new_rows(h, i);
  return error ? error : add_new_sets(h);
}

/* ---- All of it ---------------------------------------------------------------------------------------------- */

static int begin(struct history *h) {
  dunlin_doc *doc = h->doc;
  graph_init(&h->graph, doc->env, doc->seed);
  h->graph.id_of = doc->graph.id_of;
  h->graph.ctx = doc->graph.ctx;
  buf_init(&h->text.buf, doc->env, UINT32_MAX);
  buf_init(&h->values.buf, doc->env, UINT32_MAX);
  h->containers = env_calloc(doc->env, h->file->container_count, sizeof *h->containers);
  if (!h->containers) return DUNLIN_ENOMEM;
  for (size_t i = 0; i < doc->graph.actor_count; i++)
    if (graph_actor(&h->graph, &doc->graph.actors[i].name) == IDMAP_NONE) return DUNLIN_ENOMEM;
  return 0;
}

static int decode(struct history *h, const uint8_t *bytes) {
  struct mp_reader r = mp_reader_of(bytes, h->file->sections[DOCFILE_HISTORY].raw);
  int error = read_runs(h, &r);
  if (!error) error = check_graph(h);
  struct column_in owners = docfile_column(&r), lengths = docfile_column(&r), makers = docfile_column(&r);
  if (!error) error = read_voids(h, &r);
  for (uint32_t i = 0; !error && i < h->file->container_count; i++) error = read_log(h, i, &r);
  struct values_in values;
  values_in_init(&values, h->graph.env);
  if (!error) error = read_values(h, &values, &r);
  if (!error) error = mp_end(&r);
  if (!error) error = read_owners(h, &r, &owners, &lengths);
  if (!error) error = read_all_indexes(h, &r);
  for (uint32_t i = 0; !error && i < h->file->container_count; i++)
    if (!docfile_marks_pair(&h->graph, &h->containers[i].log)) error = DUNLIN_EFORMAT;
  bool plain = h->file->flags & FLAG_PLAIN;
  for (uint32_t i = 0; !error && !plain && i < h->file->container_count; i++)
    if (h->doc->containers[i]->kind == DUNLIN_TEXT)
      error = docfile_place_text(&h->texts, &h->containers[i].text, h->doc->containers[i], &h->graph,
                                 &h->containers[i].log, &h->voids, h->file->shown[i]);
  if (!error && !plain && h->texts.shown_at != h->file->sections[DOCFILE_TEXT].raw) error = DUNLIN_EFORMAT;
  if (!error) error = fill_columns(h, &values, &r);
  values_in_free(&values);
  return error ? error : read_makers(h, &r, &makers);
}

#define SWAP(a, b, type)                                                                                               \
  do {                                                                                                                 \
    type swap_kept = (a);                                                                                              \
    (a) = (b);                                                                                                         \
    (b) = swap_kept;                                                                                                   \
  } while (0)

static void put_in_place(struct history *h) {
  dunlin_doc *doc = h->doc;
  SWAP(doc->graph, h->graph, struct graph);
  SWAP(doc->text, h->text, struct column);
  SWAP(doc->values, h->values, struct column);
  SWAP(doc->voids, h->voids, struct lv_ranges);
  SWAP(doc->owners, h->owners, struct owner *);
  SWAP(doc->owner_count, h->owner_count, size_t);
  SWAP(doc->owner_cap, h->owner_cap, size_t);
  SWAP(doc->makers, h->makers, struct owner *);
  SWAP(doc->maker_count, h->maker_count, size_t);
  SWAP(doc->maker_cap, h->maker_cap, size_t);
  for (uint32_t i = 0; i < h->file->container_count; i++) {
    SWAP(doc->containers[i]->log, h->containers[i].log, struct oplog);
    SWAP(doc->containers[i]->made, h->containers[i].made, struct lv_set);
    if (doc->containers[i]->kind == DUNLIN_TEXT) marks_found(doc, doc->containers[i]);
  }
}

static void discard(struct history *h) {
  const struct dunlin_env *env = h->doc->env;
  graph_free(&h->graph);
  buf_free(&h->text.buf);
  buf_free(&h->values.buf);
  lv_ranges_free(&h->voids, env);
  ENV_FREE_ARRAY(env, h->owners, h->owner_cap);
  ENV_FREE_ARRAY(env, h->makers, h->maker_cap);
  for (uint32_t i = 0; h->containers && i < h->file->container_count; i++) {
    struct container_history *c = &h->containers[i];
    survivors_free(&c->text.shown, env);
    oplog_free(&c->log, env);
    ENV_FREE_ARRAY(env, c->made.lvs, c->made.cap);
  }
  ENV_FREE_ARRAY(env, h->containers, h->file->container_count);
}

int docfile_load(dunlin_doc *doc) {
  if (!doc->file) return 0;
  if (doc->open.is_open) return DUNLIN_ESTATE;
  struct history h = {.doc = doc, .file = doc->file};
  const uint8_t *history = NULL;
  uint8_t *own_shown = NULL, *own_gone = NULL, *own_history = NULL;
  int error = begin(&h);
  if (!error) error = docfile_unpack(doc, DOCFILE_TEXT, NULL, &h.texts.shown, &own_shown);
  if (!error) error = docfile_unpack(doc, DOCFILE_GONE, h.texts.shown, &h.texts.gone, &own_gone);
  if (!error) error = docfile_unpack(doc, DOCFILE_HISTORY, NULL, &history, &own_history);
  const struct docfile_place *sections = doc->file->sections;
  if (!error && !utf8_valid(h.texts.gone, sections[DOCFILE_GONE].raw, &h.texts.gone_left)) error = DUNLIN_EFORMAT;
  if (!error) error = decode(&h, history);
  if (!error) error = add_new(&h);
  if (!error) error = docfile_agrees(&h);
  env_free(doc->env, own_shown, sections[DOCFILE_TEXT].raw);
  env_free(doc->env, own_gone, sections[DOCFILE_GONE].raw);
  env_free(doc->env, own_history, sections[DOCFILE_HISTORY].raw);
  if (!error) put_in_place(&h);
  discard(&h);
  if (!error) docfile_free(doc);
  return error == DUNLIN_EFORMAT ? DUNLIN_ECORRUPT : error;
}

int docfile_need(dunlin_doc *doc, const uint32_t *version, size_t count) {
  if (!doc->file) return 0;
  if (doc->file->wanted) return docfile_load(doc);
  const struct graph *g = &doc->graph;
  size_t heads = 0;
  for (size_t i = 0; i < count; i++) {
    if (version[i] >= doc->file->lvs) return 0;
    bool again = false;
    for (size_t k = 0; k < i; k++) again |= version[k] == version[i];
    heads += !again;
  }
  size_t all = 0;
  while (all < g->run_count && g->runs[all].change < doc->file->changes) all++;
  return heads == all ? 0 : docfile_load(doc);
}

int docfile_need_change(dunlin_doc *doc, uint32_t change) {
  return doc->file && change < doc->file->changes ? docfile_load(doc) : 0;
}
