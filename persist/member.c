#include "persist/member.h"

#include <sodium.h>
#include <string.h>

#include "persist/run.h"

#define LABEL "dunlin member 1"
enum op_type { OP_CREATE = 1, OP_GRANT = 2 };

struct op {
  enum op_type type;
  struct dunlin_bytes parents;
  struct dunlin_id author;
  struct exchange_device target;
  uint64_t role;
};

bool name_valid(const char *name, size_t len) {
  if (!len || len > DUNLIN_MAX_NAME || !utf8_valid(name, len, NULL)) return false;
  for (size_t i = 0; i < len; i++)
    if ((uint8_t)name[i] < 0x20 || name[i] == 0x7f) return false;
  return true;
}

void space_free(struct space *space) {
  if (!space) return;
  for (size_t i = 0; i < space->op_count; i++) env_free(space->env, space->ops[i].bytes, space->ops[i].len);
  ENV_FREE_ARRAY(space->env, space->ops, space->op_cap);
  ENV_FREE_ARRAY(space->env, space->members, space->member_cap);
  const struct dunlin_env *env = space->env;
  sodium_memzero(space, sizeof *space);
  env_free(env, space, sizeof *space);
}

/* ---- Operations as bytes ------------------------------------------------------------------------------------ */

static void read_into(struct mp_reader *r, void *out, size_t len) {
  memcpy(out, mp_read_bin_exact(r, len), len);
}

static void read_name(struct mp_reader *r, char out[DUNLIN_MAX_NAME + 1]) {
  struct dunlin_bytes name = mp_read_str(r, DUNLIN_MAX_NAME);
  if (!name_valid(name.data, name.len)) {
    mp_fail(r);
    return;
  }
  memcpy(out, name.data, name.len);
  out[name.len] = 0;
}

static bool ids_sorted(struct dunlin_bytes ids) {
  const uint8_t *at = ids.data;
  for (size_t i = 32; i < ids.len; i += 32)
    if (memcmp(at + i - 32, at + i, 32) >= 0) return false;
  return ids.len % 32 == 0;
}

static int op_parse(struct dunlin_bytes bytes, struct op *out) {
  struct mp_reader r = mp_reader_of(bytes.data, bytes.len);
  *out = (struct op){.role = DUNLIN_OWNER};
  size_t fields = mp_read_array(&r, 8);
  out->type = (enum op_type)mp_read_uint(&r, OP_GRANT);
  out->parents = mp_read_bin(&r, RUN_MAX_HEADS * 32);
  read_into(&r, out->author.bytes, 32);
  out->target.device = out->author;
  if (out->type == OP_GRANT) read_into(&r, out->target.device.bytes, 32);
  read_into(&r, out->target.noise_public, 32);
  read_into(&r, out->target.contact, 32);
  read_name(&r, out->target.name);
  if (out->type == OP_CREATE) mp_read_bin_exact(&r, 16);
  else out->role = mp_read_uint(&r, DUNLIN_WRITER);
  bool create = out->type == OP_CREATE;
  if (mp_end(&r) || !ids_sorted(out->parents) || fields != (create ? 7 : 8)) return DUNLIN_EFORMAT;
  if (!create && (out->type != OP_GRANT || out->role != DUNLIN_WRITER)) return DUNLIN_EFORMAT;
  return create == !out->parents.len ? 0 : DUNLIN_EFORMAT;
}

static struct dunlin_id op_id(const struct dunlin_env *env, struct dunlin_bytes op) {
  return env_hash(env, "dunlin.member.1", &op, 1);
}

/* What is signed; `out` holds it. */
static int op_message(const struct dunlin_id *space, struct dunlin_bytes op, struct buf *out) {
  buf_append(out, LABEL, sizeof LABEL - 1);
  buf_append(out, space->bytes, sizeof space->bytes);
  buf_append(out, op.data, op.len);
  return out->error;
}

static int op_check(const struct dunlin_env *env, const struct dunlin_id *space, struct dunlin_bytes bytes,
                    const struct dunlin_id *author, const uint8_t signature[64]) {
  struct buf message;
  buf_init(&message, env, SPACE_MAX_BYTES);
  int r = op_message(space, bytes, &message);
  if (!r && crypto_sign_verify_detached(signature, message.data, message.len, author->bytes)) r = DUNLIN_EAUTH;
  buf_free(&message);
  return r;
}

/* ---- Taking operations in ----------------------------------------------------------------------------------- */

static const struct dunlin_id no_space;

bool space_has_op(const struct space *space, const uint8_t id[32]) {
  for (size_t i = 0; i < space->op_count; i++)
    if (!memcmp(space->ops[i].id.bytes, id, 32)) return true;
  return false;
}

const struct member *space_member(const struct space *space, const struct dunlin_id *device) {
  for (size_t i = 0; i < space->member_count; i++)
    if (!id_compare(&space->members[i].device.device, device)) return &space->members[i];
  return NULL;
}

/* Whether the operation may stand here: the create first and alone, grants by the owner on known parents. */
static int op_allowed(const struct space *space, const struct op *op) {
  if ((op->type == OP_CREATE) != (space->op_count == 0)) return DUNLIN_EAUTH;
  if (op->type == OP_CREATE) return 0;
  for (size_t i = 0; i < op->parents.len; i += 32)
    if (!space_has_op(space, (const uint8_t *)op->parents.data + i)) return DUNLIN_ENOENT;
  return id_compare(&op->author, &space->members[0].device.device) ? DUNLIN_EAUTH : 0;
}

static int op_store(struct space *space, const struct op *op, const struct dunlin_id *id, struct dunlin_bytes bytes,
                    const uint8_t signature[64]) {
  bool new_member = !space_member(space, &op->target.device);
  if (space->op_count >= SPACE_MAX_OPS || space->member_count + new_member > DUNLIN_MAX_MEMBERS) return DUNLIN_ELIMIT;
  if (ENV_GROW(space->env, space->ops, space->op_cap, space->op_count + 1)) return DUNLIN_ENOMEM;
  if (ENV_GROW(space->env, space->members, space->member_cap, space->member_count + 1)) return DUNLIN_ENOMEM;
  struct member_op *slot = &space->ops[space->op_count];
  *slot = (struct member_op){.id = *id, .bytes = env_alloc(space->env, bytes.len), .len = bytes.len, .head = true};
  if (!slot->bytes) return DUNLIN_ENOMEM;
  memcpy(slot->bytes, bytes.data, bytes.len);
  memcpy(slot->signature, signature, 64);
  for (size_t i = 0; i < op->parents.len; i += 32)
    for (size_t k = 0; k < space->op_count; k++)
      if (!memcmp(space->ops[k].id.bytes, (const uint8_t *)op->parents.data + i, 32)) space->ops[k].head = false;
  space->op_count++;
  if (new_member)
    space->members[space->member_count++] = (struct member){.device = op->target, .role = (enum dunlin_role)op->role};
  return 1;
}

/* 1 when new, 0 when known. */
static int space_add_op(struct space *space, struct dunlin_bytes bytes, const uint8_t signature[64], bool check) {
  struct op op;
  struct dunlin_id id = op_id(space->env, bytes);
  if (space_has_op(space, id.bytes)) return 0;
  int r = op_parse(bytes, &op);
  if (!r) r = op_allowed(space, &op);
  if (!r && op.type == OP_CREATE && id_compare(&id, &space->id)) r = DUNLIN_EAUTH;
  if (!r && check)
    r = op_check(space->env, op.type == OP_CREATE ? &no_space : &space->id, bytes, &op.author, signature);
  return r ? r : op_store(space, &op, &id, bytes, signature);
}

/* ---- Making operations -------------------------------------------------------------------------------------- */

static void write_target(struct buf *out, const struct exchange_device *device) {
  mp_write_bin(out, device->noise_public, 32);
  mp_write_bin(out, device->contact, 32);
  mp_write_str(out, device->name, strlen(device->name));
}

/* Signs the operation in `op` and adds it. */
static int sign_and_add(struct space *space, const struct dunlin_id *signed_space, const struct device *device,
                        const struct buf *op) {
  struct buf message;
  uint8_t signature[64];
  struct dunlin_bytes bytes = {op->data, op->len};
  buf_init(&message, space->env, SPACE_MAX_BYTES);
  int r = op->error ? op->error : op_message(signed_space, bytes, &message);
  if (!r) crypto_sign_detached(signature, NULL, message.data, message.len, device->sign_secret);
  if (!r) r = space_add_op(space, bytes, signature, false);
  buf_free(&message);
  return r;
}

int space_create(const struct dunlin_env *env, const struct device *device, const char *alias, struct space **out) {
  struct space *space = env_calloc(env, 1, sizeof *space);
  uint8_t nonce[16];
  struct buf op;
  buf_init(&op, env, SPACE_MAX_BYTES);
  if (!space) return DUNLIN_ENOMEM;
  space->env = env;
  memcpy(space->alias, alias, strlen(alias) + 1);
  int r = env->random(env->ctx, nonce, sizeof nonce);
  if (!r) r = env->random(env->ctx, space->keys.routing, 32);
  if (!r) r = env->random(env->ctx, space->keys.epoch_key, 32);
  mp_write_array(&op, 7);
  mp_write_uint(&op, OP_CREATE);
  mp_write_bin(&op, NULL, 0);
  mp_write_bin(&op, device->self.device.bytes, 32);
  write_target(&op, &device->self);
  mp_write_bin(&op, nonce, sizeof nonce);
  space->id = space->keys.epoch = op_id(env, (struct dunlin_bytes){op.data, op.len});
  if (!r) r = sign_and_add(space, &no_space, device, &op);
  buf_free(&op);
  if (r < 0) {
    space_free(space);
    return r;
  }
  *out = space;
  return 0;
}

int space_grant(struct space *space, const struct device *device, const struct exchange_device *guest) {
  uint8_t heads[RUN_MAX_HEADS * 32];
  struct buf op;
  if (id_compare(&space->members[0].device.device, &device->self.device)) return DUNLIN_EPERM;
  if (space_member(space, &guest->device)) return 0;
  if (!name_valid(guest->name, strnlen(guest->name, sizeof guest->name))) return DUNLIN_EINVAL;
  buf_init(&op, space->env, SPACE_MAX_BYTES);
  mp_write_array(&op, 8);
  mp_write_uint(&op, OP_GRANT);
  mp_write_bin(&op, heads, space_heads(space, heads));
  mp_write_bin(&op, device->self.device.bytes, 32);
  mp_write_bin(&op, guest->device.bytes, 32);
  write_target(&op, guest);
  mp_write_uint(&op, DUNLIN_WRITER);
  int r = sign_and_add(space, &space->id, device, &op);
  buf_free(&op);
  return r;
}

/* ---- Spaces as bytes ---------------------------------------------------------------------------------------- */

void space_write_ops(const struct space *space, struct buf *out) {
  mp_write_array(out, space->op_count);
  for (size_t i = 0; i < space->op_count; i++) {
    mp_write_array(out, 2);
    mp_write_bin(out, space->ops[i].bytes, space->ops[i].len);
    mp_write_bin(out, space->ops[i].signature, 64);
  }
}

static int read_ops(struct space *space, struct mp_reader *r, bool check) {
  size_t count = mp_read_array(r, SPACE_MAX_OPS);
  int added = 0;
  for (size_t i = 0; i < count && !r->error; i++) {
    if (mp_read_array(r, 2) != 2) mp_fail(r);
    struct dunlin_bytes op = mp_read_bin(r, SPACE_MAX_BYTES);
    const uint8_t *signature = mp_read_bin_exact(r, 64);
    int result = r->error ? DUNLIN_EFORMAT : space_add_op(space, op, signature, check);
    if (result < 0) return result;
    added += result;
  }
  return mp_end(r) ? DUNLIN_EFORMAT : added;
}

int space_read_ops(struct space *space, struct dunlin_bytes message, bool check) {
  struct mp_reader r = mp_reader_of(message.data, message.len);
  return read_ops(space, &r, check);
}

void space_write(const struct space *space, struct buf *out) {
  mp_write_array(out, 5);
  mp_write_str(out, space->alias, strlen(space->alias));
  mp_write_bin(out, space->keys.routing, 32);
  mp_write_bin(out, space->keys.epoch.bytes, 32);
  mp_write_bin(out, space->keys.epoch_key, 32);
  space_write_ops(space, out);
}

int space_read(const struct dunlin_env *env, struct dunlin_bytes bytes, bool check, struct space **out) {
  struct mp_reader r = mp_reader_of(bytes.data, bytes.len);
  struct space *space = env_calloc(env, 1, sizeof *space);
  if (!space) return DUNLIN_ENOMEM;
  space->env = env;
  if (mp_read_array(&r, 5) != 5) mp_fail(&r);
  read_name(&r, space->alias);
  read_into(&r, space->keys.routing, 32);
  read_into(&r, space->keys.epoch.bytes, 32);
  read_into(&r, space->keys.epoch_key, 32);
  space->id = space->keys.epoch;
  int result = r.error ? DUNLIN_EFORMAT : read_ops(space, &r, check);
  if (result >= 0 && !space->op_count) result = DUNLIN_EFORMAT;
  if (result < 0) {
    space_free(space);
    return result;
  }
  *out = space;
  return 0;
}

/* ---- What follows from the operations ----------------------------------------------------------------------- */

static size_t insert_sorted(uint8_t *ids, size_t len, const struct dunlin_id *id) {
  size_t at = len;
  for (; at && memcmp(ids + at - 32, id->bytes, 32) > 0; at -= 32) memcpy(ids + at, ids + at - 32, 32);
  memcpy(ids + at, id->bytes, 32);
  return len + 32;
}

size_t space_heads(const struct space *space, uint8_t *out) {
  size_t len = 0;
  for (size_t i = 0; i < space->op_count && len < RUN_MAX_HEADS * 32; i++)
    if (space->ops[i].head) len = insert_sorted(out, len, &space->ops[i].id);
  return len;
}

struct dunlin_id space_ops_hash(const struct space *space) {
  uint8_t ids[SPACE_MAX_OPS * 32];
  size_t len = 0;
  for (size_t i = 0; i < space->op_count; i++) len = insert_sorted(ids, len, &space->ops[i].id);
  return env_hash(space->env, "dunlin.members.1", &(struct dunlin_bytes){ids, len}, 1);
}
