/* What shows is kept as a treap: a search tree by position that is a heap by random priorities, so that nobody can make
 * it deep.  A node is a stretch of operations, and few bytes, since there may be as many as the history has rows.
 * Stretches of the history in which each operation builds on the one before go straight into it, and the walker turns
 * the others into such edits. */
#include "crdt/survivors.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "crdt/mix.h"

enum { NODES_OF_A_STEP = 3 }; /* what is inserted, and what is cut at both ends of what is erased */

struct node {
  uint32_t ord;
  uint32_t size;        /* of it and all below: it has what its children have not */
  uint32_t left, right; /* 0: nothing */
};
static_assert(sizeof(struct node) == sizeof(struct survivor), "the one becomes the other");
#define SURVIVES UINT32_MAX /* as the mark of a survivor; no node is that far right */

struct treap {
  const struct dunlin_env *env;
  const struct survivors_of *of;
  uint64_t seed;
  struct node *nodes; /* from 1 on; 0 stands for nothing, and its size is 0 */
  size_t count, cap;
  uint32_t root;
  uint32_t free; /* trees that are not needed any more, linked by the sizes of their roots */
};

/* ---- The tree ----------------------------------------------------------------------------------------------- */

static uint32_t size_of(const struct treap *t, uint32_t at) {
  return t->nodes[at].size;
}
static uint32_t len_of(const struct treap *t, uint32_t at) {
  const struct node *n = &t->nodes[at];
  return n->size - size_of(t, n->left) - size_of(t, n->right);
}

/* By a quarter, since it is most of what is held. */
static int reserve(struct treap *t) {
  size_t need = t->count + NODES_OF_A_STEP, cap = t->cap + t->cap / 4 + 16;
  if (need <= t->cap) return 0;
  struct node *nodes = t->env->realloc(t->env->ctx, t->nodes, t->cap * sizeof *nodes, cap * sizeof *nodes);
  if (!nodes) return DUNLIN_ENOMEM;
  t->nodes = nodes;
  t->cap = cap;
  return 0;
}

static void free_tree(struct treap *t, uint32_t at) {
  if (!at) return;
  t->nodes[at].size = t->free;
  t->free = at;
}

static uint32_t new_node(struct treap *t, uint32_t ord, uint32_t len) {
  uint32_t at = t->free;
  if (at) {
    struct node old = t->nodes[at];
    t->free = old.size;
    free_tree(t, old.left);
    free_tree(t, old.right);
  } else {
    at = (uint32_t)t->count++;
  }
  t->nodes[at] = (struct node){ord, len, 0, 0};
  return at;
}

static uint32_t merge(struct treap *t, uint32_t a, uint32_t b) {
  if (!a || !b) return a ? a : b;
  uint32_t both = size_of(t, a) + size_of(t, b);
  bool first = mix_rank(t->seed, a) > mix_rank(t->seed, b);
  uint32_t below = first ? merge(t, t->nodes[a].right, b) : merge(t, a, t->nodes[b].left);
  if (first) t->nodes[a].right = below;
  else t->nodes[b].left = below;
  t->nodes[first ? a : b].size = both;
  return first ? a : b;
}

/* What a node loses when it is cut. */
struct rest {
  uint32_t ord, len; /* 0: nothing */
};

/* The first `size` items of tree `at` become `*a`, the others `*b`, but for the rest of a node that is cut: down here
 * its priority would not be below those above it. */
static void split_nodes(struct treap *t, uint32_t at, uint32_t size, uint32_t *a, uint32_t *b, struct rest *rest) {
  *a = *b = 0;
  if (!at) return;
  uint32_t left = t->nodes[at].left, right = t->nodes[at].right, part;
  uint32_t before = size_of(t, left), len = len_of(t, at), all = size_of(t, at);
  if (size <= before) {
    split_nodes(t, left, size, a, &part, rest);
    t->nodes[at].left = part;
    t->nodes[at].size = all - size - rest->len;
    *b = at;
  } else if (size >= before + len) {
    split_nodes(t, right, size - before - len, &part, b, rest);
    t->nodes[at].right = part;
    t->nodes[at].size = size;
    *a = at;
  } else {
    uint32_t keep = size - before;
    *rest = (struct rest){t->nodes[at].ord + keep, len - keep};
    t->nodes[at].right = 0;
    t->nodes[at].size = size;
    *a = at;
    *b = right;
  }
}

/* The first `size` items of tree `at` become `*a`, the others `*b`. */
static void split(struct treap *t, uint32_t at, uint32_t size, uint32_t *a, uint32_t *b) {
  struct rest rest = {0, 0};
  split_nodes(t, at, size, a, b, &rest);
  if (rest.len) *b = merge(t, new_node(t, rest.ord, rest.len), *b);
}

static bool is_anchor(const struct treap *t, uint32_t ord) {
  return op_is_anchor(t->of->log->runs[oplog_by_ord(t->of->log, ord)].kind);
}

/* Characters of operations that go on where those of the tree's last node end become part of that. */
static bool joins(struct treap *t, uint32_t at, uint32_t ord, uint32_t len) {
  uint32_t last = at;
  if (!at) return false;
  while (t->nodes[last].right) last = t->nodes[last].right;
  if (t->nodes[last].ord + len_of(t, last) != ord || is_anchor(t, t->nodes[last].ord)) return false;
  for (uint32_t on = at; on; on = t->nodes[on].right) t->nodes[on].size += len;
  return true;
}

/* ---- The edits ---------------------------------------------------------------------------------------------- */

static int insert(void *ctx, uint32_t pos, const struct op_run *run, uint32_t skipped, uint32_t len) {
  struct treap *t = ctx;
  uint32_t a, b, ord = run->ord + skipped, size = size_of(t, t->root);
  if (pos > size || len > LV_LIMIT - size) return DUNLIN_EFORMAT;
  if (reserve(t)) return DUNLIN_ENOMEM;
  split(t, t->root, pos, &a, &b);
  if (op_is_anchor(run->kind) || !joins(t, a, ord, len)) a = merge(t, a, new_node(t, ord, len));
  t->root = merge(t, a, b);
  return 0;
}

static int erase(void *ctx, uint32_t pos, uint32_t len) {
  struct treap *t = ctx;
  uint32_t a, b, gone, size = size_of(t, t->root);
  if (pos > size || len > size - pos) return DUNLIN_EFORMAT;
  if (reserve(t)) return DUNLIN_ENOMEM;
  split(t, t->root, pos, &a, &b);
  split(t, b, len, &gone, &b);
  free_tree(t, gone);
  t->root = merge(t, a, b);
  return 0;
}

static int move(void *ctx, uint32_t from, uint32_t to) {
  struct treap *t = ctx;
  uint32_t a, b, moved, size = size_of(t, t->root);
  if (from >= size || to >= size) return DUNLIN_EFORMAT;
  if (reserve(t)) return DUNLIN_ENOMEM;
  split(t, t->root, from, &a, &b);
  split(t, b, 1, &moved, &b);
  split(t, merge(t, a, b), to, &a, &b);
  t->root = merge(t, merge(t, a, moved), b);
  return 0;
}

static int set(void *ctx, uint32_t pos, const struct op_run *run) {
  struct treap *t = ctx;
  uint32_t at = t->root;
  if (pos >= size_of(t, at)) return DUNLIN_EFORMAT;
  if (!t->of->set) return 0;
  for (;;) {
    uint32_t before = size_of(t, t->nodes[at].left), len = len_of(t, at);
    if (pos >= before && pos < before + len) return t->of->set(t->of->ctx, run->lv, t->nodes[at].ord + (pos - before));
    at = pos < before ? t->nodes[at].left : t->nodes[at].right;
    if (pos >= before + len) pos -= before + len;
  }
}

/* Operations that each build on the one before. */
static int take_sequential(struct treap *t, uint32_t from, uint32_t to) {
  int error = 0;
  for (size_t i = oplog_from(t->of->log, from); !error && i < t->of->log->count && t->of->log->runs[i].lv < to; i++) {
    const struct op_run *run = &t->of->log->runs[i];
    struct op_piece piece = op_piece(run, from, to);
    if (run->idle) continue;
    if (run->kind == OP_DELETE) error = erase(t, piece.a, piece.len);
    else if (walker_is_set(run)) error = set(t, piece.a, run);
    else error = insert(t, piece.a, run, piece.skipped, piece.len);
  }
  return error;
}

static int take_concurrent(struct treap *t, struct walker *w, uint32_t from, uint32_t to) {
  struct walker_sink sink = {t, insert, erase, move, set};
  size_t first = oplog_from(t->of->log, from);
  if (first == t->of->log->count || t->of->log->runs[first].lv >= to) return 0;
  int error = walker_start(w, from);
  return error ? error : walker_replay(w, to, &sink);
}

/* Up to which LV the shortest way is open: void changes, and moves, are the walker's. */
static uint32_t shortcuts_end(const struct survivors_of *of) {
  uint32_t end = of->voids->count ? of->voids->list[of->voids->count - 1].from : LV_NONE;
  for (size_t i = 0; of->values && i < of->log->count; i++)
    if (of->log->runs[i].kind == OP_LIST_MOVE) return end < of->log->runs[i].lv ? end : of->log->runs[i].lv;
  return end;
}

static int take_all(struct treap *t) {
  const struct survivors_of *of = t->of;
  const struct graph *g = of->graph;
  uint32_t at = 0, stop = shortcuts_end(of);
  struct walker w;
  int error = 0;
  if (stop > of->to) stop = of->to;
  walker_init(&w, g, of->log, of->voids, of->values);
  for (size_t i = 0; !error && i < g->critical_count && g->critical[i].from < stop; i++) {
    uint32_t to = g->critical[i].to < stop ? g->critical[i].to : stop;
    error = take_concurrent(t, &w, at, g->critical[i].from);
    if (!error) error = take_sequential(t, g->critical[i].from, to);
    at = to;
  }
  if (!error) error = take_concurrent(t, &w, at, of->to);
  walker_free(&w);
  return error;
}

/* ---- What is left ------------------------------------------------------------------------------------------- */

/* Makes survivors of the nodes of a tree, each where it is. */
static int see_all(struct treap *t, uint32_t root) {
  if (!root) return 0;
  uint32_t left = t->nodes[root].left, right = t->nodes[root].right;
  struct survivor s = {.ord = t->nodes[root].ord, .len = len_of(t, root), .mark = SURVIVES};
  int error = see_all(t, left);
  if (!error && t->of->see) error = t->of->see(t->of->ctx, s.ord, s.len, &s.at);
  memcpy(&t->nodes[root], &s, sizeof s);
  return error ? error : see_all(t, right);
}

static int by_ord(const void *a, const void *b) {
  const struct survivor *x = a, *y = b;
  return (x->ord > y->ord) - (x->ord < y->ord);
}

/* Leaves those of characters. */
static void sort(struct survivors *s, const struct treap *t) {
  size_t count = 0;
  for (size_t i = 0; i < t->count; i++)
    if (s->list[i].mark == SURVIVES && !is_anchor(t, s->list[i].ord)) s->list[count++] = s->list[i];
  if (count) qsort(s->list, count, sizeof *s->list, by_ord);
  s->count = count;
}

int survivors_find(struct survivors *out, const struct survivors_of *of) {
  struct treap t = {.env = of->graph->env, .of = of, .seed = of->graph->actor_ids.seed};
  *out = (struct survivors){0};
  if (!of->log->count) return 0;
  if (reserve(&t)) return DUNLIN_ENOMEM;
  t.nodes[t.count++] = (struct node){0};
  int error = take_all(&t);
  if (!error) error = see_all(&t, t.root);
  if (error) {
    ENV_FREE_ARRAY(t.env, t.nodes, t.cap);
    return error;
  }
  out->list = (struct survivor *)t.nodes; /* each was made one */
  out->cap = t.cap;
  sort(out, &t);
  return 0;
}

void survivors_free(struct survivors *s, const struct dunlin_env *env) {
  ENV_FREE_ARRAY(env, s->list, s->cap);
  *s = (struct survivors){0};
}
