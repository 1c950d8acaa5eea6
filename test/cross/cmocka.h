/* What test/support/support.h and test/crdt/program.c need of cmocka, for builds for a machine that has none. */
#ifndef TEST_CROSS_CMOCKA_H
#define TEST_CROSS_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>

#define fail_msg(...) (fprintf(stderr, __VA_ARGS__), fprintf(stderr, "\n%s:%d\n", __FILE__, __LINE__), abort())
#define assert_true(what) ((what) ? (void)0 : fail_msg("%s", #what))
#define assert_non_null(what) assert_true(what)
#define assert_memory_equal(a, b, len) assert_true(!memcmp((a), (b), (len)))
#define assert_string_equal(a, b) assert_true(!strcmp((a), (b)))

#endif
