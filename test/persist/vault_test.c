/* The store's header and key file: what opens it, what does not and why, and that no damage goes unnoticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "persist/hash.h"
#include "persist/vault.h"
#include "test/persist/vectors.h"

#define CHEAP 1, 8u << 20 /* passes and memory: the least that a header may ask for */
#define HEADER_LEN 160

/* ---- A directory of our own ---------------------------------------------------------------------------------- */

static char base[200];

static const char *in_base(const char *name) { /* lives for the next 63 calls */
  static char paths[64][300];
  static unsigned turn;
  char *path = paths[turn++ % 64];
  snprintf(path, sizeof paths[0], "%s/%s", base, name);
  return path;
}

static int setup(void **state) {
  (void)state;
  const char *tmp = getenv("TMPDIR");
  snprintf(base, sizeof base, "%s/dunlin-vault-XXXXXX", tmp ? tmp : "/tmp");
  return mkdtemp(base) ? 0 : -1;
}

static void remove_tree(const char *path) {
  DIR *dir = opendir(path);
  for (struct dirent *e; dir && (e = readdir(dir));) {
    char child[600];
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    snprintf(child, sizeof child, "%s/%s", path, e->d_name);
    remove_tree(child);
  }
  if (dir) closedir(dir);
  remove(path);
}

static int teardown(void **state) {
  (void)state;
  remove_tree(base);
  return 0;
}

static void put(const char *path, const void *data, size_t len) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, len, file), len);
  fclose(file);
}

static size_t take(const char *path, void *out, size_t cap) {
  FILE *file = fopen(path, "rb");
  if (!file) return 0;
  size_t len = fread(out, 1, cap, file);
  fclose(file);
  return len;
}

static struct dunlin_store_key pass(const char *text) {
  return (struct dunlin_store_key){.passphrase = text, .passphrase_len = strlen(text)};
}

static struct dunlin_store_key file_key(const char *name) {
  return (struct dunlin_store_key){.key_file = in_base(name)};
}

static const struct dunlin_env *env(void) {
  return dunlin_env_default();
}

static int open_store(const char *dir, struct dunlin_store_key key, struct vault *out) {
  struct dunlin_why why = {{0}};
  int error = vault_open(env(), dir, &key, out, &why);
  if (error && !why.text[0]) fail_msg("%s without a word", dunlin_error_name(error));
  return error;
}

static int create(const char *dir, struct dunlin_store_key key, struct vault *out) {
  return vault_create_with(env(), dir, &key, CHEAP, out, NULL);
}

/* ---- Opening ------------------------------------------------------------------------------------------------- */

static void passphrase(void **state) {
  (void)state;
  struct vault made, opened;
  const char *dir = in_base("a/b/store");
  assert_int_equal(create(dir, pass("correct horse"), &made), 0);
  assert_int_equal(made.kind, DUNLIN_KEY_PASSPHRASE);
  assert_int_equal(vault_probe(dir, NULL), DUNLIN_KEY_PASSPHRASE);
  assert_int_equal(open_store(dir, pass("correct horse"), &opened), 0);
  assert_memory_equal(&made, &opened, sizeof made);
  assert_int_equal(open_store(dir, pass("correct hors"), &opened), DUNLIN_EPASS);
  assert_int_equal(open_store(dir, pass(""), &opened), DUNLIN_EPASS);
  assert_int_equal(open_store(dir, file_key("key"), &opened), DUNLIN_ENOKEY);
  assert_int_equal(open_store(dir, (struct dunlin_store_key){0}, &opened), DUNLIN_ENOKEY);
  struct dunlin_store_key both = pass("correct horse");
  both.key_file = "key";
  assert_int_equal(open_store(dir, both, &opened), DUNLIN_EINVAL);

  uint8_t header[HEADER_LEN + 1];
  assert_int_equal(take(in_base("a/b/store/store"), header, sizeof header), HEADER_LEN);
  for (size_t i = 0; i + 32 <= HEADER_LEN; i++) assert_memory_not_equal(header + i, made.key, 32);
}

static void key_file(void **state) {
  (void)state;
  struct vault made, opened, other;
  struct stat st;
  const char *dir = in_base("s");
  assert_int_equal(create(dir, file_key("config/dunlin/key"), &made), 0);
  assert_int_equal(vault_probe(dir, NULL), DUNLIN_KEY_FILE);
  assert_int_equal(stat(in_base("config/dunlin/key"), &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  assert_int_equal(stat(in_base("config/dunlin"), &st), 0);
  assert_int_equal(st.st_mode & 0777, 0700);
  assert_int_equal(open_store(dir, file_key("config/dunlin/key"), &opened), 0);
  assert_memory_equal(&made, &opened, sizeof made);
  assert_int_equal(open_store(dir, pass("x"), &opened), DUNLIN_ENOKEY);
  assert_int_equal(open_store(dir, file_key("config/none"), &opened), DUNLIN_ENOKEY);

  /* A second store under the same file, and one under another. */
  assert_int_equal(create(in_base("t"), file_key("config/dunlin/key"), &other), 0);
  assert_int_equal(open_store(in_base("t"), file_key("config/dunlin/key"), &opened), 0);
  assert_memory_not_equal(made.key, opened.key, 32);
  assert_int_equal(create(in_base("u"), file_key("config/key2"), &other), 0);
  assert_int_equal(open_store(dir, file_key("config/key2"), &opened), DUNLIN_EPASS);

  char text[100] = {0};
  size_t len = take(in_base("config/dunlin/key"), text, sizeof text);
  assert_int_equal(len, 78);
  assert_memory_equal(text, "dunlin-key-1 ", 13);
  assert_int_equal(text[77], '\n');
  put(in_base("k"), text, 77); /* an editor took the line end away, or made it another one */
  assert_int_equal(open_store(dir, file_key("k"), &opened), 0);
  memcpy(text + 77, "\r\n", 2);
  put(in_base("k"), text, 79);
  assert_int_equal(open_store(dir, file_key("k"), &opened), 0);
  put(in_base("k"), text, 76);
  assert_int_equal(open_store(dir, file_key("k"), &opened), DUNLIN_EPASS);
  memcpy(text + 77, "00", 3);
  put(in_base("k"), text, 79);
  assert_int_equal(open_store(dir, file_key("k"), &opened), DUNLIN_EPASS);
  text[40] = 'g';
  put(in_base("k"), text, 77);
  assert_int_equal(open_store(dir, file_key("k"), &opened), DUNLIN_EPASS);
  put(in_base("k"), "", 0);
  assert_int_equal(open_store(dir, file_key("k"), &opened), DUNLIN_EPASS);
  assert_int_equal(open_store(dir, file_key("config"), &opened), DUNLIN_EPASS); /* a directory */
}

static void rekey(void **state) {
  (void)state;
  struct vault made, opened;
  const char *dir = in_base("s");
  struct dunlin_store_key to_file = file_key("k/key"), to_pass = pass("new");
  assert_int_equal(create(dir, pass("old"), &made), 0);
  assert_int_equal(vault_rekey(env(), dir, &made, &to_file, NULL), 0);
  assert_int_equal(open_store(dir, pass("old"), &opened), DUNLIN_ENOKEY);
  assert_int_equal(open_store(dir, to_file, &opened), 0);
  assert_memory_equal(made.key, opened.key, 32);
  assert_memory_equal(made.store_id, opened.store_id, 16);
  assert_int_equal(opened.kind, DUNLIN_KEY_FILE);
  assert_int_equal(vault_rekey(env(), dir, &opened, &to_pass, NULL), 0); /* at the default cost */
  assert_int_equal(open_store(dir, to_file, &opened), DUNLIN_ENOKEY);
  assert_int_equal(open_store(dir, pass("old"), &opened), DUNLIN_EPASS);
  assert_int_equal(open_store(dir, pass("new"), &opened), 0);
  assert_memory_equal(&made, &opened, sizeof made);
  struct dunlin_store_key empty = pass(""), none = {0};
  assert_int_equal(vault_rekey(env(), dir, &made, &empty, NULL), DUNLIN_EINVAL);
  assert_int_equal(vault_rekey(env(), dir, &made, &none, NULL), DUNLIN_ENOKEY);
  assert_int_equal(open_store(dir, pass("new"), &opened), 0);
}

/* ---- Damage and other people's files --------------------------------------------------------------------------- */

static void every_bit_of_the_header_counts(void **state) {
  (void)state;
  struct vault vault;
  const char *dir = in_base("s"), *path = in_base("s/store");
  uint8_t header[HEADER_LEN + 1];
  assert_int_equal(create(dir, pass("x"), &vault), 0);
  assert_int_equal(take(path, header, sizeof header), HEADER_LEN);
  for (size_t bit = 0; bit < HEADER_LEN * 8; bit++) {
    header[bit / 8] ^= (uint8_t)(1u << bit % 8);
    put(path, header, HEADER_LEN);
    int expect = bit / 8 < 8 ? DUNLIN_ENOTSTORE : bit / 8 < 12 ? DUNLIN_EVERSION : DUNLIN_ECORRUPT;
    assert_int_equal(open_store(dir, pass("x"), &vault), expect);
    assert_int_equal(vault_probe(dir, NULL), expect);
    header[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  for (size_t len = 0; len < HEADER_LEN; len++) {
    put(path, header, len);
    assert_int_equal(open_store(dir, pass("x"), &vault), DUNLIN_ECORRUPT);
  }
  put(path, header, HEADER_LEN + 1);
  assert_int_equal(open_store(dir, pass("x"), &vault), DUNLIN_ECORRUPT);
  put(path, header, HEADER_LEN);
  assert_int_equal(open_store(dir, pass("x"), &vault), 0);
}

/* A header with a right checksum that asks for too much, or for too little to be worth anything. */
static void greedy_header(void **state) {
  (void)state;
  static const struct {
    uint32_t kind, kib, passes;
  } bad[] = {{1, 1u << 30, 1}, {1, UINT32_MAX, 1}, {1, (1u << 20) + 1, 1}, {1, 8 * 1024 - 1, 1}, {1, 8192, 0},
             {1, 8192, 11},    {1, 0, 0},          {2, 8192, 1},           {3, 8192, 1},         {0, 0, 0}};
  struct vault vault;
  const char *dir = in_base("s"), *path = in_base("s/store");
  uint8_t header[HEADER_LEN];
  assert_int_equal(create(dir, pass("x"), &vault), 0);
  assert_int_equal(take(path, header, sizeof header), HEADER_LEN);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    put_be32(header + 12, bad[i].kind);
    put_be32(header + 16, bad[i].kib);
    put_be32(header + 20, bad[i].passes);
    HASH_PARTS(header + 128, 32, NULL, "dunlin.store.1", {header, 128});
    put(path, header, HEADER_LEN);
    assert_int_equal(open_store(dir, pass("x"), &vault), DUNLIN_ECORRUPT);
  }
  struct dunlin_store_key key = pass("x");
  assert_int_equal(vault_create_with(env(), in_base("t"), &key, 11, 8u << 20, &vault, NULL), DUNLIN_EINVAL);
  assert_int_equal(vault_create_with(env(), in_base("t"), &key, 1, 4u << 20, &vault, NULL), DUNLIN_EINVAL);
  assert_int_equal(vault_create_with(env(), in_base("t"), &key, 1, (8u << 20) + 1, &vault, NULL), DUNLIN_EINVAL);
  assert_int_equal(vault_probe(in_base("t"), NULL), DUNLIN_ENOSTORE);
}

static void what_is_there(void **state) {
  (void)state;
  static const char *const leftovers[] = {"data.mdb", "lock.mdb", "lease", "wake", "store.tmp"};
  struct vault vault, opened;
  char path[600];
  const char *dir = in_base("d");
  assert_int_equal(vault_probe(dir, NULL), DUNLIN_ENOSTORE);
  assert_int_equal(mkdir(dir, 0700), 0);
  assert_int_equal(vault_probe(dir, NULL), DUNLIN_ENOSTORE);
  for (size_t i = 0; i < 5; i++) {
    snprintf(path, sizeof path, "%s/%s", dir, leftovers[i]);
    put(path, "left by a crash", 15);
    assert_int_equal(vault_probe(dir, NULL), DUNLIN_ENOSTORE);
  }
  assert_int_equal(create(dir, pass("x"), &vault), 0);
  assert_int_equal(access(in_base("d/store.tmp"), F_OK), -1);
  assert_int_equal(open_store(dir, pass("x"), &opened), 0);
  assert_int_equal(create(dir, pass("x"), &opened), DUNLIN_EEXIST);
  put(in_base("d/store"), "dunlinst\0\0\0\2", 12); /* another version's */
  assert_int_equal(create(dir, pass("x"), &opened), DUNLIN_EEXIST);
  put(in_base("d/store"), "dunlin", 6);
  assert_int_equal(create(dir, pass("x"), &opened), DUNLIN_EEXIST); /* never over something that may be mended */

  assert_int_equal(mkdir(in_base("e"), 0700), 0);
  put(in_base("e/photo.jpg"), "x", 1);
  assert_int_equal(vault_probe(in_base("e"), NULL), DUNLIN_ENOTSTORE);
  assert_int_equal(create(in_base("e"), pass("x"), &opened), DUNLIN_ENOTSTORE);
  assert_int_equal(vault_probe(in_base("e/photo.jpg"), NULL), DUNLIN_ENOTSTORE);
  put(in_base("e/store"), "SQLite format 3", 16);
  assert_int_equal(vault_probe(in_base("e"), NULL), DUNLIN_ENOTSTORE);
  assert_int_equal(create(in_base("e"), pass("x"), &opened), DUNLIN_ENOTSTORE);

  assert_int_equal(mkdir(in_base("f"), 0700), 0);
  assert_int_equal(mkdir(in_base("f/store"), 0700), 0);
  assert_int_equal(vault_probe(in_base("f"), NULL), DUNLIN_ENOTSTORE);
  assert_int_equal(mkdir(in_base("g"), 0700), 0);
  assert_int_equal(mkfifo(in_base("g/store"), 0600), 0);
  assert_int_equal(vault_probe(in_base("g"), NULL), DUNLIN_ENOTSTORE); /* and does not wait for a writer */

  memset(path, 'x', sizeof path);
  char endless[5000];
  memset(endless, 'x', sizeof endless);
  endless[sizeof endless - 1] = 0;
  assert_int_equal(vault_probe(endless, NULL), DUNLIN_EINVAL);
}

/* A write that fails changes nothing: the old header stays, no file is left over. */
static void disk_refuses(void **state) {
  (void)state;
  struct vault vault, opened;
  struct rlimit before, none;
  struct dunlin_store_key key = file_key("k");
  const char *dir = in_base("s");
  assert_int_equal(create(dir, pass("x"), &vault), 0);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  none = before;
  none.rlim_cur = 0;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
  int rekeyed = vault_rekey(env(), dir, &vault, &key, NULL), created = create(in_base("t"), pass("y"), &opened);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(rekeyed, DUNLIN_EIO);
  assert_int_equal(created, DUNLIN_EIO);
  assert_int_equal(access(in_base("k"), F_OK), -1);
  assert_int_equal(access(in_base("k.tmp"), F_OK), -1);
  assert_int_equal(access(in_base("s/store.tmp"), F_OK), -1);
  assert_int_equal(open_store(dir, pass("x"), &opened), 0);
  assert_int_equal(vault_probe(in_base("t"), NULL), DUNLIN_ENOSTORE);
  assert_int_equal(create(in_base("t"), pass("y"), &opened), 0);
}

/* The header written last: nothing is a store until vault_write. */
static void two_halves(void **state) {
  (void)state;
  struct vault vault, opened;
  struct dunlin_store_key key = pass("x");
  const char *dir = in_base("s");
  assert_int_equal(vault_new(env(), dir, &key, &vault, NULL), 0);
  assert_int_equal(vault_probe(dir, NULL), DUNLIN_ENOSTORE);
  assert_int_equal(vault_write(env(), dir, &vault, &key, CHEAP, false, NULL), 0);
  assert_int_equal(open_store(dir, key, &opened), 0);
  assert_memory_equal(&vault, &opened, sizeof vault);
  assert_int_equal(vault_write(env(), dir, &vault, &key, CHEAP, false, NULL), DUNLIN_EEXIST);
  key = pass("");
  assert_int_equal(vault_new(env(), in_base("t"), &key, &vault, NULL), DUNLIN_EINVAL);
}

/* ---- Records --------------------------------------------------------------------------------------------------- */

static struct dunlin_bytes text(const char *s) {
  return (struct dunlin_bytes){s, strlen(s)};
}

static void records(void **state) {
  (void)state;
  struct vault vault, other;
  struct buf sealed, plain;
  randombytes_buf(&vault, sizeof vault);
  buf_init(&sealed, env(), 4096);
  buf_init(&plain, env(), 4096);
  buf_append(&sealed, "pre", 3);
  assert_int_equal(vault_seal(&vault, env(), "meta", text("key"), text("secret"), &sealed), 0);
  assert_int_equal(sealed.len, 3 + 6 + VAULT_OVERHEAD);
  struct dunlin_bytes record = {sealed.data + 3, sealed.len - 3};
  buf_append(&plain, "what was there", 14);
  assert_int_equal(vault_unseal(&vault, "meta", text("key"), record, &plain), 0);
  assert_int_equal(plain.len, 6);
  assert_memory_equal(plain.data, "secret", 6);

  assert_int_equal(vault_unseal(&vault, "met", text("akey"), record, &plain), DUNLIN_EAUTH); /* no sliding boundary */
  assert_int_equal(vault_unseal(&vault, "meta", text("kez"), record, &plain), DUNLIN_EAUTH);
  other = vault, other.store_id[0] ^= 1;
  assert_int_equal(vault_unseal(&other, "meta", text("key"), record, &plain), DUNLIN_EAUTH);
  other = vault, other.key[0] ^= 1;
  assert_int_equal(vault_unseal(&other, "meta", text("key"), record, &plain), DUNLIN_EAUTH);
  for (size_t bit = 0; bit < record.len * 8; bit++) {
    sealed.data[3 + bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(vault_unseal(&vault, "meta", text("key"), record, &plain), DUNLIN_EAUTH);
    sealed.data[3 + bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  for (size_t len = 0; len < record.len; len++) {
    struct dunlin_bytes cut = {record.data, len};
    assert_int_equal(vault_unseal(&vault, "meta", text("key"), cut, &plain), DUNLIN_EAUTH);
  }
  buf_clear(&sealed);
  assert_int_equal(vault_seal(&vault, env(), "meta", text(""), text(""), &sealed), 0);
  buf_free(&plain);
  record = (struct dunlin_bytes){sealed.data, sealed.len};
  assert_int_equal(vault_unseal(&vault, "meta", text(""), record, &plain), 0);
  assert_int_equal(plain.len, 0);

  char longest[VAULT_MAX_RECORD_KEY + 1] = {0};
  struct dunlin_bytes longest_key = {longest, sizeof longest};
  assert_int_equal(vault_seal(&vault, env(), "meta", longest_key, text(""), &sealed), DUNLIN_EINVAL);
  longest_key.len--;
  buf_clear(&sealed);
  assert_int_equal(vault_seal(&vault, env(), "meta", longest_key, text("v"), &sealed), 0);
  record = (struct dunlin_bytes){sealed.data, sealed.len};
  assert_int_equal(vault_unseal(&vault, "meta", longest_key, record, &plain), 0);
  assert_int_equal(vault_seal(&vault, env(), "a name that is longer than a table's", text(""), text(""), &sealed),
                   DUNLIN_EINVAL);
  buf_free(&sealed);
  buf_free(&plain);
}

/* ---- The vector of the format page ---------------------------------------------------------------------------- */

/* 16 bytes of salt, then 24 of nonce. */
static int counting_random(void *ctx, void *out, size_t len) {
  (void)ctx;
  for (size_t i = 0; i < len; i++) ((uint8_t *)out)[i] = (uint8_t)((len == 16 ? 0x30 : 0x50) + i);
  return 0;
}

static void vector(void **state) {
  (void)state;
  struct vault vault = {.kind = DUNLIN_KEY_FILE}, opened;
  struct dunlin_env counting = *env();
  struct dunlin_store_key key = file_key("key");
  uint8_t secret[32], expect[HEADER_LEN + 1], header[HEADER_LEN + 1];
  char line[78] = "dunlin-key-1 ";
  counting.random = counting_random;
  for (int i = 0; i < 16; i++) vault.store_id[i] = (uint8_t)(0x10 + i);
  for (int i = 0; i < 32; i++) vault.key[i] = (uint8_t)(0xc0 + i), secret[i] = (uint8_t)(0xa0 + i);
  sodium_bin2hex(line + 13, 65, secret, 32);
  put(key.key_file, line, 77);
  assert_int_equal(mkdir(in_base("s"), 0700), 0);
  assert_int_equal(vault_write(&counting, in_base("s"), &vault, &key, CHEAP, false, NULL), 0);
  assert_int_equal(take(in_base("s/store"), header, sizeof header), HEADER_LEN);
  char *page = vector_page();
  assert_int_equal(vector_find(page, "header1", expect, sizeof expect), HEADER_LEN);
  assert_memory_equal(header, expect, HEADER_LEN);
  put(in_base("s/store"), expect, HEADER_LEN);
  assert_int_equal(open_store(in_base("s"), key, &opened), 0);
  assert_memory_equal(&vault, &opened, sizeof vault);
  free(page);
}

int main(void) {
  if (sodium_init() < 0) return 1;
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(passphrase),    TEST(key_file),      TEST(rekey),        TEST(every_bit_of_the_header_counts),
      TEST(greedy_header), TEST(what_is_there), TEST(disk_refuses), TEST(two_halves),
      TEST(records),       TEST(vector),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
