/* An index of the marks that show, kept up as anchors come and go.
 *
 * It knows the anchors by their order alone, not where they are: that the rope says.  So typing among marks does not
 * touch it.
 *
 * From its start on a mark is a *run* of its key's as far as no other mark of that key wins over it: the runs of a key
 * do not overlap, and one that goes on behind another mark is two.  A mark that comes takes what it wins from the runs
 * that are there; one that goes leaves room, which the others take that reach across it. */
#ifndef CRDT_MARK_INDEX_H
#define CRDT_MARK_INDEX_H

#include <dunlin/doc.h>

#include "crdt/anchor_tree.h"
#include "crdt/text.h"

struct container;

/* A key that marks have, or had. */
struct mark_key {
  uint32_t root;  /* of its tree */
  uint32_t start; /* of its first mark, whose bytes it has */
};

struct mark_index {
  bool is_ready;
  struct anchor_trees trees;
  struct mark_key *keys;
  size_t key_count, key_cap;
  uint32_t *sorted; /* the keys in order */
  size_t sorted_cap;
  uint32_t *table; /* nodes by LV; a power of 2 of them */
  uint64_t seed;   /* of that */
  size_t table_cap;
  uint32_t dead;
  uint64_t steps; /* left, before it is better to make all of it anew */
};

void mark_index_free(struct mark_index *index, const struct dunlin_env *env);
/* Makes it say what the text shows.  DUNLIN_ENOMEM. */
int mark_index_ready(dunlin_doc *doc, struct container *text);

/* Behind how many anchors the character `at` stands. */
uint32_t mark_slot(const struct container *text, uint32_t at);
/* How many characters stand before an anchor. */
uint32_t mark_place(const struct container *text, uint32_t anchor);

/* Key and value of the mark that an anchor starts; borrowed. */
void mark_says(const dunlin_doc *doc, const struct container *text, uint32_t start, struct dunlin_bytes *key,
               struct dunlin_value *value);
/* The key's number; ANCHOR_NONE. */
uint32_t mark_key_find(const dunlin_doc *doc, const struct container *text, struct dunlin_bytes key);
/* The start of a run of the key, that which shows right behind an anchor; ANCHOR_NONE. */
uint32_t mark_run_behind(const struct mark_index *index, uint32_t key, uint32_t anchor);

/* 0; DUNLIN_ECORRUPT. */
int mark_index_check(const struct mark_index *index);

#endif
