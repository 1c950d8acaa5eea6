/* dunlin history - the past of a document: its versions, what differs between them, forks and what becomes of them.
 *
 * A *version* is named by its heads, as dunlin_doc_heads() gives them: the changes that no other change of that version builds on.
 * Any version that a document has been through can be named, and so can the meeting of several: the heads of each, together.
 * No heads at all name the empty document.
 *
 * To read or go on from an earlier version, fork the document there: a fork is a document like any other, with an actor of its own,
 * and what is done in it can be merged back.
 */
#ifndef DUNLIN_HISTORY_H
#define DUNLIN_HISTORY_H

#include <dunlin/doc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How two versions stand to each other. */
enum dunlin_order {
  DUNLIN_EQUAL,
  DUNLIN_BEFORE, /* the second has all that the first has */
  DUNLIN_AFTER,
  DUNLIN_CONCURRENT, /* each has changes that the other has not */
};

/* For this and the functions below: DUNLIN_ENOENT, a head is not in the document; DUNLIN_ESTATE inside a transaction; DUNLIN_ENOMEM. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_version_order(const dunlin_doc *doc, const struct dunlin_id *a, size_t a_count,
                                                    const struct dunlin_id *b, size_t b_count, enum dunlin_order *out);

/* The document as it was at a version, history included, as a new document whose changes will be made by `actor`; void changes are void
 * there too.  Takes the time of taking these changes in; the current version is copied sooner. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_fork(const dunlin_doc *doc, const struct dunlin_id *heads, size_t count,
                                               const struct dunlin_actor *actor, dunlin_doc **out);
/* A fork of the current version. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_copy(const dunlin_doc *doc, const struct dunlin_actor *actor,
                                               dunlin_doc **out);

/* Takes all changes of `from`, a document of the same id (else DUNLIN_EINVAL), into `doc`.  `result` may be NULL. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_merge(dunlin_doc *doc, const dunlin_doc *from, struct dunlin_applied *result);

/* What leads from one version to another, as events (<dunlin/events.h>): gives a document that shows the version `to`, and whose first look
 * tells, under tag 0, what turns the version `from` into it.  For reading: do not write to it. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_doc_diff(const dunlin_doc *doc, const struct dunlin_id *from, size_t from_count,
                                               const struct dunlin_id *to, size_t to_count, dunlin_doc **out);

/* ---- Versions by name --------------------------------------------------------------------------------------- */

/* A version can be kept under a name in a map of the document itself: so names reach all devices, and outlive a restart.  A *branch* is
 * such a name that moves on; a *checkpoint* is one that stays.
 *
 * Inside a transaction: writes the version there, as bytes.  `significant` keeps it when others are thinned out. */
DUNLIN_API int dunlin_version_put(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes name,
                                  const struct dunlin_id *heads, size_t count, bool significant);
/* The version of that name: how many heads it has, which are written when `cap` is at least that.  DUNLIN_ENOENT: none;
 * DUNLIN_EKIND: what is there is no version. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_version_get(const dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes name,
                                                  struct dunlin_id *heads, size_t cap);
/* Inside a transaction: removes names of versions from the map, all but the first, those that are significant, and the `keep` last
 * ones.  First and last go by byte order of the names: let them begin with a time or a number of fixed length. */
DUNLIN_API int dunlin_version_thin(dunlin_doc *doc, dunlin_obj map, size_t keep);

#ifdef __cplusplus
}
#endif
#endif
