/* What edits have made of a sequence since somebody last looked, in as few words as can be: which of the old items are
 * still there, which went, what came, and of which the value may have changed.
 *
 * Many edits that lie far apart are told as one big one: what lies between them counts as replaced then. */
#ifndef CRDT_SPLICES_H
#define CRDT_SPLICES_H

#include "crdt/env.h"

enum splice_what { SPLICE_KEPT, SPLICE_INSERTED, SPLICE_SET };

struct splice_part {
  uint32_t gone; /* old items that were here, before the `len` items */
  uint32_t len;
  enum splice_what what;
  uint32_t old; /* SPLICE_SET, of one item: what was noted about it */
};

struct splices {
  const struct dunlin_env *env;
  struct splice_part
      *parts; /* all items that there are now; the last part is kept and has no end.  NULL: nothing has changed */
  size_t count, cap;
  struct splice_part *kept; /* as they were when a change was opened */
  size_t kept_count, kept_cap;
  bool is_kept;
  bool lost; /* there was no memory to note something down */
};

void splices_init(struct splices *splices, const struct dunlin_env *env);
void splices_free(struct splices *splices); /* leaves it as after splices_init() */

/* Items were inserted before index `at`; were erased from there on.  They cannot fail: see `lost`. */
void splices_insert(struct splices *splices, uint32_t at, uint32_t len);
void splices_erase(struct splices *splices, uint32_t at, uint32_t len);
/* The value of the item at `at` is about to be written; `old` says what is known about the one before.  False: that had
 * been noted already, or is of no use since the item is new. */
bool splices_set(struct splices *splices, uint32_t at, uint32_t old);

/* splices_revert() takes back what was noted since splices_open(). */
void splices_open(struct splices *splices);
void splices_revert(struct splices *splices);

#endif
