/* C17: a partial update of a record keeps the other fields, also those that somebody else updates meanwhile. */
#include "test/support/plain.h"

/* Merges the notation into "profile", and gives the number of operations. */
static size_t patch(dunlin_doc *doc, const char *notation) {
  struct buf partial = plain_of(notation);
  struct dunlin_id id;
  struct dunlin_change_info info;
  OK(dunlin_begin(doc));
  dunlin_obj map = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("profile"), DUNLIN_MAP);
  OK(dunlin_map_merge(doc, map, buf_bytes(&partial)));
  buf_free(&partial);
  int rc = dunlin_commit(doc, 0, &id);
  OK(rc);
  if (!rc) return 0;
  OK(dunlin_doc_find_change(doc, &id, &info));
  return info.operations;
}

static void both_patches_are_kept(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  patch(a, "{'email': 'old', 'bio': 'old', 'age': 30, 'address': {'city': 'Bern', 'zip': '3000'}, 'tags': ['x']}");
  test_sync(a, b);
  patch(a, "{'email': 'new', 'address': {'city': 'Basel'}}");
  patch(b, "{'bio': 'new', 'address': {'zip': '4000'}, 'tags': ['x', 'y']}");
  test_sync(a, b);
  assert_same_doc(a, b);
  assert_reads(a, DUNLIN_ROOT,
               "{'profile': {'email': 'new', 'bio': 'new', 'age': 30, 'address': {'city': 'Basel', 'zip': '4000'}, "
               "'tags': ['x', 'y']}}");
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void only_keys_that_differ_are_written(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  size_t heads;
  patch(doc, "{'a': 1, 'b': {'c': 2, 'd': [1, 2, 3]}, 'e': 'f', 'n': null}");
  struct dunlin_id before = *dunlin_doc_heads(doc, &heads);
  assert_int_equal(patch(doc, "{'a': 1, 'b': {'c': 2, 'd': [1, 2, 3]}, 'e': 'f', 'n': null}"), 0);
  assert_int_equal(patch(doc, "{'b': {}}"), 0);
  assert_int_equal(patch(doc, "{}"), 0);
  assert_memory_equal(&before, dunlin_doc_heads(doc, &heads), sizeof before);
  assert_int_equal(patch(doc, "{'a': 1, 'b': {'c': 3}}"), 1);
  assert_int_equal(patch(doc, "{'b': {'d': [1, 2, 4, 3]}}"), 1);
  assert_int_equal(patch(doc, "{'a': 1.0}"), 1); /* not the same as 1 */
  assert_reads(doc, DUNLIN_ROOT, "{'profile': {'a': 1.0, 'b': {'c': 3, 'd': [1, 2, 4, 3]}, 'e': 'f', 'n': null}}");
  dunlin_doc_free(doc);
}

/* Nil is a value; maps take the place of what is no map; in lists everything counts. */
static void what_is_named_is_what_shows(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  patch(doc, "{'a': 1, 'b': 2, 'l': [{'x': 1, 'y': 2}], 'm': {'x': 1}}");
  patch(doc, "{'a': null, 'b': {'c': 1}, 'l': [{'x': 1}], 'm': 'text', 'new': {'k': []}}");
  assert_reads(doc, DUNLIN_ROOT,
               "{'profile': {'a': null, 'b': {'c': 1}, 'l': [{'x': 1}], 'm': 'text', 'new': {'k': []}}}");
  dunlin_doc_free(doc);
}

static void what_is_no_map_is_refused(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  struct buf list = plain_of("[1]"), map = plain_of("{'a': 1}");
  OK(dunlin_begin(doc));
  FAILS(dunlin_map_merge(doc, DUNLIN_ROOT, buf_bytes(&list)), DUNLIN_EKIND);
  FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_EKIND);
  OK(dunlin_begin(doc));
  dunlin_obj text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  FAILS(dunlin_map_merge(doc, text, buf_bytes(&map)), DUNLIN_EKIND);
  FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_EKIND);
  assert_reads(doc, DUNLIN_ROOT, "{}");
  buf_free(&list);
  buf_free(&map);
  dunlin_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_patches_are_kept),
      cmocka_unit_test(only_keys_that_differ_are_written),
      cmocka_unit_test(what_is_named_is_what_shows),
      cmocka_unit_test(what_is_no_map_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
