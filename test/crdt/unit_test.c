/* Positions in texts in three units. */
#include "test/support/support.h"

static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\xa6\x86"};
static const size_t widths[3][4] = {{1, 1, 1, 1}, {1, 2, 3, 4}, {1, 1, 1, 2}};

/* The text as characters, by number. */
struct plain {
  size_t list[400], count;
};

static size_t position(const struct plain *plain, size_t at, enum dunlin_unit unit) {
  size_t units = 0;
  for (size_t i = 0; i < at; i++) units += widths[unit][plain->list[i]];
  return units;
}

static void splice(struct plain *plain, size_t at, size_t remove, const size_t *added, size_t count) {
  memmove(plain->list + at + count, plain->list + at + remove, (plain->count - at - remove) * sizeof *plain->list);
  memcpy(plain->list + at, added, count * sizeof *added);
  plain->count += count - remove;
}

static void check(const dunlin_doc *doc, dunlin_obj text, const struct plain *plain, struct rng *rng) {
  enum dunlin_unit unit = dunlin_doc_unit(doc);
  assert_int_equal(dunlin_text_size(doc, text), position(plain, plain->count, unit));
  size_t from = rng_below(rng, plain->count + 1), to = from + rng_below(rng, plain->count - from + 1), len, out;
  char expected[2000] = "";
  void *part;
  for (size_t i = from; i < to; i++) strcat(expected, characters[plain->list[i]]);
  OK(dunlin_text_part(doc, text, position(plain, from, unit), position(plain, to, unit), &part, &len));
  assert_int_equal(len, strlen(expected));
  if (len) assert_memory_equal(part, expected, len);
  dunlin_free(NULL, part, len);
  for (enum dunlin_unit a = DUNLIN_SCALARS; a <= DUNLIN_UTF16; a++)
    for (enum dunlin_unit b = DUNLIN_SCALARS; b <= DUNLIN_UTF16; b++) {
      OK(dunlin_text_convert(doc, text, a, position(plain, from, a), b, &out));
      assert_int_equal(out, position(plain, from, b));
    }
}

static void run(uint64_t seed) {
  dunlin_doc *doc = test_doc(1);
  struct rng rng = {seed};
  struct plain plain = {.count = 0};
  enum dunlin_unit unit = (enum dunlin_unit)(seed % 3);
  OK(dunlin_doc_set_unit(doc, unit));
  OK(dunlin_begin(doc));
  dunlin_obj text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  for (int step = 0; step < 60; step++) {
    size_t at = rng_below(&rng, plain.count + 1), most = plain.count - at < 5 ? plain.count - at : 5;
    size_t remove = rng_below(&rng, most + 1), added[5], count = rng_below(&rng, 6);
    char bytes[32] = "";
    for (size_t i = 0; i < count; i++) strcat(bytes, characters[added[i] = rng_below(&rng, 4)]);
    size_t from = position(&plain, at, unit), to = position(&plain, at + remove, unit);
    OK(dunlin_text_splice(doc, text, from, to - from, bytes, strlen(bytes)));
    splice(&plain, at, remove, added, count);
    if (count && rng_below(&rng, 2)) {
      size_t start = position(&plain, at, unit), end = position(&plain, at + count, unit);
      OK(dunlin_text_mark(doc, text, start, end, dunlin_key("bold"),
                          (struct dunlin_value){.kind = DUNLIN_BOOL, .as.boolean = rng_below(&rng, 2)}, 0));
      struct dunlin_span span;
      OK(dunlin_text_span(doc, text, start, &span));
      assert_true(span.from <= start && span.to >= end && span.marks == 1);
    }
    check(doc, text, &plain, &rng);
    if (!rng_below(&rng, 4)) {
      OK(dunlin_commit(doc, 0, NULL));
      OK(dunlin_begin(doc));
    }
  }
  OK(dunlin_commit(doc, 0, NULL));
  dunlin_doc_free(doc);
}

static void every_unit(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(1500);
  for (uint64_t seed = first; seed < first + count; seed++) run(seed);
}

static void inside_a_character(void **state) {
  (void)state;
  for (enum dunlin_unit unit = DUNLIN_UTF8; unit <= DUNLIN_UTF16; unit++) {
    dunlin_doc *doc = test_doc(1);
    struct dunlin_span span;
    size_t out;
    OK(dunlin_doc_set_unit(doc, unit));
    OK(dunlin_begin(doc));
    dunlin_obj text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
    OK(dunlin_text_splice(doc, text, 0, 0,
                          "a\xf0\x9f\xa6\x86"
                          "b",
                          6));
    OK(dunlin_commit(doc, 0, NULL));
    FAILS(dunlin_text_span(doc, text, 2, &span), DUNLIN_ERANGE);
    FAILS(dunlin_text_convert(doc, text, unit, 2, DUNLIN_SCALARS, &out), DUNLIN_ERANGE);
    FAILS(dunlin_text_convert(doc, text, unit, 99, DUNLIN_SCALARS, &out), DUNLIN_ERANGE);
    OK(dunlin_begin(doc));
    FAILS(dunlin_doc_set_unit(doc, DUNLIN_SCALARS), DUNLIN_ESTATE);
    FAILS(dunlin_text_splice(doc, text, 2, 0, "x", 1), DUNLIN_ERANGE);
    FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_ERANGE);
    OK(dunlin_begin(doc));
    FAILS(dunlin_text_splice(doc, text, 0, 2, "", 0), DUNLIN_ERANGE);
    dunlin_abort(doc);
    OK(dunlin_begin(doc));
    FAILS(dunlin_text_splice(doc, text, 1, SIZE_MAX, "", 0), DUNLIN_ERANGE);
    dunlin_abort(doc);
    dunlin_doc_free(doc);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(inside_a_character), cmocka_unit_test(every_unit)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
