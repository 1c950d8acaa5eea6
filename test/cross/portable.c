/* What must be the same on every machine: plays seeded programs on documents and prints hashes of all that comes out of
 * them.
 *
 *   portable [FIRST [COUNT [RANDOM]]]  programs FIRST..FIRST+COUNT-1; RANDOM: the seed of the environment's randomness,
 *                                      or "default" for hashes and randomness of the default environment
 *
 * Three replicas edit containers of all kinds, exchange deltas, load what was saved, merge forks, and make changes
 * void.  A line says the program, the step, what is printed, and its length and hash.  Builds for other machines print
 * the same lines (./dev soak), whatever RANDOM is. */
#include <dunlin/events.h>
#include <dunlin/plain.h>

#include "test/crdt/program.h"
#include "test/cross/environment.h"

enum { replicas = 3, steps = 60, most_void = 64, most_heads = 64 };

struct player {
  uint64_t seed;
  size_t step;
  struct rng rng;
  const struct dunlin_env *env;
  dunlin_doc *docs[replicas];
};

static void say(const struct player *p, const char *what, const void *data, size_t len) {
  struct dunlin_bytes part = {data, len};
  uint8_t digest[32];
  cross_hash(NULL, "portable", &part, 1, digest);
  printf("%llu %zu %s %zu ", (unsigned long long)p->seed, p->step, what, len);
  for (size_t i = 0; i < 16; i++) printf("%02x", digest[i]);
  putchar('\n');
}

/* ---- What comes out ------------------------------------------------------------------------------------------ */

static void say_hash(const struct player *p, const char *what, const dunlin_doc *doc) {
  struct dunlin_id hash;
  OK(dunlin_doc_hash(doc, &hash));
  say(p, what, &hash, sizeof hash);
}

static void say_delta(const struct player *p, const char *what, const dunlin_doc *doc, const struct dunlin_id *since,
                      size_t heads) {
  void *delta;
  size_t len;
  OK(dunlin_doc_delta(doc, since, heads, &delta, &len));
  say(p, what, delta, len);
  dunlin_free(p->env, delta, len);
}

static void say_all(const struct player *p, const dunlin_doc *doc) {
  void *bytes;
  size_t len, heads;
  const struct dunlin_id *ids = dunlin_doc_heads(doc, &heads);
  say(p, "heads", ids, heads * sizeof *ids);
  say_hash(p, "hash", doc);
  say_delta(p, "delta", doc, NULL, 0);
  OK(dunlin_read_plain(doc, DUNLIN_ROOT, &bytes, &len));
  say(p, "plain", bytes, len);
  dunlin_free(p->env, bytes, len);
  int error = dunlin_doc_save(doc, &bytes, &len);
  if (error == DUNLIN_ELIMIT) return; /* deletions outnumber the bytes too far */
  OK(error);
  say(p, "saved", bytes, len);
  dunlin_free(p->env, bytes, len);
}

static void say_events(const struct player *p, dunlin_doc *doc) {
  struct dunlin_event event;
  int more;
  while ((more = dunlin_next_event(doc, &event)) > 0) {
    char line[1024];
    int len =
        snprintf(line, sizeof line, "%d %u %zu %zu %zu %d %d %d %d %zu %.*s", (int)event.kind, event.origin, event.at,
                 event.removed, event.inserted, event.had, event.has, (int)event.before.kind, (int)event.after.kind,
                 event.conflicts, (int)event.path.len, event.path.len ? (const char *)event.path.data : "");
    assert_true(len > 0 && (size_t)len < sizeof line);
    say(p, "event", line, (size_t)len);
  }
  OK(more);
}

/* ---- Edits --------------------------------------------------------------------------------------------------- */

/* Where machines could differ: signs of characters and of zero, numbers at the ends of their ranges. */
static void edit_values(dunlin_doc *doc, struct rng *rng) {
  static const char *const keys[] = {"z", "\xc3\xa9", "\xf0\x9f\xa6\x86", "\x7f", "\xe2\x82\xac", "", "Z", "\xc2\x80"};
  static const uint64_t reals[] = {0,
                                   0x8000000000000000u,
                                   1,
                                   0x7ff0000000000000u,
                                   0xfff0000000000000u,
                                   0x7ff8000000000000u,
                                   0xfff8000000000001u,
                                   0x43e0000000000000u,
                                   0x3ff8000000000000u};
  static const int64_t ints[] = {INT64_MIN, INT64_MAX, -129, -128, -1, 0, 127, 128, UINT32_MAX, -(1ll << 31) - 1};
  struct dunlin_value value = dunlin_null();
  uint64_t bits = rng_below(rng, 2) ? reals[rng_below(rng, sizeof reals / sizeof *reals)] : rng_next(rng);
  uint8_t bytes[9];
  double real;
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)rng_below(rng, 256);
  switch (rng_below(rng, 5)) {
    case 0: memcpy(&real, &bits, sizeof real), value = dunlin_float(real); break;
    case 1: value = dunlin_int(ints[rng_below(rng, sizeof ints / sizeof *ints)]); break;
    case 2: value = dunlin_int((int64_t)rng_next(rng)); break;
    case 3: value = dunlin_time(ints[rng_below(rng, sizeof ints / sizeof *ints)]); break;
    default: value = dunlin_blob(bytes, rng_below(rng, sizeof bytes + 1));
  }
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(keys[rng_below(rng, sizeof keys / sizeof *keys)]), value));
  dunlin_obj set = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("members"), DUNLIN_SET);
  int error = rng_below(rng, 3) ? dunlin_set_add(doc, set, value) : dunlin_set_remove(doc, set, value);
  if (error) dunlin_abort(doc);
  else OK(dunlin_commit(doc, (int64_t)rng_below(rng, 3) - 1, NULL));
}

/* ---- What else happens to a document ------------------------------------------------------------------------- */

static void exchange(struct player *p, dunlin_doc *from, dunlin_doc *to) {
  size_t heads, len;
  void *delta;
  struct dunlin_applied applied;
  const struct dunlin_id *since = dunlin_doc_heads(to, &heads);
  OK(dunlin_doc_delta(from, since, heads, &delta, &len));
  say(p, "since", delta, len);
  OK(dunlin_doc_apply(to, delta, len, &applied));
  dunlin_free(p->env, delta, len);
  assert_true(!applied.pending && !applied.left_out);
}

/* What shows while some changes are void; then they are not. */
static void play_void(struct player *p, dunlin_doc *doc) {
  struct dunlin_id ids[most_void];
  size_t count = 0;
  for (size_t i = 0; i < dunlin_doc_changes(doc) && count < most_void; i++) {
    struct dunlin_change_info info;
    OK(dunlin_doc_change_at(doc, i, &info));
    if (!rng_below(&p->rng, 4)) ids[count++] = info.id;
  }
  OK(dunlin_doc_set_void(doc, ids, count));
  say_hash(p, "void", doc);
  OK(dunlin_doc_set_void(doc, NULL, 0));
  say_hash(p, "whole", doc);
}

/* Saved, loaded, and gone on with from there. */
static void play_load(struct player *p, dunlin_doc **doc) {
  struct dunlin_actor actor = dunlin_doc_actor(*doc);
  dunlin_doc *loaded;
  void *bytes;
  size_t len;
  int error = dunlin_doc_save(*doc, &bytes, &len);
  if (error == DUNLIN_ELIMIT) return;
  OK(error);
  OK(dunlin_doc_load(p->env, bytes, len, &actor, &loaded));
  dunlin_free(p->env, bytes, len);
  say_hash(p, "loaded", loaded);
  dunlin_doc_free(*doc);
  *doc = loaded;
}

/* Another one goes on from an earlier version, and comes back. */
static void play_fork(struct player *p, dunlin_doc *doc) {
  struct dunlin_actor actor = {{100, (uint8_t)p->step}};
  size_t count = dunlin_doc_changes(doc);
  struct dunlin_change_info info;
  dunlin_doc *fork;
  if (!count) return;
  OK(dunlin_doc_change_at(doc, rng_below(&p->rng, count), &info));
  OK(dunlin_doc_fork(doc, &info.id, 1, &actor, &fork));
  say_hash(p, "fork", fork);
  for (size_t i = 0; i < 3; i++) program_edit(fork, &p->rng);
  OK(dunlin_doc_merge(doc, fork, NULL));
  say_hash(p, "merged", doc);
  dunlin_doc_free(fork);
}

static void play_step(struct player *p) {
  dunlin_doc **doc = &p->docs[rng_below(&p->rng, replicas)], *other = p->docs[rng_below(&p->rng, replicas)];
  switch (rng_below(&p->rng, 16)) {
    case 0:
    case 1:
    case 2: exchange(p, other, *doc); break;
    case 3: edit_values(*doc, &p->rng); break;
    case 4: play_void(p, *doc); break;
    case 5: play_load(p, doc); break;
    case 6: play_fork(p, *doc); break;
    default: program_edit(*doc, &p->rng);
  }
  say_hash(p, "step", *doc);
}

static void play(uint64_t seed, const struct dunlin_env *env) {
  struct player p = {.seed = seed, .rng = rng_of(seed), .env = env};
  struct dunlin_id id = test_id(1);
  for (size_t i = 0; i < replicas; i++) {
    struct dunlin_actor actor = {{(uint8_t)(1 + 127 * i)}}; /* some of them negative, where characters have a sign */
    OK(dunlin_doc_new(env, &id, &actor, &p.docs[i]));
  }
  for (p.step = 0; p.step < steps; p.step++) play_step(&p);
  dunlin_doc *last = p.docs[0];
  OK(dunlin_watch(last, DUNLIN_ROOT, dunlin_key(""), 1));
  for (size_t i = 1; i < replicas; i++) exchange(&p, p.docs[i], last);
  say_events(&p, last);
  say_all(&p, last);
  for (size_t i = 0; i < replicas; i++) dunlin_doc_free(p.docs[i]);
}

/* The default one but for compression, whose bytes depend on the version of zstd. */
static const struct dunlin_env *plain_default(void) {
  static struct dunlin_env env;
  env = *dunlin_env_default();
  env.compress = NULL;
  env.decompress = NULL;
  return &env;
}

int main(int argc, char **argv) {
  uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, count = argc > 2 ? strtoull(argv[2], NULL, 10) : 100;
  bool is_default = argc > 3 && !strcmp(argv[3], "default");
  if (argc > 3) cross_random(strtoull(argv[3], NULL, 10));
  for (uint64_t seed = first; seed < first + count; seed++) play(seed, is_default ? plain_default() : cross_env());
  return 0;
}
