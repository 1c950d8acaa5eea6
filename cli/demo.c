/* dunlin-demo - two devices, one encrypted document, no server. */
#include "cli/demo.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static const char usage[] =
    "usage: dunlin-demo [--trace FILE] [--keep DIR] [--kills N] [--seed S] [--verbose]\n"
    "\n"
    "Runs two devices, each a process with a store of its own, through an editing history, over TCP on loopback.\n"
    "  --trace FILE  a .json or .json.gz file of the editing-traces collection; without it a small history that ships\n"
    "  --keep DIR    leaves both stores, their exports and the captured wire in DIR, which must be new or empty\n"
    "  --kills N     kills either device N times at moments drawn from the seed, and starts it again\n"
    "  --seed S      of the kills and of the edits while apart (1)\n"
    "  --verbose     shows what the devices tell the coordinator\n";

enum {
  OPT_TRACE = 256,
  OPT_KEEP,
  OPT_KILLS,
  OPT_SEED,
  OPT_VERBOSE,
  OPT_HELP,
  OPT_DEVICE,
  OPT_STORE,
  OPT_KEY,
  OPT_PROXY,
  OPT_MARKER,
  OPT_PACE
};

/* Those from "device" on are what the coordinator starts devices with. */
static const struct option options[] = {
    {"trace", required_argument, NULL, OPT_TRACE},
    {"keep", required_argument, NULL, OPT_KEEP},
    {"kills", required_argument, NULL, OPT_KILLS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"verbose", no_argument, NULL, OPT_VERBOSE},
    {"help", no_argument, NULL, OPT_HELP},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"store", required_argument, NULL, OPT_STORE},
    {"key-file", required_argument, NULL, OPT_KEY},
    {"proxy", required_argument, NULL, OPT_PROXY},
    {"marker", required_argument, NULL, OPT_MARKER},
    {"pace", required_argument, NULL, OPT_PACE},
    {NULL, 0, NULL, 0},
};

static bool number_of(const char *text, unsigned *out) {
  char *end;
  unsigned long n = strtoul(text, &end, 10);
  if (end == text || *end || n > 1000000000ul) return false;
  *out = (unsigned)n;
  return true;
}

/* The history that ships: where it was installed, or where it lies in the source. */
static const char *shipped_trace(void) {
  const char *named = getenv("DUNLIN_DEMO_TRACE");
  if (named && *named) return named;
  return access(DEMO_TRACE_INSTALLED, R_OK) == 0 ? DEMO_TRACE_INSTALLED : DEMO_TRACE_SOURCE;
}

static bool take_option(int option, struct demo_options *demo, struct demo_device_options *device, bool *is_device) {
  switch (option) {
    case OPT_TRACE: demo->trace = device->trace = optarg; return true;
    case OPT_KEEP: demo->keep = optarg; return true;
    case OPT_KILLS: return number_of(optarg, &demo->kills);
    case OPT_VERBOSE: return demo->verbose = true;
    case OPT_SEED: return number_of(optarg, &demo->seed);
    case OPT_DEVICE: *is_device = true; return number_of(optarg, &device->index) && device->index < DEMO_DEVICES;
    case OPT_STORE: device->store = optarg; return true;
    case OPT_KEY: device->key_file = optarg; return true;
    case OPT_PROXY: device->proxy = optarg; return true;
    case OPT_MARKER: device->marker = optarg; return strlen(optarg) < DEMO_MARKER_MAX;
    case OPT_PACE: return number_of(optarg, &device->pace_us);
    default: return false;
  }
}

int main(int argc, char **argv) {
  struct demo_options demo = {.seed = 1};
  struct demo_device_options device = {0};
  bool is_device = false;
  static char program[4096];
  size_t len = sizeof program;
  int option;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    if (option == OPT_HELP) return fputs(usage, stdout) < 0;
    if (take_option(option, &demo, &device, &is_device)) continue;
    fputs("dunlin-demo: wrong usage; see dunlin-demo --help\n", stderr);
    return 2;
  }
  if (optind < argc) {
    fprintf(stderr, "dunlin-demo: \"%s\" is not an option; see dunlin-demo --help\n", argv[optind]);
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  if (is_device) {
    if (!device.store || !device.key_file || !device.trace || !device.proxy || !device.marker) return 2;
    return demo_device_run(&device);
  }
  if (!demo.trace) demo.trace = shipped_trace();
  demo.program = uv_exepath(program, &len) == 0 ? program : argv[0];
  return demo_coordinate(&demo);
}
