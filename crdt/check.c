/* Whether a document's insides agree with each other.  Everything here is found again by the plainest way there is,
 * however slow: these functions are for tests, fuzzers and debug builds, and must not share a mistake with what they
 * look at.
 *
 * Nothing that shows is changed; buffers that are only scratch are used. */
#include <assert.h>
#include <string.h>

#include "crdt/docfile.h"

/* ---- Logs --------------------------------------------------------------------------------------------------- */

static int check_log(const dunlin_doc *doc, const struct oplog *log) {
  uint32_t ops = 0, end = 0;
  for (size_t i = 0; i < log->count; i++) {
    const struct op_run *run = &log->runs[i];
    if (!run->len || run->ord != ops || run->lv < end) return DUNLIN_ECORRUPT;
    ops += run->len;
    end = run->lv + run->len;
    if ((run->kind & OP_TEXT) && run->at >= column_end(&doc->text)) return DUNLIN_ECORRUPT;
    if ((run->kind & OP_VALUES) && run->at >= column_end(&doc->values)) return DUNLIN_ECORRUPT;
    if (run->kind == OP_DELETE && run->at > DIRECTION_BACKWARD) return DUNLIN_ECORRUPT;
  }
  return ops == log->ops && end <= doc->graph.lvs ? 0 : DUNLIN_ECORRUPT;
}

/* How many operations of the log lie in [from, to). */
static uint32_t count_ops(const struct oplog *log, uint32_t from, uint32_t to) {
  uint32_t count = 0;
  for (size_t i = oplog_from(log, from); i < log->count && log->runs[i].lv < to; i++)
    count += op_piece(&log->runs[i], from, to).len;
  return count;
}

/* Each operation has exactly one container: the owners' ranges are full of their containers' operations, and there are
 * no others. */
static int check_owners(const dunlin_doc *doc) {
  uint32_t in_logs = 0;
  if (!doc->owner_count != !doc->graph.lvs || (doc->owner_count && doc->owners[0].lv)) return DUNLIN_ECORRUPT;
  for (size_t i = 0; i < doc->owner_count; i++) {
    const struct owner *o = &doc->owners[i];
    uint32_t to = i + 1 < doc->owner_count ? o[1].lv : doc->graph.lvs;
    if (o->lv >= to || o->container >= doc->container_count) return DUNLIN_ECORRUPT;
    if (i && o[-1].container == o->container) return DUNLIN_ECORRUPT;
    if (count_ops(&doc->containers[o->container]->log, o->lv, to) != to - o->lv) return DUNLIN_ECORRUPT;
  }
  for (size_t i = 0; i < doc->container_count; i++) in_logs += doc->containers[i]->log.ops;
  return in_logs == doc->graph.lvs ? 0 : DUNLIN_ECORRUPT;
}

static bool set_has(const struct lv_set *set, uint32_t lv) {
  for (size_t i = 0; i < set->count; i++)
    if (set->lvs[i] == lv) return true;
  return false;
}

/* The run that holds an operation of whatever container; NULL. */
static const struct op_run *run_of(const dunlin_doc *doc, uint32_t lv) {
  size_t i = 0;
  while (i + 1 < doc->owner_count && doc->owners[i + 1].lv <= lv) i++;
  if (i == doc->owner_count) return NULL;
  const struct oplog *log = &doc->containers[doc->owners[i].container]->log;
  size_t at = oplog_from(log, lv);
  return at < log->count && log->runs[at].lv <= lv ? &log->runs[at] : NULL;
}

/* The makers are the creating operations, each with the container that it made. */
static int check_makers(const dunlin_doc *doc) {
  size_t creating = 0, made = 0;
  for (size_t i = 0; i < doc->maker_count; i++) {
    const struct owner *m = &doc->makers[i];
    if ((i && m[-1].lv >= m->lv) || !m->container || m->container >= doc->container_count) return DUNLIN_ECORRUPT;
    const struct op_run *run = run_of(doc, m->lv);
    if (!run || !(run->kind & OP_CREATES)) return DUNLIN_ECORRUPT;
    if (!set_has(&doc->containers[m->container]->made, m->lv)) return DUNLIN_ECORRUPT;
  }
  for (size_t i = 0; i < doc->container_count; i++) {
    const struct container *c = doc->containers[i];
    made += c->made.count;
    for (size_t k = 0; k < c->log.count; k++)
      if (c->log.runs[k].kind & OP_CREATES) creating += c->log.runs[k].len;
  }
  return creating == doc->maker_count && made == doc->maker_count ? 0 : DUNLIN_ECORRUPT;
}

/* Changes take the columns one after the other, from the first byte to the last. */
static int check_columns(dunlin_doc *doc) {
  uint32_t text = doc->text.base, values = doc->values.base;
  for (uint32_t change = 0; change < doc->graph.changes; change++) {
    int error = history_rows(doc, change);
    if (error) return error;
    const struct rows *rows = &doc->rows;
    if (rows->text_to > rows->text_from) {
      if (rows->text_from != text) return DUNLIN_ECORRUPT;
      text = rows->text_to;
    }
    if (rows->value_count) {
      if (rows->values_from != values) return DUNLIN_ECORRUPT;
      values = rows->values_to;
    }
  }
  return text == column_end(&doc->text) && values == column_end(&doc->values) ? 0 : DUNLIN_ECORRUPT;
}

/* ---- Containers --------------------------------------------------------------------------------------------- */

static void append(void *ctx, const void *utf8, size_t bytes) {
  buf_append(ctx, utf8, bytes);
}

static int append_anchor(void *ctx, uint32_t at, struct rope_anchor anchor) {
  uint8_t bytes[4 + ROPE_ANCHOR_BYTES];
  put_be32(bytes, at);
  rope_anchor_put(bytes + 4, anchor);
  buf_append(ctx, bytes, sizeof bytes);
  return 0;
}

/* Whether the text shows what its history says. */
static int check_shown(dunlin_doc *doc, uint32_t container) {
  const struct text *shown = &doc->containers[container]->as.text->text;
  struct text again;
  struct buf a, b;
  int error = text_from_history(doc, container, &again);
  if (error) return error;
  buf_init(&a, doc->env, SIZE_MAX / 2);
  buf_init(&b, doc->env, SIZE_MAX / 2);
  text_each(shown, &doc->text, append, &a);
  text_each(&again, &doc->text, append, &b);
  error = a.error ? a.error : b.error;
  if (!error && (shown->size != again.size || a.len != b.len || (a.len && memcmp(a.data, b.data, a.len))))
    error = DUNLIN_ECORRUPT;
  if (!error && text_bytes(shown) != a.len) error = DUNLIN_ECORRUPT;
  buf_clear(&a);
  buf_clear(&b);
  text_each_anchor(shown, 0, shown->size, append_anchor, &a);
  text_each_anchor(&again, 0, again.size, append_anchor, &b);
  if (!error) error = a.error ? a.error : b.error;
  if (!error && (a.len != b.len || (a.len && memcmp(a.data, b.data, a.len)))) error = DUNLIN_ECORRUPT;
  buf_free(&a);
  buf_free(&b);
  text_free(&again);
  return error;
}

static int check_text(dunlin_doc *doc, uint32_t container, bool deep) {
  struct container *c = doc->containers[container];
  const struct walker *w = &c->as.text->sequence.walker;
  int error = text_check(&c->as.text->text, deep);
  if (!error && deep) error = container_show(doc, container);
  if (!error && w->is_live) error = tracker_check(&w->tracker, deep);
  if (!error && w->is_live && (w->base > w->to || w->to > doc->graph.lvs)) error = DUNLIN_ECORRUPT;
  if (!error && deep) error = marks_check(doc, c);
  return error || !deep ? error : check_shown(doc, container);
}

static int check_container(dunlin_doc *doc, uint32_t at, bool deep) {
  const struct container *c = doc->containers[at];
  if (at && (c->parent >= at || c->depth != doc->containers[c->parent]->depth + 1 || !c->made.count))
    return DUNLIN_ECORRUPT;
  if (c->unknown_now > c->unknown.count || c->provisional != (c->kind == DUNLIN_NULL)) return DUNLIN_ECORRUPT;
  if (!c->provisional && container_find(doc, &c->id) != at) return DUNLIN_ECORRUPT;
  int error = check_log(doc, &c->log);
  if (!error && has_map(c->kind)) error = map_check(&c->as.map);
  if (!error && c->kind == DUNLIN_LIST) error = check_list(doc, at, deep);
  if (!error && is_offer(c->kind) && (deep || c->as.offer.count > 1)) {
    const struct reg *shown = &c->as.offer;
    if (!offer_agrees(shown, c->kind, &doc->graph, &c->log, &doc->voids, &doc->values)) error = DUNLIN_ECORRUPT;
  }
  return !error && c->kind == DUNLIN_TEXT ? check_text(doc, at, deep) : error;
}

/* ---- Names -------------------------------------------------------------------------------------------------- */

/* The id of a change from its bytes.  Those of its parents, which are part of them, were compared before. */
static int id_from_bytes(dunlin_doc *doc, uint32_t change, struct dunlin_id *out) {
  struct buf bytes;
  buf_init(&bytes, doc->env, SIZE_MAX / 2);
  int error = history_change(doc, change, &bytes);
  if (!error) *out = change_id(doc->env, &doc->id, (struct dunlin_bytes){bytes.data, bytes.len});
  buf_free(&bytes);
  return error;
}

/* The place in `kept` of a change; names->count when it is not kept. */
static size_t kept_at(const struct names *n, uint32_t change) {
  size_t i = 0;
  while (i < n->count && n->kept[i].change != change) i++;
  return i;
}

static bool same_id(const struct dunlin_id *a, const struct dunlin_id *b) {
  return !memcmp(a, b, sizeof *a);
}

/* Everything that names say of one change: asked without what was found out last, each way must lead to `id`. */
static int check_name(dunlin_doc *doc, uint32_t change, const struct dunlin_id *id) {
  struct names *n = &doc->names;
  struct dunlin_id own;
  n->memo.change = UINT32_MAX;
  int error = names_id(doc, change, &own);
  if (error) return error;
  size_t at = kept_at(n, change);
  if (!same_id(&own, id) || (at < n->count && !same_id(&n->kept[at].id, id))) return DUNLIN_ECORRUPT;
  if (change % NAMES_EVERY == NAMES_EVERY - 1 && at == n->count) return DUNLIN_ECORRUPT;
  if (n->done - change <= NAMES_RECENT && !same_id(&n->recent[change % NAMES_RECENT], id)) return DUNLIN_ECORRUPT;
  return 0;
}

/* The ids of what runs of the graph end with are kept, but for the last run's. */
static int check_ends(const dunlin_doc *doc) {
  const struct graph *g = &doc->graph;
  for (size_t i = 1; i < g->run_count; i++) {
    uint32_t end = g->runs[i].change - 1;
    if (end >= doc->names.base && kept_at(&doc->names, end) == doc->names.count) return DUNLIN_ECORRUPT;
  }
  return 0;
}

/* The three tables hold what they should, and nothing else. */
static int check_tables(const struct names *n, const struct dunlin_id *ids) {
  size_t by_id = 0, by_change = 0, all = 0;
  for (size_t i = 0; i < n->slots; i++) {
    by_id += n->by_id[i] != 0;
    by_change += n->by_change[i] != 0;
    if (n->by_id[i] > n->count || n->by_change[i] > n->count) return DUNLIN_ECORRUPT;
  }
  if (by_id != n->count || by_change != n->count) return DUNLIN_ECORRUPT;
  for (size_t i = 0; i < n->count; i++)
    if (n->kept[i].change >= n->done || kept_at(n, n->kept[i].change) != i) return DUNLIN_ECORRUPT;
  for (size_t i = 0; i < n->all_slots; i++) {
    const struct names_entry *e = &n->all[i];
    if (e->change == UINT32_MAX) continue;
    if (e->change >= n->done || e->tag != names_tag(n, &ids[e->change])) return DUNLIN_ECORRUPT;
    all++;
  }
  return all == n->all_used && (!n->all || all == n->done) ? 0 : DUNLIN_ECORRUPT;
}

static int check_names(dunlin_doc *doc) {
  struct names *n = &doc->names;
  struct name memo = n->memo;
  struct dunlin_id *ids = env_alloc(doc->env, (n->done + 1) * sizeof *ids);
  int error = !ids ? DUNLIN_ENOMEM : n->done > doc->graph.changes ? DUNLIN_ECORRUPT : 0;
  for (uint32_t change = 0; !error && change < n->done; change++) {
    error = id_from_bytes(doc, change, &ids[change]);
    if (!error) error = check_name(doc, change, &ids[change]);
    if (!error && memo.change == change && !same_id(&memo.id, &ids[change])) error = DUNLIN_ECORRUPT;
  }
  if (!error) error = check_ends(doc);
  if (!error) error = check_tables(n, ids);
  if (ids) env_free(doc->env, ids, (n->done + 1) * sizeof *ids);
  n->memo = memo;
  return error;
}

/* ---- The rest ----------------------------------------------------------------------------------------------- */

static int check_voids(const dunlin_doc *doc) {
  const struct lv_ranges *v = &doc->voids;
  for (size_t i = 0; i < v->count; i++) {
    const struct lv_range *r = &v->list[i];
    if (r->from >= r->to || r->to > (i ? r[-1].from : doc->graph.lvs)) return DUNLIN_ECORRUPT;
  }
  return 0;
}

int doc_check(dunlin_doc *doc, bool deep) {
  if (doc->open.is_open) return DUNLIN_ESTATE;
  int error = names_whole(doc);
  if (!error) error = graph_check(&doc->graph, deep);
  for (uint32_t i = 0; !error && i < doc->container_count; i++) error = check_container(doc, i, deep);
  if (!error) error = check_owners(doc);
  if (!error) error = check_makers(doc);
  if (!error) error = check_voids(doc);
  if (!error) error = pending_check(doc);
  if (!error && deep) error = check_columns(doc);
  if (!error && deep) error = check_names(doc);
  return error;
}

#ifdef DUNLIN_CHECK
void check_settled(dunlin_doc *doc) {
  enum { most_changes = 48, most_operations = 1024 }; /* so that tests of large documents do not take for ever */
  if (doc->file || doc->graph.changes > most_changes || doc->graph.lvs > most_operations) return;
  if (doc->env != dunlin_env_default()) return; /* whose memory is counted, or made to fail */
  int error = doc_check(doc, true);
  assert(!error || error == DUNLIN_ENOMEM);
}
#endif
