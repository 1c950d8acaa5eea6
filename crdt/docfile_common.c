/* What writer and reader of the compact form do alike. */
#include <string.h>

#include "crdt/docfile.h"

/* ---- Columns ------------------------------------------------------------------------------------------------ */

struct column_in docfile_numbers(struct mp_reader *r, size_t count) {
  struct column_in column = {.count = count};
  column.r = *r;
  for (size_t i = 0; i < count && !r->error; i++) mp_skip(r);
  return column;
}

struct column_in docfile_column(struct mp_reader *r) {
  size_t count = mp_read_array(r, SIZE_MAX);
  return docfile_numbers(r, count);
}

uint64_t docfile_take_long(struct column_in *column, struct mp_reader *r) {
  uint64_t v = 0;
  if (!column->count) mp_fail(r);
  if (!column->count) return v;
  column->count--;
  v = mp_read_uint(&column->r, UINT64_MAX);
  if (column->r.error) mp_fail(r);
  return v;
}

uint32_t docfile_take(struct column_in *column, struct mp_reader *r, uint64_t end) {
  uint64_t v = docfile_take_long(column, r);
  if (v >= end) mp_fail(r);
  return v >= end ? 0 : (uint32_t)v;
}

int64_t docfile_take_int(struct column_in *column, struct mp_reader *r) {
  if (!column->count) {
    mp_fail(r);
    return 0;
  }
  column->count--;
  int64_t v = mp_read_int(&column->r);
  if (column->r.error) mp_fail(r);
  return v;
}

/* ---- Actors ------------------------------------------------------------------------------------------------- */

int docfile_actors_init(struct docfile_actors *a, const struct dunlin_env *env, size_t count, size_t runs) {
  *a = (struct docfile_actors){.env = env, .actor_count = count, .run_count = runs, .last = LV_NONE, .other = LV_NONE};
  a->counts = env_calloc(env, count, sizeof *a->counts);
  a->newest = env_calloc(env, count, sizeof *a->newest);
  a->numbers = env_calloc(env, count, sizeof *a->numbers);
  a->firsts = env_calloc(env, runs, sizeof *a->firsts);
  if (a->newest) memset(a->newest, 0xff, count * sizeof *a->newest);
  if (a->counts && a->newest && a->numbers && a->firsts) return 0;
  docfile_actors_free(a);
  return DUNLIN_ENOMEM;
}

void docfile_actors_free(struct docfile_actors *a) {
  ENV_FREE_ARRAY(a->env, a->counts, a->actor_count);
  ENV_FREE_ARRAY(a->env, a->newest, a->actor_count);
  ENV_FREE_ARRAY(a->env, a->numbers, a->actor_count);
  ENV_FREE_ARRAY(a->env, a->firsts, a->run_count);
  a->counts = a->newest = a->numbers = a->firsts = NULL;
}

void docfile_actors_turn(struct docfile_actors *a, uint32_t actor, size_t run) {
  a->now = actor;
  a->firsts[run] = a->counts[actor];
}

void docfile_actors_done(struct docfile_actors *a, uint32_t change, uint32_t count, uint32_t number) {
  uint32_t actor = a->now;
  a->counts[actor] += count;
  a->newest[actor] = change + count - 1;
  if (number + count > a->numbers[actor]) a->numbers[actor] = number + count;
  if (a->last == actor) return;
  a->other = a->last;
  a->last = actor;
}

uint32_t docfile_other(const struct docfile_actors *a) {
  return a->last == a->now ? a->other : a->last;
}

/* ---- Cursors ------------------------------------------------------------------------------------------------ */

int docfile_cursors_init(struct docfile_cursors *c, const struct graph *graph) {
  *c = (struct docfile_cursors){.count = graph->actor_count};
  c->list = env_calloc(graph->env, c->count, sizeof *c->list);
  return c->list ? 0 : DUNLIN_ENOMEM;
}

void docfile_cursors_free(struct docfile_cursors *c, const struct dunlin_env *env) {
  ENV_FREE_ARRAY(env, c->list, c->count);
  c->list = NULL;
}

void docfile_cursors_begin(struct docfile_cursors *c) {
  c->stamp++;
  c->run = 0;
}

uint32_t *docfile_cursor(struct docfile_cursors *c, const struct graph *g, uint32_t lv) {
  if (c->run + 1 < g->run_count && g->runs[c->run + 1].lv <= lv) c->run++;
  if (c->run + 1 < g->run_count && g->runs[c->run + 1].lv <= lv) c->run = graph_run_at(g, lv);
  struct docfile_cursor *cursor = &c->list[g->runs[c->run].actor];
  if (cursor->stamp != c->stamp) *cursor = (struct docfile_cursor){c->stamp, 0};
  return &cursor->at;
}
