/* Defaults, which are what an app shows where nothing has been written; and going back to them in one write. */
#include "test/capability/device.h"

/* Missing is not zero: the app says what it shows then. */
static int64_t font_size(const dunlin_doc *doc, dunlin_obj settings) {
  return dunlin_map_int(doc, settings, dunlin_key("fontSize"), 16);
}

static dunlin_obj settings_of(dunlin_doc *doc, int64_t size) {
  OK(dunlin_begin(doc));
  dunlin_obj settings = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("settings"), DUNLIN_MAP);
  OK(dunlin_map_put(doc, settings, dunlin_key("fontSize"), dunlin_int(size)));
  OK(dunlin_map_put(doc, settings, dunlin_key("theme"), dunlin_string("dark")));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("name"), dunlin_string("Ann")));
  OK(dunlin_commit(doc, 0, NULL));
  return settings;
}

static void what_is_missing_is_told_from_zero(void **state) {
  dunlin_doc *doc = test_doc(1);
  (void)state;
  dunlin_obj settings = child(doc, "settings", DUNLIN_MAP);
  assert_int_equal(font_size(doc, settings), 16);
  settings_of(doc, 0);
  assert_int_equal(font_size(doc, settings), 0);
  dunlin_doc_free(doc);
}

static void a_reset_is_one_operation_and_spares_the_rest(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_change_info info;
  struct dunlin_id id;
  struct dunlin_value value;
  (void)state;
  settings_of(a, 20);
  test_sync(a, b);
  OK(dunlin_begin(a));
  OK(dunlin_map_delete(a, DUNLIN_ROOT, dunlin_key("settings")));
  assert_int_equal(dunlin_commit(a, 0, &id), 1);
  OK(dunlin_doc_find_change(a, &id, &info));
  assert_int_equal(info.operations, 1);
  test_sync(a, b);
  FAILS(dunlin_map_get(b, DUNLIN_ROOT, dunlin_key("settings"), &value), DUNLIN_ENOENT);
  dunlin_obj fresh = child(b, "settings", DUNLIN_MAP);
  assert_int_equal(dunlin_map_size(b, fresh), 0);
  assert_int_equal(font_size(b, fresh), 16);
  OK(dunlin_map_get(b, DUNLIN_ROOT, dunlin_key("name"), &value));
  assert_string(value, "Ann");
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_missing_is_told_from_zero),
      cmocka_unit_test(a_reset_is_one_operation_and_spares_the_rest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
