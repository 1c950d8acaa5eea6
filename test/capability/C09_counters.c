/* Counters add up, whoever counts, and whatever has arrived. */
#include "test/support/support.h"

static dunlin_obj add(dunlin_doc *doc, int64_t amount) {
  OK(dunlin_begin(doc));
  dunlin_obj quantity = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("quantity"), DUNLIN_COUNTER);
  OK(dunlin_counter_add(doc, quantity, amount));
  OK(dunlin_commit(doc, 0, NULL));
  return quantity;
}

static void assert_quantity(const dunlin_doc *doc, int64_t expected) {
  struct dunlin_value value;
  int64_t quantity;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("quantity"), &value));
  OK(dunlin_counter_get(doc, value.as.obj, &quantity));
  assert_int_equal(quantity, expected);
}

static void two_that_add_while_apart_add_up(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  add(a, 1);
  test_sync(a, b);
  add(a, 1);
  add(b, 1);
  test_sync(a, b);
  assert_quantity(a, 3);
  assert_quantity(b, 3);
  add(b, -5);
  test_sync(a, b);
  assert_quantity(a, -2);
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void two_that_begin_while_apart_count_together(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  add(a, 4);
  add(b, 5);
  test_sync(a, b);
  test_sync(a, b); /* again: nothing is counted twice */
  assert_quantity(a, 9);
  assert_quantity(b, 9);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(two_that_add_while_apart_add_up),
      cmocka_unit_test(two_that_begin_while_apart_count_together),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
