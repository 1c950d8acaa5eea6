#include "test/sim/device.h"

#include <dunlin/history.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "persist/exchange.h"
#include "test/sim/judge.h"
#include "test/sim/ledger.h"
#include "test/sim/wrap.h"

#define SPACE "space"
#define WALL_START ((int64_t)1795219200 * 1000000) /* any moment; here the end of 2026 */
#define DAY_US ((int64_t)86400 * 1000000)
#define RETRY_MS 30000u                  /* an app that could not start is started again after that */
#define MEMORY_LIMIT ((size_t)192 << 20) /* of one process; what a few days of edits need is well below */

static const char *const doc_names[SIM_DOCS] = {"notes", "board"};

/* ---- The device -------------------------------------------------------------------------------------------------- */

struct device *device_new(struct world *world, unsigned number) {
  struct device *d = calloc(1, sizeof *d);
  if (!d) abort();
  d->world = world;
  d->number = number;
  d->powered = true;
  d->alarm_at = UINT64_MAX;
  struct rng rng = world_rng(world, "clock", number);
  d->clock_off = ((int64_t)rng_below(&rng, 240) - 120) * 1000000;
  snprintf(d->dir, sizeof d->dir, "%s/d%u", world->root, number);
  snprintf(d->store_dir, sizeof d->store_dir, "%s/store", d->dir);
  snprintf(d->key, sizeof d->key, "%s/key", d->dir);
  snprintf(d->backup, sizeof d->backup, "%s/d%u.backup", world->root, number);
  if (mkdir(d->dir, 0700)) abort();
  d->disk = disk_new(d->dir);
  return d;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

static void remove_tree(const char *path) {
  nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void on_log(void *ctx, const char *text) {
  struct device *d = ctx;
  world_watch(d->world, "the log", text, strlen(text));
  if (!d->dying) trace(d->world, "d%u log: %s", d->number, text);
}

/* The library is about to work for this device. */
void device_acts(struct device *d) {
  wrap_acting(d);
  d->process->seeded.clock = WALL_START + (int64_t)d->world->now * 1000 + d->clock_off;
}

/* ---- Its life ---------------------------------------------------------------------------------------------------- */

static struct process *process_new(struct device *d) {
  struct process *p = calloc(1, sizeof *p);
  if (!p) abort();
  struct rng rng = world_rng(d->world, "process", (uint64_t)d->number << 32 | d->lives++);
  seeded_init(&p->seeded, rng_next(&rng));
  p->seeded.log = on_log;
  p->seeded.log_ctx = d;
  p->hub_at = p->step_at = UINT64_MAX;
  d->process = p;
  device_acts(d);
  return p;
}

static struct dunlin_store_options options_of(struct device *d, char name[16]) {
  struct dunlin_store_options options = dunlin_store_defaults();
  snprintf(name, 16, "device %u", d->number);
  options.env = &d->process->seeded.env;
  options.key.key_file = d->key;
  options.device_name = name;
  options.stepped = true;
  return options;
}

static void close_docs(struct process *p) {
  for (unsigned i = 0; i < SIM_DOCS; i++) {
    dunlin_store_doc_close(p->docs[i]);
    p->docs[i] = NULL;
  }
}

static void on_store_change(void *ctx) {
  struct device *d = ctx;
  if (d->dying || !d->process) return;
  d->process->changed = true;
  device_wake(d, d->world->now + 1);
}

/* Everything of the process goes; what it held must be given back. */
static int end_process(struct device *d) {
  struct process *p = d->process;
  int r = 0;
  device_acts(d);
  d->dying = true;
  if (p->hub_runs) hub_free(&p->hub);
  close_docs(p);
  if (p->store) {
    exchange_unsubscribe(p->store, on_store_change, d);
    r = dunlin_store_close(p->store);
  }
  if (d->world->sabotage == SABOTAGE_MEMORY && d->lives == 3) p->seeded.live += 64;
  if (p->seeded.live) world_fail(d->world, "device %u: %zu bytes were not given back", d->number, p->seeded.live);
  free(p->waiting.ids);
  free(p);
  d->process = NULL;
  d->dying = false;
  return r;
}

void device_die(struct device *d, bool power) {
  if (d->process) {
    trace(d->world, "d%u dies%s", d->number, power ? ", power lost" : "");
    disk_power_off(d->disk);
    net_died(d->world->net, d->number, power);
    end_process(d);
    struct rng rng = world_rng(d->world, "crash", (uint64_t)d->number << 32 | d->lives);
    disk_power_on(d->disk, power ? &rng : NULL);
  } else if (!disk_powered(d->disk)) {
    disk_power_on(d->disk, NULL);
  }
  if (power) d->powered = false;
}

bool device_lost_power(struct device *d) {
  if (disk_powered(d->disk)) return false;
  device_die(d, true);
  return true;
}

void device_free(struct device *d) {
  if (!d) return;
  if (d->process) end_process(d);
  disk_free(d->disk);
  remove_tree(d->dir);
  remove_tree(d->backup);
  free(d);
}

/* ---- Documents --------------------------------------------------------------------------------------------------- */

/* Tells the ledger of the changes that a document has got since. */
static void note_changes(struct device *d, unsigned i) {
  struct process *p = d->process;
  const dunlin_doc *doc = dunlin_store_doc_get(p->docs[i]);
  struct dunlin_change_info info;
  for (; !dunlin_doc_change_at(doc, p->known[i], &info); p->known[i]++)
    ledger_seen(d->world->ledger, d->number, &info.id);
}

static void note_durable(struct device *d) {
  struct waiting *w = &d->process->waiting;
  uint64_t durable = 0;
  if (!w->count || dunlin_store_doc_durable(d->process->docs[1], &durable)) return;
  size_t done = durable > w->base ? (size_t)(durable - w->base) : 0;
  if (done > w->count) {
    world_fail(d->world, "device %u: more commits are said to be durable than were made", d->number);
    return;
  }
  for (size_t i = 0; i < done; i++) ledger_acked(d->world->ledger, d->number, 1, &w->ids[i]);
  memmove(w->ids, w->ids + done, (w->count - done) * sizeof *w->ids);
  w->count -= done;
  w->base += done;
}

/* The store reported `error`.  With a disk that was harmed the device gives up and begins anew; an error that nobody
 * caused is a failure; the others are what the faults are for. */
static void trouble(struct device *d, const char *what, int error) {
  trace(d->world, "d%u %s: %s", d->number, what, dunlin_error_name(error));
  if (error == DUNLIN_ECORRUPT && d->rotten) device_wipe(d);
  else if (error == DUNLIN_ECORRUPT || (error != DUNLIN_EIO && error != DUNLIN_ENOSPC))
    world_fail(d->world, "device %u: %s: %s", d->number, what, dunlin_error_name(error));
}

static void open_docs(struct device *d) {
  struct process *p = d->process;
  struct dunlin_id space;
  if (p->docs[SIM_DOCS - 1] || dunlin_space_find(p->store, SPACE, &space)) return;
  d->joined = true;
  for (unsigned i = 0; i < SIM_DOCS; i++) {
    if (p->docs[i]) continue;
    int r = dunlin_store_doc_open(p->store, &space, dunlin_key(doc_names[i]), DUNLIN_CREATE, &p->docs[i]);
    if (device_lost_power(d)) return;
    if (r) {
      p->docs[i] = NULL;
      trouble(d, "opening a document", r);
      if (d->process == p) device_wake(d, d->world->now + RETRY_MS);
      return;
    }
    p->known[i] = 0;
    note_changes(d, i);
  }
  dunlin_store_doc_mode(p->docs[1], DUNLIN_GROUP);
  p->waiting.count = 0;
  if (dunlin_store_doc_durable(p->docs[1], &p->waiting.base)) p->waiting.base = 0;
}

static void pull_docs(struct device *d) {
  struct process *p = d->process;
  for (unsigned i = 0; i < SIM_DOCS; i++) {
    struct dunlin_applied applied;
    if (!p->docs[i]) continue;
    int r = dunlin_store_doc_pull(p->docs[i], &applied);
    if (device_lost_power(d)) return;
    if (r) {
      trouble(d, "pulling", r);
      return;
    }
    if (applied.refused)
      world_fail(d->world, "device %u: %zu changes of honest devices were refused", d->number, applied.refused);
    note_changes(d, i);
  }
}

void device_edit(struct device *d, uint64_t number) {
  struct process *p = d->process;
  struct rng rng = world_rng(d->world, "edit", number);
  if (!device_up(d) || p->stopping) return;
  unsigned i = (unsigned)rng_below(&rng, SIM_DOCS);
  dunlin_doc *doc = dunlin_store_doc_get(p->docs[i]);
  struct dunlin_id id;
  device_acts(d);
  if (d->world->sabotage == SABOTAGE_DIVERGE && number % 64 == 0) dunlin_doc_on_commit(doc, NULL, NULL);
  int r = dunlin_begin(doc);
  if (!r && edit_draw(doc, &rng) && rng_chance(&rng, 1, 20)) {
    dunlin_abort(doc);
    return;
  }
  if (!r) r = dunlin_commit(doc, p->seeded.clock, &id);
  if (device_lost_power(d)) return;
  if (r < 0) {
    d->world->counts.refused_edits++;
    trouble(d, "committing", r);
    return;
  }
  if (!r) return;
  d->world->counts.edits++;
  trace(d->world, "d%u edit %02x%02x%02x%02x", d->number, id.bytes[0], id.bytes[1], id.bytes[2], id.bytes[3]);
  if (d->world->sabotage == SABOTAGE_LEAK && number % 512 == 0) {
    char path[320];
    snprintf(path, sizeof path, "%s/debug.log", d->dir);
    FILE *leak = fopen(path, "ab");
    if (leak) fputs(SIM_MARKER, leak);
    if (leak) fclose(leak);
  }
  struct waiting *w = &p->waiting;
  if (i == 0) {
    ledger_acked(d->world->ledger, d->number, 0, &id);
    return;
  }
  if (w->count == w->cap) {
    w->cap = w->cap ? 2 * w->cap : 16;
    w->ids = realloc(w->ids, w->cap * sizeof *w->ids);
    if (!w->ids) abort();
  }
  w->ids[w->count++] = id;
  p->step_at = d->world->now + 10;
  device_wake(d, p->step_at);
}

bool device_up(const struct device *d) {
  return d->process && d->process->store && d->process->docs[SIM_DOCS - 1];
}

/* ---- Its time ---------------------------------------------------------------------------------------------------- */

static void step_store(struct device *d) {
  struct process *p = d->process;
  int r = dunlin_store_step(p->store, d->world->now, &p->step_at);
  if (device_lost_power(d)) return;
  if (r) trouble(d, "stepping", r);
  else note_durable(d);
}

static void finish_stop(struct device *d) {
  struct world *world = d->world;
  int r = end_process(d);
  if (device_lost_power(d)) return;
  if (r && r != DUNLIN_EIO && r != DUNLIN_ENOSPC)
    world_fail(world, "device %u: closing: %s", d->number, dunlin_error_name(r));
  trace(world, "d%u closed: %s", d->number, dunlin_error_name(r));
}

static void check_memory(struct device *d) {
  if (d->process->seeded.live > MEMORY_LIMIT)
    world_fail(d->world, "device %u holds %zu bytes of memory", d->number, d->process->seeded.live);
}

static void poll_device(void *ctx, uint64_t arg) {
  struct device *d = ctx;
  struct process *p = d->process;
  if (arg != d->alarm_at) return; /* an earlier one has come, or it has died since */
  d->alarm_at = UINT64_MAX;
  if (!p || device_lost_power(d)) return;
  if (p->stopping && !p->hub_runs) {
    finish_stop(d);
    return;
  }
  device_acts(d);
  if (p->changed) {
    p->changed = false;
    if (p->hub_runs) hub_store_changed(&p->hub);
    if (device_lost_power(d) || d->process != p) return;
    open_docs(d);
    if (d->process == p) pull_docs(d);
  } else {
    open_docs(d);
  }
  if (d->process == p) step_store(d);
  if (d->process == p && p->hub_runs && p->hub_at <= d->world->now) {
    p->hub_at = UINT64_MAX;
    hub_tick(&p->hub);
    if (device_lost_power(d)) return;
  }
  if (d->process != p) return;
  check_memory(d);
  device_wake(d, p->hub_at < p->step_at ? p->hub_at : p->step_at);
}

void device_wake(struct device *d, uint64_t at) {
  if (at <= d->world->now) at = d->world->now + 1;
  if (at >= d->alarm_at) return;
  d->alarm_at = at;
  world_later(d->world, at, poll_device, d, at);
}

/* ---- The node's hub ---------------------------------------------------------------------------------------------- */

static uint64_t hub_now(void *ctx) {
  struct device *d = ctx;
  return d->world->now;
}

static int hub_connect(void *ctx, const char *address, const struct link_owner *owner, void *owner_ctx,
                       struct link **out) {
  struct device *d = ctx;
  return net_connect(d->world->net, d->number, address, owner, owner_ctx, out);
}

static void hub_wake_at(void *ctx, uint64_t at) {
  struct device *d = ctx;
  d->process->hub_at = at;
  if (at != UINT64_MAX && !d->dying) device_wake(d, at);
}

static void join_anew(void *ctx, uint64_t arg) {
  struct device *d = ctx;
  if (arg != d->lives || d->joined) return;
  device_die(d, false);
  d->invitation[0] = 0;
  d->clock_off = 0;
  device_join(d);
}

static void hub_event(void *ctx, const struct dunlin_node_event *event) {
  struct device *d = ctx;
  if (d->dying || !disk_powered(d->disk)) return;
  trace(d->world, "d%u event %d %s from %s", d->number, (int)event->kind,
        event->error ? dunlin_error_name(event->error) : "", event->address);
  if (event->kind == DUNLIN_NODE_CONNECTED) d->world->counts.sessions++;
  if (event->kind == DUNLIN_NODE_IN_SYNC) judge_in_sync(d, &event->device);
  /* A clock that is off makes an invitation look old: people set the clock, and ask for another. */
  bool expired = event->kind == DUNLIN_NODE_CLOSED && event->error == DUNLIN_EEXPIRED;
  if (expired && !d->joined) world_later(d->world, d->world->now + RETRY_MS, join_anew, d, d->lives);
  if (event->kind == DUNLIN_NODE_JOINED) {
    d->invitation[0] = 0;
    d->process->changed = true;
    device_wake(d, d->world->now + 1);
  }
}

static void hub_count(void *ctx, const struct dunlin_node_stats *grown) {
  (void)ctx, (void)grown;
}

static void hub_stopped(void *ctx) {
  struct device *d = ctx;
  if (d->dying) return;
  d->process->hub_runs = false;
  hub_free(&d->process->hub);
  device_wake(d, d->world->now + 1);
}

/* Calls every device with a lower number, so that each pair has one link. */
static int start_hub(struct device *d) {
  struct process *p = d->process;
  struct dunlin_node_options options = dunlin_node_defaults();
  const struct link_driver driver = {d, hub_now, hub_connect, hub_wake_at};
  struct dunlin_invitation invitation;
  char address[32];
  int r = 0;
  options.join_alias = SPACE;
  hub_init(&p->hub, p->store, &options, &driver);
  p->hub.event = hub_event;
  p->hub.count = hub_count;
  p->hub.stopped = hub_stopped;
  p->hub.ctx = d;
  p->hub_runs = true;
  if (*d->invitation) {
    r = dunlin_invitation_parse(d->invitation, strlen(d->invitation), &invitation);
    if (!r) r = hub_add_caller(&p->hub, invitation.address, options.retry_ms, &invitation);
  }
  for (unsigned i = 0; !r && i < d->number; i++) {
    net_address(i, address);
    if (!*d->invitation || strcmp(address, invitation.address))
      r = hub_add_caller(&p->hub, address, options.retry_ms, NULL);
  }
  if (!r) hub_start(&p->hub);
  return r;
}

void device_accept(struct device *d, struct link *link, const struct sockaddr *from) {
  device_acts(d);
  if (d->process->stopping) link_reset(link);
  else hub_accept(&d->process->hub, link, from);
}

/* ---- Starting and stopping --------------------------------------------------------------------------------------- */

static void start_again(void *ctx, uint64_t arg) {
  struct device *d = ctx;
  if (arg == d->lives && d->wanted) device_start(d);
}

/* Whether a damaged disk is still whole as far as the store can tell. */
static int look_for_rot(struct device *d) {
  int r = dunlin_store_verify(d->process->store, NULL, NULL);
  d->rotten = false; /* from here on it has no excuse */
  return r > 0 ? DUNLIN_ECORRUPT : r;
}

void device_start(struct device *d) {
  char name[16];
  struct dunlin_why why = {""};
  if (d->process || !d->powered || !d->made || d->world->failed) return;
  struct process *p = process_new(d);
  struct dunlin_store_options options = options_of(d, name);
  bool rotten = d->rotten;
  int r = dunlin_store_open(d->store_dir, &options, &p->store, &why);
  if (!r && rotten) r = look_for_rot(d);
  if (!r) r = exchange_subscribe(p->store, on_store_change, d);
  if (!r) r = start_hub(d);
  trace(d->world, "d%u started: %s", d->number, dunlin_error_name(r));
  if (device_lost_power(d)) return;
  if (!r) {
    device_wake(d, d->world->now + 1);
    p->changed = true;
    return;
  }
  end_process(d);
  if (r == DUNLIN_ECORRUPT && rotten) {
    device_wipe(d);
  } else if (r == DUNLIN_EIO || r == DUNLIN_ENOSPC) {
    world_later(d->world, d->world->now + RETRY_MS, start_again, d, d->lives);
  } else {
    world_fail(d->world, "device %u does not start: %s (%s)", d->number, dunlin_error_name(r), why.text);
  }
}

void device_stop(struct device *d) {
  struct process *p = d->process;
  if (!p || p->stopping) return;
  device_acts(d);
  p->stopping = true;
  hub_stop(&p->hub);
  if (device_lost_power(d)) return;
  device_wake(d, d->world->now + 2000);
}

/* ---- Beginning, copies ------------------------------------------------------------------------------------------- */

static int create_store(struct device *d) {
  char name[16];
  struct dunlin_why why = {""};
  process_new(d);
  struct dunlin_store_options options = options_of(d, name);
  int r = dunlin_store_create(d->store_dir, &options, &why);
  end_process(d);
  trace(d->world, "d%u created: %s", d->number, dunlin_error_name(r));
  if (device_lost_power(d)) return DUNLIN_EIO;
  d->made = !r;
  d->wanted = true;
  if (r && r != DUNLIN_EIO && r != DUNLIN_ENOSPC)
    world_fail(d->world, "device %u: no store could be made: %s (%s)", d->number, dunlin_error_name(r), why.text);
  return r;
}

void device_found(struct device *d) {
  struct dunlin_id space;
  if (create_store(d)) return;
  device_start(d);
  if (!d->process || dunlin_space_new(d->process->store, SPACE, &space)) world_fail(d->world, "no space could be made");
  else device_wake(d, d->world->now + 1);
}

static void join_again(void *ctx, uint64_t arg) {
  struct device *d = ctx;
  if (arg == d->wiped && !d->joined && !*d->invitation) device_join(d);
}

/* The invitation goes by hand, so the network need not work for that. */
void device_join(struct device *d) {
  struct device *host = d->world->devices[0];
  struct dunlin_id space;
  char address[32];
  int r = DUNLIN_EIO;
  net_address(0, address);
  if (device_up(host) && !host->process->stopping && !host->rotten) {
    host->clock_off = 0;
    device_acts(host);
    r = dunlin_space_find(host->process->store, SPACE, &space);
    if (!r) r = dunlin_invite(host->process->store, &space, address, 30 * DAY_US, d->invitation);
    if (device_lost_power(host)) r = DUNLIN_EIO;
  }
  if (!r && !d->made) r = create_store(d);
  if (r) {
    d->invitation[0] = 0;
    world_later(d->world, d->world->now + RETRY_MS, join_again, d, d->wiped);
    return;
  }
  d->world->counts.joins++;
  device_start(d);
}

void device_wipe(struct device *d) {
  trace(d->world, "d%u begins anew", d->number);
  device_die(d, true);
  if (d->number == 0) {
    world_fail(d->world, "the owner's disk was lost: such a script proves nothing");
    return;
  }
  disk_free(d->disk);
  remove_tree(d->dir);
  remove_tree(d->backup);
  if (mkdir(d->dir, 0700)) abort();
  d->disk = disk_new(d->dir);
  d->powered = true;
  d->made = d->joined = d->rotten = d->copied = false;
  d->wiped++;
  d->set_back_at = d->world->now;
  d->world->counts.wiped++;
  d->invitation[0] = 0;
  ledger_lost(d->world->ledger, d->number);
  device_join(d);
}

static void copy_file(const char *from, const char *to) {
  char buffer[65536];
  size_t n;
  FILE *in = fopen(from, "rb"), *out = in ? fopen(to, "wb") : NULL;
  while (out && (n = fread(buffer, 1, sizeof buffer, in))) fwrite(buffer, 1, n, out);
  if (out) fclose(out);
  if (in) fclose(in);
}

static void copy_all(const char *from, const char *to) {
  static const char *const names[] = {"key", "store/store", "store/data.mdb", "store/wake", "store/lease"};
  char source[400], target[400];
  mkdir(to, 0700);
  snprintf(target, sizeof target, "%s/store", to);
  mkdir(target, 0700);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(source, sizeof source, "%s/%s", from, names[i]);
    snprintf(target, sizeof target, "%s/%s", to, names[i]);
    copy_file(source, target);
  }
}

void device_backup(struct device *d) {
  if (!d->made || !d->joined || d->rotten) return;
  device_die(d, false);
  remove_tree(d->backup);
  copy_all(d->dir, d->backup);
  if (d->wanted) device_start(d);
}

void device_restore(struct device *d) {
  if (access(d->backup, R_OK) || !d->joined) return;
  trace(d->world, "d%u is set back to its copy", d->number);
  device_die(d, true);
  d->world->counts.restores++;
  d->set_back_at = d->world->now;
  disk_free(d->disk);
  copy_all(d->backup, d->dir); /* over the files in place, as people do */
  d->disk = disk_new(d->dir);
  d->rotten = false;
  ledger_lost(d->world->ledger, d->number);
}

void device_clone(struct device *d, struct device *from) {
  trace(d->world, "d%u is a copy of d%u", d->number, from->number);
  d->world->counts.clones++;
  disk_free(d->disk);
  copy_all(from->dir, d->dir);
  d->disk = disk_new(d->dir);
  d->made = d->joined = d->wanted = true;
  d->copied = from->copied = true;
  d->rotten = from->rotten;
  device_start(d);
}
