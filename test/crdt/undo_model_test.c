/* Undo against a plain model: replicas write, hear of each other, hold changes void and undo, at random.  After each
 * step a replica shows the items that the model says, after each undo only that has changed which should; at the end
 * all are equal, and so is the oracle. */
#include "test/crdt/undo_model.h"

#include "crdt/doc.h"
#include "test/oracle/support.h"

/* ---- Writing ------------------------------------------------------------------------------------------------ */

/* A transaction, and what it does. */
struct edit {
  struct model *m;
  size_t r;
  dunlin_doc *doc;
  struct shown was;
  struct model_change change;
  model_set values, marks;
  uint8_t deleted_keys, unmarked;
};

static size_t below(struct edit *e, size_t n) {
  return rng_below(&e->m->rng, n);
}

/* Of two that undo, each deletes and sets only items of its own sort, so that nothing comes back twice. */
static bool may_touch(const struct edit *e, int item) {
  bool undoes = e->m->replica[e->r].undo != NULL;
  return !model_is_unnamed(e->m, e->r, item) && (!undoes || (size_t)item % 2 == e->r);
}

static int new_item(struct edit *e, bool is_element) {
  struct model *m = e->m;
  if (m->replica[e->r].undo)
    while (m->items % 2 != e->r) m->items++;
  HOLDS(m, m->items < model_items, "too many items");
  m->item[m->items] = (struct model_item){.is_element = is_element, .author = e->r};
  m->item[m->items].written[0] = m->changes;
  set_put(&e->change.inserted, m->items);
  return (int)m->items++;
}

static int new_version(struct edit *e, int item) {
  size_t version = ++e->m->item[item].versions;
  HOLDS(e->m, version < model_versions, "too many versions");
  e->m->item[item].written[version] = e->m->changes;
  return item * model_versions + (int)version;
}

static void mark_text(struct edit *e, dunlin_obj text) {
  size_t size = e->was.text.count, from = below(e, size), to = from + 1 + below(e, size - from < 6 ? size - from : 6);
  size_t key = below(e, model_mark_keys);
  bool removes = !below(e, 4);
  int mark = removes ? 0 : (int)++e->m->marks;
  HOLDS(e->m, mark < model_items, "too many marks");
  if (removes) e->unmarked |= (uint8_t)(1 << key);
  else set_put(&e->marks, (size_t)mark);
  e->change.marks |= (uint8_t)(1 << key);
  OK(dunlin_text_mark(e->doc, text, from, to, dunlin_key((char[]){(char)('x' + key), 0}),
                      removes ? dunlin_null() : dunlin_int(mark), (unsigned)below(e, 4)));
}

static void edit_text(struct edit *e) {
  dunlin_obj text = dunlin_map_obj(e->doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  const struct model_seq *seq = &e->was.text;
  if (seq->count && !below(e, 3)) {
    mark_text(e, text);
    return;
  }
  size_t at = below(e, seq->count + 1), most = below(e, 2) ? below(e, 4) : 0, remove = 0, insert;
  while (remove < most && at + remove < seq->count && may_touch(e, seq->items[at + remove]))
    set_put(&e->change.deleted, (size_t)seq->items[at + remove++]);
  insert = remove && below(e, 2) ? 0 : 1 + below(e, 3);
  char utf8[16];
  for (size_t i = 0; i < insert; i++) {
    int code = 0x100 + new_item(e, false);
    utf8[2 * i] = (char)(0xc0 | code >> 6);
    utf8[2 * i + 1] = (char)(0x80 | (code & 63));
  }
  OK(dunlin_text_splice(e->doc, text, at, remove, utf8, 2 * insert));
}

static void edit_list(struct edit *e) {
  dunlin_obj list = dunlin_map_obj(e->doc, DUNLIN_ROOT, dunlin_key("l"), DUNLIN_LIST);
  const struct model_seq *seq = &e->was.list;
  size_t at = below(e, seq->count + 1), what = below(e, 5);
  int item = at < seq->count ? seq->items[at] : -1;
  if (item < 0 || what < 2 || !may_touch(e, item)) {
    OK(dunlin_list_insert(e->doc, list, at, dunlin_int(new_item(e, true) * model_versions)));
  } else if (what == 2) {
    set_put(&e->change.deleted, (size_t)item);
    OK(dunlin_list_delete(e->doc, list, at, 1));
  } else if (what == 3) {
    set_put(&e->change.written, (size_t)item);
    OK(dunlin_list_set(e->doc, list, at, dunlin_int(new_version(e, item))));
  } else {
    size_t to = below(e, seq->count);
    if (to != at) set_put(&e->change.moved, (size_t)item);
    OK(dunlin_list_move(e->doc, list, at, to));
  }
}

static void edit_key(struct edit *e) {
  struct model *m = e->m;
  size_t key = m->replica[e->r].undo ? 2 * below(e, 2) + e->r : below(e, model_keys);
  struct dunlin_bytes name = dunlin_key((char[]){(char)('0' + key), 0});
  if (e->was.keys[key].count && !below(e, 3)) {
    e->deleted_keys = (uint8_t)(1 << key);
    OK(dunlin_map_delete(e->doc, DUNLIN_ROOT, name));
  } else {
    int value = (int)++m->values;
    HOLDS(m, value < model_values, "too many values");
    set_put(&e->values, (size_t)value);
    m->value_change[value] = m->changes;
    OK(dunlin_map_put(e->doc, DUNLIN_ROOT, name, dunlin_int(value)));
  }
  e->change.keys = (uint8_t)(1 << key);
}

static void edit_other(struct edit *e) {
  size_t member = below(e, model_members);
  if (below(e, 2)) {
    e->change.amount = (int64_t)below(e, 9) - 4;
    OK(dunlin_counter_add(e->doc, dunlin_map_obj(e->doc, DUNLIN_ROOT, dunlin_key("c"), DUNLIN_COUNTER),
                          e->change.amount));
  } else {
    e->change.members = (uint8_t)(1 << member);
    OK(dunlin_set_toggle(e->doc, dunlin_map_obj(e->doc, DUNLIN_ROOT, dunlin_key("s"), DUNLIN_SET),
                         dunlin_int((int64_t)member)));
  }
}

/* ---- The journal -------------------------------------------------------------------------------------------- */

static void item_lives(struct model *m, size_t item, size_t change) {
  struct model_item *it = &m->item[item];
  HOLDS(m, it->lives < model_lives, "too many lives");
  it->life[it->lives].made = change;
  it->life[it->lives++].deletions = 0;
}

static void item_dies(struct model *m, size_t r, size_t item, size_t change) {
  int life = model_life(m, r, (int)item);
  HOLDS(m, life >= 0 && m->item[item].life[life].deletions < 8, "item %zu cannot be deleted", item);
  m->item[item].life[life].deleted[m->item[item].life[life].deletions++] = change;
}

/* The change is the last one of the replica. */
static size_t enter(struct model *m, size_t r, struct model_change change, struct dunlin_id id) {
  struct dunlin_change_info info;
  size_t k = m->changes++;
  HOLDS(m, k < model_changes, "too many changes");
  OK(dunlin_doc_find_change(m->replica[r].doc, &id, &info));
  change.id = id;
  change.lamport = info.lamport;
  change.author = r;
  change.past = m->replica[r].known;
  m->change[k] = change;
  for (size_t i = 0; i < m->items; i++) {
    if (set_has(&change.deleted, i)) item_dies(m, r, i, k);
    if (set_has(&change.inserted, i)) item_lives(m, i, k);
  }
  set_put(&m->replica[r].known, k);
  return k;
}

/* ---- Steps -------------------------------------------------------------------------------------------------- */

static void forget(struct model_step *steps, size_t *count) {
  while (*count) free(steps[--*count].before);
}

static struct model_step *new_step(struct model *m, struct model_step *steps, size_t *count, const struct shown *was) {
  HOLDS(m, *count < model_steps, "too many steps");
  struct model_step *step = &steps[(*count)++];
  *step = (struct model_step){.before = malloc(sizeof *was)};
  assert_non_null(step->before);
  *step->before = *was;
  return step;
}

/* Since the step began others may have written there. */
static void note_before(struct model_step *step, const struct shown *was, size_t key) {
  if (!(step->touched_keys >> key & 1)) step->before->keys[key].count = 0;
  for (size_t i = 0; i < was->keys[key].count && step->before->keys[key].count < model_conflicts; i++)
    if (!set_has(&step->values, (size_t)was->keys[key].values[i]))
      step->before->keys[key].values[step->before->keys[key].count++] = was->keys[key].values[i];
}

static void note_edit(struct model *m, struct edit *e, size_t change) {
  struct model_replica *rep = &m->replica[e->r];
  if (!rep->undo) return;
  forget(rep->forth, &rep->forth_count);
  bool joins = rep->groups && rep->is_begun && rep->back_count;
  struct model_step *step = joins ? &rep->back[rep->back_count - 1] : new_step(m, rep->back, &rep->back_count, &e->was);
  rep->is_begun = true;
  step->is_edit = true;
  step->had_voids |= !set_is_empty(&rep->voids);
  step->changes[step->count++] = change;
  for (size_t k = 0; k < model_keys; k++)
    if (e->change.keys >> k & 1) note_before(step, &e->was, k);
  for (size_t w = 0; w < model_items / 64; w++) {
    step->values.words[w] |= e->values.words[w];
    step->marks.words[w] |= e->marks.words[w];
  }
  step->deleted_keys = (uint8_t)((step->deleted_keys & ~e->change.keys) | e->deleted_keys);
  step->touched_keys |= e->change.keys;
  step->unmarked |= e->unmarked;
}

static void write(struct model *m, size_t r) {
  struct edit e = {.m = m, .r = r, .doc = m->replica[r].doc, .change = {.is_edit = true}};
  struct dunlin_id id;
  model_show(m, r, &e.was);
  size_t what = 1 + below(&e, 15);
  OK(dunlin_begin(e.doc));
  if (what & 1) edit_text(&e);
  e.change.cuts = !set_is_empty(&e.change.deleted);
  if (what & 2) edit_list(&e);
  if (what & 4 && below(&e, 2)) edit_key(&e);
  if (what & 8 && below(&e, 2)) edit_other(&e);
  int done = dunlin_commit(e.doc, 0, &id);
  OK(done);
  if (done) note_edit(m, &e, enter(m, r, e.change, id));
}

/* ---- Undoing ------------------------------------------------------------------------------------------------ */

static void differ_items(const struct model_seq *was, const struct model_seq *now, struct model_change *change) {
  for (size_t i = 0; i < model_items; i++) {
    if (set_has(&was->has, i) && !set_has(&now->has, i)) set_put(&change->deleted, i);
    if (!set_has(&was->has, i) && set_has(&now->has, i)) set_put(&change->inserted, i);
  }
}

/* What the undo of a step did: what it may have moved, written and marked counts as if it had. */
static struct model_change difference(const struct model *m, const struct model_step *step, const struct shown *was,
                                      const struct shown *now) {
  struct model_change change = {.amount = now->counter - was->counter};
  differ_items(&was->text, &now->text, &change);
  change.cuts = !set_is_empty(&change.deleted);
  if (!set_is_empty(&change.inserted)) change.marks = (1 << model_mark_keys) - 1;
  differ_items(&was->list, &now->list, &change);
  for (size_t i = 0; i < step->count; i++) {
    const struct model_change *undone = &m->change[step->changes[i]];
    for (size_t w = 0; w < model_items / 64; w++) {
      change.moved.words[w] |= undone->moved.words[w];
      change.written.words[w] |= undone->written.words[w];
    }
    change.marks |= undone->marks;
    change.members |= undone->members;
  }
  return change;
}

static void differ_keys(const struct shown *was, const struct shown *now, struct model_step *step) {
  for (size_t k = 0; k < model_keys; k++) {
    bool wrote = false, differs = was->keys[k].count != now->keys[k].count;
    for (size_t i = 0; i < now->keys[k].count; i++) {
      int value = now->keys[k].values[i];
      bool old = false;
      for (size_t o = 0; o < was->keys[k].count; o++) old |= was->keys[k].values[o] == value;
      if (old) continue;
      set_put(&step->values, (size_t)value);
      wrote = true;
    }
    if (wrote || differs) step->touched_keys |= (uint8_t)(1 << k);
    if (differs && !wrote) step->deleted_keys |= (uint8_t)(1 << k);
  }
}

/* 1: something has been undone, or redone. */
static int undo(struct model *m, size_t r, bool forth, struct shown *was, struct shown *now) {
  struct model_replica *rep = &m->replica[r];
  struct model_step *steps = forth ? rep->forth : rep->back;
  size_t *count = forth ? &rep->forth_count : &rep->back_count;
  struct dunlin_id id;
  model_show(m, r, was);
  int done = forth ? dunlin_undo_forth(rep->undo, 0, &id) : dunlin_undo_back(rep->undo, 0, &id);
  HOLDS(m, done >= 0, "undo gave %s", dunlin_error_name(done));
  model_show(m, r, now);
  rep->is_begun = false;
  size_t left = forth ? dunlin_redo_count(rep->undo) : dunlin_undo_count(rep->undo);
  for (; *count > left; free(steps[--*count].before)) {
    struct model_step *step = &steps[*count - 1];
    bool undone = done && *count == left + 1;
    model_check_undone(m, r, step, was, undone ? now : was);
    for (size_t i = 0; i < step->count; i++) m->change[step->changes[i]].is_undone = true;
    if (!undone) continue;
    struct model_step *other =
        forth ? new_step(m, rep->back, &rep->back_count, was) : new_step(m, rep->forth, &rep->forth_count, was);
    differ_keys(was, now, other);
    other->had_voids = !set_is_empty(&rep->voids);
    other->changes[other->count] = enter(m, r, difference(m, step, was, now), id);
    model_lose(m, r, step, other->changes[other->count++], was, now);
  }
  HOLDS(m, dunlin_undo_count(rep->undo) == rep->back_count, "%zu steps", dunlin_undo_count(rep->undo));
  HOLDS(m, dunlin_redo_count(rep->undo) == rep->forth_count, "%zu steps to redo", dunlin_redo_count(rep->undo));
  return done;
}

static void same_items(struct model *m, const struct model_seq *a, const struct model_seq *b) {
  HOLDS(m, a->count == b->count && !memcmp(a->items, b->items, a->count * sizeof *a->items), "items differ");
  HOLDS(m, !memcmp(a->versions, b->versions, a->count * sizeof *a->versions), "values of elements differ");
}

/* Back and forth at once: nothing has changed.  What others have won against may not be there to be done again. */
static void undo_and_redo(struct model *m, size_t r) {
  struct shown was, between, now;
  bool same_marks[model_mark_keys] = {false};
  if (!undo(m, r, false, &was, &between)) return;
  for (size_t k = 0; k < model_mark_keys; k++) same_marks[k] = !model_others_marked(m, r, NULL, k);
  size_t left = m->replica[r].forth_count - 1;
  undo(m, r, true, &between, &now);
  if (m->replica[r].forth_count < left) return;
  if (set_is_empty(&m->replica[r].voids)) { /* what comes back beside what only shows so may lie before it */
    same_items(m, &was.text, &now.text);
    same_items(m, &was.list, &now.list);
  }
  for (size_t k = 0; k < model_keys; k++) {
    int a = was.keys[k].count ? was.keys[k].values[0] : 0, b = now.keys[k].count ? now.keys[k].values[0] : 0;
    HOLDS(m, a == b || was.keys[k].count > 1, "key %zu is %d, %d before", k, b, a);
  }
  HOLDS(m, was.counter == now.counter && was.members == now.members, "counter or members differ");
  for (size_t k = 0; k < model_mark_keys; k++)
    if (same_marks[k]) HOLDS(m, !memcmp(was.marks[k], now.marks[k], sizeof was.marks[k]), "marks of key %zu differ", k);
}

static void undo_some(struct model *m, size_t r) {
  struct shown was, now;
  if (!m->replica[r].undo) write(m, r);
  else if (!rng_below(&m->rng, 3)) undo_and_redo(m, r);
  else undo(m, r, !rng_below(&m->rng, 3), &was, &now);
}

/* ---- Void changes and exchange ------------------------------------------------------------------------------- */

/* Whether the replica may hold a change void: of those of somebody who undoes not what has been undone, lest things
 * show twice. */
static bool may_be_void(const struct model *m, size_t r, size_t change) {
  const struct model_change *c = &m->change[change];
  return change && (!m->replica[c->author].undo || (c->author == r && c->is_edit && !c->is_undone));
}

static void use_voids(struct model *m, size_t r) {
  struct dunlin_id ids[model_changes];
  size_t count = 0;
  for (size_t k = 0; k < m->changes; k++)
    if (set_has(&m->replica[r].voids, k)) ids[count++] = m->change[k].id;
  OK(dunlin_doc_set_void(m->replica[r].doc, ids, count));
}

static void hold_void(struct model *m, size_t r, size_t most) {
  m->replica[r].voids = (model_set){{0}};
  for (size_t n = rng_below(&m->rng, most); n--;) {
    size_t k = rng_below(&m->rng, m->changes);
    if (may_be_void(m, r, k)) set_put(&m->replica[r].voids, k);
  }
  use_voids(m, r);
}

static void meet(struct model *m, size_t a, size_t b) {
  test_sync(m->replica[a].doc, m->replica[b].doc);
  for (size_t w = 0; w < model_items / 64; w++) {
    m->replica[a].known.words[w] |= m->replica[b].known.words[w];
    m->replica[b].known.words[w] = m->replica[a].known.words[w];
  }
}

/* ---- Programs ----------------------------------------------------------------------------------------------- */

/* All but the last one undo; that one makes the containers. */
static void start(struct model *m) {
  size_t last = m->replicas - 1;
  struct dunlin_id id;
  dunlin_doc *doc;
  for (size_t r = 0; r < m->replicas; r++) m->replica[r].doc = test_doc((uint8_t)(r + 1));
  doc = m->replica[last].doc;
  OK(dunlin_begin(doc));
  (void)dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  (void)dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("l"), DUNLIN_LIST);
  (void)dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("c"), DUNLIN_COUNTER);
  (void)dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("s"), DUNLIN_SET);
  OK(dunlin_commit(doc, 0, &id));
  enter(m, last, (struct model_change){.is_edit = true}, id);
  for (size_t n = rng_below(&m->rng, 3); n--;) write(m, last);
  for (size_t r = 0; r < last; r++) meet(m, r, last);
  for (size_t r = 0; r < last; r++) OK(dunlin_undo_new(m->replica[r].doc, 1000, &m->replica[r].undo));
}

static void act(struct model *m) {
  size_t r = rng_below(&m->rng, m->replicas), what = rng_below(&m->rng, 16);
  struct model_replica *rep = &m->replica[r];
  struct shown now;
  if (what < 6) {
    write(m, r);
  } else if (what < 11) {
    undo_some(m, r);
  } else if (what < 14) {
    size_t other = (r + 1 + rng_below(&m->rng, m->replicas - 1)) % m->replicas;
    meet(m, r, other);
    model_show(m, other, &now);
    model_check_items(m, other, &now);
  } else if (what == 14 && rep->undo) {
    rep->groups = rng_below(&m->rng, 2);
    rep->is_begun = false;
    dunlin_undo_group(rep->undo, rep->groups);
  } else if (m->voids) {
    hold_void(m, r, 6);
  }
  model_show(m, r, &now);
  model_check_items(m, r, &now);
}

/* The oracle has all changes, and the same ones void. */
static void assert_as_oracle(struct model *m) {
  struct oracle *oracle = test_oracle();
  struct dunlin_id ids[model_changes];
  size_t count = 0, last = m->replicas - 1;
  for (size_t k = 0; k < m->changes; k++)
    if (set_has(&m->replica[last].voids, k)) ids[count++] = m->change[k].id;
  OK(oracle_set_void(oracle, ids, count));
  test_feed(oracle, m->replica[last].doc);
  assert_shows_like(oracle, m->replica[last].doc);
  oracle_free(oracle);
}

static void finish(struct model *m) {
  size_t last = m->replicas - 1;
  if (m->voids) hold_void(m, last, 6);
  for (size_t round = 0; round < 2; round++)
    for (size_t r = 0; r < last; r++) meet(m, r, last);
  for (size_t r = 0; r < last; r++) {
    m->replica[r].voids = m->replica[last].voids;
    use_voids(m, r);
    OK(doc_check(m->replica[r].doc, true));
    assert_same_doc(m->replica[r].doc, m->replica[last].doc);
  }
  assert_as_oracle(m);
  for (size_t r = 0; r < m->replicas; r++) {
    struct model_replica *rep = &m->replica[r];
    forget(rep->back, &rep->back_count);
    forget(rep->forth, &rep->forth_count);
    dunlin_undo_free(rep->undo);
    dunlin_doc_free(rep->doc);
  }
}

static void run(uint64_t seed) {
  struct model *m = calloc(1, sizeof *m);
  assert_non_null(m);
  m->rng = rng_of(seed);
  m->seed = seed;
  m->replicas = 2 + rng_below(&m->rng, 2);
  m->voids = rng_below(&m->rng, 2);
  start(m);
  for (size_t n = 10 + rng_below(&m->rng, 20); n--;) act(m);
  finish(m);
  free(m);
}

static void undoing_changes_what_it_should_and_nothing_else(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), n = seed_count(20000); n--; seed++) run(seed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(undoing_changes_what_it_should_and_nothing_else),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
