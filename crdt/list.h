/* What a list container shows: its elements in order, each a register.  It keeps no ids; an element is known by its
 * index, or for as long as it is there by a *handle*.
 *
 * The handles lie in a B-tree that knows how many are under each node, so that an index is found in a few steps.
 *
 * While a change is open, what it does is noted down, so that it can be taken back; a register that was taken out lives
 * until the change is settled. */
#ifndef CRDT_LIST_H
#define CRDT_LIST_H

#include "crdt/register.h"
#include "crdt/splices.h"

#define LIST_NONE UINT32_MAX

enum { LIST_LEAF = 64, LIST_FANOUT = 32 };

struct list_leaf {
  uint32_t count;
  uint32_t elements[LIST_LEAF]; /* handles; of a spare leaf the first is the next spare one */
};

struct list_node {
  uint32_t count;
  uint32_t child[LIST_FANOUT]; /* of a spare node the first is the next spare one */
  uint32_t sizes[LIST_FANOUT]; /* elements under each child */
};

struct list_undo {
  enum { LIST_INSERTED, LIST_ERASED, LIST_MOVED } what;
  uint32_t at, element;
  uint32_t from; /* where it was moved from */
};

struct list {
  const struct dunlin_env *env;
  struct list_leaf *leaves;
  size_t leaf_count, leaf_cap; /* spare ones among them */
  struct list_node *nodes;
  size_t node_count, node_cap;
  uint32_t spare_leaf, spare_leaves, spare_node, spare_nodes;
  uint32_t root, height; /* height 1: the root's children are leaves; 0: there is nothing yet */
  uint32_t size;
  struct reg *elements; /* by handle; of a spare one `count` is the next spare handle */
  size_t element_count, element_cap;
  uint32_t spare_element;
  bool is_open;
  struct list_undo *undos;
  size_t undo_count, undo_cap;
  struct splices *splices; /* notes edits down for those who watch; NULL: nobody does */
  size_t taken;            /* how many elements taking the change back will put in */
};

void list_init(struct list *list, const struct dunlin_env *env);
void list_free(struct list *list);

/* Makes room for one call of list_new and one of the others.  DUNLIN_ENOMEM. */
int list_reserve(struct list *list);

/* A handle with an empty register, to be inserted or dropped.  After list_reserve(). */
uint32_t list_new(struct list *list);
void list_drop(struct list *list, uint32_t element);

/* The handle at an index below the size. */
uint32_t list_get(const struct list *list, uint32_t at);
/* Those from an index below the size on, as many as lie together: `*count`, at least one. */
const uint32_t *list_run(const struct list *list, uint32_t at, uint32_t *count);

/* Changes at indexes in range, each after list_reserve(). `to`: where the element is then. */
void list_insert(struct list *list, uint32_t at, uint32_t element);
void list_erase(struct list *list, uint32_t at);
void list_move(struct list *list, uint32_t from, uint32_t to);

/* From here on changes can be taken back, until list_settle(). */
void list_open(struct list *list);
void list_revert(struct list *list);
void list_settle(struct list *list);

/* 0, or DUNLIN_ECORRUPT when something in it contradicts itself. */
int list_check(const struct list *list, bool deep);

#endif
