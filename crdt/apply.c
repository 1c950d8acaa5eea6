/* What operations do to containers, and how to take it back. */
#include <string.h>

#include "crdt/internal.h"

/* ---- The walking version ------------------------------------------------------------------------------------ */

static void leave_change(void *ctx, uint32_t change) {
  dunlin_doc *doc = ctx;
  const struct graph_change *c = &doc->graph.changes[change];
  for (uint32_t i = c->effect_count; i-- > 0;) {
    const struct effect *e = &doc->effects[c->effects + i];
    struct seq *seq = &doc->containers[e->container]->as.seq;
    if (!e->is_delete) seq_leave_insert(seq, &doc->graph, e->first, e->count);
    for (uint32_t k = 0; e->is_delete && k < e->count; k++) seq_leave_delete(seq, e->first + k);
  }
}

static void enter_change(void *ctx, uint32_t change) {
  dunlin_doc *doc = ctx;
  const struct graph_change *c = &doc->graph.changes[change];
  for (uint32_t i = 0; i < c->effect_count; i++) {
    const struct effect *e = &doc->effects[c->effects + i];
    struct seq *seq = &doc->containers[e->container]->as.seq;
    if (!e->is_delete) seq_enter_insert(seq, &doc->graph, e->first, e->count);
    for (uint32_t k = 0; e->is_delete && k < e->count; k++) seq_enter_delete(seq, e->first + k);
  }
}

int doc_walk(dunlin_doc *doc, const uint32_t *to, size_t count) {
  return graph_walk(&doc->graph, to, count, leave_change, enter_change, doc);
}

/* ---- Containers --------------------------------------------------------------------------------------------- */

static struct dunlin_id padded(const struct container_id *id) {
  struct dunlin_id out = {{0}};
  memcpy(out.bytes, id->bytes, sizeof id->bytes);
  return out;
}

static struct container_id id_of_kind(struct dunlin_id hash, enum dunlin_kind kind) {
  struct container_id id;
  memcpy(id.bytes, hash.bytes, sizeof id.bytes);
  id.bytes[0] = (uint8_t)kind;
  return id;
}

struct container_id child_id(dunlin_doc *doc, const struct container_id *parent, struct dunlin_bytes key,
                             enum dunlin_kind kind, uint32_t generation) {
  uint8_t fixed[5] = {(uint8_t)kind};
  put_be32(fixed + 1, generation);
  struct dunlin_bytes parts[] = {{parent->bytes, sizeof parent->bytes}, {fixed, sizeof fixed}, key};
  return id_of_kind(env_hash(doc->env, "dunlin.child.1", parts, 3), kind);
}

struct container_id item_child_id(dunlin_doc *doc, const struct dunlin_id *change, uint32_t index,
                                  enum dunlin_kind kind) {
  uint8_t fixed[5] = {(uint8_t)kind};
  put_be32(fixed + 1, index);
  struct dunlin_bytes parts[] = {{change->bytes, sizeof change->bytes}, {fixed, sizeof fixed}};
  return id_of_kind(env_hash(doc->env, "dunlin.item.1", parts, 2), kind);
}

uint32_t container_find(const dunlin_doc *doc, const struct container_id *id) {
  struct dunlin_id key = padded(id);
  return idmap_get(&doc->container_ids, &key);
}

int container_index(dunlin_doc *doc, const struct container_id *id, uint32_t container) {
  struct dunlin_id key = padded(id);
  doc->containers[container]->id = *id;
  doc->containers[container]->provisional = false;
  return idmap_put(&doc->container_ids, doc->env, &key, container);
}

static bool any_in_version(const dunlin_doc *doc, const struct change_set *set) {
  for (size_t i = 0; i < set->count; i++)
    if (doc->graph.in_version[set->changes[i]]) return true;
  return false;
}

bool container_seen(const dunlin_doc *doc, uint32_t container) {
  return !container || any_in_version(doc, &doc->containers[container]->made);
}

struct container *container_of(const dunlin_doc *doc, dunlin_obj obj, enum dunlin_kind kind) {
  if (obj.index >= doc->container_count) return NULL;
  struct container *c = doc->containers[obj.index];
  return c->kind == kind ? c : NULL;
}

void container_free(dunlin_doc *doc, struct container *c) {
  if (c->kind == DUNLIN_MAP) map_free(&c->as.map);
  if (c->kind == DUNLIN_LIST || c->kind == DUNLIN_TEXT) seq_free(&c->as.seq);
  ENV_FREE_ARRAY(doc->env, c->made.changes, c->made.cap);
  ENV_FREE_ARRAY(doc->env, c->unknown.changes, c->unknown.cap);
  env_free(doc->env, c, sizeof *c);
}

static int set_add(dunlin_doc *doc, struct change_set *set, uint32_t change) {
  if (ENV_GROW(doc->env, set->changes, set->cap, set->count + 1)) return DUNLIN_ENOMEM;
  set->changes[set->count++] = change;
  return 0;
}

static void push_undo(dunlin_doc *doc, struct undo undo) {
  doc->open.undos[doc->open.undo_count++] = undo; /* apply_op() has made room */
}

/* A new container under `parent`; IDMAP_NONE when out of memory. */
static uint32_t container_new(dunlin_doc *doc, enum dunlin_kind kind, uint32_t parent) {
  if (ENV_GROW(doc->env, doc->containers, doc->container_cap, doc->container_count + 1)) return IDMAP_NONE;
  struct container *c = env_calloc(doc->env, 1, sizeof *c);
  if (!c) return IDMAP_NONE;
  c->kind = kind;
  c->parent = parent;
  c->provisional = true;
  c->depth = doc->container_count ? (uint8_t)(doc->containers[parent]->depth + 1) : 0;
  if (kind == DUNLIN_MAP) map_init(&c->as.map, doc->env, doc->seed + doc->container_count);
  if (kind == DUNLIN_LIST || kind == DUNLIN_TEXT) seq_init(&c->as.seq, doc->env, kind == DUNLIN_LIST);
  doc->containers[doc->container_count] = c;
  return (uint32_t)doc->container_count++;
}

static void container_drop_last(dunlin_doc *doc) {
  struct container *c = doc->containers[--doc->container_count];
  struct dunlin_id key = padded(&c->id);
  if (!c->provisional) idmap_remove(&doc->container_ids, &key);
  container_free(doc, c);
}

/* Makes the container, with `id` or (NULL) provisionally, or finds it when another change made it already; the open change
 * counts among its makers. */
static int container_make(dunlin_doc *doc, const struct op *op, enum dunlin_kind kind, const struct container_id *id,
                          uint32_t *out) {
  uint32_t found = id ? container_find(doc, id) : IDMAP_NONE;
  if (found == IDMAP_NONE) {
    if (doc->containers[op->container]->depth + 1u >= DUNLIN_MAX_DEPTH) return DUNLIN_ELIMIT;
    found = container_new(doc, kind, op->container);
    if (found == IDMAP_NONE) return DUNLIN_ENOMEM;
    doc->containers[found]->made_index = doc->open.index;
    int error = id ? container_index(doc, id, found) : 0;
    if (error) {
      doc->containers[found]->provisional = true;
      container_drop_last(doc);
      return error;
    }
    push_undo(doc, (struct undo){.what = UNDO_CONTAINER});
  }
  int error = set_add(doc, &doc->containers[found]->made, doc->open.change);
  if (error) return error;
  push_undo(doc, (struct undo){.what = UNDO_MADE, .container = found});
  *out = found;
  return 0;
}

/* ---- Sequences ---------------------------------------------------------------------------------------------- */

/* Room for one more effect and its undo; then both can be recorded. */
static int effect_reserve(dunlin_doc *doc) {
  int error = ENV_GROW(doc->env, doc->effects, doc->effect_cap, doc->effect_count + 1);
  return error ? error : ENV_GROW(doc->env, doc->open.undos, doc->open.undo_cap, doc->open.undo_count + 1);
}

static void effect_add(dunlin_doc *doc, uint32_t container, uint32_t first, uint32_t count, bool is_delete) {
  doc->effects[doc->effect_count++] = (struct effect){container, first, count, is_delete};
  doc->graph.changes[doc->open.change].effect_count++;
  push_undo(doc,
            (struct undo){
                .what = is_delete ? UNDO_DELETE : UNDO_INSERT, .container = container, .first = first, .count = count});
}

static int insert_items(dunlin_doc *doc, const struct op *op, size_t at, const uint32_t *values, uint32_t count,
                        uint32_t *first) {
  struct seq *seq = &doc->containers[op->container]->as.seq;
  int error = effect_reserve(doc);
  if (!error) error = seq_insert(seq, &doc->graph, doc->open.change, doc->open.index, at, values, count, first);
  if (!error) effect_add(doc, op->container, *first, count, false);
  return error;
}

static int apply_text_insert(dunlin_doc *doc, const struct op *op) {
  uint32_t first;
  if (ENV_GROW(doc->env, doc->scratch, doc->scratch_cap, op->len)) return DUNLIN_ENOMEM;
  const uint8_t *at = op->text.data;
  for (uint32_t i = 0; i < op->len; i++) doc->scratch[i] = utf8_next(&at);
  return insert_items(doc, op, op->a, doc->scratch, op->len, &first);
}

static int apply_delete(dunlin_doc *doc, const struct op *op) {
  struct seq *seq = &doc->containers[op->container]->as.seq;
  if (op->a > seq->version_shown || op->len > seq->version_shown - op->a) return DUNLIN_ERANGE;
  uint32_t item = seq_version_at(seq, op->a);
  for (uint32_t left = op->len; left;) {
    uint32_t first = item, count = 0, next = SEQ_NONE;
    int error = effect_reserve(doc);
    if (error) return error;
    do {
      next = --left ? seq_version_next(seq, item) : SEQ_NONE;
      seq_delete(seq, item);
      count++;
      item++;
    } while (left && next == item);
    effect_add(doc, op->container, first, count, true);
    item = next;
  }
  return 0;
}

/* ---- Registers ---------------------------------------------------------------------------------------------- */

static int write_entry(dunlin_doc *doc, const struct op *op, const struct reg_write *write) {
  struct map *map = &doc->containers[op->container]->as.map;
  uint32_t entry = map_entry_of(map, op->key);
  if (entry == UINT32_MAX) return DUNLIN_ENOMEM;
  struct undo undo = {.what = UNDO_MAP_WRITE, .container = op->container, .entry = entry, .first = doc->open.index};
  int error = reg_apply(&map->entries[entry].reg, &doc->graph, write, &undo.reg);
  if (error) return error;
  map_changed(map);
  push_undo(doc, undo);
  return 0;
}

static int write_element(dunlin_doc *doc, const struct op *op, const struct reg_write *write) {
  struct seq *seq = &doc->containers[op->container]->as.seq;
  uint32_t item = seq_version_at(seq, op->a);
  if (item == SEQ_NONE) return DUNLIN_ERANGE;
  uint32_t element = seq->items[item].value;
  struct undo undo = {.what = UNDO_LIST_WRITE, .container = op->container, .entry = element, .first = doc->open.index};
  int error = reg_apply(&seq->elements[element].reg, &doc->graph, write, &undo.reg);
  if (!error) push_undo(doc, undo);
  return error;
}

static struct reg_write scalar_write(const dunlin_doc *doc, const struct op *op, uint32_t class) {
  return (struct reg_write){.change = doc->open.change, .index = doc->open.index, .class = class, .value = op->value};
}

static struct reg_write child_write(const dunlin_doc *doc, uint32_t child) {
  return (struct reg_write){.change = doc->open.change,
                            .index = doc->open.index,
                            .value = {.kind = doc->containers[child]->kind, .as.obj = {child}}};
}

/* Puts a new element with that write at index op->a. */
static int insert_element(dunlin_doc *doc, const struct op *op, const struct reg_write *write) {
  struct seq *seq = &doc->containers[op->container]->as.seq;
  uint32_t item, element = seq_new_element(seq);
  if (element == SEQ_NONE) return DUNLIN_ENOMEM;
  struct reg_undo nothing;
  int error = reg_apply(&seq->elements[element].reg, &doc->graph, write, &nothing);
  if (!error) error = insert_items(doc, op, op->a, &element, 1, &item);
  if (error) seq_drop_element(seq);
  return error;
}

static int apply_move(dunlin_doc *doc, const struct op *op) {
  struct seq *seq = &doc->containers[op->container]->as.seq;
  uint32_t slot, from = seq_version_at(seq, op->a);
  if (from == SEQ_NONE) return DUNLIN_ERANGE;
  uint32_t element = seq->items[from].value;
  return insert_items(doc, op, op->number, &element, 1, &slot);
}

/* ---- Children ----------------------------------------------------------------------------------------------- */

/* Whether the walking version knows a child of that generation at the entry. */
static bool generation_known(dunlin_doc *doc, uint32_t map, struct dunlin_bytes key, uint32_t generation) {
  for (int kind = DUNLIN_MAP; kind <= DUNLIN_COUNTER; kind++) {
    struct container_id id = child_id(doc, &doc->containers[map]->id, key, (enum dunlin_kind)kind, generation);
    uint32_t found = container_find(doc, &id);
    if (found != IDMAP_NONE && container_seen(doc, found)) return true;
  }
  return false;
}

int64_t generation_seen(dunlin_doc *doc, uint32_t map, const struct map_entry *entry) {
  int64_t generation = entry->generation;
  if (doc->containers[map]->provisional) return generation; /* everything in it is of this transaction */
  while (generation >= 0 && !generation_known(doc, map, entry->key, (uint32_t)generation)) generation--;
  return generation;
}

/* A child that is live at the entry, by kind and generation: how one of a provisional parent is found. */
static uint32_t live_child(const dunlin_doc *doc, const struct map_entry *entry, enum dunlin_kind kind,
                           uint32_t generation) {
  for (uint32_t i = 0; entry && i < entry->reg.count; i++) {
    const struct dunlin_value *value = &entry->reg.writes[i].value;
    if (value->kind == kind && doc->containers[value->as.obj.index]->generation == generation)
      return value->as.obj.index;
  }
  return IDMAP_NONE;
}

static int apply_map_child(dunlin_doc *doc, const struct op *op, uint32_t *made) {
  enum dunlin_kind kind = (enum dunlin_kind)op->a;
  struct container *parent = doc->containers[op->container];
  uint32_t entry = map_entry_of(&parent->as.map, op->key);
  if (entry == UINT32_MAX) return DUNLIN_ENOMEM;
  int error;
  if (parent->provisional) {
    *made = live_child(doc, &parent->as.map.entries[entry], kind, op->number);
    error = *made == IDMAP_NONE ? container_make(doc, op, kind, NULL, made) : 0;
  } else {
    if (op->number && !generation_known(doc, op->container, op->key, op->number - 1) &&
        !generation_known(doc, op->container, op->key, op->number))
      return DUNLIN_ERANGE;
    struct container_id id = child_id(doc, &parent->id, op->key, kind, op->number);
    error = container_make(doc, op, kind, &id, made);
  }
  if (error) return error;
  doc->containers[*made]->entry = entry;
  doc->containers[*made]->generation = op->number;
  struct map_entry *e = &parent->as.map.entries[entry];
  push_undo(
      doc, (struct undo){.what = UNDO_GENERATION, .container = op->container, .entry = entry, .amount = e->generation});
  if (e->generation < (int64_t)op->number) e->generation = op->number;
  struct reg_write write = child_write(doc, *made);
  return write_entry(doc, op, &write);
}

static int apply_item_child(dunlin_doc *doc, const struct op *op, uint32_t *made) {
  enum dunlin_kind kind = (enum dunlin_kind)op->number;
  struct container_id id = {{0}};
  if (doc->open.id) id = item_child_id(doc, doc->open.id, doc->open.index, kind);
  int error = container_make(doc, op, kind, doc->open.id ? &id : NULL, made);
  if (error) return error;
  struct reg_write write = child_write(doc, *made);
  return op->kind == OP_LIST_CHILD ? insert_element(doc, op, &write) : write_element(doc, op, &write);
}

/* ---- One operation ------------------------------------------------------------------------------------------ */

/* An operation of a kind that this version does not know, or one that builds on such: it is kept, and has no effect. */
static int apply_unknown(dunlin_doc *doc, const struct op *op, bool unknown, uint32_t *made) {
  if (unknown) {
    int error = set_add(doc, &doc->containers[op->container]->unknown, doc->open.change);
    if (error) return error;
    push_undo(doc, (struct undo){.what = UNDO_UNKNOWN, .container = op->container});
  }
  return op->kind & OP_CREATES ? container_make(doc, op, DUNLIN_NULL, NULL, made) : 0;
}

static int dispatch(dunlin_doc *doc, const struct op *op, uint32_t *made) {
  struct container *c = doc->containers[op->container];
  struct reg_write write = scalar_write(doc, op, op->kind == OP_MAP_SET ? op->a : 0);
  enum dunlin_kind need = DUNLIN_NULL;
  switch (op->kind) {
    case OP_TEXT_INSERT: need = DUNLIN_TEXT; break;
    case OP_DELETE: need = c->kind == DUNLIN_TEXT ? DUNLIN_TEXT : DUNLIN_LIST; break;
    case OP_LIST_INSERT:
    case OP_LIST_CHILD:
    case OP_LIST_SET:
    case OP_LIST_SET_CHILD:
    case OP_LIST_MOVE: need = DUNLIN_LIST; break;
    case OP_MAP_SET:
    case OP_MAP_CHILD:
    case OP_MAP_DELETE: need = DUNLIN_MAP; break;
    case OP_COUNTER_ADD: need = DUNLIN_COUNTER; break;
    default: break;
  }
  bool unknown = need == DUNLIN_NULL;
  if (unknown || c->kind == DUNLIN_NULL || any_in_version(doc, &c->unknown)) {
    if (doc->open.is_local) return DUNLIN_ENEWER;
    return apply_unknown(doc, op, unknown, made);
  }
  if (c->kind != need) return DUNLIN_EKIND;
  switch (op->kind) {
    case OP_TEXT_INSERT: return apply_text_insert(doc, op);
    case OP_DELETE: return apply_delete(doc, op);
    case OP_LIST_INSERT: return insert_element(doc, op, &write);
    case OP_LIST_CHILD:
    case OP_LIST_SET_CHILD: return apply_item_child(doc, op, made);
    case OP_LIST_SET: return write_element(doc, op, &write);
    case OP_LIST_MOVE: return apply_move(doc, op);
    case OP_MAP_SET: return write_entry(doc, op, &write);
    case OP_MAP_CHILD: return apply_map_child(doc, op, made);
    case OP_MAP_DELETE: return write_entry(doc, op, NULL);
    default: break;
  }
  c->as.counter = (int64_t)((uint64_t)c->as.counter + (uint64_t)op->amount);
  push_undo(doc, (struct undo){.what = UNDO_COUNTER, .container = op->container, .amount = op->amount});
  return 0;
}

int apply_op(dunlin_doc *doc, const struct op *op, uint32_t *made) {
  enum { steps = 6 }; /* more than any operation pushes on the undo list, effects apart, which make their own room */
  if (op->container >= doc->container_count || !container_seen(doc, op->container)) return DUNLIN_ENOENT;
  if (op->len > DUNLIN_MAX_DELTA_OPS - doc->open.index) return DUNLIN_ELIMIT;
  if (ENV_GROW(doc->env, doc->open.undos, doc->open.undo_cap, doc->open.undo_count + steps) ||
      ENV_GROW(doc->env, doc->open.made, doc->open.made_cap, doc->open.made_count + 1))
    return DUNLIN_ENOMEM;
  int error = dispatch(doc, op, made);
  if (error) return error;
  if (op->kind & OP_CREATES) doc->open.made[doc->open.made_count++] = *made;
  doc->open.index += op->len;
  return 0;
}

/* ---- The open change ---------------------------------------------------------------------------------------- */

int open_change(dunlin_doc *doc, uint32_t actor, uint64_t number, int64_t time, const struct dunlin_id *id) {
  int error = graph_push(&doc->graph, actor, number, time);
  if (error) return error;
  doc->open.is_open = true;
  doc->open.is_local = !id;
  doc->open.id = id;
  doc->open.change = (uint32_t)doc->graph.count - 1;
  doc->open.index = 0;
  doc->open.undo_count = doc->open.made_count = 0;
  doc->graph.changes[doc->open.change].effects = (uint32_t)doc->effect_count;
  if (id) doc->graph.changes[doc->open.change].id = *id; /* it decides between two changes of one number */
  return 0;
}

static void revert_step(dunlin_doc *doc, struct undo *u) {
  struct container *c = doc->containers[u->container];
  switch (u->what) {
    case UNDO_INSERT: seq_uninsert(&c->as.seq, &doc->graph, u->first, u->count); break;
    case UNDO_DELETE:
      for (uint32_t i = u->count; i-- > 0;) seq_undelete(&c->as.seq, u->first + i);
      break;
    case UNDO_MAP_WRITE:
      reg_revert(&c->as.map.entries[u->entry].reg, &doc->graph, doc->open.change, u->first, &u->reg);
      map_changed(&c->as.map);
      break;
    case UNDO_LIST_WRITE:
      reg_revert(&c->as.seq.elements[u->entry].reg, &doc->graph, doc->open.change, u->first, &u->reg);
      break;
    case UNDO_COUNTER: c->as.counter = (int64_t)((uint64_t)c->as.counter - (uint64_t)u->amount); break;
    case UNDO_CONTAINER: container_drop_last(doc); break;
    case UNDO_MADE: c->made.count--; break;
    case UNDO_UNKNOWN: c->unknown.count--; break;
    case UNDO_GENERATION: c->as.map.entries[u->entry].generation = u->amount; break;
  }
}

void open_change_revert(dunlin_doc *doc) {
  while (doc->open.undo_count) revert_step(doc, &doc->open.undos[--doc->open.undo_count]);
  doc->effect_count = doc->graph.changes[doc->open.change].effects;
  graph_pop(&doc->graph);
  doc->open.is_open = false;
}

int open_change_settle(dunlin_doc *doc, const struct dunlin_id *id, struct dunlin_bytes bytes) {
  struct graph_change *change = &doc->graph.changes[doc->open.change];
  uint64_t at = doc->history.len;
  buf_append(&doc->history, bytes.data, bytes.len);
  int error = doc->history.error ? doc->history.error : graph_settle(&doc->graph, id);
  if (error) {
    doc->history.len = (size_t)at;
    doc->history.error = 0;
    return error;
  }
  change->bytes_at = at;
  change->bytes_len = (uint32_t)bytes.len;
  change->length = doc->open.index;
  for (size_t i = 0; i < doc->open.undo_count; i++) reg_undo_free(&doc->open.undos[i].reg, doc->env);
  doc->open.undo_count = 0;
  doc->open.is_open = false;
  return 0;
}
