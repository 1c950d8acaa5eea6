#include "test/fault/seeded.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static void *counted_realloc(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  struct seeded *s = ctx;
  if (!new_size) {
    s->live -= old_size;
    free(ptr);
    return NULL;
  }
  s->allocations++;
  if (new_size > s->largest) s->largest = new_size;
  if (s->fail_at && (s->for_good ? s->allocations >= s->fail_at : s->allocations == s->fail_at)) return NULL;
  void *got = realloc(ptr, new_size);
  if (!got) return NULL;
  s->live += new_size - old_size;
  if (s->live > s->peak) s->peak = s->live;
  return got;
}

static void usual_hash(void *ctx, const char *label, const struct dunlin_bytes *parts, size_t count, uint8_t out[32]) {
  (void)ctx;
  dunlin_env_default()->hash(NULL, label, parts, count, out);
}

static void fill(struct rng *rng, void *out, size_t len) {
  uint8_t *at = out;
  while (len) {
    uint64_t word = rng_next(rng);
    size_t n = len < sizeof word ? len : sizeof word;
    memcpy(at, &word, n);
    at += n;
    len -= n;
  }
}

static int seeded_random(void *ctx, void *out, size_t len) {
  fill(&((struct seeded *)ctx)->rng, out, len);
  return 0;
}

static int64_t seeded_now(void *ctx) {
  return ((struct seeded *)ctx)->clock;
}

static void seeded_log(void *ctx, int level, const char *text) {
  struct seeded *s = ctx;
  (void)level;
  if (s->log) s->log(s->log_ctx, text);
}

static int usual_compress(void *ctx, const struct dunlin_packing *packing, size_t *len) {
  (void)ctx;
  return dunlin_env_default()->compress(NULL, packing, len);
}

static int usual_decompress(void *ctx, const struct dunlin_packing *packing) {
  (void)ctx;
  return dunlin_env_default()->decompress(NULL, packing);
}

void seeded_init(struct seeded *s, uint64_t seed) {
  *s = (struct seeded){.rng = rng_of(seed)};
  s->env = (struct dunlin_env){.size = sizeof s->env,
                               .ctx = s,
                               .realloc = counted_realloc,
                               .hash = usual_hash,
                               .random = seeded_random,
                               .now = seeded_now,
                               .log = seeded_log,
                               .compress = usual_compress,
                               .decompress = usual_decompress};
}

/* libsodium's hooks take no context. */
static struct rng *sodium_source;

static const char *source_name(void) {
  return "seeded";
}

static uint32_t source_random(void) {
  return sodium_source ? (uint32_t)(rng_next(sodium_source) >> 32) : 0;
}

static void source_fill(void *const out, const size_t len) {
  static uint64_t fallback;
  struct rng counting = {++fallback};
  fill(sodium_source ? sodium_source : &counting, out, len);
}

void seeded_sodium(struct rng *source) {
  static struct randombytes_implementation seeded = {
      .implementation_name = source_name, .random = source_random, .buf = source_fill};
  sodium_source = source;
  randombytes_set_implementation(&seeded);
}
