/* Reordering: what two move ends in one place, and however much is moved, nothing is lost and nothing is there
 * twice. */
#include "test/capability/device.h"

static void fill(dunlin_doc *doc, dunlin_obj list, int count) {
  OK(dunlin_begin(doc));
  for (int i = 0; i < count; i++) OK(dunlin_list_insert(doc, list, (size_t)i, dunlin_int(i)));
  OK(dunlin_commit(doc, 0, NULL));
}

static void move(dunlin_doc *doc, dunlin_obj list, size_t from, size_t to) {
  OK(dunlin_begin(doc));
  OK(dunlin_list_move(doc, list, from, to));
  OK(dunlin_commit(doc, 0, NULL));
}

static void assert_each_once(const dunlin_doc *doc, dunlin_obj list, size_t count) {
  bool *seen = calloc(count, sizeof *seen);
  assert_non_null(seen);
  assert_int_equal(dunlin_list_size(doc, list), count);
  for (size_t i = 0; i < count; i++) {
    struct dunlin_value value;
    OK(dunlin_list_get(doc, list, i, &value));
    assert_in_range(value.as.integer, 0, count - 1);
    assert_false(seen[value.as.integer]);
    seen[value.as.integer] = true;
  }
  free(seen);
}

static void what_both_move_is_there_once(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  dunlin_obj in_a = child(a, "photos", DUNLIN_LIST);
  fill(a, in_a, 6);
  test_sync(a, b);
  dunlin_obj in_b = child(b, "photos", DUNLIN_LIST);
  move(a, in_a, 3, 0);
  move(b, in_b, 3, 5);
  test_sync(a, b);
  assert_each_once(a, in_a, 6);
  assert_each_once(b, in_b, 6);
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void random_moves_lose_nothing(void **state) {
  enum { devices = 3, moves = 10000, photos = 100 };
  uint64_t first = seed_first(), count = seed_count(1);
  (void)state;
  for (uint64_t seed = first; seed < first + count; seed++) {
    struct rng rng = rng_of(seed);
    dunlin_doc *docs[devices];
    dunlin_obj lists[devices];
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    for (uint8_t d = 0; d < devices; d++) {
      docs[d] = test_doc((uint8_t)(d + 1));
      if (d == 0) fill(docs[0], child(docs[0], "photos", DUNLIN_LIST), photos);
      else test_send(docs[0], docs[d]);
      lists[d] = child(docs[d], "photos", DUNLIN_LIST);
    }
    for (int i = 0; i < moves; i++) {
      size_t d = rng_below(&rng, devices);
      move(docs[d], lists[d], rng_below(&rng, photos), rng_below(&rng, photos));
      if (rng_chance(&rng, 1, 100)) test_send(docs[rng_below(&rng, devices)], docs[d]);
    }
    end_equal(docs, devices);
    for (size_t d = 0; d < devices; d++) assert_each_once(docs[d], lists[d], photos);
    free_docs(docs, devices);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_both_move_is_there_once),
      cmocka_unit_test(random_moves_lose_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
