/* Two stores in one process, without a network: invitations, membership, runs copied from one to the other, and every
 * way in which what is copied can be wrong. */
#include <pthread.h>

#include "persist/exchange.h"
#include "test/persist/store_support.h"

struct pair {
  struct place places[2];
  dunlin_store *host, *guest;
  struct dunlin_id space;
};

static struct exchange_device device_of(dunlin_store *store) {
  struct exchange_identity identity;
  struct exchange_device device;
  exchange_identity(store, &identity);
  device.device = identity.device;
  memcpy(device.noise_public, identity.noise_public, 32);
  memcpy(device.contact, identity.contact, 32);
  memcpy(device.name, identity.name, sizeof device.name);
  return device;
}

static void introduce(dunlin_store *host, const struct dunlin_id *space, dunlin_store *guest, const char *alias) {
  struct exchange_device device = device_of(guest);
  struct dunlin_id joined;
  struct buf welcome;
  buf_init(&welcome, dunlin_env_default(), 1 << 20);
  OK(exchange_admit(host, space, &device, &welcome));
  OK(exchange_accept(guest, (struct dunlin_bytes){welcome.data, welcome.len}, alias, &joined));
  assert_memory_equal(&joined, space, sizeof joined);
  buf_free(&welcome);
}

static struct pair pair_new(void) {
  struct pair pair = {.places = {place_new(), place_new()}};
  place_create(&pair.places[0], "host");
  place_create(&pair.places[1], "guest");
  pair.host = place_open(&pair.places[0]);
  pair.guest = place_open(&pair.places[1]);
  OK(dunlin_space_new(pair.host, "home", &pair.space));
  introduce(pair.host, &pair.space, pair.guest, NULL);
  return pair;
}

static void pair_free(struct pair *pair) {
  assert_int_equal(dunlin_store_verify(pair->host, print_fault, NULL), 0);
  assert_int_equal(dunlin_store_verify(pair->guest, print_fault, NULL), 0);
  OK(dunlin_store_close(pair->host));
  OK(dunlin_store_close(pair->guest));
  for (int i = 0; i < 2; i++) place_remove(&pair->places[i]);
}

static int ingest_one(dunlin_store *to, const struct log_name *name, const struct buf *sealed) {
  struct dunlin_bytes run = {sealed->data, sealed->len};
  return exchange_ingest(to, name, &run, 1);
}

/* Copies what `to` lacks, run by run. */
static size_t copy_runs(dunlin_store *from, dunlin_store *to, const struct dunlin_id *space) {
  struct exchange_log log, mine;
  struct buf sealed;
  size_t copied = 0;
  buf_init(&sealed, dunlin_env_default(), DUNLIN_MAX_SEALED);
  OK(exchange_refresh(from));
  for (size_t i = 0; !exchange_log(from, space, i, &log); i++) {
    int r = exchange_log_find(to, &log.name, &mine);
    uint64_t have = r == DUNLIN_ENOENT ? 0 : mine.count;
    while (have < log.count) {
      struct seal_header header;
      OK(exchange_run(from, &log.name, have + 1, &sealed));
      OK(seal_header_read(sealed.data, sealed.len, &header));
      assert_int_equal(ingest_one(to, &log.name, &sealed), 1);
      assert_int_equal(ingest_one(to, &log.name, &sealed), 0); /* replayed: nothing new */
      have = header.first + header.count - 1;
      copied++;
    }
    OK(exchange_log_find(to, &log.name, &mine));
    assert_int_equal(mine.count, log.count);
    assert_memory_equal(&mine.tip, &log.tip, sizeof log.tip);
  }
  buf_free(&sealed);
  return copied;
}

static void round_trip(void **state) {
  (void)state;
  struct pair pair = pair_new();
  dunlin_store_doc *a = doc_open(pair.host, &pair.space, "todo", DUNLIN_CREATE);
  dunlin_store_doc *b = doc_open(pair.guest, &pair.space, "todo", DUNLIN_CREATE);
  dunlin_store_doc_mode(b, DUNLIN_GROUP);
  for (int i = 0; i < 30; i++) {
    assert_int_equal(put_int(a, "same", i), 1);
    assert_int_equal(put_int(b, "same", 100 + i), 1);
    assert_int_equal(put_int(b, "b", i), 1);
  }
  OK(dunlin_store_flush(pair.guest));
  assert_true(copy_runs(pair.host, pair.guest, &pair.space) > 1);
  assert_true(copy_runs(pair.guest, pair.host, &pair.space) > 1);
  assert_int_equal(copy_runs(pair.host, pair.guest, &pair.space), 0);
  OK(dunlin_store_doc_pull(a, NULL));
  OK(dunlin_store_doc_pull(b, NULL));
  assert_int_equal(dunlin_doc_changes(dunlin_store_doc_get(a)), 90);
  assert_same_doc(dunlin_store_doc_get(a), dunlin_store_doc_get(b));
  dunlin_store_doc_close(a);
  dunlin_store_doc_close(b);

  /* The same after a new start. */
  OK(dunlin_store_close(pair.guest));
  pair.guest = place_open(&pair.places[1]);
  a = doc_open(pair.host, &pair.space, "todo", DUNLIN_READONLY);
  b = doc_open(pair.guest, &pair.space, "todo", DUNLIN_READONLY);
  assert_same_doc(dunlin_store_doc_get(a), dunlin_store_doc_get(b));
  dunlin_store_doc_close(a);
  dunlin_store_doc_close(b);
  pair_free(&pair);
}

static void the_two_are_members(const struct pair *pair) {
  struct dunlin_id host = device_of(pair->host).device;
  struct dunlin_member member;
  struct exchange_device device;
  OK(dunlin_space_member(pair->guest, &pair->space, 0, &member));
  assert_string_equal(member.name, "host");
  assert_int_equal(member.role, DUNLIN_OWNER);
  assert_false(member.self);
  OK(dunlin_space_member(pair->guest, &pair->space, 1, &member));
  assert_int_equal(member.role, DUNLIN_WRITER);
  assert_true(member.self);
  FAILS(dunlin_space_member(pair->guest, &pair->space, 2, &member), DUNLIN_ENOENT);
  OK(exchange_device(pair->guest, 0, &device));
  assert_memory_equal(&device.device, &host, sizeof host);
  FAILS(exchange_device(pair->guest, 1, &device), DUNLIN_ENOENT);
}

/* Only the owner grants and invites. */
static void only_the_owner_admits(const struct pair *pair, struct buf *ops) {
  char line[DUNLIN_INVITATION_MAX];
  struct dunlin_id space, host = device_of(pair->host).device;
  struct exchange_device device = device_of(pair->guest);
  device.device.bytes[0] ^= 1;
  FAILS(exchange_admit(pair->guest, &pair->space, &device, ops), DUNLIN_EPERM);
  FAILS(dunlin_invite(pair->guest, &pair->space, "h:1", 1000, line), DUNLIN_EPERM);
  OK(exchange_common_space(pair->guest, &host, 0, &space));
  assert_memory_equal(&space, &pair->space, sizeof space);
  FAILS(exchange_common_space(pair->guest, &host, 1, &space), DUNLIN_ENOENT);
}

static void membership(void **state) {
  (void)state;
  struct pair pair = pair_new();
  struct place third = place_new();
  struct dunlin_id hash_a, hash_b, space;
  struct buf ops;
  buf_init(&ops, dunlin_env_default(), 1 << 20);
  the_two_are_members(&pair);

  /* A third device joins: the guest learns of it from the operations alone. */
  place_create(&third, "third");
  dunlin_store *store = place_open(&third);
  OK(dunlin_space_new(store, "home", &space)); /* its own space of that name is there already */
  introduce(pair.host, &pair.space, store, NULL);
  struct dunlin_space_info info;
  OK(dunlin_space_at(store, 1, &info));
  assert_string_equal(info.alias, "home-2");
  OK(exchange_members_hash(pair.host, &pair.space, &hash_a));
  OK(exchange_members_hash(pair.guest, &pair.space, &hash_b));
  assert_memory_not_equal(&hash_a, &hash_b, sizeof hash_a);

  /* Its runs carry heads that the guest does not know yet. */
  dunlin_store_doc *doc = doc_open(store, &pair.space, "x", DUNLIN_CREATE);
  struct exchange_log log;
  struct buf sealed;
  buf_init(&sealed, dunlin_env_default(), DUNLIN_MAX_SEALED);
  OK(exchange_log(store, &pair.space, 0, &log));
  OK(exchange_run(store, &log.name, 1, &sealed));
  FAILS(ingest_one(pair.guest, &log.name, &sealed), DUNLIN_EAUTH); /* not a member, as far as the guest knows */
  dunlin_store_doc *own = doc_open(pair.host, &pair.space, "x", DUNLIN_CREATE);
  struct exchange_log host_log;
  struct buf host_run;
  buf_init(&host_run, dunlin_env_default(), DUNLIN_MAX_SEALED);
  OK(exchange_log(pair.host, &pair.space, 0, &host_log));
  OK(exchange_run(pair.host, &host_log.name, 1, &host_run));
  FAILS(ingest_one(pair.guest, &host_log.name, &host_run), DUNLIN_ENOENT); /* unknown heads */

  OK(exchange_members_write(pair.host, &pair.space, &ops));
  struct dunlin_bytes message = {ops.data, ops.len};
  for (size_t i = ops.len * 2 / 3; i < ops.len; i++) { /* any change to the new one is refused, and changes nothing */
    ops.data[i] ^= 1;
    assert_true(exchange_members_read(pair.guest, &pair.space, message) < 0);
    ops.data[i] ^= 1;
  }
  OK(exchange_members_hash(pair.guest, &pair.space, &hash_b));
  assert_memory_not_equal(&hash_a, &hash_b, sizeof hash_a);
  assert_int_equal(exchange_members_read(pair.guest, &pair.space, message), 1);
  assert_int_equal(exchange_members_read(pair.guest, &pair.space, message), 0);
  OK(exchange_members_hash(pair.guest, &pair.space, &hash_b));
  assert_memory_equal(&hash_a, &hash_b, sizeof hash_a);
  assert_int_equal(ingest_one(pair.guest, &log.name, &sealed), 1);
  assert_int_equal(ingest_one(pair.guest, &host_log.name, &host_run), 1);

  only_the_owner_admits(&pair, &ops);
  dunlin_store_doc_close(doc);
  dunlin_store_doc_close(own);
  OK(dunlin_store_close(store));
  buf_free(&ops);
  buf_free(&sealed);
  buf_free(&host_run);
  place_remove(&third);
  pair_free(&pair);
}

static void invitations(void **state) {
  (void)state;
  struct pair pair = pair_new();
  struct dunlin_invitation invitation, again;
  struct dunlin_id space;
  char line[DUNLIN_INVITATION_MAX];
  uint8_t secrets[4][32], guest[32] = {1}, other[32] = {2};
  const int64_t hour = (int64_t)3600 * 1000000;
  int64_t now = dunlin_env_default()->now(NULL);
  OK(dunlin_invite(pair.host, &pair.space, "host.example:4711", hour, line));
  size_t len = strlen(line);
  OK(dunlin_invitation_parse(line, len, &invitation));
  assert_string_equal(invitation.address, "host.example:4711");
  assert_true(invitation.expires >= now + hour);
  char padded[DUNLIN_INVITATION_MAX + 8];
  snprintf(padded, sizeof padded, " \n%s\r\n ", line);
  OK(dunlin_invitation_parse(padded, strlen(padded), &again));
  assert_memory_equal(again.secret, invitation.secret, 32);
  for (size_t i = 0; i < len; i++) { /* every character counts, and the end too */
    char kept = line[i];
    line[i] = kept == 'A' ? 'B' : 'A';
    FAILS(dunlin_invitation_parse(line, len, &again), DUNLIN_EINVITE);
    FAILS(dunlin_invitation_parse(line, i, &again), DUNLIN_EINVITE);
    line[i] = kept;
  }
  FAILS(dunlin_invitation_parse("GET / HTTP/1.1", 14, &again), DUNLIN_EINVITE);

  assert_int_equal(exchange_invitation_secrets(pair.host, now, secrets, 4), 1);
  assert_memory_equal(secrets[0], invitation.secret, 32);
  assert_int_equal(exchange_invitation_secrets(pair.host, now + 2 * hour, secrets, 4), 0);
  FAILS(exchange_invitation_consume(pair.host, guest, guest, now, &space), DUNLIN_ENOENT);
  FAILS(exchange_invitation_consume(pair.host, invitation.secret, guest, now + 2 * hour, &space), DUNLIN_EEXPIRED);
  OK(exchange_invitation_consume(pair.host, invitation.secret, guest, now, &space));
  assert_memory_equal(&space, &pair.space, sizeof space);
  OK(dunlin_store_close(pair.host)); /* and it stays consumed */
  pair.host = place_open(&pair.places[0]);
  OK(exchange_invitation_consume(pair.host, invitation.secret, guest, now, &space));
  FAILS(exchange_invitation_consume(pair.host, invitation.secret, other, now, &space), DUNLIN_EUSED);

  for (unsigned i = 1; i < DUNLIN_MAX_INVITATIONS; i++) OK(dunlin_invite(pair.host, &pair.space, "h:1", hour, line));
  FAILS(dunlin_invite(pair.host, &pair.space, "h:1", hour, line), DUNLIN_ELIMIT);
  pair_free(&pair);
}

/* Each bit of the first bytes, and some of the rest; and each part. */
static void damage_is_refused(dunlin_store *store, const struct log_name *log, struct buf *run) {
  for (size_t bit = 0; bit < run->len * 8; bit += bit < 1000 ? 1 : 97) {
    run->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    assert_true(ingest_one(store, log, run) < 0);
    run->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  for (size_t len = 0; len < run->len; len++) {
    struct dunlin_bytes cut = {run->data, len};
    assert_true(exchange_ingest(store, log, &cut, 1) < 0);
  }
}

/* What is not exactly the next run of that log is refused, and nothing is written. */
static void forgeries(void **state) {
  (void)state;
  struct pair pair = pair_new();
  dunlin_store_doc *doc = doc_open(pair.host, &pair.space, "x", DUNLIN_CREATE);
  dunlin_store_doc *second = doc_open(pair.host, &pair.space, "x", 0);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(put_int(doc, "a", i), 1);
    assert_int_equal(put_int(second, "b", i), 1);
  }
  struct log_name logs[2] = {{.lane = LANE_NORMAL}, {.lane = LANE_NORMAL}};
  struct buf runs[2][4];
  for (int k = 0; k < 2; k++) {
    logs[k].space = pair.space;
    logs[k].device = device_of(pair.host).device;
    logs[k].actor = dunlin_store_doc_actor(k ? second : doc);
    for (int i = 0; i < 4; i++) {
      buf_init(&runs[k][i], dunlin_env_default(), DUNLIN_MAX_SEALED);
      OK(exchange_run(pair.host, &logs[k], (uint64_t)i + 1, &runs[k][i]));
    }
  }
  struct dunlin_store_info before, after;
  OK(dunlin_store_info(pair.guest, &before));
  FAILS(ingest_one(pair.guest, &logs[0], &runs[0][1]), DUNLIN_ENOENT); /* a gap */
  FAILS(ingest_one(pair.guest, &logs[0], &runs[1][0]), DUNLIN_EAUTH);  /* another log's */
  struct log_name wrong = logs[0];
  wrong.lane = LANE_BULK;
  FAILS(ingest_one(pair.guest, &wrong, &runs[0][0]), DUNLIN_EAUTH);
  wrong = logs[0];
  wrong.device = device_of(pair.guest).device; /* a member, but not its author */
  FAILS(ingest_one(pair.guest, &wrong, &runs[0][0]), DUNLIN_EAUTH);
  wrong.device.bytes[3] ^= 4;
  FAILS(ingest_one(pair.guest, &wrong, &runs[0][0]), DUNLIN_EAUTH);
  wrong = logs[0];
  wrong.space.bytes[0] ^= 1;
  FAILS(ingest_one(pair.guest, &wrong, &runs[0][0]), DUNLIN_ENOENT);
  struct dunlin_id elsewhere;
  OK(dunlin_space_new(pair.guest, "mine", &elsewhere));
  introduce(pair.guest, &elsewhere, pair.host, "yours");
  wrong.space = elsewhere;
  FAILS(ingest_one(pair.guest, &wrong, &runs[0][0]), DUNLIN_EAUTH); /* spliced into another space */

  damage_is_refused(pair.guest, &logs[0], &runs[0][0]);

  /* All or nothing. */
  struct dunlin_bytes list[4];
  for (int i = 0; i < 4; i++) list[i] = (struct dunlin_bytes){runs[0][i].data, runs[0][i].len};
  list[2] = (struct dunlin_bytes){runs[1][2].data, runs[1][2].len};
  FAILS(exchange_ingest(pair.guest, &logs[0], list, 4), DUNLIN_EAUTH);
  OK(dunlin_store_info(pair.guest, &after));
  assert_int_equal(after.runs, before.runs);
  list[2] = (struct dunlin_bytes){runs[0][2].data, runs[0][2].len};
  assert_int_equal(exchange_ingest(pair.guest, &logs[0], list, 4), 4);
  assert_int_equal(exchange_ingest(pair.guest, &logs[0], list, 4), 0);
  struct dunlin_id tip;
  struct exchange_log tips;
  OK(exchange_log_find(pair.guest, &logs[0], &tips));
  OK(exchange_entry(pair.guest, &logs[0], NULL, 4, &tip));
  assert_memory_equal(&tip, &tips.tip, sizeof tip);
  FAILS(exchange_entry(pair.guest, &logs[0], NULL, 5, &tip), DUNLIN_ENOENT);
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < 4; i++) buf_free(&runs[k][i]);
  dunlin_store_doc_close(doc);
  dunlin_store_doc_close(second);
  pair_free(&pair);
}

/* A store that was restored from a copy: its peer knows more of its own log.  It takes that in and writes on as
 * another. */
static void restored(void **state) {
  (void)state;
  struct pair pair = pair_new();
  char command[2048];
  dunlin_store_doc *doc = doc_open(pair.host, &pair.space, "x", DUNLIN_CREATE);
  assert_int_equal(put_int(doc, "a", 1), 1);
  struct dunlin_actor actor = dunlin_store_doc_actor(doc);
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(pair.host));
  snprintf(command, sizeof command, "cp -r %s %s.copy", pair.places[0].dir, pair.places[0].dir);
  assert_int_equal(system(command), 0);
  pair.host = place_open(&pair.places[0]);
  doc = doc_open(pair.host, &pair.space, "x", 0);
  assert_int_equal(put_int(doc, "b", 2), 1);
  dunlin_store_doc_close(doc);
  copy_runs(pair.host, pair.guest, &pair.space);
  OK(dunlin_store_close(pair.host));
  snprintf(command, sizeof command, "rm -r %s && mv %s.copy %s", pair.places[0].dir, pair.places[0].dir,
           pair.places[0].dir);
  assert_int_equal(system(command), 0);

  pair.host = place_open(&pair.places[0]);
  struct log_name name = {
      .space = pair.space, .device = device_of(pair.host).device, .actor = actor, .lane = LANE_NORMAL};
  struct buf sealed;
  buf_init(&sealed, dunlin_env_default(), DUNLIN_MAX_SEALED);
  OK(exchange_run(pair.guest, &name, 2, &sealed));
  doc = doc_open(pair.host, &pair.space, "x", 0);
  assert_int_equal(ingest_one(pair.host, &name, &sealed), 1);
  assert_int_equal(put_int(doc, "c", 3), 1); /* by the open handle, under a new actor */
  struct dunlin_actor now = dunlin_store_doc_actor(doc);
  assert_memory_not_equal(&now, &actor, sizeof now);
  OK(dunlin_store_doc_pull(doc, NULL));
  assert_int_equal(get_int(doc, "b"), 2);
  copy_runs(pair.host, pair.guest, &pair.space);
  dunlin_store_doc *other = doc_open(pair.guest, &pair.space, "x", 0);
  assert_same_doc(dunlin_store_doc_get(doc), dunlin_store_doc_get(other));
  dunlin_store_doc_close(doc);
  dunlin_store_doc_close(other);
  buf_free(&sealed);
  pair_free(&pair);
}

/* Two copies of a store that both went on: their peer keeps both branches.  More in fork_test.c. */
static void forked(void **state) {
  (void)state;
  struct pair pair = pair_new();
  struct place clone = place_new();
  char command[2048];
  dunlin_store_doc *doc = doc_open(pair.host, &pair.space, "x", DUNLIN_CREATE);
  assert_int_equal(put_int(doc, "a", 1), 1);
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(pair.host));
  snprintf(command, sizeof command, "cp -r %s %s && cp %s %s", pair.places[0].dir, clone.dir, pair.places[0].key,
           clone.key);
  assert_int_equal(system(command), 0);
  pair.host = place_open(&pair.places[0]);
  dunlin_store *copy = place_open(&clone);
  doc = doc_open(pair.host, &pair.space, "x", 0);
  dunlin_store_doc *other = doc_open(copy, &pair.space, "x", 0);
  assert_int_equal(put_int(doc, "b", 2), 1);
  assert_int_equal(put_int(other, "b", 3), 1);
  copy_runs(pair.host, pair.guest, &pair.space);
  struct log_name name = {.space = pair.space,
                          .device = device_of(pair.host).device,
                          .actor = dunlin_store_doc_actor(other),
                          .lane = LANE_NORMAL};
  struct buf sealed;
  buf_init(&sealed, dunlin_env_default(), DUNLIN_MAX_SEALED);
  OK(exchange_run(copy, &name, 2, &sealed));
  assert_int_equal(ingest_one(pair.guest, &name, &sealed), 1);
  assert_int_equal(exchange_branches(pair.guest, &name), 2);
  assert_int_equal(ingest_one(pair.guest, &name, &sealed), 0);
  buf_free(&sealed);
  dunlin_store_doc_close(doc);
  dunlin_store_doc_close(other);
  OK(dunlin_store_close(copy));
  place_remove(&clone);
  pair_free(&pair);
}

static void acknowledgements(void **state) {
  (void)state;
  struct pair pair = pair_new();
  struct dunlin_id guest = device_of(pair.guest).device;
  dunlin_store_doc *doc = doc_open(pair.host, &pair.space, "x", DUNLIN_CREATE);
  for (int i = 0; i < 9; i++) assert_int_equal(put_int(doc, "a", i), 1);
  dunlin_store_doc_close(doc);
  assert_int_equal(exchange_unacknowledged(pair.host, &guest), 10);
  struct exchange_log log;
  OK(exchange_log(pair.host, &pair.space, 1, &log));
  assert_int_equal(log.count, 9);
  exchange_acknowledged(pair.host, &guest, &log.branch, 5);
  exchange_acknowledged(pair.host, &guest, &log.branch, 3); /* an old one arrives late */
  assert_int_equal(exchange_unacknowledged(pair.host, &guest), 5);
  char copied[300], command[2048]; /* saved before long, and at close */
  snprintf(copied, sizeof copied, "%s/copy", pair.places[0].root);
  usleep(1500000);
  snprintf(command, sizeof command, "cp -r %s %s", pair.places[0].dir, copied);
  assert_int_equal(system(command), 0);
  exchange_acknowledged(pair.host, &guest, &log.branch, 6);
  OK(dunlin_store_close(pair.host));
  pair.host = place_open(&pair.places[0]);
  assert_int_equal(exchange_unacknowledged(pair.host, &guest), 4);
  exchange_acknowledged(pair.host, &guest, &log.branch, 4);
  OK(dunlin_store_close(pair.host));
  snprintf(command, sizeof command, "rm -r %s && mv %s %s", pair.places[0].dir, copied, pair.places[0].dir);
  assert_int_equal(system(command), 0);
  pair.host = place_open(&pair.places[0]);
  assert_int_equal(exchange_unacknowledged(pair.host, &guest), 5);
  pair_free(&pair);
}

static void signatures(void **state) {
  (void)state;
  struct pair pair = pair_new();
  struct dunlin_id host = device_of(pair.host).device, guest = device_of(pair.guest).device;
  uint8_t signature[64];
  struct dunlin_bytes data = {"handshake", 9}, other = {"handshakf", 9};
  exchange_sign(pair.host, data, signature);
  OK(exchange_check_signature(&host, data, signature));
  FAILS(exchange_check_signature(&guest, data, signature), DUNLIN_EAUTH);
  FAILS(exchange_check_signature(&host, other, signature), DUNLIN_EAUTH);
  pair_free(&pair);
}

/* ---- Threads ------------------------------------------------------------------------------------------------ */

static void count_wake(void *ctx) {
  __atomic_fetch_add((unsigned *)ctx, 1, __ATOMIC_RELAXED);
}

struct committer {
  dunlin_store *store;
  const struct dunlin_id *space;
  enum dunlin_commit_mode mode;
  int count, error;
};

static void *commit_many(void *ctx) {
  struct committer *c = ctx;
  dunlin_store_doc *doc = NULL;
  if (dunlin_store_doc_open(c->store, c->space, dunlin_key("x"), 0, &doc)) return NULL;
  dunlin_store_doc_mode(doc, c->mode);
  for (int i = 0; i < c->count && !c->error; i++) {
    c->error = put_int(doc, "n", i * 2 + (c->mode == DUNLIN_GROUP));
    if (c->error >= 0) c->error = dunlin_store_doc_pull(doc, NULL);
  }
  dunlin_store_doc_close(doc);
  return NULL;
}

static void *copy_thread(void *ctx) {
  struct pair *pair = ctx;
  copy_runs(pair->guest, pair->host, &pair->space);
  return NULL;
}

/* Two threads commit to a store while a third takes in a peer's runs. */
static void threads(void **state) {
  (void)state;
  struct pair pair = pair_new();
  unsigned wakes = 0;
  dunlin_store_doc *doc = doc_open(pair.host, &pair.space, "x", DUNLIN_CREATE);
  dunlin_store_doc *theirs = doc_open(pair.guest, &pair.space, "x", DUNLIN_CREATE);
  for (int i = 0; i < 100; i++) assert_int_equal(put_int(theirs, "g", i), 1);
  OK(exchange_subscribe(pair.host, count_wake, &wakes));
  struct committer committers[2] = {{pair.host, &pair.space, DUNLIN_DURABLE, 100, 0},
                                    {pair.host, &pair.space, DUNLIN_GROUP, 300, 0}};
  pthread_t ids[3];
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&ids[i], NULL, commit_many, &committers[i]), 0);
  assert_int_equal(pthread_create(&ids[2], NULL, copy_thread, &pair), 0);
  for (int i = 0; i < 3; i++) pthread_join(ids[i], NULL);
  for (int i = 0; i < 2; i++) OK(committers[i].error);
  OK(dunlin_store_flush(pair.host));
  exchange_unsubscribe(pair.host, count_wake, &wakes);
  assert_true(__atomic_load_n(&wakes, __ATOMIC_RELAXED) > 100);
  OK(dunlin_store_doc_pull(doc, NULL));
  assert_int_equal(dunlin_doc_changes(dunlin_store_doc_get(doc)), 500);
  copy_runs(pair.host, pair.guest, &pair.space);
  OK(dunlin_store_doc_pull(theirs, NULL));
  assert_same_doc(dunlin_store_doc_get(doc), dunlin_store_doc_get(theirs));
  dunlin_store_doc_close(doc);
  dunlin_store_doc_close(theirs);
  pair_free(&pair);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(round_trip),       cmocka_unit_test(membership), cmocka_unit_test(invitations),
      cmocka_unit_test(forgeries),        cmocka_unit_test(restored),   cmocka_unit_test(forked),
      cmocka_unit_test(acknowledgements), cmocka_unit_test(signatures), cmocka_unit_test(threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
