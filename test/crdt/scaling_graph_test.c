/* Twice the changes take at most 2.3 times as long, also when they are made so that the graph is wide, or much waits,
 * or much is in one change: what a peer may send who wants to keep others busy.
 *
 * Each shape writes changes by hand, about `n` of them or one with about `n` operations.  Measured is the processor's
 * time for taking them in, and for each thing that one does with a document then, the least of several tries, and the
 * most memory that was held at once; both at n and 16 n, four doublings, where caches and arrays that grow by halves do
 * not tip the balance.  TEST_SHAPE=name: that one alone. */
#include <time.h>

#include "crdt/doc.h"
#include "crdt/idmap.h"
#include "test/fault/seeded.h"
#include "test/support/changes.h"

#define BAR 2.3

/* ---- Changes made by hand ----------------------------------------------------------------------------------- */

struct script {
  struct change_id_bytes *changes;
  size_t count, cap;
  size_t delta_size; /* so many changes in a delta */
  bool backward;     /* the last delta first */
  size_t n;
};

struct by_hand {
  const struct dunlin_id *parents; /* in their order */
  size_t parent_count;
  uint32_t actor; /* 0: that of the first parent */
  uint64_t number;
  struct buf rows, values;
  size_t row_count, value_count;
};

static struct by_hand begin(uint32_t actor, uint64_t number, const struct dunlin_id *parents, size_t count) {
  struct by_hand c = {parents, count, actor, number, {0}, {0}, 0, 0};
  buf_init(&c.rows, dunlin_env_default(), 1 << 24);
  buf_init(&c.values, dunlin_env_default(), 1 << 24);
  return c;
}

static void add_row(struct by_hand *c, uint64_t container, uint8_t kind, uint32_t a, uint32_t len) {
  mp_write_uint(&c->rows, container << OP_KIND_BITS | kind);
  mp_write_uint(&c->rows, a);
  mp_write_uint(&c->rows, len);
  c->row_count++;
}

static void add_key(struct by_hand *c, const char *prefix, uint64_t key) {
  char name[40];
  int len = snprintf(name, sizeof name, "%s%llu", prefix, (unsigned long long)key);
  mp_write_str(&c->values, name, (size_t)len);
  c->value_count++;
}

static void set_key(struct by_hand *c, uint64_t container, uint64_t key) {
  add_row(c, container, OP_MAP_SET, 0, 1);
  add_key(c, "k", key);
  mp_write_int(&c->values, 1);
  c->value_count++;
}

static void make_child(struct by_hand *c, uint64_t container, enum dunlin_kind kind, uint64_t key) {
  add_row(c, container, OP_MAP_CHILD, (uint32_t)kind, 1);
  add_key(c, "c", key);
  mp_write_uint(&c->values, 0);
  c->value_count++;
}

/* Ends the change, which is on `container`, and gives its id. */
static struct dunlin_id end_on(struct script *s, struct by_hand *c, const struct container_id *container) {
  struct dunlin_actor actor = {{0}};
  uint32_t mixed = c->actor * 2654435769u;
  struct buf bytes;
  buf_init(&bytes, dunlin_env_default(), 1 << 24);
  memcpy(actor.bytes, &mixed, sizeof mixed);
  write_head(&bytes, c->value_count ? 6 : 4, c->parents, c->parent_count, c->actor ? &actor : NULL, c->number,
             container);
  mp_write_array(&bytes, 3 * c->row_count);
  buf_append(&bytes, c->rows.data, c->rows.len);
  if (c->value_count) {
    mp_write_str(&bytes, NULL, 0);
    mp_write_array(&bytes, c->value_count);
    buf_append(&bytes, c->values.data, c->values.len);
  }
  buf_free(&c->rows);
  buf_free(&c->values);
  if (s->count == s->cap) {
    s->cap = s->cap ? 2 * s->cap : 16;
    s->changes = realloc(s->changes, s->cap * sizeof *s->changes);
    assert_non_null(s->changes);
  }
  s->changes[s->count] = take_named(&bytes);
  return s->changes[s->count++].id;
}

static const struct container_id root = {{DUNLIN_MAP}};

static struct dunlin_id end(struct script *s, struct by_hand *c) {
  return end_on(s, c, &root);
}

/* A change of one key. */
static struct dunlin_id set_one(struct script *s, uint32_t actor, uint64_t number, const struct dunlin_id *parent,
                                uint64_t key) {
  struct by_hand c = begin(actor, number, parent, parent != NULL);
  set_key(&c, 0, key);
  return end(s, &c);
}

/* ---- Shapes ------------------------------------------------------------------------------------------------- */

static void many_roots(struct script *s) {
  for (uint32_t i = 0; i < s->n; i++) set_one(s, i + 1, 0, NULL, i);
}

static void one_key(struct script *s) {
  for (uint32_t i = 0; i < s->n; i++) set_one(s, i + 1, 0, NULL, 0);
}

/* Beside a root that nobody has seen, so that nothing is certain: forks of one change. */
static void forks_of_one_change(struct script *s) {
  set_one(s, 1, 0, NULL, 0);
  struct dunlin_id base = set_one(s, 2, 0, NULL, 1);
  for (uint32_t i = 0; i < s->n; i++) set_one(s, i + 3, 0, &base, i % 2);
}

/* The same behind a long history in turns. */
static void forks_behind_turns(struct script *s) {
  struct dunlin_id tips[2] = {set_one(s, 1, 0, NULL, 0), set_one(s, 2, 0, NULL, 1)};
  for (uint32_t i = 0; i < s->n; i++) tips[i % 2] = set_one(s, 0, i / 2 + 1, &tips[i % 2], i % 2);
  for (uint32_t i = 0; i < s->n; i++) set_one(s, i + 3, 0, &tips[0], i % 2);
}

/* Copies of a device: one actor, one number. */
static void forks_of_one_actor(struct script *s) {
  for (uint32_t i = 0; i < s->n; i++) set_one(s, 1, 0, NULL, i);
}

static void in_turns(struct script *s, uint32_t authors) {
  struct dunlin_id *tips = calloc(authors, sizeof *tips);
  assert_non_null(tips);
  for (uint32_t i = 0; i < s->n; i++) {
    uint32_t author = i % authors;
    tips[author] =
        set_one(s, i < authors ? author + 1 : 0, i / authors, i < authors ? NULL : &tips[author], i * 7919 % 1000);
  }
  free(tips);
}
static void two_in_turns(struct script *s) {
  in_turns(s, 2);
}
static void hundred_in_turns(struct script *s) {
  in_turns(s, 100);
}

static int by_id(const void *a, const void *b) {
  return id_compare(a, b);
}

/* Roots, and merges of 256 each, all by one actor. */
static void wide_merges(struct script *s) {
  enum { width = 256 };
  struct dunlin_id parents[width], last = {{0}};
  uint32_t actor = 2;
  for (uint64_t number = 0; number < s->n / width; number++) {
    size_t first = number ? 1 : 0;
    for (size_t i = first; i < width; i++) parents[i] = set_one(s, actor++, 0, NULL, i);
    qsort(parents + first, width - first, sizeof *parents, by_id);
    if (number) parents[0] = last;
    struct by_hand c = begin(number ? 0 : 1, number, parents, width);
    set_key(&c, 0, number);
    last = end(s, &c);
  }
}

/* Two authors who merge in turns while a third stays apart. */
static void ladder(struct script *s) {
  set_one(s, 9, 0, NULL, 5);
  struct dunlin_id tips[2] = {set_one(s, 1, 0, NULL, 0), set_one(s, 2, 0, NULL, 1)};
  for (uint32_t i = 0; i < s->n; i++) {
    struct dunlin_id parents[2] = {tips[i % 2], tips[~i % 2]};
    struct by_hand c = begin(0, i / 2 + 1, parents, 2);
    set_key(&c, 0, i % 7);
    tips[i % 2] = end(s, &c);
  }
}

/* All make the same child, and write into it. */
static void one_child(struct script *s) {
  for (uint32_t i = 0; i < s->n; i++) {
    struct by_hand c = begin(i + 1, 0, NULL, 0);
    make_child(&c, 0, DUNLIN_MAP, 0);
    set_key(&c, 1, i);
    end(s, &c);
  }
}

static void deep_children(struct script *s) {
  for (uint32_t i = 0; i < s->n / 30; i++) {
    struct by_hand c = begin(i + 1, 0, NULL, 0);
    make_child(&c, 0, DUNLIN_MAP, i);
    for (uint64_t depth = 1; depth < 30; depth++) make_child(&c, depth, DUNLIN_MAP, i);
    end(s, &c);
  }
}

static void keys_in_one_change(struct script *s) {
  struct by_hand c = begin(1, 0, NULL, 0);
  for (uint32_t i = 0; i < s->n; i++) set_key(&c, 0, i);
  end(s, &c);
}

static void containers_in_one_change(struct script *s) {
  set_one(s, 2, 0, NULL, 0);
  struct by_hand c = begin(1, 0, NULL, 0);
  for (uint32_t i = 0; i < s->n; i++) make_child(&c, 0, DUNLIN_MAP, i);
  end(s, &c);
}

/* Operations that this version does not know, concurrently. */
static void unknown_kinds(struct script *s) {
  for (uint32_t actor = 1; actor <= 4; actor++) {
    struct by_hand c = begin(actor, 0, NULL, 0);
    for (uint32_t i = 0; i < s->n / 4; i++) add_row(&c, 0, 0x40, i, 1);
    end(s, &c);
  }
  for (uint32_t actor = 5; actor <= 8; actor++) {
    struct by_hand c = begin(actor, 0, NULL, 0);
    for (uint32_t i = 0; i < s->n / 4; i++) set_key(&c, 0, i);
    end(s, &c);
  }
}

static void a_chain_backward(struct script *s) {
  struct dunlin_id last = set_one(s, 1, 0, NULL, 0);
  for (uint32_t i = 1; i < s->n; i++) last = set_one(s, 0, i, &last, i);
  s->backward = true;
  s->delta_size = 1;
}

static void many_wait_for_one(struct script *s) {
  struct dunlin_id base = set_one(s, 1, 0, NULL, 0);
  for (uint32_t i = 1; i < s->n; i++) set_one(s, i + 1, 0, &base, i);
  s->backward = true;
  s->delta_size = 1;
}

/* Each refused, by an actor of its own, and one that builds on it. */
static void refused_ones(struct script *s) {
  for (uint32_t i = 0; i < s->n; i++) {
    struct by_hand c = begin(i + 1, 0, NULL, 0);
    add_row(&c, 0, OP_COUNTER_ADD, 0, 1);
    mp_write_int(&c.values, i);
    c.value_count = 1;
    struct dunlin_id bad = end(s, &c);
    set_one(s, 0, 1, &bad, i);
  }
  s->delta_size = 64;
}

static const struct shape {
  const char *name;
  void (*write)(struct script *s);
  size_t n;
} shapes[] = {
    {"many roots", many_roots, 500},
    {"one key", one_key, 500},
    {"forks of one change", forks_of_one_change, 500},
    {"forks behind turns", forks_behind_turns, 500},
    {"forks of one actor", forks_of_one_actor, 500},
    {"two in turns", two_in_turns, 8000}, /* up to a thousand or two all that is asked for is at hand */
    {"hundred in turns", hundred_in_turns, 500},
    {"wide merges", wide_merges, 512},
    {"ladder", ladder, 500},
    {"one child", one_child, 500},
    {"deep children", deep_children, 500},
    {"keys in one change", keys_in_one_change, 2000},
    {"containers in one change", containers_in_one_change, 1000},
    {"unknown kinds", unknown_kinds, 500},
    {"a chain backward", a_chain_backward, 2000} /* the ids of the last 256 are at hand */,
    {"many wait for one", many_wait_for_one, 500},
    {"refused ones", refused_ones, 500},
};

/* ---- Measuring ---------------------------------------------------------------------------------------------- */

struct deltas {
  void **data;
  size_t *len, count;
};

static struct deltas write_deltas(const struct shape *shape, size_t n) {
  struct script s = {.n = n, .delta_size = SIZE_MAX};
  shape->write(&s);
  size_t per = s.delta_size < s.count ? s.delta_size : s.count, count = (s.count + per - 1) / per;
  struct deltas d = {calloc(count, sizeof *d.data), calloc(count, sizeof *d.len), count};
  assert_true(d.data && d.len);
  for (size_t i = 0; i < count; i++) {
    size_t from = (s.backward ? count - 1 - i : i) * per, left = s.count - from;
    struct buf delta;
    buf_init(&delta, dunlin_env_default(), SIZE_MAX / 2);
    OK(delta_write(&delta, s.changes + from, left < per ? left : per));
    OK(buf_take(&delta, &d.data[i], &d.len[i]));
  }
  for (size_t i = 0; i < s.count; i++) free((void *)(uintptr_t)s.changes[i].bytes.data);
  free(s.changes);
  return d;
}

static void free_deltas(struct deltas *d) {
  for (size_t i = 0; i < d->count; i++) dunlin_free(NULL, d->data[i], d->len[i]);
  free(d->data);
  free(d->len);
}

enum step { TAKE, HASH, DELTA, SAVE, LOAD, AGAIN, STEPS };
static const char *const step_names[STEPS] = {"take", "hash", "delta", "save", "load", "again"};

static double lap(double *since) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  double now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec, took = now - *since;
  *since = now;
  return took;
}

/* Keeps the least times of each step; gives the most bytes that were held. */
static size_t run(const struct deltas *d, double *least) {
  struct seeded s;
  struct dunlin_id id = test_id(1), hash, loaded_hash;
  struct dunlin_actor actor = {{255}};
  dunlin_doc *doc, *loaded;
  void *delta, *file;
  size_t len, file_len;
  double since = 0, took[STEPS];
  seeded_init(&s, 1);
  OK(dunlin_doc_new(&s.env, &id, &actor, &doc));
  lap(&since);
  for (size_t i = 0; i < d->count; i++) OK(dunlin_doc_apply(doc, d->data[i], d->len[i], NULL));
  took[TAKE] = lap(&since);
  size_t peak = s.peak;
  OK(dunlin_doc_hash(doc, &hash));
  took[HASH] = lap(&since);
  OK(dunlin_doc_delta(doc, NULL, 0, &delta, &len));
  took[DELTA] = lap(&since);
  OK(dunlin_doc_save(doc, &file, &file_len));
  took[SAVE] = lap(&since);
  OK(dunlin_doc_load(&s.env, file, file_len, &actor, &loaded));
  OK(dunlin_doc_hash(loaded, &loaded_hash));
  took[LOAD] = lap(&since);
  OK(dunlin_doc_apply(doc, delta, len, NULL));
  took[AGAIN] = lap(&since);
  assert_memory_equal(&hash, &loaded_hash, sizeof hash);
  assert_int_equal(dunlin_doc_pending(doc), 0);
  for (int i = 0; i < STEPS; i++)
    if (took[i] < least[i]) least[i] = took[i];
  dunlin_free(&s.env, delta, len);
  dunlin_free(&s.env, file, file_len);
  dunlin_doc_free(loaded);
  dunlin_doc_free(doc);
  assert_int_equal(s.live, 0);
  return peak;
}

static const double most = BAR * BAR * BAR * BAR;

/* What is over in a few milliseconds is no threat, and says little. */
static bool within(const double *small, const double *large) {
  if (test_is_sanitized) return true; /* it is the sanitizer that is measured then */
  for (int i = 0; i < STEPS; i++)
    if (large[i] > small[i] * most && large[i] > 5e-3) return false;
  return true;
}

static void check_shape(const struct shape *shape) {
  enum { rounds = 30 }; /* on a busy machine it takes many for each to be undisturbed once */
  struct deltas small = write_deltas(shape, shape->n), large = write_deltas(shape, 16 * shape->n);
  double least[STEPS], least_large[STEPS];
  size_t peak = 0, large_peak = 0;
  for (int i = 0; i < STEPS; i++) least[i] = least_large[i] = 1e9;
  for (int round = 0; round < rounds && (!round || !within(least, least_large)); round++) {
    for (int i = 0; i < 3; i++) peak = run(&small, least);
    large_peak = run(&large, least_large);
  }
  printf("%-25s %5zu:", shape->name, shape->n);
  for (int i = 0; i < STEPS; i++) printf("  %s %.2f -> %.1f", step_names[i], 1e3 * least[i], 1e3 * least_large[i]);
  double more = (double)large_peak / (double)peak;
  printf(" ms; memory %zu, %.1f times\n", large_peak, more);
  fflush(stdout);
  free_deltas(&small);
  free_deltas(&large);
  if (getenv("TEST_ONLY_SHOW")) return;
  if (!within(least, least_large)) fail_msg("%s: time", shape->name);
  if (more > most) fail_msg("%s: memory", shape->name);
}

static void twice_the_changes_take_twice_the_time(void **state) {
  (void)state;
  const char *only = getenv("TEST_SHAPE");
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    if (!only || !strcmp(only, shapes[i].name)) check_shape(&shapes[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(twice_the_changes_take_twice_the_time)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
