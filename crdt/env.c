#include "crdt/env.h"

#include <string.h>

const struct dunlin_env *env_or_default(const struct dunlin_env *env) {
  return env ? env : dunlin_env_default();
}

void *env_alloc(const struct dunlin_env *env, size_t size) {
  return env->realloc(env->ctx, NULL, 0, size ? size : 1);
}

void *env_calloc(const struct dunlin_env *env, size_t count, size_t size) {
  if (size && count > SIZE_MAX / size) return NULL;
  void *ptr = env_alloc(env, count * size);
  if (ptr) memset(ptr, 0, count * size);
  return ptr;
}

void env_free(const struct dunlin_env *env, void *ptr, size_t size) {
  if (ptr) env->realloc(env->ctx, ptr, size ? size : 1, 0);
}

int env_grow(const struct dunlin_env *env, void **array, size_t *cap, size_t need, size_t size) {
  size_t cap_new = *cap + *cap / 2;
  if (cap_new < need) cap_new = need;
  if (cap_new < 8) cap_new = 8;
  if (cap_new > SIZE_MAX / size) return DUNLIN_ENOMEM;
  void *grown = env->realloc(env->ctx, *array, *cap * size, cap_new * size);
  if (!grown) return DUNLIN_ENOMEM;
  *array = grown;
  *cap = cap_new;
  return 0;
}

struct dunlin_id env_hash(const struct dunlin_env *env, const char *label, const struct dunlin_bytes *parts,
                          size_t count) {
  struct dunlin_id id;
  env->hash(env->ctx, label, parts, count, id.bytes);
  return id;
}

void dunlin_free(const struct dunlin_env *env, void *data, size_t len) {
  env_free(env_or_default(env), data, len);
}
