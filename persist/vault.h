/* The store's key and how it is kept: a header file (`DIR/store`), wrapped by a passphrase or a key file; and the
 * sealing of small local records under it. */
#ifndef PERSIST_VAULT_H
#define PERSIST_VAULT_H

#include <dunlin/store.h>

#include "crdt/buf.h"

struct vault {
  uint8_t store_id[16]; /* random, public */
  uint8_t key[32];      /* the store key: keep in sodium_malloc'ed or wiped memory */
  enum dunlin_key_kind kind;
};

/* Makes DIR (when absent) and writes DIR/store for a fresh random store key: to a temporary name, fsync, rename, fsync
 * of the directory.  DUNLIN_EEXIST when a header is there, damaged or of another version included; DUNLIN_ENOTSTORE
 * when DIR holds anything that an interrupted creation does not leave.  A key file that is named and absent is created
 * first (mode 0600, its folder too, mode 0700), in the same careful way; one that is there is used. */
int vault_create(const struct dunlin_env *env, const char *dir, const struct dunlin_store_key *key, struct vault *out,
                 struct dunlin_why *why);
/* Writes the header anew, for the same store id and key, wrapped by another `key`; the caller then sets vault->kind. */
int vault_rekey(const struct dunlin_env *env, const char *dir, const struct vault *vault,
                const struct dunlin_store_key *key, struct dunlin_why *why);

/* The same with other costs of Argon2id (memory in bytes, a multiple of 1024; both are the header's to say and bounded
 * there). */
#define VAULT_PASSES 3u
#define VAULT_MEMORY (64u << 20)
int vault_create_with(const struct dunlin_env *env, const char *dir, const struct dunlin_store_key *key,
                      uint32_t passes, size_t memory, struct vault *out, struct dunlin_why *why);

/* The two halves of vault_create(), for a caller that writes the header last: checks and makes the directory and draws
 * id and key; writes the header, over one that is there only when `replace` is set. */
int vault_new(const struct dunlin_env *env, const char *dir, const struct dunlin_store_key *key, struct vault *out,
              struct dunlin_why *why);
int vault_write(const struct dunlin_env *env, const char *dir, const struct vault *vault,
                const struct dunlin_store_key *key, uint32_t passes, size_t memory, bool replace,
                struct dunlin_why *why);

/* Which kind of key DIR/store asks for.  DUNLIN_ENOSTORE: no directory, or an empty one.  An interrupted creation
 * counts as empty.  DUNLIN_ENOTSTORE: other things are there, or the header is not one.  DUNLIN_EVERSION: of another
 * version.  DUNLIN_ECORRUPT: its checksum or a number in it is wrong. */
int vault_probe(const char *dir, struct dunlin_why *why);

/* Opens.  The above, and DUNLIN_ENOKEY (the other kind of key was given, or none, or the key file is not there),
 * DUNLIN_EPASS. */
int vault_open(const struct dunlin_env *env, const char *dir, const struct dunlin_store_key *key, struct vault *out,
               struct dunlin_why *why);
void vault_close(struct vault *vault); /* wipes */

/* Local records: XChaCha20-Poly1305 with a random nonce, associated data store id | table | key of the record.  `table`
 * is a short constant (at most 32 bytes), the record's key at most VAULT_MAX_RECORD_KEY bytes (else DUNLIN_EINVAL).
 * Sealing appends and adds VAULT_OVERHEAD bytes; unsealing replaces. */
#define VAULT_OVERHEAD 40u
#define VAULT_MAX_RECORD_KEY 1024u
int vault_seal(const struct vault *vault, const struct dunlin_env *env, const char *table,
               struct dunlin_bytes record_key, struct dunlin_bytes plain, struct buf *out);
int vault_unseal(const struct vault *vault, const char *table, struct dunlin_bytes record_key,
                 struct dunlin_bytes sealed, struct buf *out); /* DUNLIN_EAUTH */

#endif
