/* Whoever watches is told what changed, from what to what, once a commit, and no more once it has stopped watching. */
#include <dunlin/events.h>

#include "test/capability/device.h"

static void old_and_new_value_once_a_commit(void **state) {
  dunlin_doc *doc = test_doc(1);
  struct dunlin_event event;
  (void)state;
  OK(dunlin_watch(doc, DUNLIN_ROOT, dunlin_key("/tempo"), 7));
  for (int i = 0; i < 10; i++) {
    put(doc, "tempo", dunlin_int(100 + i));
    put(doc, "other", dunlin_int(i));
    assert_int_equal(dunlin_next_event(doc, &event), 1);
    assert_int_equal(event.kind, DUNLIN_EVENT_KEY);
    assert_int_equal(event.tag, 7);
    assert_int_equal(event.origin, DUNLIN_ORIGIN_LOCAL);
    assert_int_equal(event.had, i > 0);
    if (event.had) assert_int(event.before, 99 + i);
    assert_true(event.has);
    assert_int(event.after, 100 + i);
    assert_int_equal(dunlin_next_event(doc, &event), 0);
  }
  dunlin_doc_free(doc);
}

static void what_others_write_is_told_too(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_event event;
  (void)state;
  OK(dunlin_watch(a, DUNLIN_ROOT, dunlin_key("/tempo"), 0));
  put(b, "tempo", dunlin_int(90));
  test_send(b, a);
  assert_int_equal(dunlin_next_event(a, &event), 1);
  assert_int_equal(event.origin, DUNLIN_ORIGIN_REMOTE);
  assert_int(event.after, 90);
  assert_int_equal(dunlin_next_event(a, &event), 0);
  test_send(b, a); /* a second time is no news */
  assert_int_equal(dunlin_next_event(a, &event), 0);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void nothing_is_told_to_who_has_stopped(void **state) {
  dunlin_doc *doc = test_doc(1);
  struct dunlin_event event;
  (void)state;
  int mine = dunlin_watch(doc, DUNLIN_ROOT, dunlin_key("/tempo"), 1);
  OK(mine);
  OK(dunlin_watch(doc, DUNLIN_ROOT, dunlin_key("/tempo"), 2));
  put(doc, "tempo", dunlin_int(90)); /* written before it stops, not told after */
  dunlin_unwatch(doc, mine);
  put(doc, "tempo", dunlin_int(91));
  assert_int_equal(dunlin_next_event(doc, &event), 1);
  assert_int_equal(event.tag, 2);
  assert_int_equal(dunlin_next_event(doc, &event), 0);
  dunlin_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(old_and_new_value_once_a_commit),
      cmocka_unit_test(what_others_write_is_told_too),
      cmocka_unit_test(nothing_is_told_to_who_has_stopped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
