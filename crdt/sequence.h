/* The order of a text or a list: every insertion ever made, in FugueMax order (Weidner and Kleppmann, "The Art of the
 * Fugue"), with what is visible now and what is visible in the walking version.
 *
 * This is the simple form: one record for each inserted character or list slot, in chunks that know how many of theirs are
 * visible, so that finding an index costs a walk over the chunks.
 *
 * A text's item is a character.  A list's item is a *slot*: a place where an element was put, by its insertion or by a move.
 * An element shows in one of its slots, the one that wins among those of the version (graph_wins). */
#ifndef CRDT_SEQUENCE_H
#define CRDT_SEQUENCE_H

#include "crdt/register.h"

#define SEQ_NONE UINT32_MAX

struct seq_item {
  uint32_t change, index; /* the operation that inserted it */
  uint32_t left, right;   /* origins: items, or SEQ_NONE for the start and the end */
  uint32_t chunk;
  uint32_t value;           /* text: scalar value; list: element */
  uint32_t deletes;         /* text: how many operations have deleted it */
  uint32_t version_deletes; /* of those in the walking version */
  bool in_version;          /* whether its insertion is in the walking version */
};

struct seq_element {
  struct reg reg;
  uint32_t *slots;
  size_t slot_count, slot_cap;
  uint32_t place, version_place; /* the slot where it shows; SEQ_NONE when there is none in the walking version */
  uint32_t deletes, version_deletes;
};

enum { SEQ_CHUNK = 256 };

struct seq_chunk {
  uint32_t items[SEQ_CHUNK];
  uint32_t count;
  uint32_t rank; /* place in seq->order */
};

struct seq_counts {
  uint32_t chunk, shown, version; /* items of a chunk visible now, and in the walking version */
};

struct seq {
  const struct dunlin_env *env;
  bool is_list;
  struct seq_item *items;
  size_t count, cap;
  struct seq_element *elements;
  size_t element_count, element_cap;
  struct seq_chunk **chunks;
  size_t chunk_count, chunk_cap;
  struct seq_counts *order; /* the chunks from first to last */
  size_t order_cap;
  size_t shown, version_shown; /* totals */
};

void seq_init(struct seq *seq, const struct dunlin_env *env, bool is_list);
void seq_free(struct seq *seq);

/* Inserts one item before index `at` of the walking version; `value` is as in struct seq_item.  Gives the item, or with
 * `count` over 1 the first of as many consecutive items with `values`.  DUNLIN_ERANGE, DUNLIN_ELIMIT, DUNLIN_ENOMEM; nothing has
 * changed then. */
int seq_insert(struct seq *seq, const struct graph *graph, uint32_t change, uint32_t index, size_t at,
               const uint32_t *values, size_t count, uint32_t *first);
/* Undoes the insertion of the last `count` items. */
void seq_uninsert(struct seq *seq, const struct graph *graph, uint32_t first, uint32_t count);

/* A new element (for a list, before its first slot is inserted); SEQ_NONE when out of memory. */
uint32_t seq_new_element(struct seq *seq);
/* Takes the newest element back, which has no slot. */
void seq_drop_element(struct seq *seq);

/* The item at an index of the walking version, or of what is visible now; SEQ_NONE past the end. */
uint32_t seq_version_at(const struct seq *seq, size_t index);
uint32_t seq_shown_at(const struct seq *seq, size_t index);
/* The item visible in the walking version that follows `item`; SEQ_NONE at the end. */
uint32_t seq_version_next(const struct seq *seq, uint32_t item);
/* The first visible item of a chunk from rank `rank`, place `place` on; moves both behind it; SEQ_NONE at the end. For reading
 * from the start to the end. */
uint32_t seq_read(const struct seq *seq, size_t *rank, uint32_t *place);

/* Counts one deletion of an item (list: of its element) up or down, now and in the walking version. */
void seq_delete(struct seq *seq, uint32_t item);
void seq_undelete(struct seq *seq, uint32_t item);

/* The walking version loses or gains insertions (`count` items from `first`), or a deletion of an item. */
void seq_leave_insert(struct seq *seq, const struct graph *graph, uint32_t first, uint32_t count);
void seq_enter_insert(struct seq *seq, const struct graph *graph, uint32_t first, uint32_t count);
void seq_leave_delete(struct seq *seq, uint32_t item);
void seq_enter_delete(struct seq *seq, uint32_t item);

#endif
