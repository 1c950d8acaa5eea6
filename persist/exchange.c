/* Logs and runs as peers see them, and taking runs in. */
#include "persist/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "persist/run.h"
#include "persist/store.h"

/* ---- Giving out --------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
  const struct exchange_log *l = a, *m = b;
  const struct log_name *x = &l->name, *y = &m->name;
  if (x->lane != y->lane) return x->lane < y->lane ? -1 : 1;
  int order = id_compare(&x->device, &y->device);
  if (!order) order = actor_compare(&x->actor, &y->actor);
  return order ? order : id_compare(&l->tip, &m->tip);
}

static int fill(dunlin_store *store, struct log *log, struct exchange_log *out) {
  out->name = log->name;
  out->branch = log->id;
  return index_chain(store, log, &out->count, &out->tip);
}

/* The logs of a space, in any order; `*cap` elements are to be freed. */
static struct log **logs_of(dunlin_store *store, const struct dunlin_id *space, size_t *count, size_t *cap) {
  struct index *index = &store->index;
  *count = 0;
  pthread_mutex_lock(&index->lock);
  *cap = index->log_count;
  struct log **logs = env_alloc(store->env, *cap * sizeof(struct log *));
  for (size_t k = 0; logs && k < *cap; k++)
    if (!id_compare(&index->logs[k]->name.space, space)) logs[(*count)++] = index->logs[k];
  pthread_mutex_unlock(&index->lock);
  return logs;
}

int exchange_logs(dunlin_store *store, const struct dunlin_id *space, struct exchange_log **out, size_t *count) {
  size_t cap;
  struct log **logs = logs_of(store, space, count, &cap);
  if (!logs) return DUNLIN_ENOMEM;
  struct exchange_log *list = env_alloc(store->env, *count * sizeof *list);
  int r = list ? 0 : DUNLIN_ENOMEM;
  for (size_t i = 0; !r && i < *count; i++) r = fill(store, logs[i], &list[i]);
  env_free(store->env, logs, cap * sizeof(struct log *));
  if (r) {
    if (list) env_free(store->env, list, *count * sizeof *list);
    return r;
  }
  qsort(list, *count, sizeof *list, by_name);
  *out = list;
  return 0;
}

int exchange_log(dunlin_store *store, const struct dunlin_id *space, size_t i, struct exchange_log *out) {
  struct exchange_log *list;
  size_t count;
  int r = exchange_logs(store, space, &list, &count);
  if (r) return r;
  if (i < count) *out = list[i];
  env_free(store->env, list, count * sizeof *list);
  return i < count ? 0 : DUNLIN_ENOENT;
}

int exchange_log_find(dunlin_store *store, const struct log_name *name, struct exchange_log *out) {
  struct log *log = index_find_log(&store->index, name);
  return log ? fill(store, log, out) : DUNLIN_ENOENT;
}

bool exchange_is_own(dunlin_store *store, const struct log_name *name) {
  return !id_compare(&name->device, &store->device.self.device);
}

size_t exchange_branches(dunlin_store *store, const struct log_name *name) {
  pthread_mutex_lock(&store->index.lock);
  const struct log *log = index_log(&store->index, name);
  size_t count = log ? log->branch_count : 0;
  pthread_mutex_unlock(&store->index.lock);
  return count;
}

/* `branch` NULL: the first. */
static struct log *find_branch(dunlin_store *store, const struct log_name *name, const struct dunlin_id *branch) {
  pthread_mutex_lock(&store->index.lock);
  struct log *log = index_log(&store->index, name);
  if (log && branch) log = log_branch(log, branch);
  pthread_mutex_unlock(&store->index.lock);
  return log;
}

int exchange_entry(dunlin_store *store, const struct log_name *name, const struct dunlin_id *branch, uint64_t n,
                   struct dunlin_id *out) {
  struct log *log = find_branch(store, name, branch);
  return log ? index_entry(store, log, n, out) : DUNLIN_ENOENT;
}

/* Where the run lies that holds entry `n` of the branch's past, 0: nowhere. */
static uint64_t arrival_of(struct index *index, struct log *log, uint64_t n, uint64_t *reaches) {
  uint64_t arrival = 0;
  pthread_mutex_lock(&index->lock);
  struct log *holder = log && n ? log_holder(log, n) : NULL;
  const struct run_ref *run = holder ? log_run_of(holder, n) : NULL;
  if (run) {
    arrival = run->arrival;
    *reaches = run_last(run);
    /* On its way to this branch the past leaves the holder at the base of the branch after it. */
    for (struct log *at = log; at != holder; at = at->parent)
      if (at->base < *reaches) *reaches = at->base;
  }
  pthread_mutex_unlock(&index->lock);
  return arrival;
}

int exchange_branch_run(dunlin_store *store, const struct log_name *name, const struct dunlin_id *branch, uint64_t n,
                        struct buf *sealed, uint64_t *reaches) {
  uint64_t last, arrival = arrival_of(&store->index, find_branch(store, name, branch), n, &last);
  if (arrival && reaches) *reaches = last;
  return arrival ? index_sealed(store, arrival, sealed) : DUNLIN_ENOENT;
}

int exchange_run(dunlin_store *store, const struct log_name *name, uint64_t n, struct buf *sealed) {
  return exchange_branch_run(store, name, NULL, n, sealed, NULL);
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
  struct log *log; /* the first branch; NULL: nothing of it is held */
  struct log_keys keys;
  size_t branches;         /* held, and to be begun */
  uint64_t latest;         /* arrival number of the last run held */
  struct commit_run *runs; /* those accepted */
  size_t accepted;
  size_t begun; /* of `branches` */
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
  in->branches = in->log ? in->log->branch_count : 0;
  in->latest = in->log ? in->log->latest : 0;
  pthread_mutex_unlock(&index->lock);
  in->accepted = in->begun = 0;
  return r;
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

/* A run on its way in. */
struct arriving {
  struct dunlin_bytes sealed;
  struct seal_header header;
  uint64_t last;
  uint8_t signature[64];
  struct buf raw;
  bool tried;           /* there was an entry that it could have gone on from */
  struct dunlin_id tip; /* once it is known what it goes on from */
};

/* Whether the run goes on from the entry `before`: 1, and it is checked in full and its tip is known; 0 when it does
 * not. */
static int follows(struct intake *in, struct arriving *run, const struct dunlin_id *before) {
  uint64_t count = 0;
  struct dunlin_bytes data = {run->raw.data, run->raw.len};
  run->tip = *before;
  run->tried = true;
  int r = run_chain(in->store->env, data, &in->name->actor, &run->tip, &count);
  if (!r && count != run->header.count) r = DUNLIN_EFORMAT;
  if (r) return r;
  r = seal_check_signature(&in->keys, in->name, &run->header, &run->tip, run->signature);
  if (r == DUNLIN_EAUTH) return 0; /* not signed as what it would be here */
  if (!r) r = run_groups(data, check_heads, in);
  return r ? r : 1;
}

/* Branch `i` of the log; NULL past the last. */
static struct log *branch_at(struct intake *in, size_t i) {
  pthread_mutex_lock(&in->store->index.lock);
  struct log *log = in->log;
  while (log && i--) log = log->next;
  pthread_mutex_unlock(&in->store->index.lock);
  return log;
}

static uint64_t count_of(struct intake *in, const struct log *log) {
  pthread_mutex_lock(&in->store->index.lock);
  uint64_t count = log_count(log);
  pthread_mutex_unlock(&in->store->index.lock);
  return count;
}

/* The same bytes are held. */
static int is_held(struct intake *in, const struct arriving *run) {
  bool same = false;
  int r = 0;
  struct buf stored;
  buf_init(&stored, in->store->env, DUNLIN_MAX_SEALED);
  struct log *log;
  for (size_t i = 0; !r && !same && (log = branch_at(in, i)); i++) {
    uint64_t reaches = 0, arrival = arrival_of(&in->store->index, log, run->last, &reaches);
    if (arrival) r = index_sealed(in->store, arrival, &stored);
    same = !r && arrival && stored.len == run->sealed.len && !memcmp(stored.data, run->sealed.data, stored.len);
  }
  buf_free(&stored);
  return r ? r : same;
}

static struct commit_run *accept(struct intake *in, const struct arriving *run) {
  struct commit_run *accepted = &in->runs[in->accepted++];
  *accepted = (struct commit_run){.sealed = run->sealed, .last = run->last, .tip = run->tip};
  return accepted;
}

/* It goes on from the run before it, or from the end of a branch: as good as always. */
static int accept_at_end(struct intake *in, struct arriving *run) {
  if (in->accepted && in->runs[in->accepted - 1].last + 1 == run->header.first) {
    int r = follows(in, run, &in->runs[in->accepted - 1].tip);
    if (r == 1) accept(in, run)->follows = true;
    if (r) return r;
  }
  if (!in->log && run->header.first == 1) {
    struct dunlin_id start = chain_start(in->name);
    int r = in->accepted ? 0 : follows(in, run, &start);
    if (r == 1) accept(in, run)->plain = true;
    return r;
  }
  struct log *log;
  for (size_t i = 0; (log = branch_at(in, i)); i++) {
    struct dunlin_id tip;
    uint64_t count;
    int r = index_chain(in->store, log, &count, &tip);
    if (!r && count + 1 == run->header.first) r = follows(in, run, &tip);
    if (r < 0) return r;
    if (r == 0) continue;
    struct commit_run *accepted = accept(in, run);
    uint64_t reaches;
    accepted->parent = arrival_of(&in->store->index, log, count, &reaches);
    accepted->entry = count;
    accepted->plain = true;
    return 1;
  }
  return 0;
}

/* ---- A run that goes on from the middle ------------------------------------------------------------------------- */

struct crossing {
  struct intake *in;
  uint64_t at;     /* number of the entry that comes next */
  struct log *log; /* the branch that holds the last entry that is known, and its number */
  uint64_t known;
};

/* Whether one of the branches holds this entry. */
static int cross_entry(void *ctx, const struct dunlin_id *entry) {
  struct crossing *c = ctx;
  struct log *log;
  struct dunlin_id ours;
  for (size_t i = 0; (log = branch_at(c->in, i)); i++) {
    pthread_mutex_lock(&c->in->store->index.lock);
    bool own = log_holder(log, c->at) == log;
    pthread_mutex_unlock(&c->in->store->index.lock);
    int r = own ? index_entry(c->in->store, log, c->at, &ours) : DUNLIN_ENOENT;
    if (r && r != DUNLIN_ENOENT) return r;
    if (r || id_compare(&ours, entry)) continue;
    c->log = log;
    c->known = c->at;
  }
  c->at++;
  return 0;
}

/* `before` is the entry of `log`'s past that the run goes on from.  Finds the last of its entries that is held: what
 * comes after that goes on from there. */
static int accept_crossing(struct intake *in, struct arriving *run, struct log *log, const struct dunlin_id *before) {
  uint64_t entry = run->header.first - 1, reaches = 0;
  struct crossing c = {.in = in, .at = run->header.first, .known = entry};
  pthread_mutex_lock(&in->store->index.lock);
  c.log = log_holder(log, entry); /* NULL: the log's beginning */
  pthread_mutex_unlock(&in->store->index.lock);
  int r = run_entries(in->store->env, (struct dunlin_bytes){run->raw.data, run->raw.len}, before, cross_entry, &c);
  if (r || c.known == run->last) return r; /* held already, cut otherwise */
  bool begins = !c.log || c.known < count_of(in, c.log);
  if (begins && in->branches >= LOG_MAX_BRANCHES) return DUNLIN_ELIMIT;
  struct commit_run *accepted = accept(in, run);
  accepted->entry = c.known;
  accepted->parent = c.log ? arrival_of(&in->store->index, c.log, c.known, &reaches) : 0;
  accepted->plain = c.log && c.known == reaches && run->header.first == c.known + 1;
  in->branches += begins;
  in->begun += begins;
  return 0;
}

static int accept_in_the_middle(struct intake *in, struct arriving *run) {
  struct log *log;
  for (size_t i = 0; (log = branch_at(in, i)); i++) {
    struct dunlin_id before;
    int r = index_entry(in->store, log, run->header.first - 1, &before);
    if (r == DUNLIN_ENOENT) continue;
    if (!r) r = follows(in, run, &before);
    if (r == 1) return accept_crossing(in, run, log, &before);
    if (r) return r;
  }
  return run->tried ? DUNLIN_EAUTH : DUNLIN_ENOENT;
}

/* 1: it begins inside the run before it here, which has to be stored first. */
static int intake_run(struct intake *in, const struct dunlin_bytes *sealed) {
  struct arriving run = {.sealed = *sealed};
  int r = seal_header_read(sealed->data, sealed->len, &run.header);
  if (r) return r;
  run.last = run.header.first + run.header.count - 1;
  if (in->accepted && run.header.first <= in->runs[in->accepted - 1].last) return 1;
  r = is_held(in, &run);
  if (r) return r < 0 ? r : 0;
  buf_init(&run.raw, in->store->env, DUNLIN_MAX_RAW);
  r = seal_open(&run.raw, &in->keys, sealed->data, sealed->len, run.signature);
  if (!r) r = accept_at_end(in, &run);
  if (!r) r = accept_in_the_middle(in, &run);
  buf_free(&run.raw);
  return r < 0 ? r : 0;
}

/* Somebody else may take in runs of the same log at the same time; then we look again, each time at less. */
#define INTAKE_TRIES 16

static int intake_commit(struct intake *in) {
  struct commit_runs runs = {.log = in->name, .runs = in->runs, .count = in->accepted, .latest = in->latest};
  /* A peer knows of entries in this device's own log that we do not: they were written by a copy of this store, or by
   * this store before it was set back. */
  runs.own = exchange_is_own(in->store, in->name);
  int r = commit_runs(in->store, &runs);
  if (r) return r;
  if (runs.own) store_log(in->store, "a peer holds more of this store's own log: the store was copied or set back");
  if (in->begun)
    store_log(in->store, "a log has two branches: a store was copied, or its author cheats; both are kept");
  return (int)in->accepted;
}

/* Takes runs in from `*at` on, as many as can be stored at once, and moves `*at` behind them. */
static int intake_part(struct intake *in, const struct dunlin_bytes *runs, size_t count, size_t *at) {
  int r = DUNLIN_ECONFLICT;
  for (int tries = 0; r == DUNLIN_ECONFLICT && tries < INTAKE_TRIES; tries++) {
    size_t i = *at;
    r = intake_begin(in);
    if (r) return r;
    while (!r && i < count && !(r = intake_run(in, &runs[i]))) i++;
    if (r >= 0) r = in->accepted ? intake_commit(in) : 0;
    if (r >= 0) *at = i;
  }
  return r;
}

int exchange_ingest(dunlin_store *store, const struct log_name *name, const struct dunlin_bytes *runs, size_t count) {
  if (!count) return 0;
  if (count > DUNLIN_MAX_DELTA_CHANGES) return DUNLIN_ELIMIT;
  struct intake in = {.store = store, .name = name, .runs = env_calloc(store->env, count, sizeof(struct commit_run))};
  if (!in.runs) return DUNLIN_ENOMEM;
  int r = 0, taken = 0;
  for (size_t at = 0; r >= 0 && at < count;) {
    size_t end = at;
    r = intake_part(&in, runs, count, &end);
    taken += r > 0 ? r : 0;
    at = end;
  }
  if (r >= 0) r = taken;
  env_free(store->env, in.runs, count * sizeof(struct commit_run));
  return r;
}
