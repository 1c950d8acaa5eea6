/* A chain of twice as many undos, and redos, takes at most 2.3 times as long and 2.3 times the memory.
 *
 * Each shape makes `n` steps; what is measured is to undo and redo all of them, twice.  Time is the processor's, the
 * least of several tries, at n and 4 n: at most 2.3 squared.  Memory is the most that was held at once. */
#include <dunlin/undo.h>
#include <time.h>

#include "test/fault/seeded.h"
#include "test/support/support.h"

static const double bar = 2.3;

struct chain {
  dunlin_doc *doc, *other; /* the other one is NULL when there is none */
  dunlin_obj obj;
  struct rng rng;
};

struct shape {
  const char *name;
  enum dunlin_kind kind;
  void (*step)(struct chain *c, dunlin_doc *doc, size_t i);
  bool with_other;
  bool is_named; /* undoing names old changes, whose ids are worked out again: more, until few of all are kept */
};

/* ---- Steps -------------------------------------------------------------------------------------------------- */

static void type_anywhere(struct chain *c, dunlin_doc *doc, size_t i) {
  (void)i;
  OK(dunlin_text_splice(doc, c->obj, rng_below(&c->rng, dunlin_text_size(doc, c->obj)), 0, "ab", 2));
}
static void delete_anywhere(struct chain *c, dunlin_doc *doc, size_t i) {
  (void)i;
  OK(dunlin_text_splice(doc, c->obj, rng_below(&c->rng, dunlin_text_size(doc, c->obj)), 1, NULL, 0));
}
static void delete_forwards(struct chain *c, dunlin_doc *doc, size_t i) {
  (void)i;
  OK(dunlin_text_splice(doc, c->obj, 5, 1, NULL, 0));
}
static void delete_backwards(struct chain *c, dunlin_doc *doc, size_t i) {
  (void)i;
  OK(dunlin_text_splice(doc, c->obj, dunlin_text_size(doc, c->obj) - 1, 1, NULL, 0));
}
static void mark_and_type(struct chain *c, dunlin_doc *doc, size_t i) {
  size_t at = rng_below(&c->rng, dunlin_text_size(doc, c->obj) - 3);
  if (i % 2) type_anywhere(c, doc, i);
  else OK(dunlin_text_mark(doc, c->obj, at, at + 2, dunlin_key("bold"), int_value((int64_t)i), DUNLIN_GROWS_AT_END));
}
static void move(struct chain *c, dunlin_doc *doc, size_t i) {
  size_t size = dunlin_list_size(doc, c->obj), from = rng_below(&c->rng, size), to = rng_below(&c->rng, size - 1);
  (void)i;
  OK(dunlin_list_move(doc, c->obj, from, to == from ? size - 1 : to));
}
static void set_element(struct chain *c, dunlin_doc *doc, size_t i) {
  OK(dunlin_list_set(doc, c->obj, rng_below(&c->rng, dunlin_list_size(doc, c->obj)), int_value(-(int64_t)i - 1)));
}
static void insert_or_delete(struct chain *c, dunlin_doc *doc, size_t i) {
  size_t at = rng_below(&c->rng, dunlin_list_size(doc, c->obj));
  if (i % 2) OK(dunlin_list_delete(doc, c->obj, at, 1));
  else OK(dunlin_list_insert(doc, c->obj, at, int_value((int64_t)i)));
}
static void put(struct chain *c, dunlin_doc *doc, size_t i) {
  OK(dunlin_map_put(doc, c->obj, dunlin_key(i % 2 ? "a" : "b"), int_value((int64_t)i)));
}

static const struct shape shapes[] = {
    {"typing anywhere", DUNLIN_TEXT, type_anywhere, false},
    {"deleting anywhere", DUNLIN_TEXT, delete_anywhere, false},
    {"deleting forwards", DUNLIN_TEXT, delete_forwards, false},
    {"deleting backwards", DUNLIN_TEXT, delete_backwards, false},
    {"typing beside another", DUNLIN_TEXT, type_anywhere, true},
    {"marking and typing", DUNLIN_TEXT, mark_and_type, false},
    {"moving", DUNLIN_LIST, move, false},
    {"setting elements", DUNLIN_LIST, set_element, false, true},
    {"inserting, deleting", DUNLIN_LIST, insert_or_delete, false},
    {"moving beside another", DUNLIN_LIST, move, true},
    {"writing keys", DUNLIN_MAP, put, false},
};

/* ---- Measuring ---------------------------------------------------------------------------------------------- */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fill(struct chain *c, const struct shape *shape, size_t n) {
  OK(dunlin_begin(c->doc));
  c->obj = dunlin_map_child(c->doc, DUNLIN_ROOT, dunlin_key("t"), shape->kind);
  for (size_t i = 0; i < 2 * n + 10 && shape->kind != DUNLIN_MAP; i++)
    OK(shape->kind == DUNLIN_TEXT ? dunlin_text_splice(c->doc, c->obj, i, 0, "x", 1)
                                  : dunlin_list_insert(c->doc, c->obj, i, int_value((int64_t)i)));
  OK(dunlin_commit(c->doc, 0, NULL));
  if (shape->with_other) test_send(c->doc, c->other);
}

static double run(const struct shape *shape, size_t n, size_t *peak) {
  struct seeded s;
  struct dunlin_id id = test_id(1);
  struct dunlin_actor actor = {{1}};
  struct chain c = {.other = test_doc(2), .rng = rng_of(1)};
  dunlin_undo *undo = NULL;
  seeded_init(&s, 1);
  OK(dunlin_doc_new(&s.env, &id, &actor, &c.doc));
  fill(&c, shape, n);
  OK(dunlin_undo_new(c.doc, n, &undo));
  for (size_t i = 0; i < n; i++) {
    OK(dunlin_begin(c.doc));
    shape->step(&c, c.doc, i);
    OK(dunlin_commit(c.doc, 0, NULL));
    if (!shape->with_other || i % 16) continue;
    OK(dunlin_begin(c.other));
    shape->step(&c, c.other, i);
    OK(dunlin_commit(c.other, 0, NULL));
    if (i % 64 == 0) test_sync(c.doc, c.other);
  }
  test_send(c.other, c.doc);
  double start = now();
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < n; i++) OK(dunlin_undo_back(undo, 0, NULL));
    for (size_t i = 0; i < n; i++) OK(dunlin_undo_forth(undo, 0, NULL));
  }
  double took = now() - start;
  *peak = s.peak;
  dunlin_undo_free(undo);
  dunlin_doc_free(c.doc);
  dunlin_doc_free(c.other);
  if (!shape->with_other) assert_int_equal(s.live, 0); /* deltas that were exchanged are freed elsewhere */
  return took;
}

static void twice_as_many_undos_take_twice_as_long(void **state) {
  enum { rounds = 40 };
  (void)state;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    double least = 1e9, least_large = 1e9;
    size_t peak = 0, large_peak = 0, n = shapes[i].is_named ? 2000 : 500;
    for (int round = 0; round < rounds; round++) {
      double took = run(&shapes[i], n, &peak), took_large = run(&shapes[i], 4 * n, &large_peak);
      if (took < least) least = took;
      if (took_large < least_large) least_large = took_large;
      if (test_is_sanitized || (round && least_large <= least * bar * bar)) break;
    }
    double more = (double)large_peak / (double)peak;
    printf("%-22s %4zu: %7.2f ms, x 4: %7.2f ms, %5.2f times; memory %8zu bytes, %5.2f times\n", shapes[i].name, n,
           least * 1e3, least_large * 1e3, least_large / least, large_peak, more);
    if (test_is_sanitized) continue;
    if (least_large > least * bar * bar) fail_msg("%s: time", shapes[i].name);
    if (more > bar * bar) fail_msg("%s: memory", shapes[i].name);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(twice_as_many_undos_take_twice_as_long)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
