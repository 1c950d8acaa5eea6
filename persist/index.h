/* What a store knows in memory: spaces, logs, and which run holds what.  Derived from the runs' clear headers and the
 * records, at open and again whenever the arrival numbers have moved on (index_refresh), by whatever process.
 *
 * `lock` protects everything that can change and is a leaf: nobody reads the storage or waits while holding it.  Spaces
 * and logs are never freed before the index, and a log's name, keys and space pointer never change, so they may be used
 * without the lock.
 *
 * A log is a line of entries until its author's store is copied, or its author cheats: then one entry has two
 * successors, and the log is a tree.  Each of its *branches* is a `struct log` of the same name; which is the first
 * depends on what arrived first.  A branch goes on from an entry (`base`) of another, and has the runs from there, in
 * the order of entries and without gaps; a run may begin before the end of the one before it, where its author has cut
 * the same entries differently.  A run goes on where the run of its log that arrived before it ends, unless a record
 * says otherwise (record.h, 'p'). */
#ifndef PERSIST_INDEX_H
#define PERSIST_INDEX_H

/* Branches that a log may have; what would be one more is refused. */
#define LOG_MAX_BRANCHES 16u

#include <pthread.h>

#include "persist/record.h"

struct run_ref {
  uint64_t arrival, first;
  uint32_t count;
  struct dunlin_id tip; /* chain value of the last entry; known for the first `chained` runs */
};

struct log {
  struct log_name name;
  struct log_keys keys;
  struct dunlin_id start; /* e_0 */
  struct dunlin_id id;    /* of this branch, in this store: e_0 for the first */
  struct log *trunk;      /* the first branch */
  struct log *next;       /* the next one */
  struct log *parent;     /* whose entry `base` it goes on from; NULL: from the log's beginning */
  uint64_t base;
  uint64_t latest;     /* first branch: arrival number of the last run of any */
  size_t branch_count; /* first branch: of the log */
  struct space *space;
  struct run_ref *runs;
  size_t run_count, run_cap;
  size_t chained;
  uint64_t beyond; /* the last entry of runs that lie behind a gap; no damage when it is not above the tip */
};

/* Per arrival number: the log, NULL for a run that does not fit anywhere. */
struct run_place {
  struct log *log;
  size_t run;
  uint64_t docs; /* once it was opened: a bit for each document it has changes of, by the id's first byte; else 0 */
};
static inline uint64_t doc_bit(const struct dunlin_id *doc) {
  return (uint64_t)1 << (doc->bytes[0] & 63);
}

struct index {
  const struct dunlin_env *env;
  pthread_mutex_t lock;
  struct space **spaces;
  size_t space_count, space_cap;
  struct log **logs;
  size_t log_count, log_cap;
  struct run_place *places; /* places[n - 1] is arrival number n */
  size_t place_count, place_cap;
  struct parent_record *parents; /* in the order of arrival numbers */
  size_t parent_count, parent_cap;
  uint64_t lost;                /* runs that no known log could have made */
  uint64_t generation, version; /* of the records; of the storage */
  struct log *last;             /* the log of the last header: most often that of the next, too */
};

void index_init(struct index *index, const struct dunlin_env *env);
void index_free(struct index *index);

/* Brings the index up to what is committed.  1 when there was something new. */
int index_refresh(dunlin_store *store);
/* The same inside a transaction of the caller's, for a writer that must know the very last state. */
int index_refresh_in(dunlin_store *store, struct storage_txn *txn);

/* Number of runs, and entries, that are in place. */
uint64_t index_arrivals(struct index *index);
uint64_t index_entries(struct index *index);
/* Grows with every change of the records. */
uint64_t index_generation(struct index *index);

/* With the lock held. */
struct space *index_space(struct index *index, const struct dunlin_id *id); /* NULL */
struct log *index_log(struct index *index, const struct log_name *name);    /* the first branch, NULL */
struct log *log_branch(struct log *log, const struct dunlin_id *id);        /* NULL */
uint64_t log_count(const struct log *log);                                  /* number of its last entry */
uint64_t run_last(const struct run_ref *run);
const struct run_ref *log_run_of(const struct log *log, uint64_t entry); /* of its own runs, NULL */
struct log *log_holder(struct log *log, uint64_t entry); /* the branch that has the entry of this one's past, NULL */

/* Without it: finds and keeps. */
struct log *index_find_log(struct index *index, const struct log_name *name);

/* The sealed bytes of a run; the opened data of a run and its header and signature (DUNLIN_ECORRUPT, reported). */
int index_sealed(dunlin_store *store, uint64_t arrival, struct buf *out);
int index_open_run(dunlin_store *store, const struct log *log, uint64_t arrival, struct buf *raw,
                   struct seal_header *header, uint8_t signature[64]);

/* The chain value of entry `n` of the branch's past (0: e_0).  DUNLIN_ENOENT past its end. */
int index_entry(dunlin_store *store, struct log *log, uint64_t n, struct dunlin_id *out);
/* Computes the chain up to the log's tip, and gives number and chain value of it. */
int index_chain(dunlin_store *store, struct log *log, uint64_t *count, struct dunlin_id *tip);
/* Says what the writer knows already: the chain value of the last entry of a run. */
void index_set_tip(struct index *index, uint64_t arrival, const struct dunlin_id *tip);

/* Whether something that `space` may have had in `lane` is lost: DUNLIN_ECORRUPT, reported. */
int index_whole(dunlin_store *store, const struct space *space, uint8_t lane);

#endif
