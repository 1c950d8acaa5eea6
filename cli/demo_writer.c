#include "cli/demo_writer.h"

#include <dunlin/history.h>
#include <string.h>

uint64_t writer_count(const dunlin_doc *doc, const struct dunlin_actor *actor) {
  struct dunlin_change_info info;
  uint64_t low = 0, high = 1; /* numbers below `low` are there; doubled, then halved */
  while (dunlin_doc_find_number(doc, actor, high - 1, &info) == 0) {
    low = high;
    high *= 2;
  }
  while (low + 1 < high) {
    uint64_t middle = low + (high - low) / 2;
    if (dunlin_doc_find_number(doc, actor, middle - 1, &info) == 0) low = middle;
    else high = middle;
  }
  return low;
}

/* The first transaction from `t` on that is this writer's. */
static uint32_t own_from(const struct writer *w, size_t t) {
  const struct plan *plan = w->world->plan;
  size_t count = plan->trace->txn_count;
  while (t < count && (plan->txns[t].number == PLAN_NO_NUMBER || plan->txns[t].writer != w->index)) t++;
  return (uint32_t)t;
}

void writer_init(struct writer *w, const struct writer_world *world, uint32_t index, dunlin_store_doc *handle) {
  *w = (struct writer){.world = world, .index = index, .handle = handle, .doc = dunlin_store_doc_get(handle)};
  struct dunlin_actor actor = dunlin_store_doc_actor(handle);
  w->next = writer_count(w->doc, &actor);
  w->next_txn = own_from(w, 0);
  for (uint64_t i = 0; i < w->next; i++) w->next_txn = own_from(w, (size_t)w->next_txn + 1);
}

/* The text and this writer's last change are looked up once, when the set-up is here. */
static int get_ready(struct writer *w) {
  struct dunlin_value value;
  struct dunlin_change_info info = {0};
  struct dunlin_actor actor = dunlin_store_doc_actor(w->handle);
  if (w->ready) return 1;
  int rc = dunlin_map_get(w->doc, DUNLIN_ROOT, dunlin_key("text"), &value);
  if (rc == DUNLIN_ENOENT) return 0;
  if (rc == 0 && value.kind != DUNLIN_TEXT) rc = DUNLIN_EKIND;
  if (rc == 0 && w->next) rc = dunlin_doc_find_number(w->doc, &actor, w->next - 1, &info);
  if (rc) return rc;
  w->text = value.as.obj;
  w->last = info.id;
  w->ready = true;
  return 1;
}

/* The change of transaction `t`: 1, 0 when it is not here yet, or an error. */
static int find_txn(const struct writer *w, uint32_t t, struct dunlin_id *out) {
  const struct writer_world *world = w->world;
  const struct plan_txn *txn = &world->plan->txns[t];
  if (txn->writer == w->index && txn->number + 1u == w->next) {
    *out = w->last;
    return 1;
  }
  struct dunlin_change_info info;
  int rc = dunlin_doc_find_number(w->doc, &world->actors[txn->writer], txn->number, &info);
  if (rc) return rc == DUNLIN_ENOENT ? 0 : rc;
  *out = info.id;
  return 1;
}

static int find_set_up(const struct writer *w, struct dunlin_id *out) {
  struct dunlin_change_info info;
  int rc = dunlin_doc_find_number(w->doc, &w->world->set_up, 0, &info);
  if (rc) return rc == DUNLIN_ENOENT ? 0 : rc;
  *out = info.id;
  return 1;
}

/* The changes that transaction `t` builds on: how many, 0 when one is not here yet, or an error. */
static int find_heads(const struct writer *w, uint32_t t, struct dunlin_id heads[DUNLIN_MAX_PARENTS]) {
  const struct plan_txn *txn = &w->world->plan->txns[t];
  if (txn->parent_count > DUNLIN_MAX_PARENTS) return DUNLIN_ELIMIT;
  if (txn->parent_count == 0) return find_set_up(w, heads);
  for (uint32_t i = 0; i < txn->parent_count; i++) {
    int rc = find_txn(w, w->world->plan->parents[txn->parents + i], &heads[i]);
    if (rc <= 0) return rc;
  }
  return (int)txn->parent_count;
}

/* In a sequential trace nothing else ever touches the text, so a transaction may as well build on all that is here; in
 * a concurrent one it builds on exactly its parents. */
static int begin(struct writer *w, const struct dunlin_id *heads, size_t count) {
  if (!w->world->plan->trace->concurrent) return dunlin_begin(w->doc);
  return dunlin_begin_at(w->doc, heads, count);
}

/* 1 when transaction `t` was made, 0 when it cannot be yet. */
static int make(struct writer *w, uint32_t t) {
  const struct trace *trace = w->world->plan->trace;
  const struct trace_txn *txn = &trace->txns[t];
  struct dunlin_id heads[DUNLIN_MAX_PARENTS];
  int count = find_heads(w, t, heads);
  if (count <= 0) return count;
  int rc = begin(w, heads, (size_t)count);
  if (rc) return rc;
  for (uint32_t i = 0; i < txn->patch_count; i++) {
    const struct trace_patch *p = &trace->patches[txn->patches + i];
    if (p->remove || p->len) /* an error comes back from the commit */
      dunlin_text_splice(w->doc, w->text, p->at, p->remove, trace->text + p->offset, p->len);
  }
  rc = dunlin_commit(w->doc, 0, &w->last);
  if (rc < 0) return rc;
  if (rc == 0) return DUNLIN_ESTATE; /* the plan promised that it changes something */
  w->next++;
  w->next_txn = own_from(w, (size_t)t + 1);
  return 1;
}

int writer_step(struct writer *w, uint32_t until, unsigned most) {
  int rc = get_ready(w);
  if (rc <= 0) return rc;
  int made = 0;
  while (most-- && w->next_txn < until && w->next_txn < w->world->plan->trace->txn_count) {
    rc = make(w, w->next_txn);
    if (rc < 0) return rc;
    if (rc == 0) break;
    made++;
  }
  return made;
}

uint32_t writer_left(const struct writer *w, uint32_t until) {
  uint32_t left = 0;
  for (uint32_t t = w->next_txn; t < until && t < w->world->plan->trace->txn_count; t = own_from(w, (size_t)t + 1))
    left++;
  return left;
}
