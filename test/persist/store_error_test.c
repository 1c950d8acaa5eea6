/* Every write, sync, change of names, opening and reading of a store's life fails, once and then for good from there
 * on, with EIO, ENOSPC and a short count: the call that meets it says so or completes; nothing acknowledged is lost,
 * not even when power goes afterwards; and the store opens again when the disk is well. */
#include <errno.h>

#include "test/fault/disk.h"
#include "test/persist/store_support.h"

#define COMMITS 30

struct life {
  struct place place;
  struct disk *disk;
  struct dunlin_id space;
  bool made, found;
  int acked, flushed; /* the highest numbers that were acknowledged in either document */
};

static int put_number(dunlin_store_doc *handle, int number) {
  dunlin_doc *doc = dunlin_store_doc_get(handle);
  int r = dunlin_begin(doc);
  if (r) return r;
  dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("a"), int_value(number));
  dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("b"), int_value(number));
  return dunlin_commit(doc, 0, NULL);
}

/* Goes on after errors, as an app would; remembers the first. */
static int commit_all(struct life *l, dunlin_store *store) {
  dunlin_store_doc *durable = NULL, *grouped = NULL;
  int first = dunlin_store_doc_open(store, &l->space, dunlin_key("durable"), DUNLIN_CREATE, &durable), grouped_last = 0;
  if (!first) first = dunlin_store_doc_open(store, &l->space, dunlin_key("grouped"), DUNLIN_CREATE, &grouped);
  if (grouped) dunlin_store_doc_mode(grouped, DUNLIN_GROUP);
  for (int i = 1; durable && grouped && i <= COMMITS; i++) {
    int r = put_number(durable, i);
    if (r > 0) l->acked = i;
    if (r < 0 && !first) first = r;
    if (i % 3 == 0 && put_number(grouped, i) > 0) grouped_last = i;
    if (i % 5) continue;
    r = dunlin_store_flush(store);
    if (!r) l->flushed = grouped_last;
    if (r < 0 && !first) first = r;
  }
  dunlin_store_doc_close(durable);
  dunlin_store_doc_close(grouped);
  return first;
}

static int live(struct life *l) {
  struct dunlin_store_options options = place_options(&l->place, "failing");
  dunlin_store *store = NULL;
  options.stepped = true;
  int r = dunlin_store_create(l->place.dir, &options, NULL);
  if (r) return r;
  l->made = true;
  r = dunlin_store_open(l->place.dir, &options, &store, NULL);
  if (!r) r = dunlin_space_new(store, "space", &l->space);
  if (!r) l->found = true;
  if (!r) r = commit_all(l, store);
  int closed = dunlin_store_close(store);
  return r ? r : closed;
}

static void check_doc(dunlin_store *store, const struct dunlin_id *space, const char *name, int acked,
                      const char *when) {
  dunlin_store_doc *doc = NULL;
  int r = dunlin_store_doc_open(store, space, dunlin_key(name), DUNLIN_READONLY, &doc);
  if (r == DUNLIN_ENOENT && !acked) return;
  if (r) fail_msg("%s: %s does not open: %s", when, name, dunlin_error_name(r));
  if (acked) {
    if (get_int(doc, "a") < acked)
      fail_msg("%s: %s shows %d, and %d was acknowledged", when, name, (int)get_int(doc, "a"), acked);
    assert_int_equal(get_int(doc, "a"), get_int(doc, "b"));
  }
  dunlin_store_doc_close(doc);
}

/* The disk is well again: opened, whole, and it goes on. */
static void check_after(struct life *l, const char *when) {
  struct dunlin_store_options options = place_options(&l->place, "failing");
  struct dunlin_why why = {""};
  dunlin_store *store = NULL;
  struct dunlin_id space;
  options.stepped = true;
  int r = dunlin_store_open(l->place.dir, &options, &store, &why);
  if (r && !l->made) {
    r = dunlin_store_create(l->place.dir, &options, &why);
    if (!r) r = dunlin_store_open(l->place.dir, &options, &store, &why);
  }
  if (r) fail_msg("%s: afterwards: %s (%s)", when, dunlin_error_name(r), why.text);
  if (l->found) {
    OK(dunlin_space_find(store, "space", &space));
    check_doc(store, &space, "durable", l->acked, when);
    check_doc(store, &space, "grouped", l->flushed, when);
    dunlin_store_doc *doc = doc_open(store, &space, "durable", DUNLIN_CREATE);
    assert_int_equal(put_number(doc, COMMITS + 1), 1);
    dunlin_store_doc_close(doc);
  }
  assert_int_equal(dunlin_store_verify(store, print_fault, NULL), 0);
  OK(dunlin_store_close(store));
}

/* One life with that fault; whether a call has told of it. */
static bool run_with(unsigned calls, uint64_t at, uint64_t times, int error, uint64_t seed) {
  struct life l = {.place = place_in_memory()};
  char when[100];
  snprintf(when, sizeof when, "calls 0x%x, number %llu, %s, error %d", calls, (unsigned long long)at,
           times == 1 ? "once" : "for good", error);
  l.disk = disk_new(l.place.root);
  disk_fail(l.disk, calls, at, times, error);
  int r = live(&l);
  if (r < 0 && r != DUNLIN_EIO && r != DUNLIN_ENOSPC && r != DUNLIN_ENOENT && r != DUNLIN_EBUSY)
    fail_msg("%s: %s", when, dunlin_error_name(r));
  disk_fail(l.disk, 0, 0, 0, 0);
  if (seed) { /* what was acknowledged in spite of the fault must be on the medium */
    struct rng rng = rng_of(seed);
    disk_power_off(l.disk);
    disk_power_on(l.disk, &rng);
  }
  check_after(&l, when);
  disk_free(l.disk);
  place_remove(&l.place);
  return r < 0;
}

static uint64_t count_calls(unsigned calls) {
  struct life l = {.place = place_in_memory()};
  l.disk = disk_new(l.place.root);
  disk_fail(l.disk, calls, 0, 0, 0);
  OK(live(&l));
  uint64_t count = disk_calls(l.disk, calls);
  disk_free(l.disk);
  place_remove(&l.place);
  return count;
}

static void sweep(unsigned calls, const int *errors, size_t error_count, uint64_t runs) {
  uint64_t all = count_calls(calls), tried = 0, told = 0;
  uint64_t step = all * error_count * 2 / runs + 1;
  assert_true(all > 0);
  for (uint64_t at = 1; at <= all; at += at < 60 ? 1 : step)
    for (size_t e = 0; e < error_count; e++)
      for (int for_good = 0; for_good < 2; for_good++, tried++)
        told += run_with(calls, at, for_good ? UINT64_MAX : 1, errors[e], at % 2 ? at + e : 0);
  print_message("%llu calls: %llu faults tried, %llu told\n", (unsigned long long)all, (unsigned long long)tried,
                (unsigned long long)told);
  assert_true(told > tried / 4);
}

static void every_change_fails(void **state) {
  (void)state;
  static const int errors[] = {EIO, ENOSPC, DISK_SHORT};
  sweep(DISK_CHANGE, errors, 3, seed_count(3000));
}

static void every_read_fails(void **state) {
  (void)state;
  static const int errors[] = {EIO};
  sweep(DISK_OPEN | DISK_READ, errors, 1, seed_count(1200));
}

/* Space for so many bytes and no more; then there is space again. */
static void no_space(void **state) {
  (void)state;
  struct life full = {.place = place_in_memory()};
  full.disk = disk_new(full.place.root);
  OK(live(&full));
  uint64_t size = disk_size(full.disk);
  disk_free(full.disk);
  place_remove(&full.place);
  for (uint64_t limit = 0; limit < size; limit += size / 60 + 1) {
    struct life l = {.place = place_in_memory()};
    l.disk = disk_new(l.place.root);
    disk_limit(l.disk, limit);
    int r = live(&l);
    if (r != DUNLIN_ENOSPC && r != DUNLIN_EIO)
      fail_msg("space for %llu bytes: %s", (unsigned long long)limit, dunlin_error_name(r));
    disk_limit(l.disk, UINT64_MAX);
    check_after(&l, "no space");
    disk_free(l.disk);
    place_remove(&l.place);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_change_fails),
      cmocka_unit_test(every_read_fails),
      cmocka_unit_test(no_space),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
