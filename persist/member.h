/* A space as membership operations make it: who is in it, with which keys.
 *
 *   op       msgpack [1, parents, author, noise key, contact key, name, random]          create: the first, no parents
 *            msgpack [2, parents, author, device, noise key, contact key, name, role]    grant: by the owner, role 2
 *            parents: bin, ids of operations, 32 bytes each, sorted; name: str; random: bin16; the rest but role: bin32
 *   id       H256("dunlin.member.1", op)
 *   sig      Ed25519 by the author over "dunlin member 1" | space id (create: zeros) | op
 *   space id the id of its create, which also names its only epoch
 *
 * The members are the author of the create, who is the owner, and every device that was granted a role; the first grant
 * of a device that a replica sees counts, later ones of it change nothing.  Heads are the operations that no other
 * names as parent. */
#ifndef PERSIST_MEMBER_H
#define PERSIST_MEMBER_H

#include <dunlin/space.h>

#include "crdt/msgpack.h"
#include "persist/exchange.h"
#include "persist/seal.h"

/* This store's device with its secrets. */
struct device {
  uint8_t sign_secret[64]; /* Ed25519; the last 32 bytes are the public key */
  uint8_t noise_secret[32];
  struct exchange_device self;
};

struct member {
  struct exchange_device device;
  enum dunlin_role role;
};

struct member_op {
  struct dunlin_id id;
  uint8_t *bytes;
  size_t len;
  uint8_t signature[64];
  bool head; /* no other operation names it */
};

struct space {
  const struct dunlin_env *env;
  struct dunlin_id id;
  char alias[DUNLIN_MAX_NAME + 1];
  struct space_keys keys;
  struct member_op *ops; /* parents before children */
  size_t op_count, op_cap;
  struct member *members; /* the owner first */
  size_t member_count, member_cap;
};

/* At most as many operations as devices, four times over: room for grants that two processes made of one device. */
#define SPACE_MAX_OPS (4 * DUNLIN_MAX_MEMBERS)
#define SPACE_MAX_BYTES (1024u * 1024) /* of a space as bytes */

void space_free(struct space *space); /* wipes its keys */

/* A new space of which `device` is the owner. */
int space_create(const struct dunlin_env *env, const struct device *device, const char *alias, struct space **out);
/* Makes `guest` a writer.  1, or 0 when it is a member already.  DUNLIN_EPERM: `device` is not the owner. */
int space_grant(struct space *space, const struct device *device, const struct exchange_device *guest);

/* A space as bytes, its keys included: the record and the welcome.  msgpack [alias, routing key, epoch, epoch key,
 * ops]. */
void space_write(const struct space *space, struct buf *out);
/* `check`: verifies signatures; not needed for what this store has sealed itself. */
int space_read(const struct dunlin_env *env, struct dunlin_bytes bytes, bool check, struct space **out);

/* The operations alone: msgpack array of [op bin, sig bin64].  Reading adds those that are new and returns how many.
 * On an error, DUNLIN_EFORMAT, DUNLIN_EAUTH, DUNLIN_ENOENT (unknown parent), DUNLIN_ELIMIT, those before it may have
 * been added. */
void space_write_ops(const struct space *space, struct buf *out);
int space_read_ops(struct space *space, struct dunlin_bytes message, bool check);

const struct member *space_member(const struct space *space, const struct dunlin_id *device); /* NULL */
bool space_has_op(const struct space *space, const uint8_t id[32]);
/* Writes the heads, sorted, to `out` (RUN_MAX_HEADS x 32 bytes) and returns their length in bytes. */
size_t space_heads(const struct space *space, uint8_t *out);
struct dunlin_id space_ops_hash(const struct space *space);

/* Whether the text can be a name: 1 to 255 bytes of valid UTF-8 without control characters. */
bool name_valid(const char *name, size_t len);

#endif
