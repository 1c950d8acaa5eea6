/* Anchors that hang on anchors.
 *
 * A mark's author puts its anchors directly at characters, so that an anchor hangs on another one of its sort only when
 * somebody wants it to.  Then chains of them may be as long as their author likes, and all that is inserted there has
 * to pass over them.  Each anchor of such a chain knows where it ends, how far that is, and one further down (a
 * skew-binary list: Myers, "An applicative random-access stack", 1983), so that nothing is looked for step by step. */
#include "crdt/tracker_private.h"

static size_t slot_of(const struct tracker *t, uint32_t ord) {
  uint32_t mixed = ord * 2654435769u;
  size_t at = (mixed ^ mixed >> 16) & (t->link_cap - 1);
  while (t->links[at].ord != TRACKER_NONE && t->links[at].ord != ord) at = (at + 1) & (t->link_cap - 1);
  return at;
}

int tracker_reserve_anchor(struct tracker *t, uint32_t ord_end) {
  if (2 * (t->link_count + 1) > t->link_cap) {
    struct tracker old = *t;
    size_t cap = t->link_cap ? 2 * t->link_cap : 16;
    struct tracker_link *links = env_alloc(t->env, cap * sizeof *links);
    if (!links) return DUNLIN_ENOMEM;
    t->links = links;
    t->link_cap = cap;
    tracker_chain_reset(t);
    for (size_t i = 0; i < old.link_cap; i++)
      if (old.links[i].ord != TRACKER_NONE) t->links[slot_of(t, old.links[i].ord)] = old.links[i];
    t->link_count = old.link_count;
    tracker_chain_free(&old);
  }
  return tracker_reserve(t, ord_end);
}

void tracker_chain_reset(struct tracker *t) {
  for (size_t i = 0; i < t->link_cap; i++) t->links[i].ord = TRACKER_NONE;
  t->link_count = 0;
}

void tracker_chain_free(struct tracker *t) {
  ENV_FREE_ARRAY(t->env, t->links, t->link_cap);
  t->links = NULL;
  t->link_count = t->link_cap = 0;
}

/* What an item hangs on if it is an anchor of that sort. */
static bool hangs_on(const struct tracker *t, uint32_t item, bool opening, uint32_t *on) {
  *on = TRACKER_NONE;
  if (item >= TRACKER_BASE) return false;
  struct place p = tracker_find_item(t, item);
  const struct tracker_span *s = tracker_span_at(t, p);
  *on = opening ? s->right : tracker_left_of(s, p.offset);
  return opening ? tracker_is_opening(s) : tracker_is_closing(s);
}

static struct tracker_link link_of(const struct tracker *t, uint32_t anchor, uint32_t on) {
  if (t->link_count && anchor < TRACKER_BASE) {
    const struct tracker_link *link = &t->links[slot_of(t, anchor)];
    if (link->ord == anchor) return *link;
  }
  return (struct tracker_link){anchor, on, 0, anchor};
}

static struct tracker_link link_at(const struct tracker *t, uint32_t anchor, bool opening) {
  uint32_t on;
  hangs_on(t, anchor, opening, &on);
  return link_of(t, anchor, on);
}

void tracker_chain_add(struct tracker *t, const struct tracker_span *anchor, bool opening) {
  uint32_t parent = opening ? anchor->right : anchor->left, on;
  if (!hangs_on(t, parent, opening, &on)) return;
  struct tracker_link up = link_of(t, parent, on), jump = link_at(t, up.jump, opening),
                      far = link_at(t, jump.jump, opening);
  bool doubles = up.depth - jump.depth == jump.depth - far.depth;
  t->links[slot_of(t, anchor->id)] =
      (struct tracker_link){anchor->id, up.root, up.depth + 1, doubles ? far.ord : parent};
  t->link_count++;
}

uint32_t tracker_chain_root(const struct tracker *t, uint32_t anchor, bool opening) {
  return link_at(t, anchor, opening).root;
}

bool tracker_chain_has(const struct tracker *t, uint32_t anchor, uint32_t item, bool opening) {
  uint32_t on;
  if (anchor == item) return true;
  if (!hangs_on(t, item, opening, &on)) return false;
  uint32_t depth = link_of(t, item, on).depth;
  struct tracker_link at = link_at(t, anchor, opening);
  while (at.depth > depth) {
    struct tracker_link jump = link_at(t, at.jump, opening);
    if (jump.depth >= depth) {
      at = jump;
    } else {
      hangs_on(t, at.ord, opening, &on);
      at = link_at(t, on, opening);
    }
  }
  return at.ord == item;
}

static bool is_unseen(const struct tracker *t, uint32_t item) {
  return !tracker_prepare_state(tracker_span_at(t, tracker_find_item(t, item)));
}

uint32_t tracker_chain_unseen(const struct tracker *t, uint32_t anchor, bool opening) {
  struct tracker_link at = link_at(t, anchor, opening);
  while (at.depth) {
    uint32_t on;
    hangs_on(t, at.ord, opening, &on);
    if (!is_unseen(t, on)) break;
    at = link_at(t, is_unseen(t, at.jump) ? at.jump : on, opening);
  }
  return at.ord;
}
