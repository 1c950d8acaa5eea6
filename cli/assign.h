/* Making a place in a document equal to a JSON value by writing only what differs, so that what others write beside it
 * stays, and what is equal already makes no change. */
#ifndef CLI_ASSIGN_H
#define CLI_ASSIGN_H

#include "cli/place.h"

/* `json` has passed json_check().  An object makes a map, an array a list; a container of that kind that is there
 * already is kept, and its content changed.  A text or a counter stays when it equals the string or number, else a
 * scalar takes its place.  The root takes objects only.  Gives errors of the library. */
int assign(dunlin_doc *doc, const struct place *place, const json_t *json);

#endif
