/* Every allocation of two stores that talk fails on one side, once and then for good from there on: the session ends
 * with a clean error or does without, nothing is lost, and when there is memory again the two become equal.  TEST_RUNS
 * tries more. */
#include "persist/exchange.h"
#include "test/fault/seeded.h"
#include "test/persist/store_support.h"
#include "transport/session.h"

struct side {
  struct seeded seeded;
  struct place place;
  dunlin_store *store;
};

static void open_side(struct side *side) {
  struct dunlin_store_options options = place_options(&side->place, NULL);
  options.env = &side->seeded.env;
  options.stepped = true;
  OK(dunlin_store_open(side->place.dir, &options, &side->store, NULL));
}

static void make_side(struct side *side, const char *name) {
  seeded_init(&side->seeded, 1);
  side->place = place_in_memory();
  place_create(&side->place, name);
  open_side(side);
}

static void write_doc(struct side *side, const struct dunlin_id *space, const char *name, int count) {
  dunlin_store_doc *doc = doc_open(side->store, space, name, DUNLIN_CREATE);
  for (int i = 0; i < count; i++) assert_int_equal(put_int(doc, name, i), 1);
  dunlin_store_doc_close(doc);
}

static void introduce(struct side *host, const struct dunlin_id *space, struct side *guest) {
  struct exchange_identity identity;
  struct exchange_device device = {.name = "guest"};
  struct dunlin_id joined;
  struct buf welcome;
  exchange_identity(guest->store, &identity);
  device.device = identity.device;
  memcpy(device.noise_public, identity.noise_public, 32);
  memcpy(device.contact, identity.contact, 32);
  buf_init(&welcome, dunlin_env_default(), 1u << 20);
  OK(exchange_admit(host->store, space, &device, &welcome));
  OK(exchange_accept(guest->store, (struct dunlin_bytes){welcome.data, welcome.len}, "home", &joined));
  buf_free(&welcome);
}

static size_t carry(struct session *from, struct session *to) {
  struct dunlin_bytes out;
  session_output(from, 1, &out);
  size_t len = out.len;
  if (len) session_receive(to, 1, out.data, len);
  session_sent(from, len);
  return len;
}

/* One conversation; the error of either side. */
static int talk(struct side *a, struct side *b, bool *in_sync) {
  struct session *calling = NULL, *called = NULL;
  struct exchange_identity callee;
  struct dunlin_node_event event;
  struct session_config config = {.store = a->store, .address = "peer", .initiator = true, .handshake_ms = 5000};
  exchange_identity(b->store, &callee);
  memcpy(config.psk, callee.contact, 32);
  int r = session_new(&config, 1, &calling);
  config.store = b->store;
  config.initiator = false;
  if (!r) r = session_new(&config, 1, &called);
  for (size_t moved = 1; !r && moved;) moved = carry(calling, called) + carry(called, calling);
  *in_sync = false;
  while (called && session_next_event(called, &event)) *in_sync |= event.kind == DUNLIN_NODE_IN_SYNC;
  if (!r) r = session_error(calling) ? session_error(calling) : session_error(called);
  session_free(calling);
  session_free(called);
  return r;
}

/* `b` runs out of memory at its allocation `fail_at` of a conversation; gives how many it made. */
static uint64_t run_with(uint64_t fail_at, bool for_good) {
  struct side a, b;
  struct dunlin_id space, x, y;
  bool in_sync;
  make_side(&a, "rich");
  make_side(&b, "poor");
  OK(dunlin_space_new(a.store, "home", &space));
  introduce(&a, &space, &b);
  write_doc(&a, &space, "from a", 12);
  write_doc(&b, &space, "from b", 12);
  uint64_t before = b.seeded.allocations;
  b.seeded.fail_at = fail_at ? before + fail_at : 0;
  b.seeded.for_good = for_good;
  int r = talk(&a, &b, &in_sync);
  uint64_t made = b.seeded.allocations - before;
  b.seeded.fail_at = 0;
  /* A peer that has run out of memory says so when it still can, or is just gone. */
  if (r && r != DUNLIN_ENOMEM) fail_msg("allocation %llu: %s", (unsigned long long)fail_at, dunlin_error_name(r));
  if (!fail_at) assert_true(!r && in_sync);
  OK(talk(&a, &b, &in_sync));
  assert_true(in_sync);
  dunlin_store_doc *left = doc_open(a.store, &space, "from b", DUNLIN_READONLY);
  dunlin_store_doc *right = doc_open(b.store, &space, "from b", DUNLIN_READONLY);
  OK(dunlin_doc_hash(dunlin_store_doc_get(left), &x));
  OK(dunlin_doc_hash(dunlin_store_doc_get(right), &y));
  assert_memory_equal(&x, &y, sizeof x);
  dunlin_store_doc_close(left);
  dunlin_store_doc_close(right);
  assert_int_equal(dunlin_store_verify(b.store, print_fault, NULL), 0);
  OK(dunlin_store_close(a.store));
  OK(dunlin_store_close(b.store));
  assert_int_equal(a.seeded.live, 0);
  assert_int_equal(b.seeded.live, 0);
  place_remove(&a.place);
  place_remove(&b.place);
  return made;
}

static void every_allocation_fails(void **state) {
  (void)state;
  uint64_t all = run_with(0, false), runs = seed_count(300), step = all / runs + 1, tried = 0;
  assert_true(all > 100);
  for (uint64_t n = 1; n <= all; n += step, tried++)
    for (int for_good = 0; for_good < 2; for_good++) run_with(n, for_good);
  print_message("%llu of %llu allocations failed\n", (unsigned long long)tried, (unsigned long long)all);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
