/* Whom to call and when, how often strangers may call, and what an address is: all without a network. */
#include <setjmp.h>
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support.h"
#include "transport/address.h"
#include "transport/caller.h"
#include "transport/limiter.h"

/* ---- Delays ------------------------------------------------------------------------------------------------------ */

static void delays_double(void **state) {
  (void)state;
  struct caller c;
  uint64_t now = 5000;
  unsigned delay = 1000;
  caller_init(&c, "host:1", 1000, now);
  assert_true(caller_due(&c, now));
  for (int i = 0; i < 12; i++) {
    c.busy = true;
    assert_false(caller_due(&c, UINT64_MAX - 1));
    assert_true(caller_ended(&c, NULL, DUNLIN_ENET, false, now, (uint32_t)rand()));
    uint64_t wait = caller_deadline(&c) - now;
    assert_in_range(wait, delay - delay / 4, delay);
    assert_false(caller_due(&c, now + delay - delay / 4 - 1));
    assert_true(caller_due(&c, now + delay));
    now += wait;
    delay = delay * 2 > CALLER_MAX_DELAY_MS ? CALLER_MAX_DELAY_MS : delay * 2;
  }
  assert_int_equal(delay, CALLER_MAX_DELAY_MS);
  caller_connected(&c, &(struct dunlin_id){{1}});
  caller_ended(&c, NULL, DUNLIN_ENOSPC, false, now, 0);
  assert_int_equal(caller_deadline(&c), now + CALLER_MAX_DELAY_MS); /* a handshake alone has achieved nothing */
  caller_settled(&c);
  caller_ended(&c, NULL, DUNLIN_ENET, false, now, 0);
  assert_int_equal(caller_deadline(&c), now + 1000);
}

static void no_retry(void **state) {
  (void)state;
  struct caller c;
  caller_init(&c, "host:1", 0, 1);
  assert_true(caller_due(&c, 1));
  caller_ended(&c, NULL, 0, false, 2, 0);
  assert_int_equal(caller_deadline(&c), UINT64_MAX);
}

static void invitations_end(void **state) {
  (void)state;
  static const struct {
    int error;
    bool again;
  } rows[] = {{DUNLIN_ENET, true},   {DUNLIN_ETIMEOUT, true}, {0, true},
              {DUNLIN_EUSED, false}, {DUNLIN_EAUTH, false},   {DUNLIN_EEXPIRED, false}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct caller c;
    caller_init(&c, "host:1", 1000, 1);
    c.joining = true;
    caller_ended(&c, NULL, rows[i].error, false, 2, 0);
    assert_int_equal(caller_deadline(&c) != UINT64_MAX, rows[i].again);
  }
  struct device d;
  device_make(&d, "Ada");
  struct caller c;
  uint8_t psk[32];
  caller_init(&c, "host:1", 1000, 1);
  assert_int_equal(caller_psk(&c, d.store, psk), DUNLIN_ESTRANGER);
  assert_false(c.busy);
  c.joining = true;
  c.invitation.expires = 1;
  assert_int_equal(caller_psk(&c, d.store, psk), DUNLIN_EEXPIRED);
  c.invitation.expires = INT64_MAX;
  c.invitation.secret[3] = 77;
  assert_int_equal(caller_psk(&c, d.store, psk), 0);
  assert_int_equal(psk[3], 77);
  assert_true(c.busy);
  device_drop(&d);
}

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

#define DEVICES 4

static void admit(struct device *host, const struct dunlin_id *space, uint8_t n) {
  struct exchange_device device = {.name = "member"};
  struct buf welcome;
  memset(device.device.bytes, n, 32);
  memset(device.noise_public, n, 32);
  memset(device.contact, n, 32);
  buf_init(&welcome, dunlin_env_default(), 1u << 20);
  assert_int_equal(exchange_admit(host->store, space, &device, &welcome), 0);
  buf_free(&welcome);
}

/* Each known device's key once a round, the remembered one's first; only the end of the round is worth telling. */
static void tries_all_keys(void **state) {
  (void)state;
  struct device d;
  struct caller c;
  device_make(&d, "Ada");
  struct dunlin_id space = device_space(&d, "home"), remembered;
  for (uint8_t n = 1; n <= DEVICES; n++) admit(&d, &space, (uint8_t)(n * 10));
  memset(remembered.bytes, 30, 32);
  caller_init(&c, "host:1", 1000, 1);
  for (int round = 0; round < 3; round++) {
    bool seen[DEVICES + 1] = {false};
    for (int i = 0; i < DEVICES; i++) {
      uint8_t psk[32];
      assert_int_equal(caller_psk(&c, d.store, psk), 0);
      assert_in_range(psk[0] / 10, 1, DEVICES);
      assert_false(seen[psk[0] / 10]);
      seen[psk[0] / 10] = true;
      if (round && !i) assert_int_equal(psk[0], 30);
      bool last = i == DEVICES - 1;
      assert_int_equal(caller_ended(&c, d.store, DUNLIN_ESTRANGER, true, 100, 0), last);
      assert_int_equal(caller_due(&c, 100), !last);
    }
    caller_connected(&c, &remembered);
  }
  device_drop(&d);
}

/* ---- Strangers --------------------------------------------------------------------------------------------------- */

static bool take(struct limiter *limiter, const char *address, uint64_t now) {
  struct sockaddr_in v4 = {.sin_family = AF_INET};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
  if (inet_pton(AF_INET, address, &v4.sin_addr) == 1) return limiter_take(limiter, (struct sockaddr *)&v4, now);
  assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
  return limiter_take(limiter, (struct sockaddr *)&v6, now);
}

static void buckets(void **state) {
  (void)state;
  static const struct {
    const char *one, *same, *other;
  } rows[] = {{"192.0.2.1", "192.0.2.254", "192.0.3.1"},
              {"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"},
              {"::ffff:198.51.100.7", "198.51.100.8", "::ffff:198.51.101.7"}};
  struct limiter *limiter = calloc(1, sizeof *limiter);
  assert_non_null(limiter);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (unsigned k = 0; k < LIMITER_BURST; k++) assert_true(take(limiter, k % 2 ? rows[i].one : rows[i].same, 1000));
    assert_false(take(limiter, rows[i].one, 1000));
    assert_false(take(limiter, rows[i].same, 1000 + LIMITER_REFILL_MS - 1));
    assert_true(take(limiter, rows[i].other, 1000));
    assert_true(take(limiter, rows[i].same, 1000 + LIMITER_REFILL_MS));
    assert_false(take(limiter, rows[i].one, 1000 + LIMITER_REFILL_MS));
    for (unsigned k = 0; k < LIMITER_BURST; k++) assert_true(take(limiter, rows[i].one, 1000000)); /* full, not more */
    assert_false(take(limiter, rows[i].one, 1000000));
  }
  for (int i = 0; i < 1000; i++) {
    assert_true(take(limiter, "127.0.0.1", 1000));
    assert_true(take(limiter, "::1", 1000));
  }
  free(limiter);
}

/* Ten thousand networks: bounded memory, and none is refused its first call. */
static void many_networks(void **state) {
  (void)state;
  struct limiter *limiter = calloc(1, sizeof *limiter);
  assert_non_null(limiter);
  for (unsigned i = 0; i < 10000; i++) {
    char address[32];
    snprintf(address, sizeof address, "10.%u.%u.1", i / 256, i % 256);
    assert_true(take(limiter, address, 1000 + i));
  }
  free(limiter);
}

/* ---- Addresses --------------------------------------------------------------------------------------------------- */

static void addresses(void **state) {
  (void)state;
  static const struct {
    const char *text, *host, *port;
  } good[] = {{"host:1", "host", "1"},
              {"192.0.2.1:65535", "192.0.2.1", "65535"},
              {"[::1]:0", "::1", "0"},
              {"[fe80::1%eth0]:70", "fe80::1%eth0", "70"}};
  static const char *const bad[] = {"",      ":",       "host",     "host:",  ":1",      "host:65536", "host:-1",
                                    "::1:1", "[::1]",   "[::1]1:2", "[]:1",   "[host]x", "ho st:1",    "host:999999",
                                    "a/b:1", "host:1 ", "[::1:1",   "::1]:1", "host:+1", "host:0x1"};
  struct address address;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    assert_int_equal(address_parse(good[i].text, &address), 0);
    assert_string_equal(address.host, good[i].host);
    assert_string_equal(address.port, good[i].port);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (address_parse(bad[i], &address) != DUNLIN_EADDR) fail_msg("\"%s\" was taken", bad[i]);
  char longest[DUNLIN_MAX_NAME + 4];
  memset(longest, 'a', sizeof longest);
  memcpy(longest + DUNLIN_MAX_NAME, ":1", 3);
  assert_int_equal(address_parse(longest, &address), 0);
  memcpy(longest + DUNLIN_MAX_NAME, "a:1", 4);
  assert_int_equal(address_parse(longest, &address), DUNLIN_EADDR);
}

int main(void) {
  support_seed();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(delays_double),  cmocka_unit_test(no_retry), cmocka_unit_test(invitations_end),
      cmocka_unit_test(tries_all_keys), cmocka_unit_test(buckets),  cmocka_unit_test(many_networks),
      cmocka_unit_test(addresses),
  };
  return cmocka_run_group_tests_name("caller", tests, NULL, NULL);
}
