#include "crdt/text.h"

#include <assert.h>
#include <string.h>

void text_init(struct text *text, const struct dunlin_env *env) {
  *text = (struct text){.unit = ROPE_CHARACTERS};
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

/* Puts the pieces of the insertion that waits together. */
static const uint8_t *gather(const struct text *text, const struct column *column, uint8_t *out, uint32_t bytes) {
  uint8_t *to = out;
  for (uint32_t i = 0; i < text->part_count; i++) {
    const struct text_part *part = &text->parts[i];
    memcpy(to, column_at(column, part->at), part->bytes);
    to += part->bytes;
  }
  uint32_t rest = bytes - text->part_bytes;
  if (rest) memcpy(to, column_at(column, text->last.at), rest);
  return out;
}

static int into_rope(struct text *text, const struct column *column, const struct text_edit *edit) {
  if (text->part_count && edit->what == TEXT_INSERT) {
    uint8_t all[TEXT_GATHERED];
    int error = rope_insert(&text->rope, edit->pos, gather(text, column, all, edit->bytes), edit->bytes, edit->len);
    if (!error) text->part_count = text->part_bytes = 0;
    return error;
  }
  if (edit->what == TEXT_INSERT)
    return rope_insert(&text->rope, edit->pos, column_at(column, edit->at), edit->bytes, edit->len);
  if (edit->what == TEXT_ERASE) rope_delete(&text->rope, edit->pos, edit->len);
  return 0;
}

static int reserve_note(struct text *text) {
  return ENV_GROW(text->rope.env, text->undos, text->undo_cap, text->undo_count + 1) ? DUNLIN_ENOMEM : 0;
}

/* The same with a note of how to take it back. */
static int into_rope_noted(struct text *text, const struct column *column, const struct text_edit *edit) {
  if (reserve_note(text)) return DUNLIN_ENOMEM;
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
int text_flush(struct text *text, const struct column *column) {
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

static uint32_t rope_anchors_before(const struct rope *rope, uint32_t pos) {
  return pos - (uint32_t)rope_convert(rope, ROPE_SCALARS, ROPE_CHARACTERS, pos);
}

/* ---- Edits -------------------------------------------------------------------------------------------------- */

/* Those who watch in another unit than characters need the rope to count in, with all that came before. */
static int ready_to_note(struct text *text, const struct column *column) {
  return text->splices && text->unit != ROPE_CHARACTERS ? text_flush(text, column) : 0;
}

/* Note an edit for those who watch, in the unit in which they count.  It has not reached the rope, and cannot fail any
 * more. */
static void note_insert(struct text *text, const struct column *column, uint32_t pos, uint32_t len, uint32_t at,
                        uint32_t bytes) {
  if (text->unit == ROPE_CHARACTERS) {
    splices_insert(text->splices, pos - text_anchors_before(text, pos), len);
    return;
  }
  for (uint32_t i = 0; text->unit == ROPE_UTF16 && i < bytes; i++) len += *column_at(column, at + i) >= 0xf0;
  splices_insert(text->splices, (uint32_t)rope_convert(&text->rope, ROPE_SCALARS, text->unit, pos),
                 text->unit == ROPE_UTF8 ? bytes : len);
}

static void note_erase(struct text *text, uint32_t pos, uint32_t len, uint32_t before, uint32_t anchors) {
  if (text->unit == ROPE_CHARACTERS) {
    splices_erase(text->splices, pos - before, len - anchors);
    return;
  }
  size_t from = rope_convert(&text->rope, ROPE_SCALARS, text->unit, pos);
  size_t to = rope_convert(&text->rope, ROPE_SCALARS, text->unit, pos + len);
  splices_erase(text->splices, (uint32_t)from, (uint32_t)(to - from));
}

/* With many of them it is quicker to look at all anchors than to go through the notes. */
static void note_anchors(struct text *text, uint32_t rank, uint32_t gone, struct rope_anchor anchor) {
  struct anchor_notes *n = text->notes;
  if (n->is_lost) return;
  n->is_lost = n->count > 64 + text->anchors / 8 || gone > 64 + text->anchors / 8 ||
               ENV_GROW(text->rope.env, n->list, n->cap, n->count + 1);
  if (!n->is_lost) n->list[n->count++] = (struct anchor_note){rank, gone, text->marked, anchor};
}

/* Whether text from `at` of the column on can be one insertion with what waits, behind which it is inserted.  It lies
 * elsewhere when what was typed before it was taken back. */
static bool joins(struct text *text, uint32_t at, uint32_t bytes) {
  struct text_edit *last = &text->last;
  bool is_next = at == last->at + (last->bytes - text->part_bytes);
  if (is_next && !text->part_count) return true;
  /* What waited when the change was opened must not change then. */
  if (text->before.what || last->bytes + (uint64_t)bytes > TEXT_GATHERED) return false;
  if (is_next) return true;
  if (text->part_count == TEXT_PARTS) return false;
  text->parts[text->part_count++] = (struct text_part){last->at, last->bytes - text->part_bytes};
  text->part_bytes = last->bytes;
  last->at = at;
  return true;
}

int text_insert(struct text *text, const struct column *column, uint32_t pos, uint32_t len, uint32_t at,
                uint32_t bytes) {
  struct text_edit *last = &text->last;
  if (ready_to_note(text, column)) return DUNLIN_ENOMEM;
  if (last->what == TEXT_INSERT && pos == last->pos + last->len && joins(text, at, bytes)) {
    last->len += len;
    last->bytes += bytes;
  } else {
    int error = text_flush(text, column);
    if (error) return error;
    *last = (struct text_edit){TEXT_INSERT, pos, len, at, bytes};
  }
  if (text->splices) note_insert(text, column, pos, len, at, bytes);
  text->edits += text->anchors != 0;
  text->size += len;
  return 0;
}

/* Where nothing is left of the last piece of an insertion, the one before it is the last. */
static void drop_empty(struct text *text) {
  while (text->part_count && text->last.bytes <= text->part_bytes) {
    const struct text_part *part = &text->parts[--text->part_count];
    text->last.at = part->at;
    text->part_bytes -= part->bytes;
  }
}

/* Takes the characters just inserted back, when it is their end that is erased and they have not reached the rope. */
static bool erase_inserted(struct text *text, const struct column *column, uint32_t pos, uint32_t len) {
  struct text_edit *last = &text->last;
  uint32_t keep = text->before.what ? text->before.len : 0;
  if (last->what != TEXT_INSERT || pos + len != last->pos + last->len || pos < last->pos + keep) return false;
  bool ascii = last->bytes == last->len;
  if (ascii) last->bytes -= len;
  for (uint32_t i = 0; i < len && !ascii; i++) {
    do last->bytes--;
    while ((*column_at(column, last->at + (last->bytes - text->part_bytes)) & 0xc0u) == 0x80u);
    drop_empty(text);
  }
  drop_empty(text);
  last->len -= len;
  if (!last->len) last->what = TEXT_NOTHING;
  return true;
}

int text_erase(struct text *text, const struct column *column, uint32_t pos, uint32_t len) {
  struct text_edit *last = &text->last;
  uint32_t before = 0, anchors = 0;
  if (text->anchors) {
    before = text_anchors_before(text, pos);
    anchors = text_anchors_before(text, pos + len) - before;
  }
  if (ready_to_note(text, column)) return DUNLIN_ENOMEM;
  if (last->what == TEXT_ERASE && pos == last->pos && !(text->before.what && text->before.pos > pos)) {
    last->len += len;
  } else if (last->what == TEXT_ERASE && pos + len == last->pos &&
             !(text->before.what && last->len > text->before.len && text->before.pos == last->pos)) {
    last->pos = pos;
    last->len += len;
  } else if (!erase_inserted(text, column, pos, len)) {
    int error = text_flush(text, column);
    if (error) return error;
    *last = (struct text_edit){TEXT_ERASE, pos, len, 0, 0};
  }
  if (text->splices) note_erase(text, pos, len, before, anchors);
  text->size -= len;
  if (!text->anchors) return 0;
  if (text->notes && anchors) note_anchors(text, before, anchors, (struct rope_anchor){0});
  text->edits++;
  text->anchors -= anchors;
  text->marked += anchors;
  return 0;
}

int text_anchor(struct text *text, const struct column *column, uint32_t pos, struct rope_anchor anchor) {
  uint8_t bytes[ROPE_ANCHOR_BYTES];
  int error = text_flush(text, column);
  if (!error && text->is_open) error = reserve_note(text);
  rope_anchor_put(bytes, anchor);
  if (!error) error = rope_insert(&text->rope, pos, bytes, sizeof bytes, 1);
  if (error) return error;
  if (text->is_open) text->undos[text->undo_count++] = (struct text_undo){pos, 1, 0};
  if (text->notes) note_anchors(text, rope_anchors_before(&text->rope, pos), 0, anchor);
  text->size++;
  text->anchors++;
  text->marked++;
  text->edits++;
  return 0;
}

/* ---- The open change ---------------------------------------------------------------------------------------- */

void text_open(struct text *text) {
  text->is_open = true;
  text->before = text->last;
  text->size_before = text->size;
  if (text->splices) splices_open(text->splices);
  text->anchors_before = text->anchors;
  text->marked_before = text->marked;
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

/* What the open change has done to anchors is taken back; who has seen it has to look at all of them again. */
static void forget_notes(struct text *text) {
  struct anchor_notes *n = text->notes;
  n->is_lost |=
      n->looked - text->marked_before <= text->marked - text->marked_before && n->looked != text->marked_before;
  while (n->count && n->list[n->count - 1].marked - text->marked_before < text->marked - text->marked_before)
    n->count--;
}

void text_revert(struct text *text) {
  text->last = text->before; /* nothing, when it is in the rope */
  if (!text->before.what) text->part_count = text->part_bytes = 0;
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
  text->edits++;
  text->size = text->size_before;
  if (text->splices) splices_revert(text->splices);
  if (text->notes) forget_notes(text);
  text->anchors = text->anchors_before;
  text->marked = text->marked_before;
  text->erased.error = 0;
  close_notes(text);
}

/* ---- Positions ---------------------------------------------------------------------------------------------- */

/* Where a position that is not in what was inserted last lies in the rope. */
static uint32_t in_rope(const struct text *text, uint32_t pos) {
  const struct text_edit *last = &text->last;
  if (last->what == TEXT_NOTHING || pos < last->pos) return pos;
  return last->what == TEXT_ERASE ? pos + last->len : pos - last->len;
}

static bool in_last(const struct text *text, uint32_t pos) {
  return text->last.what == TEXT_INSERT && pos - text->last.pos < text->last.len;
}

uint32_t text_anchors_before(const struct text *text, uint32_t pos) {
  const struct text_edit *last = &text->last;
  if (!text->anchors) return 0;
  if (in_last(text, pos)) return rope_anchors_before(&text->rope, last->pos);
  uint32_t at = in_rope(text, pos), count = rope_anchors_before(&text->rope, at);
  if (at > pos)
    count -= rope_anchors_before(&text->rope, last->pos + last->len) - rope_anchors_before(&text->rope, last->pos);
  return count;
}

uint32_t text_entity(const struct text *text, uint32_t at) {
  const struct rope *rope = &text->rope;
  const struct text_edit *last = &text->last;
  if (!text->anchors) return at;
  if (last->what == TEXT_NOTHING) return (uint32_t)rope_convert(rope, ROPE_CHARACTERS, ROPE_SCALARS, at);
  uint32_t before = (uint32_t)rope_convert(rope, ROPE_SCALARS, ROPE_CHARACTERS, last->pos);
  if (at < before) return (uint32_t)rope_convert(rope, ROPE_CHARACTERS, ROPE_SCALARS, at);
  if (last->what == TEXT_INSERT) {
    if (at < before + last->len) return last->pos + (at - before);
    return (uint32_t)rope_convert(rope, ROPE_CHARACTERS, ROPE_SCALARS, at - last->len) + last->len;
  }
  uint32_t behind = (uint32_t)rope_convert(rope, ROPE_SCALARS, ROPE_CHARACTERS, last->pos + last->len);
  return (uint32_t)rope_convert(rope, ROPE_CHARACTERS, ROPE_SCALARS, at + (behind - before)) - last->len;
}

uint32_t text_anchor_place(const struct text *text, uint32_t rank) {
  return (uint32_t)rope_convert(&text->rope, ROPE_ANCHORS, ROPE_CHARACTERS, rank);
}

bool text_anchor_at(const struct text *text, uint32_t pos, struct rope_anchor *anchor) {
  return text->anchors && !in_last(text, pos) && rope_anchor_at(&text->rope, in_rope(text, pos), anchor);
}

struct anchor_visit {
  const struct text *text;
  rope_anchor_each *each;
  void *ctx;
  uint32_t from, to;
};

static int visit_anchor(void *ctx, uint32_t at, struct rope_anchor anchor) {
  struct anchor_visit *visit = ctx;
  const struct text_edit *last = &visit->text->last;
  if (last->what == TEXT_INSERT && at >= last->pos) at += last->len;
  if (last->what == TEXT_ERASE && at >= last->pos) {
    if (at - last->pos < last->len) return 0;
    at -= last->len;
  }
  return at >= visit->from && at < visit->to ? visit->each(visit->ctx, at, anchor) : 0;
}

int text_each_anchor(const struct text *text, uint32_t from, uint32_t to, rope_anchor_each *each, void *ctx) {
  struct anchor_visit visit = {text, each, ctx, from, to};
  if (!text->anchors) return 0;
  size_t low = in_last(text, from) ? text->last.pos : in_rope(text, from);
  return rope_each_anchor(&text->rope, low, (size_t)to + (text->last.what == TEXT_ERASE ? text->last.len : 0),
                          visit_anchor, &visit);
}

/* ---- Reading ------------------------------------------------------------------------------------------------ */

size_t text_bytes(const struct text *text) {
  size_t bytes = rope_bytes(&text->rope) - ROPE_ANCHOR_BYTES * (size_t)text->anchors;
  if (text->last.what == TEXT_INSERT) bytes += text->last.bytes;
  if (text->last.what == TEXT_ERASE) bytes -= rope_measure(&text->rope, text->last.pos, text->last.len);
  return bytes;
}

/* Leaves the anchors out of a piece. */
static void without_anchors(const uint8_t *piece, size_t size, void (*each)(void *ctx, const void *utf8, size_t bytes),
                            void *ctx) {
  size_t from = 0, at = 0;
  while (at < size) {
    if (piece[at] < 0xfe) {
      at++;
      continue;
    }
    if (at > from) each(ctx, piece + from, at - from);
    from = at += ROPE_ANCHOR_BYTES;
  }
  if (at > from) each(ctx, piece + from, at - from);
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
    if (rope_anchors(rope)) without_anchors(piece, size, each, ctx);
    else each(ctx, piece, size);
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
  for (uint32_t i = 0; i < text->part_count; i++) each(ctx, column_at(column, text->parts[i].at), text->parts[i].bytes);
  if (last->what == TEXT_INSERT) each(ctx, column_at(column, last->at), last->bytes - text->part_bytes);
  else gap = rope_measure(&text->rope, last->pos, last->len);
  each_piece(&text->rope, last->pos + (last->what == TEXT_ERASE ? last->len : 0), all - front - gap, each, ctx);
}

int text_each_in(struct text *text, const struct column *column, uint32_t at, uint32_t len,
                 void (*each)(void *ctx, const void *utf8, size_t bytes), void *ctx) {
  int error = text_flush(text, column);
  uint32_t from = text_entity(text, at), to = len ? text_entity(text, at + len - 1) + 1 : from;
  if (!error) each_piece(&text->rope, from, rope_measure(&text->rope, from, to - from), each, ctx);
  return error;
}

int text_take(struct text *text, const struct column *column, uint32_t at, uint32_t len, struct buf *out) {
  int error = text_flush(text, column);
  if (error) return error;
  uint8_t *bytes = buf_extend(out, rope_measure(&text->rope, at, len));
  if (bytes) rope_copy(&text->rope, at, len, bytes);
  return out->error;
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
  size_t anchors = rope_anchors(&text->rope);
  if (text->last.what == TEXT_ERASE)
    anchors -= rope_anchors_before(&text->rope, text->last.pos + text->last.len) -
               rope_anchors_before(&text->rope, text->last.pos);
  return size == text->size && anchors == text->anchors ? 0 : DUNLIN_ECORRUPT;
}
