/* What tracker.c, tracker_index.c, tracker_order.c and tracker_move.c share. */
#ifndef CRDT_TRACKER_PRIVATE_H
#define CRDT_TRACKER_PRIVATE_H

#include "crdt/tracker.h"

struct place {
  uint32_t leaf, slot, offset;
  uint32_t effect; /* items visible in effect before it */
};

/* Of a span at the prepare version: 0 not inserted, 1 inserted, n + 1 deleted n times. */
static inline uint32_t tracker_prepare_state(const struct tracker_span *span) {
  return span->state & ~(TRACKER_GONE | TRACKER_MOVED | TRACKER_OPENING);
}

/* The origins of the item at an offset in a span. */
static inline uint32_t tracker_left_of(const struct tracker_span *span, uint32_t offset) {
  return offset ? span->id + offset - 1 : span->left;
}
static inline bool tracker_is_opening(const struct tracker_span *span) {
  return span->state & TRACKER_OPENING;
}

/* ---- tracker.c ---------------------------------------------------------------------------------------------- */

struct tracker_span *tracker_span_at(const struct tracker *tracker, struct place place);
/* The item visible at `index` of the prepare version; that of a number (`effect` is not set). */
struct place tracker_find_now(const struct tracker *tracker, uint32_t index);
struct place tracker_find_item(const struct tracker *tracker, uint32_t id);
/* How many items before a place are visible. */
void tracker_count_before(const struct tracker *tracker, struct place place, uint32_t *now, uint32_t *effect);
/* Makes the `len` items from the place on a span of their own. */
void tracker_isolate(struct tracker *tracker, struct place *place, uint32_t len);
void tracker_set_state(struct tracker *tracker, const struct place *place, uint32_t state);
/* Inserts items as tracker_insert() does, with that state. */
uint32_t tracker_put(struct tracker *tracker, uint32_t ord, uint32_t at, uint32_t len, uint32_t state);

/* ---- tracker_index.c ---------------------------------------------------------------------------------------- */

enum { TRACKER_UNEVEN = 2 }; /* as `step`: the stretch has entries */

static inline uint32_t tracker_index_at(const struct tracker *tracker, uint32_t ord) {
  uint32_t at = ord - tracker->first_ord;
  const struct tracker_stretch *s = &tracker->index[at / TRACKER_STRETCH];
  at %= TRACKER_STRETCH;
  return s->step == TRACKER_UNEVEN ? tracker->entries[s->value + at] : s->value + at * s->step;
}
/* Room for what one call of the tracker notes about operations below `ord_end`.  DUNLIN_ENOMEM. */
int tracker_index_reserve(struct tracker *tracker, uint32_t ord_end);
/* Operation ord + i has `value` + i * `step` (0, 1 or -1). */
void tracker_index_set(struct tracker *tracker, uint32_t ord, uint32_t len, uint32_t value, uint32_t step);
/* How many operations from `ord` on, at most `len`, have the first one's value, and `step` more for each. */
uint32_t tracker_index_run(const struct tracker *tracker, uint32_t ord, uint32_t len, uint32_t step);

/* ---- tracker_order.c ---------------------------------------------------------------------------------------- */

/* Where new items go that have the origins of `span`, among those from `from` (behind item `behind`) to `to` (at item
 * `next`, the end), which are not inserted at the prepare version and are more than none.  `behind` and `next` are the
 * origins, or anchors that keep to these. */
struct place tracker_order(const struct tracker *tracker, struct place from, struct place to, uint32_t behind,
                           uint32_t next, const struct tracker_span *span);

/* ---- tracker_chain.c ---------------------------------------------------------------------------------------- */

static inline bool tracker_is_closing(const struct tracker_span *span) {
  return span->right == TRACKER_BEHIND;
}
/* Notes what an anchor hangs on: its left origin, or (`opening`) its right one. */
void tracker_chain_add(struct tracker *tracker, const struct tracker_span *anchor, bool opening);
/* What the chain of an anchor hangs on at last. */
uint32_t tracker_chain_root(const struct tracker *tracker, uint32_t anchor, bool opening);
/* Whether `item` is the anchor or one that it hangs on, of its own sort. */
bool tracker_chain_has(const struct tracker *tracker, uint32_t anchor, uint32_t item, bool opening);
/* The last anchor on the way from this one, which is not inserted at the prepare version, that is not either. */
uint32_t tracker_chain_unseen(const struct tracker *tracker, uint32_t anchor, bool opening);
void tracker_chain_free(struct tracker *tracker);
void tracker_chain_reset(struct tracker *tracker);

/* ---- tracker_move.c, all for an item whose span is MOVED ---------------------------------------------------- */

void tracker_moves_free(struct tracker *tracker);
/* Its element is deleted at the prepare version; the index where it was visible in effect, TRACKER_NONE when it was not
 * or when `idle`. */
uint32_t tracker_moves_delete(struct tracker *tracker, uint32_t id, bool idle);
/* The prepare version loses (`by` -1) or gains (1) a deletion of its element; the slot itself. */
void tracker_moves_step_delete(struct tracker *tracker, uint32_t id, int by);
void tracker_moves_step_slot(struct tracker *tracker, uint32_t id, int by);
/* The index of its element at the prepare version; TRACKER_NONE. */
uint32_t tracker_moves_now(const struct tracker *tracker, uint32_t id);
/* The slot in which its element is in effect, `*gone`: or would be; how often that is deleted at the prepare version;
 * its slots from the one that wins over all others to the first (TRACKER_NONE behind that), and whether one is of a
 * void move. */
uint32_t tracker_slot_effect(const struct tracker *tracker, uint32_t id, bool *gone);
uint32_t tracker_slot_deletes(const struct tracker *tracker, uint32_t id);
uint32_t tracker_slot_strongest(const struct tracker *tracker, uint32_t id);
uint32_t tracker_slot_weaker(const struct tracker *tracker, uint32_t id);
bool tracker_slot_is_idle(const struct tracker *tracker, uint32_t id);
int tracker_moves_check(const struct tracker *tracker);

#endif
