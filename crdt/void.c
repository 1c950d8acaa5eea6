/* Void changes: they stay in the graph and in what later changes' indexes mean, and have no effect.
 *
 * A change that is void when it comes is taken in as such (apply.c).  For one that is there already the document is
 * made again from its own history, with the new set: that way it is what a replay gives, because it is one. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "crdt/docfile.h"

static int by_id(const void *a, const void *b) {
  return id_compare(a, b);
}

static bool set_has(const struct dunlin_id *set, size_t count, const struct dunlin_id *id) {
  return count && bsearch(id, set, count, sizeof *id, by_id);
}

bool void_has(const dunlin_doc *doc, const struct dunlin_id *id) {
  return set_has(doc->void_ids, doc->void_count, id);
}

int void_prepare(dunlin_doc *doc) {
  return ENV_GROW(doc->env, doc->voids.list, doc->voids.cap, doc->voids.count + 1);
}

void void_note(dunlin_doc *doc) {
  struct lv_ranges *v = &doc->voids;
  struct lv_range own = {doc->open.lv, doc->open.lv + doc->open.index};
  if (v->count && v->list[0].to == own.from) {
    v->list[0].to = own.to;
    return;
  }
  memmove(v->list + 1, v->list, v->count * sizeof *v->list);
  v->list[0] = own;
  v->count++;
}

/* ---- Local edits -------------------------------------------------------------------------------------------- */

/* Whether indexes of the open change are not those of what shows. */
static bool differs(const dunlin_doc *doc, const struct container *c) {
  return c->void_from != LV_NONE && doc->graph.open.builds_on_all;
}

uint32_t void_size(const dunlin_doc *doc, const struct container *c) {
  if (!differs(doc, c)) return version_size(c);
  return c->kind == DUNLIN_LIST ? c->as.list->list.size : c->as.text->text.size;
}

static uint32_t prepare_index(const struct container *c, uint32_t at, bool item) {
  const struct walker *w = c->kind == DUNLIN_LIST ? &c->as.list->sequence.walker : &c->as.text->sequence.walker;
  return tracker_prepare_index(&w->tracker, at, item);
}

uint32_t void_gap(const dunlin_doc *doc, const struct container *c, uint32_t at) {
  return differs(doc, c) ? prepare_index(c, at, false) : at;
}

uint32_t void_item(const dunlin_doc *doc, const struct container *c, uint32_t at) {
  return differs(doc, c) ? prepare_index(c, at, true) : at;
}

uint32_t void_items(const dunlin_doc *doc, const struct container *c, uint32_t at, uint32_t *len) {
  uint32_t first = void_item(doc, c, at), together = 1;
  if (first == VOID_UNNAMED || !differs(doc, c)) return first;
  while (together < *len && void_item(doc, c, at + together) == first + together) together++;
  *len = together;
  return first;
}

/* ---- Making the document again ------------------------------------------------------------------------------ */

/* Whether there is a change in the document that is in just one of the sets. */
static int any_changes(dunlin_doc *doc, const struct dunlin_id *set, size_t count, const struct dunlin_id *other,
                       size_t other_count, bool *changes) {
  int error = 0;
  for (size_t i = 0; !error && !*changes && i < count; i++) {
    uint32_t change;
    if (set_has(other, other_count, &set[i])) continue;
    error = names_find(doc, &set[i], &change);
    *changes = !error && change != IDMAP_NONE;
  }
  return error;
}

/* Walkers know where the document is, which `home` is from now on. */
static void move_walkers(dunlin_doc *doc, const dunlin_doc *home) {
  for (size_t i = 0; i < doc->container_count; i++) {
    struct sequence *s = sequence_of(doc->containers[i]);
    if (!s) continue;
    struct walker *w = &s->walker;
    w->graph = &home->graph;
    w->voids = &home->voids;
    if (w->values) w->values = &home->values;
  }
}

#define SWAP(a, b, type)                                                                                               \
  do {                                                                                                                 \
    type swap_kept = (a);                                                                                              \
    (a) = (b);                                                                                                         \
    (b) = swap_kept;                                                                                                   \
  } while (0)

/* The documents exchange what follows from their changes, and keep what else they have. */
static void swap_insides(dunlin_doc *doc, dunlin_doc *fresh) {
  move_walkers(doc, fresh);
  move_walkers(fresh, doc);
  SWAP(*doc, *fresh, struct dunlin_doc);
  doc->graph.ctx = doc;
  fresh->graph.ctx = fresh;
  SWAP(doc->hook, fresh->hook, dunlin_commit_hook *);
  SWAP(doc->hook_ctx, fresh->hook_ctx, void *);
  SWAP(doc->watch, fresh->watch, struct watch *);
  SWAP(doc->ended, fresh->ended, struct watch *); /* the last event still points to it */
  SWAP(doc->validators, fresh->validators, struct validator *);
  SWAP(doc->validator_count, fresh->validator_count, size_t);
  SWAP(doc->validator_cap, fresh->validator_cap, size_t);
  doc->unit = fresh->unit;
  SWAP(doc->undo, fresh->undo, struct dunlin_undo *);
  if (doc->stamp < fresh->stamp) doc->stamp = fresh->stamp; /* none comes twice */
  doc->begin_hook = fresh->begin_hook;
  doc->begin_ctx = fresh->begin_ctx;
  SWAP(doc->pending, fresh->pending, struct pending_queue);
}

/* Brings in what waits, while there is still somebody to tell about it. */
static int show_to_watches(dunlin_doc *doc) {
  int error = 0;
  for (uint32_t i = 0; !error && doc->watch && i < doc->container_count; i++) error = container_show(doc, i);
  return error;
}

/* Takes over the set `ids`, whose memory is the new document's from here on. */
static int make_again(dunlin_doc *doc, struct dunlin_id *ids, size_t count) {
  dunlin_doc *fresh = NULL;
  int error = dunlin_doc_new(doc->env, &doc->id, &doc->graph.actors[doc->actor].name, &fresh);
  if (error) {
    ENV_FREE_ARRAY(doc->env, ids, count);
    return error;
  }
  fresh->void_ids = ids;
  fresh->void_count = count;
  error = docfile_load(doc);
  if (!error) error = show_to_watches(doc);
  if (!error) error = changes_copy(doc, 0, doc->graph.changes, fresh); /* in the same order: all get the same numbers */
  if (!error) {
    assert(fresh->graph.lvs == doc->graph.lvs && fresh->container_count == doc->container_count);
    swap_insides(doc, fresh);
    if (doc->undo) undo_forget(doc);
    watch_compare(doc, fresh);
  }
  dunlin_doc_free(fresh);
  return error;
}

int dunlin_doc_set_void(dunlin_doc *doc, const struct dunlin_id *changes, size_t count) {
  if (doc->open.is_open) return DUNLIN_ESTATE;
  if (count && !changes) return DUNLIN_EINVAL;
  struct dunlin_id *ids = count ? env_calloc(doc->env, count, sizeof *ids) : NULL;
  bool different = false;
  if (count && !ids) return DUNLIN_ENOMEM;
  if (count) {
    memcpy(ids, changes, count * sizeof *ids);
    qsort(ids, count, sizeof *ids, by_id);
  }
  int error = any_changes(doc, ids, count, doc->void_ids, doc->void_count, &different);
  if (!error) error = any_changes(doc, doc->void_ids, doc->void_count, ids, count, &different);
  if (!error && different) return make_again(doc, ids, count);
  if (error) {
    ENV_FREE_ARRAY(doc->env, ids, count);
    return error;
  }
  ENV_FREE_ARRAY(doc->env, doc->void_ids, doc->void_count);
  doc->void_ids = ids;
  doc->void_count = count;
  return 0;
}

bool dunlin_doc_is_void(const dunlin_doc *doc, const struct dunlin_id *change) {
  return void_has(doc, change);
}
