/* JSON pointers (RFC 6901) and the places in a document that they name. */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include "cli/app.h"

/* "/a/b~1c" as the tokens "a", "b/c"; none is the root. */
struct pointer {
  const char *text; /* as it was given */
  size_t count;
  char **tokens;
};

/* 0, or an exit status after having reported. `text` must outlive the pointer. */
int pointer_parse(struct app *app, const char *text, struct pointer *out);
void pointer_free(struct pointer *pointer);
/* Appends "/token" with '~' and '/' escaped; takes and gives strings for free(), NULL when out of memory. */
char *pointer_append(char *pointer, const char *token, size_t len, size_t *pointer_len);

/* Where a value is or could be: a key of a map, an element of a list, behind the end of a list, or the root. */
struct place {
  bool root, append, exists;
  enum dunlin_kind parent_kind; /* DUNLIN_MAP or DUNLIN_LIST, unless it is the root */
  dunlin_obj parent;
  struct dunlin_bytes key;
  size_t index;
  struct dunlin_value value; /* when it exists */
};

struct place place_root(void);
struct place place_key(const dunlin_doc *doc, dunlin_obj map, const void *key, size_t len);
struct place place_element(const dunlin_doc *doc, dunlin_obj list, size_t index);

/* Reads the index of a list element: a decimal number without sign or leading zeros, as RFC 6901 wants it. */
bool place_index(const char *token, size_t *out);

/* Finds the place that the pointer names.  A path through a scalar and an index out of range are errors.  With
 * `create`, maps that are missing on the way are made; else what is missing on the way is an error.  The place itself
 * may be empty. Its key is borrowed from the pointer.  0, or an exit status after having reported. */
int place_find(struct app *app, dunlin_doc *doc, const struct pointer *pointer, bool create, struct place *out);
/* The same, and something must be there. */
int place_find_value(struct app *app, dunlin_doc *doc, const struct pointer *pointer, struct place *out);

/* Writes; these give errors of the library.  place_child() gives the container of that kind which is there, or makes
 * one. */
int place_put(dunlin_doc *doc, const struct place *place, struct dunlin_value value);
int place_child(dunlin_doc *doc, const struct place *place, enum dunlin_kind kind, dunlin_obj *out);
int place_delete(dunlin_doc *doc, const struct place *place);

/* "a string", "a list", ... */
const char *kind_words(enum dunlin_kind kind);

#endif
