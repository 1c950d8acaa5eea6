/* The short ways for a change that just goes on with the last one lead where the long way does: a document that is
 * watched does not take them. */
#include "crdt/internal.h"
#include "test/fault/seeded.h"
#include "test/support/support.h"

enum { writers = 3, keys = 4, parts = 2 };

struct fleet {
  struct rng rng;
  dunlin_doc *writer[writers];
  dunlin_doc *quick, *slow; /* what takes everything in, and never writes */
};

static struct dunlin_value any_value(struct rng *rng) {
  static const char *const words[] = {"", "a", "\xc3\xa9", "forty bytes, which no register has room for"};
  if (rng_chance(rng, 1, 3)) return str_value(words[rng_below(rng, 4)]);
  int64_t number = (int64_t)rng_next(rng);
  return int_value(number >> rng_below(rng, 64));
}

static void put(dunlin_doc *doc, dunlin_obj map, struct rng *rng) {
  static const char *const names[keys] = {"k", "", "a key", "a key of some more bytes"};
  struct dunlin_bytes key = dunlin_key(names[rng_below(rng, keys)]);
  if (rng_chance(rng, 1, 12)) OK(dunlin_map_delete(doc, map, key));
  else OK(dunlin_map_put_class(doc, map, key, any_value(rng), rng_chance(rng, 1, 8) ? 1 : 0));
}

/* A row of changes to one map, mostly. */
static void write_row(struct fleet *f, dunlin_doc *doc) {
  struct rng *rng = &f->rng;
  size_t part = rng_below(rng, parts);
  for (size_t n = 1 + rng_below(rng, 6); n; n--) {
    OK(dunlin_begin(doc));
    dunlin_obj map = part ? dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("m"), DUNLIN_MAP) : DUNLIN_ROOT;
    put(doc, map, rng);
    if (rng_chance(rng, 1, 10)) put(doc, DUNLIN_ROOT, rng);
    OK(dunlin_commit(doc, (int64_t)rng_below(rng, 2), NULL));
  }
}

static void assert_same_bytes(dunlin_doc *a, dunlin_doc *b) {
  void *x, *y;
  size_t x_len, y_len;
  OK(dunlin_doc_delta(a, NULL, 0, &x, &x_len));
  OK(dunlin_doc_delta(b, NULL, 0, &y, &y_len));
  assert_int_equal(x_len, y_len);
  assert_memory_equal(x, y, x_len);
  dunlin_free(NULL, x, x_len);
  dunlin_free(NULL, y, y_len);
}

static void step(struct fleet *f) {
  dunlin_doc *doc = f->writer[rng_below(&f->rng, writers)];
  write_row(f, doc);
  if (rng_chance(&f->rng, 1, 2)) test_send(doc, f->writer[rng_below(&f->rng, writers)]);
  if (rng_chance(&f->rng, 1, 3)) return;
  assert_int_equal(test_send(doc, f->quick).applied, test_send(doc, f->slow).applied);
  OK(doc_check(f->quick, true));
  assert_same_doc(f->quick, f->slow);
}

static void run(uint64_t seed) {
  struct fleet f = {.rng = rng_of(seed), .quick = test_doc(90), .slow = test_doc(91)};
  OK(dunlin_watch(f.slow, DUNLIN_ROOT, dunlin_key(""), 1));
  for (uint8_t i = 0; i < writers; i++) f.writer[i] = test_doc((uint8_t)(i + 1));
  for (size_t steps = 4 + rng_below(&f.rng, 12); steps; steps--) step(&f);
  for (int i = 0; i < writers; i++) {
    test_send(f.writer[i], f.quick);
    test_send(f.writer[i], f.slow);
    OK(doc_check(f.writer[i], true));
  }
  OK(doc_check(f.quick, true));
  OK(doc_check(f.slow, true));
  assert_same_doc(f.quick, f.slow);
  for (int i = 0; i < writers; i++) test_send(f.quick, f.writer[i]);
  for (int i = 0; i < writers; i++) assert_same_doc(f.quick, f.writer[i]); /* to whom it came in another order */
  assert_same_bytes(f.quick, f.slow);
  for (int i = 0; i < writers; i++) dunlin_doc_free(f.writer[i]);
  dunlin_doc_free(f.quick);
  dunlin_doc_free(f.slow);
}

static void keys_set_one_after_the_other_are_set_as_in_changes_of_any_form(void **state) {
  uint64_t first = seed_first(), count = seed_count(1500);
  (void)state;
  for (uint64_t seed = first; seed < first + count; seed++) {
    char again[64];
    snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
    setenv("DUNLIN_RUNNING", again, 1);
    run(seed);
  }
}

/* A write of the document that is named here by what comes to it, with another change, once it was saved and opened
 * again. */
static void a_name_in_a_delta_of_several_changes_is_looked_up_in_a_file(void **state) {
  enum { some = 300 }; /* more than there are ids at hand */
  dunlin_doc *doc = test_doc(1), *opened = NULL;
  struct reg_write write = {.value = int_value(-1)};
  struct dunlin_actor actor = {{7}};
  void *saved, *delta;
  size_t len, heads;
  (void)state;
  for (int i = 0; i < some; i++) {
    char name[16];
    snprintf(name, sizeof name, "%d", i);
    OK(dunlin_begin(doc));
    OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(name), int_value(i)));
    OK(dunlin_commit(doc, 0, NULL));
  }
  OK(dunlin_doc_save(doc, &saved, &len));
  OK(dunlin_doc_load(NULL, saved, len, &actor, &opened));
  dunlin_free(NULL, saved, len);
  for (uint32_t i = 5; i < 7; i++) {
    char name[16];
    snprintf(name, sizeof name, "%u", i);
    OK(dunlin_begin(doc));
    OK(txn_put_over(doc, DUNLIN_ROOT, dunlin_key(name), &write, &i, 1));
    OK(dunlin_commit(doc, 0, NULL));
  }
  const struct dunlin_id *since = dunlin_doc_heads(opened, &heads);
  OK(dunlin_doc_delta(doc, since, heads, &delta, &len));
  struct dunlin_applied applied;
  OK(dunlin_doc_apply(opened, delta, len, &applied));
  assert_int_equal(applied.applied, 2);
  dunlin_free(NULL, delta, len);
  OK(doc_check(opened, true));
  assert_same_doc(doc, opened);
  dunlin_doc_free(doc);
  dunlin_doc_free(opened);
}

/* Within a transaction, edits that go on with the last one. */
static void nothing_is_typed_outside_of_a_transaction(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  OK(dunlin_begin(doc));
  dunlin_obj text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  OK(dunlin_text_splice(doc, text, 0, 0, "a", 1));
  OK(dunlin_commit(doc, 0, NULL));
  for (size_t at = 0; at < 3; at++) FAILS(dunlin_text_splice(doc, text, at, 0, "x", 1), DUNLIN_ESTATE);
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, text, 1, 0, "b", 1));
  dunlin_abort(doc);
  for (size_t at = 0; at < 4; at++) FAILS(dunlin_text_splice(doc, text, at, 0, "x", 1), DUNLIN_ESTATE);
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, text, 0, 1, NULL, 0));
  OK(dunlin_commit(doc, 0, NULL));
  FAILS(dunlin_text_splice(doc, text, 0, 1, NULL, 0), DUNLIN_ESTATE);
  assert_text(doc, text, "");
  dunlin_doc_free(doc);
}

/* Typing that goes on where it was is no exception. */
static void what_failed_stays_failed(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  OK(dunlin_begin(doc));
  dunlin_obj text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  OK(dunlin_text_splice(doc, text, 0, 0, "a", 1));
  OK(dunlin_text_splice(doc, text, 1, 0, "b", 1));
  FAILS(dunlin_map_put(doc, text, dunlin_key("k"), int_value(1)), DUNLIN_EKIND);
  FAILS(dunlin_text_splice(doc, text, 2, 0, "c", 1), DUNLIN_EKIND);
  FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_EKIND);
  FAILS(dunlin_text_splice(doc, text, 2, 0, "c", 1), DUNLIN_ESTATE);
  assert_int_equal(dunlin_doc_changes(doc), 0);
  dunlin_doc_free(doc);
}

/* Whoever has written a change down counts on it. */
static int run_out(void *ctx, const struct dunlin_id *id, struct dunlin_bytes change) {
  struct seeded *memory = ctx;
  (void)id, (void)change;
  memory->fail_at = memory->allocations + 1;
  memory->for_good = true;
  return 0;
}

/* However many changes there are before it whose ids nobody has asked for. */
static void nothing_asks_for_memory_behind_the_commit_hook(void **state) {
  enum { most = 1100 };
  (void)state;
  for (int before = 0; before < most; before++) {
    struct seeded memory;
    struct dunlin_id id = test_id(1);
    dunlin_doc *doc = NULL;
    seeded_init(&memory, 1);
    OK(dunlin_doc_new(&memory.env, &id, &(struct dunlin_actor){{1}}, &doc));
    for (int i = 0; i <= before; i++) {
      if (i == before) dunlin_doc_on_commit(doc, run_out, &memory);
      OK(dunlin_begin(doc));
      OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("k"), int_value(i)));
      int done = dunlin_commit(doc, 0, NULL);
      if (done != 1) fail_msg("%s behind %d changes", dunlin_error_name(done), before);
    }
    dunlin_doc_free(doc);
    assert_int_equal(memory.live, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_set_one_after_the_other_are_set_as_in_changes_of_any_form),
      cmocka_unit_test(nothing_is_typed_outside_of_a_transaction),
      cmocka_unit_test(what_failed_stays_failed),
      cmocka_unit_test(nothing_asks_for_memory_behind_the_commit_hook),
      cmocka_unit_test(a_name_in_a_delta_of_several_changes_is_looked_up_in_a_file),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (failed && getenv("DUNLIN_RUNNING")) printf("to run the last seed alone: %s\n", getenv("DUNLIN_RUNNING"));
  return failed;
}
