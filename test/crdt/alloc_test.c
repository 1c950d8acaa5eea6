/* Every allocation of a workload fails once, and then for good from there on: a clean error each time, the document as
 * it was, nothing leaked (the sanitizers look). */
#include <dunlin/events.h>
#include <dunlin/plain.h>
#include <dunlin/undo.h>

#include "test/crdt/program.h"
#include "test/fault/seeded.h"

#include "crdt/doc.h"
#include "crdt/internal.h"

/* A history of some replicas, as single deltas in order. */
enum { steps_max = 400, replicas_max = 4, heads_max = 16 };
struct history {
  void (*edit)(dunlin_doc *doc, struct rng *rng);
  int steps, replicas, apart; /* so many steps they write apart from each other */
  void *deltas[steps_max];
  size_t lens[steps_max];
  struct dunlin_id hash; /* of a document that has them all */
};

/* Typing and deleting all over one text. */
static void edit_text(dunlin_doc *doc, struct rng *rng) {
  dunlin_obj text;
  OK(dunlin_begin(doc));
  text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  for (int i = 0; i < 3; i++) {
    size_t size = dunlin_text_size(doc, text), at = rng_below(rng, size + 1);
    size_t remove = rng_chance(rng, 1, 3) ? rng_below(rng, size - at < 5 ? size - at + 1 : 5) : 0;
    OK(dunlin_text_splice(doc, text, at, remove, "\xc3\xa9-word", rng_below(rng, 2) ? 7 : 2));
  }
  OK(dunlin_commit(doc, 0, NULL));
}

/* A letter. */
static void edit_little(dunlin_doc *doc, struct rng *rng) {
  dunlin_obj text;
  OK(dunlin_begin(doc));
  text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  OK(dunlin_text_splice(doc, text, rng_below(rng, dunlin_text_size(doc, text) + 1), 0, "x", 1));
  OK(dunlin_commit(doc, 0, NULL));
}

/* All over one list; so short that most elements are meant by several. */
static void edit_list(dunlin_doc *doc, struct rng *rng) {
  OK(dunlin_begin(doc));
  dunlin_obj list = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("l"), DUNLIN_LIST);
  for (int i = 0; i < 3; i++) {
    size_t size = dunlin_list_size(doc, list), at = rng_below(rng, size + 1), what = rng_below(rng, 8);
    if (at == size || what < 2) OK(dunlin_list_insert(doc, list, at, str_value("an element")));
    else if (what < 5) OK(dunlin_list_set(doc, list, at, str_value(what & 1 ? "odd" : "even")));
    else if (what < 6) dunlin_list_set_child(doc, list, at, DUNLIN_COUNTER);
    else if (what < 7) OK(dunlin_list_move(doc, list, at, rng_below(rng, size)));
    else OK(dunlin_list_delete(doc, list, at, 1));
  }
  OK(dunlin_commit(doc, 0, NULL));
}

static void exchange(dunlin_doc **docs, int count) {
  for (int i = 1; i < count; i++) test_send(docs[i], docs[0]);
  for (int i = 1; i < count; i++) test_send(docs[0], docs[i]);
}

static void record(struct history *h) {
  struct rng rng = rng_of(11);
  dunlin_doc *docs[replicas_max] = {NULL};
  for (int i = 0; i < h->replicas; i++) docs[i] = test_doc((uint8_t)(1 + i));
  for (int i = 0; i < h->steps; i++) {
    dunlin_doc *doc = docs[i % h->replicas];
    size_t heads;
    struct dunlin_id since[heads_max];
    const struct dunlin_id *now = dunlin_doc_heads(doc, &heads);
    assert_true(heads <= heads_max);
    if (heads) memcpy(since, now, heads * sizeof *now);
    h->edit(doc, &rng);
    OK(dunlin_doc_delta(doc, since, heads, &h->deltas[i], &h->lens[i]));
    if (i % h->apart == h->apart - 1) exchange(docs, h->replicas);
  }
  exchange(docs, h->replicas);
  OK(dunlin_doc_hash(docs[0], &h->hash));
  for (int i = 0; i < h->replicas; i++) dunlin_doc_free(docs[i]);
}

/* Memory is back: what failed can be done again, and nothing is missing or there twice. */
static void recover(struct seeded *f, const struct history *h, dunlin_doc *doc) {
  struct dunlin_id hash_now;
  bool deep = h->steps < 100 || f->fail_at % 8 == 0; /* it takes long */
  f->fail_at = 0;
  f->for_good = false;
  OK(doc_check(doc, deep));
  for (int i = 0; i < h->steps; i++) OK(dunlin_doc_apply(doc, h->deltas[i], h->lens[i], NULL));
  OK(dunlin_doc_hash(doc, &hash_now));
  assert_memory_equal(&hash_now, &h->hash, sizeof hash_now);
  OK(doc_check(doc, deep));
}

/* A max, a first, a set, a register. */
static void write_kinds(dunlin_doc *doc) {
  uint32_t nothing = 0;
  struct reg_write write = {.value = str_value("named")};
  dunlin_obj max = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("max"), DUNLIN_MAX);
  for (int i = 0; i < 3; i++) (void)dunlin_offer(doc, max, int_value(i));
  (void)dunlin_offer(doc, dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("first"), DUNLIN_FIRST), str_value("value"));
  dunlin_obj set = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("set"), DUNLIN_SET);
  for (int i = 0; i < 20; i++) (void)dunlin_set_add(doc, set, int_value(i));
  (void)dunlin_set_remove(doc, set, int_value(3));
  (void)dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("named"), str_value("over"));
  (void)txn_put_over(doc, DUNLIN_ROOT, dunlin_key("named"), &write, &nothing, 1);
}

/* Edits once and takes the history in; returns the first error, or 0 and the hash. */
static int workload(struct seeded *f, const struct history *h, struct dunlin_id *out) {
  dunlin_doc *doc = NULL;
  struct dunlin_id id = test_id(1), before, after;
  struct dunlin_actor actor = {{9}};
  int error = dunlin_doc_new(&f->env, &id, &actor, &doc);
  if (error) return error;
  for (int i = 0; !error && i < h->steps; i++) error = dunlin_doc_apply(doc, h->deltas[i], h->lens[i], NULL);
  if (!error) error = dunlin_doc_hash(doc, &before); /* now all that waited shows */
  if (error) recover(f, h, doc);
  size_t changes = dunlin_doc_changes(doc);
  if (!error) error = dunlin_begin(doc);
  if (!error) {
    dunlin_obj obj = {0};
    obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("list"), DUNLIN_LIST);
    for (size_t i = 0; i < 20; i++) (void)dunlin_list_insert(doc, obj, i, str_value("element"));
    (void)dunlin_list_move(doc, obj, 3, 9);
    (void)dunlin_list_delete(doc, obj, 2, 5);
    obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("text"), DUNLIN_TEXT);
    (void)dunlin_text_splice(doc, obj, 0, 0, "hello", 5);
    write_kinds(doc);
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

static void fail_each_allocation(struct history *h) {
  struct dunlin_id expected, got;
  struct seeded f;
  seeded_init(&f, 1);
  record(h);
  OK(workload(&f, h, &expected));
  uint64_t all = f.allocations;
  assert_true(all > 200);
  for (int for_good = 0; for_good < 2; for_good++) {
    for (uint64_t n = 1; n <= all; n++) {
      f.allocations = 0;
      f.fail_at = n;
      f.for_good = for_good;
      FAILS(workload(&f, h, &got), DUNLIN_ENOMEM);
      assert_int_equal(f.live, 0);
    }
  }
  f.allocations = 0;
  f.fail_at = 0;
  OK(workload(&f, h, &got));
  assert_memory_equal(&expected, &got, sizeof got);
  for (int i = 0; i < h->steps; i++) dunlin_free(NULL, h->deltas[i], h->lens[i]);
}

static void allocations_fail_in_any_history(void **state) {
  (void)state;
  struct history h = {.edit = program_edit, .steps = 60, .replicas = 2, .apart = 7};
  fail_each_allocation(&h);
}

/* Every change comes amid concurrent ones of the same text: the walker starts, goes back and forth and grows all the
 * time. */
static void allocations_fail_in_the_walker(void **state) {
  (void)state;
  struct history h = {.edit = edit_text, .steps = 96, .replicas = 4, .apart = 48};
  fail_each_allocation(&h);
}

/* The same for a list, whose elements have several writes. */
static void allocations_fail_in_a_list_s_walker(void **state) {
  (void)state;
  struct history h = {.edit = edit_list, .steps = 96, .replicas = 4, .apart = 48};
  fail_each_allocation(&h);
}

/* So many changes that their ids are no longer all at hand. */
static void allocations_fail_in_the_names(void **state) {
  (void)state;
  struct history h = {.edit = edit_little, .steps = steps_max, .replicas = 3, .apart = 90};
  fail_each_allocation(&h);
}

/* ---- A life of five hundred operations --------------------------------------------------------------------------- */

/* Watched, it takes a history in, is written to, forked, compared, copied, saved, loaded and read as a plain value. */
enum { life_deltas = 40, life_operations = 500 };
struct life {
  void *deltas[life_deltas];
  size_t lens[life_deltas];
  struct dunlin_id first, heads[heads_max]; /* an early version, and the last one */
  size_t head_count;
  uint32_t operations;
  struct dunlin_id hash;
};

/* Two write apart, in all kinds of containers, and meet; each delta is of several changes. */
static void record_life(struct life *life) {
  struct rng rng = rng_of(23);
  dunlin_doc *docs[2] = {test_doc(1), test_doc(2)};
  for (size_t i = 0; i < life_deltas; i++) {
    dunlin_doc *doc = docs[i & 1];
    struct dunlin_id since[heads_max];
    size_t count;
    const struct dunlin_id *now = dunlin_doc_heads(doc, &count);
    assert_true(count <= heads_max);
    if (count) memcpy(since, now, count * sizeof *now);
    uint32_t lvs = doc->graph.lvs;
    while (doc->graph.lvs - lvs < life_operations / life_deltas + 1) program_edit(doc, &rng);
    if (!i) life->first = dunlin_doc_heads(doc, &count)[0];
    OK(dunlin_doc_delta(doc, since, count, &life->deltas[i], &life->lens[i]));
    if (i % 6 == 5) test_sync(docs[0], docs[1]);
  }
  test_sync(docs[0], docs[1]);
  const struct dunlin_id *heads = dunlin_doc_heads(docs[0], &life->head_count);
  assert_true(life->head_count <= heads_max);
  memcpy(life->heads, heads, life->head_count * sizeof *heads);
  life->operations = docs[0]->graph.lvs;
  OK(dunlin_doc_hash(docs[0], &life->hash));
  dunlin_doc_free(docs[0]);
  dunlin_doc_free(docs[1]);
}

static int look(dunlin_doc *doc) {
  struct dunlin_event event;
  int got;
  while ((got = dunlin_next_event(doc, &event)) == 1) {
  }
  return got;
}

/* Each of these leaves the document as it was, whether it works or not. */
static int look_around(const struct life *life, dunlin_doc *doc) {
  struct dunlin_actor actor = {{8}};
  dunlin_doc *other = NULL;
  void *bytes = NULL;
  size_t len = 0;
  int error = dunlin_doc_fork(doc, &life->first, 1, &actor, &other);
  if (error) return error;
  error = dunlin_doc_merge(other, doc, NULL);
  dunlin_doc_free(other);
  if (error) return error;
  error = dunlin_doc_copy(doc, &actor, &other);
  if (error) return error;
  dunlin_doc_free(other);
  error = dunlin_doc_diff(doc, &life->first, 1, life->heads, life->head_count, &other);
  if (error) return error;
  error = look(other);
  dunlin_doc_free(other);
  if (error) return error;
  error = dunlin_read_plain(doc, DUNLIN_ROOT, &bytes, &len);
  if (error) return error;
  dunlin_free(doc->env, bytes, len);
  error = dunlin_doc_save(doc, &bytes, &len);
  if (error) return error;
  error = dunlin_doc_load(doc->env, bytes, len, &actor, &other);
  dunlin_free(doc->env, bytes, len);
  if (error) return error;
  error = look(other);
  dunlin_doc_free(other);
  return error;
}

/* A transaction with something of all kinds, on whatever is there. */
static int write_all(const struct life *life, dunlin_doc *doc) {
  (void)life;
  int error = dunlin_begin(doc);
  if (error) return error;
  dunlin_obj list = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("list"), DUNLIN_LIST);
  for (size_t i = 0; i < 20; i++) (void)dunlin_list_insert(doc, list, i, str_value("element"));
  (void)dunlin_list_move(doc, list, 3, 9);
  (void)dunlin_list_delete(doc, list, 2, 5);
  dunlin_obj text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("text"), DUNLIN_TEXT);
  (void)dunlin_text_splice(doc, text, 0, 0, "hello", 5);
  (void)dunlin_text_mark(doc, text, 1, 4, dunlin_key("bold"), int_value(1), 0);
  (void)dunlin_text_splice(doc, text, 2, 1, "L", 1);
  (void)dunlin_counter_add(doc, dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("count"), DUNLIN_COUNTER), 3);
  write_kinds(doc);
  (void)dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("plain"),
                           (struct dunlin_bytes){"\x82\xa1"
                                                 "a\x01\xa1"
                                                 "b\x93\x01\x02\x03",
                                                 10});
  error = dunlin_commit(doc, 0, NULL);
  return error < 0 ? error : 0;
}

static int make_void(const struct life *life, dunlin_doc *doc) {
  return dunlin_doc_set_void(doc, &life->first, 1);
}
static int make_valid(const struct life *life, dunlin_doc *doc) {
  (void)life;
  return dunlin_doc_set_void(doc, NULL, 0);
}
static int follow_events(const struct life *life, dunlin_doc *doc) {
  (void)life;
  return look(doc);
}

/* ---- Undo: of marks and moves by themselves, and of deletions that take marks along --------------------------- */

static int start_undo(const struct life *life, dunlin_doc *doc) {
  (void)life;
  dunlin_undo *undo;
  return dunlin_undo_new(doc, 100, &undo);
}
static dunlin_obj life_text(dunlin_doc *doc) {
  return dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("text"), DUNLIN_TEXT);
}
static dunlin_obj life_list(dunlin_doc *doc) {
  return dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("list"), DUNLIN_LIST);
}
static int change_all(const struct life *life, dunlin_doc *doc) {
  (void)life;
  int error = dunlin_begin(doc);
  if (error) return error;
  (void)dunlin_text_mark(doc, life_text(doc), 0, 3, dunlin_key("bold"), str_value("very"), 0);
  (void)dunlin_list_move(doc, life_list(doc), 2, 6);
  (void)dunlin_list_set(doc, life_list(doc), 4, str_value("another"));
  error = dunlin_commit(doc, 0, NULL);
  return error < 0 ? error : 0;
}
static int cut_all(const struct life *life, dunlin_doc *doc) {
  (void)life;
  int error = dunlin_begin(doc);
  if (error) return error;
  (void)dunlin_text_splice(doc, life_text(doc), 0, 4, "", 0);
  (void)dunlin_list_delete(doc, life_list(doc), 1, 7);
  error = dunlin_commit(doc, 0, NULL);
  return error < 0 ? error : 0;
}
static int take_back(const struct life *life, dunlin_doc *doc) {
  (void)life;
  int done = dunlin_undo_back(doc->undo, 0, NULL);
  return done < 0 ? done : 0;
}
static int do_again(const struct life *life, dunlin_doc *doc) {
  (void)life;
  int done = dunlin_undo_forth(doc->undo, 0, NULL);
  return done < 0 ? done : 0;
}

static struct dunlin_id hash_with_memory(struct seeded *f, const dunlin_doc *doc) {
  struct dunlin_id hash;
  uint64_t fail_at = f->fail_at, allocations = f->allocations;
  f->fail_at = 0;
  OK(dunlin_doc_hash(doc, &hash));
  f->fail_at = fail_at;
  f->allocations = allocations;
  return hash;
}

/* Does it, and when there is no memory again with memory: then the document was as it had been. */
static int do_stage(struct seeded *f, const struct life *life, dunlin_doc *doc,
                    int (*stage)(const struct life *life, dunlin_doc *doc)) {
  struct dunlin_id before = hash_with_memory(f, doc), after;
  int error = stage(life, doc);
  if (!error) return 0;
  f->fail_at = 0;
  OK(dunlin_doc_hash(doc, &after));
  assert_memory_equal(&before, &after, sizeof after);
  OK(doc_check(doc, false));
  OK(stage(life, doc));
  return error;
}

static int live(struct seeded *f, const struct life *life, struct dunlin_id *out) {
  static int (*const stages[])(const struct life *life, dunlin_doc *doc) = {
      look_around, make_void, follow_events, look_around, make_valid, start_undo, write_all,     change_all,
      cut_all,     take_back, take_back,     do_again,    do_again,   take_back,  follow_events, look_around};
  dunlin_doc *doc = NULL;
  struct dunlin_id id = test_id(1), hash;
  int first = dunlin_doc_new(&f->env, &id, &(struct dunlin_actor){{9}}, &doc);
  if (first) f->fail_at = 0;
  if (first) OK(dunlin_doc_new(&f->env, &id, &(struct dunlin_actor){{9}}, &doc));
  int watch = dunlin_watch(doc, DUNLIN_ROOT, (struct dunlin_bytes){"", 0}, 1);
  if (watch < 0) {
    first = watch;
    f->fail_at = 0;
    OK(dunlin_watch(doc, DUNLIN_ROOT, (struct dunlin_bytes){"", 0}, 1));
  }
  for (size_t i = 0; i < life_deltas; i++) {
    int error = dunlin_doc_apply(doc, life->deltas[i], life->lens[i], NULL);
    if (!error) error = look(doc);
    if (!error) continue;
    first = error;
    f->fail_at = 0;
    OK(doc_check(doc, false));
    OK(dunlin_doc_apply(doc, life->deltas[i], life->lens[i], NULL));
    OK(look(doc));
  }
  hash = hash_with_memory(f, doc);
  assert_memory_equal(&hash, &life->hash, sizeof hash);
  for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
    int error = do_stage(f, life, doc, stages[i]);
    if (error) first = error;
  }
  assert_int_equal(dunlin_undo_count(doc->undo), 2);
  assert_int_equal(dunlin_redo_count(doc->undo), 1);
  *out = hash_with_memory(f, doc);
  OK(doc_check(doc, false));
  dunlin_undo_free(doc->undo);
  dunlin_doc_free(doc);
  return first;
}

/* In CI some of the allocations, evenly spread; all of them with TEST_RUNS large enough. */
static void allocations_fail_in_a_life_of_five_hundred_operations(void **state) {
  (void)state;
  struct life life = {.operations = 0};
  struct dunlin_id expected, got;
  struct seeded f;
  seeded_init(&f, 1);
  record_life(&life);
  assert_true(life.operations >= life_operations);
  OK(live(&f, &life, &expected));
  uint64_t all = f.allocations, runs = seed_count(300), step = all / runs + 1, failed = 0;
  for (uint64_t n = seed_first(); n <= all; n += step)
    for (int for_good = 0; for_good < 2; for_good++) {
      f.allocations = 0;
      f.fail_at = n;
      f.for_good = for_good;
      int error = live(&f, &life, &got);
      if (error) assert_int_equal(error, DUNLIN_ENOMEM);
      failed += error != 0;
      assert_memory_equal(&expected, &got, sizeof got);
      assert_int_equal(f.live, 0);
    }
  print_message("%u operations, %llu allocations, every %lluth failed: %llu calls gave ENOMEM\n", life.operations,
                (unsigned long long)all, (unsigned long long)step, (unsigned long long)failed);
  for (size_t i = 0; i < life_deltas; i++) dunlin_free(NULL, life.deltas[i], life.lens[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(allocations_fail_in_any_history),
      cmocka_unit_test(allocations_fail_in_the_walker),
      cmocka_unit_test(allocations_fail_in_a_list_s_walker),
      cmocka_unit_test(allocations_fail_in_the_names),
      cmocka_unit_test(allocations_fail_in_a_life_of_five_hundred_operations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
