/* Noise against published vectors, against every flipped bit, and through its rekeying. */
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "transport/noise.h"

#define PROLOGUE "John Galt"

static const struct noise_pattern xx = {
    .name = "Noise_XX_25519_ChaChaPoly_BLAKE2b",
    .messages = {{NOISE_E}, {NOISE_E, NOISE_EE, NOISE_S, NOISE_ES}, {NOISE_S, NOISE_SE}},
};
static const struct noise_pattern xxpsk3 = {
    .name = "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2b",
    .psk = true,
    .messages = {{NOISE_E}, {NOISE_E, NOISE_EE, NOISE_S, NOISE_ES}, {NOISE_S, NOISE_SE, NOISE_PSK}},
};

static const char *const static_hex[2] = {"e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
                                          "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893"};
static const char *const ephemeral_hex[2] = {"893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
                                             "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"};
static const char *const payloads[6] = {"Ludwig von Mises", "Murray Rothbard",   "F. A. Hayek",
                                        "Carl Menger",      "Jean-Baptiste Say", "Eugen B\xf6hm von Bawerk"};

static size_t unhex(const char *hex, uint8_t *out, size_t cap) {
  size_t len = 0;
  assert_int_equal(sodium_hex2bin(out, cap, hex, strlen(hex), " \n", &len, NULL), 0);
  return len;
}

static void start_pair(const struct noise_pattern *pattern, struct noise_handshake h[2]) {
  for (int i = 0; i < 2; i++) {
    struct noise_keys keys;
    unhex(static_hex[i], keys.static_secret, 32);
    unhex(ephemeral_hex[i], keys.ephemeral_secret, 32);
    crypto_scalarmult_base(keys.static_public, keys.static_secret);
    noise_start(&h[i], pattern, i == 0, (struct dunlin_bytes){PROLOGUE, strlen(PROLOGUE)}, &keys);
    noise_set_psk(&h[i], (const uint8_t *)"This is my Austrian perspective!");
  }
}

/* Message `i` of the handshake from its writer; returns its length. */
static size_t write_message(struct noise_handshake h[2], int i, uint8_t *out) {
  size_t size = noise_message_size(&h[i % 2], strlen(payloads[i]));
  assert_int_equal(noise_write(&h[i % 2], payloads[i], strlen(payloads[i]), out), 0);
  return size;
}

static int read_message(struct noise_handshake h[2], int i, const uint8_t *message, size_t len) {
  uint8_t plain[256];
  size_t plain_len = 0;
  int error = noise_read(&h[1 - i % 2], message, len, plain, &plain_len);
  if (error) return error;
  assert_int_equal(plain_len, strlen(payloads[i]));
  assert_memory_equal(plain, payloads[i], plain_len);
  return 0;
}

static void finish(struct noise_handshake h[2], struct noise_cipher send[2], struct noise_cipher receive[2]) {
  for (int i = 0; i < 2; i++) noise_split(&h[i], &send[i], &receive[i]);
  assert_memory_equal(h[0].hash, h[1].hash, NOISE_HASH);
  assert_memory_equal(h[0].remote_static, h[1].static_public, NOISE_KEY);
  assert_memory_equal(h[1].remote_static, h[0].static_public, NOISE_KEY);
}

struct vector {
  char name[64];
  uint8_t hash[NOISE_HASH], messages[6][256];
  size_t lengths[6], count;
};

static void check_vector(const struct vector *v) {
  const struct noise_pattern *patterns[] = {&noise_xxpsk0, &xx, &xxpsk3}, *pattern = NULL;
  for (size_t i = 0; i < 3; i++)
    if (!strcmp(patterns[i]->name, v->name)) pattern = patterns[i];
  assert_non_null(pattern);
  struct noise_handshake h[2];
  struct noise_cipher send[2], receive[2];
  uint8_t out[256], plain[256];
  start_pair(pattern, h);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(write_message(h, i, out), v->lengths[i]);
    assert_memory_equal(out, v->messages[i], v->lengths[i]);
    assert_int_equal(read_message(h, i, out, v->lengths[i]), 0);
  }
  finish(h, send, receive);
  assert_memory_equal(h[0].hash, v->hash, NOISE_HASH);
  for (int i = 3; i < 6; i++) {
    size_t len = strlen(payloads[i]);
    assert_int_equal(noise_seal(&send[i % 2], payloads[i], len, out), 0);
    assert_int_equal(len + NOISE_TAG, v->lengths[i]);
    assert_memory_equal(out, v->messages[i], v->lengths[i]);
    assert_int_equal(noise_open(&receive[1 - i % 2], out, v->lengths[i], plain), 0);
    assert_memory_equal(plain, payloads[i], len);
  }
}

static void vectors(void **state) {
  (void)state;
  FILE *file = fopen(NOISE_VECTORS, "r");
  assert_non_null(file);
  char line[1024], value[1024];
  struct vector v = {0};
  int checked = 0;
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "protocol %63s", v.name) == 1) v.count = 0;
    if (sscanf(line, "hash %1023s", value) == 1) unhex(value, v.hash, sizeof v.hash);
    if (sscanf(line, "message %1023s", value) != 1) continue;
    v.lengths[v.count] = unhex(value, v.messages[v.count], sizeof v.messages[0]);
    if (++v.count < 6) continue;
    check_vector(&v);
    checked++;
  }
  fclose(file);
  assert_int_equal(checked, 3);
}

/* Every bit of message `at` flipped: the reader refuses it, or, in message 1 of a psk handshake never accepts it. */
static void flip_bits_of(int at) {
  struct noise_handshake h[2], before[2];
  uint8_t message[256];
  start_pair(&noise_xxpsk0, h);
  for (int i = 0; i < at; i++) assert_int_equal(read_message(h, i, message, write_message(h, i, message)), 0);
  size_t len = write_message(h, at, message);
  memcpy(before, h, sizeof h);
  for (size_t bit = 0; bit < len * 8; bit++) {
    memcpy(h, before, sizeof h);
    message[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(read_message(h, at, message, len), DUNLIN_EAUTH);
    message[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  for (size_t cut = 0; cut < len; cut++) {
    memcpy(h, before, sizeof h);
    assert_int_equal(read_message(h, at, message, cut), DUNLIN_EAUTH);
  }
  memcpy(h, before, sizeof h);
  assert_int_equal(read_message(h, at, message, len), 0);
}

static void tampered_handshake(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) flip_bits_of(i);
}

static void other_psk(void **state) {
  (void)state;
  struct noise_handshake h[2];
  uint8_t message[256];
  start_pair(&noise_xxpsk0, h);
  noise_set_psk(&h[1], (const uint8_t *)"This is my Australian perspecti!");
  assert_int_equal(read_message(h, 0, message, write_message(h, 0, message)), DUNLIN_EAUTH);
}

/* Keys of small order make every DH result zero; the test vectors of RFC 7748's authors list them, 0 and 1 suffice. */
static void small_order(void **state) {
  (void)state;
  for (uint8_t u = 0; u < 2; u++) {
    struct noise_handshake h[2];
    uint8_t message[256];
    start_pair(&xx, h);
    size_t len = write_message(h, 0, message);
    memset(message, 0, NOISE_KEY);
    message[0] = u;
    assert_int_equal(read_message(h, 0, message, len), 0); /* no DH yet */
    assert_int_equal(noise_write(&h[1], "", 0, message), DUNLIN_EAUTH);
  }
}

static void out_of_turn(void **state) {
  (void)state;
  struct noise_handshake h[2];
  uint8_t message[256];
  size_t len = 0;
  start_pair(&noise_xxpsk0, h);
  assert_int_equal(noise_write(&h[1], "", 0, message), DUNLIN_ESTATE);
  assert_int_equal(noise_read(&h[0], message, 48, message, &len), DUNLIN_ESTATE);
}

static void complete(struct noise_cipher send[2], struct noise_cipher receive[2]) {
  struct noise_handshake h[2];
  uint8_t message[256];
  start_pair(&noise_xxpsk0, h);
  for (int i = 0; i < 3; i++) assert_int_equal(read_message(h, i, message, write_message(h, i, message)), 0);
  finish(h, send, receive);
}

static void tampered_transport(void **state) {
  (void)state;
  struct noise_cipher send[2], receive[2];
  complete(send, receive);
  uint8_t first[32 + NOISE_TAG], second[32 + NOISE_TAG], out[32];
  assert_int_equal(noise_seal(&send[0], "the first of two whole messages", 32, first), 0);
  assert_int_equal(noise_seal(&send[0], "the next", 9, second), 0);
  for (size_t bit = 0; bit < sizeof first * 8; bit++) {
    first[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(noise_open(&receive[1], first, sizeof first, out), DUNLIN_EAUTH);
    first[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  assert_int_equal(noise_open(&receive[1], second, 9 + NOISE_TAG, out), DUNLIN_EAUTH); /* out of order */
  assert_int_equal(noise_open(&receive[0], first, sizeof first, out), DUNLIN_EAUTH);   /* reflected */
  assert_int_equal(noise_open(&receive[1], first, NOISE_TAG - 1, out), DUNLIN_EAUTH);
  assert_int_equal(noise_open(&receive[1], first, sizeof first, out), 0);
  assert_int_equal(noise_open(&receive[1], first, sizeof first, out), DUNLIN_EAUTH); /* replayed */
  assert_int_equal(noise_open(&receive[1], second, 9 + NOISE_TAG, out), 0);
}

/* The key changes after exactly NOISE_REKEY_EVERY messages, to what REKEY() of the specification says. */
static void rekey(void **state) {
  (void)state;
  struct noise_cipher send[2], receive[2];
  complete(send, receive);
  uint8_t key[32], sealed[1 + NOISE_TAG], out[48];
  memcpy(key, send[0].key, sizeof key);
  for (uint64_t i = 0; i < NOISE_REKEY_EVERY; i++) {
    assert_memory_equal(send[0].key, key, sizeof key);
    assert_int_equal(noise_seal(&send[0], "x", 1, sealed), 0);
    assert_int_equal(noise_open(&receive[1], sealed, sizeof sealed, out), 0);
  }
  static const uint8_t zeros[32], last_nonce[12] = {0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255};
  crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, zeros, 32, NULL, 0, NULL, last_nonce, key);
  assert_memory_equal(send[0].key, out, 32);
  assert_memory_equal(receive[1].key, out, 32);
  assert_int_equal(noise_seal(&send[0], "y", 1, sealed), 0);
  assert_int_equal(noise_open(&receive[1], sealed, sizeof sealed, out), 0);
  assert_int_equal(out[0], 'y');
  send[0].nonce = UINT64_MAX;
  assert_int_equal(noise_seal(&send[0], "z", 1, sealed), DUNLIN_ELIMIT);
}

int main(void) {
  if (sodium_init() < 0) return 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(vectors),     cmocka_unit_test(tampered_handshake), cmocka_unit_test(other_psk),
      cmocka_unit_test(small_order), cmocka_unit_test(out_of_turn),        cmocka_unit_test(tampered_transport),
      cmocka_unit_test(rekey),
  };
  return cmocka_run_group_tests_name("noise", tests, NULL, NULL);
}
