/* A writer whose version is no longer the current one is refused, and succeeds once it has taken the rest in. */
#include <dunlin/history.h>

#include "test/support/support.h"

struct version {
  struct dunlin_id heads[4];
  size_t count;
};

static struct version now(const dunlin_doc *doc) {
  struct version v;
  const struct dunlin_id *heads = dunlin_doc_heads(doc, &v.count);
  assert_true(v.count <= 4);
  memcpy(v.heads, heads, v.count * sizeof *heads);
  return v;
}

static int put_if(dunlin_doc *doc, const struct version *v, int64_t value) {
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("tempo"), int_value(value)));
  return dunlin_commit_if(doc, v->heads, v->count, 0, NULL);
}

static void a_stale_writer_is_refused(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_value v;
  struct version nothing = {.count = 0};
  assert_int_equal(put_if(a, &nothing, 1), 1);
  test_sync(a, b);
  struct version read = now(a);
  assert_int_equal(put_if(b, &read, 2), 1);
  test_sync(a, b);
  FAILS(put_if(a, &read, 3), DUNLIN_ECONFLICT);
  OK(dunlin_map_get(a, DUNLIN_ROOT, dunlin_key("tempo"), &v));
  assert_int_equal(v.as.integer, 2);
  FAILS(put_if(a, &nothing, 3), DUNLIN_ECONFLICT);
  read = now(a);
  assert_int_equal(put_if(a, &read, 3), 1);
  OK(dunlin_map_get(a, DUNLIN_ROOT, dunlin_key("tempo"), &v));
  assert_int_equal(v.as.integer, 3);
  FAILS(dunlin_commit_if(a, NULL, 0, 0, NULL), DUNLIN_ESTATE);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void the_meeting_of_several_is_a_version(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct version one = now(a);
  assert_int_equal(put_if(a, &one, 1), 1);
  one = now(a);
  struct version nothing = {.count = 0};
  assert_int_equal(put_if(b, &nothing, 2), 1);
  test_sync(a, b);
  struct version both = now(a);
  assert_int_equal(both.count, 2);
  FAILS(put_if(a, &one, 3), DUNLIN_ECONFLICT);
  assert_int_equal(put_if(a, &both, 3), 1);
  OK(dunlin_begin(a)); /* an error of the transaction comes first */
  dunlin_map_child(a, DUNLIN_ROOT, dunlin_key("x"), DUNLIN_INT);
  FAILS(dunlin_commit_if(a, one.heads, one.count, 0, NULL), DUNLIN_EINVAL);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stale_writer_is_refused),
      cmocka_unit_test(the_meeting_of_several_is_a_version),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
