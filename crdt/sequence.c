#include "crdt/sequence.h"

#include <string.h>

void seq_init(struct seq *seq, const struct dunlin_env *env, bool is_list) {
  *seq = (struct seq){.env = env, .is_list = is_list};
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
}

/* ---- Visibility --------------------------------------------------------------------------------------------- */

static bool shows(const struct seq *seq, uint32_t item) {
  const struct seq_item *it = &seq->items[item];
  if (!seq->is_list) return !it->deletes;
  const struct seq_element *e = &seq->elements[it->value];
  return !e->deletes && e->place == item;
}

static bool version_shows(const struct seq *seq, uint32_t item) {
  const struct seq_item *it = &seq->items[item];
  if (!seq->is_list) return it->in_version && !it->version_deletes;
  const struct seq_element *e = &seq->elements[it->value];
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

uint32_t seq_version_next(const struct seq *seq, uint32_t item) {
  struct place p = place_of(seq, item);
  p.at++;
  for (;; p.at++) {
    while (p.rank < seq->chunk_count && (p.at >= chunk_at(seq, p.rank)->count || !seq->order[p.rank].version))
      p.rank++, p.at = 0;
    if (p.rank == seq->chunk_count) return SEQ_NONE;
    uint32_t next = chunk_at(seq, p.rank)->items[p.at];
    if (version_shows(seq, next)) return next;
  }
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
    if (version && !slot->in_version) continue;
    if (best == SEQ_NONE ||
        graph_wins(graph, slot->change, slot->index, seq->items[best].change, seq->items[best].index))
      best = e->slots[i];
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
static struct place integrate(const struct seq *seq, const struct graph *graph, struct place p, uint32_t change,
                              uint32_t index, uint32_t left, uint32_t right) {
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
      if (graph_before(graph, change, index, it->change, it->index)) return best;
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

static int reserve(struct seq *seq, size_t count, const uint32_t *values) {
  if (seq->count + count >= SEQ_NONE) return DUNLIN_ELIMIT;
  if (ENV_GROW(seq->env, seq->items, seq->cap, seq->count + count)) return DUNLIN_ENOMEM;
  if (!seq->is_list) return 0;
  struct seq_element *e = &seq->elements[values[0]];
  return ENV_GROW(seq->env, e->slots, e->slot_cap, e->slot_count + 1);
}

int seq_insert(struct seq *seq, const struct graph *graph, uint32_t change, uint32_t index, size_t at,
               const uint32_t *values, size_t count, uint32_t *first) {
  if (at > seq->version_shown) return DUNLIN_ERANGE;
  int error = reserve(seq, count, values);
  if (error) return error;
  uint32_t left = at ? seq_version_at(seq, at - 1) : SEQ_NONE;
  struct place p = {0, 0};
  if (left != SEQ_NONE) p = place_of(seq, left), p.at++;
  uint32_t right = version_item_from(seq, p);
  p = integrate(seq, graph, p, change, index, left, right);
  *first = (uint32_t)seq->count;
  for (size_t i = 0; i < count; i++) {
    error = make_room(seq, &p);
    if (error) {
      seq_uninsert(seq, graph, *first, (uint32_t)i);
      return error;
    }
    uint32_t item = (uint32_t)seq->count++;
    seq->items[item] = (struct seq_item){.change = change,
                                         .index = index + (uint32_t)i,
                                         .left = left,
                                         .right = right,
                                         .value = values[i],
                                         .in_version = true};
    put_item(seq, p, item);
    p.at++;
    left = item;
    if (seq->is_list) {
      struct seq_element *e = &seq->elements[values[i]];
      e->slots[e->slot_count++] = item;
      replace_element(seq, graph, values[i]);
    } else {
      count_shown(seq, item, 1);
      count_version(seq, item, 1);
    }
  }
  return 0;
}

void seq_uninsert(struct seq *seq, const struct graph *graph, uint32_t first, uint32_t count) {
  for (uint32_t item = first + count; item-- > first;) {
    if (seq->is_list) {
      uint32_t element = seq->items[item].value;
      seq->elements[element].slot_count--; /* the item was the element's latest slot */
      /* Not visible any more before it goes. */
      replace_element(seq, graph, element);
    } else {
      count_shown(seq, item, -1);
      count_version(seq, item, -1);
    }
    take_item(seq, item);
    seq->count--;
    if (seq->is_list && !seq->elements[seq->items[item].value].slot_count) seq_drop_element(seq);
  }
}

/* ---- Deletion and the walking version ----------------------------------------------------------------------- */

/* Changes how often `item` (list: its element) is deleted, now and in the walking version. */
static void add_deletes(struct seq *seq, uint32_t item, int now, int version) {
  struct seq_item *it = &seq->items[item];
  struct seq_element *e = seq->is_list ? &seq->elements[it->value] : NULL;
  uint32_t shown = e ? e->place : item, version_shown = e ? e->version_place : item;
  count_shown(seq, shown, -1);
  count_version(seq, version_shown, -1);
  *(e ? &e->deletes : &it->deletes) += (uint32_t)now;
  *(e ? &e->version_deletes : &it->version_deletes) += (uint32_t)version;
  count_shown(seq, shown, 1);
  count_version(seq, version_shown, 1);
}

void seq_delete(struct seq *seq, uint32_t item) {
  add_deletes(seq, item, 1, 1);
}
void seq_undelete(struct seq *seq, uint32_t item) {
  add_deletes(seq, item, -1, -1);
}
void seq_leave_delete(struct seq *seq, uint32_t item) {
  add_deletes(seq, item, 0, -1);
}
void seq_enter_delete(struct seq *seq, uint32_t item) {
  add_deletes(seq, item, 0, 1);
}

static void set_in_version(struct seq *seq, const struct graph *graph, uint32_t first, uint32_t count,
                           bool in_version) {
  for (uint32_t item = first; item < first + count; item++) {
    if (!seq->is_list) count_version(seq, item, -1);
    seq->items[item].in_version = in_version;
    if (!seq->is_list) count_version(seq, item, 1);
    else replace_element(seq, graph, seq->items[item].value);
  }
}

void seq_leave_insert(struct seq *seq, const struct graph *graph, uint32_t first, uint32_t count) {
  set_in_version(seq, graph, first, count, false);
}

void seq_enter_insert(struct seq *seq, const struct graph *graph, uint32_t first, uint32_t count) {
  set_in_version(seq, graph, first, count, true);
}
