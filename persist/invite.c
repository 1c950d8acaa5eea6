/* Invitations: one line of text, and what the inviting store remembers of it.
 *
 *   line   "dunlin1." | base64url without padding of (body | first 8 bytes of H256("dunlin.line.1", body))
 *   body   msgpack [address str, device bin32, secret bin32, expires int]
 */
#include <sodium.h>
#include <string.h>

#include "persist/store.h"

#define PREFIX "dunlin1."
#define PREFIX_LEN (sizeof PREFIX - 1)
#define CHECK_LEN 8u
#define BODY_MAX 384u

/* An invitation that has expired is remembered for a week, so that who comes late hears that and not "unknown". */
#define FORGET_US ((int64_t)7 * 24 * 3600 * 1000000)

static void line_check(const struct dunlin_env *env, const uint8_t *body, size_t len, uint8_t out[CHECK_LEN]) {
  struct dunlin_id id = env_hash(env, "dunlin.line.1", &(struct dunlin_bytes){body, len}, 1);
  memcpy(out, id.bytes, CHECK_LEN);
}

/* ---- The line ----------------------------------------------------------------------------------------------- */

static int line_write(const struct dunlin_env *env, const struct dunlin_invitation *in,
                      char line[DUNLIN_INVITATION_MAX]) {
  struct buf body;
  uint8_t check[CHECK_LEN];
  buf_init(&body, env, BODY_MAX + CHECK_LEN);
  mp_write_array(&body, 4);
  mp_write_str(&body, in->address, strlen(in->address));
  mp_write_bin(&body, in->device.bytes, 32);
  mp_write_bin(&body, in->secret, 32);
  mp_write_int(&body, in->expires);
  line_check(env, body.data, body.len, check);
  buf_append(&body, check, CHECK_LEN);
  int r = body.error;
  if (!r) {
    memcpy(line, PREFIX, PREFIX_LEN);
    sodium_bin2base64(line + PREFIX_LEN, DUNLIN_INVITATION_MAX - PREFIX_LEN, body.data, body.len,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(body.data, body.cap);
  }
  buf_free(&body);
  return r;
}

static bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int body_read(struct dunlin_bytes body, struct dunlin_invitation *out) {
  struct mp_reader r = mp_reader_of(body.data, body.len);
  *out = (struct dunlin_invitation){0};
  if (mp_read_array(&r, 4) != 4) mp_fail(&r);
  struct dunlin_bytes address = mp_read_str(&r, DUNLIN_MAX_NAME);
  memcpy(out->device.bytes, mp_read_bin_exact(&r, 32), 32);
  memcpy(out->secret, mp_read_bin_exact(&r, 32), 32);
  out->expires = mp_read_int(&r);
  if (mp_end(&r) || !name_valid(address.data, address.len)) return DUNLIN_EINVITE;
  memcpy(out->address, address.data, address.len);
  return 0;
}

int dunlin_invitation_parse(const char *line, size_t len, struct dunlin_invitation *out) {
  uint8_t raw[BODY_MAX + CHECK_LEN], check[CHECK_LEN];
  size_t raw_len = 0;
  while (len && is_space(line[len - 1])) len--;
  for (; len && is_space(*line); line++) len--;
  if (len <= PREFIX_LEN || memcmp(line, PREFIX, PREFIX_LEN)) return DUNLIN_EINVITE;
  if (sodium_base642bin(raw, sizeof raw, line + PREFIX_LEN, len - PREFIX_LEN, NULL, &raw_len, NULL,
                        sodium_base64_VARIANT_URLSAFE_NO_PADDING) ||
      raw_len <= CHECK_LEN)
    return DUNLIN_EINVITE;
  size_t body_len = raw_len - CHECK_LEN;
  line_check(dunlin_env_default(), raw, body_len, check);
  int r =
      memcmp(check, raw + body_len, CHECK_LEN) ? DUNLIN_EINVITE : body_read((struct dunlin_bytes){raw, body_len}, out);
  sodium_memzero(raw, sizeof raw);
  return r;
}

/* ---- The records -------------------------------------------------------------------------------------------- */

struct invite_work {
  dunlin_store *store;
  struct invitation_record record;
  int64_t now;
  struct record_key expired[DUNLIN_MAX_INVITATIONS]; /* to be forgotten now; more of them next time */
  size_t expired_count, open;
  uint8_t (*secrets)[32];
  size_t count, max;
  const uint8_t *secret, *guest;
};

static int sort_out(void *ctx, struct dunlin_bytes key, struct dunlin_bytes plain) {
  struct invite_work *w = ctx;
  struct invitation_record record;
  int r = record_parse_invitation(plain, &record);
  if (r) return r;
  if (record.expires > w->now) w->open++;
  else if (w->now - record.expires > FORGET_US && w->expired_count < DUNLIN_MAX_INVITATIONS) {
    struct record_key *expired = &w->expired[w->expired_count++];
    expired->len = key.len;
    memcpy(expired->bytes, key.data, key.len);
  }
  sodium_memzero(&record, sizeof record);
  return 0;
}

static int work_invite(void *ctx, struct storage_txn *txn) {
  struct invite_work *w = ctx;
  const struct records *records = &w->store->records;
  w->expired_count = w->open = 0;
  int r = record_each(records, txn, RECORD_INVITATION, sort_out, w);
  for (size_t i = 0; !r && i < w->expired_count; i++)
    r = storage_drop_meta(txn, (struct dunlin_bytes){w->expired[i].bytes, w->expired[i].len});
  if (!r && w->open >= DUNLIN_MAX_INVITATIONS) r = DUNLIN_ELIMIT;
  return r ? r : record_put_invitation(records, txn, &w->record);
}

/* Only the owner's grant would count. */
static int may_invite(dunlin_store *store, const struct dunlin_id *id) {
  pthread_mutex_lock(&store->index.lock);
  const struct space *space = index_space(&store->index, id);
  bool owner = space && !id_compare(&space->members[0].device.device, &store->device.self.device);
  pthread_mutex_unlock(&store->index.lock);
  return !space ? DUNLIN_ENOENT : owner ? 0 : DUNLIN_EPERM;
}

int dunlin_invite(dunlin_store *store, const struct dunlin_id *space, const char *address, int64_t valid_us,
                  char line[DUNLIN_INVITATION_MAX]) {
  struct dunlin_invitation in = {.device = store->device.self.device};
  struct invite_work w = {.store = store};
  const struct dunlin_env *env = store->env;
  size_t len = strnlen(address, DUNLIN_MAX_NAME + 1);
  int r = store_usable(store);
  if (!r && (!env->now || valid_us <= 0 || !name_valid(address, len))) r = DUNLIN_EINVAL;
  if (!r) r = index_refresh(store);
  if (r >= 0) r = may_invite(store, space);
  if (!r) r = env->random(env->ctx, in.secret, sizeof in.secret);
  if (r) return r;
  memcpy(in.address, address, len);
  w.now = env->now(env->ctx);
  in.expires = w.now > INT64_MAX - valid_us ? INT64_MAX : w.now + valid_us;
  w.record = (struct invitation_record){.space = *space, .expires = in.expires};
  memcpy(w.record.secret, in.secret, 32);
  r = line_write(env, &in, line);
  if (!r) r = store_change(store, work_invite, &w);
  sodium_memzero(&in, sizeof in);
  sodium_memzero(&w.record, sizeof w.record);
  return r;
}

static int collect_secret(void *ctx, struct dunlin_bytes key, struct dunlin_bytes plain) {
  struct invite_work *w = ctx;
  struct invitation_record record;
  (void)key;
  int r = record_parse_invitation(plain, &record);
  if (!r && record.expires > w->now && w->count < w->max) memcpy(w->secrets[w->count++], record.secret, 32);
  sodium_memzero(&record, sizeof record);
  return r;
}

static int read_secrets(void *ctx, struct storage_txn *txn) {
  struct invite_work *w = ctx;
  return record_each(&w->store->records, txn, RECORD_INVITATION, collect_secret, w);
}

size_t exchange_invitation_secrets(dunlin_store *store, int64_t now, uint8_t (*out)[32], size_t max) {
  struct invite_work w = {.store = store, .now = now, .secrets = out, .max = max};
  return storage_read(store->storage, read_secrets, &w) ? 0 : w.count;
}

static int work_consume(void *ctx, struct storage_txn *txn) {
  static const uint8_t nobody[32];
  struct invite_work *w = ctx;
  struct record_key key = record_invitation_key(&w->store->records, w->secret);
  int r = record_get_invitation(&w->store->records, txn, &key, &w->record);
  if (r) return r;
  if (!memcmp(w->record.guest, w->guest, 32)) return 0;
  if (memcmp(w->record.guest, nobody, 32)) return DUNLIN_EUSED;
  if (w->record.expires <= w->now) return DUNLIN_EEXPIRED;
  memcpy(w->record.guest, w->guest, 32);
  return record_put_invitation(&w->store->records, txn, &w->record);
}

int exchange_invitation_consume(dunlin_store *store, const uint8_t secret[32], const uint8_t guest_noise[32],
                                int64_t now, struct dunlin_id *space) {
  struct invite_work w = {.store = store, .now = now, .secret = secret, .guest = guest_noise};
  int r = store_change(store, work_consume, &w);
  if (!r) *space = w.record.space;
  sodium_memzero(&w.record, sizeof w.record);
  return r;
}
