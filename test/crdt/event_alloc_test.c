/* Events when memory runs out, once or for good: a mirror that starts anew at each reset stays equal to the
 * document. */
#include "test/crdt/mirror.h"
#include "test/crdt/program.h"
#include "test/fault/seeded.h"

#include "crdt/doc.h"

static const char *const keys[] = {"a", "b", "c", "d"};

/* A write somewhere; whether it succeeds is left open. */
static void edit_somewhere(dunlin_doc *doc, struct rng *rng) {
  uint32_t containers = 0;
  while (dunlin_obj_kind(doc, (dunlin_obj){containers}) != DUNLIN_NULL) containers++;
  dunlin_obj obj = {(uint32_t)rng_below(rng, containers)};
  struct dunlin_bytes key = dunlin_key(keys[rng_below(rng, 4)]);
  enum dunlin_kind kind = (enum dunlin_kind)(DUNLIN_MAP + rng_below(rng, 9));
  struct dunlin_value value = rng_below(rng, 2) ? int_value((int64_t)rng_below(rng, 9)) : str_value("a string");
  size_t at, size;
  switch (dunlin_obj_kind(doc, obj)) {
    case DUNLIN_MAP:
      if (rng_below(rng, 2)) (void)dunlin_map_put(doc, obj, key, value);
      else if (rng_below(rng, 3)) dunlin_map_child(doc, obj, key, kind);
      else (void)dunlin_map_delete(doc, obj, key);
      break;
    case DUNLIN_LIST:
      size = dunlin_list_size(doc, obj);
      if (size == SIZE_MAX) break;
      at = rng_below(rng, size + 1);
      if (at == size || !rng_below(rng, 3)) (void)dunlin_list_insert(doc, obj, at, value);
      else if (rng_below(rng, 2)) (void)dunlin_list_set(doc, obj, at, value);
      else if (rng_below(rng, 2)) (void)dunlin_list_move(doc, obj, at, rng_below(rng, size));
      else if (rng_below(rng, 2)) dunlin_list_set_child(doc, obj, at, kind);
      else (void)dunlin_list_delete(doc, obj, at, 1);
      break;
    case DUNLIN_TEXT:
      size = dunlin_text_size(doc, obj);
      if (size == SIZE_MAX) break;
      at = rng_below(rng, size + 1);
      if (!rng_below(rng, 4)) (void)dunlin_text_mark(doc, obj, at, size, key, value, (unsigned)rng_below(rng, 4));
      else
        (void)dunlin_text_splice(doc, obj, at, at < size ? rng_below(rng, 2) : 0, "w\xc3\xb6r\xf0\x9f\xa6\x86",
                                 rng_below(rng, 3) * 4);
      break;
    case DUNLIN_COUNTER: (void)dunlin_counter_add(doc, obj, 1); break;
    case DUNLIN_SET:
      if (rng_below(rng, 2)) (void)dunlin_set_toggle(doc, obj, value);
      /* fall through */
    case DUNLIN_GROWING_SET: (void)dunlin_set_add(doc, obj, value); break;
    default: (void)dunlin_offer(doc, obj, int_value((int64_t)rng_below(rng, 100)));
  }
}

static void edit(dunlin_doc *doc, struct rng *rng) {
  if (dunlin_begin(doc)) return;
  for (size_t writes = 1 + rng_below(rng, 4); writes; writes--) edit_somewhere(doc, rng);
  if (!rng_below(rng, 10) || dunlin_commit(doc, 0, NULL) < 0) dunlin_abort(doc);
}

static void void_some(dunlin_doc *doc, struct rng *rng) {
  struct dunlin_id ids[4];
  size_t count = 0, changes = dunlin_doc_changes(doc);
  while (changes && count < 1 + rng_below(rng, 4)) {
    struct dunlin_change_info info;
    if (dunlin_doc_change_at(doc, rng_below(rng, changes), &info)) break;
    ids[count++] = info.id;
  }
  (void)!dunlin_doc_set_void(doc, ids, rng_below(rng, 3) ? count : 0);
}

static void send(dunlin_doc *from, dunlin_doc *to, struct seeded *memory, uint64_t fail_at) {
  void *delta = NULL;
  size_t len = 0, count;
  const struct dunlin_id *heads = dunlin_doc_heads(to, &count);
  OK(dunlin_doc_delta(from, heads, heads ? count : 0, &delta, &len));
  if (memory) memory->fail_at = fail_at;
  (void)!dunlin_doc_apply(to, delta, len, NULL);
  dunlin_free(NULL, delta, len);
}

/* The other way; the delta lies in that memory. */
static void give(dunlin_doc *from, dunlin_doc *to, const struct seeded *memory) {
  void *delta;
  size_t len, count;
  const struct dunlin_id *heads = dunlin_doc_heads(to, &count);
  OK(dunlin_doc_delta(from, heads, count, &delta, &len));
  OK(dunlin_doc_apply(to, delta, len, NULL));
  dunlin_free(&memory->env, delta, len);
}

/* Takes all events, of which one look fails; there is memory for the mirror itself. */
static void follow(struct mirror *mirror, dunlin_doc *doc, struct seeded *memory, uint64_t fail_at) {
  struct dunlin_event event;
  int result;
  do {
    memory->fail_at = fail_at;
    result = dunlin_next_event(doc, &event);
    memory->fail_at = 0;
    if (result == DUNLIN_ENOMEM) fail_at = 0;
    else OK(result);
    if (result > 0) mirror_apply(mirror, doc, &event);
  } while (result);
}

static void run(uint64_t seed) {
  enum { replicas = 3 };
  dunlin_doc *docs[replicas];
  struct rng rng = {seed};
  struct seeded memory;
  struct dunlin_id id = test_id(1);
  struct dunlin_actor actor = {{1}};
  seeded_init(&memory, seed);
  OK(dunlin_doc_new(&memory.env, &id, &actor, &docs[0]));
  for (uint8_t i = 1; i < replicas; i++) docs[i] = test_doc((uint8_t)(i + 1));
  OK(dunlin_doc_set_unit(docs[0], (enum dunlin_unit)(seed % 3)));
  OK(dunlin_watch(docs[0], DUNLIN_ROOT, dunlin_key(""), 7));
  struct mirror *mirror = mirror_read(docs[0]);
  for (int step = 0; step < 80; step++) {
    size_t who = rng_below(&rng, 6), other = 1 + rng_below(&rng, replicas - 1);
    uint64_t fails = rng_below(&rng, 4) ? 0 : memory.allocations + 1 + rng_below(&rng, rng_below(&rng, 2) ? 10 : 60);
    memory.for_good = rng_below(&rng, 2);
    switch (who) {
      case 0:
        memory.fail_at = fails;
        edit(docs[0], &rng);
        break;
      case 1:
      case 2: edit(docs[who], &rng); break;
      case 3: give(docs[0], docs[other], &memory); break;
      default: send(docs[other], docs[0], &memory, fails);
    }
    if (!rng_below(&rng, 15)) {
      memory.fail_at = fails;
      void_some(docs[0], &rng);
    }
    if (!rng_below(&rng, 3)) {
      follow(mirror, docs[0], &memory, fails);
      mirror_check(mirror, docs[0]);
    }
    memory.fail_at = 0;
  }
  follow(mirror, docs[0], &memory, 0);
  mirror_check(mirror, docs[0]);
  OK(doc_check(docs[0], true));
  mirror_free(mirror);
  for (size_t i = 0; i < replicas; i++) dunlin_doc_free(docs[i]);
  assert_int_equal(memory.live, 0);
}

static void a_mirror_follows_whatever_fails(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(2000);
  for (uint64_t seed = first; seed < first + count; seed++) {
    if (count > 1 && seed % 500 == 0) print_message("seed %llu\n", (unsigned long long)seed);
    run(seed);
  }
}

/* One letter fifty times over, somewhere in the text, as one change. */
static void type(dunlin_doc *doc, dunlin_obj text, size_t i) {
  char letters[50];
  memset(letters, 'a' + (int)i % 26, sizeof letters);
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, text, i * 37 % dunlin_text_size(doc, text), i % 3, letters, sizeof letters));
  OK(dunlin_commit(doc, 0, NULL));
}

/* All that others have typed is brought in by the look for events, of which allocation `fail_at` fails. */
static void look_without_memory(uint64_t fail_at, bool for_good) {
  struct seeded memory;
  struct dunlin_id id = test_id(1);
  struct dunlin_actor actor = {{1}};
  dunlin_doc *a, *b = test_doc(2);
  seeded_init(&memory, 1);
  OK(dunlin_doc_new(&memory.env, &id, &actor, &a));
  OK(dunlin_begin(a));
  dunlin_obj text = dunlin_map_child(a, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  OK(dunlin_text_splice(a, text, 0, 0, "start", 5));
  OK(dunlin_commit(a, 0, NULL));
  give(a, b, &memory);
  OK(dunlin_watch(a, DUNLIN_ROOT, dunlin_key(""), 1));
  struct mirror *mirror = mirror_read(a);
  type(a, text, 0);
  type(b, text, 0);
  test_send(b, a);
  follow(mirror, a, &memory, 0);
  for (size_t i = 1; i < 60; i++) type(b, text, i);
  test_send(b, a); /* waits */
  memory.for_good = for_good;
  follow(mirror, a, &memory, memory.allocations + fail_at);
  mirror_check(mirror, a);
  mirror_free(mirror);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
  assert_int_equal(memory.live, 0);
}

static void a_text_that_cannot_be_brought_in_is_told_whole(void **state) {
  (void)state;
  for (uint64_t fail_at = 1; fail_at < 60; fail_at++) {
    look_without_memory(fail_at, false);
    look_without_memory(fail_at, true);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_mirror_follows_whatever_fails),
                                     cmocka_unit_test(a_text_that_cannot_be_brought_in_is_told_whole)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
