/* Documents read out of runs, for the files of persist/ only. */
#ifndef PERSIST_STORE_DOC_H
#define PERSIST_STORE_DOC_H

#include "persist/store.h"

struct dunlin_id doc_id_of_name(const struct dunlin_env *env, const struct dunlin_id *space, const char *name,
                                size_t len);
struct dunlin_id doc_id_of_directory(const struct dunlin_env *env, const struct dunlin_id *space);

/* Applies to `doc` what the space's runs in `lane` hold for it beyond `*cursor`, in the order of arrival, and moves the
 * cursor.  `skip` (may be NULL): an actor whose runs are left out.  Adds to `*result`.  On an error the cursor is
 * behind what was applied: applying again does no harm.
 *
 * A document keeps only so much that waits for its parents.  What it left out is given to it again when other changes
 * have come, in this call and in later ones, so that in the end it has all whose parents are there. */
int doc_load(dunlin_store *store, dunlin_doc *doc, const struct dunlin_id *did, const struct space *space, uint8_t lane,
             const struct dunlin_actor *skip, struct doc_cursor *cursor, struct dunlin_applied *result);

/* A document of nobody's, for reading.  `id` names it. */
int doc_reader(dunlin_store *store, const struct dunlin_id *id, dunlin_doc **out);

/* The map of names in a directory document.  DUNLIN_ENOENT while there is none. */
int directory_names(const dunlin_doc *directory, dunlin_obj *out);

#endif
