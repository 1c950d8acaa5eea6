/* A sealed run whose author holds the keys and is malicious: what seal_open() opens has exactly the lengths that it
 * declares, within the limits, fills its bucket with zeros and nothing else, and seals and opens again to the same;
 * what it refuses leaves nothing behind; and neither costs more memory than the body and what it declares.
 *
 * Input: flags, count, then the body that is encrypted here: signature, lengths, codec, data; or, without FLAG_ENCRYPT,
 * a sealed run as it is. */
#include <sodium.h>

#include "persist/hash.h"
#include "persist/seal.h"
#include "test/fault/seeded.h"
#include "test/fuzz/fuzz.h"

#define FLAG_ENCRYPT 1u /* the bytes are a body, and get a header and encryption that are right */
#define FLAG_PAD 2u     /* zeros up to the next bucket, so that lengths can be right */
#define FLAG_LENGTHS 4u /* the data length is that of the data */
#define FLAG_WIDE 8u    /* with FLAG_PAD: zeros up to the bucket after that */
#define BODY_HEADER 73u
#define PREFIX (SEAL_HEADER_LEN + 56u) /* header, salt, commitment */

static struct log_name log_name(void) {
  return (struct log_name){.space = {{1}}, .device = {{2}}, .actor = {{3}}, .lane = LANE_NORMAL};
}

static struct log_keys keys_of(const struct log_name *log) {
  struct space_keys space = {.routing = {4}, .epoch = {{5}}, .epoch_key = {6}};
  struct log_keys keys;
  log_keys_derive(&keys, &space, log);
  return keys;
}

/* As docs/format.md says, with a salt of zeros. */
static void encrypt(struct buf *out, const struct log_keys *keys, uint8_t count, const uint8_t *body, size_t len) {
  static const uint8_t nonce[12];
  uint8_t both[64];
  uint8_t *at = buf_extend(out, len + SEAL_OVERHEAD);
  CHECK(at);
  memset(at, 0, PREFIX);
  at[0] = 1;
  at[1] = LANE_NORMAL;
  memcpy(at + 2, keys->space_tag, 8);
  memcpy(at + 10, keys->log_tag, 8);
  memcpy(at + 18, keys->epoch_tag, 4);
  put_be64(at + 22, 1);
  put_be32(at + 30, count);
  HASH_PARTS(both, sizeof both, keys->key, "dunlin.seal.1", {at, SEAL_HEADER_LEN + 24});
  memcpy(at + SEAL_HEADER_LEN + 24, both + 32, 32);
  crypto_aead_chacha20poly1305_ietf_encrypt(at + PREFIX, NULL, body, len, at, PREFIX, NULL, nonce, both);
}

/* Leaves the body that it sealed in `body`, if it did. */
static void build(struct fuzz_in *in, const struct log_keys *keys, struct buf *body, struct buf *sealed) {
  uint8_t flags = fuzz_byte(in), count = fuzz_byte(in);
  if (!(flags & FLAG_ENCRYPT)) {
    buf_append(sealed, in->at, in->left);
    return;
  }
  buf_append(body, in->at, in->left);
  while (body->len < BODY_HEADER) fuzz_put_byte(body, 0);
  if (flags & FLAG_LENGTHS) put_be32(body->data + 64, (uint32_t)(body->len - BODY_HEADER));
  if (flags & FLAG_PAD) {
    size_t bucket = seal_padded(body->len), more = (flags & FLAG_WIDE ? seal_padded(bucket + 1) : bucket) - body->len;
    uint8_t *zeros = buf_extend(body, more);
    if (more) memset(zeros, 0, more);
  }
  encrypt(sealed, keys, count, body->data, body->len);
}

/* What docs/format.md asks of a body. */
static void check_body(const struct buf *body, const uint8_t signature[64], size_t raw_len) {
  size_t len = get_be32(body->data + 64);
  CHECK(!memcmp(signature, body->data, 64) && get_be32(body->data + 68) == raw_len);
  CHECK(len <= body->len - BODY_HEADER && seal_padded(BODY_HEADER + len) == body->len);
  CHECK(body->data[72] == 0 ? len == raw_len : body->data[72] == 1 && len < raw_len);
  for (size_t i = BODY_HEADER + len; i < body->len; i++) CHECK(!body->data[i]);
}

static void check_opened(const struct log_keys *keys, const struct log_name *log, const struct buf *raw) {
  uint8_t seed[32] = {7}, public[32], secret[64], signature[64];
  struct dunlin_id tip = {{8}};
  struct buf sealed = fuzz_buf(), again = fuzz_buf();
  CHECK(raw->len && raw->len <= DUNLIN_MAX_RAW);
  crypto_sign_seed_keypair(public, secret, seed);
  CHECK(!seal_run(&sealed, keys, log, 1, 1, &tip, secret, (struct dunlin_bytes){raw->data, raw->len}));
  CHECK(!seal_open(&again, keys, sealed.data, sealed.len, signature));
  CHECK(again.len == raw->len && !memcmp(again.data, raw->data, raw->len));
  buf_free(&sealed);
  buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_in in = fuzz_in_of(data, size);
  struct log_name log = log_name();
  struct log_keys keys = keys_of(&log);
  struct seal_header header;
  struct seeded memory;
  struct buf sealed = fuzz_buf(), body = fuzz_buf(), raw;
  uint8_t signature[64];
  build(&in, &keys, &body, &sealed);
  uint8_t *copy = fuzz_copy((struct dunlin_bytes){sealed.data, sealed.len});
  seeded_init(&memory, 1);
  buf_init(&raw, &memory.env, DUNLIN_MAX_RAW);
  int error = seal_open(&raw, &keys, copy, sealed.len, signature);
  CHECK(error <= 0 && error != DUNLIN_ENOMEM);
  CHECK(memory.peak <= sealed.len + DUNLIN_MAX_RAW + DUNLIN_MAX_RAW / 2);
  if (error) {
    CHECK(!raw.len);
  } else {
    CHECK(!seal_header_read(copy, sealed.len, &header) && header.first && header.count);
    if (body.len) check_body(&body, signature, raw.len);
    check_opened(&keys, &log, &raw);
    fuzz_accepted++;
  }
  buf_free(&raw);
  CHECK(!memory.live);
  buf_free(&sealed);
  buf_free(&body);
  free(copy);
  return 0;
}

/* ---- Seeds: bodies of real runs ---------------------------------------------------------------------------------- */

static void emit_run(fuzz_emit *emit, void *ctx, const char *name, size_t len, bool compressible) {
  struct log_name log = log_name();
  struct log_keys keys = keys_of(&log);
  struct dunlin_id tip = {{8}};
  uint8_t secret[64], public[32], seed[32] = {7}, both[64];
  static const uint8_t nonce[12];
  struct rng rng = rng_of(len);
  struct buf raw = fuzz_buf(), sealed = fuzz_buf(), input = fuzz_buf();
  for (size_t i = 0; i < len; i++) fuzz_put_byte(&raw, compressible ? (uint8_t)(i / 9) : (uint8_t)rng_next(&rng));
  crypto_sign_seed_keypair(public, secret, seed);
  CHECK(!seal_run(&sealed, &keys, &log, 1, 1, &tip, secret, (struct dunlin_bytes){raw.data, raw.len}));
  HASH_PARTS(both, sizeof both, keys.key, "dunlin.seal.1", {sealed.data, SEAL_HEADER_LEN + 24});
  fuzz_put_byte(&input, FLAG_ENCRYPT | FLAG_PAD);
  fuzz_put_byte(&input, 1);
  size_t body_len = sealed.len - SEAL_OVERHEAD;
  uint8_t *body = buf_extend(&input, body_len);
  CHECK(!crypto_aead_chacha20poly1305_ietf_decrypt(body, NULL, NULL, sealed.data + PREFIX, sealed.len - PREFIX,
                                                   sealed.data, PREFIX, nonce, both));
  while (input.len > 2 + BODY_HEADER && !input.data[input.len - 1]) input.len--; /* padding comes back */
  fuzz_emit_buf(emit, ctx, name, &input);
  buf_free(&raw);
  buf_free(&sealed);
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  emit_run(emit, ctx, "small", 20, false);
  emit_run(emit, ctx, "stored", 700, false);
  emit_run(emit, ctx, "packed", 900, true);
  emit_run(emit, ctx, "packed-much", 40000, true);
}
