/* dunlin_store - documents on disk: durable, encrypted, shared between threads and processes.
 *
 * A store is a directory.  It belongs to one device: it holds that device's keys, the spaces the device is a member
 * of, and every change of every document in them, sealed.  Nothing in it is readable without the store's key, which
 * is wrapped by a passphrase or by a key file.
 *
 * Threads and processes: every function may be called from any thread (documents stay with one thread, see doc.h).
 * Several processes may open one store; opening it twice in one process, or using it after fork(), is refused.
 */
#ifndef DUNLIN_STORE_H
#define DUNLIN_STORE_H

#include <dunlin/doc.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dunlin_store dunlin_store;
typedef struct dunlin_store_doc dunlin_store_doc;

/* ---- Keys --------------------------------------------------------------------------------------------------- */

/* What opens the store: a passphrase, or a file that holds a random key.  Set one, leave the other NULL.
 * A key file is created by dunlin_store_create() and dunlin_store_rekey() when it is not there (mode 0600), and should
 * not lie in the store's directory, because it would be copied with it. */
struct dunlin_store_key {
  const char *passphrase; /* any bytes */
  size_t passphrase_len;
  const char *key_file;
};

enum dunlin_key_kind { DUNLIN_KEY_PASSPHRASE = 1, DUNLIN_KEY_FILE = 2 };

struct dunlin_store_options {
  size_t size;                  /* sizeof(struct dunlin_store_options) */
  const struct dunlin_env *env; /* NULL: default */
  struct dunlin_store_key key;
  const char *device_name; /* dunlin_store_create: shown to other members */
  bool stepped;            /* dunlin_store_open: no thread of its own; see dunlin_store_step() */
};
DUNLIN_API struct dunlin_store_options dunlin_store_defaults(void);

/* ---- The store ---------------------------------------------------------------------------------------------- */

/* Makes a new store in `dir` (created when absent; DUNLIN_EEXIST when it holds a store, DUNLIN_ENOTSTORE when it holds
 * anything else).  When it returns, the store survives a crash; a crash before leaves nothing that a second call does
 * not finish or replace.  `why` may be NULL, here and below. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_store_create(const char *dir, const struct dunlin_store_options *options,
                                                   struct dunlin_why *why);

/* Which kind of key opens the store in `dir`: an enum dunlin_key_kind, or an error.  Needs no key. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_store_probe(const char *dir, struct dunlin_why *why);

/* Opens.  DUNLIN_ENOSTORE, DUNLIN_ENOTSTORE, DUNLIN_EVERSION, DUNLIN_EPASS, DUNLIN_ENOKEY, DUNLIN_ECORRUPT,
 * DUNLIN_EBUSY. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_store_open(const char *dir, const struct dunlin_store_options *options,
                                                 dunlin_store **out, struct dunlin_why *why);

/* Flushes what is queued and closes; the result is that of the flush.  Documents of the store must be closed before. */
DUNLIN_API int dunlin_store_close(dunlin_store *store);

/* Wraps the store's key anew.  Data is not touched. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_store_rekey(dunlin_store *store, const struct dunlin_store_key *key,
                                                  struct dunlin_why *why);

struct dunlin_store_info {
  struct dunlin_id device; /* Ed25519 public key */
  char device_name[DUNLIN_MAX_NAME + 1];
  enum dunlin_key_kind key_kind;
  uint64_t runs;    /* sealed runs held */
  uint64_t entries; /* changes in them */
  uint64_t disk_bytes;
};
DUNLIN_API DUNLIN_MUST_USE int dunlin_store_info(dunlin_store *store, struct dunlin_store_info *out);

/* Reads everything back: every page, every run's authentication tag, chain and signature, every document's changes.
 * Calls `report` (may be NULL) with one line for each fault; returns the number of faults or an error. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_store_verify(dunlin_store *store, void (*report)(void *ctx, const char *line),
                                                   void *ctx);

/* Returns once everything committed before the call is durable, or an error. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_store_flush(dunlin_store *store);

/* For a store opened with `stepped`: does what is due, that is writes the commits of DUNLIN_GROUP and notes for later;
 * what must be durable when a call returns is written inside that call.  `now_ms` is of any clock that does not go
 * back.  `*next_ms`: when to call again at the latest, UINT64_MAX when only a commit will give it something to do.
 * DUNLIN_ESTATE: has a thread. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_store_step(dunlin_store *store, uint64_t now_ms, uint64_t *next_ms);

/* Waits until something has been committed to the store since `*seen` (0 at first), by whomever (another thread, a
 * peer, another process), or until `timeout_ms` is over (-1: never) or dunlin_store_interrupt() is called.
 * Returns 1 and sets `*seen` when there is something, else 0. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_store_wait(dunlin_store *store, uint64_t *seen, int timeout_ms);
/* Makes current and next dunlin_store_wait() calls return. May be called from a signal handler. */
DUNLIN_API void dunlin_store_interrupt(dunlin_store *store);

/* ---- Documents ---------------------------------------------------------------------------------------------- */

enum dunlin_commit_mode {
  DUNLIN_DURABLE, /* dunlin_commit() returns when the change is on the disk */
  DUNLIN_GROUP,   /* returns at once; flushed with its neighbours; see dunlin_store_doc_durable() */
};

enum dunlin_open_flags {
  DUNLIN_CREATE = 1,   /* make the document when the space has none of that name */
  DUNLIN_READONLY = 2, /* takes no writer slot */
};

/* Opens the document of that name (dunlin_key("travel")) in a space.  The handle writes as an actor of its own (it
 * leases a writer slot of the store until it is closed), so one document may be open several times.  DUNLIN_ENOENT,
 * DUNLIN_EBUSY. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_store_doc_open(dunlin_store *store, const struct dunlin_id *space,
                                                     struct dunlin_bytes name, unsigned flags, dunlin_store_doc **out);
/* Closes; flushes nothing by itself (dunlin_store_flush, dunlin_store_close).  An open transaction is aborted. */
DUNLIN_API void dunlin_store_doc_close(dunlin_store_doc *doc);

/* The document itself, for every function of doc.h and its neighbours but dunlin_doc_free(); dunlin_commit() then goes
 * through the store.  Borrowed until dunlin_store_doc_close(). */
DUNLIN_API dunlin_doc *dunlin_store_doc_get(dunlin_store_doc *doc);
DUNLIN_API void dunlin_store_doc_mode(dunlin_store_doc *doc, enum dunlin_commit_mode mode); /* at first DURABLE */
/* Whom its changes are by.  It is another after a begin or a pull that has found this store to be a copy of another, or
 * set back to an older state: then the old one's numbers are in use elsewhere. */
DUNLIN_API struct dunlin_actor dunlin_store_doc_actor(const dunlin_store_doc *doc);

/* Takes in what others (threads, processes, peers) have committed; not inside a transaction (DUNLIN_ESTATE). */
DUNLIN_API DUNLIN_MUST_USE int dunlin_store_doc_pull(dunlin_store_doc *doc, struct dunlin_applied *result);

/* How many of this handle's own commits are durable, counted on from those that its actor had made when it was
 * opened. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_store_doc_durable(dunlin_store_doc *doc, uint64_t *count);

/* Writes the name of document `i` of a space, in the order of names, and a NUL behind it.  DUNLIN_ENOENT past the
 * last. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_store_doc_list(dunlin_store *store, const struct dunlin_id *space, size_t i,
                                                     char name[DUNLIN_MAX_NAME + 1], size_t *name_len);

#ifdef __cplusplus
}
#endif
#endif
