/* Logs and runs as peers see them, and taking runs in. */
#include "persist/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "persist/run.h"
#include "persist/store.h"

/* ---- Giving out --------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
  const struct log_name *x = &(*(struct log *const *)a)->name, *y = &(*(struct log *const *)b)->name;
  if (x->lane != y->lane) return x->lane < y->lane ? -1 : 1;
  int order = id_compare(&x->device, &y->device);
  return order ? order : actor_compare(&x->actor, &y->actor);
}

static int fill(dunlin_store *store, struct log *log, struct exchange_log *out) {
  out->name = log->name;
  return index_chain(store, log, &out->count, &out->tip);
}

int exchange_log(dunlin_store *store, const struct dunlin_id *space, size_t i, struct exchange_log *out) {
  struct index *index = &store->index;
  struct log *found = NULL;
  size_t count = 0;
  pthread_mutex_lock(&index->lock);
  size_t size = index->log_count * sizeof(struct log *);
  struct log **sorted = env_alloc(store->env, size);
  for (size_t k = 0; sorted && k < index->log_count; k++)
    if (!id_compare(&index->logs[k]->name.space, space)) sorted[count++] = index->logs[k];
  pthread_mutex_unlock(&index->lock);
  if (!sorted) return DUNLIN_ENOMEM;
  if (i < count) {
    qsort(sorted, count, sizeof *sorted, by_name);
    found = sorted[i];
  }
  env_free(store->env, sorted, size);
  return found ? fill(store, found, out) : DUNLIN_ENOENT;
}

int exchange_log_find(dunlin_store *store, const struct log_name *name, struct exchange_log *out) {
  struct log *log = index_find_log(&store->index, name);
  return log ? fill(store, log, out) : DUNLIN_ENOENT;
}

/* The chain value of entry `n` of a log whose chain has been computed. */
static int chain_at(struct index *index, const struct log *log, uint64_t n, struct dunlin_id *out) {
  int r = DUNLIN_ENOENT;
  if (n == 0) {
    *out = log->start;
    return 0;
  }
  pthread_mutex_lock(&index->lock);
  const struct run_ref *run = log_run_of(log, n);
  if (run && run->first + run->count - 1 == n && (size_t)(run - log->runs) < log->chained) {
    *out = run->tip;
    r = 0;
  }
  pthread_mutex_unlock(&index->lock);
  return r;
}

int exchange_chain_at(dunlin_store *store, const struct log_name *name, uint64_t n, struct dunlin_id *out) {
  struct exchange_log tip;
  struct log *log = index_find_log(&store->index, name);
  int r = log ? fill(store, log, &tip) : DUNLIN_ENOENT;
  return r ? r : chain_at(&store->index, log, n, out);
}

/* Where the run that holds entry `n` lies, 0: nowhere. */
static uint64_t arrival_of(struct index *index, const struct log *log, uint64_t n) {
  pthread_mutex_lock(&index->lock);
  const struct run_ref *run = log ? log_run_of(log, n) : NULL;
  uint64_t arrival = run ? run->arrival : 0;
  pthread_mutex_unlock(&index->lock);
  return arrival;
}

int exchange_run(dunlin_store *store, const struct log_name *name, uint64_t n, struct buf *sealed) {
  uint64_t arrival = arrival_of(&store->index, index_find_log(&store->index, name), n);
  return arrival ? index_sealed(store, arrival, sealed) : DUNLIN_ENOENT;
}

uint64_t exchange_version(dunlin_store *store) {
  struct index *index = &store->index;
  pthread_mutex_lock(&index->lock);
  uint64_t version = index->place_count + index->generation; /* neither ever goes back */
  pthread_mutex_unlock(&index->lock);
  return version;
}

/* ---- Taking in ---------------------------------------------------------------------------------------------- */

struct intake {
  dunlin_store *store;
  const struct log_name *name;
  struct space *space;
  struct log *log; /* NULL: nothing of it is held */
  struct log_keys keys;
  uint64_t count; /* entries held, then those accepted too */
  struct dunlin_id tip;
  struct commit_run *runs; /* those accepted */
  size_t accepted;
};

/* Finds the log, and whether its author may write. */
static int intake_begin(struct intake *in) {
  struct index *index = &in->store->index;
  int r = index_refresh(in->store);
  if (r < 0) return r;
  r = 0;
  pthread_mutex_lock(&index->lock);
  in->space = index_space(index, &in->name->space);
  in->log = index_log(index, in->name);
  if (!in->space) r = DUNLIN_ENOENT;
  else if (!space_member(in->space, &in->name->device)) r = DUNLIN_EAUTH;
  else log_keys_derive(&in->keys, &in->space->keys, in->name);
  /* Headers tell logs apart by their tags; a second log with the same ones can only be made on purpose. */
  for (size_t i = 0; !r && !in->log && i < index->log_count; i++)
    if (index->logs[i]->name.lane == in->name->lane && !memcmp(index->logs[i]->keys.log_tag, in->keys.log_tag, 8) &&
        !memcmp(index->logs[i]->keys.space_tag, in->keys.space_tag, 8))
      r = DUNLIN_ECONFLICT;
  pthread_mutex_unlock(&index->lock);
  in->count = in->accepted = 0;
  in->tip = chain_start(in->name);
  return r || !in->log ? r : index_chain(in->store, in->log, &in->count, &in->tip);
}

/* Every head must be an operation that we have: the author has seen nothing that we have not. */
static int check_heads(void *ctx, const struct run_group *group) {
  struct intake *in = ctx;
  int r = 0;
  pthread_mutex_lock(&in->store->index.lock);
  for (size_t i = 0; i < group->heads_len; i += 32)
    if (!space_has_op(in->space, group->heads + i)) r = DUNLIN_ENOENT;
  pthread_mutex_unlock(&in->store->index.lock);
  return r;
}

/* Opens a run and checks all there is to check, `*tip` being the chain value before it; moves `*tip` to its end. */
static int check_run(struct intake *in, const struct dunlin_bytes *sealed, const struct seal_header *header,
                     struct dunlin_id *tip) {
  uint8_t signature[64];
  uint64_t count = 0;
  struct buf raw;
  buf_init(&raw, in->store->env, DUNLIN_MAX_RAW);
  int r = seal_open(&raw, &in->keys, sealed->data, sealed->len, signature);
  struct dunlin_bytes data = {raw.data, raw.len};
  if (!r) r = run_chain(in->store->env, data, &in->name->actor, tip, &count);
  if (!r && count != header->count) r = DUNLIN_EFORMAT;
  if (!r) r = seal_check_signature(&in->keys, in->name, header, tip, signature);
  if (!r) r = run_groups(data, check_heads, in);
  buf_free(&raw);
  return r;
}

/* A run whose entries are held: 0 when it is the same, DUNLIN_ECONFLICT when its author has signed something else there. */
static int check_held(struct intake *in, const struct dunlin_bytes *sealed, const struct seal_header *header) {
  struct index *index = &in->store->index;
  uint64_t last = header->first + header->count - 1;
  struct dunlin_id tip, ours;
  struct buf stored;
  buf_init(&stored, in->store->env, DUNLIN_MAX_SEALED);
  int r = index_sealed(in->store, arrival_of(index, in->log, header->first), &stored);
  bool same = !r && stored.len == sealed->len && !memcmp(stored.data, sealed->data, sealed->len);
  buf_free(&stored);
  if (r || same) return r;
  if (chain_at(index, in->log, header->first - 1, &tip) || chain_at(index, in->log, last, &ours))
    return DUNLIN_ECONFLICT;
  r = check_run(in, sealed, header, &tip);
  return !r && id_compare(&tip, &ours) ? DUNLIN_ECONFLICT : r;
}

static int intake_run(struct intake *in, const struct dunlin_bytes *sealed, uint64_t held) {
  struct seal_header header;
  int r = seal_header_read(sealed->data, sealed->len, &header);
  if (r) return r;
  uint64_t last = header.first + header.count - 1;
  if (last <= held) return check_held(in, sealed, &header);
  if (header.first <= in->count) return DUNLIN_ECONFLICT;
  if (header.first > in->count + 1) return DUNLIN_ENOENT;
  r = check_run(in, sealed, &header, &in->tip);
  if (r) return r;
  in->count = last;
  in->runs[in->accepted++] = (struct commit_run){.sealed = *sealed, .last = last, .tip = in->tip};
  return 0;
}

/* ---- Our own log, coming back --------------------------------------------------------------------------------- */

struct own_slot {
  dunlin_store *store;
  const struct dunlin_actor *actor;
  uint8_t slot;
};

static int find_slot(void *ctx, struct storage_txn *txn) {
  struct own_slot *own = ctx;
  for (unsigned i = 0; i < DUNLIN_MAX_WRITERS; i++) {
    struct dunlin_actor actor;
    int r = record_get_slot(&own->store->records, txn, (uint8_t)i, &actor);
    own->slot = (uint8_t)i;
    if (!r && !actor_compare(&actor, own->actor)) return 0;
    if (r && r != DUNLIN_ENOENT) return r;
  }
  return DUNLIN_ENOENT;
}

static int retire_slot(void *ctx, struct storage_txn *txn) {
  struct own_slot *own = ctx;
  struct record_key key = record_key(RECORD_SLOT, &own->slot, 1, NULL, 0);
  return storage_drop_meta(txn, (struct dunlin_bytes){key.bytes, key.len});
}

/* A peer knows more of our own log than we do: this store was copied, or restored from a backup.  Its actor must not write
 * again, since numbers that we would use are used already; the slot gets a new one.  While the slot is leased somebody may
 * be using them just now, so the runs have to wait.  `*fd` holds the slot until they are in. */
static int retire_own(dunlin_store *store, const struct log_name *name, uint8_t *slot, int *fd) {
  struct own_slot own = {.store = store, .actor = &name->actor};
  *fd = -1;
  if (id_compare(&name->device, &store->device.self.device)) return 0;
  int r = storage_read(store->storage, find_slot, &own);
  if (r) return r == DUNLIN_ENOENT ? 0 : r;
  store_log(store, "a peer holds more of this store's own log: the store was copied or restored");
  r = lease_slot_try(store->dir, own.slot, fd);
  if (r) return r == DUNLIN_EBUSY ? DUNLIN_ECONFLICT : r;
  *slot = own.slot;
  return storage_write(store->storage, retire_slot, &own);
}

/* Somebody else may take in the same runs at the same time; then we look again, each time at less. */
#define INTAKE_TRIES 16

static int intake_commit(struct intake *in, uint64_t base) {
  struct commit_runs runs = {.log = in->name, .runs = in->runs, .count = in->accepted, .base = base};
  uint8_t slot = 0;
  int fd = -1;
  int r = retire_own(in->store, in->name, &slot, &fd);
  if (!r) r = commit_runs(in->store, &runs);
  if (fd >= 0) lease_slot_release(slot, fd);
  return r ? r : (int)in->accepted;
}

static int intake_all(struct intake *in, const struct dunlin_bytes *runs, size_t count) {
  for (int tries = 0; tries < INTAKE_TRIES; tries++) {
    int r = intake_begin(in);
    uint64_t base = in->count;
    for (size_t i = 0; !r && i < count; i++) r = intake_run(in, &runs[i], base);
    if (!r && in->accepted) r = intake_commit(in, base);
    if (r != DUNLIN_ECONFLICT) return r;
    /* Only when the log has moved meanwhile is there a point in looking again. */
    struct exchange_log now = {.count = 0};
    int found = exchange_log_find(in->store, in->name, &now);
    if (found && found != DUNLIN_ENOENT) return found;
    if (now.count == base) break;
  }
  store_log(in->store, "a log of a member has two branches: a store was copied, or its author cheats");
  return DUNLIN_ECONFLICT;
}

int exchange_ingest(dunlin_store *store, const struct log_name *name, const struct dunlin_bytes *runs, size_t count) {
  if (!count) return 0;
  if (count > DUNLIN_MAX_DELTA_CHANGES) return DUNLIN_ELIMIT;
  struct intake in = {.store = store, .name = name, .runs = env_calloc(store->env, count, sizeof(struct commit_run))};
  if (!in.runs) return DUNLIN_ENOMEM;
  int r = intake_all(&in, runs, count);
  env_free(store->env, in.runs, count * sizeof(struct commit_run));
  return r;
}
