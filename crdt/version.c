/* Versions: forks, what differs, and names for them. */
#include <dunlin/events.h>
#include <dunlin/history.h>
#include <string.h>

#include "crdt/docfile.h"

/* ---- Naming versions ---------------------------------------------------------------------------------------- */

static int find(dunlin_doc *doc, const struct dunlin_id *heads, size_t count, struct lv_set *out) {
  for (size_t i = 0; i < count; i++) {
    uint32_t last;
    int error = names_find_last(doc, &heads[i], &last);
    if (error) return error;
    if (ENV_GROW(doc->env, out->lvs, out->cap, out->count + 1)) return DUNLIN_ENOMEM;
    out->lvs[out->count++] = last;
  }
  return 0;
}

/* What only the one and only the other of two versions has. */
static int difference(dunlin_doc *doc, const struct dunlin_id *a, size_t a_count, const struct dunlin_id *b,
                      size_t b_count, struct lv_ranges *only_a, struct lv_ranges *only_b) {
  struct lv_set x = {0}, y = {0};
  int error = doc->open.is_open ? DUNLIN_ESTATE : docfile_load(doc);
  if (!error) error = find(doc, a, a_count, &x);
  if (!error) error = find(doc, b, b_count, &y);
  if (!error) error = graph_difference(&doc->graph, x.lvs, x.count, y.lvs, y.count, only_a, only_b);
  ENV_FREE_ARRAY(doc->env, x.lvs, x.cap);
  ENV_FREE_ARRAY(doc->env, y.lvs, y.cap);
  return error;
}

int dunlin_version_order(const dunlin_doc *shown, const struct dunlin_id *a, size_t a_count, const struct dunlin_id *b,
                         size_t b_count, enum dunlin_order *out) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown; /* what history is in memory is no part of the state */
  struct lv_ranges only_a = {0}, only_b = {0};
  int error = difference(doc, a, a_count, b, b_count, &only_a, &only_b);
  if (!error && only_a.count) *out = only_b.count ? DUNLIN_CONCURRENT : DUNLIN_AFTER;
  else if (!error) *out = only_b.count ? DUNLIN_BEFORE : DUNLIN_EQUAL;
  lv_ranges_free(&only_a, doc->env);
  lv_ranges_free(&only_b, doc->env);
  return error;
}

/* ---- Forks -------------------------------------------------------------------------------------------------- */

int changes_copy(dunlin_doc *from, uint32_t first, uint32_t end, dunlin_doc *to) {
  struct buf bytes;
  int error = 0;
  buf_init(&bytes, from->env, SIZE_MAX / 2);
  for (uint32_t i = first; !error && i < end; i++) {
    struct change_id_bytes change = {.parsed = NULL};
    struct dunlin_id missing;
    buf_clear(&bytes);
    error = history_change(from, i, &bytes);
    if (error) break;
    change.bytes = (struct dunlin_bytes){bytes.data, bytes.len};
    change.id = change_id(from->env, &from->id, change.bytes);
    from->names.memo = (struct name){change.id, i}; /* the next one builds on it */
    int taken = take_change(to, &change, NULL, &missing);
    error = taken < 0 ? taken : 0; /* validity looks at the past alone: it was valid the first time */
  }
  buf_free(&bytes);
  return error;
}

/* The changes of these ranges, of which the latest comes first. */
static int copy_ranges(dunlin_doc *from, const struct lv_ranges *ranges, dunlin_doc *to) {
  int error = 0;
  for (size_t i = ranges->count; !error && i-- > 0;) {
    uint32_t first = graph_change_at(&from->graph, ranges->list[i].from);
    error = changes_copy(from, first, graph_change_at(&from->graph, ranges->list[i].to - 1) + 1, to);
  }
  return error;
}

static int fork_at(dunlin_doc *doc, const struct dunlin_id *heads, size_t count, const struct dunlin_actor *actor,
                   dunlin_doc **out) {
  struct lv_ranges ranges = {0};
  dunlin_doc *fork = NULL;
  int error = difference(doc, heads, count, NULL, 0, &ranges, NULL);
  if (!error) error = dunlin_doc_new(doc->env, &doc->id, actor, &fork);
  if (!error) fork->unit = doc->unit;
  if (!error) error = dunlin_doc_set_void(fork, doc->void_ids, doc->void_count);
  if (!error) error = copy_ranges(doc, &ranges, fork);
  lv_ranges_free(&ranges, doc->env);
  if (error) dunlin_doc_free(fork);
  else *out = fork;
  return error;
}

int dunlin_doc_fork(const dunlin_doc *doc, const struct dunlin_id *heads, size_t count,
                    const struct dunlin_actor *actor, dunlin_doc **out) {
  return fork_at((dunlin_doc *)(uintptr_t)doc, heads, count, actor, out); /* it is kept ids that change, no state */
}

int dunlin_doc_copy(const dunlin_doc *doc, const struct dunlin_actor *actor, dunlin_doc **out) {
  void *bytes = NULL;
  size_t len = 0;
  int error = docfile_save(doc, false, &bytes, &len);
  if (!error) error = dunlin_doc_load(doc->env, bytes, len, actor, out);
  dunlin_free(doc->env, bytes, len);
  if (!error) (*out)->unit = doc->unit;
  if (error != DUNLIN_ELIMIT) return error;
  const struct dunlin_id *heads = dunlin_doc_heads(doc, &len); /* what cannot be saved can still be taken in */
  return heads ? dunlin_doc_fork(doc, heads, len, actor, out) : DUNLIN_ENOMEM;
}

int dunlin_doc_merge(dunlin_doc *doc, const dunlin_doc *from, struct dunlin_applied *result) {
  size_t count, len = 0;
  void *delta = NULL;
  if (id_compare(&doc->id, &from->id)) return DUNLIN_EINVAL;
  const struct dunlin_id *have = NULL;
  int error = dunlin_doc_have(doc, &have, &count);
  if (!error) error = dunlin_doc_delta(from, have, count, &delta, &len);
  if (!error) error = dunlin_doc_apply(doc, delta, len, result);
  dunlin_free(from->env, delta, len);
  return error;
}

/* ---- What differs ------------------------------------------------------------------------------------------- */

struct id_set {
  struct dunlin_id *ids;
  size_t count, cap;
};

/* Adds the ids of all changes in the ranges. */
static int add_ids(dunlin_doc *doc, const struct lv_ranges *ranges, struct id_set *set) {
  int error = 0;
  for (size_t i = 0; i < ranges->count; i++) {
    uint32_t change = graph_change_at(&doc->graph, ranges->list[i].from);
    uint32_t last = graph_change_at(&doc->graph, ranges->list[i].to - 1);
    for (; !error && change <= last; change++) {
      error = ENV_GROW(doc->env, set->ids, set->cap, set->count + 1);
      if (!error) error = names_id(doc, change, &set->ids[set->count++]);
    }
  }
  return error;
}

/* The changes that only `to` has come in, those that only `from` has become void: nothing of `to` builds on them, and
 * what is void does not show, so that `to` shows then. */
static int lead_on(dunlin_doc *doc, const struct lv_ranges *gone, const struct lv_ranges *come, dunlin_doc *view) {
  struct id_set voids = {0};
  int error = dunlin_watch(view, DUNLIN_ROOT, dunlin_key(""), 0);
  if (error >= 0) error = copy_ranges(doc, come, view);
  if (!error) error = ENV_GROW(doc->env, voids.ids, voids.cap, doc->void_count + 1);
  if (!error && doc->void_count) memcpy(voids.ids, doc->void_ids, doc->void_count * sizeof *voids.ids);
  voids.count = doc->void_count;
  if (!error) error = add_ids(doc, gone, &voids);
  if (!error && gone->count) error = dunlin_doc_set_void(view, voids.ids, voids.count);
  ENV_FREE_ARRAY(doc->env, voids.ids, voids.cap);
  return error;
}

int dunlin_doc_diff(const dunlin_doc *shown, const struct dunlin_id *from, size_t from_count,
                    const struct dunlin_id *to, size_t to_count, dunlin_doc **out) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown, *view = NULL; /* it is kept ids that change, no state */
  struct lv_ranges gone = {0}, come = {0};
  int error = difference(doc, from, from_count, to, to_count, &gone, &come);
  if (!error) error = fork_at(doc, from, from_count, &doc->graph.actors[doc->actor].name, &view);
  if (!error) error = lead_on(doc, &gone, &come, view);
  lv_ranges_free(&gone, doc->env);
  lv_ranges_free(&come, doc->env);
  if (error) dunlin_doc_free(view);
  else *out = view;
  return error;
}

/* ---- Versions by name --------------------------------------------------------------------------------------- */

enum { SIGNIFICANT = 1, ID = sizeof(struct dunlin_id) };

/* What is kept under a name: a byte of flags, then the heads. */
static bool is_version(const struct dunlin_value *value) {
  return value->kind == DUNLIN_BYTES && value->as.string.len % ID == 1 &&
         *(const uint8_t *)value->as.string.data <= SIGNIFICANT;
}

int dunlin_version_put(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes name, const struct dunlin_id *heads,
                       size_t count, bool significant) {
  struct dunlin_value value = {.kind = DUNLIN_BYTES};
  size_t len = count > DUNLIN_MAX_PARENTS ? 0 : count * ID + 1;
  uint8_t *bytes = len ? env_alloc(doc->env, len) : NULL;
  if (!bytes) return txn_fail(doc, len ? DUNLIN_ENOMEM : DUNLIN_ELIMIT);
  bytes[0] = significant ? SIGNIFICANT : 0;
  if (count) memcpy(bytes + 1, heads, count * ID);
  value.as.string = (struct dunlin_bytes){bytes, len};
  int error = dunlin_map_put(doc, map, name, value);
  env_free(doc->env, bytes, len);
  return error;
}

int dunlin_version_get(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes name, struct dunlin_id *heads,
                       size_t cap) {
  struct dunlin_value value;
  int error = dunlin_map_get(doc, map, name, &value);
  if (error) return error;
  if (!is_version(&value)) return DUNLIN_EKIND;
  size_t count = value.as.string.len / ID;
  if (count && cap >= count) memcpy(heads, (const uint8_t *)value.as.string.data + 1, count * ID);
  return (int)count;
}

/* The names of those to remove, gathered before: removing undoes the order and the life of what is borrowed. */
static int find_thin(const dunlin_doc *doc, dunlin_obj map, size_t keep, struct buf *names) {
  size_t size = dunlin_map_size(doc, map), behind = 0;
  struct dunlin_bytes name;
  struct dunlin_value value;
  int error = 0;
  for (size_t i = 0; !error && i < size; i++) {
    error = dunlin_map_at(doc, map, i, &name, &value);
    behind += !error && is_version(&value);
  }
  bool first = true;
  for (size_t i = 0; !error && i < size; i++) {
    error = dunlin_map_at(doc, map, i, &name, &value);
    if (error || !is_version(&value)) continue;
    behind--;
    if (!first && behind >= keep && *(const uint8_t *)value.as.string.data != SIGNIFICANT)
      mp_write_str(names, name.data, name.len);
    first = false;
  }
  return error ? error : names->error;
}

int dunlin_version_thin(dunlin_doc *doc, dunlin_obj map, size_t keep) {
  struct buf names;
  int error = txn_writable(doc);
  if (error) return error;
  if (!container_of(doc, map, DUNLIN_MAP)) return txn_fail(doc, DUNLIN_EKIND);
  buf_init(&names, doc->env, UINT32_MAX);
  error = find_thin(doc, map, keep, &names);
  if (error) txn_fail(doc, error);
  struct mp_reader r = mp_reader_of(names.data, names.len);
  while (!error && r.at != r.end) error = dunlin_map_delete(doc, map, mp_read_str(&r, DUNLIN_MAX_KEY));
  buf_free(&names);
  return error;
}
