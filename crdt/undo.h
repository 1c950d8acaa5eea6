/* Undo: what is kept of own changes, and how the opposite of them is found (include/dunlin/undo.h says what it does).
 *
 * What a change did can mostly be read off the logs when it is to be undone.  Kept is only what cannot: the values that
 * its writes replaced, and what it deleted.
 *
 * What undoing writes *stands for* what it brings back: an undone deletion inserts new characters, and undoing the
 * insertion of the old ones afterwards has to delete the new ones.  So it is noted of each such item and each such
 * write which one it stands for.
 *
 *   undo.c           the stacks
 *   undo_record.c    what is kept of a commit
 *   undo_revert.c    registers, counters and sets
 *   undo_track.c     which items are which, and where
 *   undo_sequence.c  what is to be done to texts and lists
 *   undo_follow.c    doing it
 *   undo_copy.c      copies of containers */
#ifndef CRDT_UNDO_H
#define CRDT_UNDO_H

#include <dunlin/undo.h>

#include "crdt/internal.h"

/* What a change replaced at a key or in an element. */
struct undo_write {
  uint32_t lv; /* of the write that it left there; LV_NONE: none, it deleted */
  uint32_t container;
  uint32_t entry;          /* of a map */
  uint32_t order;          /* of noting */
  bool had;                /* there was something: */
  struct reg_write before; /* the write that won; its bytes are owned */
  struct reg_write *more;  /* those that it had won over; likewise */
  size_t more_count, more_cap;
};

struct undo_amount {
  uint32_t container;
  int64_t amount;
};

/* What was deleted from a text or list by one row of the change, which begins at LV `lv`. */
struct undo_gone {
  uint32_t container, lv, a, len;
  struct buf text;         /* UTF-8, with anchors as a rope has them */
  struct reg_write *items; /* of a list: the elements' values; their bytes are owned */
  size_t item_cap;
};

/* One own change. */
struct undo_change {
  uint32_t from, to;         /* its LVs */
  struct undo_write *writes; /* in the order of `lv`, then of containers and entries */
  size_t write_count, write_cap;
  struct undo_amount *amounts;
  size_t amount_count, amount_cap;
  struct undo_gone *gone; /* in order */
  size_t gone_count, gone_cap;
};

struct undo_step {
  struct undo_change *changes; /* in order */
  size_t count, cap;
  struct dunlin_id id; /* of a tentative change */
};

struct undo_steps {
  struct undo_step *list; /* a stack; the last is on top */
  size_t count, cap;
};

/* Items or writes of LVs `lv` on stand for others, which have come back as these: the *roots*, which stand for
 * nothing. */
struct undo_stands {
  uint32_t lv, len;
  uint32_t first; /* the LV of the first of the roots; LV_NONE: they are older than all steps */
  /* Of items: these are those from number `skipped` on of what the row of `row_len` operations from LV `row` on
   * deleted; `row_len` 0: what the element that operation `row` moved was inserted as. */
  uint32_t container, row, row_len, skipped;
};
struct undo_stand_list {
  struct undo_stands *list; /* in the order of `lv` */
  size_t count, cap;
  size_t open; /* those from here on are of the open change */
};

/* Roots from `id` on have come back as items of LVs `lv` on, and that was the last time; the time before is number
 * `before` of undo_track.olds; NO_SEAT: it was the first time. */
struct undo_seat {
  uint32_t id, len, lv, before;
};
#define NO_SEAT UINT32_MAX

/* All that has happened to a text or list since the oldest step, in a tracker that is kept from one undo to the next:
 * it knows every item that the steps have inserted, of every deletion which item it meant, and where each of them
 * is. */
struct undo_track {
  uint32_t container;
  const struct container *state;
  const struct docfile *file; /* what was not decoded */
  struct walker walker;
  struct undo_seat *seats; /* in the order of `id`, which do not overlap */
  size_t seat_count, seat_cap;
  struct undo_seat *olds; /* those that were seats once */
  size_t old_count, old_cap;
  size_t known; /* so many of undo->items have been looked at */
};

/* A write that was beside the one that the write `lv` brought back: one change leaves one write at a key. */
struct undo_lost {
  uint32_t lv;
  struct reg_write write; /* its bytes are owned */
};

enum undo_mode { UNDO_PLAIN, UNDO_BACK, UNDO_FORTH, UNDO_TENTATIVE, UNDO_REVERT /* for good */ };

struct dunlin_undo {
  dunlin_doc *doc;
  const struct dunlin_env *env;
  size_t depth;
  bool groups, is_begun; /* commits join the top step, once that has begun */
  struct undo_steps back, forth, tentative;
  enum undo_mode mode;     /* what the commit at hand is */
  struct undo_change open; /* of the open transaction, if that has the stamp: */
  uint64_t stamp;
  struct undo_step next; /* room for one */
  struct undo_stand_list items, writes;
  struct undo_lost *lost; /* in the order of `lv` */
  size_t lost_count, lost_cap;
  struct undo_track *tracks;
  size_t track_count, track_cap;
};

/* ---- undo.c ------------------------------------------------------------------------------------------------- */

/* Room for the open change on the stack that it will go onto.  DUNLIN_ENOMEM. */
int undo_reserve(dunlin_undo *undo);

/* ---- undo_record.c ------------------------------------------------------------------------------------------ */

/* For qsort() and bsearch(): the order of a change's writes. */
int undo_compare_writes(const void *a, const void *b);
void undo_change_free(dunlin_undo *undo, struct undo_change *change);
void undo_step_free(dunlin_undo *undo, struct undo_step *step);
/* DUNLIN_ENOMEM. */
int undo_stand(dunlin_undo *undo, struct undo_stand_list *list, struct undo_stands stands);
/* The write of LV `lv` stands for that of LV `first`.  The error is noted as one of the transaction. */
int undo_stand_write(dunlin_undo *undo, uint32_t lv, uint32_t first);
/* Notes that this write was beside the one that the write of LV `lv` brings back; there is room. DUNLIN_ENOMEM. */
int undo_lose(dunlin_undo *undo, uint32_t lv, const struct reg_write *write);
/* Forgets those from number `from` to `to` - 1. */
void undo_forget_lost(dunlin_undo *undo, size_t from, size_t to);
/* The first LV of any step that is kept. */
uint32_t undo_oldest(const dunlin_undo *undo);

/* ---- undo_revert.c ------------------------------------------------------------------------------------------ */

/* The change of the step that made it; NULL. */
const struct undo_change *undo_change_of(const struct undo_step *step, uint32_t lv);
/* Whether the change is to be passed over: it is void. */
bool undo_is_void(const dunlin_doc *doc, const struct undo_change *change);
/* Whether somebody else has written into the container, or one that is in it, since LV `since`. */
bool undo_others_wrote(const dunlin_doc *doc, uint32_t container, uint32_t since);
/* Whether the container was made by the step, and nobody else has written into it or what is in it. */
bool undo_goes(const dunlin_undo *undo, const struct undo_step *step, uint32_t container);
/* What showed before the step where it left this write of an element; NULL: the write is not the step's. */
const struct reg_write *undo_before(const dunlin_doc *doc, const struct undo_step *step, uint32_t lv);
/* Writes the opposite of what the step wrote to the element at an index. */
int undo_revert_element(dunlin_undo *undo, const struct undo_step *step, uint32_t list, uint32_t at);
/* Writes the opposite of all other writes, amounts and members of the step into the open transaction. */
int undo_revert_values(dunlin_undo *undo, const struct undo_step *step);

/* ---- undo_track.c ------------------------------------------------------------------------------------------- */

/* That of a text or list, brought up to date.  DUNLIN_ENOMEM; the next call may end the life of the pointer. */
int undo_track_get(dunlin_undo *undo, uint32_t container, struct undo_track **out);
/* Lets those go that have fallen far behind, or (`all`) all of them. */
void undo_tracks_tidy(dunlin_undo *undo, bool all);
/* Entries `count` of undo->items are forgotten: the first ones. */
void undo_tracks_shift(dunlin_undo *undo, size_t count);

/* The item that operation `k` of a row of deletions (of the log's `piece`) deleted. */
struct undo_row {
  uint32_t ord, len;
  bool backward;
};
bool undo_row_of(const struct undo_track *track, uint32_t lv, uint32_t len, struct undo_row *row);
/* Of the items of a row from number `k` on, how many have consecutive numbers, and the first. */
uint32_t undo_row_run(const struct undo_track *track, const struct undo_row *row, uint32_t k, uint32_t *id);
/* The LV of an item; LV_NONE for those of the base. */
uint32_t undo_item_lv(const struct undo_track *track, uint32_t id);
uint32_t undo_item_of(const struct undo_track *track, uint32_t lv);

/* The item as which the element of a slot was inserted. */
uint32_t undo_first_slot(const struct undo_track *track, uint32_t id);

/* Of the `len` items from `id` on how many stand for a row of roots like the first one, that root, and what is noted of
 * it (for that number of items; `*stands` has no `lv`); an item that stands for nothing is its own root, with
 * `*is_root`. */
uint32_t undo_root_run(const dunlin_undo *undo, const struct undo_track *track, uint32_t id, uint32_t len,
                       uint32_t *root, struct undo_stands *stands, bool *is_root);
/* Of the `len` roots from `root` on how many have come back in a row, as the items of LVs `*lv` on, or (LV_NONE) have
 * not. */
uint32_t undo_seat_run(const struct undo_track *track, uint32_t root, uint32_t len, uint32_t *lv);
/* Where the item, or the element that it is a slot of, shows; TRACKER_NONE. `exactly`: only in that slot. */
uint32_t undo_shown_at(const struct undo_track *track, uint32_t id, bool exactly);

/* What comes first: by the place of items in the tracker. */
struct undo_order {
  uint64_t path;
  uint32_t offset;
};
struct undo_order undo_order_of(const struct undo_track *track, uint32_t id);
static inline int undo_order_compare(const struct undo_order *a, const struct undo_order *b) {
  if (a->path != b->path) return a->path < b->path ? -1 : 1;
  return (a->offset > b->offset) - (a->offset < b->offset);
}

/* In front of which item that shows one would come back that does not. */
uint32_t undo_place(const dunlin_undo *undo, const struct undo_track *track, uint32_t id);

/* ---- undo_sequence.c ---------------------------------------------------------------------------------------- */

/* What is to be done to a text or list. */
enum undo_edit_kind { UNDO_INSERT, UNDO_ERASE, UNDO_ANCHOR, UNDO_MOVE, UNDO_SET };
struct undo_edit {
  enum undo_edit_kind kind;
  uint32_t at;                  /* in what shows, before the transaction */
  uint32_t len;                 /* not of a move */
  uint32_t from;                /* of a move: where the element is */
  const struct undo_gone *gone; /* of what is inserted: items from `skipped` on */
  uint32_t skipped;
  struct undo_stands stands; /* of what is inserted, and of moves */
  struct undo_order order;   /* likewise */
  struct rope_anchor anchor;
};
struct undo_plan {
  uint32_t container;
  struct undo_edit *edits;
  size_t count, cap;
};
struct undo_plans {
  struct undo_plan *list;
  size_t count, cap;
};
/* Finds out what to do, before the transaction.  undo_plans_free() in any case. */
int undo_plan_all(dunlin_undo *undo, const struct undo_step *step, struct undo_plans *plans);
void undo_plans_free(dunlin_undo *undo, struct undo_plans *plans);
/* Where item `skipped` of what was deleted from a text lies. */
const uint8_t *undo_gone_at(const struct undo_gone *gone, uint32_t skipped);

/* ---- undo_follow.c ------------------------------------------------------------------------------------------ */

/* Does it, in the open transaction. */
int undo_follow(dunlin_undo *undo, const struct undo_step *step, const struct undo_plans *plans);

/* ---- undo_copy.c -------------------------------------------------------------------------------------------- */

/* Writes all that a container shows into another one of its kind, which is empty. */
int undo_copy(dunlin_doc *doc, uint32_t from, uint32_t to);

#endif
