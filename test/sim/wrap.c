#include "test/sim/wrap.h"

#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

#include "transport/frame.h"

static struct device *acting;

void wrap_acting(struct device *d) {
  acting = d;
}

/* ---- A device in the hands of somebody else: it has the keys and says what it likes ------------------------------ */

int __real_frame_end(struct frame_writer *w, size_t begin);
int __wrap_frame_end(struct frame_writer *w, size_t begin);

/* Alters a message before it is sealed: bits, bytes, its end, or all of it. */
static void alter(struct rng *rng, uint8_t *message, size_t *len) {
  switch (rng_below(rng, 5)) {
    case 0: message[rng_below(rng, *len)] ^= (uint8_t)(1u << rng_below(rng, 8)); break;
    case 1: message[rng_below(rng, *len)] = (uint8_t)rng_next(rng); break;
    case 2: *len = rng_below(rng, *len) + 1; break;
    case 3:
      for (size_t i = 0; i < *len; i++) message[i] = (uint8_t)rng_next(rng);
      break;
    default: { /* a large number where a number may be */
      size_t at = rng_below(rng, *len);
      static const uint8_t large[] = {0xcf, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
      for (size_t i = 0; i < sizeof large && at + i < *len; i++) message[at + i] = large[i];
    }
  }
}

int __wrap_frame_end(struct frame_writer *w, size_t begin) {
  if (acting && acting->hostile.state && !w->plain.error && rng_chance(&acting->hostile, 1, 8)) {
    size_t len = w->plain.len - begin - 4;
    acting->world->counts.lies++;
    if (len) alter(&acting->hostile, w->plain.data + begin + 4, &len);
    w->plain.len = begin + 4 + len;
  }
  return __real_frame_end(w, begin);
}

/* ---- A store that promises what it does not keep ----------------------------------------------------------------- */

int __real_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);
int __wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);

int __wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode) {
  if (acting && acting->world->sabotage == SABOTAGE_NOSYNC) flags |= MDB_NOSYNC;
  return __real_mdb_env_open(env, path, flags, mode);
}

/* ---- Signatures that were checked before ------------------------------------------------------------------------- */

/* Every device checks the same signatures, and that is most of what a fleet costs.  Whether one is right depends on its
 * bytes only, so it is worked out once for all of them. */
struct checked {
  uint8_t of[15]; /* hash of signature, message and key */
  uint8_t result; /* 0: the place is free, 1: right, 2: wrong */
};

static struct checked *checked;
static size_t checked_cap, checked_count;

int __real_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m, unsigned long long len,
                                       const unsigned char *pk);
int __wrap_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m, unsigned long long len,
                                       const unsigned char *pk);

static struct checked *place_of(const uint8_t of[15]) {
  size_t at;
  memcpy(&at, of, sizeof at);
  for (at &= checked_cap - 1; checked[at].result; at = (at + 1) & (checked_cap - 1))
    if (!memcmp(checked[at].of, of, 15)) break;
  return &checked[at];
}

static void grow_checked(void) {
  struct checked *old = checked;
  size_t cap = checked_cap;
  checked_cap = cap ? 2 * cap : 1024;
  checked = calloc(checked_cap, sizeof *checked);
  if (!checked) abort();
  for (size_t i = 0; i < cap; i++)
    if (old[i].result) *place_of(old[i].of) = old[i];
  free(old);
}

int __wrap_crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m, unsigned long long len,
                                       const unsigned char *pk) {
  uint8_t of[16];
  crypto_generichash_state state;
  crypto_generichash_init(&state, NULL, 0, sizeof of);
  crypto_generichash_update(&state, sig, 64);
  crypto_generichash_update(&state, pk, 32);
  crypto_generichash_update(&state, m, len);
  crypto_generichash_final(&state, of, sizeof of);
  if (2 * (checked_count + 1) > checked_cap) grow_checked();
  struct checked *place = place_of(of);
  if (!place->result) {
    memcpy(place->of, of, 15);
    place->result = __real_crypto_sign_verify_detached(sig, m, len, pk) ? 2 : 1;
    checked_count++;
  }
  return place->result == 1 ? 0 : -1;
}
