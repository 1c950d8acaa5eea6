#include "persist/index.h"

#include <inttypes.h>
#include <string.h>

#include "persist/run.h"
#include "persist/store.h"

void index_init(struct index *index, const struct dunlin_env *env) {
  *index = (struct index){.env = env};
  pthread_mutex_init(&index->lock, NULL);
}

void index_free(struct index *index) {
  for (size_t i = 0; i < index->log_count; i++) {
    ENV_FREE_ARRAY(index->env, index->logs[i]->runs, index->logs[i]->run_cap);
    env_free(index->env, index->logs[i], sizeof *index->logs[i]);
  }
  for (size_t i = 0; i < index->space_count; i++) space_free(index->spaces[i]);
  ENV_FREE_ARRAY(index->env, index->logs, index->log_cap);
  ENV_FREE_ARRAY(index->env, index->spaces, index->space_cap);
  ENV_FREE_ARRAY(index->env, index->places, index->place_cap);
  ENV_FREE_ARRAY(index->env, index->parents, index->parent_cap);
  pthread_mutex_destroy(&index->lock);
}

/* ---- Looking up --------------------------------------------------------------------------------------------- */

struct space *index_space(struct index *index, const struct dunlin_id *id) {
  for (size_t i = 0; i < index->space_count; i++)
    if (!id_compare(&index->spaces[i]->id, id)) return index->spaces[i];
  return NULL;
}

static bool same_log(const struct log_name *a, const struct log_name *b) {
  return a->lane == b->lane && !actor_compare(&a->actor, &b->actor) && !id_compare(&a->device, &b->device) &&
         !id_compare(&a->space, &b->space);
}

struct log *index_log(struct index *index, const struct log_name *name) {
  for (size_t i = 0; i < index->log_count; i++)
    if (same_log(&index->logs[i]->name, name)) return index->logs[i];
  return NULL;
}

struct log *index_find_log(struct index *index, const struct log_name *name) {
  pthread_mutex_lock(&index->lock);
  struct log *log = index_log(index, name);
  pthread_mutex_unlock(&index->lock);
  return log;
}

struct log *log_branch(struct log *log, const struct dunlin_id *id) {
  struct log *branch = log ? log->trunk : NULL;
  while (branch && id_compare(&branch->id, id)) branch = branch->next;
  return branch;
}

uint64_t run_last(const struct run_ref *run) {
  return run->first + run->count - 1;
}

uint64_t log_count(const struct log *log) {
  return log->run_count ? run_last(&log->runs[log->run_count - 1]) : log->base;
}

struct log *log_holder(struct log *log, uint64_t entry) {
  if (entry > log_count(log)) return NULL;
  while (log && entry <= log->base) log = log->parent;
  return log;
}

const struct run_ref *log_run_of(const struct log *log, uint64_t entry) {
  size_t low = 0, high = log->run_count;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    if (run_last(&log->runs[mid]) < entry) low = mid + 1;
    else high = mid;
  }
  return low < log->run_count && log->runs[low].first <= entry ? &log->runs[low] : NULL;
}

uint64_t index_arrivals(struct index *index) {
  pthread_mutex_lock(&index->lock);
  uint64_t count = index->place_count;
  pthread_mutex_unlock(&index->lock);
  return count;
}

uint64_t index_generation(struct index *index) {
  pthread_mutex_lock(&index->lock);
  uint64_t generation = index->generation;
  pthread_mutex_unlock(&index->lock);
  return generation;
}

uint64_t index_entries(struct index *index) {
  uint64_t count = 0;
  pthread_mutex_lock(&index->lock);
  for (size_t i = 0; i < index->log_count; i++) count += log_count(index->logs[i]) - index->logs[i]->base;
  pthread_mutex_unlock(&index->lock);
  return count;
}

/* ---- Reading what is new, without the lock -------------------------------------------------------------------- */

struct new_run {
  uint64_t arrival;
  bool malformed;
  struct seal_header header;
};

/* What a transaction shows beyond the index. */
struct news {
  dunlin_store *store;
  const struct dunlin_env *env;
  uint64_t known_generation, known_arrivals; /* of the index */
  uint64_t generation, version;              /* of the transaction */
  struct space **spaces;
  size_t space_count, space_cap;
  struct log_name *logs;
  size_t log_count, log_cap;
  struct parent_record *parents;
  size_t parent_count, parent_cap;
  struct new_run *runs;
  size_t run_count, run_cap;
};

static void news_free(struct news *news) {
  for (size_t i = 0; i < news->space_count; i++) space_free(news->spaces[i]);
  ENV_FREE_ARRAY(news->env, news->spaces, news->space_cap);
  ENV_FREE_ARRAY(news->env, news->logs, news->log_cap);
  ENV_FREE_ARRAY(news->env, news->parents, news->parent_cap);
  ENV_FREE_ARRAY(news->env, news->runs, news->run_cap);
}

static int news_space(void *ctx, struct dunlin_bytes key, struct dunlin_bytes plain) {
  struct news *news = ctx;
  (void)key;
  if (ENV_GROW(news->env, news->spaces, news->space_cap, news->space_count + 1)) return DUNLIN_ENOMEM;
  int r = space_read(news->env, plain, false, &news->spaces[news->space_count]);
  if (!r) news->space_count++;
  return r && r != DUNLIN_ENOMEM ? DUNLIN_ECORRUPT : r;
}

static int news_log(void *ctx, struct dunlin_bytes key, struct dunlin_bytes plain) {
  struct news *news = ctx;
  (void)key;
  if (ENV_GROW(news->env, news->logs, news->log_cap, news->log_count + 1)) return DUNLIN_ENOMEM;
  return record_parse_log(plain, &news->logs[news->log_count++]);
}

static int news_parent(void *ctx, struct dunlin_bytes key, struct dunlin_bytes plain) {
  struct news *news = ctx;
  if (ENV_GROW(news->env, news->parents, news->parent_cap, news->parent_count + 1)) return DUNLIN_ENOMEM;
  return record_parse_parent(key, plain, &news->parents[news->parent_count++]);
}

static int news_run(void *ctx, struct dunlin_bytes key, struct dunlin_bytes sealed) {
  struct news *news = ctx;
  if (key.len != 8) return DUNLIN_ECORRUPT;
  if (ENV_GROW(news->env, news->runs, news->run_cap, news->run_count + 1)) return DUNLIN_ENOMEM;
  struct new_run *run = &news->runs[news->run_count++];
  *run = (struct new_run){.arrival = get_be64(key.data)};
  run->malformed = seal_header_read(sealed.data, sealed.len, &run->header) != 0;
  return 0;
}

static int news_read(void *ctx, struct storage_txn *txn) {
  struct news *news = ctx;
  const struct records *records = &news->store->records;
  news->version = storage_txn_version(txn);
  int r = record_get_generation(records, txn, &news->generation);
  if (!r && news->generation != news->known_generation) {
    r = record_each(records, txn, RECORD_SPACE, news_space, news);
    if (!r) r = record_each(records, txn, RECORD_LOG, news_log, news);
    if (!r) r = record_each(records, txn, RECORD_PARENT, news_parent, news);
  }
  return r ? r : storage_each_run(txn, news->known_arrivals + 1, news_run, news);
}

/* ---- Taking it into the index, under the lock ----------------------------------------------------------------- */

/* Makes a space that is known already hold the operations of `*from` too; one that is new is moved over. */
static int merge_space(struct index *index, struct space **from) {
  struct space *space = index_space(index, &(*from)->id);
  int r = 0;
  if (!space) {
    if (ENV_GROW(index->env, index->spaces, index->space_cap, index->space_count + 1)) return DUNLIN_ENOMEM;
    index->spaces[index->space_count++] = *from;
    *from = NULL;
    return 0;
  }
  struct buf ops;
  buf_init(&ops, index->env, SPACE_MAX_BYTES);
  space_write_ops(*from, &ops);
  r = ops.error ? ops.error : space_read_ops(space, (struct dunlin_bytes){ops.data, ops.len}, false);
  buf_free(&ops);
  return r < 0 ? r : 0;
}

static int merge_log(struct index *index, const struct log_name *name) {
  if (index_log(index, name)) return 0;
  struct space *space = index_space(index, &name->space);
  if (!space) return DUNLIN_ECORRUPT;
  if (ENV_GROW(index->env, index->logs, index->log_cap, index->log_count + 1)) return DUNLIN_ENOMEM;
  struct log *log = env_calloc(index->env, 1, sizeof *log);
  if (!log) return DUNLIN_ENOMEM;
  log->name = *name;
  log->space = space;
  log->start = log->id = chain_start(name);
  log->trunk = log;
  log->branch_count = 1;
  log_keys_derive(&log->keys, &space->keys, name);
  index->logs[index->log_count++] = log;
  return 0;
}

static bool header_fits(const struct log *log, const struct seal_header *header) {
  return log && log->name.lane == header->lane && !memcmp(log->keys.log_tag, header->log_tag, 8) &&
         !memcmp(log->keys.space_tag, header->space_tag, 8) && !memcmp(log->keys.epoch_tag, header->epoch_tag, 4);
}

static struct log *log_of_header(struct index *index, const struct seal_header *header) {
  if (header_fits(index->last, header)) return index->last;
  for (size_t i = 0; i < index->log_count; i++)
    if (header_fits(index->logs[i], header)) return index->last = index->logs[i]->trunk;
  return NULL;
}

static const struct parent_record *parent_of(const struct index *index, uint64_t arrival) {
  size_t low = 0, high = index->parent_count;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    if (index->parents[mid].arrival < arrival) low = mid + 1;
    else high = mid;
  }
  return low < index->parent_count && index->parents[low].arrival == arrival ? &index->parents[low] : NULL;
}

/* A branch of `trunk` that goes on from entry `base` of `parent` (NULL: from the beginning) with run number
 * `arrival`. */
static struct log *branch_new(struct index *index, struct log *trunk, struct log *parent, uint64_t base,
                              uint64_t arrival) {
  uint8_t number[8];
  put_be64(number, arrival);
  const struct dunlin_bytes parts[] = {{trunk->start.bytes, 32}, {number, sizeof number}};
  if (ENV_GROW(index->env, index->logs, index->log_cap, index->log_count + 1)) return NULL;
  struct log *log = env_calloc(index->env, 1, sizeof *log);
  if (!log) return NULL;
  log->name = trunk->name;
  log->keys = trunk->keys;
  log->start = trunk->start;
  log->id = env_hash(index->env, "dunlin.branch.1", parts, 2);
  log->trunk = trunk;
  log->parent = parent;
  log->base = base;
  log->space = trunk->space;
  struct log **end = &trunk->next;
  while (*end) end = &(*end)->next;
  *end = log;
  trunk->branch_count++;
  index->logs[index->log_count++] = log;
  return log;
}

/* Where a run goes: a branch whose end it goes on from, or a new one.  NULL with `*error` 0: nowhere. */
static struct log *branch_of_run(struct index *index, struct log *trunk, const struct new_run *run, int *error) {
  const struct parent_record *record = parent_of(index, run->arrival);
  uint64_t arrival = record ? record->parent : trunk->latest, first = run->header.first;
  struct log *parent = NULL;
  uint64_t last = 0;
  *error = 0;
  if (arrival) {
    const struct run_place *place = arrival <= index->place_count ? &index->places[arrival - 1] : NULL;
    parent = place ? place->log : NULL;
    if (!parent || parent->trunk != trunk) return NULL;
    last = run_last(&parent->runs[place->run]);
  }
  uint64_t base = record ? record->entry : last;
  if (base > last || first > base + 1 || first + run->header.count - 1 <= base) return NULL;
  if (!record && first != base + 1) return NULL;
  if (!parent && !trunk->run_count) return trunk;
  if (parent && base == log_count(parent)) return parent;
  struct log *branch = branch_new(index, trunk, parent, base, run->arrival);
  if (!branch) *error = DUNLIN_ENOMEM;
  return branch;
}

/* Puts a run where it belongs.  One that begins behind a gap is not usable; the entries it holds may come again. */
static int merge_run(struct index *index, const struct new_run *run) {
  if (run->arrival <= index->place_count) return 0;
  /* Arrival numbers have no gaps: whatever is missing was lost. */
  uint64_t missing = run->arrival - index->place_count - 1;
  if (missing > 0) index->lost += missing;
  if (run->arrival > SIZE_MAX / sizeof *index->places || missing > 1u << 20) return DUNLIN_ECORRUPT;
  if (ENV_GROW(index->env, index->places, index->place_cap, (size_t)run->arrival)) return DUNLIN_ENOMEM;
  while (index->place_count < run->arrival - 1) index->places[index->place_count++] = (struct run_place){0};
  struct log *trunk = run->malformed ? NULL : log_of_header(index, &run->header);
  int error = 0;
  struct run_place place = {.log = trunk ? branch_of_run(index, trunk, run, &error) : NULL};
  if (error) return error;
  if (!trunk) {
    index->lost++;
  } else if (!place.log) {
    uint64_t last = run->header.first + run->header.count - 1;
    if (last > trunk->beyond) trunk->beyond = last;
  } else {
    struct log *log = place.log;
    if (ENV_GROW(index->env, log->runs, log->run_cap, log->run_count + 1)) return DUNLIN_ENOMEM;
    place.run = log->run_count;
    log->runs[log->run_count++] =
        (struct run_ref){.arrival = run->arrival, .first = run->header.first, .count = run->header.count};
    trunk->latest = run->arrival;
  }
  index->places[index->place_count++] = place;
  return 0;
}

/* All that there are are read again, in order; those that are known come first. */
static int merge_parents(struct index *index, const struct news *news) {
  size_t known = index->parent_count;
  if (ENV_GROW(index->env, index->parents, index->parent_cap, news->parent_count)) return DUNLIN_ENOMEM;
  for (size_t i = known; i < news->parent_count; i++) index->parents[index->parent_count++] = news->parents[i];
  return 0;
}

static int merge(struct index *index, struct news *news) {
  int r = 0;
  if (news->generation > index->generation) {
    for (size_t i = 0; !r && i < news->space_count; i++) r = merge_space(index, &news->spaces[i]);
    for (size_t i = 0; !r && i < news->log_count; i++) r = merge_log(index, &news->logs[i]);
    if (!r) r = merge_parents(index, news);
    if (!r) index->generation = news->generation;
  }
  for (size_t i = 0; !r && i < news->run_count; i++) r = merge_run(index, &news->runs[i]);
  return r;
}

static struct news news_begin(dunlin_store *store) {
  struct index *index = &store->index;
  struct news news = {.store = store, .env = store->env};
  pthread_mutex_lock(&index->lock);
  news.known_generation = index->generation;
  news.known_arrivals = index->place_count;
  pthread_mutex_unlock(&index->lock);
  return news;
}

/* `version`: what the index is at afterwards. */
static int news_end(struct news *news, int r, uint64_t version) {
  struct index *index = &news->store->index;
  pthread_mutex_lock(&index->lock);
  uint64_t arrivals = index->place_count, generation = index->generation;
  if (!r) r = merge(index, news);
  if (!r && version > index->version) index->version = version;
  if (!r) r = index->place_count != arrivals || index->generation != generation;
  pthread_mutex_unlock(&index->lock);
  news_free(news);
  return r;
}

int index_refresh(dunlin_store *store) {
  uint64_t version = storage_version(store->storage);
  pthread_mutex_lock(&store->index.lock);
  bool current = version && version == store->index.version;
  pthread_mutex_unlock(&store->index.lock);
  if (current) return 0;
  struct news news = news_begin(store);
  int r = storage_read(store->storage, news_read, &news);
  return news_end(&news, r, news.version);
}

int index_refresh_in(dunlin_store *store, struct storage_txn *txn) {
  struct news news = news_begin(store);
  /* A writing transaction's own number stands for a version that does not exist yet. */
  return news_end(&news, news_read(&news, txn), 0);
}

/* ---- Reading runs ------------------------------------------------------------------------------------------- */

struct sealed_read {
  uint64_t arrival;
  struct buf *out;
};

static int read_sealed(void *ctx, struct storage_txn *txn) {
  struct sealed_read *read = ctx;
  struct dunlin_bytes sealed;
  int r = storage_get_run(txn, read->arrival, &sealed);
  buf_clear(read->out);
  if (!r) buf_append(read->out, sealed.data, sealed.len);
  return r ? r : read->out->error;
}

int index_sealed(dunlin_store *store, uint64_t arrival, struct buf *out) {
  struct sealed_read read = {.arrival = arrival, .out = out};
  int r = storage_read(store->storage, read_sealed, &read);
  return r == DUNLIN_ENOENT || r == DUNLIN_ELIMIT ? DUNLIN_ECORRUPT : r;
}

static int add_doc_bit(void *ctx, const struct run_group *group) {
  *(uint64_t *)ctx |= doc_bit(&group->doc);
  return 0;
}

/* Remembers which documents the run is about, so that those who look for others need not open it again. */
static void note_docs(dunlin_store *store, uint64_t arrival, const struct buf *raw) {
  struct index *index = &store->index;
  uint64_t docs = 0;
  pthread_mutex_lock(&index->lock);
  struct run_place *place = arrival <= index->place_count ? &index->places[arrival - 1] : NULL;
  bool known = !place || place->docs;
  pthread_mutex_unlock(&index->lock);
  if (known || run_groups((struct dunlin_bytes){raw->data, raw->len}, add_doc_bit, &docs)) return;
  pthread_mutex_lock(&index->lock);
  index->places[arrival - 1].docs = docs;
  pthread_mutex_unlock(&index->lock);
}

int index_open_run(dunlin_store *store, const struct log *log, uint64_t arrival, struct buf *raw,
                   struct seal_header *header, uint8_t signature[64]) {
  struct buf sealed;
  buf_init(&sealed, store->env, DUNLIN_MAX_SEALED);
  int r = index_sealed(store, arrival, &sealed);
  if (!r) r = seal_header_read(sealed.data, sealed.len, header);
  if (!r) r = seal_open(raw, &log->keys, sealed.data, sealed.len, signature);
  buf_free(&sealed);
  if (!r) note_docs(store, arrival, raw);
  if (!r || r == DUNLIN_ENOMEM || r == DUNLIN_EIO) return r;
  store_log(store, "run %" PRIu64 " of the store is damaged: it does not open", arrival);
  return DUNLIN_ECORRUPT;
}

static int report_run(dunlin_store *store, uint64_t arrival, int r) {
  if (!r || r == DUNLIN_ENOMEM || r == DUNLIN_EIO) return r;
  if (r != DUNLIN_ECORRUPT) store_log(store, "run %" PRIu64 " of the store is malformed", arrival);
  return DUNLIN_ECORRUPT;
}

static int chain_run(dunlin_store *store, const struct log *log, uint64_t arrival, struct dunlin_id *tip) {
  struct seal_header header;
  uint8_t signature[64];
  uint64_t count = 0;
  struct buf raw;
  buf_init(&raw, store->env, DUNLIN_MAX_RAW);
  int r = index_open_run(store, log, arrival, &raw, &header, signature);
  if (!r) r = run_chain(store->env, (struct dunlin_bytes){raw.data, raw.len}, NULL, tip, &count);
  if (!r && count != header.count) r = DUNLIN_EFORMAT;
  buf_free(&raw);
  return report_run(store, arrival, r);
}

struct entry_search {
  uint64_t left; /* entries before the one that is looked for, itself included */
  struct dunlin_id found;
};

static int search_entry(void *ctx, const struct dunlin_id *entry) {
  struct entry_search *search = ctx;
  search->found = *entry;
  return --search->left == 0;
}

/* Entry `n`, which is above the branch's base and within what is chained. */
static int entry_inside(dunlin_store *store, struct log *log, uint64_t n, struct dunlin_id *out) {
  struct seal_header header;
  uint8_t signature[64];
  pthread_mutex_lock(&store->index.lock);
  const struct run_ref *found = log_run_of(log, n);
  struct run_ref run = found ? *found : (struct run_ref){0};
  uint64_t before = found ? run.first - 1 : 0, base = log->base;
  struct log *parent = log->parent;
  pthread_mutex_unlock(&store->index.lock);
  if (!found) return DUNLIN_ECORRUPT;
  if (run_last(&run) == n) {
    *out = run.tip;
    return 0;
  }
  int r = 0;
  struct dunlin_id start = log->start;
  if (before > base) r = entry_inside(store, log, before, &start);
  else if (parent) r = index_entry(store, parent, before, &start);
  struct entry_search search = {.left = n - before};
  struct buf raw;
  buf_init(&raw, store->env, DUNLIN_MAX_RAW);
  if (!r) r = index_open_run(store, log, run.arrival, &raw, &header, signature);
  if (!r) r = run_entries(store->env, (struct dunlin_bytes){raw.data, raw.len}, &start, search_entry, &search);
  buf_free(&raw);
  *out = search.found;
  return r == 1 ? 0 : report_run(store, run.arrival, r ? r : DUNLIN_EFORMAT);
}

int index_entry(dunlin_store *store, struct log *log, uint64_t n, struct dunlin_id *out) {
  uint64_t count;
  struct dunlin_id tip;
  pthread_mutex_lock(&store->index.lock);
  bool past = n > log_count(log);
  struct log *holder = n ? log_holder(log, n) : NULL;
  pthread_mutex_unlock(&store->index.lock);
  *out = log->start;
  if (past) return DUNLIN_ENOENT;
  if (!holder) return 0;
  int r = index_chain(store, holder, &count, &tip);
  return r ? r : entry_inside(store, holder, n, out);
}

/* The chain value before run `at` of the branch, whose runs before that are chained. */
static int chain_before(dunlin_store *store, struct log *log, size_t at, struct dunlin_id *out) {
  pthread_mutex_lock(&store->index.lock);
  uint64_t before = log->runs[at].first - 1, reached = at ? run_last(&log->runs[at - 1]) : log->base, base = log->base;
  if (at) *out = log->runs[at - 1].tip;
  struct log *parent = log->parent;
  pthread_mutex_unlock(&store->index.lock);
  if (at && before == reached) return 0;
  if (before > base) return entry_inside(store, log, before, out);
  *out = log->start;
  return parent ? index_entry(store, parent, before, out) : 0;
}

int index_chain(dunlin_store *store, struct log *log, uint64_t *count, struct dunlin_id *tip) {
  struct index *index = &store->index;
  for (;;) {
    pthread_mutex_lock(&index->lock);
    size_t at = log->chained;
    *tip = at ? log->runs[at - 1].tip : log->start;
    *count = at ? run_last(&log->runs[at - 1]) : 0;
    bool done = at == log->run_count;
    uint64_t arrival = done ? 0 : log->runs[at].arrival;
    pthread_mutex_unlock(&index->lock);
    if (done) return 0;
    int r = chain_before(store, log, at, tip);
    if (!r) r = chain_run(store, log, arrival, tip);
    if (r) return r;
    pthread_mutex_lock(&index->lock);
    if (log->chained == at) log->runs[log->chained++].tip = *tip;
    pthread_mutex_unlock(&index->lock);
  }
}

void index_set_tip(struct index *index, uint64_t arrival, const struct dunlin_id *tip) {
  pthread_mutex_lock(&index->lock);
  const struct run_place *place = arrival && arrival <= index->place_count ? &index->places[arrival - 1] : NULL;
  struct log *log = place ? place->log : NULL;
  if (log && log->chained == place->run) log->runs[log->chained++].tip = *tip;
  pthread_mutex_unlock(&index->lock);
}

int index_whole(dunlin_store *store, const struct space *space, uint8_t lane) {
  struct index *index = &store->index;
  bool damaged = false;
  pthread_mutex_lock(&index->lock);
  uint64_t lost = index->lost;
  for (size_t i = 0; i < index->log_count; i++) {
    const struct log *log = index->logs[i];
    damaged |= log->space == space && log->name.lane == lane && log->beyond > log_count(log);
  }
  pthread_mutex_unlock(&index->lock);
  if (!lost && !damaged) return 0;
  store_log(store, "the store has lost changes: %" PRIu64 " runs belong nowhere%s", lost,
            damaged ? ", and a log has a gap" : "");
  return DUNLIN_ECORRUPT;
}
