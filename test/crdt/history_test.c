/* Versions: forks at any of them, what differs between two, how they stand to each other, names for them. */
#include <dunlin/history.h>

#include "test/crdt/mirror.h"
#include "test/crdt/program.h"

enum { replicas = 3, most_versions = 40, most_heads = 16 };

struct version {
  struct dunlin_id heads[most_heads], hash;
  size_t count;
};

/* A document with a past, and what it showed at some versions of it. */
struct past {
  dunlin_doc *docs[replicas];
  struct version versions[most_versions];
  size_t count;
  struct rng rng;
};

static void note_version(struct past *p) {
  struct version *v = &p->versions[p->count];
  const struct dunlin_id *heads = dunlin_doc_heads(p->docs[0], &v->count);
  if (v->count > most_heads || p->count == most_versions) return;
  if (v->count) memcpy(v->heads, heads, v->count * sizeof *heads);
  OK(dunlin_doc_hash(p->docs[0], &v->hash));
  p->count++;
}

static void live(struct past *p, uint64_t seed) {
  *p = (struct past){.rng = {seed}};
  for (uint8_t i = 0; i < replicas; i++) p->docs[i] = test_doc((uint8_t)(i + 1));
  note_version(p);
  for (int step = 0; step < 40; step++) {
    size_t who = rng_below(&p->rng, replicas), other = (who + 1 + rng_below(&p->rng, replicas - 1)) % replicas;
    if (rng_below(&p->rng, 3)) program_edit(p->docs[who], &p->rng);
    else test_send(p->docs[other], p->docs[who]);
    if (!who) note_version(p);
  }
}

static void end(struct past *p) {
  for (size_t i = 0; i < replicas; i++) dunlin_doc_free(p->docs[i]);
}

static const struct version *any(struct past *p) {
  return &p->versions[rng_below(&p->rng, p->count)];
}

static void assert_hash(dunlin_doc *doc, const struct dunlin_id *expected) {
  struct dunlin_id hash;
  OK(dunlin_doc_hash(doc, &hash));
  assert_memory_equal(&hash, expected, sizeof hash);
}

/* ---- Forks and differences ---------------------------------------------------------------------------------- */

static void check_fork(struct past *p) {
  const struct version *v = any(p);
  struct dunlin_actor actor = {{77}};
  struct dunlin_id before;
  dunlin_doc *fork;
  OK(dunlin_doc_hash(p->docs[0], &before));
  OK(dunlin_doc_fork(p->docs[0], v->heads, v->count, &actor, &fork));
  assert_hash(fork, &v->hash);
  program_edit(fork, &p->rng);
  assert_hash(p->docs[0], &before);
  /* Either merged into the other, they are equal. */
  struct dunlin_id merged;
  OK(dunlin_doc_merge(fork, p->docs[0], NULL));
  OK(dunlin_doc_merge(p->docs[0], fork, NULL));
  OK(dunlin_doc_hash(fork, &merged));
  assert_hash(p->docs[0], &merged);
  dunlin_doc_free(fork);
}

static void check_copy(struct past *p) {
  struct dunlin_actor actor = {{78}};
  struct dunlin_id hash;
  dunlin_doc *copy;
  OK(dunlin_doc_hash(p->docs[0], &hash));
  OK(dunlin_doc_copy(p->docs[0], &actor, &copy));
  assert_hash(copy, &hash);
  dunlin_doc_free(copy);
}

static void check_diff(struct past *p) {
  const struct version *from = any(p), *to = any(p);
  struct dunlin_actor actor = {{79}};
  dunlin_doc *old, *view;
  OK(dunlin_doc_fork(p->docs[0], from->heads, from->count, &actor, &old));
  OK(dunlin_doc_diff(p->docs[0], from->heads, from->count, to->heads, to->count, &view));
  assert_hash(view, &to->hash);
  struct mirror *mirror = mirror_read(old);
  mirror_follow(mirror, view);
  mirror_check(mirror, view);
  mirror_free(mirror);
  dunlin_doc_free(old);
  dunlin_doc_free(view);
}

/* Whether the second version has everything that the first has, told by a delta. */
static bool has_all(struct past *p, const struct version *a, const struct version *b) {
  struct dunlin_actor actor = {{80}};
  struct dunlin_applied applied;
  dunlin_doc *x, *y;
  OK(dunlin_doc_fork(p->docs[0], a->heads, a->count, &actor, &x));
  OK(dunlin_doc_fork(p->docs[0], b->heads, b->count, &actor, &y));
  OK(dunlin_doc_merge(y, x, &applied));
  dunlin_doc_free(x);
  dunlin_doc_free(y);
  return !applied.applied;
}

static void check_order(struct past *p) {
  const struct version *a = any(p), *b = any(p);
  enum dunlin_order order;
  OK(dunlin_version_order(p->docs[0], a->heads, a->count, b->heads, b->count, &order));
  bool before = has_all(p, a, b), after = has_all(p, b, a);
  assert_int_equal(order, before ? after ? DUNLIN_EQUAL : DUNLIN_BEFORE : after ? DUNLIN_AFTER : DUNLIN_CONCURRENT);
}

static void the_past_can_be_read(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(2000);
  for (uint64_t seed = first; seed < first + count; seed++) {
    struct past p;
    if (count > 1 && seed % 500 == 0) print_message("seed %llu\n", (unsigned long long)seed);
    live(&p, seed);
    check_copy(&p);
    check_diff(&p);
    check_order(&p);
    check_fork(&p);
    end(&p);
  }
}

static void what_is_not_there(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1), *other = NULL;
  struct dunlin_id unknown = test_id(9), id = test_id(2);
  struct dunlin_actor actor = {{2}};
  enum dunlin_order order;
  FAILS(dunlin_doc_fork(doc, &unknown, 1, &actor, &other), DUNLIN_ENOENT);
  FAILS(dunlin_doc_diff(doc, &unknown, 1, NULL, 0, &other), DUNLIN_ENOENT);
  FAILS(dunlin_version_order(doc, NULL, 0, &unknown, 1, &order), DUNLIN_ENOENT);
  OK(dunlin_version_order(doc, NULL, 0, NULL, 0, &order));
  assert_int_equal(order, DUNLIN_EQUAL);
  OK(dunlin_doc_new(NULL, &id, &actor, &other));
  FAILS(dunlin_doc_merge(doc, other, NULL), DUNLIN_EINVAL);
  dunlin_doc_free(other);
  OK(dunlin_begin(doc));
  FAILS(dunlin_doc_fork(doc, NULL, 0, &actor, &other), DUNLIN_ESTATE);
  FAILS(dunlin_doc_copy(doc, &actor, &other), DUNLIN_ESTATE);
  dunlin_abort(doc);
  dunlin_doc_free(doc);
}

/* ---- Names -------------------------------------------------------------------------------------------------- */

static void versions_have_names(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  struct dunlin_id heads[4];
  size_t count;
  for (int i = 0; i < 20; i++) {
    char name[8];
    snprintf(name, sizeof name, "%03d", i);
    OK(dunlin_begin(doc));
    dunlin_obj map = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("past"), DUNLIN_MAP);
    OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("n"), int_value(i)));
    OK(dunlin_commit(doc, 0, NULL));
    const struct dunlin_id *now = dunlin_doc_heads(doc, &count);
    assert_int_equal(count, 1);
    heads[0] = now[0];
    OK(dunlin_begin(doc));
    OK(dunlin_version_put(doc, map, dunlin_key(name), heads, 1, i == 7));
    OK(dunlin_map_put(doc, map, dunlin_key("note"), int_value(1)));
    OK(dunlin_commit(doc, 0, NULL));
  }
  OK(dunlin_begin(doc));
  dunlin_obj map = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("past"), DUNLIN_MAP);
  OK(dunlin_version_thin(doc, map, 3));
  OK(dunlin_commit(doc, 0, NULL));
  assert_int_equal(dunlin_map_size(doc, map), 6);
  static const int kept[] = {0, 7, 17, 18, 19};
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    char name[8];
    struct dunlin_actor actor = {{2}};
    struct dunlin_value v;
    dunlin_doc *fork;
    snprintf(name, sizeof name, "%03d", kept[i]);
    assert_int_equal(dunlin_version_get(doc, map, dunlin_key(name), heads, 4), 1);
    OK(dunlin_doc_fork(doc, heads, 1, &actor, &fork));
    OK(dunlin_map_get(fork, DUNLIN_ROOT, dunlin_key("n"), &v));
    assert_int_equal(v.as.integer, kept[i]);
    dunlin_doc_free(fork);
  }
  FAILS(dunlin_version_get(doc, map, dunlin_key("008"), heads, 4), DUNLIN_ENOENT);
  FAILS(dunlin_version_get(doc, map, dunlin_key("note"), heads, 4), DUNLIN_EKIND);
  dunlin_doc_free(doc);
}

/* On an earlier version what shows can be removed only as far as it was there. */
static void thinning_on_an_earlier_version_ends(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_id id;
  OK(dunlin_begin(a));
  OK(dunlin_map_put(a, DUNLIN_ROOT, dunlin_key("n"), int_value(1)));
  OK(dunlin_commit(a, 0, &id));
  FAILS(dunlin_version_thin(a, DUNLIN_ROOT, 1), DUNLIN_ESTATE);
  test_send(a, b);
  OK(dunlin_begin(b));
  static const char *const names[] = {"a", "b", "c", "d"};
  for (size_t i = 0; i < 4; i++) OK(dunlin_version_put(b, DUNLIN_ROOT, dunlin_key(names[i]), &id, 1, false));
  OK(dunlin_commit(b, 0, NULL));
  test_send(b, a);
  OK(dunlin_begin_at(a, &id, 1));
  OK(dunlin_version_thin(a, DUNLIN_ROOT, 1));
  OK(dunlin_commit(a, 0, NULL));
  assert_int_equal(dunlin_map_size(a, DUNLIN_ROOT), 5);
  OK(dunlin_begin(a));
  OK(dunlin_version_thin(a, DUNLIN_ROOT, 1));
  OK(dunlin_commit(a, 0, NULL));
  assert_int_equal(dunlin_map_size(a, DUNLIN_ROOT), 3);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(thinning_on_an_earlier_version_ends),
      cmocka_unit_test(what_is_not_there),
      cmocka_unit_test(versions_have_names),
      cmocka_unit_test(the_past_can_be_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
