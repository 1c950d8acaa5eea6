#include "test/sim/judge.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "persist/exchange.h"
#include "test/sim/ledger.h"

#define LOOK_MS 5000u
/* Handshakes of 5 s, delays between calls of up to 30 s, links that must first be found dead after 60 s: a few rounds
 * of those. */
#define PATIENCE_MS (10u * 60 * 1000)

/* ---- Becoming equal ---------------------------------------------------------------------------------------------- */

static void mend(struct world *world) {
  net_mend(world->net);
  for (unsigned i = 0; i < SIM_MAX_DEVICES && !world->failed; i++) {
    struct device *d = world->devices[i];
    if (!d) continue;
    if (!disk_powered(d->disk) || (d->process && d->process->stopping)) device_die(d, false);
    disk_power_off_after(d->disk, UINT64_MAX);
    disk_fail(d->disk, 0, 0, 0, 0);
    disk_limit(d->disk, UINT64_MAX);
    d->hostile.state = 0;
    d->powered = d->wanted = true;
    device_start(d);
  }
}

/* What keeps the fleet from being equal, in words; "" when nothing does. */
static void difference(struct world *world, char *text, size_t cap) {
  struct dunlin_id first[SIM_DOCS], hash;
  const struct device *reference = NULL;
  *text = 0;
  for (unsigned i = 0; i < SIM_MAX_DEVICES && !*text; i++) {
    const struct device *d = world->devices[i];
    if (!d) continue;
    if (!device_up(d)) {
      snprintf(text, cap, "device %u %s", i, d->joined ? "does not run" : "has not joined");
      return;
    }
    for (unsigned k = 0; k < SIM_DOCS && !*text; k++) {
      const dunlin_doc *doc = dunlin_store_doc_get(d->process->docs[k]);
      if (dunlin_doc_hash(doc, &hash)) abort();
      if (!reference) first[k] = hash;
      else if (memcmp(&first[k], &hash, sizeof hash))
        snprintf(text, cap, "devices %u and %u differ in document %u", reference->number, i, k);
      if (dunlin_doc_pending(doc)) snprintf(text, cap, "device %u waits for changes of document %u", i, k);
    }
    if (!reference) reference = d;
  }
}

static void check_promises(struct world *world) {
  char text[128];
  for (unsigned i = 0; i < SIM_MAX_DEVICES; i++) {
    const struct device *d = world->devices[i];
    for (unsigned k = 0; d && k < SIM_DOCS; k++) {
      size_t missing = ledger_missing(world->ledger, k, dunlin_store_doc_get(d->process->docs[k]), text, sizeof text);
      if (missing) world_fail(world, "device %u lacks %zu acknowledged changes: %s", i, missing, text);
    }
  }
}

void judge_calm(struct world *world) {
  char text[128];
  uint64_t end = world->now + PATIENCE_MS;
  world->calm = true;
  world->counts.calms++;
  mend(world);
  do {
    world_until(world, world->now + LOOK_MS);
    difference(world, text, sizeof text);
  } while (*text && world->now < end && !world->failed);
  if (*text) world_fail(world, "not equal after %u s without faults: %s", PATIENCE_MS / 1000, text);
  if (!world->failed) check_promises(world);
  trace(world, "calm");
  world->calm = false;
}

/* ---- "In sync" --------------------------------------------------------------------------------------------------- */

/* Whether the store has the end of that branch among its entries, whatever it calls the branch. */
static bool holds(dunlin_store *store, const struct exchange_log *log, const struct exchange_log *logs, size_t count) {
  struct dunlin_id entry;
  for (size_t i = 0; i < count; i++) {
    if (memcmp(&logs[i].name, &log->name, sizeof log->name)) continue;
    if (exchange_entry(store, &log->name, &logs[i].branch, log->count, &entry)) continue;
    if (!memcmp(&entry, &log->tip, sizeof entry)) return true;
  }
  return false;
}

static bool holds_somewhere(struct device *p, const struct dunlin_id *space, const struct exchange_log *log) {
  struct exchange_log first, *logs;
  size_t count;
  /* Most often it is the end of the log there, too. */
  if (!exchange_log_find(p->process->store, &log->name, &first) && !memcmp(&first.tip, &log->tip, sizeof first.tip))
    return true;
  if (exchange_logs(p->process->store, space, &logs, &count)) return false;
  bool held = holds(p->process->store, log, logs, count);
  dunlin_free(&p->process->seeded.env, logs, count * sizeof *logs);
  return held;
}

static void compare_space(struct device *d, struct device *p, const struct dunlin_id *space) {
  struct exchange_log *ours;
  size_t count;
  if (exchange_logs(d->process->store, space, &ours, &count)) return;
  for (size_t k = 0; k < count; k++)
    if (ours[k].count && !holds_somewhere(p, space, &ours[k]))
      world_fail(d->world, "device %u took itself to be in sync with device %u, which lacks entries", d->number,
                 p->number);
  dunlin_free(&d->process->seeded.env, ours, count * sizeof *ours);
}

/* The device with that key, if it runs and there are no copies of it. */
static struct device *only_one_with(struct world *world, const struct dunlin_id *key) {
  struct exchange_identity identity;
  for (unsigned i = 0; i < SIM_MAX_DEVICES; i++) {
    struct device *d = world->devices[i];
    if (!d || d->copied || !d->process || !d->process->store) continue;
    exchange_identity(d->process->store, &identity);
    if (!memcmp(&identity.device, key, sizeof *key)) return d;
  }
  return NULL;
}

/* What d holds now, the peer must hold too: it said so, and logs never shrink, unless its files were set back. */
void judge_in_sync(struct device *d, const struct dunlin_id *peer) {
  struct dunlin_space_info space;
  struct device *p = only_one_with(d->world, peer);
  if (!p || d->world->now < p->set_back_at + 60000) return; /* what was on its way when that happened is no lie */
  for (size_t i = 0; !dunlin_space_at(d->process->store, i, &space); i++) compare_space(d, p, &space.id);
}

/* ---- The end ----------------------------------------------------------------------------------------------------- */

static struct world *searched; /* nftw() takes no context */

static int search_file(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)ftw;
  if (type != FTW_F || !st->st_size) return 0;
  size_t len = (size_t)st->st_size;
  char *content = malloc(len);
  FILE *file = fopen(path, "rb");
  if (content && file && fread(content, 1, len, file) == len)
    world_watch(searched, path + strlen(searched->root) + 1, content, len);
  if (file) fclose(file);
  free(content);
  return 0;
}

static void report(void *ctx, const char *line) {
  struct device *d = ctx;
  world_fail(d->world, "device %u: verify: %s", d->number, line);
}

/* Closes the app, opens it again and compares what it shows with what it showed before. */
static void reopen(struct device *d) {
  struct world *world = d->world;
  struct dunlin_id before[SIM_DOCS], after;
  for (unsigned k = 0; k < SIM_DOCS; k++)
    if (dunlin_doc_hash(dunlin_store_doc_get(d->process->docs[k]), &before[k])) abort();
  device_die(d, false);
  device_start(d);
  uint64_t end = world->now + 5000;
  while (!world->failed && !device_up(d) && world->now < end) world_until(world, world->now + 10);
  if (world->failed) return;
  if (!device_up(d)) {
    world_fail(world, "device %u does not open again", d->number);
    return;
  }
  for (unsigned k = 0; k < SIM_DOCS; k++) {
    if (dunlin_doc_hash(dunlin_store_doc_get(d->process->docs[k]), &after)) abort();
    if (memcmp(&before[k], &after, sizeof after))
      world_fail(world, "device %u shows something else after reopening", d->number);
  }
}

void judge_end(struct world *world) {
  for (unsigned i = 0; i < SIM_MAX_DEVICES && !world->failed; i++) {
    struct device *d = world->devices[i];
    if (!d || !device_up(d)) continue;
    int faults = dunlin_store_verify(d->process->store, report, d);
    if (faults < 0) world_fail(world, "device %u: verify: %s", i, dunlin_error_name(faults));
    if (!world->failed) reopen(d);
    if (!world->failed) device_die(d, false);
  }
  searched = world;
  if (!world->failed) nftw(world->root, search_file, 16, FTW_PHYS);
}
