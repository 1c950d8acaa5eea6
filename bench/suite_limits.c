/* What the machine can do, in the same run: every other figure is a fraction of these. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bench.h"

enum { MEBIBYTE = 1 << 20, SMALL_ROUNDS = 1000, FLUSHES = 50, TRIPS = 500 };

static int copy_memory(void *ctx, double *ms) {
  uint8_t *buffers = ctx;
  double began = bench_now();
  for (int i = 0; i < 100; i++) memcpy(buffers + (i % 2 ? MEBIBYTE : 0), buffers + (i % 2 ? 0 : MEBIBYTE), MEBIBYTE);
  *ms = (bench_now() - began) / 100;
  return 0;
}

/* 4 KiB written over and flushed: what a durable commit cannot be faster than. */
static int flush(void *ctx, double *ms) {
  const struct bench *b = ctx;
  char path[4096];
  uint8_t page[4096] = {1};
  snprintf(path, sizeof path, "%s/dunlin-bench-flush-%d", b->scratch, (int)getpid());
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  int error = fd < 0 || write(fd, page, sizeof page) != sizeof page || fsync(fd) ? DUNLIN_EIO : 0;
  double began = bench_now();
  for (int i = 0; i < FLUSHES && !error; i++) {
    page[0] = (uint8_t)i;
    if (pwrite(fd, page, sizeof page, 0) != sizeof page || fdatasync(fd)) error = DUNLIN_EIO;
  }
  *ms = (bench_now() - began) / FLUSHES;
  if (fd >= 0) close(fd);
  unlink(path);
  return error;
}

/* ---- TCP ---------------------------------------------------------------------------------------------------- */

static void *echo(void *ctx) {
  int fd = accept(*(int *)ctx, NULL, NULL), one = 1;
  uint8_t data[100];
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  while (recv(fd, data, sizeof data, MSG_WAITALL) == sizeof data)
    if (send(fd, data, sizeof data, MSG_NOSIGNAL) != sizeof data) break;
  close(fd);
  return NULL;
}

static int trips(int fd, double *ms) {
  uint8_t data[100] = {0};
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  double began = bench_now();
  for (int i = 0; i < TRIPS; i++)
    if (send(fd, data, sizeof data, MSG_NOSIGNAL) != sizeof data ||
        recv(fd, data, sizeof data, MSG_WAITALL) != sizeof data)
      return DUNLIN_EIO;
  *ms = (bench_now() - began) / TRIPS;
  return 0;
}

int bench_round_trip(void *ctx, double *ms) {
  (void)ctx;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  pthread_t thread;
  int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int error = server < 0 || client < 0 || bind(server, (struct sockaddr *)&address, len) || listen(server, 1) ||
                      getsockname(server, (struct sockaddr *)&address, &len) ||
                      pthread_create(&thread, NULL, echo, &server)
                  ? DUNLIN_EIO
                  : 0;
  bool running = !error;
  if (!error && connect(client, (struct sockaddr *)&address, len)) error = DUNLIN_EIO;
  if (!error) error = trips(client, ms);
  if (error) shutdown(server, SHUT_RDWR); /* so that the thread does not wait for ever */
  if (client >= 0) close(client);
  if (running) pthread_join(thread, NULL);
  if (server >= 0) close(server);
  return error;
}

/* ---- libsodium ---------------------------------------------------------------------------------------------- */

struct crypto {
  size_t len;
  uint8_t *data; /* len + 16 */
  uint8_t public[32], secret[64], signature[64];
};

static int blake2b(void *ctx, double *ms) {
  struct crypto *c = ctx;
  uint8_t out[32];
  int rounds = c->len > 65536 ? 10 : SMALL_ROUNDS;
  double began = bench_now();
  for (int i = 0; i < rounds; i++) crypto_generichash(out, sizeof out, c->data, c->len, NULL, 0);
  *ms = (bench_now() - began) / rounds;
  return 0;
}

static int encrypt(void *ctx, double *ms) {
  struct crypto *c = ctx;
  uint8_t nonce[12] = {0};
  int rounds = c->len > 65536 ? 10 : SMALL_ROUNDS;
  double began = bench_now();
  for (int i = 0; i < rounds; i++)
    crypto_aead_chacha20poly1305_ietf_encrypt(c->data, NULL, c->data, c->len, NULL, 0, NULL, nonce, c->public);
  *ms = (bench_now() - began) / rounds;
  return 0;
}

static int sign(void *ctx, double *ms) {
  struct crypto *c = ctx;
  double began = bench_now();
  for (int i = 0; i < 100; i++) crypto_sign_detached(c->signature, NULL, c->data, 64, c->secret);
  *ms = (bench_now() - began) / 100;
  return 0;
}

static int verify(void *ctx, double *ms) {
  struct crypto *c = ctx;
  int bad = crypto_sign_detached(c->signature, NULL, c->data, 64, c->secret);
  double began = bench_now();
  for (int i = 0; i < 100; i++) bad |= crypto_sign_verify_detached(c->signature, c->data, 64, c->public);
  *ms = (bench_now() - began) / 100;
  return bad ? DUNLIN_EAUTH : 0;
}

static int time_crypto(struct bench *b, uint8_t *data) {
  static const size_t sizes[] = {64, 1024, MEBIBYTE};
  static const char *const names[] = {"64B", "1KiB", "1MiB"};
  struct crypto c = {.data = data};
  crypto_sign_keypair(c.public, c.secret);
  int error = 0;
  for (int i = 0; i < 3 && !error; i++) {
    c.len = sizes[i];
    error = bench_time_peer(b, names[i], "machine", "blake2b", blake2b, &c);
    if (!error) error = bench_time_peer(b, names[i], "machine", "chacha20poly1305", encrypt, &c);
  }
  if (!error) error = bench_time_peer(b, "64B", "machine", "ed25519_sign", sign, &c);
  return error ? error : bench_time_peer(b, "64B", "machine", "ed25519_verify", verify, &c);
}

int suite_limits(struct bench *b) {
  uint8_t *data = calloc(2, MEBIBYTE);
  if (!data) return DUNLIN_ENOMEM;
  int error = bench_time_peer(b, "1MiB", "machine", "memcpy", copy_memory, data);
  if (!error) error = bench_time_peer(b, "4KiB", "machine", "flush", flush, b);
  if (!error) error = bench_time_peer(b, "100B", "machine", "tcp_round_trip", bench_round_trip, NULL);
  if (!error) error = time_crypto(b, data);
  free(data);
  return error;
}
