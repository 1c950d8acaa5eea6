/* Whether a change is written in the one way that there is ("One form" in docs/format.md): looked at rule by rule, once
 * its rows have been applied, so that what it made is known. */
#include "test/oracle/private.h"

/* The container that a row writes to; `made` are those that rows before it made. */
static uint32_t target_of(const struct oracle *o, const struct change *change, const struct change_row *row) {
  if (row->container >= change->container_count) return o->made[row->container - change->container_count];
  return oracle_container_find(o, &change->containers[row->container]);
}

/* The number by which a row must name the container: the first as one made, else the first among the ids. */
static uint32_t number_of(const struct oracle *o, const struct change *change, uint32_t target, size_t made) {
  for (size_t i = 0; i < made; i++)
    if (o->made[i] == target) return (uint32_t)(change->container_count + i);
  for (size_t i = 0; i < change->container_count; i++)
    if (oracle_container_find(o, &change->containers[i]) == target) return (uint32_t)i;
  return ORACLE_NONE;
}

/* Whether one row could say what these two say. */
static bool could_be_one(const struct change_row *a, const struct change_row *b) {
  if (a->kind != b->kind || a->container != b->container) return false;
  uint64_t end = (uint64_t)a->a + a->len, next_end = (uint64_t)b->a + b->len;
  switch (a->kind) {
    case OP_TEXT_INSERT:
    case OP_LIST_INSERT: return b->a == end;
    case OP_DELETE: return b->a == a->a || next_end == a->a;
    default: return false;
  }
}

bool oracle_is_canonical(const struct oracle *o, const struct change *change) {
  struct mp_reader rows = change->rows;
  struct change_row before = {0};
  size_t named = 0, made = 0;
  for (size_t i = 0; i < change->row_count; i++) {
    struct change_row row = change_next_row(&rows);
    if (i && could_be_one(&before, &row)) return false;
    if (row.container != number_of(o, change, target_of(o, change, &row), made)) return false;
    if (row.container < change->container_count && row.container > named) return false;
    named += row.container == named && named < change->container_count;
    made += (row.kind & OP_CREATES) != 0;
    before = row;
  }
  return named == change->container_count;
}
