/* The order of a list: every slot ever made, in FugueMax order (Weidner and Kleppmann, "The Art of the Fugue"), with what is
 * visible now and what is visible in the walking version.
 *
 * A *slot* is a place where an element was put, by its insertion or by a move.  An element shows in one of its slots, the one
 * that wins among those of the version (graph_wins).
 *
 * This is the simple form: one record for each slot, in chunks that know how many of theirs are visible, so that finding an index
 * costs a walk over the chunks.  The walking version moves by retreat and advance, over what differs. */
#ifndef CRDT_SEQUENCE_H
#define CRDT_SEQUENCE_H

#include "crdt/register.h"

#define SEQ_NONE UINT32_MAX

struct seq_item {
  uint32_t lv;          /* the operation that made it */
  uint32_t left, right; /* origins: items, or SEQ_NONE for the start and the end */
  uint32_t chunk;
  uint32_t element;
  bool in_version; /* whether it is in the walking version */
  bool is_void;    /* made by a void change */
};

struct seq_element {
  struct reg reg;
  uint32_t *slots;
  size_t slot_count, slot_cap;
  uint32_t place, version_place; /* the slot where it shows; SEQ_NONE when there is none */
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

/* What an operation did. */
struct seq_effect {
  uint32_t lv, item;
  bool is_delete, is_void;
};

struct seq {
  const struct dunlin_env *env;
  struct seq_item *items;
  size_t count, cap;
  struct seq_element *elements;
  size_t element_count, element_cap;
  struct seq_chunk **chunks;
  size_t chunk_count, chunk_cap;
  struct seq_counts *order; /* the chunks from first to last */
  size_t order_cap;
  size_t shown, version_shown; /* totals */
  struct seq_effect *effects;  /* in order of `lv` */
  size_t effect_count, effect_cap;
  uint32_t *version; /* the walking version's heads */
  size_t version_heads, version_cap;
};

void seq_init(struct seq *seq, const struct dunlin_env *env);
void seq_free(struct seq *seq);

/* Moves the walking version.  DUNLIN_ENOMEM before anything has changed. */
int seq_go(struct seq *seq, const struct graph *graph, const uint32_t *heads, size_t count);

/* Puts `element` into a new slot before index `at` of the walking version.  DUNLIN_ERANGE, DUNLIN_ELIMIT, DUNLIN_ENOMEM; nothing has
 * changed then. */
int seq_insert(struct seq *seq, const struct graph *graph, uint32_t lv, size_t at, uint32_t element, bool is_void);
/* Deletes the element in slot `item`. DUNLIN_ENOMEM. */
int seq_delete(struct seq *seq, uint32_t lv, uint32_t item, bool is_void);
/* Takes back the operations behind the first `effects`. */
void seq_revert(struct seq *seq, const struct graph *graph, size_t effects);
/* The walking version is the one whose only head is `lv`. */
void seq_settle(struct seq *seq, uint32_t lv);

/* A new element (before its first slot is made); SEQ_NONE when out of memory. */
uint32_t seq_new_element(struct seq *seq);
/* Takes the newest element back, which has no slot. */
void seq_drop_element(struct seq *seq);

/* The item at an index of the walking version, or of what is visible now; SEQ_NONE past the end. */
uint32_t seq_version_at(const struct seq *seq, size_t index);
uint32_t seq_shown_at(const struct seq *seq, size_t index);
/* How many items visible in the walking version come before `item`, and whether it is one. */
size_t seq_version_before(const struct seq *seq, uint32_t item, bool *visible);
/* The first visible item of a chunk from rank `rank`, place `place` on; moves both behind it; SEQ_NONE at the end. For reading
 * from the start to the end. */
uint32_t seq_read(const struct seq *seq, size_t *rank, uint32_t *place);

#endif
