/* The state of a text from its history alone. */
#include "crdt/docfile.h"

struct rebuild {
  dunlin_doc *doc;
  struct container *container;
  struct text text;
  size_t op; /* the run of the log up to which it is made */
};

static int insert(void *ctx, uint32_t pos, const struct op_run *run, uint32_t skipped, uint32_t len) {
  struct rebuild *r = ctx;
  if (run->kind != OP_TEXT_INSERT) return text_anchor(&r->text, &r->doc->text, pos, anchor_of(run->kind, run->lv));
  uint32_t at = history_text_at(r->doc, run->at, skipped), end = history_text_at(r->doc, at, len);
  return text_insert(&r->text, &r->doc->text, pos, len, at, end - at);
}

static int erase(void *ctx, uint32_t pos, uint32_t len) {
  struct rebuild *r = ctx;
  return text_erase(&r->text, &r->doc->text, pos, len);
}

/* Operations that each build on the one before go straight into the text. */
static int take_sequential(struct rebuild *r, uint32_t from, uint32_t to) {
  const struct oplog *log = &r->container->log;
  int error = 0;
  r->op = oplog_near(log, from, r->op);
  for (size_t i = r->op; !error && i < log->count && log->runs[i].lv < to; i++) {
    const struct op_run *run = &log->runs[i];
    r->op = i;
    struct op_piece piece = op_piece(run, from, to);
    if (run->idle) continue;
    error = run->kind == OP_DELETE ? erase(r, piece.a, piece.len) : insert(r, piece.a, run, piece.skipped, piece.len);
  }
  return error;
}

static int take_concurrent(struct rebuild *r, struct walker *w, uint32_t from, uint32_t to) {
  struct walker_sink sink = {.ctx = r, .insert = insert, .erase = erase};
  r->op = oplog_near(&r->container->log, from, r->op);
  if (r->op == r->container->log.count || r->container->log.runs[r->op].lv >= to) return 0;
  int error = walker_start(w, from);
  return error ? error : walker_replay(w, to, &sink);
}

int text_from_history(dunlin_doc *doc, uint32_t container, struct text *out) {
  struct rebuild r = {.doc = doc, .container = doc->containers[container]};
  const struct graph *g = &doc->graph;
  struct walker w;
  uint32_t at = 0, stop = r.container->void_from;
  int error = 0;
  text_init(&r.text, doc->env);
  walker_init(&w, g, &r.container->log, &doc->voids, NULL);
  for (size_t i = 0; !error && i < g->critical_count && g->critical[i].from < stop; i++) {
    uint32_t to = g->critical[i].to < stop ? g->critical[i].to : stop;
    error = take_concurrent(&r, &w, at, g->critical[i].from);
    if (!error) error = take_sequential(&r, g->critical[i].from, to);
    at = to;
  }
  if (!error) error = take_concurrent(&r, &w, at, g->lvs);
  walker_free(&w);
  if (error) text_free(&r.text);
  else *out = r.text;
  return error;
}

int text_rebuild(dunlin_doc *doc, uint32_t container) {
  struct container *c = doc->containers[container];
  struct text text;
  int error = text_from_history(doc, container, &text);
  if (error) return error;
  watch_replaced(doc, c, &text);
  text_free(&c->as.text->text);
  c->as.text->text = text;
  c->as.text->sequence.shown = doc->graph.lvs;
  c->as.text->lost = false;
  walker_stop(&c->as.text->sequence.walker);
  return 0;
}

int doc_rebuild(dunlin_doc *doc) {
  int error = doc->open.is_open ? DUNLIN_ESTATE : docfile_load(doc);
  for (uint32_t i = 0; !error && i < doc->container_count; i++)
    if (doc->containers[i]->kind == DUNLIN_TEXT) error = text_rebuild(doc, i);
  return error;
}
