/* Void changes: whatever the set and whenever it is given, the document is what the oracle says, and what a replay of
 * its history with that set is; and what is written meanwhile goes where it shows. */
#include "test/crdt/void_changes.h"
#include "test/crdt/program.h"

#include "crdt/doc.h"
#include "crdt/msgpack.h"
#include "test/fault/seeded.h"

/* ---- Random programs --------------------------------------------------------------------------------------------- */

enum { replicas = 3 };

struct replica {
  dunlin_doc *doc;
  struct oracle *oracle;
  struct void_set set;
};

static const char *const keys[] = {"a", "b", "c", "l", "t"};
static enum dunlin_kind any_kind(struct rng *rng) {
  return (enum dunlin_kind)(DUNLIN_MAP + rng_below(rng, DUNLIN_GROWING_SET - DUNLIN_MAP + 1));
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
  switch (rng_below(rng, 9)) {
    case 0:
    case 1: return dunlin_map_put(doc, map, dunlin_key(key), int_value((int64_t)rng_below(rng, 9)));
    case 2: return dunlin_map_delete(doc, map, dunlin_key(key));
    case 3:
      if (dunlin_map_get(doc, map, dunlin_key(key), &v) || v.kind < DUNLIN_MAP) return 0;
      return dunlin_map_touch(doc, map, dunlin_key(key));
    case 4: dunlin_map_child(doc, map, dunlin_key("l"), DUNLIN_LIST); return dunlin_txn_error(doc);
    case 5: dunlin_map_child(doc, map, dunlin_key("t"), DUNLIN_TEXT); return dunlin_txn_error(doc);
    case 6: return program_key_over(doc, map, dunlin_key(key), rng);
    default: dunlin_map_child(doc, map, dunlin_key(key), any_kind(rng)); return dunlin_txn_error(doc);
  }
}

static int edit_list(dunlin_doc *doc, dunlin_obj list, struct rng *rng) {
  size_t size = dunlin_list_size(doc, list), at = rng_below(rng, size), room = size - at < 4 ? size - at : 4;
  enum dunlin_kind kind;
  int64_t number;
  switch (rng_below(rng, size ? 10 : 2)) {
    case 0:
      kind = any_kind(rng);
      dunlin_list_insert_child(doc, list, rng_below(rng, size + 1), kind);
      return dunlin_txn_error(doc);
    case 1:
    case 2:
    case 3:
      number = (int64_t)rng_below(rng, 50);
      return dunlin_list_insert(doc, list, rng_below(rng, size + 1), int_value(number));
    case 4: return dunlin_list_set(doc, list, at, int_value((int64_t)rng_below(rng, 50)));
    case 5: dunlin_list_set_child(doc, list, at, any_kind(rng)); return dunlin_txn_error(doc);
    case 6: return dunlin_list_delete(doc, list, at, 1 + rng_below(rng, room));
    case 7: return program_element_over(doc, list, at, rng);
    default: return dunlin_list_move(doc, list, at, rng_below(rng, size));
  }
}

/* What is to be deleted goes, and nothing else; what is inserted stands together, at its index or (behind what only
 * shows because its deletion is void) before it.  Texts of one byte a scalar value. */
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
  if (rng_chance(rng, 1, 4)) {
    struct dunlin_value value = rng_chance(rng, 1, 3) ? dunlin_null() : int_value((int64_t)rng_below(rng, 3));
    return dunlin_text_mark(doc, text, at, at + rng_below(rng, size - at + 1), dunlin_key(keys[rng_below(rng, 2)]),
                            value, (unsigned)rng_below(rng, 4));
  }
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
    default: return program_amount(doc, obj, rng);
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

/* On the version of its own last change, whose indexes nobody can read here: what is out of range is refused.  It may
 * be the current one. */
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
  int error = dunlin_commit(doc, 0, NULL);
  if (error < 0 && error != DUNLIN_ERANGE && error != DUNLIN_ENOENT && error != DUNLIN_EREFUSED)
    fail_msg("%s", dunlin_error_name(error));
}

static void follow(struct replica *r) {
  OK(oracle_set_void(r->oracle, r->set.ids, r->set.count));
  test_feed(r->oracle, r->doc);
  assert_shows_like(r->oracle, r->doc);
  OK(doc_check(r->doc, false));
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
  uint64_t first = seed_first(), count = seed_count(20000);
  for (uint64_t seed = first; seed < first + count; seed++) {
    char again[64];
    snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
    setenv("DUNLIN_RUNNING", again, 1);
    run(seed);
  }
}

/* ---- Scenarios --------------------------------------------------------------------------------------------------- */

/* A text of which actor 2's first change deletes a word and inserts another, with a thousand changes by two others
 * built on that. */
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
  OK(dunlin_map_put(doc[1], DUNLIN_ROOT, dunlin_key("k"), int_value(1)));
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
  inner = dunlin_map_child(s.third, outer, dunlin_key("x"), DUNLIN_TEXT);
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

/* A new actor and what is to be asked before each transaction are of the document, not of its history. */
static int refuse_begin(void *ctx) {
  ++*(int *)ctx;
  return DUNLIN_EBUSY;
}

static void the_latest_actor_writes_on(void **state) {
  (void)state;
  struct scene s = text_scene();
  struct dunlin_actor fresh = {{7}};
  int asked = 0;
  type(s.third, 0, 0, "3");
  OK(doc_set_actor(s.third, &fresh));
  doc_on_begin(s.third, refuse_begin, &asked);
  OK(dunlin_doc_set_void(s.third, NULL, 0));
  FAILS(dunlin_begin(s.third), DUNLIN_EBUSY);
  assert_int_equal(asked, 1);
  doc_on_begin(s.third, NULL, NULL);
  type(s.third, 0, 0, "7");
  (void)id_of(s.third, 7, 0);
  scene_close(&s);
}

/* A change by actor 9 on top of `parent`: into text `t` it types "??", and deletes far out of range when it is to be
 * invalid. */
static struct dunlin_id give_written(dunlin_doc *doc, const struct dunlin_id *parent, const struct container_id *text,
                                     bool valid, const struct dunlin_id *set, struct dunlin_applied *applied) {
  struct dunlin_actor actor = {{9}};
  struct buf bytes;
  buf_init(&bytes, dunlin_env_default(), 1 << 20);
  write_head(&bytes, 5, parent, 1, &actor, 0, text);
  mp_write_array(&bytes, valid ? 3 : 6);
  write_row(&bytes, OP_TEXT_INSERT, 0, 2);
  if (!valid) write_row(&bytes, OP_DELETE, 1000, 2);
  mp_write_str(&bytes, "??", 2);
  struct change_id_bytes change = named(&bytes);
  if (!set) OK(dunlin_doc_set_void(doc, &change.id, 1));
  else OK(dunlin_doc_set_void(doc, set, 1));
  *applied = give_change(doc, &change);
  buf_free(&bytes);
  return change.id;
}

static void whether_a_change_is_valid_does_not_hang_on_the_set(void **state) {
  (void)state;
  struct container_id text = {{DUNLIN_TEXT}};
  uint8_t head[] = {DUNLIN_MAP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, DUNLIN_TEXT, 0, 0, 0, 0, 't'};
  struct dunlin_bytes part = {head, sizeof head};
  struct dunlin_id hash = env_hash(dunlin_env_default(), "dunlin.child.1", &part, 1), other = {{8}};
  memcpy(text.bytes + 1, hash.bytes + 1, sizeof text.bytes - 1);
  for (int i = 0; i < 4; i++) {
    bool valid = i & 1, is_void = i & 2;
    struct scene s = text_scene();
    struct dunlin_applied applied;
    struct dunlin_id parent = id_of(s.third, 1, 0);
    struct dunlin_id id = give_written(s.third, &parent, &text, valid, is_void ? NULL : &other, &applied);
    assert_int_equal(applied.refused, !valid);
    assert_int_equal(applied.applied, valid);
    type(s.third, 0, 0, "!"); /* of the same local version as the change that was refused */
    assert_text(s.third, at(s.third, "t"), valid && !is_void ? "!??aVVbdef" : "!aVVbdef");
    assert_as_replayed(s.third, &(struct void_set){{is_void ? id : other}, 1});
    OK(dunlin_doc_set_void(s.third, NULL, 0));
    assert_text(s.third, at(s.third, "t"), valid ? "!??aVVbdef" : "!aVVbdef");
    scene_close(&s);
  }
}

/* ---- Memory runs out --------------------------------------------------------------------------------------------- */

struct history {
  void *delta;
  size_t len;
  struct void_set early, late; /* given before the changes come, and after */
  struct dunlin_id early_hash, late_hash;
};

static void record(struct history *h) {
  struct rng rng = rng_of(5);
  dunlin_doc *docs[2] = {test_doc(1), test_doc(2)};
  for (size_t i = 0; i < 60; i++) {
    edit(docs[i & 1], &rng);
    if (i % 9 == 8) test_sync(docs[0], docs[1]);
  }
  test_sync(docs[0], docs[1]);
  OK(dunlin_doc_delta(docs[0], NULL, 0, &h->delta, &h->len));
  while (!h->early.count) choose(docs[0], &rng, &h->early);
  while (!h->late.count) choose(docs[0], &rng, &h->late);
  use_set(docs[0], &h->early);
  OK(dunlin_doc_hash(docs[0], &h->early_hash));
  use_set(docs[0], &h->late);
  OK(dunlin_doc_hash(docs[0], &h->late_hash));
  dunlin_doc_free(docs[0]);
  dunlin_doc_free(docs[1]);
}

static void assert_hash(const dunlin_doc *doc, const struct dunlin_id *expected) {
  struct dunlin_id hash;
  OK(dunlin_doc_hash(doc, &hash));
  assert_memory_equal(&hash, expected, sizeof hash);
}

/* Takes the history in with one set and changes to the other; 0 or the first error, after which all is tried again. */
static int workload(struct seeded *f, const struct history *h) {
  dunlin_doc *doc = NULL;
  struct dunlin_id id = test_id(1);
  struct dunlin_actor actor = {{9}};
  int error = dunlin_doc_new(&f->env, &id, &actor, &doc), first;
  if (error) return error;
  first = error = dunlin_doc_set_void(doc, h->early.ids, h->early.count);
  if (error) f->fail_at = 0, f->for_good = false, use_set(doc, &h->early);
  error = dunlin_doc_apply(doc, h->delta, h->len, NULL);
  if (error) {
    first = error;
    f->fail_at = 0, f->for_good = false;
    OK(dunlin_doc_apply(doc, h->delta, h->len, NULL));
  }
  if (first) assert_hash(doc, &h->early_hash);
  error = dunlin_doc_set_void(doc, h->late.ids, h->late.count);
  if (error) {
    first = error;
    f->fail_at = 0, f->for_good = false;
    assert_hash(doc, &h->early_hash);
    for (size_t i = 0; i < h->early.count; i++) assert_true(dunlin_doc_is_void(doc, &h->early.ids[i]));
    use_set(doc, &h->late);
  }
  f->fail_at = 0;
  assert_hash(doc, &h->late_hash);
  dunlin_doc_free(doc);
  return first;
}

static void every_allocation_fails(void **state) {
  (void)state;
  struct history h = {.delta = NULL};
  struct seeded f;
  seeded_init(&f, 1);
  record(&h);
  OK(workload(&f, &h));
  uint64_t all = f.allocations;
  for (int for_good = 0; for_good < 2; for_good++) {
    int error = DUNLIN_ENOMEM;
    uint64_t failed = 0;
    for (uint64_t n = 1; n <= all; n++) {
      f.allocations = 0;
      f.fail_at = n;
      f.for_good = for_good;
      error = workload(&f, &h);
      assert_true(!error || error == DUNLIN_ENOMEM);
      failed += error != 0;
      assert_int_equal(f.live, 0);
    }
    assert_true(failed > all / 2); /* the last ones are of the hash at the end */
  }
  dunlin_free(NULL, h.delta, h.len);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(late_void),
      cmocka_unit_test(not_inside_a_transaction),
      cmocka_unit_test(a_set_can_come_before_its_changes),
      cmocka_unit_test(handles_hooks_and_actor_stay),
      cmocka_unit_test(changes_that_wait_go_on_waiting),
      cmocka_unit_test(the_latest_actor_writes_on),
      cmocka_unit_test(whether_a_change_is_valid_does_not_hang_on_the_set),
      cmocka_unit_test(every_allocation_fails),
      cmocka_unit_test(random_sets_at_random_times),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (failed && getenv("DUNLIN_RUNNING")) printf("to run the last seed alone: %s\n", getenv("DUNLIN_RUNNING"));
  return failed;
}
