/* Long random runs: two to five replicas write at least two hundred operations of all kinds, over a network that
 * delays, reorders, repeats and loses what they send and is split in two now and then, while changes become void and
 * cease to be.  They must end equal, by whatever way the history comes; and one seed gives one trace, to the byte. */
#include "test/crdt/program.h"
#include "test/support/changes.h"

#include <unistd.h>

#include "crdt/change.h"
#include "crdt/internal.h"

enum { replicas_max = 5, least_operations = 200, letters_max = 64, heads_max = 16, void_max = 64 };

/* A delta on its way to a replica. */
struct letter {
  void *delta;
  size_t len, to;
};

struct run {
  struct rng rng;
  dunlin_doc *docs[replicas_max];
  size_t replicas;
  unsigned side; /* of the partition: a bit for each replica; all alike when there is none */
  struct letter letters[letters_max];
  size_t on_the_way, lost, repeated, operations;
  uint64_t trace; /* of all bytes that were sent, and all hashes */
};

static void note(struct run *run, const void *data, size_t len) {
  const uint8_t *bytes = data;
  for (size_t i = 0; i < len; i++) run->trace = (run->trace ^ bytes[i]) * 0x100000001b3u; /* FNV-1a */
}

static struct dunlin_id hash_of(const dunlin_doc *doc) {
  struct dunlin_id hash;
  OK(dunlin_doc_hash(doc, &hash));
  return hash;
}

/* ---- The network ------------------------------------------------------------------------------------------------- */

static void take_off(struct run *run, size_t i) {
  dunlin_free(NULL, run->letters[i].delta, run->letters[i].len);
  run->letters[i] = run->letters[--run->on_the_way];
}

static void post(struct run *run, size_t from, size_t to, const void *delta, size_t len) {
  if ((run->side >> from & 1) != (run->side >> to & 1) || rng_chance(&run->rng, 1, 10)) {
    run->lost++;
    return;
  }
  if (run->on_the_way == letters_max) take_off(run, rng_below(&run->rng, letters_max));
  const struct dunlin_env *env = dunlin_env_default();
  void *copy = env->realloc(env->ctx, NULL, 0, len);
  assert_non_null(copy);
  memcpy(copy, delta, len);
  run->letters[run->on_the_way++] = (struct letter){copy, len, to};
}

/* Any of the letters arrives; now and then it arrives again later. */
static void deliver(struct run *run) {
  if (!run->on_the_way) return;
  size_t i = rng_below(&run->rng, run->on_the_way);
  OK(dunlin_doc_apply(run->docs[run->letters[i].to], run->letters[i].delta, run->letters[i].len, NULL));
  if (rng_chance(&run->rng, 1, 5)) run->repeated++;
  else take_off(run, i);
}

/* One writes, and sends it to all; what was lost before comes along now and then. */
static void write_and_send(struct run *run, size_t who) {
  dunlin_doc *doc = run->docs[who];
  struct dunlin_id since[heads_max];
  size_t count, len;
  const struct dunlin_id *heads = dunlin_doc_heads(doc, &count);
  void *delta;
  if (count > heads_max || rng_chance(&run->rng, 1, 40)) count = 0;
  if (count) memcpy(since, heads, count * sizeof *since);
  size_t lvs = doc->graph.lvs;
  program_edit(doc, &run->rng);
  run->operations += doc->graph.lvs - lvs;
  OK(dunlin_doc_delta(doc, since, count, &delta, &len));
  note(run, delta, len);
  for (size_t to = 0; to < run->replicas; to++)
    if (to != who) post(run, who, to, delta, len);
  dunlin_free(NULL, delta, len);
}

/* ---- What else befalls replicas ---------------------------------------------------------------------------------- */

/* Some of the changes that `doc` has. */
static size_t choose_void(const dunlin_doc *doc, struct rng *rng, struct dunlin_id ids[void_max]) {
  struct dunlin_change_info info;
  size_t count = 0, share = rng_below(rng, 3);
  for (size_t i = 0; i < dunlin_doc_changes(doc) && count < void_max; i++) {
    if (!rng_chance(rng, share, 10)) continue;
    OK(dunlin_doc_change_at(doc, i, &info));
    ids[count++] = info.id;
  }
  return count;
}

/* As after the end of a program and its next start: what waits for a parent is forgotten. */
static void reopen(struct run *run, size_t who) {
  struct dunlin_actor actor = dunlin_doc_actor(run->docs[who]);
  struct dunlin_id before = hash_of(run->docs[who]), after;
  void *file;
  size_t len;
  OK(dunlin_doc_save(run->docs[who], &file, &len));
  note(run, file, len);
  dunlin_doc_free(run->docs[who]);
  OK(dunlin_doc_load(NULL, file, len, &actor, &run->docs[who]));
  dunlin_free(NULL, file, len);
  after = hash_of(run->docs[who]);
  assert_memory_equal(&before, &after, sizeof after);
}

static void step(struct run *run) {
  struct dunlin_id ids[void_max], hash;
  size_t who = rng_below(&run->rng, run->replicas), what = rng_below(&run->rng, 100);
  dunlin_doc *doc = run->docs[who];
  if (what < 50) {
    write_and_send(run, who);
  } else if (what < 94) {
    deliver(run);
  } else if (what < 96) {
    run->side = rng_chance(&run->rng, 1, 2) ? (unsigned)rng_below(&run->rng, 1u << run->replicas) : 0;
  } else if (what < 97) {
    test_send(run->docs[rng_below(&run->rng, run->replicas)], doc);
  } else if (what < 98) {
    OK(dunlin_doc_set_void(doc, ids, choose_void(doc, &run->rng, ids)));
  } else if (what < 99) {
    reopen(run, who);
  } else {
    hash = hash_of(doc);
    note(run, &hash, sizeof hash);
  }
}

/* ---- Every way to a history -------------------------------------------------------------------------------------- */

static void import_pieces(const struct pieces *p, dunlin_doc *to, struct rng *rng, size_t most) {
  for (size_t at = 0, count; at < p->count; at += count) {
    count = 1 + rng_below(rng, most);
    if (count > p->count - at) count = p->count - at;
    give_changes(to, &p->changes[at], count);
  }
}

static dunlin_doc *saved_and_loaded(const dunlin_doc *doc, uint8_t actor) {
  struct dunlin_actor name = {{actor}};
  dunlin_doc *opened;
  void *file;
  size_t len;
  OK(dunlin_doc_save(doc, &file, &len));
  OK(dunlin_doc_load(NULL, file, len, &name, &opened));
  dunlin_free(NULL, file, len);
  return opened;
}

static void assert_got_there(const char *way, dunlin_doc *doc, const dunlin_doc *model) {
  struct dunlin_id expected = hash_of(model), got = hash_of(doc);
  if (memcmp(&expected, &got, sizeof got)) fail_msg("%s: another document", way);
  if (dunlin_doc_changes(doc) != dunlin_doc_changes(model) || dunlin_doc_pending(doc)) fail_msg("%s: changes", way);
  OK(doc_check(doc, false));
}

/* Change by change, in batches, in one delta, saved and loaded, loaded and its history read, and that saved and loaded
 * again: with the void set of `doc`. */
static void check_ways(const dunlin_doc *doc, struct rng *rng) {
  static const char *const names[] = {"single deltas",    "batches",     "one delta",
                                      "a saved document", "a file read", "a file read again"};
  dunlin_doc *ways[6];
  struct pieces p = pieces_of(doc);
  void *delta;
  size_t len;
  for (uint8_t i = 0; i < 3; i++) {
    ways[i] = test_doc((uint8_t)(50 + i));
    OK(dunlin_doc_set_void(ways[i], doc->void_ids, doc->void_count));
  }
  import_pieces(&p, ways[0], rng, 1);
  import_pieces(&p, ways[1], rng, 16);
  OK(dunlin_doc_delta(doc, NULL, 0, &delta, &len));
  OK(dunlin_doc_apply(ways[2], delta, len, NULL));
  dunlin_free(NULL, delta, len);
  ways[3] = saved_and_loaded(doc, 53);
  ways[4] = saved_and_loaded(ways[rng_below(rng, 3)], 54);
  OK(dunlin_doc_delta(ways[4], NULL, 0, &delta, &len)); /* which reads the history */
  dunlin_free(NULL, delta, len);
  ways[5] = saved_and_loaded(ways[4], 55);
  for (size_t i = 0; i < 6; i++) {
    assert_got_there(names[i], ways[i], doc);
    dunlin_doc_free(ways[i]);
  }
  pieces_free(&p);
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

/* The partition ends, and everybody gets everything. */
static void meet(struct run *run) {
  while (run->on_the_way) take_off(run, 0);
  for (size_t i = 1; i < run->replicas; i++) test_send(run->docs[i], run->docs[0]);
  for (size_t i = 1; i < run->replicas; i++) test_send(run->docs[0], run->docs[i]);
}

static void assert_all_equal(struct run *run) {
  struct dunlin_id first = hash_of(run->docs[0]);
  note(run, &first, sizeof first);
  for (size_t i = 0; i < run->replicas; i++) {
    struct dunlin_id hash = hash_of(run->docs[i]);
    assert_memory_equal(&hash, &first, sizeof hash);
    assert_int_equal(dunlin_doc_pending(run->docs[i]), 0);
    assert_int_equal(dunlin_doc_changes(run->docs[i]), dunlin_doc_changes(run->docs[0]));
  }
}

static struct run live(uint64_t seed, bool ways) {
  struct run run = {.rng = rng_of(seed), .trace = 0xcbf29ce484222325u};
  struct dunlin_id ids[void_max];
  run.replicas = 2 + rng_below(&run.rng, replicas_max - 1);
  for (size_t i = 0; i < run.replicas; i++) run.docs[i] = test_doc((uint8_t)(1 + i));
  while (run.operations < least_operations) step(&run);
  meet(&run);
  size_t count = choose_void(run.docs[0], &run.rng, ids);
  for (size_t i = 0; i < run.replicas; i++) OK(dunlin_doc_set_void(run.docs[i], ids, count));
  assert_all_equal(&run);
  if (ways) check_ways(run.docs[rng_below(&run.rng, run.replicas)], &run.rng);
  for (size_t i = 0; i < run.replicas; i++) OK(dunlin_doc_set_void(run.docs[i], NULL, 0));
  assert_all_equal(&run);
  for (size_t i = 0; i < run.replicas; i++) dunlin_doc_free(run.docs[i]);
  return run;
}

static void seed_is(uint64_t seed) {
  char again[64];
  snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
  setenv("DUNLIN_RUNNING", again, 1);
}

static void replicas_end_equal(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(2000);
  size_t operations = 0, lost = 0, repeated = 0;
  for (uint64_t seed = first; seed < first + count; seed++) {
    seed_is(seed);
    struct run run = live(seed, false);
    operations += run.operations, lost += run.lost, repeated += run.repeated;
  }
  print_message("%llu runs from seed %llu on: %zu operations; %zu letters lost, %zu repeated\n",
                (unsigned long long)count, (unsigned long long)first, operations, lost, repeated);
}

static void every_import_path_gives_the_same(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(1000);
  for (uint64_t seed = first; seed < first + count; seed++) {
    seed_is(seed);
    live(seed, true);
  }
}

/* In this process twice, and in another one, whose addresses and random numbers are others. */
static void one_seed_is_one_trace(void **state) {
  (void)state;
  uint64_t count = seed_count(20);
  if (count > 100) count = 100; /* a process for each */
  for (uint64_t seed = seed_first(), end = seed + count; seed < end; seed++) {
    char command[128], line[64] = "";
    unsigned long long there = 0;
    uint64_t trace = live(seed, false).trace;
    seed_is(seed);
    assert_int_equal(live(seed, false).trace, trace);
    snprintf(command, sizeof command, "TEST_TRACE=%llu /proc/%ld/exe", (unsigned long long)seed, (long)getpid());
    FILE *other = popen(command, "r");
    assert_non_null(other);
    assert_non_null(fgets(line, sizeof line, other));
    assert_int_equal(pclose(other), 0);
    there = strtoull(line, NULL, 16);
    assert_int_equal(there, trace);
    if (count == 1) print_message("seed %llu: %016llx\n", (unsigned long long)seed, (unsigned long long)trace);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_seed_is_one_trace),
      cmocka_unit_test(replicas_end_equal),
      cmocka_unit_test(every_import_path_gives_the_same),
  };
  const char *trace = getenv("TEST_TRACE"), *only = getenv("TEST_ONLY");
  if (trace) {
    printf("%016llx\n", (unsigned long long)live(strtoull(trace, NULL, 10), false).trace);
    return 0;
  }
  if (only) cmocka_set_test_filter(only);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (failed && getenv("DUNLIN_RUNNING")) printf("to run the last seed alone: %s\n", getenv("DUNLIN_RUNNING"));
  return failed;
}
