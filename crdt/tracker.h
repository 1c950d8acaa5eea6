/* The tracker of Eg-walker (Gentle and Kleppmann, "Collaborative Text Editing with Eg-walker", EuroSys 2025): a
 * sequence at two versions at once, for as long as concurrent operations are being merged.
 *
 * It holds every item inserted since a *base* version, and a placeholder for all that was there at the base.  Of each
 * item it knows its state at the *prepare* version, where the next operation's indexes are to be read (not inserted
 * yet, inserted, deleted so many times), and whether it is visible in *effect*, in the merge of all operations given so
 * far.  The prepare version moves by retreat and advance; operations are applied at it, and the tracker answers where
 * they take effect.
 *
 * Items lie in FugueMax order (Weidner and Kleppmann, "The Art of the Fugue", 2023) in a B-tree whose leaves hold spans
 * of items with consecutive numbers and one state.  Items are numbered by `ord`, their place among the operations of
 * the container.
 *
 * No function fails after tracker_reserve(). */
#ifndef CRDT_TRACKER_H
#define CRDT_TRACKER_H

#include "crdt/env.h"

#define TRACKER_BASE 0x80000000u    /* items of the base are numbered from here */
#define TRACKER_NONE UINT32_MAX     /* as an origin: the start or the end */
#define TRACKER_GONE 0x80000000u    /* in a state: not visible in effect */
#define TRACKER_MOVED 0x40000000u   /* in a state: a slot of an element that was moved; such spans have one item */
#define TRACKER_OPENING 0x20000000u /* in a state: an opening anchor; likewise */
#define TRACKER_BEHIND 0xfffffffeu  /* as a right origin: behind the end; closing anchors have it */

/* Few spans in a leaf, since they are passed over one by one.  4 and 4 make small documents tall trees. */
#ifndef TRACKER_SPANS
#define TRACKER_SPANS 12
#define TRACKER_FANOUT 16
#endif

struct tracker_span {
  uint32_t id, len;
  uint32_t left, right; /* origins of the first item; the others' left origin is the item before */
  uint32_t
      state; /* 0 not inserted at the prepare version, 1 inserted, n + 1 deleted n times; GONE: not visible in effect */
  /* MOVED: 2 stands for all that is inserted and not visible, also because the element is in another slot. */
};

struct tracker_leaf {
  uint32_t parent, slot, count, next;
  uint32_t inserted; /* items that are inserted at the prepare version, deleted or not */
  struct tracker_span spans[TRACKER_SPANS];
};

struct tracker_node {
  uint32_t parent, slot, count;
  uint32_t inserted; /* bits: children with an item that is inserted at the prepare version */
  uint32_t child[TRACKER_FANOUT];
  uint32_t now[TRACKER_FANOUT];    /* items visible at the prepare version */
  uint32_t effect[TRACKER_FANOUT]; /* items visible in effect */
  uint32_t base[TRACKER_FANOUT];   /* items of the base */
};

enum { TRACKER_STRETCH = 128 }; /* operations in one */

/* A stretch of the index: entry i is `value` + i * `step`, or, as long as nothing better is known of it, that of
 * `entries` from `value` on. */
struct tracker_stretch {
  uint32_t value, step;
};

struct tracker_link {
  uint32_t ord;  /* TRACKER_NONE: free */
  uint32_t root; /* what the last of the chain hangs on, which is no such anchor */
  uint32_t depth;
  uint32_t jump; /* one further down the chain, and so many that two or three such steps go twice as far */
};

struct tracker {
  const struct dunlin_env *env;
  struct tracker_leaf *leaves;
  size_t leaf_count, leaf_cap;
  struct tracker_node *nodes;
  size_t node_count, node_cap;
  uint32_t root, height; /* height 1: the root's children are leaves */
  uint32_t first_ord;
  /* Of an insertion its leaf, of a deletion its item, from first_ord on; tracker_index.c */
  struct tracker_stretch *index;
  size_t index_count, index_cap;
  uint32_t *entries;
  size_t entry_count, entry_cap, entry_limit; /* up to the limit there is room for what a call may need */
  size_t even_count;                          /* stretches that have no entries */
  uint32_t now, effect;                       /* totals */
  /* Whether item `ord` goes before `other` when nothing else orders them, and whether it wins over the other. */
  bool (*before)(void *ctx, uint32_t ord, uint32_t other);
  bool (*wins)(void *ctx, uint32_t ord, uint32_t other);
  void *ctx;
  struct tracker_moves *moves; /* NULL: nothing was moved */
  /* Of each anchor that hangs on one of its own sort: a hash table by its number.  No honest program makes these.
   * tracker_chain.c */
  struct tracker_link *links;
  size_t link_count, link_cap;
};

void tracker_init(struct tracker *tracker, const struct dunlin_env *env,
                  bool (*before)(void *ctx, uint32_t ord, uint32_t other),
                  bool (*wins)(void *ctx, uint32_t ord, uint32_t other), void *ctx);
void tracker_free(struct tracker *tracker);

/* Forgets everything: just the base, as long as can be, and operations from `first_ord` on to come.  DUNLIN_ENOMEM. */
int tracker_reset(struct tracker *tracker, uint32_t first_ord);
/* Makes room for one call of insert, delete or move on operations below `ord_end`.  DUNLIN_ENOMEM. */
static inline int tracker_reserve(struct tracker *tracker, uint32_t ord_end);

/* Inserts items ord .. ord + len - 1 before index `at` (not past tracker->now) of the prepare version; `gone`: born
 * deleted.  Gives the index at which they appear in effect. */
uint32_t tracker_insert(struct tracker *tracker, uint32_t ord, uint32_t at, uint32_t len, bool gone);

/* Likewise an anchor of a mark, which keeps to the item behind it (`opening`) or to the one before it: there it stays,
 * whatever others insert between the two. */
int tracker_reserve_anchor(struct tracker *tracker, uint32_t ord_end); /* first; DUNLIN_ENOMEM or 0 */
uint32_t tracker_insert_anchor(struct tracker *tracker, uint32_t ord, uint32_t at, bool opening, bool gone);

/* Operations ord .. ord + len - 1 delete the `len` items from index `at` of the prepare version on, upwards or
 * (`backward`) the last item first.  Does as many, from the first item on, as lie together: the result; the others stay
 * at `at`, for the operations that are left.  `*effect`: where the items were visible; TRACKER_NONE when they were not,
 * or when `idle`, which leaves them visible. */
uint32_t tracker_delete(struct tracker *tracker, uint32_t ord, uint32_t at, uint32_t len, bool backward, bool idle,
                        uint32_t *effect);

/* The index of operation `ord`, which neither inserts nor deletes, says which item is at index `at` of the prepare
 * version. */
void tracker_note(struct tracker *tracker, uint32_t ord, uint32_t at);

/* The prepare version loses (`by` -1) or gains (1) insertions or deletions.  Each call takes what it can do with the
 * memory reserved, from the front, and gives how many operations that was. */
uint32_t tracker_move_insert(struct tracker *tracker, uint32_t ord, uint32_t len, int by);
uint32_t tracker_move_delete(struct tracker *tracker, uint32_t ord, uint32_t len, int by);

/* A list's elements can be moved: an element then has several *slots*, items that each stand for it, and shows in the
 * one that wins: of two moves the one that wins, of a move and the insertion the move.  tracker_move.c
 *
 * Operation `ord` puts the item at index `at` of the prepare version before index `to` (not past tracker->now) of it,
 * counted while the item is still where it was; `idle`: without effect. `*was` and `*is`: the index in effect at which
 * the element was visible, and that at which it is once it was taken out there; TRACKER_NONE when nothing changes.
 * Needs tracker_reserve_move() first, which is DUNLIN_ENOMEM or 0. */
int tracker_reserve_move(struct tracker *tracker, uint32_t ord_end);
void tracker_move(struct tracker *tracker, uint32_t ord, uint32_t at, uint32_t to, bool idle, uint32_t *was,
                  uint32_t *is);
/* Where the item at index `at` of the prepare version, or the element that it stands for, is visible in effect;
 * TRACKER_NONE when it is not. */
uint32_t tracker_effect_index(const struct tracker *tracker, uint32_t at);

/* The index at the prepare version that stands for index `at` of what is visible in effect: behind the item before it.
 * TRACKER_NONE for an item that is not visible at the prepare version, when `item`. */
uint32_t tracker_prepare_index(const struct tracker *tracker, uint32_t at, bool item);

/* The index of an inserted item at the prepare version; TRACKER_NONE when it is not visible there. */
uint32_t tracker_now_index(const struct tracker *tracker, uint32_t ord);

/* Whether no operation has reached into the base; then how many items are visible in effect besides it. */
bool tracker_base_untouched(const struct tracker *tracker, uint32_t *visible);

/* 0, or DUNLIN_ECORRUPT when something in it contradicts itself. */
int tracker_check(const struct tracker *tracker, bool deep);

int tracker_make_room(struct tracker *tracker, uint32_t ord_end); /* what tracker_reserve() does when there is none */
static inline int tracker_reserve(struct tracker *tracker, uint32_t ord_end) {
  bool has_room = tracker->leaf_count + 2 <= tracker->leaf_cap && tracker->entry_count <= tracker->entry_limit &&
                  (size_t)(ord_end - tracker->first_ord) <= tracker->index_count * TRACKER_STRETCH;
  return has_room ? 0 : tracker_make_room(tracker, ord_end);
}

#endif
