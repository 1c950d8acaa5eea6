/* Versions under names: the older ones are thinned to those that matter, all that are left can be read, and what shows
 * stays. */
#include <dunlin/history.h>

#include "test/capability/device.h"

enum { edits = 1000, every = 100, recent = 25 };

static bool significant(int edit) {
  return edit % every == every / 2;
}

static void name_of(int edit, char name[16]) {
  snprintf(name, 16, "v%04d", edit);
}

static dunlin_doc *edited(void) {
  dunlin_doc *doc = test_doc(1);
  dunlin_obj past = child(doc, "past", DUNLIN_MAP);
  for (int i = 0; i < edits; i++) {
    char name[16];
    struct dunlin_id version;
    OK(dunlin_begin(doc));
    OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("n"), dunlin_int(i)));
    assert_int_equal(dunlin_commit(doc, 0, &version), 1);
    name_of(i, name);
    OK(dunlin_begin(doc));
    OK(dunlin_version_put(doc, past, dunlin_key(name), &version, 1, significant(i)));
    OK(dunlin_commit(doc, 0, NULL));
  }
  return doc;
}

static void assert_readable(const dunlin_doc *doc, dunlin_obj past, int edit) {
  char name[16];
  struct dunlin_id heads[2];
  struct dunlin_value value;
  dunlin_doc *then;
  name_of(edit, name);
  assert_int_equal(dunlin_version_get(doc, past, dunlin_key(name), heads, 2), 1);
  OK(dunlin_doc_fork(doc, heads, 1, NULL, &then));
  OK(dunlin_map_get(then, DUNLIN_ROOT, dunlin_key("n"), &value));
  assert_int(value, edit);
  dunlin_doc_free(then);
}

static void the_first_those_that_matter_and_the_last(void **state) {
  dunlin_doc *doc = edited(), *other = test_doc(2);
  dunlin_obj past = child(doc, "past", DUNLIN_MAP);
  struct dunlin_id heads[2];
  struct dunlin_value value;
  size_t kept = 0;
  (void)state;
  assert_int_equal(dunlin_map_size(doc, past), edits);
  OK(dunlin_begin(doc));
  OK(dunlin_version_thin(doc, past, recent));
  OK(dunlin_commit(doc, 0, NULL));
  for (int i = 0; i < edits; i++) {
    char name[16];
    name_of(i, name);
    if (i == 0 || significant(i) || i >= edits - recent) {
      assert_readable(doc, past, i);
      kept++;
    } else {
      FAILS(dunlin_version_get(doc, past, dunlin_key(name), heads, 2), DUNLIN_ENOENT);
    }
  }
  assert_int_equal(kept, 1 + edits / every + recent);
  assert_int_equal(dunlin_map_size(doc, past), kept);
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("n"), &value));
  assert_int(value, edits - 1);
  test_sync(doc, other);
  assert_same_doc(doc, other);
  assert_readable(other, child(other, "past", DUNLIN_MAP), every / 2);
  dunlin_doc_free(doc);
  dunlin_doc_free(other);
}

/* Names are in the document; with them in one of their own, thinning them does not touch what they name. */
static void thinning_leaves_the_document_as_it_is(void **state) {
  dunlin_doc *doc = test_doc(1), *names = test_doc(2);
  struct dunlin_id before, after, version;
  char name[16];
  (void)state;
  dunlin_obj past = child(names, "past", DUNLIN_MAP);
  for (int i = 0; i < 60; i++) {
    OK(dunlin_begin(doc));
    OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("n"), dunlin_int(i)));
    assert_int_equal(dunlin_commit(doc, 0, &version), 1);
    name_of(i, name);
    OK(dunlin_begin(names));
    OK(dunlin_version_put(names, past, dunlin_key(name), &version, 1, false));
    OK(dunlin_commit(names, 0, NULL));
  }
  OK(dunlin_doc_hash(doc, &before));
  OK(dunlin_begin(names));
  OK(dunlin_version_thin(names, past, recent));
  assert_int_equal(dunlin_commit(names, 0, NULL), 1);
  assert_int_equal(dunlin_map_size(names, past), 1 + recent);
  OK(dunlin_doc_hash(doc, &after));
  assert_memory_equal(&before, &after, sizeof before);
  dunlin_doc_free(doc);
  dunlin_doc_free(names);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_those_that_matter_and_the_last),
      cmocka_unit_test(thinning_leaves_the_document_as_it_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
