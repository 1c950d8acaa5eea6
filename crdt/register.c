#include "crdt/register.h"

#include <stdlib.h>
#include <string.h>

static bool owns_bytes(const struct dunlin_value *value) {
  return value->kind == DUNLIN_STRING || value->kind == DUNLIN_BYTES;
}

static void write_free(struct reg_write *write, const struct dunlin_env *env) {
  if (owns_bytes(&write->value))
    env_free(env, (void *)(uintptr_t)write->value.as.string.data, write->value.as.string.len);
}

/* In the order of LVs. */
static struct reg_write *writes_of(struct reg *reg) {
  return reg->cap ? reg->as.many : &reg->as.one;
}

static size_t block_size(uint32_t cap) {
  return cap * (sizeof(struct reg_write) + sizeof(uint32_t));
}

void reg_free(struct reg *reg, const struct dunlin_env *env) {
  for (uint32_t i = 0; i < reg->count; i++) write_free(&writes_of(reg)[i], env);
  if (reg->cap) env_free(env, reg->as.many, block_size(reg->cap));
  *reg = (struct reg){0};
}

/* Makes room for `need` writes. */
static int reserve(struct reg *reg, const struct dunlin_env *env, uint32_t need) {
  enum { least = 2 };
  struct reg larger = {.count = reg->count};
  if (need <= (reg->cap ? reg->cap : 1)) return 0;
  if (need > UINT32_MAX / 2) return DUNLIN_ENOMEM;
  larger.cap = need > least ? need : least;
  if (larger.cap < reg->cap + reg->cap / 2) larger.cap = reg->cap + reg->cap / 2;
  if (larger.cap > SIZE_MAX / block_size(1)) return DUNLIN_ENOMEM;
  larger.as.many = env_alloc(env, block_size(larger.cap));
  if (!larger.as.many) return DUNLIN_ENOMEM;
  if (reg->count) memcpy(larger.as.many, writes_of(reg), reg->count * sizeof *larger.as.many);
  if (reg->cap) memcpy(reg_order(&larger), reg_order(reg), reg->count * sizeof(uint32_t));
  else reg_order(&larger)[0] = 0;
  if (reg->cap) env_free(env, reg->as.many, block_size(reg->cap));
  *reg = larger;
  return 0;
}

/* A write with bytes of its own. */
static int copy_write(const struct dunlin_env *env, const struct reg_write *write, struct reg_write *copy) {
  *copy = *write;
  if (!owns_bytes(&write->value)) return 0;
  const struct dunlin_bytes *from = &write->value.as.string;
  void *data = env_alloc(env, from->len);
  if (!data) return DUNLIN_ENOMEM;
  if (from->len) memcpy(data, from->data, from->len);
  copy->value.as.string.data = data;
  return 0;
}

int reg_append(struct reg *reg, const struct dunlin_env *env, const struct reg_write *write) {
  struct reg_write copy;
  int error = reserve(reg, env, reg->count + 1);
  if (!error) error = copy_write(env, write, &copy);
  if (error) return error;
  writes_of(reg)[reg->count] = copy;
  if (reg->cap) reg_order(reg)[reg->count] = reg->count;
  reg->count++;
  return 0;
}

static int by_number(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

int reg_complete(struct reg *reg, const struct dunlin_env *env) {
  bool sorted = true;
  for (uint32_t i = 1; i < reg->count && sorted; i++) sorted = reg->as.many[i - 1].lv <= reg->as.many[i].lv;
  if (sorted) return 0;
  uint64_t *places = env_calloc(env, reg->count, sizeof *places); /* LV, and where it is */
  struct reg_write *writes = env_calloc(env, reg->count, sizeof *writes);
  bool has_room = places && writes;
  for (uint32_t i = 0; has_room && i < reg->count; i++) places[i] = (uint64_t)reg->as.many[i].lv << 32 | i;
  if (has_room) qsort(places, reg->count, sizeof *places, by_number);
  for (uint32_t i = 0; has_room && i < reg->count; i++) {
    writes[i] = reg->as.many[(uint32_t)places[i]];
    reg_order(reg)[(uint32_t)places[i]] = i;
  }
  if (has_room) memcpy(reg->as.many, writes, reg->count * sizeof *writes);
  ENV_FREE_ARRAY(env, places, reg->count);
  ENV_FREE_ARRAY(env, writes, reg->count);
  return has_room ? 0 : DUNLIN_ENOMEM;
}

static bool wins(const struct graph *graph, const struct reg_write *a, const struct reg_write *b) {
  if (a->class != b->class) return a->class > b->class;
  return graph_wins(graph, a->lv, b->lv);
}

/* Makes room among the writes for one of that LV, mostly behind all. */
static uint32_t make_place(struct reg *reg, uint32_t lv) {
  struct reg_write *writes = reg->as.many;
  uint32_t *order = reg_order(reg), at = reg->count;
  while (at && writes[at - 1].lv > lv) at--;
  if (at == reg->count) return at;
  memmove(&writes[at + 1], &writes[at], (reg->count - at) * sizeof *writes);
  for (uint32_t i = 0; i < reg->count; i++) order[i] += order[i] >= at;
  return at;
}

/* Puts a write in its place; there is room. */
static void place(struct reg *reg, const struct graph *graph, const struct reg_write *write) {
  uint32_t low = 0, high = reg->count;
  if (!reg->cap) {
    reg->as.one = *write;
    reg->count = 1;
    return;
  }
  while (low < high) {
    uint32_t mid = low + (high - low) / 2;
    if (wins(graph, write, reg_at(reg, mid))) high = mid;
    else low = mid + 1;
  }
  uint32_t at = make_place(reg, write->lv), *order = reg_order(reg);
  reg->as.many[at] = *write;
  memmove(&order[low + 1], &order[low], (reg->count - low) * sizeof *order);
  order[low] = at;
  reg->count++;
}

/* The write of that LV or the next later one; `count`. */
static uint32_t find_lv(const struct reg *reg, uint32_t lv) {
  const struct reg_write *writes = reg->cap ? reg->as.many : &reg->as.one;
  uint32_t low = 0, high = reg->count;
  if (high && writes[high - 1].lv < lv) return high;
  while (low < high) {
    uint32_t mid = low + (high - low) / 2;
    if (writes[mid].lv < lv) low = mid + 1;
    else high = mid;
  }
  return low;
}

/* What the open change has written to the register itself; `count` when nothing. */
static uint32_t own_write(const struct reg *reg, const struct graph *graph) {
  return find_lv(reg, graph->lvs);
}

static void remove_at(struct reg *reg, uint32_t at) {
  struct reg_write *writes = writes_of(reg);
  uint32_t kept = 0, *order = reg->cap ? reg_order(reg) : NULL;
  for (uint32_t i = 0; order && i < reg->count; i++)
    if (order[i] != at) order[kept++] = order[i] - (order[i] > at);
  reg->count--;
  memmove(&writes[at], &writes[at + 1], (reg->count - at) * sizeof *writes);
}

/* Which writes a change replaces: what it has seen, and names if it does.  `before`: the latest operation at or before
 * an LV that it has seen, or LV_NONE. */
struct replaced {
  uint32_t (*before)(void *ctx, uint32_t lv);
  void *ctx;
  const struct reg_names *names;
  uint32_t first, last; /* of a register's writes; filled in by count_replaced() */
};

static bool is_meant(const struct replaced *by, uint32_t lv) {
  bool named = !by->names || lv >= by->names->own;
  for (size_t i = 0; !named && i < by->names->count; i++) named = by->names->lvs[i] == lv;
  return named;
}

static uint32_t count_replaced(const struct reg *reg, struct replaced *by) {
  const struct reg_write *writes = reg->cap ? reg->as.many : &reg->as.one;
  uint32_t count = 0;
  for (uint32_t i = reg->count; i;) {
    uint32_t lv = by->before(by->ctx, writes[i - 1].lv);
    if (lv == LV_NONE) break;
    uint32_t at = find_lv(reg, lv);
    bool is_one = at < i && writes[at].lv == lv;
    i = at;
    if (!is_one || !is_meant(by, lv)) continue;
    if (!count++) by->last = at;
    by->first = at;
  }
  return count;
}

/* Takes those out that are replaced, but not all, into `removed`, which has room; `numbers`: where each write goes. */
static void divide(struct reg *reg, struct reg *removed, const struct replaced *by, uint32_t *numbers) {
  const uint32_t away = 1u << 31;
  struct reg_write *writes = reg->as.many, *to = writes_of(removed);
  uint32_t *order = reg_order(reg), kept = 0, ordered = 0, removed_ordered = 0;
  for (uint32_t i = 0; i < reg->count; i++) {
    uint32_t lv = writes[i].lv;
    bool goes = i >= by->first && i <= by->last && is_meant(by, lv) && by->before(by->ctx, lv) == lv;
    if (goes) to[removed->count] = writes[i];
    numbers[i] = goes ? removed->count++ | away : kept;
    if (!goes) writes[kept++] = writes[i];
  }
  for (uint32_t i = 0; i < reg->count; i++) {
    uint32_t number = numbers[order[i]];
    if (!(number & away)) order[ordered++] = number;
    else if (removed->cap) reg_order(removed)[removed_ordered++] = number & ~away;
  }
  reg->count = kept;
}

/* Takes what a change replaces out of a register, into `removed`; leaves room for one more write. */
static int remove_replaced(struct reg *reg, const struct dunlin_env *env, struct replaced *by, struct reg *removed) {
  uint32_t replaced = count_replaced(reg, by), count = reg->count;
  if (replaced == count) { /* mostly: then all of it can go as it is */
    *removed = *reg;
    *reg = (struct reg){0};
    return 0;
  }
  if (reserve(reg, env, count + 1)) return DUNLIN_ENOMEM;
  if (!replaced) return 0;
  uint32_t *numbers = env_calloc(env, count, sizeof *numbers);
  int error = numbers ? reserve(removed, env, replaced) : DUNLIN_ENOMEM;
  if (!error) divide(reg, removed, by, numbers);
  ENV_FREE_ARRAY(env, numbers, count);
  return error;
}

/* The same, and `copy` in its place, for a register that has one write or none. */
static int replace_one(struct reg *reg, const struct graph *graph, const struct reg_write *copy,
                       const struct replaced *by, struct reg *removed) {
  struct reg two = {.count = 2, .cap = 2};
  if (reg->count && by->before(by->ctx, reg->as.one.lv) != reg->as.one.lv) {
    two.as.many = env_alloc(graph->env, block_size(two.cap));
    if (!two.as.many) return DUNLIN_ENOMEM;
    bool is_later = copy->lv > reg->as.one.lv;
    two.as.many[is_later] = *copy;
    two.as.many[!is_later] = reg->as.one;
    uint32_t first = wins(graph, copy, &reg->as.one) == is_later;
    reg_order(&two)[0] = first;
    reg_order(&two)[1] = !first;
    *reg = two;
    return 0;
  }
  if (reg->count) *removed = *reg;
  reg->as.one = *copy;
  reg->count = 1;
  return 0;
}

static int replace(struct reg *reg, const struct graph *graph, const struct reg_write *copy, struct replaced *by,
                   struct reg_undo *undo) {
  if (!reg->cap && !by->names && copy) return replace_one(reg, graph, copy, by, &undo->removed);
  int error = remove_replaced(reg, graph->env, by, &undo->removed);
  if (!error && copy) place(reg, graph, copy);
  return error;
}

static uint32_t before_open(void *ctx, uint32_t lv) {
  return graph_seen_before(ctx, lv);
}

/* Whether the change's own write at `own` is all that it replaces: that had mostly replaced all else that it has
 * seen. */
static bool is_alone(const struct reg *reg, struct replaced *by, uint32_t own) {
  return own < reg->count && count_replaced(reg, by) == 1;
}

int reg_apply(struct reg *reg, struct graph *graph, const struct reg_write *write, const struct reg_names *names,
              struct reg_undo *undo) {
  const struct dunlin_env *env = graph->env;
  struct reg_write copy;
  uint32_t own = own_write(reg, graph);
  struct replaced by = {.before = before_open, .ctx = graph, .names = names};
  *undo = (struct reg_undo){0};
  if (write && copy_write(env, write, &copy)) return DUNLIN_ENOMEM;
  if (is_alone(reg, &by, own)) {
    write_free(&writes_of(reg)[own], env);
    remove_at(reg, own);
    if (write) place(reg, graph, &copy);
    return 0;
  }
  int error = replace(reg, graph, write ? &copy : NULL, &by, undo);
  if (error && write) write_free(&copy, env);
  return error ? error : 1;
}

int reg_replace(struct reg *reg, const struct dunlin_env *env, const struct reg_write *write, struct reg_undo *undo) {
  struct reg_write copy;
  *undo = (struct reg_undo){0};
  if (copy_write(env, write, &copy)) return DUNLIN_ENOMEM;
  undo->removed = *reg;
  *reg = (struct reg){.count = 1, .as.one = copy};
  return 1;
}

int reg_apply_late(struct reg *reg, const struct graph *graph, const struct reg_write *write,
                   const struct reg_names *names, uint32_t (*seen_before)(void *ctx, uint32_t lv), void *ctx,
                   struct reg_undo *undo) {
  struct reg_write copy;
  struct replaced by = {.before = seen_before, .ctx = ctx, .names = names};
  undo->removed.count = undo->removed.cap = 0;
  if (copy_write(graph->env, write, &copy)) return DUNLIN_ENOMEM;
  int error = replace(reg, graph, &copy, &by, undo);
  if (error) write_free(&copy, graph->env);
  return error;
}

/* Takes out write `at` (`count`: none), and puts back what had been removed. */
static void revert(struct reg *reg, const struct graph *graph, uint32_t at, struct reg_undo *undo) {
  struct reg *removed = &undo->removed;
  if (at < reg->count) {
    write_free(&writes_of(reg)[at], graph->env);
    remove_at(reg, at);
  }
  if (!reg->count) { /* They come in their order; to find it again may need history. */
    reg_free(reg, graph->env);
    *reg = *removed;
    *removed = (struct reg){0};
  }
  for (uint32_t i = 0; i < removed->count; i++) place(reg, graph, &writes_of(removed)[i]);
  removed->count = 0;
  reg_undo_free(undo, graph->env);
}

void reg_revert(struct reg *reg, const struct graph *graph, struct reg_undo *undo) {
  revert(reg, graph, own_write(reg, graph), undo);
}

void reg_revert_late(struct reg *reg, const struct graph *graph, uint32_t lv, struct reg_undo *undo) {
  uint32_t at = find_lv(reg, lv);
  revert(reg, graph, at < reg->count && writes_of(reg)[at].lv == lv ? at : reg->count, undo);
}

void reg_undo_free(struct reg_undo *undo, const struct dunlin_env *env) {
  reg_free(&undo->removed, env);
}
