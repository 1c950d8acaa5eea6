/* Cursors: a place is carried from its version to now by a walker, which knows the item that it keeps to. */
#include <dunlin/cursor.h>

#include <stdlib.h>

#include "crdt/docfile.h"
#include "crdt/tracker_private.h"

/* A text or list that shows all; not inside a transaction. */
static int open_sequence(dunlin_doc *doc, dunlin_obj obj, struct container **out) {
  if (doc->open.is_open) return DUNLIN_ESTATE;
  struct container *c = obj.index < doc->container_count ? doc->containers[obj.index] : NULL;
  if (!c || !sequence_of(c)) return DUNLIN_EKIND;
  *out = c;
  return container_show(doc, obj.index);
}

/* How many items show, with anchors. */
static uint32_t shown_size(const struct container *c) {
  return c->kind == DUNLIN_LIST ? c->as.list->list.size : c->as.text->text.size;
}

/* The last operation on it comes after all others; LV_NONE: nobody knows of one. */
static uint32_t last_of_all(const dunlin_doc *doc, const struct container *c) {
  const struct oplog *log = &c->log;
  uint32_t last = log->count ? log->runs[log->count - 1].lv + log->runs[log->count - 1].len - 1 : LV_NONE;
  return !doc->file && last != LV_NONE && c->seen_all == last && c->void_from == LV_NONE ? last : LV_NONE;
}

/* A walker at a version of the container, which has all operations in it.  walker_free() in any case. */
static int walk_to(dunlin_doc *doc, const struct container *c, struct walker *w, const uint32_t *version,
                   size_t count) {
  const struct graph *g = &doc->graph;
  uint32_t from = c->void_from;
  for (size_t i = 0; i < count; i++)
    if (version[i] < from) from = version[i];
  uint32_t base = graph_critical_before(g, from < g->lvs ? from : g->lvs);
  walker_init(w, g, &c->log, &doc->voids, c->kind == DUNLIN_LIST ? &doc->values : NULL);
  int error = doc->file && base < doc->file->lvs ? docfile_load(doc) : 0;
  int before = doc->names.error;
  if (error) return error;
  doc->names.error = 0;
  error = walker_start(w, base);
  if (!error) error = walker_replay(w, g->lvs, NULL);
  if (!error) error = walker_go(w, version, count);
  if (!error) error = doc->names.error;
  doc->names.error = before;
  return error;
}

/* ---- Making ------------------------------------------------------------------------------------------------- */

/* Void changes count for the places that a version has: the place of the item, or behind the nearest one before it. */
static int place_in_version(dunlin_doc *doc, const struct container *c, uint32_t *place, enum dunlin_side side) {
  struct walker w;
  if (c->void_from == LV_NONE) return 0;
  int error = walk_to(doc, c, &w, doc->graph.heads, doc->graph.head_count);
  if (!error) {
    uint32_t at = *place, item = TRACKER_NONE;
    bool is_end = at == shown_size(c);
    if (side == DUNLIN_LEFT ? at > 0 : !is_end)
      item = tracker_prepare_index(&w.tracker, side == DUNLIN_LEFT ? at - 1 : at, true);
    if (item != TRACKER_NONE) *place = item + (side == DUNLIN_LEFT);
    else if (side == DUNLIN_RIGHT && is_end) *place = w.tracker.now - (w.tracker.effect - at);
    else *place = tracker_prepare_index(&w.tracker, at, false);
  }
  walker_free(&w);
  return error;
}

static int by_id(const void *a, const void *b) {
  return id_compare(a, b);
}

static int name_version(dunlin_doc *doc, const struct container *c, struct dunlin_cursor *out) {
  const struct graph *g = &doc->graph;
  uint32_t last = last_of_all(doc, c);
  const uint32_t *heads = last == LV_NONE ? g->heads : &last;
  size_t count = last == LV_NONE ? g->head_count : 1;
  int error = 0;
  if (count > DUNLIN_CURSOR_HEADS) return DUNLIN_ELIMIT;
  out->count = (uint32_t)count;
  for (size_t i = 0; !error && i < count; i++) error = names_id(doc, graph_change_at(g, heads[i]), &out->heads[i]);
  if (count) qsort(out->heads, count, sizeof *out->heads, by_id);
  return error;
}

int dunlin_cursor_make(const dunlin_doc *shown, dunlin_obj obj, size_t at, enum dunlin_side side,
                       struct dunlin_cursor *out) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown; /* what waits to be shown is no part of the state */
  struct dunlin_cursor cursor = {.side = side};
  struct container *c;
  if (side != DUNLIN_LEFT && side != DUNLIN_RIGHT) return DUNLIN_EINVAL;
  int error = open_sequence(doc, obj, &c);
  if (error) return error;
  if (c->kind == DUNLIN_LIST) {
    if (at > shown_size(c)) return DUNLIN_ERANGE;
    cursor.place = (uint32_t)at;
  } else {
    const struct text *text = &c->as.text->text;
    error = unit_in(doc, c, at, &at);
    if (!error && at > text->size - text->anchors) error = DUNLIN_ERANGE;
    if (error) return error;
    if (side == DUNLIN_RIGHT) cursor.place = text_entity(text, (uint32_t)at);
    else cursor.place = at ? text_entity(text, (uint32_t)at - 1) + 1 : 0;
  }
  error = place_in_version(doc, c, &cursor.place, side);
  if (!error) error = name_version(doc, c, &cursor);
  if (!error) *out = cursor;
  return error;
}

/* ---- Where it is -------------------------------------------------------------------------------------------- */

static int find_version(dunlin_doc *doc, const struct dunlin_cursor *cursor, uint32_t *version) {
  int error = cursor->count <= DUNLIN_CURSOR_HEADS && (unsigned)cursor->side <= DUNLIN_RIGHT ? 0 : DUNLIN_EINVAL;
  for (uint32_t i = 0; !error && i < cursor->count; i++) error = names_find_last(doc, &cursor->heads[i], &version[i]);
  return error;
}

/* Whether nothing has happened to the container since that version. */
static bool is_now(const dunlin_doc *doc, const struct container *c, const uint32_t *version, size_t count) {
  const struct graph *g = &doc->graph;
  uint32_t last = last_of_all(doc, c);
  if (c->void_from != LV_NONE) return false;
  if (last != LV_NONE && count == 1) return graph_change_at(g, last) == graph_change_at(g, version[0]);
  size_t same = 0;
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < g->head_count; k++) same += g->heads[k] == version[i];
  return same == count && count == g->head_count;
}

/* Where the item at a place of the prepare version shows, or did. */
static uint32_t shown_place(const struct tracker *t, uint32_t at, bool *shows) {
  struct place p = tracker_find_now(t, at);
  uint32_t effect = tracker_effect_index(t, at), now;
  *shows = effect != TRACKER_NONE;
  if (!*shows) tracker_count_before(t, p, &now, &effect);
  return effect;
}

static int carry(dunlin_doc *doc, const struct container *c, const struct dunlin_cursor *cursor,
                 const uint32_t *version, uint32_t *at) {
  struct walker w;
  bool shows;
  uint32_t size = shown_size(c), place = cursor->place;
  if (!cursor->count) { /* nothing was there: it is the beginning or the end */
    *at = cursor->side == DUNLIN_LEFT ? 0 : size;
    return place ? DUNLIN_ERANGE : 0;
  }
  int error = walk_to(doc, c, &w, version, cursor->count);
  uint32_t then = w.tracker.now - (w.tracker.effect - size);
  if (!error && place > then) error = DUNLIN_ERANGE;
  if (!error && cursor->side == DUNLIN_LEFT) {
    *at = place ? shown_place(&w.tracker, place - 1, &shows) : 0;
    if (place && shows) ++*at;
  } else if (!error) {
    *at = place < then ? shown_place(&w.tracker, place, &shows) : size;
  }
  walker_free(&w);
  return error;
}

int dunlin_cursor_at(const dunlin_doc *shown, dunlin_obj obj, const struct dunlin_cursor *cursor, size_t *at) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown; /* what waits to be shown is no part of the state */
  uint32_t version[DUNLIN_CURSOR_HEADS], place = cursor->place;
  struct container *c;
  int error = open_sequence(doc, obj, &c);
  if (!error) error = find_version(doc, cursor, version);
  if (error) return error;
  if (!is_now(doc, c, version, cursor->count)) error = carry(doc, c, cursor, version, &place);
  else if (place > shown_size(c)) error = DUNLIN_ERANGE;
  if (error) return error;
  size_t result = place;
  if (c->kind == DUNLIN_TEXT) {
    result -= text_anchors_before(&c->as.text->text, place);
    error = unit_out(doc, c, &result);
  }
  if (!error) *at = result;
  return error;
}

/* ---- Bytes -------------------------------------------------------------------------------------------------- */

size_t dunlin_cursor_save(const struct dunlin_cursor *cursor, uint8_t *out) {
  uint32_t count = cursor->count <= DUNLIN_CURSOR_HEADS ? cursor->count : 0;
  out[0] = 1;
  out[1] = (uint8_t)cursor->side;
  put_be32(out + 2, cursor->place);
  for (uint32_t i = 0; i < count; i++) memcpy(out + 6 + 32 * i, cursor->heads[i].bytes, 32);
  return 6 + 32 * (size_t)count;
}

int dunlin_cursor_load(const void *data, size_t len, struct dunlin_cursor *out) {
  const uint8_t *bytes = data;
  if (len < 6 || len > DUNLIN_CURSOR_BYTES || (len - 6) % 32 || bytes[0] != 1 || bytes[1] > DUNLIN_RIGHT)
    return DUNLIN_EFORMAT;
  struct dunlin_cursor cursor = {.side = (enum dunlin_side)bytes[1], .place = get_be32(bytes + 2)};
  cursor.count = (uint32_t)((len - 6) / 32);
  for (uint32_t i = 0; i < cursor.count; i++) {
    memcpy(cursor.heads[i].bytes, bytes + 6 + 32 * i, 32);
    if (i && id_compare(&cursor.heads[i - 1], &cursor.heads[i]) >= 0) return DUNLIN_EFORMAT;
  }
  *out = cursor;
  return 0;
}
