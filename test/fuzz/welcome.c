/* A welcome from a host that lies: what space_read() takes is a space that one device has made, which signed every
 * operation in it and owns it, and it is written back byte for byte.  What it refuses costs little and leaves nothing.
 *
 * Input: flags; with FLAG_RAW the rest is the welcome.  Else a chunk, the alias; then operations: a byte that says who
 * signs, and a chunk, in which FUZZ_MARK and a number stand for 32 bytes that cannot be guessed: see known(). */
#include <sodium.h>

#include "persist/member.h"
#include "test/fault/seeded.h"
#include "test/fuzz/fuzz.h"

#define FLAG_RAW 1u
#define OPS_MAX 32u

enum { HOST, OTHER, PEOPLE, SIGNER = PEOPLE, FIRST_OP };

struct built {
  struct dunlin_id people[PEOPLE];
  uint8_t secrets[PEOPLE][64];
  struct dunlin_id ids[OPS_MAX];
  uint8_t signers[OPS_MAX], signer;
  size_t count;
};

static struct dunlin_bytes known(void *ctx, uint8_t which) {
  struct built *b = ctx;
  const struct dunlin_id *id = &b->people[b->signer];
  if (which < PEOPLE) id = &b->people[which];
  else if (which >= FIRST_OP && b->count) id = &b->ids[(which - FIRST_OP) % b->count];
  return (struct dunlin_bytes){id->bytes, sizeof id->bytes};
}

static void make_people(struct built *b) {
  *b = (struct built){.count = 0};
  for (uint8_t i = 0; i < PEOPLE; i++) {
    uint8_t seed[32] = {2, i};
    crypto_sign_seed_keypair(b->people[i].bytes, b->secrets[i], seed);
  }
}

/* The first operation names the space and is signed for none. */
static void put_op(struct buf *ops, struct built *b, struct dunlin_bytes chunk) {
  struct buf op = fuzz_substitute(chunk, known, b), message = fuzz_buf();
  static const struct dunlin_id none;
  uint8_t signature[64];
  buf_append(&message, "dunlin member 1", 15);
  buf_append(&message, b->count ? b->ids[0].bytes : none.bytes, 32);
  buf_append(&message, op.data, op.len);
  crypto_sign_detached(signature, NULL, message.data, message.len, b->secrets[b->signer]);
  mp_write_array(ops, 2);
  mp_write_bin(ops, op.data, op.len);
  mp_write_bin(ops, signature, 64);
  b->signers[b->count] = b->signer;
  b->ids[b->count++] = env_hash(dunlin_env_default(), "dunlin.member.1", &(struct dunlin_bytes){op.data, op.len}, 1);
  buf_free(&op);
  buf_free(&message);
}

static void build(struct fuzz_in *in, struct built *b, struct buf *welcome) {
  static const uint8_t key[32] = {1};
  struct dunlin_bytes alias = fuzz_chunk(in);
  struct buf ops = fuzz_buf();
  while (in->left && b->count < OPS_MAX) {
    b->signer = fuzz_byte(in) % PEOPLE;
    put_op(&ops, b, fuzz_chunk(in));
  }
  mp_write_array(welcome, 5);
  mp_write_str(welcome, alias.data, alias.len);
  mp_write_bin(welcome, key, 32);
  mp_write_bin(welcome, b->ids[0].bytes, 32);
  mp_write_bin(welcome, key, 32);
  mp_write_array(welcome, b->count);
  buf_append(welcome, ops.data, ops.len);
  buf_free(&ops);
}

static bool signed_by(const struct built *b, const struct dunlin_id *op, const struct dunlin_id *owner) {
  for (size_t i = 0; i < b->count; i++)
    if (!id_compare(&b->ids[i], op) && !id_compare(&b->people[b->signers[i]], owner)) return true;
  return false;
}

static void check_space(const struct space *space, const struct built *b, const struct buf *welcome) {
  const struct dunlin_id *owner = &space->members[0].device.device;
  struct buf again = fuzz_buf();
  CHECK(space->op_count && space->op_count <= SPACE_MAX_OPS && space->member_count <= DUNLIN_MAX_MEMBERS);
  CHECK(!id_compare(&space->ops[0].id, &space->id) && name_valid(space->alias, strlen(space->alias)));
  for (size_t i = 0; i < space->op_count && b->count; i++) CHECK(signed_by(b, &space->ops[i].id, owner));
  for (size_t i = 0; i < space->member_count; i++) CHECK(space->members[i].role == (i ? DUNLIN_WRITER : DUNLIN_OWNER));
  space_write(space, &again);
  /* An operation that comes twice is kept once. */
  CHECK(again.len <= welcome->len && (again.len < welcome->len || !memcmp(again.data, welcome->data, again.len)));
  CHECK(!b->count || space->op_count < b->count || again.len == welcome->len);
  buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_in in = fuzz_in_of(data, size);
  struct seeded memory;
  struct built b;
  struct space *space = NULL;
  struct buf welcome = fuzz_buf();
  make_people(&b);
  seeded_init(&memory, 1);
  if (fuzz_byte(&in) & FLAG_RAW) buf_append(&welcome, in.at, in.left);
  else build(&in, &b, &welcome);
  uint8_t *copy = fuzz_copy((struct dunlin_bytes){welcome.data, welcome.len});
  int error = space_read(&memory.env, (struct dunlin_bytes){copy, welcome.len}, true, &space);
  CHECK(error <= 0 && error != DUNLIN_ENOMEM && memory.peak <= FUZZ_MEMORY);
  CHECK(error ? !space && !memory.live : space != NULL);
  if (space) check_space(space, &b, &welcome);
  fuzz_accepted += space != NULL;
  space_free(space);
  CHECK(!memory.live);
  free(copy);
  buf_free(&welcome);
  return 0;
}

/* ---- Seeds ------------------------------------------------------------------------------------------------------- */

static void put_mark(struct buf *op, uint8_t which) {
  buf_append(op, "\xc4\x20", 2); /* 32 bytes follow */
  fuzz_put_mark(op, which);
}

/* A create, or a grant to `device` on the create. */
static void put_seed_op(struct buf *input, uint8_t author, uint8_t device, const char *name) {
  static const uint8_t key[32] = {7};
  struct buf op = fuzz_buf();
  bool create = device == PEOPLE;
  mp_write_array(&op, create ? 7 : 8);
  mp_write_uint(&op, create ? 1 : 2);
  if (create) mp_write_bin(&op, NULL, 0);
  else put_mark(&op, FIRST_OP);
  put_mark(&op, author);
  if (!create) put_mark(&op, device);
  mp_write_bin(&op, key, 32);
  mp_write_bin(&op, key, 32);
  mp_write_str(&op, name, strlen(name));
  if (create) mp_write_bin(&op, key, 16);
  else mp_write_uint(&op, DUNLIN_WRITER);
  fuzz_put_byte(input, HOST);
  fuzz_put_chunk(input, (struct dunlin_bytes){op.data, op.len});
  buf_free(&op);
}

/* What is built of the input so far, as it is. */
static void emit_raw(fuzz_emit *emit, void *ctx, const char *name, const struct buf *input) {
  struct buf raw = fuzz_buf(), welcome = fuzz_buf();
  struct built b;
  struct fuzz_in in = fuzz_in_of(input->data + 1, input->len - 1);
  make_people(&b);
  build(&in, &b, &welcome);
  fuzz_put_byte(&raw, FLAG_RAW);
  buf_append(&raw, welcome.data, welcome.len);
  buf_free(&welcome);
  fuzz_emit_buf(emit, ctx, name, &raw);
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  struct buf input = fuzz_buf();
  fuzz_put_byte(&input, 0);
  fuzz_put_chunk(&input, (struct dunlin_bytes){"home", 4});
  put_seed_op(&input, SIGNER, PEOPLE, "host");
  emit_raw(emit, ctx, "raw-create", &input);
  put_seed_op(&input, SIGNER, OTHER, "guest");
  put_seed_op(&input, HOST, HOST, "host again");
  emit_raw(emit, ctx, "raw", &input);
  fuzz_emit_buf(emit, ctx, "built", &input);
}
