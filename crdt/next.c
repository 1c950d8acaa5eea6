/* The change that comes most often: one stretch of text typed or deleted, or one key of a map set, by whoever made the
 * last change, right after it.  It is what take_change() would make of it, without opening a change that might have to
 * be taken back: all that can fail comes first. */
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

/* The container that the last change wrote to, when it is the one that this change names; NULL. */
static struct container *container_again(const dunlin_doc *doc, const struct change *change) {
  struct container *c = doc->containers[doc->owners[doc->owner_count - 1].container];
  bool other = c->unknown.count || c->void_from != LV_NONE || c->provisional ||
               memcmp(c->id.bytes, change->containers->bytes, sizeof c->id.bytes);
  return other ? NULL : c;
}

/* ---- Texts -------------------------------------------------------------------------------------------------- */

/* Brings the edit into the text, which has everything before it; else the text is as it was. */
static int edit_text(const dunlin_doc *doc, struct text *text, const struct change_row *row, uint32_t at,
                     uint32_t bytes) {
  text_open(text);
  int error = row->kind == OP_DELETE ? text_erase(text, &doc->text, row->a, row->len)
                                     : text_insert(text, &doc->text, row->a, row->len, at, bytes);
  if (error) text_revert(text);
  else text_settle(text);
  return error;
}

/* Whether there is memory for all but a register; what the change brings is in its column then. */
static bool has_room(dunlin_doc *doc, struct container *c, struct column *column, const void *data, size_t len) {
  uint32_t end = column_end(column);
  if (graph_reserve_next(&doc->graph) || names_reserve_one(doc)) return false;
  if (ENV_GROW(doc->env, c->log.runs, c->log.cap, c->log.count + 1)) return false;
  buf_append(&column->buf, data, len);
  if (!column->buf.error) return true;
  column_truncate(column, end);
  return false;
}

static bool next_text(dunlin_doc *doc, const struct change *change, const struct dunlin_id *id, struct container *c,
                      struct change_row row) {
  struct graph *g = &doc->graph;
  struct text_state *t = c->as.text;
  struct sequence *s = &t->sequence;
  if (!s->tip_count || s->tips[s->tip_count - 1].lv + 1 != g->lvs) return false; /* its length is not at hand */
  uint32_t size = s->tips[s->tip_count - 1].size, at = column_end(&doc->text);
  bool deletes = row.kind == OP_DELETE, waits = sequence_waits(s, &c->log);
  if ((!deletes && row.kind != OP_TEXT_INSERT) || row.a > size || (deletes && row.len > size - row.a) ||
      row.len > LV_LIMIT / 4 - size)
    return false;
  if (!waits && (g->head_count > 1 || t->lost || s->shown != g->lvs)) return false;
  if (!has_room(doc, c, &doc->text, change->text.data, change->text.len)) return false;
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

/* ---- Maps --------------------------------------------------------------------------------------------------- */

/* What the last change had seen at or before an LV. */
struct last_saw {
  const struct graph *graph;
  uint32_t lv, seen;
};

/* Whether it is at hand which of these writes it had seen. */
static bool knows_seen(struct last_saw *by, const struct reg *reg) {
  enum { few = 64 };
  bool knows = reg->count <= few;
  for (uint32_t i = 0; knows && i < reg->count; i++) {
    by->lv = reg_at(reg, i)->lv;
    knows = graph_last_saw(by->graph, by->lv, &by->seen);
  }
  return knows;
}

static uint32_t seen_by_last(void *ctx, uint32_t lv) {
  struct last_saw *by = ctx;
  if (lv != by->lv) (void)graph_last_saw(by->graph, by->lv = lv, &by->seen); /* knows_seen() */
  return by->seen;
}

static bool next_set(dunlin_doc *doc, const struct change *change, const struct dunlin_id *id, struct container *c,
                     struct change_row row) {
  struct graph *g = &doc->graph;
  struct map *map = &c->as.map;
  struct mp_reader values = change->values;
  struct dunlin_bytes key = mp_read_str(&values, DUNLIN_MAX_KEY);
  struct reg_write write = {.lv = g->lvs, .class = row.a, .value = value_read(&values)};
  uint32_t entry = values.error ? UINT32_MAX : map_entry_of(map, key, UINT32_MAX), at = column_end(&doc->values);
  if (entry == UINT32_MAX) return false;
  struct reg *reg = &map->entries[entry].reg;
  struct last_saw by = {g, LV_NONE, LV_NONE};
  if (!knows_seen(&by, reg)) return false;
  size_t len = (size_t)(change->values_end - change->values.at);
  if (!has_room(doc, c, &doc->values, change->values.at, len)) return false;
  graph_as_next(g, change->number, id); /* to be compared with the others */
  struct reg_undo undo;
  bool was = reg->count;
  if (reg_apply_late(reg, g, &write, NULL, seen_by_last, &by, &undo)) {
    column_truncate(&doc->values, at);
    return false;
  }
  reg_undo_free(&undo, doc->env);
  map_changed(map, was, true);
  struct oplog_row logged = {row.kind, false, g->lvs, row.a, 1, at};
  (void)oplog_push(&c->log, doc->env, &logged); /* there is room */
  graph_settle_next(g, 1, change->time);
  names_add(doc, id);
  return true;
}

bool take_next(dunlin_doc *doc, const struct change *change, const struct dunlin_id *id,
               const struct dunlin_actor *author) {
  struct container *c = is_next(doc, change, author) ? container_again(doc, change) : NULL;
  if (!c) return false;
  struct change_row row = change->first;
  if (c->kind == DUNLIN_TEXT) return next_text(doc, change, id, c, row);
  return c->kind == DUNLIN_MAP && row.kind == OP_MAP_SET && next_set(doc, change, id, c, row);
}
