/* Undo three steps and go on: the old line is still there as a branch, can be read and written on, and both can be
 * merged; also after the document was stored and opened again. */
#include <dunlin/history.h>
#include <dunlin/undo.h>

#include "test/support/support.h"

enum { heads_max = 8 };

static dunlin_obj child(dunlin_doc *doc, const char *key, enum dunlin_kind kind) {
  return dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key(key), kind);
}
static dunlin_obj text_of(const dunlin_doc *doc) {
  struct dunlin_value value;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("t"), &value));
  return value.as.obj;
}
static void add(dunlin_doc *doc, const char *word) {
  OK(dunlin_begin(doc));
  dunlin_obj text = child(doc, "t", DUNLIN_TEXT);
  OK(dunlin_text_splice(doc, text, dunlin_text_size(doc, text), 0, word, strlen(word)));
  OK(dunlin_commit(doc, 0, NULL));
}
static size_t version(const dunlin_doc *doc, struct dunlin_id *heads) {
  size_t count;
  const struct dunlin_id *now = dunlin_doc_heads(doc, &count);
  assert_true(count <= heads_max);
  memcpy(heads, now, count * sizeof *now);
  return count;
}
static dunlin_doc *branch(dunlin_doc *doc, const char *name, uint8_t author) {
  struct dunlin_id heads[heads_max];
  struct dunlin_value map;
  struct dunlin_actor actor = {{author}};
  dunlin_doc *fork = NULL;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("branches"), &map));
  int count = dunlin_version_get(doc, map.as.obj, dunlin_key(name), heads, heads_max);
  OK(count);
  OK(dunlin_doc_fork(doc, heads, (size_t)count, &actor, &fork));
  return fork;
}

static void the_old_line_is_a_branch(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1), *again = NULL;
  dunlin_undo *undo = NULL;
  struct dunlin_actor actor = {{2}};
  struct dunlin_id heads[heads_max];
  void *bytes = NULL;
  size_t len, count;
  add(doc, "start");
  OK(dunlin_undo_new(doc, 100, &undo));
  add(doc, " one");
  add(doc, " two");
  add(doc, " three");
  count = version(doc, heads);
  for (int i = 0; i < 3; i++) assert_int_equal(dunlin_undo_back(undo, 0, NULL), 1);
  assert_text(doc, text_of(doc), "start");
  add(doc, " new"); /* what was undone cannot be redone any more */
  assert_int_equal(dunlin_undo_forth(undo, 0, NULL), 0);
  OK(dunlin_begin(doc));
  OK(dunlin_version_put(doc, child(doc, "branches", DUNLIN_MAP), dunlin_key("old"), heads, count, true));
  OK(dunlin_commit(doc, 0, NULL));
  dunlin_undo_free(undo);
  OK(dunlin_doc_save(doc, &bytes, &len));
  OK(dunlin_doc_load(NULL, bytes, len, &actor, &again));
  dunlin_free(NULL, bytes, len);
  dunlin_doc *old = branch(again, "old", 3);
  assert_text(old, text_of(old), "start one two three");
  OK(dunlin_begin(old));
  OK(dunlin_text_splice(old, text_of(old), 0, 5, "Begin", 5));
  OK(dunlin_commit(old, 0, NULL));
  OK(dunlin_doc_merge(again, old, NULL));
  assert_text(again, text_of(again), "Begin new");
  dunlin_doc *kept = branch(again, "old", 4);
  assert_text(kept, text_of(kept), "start one two three");
  dunlin_doc_free(doc);
  dunlin_doc_free(again);
  dunlin_doc_free(old);
  dunlin_doc_free(kept);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_old_line_is_a_branch)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
