/* The change that comes most often: one stretch of text typed or deleted by whoever made the last change, right after it.  It is
 * what take_change() would make of it, without opening a change that might have to be taken back: all that can fail comes first. */
#include <string.h>

#include "crdt/docfile.h"

/* Whether the change has this form and builds on the last one. */
static bool is_next(dunlin_doc *doc, const struct change *change, const struct dunlin_actor *author) {
  const struct graph *g = &doc->graph;
  if (change->actor || change->parent_count != 1 || change->row_count != 1 || change->container_count != 1 ||
      doc->void_count || doc->watch || !graph_goes_on(g, change->number) || change->length > LV_LIMIT - g->lvs)
    return false;
  if (doc->file && (doc->file->wanted || g->lvs <= doc->file->lvs)) return false;
  const struct graph_run *run = &g->runs[g->run_count - 1];
  if (author && actor_compare(author, &g->actors[run->actor].name)) return false;
  const struct dunlin_id *last = names_last(&doc->names, g->changes);
  return last && !memcmp(last->bytes, change->parents, sizeof last->bytes);
}

/* The text that the last change wrote to, when it is the one that this change names, and its length is at hand; NULL. */
static struct container *text_of(const dunlin_doc *doc, const struct change *change) {
  struct container *c = doc->containers[doc->owners[doc->owner_count - 1].container];
  if (c->kind != DUNLIN_TEXT || c->unknown.count || c->void_from != LV_NONE ||
      memcmp(c->id.bytes, change->containers->bytes, sizeof c->id.bytes))
    return NULL;
  const struct sequence *s = &c->as.text.sequence;
  return s->tip_count && s->tips[s->tip_count - 1].lv + 1 == doc->graph.lvs ? c : NULL;
}

/* Brings the edit into the text, which has everything before it; else the text is as it was. */
static int edit_text(const dunlin_doc *doc, struct text *text, const struct change_row *row, uint32_t at,
                     uint32_t bytes) {
  text_open(text);
  int error = row->kind == OP_DELETE ? text_erase(text, &doc->text, row->a, row->len)
                                     : text_insert(text, &doc->text, row->a, row->len, at, bytes);
  if (error) text_revert(text, &doc->text);
  else text_settle(text);
  return error;
}

/* Whether there is memory for all of it.  The text's bytes are in their column then. */
static bool has_room(dunlin_doc *doc, struct container *c, const struct change *change) {
  uint32_t end = column_end(&doc->text);
  if (graph_reserve_next(&doc->graph) || names_reserve_one(doc)) return false;
  if (ENV_GROW(doc->env, c->log.runs, c->log.cap, c->log.count + 1)) return false;
  buf_append(&doc->text.buf, change->text.data, change->text.len);
  if (!doc->text.buf.error) return true;
  column_truncate(&doc->text, end);
  return false;
}

bool take_next(dunlin_doc *doc, const struct change *change, const struct dunlin_id *id,
               const struct dunlin_actor *author) {
  struct graph *g = &doc->graph;
  struct container *c = is_next(doc, change, author) ? text_of(doc, change) : NULL;
  if (!c) return false;
  struct change_row row = change->first;
  struct text_state *t = &c->as.text;
  struct sequence *s = &t->sequence;
  uint32_t size = s->tips[s->tip_count - 1].size, at = column_end(&doc->text);
  bool deletes = row.kind == OP_DELETE, waits = sequence_waits(s, &c->log);
  if ((!deletes && row.kind != OP_TEXT_INSERT) || row.a > size || (deletes && row.len > size - row.a) ||
      row.len > LV_LIMIT / 4 - size)
    return false;
  if (!waits && (g->head_count > 1 || t->lost || s->shown != g->lvs)) return false;
  if (!has_room(doc, c, change)) return false;
  if (!waits && edit_text(doc, &t->text, &row, at, (uint32_t)change->text.len)) {
    column_truncate(&doc->text, at);
    return false;
  }
  struct oplog_row logged = {row.kind, false, g->lvs, row.a, row.len, at};
  (void)oplog_push(&c->log, doc->env, &logged); /* there is room */
  doc->text_wide |= change->scalars != change->text.len;
  graph_settle_next(g, row.len, change->time);
  names_add(doc, id);
  struct tip *tip = &s->tips[s->tip_count - 1];
  tip->lv = g->lvs - 1;
  tip->size = (deletes ? size - row.len : size + row.len) & LV_LIMIT;
  if (waits) return true;
  s->shown = g->lvs;
  settle_walker(doc, &s->walker, false);
  return true;
}
