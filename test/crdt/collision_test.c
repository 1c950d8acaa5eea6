/* Names, ids and keys that others choose do not make tables slow: whatever they have in common, their hashes do not. */
#include <time.h>

#include "crdt/internal.h"
#include "crdt/mix.h"
#include "test/support/support.h"

enum { key_bytes = 256, bits = 13, keys = 1 << bits };

/* Made-up keys, `len` bytes each. */
struct family {
  const char *name;
  size_t len;
  void (*make)(uint8_t *key, uint32_t i);
};

static void put(uint8_t *at, uint32_t i) {
  for (int k = 0; k < 4; k++) at[k] = (uint8_t)(i >> 8 * k);
}
/* Nothing that is made up: what others are measured against. */
static void random_all_over(uint8_t *key, uint32_t i) {
  struct rng rng = rng_of(i);
  for (size_t k = 0; k < 16 * bits; k++) key[k] = (uint8_t)rng_next(&rng);
}
static void alike_at_the_start(uint8_t *key, uint32_t i) {
  put(key + 8, i);
}
static void alike_but_for_the_end(uint8_t *key, uint32_t i) {
  put(key + 12, i);
}
static void alike_in_the_low_bits(uint8_t *key, uint32_t i) {
  put(key + 4, i << (32 - bits));
}
/* What differs in the highest bit of one word is made up for in the next, if words are multiplied by what is known, and
 * their halves put over each other. */
static void made_up_for(uint8_t *key, uint32_t i) {
  for (size_t k = 0; k < bits; k++) {
    uint8_t flip = i >> k & 1u ? 0x80u : 0u;
    key[16 * k + 7] = key[16 * k + 11] = key[16 * k + 15] = flip;
  }
}

static const struct family families[] = {
    {"random", 16 * bits, random_all_over},
    {"alike at the start", 32, alike_at_the_start},
    {"alike but for the end", 16, alike_but_for_the_end},
    {"alike in the low bits", 32, alike_in_the_low_bits},
    {"made up for", 16 * bits, made_up_for},
};
enum { family_count = sizeof families / sizeof *families };

static void key_of(const struct family *family, uint32_t i, uint8_t key[key_bytes]) {
  memset(key, 0, key_bytes);
  family->make(key, i);
}

/* As many buckets as keys: of random hashes hardly one would have more than eight. */
static void test_hashes_spread(void **state) {
  (void)state;
  static uint32_t low[keys], high[keys];
  uint64_t first = seed_first(), count = seed_count(200);
  for (size_t f = 0; f < family_count; f++)
    for (uint64_t seed = first; seed < first + count; seed++) {
      struct rng rng = rng_of(seed);
      uint64_t secret = rng_next(&rng);
      uint8_t key[key_bytes];
      size_t most = 0;
      memset(low, 0, sizeof low);
      memset(high, 0, sizeof high);
      for (uint32_t i = 0; i < keys; i++) {
        key_of(&families[f], i, key);
        uint64_t h = mix_bytes(secret, key, families[f].len);
        low[h % keys]++;
        high[h >> (64 - bits)]++;
      }
      for (size_t i = 0; i < keys; i++) {
        if (low[i] > most) most = low[i];
        if (high[i] > most) most = high[i];
      }
      if (most > 16)
        fail_msg("%s, TEST_SEED=%llu: %zu in one bucket", families[f].name, (unsigned long long)seed, most);
    }
}

/* Another seed, other collisions: no two keys have the same hash under many. */
static void test_no_pair_collides_whatever_the_seed(void **state) {
  (void)state;
  enum { tries = 2000 };
  uint64_t first = seed_first(), count = seed_count(tries);
  for (size_t f = 0; f < family_count; f++) {
    size_t same = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
      struct rng rng = rng_of(seed);
      uint64_t secret = rng_next(&rng);
      uint32_t a = (uint32_t)rng_below(&rng, keys), b = a ^ (1u << rng_below(&rng, bits));
      uint8_t one[key_bytes], other[key_bytes];
      key_of(&families[f], a, one);
      key_of(&families[f], b, other);
      uint32_t mask = keys - 1;
      same += !((mix_bytes(secret, one, families[f].len) ^ mix_bytes(secret, other, families[f].len)) & mask);
    }
    if (same > 8 * ((count + tries - 1) / tries))
      fail_msg("%s: %zu of %llu pairs meet", families[f].name, same, (unsigned long long)count);
  }
}

/* How deep a search tree of the numbers from 1 to `keys` is in which those of higher rank are above the others. */
static uint32_t depth_by_rank(uint64_t secret) {
  static uint32_t below[keys + 1],
      right[keys + 1]; /* how deep the part on the left is; the last ones, each to the right of the one before */
  uint32_t deepest = 0, count = 0, part = 0;
  for (uint32_t i = 1; i <= keys + 1; i++) {
    for (part = 0; count && (i > keys || mix_rank(secret, right[count - 1]) < mix_rank(secret, i)); count--) {
      uint32_t left = below[count - 1];
      part = 1 + (left > part ? left : part);
    }
    if (part > deepest) deepest = part;
    if (i > keys) break;
    below[count] = part;
    right[count++] = i;
  }
  return deepest;
}

/* Of 100 000 seeds none made it deeper than 60. */
static void test_numbers_in_a_row_make_no_tree_deep(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(2000);
  for (uint64_t seed = first; seed < first + count; seed++) {
    struct rng rng = rng_of(seed);
    uint64_t secret = rng_next(&rng);
    uint32_t depth = depth_by_rank(secret);
    if (depth > 60) fail_msg("TEST_SEED=%llu: %u deep", (unsigned long long)seed, depth);
  }
  assert_true(depth_by_rank(0) <= 60); /* whoever gives no randomness */
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Looks them all up and adds them, as actors and as members of a set. */
static uint8_t made[keys][key_bytes];

static double time_actors(void) {
  dunlin_doc *doc;
  struct dunlin_id id = test_id(1);
  OK(dunlin_doc_new(NULL, &id, NULL, &doc));
  double start = now();
  for (uint32_t i = 0; i < keys; i++) {
    struct dunlin_actor name;
    memcpy(&name, made[i], sizeof name);
    assert_true(graph_actor_find(&doc->graph, &name) == IDMAP_NONE);
    assert_true(graph_actor(&doc->graph, &name) != IDMAP_NONE);
  }
  double took = now() - start;
  dunlin_doc_free(doc);
  return took;
}

static double time_members(size_t len) {
  dunlin_doc *doc = test_doc(1);
  double start = now();
  OK(dunlin_begin(doc));
  dunlin_obj set = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("s"), DUNLIN_SET);
  for (uint32_t i = 0; i < keys; i++)
    OK(dunlin_set_add(doc, set, dunlin_blob(made[i] + 2, len - 2))); /* two bytes say its length */
  double took = now() - start;
  dunlin_abort(doc);
  dunlin_doc_free(doc);
  return took;
}

static void test_made_up_names_take_no_longer(void **state) {
  (void)state;
  enum { tries = 5, at_most = 4 };
  double actors[family_count], members[family_count];
  for (size_t f = 0; f < family_count; f++) actors[f] = members[f] = 1e9;
  for (int i = 0; i < tries; i++)
    for (size_t f = 0; f < family_count; f++) {
      for (uint32_t k = 0; k < keys; k++) key_of(&families[f], k, made[k]);
      double took = families[f].make == made_up_for ? actors[0] : time_actors(); /* names are short */
      if (took < actors[f]) actors[f] = took;
      took = time_members(families[f].len);
      if (took < members[f]) members[f] = took;
    }
  for (size_t f = 0; f < family_count; f++) {
    print_message("%s: actors %.2f ms, members %.2f ms\n", families[f].name, actors[f] * 1e3, members[f] * 1e3);
    if (test_is_sanitized) continue;
    assert_true(actors[f] < at_most * actors[0]);
    assert_true(members[f] < at_most * members[0]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hashes_spread),
      cmocka_unit_test(test_no_pair_collides_whatever_the_seed),
      cmocka_unit_test(test_numbers_in_a_row_make_no_tree_deep),
      cmocka_unit_test(test_made_up_names_take_no_longer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
