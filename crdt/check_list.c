/* Whether a list shows what its history says.  See check.c. */
#include <stdlib.h>
#include <string.h>

#include "crdt/internal.h"

struct written { /* an operation wrote to an element, which is known by the operation that inserted it */
  uint32_t lv, element;
};

/* The list made again: its registers stay empty, but it is known who inserted each element and what was written to it. */
struct again {
  struct list list;
  uint32_t *inserted; /* by handle: the operation */
  size_t inserted_cap;
  struct written *writes;
  size_t write_count, write_cap;
};

static int note_write(struct again *a, uint32_t lv, uint32_t element) {
  if (ENV_GROW(a->list.env, a->writes, a->write_cap, a->write_count + 1)) return DUNLIN_ENOMEM;
  a->writes[a->write_count++] = (struct written){lv, element};
  return 0;
}

static int insert(void *ctx, uint32_t pos, const struct op_run *run, uint32_t skipped, uint32_t len) {
  struct again *a = ctx;
  struct list *l = &a->list;
  if (pos > l->size) return DUNLIN_ECORRUPT;
  int error = 0;
  for (uint32_t i = 0, lv = run->lv + skipped; !error && i < len; i++, lv++) {
    error = list_reserve(l);
    if (!error) error = ENV_GROW(l->env, a->inserted, a->inserted_cap, l->element_count + 1);
    if (error) return error;
    uint32_t element = list_new(l);
    a->inserted[element] = lv;
    list_insert(l, pos + i, element);
    error = note_write(a, lv, lv);
  }
  return error;
}

static int erase(void *ctx, uint32_t pos, uint32_t len) {
  struct list *l = &((struct again *)ctx)->list;
  if (pos > l->size || len > l->size - pos) return DUNLIN_ECORRUPT;
  for (; len; len--) list_erase(l, pos);
  return 0;
}

static int move(void *ctx, uint32_t from, uint32_t to) {
  struct list *l = &((struct again *)ctx)->list;
  if (from >= l->size || to >= l->size) return DUNLIN_ECORRUPT;
  int error = list_reserve(l);
  if (!error) list_move(l, from, to);
  return error;
}

static int set(void *ctx, uint32_t pos, const struct op_run *run) {
  struct again *a = ctx;
  return pos < a->list.size ? note_write(a, run->lv, a->inserted[list_get(&a->list, pos)]) : DUNLIN_ECORRUPT;
}

static int by_lv(const void *a, const void *b) {
  const struct written *x = a, *y = b;
  return (x->lv > y->lv) - (x->lv < y->lv);
}

/* Whether everything that the register has was written to that element. */
static bool is_register_of(const struct again *a, const struct reg *reg, uint32_t element) {
  for (uint32_t i = 0; i < reg->count; i++) {
    struct written key = {reg_at(reg, i)->lv, 0};
    const struct written *found = bsearch(&key, a->writes, a->write_count, sizeof key, by_lv);
    if (!found || found->element != element) return false;
  }
  return reg->count;
}

static int compare(struct again *a, const struct list *list) {
  if (list->size != a->list.size) return DUNLIN_ECORRUPT;
  if (a->write_count) qsort(a->writes, a->write_count, sizeof *a->writes, by_lv);
  for (uint32_t i = 0; i < list->size; i++)
    if (!is_register_of(a, &list->elements[list_get(list, i)], a->inserted[list_get(&a->list, i)]))
      return DUNLIN_ECORRUPT;
  return 0;
}

int list_agrees(const struct list *list, const struct graph *graph, const struct oplog *log,
                const struct lv_ranges *voids, const struct column *values, uint32_t to) {
  struct again again = {.inserted = NULL};
  struct walker_sink sink = {&again, insert, erase, move, set};
  struct walker w;
  uint32_t visible;
  list_init(&again.list, graph->env);
  walker_init(&w, graph, log, voids, values);
  int error = walker_start(&w, 0);
  if (!error) error = walker_replay(&w, to, &sink);
  if (!error) error = tracker_check(&w.tracker, true);
  if (!error && !tracker_base_untouched(&w.tracker, &visible)) error = DUNLIN_ECORRUPT;
  if (!error) error = compare(&again, list);
  walker_free(&w);
  list_free(&again.list);
  ENV_FREE_ARRAY(graph->env, again.inserted, again.inserted_cap);
  ENV_FREE_ARRAY(graph->env, again.writes, again.write_cap);
  return error;
}

int check_list(dunlin_doc *doc, uint32_t container, bool deep) {
  const struct container *c = doc->containers[container];
  const struct walker *w = &c->as.list->sequence.walker;
  int error = list_check(&c->as.list->list, deep);
  if (!error && deep) error = container_show(doc, container);
  if (!error && w->is_live) error = tracker_check(&w->tracker, deep);
  if (!error && w->is_live && (w->base > w->to || w->to > doc->graph.lvs)) error = DUNLIN_ECORRUPT;
  if (error || !deep) return error;
  return list_agrees(&c->as.list->list, &doc->graph, &c->log, &doc->voids, &doc->values, doc->graph.lvs);
}
