/* Whatever happens to the bytes of a data file: either pagecheck() refuses it, or LMDB can use it without a signal.
 * And it never refuses a file that LMDB wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crdt/buf.h"
#include "persist/pagecheck.h"

/* ---- The machine's page size, as LMDB sees it ------------------------------------------------------------------ */

static long page_size = 4096;

/* Stands before the C library's, so that files of machines with other page sizes can be made here. */
long sysconf(int name) {
  static long (*real)(int);
  if (name == _SC_PAGESIZE) return page_size;
  if (!real) {
    void *symbol = dlsym(RTLD_NEXT, "sysconf");
    memcpy(&real, &symbol, sizeof real); /* ISO C has no cast for this */
  }
  return real(name);
}

/* ---- Randomness and files ---------------------------------------------------------------------------------------- */

static uint64_t seed = 20240611;

static uint64_t next_random(void) { /* splitmix64 */
  uint64_t z = seed += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

static size_t below(size_t n) {
  return (size_t)(next_random() % n);
}

static char base[200], file_path[220], copy_dir[220], copy_path[240];

static int setup(void **state) {
  (void)state;
  const char *tmp = getenv("TMPDIR");
  snprintf(base, sizeof base, "%s/dunlin-pages-XXXXXX", tmp ? tmp : "/tmp");
  if (!mkdtemp(base)) return -1;
  snprintf(file_path, sizeof file_path, "%s/data.mdb", base);
  snprintf(copy_dir, sizeof copy_dir, "%s/copy", base);
  snprintf(copy_path, sizeof copy_path, "%s/data.mdb", copy_dir);
  return mkdir(copy_dir, 0700);
}

static void remove_files(const char *dir) {
  char path[300];
  snprintf(path, sizeof path, "%s/data.mdb", dir);
  unlink(path);
  snprintf(path, sizeof path, "%s/lock.mdb", dir);
  unlink(path);
}

static int teardown(void **state) {
  (void)state;
  page_size = 4096;
  remove_files(copy_dir);
  remove_files(base);
  rmdir(copy_dir);
  return rmdir(base);
}

struct image {
  uint8_t *data;
  size_t len;
};

static struct image load(void) {
  struct image image = {0};
  struct stat st;
  FILE *file = fopen(file_path, "rb");
  assert_non_null(file);
  assert_int_equal(fstat(fileno(file), &st), 0);
  image.len = (size_t)st.st_size;
  image.data = malloc(image.len);
  assert_int_equal(fread(image.data, 1, image.len, file), image.len);
  fclose(file);
  return image;
}

static void save(const char *path, const uint8_t *data, size_t len) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, len, file), len);
  assert_int_equal(fclose(file), 0);
}

/* ---- Environments ------------------------------------------------------------------------------------------------ */

#define MAP_SIZE ((size_t)64 << 20)

static MDB_env *open_env(const char *dir, size_t map_size) {
  MDB_env *env = NULL;
  if (mdb_env_create(&env)) return NULL;
  mdb_env_set_maxdbs(env, 4);
  mdb_env_set_mapsize(env, map_size);
  if (!mdb_env_open(env, dir, MDB_NOTLS | MDB_NOSYNC, 0600)) return env; /* no sync: no crash is tested here */
  mdb_env_close(env);
  return NULL;
}

static int put(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_len, size_t len, unsigned flags) {
  static uint8_t bytes[200000];
  MDB_val k = {key_len, (void *)(uintptr_t)key}, v = {len, bytes};
  for (size_t i = 0; i < len; i += 8) bytes[i] = (uint8_t)next_random();
  return mdb_put(txn, dbi, &k, &v, flags);
}

/* The sizes of a store: mostly small, some that need overflow pages. */
static size_t some_size(void) {
  size_t kind = below(40);
  return kind == 0 ? below(60000) : kind < 3 ? 1500 + below(4000) : below(300);
}

/* A few transactions of appended runs and of named records, with deletions and overwriting. */
static void build(int transactions) {
  MDB_env *env = open_env(base, MAP_SIZE);
  assert_non_null(env);
  uint64_t number = 0;
  for (int t = 0; t < transactions; t++) {
    MDB_txn *txn;
    MDB_dbi runs, meta;
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "runs", MDB_CREATE, &runs), 0);
    assert_int_equal(mdb_dbi_open(txn, "meta", MDB_CREATE, &meta), 0);
    for (int i = 0; i < 60; i++) {
      uint8_t key[8];
      char name[64];
      put_be64(key, ++number);
      assert_int_equal(put(txn, runs, key, 8, some_size(), MDB_APPEND), 0);
      snprintf(name, sizeof name, "record %zu of %zu", below(300), below(2));
      assert_int_equal(put(txn, meta, name, strlen(name), some_size(), 0), 0);
      if (i % 5 == 0) {
        MDB_val k = {8, key};
        put_be64(key, 1 + below(number));
        int rc = mdb_del(txn, runs, &k, NULL);
        assert_true(rc == 0 || rc == MDB_NOTFOUND);
      }
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
  }
  mdb_env_close(env);
}

/* ---- Using a file that passed ------------------------------------------------------------------------------------ */

static uint64_t touched; /* so that no read is optimised away */

static void read_all(MDB_txn *txn, MDB_dbi dbi) {
  MDB_cursor *cursor;
  MDB_val k, v;
  if (mdb_cursor_open(txn, dbi, &cursor)) return;
  for (int rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST); !rc; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
    MDB_val again;
    for (size_t i = 0; i < k.mv_size; i++) touched += ((uint8_t *)k.mv_data)[i];
    for (size_t i = 0; i < v.mv_size; i++) touched += ((uint8_t *)v.mv_data)[i];
    if (!mdb_get(txn, dbi, &k, &again) && again.mv_size) touched += *(uint8_t *)again.mv_data;
  }
  mdb_cursor_close(cursor);
}

static void write_some(MDB_txn *txn, MDB_dbi runs, MDB_dbi meta) {
  MDB_cursor *cursor;
  MDB_val k, v;
  for (int i = 0; i < 30; i++) {
    char name[64];
    uint8_t key[8];
    snprintf(name, sizeof name, "record %zu of %zu", below(300), below(2));
    if (put(txn, meta, name, strlen(name), some_size(), 0)) return;
    put_be64(key, (uint64_t)1 << 40 | next_random() >> 30);
    if (put(txn, runs, key, 8, 5000 + some_size(), 0)) return;
  }
  if (mdb_cursor_open(txn, runs, &cursor)) return;
  for (int i = 0; i < 100 && !mdb_cursor_get(cursor, &k, &v, MDB_FIRST); i++)
    if (mdb_cursor_del(cursor, 0)) break;
  mdb_cursor_close(cursor);
}

/* In a child: opens, reads all, writes and frees pages in three transactions, reads again.  LMDB's errors are fine. */
static void use(void) {
  MDB_env *env = open_env(copy_dir, MAP_SIZE);
  for (int round = 0; env && round < 4; round++) {
    MDB_txn *txn;
    MDB_dbi runs, meta;
    if (mdb_txn_begin(env, NULL, round % 3 ? 0 : MDB_RDONLY, &txn)) break;
    if (mdb_dbi_open(txn, "runs", 0, &runs) || mdb_dbi_open(txn, "meta", 0, &meta)) {
      mdb_txn_abort(txn);
      break;
    }
    if (round % 3) {
      write_some(txn, runs, meta);
    } else {
      read_all(txn, runs);
      read_all(txn, meta);
    }
    if (mdb_txn_commit(txn)) break;
  }
  if (env) mdb_env_close(env);
}

static unsigned refused, passed;

/* Forking is slow under AddressSanitizer, and what the children run, LMDB, is not built with it: one in eight will
 * do. */
#if defined __has_feature
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#elif defined __SANITIZE_ADDRESS__
#define SANITIZED 1
#endif
#if defined SANITIZED
#define USE_ONE_IN 8
#else
#define USE_ONE_IN 1
#endif

/* The one property: refused, or usable. */
static void try_image(const uint8_t *data, size_t len, const char *what, size_t where) {
  struct dunlin_why why = {{0}};
  int error = pagecheck(NULL, file_path, &why);
  if (error) {
    if (error != DUNLIN_ECORRUPT || !why.text[0]) fail_msg("%s at %zu: error %d, %s", what, where, error, why.text);
    refused++;
    return;
  }
  if (++passed % USE_ONE_IN) return;
  remove_files(copy_dir);
  save(copy_path, data, len);
  fflush(NULL);
  pid_t child = fork();
  assert_true(child >= 0);
  if (!child) {
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (!freopen("/dev/null", "w", stderr)) _exit(1);
    alarm(60); /* a hang is a signal too */
    use();
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  if (!WIFEXITED(status)) fail_msg("%s at %zu: signal %d", what, where, WTERMSIG(status));
  if (WEXITSTATUS(status)) fail_msg("%s at %zu: exit status %d", what, where, WEXITSTATUS(status)); /* a sanitizer */
}

/* Changes bytes of the file in place, tries, and puts them back. */
static void try_bytes(struct image *image, size_t at, const uint8_t *bytes, size_t len, const char *what) {
  uint8_t before[16];
  int fd = open(file_path, O_WRONLY | O_CLOEXEC);
  assert_true(fd >= 0 && len <= sizeof before && at + len <= image->len);
  memcpy(before, image->data + at, len);
  memcpy(image->data + at, bytes, len);
  assert_int_equal(pwrite(fd, bytes, len, (off_t)at), len);
  try_image(image->data, image->len, what, at);
  memcpy(image->data + at, before, len);
  assert_int_equal(pwrite(fd, before, len, (off_t)at), len);
  close(fd);
}

static void flip(struct image *image, size_t bit, const char *what) {
  uint8_t byte = (uint8_t)(image->data[bit / 8] ^ 1u << bit % 8);
  try_bytes(image, bit / 8, &byte, 1, what);
}

static unsigned flags_of(const struct image *image, size_t page) {
  size_t at = page * (size_t)page_size;
  return (unsigned)(image->data[at + 10] | image->data[at + 11] << 8);
}

static uint64_t number_at(const uint8_t *at) {
  uint64_t v;
  memcpy(&v, at, sizeof v);
  return v;
}

static const uint8_t *newer_meta(const struct image *image) {
  const uint8_t *even = image->data + 16, *odd = image->data + page_size + 16;
  return number_at(odd + 128) > number_at(even + 128) ? odd : even;
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static void flips(int rounds) {
  build(12);
  struct image image = load();
  size_t size = (size_t)page_size, pages = image.len / size, branches = 0;
  refused = passed = 0;
  try_image(image.data, image.len, "nothing", 0);
  assert_int_equal(passed, 1);
  for (size_t bit = 0; bit < 152 * 8; bit++) { /* all of both metas */
    flip(&image, bit, "flip in meta 0");
    flip(&image, size * 8 + bit, "flip in meta 1");
  }
  for (int i = 0; i < rounds; i++) {
    flip(&image, below(image.len * 8), "flip");
    flip(&image, (2 + below(pages - 2)) * size * 8 + below(64 * 8), "flip in a page's header");
  }
  for (size_t page = 2; page < pages; page++) {
    if (flags_of(&image, page) != 1) continue;
    branches++;
    for (int i = 0; i < rounds / 4; i++) flip(&image, page * size * 8 + below(size * 8), "flip in a branch page");
  }
  assert_true(branches >= 1);
  for (int i = 0; i < rounds; i++) { /* not damage but malice: several bytes of a header or a node */
    uint8_t bytes[8];
    size_t len = 1 + below(8), at = (below(pages)) * size + below(3) * 8;
    uint64_t r = below(3) ? next_random() : below(pages);
    memcpy(bytes, &r, sizeof bytes);
    if (below(3) == 0) at = below(image.len - 8);
    try_bytes(&image, at, bytes, len, "overwriting");
  }
  printf("page size %ld, %zu pages, %zu branch pages: %u refused, %u passed and were used\n", page_size, pages,
         branches, refused, passed);
  assert_true(refused > 500);
  free(image.data);
}

static void flips_in_small_pages(void **state) {
  (void)state;
  flips(700);
}

static void flips_in_large_pages(void **state) {
  (void)state;
  page_size = 16384;
  flips(150);
}

static void truncation(void **state) {
  (void)state;
  build(12);
  struct image image = load();
  refused = passed = 0;
  for (int i = 0; i < 300; i++) {
    size_t len = i < 200 ? below(image.len) : below(image.len / (size_t)page_size) * (size_t)page_size;
    if (i == 299) len = 1;
    if (!len) continue; /* an empty file is a new one */
    assert_int_equal(truncate(file_path, (off_t)len), 0);
    try_image(image.data, len, "truncation", len);
    save(file_path, image.data, image.len);
  }
  printf("%u truncated files refused, %u passed and were used\n", refused, passed);
  assert_true(refused > 100);
  free(image.data);
}

/* Files that somebody made up. */
static void crafted(void **state) {
  (void)state;
  build(12);
  struct image image = load();
  size_t meta = (size_t)(newer_meta(&image) - image.data);
  static const struct {
    size_t at, len;
    uint64_t value;
  } bad[] = {
      {24, 4, 0},           {24, 4, 512},       {24, 4, 65536},       {24, 4, 1u << 31},    {28, 2, 0x18},
      {28, 2, 9},           {76, 2, 0x18},      {76, 2, 4},           {76, 2, 8},           {72, 4, 1},
      {78, 2, 0},           {78, 2, 33},        {78, 2, 65535},       {112, 8, 0},          {112, 8, 1},
      {112, 8, UINT64_MAX}, {112, 8, 1u << 30}, {120, 8, 0},          {120, 8, 1ull << 60}, {120, 8, UINT64_MAX},
      {120, 8, 1u << 20},   {128, 8, 0},        {128, 8, UINT64_MAX}, {104, 8, 0},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    refused = 0;
    try_bytes(&image, meta + bad[i].at, (const uint8_t *)&bad[i].value, bad[i].len, "crafted meta");
    if (!refused) fail_msg("crafted meta %zu passed", i);
  }
  static const uint8_t zeros[65536];
  save(file_path, zeros, sizeof zeros);
  assert_int_equal(pagecheck(NULL, file_path, NULL), DUNLIN_ECORRUPT);
  save(file_path, image.data, (size_t)page_size);
  assert_int_equal(pagecheck(NULL, file_path, NULL), DUNLIN_ECORRUPT);
  save(file_path, image.data, 0);
  assert_int_equal(pagecheck(NULL, file_path, NULL), 0);
  unlink(file_path);
  assert_int_equal(pagecheck(NULL, file_path, NULL), 0);
  assert_int_equal(pagecheck(NULL, base, NULL), DUNLIN_ECORRUPT); /* a directory */
  free(image.data);
}

/* Replaces the file by a compact copy, in which no page is free: so every header in it counts. */
static struct image build_compact(void) {
  build(3);
  MDB_env *env = open_env(base, MAP_SIZE);
  assert_int_equal(mdb_env_copy2(env, copy_dir, MDB_CP_COMPACT), 0);
  mdb_env_close(env);
  assert_int_equal(rename(copy_path, file_path), 0);
  assert_int_equal(pagecheck(NULL, file_path, NULL), 0);
  return load();
}

static uint16_t short_at(const uint8_t *at) {
  return (uint16_t)(at[0] | at[1] << 8);
}

/* Flips each bit of `len` bytes but the first `skip` bits; each must be noticed. */
static void all_refused(struct image *image, const uint8_t *at, size_t len, size_t skip, const char *what) {
  size_t first = (size_t)(at - image->data) * 8;
  for (size_t bit = skip; bit < len * 8; bit++) {
    refused = 0;
    flip(image, first + bit, what);
    if (!refused) fail_msg("%s, bit %zu: passed", what, first + bit);
  }
}

static void every_header_counts(void **state) {
  (void)state;
  struct image image = build_compact();
  size_t size = (size_t)page_size;
  for (size_t number = 2, pages = 1; number < image.len / size; number += pages) {
    const uint8_t *page = image.data + number * size;
    unsigned flags = flags_of(&image, number);
    pages = flags == 4 ? short_at(page + 12) : 1;
    all_refused(&image, page, 8, 0, "page number");
    all_refused(&image, page + 10, 6, 0, "flags and bounds");
    for (size_t i = 0; flags != 4 && i < (short_at(page + 12) - 16u) / 2; i++) {
      const uint8_t *node = page + short_at(page + 16 + 2 * i);
      bool leaf = flags == 2, big = leaf && node[4] == 1;
      all_refused(&image, page + 16 + 2 * i, 2, 0, "offset");
      if (big) all_refused(&image, node + 8 + short_at(node + 6), 8, 0, "number of overflow page");
      if (!big) all_refused(&image, node, 4, leaf, "length or child"); /* nodes are padded to even lengths, */
      all_refused(&image, node + 4, 2, 0, "node flags");
      all_refused(&image, node + 6, 2, 1, "key length"); /* so that lengths may be off by one */
    }
  }
  free(image.data);
}

/* Keys out of order in a page, or against the pages above. */
static void keys_are_ordered(void **state) {
  (void)state;
  struct image image = build_compact();
  size_t size = (size_t)page_size, low = 0, high = 0;
  for (size_t number = 2, pages = 1; number < image.len / size; number += pages) {
    uint8_t *page = image.data + number * size, *first = page + 16, extreme[16];
    unsigned flags = flags_of(&image, number);
    pages = flags == 4 ? short_at(page + 12) : 1;
    size_t nodes = flags == 4 ? 0 : (short_at(page + 12) - 16u) / 2;
    if (nodes < 3) continue;
    uint8_t swapped[4] = {first[4], first[5], first[2], first[3]}; /* nodes 1 and 2 */
    refused = 0;
    try_bytes(&image, (size_t)(first + 2 - image.data), swapped, 4, "swapped nodes");
    assert_int_equal(refused, 1);
    if (flags != 2) continue;
    memset(extreme, 0, sizeof extreme);
    refused = 0;
    try_bytes(&image, (size_t)(page + short_at(first) + 8 - image.data), extreme, 6, "lowest key");
    low += refused;
    memset(extreme, 0xff, sizeof extreme);
    refused = 0;
    try_bytes(&image, (size_t)(page + short_at(first + 2 * (nodes - 1)) + 8 - image.data), extreme, 6, "highest key");
    high += refused;
  }
  printf("%zu pages whose lowest key, %zu whose highest is bounded\n", low, high);
  assert_true(low > 3 && high > 3); /* all but the first and the last of a tree */
  free(image.data);
}

/* Records that claim more than they have, and a branch page with one branch, on which LMDB would abort. */
static void greedy_records(void **state) {
  (void)state;
  struct image image = build_compact();
  size_t size = (size_t)page_size, big = 0, branches = 0;
  for (size_t number = 2, pages = 1; number < image.len / size; number += pages) {
    uint8_t *page = image.data + number * size;
    unsigned flags = flags_of(&image, number);
    pages = flags == 4 ? short_at(page + 12) : 1;
    for (size_t i = 0; flags == 2 && i < (short_at(page + 12) - 16u) / 2; i++) {
      uint8_t *node = page + short_at(page + 16 + 2 * i);
      uint32_t longer = (uint32_t)(short_at(node) | short_at(node + 2) << 16) + (uint32_t)size;
      if (node[4] != 1) continue;
      refused = 0;
      try_bytes(&image, (size_t)(node - image.data), (const uint8_t *)&longer, 4, "longer than its pages");
      big += refused;
      assert_int_equal(refused, 1);
    }
    if (flags != 1) continue;
    uint8_t node_length = (uint8_t)(8 + short_at(page + short_at(page + 16) + 6)); /* keep node 0 alone, at the end */
    uint8_t kept[264], before[264], header[8];
    size_t len = (node_length + 1u) & ~1u, upper = size - len;
    memcpy(kept, page + short_at(page + 16), len);
    memcpy(before, page + upper, len);
    memcpy(header, page + 12, 6);
    memcpy(page + upper, kept, len);
    page[12] = 18, page[13] = 0;
    page[14] = page[16] = (uint8_t)upper, page[15] = page[17] = (uint8_t)(upper >> 8);
    save(file_path, image.data, image.len);
    struct dunlin_why why = {{0}};
    assert_int_equal(pagecheck(NULL, file_path, &why), DUNLIN_ECORRUPT);
    branches += strstr(why.text, "single branch") != NULL;
    memcpy(page + upper, before, len);
    memcpy(page + 12, header, 6);
    save(file_path, image.data, image.len);
    assert_int_equal(pagecheck(NULL, file_path, NULL), 0);
  }
  assert_true(big > 0 && branches > 0);
  free(image.data);
}

/* A free list that names a page in use: LMDB would overwrite that page without noticing. */
static void live_page_in_free_list(void **state) {
  (void)state;
  build(12);
  struct image image = load();
  const uint8_t *meta = newer_meta(&image);
  uint64_t root = number_at(meta + 24 + 40), live = number_at(meta + 72 + 40);
  uint8_t *leaf = image.data + root * (size_t)page_size, *list = NULL;
  size_t nodes = (size_t)((leaf[12] | leaf[13] << 8) - 16) / 2;
  assert_int_equal(flags_of(&image, root), 2);
  for (size_t i = 0; i < nodes && !list; i++) { /* the first list that stands in the page itself */
    uint8_t *node = leaf + (leaf[16 + 2 * i] | leaf[17 + 2 * i] << 8);
    if (node[4] == 0 && number_at(node + 16) > 0) list = node + 16;
  }
  assert_non_null(list);
  uint64_t count = number_at(list), i = 1;
  while (i < count && number_at(list + 8 * i) > live) i++; /* the list stays in descending order */
  refused = 0;
  try_bytes(&image, (size_t)(list + 8 * i - image.data), (const uint8_t *)&live, 8, "live page in a free list");
  assert_int_equal(refused, 1);
  for (int bit = 9; bit < 64; bit++) { /* a count past the end of the list, or of memory */
    uint64_t more = (uint64_t)1 << bit | count;
    refused = 0;
    try_bytes(&image, (size_t)(list - image.data), (const uint8_t *)&more, 8, "count of a free list");
    assert_int_equal(refused, 1);
  }
  free(image.data);
}

/* The file ends in the middle of a record's pages; all headers are there. */
static void cut_in_a_record(void **state) {
  (void)state;
  struct image image = {0};
  bool found = false;
  build(4);
  for (int tries = 0; tries < 30 && !found; tries++) { /* until the last pages are such a record's */
    MDB_env *env = open_env(base, MAP_SIZE);
    MDB_txn *txn;
    MDB_dbi meta;
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "meta", 0, &meta), 0);
    assert_int_equal(put(txn, meta, &tries, sizeof tries, 100000, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    free(image.data);
    image = load();
    size_t pages = image.len / (size_t)page_size, first = pages - 25; /* 100016 bytes */
    const uint8_t *page = image.data + first * (size_t)page_size;
    found = flags_of(&image, first) == 4 && number_at(page) == first && page[12] == 25 &&
            number_at(newer_meta(&image) + 120) == pages - 1;
  }
  assert_true(found);
  for (size_t cut = 1; cut < 24 * (size_t)page_size; cut += 4095) {
    assert_int_equal(truncate(file_path, (off_t)(image.len - cut)), 0);
    refused = 0;
    try_image(image.data, image.len - cut, "cut", cut);
    assert_int_equal(refused, 1);
  }
  free(image.data);
}

/* One random transaction; sometimes large, sometimes given up, sometimes too large for the map. */
static void churn(MDB_env *env, MDB_dbi dbi) {
  MDB_txn *txn;
  int rc = mdb_txn_begin(env, NULL, 0, &txn);
  assert_int_equal(rc, 0);
  size_t steps = below(5) ? below(20) : below(400), spread = below(3) ? 400 : 20;
  bool deleting = below(3) == 0;
  for (size_t i = 0; i < steps && !rc; i++) {
    char name[300];
    MDB_val k = {0, name};
    memset(name, 'a', sizeof name);
    k.mv_size = (size_t)snprintf(name, sizeof name, "key %zu", below(spread));
    if (below(4) == 0) k.mv_size += below(200); /* with zeros and letters behind: long keys split branch pages */
    rc = deleting || below(4) == 0 ? mdb_del(txn, dbi, &k, NULL) : put(txn, dbi, name, k.mv_size, some_size(), 0);
    if (rc == MDB_NOTFOUND) rc = 0;
  }
  if (rc || below(8) == 0) {
    assert_true(rc == 0 || rc == MDB_MAP_FULL);
    mdb_txn_abort(txn);
  } else {
    rc = mdb_txn_commit(txn);
    assert_true(rc == 0 || rc == MDB_MAP_FULL);
  }
}

static void sound_files_pass(void **state) {
  (void)state;
  struct dunlin_why why;
  for (int run = 0; run < 8; run++) {
    page_size = run % 2 ? 16384 : 4096;
    remove_files(base);
    MDB_env *env = open_env(base, (size_t)(run < 6 ? 48 : 6) << 20);
    MDB_txn *txn, *reader = NULL;
    MDB_dbi dbi;
    assert_non_null(env);
    assert_int_equal(pagecheck(NULL, file_path, &why), 0); /* no transaction yet */
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, run % 3 ? "named" : NULL, MDB_CREATE, &dbi), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    for (int i = 0; i < 250; i++) {
      if (i % 40 == 10) assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &reader), 0); /* holds pages back */
      if (i % 40 == 30) mdb_txn_abort(reader);
      churn(env, dbi);
      int error = pagecheck(NULL, file_path, &why);
      if (error) fail_msg("run %d step %d: %s", run, i, why.text);
    }
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_drop(txn, dbi, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    assert_int_equal(pagecheck(NULL, file_path, &why), 0); /* everything deleted */
    mdb_env_close(env);
  }
}

static void *failing_realloc(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  size_t *left = ctx;
  if (new_size && (*left)-- == 0) return NULL;
  return dunlin_env_default()->realloc(NULL, ptr, old_size, new_size);
}

static void out_of_memory(void **state) {
  (void)state;
  build(12);
  for (size_t allowed = 0;; allowed++) {
    struct dunlin_env env = *dunlin_env_default();
    size_t left = allowed;
    env.ctx = &left;
    env.realloc = failing_realloc;
    int error = pagecheck(&env, file_path, NULL);
    if (!error) break;
    assert_int_equal(error, DUNLIN_ENOMEM);
    assert_true(allowed < 200);
  }
}

int main(int argc, char **argv) {
  if (argc > 1) seed = strtoull(argv[1], NULL, 0);
  printf("seed %llu\n", (unsigned long long)seed);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(sound_files_pass), TEST(crafted),          TEST(flips_in_small_pages),   TEST(flips_in_large_pages),
      TEST(truncation),       TEST(cut_in_a_record),  TEST(live_page_in_free_list), TEST(every_header_counts),
      TEST(greedy_records),   TEST(keys_are_ordered), TEST(out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
