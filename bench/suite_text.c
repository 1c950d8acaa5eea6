/* Editing traces.
 *
 *   local_apply             all edits of a sequential trace in one transaction, or a few when it would be too large
 *   commit_per_edit         a transaction for each trace transaction
 *   commit_encode_per_edit  the same, with a delta (and so an id) after each
 *   remote_apply_per_delta  those deltas, one by one, into an empty document; ids verified
 *   remote_apply_bulk       the delta of local_apply's one transaction
 *   rebuild                 the text from the full history, which is in memory
 *   save, save_bytes        everything, compressed
 *   load_read               that opened, and its text read
 *   load_edit_merge         that opened, one edit made, one concurrent edit merged
 *   heap_bytes              live after one commit per edit
 *   load_peak_bytes         most while the full history is taken in
 *   peak_bytes              most while rebuilding; the history and the text that is replaced are in it
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/history.h"
#include "crdt/doc.h"

/* ---- Cases -------------------------------------------------------------------------------------------------- */

/* Ends a run: checks the text, frees the document, gives the time. */
static int finish(const struct text *t, dunlin_doc *doc, int error, double began, double *ms) {
  if (!error) error = history_check(doc, t->trace); /* reading it is part of the case: edits may wait until then */
  *ms = bench_now() - began;
  dunlin_doc_free(doc);
  return error;
}

static int type_run(struct text *t, bool one_transaction, double *ms) {
  dunlin_doc *doc = NULL;
  double began = bench_now();
  int error = bench_doc(NULL, 1, &doc);
  if (!error) error = history_type(doc, t->trace, one_transaction);
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
  if (!error) dunlin_doc_on_commit(doc, history_keep, t);
  if (!error) error = history_type(doc, t->trace, false);
  return finish(t, doc, error, began, ms);
}

static int remote_apply_per_delta(void *ctx, double *ms) {
  struct text *t = ctx;
  dunlin_doc *doc = NULL;
  double began = bench_now();
  int error = bench_doc(NULL, 900, &doc);
  for (size_t i = 0; !error && i < t->count; i++) {
    struct dunlin_bytes delta = history_delta_at(t, i);
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
  int error = bench_doc(NULL, 900, &doc); /* one that was opened gives back its bytes */
  if (!error) error = dunlin_doc_apply(doc, t->full, t->full_len, NULL);
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
  if (!error) error = history_check(doc, t->trace); /* reading it is part of the case */
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
  if (!error) error = history_begin(doc, &text);
  if (!error) error = dunlin_text_splice(doc, text, 0, 0, "mine", 4);
  if (!error) error = dunlin_commit(doc, 0, NULL);
  if (error > 0) error = dunlin_doc_apply(doc, t->other_edit, t->other_edit_len, NULL);
  size_t len = error ? 0 : dunlin_text_read(doc, text, NULL, 0); /* what was merged may wait until somebody looks */
  *ms = bench_now() - began;
  if (!error && len != t->trace->end_len + 9) error = DUNLIN_EREFUSED;
  dunlin_doc_free(doc);
  return error;
}

/* A document that counts its memory, with the full history. */
static int counted(struct text *t, struct bench_memory *m, dunlin_doc **doc) {
  m->peak = m->live;
  int error = bench_doc(&m->env, 900, doc);
  return error ? error : dunlin_doc_apply(*doc, t->full, t->full_len, NULL);
}

static int memory(struct text *t) {
  struct bench_memory *m = malloc(sizeof *m);
  dunlin_doc *doc = NULL;
  if (!m) return DUNLIN_ENOMEM;
  bench_memory_init(m);
  int error = bench_doc(&m->env, 900, &doc);
  for (size_t i = 0; !error && i < t->count; i++)
    error = dunlin_doc_apply(doc, history_delta_at(t, i).data, history_delta_at(t, i).len, NULL);
  if (!error) bench_size(t->b, t->name, "heap_bytes", m->live);
  dunlin_doc_free(doc);
  doc = NULL;
  if (!error) error = counted(t, m, &doc);
  if (!error) bench_size(t->b, t->name, "load_peak_bytes", m->peak);
  m->peak = m->live;
  if (!error) error = doc_rebuild(doc);
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
  if (!error) error = history_type(doc, t->trace, true);
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

/* What a long history is for.  The one of one author is typed in too. */
static int generated_cases(struct text *t) {
  int error = t->trace->concurrent ? 0 : bench_time(t->b, t->name, "local_apply", local_apply, t);
  if (!error && t->trace->concurrent)
    error = bench_time(t->b, t->name, "remote_apply_per_delta", remote_apply_per_delta, t);
  if (!error) error = bench_time(t->b, t->name, "rebuild", rebuild, t);
  return error ? error : memory(t);
}

int text_cases(struct text *t) {
  buf_init(&t->deltas, dunlin_env_default(), SIZE_MAX / 2);
  t->ends = calloc(t->trace->txn_count + 1, sizeof *t->ends);
  int error = t->ends ? history_write(t) : DUNLIN_ENOMEM;
  if (!error && !t->generated) error = history_other_edit(t);
  if (error) bench_wrong(t->b, t->name, "replaying it does not give its end content", error);
  else error = t->generated ? generated_cases(t) : all_cases(t);
  history_free(t);
  return error;
}

static int run_trace(struct bench *b, const char *path, const char *file) {
  struct text t = {.b = b};
  struct dunlin_why why = {""};
  char name[96];
  snprintf(name, sizeof name, "%.*s", (int)strcspn(file, "."), file);
  t.name = name;
  int error = trace_read(path, &t.trace, &why);
  if (!error) return text_cases(&t);
  fprintf(stderr, "dunlin-bench: %s: %s\n", path, why.text);
  b->failed = true;
  return error;
}

static int is_trace(const struct dirent *entry) {
  const char *dot = strchr(entry->d_name, '.');
  return dot && dot != entry->d_name && (!strcmp(dot, ".json") || !strcmp(dot, ".json.gz"));
}

int suite_text(struct bench *b) {
  bench_note(b, "text: save writes the compact form anew, with all history; load_read and load_edit_merge do not "
                "decode the history");
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
