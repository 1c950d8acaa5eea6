/* dunlin events - what has changed in a document since you last looked, so that a view can follow it.
 *
 * Events are pulled; nothing calls back.  An app says what it watches, and then, at a moment of its choice, takes
 * events until there are no more:
 *
 *     struct dunlin_event event;
 *     while (dunlin_next_event(doc, &event) > 0) ...
 *
 * All that happened between two such moments is told as one: pull after each commit and you get each commit's events,
 * pull once a frame and a thousand writes are one event.  What was changed and changed back is no event, nor is a write
 * of what was there.
 *
 * Events come container by container, outer ones first.  A view that starts as a copy of the watched part and applies
 * them in order is a copy of it afterwards.  About a container that has just come, only its coming is told: read what
 * is in it.
 */
#ifndef DUNLIN_EVENTS_H
#define DUNLIN_EVENTS_H

#include <dunlin/doc.h>

#ifdef __cplusplus
extern "C" {
#endif

enum dunlin_event_kind {
  DUNLIN_EVENT_KEY = 1,  /* the value of a map's key */
  DUNLIN_EVENT_ITEM,     /* the value of a list's element */
  DUNLIN_EVENT_SPLICE,   /* elements of a list, or characters of a text, went and came */
  DUNLIN_EVENT_CONFLICT, /* a key or element shows what it did, with more or fewer concurrent values beside it */
  DUNLIN_EVENT_MARKS,    /* marks of a text came or went: read its spans again */
  DUNLIN_EVENT_MEMBER,   /* a value came into a set (`after`) or left it (`before`) */
  DUNLIN_EVENT_VALUE,    /* a counter's value, or that of another container with one value */
  DUNLIN_EVENT_RESET,    /* there was no memory to say what happened: read all that is watched again */
};

/* Whose changes an event is about: bits, since it may be about several. */
enum { DUNLIN_ORIGIN_LOCAL = 1, DUNLIN_ORIGIN_REMOTE = 2, DUNLIN_ORIGIN_VOID = 4 /* dunlin_doc_set_void() */ };

struct dunlin_event {
  enum dunlin_event_kind kind;
  unsigned origin;
  uint64_t tag;             /* of the watch that asked for it */
  dunlin_obj obj;           /* the container that changed */
  struct dunlin_bytes path; /* JSON pointer (RFC 6901) from the root to the container, or to its key or element */
  struct dunlin_bytes key;  /* KEY, CONFLICT of a map */
  size_t at; /* ITEM, SPLICE, CONFLICT of a list: index in what shows once the events before this one are applied */
  size_t removed, inserted; /* SPLICE: at `at`, first these went, then those came */
  struct dunlin_bytes text; /* SPLICE of a text: what came, as UTF-8 */
  bool had, has;            /* all but SPLICE: whether there was a value before, and is one now */
  struct dunlin_value before, after;
  size_t conflicts; /* KEY, ITEM, CONFLICT: how many concurrent values there are now; 1 when there is no conflict */
};

/* From now on, what changes at `path` below the container `base`, or anywhere inside, gives events with that tag; and
 * so does what replaces a container on the way.  The path is a JSON pointer through keys of maps ("" is `base` itself)
 * and need not exist yet; through lists there is none, because indexes change: watch a container in a list by its
 * handle.  The number of the watch, which is not negative, or an error: DUNLIN_EPATH (no JSON pointer, or one through
 * more than DUNLIN_MAX_DEPTH keys), DUNLIN_EINVAL (`base` is DUNLIN_NONE), DUNLIN_ESTATE inside a transaction,
 * DUNLIN_ENOMEM. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_watch(dunlin_doc *doc, dunlin_obj base, struct dunlin_bytes path, uint64_t tag);
/* Ends a watch: no event with its tag comes any more, unless another watch has the same.  A number that is none does
 * nothing. */
DUNLIN_API void dunlin_unwatch(dunlin_doc *doc, int watch);

/* The next event: 1, or 0 when there is none.  Each watch gets its own.  What the event points to lives until the next
 * call of this.  DUNLIN_ESTATE inside a transaction; DUNLIN_ENOMEM, and it can be tried again. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_next_event(dunlin_doc *doc, struct dunlin_event *out);

#ifdef __cplusplus
}
#endif
#endif
