#include "test/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/sim/device.h"
#include "test/sim/judge.h"
#include "test/sim/ledger.h"

/* ---- Trace and failure ------------------------------------------------------------------------------------------- */

void trace(struct world *world, const char *format, ...) {
  char line[512];
  int len = snprintf(line, sizeof line, "%" PRIu64 ".%03u ", world->now / 1000, (unsigned)(world->now % 1000));
  va_list args;
  va_start(args, format);
  int more = vsnprintf(line + len, sizeof line - (size_t)len - 1, format, args);
  va_end(args);
  len = more < (int)sizeof line - len - 1 ? len + more : (int)sizeof line - 2;
  line[len++] = '\n';
  crypto_generichash_update(&world->trace_hash, (const uint8_t *)line, (unsigned long long)len);
  if (world->trace) fwrite(line, 1, (size_t)len, world->trace);
}

void world_fail(struct world *world, const char *format, ...) {
  if (world->failed) return;
  world->failed = true;
  va_list args;
  va_start(args, format);
  vsnprintf(world->failure, sizeof world->failure, format, args);
  va_end(args);
  trace(world, "FAILED %s", world->failure);
}

void world_hash(struct world *world, char out[33]) {
  uint8_t hash[16];
  crypto_generichash_state state = world->trace_hash;
  crypto_generichash_final(&state, hash, sizeof hash);
  sodium_bin2hex(out, 33, hash, sizeof hash);
}

void world_watch(struct world *world, const char *where, const void *data, size_t len) {
  if (memmem(data, len, SIM_MARKER, sizeof SIM_MARKER - 1)) world_fail(world, "content in clear in %s", where);
}

struct rng world_rng(const struct world *world, const char *what, uint64_t number) {
  uint64_t hash = 14695981039346656037u; /* FNV-1a */
  for (; *what; what++) hash = (hash ^ (uint8_t)*what) * 1099511628211u;
  struct rng rng = rng_of(world->script->seed ^ hash ^ (number * 0xd6e8feb86659fd93u));
  if (!rng.state) rng.state = 1;
  rng_next(&rng);
  return rng;
}

/* ---- Things to come ---------------------------------------------------------------------------------------------- */

static bool before(const struct sim_event *a, const struct sim_event *b) {
  return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(struct sim_event *a, struct sim_event *b) {
  struct sim_event c = *a;
  *a = *b;
  *b = c;
}

void world_later(struct world *world, uint64_t at, sim_fire *fire, void *ctx, uint64_t arg) {
  if (world->event_count == world->event_cap) {
    world->event_cap = world->event_cap ? world->event_cap * 2 : 256;
    world->events = realloc(world->events, world->event_cap * sizeof *world->events);
    if (!world->events) abort();
  }
  size_t i = world->event_count++;
  world->events[i] = (struct sim_event){at < world->now ? world->now : at, world->order++, fire, ctx, arg};
  for (; i && before(&world->events[i], &world->events[(i - 1) / 2]); i = (i - 1) / 2)
    swap(&world->events[i], &world->events[(i - 1) / 2]);
}

static struct sim_event take_first(struct world *world) {
  struct sim_event first = world->events[0];
  world->events[0] = world->events[--world->event_count];
  for (size_t i = 0;;) {
    size_t least = i, child = 2 * i + 1;
    for (size_t k = child; k < child + 2 && k < world->event_count; k++)
      if (before(&world->events[k], &world->events[least])) least = k;
    if (least == i) return first;
    swap(&world->events[i], &world->events[least]);
    i = least;
  }
}

void world_until(struct world *world, uint64_t at) {
  while (!world->failed && world->event_count && world->events[0].at <= at) {
    struct sim_event event = take_first(world);
    world->now = event.at;
    event.fire(event.ctx, event.arg);
  }
  if (!world->failed && world->now < at) world->now = at;
}

/* ---- Actions ----------------------------------------------------------------------------------------------------- */

/* Ends of what lasts a while.  Where two overlap, the first end ends both. */
static void end_cut(void *ctx, uint64_t arg) {
  struct world *world = ctx;
  net_cut(world->net, (unsigned)(arg >> 8), (unsigned)(arg & 0xff), false);
}

static void end_weather(void *ctx, uint64_t arg) {
  (void)arg;
  struct world *world = ctx;
  net_weather(world->net, (struct net_weather){.delay = 5, .jitter = 10});
}

static void end_fault(void *ctx, uint64_t arg) {
  struct world *world = ctx;
  struct device *d = world->devices[arg];
  disk_fail(d->disk, 0, 0, 0, 0);
  disk_limit(d->disk, UINT64_MAX);
  trace(world, "d%u disk well", d->number);
  if (d->wanted) device_start(d);
}

static void end_hostile(void *ctx, uint64_t arg) {
  struct world *world = ctx;
  world->devices[arg]->hostile.state = 0;
}

static void come_back(void *ctx, uint64_t arg) {
  struct world *world = ctx;
  struct device *d = world->devices[arg];
  d->powered = true;
  if (d->wanted) device_start(d);
}

static void cut(struct world *world, unsigned from, unsigned to, uint64_t ms) {
  net_cut(world->net, from, to, true);
  world_later(world, world->now + ms, end_cut, world, (uint64_t)from << 8 | to);
}

static void split(struct world *world, uint64_t mask, uint64_t ms) {
  for (unsigned a = 0; a < SIM_MAX_DEVICES; a++)
    for (unsigned b = 0; b < SIM_MAX_DEVICES; b++)
      if ((mask >> a & 1) != (mask >> b & 1)) cut(world, a, b, ms);
}

static void fault(struct world *world, struct device *d, const int64_t *args) {
  static const int errors[] = {0, 5 /* EIO */, 28 /* ENOSPC */, DISK_SHORT};
  world->counts.faults++;
  disk_fail(d->disk, DISK_CHANGE, (uint64_t)args[2] + 1, (uint64_t)args[3], errors[args[1] & 3]);
  world_later(world, world->now + (uint64_t)args[4], end_fault, world, d->number);
}

static struct device *new_device(struct world *world, unsigned number) {
  if (!world->devices[number]) world->devices[number] = device_new(world, number);
  return world->devices[number];
}

static void act_on_disk(struct world *world, struct device *d, const struct action *action) {
  const int64_t *args = action->args;
  uint64_t ms = (uint64_t)args[2];
  switch (action->verb) {
    case VERB_FAULT: fault(world, d, args); break;
    case VERB_FULL:
      disk_limit(d->disk, disk_size(d->disk) + (uint64_t)args[1]);
      world->counts.faults++;
      world_later(world, world->now + ms, end_fault, world, d->number);
      break;
    case VERB_ROT: {
      struct rng rng = world_rng(world, "rot", action->at);
      /* Only the owner invites, so a fleet cannot get over the loss of its disk. */
      if (!d->made || !d->joined || d->number == 0) break;
      device_die(d, true);
      disk_rot(d->disk, "store/data.mdb", &rng, (unsigned)args[1]);
      d->rotten = true;
      world->counts.rots++;
      world_later(world, world->now + ms, come_back, world, d->number);
      break;
    }
    case VERB_BACKUP: device_backup(d); break;
    case VERB_RESTORE:
      device_restore(d);
      world_later(world, world->now + (uint64_t)args[1], come_back, world, d->number);
      break;
    case VERB_CLONE:
      if (!world->devices[args[1]] && d->made && d->joined) device_clone(new_device(world, (unsigned)args[1]), d);
      break;
    default: break;
  }
}

static void act_on_device(struct world *world, struct device *d, const struct action *action) {
  const int64_t *args = action->args;
  switch (action->verb) {
    case VERB_EDIT: device_edit(d, (uint64_t)args[1]); break;
    case VERB_STOP:
      d->wanted = false;
      device_stop(d);
      break;
    case VERB_START:
      d->wanted = true;
      device_start(d);
      break;
    case VERB_KILL:
      world->counts.kills += d->process != NULL;
      device_die(d, false);
      world_later(world, world->now + (uint64_t)args[1], come_back, world, d->number);
      break;
    case VERB_POWER:
      world->counts.powers += d->process != NULL;
      disk_power_off_after(d->disk, (uint64_t)args[1]);
      if (d->process) device_wake(d, world->now + 5000); /* at the latest */
      world_later(world, world->now + 5000 + (uint64_t)args[2], come_back, world, d->number);
      break;
    case VERB_CLOCK: d->clock_off += args[1] * 1000000; break;
    case VERB_HOSTILE:
      d->hostile = world_rng(world, "hostile", (uint64_t)args[1]);
      world_later(world, world->now + (uint64_t)args[2], end_hostile, world, d->number);
      break;
    default: act_on_disk(world, d, action);
  }
}

static void act(struct world *world, const struct action *action) {
  const int64_t *args = action->args;
  trace(world, "%s %" PRId64 " %" PRId64 " %" PRId64, verb_name(action->verb), args[0], args[1], args[2]);
  switch (action->verb) {
    case VERB_CUT: cut(world, (unsigned)args[0], (unsigned)args[1], (uint64_t)args[2]); break;
    case VERB_SPLIT: split(world, (uint64_t)args[0], (uint64_t)args[1]); break;
    case VERB_WEATHER:
      net_weather(world->net,
                  (struct net_weather){(unsigned)args[0], (unsigned)args[1], (unsigned)args[2], (unsigned)args[3]});
      world_later(world, world->now + (uint64_t)args[4], end_weather, world, 0);
      break;
    case VERB_CALM: judge_calm(world); break;
    case VERB_JOIN: device_join(new_device(world, (unsigned)args[0])); break;
    default:
      if (world->devices[args[0]]) act_on_device(world, world->devices[args[0]], action);
  }
}

/* ---- Running ----------------------------------------------------------------------------------------------------- */

static void begin(struct world *world, const struct script *script, enum sabotage sabotage, FILE *file) {
  *world = (struct world){.script = script, .sabotage = sabotage, .trace = file};
  crypto_generichash_init(&world->trace_hash, NULL, 0, 16);
  const char *tmp = getenv("TMPDIR");
  /* The disks lie in memory where there is some: their syncs are played, not done. */
  snprintf(world->root, sizeof world->root, "%s/dunlin-sim-XXXXXX", tmp && *tmp ? tmp : "/dev/shm");
  if (!mkdtemp(world->root)) {
    snprintf(world->root, sizeof world->root, "/tmp/dunlin-sim-XXXXXX");
    if (!mkdtemp(world->root)) abort();
  }
  world->net = net_new(world);
  world->ledger = ledger_new(world);
}

static void finish(struct world *world) {
  for (unsigned i = 0; i < SIM_MAX_DEVICES; i++) device_free(world->devices[i]);
  net_free(world->net);
  ledger_free(world->ledger);
  free(world->events);
  rmdir(world->root);
}

void world_run(struct world *world, const struct script *script, enum sabotage sabotage, FILE *file) {
  uint64_t shift = 0; /* what the calms have taken: they stop the script's clock */
  begin(world, script, sabotage, file);
  device_found(new_device(world, 0));
  for (unsigned i = 1; i < script->devices && !world->failed; i++) device_join(new_device(world, i));
  for (size_t i = 0; i < script->count && !world->failed; i++) {
    const struct action *action = &script->actions[i];
    world_until(world, action->at + shift);
    uint64_t from = world->now;
    if (!world->failed) act(world, action);
    shift += world->now - from;
  }
  if (!world->failed) judge_end(world);
  finish(world);
}
