#include "crdt/value.h"

#include <string.h>

void value_write(struct buf *out, const struct dunlin_value *v) {
  switch (v->kind) {
    case DUNLIN_NULL: mp_write_nil(out); break;
    case DUNLIN_BOOL: mp_write_bool(out, v->as.boolean); break;
    case DUNLIN_INT: mp_write_int(out, v->as.integer); break;
    case DUNLIN_FLOAT: mp_write_float(out, v->as.real); break;
    case DUNLIN_STRING: mp_write_str(out, v->as.string.data, v->as.string.len); break;
    case DUNLIN_BYTES: mp_write_bin(out, v->as.string.data, v->as.string.len); break;
    case DUNLIN_TIME: mp_write_time(out, v->as.time); break;
    default: out->error = DUNLIN_EINVAL;
  }
}

struct dunlin_value value_read(struct mp_reader *r) {
  struct dunlin_value v = {.kind = DUNLIN_NULL};
  switch (mp_peek(r)) {
    case MP_BOOL: v.kind = DUNLIN_BOOL, v.as.boolean = mp_read_bool(r); break;
    case MP_UINT:
    case MP_INT: v.kind = DUNLIN_INT, v.as.integer = mp_read_int(r); break;
    case MP_FLOAT: v.kind = DUNLIN_FLOAT, v.as.real = mp_read_float(r); break;
    case MP_STR: v.kind = DUNLIN_STRING, v.as.string = mp_read_str(r, DUNLIN_MAX_VALUE); break;
    case MP_BIN: v.kind = DUNLIN_BYTES, v.as.string = mp_read_bin(r, DUNLIN_MAX_VALUE); break;
    case MP_TIME: v.kind = DUNLIN_TIME, v.as.time = mp_read_time(r); break;
    default: mp_read_nil(r);
  }
  return v;
}

bool value_same(const struct dunlin_value *a, const struct dunlin_value *b) {
  if (a->kind != b->kind) return false;
  switch (a->kind) {
    case DUNLIN_NULL: return true;
    case DUNLIN_BOOL: return a->as.boolean == b->as.boolean;
    case DUNLIN_INT:
    case DUNLIN_TIME: return a->as.integer == b->as.integer;
    case DUNLIN_FLOAT:
      return !memcmp(&a->as.real, &b->as.real, sizeof a->as.real) ||
             (a->as.real != a->as.real && b->as.real != b->as.real);
    case DUNLIN_STRING:
    case DUNLIN_BYTES:
      return a->as.string.len == b->as.string.len &&
             (!a->as.string.len || !memcmp(a->as.string.data, b->as.string.data, a->as.string.len));
    default: return a->as.obj.index == b->as.obj.index;
  }
}
