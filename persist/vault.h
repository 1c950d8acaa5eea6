/* The store's key and how it is kept: a header file (`DIR/store`), wrapped by a passphrase or a key file; and the sealing
 * of small local records under it. */
#ifndef PERSIST_VAULT_H
#define PERSIST_VAULT_H

#include <dunlin/store.h>

#include "crdt/buf.h"

struct vault {
  uint8_t store_id[16]; /* random, public */
  uint8_t key[32];      /* the store key: keep in sodium_malloc'ed or wiped memory */
  enum dunlin_key_kind kind;
};

/* Writes DIR/store for a fresh random store key: to a temporary name, fsync, rename, fsync of the directory.  Replaces the
 * header that is there only when `replace` is set (rekey, with the vault's present store id and key), else DUNLIN_EEXIST.
 * A key file that is named and absent is created first (mode 0600, its folder too, mode 0700), in the same careful way. */
int vault_create(const struct dunlin_env *env, const char *dir, const struct dunlin_store_key *key,
                 struct vault *out, struct dunlin_why *why);
int vault_rekey(const struct dunlin_env *env, const char *dir, const struct vault *vault,
                const struct dunlin_store_key *key, struct dunlin_why *why);

/* Which kind of key DIR/store asks for.  DUNLIN_ENOSTORE: no directory, or an empty one.  DUNLIN_ENOTSTORE: other things are
 * there, or the header is not one.  DUNLIN_EVERSION: of another version.  DUNLIN_ECORRUPT: its checksum is wrong. */
int vault_probe(const char *dir, struct dunlin_why *why);

/* Opens.  The above, and DUNLIN_ENOKEY (the other kind of key was given, or none, or the key file is not there), DUNLIN_EPASS. */
int vault_open(const struct dunlin_env *env, const char *dir, const struct dunlin_store_key *key, struct vault *out,
               struct dunlin_why *why);
void vault_close(struct vault *vault); /* wipes */

/* Local records: XChaCha20-Poly1305 with a random nonce, associated data store id | table | key of the record.
 * `table` is a short constant.  VAULT_OVERHEAD bytes are added. */
#define VAULT_OVERHEAD 40u
int vault_seal(const struct vault *vault, const struct dunlin_env *env, const char *table, struct dunlin_bytes record_key,
               struct dunlin_bytes plain, struct buf *out);
int vault_unseal(const struct vault *vault, const char *table, struct dunlin_bytes record_key,
                 struct dunlin_bytes sealed, struct buf *out); /* DUNLIN_EAUTH; replaces what `out` holds */

#endif
