/* What a process grows by when it opens a document: at most 10 times what the document's sections hold before
 * compression, and 4 MiB.  Each document is opened by a fresh process, that knows nothing yet and has freed nothing;
 * once read in full, once its history too.
 *
 * DUNLIN_TRACES names a directory of editing traces; without it there is the history that ships with dunlin, and maps
 * and lists. */
#include <dirent.h>
#include <unistd.h>

#include <dunlin/plain.h>

#include "bench/history.h"
#include "crdt/msgpack.h"
#include "test/support/support.h"

static const size_t times = 10, free_growth = 4u << 20;

/* ---- The process that opens one ---------------------------------------------------------------------------------- */

static size_t resident(void) {
  unsigned long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%*u %lu", &pages) != 1) exit(3);
  fclose(file);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int open_one(const char *path) {
  static uint8_t bytes[64u << 20];
  struct dunlin_actor actor = {{9}};
  dunlin_doc *doc = NULL;
  void *plain = NULL, *delta = NULL;
  size_t plain_len, delta_len, before, shown;
  FILE *file = fopen(path, "rb");
  size_t len = file ? fread(bytes, 1, sizeof bytes, file) : 0;
  (void)dunlin_env_default();
  before = resident();
  int error = dunlin_doc_load(NULL, bytes, len, &actor, &doc);
  if (!error) error = dunlin_read_plain(doc, DUNLIN_ROOT, &plain, &plain_len);
  if (error) return 4;
  dunlin_free(NULL, plain, plain_len);
  shown = resident();
  if (dunlin_doc_delta(doc, NULL, 0, &delta, &delta_len)) return 5;
  dunlin_free(NULL, delta, delta_len);
  size_t all = resident();
  printf("%zu %zu\n", shown > before ? shown - before : 0, all > before ? all - before : 0);
  return 0;
}

/* ---- Documents --------------------------------------------------------------------------------------------------- */

/* The file begins with its name, the version, the document's id, and of each of four sections how long it is and how
 * long compressed (docs/format.md). */
static size_t raw_size(const uint8_t *file, size_t len) {
  const size_t magic = strlen("dunlin doc");
  struct mp_reader r = mp_reader_of(file + magic, len - magic);
  size_t sum = 0;
  mp_read_uint(&r, UINT64_MAX);
  mp_read_bin(&r, SIZE_MAX);
  for (int i = 0; i < 4; i++) {
    sum += (size_t)mp_read_uint(&r, UINT32_MAX);
    mp_read_uint(&r, UINT32_MAX);
  }
  assert_int_equal(r.error, 0);
  return sum;
}

static void check(const char *name, const void *bytes, size_t len) {
  char path[] = "/tmp/dunlin-load-XXXXXX", command[256];
  size_t raw = raw_size(bytes, len), shown, all;
  int fd = mkstemp(path);
  assert_true(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && !close(fd));
  snprintf(command, sizeof command, "TEST_OPEN=%s /proc/%ld/exe", path, (long)getpid());
  FILE *other = popen(command, "r");
  assert_non_null(other);
  assert_int_equal(fscanf(other, "%zu %zu", &shown, &all), 2);
  assert_int_equal(pclose(other), 0);
  unlink(path);
  print_message("%s: %zu bytes, raw %zu: grows by %zu (%.2f times raw), with its history by %zu (%.2f)\n", name, len,
                raw, shown, (double)shown / (double)raw, all, (double)all / (double)raw);
  if (shown > times * raw + free_growth) fail_msg("%s: %zu", name, shown);
  if (all > times * raw + free_growth) fail_msg("%s: %zu with its history", name, all);
}

static void check_saved(const char *name, dunlin_doc *doc) {
  void *bytes;
  size_t len;
  OK(dunlin_doc_save(doc, &bytes, &len));
  check(name, bytes, len);
  dunlin_free(NULL, bytes, len);
  dunlin_doc_free(doc);
}

static void check_trace(const char *name, const char *path) {
  struct text t = {.name = name};
  struct dunlin_why why;
  OK(trace_read(path, &t.trace, &why));
  t.ends = calloc(t.trace->txn_count + 1, sizeof *t.ends);
  assert_non_null(t.ends);
  buf_init(&t.deltas, dunlin_env_default(), SIZE_MAX / 2);
  OK(history_write(&t));
  check(name, t.saved, t.saved_len);
  history_free(&t);
}

static void traces_grow_little(void **state) {
  (void)state;
  const char *directory = getenv("DUNLIN_TRACES");
  check_trace("the history that ships with dunlin", BENCH_HISTORY);
  DIR *traces = directory ? opendir(directory) : NULL;
  if (!traces) return;
  for (struct dirent *entry; (entry = readdir(traces));) {
    char path[1200];
    if (!strstr(entry->d_name, ".json")) continue;
    snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
    check_trace(entry->d_name, path);
  }
  closedir(traces);
}

/* ---- Maps and lists, as the benchmark makes them ----------------------------------------------------------------- */

static dunlin_doc *written_keys(size_t sets, size_t keys, size_t sets_a_change) {
  dunlin_doc *doc = test_doc(1);
  struct rng rng = rng_of(1);
  for (size_t i = 0; i < sets; i++) {
    char key[16];
    if (i % sets_a_change == 0) OK(dunlin_begin(doc));
    snprintf(key, sizeof key, "key%zu", rng_below(&rng, keys));
    OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), int_value((int64_t)i)));
    if ((i + 1) % sets_a_change == 0) OK(dunlin_commit(doc, 0, NULL));
  }
  return doc;
}

static dunlin_doc *nested_records(size_t records, size_t fields) {
  dunlin_doc *doc = test_doc(1);
  for (size_t i = 0; i < records; i++) {
    char key[16];
    snprintf(key, sizeof key, "record%zu", i);
    OK(dunlin_begin(doc));
    dunlin_obj record = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key(key), DUNLIN_MAP);
    for (size_t k = 0; k < fields; k++) {
      snprintf(key, sizeof key, "field%zu", k);
      OK(dunlin_map_put(doc, record, dunlin_key(key), int_value((int64_t)(i * k))));
    }
    OK(dunlin_commit(doc, 0, NULL));
  }
  return doc;
}

static dunlin_doc *long_list(size_t items) {
  dunlin_doc *doc = test_doc(1);
  struct rng rng = rng_of(1);
  for (size_t i = 0; i < items; i++) {
    OK(dunlin_begin(doc));
    dunlin_obj list = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("l"), DUNLIN_LIST);
    OK(dunlin_list_insert(doc, list, rng_below(&rng, i + 1), int_value((int64_t)i)));
    OK(dunlin_commit(doc, 0, NULL));
  }
  return doc;
}

static void maps_and_lists_grow_little(void **state) {
  (void)state;
  check_saved("100 000 sets of 10 000 keys in two changes", written_keys(100000, 10000, 50000));
  check_saved("100 000 sets of 10 000 keys in as many changes", written_keys(100000, 10000, 1));
  check_saved("100 000 keys", written_keys(100000, 10000000, 1));
  check_saved("1000 records of 10 fields", nested_records(1000, 10));
  check_saved("a list of 50 000", long_list(50000));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(traces_grow_little),
      cmocka_unit_test(maps_and_lists_grow_little),
  };
  if (getenv("TEST_OPEN")) return open_one(getenv("TEST_OPEN"));
  return cmocka_run_group_tests(tests, NULL, NULL);
}
