#include <dunlin/history.h>
#include "test/fuzz/fuzz_doc.h"

static const struct dunlin_id doc_id = {{1}};

dunlin_doc *fuzz_doc(const struct dunlin_env *env, uint8_t actor) {
  dunlin_doc *doc = NULL;
  struct dunlin_actor name = {{actor}};
  CHECK(!dunlin_doc_new(env, &doc_id, &name, &doc));
  return doc;
}

struct dunlin_id fuzz_hash(const dunlin_doc *doc) {
  struct dunlin_id hash;
  CHECK(!dunlin_doc_hash(doc, &hash));
  return hash;
}

/* ---- Reading everything ------------------------------------------------------------------------------------------ */

static void read_container(const dunlin_doc *doc, dunlin_obj obj, enum dunlin_kind kind, unsigned depth);

static void read_bytes(struct dunlin_bytes bytes) {
  uint8_t sum = 0;
  for (size_t i = 0; i < bytes.len; i++) sum ^= ((const uint8_t *)bytes.data)[i];
  __asm__ volatile("" : : "r"(sum)); /* so that the reads are not optimised away */
}

static void read_value(const dunlin_doc *doc, const struct dunlin_value *value, unsigned depth) {
  if (value->kind == DUNLIN_STRING || value->kind == DUNLIN_BYTES) read_bytes(value->as.string);
  if (value->kind >= DUNLIN_MAP) read_container(doc, value->as.obj, value->kind, depth + 1);
}

static void read_map(const dunlin_doc *doc, dunlin_obj map, unsigned depth) {
  size_t size = dunlin_map_size(doc, map);
  struct dunlin_bytes key = {"", 0};
  struct dunlin_value value, same;
  for (size_t i = 0; i < size; i++) {
    CHECK(!dunlin_map_at(doc, map, i, &key, &value));
    read_bytes(key);
    CHECK(key.len <= DUNLIN_MAX_KEY);
    CHECK(!dunlin_map_get(doc, map, key, &same) && same.kind == value.kind);
    size_t k = 0;
    for (; !dunlin_map_conflict(doc, map, key, k, &value); k++) read_value(doc, &value, depth);
    CHECK(k > 0);
  }
  CHECK(dunlin_map_at(doc, map, size, &key, &value) == DUNLIN_ENOENT);
}

static void read_list(const dunlin_doc *doc, dunlin_obj list, unsigned depth) {
  size_t size = dunlin_list_size(doc, list);
  struct dunlin_value value;
  for (size_t i = 0; i < size; i++) {
    CHECK(!dunlin_list_get(doc, list, i, &value));
    for (size_t k = 0; !dunlin_list_conflict(doc, list, i, k, &value); k++) read_value(doc, &value, depth);
  }
  CHECK(dunlin_list_get(doc, list, size, &value) < 0);
}

static void read_text(const dunlin_doc *doc, dunlin_obj text) {
  size_t len = dunlin_text_read(doc, text, NULL, 0), scalars = 0;
  char *utf8 = malloc(len + 1);
  CHECK(utf8 && dunlin_text_read(doc, text, utf8, len) == len);
  for (size_t i = 0; i < len; i++) scalars += (utf8[i] & 0xc0) != 0x80;
  CHECK(scalars == dunlin_text_size(doc, text));
  free(utf8);
  struct dunlin_span span = {0};
  for (size_t at = 0; at < scalars; at = span.to) {
    CHECK(!dunlin_text_span(doc, text, at, &span) && span.from == at && span.to > at);
    for (size_t i = 0; i < span.marks; i++) {
      struct dunlin_bytes key;
      struct dunlin_value value;
      CHECK(!dunlin_text_span_mark(doc, text, at, i, &key, &value));
      read_bytes(key);
      if (value.kind == DUNLIN_STRING || value.kind == DUNLIN_BYTES) read_bytes(value.as.string);
    }
  }
}

static void read_offered(const dunlin_doc *doc, dunlin_obj obj, enum dunlin_kind kind, unsigned depth) {
  struct dunlin_value value;
  int error = dunlin_offered(doc, obj, &value);
  CHECK(!error || error == DUNLIN_ENOENT);
  if (error) return;
  CHECK(kind == DUNLIN_FIRST || value.kind == DUNLIN_INT || value.kind == DUNLIN_TIME || value.kind == DUNLIN_FLOAT);
  read_value(doc, &value, depth);
}

static void read_set(const dunlin_doc *doc, dunlin_obj set, unsigned depth) {
  size_t size = dunlin_set_size(doc, set);
  struct dunlin_value value;
  for (size_t i = 0; i < size; i++) {
    CHECK(!dunlin_set_at(doc, set, i, &value) && dunlin_set_has(doc, set, value));
    read_value(doc, &value, depth);
  }
  CHECK(dunlin_set_at(doc, set, size, &value) == DUNLIN_ENOENT);
}

static void read_container(const dunlin_doc *doc, dunlin_obj obj, enum dunlin_kind kind, unsigned depth) {
  int64_t counter;
  CHECK(depth <= DUNLIN_MAX_DEPTH && dunlin_obj_kind(doc, obj) == kind);
  if (kind == DUNLIN_MAP) read_map(doc, obj, depth);
  else if (kind == DUNLIN_LIST) read_list(doc, obj, depth);
  else if (kind == DUNLIN_TEXT) read_text(doc, obj);
  else if (kind == DUNLIN_COUNTER) CHECK(!dunlin_counter_get(doc, obj, &counter));
  else if (kind < DUNLIN_SET) read_offered(doc, obj, kind, depth);
  else read_set(doc, obj, depth);
}

static void read_changes(const dunlin_doc *doc) {
  size_t changes = dunlin_doc_changes(doc);
  for (size_t i = 0; i < changes; i++) {
    struct dunlin_change_info info, same;
    struct dunlin_id parent;
    CHECK(!dunlin_doc_change_at(doc, i, &info));
    CHECK(!dunlin_doc_find_change(doc, &info.id, &same) && same.lamport == info.lamport);
    CHECK(!dunlin_doc_find_number(doc, &info.actor, info.number, &same) && same.number == info.number);
    for (size_t k = 0; k < info.parents; k++) {
      CHECK(!dunlin_doc_parent(doc, &info.id, k, &parent));
      CHECK(!dunlin_doc_find_change(doc, &parent, &same) && same.lamport < info.lamport);
    }
  }
}

void fuzz_read_doc(const dunlin_doc *doc) {
  read_container(doc, DUNLIN_ROOT, DUNLIN_MAP, 0);
  read_changes(doc);
}

/* ---- The same by another way ------------------------------------------------------------------------------------- */

struct dunlin_bytes fuzz_delta(const dunlin_doc *doc) {
  void *data;
  size_t len;
  CHECK(!dunlin_doc_delta(doc, NULL, 0, &data, &len));
  return (struct dunlin_bytes){data, len};
}

dunlin_doc *fuzz_reopen(const struct dunlin_env *env, const dunlin_doc *doc, uint8_t actor) {
  struct dunlin_bytes delta = fuzz_delta(doc);
  struct dunlin_applied applied;
  struct dunlin_id hash = fuzz_hash(doc);
  dunlin_doc *again = fuzz_doc(env, actor);
  CHECK(!dunlin_doc_apply(again, delta.data, delta.len, &applied));
  CHECK(applied.applied == dunlin_doc_changes(doc) && !applied.duplicates && !applied.pending && !applied.refused);
  struct dunlin_id same = fuzz_hash(again);
  CHECK(!memcmp(&hash, &same, sizeof hash));
  dunlin_free(env, (void *)(uintptr_t)delta.data, delta.len);
  return again;
}

/* ---- A history --------------------------------------------------------------------------------------------------- */

#define KEY(s) (s), sizeof(s) - 1

static void write_base(dunlin_doc *doc) {
  dunlin_obj obj;
  struct dunlin_value text = {.kind = DUNLIN_STRING, .as.string = {"word", 4}},
                      at = {.kind = DUNLIN_TIME, .as.time = 7};
  CHECK(!dunlin_begin(doc));
  dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("s"), text);
  dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("at"), at);
  obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("l"), DUNLIN_LIST);
  for (size_t i = 0; i < 4; i++)
    dunlin_list_insert(doc, obj, i, (struct dunlin_value){.kind = DUNLIN_INT, .as.integer = (int64_t)i - 2});
  obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  dunlin_text_splice(doc, obj, 0, 0, "ab\xc3\xa9\xf0\x9f\xa6\x86z", 9);
  obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("c"), DUNLIN_COUNTER);
  dunlin_counter_add(doc, obj, -3);
  CHECK(dunlin_commit(doc, 1000000, NULL) == 1);
}

static dunlin_obj child(dunlin_doc *doc, const char *key) {
  struct dunlin_value value;
  CHECK(!dunlin_map_get(doc, DUNLIN_ROOT, (struct dunlin_bytes){key, 1}, &value));
  return value.as.obj;
}

/* One of two that are made apart from each other. */
static void write_apart(dunlin_doc *doc, int side) {
  dunlin_obj list = child(doc, "l"), text = child(doc, "t"), map;
  CHECK(!dunlin_begin(doc));
  dunlin_list_move(doc, list, 0, side ? 3 : 2);
  dunlin_list_set(doc, list, 1, (struct dunlin_value){.kind = DUNLIN_FLOAT, .as.real = side + 0.5});
  dunlin_list_insert_child(doc, list, 2, side ? DUNLIN_TEXT : DUNLIN_MAP);
  dunlin_text_splice(doc, text, 2, 1, side ? "right" : "left", side ? 5 : 4);
  dunlin_text_mark(doc, text, 1, 4, dunlin_key("m"), (struct dunlin_value){.kind = DUNLIN_INT, .as.integer = side},
                   side ? 0 : DUNLIN_GROWS_AT_START | DUNLIN_GROWS_AT_END);
  dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("s"), (struct dunlin_value){.kind = DUNLIN_BOOL, .as.boolean = side});
  map = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("m"), DUNLIN_MAP);
  dunlin_map_put(doc, map, dunlin_key("x"), (struct dunlin_value){.kind = DUNLIN_BYTES, .as.string = {"\0\1", 2}});
  CHECK(dunlin_commit(doc, 0, NULL) == 1);
  CHECK(!dunlin_begin(doc));
  if (side) dunlin_map_delete(doc, DUNLIN_ROOT, dunlin_key("l"));
  else dunlin_map_touch(doc, DUNLIN_ROOT, dunlin_key("l"));
  dunlin_list_set_child(doc, list, 0, DUNLIN_COUNTER);
  dunlin_list_delete(doc, list, 3, 1);
  CHECK(dunlin_commit(doc, 0, NULL) == 1);
}

static void write_together(dunlin_doc *doc) {
  CHECK(!dunlin_begin(doc));
  dunlin_map_delete(doc, DUNLIN_ROOT, dunlin_key("s"));
  dunlin_counter_add(doc, child(doc, "c"), INT64_MAX);
  CHECK(dunlin_commit(doc, 5, NULL) == 1);
}

static struct dunlin_bytes since(const dunlin_doc *doc, const struct dunlin_id *heads, size_t count) {
  void *data;
  size_t len;
  CHECK(!dunlin_doc_delta(doc, heads, count, &data, &len));
  return (struct dunlin_bytes){data, len};
}

static void take(dunlin_doc *doc, struct dunlin_bytes delta) {
  CHECK(!dunlin_doc_apply(doc, delta.data, delta.len, NULL));
}

struct dunlin_bytes fuzz_history(size_t i) {
  static struct dunlin_bytes deltas[FUZZ_HISTORY];
  if (deltas[0].data) return deltas[i];
  dunlin_doc *one = fuzz_doc(NULL, 1), *two = fuzz_doc(NULL, 2);
  struct dunlin_id heads[2];
  size_t count;
  write_base(one);
  deltas[0] = since(one, NULL, 0);
  take(two, deltas[0]);
  heads[0] = dunlin_doc_heads(one, &count)[0];
  write_apart(one, 0);
  write_apart(two, 1);
  deltas[1] = since(one, heads, 1);
  deltas[2] = since(two, heads, 1);
  take(one, deltas[2]);
  memcpy(heads, dunlin_doc_heads(one, &count), sizeof heads);
  CHECK(count == 2);
  write_together(one);
  deltas[3] = since(one, heads, 2);
  dunlin_doc_free(one);
  dunlin_doc_free(two);
  return deltas[i];
}
