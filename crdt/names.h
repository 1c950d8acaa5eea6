/* The ids of changes: derived data, of which only some are kept.
 *
 * Kept are the ids of the last 256 changes, of one change in 64, and of every change that a run of the graph begins on
 * or ends with; any other follows from one of these by hashing at most 64 changes.  A transaction that nobody asks the
 * id of is not hashed at all until somebody does.
 *
 * Which change an id names is looked up among the kept ones first; only when it is none of them is a table of all
 * changes made, and kept up from then on. */
#ifndef CRDT_NAMES_H
#define CRDT_NAMES_H

#include <dunlin/doc.h>

#include "crdt/buf.h"

enum { NAMES_EVERY = 64, NAMES_RECENT = 256 };

struct name {
  struct dunlin_id id;
  uint32_t change;
};

struct names {
  struct name *kept;
  size_t count, cap;
  uint32_t *by_id, *by_change; /* open addressing: a place in `kept` + 1; 0 is free */
  size_t slots, change_slots;
  uint32_t done;            /* so many changes have been hashed */
  uint32_t base;            /* of those before, which came from a file, only the kept ids are known */
  struct dunlin_id *recent; /* of the last changes; change c at c mod NAMES_RECENT */
  size_t recent_cap;
  struct name memo; /* the one found out last; UINT32_MAX: none */
  struct buf bytes; /* a change that is being hashed */
  struct names_entry {
    uint32_t tag, change;
  } * all; /* open addressing; change UINT32_MAX is free */
  size_t all_slots, all_used;
  uint64_t seed; /* of the tables: changes can be made until their ids begin alike */
  int error;     /* an id that was needed could not be found out, for want of memory */
};

void names_init(struct names *names, const struct dunlin_env *env, uint64_t seed);
void names_free(struct names *names);
/* The document has just been opened: these are the ids of its heads, in order. DUNLIN_ENOMEM. */
int names_begin(dunlin_doc *doc, const uint8_t *ids);
/* Finds out the ids of the changes that came from a file.  DUNLIN_ECORRUPT: they do not lead to the heads that it had;
 * DUNLIN_ENOMEM. */
int names_whole(dunlin_doc *doc);

/* What its places in the tables follow from. */
uint32_t names_tag(const struct names *names, const struct dunlin_id *id);

/* The id of a change.  DUNLIN_ENOMEM. */
int names_id(dunlin_doc *doc, uint32_t change, struct dunlin_id *out);
/* That of the last change of an actor.  DUNLIN_ENOENT: it has none; DUNLIN_ENOMEM. */
int names_actor_last(dunlin_doc *doc, uint32_t actor, struct dunlin_id *out);
/* The change of that id, IDMAP_NONE when there is none. DUNLIN_ENOMEM. */
int names_find(dunlin_doc *doc, const struct dunlin_id *id, uint32_t *change);
/* The same by the local version of its last operation.  DUNLIN_ENOENT: there is none. */
int names_find_last(dunlin_doc *doc, const struct dunlin_id *id, uint32_t *lv);
/* Whether that change of that actor is there.  DUNLIN_ENOMEM. */
int names_known(dunlin_doc *doc, uint32_t actor, uint64_t number, const struct dunlin_id *id, bool *known);
/* Keeps what must be kept when the open change becomes part of the graph.  DUNLIN_ENOMEM. */
int names_prepare(dunlin_doc *doc);
/* The id of the last of so many changes, when it is at hand; NULL. */
const struct dunlin_id *names_last(const struct names *names, uint32_t changes);
/* Sees to it that names_add() can keep the id of one more change.  DUNLIN_ENOMEM. */
int names_reserve_one(dunlin_doc *doc);
/* The change that has just become part of the graph has this id; nothing is lost when memory runs out. */
void names_add(dunlin_doc *doc, const struct dunlin_id *id);

#endif
