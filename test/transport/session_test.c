/* Two sessions in memory over two real stores: joining, converging, cuts, replay, hostile peers. */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "persist/exchange.h"
#include "support.h"
#include "transport/session.h"

/* ---- A wire in memory -------------------------------------------------------------------------------------------- */

/* Bytes on their way in one direction, and all that ever were (for replay and for the canary). */
struct pipe {
  struct buf all;
  size_t taken;
};

struct wire {
  struct session *sessions[2]; /* 0 calls 1 */
  struct pipe pipes[2];        /* what 0 and 1 have sent */
  uint64_t now;
  size_t budget; /* bytes until the wire is cut; SIZE_MAX: never */
  unsigned seen[2][16];
  int event_error[2];
};

static void wire_open(struct wire *w, struct device *caller, struct device *callee, const uint8_t psk[32],
                      const struct dunlin_invitation *invitation) {
  *w = (struct wire){.now = 1000, .budget = SIZE_MAX};
  struct session_config config = {
      .store = caller->store, .address = "callee:1", .initiator = true, .invitation = invitation, .handshake_ms = 5000};
  memcpy(config.psk, psk, 32);
  assert_int_equal(session_new(&config, w->now, &w->sessions[0]), 0);
  config = (struct session_config){.store = callee->store, .address = "caller:2", .handshake_ms = 5000};
  assert_int_equal(session_new(&config, w->now, &w->sessions[1]), 0);
  for (int i = 0; i < 2; i++) buf_init(&w->pipes[i].all, dunlin_env_default(), 64u << 20);
}

static void wire_close(struct wire *w) {
  for (int i = 0; i < 2; i++) {
    session_free(w->sessions[i]);
    buf_free(&w->pipes[i].all);
  }
}

static void take_events(struct wire *w, int i) {
  struct dunlin_node_event event;
  while (session_next_event(w->sessions[i], &event)) {
    w->seen[i][event.kind]++;
    if (event.error) w->event_error[i] = event.error;
  }
}

/* Moves a random part of what `from` has to say; whether there was anything. */
static bool move_some(struct wire *w, int from) {
  struct pipe *pipe = &w->pipes[from];
  struct dunlin_bytes out;
  session_output(w->sessions[from], w->now, &out);
  buf_append(&pipe->all, out.data, out.len);
  session_sent(w->sessions[from], out.len);
  size_t ready = pipe->all.len - pipe->taken;
  if (!ready) return false;
  size_t len = 1 + (size_t)rand() % (rand() % 4 ? ready : ready < 7 ? ready : 7);
  if (len > w->budget) len = w->budget;
  w->budget -= w->budget == SIZE_MAX ? 0 : len;
  uint8_t *piece = malloc(len ? len : 1); /* of its own, so that reading past it is seen */
  assert_non_null(piece);
  memcpy(piece, pipe->all.data + pipe->taken, len);
  pipe->taken += len;
  session_receive(w->sessions[1 - from], w->now, piece, len);
  free(piece);
  take_events(w, 0);
  take_events(w, 1);
  return len > 0;
}

/* Until both are silent (or the wire is cut, which both are told). */
static void run(struct wire *w) {
  for (int quiet = 0; quiet < 2 && w->budget;) {
    int from = rand() % 2;
    bool moved = move_some(w, from);
    if (!moved) moved = move_some(w, 1 - from);
    quiet = moved ? 0 : quiet + 1;
  }
  for (int i = 0; i < 2 && !w->budget; i++) session_eof(w->sessions[i], NULL);
}

static void assert_in_sync(struct wire *w) {
  for (int i = 0; i < 2; i++) {
    if (session_over(w->sessions[i])) fail_msg("side %d ended: %s", i, session_why(w->sessions[i]));
    assert_true(w->seen[i][DUNLIN_NODE_IN_SYNC] >= 1);
    assert_int_equal(w->event_error[i], 0);
  }
}

/* ---- Pairs of devices -------------------------------------------------------------------------------------------- */

static const uint8_t *contact_of(struct device *d, uint8_t out[32]) {
  struct exchange_identity self;
  exchange_identity(d->store, &self);
  memcpy(out, self.contact, 32);
  return out;
}

#define HOUR ((int64_t)3600 * 1000000)

/* `guest` joins by the invitation; gives the wire, still open. */
static void join(struct wire *w, struct device *host, struct device *guest, const char *line) {
  struct dunlin_invitation invitation;
  assert_int_equal(dunlin_invitation_parse(line, strlen(line), &invitation), 0);
  wire_open(w, guest, host, invitation.secret, &invitation);
  run(w);
}

struct fixture {
  struct device a, b;
  struct dunlin_id space;
};

static int make_pair(void **state) {
  static struct fixture f;
  struct wire w;
  char line[DUNLIN_INVITATION_MAX];
  device_make(&f.a, "Ada");
  device_make(&f.b, "Bert");
  f.space = device_space(&f.a, "home");
  device_invite(&f.a, &f.space, "127.0.0.1:1", HOUR, line);
  join(&w, &f.a, &f.b, line);
  assert_in_sync(&w);
  assert_int_equal(w.seen[0][DUNLIN_NODE_JOINED], 1);
  assert_int_equal(w.seen[1][DUNLIN_NODE_GUEST], 1);
  wire_close(&w);
  *state = &f;
  return 0;
}

static int drop_pair(void **state) {
  struct fixture *f = *state;
  device_drop(&f->a);
  device_drop(&f->b);
  return 0;
}

static void call(struct wire *w, struct device *caller, struct device *callee) {
  uint8_t psk[32];
  wire_open(w, caller, callee, contact_of(callee, psk), NULL);
}

/* ---- Converging -------------------------------------------------------------------------------------------------- */

static void equal_stores_say_little(void **state) {
  struct fixture *f = *state;
  struct wire w;
  call(&w, &f->b, &f->a);
  run(&w);
  assert_in_sync(&w);
  /* Handshake, greetings and one summary each: no list of logs. */
  assert_true(w.pipes[0].all.len < 700 && w.pipes[1].all.len < 700);
  wire_close(&w);
}

static void converges(void **state) {
  struct fixture *f = *state;
  struct wire w;
  device_put(&f->a, &f->space, "todo", "from a", "1");
  device_put(&f->b, &f->space, "todo", "from b", "2");
  device_put_many(&f->a, &f->space, "many", 300, 20);
  device_put_many(&f->b, &f->space, "large", 12, 100000);
  call(&w, &f->a, &f->b);
  run(&w);
  assert_in_sync(&w);
  wire_close(&w);
  assert_true(device_has(&f->b, &f->space, "todo", "from a", "1"));
  assert_true(device_has(&f->a, &f->space, "todo", "from b", "2"));
  assert_true(same_hash(&f->a, &f->b, &f->space, "many"));
  assert_true(same_hash(&f->a, &f->b, &f->space, "large"));
}

static void live_changes(void **state) {
  struct fixture *f = *state;
  struct wire w;
  call(&w, &f->a, &f->b);
  run(&w);
  assert_in_sync(&w);
  for (int i = 0; i < 5; i++) {
    char value[16];
    snprintf(value, sizeof value, "live %d", i);
    unsigned before = w.seen[0][DUNLIN_NODE_IN_SYNC];
    device_put(i % 2 ? &f->a : &f->b, &f->space, "todo", "live", value);
    session_store_changed(w.sessions[i % 2 ? 0 : 1], w.now);
    run(&w);
    assert_true(w.seen[0][DUNLIN_NODE_IN_SYNC] > before);
    assert_true(device_has(i % 2 ? &f->b : &f->a, &f->space, "todo", "live", value));
  }
  assert_in_sync(&w);
  wire_close(&w);
}

/* Cut after a random number of bytes, again and again, while both go on writing; at last left alone. */
static void cuts_and_resumes(void **state) {
  struct fixture *f = *state;
  for (int round = 0; round < 40; round++) {
    struct wire w;
    if (round < 30) device_put_many(rand() % 2 ? &f->a : &f->b, &f->space, "cut", 1 + rand() % 20, 30);
    if (round % 10 == 5) device_put_many(&f->a, &f->space, "cut large", 4, 90000);
    call(&w, round % 2 ? &f->a : &f->b, round % 2 ? &f->b : &f->a);
    w.budget = round < 39 ? (size_t)rand() % (rand() % 2 ? 1500 : 100000) : SIZE_MAX;
    run(&w);
    if (round == 39) assert_in_sync(&w);
    wire_close(&w);
  }
  assert_true(same_hash(&f->a, &f->b, &f->space, "cut"));
  assert_true(same_hash(&f->a, &f->b, &f->space, "cut large"));
  assert_int_equal(exchange_unacknowledged(f->a.store, &(struct dunlin_id){{0}}), 0);
}

static void acknowledgements_arrive(void **state) {
  struct fixture *f = *state;
  struct wire w;
  struct dunlin_store_info a, b;
  assert_int_equal(dunlin_store_info(f->a.store, &a), 0);
  assert_int_equal(dunlin_store_info(f->b.store, &b), 0);
  device_put(&f->a, &f->space, "todo", "acked", "?");
  assert_true(exchange_unacknowledged(f->a.store, &b.device) > 0);
  call(&w, &f->a, &f->b);
  run(&w);
  assert_in_sync(&w);
  wire_close(&w);
  assert_int_equal(exchange_unacknowledged(f->a.store, &b.device), 0);
  assert_int_equal(exchange_unacknowledged(f->b.store, &a.device), 0);
}

/* ---- Joining ----------------------------------------------------------------------------------------------------- */

static void used_twice(void **state) {
  struct fixture *f = *state;
  struct device c, d;
  struct wire w;
  char line[DUNLIN_INVITATION_MAX];
  device_make(&c, "Carl");
  device_make(&d, "Dora");
  device_invite(&f->a, &f->space, "127.0.0.1:1", HOUR, line);
  join(&w, &f->a, &c, line);
  assert_in_sync(&w);
  wire_close(&w);
  join(&w, &f->a, &d, line);
  assert_true(session_over(w.sessions[0]) && session_over(w.sessions[1]));
  assert_int_equal(session_error(w.sessions[1]), DUNLIN_EUSED);
  assert_int_equal(session_error(w.sessions[0]), DUNLIN_EUSED);
  assert_non_null(strstr(session_why(w.sessions[0]), "used already"));
  assert_int_equal(w.seen[0][DUNLIN_NODE_JOINED], 0);
  wire_close(&w);
  join(&w, &f->a, &c, line); /* the same guest may come again */
  assert_in_sync(&w);
  wire_close(&w);
  device_drop(&c);
  device_drop(&d);
}

/* The guest's join is cut at every kind of place; the same line still works, and only for this guest. */
static void cut_joins(void **state) {
  struct fixture *f = *state;
  for (size_t budget = 20; budget < 2200; budget += 109) {
    struct device c;
    struct wire w;
    struct dunlin_invitation invitation;
    char line[DUNLIN_INVITATION_MAX];
    device_make(&c, "Carl");
    device_invite(&f->a, &f->space, "127.0.0.1:1", HOUR, line);
    assert_int_equal(dunlin_invitation_parse(line, strlen(line), &invitation), 0);
    wire_open(&w, &c, &f->a, invitation.secret, &invitation);
    w.budget = budget;
    run(&w);
    wire_close(&w);
    join(&w, &f->a, &c, line);
    assert_in_sync(&w);
    wire_close(&w);
    assert_true(same_hash(&f->a, &c, &f->space, "todo"));
    device_drop(&c);
  }
}

static void expired_or_wrong(void **state) {
  struct fixture *f = *state;
  struct device c;
  struct wire w;
  char line[DUNLIN_INVITATION_MAX];
  struct dunlin_invitation invitation;
  device_make(&c, "Carl");
  device_invite(&f->a, &f->space, "127.0.0.1:1", 1, line); /* valid for a microsecond */
  join(&w, &f->a, &c, line);
  assert_int_equal(session_error(w.sessions[1]), DUNLIN_EAUTH); /* not one of the open invitations */
  assert_true(w.pipes[1].all.len == 0);                         /* and it said nothing */
  session_eof(w.sessions[0], NULL);
  assert_int_equal(session_error(w.sessions[0]), DUNLIN_EAUTH);
  assert_non_null(strstr(session_why(w.sessions[0]), "expired"));
  wire_close(&w);
  device_invite(&f->a, &f->space, "127.0.0.1:1", HOUR, line);
  assert_int_equal(dunlin_invitation_parse(line, strlen(line), &invitation), 0);
  invitation.secret[5] ^= 1;
  wire_open(&w, &c, &f->a, invitation.secret, &invitation);
  run(&w);
  assert_int_equal(session_error(w.sessions[1]), DUNLIN_EAUTH);
  wire_close(&w);
  invitation.secret[5] ^= 1;
  invitation.device.bytes[0] ^= 1; /* another device than the one that answers */
  wire_open(&w, &c, &f->a, invitation.secret, &invitation);
  run(&w);
  assert_int_equal(session_error(w.sessions[0]), DUNLIN_EAUTH);
  assert_int_equal(w.seen[0][DUNLIN_NODE_JOINED], 0);
  wire_close(&w);
  device_drop(&c);
}

/* ---- Hostile peers ----------------------------------------------------------------------------------------------- */

static void stranger(void **state) {
  struct fixture *f = *state;
  struct device c;
  struct wire w;
  device_make(&c, "Mallory");
  call(&w, &c, &f->a); /* it has got hold of the contact key */
  run(&w);
  assert_int_equal(session_error(w.sessions[1]), DUNLIN_ESTRANGER);
  assert_int_equal(session_error(w.sessions[0]), DUNLIN_ESTRANGER);
  assert_int_equal(w.seen[1][DUNLIN_NODE_CONNECTED], 0);
  wire_close(&w);
  uint8_t psk[32] = {1};
  wire_open(&w, &c, &f->a, psk, NULL); /* it has not */
  run(&w);
  assert_int_equal(session_error(w.sessions[1]), DUNLIN_EAUTH);
  session_eof(w.sessions[0], NULL);
  assert_true(session_key_refused(w.sessions[0]));
  wire_close(&w);
  device_drop(&c);
}

/* What the caller sent in one session, sent again: never gets past the handshake, changes nothing. */
static void replay(void **state) {
  struct fixture *f = *state;
  struct wire w;
  device_put(&f->b, &f->space, "todo", "replayed", "yes");
  call(&w, &f->b, &f->a);
  run(&w);
  assert_in_sync(&w);
  struct session_config config = {.store = f->a.store, .address = "replay:1", .handshake_ms = 5000};
  struct session *victim;
  assert_int_equal(session_new(&config, 1, &victim), 0);
  int error = session_receive(victim, 1, w.pipes[0].all.data, w.pipes[0].all.len);
  assert_int_equal(error, DUNLIN_EAUTH);
  assert_false(session_established(victim, NULL));
  session_free(victim);
  wire_close(&w);
}

/* A flipped bit anywhere in what one side sends ends the session on the other side, and never crashes it. */
static void flipped_bits(void **state) {
  struct fixture *f = *state;
  device_put(&f->b, &f->space, "todo", "flip", "0");
  for (int round = 0; round < 150; round++) {
    struct wire w;
    call(&w, &f->b, &f->a);
    size_t at = (size_t)rand() % 900;
    struct dunlin_bytes out;
    for (int step = 0; step < 200; step++) {
      int from = step % 2;
      session_output(w.sessions[from], w.now, &out);
      buf_append(&w.pipes[from].all, out.data, out.len);
      session_sent(w.sessions[from], out.len);
      struct pipe *pipe = &w.pipes[from];
      if (from == 0 && at >= pipe->taken && at < pipe->all.len) pipe->all.data[at] ^= (uint8_t)(1 << rand() % 8);
      size_t len = pipe->all.len - pipe->taken;
      if (len) session_receive(w.sessions[1 - from], w.now, pipe->all.data + pipe->taken, len);
      pipe->taken = pipe->all.len;
    }
    if (at < w.pipes[0].all.len && !session_over(w.sessions[1])) {
      /* The length of a frame became larger: it waits, until the deadline or for ever silent. */
      for (int i = 0; i < 3; i++) session_tick(w.sessions[1], session_deadline(w.sessions[1]));
      assert_true(session_over(w.sessions[1]));
    }
    wire_close(&w);
  }
}

static const char *opening_error(struct device *d, const void *data, size_t len, int *error) {
  static char why[256];
  struct session_config config = {.store = d->store, .address = "127.0.0.1:5000", .handshake_ms = 5000};
  struct session *s;
  struct dunlin_bytes out;
  assert_int_equal(session_new(&config, 1, &s), 0);
  *error = session_receive(s, 1, data, len);
  session_output(s, 1, &out);
  assert_int_equal(out.len, 0); /* nothing is said to what is no peer */
  if (!*error) *error = session_tick(s, 1 + 5000);
  snprintf(why, sizeof why, "%s", session_why(s));
  session_free(s);
  return why;
}

static void garbage(void **state) {
  struct fixture *f = *state;
  int error;
  const char *http = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  assert_string_equal(opening_error(&f->a, http, strlen(http), &error),
                      "127.0.0.1:5000 does not speak dunlin (looks like HTTP)");
  assert_int_equal(error, DUNLIN_EPEER);
  assert_non_null(strstr(opening_error(&f->a, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11, &error), "TLS"));
  assert_non_null(strstr(opening_error(&f->a, "SSH-2.0-OpenSSH_9.2\r\n", 21, &error), "SSH"));
  for (int i = 0; i < 1000; i++) {
    uint8_t data[200];
    size_t len = (size_t)rand() % sizeof data;
    for (size_t k = 0; k < len; k++) data[k] = (uint8_t)rand();
    if (i % 2 && len > 2) data[0] = 0, data[1] = 56; /* the right length, and nothing else right */
    opening_error(&f->a, data, len, &error);
    assert_true(error == DUNLIN_EPEER || error == DUNLIN_EAUTH || error == DUNLIN_ETIMEOUT);
  }
}

/* ---- What the wire shows ----------------------------------------------------------------------------------------- */

static bool holds(const struct buf *all, const void *marker, size_t len) {
  return memmem(all->data, all->len, marker, len) != NULL;
}

/* Names, content and keys planted on both sides are nowhere in the bytes of a join and a sync. */
static void canary(void **state) {
  struct fixture *f = *state;
  struct device c;
  struct wire w;
  char line[DUNLIN_INVITATION_MAX];
  struct dunlin_invitation invitation;
  struct exchange_identity a, guest;
  device_make(&c, "CANARY device");
  struct dunlin_id space = device_space(&f->a, "CANARY space");
  device_put(&f->a, &space, "CANARY document", "CANARY key", "CANARY value, long enough not to be shortened away");
  device_invite(&f->a, &space, "127.0.0.1:1", HOUR, line);
  assert_int_equal(dunlin_invitation_parse(line, strlen(line), &invitation), 0);
  exchange_identity(f->a.store, &a);
  exchange_identity(c.store, &guest);
  join(&w, &f->a, &c, line);
  assert_in_sync(&w);
  device_put(&c, &space, "CANARY document", "CANARY key", "CANARY answer");
  session_store_changed(w.sessions[0], w.now);
  run(&w);
  assert_true(device_has(&f->a, &space, "CANARY document", "CANARY key", "CANARY answer"));
  for (int i = 0; i < 2; i++) {
    const struct buf *all = &w.pipes[i].all;
    assert_true(all->len > 1000);
    assert_false(holds(all, "CANARY", 6));
    assert_false(holds(all, invitation.secret, 32));
    assert_false(holds(all, space.bytes, 16));
    for (int k = 0; k < 2; k++) {
      const struct exchange_identity *identity = k ? &guest : &a;
      assert_false(holds(all, identity->device.bytes, 16));
      assert_false(holds(all, identity->noise_public, 16));
      assert_false(holds(all, identity->noise_secret, 16));
      assert_false(holds(all, identity->contact, 16));
    }
  }
  wire_close(&w);
  device_drop(&c);
}

/* ---- Time -------------------------------------------------------------------------------------------------------- */

static void deadlines(void **state) {
  struct fixture *f = *state;
  struct wire w;
  call(&w, &f->b, &f->a);
  assert_int_equal(session_deadline(w.sessions[1]), w.now + 5000);
  assert_int_equal(session_tick(w.sessions[1], w.now + 4999), 0);
  assert_int_equal(session_tick(w.sessions[1], w.now + 5000), DUNLIN_ETIMEOUT);
  wire_close(&w);
  call(&w, &f->b, &f->a);
  run(&w);
  assert_in_sync(&w);
  uint64_t quiet = w.now;
  w.now = session_deadline(w.sessions[0]);
  assert_int_equal(w.now, quiet + 20000);
  assert_int_equal(session_tick(w.sessions[0], w.now), 0); /* a ping ... */
  run(&w);                                                 /* ... that is answered */
  assert_int_equal(session_deadline(w.sessions[0]), w.now + 20000);
  w.now += 20000;
  assert_int_equal(session_tick(w.sessions[0], w.now), 0);
  assert_int_equal(session_deadline(w.sessions[0]), w.now + 40000); /* nobody answers */
  assert_int_equal(session_tick(w.sessions[0], w.now + 40000), DUNLIN_ETIMEOUT);
  wire_close(&w);
}

static void farewell(void **state) {
  struct fixture *f = *state;
  struct wire w;
  call(&w, &f->b, &f->a);
  run(&w);
  session_leave(w.sessions[0], 0);
  run(&w);
  assert_true(session_over(w.sessions[1]));
  assert_int_equal(session_error(w.sessions[1]), 0);
  assert_int_equal(session_eof(w.sessions[1], NULL), 0);
  wire_close(&w);
}

int main(void) {
  if (sodium_init() < 0) return 1;
  support_seed();
#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, make_pair, drop_pair)
  const struct CMUnitTest tests[] = {
      WITH_PAIR(equal_stores_say_little),
      WITH_PAIR(converges),
      WITH_PAIR(live_changes),
      WITH_PAIR(cuts_and_resumes),
      WITH_PAIR(acknowledgements_arrive),
      WITH_PAIR(used_twice),
      WITH_PAIR(cut_joins),
      WITH_PAIR(expired_or_wrong),
      WITH_PAIR(stranger),
      WITH_PAIR(replay),
      WITH_PAIR(flipped_bits),
      WITH_PAIR(garbage),
      WITH_PAIR(canary),
      WITH_PAIR(deadlines),
      WITH_PAIR(farewell),
  };
  return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
