/* A document's compact form from anybody: dunlin_doc_load() either refuses it or gives a document that can be read and
 * written to.  Its history may turn out to be damaged when it is needed, which is an error and nothing worse; if it is
 * not, the document fits together, and saved it is opened again equal, to the byte.
 *
 * Input: the file. */
#include "crdt/doc.h"
#include "crdt/docfile.h"
#include "test/fuzz/fuzz_doc.h"
#include "test/support/docfile.h"

static dunlin_doc *opened(const struct dunlin_env *env, const void *data, size_t len) {
  struct dunlin_actor actor = {{9}};
  dunlin_doc *doc = NULL;
  int error = dunlin_doc_load(env, data, len, &actor, &doc);
  CHECK(!error == (doc != NULL));
  CHECK(!error || error == DUNLIN_EFORMAT || error == DUNLIN_ELIMIT || error == DUNLIN_ENEWER);
  return doc;
}

static void write_to(dunlin_doc *doc) {
  struct dunlin_value v = {.kind = DUNLIN_INT, .as.integer = 1};
  int error = dunlin_begin(doc);
  CHECK(!error || error == DUNLIN_EINVAL); /* the actor has forked */
  if (error) return;
  (void)dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("written"), v);
  error = dunlin_commit(doc, 0, NULL);
  CHECK(error >= 0 || error == DUNLIN_ELIMIT || error == DUNLIN_ENEWER || error == DUNLIN_ECORRUPT);
}

/* All of the history is needed now; false when it is damaged. */
static bool is_whole(const struct dunlin_env *env, dunlin_doc *doc) {
  void *delta = NULL;
  size_t len = 0;
  int error = dunlin_doc_delta(doc, NULL, 0, &delta, &len);
  CHECK(!error || error == DUNLIN_ECORRUPT || error == DUNLIN_ELIMIT);
  dunlin_free(env, delta, len);
  return !error;
}

static void check_saved(const struct dunlin_env *env, const dunlin_doc *doc) {
  void *file = NULL, *again = NULL;
  size_t len = 0, again_len = 0;
  CHECK(!dunlin_doc_save(doc, &file, &len));
  dunlin_doc *other = opened(env, file, len);
  CHECK(other);
  struct dunlin_id a = fuzz_hash(doc), b = fuzz_hash(other); /* which needs the history: it is written anew */
  CHECK(!memcmp(&a, &b, sizeof a));
  CHECK(!dunlin_doc_save(other, &again, &again_len));
  CHECK(len == again_len && !memcmp(file, again, len));
  dunlin_free(env, file, len);
  dunlin_free(env, again, again_len);
  dunlin_doc_free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct seeded memory;
  seeded_init(&memory, 1);
  dunlin_doc *doc = opened(&memory.env, data, size);
  /* A container is some hundred bytes, and takes four in the file. */
  CHECK(memory.peak <= FUZZ_MEMORY + 256 * docfile_declared(data, size));
  if (doc) {
    write_to(doc);
    if (is_whole(&memory.env, doc)) {
      CHECK(!doc_check(doc, true));
      fuzz_read_doc(doc);
      check_saved(&memory.env, doc);
      int error = dunlin_doc_verify(doc);
      CHECK(!error || error == DUNLIN_ECORRUPT || error == DUNLIN_ELIMIT);
      fuzz_accepted++;
    }
  }
  dunlin_doc_free(doc);
  CHECK(!memory.live);
  return 0;
}

/* Each document compressed, and as it is, so that changes get to the columns. */
static void emit_saved(fuzz_emit *emit, void *ctx, const char *name, size_t history, bool packed) {
  struct seeded memory;
  void *file = NULL;
  size_t len = 0;
  seeded_init(&memory, 1);
  if (!packed) memory.env.compress = NULL;
  dunlin_doc *doc = fuzz_doc(&memory.env, 3);
  for (size_t i = 0; i < history; i++) CHECK(!dunlin_doc_apply(doc, fuzz_history(i).data, fuzz_history(i).len, NULL));
  CHECK(!dunlin_doc_save(doc, &file, &len));
  emit(ctx, name, (struct dunlin_bytes){file, len});
  dunlin_free(&memory.env, file, len);
  dunlin_doc_free(doc);
}

/* Text alone, by three actors: its history is decoded late. */
static void emit_text(fuzz_emit *emit, void *ctx, const char *name, bool packed) {
  static const char words[] = "far out in the uncharted backwaters of the unfashionable end";
  struct seeded memory;
  dunlin_doc *docs[3];
  dunlin_obj text;
  void *file = NULL;
  size_t len = 0;
  seeded_init(&memory, 1);
  if (!packed) memory.env.compress = NULL;
  for (uint8_t i = 0; i < 3; i++) docs[i] = fuzz_doc(&memory.env, (uint8_t)(i + 1));
  for (size_t i = 0; i < 12; i++) {
    dunlin_doc *doc = docs[i % 3];
    CHECK(!dunlin_begin(doc));
    text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
    size_t size = dunlin_text_size(doc, text);
    CHECK(!dunlin_text_splice(doc, text, size / 2, size / 7, words + i, 40));
    CHECK(dunlin_commit(doc, (int64_t)i, NULL) > 0);
    struct dunlin_bytes delta = fuzz_delta(doc);
    if (i % 2) CHECK(!dunlin_doc_apply(docs[(i + 1) % 3], delta.data, delta.len, NULL));
    dunlin_free(&memory.env, (void *)(uintptr_t)delta.data, delta.len);
  }
  CHECK(!dunlin_doc_save(docs[0], &file, &len));
  emit(ctx, name, (struct dunlin_bytes){file, len});
  dunlin_free(&memory.env, file, len);
  for (size_t i = 0; i < 3; i++) dunlin_doc_free(docs[i]);
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  static const char *const names[2][3] = {{"empty", "base", "all"}, {"empty-packed", "base-packed", "all-packed"}};
  for (size_t packed = 0; packed < 2; packed++) {
    emit_saved(emit, ctx, names[packed][0], 0, packed);
    emit_saved(emit, ctx, names[packed][1], 1, packed);
    emit_saved(emit, ctx, names[packed][2], FUZZ_HISTORY, packed);
    emit_text(emit, ctx, packed ? "text-packed" : "text", packed);
  }
}
