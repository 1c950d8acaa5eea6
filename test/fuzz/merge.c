/* Three replicas that edit and exchange as the input says, in any order, twice, one change at a time: whenever two have
 * equal heads they have equal hashes, at the end all do, and so does a fourth that gets every change alone, the latest
 * first.  Every document agrees with itself all the time.
 *
 * Input: a program, one byte a step and the bytes that the step takes; see step(). */
#include "test/fuzz/fuzz_doc.h"

#include "crdt/change.h"
#include "crdt/doc.h"

#define REPLICAS 3u
#define STEPS_MAX 40u
#define CHANGES_MAX STEPS_MAX

static const char *const keys[] = {"a", "b", "c", "d"};

struct world {
  struct fuzz_in in;
  dunlin_doc *docs[REPLICAS];
};

/* ---- Edits ------------------------------------------------------------------------------------------------------- */

/* A container to write to: from the root through children that the input chooses. */
static dunlin_obj somewhere(const dunlin_doc *doc, struct fuzz_in *in) {
  dunlin_obj obj = DUNLIN_ROOT;
  for (size_t steps = fuzz_below(in, 6); steps; steps--) {
    struct dunlin_value v = {.kind = DUNLIN_NULL};
    struct dunlin_bytes key;
    enum dunlin_kind kind = dunlin_obj_kind(doc, obj);
    int error = DUNLIN_ENOENT;
    if (kind == DUNLIN_MAP) error = dunlin_map_at(doc, obj, fuzz_below(in, dunlin_map_size(doc, obj)), &key, &v);
    else if (kind == DUNLIN_LIST) error = dunlin_list_get(doc, obj, fuzz_below(in, dunlin_list_size(doc, obj)), &v);
    if (error || v.kind < DUNLIN_MAP) break;
    obj = v.as.obj;
  }
  return obj;
}

static enum dunlin_kind any_kind(struct fuzz_in *in) {
  return (enum dunlin_kind)(DUNLIN_MAP + fuzz_below(in, 4));
}

static struct dunlin_value any_value(struct fuzz_in *in) {
  const char *word = keys[fuzz_below(in, 4)];
  switch (fuzz_below(in, 6)) {
    case 0: return (struct dunlin_value){.kind = DUNLIN_STRING, .as.string = {word, 1}};
    case 1: return (struct dunlin_value){.kind = DUNLIN_FLOAT, .as.real = fuzz_byte(in) / 2.0};
    case 2: return (struct dunlin_value){.kind = DUNLIN_NULL};
    case 3: return (struct dunlin_value){.kind = DUNLIN_BOOL, .as.boolean = fuzz_byte(in) & 1};
    case 4: return (struct dunlin_value){.kind = DUNLIN_TIME, .as.time = fuzz_u16(in)};
    default: return (struct dunlin_value){.kind = DUNLIN_INT, .as.integer = fuzz_u16(in) - 32768};
  }
}

static void edit_map(dunlin_doc *doc, dunlin_obj map, struct fuzz_in *in) {
  const char *key = keys[fuzz_below(in, 4)];
  switch (fuzz_below(in, 5)) {
    case 0: dunlin_map_put(doc, map, (struct dunlin_bytes){key, 1}, any_value(in)); break;
    case 1: dunlin_map_delete(doc, map, (struct dunlin_bytes){key, 1}); break;
    case 2: {
      struct dunlin_value v;
      if (!dunlin_map_get(doc, map, (struct dunlin_bytes){key, 1}, &v) && v.kind >= DUNLIN_MAP)
        dunlin_map_touch(doc, map, (struct dunlin_bytes){key, 1});
      break;
    }
    default: dunlin_map_child(doc, map, (struct dunlin_bytes){key, 1}, any_kind(in));
  }
}

static void edit_list(dunlin_doc *doc, dunlin_obj list, struct fuzz_in *in) {
  size_t size = dunlin_list_size(doc, list), what = fuzz_below(in, size ? 7 : 2), at = fuzz_below(in, size);
  switch (what) {
    case 0: dunlin_list_insert(doc, list, fuzz_below(in, size + 1), any_value(in)); break;
    case 1: dunlin_list_insert_child(doc, list, fuzz_below(in, size + 1), any_kind(in)); break;
    case 2: dunlin_list_set(doc, list, at, any_value(in)); break;
    case 3: dunlin_list_set_child(doc, list, at, any_kind(in)); break;
    case 4: dunlin_list_delete(doc, list, at, 1 + fuzz_below(in, size - at)); break;
    default: dunlin_list_move(doc, list, at, fuzz_below(in, size));
  }
}

static void edit_text(dunlin_doc *doc, dunlin_obj text, struct fuzz_in *in) {
  static const char *const words[] = {"", "x", "yz", "\xc3\xa9t\xc3\xa9", "\xf0\x9f\xa6\x86", "hello"};
  size_t size = dunlin_text_size(doc, text), at = fuzz_below(in, size + 1), remove = fuzz_below(in, size - at + 1);
  const char *word = words[fuzz_below(in, 6)];
  uint8_t what = fuzz_byte(in);
  if (what % 4) dunlin_text_splice(doc, text, at, remove, word, strlen(word));
  else
    dunlin_text_mark(doc, text, at, at + remove, (struct dunlin_bytes){keys[what / 4 % 4], 1}, any_value(in),
                     what / 16 % 4u);
}

/* One transaction, on the current version or on that of an earlier change.  Writes fail for their depth alone. */
static void edit(dunlin_doc *doc, struct fuzz_in *in, bool earlier) {
  struct dunlin_change_info info;
  int error = 0;
  if (earlier && !dunlin_doc_change_at(doc, fuzz_below(in, dunlin_doc_changes(doc)), &info))
    error = dunlin_begin_at(doc, &info.id, 1);
  else error = dunlin_begin(doc);
  CHECK(!error || error == DUNLIN_EINVAL);
  if (error) return;
  /* In an earlier version the indexes that reads give may be too large, or the container may not be there yet. */
  for (size_t writes = 1 + fuzz_below(in, 3); writes; writes--) {
    dunlin_obj obj = somewhere(doc, in);
    enum dunlin_kind kind = dunlin_obj_kind(doc, obj);
    if (kind == DUNLIN_MAP) edit_map(doc, obj, in);
    else if (kind == DUNLIN_LIST) edit_list(doc, obj, in);
    else if (kind == DUNLIN_TEXT) edit_text(doc, obj, in);
    else dunlin_counter_add(doc, obj, fuzz_byte(in) - 128);
  }
  size_t changes = dunlin_doc_changes(doc);
  if (fuzz_byte(in) % 10 == 9) {
    dunlin_abort(doc);
    return;
  }
  error = dunlin_commit(doc, 0, NULL);
  CHECK(error >= 0 || error == DUNLIN_ELIMIT || (earlier && error != DUNLIN_ENOMEM));
  CHECK(dunlin_doc_changes(doc) == changes + (error == 1));
}

/* ---- Exchange ---------------------------------------------------------------------------------------------------- */

static void apply(dunlin_doc *doc, const void *delta, size_t len) {
  struct dunlin_applied applied;
  CHECK(!dunlin_doc_apply(doc, delta, len, &applied));
  CHECK(!applied.refused);
}

static void send_all(const dunlin_doc *from, dunlin_doc *to, bool whole) {
  void *delta;
  size_t len, count;
  const struct dunlin_id *heads = dunlin_doc_heads(to, &count);
  CHECK(!dunlin_doc_delta(from, heads, whole ? 0 : count, &delta, &len));
  apply(to, delta, len);
  dunlin_free(NULL, delta, len);
}

struct pieces {
  struct buf deltas[CHANGES_MAX];
  size_t count;
};

static int keep_piece(void *ctx, const struct change_id_bytes *change) {
  struct pieces *pieces = ctx;
  CHECK(pieces->count < CHANGES_MAX);
  pieces->deltas[pieces->count] = fuzz_buf();
  CHECK(!delta_write(&pieces->deltas[pieces->count++], change, 1));
  return 0;
}

/* Every change as a delta of its own. */
static struct pieces *cut(const dunlin_doc *doc) {
  struct dunlin_id id = {{1}};
  struct dunlin_bytes delta = fuzz_delta(doc);
  struct pieces *pieces = calloc(1, sizeof *pieces);
  CHECK(pieces && !delta_read(NULL, &id, delta.data, delta.len, keep_piece, pieces));
  CHECK(pieces->count == dunlin_doc_changes(doc));
  dunlin_free(NULL, (void *)(uintptr_t)delta.data, delta.len);
  return pieces;
}

static void pieces_free(struct pieces *pieces) {
  for (size_t i = 0; i < pieces->count; i++) buf_free(&pieces->deltas[i]);
  free(pieces);
}

static void send_one(const dunlin_doc *from, dunlin_doc *to, size_t at) {
  struct pieces *pieces = cut(from);
  if (pieces->count) apply(to, pieces->deltas[at % pieces->count].data, pieces->deltas[at % pieces->count].len);
  pieces_free(pieces);
}

static bool same_heads(const dunlin_doc *a, const dunlin_doc *b) {
  size_t n, m;
  const struct dunlin_id *x = dunlin_doc_heads(a, &n), *y = dunlin_doc_heads(b, &m);
  return n == m && (!n || !memcmp(x, y, n * sizeof *x));
}

static void check_equal(const dunlin_doc *a, const dunlin_doc *b) {
  struct dunlin_id x = fuzz_hash(a), y = fuzz_hash(b);
  CHECK(!memcmp(&x, &y, sizeof x));
}

/* ---- The program ------------------------------------------------------------------------------------------------- */

static void step(struct world *w) {
  uint8_t what = fuzz_byte(&w->in);
  dunlin_doc *doc = w->docs[what % REPLICAS], *other = w->docs[(what / REPLICAS + 1 + what % REPLICAS) % REPLICAS];
  switch (what / 32) {
    case 0: send_all(doc, other, false); break;
    case 1: send_all(doc, other, true); break;
    case 2: send_one(doc, other, fuzz_byte(&w->in)); break;
    case 3: edit(doc, &w->in, true); break;
    default: edit(doc, &w->in, false);
  }
  CHECK(!doc_check(doc, true));
  if (doc == other) return;
  CHECK(!doc_check(other, true));
  if (same_heads(doc, other)) check_equal(doc, other);
}

static void check_backwards(const dunlin_doc *doc) {
  struct pieces *pieces = cut(doc);
  dunlin_doc *last = fuzz_doc(NULL, 50);
  for (size_t i = pieces->count; i-- > 0;) apply(last, pieces->deltas[i].data, pieces->deltas[i].len);
  CHECK(!dunlin_doc_pending(last) && dunlin_doc_changes(last) == pieces->count);
  check_equal(doc, last);
  CHECK(!doc_check(last, true));
  dunlin_doc_free(last);
  pieces_free(pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct world w = {.in = fuzz_in_of(data, size)};
  for (unsigned i = 0; i < REPLICAS; i++) w.docs[i] = fuzz_doc(NULL, (uint8_t)(1 + i));
  for (unsigned steps = 0; w.in.left && steps < STEPS_MAX; steps++) step(&w);
  for (unsigned i = 1; i < REPLICAS; i++) send_all(w.docs[i], w.docs[0], false);
  for (unsigned i = 1; i < REPLICAS; i++) {
    send_all(w.docs[0], w.docs[i], false);
    CHECK(!dunlin_doc_pending(w.docs[i]) && same_heads(w.docs[0], w.docs[i]));
    check_equal(w.docs[0], w.docs[i]);
  }
  fuzz_read_doc(w.docs[0]);
  check_backwards(w.docs[0]);
  fuzz_accepted += dunlin_doc_changes(w.docs[0]) > 1;
  for (unsigned i = 0; i < REPLICAS; i++) dunlin_doc_free(w.docs[i]);
  return 0;
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  static const char *const names[] = {"one", "two", "three", "four", "five", "six"};
  for (uint64_t seed = 1; seed <= sizeof names / sizeof *names; seed++) {
    struct rng rng = rng_of(seed);
    struct buf input = fuzz_buf();
    for (size_t i = 0; i < 20 * seed; i++) fuzz_put_byte(&input, (uint8_t)rng_next(&rng));
    fuzz_emit_buf(emit, ctx, names[seed - 1], &input);
  }
}
