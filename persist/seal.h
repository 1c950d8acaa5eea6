/* Sealed runs: consecutive entries of one log, compressed, signed, encrypted under the space's key.
 *
 *   entry    e_0 = H256("dunlin.log.1", sid | device | actor | lane)
 *            e_n = H256("dunlin.entry.1", e_{n-1} | change id | membership heads)
 *   head     sig = Ed25519("dunlin head 1" | sid | actor | lane | u64 n | e_n)
 *   key      K_log = H256(key = K_epoch, "dunlin.logkey.1", sid | epoch | actor | lane)
 *   sealed   HDR | r | com | ChaCha20-Poly1305-IETF(k, nonce 0, ad = HDR | r | com, P)
 *   P        sig | u32 data length | u32 raw length | codec | data | zeros to the bucket
 *
 * Entries are numbered from 1; e_0 is the log's name.  docs/format.md has every byte.  The key commitment `com` makes
 * it impossible to craft one ciphertext that opens under two keys. */
#ifndef PERSIST_SEAL_H
#define PERSIST_SEAL_H

#include "crdt/buf.h"

#include <dunlin/limits.h>

enum lane { LANE_URGENT = 0, LANE_NORMAL = 1, LANE_BULK = 2 };

/* Which log: fixed for its life. */
struct log_name {
  struct dunlin_id space, device; /* device: Ed25519 public key */
  struct dunlin_actor actor;
  uint8_t lane;
};

struct space_keys {
  uint8_t routing[32]; /* belongs to the space for ever: tags */
  struct dunlin_id epoch;
  uint8_t epoch_key[32];
};

/* Keys and tags of one log in one epoch, derived once. */
struct log_keys {
  uint8_t key[32]; /* K_log */
  uint8_t space_tag[8], log_tag[8], epoch_tag[4];
};
void log_keys_derive(struct log_keys *out, const struct space_keys *space, const struct log_name *log);

/* e_0 and e_n.  `heads` is the concatenation of the membership heads, 32 bytes each, sorted. */
struct dunlin_id chain_start(const struct log_name *log);
struct dunlin_id chain_next(const struct dunlin_id *previous, const struct dunlin_id *change, const uint8_t *heads,
                            size_t heads_len);

/* The clear header. */
struct seal_header {
  uint8_t lane;
  uint8_t space_tag[8], log_tag[8], epoch_tag[4];
  uint64_t first; /* number of the first entry */
  uint32_t count;
  uint8_t tip_tag[12];
};
#define SEAL_HEADER_LEN 46u
#define SEAL_OVERHEAD 118u /* header, salt, commitment, tag */
/* DUNLIN_EFORMAT: too short or long, unknown version or lane, first 0, count 0 or first + count overflows. */
int seal_header_read(const void *sealed, size_t len, struct seal_header *out);

/* Seals `raw` (the run's data, at most DUNLIN_MAX_RAW) as entries first..first+count-1 whose last chain value is `tip`;
 * signs with `sign_key` (Ed25519 secret key, 64 bytes).  Appends to `out`.  DUNLIN_ELIMIT when the result is over
 * DUNLIN_MAX_SEALED, DUNLIN_EIO when there is no randomness, DUNLIN_ENOMEM. */
int seal_run(struct buf *out, const struct log_keys *keys, const struct log_name *log, uint64_t first, uint32_t count,
             const struct dunlin_id *tip, const uint8_t sign_key[64], struct dunlin_bytes raw);

/* Opens: checks header against keys, commitment, tag, zeros, lengths; gives the raw data (the caller frees it with
 * buf_free) and the signature, which the caller checks with seal_check_signature() once it has computed the tip from
 * the raw data.  DUNLIN_EFORMAT: not a sealed run.  DUNLIN_EAUTH: does not open.  DUNLIN_ELIMIT: declares too much. */
int seal_open(struct buf *raw, const struct log_keys *keys, const void *sealed, size_t len, uint8_t signature[64]);

/* 0 or DUNLIN_EAUTH: the signature by log->device over entry `n` with chain value `tip`, and the header's tip tag. */
int seal_check_signature(const struct log_keys *keys, const struct log_name *log, const struct seal_header *header,
                         const struct dunlin_id *tip, const uint8_t signature[64]);

/* Size that a body of `len` bytes is padded to: 256, then multiples of 64 to 1 KiB, then Padme. */
size_t seal_padded(size_t len);

#endif
