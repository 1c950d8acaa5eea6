/* Every allocation of a workload fails once, and then for good from there on: a clean error each time, the document as it was,
 * nothing leaked (the sanitizers look). */
#include "test/crdt/program.h"
#include "test/fault/seeded.h"

/* A history of two replicas, as single deltas in order. */
enum { steps = 60 };
struct history {
  void *deltas[steps];
  size_t lens[steps];
  struct dunlin_id hash; /* of a document that has them all */
};

static void record(struct history *h) {
  struct rng rng = rng_of(11);
  dunlin_doc *docs[2] = {test_doc(1), test_doc(2)};
  for (int i = 0; i < steps; i++) {
    dunlin_doc *doc = docs[i & 1];
    size_t heads;
    struct dunlin_id since[8];
    const struct dunlin_id *now = dunlin_doc_heads(doc, &heads);
    if (heads) memcpy(since, now, heads * sizeof *now);
    program_edit(doc, &rng);
    OK(dunlin_doc_delta(doc, since, heads, &h->deltas[i], &h->lens[i]));
    if (i % 7 == 6) test_sync(docs[0], docs[1]);
  }
  test_sync(docs[0], docs[1]);
  OK(dunlin_doc_hash(docs[0], &h->hash));
  dunlin_doc_free(docs[0]);
  dunlin_doc_free(docs[1]);
}

/* Memory is back: what failed can be done again, and nothing is missing or there twice. */
static void recover(struct seeded *f, const struct history *h, dunlin_doc *doc) {
  struct dunlin_id hash_now;
  f->fail_at = 0;
  f->for_good = false;
  for (int i = 0; i < steps; i++) OK(dunlin_doc_apply(doc, h->deltas[i], h->lens[i], NULL));
  OK(dunlin_doc_hash(doc, &hash_now));
  assert_memory_equal(&hash_now, &h->hash, sizeof hash_now);
}

/* Edits once and takes the history in; returns the first error, or 0 and the hash. */
static int workload(struct seeded *f, const struct history *h, struct dunlin_id *out) {
  dunlin_doc *doc = NULL;
  struct dunlin_id id = test_id(1), before, after;
  struct dunlin_actor actor = {{9}};
  int error = dunlin_doc_new(&f->env, &id, &actor, &doc);
  if (error) return error;
  for (int i = 0; !error && i < steps; i++) error = dunlin_doc_apply(doc, h->deltas[i], h->lens[i], NULL);
  if (error) recover(f, h, doc);
  size_t changes = dunlin_doc_changes(doc);
  if (!error) error = dunlin_doc_hash(doc, &before);
  if (!error) error = dunlin_begin(doc);
  if (!error) {
    dunlin_obj obj = {0};
    (void)dunlin_map_child(doc, DUNLIN_ROOT, KEY("list"), DUNLIN_LIST, &obj);
    for (size_t i = 0; i < 20; i++) (void)dunlin_list_insert(doc, obj, i, str_value("element"));
    (void)dunlin_list_move(doc, obj, 3, 9);
    (void)dunlin_list_delete(doc, obj, 2, 5);
    (void)dunlin_map_child(doc, DUNLIN_ROOT, KEY("text"), DUNLIN_TEXT, &obj);
    (void)dunlin_text_splice(doc, obj, 0, 0, "hello", 5);
    error = dunlin_commit(doc, 0, NULL);
    if (error < 0) {
      assert_int_equal(dunlin_doc_changes(doc), changes);
      recover(f, h, doc);
      OK(dunlin_doc_hash(doc, &after));
      assert_memory_equal(&before, &after, sizeof before);
    }
  }
  if (error >= 0) error = dunlin_doc_hash(doc, out);
  dunlin_doc_free(doc);
  return error;
}

static void every_allocation_fails(void **state) {
  (void)state;
  struct history h;
  struct dunlin_id expected, got;
  struct seeded f;
  seeded_init(&f, 1);
  record(&h);
  OK(workload(&f, &h, &expected));
  uint64_t all = f.allocations;
  assert_true(all > 500);
  for (int for_good = 0; for_good < 2; for_good++) {
    for (uint64_t n = 1; n <= all; n++) {
      f.allocations = 0;
      f.fail_at = n;
      f.for_good = for_good;
      FAILS(workload(&f, &h, &got), DUNLIN_ENOMEM);
      assert_int_equal(f.live, 0);
    }
  }
  f.allocations = 0;
  f.fail_at = 0;
  OK(workload(&f, &h, &got));
  assert_memory_equal(&expected, &got, sizeof got);
  for (int i = 0; i < steps; i++) dunlin_free(NULL, h.deltas[i], h.lens[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
