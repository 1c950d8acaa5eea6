#include "persist/run.h"

#include <string.h>

static bool same_group(const struct run_entry *a, const struct run_entry *b) {
  return !id_compare(&a->doc, &b->doc) && a->heads_len == b->heads_len && !memcmp(a->heads, b->heads, a->heads_len);
}

static int write_group(struct buf *out, const struct run_entry *entries, size_t count) {
  struct change_id_bytes *changes = env_calloc(out->env, count, sizeof *changes);
  struct buf delta;
  buf_init(&delta, out->env, DUNLIN_MAX_RAW);
  int r = changes ? 0 : DUNLIN_ENOMEM;
  for (size_t i = 0; !r && i < count; i++) changes[i] = entries[i].change;
  if (!r) r = delta_write(&delta, changes, count);
  mp_write_array(out, 3);
  mp_write_bin(out, entries->doc.bytes, sizeof entries->doc.bytes);
  mp_write_bin(out, entries->heads, entries->heads_len);
  mp_write_bin(out, delta.data, delta.len);
  buf_free(&delta);
  env_free(out->env, changes, count * sizeof *changes);
  return r;
}

int run_write(struct buf *out, const struct run_entry *entries, size_t count, struct dunlin_id *tip) {
  size_t groups = 0;
  int r = 0;
  for (size_t i = 0; i < count; i++) groups += i == 0 || !same_group(&entries[i - 1], &entries[i]);
  mp_write_array(out, groups);
  for (size_t i = 0, end; !r && i < count; i = end) {
    for (end = i + 1; end < count && same_group(&entries[i], &entries[end]); end++) continue;
    r = write_group(out, entries + i, end - i);
  }
  for (size_t i = 0; i < count; i++)
    *tip = chain_next(tip, &entries[i].change.id, entries[i].heads, entries[i].heads_len);
  return r ? r : out->error;
}

static bool heads_sorted(const uint8_t *heads, size_t len) {
  for (size_t i = 32; i < len; i += 32)
    if (memcmp(heads + i - 32, heads + i, 32) >= 0) return false;
  return true;
}

static struct run_group read_group(struct mp_reader *r) {
  struct run_group group = {0};
  if (mp_read_array(r, 3) != 3) mp_fail(r);
  memcpy(group.doc.bytes, mp_read_bin_exact(r, sizeof group.doc.bytes), sizeof group.doc.bytes);
  struct dunlin_bytes heads = mp_read_bin(r, RUN_MAX_HEADS * 32);
  group.heads = heads.data;
  group.heads_len = heads.len;
  group.delta = mp_read_bin(r, DUNLIN_MAX_RAW);
  if (!heads.len || heads.len % 32 || !heads_sorted(heads.data, heads.len)) mp_fail(r);
  return group;
}

int run_groups(struct dunlin_bytes data, run_each_group *each, void *ctx) {
  struct mp_reader check = mp_reader_of(data.data, data.len), r = check;
  size_t count = mp_read_array(&check, DUNLIN_MAX_DELTA_CHANGES);
  for (size_t i = 0; i < count && !check.error; i++) read_group(&check);
  if (!count || mp_end(&check)) return DUNLIN_EFORMAT;
  mp_read_array(&r, DUNLIN_MAX_DELTA_CHANGES);
  for (size_t i = 0; i < count; i++) {
    struct run_group group = read_group(&r);
    int result = each(ctx, &group);
    if (result) return result;
  }
  return 0;
}

struct chain_walk {
  const struct dunlin_env *env;
  const struct dunlin_actor *actor;
  const struct run_group *group;
  struct dunlin_id tip;
  uint64_t count;
  run_each_entry *each; /* may be NULL */
  void *ctx;
};

static int chain_change(void *ctx, const struct change_id_bytes *change) {
  struct chain_walk *w = ctx;
  struct change parsed;
  int r = w->actor ? change_parse(change->bytes, &parsed) : 0;
  if (r) return r;
  if (w->actor && parsed.actor && actor_compare(parsed.actor, w->actor)) return DUNLIN_EAUTH;
  w->tip = chain_next(&w->tip, &change->id, w->group->heads, w->group->heads_len);
  w->count++;
  return w->each ? w->each(w->ctx, &w->tip) : 0;
}

static int chain_group(void *ctx, const struct run_group *group) {
  struct chain_walk *w = ctx;
  uint64_t before = w->count;
  w->group = group;
  int r = delta_read(w->env, &group->doc, group->delta.data, group->delta.len, chain_change, w);
  return !r && w->count == before ? DUNLIN_EFORMAT : r;
}

int run_chain(const struct dunlin_env *env, struct dunlin_bytes data, const struct dunlin_actor *actor,
              struct dunlin_id *tip, uint64_t *count) {
  struct chain_walk w = {.env = env, .actor = actor, .tip = *tip};
  int r = run_groups(data, chain_group, &w);
  if (r) return r;
  *tip = w.tip;
  *count = w.count;
  return 0;
}

int run_entries(const struct dunlin_env *env, struct dunlin_bytes data, const struct dunlin_id *before,
                run_each_entry *each, void *ctx) {
  struct chain_walk w = {.env = env, .tip = *before, .each = each, .ctx = ctx};
  return run_groups(data, chain_group, &w);
}
