/* The Noise protocol framework (revision 34), as far as Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b needs it.
 *
 * No I/O, no allocation, no randomness of its own: ephemeral keys come from the caller.  A handshake goes
 *
 *   -> psk, e      e 32, empty payload 16                48 bytes
 *   <- e, ee, s, es  e 32, s 48, empty payload 16        96 bytes
 *   -> s, se       s 48, empty payload 16                64 bytes
 *
 * and ends in two cipher states, one a direction. */
#ifndef TRANSPORT_NOISE_H
#define TRANSPORT_NOISE_H

#include <dunlin/dunlin.h>

#define NOISE_KEY 32u
#define NOISE_HASH 64u
#define NOISE_TAG 16u
#define NOISE_MAX 65535u                      /* bytes of a Noise message */
#define NOISE_REKEY_EVERY ((uint64_t)1 << 16) /* messages under one transport key */

/* ---- Transport ---------------------------------------------------------------------------------------------- */

struct noise_cipher {
  uint8_t key[NOISE_KEY];
  uint64_t nonce; /* of the next message */
};

/* `out` takes len + NOISE_TAG bytes.  DUNLIN_ELIMIT when the nonces are used up. */
int noise_seal(struct noise_cipher *cipher, const void *plain, size_t len, uint8_t *out);
/* `out` takes len - NOISE_TAG bytes.  DUNLIN_EAUTH: not the next message of the peer. */
int noise_open(struct noise_cipher *cipher, const void *sealed, size_t len, uint8_t *out);

/* ---- Handshake ---------------------------------------------------------------------------------------------- */

enum noise_token { NOISE_END, NOISE_E, NOISE_S, NOISE_EE, NOISE_ES, NOISE_SE, NOISE_PSK };

/* Three messages of tokens, the first from the initiator. */
struct noise_pattern {
  const char *name; /* at most NOISE_HASH bytes */
  bool psk;
  uint8_t messages[3][6]; /* enum noise_token, ended by NOISE_END */
};
extern const struct noise_pattern noise_xxpsk0;

struct noise_handshake {
  const struct noise_pattern *pattern;
  bool initiator, keyed;
  unsigned at; /* the message that comes next, 0 to 3 */
  uint8_t chaining[NOISE_HASH], hash[NOISE_HASH];
  struct noise_cipher cipher;
  uint8_t psk[NOISE_KEY];
  uint8_t static_public[NOISE_KEY], static_secret[NOISE_KEY];
  uint8_t ephemeral_public[NOISE_KEY], ephemeral_secret[NOISE_KEY];
  uint8_t remote_static[NOISE_KEY], remote_ephemeral[NOISE_KEY];
};

struct noise_keys {
  uint8_t static_public[NOISE_KEY], static_secret[NOISE_KEY];
  uint8_t ephemeral_secret[NOISE_KEY];
};

/* Does no curve operation.  The psk is set before the first message is read or written. */
void noise_start(struct noise_handshake *h, const struct noise_pattern *pattern, bool initiator,
                 struct dunlin_bytes prologue, const struct noise_keys *keys);
void noise_set_psk(struct noise_handshake *h, const uint8_t psk[NOISE_KEY]);
void noise_wipe(struct noise_handshake *h);

/* Writes the next message; `out` takes what noise_message_size() says. */
size_t noise_message_size(const struct noise_handshake *h, size_t payload);
int noise_write(struct noise_handshake *h, const void *payload, size_t len, uint8_t *out);
/* Reads the next message; `payload` takes len bytes at most and `*payload_len` says how many were written.
 * DUNLIN_EAUTH.  After an error the handshake must be given up. */
int noise_read(struct noise_handshake *h, const void *message, size_t len, uint8_t *payload, size_t *payload_len);

/* After the third message: the two directions.  h->hash is then the handshake hash, h->remote_static the peer's key. */
void noise_split(const struct noise_handshake *h, struct noise_cipher *send, struct noise_cipher *receive);

#endif
