/* Whatever the order, repetition, batching or path by which changes come, documents end equal. */
#include "test/crdt/program.h"

#include "test/support/changes.h"

/* ---- Every causal order of a few concurrent changes --------------------------------------------------------- */

enum { orders_changes = 7 };

struct orders {
  void *deltas[orders_changes];
  size_t lens[orders_changes];
  unsigned needs[orders_changes]; /* changes that must come before */
  unsigned done;
  int order[orders_changes];
  struct dunlin_id hash;
  size_t count;
};

static void keep_change(struct orders *o, size_t i, dunlin_doc *doc, const struct dunlin_id *since, size_t heads) {
  OK(dunlin_doc_delta(doc, since, heads, &o->deltas[i], &o->lens[i]));
}

static void check_order(struct orders *o, const void *base, size_t base_len) {
  dunlin_doc *doc = test_doc(99);
  struct dunlin_id hash;
  struct dunlin_applied applied;
  OK(dunlin_doc_apply(doc, base, base_len, NULL));
  for (int i = 0; i < orders_changes; i++) {
    OK(dunlin_doc_apply(doc, o->deltas[o->order[i]], o->lens[o->order[i]], &applied));
    assert_int_equal(applied.applied, 1);
  }
  OK(dunlin_doc_hash(doc, &hash));
  if (!o->count++) o->hash = hash;
  assert_memory_equal(&hash, &o->hash, sizeof hash);
  dunlin_doc_free(doc);
}

static void try_orders(struct orders *o, int depth, const void *base, size_t base_len) {
  if (depth == orders_changes) check_order(o, base, base_len);
  for (int i = 0; i < orders_changes; i++) {
    if (o->done >> i & 1 || (o->needs[i] & o->done) != o->needs[i]) continue;
    o->done |= 1u << i;
    o->order[depth] = i;
    try_orders(o, depth + 1, base, base_len);
    o->done &= ~(1u << i);
  }
}

/* The base that all share: a list of four, a text, a counter, a child. */
static void write_base(dunlin_doc *doc) {
  dunlin_obj obj;
  OK(dunlin_begin(doc));
  obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("l"), DUNLIN_LIST);
  for (size_t i = 0; i < 4; i++) OK(dunlin_list_insert(doc, obj, i, int_value((int64_t)i)));
  obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  OK(dunlin_text_splice(doc, obj, 0, 0, "abcdef", 6));
  obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("c"), DUNLIN_COUNTER);
  obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("m"), DUNLIN_MAP);
  OK(dunlin_map_put(doc, obj, dunlin_key("x"), int_value(1)));
  OK(dunlin_commit(doc, 0, NULL));
}

static dunlin_obj root_child(const dunlin_doc *doc, const char *key) {
  struct dunlin_value v;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key(key), &v));
  return v.as.obj;
}

/* Edits that all touch the same places.  With five actors the last two build on the first two; with seven all are
 * concurrent. */
static void concurrent_edit(dunlin_doc *doc, int which) {
  dunlin_obj l = root_child(doc, "l"), t = root_child(doc, "t"), c = root_child(doc, "c"), m;
  OK(dunlin_begin(doc));
  switch (which) {
    case 0:
      OK(dunlin_list_move(doc, l, 0, 3));
      OK(dunlin_text_splice(doc, t, 2, 2, "XX", 2));
      OK(dunlin_counter_add(doc, c, 1));
      break;
    case 1:
      OK(dunlin_list_move(doc, l, 0, 1));
      OK(dunlin_text_splice(doc, t, 2, 0, "YY", 2));
      OK(dunlin_map_delete(doc, DUNLIN_ROOT, dunlin_key("m")));
      break;
    case 2:
      OK(dunlin_list_set(doc, l, 0, str_value("set")));
      OK(dunlin_map_put(doc, root_child(doc, "m"), dunlin_key("x"), int_value(2)));
      OK(dunlin_map_touch(doc, DUNLIN_ROOT, dunlin_key("m")));
      OK(dunlin_counter_add(doc, c, 10));
      break;
    case 3:
      OK(dunlin_list_delete(doc, l, 0, 2));
      OK(dunlin_text_splice(doc, t, 0, 6, "", 0));
      OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("k"), int_value(3)));
      break;
    case 4:
      m = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("k"), DUNLIN_MAP);
      dunlin_list_insert_child(doc, l, 1, DUNLIN_TEXT);
      OK(dunlin_text_splice(doc, t, 2, 0, "Z", 1));
      break;
    case 5:
      OK(dunlin_list_move(doc, l, 3, 0));
      OK(dunlin_text_splice(doc, t, 3, 0, "+", 1));
      break;
    default:
      m = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("m"), DUNLIN_MAP);
      OK(dunlin_map_put(doc, m, dunlin_key("x"), int_value(9)));
      OK(dunlin_list_delete(doc, l, 1, 1));
  }
  OK(dunlin_commit(doc, 0, NULL));
}

static void try_actors(int actors, size_t orders) {
  struct orders o = {.count = 0};
  dunlin_doc *base = test_doc(100);
  void *base_delta;
  size_t base_len, heads;
  write_base(base);
  OK(dunlin_doc_delta(base, NULL, 0, &base_delta, &base_len));
  for (int i = 0; i < actors; i++) {
    dunlin_doc *doc = test_doc((uint8_t)(i + 1));
    OK(dunlin_doc_apply(doc, base_delta, base_len, NULL));
    for (int more = i; more < orders_changes; more += actors) {
      if (more != i) o.needs[more] = 1u << i;
      struct dunlin_id since = dunlin_doc_heads(doc, &heads)[0];
      concurrent_edit(doc, more);
      keep_change(&o, (size_t)more, doc, &since, 1);
    }
    dunlin_doc_free(doc);
  }
  try_orders(&o, 0, base_delta, base_len);
  assert_int_equal(o.count, orders);
  for (int i = 0; i < orders_changes; i++) dunlin_free(NULL, o.deltas[i], o.lens[i]);
  dunlin_free(NULL, base_delta, base_len);
  dunlin_doc_free(base);
}

static void every_delivery_order(void **state) {
  (void)state;
  try_actors(7, 5040);
  try_actors(5, 5040 / 4);
}

/* ---- Random runs -------------------------------------------------------------------------------------------- */

/* Each change alone, in any order, some of them twice. */
static void deliver_shuffled(dunlin_doc *from, dunlin_doc *to, struct rng *rng) {
  struct pieces p = pieces_of(from);
  pieces_shuffle(&p, rng);
  for (size_t i = 0; i < p.count; i++)
    for (size_t times = 1 + !rng_below(rng, 5); times; times--) give_change(to, &p.changes[i]);
  pieces_free(&p);
}

static void exchange(dunlin_doc *from, dunlin_doc *to, struct rng *rng) {
  if (rng_below(rng, 4)) test_send(from, to);
  else deliver_shuffled(from, to, rng);
}

/* The compact form of a document gives one that is equal, before and after it is saved once more. */
static void check_compact(const dunlin_doc *doc, const dunlin_doc *same) {
  struct dunlin_actor actor = {{60}};
  void *file, *again;
  size_t len, again_len;
  dunlin_doc *opened;
  OK(dunlin_doc_save(doc, &file, &len));
  OK(dunlin_doc_load(NULL, file, len, &actor, &opened));
  assert_int_equal(dunlin_doc_changes(opened), dunlin_doc_changes(doc));
  assert_same_doc(opened, same);
  OK(dunlin_doc_save(opened, &again, &again_len));
  assert_int_equal(len, again_len);
  assert_memory_equal(file, again, len);
  dunlin_doc_free(opened);
  dunlin_free(NULL, file, len);
  dunlin_free(NULL, again, again_len);
}

static void run(uint64_t seed, size_t replicas, size_t steps) {
  struct rng rng = rng_of(seed);
  dunlin_doc *docs[5];
  for (size_t i = 0; i < replicas; i++) docs[i] = test_doc((uint8_t)(1 + i));
  for (size_t i = 0; i < steps; i++) {
    size_t who = rng_below(&rng, replicas);
    if (rng_below(&rng, 5)) program_edit(docs[who], &rng);
    else exchange(docs[rng_below(&rng, replicas)], docs[who], &rng);
  }
  for (size_t i = 1; i < replicas; i++) exchange(docs[i], docs[0], &rng);
  for (size_t i = 1; i < replicas; i++) exchange(docs[0], docs[i], &rng);
  for (size_t i = 1; i < replicas; i++) {
    assert_int_equal(dunlin_doc_pending(docs[i]), 0);
    assert_int_equal(dunlin_doc_changes(docs[i]), dunlin_doc_changes(docs[0]));
    assert_same_doc(docs[0], docs[i]);
  }
  dunlin_doc *reopened = test_doc(50);
  test_send(docs[0], reopened); /* everything at once */
  assert_same_doc(docs[0], reopened);
  check_compact(docs[rng_below(&rng, replicas)], reopened);
  dunlin_doc_free(reopened);
  for (size_t i = 0; i < replicas; i++) dunlin_doc_free(docs[i]);
}

static void random_runs(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(2000);
  for (uint64_t seed = first; seed < first + count; seed++) {
    char again[64];
    snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
    setenv("DUNLIN_RUNNING", again, 1);
    run(seed, 3, 40);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_delivery_order),
      cmocka_unit_test(random_runs),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (failed && getenv("DUNLIN_RUNNING")) printf("to run the last seed alone: %s\n", getenv("DUNLIN_RUNNING"));
  return failed;
}
