/* dunlin slices - a part of a document for one part of an app.
 *
 * A slice is a path, and what lies below it.  Whoever has the slice and not the document can read, write and follow
 * what is in it, by paths that begin there, and nothing else.  It is a way of dividing work inside a program, not a
 * right that peers would know of.
 *
 * Paths are JSON pointers (RFC 6901), as in plain.h.
 */
#ifndef DUNLIN_SLICE_H
#define DUNLIN_SLICE_H

#include <dunlin/events.h>
#include <dunlin/plain.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dunlin_slice dunlin_slice;

/* The part of the document at `path`, through keys of maps; nothing needs to be there yet.  The document must outlive
 * it.  DUNLIN_EPATH: no JSON pointer, or the empty one; DUNLIN_ENOMEM. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_slice_new(dunlin_doc *doc, struct dunlin_bytes path, dunlin_slice **out);
/* A part of the part.  It is independent of the slice that it was made from. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_slice_part(const dunlin_slice *slice, struct dunlin_bytes path,
                                                 dunlin_slice **out);
DUNLIN_API void dunlin_slice_free(dunlin_slice *slice);

/* As dunlin_path_get(); a container comes without its handle (DUNLIN_NONE), since that would lead out of the slice. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_slice_get(const dunlin_slice *slice, struct dunlin_bytes path,
                                                struct dunlin_value *out);
/* As dunlin_read_plain(), of the container at `path`.  DUNLIN_EPATH: nothing is there; DUNLIN_EKIND: no container. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_slice_read(const dunlin_slice *slice, struct dunlin_bytes path, void **out,
                                                 size_t *len);
/* Commits these operations as one change, all or none: as dunlin_commit(). */
DUNLIN_API DUNLIN_MUST_USE int dunlin_slice_apply(dunlin_slice *slice, const struct dunlin_path_op *ops, size_t count,
                                                  int64_t time);
/* As dunlin_watch(), for what changes at `path`. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_slice_watch(dunlin_slice *slice, struct dunlin_bytes path, uint64_t tag);
/* Whether an event that dunlin_next_event() gave is about something in the slice, or about a container on the way to
 * it, and then it becomes DUNLIN_EVENT_RESET: read the slice again.  Its path is counted from the slice then, and its
 * handle is DUNLIN_NONE. */
DUNLIN_API DUNLIN_MUST_USE bool dunlin_slice_event(const dunlin_slice *slice, struct dunlin_event *event);

#ifdef __cplusplus
}
#endif
#endif
