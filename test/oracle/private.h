/* The oracle's insides: oracle.c (versions, intake), operation.c (what operations record), sequence.c (order and
 * indexes), canonical.c (the one form of a change), state.c (what shows). */
#ifndef TEST_ORACLE_PRIVATE_H
#define TEST_ORACLE_PRIVATE_H

#include <stdlib.h>
#include <string.h>

#include "crdt/idmap.h"
#include "crdt/value.h"
#include "test/oracle/oracle.h"

#define ORACLE_NONE UINT32_MAX
#define ORACLE_END (UINT32_MAX - 1) /* as a parent: the end of the sequence */

/* Room for one more element, or the end. */
#define ORACLE_ROOM(array, cap, count)                                                                                 \
  do {                                                                                                                 \
    if (ENV_GROW(dunlin_env_default(), array, cap, (count) + 1)) abort();                                              \
  } while (0)
#define ORACLE_FREE(array, cap) ENV_FREE_ARRAY(dunlin_env_default(), array, cap)

/* Changes, by number, in the order in which they came. */
struct oracle_set {
  uint32_t *changes;
  size_t count, cap;
};

struct oracle_change {
  struct dunlin_id id;
  struct dunlin_actor actor;
  uint64_t number, lamport;
  struct oracle_set parents;
  bool is_void;
};

struct oracle_write {
  uint32_t change, index; /* the operation */
  uint32_t class;
  struct dunlin_value value; /* strings and bytes are owned; a container is its number */
  struct oracle_set over;    /* changes that overwrote or deleted it */
};

struct oracle_register {
  struct oracle_write *writes; /* all there ever were, in the order in which they came */
  size_t count, cap;
};

struct oracle_entry {
  struct dunlin_bytes key; /* owned */
  struct oracle_register reg;
};

/* What an item keeps to: an anchor may belong to what is before it (closing) or to what is behind it (opening). */
enum oracle_side { ORACLE_PLAIN, ORACLE_CLOSING, ORACLE_OPENING };

/* A place in a sequence: a character of a text or an anchor, or a slot of a list, where an insertion or a move put an
 * element. */
struct oracle_item {
  uint32_t change, index; /* the operation that put it here */
  uint32_t value;         /* text: the scalar value; list: the element */
  uint8_t kind;           /* of an anchor: the operation's; else 0 */
  enum oracle_side side;
  struct dunlin_bytes mark_key; /* of a mark's first anchor; both owned */
  struct dunlin_value mark_value;
  struct oracle_set deletes;
  /* The tree.  Item 0 is its root, which stands before the first place and never shows. */
  uint32_t parent;   /* ORACLE_END is the parent of opening anchors, on its left */
  bool is_right;     /* on which side of the parent it hangs */
  uint32_t first[2]; /* of its children on the left and on the right, sorted; ORACLE_NONE */
  uint32_t next;     /* child of the same parent on the same side */
  uint32_t after;    /* its right origin: the item that followed when it was inserted; ORACLE_NONE for the end */
};

struct oracle_element {
  struct oracle_register reg;
  uint32_t *slots; /* items; the first is that of its insertion */
  size_t slot_count, slot_cap;
  struct oracle_set deletes;
};

struct oracle_seq {
  bool is_list;
  uint32_t last;             /* the first of what hangs on the left of the end; ORACLE_NONE */
  struct oracle_item *items; /* in the order in which they came */
  size_t count, cap;
  struct oracle_element *elements;
  size_t element_count, element_cap;
};

struct oracle_sum {
  struct {
    uint32_t change;
    int64_t amount;
  } * adds;
  size_t count, cap;
};

/* What was offered to a max, min or first. */
struct oracle_offer {
  uint32_t change, index;
  struct dunlin_value value; /* strings and bytes are owned */
};

struct oracle_container {
  struct container_id id;    /* zeros when made by an operation of an unknown kind */
  enum dunlin_kind kind;     /* DUNLIN_NULL then */
  unsigned depth;            /* the root is 0 */
  struct oracle_set made;    /* changes that created or touched it; none for the root */
  struct oracle_set unknown; /* changes with operations on it of unknown kinds */
  struct oracle_entry *entries;
  size_t entry_count, entry_cap;
  struct oracle_seq seq;
  struct oracle_sum sum;
  struct oracle_offer *offers;
  size_t offer_count, offer_cap;
};

struct oracle {
  struct dunlin_id doc;
  struct oracle_change *changes; /* parents before children */
  size_t count, cap;
  struct idmap ids, refused;
  size_t refused_count;
  uint8_t *in_version; /* a change: whether it is in the version at which operations are read */
  size_t version_cap;
  uint32_t version_of; /* the change whose past, with itself, that is; ORACLE_NONE: some other version */
  struct idmap voids;
  struct oracle_container **containers;
  size_t container_count, container_cap;
  /* The change that is being taken in. */
  uint32_t open, index; /* its number, and that of the operation */
  uint32_t *made;       /* containers that its operations made, in their order */
  size_t made_count, made_cap;
};

/* ---- oracle.c ---------------------------------------------------------------------------------------------------- */

void oracle_set_add(struct oracle_set *set, uint32_t change);
void oracle_set_free(struct oracle_set *set);
/* Takes the change out, which came last if it is there. */
void oracle_set_drop(struct oracle_set *set, uint32_t change);
bool oracle_any_in_version(const struct oracle *o, const struct oracle_set *set);
bool oracle_any_in_force(const struct oracle *o, const struct oracle_set *set); /* not void */

/* Whether operation (change, index) stands before the other among ties in a sequence: lower (actor, number, id,
 * index). */
bool oracle_before(const struct oracle *o, uint32_t change, uint32_t index, uint32_t other, uint32_t other_index);
/* Whether it wins over the other: higher (lamport, actor, id, index). */
bool oracle_wins(const struct oracle *o, uint32_t change, uint32_t index, uint32_t other, uint32_t other_index);

/* ---- operation.c ------------------------------------------------------------------------------------------------- */

struct oracle_container *oracle_container_new(struct oracle *o, enum dunlin_kind kind, unsigned depth);
uint32_t oracle_container_find(const struct oracle *o, const struct container_id *id); /* ORACLE_NONE */
void oracle_container_free(struct oracle_container *c);
/* Records all operations of the open change.  0, or why it is invalid: then oracle_take_back() is to follow. */
int oracle_apply_rows(struct oracle *o, const struct change *change);
/* Removes all that the open change recorded. */
void oracle_take_back(struct oracle *o);

void oracle_free_bytes(struct dunlin_bytes bytes);
void oracle_register_free(struct oracle_register *reg);
void oracle_register_take_back(struct oracle_register *reg, uint32_t change);

/* ---- offer.c ----------------------------------------------------------------------------------------------------- */

/* Whether anybody may offer that to a container of that kind. */
bool oracle_may_offer(enum dunlin_kind kind, const struct dunlin_value *value);
void oracle_offer(struct oracle *o, struct oracle_container *c, struct dunlin_value value);
void oracle_offers_take_back(struct oracle_container *c, uint32_t change);
/* The one that shows; NULL. */
const struct oracle_offer *oracle_offered(const struct oracle *o, const struct oracle_container *c);

/* ---- canonical.c ------------------------------------------------------------------------------------------------- */

/* Whether the open change, whose rows have been applied, is written as it has to be. */
bool oracle_is_canonical(const struct oracle *o, const struct change *change);

/* ---- sequence.c -------------------------------------------------------------------------------------------------- */

void oracle_seq_init(struct oracle_seq *seq, bool is_list);
void oracle_seq_free(struct oracle_seq *seq);
void oracle_seq_take_back(struct oracle_seq *seq, uint32_t change);
/* The item that follows in the order; ORACLE_NONE at the end. */
uint32_t oracle_next(const struct oracle_seq *seq, uint32_t item);
bool oracle_shows(const struct oracle *o, const struct oracle_seq *seq, uint32_t item);
/* The item at an index of the version; ORACLE_NONE past the end. */
uint32_t oracle_at(const struct oracle *o, const struct oracle_seq *seq, size_t index);
/* The item that something inserted before an index of the version comes after; ORACLE_NONE past the end. */
uint32_t oracle_left_of(const struct oracle *o, const struct oracle_seq *seq, size_t index);
/* The open change's operation puts an item there, and gives it. */
uint32_t oracle_insert_after(struct oracle *o, struct oracle_seq *seq, uint32_t left, uint32_t value);
/* The open change's operation puts an anchor before an index of the version, and gives it.  ORACLE_NONE past the
 * end. */
uint32_t oracle_insert_anchor(struct oracle *o, struct oracle_seq *seq, size_t index, uint8_t kind);
/* The open change deletes `count` from an index on.  DUNLIN_ERANGE, with some deleted. */
int oracle_delete(struct oracle *o, struct oracle_seq *seq, size_t index, size_t count);

#endif
