/* Random programs: replicas that edit, exchange and must end equal.  Shared by the convergence tests and benchmarks of
 * merging. */
#ifndef TEST_PROGRAM_H
#define TEST_PROGRAM_H

#include "test/support/support.h"

/* One random transaction of one to three writes of any kind, on whatever the document holds. */
void program_edit(dunlin_doc *doc, struct rng *rng);

/* Within a transaction, one write: to a counter, max, min, first or set; one that replaces some of the writes of a key,
 * or of an element. */
int program_amount(dunlin_doc *doc, dunlin_obj obj, struct rng *rng);
int program_key_over(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, struct rng *rng);
int program_element_over(dunlin_doc *doc, dunlin_obj list, size_t at, struct rng *rng);

#endif
