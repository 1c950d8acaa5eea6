/* Spaces: documents shared by a set of devices.  In this version the device that makes a space is its owner, and
 * only the owner invites; those invited write. */
#ifndef DUNLIN_SPACE_H
#define DUNLIN_SPACE_H

#include <dunlin/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a space with this device as its owner.  `alias` is this store's own name for it, at most DUNLIN_MAX_NAME bytes
 * of UTF-8 (DUNLIN_EEXIST when taken). */
DUNLIN_API DUNLIN_MUST_USE int dunlin_space_new(dunlin_store *store, const char *alias, struct dunlin_id *out);

struct dunlin_space_info {
  struct dunlin_id id;
  char alias[DUNLIN_MAX_NAME + 1];
  size_t members;
  bool owner;
};
/* Space `i` in the order of aliases.  DUNLIN_ENOENT past the last. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_space_at(dunlin_store *store, size_t i, struct dunlin_space_info *out);
/* The space with that alias, or whose id in hexadecimal begins so (at least 4 digits).  DUNLIN_ENOENT; DUNLIN_EINVAL
 * when several do. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_space_find(dunlin_store *store, const char *alias_or_prefix,
                                                 struct dunlin_id *out);

enum dunlin_role { DUNLIN_OWNER = 1, DUNLIN_WRITER = 2 };
struct dunlin_member {
  struct dunlin_id device;
  char name[DUNLIN_MAX_NAME + 1];
  enum dunlin_role role;
  bool self;
};
/* Member `i` of a space, the owner first.  DUNLIN_ENOENT past the last, and when there is no such space. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_space_member(dunlin_store *store, const struct dunlin_id *space, size_t i,
                                                   struct dunlin_member *out);

/* ---- Invitations -------------------------------------------------------------------------------------------- */

/* An invitation is one line of text, good for one device, until it expires.  Whoever holds it can join: hand it over
 * as you would a password. */

#define DUNLIN_INVITATION_MAX 512u /* bytes, with the NUL */

/* Makes an invitation of this store's device to `space`; `address` (HOST:PORT) is where a node of this store will
 * listen; it expires `valid_us` microseconds from now.  It is stored before this returns.  DUNLIN_EPERM when this
 * device is not the owner. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_invite(dunlin_store *store, const struct dunlin_id *space, const char *address,
                                             int64_t valid_us, char line[DUNLIN_INVITATION_MAX]);

struct dunlin_invitation {
  char address[DUNLIN_MAX_NAME + 1];
  struct dunlin_id device; /* of the inviting device */
  uint8_t secret[32];
  int64_t expires; /* microseconds since 1970 */
};
/* Reads a line (white space around it is ignored).  DUNLIN_EINVITE. Does not look at the expiry. */
DUNLIN_API DUNLIN_MUST_USE int dunlin_invitation_parse(const char *line, size_t len, struct dunlin_invitation *out);

#ifdef __cplusplus
}
#endif
#endif
