/* Anchors where no application puts them: on other anchors, with characters between, by several authors at once.
 * Anybody can write such changes, and all must end with one order: the oracle's. */
#include "test/crdt/program.h"

#include "test/oracle/support.h"
#include "test/support/changes.h"
#include "test/support/raw.h"

enum { authors_max = 4 };

static dunlin_obj text_of(dunlin_doc *doc) {
  return dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
}

/* What all begin with. */
static dunlin_doc *written(const char *text) {
  dunlin_doc *doc = test_doc(1);
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, text_of(doc), 0, 0, text, strlen(text)));
  OK(dunlin_commit(doc, 0, NULL));
  return doc;
}

static dunlin_doc *copy_for(dunlin_doc *from, uint8_t actor) {
  dunlin_doc *doc = test_doc(actor);
  test_send(from, doc);
  return doc;
}

/* All changes one by one to a new document, in an order in which they can come: it shows what the oracle does. */
static void assert_in_any_order(dunlin_doc *doc, struct rng *rng, size_t times) {
  struct oracle *oracle = test_oracle();
  test_feed(oracle, doc);
  assert_shows_like(oracle, doc);
  for (; times; times--) {
    dunlin_doc *other = test_doc(200);
    struct pieces p = pieces_of(doc);
    pieces_shuffle(&p, rng);
    for (size_t i = 0; i < p.count; i++) give_change(other, &p.changes[i]);
    assert_shows_like(oracle, other);
    OK(doc_check(other, true));
    pieces_free(&p);
    dunlin_doc_free(other);
  }
  oracle_free(oracle);
}

/* Two anchors hang on one that is there before the ")".  The author of one has typed behind his: that character stands
 * right before the anchor, and yet hangs on nothing that would say that there is a sibling. */
static void a_character_behind_an_anchor_hides_no_sibling(void **state) {
  (void)state;
  for (uint8_t first = 2; first <= 3; first++) {
    struct rng rng = rng_of(first);
    dunlin_doc *base = written("()"), *meanwhile = copy_for(base, 9);
    OK(dunlin_begin(meanwhile)); /* so that what is there before the ")" is known to be an anchor */
    apply_letter(meanwhile, text_of(meanwhile), OP_TEXT_INSERT, 0, 'm');
    OK(dunlin_commit(meanwhile, 0, NULL));
    OK(dunlin_begin(base));
    apply_raw(base, text_of(base), OP_MARK_START, 1);
    apply_raw(base, text_of(base), OP_MARK_END, 3);
    OK(dunlin_commit(base, 0, NULL));
    dunlin_doc *one = copy_for(base, first), *two = copy_for(base, (uint8_t)(5 - first));
    OK(dunlin_begin(one));
    apply_raw(one, text_of(one), OP_MARK_START, 1);
    apply_raw(one, text_of(one), OP_MARK_END, 4);
    apply_letter(one, text_of(one), OP_TEXT_INSERT, 2, 'x');
    OK(dunlin_commit(one, 0, NULL));
    OK(dunlin_begin(two));
    apply_raw(two, text_of(two), OP_MARK_START, 1);
    apply_raw(two, text_of(two), OP_MARK_END, 4);
    OK(dunlin_commit(two, 0, NULL));
    test_send(meanwhile, one);
    test_sync(one, two);
    assert_same_doc(one, two);
    assert_in_any_order(one, &rng, 8);
    dunlin_doc_free(base);
    dunlin_doc_free(one);
    dunlin_doc_free(two);
    dunlin_doc_free(meanwhile);
  }
}

/* ---- Anything ----------------------------------------------------------------------------------------------- */

static void write_one(dunlin_doc *doc, struct rng *rng, char letter) {
  dunlin_obj text = text_of(doc);
  OK(container_touch(doc, text.index));
  uint32_t size = version_size(doc->containers[text.index]), hot = size < 5 ? size : 5;
  uint32_t at = (uint32_t)rng_below(rng, hot + 1);
  if (rng_chance(rng, 2, 5)) {
    apply_letter(doc, text, OP_TEXT_INSERT, at, letter);
  } else if (size && rng_chance(rng, 1, 10)) {
    apply_raw(doc, text, OP_DELETE, at == size ? 0 : at);
  } else {
    apply_raw(doc, text, rng_chance(rng, 3, 4) ? OP_MARK_START : OP_MARK_START_GROWS, at);
    at += 1 + (uint32_t)rng_below(rng, size - at < 3 ? size - at + 1 : 3);
    apply_raw(doc, text, rng_chance(rng, 1, 2) ? OP_MARK_END : OP_MARK_END_GROWS, at);
  }
}

static void run(uint64_t seed) {
  struct rng rng = rng_of(seed);
  dunlin_doc *docs[authors_max] = {written("()")};
  size_t authors = 2 + rng_below(&rng, authors_max - 1);
  for (size_t i = 1; i < authors; i++) docs[i] = copy_for(docs[0], (uint8_t)(10 * rng_below(&rng, 20) + i + 1));
  for (char letter = 'a'; letter < 'a' + (char)(2 + seed % 9); letter++) {
    size_t who = rng_below(&rng, authors), other = rng_below(&rng, authors);
    if (letter > 'c' && rng_chance(&rng, 1, 3) && who != other) test_send(docs[other], docs[who]);
    OK(dunlin_begin(docs[who]));
    for (size_t i = 1 + rng_below(&rng, 3); i; i--) write_one(docs[who], &rng, letter);
    OK(dunlin_commit(docs[who], 0, NULL));
  }
  for (size_t i = 1; i < authors; i++) test_send(docs[i], docs[0]);
  assert_in_any_order(docs[0], &rng, 3);
  for (size_t i = 0; i < authors; i++) dunlin_doc_free(docs[i]);
}

static void anchors_anywhere_have_one_order(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(5000);
  for (uint64_t seed = first; seed < first + count; seed++) {
    char again[40];
    snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
    setenv("DUNLIN_RUNNING", again, 1);
    run(seed);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_character_behind_an_anchor_hides_no_sibling),
      cmocka_unit_test(anchors_anywhere_have_one_order),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (failed && getenv("DUNLIN_RUNNING")) printf("to run the last seed alone: %s\n", getenv("DUNLIN_RUNNING"));
  return failed;
}
