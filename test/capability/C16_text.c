/* Text that several edit: words typed at one place stay whole, and all read the same. */
#include "test/capability/device.h"

static void type(dunlin_doc *doc, dunlin_obj text, size_t at, const char *word) {
  for (size_t i = 0; word[i]; i++) { /* letter by letter, each a change */
    OK(dunlin_begin(doc));
    OK(dunlin_text_splice(doc, text, at + i, 0, word + i, 1));
    OK(dunlin_commit(doc, 0, NULL));
  }
}

static void words_typed_at_one_place_stay_whole(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  char read[64];
  (void)state;
  dunlin_obj in_a = child(a, "bio", DUNLIN_TEXT);
  type(a, in_a, 0, "I play  well.");
  test_sync(a, b);
  dunlin_obj in_b = child(b, "bio", DUNLIN_TEXT);
  type(a, in_a, 7, "harp");
  type(b, in_b, 7, "drum");
  test_sync(a, b);
  size_t len = dunlin_text_read(a, in_a, read, sizeof read - 1);
  assert_in_range(len, 1, sizeof read - 1);
  read[len] = 0;
  assert_true(!strcmp(read, "I play harpdrum well.") || !strcmp(read, "I play drumharp well."));
  assert_text(b, in_b, read);
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

/* What the text must be, kept in the plainest way. */
struct plain_text {
  char bytes[1 << 16];
  size_t len;
};

static void splice_plain(struct plain_text *text, size_t at, size_t remove, const char *insert, size_t len) {
  memmove(text->bytes + at + len, text->bytes + at + remove, text->len - at - remove);
  if (len) memcpy(text->bytes + at, insert, len);
  text->len += len - remove;
}

static void edit(struct rng *rng, dunlin_doc *doc, dunlin_obj text, struct plain_text *plain) {
  char word[8];
  size_t size = dunlin_text_size(doc, text), at = rng_below(rng, size + 1), remove = 0, len = 0;
  if (size > 20000 || rng_chance(rng, 1, 3)) remove = rng_below(rng, size - at < 6 ? size - at + 1 : 7);
  else len = rng_below(rng, sizeof word) + 1;
  for (size_t i = 0; i < len; i++) word[i] = (char)('a' + rng_below(rng, 26));
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, text, at, remove, word, len));
  OK(dunlin_commit(doc, 0, NULL));
  if (plain) splice_plain(plain, at, remove, word, len);
}

static void a_long_trace_reads_as_it_was_typed(void **state) {
  static struct plain_text plain;
  static char read[sizeof plain.bytes];
  uint64_t seed = seed_first(), edits = seed_count(100000);
  struct rng rng = rng_of(seed);
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  (void)state;
  print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
  if (edits == 1) edits = 100000; /* TEST_SEED names the seed, not how many edits */
  plain.len = 0;
  dunlin_obj text = child(a, "text", DUNLIN_TEXT);
  for (uint64_t i = 0; i < edits; i++) edit(&rng, a, text, &plain);
  assert_int_equal(dunlin_text_read(a, text, read, sizeof read), plain.len);
  assert_memory_equal(read, plain.bytes, plain.len);
  test_sync(a, b);
  text = child(b, "text", DUNLIN_TEXT);
  assert_int_equal(dunlin_text_read(b, text, read, sizeof read), plain.len);
  assert_memory_equal(read, plain.bytes, plain.len);
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void two_long_traces_end_equal(void **state) {
  uint64_t seed = seed_first(), edits = seed_count(100000);
  struct rng rng = rng_of(seed);
  dunlin_doc *docs[2] = {test_doc(1), test_doc(2)};
  dunlin_obj texts[2] = {child(docs[0], "text", DUNLIN_TEXT), child(docs[1], "text", DUNLIN_TEXT)};
  (void)state;
  print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
  if (edits == 1) edits = 100000;
  for (uint64_t i = 0; i < edits; i++) {
    size_t who = rng_below(&rng, 2);
    edit(&rng, docs[who], texts[who], NULL);
    if (rng_chance(&rng, 1, 200)) test_send(docs[who], docs[1 - who]);
  }
  test_sync(docs[0], docs[1]);
  assert_true(dunlin_text_size(docs[0], texts[0]) > 0);
  assert_same_doc(docs[0], docs[1]);
  for (int i = 0; i < 2; i++) dunlin_doc_free(docs[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(words_typed_at_one_place_stay_whole),
      cmocka_unit_test(a_long_trace_reads_as_it_was_typed),
      cmocka_unit_test(two_long_traces_end_equal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
