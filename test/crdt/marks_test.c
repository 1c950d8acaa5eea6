/* Marks against a model that says by definition what they do: an array of characters and anchors, where each edit goes
 * through all of it.  One replica here; how replicas agree is the oracle's to judge (test/oracle). */
#include <dunlin/history.h>

#include "crdt/doc.h"
#include "test/support/support.h"

enum { model_max = 600, key_count = 3 };

static const char *const names[key_count] = {"bold", "link", "note"};

/* A character, or an anchor of a mark. */
struct item {
  char character; /* 0: an anchor */
  int mark;
  bool is_end, is_opening;
};

struct mark {
  int key;
  int64_t value; /* 0: taken off */
};

struct model {
  struct item items[model_max];
  size_t count;
  struct mark marks[model_max]; /* a later one wins over those before */
  int mark_count;
};

static size_t characters(const struct model *m) {
  size_t n = 0;
  for (size_t i = 0; i < m->count; i++) n += m->items[i].character != 0;
  return n;
}

/* The place of character `at`, or of the end. */
static size_t place(const struct model *m, size_t at) {
  size_t i = 0;
  for (; i < m->count; i++)
    if (m->items[i].character && at-- == 0) break;
  return i;
}

static size_t behind(const struct model *m, size_t at) {
  return at ? place(m, at - 1) + 1 : 0;
}

static void put(struct model *m, size_t at, struct item item) {
  assert_true(m->count < model_max);
  memmove(m->items + at + 1, m->items + at, (m->count - at) * sizeof *m->items);
  m->items[at] = item;
  m->count++;
}

static void take(struct model *m, size_t at) {
  m->count--;
  memmove(m->items + at, m->items + at + 1, (m->count - at) * sizeof *m->items);
}

static bool has_anchor(const struct model *m, int mark, bool is_end, size_t from, size_t to) {
  for (size_t i = from; i < to; i++)
    if (!m->items[i].character && m->items[i].mark == mark && m->items[i].is_end == is_end) return true;
  return false;
}

/* The value of a key at a character; 0: it has none. */
static int64_t value_at(const struct model *m, size_t at, int key) {
  size_t i = place(m, at);
  for (int mark = m->mark_count - 1; mark >= 0; mark--)
    if (m->marks[mark].key == key && has_anchor(m, mark, false, 0, i) && has_anchor(m, mark, true, i, m->count))
      return m->marks[mark].value;
  return 0;
}

static void model_splice(struct model *m, size_t at, size_t remove, const char *text) {
  size_t from = behind(m, at), to = place(m, at + remove);
  if (remove) {
    bool goes[model_max] = {false};
    for (size_t i = from; i < to; i++)
      goes[i] = m->items[i].character ||
                (has_anchor(m, m->items[i].mark, false, from, to) && has_anchor(m, m->items[i].mark, true, from, to));
    for (size_t i = to; i-- > from;)
      if (goes[i]) take(m, i);
  }
  for (from = behind(m, at); from < m->count && !m->items[from].character && !m->items[from].is_opening;) from++;
  for (; *text; text++) put(m, from++, (struct item){.character = *text});
}

/* Whether it says anything new. */
static bool model_mark(struct model *m, size_t from, size_t to, struct mark mark, unsigned flags) {
  bool same = true;
  for (size_t at = from; at < to; at++) same &= value_at(m, at, mark.key) == mark.value;
  if (same) return false;
  bool opens = !(flags & DUNLIN_GROWS_AT_START), end_opens = flags & DUNLIN_GROWS_AT_END;
  put(m, end_opens ? place(m, to) : behind(m, to), (struct item){0, m->mark_count, true, end_opens});
  put(m, opens ? place(m, from) : behind(m, from), (struct item){0, m->mark_count, false, opens});
  m->marks[m->mark_count++] = mark;
  return true;
}

/* ---- Comparing ---------------------------------------------------------------------------------------------- */

static void assert_span(const dunlin_doc *doc, dunlin_obj text, const struct model *m, size_t at) {
  struct dunlin_span span;
  OK(dunlin_text_span(doc, text, at, &span));
  assert_true(span.from <= at && at < span.to);
  size_t marks = 0;
  for (int key = 0; key < key_count; key++) {
    int64_t expected = value_at(m, at, key);
    if (!expected) continue;
    struct dunlin_bytes name;
    struct dunlin_value value;
    OK(dunlin_text_span_mark(doc, text, at, marks++, &name, &value));
    assert_int_equal(name.len, strlen(names[key]));
    assert_memory_equal(name.data, names[key], name.len);
    assert_int_equal(value.kind, DUNLIN_INT);
    assert_int_equal(value.as.integer, expected);
  }
  assert_int_equal(span.marks, marks);
  bool differs_before = !span.from, differs_behind = span.to == characters(m);
  for (int key = 0; key < key_count; key++) {
    if (span.from) differs_before |= value_at(m, span.from - 1, key) != value_at(m, at, key);
    if (span.to < characters(m)) differs_behind |= value_at(m, span.to, key) != value_at(m, at, key);
    for (size_t i = span.from; i < span.to; i++) assert_int_equal(value_at(m, i, key), value_at(m, at, key));
  }
  assert_true(differs_before && differs_behind);
}

static void assert_model(const dunlin_doc *doc, dunlin_obj text, const struct model *m) {
  char expected[model_max + 1];
  size_t size = 0;
  for (size_t i = 0; i < m->count; i++)
    if (m->items[i].character) expected[size++] = m->items[i].character;
  expected[size] = 0;
  assert_text(doc, text, expected);
  assert_int_equal(dunlin_text_size(doc, text), size);
  for (size_t at = 0; at < size; at++) assert_span(doc, text, m, at);
  struct dunlin_span span;
  FAILS(dunlin_text_span(doc, text, size, &span), DUNLIN_ERANGE);
}

/* ---- Edits -------------------------------------------------------------------------------------------------- */

static dunlin_doc *new_text(dunlin_obj *text) {
  dunlin_doc *doc = test_doc(1);
  OK(dunlin_begin(doc));
  *text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  OK(dunlin_commit(doc, 0, NULL));
  return doc;
}

static void splice(dunlin_doc *doc, dunlin_obj text, struct model *m, struct rng *rng) {
  size_t size = characters(m), at = rng_below(rng, size + 1);
  size_t remove = rng_below(rng, 2) ? rng_below(rng, size - at < 6 ? size - at + 1 : 6) : 0;
  char letters[4] = {0};
  for (size_t i = 0, n = remove ? rng_below(rng, 2) : 1 + rng_below(rng, 3); i < n && size < 40; i++)
    letters[i] = (char)('a' + rng_below(rng, 26));
  OK(dunlin_text_splice(doc, text, at, remove, letters, strlen(letters)));
  model_splice(m, at, remove, letters);
}

static void mark_some(dunlin_doc *doc, dunlin_obj text, struct model *m, struct rng *rng) {
  size_t size = characters(m), from = rng_below(rng, size + 1), to = from + rng_below(rng, size - from + 1);
  struct mark mark = {(int)rng_below(rng, key_count), (int64_t)rng_below(rng, 3)};
  unsigned flags = (unsigned)rng_below(rng, 4);
  struct dunlin_value value = mark.value ? int_value(mark.value) : (struct dunlin_value){.kind = DUNLIN_NULL};
  OK(dunlin_text_mark(doc, text, from, to, dunlin_key(names[mark.key]), value, flags));
  if (from < to) model_mark(m, from, to, mark, flags);
}

/* The document as it is when it was saved and opened; its history comes when `load`. */
static dunlin_doc *reopened(dunlin_doc *doc, bool load) {
  void *bytes = NULL;
  size_t len;
  struct dunlin_actor actor = {{1}};
  OK(dunlin_doc_save(doc, &bytes, &len));
  dunlin_doc_free(doc);
  OK(dunlin_doc_load(NULL, bytes, len, &actor, &doc));
  dunlin_free(NULL, bytes, len);
  struct dunlin_id hash;
  if (load) OK(dunlin_doc_hash(doc, &hash));
  return doc;
}

static void run_model(uint64_t seed) {
  struct rng rng = rng_of(seed);
  static struct model m, before;
  dunlin_obj text;
  dunlin_doc *doc = new_text(&text);
  m = (struct model){.count = 0};
  for (int step = 0; step < 30; step++) {
    before = m;
    OK(dunlin_begin(doc));
    for (size_t writes = 1 + rng_below(&rng, 4); writes; writes--) {
      if (rng_below(&rng, 3)) splice(doc, text, &m, &rng);
      else mark_some(doc, text, &m, &rng);

      if (!rng_below(&rng, 4)) assert_model(doc, text, &m);
    }
    if (rng_below(&rng, 6)) {
      OK(dunlin_commit(doc, 0, NULL));
    } else {
      dunlin_abort(doc);
      m = before;
    }
    if (!rng_below(&rng, 8)) doc = reopened(doc, rng_below(&rng, 2));
    assert_model(doc, text, &m);
    if (!rng_below(&rng, 8)) OK(doc_check(doc, true));
  }
  dunlin_doc *other = test_doc(2);
  test_send(doc, other);
  assert_same_doc(doc, other);
  assert_model(other, text, &m);
  OK(doc_check(other, true));
  dunlin_doc_free(other);
  dunlin_doc_free(doc);
}

/* Who wins among concurrent marks hangs on who made them, not on the order in which they came; a document that was
 * opened from its file and has not read its history shows the same. */
static void a_file_keeps_the_winner(void **state) {
  (void)state;
  dunlin_obj text;
  dunlin_doc *docs[3] = {new_text(&text), test_doc(2), test_doc(3)};
  OK(dunlin_begin(docs[0]));
  OK(dunlin_text_splice(docs[0], text, 0, 0, "text", 4));
  OK(dunlin_commit(docs[0], 0, NULL));
  for (size_t i = 1; i < 3; i++) test_send(docs[0], docs[i]);
  for (size_t i = 0; i < 3; i++) {
    OK(dunlin_begin(docs[i]));
    OK(dunlin_text_mark(docs[i], text, i, 4, dunlin_key("bold"), int_value((int64_t)i + 1), 0));
    OK(dunlin_commit(docs[i], 0, NULL));
  }
  test_send(docs[2], docs[0]); /* the one that wins comes in the middle */
  test_send(docs[1], docs[0]);
  docs[0] = reopened(docs[0], false);
  for (size_t at = 0; at < 4; at++) {
    struct dunlin_bytes key;
    struct dunlin_value value;
    OK(dunlin_text_span_mark(docs[0], text, at, 0, &key, &value));
    assert_int_equal(value.as.integer, at < 3 ? at + 1 : 3);
  }
  for (size_t i = 0; i < 3; i++) dunlin_doc_free(docs[i]);
}

/* ---- Keeping the index -------------------------------------------------------------------------------------- */

/* The text that all have. */
static dunlin_obj text_in(const dunlin_doc *doc) {
  struct dunlin_value value;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("t"), &value));
  return value.as.obj;
}

static void edit_some(dunlin_doc *doc, struct rng *rng) {
  dunlin_obj text = text_in(doc);
  int error = 0; /* what only a void change deleted cannot be deleted */
  OK(dunlin_begin(doc));
  for (size_t writes = 1 + rng_below(rng, 3); !error && writes; writes--) {
    size_t size = dunlin_text_size(doc, text), from = rng_below(rng, size + 1), most = size - from;
    if (rng_below(rng, 2)) {
      size_t to = from + rng_below(rng, most + 1), key = rng_below(rng, key_count);
      int64_t said = (int64_t)rng_below(rng, 4);
      struct dunlin_value value = said ? int_value(said) : (struct dunlin_value){.kind = DUNLIN_NULL};
      OK(dunlin_text_mark(doc, text, from, to, dunlin_key(names[key]), value, (unsigned)rng_below(rng, 4)));
    } else {
      size_t gone = rng_below(rng, 3) ? 0 : rng_below(rng, most < 30 ? most + 1 : 30);
      error = dunlin_text_splice(doc, text, from, gone, "abcd", rng_below(rng, 5));
      if (error) assert_int_equal(error, DUNLIN_EREFUSED);
    }
    struct dunlin_span span; /* so that the index has seen what may be taken back */
    if (!rng_below(rng, 4) && dunlin_text_size(doc, text)) OK(dunlin_text_span(doc, text, 0, &span));
  }
  if (!error && rng_below(rng, 5)) OK(dunlin_commit(doc, 0, NULL));
  else dunlin_abort(doc);
}

/* What an index that has been kept up says is held against all marks (doc_check()), whatever comes and goes: edits and
 * marks of several authors, abandoned ones, void changes. */
static void run_kept(uint64_t seed) {
  enum { docs_count = 3, steps = 60 };
  struct rng rng = rng_of(seed);
  dunlin_doc *docs[docs_count];
  dunlin_obj text;
  struct dunlin_id some[8];
  size_t known = 0;
  docs[0] = new_text(&text);
  struct dunlin_id made = *dunlin_doc_heads(docs[0], &(size_t){0});
  for (uint8_t i = 1; i < docs_count; i++) test_send(docs[0], docs[i] = test_doc((uint8_t)(i + 1)));
  for (int step = 0; step < steps; step++) {
    size_t who = rng_below(&rng, docs_count);
    dunlin_doc *doc = docs[who];
    if (rng_below(&rng, 3)) edit_some(doc, &rng);
    else if (seed % 4 || rng_below(&rng, 8)) test_send(docs[(who + 1) % docs_count], doc);
    else OK(dunlin_doc_set_void(doc, some, known ? rng_below(&rng, known + 1) : 0));
    size_t count;
    const struct dunlin_id *heads = dunlin_doc_heads(doc, &count);
    if (!rng_below(&rng, 8) && memcmp(&heads[0], &made, sizeof made))
      some[known < 8 ? known++ : rng_below(&rng, 8)] = heads[0];
    if (rng_below(&rng, 2)) OK(doc_check(doc, true));
  }
  for (size_t i = 0; i < docs_count; i++) {
    OK(doc_check(docs[i], true));
    dunlin_doc_free(docs[i]);
  }
}

static void an_index_is_kept_up(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(400);
  for (uint64_t seed = first; seed < first + count; seed++) {
    char again[40];
    snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
    setenv("DUNLIN_RUNNING", again, 1);
    run_kept(seed);
  }
}

/* A transaction on an earlier version of a document with more in it is the same change, to the byte, as one that was
 * made then. */
static void run_in_the_past(uint64_t seed) {
  struct rng rng = rng_of(seed), again;
  struct dunlin_actor actor = {{77}};
  struct dunlin_id id, same;
  size_t count;
  dunlin_obj text;
  dunlin_doc *doc = new_text(&text), *other = test_doc(2), *then;
  test_send(doc, other);
  for (size_t i = rng_below(&rng, 6); i; i--) edit_some(rng_below(&rng, 2) ? doc : other, &rng);
  test_sync(doc, other);
  const struct dunlin_id *heads = dunlin_doc_heads(doc, &count);
  OK(dunlin_doc_fork(doc, heads, count, &actor, &then));
  struct dunlin_id version[2] = {heads[0], heads[count - 1]};
  assert_in_range(count, 1, 2);
  for (size_t i = 1 + rng_below(&rng, 4); i; i--) edit_some(other, &rng);
  test_send(other, doc);
  OK(doc_set_actor(doc, &actor));
  again = rng;
  size_t size = dunlin_text_size(then, text_in(then));
  for (int which = 0; which < 2; which++) {
    dunlin_doc *on = which ? then : doc;
    OK(dunlin_begin_at(on, version, count));
    rng = again;
    OK(dunlin_text_splice(on, text_in(on), 0, 0, "0", 1));
    for (size_t i = 0, all = size + 1; i < 12; i++) {
      size_t from = rng_below(&rng, all + 1), most = all - from, gone = rng_below(&rng, most < 4 ? most + 1 : 4);
      if (rng_below(&rng, 3)) {
        size_t len = rng_below(&rng, 3);
        OK(dunlin_text_splice(on, text_in(on), from, gone, "xyz", len));
        all += len - gone;
      } else {
        OK(dunlin_text_mark(on, text_in(on), from, from + gone, dunlin_key("past"), int_value((int64_t)i + 1),
                            (unsigned)rng_below(&rng, 4)));
      }
    }
    OK(dunlin_commit(on, 0, which ? &same : &id));
  }
  assert_memory_equal(&id, &same, sizeof id);
  dunlin_doc_free(doc);
  dunlin_doc_free(other);
  dunlin_doc_free(then);
}

static void writing_in_the_past_is_as_it_was_then(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(400);
  for (uint64_t seed = first; seed < first + count; seed++) {
    char again[40];
    snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
    setenv("DUNLIN_RUNNING", again, 1);
    run_in_the_past(seed);
  }
}

/* A mark that goes, because its author deletes what it covers, leaves what somebody else has put there meanwhile to
 * those below it; two of them, which met there, or one on both sides of it. */
static void what_lies_under_a_mark_shows_when_it_goes(void **state) {
  (void)state;
  for (int below = 1; below <= 2; below++) {
    dunlin_obj text;
    dunlin_doc *a = new_text(&text), *b = test_doc(2);
    OK(dunlin_begin(a));
    OK(dunlin_text_splice(a, text, 0, 0, "0123456789", 10));
    OK(dunlin_text_mark(a, text, 0, below == 1 ? 10 : 5, dunlin_key("bold"), int_value(1), 0));
    if (below == 2) OK(dunlin_text_mark(a, text, 5, 10, dunlin_key("bold"), int_value(2), 0));
    OK(dunlin_text_mark(a, text, 3, 7, dunlin_key("bold"), int_value(3), 0));
    OK(dunlin_commit(a, 0, NULL));
    test_send(a, b);
    OK(doc_check(a, true)); /* the index is there */
    OK(dunlin_begin(b));
    OK(dunlin_text_splice(b, text_in(b), 6, 0, "right", 5));
    OK(dunlin_text_splice(b, text_in(b), 4, 0, "left", 4));
    OK(dunlin_commit(b, 0, NULL));
    OK(dunlin_begin(a));
    OK(dunlin_text_splice(a, text, 3, 4, NULL, 0));
    OK(dunlin_commit(a, 0, NULL));
    test_sync(a, b);
    assert_text(a, text, "012leftright789");
    OK(doc_check(a, true));
    for (size_t at = 0; at < 15; at++) {
      struct dunlin_span span;
      struct dunlin_bytes key;
      struct dunlin_value value;
      OK(dunlin_text_span(a, text, at, &span));
      OK(dunlin_text_span_mark(a, text, at, 0, &key, &value));
      assert_int_equal(value.as.integer, below == 1 || at < 7 ? 1 : 2);
      assert_int_equal(span.from, below == 1 || at < 7 ? 0 : 7);
      assert_int_equal(span.to, below == 1 || at >= 7 ? 15 : 7);
    }
    assert_same_doc(a, b);
    dunlin_doc_free(a);
    dunlin_doc_free(b);
  }
}

/* The ends of a mark show although a change has deleted them, since that is void: no change can name them.  The text
 * around them can be deleted nevertheless; they stay. */
static void what_lies_around_ends_that_cannot_be_named_goes(void **state) {
  (void)state;
  dunlin_obj text;
  dunlin_doc *a = new_text(&text), *b = test_doc(2);
  struct dunlin_id deleted;
  OK(dunlin_begin(a));
  OK(dunlin_text_splice(a, text, 0, 0, "abc", 3));
  OK(dunlin_commit(a, 0, NULL));
  test_send(a, b);
  OK(dunlin_begin(b));
  OK(dunlin_text_splice(b, text_in(b), 1, 1, NULL, 0));
  OK(dunlin_commit(b, 0, NULL));
  OK(dunlin_begin(a));
  OK(dunlin_text_mark(a, text, 1, 2, dunlin_key("bold"), int_value(1), 0));
  OK(dunlin_commit(a, 0, NULL));
  OK(dunlin_begin(a));
  OK(dunlin_text_splice(a, text, 1, 1, NULL, 0));
  OK(dunlin_commit(a, 0, &deleted));
  OK(dunlin_doc_set_void(a, &deleted, 1));
  OK(dunlin_doc_set_void(b, &deleted, 1));
  test_sync(a, b);
  assert_text(a, text, "ac");
  OK(dunlin_begin(a));
  OK(dunlin_text_splice(a, text, 0, 2, "new", 3));
  OK(dunlin_commit(a, 0, NULL));
  test_sync(a, b);
  assert_text(a, text, "new");
  assert_same_doc(a, b);
  OK(doc_check(a, true));
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

static void agrees_with_the_model(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(400);
  for (uint64_t seed = first; seed < first + count; seed++) {
    char again[40];
    snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
    setenv("DUNLIN_RUNNING", again, 1);
    run_model(seed);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_file_keeps_the_winner),
      cmocka_unit_test(writing_in_the_past_is_as_it_was_then),
      cmocka_unit_test(what_lies_under_a_mark_shows_when_it_goes),
      cmocka_unit_test(what_lies_around_ends_that_cannot_be_named_goes),
      cmocka_unit_test(agrees_with_the_model),
      cmocka_unit_test(an_index_is_kept_up),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (failed && getenv("DUNLIN_RUNNING")) printf("to run the last seed alone: %s\n", getenv("DUNLIN_RUNNING"));
  return failed;
}
