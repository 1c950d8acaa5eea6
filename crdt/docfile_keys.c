/* The keys of a saved document, each written once. */
#include <stdlib.h>
#include <string.h>

#include "crdt/docfile_values.h"

static bool same(struct dunlin_bytes a, struct dunlin_bytes b) {
  return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

static size_t shared_with(struct dunlin_bytes a, struct dunlin_bytes b) {
  const uint8_t *x = a.data, *y = b.data;
  size_t least = a.len < b.len ? a.len : b.len, i = 0;
  while (i < least && x[i] == y[i]) i++;
  return i;
}

static size_t slot_of(const struct keys_out *k, struct dunlin_bytes key) {
  size_t at = (size_t)mix_bytes(k->seed, key.data, key.len) & (k->slot_cap - 1);
  while (k->slots[at] && !same(k->list[k->slots[at] - 1], key)) at = (at + 1) & (k->slot_cap - 1);
  return at;
}

static int grow(struct keys_out *k) {
  size_t cap = k->slot_cap ? 2 * k->slot_cap : 64;
  uint32_t *slots = env_calloc(k->env, cap, sizeof *slots);
  if (!slots) return DUNLIN_ENOMEM;
  ENV_FREE_ARRAY(k->env, k->slots, k->slot_cap);
  k->slots = slots;
  k->slot_cap = cap;
  for (size_t i = 0; i < k->count; i++) slots[slot_of(k, k->list[i])] = (uint32_t)i + 1;
  return 0;
}

uint32_t keys_place(struct keys_out *k, struct dunlin_bytes key) {
  if (4 * (k->count + 1) > 3 * k->slot_cap && grow(k)) return UINT32_MAX;
  size_t at = slot_of(k, key);
  if (k->slots[at]) return k->slots[at] - 1;
  if (k->count >= UINT32_MAX - 1 || ENV_GROW(k->env, k->list, k->cap, k->count + 1)) return UINT32_MAX;
  k->list[k->count++] = key;
  k->slots[at] = (uint32_t)k->count;
  return (uint32_t)k->count - 1;
}

struct placed {
  struct dunlin_bytes key;
  uint32_t place;
};

static int by_key(const void *a, const void *b) {
  return key_compare(((const struct placed *)a)->key, ((const struct placed *)b)->key);
}

static void write_sorted(const struct keys_out *k, const struct placed *list, size_t count, struct buf *out) {
  struct planes_out shared = {.env = k->env, .cuts = k->cuts}, more = shared;
  struct dunlin_bytes last = {NULL, 0};
  mp_write_uint(out, count);
  for (size_t i = 0; i < count; last = list[i++].key) {
    size_t first = shared_with(last, list[i].key);
    if (i) planes_add(&shared, first);
    planes_add(&more, list[i].key.len - first);
  }
  planes_write(&shared, out);
  planes_write(&more, out);
  last.len = 0;
  for (size_t i = 0; i < count; last = list[i++].key) {
    size_t first = shared_with(last, list[i].key);
    if (list[i].key.len) buf_append(out, (const uint8_t *)list[i].key.data + first, list[i].key.len - first);
  }
  planes_free(&shared);
  planes_free(&more);
}

int keys_write(struct keys_out *k, struct buf *out) {
  size_t count = k->count - k->numbered;
  struct placed *list = env_alloc(k->env, count * sizeof *list);
  int error = list ? ENV_GROW(k->env, k->numbers, k->number_cap, k->count) : DUNLIN_ENOMEM;
  for (size_t i = 0; !error && i < count; i++)
    list[i] = (struct placed){k->list[k->numbered + i], (uint32_t)(k->numbered + i)};
  if (!error && count) qsort(list, count, sizeof *list, by_key);
  for (size_t i = 0; !error && i < count; i++) k->numbers[list[i].place] = (uint32_t)(k->numbered + i);
  if (!error) write_sorted(k, list, count, out);
  if (!error) k->numbered = k->count;
  env_free(k->env, list, count * sizeof *list);
  return error;
}

void keys_free(struct keys_out *k) {
  ENV_FREE_ARRAY(k->env, k->list, k->cap);
  ENV_FREE_ARRAY(k->env, k->slots, k->slot_cap);
  ENV_FREE_ARRAY(k->env, k->numbers, k->number_cap);
}

/* ---- Reading ------------------------------------------------------------------------------------------------ */

void keys_in_init(struct keys_in *k, const struct dunlin_env *env) {
  *k = (struct keys_in){.env = env};
  buf_init(&k->bytes, env, UINT32_MAX / 4);
}

/* Puts a key together from the one before and what is new.  Each has its longest beginning in common with the one
 * before, and comes behind it. */
static int add_key(struct keys_in *k, size_t shared, size_t more, const uint8_t *rest, bool first) {
  struct dunlin_bytes last = {NULL, 0};
  struct keys_in_key key = {.at = (uint32_t)(k->given_len + k->bytes.len), .len = (uint16_t)(shared + more)};
  if (!first) last = keys_get(k, k->count - 1);
  const uint8_t *before = last.data;
  if (shared > last.len || shared + more > DUNLIN_MAX_KEY || (!first && !more)) return DUNLIN_EFORMAT;
  if (shared < last.len && rest[0] <= before[shared]) return DUNLIN_EFORMAT;
  uint8_t *at = buf_extend(&k->bytes, key.len); /* there is room: nothing moves */
  if (k->bytes.error) return k->bytes.error == DUNLIN_ELIMIT ? DUNLIN_EFORMAT : k->bytes.error;
  if (shared) memcpy(at, before, shared);
  if (more) memcpy(at + shared, rest, more);
  if (key.len && !utf8_valid(at, key.len, NULL)) return DUNLIN_EFORMAT;
  k->list[k->count++] = key;
  return 0;
}

/* Makes room for the bytes of all keys at once. */
static int reserve_bytes(struct keys_in *k, struct planes_in shared, struct planes_in more, struct mp_reader *r) {
  uint64_t sum = 0;
  while (shared.next < shared.count) sum += planes_take(&shared, r, DUNLIN_MAX_KEY + 1);
  while (more.next < more.count) sum += planes_take(&more, r, DUNLIN_MAX_KEY + 1);
  if (r->error || sum > k->bytes.max - k->bytes.len) return DUNLIN_EFORMAT;
  size_t len = k->bytes.len;
  buf_extend(&k->bytes, (size_t)sum);
  k->bytes.len = len;
  return k->bytes.error;
}

int keys_read(struct keys_in *k, struct mp_reader *r, const struct buf *given) {
  size_t left = (size_t)(r->end - r->at), count = (size_t)mp_read_uint(r, left); /* all but one have bytes */
  struct planes_in shared = planes_read(r, count ? count - 1 : 0), more = planes_read(r, count);
  if (r->error || k->count + count > UINT32_MAX / 2) return DUNLIN_EFORMAT;
  if (ENV_GROW(k->env, k->list, k->cap, k->count + count)) return DUNLIN_ENOMEM;
  int error = given ? 0 : reserve_bytes(k, shared, more, r);
  for (size_t i = 0; !error && i < count; i++) {
    size_t first = !i ? 0 : (size_t)planes_take(&shared, r, DUNLIN_MAX_KEY + 1);
    size_t rest = (size_t)planes_take(&more, r, DUNLIN_MAX_KEY + 1);
    if (r->error || rest > (size_t)(r->end - r->at)) return DUNLIN_EFORMAT;
    if (given) {
      k->list[k->count++] = (struct keys_in_key){.at = (uint32_t)k->given_len, .len = (uint16_t)(first + rest)};
      k->given_len += first + rest;
    } else {
      error = add_key(k, first, rest, r->at, !i);
    }
    r->at += rest;
  }
  if (!error && given) k->given = given->data;
  return error ? error : !given || k->given_len == given->len ? 0 : DUNLIN_EFORMAT;
}

bool keys_in_order(const struct keys_in *k, size_t from) {
  size_t old = 0;
  for (size_t i = from; i < k->count; i++) {
    if (!k->list[i].used) return false;
    int order = -1; /* both parts are sorted */
    while (old < from && (order = key_compare(keys_get(k, old), keys_get(k, i))) < 0) old++;
    if (old < from && !order) return false;
  }
  return true;
}

void keys_in_free(struct keys_in *k) {
  ENV_FREE_ARRAY(k->env, k->list, k->cap);
  buf_free(&k->bytes);
}
