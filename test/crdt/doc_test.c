/* Documents: what each operation means, alone and against concurrent ones. */
#include "crdt/doc.h"
#include "test/crdt/scenario.h"

static void transaction_is_atomic(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  struct dunlin_id before, after;
  struct dunlin_value v;
  type(doc, 0, 0, "hello");
  put(doc, "n", 1);
  OK(dunlin_begin(doc));
  FAILS(dunlin_begin(doc), DUNLIN_ESTATE);
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("n"), int_value(2)));
  assert_int_equal(number_at(doc, DUNLIN_ROOT, "n"), 2); /* reads its own writes */
  dunlin_abort(doc);
  OK(dunlin_doc_hash(doc, &before));
  OK(dunlin_begin(doc));
  dunlin_obj list = child(doc, "list", DUNLIN_LIST), inner;
  OK(dunlin_list_insert(doc, list, 0, str_value("x")));
  inner = dunlin_list_insert_child(doc, list, 1, DUNLIN_MAP);
  OK(dunlin_map_put(doc, inner, dunlin_key("deep"), int_value(1)));
  OK(dunlin_list_move(doc, list, 0, 1));
  OK(dunlin_list_set(doc, list, 1, str_value("y")));
  OK(dunlin_text_splice(doc, at(doc, "t"), 1, 3, "XY", 2));
  OK(dunlin_counter_add(doc, child(doc, "c", DUNLIN_COUNTER), 7));
  OK(dunlin_map_delete(doc, DUNLIN_ROOT, dunlin_key("n")));
  FAILS(dunlin_text_splice(doc, at(doc, "t"), 99, 0, "z", 1), DUNLIN_ERANGE);
  FAILS(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("q"), int_value(1)), DUNLIN_ERANGE); /* the first error sticks */
  FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_ERANGE);
  OK(dunlin_doc_hash(doc, &after));
  assert_memory_equal(&before, &after, sizeof before);
  assert_text(doc, at(doc, "t"), "hello");
  FAILS(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("list"), &v), DUNLIN_ENOENT);
  assert_int_equal(dunlin_doc_changes(doc), 2);
  FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_ESTATE);
  dunlin_doc_free(doc);
}

static void nothing_to_commit(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  put(doc, "n", 1);
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("n"), int_value(1)));
  OK(dunlin_map_delete(doc, DUNLIN_ROOT, dunlin_key("absent")));
  assert_int_equal(dunlin_commit(doc, 0, NULL), 0);
  assert_int_equal(dunlin_doc_changes(doc), 1);
  dunlin_doc_free(doc);
}

/* What is borrowed from a map may be written to that map, which makes room for it. */
static void a_borrowed_key_is_written_to_its_own_map(void **state) {
  (void)state;
  for (int what = 0; what < 3; what++) {
    dunlin_doc *doc = test_doc(1);
    struct dunlin_bytes key;
    struct dunlin_value value;
    put(doc, "abcdefghijk", 0);
    for (size_t len = 1; len < 11; len++) { /* until the map has grown a few times */
      OK(dunlin_map_at(doc, DUNLIN_ROOT, dunlin_map_size(doc, DUNLIN_ROOT) - 1, &key, &value));
      assert_int_equal(key.len, 11);
      OK(dunlin_begin(doc));
      struct dunlin_bytes part = {key.data, len};
      if (what == 0) OK(dunlin_map_put(doc, DUNLIN_ROOT, part, int_value(1)));
      if (what == 1) assert_int_not_equal(dunlin_map_child(doc, DUNLIN_ROOT, part, DUNLIN_MAP).index, UINT32_MAX);
      char name[] = {(char)('A' + len), 0};
      if (what == 2) OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(name), dunlin_string_len(key.data, len)));
      commit(doc);
      if (what == 2) OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key(name), &value));
      else OK(dunlin_map_get(doc, DUNLIN_ROOT, (struct dunlin_bytes){"abcdefghijk", len}, &value));
      if (what == 2) assert_int_equal(value.as.string.len, len);
      if (what == 2) assert_memory_equal(value.as.string.data, "abcdefghijk", len);
    }
    dunlin_doc_free(doc);
  }
}

static void all_kinds_of_values(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  double negative_zero = -0.0;
  const struct dunlin_value values[] = {
      {.kind = DUNLIN_NULL},
      {.kind = DUNLIN_BOOL, .as.boolean = true},
      {.kind = DUNLIN_INT, .as.integer = INT64_MIN},
      {.kind = DUNLIN_INT, .as.integer = INT64_MAX},
      {.kind = DUNLIN_INT, .as.integer = 0},
      {.kind = DUNLIN_FLOAT, .as.real = negative_zero},
      {.kind = DUNLIN_STRING, .as.string = {"a\0b \xce\xa9", 6}},
      {.kind = DUNLIN_STRING, .as.string = {"", 0}},
      {.kind = DUNLIN_BYTES, .as.string = {"\xff\x00", 2}},
      {.kind = DUNLIN_TIME, .as.time = -1},
  };
  enum { count = sizeof values / sizeof *values };
  OK(dunlin_begin(a));
  dunlin_obj list = child(a, "l", DUNLIN_LIST);
  for (size_t i = 0; i < count; i++) OK(dunlin_list_insert(a, list, i, values[i]));
  OK(dunlin_map_put(a, DUNLIN_ROOT, (struct dunlin_bytes){"\0k", 2}, values[6]));
  commit(a);
  test_send(a, b);
  assert_same_doc(a, b);
  for (size_t i = 0; i < count; i++) {
    struct dunlin_value v;
    OK(dunlin_list_get(b, at(b, "l"), i, &v));
    assert_int_equal(v.kind, values[i].kind);
    if (v.kind == DUNLIN_STRING || v.kind == DUNLIN_BYTES) {
      assert_int_equal(v.as.string.len, values[i].as.string.len);
      assert_memory_equal(v.as.string.data, values[i].as.string.data, v.as.string.len);
    } else if (v.kind == DUNLIN_FLOAT) {
      assert_memory_equal(&v.as.real, &values[i].as.real, sizeof v.as.real);
    } else if (v.kind == DUNLIN_BOOL) {
      assert_true(v.as.boolean);
    } else if (v.kind != DUNLIN_NULL) {
      assert_true(v.as.integer == values[i].as.integer);
    }
  }
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void bad_arguments(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  char *large = calloc(1, DUNLIN_MAX_VALUE + 1);
  struct dunlin_value too_long = {.kind = DUNLIN_BYTES, .as.string = {large, DUNLIN_MAX_VALUE + 1}};
  struct dunlin_value long_enough = {.kind = DUNLIN_BYTES, .as.string = {large, DUNLIN_MAX_VALUE}};
  memset(large, 'k', DUNLIN_MAX_KEY + 1);
  struct {
    int got, expected;
  } results[16];
  size_t n = 0;
#define TRY(call, error)                                                                                               \
  OK(dunlin_begin(doc));                                                                                               \
  results[n].got = (call);                                                                                             \
  results[n++].expected = (error);                                                                                     \
  dunlin_abort(doc)
  TRY(dunlin_map_put(doc, DUNLIN_ROOT, (struct dunlin_bytes){"\xff", 1}, int_value(1)), DUNLIN_EUTF8);
  TRY(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("a"), str_value("\xc0\x80")), DUNLIN_EUTF8);
  TRY(dunlin_map_put(doc, DUNLIN_ROOT, (struct dunlin_bytes){large, DUNLIN_MAX_KEY + 1}, int_value(1)), DUNLIN_ELIMIT);
  TRY(dunlin_map_put(doc, DUNLIN_ROOT, (struct dunlin_bytes){large, DUNLIN_MAX_KEY}, int_value(1)), 0);
  TRY(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("a"), too_long), DUNLIN_ELIMIT);
  TRY(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("a"), long_enough), 0);
  TRY(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("a"), (struct dunlin_value){.kind = DUNLIN_MAP}), DUNLIN_EINVAL);
  TRY(dunlin_list_insert(doc, DUNLIN_ROOT, 0, int_value(1)), DUNLIN_EKIND);
  TRY(dunlin_list_insert(doc, child(doc, "l", DUNLIN_LIST), 1, int_value(1)), DUNLIN_ERANGE);
  TRY(dunlin_list_delete(doc, child(doc, "l", DUNLIN_LIST), 0, 1), DUNLIN_ERANGE);
  TRY(dunlin_list_move(doc, child(doc, "l", DUNLIN_LIST), 0, 0), DUNLIN_ERANGE);
  TRY(dunlin_text_splice(doc, child(doc, "t", DUNLIN_TEXT), 0, 1, "", 0), DUNLIN_ERANGE);
  TRY(dunlin_text_splice(doc, child(doc, "t", DUNLIN_TEXT), 0, 0, "\xed\xa0\x80", 3), DUNLIN_EUTF8);
  TRY(dunlin_map_touch(doc, DUNLIN_ROOT, dunlin_key("absent")), DUNLIN_ENOENT);
#undef TRY
  for (size_t i = 0; i < n; i++) assert_int_equal(results[i].got, results[i].expected);
  FAILS(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("a"), int_value(1)), DUNLIN_ESTATE);
  assert_int_equal(dunlin_doc_changes(doc), 0);
  free(large);
  dunlin_doc_free(doc);
}

static void depth(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  dunlin_obj obj = DUNLIN_ROOT;
  OK(dunlin_begin(doc));
  for (unsigned i = 1; i < DUNLIN_MAX_DEPTH; i++) obj = dunlin_map_child(doc, obj, dunlin_key("d"), DUNLIN_MAP);
  commit(doc);
  OK(dunlin_begin(doc));
  assert_int_equal(dunlin_map_child(doc, obj, dunlin_key("d"), DUNLIN_MAP).index, DUNLIN_NONE.index);
  FAILS(dunlin_txn_error(doc), DUNLIN_ELIMIT);
  FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_ELIMIT);
  dunlin_doc_free(doc);
}

static void conflict_is_kept_and_settled(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_value v;
  put(a, "k", 1);
  put(b, "k", 2);
  test_sync(a, b);
  assert_same_doc(a, b);
  OK(dunlin_map_conflict(a, DUNLIN_ROOT, dunlin_key("k"), 0, &v));
  assert_int_equal(v.as.integer, 2); /* equal lamports: the higher actor */
  OK(dunlin_map_conflict(a, DUNLIN_ROOT, dunlin_key("k"), 1, &v));
  assert_int_equal(v.as.integer, 1);
  FAILS(dunlin_map_conflict(a, DUNLIN_ROOT, dunlin_key("k"), 2, &v), DUNLIN_ENOENT);
  put(a, "k", 1);
  test_sync(a, b);
  assert_same_doc(a, b);
  FAILS(dunlin_map_conflict(b, DUNLIN_ROOT, dunlin_key("k"), 1, &v), DUNLIN_ENOENT);
  assert_int_equal(number_at(b, DUNLIN_ROOT, "k"), 1);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void same_child_made_apart_is_one(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_value v;
  dunlin_doc *docs[] = {a, b};
  for (int i = 0; i < 2; i++) {
    OK(dunlin_begin(docs[i]));
    OK(dunlin_map_put(docs[i], child(docs[i], "m", DUNLIN_MAP), dunlin_key(i ? "b" : "a"), int_value(i)));
    commit(docs[i]);
  }
  test_sync(a, b);
  assert_same_doc(a, b);
  assert_int_equal(dunlin_map_size(a, at(a, "m")), 2);
  FAILS(dunlin_map_conflict(a, DUNLIN_ROOT, dunlin_key("m"), 1, &v), DUNLIN_ENOENT);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void recreate_after_overwrite(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, child(doc, "c", DUNLIN_MAP), dunlin_key("x"), int_value(1)));
  commit(doc);
  put(doc, "c", 5);
  make(doc, "c", DUNLIN_MAP);
  assert_int_equal(dunlin_map_size(doc, at(doc, "c")), 0);
  dunlin_doc_free(doc);
}

static void delete_on_both_recreate_on_both(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_value v;
  make(a, "c", DUNLIN_MAP);
  test_sync(a, b);
  drop(a, "c");
  drop(b, "c");
  make(a, "c", DUNLIN_MAP);
  make(b, "c", DUNLIN_MAP);
  test_sync(a, b);
  assert_same_doc(a, b);
  FAILS(dunlin_map_conflict(a, DUNLIN_ROOT, dunlin_key("c"), 1, &v), DUNLIN_ENOENT);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void kinds_in_conflict(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_value v, w;
  make(a, "k", DUNLIN_MAP);
  make(b, "k", DUNLIN_LIST);
  test_sync(a, b);
  OK(dunlin_map_conflict(a, DUNLIN_ROOT, dunlin_key("k"), 0, &v));
  OK(dunlin_map_conflict(a, DUNLIN_ROOT, dunlin_key("k"), 1, &w));
  assert_int_equal(v.kind + w.kind, DUNLIN_MAP + DUNLIN_LIST);
  OK(dunlin_begin(a));
  OK(dunlin_list_insert(a, child(a, "k", DUNLIN_LIST), 0, int_value(1)));
  commit(a);
  test_sync(a, b);
  assert_same_doc(a, b);
  FAILS(dunlin_map_conflict(b, DUNLIN_ROOT, dunlin_key("k"), 1, &v), DUNLIN_ENOENT);
  assert_int_equal(dunlin_list_size(b, at(b, "k")), 1);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

/* A deletes the child while B edits inside; with and without B touching it. */
static void delete_against_edit(void **state) {
  (void)state;
  for (int touch = 0; touch < 2; touch++) {
    dunlin_doc *a = test_doc(1), *b = test_doc(2);
    struct dunlin_value v;
    OK(dunlin_begin(a));
    OK(dunlin_map_put(a, child(a, "c", DUNLIN_MAP), dunlin_key("old"), int_value(1)));
    commit(a);
    test_sync(a, b);
    drop(a, "c");
    OK(dunlin_begin(b));
    OK(dunlin_map_put(b, at(b, "c"), dunlin_key("new"), int_value(2)));
    if (touch) OK(dunlin_map_touch(b, DUNLIN_ROOT, dunlin_key("c")));
    commit(b);
    test_sync(a, b);
    assert_same_doc(a, b);
    if (touch) assert_int_equal(dunlin_map_size(a, at(a, "c")), 2); /* whole */
    else FAILS(dunlin_map_get(a, DUNLIN_ROOT, dunlin_key("c"), &v), DUNLIN_ENOENT);
    dunlin_doc_free(a);
    dunlin_doc_free(b);
  }
}

static void counter_and_delete(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_value v;
  int64_t n;
  OK(dunlin_begin(a));
  OK(dunlin_counter_add(a, child(a, "c", DUNLIN_COUNTER), 1));
  commit(a);
  test_sync(a, b);
  for (int i = 0; i < 2; i++) {
    dunlin_doc *doc = i ? b : a;
    OK(dunlin_begin(doc));
    OK(dunlin_counter_add(doc, at(doc, "c"), 1));
    commit(doc);
  }
  test_sync(a, b);
  OK(dunlin_counter_get(a, at(a, "c"), &n));
  assert_int_equal(n, 3);
  OK(dunlin_begin(a));
  OK(dunlin_counter_add(a, at(a, "c"), 5));
  commit(a);
  drop(b, "c");
  test_sync(a, b);
  assert_same_doc(a, b);
  FAILS(dunlin_map_get(a, DUNLIN_ROOT, dunlin_key("c"), &v),
        DUNLIN_ENOENT); /* the rule: a deletion beats what it has not seen */
  OK(dunlin_begin(a));
  OK(dunlin_counter_add(a, child(a, "c", DUNLIN_COUNTER), 2));
  commit(a);
  OK(dunlin_counter_get(a, at(a, "c"), &n));
  assert_int_equal(n, 2); /* a fresh one */
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

/* ---- Sequences ---------------------------------------------------------------------------------------------- */

static void runs(const char *of_a[], const char *of_b[], const size_t indexes[], size_t count, const char *one,
                 const char *other) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  char got[64];
  make(a, "t", DUNLIN_TEXT);
  test_sync(a, b);
  for (size_t i = 0; i < count; i++) {
    type(a, indexes[i], 0, of_a[i]);
    type(b, indexes[i], 0, of_b[i]);
  }
  test_sync(a, b);
  assert_same_doc(a, b);
  size_t len = dunlin_text_read(a, at(a, "t"), got, sizeof got - 1);
  got[len] = 0;
  assert_true(!strcmp(got, one) || !strcmp(got, other));
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void forward_runs(void **state) {
  (void)state;
  runs((const char *[]){"1", "2", "3"}, (const char *[]){"x", "y", "z"}, (size_t[]){0, 1, 2}, 3, "123xyz", "xyz123");
}

static void backward_runs(void **state) {
  (void)state;
  runs((const char *[]){"3", "2", "1"}, (const char *[]){"z", "y", "x"}, (size_t[]){0, 0, 0}, 3, "123xyz", "xyz123");
}

static void runs_with_tails(void **state) {
  (void)state;
  runs((const char *[]){"b", "a", "c"}, (const char *[]){"y", "x", "z"}, (size_t[]){0, 0, 2}, 3, "abcxyz", "xyzabc");
}

static void local_before_concurrent(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  char got[8] = "";
  type(a, 0, 0, "ac");
  test_sync(a, b);
  type(a, 1, 0, "d");
  type(b, 1, 0, "b");
  test_sync(a, b);
  assert_same_doc(a, b);
  assert_int_equal(dunlin_text_read(a, at(a, "t"), got, sizeof got), 4);
  assert_int_equal(got[0], 'a');
  assert_int_equal(got[3], 'c');
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static dunlin_doc *list_doc(uint8_t actor, const char *letters) {
  dunlin_doc *doc = test_doc(actor);
  make_list(doc, letters);
  return doc;
}

static void list_move(void **state) {
  (void)state;
  dunlin_doc *doc = list_doc(1, "abcd");
  move(doc, 0, 3);
  list_is(doc, "bcda");
  move(doc, 3, 1);
  list_is(doc, "bacd");
  move(doc, 1, 2);
  list_is(doc, "bcad");
  OK(dunlin_begin(doc));
  OK(dunlin_list_set(doc, at(doc, "l"), 2, str_value("A")));
  OK(dunlin_list_delete(doc, at(doc, "l"), 0, 2));
  commit(doc);
  list_is(doc, "Ad");
  dunlin_doc_free(doc);
}

static void element_moved_twice(void **state) {
  (void)state;
  dunlin_doc *a = list_doc(1, "abcd"), *b = test_doc(2);
  test_sync(a, b);
  move(a, 0, 3);
  move(b, 0, 1);
  test_sync(a, b);
  assert_same_doc(a, b);
  list_is(a, "bacd"); /* equal lamports: the higher actor's move */
  assert_int_equal(dunlin_list_size(b, at(b, "l")), 4);
  /* Deletion wins over a concurrent move and set. */
  move(a, 1, 3);
  OK(dunlin_begin(b));
  OK(dunlin_list_delete(b, at(b, "l"), 1, 1));
  commit(b);
  test_sync(a, b);
  assert_same_doc(a, b);
  list_is(a, "bcd");
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void move_keeps_the_edit(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_value v;
  OK(dunlin_begin(a));
  dunlin_obj list = child(a, "l", DUNLIN_LIST);
  dunlin_list_insert_child(a, list, 0, DUNLIN_TEXT);
  OK(dunlin_list_insert(a, list, 1, int_value(1)));
  commit(a);
  test_sync(a, b);
  move(a, 0, 1);
  OK(dunlin_begin(b));
  OK(dunlin_list_get(b, at(b, "l"), 0, &v));
  OK(dunlin_text_splice(b, v.as.obj, 0, 0, "kept", 4));
  commit(b);
  test_sync(a, b);
  assert_same_doc(a, b);
  OK(dunlin_list_get(a, at(a, "l"), 1, &v));
  assert_text(a, v.as.obj, "kept");
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void transaction_at_an_earlier_version(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2), *c = test_doc(3);
  struct dunlin_id v1;
  size_t n;
  type(a, 0, 0, "abc");
  v1 = dunlin_doc_heads(a, &n)[0];
  test_sync(a, b);
  type(b, 0, 1, "");
  test_sync(a, b);
  /* Index 3 of "abc", although "bc" is all that is left. */
  OK(dunlin_begin_at(a, &v1, 1));
  OK(dunlin_text_splice(a, at(a, "t"), 3, 0, "!", 1));
  commit(a);
  assert_text(a, at(a, "t"), "bc!");
  test_send(a, c);
  assert_same_doc(a, c);
  FAILS(dunlin_begin_at(a, &v1, 1), DUNLIN_EINVAL); /* its own last change is not in that past */
  FAILS(dunlin_begin_at(a, &(struct dunlin_id){{9}}, 1), DUNLIN_ENOENT);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
  dunlin_doc_free(c);
}

static int refuse_commit(void *ctx, const struct dunlin_id *id, struct dunlin_bytes change) {
  (void)id, (void)change;
  return *(int *)ctx;
}

static void hook_can_refuse(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  struct dunlin_value v;
  int answer = DUNLIN_ENOSPC;
  dunlin_doc_on_commit(doc, refuse_commit, &answer);
  for (int i = 0; i < 3; i++) {
    OK(dunlin_begin(doc));
    OK(dunlin_map_put(doc, child(doc, "m", DUNLIN_MAP), dunlin_key("x"), int_value(1)));
    dunlin_list_insert_child(doc, child(doc, "l", DUNLIN_LIST), 0, DUNLIN_MAP);
    FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_ENOSPC);
    FAILS(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("m"), &v), DUNLIN_ENOENT);
  }
  answer = 0;
  put(doc, "k", 1);
  assert_int_equal(dunlin_doc_changes(doc), 1);
  dunlin_doc_free(doc);
}

/* Replaces what is behind the first `keep` characters of the text by 100 times `with`. */
static int write_tail(dunlin_doc *doc, size_t keep, const char *with) {
  char text[1024] = "";
  for (int i = 0; i < 100; i++) strcat(text, with);
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, child(doc, "t", DUNLIN_TEXT), keep, 0, text, strlen(text)));
  return dunlin_commit(doc, 0, NULL);
}

/* What was known about places in the text of a change that was taken back is forgotten. */
static void other_text_in_the_place_of_a_refused_one(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1), *other = test_doc(2);
  int answer = DUNLIN_ENOSPC;
  dunlin_doc_on_commit(doc, refuse_commit, &answer);
  FAILS(write_tail(doc, 0, "\xe2\x82\xac"), DUNLIN_ENOSPC);
  answer = 0;
  assert_int_equal(write_tail(doc, 0, "x"), 1);
  assert_int_equal(write_tail(doc, 100, "\xc3\xa9"), 1);
  test_send(doc, other);
  assert_same_doc(doc, other);
  dunlin_doc_free(doc);
  dunlin_doc_free(other);
}

static void changes_wait_for_their_parents(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  void *deltas[20];
  size_t lens[20], heads;
  struct dunlin_applied applied;
  for (int i = 0; i < 20; i++) {
    struct dunlin_id since[1];
    const struct dunlin_id *now = dunlin_doc_heads(a, &heads);
    if (heads) since[0] = now[0];
    type(a, 0, 0, "x");
    OK(dunlin_doc_delta(a, since, heads, &deltas[i], &lens[i]));
  }
  for (int i = 19; i > 0; i--) OK(dunlin_doc_apply(b, deltas[i], lens[i], NULL));
  for (int i = 19; i > 0; i--) OK(dunlin_doc_apply(b, deltas[i], lens[i], &applied)); /* repeated */
  assert_int_equal(applied.pending, 19);
  assert_int_equal(dunlin_doc_changes(b), 0);
  OK(dunlin_doc_apply(b, deltas[0], lens[0], &applied));
  assert_int_equal(applied.applied, 20);
  assert_int_equal(applied.pending, 0);
  assert_same_doc(a, b);
  OK(dunlin_doc_apply(b, deltas[5], lens[5], &applied));
  assert_int_equal(applied.duplicates, 1);
  for (int i = 0; i < 20; i++) dunlin_free(NULL, deltas[i], lens[i]);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

/* A child that a transaction makes inside another of its own, and touches: two rows, one container. */
static void touched_where_it_was_made(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  dunlin_obj outer, inner, again;
  OK(dunlin_begin(a));
  outer = dunlin_map_child(a, DUNLIN_ROOT, dunlin_key("outer"), DUNLIN_MAP);
  inner = dunlin_map_child(a, outer, dunlin_key("inner"), DUNLIN_MAP);
  OK(dunlin_map_touch(a, outer, dunlin_key("inner")));
  dunlin_map_child(a, outer, dunlin_key("other"), DUNLIN_LIST);
  again = dunlin_map_child(a, outer, dunlin_key("inner"), DUNLIN_MAP);
  OK(dunlin_map_put(a, inner, dunlin_key("x"), int_value(1)));
  OK(dunlin_commit(a, 0, NULL));
  assert_int_equal(inner.index, again.index);
  OK(doc_check(a, true));
  test_sync(a, b);
  OK(doc_check(b, true));
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void names_that_are_not_given_are_random(void **state) {
  dunlin_doc *docs[3];
  struct dunlin_id ids[3];
  struct dunlin_actor actors[3], given = {{7}};
  (void)state;
  OK(dunlin_doc_new(NULL, NULL, NULL, &docs[0]));
  OK(dunlin_doc_new(NULL, NULL, NULL, &docs[1]));
  OK(dunlin_doc_new(NULL, NULL, &given, &docs[2]));
  for (int i = 0; i < 3; i++) {
    ids[i] = dunlin_doc_id(docs[i]);
    actors[i] = dunlin_doc_actor(docs[i]);
    dunlin_doc_free(docs[i]);
  }
  assert_memory_not_equal(&ids[0], &ids[1], sizeof ids[0]);
  assert_memory_not_equal(&ids[1], &ids[2], sizeof ids[0]);
  assert_memory_not_equal(&actors[0], &actors[1], sizeof given);
  assert_memory_equal(&actors[2], &given, sizeof given);
}

static void values_are_what_they_are_made_of(void **state) {
  (void)state;
  assert_int_equal(dunlin_null().kind, DUNLIN_NULL);
  assert_true(dunlin_bool(true).kind == DUNLIN_BOOL && dunlin_bool(true).as.boolean && !dunlin_bool(false).as.boolean);
  assert_true(dunlin_int(INT64_MIN).kind == DUNLIN_INT && dunlin_int(INT64_MIN).as.integer == INT64_MIN);
  assert_true(dunlin_float(0.5).kind == DUNLIN_FLOAT && dunlin_float(0.5).as.real == 0.5);
  assert_true(dunlin_time(-1).kind == DUNLIN_TIME && dunlin_time(-1).as.time == -1);
  assert_true(dunlin_string("ab").kind == DUNLIN_STRING && dunlin_string("ab").as.string.len == 2);
  assert_true(dunlin_string_len("a\0b", 3).kind == DUNLIN_STRING && dunlin_string_len("a\0b", 3).as.string.len == 3);
  assert_true(dunlin_blob("a\0b", 3).kind == DUNLIN_BYTES && dunlin_blob("a\0b", 3).as.string.len == 3);
}

static void a_missing_key_reads_as_its_default(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("b"), (struct dunlin_value){.kind = DUNLIN_BOOL}));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("i"), int_value(0)));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("f"), (struct dunlin_value){.kind = DUNLIN_FLOAT}));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("s"), str_value("")));
  dunlin_obj made = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("l"), DUNLIN_LIST);
  OK(dunlin_list_append(doc, made, int_value(1)));
  OK(dunlin_list_append(doc, made, int_value(2)));
  OK(dunlin_list_append(doc, made, int_value(3)));
  commit(doc);
  static const char *const keys[] = {"b", "i", "f", "s", "l", "none"};
  for (size_t k = 0; k < 6; k++) {
    struct dunlin_bytes key = dunlin_key(keys[k]); /* zero is a value */
    assert_int_equal(dunlin_map_bool(doc, DUNLIN_ROOT, key, true), k != 0);
    assert_int_equal(dunlin_map_int(doc, DUNLIN_ROOT, key, 7), k == 1 ? 0 : 7);
    assert_true(dunlin_map_float(doc, DUNLIN_ROOT, key, 7) == (k == 2 ? 0 : 7));
    assert_int_equal(dunlin_map_string(doc, DUNLIN_ROOT, key, "abc").len, k == 3 ? 0 : 3);
    assert_int_equal(dunlin_map_obj(doc, DUNLIN_ROOT, key, DUNLIN_LIST).index, k == 4 ? made.index : DUNLIN_NONE.index);
    assert_int_equal(dunlin_map_obj(doc, DUNLIN_ROOT, key, DUNLIN_INT).index, DUNLIN_NONE.index);
  }
  assert_int_equal(dunlin_list_tail(doc, made, 2), 1);
  assert_int_equal(dunlin_list_tail(doc, made, 3), 0);
  assert_int_equal(dunlin_list_tail(doc, made, 9), 0);
  dunlin_doc_free(doc);
}

static size_t delta_for(const dunlin_doc *from, const dunlin_doc *to) {
  const struct dunlin_id *have;
  size_t count, len;
  void *delta;
  OK(dunlin_doc_have(to, &have, &count));
  OK(dunlin_doc_delta(from, have, count, &delta, &len));
  dunlin_free(NULL, delta, len);
  return len;
}

/* Both have gone on since they met: each gets what the other did since, and not all there ever was. */
static void a_delta_for_what_the_other_has_is_small(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2), *c = test_doc(3);
  struct dunlin_actor actor = {{4}};
  dunlin_doc *loaded;
  void *bytes;
  size_t len;
  (void)state;
  for (int i = 0; i < 1000; i++) {
    OK(dunlin_begin(i % 2 ? a : b));
    OK(dunlin_map_put(i % 2 ? a : b, DUNLIN_ROOT, dunlin_key("n"), dunlin_int(i)));
    OK(dunlin_commit(i % 2 ? a : b, 0, NULL));
    if (i % 7 == 0) assert_in_range(test_send(a, b).duplicates, 0, 8);
    if (i % 11 == 0) assert_in_range(test_send(b, a).duplicates, 0, 12);
  }
  test_send(a, c);
  assert_in_range(delta_for(a, b), 1, 4000);
  assert_in_range(delta_for(b, a), 1, 4000);
  assert_in_range(delta_for(b, c), 1, 4000);
  loaded = test_doc(5);
  assert_in_range(delta_for(a, loaded), 10000, 200000);
  dunlin_doc_free(loaded);
  OK(dunlin_doc_save(a, &bytes, &len)); /* what the actors did last is in the file */
  OK(dunlin_doc_load(NULL, bytes, len, &actor, &loaded));
  assert_int_equal(delta_for(b, loaded), delta_for(b, a));
  dunlin_free(NULL, bytes, len);
  dunlin_doc_free(loaded);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
  dunlin_doc_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_missing_key_reads_as_its_default),
      cmocka_unit_test(transaction_is_atomic),
      cmocka_unit_test(nothing_to_commit),
      cmocka_unit_test(all_kinds_of_values),
      cmocka_unit_test(a_borrowed_key_is_written_to_its_own_map),
      cmocka_unit_test(bad_arguments),
      cmocka_unit_test(depth),
      cmocka_unit_test(conflict_is_kept_and_settled),
      cmocka_unit_test(same_child_made_apart_is_one),
      cmocka_unit_test(recreate_after_overwrite),
      cmocka_unit_test(delete_on_both_recreate_on_both),
      cmocka_unit_test(kinds_in_conflict),
      cmocka_unit_test(delete_against_edit),
      cmocka_unit_test(counter_and_delete),
      cmocka_unit_test(forward_runs),
      cmocka_unit_test(backward_runs),
      cmocka_unit_test(runs_with_tails),
      cmocka_unit_test(local_before_concurrent),
      cmocka_unit_test(list_move),
      cmocka_unit_test(element_moved_twice),
      cmocka_unit_test(move_keeps_the_edit),
      cmocka_unit_test(transaction_at_an_earlier_version),
      cmocka_unit_test(hook_can_refuse),
      cmocka_unit_test(other_text_in_the_place_of_a_refused_one),
      cmocka_unit_test(changes_wait_for_their_parents),
      cmocka_unit_test(touched_where_it_was_made),
      cmocka_unit_test(names_that_are_not_given_are_random),
      cmocka_unit_test(a_delta_for_what_the_other_has_is_small),
      cmocka_unit_test(values_are_what_they_are_made_of),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
