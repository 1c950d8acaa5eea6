#include "crdt/text.h"

#include <assert.h>
#include <string.h>

void text_init(struct text *text, const struct dunlin_env *env) {
  *text = (struct text){.size = 0};
  rope_init(&text->rope, env);
  buf_init(&text->erased, env, SIZE_MAX / 2);
}

void text_free(struct text *text) {
  ENV_FREE_ARRAY(text->rope.env, text->undos, text->undo_cap);
  buf_free(&text->erased);
  rope_free(&text->rope);
}

/* ---- Bringing edits into the rope --------------------------------------------------------------------------- */

/* Splits an edit at `len`: the first part is given back, `edit` becomes the rest. */
static struct text_edit take_front(struct text_edit *edit, const struct text_edit *front) {
  struct text_edit first = *front;
  if (edit->what == TEXT_INSERT) {
    edit->pos += first.len;
    edit->at += first.bytes;
    edit->bytes -= first.bytes;
  } else if (edit->pos < first.pos) {
    first.pos = edit->pos + (edit->len - first.len); /* backwards: its own part lies behind what came later */
  }
  edit->len -= first.len;
  if (!edit->len) edit->what = TEXT_NOTHING;
  return first;
}

static int into_rope(struct text *text, const struct column *column, const struct text_edit *edit) {
  if (edit->what == TEXT_INSERT)
    return rope_insert(&text->rope, edit->pos, column_at(column, edit->at), edit->bytes, edit->len);
  if (edit->what == TEXT_ERASE) rope_delete(&text->rope, edit->pos, edit->len);
  return 0;
}

/* The same with a note of how to take it back. */
static int into_rope_noted(struct text *text, const struct column *column, const struct text_edit *edit) {
  if (ENV_GROW(text->rope.env, text->undos, text->undo_cap, text->undo_count + 1)) return DUNLIN_ENOMEM;
  struct text_undo undo = {edit->pos, edit->len, 0};
  if (edit->what == TEXT_ERASE) {
    size_t before = text->erased.len;
    rope_take(&text->rope, edit->pos, edit->len, &text->erased);
    if (text->erased.error) return text->erased.error;
    undo.bytes = (uint32_t)(text->erased.len - before);
  } else {
    int error = into_rope(text, column, edit);
    if (error) return error;
  }
  text->undos[text->undo_count++] = undo;
  return 0;
}

/* What was there before the change was opened goes without a note, the rest with one. */
static int flush(struct text *text, const struct column *column) {
  if (text->before.what) {
    struct text_edit rest = text->last, front = take_front(&rest, &text->before);
    int error = into_rope(text, column, &front);
    if (error) return error;
    text->last = rest;
    text->before.what = TEXT_NOTHING;
  }
  if (!text->last.what) return 0;
  int error = text->is_open ? into_rope_noted(text, column, &text->last) : into_rope(text, column, &text->last);
  if (!error) text->last.what = TEXT_NOTHING;
  return error;
}

/* ---- Edits -------------------------------------------------------------------------------------------------- */

int text_insert(struct text *text, const struct column *column, uint32_t pos, uint32_t len, uint32_t at,
                uint32_t bytes) {
  struct text_edit *last = &text->last;
  if (text->splices) splices_insert(text->splices, pos, len);
  if (last->what == TEXT_INSERT && pos == last->pos + last->len && at == last->at + last->bytes) {
    last->len += len;
    last->bytes += bytes;
  } else {
    int error = flush(text, column);
    if (error) return error;
    *last = (struct text_edit){TEXT_INSERT, pos, len, at, bytes};
  }
  text->size += len;
  return 0;
}

/* Takes the characters just inserted back, when it is their end that is erased and they have not reached the rope. */
static bool erase_inserted(struct text *text, const struct column *column, uint32_t pos, uint32_t len) {
  struct text_edit *last = &text->last;
  uint32_t keep = text->before.what ? text->before.len : 0;
  if (last->what != TEXT_INSERT || pos + len != last->pos + last->len || pos < last->pos + keep) return false;
  if (last->bytes == last->len) {
    last->bytes -= len;
  } else {
    const uint8_t *start = column_at(column, last->at);
    for (uint32_t i = 0; i < len; i++) do
        last->bytes--;
      while ((start[last->bytes] & 0xc0u) == 0x80u);
  }
  last->len -= len;
  if (!last->len) last->what = TEXT_NOTHING;
  return true;
}

int text_erase(struct text *text, const struct column *column, uint32_t pos, uint32_t len) {
  struct text_edit *last = &text->last;
  if (text->splices) splices_erase(text->splices, pos, len);
  if (last->what == TEXT_ERASE && pos == last->pos && !(text->before.what && text->before.pos > pos)) {
    last->len += len;
  } else if (last->what == TEXT_ERASE && pos + len == last->pos &&
             !(text->before.what && last->len > text->before.len && text->before.pos == last->pos)) {
    last->pos = pos;
    last->len += len;
  } else if (!erase_inserted(text, column, pos, len)) {
    int error = flush(text, column);
    if (error) return error;
    *last = (struct text_edit){TEXT_ERASE, pos, len, 0, 0};
  }
  text->size -= len;
  return 0;
}

/* ---- The open change ---------------------------------------------------------------------------------------- */

void text_open(struct text *text) {
  text->is_open = true;
  text->before = text->last;
  text->size_before = text->size;
  if (text->splices) splices_open(text->splices);
}

static void close_notes(struct text *text) {
  enum { keep = 64 }; /* bytes, so that a small change needs no new memory */
  text->is_open = false;
  text->before.what = TEXT_NOTHING;
  text->undo_count = 0;
  if (text->erased.cap > keep) buf_free(&text->erased);
  else buf_clear(&text->erased);
}

void text_settle(struct text *text) {
  enum { most = 16 }; /* spare leaves that are not worth giving back */
  close_notes(text);
  if (text->rope.spare_leaf_count > most) rope_trim(&text->rope);
}

void text_revert(struct text *text, const struct column *column) {
  (void)column;
  text->last = text->before; /* nothing, when it is in the rope */
  while (text->undo_count) {
    struct text_undo *u = &text->undos[--text->undo_count];
    if (!u->bytes) {
      rope_delete(&text->rope, u->pos, u->len);
      continue;
    }
    text->erased.len -= u->bytes;
    int error = rope_insert(&text->rope, u->pos, text->erased.data + text->erased.len, u->bytes, u->len);
    assert(!error); /* the rope has kept the memory */
    (void)error;
  }
  text->size = text->size_before;
  if (text->splices) splices_revert(text->splices);
  text->erased.error = 0;
  close_notes(text);
}

/* ---- Reading ------------------------------------------------------------------------------------------------ */

size_t text_bytes(const struct text *text) {
  size_t bytes = rope_bytes(&text->rope);
  if (text->last.what == TEXT_INSERT) bytes += text->last.bytes;
  if (text->last.what == TEXT_ERASE) bytes -= rope_measure(&text->rope, text->last.pos, text->last.len);
  return bytes;
}

/* The rope's pieces from scalar position `pos` on, `bytes` of them. */
static void each_piece(const struct rope *rope, size_t pos, size_t bytes,
                       void (*each)(void *ctx, const void *utf8, size_t bytes), void *ctx) {
  struct rope_reader reader;
  const uint8_t *piece;
  size_t size;
  if (!bytes) return;
  rope_reader_init(&reader, rope, pos);
  while (bytes && (size = rope_read(&reader, &piece))) {
    if (size > bytes) size = bytes;
    each(ctx, piece, size);
    bytes -= size;
  }
}

void text_each(const struct text *text, const struct column *column,
               void (*each)(void *ctx, const void *utf8, size_t bytes), void *ctx) {
  const struct text_edit *last = &text->last;
  size_t all = rope_bytes(&text->rope);
  if (!last->what) {
    each_piece(&text->rope, 0, all, each, ctx);
    return;
  }
  size_t front = rope_measure(&text->rope, 0, last->pos), gap = 0;
  each_piece(&text->rope, 0, front, each, ctx);
  if (last->what == TEXT_INSERT) each(ctx, column_at(column, last->at), last->bytes);
  else gap = rope_measure(&text->rope, last->pos, last->len);
  each_piece(&text->rope, last->pos + (last->what == TEXT_ERASE ? last->len : 0), all - front - gap, each, ctx);
}

int text_each_in(struct text *text, const struct column *column, uint32_t at, uint32_t len,
                 void (*each)(void *ctx, const void *utf8, size_t bytes), void *ctx) {
  int error = flush(text, column);
  if (!error) each_piece(&text->rope, at, rope_measure(&text->rope, at, len), each, ctx);
  return error;
}

static void append(void *ctx, const void *utf8, size_t bytes) {
  uint8_t **out = ctx;
  memcpy(*out, utf8, bytes);
  *out += bytes;
}

void text_copy(const struct text *text, const struct column *column, void *out) {
  uint8_t *at = out;
  text_each(text, column, append, &at);
}

int text_check(const struct text *text, bool deep) {
  if (rope_check(&text->rope, deep)) return DUNLIN_ECORRUPT;
  size_t size = rope_size(&text->rope);
  if (text->last.what == TEXT_INSERT) size += text->last.len;
  if (text->last.what == TEXT_ERASE) size -= text->last.len;
  return size == text->size ? 0 : DUNLIN_ECORRUPT;
}
