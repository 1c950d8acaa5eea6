/* What watch.c and event.c share. */
#ifndef CRDT_WATCH_PRIVATE_H
#define CRDT_WATCH_PRIVATE_H

#include "crdt/internal.h"

#define NODE_NONE UINT32_MAX
#define WATCHER_NONE UINT32_MAX

struct watcher {
  bool is_live;
  uint32_t node;
  uint32_t next; /* of the same node; WATCHER_NONE */
  uint64_t tag;
};

/* A path that is watched, or leads to one: a tree, whose names are in a map of their own. */
struct watch_node {
  uint32_t watcher;        /* the first */
  uint32_t child, sibling; /* NODE_NONE */
  uint32_t uses;           /* watches here or below; 0: unused, until unused_drop() */
};

/* A register as it was at the last look. */
struct watch_before {
  bool item;                 /* not of a map's or a set's entry: the container's note knows it */
  uint32_t container, entry; /* of a map */
  unsigned origin;
  bool had;
  uint32_t conflicts;        /* how many distinct values */
  struct dunlin_value value; /* strings are owned */
};

struct watch_told {
  struct dunlin_event event;
  uint32_t watch;
};

struct watch {
  const struct dunlin_env *env;
  struct map names; /* of nodes; an entry's number is the node's */
  struct watch_node *nodes;
  size_t node_cap, unused;
  struct watcher *watchers;
  size_t watcher_count, watcher_cap, live;
  uint32_t *noted; /* containers that have a note, or had one and are gone */
  size_t noted_count, noted_cap;
  struct watch_before *befores;
  size_t before_count, before_cap;
  uint32_t *places; /* hash table of the maps' befores: number + 1 */
  size_t place_cap;
  bool lost; /* something was not noted */
  struct watch_told *queue;
  size_t queue_at, queue_count, queue_cap;
  struct dunlin_bytes *strings; /* that the queue points to */
  size_t string_count, string_cap;
};

/* ---- watch.c ------------------------------------------------------------------------------------------------ */

uint32_t watch_node_find(const struct watch *watch, uint32_t parent, struct dunlin_bytes key); /* NODE_NONE */
uint32_t watch_base_find(const struct watch *watch, uint32_t container);
/* The container's note, made when there is none; `state` is the container as it was at the last look.  NULL: out of
 * memory. */
struct watch_note *watch_note_of(dunlin_doc *doc, uint32_t container, const struct container *state);
/* A key of a map or set showed what that register does. */
void watch_key_was(dunlin_doc *doc, uint32_t container, uint32_t entry, const struct reg *reg);
/* What a container with one value shows; false: nothing. */
bool watch_value(const struct container *container, struct dunlin_value *out);
/* The slot of a key in the table of those noted, free or not.  Needs a table. */
size_t watch_find_place(const struct watch *watch, uint32_t container, uint32_t entry);
/* Makes that table anew.  False: out of memory. */
bool watch_places_renew(struct watch *watch);
/* Frees what nobody watches any more. */
void watch_free_ended(dunlin_doc *doc);
/* Forgets all notes. */
void watch_clear(dunlin_doc *doc);

/* ---- event.c ------------------------------------------------------------------------------------------------ */

/* Turns all that was noted into events behind those in the queue, and forgets it.  DUNLIN_ENOMEM. */
int event_look(dunlin_doc *doc);
void event_queue_clear(struct watch *watch);

#endif
