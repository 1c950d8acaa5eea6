#include "persist/vault.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "persist/file.h"
#include "persist/hash.h"
#include "persist/why.h"

/* The header, 160 bytes, numbers big-endian:
 *
 *     0   8  magic "dunlinst"
 *     8   4  version, 1
 *    12   4  kind of key: 1 passphrase, 2 key file
 *    16   4  Argon2id memory in KiB (0 for a key file)
 *    20   4  Argon2id passes (0 for a key file)
 *    24  16  Argon2id salt, random for a key file too
 *    40  16  store id
 *    56  24  nonce
 *    80  48  the store key under XChaCha20-Poly1305, associated data: bytes 0 to 55
 *   128  32  BLAKE2b of bytes 0 to 127
 */
#define MAGIC "dunlinst"
#define VERSION 1
#define AT_VERSION 8
#define AT_KIND 12
#define AT_MEMORY 16
#define AT_PASSES 20
#define AT_SALT 24
#define AT_STORE_ID 40
#define AT_NONCE 56
#define AT_WRAPPED 80
#define AT_CHECKSUM 128
#define HEADER_LEN 160

/* What a file may ask of us: enough to be worth it, little enough that a crafted header cannot stop the machine. */
#define MEMORY_MIN_KIB (8u * 1024)
#define MEMORY_MAX_KIB (1024u * 1024)
#define PASSES_MAX 10u

/* ---- Key files ---------------------------------------------------------------------------------------------- */

/* One line: "dunlin-key-1 ", 64 hexadecimal digits. */
#define KEY_FILE_LABEL "dunlin-key-1 "
#define KEY_FILE_LEN (13u + 64)

static int key_file_read(const char *path, uint8_t secret[32], struct dunlin_why *why) {
  uint8_t text[KEY_FILE_LEN + 3]; /* with a line end of any kind, and room to see that there is more */
  size_t len = 0, got = 0;
  int error = file_read(path, text, sizeof text - 1, &len, why);
  if (error == DUNLIN_ENOENT) return why_fail(why, DUNLIN_ENOKEY, "there is no key file %s", path);
  if (error == DUNLIN_EKIND) return why_fail(why, DUNLIN_EPASS, "%s is not a key file", path);
  if (error) goto out;
  while (len && (text[len - 1] == '\n' || text[len - 1] == '\r')) len--;
  if (len != KEY_FILE_LEN || memcmp(text, KEY_FILE_LABEL, 13) ||
      sodium_hex2bin(secret, 32, (const char *)text + 13, 64, NULL, &got, NULL) || got != 32)
    error = why_fail(why, DUNLIN_EPASS, "%s is not a key file", path);
out:
  sodium_memzero(text, sizeof text);
  return error;
}

/* Creates the key file unless it is there. */
static int key_file_make(const struct dunlin_env *env, const char *path, struct dunlin_why *why) {
  uint8_t secret[32];
  char text[KEY_FILE_LEN + 2];
  int error = key_file_read(path, secret, why);
  if (error != DUNLIN_ENOKEY) goto out;
  error = file_make_parents(path, why);
  if (error) goto out;
  error = env->random(env->ctx, secret, sizeof secret);
  if (error) {
    why_fail(why, error, "the system gives no random bytes");
    goto out;
  }
  memcpy(text, KEY_FILE_LABEL, 13);
  sodium_bin2hex(text + 13, 65, secret, 32);
  text[KEY_FILE_LEN] = '\n';
  error = file_write(path, (struct dunlin_bytes){text, KEY_FILE_LEN + 1}, false, why);
  if (error == DUNLIN_EEXIST) error = key_file_read(path, secret, why); /* somebody was faster: theirs is as good */
out:
  sodium_memzero(secret, sizeof secret);
  sodium_memzero(text, sizeof text);
  return error;
}

/* ---- Wrapping ----------------------------------------------------------------------------------------------- */

/* The kind of key that the caller holds: exactly one. */
static int key_kind(const struct dunlin_store_key *key, struct dunlin_why *why) {
  if (key->passphrase && key->key_file)
    return why_fail(why, DUNLIN_EINVAL, "both a passphrase and a key file were given");
  if (!key->passphrase && !key->key_file)
    return why_fail(why, DUNLIN_ENOKEY, "neither a passphrase nor a key file was given");
  return key->passphrase ? DUNLIN_KEY_PASSPHRASE : DUNLIN_KEY_FILE;
}

/* The key that wraps the store key of this header, whose kind is that of `key`. */
static int wrapping_key(uint8_t out[32], const uint8_t *header, const struct dunlin_store_key *key,
                        struct dunlin_why *why) {
  uint8_t secret[32];
  int error = 0;
  if (get_be32(header + AT_KIND) == DUNLIN_KEY_FILE) {
    error = key_file_read(key->key_file, secret, why);
  } else if (crypto_pwhash(secret, sizeof secret, key->passphrase, key->passphrase_len, header + AT_SALT,
                           get_be32(header + AT_PASSES), (size_t)get_be32(header + AT_MEMORY) * 1024,
                           crypto_pwhash_ALG_ARGON2ID13)) {
    error = why_fail(why, DUNLIN_ENOMEM, "not enough memory to turn the passphrase into a key");
  }
  if (!error) HASH_PARTS(out, 32, secret, "dunlin.wrap.1", {header, AT_NONCE});
  sodium_memzero(secret, sizeof secret);
  return error;
}

static void checksum(uint8_t out[32], const uint8_t *header) {
  HASH_PARTS(out, 32, NULL, "dunlin.store.1", {header, AT_CHECKSUM});
}

static bool costs_valid(uint64_t passes, uint64_t kib) {
  return kib >= MEMORY_MIN_KIB && kib <= MEMORY_MAX_KIB && passes >= 1 && passes <= PASSES_MAX;
}

/* Fills `header` for the vault's id and key, wrapped by `key`. */
static int header_make(uint8_t header[HEADER_LEN], const struct dunlin_env *env, const struct vault *vault,
                       const struct dunlin_store_key *key, uint32_t passes, size_t memory, struct dunlin_why *why) {
  uint8_t wrapping[32];
  int kind = key_kind(key, why);
  if (kind < 0) return kind;
  if (kind == DUNLIN_KEY_PASSPHRASE && (memory % 1024 || !costs_valid(passes, memory / 1024))) return DUNLIN_EINVAL;
  memcpy(header, MAGIC, 8);
  put_be32(header + AT_VERSION, VERSION);
  put_be32(header + AT_KIND, (uint32_t)kind);
  put_be32(header + AT_MEMORY, kind == DUNLIN_KEY_PASSPHRASE ? (uint32_t)(memory / 1024) : 0);
  put_be32(header + AT_PASSES, kind == DUNLIN_KEY_PASSPHRASE ? passes : 0);
  memcpy(header + AT_STORE_ID, vault->store_id, 16);
  int error = env->random(env->ctx, header + AT_SALT, 16);
  if (!error) error = env->random(env->ctx, header + AT_NONCE, 24);
  if (error) return why_fail(why, error, "the system gives no random bytes");
  error = wrapping_key(wrapping, header, key, why);
  if (error) return error;
  crypto_aead_xchacha20poly1305_ietf_encrypt(header + AT_WRAPPED, NULL, vault->key, 32, header, AT_NONCE, NULL,
                                             header + AT_NONCE, wrapping);
  sodium_memzero(wrapping, sizeof wrapping);
  checksum(header + AT_CHECKSUM, header);
  return 0;
}

/* ---- The directory ------------------------------------------------------------------------------------------ */

static int header_path(char out[PATH_MAX], const char *dir, struct dunlin_why *why) {
  int len = snprintf(out, PATH_MAX, "%s/store", dir);
  if (len < 0 || len >= PATH_MAX) return why_fail(why, DUNLIN_EINVAL, "the path of the store is too long");
  return 0;
}

/* Whether an interrupted creation of ours may have left this. */
static bool ours(const char *name) {
  static const char *const names[] = {".", "..", "data.mdb", "lock.mdb", "lease", "wake", "store.tmp"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(name, names[i])) return true;
  return false;
}

/* Why there is no header in `dir`: DUNLIN_ENOSTORE or DUNLIN_ENOTSTORE (or DUNLIN_EIO). */
static int no_header(const char *dir, struct dunlin_why *why) {
  int error = DUNLIN_ENOSTORE;
  DIR *stream = opendir(dir);
  if (!stream && errno == ENOTDIR) return why_fail(why, DUNLIN_ENOTSTORE, "%s is not a directory", dir);
  if (!stream && errno != ENOENT) return why_system(why, "read", dir);
  for (const struct dirent *entry; stream && error == DUNLIN_ENOSTORE && (entry = readdir(stream));)
    if (!ours(entry->d_name)) error = DUNLIN_ENOTSTORE;
  if (stream) closedir(stream);
  if (error == DUNLIN_ENOTSTORE) return why_fail(why, error, "%s holds other things and no store", dir);
  return why_fail(why, error, "there is no store in %s", dir);
}

static int header_damaged(const char *path, struct dunlin_why *why) {
  return why_fail(why, DUNLIN_ECORRUPT, "the store's header %s is damaged", path);
}

/* Reads and checks the header of the store in `dir`; the result is its kind of key. */
static int header_read(uint8_t header[HEADER_LEN], const char *dir, struct dunlin_why *why) {
  char path[PATH_MAX];
  uint8_t file[1024 + 1], sum[32]; /* another version's may be longer than ours */
  size_t len = 0;
  int error = header_path(path, dir, why);
  if (error) return error;
  error = file_read(path, file, sizeof file - 1, &len, why);
  if (error == DUNLIN_ENOENT) return no_header(dir, why);
  if (error == DUNLIN_EKIND) return why_fail(why, DUNLIN_ENOTSTORE, "%s is not a store's header", path);
  if (error) return error;
  if (memcmp(file, MAGIC, len < 8 ? len : 8))
    return why_fail(why, DUNLIN_ENOTSTORE, "%s is not a store's header", path);
  if (len < AT_KIND) return header_damaged(path, why);
  if (get_be32(file + AT_VERSION) != VERSION)
    return why_fail(why, DUNLIN_EVERSION, "the store in %s has version %u, this program knows %d", dir,
                    (unsigned)get_be32(file + AT_VERSION), VERSION);
  if (len != HEADER_LEN) return header_damaged(path, why);
  checksum(sum, file);
  if (memcmp(sum, file + AT_CHECKSUM, sizeof sum)) return header_damaged(path, why);

  uint32_t kind = get_be32(file + AT_KIND), memory = get_be32(file + AT_MEMORY), passes = get_be32(file + AT_PASSES);
  if (kind == DUNLIN_KEY_PASSPHRASE && !costs_valid(passes, memory))
    return why_fail(why, DUNLIN_ECORRUPT,
                    "%s asks for %u MiB of memory and %u passes; 8 to 1024 and 1 to %u are allowed", path,
                    memory / 1024, passes, PASSES_MAX);
  if (kind != DUNLIN_KEY_PASSPHRASE && (kind != DUNLIN_KEY_FILE || memory || passes)) return header_damaged(path, why);
  memcpy(header, file, HEADER_LEN);
  return (int)kind;
}

/* ---- Stores ------------------------------------------------------------------------------------------------- */

int vault_probe(const char *dir, struct dunlin_why *why) {
  uint8_t header[HEADER_LEN];
  return header_read(header, dir, why);
}

int vault_new(const struct dunlin_env *env, const char *dir, const struct dunlin_store_key *key, struct vault *out,
              struct dunlin_why *why) {
  struct vault vault = {0};
  if (sodium_init() < 0) return why_fail(why, DUNLIN_EIO, "libsodium does not start");
  int kind = key_kind(key, why);
  if (kind < 0) return kind;
  if (key->passphrase && !key->passphrase_len) return why_fail(why, DUNLIN_EINVAL, "the passphrase is empty");
  int found = vault_probe(dir, why);
  if (found > 0 || found == DUNLIN_EVERSION || found == DUNLIN_ECORRUPT)
    return why_fail(why, DUNLIN_EEXIST, "%s holds a store already", dir);
  if (found != DUNLIN_ENOSTORE) return found;
  int error = file_make_dirs(dir, why);
  if (error) return error;
  vault.kind = (enum dunlin_key_kind)kind;
  error = env->random(env->ctx, vault.store_id, sizeof vault.store_id);
  if (!error) error = env->random(env->ctx, vault.key, sizeof vault.key);
  if (error) why_fail(why, error, "the system gives no random bytes");
  else *out = vault;
  vault_close(&vault);
  return error;
}

int vault_write(const struct dunlin_env *env, const char *dir, const struct vault *vault,
                const struct dunlin_store_key *key, uint32_t passes, size_t memory, bool replace,
                struct dunlin_why *why) {
  char path[PATH_MAX];
  uint8_t header[HEADER_LEN];
  int error = header_path(path, dir, why);
  if (error) return error;
  if (key->passphrase && !key->passphrase_len) return why_fail(why, DUNLIN_EINVAL, "the passphrase is empty");
  if (key->key_file && !key->passphrase) error = key_file_make(env, key->key_file, why);
  if (!error) error = header_make(header, env, vault, key, passes, memory, why);
  if (!error) error = file_write(path, (struct dunlin_bytes){header, sizeof header}, replace, why);
  return error;
}

int vault_create_with(const struct dunlin_env *env, const char *dir, const struct dunlin_store_key *key,
                      uint32_t passes, size_t memory, struct vault *out, struct dunlin_why *why) {
  struct vault vault;
  int error = vault_new(env, dir, key, &vault, why);
  if (error) return error;
  error = vault_write(env, dir, &vault, key, passes, memory, false, why);
  if (!error) *out = vault;
  vault_close(&vault);
  return error;
}

int vault_create(const struct dunlin_env *env, const char *dir, const struct dunlin_store_key *key, struct vault *out,
                 struct dunlin_why *why) {
  return vault_create_with(env, dir, key, VAULT_PASSES, VAULT_MEMORY, out, why);
}

int vault_rekey(const struct dunlin_env *env, const char *dir, const struct vault *vault,
                const struct dunlin_store_key *key, struct dunlin_why *why) {
  return vault_write(env, dir, vault, key, VAULT_PASSES, VAULT_MEMORY, true, why);
}

int vault_open(const struct dunlin_env *env, const char *dir, const struct dunlin_store_key *key, struct vault *out,
               struct dunlin_why *why) {
  (void)env;
  uint8_t header[HEADER_LEN], wrapping[32];
  if (sodium_init() < 0) return why_fail(why, DUNLIN_EIO, "libsodium does not start");
  int kind = header_read(header, dir, why);
  if (kind < 0) return kind;
  if (key->passphrase && key->key_file) return key_kind(key, why);
  if (kind == DUNLIN_KEY_PASSPHRASE && !key->passphrase)
    return why_fail(why, DUNLIN_ENOKEY, "the store in %s is opened by a passphrase", dir);
  if (kind == DUNLIN_KEY_FILE && !key->key_file)
    return why_fail(why, DUNLIN_ENOKEY, "the store in %s is opened by a key file", dir);
  int error = wrapping_key(wrapping, header, key, why);
  if (error) return error;
  struct vault vault = {.kind = (enum dunlin_key_kind)kind};
  memcpy(vault.store_id, header + AT_STORE_ID, 16);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(vault.key, NULL, NULL, header + AT_WRAPPED, 48, header, AT_NONCE,
                                                 header + AT_NONCE, wrapping))
    error =
        why_fail(why, DUNLIN_EPASS, "%s", key->passphrase ? "wrong passphrase" : "this key file is another store's");
  else *out = vault;
  sodium_memzero(wrapping, sizeof wrapping);
  vault_close(&vault);
  return error;
}

void vault_close(struct vault *vault) {
  sodium_memzero(vault, sizeof *vault);
}

/* ---- Records ------------------------------------------------------------------------------------------------ */

#define NONCE_LEN 24u
#define MAX_TABLE 32u
#define MAX_ASSOCIATED (16u + 1 + MAX_TABLE + VAULT_MAX_RECORD_KEY)
_Static_assert(NONCE_LEN + crypto_aead_xchacha20poly1305_ietf_ABYTES == VAULT_OVERHEAD, "nonce and tag");

/* store id | u8 length of the table's name | that name | the record's key; 0 when something is too long. */
static size_t associated(uint8_t out[MAX_ASSOCIATED], const struct vault *vault, const char *table,
                         struct dunlin_bytes record_key) {
  size_t len = strlen(table);
  if (len > MAX_TABLE || record_key.len > VAULT_MAX_RECORD_KEY) return 0;
  memcpy(out, vault->store_id, 16);
  out[16] = (uint8_t)len;
  memcpy(out + 17, table, len);
  if (record_key.len) memcpy(out + 17 + len, record_key.data, record_key.len);
  return 17 + len + record_key.len;
}

int vault_seal(const struct vault *vault, const struct dunlin_env *env, const char *table,
               struct dunlin_bytes record_key, struct dunlin_bytes plain, struct buf *out) {
  uint8_t ad[MAX_ASSOCIATED], nonce[NONCE_LEN];
  size_t ad_len = associated(ad, vault, table, record_key);
  if (!ad_len) return DUNLIN_EINVAL;
  if (env->random(env->ctx, nonce, sizeof nonce)) return DUNLIN_EIO;
  if (plain.len > SIZE_MAX - VAULT_OVERHEAD) return DUNLIN_ELIMIT;
  uint8_t *at = buf_extend(out, plain.len + VAULT_OVERHEAD);
  if (!at) return out->error;
  memcpy(at, nonce, NONCE_LEN);
  crypto_aead_xchacha20poly1305_ietf_encrypt(at + NONCE_LEN, NULL, plain.data, plain.len, ad, ad_len, NULL, at,
                                             vault->key);
  return 0;
}

int vault_unseal(const struct vault *vault, const char *table, struct dunlin_bytes record_key,
                 struct dunlin_bytes sealed, struct buf *out) {
  uint8_t ad[MAX_ASSOCIATED];
  size_t ad_len = associated(ad, vault, table, record_key);
  if (!ad_len) return DUNLIN_EINVAL;
  if (sealed.len < VAULT_OVERHEAD) return DUNLIN_EAUTH;
  const uint8_t *at = sealed.data;
  size_t len = sealed.len - VAULT_OVERHEAD;
  buf_clear(out);
  if (!buf_extend(out, len ? len : 1)) return out->error; /* never NULL, even for an empty record */
  out->len = len;
  if (!crypto_aead_xchacha20poly1305_ietf_decrypt(out->data, NULL, NULL, at + NONCE_LEN, sealed.len - NONCE_LEN, ad,
                                                  ad_len, at, vault->key))
    return 0;
  buf_clear(out);
  return DUNLIN_EAUTH;
}
