/* Transactions: how they begin and how they end; what is written in between: txn.c. */
#include <dunlin/plain.h>

#include "crdt/internal.h"

/* ---- Begin, abort -------------------------------------------------------------------------------------------- */

static int begin(dunlin_doc *doc, const uint32_t *heads, size_t count) {
  if (count > DUNLIN_MAX_PARENTS) return DUNLIN_ELIMIT;
  int error = open_change(doc, heads, count, NULL);
  if (error) return error;
  struct graph *g = &doc->graph;
  /* Every change of ours must lie in the version, or this one would be a fork. */
  int64_t reached = graph_actor_reached(g, doc->actor);
  if (g->open.error || g->actors[doc->actor].changes != reached + 1) {
    error = g->open.error ? g->open.error : DUNLIN_EINVAL;
    open_change_revert(doc);
    return error;
  }
  g->open.actor = doc->actor;
  g->open.number = (uint32_t)(reached + 1);
  g->open.time = 0;
  doc->open.is_local = true;
  doc->txn_error = 0;
  return 0;
}

/* What somebody else wants done first. */
static int before_begin(dunlin_doc *doc) {
  if (doc->open.is_open) return DUNLIN_ESTATE;
  return doc->begin_hook ? doc->begin_hook(doc->begin_ctx) : 0;
}

int dunlin_begin(dunlin_doc *doc) {
  int error = before_begin(doc);
  if (error) return error;
  if (!open_change_next(doc)) return begin(doc, doc->graph.heads, doc->graph.head_count);
  doc->open.is_local = true;
  doc->txn_error = 0;
  return 0;
}

int dunlin_begin_at(dunlin_doc *doc, const struct dunlin_id *heads, size_t count) {
  int error = before_begin(doc);
  if (error) return error;
  if (count > DUNLIN_MAX_PARENTS) return DUNLIN_ELIMIT;
  if (ENV_GROW(doc->env, doc->scratch, doc->scratch_cap, count)) return DUNLIN_ENOMEM;
  size_t distinct = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t last;
    error = names_find_last(doc, &heads[i], &last);
    if (error) return error;
    bool repeated = false;
    for (size_t k = 0; k < distinct; k++) repeated |= doc->scratch[k] == last;
    if (!repeated) doc->scratch[distinct++] = last;
  }
  return begin(doc, doc->scratch, distinct);
}

void dunlin_abort(dunlin_doc *doc) {
  if (doc->open.is_open) open_change_revert(doc);
}

/* ---- Commit ------------------------------------------------------------------------------------------------- */

/* Gives the containers that the change made their ids, parents first. */
static int name_containers(dunlin_doc *doc, const struct dunlin_id *id) {
  for (size_t i = 0; i < doc->open.made_count; i++) {
    uint32_t at = doc->open.made[i];
    struct container *c = doc->containers[at], *parent = doc->containers[c->parent];
    if (!c->provisional) continue;
    struct container_id name;
    if (parent->kind == DUNLIN_MAP)
      name = child_id(doc, &parent->id, map_key(&parent->as.map.entries[c->entry]), c->kind, c->generation);
    else name = item_child_id(doc, id, c->made_index, c->kind);
    int error = container_index(doc, &name, at);
    if (error) return error;
  }
  return 0;
}

/* Finishes the open change: its bytes and its id, when somebody wants them or its containers' names hang on it. */
static int finish(dunlin_doc *doc, bool wanted, struct dunlin_id *id) {
  buf_clear(&doc->bytes);
  int error = history_change(doc, doc->graph.changes, &doc->bytes);
  if (error) return error;
  if (doc->bytes.len > DUNLIN_MAX_CHANGE) return DUNLIN_ELIMIT;
  struct dunlin_bytes canonical = {doc->bytes.data, doc->bytes.len};
  *id = change_id(doc->env, &doc->id, canonical);
  error = name_containers(doc, id);
  if (!error) error = graph_reserve(&doc->graph, doc->open.index); /* nothing may fail behind the hook */
  if (!error && wanted && doc->hook) error = doc->hook(doc->hook_ctx, id, canonical);
  return error;
}

/* Whether the change is within its limit without being written out: a parent takes 32 bytes, and a row besides what was
 * counted the number of its container. */
static bool surely_small(const dunlin_doc *doc) {
  uint64_t bytes = column_end(&doc->text) - doc->open.text_end + column_end(&doc->values) - doc->open.values_end;
  uint64_t containers = doc->open.touched_count + doc->open.made_count;
  uint32_t head = containers << OP_KIND_BITS < 0x100 ? 2 : containers << OP_KIND_BITS < 0x10000 ? 3 : 5;
  bytes += doc->open.row_bytes + head * (uint64_t)doc->open.calls + 32u * doc->graph.open.parent_count +
           16u * doc->open.touched_count;
  return bytes + 256 < DUNLIN_MAX_CHANGE;
}

int dunlin_commit(dunlin_doc *doc, int64_t time, struct dunlin_id *out) {
  if (!doc->open.is_open || !doc->open.is_local) return DUNLIN_ESTATE;
  if (!doc->open.index && !doc->txn_error) {
    dunlin_abort(doc);
    return 0;
  }
  struct dunlin_id id;
  int error = doc->txn_error || !doc->validator_count ? 0 : dunlin_txn_validate(doc, NULL);
  if (error == DUNLIN_EINVAL) return error; /* refused: it stays open, as it is */
  if (!error) error = doc->txn_error ? doc->txn_error : close_row(doc);
  bool named = out || doc->hook || doc->open.made_count || !surely_small(doc);
  doc->graph.open.time = time;
  if (!error && doc->text.buf.error) error = doc->text.buf.error;
  if (!error && doc->values.buf.error) error = doc->values.buf.error;
  if (!error) error = doc->graph.open.error;
  if (!error && doc->undo) error = undo_prepare(doc);
  if (!error && named) error = finish(doc, true, &id);
  if (!error) error = open_change_settle(doc, named ? &id : NULL);
  if (error) open_change_revert(doc);
  else check_settled(doc);
  if (!error && doc->undo) undo_keep(doc, named ? &id : NULL);
  if (!error && out) *out = id;
  return error ? error : 1;
}

/* Whether the open transaction began at the merge of `heads`. */
static int began_at(dunlin_doc *doc, const struct dunlin_id *heads, size_t count) {
  const struct graph *g = &doc->graph;
  size_t found = 0;
  for (size_t i = 0; i < g->open.parent_count; i++) {
    struct dunlin_id id;
    bool named = false;
    int error = names_id(doc, graph_change_at(g, g->open.parents[i]), &id);
    if (error) return error;
    for (size_t k = 0; k < count && !named; k++) named = !id_compare(&heads[k], &id);
    found += named;
  }
  return found == g->open.parent_count && found == count ? 0 : DUNLIN_ECONFLICT;
}

int dunlin_commit_if(dunlin_doc *doc, const struct dunlin_id *heads, size_t count, int64_t time,
                     struct dunlin_id *out) {
  if (!doc->open.is_open || !doc->open.is_local) return DUNLIN_ESTATE;
  int error = doc->txn_error ? 0 : began_at(doc, heads, count); /* what went wrong before comes out of the commit */
  if (!error) return dunlin_commit(doc, time, out);
  open_change_revert(doc);
  return error;
}

void dunlin_doc_on_commit(dunlin_doc *doc, dunlin_commit_hook *hook, void *ctx) {
  doc->hook = hook;
  doc->hook_ctx = ctx;
}
