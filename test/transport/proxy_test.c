/* Two nodes with a bad network between them: whatever it does, they are equal when it stops, and nothing can be read on
 * it. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support.h"
#include "test/fault/proxy.h"

#define HOUR ((int64_t)3600 * 1000000)
#define MARKER "cAnArY-iN-tHe-wIrE"

struct fixture {
  struct device a, b;
  struct dunlin_id space;
  dunlin_node *called, *caller;
  struct proxy *proxy;
  uint8_t *captured; /* what the caller has said */
  size_t len, cap;
  bool leaked;
};

static struct fixture f;

static void pause_ms(int ms) {
  nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static void watch(void *ctx, enum proxy_direction from, const void *data, size_t len) {
  (void)ctx;
  if (memmem(data, len, MARKER, sizeof MARKER - 1)) f.leaked = true;
  if (from != PROXY_FROM_CALLER) return;
  if (f.len + len > f.cap) {
    f.cap = 2 * (f.len + len);
    f.captured = realloc(f.captured, f.cap);
    if (!f.captured) abort();
  }
  memcpy(f.captured + f.len, data, len);
  f.len += len;
}

static dunlin_node *start(struct device *d, const char *listen, const char *peer, const char *line) {
  struct dunlin_node_options options = dunlin_node_defaults();
  options.listen = listen;
  options.peers = &peer;
  options.peer_count = peer != NULL;
  options.invitation = line;
  options.retry_ms = 20;
  options.handshake_ms = 500;
  dunlin_node *node = NULL;
  struct dunlin_why why = {""};
  if (dunlin_node_start(d->store, &options, &node, &why)) fail_msg("start: %s", why.text);
  return node;
}

static int begin(void **state) {
  (void)state;
  char line[DUNLIN_INVITATION_MAX], address[64];
  f = (struct fixture){.len = 0};
  device_make(&f.a, MARKER " Ada");
  device_make(&f.b, MARKER " Bert");
  f.space = device_space(&f.a, MARKER);
  f.called = start(&f.a, "127.0.0.1:0", NULL, NULL);
  f.proxy = proxy_start(dunlin_node_port(f.called), support_seed());
  proxy_watch(f.proxy, watch, NULL);
  snprintf(address, sizeof address, "127.0.0.1:%u", proxy_port(f.proxy));
  device_invite(&f.a, &f.space, address, HOUR, line);
  dunlin_node *guest = start(&f.b, NULL, NULL, line);
  struct dunlin_node_event event = {.kind = 0};
  while (event.kind != DUNLIN_NODE_JOINED) assert_int_equal(dunlin_node_next_event(guest, &event, 5000), 1);
  dunlin_node_stop(guest);
  f.caller = start(&f.b, NULL, address, NULL);
  return 0;
}

static int finish(void **state) {
  (void)state;
  dunlin_node_stop(f.caller);
  proxy_stop(f.proxy);
  dunlin_node_stop(f.called);
  device_drop(&f.a);
  device_drop(&f.b);
  free(f.captured);
  return f.leaked;
}

static void put(struct device *d, int number) {
  char key[32], value[200];
  snprintf(key, sizeof key, "%s %d", d == &f.a ? "a" : "b", number);
  snprintf(value, sizeof value, MARKER " %d %0*d", number, 100, number);
  device_put(d, &f.space, "notes", key, value);
}

static void expect_equal(const char *after) {
  for (int i = 0; i < 400; i++, pause_ms(20))
    if (same_hash(&f.a, &f.b, &f.space, "notes")) return;
  fail_msg("not equal within eight seconds after: %s", after);
}

static void every_kind_of_trouble(void **state) {
  (void)state;
  static const struct {
    const char *name;
    struct proxy_settings settings;
    enum proxy_direction direction;
    bool mangles;
  } rows[] = {
      {"nothing", {.drop = 0}, PROXY_BOTH, false},
      {"delay", {.delay_ms = 30, .jitter_ms = 60}, PROXY_BOTH, false},
      {"throttle", {.bytes_per_second = 20000}, PROXY_BOTH, false},
      {"drop", {.drop = 200}, PROXY_BOTH, true},
      {"flip", {.flip = 200}, PROXY_FROM_CALLER, true},
      {"flip back", {.flip = 200}, PROXY_FROM_CALLED, true},
      {"duplicate", {.duplicate = 300}, PROXY_BOTH, true},
      {"reorder", {.delay_ms = 10, .reorder = 700}, PROXY_BOTH, false},
      {"stall one way", {.stalled = true}, PROXY_FROM_CALLED, false},
      {"all at once",
       {.delay_ms = 5, .jitter_ms = 20, .drop = 50, .flip = 50, .duplicate = 50, .reorder = 200},
       PROXY_BOTH,
       true},
  };
  const struct proxy_settings well = {.drop = 0};
  int number = 0;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    uint64_t before = proxy_mangled(f.proxy);
    proxy_set(f.proxy, rows[i].direction, &rows[i].settings);
    /* On a busy machine it may take a while until something passes. */
    for (int k = 0; k < 8 || (k < 200 && rows[i].mangles && proxy_mangled(f.proxy) == before); k++, pause_ms(40))
      put(k % 2 ? &f.a : &f.b, number++);
    if (rows[i].mangles) assert_true(proxy_mangled(f.proxy) > before);
    proxy_set(f.proxy, PROXY_BOTH, &well);
    if (i % 2) proxy_cut(f.proxy);
    expect_equal(rows[i].name);
    print_message("%s: equal\n", rows[i].name);
  }
}

static void partition(void **state) {
  (void)state;
  put(&f.a, 1);
  expect_equal("the beginning");
  proxy_refuse(f.proxy, true);
  proxy_cut(f.proxy);
  for (int i = 2; i < 20; i++) put(i % 2 ? &f.a : &f.b, i);
  pause_ms(200);
  assert_false(same_hash(&f.a, &f.b, &f.space, "notes"));
  proxy_refuse(f.proxy, false);
  expect_equal("a partition");
}

/* What the caller has said is said again, by somebody else: nothing changes, and the node serves on. */
static void replay(void **state) {
  (void)state;
  put(&f.b, 1);
  expect_equal("the beginning");
  struct dunlin_id before = device_hash(&f.a, &f.space, "notes");
  uint64_t runs = dunlin_node_stats(f.called).runs_received;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)dunlin_node_port(f.called))};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_true(f.len > 500);
  for (int i = 0; i < 5; i++) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    ssize_t sent = send(fd, f.captured, f.len, MSG_NOSIGNAL);
    assert_true(sent > 0);
    pause_ms(30);
    close(fd);
  }
  struct dunlin_id after = device_hash(&f.a, &f.space, "notes");
  assert_memory_equal(&before, &after, sizeof before);
  assert_int_equal(dunlin_node_stats(f.called).runs_received, runs);
  put(&f.b, 2);
  expect_equal("a replay");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(every_kind_of_trouble, begin, finish),
      cmocka_unit_test_setup_teardown(partition, begin, finish),
      cmocka_unit_test_setup_teardown(replay, begin, finish),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
