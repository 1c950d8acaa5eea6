/* Texts that lag behind: what comes from others, concurrent to what is there, is judged and logged at once, but walked into the
 * text only when somebody looks, all of it in one go and branch by branch.  A hundred authors whose changes come in turns would
 * otherwise have the walker leave one long branch and enter another at each change.
 *
 * To judge a change it is enough to know how long the text is at its version.  That is known for the *tips*, the versions that
 * changes of late have led to; a change on any other version has everything walked in first. */
#include "crdt/docfile.h"

enum { TIPS = 256 };

bool text_waits(const struct container *c) {
  const struct oplog *log = &c->log;
  return log->count && log->runs[log->count - 1].lv + log->runs[log->count - 1].len > c->as.text.shown;
}

static int insert(void *ctx, uint32_t pos, const struct op_run *run, uint32_t skipped, uint32_t len) {
  struct text_ctx *t = ctx;
  uint32_t at = history_text_at(t->doc, run->at, skipped), end = history_text_at(t->doc, at, len);
  return text_insert(t->text, &t->doc->text, pos, len, at, end - at);
}

static int erase(void *ctx, uint32_t pos, uint32_t len) {
  struct text_ctx *t = ctx;
  return text_erase(t->text, &t->doc->text, pos, len);
}

const struct walker_sink text_sink = {NULL, insert, erase};

/* Walks in what waits.  An error in the middle leaves a text that has to be made again. */
static int walk_in(dunlin_doc *doc, struct container *c) {
  struct text_state *t = &c->as.text;
  struct walker *w = &t->walker;
  const struct graph *g = &doc->graph;
  struct text_ctx ctx = {doc, &t->text};
  struct walker_sink sink = text_sink;
  uint32_t base = graph_critical_before(g, t->shown < c->void_from ? t->shown : c->void_from);
  bool keep = w->is_live && w->to >= base && w->to <= t->shown && graph_critical_before(g, w->base) == w->base;
  sink.ctx = &ctx;
  int error = keep ? 0 : walker_start(w, base);
  if (!error) error = walker_replay(w, t->shown, NULL);
  if (error) return error;
  t->lost = true;
  error = walker_replay(w, g->lvs, &sink);
  if (!error) t->lost = false;
  return error;
}

int text_show(dunlin_doc *doc, uint32_t container) {
  struct container *c = doc->containers[container];
  if (c->kind != DUNLIN_TEXT || (!c->as.text.lost && !text_waits(c))) return 0;
  if (doc->open.is_open && c->touched == doc->open.stamp)
    return 0; /* all was brought in before; what is new is its own */
  int error = c->as.text.lost ? docfile_load(doc) : walk_in(doc, c);
  if (!error && c->as.text.lost) error = text_rebuild(doc, container);
  if (c->as.text.lost && doc->file) doc->file->wanted = true; /* before the next change */
  if (!error) c->as.text.shown = doc->graph.lvs;
  if (!error) c->as.text.lost = false;
  return error;
}

/* ---- Tips --------------------------------------------------------------------------------------------------- */

bool text_size_known(const dunlin_doc *doc, const struct container *c, uint32_t *size) {
  const struct text_state *t = &c->as.text;
  if (doc->graph.open.parent_count != 1) return false;
  for (size_t i = t->tip_count; i-- > 0;) {
    if (t->tips[i].lv != doc->graph.open.parents[0]) continue;
    *size = t->tips[i].size;
    return true;
  }
  return false;
}

int text_tip_reserve(dunlin_doc *doc, struct container *c) {
  struct text_state *t = &c->as.text;
  return t->tip_count < TIPS ? ENV_GROW(doc->env, t->tips, t->tip_cap, t->tip_count + 1) : 0;
}

void text_tip(dunlin_doc *doc, struct container *c, uint32_t size) {
  struct text_state *t = &c->as.text;
  const struct graph *g = &doc->graph;
  size_t at = t->tip_count;
  while (g->open.parent_count == 1 && at && t->tips[at - 1].lv != g->open.parents[0]) at--;
  if (g->open.parent_count == 1 && at) {
    t->tips[at - 1] = t->tips[t->tip_count - 1]; /* the tip moves on, and to the end, where it is found next time */
  } else if (t->tip_count == TIPS) {
    for (size_t i = 1; i < TIPS; i++) t->tips[i - 1] = t->tips[i]; /* the one that has not moved for longest goes */
  } else {
    t->tip_count++;
  }
  t->tips[t->tip_count - 1] = (struct text_tip){g->lvs - 1, size};
}
