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

/* On the version of its own last change, whose indexes nobody can read here: what is out of range is refused. */
static void edit_earlier(dunlin_doc *doc, uint8_t actor, struct rng *rng) {
  struct dunlin_actor name = {{actor}};
  struct dunlin_change_info info;
  uint64_t number = 0;
  while (!dunlin_doc_find_number(doc, &name, number, &info)) number++;
  if (!number) return;
  struct dunlin_id own = id_of(doc, actor, number - 1);
  dunlin_obj obj = somewhere(doc, rng);
  OK(dunlin_begin_at(doc, &own, 1));
  size_t at = rng_below(rng, 6);
  switch (dunlin_obj_kind(doc, obj)) {
    case DUNLIN_TEXT: (void)dunlin_text_splice(doc, obj, at, rng_below(rng, 3), "earlier", 7); break;
    case DUNLIN_LIST:
      if (rng_below(rng, 2)) (void)dunlin_list_move(doc, obj, at, rng_below(rng, 6));
      else (void)dunlin_list_delete(doc, obj, at, 1 + rng_below(rng, 2));
      break;
    default: (void)edit_any(doc, obj, rng);
  }
  (void)dunlin_commit(doc, 0, NULL);
}

static void follow(struct replica *r) {
  OK(oracle_set_void(r->oracle, r->set.ids, r->set.count));
  test_feed(r->oracle, r->doc);
  assert_shows_like(r->oracle, r->doc);
}

static void step(struct replica *r, struct rng *rng) {
  struct replica *who = &r[rng_below(rng, replicas)], *other = &r[rng_below(rng, replicas)];
  switch (rng_below(rng, 10)) {
    case 0:
    case 1: test_send(other->doc, who->doc); break;
    case 2: edit_earlier(who->doc, (uint8_t)(1 + (who - r)), rng); break;
    case 3: /* of another's changes too, which are not here yet */
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
  for (size_t steps = 20 + rng_below(&rng, 40); steps; steps--) step(r, &rng);
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
  uint64_t first = seed_first(), count = seed_count(2000);
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

/* Actor 1 has written something: 2 writes more, which will be void, and 3 on top of that. */
struct scene {
  dunlin_doc *first, *second, *third;
};

static struct scene scene_open(void) {
  return (struct scene){test_doc(1), test_doc(2), test_doc(3)};
}

static void scene_close(struct scene *s) {
  dunlin_doc_free(s->first);
  dunlin_doc_free(s->second);
  dunlin_doc_free(s->third);
}

static void scene_void(struct scene *s) {
  test_send(s->second, s->third);
  set_void_one(s->third, id_of(s->third, 2, 0));
}

static void assert_scene(const struct scene *s) {
  struct void_set set = {.count = 1};
  set.ids[0] = id_of(s->third, 2, 0);
  assert_as_replayed(s->third, &set);
}

static void assert_list(const dunlin_doc *doc, const char *expected) {
  char got[64];
  read_list(doc, got);
  assert_string_equal(got, expected);
}

/* "abcdef", of which the void change deleted "c" and into which it inserted "VV" behind the "a". */
static struct scene text_scene(void) {
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
static struct scene list_scene(void) {
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

static void text_shows_as_before_a_void_change(void **state) {
  (void)state;
  struct scene s = text_scene();
  assert_text(s.third, at(s.third, "t"), "abcdef");
  assert_scene(&s);
  OK(dunlin_doc_set_void(s.third, NULL, 0));
  assert_text(s.third, at(s.third, "t"), "aVVbdef");
  scene_close(&s);
}

static void typing_goes_where_it_shows(void **state) {
  (void)state;
  struct scene s = text_scene();
  type(s.third, 1, 0, "1");
  assert_text(s.third, at(s.third, "t"), "a1bcdef");
  type(s.third, 5, 1, "2"); /* in place of the "e" */
  assert_text(s.third, at(s.third, "t"), "a1bcd2f");
  type(s.third, 7, 0, "3");
  type(s.third, 0, 0, "0");
  assert_text(s.third, at(s.third, "t"), "0a1bcd2f3");
  assert_scene(&s);
  scene_close(&s);
}

/* The void change's own text lies between: two rows. */
static void a_deletion_spares_void_text_between(void **state) {
  (void)state;
  struct scene s = text_scene();
  type(s.third, 0, 2, "");
  assert_text(s.third, at(s.third, "t"), "cdef");
  assert_scene(&s);
  OK(dunlin_doc_set_void(s.third, NULL, 0));
  assert_text(s.third, at(s.third, "t"), "VVdef");
  scene_close(&s);
}

static void what_shows_only_by_a_void_deletion_cannot_be_deleted(void **state) {
  (void)state;
  struct scene s = text_scene();
  for (size_t from = 0; from < 3; from++) {
    OK(dunlin_begin(s.third));
    FAILS(dunlin_text_splice(s.third, at(s.third, "t"), from, 3 - from, "x", 1), DUNLIN_EREFUSED);
    FAILS(dunlin_commit(s.third, 0, NULL), DUNLIN_EREFUSED);
    assert_text(s.third, at(s.third, "t"), "abcdef");
  }
  assert_scene(&s);
  scene_close(&s);
}

static void typing_behind_such_a_character_comes_before_it(void **state) {
  (void)state;
  struct scene s = text_scene();
  type(s.third, 3, 0, "1");
  assert_text(s.third, at(s.third, "t"), "ab1cdef");
  type(s.third, 4, 0, "2"); /* behind the "c" again: behind what was typed there before */
  assert_text(s.third, at(s.third, "t"), "ab12cdef");
  assert_scene(&s);
  scene_close(&s);
}

static void an_earlier_version_counts_void_changes(void **state) {
  (void)state;
  struct scene s = text_scene();
  struct dunlin_id second = id_of(s.third, 2, 0);
  type(s.third, 0, 0, "0");
  test_send(s.third, s.first);
  type(s.first, 0, 0, "9"); /* so that the version below is not the current one */
  test_send(s.first, s.third);
  struct dunlin_id own = id_of(s.third, 3, 0);
  OK(dunlin_begin_at(s.third, (struct dunlin_id[]){own, second}, 2));
  OK(dunlin_text_splice(s.third, at(s.third, "t"), 6, 1, "X", 1)); /* of "0aVVbdef" the "e" */
  commit(s.third);
  assert_text(s.third, at(s.third, "t"), "90abcdXf");
  assert_scene(&s);
  scene_close(&s);
}

static void list_shows_as_before_a_void_change(void **state) {
  (void)state;
  struct scene s = list_scene();
  assert_list(s.third, "abcdef");
  assert_scene(&s);
  OK(dunlin_doc_set_void(s.third, NULL, 0));
  assert_list(s.third, "fbdEa");
  scene_close(&s);
}

static void list_edits_name_what_shows(void **state) {
  (void)state;
  struct scene s = list_scene();
  dunlin_obj list = at(s.third, "l");
  OK(dunlin_begin(s.third));
  OK(dunlin_list_set(s.third, list, 0, str_value("A"))); /* moved by the void change: still the same element */
  assert_list(s.third, "Abcdef");
  OK(dunlin_list_set(s.third, list, 4, str_value("5")));
  assert_list(s.third, "Abcd5f");
  OK(dunlin_list_insert(s.third, list, 2, str_value("+")));
  assert_list(s.third, "Ab+cd5f");
  OK(dunlin_list_move(s.third, list, 4, 2));
  assert_list(s.third, "Abd+c5f");
  OK(dunlin_list_insert(s.third, list, 0, str_value("0")));
  assert_list(s.third, "0Abd+c5f");
  OK(dunlin_list_delete(s.third, list, 1, 4));
  assert_list(s.third, "0c5f");
  commit(s.third);
  assert_list(s.third, "0c5f");
  assert_scene(&s);
  scene_close(&s);
}

static void behind_an_element_that_a_void_change_took_away_is_before_it(void **state) {
  (void)state;
  struct scene s = list_scene();
  dunlin_obj list = at(s.third, "l");
  OK(dunlin_begin(s.third));
  OK(dunlin_list_insert(s.third, list, 1, str_value("1"))); /* "a" was moved away */
  assert_list(s.third, "1abcdef");
  OK(dunlin_list_move(s.third, list, 5, 4)); /* behind "c", which was deleted */
  assert_list(s.third, "1abecdf");
  commit(s.third);
  assert_scene(&s);
  scene_close(&s);
}

static void refused_on_list(struct scene *s, int error) {
  assert_int_equal(error, DUNLIN_EREFUSED);
  FAILS(dunlin_commit(s->third, 0, NULL), DUNLIN_EREFUSED);
  assert_list(s->third, "abcdef");
}

static void an_element_that_shows_only_by_a_void_deletion_stays(void **state) {
  (void)state;
  struct scene s = list_scene();
  dunlin_obj list = at(s.third, "l");
  OK(dunlin_begin(s.third));
  refused_on_list(&s, dunlin_list_delete(s.third, list, 2, 1));
  OK(dunlin_begin(s.third));
  refused_on_list(&s, dunlin_list_delete(s.third, list, 1, 3));
  OK(dunlin_begin(s.third));
  refused_on_list(&s, dunlin_list_set(s.third, list, 2, int_value(1)));
  OK(dunlin_begin(s.third));
  refused_on_list(&s, dunlin_list_set_child(s.third, list, 2, DUNLIN_MAP, NULL));
  OK(dunlin_begin(s.third));
  refused_on_list(&s, dunlin_list_move(s.third, list, 2, 0));
  OK(dunlin_begin(s.third));
  FAILS(dunlin_list_delete(s.third, list, 4, 3), DUNLIN_ERANGE);
  dunlin_abort(s.third);
  assert_scene(&s);
  scene_close(&s);
}

static void a_void_write_neither_lives_nor_overwrites(void **state) {
  (void)state;
  struct scene s = scene_open();
  put(s.first, "written", 1);
  put(s.first, "deleted", 1);
  test_send(s.first, s.second);
  OK(dunlin_begin(s.second));
  OK(dunlin_map_put(s.second, DUNLIN_ROOT, KEY("written"), int_value(2)));
  OK(dunlin_map_put(s.second, DUNLIN_ROOT, KEY("new"), int_value(2)));
  OK(dunlin_map_delete(s.second, DUNLIN_ROOT, KEY("deleted")));
  commit(s.second);
  scene_void(&s);
  assert_same_doc(s.third, s.first);
  assert_int_equal(number_at(s.third, DUNLIN_ROOT, "written"), 1);
  put(s.third, "written", 3); /* overwrites both */
  OK(dunlin_begin(s.third));
  OK(dunlin_map_delete(s.third, DUNLIN_ROOT, KEY("new"))); /* absent: nothing to delete */
  assert_int_equal(dunlin_commit(s.third, 0, NULL), 0);
  assert_scene(&s);
  OK(dunlin_doc_set_void(s.third, NULL, 0));
  assert_int_equal(number_at(s.third, DUNLIN_ROOT, "written"), 3);
  assert_int_equal(number_at(s.third, DUNLIN_ROOT, "new"), 2);
  absent(s.third, DUNLIN_ROOT, "deleted");
  scene_close(&s);
}

static void a_void_addition_adds_nothing(void **state) {
  (void)state;
  struct scene s = scene_open();
  int64_t total;
  for (int i = 0; i < 2; i++) {
    dunlin_doc *who = i ? s.second : s.first;
    OK(dunlin_begin(who));
    OK(dunlin_counter_add(who, child(who, "c", DUNLIN_COUNTER), i ? 100 : 5));
    commit(who);
    test_send(s.first, s.second);
  }
  scene_void(&s);
  OK(dunlin_begin(s.third));
  OK(dunlin_counter_add(s.third, at(s.third, "c"), 2));
  commit(s.third);
  OK(dunlin_counter_get(s.third, at(s.third, "c"), &total));
  assert_int_equal(total, 7);
  assert_scene(&s);
  OK(dunlin_doc_set_void(s.third, NULL, 0));
  OK(dunlin_counter_get(s.third, at(s.third, "c"), &total));
  assert_int_equal(total, 107);
  scene_close(&s);
}

static void a_void_child_is_gone_and_another_can_be_made(void **state) {
  (void)state;
  struct scene s = scene_open();
  put(s.first, "other", 1);
  test_send(s.first, s.second);
  put_in(s.second, "m", "x", 1);
  scene_void(&s);
  absent(s.third, DUNLIN_ROOT, "m");
  put_in(s.third, "m", "y", 2);
  absent(s.third, at(s.third, "m"), "x");
  assert_scene(&s);
  scene_close(&s);
}

static void a_void_child_that_another_touched_is_there(void **state) {
  (void)state;
  struct scene s = scene_open();
  put(s.first, "other", 1);
  test_send(s.first, s.second);
  put_in(s.second, "m", "x", 1);
  test_send(s.second, s.third);
  OK(dunlin_begin(s.third));
  OK(dunlin_map_touch(s.third, DUNLIN_ROOT, KEY("m")));
  OK(dunlin_map_put(s.third, at(s.third, "m"), KEY("y"), int_value(2)));
  commit(s.third);
  scene_void(&s);
  absent(s.third, at(s.third, "m"), "x");
  assert_int_equal(number_at(s.third, at(s.third, "m"), "y"), 2);
  assert_scene(&s);
  scene_close(&s);
}

/* ---- The call itself --------------------------------------------------------------------------------------------- */

static void not_inside_a_transaction(void **state) {
  (void)state;
  struct scene s = text_scene();
  OK(dunlin_begin(s.third));
  FAILS(dunlin_doc_set_void(s.third, NULL, 0), DUNLIN_ESTATE);
  dunlin_abort(s.third);
  FAILS(dunlin_doc_set_void(s.third, NULL, 1), DUNLIN_EINVAL);
  assert_text(s.third, at(s.third, "t"), "abcdef");
  scene_close(&s);
}

static void a_set_can_come_before_its_changes(void **state) {
  (void)state;
  struct scene s = text_scene();
  dunlin_doc *late = test_doc(4);
  struct dunlin_id second = id_of(s.third, 2, 0);
  set_void_one(late, second);
  test_send(s.third, late);
  assert_same_doc(late, s.third);
  OK(dunlin_doc_set_void(late, NULL, 0));
  assert_false(dunlin_doc_is_void(late, &second));
  assert_same_doc(late, s.second);
  dunlin_doc_free(late);
  scene_close(&s);
}

static int count_commits(void *ctx, const struct dunlin_id *id, struct dunlin_bytes change) {
  (void)id;
  assert_true(change.len);
  ++*(int *)ctx;
  return 0;
}

static void handles_hooks_and_actor_stay(void **state) {
  (void)state;
  struct scene s = list_scene();
  int commits = 0;
  dunlin_obj inner;
  dunlin_doc_on_commit(s.third, count_commits, &commits);
  OK(dunlin_begin(s.third));
  dunlin_obj outer = child(s.third, "m", DUNLIN_MAP);
  OK(dunlin_map_child(s.third, outer, KEY("x"), DUNLIN_TEXT, &inner));
  OK(dunlin_text_splice(s.third, inner, 0, 0, "duck", 4));
  commit(s.third);
  struct dunlin_id own = id_of(s.third, 3, 0);
  OK(dunlin_doc_set_void(s.third, &own, 1));
  absent(s.third, DUNLIN_ROOT, "m");
  assert_int_equal(dunlin_text_size(s.third, inner), 0);
  OK(dunlin_doc_set_void(s.third, NULL, 0));
  assert_text(s.third, inner, "duck");
  assert_int_equal(dunlin_obj_kind(s.third, outer), DUNLIN_MAP);
  put(s.third, "k", 1);
  assert_int_equal(commits, 2);
  assert_int_equal(dunlin_doc_changes(s.third), 4);
  (void)id_of(s.third, 3, 1);
  scene_close(&s);
}

static void changes_that_wait_go_on_waiting(void **state) {
  (void)state;
  struct scene s = scene_open();
  void *delta;
  size_t len, heads;
  struct dunlin_applied applied;
  put(s.first, "k", 1);
  struct dunlin_id since = dunlin_doc_heads(s.first, &heads)[0];
  test_send(s.first, s.second);
  put(s.first, "k", 2);
  put(s.second, "j", 2);
  test_send(s.second, s.third);
  put(s.first, "k", 3);
  struct dunlin_id middle = id_of(s.first, 1, 1);
  OK(dunlin_doc_delta(s.first, &middle, 1, &delta, &len));
  OK(dunlin_doc_apply(s.third, delta, len, &applied));
  assert_int_equal(applied.pending, 1);
  dunlin_free(NULL, delta, len);
  set_void_one(s.third, id_of(s.third, 2, 0));
  assert_int_equal(dunlin_doc_pending(s.third), 1);
  OK(dunlin_doc_delta(s.first, &since, 1, &delta, &len));
  OK(dunlin_doc_apply(s.third, delta, len, &applied));
  assert_int_equal(dunlin_doc_pending(s.third), 0);
  dunlin_free(NULL, delta, len);
  assert_int_equal(number_at(s.third, DUNLIN_ROOT, "k"), 3);
  assert_scene(&s);
  scene_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(late_void),
      cmocka_unit_test(text_shows_as_before_a_void_change),
      cmocka_unit_test(typing_goes_where_it_shows),
      cmocka_unit_test(a_deletion_spares_void_text_between),
      cmocka_unit_test(what_shows_only_by_a_void_deletion_cannot_be_deleted),
      cmocka_unit_test(typing_behind_such_a_character_comes_before_it),
      cmocka_unit_test(an_earlier_version_counts_void_changes),
      cmocka_unit_test(list_shows_as_before_a_void_change),
      cmocka_unit_test(list_edits_name_what_shows),
      cmocka_unit_test(behind_an_element_that_a_void_change_took_away_is_before_it),
      cmocka_unit_test(an_element_that_shows_only_by_a_void_deletion_stays),
      cmocka_unit_test(a_void_write_neither_lives_nor_overwrites),
      cmocka_unit_test(a_void_addition_adds_nothing),
      cmocka_unit_test(a_void_child_is_gone_and_another_can_be_made),
      cmocka_unit_test(a_void_child_that_another_touched_is_there),
      cmocka_unit_test(not_inside_a_transaction),
      cmocka_unit_test(a_set_can_come_before_its_changes),
      cmocka_unit_test(handles_hooks_and_actor_stay),
      cmocka_unit_test(changes_that_wait_go_on_waiting),
      cmocka_unit_test(random_sets_at_random_times),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
