/* Plain values in and out of documents: what is read, what is refused, and that few operations are written. */
#include "test/support/plain.h"

#include "crdt/doc.h"
#include "test/fault/seeded.h"

static void write_note(dunlin_doc *doc, const char *key, const char *notation) {
  struct buf value = plain_of(notation);
  OK(dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key(key), buf_bytes(&value)));
  buf_free(&value);
}

/* Commits, and gives the number of operations. */
static size_t commit(dunlin_doc *doc) {
  struct dunlin_id id;
  struct dunlin_change_info info;
  int rc = dunlin_commit(doc, 0, &id);
  OK(rc);
  if (!rc) return 0;
  OK(dunlin_doc_find_change(doc, &id, &info));
  return info.operations;
}

/* Writes the value at "v", and gives the number of operations that it took. */
static size_t put(dunlin_doc *doc, const char *notation) {
  OK(dunlin_begin(doc));
  write_note(doc, "v", notation);
  size_t operations = commit(doc);
  struct dunlin_value value;
  struct buf all;
  buf_init(&all, dunlin_env_default(), SIZE_MAX);
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("v"), &value));
  plain_of_value(doc, &value, &all);
  assert_plain(buf_bytes(&all), notation);
  buf_free(&all);
  OK(doc_check(doc, true));
  return operations;
}

static void trees_are_written_and_read(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  assert_reads(doc, DUNLIN_ROOT, "{}");
  assert_int_equal(put(doc, "{'a': 1, 'b': [1, 2.5, 'x', null, true], 'c': {'d': {}, 'e': []}}"), 11);
  assert_int_equal(put(doc, "{'a': 1, 'b': [1, 2.5, 'x', null, true], 'c': {'d': {}, 'e': []}}"), 0);
  assert_int_equal(put(doc, "{'a': 1, 'b': [1, 2.5, 'y', null, true], 'c': {'e': []}}"), 2);
  assert_int_equal(put(doc, "{'c': {'e': {}}, 'f': false}"), 4); /* a, b and e gone or replaced, f */
  assert_int_equal(put(doc, "[]"), 1);
  assert_int_equal(put(doc, "3"), 1);
  dunlin_doc_free(doc);
}

static void lists_change_by_few_operations(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  assert_int_equal(put(doc, "['a', 'b', 'c', 'd', 'e']"), 6);
  assert_int_equal(put(doc, "['x', 'a', 'b', 'c', 'd', 'e', 'y']"), 2);
  assert_int_equal(put(doc, "['x', 'b', 'c', 'z', 'd', 'e', 'y']"), 2);
  assert_int_equal(put(doc, "['x', 'b', 'c', 'Z', 'd', 'e', 'y']"), 1);
  assert_int_equal(put(doc, "['d', 'e']"), 5);
  assert_int_equal(put(doc, "[4, 'e']"), 1);
  assert_int_equal(put(doc, "['d', 'e']"), 1);
  assert_int_equal(put(doc, "[{'n': 1, 'm': 'same'}, 'e']"), 3); /* d is replaced by a map */
  assert_int_equal(put(doc, "[{'n': 2, 'm': 'same'}, 'e']"), 1); /* inside */
  assert_int_equal(put(doc, "[[1], {'n': 2, 'm': 'same'}, [[]], 'e']"), 4);
  dunlin_doc_free(doc);
}

/* Too many differences for the comparison, which then counts elements off. */
static void long_lists_that_differ_are_written(void **state) {
  (void)state;
  enum { many = 3000 };
  dunlin_doc *doc = test_doc(1);
  for (int round = 0; round < 3; round++) {
    struct buf value;
    buf_init(&value, dunlin_env_default(), SIZE_MAX);
    plain_write_head(&value, false, many - (size_t)round * 100);
    for (int i = 0; i < many - round * 100; i++) mp_write_int(&value, i * 3 + round);
    OK(dunlin_begin(doc));
    OK(dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), buf_bytes(&value)));
    assert_true(commit(doc) <= many + 1);
    struct dunlin_value list;
    void *out = NULL;
    size_t len = 0;
    OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("v"), &list));
    OK(dunlin_read_plain(doc, list.as.obj, &out, &len));
    assert_true(len == value.len && !memcmp(out, value.data, len));
    dunlin_free(NULL, out, len);
    buf_free(&value);
  }
  dunlin_doc_free(doc);
}

static void texts_and_counters_stay_what_they_are(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  struct dunlin_value value;
  OK(dunlin_begin(doc));
  dunlin_obj map = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("v"), DUNLIN_MAP);
  dunlin_obj text = dunlin_map_child(doc, map, dunlin_key("t"), DUNLIN_TEXT);
  dunlin_obj counter = dunlin_map_child(doc, map, dunlin_key("n"), DUNLIN_COUNTER);
  OK(dunlin_text_splice(doc, text, 0, 0, "caf\xc3\xa9 noir", 10));
  OK(dunlin_counter_add(doc, counter, 5));
  commit(doc);
  assert_int_equal(put(doc, "{'t': 'caf\xc3\xa9 noir', 'n': 5}"), 0);
  assert_int_equal(put(doc, "{'t': 'caf\xc3\xa8 noir', 'n': -9223372036854775807}"),
                   3); /* e with another accent: a character */
  assert_text(doc, text, "caf\xc3\xa8 noir");
  assert_int_equal(put(doc, "{'t': '', 'n': 9223372036854775807}"), 10);
  OK(dunlin_map_get(doc, map, dunlin_key("t"), &value));
  assert_int_equal(value.kind, DUNLIN_TEXT);
  OK(dunlin_map_get(doc, map, dunlin_key("n"), &value));
  assert_int_equal(value.kind, DUNLIN_COUNTER);
  assert_int_equal(put(doc, "{'t': 7, 'n': 'seven'}"), 2); /* no such text or counter */
  dunlin_doc_free(doc);
}

/* Any string becomes any other by one splice that leaves alone what is common at both ends. */
static void any_text_becomes_any_other(void **state) {
  (void)state;
  static const char *const letters[] = {
      "a", "a", "b", "\xc3\xa9", "\xc3\xa8", "\xc4\xa8", "\xf0\x9f\xa6\x86", "\xf0\x9f\xa6\x87"};
  uint64_t first = seed_first(), count = seed_count(500);
  for (uint64_t seed = first; seed < first + count; seed++) {
    struct rng rng = rng_of(plain_seed = seed);
    dunlin_doc *doc = test_doc(1);
    OK(dunlin_doc_set_unit(doc, (enum dunlin_unit)(seed % 3))); /* which is not that of plain values */
    OK(dunlin_begin(doc));
    dunlin_obj text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("v"), DUNLIN_TEXT);
    for (int step = 0; step < 20; step++) {
      char string[64] = "", now[64];
      struct buf value;
      size_t length = rng_below(&rng, 8);
      for (size_t i = 0; i < length; i++) strcat(string, letters[rng_below(&rng, sizeof letters / sizeof *letters)]);
      buf_init(&value, dunlin_env_default(), SIZE_MAX);
      mp_write_str(&value, string, strlen(string));
      OK(dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), buf_bytes(&value)));
      size_t len = dunlin_text_read(doc, text, now, sizeof now);
      if (len != strlen(string) || memcmp(now, string, len))
        fail_msg("TEST_SEED=%llu: %.*s instead of %s", (unsigned long long)seed, (int)len, now, string);
      buf_free(&value);
    }
    commit(doc);
    OK(doc_check(doc, true));
    dunlin_doc_free(doc);
  }
  plain_seed = 0;
}

/* A string that is too long for a member of a set. */
#define FIFTY "12345678901234567890123456789012345678901234567890"
#define LONG                                                                                                           \
  FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY    \
      FIFTY FIFTY

/* Sets take the elements of a list as members; what is written to a max, min or first is offered. */
static void sets_and_offers_keep_their_rules(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  struct dunlin_value value;
  OK(dunlin_begin(doc));
  dunlin_obj map = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("v"), DUNLIN_MAP);
  dunlin_map_child(doc, map, dunlin_key("set"), DUNLIN_SET);
  dunlin_map_child(doc, map, dunlin_key("grows"), DUNLIN_GROWING_SET);
  dunlin_map_child(doc, map, dunlin_key("max"), DUNLIN_MAX);
  dunlin_map_child(doc, map, dunlin_key("first"), DUNLIN_FIRST);
  commit(doc);
  assert_reads(doc, map, "{'set': [], 'grows': [], 'max': null, 'first': null}");
  OK(dunlin_begin(doc));
  write_note(doc, "v", "{'set': ['b', 1, 'a', 'b'], 'grows': [2, 1], 'max': 5, 'first': 'x'}");
  assert_int_equal(commit(doc), 7);
  assert_reads(doc, map, "{'set': [1, 'a', 'b'], 'grows': [1, 2], 'max': 5, 'first': 'x'}");
  OK(dunlin_begin(doc));
  write_note(doc, "v", "{'set': ['b', 'c', 1], 'grows': [3], 'max': 4, 'first': 'y'}");
  assert_int_equal(commit(doc), 3);
  assert_reads(doc, map, "{'set': [1, 'b', 'c'], 'grows': [1, 2, 3], 'max': 5, 'first': 'x'}");
  OK(dunlin_begin(doc));
  write_note(doc, "v", "{'set': ['" LONG "'], 'grows': 3, 'max': 'no number', 'first': {}}");
  commit(doc);
  assert_reads(doc, map, "{'set': ['" LONG "'], 'grows': 3, 'max': 'no number', 'first': {}}");
  OK(dunlin_map_get(doc, map, dunlin_key("set"), &value));
  assert_int_equal(value.kind, DUNLIN_LIST);
  OK(doc_check(doc, true));
  dunlin_doc_free(doc);
}

/* A conflict shows its winner; a value that shows is not written; one that is written settles it. */
static void conflicts_show_their_winner(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_value other;
  put(a, "1");
  put(b, "2");
  test_sync(a, b);
  assert_reads(a, DUNLIN_ROOT, "{'v': 2}");
  assert_int_equal(put(a, "2"), 0);
  OK(dunlin_map_conflict(a, DUNLIN_ROOT, dunlin_key("v"), 1, &other));
  assert_int_equal(put(a, "1"), 1);
  FAILS(dunlin_map_conflict(a, DUNLIN_ROOT, dunlin_key("v"), 1, &other), DUNLIN_ENOENT);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

/* ---- What is read ------------------------------------------------------------------------------------------- */

/* Bytes of a literal, in tables. */
#define BYTES(s)                                                                                                       \
  { (s), sizeof(s) - 1 }

static int opened(struct dunlin_bytes bytes, struct plain *plain) {
  return plain_open(plain, dunlin_env_default(), bytes, true);
}

static void any_msgpack_becomes_canonical(void **state) {
  (void)state;
  static const struct {
    struct dunlin_bytes given, canonical;
  } table[] = {
      {BYTES("\xcf\0\0\0\0\0\0\0\x05"), BYTES("\x05")},
      {BYTES("\xd3\xff\xff\xff\xff\xff\xff\xff\xff"), BYTES("\xff")},
      {BYTES("\xd2\0\0\0\x07"), BYTES("\x07")},
      {BYTES("\xd1\xff\x7f"), BYTES("\xd1\xff\x7f")},
      {BYTES("\xd0\x80"), BYTES("\xd0\x80")},
      {BYTES("\xcc\x80"), BYTES("\xcc\x80")},
      {BYTES("\xcd\0\x80"), BYTES("\xcc\x80")},
      {BYTES("\xca\x3f\x80\0\0"), BYTES("\xcb\x3f\xf0\0\0\0\0\0\0")},
      {BYTES("\xca\xff\xc0\0\x01"), BYTES("\xcb\x7f\xf8\0\0\0\0\0\0")},
      {BYTES("\xcb\xff\xf8\0\0\0\0\0\x01"), BYTES("\xcb\x7f\xf8\0\0\0\0\0\0")},
      {BYTES("\xd9\x01"
             "a"),
       BYTES("\xa1"
             "a")},
      {BYTES("\xdb\0\0\0\x01"
             "a"),
       BYTES("\xa1"
             "a")},
      {BYTES("\xc6\0\0\0\x01"
             "a"),
       BYTES("\xc4\x01"
             "a")},
      {BYTES("\xc7\x08\x01\0\0\0\0\0\0\0\x09"), BYTES("\xd7\x01\0\0\0\0\0\0\0\x09")},
      {BYTES("\xdd\0\0\0\x01\xc0"), BYTES("\x91\xc0")},
      {BYTES("\xdf\0\0\0\x01\xd9\x01"
             "a\xc3"),
       BYTES("\x81\xa1"
             "a\xc3")},
      {BYTES("\x84\xa1"
             "c\x03\xa1"
             "a\x01\xa0\x04\xa2"
             "aa\x02"),
       BYTES("\x84\xa0\x04\xa1"
             "a\x01\xa2"
             "aa\x02\xa1"
             "c\x03")},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct plain plain;
    OK(opened(table[i].given, &plain));
    assert_plain_bytes(plain_bytes(&plain, plain.nodes), table[i].canonical);
    plain_close(&plain);
  }
}

/* Each length in its shortest head, whatever the one that was given. */
static void heads_are_the_shortest(void **state) {
  (void)state;
  static const size_t counts[] = {0, 15, 16, 65535, 65536};
  static const struct dunlin_bytes lists[] = {BYTES("\x90"), BYTES("\x9f"), BYTES("\xdc\0\x10"), BYTES("\xdc\xff\xff"),
                                              BYTES("\xdd\0\x01\0\0")};
  static const struct dunlin_bytes maps[] = {BYTES("\x80"), BYTES("\x8f"), BYTES("\xde\0\x10"), BYTES("\xde\xff\xff"),
                                             BYTES("\xdf\0\x01\0\0")};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    for (int map = 0; map < 2; map++) {
      struct dunlin_bytes head = map ? maps[i] : lists[i];
      uint8_t wide[5] = {map ? 0xdf : 0xdd};
      struct plain plain;
      struct buf given, members;
      buf_init(&given, dunlin_env_default(), SIZE_MAX);
      buf_init(&members, dunlin_env_default(), SIZE_MAX);
      put_be32(wide + 1, (uint32_t)counts[i]);
      for (size_t k = 0; k < counts[i]; k++) {
        char key[8];
        if (map) mp_write_str(&members, key, (size_t)snprintf(key, sizeof key, "%05zu", k));
        mp_write_nil(&members);
      }
      buf_append(&given, wide, sizeof wide);
      buf_append(&given, members.data, members.len);
      OK(opened(buf_bytes(&given), &plain));
      struct dunlin_bytes got = plain_bytes(&plain, plain.nodes);
      assert_int_equal(got.len, head.len + members.len);
      assert_memory_equal(got.data, head.data, head.len);
      if (members.len) assert_memory_equal((const char *)got.data + head.len, members.data, members.len);
      plain_close(&plain);
      buf_free(&given);
      buf_free(&members);
    }
  }
}

static void what_is_no_plain_value_is_refused(void **state) {
  (void)state;
  static const struct {
    struct dunlin_bytes bytes;
    int error;
  } table[] = {
      {BYTES(""), DUNLIN_EFORMAT},
      {BYTES("\xc1"), DUNLIN_EFORMAT},
      {BYTES("\x01\x01"), DUNLIN_EFORMAT},
      {BYTES("\x92\x01"), DUNLIN_EFORMAT},
      {BYTES("\xdd\xff\xff\xff\xff"), DUNLIN_EFORMAT},
      {BYTES("\xdf\xff\xff\xff\xff"), DUNLIN_EFORMAT},
      {BYTES("\x81\x01\x01"), DUNLIN_EFORMAT}, /* a number as key */
      {BYTES("\x82\xa1"
             "a\x01\xd9\x01"
             "a\x01"),
       DUNLIN_EFORMAT}, /* a key twice */
      {BYTES("\x83\xa1"
             "b\x01\xa1"
             "a\x01\xa1"
             "b\x01"),
       DUNLIN_EFORMAT},
      {BYTES("\xd4\x01\0"), DUNLIN_EFORMAT},
      {BYTES("\xd7\x02\0\0\0\0\0\0\0\0"), DUNLIN_EFORMAT},
      {BYTES("\xc7\x07\x01\0\0\0\0\0\0\0"), DUNLIN_EFORMAT},
      {BYTES("\xa1\xff"), DUNLIN_EUTF8},
      {BYTES("\x81\xa1\xff\x01"), DUNLIN_EUTF8},
      {BYTES("\xa3\xed\xa0\x80"), DUNLIN_EUTF8},
      {BYTES("\xcf\x80\0\0\0\0\0\0\0"), DUNLIN_ERANGE},
      {BYTES("\xdb\0\0\0"), DUNLIN_EFORMAT},
      {BYTES("\xca\0\0\0"), DUNLIN_EFORMAT},
      {BYTES("\xc4\x02"
             "a"),
       DUNLIN_EFORMAT},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct plain plain;
    int error = opened(table[i].bytes, &plain);
    if (error != table[i].error) fail_msg("row %zu: %s", i, dunlin_error_name(error));
  }
}

static struct buf nested(size_t depth) {
  struct buf out;
  buf_init(&out, dunlin_env_default(), SIZE_MAX);
  for (size_t i = 0; i < depth; i++) plain_write_head(&out, false, 1);
  mp_write_nil(&out);
  return out;
}

static void limits_hold(void **state) {
  (void)state;
  struct plain plain;
  struct buf deep = nested(DUNLIN_MAX_DEPTH), deeper = nested(DUNLIN_MAX_DEPTH + 1), bomb = nested(1000000), key, many;
  OK(opened(buf_bytes(&deep), &plain));
  plain_close(&plain);
  FAILS(opened(buf_bytes(&deeper), &plain), DUNLIN_ELIMIT);
  FAILS(opened(buf_bytes(&bomb), &plain), DUNLIN_ELIMIT);
  static char name[DUNLIN_MAX_KEY + 1];
  for (size_t over = 0; over < 2; over++) {
    buf_init(&key, dunlin_env_default(), SIZE_MAX);
    plain_write_head(&key, true, 1);
    mp_write_str(&key, name, DUNLIN_MAX_KEY + over);
    mp_write_nil(&key);
    FAILS(opened(buf_bytes(&key), &plain), over ? DUNLIN_ELIMIT : 0);
    if (!over) plain_close(&plain);
    buf_free(&key);
  }
  for (size_t over = 0; over < 2; over++) {
    buf_init(&many, dunlin_env_default(), SIZE_MAX);
    plain_write_head(&many, false, DUNLIN_MAX_PLAIN_VALUES - 1 + over);
    for (size_t i = 0; i < DUNLIN_MAX_PLAIN_VALUES - 1 + over; i++) mp_write_nil(&many);
    FAILS(opened(buf_bytes(&many), &plain), over ? DUNLIN_ELIMIT : 0);
    if (!over) plain_close(&plain);
    buf_free(&many);
  }
  static char large[DUNLIN_MAX_PLAIN + 1];
  FAILS(opened((struct dunlin_bytes){large, sizeof large}, &plain), DUNLIN_ELIMIT);
  buf_free(&deep);
  buf_free(&deeper);
  buf_free(&bomb);
}

/* A document's own depth counts from its root. */
static void a_value_that_a_document_cannot_hold_is_refused(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  struct dunlin_id before, after;
  struct buf deep = nested(DUNLIN_MAX_DEPTH - 1), deeper = nested(DUNLIN_MAX_DEPTH);
  OK(dunlin_doc_hash(doc, &before));
  OK(dunlin_begin(doc));
  FAILS(dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), buf_bytes(&deeper)), DUNLIN_ELIMIT);
  FAILS(dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("w"), buf_bytes(&deep)), DUNLIN_ELIMIT);
  FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_ELIMIT);
  OK(dunlin_doc_hash(doc, &after));
  assert_memory_equal(&before, &after, sizeof before);
  OK(dunlin_begin(doc));
  OK(dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), buf_bytes(&deep)));
  assert_int_equal(commit(doc), DUNLIN_MAX_DEPTH);
  buf_free(&deep);
  buf_free(&deeper);
  dunlin_doc_free(doc);
}

/* ---- Where it may be written -------------------------------------------------------------------------------- */

static void writes_belong_into_a_transaction_on_what_shows(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1), *other = test_doc(2);
  struct buf one = plain_of("1"), map = plain_of("{}");
  struct dunlin_path_op op = {DUNLIN_OP_SET, BYTES("/v"), buf_bytes(&one), 0};
  FAILS(dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), buf_bytes(&one)), DUNLIN_ESTATE);
  FAILS(dunlin_map_merge(doc, DUNLIN_ROOT, buf_bytes(&map)), DUNLIN_ESTATE);
  FAILS(dunlin_path_apply(doc, DUNLIN_ROOT, &op), DUNLIN_ESTATE);
  put(doc, "[1]");
  struct dunlin_id head = *dunlin_doc_heads(doc, &(size_t){0});
  put(other, "[2]");
  test_sync(doc, other);
  for (int i = 0; i < 3; i++) {
    OK(dunlin_begin_at(doc, &head, 1));
    if (i == 0) FAILS(dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), buf_bytes(&one)), DUNLIN_ESTATE);
    if (i == 1) FAILS(dunlin_map_merge(doc, DUNLIN_ROOT, buf_bytes(&map)), DUNLIN_ESTATE);
    if (i == 2) FAILS(dunlin_path_apply(doc, DUNLIN_ROOT, &op), DUNLIN_ESTATE);
    FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_ESTATE);
  }
  void *out = NULL;
  size_t len = 0;
  FAILS(dunlin_read_plain(doc, DUNLIN_NONE, &out, &len), DUNLIN_EKIND);
  for (int i = 0; i < 3; i++) {
    OK(dunlin_begin(doc));
    if (i == 0) FAILS(dunlin_write_plain(doc, DUNLIN_NONE, dunlin_key("v"), buf_bytes(&one)), DUNLIN_EKIND);
    if (i == 1) FAILS(dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("\xff"), buf_bytes(&one)), DUNLIN_EUTF8);
    if (i == 2) FAILS(dunlin_path_apply(doc, DUNLIN_NONE, &op), DUNLIN_EKIND);
    assert_true(dunlin_commit(doc, 0, NULL) < 0);
  }
  buf_free(&one);
  buf_free(&map);
  dunlin_doc_free(doc);
  dunlin_doc_free(other);
}

/* ---- At random ---------------------------------------------------------------------------------------------- */

/* Any value becomes any other; what shows is exactly that, here and elsewhere, and writing it again does nothing. */
static void any_value_becomes_any_other(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(300);
  for (uint64_t seed = first; seed < first + count; seed++) {
    struct rng rng = rng_of(seed);
    dunlin_doc *doc = test_doc(1), *other = test_doc(2);
    struct buf now;
    buf_init(&now, dunlin_env_default(), SIZE_MAX);
    mp_write_nil(&now);
    for (int step = 0; step < 20; step++) {
      struct buf next;
      struct plain plain;
      size_t budget = 60;
      buf_init(&next, dunlin_env_default(), SIZE_MAX);
      OK(opened(buf_bytes(&now), &plain));
      if (step % 4) mutate_plain(&rng, &plain, plain.nodes, &next, 0);
      else random_plain(&rng, &next, 0, &budget);
      plain_close(&plain);
      buf_free(&now);
      now = next;
      int error = opened(buf_bytes(&now), &plain);
      if (error == DUNLIN_EFORMAT) { /* a key twice */
        buf_clear(&now);
        mp_write_nil(&now);
        continue;
      }
      OK(error);
      OK(dunlin_begin(doc));
      OK(dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), buf_bytes(&now)));
      commit(doc);
      OK(dunlin_begin(doc));
      OK(dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), buf_bytes(&now)));
      if (commit(doc)) fail_msg("TEST_SEED=%llu: written twice", (unsigned long long)seed);
      test_send(doc, other);
      void *out = NULL;
      size_t len = 0;
      OK(dunlin_read_plain(other, DUNLIN_ROOT, &out, &len));
      struct dunlin_bytes expected = plain_bytes(&plain, plain.nodes);
      if (len != expected.len + 3 || memcmp((char *)out + 3, expected.data, expected.len))
        fail_msg("TEST_SEED=%llu, step %d", (unsigned long long)seed, step);
      dunlin_free(NULL, out, len);
      plain_close(&plain);
    }
    OK(doc_check(doc, true));
    buf_free(&now);
    dunlin_doc_free(doc);
    dunlin_doc_free(other);
  }
}

/* ---- Comparing lists ---------------------------------------------------------------------------------------- */

enum { short_list = 40 };

static struct buf random_list(struct rng *rng, int64_t *values, size_t *count) {
  struct buf out;
  buf_init(&out, dunlin_env_default(), SIZE_MAX);
  *count = rng_below(rng, short_list + 1);
  size_t kinds = 1 + rng_below(rng, 12);
  plain_write_head(&out, false, *count);
  for (size_t i = 0; i < *count; i++) mp_write_int(&out, values[i] = (int64_t)rng_below(rng, kinds));
  return out;
}

/* The most elements that can stay, by the textbook. */
static size_t most_in_common(const int64_t *a, size_t n, const int64_t *b, size_t m) {
  static size_t best[short_list + 1][short_list + 1];
  for (size_t i = 0; i <= n; i++) {
    for (size_t j = 0; j <= m; j++) {
      best[i][j] = !i || !j ? 0 : best[i - 1][j] > best[i][j - 1] ? best[i - 1][j] : best[i][j - 1];
      if (i && j && a[i - 1] == b[j - 1] && best[i - 1][j - 1] + 1 > best[i][j]) best[i][j] = best[i - 1][j - 1] + 1;
    }
  }
  return best[n][m];
}

/* As many elements stay as can, and none passes another. */
static void scripts_are_the_shortest(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(3000);
  for (uint64_t seed = first; seed < first + count; seed++) {
    struct rng rng = rng_of(seed);
    int64_t a[short_list], b[short_list];
    size_t n, m, kept = 0, next = 0;
    struct buf from = random_list(&rng, a, &n), to = random_list(&rng, b, &m);
    struct plain plain_from, plain_to;
    struct plain_script script;
    OK(opened(buf_bytes(&from), &plain_from));
    OK(opened(buf_bytes(&to), &plain_to));
    OK(plain_compare_lists(&script, dunlin_env_default(), &plain_from, plain_from.nodes, &plain_to, plain_to.nodes));
    for (size_t i = 0; i < n; i++) {
      if (script.target[i] == PLAIN_NONE) continue;
      assert_true(script.target[i] >= next && script.target[i] < m);
      next = script.target[i] + 1;
      kept += a[i] == b[script.target[i]];
    }
    size_t expected = most_in_common(a, n, b, m);
    if (script.rough || kept != expected)
      fail_msg("TEST_SEED=%llu: %zu of %zu", (unsigned long long)seed, kept, expected);
    plain_script_free(&script);
    plain_close(&plain_from);
    plain_close(&plain_to);
    buf_free(&from);
    buf_free(&to);
  }
}

/* ---- Memory ------------------------------------------------------------------------------------------------- */

/* Reads and writes with the nth allocation failing: the first error, and then the document is as it was. */
static int workload(const struct seeded *memory, dunlin_doc *doc) {
  static const char *const notes[] = {"{'t': 'some words', 'l': [1, [2], 3], 'm': {'a': 1, 'b': 2}}",
                                      "{'t': 'some other words', 'l': [1, 4, [2, 5], 3], 'm': {'b': 3}}", "[1]"};
  int error = 0;
  for (size_t i = 0; !error && i < 3; i++) {
    struct buf value = plain_of(notes[i]);
    error = dunlin_begin(doc);
    if (!error) {
      (void)dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), buf_bytes(&value));
      error = dunlin_commit(doc, 0, NULL);
      error = error < 0 ? error : 0;
    }
    void *out = NULL;
    size_t len = 0;
    if (!error) error = dunlin_read_plain(doc, DUNLIN_ROOT, &out, &len);
    dunlin_free(&memory->env, out, len);
    buf_free(&value);
  }
  return error;
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  struct dunlin_id id = test_id(1);
  struct dunlin_actor actor = {{1}};
  uint64_t all = 1, failed = 0;
  for (uint64_t n = 0; n <= all; n++) {
    struct seeded memory;
    dunlin_doc *doc = NULL;
    seeded_init(&memory, 1);
    OK(dunlin_doc_new(&memory.env, &id, &actor, &doc));
    OK(dunlin_begin(doc));
    dunlin_obj map = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("v"), DUNLIN_MAP);
    OK(dunlin_text_splice(doc, dunlin_map_child(doc, map, dunlin_key("t"), DUNLIN_TEXT), 0, 0, "words", 5));
    OK(dunlin_commit(doc, 0, NULL));
    memory.fail_at = n ? memory.allocations + n : 0;
    uint64_t before = memory.allocations;
    int error = workload(&memory, doc);
    if (!n) all = memory.allocations - before;
    if (error && error != DUNLIN_ENOMEM)
      fail_msg("allocation %llu: %s", (unsigned long long)n, dunlin_error_name(error));
    failed += error == DUNLIN_ENOMEM;
    memory.fail_at = 0;
    OK(doc_check(doc, true));
    OK(workload(&memory, doc));
    void *out = NULL;
    size_t len = 0;
    OK(dunlin_read_plain(doc, DUNLIN_ROOT, &out, &len));
    assert_plain((struct dunlin_bytes){out, len}, "{'v': [1]}");
    dunlin_free(&memory.env, out, len);
    dunlin_doc_free(doc);
    if (memory.live) fail_msg("allocation %llu: %zu bytes are lost", (unsigned long long)n, (size_t)memory.live);
  }
  assert_true(failed > 50 && failed >= all / 2);
}

/* One change in a text and a list. */
static void edit_both(dunlin_doc *doc, size_t at, size_t remove) {
  OK(dunlin_begin(doc));
  dunlin_obj text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  dunlin_obj list = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("l"), DUNLIN_LIST);
  OK(dunlin_text_splice(doc, text, at, remove, "xyz", 3));
  OK(dunlin_list_delete(doc, list, at, remove));
  for (size_t i = 0; i < 3; i++) OK(dunlin_list_insert(doc, list, at, int_value((int64_t)i)));
  commit(doc);
}

/* Everything that `from`, a document of that environment, has goes to `to`. */
static void send_from(const struct dunlin_env *env, dunlin_doc *from, dunlin_doc *to) {
  void *delta = NULL;
  size_t heads, len = 0;
  const struct dunlin_id *since = dunlin_doc_heads(to, &heads);
  OK(dunlin_doc_delta(from, since, heads, &delta, &len));
  OK(dunlin_doc_apply(to, delta, len, NULL));
  dunlin_free(env, delta, len);
}

/* Texts and lists that others have edited meanwhile lag behind until they are read, which may need memory that is not
 * there. */
static void what_lags_behind_is_read_or_not(void **state) {
  (void)state;
  struct dunlin_id id = test_id(1);
  struct dunlin_actor actor = {{1}};
  uint64_t failed = 0, all = 1;
  for (uint64_t n = 0; n <= all; n++) {
    struct seeded memory;
    dunlin_doc *doc = NULL, *author = test_doc(2);
    void *expected = NULL, *got = NULL;
    size_t expected_len = 0, len = 0;
    seeded_init(&memory, 1);
    OK(dunlin_doc_new(&memory.env, &id, &actor, &doc));
    edit_both(doc, 0, 0);
    send_from(&memory.env, doc, author);
    for (size_t i = 0; i < 40; i++) { /* so that what is there has to grow */
      if (i < 3) edit_both(doc, 0, 0);
      edit_both(author, i, 2);
      send_from(NULL, author, doc);
    }
    uint64_t before = memory.allocations;
    memory.fail_at = n ? before + n : 0;
    int error = dunlin_read_plain(doc, DUNLIN_ROOT, &got, &len);
    if (!n) all = memory.allocations - before;
    memory.fail_at = 0;
    if (error) {
      assert_int_equal(error, DUNLIN_ENOMEM);
      failed++;
      OK(dunlin_read_plain(doc, DUNLIN_ROOT, &got, &len));
    }
    send_from(&memory.env, doc, author);
    OK(dunlin_read_plain(author, DUNLIN_ROOT, &expected, &expected_len));
    assert_plain_bytes((struct dunlin_bytes){got, len}, (struct dunlin_bytes){expected, expected_len});
    dunlin_free(&memory.env, got, len);
    dunlin_free(NULL, expected, expected_len);
    dunlin_doc_free(doc);
    dunlin_doc_free(author);
    assert_int_equal(memory.live, 0);
  }
  assert_true(failed > 20 && failed >= all - 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(trees_are_written_and_read),
      cmocka_unit_test(lists_change_by_few_operations),
      cmocka_unit_test(long_lists_that_differ_are_written),
      cmocka_unit_test(texts_and_counters_stay_what_they_are),
      cmocka_unit_test(any_text_becomes_any_other),
      cmocka_unit_test(sets_and_offers_keep_their_rules),
      cmocka_unit_test(conflicts_show_their_winner),
      cmocka_unit_test(any_msgpack_becomes_canonical),
      cmocka_unit_test(heads_are_the_shortest),
      cmocka_unit_test(scripts_are_the_shortest),
      cmocka_unit_test(what_is_no_plain_value_is_refused),
      cmocka_unit_test(limits_hold),
      cmocka_unit_test(a_value_that_a_document_cannot_hold_is_refused),
      cmocka_unit_test(writes_belong_into_a_transaction_on_what_shows),
      cmocka_unit_test(any_value_becomes_any_other),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(what_lags_behind_is_read_or_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
