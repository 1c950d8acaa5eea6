#include "test/fault/peer.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is no part of what is tested. */
#define MUST(condition)                                                                                                \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                  \
      abort();                                                                                                         \
    }                                                                                                                  \
  } while (0)

void peer_feed(struct peer *p, const void *data, size_t len) {
  session_receive(p->victim, 1, data, len);
}

/* Takes what the victim says, and counts it. */
void peer_listen(struct peer *p) {
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

static void handshake(struct peer *p, dunlin_store *callee) {
  struct noise_handshake h;
  struct noise_keys keys;
  struct exchange_identity other;
  uint8_t first[2 + SESSION_HINT + 48] = {0, SESSION_HINT + 48}, third[2 + 64] = {0, 64}, none[16];
  exchange_identity(callee, &other);
  memcpy(keys.static_public, p->identity.noise_public, 32);
  memcpy(keys.static_secret, p->identity.noise_secret, 32);
  randombytes_buf(keys.ephemeral_secret, 32);
  noise_start(&h, &noise_xxpsk0, true, (struct dunlin_bytes){SESSION_PROLOGUE, strlen(SESSION_PROLOGUE)}, &keys);
  noise_set_psk(&h, other.contact);
  MUST(!noise_write(&h, NULL, 0, first + 2 + SESSION_HINT));
  const struct dunlin_bytes parts[] = {{other.contact, 32}, {first + 2 + SESSION_HINT, 32}};
  struct dunlin_id hint = env_hash(dunlin_env_default(), "dunlin.psk.1", parts, 2);
  memcpy(first + 2, hint.bytes, SESSION_HINT);
  peer_feed(p, first, sizeof first);
  struct dunlin_bytes out;
  size_t len = 0;
  MUST(!session_output(p->victim, 1, &out));
  MUST(out.len == 2 + 96);
  MUST(!noise_read(&h, (const uint8_t *)out.data + 2, 96, none, &len));
  session_sent(p->victim, out.len);
  MUST(!noise_write(&h, NULL, 0, third + 2));
  memcpy(p->hash, h.hash, NOISE_HASH);
  noise_split(&h, &p->writer.cipher, &p->reader.cipher);
  peer_feed(p, third, sizeof third);
  MUST(!session_over(p->victim));
}

static void flush(struct peer *p) {
  struct dunlin_bytes out;
  MUST(!frame_output(&p->writer, &out));
  peer_feed(p, out.data, out.len);
  frame_sent(&p->writer, out.len);
  peer_listen(p);
}

size_t peer_begin(struct peer *p, unsigned type, size_t fields) {
  size_t at = frame_begin(&p->writer);
  mp_write_array(&p->writer.plain, 1 + fields);
  mp_write_uint(&p->writer.plain, type);
  return at;
}

void peer_end(struct peer *p, size_t at) {
  MUST(!frame_end(&p->writer, at));
  flush(p);
}

void peer_hello(struct peer *p, unsigned version, const struct dunlin_id *device, unsigned role) {
  uint8_t data[NOISE_HASH + 1], signature[64];
  memcpy(data, p->hash, NOISE_HASH);
  data[NOISE_HASH] = (uint8_t)role;
  exchange_sign(p->store, (struct dunlin_bytes){data, sizeof data}, signature);
  size_t at = peer_begin(p, MESSAGE_HELLO, 5);
  mp_write_uint(&p->writer.plain, version);
  mp_write_bin(&p->writer.plain, device->bytes, 32);
  mp_write_str(&p->writer.plain, "peer", 4);
  mp_write_bin(&p->writer.plain, signature, 64);
  mp_write_nil(&p->writer.plain);
  peer_end(p, at);
}

void peer_summary(struct peer *p, const struct dunlin_id *space) {
  const uint8_t other[16] = {1};
  size_t at = peer_begin(p, MESSAGE_SUMMARY, 1);
  mp_write_array(&p->writer.plain, 1);
  mp_write_array(&p->writer.plain, 3);
  mp_write_bin(&p->writer.plain, space->bytes, 32);
  mp_write_bin(&p->writer.plain, other, 16);
  mp_write_bin(&p->writer.plain, other, 8);
  peer_end(p, at);
}

void peer_have(struct peer *p, const struct log_name *name, uint64_t count, const uint8_t tip[8]) {
  size_t at = peer_begin(p, MESSAGE_HAVE, 2);
  struct buf *out = &p->writer.plain;
  mp_write_bin(out, name->space.bytes, 32);
  mp_write_array(out, 1);
  mp_write_array(out, 5);
  mp_write_bin(out, name->device.bytes, 32);
  mp_write_bin(out, name->actor.bytes, 16);
  mp_write_uint(out, name->lane);
  mp_write_uint(out, count);
  mp_write_bin(out, tip, 8);
  peer_end(p, at);
}

void peer_run(struct peer *p, uint64_t id, const void *sealed, size_t len) {
  size_t at = peer_begin(p, MESSAGE_RUN, 2);
  mp_write_uint(&p->writer.plain, id);
  mp_write_bin(&p->writer.plain, sealed, len);
  peer_end(p, at);
}

void peer_done(struct peer *p, uint64_t id) {
  size_t at = peer_begin(p, MESSAGE_DONE, 1);
  mp_write_uint(&p->writer.plain, id);
  peer_end(p, at);
}

void peer_open(struct peer *p, dunlin_store *store, dunlin_store *victim, bool granted) {
  struct session_config config = {.store = victim, .address = "peer:1", .handshake_ms = 5000};
  *p = (struct peer){.store = store};
  exchange_identity(store, &p->identity);
  if (!granted) crypto_box_keypair(p->identity.noise_public, p->identity.noise_secret);
  frame_writer_init(&p->writer, dunlin_env_default(), 8u << 20);
  frame_reader_init(&p->reader, dunlin_env_default());
  MUST(!session_new(&config, 1, &p->victim));
  handshake(p, victim);
}

void peer_close(struct peer *p) {
  session_free(p->victim);
  frame_writer_free(&p->writer);
  frame_reader_free(&p->reader);
}
