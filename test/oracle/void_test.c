/* What a void change does to each kind of container, in the oracle: in every scene `first` writes something, `second`
 * builds on it and is void, `third` builds on both. */
#include "test/oracle/support.h"

struct scene {
  dunlin_doc *first, *second, *third;
  dunlin_doc *plain; /* what it should be equal to: without the second */
  struct oracle *oracle;
};

static void scene_open(struct scene *s) {
  *s = (struct scene){test_doc(1), test_doc(2), test_doc(3), test_doc(4), test_oracle()};
  OK(dunlin_begin(s->first));
}

static void scene_close(struct scene *s) {
  dunlin_doc_free(s->first);
  dunlin_doc_free(s->second);
  dunlin_doc_free(s->third);
  dunlin_doc_free(s->plain);
  oracle_free(s->oracle);
}

/* The first is written: now the second writes. */
static void then_second(struct scene *s) {
  OK(dunlin_commit(s->first, 0, NULL));
  test_send(s->first, s->second);
  test_send(s->first, s->plain);
  OK(dunlin_begin(s->second));
  OK(dunlin_begin(s->plain));
}

static void then_third(struct scene *s) {
  OK(dunlin_commit(s->second, 0, NULL));
  test_send(s->second, s->third);
  OK(dunlin_begin(s->third));
}

/* The oracle has it all, and the second's change is void. */
static void then_void(struct scene *s) {
  struct dunlin_actor second = {{2}};
  struct dunlin_change_info info;
  int written = dunlin_commit(s->third, 0, NULL);
  OK(written);
  OK(dunlin_commit(s->plain, 0, NULL));
  test_feed(s->oracle, s->third);
  assert_shows_like(s->oracle, s->third);
  OK(dunlin_doc_find_number(s->third, &second, 0, &info));
  OK(oracle_set_void(s->oracle, &info.id, 1));
}

static dunlin_obj root_child(const dunlin_doc *doc, const char *key) {
  struct dunlin_value v;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key(key), &v));
  return v.as.obj;
}

/* ---- Text -------------------------------------------------------------------------------------------------------- */

static void assert_oracle_text(const struct scene *s, const char *expected) {
  dunlin_obj text = root_child(s->third, "t");
  struct container_id id = {{DUNLIN_TEXT}};
  uint8_t head[] = {DUNLIN_MAP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, DUNLIN_TEXT, 0, 0, 0, 0, 't'};
  struct dunlin_bytes part = {head, sizeof head};
  struct dunlin_id hash = env_hash(dunlin_env_default(), "dunlin.child.1", &part, 1);
  char got[64] = "";
  memcpy(id.bytes + 1, hash.bytes + 1, sizeof id.bytes - 1);
  assert_int_equal(dunlin_obj_kind(s->third, text), DUNLIN_TEXT);
  assert_int_equal(oracle_text(s->oracle, &id, got, sizeof got), strlen(expected));
  assert_string_equal(got, expected);
  got[0] = '?';
  assert_int_equal(oracle_text(s->oracle, &id, got, strlen(expected) - 1), strlen(expected));
  assert_int_equal(got[0], '?'); /* too small: nothing was written */
}

static void write_text(struct scene *s, const char *text) {
  dunlin_obj t;
  scene_open(s);
  t = dunlin_map_child(s->first, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  OK(dunlin_text_splice(s->first, t, 0, 0, text, strlen(text)));
}

static void void_insertion_is_deleted(void **state) {
  (void)state;
  struct scene s;
  write_text(&s, "ac");
  then_second(&s);
  OK(dunlin_text_splice(s.second, root_child(s.second, "t"), 1, 0, "bbb", 3));
  then_third(&s);
  OK(dunlin_text_splice(s.third, root_child(s.third, "t"), 3, 1, "X", 1)); /* in place of the last b */
  then_void(&s);
  assert_oracle_text(&s, "aXc");
  OK(oracle_set_void(s.oracle, NULL, 0));
  assert_oracle_text(&s, "abbXc");
  scene_close(&s);
}

static void void_deletion_does_nothing(void **state) {
  (void)state;
  struct scene s;
  write_text(&s, "abc");
  then_second(&s);
  OK(dunlin_text_splice(s.second, root_child(s.second, "t"), 1, 1, "", 0));
  then_third(&s);
  OK(dunlin_text_splice(s.third, root_child(s.third, "t"), 1, 1, "X", 1)); /* the c: its index counts the b as gone */
  then_void(&s);
  assert_oracle_text(&s, "aXb");
  scene_close(&s);
}

/* ---- Maps -------------------------------------------------------------------------------------------------------- */

static void void_write_neither_lives_nor_overwrites(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  OK(dunlin_map_put(s.first, DUNLIN_ROOT, dunlin_key("written"), int_value(1)));
  OK(dunlin_map_put(s.first, DUNLIN_ROOT, dunlin_key("deleted"), int_value(1)));
  then_second(&s);
  OK(dunlin_map_put(s.second, DUNLIN_ROOT, dunlin_key("written"), int_value(2)));
  OK(dunlin_map_put(s.second, DUNLIN_ROOT, dunlin_key("new"), int_value(2)));
  OK(dunlin_map_delete(s.second, DUNLIN_ROOT, dunlin_key("deleted")));
  then_third(&s);
  then_void(&s);
  assert_shows_like(s.oracle, s.first);
  scene_close(&s);
}

static void later_write_overwrites_all_it_has_seen(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  OK(dunlin_map_put(s.first, DUNLIN_ROOT, dunlin_key("k"), int_value(1)));
  then_second(&s);
  OK(dunlin_map_put(s.second, DUNLIN_ROOT, dunlin_key("k"), int_value(2)));
  then_third(&s);
  OK(dunlin_map_put(s.third, DUNLIN_ROOT, dunlin_key("k"), int_value(3)));
  then_void(&s);
  assert_shows_like(s.oracle, s.third);
  scene_close(&s);
}

static void void_child_is_not_there_unless_touched(void **state) {
  (void)state;
  for (int touched = 0; touched < 2; touched++) {
    struct scene s;
    scene_open(&s);
    OK(dunlin_map_put(s.first, DUNLIN_ROOT, dunlin_key("other"), int_value(1)));
    then_second(&s);
    dunlin_map_child(s.second, DUNLIN_ROOT, dunlin_key("m"), DUNLIN_MAP);
    then_third(&s);
    OK(dunlin_map_put(s.third, root_child(s.third, "m"), dunlin_key("x"), int_value(1)));
    if (touched) OK(dunlin_map_touch(s.third, DUNLIN_ROOT, dunlin_key("m")));
    then_void(&s);
    assert_shows_like(s.oracle, touched ? s.third : s.first);
    scene_close(&s);
  }
}

static void void_addition_adds_nothing(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  dunlin_map_child(s.first, DUNLIN_ROOT, dunlin_key("c"), DUNLIN_COUNTER);
  OK(dunlin_counter_add(s.first, root_child(s.first, "c"), 5));
  then_second(&s);
  OK(dunlin_counter_add(s.second, root_child(s.second, "c"), 100));
  OK(dunlin_counter_add(s.plain, root_child(s.plain, "c"), 2));
  then_third(&s);
  OK(dunlin_counter_add(s.third, root_child(s.third, "c"), 2));
  then_void(&s);
  assert_shows_like(s.oracle, s.plain);
  scene_close(&s);
}

/* ---- Lists ------------------------------------------------------------------------------------------------------- */

static void write_list(struct scene *s, int64_t count) {
  dunlin_obj list;
  scene_open(s);
  list = dunlin_map_child(s->first, DUNLIN_ROOT, dunlin_key("l"), DUNLIN_LIST);
  for (int64_t i = 0; i < count; i++) OK(dunlin_list_insert(s->first, list, (size_t)i, int_value(i)));
}

static void void_move_does_nothing(void **state) {
  (void)state;
  struct scene s;
  write_list(&s, 3);
  then_second(&s);
  OK(dunlin_list_move(s.second, root_child(s.second, "l"), 0, 2));
  OK(dunlin_list_delete(s.plain, root_child(s.plain, "l"), 1, 1));
  then_third(&s);
  OK(dunlin_list_delete(s.third, root_child(s.third, "l"), 0, 1)); /* the second element, which was first then */
  then_void(&s);
  assert_shows_like(s.oracle, s.plain);
  scene_close(&s);
}

static void moving_a_void_element_does_not_bring_it_back(void **state) {
  (void)state;
  struct scene s;
  write_list(&s, 2);
  then_second(&s);
  OK(dunlin_list_insert(s.second, root_child(s.second, "l"), 1, int_value(7)));
  then_third(&s);
  OK(dunlin_list_move(s.third, root_child(s.third, "l"), 1, 0));
  OK(dunlin_list_set(s.third, root_child(s.third, "l"), 0, int_value(8)));
  then_void(&s);
  assert_shows_like(s.oracle, s.first);
  scene_close(&s);
}

static void void_set_gives_the_value_before_it(void **state) {
  (void)state;
  struct scene s;
  write_list(&s, 2);
  then_second(&s);
  OK(dunlin_list_set(s.second, root_child(s.second, "l"), 1, int_value(7)));
  dunlin_list_set_child(s.second, root_child(s.second, "l"), 0, DUNLIN_TEXT);
  then_third(&s);
  then_void(&s);
  assert_shows_like(s.oracle, s.first);
  scene_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(void_insertion_is_deleted),
      cmocka_unit_test(void_deletion_does_nothing),
      cmocka_unit_test(void_write_neither_lives_nor_overwrites),
      cmocka_unit_test(later_write_overwrites_all_it_has_seen),
      cmocka_unit_test(void_child_is_not_there_unless_touched),
      cmocka_unit_test(void_addition_adds_nothing),
      cmocka_unit_test(void_move_does_nothing),
      cmocka_unit_test(moving_a_void_element_does_not_bring_it_back),
      cmocka_unit_test(void_set_gives_the_value_before_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
