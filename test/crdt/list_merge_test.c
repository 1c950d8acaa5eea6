/* A short list that several devices move, delete, write and insert in while apart, against the oracle: everything meets
 * everything.  Some of the changes are void in half of the runs. */
#include "test/crdt/void_changes.h"

enum { replicas_max = 4 };

struct run {
  struct rng rng;
  dunlin_doc *docs[replicas_max];
  size_t replicas, moves; /* of 16 writes */
};

static void write_once(struct run *run, dunlin_doc *doc, dunlin_obj list) {
  size_t size = dunlin_list_size(doc, list), what = rng_below(&run->rng, 16);
  size_t at = rng_below(&run->rng, size + 1), other = rng_below(&run->rng, size + 1);
  int error;
  if (size < 2 || what == 0 || at == size || other == size)
    error = dunlin_list_insert(doc, list, at, int_value((int64_t)rng_below(&run->rng, 99)));
  else if (what < run->moves) error = dunlin_list_move(doc, list, at, other);
  else if (what < 14) error = dunlin_list_set(doc, list, at, int_value((int64_t)rng_below(&run->rng, 3)));
  else error = dunlin_list_delete(doc, list, at, 1 + rng_below(&run->rng, size - at < 3 ? size - at : 3));
  assert_true(!error ||
              error == DUNLIN_EREFUSED); /* it shows only because a void change deleted it; or something did before */
}

static void write_change(struct run *run, dunlin_doc *doc) {
  dunlin_obj list;
  OK(dunlin_begin(doc));
  list = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("l"), DUNLIN_LIST);
  for (size_t i = 1 + rng_below(&run->rng, 3); i; i--) write_once(run, doc, list);
  if (rng_chance(&run->rng, 1, 8)) dunlin_abort(doc);
  else if (dunlin_commit(doc, 0, NULL) == DUNLIN_EREFUSED) dunlin_abort(doc);
}

static void assert_like_oracle(dunlin_doc *doc) {
  struct oracle *oracle = test_oracle();
  test_feed(oracle, doc);
  assert_shows_like(oracle, doc);
  oracle_free(oracle);
  OK(doc_check(doc, true));
}

/* Everything again with some of the changes void, and writing goes on. */
static void make_void(struct run *run, dunlin_doc *doc) {
  struct void_set set = {.count = 0};
  struct dunlin_change_info info;
  for (size_t i = 1; i < dunlin_doc_changes(doc); i++)
    if (rng_chance(&run->rng, 1, 6)) {
      OK(dunlin_doc_change_at(doc, i, &info));
      set_add(&set, info.id);
    }
  use_set(doc, &set);
  assert_as_replayed(doc, &set);
  for (size_t i = 0; i < 3; i++) {
    write_change(run, doc);
    test_send(run->docs[0], doc);
  }
  assert_as_replayed(doc, &set);
}

static void begin(struct run *run) {
  dunlin_obj list;
  for (size_t i = 0; i < run->replicas; i++) run->docs[i] = test_doc((uint8_t)(1 + i));
  OK(dunlin_begin(run->docs[0]));
  list = dunlin_map_child(run->docs[0], DUNLIN_ROOT, dunlin_key("l"), DUNLIN_LIST);
  for (size_t i = 1 + rng_below(&run->rng, 6); i; i--) OK(dunlin_list_insert(run->docs[0], list, 0, int_value(7)));
  OK(dunlin_commit(run->docs[0], 0, NULL));
  for (size_t i = 1; i < run->replicas; i++) test_send(run->docs[0], run->docs[i]);
}

static void run_one(uint64_t seed) {
  struct run run = {.rng = rng_of(seed)};
  run.replicas = 2 + rng_below(&run.rng, replicas_max - 1);
  run.moves = 4 + rng_below(&run.rng, 10);
  begin(&run);
  size_t exchanges = 1 + rng_below(&run.rng, 8);
  for (size_t step = 0; step < 24; step++) {
    size_t a = rng_below(&run.rng, run.replicas), b = rng_below(&run.rng, run.replicas);
    write_change(&run, run.docs[a]);
    if (a != b && rng_chance(&run.rng, exchanges, 16)) test_send(run.docs[a], run.docs[b]);
    if (rng_chance(&run.rng, 1, 8)) assert_like_oracle(run.docs[b]);
  }
  for (size_t i = 1; i < run.replicas; i++) test_send(run.docs[i], run.docs[0]);
  for (size_t i = 1; i < run.replicas; i++) {
    test_send(run.docs[0], run.docs[i]);
    assert_same_doc(run.docs[0], run.docs[i]);
  }
  assert_like_oracle(run.docs[0]);
  if (rng_chance(&run.rng, 1, 2)) make_void(&run, run.docs[1]);
  for (size_t i = 0; i < run.replicas; i++) dunlin_doc_free(run.docs[i]);
}

static void all_show_what_the_oracle_shows(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), end = seed + seed_count(1000); seed < end; seed++) {
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    run_one(seed);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(all_show_what_the_oracle_shows)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
