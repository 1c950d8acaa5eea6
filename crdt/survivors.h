/* Which of what the operations of a text or list insert shows in the end, and in which order: found out from the
 * operations alone, which need not be valid. */
#ifndef CRDT_SURVIVORS_H
#define CRDT_SURVIVORS_H

#include "crdt/walker.h"

/* What operations `ord` to `ord` + `len` - 1 of the container inserted: characters or elements, or one anchor. */
struct survivor {
  uint32_t ord, len;
  uint32_t at;   /* what survivors_find() was told */
  uint32_t mark; /* of survivors.c */
};
struct survivors {
  struct survivor *list; /* in the order of the operations, without the anchors */
  size_t count, cap;
};

struct survivors_of {
  const struct graph *graph;
  const struct oplog *log;
  const struct lv_ranges *voids;
  const struct column *values; /* of a list */
  uint32_t to;                 /* operations before this LV */
  void *ctx;
  /* A result other than 0 ends all.  May be NULL: */
  int (*see)(void *ctx, uint32_t ord, uint32_t len,
             uint32_t *at);                         /* told of all that show, in their order; keeps `*at` */
  int (*set)(void *ctx, uint32_t lv, uint32_t ord); /* before: operation `lv` wrote to the element of operation `ord` */
};

/* DUNLIN_EFORMAT when an index is out of range; DUNLIN_ENOMEM; what the functions gave. */
int survivors_find(struct survivors *out, const struct survivors_of *of);
void survivors_free(struct survivors *survivors, const struct dunlin_env *env);

#endif
