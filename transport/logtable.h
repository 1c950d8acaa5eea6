/* What a session knows of each log: what we hold, what the peer holds, what has been said about it. */
#ifndef TRANSPORT_LOGTABLE_H
#define TRANSPORT_LOGTABLE_H

#include "persist/seal.h"

#define LOGTABLE_MAX 16384u /* logs in all common spaces, ours and the peer's */

struct log_state {
  struct log_name name;
  uint64_t count;       /* entries we hold */
  struct dunlin_id tip; /* the last one's chain value */
  uint64_t told;        /* entries that the peer knows us to hold */
  uint64_t theirs;      /* entries that the peer said it holds */
  uint64_t acked;       /* entries that the store knows the peer to hold */
  uint64_t stalled;     /* the peer's count when it gave us nothing new of it: asked again when that grows */
  bool refused;         /* another branch or invalid: left alone */
  bool wanted;          /* asked for */
};

struct logtable {
  const struct dunlin_env *env;
  struct log_state *logs; /* in the order of (space, lane, device, actor) */
  size_t cap, count;
};

void logtable_free(struct logtable *table);
struct log_state *logtable_find(const struct logtable *table, const struct log_name *name);
/* Finds or adds: DUNLIN_ELIMIT, DUNLIN_ENOMEM.  Pointers into the table are valid until the next add. */
int logtable_add(struct logtable *table, const struct log_name *name, struct log_state **out);

#endif
