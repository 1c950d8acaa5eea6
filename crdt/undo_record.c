/* What is kept of a commit, so that it can be undone. */
#include <stdlib.h>
#include <string.h>

#include "crdt/undo.h"

static bool owns_bytes(const struct dunlin_value *value) {
  return value->kind == DUNLIN_STRING || value->kind == DUNLIN_BYTES;
}

static int copy_write(const struct dunlin_env *env, const struct reg_write *from, struct reg_write *to) {
  *to = *from;
  if (!owns_bytes(&from->value)) return 0;
  void *data = env_alloc(env, from->value.as.string.len);
  if (data && from->value.as.string.len) memcpy(data, from->value.as.string.data, from->value.as.string.len);
  to->value.as.string.data = data;
  return data ? 0 : DUNLIN_ENOMEM;
}

static void write_free(const struct dunlin_env *env, const struct reg_write *write) {
  if (owns_bytes(&write->value))
    env_free(env, (void *)(uintptr_t)write->value.as.string.data, write->value.as.string.len);
}

static void gone_free(const struct dunlin_env *env, struct undo_gone *gone) {
  for (uint32_t i = 0; gone->items && i < gone->len; i++) write_free(env, &gone->items[i]);
  ENV_FREE_ARRAY(env, gone->items, gone->item_cap);
  buf_free(&gone->text);
}

static void forget_before(const struct dunlin_env *env, struct undo_write *w) {
  if (w->had) write_free(env, &w->before);
  for (size_t i = 0; i < w->more_count; i++) write_free(env, &w->more[i]);
  ENV_FREE_ARRAY(env, w->more, w->more_cap);
}

void undo_change_free(dunlin_undo *u, struct undo_change *c) {
  for (size_t i = 0; i < c->write_count; i++) forget_before(u->env, &c->writes[i]);
  for (size_t i = 0; i < c->gone_count; i++) gone_free(u->env, &c->gone[i]);
  ENV_FREE_ARRAY(u->env, c->writes, c->write_cap);
  ENV_FREE_ARRAY(u->env, c->amounts, c->amount_cap);
  ENV_FREE_ARRAY(u->env, c->gone, c->gone_cap);
  *c = (struct undo_change){0};
}

void undo_step_free(dunlin_undo *u, struct undo_step *step) {
  for (size_t i = 0; i < step->count; i++) undo_change_free(u, &step->changes[i]);
  ENV_FREE_ARRAY(u->env, step->changes, step->cap);
  *step = (struct undo_step){0};
}

static bool goes_on(const struct undo_stands *last, const struct undo_stands *next) {
  bool same = last->first == LV_NONE ? next->first == LV_NONE : last->first + last->len == next->first;
  return last->lv + last->len == next->lv && same && last->container == next->container && last->row == next->row &&
         last->row_len == next->row_len && last->skipped + last->len == next->skipped;
}

int undo_stand(dunlin_undo *u, struct undo_stand_list *list, struct undo_stands stands) {
  struct undo_stands *last = list->count > list->open ? &list->list[list->count - 1] : NULL;
  if (last && goes_on(last, &stands)) {
    last->len += stands.len;
    return 0;
  }
  if (ENV_GROW(u->env, list->list, list->cap, list->count + 1)) return DUNLIN_ENOMEM;
  list->list[list->count++] = stands;
  return 0;
}

int undo_stand_write(dunlin_undo *u, uint32_t lv, uint32_t first) {
  int error = undo_stand(u, &u->writes, (struct undo_stands){.lv = lv, .len = 1, .first = first});
  return error ? txn_fail(u->doc, error) : 0;
}

int undo_lose(dunlin_undo *u, uint32_t lv, const struct reg_write *write) {
  int error = copy_write(u->env, write, &u->lost[u->lost_count].write);
  u->lost[u->lost_count].lv = lv;
  u->lost_count += !error;
  return error ? txn_fail(u->doc, error) : 0;
}

void undo_forget_lost(dunlin_undo *u, size_t from, size_t to) {
  for (size_t i = from; i < to; i++) write_free(u->env, &u->lost[i].write);
  if (from < to) memmove(u->lost + from, u->lost + to, (u->lost_count - to) * sizeof *u->lost);
  u->lost_count -= to - from;
}

/* ---- Deletions, before they are done ------------------------------------------------------------------------ */

/* What is kept of the open transaction. */
static struct undo_change *open_record(dunlin_undo *u) {
  if (u->stamp != u->doc->open.stamp) undo_change_free(u, &u->open); /* of one that was aborted */
  u->stamp = u->doc->open.stamp;
  return &u->open;
}

static int take_items(dunlin_undo *u, const struct list *list, uint32_t at, uint32_t len, struct undo_gone *gone) {
  int error = ENV_GROW(u->env, gone->items, gone->item_cap, len);
  for (uint32_t i = 0; !error && i < len; i++) {
    const struct reg *reg = &list->elements[list_get(list, at + i)];
    struct reg_write nothing = {0};
    error = copy_write(u->env, reg->count ? reg_at(reg, 0) : &nothing, &gone->items[i]);
    gone->len += !error;
  }
  return error;
}

int undo_note_gone(dunlin_doc *doc, uint32_t container, uint32_t at, uint32_t a, uint32_t len) {
  dunlin_undo *u = doc->undo;
  struct undo_change *change = open_record(u);
  struct container *c = doc->containers[container];
  if (!doc->graph.open.builds_on_all) return 0; /* what shows is something else */
  if (ENV_GROW(u->env, change->gone, change->gone_cap, change->gone_count + 1)) return DUNLIN_ENOMEM;
  struct undo_gone *gone = &change->gone[change->gone_count];
  *gone = (struct undo_gone){.container = container, .lv = doc->open.lv + doc->open.index, .a = a};
  buf_init(&gone->text, u->env, UINT32_MAX);
  int error;
  if (c->kind == DUNLIN_LIST) error = take_items(u, &c->as.list->list, at, len, gone);
  else error = text_take(&c->as.text->text, &doc->text, at, len, &gone->text);
  if (!error) error = gone->text.error;
  if (error) {
    gone_free(u->env, gone);
    return error;
  }
  gone->len = len;
  change->gone_count++;
  return 0;
}

/* Rows that the change has joined are one: what the second one deleted comes before or behind what the first one
 * did. */
static int join_text(struct undo_gone *gone, struct undo_gone *next, bool before) {
  struct undo_gone *first = before ? next : gone, *second = before ? gone : next;
  buf_append(&first->text, second->text.data, second->text.len);
  if (first->text.error) return first->text.error;
  if (before) {
    struct buf kept = gone->text;
    gone->text = next->text;
    next->text = kept;
  }
  return 0;
}

static int join_items(dunlin_undo *u, struct undo_gone *gone, struct undo_gone *next, bool before) {
  if (!gone->items) return 0;
  if (ENV_GROW(u->env, gone->items, gone->item_cap, (size_t)gone->len + next->len)) return DUNLIN_ENOMEM;
  if (before) memmove(gone->items + next->len, gone->items, gone->len * sizeof *gone->items);
  memcpy(gone->items + (before ? 0 : gone->len), next->items, next->len * sizeof *next->items);
  return 0;
}

static int join_gone(dunlin_undo *u, struct undo_change *c) {
  size_t kept = 0;
  for (size_t i = 0; i < c->gone_count; i++) {
    struct undo_gone *next = &c->gone[i], *gone = kept ? &c->gone[kept - 1] : NULL;
    uint32_t a = gone ? gone->a : 0, len = gone ? gone->len : 0;
    bool adjoins = gone && gone->container == next->container && gone->lv + gone->len == next->lv;
    if (!adjoins || !rows_join(OP_DELETE, &a, &len, next->a, next->len)) {
      if (kept < i) {
        c->gone[kept] = *next;
        *next = (struct undo_gone){0};
      }
      kept++;
      continue;
    }
    bool before = next->a + next->len == gone->a;
    int error = join_text(gone, next, before);
    if (!error) error = join_items(u, gone, next, before);
    if (error) return error;
    gone->a = a;
    gone->len = len;
    next->len = 0; /* its elements are the other's now */
    gone_free(u->env, next);
    *next = (struct undo_gone){0};
  }
  c->gone_count = kept;
  return 0;
}

/* ---- Writes, when it is committed --------------------------------------------------------------------------- */

static const struct reg *register_of(const dunlin_doc *doc, const struct undo *step) {
  const struct container *c = doc->containers[step->container];
  if (step->what == UNDO_LIST_WRITE) return &c->as.list->list.elements[step->entry];
  return &c->as.map.entries[step->entry].reg;
}

/* What the open change has left in the register; LV_NONE. */
static uint32_t own_write(const dunlin_doc *doc, const struct reg *reg) {
  for (uint32_t i = 0; i < reg->count; i++)
    if (reg_at(reg, i)->lv >= doc->open.lv) return reg_at(reg, i)->lv;
  return LV_NONE;
}

static int note_write(dunlin_undo *u, const struct undo *step) {
  const dunlin_doc *doc = u->doc;
  struct undo_change *c = &u->open;
  if (ENV_GROW(u->env, c->writes, c->write_cap, c->write_count + 1)) return DUNLIN_ENOMEM;
  struct undo_write *w = &c->writes[c->write_count];
  const struct reg *before = &step->reg.removed;
  *w = (struct undo_write){.lv = own_write(doc, register_of(doc, step)),
                           .container = step->container,
                           .entry = step->entry,
                           .order = (uint32_t)c->write_count};
  int error = before->count ? copy_write(u->env, reg_at(before, 0), &w->before) : 0;
  w->had = before->count && !error;
  if (!error && before->count > 1) error = ENV_GROW(u->env, w->more, w->more_cap, before->count - 1);
  for (; !error && w->more_count + 1 < before->count; w->more_count += !error)
    error = copy_write(u->env, reg_at(before, (uint32_t)w->more_count + 1), &w->more[w->more_count]);
  c->write_count++; /* also with an error: it has to be freed */
  return error;
}

static int by_place(const void *a, const void *b) {
  const struct undo_write *x = a, *y = b;
  if (x->container != y->container) return x->container < y->container ? -1 : 1;
  if (x->entry != y->entry) return x->entry < y->entry ? -1 : 1;
  return (x->order > y->order) - (x->order < y->order);
}

int undo_compare_writes(const void *a, const void *b) {
  const struct undo_write *x = a, *y = b;
  return x->lv != y->lv ? (x->lv > y->lv) - (x->lv < y->lv) : by_place(a, b);
}

/* Of several writes at one place in the change, the first one knows what was there before it. */
static void join_writes(dunlin_undo *u, struct undo_change *c) {
  size_t kept = 0;
  if (c->write_count < 2) return;
  qsort(c->writes, c->write_count, sizeof *c->writes, by_place);
  for (size_t i = 0; i < c->write_count; i++) {
    struct undo_write *w = &c->writes[i], *last = kept ? &c->writes[kept - 1] : NULL;
    if (!last || last->container != w->container || last->entry != w->entry) c->writes[kept++] = *w;
    else forget_before(u->env, w);
  }
  c->write_count = kept;
  for (size_t i = 0; i < kept; i++) c->writes[i].order = 0;
  qsort(c->writes, kept, sizeof *c->writes, undo_compare_writes);
}

static int note_amount(dunlin_undo *u, const struct undo *step) {
  struct undo_change *c = &u->open;
  if (ENV_GROW(u->env, c->amounts, c->amount_cap, c->amount_count + 1)) return DUNLIN_ENOMEM;
  c->amounts[c->amount_count++] = (struct undo_amount){step->container, step->amount};
  return 0;
}

int undo_prepare(dunlin_doc *doc) {
  dunlin_undo *u = doc->undo;
  struct undo_change *c = open_record(u);
  int error = join_gone(u, c);
  c->from = doc->open.lv;
  c->to = doc->open.lv + doc->open.index;
  for (size_t i = 0; !error && i < doc->open.undo_count; i++) {
    const struct undo *step = &doc->open.undos[i];
    if (step->what == UNDO_MAP_WRITE || step->what == UNDO_LIST_WRITE) error = note_write(u, step);
    else if (step->what == UNDO_COUNTER) error = note_amount(u, step);
  }
  if (error) return error;
  join_writes(u, c);
  return undo_reserve(u);
}
