/* Plain values taken apart, and compared (include/dunlin/plain.h says what they are). */
#ifndef CRDT_PLAIN_H
#define CRDT_PLAIN_H

#include <dunlin/plain.h>

#include "crdt/buf.h"

#define PLAIN_NONE UINT32_MAX

/* A value and where it stands.  Nodes name each other by number. */
struct plain_node {
  struct dunlin_bytes key;   /* of a map's member */
  struct dunlin_value value; /* of a map or list only the kind; strings and keys point into the input */
  uint32_t first, next,
      count;        /* a container's first member (in a map: in order of keys) and how many; the next one beside it */
  uint32_t at, len; /* its canonical bytes */
};

/* Node 0 is the whole value. */
struct plain {
  const struct dunlin_env *env;
  struct plain_node *nodes;
  size_t count, cap;
  struct buf bytes; /* canonical */
};

/* Takes a value apart; the bytes have to stay.  `bounded`: within the limits for what comes from outside, else only
 * those of the representation.  The errors of plain.h, DUNLIN_ENOMEM; then there is nothing to free. */
int plain_open(struct plain *plain, const struct dunlin_env *env, struct dunlin_bytes bytes, bool bounded);
void plain_close(struct plain *plain);

/* The canonical bytes of a node, borrowed. */
static inline struct dunlin_bytes plain_bytes(const struct plain *plain, const struct plain_node *node) {
  return (struct dunlin_bytes){plain->bytes.data + node->at, node->len};
}
static inline const struct plain_node *plain_at(const struct plain *plain, uint32_t at) {
  return at == PLAIN_NONE ? NULL : &plain->nodes[at];
}

/* Byte order, what is shorter first. */
int bytes_compare(struct dunlin_bytes a, struct dunlin_bytes b);
static inline bool bytes_same(struct dunlin_bytes a, struct dunlin_bytes b) {
  return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

/* ---- Heads of containers, which only plain values have ------------------------------------------------------- */

void plain_write_head(struct buf *out, bool is_map, size_t count);
/* Writes a head in front of what has been written since `start`. */
void plain_insert_head(struct buf *out, size_t start, bool is_map, size_t count);

/* Writes what a value of the document reads as.  Errors stick in `out`. */
void plain_of_value(const dunlin_doc *doc, const struct dunlin_value *value, struct buf *out);

/* ---- How one list becomes another --------------------------------------------------------------------------- */

struct plain_list {
  const struct plain *plain;
  uint32_t *nodes; /* its elements */
  size_t count;
};

/* For each element of the old list the new one that it becomes, in rising order, or PLAIN_NONE when it goes; elements
 * of the new list that none becomes are inserted. */
struct plain_script {
  const struct dunlin_env *env;
  struct plain_list from, to;
  uint32_t *target;
  bool rough; /* they differ too much: the elements that do are only counted off */
};

/* Compares two lists.  DUNLIN_ENOMEM, and then there is nothing to free. */
int plain_compare_lists(struct plain_script *script, const struct dunlin_env *env, const struct plain *from,
                        const struct plain_node *from_list, const struct plain *to, const struct plain_node *to_list);
void plain_script_free(struct plain_script *script);

static inline const struct plain_node *plain_element(const struct plain_list *list, size_t i) {
  return &list->plain->nodes[list->nodes[i]];
}

/* ---- Paths -------------------------------------------------------------------------------------------------- */

/* A token of a JSON pointer, without its escapes. */
struct path_token {
  size_t len;
  char text[DUNLIN_MAX_KEY]; /* no key is longer */
};
/* Takes the next one off a path that is not empty.  DUNLIN_EPATH. */
int path_next(struct dunlin_bytes *path, struct path_token *out);
/* Adds a token to a path. */
void path_push_key(struct buf *path, struct dunlin_bytes key);
void path_push_index(struct buf *path, size_t index);

/* ---- Writing (plain_write.c) -------------------------------------------------------------------------------- */

/* A key of a map or an element of a list. */
struct plain_place {
  dunlin_obj parent;
  bool in_list;
  bool is_new; /* the element is to be inserted at the index */
  struct dunlin_bytes key;
  size_t index;
};

/* Makes the place hold the value; with `merges` the keys of maps that it does not name stay. */
int plain_put(dunlin_doc *doc, const struct plain_place *place, const struct plain *plain,
              const struct plain_node *node, bool merges);
/* Makes a container hold the value.  DUNLIN_EKIND: they are of different kinds. */
int plain_put_in(dunlin_doc *doc, dunlin_obj obj, const struct plain *plain, const struct plain_node *node,
                 bool merges);

#endif
