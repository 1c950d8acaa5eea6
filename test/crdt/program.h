/* Random programs: replicas that edit, exchange and must end equal.  Shared by the convergence tests and benchmarks of merging. */
#ifndef TEST_PROGRAM_H
#define TEST_PROGRAM_H

#include "test/support/support.h"

/* One random transaction of one to three writes of any kind, on whatever the document holds. */
void program_edit(dunlin_doc *doc, struct rng *rng);

#endif
