/* Documents for fuzz targets: always number 1, so that ids and deltas are the same in every run. */
#ifndef TEST_FUZZ_DOC_H
#define TEST_FUZZ_DOC_H

#include "test/fault/seeded.h"
#include "test/fuzz/fuzz.h"

#include <dunlin/doc.h>

dunlin_doc *fuzz_doc(const struct dunlin_env *env, uint8_t actor);
struct dunlin_id fuzz_hash(const dunlin_doc *doc);
/* Everything that can be read of the document, the losing values of conflicts too; checks that it fits together. */
void fuzz_read_doc(const dunlin_doc *doc);
/* All changes as a delta, and a new document made of it by `actor`, which must be equal. */
struct dunlin_bytes fuzz_delta(const dunlin_doc *doc); /* for dunlin_free() with the document's environment */
dunlin_doc *fuzz_reopen(const struct dunlin_env *env, const dunlin_doc *doc, uint8_t actor);

/* A history with every kind of operation, by actors 1 and 2 apart and then together: as deltas of the default
 * environment. */
#define FUZZ_HISTORY 4u
struct dunlin_bytes fuzz_history(size_t i);

#endif
