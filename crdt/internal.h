/* The document's insides, shared by the files that make it up: doc.c (taking changes in, giving them out), apply.c
 * (what operations do), txn.c and commit.c (writing), read.c (reading), history.c (changes as they were), names.c
 * (their ids), void.c, hash.c. */
#ifndef CRDT_INTERNAL_H
#define CRDT_INTERNAL_H

#include "crdt/change.h"
#include "crdt/column.h"
#include "crdt/doc.h"
#include "crdt/graph.h"
#include "crdt/list.h"
#include "crdt/map.h"
#include "crdt/marks.h"
#include "crdt/names.h"
#include "crdt/oplog.h"
#include "crdt/text.h"
#include "crdt/walker.h"
#include "crdt/watch.h"

struct lv_set { /* in order */
  uint32_t *lvs;
  size_t count, cap;
};

struct tip {
  uint32_t lv; /* of the version whose only head it is: */
  uint32_t size : 31,
      behind : 1; /* how many items there are, and whether it lacks operations on them that came before */
};

/* What a text and a list have in common: how operations of several versions come into what shows. */
struct sequence {
  struct walker walker;
  bool walks;     /* the open change's operations go through the walker */
  bool waits;     /* they are only judged, and wait */
  uint32_t shown; /* operations before this LV are in what shows */
  uint32_t size;  /* at the open change's version, when that waits */
  struct tip *tips;
  size_t tip_count, tip_cap;
  size_t tip;  /* that of the open change's version; tip_count: not known */
  bool behind; /* that version lacks operations that came before */
};

/* Anchors and where they are; places.c. */
struct anchor_place {
  uint32_t at;
  struct rope_anchor anchor;
  bool goes; /* with the characters that are being deleted */
};
struct anchor_places {
  const struct dunlin_env *env;
  struct anchor_place *list; /* in order */
  size_t count, cap;
};

struct text_state {
  struct sequence sequence;
  struct text text;
  bool lost;      /* the text has to be made again from the history */
  bool has_marks; /* there have been some */
  struct marks marks;
  struct anchor_places earlier; /* those of the version that a local change is on, which has this stamp */
  uint64_t earlier_stamp;
};

struct list_state {
  struct sequence sequence;
  struct list list;
};

struct container {
  struct container_id id;
  enum dunlin_kind kind; /* DUNLIN_NULL: made by an operation of a kind that this version does not know */
  uint8_t depth;         /* the root is 0 */
  bool provisional;      /* made by the open transaction: its id is known at the commit */
  uint32_t parent;
  uint32_t entry;          /* of a map's child: the entry in the parent ... */
  uint32_t generation;     /* ... and its generation */
  uint32_t made_index;     /* of a list's child: the operation's index in its change */
  uint32_t void_from;      /* its first operation by a void change; LV_NONE */
  struct lv_set made;      /* operations that created or touched it */
  struct lv_set unknown;   /* operations on it that this version does not know */
  uint32_t unknown_now;    /* how many of these are not void */
  struct oplog log;        /* all operations on it */
  uint32_t seen_all;       /* an operation on it that comes after all those before it; LV_NONE: none that is known */
  uint64_t touched;        /* the stamp of the last change that touched it */
  uint64_t ref_stamp;      /* when `ref` was set: doc->stamp */
  uint64_t made_stamp;     /* likewise for `made_ref` */
  uint64_t listed;         /* by the last struct distinct that came by: its stamp */
  struct watch_note *note; /* NULL: not written to since the last look, or nobody looks */
  uint32_t ref, made_ref;  /* its numbers in the columns of the change that is being written: by id, and as made */
  union {
    struct map map;
    struct list_state *list; /* of their own: they are large, and most containers are neither */
    struct text_state *text;
    int64_t counter;
    struct reg offer; /* max, min, first: the one offer that shows; sets are maps, by the bytes of their members */
  } as;
};

/* An operation on its way into the document. */
struct op {
  uint8_t kind; /* enum op_kind, or unknown */
  uint32_t container, a, len;
  uint32_t at, bytes; /* where its text or values begin in their column; bytes of text */
  struct dunlin_bytes key;
  uint32_t entry; /* perhaps that of the key */
  struct dunlin_value value;
  struct dunlin_bytes names; /* of the writes that it replaces: WRITE_NAME bytes each */
  uint32_t number;           /* OP_MAP_CHILD: generation; OP_LIST_MOVE: target; child's kind */
  int64_t amount;
};

/* How to take back one step of an operation. */
struct undo {
  enum {
    UNDO_LOG,
    UNDO_MAP_WRITE,
    UNDO_LIST_WRITE,
    UNDO_COUNTER,
    UNDO_OFFER,
    UNDO_CONTAINER,
    UNDO_MADE,
    UNDO_UNKNOWN,
    UNDO_GENERATION
  } what;
  uint32_t container;
  uint32_t entry; /* map entry or list element */
  uint32_t first, count;
  union {
    int64_t amount;
    struct reg_undo reg; /* of the two writes */
    struct op_run run;   /* the last one of the log */
  };
};

/* The change that is being made: by a transaction, or from elsewhere. */
struct open_change {
  bool is_open, is_local, is_void;
  bool is_given;        /* graph.open.id is its id */
  bool is_prepared;     /* names_prepare() has made room */
  uint32_t lv, index;   /* its first LV, and how many it has used so far */
  uint32_t calls;       /* operations, not counting how many each stands for */
  uint64_t row_bytes;   /* at least what `a` and `len` of its rows take */
  uint64_t stamp;       /* the touched ones have it */
  struct oplog_row row; /* may still grow; pushed on its container's log when it is over; `len` 0: none */
  uint32_t row_container;
  struct text *plain; /* the text that the row is on, when edits go on to concern just these two (txn.c); NULL */
  struct undo *undos;
  size_t undo_count, undo_cap;
  uint32_t *made; /* containers of its creating operations, in order */
  size_t made_count, made_cap;
  uint32_t *touched; /* containers */
  size_t touched_count, touched_cap;
  uint32_t text_end, values_end; /* of the columns before it */
  size_t owner_count, maker_count;
};

/* From this LV on, operations are on this container. */
struct owner {
  uint32_t lv, container;
};

struct row {
  uint8_t kind;
  bool made; /* `container` counts among those that the change made */
  uint32_t container, a, len;
};

/* A change's columns, put together again from the logs; history.c. */
struct rows {
  struct row *list;
  size_t count, cap;
  uint32_t *containers; /* those named by id */
  size_t container_count, container_cap;
  uint32_t text_from, text_to;
  uint32_t values_from, values_to;
  size_t value_count;
};

struct pending {
  struct change_id_bytes change; /* its bytes are owned; NULL: a free place */
  struct dunlin_actor author;
  bool has_author;
  uint32_t found; /* so many of its parents are there */
  uint32_t next;  /* one more that waits for the same parent, is ready, or is free; IDMAP_NONE */
};

/* Changes whose parents are not there; pending.c. */
struct pending_queue {
  struct pending *list;
  size_t count, cap, used, bytes; /* bytes: of all that is kept for them */
  uint32_t free;
  uint32_t ready, ready_last; /* what they waited for has come, or was refused */
  struct idmap waiting;       /* missing parent -> first that waits for it */
  struct idmap places;        /* id and author -> place */
  struct idmap refused;       /* ids of changes that were refused */
  struct dunlin_id *refused_ids;
  size_t refused_count, refused_cap, refused_next; /* a ring when it is full */
};

struct dunlin_doc {
  const struct dunlin_env *env;
  struct docfile *file; /* what has not been decoded yet; NULL when all is here */
  struct dunlin_id id;
  uint32_t actor;        /* in the graph */
  enum dunlin_unit unit; /* of positions in texts */
  uint64_t seed;         /* random, of all hash tables */
  uint64_t stamp;        /* counts changes made, taken in and written out */
  struct graph graph;
  struct names names;
  struct buf saved_keys; /* of maps that came from a file */
  struct column text, values;
  bool text_wide; /* there is text that is not ASCII */
  struct owner *owners;
  size_t owner_count, owner_cap;
  struct owner *makers; /* of each creating operation, the container made or touched */
  size_t maker_count, maker_cap;
  struct container **containers;
  size_t container_count, container_cap;
  struct idmap container_ids; /* ids, padded with zeros */
  uint32_t *scratch;
  size_t scratch_cap;
  struct open_change open;
  int txn_error; /* the first of the transaction; sticks */
  struct rows rows;
  struct name *ordered; /* parents in the order in which they are written */
  size_t ordered_cap;
  struct buf bytes, intake; /* a change in the making, one that is being taken in */
  dunlin_commit_hook *hook;
  void *hook_ctx;
  int (*begin_hook)(void *ctx); /* may be NULL */
  void *begin_ctx;
  struct pending_queue pending;
  struct dunlin_id *heads; /* sorted, for dunlin_doc_heads */
  size_t heads_cap;
  struct dunlin_id *have; /* for dunlin_doc_have */
  size_t have_cap;
  struct lv_ranges voids;   /* the operations of void changes, the latest first */
  struct watch *watch;      /* NULL: nobody watches */
  struct watch *ended;      /* one that nobody watches any more, and that the last event still points to; NULL */
  struct dunlin_undo *undo; /* NULL: what is committed here cannot be undone */
  struct validator *validators;
  size_t validator_count, validator_cap;
  struct dunlin_id *void_ids; /* sorted; those too that have not come yet */
  size_t void_count;
};

/* ---- apply.c ------------------------------------------------------------------------------------------------ */

/* Opens a change on these parents.  DUNLIN_ENOMEM, DUNLIN_ELIMIT.  Actor, number and time are set in graph.open by the
 * caller. */
int open_change(dunlin_doc *doc, const uint32_t *parents, size_t count, const struct dunlin_id *id);
/* The same on all heads for a change by the document's own actor, number and time with it, when it goes on with the
 * last change and nothing has to be looked up for that.  False: nothing has happened. */
bool open_change_next(dunlin_doc *doc);
/* Applies one operation to it, and gives the container that it made or touched.  DUNLIN_ERANGE, DUNLIN_EKIND,
 * DUNLIN_ENOENT, DUNLIN_ELIMIT: invalid; DUNLIN_ENOMEM.  After an error the whole change is to be reverted. */
int apply_op(dunlin_doc *doc, const struct op *op, uint32_t *made);
/* Adds an operation that has been applied to the rows; its LV is found here. */
int row_add(dunlin_doc *doc, uint32_t container, const struct oplog_row *row);
/* Ends the row that the last operations made. */
int close_row(dunlin_doc *doc);
/* Takes the whole open change back. */
void open_change_revert(dunlin_doc *doc);
/* Makes it part of the document; `id` NULL: to be found out when somebody asks. */
int open_change_settle(dunlin_doc *doc, const struct dunlin_id *id);

/* Gets a container ready for operations of the open change: its state can be read at the change's version then.
 * DUNLIN_ENOENT when that version does not know it. */
int container_touch(dunlin_doc *doc, uint32_t container);
/* The change has been settled: moves the walker on when its operations went through it, else lets it go once it is far
 * behind. */
void settle_walker(const dunlin_doc *doc, struct walker *walker, bool walks);

struct container_id child_id(dunlin_doc *doc, const struct container_id *parent, struct dunlin_bytes key,
                             enum dunlin_kind kind, uint32_t generation);
struct container_id item_child_id(dunlin_doc *doc, const struct dunlin_id *change, uint32_t index,
                                  enum dunlin_kind kind);
/* A new container under `parent`, provisional; IDMAP_NONE when out of memory. */
uint32_t container_new(dunlin_doc *doc, enum dunlin_kind kind, uint32_t parent);
uint32_t container_find(const dunlin_doc *doc, const struct container_id *id); /* IDMAP_NONE */
int container_index(dunlin_doc *doc, const struct container_id *id, uint32_t container);
/* The highest generation of a child at an entry that the open change knows; -1. */
int64_t generation_seen(dunlin_doc *doc, uint32_t map, const struct map_entry *entry);
/* Gives the walker of a text or list an operation, and the sink what that does to what shows. */
int walk_op(dunlin_doc *doc, struct container *container, const struct op *op, const struct walker_sink *sink);
/* How many items a text or list has at the open change's version. */
uint32_t version_size(const struct container *container);

/* Which writes a bin names, with `own`, into `out`, whose `lvs` (room for WRITE_NAMES_MAX) the caller gives.  What is
 * not here is passed over: it is in no version that is.  DUNLIN_ENOMEM.  names_whole() comes before. */
int find_named(dunlin_doc *doc, struct dunlin_bytes names, uint32_t *lvs, struct reg_names *out);

void container_free(dunlin_doc *doc, struct container *container);

/* The container of that handle if it is of the kind; NULL else. */
struct container *container_of(const dunlin_doc *doc, dunlin_obj obj, enum dunlin_kind kind);

/* What a text or list has in common with the other; NULL for other containers. */
static inline struct sequence *sequence_of(struct container *c) {
  return c->kind == DUNLIN_LIST ? &c->as.list->sequence : c->kind == DUNLIN_TEXT ? &c->as.text->sequence : NULL;
}

/* ---- read.c ------------------------------------------------------------------------------------------------- */

/* The writes of a register in winner order, of each container only the first: two devices that created or touched one
 * child wrote one thing.  A container is marked when it comes by, so that all of them take one pass. */
struct distinct {
  const dunlin_doc *doc;
  const struct reg *reg;
  uint64_t stamp;
  uint32_t at;
};
struct distinct distinct_of(const dunlin_doc *doc, const struct reg *reg);
const struct reg_write *distinct_next(struct distinct *pass); /* NULL past the last */
uint32_t distinct_count(const dunlin_doc *doc, const struct reg *reg);
/* Number `i` of them; NULL past the last. */
const struct reg_write *distinct_at(const dunlin_doc *doc, const struct reg *reg, size_t i);

/* ---- apply_list.c ------------------------------------------------------------------------------------------- */

/* Applies an operation to a list; `write`: what it writes to its element. */
int list_apply(dunlin_doc *doc, const struct op *op, const struct reg_write *write, const struct reg_names *names);
/* Brings in what waits, once the walker is where the list is.  DUNLIN_ENOMEM, and then the list is as it was. */
int list_walk_in(dunlin_doc *doc, struct container *list);
/* The handle of the element at an index of the open change's version; LIST_NONE when it does not show any more. */
uint32_t list_element_at(const struct container *list, uint32_t at);

/* ---- offer.c ------------------------------------------------------------------------------------------------ */

static inline bool is_offer(enum dunlin_kind kind) {
  return kind == DUNLIN_MAX || kind == DUNLIN_MIN || kind == DUNLIN_FIRST;
}
static inline bool is_set(enum dunlin_kind kind) {
  return kind == DUNLIN_SET || kind == DUNLIN_GROWING_SET;
}
/* Whether a container is kept as a map: maps, and sets, whose keys are the canonical bytes of their members. */
static inline bool has_map(enum dunlin_kind kind) {
  return kind == DUNLIN_MAP || is_set(kind);
}

/* The bytes of a set's member, in `out`, which has room for DUNLIN_MAX_KEY.  DUNLIN_ELIMIT when they are more. */
int member_key(const struct dunlin_value *value, uint8_t *out, struct dunlin_bytes *key);
/* Whether that may be offered to a container of that kind; DUNLIN_EINVAL. */
int offer_check(enum dunlin_kind kind, const struct dunlin_value *value);
/* Whether `value` would show in place of `shown` in a max or min. */
bool offer_beats(enum dunlin_kind kind, const struct dunlin_value *value, const struct dunlin_value *shown);
/* Whether the operations of a max, min or first lead to what it shows. */
bool offer_agrees(const struct reg *reg, enum dunlin_kind kind, const struct graph *graph, const struct oplog *log,
                  const struct lv_ranges *voids, const struct column *values);

/* ---- txn.c -------------------------------------------------------------------------------------------------- */

/* Writes that replace these operations' writes and the transaction's own, of those that its version has, and no others:
 * at most WRITE_NAMES_MAX.  `write` gives value and class, NULL deletes.  names_whole() comes before the
 * transaction. */
int txn_put_over(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, const struct reg_write *write,
                 const uint32_t *over, size_t count);
int txn_set_over(dunlin_doc *doc, dunlin_obj list, size_t index, const struct dunlin_value *value, const uint32_t *over,
                 size_t count);

/* Writes a child again that was at the key, whatever is there now. */
int txn_revive(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, dunlin_obj child);

/* For who undoes.  Gets a text or list ready for what follows. */
int txn_touch(dunlin_doc *doc, dunlin_obj obj);
/* Items are deleted, characters inserted, where places count anchors too; an element is put before index `gap`, counted
 * while it is still where it was; a mark is put between two places, whatever marks there are. */
int txn_erase(dunlin_doc *doc, dunlin_obj obj, uint32_t at, uint32_t len);
int txn_insert_text(dunlin_doc *doc, dunlin_obj text, uint32_t at, struct dunlin_bytes utf8, size_t scalars);
int txn_list_move(dunlin_doc *doc, dunlin_obj list, size_t from, size_t gap);
int txn_mark(dunlin_doc *doc, dunlin_obj text, uint32_t from, uint32_t to, struct dunlin_bytes key,
             struct dunlin_value value, uint8_t start_kind, uint8_t end_kind);

/* What every write begins with: the open transaction's first error, or DUNLIN_ESTATE. */
int txn_writable(const dunlin_doc *doc);
/* Notes an error of a write, and gives it back. */
int txn_fail(dunlin_doc *doc, int error);

/* ---- validate.c --------------------------------------------------------------------------------------------- */

void validators_free(dunlin_doc *doc);

/* ---- doc.c -------------------------------------------------------------------------------------------------- */

/* 1: taken; 0: it is there already; DUNLIN_ENOENT: a parent is missing; DUNLIN_EREFUSED: it is invalid, for ever;
 * DUNLIN_EAUTH: it is not by `author` (NULL: anybody); DUNLIN_ENOMEM, DUNLIN_ECORRUPT. */
int take_change(dunlin_doc *doc, const struct change_id_bytes *given, const struct dunlin_actor *author,
                struct dunlin_id *missing);

/* ---- pending.c ---------------------------------------------------------------------------------------------- */

void pending_init(struct pending_queue *queue, uint64_t seed);
void pending_free(struct pending_queue *queue, const struct dunlin_env *env);
/* Keeps a change until `missing` is there.  DUNLIN_ELIMIT: too much waits already; DUNLIN_ENOMEM. */
int pending_add(dunlin_doc *doc, const struct change_id_bytes *change, const struct dunlin_actor *author,
                const struct dunlin_id *missing);
/* Whether the change is known to have been refused. */
bool pending_refused(const dunlin_doc *doc, const struct dunlin_id *id);
/* take_change() said `outcome` to a change: counts it, and makes ready what waited for it.  0, or an error that says
 * nothing about the change. */
int pending_judged(dunlin_doc *doc, const struct dunlin_id *id, int outcome, struct dunlin_applied *result);
/* Tries all that is ready, and what that makes ready.  An error leaves the rest for the next call. */
int pending_go_on(dunlin_doc *doc, struct dunlin_applied *result);
/* DUNLIN_ECORRUPT when the queue contradicts itself. */
int pending_check(const dunlin_doc *doc);

/* ---- next.c ------------------------------------------------------------------------------------------------- */

/* Takes a change in that just goes on with the last one; false, and nothing done, when it is not that simple, invalid
 * or too large for the memory there is. */
bool take_next(dunlin_doc *doc, const struct change *change, const struct dunlin_id *id,
               const struct dunlin_actor *author);

/* ---- version.c ---------------------------------------------------------------------------------------------- */

/* Gives `to` the changes from `first` on, up to `end`.  Their parents are there. */
int changes_copy(dunlin_doc *from, uint32_t first, uint32_t end, dunlin_doc *to);

/* ---- history.c ---------------------------------------------------------------------------------------------- */

/* Puts the rows of a change (graph->changes: the open one) together again in doc->rows. */
int history_rows(dunlin_doc *doc, uint32_t change);
/* Writes its canonical bytes.  Needs the ids of its parents. */
int history_change(dunlin_doc *doc, uint32_t change, struct buf *out);
/* The offset in the text column of the scalar value that comes `scalars` behind the one at `at`. */
uint32_t history_text_at(dunlin_doc *doc, uint32_t at, uint32_t scalars);
/* The offset of what operation `skipped` of a run takes from its column. */
uint32_t history_place(dunlin_doc *doc, const struct op_run *run, uint32_t skipped);
/* The container that the creating operation `lv` made or touched. */
uint32_t history_made(const dunlin_doc *doc, uint32_t lv);
/* Appends the delta of all changes in these ranges. */
int history_delta(dunlin_doc *doc, const struct lv_ranges *ranges, struct buf *out);

/* ---- check.c ------------------------------------------------------------------------------------------------ */

/* check_list.c: whether the list shows what this history says, up to LV `to`; DUNLIN_ECORRUPT, DUNLIN_ENOMEM. */
int list_agrees(const struct list *list, const struct graph *graph, const struct oplog *log,
                const struct lv_ranges *voids, const struct column *values, uint32_t to);
int check_list(dunlin_doc *doc, uint32_t container, bool deep);

/* A change has become part of the document: builds with DUNLIN_CHECK look at all of it while it is small. */
#ifdef DUNLIN_CHECK
void check_settled(dunlin_doc *doc);
#else
static inline void check_settled(const dunlin_doc *doc) {
  (void)doc;
}
#endif

/* ---- defer.c ------------------------------------------------------------------------------------------------ */

struct text_ctx {
  dunlin_doc *doc;
  struct text *text;
};
extern const struct walker_sink text_sink; /* into a struct text_ctx */

/* Brings what waits into a text or list, before somebody looks at it; nothing to do for other containers.
 * DUNLIN_ENOMEM; it can be tried again. */
int container_show(dunlin_doc *doc, uint32_t container);
/* Whether operations have been logged that do not show yet. */
bool sequence_waits(const struct sequence *sequence, const struct oplog *log);
/* Whether it is known how many items of a text or list there are at the open change's version: sequence->tip. */
bool tip_find(const dunlin_doc *doc, struct container *container);
/* Whether that version, whose tip is known, lacks operations that came before it. */
bool tip_behind(const struct container *container, const struct sequence *sequence);
/* Notes how many there are behind the change that was just settled and had the tip; tip_reserve() before. */
int tip_reserve(dunlin_doc *doc, struct sequence *sequence);
void tip_note(const dunlin_doc *doc, struct container *container, uint32_t size);

/* ---- rebuild.c ---------------------------------------------------------------------------------------------- */

/* What a text's operations make of it: a new text, for text_free(). DUNLIN_ENOMEM. */
int text_from_history(dunlin_doc *doc, uint32_t container, struct text *out);
/* Makes the state of a text again from its operations. DUNLIN_ENOMEM, and then nothing has changed. */
int text_rebuild(dunlin_doc *doc, uint32_t container);

/* ---- unit.c ------------------------------------------------------------------------------------------------- */

/* The character at a position of the text, which shows all, in the document's unit.  DUNLIN_ERANGE: beyond the end, or
 * inside of one; DUNLIN_ENOMEM.  And the other way. */
int unit_convert(dunlin_doc *doc, struct container *text, size_t at, size_t *character);
static inline int unit_in(dunlin_doc *doc, struct container *text, size_t at, size_t *character) {
  *character = at;
  return doc->unit == DUNLIN_SCALARS ? 0 : unit_convert(doc, text, at, character);
}
int unit_out(dunlin_doc *doc, struct container *text, size_t *at);

/* ---- places.c ----------------------------------------------------------------------------------------------- */

/* A text at the version of the open change, which has touched it. */
struct places {
  dunlin_doc *doc;
  const struct container *text;
  uint32_t size, entities; /* characters; with the anchors */
  bool has_marks;          /* or had some */
  bool is_earlier;         /* the version is not what the text shows */
};
/* An edit ends its life.  DUNLIN_ENOMEM. */
int places_begin(struct places *places, dunlin_doc *doc, const struct container *text);
/* An operation, number `lv`, has been applied to a text at an earlier version. */
void places_edited(dunlin_doc *doc, struct text_state *text, const struct op *op, uint32_t lv);
/* The place of a character; behind everything when there are no more. */
uint32_t places_entity(const struct places *places, uint32_t character);
/* The place right behind the character before this one. */
uint32_t places_behind(const struct places *places, uint32_t character);
/* Where something is inserted before a character: behind the anchors that belong to the character before. */
uint32_t places_gap(const struct places *places, uint32_t character);
/* What goes when the characters from `from` to `to` - 1 are deleted: these, and the marks that then cover nothing;
 * other anchors stay.  Each part is at `at` when those before it have gone.  A result of `each` other than 0 ends
 * that. */
int places_each_gone(const struct places *places, uint32_t from, uint32_t to,
                     int (*each)(void *ctx, uint32_t at, uint32_t len), void *ctx);

/* ---- undo_record.c, undo.c, when there is doc->undo ---------------------------------------------------------- */

/* The open transaction is about to delete the `len` items of a text or list that show from `at` on, by a row at `a`.
 * DUNLIN_ENOMEM. */
int undo_note_gone(dunlin_doc *doc, uint32_t container, uint32_t at, uint32_t a, uint32_t len);
/* It is about to be committed: gathers what is needed to undo it.  DUNLIN_ENOMEM. */
int undo_prepare(dunlin_doc *doc);
/* It has been; `id` NULL: not known. */
void undo_keep(dunlin_doc *doc, const struct dunlin_id *id);
/* The document has been made again. */
void undo_forget(dunlin_doc *doc);

/* ---- void.c ------------------------------------------------------------------------------------------------- */

/* Whether a change of that id is to be void. */
bool void_has(const dunlin_doc *doc, const struct dunlin_id *id);
/* Makes room to note one more void change.  DUNLIN_ENOMEM. */
int void_prepare(dunlin_doc *doc);
/* The change that has just been settled is void: its operations join doc->voids. */
void void_note(dunlin_doc *doc);

/* Local edits count what shows, the change that they become counts void changes as if they were in force.  These
 * translate, for a text or list that the open change has touched; nothing when it is on an earlier version. */
#define VOID_UNNAMED UINT32_MAX
/* How many items there are to count. */
uint32_t void_size(const dunlin_doc *doc, const struct container *container);
/* The place before item `at` (not past the size): behind the item that shows before it, or the nearest one before that
 * which the version knows. */
uint32_t void_gap(const dunlin_doc *doc, const struct container *container, uint32_t at);
/* Item `at` (below the size); VOID_UNNAMED when it shows only because a void change deleted it. */
uint32_t void_item(const dunlin_doc *doc, const struct container *container, uint32_t at);
/* The same for the `*len` items from `at` on: as many as lie together, from the first on, which `*len` is then. */
uint32_t void_items(const dunlin_doc *doc, const struct container *container, uint32_t at, uint32_t *len);

#endif
