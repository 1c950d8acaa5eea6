/* Sets with add, remove and toggle; who adds wins over who removes at the same time; some only grow. */
#include "test/support/support.h"

static dunlin_obj set_of(dunlin_doc *doc, const char *key, enum dunlin_kind kind) {
  OK(dunlin_begin(doc));
  dunlin_obj set = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key(key), kind);
  OK(dunlin_commit(doc, 0, NULL));
  return set;
}

typedef int set_call(dunlin_doc *doc, dunlin_obj set, struct dunlin_value value);

static int write_with(set_call *call, dunlin_doc *doc, dunlin_obj set, struct dunlin_value value) {
  OK(dunlin_begin(doc));
  OK(call(doc, set, value));
  int changes = dunlin_commit(doc, 0, NULL);
  OK(changes);
  return changes;
}

static void what_is_added_while_it_is_removed_stays(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  dunlin_obj tags = set_of(a, "tags", DUNLIN_SET);
  write_with(dunlin_set_add, a, tags, str_value("calm"));
  write_with(dunlin_set_add, a, tags, str_value("gone"));
  test_sync(a, b);
  dunlin_obj other = set_of(b, "tags", DUNLIN_SET);
  write_with(dunlin_set_remove, a, tags, str_value("calm"));
  write_with(dunlin_set_remove, a, tags, str_value("gone"));
  write_with(dunlin_set_remove, b, other, str_value("calm"));
  write_with(dunlin_set_add, b, other, str_value("calm"));
  test_sync(a, b);
  assert_true(dunlin_set_has(a, tags, str_value("calm")));
  assert_true(dunlin_set_has(b, other, str_value("calm")));
  assert_false(dunlin_set_has(b, other, str_value("gone")));
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void both_make_one_set(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  dunlin_obj x = set_of(a, "tags", DUNLIN_SET), y = set_of(b, "tags", DUNLIN_SET);
  write_with(dunlin_set_add, a, x, int_value(1));
  write_with(dunlin_set_add, a, x, int_value(2));
  write_with(dunlin_set_add, b, y, int_value(2));
  write_with(dunlin_set_add, b, y, int_value(3));
  test_sync(a, b);
  assert_int_equal(dunlin_set_size(a, x), 3);
  assert_int_equal(dunlin_set_size(b, y), 3);
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void a_set_that_grows_refuses_to_lose(void **state) {
  dunlin_doc *a = test_doc(1);
  (void)state;
  dunlin_obj badges = set_of(a, "badges", DUNLIN_GROWING_SET);
  write_with(dunlin_set_add, a, badges, str_value("first step"));
  OK(dunlin_begin(a));
  FAILS(dunlin_set_remove(a, badges, str_value("first step")), DUNLIN_EINVAL);
  FAILS(dunlin_commit(a, 0, NULL), DUNLIN_EINVAL);
  OK(dunlin_begin(a));
  FAILS(dunlin_set_remove(a, badges, str_value("never there")), DUNLIN_EINVAL);
  dunlin_abort(a);
  assert_true(dunlin_set_has(a, badges, str_value("first step")));
  dunlin_doc_free(a);
}

static void toggling_adds_and_removes(void **state) {
  dunlin_doc *a = test_doc(1);
  (void)state;
  dunlin_obj likes = set_of(a, "likes", DUNLIN_SET);
  write_with(dunlin_set_toggle, a, likes, int_value(7));
  assert_true(dunlin_set_has(a, likes, int_value(7)));
  write_with(dunlin_set_toggle, a, likes, int_value(7));
  assert_false(dunlin_set_has(a, likes, int_value(7)));
  assert_int_equal(dunlin_set_size(a, likes), 0);
  dunlin_doc_free(a);
}

static void members_come_in_the_order_of_their_bytes(void **state) {
  dunlin_doc *a = test_doc(1);
  (void)state;
  dunlin_obj set = set_of(a, "set", DUNLIN_SET);
  const struct dunlin_value values[] = {
      str_value("b"),       str_value("a"), int_value(300), int_value(5), {.kind = DUNLIN_FLOAT, .as.real = 5},
      {.kind = DUNLIN_NULL}};
  static const size_t order[] = {3, 1, 0, 5, 4, 2};
  for (size_t i = 0; i < 6; i++) assert_int_equal(write_with(dunlin_set_add, a, set, values[i]), 1);
  for (size_t i = 0; i < 6; i++) assert_int_equal(write_with(dunlin_set_add, a, set, values[i]), 0);
  assert_int_equal(dunlin_set_size(a, set), 6);
  for (size_t i = 0; i < 6; i++) {
    struct dunlin_value value;
    OK(dunlin_set_at(a, set, i, &value));
    assert_int_equal(value.kind, values[order[i]].kind);
    if (value.kind == DUNLIN_INT) assert_int_equal(value.as.integer, values[order[i]].as.integer);
    if (value.kind == DUNLIN_STRING) assert_memory_equal(value.as.string.data, values[order[i]].as.string.data, 1);
  }
  struct dunlin_value value;
  FAILS(dunlin_set_at(a, set, 6, &value), DUNLIN_ENOENT);
  dunlin_doc_free(a);
}

static void a_member_has_a_longest_length(void **state) {
  dunlin_doc *a = test_doc(1);
  char text[DUNLIN_MAX_KEY] = {0};
  (void)state;
  dunlin_obj set = set_of(a, "set", DUNLIN_SET);
  const size_t most = DUNLIN_MAX_KEY - 3; /* with the bytes that say how long it is */
  struct dunlin_value value = {.kind = DUNLIN_BYTES, .as.string = {text, most}};
  assert_int_equal(write_with(dunlin_set_add, a, set, value), 1);
  value.as.string.len++;
  assert_false(dunlin_set_has(a, set, value));
  OK(dunlin_begin(a));
  FAILS(dunlin_set_add(a, set, value), DUNLIN_ELIMIT);
  dunlin_abort(a);
  dunlin_doc_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_added_while_it_is_removed_stays),  cmocka_unit_test(both_make_one_set),
      cmocka_unit_test(a_set_that_grows_refuses_to_lose),         cmocka_unit_test(toggling_adds_and_removes),
      cmocka_unit_test(members_come_in_the_order_of_their_bytes), cmocka_unit_test(a_member_has_a_longest_length),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
