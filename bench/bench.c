#include "bench/bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crdt/env.h"

double bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- Rows and notes ----------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print_row(const struct bench_row *r) {
  printf("%-8s %-24s %-16s %-24s %12.4g %-5s %12.4g .. %-12.4g n=%zu\n", r->suite, r->name, r->peer, r->metric,
         r->median, r->unit, r->min, r->max, r->n);
  fflush(stdout);
}

void bench_row(struct bench *b, const char *name, const char *peer, const char *metric, const char *unit,
               double *samples, size_t n) {
  if (!n || ENV_GROW(dunlin_env_default(), b->rows, b->row_cap, b->row_count + 1)) return;
  qsort(samples, n, sizeof *samples, by_size);
  struct bench_row *r = &b->rows[b->row_count++];
  *r = (struct bench_row){.min = samples[0], .max = samples[n - 1], .n = n};
  r->median = n % 2 ? samples[n / 2] : (samples[n / 2 - 1] + samples[n / 2]) / 2;
  snprintf(r->suite, sizeof r->suite, "%s", b->suite);
  snprintf(r->name, sizeof r->name, "%s", name);
  snprintf(r->peer, sizeof r->peer, "%s", peer);
  snprintf(r->metric, sizeof r->metric, "%s", metric);
  snprintf(r->unit, sizeof r->unit, "%s", unit);
  print_row(r);
}

void bench_size(struct bench *b, const char *name, const char *metric, size_t bytes) {
  double value = (double)bytes;
  bench_row(b, name, "dunlin", metric, "bytes", &value, 1);
}

void bench_note(struct bench *b, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  printf("note: %s\n", text);
  if (!ENV_GROW(dunlin_env_default(), b->notes, b->note_cap, b->note_count + 1))
    b->notes[b->note_count++] = strdup(text);
}

int bench_wrong(struct bench *b, const char *name, const char *what, int error) {
  fprintf(stderr, "dunlin-bench: %s %s: %s%s%s\n", b->suite, name, what, error ? ": " : "",
          error ? dunlin_error_text(error) : "");
  b->failed = true;
  return error ? error : DUNLIN_EREFUSED;
}

/* ---- Timing ------------------------------------------------------------------------------------------------- */

static void progress(const struct bench *b, const char *name, const char *metric, size_t i) {
  if (isatty(STDERR_FILENO)) fprintf(stderr, "\r\033[K%s %s %s %zu/%zu\r", b->suite, name, metric, i, b->n);
}

int bench_time_peer(struct bench *b, const char *name, const char *peer, const char *metric, bench_run *run,
                    void *ctx) {
  static const double budget = 20000; /* ms a case: a slow one is run less often, never less than once */
  double samples[BENCH_MAX_SAMPLES], warm_up, began = bench_now();
  size_t count = 0;
  int error = run(ctx, &warm_up);
  while (!error && count < b->n && count < BENCH_MAX_SAMPLES && (!count || bench_now() - began < budget)) {
    progress(b, name, metric, count + 1);
    error = run(ctx, &samples[count]);
    count += !error;
  }
  if (isatty(STDERR_FILENO)) fprintf(stderr, "\r\033[K");
  if (error) return bench_wrong(b, name, metric, error);
  bench_row(b, name, peer, metric, "ms", samples, count);
  return 0;
}

int bench_time(struct bench *b, const char *name, const char *metric, bench_run *run, void *ctx) {
  return bench_time_peer(b, name, "dunlin", metric, run, ctx);
}

/* ---- Memory ------------------------------------------------------------------------------------------------- */

static void *counting_realloc(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  struct bench_memory *m = ctx;
  const struct dunlin_env *env = dunlin_env_default();
  void *out = env->realloc(env->ctx, ptr, old_size, new_size);
  if (new_size && !out) return NULL;
  m->live += new_size - (ptr ? old_size : 0);
  m->calls++;
  if (m->live > m->peak) m->peak = m->live;
  return out;
}

static void hash(void *ctx, const char *label, const struct dunlin_bytes *parts, size_t count, uint8_t out[32]) {
  (void)ctx;
  dunlin_env_default()->hash(NULL, label, parts, count, out);
}

static int fixed_random(void *ctx, void *out, size_t len) {
  (void)ctx;
  memset(out, 0x5a, len);
  return 0;
}

static int compress(void *ctx, const struct dunlin_packing *packing, size_t *len) {
  (void)ctx;
  return dunlin_env_default()->compress(NULL, packing, len);
}

static int decompress(void *ctx, const struct dunlin_packing *packing) {
  (void)ctx;
  return dunlin_env_default()->decompress(NULL, packing);
}

void bench_memory_init(struct bench_memory *m) {
  *m = (struct bench_memory){.live = 0};
  m->env = (struct dunlin_env){.size = sizeof m->env,
                               .ctx = m,
                               .realloc = counting_realloc,
                               .hash = hash,
                               .random = fixed_random,
                               .compress = compress,
                               .decompress = decompress};
}

size_t bench_resident(void) {
  size_t pages = 0, resident = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f) return 0;
  if (fscanf(f, "%zu %zu", &pages, &resident) != 2) resident = 0;
  fclose(f);
  return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- Documents ---------------------------------------------------------------------------------------------- */

struct dunlin_actor bench_actor(unsigned number) {
  return (struct dunlin_actor){{(uint8_t)(number >> 8), (uint8_t)number, 1}};
}

int bench_doc(const struct dunlin_env *env, unsigned actor, dunlin_doc **out) {
  struct dunlin_id id = {{'b', 'e', 'n', 'c', 'h'}};
  struct dunlin_actor name = bench_actor(actor);
  return dunlin_doc_new(env, &id, &name, out);
}

int bench_save(const dunlin_doc *doc, void **out, size_t *len) {
  return dunlin_doc_save(doc, out, len);
}

int bench_load(const struct dunlin_env *env, const void *data, size_t len, unsigned actor, dunlin_doc **out) {
  struct dunlin_actor name = bench_actor(actor);
  return dunlin_doc_load(env, data, len, &name, out);
}

bool bench_same(const dunlin_doc *a, const dunlin_doc *b) {
  struct dunlin_id x, y;
  return !dunlin_doc_hash(a, &x) && !dunlin_doc_hash(b, &y) && !id_compare(&x, &y);
}
