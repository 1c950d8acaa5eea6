/* C27: a merge of three plain values, as a table of what both sides may have done; each row with the sides swapped too,
 * and with the operations done to a document that holds the local value. */
#include "test/support/plain.h"

/* One conflict at most is expected, at `path`. */
struct row {
  const char *name, *base, *local, *remote, *merged, *path;
};

static const struct row table[] = {
    {"nothing changes", "{'a': 1}", "{'a': 1}", "{'a': 1}", "{'a': 1}", NULL},
    {"one side edits", "{'a': 1, 'b': 1}", "{'a': 2, 'b': 1}", "{'a': 1, 'b': 1}", "{'a': 2, 'b': 1}", NULL},
    {"both edit, different keys", "{'a': 1, 'b': 1}", "{'a': 2, 'b': 1}", "{'a': 1, 'b': 2}", "{'a': 2, 'b': 2}", NULL},
    {"edit and the same edit", "{'a': 1}", "{'a': 2}", "{'a': 2}", "{'a': 2}", NULL},
    {"edit and edit", "{'a': 1}", "{'a': 2}", "{'a': 3}", "{'a': 3}", "/a"},
    {"edit and delete", "{'a': 1}", "{'a': 2}", "{}", "{'a': 2}", "/a"},
    {"edit inside and delete", "{'a': {'b': 1, 'c': 1}}", "{'a': {'b': 2, 'c': 1}}", "{}", "{'a': {'b': 2, 'c': 1}}",
     "/a"},
    {"delete and keep", "{'a': 1}", "{}", "{'a': 1}", "{}", NULL},
    {"delete and delete", "{'a': 1}", "{}", "{}", "{}", NULL},
    {"add and add", "{}", "{'a': 1}", "{'a': 2}", "{'a': 2}", "/a"},
    {"add and the same", "{}", "{'a': [1]}", "{'a': [1]}", "{'a': [1]}", NULL},
    {"add and add of maps", "{}", "{'a': {'x': 1}}", "{'a': {'y': 2}}", "{'a': {'x': 1, 'y': 2}}", NULL},
    {"add and add of lists", "{}", "{'a': [1]}", "{'a': [1, 2]}", "{'a': [1, 2]}", "/a"},
    {"edits of two kinds", "{'a': 1}", "{'a': [1]}", "{'a': 'x'}", "{'a': 'x'}", "/a"},
    {"missing is not null", "{'a': null}", "{}", "{'a': 0}", "{'a': 0}", "/a"},
    {"both at the end of a list", "[1]", "[1, 2]", "[1, 3]", "[1, 2, 3]", NULL},
    {"both at the beginning", "[1]", "[3, 1]", "[2, 1]", "[2, 3, 1]", NULL},
    {"one at each end", "[1]", "[0, 1]", "[1, 2]", "[0, 1, 2]", NULL},
    {"the same at the end", "[1]", "[1, 2]", "[1, 2, 3]", "[1, 2, 3]", NULL},
    {"one appends, one empties", "[1, 2]", "[1, 2, 3]", "[]", "[3]", NULL},
    {"different elements", "[1, 2, 3]", "[9, 2, 3]", "[1, 2, 8]", "[9, 2, 8]", NULL},
    {"the same element", "[1, 2, 3]", "[1, 8, 3]", "[1, 9, 3]", "[1, 9, 3]", "/1"},
    {"an element edited and taken out", "[1, 2, 3]", "[1, 8, 3]", "[1, 3]", "[1, 8, 3]", "/1"},
    {"records in a list", "[{'id': 1, 'n': 1}, {'id': 2, 'n': 1}]", "[{'id': 2, 'n': 2}]",
     "[{'id': 0}, {'id': 1, 'n': 1}, {'id': 2, 'n': 1, 'm': 1}]", "[{'id': 0}, {'id': 2, 'm': 1, 'n': 2}]", NULL},
    {"a record in a list", "[{'a': 1, 'b': 1}]", "[{'a': 2, 'b': 1}]", "[0, {'a': 1, 'b': 2}]", "[0, {'a': 2, 'b': 2}]",
     NULL},
    {"what looks alike is the same", "[1]", "['x', 2]", "[5]", "['x', 5]", "/1"},
    {"far inside", "{'a': [0, {'b': 1}]}", "{'a': [0, {'b': 2}]}", "{'a': [{'b': 3}]}", "{'a': [{'b': 3}]}", "/a/0/b"},
    {"whole values", "1", "2", "'x'", "'x'", ""},
    {"keys that need care", "{'~/': 1}", "{'~/': 2}", "{'~/': 3}", "{'~/': 3}", "/~0~1"},
};

static void check_row(const struct row *row, bool swapped) {
  struct buf base = plain_of(row->base), local = plain_of(swapped ? row->remote : row->local),
             remote = plain_of(swapped ? row->local : row->remote);
  struct dunlin_merge *merge = NULL;
  dunlin_doc *doc = test_doc(1);
  print_message("%s%s\n", row->name, swapped ? ", swapped" : "");
  OK(dunlin_merge3(NULL, buf_bytes(&base), buf_bytes(&local), buf_bytes(&remote), &merge));
  assert_plain(merge->value, row->merged);
  assert_int_equal(merge->conflict_count, row->path ? 1 : 0);
  if (row->path) {
    struct dunlin_bytes path = merge->conflicts[0].path;
    assert_int_equal(path.len, strlen(row->path));
    assert_memory_equal(path.data, row->path, path.len);
  }
  apply_ops(doc, buf_bytes(&local), merge);
  dunlin_doc_free(doc);
  dunlin_merge_free(merge);
  buf_free(&base);
  buf_free(&local);
  buf_free(&remote);
}

static void the_table_holds_both_ways(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    check_row(&table[i], false);
    check_row(&table[i], true);
  }
}

/* How an application uses it: what its back end has now is merged with what the document shows, which others edit at
 * the same time. */
static void a_document_takes_a_merge_in(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct buf base = plain_of("{'title': 'plan', 'items': ['x', 'y'], 'done': false}"),
             remote = plain_of("{'title': 'the plan', 'items': ['w', 'x'], 'done': false}");
  struct dunlin_merge *merge = NULL;
  void *local = NULL;
  size_t len = 0;
  OK(dunlin_begin(a));
  OK(dunlin_map_merge(a, DUNLIN_ROOT, buf_bytes(&base)));
  OK(dunlin_commit(a, 0, NULL));
  test_sync(a, b);
  struct dunlin_path_op edit = {DUNLIN_OP_SET, dunlin_key("/done"), {"\xc3", 1}, 0}; /* true */
  OK(dunlin_begin(a));
  OK(dunlin_path_apply(a, DUNLIN_ROOT, &edit));
  OK(dunlin_commit(a, 0, NULL));
  OK(dunlin_read_plain(a, DUNLIN_ROOT, &local, &len));
  OK(dunlin_merge3(NULL, buf_bytes(&base), (struct dunlin_bytes){local, len}, buf_bytes(&remote), &merge));
  OK(dunlin_begin(a));
  OK(dunlin_path_apply_all(a, DUNLIN_ROOT, merge->ops, merge->op_count));
  OK(dunlin_commit(a, 0, NULL));
  dunlin_merge_free(merge);
  dunlin_free(NULL, local, len);
  struct dunlin_path_op other = {DUNLIN_OP_INSERT, dunlin_key("/items"), {"\xa1z", 2}, 2};
  OK(dunlin_begin(b));
  OK(dunlin_path_apply(b, DUNLIN_ROOT, &other));
  OK(dunlin_commit(b, 0, NULL));
  test_sync(a, b);
  assert_same_doc(a, b);
  assert_reads(a, DUNLIN_ROOT, "{'title': 'the plan', 'items': ['w', 'x', 'z'], 'done': true}");
  buf_free(&base);
  buf_free(&remote);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_table_holds_both_ways),
      cmocka_unit_test(a_document_takes_a_merge_in),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
