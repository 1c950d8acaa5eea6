/* Cursors from anybody.  What is accepted is written back as it was; in a document it is at a place of the text or
 * list, or refused, and at the same place in another document that has got the same changes otherwise.  A cursor of
 * this version that is made there is there.
 *
 * Input: a byte for the container; then the cursor, in which a mark (fuzz.h) stands for the id of a change, by its
 * number. */
#include <dunlin/cursor.h>

#include "crdt/internal.h"
#include "test/fuzz/fuzz_doc.h"

static struct dunlin_bytes known(void *ctx, uint8_t which) {
  const dunlin_doc *doc = ctx;
  static struct dunlin_change_info info;
  CHECK(!dunlin_doc_change_at(doc, which % dunlin_doc_changes(doc), &info));
  return (struct dunlin_bytes){info.id.bytes, sizeof info.id.bytes};
}

static dunlin_doc *with_history(const struct dunlin_env *env, size_t deltas) {
  dunlin_doc *doc = fuzz_doc(env, 3);
  for (size_t i = 0; i < deltas; i++) CHECK(!dunlin_doc_apply(doc, fuzz_history(i).data, fuzz_history(i).len, NULL));
  return doc;
}

static size_t size_of(const dunlin_doc *doc, dunlin_obj obj) {
  return doc->containers[obj.index]->kind == DUNLIN_TEXT ? dunlin_text_size(doc, obj) : dunlin_list_size(doc, obj);
}

/* Where the container of `doc` is in the other one. */
static dunlin_obj in_other(const dunlin_doc *doc, dunlin_obj obj, const dunlin_doc *other) {
  uint32_t index = container_find(other, &doc->containers[obj.index]->id);
  CHECK(index != IDMAP_NONE);
  return (dunlin_obj){.index = index};
}

static void check_place(dunlin_doc *doc, dunlin_obj obj, const struct dunlin_cursor *cursor) {
  struct dunlin_cursor made;
  size_t at = SIZE_MAX, again = SIZE_MAX;
  int error = dunlin_cursor_at(doc, obj, cursor, &at);
  CHECK(!error || error == DUNLIN_EKIND || error == DUNLIN_ENOENT || error == DUNLIN_ERANGE);
  dunlin_doc *other = fuzz_reopen(doc->env, doc, 4);
  CHECK(dunlin_cursor_at(other, in_other(doc, obj, other), cursor, &again) == error && again == at);
  dunlin_doc_free(other);
  if (error) return;
  CHECK(at <= size_of(doc, obj));
  CHECK(!dunlin_cursor_make(doc, obj, at, cursor->side, &made));
  CHECK(!dunlin_cursor_at(doc, obj, &made, &again) && again == at);
  fuzz_accepted++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct seeded memory;
  struct fuzz_in in = fuzz_in_of(data, size);
  struct dunlin_cursor cursor;
  uint8_t saved[DUNLIN_CURSOR_BYTES];
  seeded_init(&memory, 1);
  dunlin_doc *doc = with_history(&memory.env, FUZZ_HISTORY);
  dunlin_obj obj = {.index = fuzz_byte(&in) % (uint32_t)doc->container_count};
  struct buf bytes = fuzz_substitute(fuzz_rest(&in), known, doc);
  int error = dunlin_cursor_load(bytes.data, bytes.len, &cursor);
  CHECK(!error || error == DUNLIN_EFORMAT);
  if (!error) {
    CHECK(dunlin_cursor_save(&cursor, saved) == bytes.len && !memcmp(saved, bytes.data, bytes.len));
    check_place(doc, obj, &cursor);
    CHECK(!doc_check(doc, true));
  }
  buf_free(&bytes);
  dunlin_doc_free(doc);
  CHECK(!memory.live && memory.peak <= FUZZ_MEMORY);
  return 0;
}

/* A cursor in the middle of each text and list, of the document when it had got so many deltas. */
static void emit_cursors(fuzz_emit *emit, void *ctx, size_t deltas) {
  dunlin_doc *then = with_history(dunlin_env_default(), deltas),
             *now = with_history(dunlin_env_default(), FUZZ_HISTORY);
  for (uint32_t i = 0; i < then->container_count; i++) {
    struct dunlin_cursor cursor;
    dunlin_obj obj = {.index = i}, later = in_other(then, obj, now);
    struct buf input = fuzz_buf();
    char name[24];
    if (!sequence_of(then->containers[i])) continue;
    size_t size = size_of(then, obj);
    CHECK(!dunlin_cursor_make(then, obj, size / 2, i % 2 ? DUNLIN_LEFT : DUNLIN_RIGHT, &cursor));
    fuzz_put_byte(&input, (uint8_t)later.index);
    fuzz_put_byte(&input, 1);
    fuzz_put_byte(&input, (uint8_t)cursor.side);
    uint8_t place[4];
    put_be32(place, cursor.place);
    buf_append(&input, place, sizeof place);
    for (uint32_t k = 0; k < cursor.count; k++) {
      struct dunlin_change_info info;
      uint8_t change = 0;
      while (!dunlin_doc_change_at(now, change, &info) && id_compare(&info.id, &cursor.heads[k])) change++;
      fuzz_put_mark(&input, change);
    }
    snprintf(name, sizeof name, "%zu-%u", deltas, i);
    fuzz_emit_buf(emit, ctx, name, &input);
  }
  dunlin_doc_free(then);
  dunlin_doc_free(now);
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  for (size_t deltas = 1; deltas <= FUZZ_HISTORY; deltas++) emit_cursors(emit, ctx, deltas);
}
