/* The opposite of what a step did to texts and lists.
 *
 * All that has happened to the text or list since the oldest step is given to a tracker.  It then knows every item that the steps have
 * inserted, and of every deletion which item it meant, and where each of them stands among what shows now. */
#include <stdlib.h>

#include "crdt/docfile.h"
#include "crdt/tracker_private.h"
#include "crdt/undo.h"

/* Items of the tracker with consecutive numbers. */
struct items {
  uint32_t id, len;
  uint32_t row; /* of deleted ones: which one of the rows they went with */
};
struct item_list {
  struct items *list;
  size_t count, cap;
};
struct gone_row {
  uint32_t lv;
  const struct undo_gone *gone; /* NULL: it is not one of the step */
  uint32_t passed;              /* so many of its items have come */
  size_t seat;                  /* the first of those in what it deleted */
};

/* One text or list. */
struct search {
  dunlin_undo *undo;
  const struct undo_step *step;
  const struct container *container;
  struct walker walker;
  struct item_list inserted, deleted; /* by the step; by all rows */
  struct item_list standing;          /* what stands for something that was deleted */
  struct lv_range *ranges;            /* what the step has inserted, and what stands for it */
  size_t range_count, range_cap;
  struct undo_stands *seats; /* on this container, by rows */
  size_t seat_count, seat_cap;
  struct gone_row *rows; /* in order */
  size_t row_count, row_cap;
  struct undo_plan *plan;
  uint32_t effect, place; /* so many items show before the one in hand, and in front of which it would come back */
};

/* ---- Which items -------------------------------------------------------------------------------------------- */

static bool inserts(uint8_t kind) {
  return kind == OP_TEXT_INSERT || kind == OP_LIST_INSERT || kind == OP_LIST_CHILD;
}

static int add_range(struct search *s, uint32_t from, uint32_t to) {
  for (size_t i = 0; i < s->range_count; i++)
    if (s->ranges[i].from <= from && s->ranges[i].to >= to) return 0;
  if (ENV_GROW(s->undo->env, s->ranges, s->range_cap, s->range_count + 1)) return DUNLIN_ENOMEM;
  s->ranges[s->range_count++] = (struct lv_range){from, to};
  return 0;
}

/* The step's changes, and what stands for parts of them. */
static int find_ranges(struct search *s) {
  const struct undo_stand_list *stands = &s->undo->items;
  int error = 0;
  for (size_t i = 0; !error && i < s->step->count; i++)
    if (!undo_is_void(s->undo->doc, &s->step->changes[i]))
      error = add_range(s, s->step->changes[i].from, s->step->changes[i].to);
  for (size_t i = 0; !error && i < stands->count; i++) {
    const struct undo_stands *stand = &stands->list[i];
    if (stand->first == LV_NONE) continue;
    for (size_t k = 0, count = s->range_count; !error && k < count; k++) {
      uint32_t from = s->ranges[k].from > stand->first ? s->ranges[k].from : stand->first;
      uint32_t end = stand->first + stand->len, to = s->ranges[k].to < end ? s->ranges[k].to : end;
      if (from < to) error = add_range(s, stand->lv + (from - stand->first), stand->lv + (to - stand->first));
    }
  }
  return error;
}

static int add_items(const struct search *s, struct item_list *items, struct items more) {
  if (ENV_GROW(s->undo->env, items->list, items->cap, items->count + 1)) return DUNLIN_ENOMEM;
  items->list[items->count++] = more;
  return 0;
}

static int find_inserted(struct search *s, struct item_list *items, uint32_t from, uint32_t to) {
  const struct oplog *log = &s->container->log;
  int error = 0;
  for (size_t i = oplog_from(log, from); !error && i < log->count && log->runs[i].lv < to; i++) {
    struct op_piece piece = op_piece(&log->runs[i], from, to);
    if (!log->runs[i].idle && inserts(log->runs[i].kind))
      error = add_items(s, items, (struct items){piece.ord, piece.len, 0});
  }
  return error;
}

/* The items that operations `ord` on deleted. */
static int add_deleted(struct search *s, uint32_t ord, uint32_t len, uint32_t row) {
  const struct tracker *t = &s->walker.tracker;
  int error = 0;
  while (!error && len) {
    uint32_t up = tracker_index_run(t, ord, len, 1), down = tracker_index_run(t, ord, len, (uint32_t)-1);
    uint32_t id = tracker_index_at(t, ord), count = up > down ? up : down;
    error = add_items(s, &s->deleted, (struct items){up > down ? id : id - (down - 1), count, row});
    ord += count;
    len -= count;
  }
  return error;
}

/* ---- Rows of deletions -------------------------------------------------------------------------------------- */

static int by_row(const void *a, const void *b) {
  const struct undo_stands *x = a, *y = b;
  if (x->row != y->row) return x->row < y->row ? -1 : 1;
  return (x->skipped > y->skipped) - (x->skipped < y->skipped);
}

/* What has come back to this container, and whose deletion the tracker knows. */
static int find_seats(struct search *s) {
  const struct undo_stand_list *all = &s->undo->items;
  int error = 0;
  for (size_t i = 0; !error && i < all->count; i++) {
    const struct undo_stands *stands = &all->list[i];
    if (stands->container != s->plan->container || stands->row < s->walker.base) continue;
    error = ENV_GROW(s->undo->env, s->seats, s->seat_cap, s->seat_count + 1);
    if (!error) s->seats[s->seat_count++] = *stands;
    if (!error) error = find_inserted(s, &s->standing, stands->lv, stands->lv + stands->len);
  }
  if (s->seat_count) qsort(s->seats, s->seat_count, sizeof *s->seats, by_row);
  return error;
}

static int add_row(struct search *s, struct gone_row row, uint32_t len) {
  const struct oplog *log = &s->container->log;
  size_t run = oplog_from(log, row.lv);
  if (run == log->count) return 0;
  struct op_piece piece = op_piece(&log->runs[run], row.lv, row.lv + len);
  if (ENV_GROW(s->undo->env, s->rows, s->row_cap, s->row_count + 1)) return DUNLIN_ENOMEM;
  s->rows[s->row_count] = row;
  return add_deleted(s, piece.ord, piece.len, (uint32_t)s->row_count++);
}

static int find_rows_of_seats(struct search *s) {
  int error = 0;
  for (size_t i = 0; !error && i < s->seat_count; i++) {
    if (i && s->seats[i].row == s->seats[i - 1].row) continue;
    error = add_row(s, (struct gone_row){.lv = s->seats[i].row, .seat = i}, s->seats[i].row_len);
  }
  return error;
}

static const struct undo_gone *gone_at(const struct undo_change *change, uint32_t container, struct op_piece piece) {
  size_t low = 0, high = change->gone_count;
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (change->gone[mid].lv < piece.lv) low = mid + 1;
    else high = mid;
  }
  const struct undo_gone *gone = low < change->gone_count ? &change->gone[low] : NULL;
  return gone && gone->lv == piece.lv && gone->container == container && gone->len == piece.len ? gone : NULL;
}

static int find_deleted(struct search *s, const struct undo_change *change) {
  const struct oplog *log = &s->container->log;
  int error = 0;
  for (size_t i = oplog_from(log, change->from); !error && i < log->count && log->runs[i].lv < change->to; i++) {
    struct op_piece piece = op_piece(&log->runs[i], change->from, change->to);
    if (log->runs[i].idle || log->runs[i].kind != OP_DELETE) continue;
    const struct undo_gone *gone = gone_at(change, s->plan->container, piece);
    if (gone) error = add_row(s, (struct gone_row){piece.lv, gone, 0, s->seat_count}, piece.len); /* else unknown */
  }
  return error;
}

static int by_id(const void *a, const void *b) {
  const struct items *x = a, *y = b;
  return (x->id > y->id) - (x->id < y->id);
}

static void sort(struct item_list *items) {
  if (items->count) qsort(items->list, items->count, sizeof *items->list, by_id);
}

static int find_items(struct search *s) {
  int error = find_ranges(s);
  for (size_t i = 0; !error && i < s->range_count; i++)
    error = find_inserted(s, &s->inserted, s->ranges[i].from, s->ranges[i].to);
  if (!error) error = find_seats(s);
  if (!error) error = find_rows_of_seats(s);
  for (size_t i = 0; !error && i < s->step->count; i++)
    if (!undo_is_void(s->undo->doc, &s->step->changes[i])) error = find_deleted(s, &s->step->changes[i]);
  sort(&s->inserted);
  sort(&s->standing);
  sort(&s->deleted);
  return error;
}

/* The first of the list that reaches beyond an item. */
static const struct items *first_beyond(const struct item_list *items, uint32_t id) {
  size_t low = 0, high = items->count;
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (items->list[mid].id + items->list[mid].len <= id) low = mid + 1;
    else high = mid;
  }
  return low ? items->list + low : items->list; /* which is NULL when there is none */
}

static const struct items *end_of(const struct item_list *items) {
  return items->count ? items->list + items->count : items->list;
}

/* ---- What to do with them ----------------------------------------------------------------------------------- */

static int add_edit(struct search *s, struct undo_edit edit) {
  struct undo_plan *p = s->plan;
  if (ENV_GROW(s->undo->env, p->edits, p->cap, p->count + 1)) return DUNLIN_ENOMEM;
  edit.order = (uint32_t)p->count;
  p->edits[p->count++] = edit;
  return 0;
}

/* Of `len` items from `id` on how many come in a row in the log, and the LV of the first; LV_NONE for items of the base. */
static uint32_t lvs_of(const struct search *s, uint32_t id, uint32_t len, uint32_t *lv) {
  const struct oplog *log = &s->container->log;
  size_t low = 0, high = log->count;
  *lv = LV_NONE;
  if (id >= TRACKER_BASE) return len;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (log->runs[mid].ord <= id) low = mid;
    else high = mid;
  }
  const struct op_run *run = &log->runs[low];
  *lv = run->lv + (id - run->ord);
  return run->ord + run->len - id < len ? run->ord + run->len - id : len;
}

/* Items that are not there any more come back, but for those that the step had inserted itself. */
static int bring_back(struct search *s, uint32_t id, uint32_t len, const struct undo_gone *gone, uint32_t skipped) {
  int error = 0;
  while (!error && len) {
    const struct items *own = first_beyond(&s->inserted, id);
    uint32_t until = own < end_of(&s->inserted) && own->id < id + len ? own->id : id + len, count, lv;
    if (until <= id) {
      count = own->id + own->len - id < len ? own->id + own->len - id : len;
    } else {
      count = lvs_of(s, id, until - id, &lv);
      error = add_edit(s, (struct undo_edit){s->place, count, true, gone, skipped, lv, 0});
    }
    id += count;
    skipped += count;
    len -= count;
  }
  return error;
}

/* Where what stands for an item shows, or what stands for that; TRACKER_NONE. */
static uint32_t shown_at(const struct search *s, uint32_t lv) {
  const struct tracker *t = &s->walker.tracker;
  const struct undo_stand_list *all = &s->undo->items;
  for (size_t i = 0; i <= all->count; i++) {
    const struct op_run *run = &s->container->log.runs[oplog_from(&s->container->log, lv)];
    struct place p = tracker_find_item(t, run->ord + (lv - run->lv));
    uint32_t now, effect;
    if (!(tracker_span_at(t, p)->state & TRACKER_GONE)) {
      tracker_count_before(t, p, &now, &effect);
      return effect + p.offset;
    }
    for (; i < all->count; i++) { /* it comes later */
      const struct undo_stands *next = &all->list[i];
      if (next->first != LV_NONE && lv >= next->first && lv - next->first < next->len) {
        lv = next->lv + (lv - next->first);
        break;
      }
    }
  }
  return TRACKER_NONE;
}

/* Items that went with a row: what stands for one keeps its place, what nothing stands for may come back. */
static int see_gone(struct search *s, uint32_t id, uint32_t len, struct gone_row *row, bool once) {
  uint32_t at = row->passed, end = at + len;
  size_t seat = row->seat;
  int error = 0;
  row->passed = end;
  for (; seat < s->seat_count && s->seats[seat].row == row->lv && at < end; seat++) {
    const struct undo_stands *stands = &s->seats[seat];
    uint32_t from = stands->skipped > at ? stands->skipped : at, to = stands->skipped + stands->len;
    for (; from < to && from < end; from++) {
      uint32_t shown = shown_at(s, stands->lv + (from - stands->skipped));
      if (shown != TRACKER_NONE) s->place = shown + 1;
    }
  }
  if (row->gone && once) error = bring_back(s, id, len, row->gone, at);
  return error;
}

static uint32_t overlap(const struct items *items, const struct tracker_span *span, uint32_t *from) {
  uint32_t to = items->id + items->len < span->id + span->len ? items->id + items->len : span->id + span->len;
  *from = items->id > span->id ? items->id : span->id;
  return to - *from;
}

/* Items that show: those that the step inserted go. */
static int see_shown(struct search *s, const struct tracker_span *span) {
  int error = 0;
  uint32_t from, last = span->id + span->len; /* behind the last that stands for nothing */
  const struct items *i = first_beyond(&s->inserted, span->id);
  for (; !error && i < end_of(&s->inserted) && i->id < span->id + span->len; i++) {
    uint32_t len = overlap(i, span, &from);
    error = add_edit(s, (struct undo_edit){.at = s->effect + (from - span->id), .len = len, .first = LV_NONE});
  }
  for (i = first_beyond(&s->standing, last - 1); last > span->id && i < end_of(&s->standing) && i->id < last; i--) {
    last = i->id;
    if (i == s->standing.list || i[-1].id + i[-1].len < last) break;
  }
  if (last < span->id) last = span->id;
  if (last > span->id) s->place = s->effect + (last - span->id);
  s->effect += span->len;
  return error;
}

static int see_span(struct search *s, const struct tracker_span *span) {
  bool once = tracker_prepare_state(span) == 2;
  int error = 0;
  uint32_t from;
  if (!(span->state & TRACKER_GONE)) return see_shown(s, span);
  const struct items *i = first_beyond(&s->deleted, span->id);
  for (; !error && i < end_of(&s->deleted) && i->id < span->id + span->len; i++) {
    uint32_t len = overlap(i, span, &from);
    error = see_gone(s, from, len, &s->rows[i->row], once);
  }
  return error;
}

/* Goes through all items in their order. */
static int see_all(struct search *s) {
  const struct tracker *t = &s->walker.tracker;
  uint32_t at = t->root;
  int error = 0;
  for (uint32_t h = t->height; h; h--) at = t->nodes[at].child[0];
  for (; !error && at != TRACKER_NONE; at = t->leaves[at].next)
    for (uint32_t i = 0; !error && i < t->leaves[at].count; i++) error = see_span(s, &t->leaves[at].spans[i]);
  return error;
}

/* ---- In order ----------------------------------------------------------------------------------------------- */

/* What is inserted at a place comes before what is deleted from there on. */
static int by_place(const void *a, const void *b) {
  const struct undo_edit *x = a, *y = b;
  if (x->at != y->at) return x->at < y->at ? -1 : 1;
  if (x->inserts != y->inserts) return x->inserts ? -1 : 1;
  return (x->order > y->order) - (x->order < y->order);
}

/* Cuts deletion `i` where something is inserted in the middle of what it takes; the parts come behind all edits. */
static int cut(struct search *s, size_t i, size_t count) {
  struct undo_plan *p = s->plan;
  struct undo_edit rest = p->edits[i];
  uint32_t end = rest.at + rest.len;
  bool is_cut = false;
  int error = 0;
  for (size_t k = i + 1; !error && k < count && p->edits[k].at < end; k++) {
    if (!p->edits[k].inserts || p->edits[k].at == rest.at) continue;
    uint32_t len = p->edits[k].at - rest.at;
    if (is_cut) error = add_edit(s, (struct undo_edit){.at = rest.at, .len = len, .first = LV_NONE});
    else p->edits[i].len = len;
    is_cut = true;
    rest.at += len;
    rest.len -= len;
  }
  return error || !is_cut ? error : add_edit(s, rest);
}

static int put_in_order(struct search *s) {
  struct undo_plan *p = s->plan;
  size_t count = p->count;
  int error = 0;
  if (count < 2) return 0;
  qsort(p->edits, count, sizeof *p->edits, by_place);
  for (size_t i = 0; !error && i < count; i++)
    if (!p->edits[i].inserts) error = cut(s, i, count);
  if (p->count > count) qsort(p->edits, p->count, sizeof *p->edits, by_place);
  return error;
}

/* ---- Planning ----------------------------------------------------------------------------------------------- */

static int start(struct search *s) {
  dunlin_doc *doc = s->undo->doc;
  const struct graph *g = &doc->graph;
  uint32_t from = undo_oldest(s->undo), void_from = s->container->void_from;
  uint32_t base = graph_critical_before(g, from < void_from ? from : void_from);
  int before = doc->names.error;
  int error = doc->file && base < doc->file->lvs ? docfile_load(doc) : 0;
  if (error) return error;
  doc->names.error = 0;
  error = walker_start(&s->walker, base);
  if (!error) error = walker_replay(&s->walker, g->lvs, NULL);
  if (!error) error = walker_go(&s->walker, g->heads, g->head_count);
  if (!error) error = doc->names.error;
  doc->names.error = before;
  return error;
}

static int plan_one(dunlin_undo *u, const struct undo_step *step, struct undo_plan *plan) {
  dunlin_doc *doc = u->doc;
  const struct container *c = doc->containers[plan->container];
  struct search s = {.undo = u, .step = step, .container = c, .plan = plan};
  int error = container_show(doc, plan->container);
  walker_init(&s.walker, &doc->graph, &c->log, &doc->voids, c->kind == DUNLIN_LIST ? &doc->values : NULL);
  if (!error) error = start(&s);
  if (!error) error = find_items(&s);
  if (!error) error = see_all(&s);
  if (!error) error = put_in_order(&s);
  walker_free(&s.walker);
  ENV_FREE_ARRAY(u->env, s.inserted.list, s.inserted.cap);
  ENV_FREE_ARRAY(u->env, s.deleted.list, s.deleted.cap);
  ENV_FREE_ARRAY(u->env, s.standing.list, s.standing.cap);
  ENV_FREE_ARRAY(u->env, s.ranges, s.range_cap);
  ENV_FREE_ARRAY(u->env, s.seats, s.seat_cap);
  ENV_FREE_ARRAY(u->env, s.rows, s.row_cap);
  return error;
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

/* ---- Doing it ----------------------------------------------------------------------------------------------- */

static uint32_t next_lv(const dunlin_doc *doc) {
  return doc->open.lv + doc->open.index;
}

static int stand_items(dunlin_undo *u, const struct undo_edit *e, uint32_t skipped, uint32_t lv, uint32_t len) {
  const struct undo_gone *gone = e->gone;
  struct undo_stands stands = {.lv = lv,
                               .len = len,
                               .first = e->first == LV_NONE ? LV_NONE : e->first + skipped,
                               .container = gone->container,
                               .row = gone->lv,
                               .row_len = gone->len,
                               .skipped = e->skipped + skipped};
  int error = undo_stand(u, &u->items, stands);
  return error ? txn_fail(u->doc, error) : 0;
}

/* Inserts the characters again; anchors that were among them stay away. */
static int insert_text(dunlin_undo *u, dunlin_obj text, const struct undo_edit *e, size_t at) {
  dunlin_doc *doc = u->doc;
  const uint8_t *utf8 = e->gone->text.data, *piece = utf8 + utf8_skip(utf8, e->skipped);
  uint32_t done = 0;
  int error = 0;
  while (!error && done < e->len) {
    uint32_t len = 0;
    const uint8_t *end = piece;
    for (; done + len < e->len && *end < 0xfe; len++) end += utf8_skip(end, 1);
    uint32_t lv = next_lv(doc);
    if (len) error = dunlin_text_splice(doc, text, at, 0, (const char *)piece, (size_t)(end - piece));
    if (!error && len) error = stand_items(u, e, done, lv, len);
    at += len;
    done += len;
    piece = end;
    if (done == e->len) break;
    piece += ROPE_ANCHOR_BYTES;
    done++;
  }
  return error;
}

static int edit_text(dunlin_undo *u, dunlin_obj text, const struct undo_edit *e) {
  const struct text *t = &u->doc->containers[text.index]->as.text->text;
  size_t at = e->at - text_anchors_before(t, e->at);
  return e->inserts ? insert_text(u, text, e, at) : dunlin_text_splice(u->doc, text, at, e->len, NULL, 0);
}

static int insert_item(dunlin_undo *u, dunlin_obj list, const struct undo_edit *e, uint32_t i) {
  dunlin_doc *doc = u->doc;
  const struct reg_write *item = &e->gone->items[e->skipped + i];
  uint32_t lv = next_lv(doc);
  int error;
  if (item->value.kind < DUNLIN_MAP) {
    error = dunlin_list_insert(doc, list, e->at + i, item->value);
  } else {
    dunlin_obj copy = dunlin_list_insert_child(doc, list, e->at + i, item->value.kind);
    error = copy.index == DUNLIN_NONE.index ? txn_writable(doc) : undo_copy(doc, item->value.as.obj.index, copy.index);
  }
  if (!error) error = stand_items(u, e, i, lv, 1);
  return error ? error : undo_stand_write(u, lv, item->lv);
}

/* Whether somebody else has written to the element. */
static bool is_others(const dunlin_undo *u, const struct undo_step *step, dunlin_obj list, uint32_t at) {
  const dunlin_doc *doc = u->doc;
  const struct list *l = &doc->containers[list.index]->as.list->list;
  const struct reg *reg = &l->elements[list_get(l, at)];
  for (uint32_t i = 0; i < reg->count; i++) {
    const struct reg_write *write = reg_at(reg, i);
    if (graph_op(&doc->graph, write->lv).actor != doc->actor) return true;
    if (write->value.kind >= DUNLIN_MAP && undo_others_wrote(doc, write->value.as.obj.index, step->changes[0].from))
      return true;
  }
  return false;
}

static int edit_list(dunlin_undo *u, const struct undo_step *step, dunlin_obj list, const struct undo_edit *e) {
  int error = 0;
  if (e->inserts)
    for (uint32_t i = 0; !error && i < e->len; i++) error = insert_item(u, list, e, i);
  else
    for (uint32_t i = e->len; !error && i-- > 0;)
      if (!is_others(u, step, list, e->at + i)) error = dunlin_list_delete(u->doc, list, e->at + i, 1);
  return error;
}

int undo_follow(dunlin_undo *u, const struct undo_step *step, const struct undo_plans *plans) {
  int error = 0;
  for (size_t i = 0; !error && i < plans->count; i++) {
    const struct undo_plan *p = &plans->list[i];
    dunlin_obj obj = {p->container};
    bool is_list = u->doc->containers[p->container]->kind == DUNLIN_LIST;
    for (size_t k = p->count; !error && k-- > 0;) /* from the end, so that places before stay what they are */
      error = is_list ? edit_list(u, step, obj, &p->edits[k]) : edit_text(u, obj, &p->edits[k]);
  }
  return error;
}
