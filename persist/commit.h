/* The commit queue and the writer thread.
 *
 * Commits of documents and runs from peers are put into one queue.  The thread takes all that is there, builds one run
 * for each log (in its order), seals them, and writes everything in one transaction; what is queued meanwhile shares
 * the next.  The number of an entry is given when its run is built, so what fails leaves no gap.
 *
 * When a transaction fails, those who wait get the error and what they brought is gone; what nobody waits for stays and
 * is tried again with the next commit or flush. */
#ifndef PERSIST_COMMIT_H
#define PERSIST_COMMIT_H

#include <pthread.h>

#include "crdt/change.h"
#include "persist/seal.h"

#include <dunlin/store.h>

/* Bytes of changes that may be queued without anybody waiting for them; a commit that would pass it waits for the
 * queue. */
#define COMMIT_MAX_QUEUED (8u * 1024 * 1024)

/* A leased writer slot.  It lives until its document is closed and nothing of it is queued. */
struct writer {
  uint8_t slot;
  int fd;
  struct dunlin_actor actor;
  struct dunlin_id doc;
  /* Under the queue's lock: */
  size_t queued;
  bool closed;
  uint64_t durable; /* its changes in `doc` that are durable */
};

/* How long acknowledgements wait for others to be saved with them, and a stepped store with a write that failed. */
#define COMMIT_ACKS_MS 1000u
#define COMMIT_RETRY_MS 1000u

struct commit_item;
struct commit_queue {
  pthread_mutex_t lock;
  pthread_cond_t work, done;
  pthread_t thread;
  struct commit_item *head, **tail;
  size_t bytes;
  uint64_t taken, finished; /* transactions begun and ended */
  int error;                /* of the last one, while something of it is still queued */
  bool running, retry, stop;
  bool stepped;     /* no thread: commit_step() and those who wait write */
  uint64_t now_ms;  /* of the last step */
  bool acks;        /* acknowledgements are to be saved at `acks_at` */
  uint64_t acks_at; /* milliseconds of a steady clock */
};

int commit_start(dunlin_store *store, bool stepped);
/* Tries what is queued a last time and ends the thread; the result is that of the last attempt. */
int commit_stop(dunlin_store *store);

/* Leases a slot for a document.  DUNLIN_EBUSY. */
int writer_open(dunlin_store *store, const struct dunlin_id *doc, struct writer **out);
void writer_close(dunlin_store *store, struct writer *writer);
/* Gives the writer a new actor when its own has been retired: 1; 0 when it has not. */
int writer_renew(dunlin_store *store, struct writer *writer);

/* Queues a change.  `wait`: returns when it is durable, or the error. */
int commit_change(dunlin_store *store, struct writer *writer, const struct log_name *log, const struct dunlin_id *doc,
                  const struct change_id_bytes *change, bool wait);

/* Runs of a peer's log, checked. */
struct commit_run {
  struct dunlin_bytes sealed;
  uint64_t last; /* number and chain value of its last entry */
  struct dunlin_id tip;
  bool follows;     /* goes on from the run before it here; else: */
  uint64_t parent;  /* arrival number of the run with the entry that it goes on from; 0: the log's beginning */
  uint64_t entry;   /* the number of that entry */
  bool plain;       /* that is the parent's last, and this one's first is the next */
  uint64_t arrival; /* where it was put */
};
struct commit_runs {
  const struct log_name *log;
  struct commit_run *runs;
  size_t count;
  uint64_t latest; /* arrival number of the log's last run when this was decided; 0: none */
  bool own;        /* of this device, and written elsewhere: its actor writes no more */
};
/* Returns when they are durable.  DUNLIN_ECONFLICT: the log has got another run meanwhile. */
int commit_runs(dunlin_store *store, struct commit_runs *runs);

/* There are acknowledgements to be saved: the thread does it within a second or so, all that came by then in one go. */
void commit_acks_soon(dunlin_store *store);

/* Waits until everything queued before is durable. */
int commit_flush(dunlin_store *store);

/* Stepped: writes what is queued and due.  When to call again. */
uint64_t commit_step(dunlin_store *store, uint64_t now_ms);

#endif
