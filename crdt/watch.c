/* Watches, and what is noted for them.  The events that come out of it: event.c. */
#include "crdt/plain.h"
#include "crdt/watch_private.h"

#include <string.h>

/* ---- Paths watched ------------------------------------------------------------------------------------------ */

/* A node's name in the map of all nodes: where it hangs, then its key. */
static bool node_name(uint32_t parent, struct dunlin_bytes key, uint8_t *name, struct dunlin_bytes *out) {
  if (key.len > DUNLIN_MAX_KEY) return false;
  put_be32(name, parent);
  if (key.len) memcpy(name + 4, key.data, key.len);
  *out = (struct dunlin_bytes){name, key.len + 4};
  return true;
}

uint32_t watch_node_find(const struct watch *w, uint32_t parent, struct dunlin_bytes key) {
  uint8_t bytes[4 + DUNLIN_MAX_KEY];
  struct dunlin_bytes name;
  if (!node_name(parent, key, bytes, &name)) return NODE_NONE;
  const struct map_entry *found = map_find(&w->names, name);
  return found ? (uint32_t)(found - w->names.entries) : NODE_NONE;
}

uint32_t watch_base_find(const struct watch *w, uint32_t container) {
  uint8_t base[4];
  put_be32(base, container);
  return watch_node_find(w, NODE_NONE, (struct dunlin_bytes){base, sizeof base});
}

/* The node with that name, made if need be; NODE_NONE: out of memory. */
static uint32_t node_make(struct watch *w, uint32_t parent, struct dunlin_bytes key) {
  uint8_t bytes[4 + DUNLIN_MAX_KEY];
  struct dunlin_bytes name;
  uint32_t node = watch_node_find(w, parent, key);
  if (node != NODE_NONE || !node_name(parent, key, bytes, &name)) return node;
  if (ENV_GROW(w->env, w->nodes, w->node_cap, w->names.count + 1)) return NODE_NONE;
  node = map_entry_of(&w->names, name, 0);
  if (node == UINT32_MAX) return NODE_NONE;
  w->nodes[node] = (struct watch_node){WATCHER_NONE, NODE_NONE, NODE_NONE, 0};
  w->unused++;
  if (parent == NODE_NONE) return node;
  w->nodes[node].sibling = w->nodes[parent].child;
  w->nodes[parent].child = node;
  return node;
}

/* The node of a path below a container. */
static int node_of(struct watch *w, uint32_t base, struct dunlin_bytes path, uint32_t *out) {
  uint8_t root[4];
  put_be32(root, base);
  *out = node_make(w, NODE_NONE, (struct dunlin_bytes){root, sizeof root});
  for (size_t steps = 0; path.len && *out != NODE_NONE; steps++) {
    struct path_token token;
    int error = steps < DUNLIN_MAX_DEPTH ? path_next(&path, &token) : DUNLIN_EPATH;
    if (error) return error;
    *out = node_make(w, *out, (struct dunlin_bytes){token.text, token.len});
  }
  return *out == NODE_NONE ? DUNLIN_ENOMEM : 0;
}

static uint32_t node_parent(const struct watch *w, uint32_t node) {
  return get_be32(map_key(&w->names.entries[node]).data);
}

static void node_use(struct watch *w, uint32_t node) {
  for (; node != NODE_NONE; node = node_parent(w, node)) w->unused -= !w->nodes[node].uses++;
}

/* Copies the nodes that are used, in their order, parents first; `numbers`: what they are then. */
static bool copy_used(const struct watch *w, struct watch *to, uint32_t *numbers) {
  for (uint32_t i = 0; i < w->names.count; i++) {
    if (!w->nodes[i].uses) continue;
    struct dunlin_bytes name = map_key(&w->names.entries[i]);
    uint32_t parent = node_parent(w, i);
    struct dunlin_bytes token = {(const uint8_t *)name.data + 4, name.len - 4};
    uint32_t node = node_make(to, parent == NODE_NONE ? NODE_NONE : numbers[parent], token);
    if (node == NODE_NONE) return false;
    to->nodes[node].watcher = w->nodes[i].watcher;
    to->nodes[node].uses = w->nodes[i].uses;
    numbers[i] = node;
  }
  return true;
}

/* Drops nodes that nobody uses any more, when they are most.  Without memory they stay. */
static void unused_drop(struct watch *w) {
  enum { few = 16 };
  size_t count = w->names.count;
  if (w->unused < few || w->unused <= count / 2) return;
  struct watch fresh = {.env = w->env};
  map_init(&fresh.names, w->env, w->names.seed);
  uint32_t *numbers = env_calloc(w->env, count, sizeof *numbers);
  bool copied = numbers && copy_used(w, &fresh, numbers);
  struct watch *gone = copied ? w : &fresh;
  for (size_t i = 0; copied && i < w->watcher_count; i++)
    if (w->watchers[i].is_live) w->watchers[i].node = numbers[w->watchers[i].node];
  map_free(&gone->names);
  ENV_FREE_ARRAY(w->env, gone->nodes, gone->node_cap);
  ENV_FREE_ARRAY(w->env, numbers, count);
  if (!copied) return;
  w->names = fresh.names;
  w->nodes = fresh.nodes;
  w->node_cap = fresh.node_cap;
  w->unused = 0;
}

static void node_leave(struct watch *w, uint32_t node) {
  for (; node != NODE_NONE; node = node_parent(w, node)) w->unused += !--w->nodes[node].uses;
  unused_drop(w);
}

/* ---- Watching ----------------------------------------------------------------------------------------------- */

static int watch_new(dunlin_doc *doc) {
  struct watch *w = env_calloc(doc->env, 1, sizeof *w);
  if (!w) return DUNLIN_ENOMEM;
  w->env = doc->env;
  map_init(&w->names, doc->env, doc->seed + 1);
  doc->watch = w;
  return 0;
}

int dunlin_watch(dunlin_doc *doc, dunlin_obj base, struct dunlin_bytes path, uint64_t tag) {
  if (base.index >= doc->container_count || (path.len && !path.data)) return DUNLIN_EINVAL;
  if (doc->open.is_open) return DUNLIN_ESTATE;
  /* What happened before is not for the new one. */
  int early = doc->watch ? event_look(doc) : 0;
  for (uint32_t i = 0; !early && !doc->watch && i < doc->container_count; i++) early = container_show(doc, i);
  if (early) return early;
  if (!doc->watch && watch_new(doc)) return DUNLIN_ENOMEM;
  struct watch *w = doc->watch;
  uint32_t node, at = 0;
  int error = node_of(w, base.index, path, &node);
  while (at < w->watcher_count && w->watchers[at].is_live) at++;
  if (!error && at >= INT32_MAX) error = DUNLIN_ELIMIT;
  if (!error && ENV_GROW(doc->env, w->watchers, w->watcher_cap, at + 1)) error = DUNLIN_ENOMEM;
  if (error) {
    if (w->live) unused_drop(w);
    else watch_free(doc);
    return error;
  }
  w->watchers[at] = (struct watcher){true, node, w->nodes[node].watcher, tag};
  w->nodes[node].watcher = at;
  node_use(w, node);
  if (at == w->watcher_count) w->watcher_count++;
  w->live++;
  return (int)at;
}

/* Who ended a watch does not expect its tag any more. */
static void drop_untaken(struct watch *w, uint32_t watch) {
  size_t kept = w->queue_at;
  for (size_t i = w->queue_at; i < w->queue_count; i++)
    if (w->queue[i].watch != watch) w->queue[kept++] = w->queue[i];
  w->queue_count = kept;
}

void dunlin_unwatch(dunlin_doc *doc, int watch) {
  struct watch *w = doc->watch;
  if (!w || watch < 0 || (uint32_t)watch >= w->watcher_count || !w->watchers[watch].is_live) return;
  uint32_t *link = &w->nodes[w->watchers[watch].node].watcher;
  while (*link != (uint32_t)watch) link = &w->watchers[*link].next;
  *link = w->watchers[watch].next;
  w->watchers[watch].is_live = false;
  node_leave(w, w->watchers[watch].node);
  drop_untaken(w, (uint32_t)watch);
  if (--w->live) return;
  watch_clear(doc);
  watch_free_ended(doc);
  doc->ended = w;
  doc->watch = NULL;
}

/* ---- Notes -------------------------------------------------------------------------------------------------- */

static bool note_before(struct watch *w, struct watch_before before) {
  if (ENV_GROW(w->env, w->befores, w->before_cap, w->before_count + 1)) return false;
  struct dunlin_value *v = &before.value;
  if (before.had && (v->kind == DUNLIN_STRING || v->kind == DUNLIN_BYTES)) {
    void *copy = env_alloc(w->env, v->as.string.len);
    if (!copy) return false;
    if (v->as.string.len) memcpy(copy, v->as.string.data, v->as.string.len);
    v->as.string.data = copy;
  }
  w->befores[w->before_count++] = before;
  return true;
}

bool watch_value(const struct container *c, struct dunlin_value *out) {
  if (c->kind == DUNLIN_COUNTER) {
    *out = (struct dunlin_value){.kind = DUNLIN_INT, .as.integer = c->as.counter};
    return true;
  }
  if (c->as.offer.count) *out = reg_at(&c->as.offer, 0)->value;
  return c->as.offer.count;
}

static struct watch_before before_of(const dunlin_doc *doc, const struct reg *reg) {
  struct watch_before before = {.had = reg->count, .item = false};
  if (reg->count) before.value = reg_at(reg, 0)->value;
  before.conflicts = distinct_count(doc, reg);
  return before;
}

/* Makes the container's note; `state` is the container as it was. */
static struct watch_note *note_new(dunlin_doc *doc, uint32_t container, const struct container *state) {
  struct container *c = doc->containers[container];
  struct watch *w = doc->watch;
  struct watch_before before = {.item = true};
  if (ENV_GROW(doc->env, w->noted, w->noted_cap, w->noted_count + 1)) return NULL;
  struct watch_note *note = env_calloc(doc->env, 1, sizeof *note);
  if (!note) return NULL;
  splices_init(&note->splices, doc->env);
  note->before = (uint32_t)w->before_count;
  if (c->kind == DUNLIN_COUNTER || is_offer(c->kind)) {
    before.had = watch_value(state, &before.value);
    if (!note_before(w, before)) {
      env_free(doc->env, note, sizeof *note);
      return NULL;
    }
  }
  w->noted[w->noted_count++] = container;
  if (c->kind == DUNLIN_TEXT) note->marked = c->as.text->text.marked;
  return note;
}

struct watch_note *watch_note_of(dunlin_doc *doc, uint32_t container, const struct container *state) {
  struct container *c = doc->containers[container];
  bool is_new = !c->note;
  if (is_new) c->note = note_new(doc, container, state);
  if (!c->note) return NULL;
  if (c->kind == DUNLIN_TEXT) {
    c->as.text->text.splices = &c->note->splices;
    c->as.text->text.unit = doc->unit == DUNLIN_UTF8    ? ROPE_UTF8
                            : doc->unit == DUNLIN_UTF16 ? ROPE_UTF16
                                                        : ROPE_CHARACTERS;
  }
  if (c->kind == DUNLIN_LIST) c->as.list->list.splices = &c->note->splices;
  if (is_new) splices_open(&c->note->splices);
  return c->note;
}

static unsigned origin_of(const dunlin_doc *doc) {
  if (!doc->open.is_open) return DUNLIN_ORIGIN_VOID;
  return doc->open.is_local ? DUNLIN_ORIGIN_LOCAL : DUNLIN_ORIGIN_REMOTE;
}

void watch_touch(dunlin_doc *doc, uint32_t container) {
  struct watch_note *note = watch_note_of(doc, container, doc->containers[container]);
  if (note) note->origin |= origin_of(doc);
  else doc->watch->lost = true;
}

/* The slot of a place in the table of those noted, free or not. */
size_t watch_find_place(const struct watch *w, uint32_t container, uint32_t entry) {
  uint64_t hash = ((uint64_t)container << 32 | entry) * 0x9e3779b97f4a7c15u;
  size_t at = (size_t)(hash >> 20) & (w->place_cap - 1);
  for (; w->places[at]; at = (at + 1) & (w->place_cap - 1)) {
    const struct watch_before *b = &w->befores[w->places[at] - 1];
    if (!b->item && b->container == container && b->entry == entry) break;
  }
  return at;
}

static bool fill_places(struct watch *w, size_t cap) {
  uint32_t *places = env_calloc(w->env, cap, sizeof *places);
  if (!places) return false;
  ENV_FREE_ARRAY(w->env, w->places, w->place_cap);
  w->places = places;
  w->place_cap = cap;
  for (size_t i = 0; i < w->before_count; i++)
    if (!w->befores[i].item)
      places[watch_find_place(w, w->befores[i].container, w->befores[i].entry)] = (uint32_t)i + 1;
  return true;
}

bool watch_places_renew(struct watch *w) {
  return !w->place_cap || fill_places(w, w->place_cap);
}

void watch_key_was(dunlin_doc *doc, uint32_t container, uint32_t entry, const struct reg *reg) {
  struct watch *w = doc->watch;
  if ((w->before_count + 1) * 2 > w->place_cap && !fill_places(w, w->place_cap ? w->place_cap * 2 : 64)) {
    w->lost = true;
    return;
  }
  size_t place = watch_find_place(w, container, entry);
  if (w->places[place]) {
    w->befores[w->places[place] - 1].origin |= origin_of(doc);
    return;
  }
  struct watch_before before = before_of(doc, reg);
  before.container = container;
  before.entry = entry;
  before.origin = origin_of(doc);
  if (note_before(w, before)) w->places[place] = (uint32_t)w->before_count;
  else w->lost = true;
}

void watch_key(dunlin_doc *doc, uint32_t container, uint32_t entry) {
  watch_key_was(doc, container, entry, &doc->containers[container]->as.map.entries[entry].reg);
}

void watch_item(dunlin_doc *doc, const struct container *c, uint32_t at, uint32_t element) {
  struct watch *w = doc->watch;
  if (!c->note || !splices_set(&c->note->splices, at, (uint32_t)w->before_count)) return;
  struct watch_before before = before_of(doc, &c->as.list->list.elements[element]);
  before.item = true;
  if (!note_before(w, before)) w->lost = true; /* then nobody looks at what the splices say */
}

void watch_replaced(const dunlin_doc *doc, struct container *c, struct text *now) {
  struct text *before = &c->as.text->text;
  if (!c->note) return;
  now->splices = before->splices;
  now->unit = before->unit;
  c->note->marks |= before->marked != c->note->marked;
  c->note->marked = now->marked;
  if (text_flush(before, &doc->text) || text_flush(now, &doc->text)) {
    c->note->splices.lost = true;
    return;
  }
  size_t was = rope_convert(&before->rope, ROPE_SCALARS, now->unit, before->size);
  size_t is = rope_convert(&now->rope, ROPE_SCALARS, now->unit, now->size);
  if (was) splices_erase(&c->note->splices, 0, (uint32_t)was);
  if (is) splices_insert(&c->note->splices, 0, (uint32_t)is);
}

void watch_lost(dunlin_doc *doc) {
  if (!doc->watch) return;
  watch_clear(doc);
  doc->watch->lost = true;
}

/* ---- Forgetting --------------------------------------------------------------------------------------------- */

void watch_note_free(dunlin_doc *doc, struct container *c) {
  if (c->kind == DUNLIN_TEXT) c->as.text->text.splices = NULL;
  if (c->kind == DUNLIN_LIST) c->as.list->list.splices = NULL;
  if (!c->note) return;
  splices_free(&c->note->splices);
  env_free(doc->env, c->note, sizeof *c->note);
  c->note = NULL;
}

static void drop_last_before(struct watch *w) {
  struct watch_before *b = &w->befores[--w->before_count];
  if (b->had && (b->value.kind == DUNLIN_STRING || b->value.kind == DUNLIN_BYTES))
    env_free(w->env, (void *)(uintptr_t)b->value.as.string.data, b->value.as.string.len);
}

void watch_clear(dunlin_doc *doc) {
  struct watch *w = doc->watch;
  for (size_t i = 0; i < w->noted_count; i++)
    if (w->noted[i] < doc->container_count) watch_note_free(doc, doc->containers[w->noted[i]]);
  w->noted_count = 0;
  while (w->before_count) drop_last_before(w);
  ENV_FREE_ARRAY(w->env, w->places, w->place_cap);
  w->places = NULL;
  w->place_cap = 0;
  w->lost = false;
}

static void free_cleared(struct watch *w) {
  event_queue_clear(w);
  ENV_FREE_ARRAY(w->env, w->queue, w->queue_cap);
  ENV_FREE_ARRAY(w->env, w->strings, w->string_cap);
  ENV_FREE_ARRAY(w->env, w->befores, w->before_cap);
  ENV_FREE_ARRAY(w->env, w->noted, w->noted_cap);
  ENV_FREE_ARRAY(w->env, w->watchers, w->watcher_cap);
  ENV_FREE_ARRAY(w->env, w->nodes, w->node_cap);
  map_free(&w->names);
  env_free(w->env, w, sizeof *w);
}

void watch_free_ended(dunlin_doc *doc) {
  if (doc->ended) free_cleared(doc->ended);
  doc->ended = NULL;
}

void watch_free(dunlin_doc *doc) {
  watch_free_ended(doc);
  if (!doc->watch) return;
  watch_clear(doc);
  free_cleared(doc->watch);
  doc->watch = NULL;
}
