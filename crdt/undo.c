/* The stacks of an undo. */
#include "crdt/undo.h"

#include <string.h>

static void clear(dunlin_undo *u, struct undo_steps *steps) {
  while (steps->count) undo_step_free(u, &steps->list[--steps->count]);
}

int dunlin_undo_new(dunlin_doc *doc, size_t depth, dunlin_undo **out) {
  if (doc->open.is_open) return DUNLIN_ESTATE;
  if (doc->undo) return DUNLIN_EEXIST;
  dunlin_undo *u = env_calloc(doc->env, 1, sizeof *u);
  if (!u) return DUNLIN_ENOMEM;
  u->doc = doc;
  u->env = doc->env;
  u->depth = depth;
  doc->undo = u;
  *out = u;
  return 0;
}

void dunlin_undo_free(dunlin_undo *u) {
  if (!u) return;
  const struct dunlin_env *env = u->env;
  u->doc->undo = NULL;
  clear(u, &u->back);
  clear(u, &u->forth);
  clear(u, &u->tentative);
  undo_change_free(u, &u->open);
  undo_step_free(u, &u->next);
  ENV_FREE_ARRAY(env, u->back.list, u->back.cap);
  ENV_FREE_ARRAY(env, u->forth.list, u->forth.cap);
  ENV_FREE_ARRAY(env, u->tentative.list, u->tentative.cap);
  undo_forget_lost(u, 0, u->lost_count);
  ENV_FREE_ARRAY(env, u->lost, u->lost_cap);
  undo_tracks_tidy(u, true);
  ENV_FREE_ARRAY(env, u->tracks, u->track_cap);
  ENV_FREE_ARRAY(env, u->items.list, u->items.cap);
  ENV_FREE_ARRAY(env, u->writes.list, u->writes.cap);
  env_free(env, u, sizeof *u);
}

void dunlin_undo_group(dunlin_undo *u, bool on) {
  u->groups = on;
  u->is_begun = false;
}

size_t dunlin_undo_count(const dunlin_undo *u) {
  return u->back.count;
}

size_t dunlin_redo_count(const dunlin_undo *u) {
  return u->forth.count;
}

/* ---- Commits ------------------------------------------------------------------------------------------------ */

/* What the commit at hand goes onto; NULL: nowhere. */
static struct undo_steps *target(dunlin_undo *u) {
  if (u->mode == UNDO_TENTATIVE) return &u->tentative;
  return u->mode == UNDO_REVERT ? NULL : u->mode == UNDO_BACK ? &u->forth : &u->back;
}

static bool joins(const dunlin_undo *u) {
  return u->mode == UNDO_PLAIN && u->groups && u->is_begun && u->back.count;
}

int undo_reserve(dunlin_undo *u) {
  struct undo_steps *steps = target(u);
  if (!steps) return 0;
  if (joins(u)) {
    struct undo_step *top = &steps->list[steps->count - 1];
    return ENV_GROW(u->env, top->changes, top->cap, top->count + 1);
  }
  int error = ENV_GROW(u->env, steps->list, steps->cap, steps->count + 1);
  return error ? error : ENV_GROW(u->env, u->next.changes, u->next.cap, 1);
}

uint32_t undo_oldest(const dunlin_undo *u) {
  uint32_t lv = u->doc->graph.lvs;
  const struct undo_steps *all[] = {&u->back, &u->forth, &u->tentative};
  for (size_t s = 0; s < 3; s++) /* the first of each is the oldest of it */
    if (all[s]->count && all[s]->list[0].changes[0].from < lv) lv = all[s]->list[0].changes[0].from;
  return lv;
}

static size_t drop_first(struct undo_stand_list *stands, size_t count) {
  stands->count -= count;
  if (count) memmove(stands->list, stands->list + count, stands->count * sizeof *stands->list);
  return count;
}

/* Writes that are older than all steps do not stand for anything that these know.  Items are in the way of others for
 * as long as a tracker knows what they stand for. */
static void forget_old(dunlin_undo *u) {
  uint32_t oldest = undo_oldest(u), base = graph_critical_before(&u->doc->graph, oldest);
  size_t writes = 0, items = 0;
  while (writes < u->writes.count && u->writes.list[writes].lv < oldest) writes++;
  drop_first(&u->writes, writes);
  for (writes = 0; writes < u->lost_count && u->lost[writes].lv < oldest;) writes++;
  undo_forget_lost(u, 0, writes);
  for (size_t i = 0; i < u->track_count; i++)
    if (u->tracks[i].walker.is_live && u->tracks[i].walker.base < base) base = u->tracks[i].walker.base;
  for (; items < u->items.count; items++) {
    const struct undo_stands *s = &u->items.list[items];
    if (s->row >= base || (s->first != LV_NONE && s->first >= base)) break;
  }
  undo_tracks_shift(u, drop_first(&u->items, items));
}

void undo_forget(dunlin_doc *doc) {
  undo_tracks_tidy(doc->undo, true);
}

static void drop_oldest(dunlin_undo *u, struct undo_steps *steps) {
  undo_step_free(u, &steps->list[0]);
  memmove(steps->list, steps->list + 1, --steps->count * sizeof *steps->list);
}

static void push(dunlin_undo *u, struct undo_steps *steps, const struct dunlin_id *id) {
  if (!joins(u)) {
    steps->list[steps->count++] = u->next;
    u->next = (struct undo_step){0};
  }
  struct undo_step *top = &steps->list[steps->count - 1];
  if (id) top->id = *id;
  top->changes[top->count++] = u->open;
  u->open = (struct undo_change){0};
  if (steps != &u->tentative && steps->count > u->depth) drop_oldest(u, steps);
}

void undo_keep(dunlin_doc *doc, const struct dunlin_id *id) {
  dunlin_undo *u = doc->undo;
  struct undo_steps *steps = target(u);
  if (steps) push(u, steps, id);
  u->is_begun = u->mode == UNDO_PLAIN;
  if (u->mode == UNDO_PLAIN || u->mode == UNDO_TENTATIVE) clear(u, &u->forth);
  if (u->mode == UNDO_PLAIN && u->track_count) undo_tracks_tidy(u, false);
  if (u->items.count || u->writes.count) forget_old(u);
}

/* ---- Back and forth ----------------------------------------------------------------------------------------- */

/* Commits the opposite of a step; 0: it has none. */
static int revert(dunlin_undo *u, const struct undo_step *step, int64_t time, struct dunlin_id *out) {
  dunlin_doc *doc = u->doc;
  struct undo_plans plans = {0};
  size_t items = u->items.count, writes = u->writes.count, lost = u->lost_count;
  u->items.open = items;
  u->writes.open = writes;
  int error = names_whole(doc);
  if (!error) error = undo_plan_all(u, step, &plans);
  if (!error) error = dunlin_begin(doc);
  if (!error) {
    error = undo_follow(u, step, &plans);
    if (!error) error = undo_revert_values(u, step);
    if (!error) error = dunlin_commit(doc, time, out);
    if (error < 0) dunlin_abort(doc); /* a validator leaves it open */
  }
  undo_plans_free(u, &plans);
  if (error <= 0) { /* nothing has come of it */
    u->items.count = items;
    u->writes.count = writes;
    undo_forget_lost(u, lost, u->lost_count);
  }
  return error;
}

/* Reverts the last of the `count` steps that still has an effect; then `*left` come before it. */
static int go(dunlin_undo *u, struct undo_step *steps, size_t count, enum undo_mode mode, int64_t time,
              struct dunlin_id *out, size_t *left) {
  int done = 0;
  enum dunlin_unit unit = u->doc->unit;
  if (u->doc->open.is_open) return DUNLIN_ESTATE;
  u->mode = mode;
  u->is_begun = false;
  u->doc->unit = DUNLIN_SCALARS;
  while (!done && count) done = revert(u, &steps[--count], time, out);
  u->doc->unit = unit;
  u->mode = UNDO_PLAIN;
  *left = count;
  return done;
}

static int go_on(dunlin_undo *u, struct undo_steps *from, enum undo_mode mode, int64_t time, struct dunlin_id *out) {
  size_t left;
  int done = go(u, from->list, from->count, mode, time, out, &left);
  while (done >= 0 && from->count > left) undo_step_free(u, &from->list[--from->count]);
  return done;
}

int dunlin_undo_back(dunlin_undo *u, int64_t time, struct dunlin_id *out) {
  return go_on(u, &u->back, UNDO_BACK, time, out);
}

int dunlin_undo_forth(dunlin_undo *u, int64_t time, struct dunlin_id *out) {
  return go_on(u, &u->forth, UNDO_FORTH, time, out);
}

/* ---- Tentative changes -------------------------------------------------------------------------------------- */

int dunlin_commit_tentative(dunlin_undo *u, int64_t time, struct dunlin_id *out) {
  struct dunlin_id id;
  u->mode = UNDO_TENTATIVE;
  int done = dunlin_commit(u->doc, time, &id);
  u->mode = UNDO_PLAIN;
  if (done > 0 && out) *out = id;
  return done;
}

size_t dunlin_tentative_count(const dunlin_undo *u) {
  return u->tentative.count;
}

int dunlin_tentative_at(const dunlin_undo *u, size_t i, struct dunlin_id *out) {
  if (i >= u->tentative.count) return DUNLIN_ENOENT;
  *out = u->tentative.list[i].id;
  return 0;
}

static struct undo_step *find_tentative(const dunlin_undo *u, const struct dunlin_id *change) {
  for (size_t i = 0; i < u->tentative.count; i++)
    if (!id_compare(&u->tentative.list[i].id, change)) return &u->tentative.list[i];
  return NULL;
}

static void take_off(dunlin_undo *u, struct undo_step *step) {
  struct undo_steps *steps = &u->tentative;
  undo_step_free(u, step);
  memmove(step, step + 1, (size_t)(&steps->list[--steps->count] - step) * sizeof *step);
}

int dunlin_confirm(dunlin_undo *u, const struct dunlin_id *change) {
  struct undo_step *step = find_tentative(u, change);
  if (step) take_off(u, step);
  return step ? 0 : DUNLIN_ENOENT;
}

int dunlin_revert(dunlin_undo *u, const struct dunlin_id *change, int64_t time, struct dunlin_id *out) {
  struct undo_step *step = find_tentative(u, change);
  size_t left;
  int done = step ? go(u, step, 1, UNDO_REVERT, time, out, &left) : DUNLIN_ENOENT;
  if (done >= 0) take_off(u, step);
  return done;
}
