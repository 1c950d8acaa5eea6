/* Sealed runs: what is sealed opens, nothing that was changed does, and the bytes are those of docs/format.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>
#include <zstd.h>

#include "persist/hash.h"
#include "persist/seal.h"
#include "test/persist/vectors.h"

#define BODY_AT (SEAL_OVERHEAD - 16)

/* ---- A world: one log, its keys, and an environment whose randomness and failures the test decides ----------- */

static uint64_t seed = 20240611;

static uint64_t next_random(uint64_t *state) { /* splitmix64 */
  uint64_t z = *state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

struct fake {
  bool no_random;
  size_t allocations, fail_at; /* the allocation that fails, from 1; 0: none */
};

static void *fake_realloc(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  struct fake *fake = ctx;
  if (new_size && ++fake->allocations == fake->fail_at) return NULL;
  return dunlin_env_default()->realloc(NULL, ptr, old_size, new_size);
}

static int fake_random(void *ctx, void *out, size_t len) { /* the same bytes each time: a copied machine */
  struct fake *fake = ctx;
  memset(out, 0xa5, len);
  return fake->no_random ? DUNLIN_EIO : 0;
}

struct world {
  struct fake fake;
  struct dunlin_env env;
  struct log_name log;
  struct space_keys space;
  struct log_keys keys;
  uint8_t sign_key[64];
  struct dunlin_id tip;
};

static void world_init(struct world *w) {
  memset(w, 0, sizeof *w);
  w->env = *dunlin_env_default();
  w->env.ctx = &w->fake;
  w->env.realloc = fake_realloc;
  w->env.random = fake_random;
  uint8_t sign_seed[32];
  for (int i = 0; i < 32; i++) {
    w->log.space.bytes[i] = (uint8_t)(0x20 + i);
    w->space.routing[i] = (uint8_t)(0x40 + i);
    w->space.epoch.bytes[i] = (uint8_t)(0x60 + i);
    w->space.epoch_key[i] = (uint8_t)(0x80 + i);
    sign_seed[i] = (uint8_t)i;
  }
  for (int i = 0; i < 16; i++) w->log.actor.bytes[i] = (uint8_t)(0xc0 + i);
  w->log.lane = LANE_NORMAL;
  crypto_sign_seed_keypair(w->log.device.bytes, w->sign_key, sign_seed);
  log_keys_derive(&w->keys, &w->space, &w->log);
  struct dunlin_id change = {{1, 2, 3}}, start = chain_start(&w->log);
  w->tip = chain_next(&start, &change, w->log.space.bytes, 32);
}

/* Bytes that compress (a short alphabet) or do not. */
static void fill(uint8_t *out, size_t len, bool compressible, uint64_t *random) {
  for (size_t i = 0; i < len; i++) {
    uint64_t r = next_random(random);
    out[i] = compressible ? (uint8_t) "etaoin "[r % 7] : (uint8_t)r;
  }
}

static int seal_here(struct world *w, struct buf *out, const void *raw, size_t len) {
  return seal_run(out, &w->keys, &w->log, 5, 3, &w->tip, w->sign_key, (struct dunlin_bytes){raw, len});
}

/* Opens and checks the signature, as every user does. */
static int open_with(struct buf *raw, const struct log_keys *keys, const struct log_name *log,
                     const struct dunlin_id *tip, const void *sealed, size_t len) {
  uint8_t signature[64];
  struct seal_header header;
  int error = seal_open(raw, keys, sealed, len, signature);
  if (error) return error;
  assert_int_equal(seal_header_read(sealed, len, &header), 0);
  return seal_check_signature(keys, log, &header, tip, signature);
}

static int open_here(struct world *w, struct buf *raw, const void *sealed, size_t len) {
  return open_with(raw, &w->keys, &w->log, &w->tip, sealed, len);
}

/* ---- Tests -------------------------------------------------------------------------------------------------- */

static void round_trip(void **state) {
  (void)state;
  static const size_t sizes[] = {1, 8, 182, 183, 184, 247, 248, 951, 952, 5000, 65536, 400000, 983040};
  struct world w;
  world_init(&w);
  uint8_t *data = malloc(983040);
  for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
    size_t len = sizes[i / 2];
    struct buf sealed, raw;
    struct seal_header header;
    buf_init(&sealed, &w.env, DUNLIN_MAX_SEALED + 3);
    buf_init(&raw, &w.env, DUNLIN_MAX_RAW);
    buf_append(&sealed, "pre", 3); /* sealing appends, opening replaces */
    buf_append(&raw, "what was there", 14);
    fill(data, len, i % 2, &seed);
    assert_int_equal(seal_here(&w, &sealed, data, len), 0);
    assert_memory_equal(sealed.data, "pre", 3);
    assert_int_equal(open_here(&w, &raw, sealed.data + 3, sealed.len - 3), 0);
    assert_int_equal(raw.len, len);
    assert_memory_equal(raw.data, data, len);
    assert_int_equal(seal_header_read(sealed.data + 3, sealed.len - 3, &header), 0);
    assert_true(header.first == 5 && header.count == 3 && header.lane == LANE_NORMAL);
    assert_memory_equal(header.log_tag, w.keys.log_tag, 8);
    if (i % 2 && len > 2000) assert_true(sealed.len < len / 2); /* was compressed */
    buf_free(&sealed);
    buf_free(&raw);
  }
  free(data);
}

static void every_bit_counts(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  uint8_t data[1500];
  for (int run = 0; run < 60; run++) {
    size_t len = 1 + next_random(&seed) % (run < 30 ? 180 : sizeof data);
    struct buf sealed, raw;
    buf_init(&sealed, &w.env, DUNLIN_MAX_SEALED);
    buf_init(&raw, &w.env, DUNLIN_MAX_RAW);
    fill(data, len, run % 2, &seed);
    assert_int_equal(seal_here(&w, &sealed, data, len), 0);
    for (size_t bit = 0; bit < sealed.len * 8; bit++) {
      sealed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
      int error = seal_open(&raw, &w.keys, sealed.data, sealed.len, data);
      if (error != DUNLIN_EAUTH && error != DUNLIN_EFORMAT) fail_msg("run %d bit %zu: %d", run, bit, error);
      sealed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t cut = 1; cut <= sealed.len; cut++)
      assert_true(seal_open(&raw, &w.keys, sealed.data, sealed.len - cut, data) < 0);
    assert_int_equal(open_here(&w, &raw, sealed.data, sealed.len), 0); /* it was sound all the time */
    buf_free(&sealed);
    buf_free(&raw);
  }
}

/* A run read as part of another log, space, epoch or lane does not open. */
static void belongs_to_one_log(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  struct buf sealed, raw;
  buf_init(&sealed, &w.env, DUNLIN_MAX_SEALED);
  buf_init(&raw, &w.env, DUNLIN_MAX_RAW);
  assert_int_equal(seal_here(&w, &sealed, "hello", 5), 0);
  for (int what = 0; what < 6; what++) {
    struct log_name log = w.log;
    struct space_keys space = w.space;
    struct log_keys keys, forged;
    if (what == 0) log.space.bytes[0] ^= 1;
    if (what == 1) log.device.bytes[0] ^= 1;
    if (what == 2) log.actor.bytes[0] ^= 1;
    if (what == 3) log.lane = LANE_BULK;
    if (what == 4) space.epoch.bytes[0] ^= 1;
    if (what == 5) space.epoch_key[0] ^= 1;
    log_keys_derive(&keys, &space, &log);
    assert_int_equal(seal_open(&raw, &keys, sealed.data, sealed.len, (uint8_t[64]){0}), DUNLIN_EAUTH);
    forged = keys; /* tags are short, so let them collide */
    memcpy(forged.space_tag, w.keys.space_tag, 8);
    memcpy(forged.log_tag, w.keys.log_tag, 8);
    memcpy(forged.epoch_tag, w.keys.epoch_tag, 4);
    assert_int_equal(open_with(&raw, &forged, &log, &w.tip, sealed.data, sealed.len), DUNLIN_EAUTH);
  }
  buf_free(&sealed);
  buf_free(&raw);
}

/* What only the signature holds together: number, chain value, lane, author. */
static void signature_binds(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  struct buf sealed, raw;
  uint8_t signature[64];
  struct seal_header header, other;
  struct log_name log = w.log;
  struct dunlin_id tip = w.tip;
  buf_init(&sealed, &w.env, DUNLIN_MAX_SEALED);
  buf_init(&raw, &w.env, DUNLIN_MAX_RAW);
  assert_int_equal(seal_here(&w, &sealed, "hello", 5), 0);
  assert_int_equal(seal_open(&raw, &w.keys, sealed.data, sealed.len, signature), 0);
  assert_int_equal(seal_header_read(sealed.data, sealed.len, &header), 0);
  assert_int_equal(seal_check_signature(&w.keys, &w.log, &header, &w.tip, signature), 0);

  other = header, other.first++;
  assert_int_equal(seal_check_signature(&w.keys, &w.log, &other, &w.tip, signature), DUNLIN_EAUTH);
  other = header, other.count++;
  assert_int_equal(seal_check_signature(&w.keys, &w.log, &other, &w.tip, signature), DUNLIN_EAUTH);
  other = header, other.tip_tag[11] ^= 1;
  assert_int_equal(seal_check_signature(&w.keys, &w.log, &other, &w.tip, signature), DUNLIN_EAUTH);
  other = header, other.lane = LANE_BULK;
  assert_int_equal(seal_check_signature(&w.keys, &w.log, &other, &w.tip, signature), DUNLIN_EAUTH);
  tip.bytes[31] ^= 1;
  assert_int_equal(seal_check_signature(&w.keys, &w.log, &header, &tip, signature), DUNLIN_EAUTH);
  log.device.bytes[3] ^= 1;
  assert_int_equal(seal_check_signature(&w.keys, &log, &header, &w.tip, signature), DUNLIN_EAUTH);
  log = w.log, log.actor.bytes[0] ^= 1;
  assert_int_equal(seal_check_signature(&w.keys, &log, &header, &w.tip, signature), DUNLIN_EAUTH);
  log = w.log, log.space.bytes[0] ^= 1;
  assert_int_equal(seal_check_signature(&w.keys, &log, &header, &w.tip, signature), DUNLIN_EAUTH);
  for (size_t bit = 0; bit < 512; bit++) {
    signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(seal_check_signature(&w.keys, &w.log, &header, &w.tip, signature), DUNLIN_EAUTH);
    signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  buf_free(&sealed);
  buf_free(&raw);
}

static void header_is_checked(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  struct buf sealed;
  struct seal_header header;
  buf_init(&sealed, &w.env, DUNLIN_MAX_SEALED);
  assert_int_equal(seal_here(&w, &sealed, "hello", 5), 0);
  uint8_t *at = sealed.data;
  assert_int_equal(seal_header_read(at, sealed.len, &header), 0);
  assert_int_equal(seal_header_read(at, 0, &header), DUNLIN_EFORMAT);
  assert_int_equal(seal_header_read(at, sealed.len - 1, &header), DUNLIN_EFORMAT);
  assert_int_equal(seal_header_read(at, DUNLIN_MAX_SEALED + 1, &header), DUNLIN_EFORMAT); /* before it reads a byte */
  at[0] = 2;
  assert_int_equal(seal_header_read(at, sealed.len, &header), DUNLIN_EFORMAT);
  at[0] = 1, at[1] = 3;
  assert_int_equal(seal_header_read(at, sealed.len, &header), DUNLIN_EFORMAT);
  at[1] = 0, put_be64(at + 22, 0);
  assert_int_equal(seal_header_read(at, sealed.len, &header), DUNLIN_EFORMAT);
  put_be64(at + 22, 1), put_be32(at + 30, 0);
  assert_int_equal(seal_header_read(at, sealed.len, &header), DUNLIN_EFORMAT);
  put_be64(at + 22, UINT64_MAX), put_be32(at + 30, 1);
  assert_int_equal(seal_header_read(at, sealed.len, &header), DUNLIN_EFORMAT);
  put_be64(at + 22, UINT64_MAX - 1);
  assert_int_equal(seal_header_read(at, sealed.len, &header), 0);
  buf_free(&sealed);
}

static void sizes_tell_little(void **state) {
  (void)state;
  static const size_t table[][2] = {{0, 256},           {256, 256},        {257, 320},     {320, 320},
                                    {1000, 1024},       {1024, 1024},      {1025, 1088},   {2047, 2048},
                                    {2049, 2176},       {100000, 100352},  {65536, 65536}, {65537, 67584},
                                    {1032192, 1032192}, {1032193, 1048576}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) assert_int_equal(seal_padded(table[i][0]), table[i][1]);
  for (size_t len = 1; len < 300000; len++) {
    size_t padded = seal_padded(len);
    assert_true(padded >= len && padded >= seal_padded(len - 1) && seal_padded(padded) == padded);
    if (len > 1024) assert_true((padded - len) * 100 <= len * 12); /* Padme costs 12 % at most */
  }

  struct world w;
  world_init(&w);
  struct buf one, eight;
  buf_init(&one, &w.env, DUNLIN_MAX_SEALED);
  buf_init(&eight, &w.env, DUNLIN_MAX_SEALED);
  assert_int_equal(seal_here(&w, &one, "a", 1), 0);
  assert_int_equal(seal_here(&w, &eight, "abcdefgh", 8), 0);
  assert_int_equal(one.len, 256 + SEAL_OVERHEAD);
  assert_int_equal(eight.len, one.len);
  buf_free(&one);
  buf_free(&eight);
}

/* The commitment is checked on its own, so that one ciphertext cannot be made to open under two keys. */
static void key_commitment(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  struct buf sealed, raw;
  struct log_keys keys = w.keys;
  uint8_t both[64], signature[64];
  buf_init(&sealed, &w.env, DUNLIN_MAX_SEALED);
  buf_init(&raw, &w.env, DUNLIN_MAX_RAW);
  assert_int_equal(seal_here(&w, &sealed, "hello", 5), 0);
  keys.key[0] ^= 1;
  assert_int_equal(seal_open(&raw, &keys, sealed.data, sealed.len, signature), DUNLIN_EAUTH);

  /* The right encryption key under a commitment to another one: re-encrypted so that the tag holds. */
  uint8_t *commitment = sealed.data + 70, body[256];
  unsigned long long len;
  HASH_PARTS(both, 64, w.keys.key, "dunlin.seal.1", {sealed.data, 70});
  assert_memory_equal(both + 32, commitment, 32);
  assert_int_equal(crypto_aead_chacha20poly1305_ietf_decrypt(body, &len, NULL, sealed.data + BODY_AT, 272, sealed.data,
                                                             BODY_AT, (uint8_t[12]){0}, both),
                   0);
  commitment[0] ^= 1;
  crypto_aead_chacha20poly1305_ietf_encrypt(sealed.data + BODY_AT, &len, body, 256, sealed.data, BODY_AT, NULL,
                                            (uint8_t[12]){0}, both);
  assert_int_equal(seal_open(&raw, &w.keys, sealed.data, sealed.len, signature), DUNLIN_EAUTH);
  buf_free(&sealed);
  buf_free(&raw);
}

/* The salt differs with the content even when the random generator repeats itself. */
static void salt_is_hedged(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  struct buf a, b, c;
  buf_init(&a, &w.env, DUNLIN_MAX_SEALED);
  buf_init(&b, &w.env, DUNLIN_MAX_SEALED);
  buf_init(&c, dunlin_env_default(), DUNLIN_MAX_SEALED);
  assert_int_equal(seal_here(&w, &a, "hello", 5), 0);
  assert_int_equal(seal_here(&w, &b, "hellp", 5), 0);
  assert_memory_equal(a.data, b.data, 46);
  assert_memory_not_equal(a.data + 46, b.data + 46, 24);
  buf_clear(&b);
  assert_int_equal(seal_here(&w, &b, "hello", 5), 0);
  assert_memory_equal(a.data, b.data, a.len);
  assert_int_equal(seal_here(&w, &c, "hello", 5), 0); /* and with the random bytes */
  assert_memory_not_equal(a.data + 46, c.data + 46, 24);
  buf_free(&a);
  buf_free(&b);
  buf_free(&c);
}

/* ---- A member who seals whatever it likes --------------------------------------------------------------------- */

/* Replaces the body of a sealed run by `body`, correctly encrypted: written from the format page, not with seal.c. */
static size_t craft(const struct world *w, uint8_t *sealed, const uint8_t *body, size_t body_len) {
  uint8_t both[64];
  unsigned long long len;
  HASH_PARTS(both, 64, w->keys.key, "dunlin.seal.1", {sealed, 70});
  memcpy(sealed + 70, both + 32, 32);
  crypto_aead_chacha20poly1305_ietf_encrypt(sealed + BODY_AT, &len, body, body_len, sealed, BODY_AT, NULL,
                                            (uint8_t[12]){0}, both);
  return BODY_AT + (size_t)len;
}

struct body {
  uint32_t data_len, raw_len;
  uint8_t codec;
  struct dunlin_bytes data;
  size_t len;
  size_t dirt; /* offset of a byte of padding that is not zero; 0: none */
};

static int open_crafted(struct body spec) {
  struct world w;
  world_init(&w);
  struct buf sealed, raw;
  buf_init(&sealed, &w.env, 4 * DUNLIN_MAX_SEALED);
  buf_init(&raw, &w.env, DUNLIN_MAX_RAW);
  assert_int_equal(seal_here(&w, &sealed, "hello", 5), 0);
  assert_non_null(buf_extend(&sealed, spec.len));
  uint8_t *body = calloc(1, spec.len);
  put_be32(body + 64, spec.data_len);
  put_be32(body + 68, spec.raw_len);
  body[72] = spec.codec;
  if (spec.data.len) memcpy(body + 73, spec.data.data, spec.data.len);
  if (spec.dirt) body[spec.dirt] = 1;
  size_t len = craft(&w, sealed.data, body, spec.len);
  w.fake.allocations = 0;
  int error = seal_open(&raw, &w.keys, sealed.data, len, (uint8_t[64]){0});
  free(body);
  buf_free(&sealed);
  buf_free(&raw);
  return error;
}

static void bodies_are_checked(void **state) {
  (void)state;
  uint8_t text[600] = {0}, packed[1200];
  struct dunlin_bytes hello = {"hello", 5};
  assert_int_equal(open_crafted((struct body){5, 5, 0, hello, 256, 0}), 0);
  assert_int_equal(open_crafted((struct body){5, 5, 0, hello, 256, 78}), DUNLIN_EFORMAT);
  assert_int_equal(open_crafted((struct body){5, 5, 0, hello, 256, 255}), DUNLIN_EFORMAT);
  assert_int_equal(open_crafted((struct body){5, 5, 0, hello, 320, 0}), DUNLIN_EFORMAT); /* larger than its bucket */
  assert_int_equal(open_crafted((struct body){5, 5, 2, hello, 256, 0}), DUNLIN_EFORMAT);
  assert_int_equal(open_crafted((struct body){5, 6, 0, hello, 256, 0}), DUNLIN_EFORMAT);
  assert_int_equal(open_crafted((struct body){0, 0, 0, hello, 256, 73}), DUNLIN_EFORMAT);
  assert_int_equal(open_crafted((struct body){0, 0, 0, {0}, 256, 0}), DUNLIN_EFORMAT);
  assert_int_equal(open_crafted((struct body){184, 184, 0, hello, 256, 0}), DUNLIN_EFORMAT); /* past the end */
  assert_int_equal(open_crafted((struct body){UINT32_MAX, UINT32_MAX, 0, hello, 256, 0}), DUNLIN_ELIMIT);
  assert_int_equal(open_crafted((struct body){UINT32_MAX, 5, 0, hello, 256, 0}), DUNLIN_EFORMAT);
  assert_int_equal(open_crafted((struct body){5, DUNLIN_MAX_RAW + 1, 1, hello, 256, 0}), DUNLIN_ELIMIT);
  assert_int_equal(open_crafted((struct body){5, DUNLIN_MAX_RAW, 1, hello, 256, 0}), DUNLIN_EFORMAT);

  uint32_t n = (uint32_t)ZSTD_compress(packed, sizeof packed, text, sizeof text, 3);
  struct dunlin_bytes zeros = {packed, n};
  assert_int_equal(open_crafted((struct body){n, 600, 1, zeros, 256, 0}), 0);
  assert_int_equal(open_crafted((struct body){n, 599, 1, zeros, 256, 0}), DUNLIN_EFORMAT);
  assert_int_equal(open_crafted((struct body){n, 601, 1, zeros, 256, 0}), DUNLIN_EFORMAT);
  assert_int_equal(open_crafted((struct body){n - 1, 600, 1, {packed, n - 1}, 256, 0}), DUNLIN_EFORMAT);
  assert_int_equal(open_crafted((struct body){n + 1, 600, 1, zeros, 256, 0}), DUNLIN_EFORMAT);
  memcpy(packed + n, packed, n); /* two frames */
  assert_int_equal(open_crafted((struct body){2 * n, 1200, 1, {packed, 2 * n}, 256, 0}), DUNLIN_EFORMAT);
  assert_int_equal(open_crafted((struct body){2 * n, 600, 1, {packed, 2 * n}, 256, 0}), DUNLIN_EFORMAT);
  static const uint8_t skippable[8] = {0x50, 0x2a, 0x4d, 0x18,
                                       0,    0,    0,    0}; /* an empty frame that a decoder passes over */
  memcpy(packed + n, skippable, 8);
  assert_int_equal(open_crafted((struct body){n + 8, 600, 1, {packed, n + 8}, 256, 0}), DUNLIN_EFORMAT);
  packed[n - 1] ^= 0x40; /* a damaged block */
  assert_true(open_crafted((struct body){n, 600, 1, zeros, 256, 0}) <= 0);

  n = (uint32_t)ZSTD_compress(packed, sizeof packed, text, 3, 3); /* longer than what it stands for */
  assert_int_equal(open_crafted((struct body){n, 3, 1, {packed, n}, 256, 0}), DUNLIN_EFORMAT);
  ZSTD_CCtx *context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  n = (uint32_t)ZSTD_compress2(context, packed, sizeof packed, text, sizeof text); /* does not say its length */
  assert_int_equal(open_crafted((struct body){n, 600, 1, {packed, n}, 256, 0}), DUNLIN_EFORMAT);
  ZSTD_freeCCtx(context);
}

static void limits(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  struct buf sealed, raw;
  buf_init(&sealed, &w.env, 4 * DUNLIN_MAX_SEALED);
  buf_init(&raw, &w.env, DUNLIN_MAX_RAW);
  uint8_t *data = calloc(1, DUNLIN_MAX_RAW + 1);
  assert_int_equal(seal_here(&w, &sealed, data, DUNLIN_MAX_RAW), 0);
  assert_int_equal(open_here(&w, &raw, sealed.data, sealed.len), 0);
  assert_int_equal(raw.len, DUNLIN_MAX_RAW);
  buf_clear(&sealed);
  assert_int_equal(seal_here(&w, &sealed, data, DUNLIN_MAX_RAW + 1), DUNLIN_ELIMIT);
  assert_int_equal(seal_here(&w, &sealed, data, 0), DUNLIN_EINVAL);

  size_t most = 1032192 - 73; /* the largest bucket that fits in a sealed run, less the body's header */
  fill(data, DUNLIN_MAX_RAW, false, &seed);
  assert_int_equal(seal_here(&w, &sealed, data, most), 0);
  assert_int_equal(open_here(&w, &raw, sealed.data, sealed.len), 0);
  buf_clear(&sealed);
  assert_int_equal(seal_here(&w, &sealed, data, most + 1), DUNLIN_ELIMIT);
  assert_int_equal(sealed.len, 0);
  assert_int_equal(sealed.error, 0);

  struct dunlin_bytes one = {"1", 1};
  assert_int_equal(seal_run(&sealed, &w.keys, &w.log, 0, 1, &w.tip, w.sign_key, one), DUNLIN_EINVAL);
  assert_int_equal(seal_run(&sealed, &w.keys, &w.log, 1, 0, &w.tip, w.sign_key, one), DUNLIN_EINVAL);
  assert_int_equal(seal_run(&sealed, &w.keys, &w.log, UINT64_MAX, 2, &w.tip, w.sign_key, one), DUNLIN_EINVAL);
  raw.max = 4;
  assert_int_equal(seal_here(&w, &sealed, "hello", 5), 0);
  assert_int_equal(seal_open(&raw, &w.keys, sealed.data, sealed.len, (uint8_t[64]){0}), DUNLIN_ELIMIT);
  free(data);
  buf_free(&sealed);
  buf_free(&raw);
}

static void failures_leave_no_trace(void **state) {
  (void)state;
  struct world w;
  world_init(&w);
  uint8_t text[2000];
  fill(text, sizeof text, true, &seed);
  struct buf sealed, raw;
  buf_init(&sealed, &w.env, DUNLIN_MAX_SEALED);
  buf_append(&sealed, "pre", 3);
  w.fake.no_random = true;
  assert_int_equal(seal_here(&w, &sealed, text, sizeof text), DUNLIN_EIO);
  assert_int_equal(sealed.len, 3);
  w.fake.no_random = false;
  for (size_t at = 1;; at++) {
    buf_free(&sealed);
    w.fake.allocations = 0, w.fake.fail_at = at;
    int error = seal_here(&w, &sealed, text, sizeof text);
    if (!error) break;
    assert_int_equal(error, DUNLIN_ENOMEM);
    assert_int_equal(sealed.len, 0);
    assert_true(at < 10);
  }
  for (size_t at = 1;; at++) {
    buf_init(&raw, &w.env, DUNLIN_MAX_RAW);
    w.fake.allocations = 0, w.fake.fail_at = at;
    int error = open_here(&w, &raw, sealed.data, sealed.len);
    buf_free(&raw);
    if (!error) break;
    assert_int_equal(error, DUNLIN_ENOMEM);
    assert_true(at < 10);
  }
  buf_free(&sealed);
}

/* ---- Vectors: the page is the source ---------------------------------------------------------------------------- */

static void check_vector(const char *page, const char *run, uint8_t lane, uint32_t count, bool stored) {
  struct world w;
  world_init(&w);
  w.log.lane = lane;
  log_keys_derive(&w.keys, &w.space, &w.log);
  uint8_t expect[2048], data[2048];
  char name[64];
  struct dunlin_id tip = chain_start(&w.log);
  snprintf(name, sizeof name, "%s.e0", run);
  assert_int_equal(vector_find(page, name, expect, 32), 32);
  assert_memory_equal(tip.bytes, expect, 32);
  for (uint32_t n = 1; n <= count; n++) { /* the id of entry n's change is 32 bytes n; its one head is the space's id */
    struct dunlin_id id, before = tip;
    memset(id.bytes, (int)n, 32);
    tip = chain_next(&before, &id, w.log.space.bytes, 32);
  }
  snprintf(name, sizeof name, "%s.tip", run);
  assert_int_equal(vector_find(page, name, expect, 32), 32);
  assert_memory_equal(tip.bytes, expect, 32);
  snprintf(name, sizeof name, "%s.log_key", run);
  assert_int_equal(vector_find(page, name, expect, 32), 32);
  assert_memory_equal(w.keys.key, expect, 32);
  snprintf(name, sizeof name, "%s.raw", run);
  size_t len = vector_find(page, name, data, sizeof data);
  snprintf(name, sizeof name, "%s.sealed", run);
  size_t sealed_len = vector_find(page, name, expect, sizeof expect);

  struct buf sealed, raw;
  buf_init(&sealed, &w.env, DUNLIN_MAX_SEALED);
  buf_init(&raw, &w.env, DUNLIN_MAX_RAW);
  struct dunlin_bytes bytes = {data, len};
  assert_int_equal(seal_run(&sealed, &w.keys, &w.log, 1, count, &tip, w.sign_key, bytes), 0);
  assert_int_equal(sealed.len, sealed_len);
  if (stored) assert_memory_equal(sealed.data, expect, sealed_len); /* zstd's bytes are its own matter */
  assert_int_equal(open_with(&raw, &w.keys, &w.log, &tip, expect, sealed_len), 0);
  assert_int_equal(raw.len, len);
  assert_memory_equal(raw.data, data, len);
  buf_free(&sealed);
  buf_free(&raw);
}

static void vectors(void **state) {
  (void)state;
  char *page = vector_page();
  check_vector(page, "run1", LANE_URGENT, 1, true);
  check_vector(page, "run2", LANE_BULK, 3, false);
  free(page);
}

int main(int argc, char **argv) {
  if (argc > 1) seed = strtoull(argv[1], NULL, 0);
  printf("seed %llu\n", (unsigned long long)seed);
  if (sodium_init() < 0) return 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(round_trip),
      cmocka_unit_test(every_bit_counts),
      cmocka_unit_test(belongs_to_one_log),
      cmocka_unit_test(signature_binds),
      cmocka_unit_test(header_is_checked),
      cmocka_unit_test(sizes_tell_little),
      cmocka_unit_test(key_commitment),
      cmocka_unit_test(salt_is_hedged),
      cmocka_unit_test(bodies_are_checked),
      cmocka_unit_test(limits),
      cmocka_unit_test(failures_leave_no_trace),
      cmocka_unit_test(vectors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
