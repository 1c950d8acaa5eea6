/* What the layers above need of a document beyond the public header. */
#ifndef CRDT_DOC_H
#define CRDT_DOC_H

#include <dunlin/history.h>

/* dunlin_doc_apply() of a delta that came from `author`'s log: a change that claims another actor is refused (and may
 * still come from its true author later). */
int doc_apply_as(dunlin_doc *doc, const struct dunlin_actor *author, const void *delta, size_t len,
                 struct dunlin_applied *result);

/* Whether a transaction is open. */
bool doc_in_transaction(const dunlin_doc *doc);

/* Called when a transaction is about to begin, before anything else; a result other than 0 makes that fail with it.
 * May call doc_set_actor(). */
void doc_on_begin(dunlin_doc *doc, int (*hook)(void *ctx), void *ctx);
/* From now on the document's changes are made by this actor: a fresh one, since the old one's numbers are used
 * elsewhere.  Not inside a transaction.  DUNLIN_ENOMEM. */
int doc_set_actor(dunlin_doc *doc, const struct dunlin_actor *actor);

/* Throws away what all texts show and makes it again from the history: what a reader of the history has to do, and what
 * is measured as such.  DUNLIN_ESTATE, DUNLIN_ENOMEM. */
int doc_rebuild(dunlin_doc *doc);

/* Whether the document's insides agree with each other: 0, or DUNLIN_ECORRUPT.  `deep` also compares with what the
 * history says: texts are made again beside what they show, every id is hashed again.  It takes time quadratic in the
 * number of changes.  Changes nothing that shows.  DUNLIN_ESTATE inside a transaction, DUNLIN_ENOMEM. */
DUNLIN_MUST_USE int doc_check(dunlin_doc *doc, bool deep);

#endif
