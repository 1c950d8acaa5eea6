/* Events: what was noted since the last look, compared with what is there now. */
#include <stdlib.h>
#include <string.h>

#include "crdt/plain.h"
#include "crdt/watch_private.h"

enum { DEEPEST = DUNLIN_MAX_DEPTH + 1 };

/* One look. */
struct look {
  dunlin_doc *doc;
  struct watch *watch;
  bool *is_scanned;        /* lists */
  uint32_t *index_in_list; /* of containers that are elements of those lists */
  uint32_t chain[DEEPEST]; /* the container in hand, from the root on */
  size_t depth;
  struct dunlin_bytes path;
  int error;
};

void event_queue_clear(struct watch *w) {
  for (size_t i = 0; i < w->string_count; i++)
    env_free(w->env, (void *)(uintptr_t)w->strings[i].data, w->strings[i].len);
  w->string_count = w->queue_count = w->queue_at = 0;
}

/* ---- Where a container is ----------------------------------------------------------------------------------- */

static const struct dunlin_value *winner(const struct reg *reg) {
  return reg->count ? &reg_at(reg, 0)->value : NULL;
}

static bool holds(const struct dunlin_value *value, uint32_t container) {
  return value && value->kind >= DUNLIN_MAP && value->as.obj.index == container;
}

/* Notes the indexes of all containers in a list, once. */
static int scan_list(struct look *l, uint32_t at) {
  const dunlin_doc *doc = l->doc;
  const struct list *list = &doc->containers[at]->as.list->list;
  if (!l->index_in_list) {
    l->index_in_list = env_calloc(doc->env, doc->container_count, sizeof *l->index_in_list);
    if (!l->index_in_list) return DUNLIN_ENOMEM;
    memset(l->index_in_list, 0xff, doc->container_count * sizeof *l->index_in_list);
  }
  if (!l->is_scanned) l->is_scanned = env_calloc(doc->env, doc->container_count, sizeof *l->is_scanned);
  if (!l->is_scanned) return DUNLIN_ENOMEM;
  if (l->is_scanned[at]) return 0;
  l->is_scanned[at] = true;
  for (uint32_t i = 0, count; i < list->size; i += count) {
    const uint32_t *elements = list_run(list, i, &count);
    for (uint32_t k = 0; k < count; k++) {
      const struct dunlin_value *value = winner(&list->elements[elements[k]]);
      if (value && value->kind >= DUNLIN_MAP) l->index_in_list[value->as.obj.index] = i + k;
    }
  }
  return 0;
}

static const struct watch_before *before_at(const struct look *l, uint32_t map, uint32_t entry) {
  const struct watch *w = l->watch;
  size_t place = w->place_cap ? watch_find_place(w, map, entry) : 0;
  return w->place_cap && w->places[place] ? &w->befores[w->places[place] - 1] : NULL;
}

/* The part of a list's splices that has the item at `at`; NULL when nothing was noted. */
static const struct splice_part *part_at(const struct container *list, uint32_t at) {
  const struct splices *s = list->note ? &list->note->splices : NULL;
  if (!s || !s->count) return NULL;
  size_t i = 0;
  for (; i + 1 < s->count && at >= s->parts[i].len; i++) at -= s->parts[i].len;
  return &s->parts[i];
}

/* Whether the container shows in its parent now, and did at the last look. */
static bool shows_as_before(struct look *l, uint32_t container) {
  const dunlin_doc *doc = l->doc;
  const struct container *c = doc->containers[container], *parent = doc->containers[c->parent];
  if (parent->kind == DUNLIN_MAP) {
    if (!holds(winner(&parent->as.map.entries[c->entry].reg), container)) return false;
    const struct watch_before *before = before_at(l, c->parent, c->entry);
    return !before || (before->had && holds(&before->value, container));
  }
  if (parent->kind != DUNLIN_LIST || (l->error = l->error ? l->error : scan_list(l, c->parent))) return false;
  if (l->index_in_list[container] == UINT32_MAX) return false;
  const struct splice_part *part = part_at(parent, l->index_in_list[container]);
  if (!part || part->what == SPLICE_KEPT) return true;
  const struct watch_before *before = part->what == SPLICE_SET ? &l->watch->befores[part->old] : NULL;
  return before && before->had && holds(&before->value, container);
}

/* Puts the container and all above it into the chain; false when it does not show, or has just come. */
static bool find_chain(struct look *l, uint32_t container) {
  const dunlin_doc *doc = l->doc;
  l->depth = doc->containers[container]->depth + 1u;
  if (l->depth > DEEPEST) return false;
  for (size_t i = l->depth; i-- > 0; container = doc->containers[container]->parent) {
    l->chain[i] = container;
    if (i && !shows_as_before(l, container)) return false;
  }
  return true;
}

/* ---- Paths -------------------------------------------------------------------------------------------------- */

/* Takes the memory over, until the queue is cleared. */
static int keep_bytes(struct look *l, struct dunlin_bytes bytes) {
  struct watch *w = l->watch;
  if (ENV_GROW(w->env, w->strings, w->string_cap, w->string_count + 1)) {
    env_free(w->env, (void *)(uintptr_t)bytes.data, bytes.len);
    return DUNLIN_ENOMEM;
  }
  w->strings[w->string_count++] = bytes;
  return 0;
}

static struct dunlin_bytes keep(struct look *l, struct buf *bytes) {
  const struct dunlin_bytes none = {NULL, 0};
  void *data = NULL;
  size_t len = 0;
  if (!bytes->len && !bytes->error) return none;
  int error = buf_take(bytes, &data, &len);
  struct dunlin_bytes kept = {data, len};
  if (!error) error = keep_bytes(l, kept);
  if (error) l->error = error;
  return error ? none : kept;
}

/* The path of the chain, and of a key or an index (-1: none) at its end. */
static struct dunlin_bytes path_of(struct look *l, const struct dunlin_bytes *key, int64_t index) {
  struct buf out;
  buf_init(&out, l->doc->env, SIZE_MAX / 2);
  for (size_t i = 1; i < l->depth; i++) {
    const struct container *c = l->doc->containers[l->chain[i]], *parent = l->doc->containers[c->parent];
    if (parent->kind == DUNLIN_MAP) path_push_key(&out, map_key(&parent->as.map.entries[c->entry]));
    else path_push_index(&out, l->index_in_list[l->chain[i]]);
  }
  if (key) path_push_key(&out, *key);
  if (index >= 0) path_push_index(&out, (uint32_t)index);
  struct dunlin_bytes path = keep(l, &out);
  buf_free(&out);
  return path;
}

/* ---- Who gets an event -------------------------------------------------------------------------------------- */

static void deliver(struct look *l, uint32_t node, struct dunlin_event *event) {
  struct watch *w = l->watch;
  for (uint32_t at = w->nodes[node].watcher; at != WATCHER_NONE; at = w->watchers[at].next) {
    if (ENV_GROW(w->env, w->queue, w->queue_cap, w->queue_count + 1)) {
      l->error = DUNLIN_ENOMEM;
      return;
    }
    event->tag = w->watchers[at].tag;
    w->queue[w->queue_count++] = (struct watch_told){*event, at};
  }
}

/* Watches of what lies below: no deeper than documents are. */
static void deliver_below(struct look *l, uint32_t node, struct dunlin_event *event) {
  for (uint32_t child = l->watch->nodes[node].child; child != NODE_NONE; child = l->watch->nodes[child].sibling) {
    deliver(l, child, event);
    deliver_below(l, child, event);
  }
}

/* From the watches on the chain's container `base`, down its path: to all whose path lies on that of the event, or goes
 * on from its key. */
static void deliver_from(struct look *l, size_t base, struct dunlin_event *event) {
  const dunlin_doc *doc = l->doc;
  uint32_t node = watch_base_find(l->watch, l->chain[base]);
  for (size_t i = base; node != NODE_NONE; i++) {
    deliver(l, node, event);
    if (i + 1 == l->depth) break;
    const struct container *next = doc->containers[l->chain[i + 1]], *parent = doc->containers[l->chain[i]];
    if (parent->kind != DUNLIN_MAP) return;
    node = watch_node_find(l->watch, node, map_key(&parent->as.map.entries[next->entry]));
  }
  if (node == NODE_NONE || doc->containers[event->obj.index]->kind != DUNLIN_MAP) return;
  node = watch_node_find(l->watch, node, event->key);
  if (node == NODE_NONE) return;
  deliver(l, node, event);
  deliver_below(l, node, event);
}

static void emit(struct look *l, struct dunlin_event *event) {
  for (size_t i = 0; i < l->depth && !l->error; i++) deliver_from(l, i, event);
}

/* ---- What has changed --------------------------------------------------------------------------------------- */

static struct dunlin_bytes keep_copy(struct look *l, struct dunlin_bytes bytes) {
  struct buf copy;
  buf_init(&copy, l->doc->env, SIZE_MAX / 2);
  buf_append(&copy, bytes.data, bytes.len);
  struct dunlin_bytes kept = keep(l, &copy);
  buf_free(&copy);
  return kept;
}

/* The event's own: the document may change before somebody takes the event. */
static struct dunlin_value keep_value(struct look *l, struct dunlin_value value) {
  if (value.kind == DUNLIN_STRING || value.kind == DUNLIN_BYTES) value.as.string = keep_copy(l, value.as.string);
  return value;
}

/* Fills in what was and what is; false when that is the same. */
static bool compare(struct look *l, struct dunlin_event *event, const struct watch_before *before,
                    const struct reg *reg) {
  const struct dunlin_value *now = winner(reg);
  event->conflicts = distinct_count(l->doc, reg);
  event->had = before->had;
  event->has = now != NULL;
  if (before->had == event->has && (!now || value_same(now, &before->value))) {
    if (before->conflicts == event->conflicts) return false;
    event->kind = DUNLIN_EVENT_CONFLICT;
  }
  if (before->had) event->before = keep_value(l, before->value);
  if (now) event->after = keep_value(l, *now);
  return true;
}

static void look_at_key(struct look *l, const struct watch_before *before) {
  const struct map_entry *entry = &l->doc->containers[before->container]->as.map.entries[before->entry];
  struct dunlin_event event = {.kind = DUNLIN_EVENT_KEY, .origin = before->origin, .obj = {before->container}};
  if (!compare(l, &event, before, &entry->reg)) return;
  struct dunlin_bytes key = map_key(entry);
  event.key = keep_copy(l, key);
  event.path = path_of(l, &key, -1);
  emit(l, &event);
}

static void look_at_item(struct look *l, uint32_t container, uint32_t at, const struct watch_before *before) {
  const struct list *list = &l->doc->containers[container]->as.list->list;
  struct dunlin_event event = {
      .kind = DUNLIN_EVENT_ITEM, .origin = l->doc->containers[container]->note->origin, .obj = {container}, .at = at};
  if (!compare(l, &event, before, &list->elements[list_get(list, at)])) return;
  event.path = path_of(l, NULL, at);
  emit(l, &event);
}

static void look_at_splice(struct look *l, uint32_t container, uint32_t at, const struct splice_part *part) {
  struct container *c = l->doc->containers[container];
  struct dunlin_event event = {.kind = DUNLIN_EVENT_SPLICE,
                               .origin = c->note->origin,
                               .obj = {container},
                               .path = l->path,
                               .at = at,
                               .removed = part->gone,
                               .inserted = part->what == SPLICE_INSERTED ? part->len : 0};
  if (c->kind == DUNLIN_TEXT && event.inserted) {
    void *copy = NULL;
    size_t len = 0;
    int error = dunlin_text_part(l->doc, event.obj, at, at + event.inserted, &copy, &len);
    event.text = (struct dunlin_bytes){copy, len};
    if (!error) error = keep_bytes(l, event.text);
    if (error) l->error = error;
  }
  emit(l, &event);
}

static void look_at_sequence(struct look *l, uint32_t container) {
  const struct splices *s = &l->doc->containers[container]->note->splices;
  uint32_t at = 0;
  l->path = path_of(l, NULL, -1);
  for (size_t i = 0; i < s->count && !l->error; at += s->parts[i++].len) {
    const struct splice_part *part = &s->parts[i];
    if (part->gone || part->what == SPLICE_INSERTED) look_at_splice(l, container, at, part);
    if (part->what == SPLICE_SET) look_at_item(l, container, at, &l->watch->befores[part->old]);
  }
}

static void look_at_marks(struct look *l, uint32_t container) {
  const struct container *c = l->doc->containers[container];
  if (!c->note->marks && c->as.text->text.marked == c->note->marked) return;
  struct dunlin_event event = {
      .kind = DUNLIN_EVENT_MARKS, .origin = c->note->origin, .obj = {container}, .path = l->path};
  emit(l, &event);
}

static void look_at_value(struct look *l, uint32_t container) {
  const struct container *c = l->doc->containers[container];
  const struct watch_before *before = &l->watch->befores[c->note->before];
  struct dunlin_event event = {.kind = DUNLIN_EVENT_VALUE, .origin = c->note->origin, .obj = {container}};
  struct dunlin_value now;
  event.had = before->had;
  event.has = watch_value(c, &now);
  if (event.had == event.has && (!event.has || value_same(&before->value, &now))) return;
  if (event.had) event.before = keep_value(l, before->value);
  if (event.has) event.after = keep_value(l, now);
  event.path = path_of(l, NULL, -1);
  emit(l, &event);
}

static void look_at_member(struct look *l, const struct watch_before *before) {
  const struct container *c = l->doc->containers[before->container];
  const struct map_entry *entry = &c->as.map.entries[before->entry];
  struct dunlin_event event = {.kind = DUNLIN_EVENT_MEMBER, .origin = before->origin, .obj = {before->container}};
  struct dunlin_bytes key = map_key(entry);
  struct mp_reader r = mp_reader_of(key.data, key.len);
  struct dunlin_value member = keep_value(l, value_read(&r));
  event.had = before->had;
  event.has = entry->reg.count;
  if (event.had == event.has) return;
  *(event.has ? &event.after : &event.before) = member;
  event.path = path_of(l, NULL, -1);
  emit(l, &event);
}

static int by_number(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static int by_pair(const void *a, const void *b) {
  int order = by_number(a, b);
  return order ? order : by_number((const uint32_t *)a + 1, (const uint32_t *)b + 1);
}

/* The keys noted, as numbers of befores, map by map and in the order in which they were written first. */
static int sort_keys(struct look *l, uint32_t (**out)[2], size_t *count) {
  struct watch *w = l->watch;
  uint32_t(*keys)[2] = env_calloc(w->env, w->before_count + 1, sizeof *keys);
  if (!keys) return DUNLIN_ENOMEM;
  *count = 0;
  for (size_t i = 0; i < w->before_count; i++) {
    if (w->befores[i].item) continue;
    keys[*count][0] = w->befores[i].container;
    keys[(*count)++][1] = (uint32_t)i;
  }
  qsort(keys, *count, sizeof *keys, by_pair);
  *out = keys;
  return 0;
}

static void look_at_all(struct look *l, uint32_t (*keys)[2], size_t key_count) {
  dunlin_doc *doc = l->doc;
  struct watch *w = l->watch;
  /* Who holds another has a lower number. */
  if (w->noted_count) qsort(w->noted, w->noted_count, sizeof *w->noted, by_number);
  for (size_t i = 0, k = 0; i < w->noted_count && !l->error; i++) {
    uint32_t at = w->noted[i];
    if (at >= doc->container_count || !doc->containers[at]->note || (i && w->noted[i - 1] == at)) continue;
    bool shows = find_chain(l, at);
    const struct container *c = doc->containers[at];
    while (k < key_count && keys[k][0] < at) k++;
    for (; k < key_count && keys[k][0] == at; k++) {
      const struct watch_before *before = &w->befores[keys[k][1]];
      if (!shows || !has_map(c->kind) || before->entry >= c->as.map.count) continue;
      if (c->kind == DUNLIN_MAP) look_at_key(l, before);
      else look_at_member(l, before);
    }
    if (!shows) continue;
    if (c->kind == DUNLIN_TEXT || c->kind == DUNLIN_LIST) look_at_sequence(l, at);
    if (c->kind == DUNLIN_TEXT) look_at_marks(l, at);
    if (c->kind == DUNLIN_COUNTER || is_offer(c->kind)) look_at_value(l, at);
  }
}

static int tell_reset(struct watch *w) {
  for (uint32_t i = 0; i < w->watcher_count; i++) {
    if (!w->watchers[i].is_live) continue;
    if (ENV_GROW(w->env, w->queue, w->queue_cap, w->queue_count + 1)) return DUNLIN_ENOMEM;
    struct dunlin_event event = {.kind = DUNLIN_EVENT_RESET, .tag = w->watchers[i].tag};
    w->queue[w->queue_count++] = (struct watch_told){event, i};
  }
  return 0;
}

/* Brings what waits into the sequences that were written to. */
static int show_all(dunlin_doc *doc) {
  struct watch *w = doc->watch;
  int error = 0;
  for (size_t i = 0; !error && i < w->noted_count; i++) {
    if (w->noted[i] >= doc->container_count) continue;
    const struct container *c = doc->containers[w->noted[i]];
    error = container_show(doc, w->noted[i]);
    w->lost |= c->note && c->note->splices.lost;
  }
  return error;
}

/* Turns what was noted into a queue of events. */
int event_look(dunlin_doc *doc) {
  struct look l = {.doc = doc, .watch = doc->watch};
  uint32_t(*keys)[2] = NULL;
  size_t key_count = 0, told = doc->watch->queue_count;
  l.error = show_all(doc);
  if (!l.error && doc->watch->lost) {
    l.error = tell_reset(doc->watch);
  } else {
    if (!l.error) l.error = sort_keys(&l, &keys, &key_count);
    if (!l.error) look_at_all(&l, keys, key_count);
    env_free(doc->env, keys, (doc->watch->before_count + 1) * sizeof *keys);
  }
  env_free(doc->env, l.index_in_list, doc->container_count * sizeof *l.index_in_list);
  env_free(doc->env, l.is_scanned, doc->container_count * sizeof *l.is_scanned);
  if (l.error) doc->watch->queue_count = told; /* their strings go when the others are read */
  else watch_clear(doc);
  return l.error;
}

int dunlin_next_event(dunlin_doc *doc, struct dunlin_event *out) {
  struct watch *w = doc->watch;
  if (doc->open.is_open) return DUNLIN_ESTATE;
  watch_free_ended(doc);
  if (!w) return 0;
  if (w->queue_at == w->queue_count) {
    event_queue_clear(w);
    if (!w->noted_count && !w->lost) return 0;
    int error = event_look(doc);
    if (error) return error;
    if (!w->queue_count) return 0;
  }
  *out = w->queue[w->queue_at++].event;
  return 1;
}
