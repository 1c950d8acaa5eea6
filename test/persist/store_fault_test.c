/* What happens to a store from outside: other processes, kill -9, a full disk, damaged files, curious eyes. */
#include <errno.h>
#include <limits.h>

#include "test/fault/disk.h"
#include "test/persist/store_support.h"

/* ---- Other processes ---------------------------------------------------------------------------------------- */

enum { ROUNDS = 100 };

static void commit_in_child(const struct place *place, const struct dunlin_id *space, const char *key) {
  dunlin_store *store = place_open(place);
  dunlin_store_doc *doc = doc_open(store, space, "x", 0);
  for (int i = 0; i < ROUNDS; i++) {
    if (put_int(doc, key, i) != 1 || put_int(doc, "both", i * 1000 + getpid() % 1000) != 1) _exit(1);
    if (i % 7 == 0 && dunlin_store_doc_pull(doc, NULL)) _exit(2);
  }
  dunlin_store_doc_close(doc);
  _exit(dunlin_store_close(store) ? 3 : 0);
}

/* Three processes commit to one document at once, while this one only looks. */
static void processes(void **state) {
  (void)state;
  NEEDS_FORK();
  struct place place = place_new();
  struct dunlin_id space;
  place_create(&place, "laptop");
  dunlin_store *store = place_open(&place);
  OK(dunlin_space_new(store, "home", &space));
  dunlin_store_doc *doc = doc_open(store, &space, "x", DUNLIN_CREATE);
  const char *keys[] = {"a", "b", "c"};
  pid_t pids[3];
  for (int i = 0; i < 3; i++)
    if (!(pids[i] = fork())) commit_in_child(&place, &space, keys[i]);
  for (int i = 0; i < 50; i++) {
    OK(dunlin_store_doc_pull(doc, NULL));
    usleep(2000);
  }
  for (int i = 0; i < 3; i++) assert_int_equal(child_status(pids[i]), 0);
  OK(dunlin_store_doc_pull(doc, NULL));
  assert_int_equal(dunlin_doc_changes(dunlin_store_doc_get(doc)), 3 * 2 * ROUNDS);
  assert_int_equal(dunlin_doc_pending(dunlin_store_doc_get(doc)), 0);
  for (int i = 0; i < 3; i++) assert_int_equal(get_int(doc, keys[i]), ROUNDS - 1);
  assert_int_equal(dunlin_store_verify(store, print_fault, NULL), 0);
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(store));
  place_remove(&place);
}

/* One process lets the file grow over what the other has mapped; both go on. */
static void growth(void **state) {
  (void)state;
  NEEDS_FORK();
  struct place place = place_new();
  struct dunlin_id space;
  struct rng rng = rng_of(3);
  place_create(&place, "laptop");
  dunlin_store *store = place_open(&place);
  OK(dunlin_space_new(store, "home", &space));
  dunlin_store_doc *doc = doc_open(store, &space, "x", DUNLIN_CREATE);
  dunlin_store_doc *large = doc_open(store, &space, "large", DUNLIN_CREATE);
  dunlin_store_doc_close(large);
  pid_t pid = fork();
  if (pid == 0) {
    dunlin_store *mine = place_open(&place);
    large = doc_open(mine, &space, "large", 0);
    dunlin_store_doc_mode(large, DUNLIN_GROUP);
    for (int i = 0; i < 120; i++) /* 90 MiB: above the 64 that are mapped at first */
      if (put_blob(large, "blob", &rng, DUNLIN_MAX_VALUE) != 1) _exit(1);
    dunlin_store_doc_close(large);
    _exit(dunlin_store_close(mine) ? 2 : 0);
  }
  for (int i = 0; waitpid(pid, NULL, WNOHANG) == 0; i++) {
    assert_int_equal(put_int(doc, "n", i), 1);
    OK(dunlin_store_doc_pull(doc, NULL));
    usleep(1000);
  }
  assert_int_equal(put_int(doc, "end", 1), 1);
  large = doc_open(store, &space, "large", DUNLIN_READONLY);
  assert_int_equal(dunlin_doc_changes(dunlin_store_doc_get(large)), 120);
  dunlin_store_doc_close(large);
  struct dunlin_store_info info;
  OK(dunlin_store_info(store, &info));
  assert_true(info.disk_bytes > (uint64_t)88 << 20);
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(store));
  place_remove(&place);
}

/* ---- kill -9 -------------------------------------------------------------------------------------------------- */

/* Commits numbers from `from` on until it is killed, and tells each one that was acknowledged. */
static void commit_until_killed(const struct place *place, const struct dunlin_id *space, int64_t from, int out) {
  dunlin_store *store = place_open(place);
  dunlin_store_doc *doc = doc_open(store, space, "x", 0);
  for (int64_t i = from;; i++) {
    if (put_int(doc, "n", i) != 1) _exit(1);
    if (write(out, &i, sizeof i) != sizeof i) _exit(2);
  }
}

static void killed(void **state) {
  (void)state;
  NEEDS_FORK();
  struct place place = place_new();
  struct dunlin_id space;
  uint64_t seed = seed_first();
  struct rng rng = rng_of(seed);
  print_message("seed %llu\n", (unsigned long long)seed);
  place_create(&place, "laptop");
  dunlin_store *store = place_open(&place);
  OK(dunlin_space_new(store, "home", &space));
  dunlin_store_doc *doc = doc_open(store, &space, "x", DUNLIN_CREATE);
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(store));
  int64_t told = 0;
  for (int round = 0; round < 50; round++) {
    int pipes[2];
    OK(pipe(pipes));
    pid_t pid = fork();
    if (pid == 0) commit_until_killed(&place, &space, told + 1, pipes[1]);
    close(pipes[1]);
    usleep((useconds_t)(2000 + rng_below(&rng, 20000)));
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    for (int64_t n; read(pipes[0], &n, sizeof n) == sizeof n;) told = n;
    close(pipes[0]);
    store = place_open(&place);
    doc = doc_open(store, &space, "x", 0);
    struct dunlin_value value;
    int r = dunlin_map_get(dunlin_store_doc_get(doc), DUNLIN_ROOT, dunlin_key("n"), &value);
    int64_t held = r ? 0 : value.as.integer;
    /* One may be durable that nobody could be told of any more. */
    if (held != told && held != told + 1) fail_msg("round %d: acknowledged %d, found %d", round, (int)told, (int)held);
    told = held;
    assert_int_equal(dunlin_doc_changes(dunlin_store_doc_get(doc)), held);
    dunlin_store_doc_close(doc);
    OK(dunlin_store_close(store));
  }
  assert_true(told > 5); /* on a busy machine a process is killed before it does much */
  store = place_open(&place);
  assert_int_equal(dunlin_store_verify(store, print_fault, NULL), 0);
  OK(dunlin_store_close(store));
  place_remove(&place);
}

/* ---- A full disk -------------------------------------------------------------------------------------------- */

/* The disk is full after `after` more calls: a durable commit fails and leaves no trace, a queued one stays queued. */
static void fill_up(const struct place *place, const struct dunlin_id *space, struct disk *disk, int after) {
  dunlin_store *store = place_open(place);
  dunlin_store_doc *doc = doc_open(store, space, "x", 0), *queued = doc_open(store, space, "x", 0);
  dunlin_store_doc_mode(queued, DUNLIN_GROUP);
  size_t before = dunlin_doc_changes(dunlin_store_doc_get(doc));
  int64_t last = before ? get_int(doc, "a") : 0;
  disk_fail(disk, DISK_CHANGE, (uint64_t)after + 1, UINT64_MAX, ENOSPC);
  int r = 1, failures = 0;
  for (int i = 0; i < 4; i++) {
    r = put_int(doc, "a", last + 1);
    if (r == 1) last++;
    else FAILS(r, DUNLIN_ENOSPC);
    failures += r < 0;
  }
  assert_true(failures > 0);
  assert_int_equal(get_int(doc, "a"), last);        /* still readable, and rolled back */
  assert_int_equal(put_int(queued, "q", after), 1); /* queued */
  FAILS(dunlin_store_flush(store), DUNLIN_ENOSPC);
  FAILS(put_int(queued, "r", after), DUNLIN_ENOSPC); /* while that lasts, nobody is told "queued" */
  FAILS(put_int(doc, "a", last + 1), DUNLIN_ENOSPC);

  disk_fail(disk, 0, 0, 0, 0);
  OK(dunlin_store_flush(store));
  assert_int_equal(put_int(doc, "a", ++last), 1);
  OK(dunlin_store_doc_pull(doc, NULL));
  assert_int_equal(get_int(doc, "q"), after);
  assert_int_equal(dunlin_store_verify(store, print_fault, NULL), 0);
  dunlin_store_doc_close(doc);
  dunlin_store_doc_close(queued);
  OK(dunlin_store_close(store));
  store = place_open(place);
  doc = doc_open(store, space, "x", DUNLIN_READONLY);
  assert_int_equal(get_int(doc, "a"), last);
  assert_int_equal(get_int(doc, "q"), after);
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(store));
}

static void no_space(void **state) {
  (void)state;
  struct place place = place_new();
  struct dunlin_id space;
  place_create(&place, "laptop");
  dunlin_store *store = place_open(&place);
  OK(dunlin_space_new(store, "home", &space));
  dunlin_store_doc *doc = doc_open(store, &space, "x", DUNLIN_CREATE);
  assert_int_equal(put_int(doc, "a", 0), 1);
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(store));
  /* Each of the first calls of a commit fails once as the first: pages, sync, meta page. */
  struct disk *disk = disk_new(place.root);
  for (int after = 0; after < 8; after++) fill_up(&place, &space, disk, after);
  disk_free(disk);
  place_remove(&place);
}

/* ---- Damage ------------------------------------------------------------------------------------------------- */

static void file_read(const char *path, uint8_t **data, size_t *len) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  fseek(file, 0, SEEK_END);
  *len = (size_t)ftell(file);
  rewind(file);
  *data = malloc(*len);
  assert_non_null(*data);
  assert_int_equal(fread(*data, 1, *len, file), *len);
  fclose(file);
}

static void file_write(const char *path, const uint8_t *data, size_t len) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, len, file), len);
  fclose(file);
}

enum { DAMAGE_KEYS = 40 };
enum outcome { SOUND = 0, REFUSED = 10, WRONG = 20 };

/* Opens, reads everything, commits: an error is fine, a wrong value is not. */
static int use_damaged(const struct place *place, const struct dunlin_id *space) {
  struct dunlin_store_options options = place_options(place, NULL);
  struct dunlin_why why;
  dunlin_store *store = NULL;
  dunlin_store_doc *doc = NULL;
  if (dunlin_store_open(place->dir, &options, &store, &why)) return REFUSED;
  if (dunlin_store_doc_open(store, space, dunlin_key("x"), 0, &doc)) return REFUSED;
  for (int i = 0; i < DAMAGE_KEYS; i++) {
    struct dunlin_value value;
    char key[16];
    snprintf(key, sizeof key, "k%d", i);
    if (dunlin_map_get(dunlin_store_doc_get(doc), DUNLIN_ROOT, dunlin_key(key), &value)) return WRONG;
    if (value.kind != DUNLIN_INT || value.as.integer != i * 7) return WRONG;
  }
  if (dunlin_map_size(dunlin_store_doc_get(doc), DUNLIN_ROOT) != DAMAGE_KEYS + 1) return WRONG;
  if (put_int(doc, "new", 1) != 1) return REFUSED;
  if (dunlin_store_verify(store, NULL, NULL) != 0) return REFUSED;
  dunlin_store_doc_close(doc);
  return dunlin_store_close(store) ? REFUSED : SOUND;
}

static int try_damaged(const struct place *place, const struct dunlin_id *space, const char *what, size_t at) {
  pid_t pid = fork();
  int status = 0;
  if (pid == 0) {
    alarm(20);
    _exit(use_damaged(place, space));
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  if (!WIFEXITED(status)) fail_msg("%s at %zu: signal %d", what, at, WTERMSIG(status));
  if (WEXITSTATUS(status) == WRONG) fail_msg("%s at %zu: a wrong value", what, at);
  return WEXITSTATUS(status);
}

static void damaged(void **state) {
  (void)state;
  NEEDS_FORK();
  struct place place = place_new();
  struct dunlin_id space;
  uint64_t seed = seed_first();
  struct rng rng = rng_of(seed);
  char path[PATH_MAX];
  print_message("seed %llu\n", (unsigned long long)seed);
  place_create(&place, "laptop");
  dunlin_store *store = place_open(&place);
  OK(dunlin_space_new(store, "home", &space));
  dunlin_store_doc *doc = doc_open(store, &space, "x", DUNLIN_CREATE);
  for (int i = 0; i < DAMAGE_KEYS; i++) {
    char key[16];
    snprintf(key, sizeof key, "k%d", i);
    assert_int_equal(put_int(doc, key, i * 7), 1);
  }
  assert_int_equal(put_blob(doc, "blob", &rng, 20000), 1);
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(store));
  uint8_t *data;
  size_t len, refused = 0;
  snprintf(path, sizeof path, "%s/data.mdb", place.dir);
  file_read(path, &data, &len);
  for (int i = 0; i < 360; i++) {
    /* Half of them anywhere, half where LMDB's own structures are: the first bytes of pages. */
    size_t at = i % 2 ? rng_below(&rng, len) : rng_below(&rng, len / 4096) * 4096 + rng_below(&rng, 160);
    uint8_t bit = (uint8_t)(1 << rng_below(&rng, 8));
    data[at] ^= bit;
    file_write(path, data, len);
    data[at] ^= bit;
    refused += try_damaged(&place, &space, "flip", at) == REFUSED;
  }
  for (int i = 0; i < 60; i++) {
    size_t cut = rng_below(&rng, len);
    file_write(path, data, cut);
    refused += try_damaged(&place, &space, "cut", cut) == REFUSED;
  }
  print_message("%zu of 420 noticed, the others hit unused bytes\n", refused);
  assert_true(refused > 100);
  file_write(path, data, len);
  assert_int_equal(try_damaged(&place, &space, "nothing", 0), SOUND);
  free(data);
  place_remove(&place);
}

/* ---- Curious eyes --------------------------------------------------------------------------------------------- */

static const char *const markers[] = {"MarkerDevice", "MarkerAlias", "MarkerDocument", "MarkerKey", "MarkerValue"};

static int look_for_markers(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  uint8_t *data;
  size_t len;
  (void)st, (void)ftw;
  for (size_t m = 0; m < sizeof markers / sizeof *markers; m++) assert_null(strstr(path, markers[m]));
  if (type != FTW_F) return 0;
  file_read(path, &data, &len);
  for (size_t m = 0; m < sizeof markers / sizeof *markers; m++)
    if (memmem(data, len, markers[m], strlen(markers[m]))) fail_msg("%s is in %s", markers[m], path);
  free(data);
  return 0;
}

static void nothing_in_clear(void **state) {
  (void)state;
  struct place place = place_new();
  struct dunlin_id space;
  char line[DUNLIN_INVITATION_MAX];
  place_create(&place, markers[0]);
  dunlin_store *store = place_open(&place);
  OK(dunlin_space_new(store, markers[1], &space));
  dunlin_store_doc *doc = doc_open(store, &space, markers[2], DUNLIN_CREATE);
  OK(dunlin_begin(dunlin_store_doc_get(doc)));
  OK(dunlin_map_put(dunlin_store_doc_get(doc), DUNLIN_ROOT, dunlin_key(markers[3]), str_value(markers[4])));
  OK(dunlin_commit(dunlin_store_doc_get(doc), 0, NULL));
  OK(dunlin_invite(store, &space, "MarkerDevice:1", 1000000000, line));
  OK(nftw(place.root, look_for_markers, 16, FTW_PHYS)); /* open */
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(store));
  OK(nftw(place.root, look_for_markers, 16, FTW_PHYS)); /* and closed */
  place_remove(&place);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(processes), cmocka_unit_test(growth),  cmocka_unit_test(killed),
      cmocka_unit_test(no_space),  cmocka_unit_test(damaged), cmocka_unit_test(nothing_in_clear),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
