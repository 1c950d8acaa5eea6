/* Spaces of a store: making them, asking about them, and membership as peers exchange it. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "persist/store.h"

/* ---- Asking ------------------------------------------------------------------------------------------------- */

/* The space with `rank` others before it; `less` orders. */
typedef bool less_fn(const struct space *a, const struct space *b);

static bool by_alias(const struct space *a, const struct space *b) {
  int order = strcmp(a->alias, b->alias);
  return order ? order < 0 : id_compare(&a->id, &b->id) < 0;
}

static bool by_id(const struct space *a, const struct space *b) {
  return id_compare(&a->id, &b->id) < 0;
}

/* Spaces are few: counting is simpler than keeping an order. `with`: only those that this device is a member of too. */
static struct space *ranked(struct index *index, less_fn *less, const struct dunlin_id *with, size_t rank) {
  for (size_t i = 0; i < index->space_count; i++) {
    struct space *space = index->spaces[i];
    size_t before = 0;
    if (with && !space_member(space, with)) continue;
    for (size_t k = 0; k < index->space_count; k++)
      if ((!with || space_member(index->spaces[k], with)) && less(index->spaces[k], space)) before++;
    if (before == rank) return space;
  }
  return NULL;
}

static bool is_owner(const dunlin_store *store, const struct space *space) {
  return !id_compare(&space->members[0].device.device, &store->device.self.device);
}

int dunlin_space_at(dunlin_store *store, size_t i, struct dunlin_space_info *out) {
  int r = store_usable(store);
  if (!r) r = index_refresh(store);
  if (r < 0) return r;
  pthread_mutex_lock(&store->index.lock);
  const struct space *space = ranked(&store->index, by_alias, NULL, i);
  if (space) {
    *out = (struct dunlin_space_info){.id = space->id, .members = space->member_count};
    memcpy(out->alias, space->alias, sizeof out->alias);
    out->owner = is_owner(store, space);
  }
  pthread_mutex_unlock(&store->index.lock);
  return space ? 0 : DUNLIN_ENOENT;
}

static bool has_prefix(const struct dunlin_id *id, const char *prefix) {
  char hex[65];
  size_t len = strlen(prefix);
  sodium_bin2hex(hex, sizeof hex, id->bytes, 32);
  return len >= 4 && len <= 64 && !memcmp(hex, prefix, len);
}

int dunlin_space_find(dunlin_store *store, const char *alias_or_prefix, struct dunlin_id *out) {
  int r = store_usable(store);
  if (!r) r = index_refresh(store);
  if (r < 0) return r;
  size_t matches = 0;
  bool exact = false;
  pthread_mutex_lock(&store->index.lock);
  for (size_t i = 0; !exact && i < store->index.space_count; i++) {
    const struct space *space = store->index.spaces[i];
    exact = !strcmp(space->alias, alias_or_prefix);
    if (!exact && !has_prefix(&space->id, alias_or_prefix)) continue;
    *out = space->id;
    matches++;
  }
  pthread_mutex_unlock(&store->index.lock);
  if (exact || matches == 1) return 0;
  return matches ? DUNLIN_EINVAL : DUNLIN_ENOENT;
}

int dunlin_space_member(dunlin_store *store, const struct dunlin_id *id, size_t i, struct dunlin_member *out) {
  int r = store_usable(store);
  if (!r) r = index_refresh(store);
  if (r < 0) return r;
  pthread_mutex_lock(&store->index.lock);
  const struct space *space = index_space(&store->index, id);
  r = space && i < space->member_count ? 0 : DUNLIN_ENOENT;
  if (!r) {
    const struct member *member = &space->members[i];
    *out = (struct dunlin_member){.device = member->device.device, .role = member->role};
    memcpy(out->name, member->device.name, sizeof out->name);
    out->self = !id_compare(&member->device.device, &store->device.self.device);
  }
  pthread_mutex_unlock(&store->index.lock);
  return r;
}

/* ---- Writing a space ---------------------------------------------------------------------------------------- */

static bool alias_taken(struct index *index, const char *alias, const struct dunlin_id *except) {
  bool taken = false;
  pthread_mutex_lock(&index->lock);
  for (size_t i = 0; i < index->space_count; i++)
    taken |= !strcmp(index->spaces[i]->alias, alias) && id_compare(&index->spaces[i]->id, except);
  pthread_mutex_unlock(&index->lock);
  return taken;
}

static int put_space(dunlin_store *store, struct storage_txn *txn, const struct space *space) {
  int r = record_put_space(&store->records, txn, space);
  return r ? r : record_bump_generation(&store->records, txn);
}

struct space_work {
  dunlin_store *store;
  struct space *space; /* a new one */
  const struct dunlin_id *id;
  const struct exchange_device *guest;
  struct dunlin_bytes message;
  const char *alias;
  struct buf *out;
};

static int work_new(void *ctx, struct storage_txn *txn) {
  struct space_work *w = ctx;
  int r = index_refresh_in(w->store, txn);
  if (r < 0) return r;
  if (alias_taken(&w->store->index, w->space->alias, &w->space->id)) return DUNLIN_EEXIST;
  return put_space(w->store, txn, w->space);
}

int dunlin_space_new(dunlin_store *store, const char *alias, struct dunlin_id *out) {
  struct space_work w = {.store = store};
  int r = store_usable(store);
  if (!r && !name_valid(alias, strnlen(alias, DUNLIN_MAX_NAME + 1))) r = DUNLIN_EINVAL;
  if (!r) r = space_create(store->env, &store->device, alias, &w.space);
  if (!r) r = store_change(store, work_new, &w);
  if (!r) *out = w.space->id;
  space_free(w.space);
  return r;
}

/* ---- Identity ----------------------------------------------------------------------------------------------- */

const struct dunlin_env *exchange_env(dunlin_store *store) {
  return store->env;
}

void exchange_identity(dunlin_store *store, struct exchange_identity *out) {
  const struct device *device = &store->device;
  *out = (struct exchange_identity){.device = device->self.device};
  memcpy(out->noise_public, device->self.noise_public, 32);
  memcpy(out->noise_secret, device->noise_secret, 32);
  memcpy(out->contact, device->self.contact, 32);
  memcpy(out->name, device->self.name, sizeof out->name);
}

#define PEER_LABEL "dunlin peer 1"
/* What a node signs is a handshake hash and little more. */
#define PEER_MAX 4096u

void exchange_sign(dunlin_store *store, struct dunlin_bytes data, uint8_t signature[64]) {
  uint8_t message[sizeof PEER_LABEL - 1 + PEER_MAX];
  size_t len = data.len < PEER_MAX ? data.len : PEER_MAX;
  memcpy(message, PEER_LABEL, sizeof PEER_LABEL - 1);
  if (len) memcpy(message + sizeof PEER_LABEL - 1, data.data, len);
  crypto_sign_detached(signature, NULL, message, sizeof PEER_LABEL - 1 + len, store->device.sign_secret);
}

int exchange_check_signature(const struct dunlin_id *device, struct dunlin_bytes data, const uint8_t signature[64]) {
  uint8_t message[sizeof PEER_LABEL - 1 + PEER_MAX];
  if (data.len > PEER_MAX) return DUNLIN_EAUTH;
  memcpy(message, PEER_LABEL, sizeof PEER_LABEL - 1);
  if (data.len) memcpy(message + sizeof PEER_LABEL - 1, data.data, data.len);
  int rc = crypto_sign_verify_detached(signature, message, sizeof PEER_LABEL - 1 + data.len, device->bytes);
  return rc ? DUNLIN_EAUTH : 0;
}

/* The lowest device above `*after` in any space. */
static const struct exchange_device *next_device(dunlin_store *store, const struct dunlin_id *after) {
  const struct exchange_device *best = NULL;
  for (size_t i = 0; i < store->index.space_count; i++) {
    const struct space *space = store->index.spaces[i];
    for (size_t k = 0; k < space->member_count; k++) {
      const struct exchange_device *device = &space->members[k].device;
      if (!id_compare(&device->device, &store->device.self.device)) continue;
      if (after && id_compare(&device->device, after) <= 0) continue;
      if (!best || id_compare(&device->device, &best->device) < 0) best = device;
    }
  }
  return best;
}

int exchange_device(dunlin_store *store, size_t i, struct exchange_device *out) {
  const struct exchange_device *device = NULL;
  pthread_mutex_lock(&store->index.lock);
  for (size_t n = 0; n <= i; n++) {
    device = next_device(store, device ? &device->device : NULL);
    if (!device) break;
  }
  if (device) *out = *device;
  pthread_mutex_unlock(&store->index.lock);
  return device ? 0 : DUNLIN_ENOENT;
}

/* ---- Membership ----------------------------------------------------------------------------------------------- */

static int work_admit(void *ctx, struct storage_txn *txn) {
  struct space_work *w = ctx;
  struct space *space = NULL;
  buf_clear(w->out);
  int r = record_get_space(&w->store->records, txn, w->id, &space);
  if (!r) r = space_grant(space, &w->store->device, w->guest);
  if (r > 0) r = put_space(w->store, txn, space);
  if (!r) space_write(space, w->out);
  space_free(space);
  return r ? r : w->out->error;
}

int exchange_admit(dunlin_store *store, const struct dunlin_id *id, const struct exchange_device *guest,
                   struct buf *welcome) {
  struct space_work w = {.store = store, .id = id, .guest = guest, .out = welcome};
  return store_change(store, work_admit, &w);
}

/* The alias that the space gets here: as asked for, or the owner's with a number behind it where that is taken. */
static int choose_alias(struct space_work *w) {
  char base[DUNLIN_MAX_NAME + 1];
  struct space *space = w->space;
  if (w->alias) {
    memcpy(space->alias, w->alias, strlen(w->alias) + 1);
    return alias_taken(&w->store->index, space->alias, &space->id) ? DUNLIN_EEXIST : 0;
  }
  memcpy(base, space->alias, sizeof base);
  /* Cut so that a number fits behind; a cut character would be no text. */
  size_t room = strlen(base) < DUNLIN_MAX_NAME - 8 ? strlen(base) : DUNLIN_MAX_NAME - 8;
  while (room && !utf8_valid(base, room, NULL)) room--;
  for (unsigned n = 2; n < 1000000 && alias_taken(&w->store->index, space->alias, &space->id); n++)
    snprintf(space->alias, sizeof space->alias, "%.*s-%u", (int)room, base, n);
  return 0;
}

static int work_accept(void *ctx, struct storage_txn *txn) {
  struct space_work *w = ctx;
  struct space *known = NULL;
  int r = index_refresh_in(w->store, txn);
  if (r < 0) return r;
  r = record_get_space(&w->store->records, txn, &w->space->id, &known);
  if (r == DUNLIN_ENOENT) {
    r = choose_alias(w);
    return r ? r : put_space(w->store, txn, w->space);
  }
  struct buf ops;
  buf_init(&ops, w->store->env, SPACE_MAX_BYTES);
  space_write_ops(w->space, &ops);
  if (!r) r = ops.error;
  if (!r) r = space_read_ops(known, (struct dunlin_bytes){ops.data, ops.len}, true);
  if (r > 0) r = put_space(w->store, txn, known);
  buf_free(&ops);
  space_free(known);
  return r;
}

int exchange_accept(dunlin_store *store, struct dunlin_bytes welcome, const char *alias, struct dunlin_id *id) {
  struct space_work w = {.store = store, .alias = alias};
  if (alias && !name_valid(alias, strnlen(alias, DUNLIN_MAX_NAME + 1))) return DUNLIN_EINVAL;
  int r = space_read(store->env, welcome, true, &w.space);
  if (!r && !space_member(w.space, &store->device.self.device)) r = DUNLIN_EAUTH;
  if (!r) r = store_change(store, work_accept, &w);
  if (!r) *id = w.space->id;
  space_free(w.space);
  return r;
}

int exchange_members_write(dunlin_store *store, const struct dunlin_id *id, struct buf *out) {
  buf_clear(out);
  pthread_mutex_lock(&store->index.lock);
  const struct space *space = index_space(&store->index, id);
  if (space) space_write_ops(space, out);
  pthread_mutex_unlock(&store->index.lock);
  return space ? out->error : DUNLIN_ENOENT;
}

/* Adds the message's operations to the stored space; 1 when there are new ones. */
static int members_add(struct space_work *w, struct storage_txn *txn, bool write) {
  struct space *space = NULL;
  int r = record_get_space(&w->store->records, txn, w->id, &space);
  if (!r) r = space_read_ops(space, w->message, true);
  bool news = r > 0;
  if (news && write) r = put_space(w->store, txn, space);
  space_free(space);
  return r < 0 ? r : news;
}

static int work_members_look(void *ctx, struct storage_txn *txn) {
  return members_add(ctx, txn, false);
}

static int work_members(void *ctx, struct storage_txn *txn) {
  return members_add(ctx, txn, true);
}

int exchange_members_read(dunlin_store *store, const struct dunlin_id *id, struct dunlin_bytes message) {
  struct space_work w = {.store = store, .id = id, .message = message};
  int r = storage_read(store->storage, work_members_look, &w);
  return r > 0 ? store_change(store, work_members, &w) : r;
}

int exchange_common_space(dunlin_store *store, const struct dunlin_id *peer, size_t i, struct dunlin_id *out) {
  pthread_mutex_lock(&store->index.lock);
  const struct space *space = ranked(&store->index, by_id, peer, i);
  if (space) *out = space->id;
  pthread_mutex_unlock(&store->index.lock);
  return space ? 0 : DUNLIN_ENOENT;
}

int exchange_members_hash(dunlin_store *store, const struct dunlin_id *id, struct dunlin_id *out) {
  pthread_mutex_lock(&store->index.lock);
  const struct space *space = index_space(&store->index, id);
  if (space) *out = space_ops_hash(space);
  pthread_mutex_unlock(&store->index.lock);
  return space ? 0 : DUNLIN_ENOENT;
}
