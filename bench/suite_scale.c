/* The cost of one operation as documents grow: it should not. Stops a case at 60 s (--quick: 10 s) and says so. */
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

/* How far a case got, and how long it took. */
struct progress {
  size_t done;
  double ms, limit;
};

static bool time_is_over(struct progress *p, double began) {
  if (p->done % 1024) return false;
  return p->ms + bench_now() - began > p->limit;
}

static int single_author(enum shape shape, size_t operations, struct progress *p) {
  dunlin_doc *doc = NULL;
  uint64_t seed = 88172645463325252u;
  int error = bench_doc(NULL, 1, &doc);
  double began = bench_now();
  for (; !error && p->done < operations && !time_is_over(p, began); p->done++) error = edit(doc, shape, p->done, &seed);
  p->ms = bench_now() - began;
  if (!error && dunlin_doc_changes(doc) != p->done) error = DUNLIN_EREFUSED;
  dunlin_doc_free(doc);
  return error;
}

/* What one author typed alone goes into `all`; only that is measured. */
static int take_author(dunlin_doc *all, unsigned who, size_t edits, struct progress *p) {
  dunlin_doc *doc = NULL;
  void *delta = NULL;
  size_t len = 0;
  int error = bench_doc(NULL, who, &doc);
  for (size_t i = 0; !error && i < edits; i++) error = type_at(doc, i);
  if (!error) error = dunlin_doc_delta(doc, NULL, 0, &delta, &len);
  double began = bench_now();
  if (!error) error = dunlin_doc_apply(all, delta, len, NULL);
  p->ms += bench_now() - began;
  p->done += edits;
  dunlin_free(NULL, delta, len);
  dunlin_doc_free(doc);
  return error;
}

/* A hundred authors type at one place, apart; one replica takes all in. */
static int many_authors(size_t operations, struct progress *p) {
  dunlin_doc *all = NULL;
  int error = bench_doc(NULL, 999, &all);
  for (unsigned who = 0; !error && who < AUTHOR_COUNT && p->ms < p->limit; who++)
    error = take_author(all, who, operations / AUTHOR_COUNT, p);
  if (!error && dunlin_doc_changes(all) != p->done) error = DUNLIN_EREFUSED;
  dunlin_doc_free(all);
  return error;
}

static int run_shape(struct bench *b, enum shape shape, size_t most) {
  bool over = false;
  for (size_t operations = 1000; operations <= most && !over; operations *= 10) {
    struct progress p = {.limit = b->quick ? 10000 : 60000};
    char metric[48];
    int error = shape == AUTHORS ? many_authors(operations, &p) : single_author(shape, operations, &p);
    if (error) return bench_wrong(b, names[shape], "editing", error);
    over = p.done < operations;
    if (over)
      bench_note(b, "scale %s: stopped at %.0f s after %zu of %zu operations", names[shape], p.limit / 1000, p.done,
                 operations);
    double ns = p.ms * 1e6 / (double)p.done;
    snprintf(metric, sizeof metric, "per_operation_of_%zu", p.done);
    bench_row(b, names[shape], "dunlin", metric, "ns", &ns, 1);
  }
  return 0;
}

int suite_scale(struct bench *b) {
  int error = 0;
  for (int shape = 0; shape < SHAPES && !error; shape++)
    error = run_shape(b, (enum shape)shape, b->quick ? 100000 : 10000000);
  return error;
}
