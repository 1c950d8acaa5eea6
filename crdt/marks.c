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
  m->index.is_ready = m->is_at = false; /* it borrows from there */
}

void marks_free(struct marks *m, const struct dunlin_env *env) {
  forget_saved(m, env);
  mark_index_free(&m->index, env);
  ENV_FREE_ARRAY(env, m->notes.list, m->notes.cap);
  ENV_FREE_ARRAY(env, m->here.list, m->here.cap);
  ENV_FREE_ARRAY(env, m->beside.list, m->beside.cap);
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

int marks_find(const dunlin_doc *doc, const struct container *c, uint32_t lv, bool *is_saved, uint32_t *at) {
  const struct marks *m = &c->as.text->marks;
  const struct mark_saved *saved = saved_of(m, lv);
  *is_saved = saved;
  if (saved) {
    *at = (uint32_t)(saved - m->saved);
    return 0;
  }
  size_t run = oplog_from(&c->log, lv);
  if (run == c->log.count || c->log.runs[run].lv != lv) return DUNLIN_ECORRUPT;
  *at = c->log.runs[run].at;
  struct mp_reader r = mp_reader_of(column_at(&doc->values, *at), column_end(&doc->values) - *at);
  mp_read_str(&r, DUNLIN_MAX_KEY);
  value_read(&r);
  return r.error ? DUNLIN_ECORRUPT : 0;
}

void mark_content(const dunlin_doc *doc, const struct container *c, bool is_saved, uint32_t at,
                  struct dunlin_bytes *key, struct dunlin_value *value) {
  const struct marks *m = &c->as.text->marks;
  if (is_saved) {
    *key = m->saved[at].key;
    *value = m->saved[at].value;
    return;
  }
  struct mp_reader r = mp_reader_of(column_at(&doc->values, at), column_end(&doc->values) - at);
  *key = mp_read_str(&r, DUNLIN_MAX_KEY);
  *value = value_read(&r);
}

/* Key and value of the mark that operation `lv` starts. */
static int read_content(const dunlin_doc *doc, const struct container *c, struct mark *mark) {
  bool is_saved;
  uint32_t at;
  int error = marks_find(doc, c, mark->lv, &is_saved, &at);
  if (error) return error;
  mark_content(doc, c, is_saved, at, &mark->key, &mark->value);
  return 0;
}

/* Heapsort. */
void marks_sort(uint32_t *list, size_t count, bool (*goes_before)(const void *ctx, uint32_t a, uint32_t b),
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

/* What is not from the file has all that is in its past, while that is not decoded. */
bool mark_wins(const dunlin_doc *doc, const struct marks *m, uint32_t lv, uint32_t other) {
  const struct mark_saved *s = saved_of(m, lv), *t = saved_of(m, other);
  if (s && t) return s->rank > t->rank;
  return s || t ? !s : graph_wins(&doc->graph, lv, other);
}

struct ranking {
  const dunlin_doc *doc;
  const struct container *text;
  const struct mark_list *marks;
};

/* Whether a mark yields to the other one. */
static bool yields(const void *ctx, uint32_t a, uint32_t b) {
  const struct ranking *r = ctx;
  return mark_wins(r->doc, &r->text->as.text->marks, r->marks->list[b].lv, r->marks->list[a].lv);
}

static int rank_marks(dunlin_doc *doc, const struct container *c, struct mark_list *marks) {
  struct ranking ranking = {doc, c, marks};
  uint32_t *order = env_alloc(doc->env, marks->count * sizeof *order);
  if (!order) return DUNLIN_ENOMEM;
  for (size_t i = 0; i < marks->count; i++) order[i] = (uint32_t)i;
  int before = doc->names.error;
  doc->names.error = 0; /* which change wins may hang on ids, and to find these out may fail */
  marks_sort(order, marks->count, yields, &ranking);
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

/* ---- What shows --------------------------------------------------------------------------------------------- */

struct looking {
  const dunlin_doc *doc;
  const struct container *text;
};

static bool key_before(const void *ctx, uint32_t a, uint32_t b) {
  const struct looking *at = ctx;
  struct dunlin_bytes x, y;
  struct dunlin_value value;
  mark_says(at->doc, at->text, a, &x, &value);
  mark_says(at->doc, at->text, b, &y, &value);
  return key_compare(x, y) < 0;
}

/* Adds the marks of the runs in a part of the tree that reach across the place right before an anchor. */
static int cover_below(const dunlin_doc *doc, const struct container *c, uint32_t node, uint32_t anchor,
                       struct mark_cover *cover) {
  const struct anchor_trees *t = &c->as.text->marks.index.trees;
  if (node == ANCHOR_NONE) return 0;
  const struct anchor_node *n = &t->nodes[node];
  uint32_t farthest = n->in[ANCHORS_ALL].farthest;
  if (farthest == ANCHOR_NONE || anchor_before(t, farthest, anchor)) return 0;
  int error = cover_below(doc, c, n->in[ANCHORS_ALL].left, anchor, cover);
  if (error || !anchor_before(t, node, anchor)) return error;
  if (n->run != ANCHOR_NONE && !anchor_before(t, n->run_end, anchor)) {
    struct dunlin_bytes key;
    struct dunlin_value value;
    mark_says(doc, c, n->run, &key, &value);
    if (value.kind != DUNLIN_NULL) {
      if (ENV_GROW(doc->env, cover->list, cover->cap, cover->count + 1)) return DUNLIN_ENOMEM;
      cover->list[cover->count++] = n->run;
    }
  }
  return cover_below(doc, c, n->in[ANCHORS_ALL].right, anchor, cover);
}

/* The marks that show behind the first `slot` anchors. */
static int cover_at(const dunlin_doc *doc, const struct container *c, uint32_t slot, struct mark_cover *cover) {
  const struct anchor_trees *t = &c->as.text->marks.index.trees;
  struct looking looking = {doc, c};
  uint32_t anchor = anchor_at(t, slot);
  cover->count = 0;
  int error = anchor == ANCHOR_NONE ? 0 : cover_below(doc, c, t->root, anchor, cover);
  if (!error) marks_sort(cover->list, cover->count, key_before, &looking);
  return error;
}

static bool same_cover(const dunlin_doc *doc, const struct container *c, const struct mark_cover *a,
                       const struct mark_cover *b) {
  if (a->count != b->count) return false;
  for (size_t i = 0; i < a->count; i++) {
    struct dunlin_bytes x, y;
    struct dunlin_value v, w;
    if (a->list[i] == b->list[i]) continue;
    mark_says(doc, c, a->list[i], &x, &v);
    mark_says(doc, c, b->list[i], &y, &w);
    if (key_compare(x, y) || !value_same(&v, &w)) return false;
  }
  return true;
}

/* Where what shows behind the first `slot` anchors, which is `here`, ends; or begins. */
static int go_behind(const dunlin_doc *doc, struct container *c, uint32_t slot, uint32_t size, uint32_t *to) {
  struct marks *m = &c->as.text->marks;
  const struct anchor_trees *t = &m->index.trees;
  for (;;) {
    uint32_t edge = anchor_at(t, slot);
    if (edge != ANCHOR_NONE) edge = anchor_flag_from(t, ANCHORS_ALL, t->root, edge);
    *to = edge == ANCHOR_NONE ? size : mark_place(c, edge);
    if (*to == size) return 0;
    slot = mark_slot(c, *to); /* between two marks that say the same there may be nothing */
    int error = cover_at(doc, c, slot, &m->beside);
    if (error || !same_cover(doc, c, &m->here, &m->beside)) return error;
  }
}

static int go_before(const dunlin_doc *doc, struct container *c, uint32_t slot, uint32_t *from) {
  struct marks *m = &c->as.text->marks;
  const struct anchor_trees *t = &m->index.trees;
  for (;;) {
    uint32_t edge = ANCHOR_NONE;
    if (slot) edge = anchor_flag_to(t, ANCHORS_ALL, t->root, anchor_at(t, slot - 1));
    *from = edge == ANCHOR_NONE ? 0 : mark_place(c, edge);
    if (!*from) return 0;
    slot = mark_slot(c, *from - 1);
    int error = cover_at(doc, c, slot, &m->beside);
    if (error || !same_cover(doc, c, &m->here, &m->beside)) return error;
  }
}

int marks_say(dunlin_doc *doc, struct container *c, uint32_t from, uint32_t to, struct dunlin_bytes key,
              const struct dunlin_value *value, bool *same) {
  const struct mark_index *x = &c->as.text->marks.index;
  *same = value->kind == DUNLIN_NULL;
  if (!c->as.text->text.anchors) return 0;
  int error = mark_index_ready(doc, c);
  uint32_t number = error ? ANCHOR_NONE : mark_key_find(doc, c, key);
  if (number == ANCHOR_NONE) return error;
  for (uint32_t at = from; at < to;) {
    uint32_t slot = mark_slot(c, at), before = slot ? anchor_at(&x->trees, slot - 1) : ANCHOR_NONE;
    uint32_t run = before == ANCHOR_NONE ? ANCHOR_NONE : mark_run_behind(x, number, before), next;
    struct dunlin_bytes own;
    struct dunlin_value here = {.kind = DUNLIN_NULL};
    if (run != ANCHOR_NONE) mark_says(doc, c, x->trees.nodes[run].run, &own, &here);
    *same = value_same(&here, value);
    if (!*same) return 0;
    if (run != ANCHOR_NONE) next = x->trees.nodes[run].run_end;
    else if ((next = anchor_at(&x->trees, slot)) != ANCHOR_NONE)
      next = anchor_flag_from(&x->trees, ANCHORS_OF_KEY, x->keys[number].root, next);
    at = next == ANCHOR_NONE ? to : mark_place(c, next);
  }
  return 0;
}

/* ---- Reading ------------------------------------------------------------------------------------------------ */

/* Looks at the characters around `at`, which is below `size`, that have the same marks. */
static int go_to_span(dunlin_doc *doc, struct container *c, uint32_t at, uint32_t size) {
  struct marks *m = &c->as.text->marks;
  if (m->is_at && m->edits == c->as.text->text.edits && at - m->from < m->to - m->from) return 0;
  m->is_at = false;
  int error = mark_index_ready(doc, c);
  if (error) return error;
  uint32_t slot = mark_slot(c, at);
  error = cover_at(doc, c, slot, &m->here);
  if (!error) error = go_behind(doc, c, slot, size, &m->to);
  if (!error) error = go_before(doc, c, slot, &m->from);
  if (error) return error;
  m->edits = c->as.text->text.edits;
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
    span = (struct dunlin_span){m->from, m->to, m->here.count};
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
  if (i >= m->here.count) return DUNLIN_ENOENT;
  mark_says(doc, c, m->here.list[i], key, value);
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

static int check_at(dunlin_doc *doc, struct container *c, const struct mark_list *all, uint32_t at, uint32_t size) {
  const struct marks *m = &c->as.text->marks;
  size_t here = 0;
  int error = go_to_span(doc, c, at, size);
  for (size_t i = 0; !error && i < all->count; i++) {
    const struct mark *mark = &all->list[i];
    if (winner_at(all, mark->key, at) != mark) continue; /* each key is looked at once */
    struct dunlin_bytes key;
    struct dunlin_value value;
    if (here == m->here.count) return DUNLIN_ECORRUPT;
    bool found = false;
    for (size_t k = 0; !found && k < m->here.count; k++) {
      mark_says(doc, c, m->here.list[k], &key, &value);
      found = !key_compare(key, mark->key) && value_same(&value, &mark->value);
    }
    if (!found) return DUNLIN_ECORRUPT;
    here++;
  }
  return error || here == m->here.count ? error : DUNLIN_ECORRUPT;
}

int marks_check(dunlin_doc *doc, struct container *c) {
  uint32_t size = c->as.text->text.size - c->as.text->text.anchors;
  struct mark_list all = {0};
  if (!c->as.text->text.anchors) return 0;
  int error = marks_collect(doc, c, &all);
  for (uint32_t at = 0; !error && at < size; at++) error = check_at(doc, c, &all, at, size);
  if (!error && size) error = mark_index_check(&c->as.text->marks.index);
  mark_list_free(&all, doc->env);
  return error;
}
