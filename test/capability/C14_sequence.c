/* Insertion and removal by index: what was meant is what happens, wherever it has moved to meanwhile. */
#include "test/capability/device.h"

static void letters(dunlin_doc *doc, dunlin_obj list, const char *each) {
  OK(dunlin_begin(doc));
  for (size_t i = 0; each[i]; i++) OK(dunlin_list_insert(doc, list, i, dunlin_string_len(each + i, 1)));
  OK(dunlin_commit(doc, 0, NULL));
}

static void assert_letters(const dunlin_doc *doc, dunlin_obj list, const char *expected) {
  assert_int_equal(dunlin_list_size(doc, list), strlen(expected));
  for (size_t i = 0; expected[i]; i++) {
    struct dunlin_value value;
    OK(dunlin_list_get(doc, list, i, &value));
    assert_memory_equal(value.as.string.data, expected + i, 1);
  }
}

static void the_element_that_was_seen_goes(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  dunlin_obj in_a = child(a, "list", DUNLIN_LIST);
  letters(a, in_a, "abcde");
  test_sync(a, b);
  dunlin_obj in_b = child(b, "list", DUNLIN_LIST);
  OK(dunlin_begin(a));
  OK(dunlin_list_delete(a, in_a, 2, 1));
  OK(dunlin_commit(a, 0, NULL));
  OK(dunlin_begin(b));
  OK(dunlin_list_insert(b, in_b, 0, dunlin_string("x")));
  OK(dunlin_commit(b, 0, NULL));
  test_sync(a, b);
  assert_letters(a, in_a, "xabde");
  assert_letters(b, in_b, "xabde");
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

/* Three devices, that many insertions and removals at random places, meetings at random moments: all equal. */
static void random_edits_end_equal(void **state) {
  enum { devices = 3, edits = 10000 };
  uint64_t first = seed_first(), count = seed_count(1);
  (void)state;
  for (uint64_t seed = first; seed < first + count; seed++) {
    struct rng rng = rng_of(seed);
    dunlin_doc *docs[devices];
    dunlin_obj lists[devices];
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    for (uint8_t d = 0; d < devices; d++) lists[d] = child(docs[d] = test_doc((uint8_t)(d + 1)), "list", DUNLIN_LIST);
    for (int i = 0; i < edits; i++) {
      size_t d = rng_below(&rng, devices), size = dunlin_list_size(docs[d], lists[d]);
      OK(dunlin_begin(docs[d]));
      if (size && rng_chance(&rng, 2, 5)) OK(dunlin_list_delete(docs[d], lists[d], rng_below(&rng, size), 1));
      else OK(dunlin_list_insert(docs[d], lists[d], rng_below(&rng, size + 1), dunlin_int(i)));
      OK(dunlin_commit(docs[d], 0, NULL));
      if (rng_chance(&rng, 1, 100)) test_send(docs[rng_below(&rng, devices)], docs[d]);
    }
    end_equal(docs, devices);
    assert_true(dunlin_list_size(docs[0], lists[0]) > 0);
    free_docs(docs, devices);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_element_that_was_seen_goes),
      cmocka_unit_test(random_edits_end_equal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
