/* Events for a document that was made again from its history, with other changes void: both documents have the same
 * containers, by number, and what shows in them is compared. */
#include <string.h>

#include "crdt/watch_private.h"

/* ---- Registers ---------------------------------------------------------------------------------------------- */

static bool same_shown(const dunlin_doc *doc, const struct reg *now, const dunlin_doc *old_doc, const struct reg *old) {
  struct distinct a = distinct_of(doc, now), b = distinct_of(old_doc, old);
  for (;;) {
    const struct reg_write *x = distinct_next(&a), *y = distinct_next(&b);
    if (!x || !y) return x == y;
    if (!value_same(&x->value, &y->value)) return false;
  }
}

static void compare_maps(dunlin_doc *doc, uint32_t container, const dunlin_doc *old_doc) {
  static const struct reg nothing = {0};
  const struct map *map = &doc->containers[container]->as.map, *old = &old_doc->containers[container]->as.map;
  for (uint32_t i = 0; i < map->count; i++) {
    const struct map_entry *entry = map_find(old, map_key(&map->entries[i]));
    const struct reg *before = entry ? &entry->reg : &nothing;
    if (!same_shown(doc, &map->entries[i].reg, old_doc, before)) watch_key_was(doc, container, i, before);
  }
}

/* ---- Sequences ---------------------------------------------------------------------------------------------- */

/* What stands between the items that both begin with and those that both end with, was replaced. */
static void note_middle(struct watch_note *note, size_t front, size_t before, size_t now) {
  if (before) splices_erase(&note->splices, (uint32_t)front, (uint32_t)before);
  if (now) splices_insert(&note->splices, (uint32_t)front, (uint32_t)now);
}

static void compare_lists(const dunlin_doc *doc, const struct container *c, const dunlin_doc *old_doc,
                          const struct list *old) {
  const struct list *list = &c->as.list->list;
  uint32_t front = 0, back = 0, least = list->size < old->size ? list->size : old->size;
#define SAME(i, k) same_shown(doc, &list->elements[list_get(list, i)], old_doc, &old->elements[list_get(old, k)])
  while (front < least && SAME(front, front)) front++;
  while (back < least - front && SAME(list->size - 1 - back, old->size - 1 - back)) back++;
#undef SAME
  note_middle(c->note, front, old->size - front - back, list->size - front - back);
}

static bool starts_character(const uint8_t *text, size_t len, size_t at) {
  return at == len || (text[at] & 0xc0u) != 0x80u;
}

static uint32_t count_units(const uint8_t *text, size_t len, enum dunlin_unit unit) {
  uint32_t count = 0;
  if (unit == DUNLIN_UTF8) return (uint32_t)len;
  for (size_t i = 0; i < len; i++) {
    if (starts_character(text, len, i)) count++;
    if (unit == DUNLIN_UTF16 && text[i] >= 0xf0) count++;
  }
  return count;
}

static int compare_texts(const dunlin_doc *doc, const struct container *c, const dunlin_doc *old_doc,
                         const struct text *old) {
  const struct text *text = &c->as.text->text;
  size_t len = text_bytes(text), old_len = text_bytes(old), least = len < old_len ? len : old_len, front = 0, back = 0;
  uint8_t *a = env_alloc(doc->env, len), *b = env_alloc(doc->env, old_len);
  if (a && b) {
    text_copy(text, &doc->text, a);
    text_copy(old, &old_doc->text, b);
    while (front < least && a[front] == b[front]) front++;
    while (!starts_character(a, len, front) || !starts_character(b, old_len, front)) front--;
    while (back < least - front && a[len - 1 - back] == b[old_len - 1 - back]) back++;
    while (!starts_character(a, len, len - back)) back--;
    note_middle(c->note, count_units(a, front, doc->unit), count_units(b + front, old_len - front - back, doc->unit),
                count_units(a + front, len - front - back, doc->unit));
  }
  bool failed = !a || !b;
  env_free(doc->env, a, len);
  env_free(doc->env, b, old_len);
  return failed ? DUNLIN_ENOMEM : 0;
}

/* ---- All of it ---------------------------------------------------------------------------------------------- */

/* Whether texts that read the same are marked alike. */
static bool same_marks(const dunlin_doc *a, const dunlin_doc *b, dunlin_obj text) {
  for (size_t at = 0, i; at < dunlin_text_size(a, text); at = i) {
    struct dunlin_span x, y;
    struct dunlin_bytes x_key, y_key;
    struct dunlin_value x_value, y_value;
    if (dunlin_text_span(a, text, at, &x) || dunlin_text_span(b, text, at, &y)) return false;
    if (x.to != y.to || x.marks != y.marks) return false;
    for (i = 0; i < x.marks; i++) {
      if (dunlin_text_span_mark(a, text, at, i, &x_key, &x_value)) return false;
      if (dunlin_text_span_mark(b, text, at, i, &y_key, &y_value)) return false;
      if (key_compare(x_key, y_key) || !value_same(&x_value, &y_value)) return false;
    }
    i = x.to;
  }
  return true;
}

static void compare_marks(const dunlin_doc *doc, struct container *c, const dunlin_doc *old_doc, uint32_t at) {
  const struct text *text = &c->as.text->text, *old = &old_doc->containers[at]->as.text->text;
  struct watch_note *note = c->note;
  note->marked = text->marked;
  bool any = text->anchors || old->anchors;
  if (any && (note->splices.count || !same_marks(doc, old_doc, (dunlin_obj){at}))) note->marks = true;
}

static int compare_container(dunlin_doc *doc, uint32_t at, dunlin_doc *old_doc) {
  struct container *c = doc->containers[at], *old = old_doc->containers[at];
  int error = container_show(doc, at);
  c->note = old->note; /* what was noted since the last look stays */
  old->note = NULL;
  if (c->note && c->kind == DUNLIN_TEXT) c->note->marks |= old->as.text->text.marked != c->note->marked;
  struct watch_note *note = error ? NULL : watch_note_of(doc, at, old);
  if (!note) return DUNLIN_ENOMEM;
  note->origin |= DUNLIN_ORIGIN_VOID;
  if (has_map(c->kind)) compare_maps(doc, at, old_doc);
  if (c->kind == DUNLIN_LIST) compare_lists(doc, c, old_doc, &old->as.list->list);
  if (c->kind != DUNLIN_TEXT) return 0;
  error = compare_texts(doc, c, old_doc, &old->as.text->text);
  if (!error) compare_marks(doc, c, old_doc, at);
  return error;
}

/* Keys may have other numbers now: transactions that were aborted have left some behind. */
static int renumber(dunlin_doc *doc, const dunlin_doc *old) {
  struct watch *w = doc->watch;
  for (size_t i = 0; i < w->before_count; i++) {
    struct watch_before *b = &w->befores[i];
    if (b->item) continue;
    const struct container *was = b->container < old->container_count ? old->containers[b->container] : NULL;
    if (!was || !has_map(was->kind) || b->entry >= was->as.map.count) {
      b->item = true; /* what an aborted transaction had made: nobody looks for it */
      continue;
    }
    b->entry = map_entry_of(&doc->containers[b->container]->as.map, map_key(&was->as.map.entries[b->entry]), b->entry);
    if (b->entry == UINT32_MAX) return DUNLIN_ENOMEM;
  }
  return watch_places_renew(w) ? 0 : DUNLIN_ENOMEM;
}

void watch_compare(dunlin_doc *doc, dunlin_doc *old) {
  if (!doc->watch) return;
  int error = renumber(doc, old);
  for (uint32_t i = 0; !error && i < doc->container_count; i++) error = compare_container(doc, i, old);
  if (error) watch_lost(doc);
}
