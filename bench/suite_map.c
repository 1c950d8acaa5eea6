/* Maps: 100 000 sets on 10 000 keys (in one transaction, in one each), saving, opening, merging; records in a map of
 * maps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

enum { SETS = 100000, KEYS = 10000, RECORDS = 1000, FIELDS = 10 };

/* A change holds 960 KiB, and each set takes about 16 bytes of it, the earlier ones of a key too. */
enum { SETS_A_CHANGE = SETS / 2 };

static int set(dunlin_doc *doc, dunlin_obj map, size_t key, int64_t value) {
  char name[16];
  int len = snprintf(name, sizeof name, "key%zu", key);
  struct dunlin_value v = {.kind = DUNLIN_INT, .as.integer = value};
  return dunlin_map_put(doc, map, (struct dunlin_bytes){name, (size_t)len}, v);
}

static int set_all(dunlin_doc *doc, uint64_t seed, size_t sets_a_change) {
  int error = 0;
  for (size_t i = 0; !error && i < SETS; i++) {
    if (i % sets_a_change == 0) error = dunlin_begin(doc);
    if (!error) error = set(doc, DUNLIN_ROOT, (size_t)(bench_random(&seed) % KEYS), (int64_t)i);
    if (!error && (i + 1) % sets_a_change == 0) error = dunlin_commit(doc, 0, NULL);
    if (error > 0) error = 0;
  }
  return error;
}

struct map {
  struct bench *b;
  void *saved;
  size_t saved_len;
  void *deltas[2]; /* of two replicas that each wrote KEYS keys, apart */
  size_t lens[2];
};

static bool complete(const dunlin_doc *doc, size_t least) {
  return dunlin_map_size(doc, DUNLIN_ROOT) >= least;
}

static int set_run(size_t sets_a_change, double *ms) {
  dunlin_doc *doc = NULL;
  double began = bench_now();
  int error = bench_doc(NULL, 1, &doc);
  if (!error) error = set_all(doc, 1, sets_a_change);
  *ms = bench_now() - began;
  if (!error && !complete(doc, KEYS - 10)) error = DUNLIN_EREFUSED;
  dunlin_doc_free(doc);
  return error;
}

static int set_one_txn(void *ctx, double *ms) {
  (void)ctx;
  return set_run(SETS_A_CHANGE, ms);
}

static int set_txn_each(void *ctx, double *ms) {
  (void)ctx;
  return set_run(1, ms);
}

static int load_read(void *ctx, double *ms) {
  struct map *m = ctx;
  dunlin_doc *doc = NULL;
  struct dunlin_bytes key;
  struct dunlin_value value;
  double began = bench_now();
  int error = bench_load(NULL, m->saved, m->saved_len, 900, &doc);
  size_t size = error ? 0 : dunlin_map_size(doc, DUNLIN_ROOT);
  for (size_t i = 0; !error && i < size; i++) error = dunlin_map_at(doc, DUNLIN_ROOT, i, &key, &value);
  *ms = bench_now() - began;
  if (!error && !complete(doc, KEYS - 10)) error = DUNLIN_EREFUSED;
  dunlin_doc_free(doc);
  return error;
}

/* Two replicas that wrote at the same time each take the other's changes in; both directions are measured. */
static int merge_concurrent(void *ctx, double *ms) {
  struct map *m = ctx;
  dunlin_doc *docs[2] = {NULL, NULL};
  int error = 0;
  for (int i = 0; !error && i < 2; i++) {
    error = bench_doc(NULL, (unsigned)(900 + i), &docs[i]);
    if (!error) error = dunlin_doc_apply(docs[i], m->deltas[i], m->lens[i], NULL);
  }
  double began = bench_now();
  for (int i = 0; !error && i < 2; i++) error = dunlin_doc_apply(docs[i], m->deltas[1 - i], m->lens[1 - i], NULL);
  *ms = bench_now() - began;
  if (!error && !bench_same(docs[0], docs[1])) error = DUNLIN_EREFUSED;
  dunlin_doc_free(docs[0]);
  dunlin_doc_free(docs[1]);
  return error;
}

static int write_saved(struct map *m) {
  struct bench_memory *memory = malloc(sizeof *memory);
  dunlin_doc *doc = NULL;
  if (!memory) return DUNLIN_ENOMEM;
  bench_memory_init(memory);
  int error = bench_doc(&memory->env, 1, &doc);
  if (!error) error = set_all(doc, 1, 1);
  if (!error) bench_size(m->b, "100k-on-10k", "heap_bytes", memory->live);
  if (!error) error = bench_save(doc, &m->saved, &m->saved_len);
  if (!error) bench_size(m->b, "100k-on-10k", "save_bytes", m->saved_len);
  dunlin_doc_free(doc);
  free(memory);
  return error;
}

static int write_concurrent(struct map *m) {
  int error = 0;
  for (unsigned i = 0; !error && i < 2; i++) {
    dunlin_doc *doc = NULL;
    error = bench_doc(NULL, 10 + i, &doc);
    for (size_t k = 0; !error && k < KEYS; k++) {
      error = dunlin_begin(doc);
      if (!error) error = set(doc, DUNLIN_ROOT, k, (int64_t)(k + i));
      if (!error) error = dunlin_commit(doc, 0, NULL);
      if (error > 0) error = 0;
    }
    if (!error) error = dunlin_doc_delta(doc, NULL, 0, &m->deltas[i], &m->lens[i]);
    dunlin_doc_free(doc);
  }
  return error;
}

static int build_nested(void *ctx, double *ms) {
  (void)ctx;
  dunlin_doc *doc = NULL;
  double began = bench_now();
  int error = bench_doc(NULL, 1, &doc);
  for (size_t i = 0; !error && i < RECORDS; i++) {
    dunlin_obj record;
    char name[16];
    int len = snprintf(name, sizeof name, "record%zu", i);
    error = dunlin_begin(doc);
    if (!error) record = dunlin_map_child(doc, DUNLIN_ROOT, (struct dunlin_bytes){name, (size_t)len}, DUNLIN_MAP);
    for (size_t k = 0; !error && k < FIELDS; k++) error = set(doc, record, k, (int64_t)k);
    if (!error) error = dunlin_commit(doc, 0, NULL);
    if (error > 0) error = 0;
  }
  *ms = bench_now() - began;
  if (!error && dunlin_map_size(doc, DUNLIN_ROOT) != RECORDS) error = DUNLIN_EREFUSED;
  dunlin_doc_free(doc);
  return error;
}

int suite_map(struct bench *b) {
  struct map m = {.b = b};
  const char *name = "100k-on-10k";
  bench_note(b, "map: set_one_txn is two transactions of 50 000 sets each: one change holds at most 960 KiB");
  int error = bench_time(b, name, "set_one_txn", set_one_txn, &m);
  if (!error) error = bench_time(b, name, "set_txn_each", set_txn_each, &m);
  if (!error && (error = write_saved(&m))) bench_wrong(b, name, "saving", error);
  if (!error) error = bench_time(b, name, "load_read", load_read, &m);
  if (!error && (error = write_concurrent(&m))) bench_wrong(b, name, "writing concurrently", error);
  if (!error) error = bench_time(b, name, "merge_concurrent", merge_concurrent, &m);
  if (!error) error = bench_time(b, "nested-1000x10", "txn_each", build_nested, &m);
  free(m.saved);
  for (int i = 0; i < 2; i++) dunlin_free(NULL, m.deltas[i], m.lens[i]);
  return error;
}
