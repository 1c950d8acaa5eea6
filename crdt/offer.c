/* Containers to which values are offered: max, min and first show one of them, sets all. */
#include <math.h>

#include "crdt/internal.h"

/* ---- Order -------------------------------------------------------------------------------------------------- */

static int int_order(int64_t a, int64_t b) {
  return (a > b) - (a < b);
}

/* By the numbers themselves, without rounding; the int stands first when both are the same. */
static int int_to_real(int64_t a, double b) {
  const double end = 0x1p63;
  if (b >= end) return -1;
  if (b < -end) return 1;
  int64_t whole = (int64_t)b;
  if (a != whole) return int_order(a, whole);
  return b < (double)whole ? 1 : -1;
}

static int real_order(double a, double b) {
  if (a < b || a > b) return a < b ? -1 : 1;
  return !signbit(a) - !signbit(b);
}

static int offer_order(const struct dunlin_value *a, const struct dunlin_value *b) {
  bool a_time = a->kind == DUNLIN_TIME, b_time = b->kind == DUNLIN_TIME;
  if (a_time || b_time) return a_time && b_time ? int_order(a->as.time, b->as.time) : a_time - b_time;
  bool a_real = a->kind == DUNLIN_FLOAT, b_real = b->kind == DUNLIN_FLOAT;
  if (a_real && b_real) return real_order(a->as.real, b->as.real);
  if (b_real) return int_to_real(a->as.integer, b->as.real);
  if (a_real) return -int_to_real(b->as.integer, a->as.real);
  return int_order(a->as.integer, b->as.integer);
}

bool offer_beats(enum dunlin_kind kind, const struct dunlin_value *value, const struct dunlin_value *shown) {
  int order = offer_order(value, shown);
  return kind == DUNLIN_MAX ? order > 0 : order < 0;
}

int offer_check(enum dunlin_kind kind, const struct dunlin_value *value) {
  if (kind == DUNLIN_FIRST || value->kind == DUNLIN_INT || value->kind == DUNLIN_TIME) return 0;
  return value->kind == DUNLIN_FLOAT && !isnan(value->as.real) ? 0 : DUNLIN_EINVAL;
}

/* ---- Members of sets ---------------------------------------------------------------------------------------- */

int member_key(const struct dunlin_value *value, uint8_t *out, struct dunlin_bytes *key) {
  struct buf bytes = {.data = out, .cap = DUNLIN_MAX_KEY, .max = DUNLIN_MAX_KEY}; /* full, it asks for no memory */
  value_write(&bytes, value);
  *key = (struct dunlin_bytes){out, bytes.len};
  return bytes.error;
}

/* ---- Whether state and history agree ------------------------------------------------------------------------ */

static bool in_ranges(const struct lv_ranges *ranges, uint32_t lv) {
  for (size_t i = 0; i < ranges->count; i++)
    if (lv >= ranges->list[i].from && lv < ranges->list[i].to) return true;
  return false;
}

bool offer_agrees(const struct reg *reg, enum dunlin_kind kind, const struct graph *graph, const struct oplog *log,
                  const struct lv_ranges *voids, const struct column *values) {
  struct dunlin_value best = {.kind = DUNLIN_NULL};
  uint32_t best_lv = LV_NONE;
  for (size_t i = 0; i < log->count; i++) {
    const struct op_run *run = &log->runs[i];
    if (run->idle || run->kind != OP_OFFER || in_ranges(voids, run->lv)) continue;
    struct mp_reader r = mp_reader_of(column_at(values, run->at), column_end(values) - run->at);
    struct dunlin_value value = value_read(&r);
    if (run->len != 1 || r.error || offer_check(kind, &value)) return false;
    bool better = best_lv == LV_NONE;
    if (!better && kind == DUNLIN_FIRST) better = graph_wins(graph, best_lv, run->lv);
    else if (!better) better = offer_beats(kind, &value, &best);
    if (!better) continue;
    best = value;
    best_lv = run->lv;
  }
  if (best_lv == LV_NONE) return !reg->count;
  if (reg->count != 1 || !value_same(&reg_at(reg, 0)->value, &best)) return false;
  return kind != DUNLIN_FIRST || reg_at(reg, 0)->lv == best_lv;
}
