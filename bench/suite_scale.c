/* The cost of one operation as documents grow: it should not. Stops a shape at 60 s and says so. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"

enum shape { TYPING, RANDOM, PREPENDING, AUTHORS, SETS, SHAPES };
static const char *const names[SHAPES] = {"typing", "random-positions", "prepending", "100-authors", "map-sets"};
enum { AUTHOR_COUNT = 100 };

/* One text edit, a transaction. */
static int type_at(dunlin_doc *doc, size_t at) {
  dunlin_obj text;
  int error = dunlin_begin(doc);
  if (!error) error = dunlin_map_child(doc, DUNLIN_ROOT, "text", 4, DUNLIN_TEXT, &text);
  if (!error) error = dunlin_text_splice(doc, text, at, 0, "x", 1);
  if (!error) error = dunlin_commit(doc, 0, NULL);
  return error < 0 ? error : 0;
}

static int set_key(dunlin_doc *doc, uint64_t key, int64_t value) {
  struct dunlin_value v = {.kind = DUNLIN_INT, .as.integer = value};
  int error = dunlin_begin(doc);
  if (!error) error = dunlin_map_put(doc, DUNLIN_ROOT, &"0123456789"[key % 10], 1, v);
  if (!error) error = dunlin_commit(doc, 0, NULL);
  return error < 0 ? error : 0;
}

static int edit(dunlin_doc *doc, enum shape shape, size_t size, uint64_t *seed) {
  switch (shape) {
    case TYPING: return type_at(doc, size);
    case RANDOM: return type_at(doc, (size_t)(bench_random(seed) % (size + 1)));
    case PREPENDING: return type_at(doc, 0);
    default: return set_key(doc, bench_random(seed), (int64_t)size);
  }
}

static int single_author(enum shape shape, size_t operations, double *ms) {
  dunlin_doc *doc = NULL;
  uint64_t seed = 88172645463325252u;
  int error = bench_doc(NULL, 1, &doc);
  double began = bench_now();
  for (size_t i = 0; !error && i < operations; i++) error = edit(doc, shape, i, &seed);
  *ms = bench_now() - began;
  if (!error && dunlin_doc_changes(doc) != operations) error = DUNLIN_EREFUSED;
  dunlin_doc_free(doc);
  return error;
}

/* A hundred authors type at one place, apart; one replica takes all in.  Measured is that. */
static int many_authors(size_t operations, double *ms) {
  dunlin_doc *all = NULL;
  int error = bench_doc(NULL, 999, &all);
  *ms = 0;
  for (unsigned who = 0; !error && who < AUTHOR_COUNT; who++) {
    dunlin_doc *doc = NULL;
    void *delta = NULL;
    size_t len = 0;
    error = bench_doc(NULL, who, &doc);
    for (size_t i = 0; !error && i < operations / AUTHOR_COUNT; i++) error = type_at(doc, i);
    if (!error) error = dunlin_doc_delta(doc, NULL, 0, &delta, &len);
    double began = bench_now();
    if (!error) error = dunlin_doc_apply(all, delta, len, NULL);
    *ms += bench_now() - began;
    dunlin_free(NULL, delta, len);
    dunlin_doc_free(doc);
  }
  if (!error && dunlin_doc_changes(all) != operations / AUTHOR_COUNT * AUTHOR_COUNT) error = DUNLIN_EREFUSED;
  dunlin_doc_free(all);
  return error;
}

static int run_shape(struct bench *b, enum shape shape, size_t most) {
  const double limit = b->quick ? 10000 : 60000;
  for (size_t operations = 1000; operations <= most; operations *= 10) {
    char metric[32];
    double ms, ns;
    int error = shape == AUTHORS ? many_authors(operations, &ms) : single_author(shape, operations, &ms);
    if (error) return bench_wrong(b, names[shape], "editing", error);
    snprintf(metric, sizeof metric, "per_operation_of_%zu", operations);
    ns = ms * 1e6 / (double)operations;
    bench_row(b, names[shape], "dunlin", metric, "ns", &ns, 1);
    /* Ten times as much at the same cost each, and the time is over. */
    if (ms * 10 > limit && operations < most) {
      bench_note(b, "scale %s: stopped after %zu operations; ten times as many would pass %.0f s", names[shape],
                 operations, limit / 1000);
      break;
    }
  }
  return 0;
}

int suite_scale(struct bench *b) {
  int error = 0;
  for (int shape = 0; shape < SHAPES && !error; shape++)
    error = run_shape(b, (enum shape)shape, b->quick ? 100000 : 10000000);
  return error;
}
