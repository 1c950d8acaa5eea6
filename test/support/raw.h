/* Operations as they are in changes, which say what the calls for applications never do. */
#ifndef TEST_SUPPORT_RAW_H
#define TEST_SUPPORT_RAW_H

#include "crdt/internal.h"

#include "test/support/support.h"

/* One operation on a text, in the open transaction: its index counts anchors.  What is inserted is `letter`. */
static inline void apply_letter(dunlin_doc *doc, dunlin_obj text, uint8_t kind, uint32_t at, char letter) {
  struct op op = {.kind = kind, .container = text.index, .a = at, .len = 1, .at = column_end(&doc->values)};
  uint32_t made;
  if (op_starts_mark(kind)) {
    mp_write_str(&doc->values.buf, "b", 1);
    mp_write_uint(&doc->values.buf, 7);
  } else if (kind == OP_TEXT_INSERT) {
    op.at = column_end(&doc->text);
    op.bytes = 1;
    buf_append(&doc->text.buf, &letter, 1);
  }
  OK(apply_op(doc, &op, &made));
}
static inline void apply_raw(dunlin_doc *doc, dunlin_obj text, uint8_t kind, uint32_t at) {
  apply_letter(doc, text, kind, at, '!');
}

#endif
