#include "test/format/scenes.h"

#include <math.h>

/* Two or three documents that edit apart.  `a` is what a scene gives back. */
struct trio {
  dunlin_doc *a, *b, *c;
};

static struct trio trio_new(void) {
  return (struct trio){test_doc(1), test_doc(2), test_doc(3)};
}

/* Everything comes together in `a`; the others go. */
static dunlin_doc *trio_join(struct trio t) {
  test_send(t.b, t.a);
  test_send(t.c, t.a);
  dunlin_doc_free(t.b);
  dunlin_doc_free(t.c);
  return t.a;
}

static void trio_share(struct trio t) {
  test_send(t.a, t.b);
  test_send(t.a, t.c);
}

static void commit(dunlin_doc *doc) {
  OK(dunlin_commit(doc, 0, NULL));
}

static dunlin_obj child(dunlin_doc *doc, const char *key, enum dunlin_kind kind) {
  dunlin_obj obj;
  obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key(key), kind);
  return obj;
}

/* A transaction of one splice. */
static void splice(dunlin_doc *doc, size_t at, size_t remove, const char *text) {
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, child(doc, "text", DUNLIN_TEXT), at, remove, text, strlen(text)));
  commit(doc);
}

/* A list of the numbers below `count` at the key "list". */
static dunlin_obj numbers(dunlin_doc *doc, int64_t count) {
  OK(dunlin_begin(doc));
  dunlin_obj list = child(doc, "list", DUNLIN_LIST);
  for (int64_t i = 0; i < count; i++) OK(dunlin_list_insert(doc, list, (size_t)i, int_value(i)));
  commit(doc);
  return list;
}

/* A handle of this document's list or other child, outside a transaction. */
static dunlin_obj the(const dunlin_doc *doc, const char *key) {
  struct dunlin_value value;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key(key), &value));
  return value.as.obj;
}

static void put(dunlin_doc *doc, const char *key, struct dunlin_value value) {
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), value));
  commit(doc);
}

static void move(dunlin_doc *doc, size_t from, size_t to) {
  OK(dunlin_begin(doc));
  OK(dunlin_list_move(doc, the(doc, "list"), from, to));
  commit(doc);
}

/* ---- One actor ---------------------------------------------------------------------------------------------- */

static dunlin_doc *empty(void) {
  return test_doc(1);
}

static dunlin_doc *integers(void) {
  static const int64_t values[] = {
      0,         1,        -1,    127,    128,    -32,       -33,       255,        256,       -128,
      -129,      65535,    65536, -32768, -32769, INT32_MAX, INT32_MIN, UINT32_MAX, 1LL << 32, INT32_MIN - 1LL,
      INT64_MAX, INT64_MIN};
  dunlin_doc *doc = test_doc(1);
  OK(dunlin_begin(doc));
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    char key[8];
    snprintf(key, sizeof key, "%zu", i);
    OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), int_value(values[i])));
  }
  commit(doc);
  return doc;
}

static dunlin_doc *scalars(void) {
  dunlin_doc *doc = test_doc(1);
  static const double floats[] = {0.0, -0.0, 1.5, -1e300, 5e-324};
  OK(dunlin_begin(doc));
  dunlin_obj list = child(doc, "list", DUNLIN_LIST);
  for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
    OK(dunlin_list_insert(doc, list, 0, (struct dunlin_value){.kind = DUNLIN_FLOAT, .as.real = floats[i]}));
  const struct dunlin_value others[] = {
      {.kind = DUNLIN_NULL},
      {.kind = DUNLIN_BOOL, .as.boolean = true},
      {.kind = DUNLIN_BOOL, .as.boolean = false},
      {.kind = DUNLIN_FLOAT, .as.real = (double)NAN},
      {.kind = DUNLIN_FLOAT, .as.real = -(double)INFINITY},
      {.kind = DUNLIN_STRING, .as.string = {"", 0}},
      {.kind = DUNLIN_STRING, .as.string = {"nul\0and \xf0\x9f\xa6\x86", 12}},
      {.kind = DUNLIN_BYTES, .as.string = {"", 0}},
      {.kind = DUNLIN_BYTES, .as.string = {"\xff\x00\x80", 3}},
      {.kind = DUNLIN_TIME, .as.time = 0},
      {.kind = DUNLIN_TIME, .as.time = INT64_MIN},
      {.kind = DUNLIN_TIME, .as.time = 1700000000000000},
  };
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) OK(dunlin_list_insert(doc, list, i, others[i]));
  commit(doc);
  return doc;
}

/* Strings and bytes at the lengths where msgpack goes over to a longer head. */
static dunlin_doc *lengths(void) {
  static const size_t values[] = {31, 32, 255, 256, 65535, 65536};
  static char bytes[65536];
  dunlin_doc *doc = test_doc(1);
  memset(bytes, 'x', sizeof bytes);
  OK(dunlin_begin(doc));
  dunlin_obj list = child(doc, "list", DUNLIN_LIST);
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    OK(dunlin_list_insert(doc, list, 0, (struct dunlin_value){.kind = DUNLIN_STRING, .as.string = {bytes, values[i]}}));
    OK(dunlin_list_insert(doc, list, 0, (struct dunlin_value){.kind = DUNLIN_BYTES, .as.string = {bytes, values[i]}}));
  }
  commit(doc);
  return doc;
}

static dunlin_doc *map_rows(void) {
  dunlin_doc *doc = test_doc(1);
  put(doc, "", str_value("the empty key"));
  put(doc, "\xc3\xa9", int_value(1));
  put(doc, "z", int_value(2));
  put(doc, "gone", int_value(3));
  OK(dunlin_begin(doc));
  OK(dunlin_map_delete(doc, DUNLIN_ROOT, dunlin_key("gone")));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("z"), int_value(4)));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("z"), int_value(5)));
  OK(dunlin_commit(doc, -1, NULL));
  return doc;
}

/* A child that is deleted and made again is another one. */
static dunlin_doc *generations(void) {
  dunlin_doc *doc = test_doc(1);
  for (int i = 0; i < 4; i++) {
    OK(dunlin_begin(doc));
    dunlin_obj map = child(doc, "k", i % 2 ? DUNLIN_LIST : DUNLIN_MAP);
    if (i % 2) OK(dunlin_list_insert(doc, map, 0, int_value(i)));
    else OK(dunlin_map_put(doc, map, dunlin_key("x"), int_value(i)));
    commit(doc);
    OK(dunlin_begin(doc));
    if (i < 3) OK(dunlin_map_delete(doc, DUNLIN_ROOT, dunlin_key("k")));
    else OK(dunlin_map_touch(doc, DUNLIN_ROOT, dunlin_key("k")));
    commit(doc);
  }
  return doc;
}

/* As deep as a document may be, with a text at the bottom. */
static dunlin_doc *nested(void) {
  dunlin_doc *doc = test_doc(1);
  dunlin_obj obj = DUNLIN_ROOT;
  OK(dunlin_begin(doc));
  for (unsigned depth = 2; depth < DUNLIN_MAX_DEPTH; depth++) {
    if (depth % 2) obj = dunlin_list_insert_child(doc, obj, 0, DUNLIN_MAP);
    else obj = dunlin_map_child(doc, obj, dunlin_key("down"), DUNLIN_LIST);
  }
  if (dunlin_obj_kind(doc, obj) == DUNLIN_MAP) obj = dunlin_map_child(doc, obj, dunlin_key("text"), DUNLIN_TEXT);
  else obj = dunlin_list_insert_child(doc, obj, 0, DUNLIN_TEXT);
  OK(dunlin_text_splice(doc, obj, 0, 0, "deep", 4));
  commit(doc);
  return doc;
}

static dunlin_doc *list_rows(void) {
  dunlin_doc *doc = test_doc(1);
  dunlin_obj list = numbers(doc, 6), inner;
  OK(dunlin_begin(doc));
  OK(dunlin_list_set(doc, list, 1, str_value("set")));
  inner = dunlin_list_insert_child(doc, list, 2, DUNLIN_COUNTER);
  OK(dunlin_counter_add(doc, inner, -5));
  inner = dunlin_list_set_child(doc, list, 4, DUNLIN_MAP);
  OK(dunlin_map_put(doc, inner, dunlin_key("in"), int_value(1)));
  OK(dunlin_list_delete(doc, list, 5, 2));
  OK(dunlin_list_move(doc, list, 0, 4));
  OK(dunlin_list_move(doc, list, 4, 0));
  OK(dunlin_list_move(doc, list, 1, 3));
  commit(doc);
  return doc;
}

static dunlin_doc *typing(void) {
  static const char *const letters[] = {
      "d", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\xa6\x86", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "\n"};
  dunlin_doc *doc = test_doc(1);
  for (size_t i = 0; i < 8; i++) splice(doc, i, 0, letters[i]);
  for (size_t i = 0; i < 4; i++) splice(doc, 7 - i, 1, "");
  for (size_t i = 0; i < 2; i++) splice(doc, 1, 1, "");
  splice(doc, 1, 1, "a longer text, inserted at once");
  for (size_t i = 0; i < 6; i++) splice(doc, 3, 0, letters[i]);
  return doc;
}

/* One transaction of many edits of one text. */
static dunlin_doc *rewriting(void) {
  dunlin_doc *doc = test_doc(1);
  OK(dunlin_begin(doc));
  dunlin_obj text = child(doc, "text", DUNLIN_TEXT);
  OK(dunlin_text_splice(doc, text, 0, 0, KEY("hello world")));
  OK(dunlin_text_splice(doc, text, 5, 6, KEY(", dunlin")));
  OK(dunlin_text_splice(doc, text, 12, 1, KEY("")));
  OK(dunlin_text_splice(doc, text, 11, 1, KEY("")));
  OK(dunlin_text_splice(doc, text, 11, 0, KEY("in")));
  OK(dunlin_text_splice(doc, text, 13, 0, KEY("!")));
  commit(doc);
  return doc;
}

/* ---- Several actors ----------------------------------------------------------------------------------------- */

static dunlin_doc *conflicts(void) {
  struct trio t = trio_new();
  put(t.a, "k", int_value(1));
  put(t.b, "k", str_value("two"));
  put(t.b, "k", str_value("two again"));
  put(t.c, "k", (struct dunlin_value){.kind = DUNLIN_NULL});
  put(t.a, "settled", int_value(1));
  put(t.b, "settled", int_value(2));
  test_sync(t.a, t.b);
  put(t.a, "settled", int_value(3));
  return trio_join(t);
}

/* The same key holds children of three kinds, and one of them twice. */
static dunlin_doc *children_in_conflict(void) {
  struct trio t = trio_new();
  dunlin_doc *docs[] = {t.a, t.b, t.c};
  for (size_t i = 0; i < 3; i++) {
    OK(dunlin_begin(docs[i]));
    dunlin_obj map = child(docs[i], "shape", DUNLIN_MAP);
    OK(dunlin_map_put(docs[i], map, dunlin_key("x"), int_value((int64_t)i)));
    child(docs[i], "mixed", i == 1 ? DUNLIN_TEXT : DUNLIN_COUNTER);
    commit(docs[i]);
  }
  return trio_join(t);
}

static dunlin_doc *delete_against_touch(void) {
  struct trio t = trio_new();
  OK(dunlin_begin(t.a));
  OK(dunlin_map_put(t.a, child(t.a, "kept", DUNLIN_MAP), dunlin_key("x"), int_value(1)));
  OK(dunlin_map_put(t.a, child(t.a, "gone", DUNLIN_MAP), dunlin_key("x"), int_value(1)));
  commit(t.a);
  trio_share(t);
  OK(dunlin_begin(t.b));
  OK(dunlin_map_delete(t.b, DUNLIN_ROOT, dunlin_key("kept")));
  OK(dunlin_map_delete(t.b, DUNLIN_ROOT, dunlin_key("gone")));
  commit(t.b);
  OK(dunlin_begin(t.c));
  OK(dunlin_map_touch(t.c, DUNLIN_ROOT, dunlin_key("kept")));
  OK(dunlin_map_put(t.c, the(t.c, "kept"), dunlin_key("y"), int_value(2)));
  OK(dunlin_map_put(t.c, the(t.c, "gone"), dunlin_key("y"), int_value(2)));
  commit(t.c);
  return trio_join(t);
}

static dunlin_doc *counting(void) {
  struct trio t = trio_new();
  dunlin_doc *docs[] = {t.a, t.b, t.c};
  static const int64_t amounts[] = {INT64_MAX, 3, -1};
  for (size_t i = 0; i < 3; i++) {
    OK(dunlin_begin(docs[i]));
    OK(dunlin_counter_add(docs[i], child(docs[i], "n", DUNLIN_COUNTER), amounts[i]));
    commit(docs[i]);
  }
  return trio_join(t);
}

/* A max, a min and a first that three offer to while apart. */
static dunlin_doc *offering_together(void) {
  struct trio t = trio_new();
  dunlin_doc *docs[] = {t.a, t.b, t.c};
  const struct dunlin_value values[] = {int_value(2), dunlin_float(2), dunlin_float(-0.0)};
  for (size_t i = 0; i < 3; i++) {
    OK(dunlin_begin(docs[i]));
    OK(dunlin_offer(docs[i], child(docs[i], "max", DUNLIN_MAX), values[i]));
    OK(dunlin_offer(docs[i], child(docs[i], "min", DUNLIN_MIN), values[i]));
    commit(docs[i]);
    OK(dunlin_begin(docs[i]));
    OK(dunlin_offer(docs[i], child(docs[i], "first", DUNLIN_FIRST), str_value(i ? "later" : "sooner")));
    if (i == 2)
      OK(dunlin_offer(docs[i], child(docs[i], "max", DUNLIN_MAX), (struct dunlin_value){.kind = DUNLIN_TIME}));
    child(docs[i], "empty", DUNLIN_FIRST);
    commit(docs[i]);
  }
  return trio_join(t);
}

/* A member that one adds while another removes it, one that both add, one that is gone. */
static dunlin_doc *sets_together(void) {
  struct trio t = trio_new();
  OK(dunlin_begin(t.a));
  for (int i = 0; i < 4; i++) OK(dunlin_set_add(t.a, child(t.a, "set", DUNLIN_SET), int_value(i)));
  OK(dunlin_set_add(t.a, child(t.a, "growing", DUNLIN_GROWING_SET), str_value("a")));
  commit(t.a);
  trio_share(t);
  OK(dunlin_begin(t.b));
  OK(dunlin_set_remove(t.b, the(t.b, "set"), int_value(1)));
  OK(dunlin_set_remove(t.b, the(t.b, "set"), int_value(2)));
  OK(dunlin_set_add(t.b, the(t.b, "set"), str_value("b")));
  OK(dunlin_set_add(t.b, the(t.b, "growing"), str_value("b")));
  commit(t.b);
  OK(dunlin_begin(t.c));
  OK(dunlin_set_remove(t.c, the(t.c, "set"), int_value(2)));
  OK(dunlin_set_add(t.c, the(t.c, "set"), int_value(2)));
  OK(dunlin_set_add(t.c, the(t.c, "set"), str_value("b")));
  commit(t.c);
  return trio_join(t);
}

/* Three actors type at one place, forwards, backwards and a word at once. */
static dunlin_doc *typing_together(void) {
  struct trio t = trio_new();
  splice(t.a, 0, 0, "()");
  trio_share(t);
  for (size_t i = 0; i < 4; i++) splice(t.a, 1 + i, 0, "a");
  for (size_t i = 0; i < 4; i++) splice(t.b, 1, 0, "b");
  splice(t.c, 1, 0, "ccc");
  splice(t.c, 0, 1, "");
  splice(t.c, 2, 1, "<>");
  test_sync(t.a, t.b);
  splice(t.a, 5, 3, "!");
  splice(t.b, 4, 0, "?");
  return trio_join(t);
}

/* Insertions after one letter by actors who know different letters behind it: the one that reaches further stands
 * first, whatever its actor. */
static dunlin_doc *right_origins(void) {
  struct trio t = trio_new();
  OK(dunlin_begin(t.a));
  child(t.a, "text", DUNLIN_TEXT);
  commit(t.a);
  trio_share(t);
  splice(t.a, 0, 0, "x");
  splice(t.b, 0, 0, "y");
  test_send(t.a, t.b);
  test_send(t.a, t.c);
  splice(t.b, 1, 0, "b");
  splice(t.c, 1, 0, "c");
  dunlin_doc *doc = trio_join(t);
  assert_text(doc, the(doc, "text"), "xcby");
  return doc;
}

static dunlin_doc *deleting_together(void) {
  struct trio t = trio_new();
  splice(t.a, 0, 0, "0123456789");
  trio_share(t);
  splice(t.a, 2, 5, "");
  splice(t.b, 4, 5, "");
  splice(t.c, 5, 0, "in the middle");
  test_sync(t.a, t.c);
  splice(t.a, 0, 3, "x");
  return trio_join(t);
}

static dunlin_doc *moving_together(void) {
  struct trio t = trio_new();
  numbers(t.a, 6);
  trio_share(t);
  move(t.a, 0, 5);
  move(t.b, 0, 3);
  move(t.b, 3, 1);
  move(t.c, 5, 0);
  test_sync(t.a, t.b);
  move(t.a, 2, 4);
  OK(dunlin_begin(t.c));
  OK(dunlin_list_set(t.c, the(t.c, "list"), 1, str_value("set while moved")));
  OK(dunlin_list_insert(t.c, the(t.c, "list"), 1, str_value("between")));
  OK(dunlin_list_delete(t.c, the(t.c, "list"), 4, 2));
  commit(t.c);
  return trio_join(t);
}

static dunlin_doc *elements_in_conflict(void) {
  struct trio t = trio_new();
  numbers(t.a, 3);
  trio_share(t);
  OK(dunlin_begin(t.a));
  OK(dunlin_list_set(t.a, the(t.a, "list"), 1, str_value("a")));
  commit(t.a);
  OK(dunlin_begin(t.b));
  dunlin_list_set_child(t.b, the(t.b, "list"), 1, DUNLIN_TEXT);
  OK(dunlin_list_delete(t.b, the(t.b, "list"), 2, 1));
  commit(t.b);
  OK(dunlin_begin(t.c));
  OK(dunlin_list_set(t.c, the(t.c, "list"), 1, str_value("c")));
  OK(dunlin_list_set(t.c, the(t.c, "list"), 2, str_value("set while deleted")));
  commit(t.c);
  return trio_join(t);
}

/* An actor whose previous change is in the past of its only parent names itself again. */
static dunlin_doc *taking_turns(void) {
  struct trio t = trio_new();
  for (int64_t i = 0; i < 3; i++) {
    put(t.a, "k", int_value(i));
    test_send(t.a, t.b);
    put(t.b, "k", int_value(-i));
    test_send(t.b, t.a);
  }
  return trio_join(t);
}

/* Many branches that one change joins. */
static dunlin_doc *many_parents(void) {
  dunlin_doc *doc = test_doc(100);
  put(doc, "k", int_value(-1));
  for (uint8_t actor = 1; actor <= 20; actor++) {
    dunlin_doc *other = test_doc(actor);
    put(other, "k", int_value(actor));
    test_send(other, doc);
    dunlin_doc_free(other);
  }
  put(doc, "joined", int_value(1));
  return doc;
}

/* A transaction on an earlier version. */
static dunlin_doc *in_the_past(void) {
  struct trio t = trio_new();
  splice(t.a, 0, 0, "past");
  test_send(t.a, t.b);
  size_t count;
  struct dunlin_id then = *dunlin_doc_heads(t.a, &count);
  assert_int_equal(count, 1);
  splice(t.b, 0, 2, "");
  test_send(t.b, t.a);
  OK(dunlin_begin_at(t.a, &then, 1));
  OK(dunlin_text_splice(t.a, the(t.a, "text"), 4, 0, KEY(" and present")));
  commit(t.a);
  return trio_join(t);
}

static void mark(dunlin_doc *doc, size_t from, size_t to, const char *key, struct dunlin_value value, unsigned flags) {
  OK(dunlin_begin(doc));
  OK(dunlin_text_mark(doc, the(doc, "text"), from, to, dunlin_key(key), value, flags));
  commit(doc);
}

/* Marks of all four kinds that overlap, are taken off, lose their text; and what others type and mark at their edges at
 * the same time. */
static dunlin_doc *marks(void) {
  struct trio t = trio_new();
  splice(t.a, 0, 0, "some text to mark");
  mark(t.a, 0, 9, "bold", int_value(1), DUNLIN_GROWS_AT_END);
  trio_share(t);
  mark(t.a, 5, 12, "bold", (struct dunlin_value){.kind = DUNLIN_NULL}, 0);
  splice(t.a, 9, 0, "!");
  mark(t.b, 5, 9, "link", str_value("dunlin:"), 0);
  splice(t.b, 9, 0, "?");
  splice(t.b, 0, 0, "(");
  mark(t.c, 0, 17, "note", str_value("all"), DUNLIN_GROWS_AT_START | DUNLIN_GROWS_AT_END);
  mark(t.c, 3, 7, "bold", int_value(2), DUNLIN_GROWS_AT_START);
  splice(t.c, 5, 4, "");
  splice(t.c, 13, 0, ".");
  test_send(t.b, t.a);
  splice(t.a, 0, 4, "\xc3\xa9");
  return trio_join(t);
}

const struct scene scenes[] = {
    {"an empty document", empty},
    {"integers of every length", integers},
    {"every kind of scalar", scalars},
    {"strings and bytes of every length", lengths},
    {"rows of a map", map_rows},
    {"generations of a child", generations},
    {"nested as deep as it goes", nested},
    {"rows of a list", list_rows},
    {"typing", typing},
    {"rewriting in one change", rewriting},
    {"marks", marks},
    {"a key in conflict", conflicts},
    {"children in conflict", children_in_conflict},
    {"a delete against a touch", delete_against_touch},
    {"counting together", counting},
    {"offering together", offering_together},
    {"sets together", sets_together},
    {"typing together", typing_together},
    {"right origins", right_origins},
    {"deleting together", deleting_together},
    {"moving together", moving_together},
    {"elements in conflict", elements_in_conflict},
    {"taking turns", taking_turns},
    {"many parents", many_parents},
    {"a change in the past", in_the_past},
};
const size_t scene_count = sizeof scenes / sizeof *scenes;
