/* The opposite of writes to registers, of amounts and of members. */
#include "crdt/undo.h"

#include <stdlib.h>

/* ---- What is whose ------------------------------------------------------------------------------------------ */

const struct undo_change *undo_change_of(const struct undo_step *step, uint32_t lv) {
  for (size_t i = 0; i < step->count; i++)
    if (lv >= step->changes[i].from && lv < step->changes[i].to) return &step->changes[i];
  return NULL;
}

bool undo_is_void(const dunlin_doc *doc, const struct undo_change *change) {
  for (size_t i = 0; i < doc->voids.count; i++)
    if (change->from >= doc->voids.list[i].from && change->from < doc->voids.list[i].to) return true;
  return false;
}

/* What says which write this one stands for; NULL. */
static const struct undo_stands *stands_at(const dunlin_undo *u, uint32_t lv) {
  const struct undo_stand_list *s = &u->writes;
  size_t low = 0, high = s->count;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (s->list[mid].lv <= lv) low = mid;
    else high = mid;
  }
  bool is_here = s->count && lv >= s->list[low].lv && lv - s->list[low].lv < s->list[low].len;
  return is_here ? &s->list[low] : NULL;
}

/* The operation of the step that this one is or stands for; LV_NONE. */
static uint32_t origin(const dunlin_undo *u, const struct undo_step *step, uint32_t lv) {
  while (!undo_change_of(step, lv)) {
    const struct undo_stands *s = stands_at(u, lv);
    if (!s) return LV_NONE;
    lv = s->first + (lv - s->lv); /* an earlier one: this ends */
  }
  return lv;
}

static const struct undo_write *write_at(const struct undo_change *c, struct undo_write key) {
  return c->write_count ? bsearch(&key, c->writes, c->write_count, sizeof key, undo_compare_writes) : NULL;
}

/* What the step noted of this write of its own. */
static const struct undo_write *write_of(const struct undo_step *step, uint32_t lv) {
  const struct undo_change *c = undo_change_of(step, lv);
  for (size_t low = 0, high = c ? c->write_count : 0; low < high;) {
    size_t mid = (low + high) / 2;
    if (c->writes[mid].lv == lv) return &c->writes[mid];
    if (c->writes[mid].lv < lv) low = mid + 1;
    else high = mid;
  }
  return NULL;
}

/* The last deletion of the key in a change of the step before LV `lv`; NULL. */
static const struct undo_write *deletion_before(const struct undo_step *step, const struct undo_write *w, uint32_t lv) {
  for (size_t i = step->count; i-- > 0;) {
    if (step->changes[i].to > lv) continue;
    const struct undo_write *found =
        write_at(&step->changes[i], (struct undo_write){.lv = LV_NONE, .container = w->container, .entry = w->entry});
    if (found) return found;
  }
  return NULL;
}

/* Writes that were there before the step. */
struct befores {
  const struct reg_write *list[WRITE_NAMES_MAX];
  size_t count;
};

static void add_before(struct befores *all, const struct reg_write *write) {
  if (all->count < WRITE_NAMES_MAX) all->list[all->count++] = write;
}

/* Several changes of the step may have written there in a row. */
static void find_befores(const dunlin_doc *doc, const struct undo_step *step, const struct undo_write *w,
                         struct befores *all) {
  bool is_map = has_map(doc->containers[w->container]->kind);
  while (w) {
    const struct undo_write *earlier = NULL;
    if (w->had) {
      earlier = write_of(step, w->before.lv);
      if (!earlier) add_before(all, &w->before);
      for (size_t i = 0; i < w->more_count; i++) {
        const struct undo_write *own = write_of(step, w->more[i].lv);
        if (own) find_befores(doc, step, own, all);
        else add_before(all, &w->more[i]);
      }
    } else if (is_map && w->lv != LV_NONE) {
      earlier = deletion_before(step, w, undo_change_of(step, w->lv)->from);
    }
    w = earlier;
  }
}

/* The one of them that won. */
static const struct reg_write *before_step(const dunlin_doc *doc, const struct undo_step *step,
                                           const struct undo_write *w) {
  struct befores all = {.count = 0};
  find_befores(doc, step, w, &all);
  return all.count ? all.list[0] : NULL;
}

/* ---- What others have done ---------------------------------------------------------------------------------- */

static bool is_foreign(const dunlin_doc *doc, uint32_t from, uint32_t to) {
  const struct graph *g = &doc->graph;
  for (uint32_t run = graph_run_at(g, from); run < g->run_count && g->runs[run].lv < to; run++)
    if (g->runs[run].actor != doc->actor) return true;
  return false;
}

static bool lies_in(const dunlin_doc *doc, uint32_t container, uint32_t in) {
  while (container != in && container) container = doc->containers[container]->parent;
  return container == in;
}

bool undo_others_wrote(const dunlin_doc *doc, uint32_t container, uint32_t since) {
  if (!is_foreign(doc, since, doc->graph.lvs)) return false;
  for (uint32_t i = 0; i < doc->container_count; i++) {
    const struct oplog *log = &doc->containers[i]->log;
    if (!lies_in(doc, i, container)) continue;
    for (size_t k = oplog_from(log, since); k < log->count; k++) {
      uint32_t from = log->runs[k].lv > since ? log->runs[k].lv : since;
      if (from < doc->graph.lvs && is_foreign(doc, from, log->runs[k].lv + log->runs[k].len)) return true;
    }
  }
  return false;
}

bool undo_goes(const dunlin_undo *u, const struct undo_step *step, uint32_t container) {
  const dunlin_doc *doc = u->doc;
  for (uint32_t at = container; at; at = doc->containers[at]->parent) {
    const struct lv_set *made = &doc->containers[at]->made;
    if (made->count && undo_change_of(step, made->lvs[0]) && !undo_others_wrote(doc, at, step->changes[0].from))
      return true;
  }
  return false;
}

/* Whether one of the other writes has replaced this one. */
static int others_replaced(const dunlin_undo *u, const struct undo_step *step, const struct reg *reg, uint32_t lv,
                           bool *replaced) {
  const struct graph *g = &u->doc->graph;
  struct lv_ranges only = {0};
  int error = 0;
  *replaced = false;
  for (uint32_t i = 0; !error && !*replaced && i < reg->count; i++) {
    uint32_t other = reg_at(reg, i)->lv;
    if (other >= g->lvs || origin(u, step, other) != LV_NONE) continue;
    uint32_t a = graph_start(g, graph_change_at(g, other) + 1) - 1, b = graph_start(g, graph_change_at(g, lv) + 1) - 1;
    error = graph_difference(g, &a, 1, &b, 1, NULL, &only);
    *replaced = !error && (!only.count || only.list[0].to <= lv);
  }
  lv_ranges_free(&only, u->env);
  return error;
}

/* The write that this one stands for at last. */
static uint32_t root_of_write(const dunlin_undo *u, uint32_t lv) {
  for (const struct undo_stands *s; (s = stands_at(u, lv));) lv = s->first + (lv - s->lv);
  return lv;
}

static bool wins(const dunlin_undo *u, const struct reg_write *write, const struct reg_write *over) {
  if (write->class != over->class) return write->class > over->class;
  return graph_wins(&u->doc->graph, root_of_write(u, write->lv), root_of_write(u, over->lv));
}

/* What was lost when the step's own writes were brought back by others that came later. */
static void add_lost(const dunlin_undo *u, const struct undo_step *step, uint32_t lv, struct befores *all) {
  for (const struct undo_stands *s; !undo_change_of(step, lv) && (s = stands_at(u, lv)); lv = s->first + (lv - s->lv)) {
    size_t low = 0, high = u->lost_count;
    while (low < high) {
      size_t mid = (low + high) / 2;
      if (u->lost[mid].lv < lv) low = mid + 1;
      else high = mid;
    }
    for (; low < u->lost_count && u->lost[low].lv == lv; low++) add_before(all, &u->lost[low].write);
  }
}

/* Whether what the step's write replaced there showed over that other write, though what it stands for would not: it
 * had come back after that. */
static bool had_won(const dunlin_undo *u, const struct undo_step *step, const struct undo_write *w,
                    const struct reg_write *before, const struct reg_write *other) {
  const struct undo_change *change = w->lv == LV_NONE ? NULL : undo_change_of(step, w->lv);
  uint32_t from = change ? change->from : step->changes[0].from;
  if (before != &w->before || other->lv >= from) return false;
  if (before->class != other->class) return before->class > other->class;
  return graph_wins(&u->doc->graph, before->lv, other->lv);
}

/* Of what was there before the step, whose last write there is `w`, what would show now if it had written nothing: NULL
 * when it is what others have written.  `*shown`: that, if there is any.  DUNLIN_ENOMEM. */
static int choose(const dunlin_undo *u, const struct undo_step *step, const struct undo_write *w, const struct reg *reg,
                  const struct befores *befores, const struct reg_write **before, const struct reg_write **shown) {
  *before = *shown = NULL;
  for (size_t i = 0; i < befores->count; i++) {
    bool replaced;
    int error = others_replaced(u, step, reg, root_of_write(u, befores->list[i]->lv), &replaced);
    if (error) return error;
    if (!replaced && (!*before || wins(u, befores->list[i], *before))) *before = befores->list[i];
  }
  for (uint32_t i = 0; i < reg->count && !*shown; i++)
    if (origin(u, step, reg_at(reg, i)->lv) == LV_NONE) *shown = reg_at(reg, i);
  bool loses = *before && *shown && (*shown)->lv < u->doc->graph.lvs && wins(u, *shown, *before);
  if (loses && !had_won(u, step, w, *before, *shown)) *before = NULL;
  return 0;
}

/* ---- Keys --------------------------------------------------------------------------------------------------- */

/* The LVs of the writes in a register that are the step's, or stand for these. */
struct own_writes {
  uint32_t lvs[WRITE_NAMES_MAX];
  size_t count;
  const struct undo_write *noted; /* by the last one */
};

static void find_own(const dunlin_undo *u, const struct undo_step *step, const struct reg *reg,
                     struct own_writes *out) {
  out->count = 0;
  out->noted = NULL;
  for (uint32_t i = 0; i < reg->count && out->count < WRITE_NAMES_MAX; i++) {
    uint32_t lv = reg_at(reg, i)->lv, first = origin(u, step, lv); /* also of what has just come back */
    const struct undo_write *noted = first == LV_NONE ? NULL : write_of(step, first);
    if (!noted) continue;
    if (!out->noted || noted->lv > out->noted->lv) out->noted = noted;
    out->lvs[out->count++] = lv;
  }
}

/* Brings a value back at a key. */
static int restore(dunlin_undo *u, uint32_t map, uint32_t entry, const struct reg_write *before,
                   const struct own_writes *own) {
  dunlin_doc *doc = u->doc;
  const struct container *c = doc->containers[map];
  dunlin_obj obj = {map};
  struct dunlin_bytes key = map_key(&c->as.map.entries[entry]);
  uint32_t lv = doc->open.lv + doc->open.index;
  int error;
  if (before && before->value.kind >= DUNLIN_MAP) {
    error = txn_revive(doc, obj, key, before->value.as.obj);
  } else {
    error = txn_put_over(doc, obj, key, before, own->lvs, own->count);
  }
  return !error && before ? undo_stand_write(u, lv, before->lv) : error;
}

/* Notes what was there beside the write that comes back by operation `lv`, but for what others have replaced since. */
static int lose_others(dunlin_undo *u, const struct undo_step *step, const struct reg *reg,
                       const struct befores *befores, const struct reg_write *before, uint32_t lv) {
  int error = 0;
  for (size_t i = 0; !error && i < befores->count; i++) {
    bool replaced = false;
    if (befores->list[i] == before) continue;
    error = others_replaced(u, step, reg, root_of_write(u, befores->list[i]->lv), &replaced);
    if (error) return txn_fail(u->doc, error);
    if (!replaced) error = undo_lose(u, lv, befores->list[i]);
  }
  return error;
}

/* Everything that was there, `lost` too; room to note it again. */
static int all_befores(dunlin_undo *u, const struct undo_step *step, const struct undo_write *w,
                       const struct own_writes *own, struct befores *all) {
  if (ENV_GROW(u->env, u->lost, u->lost_cap, u->lost_count + WRITE_NAMES_MAX)) return DUNLIN_ENOMEM;
  find_befores(u->doc, step, w, all);
  for (size_t i = 0; i < own->count; i++) add_lost(u, step, own->lvs[i], all);
  return 0;
}

/* Whether all that is at the key is the step's. */
static bool is_all(const struct reg *reg, const struct own_writes *own) {
  return reg->count == own->count;
}

static bool is_child(const struct reg_write *write, uint32_t *child) {
  *child = write && write->value.kind >= DUNLIN_MAP ? write->value.as.obj.index : IDMAP_NONE;
  return *child != IDMAP_NONE;
}

/* The child that the step has written there, if it shows. */
static const struct reg_write *shown_child(const struct reg *reg, const struct own_writes *own) {
  for (uint32_t i = 0; i < reg->count; i++)
    for (size_t k = 0; k < own->count; k++)
      if (reg_at(reg, i)->lv == own->lvs[k] && reg_at(reg, i)->value.kind >= DUNLIN_MAP) return reg_at(reg, i);
  return NULL;
}

/* Whether others have written there since the change that took its own value away, which left those of others. */
static bool is_written_since(const struct reg *reg, uint32_t lv) {
  for (uint32_t i = 0; i < reg->count; i++)
    if (reg_at(reg, i)->lv >= lv) return true;
  return false;
}

static int revert_key(dunlin_undo *u, const struct undo_step *step, const struct undo_change *change,
                      const struct undo_write *w) {
  dunlin_doc *doc = u->doc;
  const struct reg *reg = &doc->containers[w->container]->as.map.entries[w->entry].reg;
  struct own_writes own;
  find_own(u, step, reg, &own);
  if (w->lv == LV_NONE ? is_written_since(reg, change->from) : own.noted != w)
    return 0; /* others have written there, or nothing is left of it */
  const struct reg_write *before, *shown;
  struct befores befores = {.count = 0};
  uint32_t was, is;
  int error = all_befores(u, step, w, &own, &befores);
  if (!error) error = choose(u, step, w, reg, &befores, &before, &shown);
  if (error) return txn_fail(doc, error);
  if (!own.count && !before) return 0;
  if (is_child(shown_child(reg, &own), &is)) {
    if (is_child(before, &was) && was == is) return 0; /* it had only been touched */
    if (undo_others_wrote(doc, is, step->changes[0].from)) return 0;
  }
  if (!is_all(reg, &own) && is_child(before, &was)) before = NULL;
  uint32_t lv = doc->open.lv + doc->open.index;
  if (before) error = lose_others(u, step, reg, &befores, before, lv);
  return error ? error : restore(u, w->container, w->entry, before, &own);
}

static int revert_member(dunlin_undo *u, const struct undo_step *step, const struct undo_write *w) {
  dunlin_doc *doc = u->doc;
  const struct container *c = doc->containers[w->container];
  const struct map_entry *entry = &c->as.map.entries[w->entry];
  struct own_writes own;
  find_own(u, step, &entry->reg, &own);
  if (w->lv == LV_NONE ? entry->reg.count : own.noted != w || !is_all(&entry->reg, &own)) return 0;
  if (w->lv != LV_NONE && c->kind == DUNLIN_GROWING_SET) return 0;
  const struct reg_write *before = before_step(doc, step, w);
  if (w->lv == LV_NONE && !before) return 0;
  struct dunlin_bytes key = map_key(entry);
  struct mp_reader r = mp_reader_of(key.data, key.len);
  struct dunlin_value member = value_read(&r);
  /* Removed and added again in one step, it is added once more, so that it stands for the member that was there. */
  int error = w->lv == LV_NONE ? 0 : dunlin_set_remove(doc, (dunlin_obj){w->container}, member);
  if (error || !before) return error;
  uint32_t lv = doc->open.lv + doc->open.index;
  error = dunlin_set_add(doc, (dunlin_obj){w->container}, member);
  return error ? error : undo_stand_write(u, lv, before->lv);
}

/* ---- Elements of lists -------------------------------------------------------------------------------------- */

/* `before` may be in the register that is written to. */
static int restore_element(dunlin_undo *u, dunlin_obj list, size_t at, const struct reg_write *before, bool alone,
                           const struct own_writes *own) {
  dunlin_doc *doc = u->doc;
  uint32_t lv = doc->open.lv + doc->open.index;
  const struct reg_write again = *before;
  int error;
  if (again.value.kind >= DUNLIN_MAP) {
    if (!alone) return 0;
    dunlin_obj copy = dunlin_list_set_child(doc, list, at, again.value.kind);
    error = copy.index == DUNLIN_NONE.index ? txn_writable(doc) : undo_copy(doc, again.value.as.obj.index, copy.index);
  } else {
    error = txn_set_over(doc, list, at, &again.value, own->lvs, own->count);
  }
  return error ? error : undo_stand_write(u, lv, again.lv);
}

int undo_revert_element(dunlin_undo *u, const struct undo_step *step, uint32_t list, uint32_t at) {
  dunlin_doc *doc = u->doc;
  const struct list *l = &doc->containers[list]->as.list->list;
  const struct reg *reg = &l->elements[list_get(l, at)];
  struct own_writes own;
  uint32_t child;
  const struct reg_write *before, *shown;
  struct befores befores = {.count = 0};
  find_own(u, step, reg, &own);
  if (!own.noted) return 0;
  int error = all_befores(u, step, own.noted, &own, &befores);
  if (!error) error = choose(u, step, own.noted, reg, &befores, &before, &shown);
  if (error) return txn_fail(doc, error);
  if (!before) before = shown; /* there is no taking a write of an element away: what others wrote is written again */
  if (!before) return 0;
  if (is_child(shown_child(reg, &own), &child) && undo_others_wrote(doc, child, step->changes[0].from)) return 0;
  error = lose_others(u, step, reg, &befores, before, doc->open.lv + doc->open.index);
  return error ? error : restore_element(u, (dunlin_obj){list}, at, before, is_all(reg, &own), &own);
}

const struct reg_write *undo_before(const dunlin_doc *doc, const struct undo_step *step, uint32_t lv) {
  const struct undo_write *w = write_of(step, lv);
  return w ? before_step(doc, step, w) : NULL;
}

/* ---- All of a step ------------------------------------------------------------------------------------------ */

static int revert_write(dunlin_undo *u, const struct undo_step *step, const struct undo_change *change,
                        const struct undo_write *w) {
  enum dunlin_kind kind = u->doc->containers[w->container]->kind;
  if (kind == DUNLIN_LIST || undo_goes(u, step, w->container)) return 0; /* elements have come before */
  return is_set(kind) ? revert_member(u, step, w) : revert_key(u, step, change, w);
}

int undo_revert_values(dunlin_undo *u, const struct undo_step *step) {
  dunlin_doc *doc = u->doc;
  int error = 0;
  for (size_t c = step->count; !error && c-- > 0;) {
    const struct undo_change *change = &step->changes[c];
    if (undo_is_void(doc, change)) continue;
    for (size_t i = change->write_count; !error && i-- > 0;) error = revert_write(u, step, change, &change->writes[i]);
    for (size_t i = change->amount_count; !error && i-- > 0;) {
      const struct undo_amount *a = &change->amounts[i];
      if (undo_goes(u, step, a->container)) continue;
      error = dunlin_counter_add(doc, (dunlin_obj){a->container}, (int64_t)(0 - (uint64_t)a->amount));
    }
  }
  return error;
}
