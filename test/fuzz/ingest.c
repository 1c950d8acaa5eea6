/* A run that a member wrote, sealed and signed, with anything in it: exchange_ingest() refuses it and holds nothing of
 * its log, as it must when heads, count or place are wrong; or it keeps the run whole, and then the document it names
 * can still be read, verify finds no fault but changes that are invalid or lack a parent, and the same run again is
 * nothing new.  A log that forks keeps all its branches.
 *
 * Input: flags; with FLAG_RAW the rest is the run's data.  Else groups: a byte for document and heads, and a chunk, the
 * delta; see put_group(). */
#include "persist/index.h"
#include "persist/run.h"
#include "persist/store_doc.h"
#include "test/fuzz/fuzz_doc.h"
#include "test/fuzz/fuzz_store.h"

#define FLAG_RAW 1u
#define FLAG_COUNT 2u  /* the next byte is added to the number of entries in the header */
#define FLAG_FIRST 4u  /* the next byte is the number of the first entry */
#define FLAG_URGENT 8u /* in the lane of directories */
#define FLAG_TWICE 16u /* the log's second run has the same data */
#define FLAG_FORK 32u  /* what is left of the input is groups of other runs that begin the log */
#define FORKS_MAX 4u
#define GROUPS_MAX 8u

struct input {
  uint8_t flags;
  struct log_name log;
  uint64_t first;
  uint32_t extra;
  bool wrong; /* must be refused: heads that are not known, or another count than there are entries */
  struct buf data;
};

/* Bits 0 and 1 of `what`: document "d", the directory, one that is not there, the secret space's "d".  Bit 2: heads
 * that are not known here; bit 3: none. */
static void put_group(const struct fuzz_store *s, struct buf *out, uint8_t what, struct dunlin_bytes delta) {
  const struct dunlin_env *env = dunlin_env_default();
  struct dunlin_id doc = {{what}}, head = fuzz_home_head(s);
  if (what % 4 == 0) doc = doc_id_of_name(env, &s->space, "d", 1);
  if (what % 4 == 1) doc = doc_id_of_directory(env, &s->space);
  if (what % 4 == 3) doc = doc_id_of_name(env, &s->secret, "d", 1);
  if (what & 4) head.bytes[0] ^= 1;
  mp_write_array(out, 3);
  mp_write_bin(out, doc.bytes, 32);
  mp_write_bin(out, head.bytes, what & 8 ? 0 : 32);
  mp_write_bin(out, delta.data, delta.len);
}

static void put_groups(const struct fuzz_store *s, struct input *input, struct fuzz_in *in) {
  size_t groups = 1 + fuzz_below(in, GROUPS_MAX);
  mp_write_array(&input->data, groups);
  for (size_t i = 0; i < groups; i++) {
    uint8_t what = fuzz_byte(in);
    input->wrong |= what & 12;
    put_group(s, &input->data, what, fuzz_chunk(in));
  }
}

static struct input read_input(const struct fuzz_store *s, struct fuzz_in *in) {
  struct input input = {.flags = fuzz_byte(in), .first = 1, .data = fuzz_buf()};
  input.log = fuzz_guest_log(s, input.flags & FLAG_URGENT ? LANE_URGENT : LANE_NORMAL);
  if (input.flags & FLAG_COUNT) input.extra = fuzz_byte(in);
  if (input.flags & FLAG_FIRST) input.first = fuzz_byte(in);
  input.wrong = input.extra || input.first != 1;
  if (input.flags & FLAG_RAW) {
    buf_append(&input.data, in->at, in->left);
    return input;
  }
  put_groups(s, &input, in);
  return input;
}

/* Seals the data as the run of the log that follows `*tip`, and moves `*tip`. */
static int seal(const struct fuzz_store *s, const struct input *input, uint64_t first, struct dunlin_id *tip,
                struct buf *sealed, uint64_t *count) {
  struct dunlin_bytes data = {input->data.data, input->data.len};
  *count = 1;
  if (run_chain(NULL, data, NULL, tip, count)) *tip = (struct dunlin_id){{1}};
  return fuzz_guest_seal(s, &input->log, first, (uint32_t)*count + input->extra, tip, data, sealed);
}

/* ---- What must hold ---------------------------------------------------------------------------------------------- */

static void report(void *ctx, const char *line) {
  (void)ctx;
  if (!strstr(line, "are not valid") && !strstr(line, "lack a parent")) fuzz_fail(__FILE__, __LINE__, line);
}

static void check_documents(struct fuzz_store *s) {
  char name[DUNLIN_MAX_NAME + 1];
  size_t len;
  dunlin_store_doc *handle;
  CHECK(!dunlin_store_doc_open(s->store, &s->space, dunlin_key("d"), DUNLIN_READONLY, &handle));
  CHECK(!dunlin_store_doc_pull(handle, NULL));
  fuzz_read_doc(dunlin_store_doc_get(handle));
  dunlin_store_doc_close(handle);
  for (size_t i = 0; i < 20 && !dunlin_store_doc_list(s->store, &s->space, i, name, &len); i++) {
    int error = dunlin_store_doc_open(s->store, &s->space, (struct dunlin_bytes){name, len}, DUNLIN_READONLY, &handle);
    CHECK(!error);
    dunlin_store_doc_close(handle);
  }
  CHECK(dunlin_store_verify(s->store, report, NULL) >= 0);
}

static void check_held(struct fuzz_store *s, const struct input *input, uint64_t count, const struct dunlin_id *tip,
                       const struct buf *sealed) {
  struct exchange_log held;
  struct dunlin_bytes run = {sealed->data, sealed->len};
  struct buf stored = fuzz_buf();
  CHECK(!exchange_log_find(s->store, &input->log, &held));
  CHECK(held.count == count && !id_compare(&held.tip, tip));
  CHECK(!exchange_run(s->store, &input->log, count, &stored));
  CHECK(stored.len == sealed->len && !memcmp(stored.data, sealed->data, sealed->len));
  CHECK(!exchange_ingest(s->store, &input->log, &run, 1));
  buf_free(&stored);
}

static bool ingest(struct fuzz_store *s, const struct input *input, uint64_t before, struct dunlin_id *tip) {
  struct buf sealed = fuzz_buf();
  struct exchange_log held = {.count = 0};
  uint64_t count, live = s->memory.live;
  uint64_t first = before ? before + 1 : input->first;
  if (seal(s, input, first, tip, &sealed, &count)) {
    buf_free(&sealed);
    return false;
  }
  struct dunlin_bytes run = {sealed.data, sealed.len};
  s->memory.peak = live;
  int result = exchange_ingest(s->store, &input->log, &run, 1);
  CHECK(result == 1 || result == DUNLIN_EAUTH || result == DUNLIN_EFORMAT || result == DUNLIN_ELIMIT ||
        result == DUNLIN_ENOENT || result == DUNLIN_ENEWER || result == DUNLIN_ECONFLICT);
  CHECK(s->memory.peak - live <= FUZZ_MEMORY);
  if (result == 1) {
    CHECK(!input->wrong);
    check_held(s, input, first + count - 1, tip, &sealed);
  } else {
    CHECK(exchange_log_find(s->store, &input->log, &held) == (before ? 0 : DUNLIN_ENOENT) && held.count == before);
  }
  buf_free(&sealed);
  return result == 1;
}

/* Reads a branch from its first entry to its end; a run that is said to reach its own last entry ends in that entry. */
static void check_branch(struct fuzz_store *s, const struct exchange_log *log) {
  struct log_keys keys;
  struct buf sealed = fuzz_buf(), data = fuzz_buf();
  log_keys_derive(&keys, &s->keys, &log->name);
  for (uint64_t n = 1, reaches; n <= log->count; n = reaches + 1) {
    struct seal_header header;
    struct dunlin_id tip, entry;
    uint8_t signature[64];
    uint64_t count;
    CHECK(!exchange_branch_run(s->store, &log->name, &log->branch, n, &sealed, &reaches));
    CHECK(reaches >= n && reaches <= log->count && !seal_header_read(sealed.data, sealed.len, &header));
    CHECK(header.first <= n && reaches < header.first + header.count);
    if (reaches + 1 != header.first + header.count) continue;
    if (header.first == 1) tip = chain_start(&log->name);
    else CHECK(!exchange_entry(s->store, &log->name, &log->branch, header.first - 1, &tip));
    CHECK(!seal_open(&data, &keys, sealed.data, sealed.len, signature));
    CHECK(!run_chain(NULL, (struct dunlin_bytes){data.data, data.len}, NULL, &tip, &count));
    CHECK(!exchange_entry(s->store, &log->name, &log->branch, reaches, &entry) && !id_compare(&tip, &entry));
  }
  buf_free(&sealed);
  buf_free(&data);
}

static void check_branches(struct fuzz_store *s, const struct log_name *name, size_t branches) {
  struct exchange_log log;
  size_t found = 0;
  for (size_t i = 0; !exchange_log(s->store, &s->space, i, &log); i++) {
    if (actor_compare(&log.name.actor, &name->actor) || log.name.lane != name->lane) continue;
    check_branch(s, &log);
    found++;
  }
  CHECK(found == branches && branches && branches <= LOG_MAX_BRANCHES);
}

/* The author's store was copied, or it cheats: another run for the place of the first. */
static void ingest_fork(struct fuzz_store *s, struct fuzz_in *in, struct input *input) {
  struct dunlin_id tip = chain_start(&input->log);
  struct buf sealed = fuzz_buf();
  uint64_t count;
  size_t before = exchange_branches(s->store, &input->log);
  buf_clear(&input->data);
  input->wrong = false;
  put_groups(s, input, in);
  if (!input->data.error && !seal(s, input, 1, &tip, &sealed, &count)) {
    struct dunlin_bytes run = {sealed.data, sealed.len};
    int result = exchange_ingest(s->store, &input->log, &run, 1);
    size_t after = exchange_branches(s->store, &input->log);
    CHECK(result <= 1 && result != DUNLIN_ENOMEM && result != DUNLIN_ECORRUPT && result != DUNLIN_EIO);
    CHECK(result == 1 ? !input->wrong && after - before <= 1 : after == before);
    check_branches(s, &input->log, after);
    if (result == 1) CHECK(!exchange_ingest(s->store, &input->log, &run, 1));
  }
  buf_free(&sealed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_store *s = fuzz_store();
  struct fuzz_in in = fuzz_in_of(data, size);
  struct input input = read_input(s, &in);
  struct exchange_log held;
  struct dunlin_id tip = chain_start(&input.log);
  if (!input.data.error && ingest(s, &input, 0, &tip)) {
    if (input.flags & FLAG_TWICE) {
      CHECK(!exchange_log_find(s->store, &input.log, &held));
      ingest(s, &input, held.count, &tip);
    }
    input.extra = 0;
    for (unsigned i = 0; input.flags & FLAG_FORK && in.left && i < FORKS_MAX; i++) ingest_fork(s, &in, &input);
    check_documents(s);
    fuzz_store_reset(s);
    fuzz_accepted++;
  }
  buf_free(&input.data);
  return 0;
}

/* ---- Seeds ------------------------------------------------------------------------------------------------------- */

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  struct fuzz_store *s = fuzz_store();
  struct log_name log = fuzz_guest_log(s, LANE_NORMAL);
  struct dunlin_bytes delta = fuzz_guest_delta(s, &log);
  struct buf input = fuzz_buf();
  fuzz_put_byte(&input, 0);
  fuzz_put_byte(&input, 0);
  fuzz_put_byte(&input, 0);
  fuzz_put_chunk(&input, delta);
  fuzz_emit_buf(emit, ctx, "one", &input);
  input = fuzz_buf();
  fuzz_put_byte(&input, FLAG_TWICE | FLAG_URGENT);
  fuzz_put_byte(&input, 3);
  for (uint8_t i = 0; i < 4; i++) {
    fuzz_put_byte(&input, i);
    fuzz_put_chunk(&input, delta);
  }
  fuzz_emit_buf(emit, ctx, "groups", &input);
  input = fuzz_buf();
  fuzz_put_byte(&input, FLAG_FORK);
  for (uint8_t i = 0; i < 3; i++) { /* one group, two, and the first one in another document */
    fuzz_put_byte(&input, i == 1);
    for (uint8_t k = 0; k <= (i == 1); k++) {
      fuzz_put_byte(&input, i == 2 ? 2 : 0);
      fuzz_put_chunk(&input, delta);
    }
  }
  fuzz_emit_buf(emit, ctx, "fork", &input);
  input = fuzz_buf();
  fuzz_put_byte(&input, FLAG_RAW);
  mp_write_array(&input, 1);
  put_group(s, &input, 0, delta);
  fuzz_emit_buf(emit, ctx, "raw", &input);
  dunlin_free(NULL, (void *)(uintptr_t)delta.data, delta.len);
}
