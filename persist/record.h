/* Small local records, each sealed by the vault under its key: what a store knows beside the runs.
 *
 *   key                            value (msgpack)
 *   'd'                            [sign secret bin64, noise secret bin32, contact key bin32, name str] this device
 *   's' space id 32                a space, see member.h
 *   'l' e_0 of the log 32          [space bin32, device bin32, actor bin16, lane]            a known log
 *   'w' slot 1                     [actor bin16]                                             a writer slot
 *   'i' hash of the secret 32      [secret bin32, space bin32, expires int, guest's noise key] an invitation
 *   'a' peer 32, branch 32         [entries]                                                 acknowledged
 *   'p' arrival number u64         [arrival number of a run, entry]                          what a run continues
 *   'g'                            [n]  counts up whenever an 's', 'l', 'p' or 'w' changes: others look again
 *
 * A 'p' is there for a run that does not simply go on where the run of its log that arrived before it ends; see
 * index.h. */
#ifndef PERSIST_RECORD_H
#define PERSIST_RECORD_H

#include "persist/member.h"
#include "persist/storage_lmdb.h"
#include "persist/vault.h"

enum record_type {
  RECORD_DEVICE = 'd',
  RECORD_SPACE = 's',
  RECORD_LOG = 'l',
  RECORD_SLOT = 'w',
  RECORD_INVITATION = 'i',
  RECORD_ACK = 'a',
  RECORD_PARENT = 'p',
  RECORD_GENERATION = 'g',
};

struct records {
  const struct dunlin_env *env;
  const struct vault *vault;
};

#define RECORD_KEY_MAX 65u
struct record_key {
  uint8_t bytes[RECORD_KEY_MAX];
  size_t len;
};
/* The key of a type and up to two ids (NULL: none). */
struct record_key record_key(enum record_type type, const void *a, size_t a_len, const void *b, size_t b_len);

/* DUNLIN_ENOENT; DUNLIN_ECORRUPT when it does not open. */
int record_get(const struct records *records, struct storage_txn *txn, const struct record_key *key, struct buf *out);
int record_put(const struct records *records, struct storage_txn *txn, const struct record_key *key,
               const struct buf *plain);
/* Hands out every record of `type`, opened; of type 0: all. `out` is where they are opened, wiped by the caller. */
typedef int record_each_fn(void *ctx, struct dunlin_bytes key, struct dunlin_bytes plain);
int record_each(const struct records *records, struct storage_txn *txn, int type, record_each_fn *each, void *ctx);

int record_get_generation(const struct records *records, struct storage_txn *txn, uint64_t *out); /* 0: none yet */
int record_bump_generation(const struct records *records, struct storage_txn *txn);

int record_put_device(const struct records *records, struct storage_txn *txn, const struct device *device);
int record_get_device(const struct records *records, struct storage_txn *txn, struct device *out);
int record_put_space(const struct records *records, struct storage_txn *txn, const struct space *space);
int record_get_space(const struct records *records, struct storage_txn *txn, const struct dunlin_id *id,
                     struct space **out);
int record_put_log(const struct records *records, struct storage_txn *txn, const struct log_name *log);
int record_parse_log(struct dunlin_bytes plain, struct log_name *out);
/* DUNLIN_ENOENT: the slot has no actor yet. */
int record_get_slot(const struct records *records, struct storage_txn *txn, uint8_t slot, struct dunlin_actor *out);
int record_put_slot(const struct records *records, struct storage_txn *txn, uint8_t slot,
                    const struct dunlin_actor *actor);

/* Run number `arrival` continues entry `entry` of the branch in which run number `parent` is (0 and 0: the log's
 * beginning). */
struct parent_record {
  uint64_t arrival, parent, entry;
};
int record_put_parent(const struct records *records, struct storage_txn *txn, const struct parent_record *in);
int record_parse_parent(struct dunlin_bytes key, struct dunlin_bytes plain, struct parent_record *out);

struct invitation_record {
  uint8_t secret[32], guest[32]; /* guest: zeros while nobody has used it */
  struct dunlin_id space;
  int64_t expires;
};
struct record_key record_invitation_key(const struct records *records, const uint8_t secret[32]);
int record_get_invitation(const struct records *records, struct storage_txn *txn, const struct record_key *key,
                          struct invitation_record *out);
int record_put_invitation(const struct records *records, struct storage_txn *txn, const struct invitation_record *in);
int record_parse_invitation(struct dunlin_bytes plain, struct invitation_record *out);

#endif
