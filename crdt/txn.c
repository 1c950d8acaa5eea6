/* Writing: transactions, and the columns of the change that they become. */
#include <string.h>

#include "crdt/internal.h"

/* ---- Begin, commit, abort ----------------------------------------------------------------------------------- */

static int begin(dunlin_doc *doc, const uint32_t *heads, size_t count) {
  if (count > DUNLIN_MAX_PARENTS) return DUNLIN_ELIMIT;
  int error = doc_walk(doc, heads, count);
  if (error) return error;
  const struct graph_actor *self = &doc->graph.actors[doc->actor];
  int64_t reached = graph_actor_reached(&doc->graph, doc->actor);
  /* Every change of ours must lie in the version, or this one would be a fork. */
  if ((int64_t)self->count != reached + 1) return DUNLIN_EINVAL;
  error = open_change(doc, doc->actor, (uint64_t)(reached + 1), 0, NULL);
  if (error) return error;
  doc->txn.error = 0;
  doc->txn.row_count = doc->txn.value_count = 0;
  buf_clear(&doc->txn.text);
  buf_clear(&doc->txn.values);
  return 0;
}

/* What somebody else wants done first. */
static int before_begin(dunlin_doc *doc) {
  if (doc->open.is_open) return DUNLIN_ESTATE;
  return doc->begin_hook ? doc->begin_hook(doc->begin_ctx) : 0;
}

int dunlin_begin(dunlin_doc *doc) {
  int error = before_begin(doc);
  if (error) return error;
  return begin(doc, doc->graph.heads, doc->graph.head_count);
}

int dunlin_begin_at(dunlin_doc *doc, const struct dunlin_id *heads, size_t count) {
  int error = before_begin(doc);
  if (error) return error;
  if (count > DUNLIN_MAX_PARENTS) return DUNLIN_ELIMIT;
  if (ENV_GROW(doc->env, doc->scratch, doc->scratch_cap, count)) return DUNLIN_ENOMEM;
  size_t distinct = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t change = idmap_get(&doc->graph.ids, &heads[i]);
    if (change == IDMAP_NONE) return DUNLIN_ENOENT;
    bool repeated = false;
    for (size_t k = 0; k < distinct; k++) repeated |= doc->scratch[k] == change;
    if (!repeated) doc->scratch[distinct++] = change;
  }
  return begin(doc, doc->scratch, distinct);
}

void dunlin_abort(dunlin_doc *doc) {
  if (doc->open.is_open) open_change_revert(doc);
}

/* ---- The canonical change ----------------------------------------------------------------------------------- */

/* Gives each container that a row writes to its number in the columns; returns how many are not made by this change. */
static size_t number_containers(dunlin_doc *doc) {
  uint64_t self = ++doc->stamp;
  size_t external = 0;
  for (size_t i = 0; i < doc->open.made_count; i++) {
    struct container *c = doc->containers[doc->open.made[i]];
    if (!c->provisional || c->ref_stamp == self) continue;
    c->ref = (uint32_t)i; /* behind the external ones, whose count is not known yet */
    c->ref_stamp = self;
  }
  for (size_t i = 0; i < doc->txn.row_count; i++) {
    struct container *c = doc->containers[doc->txn.rows[i].container];
    if (c->provisional || c->ref_stamp == self) continue;
    c->ref = (uint32_t)external++;
    c->ref_stamp = self;
  }
  return external;
}

/* Parents that are not the actor's own previous change, sorted, behind that; then the actor where it is not implied. */
static void write_refs(const dunlin_doc *doc, struct buf *out) {
  const struct graph *g = &doc->graph;
  const struct graph_change *change = &g->changes[doc->open.change];
  uint8_t *ids = buf_extend(out, 32 * change->parent_count);
  size_t sorted_from = 0, count = 0;
  for (uint32_t i = 0; ids && i < change->parent_count; i++) {
    const struct graph_change *parent = &g->changes[g->parents[change->parents + i]];
    size_t at = count++;
    if (parent->actor == change->actor && parent->number + 1 == change->number) {
      memmove(ids + 32, ids, 32 * at);
      at = 0;
      sorted_from = 1;
    } else {
      for (; at > sorted_from && memcmp(ids + 32 * (at - 1), parent->id.bytes, 32) > 0; at--)
        memcpy(ids + 32 * at, ids + 32 * (at - 1), 32);
    }
    memcpy(ids + 32 * at, parent->id.bytes, 32);
  }
  if (!sorted_from) buf_append(out, g->actors[change->actor].name.bytes, sizeof(struct dunlin_actor));
}

static void write_containers(dunlin_doc *doc, size_t external, struct buf *out) {
  struct container_id *ids = (void *)buf_extend(out, external * sizeof *ids);
  for (size_t i = 0; ids && i < doc->txn.row_count; i++) {
    const struct container *c = doc->containers[doc->txn.rows[i].container];
    if (!c->provisional) ids[c->ref] = c->id;
  }
}

static void write_rows(const dunlin_doc *doc, size_t external, struct buf *out) {
  mp_write_array(out, 3 * doc->txn.row_count);
  for (size_t i = 0; i < doc->txn.row_count; i++) {
    const struct txn_row *row = &doc->txn.rows[i];
    const struct container *c = doc->containers[row->container];
    uint64_t ref = c->ref + (c->provisional ? external : 0);
    if (ref >= 1u << (32 - OP_KIND_BITS)) out->error = DUNLIN_ELIMIT;
    mp_write_uint(out, ref << OP_KIND_BITS | row->kind);
    mp_write_uint(out, row->a);
    mp_write_uint(out, row->len);
  }
}

static int write_change(dunlin_doc *doc, int64_t time, struct buf *out) {
  size_t external = number_containers(doc);
  const struct txn *txn = &doc->txn;
  struct buf bin;
  buf_init(&bin, doc->env, DUNLIN_MAX_CHANGE);
  mp_write_array(out, time ? 7 : txn->value_count ? 6 : txn->text.len ? 5 : 4);
  write_refs(doc, &bin);
  mp_write_bin(out, bin.data, bin.len);
  mp_write_uint(out, doc->graph.changes[doc->open.change].number);
  bin.len = 0;
  write_containers(doc, external, &bin);
  mp_write_bin(out, bin.data, bin.len);
  write_rows(doc, external, out);
  if (txn->text.len || txn->value_count || time) mp_write_str(out, txn->text.data, txn->text.len);
  if (txn->value_count || time) mp_write_array(out, txn->value_count);
  buf_append(out, txn->values.data, txn->values.len);
  if (time) mp_write_int(out, time);
  int error = txn->text.error     ? txn->text.error
              : txn->values.error ? txn->values.error
              : bin.error         ? bin.error
                                  : out->error;
  buf_free(&bin);
  return error;
}

/* Gives the containers that the change made their ids, parents first. */
static int name_containers(dunlin_doc *doc, const struct dunlin_id *id) {
  for (size_t i = 0; i < doc->open.made_count; i++) {
    uint32_t at = doc->open.made[i];
    struct container *c = doc->containers[at], *parent = doc->containers[c->parent];
    if (!c->provisional) continue;
    struct container_id name;
    if (parent->kind == DUNLIN_MAP)
      name = child_id(doc, &parent->id, parent->as.map.entries[c->entry].key, c->kind, c->generation);
    else name = item_child_id(doc, id, c->made_index, c->kind);
    int error = container_index(doc, &name, at);
    if (error) return error;
  }
  return 0;
}

int dunlin_commit(dunlin_doc *doc, int64_t time, struct dunlin_id *out) {
  if (!doc->open.is_open || !doc->open.is_local) return DUNLIN_ESTATE;
  if (!doc->txn.row_count && !doc->txn.error) {
    dunlin_abort(doc);
    return 0;
  }
  struct buf bytes;
  struct dunlin_id id;
  buf_init(&bytes, doc->env, DUNLIN_MAX_CHANGE);
  int error = doc->txn.error;
  if (!error) error = write_change(doc, time, &bytes);
  if (!error) {
    struct dunlin_bytes canonical = {bytes.data, bytes.len};
    id = change_id(doc->env, &doc->id, canonical);
    doc->graph.changes[doc->open.change].time = time;
    error = name_containers(doc, &id);
    if (!error && doc->hook) error = doc->hook(doc->hook_ctx, &id, canonical);
    if (!error) error = open_change_settle(doc, &id, canonical);
  }
  if (error) open_change_revert(doc);
  else if (out) *out = id;
  buf_free(&bytes);
  return error ? error : 1;
}

void dunlin_doc_on_commit(dunlin_doc *doc, dunlin_commit_hook *hook, void *ctx) {
  doc->hook = hook;
  doc->hook_ctx = ctx;
}

/* ---- Operations --------------------------------------------------------------------------------------------- */

static int fail(dunlin_doc *doc, int error) {
  if (!doc->txn.error) doc->txn.error = error;
  return error;
}

/* What every write begins with. */
static int writable(const dunlin_doc *doc) {
  if (!doc->open.is_open || !doc->open.is_local) return DUNLIN_ESTATE;
  return doc->txn.error;
}

/* Whether the row goes on where the last one ended, so that both are one. */
static bool joins(struct txn_row *last, const struct op *op) {
  if (last->kind != op->kind || last->container != op->container || last->len > UINT32_MAX - op->len) return false;
  if (op->kind == OP_TEXT_INSERT || op->kind == OP_LIST_INSERT) {
    if (op->a != last->a + last->len) return false;
  } else if (op->kind == OP_DELETE) {
    if (op->a + op->len == last->a) last->a = op->a; /* backspace */
    else if (op->a != last->a) return false;
  } else {
    return false;
  }
  last->len += op->len;
  return true;
}

static void write_columns(struct txn *txn, const struct op *op) {
  if (op->kind & OP_TEXT) buf_append(&txn->text, op->text.data, op->text.len);
  txn->value_count += (op->kind & OP_VALUES) * (size_t)op->len;
  switch (op->kind) {
    case OP_LIST_INSERT:
    case OP_LIST_SET: value_write(&txn->values, &op->value); break;
    case OP_LIST_CHILD:
    case OP_LIST_SET_CHILD:
    case OP_LIST_MOVE: mp_write_uint(&txn->values, op->number); break;
    case OP_MAP_SET:
    case OP_MAP_CHILD:
    case OP_MAP_DELETE: mp_write_str(&txn->values, op->key.data, op->key.len); break;
    case OP_COUNTER_ADD: mp_write_int(&txn->values, op->amount); break;
    default: break;
  }
  if (op->kind == OP_MAP_SET) value_write(&txn->values, &op->value);
  if (op->kind == OP_MAP_CHILD) mp_write_uint(&txn->values, op->number);
}

static int perform(dunlin_doc *doc, const struct op *op, dunlin_obj *made) {
  struct txn *txn = &doc->txn;
  uint32_t container = 0;
  if (ENV_GROW(doc->env, txn->rows, txn->row_cap, txn->row_count + 1)) return fail(doc, DUNLIN_ENOMEM);
  int error = apply_op(doc, op, &container);
  if (error) return fail(doc, error);
  write_columns(txn, op);
  if (txn->text.error || txn->values.error) return fail(doc, txn->text.error ? txn->text.error : txn->values.error);
  if (!txn->row_count || !joins(&txn->rows[txn->row_count - 1], op))
    txn->rows[txn->row_count++] = (struct txn_row){op->kind, op->container, op->a, op->len};
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
static int map_prepare(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, struct map_entry **entry) {
  int error = writable(doc);
  if (error) return error;
  const struct container *c = container_of(doc, map, DUNLIN_MAP);
  error = c ? check_string(key, DUNLIN_MAX_KEY, true) : DUNLIN_EKIND;
  if (error) return fail(doc, error);
  *entry = map_find(&c->as.map, key);
  return 0;
}

static bool has_seen_all(const dunlin_doc *doc, const struct reg *reg) {
  for (uint32_t i = 0; i < reg->count; i++)
    if (!doc->graph.in_version[reg->writes[i].change]) return false;
  return true;
}

static bool is_settled_value(const dunlin_doc *doc, const struct reg *reg, const struct dunlin_value *value) {
  return reg->count == 1 && has_seen_all(doc, reg) && value_same(&reg->writes[0].value, value);
}

int dunlin_map_put(dunlin_doc *doc, dunlin_obj map, const char *key, size_t key_len, struct dunlin_value value) {
  struct op op = {.kind = OP_MAP_SET, .container = map.index, .len = 1, .key = {key, key_len}, .value = value};
  struct map_entry *entry;
  int error = map_prepare(doc, map, op.key, &entry);
  if (error) return error;
  error = check_value(&value);
  if (error) return fail(doc, error);
  return entry && is_settled_value(doc, &entry->reg, &value) ? 0 : perform(doc, &op, NULL);
}

int dunlin_map_delete(dunlin_doc *doc, dunlin_obj map, const char *key, size_t key_len) {
  struct op op = {.kind = OP_MAP_DELETE, .container = map.index, .len = 1, .key = {key, key_len}};
  struct map_entry *entry;
  int error = map_prepare(doc, map, op.key, &entry);
  if (error) return error;
  return entry && entry->reg.count ? perform(doc, &op, NULL) : 0;
}

/* The winner among the live children of that kind that the walking version has seen; IDMAP_NONE. */
static uint32_t seen_child(const dunlin_doc *doc, const struct map_entry *entry, enum dunlin_kind kind) {
  for (uint32_t i = 0; entry && i < entry->reg.count; i++) {
    const struct reg_write *write = &entry->reg.writes[i];
    if (write->value.kind == kind && doc->graph.in_version[write->change]) return write->value.as.obj.index;
  }
  return IDMAP_NONE;
}

int dunlin_map_child(dunlin_doc *doc, dunlin_obj map, const char *key, size_t key_len, enum dunlin_kind kind,
                     dunlin_obj *out) {
  struct op op = {.kind = OP_MAP_CHILD, .container = map.index, .a = (uint32_t)kind, .len = 1, .key = {key, key_len}};
  struct map_entry *entry;
  int error = map_prepare(doc, map, op.key, &entry);
  if (error) return error;
  if (kind < DUNLIN_MAP || kind > DUNLIN_COUNTER) return fail(doc, DUNLIN_EINVAL);
  uint32_t child = seen_child(doc, entry, kind);
  if (child != IDMAP_NONE) {
    if (out) out->index = child;
    if (!reg_distinct(&entry->reg, 1)) return 0;
    op.number = doc->containers[child]->generation;
    return perform(doc, &op, out);
  }
  int64_t generation = entry ? generation_seen(doc, map.index, entry) : -1;
  if (generation >= UINT32_MAX) return fail(doc, DUNLIN_ELIMIT);
  op.number = (uint32_t)(generation + 1);
  return perform(doc, &op, out);
}

int dunlin_map_touch(dunlin_doc *doc, dunlin_obj map, const char *key, size_t key_len) {
  struct op op = {.kind = OP_MAP_CHILD, .container = map.index, .len = 1, .key = {key, key_len}};
  struct map_entry *entry;
  int error = map_prepare(doc, map, op.key, &entry);
  if (error) return error;
  if (!entry || !entry->reg.count) return fail(doc, DUNLIN_ENOENT);
  const struct dunlin_value *value = &entry->reg.writes[0].value;
  if (value->kind < DUNLIN_MAP) return fail(doc, DUNLIN_EKIND);
  op.a = (uint32_t)value->kind;
  op.number = doc->containers[value->as.obj.index]->generation;
  return perform(doc, &op, NULL);
}

/* ---- Lists -------------------------------------------------------------------------------------------------- */

static int list_op(dunlin_doc *doc, dunlin_obj list, struct op *op, size_t index, dunlin_obj *out) {
  int error = writable(doc);
  if (error) return error;
  if (!container_of(doc, list, DUNLIN_LIST)) return fail(doc, DUNLIN_EKIND);
  if (index > UINT32_MAX) return fail(doc, DUNLIN_ERANGE);
  op->container = list.index;
  op->a = (uint32_t)index;
  return perform(doc, op, out);
}

int dunlin_list_insert(dunlin_doc *doc, dunlin_obj list, size_t index, struct dunlin_value value) {
  struct op op = {.kind = OP_LIST_INSERT, .len = 1, .value = value};
  int error = writable(doc) ? 0 : check_value(&value);
  return error ? fail(doc, error) : list_op(doc, list, &op, index, NULL);
}

int dunlin_list_set(dunlin_doc *doc, dunlin_obj list, size_t index, struct dunlin_value value) {
  struct op op = {.kind = OP_LIST_SET, .len = 1, .value = value};
  int error = writable(doc);
  if (error) return error;
  error = check_value(&value);
  if (error) return fail(doc, error);
  const struct container *c = container_of(doc, list, DUNLIN_LIST);
  uint32_t item = c ? seq_version_at(&c->as.seq, index) : SEQ_NONE;
  if (item != SEQ_NONE && is_settled_value(doc, &c->as.seq.elements[c->as.seq.items[item].value].reg, &value)) return 0;
  return list_op(doc, list, &op, index, NULL);
}

static int list_child(dunlin_doc *doc, dunlin_obj list, uint8_t op_kind, size_t index, enum dunlin_kind kind,
                      dunlin_obj *out) {
  struct op op = {.kind = op_kind, .len = 1, .number = (uint32_t)kind};
  int error = writable(doc);
  if (error) return error;
  if (kind < DUNLIN_MAP || kind > DUNLIN_COUNTER) return fail(doc, DUNLIN_EINVAL);
  return list_op(doc, list, &op, index, out);
}

int dunlin_list_insert_child(dunlin_doc *doc, dunlin_obj list, size_t index, enum dunlin_kind kind, dunlin_obj *out) {
  return list_child(doc, list, OP_LIST_CHILD, index, kind, out);
}

int dunlin_list_set_child(dunlin_doc *doc, dunlin_obj list, size_t index, enum dunlin_kind kind, dunlin_obj *out) {
  return list_child(doc, list, OP_LIST_SET_CHILD, index, kind, out);
}

int dunlin_list_delete(dunlin_doc *doc, dunlin_obj list, size_t index, size_t count) {
  struct op op = {.kind = OP_DELETE, .len = (uint32_t)count};
  if (!writable(doc) && count > UINT32_MAX) return fail(doc, DUNLIN_ERANGE);
  return count || writable(doc) ? list_op(doc, list, &op, index, NULL) : 0;
}

int dunlin_list_move(dunlin_doc *doc, dunlin_obj list, size_t from, size_t to) {
  struct op op = {.kind = OP_LIST_MOVE, .len = 1};
  int error = writable(doc);
  if (error) return error;
  const struct container *c = container_of(doc, list, DUNLIN_LIST);
  if (!c) return fail(doc, DUNLIN_EKIND);
  if (from >= c->as.seq.version_shown || to >= c->as.seq.version_shown) return fail(doc, DUNLIN_ERANGE);
  if (from == to) return 0;
  op.number = (uint32_t)(to > from ? to + 1 : to); /* counted while the element is still where it was */
  return list_op(doc, list, &op, from, NULL);
}

/* ---- Text and counters -------------------------------------------------------------------------------------- */

int dunlin_text_splice(dunlin_doc *doc, dunlin_obj text, size_t index, size_t remove, const char *utf8, size_t len) {
  int error = writable(doc);
  if (error) return error;
  const struct container *c = container_of(doc, text, DUNLIN_TEXT);
  size_t scalars = 0, size = c ? c->as.seq.version_shown : 0;
  if (!c) error = DUNLIN_EKIND;
  else if (index > size || remove > size - index) error = DUNLIN_ERANGE;
  else if (len && !utf8) error = DUNLIN_EINVAL;
  else if (len > DUNLIN_MAX_CHANGE) error = DUNLIN_ELIMIT;
  else if (!utf8_valid(utf8, len, &scalars)) error = DUNLIN_EUTF8;
  if (error) return fail(doc, error);
  if (remove) {
    struct op op = {.kind = OP_DELETE, .container = text.index, .a = (uint32_t)index, .len = (uint32_t)remove};
    error = perform(doc, &op, NULL);
    if (error) return error;
  }
  if (!len) return 0;
  struct op op = {.kind = OP_TEXT_INSERT,
                  .container = text.index,
                  .a = (uint32_t)index,
                  .len = (uint32_t)scalars,
                  .text = {utf8, len}};
  return perform(doc, &op, NULL);
}

int dunlin_counter_add(dunlin_doc *doc, dunlin_obj counter, int64_t amount) {
  struct op op = {.kind = OP_COUNTER_ADD, .container = counter.index, .len = 1, .amount = amount};
  int error = writable(doc);
  if (error) return error;
  if (!container_of(doc, counter, DUNLIN_COUNTER)) return fail(doc, DUNLIN_EKIND);
  return amount ? perform(doc, &op, NULL) : 0;
}
