/* What waits before it reaches the rope, against a plain array: typing with much taken back, changes that fail, memory
 * that runs out. */
#include "crdt/text.h"
#include "test/fault/seeded.h"
#include "test/support/support.h"

enum { MOST = 3000 };

/* A text, what it should hold, and what it held when the change was opened. */
struct pair {
  struct seeded memory;
  struct rng rng;
  struct column column;
  struct text text;
  uint32_t now[MOST], before[MOST];
  size_t size, size_before;
  size_t caret;
  bool wide;
};

static const uint32_t letters[] = {'e', 't', 'a', 0xe9, 0x20ac, 0x1f600};

static size_t encode(uint32_t c, uint8_t *out) {
  if (c < 0x80) {
    out[0] = (uint8_t)c;
    return 1;
  }
  size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = n; --i; c >>= 6) out[i] = (uint8_t)(0x80 | (c & 0x3f));
  out[0] = (uint8_t)(c | (0xf00u >> n & 0xf0));
  return n;
}

static size_t encode_all(const uint32_t *scalars, size_t count, uint8_t *out) {
  size_t len = 0;
  for (size_t i = 0; i < count; i++) len += encode(scalars[i], out + len);
  return len;
}

static void pair_init(struct pair *pair, uint64_t seed) {
  *pair = (struct pair){.rng = rng_of(seed), .wide = seed & 1};
  seeded_init(&pair->memory, seed);
  buf_init(&pair->column.buf, dunlin_env_default(), SIZE_MAX / 2); /* only the text runs out of memory */
  text_init(&pair->text, &pair->memory.env);
}

static void pair_free(struct pair *pair) {
  text_free(&pair->text);
  buf_free(&pair->column.buf);
  assert_int_equal(pair->memory.live, 0);
}

/* Piece by piece, so that nothing is brought into the rope by looking. */
static void assert_same(const struct pair *pair) {
  static uint8_t expected[4 * MOST], got[4 * MOST];
  size_t len = encode_all(pair->now, pair->size, expected);
  assert_int_equal(pair->text.size, pair->size);
  assert_int_equal(text_bytes(&pair->text), len);
  text_copy(&pair->text, &pair->column, got);
  assert_memory_equal(got, expected, len);
  assert_int_equal(text_check(&pair->text, true), 0);
}

static int type(struct pair *pair) {
  uint32_t some[8];
  uint8_t bytes[32];
  size_t count = 1 + rng_below(&pair->rng, rng_chance(&pair->rng, 1, 4) ? 8 : 2);
  uint32_t at = column_end(&pair->column);
  if (pair->size + count > MOST) return 0;
  for (size_t i = 0; i < count; i++) some[i] = letters[rng_below(&pair->rng, pair->wide ? 6 : 3)];
  size_t len = encode_all(some, count, bytes);
  buf_append(&pair->column.buf, bytes, len);
  OK(pair->column.buf.error);
  int error = text_insert(&pair->text, &pair->column, (uint32_t)pair->caret, (uint32_t)count, at, (uint32_t)len);
  if (error) return error;
  memmove(pair->now + pair->caret + count, pair->now + pair->caret, (pair->size - pair->caret) * sizeof *some);
  memcpy(pair->now + pair->caret, some, count * sizeof *some);
  pair->size += count;
  pair->caret += count;
  return 0;
}

/* Takes back characters before the caret, now and then those behind it. */
static int take_back(struct pair *pair) {
  size_t count = 1 + rng_below(&pair->rng, rng_chance(&pair->rng, 1, 6) ? 30 : 3);
  if (count > pair->caret) count = pair->caret;
  size_t from = rng_chance(&pair->rng, 1, 12) ? pair->caret : pair->caret - count;
  if (count > pair->size - from) count = pair->size - from;
  if (!count) return 0;
  int error = text_erase(&pair->text, &pair->column, (uint32_t)from, (uint32_t)count);
  if (error) return error;
  memmove(pair->now + from, pair->now + from + count, (pair->size - from - count) * sizeof *pair->now);
  pair->size -= count;
  pair->caret = from;
  return 0;
}

static int edit(struct pair *pair) {
  size_t dice = rng_below(&pair->rng, 100);
  if (dice < 3 || pair->caret > pair->size) pair->caret = rng_below(&pair->rng, pair->size + 1);
  return dice < 60 || pair->size < 5 ? type(pair) : take_back(pair);
}

static void open(struct pair *pair) {
  text_open(&pair->text);
  memcpy(pair->before, pair->now, sizeof pair->now);
  pair->size_before = pair->size;
}

static void revert(struct pair *pair) {
  pair->memory.fail_at = 0;
  text_revert(&pair->text);
  memcpy(pair->now, pair->before, sizeof pair->now);
  pair->size = pair->size_before;
}

static void what_is_typed_and_taken_back_gives_the_same_text(void **state) {
  (void)state;
  size_t in_pieces = 0;
  for (uint64_t seed = seed_first(), n = seed_count(100); n--; seed++) {
    print_message("seed %llu\n", (unsigned long long)seed);
    struct pair pair;
    pair_init(&pair, seed);
    for (int i = 0; i < 2000; i++) {
      OK(edit(&pair));
      assert_same(&pair);
      in_pieces += pair.text.part_count > 1;
      if (rng_chance(&pair.rng, 1, 50)) OK(text_flush(&pair.text, &pair.column));
    }
    pair_free(&pair);
  }
  assert_true(in_pieces);
}

static void a_change_that_fails_leaves_what_waited(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), n = seed_count(200); n--; seed++) {
    print_message("seed %llu\n", (unsigned long long)seed);
    struct pair pair;
    pair_init(&pair, seed);
    for (int change = 0; change < 200; change++) {
      int error = 0;
      open(&pair);
      if (rng_chance(&pair.rng, 1, 3)) {
        pair.memory.fail_at = pair.memory.allocations + 1 + rng_below(&pair.rng, 4);
        pair.memory.for_good = rng_chance(&pair.rng, 1, 2);
      }
      for (size_t edits = rng_below(&pair.rng, 12); edits-- && !error;) {
        error = edit(&pair);
        assert_same(&pair);
      }
      if (error) assert_int_equal(error, DUNLIN_ENOMEM);
      if (error || rng_chance(&pair.rng, 1, 4)) revert(&pair);
      else text_settle(&pair.text);
      pair.memory.fail_at = 0;
      assert_same(&pair);
    }
    pair_free(&pair);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_typed_and_taken_back_gives_the_same_text),
      cmocka_unit_test(a_change_that_fails_leaves_what_waited),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
