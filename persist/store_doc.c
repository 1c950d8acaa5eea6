#include "persist/store_doc.h"

#include <string.h>

#include "crdt/doc.h"
#include "persist/run.h"

struct dunlin_store_doc {
  dunlin_store *store;
  struct space *space;
  struct dunlin_id id;
  struct dunlin_actor actor;
  struct writer *writer; /* NULL: read only */
  dunlin_doc *doc;
  struct doc_cursor cursor;
  uint64_t generation; /* of the index when the actor was last looked at */
  bool copied;         /* the actor is new: what a copy of this store wrote under the old one is to be read, too */
  enum dunlin_commit_mode mode;
};

/* The key of the directory document's root under which the names are. */
#define DIRECTORY_KEY "docs"

struct dunlin_id doc_id_of_name(const struct dunlin_env *env, const struct dunlin_id *space, const char *name,
                                size_t len) {
  const struct dunlin_bytes parts[] = {{space->bytes, 32}, {name, len}};
  return env_hash(env, "dunlin.doc.1", parts, 2);
}

struct dunlin_id doc_id_of_directory(const struct dunlin_env *env, const struct dunlin_id *space) {
  return env_hash(env, "dunlin.dir.1", &(struct dunlin_bytes){space->bytes, 32}, 1);
}

int doc_reader(dunlin_store *store, const struct dunlin_id *id, dunlin_doc **out) {
  struct dunlin_actor actor;
  int r = store->env->random(store->env->ctx, actor.bytes, sizeof actor.bytes);
  return r ? r : dunlin_doc_new(store->env, id, &actor, out);
}

/* ---- From runs to a document -------------------------------------------------------------------------------- */

struct apply {
  dunlin_store *store;
  dunlin_doc *doc;
  const struct dunlin_id *did;
  const struct log *log;
  struct dunlin_applied *result;
};

static int apply_group(void *ctx, const struct run_group *group) {
  struct apply *a = ctx;
  struct dunlin_applied applied = {0};
  if (id_compare(&group->doc, a->did)) return 0;
  int r = doc_apply_as(a->doc, &a->log->name.actor, group->delta.data, group->delta.len, &applied);
  a->result->applied += applied.applied;
  a->result->duplicates += applied.duplicates;
  a->result->pending += applied.pending;
  a->result->refused += applied.refused;
  a->result->left_out += applied.left_out;
  /* Its form was checked when it came in, so this is no damage but an author who sent what no replica will take. */
  if (r != DUNLIN_EFORMAT && r != DUNLIN_EAUTH && r != DUNLIN_EREFUSED) return r;
  a->result->refused++;
  return 0;
}

static int apply_run(struct apply *a, uint64_t arrival) {
  struct seal_header header;
  uint8_t signature[64];
  struct buf raw;
  buf_init(&raw, a->store->env, DUNLIN_MAX_RAW);
  int r = index_open_run(a->store, a->log, arrival, &raw, &header, signature);
  if (!r) r = run_groups((struct dunlin_bytes){raw.data, raw.len}, apply_group, a);
  buf_free(&raw);
  return r == DUNLIN_EFORMAT ? DUNLIN_ECORRUPT : r;
}

/* The next arrival number above `*at` that may matter to the document, and its log; false at the end. */
static bool next_run(struct index *index, const struct dunlin_id *did, const struct space *space, uint8_t lane,
                     const struct dunlin_actor *skip, uint64_t *at, const struct log **out) {
  bool found = false;
  pthread_mutex_lock(&index->lock);
  while (!found && *at < index->place_count) {
    const struct run_place *place = &index->places[(*at)++];
    const struct log *log = place->log;
    if (place->docs && !(place->docs & doc_bit(did))) continue;
    if (!log || log->space != space || log->name.lane != lane) continue;
    if (skip && !actor_compare(skip, &log->name.actor)) continue;
    *out = log;
    found = true;
  }
  pthread_mutex_unlock(&index->lock);
  return found;
}

/* Applies the runs behind arrival number `*at`.  Where one brought changes that were left out is noted in `*again`. */
static int load_runs(struct apply *a, const struct space *space, uint8_t lane, const struct dunlin_actor *skip,
                     uint64_t *at, uint64_t *again) {
  uint64_t next = *at;
  int r = 0;
  while (!r && next_run(&a->store->index, a->did, space, lane, skip, &next, &a->log)) {
    size_t left_out = a->result->left_out;
    r = apply_run(a, next);
    if (!r) *at = next;
    if (a->result->left_out != left_out && *again > next - 1) *again = next - 1;
  }
  if (!r) *at = next;
  return r;
}

int doc_load(dunlin_store *store, dunlin_doc *doc, const struct dunlin_id *did, const struct space *space, uint8_t lane,
             const struct dunlin_actor *skip, struct doc_cursor *cursor, struct dunlin_applied *result) {
  struct apply a = {.store = store, .doc = doc, .did = did, .result = result};
  size_t applied = result->applied, left_out = result->left_out;
  int r = index_whole(store, space, lane);
  if (!r) r = load_runs(&a, space, lane, skip, &cursor->at, &cursor->again);
  /* What was left out may have its parents now, if anything has come at all. */
  while (!r && cursor->again != UINT64_MAX && result->applied != applied) {
    uint64_t from = cursor->again, again = UINT64_MAX;
    applied = result->applied;
    result->left_out = left_out;
    r = load_runs(&a, space, lane, skip, &from, &again);
    if (!r) cursor->again = again;
  }
  return r;
}

/* ---- The directory ------------------------------------------------------------------------------------------ */

int directory_names(const dunlin_doc *directory, dunlin_obj *out) {
  struct dunlin_value value;
  int r =
      dunlin_map_get(directory, DUNLIN_ROOT, (struct dunlin_bytes){DIRECTORY_KEY, sizeof DIRECTORY_KEY - 1}, &value);
  if (!r && value.kind != DUNLIN_MAP) r = DUNLIN_ENOENT;
  if (!r) *out = value.as.obj;
  return r;
}

/* With the lock of the directories held: that of the space, up to date. */
static int directory_of(dunlin_store *store, const struct space *space, dunlin_doc **out) {
  struct directories *all = &store->directories;
  struct dunlin_applied applied = {0};
  struct dunlin_id id = doc_id_of_directory(store->env, &space->id);
  size_t i = 0;
  while (i < all->count && id_compare(&all->list[i].space, &space->id)) i++;
  if (i == all->count) {
    if (ENV_GROW(store->env, all->list, all->cap, all->count + 1)) return DUNLIN_ENOMEM;
    all->list[i] = (struct directory){.space = space->id, .cursor = doc_cursor_begin()};
    int r = doc_reader(store, &id, &all->list[i].doc);
    if (r) return r;
    all->count++;
  }
  *out = all->list[i].doc;
  return doc_load(store, *out, &id, space, LANE_URGENT, NULL, &all->list[i].cursor, &applied);
}

/* Finds the space, with everything that is committed. */
static int find_space(dunlin_store *store, const struct dunlin_id *id, struct space **out) {
  int r = store_usable(store);
  if (!r) r = index_refresh(store);
  if (r < 0) return r;
  pthread_mutex_lock(&store->index.lock);
  *out = index_space(&store->index, id);
  pthread_mutex_unlock(&store->index.lock);
  return *out ? 0 : DUNLIN_ENOENT;
}

int dunlin_store_doc_list(dunlin_store *store, const struct dunlin_id *id, size_t i, char name[DUNLIN_MAX_NAME + 1],
                          size_t *name_len) {
  struct space *space;
  dunlin_doc *directory;
  dunlin_obj names;
  struct dunlin_bytes key;
  struct dunlin_value value;
  int r = find_space(store, id, &space);
  if (r) return r;
  pthread_mutex_lock(&store->directories.lock);
  r = directory_of(store, space, &directory);
  if (!r) r = directory_names(directory, &names);
  if (!r) r = dunlin_map_at(directory, names, i, &key, &value);
  if (!r && key.len > DUNLIN_MAX_NAME) r = DUNLIN_ENOENT;
  if (!r) {
    memcpy(name, key.data, key.len);
    name[key.len] = 0;
    *name_len = key.len;
  }
  pthread_mutex_unlock(&store->directories.lock);
  return r;
}

static int is_listed(dunlin_store *store, const struct space *space, const char *name, size_t len) {
  dunlin_doc *directory;
  dunlin_obj names;
  struct dunlin_value value;
  pthread_mutex_lock(&store->directories.lock);
  int r = directory_of(store, space, &directory);
  if (!r) r = directory_names(directory, &names);
  if (!r) r = dunlin_map_get(directory, names, (struct dunlin_bytes){name, len}, &value);
  pthread_mutex_unlock(&store->directories.lock);
  return r;
}

/* ---- Committing ----------------------------------------------------------------------------------------------- */

static int commit_in_lane(struct dunlin_store_doc *d, uint8_t lane, const struct dunlin_id *did,
                          const struct dunlin_id *id, struct dunlin_bytes change, bool wait) {
  struct log_name log = {
      .space = d->space->id, .device = d->store->device.self.device, .actor = d->actor, .lane = lane};
  struct change_id_bytes item = {.id = *id, .bytes = change};
  int r = store_usable(d->store);
  if (r) return r;
  return d->writer ? commit_change(d->store, d->writer, &log, did, &item, wait) : DUNLIN_EPERM;
}

static int on_commit(void *ctx, const struct dunlin_id *id, struct dunlin_bytes change) {
  struct dunlin_store_doc *d = ctx;
  return commit_in_lane(d, LANE_NORMAL, &d->id, id, change, d->mode == DUNLIN_DURABLE);
}

static int on_directory_commit(void *ctx, const struct dunlin_id *id, struct dunlin_bytes change) {
  struct dunlin_store_doc *d = ctx;
  struct dunlin_id did = doc_id_of_directory(d->store->env, &d->space->id);
  return commit_in_lane(d, LANE_URGENT, &did, id, change, true);
}

/* Writes the name into the directory, as this handle's actor. */
static int list_name(struct dunlin_store_doc *d, const char *name, size_t len) {
  struct dunlin_id did = doc_id_of_directory(d->store->env, &d->space->id);
  struct dunlin_applied applied = {0};
  dunlin_doc *directory = NULL;
  dunlin_obj names;
  struct doc_cursor cursor = doc_cursor_begin();
  int r = dunlin_doc_new(d->store->env, &did, &d->actor, &directory);
  if (r) return r;
  dunlin_doc_on_commit(directory, on_directory_commit, d);
  r = doc_load(d->store, directory, &did, d->space, LANE_URGENT, NULL, &cursor, &applied);
  if (!r) r = dunlin_begin(directory);
  if (!r) {
    struct dunlin_value lane = {.kind = DUNLIN_INT, .as.integer = LANE_NORMAL};
    names = dunlin_map_child(directory, DUNLIN_ROOT, dunlin_key(DIRECTORY_KEY), DUNLIN_MAP);
    if (!r) r = dunlin_map_put(directory, names, (struct dunlin_bytes){name, len}, lane);
    if (r) dunlin_abort(directory);
    else r = dunlin_commit(directory, 0, NULL);
  }
  dunlin_doc_free(directory);
  return r < 0 ? r : 0;
}

/* ---- Being a copy --------------------------------------------------------------------------------------------- */

/* When this store turns out to be a copy of another, or set back to an older state, its actors' numbers are in use
 * elsewhere: the handle goes on under a new one. */
static int renew_actor(struct dunlin_store_doc *d) {
  int r = index_refresh(d->store);
  if (r < 0 || !d->writer) return r < 0 ? r : 0;
  uint64_t generation = index_generation(&d->store->index);
  if (generation == d->generation) return 0;
  r = writer_renew(d->store, d->writer);
  if (r == 1) {
    r = doc_set_actor(d->doc, &d->writer->actor);
    d->actor = d->writer->actor;
    d->copied = true;
  }
  if (!r) d->generation = generation;
  return r;
}

static int on_begin(void *ctx) {
  struct dunlin_store_doc *d = ctx;
  int r = store_usable(d->store);
  return r ? r : renew_actor(d);
}

/* ---- Opening ------------------------------------------------------------------------------------------------ */

/* How many of its changes are there already: the durable ones, since nothing of this actor is queued. */
static uint64_t own_changes(const struct dunlin_store_doc *d) {
  struct dunlin_change_info info;
  uint64_t n = 0;
  while (!dunlin_doc_find_number(d->doc, &d->actor, n, &info)) n++;
  return n;
}

static int load_all(struct dunlin_store_doc *d) {
  struct dunlin_applied applied = {0};
  struct log_name own = {
      .space = d->space->id, .device = d->store->device.self.device, .actor = d->actor, .lane = LANE_NORMAL};
  int r = dunlin_doc_new(d->store->env, &d->id, &d->actor, &d->doc);
  if (!r) r = doc_load(d->store, d->doc, &d->id, d->space, LANE_NORMAL, NULL, &d->cursor, &applied);
  if (r || !d->writer) return r;
  d->writer->durable = own_changes(d);
  struct log *log = index_find_log(&d->store->index, &own);
  uint64_t count;
  struct dunlin_id tip;
  /* So that the first commit does not have to. */
  return log ? index_chain(d->store, log, &count, &tip) : 0;
}

static void doc_free(struct dunlin_store_doc *d) {
  dunlin_doc_free(d->doc);
  writer_close(d->store, d->writer);
  env_free(d->store->env, d, sizeof *d);
}

static int open_in_space(struct dunlin_store_doc *d, const char *name, size_t len, unsigned flags) {
  dunlin_store *store = d->store;
  int listed = is_listed(store, d->space, name, len);
  if (listed && (listed != DUNLIN_ENOENT || !(flags & DUNLIN_CREATE))) return listed;
  int r = flags & DUNLIN_READONLY ? store->env->random(store->env->ctx, d->actor.bytes, sizeof d->actor.bytes)
                                  : writer_open(store, &d->id, &d->writer);
  if (r) return r;
  if (d->writer) d->actor = d->writer->actor;
  /* Once more: the slot's last holder may have committed since. */
  r = index_refresh(store);
  if (r < 0) return r;
  r = listed ? list_name(d, name, len) : 0;
  return r ? r : load_all(d);
}

int dunlin_store_doc_open(dunlin_store *store, const struct dunlin_id *space_id, struct dunlin_bytes name,
                          unsigned flags, dunlin_store_doc **out) {
  struct space *space;
  if (flags & ~(unsigned)(DUNLIN_CREATE | DUNLIN_READONLY)) return DUNLIN_EINVAL;
  if ((flags & DUNLIN_CREATE) && (flags & DUNLIN_READONLY)) return DUNLIN_EINVAL;
  if (!name.len || name.len > DUNLIN_MAX_NAME) return name.len ? DUNLIN_ELIMIT : DUNLIN_EINVAL;
  if (!utf8_valid(name.data, name.len, NULL)) return DUNLIN_EUTF8;
  int r = find_space(store, space_id, &space);
  if (r) return r;
  struct dunlin_store_doc *d = env_calloc(store->env, 1, sizeof *d);
  if (!d) return DUNLIN_ENOMEM;
  d->store = store;
  d->space = space;
  d->cursor = doc_cursor_begin();
  d->id = doc_id_of_name(store->env, &space->id, name.data, name.len);
  r = open_in_space(d, name.data, name.len, flags);
  if (r) {
    doc_free(d);
    return r;
  }
  dunlin_doc_on_commit(d->doc, on_commit, d);
  doc_on_begin(d->doc, on_begin, d);
  atomic_fetch_add(&store->documents, 1);
  *out = d;
  return 0;
}

void dunlin_store_doc_close(dunlin_store_doc *d) {
  if (!d) return;
  dunlin_store *store = d->store;
  doc_free(d);
  atomic_fetch_sub(&store->documents, 1);
}

dunlin_doc *dunlin_store_doc_get(dunlin_store_doc *d) {
  return d->doc;
}

void dunlin_store_doc_mode(dunlin_store_doc *d, enum dunlin_commit_mode mode) {
  d->mode = mode;
}

struct dunlin_actor dunlin_store_doc_actor(const dunlin_store_doc *d) {
  return d->actor;
}

int dunlin_store_doc_pull(dunlin_store_doc *d, struct dunlin_applied *result) {
  struct dunlin_applied applied = {0};
  struct doc_cursor cursor = d->cursor;
  int r = store_usable(d->store);
  if (!r && doc_in_transaction(d->doc)) r = DUNLIN_ESTATE;
  if (!r) r = renew_actor(d);
  if (r) return r;
  if (d->copied) cursor = doc_cursor_begin(); /* once more: most of it is there already */
  r = doc_load(d->store, d->doc, &d->id, d->space, LANE_NORMAL, d->copied ? NULL : &d->actor, &cursor, &applied);
  if (!r) d->copied = false;
  if (!d->copied) d->cursor = cursor;
  if (result) *result = applied;
  return r;
}

int dunlin_store_doc_durable(dunlin_store_doc *d, uint64_t *count) {
  *count = 0;
  if (!d->writer) return 0;
  pthread_mutex_lock(&d->store->queue.lock);
  *count = d->writer->durable;
  pthread_mutex_unlock(&d->store->queue.lock);
  return 0;
}
