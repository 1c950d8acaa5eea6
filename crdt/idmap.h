/* A hash table from 32-byte ids to numbers.  Ids are hashes already, so their own bytes place them. */
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
};

void idmap_free(struct idmap *map, const struct dunlin_env *env);
uint32_t idmap_get(const struct idmap *map, const struct dunlin_id *id); /* IDMAP_NONE when absent */
/* Sets; 0 or DUNLIN_ENOMEM. `value` is not IDMAP_NONE. */
int idmap_put(struct idmap *map, const struct dunlin_env *env, const struct dunlin_id *id, uint32_t value);
void idmap_remove(struct idmap *map, const struct dunlin_id *id);

#endif
