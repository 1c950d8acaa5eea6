/* dunlin-bench: what dunlin costs, on this machine, on your data. */
#include <getopt.h>
#include <jansson.h>
#include <lmdb.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>
#include <zstd.h>

#include "bench/bench.h"

static const struct {
  const char *name;
  int (*run)(struct bench *b);
  const char *what;
} suites[] = {
    {"limits", suite_limits, "what the machine can do: memory, flush, TCP round trip, libsodium"},
    {"text", suite_text, "editing traces: edits, deltas, merging, saving, memory"},
    {"generated", suite_generated, "the same on long generated histories; rows of text"},
    {"map", suite_map, "100 000 sets on 10 000 keys, merging, nested documents"},
    {"list", suite_list, "100 000 elements: insert, set, move, delete"},
    {"seal", suite_seal, "sealing and opening runs of changes"},
    {"store", suite_store, "durable commits, opening, size on disk; beside SQLite and bare LMDB"},
    {"sync", suite_sync, "two nodes over TCP: catching up, finding out that nothing is missing"},
    {"latency", suite_latency, "one typed character until the other device shows it"},
    {"fanout", suite_fanout, "one change to 1 to 50 peers"},
    {"scale", suite_scale, "10^3 to 10^7 operations: the cost of one"},
};
enum { suite_count = sizeof suites / sizeof *suites };

static void usage(FILE *out) {
  fprintf(out,
          "usage: dunlin-bench [SUITE...] [--traces DIR] [--json FILE] [--quick] [--n N]\n\n"
          "  --traces DIR  editing traces (.json, .json.gz) for the suite text; without it the history that ships\n"
          "  --json FILE   writes header and rows as JSON\n"
          "  --quick       three runs a case, smaller sizes\n"
          "  --n N         runs a case (5)\n"
          "  --dir DIR     where stores are made (TMPDIR or /tmp)\n\nsuites (all without one):\n");
  for (size_t i = 0; i < suite_count; i++) fprintf(out, "  %-9s  %s\n", suites[i].name, suites[i].what);
}

/* ---- The header --------------------------------------------------------------------------------------------- */

static void cpu_model(char *out, size_t size) {
  char line[256];
  FILE *f = fopen("/proc/cpuinfo", "r");
  snprintf(out, size, "unknown");
  while (f && fgets(line, sizeof line, f)) {
    char *colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) || !colon) continue;
    colon[strcspn(colon, "\n")] = 0;
    snprintf(out, size, "%s", colon + 2);
    break;
  }
  if (f) fclose(f);
}

static json_t *header(const struct bench *b) {
  struct utsname system;
  char cpu[128], date[32];
  double load[3] = {-1, -1, -1};
  time_t now = time(NULL);
  uname(&system);
  cpu_model(cpu, sizeof cpu);
  if (getloadavg(load, 3) < 0) load[0] = -1;
  strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
  return json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:f, s:i, s:b, s:{s:s, s:s, s:s, s:s}}", "date", date, "cpu", cpu,
                   "cores", (int)sysconf(_SC_NPROCESSORS_ONLN), "system", system.release, "compiler", BENCH_COMPILER,
                   "version", DUNLIN_VERSION, "load", load[0], "n", (int)b->n, "quick", b->quick, "libraries",
                   "libsodium", sodium_version_string(), "lmdb", mdb_version(NULL, NULL, NULL), "libuv",
                   uv_version_string(), "zstd", ZSTD_versionString());
}

static void print_header(json_t *h) {
  char *text = json_dumps(h, JSON_INDENT(2));
  printf("%s\n", text ? text : "");
  free(text);
}

static int write_json(const struct bench *b, json_t *head, const char *path) {
  json_t *rows = json_array(), *notes = json_array();
  for (size_t i = 0; i < b->row_count; i++) {
    const struct bench_row *r = &b->rows[i];
    json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:I}", "suite", r->suite, "case",
                                          r->name, "peer", r->peer, "metric", r->metric, "unit", r->unit, "median",
                                          r->median, "min", r->min, "max", r->max, "n", (json_int_t)r->n));
  }
  for (size_t i = 0; i < b->note_count; i++) json_array_append_new(notes, json_string(b->notes[i]));
  json_t *all = json_pack("{s:O, s:o, s:o}", "header", head, "rows", rows, "notes", notes);
  int error = json_dump_file(all, path, JSON_INDENT(1));
  if (error) fprintf(stderr, "dunlin-bench: cannot write %s\n", path);
  json_decref(all);
  return error;
}

/* ---- Options ------------------------------------------------------------------------------------------------ */

static int wrong_usage(const char *what, const char *value) {
  fprintf(stderr, "dunlin-bench: %s '%s'; see dunlin-bench --help\n", what, value);
  return 2;
}

/* Runs the suite of that name, or all for NULL. */
static void run_suites(struct bench *b, char **names, int count) {
  for (size_t i = 0; i < suite_count; i++) {
    bool wanted = !count;
    for (int k = 0; k < count; k++) wanted |= !strcmp(names[k], suites[i].name);
    if (!wanted) continue;
    b->suite = suites[i].name;
    if (suites[i].run(b)) b->failed = true;
  }
}

static bool known(const char *name) {
  for (size_t i = 0; i < suite_count; i++)
    if (!strcmp(suites[i].name, name)) return true;
  return false;
}

int main(int argc, char **argv) {
  static const struct option options[] = {{"traces", required_argument, NULL, 't'},
                                          {"json", required_argument, NULL, 'j'},
                                          {"quick", no_argument, NULL, 'q'},
                                          {"n", required_argument, NULL, 'n'},
                                          {"dir", required_argument, NULL, 'd'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  struct bench b = {.scratch = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp"};
  const char *json_path = NULL;
  char *end;
  opterr = 0;
  for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (c) {
      case 't': b.traces = optarg; break;
      case 'j': json_path = optarg; break;
      case 'q': b.quick = true; break;
      case 'd': b.scratch = optarg; break;
      case 'h': usage(stdout); return 0;
      case 'n':
        b.n = strtoul(optarg, &end, 10);
        if (*end || !b.n || b.n > BENCH_MAX_SAMPLES)
          return wrong_usage("--n takes a number from 1 to 1000, not", optarg);
        break;
      default: return wrong_usage("unknown option, or its value is missing:", argv[optind - 1]);
    }
  }
  for (int i = optind; i < argc; i++)
    if (!known(argv[i])) return wrong_usage("unknown suite", argv[i]);
  if (!b.n) b.n = b.quick ? 3 : 5;
  if (sodium_init() < 0) return 1;
  json_t *head = header(&b);
  print_header(head);
  run_suites(&b, argv + optind, argc - optind);
  if (json_path && write_json(&b, head, json_path)) b.failed = true;
  json_decref(head);
  for (size_t i = 0; i < b.note_count; i++) free(b.notes[i]);
  free(b.notes);
  free(b.rows);
  return b.failed;
}
