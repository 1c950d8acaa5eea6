/* Undo: what is kept of own changes, and how the opposite of them is found (include/dunlin/undo.h says what it does).
 *
 * What a change did can mostly be read off the logs when it is to be undone.  Kept is only what cannot: the values that its writes
 * replaced, and what it deleted.
 *
 * What undoing writes *stands for* what it brings back: an undone deletion inserts new characters, and undoing the insertion of the old
 * ones afterwards has to delete the new ones.  So it is noted of each such item and each such write which one it stands for.
 *
 *   undo.c           the stacks
 *   undo_record.c    what is kept of a commit
 *   undo_revert.c    registers, counters and sets
 *   undo_sequence.c  texts and lists
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

/* Items or writes of LVs `lv` on stand for others, which have come back as these. */
struct undo_stands {
  uint32_t lv, len;
  uint32_t first; /* the LV of the first of the others; LV_NONE: they are older than all steps */
  /* Of items: these are those from number `skipped` on of what the row of `row_len` operations from LV `row` on had deleted from */
  uint32_t container, row, row_len, skipped;
};
struct undo_stand_list {
  struct undo_stands *list; /* in the order of `lv` */
  size_t count, cap;
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
/* The first LV of any step that is kept. */
uint32_t undo_oldest(const dunlin_undo *undo);

/* ---- undo_revert.c ------------------------------------------------------------------------------------------ */

bool undo_step_has(const struct undo_step *step, uint32_t lv);
/* The change of the step that made it; NULL. */
const struct undo_change *undo_change_of(const struct undo_step *step, uint32_t lv);
/* Whether the change is to be passed over: it is void. */
bool undo_is_void(const dunlin_doc *doc, const struct undo_change *change);
/* Whether somebody else has written into the container, or one that is in it, since LV `since`. */
bool undo_others_wrote(const dunlin_doc *doc, uint32_t container, uint32_t since);
/* Whether the container was made by the step, and nobody else has written into it or what is in it. */
bool undo_goes(const dunlin_undo *undo, const struct undo_step *step, uint32_t container);
/* Writes the opposite of all writes, amounts and members of the step into the open transaction. */
int undo_revert_values(dunlin_undo *undo, const struct undo_step *step);

/* ---- undo_sequence.c ---------------------------------------------------------------------------------------- */

/* What is to be done to a text or list. */
struct undo_edit {
  uint32_t at; /* in what shows, before the transaction */
  uint32_t len;
  bool inserts;
  const struct undo_gone *gone; /* of an insertion: items from `skipped` on */
  uint32_t skipped;
  uint32_t first; /* the LV of the first item that it stands for; LV_NONE */
  uint32_t order; /* of finding */
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
/* Does it, in the open transaction. */
int undo_follow(dunlin_undo *undo, const struct undo_step *step, const struct undo_plans *plans);

/* ---- undo_copy.c -------------------------------------------------------------------------------------------- */

/* Writes all that a container shows into another one of its kind, which is empty. */
int undo_copy(dunlin_doc *doc, uint32_t from, uint32_t to);

#endif
