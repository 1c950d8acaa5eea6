#include "crdt/tracker_private.h"

#include <string.h>

#define GONE TRACKER_GONE
enum { BASE_LEN = 0x40000000 };

void tracker_init(struct tracker *t, const struct dunlin_env *env,
                  bool (*before)(void *ctx, uint32_t ord, uint32_t other),
                  bool (*wins)(void *ctx, uint32_t ord, uint32_t other), void *ctx) {
  *t = (struct tracker){.env = env, .before = before, .wins = wins, .ctx = ctx};
}

void tracker_free(struct tracker *t) {
  ENV_FREE_ARRAY(t->env, t->leaves, t->leaf_cap);
  ENV_FREE_ARRAY(t->env, t->nodes, t->node_cap);
  ENV_FREE_ARRAY(t->env, t->index, t->index_cap);
  ENV_FREE_ARRAY(t->env, t->entries, t->entry_cap);
  tracker_moves_free(t);
  tracker_chain_free(t);
  tracker_init(t, t->env, t->before, t->wins, t->ctx);
}

/* ---- Spans -------------------------------------------------------------------------------------------------- */

static uint32_t prepare_state(const struct tracker_span *s) {
  return tracker_prepare_state(s);
}
static uint32_t inserted_len(const struct tracker_span *s) {
  return prepare_state(s) ? s->len : 0;
}
static uint32_t now_len(const struct tracker_span *s) {
  return prepare_state(s) == 1 ? s->len : 0;
}
static uint32_t effect_len(const struct tracker_span *s) {
  return s->state & GONE ? 0 : s->len;
}

/* Whether `next`, right behind `s`, could be one span with it. */
static bool spans_join(const struct tracker_span *s, const struct tracker_span *next) {
  if (s->state != next->state || s->id + s->len != next->id || s->state & (TRACKER_MOVED | TRACKER_OPENING))
    return false;
  return s->id >= TRACKER_BASE || (next->left == next->id - 1 && next->right == s->right);
}

/* ---- The tree ----------------------------------------------------------------------------------------------- */

static struct tracker_node *node_of(const struct tracker_leaf *leaf, struct tracker *t) {
  return &t->nodes[leaf->parent];
}

static void add_counts(struct tracker *t, const struct tracker_leaf *leaf, uint32_t now, uint32_t effect) {
  uint32_t at = leaf->parent, slot = leaf->slot;
  for (uint32_t h = t->height; h; h--) {
    struct tracker_node *n = &t->nodes[at];
    n->now[slot] += now;
    n->effect[slot] += effect;
    slot = n->slot;
    at = n->parent;
  }
  t->now += now;
  t->effect += effect;
}

static bool mark_child(struct tracker_node *n, uint32_t slot, bool inserted) {
  bool before = n->inserted;
  n->inserted = (n->inserted & ~(1u << slot)) | (uint32_t)inserted << slot;
  return before != (bool)n->inserted;
}

static void mark_leaf(struct tracker *t, const struct tracker_leaf *leaf, bool inserted) {
  uint32_t at = leaf->parent, slot = leaf->slot;
  for (uint32_t h = t->height; h && mark_child(&t->nodes[at], slot, inserted); h--) {
    slot = t->nodes[at].slot;
    at = t->nodes[at].parent;
  }
}

/* A leaf has `by` more items that are inserted at the prepare version. */
static void add_inserted(struct tracker *t, struct tracker_leaf *leaf, uint32_t by) {
  uint32_t before = leaf->inserted;
  leaf->inserted += by;
  if (!before != !leaf->inserted) mark_leaf(t, leaf, !before);
}

/* What a leaf holds, counted, as its parent should say. */
static void recount_leaf(struct tracker *t, struct tracker_leaf *leaf) {
  struct tracker_node *n = node_of(leaf, t);
  uint32_t now = 0, effect = 0, base = 0;
  leaf->inserted = 0;
  for (uint32_t i = 0; i < leaf->count; i++) {
    leaf->inserted += inserted_len(&leaf->spans[i]);
    now += now_len(&leaf->spans[i]);
    effect += effect_len(&leaf->spans[i]);
    if (leaf->spans[i].id >= TRACKER_BASE) base += leaf->spans[i].len;
  }
  n->now[leaf->slot] = now;
  n->effect[leaf->slot] = effect;
  n->base[leaf->slot] = base;
  mark_child(n, leaf->slot, leaf->inserted);
}

static void recount_node(struct tracker *t, uint32_t node) {
  const struct tracker_node *n = &t->nodes[node];
  struct tracker_node *p = &t->nodes[n->parent];
  uint32_t now = 0, effect = 0, base = 0;
  for (uint32_t i = 0; i < n->count; i++) {
    now += n->now[i];
    effect += n->effect[i];
    base += n->base[i];
  }
  p->now[n->slot] = now;
  p->effect[n->slot] = effect;
  p->base[n->slot] = base;
  mark_child(p, n->slot, n->inserted);
}

static void set_parent(struct tracker *t, uint32_t height, uint32_t child, uint32_t parent, uint32_t slot) {
  if (height == 1) {
    t->leaves[child].parent = parent;
    t->leaves[child].slot = slot;
  } else {
    t->nodes[child].parent = parent;
    t->nodes[child].slot = slot;
  }
}

static void move_children(struct tracker *t, uint32_t height, uint32_t from, uint32_t first, uint32_t to, uint32_t at,
                          uint32_t count) {
  struct tracker_node *f = &t->nodes[from], *d = &t->nodes[to];
  memmove(&d->child[at], &f->child[first], count * sizeof *d->child);
  memmove(&d->now[at], &f->now[first], count * sizeof *d->now);
  memmove(&d->effect[at], &f->effect[first], count * sizeof *d->effect);
  memmove(&d->base[at], &f->base[first], count * sizeof *d->base);
  uint32_t all = (1u << count) - 1, inserted = f->inserted >> first & all;
  d->inserted = (d->inserted & ~(all << at)) | inserted << at;
  for (uint32_t i = 0; i < count; i++) set_parent(t, height, d->child[at + i], to, at + i);
}

/* A new node above the root. */
static void grow_root(struct tracker *t) {
  uint32_t root = (uint32_t)t->node_count++;
  t->nodes[root] = (struct tracker_node){.count = 1, .child = {t->root}};
  t->nodes[t->root].parent = root;
  t->nodes[t->root].slot = 0;
  uint32_t old = t->root;
  t->root = root;
  t->height++;
  recount_node(t, old);
}

/* Puts `child` into `parent` (whose children have height `height` - 1) behind slot `slot`, splitting it when it is
 * full. */
static void insert_child(struct tracker *t, uint32_t height, uint32_t parent, uint32_t slot, uint32_t child) {
  if (t->nodes[parent].count == TRACKER_FANOUT) {
    enum { half = TRACKER_FANOUT / 2 };
    if (parent == t->root) grow_root(t);
    uint32_t other = (uint32_t)t->node_count++;
    t->nodes[other] = (struct tracker_node){.count = half};
    move_children(t, height, parent, half, other, 0, half);
    t->nodes[parent].count = half;
    t->nodes[parent].inserted &= (1u << half) - 1;
    insert_child(t, height + 1, t->nodes[parent].parent, t->nodes[parent].slot, other);
    recount_node(t, parent);
    recount_node(t, other);
    if (slot >= half) parent = other, slot -= half;
  }
  struct tracker_node *n = &t->nodes[parent];
  move_children(t, height, parent, slot + 1, parent, slot + 2, n->count - slot - 1);
  n->count++;
  n->child[slot + 1] = child;
  n->now[slot + 1] = n->effect[slot + 1] = n->base[slot + 1] = 0;
  mark_child(n, slot + 1, false);
  set_parent(t, height, child, parent, slot + 1);
}

static void index_set(struct tracker *t, uint32_t ord, uint32_t len, uint32_t value, uint32_t step) {
  uint32_t at = ord - t->first_ord, skipped = at % TRACKER_STRETCH;
  const struct tracker_stretch *s = &t->index[at / TRACKER_STRETCH];
  if (s->step != TRACKER_UNEVEN || skipped + len > TRACKER_STRETCH) {
    tracker_index_set(t, ord, len, value, step);
    return;
  }
  uint32_t *entries = &t->entries[s->value + skipped];
  for (uint32_t i = 0; i < len; i++) entries[i] = value + i * step;
}

static void index_span(struct tracker *t, const struct tracker_span *s, uint32_t leaf) {
  if (s->id < TRACKER_BASE) index_set(t, s->id, s->len, leaf, 0);
}

static void split_leaf(struct tracker *t, uint32_t at) {
  enum { half = TRACKER_SPANS / 2 };
  uint32_t other = (uint32_t)t->leaf_count++;
  struct tracker_leaf *from = &t->leaves[at], *to = &t->leaves[other];
  to->count = from->count - half;
  to->next = from->next;
  from->next = other;
  memcpy(to->spans, from->spans + half, to->count * sizeof *to->spans);
  from->count = half;
  insert_child(t, 1, from->parent, from->slot, other);
  recount_leaf(t, from);
  recount_leaf(t, to);
  for (uint32_t i = 0; i < to->count; i++) index_span(t, &to->spans[i], other);
}

int tracker_reset(struct tracker *t, uint32_t first_ord) {
  if (ENV_GROW(t->env, t->leaves, t->leaf_cap, 4) || ENV_GROW(t->env, t->nodes, t->node_cap, 4)) return DUNLIN_ENOMEM;
  tracker_moves_free(t);
  if (t->link_count) tracker_chain_reset(t);
  t->leaf_count = t->node_count = t->height = 1;
  t->root = 0;
  t->first_ord = first_ord;
  t->index_count = t->entry_count = t->even_count = t->entry_limit = 0;
  t->now = t->effect = BASE_LEN;
  t->leaves[0].parent = t->leaves[0].slot = 0;
  t->leaves[0].count = 1;
  t->leaves[0].inserted = BASE_LEN;
  t->leaves[0].next = TRACKER_NONE;
  t->leaves[0].spans[0] = (struct tracker_span){TRACKER_BASE, BASE_LEN, TRACKER_NONE, TRACKER_NONE, 1};
  struct tracker_node *n = &t->nodes[0];
  n->count = n->inserted = 1;
  n->child[0] = 0;
  n->now[0] = n->effect[0] = n->base[0] = BASE_LEN;
  return 0;
}

int tracker_make_room(struct tracker *t, uint32_t ord_end) {
  enum { half = TRACKER_FANOUT / 2 }; /* all nodes have as many children, but those at the right edge */
  size_t nodes = 1;
  if (ENV_GROW(t->env, t->leaves, t->leaf_cap, t->leaf_count + 2)) return DUNLIN_ENOMEM;
  for (size_t below = t->leaf_cap; below > 1; below /= half) nodes += below / half + 1;
  return ENV_GROW(t->env, t->nodes, t->node_cap, nodes) ? DUNLIN_ENOMEM : tracker_index_reserve(t, ord_end);
}

/* ---- Places ------------------------------------------------------------------------------------------------- */

/* The item visible at `index` of the prepare version. */
static struct place find_now(const struct tracker *t, uint32_t index) {
  uint32_t at = t->root, effect = 0;
  for (uint32_t h = t->height; h; h--) {
    const struct tracker_node *n = &t->nodes[at];
    uint32_t i = 0;
    for (; index >= n->now[i]; i++) {
      index -= n->now[i];
      effect += n->effect[i];
    }
    at = n->child[i];
  }
  const struct tracker_leaf *leaf = &t->leaves[at];
  uint32_t i = 0;
  for (; index >= now_len(&leaf->spans[i]); i++) {
    index -= now_len(&leaf->spans[i]);
    effect += effect_len(&leaf->spans[i]);
  }
  return (struct place){at, i, index, effect + (leaf->spans[i].state & GONE ? 0 : index)};
}

static struct place find_base(const struct tracker *t, uint32_t index) {
  uint32_t at = t->root;
  for (uint32_t h = t->height; h; h--) {
    const struct tracker_node *n = &t->nodes[at];
    uint32_t i = 0;
    for (; index >= n->base[i]; i++) index -= n->base[i];
    at = n->child[i];
  }
  const struct tracker_leaf *leaf = &t->leaves[at];
  for (uint32_t i = 0;; i++) {
    const struct tracker_span *s = &leaf->spans[i];
    if (s->id < TRACKER_BASE) continue;
    if (index < s->len) return (struct place){at, i, index, 0};
    index -= s->len;
  }
}

static struct place find_item(const struct tracker *t, uint32_t id) {
  if (id >= TRACKER_BASE) return find_base(t, id - TRACKER_BASE);
  uint32_t at = tracker_index_at(t, id), i = 0;
  const struct tracker_leaf *leaf = &t->leaves[at];
  while (id - leaf->spans[i].id >= leaf->spans[i].len) i++;
  return (struct place){at, i, id - leaf->spans[i].id, 0};
}

/* The first slot from `from` on whose bit is set; TRACKER_FANOUT. */
static uint32_t next_bit(uint32_t bits, uint32_t from) {
  while (from < TRACKER_FANOUT && !(bits >> from & 1)) from++;
  return from;
}

/* The first item from `p` on whose insertion is in the prepare version, visible or not; the end when there is none. */
static struct place next_inserted(const struct tracker *t, struct place p) {
  const struct tracker_leaf *leaf = &t->leaves[p.leaf];
  for (; p.slot < leaf->count; p.slot++, p.offset = 0)
    if (prepare_state(&leaf->spans[p.slot])) return p;
  uint32_t at = leaf->parent, slot = next_bit(t->nodes[at].inserted, leaf->slot + 1), h = 1;
  for (; slot == TRACKER_FANOUT && h < t->height; h++) {
    slot = t->nodes[at].slot + 1;
    at = t->nodes[at].parent;
    slot = next_bit(t->nodes[at].inserted, slot);
  }
  bool at_end = slot == TRACKER_FANOUT;
  at = t->nodes[at].child[at_end ? t->nodes[at].count - 1 : slot];
  while (--h) at = t->nodes[at].child[at_end ? t->nodes[at].count - 1 : next_bit(t->nodes[at].inserted, 0)];
  leaf = &t->leaves[at];
  for (slot = 0; slot < leaf->count && !prepare_state(&leaf->spans[slot]);) slot++;
  return (struct place){at, slot, 0, 0};
}

/* ---- Changing spans ----------------------------------------------------------------------------------------- */

/* Room for `count` spans in the leaf of `p`; the place stays where it was in the sequence. */
static void make_room(struct tracker *t, struct place *p, uint32_t count) {
  if (t->leaves[p->leaf].count + count <= TRACKER_SPANS) return;
  split_leaf(t, p->leaf);
  if (p->slot < t->leaves[p->leaf].count) return;
  p->slot -= t->leaves[p->leaf].count;
  p->leaf = t->leaves[p->leaf].next;
}

/* Cuts the span at `p` in two at its offset, which lies inside; `p` is at the start of the second part then. */
static void cut(struct tracker *t, struct place *p) {
  struct tracker_leaf *leaf = &t->leaves[p->leaf];
  struct tracker_span *s = &leaf->spans[p->slot];
  memmove(s + 2, s + 1, (leaf->count - p->slot - 1) * sizeof *s);
  leaf->count++;
  s[1] = *s;
  s[1].id += p->offset;
  s[1].len -= p->offset;
  s[1].left = s[1].id - 1;
  s->len = p->offset;
  p->slot++;
  p->offset = 0;
}

/* Makes the `len` items from `p` on a span of their own. */
static void isolate(struct tracker *t, struct place *p, uint32_t len) {
  make_room(t, p, 2);
  if (p->offset) cut(t, p);
  struct place end = *p;
  end.offset = len;
  if (len < t->leaves[p->leaf].spans[p->slot].len) cut(t, &end);
}

/* Joins the span at `slot` with the one behind it, if that can be. */
static bool join(struct tracker_leaf *leaf, uint32_t slot) {
  struct tracker_span *s = &leaf->spans[slot];
  if (slot + 1 >= leaf->count || !spans_join(s, s + 1)) return false;
  s->len += s[1].len;
  leaf->count--;
  memmove(s + 1, s + 2, (leaf->count - slot - 1) * sizeof *s);
  return true;
}

/* That it becomes inserted or ceases to be has to be counted besides. */
static void set_state(struct tracker *t, const struct place *p, uint32_t state) {
  struct tracker_leaf *leaf = &t->leaves[p->leaf];
  struct tracker_span *s = &leaf->spans[p->slot];
  uint32_t now = now_len(s), effect = effect_len(s);
  s->state = state;
  if (now_len(s) != now || effect_len(s) != effect) add_counts(t, leaf, now_len(s) - now, effect_len(s) - effect);
  join(leaf, p->slot);
  if (p->slot) join(leaf, p->slot - 1);
}

/* ---- Operations --------------------------------------------------------------------------------------------- */

static void put_span(struct tracker *t, struct place p, struct tracker_span span) {
  struct tracker_leaf *leaf = &t->leaves[p.leaf];
  if (!p.offset && p.slot && spans_join(&leaf->spans[p.slot - 1], &span)) {
    leaf->spans[p.slot - 1].len += span.len;
  } else {
    make_room(t, &p, 2);
    if (p.offset) cut(t, &p);
    leaf = &t->leaves[p.leaf];
    struct tracker_span *s = &leaf->spans[p.slot];
    memmove(s + 1, s, (leaf->count - p.slot) * sizeof *s);
    leaf->count++;
    *s = span;
  }
  add_counts(t, leaf, now_len(&span), effect_len(&span));
  add_inserted(t, leaf, inserted_len(&span));
  index_span(t, &span, (uint32_t)(leaf - t->leaves));
}

/* The place behind the item visible before `index` of the prepare version, and that item; the start. */
static struct place find_gap(const struct tracker *t, uint32_t index, uint32_t *left) {
  struct place p = {0, 0, 0, 0};
  *left = TRACKER_NONE;
  if (!index) return p;
  p = find_now(t, index - 1);
  const struct tracker_span *s = &t->leaves[p.leaf].spans[p.slot];
  *left = s->id + p.offset;
  p.effect += s->state & GONE ? 0 : 1;
  if (++p.offset == s->len) p.slot++, p.offset = 0;
  return p;
}

/* The item at a place; NULL at the end. */
static const struct tracker_span *span_or_end(const struct tracker *t, struct place p) {
  const struct tracker_leaf *leaf = &t->leaves[p.leaf];
  return p.slot < leaf->count ? &leaf->spans[p.slot] : NULL;
}

/* A closing anchor is not in the way of what is inserted behind it, unless something in the version hangs on it: its
 * left origin is taken instead. */
static uint32_t left_origin(const struct tracker *t, uint32_t left, uint32_t next_left) {
  if (left >= TRACKER_BASE || left == next_left) return left;
  struct place p = find_item(t, left);
  if (!tracker_is_closing(tracker_span_at(t, p))) return left;
  return tracker_chain_has(t, left, next_left, false) ? next_left : tracker_chain_root(t, left, false);
}

/* Likewise an opening anchor for what is inserted before it. */
static uint32_t right_origin(const struct tracker *t, const struct tracker_span *next, uint32_t offset) {
  if (!next) return TRACKER_NONE;
  return tracker_is_opening(next) ? tracker_chain_root(t, next->id, true) : next->id + offset;
}

uint32_t tracker_put(struct tracker *t, uint32_t ord, uint32_t at, uint32_t len, uint32_t state) {
  uint32_t behind;
  struct place p = find_gap(t, at, &behind), to = next_inserted(t, p);
  const struct tracker_span *next = span_or_end(t, to);
  struct tracker_span span = {.id = ord, .len = len, .state = state};
  span.left = left_origin(t, behind, next ? tracker_left_of(next, to.offset) : TRACKER_NONE);
  span.right = right_origin(t, next, to.offset);
  uint32_t before = next ? next->id + to.offset : TRACKER_NONE;
  if (to.leaf != p.leaf || to.slot != p.slot) p = tracker_order(t, p, to, behind, before, &span);
  put_span(t, p, span);
  return p.effect;
}

static uint32_t put_closing(struct tracker *t, uint32_t ord, uint32_t at, uint32_t state) {
  struct tracker_span span = {.id = ord, .len = 1, .right = TRACKER_BEHIND, .state = state};
  struct place p = find_gap(t, at, &span.left), to = next_inserted(t, p);
  if (to.leaf != p.leaf || to.slot != p.slot) p = tracker_order(t, p, to, span.left, span.right, &span);
  tracker_chain_add(t, &span, false);
  put_span(t, p, span);
  return p.effect;
}

/* The place behind the last item before `p`, where a span begins, whose insertion is in the prepare version; the
 * start. */
static struct place behind_inserted(const struct tracker *t, struct place p) {
  while (p.slot) {
    if (prepare_state(&t->leaves[p.leaf].spans[p.slot - 1])) return p;
    p.slot--;
  }
  uint32_t at = t->leaves[p.leaf].parent, slot = t->leaves[p.leaf].slot, h = 1;
  uint32_t bits = t->nodes[at].inserted & ((1u << slot) - 1);
  for (; !bits && h < t->height; h++) {
    slot = t->nodes[at].slot;
    at = t->nodes[at].parent;
    bits = t->nodes[at].inserted & ((1u << slot) - 1);
  }
  if (!bits) return (struct place){0, 0, 0, 0};
  while (h--) {
    for (slot = 0; bits >> 1; bits >>= 1) slot++; /* the last */
    at = t->nodes[at].child[slot];
    if (h) bits = t->nodes[at].inserted;
  }
  p = (struct place){at, t->leaves[at].count, 0, 0};
  while (p.slot && !prepare_state(&t->leaves[at].spans[p.slot - 1])) p.slot--;
  return p;
}

static uint32_t put_opening(struct tracker *t, uint32_t ord, uint32_t at, uint32_t state) {
  struct place to = find_now(t, at), p = to;
  const struct tracker_span *s = &t->leaves[to.leaf].spans[to.slot];
  struct tracker_span span = {ord, 1, tracker_left_of(s, to.offset), s->id + to.offset, state | TRACKER_OPENING};
  if (!to.offset) p = behind_inserted(t, to);
  if (p.leaf != to.leaf || p.slot != to.slot) {
    uint32_t now;
    tracker_count_before(t, p, &now, &p.effect);
    p = tracker_order(t, p, to, span.left, span.right, &span);
  }
  tracker_chain_add(t, &span, true);
  put_span(t, p, span);
  return p.effect;
}

uint32_t tracker_insert(struct tracker *t, uint32_t ord, uint32_t at, uint32_t len, bool gone) {
  return tracker_put(t, ord, at, len, gone ? 1 | GONE : 1);
}

uint32_t tracker_insert_anchor(struct tracker *t, uint32_t ord, uint32_t at, bool opening, bool gone) {
  uint32_t state = gone ? 1 | GONE : 1;
  return opening ? put_opening(t, ord, at, state) : put_closing(t, ord, at, state);
}

uint32_t tracker_delete(struct tracker *t, uint32_t ord, uint32_t at, uint32_t len, bool backward, bool idle,
                        uint32_t *effect) {
  struct place p = find_now(t, at);
  const struct tracker_span *s = &t->leaves[p.leaf].spans[p.slot];
  uint32_t all = len;
  if (len > s->len - p.offset) len = s->len - p.offset;
  uint32_t id = s->id + p.offset;
  if (backward) ord += all - len;
  if (s->state & TRACKER_MOVED) {
    *effect = tracker_moves_delete(t, id, idle);
    index_set(t, ord, 1, id, 1);
    return 1;
  }
  *effect = idle || s->state & GONE ? TRACKER_NONE : p.effect;
  uint32_t state = (s->state + 1) | (idle ? s->state & GONE : GONE);
  isolate(t, &p, len);
  set_state(t, &p, state);
  index_set(t, ord, len, backward ? id + len - 1 : id, backward ? (uint32_t)-1 : 1);
  return len;
}

void tracker_note(struct tracker *t, uint32_t ord, uint32_t at) {
  struct place p = find_now(t, at);
  index_set(t, ord, 1, tracker_span_at(t, p)->id + p.offset, 1);
}

/* Changes how often the items from `id`, which is at `p`, on are inserted or deleted at the prepare version; as many of
 * `len` as lie together. */
static uint32_t move_items(struct tracker *t, uint32_t id, struct place p, uint32_t len, int by, bool deletes) {
  const struct tracker_span *s = &t->leaves[p.leaf].spans[p.slot];
  if (s->state & TRACKER_MOVED) {
    if (deletes) tracker_moves_step_delete(t, id, by);
    else tracker_moves_step_slot(t, id, by);
    return 1;
  }
  if (len > s->len - p.offset) len = s->len - p.offset;
  uint32_t state = s->state + (uint32_t)by;
  isolate(t, &p, len);
  if (!deletes) add_inserted(t, &t->leaves[p.leaf], by < 0 ? -len : len);
  set_state(t, &p, state);
  return len;
}

uint32_t tracker_move_insert(struct tracker *t, uint32_t ord, uint32_t len, int by) {
  return move_items(t, ord, find_item(t, ord), len, by, false);
}

uint32_t tracker_move_delete(struct tracker *t, uint32_t ord, uint32_t len, int by) {
  uint32_t id = tracker_index_at(t, ord);
  struct place p = find_item(t, id);
  uint32_t behind = t->leaves[p.leaf].spans[p.slot].len - p.offset;
  uint32_t up = tracker_index_run(t, ord, len < behind ? len : behind, 1);
  if (up > 1 || len == 1 || !p.offset) return move_items(t, id, p, up, by, true);
  /* The first operations delete items that lie in the opposite order; a span's part of them that includes the first. */
  uint32_t down = tracker_index_run(t, ord, len < p.offset + 1 ? len : p.offset + 1, (uint32_t)-1);
  p.offset -= down - 1;
  return move_items(t, id - (down - 1), p, down, by, true);
}

uint32_t tracker_prepare_index(const struct tracker *t, uint32_t at, bool item) {
  uint32_t node = t->root, now = 0, index = item ? at : at - 1;
  if (!item && !at) return 0;
  for (uint32_t h = t->height; h; h--) {
    const struct tracker_node *n = &t->nodes[node];
    uint32_t i = 0;
    for (; index >= n->effect[i]; i++) {
      index -= n->effect[i];
      now += n->now[i];
    }
    node = n->child[i];
  }
  const struct tracker_span *s = t->leaves[node].spans;
  for (; index >= effect_len(s); s++) {
    index -= effect_len(s);
    now += now_len(s);
  }
  bool visible = now_len(s);
  if (item && s->state & TRACKER_MOVED) return tracker_moves_now(t, s->id);
  if (item) return visible ? now + index : TRACKER_NONE;
  return visible ? now + index + 1 : now;
}

uint32_t tracker_now_index(const struct tracker *t, uint32_t ord) {
  struct place p = find_item(t, ord);
  uint32_t now, effect;
  if (!now_len(tracker_span_at(t, p))) return TRACKER_NONE;
  tracker_count_before(t, p, &now, &effect);
  return now + p.offset;
}

bool tracker_base_untouched(const struct tracker *t, uint32_t *visible) {
  uint32_t at = t->root;
  for (uint32_t h = t->height; h; h--) at = t->nodes[at].child[t->nodes[at].count - 1];
  const struct tracker_span *last = &t->leaves[at].spans[t->leaves[at].count - 1];
  *visible = t->effect - BASE_LEN;
  return last->id == TRACKER_BASE && last->len == BASE_LEN && last->state == 1;
}

/* ---- For tracker_move.c ------------------------------------------------------------------------------------- */

struct tracker_span *tracker_span_at(const struct tracker *t, struct place p) {
  return &t->leaves[p.leaf].spans[p.slot];
}

struct place tracker_find_now(const struct tracker *t, uint32_t index) {
  return find_now(t, index);
}

struct place tracker_find_item(const struct tracker *t, uint32_t id) {
  return find_item(t, id);
}

void tracker_count_before(const struct tracker *t, struct place p, uint32_t *now, uint32_t *effect) {
  const struct tracker_leaf *leaf = &t->leaves[p.leaf];
  *now = *effect = 0;
  for (uint32_t i = 0; i < p.slot; i++) {
    *now += now_len(&leaf->spans[i]);
    *effect += effect_len(&leaf->spans[i]);
  }
  uint32_t slot = leaf->slot, at = leaf->parent;
  for (uint32_t h = t->height; h; h--) {
    const struct tracker_node *n = &t->nodes[at];
    for (uint32_t i = 0; i < slot; i++) {
      *now += n->now[i];
      *effect += n->effect[i];
    }
    slot = n->slot;
    at = n->parent;
  }
}

void tracker_isolate(struct tracker *t, struct place *p, uint32_t len) {
  isolate(t, p, len);
}

void tracker_set_state(struct tracker *t, const struct place *p, uint32_t state) {
  const struct tracker_span *s = tracker_span_at(t, *p);
  bool was_inserted = prepare_state(s), is_inserted = state & ~(GONE | TRACKER_MOVED);
  if (was_inserted != is_inserted) add_inserted(t, &t->leaves[p->leaf], is_inserted ? s->len : -s->len);
  set_state(t, p, state);
}

/* ---- Checking ----------------------------------------------------------------------------------------------- */

/* Counts what a leaf holds; `*next` is the leaf that must come now, and becomes the one behind it. */
static int check_leaf(const struct tracker *t, uint32_t at, uint32_t counts[3], uint32_t *next) {
  const struct tracker_leaf *leaf = &t->leaves[at];
  if (!leaf->count || leaf->count > TRACKER_SPANS || *next != at) return DUNLIN_ECORRUPT;
  *next = leaf->next;
  uint32_t inserted = 0;
  for (uint32_t i = 0; i < leaf->count; i++) {
    const struct tracker_span *s = &leaf->spans[i];
    inserted += inserted_len(s);
    if (!s->len || (s->id >= TRACKER_BASE && s->id - TRACKER_BASE != counts[2])) return DUNLIN_ECORRUPT;
    counts[0] += now_len(s);
    counts[1] += effect_len(s);
    if (s->id >= TRACKER_BASE) counts[2] += s->len;
    for (uint32_t k = 0; s->id < TRACKER_BASE && k < s->len; k++)
      if (tracker_index_at(t, s->id + k) != at) return DUNLIN_ECORRUPT;
  }
  return inserted == leaf->inserted ? 0 : DUNLIN_ECORRUPT;
}

static int check_node(const struct tracker *t, uint32_t at, uint32_t height, uint32_t counts[3], uint32_t *next) {
  const struct tracker_node *n = &t->nodes[at];
  if (!n->count || n->count > TRACKER_FANOUT || n->inserted >> n->count) return DUNLIN_ECORRUPT;
  for (uint32_t i = 0; i < n->count; i++) {
    uint32_t c = n->child[i], own[3] = {0};
    bool linked = height == 1 ? t->leaves[c].parent == at && t->leaves[c].slot == i
                              : t->nodes[c].parent == at && t->nodes[c].slot == i;
    own[2] = counts[2]; /* items of the base come in order */
    int error = !linked       ? DUNLIN_ECORRUPT
                : height == 1 ? check_leaf(t, c, own, next)
                              : check_node(t, c, height - 1, own, next);
    own[2] -= counts[2];
    if (error) return error;
    bool inserted = height == 1 ? t->leaves[c].inserted : t->nodes[c].inserted;
    if ((n->inserted >> i & 1) != inserted) return DUNLIN_ECORRUPT;
    if (own[0] != n->now[i] || own[1] != n->effect[i] || own[2] != n->base[i]) return DUNLIN_ECORRUPT;
    for (int k = 0; k < 3; k++) counts[k] += own[k];
  }
  return 0;
}

int tracker_check(const struct tracker *t, bool deep) {
  uint32_t counts[3] = {0}, next = 0;
  if (!t->leaf_count || !deep) return 0;
  int error = check_node(t, t->root, t->height, counts, &next);
  if (error || next != TRACKER_NONE) return error ? error : DUNLIN_ECORRUPT;
  if (counts[0] != t->now || counts[1] != t->effect || counts[2] != BASE_LEN) return DUNLIN_ECORRUPT;
  return tracker_moves_check(t);
}
