/* sim: runs simulated fleets; see `./dev sim --help`.
 *
 * Each run is a child process, so that one that crashes is a finding like any other, and is shrunk like any other. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test/fault/seeded.h"
#include "test/sim/shrink.h"
#include "test/sim/world.h"

static const char usage[] =
    "usage: sim [OPTIONS]\n"
    "\n"
    "Runs a fleet of devices, with the real code and simulated disks, networks, clocks and users, through days of "
    "edits\n"
    "and faults, and checks that everything promised is kept. The same seed gives the same run, byte for byte.\n"
    "\n"
    "  --seed N       the seed; default: a new one\n"
    "  --seeds N      that many seeds, one after another; default 1\n"
    "  --devices N    default 5\n"
    "  --days N       simulated days, 0.1 is fine; default 1\n"
    "  --gentle       nothing that loses or copies files, and nobody who lies\n"
    "  --trouble X    that many times the usual faults; default 1\n"
    "  --mailbox      one more device, which is always on and never edits\n"
    "  --script FILE  plays a script instead: what a failure is shrunk to\n"
    "  --print        prints the script and runs nothing\n"
    "  --trace FILE   writes what happens\n"
    "  --no-shrink    leaves a failing script as it is\n"
    "  --out DIR      where the script of a failure is written; default: the current directory\n"
    "  --break WHAT   breaks something on purpose, which must be found: nosync, diverge, leak, memory\n";

struct settings {
  uint64_t seed, seeds;
  struct script_wishes wishes;
  bool print, no_shrink;
  const char *script, *trace, *out;
  enum sabotage sabotage;
};

static double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- One run in a child ------------------------------------------------------------------------------------------ */

static void child(const struct script *script, const struct settings *settings, const char *trace_path, int out) {
  struct world world;
  struct outcome outcome = {.ended = true};
  FILE *file = trace_path ? fopen(trace_path, "w") : NULL;
  world_run(&world, script, settings->sabotage, file);
  if (file) fclose(file);
  outcome.failed = world.failed;
  outcome.at = world.now;
  outcome.counts = world.counts;
  memcpy(outcome.text, world.failure, sizeof outcome.text);
  world_hash(&world, outcome.trace);
  _exit(write(out, &outcome, sizeof outcome) == sizeof outcome ? 0 : 1);
}

void run_script(const struct script *script, const void *ctx, const char *trace_path, struct outcome *outcome) {
  int pipes[2], status = 0;
  *outcome = (struct outcome){.failed = true};
  fflush(stdout);
  fflush(stderr);
  if (pipe(pipes)) abort();
  pid_t pid = fork();
  if (pid < 0) abort();
  if (!pid) {
    close(pipes[0]);
    child(script, ctx, trace_path, pipes[1]);
  }
  close(pipes[1]);
  size_t got = 0;
  for (ssize_t n; got < sizeof *outcome; got += (size_t)n) {
    n = read(pipes[0], (char *)outcome + got, sizeof *outcome - got);
    if (n < 0 && errno == EINTR) n = 0;
    else if (n <= 0) break;
  }
  close(pipes[0]);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (got == sizeof *outcome && outcome->ended) return;
  *outcome = (struct outcome){.failed = true};
  if (WIFSIGNALED(status)) snprintf(outcome->text, sizeof outcome->text, "crashed: %s", strsignal(WTERMSIG(status)));
  else snprintf(outcome->text, sizeof outcome->text, "ended with status %d", WEXITSTATUS(status));
}

/* ---- Reporting --------------------------------------------------------------------------------------------------- */

static void report_success(const struct settings *s, const struct script *script, const struct outcome *o,
                           double took) {
  double simulated = (double)o->at / 1000;
  const struct sim_counts *c = &o->counts;
  printf("sim: seed %" PRIu64 ", %u devices, %.2f days: ok\n", script->seed, script->devices, simulated / 86400);
  printf("  %" PRIu64 " edits, %" PRIu64 " acknowledged, %" PRIu64 " refused; %" PRIu64 " sessions; %" PRIu64
         " kills, %" PRIu64 " power losses, %" PRIu64 " disk faults, %" PRIu64 " rotten disks, %" PRIu64
         " begun anew, %" PRIu64 " set back, %" PRIu64 " clones, %" PRIu64 " pieces mangled, %" PRIu64 " lies, %" PRIu64
         " times equal\n",
         c->edits, c->acked, c->refused_edits, c->sessions, c->kills, c->powers, c->faults, c->rots, c->wiped,
         c->restores, c->clones, c->mangled, c->lies, c->calms);
  printf("  %.1f s, %.0f times real time, %.1f days a minute; trace %s\n", took, simulated / took,
         simulated / 86400 / took * 60, o->trace);
  (void)s;
}

static const char *const sabotages[] = {"nothing", "nosync", "diverge", "leak", "memory"};

static void print_break(const struct settings *s) {
  if (s->sabotage) printf(" --break %s", sabotages[s->sabotage]);
  putchar('\n');
}

static void print_repeat(const struct settings *s, const struct script *script) {
  if (s->script) printf("  again: ./dev sim --script %s", s->script);
  else
    printf("  again: ./dev sim --seed %" PRIu64 " --devices %u --days %g%s%s", script->seed, s->wishes.devices,
           s->wishes.days, s->wishes.gentle ? " --gentle" : "", s->wishes.mailbox ? " --mailbox" : "");
  if (!s->script && s->wishes.trouble < 1) printf(" --trouble %g", s->wishes.trouble);
  if (!s->script && s->wishes.trouble > 1) printf(" --trouble %g", s->wishes.trouble);
  print_break(s);
}

static void report_failure(const struct settings *s, struct script *script, const struct outcome *o) {
  printf("sim: seed %" PRIu64 " FAILED at %.3f s: %s\n", script->seed, (double)o->at / 1000, o->text);
  print_repeat(s, script);
  if (s->no_shrink) return;
  char path[512];
  struct outcome shrunk = *o;
  shrink_script(script, s, &shrunk);
  snprintf(path, sizeof path, "%s/sim-%" PRIu64 ".script", s->out, script->seed);
  FILE *file = fopen(path, "w");
  if (!file) {
    printf("  cannot write %s\n", path);
    return;
  }
  script_print(script, file);
  fprintf(file, "# %s\n", shrunk.text);
  fclose(file);
  printf("  shrunk to %zu actions: ./dev sim --script %s", script->count, path);
  print_break(s);
}

static int run_one(const struct settings *s, struct script *script) {
  struct outcome outcome;
  double began = seconds_now();
  run_script(script, s, s->trace, &outcome);
  if (outcome.failed) report_failure(s, script, &outcome);
  else report_success(s, script, &outcome, seconds_now() - began);
  fflush(stdout);
  return outcome.failed;
}

/* ---- Arguments --------------------------------------------------------------------------------------------------- */

static bool set_number(const char *text, double low, double high, double *out) {
  char *end;
  *out = strtod(text, &end);
  return *text && !*end && *out >= low && *out <= high;
}

static int complain(const char *what) {
  fprintf(stderr, "sim: %s\n%s", what, usage);
  return 2;
}

static bool set_sabotage(struct settings *s, const char *name) {
  for (size_t i = 0; i < sizeof sabotages / sizeof *sabotages; i++)
    if (!strcmp(name, sabotages[i])) {
      s->sabotage = (enum sabotage)i;
      return true;
    }
  return false;
}

static int parse(int argc, char **argv, struct settings *s) {
  static const struct option options[] = {
      {"seed", 1, NULL, 's'},      {"seeds", 1, NULL, 'n'},   {"devices", 1, NULL, 'd'}, {"days", 1, NULL, 'y'},
      {"gentle", 0, NULL, 'g'},    {"mailbox", 0, NULL, 'm'}, {"trouble", 1, NULL, 'r'}, {"script", 1, NULL, 'f'},
      {"print", 0, NULL, 'p'},     {"trace", 1, NULL, 't'},   {"break", 1, NULL, 'b'},   {"out", 1, NULL, 'o'},
      {"no-shrink", 0, NULL, 'k'}, {"help", 0, NULL, 'h'},    {NULL, 0, NULL, 0}};
  double number;
  for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (c) {
      case 's': s->seed = strtoull(optarg, NULL, 10); break;
      case 'n':
        if (!set_number(optarg, 1, 1e9, &number)) return complain("--seeds takes a number from 1");
        s->seeds = (uint64_t)number;
        break;
      case 'd':
        if (!set_number(optarg, 1, SIM_MAX_DEVICES / 2, &number)) return complain("--devices takes 1 to 16");
        s->wishes.devices = (unsigned)number;
        break;
      case 'y':
        if (!set_number(optarg, 0.001, 3650, &s->wishes.days)) return complain("--days takes 0.001 to 3650");
        break;
      case 'g': s->wishes.gentle = true; break;
      case 'r':
        if (!set_number(optarg, 0, 100, &s->wishes.trouble)) return complain("--trouble takes 0 to 100");
        break;
      case 'm': s->wishes.mailbox = true; break;
      case 'f': s->script = optarg; break;
      case 'p': s->print = true; break;
      case 't': s->trace = optarg; break;
      case 'o': s->out = optarg; break;
      case 'k': s->no_shrink = true; break;
      case 'b':
        if (!set_sabotage(s, optarg)) return complain("--break takes nosync, diverge, leak or memory");
        break;
      case 'h': fputs(usage, stdout); exit(0);
      default: return complain("see the usage");
    }
  }
  return optind < argc ? complain("there are words that mean nothing") : 0;
}

int main(int argc, char **argv) {
  struct settings s = {.seeds = 1, .wishes = {.devices = 5, .days = 1, .trouble = 1}, .out = "."};
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  s.seed = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
  int error = parse(argc, argv, &s), failed = 0;
  if (error) return error;
  if (sodium_init() < 0) return 1;
  seeded_sodium(NULL); /* nothing may ask libsodium for chance behind the environment's back */
  for (uint64_t i = 0; i < s.seeds; i++) {
    struct script script;
    if (s.script && !script_read(&script, s.script)) return 2;
    if (!s.script) script_make(&script, s.seed + i, &s.wishes);
    if (s.print) script_print(&script, stdout);
    else failed += run_one(&s, &script);
    script_free(&script);
  }
  if (s.seeds > 1 && !s.print) printf("%" PRIu64 " runs, %d failed\n", s.seeds, failed);
  return failed > 0;
}
