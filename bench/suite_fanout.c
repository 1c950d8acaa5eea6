/* One device types, 1 to 50 others are connected to it: until the last one shows it; and the memory that each costs.
 * All run in this process, so they share its processors. */
#include <stdio.h>

#include "bench/fleet.h"

static int to_all(void *ctx, double *ms) {
  struct fleet *f = ctx;
  double began = bench_now();
  int error = device_type(&f->devices[0]);
  size_t changes = dunlin_doc_changes(f->devices[0].doc);
  for (size_t i = 1; i < f->count && !error; i++) error = device_until(&f->devices[i], changes);
  *ms = bench_now() - began;
  return error;
}

static int run_peers(struct bench *b, size_t peers) {
  struct fleet f;
  char name[32];
  size_t before = bench_resident();
  snprintf(name, sizeof name, "%zu-peers", peers);
  int error = fleet_make(&f, b, peers + 1);
  if (!error) error = fleet_connect(&f);
  if (error) bench_wrong(b, name, "connecting", error);
  else bench_size(b, name, "resident_per_device", (bench_resident() - before) / (peers + 1));
  if (!error) error = bench_time(b, name, "shown_at_all", to_all, &f);
  for (size_t i = 1; i <= peers && !error; i++)
    if (!bench_same(f.devices[0].doc, f.devices[i].doc)) error = bench_wrong(b, name, "documents differ", 0);
  fleet_free(&f);
  return error;
}

int suite_fanout(struct bench *b) {
  static const size_t peers[] = {1, 5, 10, 25, 50};
  int error = 0;
  for (size_t i = 0; i < (b->quick ? 3 : 5) && !error; i++) error = run_peers(b, peers[i]);
  return error;
}
