#include "persist/commit.h"

#include <sodium.h>
#include <string.h>

#include "persist/run.h"
#include "persist/signals.h"
#include "persist/store.h"

/* A change, or (`runs`) runs of a peer's log. */
struct commit_item {
  struct commit_item *next;
  struct writer *writer;
  struct log_name log;
  struct run_entry entry; /* points into `bytes` */
  struct commit_runs *runs;
  bool wait; /* somebody waits, and frees it */
  bool done;
  bool built; /* is in a run of the batch */
  int result;
  size_t size; /* of this allocation */
  uint8_t bytes[];
};

/* ---- Building runs ------------------------------------------------------------------------------------------ */

struct built_run {
  const struct log_name *name;
  struct log *log; /* NULL: its first run */
  struct log_keys keys;
  uint64_t before, last; /* number of the last entry before it, and of its own last */
  bool first_of_log;     /* in this batch */
  uint64_t arrival;
  struct dunlin_id tip;
  struct buf sealed;
};

struct batch {
  dunlin_store *store;
  struct commit_item *items;
  struct built_run *runs;
  size_t count, cap;
  uint64_t arrival; /* of the last run written */
};

static bool same_name(const struct log_name *a, const struct log_name *b) {
  return a->lane == b->lane && !actor_compare(&a->actor, &b->actor) && !id_compare(&a->space, &b->space);
}

/* Where the run begins: after the batch's last of that log, or after the log's tip. */
static int run_begin(struct batch *batch, const struct commit_item *item, struct built_run *run) {
  dunlin_store *store = batch->store;
  *run = (struct built_run){.name = &item->log, .first_of_log = true};
  buf_init(&run->sealed, store->env, DUNLIN_MAX_SEALED);
  for (size_t i = batch->count; i > 0; i--) {
    const struct built_run *last = &batch->runs[i - 1];
    if (!same_name(last->name, run->name)) continue;
    run->log = last->log;
    run->keys = last->keys;
    run->before = last->last;
    run->tip = last->tip;
    run->first_of_log = false;
    return 0;
  }
  run->log = index_find_log(&store->index, run->name);
  run->tip = chain_start(run->name);
  pthread_mutex_lock(&store->index.lock);
  const struct space *space = index_space(&store->index, &run->name->space);
  if (space) log_keys_derive(&run->keys, &space->keys, run->name);
  pthread_mutex_unlock(&store->index.lock);
  if (!space) return DUNLIN_ENOENT;
  return run->log ? index_chain(store, run->log, &run->before, &run->tip) : 0;
}

/* An entry costs its change and, where it is alone in its group, some 100 bytes around it. */
#define ENTRY_COST 112u

/* Takes as many items of the first one's log as a run may hold. */
static int gather(struct batch *batch, struct commit_item *first, struct run_entry **entries, size_t *count,
                  size_t *cap) {
  size_t size = 0;
  *count = 0;
  for (struct commit_item *item = first; item; item = item->next) {
    if (item->runs || item->built || !same_name(&item->log, &first->log)) continue;
    size += item->entry.change.bytes.len + ENTRY_COST;
    if (*count && size > RUN_TARGET) break;
    if (ENV_GROW(batch->store->env, *entries, *cap, *count + 1)) return DUNLIN_ENOMEM;
    (*entries)[(*count)++] = item->entry;
    item->built = true;
  }
  return 0;
}

static int build_run(struct batch *batch, struct commit_item *first) {
  const struct dunlin_env *env = batch->store->env;
  struct run_entry *entries = NULL;
  size_t count = 0, cap = 0;
  struct buf raw;
  buf_init(&raw, env, DUNLIN_MAX_RAW);
  if (ENV_GROW(env, batch->runs, batch->cap, batch->count + 1)) return DUNLIN_ENOMEM;
  struct built_run *run = &batch->runs[batch->count];
  int r = run_begin(batch, first, run);
  if (!r) r = gather(batch, first, &entries, &count, &cap);
  if (!r) r = run_write(&raw, entries, count, &run->tip);
  run->last = run->before + count;
  if (!r)
    r = seal_run(&run->sealed, &run->keys, run->name, run->before + 1, (uint32_t)count, &run->tip,
                 batch->store->device.sign_secret, (struct dunlin_bytes){raw.data, raw.len});
  batch->count++;
  ENV_FREE_ARRAY(env, entries, cap);
  buf_free(&raw);
  return r;
}

static int build(struct batch *batch) {
  int r = 0;
  for (struct commit_item *item = batch->items; item; item = item->next) item->built = false;
  for (struct commit_item *item = batch->items; !r && item; item = item->next)
    if (!item->runs && !item->built) r = build_run(batch, item);
  return r;
}

static void batch_free(struct batch *batch) {
  for (size_t i = 0; i < batch->count; i++) {
    buf_free(&batch->runs[i].sealed);
    sodium_memzero(&batch->runs[i].keys, sizeof batch->runs[i].keys);
  }
  ENV_FREE_ARRAY(batch->store->env, batch->runs, batch->cap);
}

/* ---- Writing them ------------------------------------------------------------------------------------------- */

/* What a log is like in the transaction: its last run so far, and of its first branch the count and the last run. */
struct log_state {
  struct log *log; /* NULL: there is none yet */
  uint64_t count, end, latest;
};

static struct log_state state_of(dunlin_store *store, const struct log_name *name) {
  pthread_mutex_lock(&store->index.lock);
  struct log *log = index_log(&store->index, name);
  struct log_state state = {.log = log};
  if (log) {
    state.count = log_count(log);
    state.latest = log->latest;
    state.end = log->run_count ? log->runs[log->run_count - 1].arrival : 0;
  }
  pthread_mutex_unlock(&store->index.lock);
  return state;
}

static int introduce(struct batch *batch, struct storage_txn *txn, const struct log_name *name) {
  int r = record_put_log(&batch->store->records, txn, name);
  return r ? r : record_bump_generation(&batch->store->records, txn);
}

static int put_parent(struct batch *batch, struct storage_txn *txn, uint64_t arrival, uint64_t parent, uint64_t entry) {
  const struct parent_record record = {.arrival = arrival, .parent = parent, .entry = entry};
  int r = record_put_parent(&batch->store->records, txn, &record);
  return r ? r : record_bump_generation(&batch->store->records, txn);
}

static int write_built(struct batch *batch, struct storage_txn *txn) {
  int r = 0;
  for (size_t i = 0; !r && i < batch->count; i++) {
    struct built_run *run = &batch->runs[i];
    uint64_t arrival = ++batch->arrival;
    if (run->first_of_log) {
      /* Only the holder of the slot writes its logs; but a copy's entries may have come since the run was built. */
      struct log_state state = state_of(batch->store, run->name);
      if (state.count != run->before) return DUNLIN_ECONFLICT;
      if (!state.log) r = introduce(batch, txn, run->name);
      if (!r && state.end != state.latest) r = put_parent(batch, txn, arrival, state.end, run->before);
    }
    run->arrival = arrival;
    if (!r) r = storage_add_run(txn, arrival, (struct dunlin_bytes){run->sealed.data, run->sealed.len});
  }
  return r;
}

/* The slot of an actor that must not write any more: its next holder makes a new one. */
static int retire_actor(struct batch *batch, struct storage_txn *txn, const struct dunlin_actor *actor) {
  const struct records *records = &batch->store->records;
  for (unsigned i = 0; i < DUNLIN_MAX_WRITERS; i++) {
    struct dunlin_actor holder;
    uint8_t slot = (uint8_t)i;
    int r = record_get_slot(records, txn, slot, &holder);
    if (r == DUNLIN_ENOENT || (!r && actor_compare(&holder, actor))) continue;
    if (r) return r;
    struct record_key key = record_key(RECORD_SLOT, &slot, 1, NULL, 0);
    r = storage_drop_meta(txn, (struct dunlin_bytes){key.bytes, key.len});
    return r ? r : record_bump_generation(records, txn);
  }
  return 0;
}

/* Whether something earlier in this batch goes into the same log. */
static bool crosses(const struct batch *batch, const struct commit_item *item) {
  for (size_t i = 0; i < batch->count; i++)
    if (same_name(batch->runs[i].name, item->runs->log) &&
        !id_compare(&batch->runs[i].name->device, &item->runs->log->device))
      return true;
  for (const struct commit_item *other = batch->items; other != item; other = other->next)
    if (other->runs && same_name(other->runs->log, item->runs->log) &&
        !id_compare(&other->runs->log->device, &item->runs->log->device) && !other->result)
      return true;
  return false;
}

static int write_runs(struct batch *batch, struct storage_txn *txn, struct commit_item *item) {
  struct commit_runs *runs = item->runs;
  struct log_state state = state_of(batch->store, runs->log);
  int r = 0;
  item->result = state.latest != runs->latest || crosses(batch, item) ? DUNLIN_ECONFLICT : 0;
  if (item->result) return 0;
  if (!state.log) r = introduce(batch, txn, runs->log);
  for (size_t i = 0; !r && i < runs->count; i++) {
    struct commit_run *run = &runs->runs[i];
    run->arrival = ++batch->arrival;
    bool plain = run->follows || (run->plain && run->parent == state.latest);
    if (!plain) r = put_parent(batch, txn, run->arrival, run->parent, run->entry);
    if (!r) r = storage_add_run(txn, run->arrival, run->sealed);
    state.latest = run->arrival;
  }
  if (!r && runs->own) r = retire_actor(batch, txn, &runs->log->actor);
  return r;
}

static int write_batch(void *ctx, struct storage_txn *txn) {
  struct batch *batch = ctx;
  int r = index_refresh_in(batch->store, txn);
  if (r >= 0) r = storage_last_run(txn, &batch->arrival);
  if (!r) r = write_built(batch, txn);
  for (struct commit_item *item = batch->items; !r && item; item = item->next)
    if (item->runs) r = write_runs(batch, txn, item);
  return r;
}

/* It is durable: what was computed on the way goes into the index, so that nobody computes it again. */
static void learn(struct batch *batch) {
  dunlin_store *store = batch->store;
  if (index_refresh(store) < 0) return; /* out of memory: the next refresh will do */
  for (size_t i = 0; i < batch->count; i++) index_set_tip(&store->index, batch->runs[i].arrival, &batch->runs[i].tip);
  for (struct commit_item *item = batch->items; item; item = item->next)
    for (size_t i = 0; item->runs && !item->result && i < item->runs->count; i++)
      index_set_tip(&store->index, item->runs->runs[i].arrival, &item->runs->runs[i].tip);
}

static int try_items(dunlin_store *store, struct commit_item *items) {
  struct batch batch = {.store = store, .items = items};
  int r = build(&batch);
  if (!r) r = storage_write(store->storage, write_batch, &batch);
  if (!r) {
    learn(&batch);
    watch_tell(&store->watch, batch.arrival);
  }
  batch_free(&batch);
  return r;
}

/* More often than another process can put entries of a copy into our log between our building a run and writing it. */
#define BUILD_TRIES 8

static int write_items(dunlin_store *store, struct commit_item *items) {
  int r = DUNLIN_ECONFLICT;
  for (int tries = 0; r == DUNLIN_ECONFLICT && tries < BUILD_TRIES; tries++) r = try_items(store, items);
  return r;
}

/* ---- The queue: all of this with its lock held ---------------------------------------------------------------- */

static void writer_free(dunlin_store *store, struct writer *writer) {
  lease_slot_release(writer->slot, writer->fd);
  env_free(store->env, writer, sizeof *writer);
}

/* The item is off the queue for good. */
static void item_finish(dunlin_store *store, struct commit_item *item, int result) {
  struct commit_queue *queue = &store->queue;
  struct writer *writer = item->writer;
  queue->bytes -= item->size;
  if (writer) {
    if (!result && !id_compare(&writer->doc, &item->entry.doc)) writer->durable++;
    if (!--writer->queued && writer->closed) writer_free(store, writer);
  }
  if (!item->result) item->result = result;
  item->done = true;
  if (!item->wait) env_free(store->env, item, item->size);
}

/* Settles the items of a batch; those that stay go back to the front of the queue. */
static void settle(dunlin_store *store, struct commit_item *items, int result) {
  struct commit_queue *queue = &store->queue;
  struct commit_item *kept = NULL, **kept_tail = &kept;
  for (struct commit_item *item = items, *next; item; item = next) {
    next = item->next;
    if (!result || item->wait) {
      item_finish(store, item, result);
    } else {
      *kept_tail = item;
      kept_tail = &item->next;
    }
  }
  *kept_tail = queue->head;
  if (kept && !queue->head) queue->tail = kept_tail;
  queue->head = kept;
  if (!queue->head) queue->tail = &queue->head;
  queue->error = kept ? result : 0;
  queue->retry = false;
  queue->finished++;
  pthread_cond_broadcast(&queue->done);
}

static bool has_work(const struct commit_queue *queue) {
  return queue->head && (!queue->error || queue->retry);
}

/* Milliseconds of a clock that does not go back: the caller's in a stepped store. */
static uint64_t clock_ms(const struct commit_queue *queue) {
  struct timespec t;
  if (queue->stepped) return queue->now_ms;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void save_acks_when_due(dunlin_store *store) {
  struct commit_queue *queue = &store->queue;
  if (!queue->acks || clock_ms(queue) < queue->acks_at) return;
  queue->acks = false;
  pthread_mutex_unlock(&queue->lock);
  if (store_save_acks(store)) store_log(store, "acknowledgements were not saved; they will be with the next");
  pthread_mutex_lock(&queue->lock);
}

static void wait_until(struct commit_queue *queue, uint64_t ms) {
#ifdef __APPLE__ /* has no other clock than the wall's for this */
  uint64_t now = clock_ms(queue), left = ms > now ? ms - now : 0;
  struct timespec t = {.tv_sec = (time_t)(left / 1000), .tv_nsec = (long)(left % 1000) * 1000000};
  pthread_cond_timedwait_relative_np(&queue->work, &queue->lock, &t);
#else
  struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
  pthread_cond_timedwait(&queue->work, &queue->lock, &t);
#endif
}

static void wait_for_work(dunlin_store *store) {
  struct commit_queue *queue = &store->queue;
  for (;;) {
    save_acks_when_due(store);
    if (has_work(queue) || queue->stop) return;
    if (queue->acks) wait_until(queue, queue->acks_at);
    else pthread_cond_wait(&queue->work, &queue->lock);
  }
}

void commit_acks_soon(dunlin_store *store) {
  struct commit_queue *queue = &store->queue;
  pthread_mutex_lock(&queue->lock);
  if (!queue->acks) {
    queue->acks_at = clock_ms(queue) + COMMIT_ACKS_MS;
    queue->acks = true;
    pthread_cond_signal(&queue->work);
  }
  pthread_mutex_unlock(&queue->lock);
}

/* Writes all that is queued in one transaction. */
static void write_queued(dunlin_store *store) {
  struct commit_queue *queue = &store->queue;
  struct commit_item *items = queue->head;
  queue->head = NULL;
  queue->tail = &queue->head;
  queue->taken++;
  /* Who comes while this is written and waits asks for another try, not for this one's. */
  queue->retry = false;
  pthread_mutex_unlock(&queue->lock);
  int r = write_items(store, items);
  pthread_mutex_lock(&queue->lock);
  bool retry = queue->retry;
  settle(store, items, r);
  queue->retry = retry && queue->head;
}

static void *writer_thread(void *ctx) {
  dunlin_store *store = ctx;
  struct commit_queue *queue = &store->queue;
  pthread_mutex_lock(&queue->lock);
  for (;;) {
    wait_for_work(store);
    if (!has_work(queue)) break;
    write_queued(store);
  }
  pthread_mutex_unlock(&queue->lock);
  return NULL;
}

/* A stepped store has no thread: whoever waits does its work. */
static void work_inline(dunlin_store *store) {
  while (store->queue.stepped && has_work(&store->queue)) write_queued(store);
}

static void enqueue(struct commit_queue *queue, struct commit_item *item) {
  item->next = NULL;
  *queue->tail = item;
  queue->tail = &item->next;
  queue->bytes += item->size;
  if (item->wait) queue->retry = true;
  pthread_cond_signal(&queue->work);
}

/* Waits for an item, takes it and gives its result. */
static int await(dunlin_store *store, struct commit_item *item) {
  work_inline(store);
  while (!item->done) pthread_cond_wait(&store->queue.done, &store->queue.lock);
  int result = item->result;
  env_free(store->env, item, item->size);
  return result;
}

/* ---- From outside ------------------------------------------------------------------------------------------- */

int commit_start(dunlin_store *store, bool stepped) {
  struct commit_queue *queue = &store->queue;
  pthread_condattr_t steady;
  pthread_condattr_init(&steady);
#ifndef __APPLE__
  pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
#endif
  pthread_mutex_init(&queue->lock, NULL);
  pthread_cond_init(&queue->work, &steady);
  pthread_cond_init(&queue->done, NULL);
  pthread_condattr_destroy(&steady);
  queue->tail = &queue->head;
  queue->stepped = stepped;
  sigset_t before = signals_block();
  queue->running = stepped || !pthread_create(&queue->thread, NULL, writer_thread, store);
  signals_restore(before);
  return queue->running ? 0 : DUNLIN_ENOMEM;
}

int commit_stop(dunlin_store *store) {
  struct commit_queue *queue = &store->queue;
  if (!queue->running) return 0;
  int r = commit_flush(store);
  pthread_mutex_lock(&queue->lock);
  queue->stop = true;
  pthread_cond_signal(&queue->work);
  pthread_mutex_unlock(&queue->lock);
  if (!queue->stepped) pthread_join(queue->thread, NULL);
  queue->running = false;
  for (struct commit_item *item = queue->head, *next; item; item = next) {
    next = item->next;
    item_finish(store, item, r ? r : DUNLIN_EIO);
  }
  queue->head = NULL;
  pthread_cond_destroy(&queue->work);
  pthread_cond_destroy(&queue->done);
  pthread_mutex_destroy(&queue->lock);
  return r;
}

struct slot_actor {
  dunlin_store *store;
  uint8_t slot;
  struct dunlin_actor *actor;
};

static int read_actor(void *ctx, struct storage_txn *txn) {
  struct slot_actor *s = ctx;
  return record_get_slot(&s->store->records, txn, s->slot, s->actor);
}

static int make_actor(void *ctx, struct storage_txn *txn) {
  struct slot_actor *s = ctx;
  const struct dunlin_env *env = s->store->env;
  int r = env->random(env->ctx, s->actor->bytes, sizeof s->actor->bytes);
  return r ? r : record_put_slot(&s->store->records, txn, s->slot, s->actor);
}

int writer_open(dunlin_store *store, const struct dunlin_id *doc, struct writer **out) {
  struct writer *writer = env_calloc(store->env, 1, sizeof *writer);
  if (!writer) return DUNLIN_ENOMEM;
  writer->doc = *doc;
  int r = lease_slot(store->dir, &writer->slot, &writer->fd);
  if (r) {
    env_free(store->env, writer, sizeof *writer);
    return r;
  }
  struct slot_actor s = {.store = store, .slot = writer->slot, .actor = &writer->actor};
  r = storage_read(store->storage, read_actor, &s);
  if (r == DUNLIN_ENOENT) r = storage_write(store->storage, make_actor, &s);
  if (r) writer_free(store, writer);
  else *out = writer;
  return r;
}

int writer_renew(dunlin_store *store, struct writer *writer) {
  struct dunlin_actor actor;
  struct slot_actor s = {.store = store, .slot = writer->slot, .actor = &actor};
  int r = storage_read(store->storage, read_actor, &s);
  if (r == DUNLIN_ENOENT) r = storage_write(store->storage, make_actor, &s);
  if (r || !actor_compare(&actor, &writer->actor)) return r;
  writer->actor = actor;
  return 1;
}

void writer_close(dunlin_store *store, struct writer *writer) {
  if (!writer) return;
  pthread_mutex_lock(&store->queue.lock);
  writer->closed = true;
  if (!writer->queued) writer_free(store, writer);
  pthread_mutex_unlock(&store->queue.lock);
}

/* A copy of the change and of the membership heads that hold now. */
static int item_new(dunlin_store *store, const struct log_name *log, const struct dunlin_id *doc,
                    const struct change_id_bytes *change, struct commit_item **out) {
  uint8_t heads[RUN_MAX_HEADS * 32];
  pthread_mutex_lock(&store->index.lock);
  const struct space *space = index_space(&store->index, &log->space);
  size_t heads_len = space ? space_heads(space, heads) : 0;
  pthread_mutex_unlock(&store->index.lock);
  if (!heads_len) return DUNLIN_ENOENT;
  size_t size = sizeof(struct commit_item) + heads_len + change->bytes.len;
  struct commit_item *item = env_alloc(store->env, size);
  if (!item) return DUNLIN_ENOMEM;
  *item = (struct commit_item){.log = *log, .size = size, .entry = {.doc = *doc, .change = *change}};
  memcpy(item->bytes, heads, heads_len);
  memcpy(item->bytes + heads_len, change->bytes.data, change->bytes.len);
  item->entry.heads = item->bytes;
  item->entry.heads_len = heads_len;
  item->entry.change.bytes.data = item->bytes + heads_len;
  *out = item;
  return 0;
}

int commit_change(dunlin_store *store, struct writer *writer, const struct log_name *log, const struct dunlin_id *doc,
                  const struct change_id_bytes *change, bool wait) {
  struct commit_queue *queue = &store->queue;
  struct commit_item *item = NULL;
  int r = item_new(store, log, doc, change, &item);
  if (r) return r;
  item->writer = writer;
  pthread_mutex_lock(&queue->lock);
  if (queue->bytes + item->size > COMMIT_MAX_QUEUED) work_inline(store);
  while (!wait && !queue->error && queue->head && queue->bytes + item->size > COMMIT_MAX_QUEUED)
    pthread_cond_wait(&queue->done, &queue->lock);
  /* While the last flush has failed nobody is told "queued": the commit tries again and hears how it went. */
  item->wait = wait || queue->error;
  writer->queued++;
  enqueue(queue, item);
  if (item->wait) r = await(store, item);
  pthread_mutex_unlock(&queue->lock);
  return r;
}

int commit_runs(dunlin_store *store, struct commit_runs *runs) {
  struct commit_item *item = env_calloc(store->env, 1, sizeof *item);
  if (!item) return DUNLIN_ENOMEM;
  item->size = sizeof *item;
  item->runs = runs;
  item->wait = true;
  pthread_mutex_lock(&store->queue.lock);
  enqueue(&store->queue, item);
  int r = await(store, item);
  pthread_mutex_unlock(&store->queue.lock);
  return r;
}

int commit_flush(dunlin_store *store) {
  struct commit_queue *queue = &store->queue;
  pthread_mutex_lock(&queue->lock);
  /* What is queued now is in the next transaction, and what is being written in this one. */
  uint64_t wanted = queue->taken + (queue->head ? 1 : 0);
  queue->retry = queue->head;
  pthread_cond_signal(&queue->work);
  work_inline(store);
  while (queue->finished < wanted) pthread_cond_wait(&queue->done, &queue->lock);
  int r = queue->error;
  pthread_mutex_unlock(&queue->lock);
  return r;
}

uint64_t commit_step(dunlin_store *store, uint64_t now_ms) {
  struct commit_queue *queue = &store->queue;
  pthread_mutex_lock(&queue->lock);
  if (now_ms > queue->now_ms) queue->now_ms = now_ms;
  queue->retry = queue->head;
  work_inline(store);
  save_acks_when_due(store);
  uint64_t next = queue->head ? queue->now_ms + COMMIT_RETRY_MS : queue->acks ? queue->acks_at : UINT64_MAX;
  pthread_mutex_unlock(&queue->lock);
  return next;
}
