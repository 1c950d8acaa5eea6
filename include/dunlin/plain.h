/* Plain values in and out of documents: whole trees, places by path, and a merge of three values.
 *
 * A *plain value* is msgpack: nil, booleans, integers, floats, strings, bytes, times, and arrays and maps (with strings
 * as keys) of them.  A time is extension type 1 with 8 bytes, big-endian microseconds since 1970.
 *
 * What the functions write is canonical: everything in its shortest form, floats in 64 bits with one NaN, keys in byte
 * order.  Two plain values are equal when their canonical bytes are; 1 is not 1.0, and 0.0 is not -0.0.  What they read
 * may be any well-formed msgpack of these kinds, or they say
 *   DUNLIN_EFORMAT  malformed or cut short, bytes behind the value, no string as key, a key twice, another extension;
 *   DUNLIN_EUTF8    a string or key that is not valid UTF-8;
 *   DUNLIN_ERANGE   an integer above INT64_MAX;
 *   DUNLIN_ELIMIT   over DUNLIN_MAX_PLAIN, DUNLIN_MAX_PLAIN_VALUES, DUNLIN_MAX_DEPTH or DUNLIN_MAX_KEY.
 *
 * In a document, a map is a map and an array a list; a text reads as a string, a counter as an integer, a set as an
 * array in the order of its members, and a max, min or first as the value that it shows, or nil.
 */
#ifndef DUNLIN_PLAIN_H
#define DUNLIN_PLAIN_H

#include <dunlin/doc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Whole trees -------------------------------------------------------------------------------------------- */

/* What a container shows, as a plain value: `*len` bytes, which the caller frees with dunlin_free(env, ...).  Of a
 * conflict it is the winner; what this version of the library does not know reads as nil.  DUNLIN_EKIND: not a
 * container of the document; DUNLIN_ELIMIT: more than 4 GiB. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_read_plain(const dunlin_doc *doc, dunlin_obj obj, void **out, size_t *len);

/* The writes that follow belong into a transaction, as those of doc.h do; one that dunlin_begin() opened, since they
 * look at what shows (else DUNLIN_ESTATE).  Errors are those of doc.h, too.
 *
 * They write only what differs: a value that shows already is not written, even where it shows among others in
 * conflict.  Containers that are there stay and are changed inside; a list by few insertions and deletions, found by
 * comparing its elements (when more than some hundred differ, element by element); a text that is to read as another
 * string by one splice, and a counter by adding the difference.  The elements of a list that is written where a set is
 * become its members (a growing set gets more and loses none), and a value that is written where a max, min or first is
 * is offered to it, which may change nothing.  Anything else is replaced. */

/* Makes the key hold that value; keys of maps that it does not name are deleted. */
DUNLIN_API int dunlin_write_plain(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, struct dunlin_bytes plain);

/* Writes the keys that the plain map names, and leaves the others: a map is merged in the same way into the one that is
 * there (it is made when there is none), anything else makes the key hold that value; nil is a value too, and deletes
 * nothing.  DUNLIN_EKIND: `plain` is not a map. */
DUNLIN_API int dunlin_map_merge(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes plain);

/* ---- Places by path ----------------------------------------------------------------------------------------- */

/* A path is a JSON pointer (RFC 6901), counted from a container `base`: "/todo/0/title".  In a token, ~1 stands for /
 * and ~0 for ~.  In a list a token is an index without leading zeros.  The empty path is `base` itself. */

/* What is there.  Strings are borrowed until the document changes.  DUNLIN_EPATH: nothing. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_path_get(const dunlin_doc *doc, dunlin_obj base, struct dunlin_bytes path,
                                               struct dunlin_value *out);

enum dunlin_op_kind {
  DUNLIN_OP_SET = 1, /* as dunlin_write_plain() on the key or list element; maps that are missing on the way are made */
  DUNLIN_OP_MERGE,   /* likewise, as one key of dunlin_map_merge() */
  DUNLIN_OP_INSERT,  /* puts the value into the list at `path`, before element `index` (its size: at the end) */
  DUNLIN_OP_REMOVE,  /* takes element `index` out of the list at `path` */
  DUNLIN_OP_DELETE,  /* deletes the key, or takes out the list element, that `path` names */
};
struct dunlin_path_op {
  enum dunlin_op_kind kind;
  struct dunlin_bytes path;
  struct dunlin_bytes value; /* a plain value; not of REMOVE and DELETE */
  size_t index;              /* of INSERT and REMOVE */
};

/* Does one operation.  In SET and MERGE the last token may be "-", behind the last element of a list: the value is
 * added there; the empty path makes `base` hold the value, or merges it, and needs one of its kind (DUNLIN_EKIND).
 * DUNLIN_EPATH when the path leads nowhere: it is not a path, passes through something that is not a container, names a
 * key or an element that is not there (SET and MERGE need only what comes before the first missing key), or leads to
 * something else than a list where one is needed.  DUNLIN_ERANGE: `index`.  Then the call has written nothing.  Like
 * any error of a write it stays with the transaction. */
DUNLIN_API int dunlin_path_apply(dunlin_doc *doc, dunlin_obj base, const struct dunlin_path_op *op);
/* All of them in order, up to the first that fails. */
DUNLIN_API int dunlin_path_apply_all(dunlin_doc *doc, dunlin_obj base, const struct dunlin_path_op *ops, size_t count);

/* ---- Rules that writes have to keep ------------------------------------------------------------------------- */

/* Judges what a transaction that is to be committed has made of a place; `value`: what shows there, NULL when that is
 * nothing.  0: it may be committed.  Anything else refuses it; then a few words may go into `why`.  It may read the
 * document, and must not change it. */
typedef int dunlin_validator(void *user, const dunlin_doc *doc, const struct dunlin_value *value,
                             struct dunlin_why *why);

/* From now on `validator` is asked by dunlin_commit(), and all that commits, when the transaction has written the
 * place, something in it, or what it lies in; and when nothing is there, or it is an element of a list, and the
 * transaction has written to that map or list.  There is one for each place; NULL takes it away.  They belong to this
 * dunlin_doc, and are not part of what it saves.  DUNLIN_EPATH: not a path; DUNLIN_ESTATE: a transaction is open.
 *
 * A commit that is refused says DUNLIN_EINVAL and leaves the transaction open, as it is (dunlin_txn_error() says 0
 * then, and DUNLIN_ESTATE when it is gone): write what is right and commit again, or abort.  Where a call begins and
 * commits by itself (dunlin_undo_back(), dunlin_slice_apply()), it is gone.
 *
 * Only local changes are judged.  A change from elsewhere is part of the document whatever a validator thinks of it:
 * replicas that each left out others would not be equal. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_set_validator(dunlin_doc *doc, dunlin_obj base, struct dunlin_bytes path,
                                                        dunlin_validator *validator, void *user);
/* Asks now, in an open transaction: 0, or DUNLIN_EINVAL and in `why` (NULL: not wanted) the path and what its validator
 * says.  As the transaction's error, when it has one. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_txn_validate(dunlin_doc *doc, struct dunlin_why *why);

/* ---- Merging three values ----------------------------------------------------------------------------------- */

/* Where both sides have made something else of the base. */
struct dunlin_merge_conflict {
  struct dunlin_bytes path;                /* in the merged value */
  struct dunlin_bytes base, local, remote; /* plain values; `data` NULL: it was not there */
};
struct dunlin_merge {
  struct dunlin_bytes value; /* the merged value */
  /* What makes it of `local`, in this order: only SET, INSERT, REMOVE and DELETE.  SET with the empty path replaces all
   * of it, and then is the only one. */
  const struct dunlin_path_op *ops;
  size_t op_count;
  const struct dunlin_merge_conflict *conflicts; /* in the order of the merged value */
  size_t conflict_count;
};

/* Merges what `local` and `remote` have made of `base`; plain values all three.  `env`: NULL is the default.  What it
 * gives is the same with local and remote swapped, but for `ops` and the names of the sides in conflicts:
 *
 * - Where one side is like the base, or both sides are alike, the other is taken.
 * - Maps are merged key by key, also when there was no map before.
 * - Lists are compared with the base element by element.  An element that one side has taken out is gone; one that both
 *   have changed is merged.  What both have inserted at one place stands there twice, the run with the lower canonical
 *   bytes first, what is common at the beginning of both only once.  Lists that differ too much to be compared (some
 *   hundred elements) are merged as a whole, and so are lists where there was no list before.
 * - Everything else is a conflict.  If one side has deleted, the other one wins; else the value whose canonical bytes
 *   are higher.
 *
 * DUNLIN_ELIMIT also when the merged value is over the limits, or the paths of all operations and conflicts are
 * together over 4 * DUNLIN_MAX_PLAIN.  dunlin_merge_free() frees the result with all in it. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_merge3(const struct dunlin_env *env, struct dunlin_bytes base,
                                             struct dunlin_bytes local, struct dunlin_bytes remote,
                                             struct dunlin_merge **out);
DUNLIN_API void dunlin_merge_free(struct dunlin_merge *merge);

#ifdef __cplusplus
}
#endif
#endif
