/* One typed character: committed durably on one device, until the document on the other shows it; over the loopback,
 * both stores on one disk.  Beside it a round trip of 100 bytes over bare TCP. */
#include <stdlib.h>

#include "bench/fleet.h"

static int keystroke(struct fleet *f, double *ms) {
  struct device *a = &f->devices[0], *b = &f->devices[1];
  double began = bench_now();
  int error = device_type(a);
  if (!error) error = device_until(b, dunlin_doc_changes(a->doc));
  *ms = bench_now() - began;
  return error;
}

static double percentile(const double *sorted, size_t n, double p) {
  return sorted[(size_t)((double)(n - 1) * p)];
}

int suite_latency(struct bench *b) {
  struct fleet f;
  double samples[BENCH_MAX_SAMPLES];
  size_t n = b->quick ? 100 : BENCH_MAX_SAMPLES;
  int error = fleet_make(&f, b, 2);
  if (!error) error = fleet_connect(&f);
  for (size_t i = 0; i < 20 && !error; i++) error = keystroke(&f, samples); /* warm-up */
  for (size_t i = 0; i < n && !error; i++) error = keystroke(&f, &samples[i]);
  if (!error && !bench_same(f.devices[0].doc, f.devices[1].doc)) error = DUNLIN_EREFUSED;
  if (error) {
    bench_wrong(b, "keystroke", "durable here until shown there", error);
  } else {
    bench_row(b, "keystroke", "dunlin", "shown_at_peer", "ms", samples, n); /* sorts */
    double p95 = percentile(samples, n, 0.95), p99 = percentile(samples, n, 0.99);
    bench_row(b, "keystroke", "dunlin", "shown_at_peer_p95", "ms", &p95, 1);
    bench_row(b, "keystroke", "dunlin", "shown_at_peer_p99", "ms", &p99, 1);
  }
  fleet_free(&f);
  return error ? error : bench_time_peer(b, "keystroke", "tcp", "round_trip", bench_round_trip, NULL);
}
