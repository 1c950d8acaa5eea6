/* Named scenarios of input that is malformed, oversized or dishonest: refused by all alike, without work and without a
 * trace; everything else goes on. */
#include <time.h>

#include "test/crdt/scenario.h"
#include "test/fault/seeded.h"

/* ---- Changes made by hand ----------------------------------------------------------------------------------- */

/* A change as its author would have written it, had the library let it.  Encoding is in one place: write_change(). */
struct by_hand {
  const struct dunlin_id *parent; /* NULL: none */
  uint8_t actor;                  /* 0: that of the parent */
  uint64_t number;
  struct container_id container;
  struct change_row rows[40];
  size_t row_count;
  const char *text;
  struct dunlin_bytes values; /* msgpack, in a row */
  size_t value_count;
};

static const struct container_id root_id = {{DUNLIN_MAP}};

static struct change_id_bytes write_change(const struct by_hand *c) {
  struct dunlin_actor actor = {{c->actor}};
  struct buf bytes;
  buf_init(&bytes, dunlin_env_default(), 1 << 20);
  write_head(&bytes,
             c->value_count ? 6
             : c->text      ? 5
                            : 4,
             c->parent, c->parent ? 1 : 0, c->actor ? &actor : NULL, c->number, &c->container);
  mp_write_array(&bytes, 3 * c->row_count);
  for (size_t i = 0; i < c->row_count; i++)
    write_row(&bytes, c->rows[i].kind | c->rows[i].container << OP_KIND_BITS, c->rows[i].a, c->rows[i].len);
  if (c->text || c->value_count) mp_write_str(&bytes, c->text, c->text ? strlen(c->text) : 0);
  if (c->value_count) {
    mp_write_array(&bytes, c->value_count);
    buf_append(&bytes, c->values.data, c->values.len);
  }
  return take_named(&bytes);
}

static struct dunlin_applied apply_by_hand(dunlin_doc *doc, const struct by_hand *c) {
  struct change_id_bytes change = write_change(c);
  struct dunlin_applied applied = give_change(doc, &change);
  free_changes(&change, 1);
  return applied;
}

/* The delta of one such change, with the bytes `from` in it replaced; the caller frees it. */
static struct dunlin_bytes spoiled_delta(const struct by_hand *c, struct dunlin_bytes from, struct dunlin_bytes to) {
  struct change_id_bytes change = write_change(c);
  struct buf delta;
  buf_init(&delta, dunlin_env_default(), 1 << 20);
  OK(delta_write(&delta, &change, 1));
  free_changes(&change, 1);
  const uint8_t *found = memmem(delta.data, delta.len, from.data, from.len);
  assert_non_null(found);
  size_t before = (size_t)(found - delta.data), after = delta.len - before - from.len;
  uint8_t *out = malloc(before + to.len + after);
  assert_non_null(out);
  memcpy(out, delta.data, before);
  memcpy(out + before, to.data, to.len);
  memcpy(out + before + to.len, found + from.len, after);
  buf_free(&delta);
  return (struct dunlin_bytes){out, before + to.len + after};
}

#define BYTES(literal) ((struct dunlin_bytes){(literal), sizeof(literal) - 1})

/* ---- Non-canonical bytes ------------------------------------------------------------------------------------ */

/* A delta with every type of value, several actors and merges. */
static dunlin_doc *every_type(void) {
  dunlin_doc *docs[actor_count];
  three(docs);
  OK(dunlin_begin(docs[0]));
  dunlin_obj map = child(docs[0], "m", DUNLIN_MAP), list = child(docs[0], "l", DUNLIN_LIST);
  const struct dunlin_value values[] = {{.kind = DUNLIN_NULL},
                                        {.kind = DUNLIN_BOOL, .as.boolean = true},
                                        {.kind = DUNLIN_FLOAT, .as.real = 1.5},
                                        {.kind = DUNLIN_BYTES, .as.string = {"\xff\x00", 2}},
                                        {.kind = DUNLIN_TIME, .as.time = 5}};
  const int64_t numbers[] = {0, 200, 60000, 1 << 30, INT64_MAX, -1, -100, -30000, -(1 << 30), INT64_MIN};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) OK(dunlin_list_insert(docs[0], list, 0, values[i]));
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    OK(dunlin_list_insert(docs[0], list, i, int_value(numbers[i])));
  OK(dunlin_map_put(docs[0], map, dunlin_key("k\xc3\xa9y"), str_value("\xe2\x82\xac uro")));
  assert_int_equal(dunlin_commit(docs[0], 1234567, NULL), 1);
  test_send(docs[0], docs[1]);
  for (size_t i = 0; i < actor_count; i++)
    type(docs[i], 0, 0, i ? "abc" : "a text of more than thirty-one bytes, \xce\xa9");
  share(docs);
  type(docs[2], 5, 1, "z");
  type(docs[2], 6, 0, "z");
  dunlin_doc_free(docs[0]);
  dunlin_doc_free(docs[1]);
  return docs[2];
}

/* The length of the head of the msgpack token at `p`, and of its payload (what arrays hold are tokens of their own). */
static size_t token(const uint8_t *p, size_t *payload) {
  static const uint8_t number_len[] = {
      ['\x0a'] = 4, ['\x0b'] = 8, ['\x0c'] = 1, ['\x0d'] = 2, ['\x0e'] = 4, ['\x0f'] = 8};
  *payload = 0;
  if (*p >= 0xa0 && *p < 0xc0) return *payload = *p & 31u, 1;
  if (*p < 0xc0 || *p >= 0xe0 || (*p >= 0xc0 && *p < 0xc4)) return 1;
  if (*p >= 0xca && *p <= 0xcf) return 1 + number_len[*p & 15];
  if (*p >= 0xd0 && *p <= 0xd3) return 1 + ((size_t)1 << (*p & 3));
  if (*p == 0xc4 || *p == 0xd9) return *payload = p[1], 2;
  if (*p == 0xc5 || *p == 0xda) return *payload = (size_t)p[1] << 8 | p[2], 3;
  if (*p == 0xd7) return *payload = 8, 2;
  assert_true(*p == 0xdc);
  return 3;
}

/* The same token one size longer; 0 when there is none. */
static size_t longer(const uint8_t *p, size_t head, uint8_t *out) {
  static const uint8_t next[256] = {
      [0xc4] = 0xc5, [0xc5] = 0xc6, [0xcc] = 0xcd, [0xcd] = 0xce, [0xce] = 0xcf, [0xd0] = 0xd1,
      [0xd1] = 0xd2, [0xd2] = 0xd3, [0xd9] = 0xda, [0xda] = 0xdb, [0xdc] = 0xdd};
  if (*p < 0x80) return out[0] = 0xcc, out[1] = *p, 2;
  if (*p >= 0xe0) return out[0] = 0xd0, out[1] = *p, 2;
  if (*p >= 0x90 && *p < 0xa0) return out[0] = 0xdc, out[1] = 0, out[2] = *p & 15, 3;
  if (*p >= 0xa0 && *p < 0xc0) return out[0] = 0xd9, out[1] = *p & 31, 2;
  if (*p == 0xd7) return out[0] = 0xc7, out[1] = 8, out[2] = p[1], 3;
  if (!next[*p]) return 0;
  size_t size = head - 1;
  out[0] = next[*p];
  memset(out + 1, *p >= 0xd0 && *p <= 0xd2 ? 0xff : 0, size);
  memcpy(out + 1 + size, p + 1, size);
  return 1 + 2 * size;
}

struct judges {
  dunlin_doc *docs[actor_count]; /* one that is empty, one that has a part, one that has everything */
  size_t refused;
};

/* The delta with `cut` bytes at `place` replaced: refused by all three, who stay as they are. */
static void refused_with(struct judges *j, const uint8_t *delta, size_t len, size_t place, size_t cut, const void *by,
                         size_t by_len) {
  uint8_t *spoiled = malloc(len + by_len);
  assert_non_null(spoiled);
  memcpy(spoiled, delta, place);
  if (by_len) memcpy(spoiled + place, by, by_len);
  memcpy(spoiled + place + by_len, delta + place + cut, len - place - cut);
  for (size_t i = 0; i < actor_count; i++) {
    struct dunlin_id before, after;
    size_t changes = dunlin_doc_changes(j->docs[i]);
    OK(dunlin_doc_hash(j->docs[i], &before));
    int error = dunlin_doc_apply(j->docs[i], spoiled, len - cut + by_len, NULL);
    if (error != DUNLIN_EFORMAT) fail_msg("replica %zu, byte %zu: %s", i, place, dunlin_error_name(error));
    OK(dunlin_doc_hash(j->docs[i], &after));
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(dunlin_doc_changes(j->docs[i]), changes);
    assert_int_equal(dunlin_doc_pending(j->docs[i]), 0);
  }
  j->refused++;
  free(spoiled);
}

/* Everything that can be wrong with the one token at `place`. */
static void spoil_token(struct judges *j, const uint8_t *delta, size_t len, size_t place, size_t head, size_t payload) {
  const uint8_t *p = delta + place;
  uint8_t other[16];
  size_t other_len = longer(p, head, other);
  if (other_len) refused_with(j, delta, len, place, head, other, other_len);
  if (*p < 0x80) refused_with(j, delta, len, place, 1, (uint8_t[]){0xd0, *p}, 2);         /* a signed form */
  if (*p < 0x80) refused_with(j, delta, len, place, 1, "\x81\xa1k\x01", 4);               /* a map */
  if (*p < 0x80) refused_with(j, delta, len, place, 1, "\x82\xa1k\x01\xa1k\x01", 7);      /* with a duplicate key */
  if (*p == 0xcb) refused_with(j, delta, len, place, 9, "\xcb\x7f\xf8\0\0\0\0\0\x01", 9); /* another NaN */
  if (*p == 0xcb) refused_with(j, delta, len, place, 9, "\xca\x3f\xc0\0\0", 5);           /* 32 bits */
  bool is_text = (*p >= 0xa0 && *p < 0xc0) || *p == 0xd9 || *p == 0xda;
  if (!is_text || !payload) return;
  refused_with(j, delta, len, place + head, 1, "\xff", 1);
  refused_with(j, delta, len, place + head + payload - 1, 1, "\xc3", 1); /* cut in the middle of a character */
  if (payload > 1) refused_with(j, delta, len, place + head, 2, "\xc0\x80", 2);
  if (payload > 2) refused_with(j, delta, len, place + head, 3, "\xed\xa0\x80", 3);
  if (payload > 3) refused_with(j, delta, len, place + head, 4, "\xf4\x90\x80\x80", 4);
}

static void non_canonical_delta(void **state) {
  (void)state;
  dunlin_doc *doc = every_type();
  struct parts parts = take_apart(doc);
  struct judges j = {.docs = {test_doc(50), test_doc(51), test_doc(52)}};
  void *data;
  size_t len, head, payload;
  give_change(j.docs[1], &parts.changes[0]);
  test_send(doc, j.docs[2]);
  OK(dunlin_doc_delta(doc, NULL, 0, &data, &len));
  const uint8_t *delta = data;
  for (size_t place = 0; place < len; place += head + payload) {
    head = token(delta + place, &payload);
    assert_true(place + head + payload <= len);
    spoil_token(&j, delta, len, place, head, payload);
  }
  refused_with(&j, delta, len, len, 0, "\x00", 1); /* trailing bytes */
  refused_with(&j, delta, len, len, 0, "\xc0", 1);
  refused_with(&j, delta, len, len, 0, delta, len);
  assert_true(j.refused > 300);
  for (size_t i = 0; i < actor_count; i++) {
    OK(dunlin_doc_apply(j.docs[i], data, len, NULL));
    assert_same_doc(j.docs[i], doc);
  }
  dunlin_free(NULL, data, len);
  free_changes(parts.changes, parts.count);
  free_all(j.docs);
  dunlin_doc_free(doc);
}

/* ---- Numbers and times -------------------------------------------------------------------------------------- */

static const int64_t times[actor_count] = {INT64_MAX, INT64_MIN, 0};

static void put_at_time(dunlin_doc *doc, int64_t value, int64_t time) {
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("k"), int_value(value)));
  OK(dunlin_text_splice(doc, child(doc, "t", DUNLIN_TEXT), 0, 0, (char[]){(char)('0' + value), 0}, 1));
  assert_int_equal(dunlin_commit(doc, time, NULL), 1);
}

static void last_actor_wins(const dunlin_doc *doc, const void *what) {
  struct dunlin_change_info info;
  assert_true(number_at(doc, DUNLIN_ROOT, "k") == 3);
  text_is(doc, what);
  for (uint8_t i = 0; i < actor_count; i++) { /* shown, and no more */
    OK(dunlin_doc_find_number(doc, &(struct dunlin_actor){{(uint8_t)(i + 1)}}, 0, &info));
    assert_true(info.time == times[i]);
    assert_true(info.lamport == 0);
  }
}

static void huge_clock(void **state) {
  (void)state;
  static const uint64_t numbers[] = {1, UINT32_MAX, INT64_MAX - 1, INT64_MAX};
  static const struct dunlin_bytes one = {"\xa1k\x01", 3};
  dunlin_doc *docs[actor_count];
  struct dunlin_change_info info;
  three(docs);
  for (size_t i = 0; i < actor_count; i++) put_at_time(docs[i], (int64_t)i + 1, times[i]);
  all_end_with(docs, actor_count, 6, last_actor_wins, "123");
  struct dunlin_id parent = dunlin_doc_heads(docs[0], &(size_t){0})[0];
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    for (size_t k = 0; k < actor_count; k++) {
      struct by_hand change = {.actor = 7,
                               .number = numbers[i],
                               .container = root_id,
                               .rows = {{OP_MAP_SET, 0, 0, 1}},
                               .row_count = 1,
                               .values = one,
                               .value_count = 2};
      assert_int_equal(apply_by_hand(docs[k], &change).refused, 1);
      change.parent = &parent;
      assert_int_equal(apply_by_hand(docs[k], &change).refused, 1);
      if (numbers[i] != INT64_MAX) continue;
      struct dunlin_bytes over = spoiled_delta(&change, BYTES("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"),
                                               BYTES("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"));
      FAILS(dunlin_doc_apply(docs[k], over.data, over.len, NULL), DUNLIN_EFORMAT); /* 2^63 */
      free((void *)(uintptr_t)over.data);
    }
  for (size_t i = 0; i < actor_count; i++) {
    assert_int_equal(dunlin_doc_changes(docs[i]), 3);
    put_at_time(docs[i], (int64_t)i + 4, INT64_MAX - 1);
  }
  share(docs);
  assert_true(number_at(docs[0], DUNLIN_ROOT, "k") == 6);
  for (size_t i = 0; i < actor_count; i++) {
    assert_same_doc(docs[i], docs[0]);
    OK(dunlin_doc_change_at(docs[i], 5, &info));
    assert_true(info.lamport == 1 && info.number == 1);
  }
  free_all(docs);
}

/* ---- Depth -------------------------------------------------------------------------------------------------- */

/* A change that makes maps inside maps, `levels` of them below the root. */
static struct by_hand nested_maps(size_t levels) {
  struct by_hand change = {.actor = 7, .container = root_id, .row_count = levels, .value_count = 2 * levels};
  static const char values[] = "\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0"
                               "\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0"
                               "\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0"
                               "\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0\xa1\x64\0";
  for (size_t i = 0; i < levels; i++) change.rows[i] = (struct change_row){OP_MAP_CHILD, (uint32_t)i, DUNLIN_MAP, 1};
  change.values = (struct dunlin_bytes){values, 3 * levels};
  return change;
}

/* A delta with a million arrays inside arrays: as the whole, as a change, as a value. */
static void refuse_deep_arrays(dunlin_doc *doc) {
  enum { million = 1000000 };
  static const char *const before[] = {"", "\x92\x01\x91", "\x92\x01\x91\x96"};
  char *deep = malloc(million + 8);
  assert_non_null(deep);
  for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
    memset(deep, '\x91', million);
    memcpy(deep, before[i], strlen(before[i]));
    FAILS(dunlin_doc_apply(doc, deep, million, NULL), DUNLIN_EFORMAT);
  }
  memset(deep, '\x91', million);
  struct by_hand change = nested_maps(1);
  struct dunlin_bytes value = spoiled_delta(&change, BYTES("\xa1\x64\0"), (struct dunlin_bytes){deep, million});
  FAILS(dunlin_doc_apply(doc, value.data, value.len, NULL), DUNLIN_EFORMAT); /* the first array is one too many */
  free((void *)(uintptr_t)value.data);
  free(deep);
}

static void depth(void **state) {
  (void)state;
  dunlin_doc *docs[actor_count];
  three(docs);
  for (int in_lists = 0; in_lists < 2; in_lists++) {
    dunlin_obj obj = DUNLIN_ROOT;
    OK(dunlin_begin(docs[0]));
    for (size_t i = 1; i < 1000000; i++) {
      obj = in_lists && i > 1 ? dunlin_list_insert_child(docs[0], obj, 0, DUNLIN_LIST)
                              : dunlin_map_child(docs[0], obj, dunlin_key("d"), in_lists ? DUNLIN_LIST : DUNLIN_MAP);
      assert_int_equal(dunlin_txn_error(docs[0]), i < DUNLIN_MAX_DEPTH ? 0 : DUNLIN_ELIMIT);
    }
    FAILS(dunlin_commit(docs[0], 0, NULL), DUNLIN_ELIMIT);
    absent(docs[0], DUNLIN_ROOT, "d");
  }
  for (size_t i = 0; i < actor_count; i++) {
    struct by_hand deepest = nested_maps(DUNLIN_MAX_DEPTH - 1), deeper = nested_maps(DUNLIN_MAX_DEPTH);
    refuse_deep_arrays(docs[i]);
    assert_int_equal(apply_by_hand(docs[i], &deeper).refused, 1);
    absent(docs[i], DUNLIN_ROOT, "d");
    assert_int_equal(apply_by_hand(docs[i], &deepest).applied, 1);
    assert_int_equal(dunlin_doc_changes(docs[i]), 1);
    assert_same_doc(docs[i], docs[0]);
  }
  put(docs[1], "d", 1); /* the deep one is gone at a stroke */
  test_sync(docs[0], docs[1]);
  assert_same_doc(docs[0], docs[1]);
  free_all(docs);
}

/* ---- Lengths that are not there ----------------------------------------------------------------------------- */

/* Refused without memory or time to speak of, and nothing in the document. */
static void refuse_cheaply(const char *what, struct dunlin_bytes delta) {
  struct seeded s;
  dunlin_doc *doc = NULL;
  struct dunlin_id id = test_id(1);
  seeded_init(&s, 1);
  OK(dunlin_doc_new(&s.env, &id, &(struct dunlin_actor){{1}}, &doc));
  size_t before = s.live;
  s.peak = s.live;
  clock_t start = clock();
  int error = dunlin_doc_apply(doc, delta.data, delta.len, NULL);
  if (error != DUNLIN_EFORMAT && error != DUNLIN_ELIMIT) fail_msg("%s: %s", what, dunlin_error_name(error));
  if (clock() - start > CLOCKS_PER_SEC / 2) fail_msg("%s: too much work", what);
  if (s.peak > before + 65536) fail_msg("%s: %zu bytes", what, s.peak - before);
  assert_int_equal(dunlin_doc_changes(doc) + dunlin_doc_pending(doc), 0);
  dunlin_doc_free(doc);
}

static void run_length_bomb(void **state) {
  (void)state;
  static const struct {
    const char *what;
    struct dunlin_bytes bytes;
  } whole[] = {
      {"10^9 changes", {"\x92\x01\xdd\x3b\x9a\xca\x00\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0", 20}},
      {"2^32 - 1 changes", {"\x92\x01\xdd\xff\xff\xff\xff\x93\xc0\xc0\x90\x93\xc0\xc0\x90\x93\xc0\xc0\x90\xc0", 20}},
      {"2^20 changes", {"\x92\x01\xdd\x00\x10\x00\x00\x93\xc0\xc0\x90\x93\xc0\xc0\x90\x93\xc0\xc0\x90\xc0", 20}},
      {"10^9 parents", {"\x92\x01\x91\x95\xdd\x3b\x9a\xca\x00\xc4\x00\x00\xc4\x00\x93\x00\x00\x01\xc0\xc0", 20}},
      {"10^9 bytes of ids", {"\x92\x01\x91\x95\x90\xc6\x3b\x9a\xca\x00\x00\xc4\x00\x93\x00\x00\x01\xc0\xc0\xc0", 20}},
      {"10^9 rows", {"\x92\x01\x91\x95\x90\xc4\x00\x00\xc4\x00\xdd\x3b\x9a\xca\x00\x00\x00\x01\x00\x00", 20}},
  };
  /* Rows of 1000 operations that are made to say 10^9. */
  static const struct by_hand rows[] = {
      {.rows = {{OP_DELETE, 0, 0, 1000}}},
      {.rows = {{0x70, 0, 0, 1000}}}, /* a kind that nobody knows, and that needs no columns */
  };
  static const char *const lengths[] = {"\xce\x3b\x9a\xca\x00", "\xce\xff\xff\xff\xff", "\xce\x01\x00\x00\x00"};
  for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) refuse_cheaply(whole[i].what, whole[i].bytes);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
      struct by_hand change = rows[i];
      change.actor = 7;
      change.container = root_id;
      change.rows[1] = (struct change_row){OP_DELETE, 0, 0, 1};
      change.row_count = 2;
      struct dunlin_bytes delta = spoiled_delta(&change, BYTES("\xcd\x03\xe8"), (struct dunlin_bytes){lengths[k], 5});
      refuse_cheaply("a long row", delta);
      free((void *)(uintptr_t)delta.data);
    }
  /* Each change within the limit, both together over it. */
  struct change_id_bytes two[2];
  struct buf delta;
  buf_init(&delta, dunlin_env_default(), 1 << 20);
  for (size_t i = 0; i < 2; i++) {
    struct by_hand change = {.actor = (uint8_t)(7 + i),
                             .container = root_id,
                             .rows = {{0x70, 0, 0, DUNLIN_MAX_DELTA_OPS / 2 + 1}},
                             .row_count = 1};
    two[i] = write_change(&change);
  }
  OK(delta_write(&delta, two, 2));
  refuse_cheaply("two long changes", (struct dunlin_bytes){delta.data, delta.len});
  free_changes(two, 2);
  buf_free(&delta);
}

/* ---- Dishonest authors -------------------------------------------------------------------------------------- */

struct branches {
  struct dunlin_id first[2]; /* the two changes number 0 of one actor */
};

static void both_branches(const dunlin_doc *doc, const void *what) {
  const struct branches *b = what;
  struct dunlin_change_info info;
  bool one_first = memcmp(&b->first[0], &b->first[1], sizeof b->first[0]) < 0;
  text_is(doc, one_first ? "one1Atwo2B!" : "two2Bone1A!"); /* all else being equal, the lower change id */
  for (size_t i = 0; i < 2; i++) {
    OK(dunlin_doc_find_change(doc, &b->first[i], &info));
    assert_int_equal(info.number, 0);
    assert_int_equal(info.actor.bytes[0], 1);
  }
}

/* One actor tells one thing to A and another to B, twice; A and B build on what they were told. */
static void equivocation(void **state) {
  (void)state;
  for (int which = 0; which < 8; which++) { /* other contents, other ids */
    dunlin_doc *told_a = test_doc(1), *told_b = test_doc(1), *docs[actor_count];
    struct dunlin_change_info info;
    struct branches b;
    for (size_t i = 0; i < actor_count; i++) docs[i] = test_doc((uint8_t)(2 + i));
    OK(dunlin_begin(told_a));
    OK(dunlin_text_splice(told_a, child(told_a, "t", DUNLIN_TEXT), 0, 0, "one", 3));
    assert_int_equal(dunlin_commit(told_a, which, NULL), 1);
    type(told_b, 0, 0, "two");
    type(told_a, 3, 0, "1");
    type(told_b, 3, 0, "2");
    test_send(told_a, docs[0]);
    test_send(told_b, docs[1]);
    type(docs[0], 4, 0, "A");
    type(docs[1], 4, 0, "B");
    for (size_t i = 0; i < 2; i++) {
      OK(dunlin_doc_change_at(docs[i], 0, &info));
      b.first[i] = info.id;
    }
    test_send(docs[0], docs[2]);
    test_send(docs[1], docs[2]);
    type(docs[2], 10, 0, "!");
    all_end_with(docs, actor_count, 20, both_branches, &b); /* 6! / 3!^2 */
    test_sync(told_a, docs[0]);
    test_sync(told_b, docs[1]);
    both_branches(told_a, &b);
    assert_same_doc(told_a, told_b);
    FAILS(dunlin_begin(told_a), DUNLIN_EINVAL); /* the actor is spent */
    dunlin_doc_free(told_a);
    dunlin_doc_free(told_b);
    free_all(docs);
  }
}

/* A list of "xy" and a text of "abc", and what two others did to them, for a poison to lie beside. */
struct poisoned {
  dunlin_doc *docs[actor_count];
  struct parts honest;
  struct container_id text, list;
};

static struct container_id first_container(const struct change_id_bytes *change) {
  struct change parsed;
  OK(change_parse(change->bytes, &parsed));
  return parsed.containers[0];
}

static struct poisoned before_poison(void) {
  struct poisoned p;
  three(p.docs);
  OK(dunlin_begin(p.docs[0]));
  dunlin_obj list = child(p.docs[0], "l", DUNLIN_LIST);
  OK(dunlin_text_splice(p.docs[0], child(p.docs[0], "t", DUNLIN_TEXT), 0, 0, "abc", 3));
  OK(dunlin_list_insert(p.docs[0], list, 0, str_value("x")));
  OK(dunlin_list_insert(p.docs[0], list, 1, str_value("y")));
  commit(p.docs[0]);
  share(p.docs);
  type(p.docs[1], 3, 0, "B");
  test_send(p.docs[1], p.docs[0]);
  move(p.docs[2], 0, 1);
  test_send(p.docs[2], p.docs[0]);
  p.honest = take_apart(p.docs[0]);
  p.text = first_container(&p.honest.changes[1]);
  p.list = first_container(&p.honest.changes[2]);
  assert_int_equal(p.text.bytes[0], DUNLIN_TEXT);
  assert_int_equal(p.list.bytes[0], DUNLIN_LIST);
  return p;
}

static void without_poison(const dunlin_doc *doc, const void *what) {
  struct dunlin_change_info info;
  const struct change_id_bytes *poison = what;
  text_is(doc, "abcB");
  list_is(doc, "yx");
  assert_int_equal(dunlin_doc_changes(doc), 3);
  for (int i = 0; i < 2; i++) FAILS(dunlin_doc_find_change(doc, &poison[i].id, &info), DUNLIN_ENOENT);
}

static const char *trying; /* to be named when it fails */

/* The poison and a harmless change built on it, among the honest ones, in every order at all. */
static void try_poison(const char *what, struct poisoned *p, struct by_hand poison) {
  poison.parent = &p->honest.changes[0].id;
  poison.actor = 7;
  if (!poison.row_count) poison.row_count = 1;
  struct change_id_bytes bad[2] = {write_change(&poison)};
  struct by_hand follower = {.parent = &bad[0].id,
                             .number = 1,
                             .container = p->text,
                             .rows = {{OP_TEXT_INSERT, 0, 0, 1}},
                             .row_count = 1,
                             .text = "F"};
  bad[1] = write_change(&follower);
  struct parts parts = p->honest;
  parts.changes[parts.count++] = bad[0];
  parts.changes[parts.count++] = bad[1];
  struct search s = {.parts = &parts, .model = p->docs[0], .expect = without_poison, .what = bad, .poisoned = true};
  trying = what;
  try_orders(&s, 0);
  assert_int_equal(s.orders, 120);
  for (size_t i = 0; i < 2; i++) free((void *)(uintptr_t)bad[i].bytes.data);
}

static void poisoned_change(void **state) {
  (void)state;
  static const struct {
    const char *what;
    bool in_list;
    struct by_hand change;
  } cases[] = {
      {"insert behind the end", false, {.rows = {{OP_TEXT_INSERT, 0, 4, 1}}, .text = "P"}},
      {"insert at 2^32 - 1", false, {.rows = {{OP_TEXT_INSERT, 0, UINT32_MAX, 1}}, .text = "P"}},
      {"delete at the end", false, {.rows = {{OP_DELETE, 0, 3, 1}}}},
      {"delete beyond the end", false, {.rows = {{OP_DELETE, 0, 2, 2}}}},
      {"delete more than all", false, {.rows = {{OP_DELETE, 0, 0, 4}}}},
      {"delete 2^24", false, {.rows = {{OP_DELETE, 0, 0, 1u << 24}}}},
      {"a good row, then a bad one",
       false,
       {.rows = {{OP_TEXT_INSERT, 0, 0, 1}, {OP_DELETE, 0, 1, 1}, {OP_DELETE, 0, 3, 1}}, .row_count = 3, .text = "P"}},
      {"list: insert behind the end",
       true,
       {.rows = {{OP_LIST_INSERT, 0, 3, 1}}, .values = {"\x01", 1}, .value_count = 1}},
      {"list: insert two, the second in range",
       true,
       {.rows = {{OP_LIST_INSERT, 0, 3, 2}}, .values = {"\x01\x02", 2}, .value_count = 2}},
      {"list: child behind the end",
       true,
       {.rows = {{OP_LIST_CHILD, 0, 3, 1}}, .values = {"\x10", 1}, .value_count = 1}},
      {"list: delete at the end", true, {.rows = {{OP_DELETE, 0, 2, 1}}}},
      {"list: set behind the end", true, {.rows = {{OP_LIST_SET, 0, 2, 1}}, .values = {"\x01", 1}, .value_count = 1}},
      {"list: set child behind the end",
       true,
       {.rows = {{OP_LIST_SET_CHILD, 0, 2, 1}}, .values = {"\x10", 1}, .value_count = 1}},
      {"list: move what is not there",
       true,
       {.rows = {{OP_LIST_MOVE, 0, 2, 1}}, .values = {"\x00", 1}, .value_count = 1}},
      {"list: move behind the end", true, {.rows = {{OP_LIST_MOVE, 0, 0, 1}}, .values = {"\x03", 1}, .value_count = 1}},
  };
  struct poisoned p = before_poison();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct by_hand change = cases[i].change;
    change.container = cases[i].in_list ? p.list : p.text;
    try_poison(cases[i].what, &p, change);
  }
  free_changes(p.honest.changes, p.honest.count);
  free_all(p.docs);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(non_canonical_delta), cmocka_unit_test(huge_clock),   cmocka_unit_test(depth),
      cmocka_unit_test(run_length_bomb),     cmocka_unit_test(equivocation), cmocka_unit_test(poisoned_change),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (failed && trying) printf("the last poison: %s\n", trying);
  return failed;
}
