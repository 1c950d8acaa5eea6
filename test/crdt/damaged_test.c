/* What comes from others damaged: deltas, documents and plain values, changed at random, cut, joined or made up.
 *
 * A refused one leaves the document as it was; one that is accepted can be read in full.  And reading takes memory in
 * proportion: *scratch*, the most that is held while reading less what the document holds afterwards, is at most 64 KiB
 * and 4 times the length that the input declares; and no input under 1 KiB makes the library ask for more than 16 MiB
 * at once.  Of a refused file nothing stays, but it may be refused at its end: what had been made of it by then may be
 * as much as a document may hold, 10 times the length.
 *
 * Not within this is the history of texts and lists that many wrote at the same time, with nothing that all had seen in
 * between: the tracker holds a span for each row, many times as long (see `at_once`). */
#include <dirent.h>
#include <dunlin/plain.h>

#include "test/crdt/program.h"
#include "test/fault/seeded.h"

#include "crdt/doc.h"
#include "crdt/docfile.h"
#include "crdt/internal.h"
#include "test/support/docfile.h"

enum { input_max = 1 << 18 };
enum { DELTAS, DOCUMENTS, PLAIN, kinds_of_input, HISTORIES = kinds_of_input, tallies };

static const size_t small_input = 1024, request_max = 16u << 20, free_scratch = 64u << 10;
static const size_t scratch_times = 4, document_times = 10, at_once_times = 12;

/* What is found out about the inputs of one kind. */
struct tally {
  size_t tried, accepted, scratch,
      largest;  /* the most memory beyond what stayed, and asked for at once by a small input */
  double times; /* the most scratch beyond 64 KiB, in lengths */
};

static void print_tallies(const struct tally t[tallies]) {
  static const char *const names[] = {"deltas", "documents", "plain values", "histories of documents"};
  for (int i = 0; i < tallies; i++)
    print_message(
        "%s: %zu tried, %zu accepted; at most %zu bytes of scratch (64 KiB and %.2f times the length), and %zu at "
        "once for under 1 KiB\n",
        names[i], t[i].tried, t[i].accepted, t[i].scratch, t[i].times, t[i].largest);
}

/* Between the two a decoder runs. */
static size_t measure(struct seeded *memory) {
  memory->peak = memory->live;
  memory->largest = 0;
  return memory->live;
}
static void judge(struct tally *t, const struct seeded *memory, size_t before, size_t len, size_t raw, size_t most) {
  size_t stays = memory->live > before ? memory->live : before, scratch = memory->peak - stays;
  double times = scratch > free_scratch && raw ? (double)(scratch - free_scratch) / (double)raw : 0;
  if (scratch > t->scratch) t->scratch = scratch;
  if (times > t->times) t->times = times;
  if (len < small_input && memory->largest > t->largest) t->largest = memory->largest;
  if (scratch > most * raw + free_scratch) fail_msg("%zu bytes of scratch for %zu that declare %zu", scratch, len, raw);
  if (len < small_input && memory->largest > request_max) fail_msg("%zu bytes asked for %zu", memory->largest, len);
}

/* ---- Damage ------------------------------------------------------------------------------------------------------ */

struct input {
  uint8_t bytes[input_max];
  size_t len;
};

static void damage_once(struct input *in, struct rng *rng) {
  static const uint8_t borders[] = {0, 1, 0x7f, 0x80, 0x90, 0xc0, 0xc4, 0xcc, 0xcd, 0xce, 0xcf, 0xdc, 0xdd, 0xff};
  if (!in->len) return;
  size_t at = rng_below(rng, in->len), most = in->len - at < 16 ? in->len - at : 16, some = 1 + rng_below(rng, most);
  switch (rng_below(rng, 8)) {
    case 0:
    case 1: in->bytes[at] ^= (uint8_t)(1u << rng_below(rng, 8)); return;
    case 2: in->bytes[at] = borders[rng_below(rng, sizeof borders)]; return;
    case 3: in->bytes[at] = (uint8_t)(in->bytes[at] + rng_below(rng, 5) - 2); return;
    case 4: /* some are missing */
      memmove(in->bytes + at, in->bytes + at + some, in->len - at - some);
      in->len -= some;
      return;
    case 5: /* some come twice */
      if (in->len + some > input_max) return;
      memmove(in->bytes + at + some, in->bytes + at, in->len - at);
      in->len += some;
      return;
    case 6: memmove(in->bytes + at, in->bytes + rng_below(rng, in->len - some + 1), some / 2); return;
    default:
      if (rng_chance(rng, 1, 4)) in->len = at;
      else in->bytes[at] = (uint8_t)rng_next(rng);
  }
}

/* A copy of its own, so that the sanitizer sees a byte too many. */
static uint8_t *exact_copy(const struct input *in) {
  uint8_t *copy = malloc(in->len ? in->len : 1);
  assert_non_null(copy);
  memcpy(copy, in->bytes, in->len);
  return copy;
}

/* ---- Reading in full --------------------------------------------------------------------------------------------- */

/* All values, conflicts too, all changes; and that everything agrees. */
static void read_in_full(dunlin_doc *doc) {
  struct dunlin_id hash;
  struct dunlin_change_info info;
  void *plain;
  size_t len;
  OK(dunlin_doc_hash(doc, &hash));
  OK(dunlin_read_plain(doc, DUNLIN_ROOT, &plain, &len));
  dunlin_free(doc->env, plain, len);
  for (size_t i = 0; i < dunlin_doc_changes(doc); i++) OK(dunlin_doc_change_at(doc, i, &info));
  OK(doc_check(doc, true));
}

/* All that it gives out makes an equal one.  (Not so for a file: ids in it are taken as they are.) */
static void give_out(dunlin_doc *doc) {
  struct dunlin_actor actor = {{90}};
  struct dunlin_id hash, same, id = dunlin_doc_id(doc);
  dunlin_doc *again;
  void *delta;
  size_t len;
  OK(dunlin_doc_hash(doc, &hash));
  OK(dunlin_doc_delta(doc, NULL, 0, &delta, &len));
  OK(dunlin_doc_new(doc->env, &id, &actor, &again));
  OK(dunlin_doc_apply(again, delta, len, NULL));
  OK(dunlin_doc_hash(again, &same));
  assert_memory_equal(&same, &hash, sizeof hash);
  dunlin_free(doc->env, delta, len);
  dunlin_doc_free(again);
}

/* ---- The three readers ------------------------------------------------------------------------------------------- */

static void try_delta(struct tally *t, struct seeded *memory, dunlin_doc *doc, const struct input *in) {
  struct dunlin_id before, after;
  struct dunlin_applied applied;
  buf_free(&doc->intake); /* what deltas are read with stays for the next one */
  OK(dunlin_doc_hash(doc, &before));
  size_t changes = dunlin_doc_changes(doc), pending = dunlin_doc_pending(doc), live = measure(memory);
  uint8_t *bytes = exact_copy(in);
  int error = dunlin_doc_apply(doc, bytes, in->len, &applied);
  free(bytes);
  judge(t, memory, live, in->len, in->len, 4);
  t->tried++;
  if (error) buf_free(&doc->intake);
  if (error) assert_int_equal(memory->live, live);
  if (error || !applied.applied) {
    OK(dunlin_doc_hash(doc, &after));
    assert_memory_equal(&before, &after, sizeof after);
    assert_int_equal(dunlin_doc_changes(doc), changes);
    if (error) assert_int_equal(dunlin_doc_pending(doc), pending);
  } else {
    t->accepted++;
    read_in_full(doc);
    give_out(doc);
  }
  OK(doc_check(doc, false));
}

static void try_document(struct tally *t, struct seeded *memory, const struct input *in, size_t history_times) {
  struct dunlin_actor actor = {{91}};
  dunlin_doc *doc = NULL;
  size_t raw = docfile_declared(in->bytes, in->len), live = measure(memory);
  if (raw < in->len) raw = in->len;
  uint8_t *bytes = exact_copy(in);
  int error = dunlin_doc_load(&memory->env, bytes, in->len, &actor, &doc);
  free(bytes);
  judge(t, memory, live, in->len, raw, error ? scratch_times + document_times : scratch_times);
  t->tried++;
  assert_true(!error || error == DUNLIN_EFORMAT || error == DUNLIN_ELIMIT || error == DUNLIN_ENEWER);
  if (error) assert_int_equal(memory->live, live);
  if (error) return;
  live = measure(memory);
  error = names_whole(doc); /* which reads the history */
  judge(&t[HISTORIES - DOCUMENTS], memory, live, in->len, raw, history_times);
  assert_true(!error || error == DUNLIN_ECORRUPT);
  if (!error) read_in_full(doc);
  t->accepted += !error;
  dunlin_doc_free(doc);
}

static void try_plain(struct tally *t, struct seeded *memory, dunlin_doc *doc, const struct input *in) {
  struct dunlin_id before, after;
  OK(dunlin_doc_hash(doc, &before));
  uint8_t *bytes = exact_copy(in);
  OK(dunlin_begin(doc));
  size_t live = measure(memory);
  int error = dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("a"), (struct dunlin_bytes){bytes, in->len});
  judge(t, memory, live, in->len, in->len, 4);
  free(bytes);
  t->tried++;
  if (error) {
    dunlin_abort(doc);
    OK(dunlin_doc_hash(doc, &after));
    assert_memory_equal(&before, &after, sizeof after);
  } else {
    OK(dunlin_commit(doc, 0, NULL));
    t->accepted++;
    if (t->accepted % 8 == 0) read_in_full(doc);
  }
}

/* ---- Random inputs ----------------------------------------------------------------------------------------------- */

/* A document with a history by two, and a delta of what came behind its first part, the whole of it in compact form,
 * and what it shows. */
struct sample {
  struct seeded memory;
  struct dunlin_id base_heads[2];
  void *base, *delta, *file, *plain;
  size_t base_len, delta_len, file_len, plain_len;
};

static void sync_both(dunlin_doc *a, dunlin_doc *b) {
  OK(dunlin_doc_merge(a, b, NULL));
  OK(dunlin_doc_merge(b, a, NULL));
}

static void make_sample(struct sample *s, uint64_t seed) {
  struct rng rng = rng_of(seed);
  dunlin_doc *docs[2];
  struct dunlin_id id = test_id(1);
  seeded_init(&s->memory, seed);
  if (seed % 2) s->memory.env.compress = NULL; /* so that damage gets to the columns */
  for (uint8_t i = 0; i < 2; i++)
    OK(dunlin_doc_new(&s->memory.env, &id, &(struct dunlin_actor){{(uint8_t)(i + 1)}}, &docs[i]));
  size_t half = 4 + rng_below(&rng, 16);
  for (size_t i = 0; i < 2 * half; i++) {
    size_t heads;
    program_edit(docs[i & 1], &rng);
    if (i % 5 == 4) sync_both(docs[0], docs[1]);
    if (i != half) continue;
    sync_both(docs[0], docs[1]);
    const struct dunlin_id *now = dunlin_doc_heads(docs[0], &heads);
    memset(s->base_heads, 0, sizeof s->base_heads);
    for (size_t k = 0; k < 2; k++) s->base_heads[k] = now[heads > k ? k : 0];
    OK(dunlin_doc_delta(docs[0], NULL, 0, &s->base, &s->base_len));
  }
  sync_both(docs[0], docs[1]);
  OK(dunlin_doc_delta(docs[0], s->base_heads, 2, &s->delta, &s->delta_len));
  OK(dunlin_doc_save(docs[0], &s->file, &s->file_len));
  OK(dunlin_read_plain(docs[0], DUNLIN_ROOT, &s->plain, &s->plain_len));
  dunlin_doc_free(docs[0]);
  dunlin_doc_free(docs[1]);
}

static void free_sample(struct sample *s) {
  dunlin_free(&s->memory.env, s->base, s->base_len);
  dunlin_free(&s->memory.env, s->delta, s->delta_len);
  dunlin_free(&s->memory.env, s->file, s->file_len);
  dunlin_free(&s->memory.env, s->plain, s->plain_len);
  assert_int_equal(s->memory.live, 0);
}

static dunlin_doc *base_of(struct sample *s) {
  dunlin_doc *doc;
  struct dunlin_id id = test_id(1);
  OK(dunlin_doc_new(&s->memory.env, &id, &(struct dunlin_actor){{92}}, &doc));
  OK(dunlin_doc_apply(doc, s->base, s->base_len, NULL));
  return doc;
}

static void fill(struct input *in, const void *bytes, size_t len, struct rng *rng) {
  in->len = len < input_max ? len : input_max;
  memcpy(in->bytes, bytes, in->len);
  for (size_t times = 1 + rng_below(rng, 3); times; times--) damage_once(in, rng);
}

static void damaged_inputs_do_no_harm(void **state) {
  (void)state;
  enum { each = 40 };
  struct tally t[tallies] = {{0}};
  struct input *in = malloc(sizeof *in);
  uint64_t first = seed_first(), count = seed_count(500);
  assert_non_null(in);
  for (uint64_t seed = first; seed < first + count; seed++) {
    char again[64];
    snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
    setenv("DUNLIN_RUNNING", again, 1);
    struct sample s;
    struct rng rng = rng_of(seed + 1000000);
    make_sample(&s, seed);
    for (size_t i = 0; i < each; i++) {
      dunlin_doc *doc = base_of(&s);
      fill(in, s.delta, s.delta_len, &rng);
      try_delta(&t[DELTAS], &s.memory, doc, in);
      fill(in, s.plain, s.plain_len, &rng);
      try_plain(&t[PLAIN], &s.memory, doc, in);
      dunlin_doc_free(doc);
      fill(in, s.file, s.file_len, &rng);
      try_document(&t[DOCUMENTS], &s.memory, in, scratch_times);
    }
    free_sample(&s);
  }
  print_tallies(t);
  for (int i = 0; i < kinds_of_input; i++) assert_true(t[i].accepted && t[i].accepted < t[i].tried);
  free(in);
}

/* ---- What others found, and what is made to cost much ------------------------------------------------------------ */

static void try_all(struct tally t[tallies], const struct input *in) {
  struct seeded memory;
  struct dunlin_id id = test_id(1);
  for (int which = 0; which < kinds_of_input; which++) {
    dunlin_doc *doc;
    seeded_init(&memory, 1);
    OK(dunlin_doc_new(&memory.env, &id, &(struct dunlin_actor){{92}}, &doc));
    if (which == 0) try_delta(&t[DELTAS], &memory, doc, in);
    else if (which == 1) try_document(&t[DOCUMENTS], &memory, in, scratch_times);
    else try_plain(&t[PLAIN], &memory, doc, in);
    dunlin_doc_free(doc);
    assert_int_equal(memory.live, 0);
  }
}

static bool read_input(const char *directory, const char *name, struct input *in) {
  char path[1200];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE *file = name[0] == '.' ? NULL : fopen(path, "rb");
  if (!file) return false;
  in->len = fread(in->bytes, 1, input_max, file);
  fclose(file);
  return true;
}

/* Every input of every fuzz target, given to all three readers: as it is, and without the byte that some targets take
 * first. */
static void inputs_of_the_fuzzers_do_no_harm(void **state) {
  (void)state;
  static const char *const targets[] = {"delta", "document", "merge", "plain", "msgpack", "ingest", "program", "run"};
  const char *corpus = getenv("DUNLIN_CORPUS");
  struct tally t[tallies] = {{0}};
  struct input *in = malloc(sizeof *in);
  if (!corpus) skip();
  assert_non_null(in);
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
    char path[900];
    snprintf(path, sizeof path, "%s/%s", corpus, targets[i]);
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
      if (!read_input(path, entry->d_name, in)) continue;
      try_all(t, in);
      if (in->len) memmove(in->bytes, in->bytes + 1, --in->len);
      try_all(t, in);
    }
    closedir(directory);
  }
  print_tallies(t);
  assert_true(t[DELTAS].tried > 500 && t[DOCUMENTS].accepted && t[PLAIN].accepted);
  free(in);
}

enum shape { SAME_TEXT, SAME_LIST, SCATTERED_TEXT, SCATTERED_LIST, KEYS, LONG_KEYS, AT_ONCE };

static const struct {
  enum shape shape;
  const char *name;
  size_t count;
} shapes[] = {
    {SAME_TEXT, "one letter", 1000000},
    {SAME_TEXT, "one letter", 4000000},
    {SAME_LIST, "one element", 12000},
    {SAME_LIST, "one element", 30000},
    {SCATTERED_TEXT, "letters anywhere", 20000},
    {SCATTERED_LIST, "elements anywhere", 20000},
    {KEYS, "keys", 20000},
    {LONG_KEYS, "keys that begin alike", 1000},
    {AT_ONCE, "edits by two at once", 3000},
};

static void write_shape(dunlin_doc *doc, enum shape shape, size_t i, struct rng *rng) {
  dunlin_obj text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT),
             list = shape == SAME_LIST || shape == SCATTERED_LIST
                        ? dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("l"), DUNLIN_LIST)
                        : DUNLIN_NONE;
  char key[1000];
  memset(key, 'k', sizeof key);
  snprintf(key + (shape == LONG_KEYS ? 960 : 0), 24, "%zu", i);
  switch (shape) {
    case SAME_LIST: OK(dunlin_list_insert(doc, list, i, int_value(1))); return;
    case SCATTERED_LIST: OK(dunlin_list_insert(doc, list, rng_below(rng, i + 1), int_value((int64_t)i))); return;
    case KEYS:
    case LONG_KEYS: OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), int_value((int64_t)i))); return;
    default: OK(dunlin_text_splice(doc, text, rng_below(rng, dunlin_text_size(doc, text) + 1), 0, "x", 1));
  }
}

static void write_letters(dunlin_doc *doc, size_t count) {
  enum { chunk = 500000 };
  char *letters = malloc(chunk);
  assert_non_null(letters);
  memset(letters, 'a', chunk);
  for (size_t done = 0; done < count; done += chunk) {
    OK(dunlin_begin(doc));
    dunlin_obj text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
    OK(dunlin_text_splice(doc, text, done, 0, letters, chunk));
    OK(dunlin_commit(doc, 0, NULL));
  }
  free(letters);
}

static void save_shape(struct input *in, enum shape shape, size_t count) {
  enum { in_a_change = 500 };
  dunlin_doc *docs[2] = {test_doc(1), test_doc(2)};
  struct rng rng = rng_of(1);
  size_t len;
  void *file;
  if (shape == SAME_TEXT) write_letters(docs[0], count);
  for (size_t i = 0, each = shape == AT_ONCE ? 1 : in_a_change; i < count && shape != SAME_TEXT; i += each) {
    dunlin_doc *doc = docs[shape == AT_ONCE && i % 2];
    OK(dunlin_begin(doc));
    for (size_t k = i; k < i + each; k++) write_shape(doc, shape, k, &rng);
    OK(dunlin_commit(doc, 0, NULL));
  }
  sync_both(docs[0], docs[1]);
  OK(dunlin_doc_save(docs[0], &file, &len));
  assert_true(len <= input_max);
  memcpy(in->bytes, file, in->len = len);
  dunlin_free(NULL, file, len);
  dunlin_doc_free(docs[0]);
  dunlin_doc_free(docs[1]);
}

/* Large documents, many of which are few bytes: the same written again and again, and what is hard to put together. */
static void large_documents_cost_in_proportion(void **state) {
  (void)state;
  struct input *in = malloc(sizeof *in);
  assert_non_null(in);
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    struct tally t[tallies] = {{0}};
    struct seeded memory;
    size_t times = shapes[i].shape == AT_ONCE ? at_once_times : scratch_times;
    seeded_init(&memory, 1);
    save_shape(in, shapes[i].shape, shapes[i].count);
    try_document(&t[DOCUMENTS], &memory, in, times);
    assert_int_equal(t[DOCUMENTS].accepted, 1);
    print_message("%s, %zu: %zu bytes that declare %zu: opening %.2f times that and 64 KiB, the history %.2f\n",
                  shapes[i].name, shapes[i].count, in->len, docfile_declared(in->bytes, in->len), t[DOCUMENTS].times,
                  t[HISTORIES].times);
    for (size_t cut = 1; cut < 4; cut++) { /* and without its end */
      in->len -= in->len / 8;
      try_document(&t[DOCUMENTS], &memory, in, times);
    }
  }
  free(in);
}

/* Headers that declare more than there is. */
static void small_inputs_cost_little(void **state) {
  (void)state;
  static const char *const plain[] = {"\xdd\x3b\x9a\xca\x00", "\xdf\x3b\x9a\xca\x00", "\xdb\x3b\x9a\xca\x00",
                                      "\xc6\x3b\x9a\xca\x00", "\xdd\x00\x0f\xff\xff", "\xdf\x00\x0f\xff\xff"};
  struct tally t[tallies] = {{0}};
  struct input *in = malloc(sizeof *in);
  assert_non_null(in);
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
    for (in->len = 5; in->len < small_input; in->len += 250) {
      memset(in->bytes, i % 2 ? '\xa0' : '\x01', input_max);
      memcpy(in->bytes, plain[i], 5);
      try_all(t, in);
    }
  print_tallies(t);
  free(in);
}

/* A file under 1 KiB whose sections are said to be as long as can be: what is asked for first, before anything is
 * decoded. */
static void a_small_file_declares_little(void **state) {
  (void)state;
  struct input *in = malloc(sizeof *in);
  struct buf head;
  assert_non_null(in);
  for (int section = 0; section < DOCFILE_SECTIONS; section++)
    for (uint32_t raw = 1u << 16, refused = 0; raw <= 1u << 30; raw *= 2) {
      struct seeded memory;
      struct tally t[tallies] = {{0}};
      seeded_init(&memory, 1);
      buf_init(&head, &memory.env, SIZE_MAX);
      buf_append(&head, DOCFILE_MAGIC, sizeof DOCFILE_MAGIC - 1);
      mp_write_uint(&head, DOCFILE_VERSION);
      mp_write_bin(&head, &(struct dunlin_id){{1}}, sizeof(struct dunlin_id));
      for (int i = 0; i < DOCFILE_SECTIONS; i++) {
        mp_write_uint(&head, i == section ? raw : 0);
        mp_write_uint(&head, i == section ? 900 : 0);
      }
      memset(in->bytes, 0, small_input);
      memcpy(in->bytes, head.data, head.len);
      in->len = head.len + 900;
      buf_free(&head);
      assert_true(in->len < small_input);
      try_document(&t[DOCUMENTS], &memory, in, scratch_times);
      assert_int_equal(t[DOCUMENTS].accepted, 0);
      bool is_asked = memory.largest >= raw;
      assert_true(!is_asked || !refused); /* from some length on all are refused before anything is asked for */
      refused = !is_asked;
      if (raw > 16u << 20) assert_true(refused);
    }
  free(in);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(damaged_inputs_do_no_harm),    cmocka_unit_test(inputs_of_the_fuzzers_do_no_harm),
      cmocka_unit_test(small_inputs_cost_little),     cmocka_unit_test(large_documents_cost_in_proportion),
      cmocka_unit_test(a_small_file_declares_little),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (failed && getenv("DUNLIN_RUNNING")) printf("to run the last seed alone: %s\n", getenv("DUNLIN_RUNNING"));
  return failed;
}
