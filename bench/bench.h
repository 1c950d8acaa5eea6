/* The measuring frame: runs a case several times, keeps median, minimum and maximum, prints and writes them.
 *
 * A suite is a function that adds rows.  Each case does one warm-up run, then n; its `run` checks its result and gives
 * an error instead of a time when it is wrong, so that no wrong result gets a figure. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <dunlin/dunlin.h>

enum { BENCH_MAX_SAMPLES = 1000 };

struct bench_row {
  char suite[16], peer[24], metric[48], unit[8], name[96];
  double median, min, max;
  size_t n;
};

struct bench {
  const char *traces;  /* directory; NULL: the history that ships */
  const char *scratch; /* directory for stores */
  bool quick;
  size_t n;          /* runs of each case */
  const char *suite; /* the one that runs */
  struct bench_row *rows;
  size_t row_count, row_cap;
  char **notes;
  size_t note_count, note_cap;
  bool failed;
};

/* ---- Measuring ---------------------------------------------------------------------------------------------- */

double bench_now(void); /* milliseconds, monotonic */

/* One run of a case: 0 and the measured milliseconds (only of the part that is to be measured), or a negative error. */
typedef int bench_run(void *ctx, double *ms);

/* Warm-up, n runs, one row in ms.  A failing run ends the case with a message and makes the program fail. */
int bench_time(struct bench *b, const char *name, const char *metric, bench_run *run, void *ctx);
/* The same for another library in the same run. */
int bench_time_peer(struct bench *b, const char *name, const char *peer, const char *metric, bench_run *run, void *ctx);
/* A row from samples taken elsewhere; sorts them. */
void bench_row(struct bench *b, const char *name, const char *peer, const char *metric, const char *unit,
               double *samples, size_t n);
/* A row of one figure that does not vary: a size. */
void bench_size(struct bench *b, const char *name, const char *metric, size_t bytes);
/* Something the reader must know: what was left out, cut short, or means less than it seems. */
void bench_note(struct bench *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A wrong result or a failing call: the program goes on with the next case and exits 1. */
int bench_wrong(struct bench *b, const char *name, const char *what, int error);

/* ---- Memory ------------------------------------------------------------------------------------------------- */

/* An environment that counts: live bytes as asked for (the allocator's own overhead not among them), and their peak. */
struct bench_memory {
  struct dunlin_env env;
  size_t live, peak, calls;
};
void bench_memory_init(struct bench_memory *memory);
size_t bench_resident(void); /* resident set of this process in bytes */

/* ---- Documents ---------------------------------------------------------------------------------------------- */

#include <dunlin/doc.h>

struct dunlin_actor bench_actor(unsigned number);
/* An empty document (always the same id) of actor number `actor`. */
int bench_doc(const struct dunlin_env *env, unsigned actor, dunlin_doc **out);
/* The compact form: all of the state and all of the history.  Freed by free(). */
int bench_save(const dunlin_doc *doc, void **out, size_t *len);
int bench_load(const struct dunlin_env *env, const void *data, size_t len, unsigned actor, dunlin_doc **out);
bool bench_same(const dunlin_doc *a, const dunlin_doc *b);

/* A small generator, so that every run does the same. */
static inline uint64_t bench_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

/* 100 bytes there and back over the loopback, bare TCP. A bench_run. */
int bench_round_trip(void *ctx, double *ms);

/* ---- Suites ------------------------------------------------------------------------------------------------- */

int suite_text(struct bench *b);
int suite_generated(struct bench *b);
int suite_map(struct bench *b);
int suite_list(struct bench *b);
int suite_store(struct bench *b);
int suite_sync(struct bench *b);
int suite_latency(struct bench *b);
int suite_fanout(struct bench *b);
int suite_seal(struct bench *b);
int suite_scale(struct bench *b);
int suite_limits(struct bench *b);

#endif
