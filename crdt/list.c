#include "crdt/list.h"

#include <string.h>

enum { LEAF_FEW = LIST_LEAF / 4, NODE_FEW = LIST_FANOUT / 4 }; /* with fewer it joins a neighbour */

void list_init(struct list *l, const struct dunlin_env *env) {
  *l = (struct list){.env = env, .spare_leaf = LIST_NONE, .spare_node = LIST_NONE, .spare_element = LIST_NONE};
}

void list_free(struct list *l) {
  list_settle(l);
  while (l->spare_element != LIST_NONE) {
    struct reg *reg = &l->elements[l->spare_element];
    l->spare_element = reg->count;
    reg->count = 0;
  }
  for (size_t i = 0; i < l->element_count; i++) reg_free(&l->elements[i], l->env);
  ENV_FREE_ARRAY(l->env, l->elements, l->element_cap);
  ENV_FREE_ARRAY(l->env, l->leaves, l->leaf_cap);
  ENV_FREE_ARRAY(l->env, l->nodes, l->node_cap);
  ENV_FREE_ARRAY(l->env, l->undos, l->undo_cap);
  list_init(l, l->env);
}

/* ---- Handles ------------------------------------------------------------------------------------------------ */

uint32_t list_new(struct list *l) {
  uint32_t element = l->spare_element;
  if (element == LIST_NONE) element = (uint32_t)l->element_count++;
  else l->spare_element = l->elements[element].count;
  l->elements[element] = (struct reg){0};
  return element;
}

void list_drop(struct list *l, uint32_t element) {
  reg_free(&l->elements[element], l->env);
  l->elements[element] = (struct reg){.count = l->spare_element};
  l->spare_element = element;
}

/* ---- Memory ------------------------------------------------------------------------------------------------- */

/* Room for a list that fits into one leaf: most do. */
static int reserve_one(struct list *l) {
  if (!l->leaves) l->leaves = env_alloc(l->env, sizeof *l->leaves);
  if (l->leaves && !l->leaf_cap) l->leaf_cap = 1;
  if (!l->nodes) l->nodes = env_alloc(l->env, sizeof *l->nodes);
  if (l->nodes && !l->node_cap) l->node_cap = 1;
  return l->leaves && l->nodes ? 0 : DUNLIN_ENOMEM;
}

/* How many leaves and nodes one insertion and taking everything back may need.  A leaf is split when it is full, and
 * leaves that were split or joined are a quarter empty; what was full before is split at most twice, since the last
 * leaf may stay full. */
static int reserve_tree(struct list *l) {
  if (l->size + l->taken + 1 <= LIST_LEAF && l->leaf_count <= 1) return reserve_one(l);
  size_t leaves = l->leaf_count - l->spare_leaves, nodes = l->node_count - l->spare_nodes;
  size_t splits = 2 * leaves + l->taken / (LIST_LEAF / 4);
  if (splits > l->taken) splits = l->taken;
  size_t node_splits = splits ? 2 * nodes + splits / 4 : 0;
  return ENV_GROW(l->env, l->leaves, l->leaf_cap, leaves + splits + 2) ||
                 ENV_GROW(l->env, l->nodes, l->node_cap, nodes + node_splits + l->height + 4)
             ? DUNLIN_ENOMEM
             : 0;
}

int list_reserve(struct list *l) {
  return reserve_tree(l) || ENV_GROW(l->env, l->elements, l->element_cap, l->element_count + 1) ||
                 (l->is_open && ENV_GROW(l->env, l->undos, l->undo_cap, l->undo_count + 1))
             ? DUNLIN_ENOMEM
             : 0;
}

static uint32_t new_leaf(struct list *l) {
  uint32_t leaf = l->spare_leaf;
  if (leaf == LIST_NONE) {
    leaf = (uint32_t)l->leaf_count++;
  } else {
    l->spare_leaf = l->leaves[leaf].elements[0];
    l->spare_leaves--;
  }
  l->leaves[leaf].count = 0;
  return leaf;
}

static uint32_t new_node(struct list *l) {
  uint32_t node = l->spare_node;
  if (node == LIST_NONE) {
    node = (uint32_t)l->node_count++;
  } else {
    l->spare_node = l->nodes[node].child[0];
    l->spare_nodes--;
  }
  l->nodes[node].count = 0;
  return node;
}

static void spare_node(struct list *l, uint32_t node) {
  l->nodes[node].child[0] = l->spare_node;
  l->spare_node = node;
  l->spare_nodes++;
}

/* Gives back a child of a node of that height. */
static void spare_child(struct list *l, uint32_t height, uint32_t child) {
  if (height > 1) {
    spare_node(l, child);
    return;
  }
  l->leaves[child].elements[0] = l->spare_leaf;
  l->spare_leaf = child;
  l->spare_leaves++;
}

/* ---- Finding ------------------------------------------------------------------------------------------------ */

const uint32_t *list_run(const struct list *l, uint32_t at, uint32_t *count) {
  uint32_t child = l->root;
  for (uint32_t h = l->height; h; h--) {
    const struct list_node *n = &l->nodes[child];
    uint32_t i = 0;
    for (; at >= n->sizes[i]; i++) at -= n->sizes[i];
    child = n->child[i];
  }
  *count = l->leaves[child].count - at;
  return l->leaves[child].elements + at;
}

uint32_t list_get(const struct list *l, uint32_t at) {
  uint32_t count;
  return *list_run(l, at, &count);
}

/* ---- Putting in --------------------------------------------------------------------------------------------- */

static uint32_t node_size(const struct list_node *n) {
  uint32_t size = 0;
  for (uint32_t i = 0; i < n->count; i++) size += n->sizes[i];
  return size;
}

static void add_child(struct list_node *n, uint32_t slot, uint32_t child, uint32_t size) {
  memmove(&n->child[slot + 1], &n->child[slot], (n->count - slot) * sizeof *n->child);
  memmove(&n->sizes[slot + 1], &n->sizes[slot], (n->count - slot) * sizeof *n->sizes);
  n->child[slot] = child;
  n->sizes[slot] = size;
  n->count++;
}

static void drop_child(struct list_node *n, uint32_t slot) {
  n->count--;
  memmove(&n->child[slot], &n->child[slot + 1], (n->count - slot) * sizeof *n->child);
  memmove(&n->sizes[slot], &n->sizes[slot + 1], (n->count - slot) * sizeof *n->sizes);
}

/* Moves what is behind the first `keep` of a full leaf to a new one. */
static uint32_t split_leaf(struct list *l, uint32_t leaf, uint32_t keep) {
  uint32_t other = new_leaf(l);
  struct list_leaf *from = &l->leaves[leaf], *to = &l->leaves[other];
  to->count = from->count - keep;
  memcpy(to->elements, from->elements + keep, to->count * sizeof *to->elements);
  from->count = keep;
  return other;
}

static uint32_t split_node(struct list *l, uint32_t node) {
  enum { keep = LIST_FANOUT / 2 };
  uint32_t other = new_node(l);
  struct list_node *from = &l->nodes[node], *to = &l->nodes[other];
  to->count = from->count - keep;
  memcpy(to->child, from->child + keep, to->count * sizeof *to->child);
  memcpy(to->sizes, from->sizes + keep, to->count * sizeof *to->sizes);
  from->count = keep;
  return other;
}

static void split_child(struct list *l, uint32_t height, uint32_t node, uint32_t slot, uint32_t keep) {
  uint32_t child = l->nodes[node].child[slot];
  uint32_t other = height > 1 ? split_node(l, child) : split_leaf(l, child, keep);
  uint32_t moved = height > 1 ? node_size(&l->nodes[other]) : l->leaves[other].count;
  l->nodes[node].sizes[slot] -= moved;
  add_child(&l->nodes[node], slot + 1, other, moved);
}

static void grow_root(struct list *l) {
  uint32_t root = new_node(l);
  struct list_node *n = &l->nodes[root];
  n->count = 0;
  if (l->height) add_child(n, 0, l->root, node_size(&l->nodes[l->root]));
  l->root = root;
  l->height++;
}

/* Full nodes and leaves are split on the way down, so that there is room above. */
static void put(struct list *l, uint32_t at, uint32_t element) {
  bool at_end = at == l->size; /* appending leaves full leaves behind */
  if (!l->height || l->nodes[l->root].count == LIST_FANOUT) grow_root(l);
  if (!l->nodes[l->root].count) add_child(&l->nodes[l->root], 0, new_leaf(l), 0);
  uint32_t child = l->root;
  for (uint32_t h = l->height; h; h--) {
    struct list_node *n = &l->nodes[child];
    uint32_t i = 0, node = child;
    for (; at > n->sizes[i]; i++) at -= n->sizes[i];
    bool full = h > 1 ? l->nodes[n->child[i]].count == LIST_FANOUT : l->leaves[n->child[i]].count == LIST_LEAF;
    if (full) {
      split_child(l, h, node, i, at_end ? LIST_LEAF : LIST_LEAF / 2);
      n = &l->nodes[node];
      if (at > n->sizes[i] || (h == 1 && at_end)) at -= n->sizes[i++];
    }
    n->sizes[i]++;
    child = n->child[i];
  }
  struct list_leaf *leaf = &l->leaves[child];
  memmove(&leaf->elements[at + 1], &leaf->elements[at], (leaf->count - at) * sizeof *leaf->elements);
  leaf->elements[at] = element;
  leaf->count++;
  l->size++;
}

/* ---- Taking out --------------------------------------------------------------------------------------------- */

static uint32_t child_count(const struct list *l, uint32_t height, uint32_t child) {
  return height > 1 ? l->nodes[child].count : l->leaves[child].count;
}

/* Joins child `slot` with the one behind it. */
static void join_children(struct list *l, uint32_t height, struct list_node *n, uint32_t slot) {
  uint32_t left = n->child[slot], right = n->child[slot + 1];
  if (height > 1) {
    struct list_node *to = &l->nodes[left];
    const struct list_node *from = &l->nodes[right];
    memcpy(to->child + to->count, from->child, from->count * sizeof *to->child);
    memcpy(to->sizes + to->count, from->sizes, from->count * sizeof *to->sizes);
    to->count += from->count;
  } else {
    struct list_leaf *to = &l->leaves[left];
    const struct list_leaf *from = &l->leaves[right];
    memcpy(to->elements + to->count, from->elements, from->count * sizeof *to->elements);
    to->count += from->count;
  }
  n->sizes[slot] += n->sizes[slot + 1];
  drop_child(n, slot + 1);
  spare_child(l, height, right);
}

/* Something was taken out of child `slot`: drops it when it is empty, joins it with a neighbour when it has little.
 * False when nothing had to be done. */
static bool tidy(struct list *l, uint32_t height, struct list_node *n, uint32_t slot) {
  uint32_t child = n->child[slot], count = child_count(l, height, child);
  if (!count) {
    drop_child(n, slot);
    spare_child(l, height, child);
    return true;
  }
  uint32_t few = height > 1 ? NODE_FEW : LEAF_FEW, most = 3 * few;
  if (count >= few || n->count == 1) return false;
  uint32_t left = slot ? slot - 1 : 0;
  if (child_count(l, height, n->child[left]) + child_count(l, height, n->child[left + 1]) > most) return false;
  join_children(l, height, n, left);
  return true;
}

static uint32_t take(struct list *l, uint32_t at) {
  enum { highest = 16 }; /* far more than 2^32 elements need */
  uint32_t path[highest], slots[highest], child = l->root;
  for (uint32_t h = l->height; h; h--) {
    struct list_node *n = &l->nodes[child];
    uint32_t i = 0;
    for (; at >= n->sizes[i]; i++) at -= n->sizes[i];
    n->sizes[i]--;
    path[h] = child;
    slots[h] = i;
    child = n->child[i];
  }
  struct list_leaf *leaf = &l->leaves[child];
  uint32_t element = leaf->elements[at];
  leaf->count--;
  memmove(&leaf->elements[at], &leaf->elements[at + 1], (leaf->count - at) * sizeof *leaf->elements);
  l->size--;
  for (uint32_t h = 1; h <= l->height && tidy(l, h, &l->nodes[path[h]], slots[h]); h++) {
  }
  while (l->height > 1 && l->nodes[l->root].count <= 1) {
    uint32_t old = l->root;
    if (!l->nodes[old].count) {
      l->height = 1;
      break;
    }
    l->root = l->nodes[old].child[0];
    l->height--;
    spare_node(l, old);
  }
  return element;
}

/* ---- Changes ------------------------------------------------------------------------------------------------ */

static void note(struct list *l, struct list_undo undo) {
  if (!l->is_open) return;
  l->undos[l->undo_count++] = undo;
  l->taken += undo.what != LIST_INSERTED;
}

void list_insert(struct list *l, uint32_t at, uint32_t element) {
  put(l, at, element);
  if (l->splices) splices_insert(l->splices, at, 1);
  note(l, (struct list_undo){.what = LIST_INSERTED, .at = at, .element = element});
}

void list_erase(struct list *l, uint32_t at) {
  uint32_t element = take(l, at);
  if (l->splices) splices_erase(l->splices, at, 1);
  if (l->is_open) note(l, (struct list_undo){.what = LIST_ERASED, .at = at, .element = element});
  else list_drop(l, element);
}

void list_move(struct list *l, uint32_t from, uint32_t to) {
  uint32_t element = take(l, from);
  put(l, to, element);
  if (l->splices) {
    splices_erase(l->splices, from, 1);
    splices_insert(l->splices, to, 1);
  }
  note(l, (struct list_undo){.what = LIST_MOVED, .at = to, .element = element, .from = from});
}

static void close_notes(struct list *l) {
  enum { keep = 16 };
  l->is_open = false;
  l->undo_count = l->taken = 0;
  if (l->undo_cap > keep) {
    ENV_FREE_ARRAY(l->env, l->undos, l->undo_cap);
    l->undos = NULL;
    l->undo_cap = 0;
  }
}

void list_open(struct list *l) {
  l->is_open = true;
  if (l->splices) splices_open(l->splices);
}

void list_settle(struct list *l) {
  for (size_t i = 0; i < l->undo_count; i++)
    if (l->undos[i].what == LIST_ERASED) list_drop(l, l->undos[i].element);
  close_notes(l);
}

void list_revert(struct list *l) {
  while (l->undo_count) {
    const struct list_undo *u = &l->undos[--l->undo_count];
    if (u->what != LIST_ERASED) take(l, u->at);
    if (u->what == LIST_INSERTED) list_drop(l, u->element);
    else put(l, u->what == LIST_MOVED ? u->from : u->at, u->element);
  }
  if (l->splices) splices_revert(l->splices);
  close_notes(l);
}

/* ---- Checking ----------------------------------------------------------------------------------------------- */

/* What lies under a node, with `seen` of each handle. */
static int check_node(const struct list *l, uint32_t height, uint32_t node, uint8_t *seen, uint32_t *size) {
  const struct list_node *n = &l->nodes[node];
  if (n->count > LIST_FANOUT || (!n->count && node != l->root)) return DUNLIN_ECORRUPT;
  for (uint32_t i = 0; i < n->count; i++) {
    uint32_t own = 0;
    int error = height > 1 ? check_node(l, height - 1, n->child[i], seen, &own) : 0;
    const struct list_leaf *leaf = height > 1 ? NULL : &l->leaves[n->child[i]];
    if (leaf && (!leaf->count || leaf->count > LIST_LEAF)) return DUNLIN_ECORRUPT;
    if (leaf) own = leaf->count;
    for (uint32_t k = 0; leaf && k < leaf->count; k++)
      if (leaf->elements[k] >= l->element_count || seen[leaf->elements[k]]++) return DUNLIN_ECORRUPT;
    if (error || own != n->sizes[i] || !own) return DUNLIN_ECORRUPT;
    *size += own;
  }
  return 0;
}

/* Each handle is in the list, or spare, or waits for the change to be settled; never two of these. */
static int check_handles(const struct list *l, uint8_t *seen) {
  size_t used = l->size;
  for (uint32_t e = l->spare_element; e != LIST_NONE; e = l->elements[e].count, used++)
    if (e >= l->element_count || seen[e]++ || l->elements[e].cap) return DUNLIN_ECORRUPT;
  for (size_t i = 0; i < l->undo_count; i++)
    if (l->undos[i].what == LIST_ERASED && seen[l->undos[i].element]++) return DUNLIN_ECORRUPT;
    else used += l->undos[i].what == LIST_ERASED;
  return used == l->element_count ? 0 : DUNLIN_ECORRUPT;
}

int list_check(const struct list *l, bool deep) {
  uint32_t size = 0;
  if (!l->height) return l->size ? DUNLIN_ECORRUPT : 0;
  if (node_size(&l->nodes[l->root]) != l->size) return DUNLIN_ECORRUPT;
  if (!deep) return 0;
  uint8_t *seen = env_calloc(l->env, l->element_count + 1, 1);
  if (!seen) return DUNLIN_ENOMEM;
  int error = check_node(l, l->height, l->root, seen, &size);
  if (!error && size != l->size) error = DUNLIN_ECORRUPT;
  if (!error) error = check_handles(l, seen);
  env_free(l->env, seen, l->element_count + 1);
  return error;
}
