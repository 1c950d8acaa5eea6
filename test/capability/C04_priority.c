/* A write of a higher class wins over one made at the same time, and over none that has seen it. */
#include "test/support/support.h"

enum { interface = 1, technical = 5, clinical = 10 };

static void put(dunlin_doc *doc, const char *value, uint32_t priority) {
  OK(dunlin_begin(doc));
  OK(dunlin_map_put_class(doc, DUNLIN_ROOT, dunlin_key("dose"), str_value(value), priority));
  assert_int_equal(dunlin_commit(doc, 0, NULL), 1);
}

static void assert_dose(const dunlin_doc *doc, const char *expected) {
  struct dunlin_value value;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("dose"), &value));
  assert_int_equal(value.kind, DUNLIN_STRING);
  assert_int_equal(value.as.string.len, strlen(expected));
  assert_memory_equal(value.as.string.data, expected, strlen(expected));
}

static void an_older_write_of_a_higher_class_wins(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  put(a, "by the doctor", clinical);
  put(b, "first by the machine", technical);
  put(b, "later by the machine", technical); /* a higher lamport */
  put(b, "latest by the machine", interface);
  test_sync(a, b);
  assert_dose(a, "by the doctor");
  assert_dose(b, "by the doctor");
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void a_later_write_replaces_what_it_has_seen(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  put(a, "by the doctor", clinical);
  test_sync(a, b);
  put(b, "by the machine, who knew", technical);
  test_sync(a, b);
  assert_dose(a, "by the machine, who knew");
  assert_dose(b, "by the machine, who knew");
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void the_loser_can_be_read(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_value value;
  (void)state;
  put(a, "high", clinical);
  put(b, "low", technical);
  test_sync(a, b);
  OK(dunlin_map_conflict(a, DUNLIN_ROOT, dunlin_key("dose"), 1, &value));
  assert_memory_equal(value.as.string.data, "low", 3);
  FAILS(dunlin_map_conflict(a, DUNLIN_ROOT, dunlin_key("dose"), 2, &value), DUNLIN_ENOENT);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void the_same_value_of_another_class_is_a_write(void **state) {
  dunlin_doc *a = test_doc(1);
  (void)state;
  put(a, "same", technical);
  put(a, "same", clinical);
  OK(dunlin_begin(a));
  OK(dunlin_map_put_class(a, DUNLIN_ROOT, dunlin_key("dose"), str_value("same"), clinical));
  assert_int_equal(dunlin_commit(a, 0, NULL), 0);
  dunlin_doc_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_older_write_of_a_higher_class_wins),
      cmocka_unit_test(a_later_write_replaces_what_it_has_seen),
      cmocka_unit_test(the_loser_can_be_read),
      cmocka_unit_test(the_same_value_of_another_class_is_a_write),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
