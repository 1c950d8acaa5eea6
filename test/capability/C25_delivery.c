/* Every delta three times, the last first: the same document, and nothing that still waits. */
#include "test/capability/device.h"

enum { deltas = 200 };

static void three_times_and_backwards(void **state) {
  static void *delta[deltas];
  static size_t len[deltas];
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  size_t applied = 0, duplicates = 0;
  (void)state;
  for (int i = 0; i < deltas; i++) {
    size_t count;
    const struct dunlin_id *heads = dunlin_doc_heads(a, &count);
    struct dunlin_id before = count ? heads[0] : test_id(0);
    dunlin_obj text = child(a, "text", DUNLIN_TEXT);
    OK(dunlin_begin(a));
    OK(dunlin_text_splice(a, text, (size_t)i / 2, 0, "x", 1));
    OK(dunlin_map_put(a, DUNLIN_ROOT, dunlin_key("n"), dunlin_int(i)));
    OK(dunlin_commit(a, 0, NULL));
    OK(dunlin_doc_delta(a, &before, count, &delta[i], &len[i]));
  }
  for (int i = deltas; i-- > 0;) {
    for (int time = 0; time < 3; time++) {
      struct dunlin_applied result;
      OK(dunlin_doc_apply(b, delta[i], len[i], &result));
      assert_int_equal(result.refused + result.left_out, 0);
      applied += result.applied;
      duplicates += result.duplicates;
      if (i > 0) assert_int_equal(dunlin_doc_changes(b), 0);
    }
  }
  assert_int_equal(applied, dunlin_doc_changes(a));
  assert_true(duplicates > 0);
  assert_int_equal(dunlin_doc_pending(b), 0);
  assert_same_doc(a, b);
  for (int i = 0; i < deltas; i++) dunlin_free(NULL, delta[i], len[i]);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(three_times_and_backwards)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
