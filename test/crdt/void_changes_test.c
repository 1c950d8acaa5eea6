/* Void changes: whatever the set and whenever it is given, the document is what the oracle says, and what a replay of its history
 * with that set is; and what is written meanwhile goes where it shows. */
#include "test/crdt/scenario.h"
#include "test/fault/seeded.h"
#include "test/oracle/support.h"

enum { set_max = 256 };

struct void_set {
  struct dunlin_id ids[set_max];
  size_t count;
};

static void set_add(struct void_set *set, struct dunlin_id id) {
  if (set->count < set_max) set->ids[set->count++] = id;
}

static void use_set(dunlin_doc *doc, const struct void_set *set) {
  OK(dunlin_doc_set_void(doc, set->ids, set->count));
}

/* The id of an actor's change. */
static struct dunlin_id id_of(const dunlin_doc *doc, uint8_t actor, uint64_t number) {
  struct dunlin_actor name = {{actor}};
  struct dunlin_change_info info;
  OK(dunlin_doc_find_number(doc, &name, number, &info));
  return info.id;
}

static void set_void_one(dunlin_doc *doc, struct dunlin_id id) {
  OK(dunlin_doc_set_void(doc, &id, 1));
  assert_true(dunlin_doc_is_void(doc, &id));
}

/* A new document with all changes of `doc` that had the set before the first of them. */
static dunlin_doc *replay_of(dunlin_doc *doc, const struct void_set *set) {
  dunlin_doc *fresh = test_doc(99);
  use_set(fresh, set);
  test_send(doc, fresh);
  return fresh;
}

/* The oracle and a replay have the same bytes. */
static void assert_as_replayed(dunlin_doc *doc, const struct void_set *set) {
  struct oracle *oracle = test_oracle();
  dunlin_doc *fresh = replay_of(doc, set);
  OK(oracle_set_void(oracle, set->ids, set->count));
  test_feed(oracle, doc);
  assert_shows_like(oracle, doc);
  assert_same_doc(doc, fresh);
  oracle_free(oracle);
  dunlin_doc_free(fresh);
}

/* ---- Random programs --------------------------------------------------------------------------------------------- */

enum { replicas = 3 };

struct replica {
  dunlin_doc *doc;
  struct oracle *oracle;
  struct void_set set;
};

static const char *const keys[] = {"a", "b", "c", "l", "t"};
static enum dunlin_kind any_kind(struct rng *rng) {
  return (enum dunlin_kind)(DUNLIN_MAP + rng_below(rng, 4));
}

static dunlin_obj somewhere(const dunlin_doc *doc, struct rng *rng) {
  dunlin_obj obj = DUNLIN_ROOT;
  for (size_t steps = 3; steps && rng_below(rng, 5); steps--) {
    struct dunlin_value v = {.kind = DUNLIN_NULL};
    struct dunlin_bytes key;
    enum dunlin_kind kind = dunlin_obj_kind(doc, obj);
    int error = DUNLIN_ENOENT;
    if (kind == DUNLIN_MAP) error = dunlin_map_at(doc, obj, rng_below(rng, dunlin_map_size(doc, obj)), &key, &v);
    else if (kind == DUNLIN_LIST) error = dunlin_list_get(doc, obj, rng_below(rng, dunlin_list_size(doc, obj)), &v);
    if (error || v.kind < DUNLIN_MAP) break;
    obj = v.as.obj;
  }
  return obj;
}

static int edit_map(dunlin_doc *doc, dunlin_obj map, struct rng *rng) {
  const char *key = keys[rng_below(rng, 5)];
  struct dunlin_value v;
  switch (rng_below(rng, 8)) {
    case 0:
    case 1: return dunlin_map_put(doc, map, KEY(key), int_value((int64_t)rng_below(rng, 9)));
    case 2: return dunlin_map_delete(doc, map, KEY(key));
    case 3:
      if (dunlin_map_get(doc, map, KEY(key), &v) || v.kind < DUNLIN_MAP) return 0;
      return dunlin_map_touch(doc, map, KEY(key));
    case 4: return dunlin_map_child(doc, map, KEY("l"), DUNLIN_LIST, NULL);
    case 5: return dunlin_map_child(doc, map, KEY("t"), DUNLIN_TEXT, NULL);
    default: return dunlin_map_child(doc, map, KEY(key), any_kind(rng), NULL);
  }
}

static int edit_list(dunlin_doc *doc, dunlin_obj list, struct rng *rng) {
  size_t size = dunlin_list_size(doc, list), at = rng_below(rng, size), room = size - at < 4 ? size - at : 4;
  switch (rng_below(rng, size ? 9 : 2)) {
    case 0: return dunlin_list_insert_child(doc, list, rng_below(rng, size + 1), any_kind(rng), NULL);
    case 1:
    case 2:
    case 3: return dunlin_list_insert(doc, list, rng_below(rng, size + 1), int_value((int64_t)rng_below(rng, 50)));
    case 4: return dunlin_list_set(doc, list, at, int_value((int64_t)rng_below(rng, 50)));
    case 5: return dunlin_list_set_child(doc, list, at, any_kind(rng), NULL);
    case 6: return dunlin_list_delete(doc, list, at, 1 + rng_below(rng, room));
    default: return dunlin_list_move(doc, list, at, rng_below(rng, size));
  }
}

/* What is to be deleted goes, and nothing else; what is inserted stands together, at its index or (behind what only shows because its
 * deletion is void) before it.  Texts of one byte a scalar value. */
static void assert_spliced(const char *before, const char *after, size_t at, size_t remove, const char *word) {
  size_t size = strlen(before), len = strlen(word), place = at;
  char expected[4096];
  for (;; place--) {
    snprintf(expected, sizeof expected, "%.*s%s", (int)at, before, before + at + remove);
    memmove(expected + place + len, expected + place, size - remove - place + 1);
    memcpy(expected + place, word, len);
    if (!strcmp(expected, after)) return;
    if (!place) break;
  }
  fail_msg("\"%s\" at %zu without %zu and with \"%s\" is \"%s\"", before, at, remove, word, after);
}

static int edit_text(dunlin_doc *doc, dunlin_obj text, struct rng *rng) {
  static const char *const words[] = {"x", "YZ", "hello", "qwertyuiop"};
  char before[2048], after[2048];
  size_t size = dunlin_text_read(doc, text, before, sizeof before - 1), at = rng_below(rng, size + 1);
  size_t remove = rng_below(rng, 2) ? rng_below(rng, size - at < 6 ? size - at + 1 : 6) : 0;
  const char *word = remove && rng_below(rng, 2) ? "" : words[rng_below(rng, 4)];
  before[size] = 0;
  int error = dunlin_text_splice(doc, text, at, remove, word, strlen(word));
  if (error) return error;
  after[dunlin_text_read(doc, text, after, sizeof after - 1)] = 0;
  assert_spliced(before, after, at, remove, word);
  return 0;
}

static int edit_any(dunlin_doc *doc, dunlin_obj obj, struct rng *rng) {
  switch (dunlin_obj_kind(doc, obj)) {
    case DUNLIN_MAP: return edit_map(doc, obj, rng);
    case DUNLIN_LIST: return edit_list(doc, obj, rng);
    case DUNLIN_TEXT: return edit_text(doc, obj, rng);
    default: return dunlin_counter_add(doc, obj, (int64_t)rng_below(rng, 7) - 3);
  }
}

/* A transaction; what no change can say is refused, and then nothing has happened. */
static void edit(dunlin_doc *doc, struct rng *rng) {
  struct dunlin_id before, after;
  int error = 0;
  OK(dunlin_doc_hash(doc, &before));
  OK(dunlin_begin(doc));
  for (size_t writes = 1 + rng_below(rng, 3); !error && writes; writes--)
    error = edit_any(doc, somewhere(doc, rng), rng);
  if (error) assert_int_equal(error, DUNLIN_EREFUSED);
  if (!error && rng_below(rng, 10)) {
    OK(dunlin_commit(doc, 0, NULL));
    return;
  }
  if (error) FAILS(dunlin_commit(doc, 0, NULL), error);
  else dunlin_abort(doc);
  OK(dunlin_doc_hash(doc, &after));
  assert_memory_equal(&before, &after, sizeof after);
}

/* Some of the changes of `doc`. */
static void choose(const dunlin_doc *doc, struct rng *rng, struct void_set *set) {
  struct dunlin_change_info info;
  size_t share = rng_below(rng, 4);
  set->count = 0;
  for (size_t i = 0; i < dunlin_doc_changes(doc); i++) {
    OK(dunlin_doc_change_at(doc, i, &info));
    if (rng_chance(rng, share, 10)) set_add(set, info.id);
  }
}

static void follow(struct replica *r) {
  OK(oracle_set_void(r->oracle, r->set.ids, r->set.count));
  test_feed(r->oracle, r->doc);
  assert_shows_like(r->oracle, r->doc);
}

static void step(struct replica *r, struct rng *rng) {
  struct replica *who = &r[rng_below(rng, replicas)], *other = &r[rng_below(rng, replicas)];
  switch (rng_below(rng, 8)) {
    case 0:
    case 1: test_send(other->doc, who->doc); break;
    case 2: /* of another's changes too, which are not here yet */
      choose(other->doc, rng, &who->set);
      use_set(who->doc, &who->set);
      break;
    default: edit(who->doc, rng);
  }
  follow(who);
}

static void run(uint64_t seed) {
  struct rng rng = rng_of(seed);
  struct replica r[replicas];
  for (size_t i = 0; i < replicas; i++)
    r[i] = (struct replica){.doc = test_doc((uint8_t)(1 + i)), .oracle = test_oracle()};
  for (size_t i = 0; i < 30; i++) step(r, &rng);
  for (size_t i = 1; i < replicas; i++) test_send(r[i].doc, r[0].doc);
  for (size_t i = 1; i < replicas; i++) test_send(r[0].doc, r[i].doc);
  for (int times = 0; times < 2; times++) {
    choose(r[0].doc, &rng, &r[0].set);
    if (times) r[0].set.count = 0;
    for (size_t i = 0; i < replicas; i++) {
      r[i].set = r[0].set;
      use_set(r[i].doc, &r[i].set);
      follow(&r[i]);
    }
    assert_as_replayed(r[0].doc, &r[0].set);
    assert_same_doc(r[0].doc, r[1].doc);
    assert_same_doc(r[0].doc, r[2].doc);
  }
  for (size_t i = 0; i < replicas; i++) {
    dunlin_doc_free(r[i].doc);
    oracle_free(r[i].oracle);
  }
}

static void random_sets_at_random_times(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(500);
  for (uint64_t seed = first; seed < first + count; seed++) {
    char again[64];
    snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
    setenv("DUNLIN_RUNNING", again, 1);
    run(seed);
  }
}

/* ---- Scenarios --------------------------------------------------------------------------------------------------- */

/* A text of which actor 2's first change deletes a word and inserts another, with a thousand changes by two others built on that. */
static void write_late(dunlin_doc *doc[3]) {
  type(doc[0], 0, 0, "one two three");
  OK(dunlin_begin(doc[0]));
  for (int64_t i = 0; i < 20; i++) OK(dunlin_list_insert(doc[0], child(doc[0], "l", DUNLIN_LIST), 0, int_value(i)));
  commit(doc[0]);
  test_send(doc[0], doc[1]);
  OK(dunlin_begin(doc[1]));
  OK(dunlin_text_splice(doc[1], at(doc[1], "t"), 4, 3, "TWENTY", 6));
  OK(dunlin_list_move(doc[1], at(doc[1], "l"), 3, 10));
  OK(dunlin_list_delete(doc[1], at(doc[1], "l"), 5, 2));
  OK(dunlin_map_put(doc[1], DUNLIN_ROOT, KEY("k"), int_value(1)));
  OK(dunlin_counter_add(doc[1], child(doc[1], "c", DUNLIN_COUNTER), 100));
  commit(doc[1]);
  test_send(doc[1], doc[0]);
  test_send(doc[1], doc[2]);
  for (size_t i = 0; i < 1000; i++) {
    dunlin_doc *who = doc[i & 1 ? 2 : 0];
    if (i % 10 < 8) type(who, (7 * i) % (dunlin_text_size(who, at(who, "t")) - 2), i % 3, "ab");
    else move(who, i % 17, (i + 1 + i % 15) % 17);
    if (i % 40 == 39) test_sync(doc[0], doc[2]);
  }
}

static void late_void(void **state) {
  (void)state;
  dunlin_doc *doc[3] = {test_doc(1), test_doc(2), test_doc(3)};
  struct void_set set = {.count = 0};
  struct dunlin_id before, after;
  write_late(doc);
  assert_true(dunlin_doc_changes(doc[0]) >= 1000);
  OK(dunlin_doc_hash(doc[0], &before));
  set_add(&set, id_of(doc[0], 2, 0));
  for (int times = 0; times < 2; times++) {
    set_void_one(doc[0], set.ids[0]);
    assert_as_replayed(doc[0], &set);
    absent(doc[0], DUNLIN_ROOT, "k");
    OK(dunlin_doc_set_void(doc[0], NULL, 0));
    OK(dunlin_doc_hash(doc[0], &after));
    assert_memory_equal(&before, &after, sizeof after);
    assert_as_replayed(doc[0], &(struct void_set){.count = 0});
  }
  for (int i = 0; i < 3; i++) dunlin_doc_free(doc[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(late_void),
      cmocka_unit_test(random_sets_at_random_times),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
