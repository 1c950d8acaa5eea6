/* A member gone bad: it passes the handshake, and then says what it likes. */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"
#include "transport/session_private.h"

#define HOUR ((int64_t)3600 * 1000000)

/* ---- The puppet: speaks Noise and frames by hand, with the keys of a real device -------------------------------------- */

struct puppet {
  struct device *self;
  struct session *victim;
  struct exchange_identity identity;
  uint8_t hash[NOISE_HASH];
  struct frame_writer writer;
  struct frame_reader reader;
  unsigned heard[16]; /* messages of the victim, by type */
  uint64_t want_id;   /* of its last WANT */
};

static void feed(struct puppet *p, const void *data, size_t len) {
  session_receive(p->victim, 1, data, len);
}

/* Takes what the victim says, and counts it. */
static void listen_to(struct puppet *p) {
  struct dunlin_bytes out, message;
  session_output(p->victim, 1, &out);
  const uint8_t *at = out.data;
  size_t left = out.len;
  while (frame_read(&p->reader, &at, &left, &message) == 1) {
    struct mp_reader r = mp_reader_of(message.data, message.len);
    mp_read_array(&r, 16);
    uint64_t type = mp_read_uint(&r, 15);
    p->heard[type]++;
    if (type == MESSAGE_WANT) p->want_id = mp_read_uint(&r, UINT64_MAX);
  }
  session_sent(p->victim, out.len);
}

static void handshake(struct puppet *p, struct device *callee) {
  struct noise_handshake h;
  struct noise_keys keys;
  struct exchange_identity other;
  uint8_t first[2 + SESSION_HINT + 48] = {0, SESSION_HINT + 48}, third[2 + 64] = {0, 64}, none[16];
  exchange_identity(callee->store, &other);
  memcpy(keys.static_public, p->identity.noise_public, 32);
  memcpy(keys.static_secret, p->identity.noise_secret, 32);
  randombytes_buf(keys.ephemeral_secret, 32);
  noise_start(&h, &noise_xxpsk0, true, (struct dunlin_bytes){SESSION_PROLOGUE, strlen(SESSION_PROLOGUE)}, &keys);
  noise_set_psk(&h, other.contact);
  assert_int_equal(noise_write(&h, NULL, 0, first + 2 + SESSION_HINT), 0);
  const struct dunlin_bytes parts[] = {{other.contact, 32}, {first + 2 + SESSION_HINT, 32}};
  struct dunlin_id hint = env_hash(dunlin_env_default(), "dunlin.psk.1", parts, 2);
  memcpy(first + 2, hint.bytes, SESSION_HINT);
  feed(p, first, sizeof first);
  struct dunlin_bytes out;
  size_t len = 0;
  assert_int_equal(session_output(p->victim, 1, &out), 0);
  assert_int_equal(out.len, 2 + 96);
  assert_int_equal(noise_read(&h, (const uint8_t *)out.data + 2, 96, none, &len), 0);
  session_sent(p->victim, out.len);
  assert_int_equal(noise_write(&h, NULL, 0, third + 2), 0);
  memcpy(p->hash, h.hash, NOISE_HASH);
  noise_split(&h, &p->writer.cipher, &p->reader.cipher);
  feed(p, third, sizeof third);
  assert_false(session_over(p->victim));
}

static void flush(struct puppet *p) {
  struct dunlin_bytes out;
  assert_int_equal(frame_output(&p->writer, &out), 0);
  feed(p, out.data, out.len);
  frame_sent(&p->writer, out.len);
  listen_to(p);
}

static size_t begin(struct puppet *p, unsigned type, size_t fields) {
  size_t at = frame_begin(&p->writer);
  mp_write_array(&p->writer.plain, 1 + fields);
  mp_write_uint(&p->writer.plain, type);
  return at;
}

static void end(struct puppet *p, size_t at) {
  assert_int_equal(frame_end(&p->writer, at), 0);
  flush(p);
}

static void hello(struct puppet *p, unsigned version, const struct dunlin_id *device, unsigned role) {
  uint8_t data[NOISE_HASH + 1], signature[64];
  memcpy(data, p->hash, NOISE_HASH);
  data[NOISE_HASH] = (uint8_t)role;
  exchange_sign(p->self->store, (struct dunlin_bytes){data, sizeof data}, signature);
  size_t at = begin(p, MESSAGE_HELLO, 5);
  mp_write_uint(&p->writer.plain, version);
  mp_write_bin(&p->writer.plain, device->bytes, 32);
  mp_write_str(&p->writer.plain, "puppet", 6);
  mp_write_bin(&p->writer.plain, signature, 64);
  mp_write_nil(&p->writer.plain);
  end(p, at);
}

/* ---- Fixture: A and B share a space; B is the puppet, A the victim ------------------------------------------------------ */

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

static void open_puppet_with(struct puppet *p, bool granted_key) {
  *p = (struct puppet){.self = &f.b};
  exchange_identity(f.b.store, &p->identity);
  if (!granted_key) crypto_box_keypair(p->identity.noise_public, p->identity.noise_secret);
  frame_writer_init(&p->writer, dunlin_env_default(), 8u << 20);
  frame_reader_init(&p->reader, dunlin_env_default());
  struct session_config config = {.store = f.a.store, .address = "puppet:1", .handshake_ms = 5000};
  assert_int_equal(session_new(&config, 1, &p->victim), 0);
  handshake(p, &f.a);
}

static void open_puppet(struct puppet *p) {
  open_puppet_with(p, true);
}

static void close_puppet(struct puppet *p) {
  session_free(p->victim);
  frame_writer_free(&p->writer);
  frame_reader_free(&p->reader);
}

/* Past the greeting and both summaries. */
static void open_in_sync_phase(struct puppet *p) {
  open_puppet(p);
  hello(p, 1, &p->identity.device, 1);
  assert_int_equal(p->heard[MESSAGE_SUMMARY], 1);
  size_t at = begin(p, MESSAGE_SUMMARY, 1);
  uint8_t other[16] = {1};
  mp_write_array(&p->writer.plain, 1);
  mp_write_array(&p->writer.plain, 3);
  mp_write_bin(&p->writer.plain, f.space.bytes, 32);
  mp_write_bin(&p->writer.plain, other, 16);
  mp_write_bin(&p->writer.plain, other, 8);
  end(p, at);
  assert_false(session_over(p->victim));
  assert_int_equal(p->heard[MESSAGE_HAVE], 1);
}

static void expect_end(struct puppet *p, int error) {
  if (session_error(p->victim) != error)
    fail_msg("ended with %s, not %s (%s)", dunlin_error_name(session_error(p->victim)), dunlin_error_name(error),
             session_why(p->victim));
  assert_true(session_over(p->victim));
  assert_int_equal(p->heard[MESSAGE_BYE], 1);
  close_puppet(p);
}

static struct dunlin_node_event last_event(struct puppet *p) {
  struct dunlin_node_event event = {0};
  while (session_next_event(p->victim, &event)) continue;
  return event;
}

/* ---- Greetings ----------------------------------------------------------------------------------------------------------- */

static void greetings(void **state) {
  (void)state;
  struct puppet p;
  struct exchange_identity a;
  exchange_identity(f.a.store, &a);
  open_puppet(&p);
  hello(&p, 1, &a.device, 1); /* another's name */
  expect_end(&p, DUNLIN_EAUTH);
  open_puppet(&p);
  hello(&p, 1, &p.identity.device, 2); /* the other side's signature */
  expect_end(&p, DUNLIN_EAUTH);
  open_puppet(&p);
  hello(&p, 2, &p.identity.device, 1);
  expect_end(&p, DUNLIN_ENEWER);
  open_puppet(&p);
  memset(p.hash, 7, sizeof p.hash);
  hello(&p, 1, &p.identity.device, 1); /* signed for another handshake */
  expect_end(&p, DUNLIN_EAUTH);
  open_puppet_with(&p, false); /* with a handshake key that was not granted to the device */
  hello(&p, 1, &p.identity.device, 1);
  expect_end(&p, DUNLIN_EAUTH);
  open_puppet(&p);
  hello(&p, 1, &p.identity.device, 1);
  hello(&p, 1, &p.identity.device, 1); /* twice */
  expect_end(&p, DUNLIN_EPEER);
}

static void out_of_order(void **state) {
  (void)state;
  for (unsigned type = 0; type < 16; type++) {
    struct puppet p;
    if (type == MESSAGE_HELLO || type == MESSAGE_BYE || type == MESSAGE_PING || type == MESSAGE_PONG) continue;
    open_puppet(&p);
    end(&p, begin(&p, type, 0));
    expect_end(&p, DUNLIN_EPEER);
  }
}

/* ---- Claims that are not so ------------------------------------------------------------------------------------------------ */

static void have(struct puppet *p, const struct dunlin_id *device, const struct dunlin_actor *actor, uint64_t count) {
  uint8_t tip[8] = {3};
  size_t at = begin(p, MESSAGE_HAVE, 2);
  struct buf *out = &p->writer.plain;
  mp_write_bin(out, f.space.bytes, 32);
  mp_write_array(out, 1);
  mp_write_array(out, 5);
  mp_write_bin(out, device->bytes, 32);
  mp_write_bin(out, actor->bytes, 16);
  mp_write_uint(out, LANE_NORMAL);
  mp_write_uint(out, count);
  mp_write_bin(out, tip, 8);
  end(p, at);
}

static void done(struct puppet *p) {
  size_t at = begin(p, MESSAGE_DONE, 1);
  mp_write_uint(&p->writer.plain, p->want_id);
  end(p, at);
}

/* It claims 10^9 entries and gives none: asked twice (the second time with all that may be common), not again, until it claims
 * something else. */
static void empty_promise(void **state) {
  (void)state;
  struct puppet p;
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
  close_puppet(&p);
}

/* Another branch of a log, which then does not come: asked for, and left. */
static void empty_fork(void **state) {
  (void)state;
  struct puppet p;
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
  close_puppet(&p);
}

/* ---- Runs ------------------------------------------------------------------------------------------------------------------- */

static void send_run(struct puppet *p, uint64_t id, const void *sealed, size_t len) {
  size_t at = begin(p, MESSAGE_RUN, 2);
  mp_write_uint(&p->writer.plain, id);
  mp_write_bin(&p->writer.plain, sealed, len);
  end(p, at);
}

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
  struct puppet p;
  uint8_t run[600];
  open_in_sync_phase(&p);
  send_run(&p, 0, run, forged_run(run));
  expect_end(&p, DUNLIN_EPEER);
  open_in_sync_phase(&p);
  done(&p);
  expect_end(&p, DUNLIN_EPEER);
}

static void forged_runs(void **state) {
  (void)state;
  struct puppet p;
  struct dunlin_actor actor = {{8}};
  uint8_t run[600];
  open_in_sync_phase(&p);
  have(&p, &p.identity.device, &actor, 1);
  assert_int_equal(p.heard[MESSAGE_WANT], 1);
  last_event(&p);
  send_run(&p, p.want_id, run, forged_run(run));
  done(&p);
  struct dunlin_node_event event = last_event(&p);
  assert_int_equal(event.kind, DUNLIN_NODE_REFUSED);
  assert_true(event.error == DUNLIN_EAUTH || event.error == DUNLIN_EFORMAT);
  assert_int_equal(p.heard[MESSAGE_ACK], 0);
  assert_false(session_over(p.victim));
  close_puppet(&p);
}

/* A range takes what was asked for and one run more at most. */
static void more_than_asked_for(void **state) {
  (void)state;
  struct puppet p;
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
    send_run(&p, p.want_id, run, len);
    assert_true(session_over(p.victim) == (i == 3));
  }
  free(run);
  expect_end(&p, DUNLIN_EPEER);
}

/* Of a space that it is no member of, a member gets nothing. */
static void other_spaces_stay_hidden(void **state) {
  (void)state;
  struct puppet p;
  struct dunlin_id secret = device_space(&f.a, "secret");
  struct exchange_log log;
  device_put(&f.a, &secret, "diary", "k", "v");
  size_t i = 0;
  do assert_int_equal(exchange_log(f.a.store, &secret, i++, &log), 0);
  while (!log.count);
  open_in_sync_phase(&p);
  size_t at = begin(&p, MESSAGE_WANT, 10);
  uint8_t tip[8];
  sync_tip_hash(p.victim, &log.tip, tip);
  mp_write_uint(&p.writer.plain, 5);
  sync_write_log_name(&p.writer.plain, &log.name);
  mp_write_uint(&p.writer.plain, log.count);
  mp_write_bin(&p.writer.plain, tip, sizeof tip);
  mp_write_bin(&p.writer.plain, "", 0);
  mp_write_bool(&p.writer.plain, true);
  mp_write_uint(&p.writer.plain, 1000);
  end(&p, at);
  assert_int_equal(p.heard[MESSAGE_DONE], 1);
  assert_int_equal(p.heard[MESSAGE_RUN], 0);
  close_puppet(&p);
}

/* ---- Noise inside the envelope ------------------------------------------------------------------------------------------------ */

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
    struct puppet p;
    if (i % 2) open_puppet(&p);
    else open_in_sync_phase(&p);
    for (int k = 0; k < 3; k++) {
      unsigned type = (unsigned)rand() % 14;
      size_t count = rand() % 10 ? fields[type] : (size_t)rand() % 8, at = begin(&p, type, count);
      while (count--) write_random(&p.writer.plain, 0);
      end(&p, at);
    }
    int error = session_error(p.victim);
    assert_true(error == 0 || error == DUNLIN_EPEER || error == DUNLIN_EAUTH || error == DUNLIN_ENEWER ||
                p.heard[MESSAGE_BYE] == 0); /* a random BYE ends it with any error */
    close_puppet(&p);
  }
}

static void oversized(void **state) {
  (void)state;
  struct puppet p;
  struct dunlin_bytes out;
  open_in_sync_phase(&p);
  put_be32(buf_extend(&p.writer.plain, 4), 0xffffffff);
  assert_int_equal(frame_output(&p.writer, &out), 0);
  feed(&p, out.data, out.len);
  frame_sent(&p.writer, out.len);
  listen_to(&p);
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
