#include "crdt/anchor_tree.h"

/* A part is too deep when one of its halves has more than this share of it. */
enum { SHARE = 7, OF = 10 };

uint32_t anchor_new(struct anchor_trees *t, struct rope_anchor anchor) {
  if (t->count >= ANCHOR_NONE || ENV_GROW(t->env, t->nodes, t->cap, t->count + 1)) return ANCHOR_NONE;
  const struct anchor_links none = {ANCHOR_NONE, ANCHOR_NONE, ANCHOR_NONE, 1, 1, 0, ANCHOR_NONE};
  t->nodes[t->count] = (struct anchor_node){.in = {none, none},
                                            .anchor = anchor,
                                            .other = ANCHOR_NONE,
                                            .key = ANCHOR_NONE,
                                            .run = ANCHOR_NONE,
                                            .run_end = ANCHOR_NONE,
                                            .ended = ANCHOR_NONE};
  return (uint32_t)t->count++;
}

/* ---- Summing up --------------------------------------------------------------------------------------------- */

static uint32_t later(const struct anchor_trees *t, uint32_t a, uint32_t b) {
  if (a == ANCHOR_NONE || b == ANCHOR_NONE) return a == ANCHOR_NONE ? b : a;
  return anchor_before(t, a, b) ? b : a;
}

static bool is_flagged(const struct anchor_node *n, enum anchor_which which) {
  return which == ANCHORS_ALL ? n->is_edge : n->run != ANCHOR_NONE;
}

static void sum_up(struct anchor_trees *t, enum anchor_which which, uint32_t node) {
  struct anchor_node *n = &t->nodes[node];
  struct anchor_links *in = &n->in[which];
  in->size = 1;
  in->count = !n->is_dead;
  in->flags = is_flagged(n, which);
  in->farthest = which == ANCHORS_ALL ? n->run_end : n->anchor.is_end ? ANCHOR_NONE : n->other;
  const uint32_t below[2] = {in->left, in->right};
  for (int i = 0; i < 2; i++) {
    if (below[i] == ANCHOR_NONE) continue;
    const struct anchor_links *b = &t->nodes[below[i]].in[which];
    in->size += b->size;
    in->count += b->count;
    in->flags += b->flags;
    in->farthest = later(t, in->farthest, b->farthest);
  }
}

void anchor_changed(struct anchor_trees *t, enum anchor_which which, uint32_t node) {
  for (; node != ANCHOR_NONE; node = t->nodes[node].in[which].parent) sum_up(t, which, node);
}

/* ---- Making a part anew ------------------------------------------------------------------------------------- */

/* Makes a list of a part, by `right`, with `rest` behind it. */
static uint32_t flatten(struct anchor_trees *t, enum anchor_which which, uint32_t node, uint32_t rest) {
  if (node == ANCHOR_NONE) return rest;
  struct anchor_links *in = &t->nodes[node].in[which];
  in->right = flatten(t, which, in->right, rest);
  return flatten(t, which, in->left, node);
}

static uint64_t label_below(uint64_t label, bool is_right) {
  uint64_t step = (label & -label) / 2;
  return is_right ? label + step : label - step;
}

static void link_below(struct anchor_trees *t, enum anchor_which which, uint32_t parent, uint32_t child,
                       bool is_right) {
  if (is_right) t->nodes[parent].in[which].right = child;
  else t->nodes[parent].in[which].left = child;
  if (child != ANCHOR_NONE) t->nodes[child].in[which].parent = parent;
}

/* A tree of the next `n` of a list. */
static uint32_t build(struct anchor_trees *t, enum anchor_which which, uint32_t *list, uint32_t n, uint64_t label) {
  if (!n) return ANCHOR_NONE;
  uint32_t left = build(t, which, list, n / 2, label_below(label, false)), node = *list;
  *list = t->nodes[node].in[which].right;
  if (which == ANCHORS_ALL) t->nodes[node].label = label;
  link_below(t, which, node, left, false);
  link_below(t, which, node, build(t, which, list, n - 1 - n / 2, label_below(label, true)), true);
  return node;
}

/* All labels of a part are there before any two are compared. */
void anchor_sum(struct anchor_trees *t, enum anchor_which which, uint32_t node) {
  if (node == ANCHOR_NONE) return;
  anchor_sum(t, which, t->nodes[node].in[which].left);
  anchor_sum(t, which, t->nodes[node].in[which].right);
  sum_up(t, which, node);
}

static const uint64_t label_of_root = 1ull << 63;

static void rebuild(struct anchor_trees *t, enum anchor_which which, uint32_t *root, uint32_t node) {
  uint32_t parent = t->nodes[node].in[which].parent, size = t->nodes[node].in[which].size;
  bool is_right = parent != ANCHOR_NONE && t->nodes[parent].in[which].right == node;
  uint64_t label = parent == ANCHOR_NONE ? label_of_root : label_below(t->nodes[parent].label, is_right);
  uint32_t list = flatten(t, which, node, ANCHOR_NONE), made = build(t, which, &list, size, label);
  t->nodes[made].in[which].parent = parent;
  if (parent == ANCHOR_NONE) *root = made;
  else link_below(t, which, parent, made, is_right);
  anchor_sum(t, which, made);
}

uint32_t anchor_build(struct anchor_trees *t, enum anchor_which which, uint32_t first, uint32_t n) {
  return build(t, which, &first, n, label_of_root);
}

/* ---- Putting one in ----------------------------------------------------------------------------------------- */

/* Two steps for each bit of the size: a tree of that depth has a part that is too deep, and a text has too few bytes
 * for anchors of more than 29 bits, so labels have room. */
static uint32_t deepest(uint32_t size) {
  uint32_t steps = 0;
  for (; size; size /= 2) steps += 2;
  return steps;
}

static void put_below(struct anchor_trees *t, enum anchor_which which, uint32_t *root, uint32_t parent, bool is_right,
                      uint32_t node) {
  if (which == ANCHORS_ALL)
    t->nodes[node].label = parent == ANCHOR_NONE ? label_of_root : label_below(t->nodes[parent].label, is_right);
  if (parent == ANCHOR_NONE) *root = node;
  else link_below(t, which, parent, node, is_right);
  uint32_t depth = 0;
  for (uint32_t at = node; at != ANCHOR_NONE; at = t->nodes[at].in[which].parent, depth++) sum_up(t, which, at);
  if (depth <= deepest(t->nodes[*root].in[which].size)) return;
  uint32_t at = t->nodes[node].in[which].parent, below = t->nodes[node].in[which].size;
  while (at != *root && below * (uint64_t)OF <= t->nodes[at].in[which].size * (uint64_t)SHARE) {
    below = t->nodes[at].in[which].size;
    at = t->nodes[at].in[which].parent;
  }
  rebuild(t, which, root, at);
}

void anchor_put(struct anchor_trees *t, uint32_t node, uint32_t rank) {
  uint32_t at = t->root, parent = ANCHOR_NONE;
  bool is_right = false;
  while (at != ANCHOR_NONE) {
    const struct anchor_links *in = &t->nodes[at].in[ANCHORS_ALL];
    uint32_t before = in->left == ANCHOR_NONE ? 0 : t->nodes[in->left].in[ANCHORS_ALL].count;
    before += !t->nodes[at].is_dead;
    parent = at;
    is_right = rank >= before;
    if (is_right) rank -= before;
    at = is_right ? in->right : in->left;
  }
  put_below(t, ANCHORS_ALL, &t->root, parent, is_right, node);
}

void anchor_put_in_key(struct anchor_trees *t, uint32_t *root, uint32_t node) {
  uint32_t at = *root, parent = ANCHOR_NONE;
  bool is_right = false;
  while (at != ANCHOR_NONE) {
    parent = at;
    is_right = anchor_before(t, at, node);
    at = is_right ? t->nodes[at].in[ANCHORS_OF_KEY].right : t->nodes[at].in[ANCHORS_OF_KEY].left;
  }
  put_below(t, ANCHORS_OF_KEY, root, parent, is_right, node);
}

/* ---- Looking ------------------------------------------------------------------------------------------------ */

static uint32_t count_of(const struct anchor_trees *t, uint32_t node) {
  return node == ANCHOR_NONE ? 0 : t->nodes[node].in[ANCHORS_ALL].count;
}

uint32_t anchor_rank(const struct anchor_trees *t, uint32_t node) {
  uint32_t rank = count_of(t, t->nodes[node].in[ANCHORS_ALL].left), up;
  for (; (up = t->nodes[node].in[ANCHORS_ALL].parent) != ANCHOR_NONE; node = up)
    if (t->nodes[up].in[ANCHORS_ALL].right == node)
      rank += count_of(t, t->nodes[up].in[ANCHORS_ALL].left) + !t->nodes[up].is_dead;
  return rank;
}

uint32_t anchor_at(const struct anchor_trees *t, uint32_t rank) {
  uint32_t at = t->root;
  while (at != ANCHOR_NONE) {
    const struct anchor_links *in = &t->nodes[at].in[ANCHORS_ALL];
    uint32_t before = count_of(t, in->left);
    if (rank < before) {
      at = in->left;
      continue;
    }
    rank -= before;
    if (!t->nodes[at].is_dead && !rank--) return at;
    at = in->right;
  }
  return ANCHOR_NONE;
}

static uint32_t flags_of(const struct anchor_trees *t, enum anchor_which which, uint32_t node) {
  return node == ANCHOR_NONE ? 0 : t->nodes[node].in[which].flags;
}

/* How many flagged nodes come before this one, which may be of another key; `and_it`: or are it. */
static uint32_t flags_before(const struct anchor_trees *t, enum anchor_which which, uint32_t root, uint32_t node,
                             bool and_it) {
  uint32_t flags = 0;
  for (uint32_t at = root; at != ANCHOR_NONE;) {
    const struct anchor_links *in = &t->nodes[at].in[which];
    bool is_right = and_it ? !anchor_before(t, node, at) : anchor_before(t, at, node);
    if (is_right) flags += flags_of(t, which, in->left) + is_flagged(&t->nodes[at], which);
    at = is_right ? in->right : in->left;
  }
  return flags;
}

static uint32_t flag_at(const struct anchor_trees *t, enum anchor_which which, uint32_t root, uint32_t rank) {
  if (rank >= flags_of(t, which, root)) return ANCHOR_NONE;
  for (uint32_t at = root;;) {
    const struct anchor_links *in = &t->nodes[at].in[which];
    uint32_t before = flags_of(t, which, in->left);
    if (rank < before) {
      at = in->left;
      continue;
    }
    rank -= before;
    if (is_flagged(&t->nodes[at], which) && !rank--) return at;
    at = in->right;
  }
}

uint32_t anchor_flag_from(const struct anchor_trees *t, enum anchor_which which, uint32_t root, uint32_t node) {
  return flag_at(t, which, root, flags_before(t, which, root, node, false));
}

uint32_t anchor_flag_to(const struct anchor_trees *t, enum anchor_which which, uint32_t root, uint32_t node) {
  uint32_t before = flags_before(t, which, root, node, true);
  return before ? flag_at(t, which, root, before - 1) : ANCHOR_NONE;
}

/* ---- Checking ----------------------------------------------------------------------------------------------- */

static int check_below(const struct anchor_trees *t, enum anchor_which which, uint32_t node, uint32_t parent,
                       uint64_t *label) {
  if (node == ANCHOR_NONE) return 0;
  const struct anchor_links *in = &t->nodes[node].in[which];
  if (in->parent != parent || check_below(t, which, in->left, node, label)) return DUNLIN_ECORRUPT;
  if (t->nodes[node].label <= *label) return DUNLIN_ECORRUPT;
  *label = t->nodes[node].label;
  return check_below(t, which, in->right, node, label);
}

int anchor_check(const struct anchor_trees *t, enum anchor_which which, uint32_t root) {
  uint64_t label = 0;
  return check_below(t, which, root, ANCHOR_NONE, &label);
}
