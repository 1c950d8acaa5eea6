/* Durable commits, beside SQLite (WAL, synchronous=FULL) and bare LMDB in the same folder; opening; bytes on disk.  A
 * key file opens the store: a passphrase costs what its parameters say, on purpose. */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef BENCH_SQLITE
#include <sqlite3.h>
#endif

#include "bench/fleet.h"

enum { COMMITS = 100, GROUP = 10000, RECORD = 100 };

static int make_dir(const struct bench *b, char dir[512]) {
  snprintf(dir, 512, "%s/dunlin-bench-XXXXXX", b->scratch);
  return mkdtemp(dir) ? 0 : DUNLIN_EIO;
}

/* ---- dunlin ------------------------------------------------------------------------------------------------- */

static int durable_commit(void *ctx, double *ms) {
  struct fleet *f = ctx;
  int error = 0;
  double began = bench_now();
  for (int i = 0; i < COMMITS && !error; i++) error = device_type(f->devices);
  *ms = (bench_now() - began) / COMMITS;
  return error;
}

static int group_commit(void *ctx, double *ms) {
  struct fleet *f = ctx;
  int error = 0;
  dunlin_store_doc_mode(f->devices->handle, DUNLIN_GROUP);
  double began = bench_now();
  for (int i = 0; i < GROUP && !error; i++) error = device_type(f->devices);
  if (!error) error = dunlin_store_flush(f->devices->store);
  *ms = bench_now() - began;
  dunlin_store_doc_mode(f->devices->handle, DUNLIN_DURABLE);
  return error;
}

static int reopen_store(void *ctx, double *ms) {
  struct fleet *f = ctx;
  struct device *d = f->devices;
  struct dunlin_store_options options = dunlin_store_defaults();
  char key[512];
  snprintf(key, sizeof key, "%s/0.key", f->root);
  options.key.key_file = key;
  dunlin_store_doc_close(d->handle);
  d->handle = NULL;
  int error = dunlin_store_close(d->store);
  d->store = NULL;
  double began = bench_now();
  if (!error) error = dunlin_store_open(d->dir, &options, &d->store, NULL);
  *ms = bench_now() - began;
  if (!error) error = dunlin_store_doc_open(d->store, &f->space, dunlin_key("bench"), 0, &d->handle);
  if (!error) d->doc = dunlin_store_doc_get(d->handle);
  return error;
}

static int reopen_doc(void *ctx, double *ms) {
  struct fleet *f = ctx;
  struct device *d = f->devices;
  size_t changes = dunlin_doc_changes(d->doc);
  dunlin_store_doc_close(d->handle);
  d->handle = NULL;
  double began = bench_now();
  int error = dunlin_store_doc_open(d->store, &f->space, dunlin_key("bench"), 0, &d->handle);
  *ms = bench_now() - began;
  if (error) return error;
  d->doc = dunlin_store_doc_get(d->handle);
  return dunlin_doc_changes(d->doc) == changes ? 0 : DUNLIN_EREFUSED;
}

static int time_dunlin(struct bench *b) {
  struct fleet f;
  double ignored;
  int error = fleet_make(&f, b, 1);
  if (!error) error = bench_time(b, "one-change", "durable_commit", durable_commit, &f);
  if (!error) error = bench_time(b, "10k-changes", "group_commit", group_commit, &f);
  for (int i = 0; i < (b->quick ? 0 : 10) && !error; i++) error = group_commit(&f, &ignored);
  char name[32];
  size_t changes = error ? 0 : dunlin_doc_changes(f.devices->doc);
  snprintf(name, sizeof name, "%zu-changes", changes);
  if (!error) bench_size(b, name, "disk_bytes", (size_t)directory_bytes(f.devices->dir));
  if (!error) error = bench_time(b, name, "open_store", reopen_store, &f);
  if (!error) error = bench_time(b, name, "open_document", reopen_doc, &f);
  if (error) bench_wrong(b, "dunlin", "a store", error);
  fleet_free(&f);
  return error;
}

/* ---- Bare LMDB ---------------------------------------------------------------------------------------------- */

struct bare {
  MDB_env *env;
  MDB_dbi dbi;
  uint64_t next;
  void *sqlite, *insert;
};

static int lmdb_put(struct bare *l, size_t count) {
  MDB_txn *txn = NULL;
  uint8_t record[RECORD] = {7}, key[8];
  int rc = mdb_txn_begin(l->env, NULL, 0, &txn);
  for (size_t i = 0; i < count && !rc; i++) {
    uint64_t n = ++l->next;
    for (int k = 7; k >= 0; k--, n >>= 8) key[k] = (uint8_t)n;
    MDB_val k = {sizeof key, key}, v = {sizeof record, record};
    rc = mdb_put(txn, l->dbi, &k, &v, MDB_APPEND);
  }
  if (!rc) return mdb_txn_commit(txn) ? DUNLIN_EIO : 0;
  if (txn) mdb_txn_abort(txn);
  return DUNLIN_EIO;
}

static int lmdb_one(void *ctx, double *ms) {
  int error = 0;
  double began = bench_now();
  for (int i = 0; i < COMMITS && !error; i++) error = lmdb_put(ctx, 1);
  *ms = (bench_now() - began) / COMMITS;
  return error;
}

static int lmdb_group(void *ctx, double *ms) {
  double began = bench_now();
  int error = lmdb_put(ctx, GROUP);
  *ms = bench_now() - began;
  return error;
}

static int time_lmdb(struct bench *b) {
  struct bare l = {.next = 0};
  MDB_txn *txn = NULL;
  char dir[512];
  int error = make_dir(b, dir);
  if (!error && (mdb_env_create(&l.env) || mdb_env_set_mapsize(l.env, (size_t)256 << 20) ||
                 mdb_env_open(l.env, dir, MDB_NOTLS, 0600) || mdb_txn_begin(l.env, NULL, 0, &txn) ||
                 mdb_dbi_open(txn, NULL, 0, &l.dbi) || mdb_txn_commit(txn)))
    error = bench_wrong(b, "lmdb", "opening", DUNLIN_EIO);
  if (!error) error = bench_time_peer(b, "one-change", "lmdb", "durable_commit", lmdb_one, &l);
  if (!error) error = bench_time_peer(b, "10k-changes", "lmdb", "group_commit", lmdb_group, &l);
  if (l.env) mdb_env_close(l.env);
  directory_remove(dir);
  return error;
}

/* ---- SQLite ------------------------------------------------------------------------------------------------- */

#ifdef BENCH_SQLITE
static int sqlite_insert(struct bare *s) {
  uint8_t record[RECORD] = {7};
  sqlite3_bind_blob(s->insert, 1, record, sizeof record, SQLITE_TRANSIENT);
  int done = sqlite3_step(s->insert) == SQLITE_DONE;
  return sqlite3_reset(s->insert) || !done ? DUNLIN_EIO : 0;
}

static int sqlite_one(void *ctx, double *ms) {
  int error = 0;
  double began = bench_now();
  for (int i = 0; i < COMMITS && !error; i++) error = sqlite_insert(ctx);
  *ms = (bench_now() - began) / COMMITS;
  return error;
}

static int sqlite_group(void *ctx, double *ms) {
  struct bare *s = ctx;
  double began = bench_now();
  int error = sqlite3_exec(s->sqlite, "BEGIN", NULL, NULL, NULL) ? DUNLIN_EIO : 0;
  for (int i = 0; i < GROUP && !error; i++) error = sqlite_insert(s);
  if (!error && sqlite3_exec(s->sqlite, "COMMIT", NULL, NULL, NULL)) error = DUNLIN_EIO;
  *ms = bench_now() - began;
  return error;
}

static int time_sqlite(struct bench *b) {
  static const char set_up[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                               "CREATE TABLE changes (n INTEGER PRIMARY KEY, bytes BLOB);";
  struct bare s = {.next = 0};
  sqlite3 *db = NULL;
  sqlite3_stmt *insert = NULL;
  char dir[512], path[600];
  int error = make_dir(b, dir);
  snprintf(path, sizeof path, "%s/db", dir);
  if (!error && (sqlite3_open(path, &db) || sqlite3_exec(db, set_up, NULL, NULL, NULL) ||
                 sqlite3_prepare_v2(db, "INSERT INTO changes (bytes) VALUES (?)", -1, &insert, NULL)))
    error = bench_wrong(b, "sqlite", "opening", DUNLIN_EIO);
  s.sqlite = db;
  s.insert = insert;
  if (!error) error = bench_time_peer(b, "one-change", "sqlite-wal-full", "durable_commit", sqlite_one, &s);
  if (!error) error = bench_time_peer(b, "10k-changes", "sqlite-wal-full", "group_commit", sqlite_group, &s);
  sqlite3_finalize(insert);
  sqlite3_close(db);
  directory_remove(dir);
  return error;
}
#else
static int time_sqlite(struct bench *b) {
  bench_note(b, "store: built without SQLite (libsqlite3-dev): left out");
  return 0;
}
#endif

int suite_store(struct bench *b) {
  bench_note(b, "store: the peers write 100 bytes in clear; dunlin makes, hashes, signs, seals and stores a change");
  int error = time_dunlin(b);
  if (!error) error = time_lmdb(b);
  return error ? error : time_sqlite(b);
}
