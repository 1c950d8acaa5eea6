/* What a node needs of a store, and nothing else: identity, common spaces, membership, log tips, runs.
 *
 * Private to the library (transport/ calls it; it is not installed).  Every function may be called from any thread.
 * Buffers: `struct buf *` parameters are initialised by the caller, and what they held is replaced. */
#ifndef PERSIST_EXCHANGE_H
#define PERSIST_EXCHANGE_H

#include <dunlin/space.h>

#include "crdt/buf.h"
#include "persist/seal.h"

/* ---- Identity ----------------------------------------------------------------------------------------------- */

struct exchange_identity {
  struct dunlin_id device;                    /* Ed25519 public key */
  uint8_t noise_public[32], noise_secret[32]; /* X25519 */
  uint8_t contact[32];                        /* the psk for those who call this device */
  char name[DUNLIN_MAX_NAME + 1];
};
const struct dunlin_env *exchange_env(dunlin_store *store);
void exchange_identity(dunlin_store *store, struct exchange_identity *out); /* caller wipes */
/* Ed25519 by the device key over "dunlin peer 1" | data. */
void exchange_sign(dunlin_store *store, struct dunlin_bytes data, uint8_t signature[64]);
int exchange_check_signature(const struct dunlin_id *device, struct dunlin_bytes data, const uint8_t signature[64]);

/* Device `i` that shares a space with this one (each once, in the order of ids): its id and contact key, and the X25519
 * key it was granted with.  DUNLIN_ENOENT past the last. */
struct exchange_device {
  struct dunlin_id device;
  uint8_t noise_public[32], contact[32];
  char name[DUNLIN_MAX_NAME + 1];
};
int exchange_device(dunlin_store *store, size_t i, struct exchange_device *out);

/* ---- Invitations and membership ----------------------------------------------------------------------------- */

/* Secrets under which a stranger may call: of all open invitations that have not expired at `now`.  Returns the
 * count. */
size_t exchange_invitation_secrets(dunlin_store *store, int64_t now, uint8_t (*out)[32], size_t max);

/* Host, when the third handshake message of a guest has verified under `secret`: consumes the invitation, durably, in
 * the name of `guest_noise`.  The same guest may come again with it (its first try was cut off); anyone else gets
 * DUNLIN_EUSED.  DUNLIN_EEXPIRED, DUNLIN_ENOENT. */
int exchange_invitation_consume(dunlin_store *store, const uint8_t secret[32], const uint8_t guest_noise[32],
                                int64_t now, struct dunlin_id *space);

/* Host: makes `guest` a writer of the space (nothing new when it is one), durably, and writes the welcome: space name,
 * keys, all membership operations. */
int exchange_admit(dunlin_store *store, const struct dunlin_id *space, const struct exchange_device *guest,
                   struct buf *welcome);
/* Guest: checks and stores a welcome, durably.  `alias` NULL: the owner's, made unique by a number.  The space counts
 * as the same when it is known already. */
int exchange_accept(dunlin_store *store, struct dunlin_bytes welcome, const char *alias, struct dunlin_id *space);

/* All membership operations of a space as one message, and taking such a message in (signed operations; those that are
 * known are skipped; an invalid one refuses the message with DUNLIN_EAUTH or DUNLIN_EFORMAT).  Returns 1 when something
 * was new. */
int exchange_members_write(dunlin_store *store, const struct dunlin_id *space, struct buf *out);
int exchange_members_read(dunlin_store *store, const struct dunlin_id *space, struct dunlin_bytes message);

/* Space `i` that this device and `peer` are both members of, in the order of ids.  DUNLIN_ENOENT past the last. */
int exchange_common_space(dunlin_store *store, const struct dunlin_id *peer, size_t i, struct dunlin_id *space);
/* Hash of the sorted membership operation ids of a space. */
int exchange_members_hash(dunlin_store *store, const struct dunlin_id *space, struct dunlin_id *out);

/* ---- Logs and runs ------------------------------------------------------------------------------------------ */

/* A branch of a log.  There is one, unless the log's author was copied or cheats; see index.h. */
struct exchange_log {
  struct log_name name;
  struct dunlin_id branch; /* names it in this store, and nowhere else */
  uint64_t count;          /* number of its last entry */
  struct dunlin_id tip;    /* the chain value of that; e_0 when count is 0 */
};
/* All branches of the logs of a space, in the order of (lane, device, actor, tip); the caller frees them with
 * env_free(). */
int exchange_logs(dunlin_store *store, const struct dunlin_id *space, struct exchange_log **out, size_t *count);
/* The `i`th of them.  DUNLIN_ENOENT past the last. */
int exchange_log(dunlin_store *store, const struct dunlin_id *space, size_t i, struct exchange_log *out);
/* The log of that name: its first branch; DUNLIN_ENOENT when this store has nothing of it. */
int exchange_log_find(dunlin_store *store, const struct log_name *name, struct exchange_log *out);
/* Whether it is a log of this device. */
bool exchange_is_own(dunlin_store *store, const struct log_name *name);
/* How many branches this store has of a log. */
size_t exchange_branches(dunlin_store *store, const struct log_name *name);
/* The chain value of entry `n` in the past of a branch (NULL: the first); DUNLIN_ENOENT when it has no such entry. */
int exchange_entry(dunlin_store *store, const struct log_name *name, const struct dunlin_id *branch, uint64_t n,
                   struct dunlin_id *out);

/* The stored run that holds entry `n` (1 is the first) in the past of a branch (NULL: the first): its sealed bytes, and
 * up to which entry of that past it reaches (NULL: not wanted).  DUNLIN_ENOENT. */
int exchange_branch_run(dunlin_store *store, const struct log_name *name, const struct dunlin_id *branch, uint64_t n,
                        struct buf *sealed, uint64_t *reaches);
/* The same of the first branch. */
int exchange_run(dunlin_store *store, const struct log_name *name, uint64_t n, struct buf *sealed);

/* Takes `count` sealed runs of one log in, in order, and returns when they are durable.  Each is opened and its chain,
 * signature, author's membership, change ids and form are checked before anything is written; runs that are held
 * already are skipped.  One that goes on from the middle of what is held begins a branch, which is kept beside the
 * others and reported to the log of the environment; one of this device's own log tells that this store was copied or
 * set back: from then on its documents write under a new actor.  Returns the number of runs that were new.  All or
 * nothing; only what lies before a run that begins inside the one before it may have been stored.  DUNLIN_EAUTH,
 * DUNLIN_EFORMAT; DUNLIN_ENOENT: a gap before the first; DUNLIN_ELIMIT: one branch too many; DUNLIN_ENOSPC,
 * DUNLIN_EIO. */
int exchange_ingest(dunlin_store *store, const struct log_name *name, const struct dunlin_bytes *runs, size_t count);

/* `peer` has told that it holds the past of entry `n` of a branch durably: kept, durably but not at once. */
void exchange_acknowledged(dunlin_store *store, const struct dunlin_id *peer, const struct dunlin_id *branch,
                           uint64_t n);
/* Entries of all logs of common spaces that `peer` has not acknowledged. */
uint64_t exchange_unacknowledged(dunlin_store *store, const struct dunlin_id *peer);

/* A number that grows whenever what is told here about logs or membership changes. */
uint64_t exchange_version(dunlin_store *store);

/* ---- Being told --------------------------------------------------------------------------------------------- */

/* `wake` is called, from any thread and with no lock held by the caller's code, after something new became durable here
 * by whatever thread of this process; at most 8 at a time (DUNLIN_EBUSY).  For other processes' commits call
 * exchange_refresh() from time to time, or watch exchange_wake_path() for writes: it returns 1 when there was something
 * new. */
int exchange_subscribe(dunlin_store *store, void (*wake)(void *ctx), void *ctx);
void exchange_unsubscribe(dunlin_store *store, void (*wake)(void *ctx), void *ctx);
int exchange_refresh(dunlin_store *store);
const char *exchange_wake_path(dunlin_store *store);

#endif
