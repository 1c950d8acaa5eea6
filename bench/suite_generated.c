/* Histories too long for the public traces, generated: a pair that types at the same time, many authors with branches
 * of their own, and one author alone. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/generate.h"
#include "bench/history.h"

/* Says how large it is: events are characters typed and deleted. */
static void describe(struct bench *b, const char *name, const struct trace *trace) {
  size_t events = 0, patches = trace->patch_count;
  for (size_t i = 0; i < patches; i++) events += trace->patches[i].remove;
  for (size_t i = 0; i < trace->text_len; i++) events += ((unsigned char)trace->text[i] & 0xc0u) != 0x80u;
  bench_note(b, "text %s: %zu events in %zu transactions by %zu authors", name, events, trace->txn_count,
             trace->agents);
}

static int run(struct bench *b, const char *name, struct trace *trace) {
  struct text t = {.b = b, .name = name, .trace = trace, .generated = true};
  if (!trace) return bench_wrong(b, name, "generating it", DUNLIN_ENOMEM);
  t.other_order = trace->concurrent;
  describe(b, name, trace);
  return text_cases(&t);
}

/* The recorded session of two people, again and again. */
static int two_typing(struct bench *b) {
  static const char name[] = "two-typing-long";
  char path[4096];
  struct trace *session = NULL;
  struct dunlin_why why = {""};
  if (!b->traces) {
    bench_note(b, "text %s skipped: no --traces DIR with friendsforever", name);
    return 0;
  }
  snprintf(path, sizeof path, "%s/friendsforever.json.gz", b->traces);
  int error = trace_read(path, &session, &why);
  if (error == DUNLIN_EIO) {
    bench_note(b, "text %s skipped: %s", name, why.text);
    return 0;
  }
  if (error) return bench_wrong(b, name, why.text, error);
  struct trace *trace = generate_repeated(session, b->quick ? 5 : 25);
  trace_free(session);
  return run(b, name, trace);
}

int suite_generated(struct bench *b) {
  size_t part = b->quick ? 5 : 1;
  b->suite = "text";
  int error = two_typing(b), failed;
  if ((failed = run(b, "many-authors", generate_authors(700000 / part, 300)))) error = failed;
  if ((failed = run(b, "sequential-2M", generate_sequential(2300000 / part)))) error = failed;
  return error;
}
