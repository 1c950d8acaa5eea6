#include "crdt/mark_index.h"

#include <assert.h>

#include "crdt/internal.h"
#include "crdt/mix.h"

/* What the work is about. */
struct indexing {
  dunlin_doc *doc;
  struct container *text;
  struct mark_index *index;
  struct anchor_node *nodes; /* of the index; new ones may move them */
};

static void clear(struct mark_index *x) {
  x->is_ready = false;
  x->trees.count = x->key_count = 0;
  x->trees.root = ANCHOR_NONE;
  x->dead = 0;
  for (size_t i = 0; i < x->table_cap; i++) x->table[i] = ANCHOR_NONE;
}

void mark_index_free(struct mark_index *x, const struct dunlin_env *env) {
  ENV_FREE_ARRAY(env, x->trees.nodes, x->trees.cap);
  ENV_FREE_ARRAY(env, x->keys, x->key_cap);
  ENV_FREE_ARRAY(env, x->sorted, x->sorted_cap);
  ENV_FREE_ARRAY(env, x->table, x->table_cap);
  *x = (struct mark_index){0};
}

/* ---- Anchors by operation ----------------------------------------------------------------------------------- */

static size_t slot_of(const struct mark_index *x, uint32_t lv) {
  size_t at = (size_t)mix_word(x->seed, lv) & (x->table_cap - 1);
  while (x->table[at] != ANCHOR_NONE && x->trees.nodes[x->table[at]].anchor.lv != lv)
    at = (at + 1) & (x->table_cap - 1);
  return at;
}

/* The anchor of an operation; ANCHOR_NONE. */
static uint32_t find_anchor(const struct mark_index *x, uint32_t lv) {
  uint32_t node = x->table_cap ? x->table[slot_of(x, lv)] : ANCHOR_NONE;
  return node != ANCHOR_NONE && !x->trees.nodes[node].is_dead ? node : ANCHOR_NONE;
}

/* Room for so many in the table. */
static int grow_table(struct mark_index *x, const struct dunlin_env *env, size_t count) {
  size_t cap = x->table_cap ? x->table_cap : 16;
  if (2 * count <= x->table_cap) return 0;
  while (cap < 2 * count) cap *= 2;
  uint32_t *table = env_calloc(env, cap, sizeof *table);
  if (!table) return DUNLIN_ENOMEM;
  ENV_FREE_ARRAY(env, x->table, x->table_cap);
  x->table = table;
  x->table_cap = cap;
  for (size_t i = 0; i < cap; i++) table[i] = ANCHOR_NONE;
  for (uint32_t i = 0; i < x->trees.count; i++) table[slot_of(x, x->trees.nodes[i].anchor.lv)] = i;
  return 0;
}

static uint32_t add_anchor(struct indexing *i, struct rope_anchor anchor) {
  struct mark_index *x = i->index;
  uint32_t node = grow_table(x, i->doc->env, x->trees.count + 1) ? ANCHOR_NONE : anchor_new(&x->trees, anchor);
  if (node != ANCHOR_NONE) x->table[slot_of(x, anchor.lv)] = node; /* in the place of one that is dead */
  i->nodes = x->trees.nodes;
  return node;
}

/* ---- Keys and values ---------------------------------------------------------------------------------------- */

void mark_says(const dunlin_doc *doc, const struct container *c, uint32_t start, struct dunlin_bytes *key,
               struct dunlin_value *value) {
  const struct anchor_node *n = &c->as.text->marks.index.trees.nodes[start];
  mark_content(doc, c, n->is_saved, n->content, key, value);
}

static struct dunlin_value value_of(const struct indexing *i, uint32_t start) {
  struct dunlin_bytes key;
  struct dunlin_value value = {.kind = DUNLIN_NULL};
  if (start != ANCHOR_NONE) mark_says(i->doc, i->text, start, &key, &value);
  return value;
}

/* The first of the sorted keys that does not come before this one; whether it is it. */
static size_t key_place(const dunlin_doc *doc, const struct container *c, struct dunlin_bytes key, bool *found) {
  const struct mark_index *x = &c->as.text->marks.index;
  size_t low = 0, high = x->key_count;
  *found = false;
  while (low < high) {
    size_t mid = (low + high) / 2;
    struct dunlin_bytes own;
    struct dunlin_value value;
    mark_says(doc, c, x->keys[x->sorted[mid]].start, &own, &value);
    int order = key_compare(own, key);
    *found |= !order;
    if (order < 0) low = mid + 1;
    else high = mid;
  }
  return low;
}

uint32_t mark_key_find(const dunlin_doc *doc, const struct container *c, struct dunlin_bytes key) {
  bool found;
  size_t at = key_place(doc, c, key, &found);
  return found ? c->as.text->marks.index.sorted[at] : ANCHOR_NONE;
}

/* The number of the key of the mark that begins at `start`, perhaps a new one; ANCHOR_NONE when out of memory. */
static uint32_t key_of(const struct indexing *i, uint32_t start) {
  struct mark_index *x = i->index;
  struct dunlin_bytes key;
  struct dunlin_value value;
  bool found;
  mark_says(i->doc, i->text, start, &key, &value);
  size_t at = key_place(i->doc, i->text, key, &found);
  if (found) return x->sorted[at];
  if (ENV_GROW(i->doc->env, x->keys, x->key_cap, x->key_count + 1) ||
      ENV_GROW(i->doc->env, x->sorted, x->sorted_cap, x->key_count + 1))
    return ANCHOR_NONE;
  memmove(x->sorted + at + 1, x->sorted + at, (x->key_count - at) * sizeof *x->sorted);
  x->sorted[at] = (uint32_t)x->key_count;
  x->keys[x->key_count] = (struct mark_key){ANCHOR_NONE, start};
  return (uint32_t)x->key_count++;
}

/* ---- Runs --------------------------------------------------------------------------------------------------- */

static bool wins(const struct indexing *i, uint32_t start, uint32_t other) {
  return mark_wins(i->doc, &i->text->as.text->marks, i->nodes[start].anchor.lv, i->nodes[other].anchor.lv);
}

static bool is_edge(const struct indexing *i, const struct anchor_node *n) {
  if (n->run == n->ended) return false;
  struct dunlin_value before = value_of(i, n->ended), behind = value_of(i, n->run);
  return !value_same(&before, &behind);
}

/* A run begins or ends at an anchor now, or does not any more. */
static void changed(const struct indexing *i, uint32_t node) {
  i->nodes[node].is_edge = is_edge(i, &i->nodes[node]);
  anchor_changed(&i->index->trees, ANCHORS_ALL, node);
  anchor_changed(&i->index->trees, ANCHORS_OF_KEY, node);
}

uint32_t mark_run_behind(const struct mark_index *x, uint32_t key, uint32_t anchor) {
  uint32_t run = anchor_flag_to(&x->trees, ANCHORS_OF_KEY, x->keys[key].root, anchor);
  return run != ANCHOR_NONE && anchor_before(&x->trees, anchor, x->trees.nodes[run].run_end) ? run : ANCHOR_NONE;
}

/* Where the run ends that shows behind an anchor, or if none does, where the next one begins, but `end` if that comes
 * first. */
static uint32_t piece_end(const struct indexing *i, uint32_t key, uint32_t run, uint32_t at, uint32_t end) {
  const struct mark_index *x = i->index;
  uint32_t stop =
      run != ANCHOR_NONE ? i->nodes[run].run_end : anchor_flag_from(&x->trees, ANCHORS_OF_KEY, x->keys[key].root, at);
  return stop == ANCHOR_NONE || anchor_before(&x->trees, end, stop) ? end : stop;
}

/* Takes what is between two anchors out of a run. */
static void cut_run(const struct indexing *i, uint32_t run, uint32_t from, uint32_t to) {
  uint32_t owner = i->nodes[run].run, end = i->nodes[run].run_end;
  i->nodes[end].ended = ANCHOR_NONE;
  if (run == from) {
    i->nodes[run].run = i->nodes[run].run_end = ANCHOR_NONE;
  } else {
    i->nodes[run].run_end = from;
    i->nodes[from].ended = owner;
  }
  if (to != end) {
    i->nodes[to].run = owner;
    i->nodes[to].run_end = end;
    i->nodes[end].ended = owner;
  }
  changed(i, run);
  if (run != from) changed(i, from);
  changed(i, to);
  if (to != end) changed(i, end);
}

/* Gives a mark what is between two anchors, where nothing of its key shows; what it has on either side joins it. */
static void put_run(const struct indexing *i, uint32_t start, uint32_t from, uint32_t to) {
  const struct mark_index *x = i->index;
  uint32_t first = from, last = to;
  if (i->nodes[to].run == start) {
    last = i->nodes[to].run_end;
    i->nodes[to].run = i->nodes[to].run_end = ANCHOR_NONE;
    changed(i, to);
  }
  if (i->nodes[from].ended == start) {
    i->nodes[from].ended = ANCHOR_NONE;
    changed(i, from);
    first = anchor_flag_to(&x->trees, ANCHORS_OF_KEY, x->keys[i->nodes[start].key].root, from);
  }
  i->nodes[first].run = start;
  i->nodes[first].run_end = last;
  i->nodes[last].ended = start;
  changed(i, first);
  changed(i, last);
}

/* Gives a mark what it wins between two anchors of its key. */
static void show_between(const struct indexing *i, uint32_t start, uint32_t from, uint32_t to) {
  uint32_t key = i->nodes[start].key;
  while (i->index->steps && anchor_before(&i->index->trees, from, to)) {
    uint32_t run = mark_run_behind(i->index, key, from), end = piece_end(i, key, run, from, to);
    i->index->steps--;
    if (run == ANCHOR_NONE) {
      put_run(i, start, from, end);
    } else if (i->nodes[run].run != start && wins(i, start, i->nodes[run].run)) {
      cut_run(i, run, from, end);
      put_run(i, start, from, end);
    }
    from = end;
  }
}

/* ---- Marks -------------------------------------------------------------------------------------------------- */

/* Both anchors of a mark are there.  DUNLIN_ENOMEM. */
static int pair(const struct indexing *i, uint32_t start, uint32_t end) {
  struct anchor_node *n = &i->nodes[start];
  int error = marks_find(i->doc, i->text, n->anchor.lv, &n->is_saved, &n->content);
  uint32_t key = error ? ANCHOR_NONE : key_of(i, start);
  if (key == ANCHOR_NONE) return error ? error : DUNLIN_ENOMEM;
  n->key = i->nodes[end].key = key;
  n->other = end;
  i->nodes[end].other = start;
  return 0;
}

static int add_mark(const struct indexing *i, uint32_t start, uint32_t end) {
  struct anchor_trees *t = &i->index->trees;
  const uint32_t both[2] = {start, end};
  const bool has_been[2] = {i->nodes[start].key != ANCHOR_NONE, i->nodes[end].key != ANCHOR_NONE};
  int error = pair(i, start, end);
  for (int k = 0; !error && k < 2; k++) { /* one stays in its tree when the other one goes */
    if (has_been[k]) anchor_changed(t, ANCHORS_OF_KEY, both[k]);
    else anchor_put_in_key(t, &i->index->keys[i->nodes[start].key].root, both[k]);
  }
  if (!error) show_between(i, start, start, end);
  return error;
}

/* Takes away what shows of a mark; whether anything did. */
static bool hide(const struct indexing *i, uint32_t start, uint32_t end) {
  bool did = false;
  uint32_t key = i->nodes[start].key;
  for (uint32_t at = start; i->index->steps && anchor_before(&i->index->trees, at, end); i->index->steps--) {
    uint32_t run = mark_run_behind(i->index, key, at), stop = piece_end(i, key, run, at, end);
    if (run != ANCHOR_NONE && i->nodes[run].run == start) {
      cut_run(i, run, at, stop);
      did = true;
    }
    at = stop;
  }
  return did;
}

/* Lets the marks of a part of their key's tree that reach across what is between two anchors have it. */
static void show_others(const struct indexing *i, uint32_t node, uint32_t from, uint32_t to) {
  const struct anchor_trees *t = &i->index->trees;
  if (node == ANCHOR_NONE || !i->index->steps) return;
  const struct anchor_node *n = &i->nodes[node];
  uint32_t farthest = n->in[ANCHORS_OF_KEY].farthest;
  if (farthest == ANCHOR_NONE || !anchor_before(t, from, farthest)) return;
  show_others(i, n->in[ANCHORS_OF_KEY].left, from, to);
  if (!anchor_before(t, node, to)) return;
  if (!n->anchor.is_end && n->other != ANCHOR_NONE && anchor_before(t, from, n->other))
    show_between(i, node, anchor_before(t, node, from) ? from : node, anchor_before(t, to, n->other) ? to : n->other);
  show_others(i, n->in[ANCHORS_OF_KEY].right, from, to);
}

static void remove_mark(const struct indexing *i, uint32_t start, uint32_t end) {
  struct anchor_node *s = &i->nodes[start], *e = &i->nodes[end];
  bool shows = anchor_before(&i->index->trees, start, end) && hide(i, start, end);
  s->other = e->other = ANCHOR_NONE;
  anchor_changed(&i->index->trees, ANCHORS_OF_KEY, start);
  if (shows) show_others(i, i->index->keys[s->key].root, start, end);
}

static uint32_t other_of(const struct mark_index *x, struct rope_anchor anchor) {
  uint32_t other = find_anchor(x, anchor.is_end ? anchor.lv - 1 : anchor.lv + 1);
  return other != ANCHOR_NONE && x->trees.nodes[other].anchor.is_end != anchor.is_end ? other : ANCHOR_NONE;
}

/* ---- Keeping it up ------------------------------------------------------------------------------------------ */

static int take_anchor(struct indexing *i, const struct anchor_note *note) {
  uint32_t node = add_anchor(i, note->anchor);
  if (node == ANCHOR_NONE) return DUNLIN_ENOMEM;
  anchor_put(&i->index->trees, node, note->rank);
  uint32_t other = other_of(i->index, note->anchor);
  if (other == ANCHOR_NONE) return 0;
  return note->anchor.is_end ? add_mark(i, other, node) : add_mark(i, node, other);
}

static void lose_anchor(const struct indexing *i, uint32_t node) {
  struct anchor_node *n = &i->nodes[node];
  if (n->other != ANCHOR_NONE) {
    if (n->anchor.is_end) remove_mark(i, n->other, node);
    else remove_mark(i, node, n->other);
  }
  n->is_dead = true;
  i->index->dead++;
  anchor_changed(&i->index->trees, ANCHORS_ALL, node);
}

/* Takes the notes over; whether it could: when it is too much, or memory is short, all is made again. */
static bool take_notes(struct indexing *i, const struct anchor_notes *notes) {
  struct mark_index *x = i->index;
  size_t there = x->trees.count;
  x->steps = 256 + 4 * there;
  for (size_t k = 0; k < notes->count; k++) {
    const struct anchor_note *note = &notes->list[k];
    if (!note->gone && take_anchor(i, note)) return false;
    for (uint32_t gone = 0; gone < note->gone; gone++) lose_anchor(i, anchor_at(&x->trees, note->rank));
  }
  return x->steps && x->dead <= 64 + x->trees.count / 2;
}

/* ---- Making it ---------------------------------------------------------------------------------------------- */

static int note_anchor(void *ctx, uint32_t at, struct rope_anchor anchor) {
  (void)at;
  return add_anchor(ctx, anchor) == ANCHOR_NONE ? DUNLIN_ENOMEM : 0;
}

/* Whether one mark yields to another. */
static bool yields(const void *ctx, uint32_t a, uint32_t b) {
  return wins(ctx, b, a);
}

/* Nodes lie in the order of the text while there are no others. */
static bool by_key_and_place(const void *ctx, uint32_t a, uint32_t b) {
  const struct anchor_node *nodes = ((const struct indexing *)ctx)->nodes;
  return nodes[a].key != nodes[b].key ? nodes[a].key < nodes[b].key : a < b;
}

/* The marks of one key that have begun, as a heap: the one that wins first. */
struct heap {
  const uint32_t *rank;
  uint32_t *list;
  size_t count;
};

static void heap_push(struct heap *h, uint32_t mark) {
  size_t at = h->count++;
  for (; at && h->rank[h->list[(at - 1) / 2]] < h->rank[mark]; at = (at - 1) / 2) h->list[at] = h->list[(at - 1) / 2];
  h->list[at] = mark;
}

static void heap_pop(struct heap *h) {
  uint32_t last = h->list[--h->count];
  size_t at = 0, child;
  for (; (child = 2 * at + 1) < h->count; at = child) {
    if (child + 1 < h->count && h->rank[h->list[child]] < h->rank[h->list[child + 1]]) child++;
    if (h->rank[last] > h->rank[h->list[child]]) break;
    h->list[at] = h->list[child];
  }
  h->list[at] = last;
}

/* The runs of one key, whose marks are `order[0]` to `order[count - 1]`. */
static void make_runs(struct anchor_node *nodes, const uint32_t *order, size_t count, struct heap *heap) {
  uint32_t at = 0, run = ANCHOR_NONE;
  for (size_t next = 0; next < count || heap->count;) {
    if (!heap->count) at = order[next];
    if (next < count && order[next] == at) heap_push(heap, order[next++]);
    while (heap->count && nodes[heap->list[0]].other <= at) heap_pop(heap);
    if (!heap->count) continue;
    uint32_t mark = heap->list[0], to = nodes[mark].other;
    if (next < count && order[next] < to) to = order[next];
    if (run != ANCHOR_NONE && nodes[run].run == mark && nodes[run].run_end == at) nodes[at].ended = ANCHOR_NONE;
    else run = at;
    nodes[run].run = mark;
    nodes[run].run_end = to;
    nodes[to].ended = mark;
    at = to;
  }
}

static void make_trees(const struct indexing *i) {
  struct mark_index *x = i->index;
  for (uint32_t node = (uint32_t)x->trees.count; node--;) {
    struct anchor_node *n = &i->nodes[node];
    n->is_edge = is_edge(i, n);
    if (n->key == ANCHOR_NONE) continue;
    uint32_t *list = &x->keys[n->key].root;
    n->in[ANCHORS_OF_KEY].right = *list;
    n->in[ANCHORS_OF_KEY].size = *list == ANCHOR_NONE ? 1 : i->nodes[*list].in[ANCHORS_OF_KEY].size + 1;
    *list = node;
  }
  anchor_sum(&x->trees, ANCHORS_ALL, x->trees.root);
  for (size_t k = 0; k < x->key_count; k++) {
    uint32_t first = x->keys[k].root;
    x->keys[k].root = anchor_build(&x->trees, ANCHORS_OF_KEY, first, i->nodes[first].in[ANCHORS_OF_KEY].size);
    anchor_sum(&x->trees, ANCHORS_OF_KEY, x->keys[k].root);
  }
}

/* `space`: for three numbers each. */
static int make_marks(const struct indexing *i, uint32_t *space) {
  const struct anchor_trees *t = &i->index->trees;
  uint32_t *order = space, *rank = space + t->count;
  size_t count = 0;
  for (uint32_t node = 0; node < t->count; node++) {
    uint32_t other = i->nodes[node].anchor.is_end ? ANCHOR_NONE : other_of(i->index, i->nodes[node].anchor);
    int error = other == ANCHOR_NONE ? 0 : pair(i, node, other);
    if (error) return error;
    if (other != ANCHOR_NONE) order[count++] = node;
  }
  marks_sort(order, count, yields, i);
  for (size_t k = 0; k < count; k++) rank[order[k]] = (uint32_t)k;
  marks_sort(order, count, by_key_and_place, i);
  struct heap heap = {rank, space + 2 * t->count, 0};
  for (size_t k = 0, end; k < count; k = end) {
    for (end = k + 1; end < count && i->nodes[order[end]].key == i->nodes[order[k]].key;) end++;
    make_runs(i->nodes, order + k, end - k, &heap);
  }
  make_trees(i);
  return 0;
}

static int make(struct indexing *i) {
  struct mark_index *x = i->index;
  const struct text *text = &i->text->as.text->text;
  clear(x);
  int error = text_each_anchor(text, 0, text->size, note_anchor, i);
  size_t count = x->trees.count;
  if (error || !count) return error;
  for (uint32_t node = 0; node + 1 < count; node++) i->nodes[node].in[ANCHORS_ALL].right = node + 1;
  x->trees.root = anchor_build(&x->trees, ANCHORS_ALL, 0, (uint32_t)count);
  uint32_t *space = env_calloc(i->doc->env, 3 * count, sizeof *space);
  error = space ? make_marks(i, space) : DUNLIN_ENOMEM;
  ENV_FREE_ARRAY(i->doc->env, space, 3 * count);
  return error;
}

/* ---- Looking ------------------------------------------------------------------------------------------------ */

int mark_index_ready(dunlin_doc *doc, struct container *c) {
  struct marks *m = &c->as.text->marks;
  struct mark_index *x = &m->index;
  struct text *text = &c->as.text->text;
  struct indexing i = {doc, c, x, x->trees.nodes};
  bool is_kept = x->is_ready && text->notes == &m->notes && !m->notes.is_lost;
  int error = text_flush(text, &doc->text), before = doc->names.error;
  if (error || (is_kept && !m->notes.count)) return error;
  x->is_ready = false;
  x->trees.env = doc->env;
  x->seed = doc->seed;
  doc->names.error = 0; /* which mark wins may hang on ids, and to find these out may fail */
  if (!is_kept || !take_notes(&i, &m->notes)) error = make(&i);
  if (!error) error = doc->names.error;
  doc->names.error = before;
  if (error) return error;
  x->is_ready = true;
  text->notes = &m->notes;
  m->notes.count = 0;
  m->notes.is_lost = false;
  m->notes.looked = text->marked;
  return 0;
}

uint32_t mark_slot(const struct container *c, uint32_t at) {
  return text_entity(&c->as.text->text, at) - at;
}

uint32_t mark_place(const struct container *c, uint32_t anchor) {
  return text_anchor_place(&c->as.text->text, anchor_rank(&c->as.text->marks.index.trees, anchor));
}

/* A run is as long as it can be, and hangs on nothing that has gone. */
static bool runs_agree(const struct mark_index *x) {
  for (size_t node = 0; node < x->trees.count; node++) {
    const struct anchor_node *n = &x->trees.nodes[node];
    bool begins = n->run != ANCHOR_NONE, ends = n->ended != ANCHOR_NONE;
    if (begins != (n->run_end != ANCHOR_NONE) || (begins && n->run == n->ended)) return false;
    if ((begins || ends) && (n->is_dead || n->other == ANCHOR_NONE)) return false;
    if (begins && (x->trees.nodes[n->run_end].ended != n->run || x->trees.nodes[n->run].other == ANCHOR_NONE))
      return false;
  }
  return true;
}

int mark_index_check(const struct mark_index *x) {
  int error = anchor_check(&x->trees, ANCHORS_ALL, x->trees.root);
  for (size_t k = 0; !error && k < x->key_count; k++) error = anchor_check(&x->trees, ANCHORS_OF_KEY, x->keys[k].root);
  return error || runs_agree(x) ? error : DUNLIN_ECORRUPT;
}
