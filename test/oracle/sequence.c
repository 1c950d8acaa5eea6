/* The order of a text or a list, and what its indexes mean. */
#include "test/oracle/private.h"

void oracle_seq_init(struct oracle_seq *seq, bool is_list) {
  *seq = (struct oracle_seq){.is_list = is_list, .last = ORACLE_NONE};
  ORACLE_ROOM(seq->items, seq->cap, 0);
  seq->items[seq->count++] = (struct oracle_item){.change = ORACLE_NONE,
                                                  .parent = ORACLE_NONE,
                                                  .first = {ORACLE_NONE, ORACLE_NONE},
                                                  .next = ORACLE_NONE,
                                                  .after = ORACLE_NONE};
}

static void drop_element(struct oracle_seq *seq) {
  struct oracle_element *e = &seq->elements[--seq->element_count];
  oracle_register_free(&e->reg);
  oracle_set_free(&e->deletes);
  ORACLE_FREE(e->slots, e->slot_cap);
}

static void drop_item(struct oracle_item *it) {
  oracle_set_free(&it->deletes);
  oracle_free_bytes(it->mark_key);
  if (it->mark_value.kind == DUNLIN_STRING || it->mark_value.kind == DUNLIN_BYTES)
    oracle_free_bytes(it->mark_value.as.string);
}

void oracle_seq_free(struct oracle_seq *seq) {
  for (size_t i = 0; i < seq->count; i++) drop_item(&seq->items[i]);
  while (seq->element_count) drop_element(seq);
  ORACLE_FREE(seq->items, seq->cap);
  ORACLE_FREE(seq->elements, seq->element_cap);
}

/* ---- The order --------------------------------------------------------------------------------------------------- */

/* Where reading begins in the item's part of the tree: all on the left comes before the item itself. */
static uint32_t leftmost(const struct oracle_seq *seq, uint32_t item) {
  while (seq->items[item].first[0] != ORACLE_NONE) item = seq->items[item].first[0];
  return item;
}

uint32_t oracle_next(const struct oracle_seq *seq, uint32_t item) {
  if (seq->items[item].first[1] != ORACLE_NONE) return leftmost(seq, seq->items[item].first[1]);
  for (; item; item = seq->items[item].parent) {
    const struct oracle_item *it = &seq->items[item];
    if (it->next != ORACLE_NONE) return leftmost(seq, it->next);
    if (it->parent == ORACLE_END) return ORACLE_NONE;
    if (!it->is_right) return it->parent; /* the last on the left: now the parent itself */
  }
  return seq->last == ORACLE_NONE ? ORACLE_NONE : leftmost(seq, seq->last);
}

/* Whether item `a` stands behind item `b`; ORACLE_NONE is the end. */
static bool stands_behind(const struct oracle_seq *seq, uint32_t a, uint32_t b) {
  if (b == ORACLE_NONE) return false;
  if (a == ORACLE_NONE) return true;
  for (uint32_t item = oracle_next(seq, b); item != ORACLE_NONE; item = oracle_next(seq, item))
    if (item == a) return true;
  return false;
}

/* The order among children of one item on one side: by operation; on the right by right origin before that, the later
 * first.  That is what FugueMax adds to Fugue: concurrent insertions nest, they do not interleave.  Anchors that keep
 * to the item stand next to it, whatever else is there, the one that wins nearest to it. */
static bool child_before(const struct oracle *o, const struct oracle_seq *seq, const struct oracle_item *a,
                         const struct oracle_item *b) {
  if (a->side != b->side) return a->side == ORACLE_CLOSING || b->side == ORACLE_OPENING;
  if (a->side == ORACLE_CLOSING) return oracle_wins(o, a->change, a->index, b->change, b->index);
  if (a->side == ORACLE_OPENING) return oracle_wins(o, b->change, b->index, a->change, a->index);
  if (a->is_right && a->after != b->after) return stands_behind(seq, a->after, b->after);
  return oracle_before(o, a->change, a->index, b->change, b->index);
}

static bool inserted_in_version(const struct oracle *o, const struct oracle_item *it) {
  return it->change == ORACLE_NONE || o->in_version[it->change]; /* the root always was */
}

/* Whether `item` is in what hangs on the right of `above`. */
static bool is_right_of(const struct oracle_seq *seq, uint32_t item, uint32_t above) {
  while (item != ORACLE_NONE && item != ORACLE_END) {
    if (seq->items[item].parent == above) return seq->items[item].is_right;
    item = seq->items[item].parent;
  }
  return false;
}

static uint32_t *children_of(struct oracle_seq *seq, uint32_t parent, bool right) {
  return parent == ORACLE_END ? &seq->last : &seq->items[parent].first[right];
}

static uint32_t hang_on(struct oracle *o, struct oracle_seq *seq, uint32_t parent, bool right,
                        struct oracle_item item) {
  ORACLE_ROOM(seq->items, seq->cap, seq->count);
  uint32_t number = (uint32_t)seq->count++;
  struct oracle_item *it = &seq->items[number];
  *it = item;
  it->change = o->open;
  it->index = o->index;
  it->parent = parent;
  it->is_right = right;
  it->first[0] = it->first[1] = ORACLE_NONE;
  uint32_t *link = children_of(seq, parent, right);
  while (*link != ORACLE_NONE && child_before(o, seq, &seq->items[*link], it)) link = &seq->items[*link].next;
  it->next = *link;
  *link = number;
  return number;
}

/* A new item hangs on the right of the item before it, unless the version has something there already: then on the left
 * of the item behind it, which is the first of that.  Anchors that keep to the one or the other of these are not in the
 * way. */
static uint32_t hang(struct oracle *o, struct oracle_seq *seq, uint32_t left, uint32_t value) {
  uint32_t right = oracle_next(seq, left);
  while (right != ORACLE_NONE && !inserted_in_version(o, &seq->items[right])) right = oracle_next(seq, right);
  while (seq->items[left].side == ORACLE_CLOSING && !is_right_of(seq, right, left)) left = seq->items[left].parent;
  while (right != ORACLE_NONE && seq->items[right].side == ORACLE_OPENING) {
    right = seq->items[right].parent;
    if (right == ORACLE_END) right = ORACLE_NONE;
  }
  bool taken = is_right_of(seq, right, left);
  struct oracle_item item = {.value = value, .after = right};
  return hang_on(o, seq, taken ? right : left, !taken, item);
}

static void unhang_last(struct oracle_seq *seq) {
  uint32_t item = (uint32_t)--seq->count;
  struct oracle_item *it = &seq->items[item];
  uint32_t *link = children_of(seq, it->parent, it->is_right);
  while (*link != item) link = &seq->items[*link].next;
  *link = it->next;
  drop_item(it);
  if (seq->is_list) seq->elements[it->value].slot_count--;
}

/* ---- What shows -------------------------------------------------------------------------------------------------- */

/* Where an element is: the slot that wins among those put there in the version, or (now) by changes that are in
 * force. */
static uint32_t place_of(const struct oracle *o, const struct oracle_seq *seq, const struct oracle_element *e,
                         bool now) {
  uint32_t best = ORACLE_NONE;
  for (size_t i = 0; i < e->slot_count; i++) {
    const struct oracle_item *slot = &seq->items[e->slots[i]];
    if (now ? o->changes[slot->change].is_void : !o->in_version[slot->change]) continue;
    if (best == ORACLE_NONE ||
        oracle_wins(o, slot->change, slot->index, seq->items[best].change, seq->items[best].index))
      best = e->slots[i];
  }
  return best;
}

bool oracle_shows(const struct oracle *o, const struct oracle_seq *seq, uint32_t item) {
  const struct oracle_item *it = &seq->items[item];
  if (!item || o->changes[it->change].is_void) return false;
  if (!seq->is_list) return !oracle_any_in_force(o, &it->deletes);
  const struct oracle_element *e = &seq->elements[it->value];
  /* Who moves an element whose insertion is void does not bring it back. */
  if (o->changes[seq->items[e->slots[0]].change].is_void) return false;
  return !oracle_any_in_force(o, &e->deletes) && place_of(o, seq, e, true) == item;
}

static bool shows_in_version(const struct oracle *o, const struct oracle_seq *seq, uint32_t item) {
  const struct oracle_item *it = &seq->items[item];
  if (!item || !o->in_version[it->change]) return false;
  if (!seq->is_list) return !oracle_any_in_version(o, &it->deletes);
  const struct oracle_element *e = &seq->elements[it->value];
  return !oracle_any_in_version(o, &e->deletes) && place_of(o, seq, e, false) == item;
}

uint32_t oracle_at(const struct oracle *o, const struct oracle_seq *seq, size_t index) {
  for (uint32_t item = 0; item != ORACLE_NONE; item = oracle_next(seq, item))
    if (shows_in_version(o, seq, item) && index-- == 0) return item;
  return ORACLE_NONE;
}

/* ---- Operations -------------------------------------------------------------------------------------------------- */

uint32_t oracle_left_of(const struct oracle *o, const struct oracle_seq *seq, size_t index) {
  return index ? oracle_at(o, seq, index - 1) : 0;
}

uint32_t oracle_insert_after(struct oracle *o, struct oracle_seq *seq, uint32_t left, uint32_t value) {
  uint32_t item = hang(o, seq, left, value);
  if (!seq->is_list) return item;
  struct oracle_element *e = &seq->elements[value];
  ORACLE_ROOM(e->slots, e->slot_cap, e->slot_count);
  e->slots[e->slot_count++] = item;
  return item;
}

uint32_t oracle_insert_anchor(struct oracle *o, struct oracle_seq *seq, size_t index, uint8_t kind) {
  uint32_t left = oracle_left_of(o, seq, index), at = oracle_at(o, seq, index);
  if (left == ORACLE_NONE) return ORACLE_NONE;
  struct oracle_item item = {.kind = kind, .side = op_is_opening(kind) ? ORACLE_OPENING : ORACLE_CLOSING};
  if (item.side == ORACLE_CLOSING) return hang_on(o, seq, left, true, item);
  return hang_on(o, seq, at == ORACLE_NONE ? ORACLE_END : at, false, item);
}

int oracle_delete(struct oracle *o, struct oracle_seq *seq, size_t index, size_t count) {
  uint32_t item = oracle_at(o, seq, index);
  for (; item != ORACLE_NONE && count; item = oracle_next(seq, item)) {
    if (!shows_in_version(o, seq, item)) continue;
    oracle_set_add(seq->is_list ? &seq->elements[seq->items[item].value].deletes : &seq->items[item].deletes, o->open);
    count--;
  }
  return count ? DUNLIN_ERANGE : 0;
}

void oracle_seq_take_back(struct oracle_seq *seq, uint32_t change) {
  while (seq->count > 1 && seq->items[seq->count - 1].change == change) unhang_last(seq);
  while (seq->element_count && !seq->elements[seq->element_count - 1].slot_count) drop_element(seq);
  for (size_t i = 0; i < seq->count; i++) oracle_set_drop(&seq->items[i].deletes, change);
  for (size_t i = 0; i < seq->element_count; i++) {
    oracle_set_drop(&seq->elements[i].deletes, change);
    oracle_register_take_back(&seq->elements[i].reg, change);
  }
}
