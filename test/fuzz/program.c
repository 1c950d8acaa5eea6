/* Writers at old and new versions of a few texts and lists, against the oracle: whatever the input makes them do, the
 * document shows what the oracle shows after the same changes, agrees with itself, and so does one that gets every
 * change alone.
 *
 * Input: two bytes, how many replicas there are and what they write; then a program, one byte a step and the bytes that
 * the step takes; see step(). */
#include "test/fuzz/fuzz_doc.h"

#include "crdt/internal.h"
#include "test/oracle/oracle.h"

#define REPLICAS_MAX 4u
#define STEPS_MAX 48u
#define HEADS_MAX 64u

struct replica {
  dunlin_doc *doc;
  struct oracle *oracle;
  struct dunlin_id fed[HEADS_MAX]; /* the version that the oracle has */
  size_t fed_count;
};

struct world {
  struct fuzz_in in;
  struct replica replicas[REPLICAS_MAX];
  size_t count;
  bool lists;
};

/* ---- Comparing --------------------------------------------------------------------------------------------------- */

static void check_same(const struct dunlin_id *a, const struct dunlin_id *b) {
  CHECK(!memcmp(a, b, sizeof *a));
}

/* The oracle gets what its document has got since. */
static void follow(struct replica *r) {
  void *delta;
  size_t len, count;
  struct dunlin_id shown = fuzz_hash(r->doc), expected;
  CHECK(!dunlin_doc_delta(r->doc, r->fed, r->fed_count, &delta, &len));
  CHECK(!oracle_apply(r->oracle, delta, len));
  dunlin_free(NULL, delta, len);
  const struct dunlin_id *heads = dunlin_doc_heads(r->doc, &count);
  r->fed_count = count < HEADS_MAX ? count : HEADS_MAX;
  if (count) memcpy(r->fed, heads, r->fed_count * sizeof *heads);
  CHECK(oracle_changes(r->oracle) == dunlin_doc_changes(r->doc));
  oracle_hash(r->oracle, &expected);
  check_same(&shown, &expected);
  CHECK(!doc_check(r->doc, true));
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

/* What is removed goes one too far now and then: the whole transaction fails then, and must leave nothing. */
static void write_text(struct world *w, dunlin_doc *doc, dunlin_obj text, size_t size) {
  static const char *const words[] = {
      "", "", "a", "bc", "\xc3\xa9", "\xf0\x9f\xa6\x86z", "\xe2\x82\xac\xe2\x82\xac", "twelve chars"};
  size_t at = fuzz_below(&w->in, size + 1), what = fuzz_byte(&w->in);
  size_t remove = what & 1 ? fuzz_below(&w->in, size - at + 1 + (what == 255)) : 0;
  const char *word = words[what >> 1 & 7];
  dunlin_text_splice(doc, text, at, remove, word, strlen(word));
}

static void write_list(struct world *w, dunlin_doc *doc, dunlin_obj list, size_t size) {
  struct dunlin_value value = {.kind = DUNLIN_INT, .as.integer = fuzz_byte(&w->in)};
  size_t at = fuzz_below(&w->in, size + 1), what = fuzz_below(&w->in, 8);
  switch (what) {
    case 0: dunlin_list_set(doc, list, at, value); break;
    case 1: dunlin_list_insert_child(doc, list, at, DUNLIN_TEXT); break;
    case 2: dunlin_list_delete(doc, list, at, fuzz_below(&w->in, size - at + 1)); break;
    case 3:
    case 4: dunlin_list_move(doc, list, at, fuzz_below(&w->in, size + 1)); break;
    default: dunlin_list_insert(doc, list, at, value);
  }
}

/* A transaction on the whole document, or on the version of one or two of its changes. */
static int begin(struct world *w, dunlin_doc *doc, bool old) {
  struct dunlin_id heads[2];
  struct dunlin_change_info info;
  size_t changes = dunlin_doc_changes(doc), count = 1 + fuzz_below(&w->in, 2);
  if (!old || !changes) return dunlin_begin(doc);
  for (size_t i = 0; i < count; i++) {
    CHECK(!dunlin_doc_change_at(doc, fuzz_below(&w->in, changes), &info));
    heads[i] = info.id;
  }
  return dunlin_begin_at(doc, heads, count);
}

static void edit(struct world *w, dunlin_doc *doc, bool old) {
  int error = begin(w, doc, old);
  CHECK(!error || error == DUNLIN_EINVAL);
  if (error) return;
  for (size_t writes = 1 + fuzz_below(&w->in, 4); writes; writes--) {
    dunlin_obj obj;
    const char *key = fuzz_byte(&w->in) & 1 ? "a" : "b";
    obj = dunlin_map_child(doc, DUNLIN_ROOT, (struct dunlin_bytes){key, 1}, w->lists ? DUNLIN_LIST : DUNLIN_TEXT);
    if (dunlin_txn_error(doc)) break;
    CHECK(!container_touch(doc, obj.index));
    size_t size = version_size(doc->containers[obj.index]);
    if (w->lists) write_list(w, doc, obj, size);
    else write_text(w, doc, obj, size);
  }
  size_t changes = dunlin_doc_changes(doc);
  bool abort_it = fuzz_byte(&w->in) % 16 == 15;
  if (abort_it) dunlin_abort(doc);
  else error = dunlin_commit(doc, 0, NULL);
  CHECK(error >= 0 || error == DUNLIN_ERANGE);
  CHECK(dunlin_doc_changes(doc) == changes + (error == 1));
}

/* Somebody begins to write in its name again: a fork, unless it has written nothing. */
static void rename_writer(struct world *w, struct replica *r) {
  struct dunlin_actor actor = {{(uint8_t)(1 + fuzz_below(&w->in, 8))}};
  CHECK(!doc_set_actor(r->doc, &actor));
}

/* ---- Exchange ---------------------------------------------------------------------------------------------------- */

static void apply(dunlin_doc *doc, const void *delta, size_t len) {
  struct dunlin_applied applied;
  CHECK(!dunlin_doc_apply(doc, delta, len, &applied));
  CHECK(!applied.refused);
}

static void send(const dunlin_doc *from, dunlin_doc *to) {
  void *delta;
  size_t len, count;
  const struct dunlin_id *heads = dunlin_doc_heads(to, &count);
  CHECK(!dunlin_doc_delta(from, heads, count, &delta, &len));
  apply(to, delta, len);
  dunlin_free(NULL, delta, len);
}

static int take_alone(void *ctx, const struct change_id_bytes *change) {
  struct buf delta = fuzz_buf();
  CHECK(!delta_write(&delta, change, 1));
  apply(ctx, delta.data, delta.len);
  buf_free(&delta);
  return 0;
}

static void check_alone(const dunlin_doc *doc) {
  struct dunlin_id id = {{1}}, a, b;
  struct dunlin_bytes delta = fuzz_delta(doc);
  dunlin_doc *alone = fuzz_doc(NULL, 50);
  CHECK(!delta_read(NULL, &id, delta.data, delta.len, take_alone, alone));
  CHECK(!doc_check(alone, true));
  a = fuzz_hash(doc);
  b = fuzz_hash(alone);
  check_same(&a, &b);
  dunlin_free(NULL, (void *)(uintptr_t)delta.data, delta.len);
  dunlin_doc_free(alone);
}

/* ---- The program ------------------------------------------------------------------------------------------------- */

static void step(struct world *w) {
  uint8_t what = fuzz_byte(&w->in);
  struct replica *r = &w->replicas[what % w->count], *other = &w->replicas[(what / 4u + what + 1u) % w->count];
  switch (what >> 5) {
    case 0:
    case 1: send(other->doc, r->doc); break;
    case 2: edit(w, r->doc, true); break;
    case 3:
      if (what & 16) rename_writer(w, r);
      else edit(w, r->doc, true);
      break;
    default: edit(w, r->doc, false);
  }
  follow(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct world w = {.in = fuzz_in_of(data, size)};
  struct dunlin_id id = {{1}};
  w.count = 1 + fuzz_below(&w.in, REPLICAS_MAX);
  w.lists = fuzz_byte(&w.in) & 1;
  for (size_t i = 0; i < w.count; i++)
    w.replicas[i] = (struct replica){.doc = fuzz_doc(NULL, (uint8_t)(1 + i)), .oracle = oracle_new(&id)};
  for (unsigned steps = 0; w.in.left && steps < STEPS_MAX; steps++) step(&w);
  for (size_t i = 1; i < w.count; i++) send(w.replicas[i].doc, w.replicas[0].doc);
  follow(&w.replicas[0]);
  check_alone(w.replicas[0].doc);
  fuzz_accepted += dunlin_doc_changes(w.replicas[0].doc) > 1;
  for (size_t i = 0; i < w.count; i++) {
    dunlin_doc_free(w.replicas[i].doc);
    oracle_free(w.replicas[i].oracle);
  }
  return 0;
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  static const char *const names[] = {"one", "two", "three", "four", "five", "six", "seven", "eight"};
  for (uint64_t seed = 1; seed <= sizeof names / sizeof *names; seed++) {
    struct rng rng = rng_of(seed);
    struct buf input = fuzz_buf();
    fuzz_put_byte(&input, (uint8_t)(1 + seed / 2));
    fuzz_put_byte(&input, seed & 1);
    for (size_t i = 0; i < 40 * seed; i++) fuzz_put_byte(&input, (uint8_t)rng_next(&rng));
    fuzz_emit_buf(emit, ctx, names[seed - 1], &input);
  }
}
