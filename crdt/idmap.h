/* A hash table from 32-byte ids to numbers.  Ids may be chosen by others, so that a secret seed places them. */
#ifndef CRDT_IDMAP_H
#define CRDT_IDMAP_H

#include "crdt/env.h"

#define IDMAP_NONE UINT32_MAX

struct idmap {
  struct idmap_slot {
    struct dunlin_id id;
    uint32_t value; /* IDMAP_NONE: free */
  } * slots;
  size_t cap, used; /* cap: 0 or a power of two */
  uint64_t seed;    /* the owner sets it while the table is empty; idmap_free() leaves it */
};

void idmap_free(struct idmap *map, const struct dunlin_env *env);
uint32_t idmap_get(const struct idmap *map, const struct dunlin_id *id); /* IDMAP_NONE when absent */
/* Sets; 0 or DUNLIN_ENOMEM. `value` is not IDMAP_NONE. */
int idmap_put(struct idmap *map, const struct dunlin_env *env, const struct dunlin_id *id, uint32_t value);
void idmap_remove(struct idmap *map, const struct dunlin_id *id);

#endif
