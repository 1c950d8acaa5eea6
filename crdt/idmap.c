#include "crdt/idmap.h"

#include "crdt/mix.h"

void idmap_free(struct idmap *map, const struct dunlin_env *env) {
  ENV_FREE_ARRAY(env, map->slots, map->cap);
  *map = (struct idmap){.seed = map->seed};
}

/* The slot that holds `id`, or the free one where it would go.  There is always a free one. */
static size_t find(const struct idmap *map, const struct dunlin_id *id) {
  size_t at = (size_t)mix_bytes(map->seed, id->bytes, sizeof id->bytes) & (map->cap - 1);
  while (map->slots[at].value != IDMAP_NONE && id_compare(&map->slots[at].id, id) != 0) at = (at + 1) & (map->cap - 1);
  return at;
}

uint32_t idmap_get(const struct idmap *map, const struct dunlin_id *id) {
  return map->cap ? map->slots[find(map, id)].value : IDMAP_NONE;
}

static int grow(struct idmap *map, const struct dunlin_env *env) {
  struct idmap old = *map;
  size_t cap = old.cap ? old.cap * 2 : 16;
  struct idmap_slot *slots = cap > SIZE_MAX / sizeof *slots ? NULL : env_alloc(env, cap * sizeof *slots);
  if (!slots) return DUNLIN_ENOMEM;
  for (size_t i = 0; i < cap; i++) slots[i].value = IDMAP_NONE;
  map->slots = slots;
  map->cap = cap;
  for (size_t i = 0; i < old.cap; i++)
    if (old.slots[i].value != IDMAP_NONE) map->slots[find(map, &old.slots[i].id)] = old.slots[i];
  ENV_FREE_ARRAY(env, old.slots, old.cap);
  return 0;
}

int idmap_put(struct idmap *map, const struct dunlin_env *env, const struct dunlin_id *id, uint32_t value) {
  if ((map->used + 1) * 4 > map->cap * 3) {
    int error = grow(map, env);
    if (error) return error;
  }
  struct idmap_slot *slot = &map->slots[find(map, id)];
  if (slot->value == IDMAP_NONE) map->used++;
  *slot = (struct idmap_slot){*id, value};
  return 0;
}

void idmap_remove(struct idmap *map, const struct dunlin_id *id) {
  if (!map->cap) return;
  size_t at = find(map, id);
  if (map->slots[at].value == IDMAP_NONE) return;
  map->slots[at].value = IDMAP_NONE;
  map->used--;
  /* Put what follows in the same cluster where it now belongs, so that no search stops short of it. */
  for (size_t i = (at + 1) & (map->cap - 1); map->slots[i].value != IDMAP_NONE; i = (i + 1) & (map->cap - 1)) {
    struct idmap_slot moved = map->slots[i];
    map->slots[i].value = IDMAP_NONE;
    map->slots[find(map, &moved.id)] = moved;
  }
}
