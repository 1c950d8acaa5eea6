/* Undo and redo: what was done here is taken back, what others did stays. */
#include <dunlin/history.h>
#include <dunlin/undo.h>

#include "crdt/doc.h"
#include "test/fault/seeded.h"
#include "test/support/plain.h"

static dunlin_undo *stack_of(dunlin_doc *doc, size_t depth) {
  dunlin_undo *undo = NULL;
  OK(dunlin_undo_new(doc, depth, &undo));
  return undo;
}
static void back(dunlin_undo *undo, int expected) {
  assert_int_equal(dunlin_undo_back(undo, 0, NULL), expected);
}
static void forth(dunlin_undo *undo, int expected) {
  assert_int_equal(dunlin_undo_forth(undo, 0, NULL), expected);
}
static dunlin_obj child(dunlin_doc *doc, const char *key, enum dunlin_kind kind) {
  OK(dunlin_begin(doc));
  dunlin_obj obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key(key), kind);
  OK(dunlin_commit(doc, 0, NULL));
  return obj;
}
static void put(dunlin_doc *doc, const char *key, int64_t value) {
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), int_value(value)));
  OK(dunlin_commit(doc, 0, NULL));
}
static void delete (dunlin_doc *doc, const char *key) {
  OK(dunlin_begin(doc));
  OK(dunlin_map_delete(doc, DUNLIN_ROOT, dunlin_key(key)));
  OK(dunlin_commit(doc, 0, NULL));
}
static void splice(dunlin_doc *doc, dunlin_obj text, size_t at, size_t remove, const char *insert) {
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, text, at, remove, insert, strlen(insert)));
  OK(dunlin_commit(doc, 0, NULL));
}
static void insert(dunlin_doc *doc, dunlin_obj list, size_t at, int64_t value) {
  OK(dunlin_begin(doc));
  OK(dunlin_list_insert(doc, list, at, int_value(value)));
  OK(dunlin_commit(doc, 0, NULL));
}

/* ---- Keys --------------------------------------------------------------------------------------------------- */

static void updates_go_back_and_forth(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  put(doc, "k", 0);
  dunlin_undo *undo = stack_of(doc, 100);
  for (int i = 1; i <= 3; i++) put(doc, "k", i);
  assert_int_equal(dunlin_undo_count(undo), 3);
  for (int i = 0; i < 4; i++) back(undo, i < 3);
  assert_reads(doc, DUNLIN_ROOT, "{'k': 0}");
  assert_int_equal(dunlin_redo_count(undo), 3);
  for (int i = 0; i < 4; i++) forth(undo, i < 3);
  assert_reads(doc, DUNLIN_ROOT, "{'k': 3}");
  dunlin_undo_free(undo);
  dunlin_doc_free(doc);
}

static void what_others_wrote_at_the_same_time_is_there(void **state) {
  (void)state;
  for (uint8_t own = 1; own < 4; own += 2) {
    dunlin_doc *a = test_doc(own), *b = test_doc(2);
    put(a, "k", 1);
    test_sync(a, b);
    dunlin_undo *undo = stack_of(a, 100);
    put(a, "k", 2);
    put(b, "k", 3);
    test_sync(a, b);
    back(undo, 1);
    test_sync(a, b);
    assert_reads(a, DUNLIN_ROOT, "{'k': 3}");
    assert_same_doc(a, b);
    dunlin_undo_free(undo);
    dunlin_doc_free(a);
    dunlin_doc_free(b);
  }
}

static void what_others_wrote_later_is_not_touched(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  dunlin_undo *undo = stack_of(a, 100);
  put(a, "k", 1);
  put(a, "k", 2);
  put(a, "l", 5);
  test_sync(a, b);
  put(b, "k", 3);
  delete (b, "l");
  test_sync(a, b);
  back(undo, 0);
  assert_int_equal(dunlin_undo_count(undo), 0);
  assert_reads(a, DUNLIN_ROOT, "{'k': 3}");
  dunlin_undo_free(undo);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void a_deleted_child_is_there_again_and_can_be_undone_into(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  dunlin_undo *undo = stack_of(doc, 100);
  dunlin_obj map = child(doc, "m", DUNLIN_MAP);
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, map, dunlin_key("x"), int_value(1)));
  OK(dunlin_commit(doc, 0, NULL));
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, map, dunlin_key("x"), int_value(2)));
  OK(dunlin_commit(doc, 0, NULL));
  delete (doc, "m");
  back(undo, 1);
  assert_reads(doc, DUNLIN_ROOT, "{'m': {'x': 2}}");
  back(undo, 1);
  assert_reads(doc, DUNLIN_ROOT, "{'m': {'x': 1}}");
  back(undo, 1);
  back(undo, 1);
  assert_reads(doc, DUNLIN_ROOT, "{}");
  for (int i = 0; i < 3; i++) forth(undo, 1);
  assert_reads(doc, DUNLIN_ROOT, "{'m': {'x': 2}}");
  forth(undo, 1);
  assert_reads(doc, DUNLIN_ROOT, "{}");
  dunlin_undo_free(undo);
  dunlin_doc_free(doc);
}

/* ---- Texts and lists ---------------------------------------------------------------------------------------- */

static void undo_over_remote(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  dunlin_undo *undo = stack_of(a, 100);
  dunlin_obj list = child(a, "l", DUNLIN_LIST);
  OK(dunlin_begin(a));
  for (int i = 0; i < 4; i++) OK(dunlin_list_insert(a, list, (size_t)i, int_value(i == 0 || i == 3 ? 1 : 2)));
  OK(dunlin_commit(a, 0, NULL));
  insert(a, list, 2, 3);
  test_sync(a, b);
  insert(a, list, 3, 3);
  back(undo, 1);
  back(undo, 1);
  test_sync(a, b);
  assert_reads(a, DUNLIN_ROOT, "{'l': [1, 2, 2, 1]}");
  insert(a, list, 2, 3);
  assert_reads(a, DUNLIN_ROOT, "{'l': [1, 2, 3, 2, 1]}");
  assert_int_equal(dunlin_redo_count(undo), 0);
  dunlin_undo_free(undo);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void typing_goes_back_around_what_others_type(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  dunlin_obj text = child(a, "t", DUNLIN_TEXT);
  splice(a, text, 0, 0, "one three");
  test_sync(a, b);
  dunlin_undo *undo = stack_of(a, 100);
  splice(a, text, 4, 0, "two ");
  splice(a, text, 0, 3, "1");
  test_sync(a, b);
  splice(b, (dunlin_obj){1}, 4, 0, "XY");
  splice(b, (dunlin_obj){1}, 0, 0, "<");
  test_sync(a, b);
  assert_text(a, text, "<1 twXYo three");
  back(undo, 1);
  assert_text(a, text, "<one twXYo three");
  back(undo, 1);
  assert_text(a, text, "<one XYthree");
  forth(undo, 1);
  assert_text(a, text, "<one twXYo three");
  forth(undo, 1);
  assert_text(a, text, "<1 twXYo three");
  test_sync(a, b);
  assert_same_doc(a, b);
  dunlin_undo_free(undo);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void what_others_removed_stays_away(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  dunlin_obj list = child(a, "l", DUNLIN_LIST);
  dunlin_undo *undo = stack_of(a, 100);
  insert(a, list, 0, 1);
  test_sync(a, b);
  OK(dunlin_begin(b));
  OK(dunlin_list_delete(b, (dunlin_obj){1}, 0, 1));
  OK(dunlin_commit(b, 0, NULL));
  test_sync(a, b);
  back(undo, 0);
  back(undo, 0);
  forth(undo, 0);
  assert_reads(a, DUNLIN_ROOT, "{'l': []}");
  dunlin_undo_free(undo);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

/* The old name may be what dunlin_map_at() gave, which lies in the map; that grows meanwhile. */
static void a_borrowed_key_is_renamed(void **state) {
  (void)state;
  for (int others = 0; others < 50; others++) {
    dunlin_doc *doc = test_doc(1);
    struct dunlin_bytes key;
    struct dunlin_value value;
    put(doc, "a", 7);
    OK(dunlin_begin(doc));
    for (int i = 0; i < others; i++)
      OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key((char[]){'b', (char)('0' + i), 0}), int_value(i)));
    OK(dunlin_map_at(doc, DUNLIN_ROOT, 0, &key, &value));
    OK(dunlin_map_rename(doc, DUNLIN_ROOT, key, dunlin_key("z")));
    OK(dunlin_commit(doc, 0, NULL));
    FAILS(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("a"), &value), DUNLIN_ENOENT);
    OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("z"), &value));
    assert_int_equal(value.as.integer, 7);
    dunlin_doc_free(doc);
  }
}

/* What comes back of an element that two have written to is what the other one wrote: it is in the register that is
 * written to. */
static void what_others_wrote_to_an_element_comes_back(void **state) {
  (void)state;
  dunlin_doc *docs[2] = {test_doc(1), test_doc(2)};
  dunlin_obj list = child(docs[0], "l", DUNLIN_LIST);
  insert(docs[0], list, 0, 0);
  test_send(docs[0], docs[1]);
  dunlin_undo *undo = stack_of(docs[0], 10);
  for (int i = 0; i < 2; i++) {
    OK(dunlin_begin(docs[i]));
    OK(dunlin_list_set(docs[i], list, 0, int_value(i + 1)));
    OK(dunlin_commit(docs[i], 0, NULL));
  }
  test_sync(docs[0], docs[1]);
  assert_reads(docs[0], DUNLIN_ROOT, "{'l': [2]}"); /* the higher author wins */
  back(undo, 1);
  assert_reads(docs[0], DUNLIN_ROOT, "{'l': [2]}");
  forth(undo, 1);
  assert_reads(docs[0], DUNLIN_ROOT, "{'l': [2]}");
  dunlin_undo_free(undo);
  test_sync(docs[0], docs[1]);
  assert_same_doc(docs[0], docs[1]);
  for (int i = 0; i < 2; i++) dunlin_doc_free(docs[i]);
}

static void what_showed_over_others_shows_over_them_again(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  dunlin_obj list = child(a, "l", DUNLIN_LIST);
  insert(a, list, 0, 1);
  put(a, "k", 1);
  test_sync(a, b);
  dunlin_undo *undo = stack_of(a, 100);
  for (int64_t i = 0; i < 2; i++) { /* at the same time; what comes back in the first one is later, and so wins */
    dunlin_doc *doc = i ? b : a;
    OK(dunlin_begin(doc));
    OK(dunlin_list_set(doc, list, 0, int_value(2 + i)));
    OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("k"), int_value(2 + i)));
    OK(dunlin_commit(doc, 0, NULL));
  }
  back(undo, 1);
  forth(undo, 1);
  test_sync(a, b);
  for (int i = 0; i < 3; i++) {
    assert_reads(a, DUNLIN_ROOT, "{'k': 2, 'l': [2]}");
    back(undo, 1);
    assert_reads(a, DUNLIN_ROOT, "{'k': 3, 'l': [3]}");
    forth(undo, 1);
  }
  assert_reads(a, DUNLIN_ROOT, "{'k': 2, 'l': [2]}");
  dunlin_undo_free(undo);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void marks_of_others_do_not_part_what_comes_back(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  dunlin_obj text = child(a, "t", DUNLIN_TEXT);
  dunlin_undo *undo = stack_of(a, 100);
  splice(a, text, 0, 0, "yz");
  test_sync(a, b);
  splice(a, text, 0, 0, "wx");
  test_sync(a, b);
  back(undo, 1);
  back(undo, 1);
  forth(undo, 1);
  OK(dunlin_begin(b));
  OK(dunlin_text_mark(b, text, 1, 4, dunlin_key("m"), int_value(1), 0));
  OK(dunlin_commit(b, 0, NULL));
  test_sync(a, b);
  forth(undo, 1);
  assert_reads(a, DUNLIN_ROOT, "{'t': 'wxyz'}");
  test_sync(a, b);
  assert_same_doc(a, b);
  dunlin_undo_free(undo);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

/* No change can name it, so it stays; undoing does the rest. */
static void what_shows_since_its_deletion_is_void_stays(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  dunlin_obj text = child(a, "t", DUNLIN_TEXT), list = child(a, "l", DUNLIN_LIST);
  for (int i = 0; i < 3; i++) insert(a, list, (size_t)i, i);
  dunlin_undo *undo = stack_of(a, 100);
  OK(dunlin_begin(a));
  OK(dunlin_text_splice(a, text, 0, 0, "xyz", 3));
  OK(dunlin_list_set(a, list, 0, int_value(7)));
  OK(dunlin_list_move(a, list, 1, 2));
  OK(dunlin_list_set(a, list, 2, int_value(8)));
  OK(dunlin_commit(a, 0, NULL));
  test_sync(a, b);
  struct dunlin_id deletion;
  OK(dunlin_begin(b));
  OK(dunlin_text_splice(b, dunlin_map_obj(b, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT), 1, 1, "", 0));
  OK(dunlin_list_delete(b, dunlin_map_obj(b, DUNLIN_ROOT, dunlin_key("l"), DUNLIN_LIST), 2, 1));
  OK(dunlin_commit(b, 0, &deletion));
  test_sync(a, b);
  OK(dunlin_doc_set_void(a, &deletion, 1));
  assert_reads(a, DUNLIN_ROOT, "{'t': 'xyz', 'l': [7, 2, 8]}");
  back(undo, 1);
  assert_reads(a, DUNLIN_ROOT, "{'t': 'y', 'l': [0, 2, 8]}");
  OK(dunlin_doc_set_void(a, NULL, 0));
  assert_reads(a, DUNLIN_ROOT, "{'t': '', 'l': [0, 2]}");
  dunlin_undo_free(undo);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void what_a_void_change_inserted_does_not_come_back(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  dunlin_obj text = child(a, "t", DUNLIN_TEXT);
  struct dunlin_id insertion;
  test_sync(a, b);
  OK(dunlin_begin(b));
  OK(dunlin_text_splice(b, dunlin_map_obj(b, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT), 0, 0, "xyz", 3));
  OK(dunlin_commit(b, 0, &insertion));
  test_sync(a, b);
  dunlin_undo *undo = stack_of(a, 100);
  splice(a, text, 1, 1, "");
  OK(dunlin_doc_set_void(a, &insertion, 1));
  back(undo, 0);
  assert_text(a, text, "");
  dunlin_undo_free(undo);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void a_group_is_one_step(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  dunlin_obj text = child(doc, "t", DUNLIN_TEXT);
  dunlin_undo *undo = stack_of(doc, 100);
  const char *words[] = {"hello", " world"};
  for (int w = 0; w < 2; w++) {
    dunlin_undo_group(undo, true);
    for (const char *c = words[w]; *c; c++) splice(doc, text, dunlin_text_size(doc, text), 0, (char[]){*c, 0});
    splice(doc, text, dunlin_text_size(doc, text) - 1, 1, "");
  }
  dunlin_undo_group(undo, false);
  assert_text(doc, text, "hell worl");
  assert_int_equal(dunlin_undo_count(undo), 2);
  back(undo, 1);
  assert_text(doc, text, "hell");
  back(undo, 1);
  assert_text(doc, text, "");
  for (int i = 0; i < 2; i++) forth(undo, 1);
  assert_text(doc, text, "hell worl");
  splice(doc, text, 9, 0, "a");
  dunlin_undo_group(undo, true);
  splice(doc, text, 10, 0, "b");
  splice(doc, text, 9, 2, "");
  back(undo, 1); /* what the step had typed itself does not come back */
  assert_text(doc, text, "hell worla");
  dunlin_undo_free(undo);
  dunlin_doc_free(doc);
}

/* ---- At random ---------------------------------------------------------------------------------------------- */

static const struct dunlin_env *shown_env; /* NULL: the default */
struct shown {
  void *bytes;
  size_t len;
  struct buf marks; /* as text */
};

static void show_marks(const dunlin_doc *doc, dunlin_obj text, struct buf *out) {
  size_t size = dunlin_text_size(doc, text);
  for (size_t at = 0; at < size;) {
    struct dunlin_span span;
    char piece[64];
    OK(dunlin_text_span(doc, text, at, &span));
    for (size_t i = 0; i < span.marks; i++) {
      struct dunlin_bytes key;
      struct dunlin_value value;
      OK(dunlin_text_span_mark(doc, text, at, i, &key, &value));
      int len = snprintf(piece, sizeof piece, "%zu-%zu %.*s=%lld\n", span.from, span.to, (int)key.len,
                         (const char *)key.data, (long long)value.as.integer);
      buf_append(out, piece, (size_t)len);
    }
    at = span.to;
  }
}

static void show_all_marks(const dunlin_doc *doc, const struct dunlin_value *value, struct buf *out) {
  struct dunlin_value child;
  dunlin_obj obj = value->as.obj;
  if (value->kind == DUNLIN_TEXT) {
    buf_append(out, "text\n", 5);
    show_marks(doc, obj, out);
  } else if (value->kind == DUNLIN_MAP) {
    for (size_t i = 0; i < dunlin_map_size(doc, obj); i++) {
      struct dunlin_bytes key;
      OK(dunlin_map_at(doc, obj, i, &key, &child));
      show_all_marks(doc, &child, out);
    }
  } else if (value->kind == DUNLIN_LIST) {
    for (size_t i = 0; i < dunlin_list_size(doc, obj); i++) {
      OK(dunlin_list_get(doc, obj, i, &child));
      show_all_marks(doc, &child, out);
    }
  }
}

static struct shown show(const dunlin_doc *doc) {
  struct shown s = {.bytes = NULL};
  struct dunlin_value root = {.kind = DUNLIN_MAP, .as.obj = DUNLIN_ROOT};
  OK(dunlin_read_plain(doc, DUNLIN_ROOT, &s.bytes, &s.len));
  buf_init(&s.marks, env_or_default(NULL), 1u << 20);
  show_all_marks(doc, &root, &s.marks);
  buf_append(&s.marks, "", 1);
  OK(s.marks.error);
  return s;
}
static void shown_free(struct shown *s) {
  dunlin_free(shown_env, s->bytes, s->len);
  buf_free(&s->marks);
}
/* A mark that was deleted with what it covered comes back as a new one, which may win where the old one had not. */
static bool without_marks;
static void assert_shows(const dunlin_doc *doc, const struct shown *s) {
  struct shown now = show(doc);
  assert_plain_bytes((struct dunlin_bytes){now.bytes, now.len}, (struct dunlin_bytes){s->bytes, s->len});
  if (!without_marks && strcmp((char *)now.marks.data, (char *)s->marks.data))
    print_error("seed %llu\n", (unsigned long long)plain_seed);
  if (!without_marks) assert_string_equal((char *)now.marks.data, (char *)s->marks.data);
  shown_free(&now);
}

static dunlin_obj any_child(dunlin_doc *doc, struct rng *rng, dunlin_obj map) {
  static const enum dunlin_kind kinds[] = {DUNLIN_MAP, DUNLIN_LIST, DUNLIN_TEXT, DUNLIN_COUNTER, DUNLIN_SET};
  size_t kind = rng_below(rng, 5);
  return dunlin_map_child(doc, map, dunlin_key((char[]){(char)('a' + rng_below(rng, 6)), 0}), kinds[kind]);
}

static void mark_text(dunlin_doc *doc, struct rng *rng, dunlin_obj text, size_t size) {
  size_t from = rng_below(rng, size), to = from + 1 + rng_below(rng, size - from < 8 ? size - from : 8);
  struct dunlin_value value =
      rng_chance(rng, 1, 4) ? (struct dunlin_value){.kind = DUNLIN_NULL} : int_value((int64_t)rng_below(rng, 3));
  struct dunlin_bytes key = dunlin_key((char[]){(char)('x' + rng_below(rng, 2)), 0});
  OK(dunlin_text_mark(doc, text, from, to, key, value, (unsigned)rng_below(rng, 4)));
}

static bool keeps_items;  /* nothing is deleted from texts and lists */
static bool keeps_values; /* nothing is written to elements: one that comes back has the value of its deletion */
static void edit_text(dunlin_doc *doc, struct rng *rng, dunlin_obj text) {
  char piece[3] = {(char)('a' + rng_below(rng, 26)), (char)('A' + rng_below(rng, 26)), 0};
  size_t size = dunlin_text_size(doc, text), at = rng_below(rng, size + 1);
  size_t remove = rng_chance(rng, 1, 2) ? rng_below(rng, size - at < 5 ? size - at + 1 : 5) : 0;
  if (size && rng_chance(rng, 1, 4)) {
    mark_text(doc, rng, text, size);
    return;
  }
  OK(dunlin_text_splice(doc, text, at, keeps_items ? 0 : remove, piece, rng_below(rng, 3)));
}

static void edit_list(dunlin_doc *doc, struct rng *rng, dunlin_obj list) {
  size_t size = dunlin_list_size(doc, list), at = rng_below(rng, size + 1);
  switch (at < size ? rng_below(rng, 8) : 0) {
    case 0:
    case 1: OK(dunlin_list_insert(doc, list, at, int_value((int64_t)rng_below(rng, 1000)))); break;
    case 2: OK(dunlin_list_set(doc, list, at, int_value((int64_t)rng_below(rng, 1000)))); break;
    case 3: OK(dunlin_list_delete(doc, list, at, 1 + rng_below(rng, size - at))); break;
    case 4:
    case 5: OK(dunlin_list_move(doc, list, at, rng_below(rng, size))); break;
    default: {
      dunlin_obj obj = rng_chance(rng, 1, 2) ? dunlin_list_insert_child(doc, list, at, DUNLIN_MAP)
                                             : dunlin_list_set_child(doc, list, at, DUNLIN_TEXT);
      if (dunlin_obj_kind(doc, obj) == DUNLIN_MAP) OK(dunlin_map_put(doc, obj, dunlin_key("in"), int_value(1)));
      else OK(dunlin_text_splice(doc, obj, 0, 0, "in", 2));
    }
  }
}

static void edit(dunlin_doc *doc, struct rng *rng) {
  dunlin_obj map = DUNLIN_ROOT, obj;
  char key[2] = {(char)('a' + rng_below(rng, 8)), 0};
  if (rng_chance(rng, 1, 3)) map = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("inner"), DUNLIN_MAP);
  switch (rng_below(rng, 6)) {
    case 0: OK(dunlin_map_put(doc, map, dunlin_key(key), int_value((int64_t)rng_below(rng, 100)))); return;
    case 1: OK(dunlin_map_delete(doc, map, dunlin_key(rng_chance(rng, 1, 4) ? "inner" : key))); return;
    default: obj = any_child(doc, rng, map);
  }
  switch (dunlin_obj_kind(doc, obj)) {
    case DUNLIN_TEXT: edit_text(doc, rng, obj); break;
    case DUNLIN_LIST: edit_list(doc, rng, obj); break;
    case DUNLIN_COUNTER: OK(dunlin_counter_add(doc, obj, (int64_t)rng_below(rng, 9))); break;
    case DUNLIN_SET: OK(dunlin_set_toggle(doc, obj, int_value((int64_t)rng_below(rng, 4)))); break;
    default: OK(dunlin_map_put(doc, obj, dunlin_key(key), str_value("x")));
  }
}

static void alone(uint64_t seed) {
  enum { steps = 100 };
  struct rng rng = rng_of(seed);
  struct shown shown[steps + 1];
  dunlin_doc *doc = test_doc(1);
  plain_seed = seed;
  for (int i = 0; i < 5; i++) {
    OK(dunlin_begin(doc));
    edit(doc, &rng);
    OK(dunlin_commit(doc, 0, NULL));
  }
  dunlin_undo *undo = stack_of(doc, steps);
  shown[0] = show(doc);
  int done = 0, count = 0;
  while (done < steps && count++ < 1000) {
    bool grouped = rng_chance(&rng, 1, 4);
    size_t before = dunlin_undo_count(undo);
    dunlin_undo_group(undo, grouped);
    for (size_t n = 1 + grouped * rng_below(&rng, 3); n--;) {
      OK(dunlin_begin(doc));
      for (size_t k = 1 + rng_below(&rng, 3); k--;) edit(doc, &rng);
      OK(dunlin_commit(doc, 0, NULL));
    }
    dunlin_undo_group(undo, false);
    if (dunlin_undo_count(undo) == before) continue;
    shown[++done] = show(doc);
  }
  for (int round = 0; round < 2; round++) {
    for (int i = done; i > 0;) {
      size_t left = dunlin_undo_count(undo);
      int result = dunlin_undo_back(undo, 0, NULL);
      OK(result);
      i -= (int)(left - dunlin_undo_count(undo));
      assert_shows(doc, &shown[i]);
    }
    back(undo, 0);
    done = (int)dunlin_redo_count(undo);
    while (dunlin_redo_count(undo)) forth(undo, 1);
    assert_shows(doc, &shown[steps]);
    if (!round) OK(doc_check(doc, true));
    if (done != steps) break; /* some steps had no effect: they are not counted any more */
  }
  for (int i = 0; i <= steps; i++) shown_free(&shown[i]);
  dunlin_undo_free(undo);
  dunlin_doc_free(doc);
}

static void a_lone_replica_goes_through_the_same_states(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), n = seed_count(300); n--; seed++) alone(seed);
}

/* Undoing everything leaves what there would be if those changes had never had an effect.  `lively`: others go on while
 * it is undone, and some is redone: then documents must agree. */
static void edit_list_with_others(dunlin_doc *doc, struct rng *rng, dunlin_obj list, int64_t values) {
  size_t size = dunlin_list_size(doc, list), at = rng_below(rng, size + 1);
  struct dunlin_value value = int_value(values + (int64_t)rng_below(rng, 1000)), shown = int_value(0);
  if (at < size) OK(dunlin_list_get(doc, list, at, &shown));
  size_t what = at < size ? rng_below(rng, 5) : 4;
  if (what == 0 && !keeps_items) OK(dunlin_list_delete(doc, list, at, 1));
  else if (what == 1) OK(dunlin_list_move(doc, list, at, rng_below(rng, size)));
  else if (what == 2 && !keeps_values && shown.as.integer < values + 1000) OK(dunlin_list_set(doc, list, at, value));
  else OK(dunlin_list_insert(doc, list, at, value));
}

/* `values`: integers in lists begin there; elements of higher ones are not written to, since what others have written
 * to stays. */
static void edit_with_others(dunlin_doc *doc, struct rng *rng, int64_t values) {
  static const enum dunlin_kind kinds[] = {DUNLIN_TEXT, DUNLIN_TEXT, DUNLIN_LIST, DUNLIN_COUNTER};
  char key[2] = {(char)('a' + rng_below(rng, 6)), 0};
  size_t what = rng_below(rng, 5);
  OK(dunlin_begin(doc));
  if (what == 4) {
    OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), int_value((int64_t)rng_below(rng, 100))));
  } else {
    dunlin_obj obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key((char[]){(char)('0' + what), 0}), kinds[what]);
    if (what < 2) edit_text(doc, rng, obj);
    else if (what == 2) edit_list_with_others(doc, rng, obj, values);
    else OK(dunlin_counter_add(doc, obj, (int64_t)rng_below(rng, 9)));
  }
  OK(dunlin_commit(doc, 0, NULL));
}

static dunlin_doc *without(const dunlin_doc *doc, uint8_t author, size_t from) {
  dunlin_doc *copy = NULL;
  struct dunlin_actor reader = {{99}};
  struct dunlin_id ids[2000];
  size_t count = 0;
  OK(dunlin_doc_copy(doc, &reader, &copy));
  for (size_t i = from; i < dunlin_doc_changes(doc); i++) {
    struct dunlin_change_info info;
    OK(dunlin_doc_change_at(doc, i, &info));
    if (info.actor.bytes[0] == author) ids[count++] = info.id;
  }
  OK(dunlin_doc_set_void(copy, ids, count));
  return copy;
}

static void with_others(uint64_t seed, bool lively) {
  enum { steps = 60 };
  struct rng rng = rng_of(seed);
  dunlin_doc *docs[3];
  plain_seed = seed;
  for (int i = 0; i < 3; i++) docs[i] = test_doc((uint8_t)(i + 1));
  for (int i = 0; i < 40; i++) edit_with_others(docs[1], &rng, 0);
  for (int what = 0; what < 4; what++) /* so that no child hangs on what the first one does */
    child(docs[1], (char[]){(char)('0' + what), 0}, what < 2 ? DUNLIN_TEXT : what == 2 ? DUNLIN_LIST : DUNLIN_COUNTER);
  test_send(docs[1], docs[0]);
  test_send(docs[1], docs[2]);
  size_t from = dunlin_doc_changes(docs[0]);
  dunlin_undo *undo = stack_of(docs[0], 1000);
  for (int i = 0; i < steps; i++) {
    int at = (int)rng_below(&rng, 4) % 3;
    keeps_items = !lively && !at && seed % 2;
    keeps_values = !lively && at && seed % 2 == 0;
    if (lively && !at && rng_chance(&rng, 1, 5)) OK(dunlin_undo_back(undo, 0, NULL));
    else if (lively && !at && rng_chance(&rng, 1, 5)) OK(dunlin_undo_forth(undo, 0, NULL));
    else edit_with_others(docs[at], &rng, at ? 0 : 1000);
    if (rng_chance(&rng, 1, 3)) test_sync(docs[at], docs[(at + 1) % 3]);
  }
  keeps_items = keeps_values = false;
  while (dunlin_undo_count(undo)) {
    OK(dunlin_undo_back(undo, 0, NULL));
    if (!lively) continue;
    if (rng_chance(&rng, 1, 2)) edit_with_others(docs[1 + rng_below(&rng, 2)], &rng, 0);
    if (rng_chance(&rng, 1, 2)) test_sync(docs[0], docs[1 + rng_below(&rng, 2)]);
  }
  dunlin_doc *copy = without(docs[0], 1, from);
  struct shown expected = show(copy);
  without_marks = seed % 2 == 0;
  if (!lively) assert_shows(docs[0], &expected);
  without_marks = false;
  for (int i = 1; i < 3; i++) test_sync(docs[0], docs[i]);
  test_sync(docs[0], docs[1]);
  for (int i = 1; i < 3; i++) assert_same_doc(docs[0], docs[i]);
  OK(doc_check(docs[0], true));
  shown_free(&expected);
  dunlin_undo_free(undo);
  dunlin_doc_free(copy);
  for (int i = 0; i < 3; i++) dunlin_doc_free(docs[i]);
}

static void undoing_all_leaves_what_others_did(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), n = seed_count(300); n--; seed++) with_others(seed, false);
}

static void others_may_go_on_meanwhile(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), n = seed_count(200); n--; seed++) with_others(seed, true);
}

/* ---- Without memory ----------------------------------------------------------------------------------------- */

/* Edits, an undo and a redo; each allocation of these fails once: then the document and the stack are as they were, and
 * it can be done again. */
static void try_again(struct seeded *f, dunlin_doc *doc, dunlin_undo *undo, bool forwards, uint64_t *fails) {
  struct shown before = show(doc);
  size_t back_count = dunlin_undo_count(undo), forth_count = dunlin_redo_count(undo);
  int done = DUNLIN_ENOMEM;
  for (uint64_t n = 1; done == DUNLIN_ENOMEM; n++) {
    f->allocations = 0;
    f->fail_at = n;
    done = forwards ? dunlin_undo_forth(undo, 0, NULL) : dunlin_undo_back(undo, 0, NULL);
    f->fail_at = 0;
    if (done == DUNLIN_ENOMEM) {
      assert_shows(doc, &before);
      assert_int_equal(dunlin_undo_count(undo), back_count);
      assert_int_equal(dunlin_redo_count(undo), forth_count);
      ++*fails;
    }
  }
  assert_int_equal(done, 1);
  shown_free(&before);
}

/* One edit of each sort that undoing has a way of its own for, on the same text and list. */
static void edit_all(dunlin_doc *doc, uint64_t seed) {
  dunlin_obj text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("text"), DUNLIN_TEXT);
  dunlin_obj list = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("list"), DUNLIN_LIST), map;
  switch (seed % 8) {
    case 0:
      (void)dunlin_text_splice(doc, text, 0, 0, "one two three", 13);
      for (size_t i = 0; i < 8; i++) (void)dunlin_list_insert(doc, list, i, str_value("element"));
      break;
    case 1: (void)dunlin_text_mark(doc, text, 4, 7, dunlin_key("x"), int_value(1), 0); break;
    case 2: (void)dunlin_text_mark(doc, text, 2, 9, dunlin_key("y"), int_value(2), DUNLIN_GROWS_AT_END); break;
    case 3: (void)dunlin_text_splice(doc, text, 1, 10, "-", 1); break; /* both marks go */
    case 4:
      (void)dunlin_list_move(doc, list, 1, 5);
      (void)dunlin_list_move(doc, list, 6, 0);
      break;
    case 5:
      (void)dunlin_list_set(doc, list, 2, str_value("another"));
      (void)dunlin_list_delete(doc, list, 4, 2);
      break;
    case 6:
      map = dunlin_list_insert_child(doc, list, 3, DUNLIN_MAP);
      (void)dunlin_map_put(doc, map, dunlin_key("in"), str_value("it"));
      break;
    default: (void)dunlin_list_delete(doc, list, 2, 3);
  }
}

static void commit_again(struct seeded *f, dunlin_doc *doc, dunlin_undo *undo, uint64_t seed, uint64_t *fails) {
  size_t count = dunlin_undo_count(undo);
  int done = DUNLIN_ENOMEM;
  for (uint64_t n = 1; done == DUNLIN_ENOMEM; n++) {
    struct rng rng = rng_of(seed);
    OK(dunlin_begin(doc));
    if (seed % 2) edit(doc, &rng);
    else edit_all(doc, seed / 2);
    f->allocations = 0;
    f->fail_at = n;
    done = dunlin_commit(doc, 0, NULL);
    f->fail_at = 0;
    if (done == DUNLIN_ENOMEM) assert_int_equal(dunlin_undo_count(undo), count);
    *fails += done == DUNLIN_ENOMEM;
  }
  OK(done);
  assert_int_equal(dunlin_undo_count(undo), count + (size_t)done);
}

static void memory_may_be_missing_at_any_time(void **state) {
  (void)state;
  struct seeded f;
  struct dunlin_id id = test_id(1);
  struct dunlin_actor actor = {{1}};
  dunlin_doc *doc = NULL;
  dunlin_undo *undo = NULL;
  uint64_t fails = 0;
  seeded_init(&f, 1);
  shown_env = &f.env;
  OK(dunlin_doc_new(&f.env, &id, &actor, &doc));
  f.allocations = 0;
  f.fail_at = 1;
  FAILS(dunlin_undo_new(doc, 100, &undo), DUNLIN_ENOMEM);
  OK(dunlin_undo_new(doc, 100, &undo));
  for (uint64_t seed = 0; seed < 64; seed++) commit_again(&f, doc, undo, seed, &fails);
  struct shown last = show(doc);
  size_t count = dunlin_undo_count(undo);
  for (size_t i = 0; i < count; i++) try_again(&f, doc, undo, false, &fails);
  for (size_t i = 0; i < count; i++) try_again(&f, doc, undo, true, &fails);
  assert_shows(doc, &last);
  print_message("%llu allocations failed\n", (unsigned long long)fails);
  assert_true(fails > 1000);
  shown_free(&last);
  dunlin_undo_free(undo);
  dunlin_doc_free(doc);
  assert_int_equal(f.live, 0);
  shown_env = NULL;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(updates_go_back_and_forth),
      cmocka_unit_test(what_others_wrote_at_the_same_time_is_there),
      cmocka_unit_test(what_others_wrote_later_is_not_touched),
      cmocka_unit_test(a_deleted_child_is_there_again_and_can_be_undone_into),
      cmocka_unit_test(undo_over_remote),
      cmocka_unit_test(typing_goes_back_around_what_others_type),
      cmocka_unit_test(what_others_removed_stays_away),
      cmocka_unit_test(what_others_wrote_to_an_element_comes_back),
      cmocka_unit_test(a_borrowed_key_is_renamed),
      cmocka_unit_test(what_showed_over_others_shows_over_them_again),
      cmocka_unit_test(marks_of_others_do_not_part_what_comes_back),
      cmocka_unit_test(what_shows_since_its_deletion_is_void_stays),
      cmocka_unit_test(what_a_void_change_inserted_does_not_come_back),
      cmocka_unit_test(a_group_is_one_step),
      cmocka_unit_test(a_lone_replica_goes_through_the_same_states),
      cmocka_unit_test(undoing_all_leaves_what_others_did),
      cmocka_unit_test(others_may_go_on_meanwhile),
      cmocka_unit_test(memory_may_be_missing_at_any_time),
  };
  if (getenv("TEST_FILTER")) cmocka_set_test_filter(getenv("TEST_FILTER"));
  return cmocka_run_group_tests(tests, NULL, NULL);
}
