/* The anchors of a text in their order, in trees: one of all of them, and one of each key.
 *
 * A node of a tree sums up what is below it, so that the anchor of a rank, the next place where something changes, and
 * what reaches across a place are found in as many steps as the tree is deep.  The trees are scapegoat trees (Galperin,
 * Rivest, 1993): nothing is turned round, a part that has become too deep is made anew.  So the way to a node in the
 * tree of all is a number, its *label*, and of two anchors it says which comes first.
 *
 * What has gone stays in the trees, as dead, until the whole index is made again. */
#ifndef CRDT_ANCHOR_TREE_H
#define CRDT_ANCHOR_TREE_H

#include "crdt/env.h"
#include "crdt/rope.h"

#define ANCHOR_NONE UINT32_MAX

enum anchor_which { ANCHORS_ALL, ANCHORS_OF_KEY };

struct anchor_links {
  uint32_t left, right, parent;
  uint32_t size;     /* itself and what is below it */
  uint32_t count;    /* those of them that are there */
  uint32_t flags;    /* in the tree of all: those where what shows changes; of a key: those where a run starts */
  uint32_t farthest; /* in the tree of all, the end of a run that starts there, of a key, of a mark: the last one */
};

struct anchor_node {
  uint64_t label;
  struct anchor_links in[2]; /* enum anchor_which */
  struct rope_anchor anchor;
  bool is_dead;
  bool is_edge;  /* what shows under its key is not the same before and behind it */
  bool is_saved; /* of a start: its mark's key and value are in the file's, at `content`; else in the values column */
  uint32_t content;
  uint32_t other; /* the mark's other anchor, when both are there */
  uint32_t key;
  uint32_t run;     /* the start of the mark that shows from here on, when another one did before */
  uint32_t run_end; /* and up to here */
  uint32_t ended;   /* the start of the mark whose run ends here */
};

struct anchor_trees {
  const struct dunlin_env *env;
  struct anchor_node *nodes;
  size_t count, cap;
  uint32_t root; /* of the tree of all */
};

static inline bool anchor_before(const struct anchor_trees *t, uint32_t a, uint32_t b) {
  return t->nodes[a].label < t->nodes[b].label;
}

/* A new node, in no tree; ANCHOR_NONE when out of memory. */
uint32_t anchor_new(struct anchor_trees *t, struct rope_anchor anchor);
/* Puts it at a rank of the tree of all; in a key's tree where its label says. */
void anchor_put(struct anchor_trees *t, uint32_t node, uint32_t rank);
void anchor_put_in_key(struct anchor_trees *t, uint32_t *root, uint32_t node);
/* Makes a tree of `n` nodes in order, `first` and those that follow by `right`, and gives its root; anchor_sum() comes
 * after. */
uint32_t anchor_build(struct anchor_trees *t, enum anchor_which which, uint32_t first, uint32_t n);
void anchor_sum(struct anchor_trees *t, enum anchor_which which, uint32_t root);
/* What a node says has changed, so what is above it sums it up again. */
void anchor_changed(struct anchor_trees *t, enum anchor_which which, uint32_t node);

uint32_t anchor_rank(const struct anchor_trees *t, uint32_t node);
uint32_t anchor_at(const struct anchor_trees *t, uint32_t rank); /* ANCHOR_NONE: there are not so many */

/* The first flagged node that does not come before this one, the last that does not come behind it; ANCHOR_NONE. */
uint32_t anchor_flag_from(const struct anchor_trees *t, enum anchor_which which, uint32_t root, uint32_t node);
uint32_t anchor_flag_to(const struct anchor_trees *t, enum anchor_which which, uint32_t root, uint32_t node);

/* 0; DUNLIN_ECORRUPT. */
int anchor_check(const struct anchor_trees *t, enum anchor_which which, uint32_t root);

#endif
