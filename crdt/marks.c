#include "crdt/marks.h"

#include <stdlib.h>
#include <string.h>

#include "crdt/docfile.h"

void mark_list_free(struct mark_list *list, const struct dunlin_env *env) {
  ENV_FREE_ARRAY(env, list->list, list->cap);
  *list = (struct mark_list){0};
}

static void forget_saved(struct marks *m, const struct dunlin_env *env) {
  for (size_t i = 0; i < m->saved_count; i++) {
    struct mark_saved *s = &m->saved[i];
    env_free(env, (void *)(uintptr_t)s->key.data, s->key.len);
    if (s->value.kind == DUNLIN_STRING || s->value.kind == DUNLIN_BYTES)
      env_free(env, (void *)(uintptr_t)s->value.as.string.data, s->value.as.string.len);
  }
  ENV_FREE_ARRAY(env, m->saved, m->saved_cap);
  ENV_FREE_ARRAY(env, m->anchors, m->anchor_cap);
  m->saved = NULL;
  m->anchors = NULL;
  m->saved_count = m->saved_cap = m->anchor_count = m->anchor_cap = 0;
  m->is_indexed = false; /* it borrows from there */
}

void marks_free(struct marks *m, const struct dunlin_env *env) {
  forget_saved(m, env);
  mark_list_free(&m->all, env);
  ENV_FREE_ARRAY(env, m->runs, m->run_cap);
  ENV_FREE_ARRAY(env, m->keys, m->key_cap);
  ENV_FREE_ARRAY(env, m->bounds, m->bound_cap);
  ENV_FREE_ARRAY(env, m->here, m->here_cap);
  *m = (struct marks){0};
}

void marks_found(dunlin_doc *doc, struct container *c) {
  forget_saved(&c->as.text->marks, doc->env);
  for (size_t i = 0; i < c->log.count; i++) c->as.text->has_marks |= op_is_anchor(c->log.runs[i].kind);
}

int marks_ranked(const struct marks *m, const struct graph *graph) {
  uint32_t *lvs = env_alloc(graph->env, m->saved_count * sizeof *lvs); /* by rank */
  int error = lvs ? 0 : DUNLIN_ENOMEM;
  for (size_t i = 0; lvs && i < m->saved_count; i++) lvs[m->saved[i].rank] = m->saved[i].lv;
  for (size_t i = 1; !error && i < m->saved_count; i++)
    if (!graph_wins(graph, lvs[i], lvs[i - 1])) error = DUNLIN_ECORRUPT;
  env_free(graph->env, lvs, m->saved_count * sizeof *lvs);
  return error;
}

/* ---- What there is ------------------------------------------------------------------------------------------ */

struct found_anchor {
  uint32_t lv, at, characters; /* where it is, counted both ways */
  bool is_end, is_opening;
};

struct anchor_list {
  const struct dunlin_env *env;
  struct found_anchor *list;
  size_t count, cap;
};

static int note_anchor(void *ctx, uint32_t at, struct rope_anchor anchor) {
  struct anchor_list *found = ctx;
  if (ENV_GROW(found->env, found->list, found->cap, found->count + 1)) return DUNLIN_ENOMEM;
  found->list[found->count] =
      (struct found_anchor){anchor.lv, at, at - (uint32_t)found->count, anchor.is_end, anchor.is_opening};
  found->count++;
  return 0;
}

static int anchors_by_lv(const void *a, const void *b) {
  const struct found_anchor *x = a, *y = b;
  return (x->lv > y->lv) - (x->lv < y->lv);
}

static int marks_by_start(const void *a, const void *b) {
  const struct mark *x = a, *y = b;
  return (x->start > y->start) - (x->start < y->start);
}

static const struct mark_saved *saved_of(const struct marks *m, uint32_t lv) {
  size_t low = 0, high = m->saved_count;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (m->saved[mid].lv <= lv) low = mid;
    else high = mid;
  }
  return low < high && m->saved[low].lv == lv ? &m->saved[low] : NULL;
}

/* Key and value of the mark that operation `lv` starts. */
static int read_content(const dunlin_doc *doc, const struct container *c, struct mark *mark) {
  const struct mark_saved *saved = saved_of(&c->as.text->marks, mark->lv);
  if (saved) {
    mark->key = saved->key;
    mark->value = saved->value;
    return 0;
  }
  size_t run = oplog_from(&c->log, mark->lv);
  if (run == c->log.count || c->log.runs[run].lv != mark->lv) return DUNLIN_ECORRUPT;
  uint32_t at = c->log.runs[run].at;
  struct mp_reader r = mp_reader_of(column_at(&doc->values, at), column_end(&doc->values) - at);
  mark->key = mp_read_str(&r, DUNLIN_MAX_KEY);
  mark->value = value_read(&r);
  return r.error ? DUNLIN_ECORRUPT : 0;
}

/* Sorts `count` numbers below it by heapsort, since qsort() hands its function no context. */
static void sort_by(uint32_t *list, size_t count, bool (*goes_before)(const void *ctx, uint32_t a, uint32_t b),
                    const void *ctx) {
  for (size_t built = count / 2, end = count; end > 1;) {
    uint32_t item;
    if (built) {
      item = list[--built];
    } else {
      item = list[--end];
      list[end] = list[0];
    }
    size_t at = built, child;
    for (; (child = 2 * at + 1) < end; at = child) {
      if (child + 1 < end && goes_before(ctx, list[child], list[child + 1])) child++;
      if (!goes_before(ctx, item, list[child])) break;
      list[at] = list[child];
    }
    list[at] = item;
  }
}

struct ranking {
  const dunlin_doc *doc;
  const struct container *text;
  const struct mark_list *marks;
};

/* Whether a mark yields to the other one.  What is not from the file has all that is in its past, while that is not decoded. */
static bool yields(const void *ctx, uint32_t a, uint32_t b) {
  const struct ranking *r = ctx;
  uint32_t x = r->marks->list[a].lv, y = r->marks->list[b].lv;
  const struct mark_saved *s = saved_of(&r->text->as.text->marks, x), *t = saved_of(&r->text->as.text->marks, y);
  if (s && t) return s->rank < t->rank;
  if (s || t) return s;
  return graph_wins(&r->doc->graph, y, x);
}

static int rank_marks(dunlin_doc *doc, const struct container *c, struct mark_list *marks) {
  struct ranking ranking = {doc, c, marks};
  uint32_t *order = env_alloc(doc->env, marks->count * sizeof *order);
  if (!order) return DUNLIN_ENOMEM;
  for (size_t i = 0; i < marks->count; i++) order[i] = (uint32_t)i;
  int before = doc->names.error;
  doc->names.error = 0; /* which change wins may hang on ids, and to find these out may fail */
  sort_by(order, marks->count, yields, &ranking);
  int error = doc->names.error;
  doc->names.error = before;
  for (size_t i = 0; i < marks->count; i++) marks->list[order[i]].rank = (uint32_t)i;
  env_free(doc->env, order, marks->count * sizeof *order);
  return error;
}

static int pair_anchors(dunlin_doc *doc, const struct container *c, const struct anchor_list *found,
                        struct mark_list *marks) {
  if (ENV_GROW(doc->env, marks->list, marks->cap, found->count / 2)) return DUNLIN_ENOMEM;
  for (size_t i = 0; i + 1 < found->count; i++) {
    const struct found_anchor *start = &found->list[i], *end = start + 1;
    if (start->is_end || !end->is_end || end->lv != start->lv + 1) continue;
    struct mark mark = {start->lv, start->at,          end->at,         start->characters, end->characters,
                        0,         !start->is_opening, end->is_opening, {NULL, 0},         {.kind = DUNLIN_NULL}};
    int error = read_content(doc, c, &mark);
    if (error) return error;
    marks->list[marks->count++] = mark;
  }
  return 0;
}

int marks_collect(dunlin_doc *doc, const struct container *c, struct mark_list *marks) {
  const struct text *text = &c->as.text->text;
  struct anchor_list found = {.env = doc->env};
  marks->count = 0;
  int error = text_each_anchor(text, 0, text->size, note_anchor, &found);
  if (!error && found.count) qsort(found.list, found.count, sizeof *found.list, anchors_by_lv);
  if (!error) error = pair_anchors(doc, c, &found, marks);
  if (!error && marks->count) {
    qsort(marks->list, marks->count, sizeof *marks->list, marks_by_start);
    error = rank_marks(doc, c, marks);
  }
  ENV_FREE_ARRAY(doc->env, found.list, found.cap);
  return error;
}

/* ---- The index ---------------------------------------------------------------------------------------------- */

static bool by_key_and_place(const void *ctx, uint32_t a, uint32_t b) {
  const struct mark *x = &((const struct mark *)ctx)[a], *y = &((const struct mark *)ctx)[b];
  int order = key_compare(x->key, y->key);
  return order ? order < 0 : x->from != y->from ? x->from < y->from : x->rank < y->rank;
}

/* The marks of one key that have begun, as a heap: the one that wins first. */
struct heap {
  const struct mark *marks;
  uint32_t *list;
  size_t count;
};

static void heap_push(struct heap *h, uint32_t mark) {
  size_t at = h->count++;
  for (; at && h->marks[h->list[(at - 1) / 2]].rank < h->marks[mark].rank; at = (at - 1) / 2)
    h->list[at] = h->list[(at - 1) / 2];
  h->list[at] = mark;
}

static void heap_pop(struct heap *h) {
  uint32_t last = h->list[--h->count];
  size_t at = 0, child;
  for (; (child = 2 * at + 1) < h->count; at = child) {
    if (child + 1 < h->count && h->marks[h->list[child]].rank < h->marks[h->list[child + 1]].rank) child++;
    if (h->marks[last].rank > h->marks[h->list[child]].rank) break;
    h->list[at] = h->list[child];
  }
  h->list[at] = last;
}

/* The characters from `from` to `to` have the value of this mark; runs come in order. */
static void add_run(struct marks *m, size_t first, uint32_t from, uint32_t to, uint32_t mark) {
  const struct mark *all = m->all.list;
  struct mark_run *last = m->run_count > first ? &m->runs[m->run_count - 1] : NULL;
  if (from == to || all[mark].value.kind == DUNLIN_NULL) return;
  if (last && last->to == from && value_same(&all[last->mark].value, &all[mark].value)) last->to = to;
  else m->runs[m->run_count++] = (struct mark_run){from, to, mark};
}

/* The runs of one key, whose marks are `order[0]` to `order[count - 1]`. */
static void index_key(struct marks *m, const uint32_t *order, size_t count, struct heap *heap) {
  const struct mark *all = m->all.list;
  size_t first = m->run_count, next = 0;
  uint32_t at = 0;
  while (next < count || heap->count) {
    if (!heap->count) at = all[order[next]].from;
    while (next < count && all[order[next]].from == at) heap_push(heap, order[next++]);
    while (heap->count && all[heap->list[0]].to <= at) heap_pop(heap);
    if (!heap->count) continue;
    uint32_t to = all[heap->list[0]].to;
    if (next < count && all[order[next]].from < to) to = all[order[next]].from;
    add_run(m, first, at, to, heap->list[0]);
    at = to;
  }
  if (m->run_count > first) m->keys[m->key_count++] = (uint32_t)first;
}

static int by_number(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static int index_runs(struct marks *m, const struct dunlin_env *env, uint32_t *order, uint32_t *heap) {
  size_t count = m->all.count;
  if (ENV_GROW(env, m->runs, m->run_cap, 2 * count) || ENV_GROW(env, m->keys, m->key_cap, count) ||
      ENV_GROW(env, m->bounds, m->bound_cap, 4 * count))
    return DUNLIN_ENOMEM;
  struct heap begun = {m->all.list, heap, 0};
  for (size_t i = 0; i < count; i++) order[i] = (uint32_t)i;
  sort_by(order, count, by_key_and_place, m->all.list);
  m->run_count = m->key_count = m->bound_count = 0;
  for (size_t i = 0, end; i < count; i = end) {
    end = i + 1;
    while (end < count && !key_compare(m->all.list[order[i]].key, m->all.list[order[end]].key)) end++;
    index_key(m, order + i, end - i, &begun);
  }
  for (size_t i = 0; i < m->run_count; i++) {
    m->bounds[m->bound_count++] = m->runs[i].from;
    m->bounds[m->bound_count++] = m->runs[i].to;
  }
  if (m->bound_count) qsort(m->bounds, m->bound_count, sizeof *m->bounds, by_number);
  size_t kept = 0;
  for (size_t i = 0; i < m->bound_count; i++)
    if (!kept || m->bounds[kept - 1] != m->bounds[i]) m->bounds[kept++] = m->bounds[i];
  m->bound_count = kept;
  return 0;
}

/* Makes the index of a text's marks, unless it is there. */
static int ready_index(dunlin_doc *doc, struct container *c) {
  struct marks *m = &c->as.text->marks;
  const struct column *values = &doc->values;
  if (m->is_indexed && m->edits == c->as.text->text.edits && m->values == values->buf.data &&
      m->values_base == values->base)
    return 0;
  m->is_indexed = m->is_at = false;
  int error = marks_collect(doc, c, &m->all);
  size_t count = m->all.count;
  uint32_t *order = error ? NULL : env_calloc(doc->env, 2 * count, sizeof *order);
  if (!error) error = order ? index_runs(m, doc->env, order, order + count) : DUNLIN_ENOMEM;
  ENV_FREE_ARRAY(doc->env, order, 2 * count);
  if (error) return error;
  m->is_indexed = true;
  m->edits = c->as.text->text.edits;
  m->values = values->buf.data;
  m->values_base = values->base;
  return 0;
}

/* The end of the runs of key `k`. */
static uint32_t key_end(const struct marks *m, size_t k) {
  return k + 1 < m->key_count ? m->keys[k + 1] : (uint32_t)m->run_count;
}

/* The first run in [low, high) that ends behind `at`. */
static uint32_t run_from(const struct marks *m, uint32_t low, uint32_t high, uint32_t at) {
  while (low < high) {
    uint32_t mid = low + (high - low) / 2;
    if (m->runs[mid].to <= at) low = mid + 1;
    else high = mid;
  }
  return low;
}

int marks_say(dunlin_doc *doc, struct container *c, uint32_t from, uint32_t to, struct dunlin_bytes key,
              const struct dunlin_value *value, bool *same) {
  struct marks *m = &c->as.text->marks;
  int error = ready_index(doc, c);
  if (error) return error;
  size_t low = 0, high = m->key_count;
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (key_compare(m->all.list[m->runs[m->keys[mid]].mark].key, key) < 0) low = mid + 1;
    else high = mid;
  }
  *same = value->kind == DUNLIN_NULL;
  if (low == m->key_count) return 0;
  const struct mark *first = &m->all.list[m->runs[m->keys[low]].mark];
  if (key_compare(first->key, key)) return 0;
  uint32_t end = key_end(m, low), at = run_from(m, m->keys[low], end, from);
  if (at == end || m->runs[at].from >= to) return 0;
  *same = m->runs[at].from <= from && m->runs[at].to >= to && value_same(&m->all.list[m->runs[at].mark].value, value);
  return 0;
}

/* ---- Reading ------------------------------------------------------------------------------------------------ */

/* Looks at the characters around `at`, which is below `size`, that have the same marks. */
static int go_to_span(dunlin_doc *doc, struct container *c, uint32_t at, uint32_t size) {
  struct marks *m = &c->as.text->marks;
  int error = ready_index(doc, c);
  if (error || (m->is_at && at - m->from < m->to - m->from)) return error;
  if (ENV_GROW(doc->env, m->here, m->here_cap, m->key_count)) return DUNLIN_ENOMEM;
  size_t low = 0, high = m->bound_count; /* bounds below `low` are at or before `at` */
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (m->bounds[mid] <= at) low = mid + 1;
    else high = mid;
  }
  m->from = low ? m->bounds[low - 1] : 0;
  m->to = low < m->bound_count ? m->bounds[low] : size;
  m->here_count = 0;
  for (size_t k = 0; k < m->key_count; k++) {
    uint32_t end = key_end(m, k), run = run_from(m, m->keys[k], end, at);
    if (run < end && m->runs[run].from <= at) m->here[m->here_count++] = run;
  }
  m->is_at = true;
  return 0;
}

/* The text, ready to be looked at, how many characters it has, and which one is at a position. */
static int text_to_read(dunlin_doc *doc, dunlin_obj text, struct container **c, uint32_t *size, size_t *at) {
  *c = container_of(doc, text, DUNLIN_TEXT);
  int error = *c ? container_show(doc, text.index) : DUNLIN_EKIND;
  if (error) return error;
  *size = (*c)->as.text->text.size - (*c)->as.text->text.anchors;
  error = unit_in(doc, *c, *at, at);
  return !error && *at >= *size ? DUNLIN_ERANGE : error;
}

int dunlin_text_span(const dunlin_doc *shown, dunlin_obj text, size_t at, struct dunlin_span *out) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown; /* an index is no part of the state */
  struct container *c;
  uint32_t size;
  int error = text_to_read(doc, text, &c, &size, &at);
  if (error) return error;
  const struct marks *m = &c->as.text->marks;
  struct dunlin_span span = {0, size, 0};
  if (c->as.text->text.anchors) {
    error = go_to_span(doc, c, (uint32_t)at, size);
    span = (struct dunlin_span){m->from, m->to, m->here_count};
  }
  if (!error) error = unit_out(doc, c, &span.from);
  if (!error) error = unit_out(doc, c, &span.to);
  if (!error) *out = span;
  return error;
}

int dunlin_text_span_mark(const dunlin_doc *shown, dunlin_obj text, size_t at, size_t i, struct dunlin_bytes *key,
                          struct dunlin_value *value) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown;
  struct container *c;
  uint32_t size;
  int error = text_to_read(doc, text, &c, &size, &at);
  if (!error && !c->as.text->text.anchors) error = DUNLIN_ENOENT;
  if (!error) error = go_to_span(doc, c, (uint32_t)at, size);
  if (error) return error;
  const struct marks *m = &c->as.text->marks;
  if (i >= m->here_count) return DUNLIN_ENOENT;
  const struct mark *mark = &m->all.list[m->runs[m->here[i]].mark];
  *key = mark->key;
  *value = mark->value;
  return 0;
}

/* ---- Checking ----------------------------------------------------------------------------------------------- */

/* The mark of a key that wins at a character; NULL when nothing of that key shows there. */
static const struct mark *winner_at(const struct mark_list *marks, struct dunlin_bytes key, uint32_t at) {
  const struct mark *best = NULL;
  for (size_t i = 0; i < marks->count; i++) {
    const struct mark *mark = &marks->list[i];
    if (mark->from > at || mark->to <= at || key_compare(mark->key, key)) continue;
    if (!best || mark->rank > best->rank) best = mark;
  }
  return best && best->value.kind != DUNLIN_NULL ? best : NULL;
}

int marks_check(dunlin_doc *doc, struct container *c) {
  uint32_t size = c->as.text->text.size - c->as.text->text.anchors;
  const struct marks *m = &c->as.text->marks;
  if (!c->as.text->text.anchors) return 0;
  for (uint32_t at = 0; at < size; at++) {
    int error = go_to_span(doc, c, at, size);
    if (error) return error;
    size_t here = 0;
    for (size_t i = 0; i < m->all.count; i++) {
      const struct mark *mark = &m->all.list[i], *best = winner_at(&m->all, mark->key, at);
      if (best != mark) continue; /* each key is looked at once */
      here++;
      bool found = false;
      for (size_t k = 0; k < m->here_count; k++) {
        const struct mark *own = &m->all.list[m->runs[m->here[k]].mark];
        found |= !key_compare(own->key, best->key) && value_same(&own->value, &best->value);
      }
      if (!found) return DUNLIN_ECORRUPT;
    }
    if (here != m->here_count) return DUNLIN_ECORRUPT;
  }
  return 0;
}
