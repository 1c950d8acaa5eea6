/* Reading what is visible. */
#include "crdt/internal.h"

enum dunlin_kind dunlin_obj_kind(const dunlin_doc *doc, dunlin_obj obj) {
  return obj.index < doc->container_count ? doc->containers[obj.index]->kind : DUNLIN_NULL;
}

/* ---- Registers ---------------------------------------------------------------------------------------------- */

struct distinct distinct_of(const dunlin_doc *shown, const struct reg *reg) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown; /* marks are no part of the state */
  return (struct distinct){doc, reg, ++doc->stamp, 0};
}

const struct reg_write *distinct_next(struct distinct *pass) {
  while (pass->at < pass->reg->count) {
    const struct reg_write *write = reg_at(pass->reg, pass->at++);
    if (write->value.kind < DUNLIN_MAP) return write;
    struct container *c = pass->doc->containers[write->value.as.obj.index];
    bool is_again = c->listed == pass->stamp;
    c->listed = pass->stamp;
    if (!is_again) return write;
  }
  return NULL;
}

uint32_t distinct_count(const dunlin_doc *doc, const struct reg *reg) {
  uint32_t count = 0;
  if (reg->count < 2) return reg->count;
  for (struct distinct pass = distinct_of(doc, reg); distinct_next(&pass);) count++;
  return count;
}

const struct reg_write *distinct_at(const dunlin_doc *doc, const struct reg *reg, size_t i) {
  const struct reg_write *write;
  if (!i || reg->count < 2) return i < reg->count ? reg_at(reg, 0) : NULL;
  struct distinct pass = distinct_of(doc, reg);
  do write = distinct_next(&pass);
  while (write && i--);
  return write;
}

/* ---- Maps --------------------------------------------------------------------------------------------------- */

/* Iteration sorts keys on demand; that is no change of the document. */
static struct map *map_of(const dunlin_doc *doc, dunlin_obj obj) {
  struct container *c = container_of(doc, obj, DUNLIN_MAP);
  return c ? &c->as.map : NULL;
}

int dunlin_map_conflict(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, size_t i,
                        struct dunlin_value *out) {
  const struct map *m = map_of(doc, map);
  if (!m) return DUNLIN_EKIND;
  const struct map_entry *entry = map_find(m, key);
  const struct reg_write *write = entry ? distinct_at(doc, &entry->reg, i) : NULL;
  if (!write) return DUNLIN_ENOENT;
  *out = write->value;
  return 0;
}

int dunlin_map_get(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, struct dunlin_value *out) {
  return dunlin_map_conflict(doc, map, key, 0, out);
}

size_t dunlin_map_conflicts(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key) {
  const struct map *m = map_of(doc, map);
  const struct map_entry *entry = m ? map_find(m, key) : NULL;
  return entry ? distinct_count(doc, &entry->reg) : 0;
}

/* The value that shows, when it is of that kind. */
static bool get_kind(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, enum dunlin_kind kind,
                     struct dunlin_value *out) {
  return !dunlin_map_get(doc, map, key, out) && out->kind == kind;
}

bool dunlin_map_bool(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, bool otherwise) {
  struct dunlin_value value;
  return get_kind(doc, map, key, DUNLIN_BOOL, &value) ? value.as.boolean : otherwise;
}

int64_t dunlin_map_int(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, int64_t otherwise) {
  struct dunlin_value value;
  return get_kind(doc, map, key, DUNLIN_INT, &value) ? value.as.integer : otherwise;
}

double dunlin_map_float(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, double otherwise) {
  struct dunlin_value value;
  return get_kind(doc, map, key, DUNLIN_FLOAT, &value) ? value.as.real : otherwise;
}

struct dunlin_bytes dunlin_map_string(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key,
                                      const char *otherwise) {
  struct dunlin_value value;
  return get_kind(doc, map, key, DUNLIN_STRING, &value) ? value.as.string : dunlin_key(otherwise);
}

dunlin_obj dunlin_map_obj(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, enum dunlin_kind kind) {
  struct dunlin_value value;
  return get_kind(doc, map, key, kind, &value) && kind >= DUNLIN_MAP ? value.as.obj : DUNLIN_NONE;
}

size_t dunlin_map_size(const dunlin_doc *doc, dunlin_obj map) {
  struct map *m = map_of(doc, map);
  return m ? map_size(m) : 0;
}

int dunlin_map_at(const dunlin_doc *doc, dunlin_obj map, size_t i, struct dunlin_bytes *key,
                  struct dunlin_value *value) {
  struct map *m = map_of(doc, map);
  if (!m) return DUNLIN_EKIND;
  const struct map_entry *entry = map_nth(m, i);
  if (!entry) return i < map_size(m) ? DUNLIN_ENOMEM : DUNLIN_ENOENT;
  *key = map_key(entry);
  *value = reg_at(&entry->reg, 0)->value;
  return 0;
}

/* ---- Lists -------------------------------------------------------------------------------------------------- */

/* The list as it shows now.  DUNLIN_EKIND; DUNLIN_ENOMEM: what waits could not be brought in. */
static int list_now(const dunlin_doc *shown, dunlin_obj list, const struct list **out) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown; /* where what is there already shows is no part of the state */
  const struct container *c = container_of(doc, list, DUNLIN_LIST);
  if (!c) return DUNLIN_EKIND;
  *out = &c->as.list->list;
  return container_show(doc, list.index);
}

size_t dunlin_list_size(const dunlin_doc *doc, dunlin_obj list) {
  const struct list *l;
  int error = list_now(doc, list, &l);
  return error == DUNLIN_EKIND ? 0 : error ? SIZE_MAX : l->size;
}

int dunlin_list_conflict(const dunlin_doc *doc, dunlin_obj list, size_t index, size_t i, struct dunlin_value *out) {
  const struct list *l;
  int error = list_now(doc, list, &l);
  if (error) return error;
  if (index >= l->size) return DUNLIN_ERANGE;
  const struct reg_write *write = distinct_at(doc, &l->elements[list_get(l, (uint32_t)index)], i);
  if (!write) return DUNLIN_ENOENT;
  *out = write->value;
  return 0;
}

size_t dunlin_list_tail(const dunlin_doc *doc, dunlin_obj list, size_t most) {
  size_t size = dunlin_list_size(doc, list);
  return size == SIZE_MAX ? SIZE_MAX : size > most ? size - most : 0;
}

int dunlin_list_get(const dunlin_doc *doc, dunlin_obj list, size_t index, struct dunlin_value *out) {
  return dunlin_list_conflict(doc, list, index, 0, out);
}

/* ---- Text and counters -------------------------------------------------------------------------------------- */

/* The text as it shows now; NULL when there is none, or no memory to bring in what waits (`*failed`). */
static const struct text *text_now(const dunlin_doc *shown, dunlin_obj text, bool *failed) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown; /* where what is there already shows is no part of the state */
  struct container *c = container_of(doc, text, DUNLIN_TEXT);
  *failed = c && container_show(doc, text.index);
  return c && !*failed ? &c->as.text->text : NULL;
}

size_t dunlin_text_size(const dunlin_doc *doc, dunlin_obj text) {
  bool failed;
  const struct text *t = text_now(doc, text, &failed);
  size_t size = t ? t->size - t->anchors : 0;
  if (t && doc->unit != DUNLIN_SCALARS)
    failed = unit_out((dunlin_doc *)(uintptr_t)doc, doc->containers[text.index], &size);
  return failed ? SIZE_MAX : size;
}

size_t dunlin_text_read(const dunlin_doc *doc, dunlin_obj text, char *out, size_t cap) {
  bool failed;
  const struct text *t = text_now(doc, text, &failed);
  if (!t) return failed ? SIZE_MAX : 0;
  size_t len = text_bytes(t);
  if (out && cap >= len) text_copy(t, &doc->text, out);
  return len;
}

static void copy_piece(void *ctx, const void *utf8, size_t bytes) {
  buf_append(ctx, utf8, bytes);
}

int dunlin_text_part(const dunlin_doc *shown, dunlin_obj text, size_t from, size_t to, void **out, size_t *len) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown; /* what waits to be shown is no part of the state */
  struct container *c = container_of(doc, text, DUNLIN_TEXT);
  struct buf part;
  int error = c ? container_show(doc, text.index) : DUNLIN_EKIND;
  if (!error) error = unit_in(doc, c, from, &from);
  if (!error) error = unit_in(doc, c, to, &to);
  if (error) return error;
  if (from > to || to > c->as.text->text.size - c->as.text->text.anchors) return DUNLIN_ERANGE;
  buf_init(&part, doc->env, SIZE_MAX / 2);
  error = text_each_in(&c->as.text->text, &doc->text, (uint32_t)from, (uint32_t)(to - from), copy_piece, &part);
  if (!error) error = part.error;
  if (!error) error = buf_take(&part, out, len);
  buf_free(&part);
  return error;
}

int dunlin_counter_get(const dunlin_doc *doc, dunlin_obj counter, int64_t *out) {
  const struct container *c = container_of(doc, counter, DUNLIN_COUNTER);
  if (!c) return DUNLIN_EKIND;
  *out = c->as.counter;
  return 0;
}

/* ---- Max, min, first, sets ---------------------------------------------------------------------------------- */

int dunlin_offered(const dunlin_doc *doc, dunlin_obj obj, struct dunlin_value *out) {
  const struct container *c = obj.index < doc->container_count ? doc->containers[obj.index] : NULL;
  if (!c || !is_offer(c->kind)) return DUNLIN_EKIND;
  if (!c->as.offer.count) return DUNLIN_ENOENT;
  *out = reg_at(&c->as.offer, 0)->value;
  return 0;
}

static struct map *set_of(const dunlin_doc *doc, dunlin_obj set) {
  struct container *c = set.index < doc->container_count ? doc->containers[set.index] : NULL;
  return c && is_set(c->kind) ? &c->as.map : NULL;
}

bool dunlin_set_has(const dunlin_doc *doc, dunlin_obj set, struct dunlin_value value) {
  const struct map *s = set_of(doc, set);
  uint8_t bytes[DUNLIN_MAX_KEY];
  struct dunlin_bytes key;
  if (!s || member_key(&value, bytes, &key)) return false;
  const struct map_entry *entry = map_find(s, key);
  return entry && entry->reg.count;
}

size_t dunlin_set_size(const dunlin_doc *doc, dunlin_obj set) {
  struct map *s = set_of(doc, set);
  return s ? map_size(s) : 0;
}

int dunlin_set_at(const dunlin_doc *doc, dunlin_obj set, size_t i, struct dunlin_value *out) {
  struct map *s = set_of(doc, set);
  if (!s) return DUNLIN_EKIND;
  const struct map_entry *entry = map_nth(s, i);
  if (!entry) return i < map_size(s) ? DUNLIN_ENOMEM : DUNLIN_ENOENT;
  struct dunlin_bytes key = map_key(entry);
  struct mp_reader r = mp_reader_of(key.data, key.len);
  *out = value_read(&r);
  return 0;
}
