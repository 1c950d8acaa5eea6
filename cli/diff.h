/* What happened between two states of a document, as watch shows it. */
#ifndef CLI_DIFF_H
#define CLI_DIFF_H

#include <jansson.h>

/* Compares two trees of json_from_value(TEXTS_TAGGED), which stand at the JSON pointer `path`; NULL stands for nothing
 * there. Appends to the array `events`:
 *   {"path", "old", "new"}              anything that was written; "old" is missing when it is new, "new" when it is
 * gone
 *   {"path", "at", "delete", "insert"}  a text (characters, a string) or a list (elements, an array)
 * The spots of texts and lists are found by leaving out what is equal at the beginning and at the end. */
void diff(const char *path, size_t path_len, const json_t *before, const json_t *after, json_t *events);

#endif
