/* The default environment: malloc, libsodium, zstd, the system's clock. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <dunlin/dunlin.h>

static void *default_realloc(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  (void)ctx, (void)old_size;
  if (new_size) return realloc(ptr, new_size);
  free(ptr);
  return NULL;
}

static void default_hash(void *ctx, const char *label, const struct dunlin_bytes *parts, size_t count,
                         uint8_t out[32]) {
  (void)ctx;
  unsigned char personal[crypto_generichash_blake2b_PERSONALBYTES] = {0}, joined[256];
  size_t len = 0;
  memcpy(personal, label, strnlen(label, sizeof personal));
  if (count == 1) {
    crypto_generichash_blake2b_salt_personal(out, 32, parts->data, parts->len, NULL, 0, NULL, personal);
    return;
  }
  for (size_t i = 0; i < count; i++) len += parts[i].len;
  if (len <= sizeof joined) { /* one call is a tenth faster than several for what is hashed most: a small change */
    unsigned char *at = joined;
    for (size_t i = 0; i < count; at += parts[i++].len)
      if (parts[i].len) memcpy(at, parts[i].data, parts[i].len);
    crypto_generichash_blake2b_salt_personal(out, 32, joined, len, NULL, 0, NULL, personal);
    return;
  }
  crypto_generichash_blake2b_state state;
  crypto_generichash_blake2b_init_salt_personal(&state, NULL, 0, 32, NULL, personal);
  for (size_t i = 0; i < count; i++)
    if (parts[i].len) crypto_generichash_blake2b_update(&state, parts[i].data, parts[i].len);
  crypto_generichash_blake2b_final(&state, out, 32);
}

static int default_random(void *ctx, void *out, size_t len) {
  (void)ctx;
  if (sodium_init() < 0) return DUNLIN_EIO;
  randombytes_buf(out, len);
  return 0;
}

static int64_t default_now(void *ctx) {
  (void)ctx;
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int default_compress(void *ctx, const struct dunlin_packing *p, size_t *len) {
  enum { quick = 9, thorough = 15 }; /* from there on time doubles for one part in a hundred */
  (void)ctx;
  ZSTD_CCtx *z = ZSTD_createCCtx();
  if (!z) return DUNLIN_ENOMEM;
  ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, p->thorough ? thorough : quick);
  if (p->prefix.len) ZSTD_CCtx_refPrefix(z, p->prefix.data, p->prefix.len);
  size_t size = ZSTD_compress2(z, p->out, p->cap, p->data.data, p->data.len);
  ZSTD_freeCCtx(z);
  if (!ZSTD_isError(size)) *len = size;
  else if (ZSTD_getErrorCode(size) != ZSTD_error_dstSize_tooSmall) return DUNLIN_ENOMEM;
  return ZSTD_isError(size) ? DUNLIN_ERANGE : 0;
}

static int default_decompress(void *ctx, const struct dunlin_packing *p) {
  (void)ctx;
  ZSTD_DCtx *z = ZSTD_createDCtx();
  if (!z) return DUNLIN_ENOMEM;
  if (p->prefix.len) ZSTD_DCtx_refPrefix(z, p->prefix.data, p->prefix.len);
  size_t size = ZSTD_decompressDCtx(z, p->out, p->cap, p->data.data, p->data.len);
  ZSTD_freeDCtx(z);
  if (!ZSTD_isError(size)) return size == p->cap ? 0 : DUNLIN_EFORMAT;
  return ZSTD_getErrorCode(size) == ZSTD_error_memory_allocation ? DUNLIN_ENOMEM : DUNLIN_EFORMAT;
}

const struct dunlin_env *dunlin_env_default(void) {
  static const struct dunlin_env env = {
      .size = sizeof env,
      .realloc = default_realloc,
      .hash = default_hash,
      .random = default_random,
      .now = default_now,
      .compress = default_compress,
      .decompress = default_decompress,
  };
  return &env;
}
