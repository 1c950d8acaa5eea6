/* The marks of texts in the compact form: written, read, and held against the history. */
#include <stdlib.h>
#include <string.h>

#include "crdt/docfile.h"

/* ---- Writing ------------------------------------------------------------------------------------------------ */

struct anchors_out {
  const dunlin_doc *doc;
  struct buf *out;
  uint32_t count, at; /* how many there are so far; how many characters before the last */
};

static int put_anchor(void *ctx, uint32_t at, struct rope_anchor anchor) {
  struct anchors_out *a = ctx;
  uint8_t kind = anchor.is_end ? (anchor.is_opening ? OP_MARK_END_GROWS : OP_MARK_END)
                               : (anchor.is_opening ? OP_MARK_START : OP_MARK_START_GROWS);
  mp_write_uint(a->out, at - a->count - a->at);
  mp_write_uint(a->out, a->doc->graph.lvs - 1 - anchor.lv);
  mp_write_uint(a->out, kind);
  a->at = at - a->count++;
  return 0;
}

int docfile_write_marks(dunlin_doc *doc, const struct container *c, struct buf *out) {
  const struct text *text = &c->as.text->text;
  struct anchors_out anchors = {.doc = doc, .out = out};
  struct mark_list marks = {0};
  if (!text->anchors) return 0;
  int error = marks_collect(doc, c, &marks);
  const struct mark **order = error ? NULL : env_calloc(doc->env, marks.count, sizeof *order);
  if (!error && !order) error = DUNLIN_ENOMEM;
  mp_write_array(out, 3 * (size_t)text->anchors);
  if (!error) error = text_each_anchor(text, 0, text->size, put_anchor, &anchors);
  for (size_t i = 0; order && i < marks.count; i++) order[marks.list[i].rank] = &marks.list[i];
  for (size_t i = 0; order && i < marks.count; i++) {
    mp_write_uint(out, text_anchors_before(text, order[i]->start));
    mp_write_str(out, order[i]->key.data, order[i]->key.len);
    value_write(out, &order[i]->value);
  }
  ENV_FREE_ARRAY(doc->env, order, marks.count);
  mark_list_free(&marks, doc->env);
  return error;
}

/* ---- Reading ------------------------------------------------------------------------------------------------ */

static int read_anchors(dunlin_doc *doc, struct marks *m, struct mp_reader *r) {
  struct column_in in = docfile_column(r);
  uint32_t lvs = doc->file->lvs, at = 0;
  if (!in.count || in.count % 3) mp_fail(r);
  if (r->error || ENV_GROW(doc->env, m->anchors, m->anchor_cap, in.count / 3))
    return r->error ? r->error : DUNLIN_ENOMEM;
  while (in.count) {
    at += docfile_take(&in, r, (uint64_t)lvs - at + 1);
    uint32_t lv = lvs - 1 - docfile_take(&in, r, lvs);
    uint8_t kind = (uint8_t)docfile_take(&in, r, 128);
    if (!op_is_anchor(kind)) mp_fail(r);
    if (r->error) return r->error;
    m->anchors[m->anchor_count] = (struct mark_anchor){at + (uint32_t)m->anchor_count, lv, kind};
    m->anchor_count++;
  }
  return 0;
}

static int copy_bytes(const struct dunlin_env *env, struct dunlin_bytes *s) {
  void *copy = env_alloc(env, s->len);
  if (!copy) return DUNLIN_ENOMEM;
  if (s->len) memcpy(copy, s->data, s->len);
  s->data = copy;
  return 0;
}

static int read_mark(dunlin_doc *doc, struct marks *m, struct mp_reader *r) {
  size_t start = (size_t)mp_read_uint(r, m->anchor_count - 1);
  struct mark_saved saved = {.rank = (uint32_t)m->saved_count, .key = mp_read_str(r, DUNLIN_MAX_KEY)};
  saved.value = value_read(r);
  if (r->error || !op_starts_mark(m->anchors[start].kind)) return DUNLIN_EFORMAT;
  saved.lv = m->anchors[start].lv;
  if (copy_bytes(doc->env, &saved.key)) return DUNLIN_ENOMEM;
  bool own = saved.value.kind == DUNLIN_STRING || saved.value.kind == DUNLIN_BYTES;
  if (own && copy_bytes(doc->env, &saved.value.as.string)) {
    env_free(doc->env, (void *)(uintptr_t)saved.key.data, saved.key.len);
    return DUNLIN_ENOMEM;
  }
  m->saved[m->saved_count++] = saved;
  return 0;
}

static int anchors_by_lv(const void *a, const void *b) {
  const struct mark_anchor *x = a, *y = b;
  return (x->lv > y->lv) - (x->lv < y->lv);
}

static int saved_by_lv(const void *a, const void *b) {
  const struct mark_saved *x = a, *y = b;
  return (x->lv > y->lv) - (x->lv < y->lv);
}

static bool is_pair(const struct mark_anchor *a) {
  return op_starts_mark(a->kind) && op_ends_mark(a[1].kind) && a[1].lv == a->lv + 1;
}

/* The marks stand in winner order: those whose both anchors are there, each once. */
static int read_list(dunlin_doc *doc, struct marks *m, struct mp_reader *r) {
  size_t pairs = 0, matched = 0;
  struct mark_anchor *sorted = env_alloc(doc->env, m->anchor_count * sizeof *sorted);
  if (!sorted) return DUNLIN_ENOMEM;
  memcpy(sorted, m->anchors, m->anchor_count * sizeof *sorted);
  qsort(sorted, m->anchor_count, sizeof *sorted, anchors_by_lv);
  for (size_t i = 0; i + 1 < m->anchor_count; i++) {
    if (sorted[i].lv == sorted[i + 1].lv) mp_fail(r);
    if (!is_pair(&sorted[i])) continue;
    if (sorted[i].at > sorted[i + 1].at) mp_fail(r);
    pairs++;
  }
  int error = r->error ? r->error : ENV_GROW(doc->env, m->saved, m->saved_cap, pairs) ? DUNLIN_ENOMEM : 0;
  while (!error && m->saved_count < pairs) error = read_mark(doc, m, r);
  if (!error && pairs) qsort(m->saved, pairs, sizeof *m->saved, saved_by_lv);
  for (size_t i = 0; !error && i + 1 < m->anchor_count; i++)
    if (is_pair(&sorted[i]) && m->saved[matched++].lv != sorted[i].lv) error = DUNLIN_EFORMAT;
  env_free(doc->env, sorted, m->anchor_count * sizeof *sorted);
  return error;
}

int docfile_read_marks(dunlin_doc *doc, struct marks *m, struct mp_reader *r) {
  if (mp_peek(r) != MP_ARRAY) return 0;
  int error = read_anchors(doc, m, r);
  return error ? error : read_list(doc, m, r);
}

/* The bytes of the rope: the text's with the anchors between. */
int docfile_load_text(const struct marks *m, struct rope *rope, const uint8_t *utf8, size_t bytes, uint32_t scalars) {
  size_t all = bytes + ROPE_ANCHOR_BYTES * m->anchor_count, done = 0;
  uint8_t *joined = env_alloc(rope->env, all), *to = joined;
  if (!joined) return DUNLIN_ENOMEM;
  for (size_t i = 0; i < m->anchor_count; i++) {
    const struct mark_anchor *a = &m->anchors[i], *before = i ? a - 1 : NULL;
    size_t n = utf8_skip(utf8 + done, a->at - (before ? before->at + 1 : 0));
    memcpy(to, utf8 + done, n);
    done += n;
    rope_anchor_put(to + n, anchor_of(a->kind, a->lv));
    to += n + ROPE_ANCHOR_BYTES;
  }
  memcpy(to, utf8 + done, bytes - done);
  int error = rope_load(rope, joined, all, scalars + m->anchor_count);
  env_free(rope->env, joined, all);
  return error;
}

/* ---- Whether state and history agree ------------------------------------------------------------------------ */

bool docfile_marks_pair(const struct graph *graph, const struct oplog *log) {
  for (size_t i = 0; i < log->count; i++) {
    const struct op_run *run = &log->runs[i], *next = run + 1;
    if (op_ends_mark(run->kind) && (!i || !op_starts_mark(run[-1].kind))) return false;
    if (!op_starts_mark(run->kind)) continue;
    if (i + 1 == log->count || !op_ends_mark(next->kind) || next->lv != run->lv + 1 || next->a <= run->a) return false;
    if (graph_change_at(graph, run->lv) != graph_change_at(graph, next->lv)) return false;
  }
  return true;
}

bool docfile_mark_is(const struct marks *m, uint32_t i, uint32_t characters, const struct op_run *run) {
  if (i >= m->anchor_count) return false;
  const struct mark_anchor *a = &m->anchors[i];
  return a->at == characters + i && a->lv == run->lv && a->kind == run->kind;
}

int docfile_marks_agree(const struct marks *m, const struct graph *graph, const struct oplog *log,
                        const struct column *values) {
  for (size_t i = 0; i < m->saved_count; i++) {
    const struct mark_saved *saved = &m->saved[i];
    const struct op_run *run = &log->runs[oplog_from(log, saved->lv)]; /* it is there: its anchors are */
    struct mp_reader r = mp_reader_of(column_at(values, run->at), column_end(values) - run->at);
    struct dunlin_bytes key = mp_read_str(&r, DUNLIN_MAX_KEY);
    struct dunlin_value value = value_read(&r);
    if (key.len != saved->key.len || (key.len && memcmp(key.data, saved->key.data, key.len))) return DUNLIN_ECORRUPT;
    if (!value_same(&value, &saved->value)) return DUNLIN_ECORRUPT;
  }
  return m->saved_count ? marks_ranked(m, graph) : 0;
}
