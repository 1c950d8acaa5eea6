#include "persist/seal.h"

#include <sodium.h>
#include <string.h>
#include <zstd.h>

#include "persist/hash.h"

#define VERSION 1
#define SALT_LEN 24u
#define COMMITMENT_LEN 32u
#define TAG_LEN 16u
#define PREFIX_LEN (SEAL_HEADER_LEN + SALT_LEN + COMMITMENT_LEN) /* all that is authenticated but not encrypted */
#define SIGNATURE_LEN 64u
#define BODY_HEADER_LEN (SIGNATURE_LEN + 9u) /* signature, two lengths, codec */
#define BODY_MIN 256u
#define ZSTD_LEVEL 3

enum codec { CODEC_STORED = 0, CODEC_ZSTD = 1 };

_Static_assert(PREFIX_LEN + TAG_LEN == SEAL_OVERHEAD, "the parts make up the overhead");

/* ---- Chain and keys ----------------------------------------------------------------------------------------- */

struct dunlin_id chain_start(const struct log_name *log) {
  struct dunlin_id start;
  HASH_PARTS(start.bytes, sizeof start.bytes, NULL, "dunlin.log.1", {log->space.bytes, 32}, {log->device.bytes, 32},
             {log->actor.bytes, 16}, {&log->lane, 1});
  return start;
}

struct dunlin_id chain_next(const struct dunlin_id *previous, const struct dunlin_id *change, const uint8_t *heads,
                            size_t heads_len) {
  struct dunlin_id next;
  HASH_PARTS(next.bytes, sizeof next.bytes, NULL, "dunlin.entry.1", {previous->bytes, 32}, {change->bytes, 32},
             {heads, heads_len});
  return next;
}

/* The first bytes of a 32-byte hash. */
static void tag(uint8_t *out, size_t len, const uint8_t key[32], const struct dunlin_id *of) {
  uint8_t whole[32];
  HASH_PARTS(whole, sizeof whole, key, "dunlin.tag.1", {of->bytes, 32});
  memcpy(out, whole, len);
}

void log_keys_derive(struct log_keys *out, const struct space_keys *space, const struct log_name *log) {
  struct dunlin_id start = chain_start(log);
  HASH_PARTS(out->key, sizeof out->key, space->epoch_key, "dunlin.logkey.1", {log->space.bytes, 32},
             {space->epoch.bytes, 32}, {log->actor.bytes, 16}, {&log->lane, 1});
  tag(out->space_tag, sizeof out->space_tag, space->routing, &log->space);
  tag(out->epoch_tag, sizeof out->epoch_tag, space->routing, &space->epoch);
  tag(out->log_tag, sizeof out->log_tag, out->key, &start);
}

/* The key that encrypts one run, and the commitment to it and to everything it was derived from. */
static void run_key(uint8_t key[32], uint8_t commitment[COMMITMENT_LEN], const uint8_t log_key[32],
                    const uint8_t *header_and_salt) {
  uint8_t both[64];
  HASH_PARTS(both, sizeof both, log_key, "dunlin.seal.1", {header_and_salt, SEAL_HEADER_LEN + SALT_LEN});
  memcpy(key, both, 32);
  memcpy(commitment, both + 32, COMMITMENT_LEN);
  sodium_memzero(both, sizeof both);
}

/* What a head's signature is over. */
#define SIGNED_LABEL "dunlin head 1"
#define SIGNED_LEN (13u + 32 + 16 + 1 + 8 + 32)
static void signed_bytes(uint8_t out[SIGNED_LEN], const struct log_name *log, uint64_t n, const struct dunlin_id *tip) {
  memcpy(out, SIGNED_LABEL, 13);
  memcpy(out + 13, log->space.bytes, 32);
  memcpy(out + 45, log->actor.bytes, 16);
  out[61] = log->lane;
  put_be64(out + 62, n);
  memcpy(out + 70, tip->bytes, 32);
}

static void head_sign(uint8_t signature[SIGNATURE_LEN], const struct log_name *log, uint64_t n,
                      const struct dunlin_id *tip, const uint8_t sign_key[64]) {
  uint8_t message[SIGNED_LEN];
  signed_bytes(message, log, n, tip);
  crypto_sign_detached(signature, NULL, message, sizeof message, sign_key);
}

int seal_check_signature(const struct log_keys *keys, const struct log_name *log, const struct seal_header *header,
                         const struct dunlin_id *tip, const uint8_t signature[64]) {
  uint8_t tip_tag[sizeof header->tip_tag], message[SIGNED_LEN];
  tag(tip_tag, sizeof tip_tag, keys->key, tip);
  if (header->lane != log->lane || sodium_memcmp(tip_tag, header->tip_tag, sizeof tip_tag)) return DUNLIN_EAUTH;
  signed_bytes(message, log, header->first + header->count - 1, tip);
  if (crypto_sign_verify_detached(signature, message, sizeof message, log->device.bytes)) return DUNLIN_EAUTH;
  return 0;
}

/* ---- The clear header --------------------------------------------------------------------------------------- */

size_t seal_padded(size_t len) {
  if (len <= BODY_MIN) return BODY_MIN;
  size_t mask = 63;
  if (len > 1024) { /* Padme: the length keeps as many significant bits as its exponent needs */
    unsigned exponent = 63u - (unsigned)__builtin_clzll(len);
    unsigned kept = 32u - (unsigned)__builtin_clz(exponent);
    mask = ((size_t)1 << (exponent - kept)) - 1;
  }
  return (len + mask) & ~mask;
}

static void header_write(uint8_t out[SEAL_HEADER_LEN], const struct log_keys *keys, const struct log_name *log,
                         uint64_t first, uint32_t count, const struct dunlin_id *tip) {
  out[0] = VERSION;
  out[1] = log->lane;
  memcpy(out + 2, keys->space_tag, 8);
  memcpy(out + 10, keys->log_tag, 8);
  memcpy(out + 18, keys->epoch_tag, 4);
  put_be64(out + 22, first);
  put_be32(out + 30, count);
  tag(out + 34, 12, keys->key, tip);
}

/* Whether entries first..first+count-1 exist. */
static bool range_valid(uint64_t first, uint32_t count) {
  return first && count && first <= UINT64_MAX - count;
}

int seal_header_read(const void *sealed, size_t len, struct seal_header *out) {
  const uint8_t *at = sealed;
  if (len < SEAL_OVERHEAD + BODY_MIN || len > DUNLIN_MAX_SEALED) return DUNLIN_EFORMAT;
  if (seal_padded(len - SEAL_OVERHEAD) != len - SEAL_OVERHEAD) return DUNLIN_EFORMAT;
  if (at[0] != VERSION || at[1] > LANE_BULK) return DUNLIN_EFORMAT;
  struct seal_header header = {.lane = at[1], .first = get_be64(at + 22), .count = get_be32(at + 30)};
  if (!range_valid(header.first, header.count)) return DUNLIN_EFORMAT;
  memcpy(header.space_tag, at + 2, 8);
  memcpy(header.log_tag, at + 10, 8);
  memcpy(header.epoch_tag, at + 18, 4);
  memcpy(header.tip_tag, at + 34, 12);
  *out = header;
  return 0;
}

/* ---- Sealing ------------------------------------------------------------------------------------------------ */

/* Compresses `raw` into `out` when that ends in a smaller bucket; otherwise leaves `out` empty.  A run of a few changes
 * fits the smallest bucket as it is and skips the compressor. */
static int compress(struct buf *out, struct dunlin_bytes raw) {
  size_t bucket = seal_padded(BODY_HEADER_LEN + raw.len);
  if (bucket == BODY_MIN) return 0;
  uint8_t *room = buf_extend(out, raw.len);
  if (!room) return out->error;
  size_t len = ZSTD_compress(room, raw.len, raw.data, raw.len, ZSTD_LEVEL);
  bool smaller = !ZSTD_isError(len) && seal_padded(BODY_HEADER_LEN + len) < bucket;
  out->len = smaller ? len : 0; /* an error is most often: would have been longer */
  return 0;
}

/* Frees a buffer of plaintext without leaving it behind. */
static void free_secret(struct buf *buf) {
  if (buf->data) sodium_memzero(buf->data, buf->cap);
  buf_free(buf);
}

static void body_write(uint8_t *body, size_t body_len, const uint8_t signature[64], struct dunlin_bytes data,
                       size_t raw_len, enum codec codec) {
  memcpy(body, signature, SIGNATURE_LEN);
  put_be32(body + 64, (uint32_t)data.len);
  put_be32(body + 68, (uint32_t)raw_len);
  body[72] = (uint8_t)codec;
  memcpy(body + BODY_HEADER_LEN, data.data, data.len);
  memset(body + BODY_HEADER_LEN + data.len, 0, body_len - BODY_HEADER_LEN - data.len);
}

/* The salt hashes what is sealed next to the randomness, so that two stores that draw the same "random" bytes (a copied
 * machine) still never encrypt two bodies under one key. */
static int salt_make(uint8_t salt[SALT_LEN], const struct dunlin_env *env, const uint8_t log_key[32],
                     const uint8_t header[SEAL_HEADER_LEN], struct dunlin_bytes body) {
  uint8_t random[SALT_LEN];
  if (env->random(env->ctx, random, sizeof random)) return DUNLIN_EIO;
  HASH_PARTS(salt, SALT_LEN, log_key, "dunlin.salt.1", {random, sizeof random}, {header, SEAL_HEADER_LEN}, body);
  return 0;
}

/* Encrypts the body that stands at its place in `sealed`, where the header is written too. */
static int encrypt(uint8_t *sealed, size_t body_len, const struct dunlin_env *env, const uint8_t log_key[32]) {
  uint8_t *body = sealed + PREFIX_LEN, *salt = sealed + SEAL_HEADER_LEN, *commitment = salt + SALT_LEN;
  static const uint8_t nonce[crypto_aead_chacha20poly1305_IETF_NPUBBYTES] = {0}; /* the key is used once */
  uint8_t key[32];
  int error = salt_make(salt, env, log_key, sealed, (struct dunlin_bytes){body, body_len});
  if (error) return error;
  run_key(key, commitment, log_key, sealed);
  crypto_aead_chacha20poly1305_ietf_encrypt(body, NULL, body, body_len, sealed, PREFIX_LEN, NULL, nonce, key);
  sodium_memzero(key, sizeof key);
  return 0;
}

int seal_run(struct buf *out, const struct log_keys *keys, const struct log_name *log, uint64_t first, uint32_t count,
             const struct dunlin_id *tip, const uint8_t sign_key[64], struct dunlin_bytes raw) {
  if (!raw.len || !range_valid(first, count) || log->lane > LANE_BULK) return DUNLIN_EINVAL;
  if (raw.len > DUNLIN_MAX_RAW) return DUNLIN_ELIMIT;

  struct buf packed;
  struct dunlin_bytes data = raw;
  size_t start = out->len, body_len = 0;
  uint8_t *sealed = NULL, signature[SIGNATURE_LEN];
  buf_init(&packed, out->env, DUNLIN_MAX_RAW);
  int error = compress(&packed, raw);
  if (error) goto out;
  if (packed.len) data = (struct dunlin_bytes){packed.data, packed.len};
  body_len = seal_padded(BODY_HEADER_LEN + data.len);
  error = DUNLIN_ELIMIT;
  if (body_len + SEAL_OVERHEAD > DUNLIN_MAX_SEALED) goto out;
  sealed = buf_extend(out, body_len + SEAL_OVERHEAD);
  error = out->error;
  if (error) goto out;

  header_write(sealed, keys, log, first, count, tip);
  head_sign(signature, log, first + count - 1, tip, sign_key);
  body_write(sealed + PREFIX_LEN, body_len, signature, data, raw.len, packed.len ? CODEC_ZSTD : CODEC_STORED);
  error = encrypt(sealed, body_len, out->env, keys->key);
  if (error) {
    sodium_memzero(sealed, body_len + SEAL_OVERHEAD);
    out->len = start;
  }
out:
  free_secret(&packed);
  return error;
}

/* ---- Opening ------------------------------------------------------------------------------------------------ */

static bool all_zero(const uint8_t *at, size_t len) {
  return len == 0 || sodium_is_zero(at, len);
}

/* Unpacks an authenticated body.  Its author may be malicious, so every length is checked before it is used: the data
 * must fill the body's bucket, and a compressed run must be one zstd frame that declares exactly the raw length. */
static int body_read(struct buf *raw, const uint8_t *body, size_t body_len) {
  size_t data_len = get_be32(body + 64), raw_len = get_be32(body + 68);
  const uint8_t *data = body + BODY_HEADER_LEN;
  if (raw_len > DUNLIN_MAX_RAW) return DUNLIN_ELIMIT;
  if (!raw_len || data_len > body_len - BODY_HEADER_LEN) return DUNLIN_EFORMAT;
  if (seal_padded(BODY_HEADER_LEN + data_len) != body_len) return DUNLIN_EFORMAT;
  if (!all_zero(data + data_len, body_len - BODY_HEADER_LEN - data_len)) return DUNLIN_EFORMAT;

  if (body[72] == CODEC_STORED) {
    if (data_len != raw_len) return DUNLIN_EFORMAT;
    buf_append(raw, data, data_len);
    return raw->error;
  }
  if (body[72] != CODEC_ZSTD || data_len >= raw_len) return DUNLIN_EFORMAT;
  if (ZSTD_findFrameCompressedSize(data, data_len) != data_len) return DUNLIN_EFORMAT;
  if (ZSTD_getFrameContentSize(data, data_len) != raw_len) return DUNLIN_EFORMAT;
  uint8_t *room = buf_extend(raw, raw_len);
  if (!room) return raw->error;
  if (ZSTD_decompress(room, raw_len, data, data_len) == raw_len) return 0;
  sodium_memzero(room, raw_len);
  raw->len = 0;
  return DUNLIN_EFORMAT;
}

static int check_keys(const struct log_keys *keys, const struct seal_header *header) {
  int differ = sodium_memcmp(keys->space_tag, header->space_tag, sizeof header->space_tag) |
               sodium_memcmp(keys->log_tag, header->log_tag, sizeof header->log_tag) |
               sodium_memcmp(keys->epoch_tag, header->epoch_tag, sizeof header->epoch_tag);
  return differ ? DUNLIN_EAUTH : 0;
}

static int decrypt(uint8_t *body, size_t body_len, const uint8_t *sealed, const uint8_t log_key[32]) {
  static const uint8_t nonce[crypto_aead_chacha20poly1305_IETF_NPUBBYTES] = {0};
  uint8_t key[32], commitment[COMMITMENT_LEN];
  run_key(key, commitment, log_key, sealed);
  int error = sodium_memcmp(commitment, sealed + SEAL_HEADER_LEN + SALT_LEN, COMMITMENT_LEN) ? DUNLIN_EAUTH : 0;
  if (!error && crypto_aead_chacha20poly1305_ietf_decrypt(body, NULL, NULL, sealed + PREFIX_LEN, body_len + TAG_LEN,
                                                          sealed, PREFIX_LEN, nonce, key))
    error = DUNLIN_EAUTH;
  sodium_memzero(key, sizeof key);
  return error;
}

int seal_open(struct buf *raw, const struct log_keys *keys, const void *sealed, size_t len, uint8_t signature[64]) {
  struct seal_header header;
  int error = seal_header_read(sealed, len, &header);
  if (error) return error;
  error = check_keys(keys, &header);
  if (error) return error;

  size_t body_len = len - SEAL_OVERHEAD;
  uint8_t *body = env_alloc(raw->env, body_len);
  if (!body) return DUNLIN_ENOMEM;
  error = decrypt(body, body_len, sealed, keys->key);
  if (error) goto out;
  buf_clear(raw);
  error = body_read(raw, body, body_len);
  if (!error) memcpy(signature, body, SIGNATURE_LEN);
out:
  sodium_memzero(body, body_len);
  env_free(raw->env, body, body_len);
  return error;
}
