#include "persist/hash.h"

#include <sodium.h>
#include <string.h>

void hash_parts(uint8_t *out, size_t len, const uint8_t *key, const char *label, const struct dunlin_bytes *parts,
                size_t count) {
  uint8_t personal[crypto_generichash_blake2b_PERSONALBYTES] = {0};
  memcpy(personal, label, strnlen(label, sizeof personal));
  crypto_generichash_blake2b_state state;
  crypto_generichash_blake2b_init_salt_personal(&state, key, key ? 32 : 0, len, NULL, personal);
  for (size_t i = 0; i < count; i++)
    if (parts[i].len) crypto_generichash_blake2b_update(&state, parts[i].data, parts[i].len);
  crypto_generichash_blake2b_final(&state, out, len);
  sodium_memzero(&state, sizeof state); /* holds the key block */
}
