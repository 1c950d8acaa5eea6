/* Fourteen hot paths with fixed work, for counting instructions: `bench-paths NAME` runs one.  Preparation lies outside
 * of hot_path(), the only function that is counted (valgrind --tool=callgrind --toggle-collect=hot_path).
 * bench/check.py does that. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "crdt/change.h"
#include "crdt/doc.h"
#include "persist/seal.h"
#include "transport/noise.h"

enum { ROUNDS = 2000 };

struct work {
  dunlin_doc *doc, *other;
  dunlin_obj obj;
  struct buf delta, out;
  void *bytes;
  size_t len;
  struct change_id_bytes *changes;
  size_t count;
  struct log_name log;
  struct log_keys keys;
  uint8_t sign_secret[64];
  struct noise_cipher cipher;
};

#define MUST(call) must((call), #call)
static void must(int error, const char *what) {
  if (error >= 0) return;
  fprintf(stderr, "bench-paths: %s: %s\n", what, dunlin_error_text(error));
  exit(1);
}

/* Documents whose hashes are seeded alike in every run. */
static struct bench_memory memory;

static dunlin_doc *new_doc(unsigned actor) {
  dunlin_doc *doc = NULL;
  MUST(bench_doc(&memory.env, actor, &doc));
  return doc;
}

static void type(dunlin_doc *doc, size_t at) {
  dunlin_obj text;
  MUST(dunlin_begin(doc));
  text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("text"), DUNLIN_TEXT);
  MUST(dunlin_text_splice(doc, text, at, 0, "x", 1));
  MUST(dunlin_commit(doc, 0, NULL));
}

static void put(dunlin_doc *doc, size_t i) {
  char key[16];
  int len = snprintf(key, sizeof key, "key%zu", i * 7919 % 500);
  MUST(dunlin_begin(doc));
  MUST(dunlin_map_put(doc, DUNLIN_ROOT, (struct dunlin_bytes){key, (size_t)len},
                      (struct dunlin_value){.kind = DUNLIN_INT, .as.integer = (int64_t)i}));
  MUST(dunlin_commit(doc, 0, NULL));
}

static void take_delta(struct work *w, const dunlin_doc *doc) {
  MUST(dunlin_doc_delta(doc, NULL, 0, &w->bytes, &w->len));
}

/* ---- The paths: what is prepared, and what is counted --------------------------------------------------------- */

static void typed(struct work *w) {
  w->doc = new_doc(1);
  for (size_t i = 0; i < ROUNDS; i++) type(w->doc, i);
}

/* Edits may wait until somebody reads, so reading belongs to what is counted. */
static void read_text(const dunlin_doc *doc) {
  static char out[4 * ROUNDS];
  struct dunlin_value text;
  MUST(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("text"), &text));
  if (dunlin_text_read(doc, text.as.obj, out, sizeof out) < ROUNDS) must(DUNLIN_EREFUSED, "reading");
}

static void text_local_commit(struct work *w) {
  for (size_t i = 0; i < ROUNDS; i++) type(w->doc, ROUNDS + i);
  read_text(w->doc);
}

/* With a store every change has its id and its bytes at once. */
static int take_note(void *ctx, const struct dunlin_id *id, struct dunlin_bytes change) {
  (void)ctx, (void)id, (void)change;
  return 0;
}

static void typed_with_store(struct work *w) {
  typed(w);
  dunlin_doc_on_commit(w->doc, take_note, NULL);
}

static void text_remote(struct work *w) {
  typed(w);
  take_delta(w, w->doc);
  w->other = new_doc(2);
}

static void apply_delta(struct work *w) {
  MUST(dunlin_doc_apply(w->other, w->bytes, w->len, NULL));
}

static void apply_text(struct work *w) {
  apply_delta(w);
  read_text(w->other);
}

/* The other has typed at the same time. */
static void text_concurrent(struct work *w) {
  text_remote(w);
  for (size_t i = 0; i < ROUNDS; i++) type(w->other, i);
}

/* Two who hear of each other after every five characters. */
static void typed_in_turns(struct work *w) {
  w->doc = new_doc(1);
  w->other = new_doc(2);
  for (size_t i = 0; i < ROUNDS; i++) {
    type(w->doc, i);
    type(w->other, 0);
    if (i % 5) continue;
    take_delta(w, w->doc);
    MUST(dunlin_doc_apply(w->other, w->bytes, w->len, NULL));
    dunlin_free(&memory.env, w->bytes, w->len);
    take_delta(w, w->other);
    MUST(dunlin_doc_apply(w->doc, w->bytes, w->len, NULL));
    dunlin_free(&memory.env, w->bytes, w->len);
  }
}

static void rebuild_text(struct work *w) {
  MUST(doc_rebuild(w->doc));
  read_text(w->doc);
}

static void map_doc(struct work *w) {
  w->doc = new_doc(1);
  for (size_t i = 0; i < ROUNDS; i++) put(w->doc, i);
}

static void map_set_commit(struct work *w) {
  for (size_t i = 0; i < ROUNDS; i++) put(w->doc, ROUNDS + i);
}

static void map_remote(struct work *w) {
  map_doc(w);
  take_delta(w, w->doc);
  w->other = new_doc(2);
}

static void list_doc(struct work *w) {
  w->doc = new_doc(1);
  MUST(dunlin_begin(w->doc));
  w->obj = dunlin_map_child(w->doc, DUNLIN_ROOT, dunlin_key("list"), DUNLIN_LIST);
  for (size_t i = 0; i < ROUNDS; i++)
    MUST(dunlin_list_insert(w->doc, w->obj, i, (struct dunlin_value){.kind = DUNLIN_INT, .as.integer = (int64_t)i}));
  MUST(dunlin_commit(w->doc, 0, NULL));
}

static void list_move(struct work *w) {
  for (size_t i = 0; i < ROUNDS; i++) {
    MUST(dunlin_begin(w->doc));
    MUST(dunlin_list_move(w->doc, w->obj, i * 7919 % ROUNDS, i * 104729 % ROUNDS));
    MUST(dunlin_commit(w->doc, 0, NULL));
  }
}

static int keep_change(void *ctx, const struct change_id_bytes *change) {
  struct work *w = ctx;
  void *copy = malloc(change->bytes.len);
  if (!copy) return DUNLIN_ENOMEM;
  memcpy(copy, change->bytes.data, change->bytes.len);
  w->changes[w->count++] = (struct change_id_bytes){.id = change->id, .bytes = {copy, change->bytes.len}};
  return 0;
}

static const struct dunlin_id doc_id = {{'b', 'e', 'n', 'c', 'h'}};

static void delta_of_typing(struct work *w) {
  typed(w);
  take_delta(w, w->doc);
  w->changes = calloc(ROUNDS, sizeof *w->changes);
  MUST(delta_read(NULL, &doc_id, w->bytes, w->len, keep_change, w));
  buf_init(&w->out, dunlin_env_default(), SIZE_MAX / 2);
}

static int ignore(void *ctx, const struct change_id_bytes *change) {
  (void)ctx, (void)change;
  return 0;
}

static void read_delta(struct work *w) {
  MUST(delta_read(NULL, &doc_id, w->bytes, w->len, ignore, w));
}

static void write_delta(struct work *w) {
  MUST(delta_write(&w->out, w->changes, w->count));
}

static void doc_hash(struct work *w) {
  struct dunlin_id hash;
  MUST(dunlin_doc_hash(w->doc, &hash));
}

static void sealing(struct work *w) {
  struct space_keys space = {.routing = {1}, .epoch_key = {2}};
  uint8_t seed[crypto_sign_SEEDBYTES] = {3};
  delta_of_typing(w);
  crypto_sign_seed_keypair(w->log.device.bytes, w->sign_secret, seed);
  w->log.lane = LANE_NORMAL;
  log_keys_derive(&w->keys, &space, &w->log);
}

static void seal_one(struct work *w) {
  struct dunlin_id tip = {{4}};
  struct dunlin_bytes raw = {w->bytes, w->len};
  MUST(seal_run(&w->out, &w->keys, &w->log, 1, ROUNDS, &tip, w->sign_secret, raw));
}

static void sealed(struct work *w) {
  sealing(w);
  seal_one(w);
  buf_init(&w->delta, dunlin_env_default(), DUNLIN_MAX_RAW);
}

static void open_one(struct work *w) {
  uint8_t signature[64];
  MUST(seal_open(&w->delta, &w->keys, w->out.data, w->out.len, signature));
}

static void cipher(struct work *w) {
  w->bytes = calloc(1, 16384 + NOISE_TAG);
}

static void noise_frames(struct work *w) {
  for (size_t i = 0; i < 100; i++) MUST(noise_seal(&w->cipher, w->bytes, 16384, w->bytes));
}

static const struct {
  const char *name;
  void (*prepare)(struct work *w), (*hot)(struct work *w);
} paths[] = {
    {"text_local_commit", typed, text_local_commit},
    {"text_commit_with_id", typed_with_store, text_local_commit},
    {"text_remote_delta", text_remote, apply_text},
    {"text_concurrent_merge", text_concurrent, apply_text},
    {"text_rebuild", typed_in_turns, rebuild_text},
    {"map_set_commit", map_doc, map_set_commit},
    {"map_remote_delta", map_remote, apply_delta},
    {"list_move_commit", list_doc, list_move},
    {"delta_read", delta_of_typing, read_delta},
    {"delta_write", delta_of_typing, write_delta},
    {"doc_hash", typed, doc_hash},
    {"seal_run", sealing, seal_one},
    {"seal_open", sealed, open_one},
    {"noise_frame", cipher, noise_frames},
};

void hot_path(void (*hot)(struct work *w), struct work *w);
__attribute__((noinline)) void hot_path(void (*hot)(struct work *w), struct work *w) {
  hot(w);
}

int main(int argc, char **argv) {
  struct work w = {.doc = NULL};
  if (sodium_init() < 0) return 1;
  bench_memory_init(&memory);
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    if (argc < 2) printf("%s\n", paths[i].name);
    if (argc < 2 || strcmp(argv[1], paths[i].name)) continue;
    paths[i].prepare(&w);
    hot_path(paths[i].hot, &w);
    return 0; /* what was prepared dies with the process */
  }
  return argc < 2 ? 0 : 2;
}
