/* Changes that are shown at once and reverted when somebody says no: their own fields only, what others did stays; and
 * an id made up for the time being that becomes the final one. */
#include <dunlin/undo.h>

#include "test/support/support.h"

static dunlin_obj item(dunlin_doc *doc, const char *key) {
  return dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key(key), DUNLIN_MAP);
}
static void assert_int(const dunlin_doc *doc, dunlin_obj map, const char *key, int64_t expected) {
  struct dunlin_value value;
  OK(dunlin_map_get(doc, map, dunlin_key(key), &value));
  assert_int_equal(value.kind, DUNLIN_INT);
  assert_int_equal(value.as.integer, expected);
}

static void a_revert_takes_its_own_fields_back(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  dunlin_undo *undo = NULL;
  struct dunlin_id price, stock, got;
  OK(dunlin_begin(a));
  dunlin_obj map = item(a, "item");
  OK(dunlin_map_put(a, map, dunlin_key("price"), int_value(10)));
  OK(dunlin_map_put(a, map, dunlin_key("stock"), int_value(5)));
  OK(dunlin_map_put(a, map, dunlin_key("seen"), int_value(0)));
  OK(dunlin_commit(a, 0, NULL));
  test_sync(a, b);
  OK(dunlin_undo_new(a, 0, &undo));
  OK(dunlin_begin(a));
  OK(dunlin_map_put(a, map, dunlin_key("price"), int_value(12)));
  OK(dunlin_map_put(a, map, dunlin_key("seen"), int_value(1)));
  assert_int_equal(dunlin_commit_tentative(undo, 0, &price), 1);
  OK(dunlin_begin(a));
  OK(dunlin_map_put(a, map, dunlin_key("stock"), int_value(4)));
  assert_int_equal(dunlin_commit_tentative(undo, 0, &stock), 1);
  OK(dunlin_begin(a));
  assert_int_equal(dunlin_commit_tentative(undo, 0, &got), 0);
  assert_int_equal(dunlin_tentative_count(undo), 2);
  OK(dunlin_tentative_at(undo, 0, &got));
  assert_memory_equal(&got, &price, sizeof got);
  FAILS(dunlin_tentative_at(undo, 2, &got), DUNLIN_ENOENT);

  OK(dunlin_begin(b));
  OK(dunlin_map_put(b, item(b, "item"), dunlin_key("seen"), int_value(7)));
  OK(dunlin_map_put(b, item(b, "item"), dunlin_key("new"), int_value(8)));
  OK(dunlin_commit(b, 0, NULL));
  test_sync(a, b);

  assert_int_equal(dunlin_revert(undo, &price, 0, &got), 1);
  FAILS(dunlin_revert(undo, &price, 0, NULL), DUNLIN_ENOENT);
  OK(dunlin_confirm(undo, &stock));
  FAILS(dunlin_confirm(undo, &stock), DUNLIN_ENOENT);
  assert_int_equal(dunlin_tentative_count(undo), 0);
  test_sync(a, b);
  assert_int(a, map, "price", 10);
  assert_int(a, map, "stock", 4);
  assert_int(a, map, "seen", 7);
  assert_int(a, map, "new", 8);
  assert_same_doc(a, b);
  assert_int_equal(dunlin_undo_count(undo), 0);
  dunlin_undo_free(undo);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void the_later_of_two_can_be_kept(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  dunlin_undo *undo = NULL;
  struct dunlin_id first, second;
  OK(dunlin_undo_new(doc, 0, &undo));
  for (int i = 0; i < 2; i++) {
    OK(dunlin_begin(doc));
    OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("k"), int_value(i)));
    OK(dunlin_commit_tentative(undo, 0, i ? &second : &first));
  }
  assert_int_equal(dunlin_revert(undo, &first, 0, NULL), 0);
  assert_int(doc, DUNLIN_ROOT, "k", 1);
  assert_int_equal(dunlin_revert(undo, &second, 0, NULL), 1);
  assert_int_equal(dunlin_tentative_count(undo), 0);
  dunlin_undo_free(undo);
  dunlin_doc_free(doc);
}

static void a_made_up_id_becomes_the_final_one(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  dunlin_undo *undo = NULL;
  struct dunlin_id id;
  struct dunlin_value value;
  OK(dunlin_undo_new(doc, 0, &undo));
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, item(doc, "temp-1"), dunlin_key("n"), int_value(3)));
  dunlin_obj text = dunlin_map_child(doc, item(doc, "temp-1"), dunlin_key("t"), DUNLIN_TEXT);
  OK(dunlin_text_splice(doc, text, 0, 0, "text", 4));
  OK(dunlin_commit_tentative(undo, 0, &id));
  OK(dunlin_begin(doc));
  OK(dunlin_map_rename(doc, DUNLIN_ROOT, dunlin_key("temp-1"), dunlin_key("4711")));
  OK(dunlin_commit(doc, 0, NULL));
  OK(dunlin_confirm(undo, &id));
  FAILS(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("temp-1"), &value), DUNLIN_ENOENT);
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("4711"), &value));
  assert_int(doc, value.as.obj, "n", 3);
  OK(dunlin_map_get(doc, value.as.obj, dunlin_key("t"), &value));
  assert_text(doc, value.as.obj, "text");
  const int errors[] = {DUNLIN_ENOENT, DUNLIN_EEXIST, DUNLIN_EKIND};
  for (int i = 0; i < 3; i++) {
    dunlin_obj map = i == 2 ? text : DUNLIN_ROOT;
    OK(dunlin_begin(doc));
    OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("a"), int_value(1)));
    FAILS(dunlin_map_rename(doc, map, dunlin_key(i ? "4711" : "none"), dunlin_key("a")), errors[i]);
    dunlin_abort(doc);
  }
  dunlin_undo_free(undo);
  dunlin_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_revert_takes_its_own_fields_back),
      cmocka_unit_test(the_later_of_two_can_be_kept),
      cmocka_unit_test(a_made_up_id_becomes_the_final_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
