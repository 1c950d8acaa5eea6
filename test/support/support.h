/* What the tests share: seeded randomness, documents by number, short ways to say "this must work". */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dunlin/history.h>

#include "test/support/rng.h"

/* The call must give 0 (or a count); says which call and which error otherwise. */
#define OK(call)                                                                                                       \
  do {                                                                                                                 \
    int ok_result = (call);                                                                                            \
    if (ok_result < 0) fail_msg("%s: %s", #call, dunlin_error_name(ok_result));                                        \
  } while (0)
#define FAILS(call, expected)                                                                                          \
  do {                                                                                                                 \
    int fails_result = (call);                                                                                         \
    if (fails_result != (expected))                                                                                    \
      fail_msg("%s: %s instead of %s", #call, dunlin_error_name(fails_result), dunlin_error_name(expected));           \
  } while (0)

/* The first seed to try and how many: TEST_SEED=n runs that one alone, TEST_FIRST=n begins there. */
static inline uint64_t seed_first(void) {
  const char *seed = getenv("TEST_SEED"), *first = getenv("TEST_FIRST");
  if (seed) return strtoull(seed, NULL, 10);
  return first ? strtoull(first, NULL, 10) : 1;
}
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { test_is_sanitized = true };
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { test_is_sanitized = true };
#else
enum { test_is_sanitized = false };
#endif
#else
enum { test_is_sanitized = false };
#endif

/* Under the sanitizers a tenth of the usual number. */
static inline uint64_t seed_count(uint64_t usual) {
  const char *runs = getenv("TEST_RUNS");
  if (getenv("TEST_SEED")) return 1;
  if (test_is_sanitized && usual >= 1000) usual /= 10;
  return runs ? strtoull(runs, NULL, 10) : usual;
}

static inline struct dunlin_id test_id(uint8_t n) {
  return (struct dunlin_id){{n}};
}
/* Document number 1 with the actor whose bytes begin with `actor`. */
static inline dunlin_doc *test_doc(uint8_t actor) {
  dunlin_doc *doc = NULL;
  struct dunlin_id id = test_id(1);
  struct dunlin_actor a = {{actor}};
  OK(dunlin_doc_new(NULL, &id, &a, &doc));
  return doc;
}

static inline struct dunlin_value int_value(int64_t v) {
  return dunlin_int(v);
}
static inline struct dunlin_value str_value(const char *s) {
  return dunlin_string(s);
}
#define KEY(s) (s), strlen(s)

/* Everything that `from` has goes to `to`. */
static inline struct dunlin_applied test_send(dunlin_doc *from, dunlin_doc *to) {
  size_t count, len;
  const struct dunlin_id *since;
  void *delta = NULL;
  struct dunlin_applied applied;
  OK(dunlin_doc_have(to, &since, &count));
  OK(dunlin_doc_delta(from, since, count, &delta, &len));
  OK(dunlin_doc_apply(to, delta, len, &applied));
  dunlin_free(NULL, delta, len);
  return applied;
}
static inline void test_sync(dunlin_doc *a, dunlin_doc *b) {
  test_send(a, b);
  test_send(b, a);
}

static inline void assert_same_doc(const dunlin_doc *a, const dunlin_doc *b) {
  struct dunlin_id x, y;
  OK(dunlin_doc_hash(a, &x));
  OK(dunlin_doc_hash(b, &y));
  assert_memory_equal(&x, &y, sizeof x);
}

static inline void assert_text(const dunlin_doc *doc, dunlin_obj text, const char *expected) {
  char got[4096];
  size_t len = dunlin_text_read(doc, text, got, sizeof got - 1);
  assert_true(len < sizeof got);
  got[len] = 0;
  assert_string_equal(got, expected);
}

#endif
