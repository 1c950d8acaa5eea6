/* The newest of a long list: a window of the merged order, the same for everybody, and made without deleting. */
#include "test/capability/device.h"

enum { entries = 1500, cap = 1000 };

static void append(dunlin_doc *doc, dunlin_obj log, int64_t first) {
  OK(dunlin_begin(doc));
  for (int i = 0; i < entries; i++) {
    OK(dunlin_list_insert(doc, log, dunlin_list_size(doc, log), dunlin_int(first + i)));
  }
  assert_int_equal(dunlin_commit(doc, 0, NULL), 1);
}

static void both_see_the_same_newest(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  dunlin_obj in_a = child(a, "log", DUNLIN_LIST), in_b = child(b, "log", DUNLIN_LIST);
  (void)state;
  append(a, in_a, 0);
  append(b, in_b, entries);
  test_sync(a, b);
  size_t size = dunlin_list_size(a, in_a), from = dunlin_list_tail(a, in_a, cap);
  assert_int_equal(size, 2 * entries);
  assert_int_equal(from, size - cap);
  for (size_t i = from; i < size; i++) {
    struct dunlin_value x, y;
    OK(dunlin_list_get(a, in_a, i, &x));
    OK(dunlin_list_get(b, in_b, i, &y));
    assert_int(x, y.as.integer);
    /* Nobody's older entry stands in the window when a newer one of the same writer does not. */
    if (i > from) {
      OK(dunlin_list_get(a, in_a, i - 1, &y));
      if (x.as.integer / entries == y.as.integer / entries) assert_int_equal(x.as.integer, y.as.integer + 1);
    }
  }
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void a_long_log_takes_no_more_memory_than_its_window(void **state) {
  (void)state;
  print_message("nothing lets go of what is before the window: a document keeps its whole history and all of a list\n");
  skip();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_see_the_same_newest),
      cmocka_unit_test(a_long_log_takes_no_more_memory_than_its_window),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
