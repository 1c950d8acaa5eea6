/* What the tests of void changes share: sets, replays, and documents of which one change is void. */
#ifndef TEST_CRDT_VOID_CHANGES_H
#define TEST_CRDT_VOID_CHANGES_H

#include "crdt/doc.h"

#include "test/crdt/scenario.h"
#include "test/oracle/support.h"

enum { set_max = 256 };

struct void_set {
  struct dunlin_id ids[set_max];
  size_t count;
};

static inline void set_add(struct void_set *set, struct dunlin_id id) {
  if (set->count < set_max) set->ids[set->count++] = id;
}

static inline void use_set(dunlin_doc *doc, const struct void_set *set) {
  OK(dunlin_doc_set_void(doc, set->ids, set->count));
}

/* The id of an actor's change. */
static inline struct dunlin_id id_of(const dunlin_doc *doc, uint8_t actor, uint64_t number) {
  struct dunlin_actor name = {{actor}};
  struct dunlin_change_info info;
  OK(dunlin_doc_find_number(doc, &name, number, &info));
  return info.id;
}

static inline void set_void_one(dunlin_doc *doc, struct dunlin_id id) {
  OK(dunlin_doc_set_void(doc, &id, 1));
  assert_true(dunlin_doc_is_void(doc, &id));
}

/* A new document with all changes of `doc` that had the set before the first of them. */
static inline dunlin_doc *replay_of(dunlin_doc *doc, const struct void_set *set) {
  dunlin_doc *fresh = test_doc(99);
  use_set(fresh, set);
  test_send(doc, fresh);
  return fresh;
}

/* The oracle and a replay have the same bytes. */
static inline void assert_as_replayed(dunlin_doc *doc, const struct void_set *set) {
  struct oracle *oracle = test_oracle();
  dunlin_doc *fresh = replay_of(doc, set);
  OK(doc_check(doc, true));
  OK(oracle_set_void(oracle, set->ids, set->count));
  test_feed(oracle, doc);
  assert_shows_like(oracle, doc);
  assert_same_doc(doc, fresh);
  oracle_free(oracle);
  dunlin_doc_free(fresh);
}

/* ---- Scenes ------------------------------------------------------------------------------------------------------ */

/* Actor 1 has written something: 2 writes more, which will be void, and 3 on top of that. */
struct scene {
  dunlin_doc *first, *second, *third;
};

static inline struct scene scene_open(void) {
  return (struct scene){test_doc(1), test_doc(2), test_doc(3)};
}

static inline void scene_close(struct scene *s) {
  dunlin_doc_free(s->first);
  dunlin_doc_free(s->second);
  dunlin_doc_free(s->third);
}

static inline void scene_void(struct scene *s) {
  test_send(s->second, s->third);
  set_void_one(s->third, id_of(s->third, 2, 0));
}

static inline void assert_scene(const struct scene *s) {
  struct void_set set = {.count = 1};
  set.ids[0] = id_of(s->third, 2, 0);
  assert_as_replayed(s->third, &set);
}

static inline void assert_list(const dunlin_doc *doc, const char *expected) {
  char got[64];
  read_list(doc, got);
  assert_string_equal(got, expected);
}

/* "abcdef", of which the void change deleted "c" and into which it inserted "VV" behind the "a". */
static inline struct scene text_scene(void) {
  struct scene s = scene_open();
  type(s.first, 0, 0, "abcdef");
  test_send(s.first, s.second);
  OK(dunlin_begin(s.second));
  OK(dunlin_text_splice(s.second, at(s.second, "t"), 2, 1, "", 0));
  OK(dunlin_text_splice(s.second, at(s.second, "t"), 1, 0, "VV", 2));
  commit(s.second);
  scene_void(&s);
  return s;
}

/* "abcdef", of which the void change deleted "c", moved "a" to the end and "f" to the start, and set "e" to "E". */
static inline struct scene list_scene(void) {
  struct scene s = scene_open();
  make_list(s.first, "abcdef");
  test_send(s.first, s.second);
  OK(dunlin_begin(s.second));
  OK(dunlin_list_delete(s.second, at(s.second, "l"), 2, 1));
  OK(dunlin_list_move(s.second, at(s.second, "l"), 0, 4));
  OK(dunlin_list_move(s.second, at(s.second, "l"), 3, 0));
  OK(dunlin_list_set(s.second, at(s.second, "l"), 3, str_value("E")));
  commit(s.second);
  assert_list(s.second, "fbdEa");
  scene_void(&s);
  return s;
}

#endif
