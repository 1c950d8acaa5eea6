/* Plans for random graphs: every piece once, behind its parents; and what differs between two versions as sets of
 * operations have it. */
#include "crdt/walk_plan.h"
#include "test/support/support.h"

enum { MOST = 400 };

struct past {
  bool has[MOST];
};

struct world {
  struct rng rng;
  struct graph graph;
  struct past past[MOST]; /* of the version that ends with each operation */
  uint32_t ends[MOST];    /* of the changes */
  size_t changes;
};

static void add_past(const struct world *w, struct past *past, uint32_t lv) {
  for (size_t i = 0; i < MOST; i++) past->has[i] |= w->past[lv].has[i];
}

/* A change by an author on one to three versions, none in the past of another; mostly recent ones when `near`. */
static void add_change(struct world *w, uint32_t actor, uint32_t number, size_t near) {
  struct past past = {{0}};
  uint32_t parents[3];
  size_t count = 0;
  struct graph *g = &w->graph;
  for (size_t i = 1 + rng_below(&w->rng, 3); i-- && w->changes;) {
    uint32_t lv = w->ends[w->changes - 1 - rng_below(&w->rng, w->changes < near ? w->changes : near)];
    if (past.has[lv]) continue;
    size_t kept = 0;
    for (size_t k = 0; k < count; k++)
      if (!w->past[lv].has[parents[k]]) parents[kept++] = parents[k];
    parents[kept++] = lv;
    count = kept;
    add_past(w, &past, lv);
  }
  OK(graph_open(g, parents, count));
  g->open.actor = actor;
  g->open.number = number;
  uint32_t from = g->lvs, length = 1 + (uint32_t)rng_below(&w->rng, 3);
  OK(graph_reserve(g, length));
  OK(graph_settle(g, length));
  for (uint32_t lv = from; lv < from + length; lv++) {
    past.has[lv] = true;
    w->past[lv] = past;
  }
  w->ends[w->changes++] = from + length - 1;
}

static void world_make(struct world *w, uint64_t seed) {
  uint32_t actors[20], numbers[20] = {0};
  *w = (struct world){.rng = rng_of(seed)};
  size_t count = seed % 3 ? 2 + seed % 4 : 20, near = seed % 3 ? 4 : 40; /* more branches than there are chains, too */
  graph_init(&w->graph, dunlin_env_default(), 1);
  for (size_t i = 0; i < count; i++) actors[i] = graph_actor(&w->graph, &(struct dunlin_actor){{(uint8_t)i, 1}});
  for (size_t changes = 1 + rng_below(&w->rng, 120); changes--;) {
    size_t author = rng_below(&w->rng, count);
    add_change(w, actors[author], numbers[author]++, near);
  }
}

/* The operations of a list of pieces, which must have the latest first. */
static struct past operations(const struct walk_plan *plan, const uint32_t *list, size_t count) {
  struct past past = {{0}};
  for (size_t i = 0; i < count; i++) {
    const struct walk_plan_piece *p = &plan->pieces[list[i]];
    assert_true(!i || list[i] < list[i - 1]);
    for (uint32_t lv = p->from; lv < p->to; lv++) past.has[lv] = true;
  }
  return past;
}

static void check_difference(struct world *w, struct walk_plan *plan, uint32_t at, uint32_t next, uint32_t from) {
  struct past have = {{0}}, want = {{0}};
  const struct walk_plan_piece *p = &plan->pieces[next];
  uint32_t one;
  size_t count;
  const uint32_t *parents = graph_parents_at(&w->graph, p->run, p->from, &one, &count);
  for (size_t i = 0; i < count; i++) add_past(w, &want, parents[i]);
  if (at != PLAN_NONE) add_past(w, &have, plan->pieces[at].to - 1);
  walk_plan_difference(plan, at, next);
  struct past left = operations(plan, plan->left, plan->left_count);
  struct past entered = operations(plan, plan->entered, plan->entered_count);
  for (uint32_t lv = from; lv < MOST; lv++) {
    assert_int_equal(left.has[lv], have.has[lv] && !want.has[lv]);
    assert_int_equal(entered.has[lv], want.has[lv] && !have.has[lv]);
  }
}

static bool check_plan(struct world *w, struct walk_plan *plan, uint32_t from) {
  struct oplog log = {0};
  struct past done = {{0}};
  uint32_t at = PLAN_NONE, next, given = 0;
  OK(walk_plan_make(plan, &w->graph, &log, from, from, w->graph.lvs));
  while ((next = walk_plan_next(plan)) != PLAN_NONE) {
    const struct walk_plan_piece *p = &plan->pieces[next];
    for (uint32_t lv = from; lv < p->from; lv++) assert_true(done.has[lv] || !w->past[p->from].has[lv]);
    check_difference(w, plan, at, next, from);
    for (uint32_t lv = p->from; lv < p->to; lv++) {
      assert_false(done.has[lv]);
      done.has[lv] = true;
      given++;
    }
    at = next;
  }
  assert_int_equal(given, w->graph.lvs - from);
  return plan->chains;
}

static void plans_go_through_every_version_that_they_should(void **state) {
  static struct world w;
  bool chained = false, crowded = false;
  (void)state;
  for (uint64_t seed = seed_first(), n = seed_count(300); n--; seed++) {
    print_message("seed %llu\n", (unsigned long long)seed);
    struct walk_plan plan = {0};
    world_make(&w, seed);
    bool has_chains = check_plan(&w, &plan, 0);
    chained |= has_chains;
    crowded |= !has_chains;
    /* The same again from where nothing is concurrent, in memory and with hints that the last plan has left. */
    uint32_t critical = graph_critical_before(&w.graph, w.graph.lvs / 2);
    if (critical) check_plan(&w, &plan, critical);
    walk_plan_free(&plan, w.graph.env);
    graph_free(&w.graph);
  }
  assert_true(getenv("TEST_SEED") || (chained && crowded));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(plans_go_through_every_version_that_they_should)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
