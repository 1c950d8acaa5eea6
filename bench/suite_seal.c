/* Sealing and opening runs of 1, 64 and 1000 typed changes: compression, signature, encryption; and what it adds in
 * bytes. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "persist/seal.h"

struct sealing {
  void *delta;
  size_t delta_len;
  uint32_t changes;
  struct log_name log;
  struct log_keys keys;
  uint8_t secret[64];
  struct buf sealed;
};

static int seal_once(struct sealing *s) {
  struct dunlin_id tip = {{1}};
  struct dunlin_bytes raw = {s->delta, s->delta_len};
  buf_clear(&s->sealed);
  return seal_run(&s->sealed, &s->keys, &s->log, 1, s->changes, &tip, s->secret, raw);
}

static int seal(void *ctx, double *ms) {
  enum { rounds = 100 };
  int error = 0;
  double began = bench_now();
  for (int i = 0; i < rounds && !error; i++) error = seal_once(ctx);
  *ms = (bench_now() - began) / rounds;
  return error;
}

/* Without the check of the signature, which is the same for any run: "limits" has it. */
static int unseal(void *ctx, double *ms) {
  enum { rounds = 100 };
  struct sealing *s = ctx;
  uint8_t signature[64];
  struct buf raw;
  buf_init(&raw, dunlin_env_default(), DUNLIN_MAX_RAW);
  int error = 0;
  double began = bench_now();
  for (int i = 0; i < rounds && !error; i++)
    error = seal_open(&raw, &s->keys, s->sealed.data, s->sealed.len, signature);
  *ms = (bench_now() - began) / rounds;
  if (!error && raw.len != s->delta_len) error = DUNLIN_EREFUSED;
  buf_free(&raw);
  return error;
}

static int typed_delta(struct sealing *s) {
  dunlin_doc *doc = NULL;
  dunlin_obj text;
  int error = bench_doc(NULL, 1, &doc);
  for (uint32_t i = 0; !error && i < s->changes; i++) {
    error = dunlin_begin(doc);
    if (!error) text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("text"), DUNLIN_TEXT);
    if (!error) error = dunlin_text_splice(doc, text, i, 0, &"the quick brown fox "[i % 20], 1);
    if (!error) error = dunlin_commit(doc, 0, NULL);
    if (error > 0) error = 0;
  }
  if (!error) error = dunlin_doc_delta(doc, NULL, 0, &s->delta, &s->delta_len);
  dunlin_doc_free(doc);
  return error;
}

static int run_size(struct bench *b, struct sealing *s, const char *name) {
  int error = typed_delta(s);
  if (!error) error = seal_once(s);
  if (error) return bench_wrong(b, name, "sealing", error);
  error = bench_time(b, name, "seal", seal, s);
  if (!error) error = bench_time(b, name, "open", unseal, s);
  bench_size(b, name, "delta_bytes", s->delta_len);
  bench_size(b, name, "sealed_bytes", s->sealed.len);
  dunlin_free(NULL, s->delta, s->delta_len);
  return error;
}

int suite_seal(struct bench *b) {
  static const uint32_t sizes[] = {1, 64, 1000};
  struct sealing s = {.log = {.lane = LANE_NORMAL}};
  struct space_keys space = {.routing = {1}, .epoch_key = {2}};
  int error = 0;
  crypto_sign_keypair(s.log.device.bytes, s.secret);
  log_keys_derive(&s.keys, &space, &s.log);
  buf_init(&s.sealed, dunlin_env_default(), DUNLIN_MAX_SEALED);
  for (int i = 0; i < 3 && !error; i++) {
    char name[32];
    snprintf(name, sizeof name, "%u-changes", sizes[i]);
    s.changes = sizes[i];
    error = run_size(b, &s, name);
  }
  buf_free(&s.sealed);
  return error;
}
