/* dunlin cursors - places in texts and lists that stay what they are while others write.
 *
 * A cursor is a place between two items, kept with the version in which it was there.  It belongs to one text or list
 * and can be sent to other devices (dunlin_cursor_save()): where they have the version, it is the same place.
 */
#ifndef DUNLIN_CURSOR_H
#define DUNLIN_CURSOR_H

#include <dunlin/doc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a cursor keeps to. */
enum dunlin_side {
  DUNLIN_LEFT,  /* the item before it, or the beginning */
  DUNLIN_RIGHT, /* the item behind it, or the end */
};

#define DUNLIN_CURSOR_HEADS 8u
struct dunlin_cursor {
  enum dunlin_side side;
  uint32_t place; /* in that version; not what the app counts */
  uint32_t count; /* of heads */
  struct dunlin_id heads[DUNLIN_CURSOR_HEADS];
};

/* The cursor at position `at` of a text or list, in the document's unit.  DUNLIN_EKIND; DUNLIN_ERANGE; DUNLIN_ESTATE
 * inside a transaction; DUNLIN_ELIMIT: the document has more than DUNLIN_CURSOR_HEADS heads, and writing to it makes
 * them one. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_cursor_make(const dunlin_doc *doc, dunlin_obj obj, size_t at,
                                                  enum dunlin_side side, struct dunlin_cursor *out);
/* Where it is now.  When the item that it keeps to is gone: where that was.  DUNLIN_ENOENT: the document has not got
 * the version; DUNLIN_ERANGE: the place is not in the version, so it is not from a document like this one.  Takes no
 * time when nothing has been written to the text or list since, else that of going through what has. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_cursor_at(const dunlin_doc *doc, dunlin_obj obj,
                                                const struct dunlin_cursor *cursor, size_t *at);

/* The cursor as bytes (docs/format.md), at most DUNLIN_CURSOR_BYTES: how many. */
#define DUNLIN_CURSOR_BYTES (6u + 32u * DUNLIN_CURSOR_HEADS)
DUNLIN_API size_t dunlin_cursor_save(const struct dunlin_cursor *cursor, uint8_t *out);
/* DUNLIN_EFORMAT. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_cursor_load(const void *data, size_t len, struct dunlin_cursor *out);

#ifdef __cplusplus
}
#endif
#endif
