/* Inserted text in the compact form: what shows is written once, as the text, and where it came from follows from
 * replaying the operations; all else stands in `gone`, in the order of the operations. */
#include "crdt/docfile.h"

static bool is_placed(const struct container *c, const struct op_run *run) {
  return c->kind == DUNLIN_TEXT && !run->idle;
}

/* ---- Writing ------------------------------------------------------------------------------------------------ */

/* The characters of a run from `from` to `to` - 1. */
static void append_characters(dunlin_doc *doc, const struct op_run *run, uint32_t from, uint32_t to, struct buf *out) {
  if (from >= to) return;
  uint32_t at = history_text_at(doc, run->at, from), end = history_text_at(doc, at, to - from);
  buf_append(out, column_at(&doc->text, at), end - at);
}

/* What of a run does not show. */
static void append_gone(dunlin_doc *doc, const struct op_run *run, struct docfile_text *text, struct buf *out) {
  const struct survivors *s = &text->shown;
  uint32_t done = 0, from = run->ord;
  for (; text->next < s->count && s->list[text->next].ord < from + run->len; text->next++) {
    const struct survivor *shown = &s->list[text->next];
    uint32_t end = shown->ord + shown->len - from;
    if (shown->ord > from + done) append_characters(doc, run, done, shown->ord - from, out);
    done = end < run->len ? end : run->len;
    if (end > run->len) break; /* it goes on in the next run */
  }
  append_characters(doc, run, done, run->len, out);
}

static int write_all(dunlin_doc *doc, struct docfile_text *texts, struct buf *out) {
  for (size_t o = 0; o < doc->owner_count; o++) {
    uint32_t container = doc->owners[o].container;
    const struct container *c = doc->containers[container];
    uint32_t from = doc->owners[o].lv, to = o + 1 < doc->owner_count ? doc->owners[o + 1].lv : doc->graph.lvs;
    for (size_t i = oplog_from(&c->log, from); i < c->log.count && c->log.runs[i].lv < to; i++) {
      const struct op_run *run = &c->log.runs[i];
      if (!(run->kind & OP_TEXT)) continue;
      if (is_placed(c, run)) append_gone(doc, run, &texts[container], out);
      else append_characters(doc, run, 0, run->len, out);
    }
  }
  return out->error;
}

int docfile_write_gone(dunlin_doc *doc, struct buf *out) {
  struct docfile_text *texts = env_calloc(doc->env, doc->container_count, sizeof *texts);
  int error = texts ? 0 : DUNLIN_ENOMEM;
  for (size_t i = 0; !error && i < doc->container_count; i++) {
    const struct container *c = doc->containers[i];
    if (c->kind != DUNLIN_TEXT) continue;
    struct survivors_of of = {.graph = &doc->graph, .log = &c->log, .voids = &doc->voids, .to = doc->graph.lvs};
    error = survivors_find(&texts[i].shown, &of);
  }
  if (!error) error = write_all(doc, texts, out);
  for (size_t i = 0; texts && i < doc->container_count; i++) survivors_free(&texts[i].shown, doc->env);
  ENV_FREE_ARRAY(doc->env, texts, doc->container_count);
  return error;
}

/* ---- Reading ------------------------------------------------------------------------------------------------ */

struct placing {
  struct docfile_texts *in;
  const struct marks *marks;
  const struct oplog *log;
  uint32_t characters, anchors, left; /* how many have been found; how many characters are left */
};

static int place(void *ctx, uint32_t ord, uint32_t len, uint32_t *at) {
  struct placing *p = ctx;
  const struct op_run *run = &p->log->runs[oplog_by_ord(p->log, ord)];
  if (op_is_anchor(run->kind)) return docfile_mark_is(p->marks, p->anchors++, p->characters, run) ? 0 : DUNLIN_EFORMAT;
  if (len > p->left) return DUNLIN_EFORMAT;
  *at = (uint32_t)p->in->shown_at;
  p->in->shown_at += utf8_skip(p->in->shown + p->in->shown_at, len);
  p->characters += len;
  p->left -= len;
  return 0;
}

int docfile_place_text(struct docfile_texts *in, struct docfile_text *text, const struct container *c,
                       const struct graph *graph, const struct oplog *log, const struct lv_ranges *voids,
                       uint32_t shown) {
  const struct marks *m = &c->as.text->marks;
  struct placing p = {.in = in, .marks = m, .log = log, .left = shown};
  struct survivors_of of = {graph, log, voids, .to = graph->lvs, .ctx = &p, .see = place};
  int error = survivors_find(&text->shown, &of);
  return error ? error : p.left || p.anchors != m->anchor_count ? DUNLIN_EFORMAT : 0;
}

static void take(const uint8_t *from, size_t bytes, uint32_t scalars, struct buf *out, bool *wide) {
  *wide |= bytes != scalars;
  buf_append(out, from, bytes);
}

static int take_gone(struct docfile_texts *in, uint32_t scalars, struct buf *out, bool *wide) {
  if (!scalars) return 0;
  if (scalars > in->gone_left) return DUNLIN_EFORMAT;
  size_t bytes = utf8_skip(in->gone, scalars);
  take(in->gone, bytes, scalars, out, wide);
  in->gone += bytes;
  in->gone_left -= scalars;
  return out->error;
}

int docfile_take_text(struct docfile_texts *in, struct docfile_text *text, const struct op_run *run, struct buf *out,
                      bool *wide) {
  struct survivors *s = &text->shown;
  uint32_t ord = run->ord, end = ord + run->len;
  int error = 0;
  if (run->idle) return take_gone(in, run->len, out, wide);
  for (; !error && ord < end && text->next < s->count && s->list[text->next].ord < end;) {
    struct survivor *shown = &s->list[text->next];
    error = take_gone(in, shown->ord - ord, out, wide);
    uint32_t len = shown->len < end - shown->ord ? shown->len : end - shown->ord;
    size_t bytes = utf8_skip(in->shown + shown->at, len);
    take(in->shown + shown->at, bytes, len, out, wide);
    ord = shown->ord + len;
    shown->at += (uint32_t)bytes;
    shown->ord += len;
    shown->len -= len;
    if (!shown->len) text->next++;
  }
  if (!error) error = take_gone(in, end - ord, out, wide);
  return error ? error : out->error;
}
