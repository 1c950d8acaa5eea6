/* The keys of a map container: a hash table of registers, and the live keys in byte order for those who iterate. */
#ifndef CRDT_MAP_H
#define CRDT_MAP_H

#include "crdt/register.h"

struct map_entry {
  struct dunlin_bytes key; /* owned */
  struct reg reg;
  int64_t generation; /* the highest of any child ever created at this key; -1 */
};

struct map {
  const struct dunlin_env *env;
  uint64_t seed;             /* of the hash, so that nobody can prepare keys that collide */
  struct map_entry *entries; /* never removed: `generation` outlives the key */
  size_t count, cap;
  uint32_t *slots; /* entry + 1; 0 is free */
  size_t slot_cap;
  size_t live;      /* how many entries have writes */
  uint32_t *sorted; /* those in byte order, valid while `is_sorted` */
  size_t sorted_cap;
  bool is_sorted;
};

void map_init(struct map *map, const struct dunlin_env *env, uint64_t seed);
void map_free(struct map *map);

/* The entry of a key, NULL when it never was written.  Entries move when one is added: keep numbers, not pointers. */
struct map_entry *map_find(const struct map *map, struct dunlin_bytes key);
/* The number of the key's entry, added when absent; `guess` is looked at first.  UINT32_MAX when out of memory. */
uint32_t map_entry_of(struct map *map, struct dunlin_bytes key, uint32_t guess);
/* To be called when writes were added to or removed from a register of the map: whether it had any before, and now. */
void map_changed(struct map *map, bool was_live, bool is_live);

static inline size_t map_size(const struct map *map) {
  return map->live;
}
/* 0, or DUNLIN_ECORRUPT when something in it contradicts itself. */
int map_check(const struct map *map);
/* Live entry `i` in byte order of keys; NULL past the last or when out of memory. */
const struct map_entry *map_nth(struct map *map, size_t i);

#endif
