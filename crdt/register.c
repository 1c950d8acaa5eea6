#include "crdt/register.h"

#include <string.h>

static bool owns_bytes(const struct dunlin_value *value) {
  return value->kind == DUNLIN_STRING || value->kind == DUNLIN_BYTES;
}

static void write_free(struct reg_write *write, const struct dunlin_env *env) {
  if (owns_bytes(&write->value))
    env_free(env, (void *)(uintptr_t)write->value.as.string.data, write->value.as.string.len);
}

static struct reg_write *writes_of(struct reg *reg) {
  return reg->cap ? reg->as.many : &reg->as.one;
}

void reg_free(struct reg *reg, const struct dunlin_env *env) {
  for (uint32_t i = 0; i < reg->count; i++) write_free(&writes_of(reg)[i], env);
  if (reg->cap) ENV_FREE_ARRAY(env, reg->as.many, reg->cap);
  *reg = (struct reg){0};
}

/* Makes room for `need` writes. */
static int reserve(struct reg *reg, const struct dunlin_env *env, uint32_t need) {
  if (need <= (reg->cap ? reg->cap : 1)) return 0;
  if (need > UINT32_MAX / 2) return DUNLIN_ENOMEM;
  struct reg_write *many = reg->cap ? reg->as.many : NULL;
  size_t cap = reg->cap;
  if (ENV_GROW(env, many, cap, need)) return DUNLIN_ENOMEM;
  if (!reg->cap && reg->count) many[0] = reg->as.one;
  reg->as.many = many;
  reg->cap = (uint32_t)cap;
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
  if (!error) writes_of(reg)[reg->count++] = copy;
  return error;
}

static bool wins(const struct graph *graph, const struct reg_write *a, const struct reg_write *b) {
  if (a->class != b->class) return a->class > b->class;
  return graph_wins(graph, a->lv, b->lv);
}

/* Puts a write in its place; there is room. */
static void place(struct reg *reg, const struct graph *graph, struct reg_write write) {
  struct reg_write *writes = writes_of(reg);
  uint32_t at = reg->count++;
  for (; at && wins(graph, &write, &writes[at - 1]); at--) writes[at] = writes[at - 1];
  writes[at] = write;
}

/* What the open change has written to the register itself; `count` when nothing. */
static uint32_t own_write(const struct reg *reg, const struct graph *graph) {
  const struct reg_write *writes = reg_writes(reg);
  uint32_t i = 0;
  while (i < reg->count && writes[i].lv < graph->lvs) i++;
  return i;
}

static void remove_at(struct reg *reg, uint32_t at) {
  struct reg_write *writes = writes_of(reg);
  reg->count--;
  memmove(&writes[at], &writes[at + 1], (reg->count - at) * sizeof *writes);
}

/* Which writes a change replaces: what it has seen, and names if it does. */
struct replaced {
  bool (*seen)(void *ctx, uint32_t lv);
  void *ctx;
  const struct reg_names *names;
};

static bool is_replaced(const struct replaced *by, uint32_t lv) {
  bool named = !by->names || lv >= by->names->own;
  for (size_t i = 0; !named && i < by->names->count; i++) named = by->names->lvs[i] == lv;
  return named && by->seen(by->ctx, lv);
}

/* Takes what a change replaces out of a register, into `removed`; leaves room for one more write. */
static int remove_replaced(struct reg *reg, const struct dunlin_env *env, const struct replaced *by,
                           struct reg *removed) {
  uint32_t kept = 0, seen = 0;
  for (uint32_t i = 0; i < reg->count; i++) seen += is_replaced(by, reg_writes(reg)[i].lv);
  if (seen == reg->count) { /* mostly: then all of it can go as it is */
    *removed = *reg;
    *reg = (struct reg){0};
    return 0;
  }
  if (reserve(reg, env, reg->count + 1) || reserve(removed, env, seen)) return DUNLIN_ENOMEM;
  struct reg_write *writes = writes_of(reg);
  for (uint32_t i = 0; i < reg->count; i++) {
    if (is_replaced(by, writes[i].lv)) writes_of(removed)[removed->count++] = writes[i];
    else writes[kept++] = writes[i];
  }
  reg->count = kept;
  return 0;
}

static int replace(struct reg *reg, const struct graph *graph, const struct reg_write *copy, const struct replaced *by,
                   struct reg_undo *undo) {
  int error = remove_replaced(reg, graph->env, by, &undo->removed);
  if (!error && copy) place(reg, graph, *copy);
  return error;
}

static bool seen_by_open(void *ctx, uint32_t lv) {
  return graph_seen(ctx, lv);
}

/* Whether the change's own write at `own` is all that it replaces: that had mostly replaced all else that it has seen. */
static bool is_alone(const struct reg *reg, const struct replaced *by, uint32_t own) {
  bool alone = own < reg->count;
  for (uint32_t i = 0; alone && i < reg->count; i++) alone = i == own || !is_replaced(by, reg_writes(reg)[i].lv);
  return alone;
}

int reg_apply(struct reg *reg, struct graph *graph, const struct reg_write *write, const struct reg_names *names,
              struct reg_undo *undo) {
  const struct dunlin_env *env = graph->env;
  struct reg_write copy;
  uint32_t own = own_write(reg, graph);
  struct replaced by = {seen_by_open, graph, names};
  *undo = (struct reg_undo){0};
  if (write && copy_write(env, write, &copy)) return DUNLIN_ENOMEM;
  if (is_alone(reg, &by, own)) {
    write_free(&writes_of(reg)[own], env);
    remove_at(reg, own);
    if (write) place(reg, graph, copy);
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
                   const struct reg_names *names, bool (*seen)(void *ctx, uint32_t lv), void *ctx,
                   struct reg_undo *undo) {
  struct reg_write copy;
  struct replaced by = {seen, ctx, names};
  *undo = (struct reg_undo){0};
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
  for (uint32_t i = 0; i < removed->count; i++) place(reg, graph, writes_of(removed)[i]);
  removed->count = 0;
  reg_undo_free(undo, graph->env);
}

void reg_revert(struct reg *reg, const struct graph *graph, struct reg_undo *undo) {
  revert(reg, graph, own_write(reg, graph), undo);
}

void reg_revert_late(struct reg *reg, const struct graph *graph, uint32_t lv, struct reg_undo *undo) {
  uint32_t at = 0;
  while (at < reg->count && reg_writes(reg)[at].lv != lv) at++;
  revert(reg, graph, at, undo);
}

void reg_undo_free(struct reg_undo *undo, const struct dunlin_env *env) {
  reg_free(&undo->removed, env);
}

/* Whether a write of the same container comes before write `i`: two devices that created or touched one child. */
static bool repeated(const struct reg *reg, uint32_t i) {
  const struct reg_write *writes = reg_writes(reg);
  if (writes[i].value.kind < DUNLIN_MAP) return false;
  for (uint32_t k = 0; k < i; k++)
    if (value_same(&writes[k].value, &writes[i].value)) return true;
  return false;
}

const struct reg_write *reg_distinct(const struct reg *reg, size_t i) {
  for (uint32_t k = 0; k < reg->count; k++)
    if (!repeated(reg, k) && i-- == 0) return &reg_writes(reg)[k];
  return NULL;
}
