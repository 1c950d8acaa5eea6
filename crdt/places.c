/* Where the characters of a text are among its entities (characters and anchors), for local edits: at the version of
 * the open change, but for void changes ("Local edits" in void.c).
 *
 * That is what the text shows, unless the change is on an earlier version.  Then the anchors of that version are looked
 * up in the tracker, once for each change; ready_walker() has seen to it that all of them are there. */
#include <stdlib.h>
#include <string.h>

#include "crdt/internal.h"

static int note(void *ctx, uint32_t at, struct rope_anchor anchor) {
  struct anchor_places *found = ctx;
  if (ENV_GROW(found->env, found->list, found->cap, found->count + 1)) return DUNLIN_ENOMEM;
  found->list[found->count++] = (struct anchor_place){at, anchor, false};
  return 0;
}

static int by_place(const void *a, const void *b) {
  const struct anchor_place *x = a, *y = b;
  return (x->at > y->at) - (x->at < y->at);
}

static int by_lv(const void *a, const void *b) {
  const struct anchor_place *x = a, *y = b;
  return (x->anchor.lv > y->anchor.lv) - (x->anchor.lv < y->anchor.lv);
}

/* The anchors of an earlier version. */
static int find_earlier(const struct places *p, struct anchor_places *earlier) {
  const struct oplog *log = &p->text->log;
  const struct tracker *t = &p->text->as.text->sequence.walker.tracker;
  const struct oplog_row *row = &p->doc->open.row; /* not in the log yet */
  int error = 0;
  earlier->env = p->doc->env;
  earlier->count = 0;
  for (size_t i = 0; !error && i < log->count; i++) {
    const struct op_run *run = &log->runs[i];
    if (run->idle || !op_is_anchor(run->kind)) continue;
    uint32_t at = tracker_now_index(t, run->ord);
    if (at != TRACKER_NONE) error = note(earlier, at, anchor_of(run->kind, run->lv));
  }
  if (!error && row->len && p->doc->containers[p->doc->open.row_container] == p->text && op_is_anchor(row->kind)) {
    uint32_t at = tracker_now_index(t, log->ops);
    if (at != TRACKER_NONE) error = note(earlier, at, anchor_of(row->kind, row->lv));
  }
  if (earlier->count) qsort(earlier->list, earlier->count, sizeof *earlier->list, by_place);
  return error;
}

int places_begin(struct places *p, dunlin_doc *doc, const struct container *text) {
  struct text_state *t = text->as.text;
  *p = (struct places){.doc = doc, .text = text, .has_marks = t->has_marks};
  p->size = p->entities = void_size(doc, text);
  if (!p->has_marks) return 0;
  p->is_earlier = t->sequence.walks && !doc->graph.open.builds_on_all;
  if (!p->is_earlier) {
    ENV_FREE_ARRAY(doc->env, t->earlier.list, t->earlier.cap);
    t->earlier = (struct anchor_places){0};
    p->size = p->entities - t->text.anchors;
    return 0;
  }
  int error = t->earlier_stamp == doc->open.stamp ? 0 : find_earlier(p, &t->earlier);
  t->earlier_stamp = error ? 0 : doc->open.stamp;
  p->size = p->entities - (uint32_t)t->earlier.count;
  return error;
}

/* The first anchor of an earlier version that is not before a place. */
static size_t anchor_from(const struct anchor_places *earlier, uint32_t at) {
  size_t low = 0, high = earlier->count;
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (earlier->list[mid].at < at) low = mid + 1;
    else high = mid;
  }
  return low;
}

void places_edited(dunlin_doc *doc, struct text_state *t, const struct op *op, uint32_t lv) {
  struct anchor_places *e = &t->earlier;
  if (t->earlier_stamp != doc->open.stamp) return;
  size_t from = anchor_from(e, op->a), to = from;
  if (op->kind == OP_DELETE) {
    to = anchor_from(e, op->a + op->len);
    for (size_t i = to; i < e->count; i++) e->list[i].at -= op->len;
    if (to > from) memmove(e->list + from, e->list + to, (e->count - to) * sizeof *e->list);
    e->count -= to - from;
    return;
  }
  for (size_t i = from; i < e->count; i++) e->list[i].at += op->len;
  if (!op_is_anchor(op->kind)) return;
  if (ENV_GROW(doc->env, e->list, e->cap, e->count + 1)) {
    t->earlier_stamp = 0; /* they are looked up again */
    return;
  }
  memmove(e->list + from + 1, e->list + from, (e->count - from) * sizeof *e->list);
  e->list[from] = (struct anchor_place){op->a, anchor_of(op->kind, lv), false};
  e->count++;
}

uint32_t places_entity(const struct places *p, uint32_t character) {
  const struct anchor_places *earlier = &p->text->as.text->earlier;
  if (character >= p->size) return p->entities;
  if (!p->is_earlier) return text_entity(&p->text->as.text->text, character);
  size_t low = 0, high = earlier->count; /* those below `low` stand before the character or right at it */
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (earlier->list[mid].at - mid <= character) low = mid + 1;
    else high = mid;
  }
  return character + (uint32_t)low;
}

uint32_t places_behind(const struct places *p, uint32_t character) {
  return character ? places_entity(p, character - 1) + 1 : 0;
}

/* Whether what belongs to the character before it stands at `at`. */
static bool is_closing(const struct places *p, uint32_t at) {
  struct rope_anchor anchor;
  if (!p->is_earlier) return text_anchor_at(&p->text->as.text->text, at, &anchor) && !anchor.is_opening;
  const struct anchor_places *earlier = &p->text->as.text->earlier;
  size_t i = anchor_from(earlier, at);
  return i < earlier->count && earlier->list[i].at == at && !earlier->list[i].anchor.is_opening;
}

uint32_t places_gap(const struct places *p, uint32_t character) {
  if (!p->has_marks) return character;
  uint32_t at = places_behind(p, character);
  while (is_closing(p, at)) at++;
  return at;
}

static int anchors_between(const struct places *p, uint32_t from, uint32_t to, struct anchor_places *out) {
  if (!p->is_earlier) return text_each_anchor(&p->text->as.text->text, from, to, note, out);
  const struct anchor_places *earlier = &p->text->as.text->earlier;
  int error = 0;
  for (size_t i = anchor_from(earlier, from); !error && i < earlier->count && earlier->list[i].at < to; i++)
    error = note(out, earlier->list[i].at, earlier->list[i].anchor);
  return error;
}

/* One that shows only because the change that deleted it is void cannot be named: it stays. */
static bool can_go(const struct places *p, const struct anchor_place *anchor) {
  return void_item(p->doc, p->text, anchor->at) != VOID_UNNAMED;
}

/* Those whose mark has its other end among them too go with what lies between. */
static void find_going(const struct places *p, struct anchor_places *anchors) {
  qsort(anchors->list, anchors->count, sizeof *anchors->list, by_lv);
  for (size_t i = 0; i + 1 < anchors->count; i++) {
    struct anchor_place *start = &anchors->list[i], *end = start + 1;
    if (start->anchor.is_end || !end->anchor.is_end || end->anchor.lv != start->anchor.lv + 1) continue;
    start->goes = end->goes = can_go(p, start) && can_go(p, end);
  }
  qsort(anchors->list, anchors->count, sizeof *anchors->list, by_place);
}

int places_each_gone(const struct places *p, uint32_t from, uint32_t to,
                     int (*each)(void *ctx, uint32_t at, uint32_t len), void *ctx) {
  if (!p->has_marks) return each(ctx, from, to - from);
  struct anchor_places anchors = {.env = p->doc->env};
  uint32_t start = places_behind(p, from), end = places_entity(p, to), kept = 0;
  int error = anchors_between(p, start, end, &anchors);
  if (!error && anchors.count) find_going(p, &anchors);
  uint32_t at = start;
  for (size_t i = 0; !error && i < anchors.count; i++) {
    if (anchors.list[i].goes) continue;
    if (anchors.list[i].at > at) error = each(ctx, start + kept, anchors.list[i].at - at);
    at = anchors.list[i].at + 1;
    kept++;
  }
  if (!error && end > at) error = each(ctx, start + kept, end - at);
  ENV_FREE_ARRAY(anchors.env, anchors.list, anchors.cap);
  return error;
}
