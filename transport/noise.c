#include "transport/noise.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

const struct noise_pattern noise_xxpsk0 = {
    .name = "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b",
    .psk = true,
    .messages = {{NOISE_PSK, NOISE_E}, {NOISE_E, NOISE_EE, NOISE_S, NOISE_ES}, {NOISE_S, NOISE_SE}},
};

/* ---- Hash functions ----------------------------------------------------------------------------------------- */

#define BLOCK 128u /* BLAKE2b's */

static void hash2(const void *a, size_t a_len, const void *b, size_t b_len, uint8_t out[NOISE_HASH]) {
  crypto_generichash_blake2b_state state;
  crypto_generichash_blake2b_init(&state, NULL, 0, NOISE_HASH);
  if (a_len) crypto_generichash_blake2b_update(&state, a, a_len);
  if (b_len) crypto_generichash_blake2b_update(&state, b, b_len);
  crypto_generichash_blake2b_final(&state, out, NOISE_HASH);
  sodium_memzero(&state, sizeof state);
}

/* HMAC (RFC 2104) with a key of NOISE_HASH bytes; Noise does not use BLAKE2b's own keyed mode. */
static void hmac(const uint8_t key[NOISE_HASH], const void *data, size_t len, uint8_t out[NOISE_HASH]) {
  uint8_t pad[BLOCK], inner[NOISE_HASH];
  memset(pad, 0x36, sizeof pad);
  for (size_t i = 0; i < NOISE_HASH; i++) pad[i] ^= key[i];
  hash2(pad, sizeof pad, data, len, inner);
  memset(pad, 0x5c, sizeof pad);
  for (size_t i = 0; i < NOISE_HASH; i++) pad[i] ^= key[i];
  hash2(pad, sizeof pad, inner, sizeof inner, out);
  sodium_memzero(pad, sizeof pad);
  sodium_memzero(inner, sizeof inner);
}

/* Noise's HKDF: `count` outputs of NOISE_HASH bytes, 2 or 3. */
static void hkdf(const uint8_t chaining[NOISE_HASH], const void *input, size_t len, uint8_t out[][NOISE_HASH],
                 unsigned count) {
  uint8_t temp[NOISE_HASH], block[NOISE_HASH + 1];
  hmac(chaining, input, len, temp);
  for (unsigned i = 0; i < count; i++) {
    if (i) memcpy(block, out[i - 1], NOISE_HASH);
    block[NOISE_HASH] = (uint8_t)(i + 1);
    hmac(temp, i ? block : block + NOISE_HASH, i ? sizeof block : 1, out[i]);
  }
  sodium_memzero(temp, sizeof temp);
  sodium_memzero(block, sizeof block);
}

/* ---- CipherState -------------------------------------------------------------------------------------------- */

/* 32 zero bits, then the counter, little-endian. */
static void nonce_bytes(uint64_t n, uint8_t out[12]) {
  memset(out, 0, 4);
  for (int i = 0; i < 8; i++) out[4 + i] = (uint8_t)(n >> 8 * i);
}

static void cipher_set(struct noise_cipher *cipher, const uint8_t key[NOISE_KEY]) {
  memcpy(cipher->key, key, NOISE_KEY);
  cipher->nonce = 0;
}

static int seal_with(struct noise_cipher *cipher, const void *ad, size_t ad_len, const void *plain, size_t len,
                     uint8_t *out) {
  if (cipher->nonce == UINT64_MAX) return DUNLIN_ELIMIT; /* reserved for REKEY */
  uint8_t nonce[12];
  nonce_bytes(cipher->nonce++, nonce);
  crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, len, ad, ad_len, NULL, nonce, cipher->key);
  return 0;
}

static int open_with(struct noise_cipher *cipher, const void *ad, size_t ad_len, const void *sealed, size_t len,
                     uint8_t *out) {
  if (len < NOISE_TAG || cipher->nonce == UINT64_MAX) return DUNLIN_EAUTH;
  uint8_t nonce[12];
  nonce_bytes(cipher->nonce, nonce);
  if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, len, ad, ad_len, nonce, cipher->key))
    return DUNLIN_EAUTH;
  cipher->nonce++;
  return 0;
}

/* REKEY: the key becomes the first 32 bytes of zeros encrypted under the highest nonce; the counter goes on. */
static void rekey_when_due(struct noise_cipher *cipher) {
  if (cipher->nonce % NOISE_REKEY_EVERY) return;
  static const uint8_t zeros[NOISE_KEY];
  uint8_t nonce[12], out[NOISE_KEY + NOISE_TAG];
  nonce_bytes(UINT64_MAX, nonce);
  crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, zeros, sizeof zeros, NULL, 0, NULL, nonce, cipher->key);
  memcpy(cipher->key, out, NOISE_KEY);
  sodium_memzero(out, sizeof out);
}

int noise_seal(struct noise_cipher *cipher, const void *plain, size_t len, uint8_t *out) {
  int error = seal_with(cipher, NULL, 0, plain, len, out);
  if (!error) rekey_when_due(cipher);
  return error;
}

int noise_open(struct noise_cipher *cipher, const void *sealed, size_t len, uint8_t *out) {
  int error = open_with(cipher, NULL, 0, sealed, len, out);
  if (!error) rekey_when_due(cipher);
  return error;
}

/* ---- SymmetricState ----------------------------------------------------------------------------------------- */

static void mix_hash(struct noise_handshake *h, const void *data, size_t len) {
  hash2(h->hash, NOISE_HASH, data, len, h->hash);
}

static void mix_key(struct noise_handshake *h, const void *input, size_t len) {
  uint8_t out[2][NOISE_HASH];
  hkdf(h->chaining, input, len, out, 2);
  memcpy(h->chaining, out[0], NOISE_HASH);
  cipher_set(&h->cipher, out[1]);
  h->keyed = true;
  sodium_memzero(out, sizeof out);
}

static void mix_key_and_hash(struct noise_handshake *h, const uint8_t psk[NOISE_KEY]) {
  uint8_t out[3][NOISE_HASH];
  hkdf(h->chaining, psk, NOISE_KEY, out, 3);
  memcpy(h->chaining, out[0], NOISE_HASH);
  mix_hash(h, out[1], NOISE_HASH);
  cipher_set(&h->cipher, out[2]);
  h->keyed = true;
  sodium_memzero(out, sizeof out);
}

static int encrypt_and_hash(struct noise_handshake *h, const void *plain, size_t len, uint8_t **out) {
  size_t size = len + (h->keyed ? NOISE_TAG : 0);
  int error = 0;
  if (h->keyed) error = seal_with(&h->cipher, h->hash, NOISE_HASH, plain, len, *out);
  else if (len) memcpy(*out, plain, len);
  mix_hash(h, *out, size);
  *out += size;
  return error;
}

static int decrypt_and_hash(struct noise_handshake *h, const uint8_t *sealed, size_t len, uint8_t *out) {
  int error = 0;
  if (h->keyed) error = open_with(&h->cipher, h->hash, NOISE_HASH, sealed, len, out);
  else if (len) memcpy(out, sealed, len);
  mix_hash(h, sealed, len);
  return error;
}

/* ---- HandshakeState ----------------------------------------------------------------------------------------- */

void noise_start(struct noise_handshake *h, const struct noise_pattern *pattern, bool initiator,
                 struct dunlin_bytes prologue, const struct noise_keys *keys) {
  size_t name_len = strlen(pattern->name);
  assert(name_len <= NOISE_HASH);
  *h = (struct noise_handshake){.pattern = pattern, .initiator = initiator};
  memcpy(h->hash, pattern->name, name_len);
  memcpy(h->chaining, h->hash, NOISE_HASH);
  mix_hash(h, prologue.data, prologue.len);
  memcpy(h->static_public, keys->static_public, NOISE_KEY);
  memcpy(h->static_secret, keys->static_secret, NOISE_KEY);
  memcpy(h->ephemeral_secret, keys->ephemeral_secret, NOISE_KEY);
}

void noise_set_psk(struct noise_handshake *h, const uint8_t psk[NOISE_KEY]) {
  memcpy(h->psk, psk, NOISE_KEY);
}

void noise_wipe(struct noise_handshake *h) {
  sodium_memzero(h, sizeof *h);
}

/* A peer's key of small order gives zeros: refused, or it would take our part out of the keys. */
static int mix_dh(struct noise_handshake *h, const uint8_t secret[NOISE_KEY], const uint8_t public[NOISE_KEY]) {
  uint8_t shared[NOISE_KEY];
  int error = crypto_scalarmult(shared, secret, public) || sodium_is_zero(shared, sizeof shared) ? DUNLIN_EAUTH : 0;
  if (!error) mix_key(h, shared, sizeof shared);
  sodium_memzero(shared, sizeof shared);
  return error;
}

/* The tokens that read and write share.  ES is the initiator's ephemeral with the responder's static key. */
static int mix_token(struct noise_handshake *h, enum noise_token token) {
  switch (token) {
    case NOISE_PSK: mix_key_and_hash(h, h->psk); return 0;
    case NOISE_EE: return mix_dh(h, h->ephemeral_secret, h->remote_ephemeral);
    case NOISE_ES:
      return h->initiator ? mix_dh(h, h->ephemeral_secret, h->remote_static)
                          : mix_dh(h, h->static_secret, h->remote_ephemeral);
    case NOISE_SE:
      return h->initiator ? mix_dh(h, h->static_secret, h->remote_ephemeral)
                          : mix_dh(h, h->ephemeral_secret, h->remote_static);
    default: return DUNLIN_EINVAL;
  }
}

static void mix_ephemeral(struct noise_handshake *h, const uint8_t e[NOISE_KEY]) {
  mix_hash(h, e, NOISE_KEY);
  if (h->pattern->psk) mix_key(h, e, NOISE_KEY);
}

size_t noise_message_size(const struct noise_handshake *h, size_t payload) {
  bool keyed = h->keyed;
  size_t size = payload;
  for (const uint8_t *token = h->pattern->messages[h->at]; *token != NOISE_END; token++) {
    if (*token == NOISE_E) size += NOISE_KEY;
    if (*token == NOISE_S) size += NOISE_KEY + (keyed ? NOISE_TAG : 0);
    if (*token != NOISE_S && (*token != NOISE_E || h->pattern->psk)) keyed = true;
  }
  return size + (keyed ? NOISE_TAG : 0);
}

static bool our_turn(const struct noise_handshake *h, bool writing) {
  return h->at < 3 && (h->at % 2 == 0) == (h->initiator == writing);
}

int noise_write(struct noise_handshake *h, const void *payload, size_t len, uint8_t *out) {
  if (!our_turn(h, true)) return DUNLIN_ESTATE;
  int error = 0;
  for (const uint8_t *token = h->pattern->messages[h->at]; *token != NOISE_END && !error; token++) {
    if (*token == NOISE_E) {
      if (crypto_scalarmult_base(h->ephemeral_public, h->ephemeral_secret)) return DUNLIN_EAUTH;
      memcpy(out, h->ephemeral_public, NOISE_KEY);
      out += NOISE_KEY;
      mix_ephemeral(h, h->ephemeral_public);
    } else if (*token == NOISE_S) {
      error = encrypt_and_hash(h, h->static_public, NOISE_KEY, &out);
    } else {
      error = mix_token(h, *token);
    }
  }
  if (!error) error = encrypt_and_hash(h, payload, len, &out);
  if (!error) h->at++;
  return error;
}

int noise_read(struct noise_handshake *h, const void *message, size_t len, uint8_t *payload, size_t *payload_len) {
  if (!our_turn(h, false)) return DUNLIN_ESTATE;
  if (len > NOISE_MAX || len < noise_message_size(h, 0)) return DUNLIN_EAUTH;
  const uint8_t *at = message, *end = at + len;
  int error = 0;
  for (const uint8_t *token = h->pattern->messages[h->at]; *token != NOISE_END && !error; token++) {
    if (*token == NOISE_E) {
      memcpy(h->remote_ephemeral, at, NOISE_KEY);
      at += NOISE_KEY;
      mix_ephemeral(h, h->remote_ephemeral);
    } else if (*token == NOISE_S) {
      size_t size = NOISE_KEY + (h->keyed ? NOISE_TAG : 0);
      error = decrypt_and_hash(h, at, size, h->remote_static);
      at += size;
    } else {
      error = mix_token(h, *token);
    }
  }
  if (error) return error;
  *payload_len = (size_t)(end - at) - (h->keyed ? NOISE_TAG : 0);
  error = decrypt_and_hash(h, at, (size_t)(end - at), payload);
  if (!error) h->at++;
  return error;
}

void noise_split(const struct noise_handshake *h, struct noise_cipher *send, struct noise_cipher *receive) {
  uint8_t out[2][NOISE_HASH];
  hkdf(h->chaining, NULL, 0, out, 2);
  cipher_set(send, out[h->initiator ? 0 : 1]);
  cipher_set(receive, out[h->initiator ? 1 : 0]);
  sodium_memzero(out, sizeof out);
}
