/* The rope against a plain array of scalar values: random edits, all ways of reading, memory that runs out. */
#include "crdt/rope.h"
#include "test/fault/seeded.h"
#include "test/support/support.h"

/* The text as it should be. */
struct plain {
  uint32_t *scalars;
  size_t size, cap;
};

static size_t encode(uint32_t c, uint8_t out[4]) {
  if (c < 0x80) {
    out[0] = (uint8_t)c;
    return 1;
  }
  size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = n; --i; c >>= 6) out[i] = (uint8_t)(0x80 | (c & 0x3f));
  out[0] = (uint8_t)(c | (0xf00u >> n & 0xf0));
  return n;
}

/* Characters of up to `width` bytes. */
static uint32_t some_scalar(struct rng *rng, unsigned width) {
  static const uint32_t first[] = {' ', 0x80, 0x800, 0x10000}, end[] = {0x7f, 0x800, 0xd800, 0x110000};
  size_t w = rng_below(rng, width);
  return first[w] + (uint32_t)rng_below(rng, end[w] - first[w]);
}

static void plain_insert(struct plain *plain, size_t at, const uint32_t *scalars, size_t n) {
  if (!n) return;
  if (plain->size + n > plain->cap) {
    plain->cap = 2 * (plain->size + n);
    plain->scalars = realloc(plain->scalars, plain->cap * sizeof *plain->scalars);
    assert_non_null(plain->scalars);
  }
  memmove(plain->scalars + at + n, plain->scalars + at, (plain->size - at) * sizeof *scalars);
  memcpy(plain->scalars + at, scalars, n * sizeof *scalars);
  plain->size += n;
}

static void plain_delete(struct plain *plain, size_t at, size_t n) {
  if (!n) return;
  memmove(plain->scalars + at, plain->scalars + at + n, (plain->size - at - n) * sizeof *plain->scalars);
  plain->size -= n;
}

/* A rope and what it should hold. */
struct pair {
  struct seeded memory;
  struct rng rng;
  struct rope rope;
  struct plain plain;
  unsigned width;
};

static void pair_init(struct pair *pair, uint64_t seed, unsigned width) {
  seeded_init(&pair->memory, seed);
  pair->rng = rng_of(seed);
  pair->plain = (struct plain){0};
  pair->width = width;
  rope_init(&pair->rope, &pair->memory.env);
}

static void pair_free(struct pair *pair) {
  rope_free(&pair->rope);
  assert_int_equal(pair->memory.live, 0);
  assert_int_equal(rope_check(&pair->rope, true), 0);
  free(pair->plain.scalars);
}

/* Both get the same; what rope_insert() gives. */
static int pair_insert_scalars(struct pair *pair, size_t at, const uint32_t *scalars, size_t n) {
  uint8_t *utf8 = malloc(4 * n + 1);
  size_t bytes = 0;
  assert_non_null(utf8);
  for (size_t i = 0; i < n; i++) bytes += encode(scalars[i], utf8 + bytes);
  int error = rope_insert(&pair->rope, at, utf8, bytes, n);
  if (!error) plain_insert(&pair->plain, at, scalars, n);
  free(utf8);
  return error;
}

static int pair_insert(struct pair *pair, size_t at, size_t n) {
  uint32_t *scalars = malloc((n + 1) * sizeof *scalars);
  assert_non_null(scalars);
  for (size_t i = 0; i < n; i++) scalars[i] = some_scalar(&pair->rng, pair->width);
  int error = pair_insert_scalars(pair, at, scalars, n);
  free(scalars);
  return error;
}

static void pair_delete(struct pair *pair, size_t at, size_t n) {
  rope_delete(&pair->rope, at, n);
  plain_delete(&pair->plain, at, n);
}

/* A size: mostly small, at times many leaves. */
static size_t some_size(struct rng *rng) {
  switch (rng_below(rng, 16)) {
    case 0: return rng_below(rng, 20000);
    case 1:
    case 2: return rng_below(rng, 2000);
    case 3:
    case 4:
    case 5: return rng_below(rng, 200);
    default: return 1 + rng_below(rng, 12);
  }
}

/* The UTF-8 of a range of the plain text, for free(). */
static uint8_t *plain_utf8(const struct plain *plain, size_t at, size_t n, size_t *bytes) {
  uint8_t *utf8 = malloc(4 * n + 1);
  assert_non_null(utf8);
  *bytes = 0;
  for (size_t i = 0; i < n; i++) *bytes += encode(plain->scalars[at + i], utf8 + *bytes);
  return utf8;
}

static void assert_range(const struct pair *pair, size_t at, size_t n) {
  size_t bytes;
  uint8_t *expected = plain_utf8(&pair->plain, at, n, &bytes);
  assert_int_equal(rope_measure(&pair->rope, at, n), bytes);
  uint8_t *got = malloc(bytes + 1);
  assert_non_null(got);
  got[bytes] = 0x55;
  rope_copy(&pair->rope, at, n, got);
  assert_int_equal(got[bytes], 0x55);
  assert_memory_equal(got, expected, bytes);
  free(got);
  free(expected);
}

static void assert_reads(const struct pair *pair, size_t at) {
  size_t bytes, done = 0, n;
  uint8_t *expected = plain_utf8(&pair->plain, at, pair->plain.size - at, &bytes);
  const uint8_t *piece;
  struct rope_reader reader;
  rope_reader_init(&reader, &pair->rope, at);
  while ((n = rope_read(&reader, &piece))) {
    assert_true(n <= bytes - done);
    assert_memory_equal(piece, expected + done, n);
    assert_true((piece[0] & 0xc0) != 0x80);
    done += n;
  }
  assert_int_equal(done, bytes);
  assert_int_equal(rope_read(&reader, &piece), 0);
  free(expected);
}

/* Sizes, structure and the whole text. */
static void assert_same(const struct pair *pair) {
  size_t bytes, pairs = 0;
  for (size_t i = 0; i < pair->plain.size; i++) pairs += pair->plain.scalars[i] >= 0x10000;
  free(plain_utf8(&pair->plain, 0, pair->plain.size, &bytes));
  assert_int_equal(rope_check(&pair->rope, true), 0);
  assert_int_equal(rope_size(&pair->rope), pair->plain.size);
  assert_int_equal(rope_bytes(&pair->rope), bytes);
  assert_int_equal(rope_utf16(&pair->rope), pair->plain.size + pairs);
  assert_range(pair, 0, pair->plain.size);
}

static size_t units(uint32_t scalar, enum rope_unit unit) {
  uint8_t utf8[4];
  return unit == ROPE_SCALARS ? 1 : unit == ROPE_BYTES ? encode(scalar, utf8) : scalar >= 0x10000 ? 2 : 1;
}

/* Position `at` of the text in a unit, whole characters, in all three. */
static void plain_convert(const struct plain *plain, enum rope_unit from, size_t at, size_t out[3]) {
  memset(out, 0, 3 * sizeof *out);
  for (size_t i = 0; i < plain->size && out[from] + units(plain->scalars[i], from) <= at; i++)
    for (enum rope_unit u = ROPE_SCALARS; u <= ROPE_UTF16; u++) out[u] += units(plain->scalars[i], u);
}

static void assert_converts(struct pair *pair, enum rope_unit from, size_t at) {
  size_t expected[3];
  plain_convert(&pair->plain, from, at, expected);
  for (enum rope_unit to = ROPE_SCALARS; to <= ROPE_UTF16; to++)
    assert_int_equal(rope_convert(&pair->rope, from, to, at), expected[to]);
}

static void assert_some_reads(struct pair *pair) {
  size_t size = pair->plain.size, at = rng_below(&pair->rng, size + 1);
  assert_range(pair, at, rng_below(&pair->rng, size - at + 1));
  assert_reads(pair, rng_below(&pair->rng, size + 1));
  for (enum rope_unit from = ROPE_SCALARS; from <= ROPE_UTF16; from++)
    assert_converts(pair, from, rng_below(&pair->rng, 3 * size + 2));
}

/* Edits mostly near the last one, as people type; the text stays below `most`. */
static void edit(struct pair *pair, size_t *cursor, size_t most) {
  struct rng *rng = &pair->rng;
  if (rng_chance(rng, 1, 3) || *cursor > pair->plain.size) *cursor = rng_below(rng, pair->plain.size + 1);
  size_t n = some_size(rng), rest = pair->plain.size - *cursor;
  bool full = pair->plain.size > most;
  if (rng_chance(rng, full ? 3 : 5, 8)) {
    OK(pair_insert(pair, *cursor, n));
    *cursor += n;
  } else if (rng_chance(rng, 1, 2)) {
    pair_delete(pair, *cursor, n < rest ? n : rest);
  } else {
    if (n > *cursor) n = *cursor;
    *cursor -= n;
    pair_delete(pair, *cursor, n);
  }
}

static void random_edits_give_the_same_text(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), n = seed_count(12); n--; seed++) {
    print_message("seed %llu\n", (unsigned long long)seed);
    struct pair pair;
    pair_init(&pair, seed, 1 + (unsigned)(seed & 3));
    size_t cursor = 0, most = seed % 3 == 0 ? 400 : 100000;
    for (int i = 0; i < 1500; i++) {
      edit(&pair, &cursor, most);
      assert_int_equal(rope_check(&pair.rope, i % 16 == 0), 0);
      if (i % 100 == 0) assert_same(&pair);
      if (i % 100 == 50) assert_some_reads(&pair);
      if (rng_chance(&pair.rng, 1, 200)) rope_trim(&pair.rope);
    }
    assert_same(&pair);
    pair_free(&pair);
  }
}

static void single_characters_anywhere_give_the_same_text(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), n = seed_count(4); n--; seed++) {
    print_message("seed %llu\n", (unsigned long long)seed);
    struct pair pair;
    pair_init(&pair, seed, 1 + (unsigned)(seed & 3));
    for (int i = 0; i < 15000; i++) OK(pair_insert(&pair, rng_below(&pair.rng, pair.plain.size + 1), 1));
    assert_same(&pair);
    for (int i = 0; pair.plain.size; i++) {
      pair_delete(&pair, rng_below(&pair.rng, pair.plain.size), 1);
      if (i % 1000 == 0) assert_same(&pair);
    }
    assert_same(&pair);
    pair_free(&pair);
  }
}

static void one_end_may_grow_and_shrink(void **state) {
  (void)state;
  for (int front = 0; front < 2; front++) {
    struct pair pair;
    pair_init(&pair, seed_first(), 3);
    for (int i = 0; i < 50000; i++) OK(pair_insert(&pair, front ? 0 : pair.plain.size, 1));
    assert_same(&pair);
    while (pair.plain.size) pair_delete(&pair, front ? 0 : pair.plain.size - 1, 1);
    assert_same(&pair);
    pair_free(&pair);
  }
}

static void a_paste_may_be_huge(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), n = seed_count(4); n--; seed++) {
    print_message("seed %llu\n", (unsigned long long)seed);
    struct pair pair;
    pair_init(&pair, seed, 1 + (unsigned)(seed & 3));
    OK(pair_insert(&pair, 0, rng_below(&pair.rng, 3000)));
    OK(pair_insert(&pair, rng_below(&pair.rng, pair.plain.size + 1), 900000));
    assert_same(&pair);
    OK(pair_insert(&pair, rng_below(&pair.rng, pair.plain.size + 1), 300000));
    assert_same(&pair);
    assert_some_reads(&pair);
    size_t at = rng_below(&pair.rng, 1000);
    pair_delete(&pair, at, pair.plain.size - at - rng_below(&pair.rng, 1000));
    assert_same(&pair);
    pair_delete(&pair, 0, pair.plain.size);
    assert_same(&pair);
    OK(pair_insert(&pair, 0, 5));
    assert_same(&pair);
    pair_free(&pair);
  }
}

static void every_position_converts(void **state) {
  (void)state;
  struct pair pair;
  pair_init(&pair, seed_first(), 4);
  OK(pair_insert(&pair, 0, 2500));
  for (enum rope_unit from = ROPE_SCALARS; from <= ROPE_UTF16; from++)
    for (size_t at = 0; at <= rope_convert(&pair.rope, ROPE_SCALARS, from, 2500) + 3; at++)
      assert_converts(&pair, from, at);
  pair_free(&pair);
}

static void an_empty_rope_holds_no_memory(void **state) {
  (void)state;
  struct pair pair;
  pair_init(&pair, 1, 1);
  OK(pair_insert(&pair, 0, 0));
  assert_int_equal(pair.memory.allocations, 0);
  assert_int_equal(rope_convert(&pair.rope, ROPE_UTF16, ROPE_BYTES, 5), 0);
  assert_same(&pair);
  assert_reads(&pair, 0);
  for (size_t n = 1; n < 10000; n *= 10) {
    OK(pair_insert(&pair, 0, n));
    pair_delete(&pair, 0, n);
    rope_trim(&pair.rope);
    assert_int_equal(pair.memory.live, 0);
    assert_same(&pair);
  }
  pair_free(&pair);
}

static void a_short_text_takes_little_memory(void **state) {
  (void)state;
  struct pair pair;
  pair_init(&pair, 1, 1);
  OK(pair_insert(&pair, 0, 20));
  assert_true(pair.memory.live <= 64);
  pair_free(&pair);
}

/* Until the `n`th allocation from now on, which fails alone or with all after it; 0: none fails. */
static void fail_at(struct pair *pair, uint64_t n, bool for_good) {
  pair->memory.fail_at = n ? pair->memory.allocations + n : 0;
  pair->memory.for_good = for_good;
}

/* Ropes of different heights, edited a little. */
static void some_text(struct pair *pair, uint64_t seed) {
  static const size_t sizes[] = {0, 20, 700, 5000, 40000};
  size_t cursor = 0;
  OK(pair_insert(pair, 0, sizes[seed % 5]));
  for (int i = 0; i < 20 && seed % 5 > 2; i++) edit(pair, &cursor, sizes[seed % 5]);
}

static void a_failed_insertion_changes_nothing(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), n = seed_count(25); n--; seed++) {
    print_message("seed %llu\n", (unsigned long long)seed);
    static const size_t sizes[] = {1, 30, 900, 5000, 100000};
    size_t size = sizes[seed / 5 % 5];
    for (int for_good = 0; for_good < 2; for_good++) {
      struct pair pair;
      pair_init(&pair, seed, 1 + (unsigned)(seed & 3));
      some_text(&pair, seed);
      if (seed & 4) rope_trim(&pair.rope);
      int error = DUNLIN_ENOMEM;
      size_t at = rng_below(&pair.rng, pair.plain.size + 1);
      for (uint64_t fail = 1; error; fail += 1 + fail / 8) {
        fail_at(&pair, fail, for_good);
        error = pair_insert(&pair, at, size);
        if (error) assert_int_equal(error, DUNLIN_ENOMEM);
        assert_same(&pair);
        assert_some_reads(&pair);
      }
      pair_free(&pair);
    }
  }
}

static void a_failed_paste_gives_its_memory_back(void **state) {
  (void)state;
  struct pair pair;
  pair_init(&pair, seed_first(), 1);
  OK(pair_insert(&pair, 0, 5000));
  size_t before = pair.memory.live;
  fail_at(&pair, 50, true);
  assert_int_equal(pair_insert(&pair, 2500, 100000), DUNLIN_ENOMEM);
  assert_int_equal(pair.memory.live, before);
  pair_free(&pair);
}

static void leaves_fill_up_when_there_is_no_more_memory(void **state) {
  (void)state;
  struct pair pair;
  pair_init(&pair, seed_first(), 1);
  OK(pair_insert(&pair, 0, 4000));
  size_t leaves = pair.memory.live / (sizeof(struct rope_leaf) + ROPE_LEAF), cap = leaves * ROPE_LEAF;
  assert_true(cap > 4000 && cap < 8000);
  fail_at(&pair, 1, true);
  while (pair.plain.size < cap) OK(pair_insert(&pair, rng_below(&pair.rng, pair.plain.size + 1), 1));
  assert_int_equal(pair_insert(&pair, 0, 1), DUNLIN_ENOMEM);
  assert_same(&pair);
  pair_free(&pair);
}

struct step {
  size_t at, size;
  uint32_t *deleted; /* NULL: an insertion */
};

static void take_back(struct pair *pair, struct step *step) {
  if (!step->deleted) {
    pair_delete(pair, step->at, step->size);
    return;
  }
  OK(pair_insert_scalars(pair, step->at, step->deleted, step->size));
  free(step->deleted);
}

static struct step some_step(struct pair *pair, size_t *cursor) {
  struct rng *rng = &pair->rng;
  if (rng_chance(rng, 1, 2)) *cursor = rng_below(rng, pair->plain.size + 1);
  struct step step = {.at = *cursor, .size = some_size(rng)};
  if (rng_chance(rng, 1, 3) || step.at == pair->plain.size) {
    if (pair_insert(pair, step.at, step.size)) step.size = 0;
    *cursor += step.size;
    return step;
  }
  if (step.size > pair->plain.size - step.at) step.size = pair->plain.size - step.at;
  step.deleted = malloc((step.size + 1) * sizeof *step.deleted);
  assert_non_null(step.deleted);
  memcpy(step.deleted, pair->plain.scalars + step.at, step.size * sizeof *step.deleted);
  pair_delete(pair, step.at, step.size);
  return step;
}

/* Any number of edits, the memory running out at some time, and all of them taken back. */
static void edits_are_taken_back_without_memory(void **state) {
  (void)state;
  enum { STEPS = 300 };
  for (uint64_t seed = seed_first(), n = seed_count(40); n--; seed++) {
    print_message("seed %llu\n", (unsigned long long)seed);
    struct pair pair;
    struct step steps[STEPS];
    pair_init(&pair, seed, 1 + (unsigned)(seed & 3));
    OK(pair_insert(&pair, 0, 1 + rng_below(&pair.rng, 100000)));
    size_t cursor = 0;
    for (int i = 0; i < 3000 && seed % 3; i++) OK(pair_insert(&pair, rng_below(&pair.rng, pair.plain.size), 1));
    rope_trim(&pair.rope);
    fail_at(&pair, 1 + rng_below(&pair.rng, 100), true);
    for (int i = 0; i < STEPS; i++) steps[i] = some_step(&pair, &cursor);
    fail_at(&pair, 1, true);
    assert_same(&pair);
    for (int i = STEPS; i--;) {
      take_back(&pair, &steps[i]);
      assert_int_equal(rope_check(&pair.rope, i % 16 == 0), 0);
      if (i % 50 == 0) assert_same(&pair);
    }
    pair_free(&pair);
  }
}

static void assert_memory(struct pair *pair) {
  rope_trim(&pair->rope);
  assert_int_equal(rope_check(&pair->rope, true), 0);
  print_message("%.3f bytes of memory per byte of text\n", (double)pair->memory.live / (double)rope_bytes(&pair->rope));
  assert_true(pair->memory.live * 100 <= rope_bytes(&pair->rope) * 135);
}

/* Of one character each and anywhere, without the plain text, which would take most of the time. */
static void single_edits(struct pair *pair, size_t inserts, size_t deletes) {
  while (inserts || deletes) {
    uint8_t utf8[4];
    size_t size = rope_size(&pair->rope);
    if (inserts && (!size || rng_chance(&pair->rng, inserts, inserts + deletes))) {
      size_t bytes = encode(some_scalar(&pair->rng, pair->width), utf8);
      OK(rope_insert(&pair->rope, rng_below(&pair->rng, size + 1), utf8, bytes, 1));
      inserts--;
    } else {
      rope_delete(&pair->rope, rng_below(&pair->rng, size), 1);
      deletes--;
    }
  }
  assert_memory(pair);
}

static void memory_is_little_more_than_the_text(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), n = seed_count(4); n--; seed++) {
    print_message("seed %llu\n", (unsigned long long)seed);
    struct pair pair;
    pair_init(&pair, seed, 1 + (unsigned)(seed & 3));
    single_edits(&pair, 200000, 0);
    single_edits(&pair, 0, 100000);
    single_edits(&pair, 200000, 200000);
    char run[50];
    memset(run, 'x', sizeof run);
    for (int i = 0; i < 30000; i++) {
      size_t size = rng_below(&pair.rng, sizeof run + 1);
      OK(rope_insert(&pair.rope, rng_below(&pair.rng, rope_size(&pair.rope) + 1), run, size, size));
      rope_delete(&pair.rope, rng_below(&pair.rng, rope_size(&pair.rope) - size), size);
    }
    assert_memory(&pair);
    pair_free(&pair);
  }
}

static void what_large_deletions_leave_is_put_together(void **state) {
  (void)state;
  struct pair pair;
  pair_init(&pair, seed_first(), 1);
  OK(pair_insert(&pair, 0, 500000));
  for (size_t at = 300; at + 2000 < pair.plain.size; at += 300) pair_delete(&pair, at, 1500);
  assert_same(&pair);
  assert_memory(&pair);
  pair_free(&pair);
}

static void typing_fills_leaves(void **state) {
  (void)state;
  for (int where = 0; where < 3; where++) {
    struct pair pair;
    pair_init(&pair, seed_first(), 1);
    OK(pair_insert(&pair, 0, 2000));
    for (size_t i = 0; i < 100000; i++) OK(pair_insert(&pair, where == 0 ? 0 : where == 1 ? 2000 + i : 1000 + i, 1));
    assert_same(&pair);
    assert_memory(&pair);
    assert_true(pair.memory.live * 100 <= rope_bytes(&pair.rope) * 110);
    pair_free(&pair);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_edits_give_the_same_text),
      cmocka_unit_test(single_characters_anywhere_give_the_same_text),
      cmocka_unit_test(one_end_may_grow_and_shrink),
      cmocka_unit_test(a_paste_may_be_huge),
      cmocka_unit_test(every_position_converts),
      cmocka_unit_test(an_empty_rope_holds_no_memory),
      cmocka_unit_test(a_short_text_takes_little_memory),
      cmocka_unit_test(a_failed_insertion_changes_nothing),
      cmocka_unit_test(a_failed_paste_gives_its_memory_back),
      cmocka_unit_test(leaves_fill_up_when_there_is_no_more_memory),
      cmocka_unit_test(edits_are_taken_back_without_memory),
      cmocka_unit_test(memory_is_little_more_than_the_text),
      cmocka_unit_test(what_large_deletions_leave_is_put_together),
      cmocka_unit_test(typing_fills_leaves),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
