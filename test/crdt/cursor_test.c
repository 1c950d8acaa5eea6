/* Cursors keep to what they were next to: items are told by their content, each of which is there once. */
#include <dunlin/cursor.h>
#include <dunlin/history.h>

#include "test/support/support.h"

enum { docs_max = 3, cursors_max = 40, first_char = 0x4e00 }; /* three bytes each */

struct kept {
  struct dunlin_cursor cursor;
  int64_t item;         /* what it keeps to; -1: an end */
  int64_t before[2000]; /* all items before that one */
  size_t count;
};

static dunlin_obj sequence(dunlin_doc *doc, bool list) {
  struct dunlin_value value;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key(list ? "l" : "t"), &value));
  return value.as.obj;
}

/* The items of a text or list. */
static size_t items_of(dunlin_doc *doc, bool list, int64_t *out) {
  dunlin_obj obj = sequence(doc, list);
  size_t count = 0;
  if (list) {
    for (; count < dunlin_list_size(doc, obj); count++) {
      struct dunlin_value value;
      OK(dunlin_list_get(doc, obj, count, &value));
      out[count] = value.as.integer;
    }
    return count;
  }
  uint8_t text[8192];
  size_t len = dunlin_text_read(doc, obj, (char *)text, sizeof text);
  assert_true(len <= sizeof text);
  for (size_t i = 0; i < len; i += 3)
    out[count++] = (text[i] & 15) << 12 | (text[i + 1] & 63) << 6 | (text[i + 2] & 63);
  return count;
}

static void add(dunlin_doc *doc, bool list, size_t at, int64_t item) {
  dunlin_obj obj = sequence(doc, list);
  const char utf8[3] = {(char)(0xe0 | item >> 12), (char)(0x80 | (item >> 6 & 63)), (char)(0x80 | (item & 63))};
  if (list) OK(dunlin_list_insert(doc, obj, at, int_value(item)));
  else OK(dunlin_text_splice(doc, obj, at, 0, utf8, 3));
}

static void edit(dunlin_doc *doc, bool list, struct rng *rng, int64_t *next) {
  dunlin_obj obj = sequence(doc, list);
  size_t size = list ? dunlin_list_size(doc, obj) : dunlin_text_size(doc, obj), at = rng_below(rng, size + 1);
  OK(dunlin_begin(doc));
  if (at < size && rng_chance(rng, 2, 5)) {
    size_t count = 1 + rng_below(rng, size - at < 4 ? size - at : 4);
    if (list) OK(dunlin_list_delete(doc, obj, at, count));
    else OK(dunlin_text_splice(doc, obj, at, count, NULL, 0));
  } else if (at < size && list && rng_chance(rng, 1, 4)) {
    OK(dunlin_list_move(doc, obj, at, rng_below(rng, size)));
  } else if (at + 1 < size && !list && rng_chance(rng, 1, 4)) {
    OK(dunlin_text_mark(doc, obj, at, at + 1 + rng_below(rng, size - at - 1), dunlin_key("b"), int_value(*next), 0));
  } else {
    for (size_t n = 1 + rng_below(rng, 3); n--; at++) add(doc, list, at, (*next)++);
  }
  OK(dunlin_commit(doc, 0, NULL));
}

static void keep(dunlin_doc *doc, bool list, struct rng *rng, struct kept *k) {
  int64_t items[2000];
  uint8_t bytes[DUNLIN_CURSOR_BYTES];
  struct dunlin_cursor made;
  size_t count = items_of(doc, list, items), at = rng_below(rng, count + 1);
  enum dunlin_side side = rng_chance(rng, 1, 2) ? DUNLIN_LEFT : DUNLIN_RIGHT;
  OK(dunlin_cursor_make(doc, sequence(doc, list), at, side, &made));
  size_t len = dunlin_cursor_save(&made, bytes);
  OK(dunlin_cursor_load(bytes, len, &k->cursor));
  size_t now = SIZE_MAX;
  OK(dunlin_cursor_at(doc, sequence(doc, list), &k->cursor, &now));
  assert_int_equal(now, at);
  k->count = side == DUNLIN_LEFT ? (at ? at - 1 : 0) : at;
  k->item = side == DUNLIN_LEFT ? (at ? items[at - 1] : -1) : at < count ? items[at] : -1;
  memcpy(k->before, items, k->count * sizeof *items);
}

static void look(dunlin_doc *doc, bool list, const struct kept *k, uint64_t seed) {
  int64_t items[2000];
  size_t count = items_of(doc, list, items), at = SIZE_MAX, expected = SIZE_MAX;
  int error = dunlin_cursor_at(doc, sequence(doc, list), &k->cursor, &at);
  if (error == DUNLIN_ENOENT) return; /* its version has not come yet */
  OK(error);
  assert_true(at <= count);
  if (k->item < 0) expected = k->cursor.side == DUNLIN_LEFT ? 0 : count;
  for (size_t i = 0; k->item >= 0 && i < count; i++)
    if (items[i] == k->item) expected = i + (k->cursor.side == DUNLIN_LEFT);
  if (expected != SIZE_MAX) {
    if (at != expected) fail_msg("TEST_SEED=%llu: at %zu instead of %zu", (unsigned long long)seed, at, expected);
    return;
  }
  for (size_t b = 0; !list && b < k->count; b++) /* it is gone: all that stood before it still does; lists have moves */
    for (size_t i = at; i < count; i++)
      if (items[i] == k->before[b]) fail_msg("TEST_SEED=%llu: not where it was", (unsigned long long)seed);
}

static void run(uint64_t seed, bool list) {
  static struct kept kept[cursors_max];
  struct rng rng = rng_of(seed);
  dunlin_doc *docs[docs_max];
  int64_t next = first_char;
  size_t count = 0;
  for (int i = 0; i < docs_max; i++) docs[i] = test_doc((uint8_t)(i + 1));
  OK(dunlin_begin(docs[0]));
  dunlin_map_child(docs[0], DUNLIN_ROOT, dunlin_key(list ? "l" : "t"), list ? DUNLIN_LIST : DUNLIN_TEXT);
  OK(dunlin_commit(docs[0], 0, NULL));
  for (int i = 1; i < docs_max; i++) test_send(docs[0], docs[i]);
  for (int step = 0; step < 120; step++) {
    dunlin_doc *doc = docs[rng_below(&rng, docs_max)], *other = docs[rng_below(&rng, docs_max)];
    edit(doc, list, &rng, &next);
    if (rng_chance(&rng, 1, 3) && doc != other) test_send(doc, other);
    if (rng_chance(&rng, 1, 3)) keep(doc, list, &rng, &kept[count++ % cursors_max]);
    size_t n = count < cursors_max ? count : cursors_max;
    if (n) look(other, list, &kept[rng_below(&rng, n)], seed);
  }
  for (int i = 1; i < docs_max; i++) test_send(docs[i], docs[0]);
  for (size_t k = 0; k < count && k < cursors_max; k++) look(docs[0], list, &kept[k], seed);
  for (int i = 0; i < docs_max; i++) dunlin_doc_free(docs[i]);
}

static void they_keep_to_characters(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), n = seed_count(200); n--; seed++) run(seed, false);
}
static void they_keep_to_elements(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), n = seed_count(200); n--; seed++) run(seed, true);
}

static void bytes_from_anybody_give_errors(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1), *other = test_doc(2);
  struct dunlin_cursor cursor, loaded;
  uint8_t bytes[DUNLIN_CURSOR_BYTES + 32] = {0};
  size_t at;
  OK(dunlin_begin(doc));
  dunlin_obj text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  OK(dunlin_text_splice(doc, text, 0, 0, "hello", 5));
  OK(dunlin_commit(doc, 0, NULL));
  FAILS(dunlin_cursor_make(doc, text, 6, DUNLIN_LEFT, &cursor), DUNLIN_ERANGE);
  FAILS(dunlin_cursor_make(doc, DUNLIN_ROOT, 0, DUNLIN_LEFT, &cursor), DUNLIN_EKIND);
  FAILS(dunlin_cursor_make(doc, text, 0, (enum dunlin_side)2, &cursor), DUNLIN_EINVAL);
  OK(dunlin_cursor_make(doc, text, 3, DUNLIN_LEFT, &cursor));
  size_t len = dunlin_cursor_save(&cursor, bytes);
  assert_int_equal(len, 38);
  for (size_t n = 0; n < sizeof bytes; n++)
    if (n != 38) assert_int_equal(dunlin_cursor_load(bytes, n, &loaded), n == 6 ? 0 : DUNLIN_EFORMAT);
  bytes[0] = 2;
  FAILS(dunlin_cursor_load(bytes, len, &loaded), DUNLIN_EFORMAT);
  bytes[0] = 1;
  bytes[1] = 2;
  FAILS(dunlin_cursor_load(bytes, len, &loaded), DUNLIN_EFORMAT);
  loaded = cursor;
  loaded.place = 6;
  FAILS(dunlin_cursor_at(doc, text, &loaded, &at), DUNLIN_ERANGE);
  loaded.place = UINT32_MAX;
  FAILS(dunlin_cursor_at(doc, text, &loaded, &at), DUNLIN_ERANGE);
  loaded = cursor;
  loaded.count = 9;
  FAILS(dunlin_cursor_at(doc, text, &loaded, &at), DUNLIN_EINVAL);
  loaded.count = 0;
  FAILS(dunlin_cursor_at(doc, text, &loaded, &at), DUNLIN_ERANGE);
  loaded.count = 2;
  FAILS(dunlin_cursor_at(doc, text, &loaded, &at), DUNLIN_ENOENT);
  OK(dunlin_begin(other));
  dunlin_obj list = dunlin_map_child(other, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_LIST);
  FAILS(dunlin_cursor_at(other, list, &cursor, &at), DUNLIN_ESTATE);
  OK(dunlin_commit(other, 0, NULL));
  FAILS(dunlin_cursor_at(other, list, &cursor, &at), DUNLIN_ENOENT);
  dunlin_doc_free(doc);
  dunlin_doc_free(other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(they_keep_to_characters),
      cmocka_unit_test(they_keep_to_elements),
      cmocka_unit_test(bytes_from_anybody_give_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
