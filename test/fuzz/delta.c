/* A delta from anybody: dunlin_doc_apply() either refuses it and leaves the document as it was, to the byte of memory,
 * or takes it, and then the document can be read in full, written out, and read back equal.  Either way it needs little
 * memory, and the document agrees with itself.
 *
 * Input: one byte, how many deltas of the history the document holds before; the rest is the delta. */
#include "test/fuzz/fuzz_doc.h"

#include "crdt/internal.h"

static void check_refused(const dunlin_doc *doc, const struct dunlin_id *before, size_t changes, size_t pending) {
  struct dunlin_id after = fuzz_hash(doc);
  CHECK(!memcmp(before, &after, sizeof after));
  CHECK(dunlin_doc_changes(doc) == changes && dunlin_doc_pending(doc) == pending);
}

static void check_taken(const struct dunlin_env *env, dunlin_doc *doc, const uint8_t *delta, size_t len) {
  struct dunlin_applied again;
  fuzz_read_doc(doc);
  dunlin_doc_free(fuzz_reopen(env, doc, 8));
  struct dunlin_id before = fuzz_hash(doc);
  size_t changes = dunlin_doc_changes(doc), pending = dunlin_doc_pending(doc);
  CHECK(!dunlin_doc_apply(doc, delta, len, &again) && !again.applied);
  check_refused(doc, &before, changes, pending);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_in in = fuzz_in_of(data, size);
  struct seeded memory;
  struct dunlin_applied applied;
  seeded_init(&memory, 1);
  dunlin_doc *doc = fuzz_doc(&memory.env, 9);
  size_t history = fuzz_below(&in, FUZZ_HISTORY + 1);
  for (size_t i = 0; i < history; i++) {
    struct dunlin_bytes delta = fuzz_history(i);
    CHECK(!dunlin_doc_apply(doc, delta.data, delta.len, NULL));
  }
  buf_free(&doc->intake); /* what deltas are read with stays for the next one */
  struct dunlin_id before = fuzz_hash(doc);
  size_t changes = dunlin_doc_changes(doc), pending = dunlin_doc_pending(doc), live = memory.live;
  memory.peak = live;
  int error = dunlin_doc_apply(doc, in.at, in.left, &applied);
  CHECK(error <= 0 && error != DUNLIN_ENOMEM);
  CHECK(memory.peak - live <= FUZZ_MEMORY);
  if (error) {
    buf_free(&doc->intake);
    CHECK(memory.live == live);
    check_refused(doc, &before, changes, pending);
  } else {
    CHECK(dunlin_doc_changes(doc) == changes + applied.applied);
    check_taken(&memory.env, doc, in.at, in.left);
    fuzz_accepted += applied.applied > 0;
  }
  CHECK(!doc_check(doc, true));
  dunlin_doc_free(doc);
  CHECK(!memory.live);
  return 0;
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  static const char *const names[] = {"base", "left", "right", "together"};
  struct buf input = fuzz_buf();
  for (size_t i = 0; i < FUZZ_HISTORY; i++) {
    struct dunlin_bytes delta = fuzz_history(i);
    buf_clear(&input);
    fuzz_put_byte(&input, (uint8_t)i);
    buf_append(&input, delta.data, delta.len);
    emit(ctx, names[i], (struct dunlin_bytes){input.data, input.len});
  }
  dunlin_doc *doc = fuzz_doc(NULL, 3);
  for (size_t i = 0; i < FUZZ_HISTORY; i++)
    CHECK(!dunlin_doc_apply(doc, fuzz_history(i).data, fuzz_history(i).len, NULL));
  struct dunlin_bytes all = fuzz_delta(doc);
  buf_clear(&input);
  fuzz_put_byte(&input, 0);
  buf_append(&input, all.data, all.len);
  dunlin_free(NULL, (void *)(uintptr_t)all.data, all.len);
  dunlin_doc_free(doc);
  fuzz_emit_buf(emit, ctx, "all", &input);
}
