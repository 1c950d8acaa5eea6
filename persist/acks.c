/* What peers have said they hold durably.  Kept in memory and written a second later: a lost acknowledgement only means
 * that a peer is asked again. */
#include <string.h>

#include "persist/store.h"

static struct ack *find(struct acks *acks, const struct dunlin_id *peer, const struct dunlin_id *log) {
  for (size_t i = 0; i < acks->count; i++)
    if (!id_compare(&acks->list[i].peer, peer) && !id_compare(&acks->list[i].log, log)) return &acks->list[i];
  return NULL;
}

/* 1 when it is more than was known. */
static int raise_ack(dunlin_store *store, const struct dunlin_id *peer, const struct dunlin_id *log, uint64_t count,
                     bool unsaved) {
  struct acks *acks = &store->acks;
  struct ack *ack = find(acks, peer, log);
  if (!ack) {
    if (ENV_GROW(store->env, acks->list, acks->cap, acks->count + 1)) return DUNLIN_ENOMEM;
    ack = &acks->list[acks->count++];
    *ack = (struct ack){.peer = *peer, .log = *log};
  }
  if (count <= ack->count) return 0;
  ack->count = count;
  ack->unsaved = unsaved;
  return 1;
}

void store_free_acks(dunlin_store *store) {
  ENV_FREE_ARRAY(store->env, store->acks.list, store->acks.cap);
  pthread_mutex_destroy(&store->acks.lock);
}

static int load_ack(void *ctx, struct dunlin_bytes key, struct dunlin_bytes plain) {
  dunlin_store *store = ctx;
  struct dunlin_id peer, log;
  struct mp_reader r = mp_reader_of(plain.data, plain.len);
  if (mp_read_array(&r, 1) != 1) mp_fail(&r);
  uint64_t count = mp_read_uint(&r, UINT64_MAX);
  if (mp_end(&r) || key.len != 65) return DUNLIN_ECORRUPT;
  memcpy(peer.bytes, (const uint8_t *)key.data + 1, 32);
  memcpy(log.bytes, (const uint8_t *)key.data + 33, 32);
  int raised = raise_ack(store, &peer, &log, count, false);
  return raised < 0 ? raised : 0;
}

int store_load_acks(dunlin_store *store, struct storage_txn *txn) {
  pthread_mutex_lock(&store->acks.lock);
  int r = record_each(&store->records, txn, RECORD_ACK, load_ack, store);
  pthread_mutex_unlock(&store->acks.lock);
  return r;
}

struct saving {
  dunlin_store *store;
  const struct ack *list;
  size_t count;
};

static int save(void *ctx, struct storage_txn *txn) {
  struct saving *saving = ctx;
  int r = 0;
  for (size_t i = 0; !r && i < saving->count; i++) {
    const struct ack *ack = &saving->list[i];
    struct record_key key = record_key(RECORD_ACK, ack->peer.bytes, 32, ack->log.bytes, 32);
    struct buf plain;
    buf_init(&plain, saving->store->env, 16);
    mp_write_array(&plain, 1);
    mp_write_uint(&plain, ack->count);
    r = record_put(&saving->store->records, txn, &key, &plain);
    buf_free(&plain);
  }
  return r;
}

/* A copy is written, so that nobody waits for the disk while telling us more. */
int store_save_acks(dunlin_store *store) {
  struct acks *acks = &store->acks;
  size_t count = 0;
  pthread_mutex_lock(&acks->lock);
  size_t size = acks->count * sizeof *acks->list;
  struct ack *list = env_alloc(store->env, size);
  for (size_t i = 0; list && i < acks->count; i++) {
    if (acks->list[i].unsaved) list[count++] = acks->list[i];
    acks->list[i].unsaved = false;
  }
  pthread_mutex_unlock(&acks->lock);
  if (!list) return DUNLIN_ENOMEM;
  struct saving saving = {.store = store, .list = list, .count = count};
  int r = count ? storage_write(store->storage, save, &saving) : 0;
  pthread_mutex_lock(&acks->lock);
  for (size_t i = 0; r && i < count; i++) {
    struct ack *ack = find(acks, &list[i].peer, &list[i].log);
    if (ack) ack->unsaved = true;
  }
  pthread_mutex_unlock(&acks->lock);
  env_free(store->env, list, size);
  return r;
}

void exchange_acknowledged(dunlin_store *store, const struct dunlin_id *peer, const struct dunlin_id *branch,
                           uint64_t n) {
  pthread_mutex_lock(&store->acks.lock);
  int raised = raise_ack(store, peer, branch, n, true);
  pthread_mutex_unlock(&store->acks.lock);
  if (raised < 0) store_log(store, "out of memory: an acknowledgement was not kept");
  if (raised > 0) commit_acks_soon(store);
}

uint64_t exchange_unacknowledged(dunlin_store *store, const struct dunlin_id *peer) {
  struct index *index = &store->index;
  uint64_t missing = 0;
  pthread_mutex_lock(&index->lock);
  pthread_mutex_lock(&store->acks.lock);
  for (size_t i = 0; i < index->log_count; i++) {
    const struct log *log = index->logs[i];
    /* What a peer wrote itself it has. */
    if (!space_member(log->space, peer) || !id_compare(&log->name.device, peer)) continue;
    const struct ack *ack = find(&store->acks, peer, &log->id);
    uint64_t count = log_count(log), known = ack && ack->count > log->base ? ack->count : log->base;
    if (count > known) missing += count - known;
  }
  pthread_mutex_unlock(&store->acks.lock);
  pthread_mutex_unlock(&index->lock);
  return missing;
}
