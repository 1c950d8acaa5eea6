/* Several write one field at the same time: one value shows, the same for everybody, in whatever order they hear of
 * each other. */
#include "test/capability/device.h"

enum { actors = 3, orders = 6 };

static const uint8_t order[orders][actors] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

static void every_order_gives_one_winner(void **state) {
  dunlin_doc *writers[actors], *readers[orders];
  struct dunlin_value first, value;
  (void)state;
  for (uint8_t i = 0; i < actors; i++) {
    writers[i] = test_doc((uint8_t)(i + 1));
    put_at(writers[i], "tempo", dunlin_int(100 + i), 1000000); /* the same time, and the same lamport */
  }
  for (uint8_t o = 0; o < orders; o++) {
    readers[o] = test_doc((uint8_t)(o + 10));
    for (size_t i = 0; i < actors; i++) test_send(writers[order[o][i]], readers[o]);
    OK(dunlin_map_get(readers[o], DUNLIN_ROOT, dunlin_key("tempo"), &value));
    if (o == 0) first = value;
    assert_int(value, first.as.integer);
    assert_int_equal(siblings(readers[o], "tempo"), actors);
    assert_same_doc(readers[0], readers[o]);
  }
  for (size_t i = 0; i < actors; i++) dunlin_doc_free(writers[i]);
  for (size_t o = 0; o < orders; o++) dunlin_doc_free(readers[o]);
}

/* Who has seen the other's write wins over it, whatever the clocks say. */
static void the_last_write_wins(void **state) {
  dunlin_doc *a = test_doc(9), *b = test_doc(1);
  struct dunlin_value value;
  (void)state;
  put_at(a, "tempo", dunlin_int(90), 2000000);
  test_sync(a, b);
  put_at(b, "tempo", dunlin_int(80), 1000000); /* its clock is slow */
  test_sync(a, b);
  OK(dunlin_map_get(a, DUNLIN_ROOT, dunlin_key("tempo"), &value));
  assert_int(value, 80);
  assert_int_equal(siblings(a, "tempo"), 1);
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_order_gives_one_winner),
      cmocka_unit_test(the_last_write_wins),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
