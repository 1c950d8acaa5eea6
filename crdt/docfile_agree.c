/* Whether the state of a saved document is what its history says. */
#include <stdlib.h>
#include <string.h>

#include "crdt/docfile_history.h"

/* Whether an operation of the file wrote what a map has as live. */
static bool write_agrees(const struct history *h, uint32_t container, struct dunlin_bytes key,
                         const struct reg_write *write) {
  const struct oplog *log = &h->containers[container].log;
  size_t at = oplog_from(log, write->lv);
  if (at == log->count || log->runs[at].lv > write->lv) return false;
  const struct op_run *run = &log->runs[at];
  struct mp_reader r = mp_reader_of(column_at(&h->values, run->at), column_end(&h->values) - run->at);
  for (uint32_t skip = (uint32_t)(run->kind & OP_VALUES) * (write->lv - run->lv); skip; skip--) mp_skip(&r);
  if (run->kind == OP_MAP_SET || run->kind == OP_MAP_SET_OVER) {
    struct dunlin_bytes own = mp_read_str(&r, DUNLIN_MAX_KEY);
    struct dunlin_value value = value_read(&r);
    return run->a == write->class && own.len == key.len && (!key.len || !memcmp(own.data, key.data, key.len)) &&
           value_same(&value, &write->value);
  }
  if (run->kind != OP_MAP_CHILD || write->class || write->value.kind != (enum dunlin_kind)run->a) return false;
  struct dunlin_bytes own = mp_read_str(&r, DUNLIN_MAX_KEY);
  if (own.len != key.len || (key.len && memcmp(own.data, key.data, key.len))) return false;
  const struct lv_set *made = &h->containers[write->value.as.obj.index].made;
  size_t low = 0, high = made->count; /* in order */
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (made->lvs[mid] < write->lv) low = mid + 1;
    else high = mid;
  }
  return low < made->count && made->lvs[low] == write->lv;
}

/* The values of a run, gone through in order: a row may have very many. */
struct values_at {
  const struct op_run *run;
  uint32_t skipped;
  struct mp_reader r;
};

static struct mp_reader value_at(const struct history *h, struct values_at *at, const struct op_run *run,
                                 uint32_t skip) {
  if (at->run != run || at->skipped > skip)
    *at = (struct values_at){run, 0, mp_reader_of(column_at(&h->values, run->at), column_end(&h->values) - run->at)};
  for (; at->skipped < skip; at->skipped++)
    for (int values = run->kind & OP_VALUES; values; values--) mp_skip(&at->r);
  return at->r;
}

/* Likewise what an element of a list has. */
static bool element_write_agrees(const struct history *h, uint32_t container, struct values_at *values,
                                 const struct reg_write *write) {
  const struct oplog *log = &h->containers[container].log;
  size_t at = oplog_from(log, write->lv);
  if (at == log->count || log->runs[at].lv > write->lv || write->class) return false;
  const struct op_run *run = &log->runs[at];
  struct mp_reader r = value_at(h, values, run, write->lv - run->lv);
  if (run->kind == OP_LIST_INSERT || run->kind == OP_LIST_SET || run->kind == OP_LIST_SET_OVER) {
    struct dunlin_value value = value_read(&r);
    return value_same(&value, &write->value);
  }
  if (run->kind != OP_LIST_CHILD && run->kind != OP_LIST_SET_CHILD) return false;
  if (write->value.kind != (enum dunlin_kind)mp_read_uint(&r, KIND_LAST)) return false;
  const struct lv_set *made = &h->containers[write->value.as.obj.index].made;
  return made->count && made->lvs[0] == write->lv;
}

static int writes_by_lv(const void *a, const void *b) {
  const struct reg_write *x = *(const struct reg_write *const *)a, *y = *(const struct reg_write *const *)b;
  return (x->lv > y->lv) - (x->lv < y->lv);
}

/* The writes of the file that a list has as live, in the order of the operations, as far as there is room: how many
 * there are. */
static size_t list_writes(const struct history *h, const struct list *list, const struct reg_write **out, size_t room) {
  size_t count = 0;
  for (uint32_t at = 0; at < list->size; at++) {
    const struct reg *reg = &list->elements[list_get(list, at)];
    for (uint32_t k = 0; k < reg->count; k++) {
      if (reg_at(reg, k)->lv >= h->file->lvs) continue;
      if (count < room) out[count] = reg_at(reg, k);
      count++;
    }
  }
  if (count && count == room) qsort(out, count, sizeof(const struct reg_write *), writes_by_lv);
  return count;
}

/* What is written to a list hangs on which of its elements an index means, so all of it has to be found out again. */
static int check_list_state(const struct history *h, uint32_t container) {
  const struct list *list = &h->doc->containers[container]->as.list->list;
  const struct dunlin_env *env = h->graph.env;
  size_t count = list_writes(h, list, NULL, 0);
  const struct reg_write **writes = env_calloc(env, count, sizeof(const struct reg_write *));
  struct values_at values = {.run = NULL};
  int error = writes ? 0 : DUNLIN_ENOMEM;
  if (!error) list_writes(h, list, writes, count);
  for (size_t i = 0; !error && i < count; i++)
    if (!element_write_agrees(h, container, &values, writes[i])) error = DUNLIN_ECORRUPT;
  env_free(env, (void *)writes, count * sizeof(const struct reg_write *));
  if (error) return error;
  uint32_t shown = h->doc->containers[container]->as.list->sequence.shown;
  return list_agrees(list, &h->graph, &h->containers[container].log, &h->voids, &h->values, shown);
}

static bool map_agrees(const struct history *h, uint32_t container) {
  const struct map *map = &h->doc->containers[container]->as.map;
  for (size_t i = 0; i < map->count; i++)
    for (uint32_t k = 0; k < map->entries[i].reg.count; k++) {
      const struct reg_write *write = reg_at(&map->entries[i].reg, k);
      if (write->lv < h->file->lvs && !write_agrees(h, container, map_key(&map->entries[i]), write)) return false;
    }
  return true;
}

/* Whether additions of the file made what a set has as live. */
static bool set_agrees(const struct history *h, uint32_t container) {
  const struct map *set = &h->doc->containers[container]->as.map;
  const struct oplog *log = &h->containers[container].log;
  for (size_t i = 0; i < set->count; i++)
    for (uint32_t k = 0; k < set->entries[i].reg.count; k++) {
      uint32_t lv = reg_at(&set->entries[i].reg, k)->lv;
      size_t at = oplog_from(log, lv);
      if (lv >= h->file->lvs) continue;
      if (at == log->count || log->runs[at].lv != lv || log->runs[at].kind != OP_OFFER) return false;
      const uint8_t *value = column_at(&h->values, log->runs[at].at);
      struct mp_reader r = mp_reader_of(value, column_end(&h->values) - log->runs[at].at);
      mp_skip(&r);
      struct dunlin_bytes key = map_key(&set->entries[i]);
      if (key.len != (size_t)(r.at - value) || memcmp(key.data, value, key.len)) return false;
    }
  return true;
}

static bool counter_agrees(const struct history *h, uint32_t container) {
  const struct oplog *log = &h->containers[container].log;
  uint64_t sum = 0;
  for (size_t i = 0; i < log->count; i++) {
    const struct op_run *run = &log->runs[i];
    if (run->idle || run->kind != OP_COUNTER_ADD) continue;
    struct mp_reader r = mp_reader_of(column_at(&h->values, run->at), column_end(&h->values) - run->at);
    sum += (uint64_t)mp_read_int(&r);
  }
  return sum == (uint64_t)h->doc->containers[container]->as.counter;
}

/* What can be told without replaying everything.  Texts agree by themselves: their history is put together from what
 * they show. */
int docfile_agrees(const struct history *h) {
  const dunlin_doc *doc = h->doc;
  int error = 0;
  if (doc->void_count || h->file->flags & FLAG_IDLE) return 0; /* that is replayed */
  for (uint32_t i = 0; !error && i < h->file->container_count; i++) {
    if (doc->open.is_open && doc->containers[i]->touched == doc->open.stamp) continue; /* it shows more already */
    const struct container *c = doc->containers[i];
    bool plain = h->file->flags & FLAG_PLAIN; /* then lists and firsts are replayed */
    if (c->kind == DUNLIN_MAP && !map_agrees(h, i)) error = DUNLIN_ECORRUPT;
    if (c->kind == DUNLIN_COUNTER && !counter_agrees(h, i)) error = DUNLIN_ECORRUPT;
    if (is_set(c->kind) && !set_agrees(h, i)) error = DUNLIN_ECORRUPT;
    if (is_offer(c->kind) && !(plain && c->kind == DUNLIN_FIRST) &&
        !offer_agrees(&c->as.offer, c->kind, &h->graph, &h->containers[i].log, &h->voids, &h->values))
      error = DUNLIN_ECORRUPT;
    if (c->kind == DUNLIN_LIST && !plain) error = check_list_state(h, i);
    if (c->kind == DUNLIN_TEXT && !plain)
      error = docfile_marks_agree(&c->as.text->marks, &h->graph, &h->containers[i].log, &h->values);
  }
  return error;
}
