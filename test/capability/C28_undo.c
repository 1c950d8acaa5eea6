/* Undo and redo of a drawing that two people work on: one's own strokes go back, one hundred deep, the other's stay. */
#include <dunlin/undo.h>

#include "test/support/support.h"

enum { depth = 100 };

static dunlin_obj list_of(dunlin_doc *doc) {
  return dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("strokes"), DUNLIN_LIST);
}
static void stroke(dunlin_doc *doc, size_t at, int64_t value) {
  OK(dunlin_begin(doc));
  OK(dunlin_list_insert(doc, list_of(doc), at, int_value(value)));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("last"), int_value(value)));
  OK(dunlin_commit(doc, 0, NULL));
}
static size_t strokes(dunlin_doc *doc, int64_t *out) {
  struct dunlin_value list, value;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("strokes"), &list));
  size_t count = dunlin_list_size(doc, list.as.obj);
  for (size_t i = 0; i < count; i++) {
    OK(dunlin_list_get(doc, list.as.obj, i, &value));
    out[i] = value.as.integer;
  }
  return count;
}

static void one_hundred_strokes_go_back_and_come_again(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  int64_t got[2 * depth + 3];
  dunlin_undo *undo = NULL;
  stroke(a, 0, 0);
  test_sync(a, b);
  OK(dunlin_undo_new(a, depth, &undo));
  for (int i = 1; i <= depth + 1; i++) {
    stroke(a, 0, i);
    stroke(b, 0, 1000 + i);
    if (i % 3 == 0) test_sync(a, b);
  }
  test_sync(a, b);
  assert_int_equal(dunlin_undo_count(undo), depth); /* the first one is too long ago */
  for (int i = 0; i < depth; i++) assert_int_equal(dunlin_undo_back(undo, 0, NULL), 1);
  assert_int_equal(dunlin_undo_back(undo, 0, NULL), 0);
  assert_int_equal(dunlin_redo_count(undo), depth);
  assert_int_equal(strokes(a, got), depth + 3);
  for (int i = 0, other = 0; i < depth + 3; i++) {
    assert_true(got[i] >= 1000 || got[i] <= 1);
    other += got[i] >= 1000;
    assert_true(i < depth + 2 || other == depth + 1);
  }
  for (int i = 0; i < depth; i++) assert_int_equal(dunlin_undo_forth(undo, 0, NULL), 1);
  assert_int_equal(dunlin_undo_forth(undo, 0, NULL), 0);
  assert_int_equal(strokes(a, got), 2 * depth + 3);
  for (int i = 0, own = depth + 1; i < 2 * depth + 3; i++)
    if (got[i] < 1000) assert_int_equal(got[i], own--); /* in their order */
  test_sync(a, b);
  assert_same_doc(a, b);
  dunlin_undo_free(undo);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void a_new_stroke_ends_redoing(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  dunlin_undo *undo = NULL, *second = NULL;
  OK(dunlin_undo_new(doc, depth, &undo));
  FAILS(dunlin_undo_new(doc, depth, &second), DUNLIN_EEXIST);
  stroke(doc, 0, 1);
  stroke(doc, 0, 2);
  assert_int_equal(dunlin_undo_back(undo, 0, NULL), 1);
  assert_int_equal(dunlin_redo_count(undo), 1);
  OK(dunlin_begin(doc));
  FAILS(dunlin_undo_back(undo, 0, NULL), DUNLIN_ESTATE);
  dunlin_abort(doc);
  stroke(doc, 0, 3);
  assert_int_equal(dunlin_redo_count(undo), 0);
  assert_int_equal(dunlin_undo_forth(undo, 0, NULL), 0);
  dunlin_undo_free(undo);
  dunlin_undo_free(NULL);
  dunlin_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_hundred_strokes_go_back_and_come_again),
      cmocka_unit_test(a_new_stroke_ends_redoing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
