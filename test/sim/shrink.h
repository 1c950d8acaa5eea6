/* Making a failing script short: what can be left out with the same kind of failure is left out (ddmin, Zeller and
 * Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002). */
#ifndef TEST_SIM_SHRINK_H
#define TEST_SIM_SHRINK_H

#include "test/sim/world.h"

struct outcome {
  bool ended, failed;
  uint64_t at;
  struct sim_counts counts;
  char text[512], trace[33];
};

/* Runs a script in a process of its own. `ctx` is handed through. */
void run_script(const struct script *script, const void *ctx, const char *trace_path, struct outcome *outcome);

/* Shortens `script`, for a minute or two at most.  `outcome`: how it failed, then how the short one fails. */
void shrink_script(struct script *script, const void *ctx, struct outcome *outcome);

#endif
