/* Logs that are only added to: everybody's entries, each once, in one order, and each one's in the order in which they
 * were added. */
#include "test/capability/device.h"

enum { devices = 3, entries = 1000 };

static void append(dunlin_doc *doc, dunlin_obj log, int64_t entry) {
  OK(dunlin_begin(doc));
  OK(dunlin_list_insert(doc, log, dunlin_list_size(doc, log), dunlin_int(entry)));
  assert_int_equal(dunlin_commit(doc, 0, NULL), 1);
}

static void assert_whole(const dunlin_doc *doc, dunlin_obj log) {
  int next[devices] = {0};
  struct dunlin_value value;
  assert_int_equal(dunlin_list_size(doc, log), devices * entries);
  for (size_t i = 0; i < devices * entries; i++) {
    OK(dunlin_list_get(doc, log, i, &value));
    assert_int_equal(value.kind, DUNLIN_INT);
    int64_t device = value.as.integer / entries;
    assert_in_range(device, 0, devices - 1);
    assert_int_equal(value.as.integer % entries, next[device]++);
  }
}

static void what_three_add_apart_is_there_once(void **state) {
  dunlin_doc *docs[devices];
  dunlin_obj logs[devices];
  (void)state;
  for (uint8_t d = 0; d < devices; d++) {
    docs[d] = test_doc((uint8_t)(d + 1));
    logs[d] = child(docs[d], "log", DUNLIN_LIST);
    for (int i = 0; i < entries; i++) append(docs[d], logs[d], d * entries + i);
  }
  sync_all(docs, devices);
  for (size_t d = 0; d < devices; d++) {
    assert_whole(docs[d], logs[d]);
    for (size_t i = 0; i < devices * entries; i++) {
      struct dunlin_value here, there;
      OK(dunlin_list_get(docs[0], logs[0], i, &there));
      OK(dunlin_list_get(docs[d], logs[d], i, &here));
      assert_int(here, there.as.integer);
    }
    assert_same_doc(docs[0], docs[d]);
  }
  for (size_t d = 0; d < devices; d++) dunlin_doc_free(docs[d]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_three_add_apart_is_there_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
