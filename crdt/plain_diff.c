/* How one list becomes another with few insertions and deletions (E. Myers, "An O(ND) Difference Algorithm and Its
 * Variations", 1986), within bounds: lists come from anybody. */
#include "crdt/plain.h"

#include <stdlib.h>

/* More insertions and deletions than that are not looked for: what has to be remembered grows with their square (2
 * MiB). */
#define EDITS_MAX 1024u
/* Nor more steps than that for lists of so many elements together: they grow with the product of length and edits, and
 * a value may have many lists. */
#define STEPS_MAX (1u << 24)
static size_t steps_max(size_t elements) {
  size_t most = (1u << 18) + 256 * elements;
  return most < STEPS_MAX ? most : STEPS_MAX;
}

/* An element on its way to a number that is the same for equal elements. */
struct labelled {
  struct dunlin_bytes bytes;
  uint32_t *label;
};

static int by_bytes(const void *a, const void *b) {
  const struct labelled *x = a, *y = b;
  if (x->bytes.len != y->bytes.len) return x->bytes.len < y->bytes.len ? -1 : 1;
  return memcmp(x->bytes.data, y->bytes.data, x->bytes.len);
}

/* What is left of two lists without their common beginning and end. */
struct middle {
  size_t start, from, to; /* where it begins in both, and how many elements it has of each */
  uint32_t *from_labels, *to_labels;
};

static struct dunlin_bytes element(const struct plain_list *list, size_t i) {
  return plain_bytes(list->plain, plain_element(list, i));
}

/* Gives the elements in the middle their labels, which are in one array behind `m->from_labels`. */
static int label(struct plain_script *s, struct middle *m) {
  size_t count = m->from + m->to;
  struct labelled *all = env_calloc(s->env, count, sizeof *all);
  m->from_labels = env_calloc(s->env, count, sizeof *m->from_labels);
  if (!all || !m->from_labels) {
    env_free(s->env, all, count * sizeof *all);
    env_free(s->env, m->from_labels, count * sizeof *m->from_labels);
    m->from_labels = NULL;
    return DUNLIN_ENOMEM;
  }
  m->to_labels = m->from_labels + m->from;
  for (size_t i = 0; i < m->from; i++) all[i] = (struct labelled){element(&s->from, m->start + i), &m->from_labels[i]};
  for (size_t i = 0; i < m->to; i++)
    all[m->from + i] = (struct labelled){element(&s->to, m->start + i), &m->to_labels[i]};
  qsort(all, count, sizeof *all, by_bytes);
  uint32_t next = 0;
  for (size_t i = 0; i < count; i++) *all[i].label = i && !by_bytes(&all[i - 1], &all[i]) ? next : ++next;
  env_free(s->env, all, count * sizeof *all);
  return 0;
}

/* For each number of edits, and each diagonal k that they reach, the furthest place: x of the old list, x - k of the
 * new one.  Of d edits there are d + 1 diagonals, from -d to d in steps of two. */
struct reach {
  uint32_t *x;
  size_t cap;
};
static size_t row(size_t edits) {
  return edits * (edits + 1) / 2;
}

/* Where diagonal number `i` of `edits` is come to from: the diagonal's number among those of one edit less, and whether
 * an element is deleted to get there (else inserted). */
static size_t before(const uint32_t *last, size_t edits, size_t i, bool *deletes) {
  *deletes = i && (i == edits || last[i - 1] >= last[i]);
  return *deletes ? i - 1 : i;
}

/* How many edits it takes; SIZE_MAX when too many; or DUNLIN_ENOMEM. */
static int walk(const struct plain_script *s, const struct middle *m, struct reach *r, size_t *out) {
  size_t steps = 0, most = steps_max(m->from + m->to);
  *out = SIZE_MAX;
  for (size_t edits = 0; edits <= EDITS_MAX && edits <= m->from + m->to; edits++) {
    if (ENV_GROW(s->env, r->x, r->cap, row(edits + 1))) return DUNLIN_ENOMEM;
    const uint32_t *last = edits ? r->x + row(edits - 1) : NULL;
    for (size_t i = 0; i <= edits; i++) {
      bool deletes = false;
      size_t x = 0;
      if (edits) x = last[before(last, edits, i, &deletes)];
      x += deletes;
      size_t y = x + edits - 2 * i; /* k is 2 i - edits; not negative, since the place is reached by insertions */
      while (x < m->from && y < m->to && m->from_labels[x] == m->to_labels[y]) x++, y++, steps++;
      if (steps > most) return 0;
      r->x[row(edits) + i] = (uint32_t)x;
      if (x >= m->from && y >= m->to) {
        *out = edits;
        return 0;
      }
    }
    steps += edits;
  }
  return 0;
}

/* Notes which elements are kept, back from the end. */
static void keep(struct plain_script *s, const struct middle *m, const struct reach *r, size_t edits) {
  size_t x = m->from, y = m->to;
  for (;;) {
    size_t from_x = 0, from_y = 0, last_x = 0, last_y = 0;
    if (edits) { /* k + edits is even; x - y is k */
      const uint32_t *last = r->x + row(edits - 1);
      bool deletes;
      size_t i = before(last, edits, (x + edits - y) / 2, &deletes);
      last_x = last[i];
      last_y = last_x + (edits - 1) - 2 * i;
      from_x = last_x + deletes;
      from_y = last_y + !deletes;
    }
    while (x > from_x && y > from_y) s->target[m->start + --x] = (uint32_t)(m->start + --y);
    if (!edits--) return;
    x = last_x;
    y = last_y;
  }
}

/* ---- What becomes what -------------------------------------------------------------------------------------- */

/* More pairs of elements than that are not looked at between two that stay. */
#define PAIRS_MAX 4096u
/* Nor more members of a map. */
#define MEMBERS_MAX 32u

/* How much one element looks like what another one has become: kinds first, of maps also how many members are equal. */
static uint32_t likeness(const struct plain_script *s, size_t i, size_t j) {
  const struct plain_node *a = plain_element(&s->from, i), *b = plain_element(&s->to, j);
  if (a->value.kind != b->value.kind) return 1;
  if (a->value.kind < DUNLIN_MAP) return 2;
  uint32_t like = 3;
  if (a->value.kind != DUNLIN_MAP) return like;
  a = plain_at(s->from.plain, a->first);
  b = plain_at(s->to.plain, b->first);
  for (unsigned n = 0; a && b && n < MEMBERS_MAX; n++) {
    int order = bytes_compare(a->key, b->key);
    if (!order && bytes_same(plain_bytes(s->from.plain, a), plain_bytes(s->to.plain, b))) like += 4;
    if (order <= 0) a = plain_at(s->from.plain, a->next);
    if (order >= 0) b = plain_at(s->to.plain, b->next);
  }
  return like;
}

/* Elements between two that stay: `gone` of the old list from `i` on, and `come` of the new one from `j` on. */
struct between {
  size_t i, gone, j, come;
};

/* Pairs them, in order, so that they look alike as much as can be. */
static int pair_alike(struct plain_script *s, struct between b) {
  size_t width = b.come + 1, cells = (b.gone + 1) * width;
  uint32_t *best = env_calloc(s->env, cells, sizeof *best); /* for what is left of both */
  if (!best) return DUNLIN_ENOMEM;
  for (size_t i = b.gone; i-- > 0;) {
    for (size_t j = b.come; j-- > 0;) {
      uint32_t *cell = &best[i * width + j], paired = cell[width + 1] + likeness(s, b.i + i, b.j + j);
      *cell = cell[1] > cell[width] ? cell[1] : cell[width];
      if (paired > *cell) *cell = paired;
    }
  }
  for (size_t i = 0, j = 0; i < b.gone && j < b.come;) {
    const uint32_t *cell = &best[i * width + j];
    if (*cell == cell[width + 1] + likeness(s, b.i + i, b.j + j)) s->target[b.i + i++] = (uint32_t)(b.j + j++);
    else if (*cell == cell[1]) j++;
    else i++;
  }
  env_free(s->env, best, cells * sizeof *best);
  return 0;
}

/* What goes between two elements that stay becomes what comes there, as far as there is as much. */
static int pair(struct plain_script *s) {
  int error = 0;
  size_t j = 0;
  for (size_t i = 0; !error && i < s->from.count;) {
    size_t end = i;
    while (end < s->from.count && s->target[end] == PLAIN_NONE) end++;
    size_t until = end < s->from.count ? s->target[end] : s->to.count;
    struct between between = {i, end - i, j, until - j};
    if (between.gone && between.come && between.gone <= PAIRS_MAX / between.come) error = pair_alike(s, between);
    else
      while (i < end && j < until) s->target[i++] = (uint32_t)j++;
    i = end + 1;
    j = until + 1;
  }
  return error;
}

static int compare(struct plain_script *s) {
  size_t from = s->from.count, to = s->to.count, common = from < to ? from : to, head = 0, tail = 0;
  while (head < common && bytes_same(element(&s->from, head), element(&s->to, head))) head++;
  while (tail < common - head && bytes_same(element(&s->from, from - 1 - tail), element(&s->to, to - 1 - tail))) tail++;
  for (size_t i = 0; i < from; i++) s->target[i] = i < head ? (uint32_t)i : PLAIN_NONE;
  for (size_t i = 0; i < tail; i++) s->target[from - 1 - i] = (uint32_t)(to - 1 - i);
  struct middle m = {.start = head, .from = from - head - tail, .to = to - head - tail};
  if (m.from && m.to) {
    struct reach reach = {NULL, 0};
    size_t edits;
    int error = label(s, &m);
    if (!error) error = walk(s, &m, &reach, &edits);
    if (!error && edits != SIZE_MAX) keep(s, &m, &reach, edits);
    if (!error) s->rough = edits == SIZE_MAX;
    env_free(s->env, m.from_labels, (m.from + m.to) * sizeof *m.from_labels);
    ENV_FREE_ARRAY(s->env, reach.x, reach.cap);
    if (error) return error;
  }
  return pair(s);
}

static int open_list(const struct dunlin_env *env, struct plain_list *list, const struct plain *plain,
                     const struct plain_node *node) {
  list->plain = plain;
  list->nodes = env_calloc(env, node->count, sizeof *list->nodes);
  if (!list->nodes) return DUNLIN_ENOMEM;
  for (uint32_t i = node->first; i != PLAIN_NONE; i = plain->nodes[i].next) list->nodes[list->count++] = i;
  return 0;
}

int plain_compare_lists(struct plain_script *script, const struct dunlin_env *env, const struct plain *from,
                        const struct plain_node *from_list, const struct plain *to, const struct plain_node *to_list) {
  *script = (struct plain_script){.env = env};
  int error = open_list(env, &script->from, from, from_list);
  if (!error) error = open_list(env, &script->to, to, to_list);
  if (!error) script->target = env_calloc(env, script->from.count, sizeof *script->target);
  if (!error && !script->target) error = DUNLIN_ENOMEM;
  if (!error) error = compare(script);
  if (error) plain_script_free(script);
  return error;
}

void plain_script_free(struct plain_script *s) {
  env_free(s->env, s->from.nodes, s->from.count * sizeof *s->from.nodes);
  env_free(s->env, s->to.nodes, s->to.count * sizeof *s->to.nodes);
  env_free(s->env, s->target, s->from.count * sizeof *s->target);
  *s = (struct plain_script){.env = s->env};
}
