/* What the layers above need of a document beyond the public header. */
#ifndef CRDT_DOC_H
#define CRDT_DOC_H

#include <dunlin/doc.h>

/* dunlin_doc_apply() of a delta that came from `author`'s log: a change that claims another actor is refused (and may still
 * come from its true author later). */
int doc_apply_as(dunlin_doc *doc, const struct dunlin_actor *author, const void *delta, size_t len,
                 struct dunlin_applied *result);

/* Whether a transaction is open. */
bool doc_in_transaction(const dunlin_doc *doc);

#endif
