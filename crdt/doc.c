/* The document as a whole: making it, taking changes in, giving them out. */
#include "crdt/doc.h"

#include <stdlib.h>
#include <string.h>

#include "crdt/docfile.h"

/* ---- Life --------------------------------------------------------------------------------------------------- */

static int new_root(dunlin_doc *doc) {
  if (ENV_GROW(doc->env, doc->containers, doc->container_cap, 1)) return DUNLIN_ENOMEM;
  struct container *root = env_calloc(doc->env, 1, sizeof *root);
  if (!root) return DUNLIN_ENOMEM;
  root->kind = DUNLIN_MAP;
  root->void_from = LV_NONE;
  map_init(&root->as.map, doc->env, doc->seed);
  doc->containers[doc->container_count++] = root;
  struct container_id id = {{DUNLIN_MAP}};
  return container_index(doc, &id, 0);
}

/* For graph->id_of; when there is no memory to find it out, the change that asks fails. */
static struct dunlin_id id_of_change(void *ctx, uint32_t change) {
  dunlin_doc *doc = ctx;
  struct dunlin_id id = {{0}};
  int error = names_id(doc, change, &id);
  if (error) doc->names.error = error;
  return id;
}

static int given_or_random(const struct dunlin_env *env, const void *given, void *name, size_t len) {
  if (!given) return env->random(env->ctx, name, len);
  memcpy(name, given, len);
  return 0;
}

int dunlin_doc_new(const struct dunlin_env *env, const struct dunlin_id *id, const struct dunlin_actor *actor,
                   dunlin_doc **out) {
  env = env_or_default(env);
  dunlin_doc *doc = env_calloc(env, 1, sizeof *doc);
  if (!doc) return DUNLIN_ENOMEM;
  doc->env = env;
  int error = env->random(env->ctx, &doc->seed, sizeof doc->seed);
  graph_init(&doc->graph, env, doc->seed);
  doc->graph.id_of = id_of_change;
  doc->graph.ctx = doc;
  names_init(&doc->names, env, doc->seed);
  pending_init(&doc->pending, doc->seed);
  doc->container_ids.seed = doc->seed;
  buf_init(&doc->text.buf, env, UINT32_MAX);
  buf_init(&doc->values.buf, env, UINT32_MAX);
  buf_init(&doc->saved_keys, env, UINT32_MAX);
  buf_init(&doc->bytes, env, SIZE_MAX / 2);
  buf_init(&doc->intake, env, DUNLIN_MAX_CHANGE + 64);
  struct dunlin_actor name;
  if (!error) error = given_or_random(env, id, &doc->id, sizeof doc->id);
  if (!error) error = given_or_random(env, actor, &name, sizeof name);
  doc->actor = error ? IDMAP_NONE : graph_actor(&doc->graph, &name);
  if (!error && doc->actor == IDMAP_NONE) error = DUNLIN_ENOMEM;
  if (!error) error = new_root(doc);
  if (error) dunlin_doc_free(doc);
  else *out = doc;
  return error;
}

void doc_on_begin(dunlin_doc *doc, int (*hook)(void *ctx), void *ctx) {
  doc->begin_hook = hook;
  doc->begin_ctx = ctx;
}

int doc_set_actor(dunlin_doc *doc, const struct dunlin_actor *actor) {
  uint32_t number = graph_actor(&doc->graph, actor);
  if (number == IDMAP_NONE) return DUNLIN_ENOMEM;
  doc->actor = number;
  return 0;
}

static void free_containers(dunlin_doc *doc) {
  for (size_t i = 0; i < doc->container_count; i++) container_free(doc, doc->containers[i]);
  ENV_FREE_ARRAY(doc->env, doc->containers, doc->container_cap);
  idmap_free(&doc->container_ids, doc->env);
}

void dunlin_doc_free(dunlin_doc *doc) {
  if (!doc) return;
  const struct dunlin_env *env = doc->env;
  dunlin_abort(doc);
  watch_free(doc);
  validators_free(doc);
  free_containers(doc);
  pending_free(&doc->pending, env);
  docfile_free(doc);
  graph_free(&doc->graph);
  names_free(&doc->names);
  buf_free(&doc->text.buf);
  buf_free(&doc->values.buf);
  buf_free(&doc->saved_keys);
  buf_free(&doc->bytes);
  buf_free(&doc->intake);
  ENV_FREE_ARRAY(env, doc->ordered, doc->ordered_cap);
  ENV_FREE_ARRAY(env, doc->owners, doc->owner_cap);
  ENV_FREE_ARRAY(env, doc->makers, doc->maker_cap);
  ENV_FREE_ARRAY(env, doc->rows.list, doc->rows.cap);
  ENV_FREE_ARRAY(env, doc->rows.containers, doc->rows.container_cap);
  ENV_FREE_ARRAY(env, doc->open.undos, doc->open.undo_cap);
  ENV_FREE_ARRAY(env, doc->open.made, doc->open.made_cap);
  ENV_FREE_ARRAY(env, doc->open.touched, doc->open.touched_cap);
  ENV_FREE_ARRAY(env, doc->void_ids, doc->void_count);
  lv_ranges_free(&doc->voids, env);
  ENV_FREE_ARRAY(env, doc->scratch, doc->scratch_cap);
  ENV_FREE_ARRAY(env, doc->heads, doc->heads_cap);
  ENV_FREE_ARRAY(env, doc->have, doc->have_cap);
  env_free(env, doc, sizeof *doc);
}

/* ---- A change from elsewhere -------------------------------------------------------------------------------- */

/* A value and the bytes that it is written as. */
static struct dunlin_value read_member(struct mp_reader *r, struct dunlin_bytes *bytes) {
  const uint8_t *from = r->at;
  struct dunlin_value value = value_read(r);
  *bytes = (struct dunlin_bytes){from, (size_t)(r->at - from)};
  return value;
}

/* Takes the values of one local version. */
static void read_values(struct mp_reader *r, struct op *op) {
  switch (op->kind) {
    case OP_LIST_INSERT:
    case OP_LIST_SET:
    case OP_LIST_SET_OVER: op->value = value_read(r); break;
    case OP_LIST_CHILD:
    case OP_LIST_SET_CHILD:
    case OP_LIST_MOVE: op->number = (uint32_t)mp_read_uint(r, UINT32_MAX); break;
    case OP_COUNTER_ADD: op->amount = mp_read_int(r); break;
    case OP_MAP_DELETE:
    case OP_MAP_DELETE_OVER:
    case OP_MAP_SET:
    case OP_MAP_SET_OVER:
    case OP_MAP_CHILD:
    case OP_MARK_START:
    case OP_MARK_START_GROWS: op->key = mp_read_str(r, DUNLIN_MAX_KEY); break;
    case OP_OFFER:
    case OP_SET_REMOVE: op->value = read_member(r, &op->key); break;
    case OP_TEXT_INSERT:
    case OP_DELETE: break;
    default:
      for (unsigned i = 0; i < (op->kind & OP_VALUES) * op->len; i++) value_read(r);
  }
  if (op->kind == OP_MAP_SET || op->kind == OP_MAP_SET_OVER || op_starts_mark(op->kind)) op->value = value_read(r);
  if (op->kind == OP_MAP_CHILD) op->number = (uint32_t)mp_read_uint(r, UINT32_MAX);
  if (op->kind == OP_MAP_SET_OVER || op->kind == OP_MAP_DELETE_OVER || op->kind == OP_LIST_SET_OVER)
    op->names = mp_read_bin(r, WRITE_NAMES_MAX * WRITE_NAME);
}

/* Where in the document's columns the next row of a change finds its text and values. */
struct intake_columns {
  const uint8_t *text;
  struct mp_reader values;
  uint32_t text_base, values_base;
  const uint8_t *text_start, *values_start;
  uint32_t ref, container; /* the last one looked up by id */
};

static int apply_row(dunlin_doc *doc, const struct change *change, const struct change_row *row,
                     struct intake_columns *in) {
  struct op op = {.kind = row->kind, .a = row->a, .len = row->len};
  uint32_t made;
  if (row->container >= change->container_count) {
    op.container = doc->open.made[row->container - change->container_count];
  } else {
    if (row->container != in->ref) in->container = container_find(doc, &change->containers[row->container]);
    in->ref = row->container;
    op.container = in->container;
  }
  if (op.container == IDMAP_NONE) return DUNLIN_ENOENT;
  if (row->kind & OP_TEXT) {
    const uint8_t *from = in->text;
    op.at = in->text_base + (uint32_t)(from - in->text_start);
    in->text += doc->text_wide ? utf8_skip(from, row->len) : row->len;
    op.bytes = (uint32_t)(in->text - from);
  } else {
    op.at = in->values_base + (uint32_t)(in->values.at - in->values_start);
  }
  if (row->kind != OP_LIST_INSERT) {
    if (row->kind & OP_VALUES) read_values(&in->values, &op);
    return apply_op(doc, &op, &made);
  }
  op.len = 1;
  int error = 0;
  for (uint32_t i = 0; !error && i < row->len; i++, op.a++) {
    read_values(&in->values, &op);
    error = apply_op(doc, &op, &made);
  }
  return error;
}

static int apply_rows(dunlin_doc *doc, const struct change *change) {
  struct mp_reader rows = change->rows;
  size_t value_bytes = (size_t)(change->values_end - change->values.at);
  struct intake_columns in = {.text = change->text.data,
                              .values = change->values,
                              .text_base = column_end(&doc->text),
                              .values_base = column_end(&doc->values),
                              .text_start = change->text.data,
                              .values_start = change->values.at,
                              .ref = UINT32_MAX};
  doc->text_wide |= change->scalars != change->text.len;
  buf_append(&doc->text.buf, change->text.data, change->text.len);
  buf_append(&doc->values.buf, change->values.at, value_bytes);
  int error = doc->text.buf.error ? doc->text.buf.error : doc->values.buf.error;
  struct change_row last = {.container = UINT32_MAX};
  for (size_t i = 0; !error && i < change->row_count; i++) {
    struct change_row row = change_next_row(&rows);
    bool same = row.container == last.container && row.kind == last.kind;
    if (same && rows_join(row.kind, &last.a, &last.len, row.a, row.len)) return DUNLIN_EREFUSED; /* could be one */
    error = apply_row(doc, change, &row, &in);
    last = row;
  }
  return error ? error : close_row(doc);
}

/* The actor of a change whose parents are there; IDMAP_NONE when out of memory. */
static uint32_t actor_of(dunlin_doc *doc, const struct change *change, const uint32_t *parents) {
  return change->actor ? graph_actor(&doc->graph, change->actor) : graph_op(&doc->graph, parents[0]).actor;
}

/* Whether the open change's actor and number are what they must be: the actor's next one in this version, with the
 * previous one first among the parents exactly when it is a parent. */
static bool header_valid(dunlin_doc *doc, const struct change *change, uint32_t actor) {
  struct graph *g = &doc->graph;
  if ((int64_t)change->number != graph_actor_reached(g, actor) + 1) return false;
  if (!change->number) return change->actor;
  for (size_t i = 0; i < g->open.parent_count; i++) {
    struct graph_op parent = graph_op(g, g->open.parents[i]);
    if (parent.actor == actor && parent.number + 1 == change->number) return !change->actor && !i;
  }
  return change->actor;
}

/* Whether one of the parents from number `from` on was refused. */
static bool builds_on_refused(const dunlin_doc *doc, const struct change *change, size_t from) {
  for (size_t i = from; doc->pending.refused.used && i < change->parent_count; i++) {
    struct dunlin_id parent;
    memcpy(parent.bytes, change->parents + 32 * i, sizeof parent.bytes);
    if (pending_refused(doc, &parent)) return true;
  }
  return false;
}

/* Finds the parents, given in doc->scratch by their last LVs.  DUNLIN_ENOENT: the first missing one is in `missing`;
 * DUNLIN_EREFUSED: one of them will never be there. */
static int find_parents(dunlin_doc *doc, const struct change *change, struct dunlin_id *missing) {
  if (ENV_GROW(doc->env, doc->scratch, doc->scratch_cap, change->parent_count)) return DUNLIN_ENOMEM;
  for (size_t i = 0; i < change->parent_count; i++) {
    uint32_t parent;
    memcpy(missing->bytes, change->parents + 32 * i, sizeof missing->bytes);
    int error = names_find(doc, missing, &parent);
    if (error) return error;
    if (parent == IDMAP_NONE) return builds_on_refused(doc, change, i) ? DUNLIN_EREFUSED : DUNLIN_ENOENT;
    doc->scratch[i] = graph_start(&doc->graph, parent + 1) - 1;
  }
  return 0;
}

/* Whether the open change, written out again, has the same bytes.  Rows that are all on one container that was there
 * before have no other form, unless two could be one. */
static int check_canonical(dunlin_doc *doc, const struct change *change) {
  if (change->container_count == 1 && !doc->open.made_count) return 0;
  buf_clear(&doc->bytes);
  int error = history_change(doc, doc->graph.changes, &doc->bytes);
  size_t len = doc->bytes.len;
  if (!error) error = change_write(&doc->bytes, change);
  if (error) return error;
  return doc->bytes.len == 2 * len && !memcmp(doc->bytes.data, doc->bytes.data + len, len) ? 0 : DUNLIN_EREFUSED;
}

/* Applies the change as the open one, and settles it. */
static int settle_change(dunlin_doc *doc, const struct change_id_bytes *given, const struct change *change) {
  doc->open.is_void = void_has(doc, &given->id);
  doc->names.error = 0;
  int error = header_valid(doc, change, doc->graph.open.actor) ? apply_rows(doc, change) : DUNLIN_EREFUSED;
  if (doc->graph.open.error) error = doc->graph.open.error; /* whatever was judged, it was judged blindly */
  if (doc->names.error) error = doc->names.error;
  if (!error) error = check_canonical(doc, change);
  if (!error) error = doc->names.error;
  if (!error && doc->open.is_void) error = void_prepare(doc);
  if (!error) error = open_change_settle(doc, &given->id);
  if (!error && doc->open.is_void) void_note(doc);
  return error;
}

static int take_by(dunlin_doc *doc, const struct change_id_bytes *given, const struct change *change,
                   const struct dunlin_actor *author) {
  bool known;
  uint32_t actor = actor_of(doc, change, doc->scratch);
  if (actor == IDMAP_NONE) return DUNLIN_ENOMEM;
  int error = names_known(doc, actor, change->number, &given->id, &known);
  if (error || known) return error;
  if (author && actor_compare(author, &doc->graph.actors[actor].name)) return DUNLIN_EAUTH;
  if (change->has_names) error = names_whole(doc); /* which is not possible inside a change */
  if (error) return error;
  error = open_change(doc, doc->scratch, change->parent_count, &given->id);
  if (error) return error;
  doc->graph.open.actor = actor;
  doc->graph.open.number = (uint32_t)change->number;
  doc->graph.open.time = change->time;
  error = settle_change(doc, given, change);
  if (!error) check_settled(doc);
  if (!error) return 1;
  open_change_revert(doc);
  return error == DUNLIN_ENOMEM || error == DUNLIN_ECORRUPT ? error : DUNLIN_EREFUSED;
}

/* An actor that was new with a change that was not taken: nobody is to fill the document with such. */
static void forget_actor(dunlin_doc *doc, const struct dunlin_actor *name) {
  const struct graph *g = &doc->graph;
  uint32_t actor = graph_actor_find(g, name);
  if (actor == IDMAP_NONE || actor + 1 != g->actor_count || actor == doc->actor) return;
  if (!g->actors[actor].run_count && !g->actors[actor].before) graph_forget_actor(&doc->graph);
}

int take_change(dunlin_doc *doc, const struct change_id_bytes *given, const struct dunlin_actor *author,
                struct dunlin_id *missing) {
  struct change own;
  const struct change *change = given->parsed ? given->parsed : &own;
  if (pending_refused(doc, &given->id)) return DUNLIN_EREFUSED;
  int error = given->parsed ? 0 : change_parse(given->bytes, &own);
  if (!error && take_next(doc, change, &given->id, author)) {
    check_settled(doc);
    return 1;
  }
  if (!error) error = find_parents(doc, change, missing);
  if (error) return error;
  bool is_new = change->actor && graph_actor_find(&doc->graph, change->actor) == IDMAP_NONE;
  int taken = take_by(doc, given, change, author);
  if (taken != 1 && is_new) forget_actor(doc, change->actor);
  return taken;
}

/* ---- Deltas ------------------------------------------------------------------------------------------------- */

struct intake {
  dunlin_doc *doc;
  const struct dunlin_actor *author;
  struct dunlin_applied result;
};

/* Keeps a change whose bytes are not put together yet. */
static int keep_pending(const struct intake *in, const struct change_id_bytes *change,
                        const struct dunlin_id *missing) {
  struct change_id_bytes whole = {.id = change->id};
  struct buf bytes;
  buf_init(&bytes, in->doc->env, DUNLIN_MAX_CHANGE);
  int error = change_write(&bytes, change->parsed);
  whole.bytes = (struct dunlin_bytes){bytes.data, bytes.len};
  if (!error) error = pending_add(in->doc, &whole, in->author, missing);
  buf_free(&bytes);
  return error;
}

/* Takes a change in, or keeps it, or refuses it. */
static int take_in(void *ctx, const struct change_id_bytes *change) {
  struct intake *in = ctx;
  struct dunlin_id missing;
  int error = take_change(in->doc, change, in->author, &missing);
  if (!error) in->result.duplicates++;
  if (error != DUNLIN_ENOENT) return pending_judged(in->doc, &change->id, error, &in->result);
  error = keep_pending(in, change, &missing);
  if (error != DUNLIN_ELIMIT) return error;
  in->result.left_out++;
  return 0;
}

int doc_apply_as(dunlin_doc *doc, const struct dunlin_actor *author, const void *delta, size_t len,
                 struct dunlin_applied *result) {
  if (doc->open.is_open) return DUNLIN_ESTATE;
  struct intake in = {.doc = doc, .author = author};
  int error = delta_read_parsed(doc->env, &doc->id, (struct dunlin_bytes){delta, len}, &doc->intake, take_in, &in);
  int waiting_error = pending_go_on(doc, &in.result);
  enum { keep = 4096 }; /* bytes, so that small deltas need no new memory */
  if (doc->intake.cap > keep) buf_free(&doc->intake);
  in.result.pending = doc->pending.used;
  if (result) *result = in.result;
  return error ? error : waiting_error;
}

bool doc_in_transaction(const dunlin_doc *doc) {
  return doc->open.is_open;
}

int dunlin_doc_apply(dunlin_doc *doc, const void *delta, size_t len, struct dunlin_applied *result) {
  return doc_apply_as(doc, NULL, delta, len, result);
}

/* ---- Giving out --------------------------------------------------------------------------------------------- */

/* The changes that are not in the past of the heads that are known, as ranges of LVs. */
static int changes_since(dunlin_doc *doc, const struct dunlin_id *since, size_t count, struct lv_ranges *out) {
  size_t known = 0;
  if (ENV_GROW(doc->env, doc->scratch, doc->scratch_cap, count)) return DUNLIN_ENOMEM;
  for (size_t i = 0; i < count; i++) {
    int error = names_find_last(doc, &since[i], &doc->scratch[known]);
    if (error && error != DUNLIN_ENOENT) return error;
    known += !error;
  }
  int error = docfile_need(doc, doc->scratch, known);
  if (error) return error;
  return graph_difference(&doc->graph, doc->graph.heads, doc->graph.head_count, doc->scratch, known, out, NULL);
}

int dunlin_doc_delta(const dunlin_doc *shown, const struct dunlin_id *since, size_t count, void **out, size_t *len) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown; /* buffers and kept ids are no part of the state */
  if (doc->open.is_open) return DUNLIN_ESTATE;
  struct lv_ranges ranges = {0};
  struct buf delta;
  buf_init(&delta, doc->env, SIZE_MAX / 2);
  int error = changes_since(doc, since, count, &ranges);
  /* What comes out of a file leads to the heads that the file names, or it is not given to others. */
  bool old = ranges.count && graph_change_at(&doc->graph, ranges.list[ranges.count - 1].from) < doc->names.base;
  if (!error && old) error = names_whole(doc);
  if (!error) error = history_delta(doc, &ranges, &delta);
  if (!error) error = buf_take(&delta, out, len);
  buf_free(&delta);
  lv_ranges_free(&ranges, doc->env);
  return error;
}

/* ---- Asking about changes ----------------------------------------------------------------------------------- */

struct dunlin_id dunlin_doc_id(const dunlin_doc *doc) {
  return doc->id;
}

struct dunlin_actor dunlin_doc_actor(const dunlin_doc *doc) {
  return doc->graph.actors[doc->actor].name;
}

size_t dunlin_doc_changes(const dunlin_doc *doc) {
  return doc->graph.changes;
}

size_t dunlin_doc_pending(const dunlin_doc *doc) {
  return doc->pending.used;
}

static int by_id(const void *a, const void *b) {
  return id_compare(a, b);
}

const struct dunlin_id *dunlin_doc_heads(const dunlin_doc *shown, size_t *count) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown; /* the sorted copy is no part of the state */
  const struct graph *g = &doc->graph;
  *count = 0;
  if (ENV_GROW(doc->env, doc->heads, doc->heads_cap, g->head_count + 1)) return NULL;
  for (size_t i = 0; i < g->head_count; i++)
    if (names_id(doc, graph_change_at(g, g->heads[i]), &doc->heads[i])) return NULL;
  if (g->head_count) qsort(doc->heads, g->head_count, sizeof *doc->heads, by_id);
  *count = g->head_count;
  return doc->heads;
}

int dunlin_doc_have(const dunlin_doc *shown, const struct dunlin_id **ids, size_t *count) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown; /* kept ids are no part of the state */
  size_t heads, have = 0;
  if (doc->open.is_open) return DUNLIN_ESTATE;
  int error = docfile_load(doc); /* what the actors did last may be in there */
  const struct dunlin_id *head = error ? NULL : dunlin_doc_heads(doc, &heads);
  if (!error && !head) error = DUNLIN_ENOMEM;
  if (!error) error = ENV_GROW(doc->env, doc->have, doc->have_cap, heads + doc->graph.actor_count + 1);
  if (error) return error;
  for (; have < heads; have++) doc->have[have] = head[have];
  for (uint32_t i = 0; i < doc->graph.actor_count; i++) {
    error = names_actor_last(doc, i, &doc->have[have]);
    if (error == DUNLIN_ENOENT) continue; /* it has written nothing yet */
    if (error) return error;
    have += !bsearch(&doc->have[have], doc->heads, heads, sizeof *doc->heads, by_id);
  }
  *ids = doc->have;
  *count = have;
  return 0;
}

int dunlin_doc_change_at(const dunlin_doc *shown, size_t at, struct dunlin_change_info *out) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown;
  const struct graph *g = &doc->graph;
  if (at >= g->changes) return DUNLIN_ENOENT;
  int error = docfile_need_change(doc, (uint32_t)at);
  if (error) return error;
  uint32_t change = (uint32_t)at, lv = graph_start(g, change), one;
  struct graph_op op = graph_op(g, lv);
  *out = (struct dunlin_change_info){.actor = g->actors[op.actor].name,
                                     .number = op.number,
                                     .lamport = op.lamport,
                                     .time = graph_time_of(g, change),
                                     .operations = graph_start(g, change + 1) - lv};
  graph_parents_at(g, graph_run_at(g, lv), lv, &one, &out->parents);
  return names_id(doc, change, &out->id);
}

int dunlin_doc_find_change(const dunlin_doc *shown, const struct dunlin_id *id, struct dunlin_change_info *out) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown;
  uint32_t change;
  int error = names_find(doc, id, &change);
  if (error) return error;
  return change == IDMAP_NONE ? DUNLIN_ENOENT : dunlin_doc_change_at(doc, change, out);
}

int dunlin_doc_find_number(const dunlin_doc *shown, const struct dunlin_actor *actor, uint64_t number,
                           struct dunlin_change_info *out) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown; /* what history is in memory is no part of the state */
  const struct graph *g = &doc->graph;
  uint32_t found = graph_actor_find(g, actor);
  if (found == IDMAP_NONE) return DUNLIN_ENOENT;
  int error = number < g->actors[found].before ? docfile_load(doc) : 0;
  if (error) return error;
  const struct graph_actor *a = &g->actors[found];
  for (size_t i = 0; i < a->run_count; i++) {
    const struct graph_run *run = &g->runs[a->runs[i]];
    uint32_t end = a->runs[i] + 1 < g->run_count ? run[1].change : g->changes;
    if (number >= run->number && number - run->number < end - run->change)
      return dunlin_doc_change_at(doc, run->change + (size_t)(number - run->number), out);
  }
  return DUNLIN_ENOENT;
}

int dunlin_doc_parent(const dunlin_doc *shown, const struct dunlin_id *id, size_t i, struct dunlin_id *out) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown;
  uint32_t change, one;
  size_t count;
  int error = names_find(doc, id, &change);
  if (error || change == IDMAP_NONE) return error ? error : DUNLIN_ENOENT;
  error = docfile_need_change(doc, change);
  if (error) return error;
  uint32_t lv = graph_start(&doc->graph, change);
  const uint32_t *parents = graph_parents_at(&doc->graph, graph_run_at(&doc->graph, lv), lv, &one, &count);
  return i < count ? names_id(doc, graph_change_at(&doc->graph, parents[i]), out) : DUNLIN_ENOENT;
}
