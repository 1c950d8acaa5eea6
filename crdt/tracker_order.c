/* Where concurrent insertions at one place go.
 *
 * FugueMax orders items by a tree.  An item is the left child of its right origin when that had the same left origin,
 * and else the right child of its left origin.  Left children of one item stand in the order of their operations, right
 * children in the reverse order of their right origins, ties by operation.  What an item is an ancestor of lies around
 * it without gaps.
 *
 * The items between the origins of a new one are those that its author had not seen.  Each stands where its topmost
 * ancestor among them stands, and that one is either a sibling of the new item or decided by where its own parent is.
 * So they can be searched by halves.  The items next to the two origins come first: mostly one of them is decided at
 * once, by one of its own origins, and the way to an ancestor, which may be long, need not be gone. */
#include "crdt/tracker_private.h"

enum { HEIGHT_MAX = 16 }; /* nodes are half full: 2^32 items need less */

/* ---- Before and after --------------------------------------------------------------------------------------- */

/* Whether leaf `a` lies before leaf `b`. */
static bool leaf_before(const struct tracker *t, uint32_t a, uint32_t b) {
  uint32_t sa = t->leaves[a].slot, sb = t->leaves[b].slot;
  a = t->leaves[a].parent;
  b = t->leaves[b].parent;
  while (a != b) {
    sa = t->nodes[a].slot;
    sb = t->nodes[b].slot;
    a = t->nodes[a].parent;
    b = t->nodes[b].parent;
  }
  return sa < sb;
}

static bool place_before(const struct tracker *t, struct place p, struct place q) {
  if (p.leaf != q.leaf) return leaf_before(t, p.leaf, q.leaf);
  return p.slot != q.slot ? p.slot < q.slot : p.offset < q.offset;
}

/* Whether right origin `a` lies before `b`. */
static bool right_before(const struct tracker *t, uint32_t a, uint32_t b) {
  if (a == TRACKER_BEHIND || b == TRACKER_BEHIND) return a != b && b == TRACKER_BEHIND;
  if (a == TRACKER_NONE || b == TRACKER_NONE) return a != b && b == TRACKER_NONE;
  return place_before(t, tracker_find_item(t, a), tracker_find_item(t, b));
}

/* ---- The tree ----------------------------------------------------------------------------------------------- */

/* Whether an item with these origins is the left child of the right one. */
static bool is_left_child(const struct tracker *t, uint32_t left, uint32_t right) {
  if (right == TRACKER_NONE || right == TRACKER_BEHIND) return false;
  struct place p = tracker_find_item(t, right);
  const struct tracker_span *s = tracker_span_at(t, p);
  return left == tracker_left_of(s, p.offset);
}

struct newcomer {
  uint32_t ord, left, right;
  uint32_t behind, next; /* what it comes to stand between, but for the others there */
  bool is_left_child, is_opening;
};

/* Whether a sibling with the same origins comes before it.  Anchors that keep to one item stand next to it, the one
 * that wins nearest. */
static bool sibling_before(const struct tracker *t, const struct newcomer *x, const struct tracker_span *s) {
  if (x->right == TRACKER_BEHIND) return !t->wins(t->ctx, x->ord, s->id);
  if (x->is_opening != tracker_is_opening(s)) return x->is_opening;
  return x->is_opening ? t->wins(t->ctx, x->ord, s->id) : !t->before(t->ctx, x->ord, s->id);
}

/* Whether an item is among the anchors from `from` on, each of which hangs on the next, up to the origin. */
static bool is_passed(const struct tracker *t, uint32_t from, uint32_t origin, uint32_t item, bool opening) {
  return from != origin && item != origin && tracker_chain_has(t, from, item, opening) &&
         !tracker_chain_has(t, origin, item, opening);
}

/* The last anchor of a chain that the author of the newcomer had not seen either, and if it is none the span itself.
 * Only there can one be a sibling of the newcomer: its parent is in the version. */
static const struct tracker_span *last_unseen(const struct tracker *t, const struct tracker_span *s) {
  bool opening = tracker_is_opening(s);
  if (!opening && !tracker_is_closing(s)) return s;
  return tracker_span_at(t, tracker_find_item(t, tracker_chain_unseen(t, s->id, opening)));
}

/* Whether a span between the newcomer's origins comes before it. */
static bool goes_before(const struct tracker *t, const struct newcomer *x, const struct tracker_span *s) {
  for (;;) {
    if (s->left == x->left && s->right == x->right) return sibling_before(t, x, s);
    bool is_left = is_left_child(t, s->left, s->right);
    uint32_t parent = is_left ? s->right : s->left;
    const struct tracker_span *above = parent == TRACKER_NONE ? NULL : tracker_span_at(t, tracker_find_item(t, parent));
    if (above && !tracker_prepare_state(above)) {
      s = last_unseen(t, above);
      continue;
    }
    /* What hangs on an anchor that was passed over goes with it. */
    if (!is_left && is_passed(t, x->behind, x->left, parent, false)) return true;
    if (is_left && is_passed(t, x->next, x->right, parent, true)) return false;
    /* A left child of the right origin has other siblings than those, and comes after all that are none of its own. */
    if (x->is_left_child) return true;
    return parent == x->left && right_before(t, x->right, s->right);
  }
}

/* ---- Searching ---------------------------------------------------------------------------------------------- */

static uint32_t first_leaf(const struct tracker *t, uint32_t at, uint32_t height) {
  while (height--) at = t->nodes[at].child[0];
  return at;
}

/* The last of the children `from` + 1 .. `to` of a node (children of height `height`) that begins with an item that
 * comes before the newcomer; `from` when none does.  None at or behind `end` does. */
static uint32_t last_before(const struct tracker *t, const struct newcomer *x, uint32_t node, uint32_t height,
                            uint32_t from, uint32_t to, struct place end) {
  while (from < to) {
    uint32_t mid = (from + to + 1) / 2;
    struct place first = {first_leaf(t, t->nodes[node].child[mid], height), 0, 0, 0};
    if (place_before(t, first, end) && goes_before(t, x, tracker_span_at(t, first))) from = mid;
    else to = mid - 1;
  }
  return from;
}

/* The last leaf behind that of `from` that begins with an item that comes before the newcomer; that of `from` when none
 * does. */
static uint32_t find_leaf(const struct tracker *t, const struct newcomer *x, struct place from, struct place to) {
  uint32_t slots[HEIGHT_MAX], depth = 0;
  uint32_t a = t->leaves[from.leaf].parent, b = t->leaves[to.leaf].parent, last = t->leaves[to.leaf].slot;
  slots[0] = t->leaves[from.leaf].slot;
  for (; a != b; depth++) {
    slots[depth + 1] = t->nodes[a].slot;
    last = t->nodes[b].slot;
    a = t->nodes[a].parent;
    b = t->nodes[b].parent;
  }
  for (bool on_edge = true;; depth--) {
    uint32_t first = on_edge ? slots[depth] : 0;
    uint32_t slot = last_before(t, x, a, depth, first, last, to);
    on_edge = on_edge && slot == first;
    a = t->nodes[a].child[slot];
    if (!depth) return a;
    last = t->nodes[a].count - 1;
  }
}

/* The first place from slot `low` on, not past `high`, whose item does not come before the newcomer. */
static uint32_t find_slot(const struct tracker *t, const struct newcomer *x, uint32_t leaf, uint32_t low,
                          uint32_t high) {
  while (low < high) {
    uint32_t mid = (low + high) / 2;
    if (goes_before(t, x, &t->leaves[leaf].spans[mid])) low = mid + 1;
    else high = mid;
  }
  return low;
}

/* The place of the last span before `p`, which is not the first. */
static struct place place_left_of(const struct tracker *t, struct place p) {
  if (p.slot) return (struct place){p.leaf, p.slot - 1, 0, 0};
  uint32_t slot = t->leaves[p.leaf].slot, at = t->leaves[p.leaf].parent, height = 0;
  for (; !slot; height++) {
    slot = t->nodes[at].slot;
    at = t->nodes[at].parent;
  }
  at = t->nodes[at].child[slot - 1];
  while (height--) at = t->nodes[at].child[t->nodes[at].count - 1];
  return (struct place){at, t->leaves[at].count - 1, 0, 0};
}

/* `p` with what is visible before it, as `from` has it. */
static struct place with_effect(const struct tracker *t, struct place from, struct place p) {
  uint32_t now;
  if (p.leaf != from.leaf) {
    tracker_count_before(t, p, &now, &p.effect);
    return p;
  }
  p.effect = from.effect;
  for (uint32_t i = from.slot; i < p.slot; i++) {
    const struct tracker_span *s = &t->leaves[p.leaf].spans[i];
    p.effect += s->state & TRACKER_GONE ? 0 : s->len;
  }
  return p;
}

/* Whether `s`, which stands right before the newcomer's right origin, shows that no other left child of that is there.
 *
 * If one was, `s` would be in its part of the tree.  Whoever inserted that part knew the right origin, and what stood
 * next behind `s` for its author was then no other than that: nothing is between them even now.  So `s` would have it
 * as its right origin too, unless it keeps to what is before it (TRACKER_BEHIND), or the right origin is an opening
 * anchor, which characters pass over. */
static bool shows_no_sibling(const struct tracker *t, const struct newcomer *x, const struct tracker_span *s) {
  if (!x->is_left_child || x->next != x->right || s->right == x->right || s->right == TRACKER_BEHIND) return false;
  return !x->is_opening || !tracker_is_opening(tracker_span_at(t, tracker_find_item(t, x->right)));
}

struct place tracker_order(const struct tracker *t, struct place from, struct place to, uint32_t behind, uint32_t next,
                           const struct tracker_span *span) {
  struct place first = from;
  if (first.slot == t->leaves[first.leaf].count) {
    first.leaf = t->leaves[first.leaf].next;
    first.slot = 0;
    if (first.leaf == to.leaf && !to.slot) return from;
  }
  struct newcomer x = {.ord = span->id,
                       .left = span->left,
                       .right = span->right,
                       .behind = behind,
                       .next = next,
                       .is_left_child = is_left_child(t, span->left, span->right),
                       .is_opening = tracker_is_opening(span)};
  const struct tracker_span *s = tracker_span_at(t, first);
  if (!x.is_left_child && behind == x.left && s->left != x.left) return from; /* no child of the left origin is there */
  struct place before = place_left_of(t, to);
  s = tracker_span_at(t, before);
  if (shows_no_sibling(t, &x, s) || goes_before(t, &x, s)) return with_effect(t, from, to);
  uint32_t leaf = first.leaf == before.leaf ? first.leaf : find_leaf(t, &x, first, before);
  struct place p = {leaf, leaf == first.leaf ? first.slot : 0, 0, 0};
  p.slot = find_slot(t, &x, leaf, p.slot, leaf == before.leaf ? before.slot : t->leaves[leaf].count);
  return with_effect(t, from, p);
}
