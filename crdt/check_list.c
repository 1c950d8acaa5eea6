/* Whether a list shows what its history says.  See check.c. */
#include <stdlib.h>

#include "crdt/internal.h"
#include "crdt/survivors.h"

struct written { /* operation `lv` wrote to the element that operation `ord` of the list inserted */
  uint32_t lv, ord;
};

/* A list beside what its operations make of it. */
struct comparison {
  const struct list *list;
  const struct oplog *log;
  const struct dunlin_env *env;
  uint32_t at; /* so many elements have been compared */
  bool is_sorted;
  struct written *writes; /* other than insertions */
  size_t write_count, write_cap;
};

static int note_write(void *ctx, uint32_t lv, uint32_t ord) {
  struct comparison *c = ctx;
  if (ENV_GROW(c->env, c->writes, c->write_cap, c->write_count + 1)) return DUNLIN_ENOMEM;
  c->writes[c->write_count++] = (struct written){lv, ord};
  return 0;
}

static int by_lv(const void *a, const void *b) {
  const struct written *x = a, *y = b;
  return (x->lv > y->lv) - (x->lv < y->lv);
}

/* Whether everything that the register has was written to that element, which operation `lv` inserted. */
static bool is_register_of(const struct comparison *c, const struct reg *reg, uint32_t ord, uint32_t lv) {
  for (uint32_t i = 0; i < reg->count; i++) {
    struct written key = {reg_at(reg, i)->lv, 0};
    if (key.lv == lv) continue;
    const struct written *found = c->write_count ? bsearch(&key, c->writes, c->write_count, sizeof key, by_lv) : NULL;
    if (!found || found->ord != ord) return false;
  }
  return reg->count;
}

static int compare(void *ctx, uint32_t ord, uint32_t len, uint32_t *at) {
  struct comparison *c = ctx;
  (void)at;
  if (!c->is_sorted && c->write_count) qsort(c->writes, c->write_count, sizeof *c->writes, by_lv);
  c->is_sorted = true;
  if (len > c->list->size - c->at) return DUNLIN_ECORRUPT;
  const struct op_run *run = &c->log->runs[oplog_by_ord(c->log, ord)];
  for (; len; len--, ord++, c->at++) {
    if (ord - run->ord == run->len) run++;
    const struct reg *reg = &c->list->elements[list_get(c->list, c->at)];
    if (!is_register_of(c, reg, ord, run->lv + (ord - run->ord))) return DUNLIN_ECORRUPT;
  }
  return 0;
}

int list_agrees(const struct list *list, const struct graph *graph, const struct oplog *log,
                const struct lv_ranges *voids, const struct column *values, uint32_t to) {
  struct comparison c = {.list = list, .log = log, .env = graph->env};
  struct survivors_of of = {graph, log, voids, values, to, &c, compare, note_write};
  struct survivors shown;
  int error = survivors_find(&shown, &of);
  if (!error && c.at != list->size) error = DUNLIN_ECORRUPT;
  survivors_free(&shown, graph->env);
  ENV_FREE_ARRAY(graph->env, c.writes, c.write_cap);
  return error == DUNLIN_EFORMAT ? DUNLIN_ECORRUPT : error;
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
