/* Changes and deltas as bytes: canonical or refused, by everyone alike; refused changes change nothing. */
#include "test/support/changes.h"

static int keep_bytes(void *ctx, const struct dunlin_id *id, struct dunlin_bytes change) {
  struct buf *out = ctx;
  (void)id;
  buf_clear(out);
  buf_append(out, change.data, change.len);
  return out->error;
}

static dunlin_obj text_of(dunlin_doc *doc) {
  dunlin_obj text;
  text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("text"), DUNLIN_TEXT);
  return text;
}

static void type(dunlin_doc *doc, size_t at, const char *what) {
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, text_of(doc), at, 0, what, strlen(what)));
  OK(dunlin_commit(doc, 0, NULL));
}

static void one_typed_character_hashes_one_block(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct buf bytes;
  static char page[65001];
  buf_init(&bytes, dunlin_env_default(), DUNLIN_MAX_CHANGE);
  dunlin_doc_on_commit(a, keep_bytes, &bytes);
  memset(page, 'x', sizeof page - 1);
  type(a, 0, page);
  for (int i = 0; i < 300; i++) type(a, 65000, "y"); /* numbers over 255 */
  struct change change;
  OK(change_parse((struct dunlin_bytes){bytes.data, bytes.len}, &change));
  assert_int_equal(change.parent_count, 1);
  assert_true(32 + bytes.len <= 128);
  test_sync(a, b);
  type(b, 0, "z");
  type(a, 65100, "y");
  test_sync(a, b);
  type(a, 65100, "y");
  OK(change_parse((struct dunlin_bytes){bytes.data, bytes.len}, &change));
  assert_int_equal(change.parent_count, 2);
  assert_true(32 + bytes.len <= 128);
  buf_free(&bytes);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

/* ---- Canonical form ----------------------------------------------------------------------------------------- */

/* The change of actor 7 that sets "k" to 1, in pieces that a test can spoil. */
#define REFS "\xc4\x10\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ROOT_ID "\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define CHANGE(head, number, containers, rows, rest) head REFS number containers rows rest
#define BYTES(literal)                                                                                                 \
  { literal, sizeof literal - 1 }

static void canonical_or_refused(void **state) {
  (void)state;
  static const struct {
    const char *what;
    struct dunlin_bytes bytes;
    int expected;
  } cases[] = {
#define ROWS "\x93\x02\x00\x01"
#define CONTAINERS "\xc4\x10" ROOT_ID
      {"good", BYTES(CHANGE("\x96", "\x00", CONTAINERS, ROWS, "\xa0\x92\xa1k\x01")), 0},
      {"with a time", BYTES(CHANGE("\x97", "\x00", CONTAINERS, ROWS, "\xa0\x92\xa1k\x01\xd0\x9c")), 0},
      {"trailing byte", BYTES(CHANGE("\x96", "\x00", CONTAINERS, ROWS, "\xa0\x92\xa1k\x01\x00")), DUNLIN_EFORMAT},
      {"over-long number", BYTES(CHANGE("\x96", "\xcc\x05", CONTAINERS, ROWS, "\xa0\x92\xa1k\x01")), DUNLIN_EFORMAT},
      {"over-long value", BYTES(CHANGE("\x96", "\x00", CONTAINERS, ROWS, "\xa0\x92\xa1k\xcd\x00\x01")), DUNLIN_EFORMAT},
      {"over-long key length", BYTES(CHANGE("\x96", "\x00", CONTAINERS, ROWS, "\xa0\x92\xd9\x01k\x01")),
       DUNLIN_EFORMAT},
      {"over-long array", BYTES(CHANGE("\x96", "\x00", CONTAINERS, "\xdc\x00\x03\x02\x00\x01", "\xa0\x92\xa1k\x01")),
       DUNLIN_EFORMAT},
      {"bad UTF-8", BYTES(CHANGE("\x96", "\x00", CONTAINERS, ROWS, "\xa0\x92\xa1\xff\x01")), DUNLIN_EFORMAT},
      {"another NaN", BYTES(CHANGE("\x96", "\x00", CONTAINERS, ROWS, "\xa0\x92\xa1k\xcb\x7f\xf8\0\0\0\0\0\x01")),
       DUNLIN_EFORMAT},
      {"32-bit float", BYTES(CHANGE("\x96", "\x00", CONTAINERS, ROWS, "\xa0\x92\xa1k\xca\0\0\0\0")), DUNLIN_EFORMAT},
      {"a map as value", BYTES(CHANGE("\x96", "\x00", CONTAINERS, ROWS, "\xa0\x92\xa1k\x80")), DUNLIN_EFORMAT},
      {"an array as value", BYTES(CHANGE("\x96", "\x00", CONTAINERS, ROWS, "\xa0\x92\xa1k\x90")), DUNLIN_EFORMAT},
      {"empty element at the end", BYTES(CHANGE("\x97", "\x00", CONTAINERS, ROWS, "\xa0\x92\xa1k\x01\x00")),
       DUNLIN_EFORMAT},
      {"value too many", BYTES(CHANGE("\x96", "\x00", CONTAINERS, ROWS, "\xa0\x93\xa1k\x01\x01")), DUNLIN_EFORMAT},
      {"value too few", BYTES(CHANGE("\x96", "\x00", CONTAINERS, ROWS, "\xa0\x91\xa1k")), DUNLIN_EFORMAT},
      {"text without an insertion", BYTES(CHANGE("\x96", "\x00", CONTAINERS, ROWS, "\xa1x\x92\xa1k\x01")),
       DUNLIN_EFORMAT},
      {"no rows", BYTES(CHANGE("\x94", "\x00", CONTAINERS, "\x90", "")), DUNLIN_EFORMAT},
      {"half a row", BYTES(CHANGE("\x94", "\x00", CONTAINERS, "\x94\x02\x00\x01\x02", "")), DUNLIN_EFORMAT},
      {"length 0", BYTES(CHANGE("\x94", "\x00", CONTAINERS, "\x93\x00\x00\x00", "")), DUNLIN_EFORMAT},
      {"container that is not there",
       BYTES(CHANGE("\x96", "\x00", CONTAINERS, "\x93\xcc\x82\x00\x01", "\xa0\x92\xa1k\x01")), DUNLIN_EFORMAT},
      {"length 2 of a map write",
       BYTES(CHANGE("\x96", "\x00", CONTAINERS, "\x93\x02\x00\x02", "\xa0\x94\xa1k\x01\xa1k\x01")), DUNLIN_EFORMAT},
      {"negative number", BYTES(CHANGE("\x96", "\xff", CONTAINERS, ROWS, "\xa0\x92\xa1k\x01")), DUNLIN_EFORMAT},
      {"huge number",
       BYTES(CHANGE("\x96", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", CONTAINERS, ROWS, "\xa0\x92\xa1k\x01")),
       DUNLIN_EFORMAT},
      {"deletion of 10^9", BYTES(CHANGE("\x94", "\x00", CONTAINERS, "\x93\x00\x00\xce\x3b\x9a\xca\x00", "")),
       DUNLIN_ELIMIT},
      {"unknown kind, kept", BYTES(CHANGE("\x96", "\x00", CONTAINERS, "\x93\x72\x00\x01", "\xa0\x92\xa1k\x01")), 0},
      {"nothing", BYTES(""), DUNLIN_EFORMAT},
      {"nil", BYTES("\xc0"), DUNLIN_EFORMAT},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct change change;
    int got = change_parse(cases[i].bytes, &change);
    if (got != cases[i].expected) fail_msg("%s: %s", cases[i].what, dunlin_error_name(got));
    for (size_t cut = 0; !got && cut < cases[i].bytes.len; cut++)
      if (!change_parse((struct dunlin_bytes){cases[i].bytes.data, cut}, &change))
        fail_msg("%s, cut at %zu", cases[i].what, cut);
  }
}

static void bombs(void **state) {
  (void)state;
  static const struct dunlin_bytes deltas[] = {
      /* 10^9 changes in 20 bytes */
      BYTES("\x92\x01\xdd\x3b\x9a\xca\x00\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0"),
      BYTES("\x92\x01\xdd\xff\xff\xff\xff"),
      BYTES("\x92\x01\x91\x95\xdd\xff\xff\xff\xff\xc4\x00\x00\xc4\x00\x93\x00\x00\x01"),
      BYTES("\x92\x01\x91\x93\xc0\xc0\x93\x00\x00\x01"), /* built on a change before the first */
      BYTES("\x92\x01"),
      BYTES("\x92"),
      BYTES("\xdd\x04\x00\x00\x00"),
  };
  dunlin_doc *doc = test_doc(1);
  for (size_t i = 0; i < sizeof deltas / sizeof *deltas; i++)
    FAILS(dunlin_doc_apply(doc, deltas[i].data, deltas[i].len, NULL), DUNLIN_EFORMAT);
  FAILS(dunlin_doc_apply(doc, "\x92\x02\x90", 3, NULL), DUNLIN_ENEWER);
  OK(dunlin_doc_apply(doc, "\x92\x01\x90", 3, NULL));
  assert_int_equal(dunlin_doc_changes(doc), 0);
  dunlin_doc_free(doc);
}

/* ---- Deltas ------------------------------------------------------------------------------------------------- */

/* A history with merges, far parents and several actors. */
static dunlin_doc *history(struct rng *rng) {
  dunlin_doc *docs[3] = {test_doc(1), test_doc(2), test_doc(3)};
  for (int i = 0; i < 200; i++) {
    dunlin_doc *doc = docs[rng_below(rng, 3)];
    if (rng_below(rng, 6) == 0) test_sync(doc, docs[rng_below(rng, 3)]);
    type(doc, 0, "q");
  }
  test_send(docs[1], docs[0]);
  test_send(docs[2], docs[0]);
  dunlin_doc_free(docs[1]);
  dunlin_doc_free(docs[2]);
  return docs[0];
}

static void delta_gives_back_every_byte(void **state) {
  (void)state;
  struct rng rng = rng_of(5);
  struct dunlin_id id = test_id(1);
  dunlin_doc *doc = history(&rng);
  struct pieces first = {0}, again = {0};
  void *delta;
  size_t len;
  struct buf rewritten;
  buf_init(&rewritten, dunlin_env_default(), 1 << 24);
  OK(dunlin_doc_delta(doc, NULL, 0, &delta, &len));
  OK(delta_read(NULL, &id, delta, len, keep_piece, &first));
  OK(delta_write(&rewritten, first.changes, first.count));
  assert_int_equal(rewritten.len, len);
  assert_memory_equal(rewritten.data, delta, len);
  OK(delta_read(NULL, &id, rewritten.data, rewritten.len, keep_piece, &again));
  assert_int_equal(first.count, dunlin_doc_changes(doc));
  for (size_t i = 0; i < first.count; i++) {
    struct dunlin_change_info info;
    OK(dunlin_doc_change_at(doc, i, &info));
    assert_memory_equal(&info.id, &first.changes[i].id, sizeof info.id);
    assert_memory_equal(&info.id, &again.changes[i].id, sizeof info.id);
  }
  pieces_free(&first);
  pieces_free(&again);
  dunlin_free(NULL, delta, len);
  buf_free(&rewritten);
  dunlin_doc_free(doc);
}

static size_t common_changes(const dunlin_doc *a, const dunlin_doc *b) {
  struct dunlin_change_info info;
  size_t common = 0;
  for (size_t i = 0; i < dunlin_doc_changes(a); i++) {
    OK(dunlin_doc_change_at(a, i, &info));
    common += !dunlin_doc_find_change(b, &info.id, &info);
  }
  return common;
}

/* Every flipped bit and every cut: an error, or changes with other ids; never a crash, never a half-taken document. */
static void damaged_delta(void **state) {
  (void)state;
  struct rng rng = rng_of(6);
  dunlin_doc *doc = history(&rng);
  void *delta;
  size_t len;
  OK(dunlin_doc_delta(doc, NULL, 0, &delta, &len));
  for (size_t cut = 0; cut < len; cut++) {
    dunlin_doc *target = test_doc(9);
    FAILS(dunlin_doc_apply(target, delta, cut, NULL), DUNLIN_EFORMAT);
    assert_int_equal(dunlin_doc_changes(target) + dunlin_doc_pending(target), 0);
    dunlin_doc_free(target);
  }
  for (size_t i = 0; i < 4000; i++) {
    uint8_t *copy = malloc(len);
    memcpy(copy, delta, len);
    copy[rng_below(&rng, len)] ^= (uint8_t)(1u << rng_below(&rng, 8));
    dunlin_doc *target = test_doc(9);
    struct dunlin_applied applied;
    int error = dunlin_doc_apply(target, copy, len, &applied);
    if (error) assert_int_equal(dunlin_doc_changes(target), 0);
    assert_true(common_changes(doc, target) < dunlin_doc_changes(doc));
    dunlin_doc_free(target);
    free(copy);
  }
  dunlin_free(NULL, delta, len);
  dunlin_doc_free(doc);
}

/* ---- Valid form, invalid meaning ---------------------------------------------------------------------------- */

/* A delta of one hand-made change of actor 7. */
static struct dunlin_applied apply_canonical(dunlin_doc *doc, struct dunlin_bytes canonical) {
  return give_change(doc, &(struct change_id_bytes){.bytes = canonical});
}

static void poisoned_changes(void **state) {
  (void)state;
  static const struct {
    const char *what;
    struct dunlin_bytes bytes;
  } cases[] = {
#define AT(rows, rest) CHANGE("\x96", "\x00", CONTAINERS, rows, rest)
      {"list insertion into a map", BYTES(AT("\x93\x01\x00\x01", "\xa0\x91\x01"))},
      {"counter add to a map", BYTES(AT("\x93\x31\x00\x01", "\xa0\x91\x01"))},
      {"unknown container",
       BYTES(CHANGE("\x96", "\x00", "\xc4\x10\x10\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0", ROWS, "\xa0\x92\xa1k\x01"))},
      {"generation out of nowhere", BYTES(AT("\x93\x0a\x10\x01", "\xa0\x92\xa1k\x05"))},
      {"write, then index out of range in a new list",
       BYTES(AT("\x99\x02\x00\x01\x0a\x11\x01\xcc\x81\x03\x01", "\xa0\x95\xa1k\x01\xa1l\x00\x07"))},
      {"number without a predecessor", BYTES(CHANGE("\x96", "\x05", CONTAINERS, ROWS, "\xa0\x92\xa1k\x01"))},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dunlin_doc *a = test_doc(1), *b = test_doc(2);
    struct dunlin_id before, after;
    struct dunlin_applied applied;
    type(a, 0, "abc");
    test_send(a, b);
    OK(dunlin_doc_hash(a, &before));
    for (int twice = 0; twice < 2; twice++) {
      applied = apply_canonical(a, cases[i].bytes);
      if (applied.refused != 1) fail_msg("%s: not refused", cases[i].what);
    }
    applied = apply_canonical(b, cases[i].bytes);
    assert_int_equal(applied.refused, 1);
    OK(dunlin_doc_hash(a, &after));
    assert_memory_equal(&before, &after, sizeof before);
    type(a, 3, "d"); /* everything else goes on */
    test_send(a, b);
    assert_same_doc(a, b);
    assert_int_equal(dunlin_doc_changes(b), 2);
    dunlin_doc_free(a);
    dunlin_doc_free(b);
  }
}

static void unknown_operation_is_kept(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_applied applied;
  type(a, 0, "abc");
  test_send(a, b);
  static const struct dunlin_bytes newer =
      BYTES(CHANGE("\x96", "\x00", CONTAINERS, "\x93\x72\x00\x01", "\xa0\x92\xa1k\x01"));
  applied = apply_canonical(a, newer);
  assert_int_equal(applied.applied, 1);
  OK(dunlin_begin(a));
  FAILS(dunlin_map_put(a, DUNLIN_ROOT, dunlin_key("x"), int_value(1)), DUNLIN_ENEWER);
  FAILS(dunlin_commit(a, 0, NULL), DUNLIN_ENEWER);
  OK(dunlin_begin(b)); /* b does not know it yet, and writes */
  OK(dunlin_map_put(b, DUNLIN_ROOT, dunlin_key("x"), int_value(1)));
  OK(dunlin_commit(b, 0, NULL));
  test_sync(a, b);
  assert_int_equal(dunlin_doc_changes(a), 3);
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void equivocation(void **state) {
  (void)state;
  /* One actor, two contents under one number; others build on both. */
  dunlin_doc *x = test_doc(1), *y = test_doc(1), *a = test_doc(2), *b = test_doc(3);
  type(x, 0, "one");
  type(y, 0, "two");
  test_send(x, a);
  test_send(y, b);
  type(a, 3, "A");
  type(b, 3, "B");
  test_sync(a, b);
  assert_same_doc(a, b);
  assert_int_equal(dunlin_doc_changes(a), 4);
  assert_int_equal(dunlin_text_size(a, (dunlin_obj){1}), 8);
  test_sync(a, x);
  assert_same_doc(a, x);
  FAILS(dunlin_begin(x), DUNLIN_EINVAL); /* the actor is spent */
  dunlin_doc_free(x);
  dunlin_doc_free(y);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_typed_character_hashes_one_block),
      cmocka_unit_test(canonical_or_refused),
      cmocka_unit_test(bombs),
      cmocka_unit_test(delta_gives_back_every_byte),
      cmocka_unit_test(damaged_delta),
      cmocka_unit_test(poisoned_changes),
      cmocka_unit_test(unknown_operation_is_kept),
      cmocka_unit_test(equivocation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
