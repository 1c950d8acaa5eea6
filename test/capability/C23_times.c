/* Every change has a time and a version; clocks that are an hour off change neither the order of cause and effect nor
 * the winner. */
#include <dunlin/history.h>

#include "test/capability/device.h"

static const int64_t hour = 3600000000, now = 1795000000123456;

/* They answer each other, a's clock an hour fast and b's an hour slow. */
static void clocks_that_are_off_change_no_order(void **state) {
  enum { writes = 20 };
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_change_info last = {.number = 0}, info;
  struct dunlin_value value;
  (void)state;
  for (int i = 0; i < writes; i++) {
    put_at(i % 2 ? b : a, "n", dunlin_int(i), now + i + (i % 2 ? -hour : hour));
    test_sync(a, b);
  }
  assert_int_equal(dunlin_doc_changes(a), writes);
  for (size_t i = 0; i < writes; i++) {
    enum dunlin_order order;
    OK(dunlin_doc_change_at(b, i, &info));
    assert_int_equal(info.time, now + (int64_t)i + (i % 2 ? -hour : hour)); /* to the microsecond */
    assert_int_equal(info.number, i / 2);
    assert_int_equal(info.lamport, i);
    if (i > 0) {
      OK(dunlin_version_order(b, &last.id, 1, &info.id, 1, &order));
      assert_int_equal(order, DUNLIN_BEFORE);
    }
    last = info;
  }
  OK(dunlin_map_get(a, DUNLIN_ROOT, dunlin_key("n"), &value));
  assert_int(value, writes - 1);
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(clocks_that_are_off_change_no_order)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
