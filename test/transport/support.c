#include "support.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

unsigned support_seed(void) {
  const char *given = getenv("DUNLIN_SEED");
  unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : 20261121;
  print_message("DUNLIN_SEED=%u\n", seed);
  srand(seed);
  return seed;
}

static const char *temporary(void) {
  const char *dir = getenv("TMPDIR");
  return dir && *dir ? dir : "/tmp";
}

void device_make(struct device *d, const char *name) {
  char key[200], store[200];
  snprintf(d->dir, sizeof d->dir, "%.100s/dunlin-node-XXXXXX", temporary());
  assert_non_null(mkdtemp(d->dir));
  snprintf(key, sizeof key, "%s/key", d->dir);
  snprintf(store, sizeof store, "%s/store", d->dir);
  struct dunlin_store_options options = dunlin_store_defaults();
  options.key.key_file = key;
  options.device_name = name;
  struct dunlin_why why = {""};
  if (dunlin_store_create(store, &options, &why)) fail_msg("create: %s", why.text);
  if (dunlin_store_open(store, &options, &d->store, &why)) fail_msg("open: %s", why.text);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at) {
  (void)info, (void)kind, (void)at;
  return remove(path);
}

void device_drop(struct device *d) {
  assert_int_equal(dunlin_store_close(d->store), 0);
  nftw(d->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

struct dunlin_id device_space(struct device *owner, const char *alias) {
  struct dunlin_id space;
  assert_int_equal(dunlin_space_new(owner->store, alias, &space), 0);
  return space;
}

void device_invite(struct device *owner, const struct dunlin_id *space, const char *address, int64_t valid_us,
                   char line[DUNLIN_INVITATION_MAX]) {
  assert_int_equal(dunlin_invite(owner->store, space, address, valid_us, line), 0);
}

static dunlin_store_doc *open_doc(struct device *d, const struct dunlin_id *space, const char *doc, unsigned flags) {
  dunlin_store_doc *handle = NULL;
  int error = dunlin_store_doc_open(d->store, space, dunlin_key(doc), flags, &handle);
  if (error == DUNLIN_ENOENT) return NULL;
  assert_int_equal(error, 0);
  return handle;
}

static void put(dunlin_doc *doc, const char *key, const char *value, size_t len) {
  struct dunlin_value v = {.kind = DUNLIN_STRING, .as.string = {value, len}};
  assert_int_equal(dunlin_begin(doc), 0);
  assert_int_equal(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), v), 0);
  int result = dunlin_commit(doc, 0, NULL);
  if (result < 0) fail_msg("commit: %s", dunlin_error_name(result));
}

void device_put(struct device *d, const struct dunlin_id *space, const char *doc, const char *key, const char *value) {
  dunlin_store_doc *handle = open_doc(d, space, doc, DUNLIN_CREATE);
  put(dunlin_store_doc_get(handle), key, value, strlen(value));
  dunlin_store_doc_close(handle);
}

void device_put_many(struct device *d, const struct dunlin_id *space, const char *doc, int count, size_t value_len) {
  dunlin_store_doc *handle = open_doc(d, space, doc, DUNLIN_CREATE);
  dunlin_store_doc_mode(handle, DUNLIN_GROUP);
  char *value = malloc(value_len + 1), key[32];
  assert_non_null(value);
  for (int i = 0; i < count; i++) {
    for (size_t k = 0; k < value_len; k++) value[k] = (char)('a' + rand() % 26);
    snprintf(key, sizeof key, "key %d", i);
    put(dunlin_store_doc_get(handle), key, value, value_len);
  }
  free(value);
  dunlin_store_doc_close(handle);
  assert_int_equal(dunlin_store_flush(d->store), 0);
}

bool device_has(struct device *d, const struct dunlin_id *space, const char *doc, const char *key, const char *value) {
  dunlin_store_doc *handle = open_doc(d, space, doc, DUNLIN_READONLY);
  if (!handle) return false;
  struct dunlin_value v;
  int error = dunlin_map_get(dunlin_store_doc_get(handle), DUNLIN_ROOT, dunlin_key(key), &v);
  bool has = !error && v.kind == DUNLIN_STRING && v.as.string.len == strlen(value) &&
             !memcmp(v.as.string.data, value, v.as.string.len);
  dunlin_store_doc_close(handle);
  return has;
}

struct dunlin_id device_hash(struct device *d, const struct dunlin_id *space, const char *doc) {
  struct dunlin_id hash = {{0}};
  dunlin_store_doc *handle = open_doc(d, space, doc, DUNLIN_READONLY);
  if (!handle) return hash;
  assert_int_equal(dunlin_doc_hash(dunlin_store_doc_get(handle), &hash), 0);
  dunlin_store_doc_close(handle);
  return hash;
}

bool same_hash(struct device *a, struct device *b, const struct dunlin_id *space, const char *doc) {
  struct dunlin_id x = device_hash(a, space, doc), y = device_hash(b, space, doc);
  return !memcmp(&x, &y, sizeof x);
}
