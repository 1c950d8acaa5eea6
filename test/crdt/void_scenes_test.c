/* What a void change does to each kind of container, and what is written over it: by hand.  Every state is also what
 * the oracle says, and what a replay gives. */
#include "test/crdt/void_changes.h"

static void text_shows_as_before_a_void_change(void **state) {
  (void)state;
  struct scene s = text_scene();
  assert_text(s.third, at(s.third, "t"), "abcdef");
  assert_scene(&s);
  OK(dunlin_doc_set_void(s.third, NULL, 0));
  assert_text(s.third, at(s.third, "t"), "aVVbdef");
  scene_close(&s);
}

static void typing_goes_where_it_shows(void **state) {
  (void)state;
  struct scene s = text_scene();
  OK(dunlin_begin(s.third)); /* aborted: what was known about the void change is found out again */
  OK(dunlin_text_splice(s.third, at(s.third, "t"), 0, 0, "?", 1));
  dunlin_abort(s.third);
  type(s.third, 1, 0, "1");
  assert_text(s.third, at(s.third, "t"), "a1bcdef");
  type(s.third, 5, 1, "2"); /* in place of the "e" */
  assert_text(s.third, at(s.third, "t"), "a1bcd2f");
  type(s.third, 7, 0, "3");
  type(s.third, 0, 0, "0");
  assert_text(s.third, at(s.third, "t"), "0a1bcd2f3");
  assert_scene(&s);
  scene_close(&s);
}

/* The void change's own text lies between: two rows. */
static void a_deletion_spares_void_text_between(void **state) {
  (void)state;
  struct scene s = text_scene();
  type(s.third, 0, 2, "");
  assert_text(s.third, at(s.third, "t"), "cdef");
  assert_scene(&s);
  OK(dunlin_doc_set_void(s.third, NULL, 0));
  assert_text(s.third, at(s.third, "t"), "VVdef");
  scene_close(&s);
}

static void what_shows_only_by_a_void_deletion_cannot_be_deleted(void **state) {
  (void)state;
  struct scene s = text_scene();
  for (size_t from = 0; from < 3; from++) {
    OK(dunlin_begin(s.third));
    FAILS(dunlin_text_splice(s.third, at(s.third, "t"), from, 3 - from, "x", 1), DUNLIN_EREFUSED);
    FAILS(dunlin_commit(s.third, 0, NULL), DUNLIN_EREFUSED);
    assert_text(s.third, at(s.third, "t"), "abcdef");
  }
  assert_scene(&s);
  scene_close(&s);
}

static void typing_behind_such_a_character_comes_before_it(void **state) {
  (void)state;
  struct scene s = text_scene();
  type(s.third, 3, 0, "1");
  assert_text(s.third, at(s.third, "t"), "ab1cdef");
  type(s.third, 4, 0, "2"); /* behind the "c" again: behind what was typed there before */
  assert_text(s.third, at(s.third, "t"), "ab12cdef");
  assert_scene(&s);
  scene_close(&s);
}

static void an_earlier_version_counts_void_changes(void **state) {
  (void)state;
  struct scene s = text_scene();
  struct dunlin_id second = id_of(s.third, 2, 0);
  type(s.third, 0, 0, "0");
  test_send(s.third, s.first);
  type(s.first, 0, 0, "9"); /* so that the version below is not the current one */
  test_send(s.first, s.third);
  struct dunlin_id own = id_of(s.third, 3, 0);
  OK(dunlin_begin_at(s.third, (struct dunlin_id[]){own, second}, 2));
  OK(dunlin_text_splice(s.third, at(s.third, "t"), 4, 1, "X", 1)); /* of "0aVVbdef" the "b" */
  commit(s.third);
  assert_text(s.third, at(s.third, "t"), "90aXcdef");
  assert_scene(&s);
  scene_close(&s);
}

static void list_shows_as_before_a_void_change(void **state) {
  (void)state;
  struct scene s = list_scene();
  assert_list(s.third, "abcdef");
  assert_scene(&s);
  OK(dunlin_doc_set_void(s.third, NULL, 0));
  assert_list(s.third, "fbdEa");
  scene_close(&s);
}

static void list_edits_name_what_shows(void **state) {
  (void)state;
  struct scene s = list_scene();
  dunlin_obj list = at(s.third, "l");
  OK(dunlin_begin(s.third));
  OK(dunlin_list_set(s.third, list, 0, str_value("A"))); /* moved by the void change: still the same element */
  assert_list(s.third, "Abcdef");
  OK(dunlin_list_set(s.third, list, 4, str_value("5")));
  assert_list(s.third, "Abcd5f");
  OK(dunlin_list_insert(s.third, list, 2, str_value("+")));
  assert_list(s.third, "Ab+cd5f");
  OK(dunlin_list_move(s.third, list, 4, 2));
  assert_list(s.third, "Abd+c5f");
  OK(dunlin_list_insert(s.third, list, 0, str_value("0")));
  assert_list(s.third, "0Abd+c5f");
  OK(dunlin_list_delete(s.third, list, 1, 4));
  assert_list(s.third, "0c5f");
  commit(s.third);
  assert_list(s.third, "0c5f");
  assert_scene(&s);
  scene_close(&s);
}

static void behind_an_element_that_a_void_change_took_away_is_before_it(void **state) {
  (void)state;
  struct scene s = list_scene();
  dunlin_obj list = at(s.third, "l");
  OK(dunlin_begin(s.third));
  OK(dunlin_list_insert(s.third, list, 1, str_value("1"))); /* "a" was moved away */
  assert_list(s.third, "1abcdef");
  OK(dunlin_list_move(s.third, list, 5, 4)); /* behind "c", which was deleted */
  assert_list(s.third, "1abecdf");
  commit(s.third);
  assert_scene(&s);
  scene_close(&s);
}

static void refused_on_list(struct scene *s, int error) {
  assert_int_equal(error, DUNLIN_EREFUSED);
  FAILS(dunlin_commit(s->third, 0, NULL), DUNLIN_EREFUSED);
  assert_list(s->third, "abcdef");
}

static void an_element_that_shows_only_by_a_void_deletion_stays(void **state) {
  (void)state;
  struct scene s = list_scene();
  dunlin_obj list = at(s.third, "l");
  OK(dunlin_begin(s.third));
  refused_on_list(&s, dunlin_list_delete(s.third, list, 2, 1));
  OK(dunlin_begin(s.third));
  refused_on_list(&s, dunlin_list_delete(s.third, list, 1, 3));
  OK(dunlin_begin(s.third));
  refused_on_list(&s, dunlin_list_set(s.third, list, 2, int_value(1)));
  OK(dunlin_begin(s.third));
  dunlin_list_set_child(s.third, list, 2, DUNLIN_MAP);
  refused_on_list(&s, dunlin_txn_error(s.third));
  OK(dunlin_begin(s.third));
  refused_on_list(&s, dunlin_list_move(s.third, list, 2, 0));
  OK(dunlin_begin(s.third));
  FAILS(dunlin_list_delete(s.third, list, 4, 3), DUNLIN_ERANGE);
  dunlin_abort(s.third);
  assert_scene(&s);
  scene_close(&s);
}

static void a_void_write_neither_lives_nor_overwrites(void **state) {
  (void)state;
  struct scene s = scene_open();
  put(s.first, "written", 1);
  put(s.first, "deleted", 1);
  test_send(s.first, s.second);
  OK(dunlin_begin(s.second));
  OK(dunlin_map_put(s.second, DUNLIN_ROOT, dunlin_key("written"), int_value(2)));
  OK(dunlin_map_put(s.second, DUNLIN_ROOT, dunlin_key("new"), int_value(2)));
  OK(dunlin_map_delete(s.second, DUNLIN_ROOT, dunlin_key("deleted")));
  commit(s.second);
  scene_void(&s);
  assert_same_doc(s.third, s.first);
  assert_int_equal(number_at(s.third, DUNLIN_ROOT, "written"), 1);
  put(s.third, "written", 3); /* overwrites both */
  OK(dunlin_begin(s.third));
  OK(dunlin_map_delete(s.third, DUNLIN_ROOT, dunlin_key("new"))); /* absent: nothing to delete */
  assert_int_equal(dunlin_commit(s.third, 0, NULL), 0);
  assert_scene(&s);
  OK(dunlin_doc_set_void(s.third, NULL, 0));
  assert_int_equal(number_at(s.third, DUNLIN_ROOT, "written"), 3);
  assert_int_equal(number_at(s.third, DUNLIN_ROOT, "new"), 2);
  absent(s.third, DUNLIN_ROOT, "deleted");
  scene_close(&s);
}

static void a_void_addition_adds_nothing(void **state) {
  (void)state;
  struct scene s = scene_open();
  int64_t total;
  for (int i = 0; i < 2; i++) {
    dunlin_doc *who = i ? s.second : s.first;
    OK(dunlin_begin(who));
    OK(dunlin_counter_add(who, child(who, "c", DUNLIN_COUNTER), i ? 100 : 5));
    commit(who);
    test_send(s.first, s.second);
  }
  scene_void(&s);
  OK(dunlin_begin(s.third));
  OK(dunlin_counter_add(s.third, at(s.third, "c"), 2));
  commit(s.third);
  OK(dunlin_counter_get(s.third, at(s.third, "c"), &total));
  assert_int_equal(total, 7);
  assert_scene(&s);
  OK(dunlin_doc_set_void(s.third, NULL, 0));
  OK(dunlin_counter_get(s.third, at(s.third, "c"), &total));
  assert_int_equal(total, 107);
  scene_close(&s);
}

static void a_void_child_is_gone_and_another_can_be_made(void **state) {
  (void)state;
  struct scene s = scene_open();
  put(s.first, "other", 1);
  test_send(s.first, s.second);
  put_in(s.second, "m", "x", 1);
  scene_void(&s);
  absent(s.third, DUNLIN_ROOT, "m");
  put_in(s.third, "m", "y", 2);
  absent(s.third, at(s.third, "m"), "x");
  assert_scene(&s);
  scene_close(&s);
}

static void a_void_child_that_another_touched_is_there(void **state) {
  (void)state;
  struct scene s = scene_open();
  put(s.first, "other", 1);
  test_send(s.first, s.second);
  put_in(s.second, "m", "x", 1);
  test_send(s.second, s.third);
  OK(dunlin_begin(s.third));
  OK(dunlin_map_touch(s.third, DUNLIN_ROOT, dunlin_key("m")));
  OK(dunlin_map_put(s.third, at(s.third, "m"), dunlin_key("y"), int_value(2)));
  commit(s.third);
  scene_void(&s);
  absent(s.third, at(s.third, "m"), "x");
  assert_int_equal(number_at(s.third, at(s.third, "m"), "y"), 2);
  assert_scene(&s);
  scene_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_shows_as_before_a_void_change),
      cmocka_unit_test(typing_goes_where_it_shows),
      cmocka_unit_test(a_deletion_spares_void_text_between),
      cmocka_unit_test(what_shows_only_by_a_void_deletion_cannot_be_deleted),
      cmocka_unit_test(typing_behind_such_a_character_comes_before_it),
      cmocka_unit_test(an_earlier_version_counts_void_changes),
      cmocka_unit_test(list_shows_as_before_a_void_change),
      cmocka_unit_test(list_edits_name_what_shows),
      cmocka_unit_test(behind_an_element_that_a_void_change_took_away_is_before_it),
      cmocka_unit_test(an_element_that_shows_only_by_a_void_deletion_stays),
      cmocka_unit_test(a_void_write_neither_lives_nor_overwrites),
      cmocka_unit_test(a_void_addition_adds_nothing),
      cmocka_unit_test(a_void_child_is_gone_and_another_can_be_made),
      cmocka_unit_test(a_void_child_that_another_touched_is_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
