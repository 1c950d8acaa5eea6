/* Values that only rise or only fall: a peak a day, the last time somebody was seen. */
#include <math.h>

#include "test/support/support.h"

/* The peak of a day, each with its own key. */
static dunlin_obj day(dunlin_doc *doc, const char *date) {
  dunlin_obj days = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("peaks"), DUNLIN_MAP);
  return dunlin_map_child(doc, days, dunlin_key(date), DUNLIN_MAX);
}

static int offer(dunlin_doc *doc, const char *date, double v) {
  OK(dunlin_begin(doc));
  OK(dunlin_offer(doc, day(doc, date), dunlin_float(v)));
  int changes = dunlin_commit(doc, 0, NULL);
  OK(changes);
  return changes;
}

static void assert_peak(dunlin_doc *doc, const char *date, double expected) {
  struct dunlin_value value;
  OK(dunlin_begin(doc));
  dunlin_obj peak = day(doc, date);
  OK(dunlin_offered(doc, peak, &value));
  dunlin_abort(doc);
  assert_int_equal(value.kind, DUNLIN_FLOAT);
  assert_memory_equal(&value.as.real, &expected, sizeof expected);
}

static void the_highest_shows_in_any_order(void **state) {
  (void)state;
  for (int first = 0; first < 2; first++) {
    dunlin_doc *a = test_doc(1), *b = test_doc(2);
    offer(a, "2026-11-21", first ? 0.95 : 0.90);
    offer(b, "2026-11-21", first ? 0.90 : 0.95);
    test_sync(a, b);
    assert_peak(a, "2026-11-21", 0.95);
    assert_peak(b, "2026-11-21", 0.95);
    assert_int_equal(offer(a, "2026-11-21", 0.93), 0); /* not worth a change */
    assert_same_doc(a, b);
    dunlin_doc_free(a);
    dunlin_doc_free(b);
  }
}

static void the_next_day_starts_fresh(void **state) {
  dunlin_doc *a = test_doc(1);
  struct dunlin_value value;
  (void)state;
  offer(a, "2026-11-21", 0.95);
  OK(dunlin_begin(a));
  FAILS(dunlin_offered(a, day(a, "2026-11-22"), &value), DUNLIN_ENOENT);
  dunlin_abort(a);
  offer(a, "2026-11-22", 0.1);
  assert_peak(a, "2026-11-22", 0.1);
  assert_peak(a, "2026-11-21", 0.95);
  dunlin_doc_free(a);
}

static void the_last_time_seen_never_goes_back(void **state) {
  dunlin_doc *docs[] = {test_doc(1), test_doc(2)};
  dunlin_obj seen = DUNLIN_NONE;
  struct dunlin_value value;
  (void)state;
  for (int i = 0; i < 2; i++) {
    OK(dunlin_begin(docs[i]));
    seen = dunlin_map_child(docs[i], DUNLIN_ROOT, dunlin_key("seen"), DUNLIN_MAX);
    OK(dunlin_offer(docs[i], seen, (struct dunlin_value){.kind = DUNLIN_TIME, .as.time = i ? 1000 : 2000}));
    OK(dunlin_commit(docs[i], 0, NULL));
  }
  test_sync(docs[0], docs[1]);
  OK(dunlin_offered(docs[1], seen, &value));
  assert_int_equal(value.kind, DUNLIN_TIME);
  assert_int_equal(value.as.time, 2000);
  assert_same_doc(docs[0], docs[1]);
  for (int i = 0; i < 2; i++) dunlin_doc_free(docs[i]);
}

static void a_min_shows_the_lowest(void **state) {
  dunlin_doc *a = test_doc(1);
  struct dunlin_value value;
  (void)state;
  OK(dunlin_begin(a));
  dunlin_obj best = dunlin_map_child(a, DUNLIN_ROOT, dunlin_key("best time"), DUNLIN_MIN);
  OK(dunlin_offer(a, best, int_value(90)));
  OK(dunlin_offer(a, best, int_value(81)));
  OK(dunlin_offer(a, best, dunlin_float(81.5)));
  OK(dunlin_offered(a, best, &value));
  assert_int_equal(value.as.integer, 81);
  assert_int_equal(dunlin_commit(a, 0, NULL), 1);
  dunlin_doc_free(a);
}

static void only_what_has_an_order_can_be_offered(void **state) {
  dunlin_doc *a = test_doc(1);
  const struct dunlin_value wrong[] = {
      str_value("high"), {.kind = DUNLIN_NULL}, {.kind = DUNLIN_BOOL}, dunlin_float(0.0)};
  (void)state;
  for (size_t i = 0; i < 4; i++) {
    struct dunlin_value value = wrong[i];
    if (value.kind == DUNLIN_FLOAT) value.as.real = (double)NAN;
    OK(dunlin_begin(a));
    dunlin_obj peak = dunlin_map_child(a, DUNLIN_ROOT, dunlin_key("peak"), DUNLIN_MAX);
    FAILS(dunlin_offer(a, peak, value), DUNLIN_EINVAL);
    FAILS(dunlin_commit(a, 0, NULL), DUNLIN_EINVAL);
  }
  dunlin_doc_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_highest_shows_in_any_order),        cmocka_unit_test(the_next_day_starts_fresh),
      cmocka_unit_test(the_last_time_seen_never_goes_back),    cmocka_unit_test(a_min_shows_the_lowest),
      cmocka_unit_test(only_what_has_an_order_can_be_offered),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
