/* A member gone bad: it passes the handshake, and then says what it likes. */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"
#include "test/fault/peer.h"

#define HOUR ((int64_t)3600 * 1000000)

/* ---- Fixture: A and B share a space; B is the hostile peer, A the victim ----------------------------------------- */

static struct {
  struct device a, b;
  struct dunlin_id space;
} f;

static void join_directly(void) {
  struct exchange_identity host, guest;
  struct exchange_device device = {.name = "Bert"};
  struct dunlin_id space;
  struct buf welcome;
  exchange_identity(f.a.store, &host);
  exchange_identity(f.b.store, &guest);
  device.device = guest.device;
  memcpy(device.noise_public, guest.noise_public, 32);
  memcpy(device.contact, guest.contact, 32);
  buf_init(&welcome, dunlin_env_default(), FRAME_MAX_MESSAGE);
  assert_int_equal(exchange_admit(f.a.store, &f.space, &device, &welcome), 0);
  assert_int_equal(exchange_accept(f.b.store, (struct dunlin_bytes){welcome.data, welcome.len}, NULL, &space), 0);
  buf_free(&welcome);
}

static int make(void **state) {
  (void)state;
  device_make(&f.a, "Ada");
  device_make(&f.b, "Bert");
  f.space = device_space(&f.a, "home");
  join_directly();
  device_put(&f.a, &f.space, "todo", "k", "v");
  return 0;
}

static int drop(void **state) {
  (void)state;
  device_drop(&f.a);
  device_drop(&f.b);
  return 0;
}

static void open_peer(struct peer *p) {
  peer_open(p, f.b.store, f.a.store, true);
}

/* Past the greeting and both summaries. */
static void open_in_sync_phase(struct peer *p) {
  open_peer(p);
  peer_hello(p, 1, &p->identity.device, 1);
  assert_int_equal(p->heard[MESSAGE_SUMMARY], 1);
  peer_summary(p, &f.space);
  assert_false(session_over(p->victim));
  assert_int_equal(p->heard[MESSAGE_HAVE], 1);
}

static void expect_end(struct peer *p, int error) {
  if (session_error(p->victim) != error)
    fail_msg("ended with %s, not %s (%s)", dunlin_error_name(session_error(p->victim)), dunlin_error_name(error),
             session_why(p->victim));
  assert_true(session_over(p->victim));
  assert_int_equal(p->heard[MESSAGE_BYE], 1);
  peer_close(p);
}

static struct dunlin_node_event last_event(struct peer *p) {
  struct dunlin_node_event event = {0};
  while (session_next_event(p->victim, &event)) continue;
  return event;
}

/* ---- Greetings --------------------------------------------------------------------------------------------------- */

static void greetings(void **state) {
  (void)state;
  struct peer p;
  struct exchange_identity a;
  exchange_identity(f.a.store, &a);
  open_peer(&p);
  peer_hello(&p, 1, &a.device, 1); /* another's name */
  expect_end(&p, DUNLIN_EAUTH);
  open_peer(&p);
  peer_hello(&p, 1, &p.identity.device, 2); /* the other side's signature */
  expect_end(&p, DUNLIN_EAUTH);
  open_peer(&p);
  peer_hello(&p, 2, &p.identity.device, 1);
  expect_end(&p, DUNLIN_ENEWER);
  open_peer(&p);
  memset(p.hash, 7, sizeof p.hash);
  peer_hello(&p, 1, &p.identity.device, 1); /* signed for another handshake */
  expect_end(&p, DUNLIN_EAUTH);
  peer_open(&p, f.b.store, f.a.store, false); /* with a handshake key that was not granted to the device */
  peer_hello(&p, 1, &p.identity.device, 1);
  expect_end(&p, DUNLIN_EAUTH);
  open_peer(&p);
  peer_hello(&p, 1, &p.identity.device, 1);
  peer_hello(&p, 1, &p.identity.device, 1); /* twice */
  expect_end(&p, DUNLIN_EPEER);
}

static void out_of_order(void **state) {
  (void)state;
  for (unsigned type = 0; type < 16; type++) {
    struct peer p;
    if (type == MESSAGE_HELLO || type == MESSAGE_BYE || type == MESSAGE_PING || type == MESSAGE_PONG) continue;
    open_peer(&p);
    peer_end(&p, peer_begin(&p, type, 0));
    expect_end(&p, DUNLIN_EPEER);
  }
}

/* ---- Claims that are not so -------------------------------------------------------------------------------------- */

static void have(struct peer *p, const struct dunlin_id *device, const struct dunlin_actor *actor, uint64_t count) {
  const struct log_name name = {.space = f.space, .device = *device, .actor = *actor, .lane = LANE_NORMAL};
  peer_have(p, &name, count, (const uint8_t[8]){3});
}

static void done(struct peer *p) {
  peer_done(p, p->want_id);
}

/* It claims 10^9 entries and gives none: asked twice (the second time with all that may be common), not again, until it
 * claims something else. */
static void empty_promise(void **state) {
  (void)state;
  struct peer p;
  struct dunlin_actor actor = {{9}};
  open_in_sync_phase(&p);
  have(&p, &p.identity.device, &actor, 1000000000);
  assert_int_equal(p.heard[MESSAGE_WANT], 1);
  done(&p);
  assert_int_equal(p.heard[MESSAGE_WANT], 2);
  done(&p);
  for (int i = 0; i < 10; i++) have(&p, &p.identity.device, &actor, 1000000000);
  assert_int_equal(p.heard[MESSAGE_WANT], 2);
  have(&p, &p.identity.device, &actor, 1000000001);
  assert_int_equal(p.heard[MESSAGE_WANT], 3);
  assert_false(session_over(p.victim));
  peer_close(&p);
}

/* Another branch of a log, which then does not come: asked for, and left. */
static void empty_fork(void **state) {
  (void)state;
  struct peer p;
  struct exchange_log log;
  size_t i = 0;
  do assert_int_equal(exchange_log(f.a.store, &f.space, i++, &log), 0);
  while (!log.count || log.name.lane != LANE_NORMAL);
  open_in_sync_phase(&p);
  last_event(&p);
  have(&p, &log.name.device, &log.name.actor, log.count); /* with another tip */
  assert_int_equal(p.heard[MESSAGE_WANT], 1);
  done(&p);
  done(&p);
  assert_int_equal(p.heard[MESSAGE_WANT], 2);
  assert_int_equal(last_event(&p).kind, 0);
  assert_int_equal(exchange_branches(f.a.store, &log.name), 1);
  assert_false(session_over(p.victim));
  peer_close(&p);
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

/* A header of the right form for the first entry, and noise behind it. */
static size_t forged_run(uint8_t out[600]) {
  randombytes_buf(out, 600);
  out[0] = 1;
  out[1] = LANE_NORMAL;
  put_be64(out + 22, 1);
  put_be32(out + 30, 1);
  struct seal_header header;
  assert_int_equal(seal_header_read(out, 118 + 256, &header), 0);
  assert_int_equal(header.first, 1);
  assert_int_equal(header.count, 1);
  return 118 + 256;
}

static void runs_not_asked_for(void **state) {
  (void)state;
  struct peer p;
  uint8_t run[600];
  open_in_sync_phase(&p);
  peer_run(&p, 0, run, forged_run(run));
  expect_end(&p, DUNLIN_EPEER);
  open_in_sync_phase(&p);
  done(&p);
  expect_end(&p, DUNLIN_EPEER);
}

static void forged_runs(void **state) {
  (void)state;
  struct peer p;
  struct dunlin_actor actor = {{8}};
  uint8_t run[600];
  open_in_sync_phase(&p);
  have(&p, &p.identity.device, &actor, 1);
  assert_int_equal(p.heard[MESSAGE_WANT], 1);
  last_event(&p);
  peer_run(&p, p.want_id, run, forged_run(run));
  done(&p);
  struct dunlin_node_event event = last_event(&p);
  assert_int_equal(event.kind, DUNLIN_NODE_REFUSED);
  assert_true(event.error == DUNLIN_EAUTH || event.error == DUNLIN_EFORMAT);
  assert_int_equal(p.heard[MESSAGE_ACK], 0);
  assert_false(session_over(p.victim));
  peer_close(&p);
}

/* A range takes what was asked for and one run more at most. */
static void more_than_asked_for(void **state) {
  (void)state;
  struct peer p;
  struct dunlin_actor actor = {{7}};
  size_t len = SEAL_OVERHEAD + seal_padded(200u * 1024);
  uint8_t *run = calloc(1, len);
  assert_non_null(run);
  open_in_sync_phase(&p);
  have(&p, &p.identity.device, &actor, 100);
  for (uint64_t i = 1; i < 10 && !session_over(p.victim); i++) {
    uint8_t head[600];
    forged_run(head);
    memcpy(run, head, sizeof head);
    put_be64(run + 22, i);
    peer_run(&p, p.want_id, run, len);
    assert_true(session_over(p.victim) == (i == 3));
  }
  free(run);
  expect_end(&p, DUNLIN_EPEER);
}

/* Of a space that it is no member of, a member gets nothing. */
static void other_spaces_stay_hidden(void **state) {
  (void)state;
  struct peer p;
  struct dunlin_id secret = device_space(&f.a, "secret");
  struct exchange_log log;
  device_put(&f.a, &secret, "diary", "k", "v");
  size_t i = 0;
  do assert_int_equal(exchange_log(f.a.store, &secret, i++, &log), 0);
  while (!log.count);
  open_in_sync_phase(&p);
  size_t at = peer_begin(&p, MESSAGE_WANT, 10);
  uint8_t tip[8];
  sync_tip_hash(p.victim, &log.tip, tip);
  mp_write_uint(&p.writer.plain, 5);
  sync_write_log_name(&p.writer.plain, &log.name);
  mp_write_uint(&p.writer.plain, log.count);
  mp_write_bin(&p.writer.plain, tip, sizeof tip);
  mp_write_bin(&p.writer.plain, "", 0);
  mp_write_bool(&p.writer.plain, true);
  mp_write_uint(&p.writer.plain, 1000);
  peer_end(&p, at);
  assert_int_equal(p.heard[MESSAGE_DONE], 1);
  assert_int_equal(p.heard[MESSAGE_RUN], 0);
  peer_close(&p);
}

/* ---- Noise inside the envelope ----------------------------------------------------------------------------------- */

static void write_random(struct buf *out, int depth) {
  uint8_t data[64];
  randombytes_buf(data, sizeof data);
  switch (rand() % (depth > 2 ? 5 : 6)) {
    case 0: mp_write_uint(out, (uint64_t)rand() << (rand() % 60)); return;
    case 1: mp_write_bin(out, data, rand() % 3 ? 32 : (size_t)rand() % 64); return;
    case 2: mp_write_bin(out, rand() % 2 ? f.space.bytes : data, rand() % 2 ? 32 : 16); return;
    case 3: mp_write_nil(out); return;
    case 4: mp_write_str(out, "text", 4); return;
    default: break;
  }
  size_t count = (size_t)rand() % 6;
  mp_write_array(out, count);
  while (count--) write_random(out, depth + 1);
}

static void random_messages(void **state) {
  (void)state;
  static const size_t fields[] = {0, 5, 1, 0, 0, 1, 0, 1, 2, 2, 7, 2, 1, 5};
  for (int i = 0; i < 1500; i++) {
    struct peer p;
    if (i % 2) open_peer(&p);
    else open_in_sync_phase(&p);
    for (int k = 0; k < 3; k++) {
      unsigned type = (unsigned)rand() % 14;
      size_t count = rand() % 10 ? fields[type] : (size_t)rand() % 8, at = peer_begin(&p, type, count);
      while (count--) write_random(&p.writer.plain, 0);
      peer_end(&p, at);
    }
    int error = session_error(p.victim);
    assert_true(error == 0 || error == DUNLIN_EPEER || error == DUNLIN_EAUTH || error == DUNLIN_ENEWER ||
                p.heard[MESSAGE_BYE] == 0); /* a random BYE ends it with any error */
    peer_close(&p);
  }
}

static void oversized(void **state) {
  (void)state;
  struct peer p;
  struct dunlin_bytes out;
  open_in_sync_phase(&p);
  put_be32(buf_extend(&p.writer.plain, 4), 0xffffffff);
  assert_int_equal(frame_output(&p.writer, &out), 0);
  peer_feed(&p, out.data, out.len);
  frame_sent(&p.writer, out.len);
  peer_listen(&p);
  expect_end(&p, DUNLIN_EPEER);
}

int main(void) {
  if (sodium_init() < 0) return 1;
  support_seed();
#define WITH(test) cmocka_unit_test_setup_teardown(test, make, drop)
  const struct CMUnitTest tests[] = {
      WITH(greetings),          WITH(out_of_order), WITH(empty_promise),       WITH(empty_fork),
      WITH(runs_not_asked_for), WITH(forged_runs),  WITH(more_than_asked_for), WITH(other_spaces_stay_hidden),
      WITH(random_messages),    WITH(oversized),
  };
  return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
