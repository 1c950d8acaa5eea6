/* Does in a transaction what undo_sequence.c has planned for a text or list. */
#include <stdlib.h>

#include "crdt/undo.h"

static uint32_t next_lv(const dunlin_doc *doc) {
  return doc->open.lv + doc->open.index;
}

/* What is written from LV `lv` on stands for the edit's items from number `skipped` on. */
static int stand(dunlin_undo *u, const struct undo_edit *e, uint32_t skipped, uint32_t lv, uint32_t len) {
  struct undo_stands stands = e->stands;
  stands.lv = lv;
  stands.len = len;
  stands.skipped += skipped;
  if (stands.first != LV_NONE) stands.first += skipped;
  int error = undo_stand(u, &u->items, stands);
  return error ? txn_fail(u->doc, error) : 0;
}

static int insert_text(dunlin_undo *u, dunlin_obj text, const struct undo_edit *e) {
  const uint8_t *from = undo_gone_at(e->gone, e->skipped);
  uint32_t lv = next_lv(u->doc);
  size_t bytes = utf8_skip(from, e->len);
  int error = txn_insert_text(u->doc, text, e->at, (struct dunlin_bytes){from, bytes}, e->len);
  return error ? error : stand(u, e, 0, lv, e->len);
}

/* An element comes back with the value that it had before the step. */
static int insert_item(dunlin_undo *u, const struct undo_step *step, dunlin_obj list, const struct undo_edit *e,
                       uint32_t i) {
  dunlin_doc *doc = u->doc;
  const struct reg_write *item = &e->gone->items[e->skipped + i], *before = undo_before(doc, step, item->lv);
  if (before) item = before;
  uint32_t lv = next_lv(doc);
  int error;
  if (item->value.kind < DUNLIN_MAP) {
    error = dunlin_list_insert(doc, list, e->at + i, item->value);
  } else {
    dunlin_obj copy = dunlin_list_insert_child(doc, list, e->at + i, item->value.kind);
    error = copy.index == DUNLIN_NONE.index ? txn_writable(doc) : undo_copy(doc, item->value.as.obj.index, copy.index);
  }
  if (!error) error = stand(u, e, i, lv, 1);
  return error ? error : undo_stand_write(u, lv, item->lv);
}

/* What shows only because a void change deleted it cannot be named, and stays. */
static int erase(dunlin_doc *doc, dunlin_obj obj, uint32_t at, uint32_t len) {
  const struct container *c = doc->containers[obj.index];
  int error = txn_touch(doc, obj);
  if (error || c->void_from == LV_NONE) return error ? error : txn_erase(doc, obj, at, len);
  while (!error && len-- > 0)
    if (void_item(doc, c, at + len) != VOID_UNNAMED) error = txn_erase(doc, obj, at + len, 1);
  return error;
}

/* What is written to such an element, or moves it, has no effect either. */
static bool can_be_named(const dunlin_doc *doc, uint32_t list, uint32_t at) {
  const struct container *c = doc->containers[list];
  return c->void_from == LV_NONE || void_item(doc, c, at) != VOID_UNNAMED;
}

static int set_all(dunlin_undo *u, const struct undo_step *step, const struct undo_plan *p) {
  int error = 0;
  for (size_t i = 0; !error && i < p->count; i++) {
    const struct undo_edit *e = &p->edits[i];
    if (e->kind != UNDO_SET) continue;
    error = txn_touch(u->doc, (dunlin_obj){p->container});
    if (!error && can_be_named(u->doc, p->container, e->at)) error = undo_revert_element(u, step, p->container, e->at);
  }
  return error;
}

static int do_edit(dunlin_undo *u, const struct undo_step *step, dunlin_obj obj, bool is_list,
                   const struct undo_edit *e) {
  int error = 0;
  if (e->kind == UNDO_ERASE) return erase(u->doc, obj, e->at, e->len);
  if (e->kind != UNDO_INSERT) return 0;
  if (!is_list) return insert_text(u, obj, e);
  for (uint32_t i = 0; !error && i < e->len; i++) error = insert_item(u, step, obj, e, i);
  return error;
}

/* ---- Where things are then ---------------------------------------------------------------------------------- */

/* How far what came and went before a place has moved it: what came before item `at`, or (`order`) before what is to
 * come there. */
static uint32_t place_now(const struct undo_plan *p, uint32_t at, const struct undo_order *order) {
  uint32_t now = at;
  for (size_t i = 0; i < p->count; i++) {
    const struct undo_edit *e = &p->edits[i];
    if (e->kind == UNDO_INSERT && (e->at < at || (e->at == at && (!order || undo_order_compare(&e->order, order) < 0))))
      now += e->len;
    if (e->kind == UNDO_ERASE && e->at < at) now -= e->at + e->len < at ? e->len : at - e->at;
  }
  return now;
}

static bool goes(const struct undo_plan *p, uint32_t at) {
  for (size_t i = 0; i < p->count; i++)
    if (p->edits[i].kind == UNDO_ERASE && at >= p->edits[i].at && at < p->edits[i].at + p->edits[i].len) return true;
  return false;
}

/* ---- Moves -------------------------------------------------------------------------------------------------- */

/* Elements are moved one after the other, in the order of where they come to. */
static int move_all(dunlin_undo *u, dunlin_obj list, struct undo_plan *p) {
  size_t first = 0, end = p->count;
  int error = 0;
  while (first < end && p->edits[first].kind < UNDO_MOVE) first++;
  while (end > first && p->edits[end - 1].kind > UNDO_MOVE) end--;
  for (size_t i = first; i < end; i++) {
    struct undo_edit *e = &p->edits[i];
    e->len = !goes(p, e->from);
    e->at = place_now(p, e->at, &e->order);
    e->from = place_now(p, e->from, NULL);
  }
  for (size_t i = first; !error && i < end; i++) {
    const struct undo_edit *e = &p->edits[i];
    if (!e->len) continue;
    uint32_t lv = next_lv(u->doc), from = e->from, to = e->at - (e->at > from);
    error = txn_touch(u->doc, list);
    if (!error && !can_be_named(u->doc, list.index, from)) continue;
    if (!error) error = txn_list_move(u->doc, list, from, e->at);
    if (!error && next_lv(u->doc) > lv) error = stand(u, e, 0, lv, 1);
    for (size_t k = i + 1; k < end; k++) {
      struct undo_edit *other = &p->edits[k];
      other->from -= other->from > from;
      other->from += other->from >= to;
      other->at -= other->at > from;
      other->at += other->at >= to;
    }
  }
  return error;
}

/* ---- Marks -------------------------------------------------------------------------------------------------- */

/* A mark whose two anchors come back. */
struct mark_again {
  const struct undo_edit *start, *end;
  uint32_t from, to; /* places */
};

static int marks_by_lv(const void *a, const void *b) {
  const struct undo_edit *const *x = a, *const *y = b;
  return ((*x)->anchor.lv > (*y)->anchor.lv) - ((*x)->anchor.lv < (*y)->anchor.lv);
}

/* Writes the mark again; its key and value are copied first, since they lie where writes go. */
static int mark_again(dunlin_undo *u, dunlin_obj text, const struct mark_again *m) {
  dunlin_doc *doc = u->doc;
  const struct container *c = doc->containers[text.index];
  struct dunlin_bytes key;
  struct dunlin_value value;
  bool is_saved;
  uint32_t at;
  struct buf kept;
  uint32_t lv = next_lv(doc);
  uint8_t start = m->start->anchor.is_opening ? OP_MARK_START : OP_MARK_START_GROWS;
  uint8_t end = m->end->anchor.is_opening ? OP_MARK_END_GROWS : OP_MARK_END;
  int error = marks_find(doc, c, m->start->anchor.lv, &is_saved, &at);
  if (error) return txn_fail(doc, error);
  mark_content(doc, c, is_saved, at, &key, &value);
  buf_init(&kept, u->env, UINT32_MAX);
  mp_write_str(&kept, key.data, key.len);
  value_write(&kept, &value);
  if (kept.error) error = txn_fail(doc, kept.error);
  if (!error) {
    struct mp_reader r = mp_reader_of(kept.data, kept.len);
    key = mp_read_str(&r, DUNLIN_MAX_KEY);
    value = value_read(&r);
    error = txn_mark(doc, text, m->from, m->to, key, value, start, end);
  }
  buf_free(&kept);
  if (!error) error = stand(u, m->start, 0, lv, 1);
  return error ? error : stand(u, m->end, 0, lv + 1, 1);
}

/* Whether an anchor comes behind another one that comes at the same place. */
static bool is_behind(const struct undo_edit *e, const struct undo_edit *other) {
  return e->at != other->at ? e->at > other->at : undo_order_compare(&e->order, &other->order) > 0;
}

static void make_way(uint32_t *place, const struct undo_edit *e, const struct mark_again *m) {
  uint32_t start = *place > m->from || (*place == m->from && is_behind(e, m->start));
  uint32_t end = *place > m->to || (*place == m->to && is_behind(e, m->end));
  *place += start + end;
}

/* Whether there is a character between two places. */
static bool covers(const dunlin_doc *doc, dunlin_obj text, uint32_t from, uint32_t to) {
  const struct text *t = &doc->containers[text.index]->as.text->text;
  return from < to && text_anchors_before(t, to) - text_anchors_before(t, from) < to - from;
}

static int mark_each(dunlin_undo *u, dunlin_obj text, struct mark_again *list, size_t count) {
  int error = 0;
  for (size_t i = 0; !error && i < count; i++) {
    const struct mark_again *m = &list[i];
    if (!covers(u->doc, text, m->from, m->to)) continue;
    error = mark_again(u, text, m);
    for (size_t k = i + 1; k < count; k++) {
      make_way(&list[k].from, list[k].start, m);
      make_way(&list[k].to, list[k].end, m);
    }
  }
  return error;
}

/* Marks come back in the order in which they were made, so that of two the same one wins. */
static int mark_all(dunlin_undo *u, dunlin_obj text, const struct undo_plan *p) {
  dunlin_doc *doc = u->doc;
  size_t count = 0, marks = 0;
  for (size_t i = 0; i < p->count; i++) count += p->edits[i].kind == UNDO_ANCHOR;
  if (count < 2) return 0;
  const struct undo_edit **anchors = env_calloc(u->env, count, sizeof *anchors);
  struct mark_again *list = env_calloc(u->env, count, sizeof *list);
  int error = anchors && list ? 0 : txn_fail(doc, DUNLIN_ENOMEM);
  if (!error) {
    for (size_t i = count = 0; i < p->count; i++)
      if (p->edits[i].kind == UNDO_ANCHOR) anchors[count++] = &p->edits[i];
    qsort(anchors, count, sizeof *anchors, marks_by_lv);
    for (size_t i = 0; i + 1 < count; i++) {
      const struct undo_edit *start = anchors[i], *end = anchors[i + 1];
      if (start->anchor.is_end || !end->anchor.is_end || end->anchor.lv != start->anchor.lv + 1) continue;
      list[marks++] =
          (struct mark_again){start, end, place_now(p, start->at, &start->order), place_now(p, end->at, &end->order)};
    }
  }
  if (!error) error = mark_each(u, text, list, marks);
  env_free(u->env, list, count * sizeof *list);
  env_free(u->env, anchors, count * sizeof *anchors);
  return error;
}

/* ---- All of it ---------------------------------------------------------------------------------------------- */

int undo_follow(dunlin_undo *u, const struct undo_step *step, const struct undo_plans *plans) {
  int error = 0;
  for (size_t i = 0; !error && i < plans->count; i++) {
    struct undo_plan *p = &plans->list[i];
    dunlin_obj obj = {p->container};
    bool is_list = u->doc->containers[p->container]->kind == DUNLIN_LIST;
    error = set_all(u, step, p);                  /* while all are where they were */
    for (size_t k = p->count; !error && k-- > 0;) /* from the end, so that places before stay what they are */
      error = do_edit(u, step, obj, is_list, &p->edits[k]);
    if (!error) error = is_list ? move_all(u, obj, p) : mark_all(u, obj, p);
  }
  return error;
}
