/* Texts and lists that lag behind: what comes from others, concurrent to what is there, is judged and logged at once,
 * but walked in only when somebody looks, all of it in one go and branch by branch.  A hundred authors whose changes
 * come in turns would otherwise have the walker leave one long branch and enter another at each change.
 *
 * To judge a change it is enough to know how many items there are at its version.  That is known for the *tips*, the
 * versions that changes of late have led to; a change on any other version has everything walked in first. */
#include "crdt/docfile.h"

enum { TIPS = 256 };

/* ---- Walking in --------------------------------------------------------------------------------------------- */

static int insert(void *ctx, uint32_t pos, const struct op_run *run, uint32_t skipped, uint32_t len) {
  struct text_ctx *t = ctx;
  if (run->kind != OP_TEXT_INSERT) return text_anchor(t->text, &t->doc->text, pos, anchor_of(run->kind, run->lv));
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
  struct text_state *t = c->as.text;
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
  bool lost = c->kind == DUNLIN_TEXT && c->as.text->lost;
  if (!s || (!lost && !sequence_waits(s, &c->log))) return 0;
  if (doc->open.is_open && c->touched == doc->open.stamp)
    return 0; /* all was brought in before; what is new is its own */
  int error = lost ? docfile_load(doc) : walk_in(doc, c, s);
  lost = c->kind == DUNLIN_TEXT && c->as.text->lost;
  if (!error && lost) error = text_rebuild(doc, container);
  if (error && lost && doc->file) doc->file->wanted = true; /* before the next change */
  if (!error) s->shown = doc->graph.lvs;
  return error;
}

/* ---- Tips --------------------------------------------------------------------------------------------------- */

static size_t tip_at(const struct sequence *s, uint32_t lv) {
  for (size_t i = s->tip_count; i-- > 0;)
    if (s->tips[i].lv == lv) return i;
  return s->tip_count;
}

/* The last operation; LV_NONE. */
static inline uint32_t newest_operation(const struct oplog *log) {
  const struct op_run *last = log->count ? &log->runs[log->count - 1] : NULL;
  return last ? last->lv + last->len - 1 : LV_NONE;
}

/* The last operation at or before `lv`; LV_NONE. */
static uint32_t last_operation(const struct oplog *log, uint32_t lv) {
  size_t i = oplog_from(log, lv);
  if (i < log->count && log->runs[i].lv <= lv) return lv;
  return i ? log->runs[i - 1].lv + log->runs[i - 1].len - 1 : LV_NONE;
}

/* What comes before a version may have been about something else: that of the last change in its past that was about
 * this text or list, when from there on each change builds on just the one before. */
bool tip_find(const dunlin_doc *doc, struct container *c) {
  enum { most = 1024 }; /* runs of the graph */
  struct sequence *s = sequence_of(c);
  const struct graph *g = &doc->graph;
  s->tip = s->tip_count;
  if (g->open.parent_count != 1 || !s->tip_count) return false;
  uint32_t lv = g->open.parents[0], last = newest_operation(&c->log);
  if (s->tips[s->tip_count - 1].lv == lv) { /* somebody goes on */
    s->tip = s->tip_count - 1;
    return true;
  }
  bool all_seen = g->open.builds_on_all || last == LV_NONE || last < g->open.critical;
  s->tip = tip_at(s, lv);
  for (int left = all_seen ? 1 : most; left && s->tip == s->tip_count; left--) {
    const struct graph_run *run = &g->runs[graph_run_at(g, lv)];
    last = last_operation(&c->log, lv);
    if (last != LV_NONE && last >= run->lv) {
      s->tip = tip_at(s, graph_start(g, graph_change_at(g, last) + 1) - 1);
      break;
    }
    if (run->parent_count != 1) break;
    lv = g->parents[run->parents];
  }
  return s->tip < s->tip_count;
}

bool tip_behind(const struct container *c, const struct sequence *s) {
  return s->tips[s->tip].behind || newest_operation(&c->log) > s->tips[s->tip].lv;
}

int tip_reserve(dunlin_doc *doc, struct sequence *s) {
  return s->tip_count < TIPS ? ENV_GROW(doc->env, s->tips, s->tip_cap, s->tip_count + 1) : 0;
}

void tip_note(const dunlin_doc *doc, struct container *c, uint32_t size) {
  struct sequence *s = sequence_of(c);
  uint32_t last = newest_operation(&c->log);
  if (last == LV_NONE || last < doc->open.lv) return; /* it was only looked at */
  struct tip tip = {doc->graph.lvs - 1, size & LV_LIMIT, s->behind};
  if (s->tip + 1 == s->tip_count) {
    s->tips[s->tip] = tip;
    return;
  }
  if (s->tip < s->tip_count) {
    s->tips[s->tip] = s->tips[s->tip_count - 1]; /* the tip moves on, and to the end, where it is found next time */
  } else if (s->tip_count == TIPS) {
    for (size_t i = 1; i < TIPS; i++) s->tips[i - 1] = s->tips[i]; /* the one that has not moved for longest goes */
  } else {
    s->tip_count++;
  }
  s->tips[s->tip_count - 1] = tip;
}
