/* Twice the work takes at most 2.3 times as long and as much memory: how that is measured. */
#ifndef TEST_SUPPORT_SCALING_H
#define TEST_SUPPORT_SCALING_H

#include <time.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "test/support/support.h"

static const double scaling_bar = 2.3;

/* Seconds of the processor's time. */
static inline double scaling_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What was freed stays with the process: a page asked of the kernel again and again costs more than what we do in
 * it. */
static inline void scaling_keep_memory(void) {
#ifdef __GLIBC__
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
#endif
}

/* TEST_SHAPE=name: that one alone. */
static inline bool scaling_wanted(const char *name) {
  const char *only = getenv("TEST_SHAPE");
  return !only || !strcmp(only, name);
}

/* Does work of size `n`, and gives the time and the most bytes that were held. */
typedef double scaling_take(const void *work, size_t n, size_t *peak);

/* Two doublings from `n` on in time, the least of several tries, and four from n / 4 on in memory. */
static inline void scaling_check(const char *name, size_t n, scaling_take *take, const void *work) {
  enum { tries = 3, rounds = 20 };
  size_t peak, large_peak, small_peak;
  double least = 1e9, least_large = 1e9, bar = scaling_bar;
  take(work, n / 4, &small_peak);
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < tries; i++) {
      double took = take(work, n, &peak), took_large = take(work, 4 * n, &large_peak);
      if (took < least) least = took;
      if (took_large < least_large) least_large = took_large;
    }
    if (test_is_sanitized || least_large <= least * bar * bar) break;
  }
  double more = (double)large_peak / (double)small_peak;
  printf("%-24s %7zu: %8.2f ms, x 4: %8.2f ms, %5.2f times; memory x 16: %8zu bytes, %6.2f times\n", name, n,
         least * 1e3, least_large * 1e3, least_large / least, large_peak, more);
  if (test_is_sanitized) return; /* it is the sanitizer that is measured then */
  if (least_large > least * bar * bar) fail_msg("%s: time", name);
  if (more > bar * bar * bar * bar) fail_msg("%s: memory", name);
}

#endif
