#include "crdt/sequence.h"

#include <string.h>

void seq_init(struct seq *seq, const struct dunlin_env *env) {
  *seq = (struct seq){.env = env};
}

void seq_free(struct seq *seq) {
  for (size_t i = 0; i < seq->element_count; i++) {
    reg_free(&seq->elements[i].reg, seq->env);
    ENV_FREE_ARRAY(seq->env, seq->elements[i].slots, seq->elements[i].slot_cap);
  }
  for (size_t i = 0; i < seq->chunk_count; i++) env_free(seq->env, seq->chunks[i], sizeof *seq->chunks[i]);
  ENV_FREE_ARRAY(seq->env, seq->elements, seq->element_cap);
  ENV_FREE_ARRAY(seq->env, seq->items, seq->cap);
  ENV_FREE_ARRAY(seq->env, seq->chunks, seq->chunk_cap);
  ENV_FREE_ARRAY(seq->env, seq->order, seq->order_cap);
  ENV_FREE_ARRAY(seq->env, seq->effects, seq->effect_cap);
  ENV_FREE_ARRAY(seq->env, seq->version, seq->version_cap);
}

/* ---- Visibility --------------------------------------------------------------------------------------------- */

static bool shows(const struct seq *seq, uint32_t item) {
  const struct seq_element *e = &seq->elements[seq->items[item].element];
  return !e->deletes && e->place == item;
}

static bool version_shows(const struct seq *seq, uint32_t item) {
  const struct seq_element *e = &seq->elements[seq->items[item].element];
  return !e->version_deletes && e->version_place == item;
}

/* Adds `by` (1 or -1) to the counts when the item is visible.  Called before a change of visibility with -1 and
 * after it with 1. */
static void count_shown(struct seq *seq, uint32_t item, int by) {
  if (item == SEQ_NONE || !shows(seq, item)) return;
  seq->order[seq->chunks[seq->items[item].chunk]->rank].shown += (uint32_t)by;
  seq->shown += (size_t)by;
}

static void count_version(struct seq *seq, uint32_t item, int by) {
  if (item == SEQ_NONE || !version_shows(seq, item)) return;
  seq->order[seq->chunks[seq->items[item].chunk]->rank].version += (uint32_t)by;
  seq->version_shown += (size_t)by;
}

/* ---- Places ------------------------------------------------------------------------------------------------- */

struct place {
  uint32_t rank, at; /* chunk and index in it; `at` may be one past the last */
};

static struct place place_of(const struct seq *seq, uint32_t item) {
  const struct seq_chunk *chunk = seq->chunks[seq->items[item].chunk];
  uint32_t at = 0;
  while (chunk->items[at] != item) at++;
  return (struct place){chunk->rank, at};
}

static const struct seq_chunk *chunk_at(const struct seq *seq, size_t rank) {
  return seq->chunks[seq->order[rank].chunk];
}

/* Items from the first to the last, by place. SEQ_NONE past the end. */
static uint32_t item_at(const struct seq *seq, struct place *p) {
  while (p->rank < seq->chunk_count && p->at >= chunk_at(seq, p->rank)->count) p->rank++, p->at = 0;
  return p->rank < seq->chunk_count ? chunk_at(seq, p->rank)->items[p->at] : SEQ_NONE;
}

/* A number that grows along the sequence; the start is below, the end above all items. */
static uint64_t position(const struct seq *seq, uint32_t item, uint64_t none) {
  if (item == SEQ_NONE) return none;
  struct place p = place_of(seq, item);
  return ((uint64_t)p.rank * SEQ_CHUNK + p.at) + 1;
}

uint32_t seq_version_at(const struct seq *seq, size_t index) {
  if (index >= seq->version_shown) return SEQ_NONE;
  size_t rank = 0;
  while (index >= seq->order[rank].version) index -= seq->order[rank++].version;
  const struct seq_chunk *chunk = chunk_at(seq, rank);
  for (uint32_t i = 0;; i++)
    if (version_shows(seq, chunk->items[i]) && index-- == 0) return chunk->items[i];
}

uint32_t seq_shown_at(const struct seq *seq, size_t index) {
  if (index >= seq->shown) return SEQ_NONE;
  size_t rank = 0;
  while (index >= seq->order[rank].shown) index -= seq->order[rank++].shown;
  const struct seq_chunk *chunk = chunk_at(seq, rank);
  for (uint32_t i = 0;; i++)
    if (shows(seq, chunk->items[i]) && index-- == 0) return chunk->items[i];
}

size_t seq_version_before(const struct seq *seq, uint32_t item, bool *visible) {
  struct place p = place_of(seq, item);
  size_t before = 0;
  for (uint32_t rank = 0; rank < p.rank; rank++) before += seq->order[rank].version;
  for (uint32_t at = 0; at < p.at; at++) before += version_shows(seq, chunk_at(seq, p.rank)->items[at]);
  *visible = version_shows(seq, item);
  return before;
}

uint32_t seq_read(const struct seq *seq, size_t *rank, uint32_t *place) {
  for (;; ++*place) {
    while (*rank < seq->chunk_count && (*place >= chunk_at(seq, *rank)->count || !seq->order[*rank].shown))
      ++*rank, *place = 0;
    if (*rank == seq->chunk_count) return SEQ_NONE;
    uint32_t item = chunk_at(seq, *rank)->items[*place];
    if (!shows(seq, item)) continue;
    ++*place;
    return item;
  }
}

/* ---- Chunks ------------------------------------------------------------------------------------------------- */

static void recount(struct seq *seq, uint32_t rank) {
  const struct seq_chunk *chunk = chunk_at(seq, rank);
  struct seq_counts *counts = &seq->order[rank];
  counts->shown = counts->version = 0;
  for (uint32_t i = 0; i < chunk->count; i++) {
    counts->shown += shows(seq, chunk->items[i]);
    counts->version += version_shows(seq, chunk->items[i]);
  }
}

/* A new empty chunk at `rank`. */
static int new_chunk(struct seq *seq, size_t rank) {
  if (ENV_GROW(seq->env, seq->chunks, seq->chunk_cap, seq->chunk_count + 1) ||
      ENV_GROW(seq->env, seq->order, seq->order_cap, seq->chunk_count + 1))
    return DUNLIN_ENOMEM;
  struct seq_chunk *chunk = env_calloc(seq->env, 1, sizeof *chunk);
  if (!chunk) return DUNLIN_ENOMEM;
  memmove(&seq->order[rank + 1], &seq->order[rank], (seq->chunk_count - rank) * sizeof *seq->order);
  seq->order[rank] = (struct seq_counts){.chunk = (uint32_t)seq->chunk_count};
  seq->chunks[seq->chunk_count++] = chunk;
  for (size_t i = rank; i < seq->chunk_count; i++) seq->chunks[seq->order[i].chunk]->rank = (uint32_t)i;
  return 0;
}

/* Makes room for one item at `p`, splitting a full chunk; `p` stays at the same place in the sequence. */
static int make_room(struct seq *seq, struct place *p) {
  if (!seq->chunk_count) {
    int error = new_chunk(seq, 0);
    if (error) return error;
    *p = (struct place){0, 0};
  }
  if (p->rank == seq->chunk_count) *p = (struct place){p->rank - 1, chunk_at(seq, p->rank - 1)->count};
  if (chunk_at(seq, p->rank)->count < SEQ_CHUNK) return 0;
  int error = new_chunk(seq, p->rank + 1);
  if (error) return error;
  struct seq_chunk *from = seq->chunks[seq->order[p->rank].chunk];
  uint32_t to_index = seq->order[p->rank + 1].chunk;
  struct seq_chunk *to = seq->chunks[to_index];
  /* Appending at the end (typing) leaves the full chunk full; anything else halves it. */
  uint32_t keep = p->at == SEQ_CHUNK ? SEQ_CHUNK : SEQ_CHUNK / 2;
  to->count = SEQ_CHUNK - keep;
  memcpy(to->items, from->items + keep, to->count * sizeof *to->items);
  from->count = keep;
  for (uint32_t i = 0; i < to->count; i++) seq->items[to->items[i]].chunk = to_index;
  recount(seq, p->rank);
  recount(seq, p->rank + 1);
  if (p->at >= keep) *p = (struct place){p->rank + 1, p->at - keep};
  return 0;
}

static void put_item(struct seq *seq, struct place p, uint32_t item) {
  uint32_t index = seq->order[p.rank].chunk;
  struct seq_chunk *chunk = seq->chunks[index];
  memmove(&chunk->items[p.at + 1], &chunk->items[p.at], (chunk->count - p.at) * sizeof *chunk->items);
  chunk->items[p.at] = item;
  chunk->count++;
  seq->items[item].chunk = index;
}

static void take_item(struct seq *seq, uint32_t item) {
  struct place p = place_of(seq, item);
  struct seq_chunk *chunk = seq->chunks[seq->items[item].chunk];
  chunk->count--;
  memmove(&chunk->items[p.at], &chunk->items[p.at + 1], (chunk->count - p.at) * sizeof *chunk->items);
}

/* ---- Elements of lists -------------------------------------------------------------------------------------- */

uint32_t seq_new_element(struct seq *seq) {
  if (ENV_GROW(seq->env, seq->elements, seq->element_cap, seq->element_count + 1)) return SEQ_NONE;
  seq->elements[seq->element_count] = (struct seq_element){.place = SEQ_NONE, .version_place = SEQ_NONE};
  return (uint32_t)seq->element_count++;
}

void seq_drop_element(struct seq *seq) {
  struct seq_element *e = &seq->elements[--seq->element_count];
  reg_free(&e->reg, seq->env);
  ENV_FREE_ARRAY(seq->env, e->slots, e->slot_cap);
}

static uint32_t best_slot(const struct seq *seq, const struct graph *graph, const struct seq_element *e, bool version) {
  uint32_t best = SEQ_NONE;
  for (size_t i = 0; i < e->slot_count; i++) {
    const struct seq_item *slot = &seq->items[e->slots[i]];
    if (version ? !slot->in_version : slot->is_void) continue;
    if (best == SEQ_NONE || graph_wins(graph, slot->lv, seq->items[best].lv)) best = e->slots[i];
  }
  return best;
}

/* Looks again where the element shows. */
static void replace_element(struct seq *seq, const struct graph *graph, uint32_t element) {
  struct seq_element *e = &seq->elements[element];
  count_shown(seq, e->place, -1);
  e->place = best_slot(seq, graph, e, false);
  count_shown(seq, e->place, 1);
  count_version(seq, e->version_place, -1);
  e->version_place = best_slot(seq, graph, e, true);
  count_version(seq, e->version_place, 1);
}

/* ---- Insertion ---------------------------------------------------------------------------------------------- */

/* Where a new item with these origins goes among those between them that its author had not seen.  `p` is the place right
 * behind the left origin.
 *
 * FugueMax puts the children on the right of one item in the reverse order of their right origins, ties by operation; an
 * item that another is a left child of comes after it.  Read along the sequence: items whose left origin lies before ours
 * end the search; those with the same left origin are compared; others are descendants and follow what was decided. */
static struct place integrate(const struct seq *seq, const struct graph *graph, struct place p, uint32_t lv,
                              uint32_t left, uint32_t right) {
  struct place best = p;
  bool looking_further = false; /* passed an item that goes after ours, unless one comes that goes before */
  uint64_t our_left = position(seq, left, 0), our_right = position(seq, right, UINT64_MAX);
  for (;; p.at++) {
    uint32_t other = item_at(seq, &p);
    if (!looking_further) best = p;
    if (other == SEQ_NONE || other == right || seq->items[other].in_version) return best;
    const struct seq_item *it = &seq->items[other];
    uint64_t its_left = position(seq, it->left, 0);
    if (its_left < our_left) return best;
    if (its_left > our_left) continue;
    uint64_t its_right = position(seq, it->right, UINT64_MAX);
    if (its_right == our_right) {
      if (graph_before(graph, lv, it->lv)) return best;
      looking_further = false;
    } else {
      looking_further = its_right < our_right;
    }
  }
}

/* The first item at or after `p` whose insertion is in the walking version, visible or not. */
static uint32_t version_item_from(const struct seq *seq, struct place p) {
  for (;; p.at++) {
    uint32_t item = item_at(seq, &p);
    if (item == SEQ_NONE || seq->items[item].in_version) return item;
  }
}

static int reserve(struct seq *seq, uint32_t element) {
  struct seq_element *e = &seq->elements[element];
  if (seq->count + 1 >= SEQ_NONE) return DUNLIN_ELIMIT;
  if (ENV_GROW(seq->env, seq->items, seq->cap, seq->count + 1) ||
      ENV_GROW(seq->env, seq->effects, seq->effect_cap, seq->effect_count + 1))
    return DUNLIN_ENOMEM;
  return ENV_GROW(seq->env, e->slots, e->slot_cap, e->slot_count + 1);
}

int seq_insert(struct seq *seq, const struct graph *graph, uint32_t lv, size_t at, uint32_t element, bool is_void) {
  if (at > seq->version_shown) return DUNLIN_ERANGE;
  int error = reserve(seq, element);
  if (error) return error;
  uint32_t left = at ? seq_version_at(seq, at - 1) : SEQ_NONE;
  struct place p = {0, 0};
  if (left != SEQ_NONE) p = place_of(seq, left), p.at++;
  uint32_t right = version_item_from(seq, p);
  p = integrate(seq, graph, p, lv, left, right);
  error = make_room(seq, &p);
  if (error) return error;
  uint32_t item = (uint32_t)seq->count++;
  seq->items[item] = (struct seq_item){
      .lv = lv, .left = left, .right = right, .element = element, .in_version = true, .is_void = is_void};
  put_item(seq, p, item);
  struct seq_element *e = &seq->elements[element];
  e->deletes += is_void && !e->slot_count; /* born deleted, whatever moves it later */
  e->slots[e->slot_count++] = item;
  replace_element(seq, graph, element);
  seq->effects[seq->effect_count++] = (struct seq_effect){lv, item, false, is_void};
  return 0;
}

/* Takes the newest slot away. */
static void uninsert(struct seq *seq, const struct graph *graph) {
  uint32_t item = (uint32_t)seq->count - 1, element = seq->items[item].element;
  seq->elements[element].slot_count--;  /* the item was the element's latest slot */
  replace_element(seq, graph, element); /* not visible any more before it goes */
  take_item(seq, item);
  seq->count--;
  if (!seq->elements[element].slot_count) seq_drop_element(seq);
}

/* ---- Deletion and the walking version ----------------------------------------------------------------------- */

/* Changes how often the element in `item` is deleted, now and in the walking version. */
static void add_deletes(struct seq *seq, uint32_t item, int now, int version) {
  struct seq_element *e = &seq->elements[seq->items[item].element];
  count_shown(seq, e->place, -1);
  count_version(seq, e->version_place, -1);
  e->deletes += (uint32_t)now;
  e->version_deletes += (uint32_t)version;
  count_shown(seq, e->place, 1);
  count_version(seq, e->version_place, 1);
}

int seq_delete(struct seq *seq, uint32_t lv, uint32_t item, bool is_void) {
  if (ENV_GROW(seq->env, seq->effects, seq->effect_cap, seq->effect_count + 1)) return DUNLIN_ENOMEM;
  seq->effects[seq->effect_count++] = (struct seq_effect){lv, item, true, is_void};
  add_deletes(seq, item, !is_void, 1);
  return 0;
}

void seq_revert(struct seq *seq, const struct graph *graph, size_t effects) {
  while (seq->effect_count > effects) {
    const struct seq_effect *e = &seq->effects[--seq->effect_count];
    if (e->is_delete) add_deletes(seq, e->item, -!e->is_void, -1);
    else uninsert(seq, graph);
  }
}

/* The walking version loses or gains one operation. */
static void move_effect(struct seq *seq, const struct graph *graph, const struct seq_effect *e, bool enter) {
  if (e->is_delete) {
    add_deletes(seq, e->item, 0, enter ? 1 : -1);
    return;
  }
  seq->items[e->item].in_version = enter;
  replace_element(seq, graph, seq->items[e->item].element);
}

/* The first effect at or behind `lv`. */
static size_t effect_from(const struct seq *seq, uint32_t lv) {
  size_t low = 0, high = seq->effect_count;
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (seq->effects[mid].lv < lv) low = mid + 1;
    else high = mid;
  }
  return low;
}

int seq_go(struct seq *seq, const struct graph *graph, const uint32_t *heads, size_t count) {
  struct lv_ranges left = {0}, entered = {0};
  int error = ENV_GROW(seq->env, seq->version, seq->version_cap, count + 1);
  if (error) return error;
  if (count == seq->version_heads && (!count || !memcmp(heads, seq->version, count * sizeof *heads))) return 0;
  error = graph_difference(graph, seq->version, seq->version_heads, heads, count, &left, &entered);
  for (size_t i = 0; !error && i < left.count; i++)
    for (size_t e = effect_from(seq, left.list[i].to); e-- > 0 && seq->effects[e].lv >= left.list[i].from;)
      move_effect(seq, graph, &seq->effects[e], false);
  for (size_t i = entered.count; !error && i-- > 0;)
    for (size_t e = effect_from(seq, entered.list[i].from);
         e < seq->effect_count && seq->effects[e].lv < entered.list[i].to; e++)
      move_effect(seq, graph, &seq->effects[e], true);
  if (!error && count) memcpy(seq->version, heads, count * sizeof *heads);
  if (!error) seq->version_heads = count;
  lv_ranges_free(&left, seq->env);
  lv_ranges_free(&entered, seq->env);
  return error;
}

void seq_settle(struct seq *seq, uint32_t lv) {
  seq->version[0] = lv; /* seq_go() has made room */
  seq->version_heads = 1;
}
