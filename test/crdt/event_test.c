/* Events: a mirror of the document that is kept up by them alone stays equal to it. */
#include "test/crdt/mirror.h"
#include "test/crdt/program.h"
#include "test/fault/seeded.h"

static void keep_up(struct mirror *mirror, dunlin_doc *doc) {
  mirror_follow(mirror, doc);
  mirror_check(mirror, doc);
}

/* One to four of the document's changes are void from now on. */
static void draw_voids(dunlin_doc *doc, struct rng *rng) {
  struct dunlin_id ids[4];
  size_t count = 0, changes = dunlin_doc_changes(doc);
  while (changes && count < 1 + rng_below(rng, 4)) {
    struct dunlin_change_info info;
    OK(dunlin_doc_change_at(doc, rng_below(rng, changes), &info));
    ids[count++] = info.id;
  }
  OK(dunlin_doc_set_void(doc, ids, count));
}

static void run_mirror(uint64_t seed) {
  enum { replicas = 3 };
  dunlin_doc *docs[replicas];
  struct rng rng = {seed};
  for (uint8_t i = 0; i < replicas; i++) docs[i] = test_doc((uint8_t)(i + 1));
  for (size_t steps = rng_below(&rng, 20); steps; steps--) program_edit(docs[0], &rng);
  OK(dunlin_doc_set_unit(docs[0], (enum dunlin_unit)(seed % 3)));
  OK(dunlin_watch(docs[0], DUNLIN_ROOT, dunlin_key(""), 7));
  struct mirror *mirror = mirror_read(docs[0]);
  for (int step = 0; step < 60; step++) {
    size_t who = rng_below(&rng, replicas), other = (who + 1 + rng_below(&rng, replicas - 1)) % replicas;
    if (!who) OK(dunlin_doc_set_void(docs[0], NULL, 0)); /* not all that shows could be edited */
    if (rng_below(&rng, 3)) program_edit(docs[who], &rng);
    else test_send(docs[other], docs[who]);
    if (!rng_below(&rng, 20)) draw_voids(docs[0], &rng);
    if (!rng_below(&rng, 4)) keep_up(mirror, docs[0]);
  }
  keep_up(mirror, docs[0]);
  mirror_free(mirror);
  for (size_t i = 0; i < replicas; i++) dunlin_doc_free(docs[i]);
}

static void a_mirror_follows(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(5000);
  for (uint64_t seed = first; seed < first + count; seed++) {
    if (count > 1 && seed % 1000 == 0) print_message("seed %llu\n", (unsigned long long)seed);
    run_mirror(seed);
  }
}

/* ---- What is told ------------------------------------------------------------------------------------------- */

static struct dunlin_event next(dunlin_doc *doc) {
  struct dunlin_event e = {.kind = 0};
  assert_int_equal(dunlin_next_event(doc, &e), 1);
  return e;
}

static void no_more(dunlin_doc *doc) {
  struct dunlin_event e;
  assert_int_equal(dunlin_next_event(doc, &e), 0);
}

static void assert_path(const struct dunlin_event *e, const char *path) {
  assert_int_equal(e->path.len, strlen(path));
  assert_memory_equal(e->path.data, path, e->path.len);
}

static dunlin_obj begin_child(dunlin_doc *doc, const char *key, enum dunlin_kind kind) {
  OK(dunlin_begin(doc));
  return dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key(key), kind);
}

static void commit(dunlin_doc *doc) {
  OK(dunlin_commit(doc, 0, NULL));
}

static void put(dunlin_doc *doc, const char *key, int64_t value) {
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), int_value(value)));
  commit(doc);
}

static void many_writes_are_one_event(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  put(doc, "k", 1);
  OK(dunlin_watch(doc, DUNLIN_ROOT, dunlin_key("/k"), 5));
  no_more(doc);
  for (int64_t i = 0; i < 500; i++) put(doc, "k", i);
  struct dunlin_event e = next(doc);
  assert_int_equal(e.kind, DUNLIN_EVENT_KEY);
  assert_int_equal(e.tag, 5);
  assert_int_equal(e.origin, DUNLIN_ORIGIN_LOCAL);
  assert_path(&e, "/k");
  assert_true(e.had && e.has);
  assert_int_equal(e.before.as.integer, 1);
  assert_int_equal(e.after.as.integer, 499);
  no_more(doc);
  dunlin_doc_free(doc);
}

static void nothing_changed_is_no_event(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  dunlin_obj text = begin_child(doc, "t", DUNLIN_TEXT),
             list = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("l"), DUNLIN_LIST);
  OK(dunlin_text_splice(doc, text, 0, 0, "abc", 3));
  OK(dunlin_list_insert(doc, list, 0, int_value(1)));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("k"), int_value(1)));
  commit(doc);
  OK(dunlin_watch(doc, DUNLIN_ROOT, dunlin_key(""), 1));
  put(doc, "k", 1);
  put(doc, "k", 2);
  put(doc, "k", 1);
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("k"), int_value(9)));
  OK(dunlin_text_splice(doc, text, 1, 1, "xyz", 3));
  OK(dunlin_list_insert(doc, list, 0, int_value(9)));
  OK(dunlin_list_set(doc, list, 1, int_value(9)));
  dunlin_abort(doc);
  no_more(doc);
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, text, 1, 0, "xyz", 3));
  OK(dunlin_text_splice(doc, text, 1, 3, "", 0));
  OK(dunlin_list_set(doc, list, 0, int_value(2)));
  OK(dunlin_list_set(doc, list, 0, int_value(1)));
  commit(doc);
  no_more(doc);
  dunlin_doc_free(doc);
}

static void only_what_is_watched(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  dunlin_obj a = begin_child(doc, "a", DUNLIN_MAP),
             b = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("b/~"), DUNLIN_MAP);
  commit(doc);
  int watches[] = {dunlin_watch(doc, DUNLIN_ROOT, dunlin_key("/a/x"), 1), dunlin_watch(doc, b, dunlin_key("/x"), 2),
                   dunlin_watch(doc, DUNLIN_ROOT, dunlin_key("/b~1~0"), 3)};
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, a, dunlin_key("y"), int_value(1)));
  commit(doc);
  no_more(doc);
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, b, dunlin_key("x"), int_value(1)));
  commit(doc);
  struct dunlin_event first = next(doc);
  assert_path(&first, "/b~1~0/x");
  assert_int_equal(first.tag + next(doc).tag, 5);
  no_more(doc);
  dunlin_unwatch(doc, watches[1]);
  dunlin_unwatch(doc, watches[1]);
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, b, dunlin_key("x"), int_value(2)));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("a"), int_value(2))); /* takes what is watched away */
  commit(doc);
  assert_int_equal(next(doc).tag, 1);
  assert_int_equal(next(doc).tag, 3);
  no_more(doc);
  dunlin_unwatch(doc, watches[0]);
  dunlin_unwatch(doc, watches[2]);
  assert_int_equal(dunlin_watch(doc, a, dunlin_key("x"), 1), DUNLIN_EPATH);
  assert_int_equal(dunlin_watch(doc, a, dunlin_key("/~2"), 1), DUNLIN_EPATH);
  dunlin_doc_free(doc);
}

static void a_conflict_is_told(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  OK(dunlin_watch(b, DUNLIN_ROOT, dunlin_key("/k"), 1));
  put(a, "k", 1);
  put(b, "k", 2); /* wins: the higher actor */
  assert_int_equal(next(b).conflicts, 1);
  test_send(a, b);
  struct dunlin_event e = next(b);
  assert_int_equal(e.kind, DUNLIN_EVENT_CONFLICT);
  assert_int_equal(e.conflicts, 2);
  assert_int_equal(e.origin, DUNLIN_ORIGIN_REMOTE);
  assert_int_equal(e.after.as.integer, 2);
  no_more(b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

/* Edits that go on with the last one of their transaction take a short way. */
static void typing_on_is_told(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  dunlin_obj text = begin_child(doc, "t", DUNLIN_TEXT);
  OK(dunlin_text_splice(doc, text, 0, 0, "abc", 3));
  commit(doc);
  OK(dunlin_watch(doc, DUNLIN_ROOT, dunlin_key("/t"), 1));
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, text, 3, 0, "d", 1));
  OK(dunlin_text_splice(doc, text, 4, 0, "e", 1));
  OK(dunlin_text_splice(doc, text, 5, 0, "f", 1));
  commit(doc);
  struct dunlin_event e = next(doc);
  assert_int_equal(e.kind, DUNLIN_EVENT_SPLICE);
  assert_int_equal(e.at, 3);
  assert_int_equal(e.removed, 0);
  assert_int_equal(e.inserted, 3);
  assert_memory_equal(e.text.data, "def", 3);
  no_more(doc);
  OK(dunlin_begin(doc));
  for (size_t left = 6; left > 2; left--) OK(dunlin_text_splice(doc, text, left - 1, 1, NULL, 0));
  commit(doc);
  e = next(doc);
  assert_int_equal(e.at, 2);
  assert_int_equal(e.removed, 4);
  no_more(doc);
  dunlin_doc_free(doc);
}

static void marking_is_told(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  struct dunlin_value yes = {.kind = DUNLIN_BOOL, .as.boolean = true};
  struct dunlin_id id;
  dunlin_obj text = begin_child(doc, "t", DUNLIN_TEXT);
  OK(dunlin_text_splice(doc, text, 0, 0, "abc", 3));
  commit(doc);
  OK(dunlin_watch(doc, DUNLIN_ROOT, dunlin_key("/t"), 1));
  OK(dunlin_begin(doc));
  OK(dunlin_text_mark(doc, text, 0, 2, dunlin_key("bold"), yes, 0));
  dunlin_abort(doc);
  no_more(doc);
  OK(dunlin_begin(doc));
  OK(dunlin_text_mark(doc, text, 0, 2, dunlin_key("bold"), yes, 0));
  OK(dunlin_commit(doc, 0, &id));
  struct dunlin_event e = next(doc);
  assert_int_equal(e.kind, DUNLIN_EVENT_MARKS);
  assert_path(&e, "/t");
  no_more(doc);
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, text, 1, 1, "", 0));
  commit(doc);
  assert_int_equal(next(doc).kind, DUNLIN_EVENT_SPLICE);
  no_more(doc);
  OK(dunlin_doc_set_void(doc, &id, 1));
  assert_int_equal(next(doc).kind, DUNLIN_EVENT_MARKS);
  no_more(doc);
  dunlin_doc_free(doc);
}

static void void_changes_are_told(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  struct dunlin_id id;
  OK(dunlin_watch(doc, DUNLIN_ROOT, dunlin_key(""), 1));
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("k"), int_value(1)));
  OK(dunlin_commit(doc, 0, &id));
  assert_int_equal(next(doc).kind, DUNLIN_EVENT_KEY);
  OK(dunlin_doc_set_void(doc, &id, 1));
  struct dunlin_event e = next(doc);
  assert_int_equal(e.kind, DUNLIN_EVENT_KEY);
  assert_int_equal(e.origin, DUNLIN_ORIGIN_VOID);
  assert_true(e.had && !e.has);
  no_more(doc);
  put(doc, "k", 2);
  assert_false(next(doc).had);
  dunlin_doc_free(doc);
}

/* What another has written to a list waits until somebody reads; the document is made again before that. */
static void what_waits_is_told_when_voids_change(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_id id;
  dunlin_obj list = begin_child(a, "l", DUNLIN_LIST);
  for (size_t i = 0; i < 3; i++) OK(dunlin_list_insert(a, list, i, int_value((int64_t)i)));
  commit(a);
  test_send(a, b);
  OK(dunlin_watch(a, DUNLIN_ROOT, dunlin_key(""), 1));
  OK(dunlin_begin(a));
  OK(dunlin_map_put(a, DUNLIN_ROOT, dunlin_key("k"), int_value(1)));
  OK(dunlin_list_insert(a, list, 3, int_value(3)));
  OK(dunlin_commit(a, 0, &id));
  for (int i = 0; i < 2; i++) assert_int_equal(dunlin_next_event(a, &(struct dunlin_event){.kind = 0}), 1);
  no_more(a);
  for (size_t i = 1; i < 3; i++) {
    OK(dunlin_begin(b));
    OK(dunlin_list_set(b, list, i, int_value(7)));
    commit(b);
  }
  test_send(b, a);
  OK(dunlin_doc_set_void(a, &id, 1));
  assert_int_equal(next(a).kind, DUNLIN_EVENT_KEY);
  for (size_t i = 1; i < 3; i++) {
    struct dunlin_event e = next(a);
    assert_int_equal(e.kind, DUNLIN_EVENT_ITEM);
    assert_int_equal(e.at, i);
    assert_int_equal(e.before.as.integer, i);
    assert_int_equal(e.after.as.integer, 7);
  }
  assert_int_equal(next(a).kind, DUNLIN_EVENT_SPLICE);
  no_more(a);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

/* One deletes all that is marked, with the mark; what the other has put into it meanwhile stays, and is marked no
 * more. */
static void a_mark_that_goes_is_told(void **state) {
  (void)state;
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_value yes = {.kind = DUNLIN_BOOL, .as.boolean = true};
  struct dunlin_span span;
  dunlin_obj text = begin_child(a, "t", DUNLIN_TEXT);
  OK(dunlin_text_splice(a, text, 0, 0, "abcd", 4));
  OK(dunlin_text_mark(a, text, 1, 3, dunlin_key("bold"), yes, 0));
  commit(a);
  test_send(a, b);
  OK(dunlin_begin(b));
  OK(dunlin_text_splice(b, text, 2, 0, "x", 1));
  commit(b);
  OK(dunlin_watch(b, DUNLIN_ROOT, dunlin_key("/t"), 1));
  OK(dunlin_begin(a));
  OK(dunlin_text_splice(a, text, 1, 2, "", 0));
  commit(a);
  test_send(a, b);
  assert_int_equal(next(b).kind, DUNLIN_EVENT_SPLICE);
  assert_int_equal(next(b).kind, DUNLIN_EVENT_SPLICE);
  assert_int_equal(next(b).kind, DUNLIN_EVENT_MARKS);
  no_more(b);
  OK(dunlin_text_span(b, text, 0, &span));
  assert_int_equal(span.to, 3); /* axd, of which nothing is marked */
  assert_int_equal(span.marks, 0);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

/* Who closes a view while it takes events gets none for it any more, and the event at hand still stands. */
static void a_watch_may_end_while_events_are_taken(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  int first = dunlin_watch(doc, DUNLIN_ROOT, dunlin_key(""), 1),
      second = dunlin_watch(doc, DUNLIN_ROOT, dunlin_key(""), 2);
  put(doc, "one key", 1);
  put(doc, "another", 2);
  struct dunlin_event e = next(doc);
  dunlin_unwatch(doc, e.tag == 1 ? second : first);
  uint64_t left = e.tag;
  e = next(doc);
  assert_int_equal(e.tag, left);
  dunlin_unwatch(doc, left == 1 ? first : second);
  assert_path(&e, "/another");
  no_more(doc);
  put(doc, "another", 3);
  no_more(doc);
  assert_int_equal(dunlin_watch(doc, DUNLIN_ROOT, dunlin_key(""), 3), 0);
  put(doc, "another", 4);
  assert_int_equal(next(doc).after.as.integer, 4);
  dunlin_unwatch(doc, 0); /* the document is freed with the event at hand */
  dunlin_doc_free(doc);
}

/* It is there until the next one is asked for, also when the document is made again meanwhile. */
static void an_event_outlives_its_watch_and_void_changes(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  struct dunlin_id change;
  struct dunlin_event e;
  int watch = dunlin_watch(doc, DUNLIN_ROOT, dunlin_key(""), 1);
  assert_true(watch >= 0);
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("k"), str_value("a value that is not short")));
  OK(dunlin_commit(doc, 0, &change));
  assert_int_equal(dunlin_next_event(doc, &e), 1);
  dunlin_unwatch(doc, watch);
  OK(dunlin_doc_set_void(doc, &change, 1));
  assert_int_equal(e.after.as.string.len, strlen("a value that is not short"));
  assert_memory_equal(e.after.as.string.data, "a value that is not short", e.after.as.string.len);
  assert_int_equal(dunlin_next_event(doc, &e), 0);
  dunlin_doc_free(doc);
}

/* Views come and go: what is kept for those that are gone is not more than for those that are there. */
static void ended_watches_leave_nothing(void **state) {
  (void)state;
  enum { views = 2000, kept = 3 };
  struct seeded s;
  seeded_init(&s, 1);
  struct dunlin_id id = test_id(1);
  dunlin_doc *doc;
  int watches[kept] = {-1, -1, -1};
  char path[64];
  size_t early = 0, most = 0;
  OK(dunlin_doc_new(&s.env, &id, NULL, &doc));
  for (int i = 0; i < views; i++) {
    if (i >= kept) dunlin_unwatch(doc, watches[i % kept]);
    if (i % 2) FAILS(dunlin_watch(doc, DUNLIN_ROOT, dunlin_key("/a/path/with~5/an/error"), 0), DUNLIN_EPATH);
    snprintf(path, sizeof path, "/items/%d/comments/%d", i, i);
    watches[i % kept] = dunlin_watch(doc, DUNLIN_ROOT, dunlin_key(path), (uint64_t)i);
    assert_true(watches[i % kept] >= 0);
    size_t live = s.live;
    if (i < 100 && early < live) early = live;
    if (most < live) most = live;
  }
  assert_true(most <= early);
  snprintf(path, sizeof path, "%d", views - 2); /* the nodes have got other numbers since */
  OK(dunlin_begin(doc));
  dunlin_obj obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("items"), DUNLIN_MAP);
  char item[16];
  snprintf(item, sizeof item, "%d", views - 2);
  obj = dunlin_map_child(doc, obj, dunlin_key(item), DUNLIN_MAP);
  obj = dunlin_map_child(doc, obj, dunlin_key("comments"), DUNLIN_MAP);
  OK(dunlin_commit(doc, 0, NULL));
  for (int i = 0; i < kept; i++) next(doc); /* that there are items now */
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, obj, dunlin_key(path), int_value(1)));
  OK(dunlin_map_put(doc, obj, dunlin_key("nobody watches"), int_value(1)));
  OK(dunlin_commit(doc, 0, NULL));
  assert_int_equal(next(doc).tag, views - 2);
  no_more(doc);
  for (int i = 0; i < kept; i++) dunlin_unwatch(doc, watches[i]);
  dunlin_doc_free(doc);
  assert_int_equal(s.live, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(many_writes_are_one_event),
      cmocka_unit_test(nothing_changed_is_no_event),
      cmocka_unit_test(only_what_is_watched),
      cmocka_unit_test(a_conflict_is_told),
      cmocka_unit_test(void_changes_are_told),
      cmocka_unit_test(marking_is_told),
      cmocka_unit_test(a_mirror_follows),
      cmocka_unit_test(what_waits_is_told_when_voids_change),
      cmocka_unit_test(a_mark_that_goes_is_told),
      cmocka_unit_test(a_watch_may_end_while_events_are_taken),
      cmocka_unit_test(typing_on_is_told),
      cmocka_unit_test(ended_watches_leave_nothing),
      cmocka_unit_test(an_event_outlives_its_watch_and_void_changes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
