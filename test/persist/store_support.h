/* Stores for tests: a directory that is removed afterwards, a key file beside it, documents by name. */
#ifndef TEST_STORE_SUPPORT_H
#define TEST_STORE_SUPPORT_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dunlin/space.h>

#include "test/support/support.h"

struct place {
  char root[256], dir[300], key[300];
};

static inline struct place place_below(const char *dir) {
  struct place place;
  snprintf(place.root, sizeof place.root, "%s/dunlin-test-XXXXXX", dir);
  assert_non_null(mkdtemp(place.root));
  snprintf(place.dir, sizeof place.dir, "%s/store", place.root);
  snprintf(place.key, sizeof place.key, "%s/key", place.root);
  return place;
}

static inline struct place place_new(void) {
  const char *tmp = getenv("TMPDIR");
  return place_below(tmp ? tmp : "/tmp");
}

/* Where syncing costs nothing, if there is such a place. */
static inline struct place place_in_memory(void) {
  return access("/dev/shm", W_OK) ? place_new() : place_below("/dev/shm");
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

static inline void place_remove(const struct place *place) {
  nftw(place->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct dunlin_store_options place_options(const struct place *place, const char *name) {
  struct dunlin_store_options options = dunlin_store_defaults();
  options.key.key_file = place->key;
  options.device_name = name;
  return options;
}

static inline void place_create(const struct place *place, const char *name) {
  struct dunlin_store_options options = place_options(place, name);
  struct dunlin_why why = {""};
  int r = dunlin_store_create(place->dir, &options, &why);
  if (r) fail_msg("create: %s: %s", dunlin_error_name(r), why.text);
}

static inline dunlin_store *place_open(const struct place *place) {
  struct dunlin_store_options options = place_options(place, NULL);
  struct dunlin_why why = {""};
  dunlin_store *store = NULL;
  int r = dunlin_store_open(place->dir, &options, &store, &why);
  if (r) fail_msg("open: %s: %s", dunlin_error_name(r), why.text);
  return store;
}

static inline int place_try(const struct place *place, struct dunlin_why *why) {
  struct dunlin_store_options options = place_options(place, NULL);
  dunlin_store *store = NULL;
  int r = dunlin_store_open(place->dir, &options, &store, why);
  if (!r) OK(dunlin_store_close(store));
  return r;
}

static inline dunlin_store_doc *doc_open(dunlin_store *store, const struct dunlin_id *space, const char *name,
                                         unsigned flags) {
  dunlin_store_doc *doc = NULL;
  OK(dunlin_store_doc_open(store, space, dunlin_key(name), flags, &doc));
  return doc;
}

static inline int put_int(dunlin_store_doc *handle, const char *key, int64_t value) {
  dunlin_doc *doc = dunlin_store_doc_get(handle);
  int r = dunlin_begin(doc);
  if (r) return r;
  dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), int_value(value));
  return dunlin_commit(doc, 0, NULL);
}

static inline int64_t get_int(dunlin_store_doc *handle, const char *key) {
  struct dunlin_value value;
  OK(dunlin_map_get(dunlin_store_doc_get(handle), DUNLIN_ROOT, dunlin_key(key), &value));
  assert_int_equal(value.kind, DUNLIN_INT);
  return value.as.integer;
}

/* Fills a key with `len` bytes that do not compress. */
static inline int put_blob(dunlin_store_doc *handle, const char *key, struct rng *rng, size_t len) {
  dunlin_doc *doc = dunlin_store_doc_get(handle);
  uint8_t *bytes = malloc(len);
  assert_non_null(bytes);
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)rng_next(rng);
  int r = dunlin_begin(doc);
  if (!r) {
    struct dunlin_value value = {.kind = DUNLIN_BYTES, .as.string = {bytes, len}};
    dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), value);
    r = dunlin_commit(doc, 0, NULL);
  }
  free(bytes);
  return r;
}

static inline void print_fault(void *ctx, const char *line) {
  (void)ctx;
  fprintf(stderr, "verify: %s\n", line);
}

/* ThreadSanitizer knows no threads in a child of a process with threads. */
#if defined __has_feature
#if __has_feature(thread_sanitizer)
#define FORKS_WITH_THREADS 0
#endif
#endif
#if defined __SANITIZE_THREAD__
#define FORKS_WITH_THREADS 0
#elif !defined FORKS_WITH_THREADS
#define FORKS_WITH_THREADS 1
#endif
#define NEEDS_FORK()                                                                                                   \
  if (!FORKS_WITH_THREADS) skip()

/* Waits for a child that must have ended well; its exit status is a number of the child's choice. */
static inline int child_status(pid_t pid) {
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  if (!WIFEXITED(status)) fail_msg("the child died of signal %d", WTERMSIG(status));
  return WEXITSTATUS(status);
}

#endif
