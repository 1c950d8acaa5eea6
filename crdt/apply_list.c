/* What operations do to lists. */
#include "crdt/internal.h"

uint32_t list_element_at(const struct container *c, uint32_t at) {
  const struct list_state *l = c->as.list;
  uint32_t pos = l->sequence.walks ? tracker_effect_index(&l->sequence.walker.tracker, at) : at;
  return pos == TRACKER_NONE ? LIST_NONE : list_get(&l->list, pos);
}

/* ---- Edits of what shows ------------------------------------------------------------------------------------ */

struct list_ctx {
  dunlin_doc *doc;
  uint32_t container;
  struct list *list;
  const struct reg_write *write; /* of an insertion or a set */
  const struct reg_names *names; /* NULL, or what the set replaces */
};

static int put_new(struct list_ctx *l, uint32_t pos, const struct reg_write *write) {
  int error = list_reserve(l->list);
  if (error) return error;
  uint32_t element = list_new(l->list);
  struct reg_undo nothing;
  error = reg_apply(&l->list->elements[element], &l->doc->graph, write, NULL, &nothing);
  if (error < 0) list_drop(l->list, element);
  else list_insert(l->list, pos, element);
  return error < 0 ? error : 0;
}

static int put_element(void *ctx, uint32_t pos, const struct op_run *run, uint32_t skipped, uint32_t len) {
  struct list_ctx *l = ctx;
  (void)run, (void)skipped, (void)len; /* it is one, and `write` is its value */
  return put_new(l, pos, l->write);
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
  if (l->doc->watch) watch_item(l->doc, l->doc->containers[l->container], pos, element);
  struct undo undo = {.what = UNDO_LIST_WRITE, .container = l->container, .entry = element};
  int error = reg_apply(&l->list->elements[element], &l->doc->graph, l->write, l->names, &undo.reg);
  if (error <= 0) return error;
  l->doc->open.undos[l->doc->open.undo_count++] = undo; /* apply_op() has made room */
  return 0;
}

/* Whether the indexes lie in the list, of that size at the open change's version. */
static bool in_list(const struct op *op, uint32_t size) {
  if (op->kind == OP_LIST_INSERT || op->kind == OP_LIST_CHILD) return op->a <= size;
  if (op->kind == OP_LIST_MOVE && op->number > size) return false;
  return op->a <= size && op->len <= size - op->a;
}

int list_apply(dunlin_doc *doc, const struct op *op, const struct reg_write *write, const struct reg_names *names) {
  struct container *c = doc->containers[op->container];
  struct sequence *s = &c->as.list->sequence;
  struct list_ctx ctx = {doc, op->container, &c->as.list->list, write, names};
  uint32_t size = version_size(c);
  if (!in_list(op, size)) return DUNLIN_ERANGE;
  if (size >= LV_LIMIT / 4) return DUNLIN_ELIMIT;
  if (s->waits) {
    if (op->kind == OP_DELETE) s->size -= op->len;
    if (op->kind == OP_LIST_INSERT || op->kind == OP_LIST_CHILD) s->size += op->len;
    return 0;
  }
  struct walker_sink sink = {&ctx, put_element, take_elements, move_element, write_element};
  if (s->walks) return walk_op(doc, c, op, &sink);
  switch (op->kind) {
    case OP_DELETE: return take_elements(&ctx, op->a, op->len);
    case OP_LIST_MOVE: return move_element(&ctx, op->a, op->number - (op->a < op->number));
    case OP_LIST_SET:
    case OP_LIST_SET_OVER:
    case OP_LIST_SET_CHILD: return write_element(&ctx, op->a, NULL);
    default: return put_element(&ctx, op->a, NULL, 0, 1);
  }
}

/* ---- What has waited ---------------------------------------------------------------------------------------- */

/* A write to an element, to be taken back when memory runs out later. */
struct late_write {
  uint32_t element, lv;
  struct reg_undo undo;
};

struct late {
  const struct container *container;
  struct list_ctx list;
  struct walker *walker;
  struct late_write *writes;
  size_t count, cap;
};

/* What operation `lv` of the log writes; its value comes next. */
static struct reg_write logged_write(const dunlin_doc *doc, const struct op_run *run, uint32_t lv,
                                     struct mp_reader *r) {
  if (!(run->kind & OP_CREATES)) return (struct reg_write){.lv = lv, .value = value_read(r)};
  uint32_t child = history_made(doc, lv);
  return (struct reg_write){.lv = lv, .value = {.kind = doc->containers[child]->kind, .as.obj = {child}}};
}

static struct mp_reader logged_values(dunlin_doc *doc, const struct op_run *run, uint32_t skipped) {
  uint32_t at = history_place(doc, run, skipped);
  return mp_reader_of(column_at(&doc->values, at), column_end(&doc->values) - at);
}

static int put_late(void *ctx, uint32_t pos, const struct op_run *run, uint32_t skipped, uint32_t len) {
  struct late *late = ctx;
  struct mp_reader values = logged_values(late->list.doc, run, skipped);
  int error = 0;
  for (uint32_t i = 0; !error && i < len; i++) {
    struct reg_write write = logged_write(late->list.doc, run, run->lv + skipped + i, &values);
    error = put_new(&late->list, pos + i, &write);
  }
  return error;
}

static int take_late(void *ctx, uint32_t pos, uint32_t len) {
  return take_elements(&((struct late *)ctx)->list, pos, len);
}

static int move_late(void *ctx, uint32_t from, uint32_t to) {
  return move_element(&((struct late *)ctx)->list, from, to);
}

static uint32_t seen_late(void *ctx, uint32_t lv) {
  return walker_seen(ctx, lv) ? lv : lv - 1; /* at 0: LV_NONE */
}

static int write_late(void *ctx, uint32_t pos, const struct op_run *run) {
  struct late *late = ctx;
  dunlin_doc *doc = late->list.doc;
  if (ENV_GROW(doc->env, late->writes, late->cap, late->count + 1)) return DUNLIN_ENOMEM;
  struct mp_reader values = logged_values(doc, run, 0);
  struct reg_write write = logged_write(doc, run, run->lv, &values);
  uint32_t lvs[WRITE_NAMES_MAX];
  struct reg_names names = {.own = graph_start(&doc->graph, graph_change_at(&doc->graph, run->lv))};
  bool named = run->kind == OP_LIST_SET_OVER;
  int error = named ? find_named(doc, mp_read_bin(&values, WRITE_NAMES_MAX * WRITE_NAME), lvs, &names) : 0;
  if (error) return error;
  struct late_write *w = &late->writes[late->count];
  *w = (struct late_write){.element = list_get(late->list.list, pos), .lv = run->lv};
  if (doc->watch) watch_item(doc, late->container, pos, w->element);
  error = reg_apply_late(&late->list.list->elements[w->element], &doc->graph, &write, named ? &names : NULL, seen_late,
                         late->walker, &w->undo);
  late->count += !error;
  return error;
}

int list_walk_in(dunlin_doc *doc, struct container *c) {
  struct list *list = &c->as.list->list;
  struct late late = {.container = c, .list = {.doc = doc, .list = list}, .walker = &c->as.list->sequence.walker};
  struct walker_sink sink = {&late, put_late, take_late, move_late, write_late};
  list_open(list);
  int error = walker_replay(late.walker, doc->graph.lvs, &sink);
  if (!error) error = doc->names.error;
  while (late.count) {
    struct late_write *w = &late.writes[--late.count];
    if (error) reg_revert_late(&list->elements[w->element], &doc->graph, w->lv, &w->undo);
    else reg_undo_free(&w->undo, doc->env);
  }
  if (error) list_revert(list);
  else list_settle(list);
  ENV_FREE_ARRAY(doc->env, late.writes, late.cap);
  return error;
}
