/* A run's data, as it is after decryption: what run_chain() accepts has well-formed groups that are written back byte
 * for byte, and its entries written as a run again have the same chain.  Refused data leaves tip and count alone.
 *
 * Input: one byte, whether the author is checked; the rest is the data. */
#include "test/fuzz/fuzz_doc.h"

#include "persist/run.h"

#define ENTRIES_MAX 512u

struct copy {
  const struct dunlin_env *env;
  const struct run_group *group;
  struct buf groups;
  struct run_entry entries[ENTRIES_MAX];
  size_t count; /* more than ENTRIES_MAX: the rest was left out */
};

static int copy_change(void *ctx, const struct change_id_bytes *change) {
  struct copy *c = ctx;
  if (c->count++ >= ENTRIES_MAX) return 0;
  c->entries[c->count - 1] = (struct run_entry){.doc = c->group->doc,
                                                .change = {change->id, {fuzz_copy(change->bytes), change->bytes.len}},
                                                .heads = c->group->heads,
                                                .heads_len = c->group->heads_len};
  return 0;
}

static int copy_group(void *ctx, const struct run_group *group) {
  struct copy *c = ctx;
  CHECK(group->heads_len && group->heads_len % 32 == 0 && group->heads_len <= RUN_MAX_HEADS * 32);
  for (size_t i = 32; i < group->heads_len; i += 32) CHECK(memcmp(group->heads + i - 32, group->heads + i, 32) < 0);
  c->group = group;
  mp_write_array(&c->groups, 3);
  mp_write_bin(&c->groups, group->doc.bytes, 32);
  mp_write_bin(&c->groups, group->heads, group->heads_len);
  mp_write_bin(&c->groups, group->delta.data, group->delta.len);
  return delta_read(c->env, &group->doc, group->delta.data, group->delta.len, copy_change, c);
}

static void check_accepted(const struct dunlin_env *env, struct dunlin_bytes data, const struct dunlin_id *tip,
                           uint64_t count) {
  static struct copy c;
  struct dunlin_id again = {{0}}, written = {{0}};
  uint64_t same = 0;
  struct mp_reader r = mp_reader_of(data.data, data.len);
  c = (struct copy){.env = env, .groups = fuzz_buf()};
  mp_write_array(&c.groups, mp_read_array(&r, DUNLIN_MAX_DELTA_CHANGES));
  CHECK(!run_groups(data, copy_group, &c) && c.count == count);
  CHECK(c.groups.len == data.len && !memcmp(c.groups.data, data.data, data.len));
  buf_clear(&c.groups);
  if (c.count <= ENTRIES_MAX) {
    CHECK(!run_write(&c.groups, c.entries, c.count, &written));
    CHECK(!run_chain(env, (struct dunlin_bytes){c.groups.data, c.groups.len}, NULL, &again, &same));
    CHECK(same == count && !memcmp(&again, tip, sizeof again) && !memcmp(&written, tip, sizeof written));
  }
  for (size_t i = 0; i < c.count && i < ENTRIES_MAX; i++) free((void *)(uintptr_t)c.entries[i].change.bytes.data);
  buf_free(&c.groups);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const struct dunlin_actor author = {{1}};
  struct fuzz_in in = fuzz_in_of(data, size);
  struct seeded memory;
  struct dunlin_id tip = {{0}}, zero = tip;
  uint64_t count = 77;
  bool check = fuzz_byte(&in) & 1;
  seeded_init(&memory, 1);
  struct dunlin_bytes run = {in.at, in.left};
  int error = run_chain(&memory.env, run, check ? &author : NULL, &tip, &count);
  CHECK(memory.peak <= FUZZ_MEMORY && !memory.live);
  if (error) {
    CHECK(error < 0 && error != DUNLIN_ENOMEM && count == 77 && !memcmp(&tip, &zero, sizeof tip));
  } else {
    CHECK(count);
    check_accepted(dunlin_env_default(), run, &tip, count);
    fuzz_accepted++;
  }
  return 0;
}

/* ---- Seeds ------------------------------------------------------------------------------------------------------- */

static void put_group(struct buf *out, struct dunlin_bytes delta, size_t heads) {
  static const uint8_t ids[3 * 32] = {[0] = 1, [32] = 2, [64] = 3};
  mp_write_array(out, 3);
  mp_write_bin(out, ids, 32);
  mp_write_bin(out, ids, heads * 32);
  mp_write_bin(out, delta.data, delta.len);
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  struct buf input = fuzz_buf();
  fuzz_put_byte(&input, 1);
  mp_write_array(&input, 1);
  put_group(&input, fuzz_history(0), 1);
  fuzz_emit_buf(emit, ctx, "one-group", &input);
  input = fuzz_buf();
  fuzz_put_byte(&input, 0);
  mp_write_array(&input, 4);
  for (size_t i = 0; i < 4; i++) put_group(&input, fuzz_history(i), 1 + i / 2);
  fuzz_emit_buf(emit, ctx, "groups", &input);
}
