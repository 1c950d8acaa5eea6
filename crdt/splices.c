#include "crdt/splices.h"

#include <string.h>

enum { ENDLESS = 0x7fffffff, MOST = 1024 }; /* parts: what one edit may have to move and read */

void splices_init(struct splices *s, const struct dunlin_env *env) {
  *s = (struct splices){.env = env};
}

void splices_free(struct splices *s) {
  ENV_FREE_ARRAY(s->env, s->parts, s->cap);
  ENV_FREE_ARRAY(s->env, s->kept, s->kept_cap);
  splices_init(s, s->env);
}

/* Makes one part of all that lies between the first change and the last. */
static void collapse(struct splices *s) {
  size_t first = s->parts[0].what == SPLICE_KEPT && !s->parts[0].gone, last = s->count - 1;
  struct splice_part all = {.what = SPLICE_INSERTED};
  for (size_t i = first; i < last; i++) {
    all.gone += s->parts[i].gone + (s->parts[i].what == SPLICE_INSERTED ? 0 : s->parts[i].len);
    all.len += s->parts[i].len;
  }
  all.gone += s->parts[last].gone;
  s->parts[last].gone = 0;
  s->parts[first] = all;
  s->parts[first + 1] = s->parts[last];
  s->count = first + 2;
}

/* Room for two more parts; false: it is lost. */
static bool make_room(struct splices *s) {
  if (s->count > MOST) collapse(s);
  if (!s->lost && ENV_GROW(s->env, s->parts, s->cap, s->count + 3)) s->lost = true;
  if (!s->lost && !s->count) s->parts[s->count++] = (struct splice_part){.len = ENDLESS};
  return !s->lost;
}

/* The part that has the item at `*at`, which becomes the index in it.  At a border it is the part behind. */
static size_t find(const struct splices *s, uint32_t *at) {
  size_t i = 0;
  for (; i + 1 < s->count && *at >= s->parts[i].len; i++) *at -= s->parts[i].len;
  return i;
}

static void add(struct splices *s, size_t i, struct splice_part part) {
  memmove(&s->parts[i + 1], &s->parts[i], (s->count - i) * sizeof *s->parts);
  s->parts[i] = part;
  s->count++;
}

/* Makes a border at index `at` of part `i`; the part that begins there. */
static size_t split(struct splices *s, size_t i, uint32_t at) {
  if (!at) return i;
  struct splice_part front = s->parts[i];
  front.len = at;
  s->parts[i].gone = 0;
  if (i + 1 < s->count) s->parts[i].len -= at; /* the last one has no end */
  add(s, i, front);
  return i + 1;
}

void splices_insert(struct splices *s, uint32_t at, uint32_t len) {
  if (!make_room(s)) return;
  size_t i = find(s, &at);
  if (!at && i && s->parts[i - 1].what == SPLICE_INSERTED) {
    s->parts[i - 1].len += len;
  } else if (s->parts[i].what == SPLICE_INSERTED) {
    s->parts[i].len += len;
  } else {
    i = split(s, i, at);
    add(s, i, (struct splice_part){.gone = s->parts[i].gone, .len = len, .what = SPLICE_INSERTED});
    s->parts[i + 1].gone = 0;
  }
}

void splices_erase(struct splices *s, uint32_t at, uint32_t len) {
  while (len && make_room(s)) {
    uint32_t index = at;
    size_t i = find(s, &index);
    i = split(s, i, index);
    bool last = i + 1 == s->count, old = s->parts[i].what != SPLICE_INSERTED;
    uint32_t part = last || s->parts[i].len > len ? len : s->parts[i].len;
    if (!last) s->parts[i].len -= part;
    if (old) s->parts[i].gone += part;
    len -= part;
    if (s->parts[i].len) continue;
    /* What went where it was counts to the part behind, or to what was inserted before it. */
    s->parts[i + 1].gone += s->parts[i].gone;
    s->count--;
    memmove(&s->parts[i], &s->parts[i + 1], (s->count - i) * sizeof *s->parts);
  }
}

bool splices_set(struct splices *s, uint32_t at, uint32_t old) {
  if (!make_room(s)) return false;
  size_t i = find(s, &at);
  if (s->parts[i].what != SPLICE_KEPT) return false;
  i = split(s, i, at);
  if (i + 1 == s->count || s->parts[i].len > 1) split(s, i, 1);
  s->parts[i].what = SPLICE_SET;
  s->parts[i].old = old;
  return true;
}

void splices_open(struct splices *s) {
  s->is_kept = !ENV_GROW(s->env, s->kept, s->kept_cap, s->count);
  s->kept_count = s->count;
  if (s->is_kept && s->count) memcpy(s->kept, s->parts, s->count * sizeof *s->parts);
}

void splices_revert(struct splices *s) {
  if (!s->is_kept) s->lost = true;
  s->count = s->is_kept ? s->kept_count : 0; /* the room for it is there: parts only grow */
  if (s->count) memcpy(s->parts, s->kept, s->count * sizeof *s->parts);
}
