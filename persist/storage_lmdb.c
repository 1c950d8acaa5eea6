#include "persist/storage_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "crdt/buf.h"
#include "persist/file.h"

/* Locks, outermost first: `writing` lets one thread of the process write at a time; `map` is held shared during every
 * transaction and exclusively while the map is replaced, which LMDB allows only when no transaction of the process is
 * open. */
struct storage {
  const struct dunlin_env *env;
  MDB_env *lmdb; /* NULL after a failed reopening */
  MDB_dbi runs, meta;
  pthread_mutex_t writing;
  pthread_rwlock_t map;
  size_t map_size;
  bool uncertain; /* a commit failed and yet may come back: nothing more is written until reopened */
  char dir[];
};

struct storage_txn {
  struct storage *storage;
  MDB_txn *txn;
};

/* MDB_BAD_TXN, MDB_PANIC and the like that get here are faults of the system below: a write that failed before. */
static int error_of(int rc) {
  switch (rc) {
    case 0: return 0;
    case MDB_NOTFOUND: return DUNLIN_ENOENT;
    case MDB_KEYEXIST: return DUNLIN_EEXIST;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
    case MDB_VERSION_MISMATCH:
    case MDB_BAD_VALSIZE: return DUNLIN_ECORRUPT;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return DUNLIN_ENOSPC;
    case ENOMEM: return DUNLIN_ENOMEM;
    default: return DUNLIN_EIO;
  }
}

static MDB_val val_of(struct dunlin_bytes bytes) {
  return (MDB_val){.mv_size = bytes.len, .mv_data = (void *)(uintptr_t)bytes.data};
}

static struct dunlin_bytes bytes_of(MDB_val val) {
  return (struct dunlin_bytes){val.mv_data, val.mv_size};
}

/* ---- The environment ---------------------------------------------------------------------------------------- */

/* The tables are opened once and their handles used by all later transactions.  Only a new store gets new ones: where
 * they should be and are not, the file is damaged, and empty ones would hide it. */
static int open_tables(struct storage *s, bool create) {
  MDB_txn *txn = NULL;
  unsigned flags = create ? MDB_CREATE : 0;
  int rc = mdb_txn_begin(s->lmdb, NULL, create ? 0 : MDB_RDONLY, &txn);
  if (rc) return rc;
  rc = mdb_dbi_open(txn, "runs", flags, &s->runs);
  if (!rc) rc = mdb_dbi_open(txn, "meta", flags, &s->meta);
  if (!rc) return mdb_txn_commit(txn);
  mdb_txn_abort(txn);
  return rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
}

static int open_lmdb(struct storage *s, bool create) {
  int dead;
  int rc = mdb_env_create(&s->lmdb);
  if (rc) return rc;
  rc = mdb_env_set_maxdbs(s->lmdb, 2);
  if (!rc) rc = mdb_env_set_mapsize(s->lmdb, s->map_size);
  /* Full sync.  NOTLS: a read transaction may end on another thread than it began, and threads come and go. */
  if (!rc) rc = mdb_env_open(s->lmdb, s->dir, MDB_NOTLS | MDB_NORDAHEAD, 0600);
  if (!rc) rc = mdb_reader_check(s->lmdb, &dead);
  if (!rc) rc = open_tables(s, create);
  if (rc) {
    mdb_env_close(s->lmdb);
    s->lmdb = NULL;
  }
  return rc;
}

static int sync_directory(const char *dir) {
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  int rc = file_sync(fd) ? errno : 0;
  close(fd);
  return rc;
}

int storage_open(const struct dunlin_env *env, const char *dir, size_t map_size, bool create, struct storage **out) {
  size_t len = strlen(dir) + 1;
  struct storage *s = env_calloc(env, 1, sizeof *s + len);
  if (!s) return DUNLIN_ENOMEM;
  s->env = env;
  s->map_size = map_size;
  memcpy(s->dir, dir, len);
  pthread_mutex_init(&s->writing, NULL);
  pthread_rwlock_init(&s->map, NULL);
  int rc = open_lmdb(s, create);
  if (!rc) rc = sync_directory(dir);
  if (rc) {
    storage_close(s);
    return error_of(rc);
  }
  *out = s;
  return 0;
}

void storage_close(struct storage *s) {
  if (!s) return;
  if (s->lmdb) mdb_env_close(s->lmdb);
  pthread_rwlock_destroy(&s->map);
  pthread_mutex_destroy(&s->writing);
  env_free(s->env, s, sizeof *s + strlen(s->dir) + 1);
}

/* ---- Growth and recovery: `map` held exclusively -------------------------------------------------------------- */

/* Doubles our own map, or (`follow`) takes over the size that another process has given to the file. */
static int grow(struct storage *s, bool follow) {
  int dead;
  if (!s->lmdb) return MDB_PANIC;
  size_t size = follow ? 0 : s->map_size * 2;
  if (!follow && size < s->map_size) return ENOMEM;
  int rc = mdb_reader_check(s->lmdb, &dead);
  if (!rc) rc = mdb_env_set_mapsize(s->lmdb, size);
  MDB_envinfo info;
  if (!rc) rc = mdb_env_info(s->lmdb, &info);
  if (!rc) s->map_size = info.me_mapsize;
  return rc;
}

/* After a failed write of its meta page LMDB answers MDB_PANIC until it is opened anew. */
static int reopen(struct storage *s) {
  if (s->lmdb) mdb_env_close(s->lmdb);
  s->lmdb = NULL;
  return open_lmdb(s, false);
}

/* Does what `rc` asks for; 0 when the transaction can be tried again, else `rc`. */
static int recover(struct storage *s, int rc) {
  int again = rc;
  if (rc != MDB_MAP_FULL && rc != MDB_MAP_RESIZED && rc != MDB_PANIC) return rc;
  pthread_rwlock_wrlock(&s->map);
  if (rc == MDB_MAP_FULL) again = grow(s, false);
  else if (rc == MDB_MAP_RESIZED) again = grow(s, true);
  else again = reopen(s);
  pthread_rwlock_unlock(&s->map);
  return again;
}

/* ---- Transactions ------------------------------------------------------------------------------------------- */

static int begin(struct storage *s, unsigned flags, MDB_txn **txn) {
  return s->lmdb ? mdb_txn_begin(s->lmdb, NULL, flags, txn) : MDB_PANIC;
}

/* How often one transaction is tried again: 40 doublings exhaust any address space. */
#define RETRIES 40

int storage_read(struct storage *s, storage_work *work, void *ctx) {
  for (int tries = 0;; tries++) {
    struct storage_txn txn = {.storage = s};
    pthread_rwlock_rdlock(&s->map);
    int rc = begin(s, MDB_RDONLY, &txn.txn);
    if (!rc) {
      int result = work(ctx, &txn);
      mdb_txn_abort(txn.txn);
      pthread_rwlock_unlock(&s->map);
      return result;
    }
    pthread_rwlock_unlock(&s->map);
    rc = tries < RETRIES ? recover(s, rc) : rc;
    if (rc) return error_of(rc);
  }
}

/* The map being full comes out of `work` as this; it is no public error. */
#define STORAGE_FULL (-1000)

static uint64_t version_of(struct storage *s) {
  MDB_envinfo info;
  return s->lmdb && !mdb_env_info(s->lmdb, &info) ? info.me_last_txnid : 0;
}

/* A commit failed with `rc`.  Its pages are in the file's cache; when its meta page got there too, it counts after all
 * once it is synced.  If even that cannot be had, nobody knows what a crash would leave. */
static int settle(struct storage *s, uint64_t txnid, int rc) {
  pthread_rwlock_wrlock(&s->map);
  int opened = reopen(s);
  if (opened) s->uncertain = true;
  else if (version_of(s) >= txnid) rc = mdb_env_sync(s->lmdb, 1);
  if (!opened && rc && version_of(s) >= txnid) s->uncertain = true;
  pthread_rwlock_unlock(&s->map);
  return rc;
}

static int write_once(struct storage *s, storage_work *work, void *ctx, int *result) {
  struct storage_txn txn = {.storage = s};
  pthread_rwlock_rdlock(&s->map);
  int rc = begin(s, 0, &txn.txn);
  uint64_t txnid = 0;
  *result = 0;
  if (!rc) {
    txnid = mdb_txn_id(txn.txn);
    *result = work(ctx, &txn);
    if (*result >= 0) rc = mdb_txn_commit(txn.txn);
    else mdb_txn_abort(txn.txn);
    if (*result == STORAGE_FULL) rc = MDB_MAP_FULL;
  }
  pthread_rwlock_unlock(&s->map);
  bool committing = txnid && *result >= 0;
  return rc && committing && rc != MDB_MAP_FULL ? settle(s, txnid, rc) : rc;
}

int storage_write(struct storage *s, storage_work *work, void *ctx) {
  int result = 0, rc = 0;
  pthread_mutex_lock(&s->writing);
  for (int tries = 0; tries < RETRIES; tries++) {
    rc = s->uncertain ? EIO : write_once(s, work, ctx, &result);
    if (rc != MDB_MAP_FULL && rc != MDB_MAP_RESIZED && rc != MDB_PANIC) break;
    rc = recover(s, rc);
    if (rc) break;
  }
  pthread_mutex_unlock(&s->writing);
  return rc ? error_of(rc) : result;
}

uint64_t storage_version(struct storage *s) {
  pthread_rwlock_rdlock(&s->map);
  uint64_t version = version_of(s);
  pthread_rwlock_unlock(&s->map);
  return version;
}

/* ---- Inside a transaction ----------------------------------------------------------------------------------- */

uint64_t storage_txn_version(struct storage_txn *txn) {
  return mdb_txn_id(txn->txn);
}

static int result_of(int rc) {
  return rc == MDB_MAP_FULL ? STORAGE_FULL : error_of(rc);
}

int storage_last_run(struct storage_txn *txn, uint64_t *arrival) {
  MDB_cursor *cursor = NULL;
  MDB_val key, value;
  *arrival = 0;
  int rc = mdb_cursor_open(txn->txn, txn->storage->runs, &cursor);
  if (rc) return result_of(rc);
  rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
  if (!rc && key.mv_size != 8) rc = MDB_CORRUPTED;
  if (!rc) *arrival = get_be64(key.mv_data);
  mdb_cursor_close(cursor);
  return rc == MDB_NOTFOUND ? 0 : result_of(rc);
}

int storage_get_run(struct storage_txn *txn, uint64_t arrival, struct dunlin_bytes *out) {
  uint8_t raw[8];
  put_be64(raw, arrival);
  MDB_val key = {.mv_size = sizeof raw, .mv_data = raw}, value = {0};
  int rc = mdb_get(txn->txn, txn->storage->runs, &key, &value);
  *out = bytes_of(value);
  return result_of(rc);
}

int storage_add_run(struct storage_txn *txn, uint64_t arrival, struct dunlin_bytes sealed) {
  uint8_t raw[8];
  put_be64(raw, arrival);
  MDB_val key = {.mv_size = sizeof raw, .mv_data = raw}, value = val_of(sealed);
  return result_of(mdb_put(txn->txn, txn->storage->runs, &key, &value, MDB_APPEND));
}

int storage_get_meta(struct storage_txn *txn, struct dunlin_bytes key, struct dunlin_bytes *out) {
  MDB_val k = val_of(key), value = {0};
  int rc = mdb_get(txn->txn, txn->storage->meta, &k, &value);
  *out = bytes_of(value);
  return result_of(rc);
}

int storage_put_meta(struct storage_txn *txn, struct dunlin_bytes key, struct dunlin_bytes value) {
  MDB_val k = val_of(key), v = val_of(value);
  return result_of(mdb_put(txn->txn, txn->storage->meta, &k, &v, 0));
}

int storage_drop_meta(struct storage_txn *txn, struct dunlin_bytes key) {
  MDB_val k = val_of(key);
  int rc = mdb_del(txn->txn, txn->storage->meta, &k, NULL);
  return rc == MDB_NOTFOUND ? 0 : result_of(rc);
}

static int walk(struct storage_txn *txn, MDB_dbi table, MDB_val key, MDB_cursor_op op, storage_each *each, void *ctx) {
  MDB_cursor *cursor = NULL;
  MDB_val value;
  int result = 0;
  int rc = mdb_cursor_open(txn->txn, table, &cursor);
  if (rc) return result_of(rc);
  while (!result && !(rc = mdb_cursor_get(cursor, &key, &value, op))) {
    result = each(ctx, bytes_of(key), bytes_of(value));
    op = MDB_NEXT;
  }
  mdb_cursor_close(cursor);
  return result || rc == MDB_NOTFOUND ? result : result_of(rc);
}

int storage_each_run(struct storage_txn *txn, uint64_t from, storage_each *each, void *ctx) {
  uint8_t raw[8];
  put_be64(raw, from);
  return walk(txn, txn->storage->runs, (MDB_val){.mv_size = sizeof raw, .mv_data = raw}, MDB_SET_RANGE, each, ctx);
}

int storage_each_meta(struct storage_txn *txn, storage_each *each, void *ctx) {
  return walk(txn, txn->storage->meta, (MDB_val){0}, MDB_FIRST, each, ctx);
}
