/* What differs between two states, and no more: an event for each thing, and nothing to send when nothing has
 * changed. */
#include <dunlin/history.h>

#include <dunlin/events.h>

#include "test/capability/device.h"

enum { keys = 1000 };

static dunlin_doc *with_keys(void) {
  dunlin_doc *doc = test_doc(1);
  OK(dunlin_begin(doc));
  dunlin_obj map = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("settings"), DUNLIN_MAP);
  for (int i = 0; i < keys; i++) {
    char key[16];
    snprintf(key, sizeof key, "k%03d", i);
    OK(dunlin_map_put(doc, map, dunlin_key(key), dunlin_int(i)));
  }
  OK(dunlin_commit(doc, 0, NULL));
  return doc;
}

static struct dunlin_id head(const dunlin_doc *doc) {
  size_t count;
  const struct dunlin_id *heads = dunlin_doc_heads(doc, &count);
  assert_int_equal(count, 1);
  return heads[0];
}

static int set_one(dunlin_doc *doc, int64_t value) {
  dunlin_obj map = child(doc, "settings", DUNLIN_MAP);
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, map, dunlin_key("k500"), dunlin_int(value)));
  int changes = dunlin_commit(doc, 0, NULL);
  OK(changes);
  return changes;
}

static void one_key_of_a_thousand(void **state) {
  dunlin_doc *doc = with_keys(), *diff;
  struct dunlin_event event;
  (void)state;
  struct dunlin_id before = head(doc);
  assert_int_equal(set_one(doc, -1), 1);
  struct dunlin_id after = head(doc);
  OK(dunlin_doc_diff(doc, &before, 1, &after, 1, &diff));
  assert_int_equal(dunlin_next_event(diff, &event), 1);
  assert_int_equal(event.kind, DUNLIN_EVENT_KEY);
  assert_int_equal(event.path.len, strlen("/settings/k500"));
  assert_memory_equal(event.path.data, "/settings/k500", event.path.len);
  assert_true(event.had && event.has);
  assert_int(event.before, 500);
  assert_int(event.after, -1);
  assert_int_equal(dunlin_next_event(diff, &event), 0);
  dunlin_doc_free(diff);
  dunlin_doc_free(doc);
}

/* Backwards too: what would lead back. */
static void from_the_later_to_the_earlier(void **state) {
  dunlin_doc *doc = with_keys(), *diff;
  struct dunlin_event event;
  (void)state;
  struct dunlin_id before = head(doc);
  set_one(doc, -1);
  struct dunlin_id after = head(doc);
  OK(dunlin_doc_diff(doc, &after, 1, &before, 1, &diff));
  assert_int_equal(dunlin_next_event(diff, &event), 1);
  assert_int(event.before, -1);
  assert_int(event.after, 500);
  assert_int_equal(dunlin_next_event(diff, &event), 0);
  dunlin_doc_free(diff);
  dunlin_doc_free(doc);
}

static size_t delta_since(const dunlin_doc *doc, const struct dunlin_id *since) {
  void *delta;
  size_t len;
  OK(dunlin_doc_delta(doc, since, 1, &delta, &len));
  dunlin_free(NULL, delta, len);
  return len;
}

static void what_was_there_already_is_no_change(void **state) {
  dunlin_doc *doc = with_keys(), *diff, *other = test_doc(2);
  struct dunlin_event event;
  (void)state;
  struct dunlin_id before = head(doc);
  size_t nothing = delta_since(doc, &before);
  assert_int_equal(set_one(doc, 500), 0);
  struct dunlin_id after = head(doc);
  assert_memory_equal(&before, &after, sizeof before);
  assert_int_equal(delta_since(doc, &before), nothing);
  OK(dunlin_doc_diff(doc, &before, 1, &after, 1, &diff));
  assert_int_equal(dunlin_next_event(diff, &event), 0);
  test_send(doc, other);
  struct dunlin_applied applied = test_send(doc, other);
  assert_int_equal(applied.applied + applied.duplicates + applied.pending + applied.refused, 0);
  print_message("an empty delta: %zu bytes\n", nothing);
  dunlin_doc_free(diff);
  dunlin_doc_free(other);
  dunlin_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_key_of_a_thousand),
      cmocka_unit_test(from_the_later_to_the_earlier),
      cmocka_unit_test(what_was_there_already_is_no_change),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
