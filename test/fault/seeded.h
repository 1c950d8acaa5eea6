/* An environment whose clock, randomness and memory belong to the test: the same seed gives the same bytes, every
 * allocation is counted, and any of them can be made to fail. */
#ifndef TEST_FAULT_SEEDED_H
#define TEST_FAULT_SEEDED_H

#include <stdbool.h>

#include <dunlin/dunlin.h>

#include "test/support/rng.h"

struct seeded {
  struct dunlin_env env; /* to hand in; valid as long as this struct stays where it is */
  struct rng rng;
  int64_t clock; /* what env.now gives: microseconds of wall time; set as you like */
  /* Memory, in bytes; exact because the library gives old sizes. */
  size_t live, peak;
  size_t largest;                           /* the most that was asked for at once */
  uint64_t allocations;                     /* calls that ask for memory, failed ones included */
  uint64_t fail_at;                         /* this one fails, counted from 1 (0: none) ... */
  bool for_good;                            /* ... and all after it */
  void (*log)(void *ctx, const char *text); /* each line of the library's log; may be NULL */
  void *log_ctx;
};

void seeded_init(struct seeded *s, uint64_t seed);

/* Makes libsodium draw from `source` (NULL: from zeros that count up, which nothing should), for the whole process:
 * what the library asks of libsodium directly then repeats too.  Before sodium_init(). */
void seeded_sodium(struct rng *source);

#endif
