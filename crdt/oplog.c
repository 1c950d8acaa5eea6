#include "crdt/oplog.h"

#include "crdt/graph.h"

void oplog_free(struct oplog *log, const struct dunlin_env *env) {
  ENV_FREE_ARRAY(env, log->runs, log->cap);
  *log = (struct oplog){0};
}

/* Whether the row can be part of the last run, which then is longer. */
static bool goes_on(struct op_run *last, const struct oplog_row *row) {
  uint32_t a = row->a, len = last->len + row->len;
  if (last->kind != row->kind || last->idle != row->idle || last->lv + last->len != row->lv) return false;
  switch (row->kind) {
    case OP_DELETE:
      if (len > OPLOG_MOST) return false;
      if (last->at != DIRECTION_BACKWARD && a == last->a) {
        last->at = DIRECTION_FORWARD;
      } else if (last->at != DIRECTION_FORWARD && a + (uint64_t)row->len == last->a) {
        last->at = DIRECTION_BACKWARD;
        last->a = a;
      } else {
        return false;
      }
      break;
    case OP_TEXT_INSERT:
      if (a != last->a + (uint64_t)last->len || len > OPLOG_MOST) return false;
      break;
    case OP_LIST_INSERT:
      if (a != last->a + (uint64_t)last->len || len > OPLOG_MOST_VALUES) return false;
      break;
    case OP_MAP_SET:
      if (a != last->a || len > OPLOG_MOST_VALUES) return false;
      break;
    default: return false;
  }
  last->len = len & ((1u << 25) - 1);
  return true;
}

int oplog_push(struct oplog *log, const struct dunlin_env *env, const struct oplog_row *row) {
  if (!log->count || !goes_on(&log->runs[log->count - 1], row)) {
    if (ENV_GROW(env, log->runs, log->cap, log->count + 1)) return DUNLIN_ENOMEM;
    log->runs[log->count++] = (struct op_run){.lv = row->lv,
                                              .ord = log->ops & LV_LIMIT,
                                              .idle = row->idle,
                                              .a = row->a,
                                              .at = row->kind == OP_DELETE ? DIRECTION_NONE : row->at,
                                              .len = row->len & ((1u << 25) - 1),
                                              .kind = row->kind & 0x7fu};
  }
  log->ops += row->len;
  return 0;
}

void oplog_take_back(struct oplog *log, uint32_t len) {
  struct op_run *last = &log->runs[log->count - 1];
  log->ops -= len;
  if (last->len == len) {
    log->count--;
    return;
  }
  last->len = (last->len - len) & ((1u << 25) - 1);
  if (last->kind == OP_DELETE && last->at == DIRECTION_BACKWARD) last->a += len;
}

size_t oplog_from(const struct oplog *log, uint32_t lv) {
  enum { near = 4 };                 /* what is asked about is mostly recent */
  size_t low = 0, high = log->count; /* runs before `low` end at or before lv; those from `high` on do not */
  for (int i = 0; high && i < near; i++, high--)
    if (log->runs[high - 1].lv + log->runs[high - 1].len <= lv) return high;
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (log->runs[mid].lv + log->runs[mid].len <= lv) low = mid + 1;
    else high = mid;
  }
  return low;
}

size_t oplog_near(const struct oplog *log, uint32_t lv, size_t hint) {
  size_t low = hint, step = 1; /* runs before `low` end at or before lv */
  if (hint > log->count || (hint && log->runs[hint - 1].lv + log->runs[hint - 1].len > lv)) return oplog_from(log, lv);
  while (step <= log->count - low && log->runs[low + step - 1].lv + log->runs[low + step - 1].len <= lv) {
    low += step;
    step *= 2;
  }
  for (; step; step /= 2)
    if (step <= log->count - low && log->runs[low + step - 1].lv + log->runs[low + step - 1].len <= lv) low += step;
  return low;
}

size_t oplog_by_ord(const struct oplog *log, uint32_t ord) {
  size_t low = 0, high = log->count;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (log->runs[mid].ord <= ord) low = mid;
    else high = mid;
  }
  return low;
}
