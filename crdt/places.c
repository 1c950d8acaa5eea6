/* Where the characters of a text are among its entities (characters and anchors), for local edits: at the version of the open change,
 * but for void changes ("Local edits" in void.c).
 *
 * That is what the text shows, unless the change is on an earlier version.  Then the anchors of that version are looked up in the
 * tracker, one by one; ready_walker() has seen to it that all of them are there. */
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
static int find_earlier(struct places *p) {
  const struct oplog *log = &p->text->log;
  const struct tracker *t = &p->text->as.text->sequence.walker.tracker;
  const struct oplog_row *row = &p->doc->open.row; /* not in the log yet */
  int error = 0;
  for (size_t i = 0; !error && i < log->count; i++) {
    const struct op_run *run = &log->runs[i];
    if (run->idle || !op_is_anchor(run->kind)) continue;
    uint32_t at = tracker_now_index(t, run->ord);
    if (at != TRACKER_NONE) error = note(&p->earlier, at, anchor_of(run->kind, run->lv));
  }
  if (!error && row->len && p->doc->containers[p->doc->open.row_container] == p->text && op_is_anchor(row->kind)) {
    uint32_t at = tracker_now_index(t, log->ops);
    if (at != TRACKER_NONE) error = note(&p->earlier, at, anchor_of(row->kind, row->lv));
  }
  if (p->earlier.count) qsort(p->earlier.list, p->earlier.count, sizeof *p->earlier.list, by_place);
  return error;
}

int places_begin(struct places *p, dunlin_doc *doc, const struct container *text) {
  const struct text_state *t = text->as.text;
  p->doc = doc;
  p->text = text;
  p->size = p->entities = void_size(doc, text);
  p->has_marks = t->has_marks;
  p->is_earlier = false;
  p->earlier.list = NULL;
  if (!p->has_marks) return 0;
  p->earlier = (struct anchor_places){.env = doc->env};
  p->is_earlier = t->sequence.walks && !doc->graph.open.builds_on_all;
  int error = p->is_earlier ? find_earlier(p) : 0;
  p->size = p->entities - (p->is_earlier ? (uint32_t)p->earlier.count : t->text.anchors);
  return error;
}

void places_end(struct places *p) {
  if (p->earlier.list) ENV_FREE_ARRAY(p->earlier.env, p->earlier.list, p->earlier.cap);
  p->earlier.list = NULL;
}

uint32_t places_entity(const struct places *p, uint32_t character) {
  if (character >= p->size) return p->entities;
  if (!p->is_earlier) return text_entity(&p->text->as.text->text, character);
  for (size_t i = 0; i < p->earlier.count && p->earlier.list[i].at <= character; i++) character++;
  return character;
}

uint32_t places_behind(const struct places *p, uint32_t character) {
  return character ? places_entity(p, character - 1) + 1 : 0;
}

/* Whether what belongs to the character before it stands at `at`. */
static bool is_closing(const struct places *p, uint32_t at) {
  struct rope_anchor anchor;
  if (!p->is_earlier) return text_anchor_at(&p->text->as.text->text, at, &anchor) && !anchor.is_opening;
  for (size_t i = 0; i < p->earlier.count; i++)
    if (p->earlier.list[i].at == at) return !p->earlier.list[i].anchor.is_opening;
  return false;
}

uint32_t places_gap(const struct places *p, uint32_t character) {
  if (!p->has_marks) return character;
  uint32_t at = places_behind(p, character);
  while (is_closing(p, at)) at++;
  return at;
}

static int anchors_between(const struct places *p, uint32_t from, uint32_t to, struct anchor_places *out) {
  if (!p->is_earlier) return text_each_anchor(&p->text->as.text->text, from, to, note, out);
  int error = 0;
  for (size_t i = 0; !error && i < p->earlier.count; i++) {
    const struct anchor_place *a = &p->earlier.list[i];
    if (a->at >= from && a->at < to) error = note(out, a->at, a->anchor);
  }
  return error;
}

/* Those whose mark has its other end among them too go with what lies between. */
static void find_going(struct anchor_places *anchors) {
  qsort(anchors->list, anchors->count, sizeof *anchors->list, by_lv);
  for (size_t i = 0; i + 1 < anchors->count; i++) {
    struct anchor_place *start = &anchors->list[i], *end = start + 1;
    if (start->anchor.is_end || !end->anchor.is_end || end->anchor.lv != start->anchor.lv + 1) continue;
    start->goes = end->goes = true;
  }
  qsort(anchors->list, anchors->count, sizeof *anchors->list, by_place);
}

int places_each_gone(const struct places *p, uint32_t from, uint32_t to,
                     int (*each)(void *ctx, uint32_t at, uint32_t len), void *ctx) {
  if (!p->has_marks) return each(ctx, from, to - from);
  struct anchor_places anchors = {.env = p->doc->env};
  uint32_t start = places_behind(p, from), end = places_entity(p, to), kept = 0;
  int error = anchors_between(p, start, end, &anchors);
  if (!error && anchors.count) find_going(&anchors);
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
