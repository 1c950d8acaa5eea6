/* What a text container shows: a rope, and the last edits that have not reached it yet, since neighbouring ones are
 * worth merging first.
 *
 * Positions count characters and the anchors of marks ("entities") unless a name says otherwise.
 *
 * While a change is open, what it does to the rope is noted down, so that it can be taken back. */
#ifndef CRDT_TEXT_H
#define CRDT_TEXT_H

#include "crdt/column.h"
#include "crdt/rope.h"
#include "crdt/splices.h"

struct text_edit {
  enum { TEXT_NOTHING, TEXT_INSERT, TEXT_ERASE } what;
  uint32_t pos, len;
  uint32_t at, bytes; /* of an insertion: in the text column */
};

/* A piece of the text column. */
struct text_part {
  uint32_t at, bytes;
};
enum { TEXT_PARTS = 6, TEXT_GATHERED = 512 /* bytes of an insertion in pieces, at most */ };

/* An edit of the rope by the open change. */
struct text_undo {
  uint32_t pos, len, bytes; /* bytes of what was erased lie in `erased`; 0: it was inserted */
};

/* Anchors that came or went since somebody last looked.  What was done by a change that is taken back is not there any
 * more. */
struct anchor_note {
  uint32_t rank, gone; /* behind how many others; how many went, 0: one came */
  uint32_t marked;     /* the text's before that */
  struct rope_anchor anchor;
};
struct anchor_notes {
  struct anchor_note *list;
  size_t count, cap;
  uint32_t looked; /* the text's `marked` when somebody last looked */
  bool is_lost;    /* there was no room for all */
};

struct text {
  struct rope rope;
  struct text_edit last; /* not in the rope yet */
  /* Of an insertion where something was taken back in between: what comes before the piece that `last.at` begins, and
   * how many of last.bytes that is. */
  struct text_part parts[TEXT_PARTS];
  uint32_t part_count, part_bytes;
  uint32_t size, anchors; /* with it; anchors count in both */
  uint32_t edits;         /* counts edits of a text with anchors */
  bool is_open;
  struct text_edit before; /* `last` when the change was opened, TEXT_NOTHING once it is in the rope */
  uint32_t size_before, anchors_before;
  struct text_undo *undos;
  size_t undo_count, undo_cap;
  struct buf erased;
  uint32_t marked, marked_before; /* counts anchors that came and went */
  struct anchor_notes *notes;     /* NULL: nobody needs them */
  struct splices *splices;        /* notes edits down for those who watch; NULL: nobody does */
  enum rope_unit unit;            /* ... in this one: ROPE_CHARACTERS unless somebody wants another */
};

void text_init(struct text *text, const struct dunlin_env *env);
void text_free(struct text *text);

/* Inserts `len` scalar values, `bytes` bytes at `at` of the column, at `pos`; erases.  Positions are in range.  0,
 * DUNLIN_ENOMEM. */
int text_insert(struct text *text, const struct column *column, uint32_t pos, uint32_t len, uint32_t at,
                uint32_t bytes);
int text_erase(struct text *text, const struct column *column, uint32_t pos, uint32_t len);
int text_anchor(struct text *text, const struct column *column, uint32_t pos, struct rope_anchor anchor);

/* Whether the insertion that waits may have `bytes` more. */
static inline bool text_may_grow(const struct text *text, size_t bytes) {
  return !text->part_count || text->last.bytes + bytes <= TEXT_GATHERED;
}

/* Brings all edits into the rope.  DUNLIN_ENOMEM. */
int text_flush(struct text *text, const struct column *column);

/* From here on edits can be taken back, until text_settle(). */
void text_open(struct text *text);
void text_revert(struct text *text);
void text_settle(struct text *text);

/* The position of character `at`; of the end, when there are no more. */
uint32_t text_entity(const struct text *text, uint32_t at);
/* Which character stands behind the anchor of a rank; no edit waits (text_flush()). */
uint32_t text_anchor_place(const struct text *text, uint32_t rank);
/* How many anchors stand before a position. */
uint32_t text_anchors_before(const struct text *text, uint32_t pos);
/* Whether there is an anchor at a position, and which. */
bool text_anchor_at(const struct text *text, uint32_t pos, struct rope_anchor *anchor);
/* Hands out the anchors at positions from `from` to `to` - 1 in order. */
int text_each_anchor(const struct text *text, uint32_t from, uint32_t to, rope_anchor_each *each, void *ctx);
/* Appends the bytes of `len` entities, anchors as the rope has them.  DUNLIN_ENOMEM. */
int text_take(struct text *text, const struct column *column, uint32_t at, uint32_t len, struct buf *out);

/* What follows leaves the anchors out. */
size_t text_bytes(const struct text *text);
void text_copy(const struct text *text, const struct column *column, void *out);
/* Hands out the text piece by piece; the `len` scalar values from `at` on: DUNLIN_ENOMEM. */
void text_each(const struct text *text, const struct column *column,
               void (*each)(void *ctx, const void *utf8, size_t bytes), void *ctx);
int text_each_in(struct text *text, const struct column *column, uint32_t at, uint32_t len,
                 void (*each)(void *ctx, const void *utf8, size_t bytes), void *ctx);

int text_check(const struct text *text, bool deep);

#endif
