/* The document's insides, shared by the files that make it up: doc.c (exchange), apply.c (what operations do), txn.c (writing),
 * read.c (reading), hash.c. */
#ifndef CRDT_INTERNAL_H
#define CRDT_INTERNAL_H

#include "crdt/change.h"
#include "crdt/doc.h"
#include "crdt/graph.h"
#include "crdt/map.h"
#include "crdt/sequence.h"

struct change_set {
  uint32_t *changes;
  size_t count, cap;
};

struct container {
  struct container_id id;
  enum dunlin_kind kind; /* DUNLIN_NULL: made by an operation of a kind that this version does not know */
  uint8_t depth;         /* the root is 0 */
  bool provisional;      /* made by the open transaction: its id is known at the commit */
  uint32_t parent;
  uint32_t entry;            /* of a map's child: the entry in the parent ... */
  uint32_t generation;       /* ... and its generation */
  uint32_t made_index;       /* of a list's child: the operation's index in its change */
  struct change_set made;    /* changes that created or touched it */
  struct change_set unknown; /* changes with operations on it that this version does not know */
  uint64_t ref_stamp;        /* when `ref` was set: doc->stamp */
  uint32_t ref;              /* its number in the columns of the change that is being written */
  union {
    struct map map;
    struct seq seq; /* list and text */
    int64_t counter;
  } as;
};

/* An operation on its way into the document. */
struct op {
  uint8_t kind; /* enum op_kind, or unknown */
  uint32_t container, a, len;
  struct dunlin_bytes text, key;
  struct dunlin_value value;
  uint32_t number; /* OP_MAP_CHILD: generation; OP_LIST_MOVE: target */
  int64_t amount;
};

/* What a change did to a sequence, for the walk: `count` items from `first` inserted or deleted. */
struct effect {
  uint32_t container, first, count;
  bool is_delete;
};

/* How to take back one step of an operation. */
struct undo {
  enum {
    UNDO_INSERT,
    UNDO_DELETE,
    UNDO_MAP_WRITE,
    UNDO_LIST_WRITE,
    UNDO_COUNTER,
    UNDO_CONTAINER,
    UNDO_MADE,
    UNDO_UNKNOWN,
    UNDO_GENERATION
  } what;
  uint32_t container;
  uint32_t entry; /* map entry or list element */
  uint32_t first, count;
  int64_t amount;
  struct reg_undo reg;
};

/* The change that is being made: by a transaction, or from elsewhere. */
struct open_change {
  bool is_open, is_local;
  uint32_t change;            /* its number in the graph */
  uint32_t index;             /* local versions used so far */
  const struct dunlin_id *id; /* NULL when it is being written here */
  struct undo *undos;
  size_t undo_count, undo_cap;
  uint32_t *made; /* containers of its creating operations, in order */
  size_t made_count, made_cap;
};

/* A transaction's columns in the making. */
struct txn_row {
  uint8_t kind;
  uint32_t container, a, len;
};
struct txn {
  int error; /* the first; sticks */
  struct txn_row *rows;
  size_t row_count, row_cap;
  struct buf text, values;
  size_t value_count;
};

struct pending {
  struct change_id_bytes change; /* bytes are owned */
  struct dunlin_id missing;      /* the parent it waits for */
  struct dunlin_actor author;
  bool has_author;
  uint32_t next; /* waiting for the same parent; IDMAP_NONE */
};

struct dunlin_doc {
  const struct dunlin_env *env;
  struct dunlin_id id;
  uint32_t actor; /* in the graph */
  uint64_t seed;  /* of the maps' hashes */
  uint64_t stamp; /* counts changes written out */
  struct graph graph;
  struct buf history; /* canonical changes in a row */
  struct container **containers;
  size_t container_count, container_cap;
  struct idmap container_ids; /* ids, padded with zeros */
  struct effect *effects;
  size_t effect_count, effect_cap;
  uint32_t *scratch; /* a text insertion's scalar values */
  size_t scratch_cap;
  struct open_change open;
  struct txn txn;
  dunlin_commit_hook *hook;
  void *hook_ctx;
  int (*begin_hook)(void *ctx); /* may be NULL */
  void *begin_ctx;
  struct pending *pending; /* `change.bytes.data` NULL: a free place */
  size_t pending_count, pending_cap, pending_used, pending_bytes;
  struct idmap waiting;    /* missing parent -> first pending */
  struct dunlin_id *heads; /* sorted, for dunlin_doc_heads */
  size_t heads_cap;
};

/* ---- apply.c ------------------------------------------------------------------------------------------------ */

/* Moves the walking version of graph and sequences. */
int doc_walk(dunlin_doc *doc, const uint32_t *to, size_t count);
/* Opens a change by `actor` at the walking version. */
int open_change(dunlin_doc *doc, uint32_t actor, uint64_t number, int64_t time, const struct dunlin_id *id);
/* Applies one operation to it, and gives the container that it made or touched.  DUNLIN_ERANGE, DUNLIN_EKIND, DUNLIN_ENOENT,
 * DUNLIN_ELIMIT: invalid; DUNLIN_ENOMEM.  After an error the whole change is to be reverted. */
int apply_op(dunlin_doc *doc, const struct op *op, uint32_t *made);
/* Takes the whole open change back. */
void open_change_revert(dunlin_doc *doc);
/* Makes it part of the document; `id` and bytes are its own. */
int open_change_settle(dunlin_doc *doc, const struct dunlin_id *id, struct dunlin_bytes bytes);

struct container_id child_id(dunlin_doc *doc, const struct container_id *parent, struct dunlin_bytes key,
                             enum dunlin_kind kind, uint32_t generation);
struct container_id item_child_id(dunlin_doc *doc, const struct dunlin_id *change, uint32_t index,
                                  enum dunlin_kind kind);
uint32_t container_find(const dunlin_doc *doc, const struct container_id *id); /* IDMAP_NONE */
int container_index(dunlin_doc *doc, const struct container_id *id, uint32_t container);
/* Whether the walking version knows the container. */
bool container_seen(const dunlin_doc *doc, uint32_t container);
/* The highest generation of a child at an entry that the walking version knows; -1. */
int64_t generation_seen(dunlin_doc *doc, uint32_t map, const struct map_entry *entry);

void container_free(dunlin_doc *doc, struct container *container);

/* The container of that handle if it is of the kind; NULL else. */
struct container *container_of(const dunlin_doc *doc, dunlin_obj obj, enum dunlin_kind kind);

#endif
