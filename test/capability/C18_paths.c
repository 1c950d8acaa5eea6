/* C18: operations by path, of each kind, at places of each kind; a path that leads nowhere is DUNLIN_EPATH and changes
 * nothing. */
#include "test/support/plain.h"

static const char start[] =
    "{'a': {'b': {'c': 1}}, 'l': [1, [2, 3], {'k': 'v', 'm': [4]}], '': 0, 'x/y': 1, 'm~n': {'~1': 2}, 's': 'scalar'}";

static void write_start(dunlin_doc *doc) {
  struct buf value = plain_of(start);
  OK(dunlin_map_merge(doc, DUNLIN_ROOT, buf_bytes(&value)));
  buf_free(&value);
}

struct row {
  enum dunlin_op_kind kind;
  const char *path, *value; /* NULL: none */
  size_t index;
  const char *at, *expected; /* what then reads as what; NULL: nothing is there */
};

static const struct row good[] = {
    {DUNLIN_OP_SET, "/new", "1", 0, "/new", "1"},
    {DUNLIN_OP_SET, "/s", "{'t': [1]}", 0, "/s", "{'t': [1]}"},
    {DUNLIN_OP_SET, "/a/b/c", "2", 0, "/a", "{'b': {'c': 2}}"},
    {DUNLIN_OP_SET, "/a/b", "{'d': 1}", 0, "/a", "{'b': {'d': 1}}"},
    {DUNLIN_OP_SET, "/a/n1/n2/n3", "true", 0, "/a", "{'b': {'c': 1}, 'n1': {'n2': {'n3': true}}}"},
    {DUNLIN_OP_SET, "/l/0", "'x'", 0, "/l", "['x', [2, 3], {'k': 'v', 'm': [4]}]"},
    {DUNLIN_OP_SET, "/l/1/1", "[]", 0, "/l/1", "[2, []]"},
    {DUNLIN_OP_SET, "/l/2/n/o", "5", 0, "/l/2", "{'k': 'v', 'm': [4], 'n': {'o': 5}}"},
    {DUNLIN_OP_SET, "/l/2/m/-", "5", 0, "/l/2/m", "[4, 5]"},
    {DUNLIN_OP_SET, "/", "7", 0, "/", "7"}, /* the empty key */
    {DUNLIN_OP_SET, "/x~1y", "2", 0, "/x~1y", "2"},
    {DUNLIN_OP_SET, "/m~0n/~01", "3", 0, "/m~0n", "{'~1': 3}"},
    {DUNLIN_OP_SET, "", "{'all': 1}", 0, "", "{'all': 1}"},
    {DUNLIN_OP_SET, "/-", "1", 0, "/-", "1"}, /* of a map it is a key */
    {DUNLIN_OP_MERGE, "/a", "{'e': 1}", 0, "/a", "{'b': {'c': 1}, 'e': 1}"},
    {DUNLIN_OP_MERGE, "/a/b", "{'c': 2, 'd': {}}", 0, "/a", "{'b': {'c': 2, 'd': {}}}"},
    {DUNLIN_OP_MERGE, "/l/2", "{'k': 'w'}", 0, "/l/2", "{'k': 'w', 'm': [4]}"},
    {DUNLIN_OP_MERGE, "/p/q", "{'r': 1}", 0, "/p", "{'q': {'r': 1}}"},
    {DUNLIN_OP_MERGE, "/s", "{'t': 1}", 0, "/s", "{'t': 1}"},
    {DUNLIN_OP_MERGE, "/s", "null", 0, "/s", "null"},
    {DUNLIN_OP_MERGE, "/l/-", "{'z': 1}", 0, "/l/3", "{'z': 1}"},
    {DUNLIN_OP_MERGE, "/m~0n", "{}", 0, "/m~0n", "{'~1': 2}"},
    {DUNLIN_OP_INSERT, "/l", "0", 0, "/l", "[0, 1, [2, 3], {'k': 'v', 'm': [4]}]"},
    {DUNLIN_OP_INSERT, "/l", "{'a': []}", 3, "/l/3", "{'a': []}"},
    {DUNLIN_OP_INSERT, "/l/1", "[9]", 1, "/l/1", "[2, [9], 3]"},
    {DUNLIN_OP_INSERT, "/l/2/m", "'e'", 1, "/l/2/m", "[4, 'e']"},
    {DUNLIN_OP_REMOVE, "/l", NULL, 0, "/l", "[[2, 3], {'k': 'v', 'm': [4]}]"},
    {DUNLIN_OP_REMOVE, "/l", NULL, 2, "/l", "[1, [2, 3]]"},
    {DUNLIN_OP_REMOVE, "/l/1", NULL, 1, "/l/1", "[2]"},
    {DUNLIN_OP_REMOVE, "/l/2/m", NULL, 0, "/l/2/m", "[]"},
    {DUNLIN_OP_DELETE, "/a/b/c", NULL, 0, "/a", "{'b': {}}"},
    {DUNLIN_OP_DELETE, "/a", NULL, 0, "/a", NULL},
    {DUNLIN_OP_DELETE, "/l/1/0", NULL, 0, "/l/1", "[3]"},
    {DUNLIN_OP_DELETE, "/x~1y", NULL, 0, "/x~1y", NULL},
    {DUNLIN_OP_DELETE, "/", NULL, 0, "/", NULL},
};

/* What a path leads to, as a plain value; DUNLIN_EPATH. */
static int read_at(const dunlin_doc *doc, const char *path, struct buf *out) {
  struct dunlin_value value;
  int error = dunlin_path_get(doc, DUNLIN_ROOT, dunlin_key(path), &value);
  if (error) return error;
  buf_init(out, dunlin_env_default(), SIZE_MAX);
  plain_of_value(doc, &value, out);
  return out->error;
}

static int apply(dunlin_doc *doc, const struct row *row) {
  struct buf value = plain_of(row->value ? row->value : "null");
  struct dunlin_path_op op = {row->kind, dunlin_key(row->path), {NULL, 0}, row->index};
  if (row->value) op.value = buf_bytes(&value);
  int error = dunlin_path_apply(doc, DUNLIN_ROOT, &op);
  buf_free(&value);
  return error;
}

static void every_kind_at_every_place(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    dunlin_doc *doc = test_doc(1), *other = test_doc(2);
    struct buf got;
    OK(dunlin_begin(doc));
    write_start(doc);
    OK(dunlin_commit(doc, 0, NULL));
    OK(dunlin_begin(doc));
    if (apply(doc, &good[i])) fail_msg("row %zu, %s", i, good[i].path);
    OK(dunlin_commit(doc, 0, NULL));
    int error = read_at(doc, good[i].at, &got);
    if (good[i].expected) {
      if (error) fail_msg("row %zu, %s", i, good[i].path);
      assert_plain(buf_bytes(&got), good[i].expected);
      buf_free(&got);
    } else {
      assert_int_equal(error, DUNLIN_EPATH);
    }
    test_sync(doc, other);
    assert_same_doc(doc, other);
    dunlin_doc_free(doc);
    dunlin_doc_free(other);
  }
}

static const struct {
  struct row row;
  int error;
} bad[] = {
    {{DUNLIN_OP_SET, "a", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_SET, "/a/~2", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_SET, "/a/~", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_SET, "/s/t", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_SET, "/a/b/c/d", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_SET, "/l/3", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_SET, "/l/01", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_SET, "/l/+1", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_SET, "/l/18446744073709551616", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_SET, "/l/", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_SET, "/l/-/x", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_SET, "/new/\xff", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_SET, "/\xff", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_SET, "/new/x/~3", "1", 0}, DUNLIN_EPATH}, /* makes no new map before it sees that */
    {{DUNLIN_OP_SET, "", "1", 0}, DUNLIN_EKIND},
    {{DUNLIN_OP_SET, "/new", NULL, 0}, DUNLIN_EFORMAT},
    {{DUNLIN_OP_MERGE, "/s/t", "{}", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_MERGE, "/l/9/x", "{}", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_INSERT, "/nowhere", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_INSERT, "/a", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_INSERT, "/l/-", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_INSERT, "", "1", 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_INSERT, "/l", "1", 4}, DUNLIN_ERANGE},
    {{DUNLIN_OP_REMOVE, "/nowhere", NULL, 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_REMOVE, "/s", NULL, 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_REMOVE, "/l", NULL, 3}, DUNLIN_ERANGE},
    {{DUNLIN_OP_REMOVE, "/l", NULL, SIZE_MAX}, DUNLIN_ERANGE},
    {{DUNLIN_OP_DELETE, "/nowhere", NULL, 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_DELETE, "/a/x", NULL, 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_DELETE, "/l/3", NULL, 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_DELETE, "/l/-", NULL, 0}, DUNLIN_EPATH},
    {{DUNLIN_OP_DELETE, "", NULL, 0}, DUNLIN_EPATH},
    {{(enum dunlin_op_kind)9, "/a", NULL, 0}, DUNLIN_EINVAL},
};

/* Nothing is written, and the transaction cannot be committed any more. */
static void a_bad_path_changes_nothing(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    dunlin_doc *doc = test_doc(1);
    struct dunlin_id before, after;
    OK(dunlin_begin(doc));
    write_start(doc);
    OK(dunlin_commit(doc, 0, NULL));
    OK(dunlin_doc_hash(doc, &before));
    OK(dunlin_begin(doc));
    int error = apply(doc, &bad[i].row);
    if (error != bad[i].error) fail_msg("row %zu, %s: %s", i, bad[i].row.path, dunlin_error_name(error));
    assert_reads(doc, DUNLIN_ROOT, start); /* in the transaction already */
    FAILS(dunlin_commit(doc, 0, NULL), bad[i].error);
    OK(dunlin_doc_hash(doc, &after));
    assert_memory_equal(&before, &after, sizeof before);
    dunlin_doc_free(doc);
  }
}

/* Several in order, from another container than the root; a key with NUL; one with 1024 bytes and one more. */
static void paths_count_from_any_container(void **state) {
  (void)state;
  static char longest[DUNLIN_MAX_KEY + 2];
  dunlin_doc *doc = test_doc(1);
  struct buf one = plain_of("1");
  struct dunlin_value value;
  memset(longest, 'k', sizeof longest);
  longest[0] = '/';
  const struct dunlin_path_op ops[] = {{DUNLIN_OP_INSERT, {"", 0}, buf_bytes(&one), 0},
                                       {DUNLIN_OP_INSERT, {"/3", 2}, buf_bytes(&one), 0},
                                       {DUNLIN_OP_SET, {"/3/5/a\0b", 7}, buf_bytes(&one), 0},
                                       {DUNLIN_OP_SET, {longest, DUNLIN_MAX_KEY + 1}, buf_bytes(&one), 0},
                                       {DUNLIN_OP_SET, {longest, DUNLIN_MAX_KEY + 2}, buf_bytes(&one), 0}};
  OK(dunlin_begin(doc));
  dunlin_obj list = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("list"), DUNLIN_LIST);
  for (size_t i = 0; i < 2; i++) OK(dunlin_list_insert(doc, list, i, int_value((int64_t)i)));
  dunlin_obj inner = dunlin_list_insert_child(doc, list, 2, DUNLIN_LIST);
  for (size_t i = 0; i < 5; i++) dunlin_list_insert_child(doc, inner, i, DUNLIN_MAP);
  OK(dunlin_path_apply_all(doc, list, ops, 3));
  OK(dunlin_path_get(doc, list, ops[2].path, &value));
  assert_int_equal(value.as.integer, 1);
  OK(dunlin_path_apply(doc, DUNLIN_ROOT, &ops[3]));
  OK(dunlin_path_get(doc, DUNLIN_ROOT, ops[3].path, &value));
  FAILS(dunlin_path_get(doc, DUNLIN_ROOT, ops[4].path, &value), DUNLIN_EPATH);
  FAILS(dunlin_path_apply(doc, DUNLIN_ROOT, &ops[4]), DUNLIN_EPATH);
  dunlin_abort(doc);
  buf_free(&one);
  dunlin_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_kind_at_every_place),
      cmocka_unit_test(a_bad_path_changes_nothing),
      cmocka_unit_test(paths_count_from_any_container),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
