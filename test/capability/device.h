/* What several of these checks do with one device's document. */
#ifndef TEST_CAPABILITY_DEVICE_H
#define TEST_CAPABILITY_DEVICE_H

#include "test/support/support.h"

/* One write, one change, with the time that its author claims. */
static inline int put_at(dunlin_doc *doc, const char *key, struct dunlin_value value, int64_t time) {
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), value));
  int changes = dunlin_commit(doc, time, NULL);
  OK(changes);
  return changes;
}
static inline int put(dunlin_doc *doc, const char *key, struct dunlin_value value) {
  return put_at(doc, key, value, 0);
}

/* The container at a key of the root, made where it is not there. */
static inline dunlin_obj child(dunlin_doc *doc, const char *key, enum dunlin_kind kind) {
  struct dunlin_value found;
  if (!dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key(key), &found) && found.kind == kind) return found.as.obj;
  OK(dunlin_begin(doc));
  dunlin_obj made = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key(key), kind);
  OK(dunlin_commit(doc, 0, NULL));
  return made;
}

static inline void assert_int(struct dunlin_value value, int64_t expected) {
  assert_int_equal(value.kind, DUNLIN_INT);
  assert_int_equal(value.as.integer, expected);
}
static inline void assert_string(struct dunlin_value value, const char *expected) {
  assert_int_equal(value.kind, DUNLIN_STRING);
  assert_int_equal(value.as.string.len, strlen(expected));
  assert_memory_equal(value.as.string.data, expected, strlen(expected));
}

/* How many values a key of the root has side by side: 1 when there is no conflict, 0 when it is absent. */
static inline size_t siblings(const dunlin_doc *doc, const char *key) {
  struct dunlin_value value;
  size_t count = 0;
  while (!dunlin_map_conflict(doc, DUNLIN_ROOT, dunlin_key(key), count, &value)) count++;
  return count;
}

/* Everybody gets what everybody else has. */
static inline void sync_all(dunlin_doc **docs, size_t count) {
  for (size_t round = 0; round < 2; round++) {
    for (size_t i = 0; i + 1 < count; i++) test_sync(docs[i], docs[i + 1]);
  }
  for (size_t i = 0; i + 1 < count; i++) test_sync(docs[i], docs[count - 1]);
}

/* Everybody gets everything and shows the same. */
static inline void end_equal(dunlin_doc **docs, size_t count) {
  sync_all(docs, count);
  for (size_t i = 1; i < count; i++) assert_same_doc(docs[0], docs[i]);
}
static inline void free_docs(dunlin_doc **docs, size_t count) {
  for (size_t i = 0; i < count; i++) dunlin_doc_free(docs[i]);
}

#endif
