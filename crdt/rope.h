/* A text of Unicode scalar values, kept as UTF-8 in the leaves of a B-tree: the state of a text container.  It knows no
 * ids, and believes the caller: that the UTF-8 is valid, that counts are right, that positions lie in the text.
 *
 * Among the scalar values there may be *anchors*, where marks begin and end.  An anchor is a lead byte that UTF-8 does
 * not have, FE or FF, and six more like any others behind a lead byte: so whatever counts characters counts it as one.
 *
 * Positions and sizes are scalar values, and anchors, unless a name says otherwise.  A text has less than 2^31 bytes.
 *
 * Memory comes from the environment only.  None is held while nothing was ever inserted.  What an edit lets go is kept
 * for the next one, until rope_trim(): therefore each text that the rope has held since then can be had again without
 * more memory, whatever edits lead back to it through texts of that kind. */
#ifndef CRDT_ROPE_H
#define CRDT_ROPE_H

#include <stdbool.h>

#include "crdt/buf.h"

/* The size of a leaf weighs moving its bytes at each edit against the number of leaves; with its header it fills 2
 * KiB. */
enum { ROPE_LEAF = 2036, ROPE_FANOUT = 32, ROPE_HEIGHT = 12 };

struct rope_sum {
  uint32_t scalars, bytes; /* of anchors too */
  uint32_t pairs;          /* scalar values that take two UTF-16 units; anchors too */
  uint32_t anchors;
};

enum { ROPE_ANCHOR_BYTES = 7 };
struct rope_anchor {
  uint32_t lv;     /* the operation that put it here */
  bool is_end;     /* of its mark */
  bool is_opening; /* it belongs to what is behind it, not to what is before it */
};
void rope_anchor_put(uint8_t out[ROPE_ANCHOR_BYTES], struct rope_anchor anchor);
struct rope_anchor rope_anchor_get(const uint8_t *bytes);

struct rope_leaf {
  struct rope_leaf *next; /* while it is not in the tree */
  uint32_t size;          /* likewise */
  uint8_t bytes[];        /* ROPE_LEAF of them; fewer in a leaf that is the root */
};

/* What lies below each child, in arrays of their own so that a search reads nothing else. */
struct rope_node {
  uint32_t count;
  uint32_t scalars[ROPE_FANOUT], bytes[ROPE_FANOUT], pairs[ROPE_FANOUT], anchors[ROPE_FANOUT];
  union rope_child {
    struct rope_node *node;
    struct rope_leaf *leaf; /* below the lowest nodes */
  } child[ROPE_FANOUT];
};

/* A leaf and the way to it from the root. */
struct rope_path {
  struct rope_leaf *leaf; /* NULL: nowhere */
  struct rope_sum sum;    /* of the leaf */
  uint32_t start;         /* where it begins */
  uint8_t index[ROPE_HEIGHT];
  struct rope_node *node[ROPE_HEIGHT];
};

struct rope {
  const struct dunlin_env *env;
  union rope_child root;
  uint32_t height;         /* nodes above a leaf */
  uint32_t cap;            /* bytes that the root has room for when it is a leaf; 0: there is no root */
  struct rope_sum sum;     /* of the whole text */
  struct rope_path finger; /* the leaf of the last edit */
  uint32_t full_from, full_to,
      full_size; /* the last insertion that its leaf had no room for, and the text's size after it */
  struct rope_leaf *spare_leaves;
  struct rope_node *spare_nodes;
  size_t spare_leaf_count, spare_node_count;
};

void rope_init(struct rope *rope, const struct dunlin_env *env);
void rope_free(struct rope *rope); /* leaves it empty, as after rope_init() */

size_t rope_size(const struct rope *rope);
size_t rope_bytes(const struct rope *rope);
size_t rope_utf16(const struct rope *rope); /* in UTF-16 units */
size_t rope_anchors(const struct rope *rope);

/* Inserts `scalars` scalar values, which take `bytes` bytes.  0 or DUNLIN_ENOMEM: then the text is as it was. */
int rope_insert(struct rope *rope, size_t at, const void *utf8, size_t bytes, size_t scalars);
/* Needs no memory. */
void rope_delete(struct rope *rope, size_t at, size_t count);
/* The same, and appends the bytes that go to `out`, whose errors stick there; then nothing is deleted. */
void rope_take(struct rope *rope, size_t at, size_t count, struct buf *out);
/* rope_insert() into an empty rope: its leaves are filled to seven eighths. */
int rope_load(struct rope *rope, const void *utf8, size_t bytes, size_t scalars);
/* Gives back the memory that no text needs now. */
void rope_trim(struct rope *rope);

size_t rope_measure(const struct rope *rope, size_t at, size_t count);       /* how many bytes that range takes */
void rope_copy(const struct rope *rope, size_t at, size_t count, void *out); /* writes these bytes */

enum rope_unit {
  ROPE_SCALARS,
  ROPE_BYTES,
  ROPE_UTF16,
  ROPE_CHARACTERS /* without anchors */,
  ROPE_UTF8 /* bytes, likewise */,
  ROPE_ANCHORS /* these alone: a position is that of an anchor, or the end */
};
/* The same position in another unit.  Inside a character it is rounded down, beyond the end it is the end; in units
 * that do not count anchors it is behind the anchors before a character. */
size_t rope_convert(const struct rope *rope, enum rope_unit from, enum rope_unit to, size_t at);

/* Whether there is an anchor at a position, and which. */
bool rope_anchor_at(const struct rope *rope, size_t at, struct rope_anchor *anchor);
/* Hands out the anchors at positions from `from` to `to` - 1 in order; a result other than 0 ends that. */
typedef int rope_anchor_each(void *ctx, uint32_t at, struct rope_anchor anchor);
int rope_each_anchor(const struct rope *rope, size_t from, size_t to, rope_anchor_each *each, void *ctx);

/* Walks over the bytes from a position to the end, piece by piece; a piece is whole characters.  An edit ends its
 * life. */
struct rope_reader {
  const struct rope_node *node[ROPE_HEIGHT];
  uint8_t index[ROPE_HEIGHT];
  uint32_t height;
  const uint8_t *piece; /* the next one */
  size_t bytes;
};
void rope_reader_init(struct rope_reader *reader, const struct rope *rope, size_t at);
size_t rope_read(struct rope_reader *reader, const uint8_t **piece); /* its bytes; 0 at the end */

/* 0, or -1 when the structure is broken; `deep` also counts the characters. */
int rope_check(const struct rope *rope, bool deep);

#endif
