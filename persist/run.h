/* A run's data: what is sealed.
 *
 *   data   = msgpack array of groups, at least one
 *   group  = [document id bin32, membership heads bin (32 bytes each, sorted), delta bin]
 *
 * A group is consecutive entries of one document with the same heads; its delta holds their changes in the order of the
 * entries.  Nothing else is needed to compute the chain. */
#ifndef PERSIST_RUN_H
#define PERSIST_RUN_H

#include "crdt/change.h"
#include "persist/seal.h"

/* Membership heads of one entry.  64 is far above what one owner's grants from a few processes can leave apart. */
#define RUN_MAX_HEADS 64u

/* A run is cut when its data would pass this: half of what may be sealed, so that one small loss costs little to send
 * again.  A change that is larger has a run of its own. */
#define RUN_TARGET (512u * 1024)

struct run_entry {
  struct dunlin_id doc;
  struct change_id_bytes change;
  const uint8_t *heads; /* sorted */
  size_t heads_len;
};

/* Writes the data of `count` entries and moves `*tip`, the chain value before the first, to that of the last. */
int run_write(struct buf *out, const struct run_entry *entries, size_t count, struct dunlin_id *tip);

struct run_group {
  struct dunlin_id doc;
  const uint8_t *heads;
  size_t heads_len;
  struct dunlin_bytes delta;
};

/* Hands out the groups, checked for form (not the deltas).  A result other than 0 ends the reading with it. */
typedef int run_each_group(void *ctx, const struct run_group *group);
int run_groups(struct dunlin_bytes data, run_each_group *each, void *ctx);

/* Moves `*tip` over all entries, and counts them.  Checks every byte of every delta.  DUNLIN_EFORMAT, DUNLIN_ELIMIT.
 * With `actor`, a change that names another actor gives DUNLIN_EAUTH (one that names none is the document's to
 * judge). */
int run_chain(const struct dunlin_env *env, struct dunlin_bytes data, const struct dunlin_actor *actor,
              struct dunlin_id *tip, uint64_t *count);

/* Hands out the chain value of every entry in turn, `before` being the one before the first.  A result other than 0
 * ends it. */
typedef int run_each_entry(void *ctx, const struct dunlin_id *entry);
int run_entries(const struct dunlin_env *env, struct dunlin_bytes data, const struct dunlin_id *before,
                run_each_entry *each, void *ctx);

#endif
