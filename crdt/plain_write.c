/* Making a document show a plain value, with few operations. */
#include "crdt/internal.h"
#include "crdt/plain.h"
#include "crdt/value.h"

#include <stdlib.h>

/* ---- Places ------------------------------------------------------------------------------------------------- */

/* What is at a place: DUNLIN_ENOENT. */
static int look(const dunlin_doc *doc, const struct plain_place *place, struct dunlin_value *out) {
  if (place->is_new) return DUNLIN_ENOENT;
  if (place->in_list) return dunlin_list_get(doc, place->parent, place->index, out);
  return dunlin_map_get(doc, place->parent, place->key, out);
}

static int put_scalar(dunlin_doc *doc, const struct plain_place *place, struct dunlin_value value) {
  if (!place->in_list) return dunlin_map_put(doc, place->parent, place->key, value);
  if (place->is_new) return dunlin_list_insert(doc, place->parent, place->index, value);
  return dunlin_list_set(doc, place->parent, place->index, value);
}

static int make_child(dunlin_doc *doc, const struct plain_place *place, enum dunlin_kind kind, dunlin_obj *out) {
  if (!place->in_list) *out = dunlin_map_child(doc, place->parent, place->key, kind);
  else if (place->is_new) *out = dunlin_list_insert_child(doc, place->parent, place->index, kind);
  else *out = dunlin_list_set_child(doc, place->parent, place->index, kind);
  return out->index == DUNLIN_NONE.index ? txn_writable(doc) : 0; /* the error has been noted */
}

/* ---- Texts -------------------------------------------------------------------------------------------------- */

static bool begins_scalar(const char *text, size_t len, size_t at) {
  return at == len || ((uint8_t)text[at] & 0xc0) != 0x80;
}

/* How long well-formed UTF-8 is in the unit in which the document counts. */
static size_t length_in(enum dunlin_unit unit, const char *text, size_t len) {
  size_t units = 0;
  for (size_t i = 0; i < len; i++) {
    uint8_t byte = (uint8_t)text[i];
    if (unit == DUNLIN_UTF8 || (byte & 0xc0) != 0x80) units++;
    if (unit == DUNLIN_UTF16 && byte >= 0xf0) units++; /* a pair */
  }
  return units;
}

/* Replaces what differs between the common beginning and the common end.  What both have in common is cut at a scalar
 * value of the one where it is cut at one of the other. */
static int splice(dunlin_doc *doc, dunlin_obj text, const char *now, size_t now_len, const char *then,
                  size_t then_len) {
  size_t common = now_len < then_len ? now_len : then_len, head = 0, tail = 0;
  while (head < common && now[head] == then[head]) head++;
  while (!begins_scalar(now, now_len, head)) head--;
  while (tail < common - head && now[now_len - 1 - tail] == then[then_len - 1 - tail]) tail++;
  while (!begins_scalar(now, now_len, now_len - tail)) tail--;
  size_t before = length_in(doc->unit, now, head), gone = length_in(doc->unit, now + head, now_len - head - tail);
  return dunlin_text_splice(doc, text, before, gone, then + head, then_len - head - tail);
}

static int put_text(dunlin_doc *doc, dunlin_obj text, struct dunlin_bytes string) {
  size_t len = dunlin_text_read(doc, text, NULL, 0);
  if (len == SIZE_MAX) return txn_fail(doc, DUNLIN_ENOMEM);
  char *now = env_alloc(doc->env, len);
  if (!now || dunlin_text_read(doc, text, now, len) != len) {
    env_free(doc->env, now, len);
    return txn_fail(doc, DUNLIN_ENOMEM);
  }
  int error = 0;
  if (!bytes_same((struct dunlin_bytes){now, len}, string))
    error = splice(doc, text, now, len, string.data, string.len);
  env_free(doc->env, now, len);
  return error;
}

static int put_counter(dunlin_doc *doc, dunlin_obj counter, int64_t value) {
  int64_t now;
  int error = dunlin_counter_get(doc, counter, &now);
  if (error) return txn_fail(doc, error);
  return dunlin_counter_add(doc, counter, (int64_t)((uint64_t)value - (uint64_t)now));
}

/* ---- Maps --------------------------------------------------------------------------------------------------- */

/* Deletes the keys that the value does not name.  Both are in the order of keys; those to delete are gathered before,
 * since deleting undoes the order and the life of what is borrowed. */
static int delete_others(dunlin_doc *doc, dunlin_obj map, const struct plain *plain, const struct plain_node *node) {
  struct buf gone;
  const struct plain_node *named = plain_at(plain, node->first);
  size_t size = dunlin_map_size(doc, map);
  int error = 0;
  buf_init(&gone, doc->env, UINT32_MAX);
  for (size_t i = 0; !error && i < size; i++) {
    struct dunlin_bytes key;
    struct dunlin_value value;
    error = dunlin_map_at(doc, map, i, &key, &value);
    if (error) break;
    while (named && bytes_compare(named->key, key) < 0) named = plain_at(plain, named->next);
    if (!named || !bytes_same(named->key, key)) mp_write_str(&gone, key.data, key.len);
    error = gone.error;
  }
  if (error) txn_fail(doc, error);
  struct mp_reader r = mp_reader_of(gone.data, gone.len);
  while (!error && r.at != r.end) error = dunlin_map_delete(doc, map, mp_read_str(&r, DUNLIN_MAX_KEY));
  buf_free(&gone);
  return error;
}

static int put_map(dunlin_doc *doc, dunlin_obj map, const struct plain *plain, const struct plain_node *node,
                   bool merges) {
  int error = merges ? 0 : delete_others(doc, map, plain, node);
  for (const struct plain_node *member = plain_at(plain, node->first); !error && member;
       member = plain_at(plain, member->next)) {
    struct plain_place place = {.parent = map, .key = member->key};
    error = plain_put(doc, &place, plain, member, merges);
  }
  return error;
}

/* ---- Lists -------------------------------------------------------------------------------------------------- */

static int follow_script(dunlin_doc *doc, dunlin_obj list, const struct plain_script *s) {
  struct plain_place place = {.parent = list, .in_list = true};
  size_t j = 0;
  int error = 0;
  for (size_t i = 0; !error && i <= s->from.count; i++) {
    size_t gone = 0;
    while (i + gone < s->from.count && s->target[i + gone] == PLAIN_NONE) gone++;
    if (gone) error = dunlin_list_delete(doc, list, place.index, gone);
    i += gone;
    size_t until = i < s->from.count ? s->target[i] : s->to.count;
    place.is_new = true;
    for (; !error && j < until; j++, place.index++)
      error = plain_put(doc, &place, s->to.plain, plain_element(&s->to, j), false);
    if (error || i == s->from.count) break;
    place.is_new = false;
    const struct plain_node *was = plain_element(&s->from, i), *is = plain_element(&s->to, j);
    if (!bytes_same(plain_bytes(s->from.plain, was), plain_bytes(s->to.plain, is)))
      error = plain_put(doc, &place, s->to.plain, is, false);
    j++;
    place.index++;
  }
  return error;
}

static int put_list(dunlin_doc *doc, dunlin_obj list, const struct plain *plain, const struct plain_node *node) {
  struct dunlin_value value = {.kind = DUNLIN_LIST, .as.obj = list};
  struct plain now;
  struct plain_script script;
  struct buf bytes;
  buf_init(&bytes, doc->env, UINT32_MAX);
  plain_of_value(doc, &value, &bytes);
  int error = bytes.error;
  if (!error) error = plain_open(&now, doc->env, (struct dunlin_bytes){bytes.data, bytes.len}, false);
  if (!error) {
    error = plain_compare_lists(&script, doc->env, &now, &now.nodes[0], plain, node);
    if (!error) {
      error = follow_script(doc, list, &script);
      plain_script_free(&script);
    }
    plain_close(&now);
  }
  buf_free(&bytes);
  return error ? txn_fail(doc, error) : 0;
}

/* ---- Sets --------------------------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b) {
  return bytes_compare(*(const struct dunlin_bytes *)a, *(const struct dunlin_bytes *)b);
}

/* The elements that a list names, in the order in which a set has its members; DUNLIN_EKIND when one cannot be a
 * member. */
static int members_of(const struct dunlin_env *env, const struct plain *plain, const struct plain_node *list,
                      struct dunlin_bytes **out) {
  size_t count = 0;
  for (const struct plain_node *n = plain_at(plain, list->first); n; n = plain_at(plain, n->next))
    if (n->value.kind >= DUNLIN_MAP || n->len > DUNLIN_MAX_KEY) return DUNLIN_EKIND;
  *out = env_calloc(env, list->count, sizeof **out);
  if (!*out) return DUNLIN_ENOMEM;
  for (const struct plain_node *n = plain_at(plain, list->first); n; n = plain_at(plain, n->next))
    (*out)[count++] = plain_bytes(plain, n);
  qsort(*out, count, sizeof **out, by_bytes);
  return 0;
}

/* Removes the members that are not named. */
static int remove_others(dunlin_doc *doc, dunlin_obj set, const struct dunlin_bytes *named, size_t count) {
  struct buf gone, member;
  size_t size = dunlin_set_size(doc, set), at = 0;
  int error = 0;
  buf_init(&gone, doc->env, UINT32_MAX);
  buf_init(&member, doc->env, UINT32_MAX);
  for (size_t i = 0; !error && i < size; i++) {
    struct dunlin_value value;
    error = dunlin_set_at(doc, set, i, &value);
    buf_clear(&member);
    if (!error) value_write(&member, &value);
    if (!error) error = member.error;
    struct dunlin_bytes bytes = {member.data, member.len};
    while (!error && at < count && bytes_compare(named[at], bytes) < 0) at++;
    if (!error && (at == count || !bytes_same(named[at], bytes))) buf_append(&gone, bytes.data, bytes.len);
    if (!error) error = gone.error;
  }
  if (error) txn_fail(doc, error);
  struct mp_reader r = mp_reader_of(gone.data, gone.len);
  while (!error && r.at != r.end) error = dunlin_set_remove(doc, set, value_read(&r));
  buf_free(&gone);
  buf_free(&member);
  return error;
}

static int put_set(dunlin_doc *doc, dunlin_obj set, const struct plain *plain, const struct plain_node *node) {
  struct dunlin_bytes *named = NULL;
  int error = members_of(doc->env, plain, node, &named);
  if (error) return error == DUNLIN_EKIND ? error : txn_fail(doc, error);
  if (dunlin_obj_kind(doc, set) == DUNLIN_SET) error = remove_others(doc, set, named, node->count);
  for (const struct plain_node *n = plain_at(plain, node->first); !error && n; n = plain_at(plain, n->next))
    error = dunlin_set_add(doc, set, n->value);
  env_free(doc->env, named, node->count * sizeof *named);
  return error;
}

/* ---- Anything ----------------------------------------------------------------------------------------------- */

/* Whether what is there reads as the node does. */
static int reads_as(dunlin_doc *doc, const struct dunlin_value *value, const struct plain *plain,
                    const struct plain_node *node, bool *same) {
  struct buf bytes;
  *same = value_same(value, &node->value);
  if (value->kind < DUNLIN_MAP) return 0;
  buf_init(&bytes, doc->env, UINT32_MAX);
  plain_of_value(doc, value, &bytes);
  *same = !bytes.error && bytes_same((struct dunlin_bytes){bytes.data, bytes.len}, plain_bytes(plain, node));
  int error = bytes.error;
  buf_free(&bytes);
  return error ? txn_fail(doc, error) : 0;
}

int plain_put_in(dunlin_doc *doc, dunlin_obj obj, const struct plain *plain, const struct plain_node *node,
                 bool merges) {
  enum dunlin_kind there = dunlin_obj_kind(doc, obj), kind = node->value.kind;
  if (there == DUNLIN_MAP && kind == DUNLIN_MAP) return put_map(doc, obj, plain, node, merges);
  if (there == DUNLIN_LIST && kind == DUNLIN_LIST) return put_list(doc, obj, plain, node);
  if (there == DUNLIN_TEXT && kind == DUNLIN_STRING) return put_text(doc, obj, node->value.as.string);
  if (there == DUNLIN_COUNTER && kind == DUNLIN_INT) return put_counter(doc, obj, node->value.as.integer);
  if (is_set(there) && kind == DUNLIN_LIST) return put_set(doc, obj, plain, node);
  if (is_offer(there) && kind < DUNLIN_MAP && !offer_check(there, &node->value))
    return dunlin_offer(doc, obj, node->value);
  return DUNLIN_EKIND;
}

int plain_put(dunlin_doc *doc, const struct plain_place *place, const struct plain *plain,
              const struct plain_node *node, bool merges) {
  struct dunlin_value now;
  enum dunlin_kind kind = node->value.kind;
  int error = look(doc, place, &now);
  bool exists = !error, same = false;
  if (error && error != DUNLIN_ENOENT) return txn_fail(doc, error);
  if (exists && now.kind >= DUNLIN_MAP) {
    error = plain_put_in(doc, now.as.obj, plain, node, merges);
    if (error != DUNLIN_EKIND) return error;
  }
  if (kind >= DUNLIN_MAP) {
    dunlin_obj child;
    error = make_child(doc, place, kind, &child);
    return error ? error : plain_put_in(doc, child, plain, node, merges);
  }
  if (exists) {
    error = reads_as(doc, &now, plain, node, &same);
    if (error || same) return error;
  }
  return put_scalar(doc, place, node->value);
}

/* The checks that all begin with, and the value taken apart. */
static int open_for(dunlin_doc *doc, struct dunlin_bytes bytes, struct plain *plain) {
  int error = txn_writable(doc);
  if (error) return error;
  error = doc->graph.open.builds_on_all ? plain_open(plain, doc->env, bytes, true) : DUNLIN_ESTATE;
  return error ? txn_fail(doc, error) : 0;
}

int dunlin_write_plain(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, struct dunlin_bytes bytes) {
  struct plain plain;
  int error = open_for(doc, bytes, &plain);
  if (error) return error;
  struct plain_place place = {.parent = map, .key = key};
  error = plain_put(doc, &place, &plain, &plain.nodes[0], false);
  plain_close(&plain);
  return error;
}

int dunlin_map_merge(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes bytes) {
  struct plain plain;
  int error = open_for(doc, bytes, &plain);
  if (error) return error;
  bool maps = plain.nodes[0].value.kind == DUNLIN_MAP && dunlin_obj_kind(doc, map) == DUNLIN_MAP;
  error = maps ? put_map(doc, map, &plain, &plain.nodes[0], true) : txn_fail(doc, DUNLIN_EKIND);
  plain_close(&plain);
  return error;
}
