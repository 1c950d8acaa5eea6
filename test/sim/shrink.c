#include "test/sim/shrink.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_S 120

/* The same kind of failure: the sentence without its numbers. */
static bool same_kind(const char *a, const char *b) {
  for (;;) {
    while (*a >= '0' && *a <= '9') a++;
    while (*b >= '0' && *b <= '9') b++;
    if (*a != *b) return false;
    if (!*a || *a == ':') return true;
    a++, b++;
  }
}

static bool still_fails(const struct script *script, const void *ctx, struct outcome *outcome) {
  struct outcome now;
  run_script(script, ctx, NULL, &now);
  if (!now.failed || !same_kind(now.text, outcome->text)) return false;
  *outcome = now;
  return true;
}

/* The script without actions `from` to `to`. */
static struct script without(const struct script *script, size_t from, size_t to) {
  struct script shorter = {.seed = script->seed, .devices = script->devices};
  for (size_t i = 0; i < script->count; i++)
    if (i < from || i >= to) script_add(&shorter, script->actions[i]);
  return shorter;
}

static bool try_without(struct script *script, size_t from, size_t to, const void *ctx, struct outcome *outcome) {
  struct script shorter = without(script, from, to);
  if (!still_fails(&shorter, ctx, outcome)) {
    script_free(&shorter);
    return false;
  }
  script_free(script);
  *script = shorter;
  return true;
}

/* What comes after the failure had no part in it; a calm at the end keeps what only shows there. */
static void cut_end(struct script *script, const void *ctx, struct outcome *outcome) {
  size_t keep = 0;
  while (keep < script->count && script->actions[keep].at <= outcome->at) keep++;
  struct action last = {.at = keep ? script->actions[keep - 1].at : 0, .verb = VERB_CALM};
  struct script shorter = without(script, keep, script->count);
  script_add(&shorter, last);
  if (keep < script->count && still_fails(&shorter, ctx, outcome)) {
    script_free(script);
    *script = shorter;
  } else {
    script_free(&shorter);
  }
}

void shrink_script(struct script *script, const void *ctx, struct outcome *outcome) {
  time_t end = time(NULL) + PATIENCE_S;
  cut_end(script, ctx, outcome);
  for (size_t piece = (script->count + 1) / 2; piece && time(NULL) < end;) {
    bool any = false;
    for (size_t from = 0; from < script->count && time(NULL) < end;) {
      size_t to = from + piece < script->count ? from + piece : script->count;
      if (try_without(script, from, to, ctx, outcome)) any = true;
      else from = to;
    }
    if (piece == 1 && !any) break;
    if (!any || piece > script->count) piece = piece / 2 ? piece / 2 : 1;
    if (!script->count) break;
  }
}
