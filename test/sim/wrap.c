#include "test/sim/wrap.h"

#include <lmdb.h>

#include "transport/frame.h"

static struct device *acting;

void wrap_acting(struct device *d) {
  acting = d;
}

/* ---- A device in the hands of somebody else: it has the keys and says what it likes ------------------------------------------ */

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

/* ---- A store that promises what it does not keep ------------------------------------------------------------------------------- */

int __real_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);
int __wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);

int __wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode) {
  if (acting && acting->world->sabotage == SABOTAGE_NOSYNC) flags |= MDB_NOSYNC;
  return __real_mdb_env_open(env, path, flags, mode);
}
