#include "persist/store.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "persist/pagecheck.h"

int store_usable(const dunlin_store *store) {
  return store->pid == getpid() ? 0 : DUNLIN_ESTATE;
}

void store_log(const dunlin_store *store, const char *format, ...) {
  char line[256];
  va_list args;
  if (!store->env->log) return;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  store->env->log(store->env->ctx, 1, line);
}

int store_change(dunlin_store *store, storage_work *work, void *ctx) {
  int r = storage_write(store->storage, work, ctx);
  if (r < 0) return r;
  int refreshed = index_refresh(store);
  if (refreshed < 0) return refreshed;
  watch_tell(&store->watch, index_arrivals(&store->index));
  return r;
}

/* ---- Options ------------------------------------------------------------------------------------------------ */

struct dunlin_store_options dunlin_store_defaults(void) {
  return (struct dunlin_store_options){.size = sizeof(struct dunlin_store_options)};
}

static int options_check(const struct dunlin_store_options *options, struct dunlin_why *why) {
  if (!options || options->size != sizeof *options)
    return why_fail(why, DUNLIN_EINVAL, "the options were not filled by dunlin_store_defaults()");
  if (options->key.passphrase && options->key.key_file)
    return why_fail(why, DUNLIN_EINVAL, "a passphrase and a key file were both given; give one");
  if (sodium_init() < 0) return why_fail(why, DUNLIN_EIO, "the system gives no random numbers");
  return 0;
}

/* ---- Creating ----------------------------------------------------------------------------------------------- */

static int device_make(const struct dunlin_env *env, const char *name, struct device *out) {
  uint8_t seed[32];
  *out = (struct device){0};
  int r = env->random(env->ctx, seed, sizeof seed);
  if (!r) r = env->random(env->ctx, out->noise_secret, sizeof out->noise_secret);
  if (!r) r = env->random(env->ctx, out->self.contact, sizeof out->self.contact);
  if (!r) crypto_sign_seed_keypair(out->self.device.bytes, out->sign_secret, seed);
  if (!r && crypto_scalarmult_base(out->self.noise_public, out->noise_secret)) r = DUNLIN_EIO;
  sodium_memzero(seed, sizeof seed);
  memcpy(out->self.name, name, strlen(name) + 1);
  return r;
}

struct creation {
  struct records records;
  struct device device;
};

static int write_device(void *ctx, struct storage_txn *txn) {
  struct creation *c = ctx;
  return record_put_device(&c->records, txn, &c->device);
}

/* Data files of a creation that was cut off: without a header they can belong to no store. */
static void remove_leftovers(const char *dir) {
  static const char *const names[] = {"data.mdb", "lock.mdb"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", dir, names[i]) < (int)sizeof path) unlink(path);
  }
}

/* The data first, the header last: only the header makes the directory a store. */
static int create_files(const struct dunlin_env *env, const char *dir, const struct dunlin_store_options *options,
                        const struct vault *vault, struct dunlin_why *why) {
  struct creation creation = {.records = {env, vault}};
  struct storage *storage = NULL;
  remove_leftovers(dir);
  int r = device_make(env, options->device_name ? options->device_name : "device", &creation.device);
  if (!r) r = storage_open(env, dir, STORAGE_MAP_SIZE, true, &storage);
  if (!r) r = storage_write(storage, write_device, &creation);
  storage_close(storage);
  sodium_memzero(&creation.device, sizeof creation.device);
  if (r) return why_fail(why, r, "cannot write in %s: %s", dir, dunlin_error_text(r));
  return vault_write(env, dir, vault, &options->key, VAULT_PASSES, VAULT_MEMORY, false, why);
}

int dunlin_store_create(const char *dir, const struct dunlin_store_options *options, struct dunlin_why *why) {
  struct vault vault = {0};
  struct lease lease;
  bool alone = false;
  int r = options_check(options, why);
  if (r) return r;
  const struct dunlin_env *env = env_or_default(options->env);
  if (options->device_name && !name_valid(options->device_name, strnlen(options->device_name, DUNLIN_MAX_NAME + 1)))
    return why_fail(why, DUNLIN_EINVAL, "the device name is empty, longer than %u bytes or not text", DUNLIN_MAX_NAME);
  r = vault_new(env, dir, &options->key, &vault, why);
  if (r) return r;
  r = lease_open(&lease, dir, &alone);
  if (r) {
    vault_close(&vault);
    return why_fail(why, r, "cannot lock %s/lease", dir);
  }
  int there = vault_probe(dir, NULL);
  if (!alone) r = why_fail(why, DUNLIN_EBUSY, "another process is using %s", dir);
  else if (there == DUNLIN_EIO || there == DUNLIN_ENOMEM) r = why_fail(why, there, "cannot read in %s", dir);
  /* Somebody else may have finished a store here before we had the lock. */
  else if (there != DUNLIN_ENOSTORE) r = why_fail(why, DUNLIN_EEXIST, "there is a store in %s", dir);
  else r = create_files(env, dir, options, &vault, why);
  lease_close(&lease);
  vault_close(&vault);
  return r;
}

int dunlin_store_probe(const char *dir, struct dunlin_why *why) {
  return vault_probe(dir, why);
}

/* ---- Opening ------------------------------------------------------------------------------------------------ */

/* Checks data.mdb before LMDB maps it.  Nobody else has it open. */
static int check_file(dunlin_store *store, struct dunlin_why *why) {
  char path[4096];
  if (snprintf(path, sizeof path, "%s/lock.mdb", store->dir) >= (int)sizeof path)
    return why_fail(why, DUNLIN_EINVAL, "the path is too long");
  unlink(path); /* who read and wrote last time is of no interest, and its bytes are as hostile as any */
  snprintf(path, sizeof path, "%s/data.mdb", store->dir);
  struct stat st;
  if (stat(path, &st) || st.st_size == 0)
    return why_fail(why, DUNLIN_ECORRUPT, "the store in %s has lost its data file", store->dir);
  return pagecheck(store->env, path, why);
}

static int check_record(void *ctx, struct dunlin_bytes key, struct dunlin_bytes plain) {
  static const char types[] = "dslwiagp";
  (void)ctx, (void)plain; /* that it opened is the check */
  return memchr(types, *(const uint8_t *)key.data, sizeof types - 1) ? 0 : DUNLIN_ECORRUPT;
}

static int read_records(void *ctx, struct storage_txn *txn) {
  dunlin_store *store = ctx;
  int r = record_each(&store->records, txn, 0, check_record, NULL);
  if (!r) r = record_get_device(&store->records, txn, &store->device);
  if (!r) r = store_load_acks(store, txn);
  return r == DUNLIN_ENOENT ? DUNLIN_ECORRUPT : r;
}

static int open_data(dunlin_store *store, bool alone, bool stepped, struct dunlin_why *why) {
  int r = alone ? check_file(store, why) : 0;
  if (r) return r;
  r = storage_open(store->env, store->dir, STORAGE_MAP_SIZE, false, &store->storage);
  if (!r && alone) r = lease_share(&store->lease);
  if (!r) r = storage_read(store->storage, read_records, store);
  if (!r) r = index_refresh(store);
  if (r >= 0) r = watch_open(&store->watch, store->env, store->dir);
  if (!r) r = commit_start(store, stepped);
  if (!r) return 0;
  return why_fail(why, r, r == DUNLIN_ECORRUPT ? "the data in %s is damaged" : "cannot open the data in %s",
                  store->dir);
}

static dunlin_store *store_new(const struct dunlin_env *env, const char *dir) {
  dunlin_store *store = env_calloc(env, 1, sizeof *store);
  if (!store) return NULL;
  store->env = env;
  store->pid = getpid();
  store->records = (struct records){env, &store->vault};
  store->lease = (struct lease){-1, -1};
  store->watch.wake_fd = -1;
  index_init(&store->index, env);
  pthread_mutex_init(&store->acks.lock, NULL);
  pthread_mutex_init(&store->directories.lock, NULL);
  size_t len = strlen(dir) + 1;
  store->dir = env_alloc(env, len);
  if (store->dir) memcpy(store->dir, dir, len);
  return store;
}

/* The thread has ended, or never ran. */
static void store_free(dunlin_store *store) {
  const struct dunlin_env *env = store->env;
  for (size_t i = 0; i < store->directories.count; i++) dunlin_doc_free(store->directories.list[i].doc);
  ENV_FREE_ARRAY(env, store->directories.list, store->directories.cap);
  pthread_mutex_destroy(&store->directories.lock);
  store_free_acks(store);
  watch_close(&store->watch);
  index_free(&store->index);
  storage_close(store->storage);
  lease_close(&store->lease);
  vault_close(&store->vault);
  if (store->dir) env_free(env, store->dir, strlen(store->dir) + 1);
  sodium_memzero(store, sizeof *store);
  env_free(env, store, sizeof *store);
}

int dunlin_store_open(const char *dir, const struct dunlin_store_options *options, dunlin_store **out,
                      struct dunlin_why *why) {
  bool alone = false;
  int r = options_check(options, why);
  if (!r) r = vault_probe(dir, why);
  if (r < 0) return r;
  dunlin_store *store = store_new(env_or_default(options->env), dir);
  if (!store || !store->dir) r = why_fail(why, DUNLIN_ENOMEM, "out of memory");
  else r = vault_open(store->env, dir, &options->key, &store->vault, why);
  if (!r) {
    r = lease_open(&store->lease, dir, &alone);
    if (r == DUNLIN_EBUSY) why_fail(why, r, "the store in %s is open already in this process", dir);
    else if (r) why_fail(why, r, "cannot lock %s/lease", dir);
  }
  if (!r) r = open_data(store, alone, options->stepped, why);
  if (r) {
    if (store) store_free(store);
    return r;
  }
  *out = store;
  return 0;
}

int dunlin_store_close(dunlin_store *store) {
  if (!store) return 0;
  int r = store_usable(store);
  if (r) return r;
  if (atomic_load(&store->documents)) return DUNLIN_ESTATE;
  r = commit_stop(store);
  int saved = store_save_acks(store);
  store_free(store);
  return r ? r : saved;
}

int dunlin_store_rekey(dunlin_store *store, const struct dunlin_store_key *key, struct dunlin_why *why) {
  int r = store_usable(store);
  if (r) return why_fail(why, r, "the store was opened by another process");
  if (!key->passphrase == !key->key_file)
    return why_fail(why, DUNLIN_EINVAL, "a new key is either a passphrase or a key file");
  r = vault_rekey(store->env, store->dir, &store->vault, key, why);
  if (!r) store->vault.kind = key->passphrase ? DUNLIN_KEY_PASSPHRASE : DUNLIN_KEY_FILE;
  return r;
}

/* ---- Asking ------------------------------------------------------------------------------------------------- */

int dunlin_store_info(dunlin_store *store, struct dunlin_store_info *out) {
  int r = store_usable(store);
  if (!r) r = index_refresh(store);
  if (r < 0) return r;
  *out = (struct dunlin_store_info){.device = store->device.self.device, .key_kind = store->vault.kind};
  memcpy(out->device_name, store->device.self.name, sizeof out->device_name);
  out->runs = index_arrivals(&store->index);
  out->entries = index_entries(&store->index);
  char path[4096];
  struct stat st;
  snprintf(path, sizeof path, "%s/data.mdb", store->dir);
  if (!stat(path, &st)) out->disk_bytes = (uint64_t)st.st_blocks * 512; /* the unit of st_blocks, by POSIX custom */
  return 0;
}

int dunlin_store_step(dunlin_store *store, uint64_t now_ms, uint64_t *next_ms) {
  int r = store_usable(store);
  if (!r && !store->queue.stepped) r = DUNLIN_ESTATE;
  if (r) return r;
  *next_ms = commit_step(store, now_ms);
  return 0;
}

int dunlin_store_flush(dunlin_store *store) {
  int r = store_usable(store);
  if (!r) r = commit_flush(store);
  return r ? r : store_save_acks(store);
}
