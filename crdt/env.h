/* The environment as the engines use it: allocation with sizes, and the hash. */
#ifndef CRDT_ENV_H
#define CRDT_ENV_H

#include <dunlin/dunlin.h>

/* NULL stands for the default environment everywhere. */
const struct dunlin_env *env_or_default(const struct dunlin_env *env);

void *env_alloc(const struct dunlin_env *env, size_t size);                /* NULL when out of memory; size 0 is 1 */
void *env_calloc(const struct dunlin_env *env, size_t count, size_t size); /* zeroed; checks the product */
void env_free(const struct dunlin_env *env, void *ptr, size_t size);       /* NULL is a no-op */

/* Makes room for `need` elements of `size` bytes in the array `*array` of capacity `*cap`, growing by half.
 * 0 or DUNLIN_ENOMEM (array untouched).  Use the macro. */
int env_grow(const struct dunlin_env *env, void **array, size_t *cap, size_t need, size_t size);
#define ENV_GROW(env, array, cap, need)                                                                                \
  ((need) <= (cap) ? 0 : env_grow((env), (void **)&(array), &(cap), (need), sizeof *(array)))
#define ENV_FREE_ARRAY(env, array, cap) env_free((env), (array), (cap) * sizeof *(array))

struct dunlin_id env_hash(const struct dunlin_env *env, const char *label, const struct dunlin_bytes *parts,
                          size_t count);

static inline int id_compare(const struct dunlin_id *a, const struct dunlin_id *b) {
  return __builtin_memcmp(a->bytes, b->bytes, sizeof a->bytes);
}
static inline int actor_compare(const struct dunlin_actor *a, const struct dunlin_actor *b) {
  return __builtin_memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

#endif
