#include "test/sim/script.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "test/support/rng.h"

#define SECOND 1000u
#define MINUTE (60u * SECOND)
#define HOUR (60u * MINUTE)
#define DAY (24u * HOUR)

static const struct {
  const char *name;
  size_t args;
} verbs[VERB_COUNT] = {
    [VERB_EDIT] = {"edit", 2},     [VERB_STOP] = {"stop", 1},       [VERB_START] = {"start", 1},
    [VERB_KILL] = {"kill", 2},     [VERB_POWER] = {"power", 3},     [VERB_CUT] = {"cut", 3},
    [VERB_SPLIT] = {"split", 2},   [VERB_WEATHER] = {"weather", 5}, [VERB_CLOCK] = {"clock", 2},
    [VERB_FAULT] = {"fault", 5},   [VERB_FULL] = {"full", 3},       [VERB_ROT] = {"rot", 3},
    [VERB_BACKUP] = {"backup", 1}, [VERB_RESTORE] = {"restore", 2}, [VERB_CLONE] = {"clone", 2},
    [VERB_JOIN] = {"join", 1},     [VERB_HOSTILE] = {"hostile", 3}, [VERB_CALM] = {"calm", 0},
};

const char *verb_name(enum verb verb) {
  return verbs[verb].name;
}

size_t verb_args(enum verb verb) {
  return verbs[verb].args;
}

void script_add(struct script *script, struct action action) {
  if (script->count == script->cap) {
    script->cap = script->cap ? script->cap * 2 : 64;
    script->actions = realloc(script->actions, script->cap * sizeof *script->actions);
    if (!script->actions) abort();
  }
  script->actions[script->count++] = action;
}

void script_free(struct script *script) {
  free(script->actions);
  *script = (struct script){0};
}

/* ---- Text ----------------------------------------------------------------------------------------------------- */

void action_print(const struct action *action, FILE *out) {
  fprintf(out, "%" PRIu64 ".%03u %s", action->at / 1000, (unsigned)(action->at % 1000), verb_name(action->verb));
  for (size_t i = 0; i < verb_args(action->verb); i++) fprintf(out, " %" PRId64, action->args[i]);
  fputc('\n', out);
}

void script_print(const struct script *script, FILE *out) {
  fprintf(out, "seed %" PRIu64 "\ndevices %u\n", script->seed, script->devices);
  for (size_t i = 0; i < script->count; i++) action_print(&script->actions[i], out);
}

static const char *parse_action(struct script *script, char *line) {
  struct action action = {0};
  char *at = NULL, *word = strtok_r(line, " \t\n", &at), *end;
  double seconds = strtod(word, &end);
  if (*end || !(seconds >= 0 && seconds < 1e12)) return "the line does not begin with a time in seconds";
  action.at = (uint64_t)llround(seconds * 1000);
  if (script->count && action.at < script->actions[script->count - 1].at)
    return "the time is before that of the last action";
  word = strtok_r(NULL, " \t\n", &at);
  size_t verb = 0;
  while (word && verb < VERB_COUNT && strcmp(word, verbs[verb].name)) verb++;
  if (!word || verb == VERB_COUNT) return "there is no such action";
  action.verb = (enum verb)verb;
  for (size_t i = 0; i < verbs[verb].args; i++) {
    word = strtok_r(NULL, " \t\n", &at);
    if (!word) return "an argument is missing";
    action.args[i] = strtoll(word, &end, 10);
    if (*end) return "an argument is not a number";
  }
  if (strtok_r(NULL, " \t\n", &at)) return "there are more arguments than the action takes";
  bool device = verb != VERB_SPLIT && verb != VERB_WEATHER && verb != VERB_CALM;
  if (device && (action.args[0] < 0 || action.args[0] >= SIM_MAX_DEVICES)) return "there is no such device";
  if ((verb == VERB_CUT || verb == VERB_CLONE) && (action.args[1] < 0 || action.args[1] >= SIM_MAX_DEVICES))
    return "there is no such device";
  script_add(script, action);
  return NULL;
}

static const char *parse_line(struct script *script, char *line) {
  line[strcspn(line, "#")] = 0;
  line += strspn(line, " \t\n");
  if (!*line) return NULL;
  if (sscanf(line, "seed %" SCNu64, &script->seed) == 1) return NULL;
  if (sscanf(line, "devices %u", &script->devices) == 1)
    return script->devices < 1 || script->devices > SIM_MAX_DEVICES ? "from 1 to 32 devices, please" : NULL;
  return parse_action(script, line);
}

bool script_read(struct script *script, const char *path) {
  char line[256];
  const char *why = NULL;
  unsigned number = 0;
  *script = (struct script){.seed = 1, .devices = 2};
  FILE *in = fopen(path, "r");
  if (!in) {
    fprintf(stderr, "sim: cannot read %s\n", path);
    return false;
  }
  while (!why && fgets(line, sizeof line, in)) {
    number++;
    why = parse_line(script, line);
  }
  fclose(in);
  if (!why) return true;
  fprintf(stderr, "sim: %s:%u: %s\n", path, number, why);
  script_free(script);
  return false;
}

/* ---- A world by seed -------------------------------------------------------------------------------------------- */

struct maker {
  struct script *script;
  struct rng rng;
  uint64_t end;
  unsigned devices; /* that people use */
  unsigned all;     /* and the mailbox */
  unsigned clones;
};

static int64_t between(struct maker *m, uint64_t low, uint64_t high) {
  return (int64_t)(low + rng_below(&m->rng, (size_t)(high - low + 1)));
}

/* The next time of something that happens `a_day` times a day on average. */
static uint64_t later(struct maker *m, uint64_t at, double a_day) {
  double u = ((double)(rng_next(&m->rng) >> 11) + 1) / 9007199254740993.0;
  return at + 1 + (uint64_t)(-log(u) * (double)DAY / a_day);
}

static void add(struct maker *m, uint64_t at, enum verb verb, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e) {
  script_add(m->script, (struct action){.at = at, .verb = verb, .args = {a, b, c, d, e}});
}

/* Edits come in bursts, as people work: half of them within seconds of the one before. */
static void make_edits(struct maker *m, unsigned device) {
  for (uint64_t at = later(m, 0, 30 * 24); at < m->end; at = later(m, at, 30 * 24)) {
    uint64_t moment = at;
    for (bool more = true; more && moment < m->end; more = rng_chance(&m->rng, 1, 2)) {
      add(m, moment, VERB_EDIT, device, between(m, 1, 1u << 30), 0, 0, 0);
      moment += (uint64_t)between(m, 20, 4 * SECOND);
    }
  }
}

static void make_one(struct maker *m, uint64_t at, unsigned device, enum verb verb) {
  switch (verb) {
    case VERB_STOP:
      add(m, at, VERB_STOP, device, 0, 0, 0, 0);
      add(m, at + (uint64_t)between(m, 10 * SECOND, 4 * HOUR), VERB_START, device, 0, 0, 0, 0);
      break;
    case VERB_KILL: add(m, at, verb, device, between(m, 0, 10 * MINUTE), 0, 0, 0); break;
    case VERB_POWER: add(m, at, verb, device, between(m, 0, 12), between(m, 1 * SECOND, 1 * HOUR), 0, 0); break;
    case VERB_CUT: add(m, at, verb, device, between(m, 0, m->all - 1), between(m, SECOND, 2 * HOUR), 0, 0); break;
    case VERB_SPLIT: add(m, at, verb, between(m, 1, (1u << m->all) - 2), between(m, SECOND, 3 * HOUR), 0, 0, 0); break;
    case VERB_WEATHER:
      add(m, at, verb, between(m, 0, 200), between(m, 1, 400), between(m, 0, 400),
          rng_chance(&m->rng, 1, 3) ? between(m, 1, 50) : 0, between(m, MINUTE, 3 * HOUR));
      break;
    case VERB_CLOCK:
      add(m, at, verb, device,
          between(m, 0, 2) ? between(m, 0, 7200) - 3600 : between(m, 0, 20 * 365 * 86400) - 10 * 365 * 86400, 0, 0, 0);
      break;
    case VERB_FAULT:
      add(m, at, verb, device, between(m, 1, 3), between(m, 0, 20),
          rng_chance(&m->rng, 1, 4) ? 1000000 : between(m, 1, 3), between(m, SECOND, HOUR));
      break;
    case VERB_FULL: add(m, at, verb, device, between(m, 0, 20000), between(m, MINUTE, HOUR), 0, 0); break;
    case VERB_ROT: add(m, at, verb, device, between(m, 1, 8), between(m, 0, MINUTE), 0, 0); break;
    case VERB_BACKUP: add(m, at, verb, device, 0, 0, 0, 0); break;
    case VERB_RESTORE: add(m, at, verb, device, between(m, 0, MINUTE), 0, 0, 0); break;
    case VERB_CLONE:
      if (m->all + m->clones < SIM_MAX_DEVICES) add(m, at, verb, device, m->all + m->clones++, 0, 0, 0);
      break;
    case VERB_HOSTILE: add(m, at, verb, device, between(m, 1, 1u << 30), between(m, MINUTE, HOUR), 0, 0); break;
    default: break;
  }
}

static void make_all(struct maker *m, enum verb verb, double a_day_and_device) {
  if (a_day_and_device <= 0) return;
  for (unsigned device = 0; device < m->devices; device++)
    for (uint64_t at = later(m, MINUTE, a_day_and_device); at < m->end; at = later(m, at, a_day_and_device))
      make_one(m, at, device, verb);
}

static int by_time(const void *a, const void *b) {
  const struct action *x = a, *y = b;
  if (x->at != y->at) return x->at < y->at ? -1 : 1;
  if (x->verb != y->verb) return x->verb < y->verb ? -1 : 1;
  return memcmp(x->args, y->args, sizeof x->args);
}

/* How often it befalls a device, a day. */
static const struct {
  enum verb verb;
  double a_day;
  bool gentle;
} usual[] = {
    {VERB_STOP, 1, true},      {VERB_KILL, 0.5, true},     {VERB_POWER, 0.5, true},   {VERB_CUT, 1, true},
    {VERB_SPLIT, 0.4, true},   {VERB_WEATHER, 0.4, true},  {VERB_CLOCK, 0.3, true},   {VERB_FAULT, 0.3, true},
    {VERB_FULL, 0.1, true},    {VERB_ROT, 0.03, false},    {VERB_BACKUP, 0.2, false}, {VERB_RESTORE, 0.1, false},
    {VERB_CLONE, 0.03, false}, {VERB_HOSTILE, 0.1, false},
};

void script_make(struct script *script, uint64_t seed, const struct script_wishes *wishes) {
  struct maker m = {.script = script,
                    .rng = rng_of(seed),
                    .devices = wishes->devices,
                    .all = wishes->devices + wishes->mailbox,
                    .end = (uint64_t)(wishes->days * DAY)};
  *script = (struct script){.seed = seed, .devices = m.all};
  for (unsigned device = 0; device < m.devices; device++) make_edits(&m, device);
  for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
    if (m.all > 1 || usual[i].verb != VERB_SPLIT)
      if (!wishes->gentle || usual[i].gentle) make_all(&m, usual[i].verb, usual[i].a_day * wishes->trouble);
  for (uint64_t at = DAY / 2; at < m.end; at += DAY / 2) add(&m, at, VERB_CALM, 0, 0, 0, 0, 0);
  if (script->count) qsort(script->actions, script->count, sizeof *script->actions, by_time);
  /* What was closed near the end is opened after it. */
  uint64_t last = script->count ? script->actions[script->count - 1].at : 0;
  add(&m, last > m.end ? last : m.end, VERB_CALM, 0, 0, 0, 0, 0);
}
