/* Stores that were copied, set back, or whose author cheats: everybody keeps all that was written, and everybody
 * becomes equal.  The stores talk through sessions in memory. */
#include <sodium.h>

#include "crdt/doc.h"
#include "persist/run.h"
#include "persist/store.h"
#include "test/persist/store_support.h"
#include "transport/session.h"

#define FLEET 6

struct party {
  struct place place;
  dunlin_store *store; /* NULL: closed */
  dunlin_store_doc *doc;
  unsigned forked, copied, refused, in_sync; /* events */
};

struct fleet {
  struct party members[FLEET];
  size_t count;
  struct dunlin_id space;
};

/* ---- A fleet ----------------------------------------------------------------------------------------------------- */

static void open_member(struct fleet *f, struct party *m) {
  m->store = place_open(&m->place);
  if (dunlin_space_find(m->store, "home", &f->space)) return;
  m->doc = doc_open(m->store, &f->space, "x", DUNLIN_CREATE);
}

static void close_member(struct party *m) {
  dunlin_store_doc_close(m->doc);
  m->doc = NULL;
  OK(dunlin_store_close(m->store));
  m->store = NULL;
}

static struct exchange_identity identity_of(const struct party *m) {
  struct exchange_identity identity;
  exchange_identity(m->store, &identity);
  return identity;
}

static void add_member(struct fleet *f, const char *name) {
  struct party *m = &f->members[f->count++];
  *m = (struct party){.place = place_in_memory()};
  place_create(&m->place, name);
  m->store = place_open(&m->place);
  if (f->count == 1) {
    OK(dunlin_space_new(m->store, "home", &f->space));
  } else {
    struct exchange_identity identity = identity_of(m);
    struct exchange_device device = {.device = identity.device};
    struct dunlin_id joined;
    struct buf welcome;
    memcpy(device.noise_public, identity.noise_public, 32);
    memcpy(device.contact, identity.contact, 32);
    memcpy(device.name, identity.name, sizeof identity.name);
    buf_init(&welcome, dunlin_env_default(), 1u << 20);
    OK(exchange_admit(f->members[0].store, &f->space, &device, &welcome));
    OK(exchange_accept(m->store, (struct dunlin_bytes){welcome.data, welcome.len}, "home", &joined));
    buf_free(&welcome);
  }
  m->doc = doc_open(m->store, &f->space, "x", DUNLIN_CREATE);
}

/* Another member that is a copy of `from`, byte for byte. */
static struct party *clone_member(struct fleet *f, struct party *from) {
  char command[1400];
  struct party *m = &f->members[f->count++];
  *m = (struct party){.place = place_in_memory()};
  close_member(from);
  snprintf(command, sizeof command, "cp -r %s/. %s", from->place.root, m->place.root);
  assert_int_equal(system(command), 0);
  open_member(f, from);
  open_member(f, m);
  return m;
}

static void fleet_free(struct fleet *f) {
  for (size_t i = 0; i < f->count; i++) {
    struct party *m = &f->members[i];
    assert_int_equal(dunlin_store_verify(m->store, print_fault, NULL), 0);
    close_member(m);
    place_remove(&m->place);
  }
}

/* ---- Talking ----------------------------------------------------------------------------------------------------- */

static size_t carry(struct session *from, struct session *to, uint64_t now) {
  struct dunlin_bytes out;
  session_output(from, now, &out);
  size_t len = out.len;
  if (len) session_receive(to, now, out.data, len);
  session_sent(from, len);
  return len;
}

static void count_events(struct party *m, struct session *s) {
  struct dunlin_node_event event;
  while (session_next_event(s, &event)) {
    m->forked += event.kind == DUNLIN_NODE_FORKED;
    m->copied += event.kind == DUNLIN_NODE_COPIED;
    m->refused += event.kind == DUNLIN_NODE_REFUSED;
    m->in_sync += event.kind == DUNLIN_NODE_IN_SYNC;
  }
}

/* One conversation until nothing more is said; returns the bytes of it.  Both must end in step, unless one has not
 * heard yet that the other is a member: then 0. */
static size_t talk(struct party *a, struct party *b) {
  struct session *calling = NULL, *called = NULL;
  struct exchange_identity callee = identity_of(b);
  struct session_config config = {.store = a->store, .address = "peer", .initiator = true, .handshake_ms = 5000};
  size_t bytes = 0, moved;
  memcpy(config.psk, callee.contact, sizeof config.psk);
  OK(session_new(&config, 1, &calling));
  config.store = b->store;
  config.initiator = false;
  OK(session_new(&config, 1, &called));
  a->in_sync = b->in_sync = 0;
  do {
    moved = carry(calling, called, 1) + carry(called, calling, 1);
    count_events(a, calling);
    count_events(b, called);
    bytes += moved;
  } while (moved);
  bool strangers = session_error(calling) == DUNLIN_ESTRANGER;
  if (!strangers && (session_over(calling) || session_over(called)))
    fail_msg("the conversation ended: %s%s", session_why(calling), session_why(called));
  assert_true(strangers || (a->in_sync > 0 && b->in_sync > 0));
  session_free(calling);
  session_free(called);
  OK(dunlin_store_doc_pull(a->doc, NULL));
  OK(dunlin_store_doc_pull(b->doc, NULL));
  return strangers ? 0 : bytes;
}

/* Everybody with everybody of another device, until all must know all. */
static void talk_all(struct fleet *f) {
  for (int round = 0; round < 3; round++)
    for (size_t i = 0; i < f->count; i++)
      for (size_t k = i + 1; k < f->count; k++) {
        struct exchange_identity a = identity_of(&f->members[i]), b = identity_of(&f->members[k]);
        if (id_compare(&a.device, &b.device)) talk(&f->members[i], &f->members[k]);
      }
}

static void assert_equal(struct fleet *f) {
  for (size_t i = 1; i < f->count; i++)
    assert_same_doc(dunlin_store_doc_get(f->members[0].doc), dunlin_store_doc_get(f->members[i].doc));
}

static bool has_key(const struct party *m, const char *key) {
  struct dunlin_value value;
  return !dunlin_map_get(dunlin_store_doc_get(m->doc), DUNLIN_ROOT, dunlin_key(key), &value);
}

static size_t most_branches(const struct party *m, const struct dunlin_id *space) {
  struct exchange_log log;
  size_t most = 0;
  for (size_t i = 0; !exchange_log(m->store, space, i, &log); i++) {
    size_t branches = exchange_branches(m->store, &log.name);
    if (branches > most) most = branches;
  }
  return most;
}

/* ---- Scenarios --------------------------------------------------------------------------------------------------- */

/* One device's store is copied, both go on, and each tells another peer. */
static void equivocation(void **state) {
  (void)state;
  struct fleet f = {.count = 0};
  add_member(&f, "owner");
  add_member(&f, "left");
  add_member(&f, "right");
  struct party *owner = &f.members[0], *left = &f.members[1], *right = &f.members[2];
  assert_int_equal(put_int(owner->doc, "before", 1), 1);
  talk(left, owner);
  struct party *copy = clone_member(&f, owner);
  assert_int_equal(put_int(owner->doc, "here", 1), 1);
  assert_int_equal(put_int(copy->doc, "there", 1), 1);
  talk(owner, left);
  talk(copy, right);
  assert_false(has_key(left, "there"));
  talk(left, right);
  assert_int_equal(left->forked + right->forked, 2); /* each hears of the other's branch */
  assert_true(has_key(left, "there") && has_key(left, "here") && has_key(right, "here"));
  assert_int_equal(most_branches(left, &f.space), 2);
  talk_all(&f);
  assert_equal(&f);
  assert_true(owner->copied && copy->copied);
  assert_true(has_key(owner, "there") && has_key(copy, "here"));
  /* Both go on, as two writers from now on. */
  assert_int_equal(put_int(owner->doc, "more", 1), 1);
  assert_int_equal(put_int(copy->doc, "even more", 1), 1);
  talk_all(&f);
  assert_equal(&f);
  for (size_t i = 0; i < f.count; i++) {
    assert_true(has_key(&f.members[i], "more") && has_key(&f.members[i], "even more"));
    assert_int_equal(most_branches(&f.members[i], &f.space), 2);
  }
  /* And all of it is there after opening again. */
  close_member(left);
  open_member(&f, left);
  assert_int_equal(most_branches(left, &f.space), 2);
  assert_equal(&f);
  fleet_free(&f);
}

/* An old data file is put back in place: what was told to others comes back, and the next commit is by a new actor. */
static void in_place_restore(void **state) {
  (void)state;
  struct fleet f = {.count = 0};
  char command[1400];
  add_member(&f, "owner");
  add_member(&f, "peer");
  struct party *owner = &f.members[0], *peer = &f.members[1];
  assert_int_equal(put_int(owner->doc, "a", 1), 1);
  close_member(owner);
  snprintf(command, sizeof command, "cp %s/data.mdb %s/old", owner->place.dir, owner->place.root);
  assert_int_equal(system(command), 0);
  open_member(&f, owner);
  struct dunlin_actor actor = dunlin_store_doc_actor(owner->doc);
  for (int i = 0; i < 5; i++) assert_int_equal(put_int(owner->doc, "b", i), 1);
  talk(owner, peer);
  close_member(owner);
  snprintf(command, sizeof command, "cat %s/old > %s/data.mdb", owner->place.root, owner->place.dir);
  assert_int_equal(system(command), 0);
  open_member(&f, owner);
  assert_false(has_key(owner, "b"));
  talk(owner, peer); /* before the next commit */
  assert_int_equal(owner->copied, 1);
  assert_int_equal(get_int(owner->doc, "b"), 4);
  assert_int_equal(put_int(owner->doc, "c", 1), 1);
  struct dunlin_actor now = dunlin_store_doc_actor(owner->doc);
  assert_memory_not_equal(&now, &actor, sizeof now);
  talk(owner, peer);
  assert_equal(&f);
  assert_int_equal(most_branches(peer, &f.space), 1); /* nothing was written twice */
  fleet_free(&f);
}

/* Set back, and written to before anybody is met: a branch; the acknowledgements of what is gone count for nothing. */
static void restored_and_written(void **state) {
  (void)state;
  struct fleet f = {.count = 0};
  add_member(&f, "owner");
  add_member(&f, "peer");
  struct party *owner = &f.members[0], *peer = &f.members[1];
  assert_int_equal(put_int(owner->doc, "a", 1), 1);
  talk(owner, peer);
  struct party *old = clone_member(&f, owner);
  for (int i = 0; i < 3; i++) assert_int_equal(put_int(owner->doc, "b", i), 1);
  talk(owner, peer);
  for (int i = 0; i < 3; i++) assert_int_equal(put_int(old->doc, "c", i), 1);
  struct exchange_identity identity = identity_of(peer);
  assert_int_equal(exchange_unacknowledged(old->store, &identity.device), 3);
  talk(old, peer);
  assert_int_equal(exchange_unacknowledged(old->store, &identity.device), 0);
  assert_int_equal(peer->forked, 1);
  talk_all(&f);
  assert_equal(&f);
  assert_int_equal(get_int(peer->doc, "b"), 2);
  assert_int_equal(get_int(peer->doc, "c"), 2);
  fleet_free(&f);
}

/* Three copies, and the fork lies deep: a peer that lacks only one branch gets that alone. */
static void three_ways_and_deep(void **state) {
  (void)state;
  struct fleet f = {.count = 0};
  add_member(&f, "owner");
  add_member(&f, "peer");
  struct party *owner = &f.members[0], *peer = &f.members[1];
  assert_int_equal(put_int(owner->doc, "a", 1), 1);
  struct party *second = clone_member(&f, owner), *third = clone_member(&f, second);
  for (int i = 0; i < 40; i++) {
    assert_int_equal(put_int(owner->doc, "one", i), 1);
    assert_int_equal(put_int(second->doc, "two", i), 1);
    if (i < 20) assert_int_equal(put_int(third->doc, "three", i), 1);
  }
  talk(owner, peer);
  size_t bytes = talk(third, peer);
  assert_true(bytes < 40000); /* 40 runs one way, 20 the other, and not those again that both have */
  talk(second, peer);
  talk_all(&f);
  assert_equal(&f);
  assert_int_equal(most_branches(peer, &f.space), 3);
  assert_int_equal(get_int(peer->doc, "three"), 19);
  fleet_free(&f);
}

/* ---- An author who cheats ---------------------------------------------------------------------------------------- */

struct forger {
  struct party *self;
  struct log_name name;
  struct log_keys keys;
  uint8_t heads[RUN_MAX_HEADS * 32];
  size_t heads_len;
  struct dunlin_id doc;
};

/* With the keys of a member, writes what it likes as `actor`. */
static struct forger forger_of(struct fleet *f, struct party *m, uint8_t actor) {
  struct forger forger = {.self = m};
  dunlin_store *store = m->store;
  forger.name = (struct log_name){.space = f->space, .device = store->device.self.device, .lane = LANE_NORMAL};
  memset(forger.name.actor.bytes, actor, sizeof forger.name.actor.bytes);
  pthread_mutex_lock(&store->index.lock);
  const struct space *space = index_space(&store->index, &f->space);
  log_keys_derive(&forger.keys, &space->keys, &forger.name);
  forger.heads_len = space_heads(space, forger.heads);
  pthread_mutex_unlock(&store->index.lock);
  const struct dunlin_bytes parts[] = {{f->space.bytes, 32}, {"x", 1}};
  forger.doc = env_hash(store->env, "dunlin.doc.1", parts, 2);
  return forger;
}

struct made_change {
  struct dunlin_id id;
  uint8_t bytes[256];
  size_t len;
};

static int take_change(void *ctx, const struct dunlin_id *id, struct dunlin_bytes change) {
  struct made_change *made = ctx;
  made->id = *id;
  made->len = change.len;
  memcpy(made->bytes, change.data, change.len);
  return 0;
}

/* Changes 0, 1, ... of the actor on a document of its own; from number `from` on they are what `value` says. */
static void make_changes(const struct forger *forger, int value, size_t from, struct made_change *out, size_t count) {
  dunlin_doc *doc = NULL;
  OK(dunlin_doc_new(NULL, &forger->doc, &forger->name.actor, &doc));
  for (size_t i = 0; i < count; i++) {
    char key[32];
    snprintf(key, sizeof key, "forged %zu", i);
    dunlin_doc_on_commit(doc, take_change, &out[i]);
    OK(dunlin_begin(doc));
    dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), int_value(i < from ? 1 : value));
    OK(dunlin_commit(doc, 0, NULL));
  }
  dunlin_doc_free(doc);
}

/* Seals changes first..first+count-1 (from 1) as a run after `before`, and moves that to its end. */
static void forge_run(const struct forger *forger, const struct made_change *changes, uint64_t first, size_t count,
                      struct dunlin_id *before, struct buf *sealed) {
  struct run_entry entries[8];
  struct buf raw;
  assert_true(count <= 8);
  for (size_t i = 0; i < count; i++) {
    const struct made_change *change = &changes[first - 1 + i];
    entries[i] = (struct run_entry){.doc = forger->doc, .heads = forger->heads, .heads_len = forger->heads_len};
    entries[i].change.id = change->id;
    entries[i].change.bytes = (struct dunlin_bytes){change->bytes, change->len};
  }
  buf_init(&raw, dunlin_env_default(), DUNLIN_MAX_RAW);
  buf_clear(sealed);
  OK(run_write(&raw, entries, count, before));
  OK(seal_run(sealed, &forger->keys, &forger->name, first, (uint32_t)count, before,
              forger->self->store->device.sign_secret, (struct dunlin_bytes){raw.data, raw.len}));
  buf_free(&raw);
}

static int ingest(struct party *to, const struct forger *forger, const struct buf *sealed) {
  return exchange_ingest(to->store, &forger->name, &(struct dunlin_bytes){sealed->data, sealed->len}, 1);
}

/* The same entries signed at other cuts stop nobody, and what follows them finds its place. */
static void overlapping_runs(void **state) {
  (void)state;
  struct fleet f = {.count = 0};
  add_member(&f, "owner");
  add_member(&f, "peer");
  struct party *owner = &f.members[0], *peer = &f.members[1];
  struct forger forger = forger_of(&f, owner, 9);
  struct made_change changes[6];
  make_changes(&forger, 1, 0, changes, 6);
  struct dunlin_id start = chain_start(&forger.name), at = start, after2, after4;
  struct buf run12, run34, run14, run24, run56, run15;
  struct buf *all[] = {&run12, &run34, &run14, &run24, &run56, &run15};
  for (size_t i = 0; i < 6; i++) buf_init(all[i], dunlin_env_default(), DUNLIN_MAX_SEALED);
  struct dunlin_id first = start;
  forge_run(&forger, changes, 1, 2, &at, &run12);
  after2 = at;
  forge_run(&forger, changes, 3, 2, &at, &run34);
  after4 = at;
  forge_run(&forger, changes, 5, 2, &at, &run56);
  at = start;
  forge_run(&forger, changes, 1, 4, &at, &run14);
  assert_memory_equal(&at, &after4, sizeof at);
  first = chain_next(&start, &changes[0].id, forger.heads, forger.heads_len);
  forge_run(&forger, changes, 2, 3, &first, &run24);
  at = start;
  forge_run(&forger, changes, 1, 5, &at, &run15);

  assert_int_equal(ingest(peer, &forger, &run12), 1);
  assert_int_equal(ingest(peer, &forger, &run24), 1); /* goes on in the middle of what is held */
  assert_int_equal(ingest(peer, &forger, &run34), 0); /* held */
  assert_int_equal(ingest(peer, &forger, &run14), 0);
  assert_int_equal(ingest(peer, &forger, &run56), 1);
  assert_int_equal(ingest(peer, &forger, &run15), 0);
  assert_int_equal(exchange_branches(peer->store, &forger.name), 1);
  OK(dunlin_store_doc_pull(peer->doc, NULL));
  assert_true(has_key(peer, "forged 5"));

  /* Another store has got them by other cuts; both become equal. */
  add_member(&f, "third");
  struct party *third = &f.members[2];
  assert_int_equal(ingest(third, &forger, &run14), 1);
  talk(owner, peer);
  assert_true(talk(third, peer) > 0);
  talk_all(&f);
  assert_equal(&f);
  struct exchange_log log;
  OK(exchange_log_find(third->store, &forger.name, &log));
  assert_int_equal(log.count, 6);
  assert_int_equal(exchange_branches(third->store, &forger.name), 1);

  /* A branch that leaves from the middle of a run. */
  struct made_change others[6];
  make_changes(&forger, 2, 3, others, 6);
  at = chain_next(&after2, &changes[2].id, forger.heads, forger.heads_len);
  forge_run(&forger, others, 4, 2, &at, &run34);
  assert_int_equal(ingest(third, &forger, &run34), 1);
  assert_int_equal(exchange_branches(third->store, &forger.name), 2);
  talk_all(&f);
  assert_equal(&f);
  close_member(third);
  open_member(&f, third);
  assert_int_equal(exchange_branches(third->store, &forger.name), 2);
  assert_equal(&f);
  for (size_t i = 0; i < 6; i++) buf_free(all[i]);
  fleet_free(&f);
}

/* One branch more than is kept is refused; everything else goes on. */
static void too_many_branches(void **state) {
  (void)state;
  struct fleet f = {.count = 0};
  add_member(&f, "owner");
  add_member(&f, "peer");
  struct party *owner = &f.members[0], *peer = &f.members[1];
  struct forger forger = forger_of(&f, owner, 7);
  struct buf sealed;
  buf_init(&sealed, dunlin_env_default(), DUNLIN_MAX_SEALED);
  for (int i = 0; i <= (int)LOG_MAX_BRANCHES; i++) {
    struct made_change change;
    struct dunlin_id at = chain_start(&forger.name);
    make_changes(&forger, i, 0, &change, 1);
    forge_run(&forger, &change, 1, 1, &at, &sealed);
    int r = ingest(i % 2 ? owner : peer, &forger, &sealed);
    assert_int_equal(r, 1);
  }
  size_t before = exchange_branches(owner->store, &forger.name) + exchange_branches(peer->store, &forger.name);
  assert_int_equal(before, LOG_MAX_BRANCHES + 1);
  struct made_change change;
  for (int i = 100; i < 100 + (int)LOG_MAX_BRANCHES; i++) {
    struct dunlin_id at = chain_start(&forger.name);
    make_changes(&forger, i, 0, &change, 1);
    forge_run(&forger, &change, 1, 1, &at, &sealed);
    int r = ingest(peer, &forger, &sealed);
    assert_int_equal(r, exchange_branches(peer->store, &forger.name) <= LOG_MAX_BRANCHES && r == 1 ? 1 : DUNLIN_ELIMIT);
  }
  assert_int_equal(exchange_branches(peer->store, &forger.name), LOG_MAX_BRANCHES);
  FAILS(ingest(peer, &forger, &sealed), DUNLIN_ELIMIT);
  assert_int_equal(put_int(peer->doc, "alive", 1), 1);
  buf_free(&sealed);
  fleet_free(&f);
}

/* ---- Anything goes ----------------------------------------------------------------------------------------------- */

struct saved {
  struct place place;
  bool there;
};

static void save(struct fleet *f, struct party *m, struct saved *saved) {
  char command[1400];
  if (!saved->there) saved->place = place_in_memory();
  close_member(m);
  snprintf(command, sizeof command, "cp -r %s/. %s", m->place.root, saved->place.root);
  assert_int_equal(system(command), 0);
  saved->there = true;
  open_member(f, m);
}

/* Set back to what was saved of it, or of another: then it is a copy of that one. */
static void restore(struct fleet *f, struct party *m, const struct saved *saved) {
  char command[1400];
  close_member(m);
  snprintf(command, sizeof command, "cp -r %s/. %s", saved->place.root, m->place.root);
  assert_int_equal(system(command), 0);
  open_member(f, m);
}

static void random_copies(void **state) {
  (void)state;
  for (uint64_t seed = seed_first(), end = seed + seed_count(6); seed < end; seed++) {
    struct rng rng = rng_of(seed);
    struct fleet f = {.count = 0};
    struct saved saved[2] = {{.there = false}};
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    for (int i = 0; i < 4; i++) add_member(&f, "member");
    talk_all(&f);
    for (int step = 0; step < 60; step++) {
      struct party *m = &f.members[rng_below(&rng, 4)], *other = &f.members[rng_below(&rng, 4)];
      char key[16];
      snprintf(key, sizeof key, "key %d", step);
      switch (rng_below(&rng, 10)) {
        case 0: save(&f, m, &saved[rng_below(&rng, 2)]); break;
        case 1: {
          const struct saved *from = &saved[rng_below(&rng, 2)];
          if (from->there && m != &f.members[0]) restore(&f, m, from);
          break;
        }
        case 2:
        case 3: {
          struct exchange_identity a = identity_of(m), b = identity_of(other);
          if (id_compare(&a.device, &b.device)) talk(m, other);
          break;
        }
        default: assert_int_equal(put_int(m->doc, key, step), 1);
      }
    }
    add_member(&f, "newcomer"); /* copies of one device do not talk to each other; this one talks to all */
    talk_all(&f);
    assert_equal(&f);
    for (int i = 0; i < 2; i++)
      if (saved[i].there) place_remove(&saved[i].place);
    fleet_free(&f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equivocation),        cmocka_unit_test(in_place_restore), cmocka_unit_test(restored_and_written),
      cmocka_unit_test(three_ways_and_deep), cmocka_unit_test(overlapping_runs), cmocka_unit_test(too_many_branches),
      cmocka_unit_test(random_copies),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
