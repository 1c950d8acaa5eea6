/* What a session knows of each log: what we hold, what the peer holds, what has been said about it. */
#ifndef TRANSPORT_LOGTABLE_H
#define TRANSPORT_LOGTABLE_H

#include "persist/seal.h"

#define LOGTABLE_MAX 16384u /* branches in all common spaces, ours and the peer's */

/* A branch of a log that we hold. */
struct log_state {
  struct log_name name;
  struct dunlin_id branch; /* as our store names it */
  uint64_t count;          /* number of its last entry */
  struct dunlin_id tip;    /* that one's chain value */
  uint64_t told;           /* entries that the peer knows us to hold */
  uint64_t theirs;         /* entries that the peer said it holds */
  uint64_t acked;          /* entries that the store knows the peer to hold */
};

/* The end of a branch that the peer holds and we do not. */
struct tip_state {
  struct log_name name;
  uint64_t count;
  uint8_t tip[8]; /* the entry's hash in this session */
  bool deep;      /* to be asked for with all that may be common */
  bool stalled;   /* asking brought nothing: not asked for again */
  bool refused;   /* what came does not verify: the log is left alone */
};

struct logtable {
  const struct dunlin_env *env;
  struct log_state *logs; /* in the order of (space, lane, device, actor, branch) */
  size_t cap, count;
  struct tip_state *tips;
  size_t tip_cap, tip_count;
};

void logtable_free(struct logtable *table);
/* The branches of a log: the first, and how many follow each other. */
struct log_state *logtable_find(const struct logtable *table, const struct log_name *name, size_t *count);
/* Finds or adds: DUNLIN_ELIMIT, DUNLIN_ENOMEM.  Pointers into the table are valid until the next add. */
int logtable_add(struct logtable *table, const struct log_name *name, const struct dunlin_id *branch,
                 struct log_state **out);

struct tip_state *logtable_find_tip(const struct logtable *table, const struct log_name *name, uint64_t count,
                                    const uint8_t tip[8]);
int logtable_add_tip(struct logtable *table, const struct log_name *name, uint64_t count, const uint8_t tip[8]);
void logtable_drop_tip(struct logtable *table, size_t at);
bool log_name_equal(const struct log_name *a, const struct log_name *b);

#endif
