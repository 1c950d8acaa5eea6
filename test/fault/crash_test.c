/* Power lost at every moment of a store's life: what the medium could hold then is made, opened, and held against what
 * had been promised.  TEST_RUNS=250000 tries that many states; TEST_SEED=n one history. */
#include <lmdb.h>
#include <time.h>

#include "test/fault/disk.h"
#include "test/persist/store_support.h"

#define COMMITS 40

/* What was promised when a mark was set: marks count on from 1. */
struct promise {
  bool made, space;
  int notes, board; /* commits of either document that were acknowledged */
};

struct history {
  struct place place;
  struct disk *disk;
  struct dunlin_id space;
  struct promise promises[COMMITS * 2 + 8];
  uint64_t marks;
};

/* ---- A store that syncs less, on purpose ------------------------------------------------------------------------- */

static unsigned extra_flags;

int __real_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);
int __wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);
int __wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode) {
  return __real_mdb_env_open(env, path, flags | extra_flags, mode);
}

/* ---- The history ------------------------------------------------------------------------------------------------- */

static dunlin_store *open_stepped(const struct place *place) {
  struct dunlin_store_options options = place_options(place, NULL);
  struct dunlin_why why = {""};
  dunlin_store *store = NULL;
  options.stepped = true;
  int r = dunlin_store_open(place->dir, &options, &store, &why);
  if (r) fail_msg("open: %s: %s", dunlin_error_name(r), why.text);
  return store;
}

static void promise(struct history *h, struct promise now) {
  h->promises[++h->marks] = now;
  disk_mark(h->disk, h->marks);
}

/* A transaction that is whole or torn: three keys with one number. */
static int put_three(dunlin_store_doc *handle, int number, struct rng *rng) {
  static const char *const keys[] = {"a", "b", "c"};
  dunlin_doc *doc = dunlin_store_doc_get(handle);
  uint8_t bytes[3000];
  size_t len = rng_chance(rng, 1, 6) ? rng_below(rng, sizeof bytes) : 8;
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)rng_next(rng);
  int r = dunlin_begin(doc);
  if (r) return r;
  for (int i = 0; i < 3; i++) dunlin_map_put(doc, DUNLIN_ROOT, (struct dunlin_bytes){keys[i], 1}, int_value(number));
  dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("blob"),
                 (struct dunlin_value){.kind = DUNLIN_BYTES, .as.string = {bytes, len}});
  return dunlin_commit(doc, 0, NULL);
}

static void live(struct history *h, uint64_t seed) {
  struct rng rng = rng_of(seed);
  struct promise now = {.made = true};
  place_create(&h->place, "crashing");
  promise(h, now);
  dunlin_store *store = open_stepped(&h->place);
  OK(dunlin_space_new(store, "space", &h->space));
  now.space = true;
  promise(h, now);
  dunlin_store_doc *notes = doc_open(store, &h->space, "notes", DUNLIN_CREATE);
  dunlin_store_doc *board = doc_open(store, &h->space, "board", DUNLIN_CREATE);
  dunlin_store_doc_mode(board, DUNLIN_GROUP);
  int boards = 0;
  for (int i = 1; i <= COMMITS; i++) {
    uint64_t next;
    assert_int_equal(put_three(notes, i, &rng), 1);
    now.notes = i;
    promise(h, now); /* the group's commit before it, too: one transaction has written both */
    if (rng_chance(&rng, 1, 2)) assert_int_equal(put_three(board, ++boards, &rng), 1);
    if (rng_chance(&rng, 1, 4)) {
      OK(rng_chance(&rng, 1, 2) ? dunlin_store_flush(store) : dunlin_store_step(store, (uint64_t)i, &next));
      now.board = boards;
      promise(h, now);
    }
  }
  dunlin_store_doc_close(notes);
  dunlin_store_doc_close(board);
  OK(dunlin_store_close(store));
}

static void record(struct history *h, uint64_t seed, unsigned flags) {
  *h = (struct history){.place = place_in_memory()};
  h->disk = disk_new(h->place.root);
  disk_record(h->disk);
  extra_flags = flags;
  live(h, seed);
  extra_flags = 0;
}

static void forget(struct history *h) {
  disk_free(h->disk);
  place_remove(&h->place);
}

/* ---- Judging a state --------------------------------------------------------------------------------------------- */

/* The number in all three keys; 0: none of them is there, -1: they differ. */
static int read_three(dunlin_store *store, const struct dunlin_id *space, const char *name) {
  static const char *const keys[] = {"a", "b", "c"};
  dunlin_store_doc *doc = NULL;
  int r = dunlin_store_doc_open(store, space, dunlin_key(name), DUNLIN_READONLY, &doc), number = 0;
  if (r) return r == DUNLIN_ENOENT ? 0 : -1;
  for (int i = 0; i < 3; i++) {
    struct dunlin_value value = {.kind = DUNLIN_NULL};
    r = dunlin_map_get(dunlin_store_doc_get(doc), DUNLIN_ROOT, (struct dunlin_bytes){keys[i], 1}, &value);
    int here = r ? 0 : (int)value.as.integer;
    if (i && here != number) number = -1;
    if (!i) number = here;
  }
  dunlin_store_doc_close(doc);
  return number;
}

static const char *judge_open(const struct history *h, dunlin_store *store, const struct promise *promised,
                              bool fully) {
  struct dunlin_id space;
  if (!promised->space) return NULL;
  if (dunlin_space_find(store, "space", &space) || memcmp(&space, &h->space, sizeof space)) return "the space is gone";
  int notes = read_three(store, &space, "notes"), board = read_three(store, &space, "board");
  if (notes < 0 || board < 0) return "a transaction is there in part";
  if (notes < promised->notes || board < promised->board) return "an acknowledged commit is gone";
  if (!fully) return NULL;
  if (dunlin_store_verify(store, print_fault, NULL)) return "the store does not verify";
  dunlin_store_doc *doc = NULL;
  if (dunlin_store_doc_open(store, &space, dunlin_key("notes"), DUNLIN_CREATE, &doc))
    return "the document does not open";
  int r = put_int(doc, "more", 1);
  dunlin_store_doc_close(doc);
  return r == 1 ? NULL : "nothing more can be committed";
}

/* What is wrong with the state in `place`; NULL: nothing. */
static const char *judge(const struct history *h, const struct place *place, const struct promise *promised,
                         bool fully) {
  struct dunlin_store_options options = place_options(place, "crashing");
  struct dunlin_why why = {""};
  dunlin_store *store = NULL;
  options.stepped = true;
  int r = dunlin_store_open(place->dir, &options, &store, &why);
  if (r && !promised->made) {
    r = dunlin_store_create(place->dir, &options, &why);
    if (!r) r = dunlin_store_open(place->dir, &options, &store, &why);
  }
  if (r)
    return promised->made ? "the store does not open" : "a store that was being made can be neither opened nor made";
  const char *wrong = judge_open(h, store, promised, fully);
  if (dunlin_store_close(store) && !wrong) wrong = "the store does not close";
  return wrong;
}

/* Judges up to `states` states of a recording; returns how many were wrong, and prints the first when there should be
 * none. */
static size_t judge_all(const struct history *h, uint64_t seed, size_t states, bool expected, size_t *done) {
  struct place place = place_in_memory();
  size_t wrong = 0, changes = disk_recorded(h->disk);
  struct rng rng = rng_of(seed);
  size_t each = states / (changes + 1) + 1;
  *done = 0;
  for (size_t at = 0; at <= changes; at++) {
    for (size_t i = 0; i < each; i++) {
      uint64_t before = rng.state;
      uint64_t mark = disk_state(h->disk, at, i ? &rng : NULL, place.root);
      const struct promise none = {0};
      const char *what = judge(h, &place, mark ? &h->promises[mark] : &none, rng_chance(&rng, 1, 16));
      ++*done;
      if (what && !wrong++ && !expected)
        print_message("history %llu, after change %zu of %zu, draw %llx: %s\n", (unsigned long long)seed, at, changes,
                      (unsigned long long)before, what);
    }
  }
  place_remove(&place);
  return wrong;
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static void nothing_acknowledged_is_lost(void **state) {
  (void)state;
  size_t wanted = (size_t)seed_count(5000), total = 0, wrong = 0;
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (uint64_t seed = seed_first(); total < wanted && !wrong; seed++) {
    struct history h;
    size_t done;
    record(&h, seed, 0);
    wrong += judge_all(&h, seed, wanted - total < 5000 ? wanted - total : 5000, false, &done);
    total += done;
    forget(&h);
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
  print_message("%zu states, %.0f a second, %zu wrong\n", total, (double)total / seconds, wrong);
  assert_int_equal(wrong, 0);
}

/* The recorder has to be able to find what it looks for. */
static void finds(unsigned flags, const char *name) {
  struct history h;
  size_t done;
  record(&h, 1, flags);
  size_t wrong = judge_all(&h, 1, 1000, true, &done);
  print_message("%s: %zu of %zu states break a promise\n", name, wrong, done);
  assert_true(wrong > 0);
  forget(&h);
}

static void finds_no_sync(void **state) {
  (void)state;
  finds(MDB_NOSYNC, "MDB_NOSYNC");
}

static void finds_no_meta_sync(void **state) {
  (void)state;
  finds(MDB_NOMETASYNC, "MDB_NOMETASYNC");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_no_sync),
      cmocka_unit_test(finds_no_meta_sync),
      cmocka_unit_test(nothing_acknowledged_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
