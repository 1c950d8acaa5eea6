/* Who wants to know of changes, and what has changed since they last asked.
 *
 * While there is a watch, the first write to a place notes what was there (a key's value, a counter's), and edits of
 * sequences are noted as splices.  dunlin_next_event() compares that with what is there now: so a change that was taken
 * back, and one that changes nothing, are no events, whatever way they went.
 *
 * Notes never fail: without memory everything counts as changed (DUNLIN_EVENT_RESET). */
#ifndef CRDT_WATCH_H
#define CRDT_WATCH_H

#include <dunlin/events.h>

#include "crdt/splices.h"

struct container;
struct text;

/* What is known about a container that was written to since the last look. */
struct watch_note {
  unsigned origin;
  uint32_t before; /* of a container with one value: which note says what it was */
  struct splices splices;
  uint32_t marked; /* text.marked at the last look */
  bool marks;      /* marks have changed, whatever that says */
};

/* The open change is about to write to the container; to that key of it; to that element, at `at`. */
void watch_touch(dunlin_doc *doc, uint32_t container);
void watch_key(dunlin_doc *doc, uint32_t container, uint32_t entry);
void watch_item(dunlin_doc *doc, const struct container *list, uint32_t at, uint32_t element);
/* A text is about to be replaced by one that was made anew. */
void watch_replaced(const dunlin_doc *doc, struct container *container, struct text *now);
/* The document was made again, and `old` is what it was: with the same containers, which showed something else.
 * watch_compare.c */
void watch_compare(dunlin_doc *doc, dunlin_doc *old);
/* What shows has changed in a way that nobody has noted. */
void watch_lost(dunlin_doc *doc);
void watch_free(dunlin_doc *doc);
void watch_note_free(dunlin_doc *doc, struct container *container);

#endif
