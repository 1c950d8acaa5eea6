/* The keys of a map container: a hash table of registers, and the live keys in byte order for those who iterate. */
#ifndef CRDT_MAP_H
#define CRDT_MAP_H

#include "crdt/mix.h"
#include "crdt/register.h"

/* So long a key lies in its entry: in a large map each line of memory that is looked at takes its time.  (Entries are
 * 72 bytes then; with 64, merging writes of 10 000 keys took 5 % longer.) */
enum { KEY_NEAR = 20 };

union map_key {
  uint32_t len;
  struct {
    uint32_t len;
    uint8_t bytes[KEY_NEAR];
  } near;
  struct {
    uint32_t len;
    const uint8_t *bytes; /* in a block of the map */
  } far;
};

struct map_entry {
  union map_key key;
  struct reg reg;
  int64_t generation; /* the highest of any child ever created at this key; -1 */
};

/* Borrowed: entries move when one is added. */
static inline struct dunlin_bytes map_key(const struct map_entry *entry) {
  return (struct dunlin_bytes){entry->key.len > KEY_NEAR ? entry->key.far.bytes : entry->key.near.bytes,
                               entry->key.len};
}

/* Byte order. */
static inline int key_compare(struct dunlin_bytes a, struct dunlin_bytes b) {
  size_t shorter = a.len < b.len ? a.len : b.len;
  int order = shorter ? __builtin_memcmp(a.data, b.data, shorter) : 0;
  return order ? order : (a.len > b.len) - (a.len < b.len);
}

struct map_slot {
  uint32_t entry; /* + 1; 0 is free */
  uint32_t tag;   /* of the key's hash: keys are looked at when it is the same */
};

/* Bytes of longer keys; they stay until the map goes. */
struct map_block {
  struct map_block *next;
  size_t used, cap;
  uint8_t bytes[];
};

struct map {
  const struct dunlin_env *env;
  uint64_t seed;             /* of the hash */
  struct map_entry *entries; /* never removed: `generation` outlives the key */
  size_t count, cap;
  uint32_t last; /* the entry that was asked for last */
  bool in_turn;  /* and it came behind the one before: devices that write the same keys tend to do so in one order */
  struct map_slot *slots;
  size_t slot_cap;
  struct map_block *blocks; /* the one that is filled first */
  size_t live;              /* how many entries have writes */
  uint32_t *sorted;         /* those in byte order, valid while `is_sorted` */
  size_t sorted_cap;
  bool is_sorted;
};

void map_init(struct map *map, const struct dunlin_env *env, uint64_t seed);
void map_free(struct map *map);

/* The entry of a key, NULL when it never was written.  Entries move when one is added: keep numbers, not pointers. */
struct map_entry *map_find(const struct map *map, struct dunlin_bytes key);
/* The number of the key's entry, added when absent; `guess` (UINT32_MAX: none) is looked at first.  UINT32_MAX when out
 * of memory. */
uint32_t map_entry_of(struct map *map, struct dunlin_bytes key, uint32_t guess);
/* Adds a key that is not there. */
uint32_t map_append(struct map *map, struct dunlin_bytes key); /* `key` may be part of another of this map */
uint32_t map_append_kept(struct map *map,
                         struct dunlin_bytes key); /* its bytes stay where they are for as long as the map */
/* Makes room for so many entries in all.  DUNLIN_ENOMEM. */
int map_reserve(struct map *map, size_t count);
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
