/* The opposite of what a step did to texts and lists: which items come, go and move. */
#include <stdlib.h>

#include "crdt/tracker_private.h"
#include "crdt/undo.h"

/* One text or list. */
struct search {
  dunlin_undo *undo;
  dunlin_doc *doc;
  const struct undo_step *step;
  const struct container *container;
  const struct undo_track *track;
  struct undo_plan *plan;
};

static int add_edit(struct search *s, struct undo_edit edit) {
  struct undo_plan *p = s->plan;
  if (ENV_GROW(s->undo->env, p->edits, p->cap, p->count + 1)) return DUNLIN_ENOMEM;
  p->edits[p->count++] = edit;
  return 0;
}

/* ---- What it inserted --------------------------------------------------------------------------------------- */

/* Whether somebody else has written to the element that shows there. */
static bool is_others(const struct search *s, uint32_t at) {
  const struct list *l = &s->container->as.list->list;
  const struct reg *reg = &l->elements[list_get(l, at)];
  for (uint32_t i = 0; i < reg->count; i++) {
    const struct reg_write *write = reg_at(reg, i);
    if (graph_op(&s->doc->graph, write->lv).actor != s->doc->actor) return true;
    if (write->value.kind >= DUNLIN_MAP &&
        undo_others_wrote(s->doc, write->value.as.obj.index, s->step->changes[0].from))
      return true;
  }
  return false;
}

/* Items in a row that show go. */
static int erase(struct search *s, uint32_t at, uint32_t len) {
  bool is_list = s->container->kind == DUNLIN_LIST;
  int error = 0;
  if (!is_list) return add_edit(s, (struct undo_edit){.kind = UNDO_ERASE, .at = at, .len = len});
  for (uint32_t i = 0; !error && i < len; i++)
    if (!is_others(s, at + i)) error = add_edit(s, (struct undo_edit){.kind = UNDO_ERASE, .at = at + i, .len = 1});
  return error;
}

/* What shows of these items goes, also where they were moved to. */
static int erase_items(struct search *s, uint32_t id, uint32_t len) {
  const struct tracker *t = &s->track->walker.tracker;
  int error = 0;
  while (!error && len) {
    struct place p = tracker_find_item(t, id);
    const struct tracker_span *span = tracker_span_at(t, p);
    uint32_t count = span->len - p.offset < len ? span->len - p.offset : len;
    uint32_t at = undo_shown_at(s->track, id, false);
    if (at != TRACKER_NONE) error = erase(s, at, count);
    id += count;
    len -= count;
  }
  return error;
}

/* What these roots have come back as goes; `id`: the first one, or what stands for it in the step. */
static int erase_roots(struct search *s, uint32_t root, uint32_t id, uint32_t len) {
  int error = 0;
  for (uint32_t count, lv; !error && len; root += count, id += count, len -= count) {
    count = undo_seat_run(s->track, root, len, &lv);
    error = erase_items(s, lv == LV_NONE ? id : undo_item_of(s->track, lv), count);
  }
  return error;
}

static uint32_t root_of(const struct search *s, uint32_t id, struct undo_stands *stands, bool *is_root) {
  uint32_t root;
  undo_root_run(s->undo, s->track, id, 1, &root, stands, is_root);
  return root;
}

/* What the element of a slot came back as after it was deleted, when this is the slot that it was in then: the first
 * item of that. */
static uint32_t element_again(const struct search *s, uint32_t slot) {
  struct undo_stands stands;
  bool is_root;
  uint32_t lv;
  undo_seat_run(s->track, root_of(s, slot, &stands, &is_root), 1, &lv);
  return lv == LV_NONE ? TRACKER_NONE : undo_first_slot(s->track, undo_item_of(s->track, lv));
}

/* The item of the list in which the element of a slot shows, or what that has come back as; TRACKER_NONE. */
static uint32_t shown_slot(const struct search *s, uint32_t id) {
  const struct tracker *t = &s->track->walker.tracker;
  for (uint32_t lv = 0; undo_shown_at(s->track, id, false) == TRACKER_NONE;) {
    bool is_moved = tracker_span_at(t, tracker_find_item(t, id))->state & TRACKER_MOVED;
    uint32_t next = TRACKER_NONE;
    for (uint32_t slot = is_moved ? tracker_slot_strongest(t, id) : id; slot != TRACKER_NONE;
         slot = is_moved ? tracker_slot_weaker(t, slot) : TRACKER_NONE) {
      uint32_t again = element_again(s, slot), again_lv = again == TRACKER_NONE ? 0 : undo_item_lv(s->track, again);
      if (again_lv == LV_NONE || again_lv <= lv) continue; /* each is later than the one before: this ends */
      next = again;
      lv = again_lv;
    }
    if (next == TRACKER_NONE) return next;
    id = next;
  }
  bool gone, is_moved = tracker_span_at(t, tracker_find_item(t, id))->state & TRACKER_MOVED;
  return is_moved ? tracker_slot_effect(t, id, &gone) : id;
}

static int erase_element(struct search *s, uint32_t id) {
  uint32_t slot = shown_slot(s, id);
  return slot == TRACKER_NONE ? 0 : erase_items(s, slot, 1);
}

static int see_inserted(struct search *s, uint32_t id, uint32_t len) {
  const struct tracker *t = &s->track->walker.tracker;
  int error = 0;
  if (s->container->kind == DUNLIN_LIST) {
    for (; !error && len; id++, len--) error = erase_element(s, id);
    return error;
  }
  while (!error && len) {
    struct undo_stands stands;
    struct place p = tracker_find_item(t, id);
    uint32_t left = tracker_span_at(t, p)->len - p.offset, root;
    bool is_root;
    uint32_t count = undo_root_run(s->undo, s->track, id, left < len ? left : len, &root, &stands, &is_root);
    error = erase_roots(s, root, id, count);
    id += count;
    len -= count;
  }
  return error;
}

/* ---- What it moved ------------------------------------------------------------------------------------------ */

/* The slot in which an element would show if the step, whose first move of it was `move`, had not moved it: the one
 * before, or one that others have put it in without having been seen by that move, and so win over it. */
static uint32_t former_slot(const struct search *s, uint32_t move) {
  const struct tracker *t = &s->track->walker.tracker;
  uint32_t slot = tracker_slot_strongest(t, move);
  for (bool is_weaker = false; slot != TRACKER_NONE; slot = tracker_slot_weaker(t, slot)) {
    uint32_t lv = undo_item_lv(s->track, slot);
    is_weaker |= slot == move;
    if (slot == move || tracker_slot_is_idle(t, slot)) continue;
    if (is_weaker || graph_op(&s->doc->graph, lv).actor != s->doc->actor) return slot;
  }
  return TRACKER_NONE;
}

/* The first move of a slot's element in the step; TRACKER_NONE. */
static uint32_t first_move(const struct search *s, uint32_t id) {
  const struct tracker *t = &s->track->walker.tracker;
  uint32_t move = TRACKER_NONE;
  for (uint32_t slot = tracker_slot_strongest(t, id); slot != TRACKER_NONE; slot = tracker_slot_weaker(t, slot)) {
    bool is_move = tracker_slot_weaker(t, slot) != TRACKER_NONE;
    if (is_move && slot < move && undo_change_of(s->step, undo_item_lv(s->track, slot))) move = slot;
  }
  return move;
}

/* Whether the slot is one that the step has put the element into, or stands for one. */
static bool is_moved_here(const struct search *s, uint32_t slot, uint32_t root) {
  const struct tracker *t = &s->track->walker.tracker;
  struct undo_stands stands;
  bool is_root;
  for (uint32_t at = tracker_slot_strongest(t, slot); at != TRACKER_NONE; at = tracker_slot_weaker(t, at)) {
    uint32_t lv = undo_item_lv(s->track, at);
    if (lv != LV_NONE && undo_change_of(s->step, lv) && root_of(s, at, &stands, &is_root) == root) return true;
  }
  return false;
}

/* The element goes back to where it was before the first move of it in the step, unless it is somewhere else now. */
static int see_moved(struct search *s, uint32_t move) {
  struct undo_stands stands;
  bool is_root;
  uint32_t now = shown_slot(s, move), from;
  if (first_move(s, move) != move) return 0; /* it has been seen */
  if (now == TRACKER_NONE || !is_moved_here(s, move, root_of(s, now, &stands, &is_root))) return 0;
  uint32_t slot = former_slot(s, move);
  if (slot == TRACKER_NONE) return 0;
  from = undo_shown_at(s->track, now, true);
  root_of(s, slot, &stands, &is_root);
  if (is_root) stands.row = undo_item_lv(s->track, move);
  return add_edit(s, (struct undo_edit){.kind = UNDO_MOVE,
                                        .at = undo_place(s->undo, s->track, slot),
                                        .from = from,
                                        .stands = stands,
                                        .order = undo_order_of(s->track, slot)});
}

/* ---- What it deleted ---------------------------------------------------------------------------------------- */

static bool is_void(const dunlin_doc *doc, uint32_t lv) {
  for (size_t i = 0; i < doc->voids.count; i++)
    if (lv >= doc->voids.list[i].from && lv < doc->voids.list[i].to) return true;
  return false;
}

/* How often an item has been deleted, by changes that are not void: looks at all deletions. */
static uint32_t count_deletions(const struct search *s, uint32_t id) {
  const struct oplog *log = &s->container->log;
  uint32_t count = 0;
  for (size_t i = oplog_from(log, s->track->walker.base); i < log->count; i++) {
    const struct op_run *run = &log->runs[i];
    if (run->kind != OP_DELETE || run->idle) continue;
    for (uint32_t k = 0; k < run->len; k++)
      if (run->lv + k >= s->track->walker.base && tracker_index_at(&s->track->walker.tracker, run->ord + k) == id &&
          !is_void(s->doc, run->lv + k))
        count++;
  }
  return count;
}

/* Whether it is a void change that has inserted the item. */
static bool is_insertion_void(const struct search *s, uint32_t id) {
  uint32_t lv = undo_item_lv(s->track, s->container->kind == DUNLIN_LIST ? undo_first_slot(s->track, id) : id);
  return lv != LV_NONE && is_void(s->doc, lv);
}

/* Whether the item would be there if the step had not deleted it: nobody else has; of `*len` items as many as have one
 * answer. */
static bool is_gone_once(const struct search *s, uint32_t id, uint32_t *len) {
  const struct tracker *t = &s->track->walker.tracker;
  struct place p = tracker_find_item(t, id);
  const struct tracker_span *span = tracker_span_at(t, p);
  uint32_t deletes = tracker_prepare_state(span) - 1;
  if (span->len - p.offset < *len) *len = span->len - p.offset;
  if (span->state & TRACKER_MOVED) {
    bool gone;
    tracker_slot_effect(t, id, &gone);
    deletes = tracker_slot_deletes(t, id);
    if (!gone) return false;
  } else if (!(span->state & TRACKER_GONE)) {
    return false;
  }
  if (s->container->void_from == LV_NONE) return deletes == 1;
  *len = 1;
  return !is_insertion_void(s, id) && (deletes == 1 || count_deletions(s, id) == 1);
}

const uint8_t *undo_gone_at(const struct undo_gone *gone, uint32_t skipped) {
  const uint8_t *at = gone->text.data, *end = at + gone->text.len;
  for (; at < end; at++)
    if ((*at & 0xc0) != 0x80 && !skipped--) break; /* utf8_skip() knows no anchors */
  return at;
}

/* The anchor that is item `skipped` of what was deleted. */
static bool anchor_in(const struct undo_gone *gone, uint32_t skipped, struct rope_anchor *anchor) {
  if (gone->items) return false;
  const uint8_t *bytes = undo_gone_at(gone, skipped);
  if (*bytes < 0xfe) return false;
  *anchor = rope_anchor_get(bytes);
  return true;
}

/* The slot that the element of item `id` comes back in: where it would be now, had it not been deleted, nor moved by
 * the step. */
static uint32_t slot_again(struct search *s, uint32_t id, struct undo_stands *stands) {
  const struct tracker *t = &s->track->walker.tracker;
  bool is_root;
  if (!(tracker_span_at(t, tracker_find_item(t, id))->state & TRACKER_MOVED)) return id;
  uint32_t move = first_move(s, id), slot = move == TRACKER_NONE ? move : former_slot(s, move);
  if (slot == TRACKER_NONE) slot = tracker_slot_effect(t, id, &is_root);
  if (slot == id) return id;
  root_of(s, slot, stands, &is_root);
  if (is_root) stands->row = undo_item_lv(s->track, move == TRACKER_NONE ? slot : move);
  return slot;
}

/* Whether the step had inserted the item itself. */
static bool is_own(const struct search *s, uint32_t id) {
  uint32_t lv = undo_item_lv(s->track, s->container->kind == DUNLIN_LIST ? undo_first_slot(s->track, id) : id);
  return undo_change_of(s->step, lv) != NULL;
}

/* Of so many items that go on in a row in the log, how many are like the first one: the step's own, or not. */
static uint32_t own_run(const struct search *s, uint32_t id, uint32_t len, bool *own) {
  uint32_t lv = undo_item_lv(s->track, id), count = 1;
  *own = is_own(s, id);
  if (s->container->kind == DUNLIN_LIST) {
    while (count < len && is_own(s, id + count) == *own) count++;
    return count;
  }
  for (size_t i = 0; lv != LV_NONE && i < s->step->count; i++) {
    const struct undo_change *change = &s->step->changes[i];
    uint32_t bound = lv < change->from ? change->from : change->to;
    if (lv < bound && bound - lv < len) len = bound - lv;
  }
  return len;
}

/* Items [id, id + len), of which the row had deleted number `skipped` on, come back unless the step had inserted them
 * itself. */
static int bring_back(struct search *s, uint32_t id, uint32_t len, const struct undo_gone *gone, uint32_t skipped) {
  int error = 0;
  for (uint32_t count, root, lv; !error && len; id += count, skipped += count, len -= count) {
    struct undo_edit edit = {.kind = UNDO_INSERT, .gone = gone, .skipped = skipped};
    bool is_root, own;
    count = len;
    bool once = is_gone_once(s, id, &count);
    count = undo_root_run(s->undo, s->track, id, count, &root, &edit.stands, &is_root);
    count = own_run(s, id, count, &own);
    if (!once || own) continue;
    uint32_t same = undo_seat_run(s->track, root, count, &lv);
    if (same < count) count = same;
    if (lv != LV_NONE && undo_shown_at(s->track, undo_item_of(s->track, lv), true) != TRACKER_NONE) continue;
    if (is_root) edit.stands.row = gone->lv, edit.stands.row_len = gone->len, edit.stands.skipped = skipped;
    if (anchor_in(gone, skipped, &edit.anchor)) {
      edit.kind = UNDO_ANCHOR;
      count = 1;
    }
    uint32_t slot = slot_again(s, id, &edit.stands);
    edit.len = count;
    edit.at = undo_place(s->undo, s->track, slot);
    edit.order = undo_order_of(s->track, slot);
    error = add_edit(s, edit);
  }
  return error;
}

/* Characters up to the next anchor. */
static uint32_t until_anchor(const struct undo_gone *gone, uint32_t skipped, uint32_t len) {
  if (gone->items || !len) return len;
  const uint8_t *at = undo_gone_at(gone, skipped);
  if (*at >= 0xfe) return 1;
  for (uint32_t i = 0; i < len; i++, at += utf8_skip(at, 1))
    if (*at >= 0xfe) return i;
  return len;
}

static int see_deleted(struct search *s, const struct undo_gone *gone) {
  struct undo_row row;
  int error = 0;
  if (!undo_row_of(s->track, gone->lv, gone->len, &row)) return 0;
  for (uint32_t k = 0, run, id; !error && k < row.len; k += run) {
    run = undo_row_run(s->track, &row, k, &id);
    uint32_t same = until_anchor(gone, k, run);
    if (same < run) run = same;
    error = bring_back(s, id, run, gone, k);
  }
  return error;
}

/* ---- What it wrote ------------------------------------------------------------------------------------------- */

/* What operation `ord` wrote to an element, unless the step has inserted that too. */
static int see_set(struct search *s, uint32_t ord) {
  uint32_t id = tracker_index_at(&s->track->walker.tracker, ord), slot = shown_slot(s, id);
  if (slot == TRACKER_NONE || is_own(s, id)) return 0;
  return add_edit(s, (struct undo_edit){.kind = UNDO_SET, .at = undo_shown_at(s->track, slot, true)});
}

/* ---- All of a step ------------------------------------------------------------------------------------------ */

static int see_run(struct search *s, const struct op_run *run, struct op_piece piece) {
  switch (run->kind) {
    case OP_TEXT_INSERT:
    case OP_LIST_INSERT:
    case OP_LIST_CHILD:
    case OP_MARK_START:
    case OP_MARK_START_GROWS:
    case OP_MARK_END:
    case OP_MARK_END_GROWS: return see_inserted(s, piece.ord, piece.len);
    case OP_LIST_MOVE: return see_moved(s, piece.ord);
    case OP_LIST_SET:
    case OP_LIST_SET_OVER:
    case OP_LIST_SET_CHILD: return see_set(s, piece.ord);
    default: return 0;
  }
}

static int see_change(struct search *s, const struct undo_change *change) {
  const struct oplog *log = &s->container->log;
  int error = 0;
  for (size_t i = oplog_from(log, change->from); !error && i < log->count && log->runs[i].lv < change->to; i++)
    if (!log->runs[i].idle) error = see_run(s, &log->runs[i], op_piece(&log->runs[i], change->from, change->to));
  for (size_t i = 0; !error && i < change->gone_count; i++)
    if (change->gone[i].container == s->plan->container) error = see_deleted(s, &change->gone[i]);
  return error;
}

/* ---- Marks that go with what they cover --------------------------------------------------------------------- */

struct anchor_found {
  uint32_t at;
  struct rope_anchor anchor;
};
struct anchors_found {
  const struct dunlin_env *env;
  struct anchor_found *list;
  size_t count, cap;
};

static int note_anchor(void *ctx, uint32_t at, struct rope_anchor anchor) {
  struct anchors_found *found = ctx;
  if (ENV_GROW(found->env, found->list, found->cap, found->count + 1)) return DUNLIN_ENOMEM;
  found->list[found->count++] = (struct anchor_found){at, anchor};
  return 0;
}

static int by_lv(const void *a, const void *b) {
  const struct anchor_found *x = a, *y = b;
  return (x->anchor.lv > y->anchor.lv) - (x->anchor.lv < y->anchor.lv);
}

static bool is_erased(const struct undo_plan *p, size_t from, size_t to, uint32_t at) {
  for (size_t i = from; i < to; i++)
    if (at >= p->edits[i].at && at < p->edits[i].at + p->edits[i].len) return true;
  return false;
}

/* Whether characters come back between two anchors.  Edits `from` to `to` - 1 are there, and the first `count`
 * sorted. */
static bool is_filled(const struct undo_plan *p, size_t from, size_t to, size_t count, uint32_t start, uint32_t end) {
  while (from && p->edits[from - 1].at > start) from--;
  while (to < count && p->edits[to].at <= end) to++;
  for (size_t i = from; i < to; i++)
    if (p->edits[i].kind == UNDO_INSERT && p->edits[i].at > start && p->edits[i].at <= end) return true;
  return false;
}

/* Edits `from` to `to` - 1 of the `count` sorted ones erase all characters from `start` to `end` - 1, so that marks
 * which cover no others go. */
static int erase_marks(struct search *s, size_t from, size_t to, size_t count, uint32_t start, uint32_t end) {
  struct anchors_found found = {.env = s->undo->env};
  int error = text_each_anchor(&s->container->as.text->text, start, end, note_anchor, &found);
  if (!error && found.count > 1) qsort(found.list, found.count, sizeof *found.list, by_lv);
  for (size_t i = 0; !error && i + 1 < found.count; i++) {
    const struct anchor_found *a = &found.list[i], *b = a + 1;
    if (a->anchor.is_end || !b->anchor.is_end || b->anchor.lv != a->anchor.lv + 1) continue;
    if (is_filled(s->plan, from, to, count, a->at, b->at)) continue;
    for (int k = 0; !error && k < 2; k++)
      if (!is_erased(s->plan, from, to, a[k].at))
        error = add_edit(s, (struct undo_edit){.kind = UNDO_ERASE, .at = a[k].at, .len = 1});
  }
  ENV_FREE_ARRAY(found.env, found.list, found.cap);
  return error;
}

static uint32_t characters_before(const struct text *text, uint32_t at) {
  return at - text_anchors_before(text, at);
}

/* ---- In order ----------------------------------------------------------------------------------------------- */

/* By the place in what shows; what comes there is before what goes from there on.  Moves come behind that, writes
 * last. */
static int by_place(const void *a, const void *b) {
  const struct undo_edit *x = a, *y = b;
  int order = x->kind < UNDO_MOVE ? 0 : (int)x->kind, other = y->kind < UNDO_MOVE ? 0 : (int)y->kind;
  if (order != other) return order - other;
  if (x->at != y->at) return x->at < y->at ? -1 : 1;
  if (x->kind != UNDO_ERASE && y->kind != UNDO_ERASE) return undo_order_compare(&x->order, &y->order);
  return (x->kind == UNDO_ERASE) - (y->kind == UNDO_ERASE);
}

static void sort(struct undo_plan *p) {
  if (p->count > 1) qsort(p->edits, p->count, sizeof *p->edits, by_place);
}

/* Edits are sorted. */
static int erase_all_marks(struct search *s) {
  const struct text *text = &s->container->as.text->text;
  size_t count = s->plan->count;
  int error = 0;
  for (size_t i = 0, next; !error && i < count; i = next) {
    const struct undo_edit *e = &s->plan->edits[i];
    next = i + 1;
    if (e->kind != UNDO_ERASE) continue;
    uint32_t from = characters_before(text, e->at), to = characters_before(text, e->at + e->len);
    for (; next < count; next++) {
      e = &s->plan->edits[next];
      if (e->kind != UNDO_ERASE) continue;
      if (characters_before(text, e->at) > to) break;
      to = characters_before(text, e->at + e->len);
    }
    if (from == to) continue;
    error = erase_marks(s, i, next, count, from ? text_entity(text, from - 1) + 1 : 0, text_entity(text, to));
  }
  return error;
}

/* No item goes twice.  Edits are sorted. */
static void erase_once(struct undo_plan *p) {
  uint32_t done = 0;
  for (size_t i = 0; i < p->count; i++) {
    struct undo_edit *e = &p->edits[i];
    if (e->kind != UNDO_ERASE) continue;
    uint32_t end = e->at + e->len;
    if (e->at < done) e->at = done;
    e->len = end > e->at ? end - e->at : 0;
    if (end > done) done = end;
  }
}

/* Cuts what goes where something comes in the middle of it; the parts come behind all edits. */
static int cut(struct search *s, size_t i, size_t count) {
  struct undo_plan *p = s->plan;
  struct undo_edit rest = p->edits[i];
  uint32_t end = rest.at + rest.len;
  bool is_cut = false;
  int error = 0;
  for (size_t k = i + 1; !error && k < count && p->edits[k].kind < UNDO_MOVE && p->edits[k].at < end; k++) {
    if (p->edits[k].kind == UNDO_ERASE || p->edits[k].at == rest.at) continue;
    uint32_t len = p->edits[k].at - rest.at;
    if (is_cut) error = add_edit(s, (struct undo_edit){.kind = UNDO_ERASE, .at = rest.at, .len = len});
    else p->edits[i].len = len;
    is_cut = true;
    rest.at += len;
    rest.len -= len;
  }
  return error || !is_cut ? error : add_edit(s, rest);
}

static int put_in_order(struct search *s) {
  struct undo_plan *p = s->plan;
  size_t kept = 0;
  int error = 0;
  sort(p);
  if (s->container->kind == DUNLIN_TEXT && s->container->as.text->text.anchors) error = erase_all_marks(s);
  sort(p);
  erase_once(p);
  for (size_t i = 0, count = p->count; !error && i < count; i++)
    if (p->edits[i].kind == UNDO_ERASE) error = cut(s, i, count);
  for (size_t i = 0; i < p->count; i++)
    if (p->edits[i].kind != UNDO_ERASE || p->edits[i].len) p->edits[kept++] = p->edits[i];
  p->count = kept;
  sort(p);
  return error;
}

/* ---- Planning ----------------------------------------------------------------------------------------------- */

static int plan_one(dunlin_undo *u, const struct undo_step *step, struct undo_plan *plan) {
  dunlin_doc *doc = u->doc;
  struct undo_track *track = NULL;
  int error = container_show(doc, plan->container);
  if (!error) error = undo_track_get(u, plan->container, &track);
  struct search s = {u, doc, step, doc->containers[plan->container], track, plan};
  for (size_t i = 0; !error && i < step->count; i++)
    if (!undo_is_void(doc, &step->changes[i])) error = see_change(&s, &step->changes[i]);
  return error ? error : put_in_order(&s);
}

static int plan_container(dunlin_undo *u, const struct undo_step *step, uint32_t container, struct undo_plans *plans) {
  for (size_t i = 0; i < plans->count; i++)
    if (plans->list[i].container == container) return 0;
  if (!sequence_of(u->doc->containers[container]) || undo_goes(u, step, container)) return 0;
  if (ENV_GROW(u->env, plans->list, plans->cap, plans->count + 1)) return DUNLIN_ENOMEM;
  plans->list[plans->count] = (struct undo_plan){.container = container};
  return plan_one(u, step, &plans->list[plans->count++]);
}

static size_t first_owner(const dunlin_doc *doc, uint32_t lv) {
  size_t low = 0, high = doc->owner_count;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (doc->owners[mid].lv <= lv) low = mid;
    else high = mid;
  }
  return low;
}

int undo_plan_all(dunlin_undo *u, const struct undo_step *step, struct undo_plans *plans) {
  const dunlin_doc *doc = u->doc;
  int error = 0;
  for (size_t i = 0; !error && i < step->count; i++) {
    const struct undo_change *c = &step->changes[i];
    for (size_t o = first_owner(doc, c->from); !error && o < doc->owner_count && doc->owners[o].lv < c->to; o++)
      error = plan_container(u, step, doc->owners[o].container, plans);
  }
  return error;
}

void undo_plans_free(dunlin_undo *u, struct undo_plans *plans) {
  for (size_t i = 0; i < plans->count; i++) ENV_FREE_ARRAY(u->env, plans->list[i].edits, plans->list[i].cap);
  ENV_FREE_ARRAY(u->env, plans->list, plans->cap);
}
