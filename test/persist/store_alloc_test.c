/* Every allocation of a store's life fails, once and then for good from there on: a clean error each time, what was
 * acknowledged is there when it is opened again, and everything is given back.  TEST_RUNS=100000 tries every one; else
 * a spread of them.  (What LMDB and zstd allocate themselves does not go through the environment.) */
#include "persist/exchange.h"
#include "test/fault/seeded.h"
#include "test/persist/store_support.h"

#define OPERATIONS 500

struct life {
  struct seeded seeded;
  struct place place;
  struct dunlin_id space;
  int acked; /* the highest number that a durable commit has acknowledged */
};

static struct dunlin_store_options options_of(struct life *l) {
  struct dunlin_store_options options = place_options(&l->place, "poor");
  options.env = &l->seeded.env;
  options.stepped = true;
  return options;
}

/* A second device's store, with all the memory it wants, and what is to come from it. */
struct friend {
  struct place place;
  dunlin_store *store;
};

static struct exchange_device device_of(dunlin_store *store) {
  struct exchange_identity identity;
  struct exchange_device device = {0};
  exchange_identity(store, &identity);
  device.device = identity.device;
  memcpy(device.noise_public, identity.noise_public, 32);
  memcpy(device.contact, identity.contact, 32);
  memcpy(device.name, identity.name, sizeof identity.name);
  return device;
}

static int write_some(struct life *l, dunlin_store_doc *handle, int from, int count) {
  dunlin_doc *doc = dunlin_store_doc_get(handle);
  for (int i = from; i < from + count; i++) {
    char key[16];
    snprintf(key, sizeof key, "k%d", i % 50);
    dunlin_obj list;
    int r = dunlin_begin(doc);
    if (r) return r;
    dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("last"), int_value(i));
    dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), str_value("value"));
    list = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("list"), DUNLIN_LIST);
    if (i % 7 == 0) dunlin_list_insert(doc, list, 0, int_value(i));
    r = dunlin_commit(doc, 0, NULL);
    if (r < 0) return r;
    if (l) l->acked = i;
  }
  return 0;
}

/* Runs of every log of `from` that `to` lacks. */
static int pass_on(dunlin_store *from, dunlin_store *to, const struct dunlin_id *space) {
  struct exchange_log log, held;
  int r = 0;
  for (size_t i = 0; !r && !(r = exchange_log(from, space, i, &log)); i++) {
    struct buf sealed;
    buf_init(&sealed, dunlin_env_default(), DUNLIN_MAX_SEALED);
    int found = exchange_log_find(to, &log.name, &held);
    uint64_t have = found ? 0 : held.count;
    if (found && found != DUNLIN_ENOENT) r = found;
    while (!r && have < log.count) {
      r = exchange_branch_run(from, &log.name, &log.branch, have + 1, &sealed, &have);
      struct dunlin_bytes run = {sealed.data, sealed.len};
      if (!r) r = exchange_ingest(to, &log.name, &run, 1);
      if (r > 0) r = 0;
    }
    buf_free(&sealed);
  }
  return r == DUNLIN_ENOENT ? 0 : r;
}

static int share(struct life *l, dunlin_store *store, struct friend *friend) {
  struct dunlin_id joined;
  struct exchange_device guest = device_of(friend->store);
  struct buf welcome;
  char line[DUNLIN_INVITATION_MAX];
  buf_init(&welcome, &l->seeded.env, 1u << 20);
  int r = dunlin_invite(store, &l->space, "host:1", (int64_t)3600 * 1000000, line);
  if (!r) r = exchange_admit(store, &l->space, &guest, &welcome);
  if (!r) OK(exchange_accept(friend->store, (struct dunlin_bytes){welcome.data, welcome.len}, "friend", &joined));
  buf_free(&welcome);
  if (!r) r = pass_on(store, friend->store, &l->space);
  if (r) return r;
  dunlin_store_doc *doc = doc_open(friend->store, &l->space, "shared", DUNLIN_CREATE);
  OK(write_some(NULL, doc, 1000, 5));
  dunlin_store_doc_close(doc);
  r = pass_on(friend->store, store, &l->space);
  struct exchange_log log;
  for (size_t i = 0; !r && !exchange_log(store, &l->space, i, &log); i++)
    exchange_acknowledged(store, &guest.device, &log.branch, log.count);
  return r;
}

static int work(struct life *l, dunlin_store *store, struct friend *friend) {
  dunlin_store_doc *durable = NULL, *grouped = NULL;
  struct dunlin_applied applied;
  uint64_t next;
  int r = dunlin_space_find(store, "space", &l->space);
  if (r == DUNLIN_ENOENT) r = dunlin_space_new(store, "space", &l->space);
  if (!r) r = dunlin_store_doc_open(store, &l->space, dunlin_key("durable"), DUNLIN_CREATE, &durable);
  if (!r) r = write_some(l, durable, 1, OPERATIONS / 4);
  if (!r) r = dunlin_store_doc_open(store, &l->space, dunlin_key("shared"), DUNLIN_CREATE, &grouped);
  if (!r) {
    dunlin_store_doc_mode(grouped, DUNLIN_GROUP);
    r = write_some(NULL, grouped, 1, OPERATIONS * 3 / 4);
  }
  if (!r) r = dunlin_store_step(store, 1000, &next);
  if (!r) r = share(l, store, friend);
  if (!r) r = dunlin_store_doc_pull(grouped, &applied);
  if (!r) r = dunlin_store_step(store, 5000, &next);
  dunlin_store_doc_close(durable);
  dunlin_store_doc_close(grouped);
  if (!r) r = dunlin_store_verify(store, NULL, NULL);
  return r;
}

/* The whole of it; the first error, or 0. */
static int life_of(struct life *l, struct friend *friend) {
  struct dunlin_store_options options = options_of(l);
  dunlin_store *store = NULL;
  l->acked = 0;
  int r = dunlin_store_create(l->place.dir, &options, NULL);
  if (!r) r = dunlin_store_open(l->place.dir, &options, &store, NULL);
  if (!r) r = dunlin_store_rekey(store, &options.key, NULL);
  if (!r) r = work(l, store, friend);
  int closed = dunlin_store_close(store);
  return r ? r : closed;
}

static struct friend friend_new(void) {
  struct friend friend = {.place = place_in_memory()};
  place_create(&friend.place, "friend");
  friend.store = place_open(&friend.place);
  return friend;
}

static void friend_free(struct friend *friend) {
  OK(dunlin_store_close(friend->store));
  place_remove(&friend->place);
}

static void life_begin(struct life *l, uint64_t fail_at, bool for_good) {
  seeded_init(&l->seeded, 1);
  l->place = place_in_memory();
  l->seeded.fail_at = fail_at;
  l->seeded.for_good = for_good;
}

/* With all the memory in the world: whole, and everything that was acknowledged is there. */
static void check_after(struct life *l, uint64_t fail_at) {
  struct dunlin_store_options options = options_of(l);
  dunlin_store *store = NULL;
  struct dunlin_id space;
  if (l->seeded.live) fail_msg("allocation %llu: %zu bytes were lost", (unsigned long long)fail_at, l->seeded.live);
  l->seeded.fail_at = 0;
  int r = dunlin_store_open(l->place.dir, &options, &store, NULL);
  if (r == DUNLIN_ENOSTORE && !l->acked) return; /* it was never made */
  if (r) fail_msg("allocation %llu: afterwards: %s", (unsigned long long)fail_at, dunlin_error_name(r));
  assert_int_equal(dunlin_store_verify(store, print_fault, NULL), 0);
  if (l->acked) {
    OK(dunlin_space_find(store, "space", &space));
    dunlin_store_doc *doc = doc_open(store, &space, "durable", 0);
    assert_true(get_int(doc, "last") >= l->acked);
    assert_int_equal(put_int(doc, "last", 9999), 1);
    dunlin_store_doc_close(doc);
  }
  OK(dunlin_store_close(store));
  assert_int_equal(l->seeded.live, 0);
}

static bool run_with(uint64_t fail_at, bool for_good) {
  struct life l;
  struct friend friend = friend_new();
  life_begin(&l, fail_at, for_good);
  int r = life_of(&l, &friend);
  /* What runs in the background may hit the wall and say so in the log only: then everything else went well. */
  if (r && r != DUNLIN_ENOMEM)
    fail_msg("allocation %llu%s: %s", (unsigned long long)fail_at, for_good ? " and all after it" : "",
             dunlin_error_name(r));
  check_after(&l, fail_at);
  place_remove(&l.place);
  friend_free(&friend);
  return r != 0;
}

static void every_allocation_fails(void **state) {
  (void)state;
  struct life l;
  struct friend friend = friend_new();
  life_begin(&l, 0, false);
  OK(life_of(&l, &friend));
  uint64_t all = l.seeded.allocations;
  check_after(&l, 0);
  place_remove(&l.place);
  friend_free(&friend);
  assert_true(all > 5000);
  uint64_t runs = seed_count(600);
  struct rng rng = rng_of(seed_first());
  /* The first hundreds, where things are made, and then ever further apart. */
  uint64_t step = 2 * all / runs + 1, tried = 0, noticed = 0;
  for (uint64_t n = 1; n <= all; n += n < runs / 4 ? 1 : 1 + rng_below(&rng, 2 * step)) {
    noticed += run_with(n, n % 2);
    tried++;
  }
  print_message("%llu of %llu allocations failed, %llu times a call said so\n", (unsigned long long)tried,
                (unsigned long long)all, (unsigned long long)noticed);
  assert_true(noticed > tried * 9 / 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
