#include "persist/record.h"

#include <sodium.h>
#include <string.h>

#define TABLE "meta"

struct record_key record_key(enum record_type type, const void *a, size_t a_len, const void *b, size_t b_len) {
  struct record_key key = {.bytes = {(uint8_t)type}, .len = 1};
  if (a_len) memcpy(key.bytes + key.len, a, a_len);
  key.len += a_len;
  if (b_len) memcpy(key.bytes + key.len, b, b_len);
  key.len += b_len;
  return key;
}

static struct dunlin_bytes key_bytes(const struct record_key *key) {
  return (struct dunlin_bytes){key->bytes, key->len};
}

static void wipe(struct buf *buf) {
  if (buf->data) sodium_memzero(buf->data, buf->cap);
  buf_free(buf);
}

static int unseal(const struct records *records, struct dunlin_bytes key, struct dunlin_bytes sealed, struct buf *out) {
  int r = vault_unseal(records->vault, TABLE, key, sealed, out);
  return r && r != DUNLIN_ENOMEM ? DUNLIN_ECORRUPT : r;
}

int record_get(const struct records *records, struct storage_txn *txn, const struct record_key *key, struct buf *out) {
  struct dunlin_bytes sealed;
  int r = storage_get_meta(txn, key_bytes(key), &sealed);
  return r ? r : unseal(records, key_bytes(key), sealed, out);
}

int record_put(const struct records *records, struct storage_txn *txn, const struct record_key *key,
               const struct buf *plain) {
  struct buf sealed;
  if (plain->error) return plain->error;
  buf_init(&sealed, records->env, SPACE_MAX_BYTES + VAULT_OVERHEAD);
  int r = vault_seal(records->vault, records->env, TABLE, key_bytes(key),
                     (struct dunlin_bytes){plain->data, plain->len}, &sealed);
  if (!r) r = storage_put_meta(txn, key_bytes(key), (struct dunlin_bytes){sealed.data, sealed.len});
  buf_free(&sealed);
  return r;
}

struct each {
  const struct records *records;
  int type;
  record_each_fn *fn;
  void *ctx;
  struct buf plain;
};

static int each_record(void *ctx, struct dunlin_bytes key, struct dunlin_bytes value) {
  struct each *e = ctx;
  const uint8_t *type = key.data;
  if (!key.len || key.len > RECORD_KEY_MAX) return DUNLIN_ECORRUPT;
  if (e->type && *type != e->type) return 0;
  int r = unseal(e->records, key, value, &e->plain);
  return r ? r : e->fn(e->ctx, key, (struct dunlin_bytes){e->plain.data, e->plain.len});
}

int record_each(const struct records *records, struct storage_txn *txn, int type, record_each_fn *each, void *ctx) {
  struct each e = {.records = records, .type = type, .fn = each, .ctx = ctx};
  buf_init(&e.plain, records->env, SPACE_MAX_BYTES);
  int r = storage_each_meta(txn, each_record, &e);
  wipe(&e.plain);
  return r;
}

/* ---- One function for each type and direction ----------------------------------------------------------------- */

static void copy_bin(struct mp_reader *r, void *out, size_t len) {
  memcpy(out, mp_read_bin_exact(r, len), len);
}

/* Reads what a record holds, then wipes it. */
typedef void parse_fn(struct mp_reader *r, void *out);
static int get_parsed(const struct records *records, struct storage_txn *txn, const struct record_key *key,
                      parse_fn *parse, void *out) {
  struct buf plain;
  buf_init(&plain, records->env, SPACE_MAX_BYTES);
  int r = record_get(records, txn, key, &plain);
  if (!r) {
    struct mp_reader reader = mp_reader_of(plain.data, plain.len);
    parse(&reader, out);
    r = mp_end(&reader) ? DUNLIN_ECORRUPT : 0;
  }
  wipe(&plain);
  return r;
}

static int put_wiped(const struct records *records, struct storage_txn *txn, const struct record_key *key,
                     struct buf *plain) {
  int r = record_put(records, txn, key, plain);
  wipe(plain);
  return r;
}

static void parse_number(struct mp_reader *r, void *out) {
  if (mp_read_array(r, 1) != 1) mp_fail(r);
  *(uint64_t *)out = mp_read_uint(r, UINT64_MAX);
}

int record_get_generation(const struct records *records, struct storage_txn *txn, uint64_t *out) {
  struct record_key key = record_key(RECORD_GENERATION, NULL, 0, NULL, 0);
  int r = get_parsed(records, txn, &key, parse_number, out);
  if (r == DUNLIN_ENOENT) *out = 0;
  return r == DUNLIN_ENOENT ? 0 : r;
}

int record_bump_generation(const struct records *records, struct storage_txn *txn) {
  struct record_key key = record_key(RECORD_GENERATION, NULL, 0, NULL, 0);
  uint64_t now;
  struct buf plain;
  int r = record_get_generation(records, txn, &now);
  if (r) return r;
  buf_init(&plain, records->env, 16);
  mp_write_array(&plain, 1);
  mp_write_uint(&plain, now + 1);
  return put_wiped(records, txn, &key, &plain);
}

int record_put_device(const struct records *records, struct storage_txn *txn, const struct device *device) {
  struct record_key key = record_key(RECORD_DEVICE, NULL, 0, NULL, 0);
  struct buf plain;
  buf_init(&plain, records->env, 1024);
  mp_write_array(&plain, 4);
  mp_write_bin(&plain, device->sign_secret, 64);
  mp_write_bin(&plain, device->noise_secret, 32);
  mp_write_bin(&plain, device->self.contact, 32);
  mp_write_str(&plain, device->self.name, strlen(device->self.name));
  return put_wiped(records, txn, &key, &plain);
}

static void parse_device(struct mp_reader *r, void *out) {
  struct device *device = out;
  if (mp_read_array(r, 4) != 4) mp_fail(r);
  copy_bin(r, device->sign_secret, 64);
  copy_bin(r, device->noise_secret, 32);
  copy_bin(r, device->self.contact, 32);
  struct dunlin_bytes name = mp_read_str(r, DUNLIN_MAX_NAME);
  memcpy(device->self.name, name.data, name.len);
  memcpy(device->self.device.bytes, device->sign_secret + 32, 32);
  if (!r->error && crypto_scalarmult_base(device->self.noise_public, device->noise_secret)) mp_fail(r);
}

int record_get_device(const struct records *records, struct storage_txn *txn, struct device *out) {
  struct record_key key = record_key(RECORD_DEVICE, NULL, 0, NULL, 0);
  *out = (struct device){0};
  return get_parsed(records, txn, &key, parse_device, out);
}

int record_put_space(const struct records *records, struct storage_txn *txn, const struct space *space) {
  struct record_key key = record_key(RECORD_SPACE, space->id.bytes, 32, NULL, 0);
  struct buf plain;
  buf_init(&plain, records->env, SPACE_MAX_BYTES);
  space_write(space, &plain);
  return put_wiped(records, txn, &key, &plain);
}

int record_get_space(const struct records *records, struct storage_txn *txn, const struct dunlin_id *id,
                     struct space **out) {
  struct record_key key = record_key(RECORD_SPACE, id->bytes, 32, NULL, 0);
  struct buf plain;
  buf_init(&plain, records->env, SPACE_MAX_BYTES);
  int r = record_get(records, txn, &key, &plain);
  if (!r) r = space_read(records->env, (struct dunlin_bytes){plain.data, plain.len}, false, out);
  wipe(&plain);
  return r;
}

int record_put_log(const struct records *records, struct storage_txn *txn, const struct log_name *log) {
  struct dunlin_id id = chain_start(log);
  struct record_key key = record_key(RECORD_LOG, id.bytes, 32, NULL, 0);
  struct buf plain;
  buf_init(&plain, records->env, 256);
  mp_write_array(&plain, 4);
  mp_write_bin(&plain, log->space.bytes, 32);
  mp_write_bin(&plain, log->device.bytes, 32);
  mp_write_bin(&plain, log->actor.bytes, 16);
  mp_write_uint(&plain, log->lane);
  return put_wiped(records, txn, &key, &plain);
}

int record_parse_log(struct dunlin_bytes plain, struct log_name *out) {
  struct mp_reader r = mp_reader_of(plain.data, plain.len);
  *out = (struct log_name){0};
  if (mp_read_array(&r, 4) != 4) mp_fail(&r);
  copy_bin(&r, out->space.bytes, 32);
  copy_bin(&r, out->device.bytes, 32);
  copy_bin(&r, out->actor.bytes, 16);
  out->lane = (uint8_t)mp_read_uint(&r, LANE_BULK);
  return mp_end(&r) ? DUNLIN_ECORRUPT : 0;
}

static void parse_slot(struct mp_reader *r, void *out) {
  if (mp_read_array(r, 1) != 1) mp_fail(r);
  copy_bin(r, out, 16);
}

int record_get_slot(const struct records *records, struct storage_txn *txn, uint8_t slot, struct dunlin_actor *out) {
  struct record_key key = record_key(RECORD_SLOT, &slot, 1, NULL, 0);
  return get_parsed(records, txn, &key, parse_slot, out);
}

int record_put_slot(const struct records *records, struct storage_txn *txn, uint8_t slot,
                    const struct dunlin_actor *actor) {
  struct record_key key = record_key(RECORD_SLOT, &slot, 1, NULL, 0);
  struct buf plain;
  buf_init(&plain, records->env, 64);
  mp_write_array(&plain, 1);
  mp_write_bin(&plain, actor->bytes, 16);
  return put_wiped(records, txn, &key, &plain);
}

int record_put_parent(const struct records *records, struct storage_txn *txn, const struct parent_record *in) {
  uint8_t arrival[8];
  put_be64(arrival, in->arrival);
  struct record_key key = record_key(RECORD_PARENT, arrival, sizeof arrival, NULL, 0);
  struct buf plain;
  buf_init(&plain, records->env, 32);
  mp_write_array(&plain, 2);
  mp_write_uint(&plain, in->parent);
  mp_write_uint(&plain, in->entry);
  return put_wiped(records, txn, &key, &plain);
}

int record_parse_parent(struct dunlin_bytes key, struct dunlin_bytes plain, struct parent_record *out) {
  struct mp_reader r = mp_reader_of(plain.data, plain.len);
  if (key.len != 9 || mp_read_array(&r, 2) != 2) return DUNLIN_ECORRUPT;
  out->arrival = get_be64((const uint8_t *)key.data + 1);
  out->parent = mp_read_uint(&r, UINT64_MAX);
  out->entry = mp_read_uint(&r, UINT64_MAX);
  return mp_end(&r) ? DUNLIN_ECORRUPT : 0;
}

struct record_key record_invitation_key(const struct records *records, const uint8_t secret[32]) {
  struct dunlin_id id = env_hash(records->env, "dunlin.invite.1", &(struct dunlin_bytes){secret, 32}, 1);
  return record_key(RECORD_INVITATION, id.bytes, 32, NULL, 0);
}

static void parse_invitation(struct mp_reader *r, void *ctx) {
  struct invitation_record *out = ctx;
  if (mp_read_array(r, 4) != 4) mp_fail(r);
  copy_bin(r, out->secret, 32);
  copy_bin(r, out->space.bytes, 32);
  out->expires = mp_read_int(r);
  copy_bin(r, out->guest, 32);
}

int record_parse_invitation(struct dunlin_bytes plain, struct invitation_record *out) {
  struct mp_reader r = mp_reader_of(plain.data, plain.len);
  parse_invitation(&r, out);
  return mp_end(&r) ? DUNLIN_ECORRUPT : 0;
}

int record_get_invitation(const struct records *records, struct storage_txn *txn, const struct record_key *key,
                          struct invitation_record *out) {
  return get_parsed(records, txn, key, parse_invitation, out);
}

int record_put_invitation(const struct records *records, struct storage_txn *txn, const struct invitation_record *in) {
  struct record_key key = record_invitation_key(records, in->secret);
  struct buf plain;
  buf_init(&plain, records->env, 256);
  mp_write_array(&plain, 4);
  mp_write_bin(&plain, in->secret, 32);
  mp_write_bin(&plain, in->space.bytes, 32);
  mp_write_int(&plain, in->expires);
  mp_write_bin(&plain, in->guest, 32);
  return put_wiped(records, txn, &key, &plain);
}
