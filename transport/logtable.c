#include "transport/logtable.h"

#include <string.h>

void logtable_free(struct logtable *table) {
  ENV_FREE_ARRAY(table->env, table->logs, table->cap);
  *table = (struct logtable){.env = table->env};
}

static int compare(const struct log_name *a, const struct log_name *b) {
  int order = id_compare(&a->space, &b->space);
  if (!order) order = (a->lane > b->lane) - (a->lane < b->lane);
  if (!order) order = id_compare(&a->device, &b->device);
  if (!order) order = actor_compare(&a->actor, &b->actor);
  return order;
}

/* The first place whose log is not before `name`. */
static size_t place(const struct logtable *table, const struct log_name *name) {
  size_t low = 0, high = table->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (compare(&table->logs[middle].name, name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

struct log_state *logtable_find(const struct logtable *table, const struct log_name *name) {
  size_t at = place(table, name);
  return at < table->count && !compare(&table->logs[at].name, name) ? &table->logs[at] : NULL;
}

int logtable_add(struct logtable *table, const struct log_name *name, struct log_state **out) {
  size_t at = place(table, name);
  if (at == table->count || compare(&table->logs[at].name, name)) {
    if (table->count == LOGTABLE_MAX) return DUNLIN_ELIMIT;
    int error = ENV_GROW(table->env, table->logs, table->cap, table->count + 1);
    if (error) return error;
    memmove(table->logs + at + 1, table->logs + at, (table->count - at) * sizeof *table->logs);
    table->logs[at] = (struct log_state){.name = *name};
    table->count++;
  }
  *out = &table->logs[at];
  return 0;
}
