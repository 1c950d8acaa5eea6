/* dunlin undo - taking back what was done here, and only that.
 *
 * An undo stack belongs to one document in memory and keeps what is needed to take the changes back that are committed
 * through it from then on: its own changes, none that came from elsewhere.  Undoing commits a change that has the
 * opposite effect, so that it reaches the other devices like any change; redoing undoes that.
 *
 * What undoing does, whatever others have done since:
 *
 * - A key or element that was written gets the value back that it had before, if what was written still stands there.
 *   A value that somebody else wrote at the same time stays; so does what somebody wrote after.  Of several values in
 *   conflict the one comes back that would show.  A key that was deleted gets its value back if nobody has written
 *   another.
 * - What was inserted is deleted where it is now; what was deleted is inserted again, as new elements, where it was.
 *   What somebody else has deleted too stays deleted, and an element that somebody else has written to stays there.
 * - What was moved in a list goes back to where it was, or to where others have moved it at the same time; if others
 *   have moved it since, it stays where it is.
 * - A mark that was put on a text goes: what it covered shows what it had before, or what others have put there since.
 *   A mark that went with the characters it covered comes back with them, as a new one, which wins over others of its
 *   key.
 * - A container that was made at a key is removed, unless somebody else has written into it or into one that is in it;
 *   one that was deleted is there again with all that is in it.  A deleted element that was a container comes back as a
 *   copy.
 * - What was added to a counter is taken off; a member is added to or removed from a set if that had an effect and
 *   nobody else says the same.
 * - What was offered to a max, min or first, or added to a growing set, stays: it cannot be taken back.
 */
#ifndef DUNLIN_UNDO_H
#define DUNLIN_UNDO_H

#include <dunlin/doc.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dunlin_undo dunlin_undo;

/* A stack for what is committed through `doc` from now on: at most `depth` steps that can be undone, and as many that
 * can be redone; the oldest go first.  A document has one stack: DUNLIN_EEXIST; DUNLIN_ESTATE inside a transaction.  To
 * be freed before the document. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_undo_new(dunlin_doc *doc, size_t depth, dunlin_undo **out);
DUNLIN_API void dunlin_undo_free(dunlin_undo *undo);

/* A step is a commit.  Between a call with `on` and the next call, or the next undo, it is all commits: a word that was
 * typed.  Calling it again with `on` ends one step and begins the next. */
DUNLIN_API void dunlin_undo_group(dunlin_undo *undo, bool on);

/* How many steps there are to undo, and to redo.  Committing anything but these leaves nothing to redo. */
DUNLIN_API size_t dunlin_undo_count(const dunlin_undo *undo);
DUNLIN_API size_t dunlin_redo_count(const dunlin_undo *undo);

/* Undoes the last step that still has an effect, as one change: 1; steps without any on the way are gone for good.  0
 * when there is none.  `time` and `out` are those of dunlin_commit(), whose errors this has; DUNLIN_ESTATE inside a
 * transaction. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_undo_back(dunlin_undo *undo, int64_t time, struct dunlin_id *out);
/* Undoes the last undo that nothing has come after. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_undo_forth(dunlin_undo *undo, int64_t time, struct dunlin_id *out);

/* ---- Tentative changes -------------------------------------------------------------------------------------- */

/* A change that is shown, and exchanged, before somebody has agreed to it: a server, a person.  It is a change like any
 * other; what is special is that it can be reverted by itself, also when others have come after it.  It is not among
 * the steps above.  A stack of depth 0 is enough. */

/* As dunlin_commit() on the stack's document, whose transaction ends: a tentative change, unless there was nothing to
 * commit (0). */
DUNLIN_API DUNLIN_MUST_USE int dunlin_commit_tentative(dunlin_undo *undo, int64_t time, struct dunlin_id *out);
/* How many have neither been confirmed nor reverted, and number `i` of them in the order in which they were made;
 * DUNLIN_ENOENT. */
DUNLIN_API size_t dunlin_tentative_count(const dunlin_undo *undo);
DUNLIN_API DUNLIN_MUST_USE int dunlin_tentative_at(const dunlin_undo *undo, size_t i, struct dunlin_id *out);
/* It stays.  DUNLIN_ENOENT: it is not tentative. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_confirm(dunlin_undo *undo, const struct dunlin_id *change);
/* Undoes what is left of it, as one change: 1; 0: nothing was left.  DUNLIN_ENOENT; else as dunlin_undo_back(). */
DUNLIN_API DUNLIN_MUST_USE int dunlin_revert(dunlin_undo *undo, const struct dunlin_id *change, int64_t time,
                                             struct dunlin_id *out);

/* Inside a transaction: what is at key `from` is at key `to` instead, when an id that was made up for the time being is
 * replaced by the one that counts.  A container gets there as a copy.  DUNLIN_ENOENT: nothing is there; DUNLIN_EEXIST:
 * something is there already. */
DUNLIN_API int dunlin_map_rename(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes from, struct dunlin_bytes to);

#ifdef __cplusplus
}
#endif
#endif
