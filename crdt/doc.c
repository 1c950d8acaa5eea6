/* The document as a whole: making it, taking changes in, giving them out. */
#include "crdt/doc.h"

#include <stdlib.h>
#include <string.h>

#include "crdt/internal.h"

/* ---- Life --------------------------------------------------------------------------------------------------- */

static int new_root(dunlin_doc *doc) {
  if (ENV_GROW(doc->env, doc->containers, doc->container_cap, 1)) return DUNLIN_ENOMEM;
  struct container *root = env_calloc(doc->env, 1, sizeof *root);
  if (!root) return DUNLIN_ENOMEM;
  root->kind = DUNLIN_MAP;
  map_init(&root->as.map, doc->env, doc->seed);
  doc->containers[doc->container_count++] = root;
  struct container_id id = {{DUNLIN_MAP}};
  return container_index(doc, &id, 0);
}

int dunlin_doc_new(const struct dunlin_env *env, const struct dunlin_id *id, const struct dunlin_actor *actor,
                   dunlin_doc **out) {
  env = env_or_default(env);
  dunlin_doc *doc = env_calloc(env, 1, sizeof *doc);
  if (!doc) return DUNLIN_ENOMEM;
  doc->env = env;
  doc->id = *id;
  graph_init(&doc->graph, env);
  buf_init(&doc->history, env, SIZE_MAX / 2);
  buf_init(&doc->txn.text, env, DUNLIN_MAX_CHANGE);
  buf_init(&doc->txn.values, env, DUNLIN_MAX_CHANGE);
  int error = env->random(env->ctx, &doc->seed, sizeof doc->seed);
  doc->actor = graph_actor(&doc->graph, actor);
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

static void free_pending(dunlin_doc *doc) {
  for (size_t i = 0; i < doc->pending_count; i++)
    env_free(doc->env, (void *)(uintptr_t)doc->pending[i].change.bytes.data, doc->pending[i].change.bytes.len);
  ENV_FREE_ARRAY(doc->env, doc->pending, doc->pending_cap);
  idmap_free(&doc->waiting, doc->env);
}

void dunlin_doc_free(dunlin_doc *doc) {
  if (!doc) return;
  const struct dunlin_env *env = doc->env;
  dunlin_abort(doc);
  free_containers(doc);
  free_pending(doc);
  graph_free(&doc->graph);
  buf_free(&doc->history);
  buf_free(&doc->txn.text);
  buf_free(&doc->txn.values);
  ENV_FREE_ARRAY(env, doc->txn.rows, doc->txn.row_cap);
  ENV_FREE_ARRAY(env, doc->open.undos, doc->open.undo_cap);
  ENV_FREE_ARRAY(env, doc->open.made, doc->open.made_cap);
  ENV_FREE_ARRAY(env, doc->effects, doc->effect_cap);
  ENV_FREE_ARRAY(env, doc->scratch, doc->scratch_cap);
  ENV_FREE_ARRAY(env, doc->heads, doc->heads_cap);
  env_free(env, doc, sizeof *doc);
}

/* ---- A change from elsewhere -------------------------------------------------------------------------------- */

/* Takes the values of one local version. */
static void read_values(struct mp_reader *r, struct op *op) {
  switch (op->kind) {
    case OP_LIST_INSERT:
    case OP_LIST_SET: op->value = value_read(r); break;
    case OP_LIST_CHILD:
    case OP_LIST_SET_CHILD:
    case OP_LIST_MOVE: op->number = (uint32_t)mp_read_uint(r, UINT32_MAX); break;
    case OP_COUNTER_ADD: op->amount = mp_read_int(r); break;
    case OP_MAP_DELETE:
    case OP_MAP_SET:
    case OP_MAP_CHILD: op->key = mp_read_str(r, DUNLIN_MAX_KEY); break;
    default:
      for (unsigned i = 0; i < (op->kind & OP_VALUES) * op->len; i++) value_read(r);
  }
  if (op->kind == OP_MAP_SET) op->value = value_read(r);
  if (op->kind == OP_MAP_CHILD) op->number = (uint32_t)mp_read_uint(r, UINT32_MAX);
}

static int apply_row(dunlin_doc *doc, const struct change *change, const struct change_row *row, const uint8_t **text,
                     struct mp_reader *values) {
  struct op op = {.kind = row->kind, .a = row->a, .len = row->len, .text = {*text, 0}};
  uint32_t made;
  if (row->container < change->container_count) op.container = container_find(doc, &change->containers[row->container]);
  else op.container = doc->open.made[row->container - change->container_count];
  if (op.container == IDMAP_NONE) return DUNLIN_ENOENT;
  for (uint32_t i = 0; row->kind & OP_TEXT && i < row->len; i++) utf8_next(text);
  if (row->kind != OP_LIST_INSERT) {
    read_values(values, &op);
    return apply_op(doc, &op, &made);
  }
  op.len = 1;
  int error = 0;
  for (uint32_t i = 0; !error && i < row->len; i++, op.a++) {
    read_values(values, &op);
    error = apply_op(doc, &op, &made);
  }
  return error;
}

static int apply_rows(dunlin_doc *doc, const struct change *change) {
  struct mp_reader rows = change->rows, values = change->values;
  const uint8_t *text = change->text.data;
  int error = 0;
  for (size_t i = 0; !error && i < change->row_count; i++) {
    struct change_row row = change_next_row(&rows);
    error = apply_row(doc, change, &row, &text, &values);
  }
  return error;
}

/* The actor of a change whose parents are the walking version; IDMAP_NONE when out of memory. */
static uint32_t actor_of(dunlin_doc *doc, const struct change *change) {
  if (change->actor) return graph_actor(&doc->graph, change->actor);
  struct dunlin_id first;
  memcpy(first.bytes, change->parents, sizeof first.bytes);
  return doc->graph.changes[idmap_get(&doc->graph.ids, &first)].actor;
}

/* Whether actor and number are what they must be: the actor's next one in this version, with the previous one first among
 * the parents exactly when it is a parent. */
static bool header_valid(const dunlin_doc *doc, const struct change *change, uint32_t actor) {
  const struct graph *g = &doc->graph;
  if ((int64_t)change->number != graph_actor_reached(g, actor) + 1) return false;
  if (!change->number) return change->actor;
  for (size_t i = 0; i < g->version_count; i++) {
    const struct graph_change *parent = &g->changes[g->version[i]];
    if (parent->actor != actor || parent->number + 1 != change->number) continue;
    return !change->actor && !memcmp(parent->id.bytes, change->parents, sizeof parent->id.bytes);
  }
  return change->actor;
}

/* Looks the parents up in doc->scratch.  0, or IDMAP_NONE's place: the first missing one in `missing` and DUNLIN_ENOENT. */
static int find_parents(dunlin_doc *doc, const struct change *change, struct dunlin_id *missing) {
  if (ENV_GROW(doc->env, doc->scratch, doc->scratch_cap, change->parent_count)) return DUNLIN_ENOMEM;
  for (size_t i = 0; i < change->parent_count; i++) {
    memcpy(missing->bytes, change->parents + 32 * i, sizeof missing->bytes);
    doc->scratch[i] = idmap_get(&doc->graph.ids, missing);
    if (doc->scratch[i] == IDMAP_NONE) return DUNLIN_ENOENT;
  }
  return 0;
}

/* 0; DUNLIN_ENOENT: a parent is missing; DUNLIN_EREFUSED; DUNLIN_ENOMEM. */
static int take_change(dunlin_doc *doc, const struct change_id_bytes *given, const struct dunlin_actor *author,
                       struct dunlin_id *missing) {
  struct change change;
  int error = change_parse(given->bytes, &change);
  if (!error) error = find_parents(doc, &change, missing);
  if (!error) error = doc_walk(doc, doc->scratch, change.parent_count);
  if (error) return error;
  uint32_t actor = actor_of(doc, &change);
  if (actor == IDMAP_NONE) return DUNLIN_ENOMEM;
  if (author && actor_compare(author, &doc->graph.actors[actor].name)) return DUNLIN_EREFUSED;
  if (!header_valid(doc, &change, actor)) return DUNLIN_EREFUSED;
  error = open_change(doc, actor, change.number, change.time, &given->id);
  if (error) return error;
  error = apply_rows(doc, &change);
  if (!error) error = open_change_settle(doc, &given->id, given->bytes);
  if (!error) return 0;
  open_change_revert(doc);
  return error == DUNLIN_ENOMEM ? error : DUNLIN_EREFUSED;
}

/* ---- Changes that wait -------------------------------------------------------------------------------------- */

static void pending_drop(dunlin_doc *doc, struct pending *p) {
  env_free(doc->env, (void *)(uintptr_t)p->change.bytes.data, p->change.bytes.len);
  doc->pending_bytes -= p->change.bytes.len;
  doc->pending_used--;
  p->change.bytes = (struct dunlin_bytes){NULL, 0};
}

static bool pending_same(const dunlin_doc *doc, const struct dunlin_id *missing, const struct dunlin_id *id,
                         const struct dunlin_actor *author) {
  for (uint32_t i = idmap_get(&doc->waiting, missing); i != IDMAP_NONE; i = doc->pending[i].next) {
    const struct pending *p = &doc->pending[i];
    if (id_compare(&p->change.id, id) || p->has_author != (author != NULL)) continue;
    if (!author || !actor_compare(&p->author, author)) return true;
  }
  return false;
}

static uint32_t pending_place(dunlin_doc *doc) {
  for (size_t i = 0; doc->pending_used < doc->pending_count && i < doc->pending_count; i++)
    if (!doc->pending[i].change.bytes.data) return (uint32_t)i;
  if (ENV_GROW(doc->env, doc->pending, doc->pending_cap, doc->pending_count + 1)) return IDMAP_NONE;
  return (uint32_t)doc->pending_count;
}

static int pending_add(dunlin_doc *doc, const struct change_id_bytes *change, const struct dunlin_actor *author,
                       const struct dunlin_id *missing) {
  if (pending_same(doc, missing, &change->id, author)) return 0;
  if (doc->pending_bytes + change->bytes.len > DUNLIN_MAX_PENDING) return DUNLIN_ELIMIT;
  uint32_t at = pending_place(doc);
  void *bytes = at == IDMAP_NONE ? NULL : env_alloc(doc->env, change->bytes.len);
  if (!bytes) return DUNLIN_ENOMEM;
  uint32_t next = idmap_get(&doc->waiting, missing);
  int error = idmap_put(&doc->waiting, doc->env, missing, at);
  if (error) {
    env_free(doc->env, bytes, change->bytes.len);
    return error;
  }
  memcpy(bytes, change->bytes.data, change->bytes.len);
  doc->pending[at] = (struct pending){
      .change = {change->id, {bytes, change->bytes.len}}, .missing = *missing, .has_author = author, .next = next};
  if (author) doc->pending[at].author = *author;
  if (at == doc->pending_count) doc->pending_count++;
  doc->pending_used++;
  doc->pending_bytes += change->bytes.len;
  return 0;
}

struct intake {
  dunlin_doc *doc;
  const struct dunlin_actor *author;
  struct dunlin_applied result;
};

/* Takes a change in, or keeps it, or refuses it; then those that waited for it, and so on. */
static int take_in(void *ctx, const struct change_id_bytes *change) {
  struct intake *in = ctx;
  dunlin_doc *doc = in->doc;
  struct dunlin_id missing;
  if (idmap_get(&doc->graph.ids, &change->id) != IDMAP_NONE) {
    in->result.duplicates++;
    return 0;
  }
  int error = take_change(doc, change, in->author, &missing);
  if (error == DUNLIN_ENOENT) error = pending_add(doc, change, in->author, &missing);
  else if (!error) in->result.applied++;
  else if (error == DUNLIN_EREFUSED) in->result.refused++, error = 0;
  return error;
}

/* Those that waited for `id`, detached from the table; IDMAP_NONE. */
static uint32_t waiting_take(dunlin_doc *doc, const struct dunlin_id *id) {
  uint32_t first = idmap_get(&doc->waiting, id);
  if (first != IDMAP_NONE) idmap_remove(&doc->waiting, id);
  return first;
}

/* Tries all that waited for changes that are there now, from change `from` of the graph on. */
static int take_waiting(struct intake *in, size_t from) {
  dunlin_doc *doc = in->doc;
  for (size_t at = from; doc->waiting.used && at < doc->graph.count; at++) {
    uint32_t i = waiting_take(doc, &doc->graph.changes[at].id);
    while (i != IDMAP_NONE) {
      struct pending *p = &doc->pending[i];
      struct change_id_bytes change = p->change;
      struct dunlin_actor author = p->author;
      struct intake one = {.doc = doc, .author = p->has_author ? &author : NULL};
      uint32_t next = p->next;
      int error = take_in(&one, &change);
      pending_drop(doc, &doc->pending[i]);
      in->result.applied += one.result.applied;
      in->result.refused += one.result.refused;
      if (error) return error;
      i = next;
    }
  }
  return 0;
}

int doc_apply_as(dunlin_doc *doc, const struct dunlin_actor *author, const void *delta, size_t len,
                 struct dunlin_applied *result) {
  if (doc->open.is_open) return DUNLIN_ESTATE;
  struct intake in = {.doc = doc, .author = author};
  size_t from = doc->graph.count;
  int error = delta_read(doc->env, &doc->id, delta, len, take_in, &in);
  int waiting_error = take_waiting(&in, from);
  in.result.pending = doc->pending_used;
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

static struct dunlin_bytes change_bytes(const dunlin_doc *doc, const struct graph_change *change) {
  return (struct dunlin_bytes){doc->history.data + change->bytes_at, change->bytes_len};
}

/* Marks the past of the heads that are known in `past`, one byte a change. */
static void mark_past(const dunlin_doc *doc, const struct dunlin_id *since, size_t count, uint8_t *past) {
  const struct graph *g = &doc->graph;
  for (size_t i = 0; i < count; i++) {
    uint32_t head = idmap_get(&g->ids, &since[i]);
    if (head != IDMAP_NONE) past[head] = 1;
  }
  for (size_t i = g->count; i-- > 0;)
    for (uint32_t k = 0; past[i] && k < g->changes[i].parent_count; k++)
      past[g->parents[g->changes[i].parents + k]] = 1;
}

int dunlin_doc_delta(const dunlin_doc *doc, const struct dunlin_id *since, size_t count, void **out, size_t *len) {
  if (doc->open.is_open) return DUNLIN_ESTATE;
  size_t all = doc->graph.count, used = 0;
  uint8_t *past = env_calloc(doc->env, all + 1, 1);
  struct change_id_bytes *changes = env_alloc(doc->env, all * sizeof *changes);
  struct buf delta;
  buf_init(&delta, doc->env, SIZE_MAX / 2);
  int error = past && changes ? 0 : DUNLIN_ENOMEM;
  if (!error) mark_past(doc, since, count, past);
  for (size_t i = 0; !error && i < all; i++)
    if (!past[i])
      changes[used++] = (struct change_id_bytes){doc->graph.changes[i].id, change_bytes(doc, &doc->graph.changes[i])};
  if (!error && used > DUNLIN_MAX_DELTA_CHANGES) error = DUNLIN_ELIMIT;
  if (!error) error = delta_write(&delta, changes, used);
  if (!error) error = buf_take(&delta, out, len);
  buf_free(&delta);
  ENV_FREE_ARRAY(doc->env, changes, all);
  env_free(doc->env, past, all + 1);
  return error;
}

/* ---- Asking about changes ----------------------------------------------------------------------------------- */

/* Changes that are part of the document: the open one is not. */
static size_t settled(const dunlin_doc *doc) {
  return doc->graph.count - doc->open.is_open;
}

size_t dunlin_doc_changes(const dunlin_doc *doc) {
  return settled(doc);
}

size_t dunlin_doc_pending(const dunlin_doc *doc) {
  return doc->pending_used;
}

static int by_id(const void *a, const void *b) {
  return id_compare(a, b);
}

const struct dunlin_id *dunlin_doc_heads(const dunlin_doc *doc, size_t *count) {
  dunlin_doc *cache = (dunlin_doc *)(uintptr_t)doc; /* the sorted copy is no part of the state */
  const struct graph *g = &doc->graph;
  *count = 0;
  if (ENV_GROW(doc->env, cache->heads, cache->heads_cap, g->head_count + 1)) return NULL;
  for (size_t i = 0; i < g->head_count; i++) cache->heads[i] = g->changes[g->heads[i]].id;
  if (g->head_count) qsort(cache->heads, g->head_count, sizeof *cache->heads, by_id);
  *count = g->head_count;
  return cache->heads;
}

int dunlin_doc_change_at(const dunlin_doc *doc, size_t at, struct dunlin_change_info *out) {
  if (at >= settled(doc)) return DUNLIN_ENOENT;
  const struct graph_change *c = &doc->graph.changes[at];
  *out = (struct dunlin_change_info){.id = c->id,
                                     .actor = doc->graph.actors[c->actor].name,
                                     .number = c->number,
                                     .lamport = c->lamport,
                                     .time = c->time,
                                     .parents = c->parent_count,
                                     .operations = c->length};
  return 0;
}

int dunlin_doc_find_change(const dunlin_doc *doc, const struct dunlin_id *id, struct dunlin_change_info *out) {
  uint32_t at = idmap_get(&doc->graph.ids, id);
  return at == IDMAP_NONE ? DUNLIN_ENOENT : dunlin_doc_change_at(doc, at, out);
}

int dunlin_doc_find_number(const dunlin_doc *doc, const struct dunlin_actor *actor, uint64_t number,
                           struct dunlin_change_info *out) {
  struct dunlin_id padded = {{0}};
  memcpy(padded.bytes, actor->bytes, sizeof actor->bytes);
  uint32_t found = idmap_get(&doc->graph.actor_ids, &padded);
  if (found == IDMAP_NONE) return DUNLIN_ENOENT;
  const struct graph_actor *a = &doc->graph.actors[found];
  /* Numbers are places in the list until the actor forks, and no further back after. */
  for (size_t i = (size_t)number; number < a->count && i < a->count; i++)
    if (doc->graph.changes[a->changes[i]].number == number) return dunlin_doc_change_at(doc, a->changes[i], out);
  return DUNLIN_ENOENT;
}

int dunlin_doc_parent(const dunlin_doc *doc, const struct dunlin_id *id, size_t i, struct dunlin_id *out) {
  uint32_t at = idmap_get(&doc->graph.ids, id);
  if (at == IDMAP_NONE || i >= doc->graph.changes[at].parent_count) return DUNLIN_ENOENT;
  *out = doc->graph.changes[doc->graph.parents[doc->graph.changes[at].parents + i]].id;
  return 0;
}
