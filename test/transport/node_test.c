/* Nodes over TCP on the loopback: joining, live changes, coming back, and peers that are none. */
#include <errno.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support.h"

#define HOUR ((int64_t)3600 * 1000000)

/* ---- Nodes ------------------------------------------------------------------------------------------------------- */

static dunlin_node *start(struct device *d, const char *listen, const char *peer, const char *line) {
  struct dunlin_node_options options = dunlin_node_defaults();
  options.listen = listen;
  options.peers = &peer;
  options.peer_count = peer != NULL;
  options.invitation = line;
  options.retry_ms = 50;
  options.handshake_ms = 1000;
  dunlin_node *node = NULL;
  struct dunlin_why why = {""};
  if (dunlin_node_start(d->store, &options, &node, &why)) fail_msg("start: %s", why.text);
  return node;
}

static const char *address_of(dunlin_node *node) {
  static char text[64];
  snprintf(text, sizeof text, "127.0.0.1:%u", dunlin_node_port(node));
  return text;
}

/* The next event of a kind, within five seconds; others are skipped. */
static struct dunlin_node_event expect(dunlin_node *node, enum dunlin_node_event_kind kind) {
  struct dunlin_node_event event;
  while (dunlin_node_next_event(node, &event, 5000)) {
    if (event.kind == kind) return event;
    if (event.error) print_message("(%s: %s)\n", event.address, event.text);
  }
  fail_msg("no event of kind %d came", kind);
  return event;
}

static void pause_ms(int ms) {
  nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static void eventually(bool (*holds)(struct device *, const struct dunlin_id *), struct device *d,
                       const struct dunlin_id *space) {
  for (int i = 0; i < 250; i++, pause_ms(20))
    if (holds(d, space)) return;
  fail_msg("it did not come");
}

struct fixture {
  struct device a, b;
  struct dunlin_id space;
};

static int make_pair(void **state) {
  static struct fixture f;
  char line[DUNLIN_INVITATION_MAX];
  device_make(&f.a, "Ada");
  device_make(&f.b, "Bert");
  f.space = device_space(&f.a, "home");
  dunlin_node *a = start(&f.a, "127.0.0.1:0", NULL, NULL);
  device_invite(&f.a, &f.space, address_of(a), HOUR, line);
  dunlin_node *b = start(&f.b, NULL, NULL, line);
  struct dunlin_node_event joined = expect(b, DUNLIN_NODE_JOINED);
  assert_memory_equal(&joined.space, &f.space, sizeof f.space);
  expect(a, DUNLIN_NODE_GUEST);
  expect(b, DUNLIN_NODE_IN_SYNC);
  expect(a, DUNLIN_NODE_IN_SYNC);
  dunlin_node_stop(b);
  struct dunlin_node_event closed = expect(a, DUNLIN_NODE_CLOSED);
  assert_int_equal(closed.error, 0);
  dunlin_node_stop(a);
  *state = &f;
  return 0;
}

static int drop_pair(void **state) {
  struct fixture *f = *state;
  device_drop(&f->a);
  device_drop(&f->b);
  return 0;
}

/* ---- Syncing ----------------------------------------------------------------------------------------------------- */

static bool has_second(struct device *d, const struct dunlin_id *space) {
  return device_has(d, space, "todo", "second", "live");
}

static void live_push(void **state) {
  struct fixture *f = *state;
  device_put(&f->a, &f->space, "todo", "first", "before");
  dunlin_node *a = start(&f->a, "127.0.0.1:0", NULL, NULL), *b = start(&f->b, NULL, address_of(a), NULL);
  expect(b, DUNLIN_NODE_CONNECTED);
  expect(b, DUNLIN_NODE_RECEIVED);
  expect(b, DUNLIN_NODE_IN_SYNC);
  assert_true(device_has(&f->b, &f->space, "todo", "first", "before"));
  device_put(&f->a, &f->space, "todo", "second", "live");
  eventually(has_second, &f->b, &f->space);
  expect(b, DUNLIN_NODE_IN_SYNC);
  struct dunlin_node_stats stats = dunlin_node_stats(b);
  assert_int_equal(stats.connections, 1);
  assert_true(stats.runs_received >= 2 && stats.bytes_received > 500 && stats.bytes_sent > 300);
  dunlin_node_stop(b);
  dunlin_node_stop(a);
}

/* The listener goes away and comes back on its port; the caller finds it again. */
static void comes_back(void **state) {
  struct fixture *f = *state;
  char address[64];
  dunlin_node *a = start(&f->a, "127.0.0.1:0", NULL, NULL);
  snprintf(address, sizeof address, "%s", address_of(a));
  dunlin_node *b = start(&f->b, NULL, address, NULL);
  for (int round = 0; round < 3; round++) {
    expect(b, DUNLIN_NODE_IN_SYNC);
    dunlin_node_stop(a);
    expect(b, DUNLIN_NODE_CLOSED);
    pause_ms(60);
    a = start(&f->a, address, NULL, NULL);
  }
  expect(b, DUNLIN_NODE_IN_SYNC);
  dunlin_node_stop(a);
  dunlin_node_stop(b);
}

/* With several devices known, the key of the one that listens is found, and the failures on the way are not told. */
static void finds_the_key(void **state) {
  struct fixture *f = *state;
  char line[DUNLIN_INVITATION_MAX];
  struct device others[3];
  dunlin_node *a = start(&f->a, "127.0.0.1:0", NULL, NULL);
  for (int i = 0; i < 3; i++) {
    device_make(&others[i], "another");
    device_invite(&f->a, &f->space, address_of(a), HOUR, line);
    dunlin_node *guest = start(&others[i], NULL, NULL, line);
    expect(guest, DUNLIN_NODE_IN_SYNC);
    dunlin_node_stop(guest);
  }
  for (int i = 0; i < 3; i++) {
    dunlin_node *caller = start(&others[i], NULL, address_of(a), NULL);
    struct dunlin_node_event event;
    do assert_int_equal(dunlin_node_next_event(caller, &event, 5000), 1);
    while (event.kind != DUNLIN_NODE_IN_SYNC && event.kind != DUNLIN_NODE_CLOSED);
    assert_int_equal(event.kind, DUNLIN_NODE_IN_SYNC);
    dunlin_node_stop(caller);
  }
  dunlin_node_stop(a);
  for (int i = 0; i < 3; i++) device_drop(&others[i]);
}

/* What B takes from A it passes on to C, without anybody asking again. */
static bool has_passed(struct device *d, const struct dunlin_id *space) {
  return device_has(d, space, "todo", "passed", "on");
}

static void chain(void **state) {
  struct fixture *f = *state;
  char line[DUNLIN_INVITATION_MAX];
  struct device c;
  device_make(&c, "Carl");
  dunlin_node *a = start(&f->a, "127.0.0.1:0", NULL, NULL);
  device_invite(&f->a, &f->space, address_of(a), HOUR, line);
  dunlin_node *guest = start(&c, NULL, NULL, line);
  expect(guest, DUNLIN_NODE_IN_SYNC);
  dunlin_node_stop(guest);
  dunlin_node *to_a = start(&f->b, "127.0.0.1:0", address_of(a), NULL);
  expect(to_a, DUNLIN_NODE_IN_SYNC); /* B knows of Carl now */
  dunlin_node *to_b = start(&c, NULL, address_of(to_a), NULL);
  expect(to_b, DUNLIN_NODE_IN_SYNC);
  device_put(&f->a, &f->space, "todo", "passed", "on");
  eventually(has_passed, &c, &f->space);
  dunlin_node_stop(to_b);
  dunlin_node_stop(to_a);
  dunlin_node_stop(a);
  device_drop(&c);
}

static void both_call(void **state) {
  struct fixture *f = *state;
  char address[64];
  dunlin_node *a = start(&f->a, "127.0.0.1:0", NULL, NULL);
  snprintf(address, sizeof address, "%s", address_of(a));
  dunlin_node *b = start(&f->b, "127.0.0.1:0", address, NULL);
  dunlin_node *a2 = start(&f->a, NULL, address_of(b), NULL); /* a second node of the same store */
  expect(a2, DUNLIN_NODE_IN_SYNC);
  device_put(&f->b, &f->space, "todo", "second", "live");
  eventually(has_second, &f->a, &f->space);
  dunlin_node_stop(a2);
  dunlin_node_stop(b);
  dunlin_node_stop(a);
}

/* ---- Addresses --------------------------------------------------------------------------------------------------- */

static int start_error(struct device *d, const char *listen, const char *peer, const char *line,
                       struct dunlin_why *why) {
  struct dunlin_node_options options = dunlin_node_defaults();
  options.listen = listen;
  options.peers = &peer;
  options.peer_count = peer != NULL;
  options.invitation = line;
  dunlin_node *node = NULL;
  int error = dunlin_node_start(d->store, &options, &node, why);
  if (!error) dunlin_node_stop(node);
  return error;
}

static void addresses(void **state) {
  struct fixture *f = *state;
  struct dunlin_why why;
  dunlin_node *a = start(&f->a, "127.0.0.1:0", NULL, NULL);
  assert_int_equal(start_error(&f->b, address_of(a), NULL, NULL, &why), DUNLIN_EADDR);
  assert_non_null(strstr(why.text, "is in use"));
  dunlin_node_stop(a);
  static const char *const bad[] = {"",        "x",      ":1",    "host:",  "host:65536",
                                    "host:1x", "::1:70", "[::1]", "[::1]:", "a b:1"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(start_error(&f->a, bad[i], NULL, NULL, &why), DUNLIN_EADDR);
    assert_int_equal(start_error(&f->a, NULL, bad[i], NULL, &why), DUNLIN_EADDR);
    assert_non_null(strstr(why.text, "HOST:PORT"));
  }
  assert_int_equal(start_error(&f->a, "192.0.2.1:0", NULL, NULL, &why), DUNLIN_EADDR); /* not of this machine */
  assert_int_equal(start_error(&f->a, NULL, NULL, "nonsense", &why), DUNLIN_EINVITE);
  char line[DUNLIN_INVITATION_MAX];
  device_invite(&f->a, &f->space, "127.0.0.1:1", 1, line);
  pause_ms(2);
  assert_int_equal(start_error(&f->b, NULL, NULL, line, &why), DUNLIN_EEXPIRED);
  assert_int_equal(start_error(&f->a, "[::1]:0", "localhost:9", NULL, &why), 0);
}

static void nobody_there(void **state) {
  struct fixture *f = *state;
  dunlin_node *a = start(&f->a, "127.0.0.1:0", NULL, NULL);
  char address[64];
  snprintf(address, sizeof address, "%s", address_of(a));
  dunlin_node_stop(a);
  dunlin_node *b = start(&f->b, NULL, address, NULL);
  struct dunlin_node_event event = expect(b, DUNLIN_NODE_CLOSED);
  assert_int_equal(event.error, DUNLIN_ENET);
  assert_non_null(strstr(event.text, "cannot reach 127.0.0.1:"));
  dunlin_node_stop(b);
}

/* ---- Peers that are none ----------------------------------------------------------------------------------------- */

static int dial(dunlin_node *node) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)dunlin_node_port(node))};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  return fd;
}

/* Reads until the other side closes; what it said is counted. */
static size_t until_closed(int fd) {
  char data[1000];
  size_t total = 0;
  ssize_t len;
  struct timeval patience = {5, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  while ((len = read(fd, data, sizeof data)) > 0) total += (size_t)len;
  close(fd);
  return total;
}

static void http(void **state) {
  struct fixture *f = *state;
  dunlin_node *a = start(&f->a, "127.0.0.1:0", NULL, NULL);
  int fd = dial(a);
  static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  assert_int_equal(write(fd, request, sizeof request - 1), sizeof request - 1);
  assert_int_equal(until_closed(fd), 0);
  struct dunlin_node_event event = expect(a, DUNLIN_NODE_CLOSED);
  assert_int_equal(event.error, DUNLIN_EPEER);
  assert_non_null(strstr(event.text, "does not speak dunlin (looks like HTTP)"));
  assert_non_null(strstr(event.text, "127.0.0.1:"));
  dunlin_node_stop(a);
}

/* Seventy stall, one after another kinds of garbage come, and a member is served all the while. */
static void stalls_disturb_nobody(void **state) {
  struct fixture *f = *state;
  dunlin_node *a = start(&f->a, "127.0.0.1:0", NULL, NULL), *b;
  int stalled[50];
  for (int i = 0; i < 50; i++) {
    stalled[i] = dial(a);
    assert_int_equal(write(stalled[i], "\0\x38 twenty bytes", 10), 10);
  }
  b = start(&f->b, NULL, address_of(a), NULL);
  expect(b, DUNLIN_NODE_IN_SYNC);
  for (int i = 0; i < 200; i++) {
    uint8_t data[300];
    size_t len = 1 + (size_t)rand() % sizeof data;
    for (size_t k = 0; k < len; k++) data[k] = (uint8_t)rand();
    int fd = dial(a);
    ssize_t sent = send(fd, data, len, MSG_NOSIGNAL); /* may be turned away already: half-open ones are bounded */
    assert_true(sent >= 0 || errno == ECONNRESET || errno == EPIPE);
    close(fd);
  }
  device_put(&f->b, &f->space, "todo", "second", "live");
  eventually(has_second, &f->a, &f->space);
  for (int i = 0; i < 50; i++) assert_int_equal(until_closed(stalled[i]), 0);
  assert_int_equal(dunlin_node_stats(a).connections, 1);
  dunlin_node_stop(b);
  dunlin_node_stop(a);
}

/* More than HUB_HALF_OPEN stall: those beyond are turned away at once, and later callers get in again. */
static void half_open_is_bounded(void **state) {
  struct fixture *f = *state;
  dunlin_node *a = start(&f->a, "127.0.0.1:0", NULL, NULL);
  int stalled[64];
  for (int i = 0; i < 64; i++) stalled[i] = dial(a);
  pause_ms(100);
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  assert_int_equal(until_closed(dial(a)), 0);
  clock_gettime(CLOCK_MONOTONIC, &after);
  assert_true(after.tv_sec - before.tv_sec < 1);
  dunlin_node *b = start(&f->b, NULL, address_of(a), NULL); /* its first calls may be turned away */
  expect(b, DUNLIN_NODE_IN_SYNC);
  for (int i = 0; i < 64; i++) close(stalled[i]);
  dunlin_node_stop(b);
  dunlin_node_stop(a);
}

static void stranger(void **state) {
  struct fixture *f = *state;
  struct device c;
  device_make(&c, "Carl");
  dunlin_node *a = start(&f->a, "127.0.0.1:0", NULL, NULL), *node = start(&c, NULL, address_of(a), NULL);
  struct dunlin_node_event event = expect(node, DUNLIN_NODE_CLOSED); /* it has no key to call anybody under */
  assert_int_equal(event.error, DUNLIN_ESTRANGER);
  dunlin_node_stop(node);
  char line[DUNLIN_INVITATION_MAX];
  struct device d;
  device_make(&d, "Dora");
  struct dunlin_id other = device_space(&c, "other");
  dunlin_node *host = start(&c, "127.0.0.1:0", NULL, NULL);
  device_invite(&c, &other, address_of(host), HOUR, line);
  node = start(&d, NULL, NULL, line);
  expect(node, DUNLIN_NODE_IN_SYNC);
  dunlin_node_stop(node);
  node = start(&d, NULL, address_of(a), NULL); /* it has one, but not for A */
  event = expect(node, DUNLIN_NODE_CLOSED);
  assert_int_equal(event.error, DUNLIN_ESTRANGER);
  event = expect(a, DUNLIN_NODE_CLOSED);
  assert_int_equal(event.error, DUNLIN_EAUTH);
  dunlin_node_stop(node);
  dunlin_node_stop(host);
  dunlin_node_stop(a);
  device_drop(&c);
  device_drop(&d);
}

static void stops_at_any_time(void **state) {
  struct fixture *f = *state;
  for (int i = 0; i < 20; i++) {
    device_put_many(&f->a, &f->space, "stop", 20, 200);
    dunlin_node *nodes[2];
    nodes[0] = start(&f->a, "127.0.0.1:0", NULL, NULL);
    nodes[1] = start(&f->b, NULL, address_of(nodes[0]), NULL);
    pause_ms(rand() % 8);
    int first = rand() % 2;
    dunlin_node_stop(nodes[first]);
    dunlin_node_stop(nodes[1 - first]);
  }
}

int main(void) {
  support_seed();
#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, make_pair, drop_pair)
  const struct CMUnitTest tests[] = {
      WITH_PAIR(live_push),
      WITH_PAIR(comes_back),
      WITH_PAIR(finds_the_key),
      WITH_PAIR(chain),
      WITH_PAIR(both_call),
      WITH_PAIR(addresses),
      WITH_PAIR(nobody_there),
      WITH_PAIR(http),
      WITH_PAIR(stranger),
      WITH_PAIR(stalls_disturb_nobody),
      WITH_PAIR(half_open_is_bounded),
      WITH_PAIR(stops_at_any_time),
  };
  return cmocka_run_group_tests_name("node", tests, NULL, NULL);
}
