/* Writing: what a transaction does to containers, and the columns of the change that it becomes. */
#include <stdlib.h>
#include <string.h>

#include "crdt/internal.h"

/* ---- Operations --------------------------------------------------------------------------------------------- */

int txn_fail(dunlin_doc *doc, int error) {
  doc->open.plain = NULL;
  if (!doc->txn_error) doc->txn_error = error;
  return error;
}

int dunlin_txn_error(const dunlin_doc *doc) {
  return doc->open.is_open && doc->open.is_local ? doc->txn_error : DUNLIN_ESTATE;
}

/* What every write begins with. */
int txn_writable(const dunlin_doc *doc) {
  if (!doc->open.is_open || !doc->open.is_local) return DUNLIN_ESTATE;
  return doc->txn_error;
}

int txn_touch(dunlin_doc *doc, dunlin_obj obj) {
  int error = txn_writable(doc);
  if (error) return error;
  error = container_touch(doc, obj.index);
  return error ? txn_fail(doc, error) : 0;
}

static void write_values(struct buf *values, const struct op *op) {
  switch (op->kind) {
    case OP_LIST_CHILD:
    case OP_LIST_SET_CHILD:
    case OP_LIST_MOVE: mp_write_uint(values, op->number); break;
    case OP_MAP_SET:
    case OP_MAP_SET_OVER:
    case OP_MAP_CHILD:
    case OP_MAP_DELETE:
    case OP_MAP_DELETE_OVER:
    case OP_MARK_START:
    case OP_MARK_START_GROWS: mp_write_str(values, op->key.data, op->key.len); break;
    case OP_COUNTER_ADD: mp_write_int(values, op->amount); break;
    default: value_write(values, &op->value);
  }
  if (op->kind == OP_MAP_SET || op->kind == OP_MAP_SET_OVER || op_starts_mark(op->kind))
    value_write(values, &op->value);
  if (op->kind == OP_MAP_CHILD) mp_write_uint(values, op->number);
  if (op->kind == OP_MAP_SET_OVER || op->kind == OP_MAP_DELETE_OVER || op->kind == OP_LIST_SET_OVER)
    mp_write_bin(values, op->names.data, op->names.len);
}

/* A string may be a borrowed key of the same map, which moves when one is added: it is read where it was just
 * written. */
static void lend_value(const struct buf *values, struct dunlin_value *value) {
  if (value->kind != DUNLIN_STRING && value->kind != DUNLIN_BYTES) return;
  if (value->as.string.len) value->as.string.data = values->data + values->len - value->as.string.len;
}

static int perform(dunlin_doc *doc, struct op *op, dunlin_obj *made) {
  uint32_t container = 0;
  doc->open.plain = NULL;
  if (op->kind & OP_VALUES) {
    op->at = column_end(&doc->values);
    write_values(&doc->values.buf, op);
    if (op->kind == OP_MAP_SET && !doc->values.buf.error) lend_value(&doc->values.buf, &op->value);
  }
  int error = apply_op(doc, op, &container);
  if (!error && doc->values.buf.error) error = doc->values.buf.error;
  if (error) return txn_fail(doc, error);
  if (made) made->index = container;
  return 0;
}

static int check_string(struct dunlin_bytes s, size_t max, bool text) {
  if (s.len && !s.data) return DUNLIN_EINVAL;
  if (s.len > max) return DUNLIN_ELIMIT;
  return text && !utf8_valid(s.data, s.len, NULL) ? DUNLIN_EUTF8 : 0;
}

static int check_value(const struct dunlin_value *v) {
  if (v->kind == DUNLIN_STRING || v->kind == DUNLIN_BYTES)
    return check_string(v->as.string, DUNLIN_MAX_VALUE, v->kind == DUNLIN_STRING);
  return (unsigned)v->kind > DUNLIN_TIME ? DUNLIN_EINVAL : 0;
}

/* ---- Maps --------------------------------------------------------------------------------------------------- */

/* The entry of the key, NULL when it never was written; also checks the arguments of a write. */
static int map_prepare(dunlin_doc *doc, struct op *op, struct map_entry **entry) {
  int error = txn_writable(doc);
  if (error) return error;
  const struct container *c = container_of(doc, (dunlin_obj){op->container}, DUNLIN_MAP);
  error = c ? check_string(op->key, DUNLIN_MAX_KEY, true) : DUNLIN_EKIND;
  if (error) return txn_fail(doc, error);
  *entry = map_find(&c->as.map, op->key);
  if (*entry) op->entry = (uint32_t)(*entry - c->as.map.entries);
  return 0;
}

static bool has_seen_all(dunlin_doc *doc, const struct reg *reg) {
  for (uint32_t i = 0; i < reg->count; i++)
    if (!graph_seen(&doc->graph, reg_at(reg, i)->lv)) return false;
  return true;
}

static bool has_seen_any(dunlin_doc *doc, const struct reg *reg) {
  for (uint32_t i = 0; i < reg->count; i++)
    if (graph_seen(&doc->graph, reg_at(reg, i)->lv)) return true;
  return false;
}

static bool is_settled_value(dunlin_doc *doc, const struct reg *reg, const struct dunlin_value *value) {
  return reg->count == 1 && has_seen_all(doc, reg) && value_same(&reg_at(reg, 0)->value, value);
}

int dunlin_map_put(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, struct dunlin_value value) {
  struct op op = {.kind = OP_MAP_SET, .container = map.index, .len = 1, .key = key, .value = value};
  struct map_entry *entry;
  int error = map_prepare(doc, &op, &entry);
  if (error) return error;
  error = check_value(&value);
  if (error) return txn_fail(doc, error);
  return entry && is_settled_value(doc, &entry->reg, &value) ? 0 : perform(doc, &op, NULL);
}

int dunlin_map_put_class(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, struct dunlin_value value,
                         uint32_t priority) {
  struct op op = {.kind = OP_MAP_SET, .container = map.index, .a = priority, .len = 1, .key = key, .value = value};
  struct map_entry *entry;
  int error = map_prepare(doc, &op, &entry);
  if (error) return error;
  error = check_value(&value);
  if (error) return txn_fail(doc, error);
  bool same = entry && is_settled_value(doc, &entry->reg, &value) && reg_at(&entry->reg, 0)->class == priority;
  return same ? 0 : perform(doc, &op, NULL);
}

int dunlin_map_toggle(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key) {
  struct op op = {.kind = OP_MAP_SET, .container = map.index, .len = 1, .key = key};
  struct map_entry *entry;
  int error = map_prepare(doc, &op, &entry);
  if (error) return error;
  op.value = (struct dunlin_value){.kind = DUNLIN_BOOL, .as.boolean = true};
  if (entry && entry->reg.count) {
    const struct dunlin_value *shown = &reg_at(&entry->reg, 0)->value;
    if (shown->kind != DUNLIN_BOOL) return txn_fail(doc, DUNLIN_EKIND);
    op.value.as.boolean = !shown->as.boolean;
  }
  return perform(doc, &op, NULL);
}

int dunlin_map_delete(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key) {
  struct op op = {.kind = OP_MAP_DELETE, .container = map.index, .len = 1, .key = key};
  struct map_entry *entry;
  int error = map_prepare(doc, &op, &entry);
  if (error) return error;
  return entry && entry->reg.count ? perform(doc, &op, NULL) : 0;
}

/* The winner among the live children of that kind that the walking version has seen; IDMAP_NONE. */
static uint32_t seen_child(dunlin_doc *doc, const struct map_entry *entry, enum dunlin_kind kind) {
  for (uint32_t i = 0; entry && i < entry->reg.count; i++) {
    const struct reg_write *write = reg_at(&entry->reg, i);
    if (write->value.kind == kind && graph_seen(&doc->graph, write->lv)) return write->value.as.obj.index;
  }
  return IDMAP_NONE;
}

static int map_child(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, enum dunlin_kind kind, dunlin_obj *out) {
  struct op op = {.kind = OP_MAP_CHILD, .container = map.index, .a = (uint32_t)kind, .len = 1, .key = key};
  struct map_entry *entry;
  int error = map_prepare(doc, &op, &entry);
  if (error) return error;
  if (kind < DUNLIN_MAP || kind > KIND_LAST) return txn_fail(doc, DUNLIN_EINVAL);
  uint32_t child = seen_child(doc, entry, kind);
  if (child != IDMAP_NONE) {
    out->index = child;
    if (entry->reg.count == 1 || !distinct_at(doc, &entry->reg, 1)) return 0;
    op.number = doc->containers[child]->generation;
    return perform(doc, &op, out);
  }
  int64_t generation = entry ? generation_seen(doc, map.index, entry) : -1;
  if (generation >= UINT32_MAX) return txn_fail(doc, DUNLIN_ELIMIT);
  op.number = (uint32_t)(generation + 1);
  return perform(doc, &op, out);
}

dunlin_obj dunlin_map_child(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, enum dunlin_kind kind) {
  dunlin_obj child = DUNLIN_NONE;
  return map_child(doc, map, key, kind, &child) ? DUNLIN_NONE : child;
}

int dunlin_map_choose(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, size_t i) {
  struct dunlin_value value;
  int error = txn_writable(doc);
  if (error) return error;
  error = dunlin_map_conflict(doc, map, key, i, &value);
  if (error) return txn_fail(doc, error);
  if (value.kind < DUNLIN_MAP) return dunlin_map_put(doc, map, key, value);
  return dunlin_map_child(doc, map, key, value.kind).index == UINT32_MAX ? doc->txn_error : 0;
}

int dunlin_map_touch(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key) {
  struct op op = {.kind = OP_MAP_CHILD, .container = map.index, .len = 1, .key = key};
  struct map_entry *entry;
  int error = map_prepare(doc, &op, &entry);
  if (error) return error;
  if (!entry || !entry->reg.count) return txn_fail(doc, DUNLIN_ENOENT);
  const struct dunlin_value *value = &reg_at(&entry->reg, 0)->value;
  if (value->kind < DUNLIN_MAP) return txn_fail(doc, DUNLIN_EKIND);
  op.a = (uint32_t)value->kind;
  op.number = doc->containers[value->as.obj.index]->generation;
  return perform(doc, &op, NULL);
}

int txn_revive(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, dunlin_obj child) {
  const struct container *c = doc->containers[child.index];
  struct op op = {.kind = OP_MAP_CHILD,
                  .container = map.index,
                  .a = (uint32_t)c->kind,
                  .len = 1,
                  .key = key,
                  .number = c->generation};
  struct map_entry *entry;
  int error = map_prepare(doc, &op, &entry);
  return error ? error : perform(doc, &op, NULL);
}

/* ---- Lists -------------------------------------------------------------------------------------------------- */

/* What every write on a list begins with; `*c` is the list. */
static int list_prepare(dunlin_doc *doc, dunlin_obj list, struct op *op, const struct container **c) {
  int error = txn_writable(doc);
  if (error) return error;
  *c = container_of(doc, list, DUNLIN_LIST);
  error = *c ? container_touch(doc, list.index) : DUNLIN_EKIND;
  op->container = list.index;
  return error ? txn_fail(doc, error) : 0;
}

/* The index of the change for item `index` of what shows. */
static int list_item(dunlin_doc *doc, const struct container *c, size_t index, uint32_t *at) {
  *at = index < void_size(doc, c) ? void_item(doc, c, (uint32_t)index) : 0;
  if (index >= void_size(doc, c)) return txn_fail(doc, DUNLIN_ERANGE);
  return *at == VOID_UNNAMED ? txn_fail(doc, DUNLIN_EREFUSED) : 0;
}

static int list_insert_op(dunlin_doc *doc, dunlin_obj list, struct op *op, size_t index, dunlin_obj *out) {
  const struct container *c;
  int error = list_prepare(doc, list, op, &c);
  if (error) return error;
  if (index > void_size(doc, c)) return txn_fail(doc, DUNLIN_ERANGE);
  op->a = void_gap(doc, c, (uint32_t)index);
  return perform(doc, op, out);
}

int dunlin_list_insert(dunlin_doc *doc, dunlin_obj list, size_t index, struct dunlin_value value) {
  struct op op = {.kind = OP_LIST_INSERT, .len = 1, .value = value};
  int error = txn_writable(doc) ? 0 : check_value(&value);
  return error ? txn_fail(doc, error) : list_insert_op(doc, list, &op, index, NULL);
}

int dunlin_list_set(dunlin_doc *doc, dunlin_obj list, size_t index, struct dunlin_value value) {
  struct op op = {.kind = OP_LIST_SET, .len = 1, .value = value};
  const struct container *c;
  int error = txn_writable(doc) ? 0 : check_value(&value);
  if (error) return txn_fail(doc, error);
  error = list_prepare(doc, list, &op, &c);
  if (!error) error = list_item(doc, c, index, &op.a);
  if (error) return error;
  uint32_t element = list_element_at(c, op.a);
  const struct reg *reg = element == LIST_NONE ? NULL : &c->as.list->list.elements[element];
  return reg && is_settled_value(doc, reg, &value) ? 0 : perform(doc, &op, NULL);
}

int dunlin_list_append(dunlin_doc *doc, dunlin_obj list, struct dunlin_value value) {
  size_t size = dunlin_list_size(doc, list);
  if (size == SIZE_MAX) return txn_writable(doc) ? txn_writable(doc) : txn_fail(doc, DUNLIN_ENOMEM);
  return dunlin_list_insert(doc, list, size, value);
}

dunlin_obj dunlin_list_insert_child(dunlin_doc *doc, dunlin_obj list, size_t index, enum dunlin_kind kind) {
  struct op op = {.kind = OP_LIST_CHILD, .len = 1, .number = (uint32_t)kind};
  dunlin_obj child = DUNLIN_NONE;
  int error = txn_writable(doc);
  if (!error && (kind < DUNLIN_MAP || kind > KIND_LAST)) error = txn_fail(doc, DUNLIN_EINVAL);
  if (!error) error = list_insert_op(doc, list, &op, index, &child);
  return error ? DUNLIN_NONE : child;
}

static int list_set_child(dunlin_doc *doc, dunlin_obj list, size_t index, enum dunlin_kind kind, dunlin_obj *out) {
  struct op op = {.kind = OP_LIST_SET_CHILD, .len = 1, .number = (uint32_t)kind};
  const struct container *c;
  int error = txn_writable(doc);
  if (error) return error;
  if (kind < DUNLIN_MAP || kind > KIND_LAST) return txn_fail(doc, DUNLIN_EINVAL);
  error = list_prepare(doc, list, &op, &c);
  if (!error) error = list_item(doc, c, index, &op.a);
  return error ? error : perform(doc, &op, out);
}

dunlin_obj dunlin_list_set_child(dunlin_doc *doc, dunlin_obj list, size_t index, enum dunlin_kind kind) {
  dunlin_obj child = DUNLIN_NONE;
  return list_set_child(doc, list, index, kind, &child) ? DUNLIN_NONE : child;
}

/* Deletes `count` items from `index` on of what shows, a row for each part that the change can name as one. */
static int delete_items(dunlin_doc *doc, const struct container *c, struct op *op, size_t index, size_t count) {
  int error = index > void_size(doc, c) || count > void_size(doc, c) - index ? txn_fail(doc, DUNLIN_ERANGE) : 0;
  while (!error && count) {
    op->len = (uint32_t)count;
    op->a = void_items(doc, c, (uint32_t)index, &op->len);
    count -= op->len;
    if (op->a == VOID_UNNAMED) return txn_fail(doc, DUNLIN_EREFUSED);
    if (doc->undo) error = undo_note_gone(doc, op->container, (uint32_t)index, op->a, op->len);
    error = error ? txn_fail(doc, error) : perform(doc, op, NULL);
  }
  return error;
}

int dunlin_list_delete(dunlin_doc *doc, dunlin_obj list, size_t index, size_t count) {
  struct op op = {.kind = OP_DELETE};
  const struct container *c;
  if (!count && !txn_writable(doc)) return 0;
  int error = list_prepare(doc, list, &op, &c);
  return error ? error : delete_items(doc, c, &op, index, count);
}

int txn_list_move(dunlin_doc *doc, dunlin_obj list, size_t from, size_t gap) {
  struct op op = {.kind = OP_LIST_MOVE, .len = 1};
  const struct container *c;
  int error = list_prepare(doc, list, &op, &c);
  if (!error) error = list_item(doc, c, from, &op.a);
  if (error) return error;
  op.number = void_gap(doc, c, (uint32_t)gap);
  return perform(doc, &op, NULL);
}

int dunlin_list_move(dunlin_doc *doc, dunlin_obj list, size_t from, size_t to) {
  struct op op = {.kind = OP_LIST_MOVE};
  const struct container *c;
  int error = list_prepare(doc, list, &op, &c);
  if (error) return error;
  if (from >= void_size(doc, c) || to >= void_size(doc, c)) return txn_fail(doc, DUNLIN_ERANGE);
  return from == to ? 0 : txn_list_move(doc, list, from, to > from ? to + 1 : to);
}

/* ---- Text and counters -------------------------------------------------------------------------------------- */

/* There is text that is not ASCII from now on: units differ. */
static void note_wide(dunlin_doc *doc) {
  doc->text_wide = true;
  if (doc->unit != DUNLIN_SCALARS) doc->open.plain = NULL;
}

/* Typing: what is inserted joins both the row and the edit that waits.  Does nothing and says so when it is not that
 * simple. */
static bool type_on(dunlin_doc *doc, dunlin_obj text, size_t index, const char *utf8, size_t len) {
  struct text *t = doc->open.plain;
  struct oplog_row *row = &doc->open.row;
  struct buf *column = &doc->text.buf;
  enum { most = 64 };
  if (!t || doc->open.row_container != text.index || row->kind != OP_TEXT_INSERT || index != row->a + row->len)
    return false;
  if (t->last.what != TEXT_INSERT || !len || !utf8 || len > most || len > column->cap - column->len ||
      !text_may_grow(t, len) || doc->open.index > DUNLIN_MAX_DELTA_OPS - most)
    return false; /* an edit that waits, and is of the row's kind, ends where the row and the column do */
  uint8_t *to = column->data + column->len;
  size_t scalars = 1;
  if (len > 1 || (uint8_t)*utf8 > 0x7f) {
    if (!utf8_valid(utf8, len, &scalars)) return false;
    if (scalars != len) note_wide(doc);
    memcpy(to, utf8, len);
  } else {
    *to = (uint8_t)*utf8;
  }
  column->len += len;
  t->last.len += (uint32_t)scalars;
  t->last.bytes += (uint32_t)len;
  t->size += (uint32_t)scalars;
  row->len += (uint32_t)scalars;
  doc->open.index += (uint32_t)scalars;
  return true;
}

/* Deleting on, forwards or backwards, likewise. */
static bool delete_on(dunlin_doc *doc, dunlin_obj text, size_t index, size_t count) {
  struct text *t = doc->open.plain;
  struct oplog_row *row = &doc->open.row;
  if (!t || doc->open.row_container != text.index || row->kind != OP_DELETE) return false;
  if (index > t->size || count > t->size - index || count > DUNLIN_MAX_DELTA_OPS - doc->open.index) return false;
  if (index != row->a && index + count != row->a) return false;
  if (doc->undo) return false;                                                   /* what goes has to be kept */
  if (text_erase(t, &doc->text, (uint32_t)index, (uint32_t)count)) return false; /* nothing has changed */
  rows_join(OP_DELETE, &row->a, &row->len, (uint32_t)index, (uint32_t)count);
  doc->open.index += (uint32_t)count;
  return true;
}

/* Whether an edit of the text, which the open transaction has touched, changes nothing but row and text. */
static bool is_plain(const dunlin_doc *doc, const struct container *c) {
  const struct text_state *t = c->as.text;
  return !t->sequence.walks && !t->has_marks && !c->unknown.count && c->void_from == LV_NONE && !doc->watch &&
         (!doc->text_wide || doc->unit == DUNLIN_SCALARS);
}

static int delete_plain(dunlin_doc *doc, struct text *t, uint32_t container, uint32_t at, uint32_t len) {
  if (len > DUNLIN_MAX_DELTA_OPS - doc->open.index) return DUNLIN_ELIMIT;
  int error = doc->undo ? undo_note_gone(doc, container, at, at, len) : 0;
  if (!error) error = text_erase(t, &doc->text, at, len);
  return error ? error : row_add(doc, container, &(struct oplog_row){.kind = OP_DELETE, .a = at, .len = len});
}

static int insert_plain(dunlin_doc *doc, struct text *t, uint32_t container, uint32_t at, struct dunlin_bytes utf8,
                        uint32_t scalars) {
  uint32_t column = column_end(&doc->text);
  if (scalars > DUNLIN_MAX_DELTA_OPS - doc->open.index || scalars > LV_LIMIT / 4 - t->size) return DUNLIN_ELIMIT;
  buf_append(&doc->text.buf, utf8.data, utf8.len);
  int error = doc->text.buf.error;
  if (!error) error = text_insert(t, &doc->text, at, scalars, column, (uint32_t)utf8.len);
  if (error) return error;
  return row_add(doc, container, &(struct oplog_row){.kind = OP_TEXT_INSERT, .a = at, .len = scalars, .at = column});
}

/* An edit of such a text somewhere else than the last one. */
static int splice_plain(dunlin_doc *doc, struct text *t, uint32_t container, size_t index, size_t remove,
                        struct dunlin_bytes utf8) {
  size_t scalars = 0;
  int error = 0;
  if (index > t->size || remove > t->size - index) error = DUNLIN_ERANGE;
  else if (utf8.len && !utf8.data) error = DUNLIN_EINVAL;
  else if (utf8.len > DUNLIN_MAX_CHANGE) error = DUNLIN_ELIMIT;
  else if (!utf8_valid(utf8.data, utf8.len, &scalars)) error = DUNLIN_EUTF8;
  if (!error && remove) error = delete_plain(doc, t, container, (uint32_t)index, (uint32_t)remove);
  if (!error && scalars) error = insert_plain(doc, t, container, (uint32_t)index, utf8, (uint32_t)scalars);
  if (error) return txn_fail(doc, error);
  if (remove || scalars) doc->open.plain = t;
  if (scalars != utf8.len) note_wide(doc);
  return 0;
}

struct text_delete {
  dunlin_doc *doc;
  const struct container *text;
  struct op op;
};

static int delete_part(void *ctx, uint32_t at, uint32_t len) {
  struct text_delete *d = ctx;
  return delete_items(d->doc, d->text, &d->op, at, len);
}

/* Inserts at a place among characters and anchors. */
static int insert_text(dunlin_doc *doc, const struct container *c, dunlin_obj text, uint32_t at,
                       struct dunlin_bytes utf8, size_t scalars) {
  struct op op = {.kind = OP_TEXT_INSERT,
                  .container = text.index,
                  .a = void_gap(doc, c, at),
                  .len = (uint32_t)scalars,
                  .at = column_end(&doc->text),
                  .bytes = (uint32_t)utf8.len};
  if (scalars != utf8.len) note_wide(doc);
  buf_append(&doc->text.buf, utf8.data, utf8.len);
  if (doc->text.buf.error) return txn_fail(doc, doc->text.buf.error);
  return perform(doc, &op, NULL);
}

/* Gets the text ready for a write. */
static int text_prepare(dunlin_doc *doc, dunlin_obj text, struct container **c) {
  int error = txn_writable(doc);
  if (error) return error;
  *c = container_of(doc, text, DUNLIN_TEXT);
  error = *c ? container_touch(doc, text.index) : DUNLIN_EKIND;
  return error ? txn_fail(doc, error) : 0;
}

/* An edit of a text that has been touched, whatever else has to be done. */
static int splice(dunlin_doc *doc, struct container *c, dunlin_obj text, size_t index, size_t remove,
                  struct dunlin_bytes utf8) {
  struct places places;
  size_t scalars = 0, end = 0;
  int error;
  if (remove > SIZE_MAX - index) return txn_fail(doc, DUNLIN_ERANGE);
  error = unit_in(doc, c, index + remove, &end);
  if (!error) error = unit_in(doc, c, index, &index);
  if (error) return txn_fail(doc, error);
  remove = end - index;
  error = places_begin(&places, doc, c);
  if (!error) {
    if (index > places.size || remove > places.size - index) error = DUNLIN_ERANGE;
    else if (utf8.len && !utf8.data) error = DUNLIN_EINVAL;
    else if (utf8.len > DUNLIN_MAX_CHANGE) error = DUNLIN_ELIMIT;
    else if (!utf8_valid(utf8.data, utf8.len, &scalars)) error = DUNLIN_EUTF8;
  }
  if (!error && remove) {
    struct text_delete gone = {doc, c, {.kind = OP_DELETE, .container = text.index}};
    error = places_each_gone(&places, (uint32_t)index, (uint32_t)(index + remove), delete_part, &gone);
    if (!error && utf8.len) error = places_begin(&places, doc, c);
  }
  if (!error && utf8.len) error = insert_text(doc, c, text, places_gap(&places, (uint32_t)index), utf8, scalars);
  return error ? txn_fail(doc, error) : 0;
}

int dunlin_text_splice(dunlin_doc *doc, dunlin_obj text, size_t index, size_t remove, const char *utf8, size_t len) {
  if (remove ? !len && delete_on(doc, text, index, remove) : type_on(doc, text, index, utf8, len)) return 0;
  struct dunlin_bytes bytes = {utf8, len};
  if (doc->open.plain && doc->open.row_container == text.index)
    return splice_plain(doc, doc->open.plain, text.index, index, remove, bytes);
  struct container *c;
  int error = text_prepare(doc, text, &c);
  if (error) return error;
  if (is_plain(doc, c)) return splice_plain(doc, &c->as.text->text, text.index, index, remove, bytes);
  return splice(doc, c, text, index, remove, bytes);
}
/* The index of the change for an anchor before or behind character `at`: before or behind it whatever else is there. */
static uint32_t anchor_index(const struct places *p, size_t at, bool is_opening) {
  if (!is_opening) return void_gap(p->doc, p->text, places_behind(p, (uint32_t)at));
  uint32_t entity = places_entity(p, (uint32_t)at);
  if (entity == p->entities) return version_size(p->text);
  uint32_t item = void_item(p->doc, p->text, entity);
  return item == VOID_UNNAMED ? void_gap(p->doc, p->text, entity) : item;
}

static int mark(dunlin_doc *doc, struct container *c, const struct places *places, struct op *start, size_t from,
                size_t to, unsigned flags) {
  bool same = false;
  int error =
      places->is_earlier ? 0 : marks_say(doc, c, (uint32_t)from, (uint32_t)to, start->key, &start->value, &same);
  if (error || same) return error ? txn_fail(doc, error) : 0;
  struct op end = {.kind = OP_MARK_END, .container = start->container, .len = 1};
  start->kind = OP_MARK_START;
  if (flags & DUNLIN_GROWS_AT_START) start->kind = OP_MARK_START_GROWS;
  if (flags & DUNLIN_GROWS_AT_END) end.kind = OP_MARK_END_GROWS;
  start->a = anchor_index(places, from, op_is_opening(start->kind));
  end.a = anchor_index(places, to, op_is_opening(end.kind)) + 1; /* the start is there then */
  error = perform(doc, start, NULL);
  return error ? error : perform(doc, &end, NULL);
}

int dunlin_text_mark(dunlin_doc *doc, dunlin_obj text, size_t from, size_t to, struct dunlin_bytes key,
                     struct dunlin_value value, unsigned flags) {
  struct op start = {.container = text.index, .len = 1, .key = key, .value = value};
  struct container *c;
  struct places places;
  int error = text_prepare(doc, text, &c);
  if (error) return error;
  error = flags & ~(unsigned)(DUNLIN_GROWS_AT_START | DUNLIN_GROWS_AT_END) ? DUNLIN_EINVAL : 0;
  if (!error) error = check_string(key, DUNLIN_MAX_KEY, true);
  if (!error) error = check_value(&value);
  if (!error) error = unit_in(doc, c, from, &from);
  if (!error) error = unit_in(doc, c, to, &to);
  if (error) return txn_fail(doc, error);
  error = places_begin(&places, doc, c);
  if (!error && (from > to || to > places.size)) error = DUNLIN_ERANGE;
  if (error) txn_fail(doc, error);
  else if (from < to) error = mark(doc, c, &places, &start, from, to, flags);
  return error;
}

int txn_mark(dunlin_doc *doc, dunlin_obj text, uint32_t from, uint32_t to, struct dunlin_bytes key,
             struct dunlin_value value, uint8_t start_kind, uint8_t end_kind) {
  struct op start = {.kind = start_kind, .container = text.index, .len = 1, .key = key, .value = value};
  struct op end = {.kind = end_kind, .container = text.index, .len = 1};
  struct container *c;
  int error = text_prepare(doc, text, &c);
  if (error) return error;
  start.a = void_gap(doc, c, from);
  end.a = void_gap(doc, c, to) + 1; /* the start is there then */
  error = perform(doc, &start, NULL);
  return error ? error : perform(doc, &end, NULL);
}

int txn_insert_text(dunlin_doc *doc, dunlin_obj text, uint32_t at, struct dunlin_bytes utf8, size_t scalars) {
  struct container *c;
  int error = text_prepare(doc, text, &c);
  return error ? error : insert_text(doc, c, text, at, utf8, scalars);
}

int txn_erase(dunlin_doc *doc, dunlin_obj obj, uint32_t at, uint32_t len) {
  struct op op = {.kind = OP_DELETE, .container = obj.index};
  int error = txn_touch(doc, obj);
  return error ? error : delete_items(doc, doc->containers[obj.index], &op, at, len);
}

int dunlin_counter_add(dunlin_doc *doc, dunlin_obj counter, int64_t amount) {
  struct op op = {.kind = OP_COUNTER_ADD, .container = counter.index, .len = 1, .amount = amount};
  int error = txn_writable(doc);
  if (error) return error;
  if (!container_of(doc, counter, DUNLIN_COUNTER)) return txn_fail(doc, DUNLIN_EKIND);
  return amount ? perform(doc, &op, NULL) : 0;
}

/* ---- Max, min, first ---------------------------------------------------------------------------------------- */

int dunlin_offer(dunlin_doc *doc, dunlin_obj obj, struct dunlin_value value) {
  struct op op = {.kind = OP_OFFER, .container = obj.index, .len = 1, .value = value};
  int error = txn_writable(doc);
  if (error) return error;
  const struct container *c = obj.index < doc->container_count ? doc->containers[obj.index] : NULL;
  error = c && is_offer(c->kind) ? check_value(&value) : DUNLIN_EKIND;
  if (!error) error = offer_check(c->kind, &value);
  if (error) return txn_fail(doc, error);
  const struct reg_write *shown = c->as.offer.count ? reg_at(&c->as.offer, 0) : NULL;
  bool idle = shown && (c->kind == DUNLIN_FIRST ? graph_seen(&doc->graph, shown->lv)
                                                : !offer_beats(c->kind, &value, &shown->value));
  return idle ? 0 : perform(doc, &op, NULL);
}

/* ---- Sets --------------------------------------------------------------------------------------------------- */

/* Adds or removes a member, unless that changes nothing. */
static int set_write(dunlin_doc *doc, dunlin_obj set, uint8_t kind, struct dunlin_value value) {
  struct op op = {.kind = kind, .container = set.index, .len = 1, .value = value};
  uint8_t bytes[DUNLIN_MAX_KEY];
  int error = txn_writable(doc);
  if (error) return error;
  const struct container *c = set.index < doc->container_count ? doc->containers[set.index] : NULL;
  error = c && is_set(c->kind) ? check_value(&value) : DUNLIN_EKIND;
  if (!error && kind == OP_SET_REMOVE && c->kind == DUNLIN_GROWING_SET) error = DUNLIN_EINVAL;
  if (!error) error = member_key(&value, bytes, &op.key);
  if (error) return txn_fail(doc, error);
  const struct map_entry *entry = map_find(&c->as.map, op.key);
  bool is_there = entry && has_seen_any(doc, &entry->reg);
  return is_there == (kind == OP_OFFER) ? 0 : perform(doc, &op, NULL);
}

int dunlin_set_add(dunlin_doc *doc, dunlin_obj set, struct dunlin_value value) {
  return set_write(doc, set, OP_OFFER, value);
}

int dunlin_set_remove(dunlin_doc *doc, dunlin_obj set, struct dunlin_value value) {
  return set_write(doc, set, OP_SET_REMOVE, value);
}

int dunlin_set_toggle(dunlin_doc *doc, dunlin_obj set, struct dunlin_value value) {
  return dunlin_set_has(doc, set, value) ? dunlin_set_remove(doc, set, value) : dunlin_set_add(doc, set, value);
}

/* ---- Writes that name what they replace --------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
  return memcmp(a, b, WRITE_NAME);
}

/* The names of these writes, in `out`, which has room for WRITE_NAMES_MAX. */
static int name_writes(dunlin_doc *doc, const uint32_t *lvs, size_t count, uint8_t *out, struct dunlin_bytes *names) {
  *names = (struct dunlin_bytes){out, 0};
  if (count > WRITE_NAMES_MAX) return DUNLIN_ELIMIT;
  for (size_t i = 0; i < count; i++) {
    if (lvs[i] >= doc->open.lv) continue; /* its own are replaced in any case */
    uint32_t change = graph_change_at(&doc->graph, lvs[i]);
    struct dunlin_id id;
    int error = names_id(doc, change, &id);
    if (error) return error;
    memcpy(out + names->len, id.bytes, sizeof id.bytes);
    put_be32(out + names->len + sizeof id.bytes, lvs[i] - graph_start(&doc->graph, change));
    names->len += WRITE_NAME;
  }
  if (names->len) qsort(out, names->len / WRITE_NAME, WRITE_NAME, by_name);
  return 0;
}

static int perform_over(dunlin_doc *doc, struct op *op, const uint32_t *over, size_t count) {
  uint8_t bytes[WRITE_NAMES_MAX * WRITE_NAME];
  int error = name_writes(doc, over, count, bytes, &op->names);
  return error ? txn_fail(doc, error) : perform(doc, op, NULL);
}

int txn_put_over(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, const struct reg_write *write,
                 const uint32_t *over, size_t count) {
  struct op op = {.kind = write ? OP_MAP_SET_OVER : OP_MAP_DELETE_OVER, .container = map.index, .len = 1, .key = key};
  struct map_entry *entry;
  int error = map_prepare(doc, &op, &entry);
  if (error) return error;
  if (write) op.a = write->class;
  if (write) op.value = write->value;
  error = check_value(&op.value);
  return error ? txn_fail(doc, error) : perform_over(doc, &op, over, count);
}

int txn_set_over(dunlin_doc *doc, dunlin_obj list, size_t index, const struct dunlin_value *value, const uint32_t *over,
                 size_t count) {
  struct op op = {.kind = OP_LIST_SET_OVER, .len = 1, .value = *value};
  const struct container *c;
  int error = txn_writable(doc) ? 0 : check_value(value);
  if (error) return txn_fail(doc, error);
  error = list_prepare(doc, list, &op, &c);
  if (!error) error = list_item(doc, c, index, &op.a);
  return error ? error : perform_over(doc, &op, over, count);
}
