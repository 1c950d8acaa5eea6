/* Toggles: two that toggle while apart both wanted what it was not, and get it once. */
#include "test/support/support.h"

static void toggle(dunlin_doc *doc) {
  OK(dunlin_begin(doc));
  OK(dunlin_map_toggle(doc, DUNLIN_ROOT, dunlin_key("muted")));
  assert_int_equal(dunlin_commit(doc, 0, NULL), 1);
}

static bool is_muted(const dunlin_doc *doc) {
  struct dunlin_value value;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("muted"), &value));
  assert_int_equal(value.kind, DUNLIN_BOOL);
  return value.as.boolean;
}

/* Both get what the other has, and show that. */
static void end_with(dunlin_doc *a, dunlin_doc *b, bool muted) {
  test_sync(a, b);
  assert_int_equal(is_muted(a), muted);
  assert_int_equal(is_muted(b), muted);
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void both_toggle_once(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  toggle(a);
  assert_true(is_muted(a));
  test_sync(a, b);
  toggle(a);
  toggle(b);
  end_with(a, b, false);
}

/* Who toggles twice wrote what it was: the later write wins, on both alike. */
static void once_against_twice_is_the_same_on_both(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  toggle(a);
  test_sync(a, b);
  toggle(a);
  toggle(b);
  toggle(b);
  end_with(a, b, true);
}

static void only_booleans_are_toggled(void **state) {
  dunlin_doc *a = test_doc(1);
  (void)state;
  OK(dunlin_begin(a));
  OK(dunlin_map_put(a, DUNLIN_ROOT, dunlin_key("muted"), int_value(0)));
  FAILS(dunlin_map_toggle(a, DUNLIN_ROOT, dunlin_key("muted")), DUNLIN_EKIND);
  dunlin_abort(a);
  dunlin_doc_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_toggle_once),
      cmocka_unit_test(once_against_twice_is_the_same_on_both),
      cmocka_unit_test(only_booleans_are_toggled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
