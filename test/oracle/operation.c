/* What the operations of a change record, and how to remove it again. */
#include "test/oracle/private.h"

/* One operation with what it takes from the columns. */
struct operation {
  uint8_t kind;
  uint32_t container, a, len;
  const uint8_t *text;
  struct dunlin_bytes key;
  struct dunlin_value value;
  struct dunlin_bytes names;
  uint32_t number; /* a child's kind, its generation (OP_MAP_CHILD), or where a move goes */
  int64_t amount;
};

static struct dunlin_bytes copy_bytes(struct dunlin_bytes from) {
  void *copy = env_alloc(dunlin_env_default(), from.len);
  if (!copy) abort();
  if (from.len) memcpy(copy, from.data, from.len);
  return (struct dunlin_bytes){copy, from.len};
}

void oracle_free_bytes(struct dunlin_bytes bytes) {
  env_free(dunlin_env_default(), (void *)(uintptr_t)bytes.data, bytes.len);
}

/* ---- Registers --------------------------------------------------------------------------------------------------- */

static bool owns_bytes(const struct dunlin_value *value) {
  return value->kind == DUNLIN_STRING || value->kind == DUNLIN_BYTES;
}

static void drop_write(struct oracle_register *reg) {
  struct oracle_write *w = &reg->writes[--reg->count];
  if (owns_bytes(&w->value)) oracle_free_bytes(w->value.as.string);
  oracle_set_free(&w->over);
}

void oracle_register_free(struct oracle_register *reg) {
  while (reg->count) drop_write(reg);
  ORACLE_FREE(reg->writes, reg->cap);
}

void oracle_register_take_back(struct oracle_register *reg, uint32_t change) {
  while (reg->count && reg->writes[reg->count - 1].change == change) drop_write(reg);
  for (size_t i = 0; i < reg->count; i++) oracle_set_drop(&reg->writes[i].over, change);
}

/* Whether an operation names the write, or it is one of the same change. */
static bool names(const struct oracle *o, const struct operation *op, const struct oracle_write *w) {
  const uint8_t *name = op->names.data;
  if (w->change == o->open) return true;
  for (size_t i = 0; i < op->names.len / WRITE_NAME; i++, name += WRITE_NAME)
    if (!memcmp(name, o->changes[w->change].id.bytes, 32) && get_be32(name + 32) == w->index) return true;
  return false;
}

static bool has_names(const struct operation *op) {
  return op->kind == OP_MAP_SET_OVER || op->kind == OP_MAP_DELETE_OVER || op->kind == OP_LIST_SET_OVER;
}

/* The open change overwrites or deletes all that it has seen, its own earlier writes included; or what it names. */
static void overwrite(struct oracle *o, struct oracle_register *reg, const struct operation *op) {
  for (size_t i = 0; i < reg->count; i++) {
    struct oracle_write *w = &reg->writes[i];
    if (o->in_version[w->change] && (!has_names(op) || names(o, op, w))) oracle_set_add(&w->over, o->open);
  }
}

static void write_value(struct oracle *o, struct oracle_register *reg, const struct operation *op, uint32_t class,
                        struct dunlin_value value) {
  overwrite(o, reg, op);
  if (owns_bytes(&value)) value.as.string = copy_bytes(value.as.string);
  ORACLE_ROOM(reg->writes, reg->cap, reg->count);
  reg->writes[reg->count++] =
      (struct oracle_write){.change = o->open, .index = o->index, .class = class, .value = value};
}

static void write_child(struct oracle *o, struct oracle_register *reg, const struct operation *op, uint32_t child) {
  write_value(o, reg, op, 0, (struct dunlin_value){.kind = o->containers[child]->kind, .as.obj = {child}});
}

/* The register of a map's key. */
static struct oracle_register *register_of(struct oracle_container *map, struct dunlin_bytes key) {
  for (size_t i = 0; i < map->entry_count; i++) {
    struct oracle_entry *e = &map->entries[i];
    if (e->key.len == key.len && !memcmp(e->key.data, key.data, key.len)) return &e->reg;
  }
  ORACLE_ROOM(map->entries, map->entry_cap, map->entry_count);
  map->entries[map->entry_count] = (struct oracle_entry){.key = copy_bytes(key)};
  return &map->entries[map->entry_count++].reg;
}

/* ---- Containers -------------------------------------------------------------------------------------------------- */

struct oracle_container *oracle_container_new(struct oracle *o, enum dunlin_kind kind, unsigned depth) {
  struct oracle_container *c = calloc(1, sizeof *c);
  if (!c) abort();
  c->kind = kind;
  c->depth = depth;
  oracle_seq_init(&c->seq, kind == DUNLIN_LIST);
  ORACLE_ROOM(o->containers, o->container_cap, o->container_count);
  o->containers[o->container_count++] = c;
  return c;
}

void oracle_container_free(struct oracle_container *c) {
  for (size_t i = 0; i < c->entry_count; i++) {
    oracle_register_free(&c->entries[i].reg);
    oracle_free_bytes(c->entries[i].key);
  }
  ORACLE_FREE(c->entries, c->entry_cap);
  oracle_seq_free(&c->seq);
  ORACLE_FREE(c->sum.adds, c->sum.cap);
  oracle_offers_take_back(c, ORACLE_NONE);
  ORACLE_FREE(c->offers, c->offer_cap);
  oracle_set_free(&c->made);
  oracle_set_free(&c->unknown);
  free(c);
}

uint32_t oracle_container_find(const struct oracle *o, const struct container_id *id) {
  for (uint32_t i = 0; i < o->container_count; i++)
    if (o->containers[i]->kind != DUNLIN_NULL && !memcmp(&o->containers[i]->id, id, sizeof *id)) return i;
  return ORACLE_NONE;
}

static bool known(const struct oracle *o, uint32_t container) {
  return container != ORACLE_NONE && (!container || oracle_any_in_version(o, &o->containers[container]->made));
}

static struct container_id id_from(const char *label, const struct dunlin_bytes *parts, size_t count,
                                   enum dunlin_kind kind) {
  struct dunlin_id hash = env_hash(dunlin_env_default(), label, parts, count);
  struct container_id id;
  memcpy(id.bytes, hash.bytes, sizeof id.bytes);
  id.bytes[0] = (uint8_t)kind;
  return id;
}

static struct container_id child_id(const struct container_id *parent, struct dunlin_bytes key, enum dunlin_kind kind,
                                    uint32_t generation) {
  uint8_t fixed[5] = {(uint8_t)kind};
  put_be32(fixed + 1, generation);
  struct dunlin_bytes parts[] = {{parent->bytes, sizeof parent->bytes}, {fixed, sizeof fixed}, key};
  return id_from("dunlin.child.1", parts, 3, kind);
}

static struct container_id item_id(const struct dunlin_id *change, uint32_t index, enum dunlin_kind kind) {
  uint8_t fixed[5] = {(uint8_t)kind};
  put_be32(fixed + 1, index);
  struct dunlin_bytes parts[] = {{change->bytes, sizeof change->bytes}, {fixed, sizeof fixed}};
  return id_from("dunlin.item.1", parts, 2, kind);
}

/* The open change makes the container in `parent`, or touches it when it is there; NULL: what an unknown operation
 * makes. */
static int make(struct oracle *o, uint32_t parent, enum dunlin_kind kind, const struct container_id *id) {
  uint32_t child = id ? oracle_container_find(o, id) : ORACLE_NONE;
  if (child == ORACLE_NONE) {
    unsigned depth = o->containers[parent]->depth + 1;
    if (depth >= DUNLIN_MAX_DEPTH) return DUNLIN_ELIMIT;
    child = (uint32_t)o->container_count;
    struct oracle_container *c = oracle_container_new(o, kind, depth);
    if (id) c->id = *id;
  }
  oracle_set_add(&o->containers[child]->made, o->open);
  ORACLE_ROOM(o->made, o->made_cap, o->made_count);
  o->made[o->made_count++] = child;
  return 0;
}

static uint32_t made_last(const struct oracle *o) {
  return o->made[o->made_count - 1];
}

/* Whether the version knows a child of any kind with that generation at the key. */
static bool generation_known(const struct oracle *o, uint32_t map, struct dunlin_bytes key, uint32_t generation) {
  for (int kind = DUNLIN_MAP; kind <= DUNLIN_GROWING_SET; kind++) {
    struct container_id id = child_id(&o->containers[map]->id, key, (enum dunlin_kind)kind, generation);
    if (known(o, oracle_container_find(o, &id))) return true;
  }
  return false;
}

/* ---- Kinds of operations ----------------------------------------------------------------------------------------- */

static int do_map_child(struct oracle *o, const struct operation *op) {
  enum dunlin_kind kind = (enum dunlin_kind)op->a;
  struct oracle_container *map = o->containers[op->container];
  if (op->number && !generation_known(o, op->container, op->key, op->number - 1) &&
      !generation_known(o, op->container, op->key, op->number))
    return DUNLIN_ERANGE;
  struct container_id id = child_id(&map->id, op->key, kind, op->number);
  int error = make(o, op->container, kind, &id);
  if (!error) write_child(o, register_of(map, op->key), op, made_last(o));
  return error;
}

static int do_text_insert(struct oracle *o, const struct operation *op, struct oracle_seq *text) {
  const uint8_t *at = op->text;
  uint32_t item = oracle_left_of(o, text, op->a), first = o->index;
  if (item == ORACLE_NONE) return DUNLIN_ERANGE;
  for (; o->index < first + op->len; o->index++) item = oracle_insert_after(o, text, item, utf8_next(&at));
  o->index = first;
  return 0;
}

static int do_anchor(struct oracle *o, const struct operation *op, struct oracle_seq *text) {
  uint32_t item = oracle_insert_anchor(o, text, op->a, op->kind);
  if (item == ORACLE_NONE) return DUNLIN_ERANGE;
  if (!op_starts_mark(op->kind)) return 0;
  text->items[item].mark_key = copy_bytes(op->key);
  text->items[item].mark_value = op->value;
  if (owns_bytes(&op->value)) text->items[item].mark_value.as.string = copy_bytes(op->value.as.string);
  return 0;
}

/* Gives the new element, whose register is still empty. */
static int insert_element(struct oracle *o, const struct operation *op, struct oracle_seq *list,
                          struct oracle_register **reg) {
  uint32_t left = oracle_left_of(o, list, op->a), element = (uint32_t)list->element_count;
  if (left == ORACLE_NONE) return DUNLIN_ERANGE;
  ORACLE_ROOM(list->elements, list->element_cap, list->element_count);
  list->elements[list->element_count++] = (struct oracle_element){.slots = NULL};
  oracle_insert_after(o, list, left, element);
  *reg = &list->elements[element].reg;
  return 0;
}

static int find_element(const struct oracle *o, const struct operation *op, struct oracle_seq *list,
                        struct oracle_register **reg) {
  uint32_t item = oracle_at(o, list, op->a);
  if (item == ORACLE_NONE) return DUNLIN_ERANGE;
  *reg = &list->elements[list->items[item].value].reg;
  return 0;
}

static int do_list(struct oracle *o, const struct operation *op, struct oracle_seq *list) {
  struct oracle_register *reg = NULL;
  bool inserts = op->kind == OP_LIST_INSERT || op->kind == OP_LIST_CHILD;
  bool child = op->kind == OP_LIST_CHILD || op->kind == OP_LIST_SET_CHILD;
  int error = inserts ? insert_element(o, op, list, &reg) : find_element(o, op, list, &reg);
  if (error) return error;
  if (!child) {
    write_value(o, reg, op, 0, op->value);
    return 0;
  }
  enum dunlin_kind kind = (enum dunlin_kind)op->number;
  struct container_id id = item_id(&o->changes[o->open].id, o->index, kind);
  error = make(o, op->container, kind, &id);
  if (!error) write_child(o, reg, op, made_last(o));
  return error;
}

static int do_move(struct oracle *o, const struct operation *op, struct oracle_seq *list) {
  uint32_t item = oracle_at(o, list, op->a), left = oracle_left_of(o, list, op->number);
  if (item == ORACLE_NONE || left == ORACLE_NONE) return DUNLIN_ERANGE;
  oracle_insert_after(o, list, left, list->items[item].value);
  return 0;
}

/* An offer, or a member that comes or goes. */
static int do_offer(struct oracle *o, const struct operation *op, struct oracle_container *c) {
  if (c->kind < DUNLIN_SET) {
    if (!oracle_may_offer(c->kind, &op->value)) return DUNLIN_EINVAL;
    oracle_offer(o, c, op->value);
    return 0;
  }
  if (op->key.len > DUNLIN_MAX_KEY) return DUNLIN_ELIMIT;
  struct oracle_register *member = register_of(c, op->key);
  if (op->kind == OP_OFFER) write_value(o, member, op, 0, (struct dunlin_value){.kind = DUNLIN_NULL});
  else overwrite(o, member, op);
  return 0;
}

/* The kind of container that an operation is for; DUNLIN_NULL when the operation is of an unknown kind. */
static enum dunlin_kind kind_for(const struct operation *op, const struct oracle_container *c) {
  switch (op->kind) {
    case OP_TEXT_INSERT:
    case OP_MARK_START:
    case OP_MARK_START_GROWS:
    case OP_MARK_END:
    case OP_MARK_END_GROWS: return DUNLIN_TEXT;
    case OP_DELETE: return c->kind == DUNLIN_TEXT ? DUNLIN_TEXT : DUNLIN_LIST;
    case OP_LIST_INSERT:
    case OP_LIST_CHILD:
    case OP_LIST_SET:
    case OP_LIST_SET_OVER:
    case OP_LIST_SET_CHILD:
    case OP_LIST_MOVE: return DUNLIN_LIST;
    case OP_MAP_SET:
    case OP_MAP_SET_OVER:
    case OP_MAP_CHILD:
    case OP_MAP_DELETE:
    case OP_MAP_DELETE_OVER: return DUNLIN_MAP;
    case OP_COUNTER_ADD: return DUNLIN_COUNTER;
    case OP_OFFER: return c->kind >= DUNLIN_MAX && c->kind <= DUNLIN_GROWING_SET ? c->kind : DUNLIN_SET;
    case OP_SET_REMOVE: return DUNLIN_SET;
    default: return DUNLIN_NULL;
  }
}

/* Makes what an operation makes that has no effect: with its id where its kind is known and its parent, if that is
 * known, is of the right kind. */
static int make_idle(struct oracle *o, const struct operation *op, const struct oracle_container *c) {
  struct container_id id;
  if (op->kind == OP_MAP_CHILD && c->kind == DUNLIN_MAP) {
    id = child_id(&c->id, op->key, (enum dunlin_kind)op->a, op->number);
  } else if ((op->kind == OP_LIST_CHILD || op->kind == OP_LIST_SET_CHILD) &&
             (c->kind == DUNLIN_LIST || c->kind == DUNLIN_NULL)) {
    id = item_id(&o->changes[o->open].id, o->index, (enum dunlin_kind)op->number);
  } else {
    return make(o, op->container, DUNLIN_NULL, NULL);
  }
  return make(o, op->container, (enum dunlin_kind)id.bytes[0], &id);
}

static int do_operation(struct oracle *o, const struct operation *op) {
  struct oracle_container *c = o->containers[op->container];
  enum dunlin_kind need = kind_for(op, c);
  if (need == DUNLIN_NULL || c->kind == DUNLIN_NULL || oracle_any_in_version(o, &c->unknown)) {
    /* Only a newer version can say what it does: it is kept, and records nothing else. */
    if (need == DUNLIN_NULL) oracle_set_add(&c->unknown, o->open);
    return op->kind & OP_CREATES ? make_idle(o, op, c) : 0;
  }
  if (c->kind != need) return DUNLIN_EKIND;
  switch (op->kind) {
    case OP_TEXT_INSERT: return do_text_insert(o, op, &c->seq);
    case OP_MARK_START:
    case OP_MARK_START_GROWS:
    case OP_MARK_END:
    case OP_MARK_END_GROWS: return do_anchor(o, op, &c->seq);
    case OP_DELETE: return oracle_delete(o, &c->seq, op->a, op->len);
    case OP_LIST_MOVE: return do_move(o, op, &c->seq);
    case OP_MAP_SET:
    case OP_MAP_SET_OVER: write_value(o, register_of(c, op->key), op, op->a, op->value); return 0;
    case OP_MAP_DELETE:
    case OP_MAP_DELETE_OVER: overwrite(o, register_of(c, op->key), op); return 0;
    case OP_OFFER:
    case OP_SET_REMOVE: return do_offer(o, op, c);
    case OP_MAP_CHILD: return do_map_child(o, op);
    case OP_COUNTER_ADD:
      ORACLE_ROOM(c->sum.adds, c->sum.cap, c->sum.count);
      c->sum.adds[c->sum.count].change = o->open;
      c->sum.adds[c->sum.count++].amount = op->amount;
      return 0;
    default: return do_list(o, op, &c->seq);
  }
}

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

static void read_values(struct mp_reader *r, struct operation *op) {
  switch (op->kind) {
    case OP_LIST_INSERT:
    case OP_LIST_SET: op->value = value_read(r); break;
    case OP_LIST_CHILD:
    case OP_LIST_SET_CHILD:
    case OP_LIST_MOVE: op->number = (uint32_t)mp_read_uint(r, UINT32_MAX); break;
    case OP_COUNTER_ADD: op->amount = mp_read_int(r); break;
    case OP_MAP_DELETE: op->key = mp_read_str(r, DUNLIN_MAX_KEY); break;
    case OP_MAP_SET:
    case OP_MAP_SET_OVER:
    case OP_MARK_START:
    case OP_MARK_START_GROWS:
      op->key = mp_read_str(r, DUNLIN_MAX_KEY);
      op->value = value_read(r);
      break;
    case OP_MAP_DELETE_OVER: op->key = mp_read_str(r, DUNLIN_MAX_KEY); break;
    case OP_LIST_SET_OVER: op->value = value_read(r); break;
    case OP_OFFER:
    case OP_SET_REMOVE:
      op->key.data = r->at;
      op->value = value_read(r);
      op->key.len = (size_t)(r->at - (const uint8_t *)op->key.data);
      break;
    case OP_MAP_CHILD:
      op->key = mp_read_str(r, DUNLIN_MAX_KEY);
      op->number = (uint32_t)mp_read_uint(r, UINT32_MAX);
      break;
    default:
      for (unsigned i = 0; i < (op->kind & OP_VALUES) * op->len; i++) value_read(r);
  }
  if (has_names(op)) op->names = mp_read_bin(r, SIZE_MAX);
}

static int apply_row(struct oracle *o, const struct change *change, const struct change_row *row, const uint8_t **text,
                     struct mp_reader *values) {
  struct operation op = {.kind = row->kind, .a = row->a, .len = row->len, .text = *text};
  if (row->container < change->container_count)
    op.container = oracle_container_find(o, &change->containers[row->container]);
  else op.container = o->made[row->container - change->container_count];
  if (!known(o, op.container)) return DUNLIN_ENOENT;
  for (uint32_t i = 0; row->kind & OP_TEXT && i < row->len; i++) utf8_next(text);
  /* A row of elements is as many operations, each at the next index. */
  uint32_t times = row->kind == OP_LIST_INSERT ? row->len : 1;
  op.len /= times;
  for (uint32_t i = 0; i < times; i++, op.a++) {
    read_values(values, &op);
    int error = do_operation(o, &op);
    if (error) return error;
    o->index += op.len;
  }
  return 0;
}

int oracle_apply_rows(struct oracle *o, const struct change *change) {
  struct mp_reader rows = change->rows, values = change->values;
  const uint8_t *text = change->text.data;
  int error = 0;
  o->index = 0;
  o->made_count = 0;
  for (size_t i = 0; !error && i < change->row_count; i++) {
    struct change_row row = change_next_row(&rows);
    error = apply_row(o, change, &row, &text, &values);
  }
  return error;
}

void oracle_take_back(struct oracle *o) {
  for (size_t i = 0; i < o->container_count; i++) {
    struct oracle_container *c = o->containers[i];
    for (size_t k = 0; k < c->entry_count; k++) oracle_register_take_back(&c->entries[k].reg, o->open);
    oracle_seq_take_back(&c->seq, o->open);
    oracle_offers_take_back(c, o->open);
    while (c->sum.count && c->sum.adds[c->sum.count - 1].change == o->open) c->sum.count--;
    oracle_set_drop(&c->made, o->open);
    oracle_set_drop(&c->unknown, o->open);
  }
  /* Containers that nobody else made are the last ones. */
  while (o->container_count > 1 && !o->containers[o->container_count - 1]->made.count)
    oracle_container_free(o->containers[--o->container_count]);
}
