/* Which item of a text or list is which, and where it is. */
#include <string.h>

#include "crdt/docfile.h"
#include "crdt/tracker_private.h"
#include "crdt/undo.h"

static void track_free(dunlin_undo *u, struct undo_track *track) {
  walker_free(&track->walker);
  ENV_FREE_ARRAY(u->env, track->seats, track->seat_cap);
  ENV_FREE_ARRAY(u->env, track->olds, track->old_cap);
}

void undo_tracks_tidy(dunlin_undo *u, bool all) {
  uint32_t lvs = u->doc->graph.lvs;
  size_t kept = 0;
  for (size_t i = 0; i < u->track_count; i++) {
    struct undo_track *t = &u->tracks[i];
    if (all || lvs - t->walker.to > 1024 + 4 * (t->walker.to - t->walker.base)) track_free(u, t);
    else u->tracks[kept++] = *t;
  }
  for (size_t i = 0; i < kept; i++) u->tracks[i].walker.tracker.ctx = &u->tracks[i].walker;
  u->track_count = kept;
}

void undo_tracks_shift(dunlin_undo *u, size_t count) {
  for (size_t i = 0; i < u->track_count; i++) {
    struct undo_track *t = &u->tracks[i];
    t->known -= t->known < count ? t->known : count;
  }
}

/* ---- Items -------------------------------------------------------------------------------------------------- */

uint32_t undo_item_of(const struct undo_track *track, uint32_t lv) {
  const struct oplog *log = track->walker.log;
  const struct op_run *run = &log->runs[oplog_from(log, lv)];
  return run->ord + (lv - run->lv);
}

uint32_t undo_item_lv(const struct undo_track *track, uint32_t id) {
  const struct oplog *log = track->walker.log;
  if (id >= TRACKER_BASE) return LV_NONE;
  const struct op_run *run = &log->runs[oplog_by_ord(log, id)];
  return run->lv + (id - run->ord);
}

bool undo_row_of(const struct undo_track *track, uint32_t lv, uint32_t len, struct undo_row *row) {
  const struct oplog *log = track->walker.log;
  size_t at = oplog_from(log, lv);
  if (lv < track->walker.base || at == log->count || log->runs[at].kind != OP_DELETE || log->runs[at].lv > lv)
    return false;
  struct op_piece piece = op_piece(&log->runs[at], lv, lv + len);
  *row = (struct undo_row){piece.ord, piece.len, false};
  if (piece.len != len) return false;
  /* Which way the log's run goes may have changed since the tracker was given the row. */
  struct undo_order first = undo_order_of(track, tracker_index_at(&track->walker.tracker, piece.ord));
  struct undo_order last = undo_order_of(track, tracker_index_at(&track->walker.tracker, piece.ord + len - 1));
  row->backward = undo_order_compare(&first, &last) > 0;
  return true;
}

uint32_t undo_row_run(const struct undo_track *track, const struct undo_row *row, uint32_t k, uint32_t *id) {
  const struct tracker *t = &track->walker.tracker;
  uint32_t ord = row->backward ? row->ord + (row->len - 1 - k) : row->ord + k, run = 1;
  *id = tracker_index_at(t, ord);
  if (!row->backward) return tracker_index_run(t, ord, row->len - k, 1);
  while (run < row->len - k && tracker_index_at(t, ord - run) == *id + run) run++;
  return run;
}

/* ---- What stands for what ----------------------------------------------------------------------------------- */

/* The entry of `list` that reaches beyond an LV, by its place. */
static size_t stands_from(const struct undo_stand_list *list, uint32_t lv) {
  size_t low = 0, high = list->count;
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (list->list[mid].lv + list->list[mid].len <= lv) low = mid + 1;
    else high = mid;
  }
  return low;
}

uint32_t undo_first_slot(const struct undo_track *track, uint32_t id) {
  const struct tracker *t = &track->walker.tracker;
  if (!(tracker_span_at(t, tracker_find_item(t, id))->state & TRACKER_MOVED)) return id;
  for (uint32_t next; (next = tracker_slot_weaker(t, id)) != TRACKER_NONE;) id = next;
  return id;
}

/* The root of an entry's item `skipped`, and for how many items they go on in a row; 0: it is older than what the
 * tracker knows. */
static uint32_t resolve(const struct undo_track *track, const struct undo_stands *s, uint32_t skipped, uint32_t *root) {
  struct undo_row row;
  if (s->first != LV_NONE && s->first >= track->walker.base) {
    *root = undo_item_of(track, s->first + skipped);
    return s->len - skipped;
  }
  if (s->row < track->walker.base) return 0;
  if (!s->row_len) {
    *root = undo_first_slot(track, undo_item_of(track, s->row));
    return 1;
  }
  if (!undo_row_of(track, s->row, s->row_len, &row)) return 0;
  uint32_t run = undo_row_run(track, &row, s->skipped + skipped, root);
  return run < s->len - skipped ? run : s->len - skipped;
}

uint32_t undo_root_run(const dunlin_undo *u, const struct undo_track *track, uint32_t id, uint32_t len, uint32_t *root,
                       struct undo_stands *stands, bool *is_root) {
  const struct undo_stand_list *list = &u->items;
  uint32_t lv = undo_item_lv(track, id);
  *root = id;
  *is_root = true;
  *stands = (struct undo_stands){.first = lv, .container = track->container};
  if (lv == LV_NONE) return len;
  const struct oplog *log = track->walker.log; /* in one run LVs go on as items do */
  const struct op_run *run = &log->runs[oplog_by_ord(log, id)];
  if (run->ord + run->len - id < len) len = run->ord + run->len - id;
  size_t at = stands_from(list, lv);
  if (at == list->count || list->list[at].lv >= lv + len) return len;
  const struct undo_stands *s = &list->list[at];
  if (s->lv > lv) return s->lv - lv;
  uint32_t skipped = lv - s->lv, count = resolve(track, s, skipped, root);
  if (!count) return s->len - skipped < len ? s->len - skipped : len;
  *is_root = false;
  *stands = *s;
  if (s->first != LV_NONE) stands->first += skipped;
  stands->skipped += skipped;
  return count < len ? count : len;
}

static size_t seat_from(const struct undo_track *track, uint32_t id) {
  size_t low = 0, high = track->seat_count;
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (track->seats[mid].id + track->seats[mid].len <= id) low = mid + 1;
    else high = mid;
  }
  return low;
}

uint32_t undo_seat_run(const struct undo_track *track, uint32_t root, uint32_t len, uint32_t *lv) {
  size_t at = seat_from(track, root);
  *lv = LV_NONE;
  if (at == track->seat_count) return len;
  const struct undo_seat *s = &track->seats[at];
  if (s->id > root) return s->id - root < len ? s->id - root : len;
  *lv = s->lv + (root - s->id);
  uint32_t left = s->id + s->len - root;
  return left < len ? left : len;
}

/* Notes a seat in the place of what was noted of these roots before; room for two more is there. */
static void put_seat(struct undo_track *track, struct undo_seat seat) {
  size_t from = seat_from(track, seat.id), to = from, count = 0;
  uint32_t end = seat.id + seat.len;
  struct undo_seat parts[3];
  while (to < track->seat_count && track->seats[to].id < end) to++;
  if (to > from && track->seats[from].id < seat.id) {
    parts[count] = track->seats[from];
    parts[count++].len = seat.id - track->seats[from].id;
  }
  parts[count++] = seat;
  if (to > from) {
    struct undo_seat last = track->seats[to - 1];
    if (last.id + last.len > end) {
      uint32_t cut = end - last.id;
      parts[count++] = (struct undo_seat){end, last.len - cut, last.lv + cut, last.before};
    }
  }
  if (from + count != to)
    memmove(track->seats + from + count, track->seats + to, (track->seat_count - to) * sizeof seat);
  memcpy(track->seats + from, parts, count * sizeof seat);
  track->seat_count = track->seat_count - (to - from) + count;
}

/* Looks at what has come back since the last time. */
static int find_seats(const dunlin_undo *u, struct undo_track *track) {
  for (; track->known < u->items.count; track->known++) {
    const struct undo_stands *s = &u->items.list[track->known];
    if (s->container != track->container || s->lv < track->walker.base) continue;
    for (uint32_t at = 0, count, root; at < s->len; at += count) {
      count = resolve(track, s, at, &root);
      if (!count) break;
      uint32_t old, same = undo_seat_run(track, root, count, &old), before = NO_SEAT;
      if (same < count) count = same;
      if (ENV_GROW(u->env, track->seats, track->seat_cap, track->seat_count + 2)) return DUNLIN_ENOMEM;
      if (ENV_GROW(u->env, track->olds, track->old_cap, track->old_count + 1)) return DUNLIN_ENOMEM;
      if (old != LV_NONE) {
        before = (uint32_t)track->old_count++;
        track->olds[before] = track->seats[seat_from(track, root)];
      }
      put_seat(track, (struct undo_seat){root, count, s->lv + at, before});
    }
  }
  return 0;
}

/* ---- Where -------------------------------------------------------------------------------------------------- */

uint32_t undo_shown_at(const struct undo_track *track, uint32_t id, bool exactly) {
  const struct tracker *t = &track->walker.tracker;
  struct place p = tracker_find_item(t, id);
  const struct tracker_span *s = tracker_span_at(t, p);
  uint32_t now, effect;
  if (s->state & TRACKER_GONE && s->state & TRACKER_MOVED && !exactly) {
    bool gone;
    p = tracker_find_item(t, tracker_slot_effect(t, id, &gone));
    s = tracker_span_at(t, p);
  }
  if (s->state & TRACKER_GONE) return TRACKER_NONE;
  tracker_count_before(t, p, &now, &effect);
  return effect + p.offset;
}

static struct undo_order order_of(const struct tracker *t, struct place p) {
  struct undo_order order = {0, p.offset};
  const struct tracker_leaf *leaf = &t->leaves[p.leaf];
  uint64_t unit = TRACKER_SPANS;
  order.path = p.slot;
  for (uint32_t h = t->height, slot = leaf->slot, at = leaf->parent; h; h--, unit *= TRACKER_FANOUT) {
    order.path += unit * slot;
    slot = t->nodes[at].slot;
    at = t->nodes[at].parent;
  }
  return order;
}

struct undo_order undo_order_of(const struct undo_track *track, uint32_t id) {
  const struct tracker *t = &track->walker.tracker;
  return order_of(t, tracker_find_item(t, id));
}

/* The span before or behind; false at the end. */
static bool step_span(const struct tracker *t, struct place *p, bool back) {
  const struct tracker_leaf *leaf = &t->leaves[p->leaf];
  if (back ? p->slot > 0 : p->slot + 1 < leaf->count) {
    p->slot += back ? UINT32_MAX : 1;
    return true;
  }
  uint32_t at = leaf->parent, slot = leaf->slot, h = 1;
  while (back ? !slot : slot + 1 == t->nodes[at].count) {
    if (h++ == t->height) return false;
    slot = t->nodes[at].slot;
    at = t->nodes[at].parent;
  }
  at = t->nodes[at].child[back ? slot - 1 : slot + 1];
  while (--h) at = t->nodes[at].child[back ? t->nodes[at].count - 1 : 0];
  *p = (struct place){at, back ? t->leaves[at].count - 1 : 0, 0, 0};
  return true;
}

/* Looking for what shows on one side of an item. */
struct look {
  const dunlin_undo *undo;
  const struct undo_track *track;
  uint32_t root; /* of the item */
  uint32_t item; /* itself */
  bool back;
  uint32_t place; /* found */
};

/* What the root last was when operation `lv` was done. */
static uint32_t item_then(const struct undo_track *track, uint32_t root, uint32_t lv) {
  size_t at = seat_from(track, root);
  if (at == track->seat_count || track->seats[at].id > root) return root;
  for (const struct undo_seat *s = &track->seats[at];; s = &track->olds[s->before]) {
    if (s->lv + (root - s->id) < lv) return undo_item_of(track, s->lv + (root - s->id));
    if (s->before == NO_SEAT) return root;
  }
}

/* Whether a root lies on the side that is looked at: the younger of the two was put beside what the other one was
 * then. */
static bool is_beyond(const struct look *l, uint32_t root) {
  const struct undo_track *t = l->track;
  uint32_t lv = undo_item_lv(t, root), own_lv = undo_item_lv(t, l->root), own = l->root;
  if (lv == LV_NONE || (own_lv != LV_NONE && lv < own_lv)) root = own_lv == LV_NONE ? root : item_then(t, root, own_lv);
  else own = item_then(t, own, lv);
  struct undo_order order = undo_order_of(t, root), own_order = undo_order_of(t, own);
  int compared = undo_order_compare(&order, &own_order);
  return l->back ? compared < 0 : compared > 0;
}

/* The end of items [from, to) that is nearest, and how many of them are of one sort with it: roots, or such as stand
 * for others in a row. */
static uint32_t nearest(const struct look *l, uint32_t from, uint32_t to, uint32_t *root, bool *is_root) {
  struct undo_stands stands;
  if (!l->back) return undo_root_run(l->undo, l->track, from, to - from, root, &stands, is_root);
  undo_root_run(l->undo, l->track, to - 1, 1, root, &stands, is_root);
  if (!*is_root || to > TRACKER_BASE) return *is_root ? to - from : 1;
  uint32_t lv = undo_item_lv(l->track, to - 1);
  const struct undo_stand_list *list = &l->undo->items;
  size_t at = stands_from(list, lv);
  while (at && list->list[at - 1].container != l->track->container) at--;
  const struct undo_stands *s = at ? &list->list[at - 1] : NULL;
  if (!s || s->lv + s->len <= l->track->walker.base) return to - from;
  uint32_t last = undo_item_of(l->track, s->lv + s->len - 1);
  return last < from ? to - from : to - 1 - last;
}

/* Items [from, to) of a span that shows, of which the first one does at `effect`. */
static bool look_at_shown(struct look *l, uint32_t from, uint32_t to, uint32_t effect) {
  uint32_t first = from;
  while (from < to) {
    uint32_t root, id = l->back ? to - 1 : from;
    bool is_root;
    uint32_t count = nearest(l, from, to, &root, &is_root);
    if (is_root || is_beyond(l, root)) {
      l->place = effect + (id - first) + l->back;
      return true;
    }
    if (l->back) to -= count;
    else from += count;
  }
  return false;
}

/* What the root has come back as, when that shows. */
static bool look_at_root(struct look *l, uint32_t root) {
  uint32_t lv;
  undo_seat_run(l->track, root, 1, &lv);
  uint32_t at = lv == LV_NONE ? TRACKER_NONE : undo_shown_at(l->track, undo_item_of(l->track, lv), true);
  if (at == TRACKER_NONE || !is_beyond(l, root)) return false;
  l->place = at + l->back;
  return true;
}

/* Roots [from, to) that do not show themselves. */
static bool look_at_roots(struct look *l, uint32_t from, uint32_t to) {
  const struct undo_track *t = l->track;
  size_t at = seat_from(t, l->back ? to : from);
  if (l->back && (at == t->seat_count || t->seats[at].id >= to)) at--; /* wraps when there is none */
  for (; at < t->seat_count; at += l->back ? SIZE_MAX : 1) {
    uint32_t low = t->seats[at].id > from ? t->seats[at].id : from, high = t->seats[at].id + t->seats[at].len;
    if (high > to) high = to;
    if (low >= high) return false;
    for (uint32_t i = 0; i < high - low; i++)
      if (look_at_root(l, l->back ? high - 1 - i : low + i)) return true;
  }
  return false;
}

static bool look_at_gone(struct look *l, uint32_t from, uint32_t to) {
  while (from < to) {
    uint32_t root;
    bool is_root;
    uint32_t count = nearest(l, from, to, &root, &is_root);
    uint32_t low = l->back ? to - count : from;
    if (is_root ? look_at_roots(l, low, low + count) : look_at_root(l, root)) return true;
    if (!is_root) count = 1;
    if (l->back) to -= count;
    else from += count;
  }
  return false;
}

/* Looks at the items from number `from` to `to` - 1 of a span. */
static bool look_at(struct look *l, struct place p, uint32_t from, uint32_t to) {
  const struct tracker *t = &l->track->walker.tracker;
  const struct tracker_span *s = tracker_span_at(t, p);
  uint32_t now, effect;
  if (from >= to) return false;
  if (s->state & TRACKER_GONE) return look_at_gone(l, s->id + from, s->id + to);
  tracker_count_before(t, p, &now, &effect);
  return look_at_shown(l, s->id + from, s->id + to, effect + from);
}

/* Where an item would show that is number `id`, by the nearest one on either side that does, or has come back
 * elsewhere. */
static uint32_t place_beside(struct look back, struct look forth, struct place p) {
  const struct tracker *t = &back.track->walker.tracker;
  struct place before = p, behind = p;
  bool more_before = true, more_behind = true;
  if (look_at(&back, p, 0, p.offset)) return back.place;
  if (look_at(&forth, p, p.offset + 1, tracker_span_at(t, p)->len)) return forth.place;
  while (more_before || more_behind) { /* on both sides: one of them may be long */
    more_before = more_before && step_span(t, &before, true);
    if (more_before && look_at(&back, before, 0, tracker_span_at(t, before)->len)) return back.place;
    more_behind = more_behind && step_span(t, &behind, false);
    if (more_behind && look_at(&forth, behind, 0, tracker_span_at(t, behind)->len)) return forth.place;
  }
  return 0;
}

/* The item that shows at an index. */
static struct place find_shown(const struct tracker *t, uint32_t index) {
  uint32_t at = t->root, slot = 0;
  for (uint32_t h = t->height; h; h--, at = t->nodes[at].child[slot])
    for (slot = 0; index >= t->nodes[at].effect[slot]; slot++) index -= t->nodes[at].effect[slot];
  const struct tracker_span *s = t->leaves[at].spans;
  for (slot = 0; s[slot].state & TRACKER_GONE || index >= s[slot].len; slot++)
    index -= s[slot].state & TRACKER_GONE ? 0 : s[slot].len;
  return (struct place){at, slot, index, 0};
}

/* How many items in a row show from a place on that should be on the other side of the item. */
static uint32_t count_misplaced(const struct look *l, uint32_t place) {
  const struct undo_track *track = l->track;
  const struct tracker *t = &track->walker.tracker;
  if (l->back ? !place : place >= t->effect) return 0;
  struct place p = find_shown(t, place - l->back);
  const struct tracker_span *s = tracker_span_at(t, p);
  uint32_t id = s->id + p.offset, root;
  bool is_root;
  uint32_t count =
      l->back ? nearest(l, s->id, id + 1, &root, &is_root) : nearest(l, id, s->id + s->len, &root, &is_root);
  if (!is_root) return is_beyond(l, root) ? 0 : count;
  struct undo_order order = order_of(t, p), own = undo_order_of(track, l->item);
  return (undo_order_compare(&order, &own) < 0) == l->back ? 0 : count;
}

/* Whether there is an end of a mark at an index. */
static bool is_anchor_at(const struct undo_track *track, uint32_t index) {
  const struct tracker *t = &track->walker.tracker;
  if (index >= t->effect) return false;
  struct place p = find_shown(t, index);
  uint32_t id = tracker_span_at(t, p)->id + p.offset;
  const struct oplog *log = track->walker.log;
  return id < TRACKER_BASE && op_is_anchor(log->runs[oplog_by_ord(log, id)].kind);
}

/* The same, also behind ends of marks: that somebody has marked one of two neighbours meanwhile shall not part them. */
static uint32_t count_misplaced_beyond(const struct look *l, uint32_t place) {
  uint32_t at = place;
  while (l->back ? at && is_anchor_at(l->track, at - 1) : is_anchor_at(l->track, at)) at += l->back ? UINT32_MAX : 1;
  uint32_t count = count_misplaced(l, at);
  return count ? count + (l->back ? place - at : at - place) : 0;
}

uint32_t undo_place(const dunlin_undo *u, const struct undo_track *track, uint32_t id) {
  struct place p = tracker_find_item(&track->walker.tracker, id);
  uint32_t root, place, count;
  struct undo_stands stands;
  bool is_root;
  undo_root_run(u, track, id, 1, &root, &stands, &is_root);
  struct look back = {u, track, root, id, true, 0}, forth = back;
  forth.back = false;
  uint32_t found = place = place_beside(back, forth, p);
  /* Others that came back later than their neighbours may lie between. */
  while ((count = count_misplaced_beyond(&back, place))) place -= count;
  while (place == found && (count = count_misplaced_beyond(&forth, place))) found = place += count;
  return place;
}

/* ---- Up to date --------------------------------------------------------------------------------------------- */

static bool is_of_use(const dunlin_undo *u, const struct undo_track *t, uint32_t from) {
  const struct graph *g = &u->doc->graph;
  if (!t->walker.is_live || t->state != u->doc->containers[t->container] || t->file != u->doc->file) return false;
  if (t->walker.base > from || graph_critical_before(g, t->walker.base) != t->walker.base) return false;
  return g->lvs - from >= (t->walker.to - t->walker.base) / 4 || t->walker.to - t->walker.base < 4096;
}

static int start(dunlin_undo *u, struct undo_track *t, uint32_t from) {
  dunlin_doc *doc = u->doc;
  const struct container *c = doc->containers[t->container];
  uint32_t base = graph_critical_before(&doc->graph, from);
  int error = doc->file && base < doc->file->lvs ? docfile_load(doc) : 0;
  if (error) return error;
  walker_free(&t->walker);
  walker_init(&t->walker, &doc->graph, &c->log, &doc->voids, c->kind == DUNLIN_LIST ? &doc->values : NULL);
  t->walker.notes_sets = true;
  t->state = c;
  t->file = doc->file;
  t->seat_count = t->old_count = t->known = 0;
  return walker_start(&t->walker, base);
}

static struct undo_track *find_track(dunlin_undo *u, uint32_t container) {
  for (size_t i = 0; i < u->track_count; i++)
    if (u->tracks[i].container == container) return &u->tracks[i];
  if (ENV_GROW(u->env, u->tracks, u->track_cap, u->track_count + 1)) return NULL;
  for (size_t i = 0; i < u->track_count; i++) u->tracks[i].walker.tracker.ctx = &u->tracks[i].walker;
  struct undo_track *t = &u->tracks[u->track_count++];
  const struct container *c = u->doc->containers[container];
  *t = (struct undo_track){.container = container, .state = c};
  walker_init(&t->walker, &u->doc->graph, &c->log, &u->doc->voids, NULL);
  return t;
}

int undo_track_get(dunlin_undo *u, uint32_t container, struct undo_track **out) {
  dunlin_doc *doc = u->doc;
  struct undo_track *t = find_track(u, container);
  if (!t) return DUNLIN_ENOMEM;
  uint32_t from = undo_oldest(u), void_from = doc->containers[container]->void_from;
  if (void_from < from) from = void_from;
  int before = doc->names.error;
  doc->names.error = 0; /* the order of two changes may hang on their ids, and to find these out may fail */
  int error = is_of_use(u, t, from) ? 0 : start(u, t, from);
  if (!error) error = walker_replay(&t->walker, doc->graph.lvs, NULL);
  if (!error) error = walker_go(&t->walker, doc->graph.heads, doc->graph.head_count);
  if (!error) error = doc->names.error;
  doc->names.error = before;
  if (!error) error = find_seats(u, t);
  if (error) walker_stop(&t->walker);
  *out = t;
  return error;
}
