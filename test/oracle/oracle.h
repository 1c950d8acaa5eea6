/* The oracle: a second implementation of documents, to hold against the one in crdt/.
 *
 * It takes the same deltas and gives the same document hash, by an algorithm as different and as plain as possible:
 *
 * - Nothing that was ever written is taken out.  A register keeps every write, with the changes that overwrote it; a
 *   text keeps every character, with the changes that deleted it.  What shows now, or showed at some version, is a
 *   question put to these lists each time.  There is no state that could go stale, and nothing is ever retreated or
 *   advanced.
 * - A version is one byte for each change: in it or not, found by going through all changes.
 * - The order of a sequence is the tree of the paper on Fugue (Weidner and Kleppmann, "The Art of the Fugue",
 *   FugueMax), with parents, sides and sorted children, read in order; not the scan through concurrent neighbours that
 *   crdt/ uses.
 *
 * It can be trusted because each rule of docs/format.md is one short function here, and because two algorithms that
 * have nothing in common but the rules seldom make the same mistake.  What it shares with crdt/: reading the bytes of
 * changes and values, hashing, and the table from ids to numbers.
 *
 * It is slow (each operation goes through its container, each change through the graph), and
 * aborts the program when there is no memory. */
#ifndef TEST_ORACLE_H
#define TEST_ORACLE_H

#include <dunlin/doc.h>

#include "crdt/change.h"

struct oracle;

struct oracle *oracle_new(const struct dunlin_id *doc);
void oracle_free(struct oracle *oracle);

/* Takes a delta in.  0, or an error of delta_read() (nothing was taken).  DUNLIN_ENOENT: changes were left out because
 * a parent is missing; the others were taken, and those may be given again later.  A change that is refused leaves no
 * trace but its id, and what builds on it is left out in silence: neither is an error. */
int oracle_apply(struct oracle *oracle, const void *delta, size_t len);

size_t oracle_changes(const struct oracle *oracle); /* in the document */
size_t oracle_refused(const struct oracle *oracle); /* refused by what they are, not for what they build on */

/* The hash of "Document state" in docs/format.md: equals dunlin_doc_hash(). */
void oracle_hash(const struct oracle *oracle, struct dunlin_id *out);

/* The text of a container as UTF-8: returns its length in bytes, and writes it when `cap` is at least that.  0 when
 * there is no such text. */
size_t oracle_text(const struct oracle *oracle, const struct container_id *id, char *out, size_t cap);

/* From now on these changes are void, and no others; changes that come later included.  A void change counts as ever
 * for what its descendants mean and whether they are valid: their indexes see its insertions and deletions, and the
 * containers that it makes exist.  But nothing of it shows: what it inserted is deleted (whoever moves it), what it
 * deleted, moved or overwrote is not, its writes are not live, its additions are 0, its operations of unknown kinds do
 * not hide a container.  The set is looked at only when the state is read, never when a change is taken in: so it makes
 * no difference when it is set.  Always 0. */
int oracle_set_void(struct oracle *oracle, const struct dunlin_id *changes, size_t count);

#endif
