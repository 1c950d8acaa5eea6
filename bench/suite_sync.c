/* Two nodes over the loopback: catching up after one has written alone, and finding out that nothing is missing. */
#include <stdio.h>

#include "bench/fleet.h"

/* Bytes both ways of the guest's connection. */
static uint64_t on_wire(const struct fleet *f) {
  struct dunlin_node_stats stats = dunlin_node_stats(f->devices[1].node);
  return stats.bytes_sent + stats.bytes_received;
}

/* The owner writes alone: `count` changes, each a run of its own or (`group`) as they queue. */
static int write_alone(struct fleet *f, size_t count, enum dunlin_commit_mode mode) {
  struct device *a = &f->devices[0];
  int error = 0;
  dunlin_store_doc_mode(a->handle, mode);
  for (size_t i = 0; i < count && !error; i++) error = device_type(a);
  dunlin_store_doc_mode(a->handle, DUNLIN_DURABLE);
  return error ? error : dunlin_store_flush(a->store);
}

static int catch_up(struct fleet *f, double *ms, uint64_t *bytes) {
  double began = bench_now();
  int error = fleet_connect(f);
  *ms = bench_now() - began;
  if (!error) error = device_until(&f->devices[1], dunlin_doc_changes(f->devices[0].doc));
  *bytes = error ? 0 : on_wire(f);
  fleet_disconnect(f);
  if (!error && !bench_same(f->devices[0].doc, f->devices[1].doc)) error = DUNLIN_EREFUSED;
  return error;
}

static int run_case(struct bench *b, const char *name, size_t count, enum dunlin_commit_mode mode) {
  double times[BENCH_MAX_SAMPLES], sizes[BENCH_MAX_SAMPLES];
  struct fleet f;
  int error = fleet_make(&f, b, 2);
  for (size_t i = 0; i < b->n + 1 && !error; i++) { /* the first is the warm-up */
    uint64_t bytes = 0;
    size_t at = i ? i - 1 : 0;
    error = write_alone(&f, count, mode);
    if (!error) error = catch_up(&f, &times[at], &bytes);
    sizes[at] = (double)bytes;
  }
  fleet_free(&f);
  if (error) return bench_wrong(b, name, "catching up", error);
  bench_row(b, name, "dunlin", "connect_until_in_sync", "ms", times, b->n);
  bench_row(b, name, "dunlin", "wire_bytes", "bytes", sizes, b->n);
  return 0;
}

int suite_sync(struct bench *b) {
  char name[32];
  size_t count = b->quick ? 500 : 5000;
  int error = run_case(b, "nothing-missing", 0, DUNLIN_DURABLE);
  snprintf(name, sizeof name, "%zu-single-runs", count);
  if (!error) error = run_case(b, name, count, DUNLIN_DURABLE);
  snprintf(name, sizeof name, "%zu-grouped", count * 10);
  return error ? error : run_case(b, name, count * 10, DUNLIN_GROUP);
}
