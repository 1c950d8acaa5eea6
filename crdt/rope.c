/* The tree of a rope and its edits.
 *
 * An edit that stays in one leaf moves the bytes behind it and adds to the counts on the way up.  The way to the leaf
 * is kept as the finger: the next edit is mostly in the same leaf and needs no search.
 *
 * A leaf that overflows, or falls below three quarters, is written anew together with its siblings (rewrite()): two
 * full leaves become three, four of three quarters become three.  Leaves are thus mostly between two thirds and full,
 * which splitting in halves would not give. */
#include "crdt/rope_private.h"

enum {
  TOGETHER = 4,                      /* siblings that are rewritten at once */
  LEAF_ROOM = ROPE_LEAF / 32,        /* so much is free in a rewritten leaf, or it would soon be rewritten again */
  LEAF_FULL = ROPE_LEAF - LEAF_ROOM, /* what a rewritten leaf holds at most */
  LEAF_LOADED = ROPE_LEAF - ROPE_LEAF / 8, /* what a leaf holds of a text that comes at once */
  /* With less than this a leaf and its siblings may do with fewer. */
  LEAF_LOW = LEAF_FULL - LEAF_FULL / TOGETHER,
  NODE_LOW = ROPE_FANOUT / 2,
  NODE_FULL = ROPE_FANOUT - ROPE_FANOUT / 4
};

static size_t leaf_alloc_size(size_t cap) {
  return offsetof(struct rope_leaf, bytes) + cap;
}

void rope_init(struct rope *rope, const struct dunlin_env *env) {
  *rope = (struct rope){.env = env_or_default(env)};
}

static void free_below(struct rope *rope, union rope_child child, uint32_t height) {
  if (!height) {
    env_free(rope->env, child.leaf, leaf_alloc_size(rope->height ? ROPE_LEAF : rope->cap));
    return;
  }
  for (uint32_t i = 0; i < child.node->count; i++) free_below(rope, child.node->child[i], height - 1);
  env_free(rope->env, child.node, sizeof *child.node);
}

void rope_free(struct rope *rope) {
  if (rope->cap) free_below(rope, rope->root, rope->height);
  rope->cap = 0;
  rope->sum = (struct rope_sum){0};
  rope_trim(rope);
  rope_init(rope, rope->env);
}

/* Children of a node */

static void row_set(struct rope_node *node, uint32_t i, struct rope_sum sum) {
  node->scalars[i] = sum.scalars;
  node->bytes[i] = sum.bytes;
  node->pairs[i] = sum.pairs;
  node->anchors[i] = sum.anchors;
}
static void row_add(struct rope_node *node, uint32_t i, struct rope_sum more) {
  node->scalars[i] += more.scalars;
  node->bytes[i] += more.bytes;
  if (!more.pairs) return; /* nor anchors */
  node->pairs[i] += more.pairs;
  node->anchors[i] += more.anchors;
}
static void rows_move(struct rope_node *to, uint32_t to_at, const struct rope_node *from, uint32_t at, uint32_t n) {
  memmove(to->scalars + to_at, from->scalars + at, n * sizeof *to->scalars);
  memmove(to->bytes + to_at, from->bytes + at, n * sizeof *to->bytes);
  memmove(to->pairs + to_at, from->pairs + at, n * sizeof *to->pairs);
  memmove(to->anchors + to_at, from->anchors + at, n * sizeof *to->anchors);
  memmove(to->child + to_at, from->child + at, n * sizeof *to->child);
}

/* Adds to the totals of the nodes on the way above `levels`, and of the text. */
static void add_above(struct rope *rope, uint32_t levels, struct rope_sum more) {
  for (uint32_t l = 0; l < levels; l++) row_add(rope->finger.node[l], rope->finger.index[l], more);
  sum_add(&rope->sum, more);
}

/* Spare leaves and nodes */

static void spare_leaf(struct rope *rope, struct rope_leaf *leaf) {
  leaf->next = rope->spare_leaves;
  rope->spare_leaves = leaf;
  rope->spare_leaf_count++;
}
static struct rope_leaf *take_leaf(struct rope *rope) {
  struct rope_leaf *leaf = rope->spare_leaves;
  rope->spare_leaves = leaf->next;
  rope->spare_leaf_count--;
  return leaf;
}
static void spare_node(struct rope *rope, struct rope_node *node) {
  node->child[0].node = rope->spare_nodes;
  rope->spare_nodes = node;
  rope->spare_node_count++;
}
static struct rope_node *take_node(struct rope *rope) {
  struct rope_node *node = rope->spare_nodes;
  rope->spare_nodes = node->child[0].node;
  rope->spare_node_count--;
  return node;
}

static void keep_spares(struct rope *rope, size_t leaves, size_t nodes) {
  while (rope->spare_leaf_count > leaves) env_free(rope->env, take_leaf(rope), leaf_alloc_size(ROPE_LEAF));
  while (rope->spare_node_count > nodes) env_free(rope->env, take_node(rope), sizeof(struct rope_node));
}

void rope_trim(struct rope *rope) {
  keep_spares(rope, 0, 0);
  if (rope->sum.bytes || !rope->cap) return;
  env_free(rope->env, rope->root.leaf, leaf_alloc_size(rope->cap)); /* an empty text is never more than a leaf */
  rope_init(rope, rope->env);
}

/* Sees to it that so many are there; when it cannot, the spares are as they were. */
static int reserve(struct rope *rope, size_t leaves, size_t nodes) {
  size_t had_leaves = rope->spare_leaf_count, had_nodes = rope->spare_node_count;
  while (rope->spare_leaf_count < leaves) {
    struct rope_leaf *leaf = env_alloc(rope->env, leaf_alloc_size(ROPE_LEAF));
    if (!leaf) goto none;
    spare_leaf(rope, leaf);
  }
  while (rope->spare_node_count < nodes) {
    struct rope_node *node = env_alloc(rope->env, sizeof *node);
    if (!node) goto none;
    spare_node(rope, node);
  }
  return 0;
none:
  keep_spares(rope, had_leaves, had_nodes);
  return DUNLIN_ENOMEM;
}

/* Splits that `n` insertions in one place may cause in a level where there is `room` for some.  Each split leaves room
 * for half a node at least. */
static size_t splits(size_t n, size_t room) {
  return n <= room ? 0 : (n - room + ROPE_FANOUT / 2 - 1) / (ROPE_FANOUT / 2);
}

/* Sees to it that `n` new leaves can be put behind the finger's. */
static int reserve_leaves(struct rope *rope, size_t n) {
  size_t leaves = n, nodes = 0;
  uint32_t height = rope->height;
  for (uint32_t l = height; l-- && n;) {
    n = splits(n, ROPE_FANOUT - rope->finger.node[l]->count);
    nodes += n;
  }
  for (; n; height++) { /* new roots, over one child at first */
    n = splits(n, ROPE_FANOUT - 1);
    nodes += n + 1;
  }
  return height > ROPE_HEIGHT ? DUNLIN_ENOMEM : reserve(rope, leaves, nodes);
}

/* The finger */

/* Moves the finger to the leaf that holds what stands before `at`, or to the first one. */
static void seek(struct rope *rope, uint32_t at) {
  struct rope_path *path = &rope->finger;
  union rope_child child = rope->root;
  path->start = 0;
  path->sum = rope->sum;
  for (uint32_t l = 0; l < rope->height; l++) {
    struct rope_node *node = child.node;
    uint32_t i = 0, left = at - path->start;
    while (left > node->scalars[i]) left -= node->scalars[i++];
    path->start = at - left;
    path->node[l] = node;
    path->index[l] = (uint8_t)i;
    child = node->child[i];
  }
  if (rope->height) path->sum = row(path->node[rope->height - 1], path->index[rope->height - 1]);
  path->leaf = child.leaf;
}

/* Inner nodes */

static void add_root(struct rope *rope) {
  struct rope_node *node = take_node(rope);
  struct rope_path *path = &rope->finger;
  node->count = 1;
  node->child[0] = rope->root;
  row_set(node, 0, rope->sum);
  memmove(path->node + 1, path->node, rope->height * sizeof *path->node);
  memmove(path->index + 1, path->index, rope->height * sizeof *path->index);
  path->node[0] = node;
  path->index[0] = 0;
  rope->root.node = node;
  rope->height++;
}

/* Splits the node of this level, whose parent has room.  At the right edge nearly all stays in the left one: text that
 * grows at its end leaves full nodes behind. */
static void split(struct rope *rope, uint32_t level) {
  struct rope_path *path = &rope->finger;
  struct rope_node *left = path->node[level], *right = take_node(rope), *parent = path->node[level - 1];
  uint32_t at = path->index[level - 1],
           keep = path->index[level] == left->count - 1 ? left->count - 1 : left->count / 2;
  right->count = left->count - keep;
  rows_move(right, 0, left, keep, right->count);
  left->count = keep;
  struct rope_sum moved = rows_sum(right, 0, right->count);
  rows_move(parent, at + 2, parent, at + 1, parent->count - at - 1);
  parent->count++;
  parent->child[at + 1].node = right;
  row_set(parent, at + 1, moved);
  row_set(parent, at, sum_minus(row(parent, at), moved));
  if (path->index[level] < keep) return;
  path->node[level] = right;
  path->index[level] = (uint8_t)(path->index[level] - keep);
  path->index[level - 1]++;
}

/* Puts a leaf behind that of the finger and moves the finger's way there. */
static void add_leaf(struct rope *rope, struct rope_leaf *leaf, struct rope_sum sum) {
  struct rope_path *path = &rope->finger;
  uint32_t level = rope->height; /* the highest of the full nodes that a split would run through */
  while (level && path->node[level - 1]->count == ROPE_FANOUT) level--;
  if (!level) {
    add_root(rope);
    level = 1;
  }
  for (; level < rope->height; level++) split(rope, level);
  struct rope_node *node = path->node[rope->height - 1];
  uint32_t at = path->index[rope->height - 1] + 1u;
  rows_move(node, at + 1, node, at, node->count - at);
  node->count++;
  node->child[at].leaf = leaf;
  row_set(node, at, sum);
  path->index[rope->height - 1] = (uint8_t)at;
  add_above(rope, rope->height - 1, sum);
}

/* Makes one node of two siblings when they are small; the way need not lead there any more. */
static void merge_nodes(struct rope *rope, uint32_t level) {
  struct rope_path *path = &rope->finger;
  struct rope_node *parent = path->node[level - 1];
  uint32_t at = path->index[level - 1], size = path->node[level]->count;
  if (at && parent->child[at - 1].node->count + size <= NODE_FULL) at--;
  else if (at + 1 == parent->count || parent->child[at + 1].node->count + size > NODE_FULL) return;
  struct rope_node *left = parent->child[at].node, *right = parent->child[at + 1].node;
  rows_move(left, left->count, right, 0, right->count);
  left->count += right->count;
  row_add(parent, at, row(parent, at + 1));
  rows_move(parent, at + 1, parent, at + 2, parent->count - at - 2);
  parent->count--;
  spare_node(rope, right);
}

/* Takes `n` leaves out of the tree, from the finger's on; they are siblings, and not freed.  The finger is nowhere
 * then. */
static void remove_leaves(struct rope *rope, uint32_t n) {
  struct rope_path *path = &rope->finger;
  uint32_t level = rope->height;
  path->leaf = NULL;
  do {
    struct rope_node *node = path->node[--level];
    uint32_t at = path->index[level];
    add_above(rope, level, sum_minus((struct rope_sum){0}, rows_sum(node, at, at + n)));
    rows_move(node, at, node, at + n, node->count - at - n);
    node->count -= n;
    if (node->count) break;
    spare_node(rope, node);
    if (!level) {
      rope->height = rope->cap = 0;
      return;
    }
    n = 1;
  } while (true);
  for (; level; level--)
    if (path->node[level]->count < NODE_LOW) merge_nodes(rope, level);
  while (rope->height && rope->root.node->count == 1) {
    struct rope_node *root = rope->root.node;
    rope->root = root->child[0];
    spare_node(rope, root);
    rope->height--;
  }
}

/* Leaves */

/* Text in up to three parts, taken off piece by piece. */
struct source {
  const uint8_t *part[3];
  size_t size[3];
  bool ascii;
};

static const uint8_t *source_at(const struct source *source, size_t at) {
  size_t i = 0;
  while (at >= source->size[i]) at -= source->size[i++];
  return source->part[i] + at;
}

/* Writes at most `want` bytes, whole characters. */
static struct rope_sum take_text(struct source *source, uint8_t *out, size_t want) {
  if (want < source->size[0] + source->size[1] + source->size[2])
    while (utf8_continues(*source_at(source, want))) want--;
  size_t done = 0;
  for (int i = 0; i < 3; i++) {
    size_t n = want - done < source->size[i] ? want - done : source->size[i];
    if (!n) continue;
    memcpy(out + done, source->part[i], n);
    source->part[i] += n;
    source->size[i] -= n;
    done += n;
  }
  return sum_of(out, (uint32_t)want, source->ascii);
}

/* Which siblings are rewritten: `n` of them from `first` on, as `leaves` leaves of the same size; or the first one with
 * `head` bytes, if that is not 0. */
struct window {
  uint32_t first, n;
  size_t leaves, head;
};

static uint32_t window_bytes(const struct rope_node *node, uint32_t first, uint32_t n) {
  return rows_sum(node, first, first + n).bytes;
}

/* Writes the leaves of a window anew with `text` at byte `offset` of the finger's leaf.  What is new was reserved.  The
 * finger stays nowhere. */
static void rewrite(struct rope *rope, struct window window, uint32_t offset, struct dunlin_bytes text, bool ascii) {
  struct rope_path *path = &rope->finger;
  struct rope_node *node = path->node[rope->height - 1];
  uint8_t *index = &path->index[rope->height - 1], old[TOGETHER * ROPE_LEAF];
  size_t size = 0, at = offset;
  for (uint32_t i = 0; i < window.n; i++) {
    if (window.first + i == *index) at += size;
    memcpy(old + size, node->child[window.first + i].leaf->bytes, node->bytes[window.first + i]);
    size += node->bytes[window.first + i];
  }
  ascii = ascii && is_ascii(rows_sum(node, window.first, window.first + window.n));
  struct source source = {{old, text.data, old + at}, {at, text.len, size - at}, ascii};
  size += text.len;
  *index = (uint8_t)window.first;
  for (size_t i = 0; i < window.leaves; i++) {
    size_t want = !i && window.head ? window.head : (size + (window.leaves - i) - 1) / (window.leaves - i);
    if (i < window.n) {
      *index = (uint8_t)(window.first + i);
      struct rope_sum sum = take_text(&source, node->child[*index].leaf->bytes, want);
      add_above(rope, rope->height, sum_minus(sum, row(node, *index)));
      size -= sum.bytes;
    } else {
      struct rope_leaf *leaf = take_leaf(rope);
      struct rope_sum sum = take_text(&source, leaf->bytes, want);
      add_leaf(rope, leaf, sum);
      size -= sum.bytes;
    }
  }
  path->leaf = NULL;
  if (window.leaves >= window.n) return;
  *index = (uint8_t)(window.first + window.leaves);
  for (uint32_t i = *index; i < window.first + window.n; i++) spare_leaf(rope, node->child[i].leaf);
  remove_leaves(rope, window.n - (uint32_t)window.leaves);
}

/* When memory has run out
 *
 * All is packed anew, each leaf as full as whole characters let it be and each node quite full.  No way of holding a
 * text has fewer leaves, and a text has no more of them than one that it is a part of; so there are enough for any text
 * that the rope has held with the leaves and nodes that it has. */

struct packer {
  struct rope *rope;
  bool trial; /* only counts the leaves */
  size_t leaves;
  struct rope_leaf *first, **last;
  uint32_t size; /* of the leaf that is being filled */
  uint8_t bytes[ROPE_LEAF];
};

static void pack_leaf(struct packer *packer) {
  packer->leaves++;
  if (!packer->trial) {
    struct rope_leaf *leaf = take_leaf(packer->rope);
    memcpy(leaf->bytes, packer->bytes, packer->size);
    leaf->size = packer->size;
    *packer->last = leaf;
    packer->last = &leaf->next;
  }
  packer->size = 0;
}

static void pack_bytes(struct packer *packer, const uint8_t *bytes, size_t size) {
  while (size) {
    size_t n = ROPE_LEAF - packer->size;
    if (n >= size) n = size;
    else
      while (n && utf8_continues(bytes[n])) n--;
    memcpy(packer->bytes + packer->size, bytes, n);
    packer->size += (uint32_t)n;
    bytes += n;
    size -= n;
    if (size) pack_leaf(packer);
  }
}

/* Packs a list of leaves with `text` at byte `at`; the number of leaves.  Each leaf is copied and let go before its
 * bytes are packed, and a leaf is taken only when it is full.  When the list was packed before, the two kinds together
 * are then never more than the result. */
static size_t pack(struct rope *rope, struct rope_leaf **list, size_t at, struct dunlin_bytes text, bool trial) {
  struct packer packer = {.rope = rope, .trial = trial, .last = &packer.first};
  bool done = !text.len;
  uint8_t bytes[ROPE_LEAF];
  for (struct rope_leaf *leaf = *list, *next; leaf; leaf = next) {
    size_t size = leaf->size, first = !done && at <= size ? at : size;
    next = leaf->next;
    memcpy(bytes, leaf->bytes, size);
    if (!trial) spare_leaf(rope, leaf);
    pack_bytes(&packer, bytes, first);
    if (!done && at <= size) {
      pack_bytes(&packer, text.data, text.len);
      done = true;
    }
    pack_bytes(&packer, bytes + first, size - first);
    at -= first;
  }
  if (!done) pack_bytes(&packer, text.data, text.len);
  if (packer.size) pack_leaf(&packer);
  *packer.last = NULL;
  if (!trial) *list = packer.first;
  return packer.leaves;
}

/* Takes the tree apart: its leaves into a list, its nodes to the spare ones. */
static void list_below(struct rope *rope, union rope_child child, uint32_t height, uint32_t size,
                       struct rope_leaf ***last) {
  if (!height) {
    child.leaf->size = size;
    child.leaf->next = NULL;
    **last = child.leaf;
    *last = &child.leaf->next;
    return;
  }
  for (uint32_t i = 0; i < child.node->count; i++)
    list_below(rope, child.node->child[i], height - 1, child.node->bytes[i], last);
  spare_node(rope, child.node);
}

/* Makes a subtree of the first leaves of a list, as many as it can hold. */
static union rope_child build_below(struct rope *rope, struct rope_leaf **list, uint32_t height, struct rope_sum *sum) {
  union rope_child child;
  if (!height) {
    child.leaf = *list;
    *list = child.leaf->next;
    *sum = sum_of(child.leaf->bytes, child.leaf->size, false);
    return child;
  }
  child.node = take_node(rope);
  child.node->count = 0;
  *sum = (struct rope_sum){0};
  while (*list && child.node->count < ROPE_FANOUT) {
    struct rope_sum more;
    union rope_child below = build_below(rope, list, height - 1, &more);
    child.node->child[child.node->count] = below;
    row_set(child.node, child.node->count++, more);
    sum_add(sum, more);
  }
  return child;
}

static void build(struct rope *rope, struct rope_leaf *list, size_t leaves) {
  rope->height = 0;
  rope->cap = leaves ? ROPE_LEAF : 0;
  rope->sum = (struct rope_sum){0};
  if (!leaves) return;
  for (; leaves > 1; leaves = (leaves + ROPE_FANOUT - 1) / ROPE_FANOUT) rope->height++;
  rope->root = build_below(rope, &list, rope->height, &rope->sum);
}

/* Inserts into what memory there is, or gives `error`. */
static int squeeze(struct rope *rope, size_t at, struct dunlin_bytes text, int error) {
  struct rope_leaf *list = NULL, **last = &list;
  list_below(rope, rope->root, rope->height, rope->sum.bytes, &last);
  rope->finger.leaf = NULL;
  size_t leaves = pack(rope, &list, 0, (struct dunlin_bytes){NULL, 0}, false);
  size_t most = rope->spare_leaf_count + leaves, need = pack(rope, &list, at, text, true), nodes = 0;
  for (size_t n = need; n > 1; nodes += n) n = (n + ROPE_FANOUT - 1) / ROPE_FANOUT;
  if (need <= most && nodes <= rope->spare_node_count) {
    leaves = pack(rope, &list, at, text, false);
    error = 0;
  }
  build(rope, list, leaves);
  return error;
}

/* Gives a root that is a leaf room for `need` bytes, or for a whole leaf. */
static int grow_root(struct rope *rope, size_t need) {
  size_t cap = rope->cap ? rope->cap : 32;
  while (cap < need && cap < ROPE_LEAF) cap *= 2;
  if (cap > ROPE_LEAF / 2 || rope->spare_leaves) cap = ROPE_LEAF;
  if (cap <= rope->cap) return 0;
  struct rope_leaf *leaf = rope->spare_leaves ? take_leaf(rope) : env_alloc(rope->env, leaf_alloc_size(cap));
  if (!leaf) return DUNLIN_ENOMEM;
  if (rope->cap) {
    memcpy(leaf->bytes, rope->root.leaf->bytes, rope->sum.bytes);
    env_free(rope->env, rope->root.leaf, leaf_alloc_size(rope->cap));
  }
  rope->root.leaf = leaf;
  rope->cap = (uint32_t)cap;
  seek(rope, 0);
  return 0;
}

/* The window for an insertion that does not fit into the finger's leaf. */
static struct window insert_window(const struct rope *rope, size_t bytes) {
  const struct rope_path *path = &rope->finger;
  const struct rope_node *node = path->node[rope->height - 1];
  uint32_t at = path->index[rope->height - 1];
  struct window w = {.first = at, .n = 1};
  if (bytes <= ROPE_LEAF && node->count > 1) {
    bool left = at && (at + 1 == node->count || node->bytes[at - 1] < node->bytes[at + 1]);
    w = (struct window){.first = left ? at - 1 : at, .n = 2, .leaves = 2};
  }
  size_t size = window_bytes(node, w.first, w.n) + bytes;
  if (size > w.leaves * LEAF_FULL) w.leaves = (size + LEAF_LOADED - 1) / LEAF_LOADED;
  return w;
}

/* Whether quite a bit has been typed in one stretch since the last insertion that overflowed, behind it or in front of
 * it.  A guess from how far the place has moved and the text has grown, so that the usual edit need not keep count. */
static bool is_typing(const struct rope *rope, uint32_t at) {
  uint32_t grown = rope->sum.scalars - rope->full_size;
  return grown >= ROPE_LEAF / 4 && grown < 2 * ROPE_LEAF && (at - rope->full_to == grown || at == rope->full_from);
}

/* The same where a long stretch is being typed, which will go on: the leaf is cut at that place, so that full leaves
 * stay behind; rewriting would leave them at two thirds.  `n` is 0 when that cannot be done. */
static struct window typing_window(const struct rope *rope, uint32_t at, uint32_t offset, size_t bytes) {
  const struct rope_path *path = &rope->finger;
  const struct rope_node *node = path->node[rope->height - 1];
  uint32_t i = path->index[rope->height - 1];
  struct window w = {.first = i, .n = 1, .leaves = 2, .head = offset};
  if (!is_typing(rope, at)) return (struct window){0};
  size_t rest = path->sum.bytes - offset;
  if (!offset || (rest && offset + bytes <= ROPE_LEAF)) w.head += bytes;
  else rest += bytes;
  if (w.head > ROPE_LEAF || rest > ROPE_LEAF) return (struct window){0};
  if (i + 1 < node->count && rest + node->bytes[i + 1] <= LEAF_FULL) w.n = 2;
  return w;
}

/* An insertion that the finger's leaf has no room for. */
static int insert_more(struct rope *rope, uint32_t at, struct dunlin_bytes text, bool ascii) {
  struct rope_path *path = &rope->finger;
  size_t all = rope->sum.bytes + text.len;
  if (!rope->height) {
    int error = reserve_leaves(rope, (all + LEAF_LOADED - 1) / LEAF_LOADED - 1);
    if (error) return error;
    seek(rope, at);
    add_root(rope);
  }
  uint32_t offset = leaf_offset(path->leaf->bytes, path->sum, at - path->start);
  struct window w = typing_window(rope, at, offset, text.len);
  if (!w.n) w = insert_window(rope, text.len);
  int error = w.leaves > w.n ? reserve_leaves(rope, w.leaves - w.n) : 0;
  if (error) return error;
  rewrite(rope, w, offset, text, ascii);
  return 0;
}

/* What rope_insert() does when the text does not fit into the finger's leaf; apart from it, so that the usual case
 * keeps few registers. */
__attribute__((noinline)) static int insert_slowly(struct rope *rope, uint32_t at, struct dunlin_bytes text,
                                                   uint32_t scalars) {
  if (text.len > INT32_MAX - rope->sum.bytes) return DUNLIN_ENOMEM;
  if (!rope->height && rope->sum.bytes + text.len > rope->cap) {
    size_t cap = rope->cap;
    int error = grow_root(rope, rope->sum.bytes + text.len);
    if (error) return error;
    if (rope->cap > cap) return rope_insert(rope, at, text.data, text.len, scalars);
  }
  int error = insert_more(rope, at, text, text.len == scalars);
  if (error) error = squeeze(rope, rope_convert(rope, ROPE_SCALARS, ROPE_BYTES, at), text, error);
  if (error) return error;
  rope->full_from = at;
  rope->full_to = at + scalars;
  rope->full_size = rope->sum.scalars;
  return 0;
}

int rope_insert(struct rope *rope, size_t at, const void *utf8, size_t bytes, size_t scalars) {
  struct rope_path *path = &rope->finger;
  uint32_t pos = (uint32_t)at;
  if (!bytes) return 0;
  if (rope->cap && (!path->leaf || pos < path->start || pos - path->start > path->sum.scalars)) seek(rope, pos);
  if (!path->leaf || bytes > rope->cap - path->sum.bytes)
    return insert_slowly(rope, pos, (struct dunlin_bytes){utf8, bytes}, (uint32_t)scalars);
  uint8_t *gap = path->leaf->bytes + leaf_offset(path->leaf->bytes, path->sum, pos - path->start);
  memmove(gap + bytes, gap, (size_t)(path->leaf->bytes + path->sum.bytes - gap));
  memcpy(gap, utf8, bytes);
  struct rope_sum sum = {.scalars = (uint32_t)scalars, .bytes = (uint32_t)bytes};
  if (bytes != scalars) sum_wide(&sum, utf8);
  sum_add(&path->sum, sum);
  add_above(rope, rope->height, sum);
  return 0;
}

int rope_load(struct rope *rope, const void *utf8, size_t bytes, size_t scalars) {
  return rope_insert(rope, 0, utf8, bytes, scalars);
}

/* Deletion */

/* The finger's leaf is small: makes fewer leaves of it and its siblings if that leaves some room in them. */
static void shrink_leaves(struct rope *rope) {
  const struct rope_node *node = rope->finger.node[rope->height - 1];
  uint32_t at = rope->finger.index[rope->height - 1], n = node->count < TOGETHER ? node->count : TOGETHER;
  struct window w = {.first = at ? at - 1 : 0, .n = 2, .leaves = 1};
  if (n < 2) return;
  if (window_bytes(node, w.first, 2) > LEAF_FULL) {
    w.first = at + 1 < node->count ? at : at - 1;
    if (window_bytes(node, w.first, 2) > LEAF_FULL) {
      w = (struct window){.first = at ? at - 1 : 0, .n = n, .leaves = n - 1};
      if (w.first + n > node->count) w.first = node->count - n;
      if (window_bytes(node, w.first, n) > (n - 1) * LEAF_FULL) return;
    }
  }
  rewrite(rope, w, 0, (struct dunlin_bytes){NULL, 0}, true);
}

/* Takes the finger's leaf, which is all in the range, and those of its siblings that are too; gives what has gone. */
static uint32_t delete_leaves(struct rope *rope, uint32_t count) {
  uint32_t level = rope->height - 1, at = rope->finger.index[level], n = 0, gone = 0;
  struct rope_node *node = rope->finger.node[level];
  for (; at + n < node->count && node->scalars[at + n] <= count - gone; n++) {
    gone += node->scalars[at + n];
    spare_leaf(rope, node->child[at + n].leaf);
  }
  remove_leaves(rope, n);
  return gone;
}

/* Cuts `n` scalar values from `local` on out of the finger's leaf. */
static void cut(struct rope *rope, uint32_t local, uint32_t n) {
  struct rope_path *path = &rope->finger;
  uint8_t *bytes = path->leaf->bytes;
  struct rope_sum gone = {.scalars = n, .bytes = n};
  uint32_t from = local;
  if (!is_ascii(path->sum)) {
    from = leaf_offset(bytes, path->sum, local);
    gone.bytes = (uint32_t)utf8_offset(bytes + from, path->sum.bytes - from, n);
    sum_wide(&gone, bytes + from);
  }
  memmove(bytes + from, bytes + from + gone.bytes, path->sum.bytes - from - gone.bytes);
  path->sum = sum_minus(path->sum, gone);
  add_above(rope, rope->height, sum_minus((struct rope_sum){0}, gone));
}

void rope_delete(struct rope *rope, size_t at, size_t count) {
  struct rope_path *path = &rope->finger;
  uint32_t pos = (uint32_t)at, left = (uint32_t)count;
  bool across = false; /* whether it ends in another leaf than it begins */
  while (left) {
    if (!path->leaf || pos < path->start || pos - path->start >= path->sum.scalars) seek(rope, pos + 1);
    uint32_t local = pos - path->start, here = path->sum.scalars - local;
    if (rope->height && !local && left >= here) {
      left -= delete_leaves(rope, left);
      across = true;
      continue;
    }
    if (here > left) here = left;
    cut(rope, local, here);
    left -= here;
    across = across || left;
  }
  if (across && rope->height && pos) { /* what is left of the first leaf */
    seek(rope, pos);
    if (path->sum.bytes < LEAF_LOW) shrink_leaves(rope);
  }
  if (across && rope->height && pos < rope->sum.scalars) seek(rope, pos + 1);
  if (rope->height && path->leaf && path->sum.bytes < LEAF_LOW) shrink_leaves(rope);
}

void rope_take(struct rope *rope, size_t at, size_t count, struct buf *out) {
  struct rope_path *path = &rope->finger;
  uint32_t pos = (uint32_t)at;
  if (!path->leaf || pos < path->start || pos - path->start >= path->sum.scalars) seek(rope, pos + 1);
  if (count <= path->sum.scalars - (pos - path->start)) {
    const uint8_t *bytes = path->leaf->bytes;
    uint32_t from = leaf_offset(bytes, path->sum, pos - path->start);
    uint32_t to = leaf_offset(bytes, path->sum, pos - path->start + (uint32_t)count);
    buf_append(out, bytes + from, to - from);
  } else {
    uint8_t *bytes = buf_extend(out, rope_measure(rope, at, count));
    if (bytes) rope_copy(rope, at, count, bytes);
  }
  if (!out->error) rope_delete(rope, at, count);
}
