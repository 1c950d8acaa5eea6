/* Membership operations of anybody, well signed: whatever space_read_ops() takes in, only the owner's grants make
 * members, heads are the operations that no other names, the space reads back equal from its bytes, and its operations
 * are taken in again as nothing new.
 *
 * Input: flags; with FLAG_RAW the rest is the message.  Else operations: a byte that says who signs it, and a chunk; in
 * chunks FUZZ_MARK and a number stand for 32 bytes that cannot be guessed: see known(). */
#include <sodium.h>

#include "persist/member.h"
#include "persist/run.h"
#include "test/fault/seeded.h"
#include "test/fuzz/fuzz.h"

#define FLAG_RAW 1u
#define FLAG_UNCHECKED 2u /* as a store reads what it has sealed itself */

enum { OWNER, GUEST, STRANGER, PEOPLE, CREATE = PEOPLE, SIGNER };
static struct device people[PEOPLE];
static unsigned signer; /* of the operation that is being built */

static struct dunlin_bytes known(void *ctx, uint8_t which) {
  const struct space *space = ctx;
  const struct dunlin_id *id = &space->ops[which % space->op_count].id;
  if (which < PEOPLE) id = &people[which].self.device;
  if (which == SIGNER) id = &people[signer].self.device;
  if (which == CREATE) id = &space->id;
  return (struct dunlin_bytes){id->bytes, sizeof id->bytes};
}

static void make_people(void) {
  static const char *const names[] = {"owner", "guest", "stranger"};
  for (uint8_t i = 0; i < PEOPLE; i++) {
    uint8_t seed[32] = {1, i};
    crypto_sign_seed_keypair(people[i].self.device.bytes, people[i].sign_secret, seed);
    memset(people[i].self.noise_public, 10 + i, 32);
    memset(people[i].self.contact, 20 + i, 32);
    snprintf(people[i].self.name, sizeof people[i].self.name, "%s", names[i]);
  }
}

static void sign_op(struct buf *message, const struct space *space, const struct device *by, const struct buf *op) {
  struct buf signed_bytes = fuzz_buf();
  uint8_t signature[64];
  buf_append(&signed_bytes, "dunlin member 1", 15);
  buf_append(&signed_bytes, space->id.bytes, 32);
  buf_append(&signed_bytes, op->data, op->len);
  crypto_sign_detached(signature, NULL, signed_bytes.data, signed_bytes.len, by->sign_secret);
  mp_write_array(message, 2);
  mp_write_bin(message, op->data, op->len);
  mp_write_bin(message, signature, 64);
  buf_free(&signed_bytes);
}

/* One message for each operation, so that one can build on another. */
static int read_built(struct space *space, struct fuzz_in *in) {
  int added = 0;
  while (in->left) {
    signer = fuzz_byte(in) % PEOPLE;
    struct buf op = fuzz_substitute(fuzz_chunk(in), known, space), message = fuzz_buf();
    mp_write_array(&message, 1);
    sign_op(&message, space, &people[signer], &op);
    int result = space_read_ops(space, (struct dunlin_bytes){message.data, message.len}, true);
    CHECK(result <= 1 && result != DUNLIN_ENOMEM);
    if (result == 1) CHECK(signer == OWNER);
    added += result > 0;
    buf_free(&op);
    buf_free(&message);
  }
  return added;
}

static void check_heads(const struct space *space) {
  uint8_t heads[RUN_MAX_HEADS * 32];
  size_t len = space_heads(space, heads);
  CHECK(len && len % 32 == 0 && len <= sizeof heads);
  for (size_t i = 0; i < len; i += 32) {
    CHECK(space_has_op(space, heads + i));
    CHECK(!i || memcmp(heads + i - 32, heads + i, 32) < 0);
  }
}

static void check_space(struct space *space) {
  struct buf bytes = fuzz_buf(), again = fuzz_buf(), ops = fuzz_buf();
  struct space *copy = NULL;
  CHECK(space->member_count && space->member_count <= DUNLIN_MAX_MEMBERS && space->op_count <= SPACE_MAX_OPS);
  CHECK(!id_compare(&space->members[0].device.device, &people[OWNER].self.device));
  for (size_t i = 0; i < space->member_count; i++) {
    const struct member *m = &space->members[i];
    CHECK(name_valid(m->device.name, strlen(m->device.name)) && m->role == (i ? DUNLIN_WRITER : DUNLIN_OWNER));
    CHECK(space_member(space, &m->device.device) == m);
  }
  check_heads(space);
  space_write(space, &bytes);
  CHECK(!space_read(space->env, (struct dunlin_bytes){bytes.data, bytes.len}, false, &copy));
  space_write(copy, &again);
  CHECK(again.len == bytes.len && !memcmp(again.data, bytes.data, bytes.len));
  struct dunlin_id x = space_ops_hash(space), y = space_ops_hash(copy);
  CHECK(!id_compare(&x, &y));
  space_write_ops(space, &ops);
  CHECK(!space_read_ops(copy, (struct dunlin_bytes){ops.data, ops.len}, true));
  space_free(copy);
  buf_free(&bytes);
  buf_free(&again);
  buf_free(&ops);
}

static struct space *make_space(struct seeded *memory) {
  struct space *space = NULL;
  if (!people[OWNER].self.name[0]) make_people();
  seeded_init(memory, 1);
  CHECK(!space_create(&memory->env, &people[OWNER], "home", &space));
  return space;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_in in = fuzz_in_of(data, size);
  struct seeded memory;
  struct space *space = make_space(&memory);
  uint8_t flags = fuzz_byte(&in);
  int added = flags & FLAG_RAW ? space_read_ops(space, (struct dunlin_bytes){in.at, in.left}, !(flags & FLAG_UNCHECKED))
                               : read_built(space, &in);
  CHECK(added != DUNLIN_ENOMEM && memory.peak <= FUZZ_MEMORY);
  check_space(space);
  fuzz_accepted += added > 0;
  space_free(space);
  CHECK(!memory.live);
  return 0;
}

/* ---- Seeds ------------------------------------------------------------------------------------------------------- */

static void put_mark(struct buf *op, uint8_t which) {
  buf_append(op, "\xc4\x20", 2); /* 32 bytes follow */
  fuzz_put_mark(op, which);
}

/* A grant by the owner on operation `parent` of the space. */
static void put_grant(struct buf *input, uint8_t parent, uint8_t device, const char *name) {
  struct buf op = fuzz_buf();
  mp_write_array(&op, 8);
  mp_write_uint(&op, 2);
  put_mark(&op, parent);
  put_mark(&op, SIGNER);
  put_mark(&op, device);
  mp_write_bin(&op, people[GUEST].self.noise_public, 32);
  mp_write_bin(&op, people[GUEST].self.contact, 32);
  mp_write_str(&op, name, strlen(name));
  mp_write_uint(&op, DUNLIN_WRITER);
  fuzz_put_byte(input, OWNER);
  fuzz_put_chunk(input, (struct dunlin_bytes){op.data, op.len});
  buf_free(&op);
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  struct seeded memory;
  struct space *space = make_space(&memory);
  struct buf input = fuzz_buf();
  fuzz_put_byte(&input, 0);
  put_grant(&input, CREATE, GUEST, "guest");
  put_grant(&input, CREATE, STRANGER, "\xc3\xa9t\xc3\xa9");
  put_grant(&input, CREATE, GUEST, "again");
  fuzz_emit_buf(emit, ctx, "grants", &input);
  CHECK(space_grant(space, &people[OWNER], &people[GUEST].self) == 1);
  CHECK(space_grant(space, &people[OWNER], &people[STRANGER].self) == 1);
  input = fuzz_buf();
  fuzz_put_byte(&input, FLAG_RAW);
  space_write_ops(space, &input);
  fuzz_emit_buf(emit, ctx, "message", &input);
  space_free(space);
}
