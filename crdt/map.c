#include "crdt/map.h"

#include <stdlib.h>
#include <string.h>

void map_init(struct map *map, const struct dunlin_env *env, uint64_t seed) {
  *map = (struct map){.env = env, .seed = seed};
}

void map_free(struct map *map) {
  for (size_t i = 0; i < map->count; i++) {
    reg_free(&map->entries[i].reg, map->env);
  }
  while (map->blocks) {
    struct map_block *block = map->blocks;
    map->blocks = block->next;
    env_free(map->env, block, sizeof *block + block->cap);
  }
  ENV_FREE_ARRAY(map->env, map->entries, map->cap);
  ENV_FREE_ARRAY(map->env, map->slots, map->slot_cap);
  ENV_FREE_ARRAY(map->env, map->sorted, map->sorted_cap);
}

static bool same_key(struct dunlin_bytes a, struct dunlin_bytes b) {
  return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

static uint64_t hash_of(const struct map *map, struct dunlin_bytes key) {
  return mix_bytes(map->seed, key.data, key.len);
}

static uint32_t tag_of(uint64_t hash) {
  return (uint32_t)(hash >> 32);
}

/* The slot of the key, or the free one where it would go. */
static struct map_slot *find_slot(const struct map *map, struct dunlin_bytes key, uint64_t hash) {
  size_t at = (size_t)hash & (map->slot_cap - 1);
  for (;; at = (at + 1) & (map->slot_cap - 1)) {
    struct map_slot *slot = &map->slots[at];
    if (!slot->entry || (slot->tag == tag_of(hash) && same_key(map_key(&map->entries[slot->entry - 1]), key)))
      return slot;
  }
}

/* Puts an entry that is not there into the first free slot. */
static void put_slot(struct map *map, uint64_t hash, uint32_t entry) {
  size_t at = (size_t)hash & (map->slot_cap - 1);
  while (map->slots[at].entry) at = (at + 1) & (map->slot_cap - 1);
  map->slots[at] = (struct map_slot){entry + 1, tag_of(hash)};
}

struct map_entry *map_find(const struct map *map, struct dunlin_bytes key) {
  if (!map->slot_cap) return NULL;
  uint32_t entry = find_slot(map, key, hash_of(map, key))->entry;
  return entry ? &map->entries[entry - 1] : NULL;
}

static int grow_slots(struct map *map, size_t need) {
  size_t cap = map->slot_cap ? map->slot_cap * 2 : 16;
  while (need * 2 > cap) cap *= 2;
  struct map_slot *slots = env_calloc(map->env, cap, sizeof *slots);
  if (!slots) return DUNLIN_ENOMEM;
  ENV_FREE_ARRAY(map->env, map->slots, map->slot_cap);
  map->slots = slots;
  map->slot_cap = cap;
  for (size_t i = 0; i < map->count; i++) put_slot(map, hash_of(map, map_key(&map->entries[i])), (uint32_t)i);
  return 0;
}

int map_reserve(struct map *map, size_t count) {
  if (ENV_GROW(map->env, map->entries, map->cap, count)) return DUNLIN_ENOMEM;
  return count * 2 > map->slot_cap ? grow_slots(map, count) : 0; /* half of them: few steps */
}

uint32_t map_entry_of(struct map *map, struct dunlin_bytes key, uint32_t guess) {
  if (guess == UINT32_MAX && map->in_turn) guess = map->last + 1;
  if (guess >= map->count || !same_key(map_key(&map->entries[guess]), key)) {
    const struct map_entry *found = map_find(map, key);
    guess = found ? (uint32_t)(found - map->entries) : map_append(map, key);
  }
  map->in_turn = guess == map->last + 1;
  map->last = guess;
  return guess;
}

/* Room for a key's bytes; NULL when out of memory. */
static uint8_t *key_room(struct map *map, size_t len) {
  enum { least = 64, most = 4096 };
  struct map_block *first = map->blocks;
  if (!first || first->cap - first->used < len) {
    size_t cap = first && 2 * first->cap < most ? 2 * first->cap : first ? most : least;
    if (cap < len) cap = len;
    struct map_block *block = env_alloc(map->env, sizeof *block + cap);
    if (!block) return NULL;
    *block = (struct map_block){.next = first, .cap = cap};
    first = map->blocks = block;
  }
  first->used += len;
  return first->bytes + first->used - len;
}

/* `far`: where the bytes of a longer key lie for good; NULL: nowhere yet. */
static uint32_t append(struct map *map, struct dunlin_bytes key, const uint8_t *far) {
  uint8_t near[KEY_NEAR];
  if (key.len && key.len <= KEY_NEAR)
    key.data = memcpy(near, key.data, key.len); /* it may lie in an entry, which moves */
  if (map->count >= UINT32_MAX - 1 || map_reserve(map, map->count + 1)) return UINT32_MAX;
  struct map_entry *entry = &map->entries[map->count];
  uint8_t *copy = key.len <= KEY_NEAR ? entry->key.near.bytes : far ? NULL : key_room(map, key.len);
  if (!copy && !far) return UINT32_MAX;
  *entry = (struct map_entry){.key.len = (uint32_t)key.len, .generation = -1};
  if (copy && key.len) memcpy(copy, key.data, key.len);
  if (key.len > KEY_NEAR) entry->key.far.bytes = copy ? copy : far;
  put_slot(map, hash_of(map, key), (uint32_t)map->count);
  return (uint32_t)map->count++;
}

uint32_t map_append(struct map *map, struct dunlin_bytes key) {
  return append(map, key, NULL);
}

uint32_t map_append_kept(struct map *map, struct dunlin_bytes key) {
  return append(map, key, key.data);
}

void map_changed(struct map *map, bool was_live, bool is_live) {
  if (was_live == is_live) return;
  map->live += is_live;
  map->live -= was_live;
  map->is_sorted = false;
}

static int by_key(const void *a, const void *b) {
  const struct map_entry *x = *(const struct map_entry *const *)a, *y = *(const struct map_entry *const *)b;
  return key_compare(map_key(x), map_key(y));
}

static int sort_live(struct map *map) {
  const struct map_entry **live = env_alloc(map->env, map->count * sizeof *live);
  int error = live ? ENV_GROW(map->env, map->sorted, map->sorted_cap, map->count) : DUNLIN_ENOMEM;
  size_t count = 0;
  for (size_t i = 0; !error && i < map->count; i++)
    if (map->entries[i].reg.count) live[count++] = &map->entries[i];
  if (!error && count) qsort(live, count, sizeof *live, by_key);
  for (size_t i = 0; !error && i < count; i++) map->sorted[i] = (uint32_t)(live[i] - map->entries);
  env_free(map->env, live, map->count * sizeof *live);
  if (error) return error;
  map->is_sorted = true;
  return 0;
}

const struct map_entry *map_nth(struct map *map, size_t i) {
  if (!map->is_sorted && sort_live(map)) return NULL;
  return i < map->live ? &map->entries[map->sorted[i]] : NULL;
}

int map_check(const struct map *map) {
  size_t live = 0;
  for (size_t i = 0; i < map->count; i++) {
    const struct map_entry *entry = &map->entries[i];
    live += entry->reg.count != 0;
    if (map_find(map, map_key(entry)) != entry || (entry->reg.cap && entry->reg.count > entry->reg.cap))
      return DUNLIN_ECORRUPT;
  }
  if (live != map->live) return DUNLIN_ECORRUPT;
  for (size_t i = 0; map->is_sorted && i < live; i++) {
    const struct map_entry *entry = &map->entries[map->sorted[i]],
                           *next = &map->entries[map->sorted[i + (i + 1 < live)]];
    if (!entry->reg.count || (entry != next && by_key(&entry, &next) >= 0)) return DUNLIN_ECORRUPT;
  }
  return 0;
}
