/* The oracle against the library on random programs, and what void changes do in it. */
#include "test/crdt/program.h"

#include "crdt/change.h"
#include "test/oracle/oracle.h"

/* ---- Replicas, each with an oracle that follows it ---------------------------------------------------------- */

enum { replicas = 3 };

struct replica {
  dunlin_doc *doc;
  struct oracle *oracle;
  struct dunlin_id fed[64]; /* the version that the oracle has */
  size_t fed_count;
};

static struct oracle *test_oracle(void) {
  struct dunlin_id id = test_id(1);
  return oracle_new(&id);
}

static void open_replicas(struct replica *r) {
  for (size_t i = 0; i < replicas; i++)
    r[i] = (struct replica){.doc = test_doc((uint8_t)(1 + i)), .oracle = test_oracle()};
}

static void close_replicas(struct replica *r) {
  for (size_t i = 0; i < replicas; i++) {
    dunlin_doc_free(r[i].doc);
    oracle_free(r[i].oracle);
  }
}

static void assert_oracle_hash(const struct oracle *oracle, const struct dunlin_id *expected) {
  struct dunlin_id hash;
  oracle_hash(oracle, &hash);
  assert_memory_equal(&hash, expected, sizeof hash);
}

static void assert_agree(const struct oracle *oracle, const dunlin_doc *doc) {
  struct dunlin_id expected;
  OK(dunlin_doc_hash(doc, &expected));
  assert_int_equal(oracle_changes(oracle), dunlin_doc_changes(doc));
  assert_oracle_hash(oracle, &expected);
}

/* Gives the oracle what its document has got since, in the document's order. */
static void follow(struct replica *r) {
  void *delta;
  size_t len, count;
  OK(dunlin_doc_delta(r->doc, r->fed, r->fed_count, &delta, &len));
  OK(oracle_apply(r->oracle, delta, len));
  dunlin_free(NULL, delta, len);
  const struct dunlin_id *heads = dunlin_doc_heads(r->doc, &count);
  r->fed_count = count < 64 ? count : 64;
  if (count) memcpy(r->fed, heads, r->fed_count * sizeof *heads);
}

static void feed(struct oracle *oracle, const dunlin_doc *doc) {
  void *delta;
  size_t len;
  OK(dunlin_doc_delta(doc, NULL, 0, &delta, &len));
  OK(oracle_apply(oracle, delta, len));
  dunlin_free(NULL, delta, len);
}

/* Random edits and exchanges; who is `apart` writes and gets, and nobody gets from it. */
static void run_program(struct replica *r, struct rng *rng, size_t steps, size_t apart) {
  for (size_t i = 0; i < steps; i++) {
    size_t who = rng_below(rng, replicas), from = rng_below(rng, replicas);
    if (rng_below(rng, 4)) program_edit(r[who].doc, rng);
    else if (from != apart) test_send(r[from].doc, r[who].doc);
    follow(&r[who]);
    assert_agree(r[who].oracle, r[who].doc);
  }
}

static void exchange_all(struct replica *r) {
  for (size_t i = 1; i < replicas; i++) test_send(r[i].doc, r[0].doc);
  for (size_t i = 1; i < replicas; i++) test_send(r[0].doc, r[i].doc);
  for (size_t i = 0; i < replicas; i++) follow(&r[i]);
}

/* ---- Random runs -------------------------------------------------------------------------------------------- */

typedef void one_run(uint64_t seed);

static void run_all(one_run *one, uint64_t usual) {
  uint64_t first = seed_first(), count = seed_count(usual);
  for (uint64_t seed = first; seed < first + count; seed++) {
    char again[64];
    snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
    setenv("DUNLIN_RUNNING", again, 1);
    one(seed);
  }
}

static void compare_one(uint64_t seed) {
  struct rng rng = rng_of(seed);
  struct replica r[replicas];
  open_replicas(r);
  run_program(r, &rng, 40, replicas);
  exchange_all(r);
  for (size_t i = 0; i < replicas; i++) assert_agree(r[i].oracle, r[i].doc);
  assert_same_doc(r[0].doc, r[1].doc);
  close_replicas(r);
}

static void random_programs_hash_alike(void **state) {
  (void)state;
  run_all(compare_one, 2000);
}

/* ---- Refused changes ---------------------------------------------------------------------------------------- */

struct spoiling {
  struct oracle *oracle;
  size_t count;
};

/* The change with one more row, a deletion far out of range, as a delta: all before that is to be taken back. */
static void spoil(const struct change_id_bytes *given, struct buf *delta) {
  struct change change;
  struct dunlin_id doc = test_id(1);
  struct buf spoiled;
  buf_init(&spoiled, dunlin_env_default(), 1 << 20);
  OK(change_parse(given->bytes, &change));
  const uint8_t *rest = change.rows.end, *end = (const uint8_t *)given->bytes.data + given->bytes.len;
  mp_write_array(&spoiled, *(const uint8_t *)given->bytes.data & 15u);
  mp_write_bin(&spoiled, change.parents, 32 * change.parent_count + (change.actor ? 16 : 0));
  mp_write_uint(&spoiled, change.number);
  mp_write_bin(&spoiled, change.containers, change.container_count * sizeof *change.containers);
  mp_write_array(&spoiled, 3 * (change.row_count + 1));
  buf_append(&spoiled, change.rows.at, (size_t)(rest - change.rows.at));
  mp_write_uint(&spoiled, OP_DELETE);
  mp_write_uint(&spoiled, 1000000);
  mp_write_uint(&spoiled, 1);
  buf_append(&spoiled, rest, (size_t)(end - rest));
  struct dunlin_bytes bytes = {spoiled.data, spoiled.len};
  struct change_id_bytes one = {change_id(dunlin_env_default(), &doc, bytes), bytes};
  OK(spoiled.error);
  OK(delta_write(delta, &one, 1));
  buf_free(&spoiled);
}

static int feed_spoiled_first(void *ctx, const struct change_id_bytes *change) {
  struct spoiling *s = ctx;
  struct dunlin_id before;
  struct buf delta;
  buf_init(&delta, dunlin_env_default(), 1 << 20);
  oracle_hash(s->oracle, &before);
  spoil(change, &delta);
  for (int times = 0; times < 2; times++) OK(oracle_apply(s->oracle, delta.data, delta.len));
  assert_oracle_hash(s->oracle, &before);
  assert_int_equal(oracle_refused(s->oracle), ++s->count);
  buf_clear(&delta);
  OK(delta_write(&delta, change, 1));
  OK(oracle_apply(s->oracle, delta.data, delta.len));
  buf_free(&delta);
  return 0;
}

static void refuse_one(uint64_t seed) {
  struct rng rng = rng_of(seed);
  struct replica r[replicas];
  struct spoiling s = {.oracle = test_oracle()};
  struct dunlin_id id = test_id(1);
  void *delta;
  size_t len;
  open_replicas(r);
  run_program(r, &rng, 40, replicas);
  exchange_all(r);
  OK(dunlin_doc_delta(r[0].doc, NULL, 0, &delta, &len));
  OK(delta_read(NULL, &id, delta, len, feed_spoiled_first, &s));
  assert_agree(s.oracle, r[0].doc);
  assert_int_equal(s.count, dunlin_doc_changes(r[0].doc));
  dunlin_free(NULL, delta, len);
  oracle_free(s.oracle);
  close_replicas(r);
}

static void a_refused_change_leaves_no_trace(void **state) {
  (void)state;
  run_all(refuse_one, 300);
}

/* ---- Void changes on random programs ------------------------------------------------------------------------ */

/* Some of the document's changes. */
static size_t choose_changes(const dunlin_doc *doc, struct rng *rng, struct dunlin_id *out, size_t max) {
  size_t count = 0, share = 1 + rng_below(rng, 4);
  struct dunlin_change_info info;
  for (size_t i = 0; i < dunlin_doc_changes(doc) && count < max; i++) {
    OK(dunlin_doc_change_at(doc, i, &info));
    if (rng_chance(rng, share, 8)) out[count++] = info.id;
  }
  return count;
}

static void void_one(uint64_t seed) {
  struct rng rng = rng_of(seed);
  struct replica r[replicas];
  struct dunlin_id chosen[256], whole, with_void;
  open_replicas(r);
  run_program(r, &rng, 40, replicas);
  exchange_all(r);
  size_t count = choose_changes(r[0].doc, &rng, chosen, 256);
  oracle_hash(r[0].oracle, &whole);
  OK(oracle_set_void(r[0].oracle, chosen, count));
  oracle_hash(r[0].oracle, &with_void);
  /* In whatever order the changes came, and when the set was there before them. */
  for (size_t i = 1; i < replicas; i++) {
    struct oracle *early = test_oracle();
    OK(oracle_set_void(early, chosen, count));
    feed(early, r[i].doc);
    assert_oracle_hash(early, &with_void);
    oracle_free(early);
    OK(oracle_set_void(r[i].oracle, chosen, count));
    assert_oracle_hash(r[i].oracle, &with_void);
  }
  OK(oracle_set_void(r[0].oracle, NULL, 0));
  assert_oracle_hash(r[0].oracle, &whole);
  close_replicas(r);
}

static void void_and_back_gives_the_same_hash(void **state) {
  (void)state;
  run_all(void_one, 500);
}

static size_t changes_of(const dunlin_doc *doc, uint8_t actor, struct dunlin_id *out, size_t max) {
  size_t count = 0;
  struct dunlin_change_info info;
  for (size_t i = 0; i < dunlin_doc_changes(doc); i++) {
    OK(dunlin_doc_change_at(doc, i, &info));
    if (info.actor.bytes[0] != actor) continue;
    assert_true(count < max);
    out[count++] = info.id;
  }
  return count;
}

static void without_one(uint64_t seed) {
  struct rng rng = rng_of(seed);
  struct replica r[replicas];
  struct dunlin_id own[256], without;
  open_replicas(r);
  run_program(r, &rng, 40, 2);
  test_sync(r[0].doc, r[1].doc);
  OK(dunlin_doc_hash(r[0].doc, &without));
  test_send(r[2].doc, r[0].doc);
  follow(&r[0]);
  assert_agree(r[0].oracle, r[0].doc);
  OK(oracle_set_void(r[0].oracle, own, changes_of(r[0].doc, 3, own, 256)));
  assert_oracle_hash(r[0].oracle, &without);
  close_replicas(r);
}

static void an_actor_that_nobody_builds_on_is_as_if_absent(void **state) {
  (void)state;
  run_all(without_one, 500);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_programs_hash_alike),
      cmocka_unit_test(a_refused_change_leaves_no_trace),
      cmocka_unit_test(void_and_back_gives_the_same_hash),
      cmocka_unit_test(an_actor_that_nobody_builds_on_is_as_if_absent),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (failed && getenv("DUNLIN_RUNNING")) printf("to run the last seed alone: %s\n", getenv("DUNLIN_RUNNING"));
  return failed;
}
