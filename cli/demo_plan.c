#include "cli/demo.h"

#include <stdlib.h>
#include <string.h>

/* Up to this many agents, each is a writer.  A writer has a document in memory of its own, so beyond it transactions
 * are dealt out to as few writers as their order allows. */
#define PLAN_AGENTS 16u
#define NONE UINT32_MAX

static bool changes_something(const struct trace *trace, const struct trace_txn *txn) {
  for (uint32_t i = 0; i < txn->patch_count; i++) {
    const struct trace_patch *patch = &trace->patches[txn->patches + i];
    if (patch->remove || patch->len) return true;
  }
  return false;
}

static int add_parent(struct plan *plan, struct plan_txn *txn, uint32_t parent) {
  for (uint32_t i = 0; i < txn->parent_count; i++)
    if (plan->parents[txn->parents + i] == parent) return 0;
  if (plan->parent_count == plan->parent_cap) {
    size_t cap = plan->parent_cap * 2 + 64;
    uint32_t *grown = realloc(plan->parents, cap * sizeof *grown);
    if (!grown) return DUNLIN_ENOMEM;
    plan->parents = grown;
    plan->parent_cap = cap;
  }
  plan->parents[plan->parent_count++] = parent;
  txn->parent_count++;
  return 0;
}

/* A transaction without an effect makes no change, so those that name it as a parent get its own parents instead. */
static int resolve_parents(struct plan *plan, uint32_t t) {
  const struct trace_txn *from = &plan->trace->txns[t];
  struct plan_txn *txn = &plan->txns[t];
  txn->parents = (uint32_t)plan->parent_count;
  int rc = 0;
  for (uint32_t i = 0; !rc && i < from->parent_count; i++) {
    uint32_t parent = plan->trace->parents[from->parents + i];
    const struct plan_txn *p = &plan->txns[parent];
    if (p->number != PLAN_NO_NUMBER) rc = add_parent(plan, txn, parent);
    else
      for (uint32_t j = 0; !rc && j < p->parent_count; j++) rc = add_parent(plan, txn, plan->parents[p->parents + j]);
  }
  return rc;
}

/* Whether transaction `a` is in the past of `t`.  `marks` holds a zero for every transaction, and does so again
 * afterwards. */
static bool in_past(const struct plan *plan, uint32_t a, uint32_t t, uint8_t *marks) {
  marks[t] = 1;
  for (uint32_t i = t; i > a; i--) {
    if (!marks[i]) continue;
    const struct plan_txn *txn = &plan->txns[i];
    for (uint32_t j = 0; j < txn->parent_count; j++) marks[plan->parents[txn->parents + j]] = 1;
  }
  bool found = marks[a];
  memset(marks, 0, t + 1);
  return found;
}

/* A writer whose last transaction is in the past of `t`: of a parent's if there is one. */
static uint32_t find_writer(const struct plan *plan, uint32_t t, const uint32_t *last, uint8_t *marks) {
  const struct plan_txn *txn = &plan->txns[t];
  for (uint32_t i = 0; i < txn->parent_count; i++) {
    uint32_t parent = plan->parents[txn->parents + i];
    if (last[plan->txns[parent].writer] == parent) return plan->txns[parent].writer;
  }
  for (uint32_t w = 0; w < plan->writers; w++)
    if (in_past(plan, last[w], t, marks)) return w;
  return (uint32_t)plan->writers;
}

static uint32_t choose_writer(const struct plan *plan, uint32_t t, const uint32_t *last, uint8_t *marks) {
  const struct trace *trace = plan->trace;
  if (!trace->concurrent) return (uint32_t)((uint64_t)t * DEMO_BLOCKS / trace->txn_count) % DEMO_DEVICES;
  if (trace->agents <= PLAN_AGENTS) return trace->txns[t].agent;
  return find_writer(plan, t, last, marks);
}

static int deal_out(struct plan *plan, uint8_t *marks) {
  uint32_t last[DEMO_WRITERS * DEMO_DEVICES], counts[DEMO_WRITERS * DEMO_DEVICES] = {0};
  for (size_t i = 0; i < DEMO_WRITERS * DEMO_DEVICES; i++) last[i] = NONE;
  for (uint32_t t = 0; t < plan->trace->txn_count; t++) {
    struct plan_txn *txn = &plan->txns[t];
    txn->number = PLAN_NO_NUMBER;
    int rc = resolve_parents(plan, t);
    if (rc) return rc;
    if (!changes_something(plan->trace, &plan->trace->txns[t])) continue;
    txn->writer = choose_writer(plan, t, last, marks);
    if (txn->writer >= DEMO_WRITERS * DEMO_DEVICES) return DUNLIN_ELIMIT;
    if (txn->writer >= plan->writers) plan->writers = txn->writer + 1;
    txn->number = counts[txn->writer]++;
    last[txn->writer] = t;
    plan->changes++;
  }
  return 0;
}

int plan_make(const struct trace *trace, struct plan *out) {
  *out = (struct plan){.trace = trace};
  uint8_t *marks = calloc(trace->txn_count + 1, 1);
  out->txns = calloc(trace->txn_count + 1, sizeof *out->txns);
  int rc = marks && out->txns ? deal_out(out, marks) : DUNLIN_ENOMEM;
  free(marks);
  if (rc) plan_free(out);
  return rc;
}

void plan_free(struct plan *plan) {
  free(plan->txns);
  free(plan->parents);
  *plan = (struct plan){0};
}
