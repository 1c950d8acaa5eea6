/* The store's header and its key file, as an attacker may have written them: vault_open() gives the true key or an
 * error that it documents, and never turns a passphrase into a key at a cost that the header chose when it was given a
 * key file.
 *
 * Input: flags; the rest is the header file, or with FLAG_KEY_FILE the key file beside a header that is right. */
#include "persist/hash.h"
#include "persist/vault.h"
#include "test/fault/seeded.h"
#include "test/fuzz/fuzz.h"

#define FLAG_CHECKSUM 1u /* bytes 128 to 159 get the checksum of those before */
#define FLAG_KEY_FILE 2u

/* A vault that was made once. */
static struct {
  struct seeded memory;
  char dir[300], header_path[320], key_path[320], other_path[320];
  struct vault vault;
  struct dunlin_bytes header, key;
} f;

static void make(void) {
  if (f.header.data) return;
  seeded_init(&f.memory, 1);
  snprintf(f.dir, sizeof f.dir, "%.250s/vault", fuzz_directory());
  snprintf(f.header_path, sizeof f.header_path, "%s/store", f.dir);
  snprintf(f.key_path, sizeof f.key_path, "%.250s/key", fuzz_directory());
  snprintf(f.other_path, sizeof f.other_path, "%.250s/other", fuzz_directory());
  struct dunlin_store_key key = {.key_file = f.key_path};
  CHECK(!vault_create(&f.memory.env, f.dir, &key, &f.vault, NULL));
  f.header = fuzz_read_file(f.header_path);
  f.key = fuzz_read_file(f.key_path);
}

static void write_header(struct dunlin_bytes bytes, bool checksum) {
  uint8_t *copy = fuzz_copy(bytes);
  if (checksum && bytes.len == 160) HASH_PARTS(copy + 128, 32, NULL, "dunlin.store.1", {copy, 128});
  fuzz_write_file(f.header_path, (struct dunlin_bytes){copy, bytes.len});
  free(copy);
}

static bool documented(int error) {
  return error == DUNLIN_ENOTSTORE || error == DUNLIN_EVERSION || error == DUNLIN_ECORRUPT || error == DUNLIN_ENOKEY ||
         error == DUNLIN_EPASS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_in in = fuzz_in_of(data, size);
  struct dunlin_why why = {""};
  struct vault vault = {{0}};
  make();
  uint8_t flags = fuzz_byte(&in);
  bool other_key = flags & FLAG_KEY_FILE;
  struct dunlin_store_key key = {.key_file = other_key ? f.other_path : f.key_path};
  struct dunlin_bytes rest = fuzz_rest(&in);
  if (other_key) fuzz_write_file(f.other_path, rest);
  write_header(other_key ? f.header : rest, flags & FLAG_CHECKSUM);
  int kind = vault_probe(f.dir, NULL);
  CHECK(kind > 0 ? kind == DUNLIN_KEY_FILE || kind == DUNLIN_KEY_PASSPHRASE : documented(kind));
  int error = vault_open(&f.memory.env, f.dir, &key, &vault, &why);
  CHECK(!error || (documented(error) && why.text[0]));
  CHECK(kind > 0 || error == kind);
  if (kind == DUNLIN_KEY_PASSPHRASE) CHECK(error == DUNLIN_ENOKEY);
  if (!error) {
    CHECK(!memcmp(vault.key, f.vault.key, sizeof vault.key) && vault.kind == DUNLIN_KEY_FILE);
    CHECK(!memcmp(vault.store_id, f.vault.store_id, sizeof vault.store_id));
    fuzz_accepted++;
  }
  return 0;
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  make();
  struct buf input = fuzz_buf();
  fuzz_put_byte(&input, 0);
  buf_append(&input, f.header.data, f.header.len);
  fuzz_emit_buf(emit, ctx, "header", &input);
  input = fuzz_buf();
  fuzz_put_byte(&input, FLAG_CHECKSUM);
  buf_append(&input, f.header.data, 128);
  buf_append(&input, "12345678901234567890123456789012", 32);
  fuzz_emit_buf(emit, ctx, "checksum", &input);
  input = fuzz_buf();
  fuzz_put_byte(&input, FLAG_KEY_FILE);
  buf_append(&input, f.key.data, f.key.len);
  fuzz_emit_buf(emit, ctx, "key", &input);
}
