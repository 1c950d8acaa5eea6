/* Simultaneous means that neither knew of the other, and has nothing to do with clocks. */
#include <dunlin/history.h>

#include "test/capability/device.h"

static const int64_t hour = 3600000000, now = 1795000000000000;

static enum dunlin_order order_of_last_two(const dunlin_doc *doc) {
  struct dunlin_change_info a, b;
  enum dunlin_order order;
  OK(dunlin_doc_change_at(doc, dunlin_doc_changes(doc) - 2, &a));
  OK(dunlin_doc_change_at(doc, dunlin_doc_changes(doc) - 1, &b));
  OK(dunlin_version_order(doc, &a.id, 1, &b.id, 1, &order));
  return order;
}

static void writes_an_hour_apart_that_did_not_know_of_each_other(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  put_at(a, "tempo", dunlin_int(90), now);
  put_at(b, "tempo", dunlin_int(80), now + hour);
  test_sync(a, b);
  assert_int_equal(order_of_last_two(a), DUNLIN_CONCURRENT);
  assert_int_equal(siblings(a, "tempo"), 2);
  assert_int_equal(siblings(b, "tempo"), 2);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void two_writes_by_one_a_moment_apart(void **state) {
  dunlin_doc *a = test_doc(1);
  (void)state;
  put_at(a, "tempo", dunlin_int(90), now);
  put_at(a, "tempo", dunlin_int(80), now + 10000);
  assert_int_equal(order_of_last_two(a), DUNLIN_BEFORE);
  assert_int_equal(siblings(a, "tempo"), 1);
  dunlin_doc_free(a);
}

static void an_answer_at_the_same_moment_is_not_simultaneous(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  put_at(a, "tempo", dunlin_int(90), now);
  test_sync(a, b);
  put_at(b, "tempo", dunlin_int(80), now);
  test_sync(a, b);
  assert_int_equal(order_of_last_two(a), DUNLIN_BEFORE);
  assert_int_equal(siblings(a, "tempo"), 1);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void simultaneous_writes_of_other_keys_are_no_conflict(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  put_at(a, "tempo", dunlin_int(90), now);
  put_at(b, "key", dunlin_string("C"), now);
  test_sync(a, b);
  assert_int_equal(order_of_last_two(a), DUNLIN_CONCURRENT);
  assert_int_equal(siblings(a, "tempo"), 1);
  assert_int_equal(siblings(a, "key"), 1);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(writes_an_hour_apart_that_did_not_know_of_each_other),
      cmocka_unit_test(two_writes_by_one_a_moment_apart),
      cmocka_unit_test(an_answer_at_the_same_moment_is_not_simultaneous),
      cmocka_unit_test(simultaneous_writes_of_other_keys_are_no_conflict),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
