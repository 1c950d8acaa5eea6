/* A plain model of undo: who inserted, deleted and wrote what, and what undoing a step may change of what shows.
 *
 * What is written is never written twice by a program: characters, elements, values of keys and of marks are known by
 * what they are, also when they have come back.  A *journal* that all replicas share says of each change what it did
 * and which others it had seen. */
#ifndef TEST_UNDO_MODEL_H
#define TEST_UNDO_MODEL_H

#include <dunlin/undo.h>

#include "test/support/support.h"

enum {
  model_replicas = 3,
  model_changes = 192,
  model_items = 256,
  model_keys = 4,
  model_mark_keys = 2,
  model_members = 4,
  model_values = 256,
  model_lives = 16,
  model_conflicts = 12,
  model_versions = 32, /* of an element */
  model_steps = 96,
  model_events = 64
};

typedef struct model_set {
  uint64_t words[model_items / 64];
} model_set;
static inline bool set_has(const model_set *set, size_t i) {
  return set->words[i / 64] >> i % 64 & 1;
}
static inline void set_put(model_set *set, size_t i) {
  set->words[i / 64] |= (uint64_t)1 << i % 64;
}
static inline bool set_is_empty(const model_set *set) {
  return !(set->words[0] | set->words[1] | set->words[2] | set->words[3]);
}

struct model_change {
  struct dunlin_id id;
  size_t author;
  uint64_t lamport;
  bool is_edit, is_undone; /* no undo; it has been undone */
  model_set past;          /* changes */
  model_set inserted, deleted, moved, written;
  uint8_t keys, members, marks; /* that it touched, a bit each */
  bool cuts;                    /* deletes characters, and so perhaps marks */
  int64_t amount;
};

/* A character or element, which lives again whenever it comes back. */
struct model_item {
  bool is_element;
  size_t author, lives;
  struct {
    size_t made, deleted[8], deletions;
  } life[model_lives];
  size_t versions;
  size_t written[model_versions]; /* by which change: an element's values */
};

struct model_seq {
  size_t count;
  int items[model_items];
  int versions[model_items]; /* of elements: the value that shows */
  model_set has;
};

/* What a document shows. */
struct shown {
  struct model_seq text, list;
  model_set foreign;                       /* elements that somebody else than this replica has written to */
  int marks[model_mark_keys][model_items]; /* by character; 0: none */
  struct {
    size_t count;
    int values[model_conflicts];
  } keys[model_keys]; /* the one that shows comes first */
  int64_t counter;
  uint8_t members;
};

/* A step that can be undone. */
struct model_step {
  struct shown *before;
  size_t changes[model_steps], count;
  bool is_edit, had_voids;                      /* something was void meanwhile */
  model_set values, marks;                      /* that it wrote */
  uint8_t deleted_keys, touched_keys, unmarked; /* last */
};

/* Change `change` brought a value back at a key beside which there had been another one. */
struct model_lost {
  int value, lost;
  size_t change;
};

struct model_replica {
  dunlin_doc *doc;
  dunlin_undo *undo; /* NULL: it has none */
  model_set known, voids;
  struct model_step back[model_steps], forth[model_steps];
  size_t back_count, forth_count;
  bool groups, is_begun;
  struct model_lost lost[model_values];
  size_t lost_count;
};

struct model {
  struct rng rng;
  uint64_t seed;
  size_t replicas, items, values, marks, changes;
  bool voids;
  struct model_item item[model_items];
  struct model_change change[model_changes];
  size_t value_change[model_values]; /* that wrote the value of a key first */
  struct model_replica replica[model_replicas];
};

/* A check of the model; says which run failed. */
#define HOLDS(model, condition, ...)                                                                                   \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      print_error("TEST_SEED=%llu: ", (unsigned long long)(model)->seed);                                              \
      print_error(__VA_ARGS__);                                                                                        \
      fail_msg(" (%s)", #condition);                                                                                   \
    }                                                                                                                  \
  } while (0)

void model_show(struct model *m, size_t r, struct shown *out);
/* The life in which an item shows in a replica; -1. */
int model_life(const struct model *m, size_t r, int item);
/* Whether it shows only because what deleted it is void. */
bool model_is_unnamed(const struct model *m, size_t r, int item);
/* Whether the replica shows the items that it should. */
void model_check_items(struct model *m, size_t r, const struct shown *now);
/* Whether undoing the step was right, which turned `was` into `now`; both may be the same. */
void model_check_undone(struct model *m, size_t r, const struct model_step *step, const struct shown *was,
                        const struct shown *now);
/* Notes what was lost at keys by the undo `change` of a step. */
void model_lose(struct model *m, size_t r, const struct model_step *step, size_t change, const struct shown *was,
                const struct shown *now);
/* Whether somebody else has marked a text under the key, without the step having seen that; NULL: whenever it was. */
bool model_others_marked(const struct model *m, size_t r, const struct model_step *step, size_t key);

#endif
