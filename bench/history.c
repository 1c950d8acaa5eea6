#include "bench/history.h"

#include <stdlib.h>
#include <string.h>

#include "crdt/doc.h"

static int text_of(const dunlin_doc *doc, dunlin_obj *out) {
  struct dunlin_value value;
  int error = dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("text"), &value);
  if (!error) *out = value.as.obj;
  return error;
}

int history_begin(dunlin_doc *doc, dunlin_obj *out) {
  int error = dunlin_begin(doc);
  if (!error) *out = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("text"), DUNLIN_TEXT);
  return error;
}

int history_check(const dunlin_doc *doc, const struct trace *trace) {
  dunlin_obj text;
  int error = text_of(doc, &text);
  size_t len = error ? 0 : dunlin_text_read(doc, text, NULL, 0);
  char *got = malloc(len + 1);
  if (!error && !got) error = DUNLIN_ENOMEM;
  if (!error && (len != trace->end_len || dunlin_text_read(doc, text, got, len) != len || memcmp(got, trace->end, len)))
    error = DUNLIN_EREFUSED;
  free(got);
  return error;
}

static int splice(dunlin_doc *doc, dunlin_obj text, const struct trace *trace, const struct trace_txn *txn) {
  int error = 0;
  for (uint32_t i = 0; !error && i < txn->patch_count; i++) {
    const struct trace_patch *p = &trace->patches[txn->patches + i];
    error = dunlin_text_splice(doc, text, p->at, p->remove, trace->text + p->offset, p->len);
  }
  return error;
}

/* The first change: the text, with the trace's start content. */
static int set_up(dunlin_doc *doc, const struct trace *trace) {
  dunlin_obj text;
  int error = history_begin(doc, &text);
  if (!error) error = dunlin_text_splice(doc, text, 0, 0, trace->start, trace->start_len);
  if (!error) error = dunlin_commit(doc, 0, NULL);
  return error < 0 ? error : 0;
}

/* One transaction is a few, when it would be larger than a change may be. */
int history_type(dunlin_doc *doc, const struct trace *trace, bool one_transaction) {
  enum { most = 400000 }; /* edits */
  dunlin_obj text;
  size_t since = 0;
  int error = set_up(doc, trace);
  if (!error) error = text_of(doc, &text);
  for (size_t i = 0; !error && i < trace->txn_count; i++) {
    if (!since) error = dunlin_begin(doc);
    if (!error) error = splice(doc, text, trace, &trace->txns[i]);
    since += trace->txns[i].patch_count;
    if (error || (one_transaction && since < most && i + 1 < trace->txn_count)) continue;
    error = dunlin_commit(doc, 0, NULL);
    if (error > 0) error = 0;
    since = 0;
  }
  return error;
}

/* ---- Making the history of a trace -------------------------------------------------------------------------- */

int history_keep(void *ctx, const struct dunlin_id *id, struct dunlin_bytes change) {
  struct text *t = ctx;
  struct change_id_bytes one = {.id = *id, .bytes = change};
  int error = delta_write(&t->deltas, &one, 1);
  if (!error) t->ends[t->count++] = t->deltas.len;
  return error;
}

struct dunlin_bytes history_delta_at(const struct text *t, size_t i) {
  size_t from = i ? t->ends[i - 1] : 0;
  return (struct dunlin_bytes){t->deltas.data + from, t->ends[i] - from};
}

/* One document writes for all agents of a concurrent trace, each time at the version that the transaction's parents
 * say. */
static int write_txn(struct text *t, dunlin_doc *doc, struct dunlin_id *ids, size_t i) {
  const struct trace_txn *txn = &t->trace->txns[i];
  struct dunlin_id parents[64];
  dunlin_obj text;
  int error = txn->parent_count > 64 ? DUNLIN_ELIMIT : 0;
  for (uint32_t p = 0; !error && p < txn->parent_count; p++) parents[p] = ids[1 + t->trace->parents[txn->parents + p]];
  struct dunlin_actor actor = bench_actor(txn->agent);
  if (!error) error = doc_set_actor(doc, &actor);
  if (!error)
    error = txn->parent_count ? dunlin_begin_at(doc, parents, txn->parent_count) : dunlin_begin_at(doc, ids, 1);
  if (!error) error = text_of(doc, &text);
  if (!error) error = splice(doc, text, t->trace, txn);
  if (!error) error = dunlin_commit(doc, 0, &ids[1 + i]);
  if (!error) ids[1 + i] = txn->parent_count ? parents[0] : ids[0]; /* it changed nothing */
  return error < 0 ? error : 0;
}

static int write_txns(struct text *t, dunlin_doc *doc) {
  struct dunlin_change_info first;
  struct dunlin_id *ids = calloc(t->trace->txn_count + 1, sizeof *ids);
  int error = ids ? set_up(doc, t->trace) : DUNLIN_ENOMEM;
  if (!error) error = dunlin_doc_change_at(doc, 0, &first);
  if (!error) ids[0] = first.id;
  for (size_t i = 0; !error && i < t->trace->txn_count; i++) error = write_txn(t, doc, ids, i);
  free(ids);
  return error;
}

/* What the document shows becomes the trace's end content. */
static int take_end(const dunlin_doc *doc, struct trace *trace) {
  dunlin_obj text;
  int error = text_of(doc, &text);
  if (error) return error;
  trace->end_len = dunlin_text_read(doc, text, NULL, 0);
  trace->end = malloc(trace->end_len + 1);
  if (!trace->end) return DUNLIN_ENOMEM;
  return dunlin_text_read(doc, text, trace->end, trace->end_len) == trace->end_len ? 0 : DUNLIN_EREFUSED;
}

/* ---- Another order ------------------------------------------------------------------------------------------ */

/* Where each agent stands: its transactions follow each other. */
struct order {
  uint32_t *next; /* of the same agent, for each transaction */
  uint32_t *at;   /* for each agent */
  bool *taken;
  size_t left;
};

static int order_init(struct order *o, const struct trace *trace) {
  o->next = malloc((trace->txn_count + 1) * sizeof *o->next);
  o->at = malloc((trace->agents + 1) * sizeof *o->at);
  o->taken = calloc(trace->txn_count + 1, sizeof *o->taken);
  if (!o->next || !o->at || !o->taken) return DUNLIN_ENOMEM;
  memset(o->at, 0xff, trace->agents * sizeof *o->at);
  for (size_t i = trace->txn_count; i-- > 0;) {
    uint32_t agent = trace->txns[i].agent;
    o->next[i] = o->at[agent];
    o->at[agent] = (uint32_t)i;
  }
  o->left = trace->txn_count;
  return 0;
}

/* Takes in what one agent wrote, as far as what it builds on is there. */
static int take_some(struct order *o, const struct text *t, uint32_t agent, dunlin_doc *doc) {
  enum { most = 200 };
  int error = 0;
  for (size_t n = 0; !error && n < most && o->at[agent] != UINT32_MAX; n++) {
    uint32_t i = o->at[agent];
    const struct trace_txn *txn = &t->trace->txns[i];
    for (uint32_t p = 0; p < txn->parent_count; p++)
      if (!o->taken[t->trace->parents[txn->parents + p]]) return 0;
    struct dunlin_bytes delta = history_delta_at(t, 1 + i);
    error = dunlin_doc_apply(doc, delta.data, delta.len, NULL);
    o->taken[i] = true;
    o->at[agent] = o->next[i];
    o->left--;
  }
  return error;
}

/* Another replica, which takes the agents' work in another order, has the same document. */
static int check_other_order(const struct text *t, const dunlin_doc *doc) {
  struct order o = {.left = 0};
  dunlin_doc *other = NULL;
  uint64_t seed = 88172645463325252u;
  int error = t->count == t->trace->txn_count + 1 ? order_init(&o, t->trace) : DUNLIN_ESTATE;
  if (!error) error = bench_doc(NULL, 900, &other);
  if (!error) error = dunlin_doc_apply(other, history_delta_at(t, 0).data, history_delta_at(t, 0).len, NULL);
  while (!error && o.left) error = take_some(&o, t, (uint32_t)(bench_random(&seed) % t->trace->agents), other);
  if (!error && !bench_same(doc, other)) error = DUNLIN_EREFUSED;
  dunlin_doc_free(other);
  free(o.next);
  free(o.at);
  free(o.taken);
  return error;
}

int history_write(struct text *t) {
  dunlin_doc *doc = NULL;
  int error = bench_doc(NULL, 0, &doc);
  if (!error) dunlin_doc_on_commit(doc, history_keep, t);
  if (!error) error = t->trace->concurrent ? write_txns(t, doc) : history_type(doc, t->trace, false);
  if (!error && !t->trace->end) error = take_end(doc, t->trace);
  if (!error) error = history_check(doc, t->trace);
  if (!error) error = dunlin_doc_delta(doc, NULL, 0, &t->full, &t->full_len);
  if (!error) error = bench_save(doc, &t->saved, &t->saved_len);
  if (!error && t->other_order) error = check_other_order(t, doc);
  dunlin_doc_free(doc);
  return error;
}

int history_other_edit(struct text *t) {
  dunlin_doc *doc = NULL;
  dunlin_obj text;
  struct dunlin_id heads[64];
  size_t count;
  int error = bench_load(NULL, t->saved, t->saved_len, 901, &doc);
  if (!error) {
    const struct dunlin_id *now = dunlin_doc_heads(doc, &count);
    if (count > 64) error = DUNLIN_ELIMIT;
    else memcpy(heads, now, count * sizeof *now);
  }
  if (!error) error = history_begin(doc, &text);
  if (!error) error = dunlin_text_splice(doc, text, 0, 0, "other", 5);
  if (!error) error = dunlin_commit(doc, 0, NULL);
  if (error > 0) error = dunlin_doc_delta(doc, heads, count, &t->other_edit, &t->other_edit_len);
  dunlin_doc_free(doc);
  return error;
}

void history_free(struct text *t) {
  trace_free(t->trace);
  buf_free(&t->deltas);
  free(t->ends);
  dunlin_free(NULL, t->full, t->full_len);
  dunlin_free(NULL, t->one, t->one_len);
  dunlin_free(NULL, t->other_edit, t->other_edit_len);
  free(t->saved);
}
