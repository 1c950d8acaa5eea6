#include "transport/logtable.h"

#include <string.h>

void logtable_free(struct logtable *table) {
  ENV_FREE_ARRAY(table->env, table->logs, table->cap);
  ENV_FREE_ARRAY(table->env, table->tips, table->tip_cap);
  *table = (struct logtable){.env = table->env};
}

static int compare(const struct log_name *a, const struct log_name *b) {
  int order = id_compare(&a->space, &b->space);
  if (!order) order = (a->lane > b->lane) - (a->lane < b->lane);
  if (!order) order = id_compare(&a->device, &b->device);
  if (!order) order = actor_compare(&a->actor, &b->actor);
  return order;
}

bool log_name_equal(const struct log_name *a, const struct log_name *b) {
  return !compare(a, b);
}

/* The first place that is not before `name` and `branch` (NULL: before all). */
static size_t place(const struct logtable *table, const struct log_name *name, const struct dunlin_id *branch) {
  size_t low = 0, high = table->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = compare(&table->logs[middle].name, name);
    if (!order && branch) order = id_compare(&table->logs[middle].branch, branch);
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

struct log_state *logtable_find(const struct logtable *table, const struct log_name *name, size_t *count) {
  size_t at = place(table, name, NULL), end = at;
  while (end < table->count && !compare(&table->logs[end].name, name)) end++;
  *count = end - at;
  return end > at ? &table->logs[at] : NULL;
}

int logtable_add(struct logtable *table, const struct log_name *name, const struct dunlin_id *branch,
                 struct log_state **out) {
  size_t at = place(table, name, branch);
  if (at == table->count || compare(&table->logs[at].name, name) || id_compare(&table->logs[at].branch, branch)) {
    if (table->count + table->tip_count >= LOGTABLE_MAX) return DUNLIN_ELIMIT;
    int error = ENV_GROW(table->env, table->logs, table->cap, table->count + 1);
    if (error) return error;
    memmove(table->logs + at + 1, table->logs + at, (table->count - at) * sizeof *table->logs);
    table->logs[at] = (struct log_state){.name = *name, .branch = *branch};
    table->count++;
  }
  *out = &table->logs[at];
  return 0;
}

struct tip_state *logtable_find_tip(const struct logtable *table, const struct log_name *name, uint64_t count,
                                    const uint8_t tip[8]) {
  for (size_t i = 0; i < table->tip_count; i++) {
    struct tip_state *t = &table->tips[i];
    if (t->count == count && !memcmp(t->tip, tip, sizeof t->tip) && log_name_equal(&t->name, name)) return t;
  }
  return NULL;
}

int logtable_add_tip(struct logtable *table, const struct log_name *name, uint64_t count, const uint8_t tip[8]) {
  bool refused = false;
  for (size_t i = 0; i < table->tip_count; i++)
    refused |= table->tips[i].refused && log_name_equal(&table->tips[i].name, name);
  if (logtable_find_tip(table, name, count, tip)) return 0;
  if (table->count + table->tip_count >= LOGTABLE_MAX) return DUNLIN_ELIMIT;
  int error = ENV_GROW(table->env, table->tips, table->tip_cap, table->tip_count + 1);
  if (error) return error;
  struct tip_state *t = &table->tips[table->tip_count++];
  *t = (struct tip_state){.name = *name, .count = count, .refused = refused};
  memcpy(t->tip, tip, sizeof t->tip);
  return 0;
}

void logtable_drop_tip(struct logtable *table, size_t at) {
  memmove(&table->tips[at], &table->tips[at + 1], (--table->tip_count - at) * sizeof *table->tips);
}
