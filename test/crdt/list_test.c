/* The list against a plain array: random edits, changes that are taken back, memory that runs out. */
#include "crdt/list.h"
#include "test/fault/seeded.h"
#include "test/support/support.h"

enum { size_max = 6000 };

/* A list and what it should hold. */
struct pair {
  struct seeded memory;
  struct rng rng;
  struct list list;
  uint32_t plain[size_max];
  size_t size;
};

static void plain_insert(struct pair *p, size_t at, uint32_t element) {
  memmove(p->plain + at + 1, p->plain + at, (p->size - at) * sizeof *p->plain);
  p->plain[at] = element;
  p->size++;
}

static uint32_t plain_erase(struct pair *p, size_t at) {
  uint32_t element = p->plain[at];
  p->size--;
  memmove(p->plain + at, p->plain + at + 1, (p->size - at) * sizeof *p->plain);
  return element;
}

static void assert_equal(const struct pair *p) {
  const struct list *l = &p->list;
  assert_int_equal(l->size, p->size);
  for (uint32_t at = 0, count; at < l->size; at += count) {
    const uint32_t *elements = list_run(l, at, &count);
    assert_true(count && count <= l->size - at);
    assert_memory_equal(elements, p->plain + at, count * sizeof *elements);
  }
  OK(list_check(l, true));
}

/* The index drawn: anywhere, or near the start or the end, which are split and emptied otherwise. */
static uint32_t some_index(struct pair *p, size_t end) {
  uint32_t spread = (uint32_t)(end < 4 ? end : 4);
  switch (rng_below(&p->rng, 4)) {
    case 0: return (uint32_t)rng_below(&p->rng, spread);
    case 1: return (uint32_t)(end - 1 - rng_below(&p->rng, spread));
    default: return (uint32_t)rng_below(&p->rng, end);
  }
}

/* One change of both; DUNLIN_ENOMEM and then neither has changed. */
static int edit(struct pair *p, size_t grow) {
  size_t what = rng_below(&p->rng, 16);
  int error = list_reserve(&p->list);
  if (error) return error;
  if (!p->size || (what < grow && p->size < size_max)) {
    uint32_t at = some_index(p, p->size + 1), element = list_new(&p->list);
    list_insert(&p->list, at, element);
    plain_insert(p, at, element);
  } else if (what < 13) {
    uint32_t at = some_index(p, p->size);
    list_erase(&p->list, at);
    plain_erase(p, at);
  } else {
    uint32_t from = some_index(p, p->size), to = some_index(p, p->size);
    list_move(&p->list, from, to);
    plain_insert(p, to, plain_erase(p, from));
  }
  return 0;
}

static struct pair *pair_new(uint64_t seed) {
  struct pair *p = calloc(1, sizeof *p);
  assert_non_null(p);
  seeded_init(&p->memory, seed);
  p->rng = rng_of(seed);
  list_init(&p->list, &p->memory.env);
  return p;
}

static void pair_free(struct pair *p) {
  list_free(&p->list);
  assert_int_equal(p->memory.live, 0);
  free(p);
}

/* A change of some edits, kept or taken back. */
static void change(struct pair *p, size_t edits, size_t grow) {
  static uint32_t before[size_max];
  size_t size = p->size;
  memcpy(before, p->plain, size * sizeof *before);
  list_open(&p->list);
  for (size_t i = 0; i < edits; i++) OK(edit(p, grow));
  if (rng_chance(&p->rng, 1, 2)) {
    list_settle(&p->list);
    return;
  }
  uint64_t asked = p->memory.allocations;
  list_revert(&p->list); /* needs no memory: all of it was there before */
  assert_int_equal(p->memory.allocations, asked);
  memcpy(p->plain, before, size * sizeof *before);
  p->size = size;
}

static void list_follows_array(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), end = seed + seed_count(200); seed < end; seed++) {
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    struct pair *p = pair_new(seed);
    for (size_t round = 0; round < 40; round++) {
      size_t grow = rng_below(&p->rng, 13), edits = rng_below(&p->rng, rng_chance(&p->rng, 1, 4) ? 3000 : 30);
      if (rng_chance(&p->rng, 1, 3))
        for (size_t i = 0; i < edits; i++) OK(edit(p, grow)); /* no change is open */
      else change(p, edits, grow);
      assert_equal(p);
    }
    pair_free(p);
  }
}

/* What is full must be split again when it comes back, from whatever was joined meanwhile. */
static void reverting_needs_no_memory(void **state) {
  (void)state;
  for (uint32_t size = 1; size < size_max; size += size / 3 + 1) {
    struct pair *p = pair_new(size);
    for (uint32_t i = 0; i < size; i++) {
      OK(list_reserve(&p->list));
      uint32_t element = list_new(&p->list);
      list_insert(&p->list, i, element);
      plain_insert(p, i, element);
    }
    list_open(&p->list);
    for (uint32_t i = 0; i < size; i++) {
      OK(list_reserve(&p->list));
      list_erase(&p->list, some_index(p, p->list.size));
    }
    assert_int_equal(p->list.size, 0);
    uint64_t asked = p->memory.allocations;
    list_revert(&p->list);
    assert_int_equal(p->memory.allocations, asked);
    assert_true(p->list.leaf_count <= p->list.leaf_cap && p->list.node_count <= p->list.node_cap);
    assert_equal(p);
    pair_free(p);
  }
}

static void failing_memory_changes_nothing(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), end = seed + seed_count(100); seed < end; seed++) {
    struct pair *p = pair_new(seed);
    bool opened = false;
    for (size_t i = 0; i < 600; i++) {
      if (!opened && rng_chance(&p->rng, 1, 20)) list_open(&p->list), opened = true;
      if (opened && rng_chance(&p->rng, 1, 20)) list_settle(&p->list), opened = false;
      p->memory.fail_at = rng_chance(&p->rng, 1, 3) ? p->memory.allocations + 1 + rng_below(&p->rng, 2) : 0;
      int error = edit(p, 11);
      assert_true(!error || error == DUNLIN_ENOMEM);
      p->memory.fail_at = 0;
      if (error) assert_equal(p);
    }
    if (opened) list_settle(&p->list);
    assert_equal(p);
    pair_free(p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(list_follows_array),
      cmocka_unit_test(reverting_needs_no_memory),
      cmocka_unit_test(failing_memory_changes_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
