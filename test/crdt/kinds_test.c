/* Max, min, first, sets, and writes that name what they replace: each rule by a scene of its own. */
#include <math.h>

#include "crdt/internal.h"
#include "test/crdt/void_changes.h"

/* ---- Writes that name what they replace ---------------------------------------------------------------------- */

/* The operations of a key's live writes, winner first. */
static size_t writes_of(const dunlin_doc *doc, const char *key, uint32_t *lvs, size_t cap) {
  const struct map_entry *entry = map_find(&doc->containers[0]->as.map, dunlin_key(key));
  size_t count = entry ? entry->reg.count : 0;
  assert_true(count <= cap);
  for (size_t i = 0; i < count; i++) lvs[i] = reg_at(&entry->reg, (uint32_t)i)->lv;
  return count;
}

static void assert_conflict(const dunlin_doc *doc, const char *key, const int64_t *expected, size_t count) {
  struct dunlin_value value;
  for (size_t i = 0; i < count; i++) {
    OK(dunlin_map_conflict(doc, DUNLIN_ROOT, dunlin_key(key), i, &value));
    assert_int_equal(value.kind, DUNLIN_INT);
    assert_int_equal(value.as.integer, expected[i]);
  }
  FAILS(dunlin_map_conflict(doc, DUNLIN_ROOT, dunlin_key(key), count, &value), DUNLIN_ENOENT);
}

/* Replaces one write of `k`, by place in the conflict; `value` 0: deletes it. */
static void put_over(dunlin_doc *doc, size_t which, int64_t value) {
  uint32_t lvs[4];
  struct reg_write write = {.class = 0, .value = int_value(value)};
  assert_true(writes_of(doc, "k", lvs, 4) > which);
  OK(names_whole(doc));
  OK(dunlin_begin(doc));
  OK(txn_put_over(doc, DUNLIN_ROOT, dunlin_key("k"), value ? &write : NULL, &lvs[which], 1));
  commit(doc);
}

/* Two have written to `k` while apart: 2 wins over 1. */
static struct scene two_writes(void) {
  struct scene s = scene_open();
  put(s.first, "k", 1);
  put(s.second, "k", 2);
  test_sync(s.first, s.second);
  assert_conflict(s.first, "k", (int64_t[]){2, 1}, 2);
  return s;
}

static void a_named_write_is_replaced_alone(void **state) {
  struct scene s = two_writes();
  (void)state;
  put_over(s.first, 1, 3); /* its own, which lost */
  assert_conflict(s.first, "k", (int64_t[]){3, 2}, 2);
  put_over(s.first, 1, 0);
  assert_conflict(s.first, "k", (int64_t[]){3}, 1);
  test_send(s.first, s.second);
  test_send(s.first, s.third);
  assert_same_doc(s.first, s.second);
  assert_same_doc(s.first, s.third);
  assert_as_replayed(s.third, &(struct void_set){.count = 0});
  scene_close(&s);
}

/* What names nothing that lives adds a write; a deletion of it does nothing. */
static void a_name_of_what_is_gone_means_nothing(void **state) {
  struct scene s = two_writes();
  uint32_t gone[2];
  (void)state;
  assert_int_equal(writes_of(s.first, "k", gone, 2), 2);
  put(s.first, "k", 5);
  OK(dunlin_begin(s.first));
  OK(txn_put_over(s.first, DUNLIN_ROOT, dunlin_key("k"), NULL, gone, 2));
  commit(s.first);
  assert_conflict(s.first, "k", (int64_t[]){5}, 1);
  OK(dunlin_begin(s.first));
  struct reg_write write = {.class = 0, .value = int_value(6)};
  OK(txn_put_over(s.first, DUNLIN_ROOT, dunlin_key("k"), &write, gone, 2));
  commit(s.first);
  assert_conflict(s.first, "k", (int64_t[]){6, 5}, 2);
  test_send(s.first, s.third);
  assert_as_replayed(s.third, &(struct void_set){.count = 0});
  scene_close(&s);
}

/* Within one change the last write alone counts, named or not; and an abort brings all of it back. */
static void of_one_change_the_last_write_counts(void **state) {
  struct scene s = two_writes();
  uint32_t lvs[2];
  struct reg_write write = {.class = 7, .value = int_value(7)};
  (void)state;
  assert_int_equal(writes_of(s.first, "k", lvs, 2), 2);
  for (int keep = 0; keep < 2; keep++) {
    OK(dunlin_begin(s.first));
    OK(txn_put_over(s.first, DUNLIN_ROOT, dunlin_key("k"), &write, &lvs[1], 1));
    assert_conflict(s.first, "k", (int64_t[]){7, 2}, 2);
    OK(txn_put_over(s.first, DUNLIN_ROOT, dunlin_key("k"), &(struct reg_write){.value = int_value(8)}, NULL, 0));
    assert_conflict(s.first, "k", (int64_t[]){8, 2}, 2);
    OK(dunlin_map_put(s.first, DUNLIN_ROOT, dunlin_key("k"), int_value(9))); /* over all */
    assert_conflict(s.first, "k", (int64_t[]){9}, 1);
    OK(txn_put_over(s.first, DUNLIN_ROOT, dunlin_key("k"), &write, lvs, 2));
    assert_conflict(s.first, "k", (int64_t[]){7}, 1);
    if (keep) commit(s.first);
    else dunlin_abort(s.first);
    if (!keep) assert_conflict(s.first, "k", (int64_t[]){2, 1}, 2);
  }
  test_send(s.first, s.third);
  assert_as_replayed(s.third, &(struct void_set){.count = 0});
  scene_close(&s);
}

/* Who has not seen a write cannot replace it, by name or not. */
static void only_what_the_version_has_is_replaced(void **state) {
  struct scene s = two_writes();
  uint32_t lvs[2];
  size_t count;
  struct dunlin_id own = id_of(s.first, 1, 0);
  struct reg_write write = {.class = 0, .value = int_value(3)};
  (void)state;
  assert_int_equal(writes_of(s.first, "k", lvs, 2), 2);
  OK(dunlin_begin_at(s.first, &own, 1));
  OK(txn_put_over(s.first, DUNLIN_ROOT, dunlin_key("k"), &write, lvs, 2));
  commit(s.first);
  assert_conflict(s.first, "k", (int64_t[]){3, 2}, 2);
  (void)dunlin_doc_heads(s.first, &count);
  assert_int_equal(count, 2);
  test_send(s.first, s.third);
  assert_as_replayed(s.third, &(struct void_set){.count = 0});
  scene_close(&s);
}

/* A replacement that is void replaces nothing, and what was replaced shows again. */
static void a_void_replacement_replaces_nothing(void **state) {
  struct scene s = two_writes();
  struct void_set set = {.count = 0};
  (void)state;
  put_over(s.first, 1, 3);
  set_add(&set, id_of(s.first, 1, 1));
  use_set(s.first, &set);
  assert_conflict(s.first, "k", (int64_t[]){2, 1}, 2);
  assert_as_replayed(s.first, &set);
  scene_close(&s);
}

/* An opened document has no names of old changes before it has read its history; a write from elsewhere brings that
 * about. */
static void names_reach_behind_a_saved_document(void **state) {
  struct scene s = two_writes();
  void *data;
  size_t len;
  struct dunlin_actor actor = {{9}};
  dunlin_doc *again = NULL;
  (void)state;
  for (int64_t i = 0; i < 300; i++) put(s.first, "other", i); /* so that no id is kept for other reasons */
  test_sync(s.first, s.second);
  OK(dunlin_doc_save(s.first, &data, &len));
  put_over(s.second, 0, 4);
  OK(dunlin_doc_load(NULL, data, len, &actor, &again));
  assert_int_equal(test_send(s.second, again).applied, 1);
  assert_conflict(again, "k", (int64_t[]){4, 1}, 2);
  assert_same_doc(again, s.second);
  OK(doc_check(again, true));
  dunlin_free(NULL, data, len);
  dunlin_doc_free(again);
  scene_close(&s);
}

/* The elements of a list that waits to be read are replaced by name all the same. */
static void names_are_found_when_a_list_is_read_late(void **state) {
  struct scene s = scene_open();
  uint32_t first_lv;
  (void)state;
  OK(dunlin_begin(s.first));
  dunlin_obj list = child(s.first, "l", DUNLIN_LIST);
  OK(dunlin_list_insert(s.first, list, 0, int_value(0)));
  commit(s.first);
  first_lv = s.first->graph.lvs - 1;
  test_send(s.first, s.second);
  test_send(s.first, s.third);
  dunlin_obj other = at(s.second, "l");
  OK(dunlin_begin(s.second));
  OK(dunlin_list_set(s.second, other, 0, int_value(2)));
  commit(s.second);
  OK(dunlin_begin(s.first));
  OK(txn_set_over(s.first, list, 0, &(struct dunlin_value){.kind = DUNLIN_INT, .as.integer = 1}, NULL, 0));
  commit(s.first);
  OK(dunlin_begin(s.first));
  OK(txn_set_over(s.first, list, 0, &(struct dunlin_value){.kind = DUNLIN_INT, .as.integer = 3}, &first_lv, 1));
  commit(s.first);
  test_send(s.second, s.third);
  test_send(s.first, s.third);
  list = at(s.third, "l");
  struct dunlin_value value;
  for (size_t i = 0; i < 3; i++) {
    OK(dunlin_list_conflict(s.third, list, 0, i, &value));
    assert_int_equal(value.as.integer, 3 - (int64_t)i);
  }
  FAILS(dunlin_list_conflict(s.third, list, 0, 3, &value), DUNLIN_ENOENT);
  test_send(s.second, s.first);
  assert_same_doc(s.first, s.third);
  assert_as_replayed(s.third, &(struct void_set){.count = 0});
  scene_close(&s);
}

static void as_many_as_can_be_named(void **state) {
  dunlin_doc *doc = test_doc(1);
  uint32_t lvs[WRITE_NAMES_MAX + 1];
  (void)state;
  for (uint32_t i = 0; i < WRITE_NAMES_MAX + 1; i++) {
    put(doc, "other", i);
    lvs[i] = i;
  }
  OK(dunlin_begin(doc));
  OK(txn_put_over(doc, DUNLIN_ROOT, dunlin_key("k"), NULL, lvs, WRITE_NAMES_MAX));
  commit(doc);
  OK(dunlin_begin(doc));
  FAILS(txn_put_over(doc, DUNLIN_ROOT, dunlin_key("k"), NULL, lvs, WRITE_NAMES_MAX + 1), DUNLIN_ELIMIT);
  dunlin_abort(doc);
  assert_as_replayed(doc, &(struct void_set){.count = 0});
  dunlin_doc_free(doc);
}

/* ---- Max, min, first ------------------------------------------------------------------------------------------ */

/* From the lowest to the highest, by the numbers themselves: no float stands for an int that it is not. */
static void numbers_are_compared_exactly(void **state) {
  (void)state;
  const struct dunlin_value order[] = {dunlin_float(-HUGE_VAL),
                                       dunlin_float(-0x1.8p63),
                                       int_value(INT64_MIN),
                                       dunlin_float(-0x1p63),
                                       int_value(-INT64_MAX),
                                       int_value(-2),
                                       dunlin_float(-2),
                                       dunlin_float(-1.5),
                                       int_value(-1),
                                       dunlin_float(-1),
                                       dunlin_float(-0x1p-1074),
                                       int_value(0),
                                       dunlin_float(-0.0),
                                       dunlin_float(0.0),
                                       dunlin_float(0x1p-1074),
                                       int_value(1),
                                       dunlin_float(1),
                                       dunlin_float(1.5),
                                       int_value(2),
                                       int_value((1ll << 53) - 1),
                                       int_value(1ll << 53),
                                       dunlin_float(0x1p53),
                                       int_value((1ll << 53) + 1),
                                       dunlin_float(0x1.0000000000001p53),
                                       int_value(INT64_MAX),
                                       dunlin_float(0x1p63),
                                       dunlin_float(HUGE_VAL),
                                       dunlin_time(INT64_MIN),
                                       dunlin_time(0),
                                       dunlin_time(INT64_MAX)};
  enum { count = sizeof order / sizeof *order };
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < count; k++) {
      assert_int_equal(offer_beats(DUNLIN_MAX, &order[i], &order[k]), i > k);
      assert_int_equal(offer_beats(DUNLIN_MIN, &order[i], &order[k]), i < k);
    }
}

static void offer(dunlin_doc *doc, const char *key, enum dunlin_kind kind, struct dunlin_value value) {
  OK(dunlin_begin(doc));
  OK(dunlin_offer(doc, child(doc, key, kind), value));
  commit(doc);
}

static void assert_offered(const dunlin_doc *doc, const char *key, int64_t expected) {
  struct dunlin_value value;
  OK(dunlin_offered(doc, at(doc, key), &value));
  assert_int_equal(value.kind, DUNLIN_INT);
  assert_int_equal(value.as.integer, expected);
}

/* The next best shows when an offer is void, and it again when it is not. */
static void void_offers_do_not_count(void **state) {
  static const enum dunlin_kind kinds[] = {DUNLIN_MAX, DUNLIN_MIN, DUNLIN_FIRST};
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    struct scene s = scene_open();
    struct void_set set = {.count = 0};
    struct dunlin_value value;
    offer(s.first, "k", kinds[i], int_value(5));
    offer(s.second, "k", kinds[i], int_value(kinds[i] == DUNLIN_MIN ? 1 : 9));
    int64_t all = kinds[i] == DUNLIN_FIRST ? 5 : kinds[i] == DUNLIN_MIN ? 1 : 9;
    test_send(s.first, s.third);
    test_send(s.second, s.third);
    assert_offered(s.third, "k", all);
    set_add(&set, id_of(s.third, all == 5 ? 1 : 2, 0));
    use_set(s.third, &set);
    assert_offered(s.third, "k", all == 5 ? 9 : 5);
    assert_as_replayed(s.third, &set);
    set_add(&set, id_of(s.third, all == 5 ? 2 : 1, 0));
    use_set(s.third, &set);
    FAILS(dunlin_map_get(s.third, DUNLIN_ROOT, dunlin_key("k"), &value), DUNLIN_ENOENT);
    assert_as_replayed(s.third, &set);
    use_set(s.third, &(struct void_set){.count = 0});
    assert_offered(s.third, "k", all);
    scene_close(&s);
  }
}

static void an_abort_takes_offers_back(void **state) {
  dunlin_doc *doc = test_doc(1);
  (void)state;
  offer(doc, "max", DUNLIN_MAX, int_value(5));
  OK(dunlin_begin(doc));
  OK(dunlin_offer(doc, at(doc, "max"), int_value(6)));
  OK(dunlin_offer(doc, at(doc, "max"), int_value(7)));
  assert_offered(doc, "max", 7);
  dunlin_obj first = child(doc, "first", DUNLIN_FIRST);
  OK(dunlin_offer(doc, first, str_value("a string that has to be freed")));
  dunlin_abort(doc);
  assert_offered(doc, "max", 5);
  absent(doc, DUNLIN_ROOT, "first");
  offer(doc, "max", DUNLIN_MAX, int_value(6));
  assert_as_replayed(doc, &(struct void_set){.count = 0});
  dunlin_doc_free(doc);
}

/* Of several in one change the first counts; of several changes not the one that came first, but the one of the lowest
 * lamport. */
static void the_first_offer_is_the_lowest(void **state) {
  struct scene s = scene_open();
  (void)state;
  put(s.first, "x", 1);
  offer(s.first, "k", DUNLIN_FIRST, int_value(1)); /* a lamport higher */
  OK(dunlin_begin(s.second));
  OK(dunlin_offer(s.second, child(s.second, "k", DUNLIN_FIRST), int_value(2)));
  OK(dunlin_offer(s.second, child(s.second, "k", DUNLIN_FIRST), int_value(3)));
  commit(s.second);
  test_send(s.first, s.third);
  assert_offered(s.third, "k", 1);
  test_send(s.second, s.third);
  assert_offered(s.third, "k", 2);
  test_send(s.second, s.first);
  assert_same_doc(s.first, s.third);
  assert_as_replayed(s.third, &(struct void_set){.count = 0});
  scene_close(&s);
}

/* A change by a new actor on all heads that makes one offer, seen or not: what dunlin_offer() would not write. */
static void apply_offer_by_hand(dunlin_doc *doc, dunlin_obj obj, int64_t value) {
  size_t count;
  const struct dunlin_id *heads = dunlin_doc_heads(doc, &count);
  struct dunlin_actor actor = {{77}};
  struct buf change;
  buf_init(&change, dunlin_env_default(), 1 << 16);
  write_head(&change, 6, heads, count, &actor, 0, &doc->containers[obj.index]->id);
  mp_write_array(&change, 3);
  write_row(&change, OP_OFFER, 0, 1);
  mp_write_str(&change, "", 0);
  mp_write_array(&change, 1);
  mp_write_int(&change, value);
  struct change_id_bytes one = named(&change);
  assert_int_equal(give_change(doc, &one).applied, 1);
  buf_free(&change);
}

/* What has been seen stays the first, also where its place in the history has not been read. */
static void a_later_offer_is_never_the_first(void **state) {
  dunlin_doc *doc = test_doc(1), *again = NULL;
  struct dunlin_actor actor = {{9}};
  void *data;
  size_t len;
  (void)state;
  for (int64_t i = 0; i < 5; i++) put(doc, "x", i);
  offer(doc, "k", DUNLIN_FIRST, int_value(1));
  for (int64_t i = 0; i < 5; i++) put(doc, "x", -1 - i);
  OK(dunlin_doc_save(doc, &data, &len));
  OK(dunlin_doc_load(NULL, data, len, &actor, &again));
  apply_offer_by_hand(again, at(again, "k"), 2);
  apply_offer_by_hand(doc, at(doc, "k"), 2);
  assert_non_null(again->file);
  assert_offered(again, "k", 1);
  assert_same_doc(doc, again);
  assert_as_replayed(again, &(struct void_set){.count = 0});
  dunlin_free(NULL, data, len);
  dunlin_doc_free(doc);
  dunlin_doc_free(again);
}

static void kinds_do_not_mix(void **state) {
  dunlin_doc *doc = test_doc(1);
  struct dunlin_value value;
  (void)state;
  OK(dunlin_begin(doc));
  dunlin_obj max = child(doc, "max", DUNLIN_MAX), set = child(doc, "set", DUNLIN_SET);
  commit(doc);
  const struct {
    int (*call)(dunlin_doc *doc, dunlin_obj obj, struct dunlin_value value);
    dunlin_obj obj;
  } wrong[] = {
      {dunlin_offer, set},      {dunlin_offer, DUNLIN_ROOT},   {dunlin_offer, DUNLIN_NONE},     {dunlin_set_add, max},
      {dunlin_set_remove, max}, {dunlin_set_add, DUNLIN_ROOT}, {dunlin_set_remove, DUNLIN_NONE}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    OK(dunlin_begin(doc));
    FAILS(wrong[i].call(doc, wrong[i].obj, int_value(1)), DUNLIN_EKIND);
    dunlin_abort(doc);
  }
  FAILS(dunlin_offered(doc, set, &value), DUNLIN_EKIND);
  FAILS(dunlin_offered(doc, max, &value), DUNLIN_ENOENT);
  FAILS(dunlin_set_at(doc, max, 0, &value), DUNLIN_EKIND);
  assert_false(dunlin_set_has(doc, max, int_value(1)));
  assert_false(dunlin_set_has(doc, set, (struct dunlin_value){.kind = DUNLIN_MAP}));
  assert_int_equal(dunlin_set_size(doc, max), 0);
  FAILS(dunlin_offer(doc, max, int_value(1)), DUNLIN_ESTATE);
  FAILS(dunlin_set_add(doc, set, int_value(1)), DUNLIN_ESTATE);
  dunlin_doc_free(doc);
}

/* ---- Saved ---------------------------------------------------------------------------------------------------- */

/* What a saved document shows is there before its history is read, and goes on with what comes. */
static void saved_kinds_are_what_they_were(void **state) {
  struct scene s = scene_open();
  struct dunlin_actor actor = {{9}};
  dunlin_doc *again = NULL;
  void *data, *same;
  size_t len, same_len;
  (void)state;
  OK(dunlin_begin(s.first));
  OK(dunlin_offer(s.first, child(s.first, "max", DUNLIN_MAX), int_value(5)));
  OK(dunlin_offer(s.first, child(s.first, "min", DUNLIN_MIN), int_value(5)));
  OK(dunlin_offer(s.first, child(s.first, "first", DUNLIN_FIRST), int_value(5)));
  OK(dunlin_set_add(s.first, child(s.first, "set", DUNLIN_SET), int_value(5)));
  OK(dunlin_set_add(s.first, child(s.first, "set", DUNLIN_SET), int_value(6)));
  commit(s.first);
  OK(dunlin_doc_save(s.first, &data, &len));
  OK(dunlin_doc_load(NULL, data, len, &actor, &again));
  assert_offered(again, "max", 5);
  assert_true(dunlin_set_has(again, at(again, "set"), int_value(5)));
  OK(dunlin_begin(again));
  OK(dunlin_offer(again, at(again, "max"), int_value(4)));
  OK(dunlin_offer(again, at(again, "min"), int_value(6)));
  OK(dunlin_offer(again, at(again, "first"), int_value(6)));
  OK(dunlin_set_add(again, at(again, "set"), int_value(6)));
  assert_int_equal(dunlin_commit(again, 0, NULL), 0); /* all of that is there already */
  OK(dunlin_begin(again));
  OK(dunlin_offer(again, at(again, "max"), int_value(6)));
  OK(dunlin_set_remove(again, at(again, "set"), int_value(5)));
  commit(again);
  assert_non_null(again->file); /* the history has not been needed */
  assert_int_equal(dunlin_set_size(again, at(again, "set")), 1);
  OK(dunlin_doc_save(again, &same, &same_len));
  dunlin_free(NULL, same, same_len);
  test_send(again, s.first);
  assert_same_doc(again, s.first);
  assert_as_replayed(again, &(struct void_set){.count = 0});
  dunlin_free(NULL, data, len);
  dunlin_doc_free(again);
  scene_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_named_write_is_replaced_alone),
      cmocka_unit_test(a_name_of_what_is_gone_means_nothing),
      cmocka_unit_test(of_one_change_the_last_write_counts),
      cmocka_unit_test(only_what_the_version_has_is_replaced),
      cmocka_unit_test(a_void_replacement_replaces_nothing),
      cmocka_unit_test(names_reach_behind_a_saved_document),
      cmocka_unit_test(names_are_found_when_a_list_is_read_late),
      cmocka_unit_test(as_many_as_can_be_named),
      cmocka_unit_test(numbers_are_compared_exactly),
      cmocka_unit_test(void_offers_do_not_count),
      cmocka_unit_test(an_abort_takes_offers_back),
      cmocka_unit_test(the_first_offer_is_the_lowest),
      cmocka_unit_test(a_later_offer_is_never_the_first),
      cmocka_unit_test(kinds_do_not_mix),
      cmocka_unit_test(saved_kinds_are_what_they_were),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
