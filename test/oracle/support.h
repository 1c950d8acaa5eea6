/* What the oracle's tests share. */
#ifndef TEST_ORACLE_SUPPORT_H
#define TEST_ORACLE_SUPPORT_H

#include "test/oracle/oracle.h"
#include "test/support/support.h"

/* Of the same document as test_doc(). */
static inline struct oracle *test_oracle(void) {
  struct dunlin_id id = test_id(1);
  return oracle_new(&id);
}

/* Gives the oracle all that the document has, in the document's order. */
static inline void test_feed(struct oracle *oracle, const dunlin_doc *doc) {
  void *delta;
  size_t len;
  OK(dunlin_doc_delta(doc, NULL, 0, &delta, &len));
  OK(oracle_apply(oracle, delta, len));
  dunlin_free(NULL, delta, len);
}

static inline void assert_oracle_hash(const struct oracle *oracle, const struct dunlin_id *expected) {
  struct dunlin_id hash;
  oracle_hash(oracle, &hash);
  assert_memory_equal(&hash, expected, sizeof hash);
}

/* Whether they hold the same changes and show the same. */
static inline void assert_shows_like(const struct oracle *oracle, const dunlin_doc *doc) {
  struct dunlin_id expected;
  OK(dunlin_doc_hash(doc, &expected));
  assert_oracle_hash(oracle, &expected);
}

#endif
