/* Merging three plain values: what holds for any three (a table of what comes out is in
 * test/capability/C27_merge3.c). */
#include "test/support/plain.h"

#include "test/fault/seeded.h"

/* A conflict says what there was, and that nothing was. */
static void conflicts_say_what_there_was(void **state) {
  (void)state;
  struct buf base = plain_of("{'a': {'b': [1]}, 'c': 1}"), local = plain_of("{'a': {'b': 'x'}, 'c': 2, 'd': 1}"),
             remote = plain_of("{'a': {'b': 'y'}, 'd': 2}");
  struct dunlin_merge *merge = NULL;
  OK(dunlin_merge3(NULL, buf_bytes(&base), buf_bytes(&local), buf_bytes(&remote), &merge));
  assert_plain(merge->value, "{'a': {'b': 'y'}, 'c': 2, 'd': 2}");
  assert_int_equal(merge->conflict_count, 3);
  assert_memory_equal(merge->conflicts[0].path.data, "/a/b", 4);
  assert_plain(merge->conflicts[0].base, "[1]");
  assert_plain(merge->conflicts[0].local, "'x'");
  assert_plain(merge->conflicts[0].remote, "'y'");
  assert_plain(merge->conflicts[1].local, "2");
  assert_null(merge->conflicts[1].remote.data);
  assert_null(merge->conflicts[2].base.data);
  dunlin_merge_free(merge);
  dunlin_merge_free(NULL);
  buf_free(&base);
  buf_free(&local);
  buf_free(&remote);
}

/* ---- At random ---------------------------------------------------------------------------------------------- */

static bool equal(struct dunlin_bytes a, struct dunlin_bytes b) {
  return !a.data == !b.data && bytes_same(a, b);
}

/* The same conflicts, with the sides swapped. */
static bool mirrored(const struct dunlin_merge *a, const struct dunlin_merge *b) {
  if (!equal(a->value, b->value) || a->conflict_count != b->conflict_count) return false;
  for (size_t i = 0; i < a->conflict_count; i++) {
    const struct dunlin_merge_conflict *x = &a->conflicts[i], *y = &b->conflicts[i];
    if (!bytes_same(x->path, y->path) || !equal(x->base, y->base) || !equal(x->local, y->remote) ||
        !equal(x->remote, y->local))
      return false;
  }
  return true;
}

/* A changed copy; one that is well-formed. */
static struct buf mutant(struct rng *rng, const struct plain *plain) {
  for (;;) {
    struct buf out;
    struct plain again;
    buf_init(&out, dunlin_env_default(), SIZE_MAX);
    mutate_plain(rng, plain, plain->nodes, &out, 0);
    if (!plain_open(&again, dunlin_env_default(), buf_bytes(&out), true)) { /* else a key is there twice */
      plain_close(&again);
      return out;
    }
    buf_free(&out);
  }
}

static void expect(struct dunlin_bytes base, struct dunlin_bytes local, struct dunlin_bytes remote,
                   struct dunlin_bytes merged) {
  struct dunlin_merge *merge = NULL;
  OK(dunlin_merge3(NULL, base, local, remote, &merge));
  assert_plain_bytes(merge->value, merged);
  assert_int_equal(merge->conflict_count, 0);
  dunlin_merge_free(merge);
}

static void any_three_values_merge(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(3000), conflicts = 0, operations = 0;
  for (uint64_t seed = first; seed < first + count; seed++) {
    struct rng rng = rng_of(plain_seed = seed);
    struct plain base;
    struct buf random;
    size_t budget = 80;
    dunlin_doc *doc = test_doc(1);
    buf_init(&random, dunlin_env_default(), SIZE_MAX);
    random_plain(&rng, &random, 0, &budget);
    OK(plain_open(&base, dunlin_env_default(), buf_bytes(&random), true));
    struct dunlin_bytes b = plain_bytes(&base, base.nodes);
    struct buf local = mutant(&rng, &base), remote = mutant(&rng, &base);
    struct dunlin_merge *merge = NULL, *swapped = NULL, *again = NULL;
    OK(dunlin_merge3(NULL, b, buf_bytes(&local), buf_bytes(&remote), &merge));
    OK(dunlin_merge3(NULL, b, buf_bytes(&remote), buf_bytes(&local), &swapped));
    if (!mirrored(merge, swapped)) fail_msg("TEST_SEED=%llu: not symmetric", (unsigned long long)seed);
    apply_ops(doc, buf_bytes(&local), merge);
    apply_ops(doc, buf_bytes(&remote), swapped);
    /* A side that has changed nothing gives the other one, and a merge that is merged again is itself. */
    OK(dunlin_merge3(NULL, b, buf_bytes(&local), b, &again));
    expect(b, b, again->value, again->value);
    expect(b, merge->value, b, merge->value);
    expect(b, merge->value, merge->value, merge->value);
    if (again->conflict_count) fail_msg("TEST_SEED=%llu: a conflict with nothing", (unsigned long long)seed);
    conflicts += merge->conflict_count;
    operations += merge->op_count;
    dunlin_merge_free(merge);
    dunlin_merge_free(swapped);
    dunlin_merge_free(again);
    plain_close(&base);
    buf_free(&random);
    buf_free(&local);
    buf_free(&remote);
    dunlin_doc_free(doc);
  }
  plain_seed = 0;
  print_message("%llu conflicts, %llu operations\n", (unsigned long long)conflicts, (unsigned long long)operations);
  if (count >= 300) assert_true(conflicts > count / 4 && operations > count);
}

/* ---- Bounds ------------------------------------------------------------------------------------------------- */

static struct buf numbers(int64_t first, int64_t step, size_t count) {
  struct buf out;
  buf_init(&out, dunlin_env_default(), SIZE_MAX);
  plain_write_head(&out, false, count);
  for (size_t i = 0; i < count; i++) mp_write_int(&out, first + step * (int64_t)i);
  return out;
}

/* Lists of which one has little in common with the base are one conflict, soon. */
static void lists_that_differ_too_much_are_one_conflict(void **state) {
  (void)state;
  struct buf base = numbers(0, 1, 20000), values[] = {numbers(0, 3, 20000), numbers(0, 7, 20000), numbers(0, 1, 19999)};
  for (size_t i = 0; i < 9; i++) {
    const struct buf *local = &values[i / 3], *remote = &values[i % 3];
    struct dunlin_merge *merge = NULL;
    if (local == remote) continue;
    OK(dunlin_merge3(NULL, buf_bytes(&base), buf_bytes(local), buf_bytes(remote), &merge));
    assert_int_equal(merge->conflict_count, 1);
    assert_int_equal(merge->conflicts[0].path.len, 0);
    bool local_wins = bytes_compare(buf_bytes(local), buf_bytes(remote)) > 0;
    assert_plain_bytes(merge->value, buf_bytes(local_wins ? local : remote));
    dunlin_merge_free(merge);
  }
  for (size_t i = 0; i < 3; i++) buf_free(&values[i]);
  buf_free(&base);
}

/* A long path with many conflicts behind it. */
static void paths_are_bounded(void **state) {
  (void)state;
  static char name[DUNLIN_MAX_KEY];
  struct buf values[3];
  memset(name, '~', sizeof name);
  for (int v = 0; v < 3; v++) {
    buf_init(&values[v], dunlin_env_default(), SIZE_MAX);
    for (unsigned i = 0; i < DUNLIN_MAX_DEPTH - 1; i++) {
      plain_write_head(&values[v], true, 1);
      mp_write_str(&values[v], name, sizeof name);
    }
    plain_write_head(&values[v], false, 5000);
    for (int i = 0; i < 5000; i++) mp_write_int(&values[v], i % 10 ? i : i + v);
  }
  struct dunlin_merge *merge = NULL;
  OK(dunlin_merge3(NULL, buf_bytes(&values[0]), buf_bytes(&values[1]), buf_bytes(&values[2]), &merge));
  assert_int_equal(merge->conflict_count, 500);
  dunlin_merge_free(merge);
  for (int v = 0; v < 3; v++) {
    buf_clear(&values[v]);
    for (unsigned i = 0; i < DUNLIN_MAX_DEPTH - 1; i++) {
      plain_write_head(&values[v], true, 1);
      mp_write_str(&values[v], name, sizeof name);
    }
    plain_write_head(&values[v], true, 5000);
    for (int i = 0; i < 5000; i++) {
      char key[8];
      mp_write_str(&values[v], key, (size_t)snprintf(key, sizeof key, "%d", i));
      mp_write_int(&values[v], v);
    }
  }
  FAILS(dunlin_merge3(NULL, buf_bytes(&values[0]), buf_bytes(&values[1]), buf_bytes(&values[2]), &merge),
        DUNLIN_ELIMIT);
  for (int v = 0; v < 3; v++) buf_free(&values[v]);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  struct buf base = plain_of("{'a': [1, 2, {'b': 1}], 'c': 1, 'd': {}}"),
             local = plain_of("{'a': [1, 3, 4, {'b': 2}], 'c': 2}"),
             remote = plain_of("{'a': [0, 1, 5, {'b': 3}], 'c': 3, 'e': []}");
  uint64_t all = 1;
  for (uint64_t n = 0; n <= all; n++) {
    struct seeded memory;
    struct dunlin_merge *merge = NULL;
    seeded_init(&memory, 1);
    memory.fail_at = n;
    FAILS(dunlin_merge3(&memory.env, buf_bytes(&base), buf_bytes(&local), buf_bytes(&remote), &merge),
          n ? DUNLIN_ENOMEM : 0);
    assert_int_equal(!merge, n != 0);
    dunlin_merge_free(merge);
    assert_int_equal(memory.live, 0);
    if (!n) all = memory.allocations;
  }
  assert_true(all > 30);
  buf_free(&base);
  buf_free(&local);
  buf_free(&remote);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(conflicts_say_what_there_was),
      cmocka_unit_test(any_three_values_merge),
      cmocka_unit_test(lists_that_differ_too_much_are_one_conflict),
      cmocka_unit_test(paths_are_bounded),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
