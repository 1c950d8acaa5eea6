/* Whether a list shows what its history says.  See check.c. */
#include <stdlib.h>
#include <string.h>

#include "crdt/internal.h"

struct written { /* an operation wrote to an element, which is known by the operation that inserted it */
  uint32_t lv, element;
};

/* The list made again, as plainly as can be. */
struct again {
  const struct dunlin_env *env;
  uint32_t *elements;
  size_t count, cap;
  struct written *writes;
  size_t write_count, write_cap;
};

static int note_write(struct again *a, uint32_t lv, uint32_t element) {
  if (ENV_GROW(a->env, a->writes, a->write_cap, a->write_count + 1)) return DUNLIN_ENOMEM;
  a->writes[a->write_count++] = (struct written){lv, element};
  return 0;
}

static int insert(void *ctx, uint32_t pos, const struct op_run *run, uint32_t skipped, uint32_t len) {
  struct again *a = ctx;
  if (pos > a->count) return DUNLIN_ECORRUPT;
  if (ENV_GROW(a->env, a->elements, a->cap, a->count + len)) return DUNLIN_ENOMEM;
  memmove(a->elements + pos + len, a->elements + pos, (a->count - pos) * sizeof *a->elements);
  a->count += len;
  int error = 0;
  for (uint32_t i = 0; !error && i < len; i++) {
    a->elements[pos + i] = run->lv + skipped + i;
    error = note_write(a, a->elements[pos + i], a->elements[pos + i]);
  }
  return error;
}

static int erase(void *ctx, uint32_t pos, uint32_t len) {
  struct again *a = ctx;
  if (pos > a->count || len > a->count - pos) return DUNLIN_ECORRUPT;
  a->count -= len;
  memmove(a->elements + pos, a->elements + pos + len, (a->count - pos) * sizeof *a->elements);
  return 0;
}

static int move(void *ctx, uint32_t from, uint32_t to) {
  struct again *a = ctx;
  if (from >= a->count || to >= a->count) return DUNLIN_ECORRUPT;
  uint32_t element = a->elements[from];
  memmove(a->elements + from, a->elements + from + 1, (a->count - 1 - from) * sizeof *a->elements);
  memmove(a->elements + to + 1, a->elements + to, (a->count - 1 - to) * sizeof *a->elements);
  a->elements[to] = element;
  return 0;
}

static int set(void *ctx, uint32_t pos, const struct op_run *run) {
  struct again *a = ctx;
  return pos < a->count ? note_write(a, run->lv, a->elements[pos]) : DUNLIN_ECORRUPT;
}

static int by_lv(const void *a, const void *b) {
  const struct written *x = a, *y = b;
  return (x->lv > y->lv) - (x->lv < y->lv);
}

/* Whether everything that the register has was written to that element. */
static bool is_register_of(const struct again *a, const struct reg *reg, uint32_t element) {
  for (uint32_t i = 0; i < reg->count; i++) {
    struct written key = {reg->writes[i].lv, 0};
    const struct written *found = bsearch(&key, a->writes, a->write_count, sizeof key, by_lv);
    if (!found || found->element != element) return false;
  }
  return reg->count;
}

static int compare(struct again *a, const struct list *list) {
  if (list->size != a->count) return DUNLIN_ECORRUPT;
  if (a->write_count) qsort(a->writes, a->write_count, sizeof *a->writes, by_lv);
  for (uint32_t i = 0; i < list->size; i++)
    if (!is_register_of(a, &list->elements[list_get(list, i)], a->elements[i])) return DUNLIN_ECORRUPT;
  return 0;
}

static int check_shown(dunlin_doc *doc, const struct container *c) {
  struct again again = {.env = doc->env};
  struct walker_sink sink = {&again, insert, erase, move, set};
  struct walker w;
  walker_init(&w, &doc->graph, &c->log, &doc->voids, &doc->values);
  int error = walker_start(&w, 0);
  if (!error) error = walker_replay(&w, doc->graph.lvs, &sink);
  if (!error) error = tracker_check(&w.tracker, true);
  if (!error) error = compare(&again, &c->as.list.list);
  walker_free(&w);
  ENV_FREE_ARRAY(doc->env, again.elements, again.cap);
  ENV_FREE_ARRAY(doc->env, again.writes, again.write_cap);
  return error;
}

int check_list(dunlin_doc *doc, uint32_t container, bool deep) {
  const struct container *c = doc->containers[container];
  const struct walker *w = &c->as.list.walker;
  int error = list_check(&c->as.list.list, deep);
  if (!error && w->is_live) error = tracker_check(&w->tracker, deep);
  if (!error && w->is_live && (w->base > w->to || w->to > doc->graph.lvs)) error = DUNLIN_ECORRUPT;
  return error || !deep ? error : check_shown(doc, c);
}
