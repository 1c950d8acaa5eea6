/* What the named scenarios share: short ways to edit and to look, and every order of delivery.  Three replicas where
 * order matters; whatever the order, the documents are equal and hold what is expected. */
#ifndef TEST_CRDT_SCENARIO_H
#define TEST_CRDT_SCENARIO_H

#include "test/support/changes.h"

/* ---- Short ways to edit and to look ------------------------------------------------------------------------- */

static inline dunlin_obj child(dunlin_doc *doc, const char *key, enum dunlin_kind kind) {
  return dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key(key), kind);
}

static inline dunlin_obj at(const dunlin_doc *doc, const char *key) {
  struct dunlin_value v;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key(key), &v));
  assert_true(v.kind >= DUNLIN_MAP);
  return v.as.obj;
}

static inline void absent(const dunlin_doc *doc, dunlin_obj map, const char *key) {
  struct dunlin_value v;
  FAILS(dunlin_map_get(doc, map, dunlin_key(key), &v), DUNLIN_ENOENT);
}

static inline int64_t number_at(const dunlin_doc *doc, dunlin_obj map, const char *key) {
  struct dunlin_value v;
  OK(dunlin_map_get(doc, map, dunlin_key(key), &v));
  assert_int_equal(v.kind, DUNLIN_INT);
  return v.as.integer;
}

static inline void commit(dunlin_doc *doc) {
  assert_int_equal(dunlin_commit(doc, 0, NULL), 1);
}

static inline void put(dunlin_doc *doc, const char *key, int64_t value) {
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), int_value(value)));
  commit(doc);
}

/* Sets `key` in the child map `map`, which is made when it is not there. */
static inline void put_in(dunlin_doc *doc, const char *map, const char *key, int64_t value) {
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, child(doc, map, DUNLIN_MAP), dunlin_key(key), int_value(value)));
  commit(doc);
}

static inline void make(dunlin_doc *doc, const char *key, enum dunlin_kind kind) {
  OK(dunlin_begin(doc));
  child(doc, key, kind);
  commit(doc);
}

static inline void drop(dunlin_doc *doc, const char *key) {
  OK(dunlin_begin(doc));
  OK(dunlin_map_delete(doc, DUNLIN_ROOT, dunlin_key(key)));
  commit(doc);
}

static inline void type(dunlin_doc *doc, size_t index, size_t remove, const char *text) {
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, child(doc, "t", DUNLIN_TEXT), index, remove, text, strlen(text)));
  commit(doc);
}

static inline void move(dunlin_doc *doc, size_t from, size_t to) {
  OK(dunlin_begin(doc));
  OK(dunlin_list_move(doc, at(doc, "l"), from, to));
  commit(doc);
}

/* A list "l" of one-letter strings. */
static inline void make_list(dunlin_doc *doc, const char *letters) {
  OK(dunlin_begin(doc));
  dunlin_obj list = child(doc, "l", DUNLIN_LIST);
  for (size_t i = 0; letters[i]; i++) OK(dunlin_list_insert(doc, list, i, str_value((char[]){letters[i], 0})));
  commit(doc);
}

/* The list as text: strings by their letters, texts in brackets, maps as the number at their key "n". */
static inline void read_list(const dunlin_doc *doc, char *out) {
  dunlin_obj list = at(doc, "l");
  for (size_t i = 0; i < dunlin_list_size(doc, list); i++) {
    struct dunlin_value v;
    OK(dunlin_list_get(doc, list, i, &v));
    if (v.kind == DUNLIN_STRING) {
      memcpy(out, v.as.string.data, v.as.string.len);
      out += v.as.string.len;
    } else if (v.kind == DUNLIN_TEXT) {
      *out++ = '[';
      out += dunlin_text_read(doc, v.as.obj, out, 32);
      *out++ = ']';
    } else {
      *out++ = (char)('0' + number_at(doc, v.as.obj, "n"));
    }
  }
  *out = 0;
}

static inline dunlin_obj in_list(const dunlin_doc *doc, size_t index) {
  struct dunlin_value v;
  OK(dunlin_list_get(doc, at(doc, "l"), index, &v));
  assert_true(v.kind >= DUNLIN_MAP);
  return v.as.obj;
}

/* ---- Every order of delivery -------------------------------------------------------------------------------- */

/* What a document must hold. */
typedef void expectation(const dunlin_doc *doc, const void *what);

static inline void text_is(const dunlin_doc *doc, const void *what) {
  assert_text(doc, at(doc, "t"), what);
}

static inline void list_is(const dunlin_doc *doc, const void *what) {
  char got[64];
  read_list(doc, got);
  assert_string_equal(got, what);
}

static inline void key_is_absent(const dunlin_doc *doc, const void *what) {
  absent(doc, DUNLIN_ROOT, what);
}

enum { max_parts = 16, actor_count = 3 };

/* A history in single changes, and which of them each needs. */
struct parts {
  struct change_id_bytes changes[max_parts];
  unsigned needs[max_parts];
  size_t count;
};

static inline int has_that(void *doc, const struct change_id_bytes *change) {
  struct dunlin_change_info info;
  return dunlin_doc_find_change(doc, &change->id, &info);
}

/* The changes that a document gives out are those that it has, to the byte: their ids say so. */
static inline void gives_out_what_it_has(dunlin_doc *doc) {
  struct dunlin_id id = test_id(1);
  void *delta;
  size_t len;
  OK(dunlin_doc_delta(doc, NULL, 0, &delta, &len));
  OK(delta_read(NULL, &id, delta, len, has_that, doc));
  dunlin_free(NULL, delta, len);
}

static inline struct parts take_apart(const dunlin_doc *doc) {
  struct pieces all = pieces_of(doc);
  struct parts p = {.count = all.count};
  struct dunlin_id parent;
  assert_true(all.count <= max_parts);
  memcpy(p.changes, all.changes, all.count * sizeof *all.changes);
  free(all.changes);
  for (size_t i = 0; i < p.count; i++)
    for (size_t k = 0; !dunlin_doc_parent(doc, &p.changes[i].id, k, &parent); k++)
      for (size_t older = 0; older < i; older++)
        if (!memcmp(&p.changes[older].id, &parent, sizeof parent)) p.needs[i] |= 1u << older;
  return p;
}

struct search {
  const struct parts *parts;
  const dunlin_doc *model;
  expectation *expect;
  const void *what;
  bool causal;   /* only orders in which nothing has to wait */
  bool poisoned; /* one change must be refused, and what builds on it never comes in */
  size_t order[max_parts], orders;
  unsigned done;
};

static inline void try_order(struct search *s) {
  dunlin_doc *doc = test_doc(99);
  size_t refused = 0;
  for (size_t i = 0; i < s->parts->count; i++) {
    struct dunlin_applied applied = give_change(doc, &s->parts->changes[s->order[i]]);
    refused += applied.refused;
    if (s->causal) assert_int_equal(applied.applied, 1);
  }
  if (s->poisoned) assert_true(refused > 0);
  else assert_int_equal(refused + dunlin_doc_pending(doc), 0);
  assert_same_doc(doc, s->model);
  s->expect(doc, s->what);
  dunlin_doc_free(doc);
  s->orders++;
}

static inline void try_orders(struct search *s, size_t depth) {
  if (depth == s->parts->count) try_order(s);
  for (size_t i = 0; i < s->parts->count; i++) {
    if (s->done >> i & 1 || (s->causal && (s->parts->needs[i] & s->done) != s->parts->needs[i])) continue;
    s->done |= 1u << i;
    s->order[depth] = i;
    try_orders(s, depth + 1);
    s->done &= ~(1u << i);
  }
}

/* Brings the replicas together; then what they hold must come out of every causal order of its changes, one by one (so
 * many `orders`), of every order at all when there are few, of the reverse, and of all in one delta. */
static inline void all_end_with(dunlin_doc *docs[], size_t count, size_t orders, expectation *expect,
                                const void *what) {
  for (size_t i = 1; i < count; i++) test_send(docs[i], docs[0]);
  for (size_t i = 1; i < count; i++) test_send(docs[0], docs[i]);
  for (size_t i = 0; i < count; i++) {
    assert_same_doc(docs[i], docs[0]);
    expect(docs[i], what);
  }
  struct parts parts = take_apart(docs[0]);
  struct search s = {.parts = &parts, .model = docs[0], .expect = expect, .what = what, .causal = true};
  try_orders(&s, 0);
  assert_int_equal(s.orders, orders);
  for (size_t i = 0; i < count; i++) gives_out_what_it_has(docs[i]);
  s.causal = false;
  if (parts.count <= 5) try_orders(&s, 0);
  for (size_t i = 0; i < parts.count; i++) s.order[i] = parts.count - 1 - i;
  try_order(&s);
  dunlin_doc *whole = test_doc(98);
  test_send(docs[0], whole);
  assert_same_doc(whole, docs[0]);
  expect(whole, what);
  dunlin_doc_free(whole);
  free_changes(parts.changes, parts.count);
}

/* Three replicas with actors in that order of ids, all with what the first has made. */
static inline void three(dunlin_doc *docs[actor_count]) {
  for (size_t i = 0; i < actor_count; i++) docs[i] = test_doc((uint8_t)(i + 1));
}
static inline void share(dunlin_doc *docs[actor_count]) {
  for (size_t i = 1; i < actor_count; i++) test_send(docs[i], docs[0]);
  for (size_t i = 1; i < actor_count; i++) test_send(docs[0], docs[i]);
}
static inline void free_all(dunlin_doc *docs[actor_count]) {
  for (size_t i = 0; i < actor_count; i++) dunlin_doc_free(docs[i]);
}

#endif
