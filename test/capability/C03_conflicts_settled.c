/* Conflicts are kept, can be listed, are settled by a choice, and open again when somebody else wrote meanwhile. */
#include <dunlin/events.h>

#include "test/capability/device.h"

/* Keys of the root with more than one value. */
static size_t conflicts(const dunlin_doc *doc) {
  struct dunlin_bytes key;
  struct dunlin_value value;
  size_t count = 0;
  for (size_t i = 0; !dunlin_map_at(doc, DUNLIN_ROOT, i, &key, &value); i++) {
    if (dunlin_map_conflicts(doc, DUNLIN_ROOT, key) > 1) count++;
  }
  return count;
}

static void both_wrote(dunlin_doc *a, dunlin_doc *b) {
  put(a, "bio", dunlin_string("plays the harp"));
  put(b, "bio", dunlin_string("plays the drum"));
  put(b, "name", dunlin_string("Ann"));
  test_sync(a, b);
}

static void choose(dunlin_doc *doc, const char *key, size_t i) {
  OK(dunlin_begin(doc));
  OK(dunlin_map_choose(doc, DUNLIN_ROOT, dunlin_key(key), i));
  OK(dunlin_commit(doc, 0, NULL));
}

static void a_choice_settles_it_for_both(void **state) {
  (void)state;
  for (size_t chosen = 0; chosen < 2; chosen++) {
    dunlin_doc *a = test_doc(1), *b = test_doc(2);
    struct dunlin_value wanted, value;
    both_wrote(a, b);
    assert_int_equal(conflicts(a), 1);
    assert_int_equal(conflicts(b), 1);
    assert_int_equal(siblings(a, "bio"), 2);
    assert_int_equal(siblings(b, "bio"), 2);
    OK(dunlin_map_conflict(b, DUNLIN_ROOT, dunlin_key("bio"), chosen, &wanted));
    char drum = ((const char *)wanted.as.string.data)[10];
    choose(a, "bio", chosen);
    test_sync(a, b);
    assert_int_equal(conflicts(a), 0);
    assert_int_equal(conflicts(b), 0);
    OK(dunlin_map_get(b, DUNLIN_ROOT, dunlin_key("bio"), &value));
    assert_string(value, drum == 'd' ? "plays the drum" : "plays the harp");
    assert_same_doc(a, b);
    dunlin_doc_free(a);
    dunlin_doc_free(b);
  }
}

static void a_write_made_meanwhile_opens_it_again(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  both_wrote(a, b);
  choose(a, "bio", 1);
  put(b, "bio", dunlin_string("plays both")); /* b has not heard of the choice */
  test_sync(a, b);
  assert_int_equal(conflicts(a), 1);
  assert_int_equal(siblings(a, "bio"), 2);
  assert_int_equal(siblings(b, "bio"), 2);
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void a_container_can_be_chosen(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_value value;
  (void)state;
  OK(dunlin_begin(a));
  dunlin_obj list = dunlin_map_child(a, DUNLIN_ROOT, dunlin_key("k"), DUNLIN_LIST);
  OK(dunlin_list_append(a, list, dunlin_int(4)));
  OK(dunlin_commit(a, 0, NULL));
  put(b, "k", dunlin_int(1));
  test_sync(a, b);
  assert_int_equal(dunlin_map_conflicts(b, DUNLIN_ROOT, dunlin_key("k")), 2);
  OK(dunlin_map_get(b, DUNLIN_ROOT, dunlin_key("k"), &value));
  choose(b, "k", value.kind == DUNLIN_LIST ? 0 : 1);
  test_sync(a, b);
  assert_int_equal(dunlin_map_conflicts(a, DUNLIN_ROOT, dunlin_key("k")), 1);
  assert_int_equal(dunlin_list_size(a, dunlin_map_obj(a, DUNLIN_ROOT, dunlin_key("k"), DUNLIN_LIST)), 1);
  assert_int_equal(dunlin_map_conflicts(a, DUNLIN_ROOT, dunlin_key("none")), 0);
  OK(dunlin_begin(a));
  FAILS(dunlin_map_choose(a, DUNLIN_ROOT, dunlin_key("k"), 1), DUNLIN_ENOENT);
  dunlin_abort(a);
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

/* So that an app need not look everywhere. */
static void events_say_when_it_opens_and_closes(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_event event;
  (void)state;
  OK(dunlin_watch(a, DUNLIN_ROOT, dunlin_key("/bio"), 0));
  both_wrote(a, b);
  assert_int_equal(dunlin_next_event(a, &event), 1);
  assert_int_equal(event.conflicts, 2);
  assert_int_equal(dunlin_next_event(a, &event), 0);
  choose(b, "bio", 0);
  test_sync(a, b);
  assert_int_equal(dunlin_next_event(a, &event), 1);
  assert_int_equal(event.conflicts, 1);
  assert_int_equal(event.kind, DUNLIN_EVENT_CONFLICT); /* it still shows what it showed */
  assert_int_equal(dunlin_next_event(a, &event), 0);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_choice_settles_it_for_both),
      cmocka_unit_test(a_write_made_meanwhile_opens_it_again),
      cmocka_unit_test(a_container_can_be_chosen),
      cmocka_unit_test(events_say_when_it_opens_and_closes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
