/* The store's own structure, for the files of persist/ only. */
#ifndef PERSIST_STORE_H
#define PERSIST_STORE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "persist/commit.h"
#include "persist/index.h"
#include "persist/lease.h"
#include "persist/watch.h"
#include "persist/why.h"

/* What peers have acknowledged, in memory; written with the next flush or record. */
struct ack {
  struct dunlin_id peer, log; /* log: a branch's id */
  uint64_t count;
  bool unsaved;
};

struct acks {
  pthread_mutex_t lock;
  struct ack *list;
  size_t count, cap;
};

/* How far a document has read the runs. */
struct doc_cursor {
  uint64_t at;    /* arrival number up to which they are applied */
  uint64_t again; /* behind this one there are changes that the document left out; UINT64_MAX */
};
static inline struct doc_cursor doc_cursor_begin(void) {
  return (struct doc_cursor){.again = UINT64_MAX};
}

/* The directory documents of spaces, for reading names. */
struct directory {
  struct dunlin_id space;
  dunlin_doc *doc;
  struct doc_cursor cursor;
};

struct directories {
  pthread_mutex_t lock;
  struct directory *list;
  size_t count, cap;
};

struct dunlin_store {
  const struct dunlin_env *env;
  char *dir;
  pid_t pid; /* of the process that opened it: a child of fork() must not use it */
  struct vault vault;
  struct device device;
  struct records records;
  struct lease lease;
  struct storage *storage;
  struct index index;
  struct commit_queue queue;
  struct watch watch;
  struct acks acks;
  struct directories directories;
  atomic_uint documents; /* open handles */
};

/* DUNLIN_ESTATE after fork(). */
int store_usable(const dunlin_store *store);
/* One line to the environment's log.  Never names, keys or values of users. */
void store_log(const dunlin_store *store, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Runs `work` in a writing transaction, then brings the index up and tells everybody: for records. */
int store_change(dunlin_store *store, storage_work *work, void *ctx);

/* Acknowledgements that are not saved yet, inside a transaction; and marking them saved when it is durable. */
int store_save_acks(dunlin_store *store);
int store_load_acks(dunlin_store *store, struct storage_txn *txn);
void store_free_acks(dunlin_store *store);

#endif
