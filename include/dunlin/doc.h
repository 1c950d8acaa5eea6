/* dunlin_doc - a document in memory: maps, lists, text, counters, sets and more that merge.
 *
 * A document is a tree of containers.  Its root is a map (DUNLIN_ROOT).  A map key or a list element holds a
 * register: a plain value, or a container.  Writes go through transactions; a committed transaction is a *change*,
 * named by a hash of its content and its parents.  Two documents that hold the same changes are equal, in whatever
 * order and way the changes came: dunlin_doc_hash() is the proof.
 *
 * What merges how: a register keeps all writes that no other write has seen, and shows one of them, the same everywhere
 * (the highest class, then lamport, actor, change id); dunlin_map_conflict() reads the others.  What is inserted into
 * texts and lists at one place by several stands there side by side, each run whole (order: FugueMax, Weidner &
 * Kleppmann, "The Art of the Fugue", 2023).  A list element that two devices move ends in one place.  Deleting beats
 * editing inside what is deleted, unless the editor also touched it (dunlin_map_touch).  Counters add up, modulo 2^64.
 *
 * Errors that the functions below do not name again:
 *
 *   DUNLIN_EKIND   the container is of another kind than the function is for, or it is DUNLIN_NONE;
 *   DUNLIN_ERANGE  an index of a list or a position in a text is behind its end;
 *   DUNLIN_ENOENT  the key is absent, or a number is past the last of the keys, members, values or marks;
 *   DUNLIN_ESTATE  a write outside a transaction; and inside one, whatever is about the whole document: its hash,
 *                  exchange, saving, versions, watches;
 *   DUNLIN_EINVAL  a value to write that is no plain value;
 *   DUNLIN_EUTF8, DUNLIN_ELIMIT  a string that is not UTF-8, or something over <dunlin/limits.h>;
 *   DUNLIN_ENEWER  a write to a container that a later version of the library has written to, in a way that
 *                  this one cannot read;
 *   DUNLIN_ENOMEM  the document is as it was, and goes on when there is memory.
 *
 * What returns a size or another count gives 0 in these cases (SIZE_MAX for DUNLIN_ENOMEM, where it says so).  What
 * makes a container gives DUNLIN_NONE, and may be passed on to the writes that follow, since the first error stays with
 * the transaction.
 */
#ifndef DUNLIN_DOC_H
#define DUNLIN_DOC_H

#include <dunlin/dunlin.h>
#include <dunlin/limits.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dunlin_doc dunlin_doc;

/* A container of one document, valid as long as the document.  The handle of a container that was created in a
 * transaction that is aborted means nothing afterwards.  That of a container that is deleted still reads and writes it;
 * nothing of that shows in the document, unless somebody kept the container (dunlin_map_touch()) or brings it back
 * (undo.h). */
typedef struct dunlin_obj {
  uint32_t index;
} dunlin_obj;
#ifdef __cplusplus
#define DUNLIN_OBJ(index) (dunlin_obj{index})
#else
#define DUNLIN_OBJ(index) ((dunlin_obj){index})
#endif
#define DUNLIN_ROOT DUNLIN_OBJ(0)
#define DUNLIN_NONE DUNLIN_OBJ(UINT32_MAX) /* no container: what cannot be made or found */

enum dunlin_kind {
  DUNLIN_NULL = 0,
  DUNLIN_BOOL,
  DUNLIN_INT,
  DUNLIN_FLOAT,
  DUNLIN_STRING,
  DUNLIN_BYTES,
  DUNLIN_TIME, /* microseconds since 1970 */
  DUNLIN_MAP = 16,
  DUNLIN_LIST,
  DUNLIN_TEXT,
  DUNLIN_COUNTER,
  DUNLIN_MAX,         /* the highest of the numbers offered */
  DUNLIN_MIN,         /* the lowest */
  DUNLIN_FIRST,       /* the value offered first */
  DUNLIN_SET,         /* values, each once */
  DUNLIN_GROWING_SET, /* likewise; nothing is ever removed */
};

/* A value.  From DUNLIN_MAP on it is a container, `as.obj`. */
struct dunlin_value {
  enum dunlin_kind kind;
  union {
    bool boolean;
    int64_t integer;
    double real;
    struct dunlin_bytes string; /* DUNLIN_STRING and DUNLIN_BYTES */
    int64_t time;
    dunlin_obj obj;
  } as;
};

/* Values to pass in.  That of dunlin_string() points to the C string, without its NUL; text with NUL in it, and bytes,
 * go with their length. */
static inline struct dunlin_value dunlin_null(void) {
  struct dunlin_value value;
  memset(&value, 0, sizeof value);
  return value;
}
static inline struct dunlin_value dunlin_bool(bool boolean) {
  struct dunlin_value value = dunlin_null();
  value.kind = DUNLIN_BOOL;
  value.as.boolean = boolean;
  return value;
}
static inline struct dunlin_value dunlin_int(int64_t integer) {
  struct dunlin_value value = dunlin_null();
  value.kind = DUNLIN_INT;
  value.as.integer = integer;
  return value;
}
static inline struct dunlin_value dunlin_float(double real) {
  struct dunlin_value value = dunlin_null();
  value.kind = DUNLIN_FLOAT;
  value.as.real = real;
  return value;
}
static inline struct dunlin_value dunlin_time(int64_t microseconds) {
  struct dunlin_value value = dunlin_null();
  value.kind = DUNLIN_TIME;
  value.as.time = microseconds;
  return value;
}
static inline struct dunlin_value dunlin_string_len(const char *utf8, size_t len) {
  struct dunlin_value value = dunlin_null();
  value.kind = DUNLIN_STRING;
  value.as.string.data = utf8;
  value.as.string.len = len;
  return value;
}
static inline struct dunlin_value dunlin_string(const char *text) {
  return dunlin_string_len(text, strlen(text));
}
static inline struct dunlin_value dunlin_blob(const void *data, size_t len) {
  struct dunlin_value value = dunlin_null();
  value.kind = DUNLIN_BYTES;
  value.as.string.data = data;
  value.as.string.len = len;
  return value;
}

/* ---- The document ------------------------------------------------------------------------------------------- */

/* An empty document named `id` whose changes will be made by `actor`; NULL: a random one, for either.  Replicas of a
 * document share its id, and two living documents must never share an actor: when in doubt, a random one.  `env` (NULL:
 * default) must outlive the document. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_new(const struct dunlin_env *env, const struct dunlin_id *id,
                                              const struct dunlin_actor *actor, dunlin_doc **out);
DUNLIN_API void dunlin_doc_free(dunlin_doc *doc);
DUNLIN_API struct dunlin_id dunlin_doc_id(const dunlin_doc *doc);
DUNLIN_API struct dunlin_actor dunlin_doc_actor(const dunlin_doc *doc);

/* A hash of the visible state (not of the history): equal documents have equal hashes. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_hash(const dunlin_doc *doc, struct dunlin_id *out);

/* Number of changes in the document, and of changes received that still wait for a parent. */
DUNLIN_API size_t dunlin_doc_changes(const dunlin_doc *doc);
DUNLIN_API size_t dunlin_doc_pending(const dunlin_doc *doc);

/* The version: the changes that no other change builds on, sorted.  Borrowed until the document changes, or this is
 * called again.  NULL: out of memory; an empty document has none, and that is not NULL. */
DUNLIN_API const struct dunlin_id *dunlin_doc_heads(const dunlin_doc *doc, size_t *count);

/* ---- Transactions ------------------------------------------------------------------------------------------- */

/* Opens a transaction on the current version.  One at a time: DUNLIN_ESTATE.
 * Writes take effect at once for reads through this document.  The first write that fails is remembered: later
 * writes return its error too, and so does dunlin_commit(), which then aborts; so it is enough to check there. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_begin(dunlin_doc *doc);

/* Ends the transaction with a change of its writes and gives the change's id (NULL: not wanted).  Returns 1 when
 * there was something to commit and 0 when there was not (then `out` is untouched).  `time` is stored in the change
 * as its author's claim; 0 stores none.  On an error the transaction is gone without a trace; only one that a
 * validator refuses (dunlin_doc_set_validator() in plain.h) stays open. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_commit(dunlin_doc *doc, int64_t time, struct dunlin_id *out);
/* The same if the transaction began at exactly that version, the one that its writes rest on; else it aborts:
 * DUNLIN_ECONFLICT, the document has moved on since you read it (dunlin_doc_diff() in history.h says how). */
DUNLIN_API DUNLIN_MUST_USE int dunlin_commit_if(dunlin_doc *doc, const struct dunlin_id *heads, size_t count,
                                                int64_t time, struct dunlin_id *out);
DUNLIN_API void dunlin_abort(dunlin_doc *doc);
/* The first error of the open transaction, 0 while there is none; DUNLIN_ESTATE when no transaction is open. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_txn_error(const dunlin_doc *doc);

/* Called inside dunlin_commit() with the finished change, before it counts.  A result other than 0 makes the commit
 * fail with it.  This is how a store makes commits durable, so leave it alone on documents of a store.  There is one;
 * NULL takes it off. */
typedef int dunlin_commit_hook(void *ctx, const struct dunlin_id *id, struct dunlin_bytes change);
DUNLIN_API void dunlin_doc_on_commit(dunlin_doc *doc, dunlin_commit_hook *hook, void *ctx);

/* The kind of a container; DUNLIN_NULL when the handle is no longer valid. */
DUNLIN_API enum dunlin_kind dunlin_obj_kind(const dunlin_doc *doc, dunlin_obj obj);

/* ---- Maps --------------------------------------------------------------------------------------------------- */

/* Writes a plain value (not a container).  Writing what is there already does nothing. */
DUNLIN_API int dunlin_map_put(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, struct dunlin_value value);
/* The same with a class, `priority`: of writes made while apart the one of the highest class wins, whatever else orders
 * them.  Those of dunlin_map_put() have class 0.  A later write replaces what it has seen whatever the classes. */
DUNLIN_API int dunlin_map_put_class(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, struct dunlin_value value,
                                    uint32_t priority);
/* Writes the opposite of the boolean there; true when nothing is there, DUNLIN_EKIND when something else is.  Who
 * toggles at the same time wanted the same: it is toggled once. */
DUNLIN_API int dunlin_map_toggle(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key);
/* Removes the key; does nothing when it is absent. */
DUNLIN_API int dunlin_map_delete(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key);

/* Gets the live child container of `kind` at the key, or creates it; settles a conflict with children of other
 * kinds and with values.  Two devices that create the same child while apart get one child. */
DUNLIN_API dunlin_obj dunlin_map_child(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, enum dunlin_kind kind);
/* Writes the existing child again, so that it survives a concurrent deletion of the key.  DUNLIN_ENOENT: there is
 * none. */
DUNLIN_API int dunlin_map_touch(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key);

/* The winning value.  Strings are borrowed until the document changes. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_map_get(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key,
                                              struct dunlin_value *out);
/* Concurrent value `i` of the key in winner order: 0 is what dunlin_map_get gives. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_map_conflict(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key,
                                                   size_t i, struct dunlin_value *out);
/* How many concurrent values the key has: 0 when it is absent, 1 when there is no conflict. */
DUNLIN_API size_t dunlin_map_conflicts(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key);
/* Settles a conflict in favour of value `i`: writes it again, over all the others. */
DUNLIN_API int dunlin_map_choose(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, size_t i);
DUNLIN_API size_t dunlin_map_size(const dunlin_doc *doc, dunlin_obj map);
/* What shows at the key when it is of that kind, else `otherwise`: a missing key reads as its default. */
DUNLIN_API bool dunlin_map_bool(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, bool otherwise);
DUNLIN_API int64_t dunlin_map_int(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, int64_t otherwise);
DUNLIN_API double dunlin_map_float(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, double otherwise);
/* A string, borrowed until the document changes; `otherwise` is a C string. */
DUNLIN_API struct dunlin_bytes dunlin_map_string(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key,
                                                 const char *otherwise);
/* The container that shows at the key; DUNLIN_NONE when there is none of that kind. */
DUNLIN_API dunlin_obj dunlin_map_obj(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key,
                                     enum dunlin_kind kind);
/* Key `i` in byte order and its winning value; borrowed until the document changes. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_map_at(const dunlin_doc *doc, dunlin_obj map, size_t i, struct dunlin_bytes *key,
                                             struct dunlin_value *value);

/* ---- Lists -------------------------------------------------------------------------------------------------- */

/* SIZE_MAX: out of memory while bringing in what came from others; it can be tried again.  Reading an element says
 * DUNLIN_ENOMEM then, and the list is as it was. */
DUNLIN_API size_t dunlin_list_size(const dunlin_doc *doc, dunlin_obj list);
/* The winning value of an element; and its concurrent values, as in a map.  Strings are borrowed until the document
 * changes. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_list_get(const dunlin_doc *doc, dunlin_obj list, size_t index,
                                               struct dunlin_value *out);
DUNLIN_API DUNLIN_MUST_USE int dunlin_list_conflict(const dunlin_doc *doc, dunlin_obj list, size_t index, size_t i,
                                                    struct dunlin_value *out);
/* The index of the first of the `most` last elements: a view of a log whose length is bounded, the same everywhere,
 * without deleting anything. */
DUNLIN_API size_t dunlin_list_tail(const dunlin_doc *doc, dunlin_obj list, size_t most);
/* Inserts before `index` (size: at the end); a plain value, or a new container. */
DUNLIN_API int dunlin_list_insert(dunlin_doc *doc, dunlin_obj list, size_t index, struct dunlin_value value);
DUNLIN_API dunlin_obj dunlin_list_insert_child(dunlin_doc *doc, dunlin_obj list, size_t index, enum dunlin_kind kind);
/* Gives the element another value, or a new container; it stays the same element. */
DUNLIN_API int dunlin_list_set(dunlin_doc *doc, dunlin_obj list, size_t index, struct dunlin_value value);
DUNLIN_API dunlin_obj dunlin_list_set_child(dunlin_doc *doc, dunlin_obj list, size_t index, enum dunlin_kind kind);
DUNLIN_API int dunlin_list_delete(dunlin_doc *doc, dunlin_obj list, size_t index, size_t count);
DUNLIN_API int dunlin_list_append(dunlin_doc *doc, dunlin_obj list, struct dunlin_value value);
/* Takes the element at `from` out and puts it so that its index is `to`. */
DUNLIN_API int dunlin_list_move(dunlin_doc *doc, dunlin_obj list, size_t from, size_t to);

/* ---- Text ---------------------------------------------------------------------------------------------------- */

/* What positions and sizes in texts count, in every call and in events: Unicode scalar values unless the app says
 * otherwise.  A position inside a character is DUNLIN_ERANGE.  In a transaction on an earlier version positions count
 * scalar values, whatever the unit.  Copies and forks have that of their document.  To be called before the document is
 * used; DUNLIN_ESTATE also while there are watches. */
enum dunlin_unit { DUNLIN_SCALARS, DUNLIN_UTF8, DUNLIN_UTF16 };
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_set_unit(dunlin_doc *doc, enum dunlin_unit unit);
DUNLIN_API enum dunlin_unit dunlin_doc_unit(const dunlin_doc *doc);
/* The same position in another unit. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_text_convert(const dunlin_doc *doc, dunlin_obj text, enum dunlin_unit from,
                                                   size_t at, enum dunlin_unit to, size_t *out);

/* SIZE_MAX: out of memory while bringing in what came from others; it can be tried again. */
DUNLIN_API size_t dunlin_text_size(const dunlin_doc *doc, dunlin_obj text);
/* Deletes what is from `index` to `index` + `remove` and inserts the `len` bytes at `utf8` there. */
DUNLIN_API int dunlin_text_splice(dunlin_doc *doc, dunlin_obj text, size_t index, size_t remove, const char *utf8,
                                  size_t len);
/* The whole text as UTF-8, without a NUL: returns its length in bytes, and writes it when `cap` is at least that.
 * SIZE_MAX: out of memory, as above. */
DUNLIN_API DUNLIN_MUST_USE size_t dunlin_text_read(const dunlin_doc *doc, dunlin_obj text, char *out, size_t cap);

/* What stands from `from` to `to`, as UTF-8, for dunlin_free(env, ...). */
DUNLIN_API DUNLIN_MUST_USE int dunlin_text_part(const dunlin_doc *doc, dunlin_obj text, size_t from, size_t to,
                                                void **out, size_t *len);

/* ---- Marks -------------------------------------------------------------------------------------------------- */

/* A mark gives characters of a text a value under a key: `bold` true, `link` an address.  Where marks of one key
 * overlap the one that was made last shows (the highest lamport, actor, change id).  What is inserted in the middle of
 * a mark is marked; what is inserted at an edge is when the mark grows there, also when that is done concurrently. */
enum dunlin_mark_flags { DUNLIN_GROWS_AT_START = 1, DUNLIN_GROWS_AT_END = 2 };

/* Marks what is from `from` to `to`.  DUNLIN_NULL takes the mark of that key off.  Does nothing where the range is
 * marked so already, or empty. */
DUNLIN_API int dunlin_text_mark(dunlin_doc *doc, dunlin_obj text, size_t from, size_t to, struct dunlin_bytes key,
                                struct dunlin_value value, unsigned flags);

/* A stretch that is marked alike, and how many marks it has. */
struct dunlin_span {
  size_t from, to, marks;
};
/* The span around the character at `at`: a text is read from 0, going on at `to`.  DUNLIN_ERANGE at the end of the
 * text. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_text_span(const dunlin_doc *doc, dunlin_obj text, size_t at,
                                                struct dunlin_span *out);
/* Its mark `i`, in the order of keys; borrowed until the document changes. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_text_span_mark(const dunlin_doc *doc, dunlin_obj text, size_t at, size_t i,
                                                     struct dunlin_bytes *key, struct dunlin_value *value);

/* ---- Counters ----------------------------------------------------------------------------------------------- */

/* Adds `amount`, which may be negative.  A counter begins at 0. */
DUNLIN_API int dunlin_counter_add(dunlin_doc *doc, dunlin_obj counter, int64_t amount);
DUNLIN_API DUNLIN_MUST_USE int dunlin_counter_get(const dunlin_doc *doc, dunlin_obj counter, int64_t *out);

/* ---- Max, min, first ---------------------------------------------------------------------------------------- */

/* Offers a value.  To a DUNLIN_MAX or DUNLIN_MIN: an int, a float that is a number, or a time (DUNLIN_EINVAL
 * otherwise); they compare as numbers, and times are above all numbers.  To a DUNLIN_FIRST any plain value, and of
 * several offered while apart the same one counts everywhere (the lowest lamport, then actor).  An offer that changes
 * nothing is no write. */
DUNLIN_API int dunlin_offer(dunlin_doc *doc, dunlin_obj obj, struct dunlin_value value);
/* What it shows: DUNLIN_ENOENT while nothing has been offered.  Borrowed until the document changes. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_offered(const dunlin_doc *doc, dunlin_obj obj, struct dunlin_value *out);

/* ---- Sets --------------------------------------------------------------------------------------------------- */

/* Adds a plain value whose bytes are at most DUNLIN_MAX_KEY; does nothing when it is there.  Values are the same when
 * they are the same to the byte: 1 and 1.0 are two. */
DUNLIN_API int dunlin_set_add(dunlin_doc *doc, dunlin_obj set, struct dunlin_value value);
/* Removes it; does nothing when it is not there.  Who adds it at the same time keeps it there.  A DUNLIN_GROWING_SET
 * refuses that: DUNLIN_EINVAL. */
DUNLIN_API int dunlin_set_remove(dunlin_doc *doc, dunlin_obj set, struct dunlin_value value);
/* Removes it when it is there, adds it when it is not. */
DUNLIN_API int dunlin_set_toggle(dunlin_doc *doc, dunlin_obj set, struct dunlin_value value);
DUNLIN_API DUNLIN_MUST_USE bool dunlin_set_has(const dunlin_doc *doc, dunlin_obj set, struct dunlin_value value);
DUNLIN_API size_t dunlin_set_size(const dunlin_doc *doc, dunlin_obj set);
/* Member `i` in the order of their bytes; borrowed until the document changes. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_set_at(const dunlin_doc *doc, dunlin_obj set, size_t i, struct dunlin_value *out);

/* ---- Exchange ----------------------------------------------------------------------------------------------- */

/* What this document has, in a few ids that another replica's dunlin_doc_delta() understands: its heads, and the last
 * change of each actor.  (A replica that lacks the heads learns nothing from them.)  Borrowed until the document
 * changes. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_have(const dunlin_doc *doc, const struct dunlin_id **ids, size_t *count);

/* The changes that are in this document and not in the past of `since`, as one delta: `since` is what dunlin_doc_have()
 * says of the other replica, or the heads of a version that both have (0: nothing).  The caller frees the delta with
 * dunlin_free(env, ...).  Changes in `since` that this document does not know are ignored: when it knows none, it gives
 * everything. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_delta(const dunlin_doc *doc, const struct dunlin_id *since, size_t count,
                                                void **out, size_t *len);

struct dunlin_applied {
  size_t applied;    /* new changes that took effect, those that had waited included */
  size_t duplicates; /* already there */
  size_t pending;    /* kept until their parents arrive */
  size_t refused;    /* invalid, or built on such: not in the document, nor ever will be */
  size_t left_out;   /* not kept, since too much waits already: to be given again when their parents are here */
};

/* Takes a delta in.  Order and repetition do not matter.  Malformed bytes give DUNLIN_EFORMAT and change nothing.
 * A change that is well-formed but invalid for this document (an index out of range, a wrong kind) is refused, by
 * every replica alike, and counted; the others are taken.  `result` may be NULL.  DUNLIN_ENOMEM: those that
 * `result` counts have come in; give the delta again. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_apply(dunlin_doc *doc, const void *delta, size_t len,
                                                struct dunlin_applied *result);

/* ---- The compact form --------------------------------------------------------------------------------------- */

/* All of the document, its history too, in few bytes; not what waits for a parent.  Two documents whose changes came in
 * the same order have the same bytes.  The caller frees them with dunlin_free(env, ...).  DUNLIN_ELIMIT when deletions
 * outnumber the bytes too far (docs/limits.md). */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_save(const dunlin_doc *doc, void **out, size_t *len);

/* Opens a document from such bytes (dunlin_doc_id() says which one it is), which need not live on; its changes will be
 * made by `actor` (NULL: a random one).  Only what the document shows is decoded, and its history when a call needs it:
 * that call may then find out that the bytes were damaged (DUNLIN_ECORRUPT), and asking about a change inside a
 * transaction gives DUNLIN_ESTATE for as long as the history has not been decoded.  DUNLIN_EFORMAT; DUNLIN_ELIMIT;
 * DUNLIN_ENEWER: a later version wrote them.
 *
 * Bytes that nobody vouches for say two things, what the document shows and the changes that led there, and the two may
 * differ; much of that is found when the history is decoded, all of it by dunlin_doc_verify(). */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_load(const struct dunlin_env *env, const void *data, size_t len,
                                               const struct dunlin_actor *actor, dunlin_doc **out);

/* Makes all of the document again from its changes, as dunlin_doc_apply() would have, and compares.  For bytes from
 * elsewhere: it takes the time of taking all changes in, and the memory of a second document.  DUNLIN_ECORRUPT: a saved
 * document contradicts its history, or has a change that is not valid; DUNLIN_ESTATE inside a transaction. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_verify(const dunlin_doc *doc);

#ifdef __cplusplus
}
#endif
#endif
