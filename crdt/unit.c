/* Positions in texts in the unit that the app counts in: Unicode scalar values, bytes of UTF-8 or units of UTF-16. */
#include "crdt/internal.h"

static enum rope_unit rope_unit_of(enum dunlin_unit unit) {
  return unit == DUNLIN_UTF8 ? ROPE_UTF8 : unit == DUNLIN_UTF16 ? ROPE_UTF16 : ROPE_CHARACTERS;
}

/* Whether units are scalar values.  So they are too while all text is ASCII, and in a transaction on an earlier
 * version, which is not what the text shows. */
static bool counts_scalars(const dunlin_doc *doc, enum dunlin_unit unit) {
  bool earlier = doc->open.is_open && doc->open.is_local && !doc->graph.open.builds_on_all;
  return unit == DUNLIN_SCALARS || !doc->text_wide || earlier;
}

int unit_convert(dunlin_doc *doc, struct container *c, size_t at, size_t *character) {
  if (counts_scalars(doc, doc->unit)) return 0;
  struct text *text = &c->as.text->text;
  int error = text_flush(text, &doc->text);
  if (error) return error;
  enum rope_unit unit = rope_unit_of(doc->unit);
  *character = rope_convert(&text->rope, unit, ROPE_CHARACTERS, at);
  return rope_convert(&text->rope, ROPE_CHARACTERS, unit, *character) == at ? 0 : DUNLIN_ERANGE;
}

int unit_out(dunlin_doc *doc, struct container *c, size_t *at) {
  if (counts_scalars(doc, doc->unit)) return 0;
  int error = text_flush(&c->as.text->text, &doc->text);
  if (!error) *at = rope_convert(&c->as.text->text.rope, ROPE_CHARACTERS, rope_unit_of(doc->unit), *at);
  return error;
}

int dunlin_doc_set_unit(dunlin_doc *doc, enum dunlin_unit unit) {
  if ((unsigned)unit > DUNLIN_UTF16) return DUNLIN_EINVAL;
  if (doc->open.is_open || doc->watch) return DUNLIN_ESTATE;
  doc->unit = unit;
  return 0;
}

int dunlin_text_convert(const dunlin_doc *shown, dunlin_obj text, enum dunlin_unit from, size_t at, enum dunlin_unit to,
                        size_t *out) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown; /* what waits to be shown is no part of the state */
  struct container *c = container_of(doc, text, DUNLIN_TEXT);
  if ((unsigned)from > DUNLIN_UTF16 || (unsigned)to > DUNLIN_UTF16) return DUNLIN_EINVAL;
  int error = c ? container_show(doc, text.index) : DUNLIN_EKIND;
  if (!error) error = text_flush(&c->as.text->text, &doc->text);
  if (error) return error;
  const struct rope *rope = &c->as.text->text.rope;
  size_t character = rope_convert(rope, rope_unit_of(from), ROPE_CHARACTERS, at);
  if (rope_convert(rope, ROPE_CHARACTERS, rope_unit_of(from), character) != at) return DUNLIN_ERANGE;
  *out = rope_convert(rope, ROPE_CHARACTERS, rope_unit_of(to), character);
  return 0;
}

enum dunlin_unit dunlin_doc_unit(const dunlin_doc *doc) {
  return doc->unit;
}
