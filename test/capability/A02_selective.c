/* A thousand watch a key each: one that changes is one event, one that is written as it was is none, and the others
 * cost nothing. */
#include <dunlin/events.h>

#include <time.h>

#include "test/capability/device.h"

enum { keys = 1000, moments = 300 };

static void key_name(int i, char name[16]) {
  snprintf(name, 16, "k%d", i);
}

static dunlin_doc *watched(int watches) {
  dunlin_doc *doc = test_doc(1);
  char path[20] = "/";
  OK(dunlin_begin(doc));
  for (int i = 0; i < keys; i++) {
    key_name(i, path + 1);
    OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(path + 1), dunlin_int(0)));
  }
  OK(dunlin_commit(doc, 0, NULL));
  for (int i = 0; i < watches; i++) {
    key_name(keys - 1 - i, path + 1);
    OK(dunlin_watch(doc, DUNLIN_ROOT, dunlin_key(path), (uint64_t)(keys - 1 - i)));
  }
  return doc;
}

static void one_changes_and_one_is_told(void **state) {
  dunlin_doc *doc = watched(keys);
  struct dunlin_event event;
  (void)state;
  assert_int_equal(dunlin_next_event(doc, &event), 0);
  put(doc, "k123", dunlin_int(5));
  assert_int_equal(dunlin_next_event(doc, &event), 1);
  assert_int_equal(event.tag, 123);
  assert_int(event.before, 0);
  assert_int(event.after, 5);
  assert_int_equal(dunlin_next_event(doc, &event), 0);
  dunlin_doc_free(doc);
}

static void what_is_equal_is_not_told(void **state) {
  dunlin_doc *doc = watched(keys);
  struct dunlin_event event;
  (void)state;
  put(doc, "k123", dunlin_int(0));
  assert_int_equal(dunlin_next_event(doc, &event), 0);
  put(doc, "k123", dunlin_int(1)); /* and back, before anybody looks */
  put(doc, "k123", dunlin_int(0));
  assert_int_equal(dunlin_next_event(doc, &event), 0);
  dunlin_doc_free(doc);
}

/* One watch on what lies above them all hears of each, and of one only once. */
static void a_watch_above_hears_of_all(void **state) {
  dunlin_doc *doc = watched(0);
  struct dunlin_event event;
  (void)state;
  OK(dunlin_watch(doc, DUNLIN_ROOT, dunlin_key(""), 1));
  put(doc, "k1", dunlin_int(1));
  put(doc, "k2", dunlin_int(2));
  assert_int_equal(dunlin_next_event(doc, &event), 1);
  assert_int_equal(dunlin_next_event(doc, &event), 1);
  assert_int_equal(dunlin_next_event(doc, &event), 0);
  dunlin_doc_free(doc);
}

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The shortest of many, since the machine does other things too. */
static int64_t time_of_one_event(dunlin_doc *doc) {
  int64_t best = INT64_MAX;
  struct dunlin_event event;
  for (int i = 0; i < moments; i++) {
    put(doc, "k999", dunlin_int(i + 1));
    int64_t began = nanoseconds();
    assert_int_equal(dunlin_next_event(doc, &event), 1);
    assert_int_equal(dunlin_next_event(doc, &event), 0);
    int64_t took = nanoseconds() - began;
    if (took < best) best = took;
  }
  return best;
}

static void the_others_cost_nothing(void **state) {
  dunlin_doc *alone = watched(1), *among = watched(keys);
  int64_t one, thousand;
  int tries = 0;
  (void)state;
  do {
    one = time_of_one_event(alone);
    thousand = time_of_one_event(among);
  } while (thousand > 3 * one && ++tries < 5);
  print_message("one event: %lld ns with one watch, %lld ns with %d\n", (long long)one, (long long)thousand, keys);
  assert_true(thousand <= 3 * one);
  dunlin_doc_free(alone);
  dunlin_doc_free(among);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_changes_and_one_is_told),
      cmocka_unit_test(what_is_equal_is_not_told),
      cmocka_unit_test(a_watch_above_hears_of_all),
      cmocka_unit_test(the_others_cost_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
