/* Twice the work takes at most 2.3 times as long and 2.3 times the memory, for those who mark texts and read their
 * spans.
 *
 * What is measured is the work of one document: writing marks, taking them in from others, reading a span after each
 * edit.  Time is the processor's, the least of several tries, at n and 4 n: at most 2.3 squared. */
#include "crdt/doc.h"
#include "test/fault/seeded.h"
#include "test/support/scaling.h"

/* What is prepared before the clock starts. */
struct work {
  size_t n;
  dunlin_doc *doc;
  dunlin_obj text;
  struct rng rng;
  void **deltas; /* one for each other author */
  size_t *lens;
};

struct shape {
  const char *name;
  void (*prepare)(struct work *w); /* may be NULL */
  void (*run)(struct work *w);
  size_t n;
};

/* ---- Writing ------------------------------------------------------------------------------------------------ */

static void mark_as(struct work *w, size_t from, size_t to, const char *key, int64_t value) {
  OK(dunlin_begin(w->doc));
  OK(dunlin_text_mark(w->doc, w->text, from, to, dunlin_key(key), int_value(value), 0));
  OK(dunlin_commit(w->doc, 0, NULL));
}

static void type(struct work *w, size_t at) {
  OK(dunlin_begin(w->doc));
  OK(dunlin_text_splice(w->doc, w->text, at, 0, "x", 1));
  OK(dunlin_commit(w->doc, 0, NULL));
}

static void erase(struct work *w, size_t at, size_t count) {
  OK(dunlin_begin(w->doc));
  OK(dunlin_text_splice(w->doc, w->text, at, count, NULL, 0));
  OK(dunlin_commit(w->doc, 0, NULL));
}

static size_t somewhere(struct work *w) {
  return rng_below(&w->rng, dunlin_text_size(w->doc, w->text));
}

static void read_span(struct work *w, size_t at) {
  struct dunlin_span span;
  OK(dunlin_text_span(w->doc, w->text, at, &span));
  assert_true(span.from <= at && at < span.to);
}

/* ---- Shapes ------------------------------------------------------------------------------------------------- */

/* The author marks every word, from the first to the last. */
static void marking_every_word(struct work *w) {
  for (size_t i = 0; i < w->n; i++) mark_as(w, 5 * i, 5 * i + 4, "m", (int64_t)i + 1);
  read_span(w, 0);
}

/* Words here and there, and someone looks at each place. */
static void marking_words_anywhere(struct work *w) {
  for (size_t i = 0; i < w->n; i++) {
    size_t at = rng_below(&w->rng, w->n);
    mark_as(w, 5 * at, 5 * at + 4, i % 2 ? "m" : "n", (int64_t)i + 1);
    read_span(w, somewhere(w));
  }
}

/* Stretches of any length, most of which are marked over again. */
static void marking_stretches(struct work *w) {
  for (size_t i = 0; i < w->n; i++) {
    size_t from = rng_below(&w->rng, 5 * w->n), to = from + 1 + rng_below(&w->rng, 5 * w->n - from);
    mark_as(w, from, to, "m", (int64_t)rng_below(&w->rng, 3) + 1);
    read_span(w, somewhere(w));
  }
}

static void typing_and_reading(struct work *w) {
  for (size_t i = 0; i < w->n; i++) {
    type(w, somewhere(w));
    read_span(w, somewhere(w));
  }
}

static void erasing_and_reading(struct work *w) {
  for (size_t i = 0; i < w->n / 2; i++) {
    size_t at = somewhere(w);
    erase(w, at, dunlin_text_size(w->doc, w->text) - at < 6 ? 1 : 6);
    read_span(w, somewhere(w));
  }
}

/* Each comment has a key of its own. */
static void commenting(struct work *w) {
  for (size_t i = 0; i < w->n; i++) {
    char key[32];
    size_t at = rng_below(&w->rng, 5 * w->n - 20);
    snprintf(key, sizeof key, "comment:%zu", i * 7919 % w->n);
    mark_as(w, at, at + 20, key, 1);
    read_span(w, somewhere(w));
  }
}

static void marking_one_word(struct work *w) {
  for (size_t i = 0; i < w->n; i++) {
    mark_as(w, 5, 9, "m", (int64_t)i + 1);
    read_span(w, 7);
    read_span(w, 4);
  }
}

static void taking_in(struct work *w) {
  for (size_t i = 0; i < w->n; i++) OK(dunlin_doc_apply(w->doc, w->deltas[i], w->lens[i], NULL));
  read_span(w, 0);
}

static void taking_in_and_reading(struct work *w) {
  for (size_t i = 0; i < w->n; i++) {
    OK(dunlin_doc_apply(w->doc, w->deltas[i], w->lens[i], NULL));
    read_span(w, somewhere(w));
  }
}

/* ---- Preparing ---------------------------------------------------------------------------------------------- */

static void with_every_word_marked(struct work *w) {
  OK(dunlin_begin(w->doc));
  for (size_t i = 0; i < w->n; i++)
    OK(dunlin_text_mark(w->doc, w->text, 5 * i, 5 * i + 4, dunlin_key("m"), int_value((int64_t)i + 1), 0));
  OK(dunlin_commit(w->doc, 0, NULL));
  read_span(w, 0);
}

/* As many other authors, who each mark something, all at the same time. */
static void with_concurrent_marks(struct work *w) {
  w->deltas = calloc(w->n, sizeof *w->deltas);
  w->lens = calloc(w->n, sizeof *w->lens);
  assert_true(w->deltas && w->lens);
  struct dunlin_id base;
  void *all;
  size_t len;
  OK(dunlin_doc_delta(w->doc, NULL, 0, &all, &len));
  base = *dunlin_doc_heads(w->doc, &(size_t){0});
  for (size_t i = 0; i < w->n; i++) {
    struct dunlin_id id = test_id(1);
    struct dunlin_actor actor = {{0}};
    for (int k = 0; k < 4; k++) actor.bytes[k] = (uint8_t)((((uint32_t)i + 2) * 2654435769u) >> (8 * k));
    struct work other = {.n = w->n, .text = w->text, .rng = w->rng};
    OK(dunlin_doc_new(NULL, &id, &actor, &other.doc));
    OK(dunlin_doc_apply(other.doc, all, len, NULL));
    size_t at = rng_below(&w->rng, w->n);
    struct dunlin_value text;
    OK(dunlin_map_get(other.doc, DUNLIN_ROOT, dunlin_key("t"), &text));
    other.text = text.as.obj;
    mark_as(&other, 5 * at, 5 * at + 9, "m", (int64_t)i + 1);
    OK(dunlin_doc_delta(other.doc, &base, 1, &w->deltas[i], &w->lens[i]));
    dunlin_doc_free(other.doc);
  }
  dunlin_free(NULL, all, len);
}

static const struct shape shapes[] = {
    {"marking every word", NULL, marking_every_word, 1000},
    {"marking words anywhere", NULL, marking_words_anywhere, 1000},
    {"marking stretches", NULL, marking_stretches, 1000},
    {"typing and reading", with_every_word_marked, typing_and_reading, 1000},
    {"erasing and reading", with_every_word_marked, erasing_and_reading, 1000},
    {"commenting", NULL, commenting, 1000},
    {"marking one word", NULL, marking_one_word, 1000},
    {"taking in", with_concurrent_marks, taking_in, 500},
    {"taking in and reading", with_concurrent_marks, taking_in_and_reading, 500},
};

/* ---- Measuring ---------------------------------------------------------------------------------------------- */

static double take(const void *work, size_t n, size_t *peak) {
  const struct shape *shape = work;
  struct seeded s;
  struct work w = {.n = n, .rng = rng_of(n)};
  struct dunlin_id id = test_id(1);
  struct dunlin_actor actor = {{1}};
  seeded_init(&s, 1);
  OK(dunlin_doc_new(&s.env, &id, &actor, &w.doc));
  OK(dunlin_begin(w.doc));
  w.text = dunlin_map_child(w.doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  for (size_t i = 0; i < n + 2; i++) OK(dunlin_text_splice(w.doc, w.text, 0, 0, "word ", 5));
  OK(dunlin_commit(w.doc, 0, NULL));
  if (shape->prepare) shape->prepare(&w);
  double start = scaling_now();
  shape->run(&w);
  double took = scaling_now() - start;
  *peak = s.peak;
  OK(doc_check(w.doc, n <= 50));
  dunlin_doc_free(w.doc);
  for (size_t i = 0; w.deltas && i < n; i++) dunlin_free(NULL, w.deltas[i], w.lens[i]);
  free(w.deltas);
  free(w.lens);
  return took;
}

static void twice_the_work_is_twice_the_time(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    size_t peak;
    if (!scaling_wanted(shapes[i].name)) continue;
    take(&shapes[i], 50, &peak); /* so small that all of it is looked at */
    scaling_check(shapes[i].name, shapes[i].n, take, &shapes[i]);
  }
}

int main(void) {
  scaling_keep_memory();
  const struct CMUnitTest tests[] = {cmocka_unit_test(twice_the_work_is_twice_the_time)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
