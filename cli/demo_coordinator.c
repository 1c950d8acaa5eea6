#include "cli/demo.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/demo_child.h"
#include "cli/demo_proxy.h"
#include "cli/demo_scan.h"

#define EDITS 48u        /* of each device, while they are apart */
#define STUCK_S 120      /* without any progress: give up */
#define APART_MAX_S 20   /* go on, although a device still has something to do by itself */
#define KILL_MAX_MS 160u /* after a start; covers opening, pairing and some work */
#define KILL_PACE_US 1000u
#define PASSPHRASE "dunlin-demo"

enum phase { PAIR, FIRST, APART, HOLD, MEET, LAST, REPORT, EXPORT, REKEY, QUIT, DONE };

/* What a device has last told. */
struct report {
  bool ready, waiting, edited, exported, rekeyed, same;
  unsigned phase;
  uint32_t left;
  uint64_t own;
  size_t changes, hashed_changes, length;
  char hash[65];
};

struct demo {
  const struct demo_options *options;
  uv_loop_t loop;
  uv_timer_t tick, kill;
  uv_signal_t signals[2];
  struct proxy proxy;
  struct child children[DEMO_DEVICES];
  struct report reports[DEMO_DEVICES];
  uint64_t durable[DEMO_DEVICES][DEMO_HANDLES]; /* the most that a device ever reported: it must not lose it */
  uint32_t txns;
  size_t all_changes; /* that the document has in the end */

  enum phase phase;
  bool hashing, failed, ending;
  uint64_t phase_began, last_progress; /* by uv_now() */
  uint64_t progress;
  double converge_s;
  unsigned kills;
  uint64_t random;

  char dir[DEMO_LINE_MAX - 64], marker[DEMO_MARKER_MAX], invitation[DUNLIN_INVITATION_MAX];
  char line[200]; /* the progress line that stands on the terminal */
};

/* ---- Saying ------------------------------------------------------------------------------------------------- */

/* A progress line: on a terminal it is written over; elsewhere it is left out. */
__attribute__((format(printf, 2, 3))) static void progress(struct demo *demo, const char *format, ...) {
  if (!isatty(STDOUT_FILENO)) return;
  char text[sizeof demo->line];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (!strcmp(text, demo->line)) return;
  printf("\r%-*s\r%s", (int)strlen(demo->line), "", text);
  fflush(stdout);
  memcpy(demo->line, text, sizeof demo->line);
}

__attribute__((format(printf, 2, 3))) static void say(struct demo *demo, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (demo->line[0]) printf("\r%-*s\r", (int)strlen(demo->line), "");
  demo->line[0] = 0;
  vprintf(format, args);
  va_end(args);
  putchar('\n');
  fflush(stdout);
}

static void end(struct demo *demo) {
  if (demo->ending) return;
  demo->ending = true;
  for (unsigned i = 0; i < DEMO_DEVICES; i++) child_kill(&demo->children[i], SIGKILL);
  proxy_stop(&demo->proxy);
  uv_close((uv_handle_t *)&demo->tick, NULL);
  uv_close((uv_handle_t *)&demo->kill, NULL);
  for (int i = 0; i < 2; i++) uv_close((uv_handle_t *)&demo->signals[i], NULL);
}

__attribute__((format(printf, 2, 3))) static void fail(struct demo *demo, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (demo->line[0]) putchar('\n');
  fflush(stdout);
  fputs("dunlin-demo: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  demo->failed = true;
  end(demo);
}

/* ---- Devices ------------------------------------------------------------------------------------------------ */

static void start_child(struct demo *demo, unsigned i) {
  const struct demo_options *options = demo->options;
  char store[sizeof demo->dir + 16], key[sizeof demo->dir + 16], index[8], proxy[32], pace[16];
  snprintf(store, sizeof store, "%s/%c", demo->dir, 'a' + (int)i);
  snprintf(key, sizeof key, "%s/keys/%c.key", demo->dir, 'a' + (int)i);
  snprintf(index, sizeof index, "%u", i);
  snprintf(proxy, sizeof proxy, "127.0.0.1:%u", demo->proxy.port);
  snprintf(pace, sizeof pace, "%u", options->kills ? KILL_PACE_US : 0);
  const char *args[] = {options->program, "--device", index, "--store",  store,        "--key-file", key,  "--trace",
                        options->trace,   "--proxy",  proxy, "--marker", demo->marker, "--pace",     pace, NULL};
  demo->reports[i] = (struct report){0};
  if (i == 0) demo->proxy.target = 0;
  int rc = child_start(&demo->children[i], (char *const *)(void *)args);
  if (rc) fail(demo, "cannot start a device: %s", uv_strerror(rc));
}

__attribute__((format(printf, 3, 4))) static void tell(struct demo *demo, unsigned i, const char *format, ...) {
  char line[DEMO_LINE_MAX + sizeof demo->dir];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  child_send(&demo->children[i], line);
}

/* Everything that the present phase wants of a device; repeated after a restart, so each command may come twice. */
static void command(struct demo *demo, unsigned i) {
  unsigned half = demo->txns / 2;
  if (demo->phase >= FIRST && demo->phase <= LAST) {
    unsigned until = demo->phase == FIRST ? half : demo->phase == APART || demo->phase == LAST ? demo->txns : 0;
    tell(demo, i, "go %u %u", (unsigned)demo->phase, until);
  }
  if (demo->phase >= APART) tell(demo, i, "edit %u %u", EDITS, demo->options->seed);
  if (demo->phase == MEET) tell(demo, i, "meet");
  if (demo->hashing) tell(demo, i, "hash");
  if (demo->phase == EXPORT) tell(demo, i, "export %s/%c.json", demo->dir, 'a' + (int)i);
  if (demo->phase == REKEY) tell(demo, i, "rekey %s", PASSPHRASE);
  if (demo->phase == QUIT) tell(demo, i, "quit");
}

static void enter(struct demo *demo, enum phase phase) {
  demo->phase = phase;
  demo->hashing = phase == REPORT;
  demo->phase_began = uv_now(&demo->loop);
  for (unsigned i = 0; i < DEMO_DEVICES; i++) {
    if (phase <= REPORT) demo->reports[i].hash[0] = 0;
    command(demo, i);
  }
}

/* ---- From phase to phase ------------------------------------------------------------------------------------ */

static bool both(const struct demo *demo, bool (*holds)(const struct demo *, const struct report *)) {
  return holds(demo, &demo->reports[0]) && holds(demo, &demo->reports[1]);
}

static bool is_ready(const struct demo *demo, const struct report *r) {
  (void)demo;
  return r->ready;
}

static bool is_waiting(const struct demo *demo, const struct report *r) {
  return r->phase == (unsigned)demo->phase && r->waiting;
}

static bool has_replayed(const struct demo *demo, const struct report *r) {
  return is_waiting(demo, r) && r->left == 0;
}

static bool is_done_apart(const struct demo *demo, const struct report *r) {
  return is_waiting(demo, r) && r->edited;
}

static bool has_all_made(const struct demo *demo, const struct report *r) {
  return r->phase == (unsigned)demo->phase && r->changes == demo->reports[0].own + demo->reports[1].own;
}

static bool has_everything(const struct demo *demo, const struct report *r) {
  return has_replayed(demo, r) && r->changes == demo->all_changes;
}

static bool has_hash(const struct demo *demo, const struct report *r) {
  (void)demo;
  return r->hash[0];
}

static bool has_exported(const struct demo *demo, const struct report *r) {
  (void)demo;
  return r->exported;
}

static bool has_rekeyed(const struct demo *demo, const struct report *r) {
  (void)demo;
  return r->rekeyed;
}

static bool hashes_equal(struct demo *demo) {
  const struct report *a = &demo->reports[0], *b = &demo->reports[1];
  if (!strcmp(a->hash, b->hash) && a->hashed_changes == b->hashed_changes) return true;
  fail(demo, "the devices did not converge: %s with %zu changes, %s with %zu", a->hash, a->hashed_changes, b->hash,
       b->hashed_changes);
  return false;
}

static void come_apart(struct demo *demo) {
  demo->proxy.cut = true;
  proxy_drop(&demo->proxy);
  say(demo, "the link is cut; each device makes %u edits, some at the same places, and goes on with the trace", EDITS);
  enter(demo, APART);
}

static void reconnect(struct demo *demo) {
  const struct report *a = &demo->reports[0], *b = &demo->reports[1];
  uint64_t all = a->own + b->own;
  say(demo, "the link is back; device a lacks %llu changes, device b %llu", (unsigned long long)(all - a->changes),
      (unsigned long long)(all - b->changes));
  demo->proxy.cut = false;
  enter(demo, MEET);
}

static void met(struct demo *demo) {
  if (!hashes_equal(demo)) return;
  demo->converge_s = (double)(uv_now(&demo->loop) - demo->phase_began) / 1000;
  say(demo, "both have the same hash after %.2f s; on with the trace", demo->converge_s);
  enter(demo, LAST);
}

static void report(struct demo *demo) {
  if (!hashes_equal(demo)) return;
  for (unsigned i = 0; i < DEMO_DEVICES; i++)
    if (!demo->reports[i].same) {
      fail(demo, "the text of device %c is not the end content of the trace", 'a' + (int)i);
      return;
    }
  enter(demo, EXPORT);
}

static void advance(struct demo *demo) {
  bool long_apart = uv_now(&demo->loop) - demo->phase_began > APART_MAX_S * 1000u;
  if (demo->ending) return;
  if (demo->phase == PAIR && both(demo, is_ready)) {
    say(demo, "paired; device a and device b replay the trace together");
    enter(demo, FIRST);
  } else if (demo->phase == FIRST && both(demo, has_replayed)) {
    come_apart(demo);
  } else if (demo->phase == APART && (both(demo, is_done_apart) || (long_apart && !demo->options->kills))) {
    enter(demo, HOLD);
  } else if (demo->phase == HOLD && both(demo, is_done_apart)) {
    reconnect(demo);
  } else if (demo->phase == MEET && !demo->hashing && both(demo, has_all_made)) {
    demo->hashing = true;
    for (unsigned i = 0; i < DEMO_DEVICES; i++) tell(demo, i, "hash");
  } else if (demo->phase == MEET && demo->hashing && both(demo, has_hash)) {
    met(demo);
  } else if (demo->phase == LAST && both(demo, has_everything)) {
    enter(demo, REPORT);
  } else if (demo->phase == REPORT && both(demo, has_hash)) {
    report(demo);
  } else if (demo->phase == EXPORT && both(demo, has_exported)) {
    enter(demo, demo->options->keep ? REKEY : QUIT);
  } else if (demo->phase == REKEY && both(demo, has_rekeyed)) {
    enter(demo, QUIT);
  }
}

/* ---- What devices say --------------------------------------------------------------------------------------- */

static void on_durable(struct demo *demo, unsigned i, const char *line) {
  unsigned handle;
  unsigned long long count;
  if (sscanf(line, "%u %llu", &handle, &count) == 2 && handle < DEMO_HANDLES && count > demo->durable[i][handle])
    demo->durable[i][handle] = count;
}

static void on_have(struct demo *demo, unsigned i, const char *line) {
  unsigned handle;
  unsigned long long count;
  if (sscanf(line, "%u %llu", &handle, &count) != 2 || handle >= DEMO_HANDLES) return;
  if (count < demo->durable[i][handle])
    fail(demo, "device %c has lost changes: writer %u had reported %llu durable and has %llu", 'a' + (int)i, handle,
         (unsigned long long)demo->durable[i][handle], count);
}

static void on_state(struct demo *demo, struct report *r, const char *line) {
  int waiting, edited;
  unsigned long long own;
  if (sscanf(line, "%u %u %d %llu %zu %d", &r->phase, &r->left, &waiting, &own, &r->changes, &edited) != 6) return;
  r->waiting = waiting;
  r->edited = edited;
  r->own = own;
  uint64_t so_far = (uint64_t)demo->phase << 40;
  for (unsigned i = 0; i < DEMO_DEVICES; i++) so_far += demo->reports[i].changes;
  if (so_far <= demo->progress) return;
  demo->progress = so_far;
  demo->last_progress = uv_now(&demo->loop);
}

static void on_ready(struct demo *demo, unsigned i) {
  demo->reports[i].ready = true;
  command(demo, i);
}

static void on_open(struct demo *demo, unsigned i) {
  if (i == 0 && !demo->invitation[0]) tell(demo, 0, "invite");
  if (i == 1 && demo->invitation[0]) tell(demo, 1, "join %s", demo->invitation);
}

static void on_hash(struct report *r, const char *line) {
  int same;
  if (sscanf(line, "%64s %zu %zu %d", r->hash, &r->hashed_changes, &r->length, &same) == 4) r->same = same;
}

static void on_line(struct child *child, char *line) {
  struct demo *demo = child->ctx;
  unsigned i = child->index;
  struct report *r = &demo->reports[i];
  if (demo->options->verbose) fprintf(stderr, "%.3f %c: %s\n", (double)uv_now(&demo->loop) / 1000, 'a' + (int)i, line);
  if (demo->ending) return;
  if (!strncmp(line, "durable ", 8)) on_durable(demo, i, line + 8);
  else if (!strncmp(line, "have ", 5)) on_have(demo, i, line + 5);
  else if (!strncmp(line, "state ", 6)) on_state(demo, r, line + 6);
  else if (!strncmp(line, "hash ", 5)) on_hash(r, line + 5);
  else if (!strncmp(line, "port ", 5)) demo->proxy.target = (unsigned)strtoul(line + 5, NULL, 10);
  else if (!strcmp(line, "open")) on_open(demo, i);
  else if (!strcmp(line, "ready")) on_ready(demo, i);
  else if (!strcmp(line, "exported")) r->exported = true;
  else if (!strcmp(line, "rekeyed")) r->rekeyed = true;
  else if (!strncmp(line, "invitation ", 11)) {
    snprintf(demo->invitation, sizeof demo->invitation, "%s", line + 11);
    tell(demo, 1, "join %s", demo->invitation);
  } else if (!strncmp(line, "error ", 6)) fail(demo, "device %c: %s", 'a' + (int)i, line + 6);
  advance(demo);
}

static void on_exit_of(struct child *child, int signal, int64_t status) {
  struct demo *demo = child->ctx;
  if (demo->ending) return;
  if (demo->phase == QUIT && signal == 0 && status == 0) {
    if (!demo->children[0].running && !demo->children[1].running) {
      demo->phase = DONE;
      end(demo);
    }
  } else if (demo->options->kills && signal == SIGKILL) {
    start_child(demo, child->index);
  } else if (signal) {
    fail(demo, "device %c ended by signal %d", 'a' + (int)child->index, signal);
  } else {
    fail(demo, "device %c ended with status %lld", 'a' + (int)child->index, (long long)status);
  }
}

/* ---- Timers and signals ------------------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *timer) {
  struct demo *demo = timer->data;
  const struct report *a = &demo->reports[0], *b = &demo->reports[1];
  advance(demo);
  if (demo->ending) return;
  unsigned long long all = demo->all_changes, made = a->own + b->own;
  if (demo->phase == FIRST || demo->phase == LAST || demo->phase == APART)
    progress(demo, "%s: device a %zu of %llu changes, device b %zu", demo->phase == APART ? "apart" : "replaying",
             a->changes, all, b->changes);
  if (demo->phase == MEET)
    progress(demo, "converging: device a lacks %llu changes, device b %llu", made > a->changes ? made - a->changes : 0,
             made > b->changes ? made - b->changes : 0);
  if (uv_now(&demo->loop) - demo->last_progress > STUCK_S * 1000u)
    fail(demo, "no progress for %d s (phase %d; device a %zu changes, %u to make; device b %zu, %u)", STUCK_S,
         (int)demo->phase, a->changes, a->left, b->changes, b->left);
}

static uint64_t draw(struct demo *demo, uint64_t below) {
  demo->random = demo->random * 6364136223846793005u + 1442695040888963407u;
  return (demo->random >> 33) % below;
}

static void on_kill(uv_timer_t *timer) {
  struct demo *demo = timer->data;
  unsigned i = (unsigned)draw(demo, DEMO_DEVICES);
  if (demo->phase > LAST || demo->kills >= demo->options->kills) return;
  if (demo->children[i].running && !demo->children[i].exited) {
    child_kill(&demo->children[i], SIGKILL);
    demo->kills++;
    progress(demo, "killed %u times", demo->kills);
  }
  uv_timer_start(timer, on_kill, draw(demo, KILL_MAX_MS), 0);
}

static void on_signal(uv_signal_t *handle, int signal) {
  fail(handle->data, "ended by signal %d", signal);
}

/* ---- Beginning and end -------------------------------------------------------------------------------------- */

static int measure_trace(struct demo *demo) {
  struct dunlin_why why = {0};
  struct trace *trace = NULL;
  struct plan plan;
  int rc = trace_read(demo->options->trace, &trace, &why);
  if (!rc) rc = plan_make(trace, &plan);
  if (rc) {
    fprintf(stderr, "dunlin-demo: %s\n",
            why.text[0] ? why.text : "the trace has more branches than the demo has writers");
  } else {
    demo->txns = (uint32_t)trace->txn_count;
    demo->all_changes = plan.changes + 1 + DEMO_DEVICES * EDITS;
    say(demo, "trace %s: %s, %zu transactions by %zu writer%s", demo->options->trace,
        trace->concurrent ? "concurrent" : "sequential", trace->txn_count, plan.writers, plan.writers == 1 ? "" : "s");
    plan_free(&plan);
  }
  trace_free(trace);
  return rc ? -1 : 0;
}

/* A directory that --keep names: new or empty. */
static int make_kept(struct demo *demo, const char *keep) {
  bool made = mkdir(keep, 0700) == 0 || (errno == EEXIST && rmdir(keep) == 0 && mkdir(keep, 0700) == 0);
  char *path = made ? realpath(keep, NULL) : NULL;
  if (path && strlen(path) >= sizeof demo->dir) errno = ENAMETOOLONG;
  else if (path) snprintf(demo->dir, sizeof demo->dir, "%s", path);
  free(path);
  if (demo->dir[0]) return 0;
  fprintf(stderr, "dunlin-demo: %s: %s\n", keep, strerror(errno));
  return -1;
}

static int make_directory(struct demo *demo) {
  const char *tmp = getenv("TMPDIR");
  char keys[sizeof demo->dir + 8];
  if (!tmp || !*tmp) tmp = "/tmp";
  if (demo->options->keep) {
    if (make_kept(demo, demo->options->keep)) return -1;
  } else {
    int n = snprintf(demo->dir, sizeof demo->dir, "%s/dunlin-demo-XXXXXX", tmp);
    if (n < 0 || (size_t)n >= sizeof demo->dir || !mkdtemp(demo->dir)) {
      fprintf(stderr, "dunlin-demo: cannot make a directory in %s: %s\n", tmp, strerror(errno));
      return -1;
    }
  }
  snprintf(keys, sizeof keys, "%s/keys", demo->dir);
  return mkdir(keys, 0700);
}

static int begin(struct demo *demo, FILE *capture) {
  const struct dunlin_env *env = dunlin_env_default();
  uint64_t number = 0;
  if (env->random(env->ctx, &number, sizeof number)) return -1;
  snprintf(demo->marker, sizeof demo->marker, "canary-%016llx", (unsigned long long)number);
  demo->random = demo->options->seed;
  uv_timer_init(&demo->loop, &demo->tick);
  uv_timer_init(&demo->loop, &demo->kill);
  demo->tick.data = demo->kill.data = demo;
  for (int i = 0; i < 2; i++) {
    uv_signal_init(&demo->loop, &demo->signals[i]);
    demo->signals[i].data = demo;
    uv_signal_start(&demo->signals[i], on_signal, i ? SIGTERM : SIGINT);
  }
  int rc = proxy_start(&demo->proxy, &demo->loop, capture);
  if (rc) {
    fail(demo, "cannot listen on loopback: %s", uv_strerror(rc));
    return 0;
  }
  uv_timer_start(&demo->tick, on_tick, 100, 100);
  if (demo->options->kills) uv_timer_start(&demo->kill, on_kill, KILL_MAX_MS, 0);
  demo->last_progress = uv_now(&demo->loop);
  for (unsigned i = 0; i < DEMO_DEVICES && !demo->ending; i++) {
    demo->children[i] =
        (struct child){.ctx = demo, .on_line = on_line, .on_exit = on_exit_of, .loop = &demo->loop, .index = i};
    start_child(demo, i);
  }
  return 0;
}

/* The marker must be readable in the exports, which shows that the search works, and nowhere else. */
static int check_marker(const struct demo *demo, const char *capture, struct scan stores[DEMO_DEVICES]) {
  struct scan exports[DEMO_DEVICES] = {0}, wire = {0};
  char path[sizeof demo->dir + 16], export[DEMO_DEVICES][sizeof demo->dir + 16];
  int rc = scan_path(capture, demo->marker, &wire);
  for (unsigned i = 0; i < DEMO_DEVICES; i++) {
    snprintf(path, sizeof path, "%s/%c", demo->dir, 'a' + (int)i);
    snprintf(export[i], sizeof export[i], "%s/%c.json", demo->dir, 'a' + (int)i);
    if (scan_path(path, demo->marker, &stores[i]) || scan_path(export[i], demo -> marker, &exports[i])) rc = -1;
    if (!exports[i].found) rc = -1;
    if (stores[i].found) wire = stores[i];
  }
  if (rc) fprintf(stderr, "dunlin-demo: the search for the marker did not work\n");
  else if (wire.found) fprintf(stderr, "dunlin-demo: the marker can be read in %s\n", wire.where);
  else if (!scan_equal(export[0], export[1])) fprintf(stderr, "dunlin-demo: the exports of the devices differ\n");
  else return 0;
  return -1;
}

static void summarise(struct demo *demo, const struct scan stores[DEMO_DEVICES]) {
  for (unsigned i = 0; i < DEMO_DEVICES; i++) {
    const struct report *r = &demo->reports[i];
    say(demo, "device %c: hash %.16s..., text %zu characters, %zu changes, %llu bytes sent, %llu bytes on disk",
        'a' + (int)i, r->hash, r->length, r->hashed_changes, (unsigned long long)demo->proxy.bytes[1 - i],
        (unsigned long long)stores[i].bytes);
  }
  say(demo, "converged %.2f s after the link came back; the text is the end content of the trace", demo->converge_s);
  say(demo, "the marker %s is in the exports, and neither in the stores nor on the wire", demo->marker);
  if (demo->options->kills)
    say(demo, "killed %u times, seed %u; nothing that was durable is lost", demo->kills, demo->options->seed);
  if (demo->options->keep)
    say(demo, "compare:  DUNLIN_PASSPHRASE=%s dunlin --store %s/a export %s/history  (and .../b)", PASSPHRASE,
        demo->dir, demo->marker);
}

static int finish(struct demo *demo, const char *capture) {
  struct scan stores[DEMO_DEVICES] = {0};
  char keys[sizeof demo->dir + 8];
  int rc = demo->failed || demo->phase != DONE ? -1 : check_marker(demo, capture, stores);
  if (rc == 0) summarise(demo, stores);
  snprintf(keys, sizeof keys, "%s/keys", demo->dir);
  if (!demo->options->keep) scan_remove(demo->dir);
  else if (rc == 0) scan_remove(keys); /* the stores have a passphrase now */
  else fprintf(stderr, "dunlin-demo: the stores are left in %s\n", demo->dir);
  if (rc == 0) say(demo, "converged %s", demo->reports[0].hash);
  return rc ? 1 : 0;
}

int demo_coordinate(const struct demo_options *options) {
  struct demo *demo = calloc(1, sizeof *demo);
  if (!demo) return 1;
  demo->options = options;
  char capture[sizeof demo->dir + 16];
  FILE *file = NULL;
  int status = 1;
  if (measure_trace(demo) || make_directory(demo)) goto out;
  snprintf(capture, sizeof capture, "%s/wire", demo->dir);
  file = fopen(capture, "wb");
  if (!file || uv_loop_init(&demo->loop)) {
    fprintf(stderr, "dunlin-demo: cannot write in %s\n", demo->dir);
    if (file) fclose(file);
    goto out;
  }
  if (begin(demo, file) == 0) uv_run(&demo->loop, UV_RUN_DEFAULT);
  uv_loop_close(&demo->loop);
  if (fclose(file)) demo->failed = true;
  status = finish(demo, capture);
out:
  free(demo);
  return status;
}
