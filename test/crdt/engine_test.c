/* The engine against the oracle, step by step, on programs that are hard on it: branches that are long, many or
 * crossed, several writers at one place, writing at old versions, actors that fork, changes that are refused amid
 * concurrent ones.
 *
 * After every step the document's hash is that of the oracle, which got the same changes; at the end every replica is
 * checked in depth, and documents that got the changes in other ways are equal. */
#include "test/crdt/program.h"

#include "test/oracle/support.h"
#include "test/support/changes.h"
#include "test/support/raw.h"

enum { replicas_max = 5, heads_max = 64 };

struct replica {
  dunlin_doc *doc;
  struct oracle *oracle;
  struct dunlin_id
      fed[heads_max]; /* the version that the oracle has; when there are more heads it gets some changes twice */
  size_t fed_count;
};

/* What is written, and how often replicas hear of each other; drawn anew for each run. */
struct run {
  struct rng rng;
  struct replica r[replicas_max];
  size_t replicas;
  enum { TEXTS, LISTS, ANYTHING } what;
  size_t exchanges;  /* in 16 steps */
  size_t old;        /* writes at an old version, in 16 */
  size_t marks;      /* before a write to a text, in 4 */
  size_t strange;    /* writes to a text that no application makes, in 4 */
  size_t texts;      /* or lists: how many there are */
  size_t hot;        /* where all like to write */
  uint8_t new_actor; /* names the next one */
};

/* ---- Replicas and their oracles ---------------------------------------------------------------------------------- */

static void assert_sound(dunlin_doc *doc) {
  OK(doc_check(doc, true));
}

/* Gives the oracle what its document has got since, in the document's order, and compares. */
static void follow(struct replica *r) {
  void *delta;
  size_t len, count;
  OK(dunlin_doc_delta(r->doc, r->fed, r->fed_count, &delta, &len));
  OK(oracle_apply(r->oracle, delta, len));
  dunlin_free(NULL, delta, len);
  const struct dunlin_id *heads = dunlin_doc_heads(r->doc, &count);
  r->fed_count = count < heads_max ? count : heads_max;
  if (count) memcpy(r->fed, heads, r->fed_count * sizeof *heads);
  assert_int_equal(oracle_changes(r->oracle), dunlin_doc_changes(r->doc));
  assert_shows_like(r->oracle, r->doc);
}

static void give_actor(struct run *run, dunlin_doc *doc) {
  struct dunlin_actor actor = {{run->new_actor++}};
  OK(doc_set_actor(doc, &actor));
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static const char *const words[] = {
    "a", "bc", "hello, ", "\xc3\xa9", "\xf0\x9f\xa6\x86\xf0\x9f\xa6\x86", "x\xe2\x82\xac"};
static const size_t scalars_of[] = {1, 2, 7, 1, 2, 2};

/* Where to write: often where all do. */
static size_t somewhere(struct run *run, size_t size) {
  if (rng_chance(&run->rng, 1, 2) && run->hot <= size) return run->hot;
  return rng_below(&run->rng, size + 1);
}

static size_t some_of(struct run *run, size_t most, size_t usual) {
  return most ? 1 + rng_below(&run->rng, most < usual ? most : usual) : 0;
}

/* Characters one by one, each behind or before the last one. */
static size_t type_text(struct run *run, dunlin_doc *doc, dunlin_obj text, size_t size) {
  size_t at = somewhere(run, size), count = 1 + rng_below(&run->rng, 6);
  bool backwards = rng_chance(&run->rng, 1, 3);
  for (size_t i = 0; i < count; i++) {
    size_t word = rng_below(&run->rng, 6);
    OK(dunlin_text_splice(doc, text, at, 0, words[word], strlen(words[word])));
    if (!backwards) at += scalars_of[word];
    size += scalars_of[word];
  }
  return size;
}

/* Characters one by one, with the delete key or backspace. */
static size_t untype_text(struct run *run, dunlin_doc *doc, dunlin_obj text, size_t size) {
  size_t at = somewhere(run, size), count = rng_below(&run->rng, 6);
  bool backspace = rng_chance(&run->rng, 1, 2);
  for (size_t i = 0; i < count && (backspace ? at > 0 : at < size); i++, size--) {
    at -= backspace;
    OK(dunlin_text_splice(doc, text, at, 1, "", 0));
  }
  return size;
}

static size_t replace_text(struct run *run, dunlin_doc *doc, dunlin_obj text, size_t size) {
  size_t at = somewhere(run, size), remove = some_of(run, size - at, 12), word = rng_below(&run->rng, 7);
  const char *with = word < 6 ? words[word] : "";
  OK(dunlin_text_splice(doc, text, at, remove, with, strlen(with)));
  return size - remove + (word < 6 ? scalars_of[word] : 0);
}

static void mark_text(struct run *run, dunlin_doc *doc, dunlin_obj text, size_t size) {
  size_t from = somewhere(run, size), to = from + some_of(run, size - from, 6);
  struct dunlin_value value = {.kind = DUNLIN_NULL};
  if (rng_chance(&run->rng, 3, 4)) value = int_value((int64_t)rng_below(&run->rng, 3));
  if (rng_chance(&run->rng, 1, 8)) value = str_value("a link");
  OK(dunlin_text_mark(doc, text, from, to, dunlin_key(rng_chance(&run->rng, 1, 2) ? "b" : "l"), value,
                      (unsigned)rng_below(&run->rng, 4)));
}

/* Anchors that hang on anchors, and characters between anchors of one character: nobody has reason to write that, but
 * anybody can. */
static void write_between_anchors(struct run *run, dunlin_doc *doc, dunlin_obj text) {
  uint32_t size = version_size(doc->containers[text.index]);
  uint32_t hot = size < 3 ? size : 3,
           at = (uint32_t)rng_below(&run->rng, rng_chance(&run->rng, 2, 3) ? hot + 1 : size + 1);
  if (rng_chance(&run->rng, 1, 3)) {
    apply_raw(doc, text, OP_TEXT_INSERT, at);
  } else if (size && rng_chance(&run->rng, 1, 8)) {
    apply_raw(doc, text, OP_DELETE, at == size ? 0 : at);
  } else {
    apply_raw(doc, text, rng_chance(&run->rng, 1, 2) ? OP_MARK_START : OP_MARK_START_GROWS, at);
    at += 1 + (uint32_t)rng_below(&run->rng, size - at < 2 ? size - at + 1 : 2);
    apply_raw(doc, text, rng_chance(&run->rng, 1, 2) ? OP_MARK_END : OP_MARK_END_GROWS, at);
  }
}

static void write_text(struct run *run, dunlin_doc *doc, dunlin_obj text, size_t size) {
  if (rng_chance(&run->rng, run->strange, 4)) {
    for (size_t i = 1 + rng_below(&run->rng, 4); i; i--) write_between_anchors(run, doc, text);
    return;
  }
  for (size_t i = 1 + rng_below(&run->rng, 3); i; i--) {
    if (rng_chance(&run->rng, run->marks, 4)) mark_text(run, doc, text, size);
    switch (rng_below(&run->rng, 4)) {
      case 0: size = untype_text(run, doc, text, size); break;
      case 1: size = replace_text(run, doc, text, size); break;
      default: size = type_text(run, doc, text, size);
    }
  }
}

static size_t write_list_once(struct run *run, dunlin_doc *doc, dunlin_obj list, size_t size) {
  size_t at = somewhere(run, size), what = rng_below(&run->rng, size ? 8 : 3), most = size - at;
  if (what < 3) {
    size_t count = 1 + rng_below(&run->rng, 4);
    for (size_t i = 0; i < count; i++)
      OK(dunlin_list_insert(doc, list, what ? at + i : at, int_value((int64_t)rng_below(&run->rng, 99))));
    return size + count;
  }
  if (at == size) at = 0, most = size;
  switch (what) {
    case 3: OK(dunlin_list_set(doc, list, at, str_value("set"))); return size;
    case 4: dunlin_list_set_child(doc, list, at, DUNLIN_TEXT); return size;
    case 5: {
      size_t count = some_of(run, most, 5);
      OK(dunlin_list_delete(doc, list, at, count));
      return size - count;
    }
    default: OK(dunlin_list_move(doc, list, at, rng_below(&run->rng, size))); return size;
  }
}

static void write_list(struct run *run, dunlin_doc *doc, dunlin_obj list, size_t size) {
  for (size_t i = 1 + rng_below(&run->rng, 4); i; i--) size = write_list_once(run, doc, list, size);
}

/* Writes to one of the texts or lists, in the open transaction, at whatever version that is on. */
static void write_sequence(struct run *run, dunlin_doc *doc) {
  static const char *const keys[] = {"a", "b", "c"};
  const char *key = keys[rng_below(&run->rng, run->texts)];
  dunlin_obj obj;
  obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key(key), run->what == TEXTS ? DUNLIN_TEXT : DUNLIN_LIST);
  OK(container_touch(doc, obj.index));
  if (run->what == TEXTS) {
    struct places places;
    OK(places_begin(&places, doc, doc->containers[obj.index]));
    write_text(run, doc, obj, places.size);
  } else {
    write_list(run, doc, obj, version_size(doc->containers[obj.index]));
  }
}

/* Opens a transaction on the version of one or two random changes, which need not be concurrent: DUNLIN_EINVAL when
 * ours are not all in it. */
static int begin_old(struct run *run, dunlin_doc *doc) {
  struct dunlin_id heads[2];
  struct dunlin_change_info info;
  size_t changes = dunlin_doc_changes(doc), count = changes ? 1 + rng_below(&run->rng, 2) : 0;
  for (size_t i = 0; i < count; i++) {
    size_t back = rng_below(&run->rng, changes < 12 ? changes : 12);
    OK(dunlin_doc_change_at(doc, changes - 1 - back, &info));
    heads[i] = info.id;
  }
  return dunlin_begin_at(doc, heads, count);
}

static void write_sequences(struct run *run, dunlin_doc *doc, bool old) {
  int error = old ? begin_old(run, doc) : dunlin_begin(doc);
  if (error == DUNLIN_EINVAL) { /* our changes are not all in that version, or we have forked */
    give_actor(run, doc);
    error = old ? DUNLIN_EINVAL : dunlin_begin(doc);
  }
  if (error == DUNLIN_EINVAL) return;
  OK(error);
  for (size_t i = 1 + rng_below(&run->rng, 2); i; i--) write_sequence(run, doc);
  if (rng_chance(&run->rng, 1, 12)) dunlin_abort(doc);
  else OK(dunlin_commit(doc, rng_chance(&run->rng, 1, 5) ? 7 : 0, NULL));
}

/* One change, or several in a row: a branch. */
static void write_some(struct run *run, struct replica *r) {
  size_t changes = rng_chance(&run->rng, 1, 4) ? 1 + rng_below(&run->rng, 8) : 1;
  bool old = rng_chance(&run->rng, run->old, 16);
  for (size_t i = 0; i < changes; i++) {
    if (run->what == ANYTHING && !old) program_edit(r->doc, &run->rng);
    else write_sequences(run, r->doc, old);
  }
}

/* ---- A change that is refused ------------------------------------------------------------------------------------ */

/* Writes rows that are all valid but the last. */
static void write_refused_rows(struct buf *out, struct run *run, bool text) {
  size_t good = 1 + rng_below(&run->rng, 3);
  mp_write_array(out, 3 * (good + 1));
  for (size_t i = 0; i < good; i++) {
    mp_write_uint(out, text ? OP_TEXT_INSERT : OP_LIST_INSERT);
    mp_write_uint(out, 0);
    mp_write_uint(out, 1);
  }
  write_row(out, OP_DELETE, 1000000, 1);
  mp_write_str(out, "refused", text ? good : 0);
  if (!text) mp_write_array(out, good);
  for (size_t i = 0; !text && i < good; i++) mp_write_uint(out, 5);
}

/* A change by nobody else, on a random earlier change, whose last row is out of range, as a delta. */
static bool make_refused(struct run *run, dunlin_doc *doc, struct buf *delta) {
  struct dunlin_actor actor = {{run->new_actor++, 1}};
  struct dunlin_change_info info;
  struct dunlin_value v;
  size_t changes = dunlin_doc_changes(doc);
  if (!changes || dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("a"), &v) || v.kind < DUNLIN_LIST || v.kind > DUNLIN_TEXT)
    return false;
  OK(dunlin_doc_change_at(doc, changes - 1 - rng_below(&run->rng, changes < 8 ? changes : 8), &info));
  struct buf change;
  buf_init(&change, dunlin_env_default(), 1 << 16);
  write_head(&change, v.kind == DUNLIN_TEXT ? 5 : 6, &info.id, 1, &actor, 0, &doc->containers[v.as.obj.index]->id);
  write_refused_rows(&change, run, v.kind == DUNLIN_TEXT);
  struct change_id_bytes one = named(&change);
  OK(delta_write(delta, &one, 1));
  buf_free(&change);
  return true;
}

/* Everything goes on as if it had not come. */
static void refuse(struct run *run, struct replica *r) {
  struct buf delta;
  struct dunlin_applied applied;
  struct dunlin_id before, after;
  buf_init(&delta, dunlin_env_default(), 1 << 16);
  if (make_refused(run, r->doc, &delta)) {
    OK(dunlin_doc_hash(r->doc, &before));
    OK(dunlin_doc_apply(r->doc, delta.data, delta.len, &applied));
    assert_int_equal(applied.refused, 1);
    OK(dunlin_doc_hash(r->doc, &after));
    assert_memory_equal(&before, &after, sizeof before);
    OK(oracle_apply(r->oracle, delta.data, delta.len));
    if (rng_chance(&run->rng, 1, 4)) assert_sound(r->doc);
  }
  buf_free(&delta);
}

/* ---- Named histories --------------------------------------------------------------------------------------------- */

/* Deletions that come to lie beside those of an earlier row only in the end: still the change must have the one form
 * that others take. */
static void deletions_that_meet_late_are_one_row(void **state) {
  (void)state;
  static const struct {
    size_t at, count;
  } deletions[][7] = {
      {{0, 1}, {0, 1}, {0, 1}, {3, 2}, {0, 1}, {0, 1}, {0, 1}},
      {{3, 1}, {0, 1}, {0, 1}, {0, 1}, {0, 0}},
      {{5, 1}, {2, 1}, {0, 1}, {0, 1}, {0, 2}, {3, 1}, {0, 0}},
      {{0, 3}, {2, 1}, {1, 1}, {0, 1}, {0, 0}},
  };
  for (size_t i = 0; i < sizeof deletions / sizeof *deletions; i++) {
    dunlin_doc *doc = test_doc(1), *other = test_doc(2);
    dunlin_obj text;
    OK(dunlin_begin(doc));
    text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
    OK(dunlin_text_splice(doc, text, 0, 0, "0123456789", 10));
    OK(dunlin_commit(doc, 0, NULL));
    OK(dunlin_begin(doc));
    for (size_t k = 0; k < 7; k++) OK(dunlin_text_splice(doc, text, deletions[i][k].at, deletions[i][k].count, "", 0));
    OK(dunlin_commit(doc, 0, NULL));
    assert_int_equal(test_send(doc, other).applied, 2);
    assert_same_doc(doc, other);
    assert_sound(doc);
    assert_sound(other);
    dunlin_doc_free(doc);
    dunlin_doc_free(other);
  }
}

/* ---- Ways to get changes ----------------------------------------------------------------------------------------- */

/* What `from` has and `to` has not. */
static struct pieces cut(const dunlin_doc *from, const dunlin_doc *to) {
  size_t count;
  const struct dunlin_id *heads = dunlin_doc_heads(to, &count);
  return pieces_since(from, heads, count);
}

/* Each alone, in any order, some of them twice. */
static void send_shuffled(struct run *run, dunlin_doc *from, dunlin_doc *to) {
  struct pieces p = cut(from, to);
  pieces_shuffle(&p, &run->rng);
  for (size_t i = 0; i < p.count; i++)
    for (size_t times = 1 + !rng_below(&run->rng, 5); times; times--) give_change(to, &p.changes[i]);
  pieces_free(&p);
}

/* In batches, some of which overlap the one before. */
static void send_batches(struct run *run, dunlin_doc *from, dunlin_doc *to) {
  struct pieces p = cut(from, to);
  for (size_t at = 0, count; at < p.count; at += count) {
    count = 1 + rng_below(&run->rng, 8);
    if (count > p.count - at) count = p.count - at;
    size_t again = rng_below(&run->rng, at < 3 ? at + 1 : 3);
    give_changes(to, &p.changes[at - again], count + again);
  }
  pieces_free(&p);
}

static void send(struct run *run, dunlin_doc *from, dunlin_doc *to) {
  if (from == to) return;
  switch (rng_below(&run->rng, 4)) {
    case 0: send_shuffled(run, from, to); break;
    case 1: send_batches(run, from, to); break;
    default: test_send(from, to);
  }
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

static void step(struct run *run) {
  struct replica *r = &run->r[rng_below(&run->rng, run->replicas)],
                 *other = &run->r[rng_below(&run->rng, run->replicas)];
  if (rng_chance(&run->rng, run->exchanges, 16)) {
    send(run, other->doc, r->doc);
    if (rng_chance(&run->rng, 1, 3)) { /* both have it all: histories cross */
      send(run, r->doc, other->doc);
      follow(other);
    }
  } else {
    write_some(run, r);
  }
  follow(r);
  if (!rng_chance(&run->rng, 1, 16)) return;
  refuse(run, r);
  follow(r);
}

/* The other ways that a document could have come to these changes. */
static void check_ways(struct run *run) {
  dunlin_doc *ways[] = {test_doc(250), test_doc(251), test_doc(252)}, *all = run->r[0].doc;
  test_send(all, ways[0]);
  send_shuffled(run, all, ways[1]);
  send_batches(run, all, ways[2]);
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    assert_int_equal(dunlin_doc_pending(ways[i]), 0);
    assert_int_equal(dunlin_doc_changes(ways[i]), dunlin_doc_changes(all));
    assert_same_doc(ways[i], all);
    assert_sound(ways[i]);
    dunlin_doc_free(ways[i]);
  }
}

static void finish(struct run *run) {
  for (size_t i = 1; i < run->replicas; i++) send(run, run->r[i].doc, run->r[0].doc);
  for (size_t i = 1; i < run->replicas; i++) send(run, run->r[0].doc, run->r[i].doc);
  for (size_t i = 0; i < run->replicas; i++) {
    follow(&run->r[i]);
    assert_int_equal(dunlin_doc_pending(run->r[i].doc), 0);
    assert_same_doc(run->r[0].doc, run->r[i].doc);
    assert_sound(run->r[i].doc);
  }
  check_ways(run);
}

static void run_one(uint64_t seed) {
  struct run run = {.rng = rng_of(seed), .new_actor = 100};
  size_t steps = 6 + rng_below(&run.rng, 18);
  run.replicas = 2 + rng_below(&run.rng, replicas_max - 1);
  run.what = (int)rng_below(&run.rng, 8) < 5 ? TEXTS : rng_chance(&run.rng, 2, 3) ? LISTS : ANYTHING;
  run.exchanges = 1 + 3 * rng_below(&run.rng, 4);
  run.old = rng_chance(&run.rng, 1, 2) ? rng_below(&run.rng, 8) : 0;
  run.marks = rng_chance(&run.rng, 1, 2) ? rng_below(&run.rng, 5) : 0;
  run.strange = rng_chance(&run.rng, 1, 4) ? rng_below(&run.rng, 5) : 0;
  run.texts = 1 + rng_below(&run.rng, 3);
  run.hot = rng_below(&run.rng, 8);
  /* In some runs two write in the name of one actor. */
  size_t actors = rng_chance(&run.rng, 1, 5) ? run.replicas - 1 : run.replicas;
  for (size_t i = 0; i < run.replicas; i++)
    run.r[i] = (struct replica){.doc = test_doc((uint8_t)(1 + i % actors)), .oracle = test_oracle()};
  if (actors < run.replicas && run.what == ANYTHING) run.what = TEXTS; /* program_edit() takes no DUNLIN_EINVAL */
  while (steps--) step(&run);
  finish(&run);
  for (size_t i = 0; i < run.replicas; i++) {
    dunlin_doc_free(run.r[i].doc);
    oracle_free(run.r[i].oracle);
  }
}

static void random_runs_show_what_the_oracle_shows(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(20000);
  for (uint64_t seed = first; seed < first + count; seed++) {
    char again[64];
    snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
    setenv("DUNLIN_RUNNING", again, 1);
    run_one(seed);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(deletions_that_meet_late_are_one_row),
      cmocka_unit_test(random_runs_show_what_the_oracle_shows),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (failed && getenv("DUNLIN_RUNNING")) printf("to run the last seed alone: %s\n", getenv("DUNLIN_RUNNING"));
  return failed;
}
