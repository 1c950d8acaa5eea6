/* Where sealed bytes lie: one LMDB environment with two tables, full sync always.
 *
 *   runs   u64 big-endian arrival number, from 1 without gaps -> a sealed run, exactly as it is exchanged
 *   meta   type byte and ids -> a small record, sealed by the vault
 *
 * Nothing here knows what the bytes mean.  Every function may be called from any thread.  Errors: DUNLIN_ENOSPC,
 * DUNLIN_EIO, DUNLIN_ECORRUPT, DUNLIN_ENOMEM, and what the callbacks return. */
#ifndef PERSIST_STORAGE_LMDB_H
#define PERSIST_STORAGE_LMDB_H

#include "crdt/env.h"

struct storage;
struct storage_txn;

/* Address space that a new environment maps at first; it doubles when it is full. */
#define STORAGE_MAP_SIZE ((size_t)64 << 20)

/* Opens the environment in `dir`, or (`create`) makes what is missing of it.  The caller has checked data.mdb
 * (pagecheck.h).  DUNLIN_ECORRUPT when a table is missing. */
int storage_open(const struct dunlin_env *env, const char *dir, size_t map_size, bool create, struct storage **out);
void storage_close(struct storage *storage);

/* Runs `work` in a transaction.  A writing one is committed when `work` returns 0 or more, and durable when this
 * returns; it excludes all other writers, those of other processes too.  `work` is called again from the start when the
 * map had to grow, so it must not keep what it did before.  No lock that is held while calling here may be taken inside
 * `work`. */
typedef int storage_work(void *ctx, struct storage_txn *txn);
int storage_read(struct storage *storage, storage_work *work, void *ctx);
int storage_write(struct storage *storage, storage_work *work, void *ctx);

/* A number that grows with every commit of any process.  Cheap: no transaction.  A transaction that begins now may
 * still show the version before, since LMDB writes its meta page before it lets readers use it; ask the transaction
 * what it shows. */
uint64_t storage_version(struct storage *storage);
uint64_t storage_txn_version(struct storage_txn *txn);

/* Inside a transaction; bytes that are given out are borrowed until it ends or writes. */
int storage_last_run(struct storage_txn *txn, uint64_t *arrival);                         /* 0 when there is none */
int storage_get_run(struct storage_txn *txn, uint64_t arrival, struct dunlin_bytes *out); /* DUNLIN_ENOENT */
int storage_add_run(struct storage_txn *txn, uint64_t arrival, struct dunlin_bytes sealed);
int storage_get_meta(struct storage_txn *txn, struct dunlin_bytes key, struct dunlin_bytes *out); /* DUNLIN_ENOENT */
int storage_put_meta(struct storage_txn *txn, struct dunlin_bytes key, struct dunlin_bytes value);
int storage_drop_meta(struct storage_txn *txn, struct dunlin_bytes key); /* absent is fine */

/* Each run from arrival number `from` on, each record; a result other than 0 ends the walk with that result.  `each`
 * must not write. */
typedef int storage_each(void *ctx, struct dunlin_bytes key, struct dunlin_bytes value);
int storage_each_run(struct storage_txn *txn, uint64_t from, storage_each *each, void *ctx);
int storage_each_meta(struct storage_txn *txn, storage_each *each, void *ctx);

#endif
