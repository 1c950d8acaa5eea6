/* The cost of one operation as documents grow: it should not. Stops a case at 60 s (--quick: 10 s) and says so.
 *
 *   per_operation_of_N  N operations, an operation's share of the time
 *   growth              that of the largest N over that of the smallest
 *
 * map-keys is one key set in a document that has N, out of its order: from 10 to 10^6 keys.
 *
 * 100-authors is what a hundred people who type at the same time, and hear nothing of each other, give a replica: their
 * changes one by one, round robin, and all of one author and then all of the next in 100-branches. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "bench/history.h"

enum shape { TYPING, RANDOM, PREPENDING, AUTHORS, BRANCHES, SETS, KEYS, ONE_KEY, SHAPES };
static const char *const names[SHAPES] = {"typing",       "random-positions", "prepending", "100-authors",
                                          "100-branches", "map-sets",         "map-keys",   "map-one-key"};
enum { AUTHOR_COUNT = 100, MOST_KEYS = 1000000 };

/* One text edit, a transaction. */
static int type_at(dunlin_doc *doc, size_t at) {
  dunlin_obj text;
  int error = dunlin_begin(doc);
  if (!error) text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("text"), DUNLIN_TEXT);
  if (!error) error = dunlin_text_splice(doc, text, at, 0, "x", 1);
  if (!error) error = dunlin_commit(doc, 0, NULL);
  return error < 0 ? error : 0;
}

static int set_key(dunlin_doc *doc, uint64_t key, int64_t value) {
  struct dunlin_value v = {.kind = DUNLIN_INT, .as.integer = value};
  int error = dunlin_begin(doc);
  if (!error) error = dunlin_map_put(doc, DUNLIN_ROOT, (struct dunlin_bytes){&"0123456789"[key % 10], 1}, v);
  if (!error) error = dunlin_commit(doc, 0, NULL);
  return error < 0 ? error : 0;
}

struct key_name {
  char text[16];
};

static struct dunlin_bytes key_name(struct key_name *out, size_t key) {
  return (struct dunlin_bytes){out->text, (size_t)snprintf(out->text, sizeof out->text, "key%zu", key % MOST_KEYS)};
}

static int set_named(dunlin_doc *doc, const struct key_name *name, int64_t value) {
  int error = dunlin_begin(doc);
  if (!error) error = dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(name->text), dunlin_int(value));
  if (!error) error = dunlin_commit(doc, 0, NULL);
  return error < 0 ? error : 0;
}

static int edit(dunlin_doc *doc, enum shape shape, size_t size, uint64_t *seed) {
  switch (shape) {
    case TYPING: return type_at(doc, size);
    case RANDOM: return type_at(doc, (size_t)(bench_random(seed) % (size + 1)));
    case PREPENDING: return type_at(doc, 0);
    default: return set_key(doc, bench_random(seed), (int64_t)size);
  }
}

/* How far a case got, and how long it took; `timed`: how many operations that is the time of, when it is not what is
 * done. */
struct progress {
  size_t done, timed;
  double ms, limit;
};

static bool time_is_over(struct progress *p, double began) {
  if (p->done % 1024) return false;
  return bench_now() - began > p->limit;
}

/* Reading what was written belongs to it: edits may wait until then. */
static int read_text(const dunlin_doc *doc, size_t expected) {
  struct dunlin_value text;
  int error = dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("text"), &text);
  char *out = error ? NULL : malloc(expected + 1);
  if (!error && !out) error = DUNLIN_ENOMEM;
  if (!error && dunlin_text_read(doc, text.as.obj, out, expected) != expected) error = DUNLIN_EREFUSED;
  free(out);
  return error;
}

static int single_author(enum shape shape, size_t operations, struct progress *p) {
  dunlin_doc *doc = NULL;
  uint64_t seed = 88172645463325252u;
  int error = bench_doc(NULL, 1, &doc);
  double began = bench_now();
  for (; !error && p->done < operations && !time_is_over(p, began); p->done++) error = edit(doc, shape, p->done, &seed);
  if (!error && shape != SETS) error = read_text(doc, p->done);
  p->ms = bench_now() - began;
  if (!error && dunlin_doc_changes(doc) != p->done) error = DUNLIN_EREFUSED;
  dunlin_doc_free(doc);
  return error;
}

/* ---- Many keys ----------------------------------------------------------------------------------------------- */

static int add_keys(dunlin_doc *doc, size_t count) {
  enum { a_change = 10000 };
  struct key_name name;
  int error = 0;
  for (size_t at = 0; !error && at < count;) {
    error = dunlin_begin(doc);
    for (size_t i = 0; !error && i < a_change && at < count; i++, at++)
      error = dunlin_map_put(doc, DUNLIN_ROOT, key_name(&name, at), dunlin_int(-1));
    if (!error) error = dunlin_commit(doc, 0, NULL);
    if (error > 0) error = 0;
  }
  return error;
}

/* So many keys, and then the time of changes that set one of them: any, or always the same.  The keys' names are made
 * before. */
static int set_among(size_t keys, bool is_one, struct progress *p) {
  enum { changes = 20000 };
  static struct key_name names_of[changes];
  dunlin_doc *doc = NULL;
  uint64_t seed = 88172645463325252u;
  int error = bench_doc(NULL, 1, &doc);
  if (!error) error = add_keys(doc, keys);
  size_t before = error ? 0 : dunlin_doc_changes(doc);
  for (size_t i = 0; i < changes; i++) key_name(&names_of[i], is_one ? keys / 2 : (size_t)(bench_random(&seed) % keys));
  double began = bench_now();
  for (int64_t i = 0; !error && i < changes; i++) error = set_named(doc, &names_of[i], i);
  p->ms = bench_now() - began;
  p->done = keys;
  p->timed = changes;
  if (!error && (dunlin_doc_changes(doc) != before + changes || dunlin_map_size(doc, DUNLIN_ROOT) != keys))
    error = DUNLIN_EREFUSED;
  dunlin_doc_free(doc);
  return error;
}

/* ---- A hundred authors -------------------------------------------------------------------------------------- */

/* What one author types alone; of `t` only the deltas are used. */
static int type_alone(struct text *t, unsigned who, size_t edits) {
  dunlin_doc *doc = NULL;
  buf_init(&t->deltas, dunlin_env_default(), SIZE_MAX / 2);
  t->ends = malloc((edits + 1) * sizeof *t->ends);
  int error = t->ends ? bench_doc(NULL, who, &doc) : DUNLIN_ENOMEM;
  if (!error) dunlin_doc_on_commit(doc, history_keep, t);
  for (size_t i = 0; !error && i < edits; i++) error = type_at(doc, i);
  dunlin_doc_free(doc);
  return error;
}

static int take_one(dunlin_doc *all, const struct text *t, size_t i) {
  struct dunlin_bytes delta = history_delta_at(t, i);
  return dunlin_doc_apply(all, delta.data, delta.len, NULL);
}

/* One replica takes in all that the authors typed at one place, apart. */
static int take_all(struct text *authors, bool in_turns, size_t edits, struct progress *p) {
  dunlin_doc *all = NULL;
  size_t count = edits * AUTHOR_COUNT;
  int error = bench_doc(NULL, 999, &all);
  double began = bench_now();
  for (; !error && p->done < count && !time_is_over(p, began); p->done++)
    error = in_turns ? take_one(all, &authors[p->done % AUTHOR_COUNT], p->done / AUTHOR_COUNT)
                     : take_one(all, &authors[p->done / edits], p->done % edits);
  if (!error) error = read_text(all, p->done);
  p->ms = bench_now() - began;
  if (!error && dunlin_doc_changes(all) != p->done) error = DUNLIN_EREFUSED;
  dunlin_doc_free(all);
  return error;
}

static int many_authors(bool in_turns, size_t operations, struct progress *p) {
  struct text *authors = calloc(AUTHOR_COUNT, sizeof *authors);
  size_t edits = operations / AUTHOR_COUNT;
  int error = authors ? 0 : DUNLIN_ENOMEM;
  for (unsigned who = 0; !error && who < AUTHOR_COUNT; who++) error = type_alone(&authors[who], who, edits);
  if (!error) error = take_all(authors, in_turns, edits, p);
  for (size_t who = 0; authors && who < AUTHOR_COUNT; who++) history_free(&authors[who]);
  free(authors);
  return error;
}

/* ---- Sizes -------------------------------------------------------------------------------------------------- */

static int run_once(enum shape shape, size_t operations, struct progress *p) {
  if (shape == KEYS || shape == ONE_KEY) return set_among(operations, shape == ONE_KEY, p);
  if (shape == AUTHORS || shape == BRANCHES) return many_authors(shape == AUTHORS, operations, p);
  return single_author(shape, operations, p);
}

/* One row; small sizes, which a moment's disturbance would distort, are run again. */
static int run_size(struct bench *b, enum shape shape, size_t operations, struct progress *p, double *ns) {
  enum { again = 9 };
  double samples[again], limit = b->quick ? 10000 : 60000, all = 0;
  char metric[48];
  bool of_keys = shape == KEYS || shape == ONE_KEY;
  size_t count = 0;
  while (!count || (count < again && all < limit / 100)) {
    *p = (struct progress){.limit = limit};
    int error = run_once(shape, operations, p);
    if (error) return bench_wrong(b, names[shape], "editing", error);
    samples[count++] = p->ms * 1e6 / (double)(p->timed ? p->timed : p->done);
    all += p->ms;
  }
  if (p->done < operations)
    bench_note(b, "scale %s: stopped at %.0f s after %zu of %zu operations", names[shape], p->limit / 1000, p->done,
               operations);
  snprintf(metric, sizeof metric, of_keys ? "per_change_of_%zu_keys" : "per_operation_of_%zu", p->done);
  bench_row(b, names[shape], "dunlin", metric, "ns", samples, count);
  *ns = samples[count / 2]; /* sorted by now */
  return 0;
}

static int run_shape(struct bench *b, enum shape shape, size_t most) {
  double first = 0, ns = 0;
  bool over = false;
  bool of_keys = shape == KEYS || shape == ONE_KEY;
  size_t least = of_keys ? 10 : 1000;
  if (of_keys && most > MOST_KEYS) most = MOST_KEYS;
  for (size_t operations = least; operations <= most && !over; operations *= 10) {
    struct progress p;
    int error = run_size(b, shape, operations, &p, &ns);
    if (error) return error;
    if (operations == least) first = ns;
    over = p.done < operations;
  }
  double growth = ns / first;
  bench_row(b, names[shape], "dunlin", "growth", "times", &growth, 1);
  return 0;
}

int suite_scale(struct bench *b) {
  int error = 0;
  for (int shape = 0; shape < SHAPES && !error; shape++)
    error = run_shape(b, (enum shape)shape, b->quick ? 100000 : 10000000);
  return error;
}
