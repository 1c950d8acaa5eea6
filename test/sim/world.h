/* The simulated world: one clock, one list of things to come, and everything in it drawn from one seed.
 *
 * A world runs a fleet of devices with the real code of all three layers, each with a store on a disk of its own that
 * loses power (test/fault/disk.h), over a network of links in memory (net.h), through a script of what befalls them
 * (script.h).  All of it in one thread: what happens next depends on the seed and the script only, and so does every
 * line of the trace. */
#ifndef TEST_SIM_WORLD_H
#define TEST_SIM_WORLD_H

#include <stdarg.h>

#include <sodium.h>

#include "test/sim/script.h"
#include "test/support/rng.h"

#define SIM_MARKER "dUnLiNmArKeR" /* in everything that users write: must be found nowhere outside */

struct device;
struct net;

/* Something to come. */
typedef void sim_fire(void *ctx, uint64_t arg);

struct sim_event {
  uint64_t at, order;
  sim_fire *fire;
  void *ctx;
  uint64_t arg;
};

struct sim_counts {
  uint64_t edits, refused_edits, acked, kills, powers, rots, restores, clones, joins, sessions, mangled, lies, faults,
      calms, wiped;
};

/* What `--break` breaks on purpose, to see that it is found. */
enum sabotage {
  SABOTAGE_NONE,
  SABOTAGE_NOSYNC,  /* LMDB does not sync: acknowledged commits are lost with power */
  SABOTAGE_DIVERGE, /* a device changes a document behind the store's back */
  SABOTAGE_LEAK,    /* a device writes content in clear */
  SABOTAGE_MEMORY,  /* a device forgets to free */
};

struct world {
  const struct script *script;
  uint64_t now; /* milliseconds since the beginning */
  uint64_t order;
  struct sim_event *events; /* a heap */
  size_t event_count, event_cap;
  struct device *devices[SIM_MAX_DEVICES]; /* NULL: not there yet */
  struct net *net;
  struct ledger *ledger;
  struct sim_counts counts;
  enum sabotage sabotage;
  char root[256]; /* where the disks are */
  bool calm;      /* everything is mended; nothing may fail but for lack of time */
  bool failed;
  char failure[512];
  FILE *trace; /* may be NULL */
  crypto_generichash_state trace_hash;
};

/* Runs a script to its end, or to the first thing that is wrong: then `failed` and `failure` tell.  `trace` may be
 * NULL. */
void world_run(struct world *world, const struct script *script, enum sabotage sabotage, FILE *trace);
/* The hash of the trace, in hexadecimal. */
void world_hash(struct world *world, char out[33]);

void world_later(struct world *world, uint64_t at, sim_fire *fire, void *ctx, uint64_t arg);
/* Does what is to come up to and with `at`. */
void world_until(struct world *world, uint64_t at);
/* A generator that depends on the world's seed and on what it is for, so that leaving an action out changes little
 * else. */
struct rng world_rng(const struct world *world, const char *what, uint64_t number);

void trace(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first failure counts; the world then stops. */
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whether the marker is in these bytes: then it fails, naming the place. */
void world_watch(struct world *world, const char *where, const void *data, size_t len);

#endif
