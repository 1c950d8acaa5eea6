/* Where the tracker finds what it knows of an operation, by the operation's number.
 *
 * The operations are cut into stretches of equal length.  What a pasted text or the deletion of a long one notes of its
 * operations is even: all items in one leaf, or one item after the other.  Such a stretch is one entry, so that a
 * change of a few bytes that deletes a long text costs few bytes here.  All others have an entry for each operation. */
#include "crdt/tracker_private.h"

enum { UNEVEN = TRACKER_UNEVEN, UNUSED, STRETCH = TRACKER_STRETCH };

int tracker_index_reserve(struct tracker *t, uint32_t ord_end) {
  /* A call splits two leaves at most; each span that goes to another leaf may have stretches in part at both its
   * ends. */
  enum { most = 2 * (TRACKER_SPANS / 2) * 2 };
  size_t need = ((size_t)(ord_end - t->first_ord) + STRETCH - 1) / STRETCH;
  t->entry_limit = 0;
  if (need > t->index_count) {
    if (ENV_GROW(t->env, t->index, t->index_cap, need)) return DUNLIN_ENOMEM;
    t->even_count += need - t->index_count;
    while (t->index_count < need) t->index[t->index_count++] = (struct tracker_stretch){0, UNUSED};
  }
  bool all = t->even_count <= most + 2; /* two for the ends of what is new */
  size_t entries = (all ? t->even_count : most + 2) * STRETCH;
  if (ENV_GROW(t->env, t->entries, t->entry_cap, t->entry_count + entries)) return DUNLIN_ENOMEM;
  t->entry_limit = all ? SIZE_MAX : t->entry_cap - entries;
  return 0;
}

/* Gives a stretch entries of its own. */
static void make_uneven(struct tracker *t, struct tracker_stretch *s) {
  uint32_t *entries = &t->entries[t->entry_count];
  for (uint32_t i = 0; i < STRETCH && s->step != UNUSED; i++) entries[i] = s->value + i * s->step;
  *s = (struct tracker_stretch){(uint32_t)t->entry_count, UNEVEN};
  t->entry_count += STRETCH;
  t->even_count--;
}

void tracker_index_set(struct tracker *t, uint32_t ord, uint32_t len, uint32_t value, uint32_t step) {
  uint32_t at = ord - t->first_ord;
  while (len) {
    struct tracker_stretch *s = &t->index[at / STRETCH];
    uint32_t skipped = at % STRETCH, count = STRETCH - skipped < len ? STRETCH - skipped : len;
    if (s->step != UNEVEN && count == STRETCH) {
      *s = (struct tracker_stretch){value, step};
    } else if (s->step != step || s->value + skipped * step != value) {
      if (s->step != UNEVEN) make_uneven(t, s);
      uint32_t *entries = &t->entries[s->value + skipped];
      for (uint32_t i = 0; i < count; i++) entries[i] = value + i * step;
    }
    at += count;
    len -= count;
    value += count * step;
  }
}

uint32_t tracker_index_run(const struct tracker *t, uint32_t ord, uint32_t len, uint32_t step) {
  uint32_t at = ord - t->first_ord, value = tracker_index_at(t, ord), count = 1;
  while (count < len) {
    const struct tracker_stretch *s = &t->index[(at + count) / STRETCH];
    uint32_t skipped = (at + count) % STRETCH, left = STRETCH - skipped < len - count ? STRETCH - skipped : len - count;
    if (s->step == UNEVEN) {
      const uint32_t *entries = &t->entries[s->value + skipped];
      for (; left && *entries == value + count * step; left--, count++) entries++;
      if (left) return count;
    } else {
      if (s->value + skipped * s->step != value + count * step) return count;
      count += s->step == step ? left : 1;
    }
  }
  return count;
}
