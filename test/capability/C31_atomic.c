/* Several writes as one: one change, told once, and everywhere all of it or nothing. */
#include <dunlin/events.h>

#include "test/capability/device.h"
#include "test/fault/seeded.h"

static const char *const fields[] = {"street", "number", "town", "country"};

static void write_four(dunlin_doc *doc) {
  dunlin_obj address = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("address"), DUNLIN_MAP);
  for (size_t i = 0; i < 4; i++) OK(dunlin_map_put(doc, address, dunlin_key(fields[i]), dunlin_string("new")));
}

static size_t fields_there(const dunlin_doc *doc) {
  struct dunlin_value address, value;
  size_t count = 0;
  if (dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("address"), &address)) return 0;
  for (size_t i = 0; i < 4; i++) count += dunlin_map_get(doc, address.as.obj, dunlin_key(fields[i]), &value) == 0;
  return count;
}

static void four_writes_are_one_change(void **state) {
  dunlin_doc *doc = test_doc(1), *other = test_doc(2);
  (void)state;
  OK(dunlin_begin(doc));
  write_four(doc);
  assert_int_equal(fields_there(doc), 4); /* the transaction reads its own writes */
  assert_int_equal(dunlin_commit(doc, 0, NULL), 1);
  assert_int_equal(dunlin_doc_changes(doc), 1);
  assert_int_equal(test_send(doc, other).applied, 1);
  assert_int_equal(fields_there(other), 4);
  dunlin_doc_free(doc);
  dunlin_doc_free(other);
}

/* A view hears of it at one moment: nothing before the commit, then all of it. */
static void it_is_told_at_once(void **state) {
  dunlin_doc *doc = test_doc(1);
  struct dunlin_event event;
  size_t events = 0;
  (void)state;
  child(doc, "address", DUNLIN_MAP);
  OK(dunlin_watch(doc, DUNLIN_ROOT, dunlin_key("/address"), 0));
  OK(dunlin_begin(doc));
  write_four(doc);
  FAILS(dunlin_next_event(doc, &event), DUNLIN_ESTATE);
  OK(dunlin_commit(doc, 0, NULL));
  while (dunlin_next_event(doc, &event) == 1) events++;
  assert_int_equal(events, 4);
  dunlin_doc_free(doc);
}

static void an_aborted_one_leaves_nothing(void **state) {
  dunlin_doc *doc = test_doc(1);
  struct dunlin_id before, after;
  (void)state;
  put(doc, "name", dunlin_string("Ann"));
  OK(dunlin_doc_hash(doc, &before));
  OK(dunlin_begin(doc));
  write_four(doc);
  dunlin_abort(doc);
  OK(dunlin_doc_hash(doc, &after));
  assert_memory_equal(&before, &after, sizeof before);
  assert_int_equal(dunlin_doc_changes(doc), 1);
  dunlin_doc_free(doc);
}

/* One write that fails takes the others with it. */
static void one_that_fails_is_all_that_fail(void **state) {
  dunlin_doc *doc = test_doc(1);
  (void)state;
  OK(dunlin_begin(doc));
  write_four(doc);
  FAILS(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("bad"), dunlin_string("\xff")), DUNLIN_EUTF8);
  FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_EUTF8);
  assert_int_equal(fields_there(doc), 0);
  assert_int_equal(dunlin_doc_changes(doc), 0);
  dunlin_doc_free(doc);
}

/* The receiver runs out of memory at every place where it can. */
static void who_stops_while_taking_it_in_has_all_or_nothing(void **state) {
  dunlin_doc *doc = test_doc(1);
  void *delta;
  size_t len, stopped = 0;
  (void)state;
  OK(dunlin_begin(doc));
  write_four(doc);
  OK(dunlin_commit(doc, 0, NULL));
  OK(dunlin_doc_delta(doc, NULL, 0, &delta, &len));
  for (bool done = false; !done;) {
    struct seeded env;
    struct dunlin_id id = dunlin_doc_id(doc);
    struct dunlin_actor actor = {{2}};
    dunlin_doc *other;
    seeded_init(&env, 1);
    OK(dunlin_doc_new(&env.env, &id, &actor, &other));
    env.fail_at = env.allocations + stopped + 1;
    env.for_good = true;
    int rc = dunlin_doc_apply(other, delta, len, NULL);
    env.fail_at = 0;
    done = rc == 0;
    if (!done) {
      assert_int_equal(rc, DUNLIN_ENOMEM);
      assert_int_equal(fields_there(other), 0);
      assert_int_equal(dunlin_doc_changes(other), 0);
      stopped++;
    }
    OK(dunlin_doc_apply(other, delta, len, NULL));
    assert_int_equal(fields_there(other), 4);
    dunlin_doc_free(other);
    assert_int_equal(env.live, 0);
  }
  assert_true(stopped > 3);
  print_message("stopped at %zu places\n", stopped);
  dunlin_free(NULL, delta, len);
  dunlin_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(four_writes_are_one_change),
      cmocka_unit_test(it_is_told_at_once),
      cmocka_unit_test(an_aborted_one_leaves_nothing),
      cmocka_unit_test(one_that_fails_is_all_that_fail),
      cmocka_unit_test(who_stops_while_taking_it_in_has_all_or_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
