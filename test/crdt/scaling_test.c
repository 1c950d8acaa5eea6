/* Twice the work takes at most 2.3 times as long and 2.3 times the memory, also for documents that are made to be hard
 * to merge.
 *
 * Each shape writes a history of `n` changes or so; what is measured is to take all of it into an empty document, to
 * read what that shows, and to write it out again.  Time is the processor's, the least of several tries, at n and 4 n:
 * at most 2.3 squared.  Memory is the most that was held at once, which is exact; arrays grow by halves, so it is
 * compared over four doublings, where that evens out. */
#include "test/fault/seeded.h"
#include "test/support/raw.h"
#include "test/support/scaling.h"

/* A history in the making. */
struct history {
  dunlin_doc *all; /* has every change */
  struct dunlin_id base;
  void *begin; /* the delta of what all begin with */
  size_t begin_len;
  uint32_t actors;
  size_t n;
};

struct shape {
  const char *name;
  void (*write)(struct history *h);
  size_t n;
  bool saves; /* it is measured how it is saved, too; not for all, since zstd tries harder with more bytes */
};

/* ---- Writing ------------------------------------------------------------------------------------------------ */

/* Actors, in no order. */
static struct dunlin_actor next_actor(struct history *h) {
  struct dunlin_actor actor = {{0}};
  h->actors++;
  for (int i = 0; i < 4; i++) actor.bytes[i] = (uint8_t)((h->actors * 2654435769u) >> (8 * i));
  return actor;
}

static dunlin_doc *new_author(struct history *h, const struct dunlin_env *env) {
  struct dunlin_id id = test_id(1);
  struct dunlin_actor actor = next_actor(h);
  dunlin_doc *doc;
  OK(dunlin_doc_new(env, &id, &actor, &doc));
  return doc;
}

static dunlin_obj text_of(dunlin_doc *doc) {
  return dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
}

/* One change that replaces `remove` characters at `at`. */
static struct dunlin_id edit(dunlin_doc *doc, size_t at, size_t remove, const char *with) {
  struct dunlin_id id;
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, text_of(doc), at, remove, with, strlen(with)));
  OK(dunlin_commit(doc, 0, &id));
  return id;
}

/* One change of a list. */
static struct dunlin_id edit_list(dunlin_doc *doc, struct rng *rng) {
  struct dunlin_id id;
  OK(dunlin_begin(doc));
  dunlin_obj list = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_LIST);
  size_t size = dunlin_list_size(doc, list), at = rng_below(rng, size + 1), what = rng_below(rng, 8);
  if (at == size || what < 4) OK(dunlin_list_insert(doc, list, at, int_value((int64_t)size)));
  else if (what < 6) OK(dunlin_list_set(doc, list, at, int_value(-(int64_t)rng_below(rng, 1u << 30) - 1)));
  else if (what < 7) OK(dunlin_list_move(doc, list, at, at ? 0 : size - 1));
  else OK(dunlin_list_delete(doc, list, at, 1));
  OK(dunlin_list_insert(doc, list, 0, int_value(0))); /* so that there is a change */
  OK(dunlin_commit(doc, 0, &id));
  return id;
}

static struct dunlin_id edit_map(dunlin_doc *doc, size_t i) {
  struct dunlin_id id;
  char key[16];
  snprintf(key, sizeof key, "%zu", i % 50);
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), int_value((int64_t)i)));
  OK(dunlin_commit(doc, 0, &id));
  return id;
}

/* What `from` has that is not in the past of `since` goes to `to`. */
static void give(dunlin_doc *from, const struct dunlin_id *since, dunlin_doc *to) {
  void *delta;
  size_t len;
  struct dunlin_applied applied;
  OK(dunlin_doc_delta(from, since, 1, &delta, &len));
  OK(dunlin_doc_apply(to, delta, len, &applied));
  assert_int_equal(applied.refused + applied.pending, 0);
  dunlin_free(NULL, delta, len);
}

/* The text that all begin with. */
static void begin_with(struct history *h, const char *text) {
  h->base = edit(h->all, 0, 0, text);
  OK(dunlin_doc_delta(h->all, NULL, 0, &h->begin, &h->begin_len));
}

/* A new author's copy of what all begin with, and its end. */
static dunlin_doc *leave(struct history *h) {
  dunlin_doc *doc = new_author(h, NULL);
  OK(dunlin_doc_apply(doc, h->begin, h->begin_len, NULL));
  return doc;
}
static void come_back(struct history *h, dunlin_doc *doc) {
  give(doc, &h->base, h->all);
  dunlin_doc_free(doc);
}

static char *repeated(size_t n, const char *what) {
  size_t len = strlen(what);
  char *text = malloc(n * len + 1);
  assert_non_null(text);
  for (size_t i = 0; i < n; i++) memcpy(text + i * len, what, len);
  text[n * len] = 0;
  return text;
}

/* ---- Shapes ------------------------------------------------------------------------------------------------- */

/* `authors` who each type n / authors characters at one place while apart, each before or behind the one before. */
static void type_apart(struct history *h, size_t authors, bool backward) {
  dunlin_doc **docs = calloc(authors, sizeof *docs);
  assert_non_null(docs);
  begin_with(h, "()");
  for (size_t i = 0; i < authors; i++) {
    docs[i] = leave(h);
    for (size_t k = 0; k < h->n / authors; k++) edit(docs[i], backward ? 1 : k + 1, 0, "x");
  }
  for (size_t i = 0; i < authors; i++) come_back(h, docs[i]);
  free(docs);
}

static void prepending_by_two(struct history *h) {
  type_apart(h, 2, true);
}
static void backward_runs(struct history *h) {
  type_apart(h, h->n / 50, true);
}
static void forward_runs(struct history *h) {
  type_apart(h, h->n / 10, false);
}
/* Ever more actors, one character each. */
static void many_actors(struct history *h) {
  type_apart(h, h->n, false);
}

/* Two authors in turns, each between the two characters written last; meanwhile a third at the same place. */
static void deep_nesting(struct history *h) {
  begin_with(h, "()");
  dunlin_doc *docs[2] = {leave(h), leave(h)}, *third = leave(h);
  struct dunlin_id last = h->base;
  for (size_t i = 0; i < h->n; i++) {
    struct dunlin_id before = last;
    last = edit(docs[i & 1], 1 + i / 2, 0, "x");
    give(docs[i & 1], &before, docs[~i & 1]);
    if (i % 2) edit(third, 1 + i / 4, 0, "y");
  }
  come_back(h, docs[0]);
  come_back(h, third);
  dunlin_doc_free(docs[1]);
}

/* Two authors who each write something, take it back, write it again... */
static void undo_chains(struct history *h) {
  begin_with(h, "()");
  dunlin_doc *docs[2] = {leave(h), leave(h)};
  for (size_t i = 0; i < h->n; i++) edit(docs[i % 2], 1, i / 2 % 2, i / 2 % 2 ? "" : "x");
  come_back(h, docs[0]);
  come_back(h, docs[1]);
}

/* Ever more authors who each delete all of a text but its first character. */
static void deleting_everything(struct history *h) {
  char *text = repeated(2000, "x");
  begin_with(h, text);
  free(text);
  for (size_t i = 0; i < h->n; i++) {
    dunlin_doc *doc = leave(h);
    edit(doc, 1, 1999, "");
    come_back(h, doc);
  }
}

/* One author deletes every other character, one all of them at once; a third writes into each gap. */
static void fragments(struct history *h) {
  char *text = repeated(2 * h->n, "x");
  begin_with(h, text);
  free(text);
  dunlin_doc *one = leave(h), *two = leave(h), *three = leave(h);
  for (size_t i = 0; i < h->n; i++) edit(one, i, 1, "");
  edit(two, 0, 2 * h->n, "");
  for (size_t i = 0; i < h->n; i++) edit(three, 3 * i, 0, "y");
  come_back(h, one);
  come_back(h, two);
  come_back(h, three);
}

/* One author pastes a long text, the other writes backwards before it. */
static void paste_and_prepend(struct history *h) {
  char *text = repeated(10 * h->n, "x");
  begin_with(h, "()");
  dunlin_doc *one = leave(h), *two = leave(h);
  edit(one, 1, 0, text);
  for (size_t i = 0; i < h->n; i++) edit(two, 1, 0, "y");
  free(text);
  come_back(h, one);
  come_back(h, two);
}

/* One long branch, and small ones that leave it everywhere. */
static void comb(struct history *h) {
  begin_with(h, "()");
  dunlin_doc *stem = leave(h);
  struct dunlin_id last = h->base;
  for (size_t i = 0; i < h->n; i++) {
    struct dunlin_id before = last;
    last = edit(stem, 1 + i / 2, 0, "x");
    give(stem, &before, h->all);
    if (i % 4) continue;
    struct dunlin_actor actor = next_actor(h);
    OK(doc_set_actor(h->all, &actor));
    OK(dunlin_begin_at(h->all, &last, 1));
    OK(dunlin_text_splice(h->all, text_of(h->all), 1 + i / 2, 0, "y", 1));
    OK(dunlin_commit(h->all, 0, NULL));
  }
  dunlin_doc_free(stem);
}

static void wide_text(struct history *h) {
  begin_with(h, "()");
  for (size_t i = 0; i < h->n; i++) edit(h->all, 1 + i, 0, "\xc3\xa9");
}

/* Two authors whose changes come in turns: of one list, inserted, written to, moved and deleted all over it, and
 * (`maps`) every other one of a map. */
static void write_in_turns(struct history *h, bool maps) {
  struct rng rng = rng_of(1);
  h->base = edit_list(h->all, &rng);
  OK(dunlin_doc_delta(h->all, NULL, 0, &h->begin, &h->begin_len));
  dunlin_doc *docs[2] = {leave(h), leave(h)};
  struct dunlin_id last[2] = {h->base, h->base};
  for (size_t i = 0; i < h->n; i++) {
    struct dunlin_id before = last[i % 2];
    last[i % 2] = maps && i % 4 < 2 ? edit_map(docs[i % 2], i) : edit_list(docs[i % 2], &rng);
    give(docs[i % 2], &before, h->all);
  }
  dunlin_doc_free(docs[0]);
  dunlin_doc_free(docs[1]);
}

/* The same with every other character deleted by somebody else meanwhile. */
static void wide_fragments(struct history *h) {
  begin_with(h, "()");
  for (size_t i = 0; i < h->n; i++) edit(h->all, 1 + i, 0, "\xc3\xa9");
  dunlin_free(NULL, h->begin, h->begin_len);
  OK(dunlin_doc_delta(h->all, NULL, 0, &h->begin, &h->begin_len));
  dunlin_doc *one = leave(h);
  edit(h->all, 1, 0, "\xc3\xa9");
  for (size_t i = 0; i < h->n / 2; i++) edit(one, 1 + i, 1, "");
  come_back(h, one);
}

/* One change that marks [from, to). */
static void mark(dunlin_doc *doc, size_t from, size_t to, int64_t value) {
  OK(dunlin_begin(doc));
  OK(dunlin_text_mark(doc, text_of(doc), from, to, dunlin_key("m"), int_value(value), 0));
  OK(dunlin_commit(doc, 0, NULL));
}

/* One author marks every word of a text; then two type into it, the other one having seen none of the marks. */
static void typing_among_marks(struct history *h) {
  char *text = repeated(h->n, "word ");
  begin_with(h, text);
  free(text);
  dunlin_doc *one = leave(h), *two = leave(h);
  for (size_t i = 0; i < h->n; i++) mark(one, 5 * i, 5 * i + 4, (int64_t)i + 1);
  for (size_t i = 0; i < h->n; i++) {
    edit(one, 5 * i + 4, 0, "x");
    edit(two, 6 * i + 4, 0, "y");
  }
  come_back(h, one);
  come_back(h, two);
}

/* Two authors who mark one word again and again while apart; a third writes backwards at its end meanwhile. */
static void marking_one_word(struct history *h) {
  begin_with(h, "a word.");
  dunlin_doc *one = leave(h), *two = leave(h), *three = leave(h);
  for (size_t i = 0; i < h->n; i++) {
    mark(one, 2, 6, (int64_t)i + 1);
    mark(two, 2, 6, -(int64_t)i - 1);
    edit(three, 6, 0, "x");
  }
  come_back(h, one);
  come_back(h, two);
  come_back(h, three);
}

/* One author types, and marks each character; the other one writes backwards at the same place. */
static void marking_what_is_typed(struct history *h) {
  begin_with(h, "()");
  dunlin_doc *one = leave(h), *two = leave(h);
  for (size_t i = 0; i < h->n; i++) {
    edit(one, 1 + i, 0, "x");
    mark(one, 1 + i, 2 + i, (int64_t)i + 1);
    edit(two, 1, 0, "y");
  }
  come_back(h, one);
  come_back(h, two);
}

/* What no program writes: an author hangs each anchor on the one before, and types behind all of them; two others type
 * there too. */
static void anchors_on_anchors(struct history *h) {
  begin_with(h, "()");
  dunlin_doc *one = leave(h), *two = leave(h), *three = leave(h);
  for (uint32_t i = 0; i < h->n; i++) {
    OK(dunlin_begin(one));
    apply_raw(one, text_of(one), OP_MARK_START_GROWS, 1 + 2 * i);
    apply_raw(one, text_of(one), OP_MARK_END, 2 + 2 * i);
    OK(dunlin_commit(one, 0, NULL));
    edit(two, 1, 0, "x");
  }
  for (uint32_t i = 0; i < h->n; i++) {
    OK(dunlin_begin(one));
    apply_raw(one, text_of(one), OP_TEXT_INSERT, 1 + 2 * (uint32_t)h->n);
    OK(dunlin_commit(one, 0, NULL));
    edit(three, 1, 0, "y");
  }
  come_back(h, two);
  come_back(h, one);
  come_back(h, three);
}

/* Ever more authors who each put a container of their own into the same element of a list. */
static void containers_at_one_place(struct history *h) {
  struct rng rng = rng_of(1);
  h->base = edit_list(h->all, &rng);
  OK(dunlin_doc_delta(h->all, NULL, 0, &h->begin, &h->begin_len));
  for (size_t i = 0; i < h->n; i++) {
    dunlin_doc *doc = leave(h);
    OK(dunlin_begin(doc));
    dunlin_list_set_child(doc, dunlin_map_obj(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_LIST), 0, DUNLIN_MAP);
    OK(dunlin_commit(doc, 0, NULL));
    come_back(h, doc);
  }
}

static void list_in_turns(struct history *h) {
  write_in_turns(h, false);
}
static void list_and_map_in_turns(struct history *h) {
  write_in_turns(h, true);
}

static const struct shape shapes[] = {
    {"prepending by two", prepending_by_two, 2000},
    {"backward runs", backward_runs, 2000},
    {"forward runs", forward_runs, 2000},
    {"many actors", many_actors, 500},
    {"comb", comb, 2000},
    {"deleting everything", deleting_everything, 1000},
    {"deep nesting", deep_nesting, 2000},
    {"undo chains", undo_chains, 4000},
    {"fragments", fragments, 1000},
    {"paste and prepend", paste_and_prepend, 2000},
    {"wide text", wide_text, 10000, true},
    {"wide fragments", wide_fragments, 4000, true},
    {"containers at one place", containers_at_one_place, 500},
    {"list in turns", list_in_turns, 4000},
    {"list and map in turns", list_and_map_in_turns, 4000},
    {"typing among marks", typing_among_marks, 500},
    {"marking one word", marking_one_word, 500},
    {"marking what is typed", marking_what_is_typed, 1000},
    {"anchors on anchors", anchors_on_anchors, 1000},
};

/* ---- Measuring ---------------------------------------------------------------------------------------------- */

struct written {
  const struct shape *shape;
  size_t n, len;
  void *delta;
};

static struct written write_history(const struct shape *shape, size_t n) {
  struct history h = {.n = n};
  struct written w = {.shape = shape, .n = n};
  h.all = new_author(&h, NULL);
  shape->write(&h);
  OK(dunlin_doc_delta(h.all, NULL, 0, &w.delta, &w.len));
  dunlin_free(NULL, h.begin, h.begin_len);
  dunlin_doc_free(h.all);
  return w;
}

/* What waits to be walked in is, when somebody looks. */
static void read_all(const dunlin_doc *doc) {
  struct dunlin_value value;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("t"), &value));
  bool text = value.kind == DUNLIN_TEXT;
  size_t size = text ? dunlin_text_size(doc, value.as.obj) : dunlin_list_size(doc, value.as.obj);
  assert_true(size && size != SIZE_MAX);
  if (text) return;
  struct dunlin_id hash; /* asks of every register what stands in it side by side */
  OK(dunlin_doc_hash(doc, &hash));
}

/* Takes a history in, and gives the time and the most bytes that were held. */
static double take(const void *histories, size_t n, size_t *peak) {
  const struct written *w = histories;
  while (w->n != n) w++;
  struct seeded s;
  struct history h = {0};
  seeded_init(&s, 1);
  double start = scaling_now();
  dunlin_doc *doc = new_author(&h, &s.env);
  OK(dunlin_doc_apply(doc, w->delta, w->len, NULL));
  read_all(doc);
  void *delta, *saved = NULL;
  size_t delta_len, saved_len = 0;
  OK(dunlin_doc_delta(doc, NULL, 0, &delta, &delta_len));
  if (w->shape->saves) OK(dunlin_doc_save(doc, &saved, &saved_len));
  double took = scaling_now() - start;
  dunlin_free(&s.env, delta, delta_len);
  dunlin_free(&s.env, saved, saved_len);
  dunlin_doc_free(doc);
  *peak = s.peak;
  return took;
}

static void check_shape(const struct shape *shape) {
  size_t n = shape->n;
  struct written histories[] = {write_history(shape, n / 4), write_history(shape, n), write_history(shape, 4 * n)};
  scaling_check(shape->name, n, take, histories);
  for (size_t i = 0; i < 3; i++) dunlin_free(NULL, histories[i].delta, histories[i].len);
}

static void twice_the_work_is_twice_the_time(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    if (scaling_wanted(shapes[i].name)) check_shape(&shapes[i]);
}

int main(void) {
  scaling_keep_memory();
  const struct CMUnitTest tests[] = {cmocka_unit_test(twice_the_work_is_twice_the_time)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
