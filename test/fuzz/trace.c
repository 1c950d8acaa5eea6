/* A file of an editing trace, plain or gzipped: in what trace_read() accepts every reference is in range, and a
 * sequential trace can be replayed on a text without an error.
 *
 * Input: the file. */
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/trace.h"
#include "test/fuzz/fuzz_doc.h"

static void check_references(const struct trace *t) {
  for (size_t i = 0; i < t->txn_count; i++) {
    const struct trace_txn *txn = &t->txns[i];
    CHECK(txn->agent < t->agents && txn->parents <= t->parent_count && txn->patches <= t->patch_count);
    CHECK(txn->parent_count <= t->parent_count - txn->parents && txn->patch_count <= t->patch_count - txn->patches);
    for (uint32_t k = 0; k < txn->parent_count; k++) CHECK(t->parents[txn->parents + k] < i);
  }
  for (size_t i = 0; i < t->patch_count; i++)
    CHECK(t->patches[i].offset <= t->text_len && t->patches[i].len <= t->text_len - t->patches[i].offset);
}

static void replay(const struct trace *t) {
  dunlin_doc *doc = fuzz_doc(NULL, 1);
  dunlin_obj text;
  CHECK(!dunlin_begin(doc));
  text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  CHECK(!dunlin_text_splice(doc, text, 0, 0, t->start, t->start_len));
  for (size_t i = 0; i < t->patch_count; i++) {
    const struct trace_patch *p = &t->patches[i];
    CHECK(!dunlin_text_splice(doc, text, p->at, p->remove, p->len ? t->text + p->offset : "", p->len));
  }
  CHECK(dunlin_commit(doc, 0, NULL) == 1);
  dunlin_doc_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct dunlin_why why = {""};
  struct trace *trace = NULL;
  char path[64];
  int fd = memfd_create("trace", MFD_CLOEXEC);
  CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int error = trace_read(path, &trace, &why);
  CHECK(error <= 0 && (!error || why.text[0]));
  if (!error) {
    check_references(trace);
    if (!trace->concurrent) replay(trace);
    trace_free(trace);
    fuzz_accepted++;
  }
  close(fd);
  return 0;
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  static const char sequential[] = "{\"startContent\": \"a\\u00e9\", \"endContent\": \"xy\", \"txns\": [{\"patches\": "
                                   "[[1, 1, \"b\"], [0, 0, \"x\\ud83e\\udd86\"]]}, {\"patches\": [[2, 1, \"\"]]}]}";
  static const char concurrent[] =
      "{\"kind\": \"concurrent\", \"endContent\": \"ab\", \"numAgents\": 2, \"txns\": [{\"parents\": [], \"agent\": 0, "
      "\"patches\": [[0, 0, \"a\"]]}, {\"parents\": [0], \"agent\": 1, \"patches\": [[1, 0, \"b\"]]}, {\"parents\": "
      "[0, 1], "
      "\"agent\": 0, \"patches\": []}]}";
  uint8_t packed[1024];
  z_stream z = {.next_in = (Bytef *)(uintptr_t)sequential,
                .avail_in = sizeof sequential - 1,
                .next_out = packed,
                .avail_out = sizeof packed};
  emit(ctx, "sequential", (struct dunlin_bytes){sequential, sizeof sequential - 1});
  emit(ctx, "concurrent", (struct dunlin_bytes){concurrent, sizeof concurrent - 1});
  CHECK(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK &&
        deflate(&z, Z_FINISH) == Z_STREAM_END);
  emit(ctx, "gzipped", (struct dunlin_bytes){packed, sizeof packed - z.avail_out});
  deflateEnd(&z);
}
