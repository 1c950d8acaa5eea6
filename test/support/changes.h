/* Single changes of document 1: those of a document, to be given in any order, and those written by hand. */
#ifndef TEST_SUPPORT_CHANGES_H
#define TEST_SUPPORT_CHANGES_H

#include "crdt/change.h"

#include "test/support/support.h"

/* ---- One by one --------------------------------------------------------------------------------------------- */

static inline void free_changes(struct change_id_bytes *changes, size_t count) {
  for (size_t i = 0; i < count; i++) free((void *)(uintptr_t)changes[i].bytes.data);
}

/* They come in one delta. */
static inline struct dunlin_applied give_changes(dunlin_doc *doc, const struct change_id_bytes *changes, size_t count) {
  struct buf delta;
  struct dunlin_applied applied;
  buf_init(&delta, dunlin_env_default(), 1 << 24);
  OK(delta_write(&delta, changes, count));
  OK(dunlin_doc_apply(doc, delta.data, delta.len, &applied));
  buf_free(&delta);
  return applied;
}
static inline struct dunlin_applied give_change(dunlin_doc *doc, const struct change_id_bytes *change) {
  return give_changes(doc, change, 1);
}

/* All changes of a document, parents first, until they are shuffled. */
struct pieces {
  struct change_id_bytes *changes;
  size_t count, cap;
};

static inline int keep_piece(void *ctx, const struct change_id_bytes *change) {
  struct pieces *p = ctx;
  void *copy = malloc(change->bytes.len);
  if (p->count == p->cap) p->changes = realloc(p->changes, (p->cap = 2 * p->cap + 16) * sizeof *p->changes);
  assert_true(copy && p->changes);
  memcpy(copy, change->bytes.data, change->bytes.len);
  p->changes[p->count++] = (struct change_id_bytes){.id = change->id, .bytes = {copy, change->bytes.len}};
  return 0;
}

/* What the document has that is not in the past of `since`. */
static inline struct pieces pieces_since(const dunlin_doc *doc, const struct dunlin_id *since, size_t count) {
  struct pieces p = {0};
  struct dunlin_id id = test_id(1);
  void *delta;
  size_t len;
  OK(dunlin_doc_delta(doc, since, count, &delta, &len));
  OK(delta_read(NULL, &id, delta, len, keep_piece, &p));
  dunlin_free(NULL, delta, len);
  return p;
}
static inline struct pieces pieces_of(const dunlin_doc *doc) {
  return pieces_since(doc, NULL, 0);
}

static inline void pieces_shuffle(struct pieces *p, struct rng *rng) {
  for (size_t i = p->count; i > 1; i--) {
    size_t k = rng_below(rng, i);
    struct change_id_bytes swap = p->changes[k];
    p->changes[k] = p->changes[i - 1];
    p->changes[i - 1] = swap;
  }
}

static inline void pieces_free(struct pieces *p) {
  free_changes(p->changes, p->count);
  free(p->changes);
}

/* ---- By hand ------------------------------------------------------------------------------------------------ */

/* Changes byte by byte (docs/format.md): what no program would write, and anybody can. */

/* What a change of so many `fields` begins with; without an `actor` its author is that of the first parent. */
static inline void write_head(struct buf *out, size_t fields, const struct dunlin_id *parents, size_t parent_count,
                              const struct dunlin_actor *actor, uint64_t number, const struct container_id *on) {
  mp_write_array(out, fields);
  mp_write_bin_head(out, parent_count * sizeof *parents + (actor ? sizeof *actor : 0));
  buf_append(out, parents, parent_count * sizeof *parents);
  if (actor) buf_append(out, actor->bytes, sizeof *actor);
  mp_write_uint(out, number);
  mp_write_bin(out, on->bytes, sizeof *on);
}

static inline void write_row(struct buf *out, uint64_t kind, uint64_t at, uint64_t len) {
  mp_write_uint(out, kind);
  mp_write_uint(out, at);
  mp_write_uint(out, len);
}

/* The finished bytes, which stay the caller's, as a change. */
static inline struct change_id_bytes named(const struct buf *bytes) {
  struct change_id_bytes change = {.bytes = {bytes->data, bytes->len}};
  struct dunlin_id doc = test_id(1);
  OK(bytes->error);
  change.id = change_id(dunlin_env_default(), &doc, change.bytes);
  return change;
}
/* The same; now they are the change's, for free_changes(). */
static inline struct change_id_bytes take_named(struct buf *bytes) {
  struct change_id_bytes change = named(bytes);
  void *data;
  size_t len;
  OK(buf_take(bytes, &data, &len));
  change.bytes.data = data;
  return change;
}

#endif
