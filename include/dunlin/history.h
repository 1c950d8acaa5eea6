/* dunlin history - the past of a document: its versions, what differs between them, forks and what becomes of them.
 *
 * A *version* is named by its heads, as dunlin_doc_heads() gives them: the changes that no other change of that version
 * builds on.  Any version that a document has been through can be named, and so can the meeting of several: the heads
 * of each, together.  No heads at all name the empty document.
 *
 * To read or go on from an earlier version, fork the document there: a fork is a document like any other, with an actor
 * of its own, and what is done in it can be merged back.
 */
#ifndef DUNLIN_HISTORY_H
#define DUNLIN_HISTORY_H

#include <dunlin/doc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Changes ------------------------------------------------------------------------------------------------ */

struct dunlin_change_info {
  struct dunlin_id id;
  struct dunlin_actor actor;
  uint64_t number;  /* counts this actor's changes in this document, from 0 */
  uint64_t lamport; /* 1 + the highest of its parents */
  int64_t time;     /* its author's claim, 0 when there is none */
  size_t parents;
  size_t operations;
};

/* The change at place `at` of this replica's own order (parents before children, 0 is the oldest), the change
 * named `id`, and actor's change `number` (the first one seen, if it forked).  DUNLIN_ENOENT when absent. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_change_at(const dunlin_doc *doc, size_t at, struct dunlin_change_info *out);
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_find_change(const dunlin_doc *doc, const struct dunlin_id *id,
                                                      struct dunlin_change_info *out);
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_find_number(const dunlin_doc *doc, const struct dunlin_actor *actor,
                                                      uint64_t number, struct dunlin_change_info *out);
/* Parent `i` of the change named `id`. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_parent(const dunlin_doc *doc, const struct dunlin_id *id, size_t i,
                                                 struct dunlin_id *out);

/* ---- Versions ----------------------------------------------------------------------------------------------- */

/* How two versions stand to each other. */
enum dunlin_order {
  DUNLIN_EQUAL,
  DUNLIN_BEFORE, /* the second has all that the first has */
  DUNLIN_AFTER,
  DUNLIN_CONCURRENT, /* each has changes that the other has not */
};

/* For this and the functions below: DUNLIN_ENOENT, a head is not in the document; DUNLIN_ESTATE inside a transaction;
 * DUNLIN_ENOMEM. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_version_order(const dunlin_doc *doc, const struct dunlin_id *a, size_t a_count,
                                                    const struct dunlin_id *b, size_t b_count, enum dunlin_order *out);

/* The document as it was at a version, history included, as a new document whose changes will be made by `actor`; void
 * changes are void there too.  Takes the time of taking these changes in; the current version is copied sooner. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_fork(const dunlin_doc *doc, const struct dunlin_id *heads, size_t count,
                                               const struct dunlin_actor *actor, dunlin_doc **out);
/* A fork of the current version. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_copy(const dunlin_doc *doc, const struct dunlin_actor *actor,
                                               dunlin_doc **out);

/* Takes all changes of `from`, a document of the same id (else DUNLIN_EINVAL), into `doc`.  `result` may be NULL. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_merge(dunlin_doc *doc, const dunlin_doc *from, struct dunlin_applied *result);

/* What leads from one version to another, as events (<dunlin/events.h>): gives a document that shows the version `to`,
 * and whose first look tells, under tag 0, what turns the version `from` into it.  For reading: do not write to it. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_diff(const dunlin_doc *doc, const struct dunlin_id *from, size_t from_count,
                                               const struct dunlin_id *to, size_t to_count, dunlin_doc **out);

/* Opens a transaction on an earlier version: every index and every "seen" of its writes refers to the merge of
 * `heads`.  This document's actor must have its previous change in that version's past (else DUNLIN_EINVAL).
 * While it is open, reads still show the whole document. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_begin_at(dunlin_doc *doc, const struct dunlin_id *heads, size_t count);

/* ---- Versions by name --------------------------------------------------------------------------------------- */

/* A version can be kept under a name in a map of the document itself: so names reach all devices, and outlive a
 * restart.  A *branch* is such a name that moves on; a *checkpoint* is one that stays.
 *
 * Inside a transaction: writes the version there, as bytes.  `significant` keeps it when others are thinned out. */
DUNLIN_API int dunlin_version_put(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes name,
                                  const struct dunlin_id *heads, size_t count, bool significant);
/* The version of that name: how many heads it has, which are written when `cap` is at least that.  DUNLIN_ENOENT: none;
 * DUNLIN_EKIND: what is there is no version. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_version_get(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes name,
                                                  struct dunlin_id *heads, size_t cap);
/* Inside a transaction: removes names of versions from the map, all but the first, those that are significant, and the
 * `keep` last ones.  First and last go by byte order of the names: let them begin with a time or a number of fixed
 * length. */
DUNLIN_API int dunlin_version_thin(dunlin_doc *doc, dunlin_obj map, size_t keep);

/* ---- Void changes ------------------------------------------------------------------------------------------- */

/* From now on these changes are *void*, and no others; those that are not here yet count when they come.  The call
 * gives the whole set, in any order (count 0: none); it can be taken back by another call.
 *
 * A void change stays in the document, is exchanged like any other, and counts for what later changes mean and whether
 * they are valid.  But nothing of it shows: what it inserted is deleted, what it deleted, moved or overwrote is not,
 * what it wrote is not there, what it added is 0.  Changes that build on it keep their own effect.  Documents with the
 * same changes and the same set are equal, in whatever order they got them.  The set is not part of the document: it is
 * not exchanged and not in its history.
 *
 * When changes that are here become void or cease to be, the document is made again from its history, which takes the
 * time of taking it in and, while it lasts, as much memory again; handles of containers stay valid, borrowed strings do
 * not.  DUNLIN_ESTATE inside a transaction.  On an error the document and its set are as they were.
 *
 * Writing while void changes are in the document: indexes count what shows, as ever, on the current version; on an
 * earlier one (dunlin_begin_at()) they count void changes as if they were in force.  Two things no change can say.  An
 * item that shows only because a void change deleted it cannot be deleted, set or moved: DUNLIN_EREFUSED.  And what is
 * put behind an item that a void change deleted or moved away comes to stand before it, behind the nearest item that is
 * not of that kind. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_set_void(dunlin_doc *doc, const struct dunlin_id *changes, size_t count);
/* Whether the change is in the set, here already or not. */
DUNLIN_API bool dunlin_doc_is_void(const dunlin_doc *doc, const struct dunlin_id *change);

#ifdef __cplusplus
}
#endif
#endif
