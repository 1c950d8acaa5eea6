/* Elements of the tracker that were moved.
 *
 * Each slot is an item of its own, in a span that joins with no other.  Here it is known which slots are one element's,
 * in the order in which they win; from that each slot's state follows. */
#include "crdt/tracker_private.h"

#define NONE TRACKER_NONE

struct slot {
  uint32_t id; /* the item */
  uint32_t element;
  uint32_t weaker; /* the slot of the element that it wins over next; NONE: it is the first slot */
  bool in_version, is_idle;
};

struct element {
  uint32_t strongest;   /* a slot */
  uint32_t now, effect; /* the slots that win at the prepare version (NONE: not inserted) and in effect */
  uint32_t deletes;     /* how often it is deleted at the prepare version */
  bool gone;            /* not visible in effect, for good */
};

struct tracker_moves {
  struct slot *slots;
  size_t count, cap;
  struct element *elements;
  size_t element_count, element_cap;
  uint32_t *table; /* open addressing by item: a slot + 1; 0 is free */
  size_t table_size;
};

/* ---- Which slot an item is ---------------------------------------------------------------------------------- */

static size_t table_at(const struct tracker_moves *m, uint32_t id) {
  size_t at = (uint32_t)(id * 2654435769u) & (m->table_size - 1);
  while (m->table[at] && m->slots[m->table[at] - 1].id != id) at = (at + 1) & (m->table_size - 1);
  return at;
}

static uint32_t slot_of(const struct tracker *t, uint32_t id) {
  return t->moves->table[table_at(t->moves, id)] - 1;
}

static struct element *element_of(const struct tracker *t, uint32_t slot) {
  return &t->moves->elements[t->moves->slots[slot].element];
}

static uint32_t new_slot(struct tracker_moves *m, struct slot slot) {
  uint32_t at = (uint32_t)m->count++;
  m->slots[at] = slot;
  m->table[table_at(m, slot.id)] = at + 1;
  return at;
}

static int grow_table(struct tracker *t, size_t slots) {
  struct tracker_moves *m = t->moves;
  size_t size = m->table_size ? m->table_size : 16, before = m->table_size;
  while (size < slots * 2) size *= 2;
  if (size == before) return 0;
  uint32_t *old = m->table, *table = env_calloc(t->env, size, sizeof *table);
  if (!table) return DUNLIN_ENOMEM;
  m->table = table;
  m->table_size = size;
  for (size_t i = 0; i < m->count; i++) m->table[table_at(m, m->slots[i].id)] = (uint32_t)i + 1;
  env_free(t->env, old, before * sizeof *old);
  return 0;
}

int tracker_reserve_move(struct tracker *t, uint32_t ord_end) {
  if (!t->moves) t->moves = env_calloc(t->env, 1, sizeof *t->moves);
  struct tracker_moves *m = t->moves;
  if (!m || ENV_GROW(t->env, m->slots, m->cap, m->count + 2) ||
      ENV_GROW(t->env, m->elements, m->element_cap, m->element_count + 1) || grow_table(t, m->count + 2))
    return DUNLIN_ENOMEM;
  return tracker_reserve(t, ord_end);
}

void tracker_moves_free(struct tracker *t) {
  struct tracker_moves *m = t->moves;
  if (!m) return;
  ENV_FREE_ARRAY(t->env, m->slots, m->cap);
  ENV_FREE_ARRAY(t->env, m->elements, m->element_cap);
  ENV_FREE_ARRAY(t->env, m->table, m->table_size);
  env_free(t->env, m, sizeof *m);
  t->moves = NULL;
}

/* ---- States ------------------------------------------------------------------------------------------------- */

static uint32_t state_of(const struct tracker *t, uint32_t slot) {
  const struct slot *s = &t->moves->slots[slot];
  const struct element *e = element_of(t, slot);
  uint32_t state = TRACKER_MOVED;
  if (s->in_version) state |= e->now == slot && !e->deletes ? 1 : 2;
  return e->effect == slot && !e->gone ? state : state | TRACKER_GONE;
}

/* The span of a slot gets the state that it should have. */
static void update(struct tracker *t, uint32_t slot) {
  if (slot == NONE) return;
  struct place p = tracker_find_item(t, t->moves->slots[slot].id);
  uint32_t state = state_of(t, slot);
  if (tracker_span_at(t, p)->state != state) tracker_set_state(t, &p, state);
}

uint32_t tracker_moves_now(const struct tracker *t, uint32_t id) {
  const struct element *e = element_of(t, slot_of(t, id));
  uint32_t now, effect;
  if (e->now == NONE || e->deletes) return NONE;
  tracker_count_before(t, tracker_find_item(t, t->moves->slots[e->now].id), &now, &effect);
  return now;
}

/* The index of its element in effect; NONE. */
static uint32_t effect_index(const struct tracker *t, uint32_t id) {
  const struct element *e = element_of(t, slot_of(t, id));
  uint32_t now, effect;
  if (e->gone) return NONE;
  tracker_count_before(t, tracker_find_item(t, t->moves->slots[e->effect].id), &now, &effect);
  return effect;
}

/* ---- Operations --------------------------------------------------------------------------------------------- */

uint32_t tracker_moves_delete(struct tracker *t, uint32_t id, bool idle) {
  struct element *e = element_of(t, slot_of(t, id));
  uint32_t was = idle ? NONE : effect_index(t, id);
  e->deletes++;
  e->gone |= !idle;
  update(t, e->now);
  update(t, e->effect);
  return was;
}

void tracker_moves_step_delete(struct tracker *t, uint32_t id, int by) {
  struct element *e = element_of(t, slot_of(t, id));
  e->deletes += (uint32_t)by;
  update(t, e->now);
}

void tracker_moves_step_slot(struct tracker *t, uint32_t id, int by) {
  uint32_t slot = slot_of(t, id);
  struct tracker_moves *m = t->moves;
  struct element *e = element_of(t, slot);
  uint32_t before = e->now;
  m->slots[slot].in_version = by > 0;
  e->now = e->strongest;
  while (e->now != NONE && !m->slots[e->now].in_version) e->now = m->slots[e->now].weaker;
  update(t, slot);
  update(t, before);
  update(t, e->now);
}

/* The slot of the item at `p`, which becomes the first of an element when it has not been moved before. */
static uint32_t element_slot(struct tracker *t, struct place p) {
  struct tracker_moves *m = t->moves;
  uint32_t id = tracker_span_at(t, p)->id + p.offset;
  if (tracker_span_at(t, p)->state & TRACKER_MOVED) return slot_of(t, id);
  tracker_isolate(t, &p, 1);
  struct tracker_span *s = tracker_span_at(t, p);
  uint32_t element = (uint32_t)m->element_count++;
  uint32_t slot = new_slot(m, (struct slot){.id = id, .element = element, .weaker = NONE, .in_version = true});
  m->elements[element] = (struct element){slot, slot, slot, 0, (s->state & TRACKER_GONE) != 0};
  s->state |= TRACKER_MOVED;
  return slot;
}

/* Puts a new slot among those of its element. */
static void chain_slot(struct tracker *t, uint32_t slot) {
  struct slot *slots = t->moves->slots;
  uint32_t *at = &element_of(t, slot)->strongest;
  while (slots[*at].weaker != NONE && !t->wins(t->ctx, slots[slot].id, slots[*at].id)) at = &slots[*at].weaker;
  slots[slot].weaker = *at;
  *at = slot;
}

void tracker_move(struct tracker *t, uint32_t ord, uint32_t at, uint32_t to, bool idle, uint32_t *was, uint32_t *is) {
  uint32_t from = element_slot(t, tracker_find_now(t, at));
  struct tracker_moves *m = t->moves;
  struct element *e = element_of(t, from);
  uint32_t now = e->now, effect = e->effect;
  bool is_first = m->slots[effect].weaker == NONE;
  bool takes = !idle && (is_first || t->wins(t->ctx, ord, m->slots[effect].id));
  *was = takes ? effect_index(t, m->slots[effect].id) : NONE;
  uint32_t slot =
      new_slot(m, (struct slot){.id = ord, .element = m->slots[from].element, .in_version = true, .is_idle = idle});
  chain_slot(t, slot);
  e->now = slot; /* its author has seen all the others there */
  if (takes) e->effect = slot;
  uint32_t behind = tracker_put(t, ord, to, 1, state_of(t, slot));
  update(t, now);
  update(t, effect);
  *is = *was == NONE ? NONE : behind - (*was < behind);
}

uint32_t tracker_effect_index(const struct tracker *t, uint32_t at) {
  struct place p = tracker_find_now(t, at);
  const struct tracker_span *s = tracker_span_at(t, p);
  if (s->state & TRACKER_MOVED) return effect_index(t, s->id);
  return s->state & TRACKER_GONE ? NONE : p.effect;
}

/* ---- For who undoes ----------------------------------------------------------------------------------------- */

uint32_t tracker_slot_effect(const struct tracker *t, uint32_t id, bool *gone) {
  const struct element *e = element_of(t, slot_of(t, id));
  *gone = e->gone;
  return t->moves->slots[e->effect].id;
}

uint32_t tracker_slot_deletes(const struct tracker *t, uint32_t id) {
  return element_of(t, slot_of(t, id))->deletes;
}

uint32_t tracker_slot_strongest(const struct tracker *t, uint32_t id) {
  return t->moves->slots[element_of(t, slot_of(t, id))->strongest].id;
}

uint32_t tracker_slot_weaker(const struct tracker *t, uint32_t id) {
  uint32_t weaker = t->moves->slots[slot_of(t, id)].weaker;
  return weaker == NONE ? NONE : t->moves->slots[weaker].id;
}

bool tracker_slot_is_idle(const struct tracker *t, uint32_t id) {
  return t->moves->slots[slot_of(t, id)].is_idle;
}

/* ---- Checking ----------------------------------------------------------------------------------------------- */

int tracker_moves_check(const struct tracker *t) {
  const struct tracker_moves *m = t->moves;
  for (uint32_t i = 0; m && i < m->count; i++) {
    const struct tracker_span *s = tracker_span_at(t, tracker_find_item(t, m->slots[i].id));
    if (slot_of(t, m->slots[i].id) != i || s->len != 1 || s->state != state_of(t, i)) return DUNLIN_ECORRUPT;
  }
  for (uint32_t i = 0; m && i < m->element_count; i++) {
    uint32_t now = NONE, slots = 0;
    for (uint32_t s = m->elements[i].strongest; s != NONE; s = m->slots[s].weaker, slots++) {
      if (m->slots[s].element != i || slots > m->count) return DUNLIN_ECORRUPT;
      if (now == NONE && m->slots[s].in_version) now = s;
    }
    if (now != m->elements[i].now || m->slots[m->elements[i].effect].is_idle) return DUNLIN_ECORRUPT;
  }
  return 0;
}
