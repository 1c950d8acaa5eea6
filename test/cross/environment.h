/* An environment that needs nothing but the C library.  Also the default one, where persist/ is not linked. */
#ifndef TEST_CROSS_ENVIRONMENT_H
#define TEST_CROSS_ENVIRONMENT_H

#include <dunlin/dunlin.h>

const struct dunlin_env *cross_env(void);
void cross_hash(void *ctx, const char *label, const struct dunlin_bytes *parts, size_t count, uint8_t out[32]);
/* The seed of what it gives for randomness, which nothing that comes out may depend on. */
void cross_random(uint64_t seed);

#endif
