/* What operations do to containers, and how to take it back. */
#include <string.h>

#include "crdt/docfile.h"

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

static bool any_seen(dunlin_doc *doc, const struct lv_set *set) {
  return graph_any_seen(&doc->graph, set->lvs, set->count);
}

/* Whether the open change knows the container. */
static bool container_seen(dunlin_doc *doc, uint32_t container) {
  return !container || any_seen(doc, &doc->containers[container]->made);
}

struct container *container_of(const dunlin_doc *doc, dunlin_obj obj, enum dunlin_kind kind) {
  if (obj.index >= doc->container_count) return NULL;
  struct container *c = doc->containers[obj.index];
  return c->kind == kind ? c : NULL;
}

void container_free(dunlin_doc *doc, struct container *c) {
  watch_note_free(doc, c);
  if (has_map(c->kind)) map_free(&c->as.map);
  if (is_offer(c->kind)) reg_free(&c->as.offer, doc->env);
  if (c->kind == DUNLIN_LIST) list_free(&c->as.list->list);
  if (c->kind == DUNLIN_TEXT) text_free(&c->as.text->text);
  if (c->kind == DUNLIN_TEXT) marks_free(&c->as.text->marks, doc->env);
  if (c->kind == DUNLIN_TEXT) ENV_FREE_ARRAY(doc->env, c->as.text->earlier.list, c->as.text->earlier.cap);
  struct sequence *s = sequence_of(c);
  if (s) walker_free(&s->walker);
  if (s) ENV_FREE_ARRAY(doc->env, s->tips, s->tip_cap);
  if (c->kind == DUNLIN_TEXT) env_free(doc->env, c->as.text, sizeof *c->as.text);
  if (c->kind == DUNLIN_LIST) env_free(doc->env, c->as.list, sizeof *c->as.list);
  oplog_free(&c->log, doc->env);
  ENV_FREE_ARRAY(doc->env, c->made.lvs, c->made.cap);
  ENV_FREE_ARRAY(doc->env, c->unknown.lvs, c->unknown.cap);
  env_free(doc->env, c, sizeof *c);
}

static int set_add(dunlin_doc *doc, struct lv_set *set, uint32_t lv) {
  if (ENV_GROW(doc->env, set->lvs, set->cap, set->count + 1)) return DUNLIN_ENOMEM;
  set->lvs[set->count++] = lv;
  return 0;
}

/* The LV of the operation that is being applied. */
static uint32_t open_lv(const dunlin_doc *doc) {
  return doc->open.lv + doc->open.index;
}

static void push_undo(dunlin_doc *doc, struct undo undo) {
  doc->open.undos[doc->open.undo_count++] = undo; /* apply_op() has made room */
}

/* What texts and lists have of their own.  False: out of memory. */
static bool make_state(dunlin_doc *doc, struct container *c, enum dunlin_kind kind) {
  if (kind == DUNLIN_TEXT) return (c->as.text = env_calloc(doc->env, 1, sizeof *c->as.text)) != NULL;
  if (kind == DUNLIN_LIST) return (c->as.list = env_calloc(doc->env, 1, sizeof *c->as.list)) != NULL;
  return true;
}

uint32_t container_new(dunlin_doc *doc, enum dunlin_kind kind, uint32_t parent) {
  if (ENV_GROW(doc->env, doc->containers, doc->container_cap, doc->container_count + 1)) return IDMAP_NONE;
  struct container *c = env_calloc(doc->env, 1, sizeof *c);
  bool made = c && make_state(doc, c, kind);
  if (!made) {
    env_free(doc->env, c, sizeof *c);
    return IDMAP_NONE;
  }
  c->kind = kind;
  c->parent = parent;
  c->provisional = true;
  c->void_from = LV_NONE;
  c->depth = doc->container_count ? (uint8_t)(doc->containers[parent]->depth + 1) : 0;
  if (has_map(kind)) map_init(&c->as.map, doc->env, doc->seed + doc->container_count);
  if (kind == DUNLIN_LIST) list_init(&c->as.list->list, doc->env);
  if (kind == DUNLIN_TEXT) text_init(&c->as.text->text, doc->env);
  struct sequence *s = sequence_of(c);
  if (s) walker_init(&s->walker, &doc->graph, &c->log, &doc->voids, kind == DUNLIN_LIST ? &doc->values : NULL);
  doc->containers[doc->container_count] = c;
  return (uint32_t)doc->container_count++;
}

static void container_drop_last(dunlin_doc *doc) {
  struct container *c = doc->containers[--doc->container_count];
  struct dunlin_id key = padded(&c->id);
  if (!c->provisional) idmap_remove(&doc->container_ids, &key);
  container_free(doc, c);
}

/* The operation being applied made or touched the container. */
static int note_maker(dunlin_doc *doc, uint32_t container) {
  int error = set_add(doc, &doc->containers[container]->made, open_lv(doc));
  if (error) return error;
  push_undo(doc, (struct undo){.what = UNDO_MADE, .container = container});
  if (ENV_GROW(doc->env, doc->makers, doc->maker_cap, doc->maker_count + 1)) return DUNLIN_ENOMEM;
  doc->makers[doc->maker_count++] = (struct owner){open_lv(doc), container};
  return 0;
}

/* Makes the container, with `id` or (NULL) provisionally, or finds it when another change made it already; the open
 * change counts among its makers. */
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
  *out = found;
  return note_maker(doc, found);
}

/* ---- Getting a container ready ------------------------------------------------------------------------------ */

/* Whether one of its operations is among what the open change has not seen, by going through all of that. */
static int find_concurrent(struct graph *g, const struct oplog *log, bool *concurrent) {
  int error = graph_prepare_seen(g);
  for (size_t i = 0; !error && i < g->unseen.count && !*concurrent; i++) {
    size_t at = oplog_from(log, g->unseen.list[i].from);
    *concurrent = at < log->count && log->runs[at].lv < g->unseen.list[i].to;
  }
  return error;
}

/* Whether an operation of the container is concurrent to the open change.  Mostly the last one says it: it is
 * concurrent, or it comes after all the others and is not.  DUNLIN_ENOMEM. */
static int is_concurrent(dunlin_doc *doc, const struct container *c, bool *concurrent) {
  struct graph *g = &doc->graph;
  const struct oplog *log = &c->log;
  *concurrent = false;
  if (g->open.builds_on_all || !log->count) return 0;
  const struct op_run *last = &log->runs[log->count - 1];
  uint32_t end = last->lv + last->len;
  if (end <= g->open.critical) return 0;
  *concurrent = !graph_seen(g, end - 1);
  return *concurrent || c->seen_all == end - 1 ? g->open.error : find_concurrent(g, log, concurrent);
}

/* Whether the tracker, if it lives, can go on: all that is not in it has its base in the past. */
static bool base_holds(const struct graph *g, uint32_t base, uint32_t critical) {
  if (base == critical) return true;
  for (size_t i = g->critical_count; base < critical && i-- > 0;)
    if (g->critical[i].from <= base) return base <= g->critical[i].to;
  return !base;
}

/* The first operation on the text that is an anchor; LV_NONE. */
static uint32_t first_anchor(const struct container *c) {
  for (size_t i = 0; i < c->log.count; i++)
    if (op_is_anchor(c->log.runs[i].kind)) return c->log.runs[i].lv;
  return LV_NONE;
}

/* Moves the walker to the open change's version, with all operations of the graph in it.  DUNLIN_ENOMEM. */
static int ready_walker(dunlin_doc *doc, const struct container *c, struct walker *w) {
  const struct graph *g = &doc->graph;
  uint32_t base = g->open.critical;
  uint32_t from = c->void_from;
  /* Local edits count characters, so they need to know where the anchors of an earlier version are (places.c). */
  if (doc->open.is_local && !g->open.builds_on_all && c->kind == DUNLIN_TEXT && c->as.text->has_marks) {
    uint32_t anchor = first_anchor(c);
    if (anchor < from) from = anchor;
  }
  if (from < base) base = graph_critical_before(g, from);
  bool keep = w->is_live && w->to >= base && base_holds(g, w->base, base);
  int error = keep ? 0 : walker_start(w, base);
  if (!error) error = walker_replay(w, g->lvs, NULL);
  if (!error) error = walker_go(w, g->open.parents, g->open.parent_count);
  return error;
}

/* Finds out how the open change's operations get into a text or list; when that is now, everything else does first. */
static int prepare_sequence(dunlin_doc *doc, uint32_t container, struct sequence *s) {
  const struct container *c = doc->containers[container];
  bool known = s->tip < s->tip_count;
  s->walks = s->waits = false;
  s->behind = known && tip_behind(c, s);
  int error = known ? 0 : is_concurrent(doc, c, &s->behind);
  if (!error) error = tip_reserve(doc, s);
  if (error) return error;
  bool in_void = c->void_from != LV_NONE || doc->open.is_void;
  s->waits = known && s->behind && !in_void && !doc->open.is_local;
  if (s->waits) s->size = s->tips[s->tip].size;
  if (s->waits) return 0;
  s->walks = s->behind || in_void;
  return container_show(doc, container);
}

static int ready_sequence(dunlin_doc *doc, struct container *c, struct sequence *s) {
  if (c->kind == DUNLIN_LIST) list_open(&c->as.list->list);
  else text_open(&c->as.text->text);
  return s->walks ? ready_walker(doc, c, &s->walker) : 0;
}

/* Gets a text or list ready when the open change goes on with the last one, which wrote to it: whoever has seen all
 * lacks nothing.  False: there is more to find out. */
static bool goes_on_with(const dunlin_doc *doc, const struct container *c, struct sequence *s) {
  uint32_t lvs = doc->graph.lvs;
  if (!doc->graph.open.goes_on || s->shown != lvs || !s->tip_count || s->tips[s->tip_count - 1].lv + 1 != lvs ||
      c->void_from != LV_NONE)
    return false;
  s->tip = s->tip_count - 1;
  s->walks = s->waits = s->behind = false;
  return true;
}

int container_touch(dunlin_doc *doc, uint32_t container) {
  struct container *c = doc->containers[container];
  if (c->touched == doc->open.stamp) return 0;
  struct sequence *s = sequence_of(c);
  if (!s || !goes_on_with(doc, c, s)) {
    bool known = s && tip_find(doc, c); /* then the version wrote to it */
    if (!known && !container_seen(doc, container)) return DUNLIN_ENOENT;
    int error = s ? prepare_sequence(doc, container, s) : 0;
    if (error) return error;
  }
  if (ENV_GROW(doc->env, doc->open.undos, doc->open.undo_cap, doc->open.undo_count + 2) ||
      ENV_GROW(doc->env, doc->open.touched, doc->open.touched_cap, doc->open.touched_count + 1))
    return DUNLIN_ENOMEM;
  struct undo *undo = &doc->open.undos[doc->open.undo_count++];
  undo->what = UNDO_LOG;
  undo->container = container;
  undo->first = (uint32_t)c->log.count;
  undo->count = c->log.ops;
  undo->entry = c->void_from;
  if (c->log.count) undo->run = c->log.runs[c->log.count - 1];
  int error = s ? ready_sequence(doc, c, s) : 0;
  if (error) return error;
  if (doc->open.is_void && c->void_from > doc->open.lv) c->void_from = doc->open.lv;
  if (doc->watch) watch_touch(doc, container);
  c->touched = doc->open.stamp;
  doc->open.touched[doc->open.touched_count++] = container;
  return 0;
}

/* ---- Text --------------------------------------------------------------------------------------------------- */

uint32_t version_size(const struct container *c) {
  bool list = c->kind == DUNLIN_LIST;
  const struct sequence *s = list ? &c->as.list->sequence : &c->as.text->sequence;
  uint32_t shown = list ? c->as.list->list.size : c->as.text->text.size;
  if (s->waits) return s->size;
  /* The tracker counts more items than there are, since its base has no end. */
  return s->walks ? s->walker.tracker.now - (s->walker.tracker.effect - shown) : shown;
}

int walk_op(dunlin_doc *doc, struct container *c, const struct op *op, const struct walker_sink *sink) {
  struct walker *w = &sequence_of(c)->walker;
  /* The row that waits ends right before this operation when it is on the same container. */
  uint32_t waiting = doc->containers[doc->open.row_container] == c ? doc->open.row.len : 0;
  struct op_run run = {.lv = open_lv(doc),
                       .ord = (c->log.ops + waiting) & LV_LIMIT,
                       .a = op->a,
                       .at = op->kind == OP_DELETE ? DIRECTION_NONE : op->at,
                       .len = op->len & ((1u << 25) - 1),
                       .kind = op->kind & 0x7fu};
  w->open_lv = run.lv - waiting;
  return walker_apply(w, &run, op_piece(&run, run.lv, run.lv + op->len), doc->open.is_void, sink);
}

static int walk_text(dunlin_doc *doc, struct container *c, const struct op *op) {
  struct text_ctx ctx = {doc, &c->as.text->text};
  struct walker_sink sink = text_sink;
  sink.ctx = &ctx;
  uint32_t lv = open_lv(doc);
  int error = walk_op(doc, c, op, &sink);
  if (!error) places_edited(doc, c->as.text, op, lv);
  return error;
}

static int apply_text(dunlin_doc *doc, struct container *c, const struct op *op) {
  struct text_state *t = c->as.text;
  struct sequence *s = &t->sequence;
  uint32_t size = version_size(c);
  t->has_marks |= op_is_anchor(op->kind);
  if (op->a > size || (op->kind == OP_DELETE && op->len > size - op->a)) return DUNLIN_ERANGE;
  if (op->len > LV_LIMIT / 4 - size) return DUNLIN_ELIMIT;
  if (s->waits) {
    s->size = op->kind == OP_DELETE ? size - op->len : size + op->len;
    return 0;
  }
  if (s->walks) return walk_text(doc, c, op);
  if (op->kind == OP_DELETE) return text_erase(&t->text, &doc->text, op->a, op->len);
  if (op_is_anchor(op->kind)) return text_anchor(&t->text, &doc->text, op->a, anchor_of(op->kind, open_lv(doc)));
  return text_insert(&t->text, &doc->text, op->a, op->len, op->at, op->bytes);
}

/* ---- Registers ---------------------------------------------------------------------------------------------- */

static int write_entry(dunlin_doc *doc, const struct op *op, const struct reg_write *write,
                       const struct reg_names *names) {
  struct map *map = &doc->containers[op->container]->as.map;
  uint32_t entry = map_entry_of(map, op->key, op->entry);
  if (entry == UINT32_MAX) return DUNLIN_ENOMEM;
  if (doc->open.is_void) return 0;
  struct reg *reg = &map->entries[entry].reg;
  bool was = reg->count;
  if (doc->watch) watch_key(doc, op->container, entry);
  struct undo undo = {.what = UNDO_MAP_WRITE, .container = op->container, .entry = entry};
  int error = reg_apply(reg, &doc->graph, write, names, &undo.reg);
  if (error < 0) return error;
  map_changed(map, was, reg->count);
  if (error) push_undo(doc, undo);
  return 0;
}

static struct reg_write scalar_write(const dunlin_doc *doc, const struct op *op, uint32_t class) {
  return (struct reg_write){.lv = open_lv(doc), .class = class, .value = op->value};
}

static struct reg_write child_write(const dunlin_doc *doc, uint32_t child) {
  return (struct reg_write){.lv = open_lv(doc), .value = {.kind = doc->containers[child]->kind, .as.obj = {child}}};
}

int find_named(dunlin_doc *doc, struct dunlin_bytes names, uint32_t *lvs, struct reg_names *out) {
  const uint8_t *name = names.data;
  out->lvs = lvs;
  out->count = 0;
  for (size_t i = 0; i < names.len; i += WRITE_NAME) {
    struct dunlin_id id;
    uint32_t change, index = get_be32(name + i + sizeof id.bytes);
    memcpy(id.bytes, name + i, sizeof id.bytes);
    int error = names_find(doc, &id, &change);
    if (error) return error;
    if (change == IDMAP_NONE) continue;
    uint32_t start = graph_start(&doc->graph, change);
    if (index < graph_start(&doc->graph, change + 1) - start) lvs[out->count++] = start + index;
  }
  return 0;
}

/* A write that names what it replaces. */
static int apply_over(dunlin_doc *doc, const struct op *op, const struct reg_write *write) {
  uint32_t lvs[WRITE_NAMES_MAX];
  struct reg_names names = {.own = doc->open.lv};
  int error = find_named(doc, op->names, lvs, &names);
  if (error) return error;
  if (op->kind == OP_LIST_SET_OVER) return list_apply(doc, op, write, &names);
  return write_entry(doc, op, op->kind == OP_MAP_SET_OVER ? write : NULL, &names);
}

/* ---- Offers and sets ---------------------------------------------------------------------------------------- */

static int apply_offer(dunlin_doc *doc, struct container *c, const struct op *op, const struct reg_write *write) {
  struct reg *reg = &c->as.offer;
  struct undo undo = {.what = UNDO_OFFER, .container = op->container};
  int error = offer_check(c->kind, &op->value);
  if (error || doc->open.is_void) return error;
  if (reg->count) {
    const struct reg_write *shown = reg_at(reg, 0);
    bool better;
    if (c->kind != DUNLIN_FIRST) better = offer_beats(c->kind, &op->value, &shown->value);
    else better = !graph_seen(&doc->graph, shown->lv) && graph_wins(&doc->graph, shown->lv, write->lv);
    if (!better) return 0;
  }
  error = reg_replace(reg, doc->env, write, &undo.reg);
  if (error < 0) return error;
  push_undo(doc, undo);
  return 0;
}

/* A member's register has no values: the member is the key. */
static int apply_member(dunlin_doc *doc, const struct op *op) {
  struct reg_write write = {.lv = open_lv(doc), .value = {.kind = DUNLIN_NULL}};
  if (op->key.len > DUNLIN_MAX_KEY) return DUNLIN_ELIMIT;
  return write_entry(doc, op, op->kind == OP_OFFER ? &write : NULL, NULL);
}

/* ---- Children ----------------------------------------------------------------------------------------------- */

/* Whether the walking version knows a child of that generation at the entry. */
static bool generation_known(dunlin_doc *doc, uint32_t map, struct dunlin_bytes key, uint32_t generation) {
  for (int kind = DUNLIN_MAP; kind <= (int)KIND_LAST; kind++) {
    struct container_id id = child_id(doc, &doc->containers[map]->id, key, (enum dunlin_kind)kind, generation);
    uint32_t found = container_find(doc, &id);
    if (found != IDMAP_NONE && container_seen(doc, found)) return true;
  }
  return false;
}

int64_t generation_seen(dunlin_doc *doc, uint32_t map, const struct map_entry *entry) {
  int64_t generation = entry->generation;
  if (doc->graph.open.builds_on_all || doc->containers[map]->provisional)
    return generation; /* everything in it is of this transaction */
  while (generation >= 0 && !generation_known(doc, map, map_key(entry), (uint32_t)generation)) generation--;
  return generation;
}

/* A child that is live at the entry, by kind and generation: how one of a provisional parent is found. */
static uint32_t live_child(const dunlin_doc *doc, const struct map_entry *entry, enum dunlin_kind kind,
                           uint32_t generation) {
  for (uint32_t i = 0; entry && i < entry->reg.count; i++) {
    const struct dunlin_value *value = &reg_at(&entry->reg, i)->value;
    if (value->kind == kind && doc->containers[value->as.obj.index]->generation == generation)
      return value->as.obj.index;
  }
  return IDMAP_NONE;
}

static int apply_map_child(dunlin_doc *doc, const struct op *given, uint32_t *made) {
  struct op keyed = *given, *op = &keyed;
  enum dunlin_kind kind = (enum dunlin_kind)op->a;
  struct container *parent = doc->containers[op->container];
  uint32_t entry = map_entry_of(&parent->as.map, op->key, op->entry);
  if (entry == UINT32_MAX) return DUNLIN_ENOMEM;
  op->entry = entry;
  op->key =
      map_key(&parent->as.map.entries[entry]); /* the given one may have been borrowed from an entry that has moved */
  int error;
  if (parent->provisional) {
    *made = live_child(doc, &parent->as.map.entries[entry], kind, op->number);
    error = *made == IDMAP_NONE ? container_make(doc, op, kind, NULL, made) : note_maker(doc, *made);
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
  return write_entry(doc, op, &write, NULL);
}

static int apply_item_child(dunlin_doc *doc, const struct op *op, uint32_t *made) {
  enum dunlin_kind kind = (enum dunlin_kind)op->number;
  struct container_id id = {{0}};
  if (doc->open.is_given) id = item_child_id(doc, &doc->graph.open.id, doc->open.index, kind);
  int error = container_make(doc, op, kind, doc->open.is_given ? &id : NULL, made);
  if (error) return error;
  struct reg_write write = child_write(doc, *made);
  return list_apply(doc, op, &write, NULL);
}

/* ---- One operation ------------------------------------------------------------------------------------------ */

/* The id of what an operation without effect makes, so that later changes can name it.  False: that hangs on what this
 * version does not know. */
static bool idle_child_id(dunlin_doc *doc, const struct op *op, struct container_id *id) {
  const struct container *parent = doc->containers[op->container];
  bool in_list = parent->kind == DUNLIN_LIST || parent->kind == DUNLIN_NULL; /* the latter may be one */
  if (op->kind == OP_MAP_CHILD && parent->kind == DUNLIN_MAP)
    *id = child_id(doc, &parent->id, op->key, (enum dunlin_kind)op->a, op->number);
  else if ((op->kind == OP_LIST_CHILD || op->kind == OP_LIST_SET_CHILD) && in_list)
    *id = item_child_id(doc, &doc->graph.open.id, doc->open.index, (enum dunlin_kind)op->number);
  else return false;
  return true;
}

/* An operation of a kind that this version does not know, or one that builds on such: it is kept, and has no effect. */
static int apply_unknown(dunlin_doc *doc, const struct op *op, bool unknown, uint32_t *made) {
  if (unknown) {
    int error = set_add(doc, &doc->containers[op->container]->unknown, open_lv(doc));
    if (error) return error;
    doc->containers[op->container]->unknown_now += !doc->open.is_void;
    push_undo(doc, (struct undo){.what = UNDO_UNKNOWN, .container = op->container});
  }
  if (!(op->kind & OP_CREATES)) return 0;
  struct container_id id;
  if (!idle_child_id(doc, op, &id)) return container_make(doc, op, DUNLIN_NULL, NULL, made);
  return container_make(doc, op, (enum dunlin_kind)id.bytes[0], &id, made);
}

/* The kind of container that an operation is for; DUNLIN_NULL: an unknown operation. */
static enum dunlin_kind kind_for(const struct op *op, enum dunlin_kind kind) {
  switch (op->kind) {
    case OP_TEXT_INSERT:
    case OP_MARK_START:
    case OP_MARK_START_GROWS:
    case OP_MARK_END:
    case OP_MARK_END_GROWS: return DUNLIN_TEXT;
    case OP_DELETE: return kind == DUNLIN_TEXT ? DUNLIN_TEXT : DUNLIN_LIST;
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
    case OP_OFFER: return is_offer(kind) || is_set(kind) ? kind : DUNLIN_MAX;
    case OP_SET_REMOVE: return DUNLIN_SET;
    default: return DUNLIN_NULL;
  }
}

static int apply_counter(dunlin_doc *doc, struct container *c, const struct op *op) {
  if (doc->open.is_void) return 0;
  c->as.counter = (int64_t)((uint64_t)c->as.counter + (uint64_t)op->amount);
  push_undo(doc, (struct undo){.what = UNDO_COUNTER, .container = op->container, .amount = op->amount});
  return 0;
}

static int dispatch(dunlin_doc *doc, const struct op *op, uint32_t *made, bool *idle) {
  struct container *c = doc->containers[op->container];
  bool has_class = op->kind == OP_MAP_SET || op->kind == OP_MAP_SET_OVER;
  struct reg_write write = scalar_write(doc, op, has_class ? op->a : 0);
  enum dunlin_kind need = kind_for(op, c->kind);
  bool unknown = need == DUNLIN_NULL;
  if (unknown || c->kind == DUNLIN_NULL || any_seen(doc, &c->unknown)) {
    if (doc->open.is_local) return DUNLIN_ENEWER;
    *idle = true;
    return apply_unknown(doc, op, unknown, made);
  }
  if (c->kind != need) return DUNLIN_EKIND;
  if (need == DUNLIN_TEXT) return apply_text(doc, c, op);
  switch (op->kind) {
    case OP_LIST_CHILD:
    case OP_LIST_SET_CHILD: return apply_item_child(doc, op, made);
    case OP_MAP_SET: return write_entry(doc, op, &write, NULL);
    case OP_MAP_CHILD: return apply_map_child(doc, op, made);
    case OP_MAP_DELETE: return write_entry(doc, op, NULL, NULL);
    case OP_MAP_SET_OVER:
    case OP_MAP_DELETE_OVER:
    case OP_LIST_SET_OVER: return apply_over(doc, op, &write);
    case OP_COUNTER_ADD: return apply_counter(doc, c, op);
    case OP_OFFER:
    case OP_SET_REMOVE: return is_set(need) ? apply_member(doc, op) : apply_offer(doc, c, op, &write);
    default: return list_apply(doc, op, &write, NULL);
  }
}

/* ---- Rows --------------------------------------------------------------------------------------------------- */

/* Deletions may come to lie beside those of the row before only after that one had ended: takes it back into the open
 * row. */
static bool join_back(dunlin_doc *doc) {
  struct oplog_row *row = &doc->open.row;
  struct oplog *log = &doc->containers[doc->open.row_container]->log;
  if (!row->len || row->kind != OP_DELETE || row->lv == doc->open.lv || !log->count) return false;
  const struct op_run *run = &log->runs[log->count - 1];
  if (run->kind != OP_DELETE || run->lv + run->len != row->lv) return false;
  /* What the change has of the run is one row: rows that could be one are one. */
  struct op_piece before = op_piece(run, doc->open.lv, row->lv);
  uint32_t len = before.len;
  if (!rows_join(OP_DELETE, &before.a, &before.len, row->a, row->len)) return false;
  oplog_take_back(log, len);
  row->lv = before.lv;
  row->a = before.a;
  row->len = before.len;
  return true;
}

/* How many bytes a number takes in a change. */
static uint32_t number_bytes(uint32_t v) {
  return 1u + (v >= 0x80) + (v >= 0x100) + 2u * (v >= 0x10000);
}

int close_row(dunlin_doc *doc) {
  struct oplog_row *row = &doc->open.row;
  uint32_t container = doc->open.row_container;
  if (!row->len) return 0;
  if (row->kind == OP_DELETE)
    while (join_back(doc)) {
    }
  bool is_other = !doc->owner_count || doc->owners[doc->owner_count - 1].container != container;
  if (is_other && ENV_GROW(doc->env, doc->owners, doc->owner_cap, doc->owner_count + 1)) return DUNLIN_ENOMEM;
  int error = oplog_push(&doc->containers[container]->log, doc->env, row);
  if (error) return error;
  if (is_other) doc->owners[doc->owner_count++] = (struct owner){row->lv, container};
  doc->open.row_bytes += number_bytes(row->a) + number_bytes(row->len);
  row->len = 0;
  return 0;
}

int row_add(dunlin_doc *doc, uint32_t container, const struct oplog_row *add) {
  struct oplog_row *row = &doc->open.row;
  bool joins = false;
  if (row->len && doc->open.row_container == container && row->kind == add->kind) do
      joins = rows_join(add->kind, &row->a, &row->len, add->a, add->len);
    while (!joins && join_back(doc));
  int error = joins ? 0 : close_row(doc);
  if (error) return error;
  if (!joins) {
    *row = *add;
    row->lv = open_lv(doc);
    doc->open.row_container = container;
  }
  doc->open.index += add->len;
  doc->open.calls++;
  return 0;
}

int apply_op(dunlin_doc *doc, const struct op *op, uint32_t *made) {
  enum { steps = 6 }; /* more than any operation pushes on the undo list */
  if (op->container >= doc->container_count) return DUNLIN_ENOENT;
  if (op->len > DUNLIN_MAX_DELTA_OPS - doc->open.index) return DUNLIN_ELIMIT;
  int error = container_touch(doc, op->container);
  if (error) return error;
  if (ENV_GROW(doc->env, doc->open.undos, doc->open.undo_cap, doc->open.undo_count + steps) ||
      ENV_GROW(doc->env, doc->open.made, doc->open.made_cap, doc->open.made_count + 1))
    return DUNLIN_ENOMEM;
  bool idle = false;
  error = dispatch(doc, op, made, &idle);
  struct oplog_row row = {.kind = op->kind, .idle = idle, .a = op->a, .len = op->len, .at = op->at};
  if (!error) error = row_add(doc, op->container, &row);
  if (!error && op->kind & OP_CREATES) doc->open.made[doc->open.made_count++] = *made;
  return error;
}

/* ---- The open change ---------------------------------------------------------------------------------------- */

/* The graph has opened it. */
static void begin_open(dunlin_doc *doc, const struct dunlin_id *id) {
  struct open_change *o = &doc->open;
  o->is_open = true;
  o->is_local = o->is_void = o->is_prepared = false;
  o->is_given = id;
  if (id) doc->graph.open.id = *id;
  o->lv = doc->graph.lvs;
  o->index = o->calls = o->row.len = 0;
  o->row_bytes = 0;
  o->stamp = ++doc->stamp;
  o->undo_count = o->made_count = o->touched_count = 0;
  o->text_end = column_end(&doc->text);
  o->values_end = column_end(&doc->values);
  o->owner_count = doc->owner_count;
  o->maker_count = doc->maker_count;
}

int open_change(dunlin_doc *doc, const uint32_t *parents, size_t count, const struct dunlin_id *id) {
  int error = docfile_need(doc, parents, count);
  if (!error) error = graph_open(&doc->graph, parents, count);
  if (!error) begin_open(doc, id);
  return error;
}

bool open_change_next(dunlin_doc *doc) {
  if (doc->file || !graph_open_next(&doc->graph, doc->actor)) return false;
  begin_open(doc, NULL);
  return true;
}

static void revert_log(dunlin_doc *doc, const struct undo *u) {
  struct container *c = doc->containers[u->container];
  c->log.count = u->first;
  c->log.ops = u->count;
  if (u->first) c->log.runs[u->first - 1] = u->run;
  c->void_from = u->entry;
  c->touched = 0;
  if (c->kind == DUNLIN_LIST) list_revert(&c->as.list->list);
  if (c->kind == DUNLIN_TEXT) text_revert(&c->as.text->text);
  struct sequence *s = sequence_of(c);
  if (s && s->walks) walker_stop(&s->walker);
}

static void revert_write(const dunlin_doc *doc, struct map *map, struct undo *u) {
  struct reg *reg = &map->entries[u->entry].reg;
  bool was = reg->count;
  reg_revert(reg, &doc->graph, &u->reg);
  map_changed(map, was, reg->count);
}

static void revert_step(dunlin_doc *doc, struct undo *u) {
  struct container *c = doc->containers[u->container];
  switch (u->what) {
    case UNDO_LOG: revert_log(doc, u); break;
    case UNDO_MAP_WRITE: revert_write(doc, &c->as.map, u); break;
    case UNDO_LIST_WRITE: reg_revert(&c->as.list->list.elements[u->entry], &doc->graph, &u->reg); break;
    case UNDO_COUNTER: c->as.counter = (int64_t)((uint64_t)c->as.counter - (uint64_t)u->amount); break;
    case UNDO_OFFER: reg_revert(&c->as.offer, &doc->graph, &u->reg); break;
    case UNDO_CONTAINER: container_drop_last(doc); break;
    case UNDO_MADE: c->made.count--; break;
    case UNDO_UNKNOWN: c->unknown.count--, c->unknown_now -= !doc->open.is_void; break;
    case UNDO_GENERATION: c->as.map.entries[u->entry].generation = u->amount; break;
  }
}

void open_change_revert(dunlin_doc *doc) {
  struct open_change *o = &doc->open;
  while (o->undo_count) revert_step(doc, &o->undos[--o->undo_count]);
  column_truncate(&doc->text, o->text_end);
  column_truncate(&doc->values, o->values_end);
  doc->owner_count = o->owner_count;
  doc->maker_count = o->maker_count;
  graph_abandon(&doc->graph);
  o->is_open = false;
  o->plain = NULL;
}

void settle_walker(const dunlin_doc *doc, struct walker *w, bool walks) {
  if (walks) {
    w->version[0] = doc->graph.lvs - 1;
    w->version_count = 1;
    w->to = doc->graph.lvs;
  } else if (w->is_live && doc->graph.lvs - w->to > w->to - w->base) {
    walker_stop(w); /* not needed for a while, and quickly made again */
  }
}

static void settle_container(dunlin_doc *doc, struct container *c) {
  struct sequence *s = sequence_of(c);
  if (!s) return;
  const struct op_run *last = c->log.count ? &c->log.runs[c->log.count - 1] : NULL;
  if (last && last->lv + last->len > doc->open.lv) c->seen_all = s->behind ? LV_NONE : last->lv + last->len - 1;
  tip_note(doc, c, version_size(c));
  if (c->kind == DUNLIN_LIST) list_settle(&c->as.list->list);
  else text_settle(&c->as.text->text);
  if (s->waits) return;
  s->shown = doc->graph.lvs;
  settle_walker(doc, &s->walker, s->walks);
}

int open_change_settle(dunlin_doc *doc, const struct dunlin_id *id) {
  struct open_change *o = &doc->open;
  int error = close_row(doc);
  if (!error) error = doc->text.buf.error ? doc->text.buf.error : doc->values.buf.error;
  if (!error) error = doc->graph.open.error;
  if (!error) error = names_prepare(doc);
  if (!error) error = graph_settle(&doc->graph, o->index);
  if (error) return error;
  names_add(doc, id);
  for (size_t i = 0; i < o->touched_count; i++) settle_container(doc, doc->containers[o->touched[i]]);
  for (size_t i = 0; i < o->undo_count; i++) {
    struct undo *u = &o->undos[i];
    if (u->what == UNDO_MAP_WRITE || u->what == UNDO_LIST_WRITE || u->what == UNDO_OFFER)
      reg_undo_free(&u->reg, doc->env);
  }
  o->undo_count = 0;
  o->is_open = false;
  o->plain = NULL;
  return 0;
}
