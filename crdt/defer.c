/* Texts and lists that lag behind: what comes from others, concurrent to what is there, is judged and logged at once, but walked
 * in only when somebody looks, all of it in one go and branch by branch.  A hundred authors whose changes come in turns would
 * otherwise have the walker leave one long branch and enter another at each change.
 *
 * To judge a change it is enough to know how many items there are at its version.  That is known for the *tips*, the versions that
 * changes of late have led to; a change on any other version has everything walked in first. */
#include "crdt/docfile.h"

enum { TIPS = 256 };

/* ---- Walking in --------------------------------------------------------------------------------------------- */

static int insert(void *ctx, uint32_t pos, const struct op_run *run, uint32_t skipped, uint32_t len) {
  struct text_ctx *t = ctx;
  uint32_t at = history_text_at(t->doc, run->at, skipped), end = history_text_at(t->doc, at, len);
  return text_insert(t->text, &t->doc->text, pos, len, at, end - at);
}

static int erase(void *ctx, uint32_t pos, uint32_t len) {
  struct text_ctx *t = ctx;
  return text_erase(t->text, &t->doc->text, pos, len);
}

const struct walker_sink text_sink = {NULL, insert, erase, NULL, NULL};

/* An error in the middle leaves a text that has to be made again. */
static int text_walk_in(dunlin_doc *doc, struct container *c) {
  struct text_state *t = &c->as.text;
  struct text_ctx ctx = {doc, &t->text};
  struct walker_sink sink = text_sink;
  sink.ctx = &ctx;
  t->lost = true;
  int error = walker_replay(&t->sequence.walker, doc->graph.lvs, &sink);
  if (!error) error = doc->names.error;
  t->lost = error != 0;
  return error;
}

static int walk_in(dunlin_doc *doc, struct container *c, struct sequence *s) {
  struct walker *w = &s->walker;
  const struct graph *g = &doc->graph;
  uint32_t base = graph_critical_before(g, s->shown < c->void_from ? s->shown : c->void_from);
  bool keep = w->is_live && w->to >= base && w->to <= s->shown && graph_critical_before(g, w->base) == w->base;
  int before = doc->names.error;
  doc->names.error = 0; /* the order of two changes may hang on their ids, and to find these out may fail */
  int error = keep ? 0 : walker_start(w, base);
  if (!error) error = walker_replay(w, s->shown, NULL);
  if (!error) error = doc->names.error;
  if (!error) error = c->kind == DUNLIN_LIST ? list_walk_in(doc, c) : text_walk_in(doc, c);
  if (error) walker_stop(w);
  doc->names.error = before;
  return error;
}

bool sequence_waits(const struct sequence *s, const struct oplog *log) {
  return log->count && log->runs[log->count - 1].lv + log->runs[log->count - 1].len > s->shown;
}

int container_show(dunlin_doc *doc, uint32_t container) {
  struct container *c = doc->containers[container];
  struct sequence *s = sequence_of(c);
  bool lost = c->kind == DUNLIN_TEXT && c->as.text.lost;
  if (!s || (!lost && !sequence_waits(s, &c->log))) return 0;
  if (doc->open.is_open && c->touched == doc->open.stamp)
    return 0; /* all was brought in before; what is new is its own */
  int error = lost ? docfile_load(doc) : walk_in(doc, c, s);
  lost = c->kind == DUNLIN_TEXT && c->as.text.lost;
  if (!error && lost) error = text_rebuild(doc, container);
  if (error && lost && doc->file) doc->file->wanted = true; /* before the next change */
  if (!error) s->shown = doc->graph.lvs;
  return error;
}

/* ---- Tips --------------------------------------------------------------------------------------------------- */

bool size_known(const dunlin_doc *doc, const struct sequence *s, uint32_t *size) {
  if (doc->graph.open.parent_count != 1) return false;
  for (size_t i = s->tip_count; i-- > 0;) {
    if (s->tips[i].lv != doc->graph.open.parents[0]) continue;
    *size = s->tips[i].size;
    return true;
  }
  return false;
}

int tip_reserve(dunlin_doc *doc, struct sequence *s) {
  return s->tip_count < TIPS ? ENV_GROW(doc->env, s->tips, s->tip_cap, s->tip_count + 1) : 0;
}

void tip_note(dunlin_doc *doc, struct sequence *s, uint32_t size) {
  const struct graph *g = &doc->graph;
  size_t at = s->tip_count;
  while (g->open.parent_count == 1 && at && s->tips[at - 1].lv != g->open.parents[0]) at--;
  if (g->open.parent_count == 1 && at) {
    s->tips[at - 1] = s->tips[s->tip_count - 1]; /* the tip moves on, and to the end, where it is found next time */
  } else if (s->tip_count == TIPS) {
    for (size_t i = 1; i < TIPS; i++) s->tips[i - 1] = s->tips[i]; /* the one that has not moved for longest goes */
  } else {
    s->tip_count++;
  }
  s->tips[s->tip_count - 1] = (struct tip){g->lvs - 1, size};
}
