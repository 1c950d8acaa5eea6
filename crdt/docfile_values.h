/* How the compact form writes what differs much from one to the next: numbers byte by byte, scalars by their kind, keys
 * by number.  docs/format.md, "Document", says every byte. */
#ifndef CRDT_DOCFILE_VALUES_H
#define CRDT_DOCFILE_VALUES_H

#include "crdt/change.h"
#include "crdt/map.h"

/* ---- Planes: first the highest bytes of all numbers, then the next ones, down to the lowest ------------------ */

/* Long planes are compressed each by itself, since their bytes have little in common: where a section is to be cut. */
#define PLANES_LONG 8192u
struct planes_cuts {
  size_t *list; /* offsets, rising */
  size_t count, cap;
};

struct planes_out {
  const struct dunlin_env *env;
  struct planes_cuts *cuts; /* may be NULL */
  uint64_t *list;
  size_t count, cap;
  int error; /* sticky */
};
void planes_add(struct planes_out *planes, uint64_t v);
/* Appends them all, and is empty then. */
void planes_write(struct planes_out *planes, struct buf *out);
void planes_free(struct planes_out *planes);

struct planes_in {
  const uint8_t *at;
  size_t count, next;
  uint32_t width; /* bytes of each number */
};
/* Takes `count` numbers out of `r`; nothing is allocated for them. */
struct planes_in planes_read(struct mp_reader *r, size_t count);
/* Likewise, their width is known. */
struct planes_in planes_read_width(struct mp_reader *r, size_t count, uint32_t width);
/* The next one, below `end`; 0 and an error in `r` when it is not, or there is none. */
uint64_t planes_take(struct planes_in *planes, struct mp_reader *r, uint64_t end);

/* ---- Integers of any sign, as the difference to one before ---------------------------------------------------- */

enum diff {
  DIFF_NONE, /* the number itself, as two's complement */
  DIFF_LAST, /* the difference to the one before, */
  DIFF_SLOT, /* or to the one before in the same slot: 0, 1, 2 ... as 0, 2, 4 ... and -1, -2 ... as 1, 3 ... */
  DIFFS
};

struct diffs_out {
  struct planes_out numbers, slots;
};
void diffs_add(struct diffs_out *diffs, int64_t v, size_t slot);
/* Appends them with the difference that leads to the fewest bits; slots are below `slots`. */
void diffs_write(struct diffs_out *diffs, size_t slots, struct buf *out);
void diffs_free(struct diffs_out *diffs);

struct diffs_in {
  const struct dunlin_env *env;
  struct planes_in numbers;
  enum diff diff;
  uint64_t one, *last; /* the one before: of all, of each slot */
  size_t slots;
};
/* DUNLIN_EFORMAT, DUNLIN_ENOMEM; diffs_in_free() in any case. */
int diffs_read(struct diffs_in *diffs, const struct dunlin_env *env, struct mp_reader *r, size_t count, size_t slots);
int64_t diffs_take(struct diffs_in *diffs, struct mp_reader *r, size_t slot);
void diffs_in_free(struct diffs_in *diffs);

/* ---- Scalars --------------------------------------------------------------------------------------------------- */

enum tag { TAG_TRUE = DUNLIN_TIME + 1, TAG_CHILD, TAGS }; /* else the kind: a boolean without more is false */

struct scalars_out {
  struct buf tags, bytes;
  struct diffs_out ints, times;
  struct planes_out floats, lengths, children;
  uint32_t next_child; /* one more than the last */
};
void scalars_init(struct scalars_out *scalars, const struct dunlin_env *env, struct planes_cuts *cuts, size_t max);
/* A value that belongs to a slot; from DUNLIN_MAP on a container by its number. */
void scalars_add(struct scalars_out *scalars, const struct dunlin_value *value, size_t slot);
void scalars_write(struct scalars_out *scalars, size_t slots, struct buf *out);
void scalars_free(struct scalars_out *scalars);

struct scalars_in {
  const uint8_t *tags, *bytes;
  size_t left, bytes_left;
  struct diffs_in ints, times;
  struct planes_in floats, lengths, children;
  uint32_t next_child;
};
/* `count` scalars; `children`: containers may be among them.  DUNLIN_EFORMAT, DUNLIN_ENOMEM; scalars_in_free() in any
 * case. */
int scalars_read(struct scalars_in *scalars, const struct dunlin_env *env, struct mp_reader *r, size_t count,
                 size_t slots, bool children);
/* The next one; strings and bytes lie in the input.  A container is DUNLIN_MAP, whatever it is, with its number. */
struct dunlin_value scalars_take(struct scalars_in *scalars, struct mp_reader *r, size_t slot);
/* Fails when bytes of strings are left. */
void scalars_end(const struct scalars_in *scalars, struct mp_reader *r);
void scalars_in_free(struct scalars_in *scalars);

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

/* All keys that are written, each once; they are borrowed. */
struct keys_out {
  const struct dunlin_env *env;
  uint64_t seed;
  struct dunlin_bytes *list;
  size_t count, cap;
  uint32_t *slots; /* place in the list + 1; 0 is free */
  size_t slot_cap;
  struct planes_cuts *cuts;
  uint32_t *numbers; /* of each place */
  size_t numbered, number_cap;
};
/* The place of a key, added when absent; UINT32_MAX when out of memory. */
uint32_t keys_place(struct keys_out *keys, struct dunlin_bytes key);
/* Gives those that came since the last time their numbers, in byte order, and appends them.  DUNLIN_ENOMEM. */
int keys_write(struct keys_out *keys, struct buf *out);
void keys_free(struct keys_out *keys);

struct keys_in {
  const struct dunlin_env *env;
  struct keys_in_key {
    uint32_t at;
    uint16_t len;
    bool used;
  } * list;
  size_t count, cap;
  const uint8_t *given; /* the first bytes, put together before */
  size_t given_len;
  struct buf bytes; /* those after them */
};
void keys_in_init(struct keys_in *keys, const struct dunlin_env *env);
/* Takes more keys out of `r`; `given`: their bytes, if they were read before (NULL).  DUNLIN_EFORMAT, DUNLIN_ENOMEM. */
int keys_read(struct keys_in *keys, struct mp_reader *r, const struct buf *given);
static inline struct dunlin_bytes keys_get(const struct keys_in *keys, uint64_t number) {
  const struct keys_in_key *key = &keys->list[number];
  if (!key->len) return (struct dunlin_bytes){NULL, 0};
  if (key->at < keys->given_len) return (struct dunlin_bytes){keys->given + key->at, key->len};
  return (struct dunlin_bytes){keys->bytes.data + (key->at - keys->given_len), key->len};
}
/* Whether each key from `from` on is used, and none of them is among those before it. */
bool keys_in_order(const struct keys_in *keys, size_t from);
void keys_in_free(struct keys_in *keys);

/* ---- What the values of an operation are ------------------------------------------------------------------------- */

enum part { PART_KEY, PART_SCALAR, PART_NUMBER, PART_AMOUNT, PARTS };
/* How many, and which.  Kinds that came later have scalars, so that all versions find their way. */
static inline uint32_t op_parts(uint8_t kind, enum part parts[3]) {
  parts[0] = parts[1] = parts[2] = PART_SCALAR;
  switch (kind) {
    case OP_MAP_CHILD: parts[1] = PART_NUMBER; /* fall through */
    case OP_MAP_SET:
    case OP_MAP_SET_OVER:
    case OP_MAP_DELETE:
    case OP_MAP_DELETE_OVER: parts[0] = PART_KEY; break;
    case OP_LIST_CHILD:
    case OP_LIST_SET_CHILD:
    case OP_LIST_MOVE: parts[0] = PART_NUMBER; break;
    case OP_COUNTER_ADD: parts[0] = PART_AMOUNT; break;
    default: break;
  }
  return kind & OP_VALUES;
}

/* The values of many operations in a row, each sort by itself. */
struct values_in {
  struct keys_in names; /* to begin with, those that were written before: `old` */
  size_t old;
  struct planes_in keys, numbers;
  struct diffs_in amounts;
  struct scalars_in scalars;
};
void values_in_init(struct values_in *values, const struct dunlin_env *env);
/* Counts what so many operations of a kind have. */
void values_count(uint8_t kind, uint32_t operations, uint64_t counts[PARTS]);
/* DUNLIN_EFORMAT, DUNLIN_ENOMEM. */
int values_read(struct values_in *values, const struct dunlin_env *env, struct mp_reader *r,
                const uint64_t counts[PARTS]);
/* Appends those of the next operation, as a change has them. */
void values_take(struct values_in *values, uint8_t kind, struct buf *out, struct mp_reader *r);
/* Fails when something is left, or was for nothing. */
void values_end(const struct values_in *values, struct mp_reader *r);
void values_in_free(struct values_in *values);

#endif
