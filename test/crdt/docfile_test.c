/* The compact form: what is saved and opened again is the same document, in what it shows, in its history and in what
 * it does next; and its history stays in the file until something needs it. */
#include "test/crdt/program.h"

#include "crdt/docfile.h"
#include "test/fault/seeded.h"

struct bytes {
  void *data;
  size_t len;
};

static struct bytes saved(const dunlin_doc *doc) {
  struct bytes b;
  OK(dunlin_doc_save(doc, &b.data, &b.len));
  return b;
}

static struct bytes whole_delta(const dunlin_doc *doc) {
  struct bytes b;
  OK(dunlin_doc_delta(doc, NULL, 0, &b.data, &b.len));
  return b;
}

static dunlin_doc *opened(struct bytes file, uint8_t actor) {
  dunlin_doc *doc = NULL;
  struct dunlin_actor a = {{actor}};
  OK(dunlin_doc_load(NULL, file.data, file.len, &a, &doc));
  return doc;
}

static void free_bytes(struct bytes b) {
  dunlin_free(NULL, b.data, b.len);
}

static void assert_same_bytes(struct bytes a, struct bytes b) {
  assert_int_equal(a.len, b.len);
  assert_memory_equal(a.data, b.data, a.len);
  free_bytes(a);
  free_bytes(b);
}

/* Whether the history is still in the file. */
static bool is_lazy(const dunlin_doc *doc) {
  return doc->file != NULL;
}

static dunlin_obj child(dunlin_doc *doc, const char *key) {
  struct dunlin_value v;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key(key), &v));
  return v.as.obj;
}

static void splice(dunlin_doc *doc, size_t at, size_t remove, const char *text) {
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, child(doc, "t"), at, remove, text, strlen(text)));
  OK(dunlin_commit(doc, 0, NULL));
}

/* A text with a past that is not a straight line. */
static dunlin_doc *written(void) {
  dunlin_doc *doc = test_doc(1), *other = test_doc(2);
  OK(dunlin_begin(doc));
  dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  OK(dunlin_commit(doc, 1000, NULL));
  splice(doc, 0, 0, "the quick brown fox");
  test_send(doc, other);
  splice(doc, 4, 6, "");
  splice(doc, 4, 0, "sl\xc3\xb6w ");
  splice(other, 19, 0, " jumps");
  splice(other, 10, 5, "red");
  test_sync(doc, other);
  splice(doc, 0, 1, "T");
  dunlin_doc_free(other);
  return doc;
}

/* ---- Round trips -------------------------------------------------------------------------------------------- */

static void check_round_trip(dunlin_doc *doc) {
  struct bytes file = saved(doc);
  dunlin_doc *again = opened(file, 77);
  assert_same_bytes(saved(again), saved(doc));
  assert_int_equal(dunlin_doc_changes(again), dunlin_doc_changes(doc));
  assert_same_bytes(whole_delta(again), whole_delta(doc));
  assert_same_doc(again, doc);
  assert_same_bytes(saved(again), saved(doc)); /* written anew this time */
  OK(doc_check(again, true));
  dunlin_doc_free(again);
  free_bytes(file);
}

static void an_empty_document_comes_back(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  check_round_trip(doc);
  struct bytes file = saved(doc);
  dunlin_doc *again = opened(file, 2);
  OK(dunlin_begin(again));
  OK(dunlin_map_put(again, DUNLIN_ROOT, dunlin_key("k"), int_value(1)));
  OK(dunlin_commit(again, 0, NULL));
  check_round_trip(again);
  free_bytes(file);
  dunlin_doc_free(again);
  dunlin_doc_free(doc);
}

static void a_text_comes_back(void **state) {
  (void)state;
  dunlin_doc *doc = written();
  check_round_trip(doc);
  dunlin_doc_free(doc);
}

/* The example of docs/format.md, "Document". */
static void the_format_is_the_documented_one(void **state) {
  (void)state;
  static const char documented[] =
      "64756e6c696e20646f6301c42011111111111111111111111111111111111111111111111111111111111111110404cc94cc"
      "943a3a010168656c6c01010174c420aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb020102"
      "010307050300020101000001010000000100016f7b7883964158569335886f4290b6a34ed0ba0fe93cc89235fcd2e2ee8bcb"
      "0f488a305427fc15e27d8477720aca389378cddcde61c6fec6882ef764ec84dcccc4009400120200c4000101060404000101"
      "000106000801029200019202019200029100910190920102920501910291ce004c4b40920001920106910190912d91249101"
      "9300000193000106930401010000006f";
  struct dunlin_env env = *dunlin_env_default();
  struct dunlin_id id;
  struct dunlin_actor a, b;
  dunlin_doc *doc, *other;
  char hex[sizeof documented] = "";
  env.compress = NULL;
  memset(&id, 0x11, sizeof id);
  memset(&a, 0xaa, sizeof a);
  memset(&b, 0xbb, sizeof b);
  OK(dunlin_doc_new(&env, &id, &a, &doc));
  OK(dunlin_doc_new(&env, &id, &b, &other));
  OK(dunlin_begin(doc));
  dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  OK(dunlin_text_splice(doc, child(doc, "t"), 0, 0, "helo", 4));
  OK(dunlin_commit(doc, 0, NULL));
  test_send(doc, other);
  OK(dunlin_begin(other));
  OK(dunlin_text_splice(other, child(other, "t"), 3, 1, "", 0));
  OK(dunlin_commit(other, 5000000, NULL));
  splice(doc, 3, 0, "l");
  test_send(other, doc);
  struct bytes file = saved(doc);
  assert_int_equal(2 * file.len, sizeof documented - 1);
  for (size_t i = 0; i < file.len; i++) snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)file.data)[i]);
  assert_string_equal(hex, documented);
  free_bytes(file);
  check_round_trip(doc);
  dunlin_doc_free(other);
  dunlin_doc_free(doc);
}

/* Two devices with one actor: their operations are told apart by ids, which are not known before the text is. */
static void a_forked_actor_comes_back(void **state) {
  (void)state;
  dunlin_doc *base = written(), *both = test_doc(40), *forks[3];
  for (size_t i = 0; i < 3; i++) {
    forks[i] = test_doc(7);
    test_send(base, forks[i]);
    for (size_t k = 0; k <= i; k++) splice(forks[i], 3, k, i ? "fork \xc3\xb6" : "other");
    test_send(forks[i], both);
  }
  for (size_t i = 0; i < 3; i++) test_send(both, forks[i]);
  splice(both, 0, 4, "after");
  check_round_trip(both);
  check_round_trip(forks[0]);
  struct bytes file = saved(forks[1]);
  dunlin_doc *again = opened(file, 41);
  splice(again, 1, 1, "x");
  test_send(both, again);
  test_send(again, both);
  assert_same_doc(again, both);
  check_round_trip(again);
  free_bytes(file);
  dunlin_doc_free(again);
  for (size_t i = 0; i < 3; i++) dunlin_doc_free(forks[i]);
  dunlin_doc_free(both);
  dunlin_doc_free(base);
}

/* Both documents do the same from here on. */
static void check_goes_on(dunlin_doc *doc, dunlin_doc *other, uint64_t seed) {
  struct bytes file = saved(doc);
  dunlin_doc *again = opened(file, 9), *plain = test_doc(9);
  free_bytes(file);
  test_send(doc, plain);
  struct rng a = rng_of(seed), b = rng_of(seed);
  for (int i = 0; i < 8; i++) {
    program_edit(again, &a);
    program_edit(plain, &b);
    if (i == 3) test_send(other, again);
    if (i == 3) test_send(other, plain);
  }
  assert_int_equal(dunlin_doc_changes(again), dunlin_doc_changes(plain));
  OK(doc_check(again, true));
  assert_same_doc(again, plain);
  assert_same_bytes(whole_delta(again), whole_delta(plain));
  assert_same_bytes(saved(again), saved(plain));
  check_round_trip(again);
  dunlin_doc_free(again);
  dunlin_doc_free(plain);
}

static void random_documents_come_back(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(300);
  for (uint64_t seed = first; seed < first + count; seed++) {
    char again[64];
    snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
    setenv("DUNLIN_RUNNING", again, 1);
    struct rng rng = rng_of(seed);
    dunlin_doc *docs[2] = {test_doc(1), test_doc(2)};
    for (size_t steps = 1 + rng_below(&rng, 40); steps; steps--) {
      size_t who = rng_below(&rng, 2);
      if (rng_below(&rng, 6)) program_edit(docs[who], &rng);
      else test_send(docs[!who], docs[who]);
    }
    check_round_trip(docs[0]);
    OK(dunlin_doc_verify(docs[0]));
    check_goes_on(docs[0], docs[1], seed);
    dunlin_doc_free(docs[0]);
    dunlin_doc_free(docs[1]);
  }
}

/* ---- Laziness ----------------------------------------------------------------------------------------------- */

/* What `from` has made on top of the saved version goes to `to`.  An id that neither the file's heads nor what came
 * later has may be one of the file's changes: asking with such a one needs the history. */
static struct dunlin_applied send_new(dunlin_doc *from, dunlin_doc *to, const struct dunlin_id *since) {
  struct bytes delta;
  struct dunlin_applied applied;
  OK(dunlin_doc_delta(from, since, 1, &delta.data, &delta.len));
  OK(dunlin_doc_apply(to, delta.data, delta.len, &applied));
  free_bytes(delta);
  return applied;
}

/* Reading, writing, and taking in what others made on the same version or on what came after it. */
static void work_on_the_saved_version_decodes_nothing(void **state) {
  (void)state;
  dunlin_doc *doc = written();
  struct bytes file = saved(doc);
  dunlin_doc *again = opened(file, 9), *left = opened(file, 10), *right = opened(file, 11);
  char text[64];
  size_t heads;
  text[dunlin_text_read(doc, child(doc, "t"), text, sizeof text - 1)] = 0;
  assert_text(again, child(again, "t"), text);
  splice(again, 3, 2, "mine");
  splice(left, 3, 1, "left");
  splice(left, 9, 0, "more");
  splice(right, 0, 5, "right");
  struct dunlin_id since = dunlin_doc_heads(doc, &heads)[0];
  assert_int_equal(send_new(left, again, &since).applied, 2);
  assert_int_equal(send_new(right, again, &since).applied, 1);
  assert_int_equal(send_new(left, again, &since).duplicates, 2);
  splice(again, 0, 0, "both");
  assert_true(is_lazy(again) && is_lazy(left) && is_lazy(right));
  send_new(again, left, &since);
  send_new(again, right, &since);
  assert_true(is_lazy(again) && is_lazy(left) && is_lazy(right));
  assert_non_null(dunlin_doc_heads(again, &heads));
  assert_int_equal(heads, 1);
  assert_same_doc(again, left);
  assert_false(is_lazy(again) || is_lazy(left));
  assert_same_doc(again, right);
  OK(doc_check(again, true));
  dunlin_doc *plain = test_doc(50);
  test_send(again, plain);
  assert_same_doc(again, plain);
  dunlin_doc_free(plain);
  dunlin_doc_free(right);
  dunlin_doc_free(left);
  dunlin_doc_free(again);
  free_bytes(file);
  dunlin_doc_free(doc);
}

/* ---- Damage ------------------------------------------------------------------------------------------------- */

/* All that a reader of bytes from anywhere may do with them.  Whether they are still a document's. */
static bool try_bytes(const struct dunlin_env *env, const uint8_t *data, size_t len) {
  struct dunlin_actor actor = {{9}};
  struct dunlin_id hash;
  dunlin_doc *doc = NULL;
  int error = dunlin_doc_load(env, data, len, &actor, &doc);
  if (error) {
    assert_true(error == DUNLIN_EFORMAT || error == DUNLIN_ELIMIT || error == DUNLIN_ENEWER);
    assert_null(doc);
    return false;
  }
  if (!dunlin_begin(doc)) {
    (void)dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("k"), int_value(1));
    (void)!dunlin_commit(doc, 0, NULL);
  }
  error = dunlin_doc_hash(doc, &hash);
  assert_true(!error || error == DUNLIN_ECORRUPT);
  struct bytes delta = {NULL, 0};
  if (!error) error = dunlin_doc_delta(doc, NULL, 0, &delta.data, &delta.len); /* now all ids are known */
  assert_true(!error || error == DUNLIN_ECORRUPT);
  if (!error) OK(doc_check(doc, true));
  free_bytes(delta);
  dunlin_doc_free(doc);
  return !error;
}

/* A document's bytes, compressed or not: without compression damage gets to the columns. */
static struct bytes some_file(struct seeded *memory, uint64_t seed, bool packed) {
  struct rng rng = rng_of(seed);
  dunlin_doc *docs[2] = {test_doc(1), test_doc(2)};
  for (int i = 0; i < 24; i++) {
    program_edit(docs[i & 1], &rng);
    if (i % 6 == 5) test_sync(docs[0], docs[1]);
  }
  dunlin_doc *text = written();
  test_sync(docs[0], docs[1]);
  seeded_init(memory, seed);
  if (!packed) memory->env.compress = NULL;
  dunlin_doc *from = seed % 2 ? text : docs[0], *copy = NULL;
  struct dunlin_id id = test_id(1);
  struct dunlin_actor actor = {{5}};
  struct bytes file;
  OK(dunlin_doc_new(&memory->env, &id, &actor, &copy));
  test_send(from, copy);
  file = saved(copy);
  dunlin_doc_free(copy);
  dunlin_doc_free(text);
  dunlin_doc_free(docs[0]);
  dunlin_doc_free(docs[1]);
  return file;
}

static void no_part_of_a_file_is_a_document(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed < 5; seed++) {
    struct seeded memory;
    struct bytes file = some_file(&memory, seed, seed > 2);
    for (size_t len = 0; len < file.len; len++) {
      uint8_t *exact = malloc(len ? len : 1); /* so that the sanitizer sees a byte too many */
      memcpy(exact, file.data, len);
      assert_false(try_bytes(NULL, exact, len));
      free(exact);
    }
    assert_true(try_bytes(NULL, file.data, file.len));
    dunlin_free(&memory.env, file.data, file.len);
    assert_int_equal(memory.live, 0);
  }
}

static void damaged_files_do_no_harm(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(40);
  size_t refused = 0, tried = 0;
  for (uint64_t seed = first; seed < first + count; seed++) {
    struct seeded memory;
    struct bytes file = some_file(&memory, seed, seed % 4 > 1);
    struct rng rng = rng_of(seed);
    uint8_t *damaged = malloc(file.len);
    for (size_t i = 0; i < 200; i++, tried++) {
      memcpy(damaged, file.data, file.len);
      for (size_t flips = 1 + rng_below(&rng, 3); flips; flips--) {
        size_t at = rng_below(&rng, file.len), bit = rng_below(&rng, 16);
        damaged[at] = (uint8_t)(bit < 8 ? damaged[at] ^ 1u << bit : rng_next(&rng));
      }
      refused += !try_bytes(NULL, damaged, file.len);
    }
    free(damaged);
    dunlin_free(&memory.env, file.data, file.len);
  }
  assert_true(refused > tried / 2);
}

/* Changes the first place where `what` stands. */
static void tamper(struct bytes file, const char *what, const char *with) {
  size_t len = strlen(what);
  uint8_t *at = file.data;
  while (memcmp(at, what, len)) at++;
  memcpy(at, with, len);
}

/* A document whose history proved damaged still shows what it did, and takes changes that need no history. */
static void goes_on_without_history(dunlin_doc *doc) {
  struct dunlin_value value;
  struct bytes delta = {NULL, 0};
  FAILS(dunlin_doc_delta(doc, NULL, 0, &delta.data, &delta.len), DUNLIN_ECORRUPT);
  assert_null(delta.data);
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("k"), &value));
  assert_int_equal(value.kind, DUNLIN_STRING);
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("n"), int_value(7)));
  OK(dunlin_commit(doc, 0, NULL));
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("n"), &value));
  assert_int_equal(value.as.integer, 7);
  FAILS(dunlin_doc_delta(doc, NULL, 0, &delta.data, &delta.len), DUNLIN_ECORRUPT);
}

/* What a document shows is told apart from its history as soon as that is decoded. */
static void a_state_that_is_not_the_history_s_is_found_out(void **state) {
  (void)state;
  static const char *const lies[][2] = {{"word", "Word"}, {"\x11\x11", "\x11\x12"}, {"the", "The"}};
  for (size_t i = 0; i < 3; i++) {
    struct seeded memory;
    struct dunlin_id id = test_id(1), hash;
    struct dunlin_actor actor = {{1}};
    dunlin_doc *doc, *again;
    dunlin_obj obj;
    seeded_init(&memory, 1);
    memory.env.compress = NULL;
    OK(dunlin_doc_new(&memory.env, &id, &actor, &doc));
    OK(dunlin_begin(doc));
    OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("k"), str_value("word")));
    obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("c"), DUNLIN_COUNTER);
    OK(dunlin_counter_add(doc, obj, 0x1111));
    obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
    OK(dunlin_text_splice(doc, obj, 0, 0, "the text", 8));
    OK(dunlin_commit(doc, 0, NULL));
    splice(doc, 8, 0, "."); /* a second change: the id of the first has to be found out */
    struct bytes file = saved(doc);
    actor.bytes[0] = 2;
    tamper(file, lies[i][0], lies[i][1]);
    OK(dunlin_doc_load(&memory.env, file.data, file.len, &actor, &again));
    FAILS(dunlin_doc_hash(again, &hash), DUNLIN_ECORRUPT);
    FAILS(dunlin_doc_hash(again, &hash), DUNLIN_ECORRUPT);
    goes_on_without_history(again);
    dunlin_free(&memory.env, file.data, file.len);
    dunlin_doc_free(again);
    dunlin_doc_free(doc);
    assert_int_equal(memory.live, 0);
  }
}

/* The same changes, taken in one by one. */
static dunlin_doc *made_again(const dunlin_doc *doc) {
  struct dunlin_id id = dunlin_doc_id(doc);
  struct bytes delta = whole_delta(doc);
  dunlin_doc *again;
  OK(dunlin_doc_new(NULL, &id, NULL, &again));
  OK(dunlin_doc_apply(again, delta.data, delta.len, NULL));
  assert_int_equal(dunlin_doc_changes(again), dunlin_doc_changes(doc));
  free_bytes(delta);
  return again;
}

/* Some lies are only found by making all of it again: a live write left out, another winner.  What passes that is what
 * its changes make. */
static void what_is_verified_is_what_its_changes_make(void **state) {
  (void)state;
  size_t verified = 0, late = 0;
  uint64_t first = seed_first(), count = seed_count(40);
  for (uint64_t seed = first; seed < first + count; seed++) {
    struct rng rng = rng_of(seed);
    struct seeded memory;
    dunlin_doc *docs[2];
    struct dunlin_id id = test_id(1), a, b;
    seeded_init(&memory, seed);
    memory.env.compress = NULL;
    for (uint8_t i = 0; i < 2; i++)
      OK(dunlin_doc_new(&memory.env, &id, &(struct dunlin_actor){{(uint8_t)(i + 1)}}, &docs[i]));
    for (size_t i = 0; i < 30; i++) program_edit(docs[i % 2], &rng);
    OK(dunlin_doc_merge(docs[0], docs[1], NULL));
    struct bytes file = saved(docs[0]);
    uint8_t *bytes = file.data;
    for (size_t i = 0; i < 200; i++) {
      size_t at = rng_below(&rng, file.len);
      uint8_t was = bytes[at];
      dunlin_doc *doc = NULL;
      bytes[at] = (uint8_t)(was + 1 + rng_below(&rng, 3));
      int error = dunlin_doc_load(NULL, bytes, file.len, NULL, &doc);
      if (!error) error = names_whole(doc); /* what is found when the history is decoded */
      bool is_late = !error;
      if (!error) error = dunlin_doc_verify(doc);
      late += is_late && error;
      assert_true(!error || error == DUNLIN_EFORMAT || error == DUNLIN_ECORRUPT || error == DUNLIN_ELIMIT ||
                  error == DUNLIN_ENEWER);
      if (!error) {
        dunlin_doc *again = made_again(doc);
        OK(dunlin_doc_hash(doc, &a));
        OK(dunlin_doc_hash(again, &b));
        if (id_compare(&a, &b)) fail_msg("TEST_SEED=%llu: byte %zu", (unsigned long long)seed, at);
        verified++;
        dunlin_doc_free(again);
      }
      dunlin_doc_free(doc);
      bytes[at] = was;
    }
    dunlin_free(&memory.env, file.data, file.len);
    for (size_t i = 0; i < 2; i++) dunlin_doc_free(docs[i]);
  }
  print_message("%zu verified, %zu not although their history could be decoded\n", verified, late);
  if (!getenv("TEST_SEED") && !getenv("TEST_FIRST")) assert_true(verified && late); /* not of any forty seeds */
}

static void nothing_is_verified_inside_of_a_transaction(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1);
  OK(dunlin_begin(doc));
  FAILS(dunlin_doc_verify(doc), DUNLIN_ESTATE);
  dunlin_abort(doc);
  OK(dunlin_doc_verify(doc));
  dunlin_doc_free(doc);
}

/* ---- Memory ------------------------------------------------------------------------------------------------- */

/* What three others do at once on the saved version. */
static void others(struct bytes file, struct bytes deltas[3]) {
  for (uint8_t i = 0; i < 3; i++) {
    dunlin_doc *doc = opened(file, (uint8_t)(20 + i));
    struct dunlin_id since[64];
    size_t heads;
    const struct dunlin_id *now = dunlin_doc_heads(doc, &heads);
    assert_true(heads <= 64);
    memcpy(since, now, heads * sizeof *now);
    OK(dunlin_begin(doc));
    dunlin_obj text;
    text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
    OK(dunlin_text_splice(doc, text, dunlin_text_size(doc, text) / 2, 0, "other", 5));
    OK(dunlin_commit(doc, 0, NULL));
    splice(doc, i, 2, "more");
    OK(dunlin_doc_delta(doc, since, heads, &deltas[i].data, &deltas[i].len));
    dunlin_doc_free(doc);
  }
}

/* Opens, edits, takes in what others did, decodes the history and saves again.  `*hash`: that of all of it. */
static int work(struct seeded *memory, struct bytes file, const struct bytes deltas[3], struct dunlin_id *hash) {
  struct dunlin_actor actor = {{9}};
  struct bytes again = {NULL, 0};
  char text[64];
  dunlin_doc *doc = NULL;
  int error = dunlin_doc_load(&memory->env, file.data, file.len, &actor, &doc);
  if (error) return error;
  error = dunlin_begin(doc);
  if (!error) {
    (void)dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("k"), int_value(1));
    error = dunlin_commit(doc, 7, NULL);
  }
  bool written = error > 0;
  for (int i = 0; error >= 0 && i < 2; i++) error = dunlin_doc_apply(doc, deltas[i].data, deltas[i].len, NULL);
  if (!error && dunlin_text_read(doc, child(doc, "t"), text, sizeof text) == SIZE_MAX) error = DUNLIN_ENOMEM;
  if (!error) error = dunlin_doc_apply(doc, deltas[2].data, deltas[2].len, NULL);
  if (!error) error = dunlin_doc_hash(doc, hash);
  if (!error) error = dunlin_doc_save(doc, &again.data, &again.len);
  if (error) { /* memory is back: nothing is lost */
    struct dunlin_id after;
    memory->fail_at = 0;
    memory->for_good = false;
    assert_int_equal(error, DUNLIN_ENOMEM);
    struct dunlin_value v;
    bool read_first = memory->allocations % 2; /* with the history still in the file, mostly */
    if (read_first && !dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("t"), &v))
      assert_true(dunlin_text_read(doc, v.as.obj, text, sizeof text) != SIZE_MAX);
    for (int i = 0; i < 3; i++) OK(dunlin_doc_apply(doc, deltas[i].data, deltas[i].len, NULL));
    OK(dunlin_doc_hash(doc, &after));
    if (written) assert_memory_equal(&after, hash, sizeof after);
    OK(dunlin_doc_save(doc, &again.data, &again.len));
    OK(doc_check(doc, true));
  }
  dunlin_free(&memory->env, again.data, again.len);
  dunlin_doc_free(doc);
  return error;
}

static void every_allocation_fails(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed < 3; seed++) {
    struct seeded memory, other;
    struct bytes file = some_file(&other, seed, true);
    seeded_init(&memory, 1);
    struct bytes deltas[3];
    struct dunlin_id hash;
    others(file, deltas);
    OK(work(&memory, file, deltas, &hash));
    uint64_t all = memory.allocations;
    assert_true(all > 50);
    for (int for_good = 0; for_good < 2; for_good++) {
      for (uint64_t n = 1; n <= all; n++) {
        seeded_init(&memory, 1);
        memory.fail_at = n;
        memory.for_good = for_good;
        FAILS(work(&memory, file, deltas, &hash), DUNLIN_ENOMEM);
        assert_int_equal(memory.live, 0);
      }
    }
    for (int i = 0; i < 3; i++) free_bytes(deltas[i]);
    dunlin_free(&other.env, file.data, file.len);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_document_comes_back),
      cmocka_unit_test(a_text_comes_back),
      cmocka_unit_test(the_format_is_the_documented_one),
      cmocka_unit_test(a_forked_actor_comes_back),
      cmocka_unit_test(random_documents_come_back),
      cmocka_unit_test(work_on_the_saved_version_decodes_nothing),
      cmocka_unit_test(no_part_of_a_file_is_a_document),
      cmocka_unit_test(damaged_files_do_no_harm),
      cmocka_unit_test(a_state_that_is_not_the_history_s_is_found_out),
      cmocka_unit_test(what_is_verified_is_what_its_changes_make),
      cmocka_unit_test(nothing_is_verified_inside_of_a_transaction),
      cmocka_unit_test(every_allocation_fails),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (failed && getenv("DUNLIN_RUNNING")) printf("to run the last seed alone: %s\n", getenv("DUNLIN_RUNNING"));
  return failed;
}
