#include "crdt/register.h"

#include <string.h>

static bool owns_bytes(const struct dunlin_value *value) {
  return value->kind == DUNLIN_STRING || value->kind == DUNLIN_BYTES;
}

static void write_free(struct reg_write *write, const struct dunlin_env *env) {
  if (owns_bytes(&write->value))
    env_free(env, (void *)(uintptr_t)write->value.as.string.data, write->value.as.string.len);
}

void reg_free(struct reg *reg, const struct dunlin_env *env) {
  for (uint32_t i = 0; i < reg->count; i++) write_free(&reg->writes[i], env);
  ENV_FREE_ARRAY(env, reg->writes, reg->cap);
}

static bool wins(const struct graph *graph, const struct reg_write *a, const struct reg_write *b) {
  if (a->class != b->class) return a->class > b->class;
  return graph_wins(graph, a->lv, b->lv);
}

/* Puts a write in its place; there is room. */
static void place(struct reg *reg, const struct graph *graph, struct reg_write write) {
  uint32_t at = reg->count++;
  for (; at && wins(graph, &write, &reg->writes[at - 1]); at--) reg->writes[at] = reg->writes[at - 1];
  reg->writes[at] = write;
}

int reg_apply(struct reg *reg, struct graph *graph, const struct reg_write *write, struct reg_undo *undo) {
  const struct dunlin_env *env = graph->env;
  struct reg_write copy = {0};
  *undo = (struct reg_undo){.added = write};
  if (write) copy = *write;
  if (write && owns_bytes(&write->value)) {
    void *data = env_alloc(env, write->value.as.string.len);
    if (!data) return DUNLIN_ENOMEM;
    if (write->value.as.string.len) memcpy(data, write->value.as.string.data, write->value.as.string.len);
    copy.value.as.string.data = data;
  }
  if (ENV_GROW(env, reg->writes, reg->cap, reg->count + 1u) ||
      (reg->count && ENV_GROW(env, undo->removed, undo->removed_cap, reg->count))) {
    write_free(&copy, env);
    return DUNLIN_ENOMEM;
  }
  uint32_t kept = 0;
  for (uint32_t i = 0; i < reg->count; i++) {
    if (graph_seen(graph, reg->writes[i].lv)) undo->removed[undo->removed_count++] = reg->writes[i];
    else reg->writes[kept++] = reg->writes[i];
  }
  reg->count = kept;
  if (write) place(reg, graph, copy);
  return 0;
}

void reg_revert(struct reg *reg, const struct graph *graph, uint32_t lv, struct reg_undo *undo) {
  for (uint32_t i = 0; undo->added && i < reg->count; i++) {
    if (reg->writes[i].lv != lv) continue;
    write_free(&reg->writes[i], graph->env);
    reg->count--;
    memmove(&reg->writes[i], &reg->writes[i + 1], (reg->count - i) * sizeof *reg->writes);
    break;
  }
  /* They come in their order; to find it again may need history. */
  if (!reg->count)
    for (size_t i = 0; i < undo->removed_count; i++) reg->writes[reg->count++] = undo->removed[i];
  else
    for (size_t i = 0; i < undo->removed_count; i++) place(reg, graph, undo->removed[i]);
  undo->removed_count = 0;
  reg_undo_free(undo, graph->env);
}

void reg_undo_free(struct reg_undo *undo, const struct dunlin_env *env) {
  for (size_t i = 0; i < undo->removed_count; i++) write_free(&undo->removed[i], env);
  ENV_FREE_ARRAY(env, undo->removed, undo->removed_cap);
  *undo = (struct reg_undo){0};
}

/* Whether a write of the same container comes before write `i`: two devices that created or touched one child. */
static bool repeated(const struct reg *reg, uint32_t i) {
  if (reg->writes[i].value.kind < DUNLIN_MAP) return false;
  for (uint32_t k = 0; k < i; k++)
    if (value_same(&reg->writes[k].value, &reg->writes[i].value)) return true;
  return false;
}

const struct reg_write *reg_distinct(const struct reg *reg, size_t i) {
  for (uint32_t k = 0; k < reg->count; k++)
    if (!repeated(reg, k) && i-- == 0) return &reg->writes[k];
  return NULL;
}
