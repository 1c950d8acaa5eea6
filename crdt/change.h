/* Changes and deltas as bytes: docs/format.md says every one of them.
 *
 * A *canonical change* is what is hashed into a change's id:
 *
 *   [refs, number, containers, rows, text, values, time]      a msgpack array; empty elements at its end are left out
 *
 *   refs        bin: parent ids, 32 bytes each.  When the first is the actor's previous change, that is all (then the
 *               rest is sorted, and the actor is the first parent's).  Otherwise they are sorted and the actor's 16
 *               bytes follow.
 *   number      counts the actor's changes in this document from 0
 *   containers  bin: ids of the containers written to, 16 bytes each
 *   rows        three unsigned integers an operation: kind + 128 x container, `a`, `len`.  Container k counts through
 *               `containers` first, then through the containers that this change's operations create, in their order.
 *   text        str: what text insertions insert, in a row
 *   values      what the other operations need, in a row
 *   time        microseconds, its author's claim
 *
 * A kind's low bits say what a row takes from the columns, so that a reader can pass over kinds it does not know. */
#ifndef CRDT_CHANGE_H
#define CRDT_CHANGE_H

#include <dunlin/doc.h>

#include "crdt/msgpack.h"

#define OP_VALUES 0x03u  /* bits 0 and 1: values taken per local version */
#define OP_TEXT 0x04u    /* takes `len` scalar values of text */
#define OP_CREATES 0x08u /* makes a container; `len` is 1 */
enum op_kind {
  OP_DELETE = 0x00,         /* text, list: `len` visible ones from index `a` */
  OP_TEXT_INSERT = 0x04,    /* before index `a` */
  OP_LIST_INSERT = 0x01,    /* before index `a`; values: the elements */
  OP_LIST_CHILD = 0x09,     /* before index `a`; value: kind */
  OP_LIST_SET = 0x21,       /* element `a`; value */
  OP_LIST_SET_CHILD = 0x19, /* element `a`; value: kind */
  OP_LIST_MOVE = 0x41,      /* element `a`; value: the index, before the move, that it goes before */
  OP_MAP_SET = 0x02,        /* values: key, value; `a`: class */
  OP_MAP_CHILD = 0x0a,      /* values: key, generation; `a`: kind.  Creates or touches */
  OP_MAP_DELETE = 0x11,     /* value: key */
  OP_COUNTER_ADD = 0x31,    /* value: amount */
  OP_OFFER = 0x51,          /* max, min, first, sets; value: what is offered or added */
  OP_SET_REMOVE = 0x61,     /* value: the member */
  /* Writes that name what they replace; the last value is those names. */
  OP_MAP_SET_OVER = 0x03,    /* values: key, value, names; `a`: class */
  OP_MAP_DELETE_OVER = 0x12, /* values: key, names */
  OP_LIST_SET_OVER = 0x22,   /* element `a`; values: value, names */
  /* A mark is two operations in a row: an anchor before index `a`, and then another.  Growing or not is the side it
   * keeps to. */
  OP_MARK_START = 0x32, /* values: key, value */
  OP_MARK_START_GROWS = 0x42,
  OP_MARK_END = 0x10,
  OP_MARK_END_GROWS = 0x20,
};
#define OP_KIND_BITS 7u

#define KIND_LAST DUNLIN_GROWING_SET /* of the kinds of containers that are known */

/* Names of writes: a bin, sorted, of each the id of its change and the index of its operation. */
#define WRITE_NAME 36u
#define WRITE_NAMES_MAX 64u

static inline bool op_starts_mark(uint8_t kind) {
  return kind == OP_MARK_START || kind == OP_MARK_START_GROWS;
}
static inline bool op_ends_mark(uint8_t kind) {
  return kind == OP_MARK_END || kind == OP_MARK_END_GROWS;
}
/* Whether the anchor belongs to what is behind it. */
static inline bool op_is_opening(uint8_t kind) {
  return kind == OP_MARK_START || kind == OP_MARK_END_GROWS;
}
static inline bool op_is_anchor(uint8_t kind) {
  return op_starts_mark(kind) || op_ends_mark(kind);
}

struct container_id {
  uint8_t bytes[16]; /* the first is the kind; the root is kind DUNLIN_MAP and zeros */
};

struct change_row {
  uint8_t kind;
  uint32_t container, a, len;
};

/* A canonical change, taken apart; everything points into its bytes. */
struct change {
  const uint8_t *parents; /* 32 bytes each */
  size_t parent_count;
  const struct dunlin_actor *actor; /* NULL: that of the first parent */
  uint64_t number;
  const struct container_id *containers;
  size_t container_count;
  struct mp_reader rows; /* for change_next_row() */
  size_t row_count;
  struct change_row first; /* of the rows */
  uint64_t length;         /* local versions: the sum of the rows' `len` */
  struct dunlin_bytes text;
  size_t scalars; /* in the text */
  struct mp_reader values;
  const uint8_t *values_end;
  int64_t time;
  bool has_names;           /* a write of it names others */
  size_t elements;          /* of the array */
  struct dunlin_bytes rest; /* from the rows on */
};

struct change_id_bytes {
  struct dunlin_id id;
  struct dunlin_bytes bytes;   /* canonical; none from delta_read_parsed() */
  const struct change *parsed; /* they, when they have just been taken apart; else NULL */
};

/* Checks form (canonical, limits, columns used up exactly, values of the right type); what the change means is the
 * document's to judge.  DUNLIN_EFORMAT or DUNLIN_ELIMIT. */
int change_parse(struct dunlin_bytes canonical, struct change *out);
/* Appends its canonical bytes again.  An error of `out` sticks there and is returned. */
int change_write(struct buf *out, const struct change *change);
/* The next row of a change that was parsed.  Rows, text and values are taken in step by the caller. */
static inline struct change_row change_next_row(struct mp_reader *rows) {
  uint32_t head = (uint32_t)mp_read_uint(rows, UINT32_MAX);
  uint32_t a = (uint32_t)mp_read_uint(rows, UINT32_MAX);
  uint32_t len = (uint32_t)mp_read_uint(rows, UINT32_MAX);
  return (struct change_row){(uint8_t)(head & ((1u << OP_KIND_BITS) - 1)), head >> OP_KIND_BITS, a, len};
}

struct dunlin_id change_id(const struct dunlin_env *env, const struct dunlin_id *doc, struct dunlin_bytes canonical);

/* A *delta* is changes in a row, parents before children; a parent in the same delta is a small number instead of an
 * id.
 *
 *   [1, [change, ...]]
 *   change   [nil, containers, rows, ...]                  built on the change before, by the same actor, next number
 *            [parents, ids, number, containers, rows, ...] parents: for each, 0 (next id in `ids`) or k: the k-th
 *                                                          before; ids: those ids, then the actor if `refs` has it
 *   containers may be nil: the same as those of the change before, when these are at most DELTA_REPEAT
 */
#define DELTA_REPEAT 16u

/* Appends the delta of `count` changes, parents before children, which change_parse() has accepted or this library has
 * written.  Errors of `out` stick there and are returned. */
int delta_write(struct buf *out, const struct change_id_bytes *changes, size_t count);

/* Reads a delta of the document `doc`, checking every byte, and hands each change to `each` with its id computed.  The
 * bytes are borrowed until `each` returns; a result other than 0 ends the reading with that result.  Nothing is handed
 * out before the whole delta has been checked for form.  DUNLIN_EFORMAT, DUNLIN_ELIMIT, DUNLIN_ENOMEM. */
typedef int delta_each(void *ctx, const struct change_id_bytes *change);
int delta_read(const struct dunlin_env *env, const struct dunlin_id *doc, const void *data, size_t len,
               delta_each *each, void *ctx);
/* The same for a caller who asks for a change's bytes only when it needs them: change_write().  `bytes` is memory of
 * the caller's to work with. */
int delta_read_parsed(const struct dunlin_env *env, const struct dunlin_id *doc, struct dunlin_bytes delta,
                      struct buf *bytes, delta_each *each, void *ctx);

#endif
