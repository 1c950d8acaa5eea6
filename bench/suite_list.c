/* A list of 100 000 elements: 10 000 operations of each kind at random places, a transaction each. */
#include <stdlib.h>

#include "bench/bench.h"

enum { ELEMENTS = 100000, OPERATIONS = 10000 };

struct list {
  void *saved;
  size_t saved_len;
  enum { INSERT, SET, MOVE, DELETE } what;
};

static int list_of(const dunlin_doc *doc, dunlin_obj *out) {
  struct dunlin_value value;
  int error = dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("list"), &value);
  if (!error) *out = value.as.obj;
  return error;
}

static int build(struct list *l) {
  dunlin_doc *doc = NULL;
  dunlin_obj list;
  int error = bench_doc(NULL, 1, &doc);
  if (!error) error = dunlin_begin(doc);
  if (!error) list = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("list"), DUNLIN_LIST);
  for (size_t i = 0; !error && i < ELEMENTS; i++) {
    struct dunlin_value v = {.kind = DUNLIN_INT, .as.integer = (int64_t)i};
    error = dunlin_list_insert(doc, list, i, v);
  }
  if (!error) error = dunlin_commit(doc, 0, NULL);
  if (error > 0) error = bench_save(doc, &l->saved, &l->saved_len);
  dunlin_doc_free(doc);
  return error;
}

static int one(dunlin_doc *doc, dunlin_obj list, const struct list *l, uint64_t *seed) {
  size_t size = dunlin_list_size(doc, list), at = (size_t)(bench_random(seed) % size);
  struct dunlin_value v = {.kind = DUNLIN_INT, .as.integer = -1};
  switch (l->what) {
    case INSERT: return dunlin_list_insert(doc, list, at, v);
    case SET: return dunlin_list_set(doc, list, at, v);
    case MOVE: return dunlin_list_move(doc, list, at, (size_t)(bench_random(seed) % size));
    case DELETE: return dunlin_list_delete(doc, list, at, 1);
  }
  return DUNLIN_EINVAL;
}

static int operate(void *ctx, double *ms) {
  struct list *l = ctx;
  dunlin_doc *doc = NULL;
  dunlin_obj list;
  uint64_t seed = 88172645463325252u;
  int error = bench_load(NULL, l->saved, l->saved_len, 2, &doc);
  if (!error) error = list_of(doc, &list);
  double began = bench_now();
  for (size_t i = 0; !error && i < OPERATIONS; i++) {
    error = dunlin_begin(doc);
    if (!error) error = one(doc, list, l, &seed);
    if (!error) error = dunlin_commit(doc, 0, NULL);
    if (error > 0) error = 0;
  }
  *ms = bench_now() - began;
  size_t expected = l->what == INSERT ? ELEMENTS + OPERATIONS : l->what == DELETE ? ELEMENTS - OPERATIONS : ELEMENTS;
  if (!error && dunlin_list_size(doc, list) != expected) error = DUNLIN_EREFUSED;
  dunlin_doc_free(doc);
  return error;
}

int suite_list(struct bench *b) {
  static const char *const metrics[] = {"insert_10k", "set_10k", "move_10k", "delete_10k"};
  struct list l = {.saved = NULL};
  int error = build(&l);
  if (error) return bench_wrong(b, "random-in-100k", "building the list", error);
  for (int i = 0; !error && i < 4; i++) {
    l.what = i == 0 ? INSERT : i == 1 ? SET : i == 2 ? MOVE : DELETE;
    error = bench_time(b, "random-in-100k", metrics[i], operate, &l);
  }
  free(l.saved);
  return error;
}
