/* Editing traces.
 *
 *   local_apply             all edits of a sequential trace in one transaction
 *   commit_per_edit         a transaction for each trace transaction
 *   commit_encode_per_edit  the same, with a delta (and so an id) after each
 *   remote_apply_per_delta  those deltas, one by one, into an empty document; ids verified
 *   remote_apply_bulk       the delta of local_apply's one transaction
 *   rebuild                 the text from the full history, which is in memory
 *   save, save_bytes        everything, compressed
 *   load_read               that opened, and its text read
 *   load_edit_merge         that opened, one edit made, one concurrent edit merged
 *   heap_bytes, peak_bytes  live after one commit per edit; most while rebuilding
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "cli/trace.h"
#include "crdt/change.h"
#include "crdt/doc.h"

#define KEY "text", 4

/* One trace, and what the cases need of it again and again. */
struct text {
  struct bench *b;
  const char *name;
  struct trace *trace;
  struct buf deltas; /* one for each change, in a row */
  size_t *ends;      /* where each ends in `deltas` */
  size_t count;
  void *full; /* the delta of everything */
  size_t full_len;
  void *one; /* that of one transaction; NULL for a concurrent trace */
  size_t one_len;
  void *saved;
  size_t saved_len;
  void *other_edit; /* a delta of one more edit, by somebody else, on the saved version */
  size_t other_edit_len;
};

static int text_of(const dunlin_doc *doc, dunlin_obj *out) {
  struct dunlin_value value;
  int error = dunlin_map_get(doc, DUNLIN_ROOT, KEY, &value);
  if (!error) *out = value.as.obj;
  return error;
}

static int begin_text(dunlin_doc *doc, dunlin_obj *out) {
  int error = dunlin_begin(doc);
  return error ? error : dunlin_map_child(doc, DUNLIN_ROOT, KEY, DUNLIN_TEXT, out);
}

/* 0 when the document's text is the trace's end content. */
static int check_text(const dunlin_doc *doc, const struct trace *trace) {
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
  int error = begin_text(doc, &text);
  if (!error) error = dunlin_text_splice(doc, text, 0, 0, trace->start, trace->start_len);
  if (!error) error = dunlin_commit(doc, 0, NULL);
  return error < 0 ? error : 0;
}

static int type_all(dunlin_doc *doc, const struct trace *trace, bool one_transaction) {
  dunlin_obj text;
  int error = set_up(doc, trace);
  if (!error) error = text_of(doc, &text);
  if (!error && one_transaction) error = dunlin_begin(doc);
  for (size_t i = 0; !error && i < trace->txn_count; i++) {
    if (!one_transaction) error = dunlin_begin(doc);
    if (!error) error = splice(doc, text, trace, &trace->txns[i]);
    if (!error && !one_transaction) error = dunlin_commit(doc, 0, NULL);
    if (error > 0) error = 0;
  }
  if (!error && one_transaction) error = dunlin_commit(doc, 0, NULL);
  return error < 0 ? error : 0;
}

/* ---- Making the history of a trace -------------------------------------------------------------------------- */

/* The commit hook: keeps each change as a delta of its own. */
static int keep_delta(void *ctx, const struct dunlin_id *id, struct dunlin_bytes change) {
  struct text *t = ctx;
  struct change_id_bytes one = {*id, change};
  int error = delta_write(&t->deltas, &one, 1);
  if (!error) t->ends[t->count++] = t->deltas.len;
  return error;
}

static struct dunlin_bytes delta_at(const struct text *t, size_t i) {
  size_t from = i ? t->ends[i - 1] : 0;
  return (struct dunlin_bytes){t->deltas.data + from, t->ends[i] - from};
}

/* A concurrent trace has a document for each agent; before it writes, an agent takes in all that came before: what a transaction
 * may see is said by its parents alone. */
struct agents {
  struct text *t;
  dunlin_doc **docs;
  size_t *taken; /* deltas taken in */
  struct dunlin_id *ids;
};

static int write_txn(struct agents *a, size_t i) {
  const struct trace *trace = a->t->trace;
  const struct trace_txn *txn = &trace->txns[i];
  dunlin_doc *doc = a->docs[txn->agent];
  struct dunlin_id parents[64];
  dunlin_obj text;
  int error = txn->parent_count > 64 ? DUNLIN_ELIMIT : 0;
  for (size_t *k = &a->taken[txn->agent]; !error && *k < a->t->count; ++*k) {
    struct dunlin_bytes delta = delta_at(a->t, *k);
    error = dunlin_doc_apply(doc, delta.data, delta.len, NULL);
  }
  for (uint32_t p = 0; !error && p < txn->parent_count; p++) parents[p] = a->ids[1 + trace->parents[txn->parents + p]];
  if (!error)
    error = txn->parent_count ? dunlin_begin_at(doc, parents, txn->parent_count) : dunlin_begin_at(doc, a->ids, 1);
  if (!error) error = text_of(doc, &text);
  if (!error) error = splice(doc, text, trace, txn);
  if (!error) error = dunlin_commit(doc, 0, &a->ids[1 + i]);
  if (!error) a->ids[1 + i] = txn->parent_count ? parents[0] : a->ids[0]; /* it changed nothing */
  return error < 0 ? error : 0;
}

/* Fills t->deltas, t->full and t->saved. */
static int write_history(struct text *t) {
  const struct trace *trace = t->trace;
  size_t agents = trace->concurrent ? trace->agents : 1;
  struct agents a = {.t = t,
                     .docs = calloc(agents, sizeof *a.docs),
                     .taken = calloc(agents, sizeof *a.taken),
                     .ids = calloc(trace->txn_count + 1, sizeof *a.ids)};
  int error = a.docs && a.taken && a.ids ? 0 : DUNLIN_ENOMEM;
  for (size_t i = 0; !error && i < agents; i++) {
    error = bench_doc(NULL, (unsigned)i, &a.docs[i]);
    if (!error) dunlin_doc_on_commit(a.docs[i], keep_delta, t);
  }
  if (!error) error = trace->concurrent ? set_up(a.docs[0], trace) : type_all(a.docs[0], trace, false);
  if (!error && trace->concurrent) {
    struct dunlin_change_info first;
    error = dunlin_doc_change_at(a.docs[0], 0, &first);
    a.ids[0] = first.id;
    for (size_t i = 0; !error && i < trace->txn_count; i++) error = write_txn(&a, i);
  }
  for (size_t k = a.taken ? a.taken[0] : 0; !error && k < t->count; k++)
    error = dunlin_doc_apply(a.docs[0], delta_at(t, k).data, delta_at(t, k).len, NULL);
  if (!error) error = check_text(a.docs[0], trace);
  if (!error) error = dunlin_doc_delta(a.docs[0], NULL, 0, &t->full, &t->full_len);
  if (!error) error = bench_save(a.docs[0], &t->saved, &t->saved_len);
  for (size_t i = 0; a.docs && i < agents; i++) dunlin_doc_free(a.docs[i]);
  free(a.docs);
  free(a.taken);
  free(a.ids);
  return error;
}

/* One more edit, by another device, on the saved version. */
static int write_other_edit(struct text *t) {
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
  if (!error) error = begin_text(doc, &text);
  if (!error) error = dunlin_text_splice(doc, text, 0, 0, "other", 5);
  if (!error) error = dunlin_commit(doc, 0, NULL);
  if (error > 0) error = dunlin_doc_delta(doc, heads, count, &t->other_edit, &t->other_edit_len);
  dunlin_doc_free(doc);
  return error;
}

/* ---- Cases -------------------------------------------------------------------------------------------------- */

/* Ends a run: checks the text, frees the document, gives the time. */
static int finish(const struct text *t, dunlin_doc *doc, int error, double began, double *ms) {
  if (!error) error = check_text(doc, t->trace); /* reading it is part of the case: edits may wait until then */
  *ms = bench_now() - began;
  dunlin_doc_free(doc);
  return error;
}

static int type_run(struct text *t, bool one_transaction, double *ms) {
  dunlin_doc *doc = NULL;
  double began = bench_now();
  int error = bench_doc(NULL, 1, &doc);
  if (!error) error = type_all(doc, t->trace, one_transaction);
  return finish(t, doc, error, began, ms);
}

static int local_apply(void *ctx, double *ms) {
  return type_run(ctx, true, ms);
}

static int commit_per_edit(void *ctx, double *ms) {
  return type_run(ctx, false, ms);
}

static int commit_encode_per_edit(void *ctx, double *ms) {
  struct text *t = ctx;
  dunlin_doc *doc = NULL;
  t->count = 0;
  buf_clear(&t->deltas);
  double began = bench_now();
  int error = bench_doc(NULL, 0, &doc);
  if (!error) dunlin_doc_on_commit(doc, keep_delta, t);
  if (!error) error = type_all(doc, t->trace, false);
  return finish(t, doc, error, began, ms);
}

static int remote_apply_per_delta(void *ctx, double *ms) {
  struct text *t = ctx;
  dunlin_doc *doc = NULL;
  double began = bench_now();
  int error = bench_doc(NULL, 900, &doc);
  for (size_t i = 0; !error && i < t->count; i++) {
    struct dunlin_bytes delta = delta_at(t, i);
    error = dunlin_doc_apply(doc, delta.data, delta.len, NULL);
  }
  return finish(t, doc, error, began, ms);
}

static int apply_run(struct text *t, const void *delta, size_t len, double *ms) {
  dunlin_doc *doc = NULL;
  double began = bench_now();
  int error = bench_doc(NULL, 900, &doc);
  if (!error) error = dunlin_doc_apply(doc, delta, len, NULL);
  return finish(t, doc, error, began, ms);
}

static int remote_apply_bulk(void *ctx, double *ms) {
  struct text *t = ctx;
  return apply_run(t, t->one, t->one_len, ms);
}

static int rebuild(void *ctx, double *ms) {
  struct text *t = ctx;
  dunlin_doc *doc = NULL;
  int error = bench_doc(NULL, 900, &doc);
  if (!error) error = dunlin_doc_apply(doc, t->full, t->full_len, NULL);
  double began = bench_now();
  if (!error) error = doc_rebuild(doc);
  return finish(t, doc, error, began, ms);
}

static int save(void *ctx, double *ms) {
  struct text *t = ctx;
  dunlin_doc *doc = NULL;
  void *out = NULL;
  size_t len = 0;
  int error = bench_load(NULL, t->saved, t->saved_len, 900, &doc);
  double began = bench_now();
  if (!error) error = bench_save(doc, &out, &len);
  *ms = bench_now() - began;
  if (!error && (len != t->saved_len || memcmp(out, t->saved, len))) error = DUNLIN_EREFUSED;
  free(out);
  dunlin_doc_free(doc);
  return error;
}

static int load_read(void *ctx, double *ms) {
  struct text *t = ctx;
  dunlin_doc *doc = NULL;
  double began = bench_now();
  int error = bench_load(NULL, t->saved, t->saved_len, 900, &doc);
  if (!error) error = check_text(doc, t->trace); /* reading it is part of the case */
  *ms = bench_now() - began;
  dunlin_doc_free(doc);
  return error;
}

static int load_edit_merge(void *ctx, double *ms) {
  struct text *t = ctx;
  dunlin_doc *doc = NULL;
  dunlin_obj text;
  double began = bench_now();
  int error = bench_load(NULL, t->saved, t->saved_len, 900, &doc);
  if (!error) error = begin_text(doc, &text);
  if (!error) error = dunlin_text_splice(doc, text, 0, 0, "mine", 4);
  if (!error) error = dunlin_commit(doc, 0, NULL);
  if (error > 0) error = dunlin_doc_apply(doc, t->other_edit, t->other_edit_len, NULL);
  *ms = bench_now() - began;
  if (!error && dunlin_text_read(doc, text, NULL, 0) != t->trace->end_len + 9) error = DUNLIN_EREFUSED;
  dunlin_doc_free(doc);
  return error;
}

static int memory(struct text *t) {
  struct bench_memory *m = malloc(sizeof *m);
  dunlin_doc *doc = NULL;
  if (!m) return DUNLIN_ENOMEM;
  bench_memory_init(m);
  int error = bench_doc(&m->env, 900, &doc);
  for (size_t i = 0; !error && i < t->count; i++)
    error = dunlin_doc_apply(doc, delta_at(t, i).data, delta_at(t, i).len, NULL);
  if (!error) bench_size(t->b, t->name, "heap_bytes", m->live);
  dunlin_doc_free(doc);
  doc = NULL;
  m->peak = m->live;
  if (!error) error = bench_doc(&m->env, 900, &doc);
  if (!error) error = dunlin_doc_apply(doc, t->full, t->full_len, NULL);
  if (!error) bench_size(t->b, t->name, "peak_bytes", m->peak);
  dunlin_doc_free(doc);
  if (!error && m->live) error = DUNLIN_ESTATE; /* a leak */
  free(m);
  return error;
}

/* ---- A trace ------------------------------------------------------------------------------------------------ */

static int sequential_cases(struct text *t) {
  struct bench *b = t->b;
  dunlin_doc *doc = NULL;
  int error = bench_doc(NULL, 1, &doc);
  if (!error) error = type_all(doc, t->trace, true);
  if (!error) error = dunlin_doc_delta(doc, NULL, 0, &t->one, &t->one_len);
  dunlin_doc_free(doc);
  if (error) return error;
  error = bench_time(b, t->name, "local_apply", local_apply, t);
  if (!error) error = bench_time(b, t->name, "commit_per_edit", commit_per_edit, t);
  if (!error) error = bench_time(b, t->name, "commit_encode_per_edit", commit_encode_per_edit, t);
  if (!error) error = bench_time(b, t->name, "remote_apply_bulk", remote_apply_bulk, t);
  return error;
}

static int all_cases(struct text *t) {
  struct bench *b = t->b;
  int error = t->trace->concurrent ? 0 : sequential_cases(t);
  if (t->trace->concurrent)
    bench_note(b, "text %s: concurrent, so it has no local_apply, commit_* or remote_apply_bulk", t->name);
  if (!error) error = bench_time(b, t->name, "remote_apply_per_delta", remote_apply_per_delta, t);
  if (!error) error = bench_time(b, t->name, "rebuild", rebuild, t);
  if (error) return error;
  bench_size(b, t->name, "save_bytes", t->saved_len);
  error = bench_time(b, t->name, "save", save, t);
  if (!error) error = bench_time(b, t->name, "load_read", load_read, t);
  if (!error) error = bench_time(b, t->name, "load_edit_merge", load_edit_merge, t);
  return error ? error : memory(t);
}

static int run_trace(struct bench *b, const char *path, const char *file) {
  struct text t = {.b = b};
  struct dunlin_why why = {""};
  char name[96];
  snprintf(name, sizeof name, "%.*s", (int)strcspn(file, "."), file);
  t.name = name;
  buf_init(&t.deltas, dunlin_env_default(), SIZE_MAX / 2);
  int error = trace_read(path, &t.trace, &why);
  if (error) {
    fprintf(stderr, "dunlin-bench: %s: %s\n", path, why.text);
    b->failed = true;
    return error;
  }
  t.ends = calloc(t.trace->txn_count + 1, sizeof *t.ends);
  error = t.ends ? write_history(&t) : DUNLIN_ENOMEM;
  if (!error) error = write_other_edit(&t);
  if (error) bench_wrong(b, name, "replaying it does not give its end content", error);
  else error = all_cases(&t);
  trace_free(t.trace);
  buf_free(&t.deltas);
  free(t.ends);
  dunlin_free(NULL, t.full, t.full_len);
  dunlin_free(NULL, t.one, t.one_len);
  dunlin_free(NULL, t.other_edit, t.other_edit_len);
  free(t.saved);
  return error;
}

static int is_trace(const struct dirent *entry) {
  const char *dot = strchr(entry->d_name, '.');
  return dot && dot != entry->d_name && (!strcmp(dot, ".json") || !strcmp(dot, ".json.gz"));
}

int suite_text(struct bench *b) {
  bench_note(b, "text: save is the delta of the full history, compressed by zstd level 3; a compact form comes later");
  if (!b->traces) {
    bench_note(b, "text: no --traces DIR: the history that ships with dunlin (%s)", "demo-history");
    return run_trace(b, BENCH_HISTORY, "demo-history");
  }
  struct dirent **entries = NULL;
  int count = scandir(b->traces, &entries, is_trace, alphasort), error = 0;
  if (count <= 0)
    fprintf(stderr, "dunlin-bench: no .json or .json.gz file in '%s'\n", b->traces), error = DUNLIN_ENOENT;
  for (int i = 0; i < count; i++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", b->traces, entries[i]->d_name);
    int failed = run_trace(b, path, entries[i]->d_name);
    if (failed) error = failed;
    free(entries[i]);
  }
  free(entries);
  return error;
}
