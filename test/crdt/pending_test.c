/* Changes that wait for their parents: they come in when these do, are refused when these are, are bounded in memory,
 * and survive every failed allocation. */
#include "test/fault/seeded.h"
#include "test/support/changes.h"

#include "crdt/doc.h"
#include "crdt/internal.h"

/* ---- Changes made by hand ----------------------------------------------------------------------------------- */

/* One operation on the root: sets a key, or (`bad`) adds to it as if it were a counter. `filler`: so many bytes of
 * value. */
struct by_hand {
  struct dunlin_id parents[3];
  size_t parent_count;
  uint8_t actor; /* 0: that of the first parent */
  uint64_t number;
  bool bad;
  size_t filler;
};

static struct change_id_bytes made(const struct by_hand *c) {
  static const struct container_id root = {{DUNLIN_MAP}};
  struct dunlin_actor actor = {{c->actor}};
  struct buf bytes;
  buf_init(&bytes, dunlin_env_default(), 1 << 20);
  write_head(&bytes, 6, c->parents, c->parent_count, c->actor ? &actor : NULL, c->number, &root);
  mp_write_array(&bytes, 3);
  write_row(&bytes, c->bad ? OP_COUNTER_ADD : OP_MAP_SET, 0, 1);
  mp_write_str(&bytes, NULL, 0);
  mp_write_array(&bytes, c->bad ? 1 : 2);
  if (!c->bad) mp_write_str(&bytes, "k", 1);
  void *filler = calloc(1, c->filler + 1);
  assert_non_null(filler);
  if (c->filler) mp_write_bin(&bytes, filler, c->filler);
  else mp_write_int(&bytes, 1);
  free(filler);
  return take_named(&bytes);
}

static struct dunlin_applied give_as(dunlin_doc *doc, const struct change_id_bytes *change,
                                     const struct dunlin_actor *author) {
  struct buf delta;
  struct dunlin_applied applied;
  buf_init(&delta, dunlin_env_default(), 1 << 20);
  OK(delta_write(&delta, change, 1));
  OK(doc_apply_as(doc, author, delta.data, delta.len, &applied));
  buf_free(&delta);
  OK(doc_check(doc, false));
  return applied;
}
static struct dunlin_applied give(dunlin_doc *doc, const struct change_id_bytes *change) {
  return give_as(doc, change, NULL);
}

/* `count` changes in a row; the first is invalid when `bad`. */
static void make_chain(struct change_id_bytes *out, size_t count, bool bad) {
  for (size_t i = 0; i < count; i++) {
    struct by_hand c = {.parent_count = i != 0, .actor = i ? 0 : 7, .number = i, .bad = bad && !i};
    if (i) c.parents[0] = out[i - 1].id;
    out[i] = made(&c);
  }
}

/* ---- Refused ------------------------------------------------------------------------------------------------ */

enum { chain = 6 };

static void what_waits_for_a_refused_change_is_refused(void **state) {
  (void)state;
  struct change_id_bytes changes[chain];
  make_chain(changes, chain, true);
  dunlin_doc *doc = test_doc(1);
  for (size_t i = chain; i-- > 1;) assert_int_equal(give(doc, &changes[i]).pending, chain - i);
  struct dunlin_applied applied = give(doc, &changes[0]);
  assert_int_equal(applied.refused, chain);
  assert_int_equal(applied.pending, 0);
  for (size_t i = chain; i-- > 0;) assert_int_equal(give(doc, &changes[i]).refused, 1); /* again */
  assert_int_equal(dunlin_doc_pending(doc), 0);
  assert_int_equal(doc->graph.actor_count, 1); /* and leaves no name behind */
  dunlin_doc_free(doc);
  doc = test_doc(1);
  for (size_t i = 0; i < chain; i++) assert_int_equal(give(doc, &changes[i]).refused, 1);
  dunlin_doc_free(doc);
  free_changes(changes, chain);
}

static int by_id(const void *a, const void *b) {
  return id_compare(a, b);
}

/* A change of three parents, one of which is refused, and a change that builds on it. */
static void one_refused_parent_is_enough(void **state) {
  (void)state;
  struct change_id_bytes changes[5];
  for (size_t first = 0; first < 3; first++) {
    dunlin_doc *doc = test_doc(1);
    struct by_hand merge = {.parent_count = 3, .actor = 9};
    for (size_t i = 0; i < 3; i++) {
      changes[i] = made(&(struct by_hand){.actor = (uint8_t)(20 + i), .bad = !i});
      merge.parents[i] = changes[i].id;
    }
    qsort(merge.parents, 3, sizeof *merge.parents, by_id);
    changes[3] = made(&merge);
    changes[4] = made(&(struct by_hand){.parents = {changes[3].id}, .parent_count = 1, .number = 1});
    size_t refused = give(doc, &changes[4]).refused + give(doc, &changes[3]).refused;
    for (size_t i = 0; i < 3; i++) refused += give(doc, &changes[(i + first) % 3]).refused;
    assert_int_equal(refused, 3);
    assert_int_equal(dunlin_doc_pending(doc), 0);
    assert_int_equal(dunlin_doc_changes(doc), 2);
    dunlin_doc_free(doc);
    free_changes(changes, 5);
  }
}

static void a_wrong_author_condemns_nobody(void **state) {
  (void)state;
  struct change_id_bytes changes[chain];
  struct dunlin_actor right = {{7}}, wrong = {{8}};
  make_chain(changes, chain, false);
  dunlin_doc *doc = test_doc(1);
  for (size_t i = chain; i-- > 1;) {
    give_as(doc, &changes[i], &wrong);
    give_as(doc, &changes[i], &wrong);
    give_as(doc, &changes[i], &right);
  }
  assert_int_equal(dunlin_doc_pending(doc), 2 * (chain - 1));
  assert_int_equal(give_as(doc, &changes[0], &wrong).refused, 1);
  struct dunlin_applied applied = give_as(doc, &changes[0], &right);
  assert_int_equal(applied.applied, chain);
  assert_int_equal(applied.pending, 0);
  dunlin_doc_free(doc);
  free_changes(changes, chain);
}

/* More than are remembered: the first are forgotten, the last are not. */
static void refused_changes_are_remembered_within_bounds(void **state) {
  (void)state;
  enum { count = DUNLIN_MAX_REFUSED + 100 };
  struct dunlin_id first = {{0}}, last = {{0}};
  dunlin_doc *doc = test_doc(1);
  for (uint32_t i = 0; i < count; i++) {
    struct dunlin_applied result = {0};
    struct dunlin_id id = {{0}};
    memcpy(id.bytes, &i, sizeof i);
    OK(pending_judged(doc, &id, DUNLIN_EREFUSED, &result));
    if (!i) first = id;
    last = id;
  }
  assert_int_equal(doc->pending.refused.used, DUNLIN_MAX_REFUSED);
  assert_false(pending_refused(doc, &first));
  assert_true(pending_refused(doc, &last));
  dunlin_doc_free(doc);
}

/* ---- Memory ------------------------------------------------------------------------------------------------- */

/* The first of a chain comes last, and the nth allocation from there on fails, once or for good. */
static bool fail_at(uint64_t at, bool for_good, struct change_id_bytes *changes, size_t count) {
  struct seeded s;
  struct dunlin_id id = test_id(1);
  struct dunlin_actor actor = {{1}};
  struct buf delta;
  dunlin_doc *doc = NULL;
  seeded_init(&s, 1);
  buf_init(&delta, dunlin_env_default(), 1 << 20);
  OK(dunlin_doc_new(&s.env, &id, &actor, &doc));
  for (size_t i = count; i-- > 1;) give(doc, &changes[i]);
  OK(delta_write(&delta, &changes[0], 1));
  s.fail_at = s.allocations + at;
  s.for_good = for_good;
  int error = dunlin_doc_apply(doc, delta.data, delta.len, NULL);
  bool failed = s.allocations >= s.fail_at;
  s.fail_at = 0;
  assert_true(!error || error == DUNLIN_ENOMEM);
  OK(doc_check(doc, true));
  struct dunlin_applied applied = give(doc, &changes[0]);
  assert_int_equal(applied.pending, 0);
  assert_int_equal(dunlin_doc_changes(doc), count);
  buf_free(&delta);
  dunlin_doc_free(doc);
  assert_int_equal(s.live, 0);
  return failed;
}

static void a_failed_allocation_loses_no_change_that_waits(void **state) {
  (void)state;
  enum { count = 40 };
  struct change_id_bytes changes[count];
  make_chain(changes, count, false);
  for (int for_good = 0; for_good < 2; for_good++) {
    uint64_t at = 1;
    while (fail_at(at, for_good, changes, count)) at++;
    assert_true(at > 10);
  }
  free_changes(changes, count);
}

static void a_full_queue_keeps_nobody_out(void **state) {
  (void)state;
  enum { parentless = 40, large = 700 * 1024 };
  struct seeded s;
  struct dunlin_id id = test_id(1);
  struct dunlin_actor actor = {{1}};
  dunlin_doc *doc = NULL;
  struct change_id_bytes changes[chain], orphan;
  size_t left_out = 0;
  seeded_init(&s, 1);
  OK(dunlin_doc_new(&s.env, &id, &actor, &doc));
  make_chain(changes, chain, false);
  for (uint8_t i = 0; i < parentless; i++) {
    orphan =
        made(&(struct by_hand){.parents = {{{i, 1, 2}}}, .parent_count = 1, .actor = 50, .number = 1, .filler = large});
    left_out += give(doc, &orphan).left_out;
    free_changes(&orphan, 1);
  }
  for (uint32_t i = 0; i < 1000000; i++) {
    struct by_hand c = {.parent_count = 1, .actor = 51, .number = 1};
    memcpy(c.parents[0].bytes, &i, sizeof i);
    orphan = made(&c);
    left_out += give_change(doc, &orphan).left_out;
    free_changes(&orphan, 1);
  }
  assert_int_equal(left_out + dunlin_doc_pending(doc), parentless + 1000000);
  assert_true(left_out > parentless / 2);
  assert_true(s.peak < DUNLIN_MAX_PENDING * 5 / 4);
  assert_int_equal(give(doc, &changes[1]).left_out, 1); /* there is no room to let it wait, but it can come again */
  for (size_t i = 0; i < chain; i++) assert_int_equal(give(doc, &changes[i]).applied, 1);
  free_changes(changes, chain);
  dunlin_doc_free(doc);
  assert_int_equal(s.live, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_waits_for_a_refused_change_is_refused),
      cmocka_unit_test(one_refused_parent_is_enough),
      cmocka_unit_test(a_wrong_author_condemns_nobody),
      cmocka_unit_test(refused_changes_are_remembered_within_bounds),
      cmocka_unit_test(a_failed_allocation_loses_no_change_that_waits),
      cmocka_unit_test(a_full_queue_keeps_nobody_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
