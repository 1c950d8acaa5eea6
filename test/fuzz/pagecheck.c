/* A data file with damage of any kind: when pagecheck() calls it sound, LMDB opens it, reads both tables, looks every
 * record up and (when the input says so) writes and frees pages without a signal, an assertion or a hang; and then the
 * file is still sound.
 *
 * Input: flags; then patches of a valid file: a page, a place in it, a length up to 16 and the bytes.  With FLAG_NEAR
 * places lie in the first 160 bytes of a page, where the headers are; with FLAG_FREE in the list of free pages. */
#include <fcntl.h>
#include <lmdb.h>
#include <unistd.h>

#include "persist/pagecheck.h"
#include "test/fault/seeded.h"
#include "test/fuzz/fuzz.h"

#define FLAG_WRITE 1u
#define FLAG_NEAR 2u
#define FLAG_FREE 4u
#define PAGE 4096u
#define MAP_SIZE ((size_t)4 << 20)
#define PATCHES_MAX 64u

static struct {
  char dir[300], path[320];
  struct dunlin_bytes file;
  size_t free_end; /* of the page with the lists of free pages, which lie before its end */
  bool dirty;      /* LMDB may have written to the file */
} f;

static MDB_env *open_env(unsigned flags) {
  MDB_env *env = NULL;
  CHECK(!mdb_env_create(&env));
  mdb_env_set_maxdbs(env, 4);
  mdb_env_set_mapsize(env, MAP_SIZE);
  if (!mdb_env_open(env, f.dir, MDB_NOLOCK | MDB_NOTLS | MDB_NOSYNC | flags, 0600)) return env;
  mdb_env_close(env);
  return NULL;
}

static int put(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_len, size_t len) {
  static uint8_t bytes[20000];
  MDB_val k = {key_len, (void *)(uintptr_t)key}, v = {len, bytes};
  return mdb_put(txn, dbi, &k, &v, 0);
}

/* ---- The valid file: a few levels, overflow pages, free pages ---------------------------------------------------- */

static void fill(MDB_env *env, unsigned round) {
  MDB_txn *txn;
  MDB_dbi runs, meta;
  struct rng rng = rng_of(round + 1);
  CHECK(!mdb_txn_begin(env, NULL, 0, &txn));
  CHECK(!mdb_dbi_open(txn, "runs", MDB_CREATE, &runs) && !mdb_dbi_open(txn, "meta", MDB_CREATE, &meta));
  for (unsigned i = 0; i < 40; i++) {
    uint8_t key[8];
    char name[64];
    put_be64(key, round * 40 + i + 1);
    CHECK(!put(txn, runs, key, 8, i == 7 ? 9000 : rng_below(&rng, 300)));
    int len = snprintf(name, sizeof name, "record %zu", rng_below(&rng, 60));
    CHECK(!put(txn, meta, name, (size_t)len, rng_below(&rng, 200)));
    if (i % 5 == 4) {
      MDB_val k = {8, key};
      mdb_del(txn, runs, &k, NULL);
    }
  }
  CHECK(!mdb_txn_commit(txn));
}

static uint64_t number_at(size_t at) {
  uint64_t v;
  memcpy(&v, (const uint8_t *)f.file.data + at, sizeof v);
  return v;
}

/* The root of the free tree, a leaf in a file of this size, by the newer meta; persist/pagecheck.c has the layout. */
static void find_free(void) {
  size_t meta = number_at(16 + 128) > number_at(PAGE + 16 + 128) ? 16 : PAGE + 16;
  f.free_end = (size_t)(number_at(meta + 24 + 40) + 1) * PAGE;
  CHECK(f.free_end <= f.file.len);
}

static void make(void) {
  if (f.file.data) return;
  snprintf(f.dir, sizeof f.dir, "%.250s", fuzz_directory());
  snprintf(f.path, sizeof f.path, "%s/data.mdb", f.dir);
  MDB_env *env = open_env(0);
  CHECK(env);
  for (unsigned round = 0; round < 5; round++) fill(env, round);
  mdb_env_close(env);
  f.file = fuzz_read_file(f.path);
  struct dunlin_why why = {""};
  if (pagecheck(NULL, f.path, &why)) fuzz_fail(__FILE__, __LINE__, why.text);
  CHECK(f.file.len % PAGE == 0);
  find_free();
}

/* ---- Using a file that passed ------------------------------------------------------------------------------------ */

static void touch(const MDB_val *v) {
  uint8_t sum = 0;
  for (size_t i = 0; i < v->mv_size; i++) sum ^= ((const uint8_t *)v->mv_data)[i];
  __asm__ volatile("" : : "r"(sum)); /* so that the reads are not optimised away */
}

static void read_all(MDB_txn *txn, MDB_dbi dbi) {
  MDB_cursor *cursor;
  MDB_val k, v, again;
  if (mdb_cursor_open(txn, dbi, &cursor)) return;
  for (int rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST); !rc; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
    touch(&k);
    touch(&v);
    if (!mdb_get(txn, dbi, &k, &again)) touch(&again);
  }
  mdb_cursor_close(cursor);
}

static void write_some(MDB_txn *txn, MDB_dbi runs, MDB_dbi meta) {
  MDB_cursor *cursor;
  MDB_val k, v;
  for (unsigned i = 0; i < 12; i++) {
    uint8_t key[8];
    put_be64(key, 1000 + i);
    if (put(txn, runs, key, 8, 2500 * (i % 3)) || put(txn, meta, key, 8, 100)) return;
  }
  if (mdb_cursor_open(txn, runs, &cursor)) return;
  for (unsigned i = 0; i < 30 && !mdb_cursor_get(cursor, &k, &v, MDB_FIRST); i++)
    if (mdb_cursor_del(cursor, 0)) break;
  mdb_cursor_close(cursor);
}

static void use(bool writing) {
  MDB_env *env = open_env(writing ? 0 : MDB_RDONLY);
  f.dirty = writing;
  for (unsigned round = 0; env && round < (writing ? 4 : 1); round++) {
    MDB_txn *txn;
    MDB_dbi runs, meta;
    bool write = round % 3;
    if (mdb_txn_begin(env, NULL, write ? 0 : MDB_RDONLY, &txn)) break;
    if (mdb_dbi_open(txn, "runs", 0, &runs) || mdb_dbi_open(txn, "meta", 0, &meta)) {
      mdb_txn_abort(txn);
      break;
    }
    if (write) {
      write_some(txn, runs, meta);
    } else {
      read_all(txn, runs);
      read_all(txn, meta);
    }
    if (mdb_txn_commit(txn)) break;
  }
  if (env) mdb_env_close(env);
}

/* ---- The target -------------------------------------------------------------------------------------------------- */

static size_t place(struct fuzz_in *in, uint8_t flags) {
  size_t page = fuzz_below(in, f.file.len / PAGE), at = fuzz_u16(in);
  if (flags & FLAG_FREE) return f.free_end - 1 - at % 256;
  return page * PAGE + at % (flags & FLAG_NEAR ? 160 : PAGE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_in in = fuzz_in_of(data, size);
  struct {
    size_t at, len;
  } patches[PATCHES_MAX];
  struct dunlin_why why = {""};
  struct seeded memory;
  size_t count = 0;
  make();
  uint8_t flags = fuzz_byte(&in);
  if (f.dirty) fuzz_write_file(f.path, f.file);
  f.dirty = false;
  int fd = open(f.path, O_WRONLY | O_CLOEXEC);
  CHECK(fd >= 0);
  for (; in.left && count < PATCHES_MAX; count++) {
    size_t at = place(&in, flags);
    struct dunlin_bytes bytes = fuzz_take(&in, 1 + fuzz_byte(&in) % 16u);
    if (bytes.len > f.file.len - at) bytes.len = f.file.len - at;
    CHECK(pwrite(fd, bytes.data, bytes.len, (off_t)at) == (ssize_t)bytes.len);
    patches[count].at = at, patches[count].len = bytes.len;
  }
  seeded_init(&memory, 1);
  int error = pagecheck(&memory.env, f.path, &why);
  CHECK(!memory.live && memory.peak <= FUZZ_MEMORY);
  CHECK(!error || (error == DUNLIN_ECORRUPT && why.text[0]));
  if (!error) {
    use(flags & FLAG_WRITE);
    if (f.dirty && pagecheck(NULL, f.path, &why)) fuzz_fail(__FILE__, __LINE__, why.text);
    fuzz_accepted++;
  }
  for (size_t i = 0; i < count && !f.dirty; i++) {
    const uint8_t *was = f.file.data;
    CHECK(pwrite(fd, was + patches[i].at, patches[i].len, (off_t)patches[i].at) == (ssize_t)patches[i].len);
  }
  close(fd);
  return 0;
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  static const uint8_t untouched[] = {0}, written[] = {FLAG_WRITE}, freed[] = {FLAG_WRITE | FLAG_FREE};
  emit(ctx, "read", (struct dunlin_bytes){untouched, sizeof untouched});
  emit(ctx, "written", (struct dunlin_bytes){written, sizeof written});
  emit(ctx, "free", (struct dunlin_bytes){freed, sizeof freed});
  make();
  /* A byte of each page that is padding or a value's, so that the file stays sound; the fuzzer moves them. */
  for (size_t page = 2, made = 0; page < f.file.len / PAGE && made < 12; page++) {
    uint8_t patch[] = {FLAG_WRITE, (uint8_t)page, 0x0f, 0xff, 0, 0};
    char name[32];
    patch[5] = (uint8_t)(((const uint8_t *)f.file.data)[page * PAGE + 0xfff]);
    snprintf(name, sizeof name, "page-%zu", page);
    emit(ctx, name, (struct dunlin_bytes){patch, sizeof patch});
    made++;
  }
}
