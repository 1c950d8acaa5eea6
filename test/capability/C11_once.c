/* What can be achieved only once, though several devices may find out at the same time. */
#include "test/support/support.h"

/* A milestone is a key of its own, and what it holds is written once. */
static void achieve(dunlin_doc *doc, const char *milestone, int64_t at) {
  OK(dunlin_begin(doc));
  dunlin_obj all = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("milestones"), DUNLIN_MAP);
  dunlin_obj when = dunlin_map_child(doc, all, dunlin_key(milestone), DUNLIN_FIRST);
  OK(dunlin_offer(doc, when, (struct dunlin_value){.kind = DUNLIN_TIME, .as.time = at}));
  OK(dunlin_commit(doc, 0, NULL));
}

static size_t milestones(const dunlin_doc *doc) {
  struct dunlin_value all;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("milestones"), &all));
  return dunlin_map_size(doc, all.as.obj);
}

static int64_t achieved_at(const dunlin_doc *doc, const char *milestone) {
  struct dunlin_value all, when, at;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("milestones"), &all));
  OK(dunlin_map_get(doc, all.as.obj, dunlin_key(milestone), &when));
  OK(dunlin_offered(doc, when.as.obj, &at));
  assert_int_equal(at.kind, DUNLIN_TIME);
  return at.as.time;
}

static void both_find_out_and_one_counts(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  achieve(a, "0.8", 100);
  achieve(a, "0.9", 200);
  test_sync(a, b);
  achieve(b, "0.95", 290);
  achieve(a, "0.95", 300);
  test_sync(a, b);
  assert_int_equal(milestones(a), 3);
  assert_int_equal(milestones(b), 3);
  assert_int_equal(achieved_at(a, "0.95"), achieved_at(b, "0.95"));
  assert_int_equal(achieved_at(a, "0.9"), 200);
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void what_is_there_is_not_written_again(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  achieve(a, "0.8", 100);
  size_t changes = dunlin_doc_changes(a);
  achieve(a, "0.8", 50);
  assert_int_equal(dunlin_doc_changes(a), changes);
  test_sync(a, b);
  achieve(b, "0.8", 10);
  assert_int_equal(dunlin_doc_changes(b), changes);
  assert_int_equal(achieved_at(b, "0.8"), 100);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

/* The one with the lowest lamport counts, in whatever order they come. */
static void the_order_of_arrival_does_not_matter(void **state) {
  dunlin_doc *docs[3], *first = test_doc(8), *second = test_doc(9);
  (void)state;
  for (uint8_t i = 0; i < 3; i++) {
    docs[i] = test_doc(i + 1);
    achieve(docs[i], "other", i); /* the first of them has the lowest actor ... */
    if (i < 2) achieve(docs[i], "another", i);
    achieve(docs[i], "0.8", 100 * (i + 1)); /* ... but the last one the lowest lamport here */
  }
  for (size_t i = 0; i < 3; i++) {
    test_send(docs[i], first);
    test_send(docs[2 - i], second);
  }
  assert_int_equal(achieved_at(first, "0.8"), 300);
  assert_int_equal(achieved_at(second, "0.8"), 300);
  assert_int_equal(achieved_at(first, "other"), 0);
  assert_same_doc(first, second);
  for (size_t i = 0; i < 3; i++) dunlin_doc_free(docs[i]);
  dunlin_doc_free(first);
  dunlin_doc_free(second);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_find_out_and_one_counts),
      cmocka_unit_test(what_is_there_is_not_written_again),
      cmocka_unit_test(the_order_of_arrival_does_not_matter),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
