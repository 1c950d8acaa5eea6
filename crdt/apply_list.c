/* What operations do to lists. */
#include "crdt/internal.h"

void list_state_init(dunlin_doc *doc, struct container *c) {
  list_init(&c->as.list.list, doc->env);
  walker_init(&c->as.list.walker, &doc->graph, &c->log, &doc->voids, &doc->values);
}

void list_state_free(struct container *c) {
  list_free(&c->as.list.list);
  walker_free(&c->as.list.walker);
}

/* ---- The open change ---------------------------------------------------------------------------------------- */

int list_ready(dunlin_doc *doc, struct container *c) {
  struct list_state *s = &c->as.list;
  bool concurrent;
  list_open(&s->list);
  s->walks = false;
  int error = is_concurrent(doc, c, &concurrent);
  if (error) return error;
  s->walks = concurrent || c->void_from != LV_NONE || doc->open.is_void;
  return s->walks ? ready_walker(doc, c, &s->walker) : 0;
}

void list_state_revert(struct container *c) {
  list_revert(&c->as.list.list);
  if (c->as.list.walks) walker_stop(&c->as.list.walker);
}

void list_state_settle(dunlin_doc *doc, struct container *c) {
  list_settle(&c->as.list.list);
  settle_walker(doc, &c->as.list.walker, c->as.list.walks);
}

uint32_t list_version_size(const struct container *c) {
  const struct list_state *s = &c->as.list;
  const struct tracker *t = &s->walker.tracker;
  /* The tracker counts more items than there are, since its base has no end. */
  return s->walks ? t->now - (t->effect - s->list.size) : s->list.size;
}

uint32_t list_element_at(const struct container *c, uint32_t at) {
  const struct list_state *s = &c->as.list;
  uint32_t pos = s->walks ? tracker_effect_index(&s->walker.tracker, at) : at;
  return pos == TRACKER_NONE ? LIST_NONE : list_get(&s->list, pos);
}

/* ---- Edits of what shows ------------------------------------------------------------------------------------ */

struct list_ctx {
  dunlin_doc *doc;
  uint32_t container;
  struct list *list;
  const struct reg_write *write; /* of an insertion or a set */
};

static int put_element(void *ctx, uint32_t pos, const struct op_run *run, uint32_t skipped, uint32_t len) {
  struct list_ctx *l = ctx;
  (void)run, (void)skipped, (void)len; /* it is one, and `write` is its value */
  int error = list_reserve(l->list);
  if (error) return error;
  uint32_t element = list_new(l->list);
  struct reg_undo nothing;
  error = reg_apply(&l->list->elements[element], &l->doc->graph, l->write, &nothing);
  if (error < 0) list_drop(l->list, element);
  else list_insert(l->list, pos, element);
  return error < 0 ? error : 0;
}

static int take_elements(void *ctx, uint32_t pos, uint32_t len) {
  struct list_ctx *l = ctx;
  int error = 0;
  for (; !error && len; len--) {
    error = list_reserve(l->list);
    if (!error) list_erase(l->list, pos);
  }
  return error;
}

static int move_element(void *ctx, uint32_t from, uint32_t to) {
  struct list_ctx *l = ctx;
  int error = list_reserve(l->list);
  if (!error) list_move(l->list, from, to);
  return error;
}

static int write_element(void *ctx, uint32_t pos, const struct op_run *run) {
  struct list_ctx *l = ctx;
  (void)run;
  uint32_t element = list_get(l->list, pos);
  struct undo undo = {.what = UNDO_LIST_WRITE, .container = l->container, .entry = element};
  int error = reg_apply(&l->list->elements[element], &l->doc->graph, l->write, &undo.reg);
  if (error <= 0) return error;
  l->doc->open.undos[l->doc->open.undo_count++] = undo; /* apply_op() has made room */
  return 0;
}

/* Whether the indexes lie in the list at the open change's version. */
static bool in_list(const struct container *c, const struct op *op) {
  uint32_t size = list_version_size(c);
  if (op->kind == OP_LIST_INSERT || op->kind == OP_LIST_CHILD) return op->a <= size;
  if (op->kind == OP_LIST_MOVE && op->number > size) return false;
  return op->a <= size && op->len <= size - op->a;
}

int list_apply(dunlin_doc *doc, const struct op *op, const struct reg_write *write) {
  struct container *c = doc->containers[op->container];
  struct list_ctx ctx = {doc, op->container, &c->as.list.list, write};
  if (!in_list(c, op)) return DUNLIN_ERANGE;
  if (ctx.list->size >= LV_LIMIT / 4) return DUNLIN_ELIMIT;
  struct walker_sink sink = {&ctx, put_element, take_elements, move_element, write_element};
  if (c->as.list.walks) return walk_op(doc, c, &c->as.list.walker, op, &sink);
  switch (op->kind) {
    case OP_DELETE: return take_elements(&ctx, op->a, op->len);
    case OP_LIST_MOVE: return move_element(&ctx, op->a, op->number - (op->a < op->number));
    case OP_LIST_SET:
    case OP_LIST_SET_CHILD: return write_element(&ctx, op->a, NULL);
    default: return put_element(&ctx, op->a, NULL, 0, 1);
  }
}
