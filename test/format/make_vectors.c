/* Vectors for the second decoder (decode_test.py), in lines of a word and its value:
 *
 *   name     what the vector shows
 *   document its id
 *   delta    bytes that are applied, one line for each delta in a row
 *   result   of the last delta: "malformed", "newer", or "taken"
 *   counts   changes in the document, waiting, and refused by any of the deltas
 *   change   ids of the changes in the document, ascending
 *   hash     of the document's state
 *   saved    its compact form, nothing compressed
 *   packed   the same, compressed, where that makes it shorter
 *   cursor   the id of a text or list; a cursor; where it is, or "malformed", "absent" (version) or "beyond" (place)
 *
 * Without an argument it writes documents through the public interface and prints them.  TEST_SEED and TEST_RUNS say
 * which random programs.  With the argument "apply" it reads vectors from its input, takes `name`, `document`, `delta`
 * and `cursor` from there, and prints what became of them.  With the argument "load" it takes `name` and `file`, a
 * compact form that may be damaged, and prints `result`, and of what was opened `change` and `hash`. */
#include <dunlin/cursor.h>
#include <dunlin/history.h>

#include "crdt/internal.h"
#include "test/format/scenes.h"

static void print_hex(const char *word, const void *data, size_t len) {
  const unsigned char *bytes = data;
  printf("%s ", word);
  for (size_t i = 0; i < len; i++) printf("%02x", bytes[i]);
  putchar('\n');
}

static int compare_ids(const void *a, const void *b) {
  return memcmp(a, b, sizeof(struct dunlin_id));
}

static void print_changes(const dunlin_doc *doc) {
  size_t count = dunlin_doc_changes(doc);
  struct dunlin_id *ids = calloc(count + 1, sizeof *ids);
  assert_non_null(ids);
  for (size_t i = 0; i < count; i++) {
    struct dunlin_change_info info;
    OK(dunlin_doc_change_at(doc, i, &info));
    ids[i] = info.id;
  }
  qsort(ids, count, sizeof *ids, compare_ids);
  for (size_t i = 0; i < count; i++) print_hex("change", &ids[i], sizeof ids[i]);
  free(ids);
}

struct cursor_bytes {
  struct container_id container;
  uint8_t bytes[DUNLIN_CURSOR_BYTES + 1];
  size_t len;
};

/* What a vector has come to so far. */
struct outcome {
  dunlin_doc *doc;
  struct dunlin_id id;
  const char *result;
  size_t refused;
  struct cursor_bytes cursors[200];
  size_t cursor_count;
};

static const struct dunlin_actor reader = {"nobody"};

/* What the default does, but for compression: so that the bytes are the same with every version of zstd. */
static const struct dunlin_env *plain_env(void) {
  static struct dunlin_env env;
  env = *dunlin_env_default();
  env.compress = NULL;
  env.decompress = NULL;
  return &env;
}

static size_t print_saved(const char *word, const dunlin_doc *doc, const struct dunlin_env *env, size_t below) {
  void *file;
  size_t len;
  int error = dunlin_doc_save(doc, &file, &len);
  if (error == DUNLIN_ELIMIT) return 0; /* deletions outnumber the bytes too far */
  OK(error);
  if (len < below) print_hex(word, file, len);
  dunlin_free(env, file, len);
  return len;
}

static void begin_vector(struct outcome *o, const struct dunlin_id *id) {
  *o = (struct outcome){.id = *id, .result = "taken"};
  OK(dunlin_doc_new(plain_env(), id, &reader, &o->doc));
  print_hex("document", id, sizeof *id);
}

static void apply_delta(struct outcome *o, const void *delta, size_t len) {
  struct dunlin_applied applied = {0};
  print_hex("delta", delta, len);
  int error = dunlin_doc_apply(o->doc, delta, len, &applied);
  switch (error) {
    case 0: o->result = "taken"; break;
    case DUNLIN_EFORMAT:
    case DUNLIN_ELIMIT: o->result = "malformed"; break;
    case DUNLIN_ENEWER: o->result = "newer"; break;
    default: fail_msg("%s", dunlin_error_name(error));
  }
  o->refused += applied.refused;
}

/* What the document gives out is what it was given: from other bytes other ids would follow.  `saved`: the length of
 * its compact form. */
static void check_given_out(const struct outcome *o, size_t saved) {
  dunlin_doc *again;
  struct dunlin_applied applied;
  struct dunlin_change_info info;
  void *delta;
  size_t len;
  OK(dunlin_doc_new(NULL, &o->id, &reader, &again));
  OK(dunlin_doc_delta(o->doc, NULL, 0, &delta, &len));
  OK(dunlin_doc_apply(again, delta, len, &applied));
  assert_int_equal(applied.applied, dunlin_doc_changes(o->doc));
  for (size_t i = 0; i < dunlin_doc_changes(again); i++) {
    OK(dunlin_doc_change_at(again, i, &info));
    OK(dunlin_doc_find_change(o->doc, &info.id, &info));
  }
  print_saved("packed", again, NULL, saved);
  dunlin_free(NULL, delta, len);
  dunlin_doc_free(again);
}

static void print_bytes(const void *data, size_t len) {
  for (size_t i = 0; i < len; i++) printf("%02x", ((const uint8_t *)data)[i]);
}

static void print_cursor(const dunlin_doc *doc, const struct cursor_bytes *c) {
  struct dunlin_cursor cursor;
  size_t at;
  printf("cursor ");
  print_bytes(&c->container, sizeof c->container);
  putchar(' ');
  print_bytes(c->bytes, c->len);
  uint32_t container = container_find(doc, &c->container);
  assert_true(container != IDMAP_NONE);
  int error = dunlin_cursor_load(c->bytes, c->len, &cursor);
  if (!error) error = dunlin_cursor_at(doc, (dunlin_obj){.index = container}, &cursor, &at);
  if (!error) printf(" %zu\n", at);
  else if (error == DUNLIN_EFORMAT || error == DUNLIN_ENOENT || error == DUNLIN_ERANGE)
    puts(error == DUNLIN_EFORMAT ? " malformed" : error == DUNLIN_ENOENT ? " absent" : " beyond");
  else fail_msg("%s", dunlin_error_name(error));
}

static void end_vector(struct outcome *o) {
  struct dunlin_id hash;
  printf("result %s\n", o->result);
  printf("counts %zu %zu %zu\n", dunlin_doc_changes(o->doc), dunlin_doc_pending(o->doc), o->refused);
  print_changes(o->doc);
  OK(dunlin_doc_hash(o->doc, &hash));
  print_hex("hash", &hash, sizeof hash);
  check_given_out(o, print_saved("saved", o->doc, plain_env(), SIZE_MAX));
  for (size_t i = 0; i < o->cursor_count; i++) print_cursor(o->doc, &o->cursors[i]);
  dunlin_doc_free(o->doc);
  o->doc = NULL;
}

/* ---- From documents ----------------------------------------------------------------------------------------- */

static void keep_cursor(struct outcome *o, const dunlin_doc *then, uint32_t container, struct rng *rng) {
  struct dunlin_cursor cursor;
  dunlin_obj obj = {.index = container};
  size_t size =
      then->containers[container]->kind == DUNLIN_TEXT ? dunlin_text_size(then, obj) : dunlin_list_size(then, obj);
  struct cursor_bytes *c = &o->cursors[o->cursor_count];
  c->container = then->containers[container]->id;
  int error =
      dunlin_cursor_make(then, obj, rng_below(rng, size + 1), rng_below(rng, 2) ? DUNLIN_RIGHT : DUNLIN_LEFT, &cursor);
  if (error == DUNLIN_ELIMIT) return; /* too many heads */
  OK(error);
  c->len = dunlin_cursor_save(&cursor, c->bytes);
  if (rng_chance(rng, 1, 8)) { /* a side, a place or a version that is not there; one byte too many */
    size_t at = rng_below(rng, 4) ? rng_below(rng, rng_below(rng, 2) ? 6 : c->len) : c->len;
    if (at == c->len) c->len++;
    c->bytes[at] ^= (uint8_t)(1u << rng_below(rng, 8));
  }
  o->cursor_count++;
}

/* Cursors of some earlier versions, and of this one. */
static void keep_cursors(struct outcome *o, const dunlin_doc *doc, struct rng *rng) {
  enum { versions = 6 };
  o->cursor_count = 0;
  for (size_t i = 0; i < versions && dunlin_doc_changes(doc); i++) {
    struct dunlin_actor actor = {"cursors"};
    struct dunlin_change_info info;
    dunlin_doc *then;
    OK(dunlin_doc_change_at(doc, rng_below(rng, dunlin_doc_changes(doc)), &info));
    if (i) OK(dunlin_doc_fork(doc, &info.id, 1, &actor, &then));
    else OK(dunlin_doc_copy(doc, &actor, &then));
    for (uint32_t k = 0; k < then->container_count && o->cursor_count < 60; k++) {
      const struct container *c = then->containers[k];
      if ((c->kind == DUNLIN_TEXT || c->kind == DUNLIN_LIST) && !c->unknown.count) keep_cursor(o, then, k, rng);
    }
    dunlin_doc_free(then);
  }
}

/* The document as one delta, or as two of which the second comes first and waits when `half` heads are given. */
static void print_document(const char *name, const dunlin_doc *doc, const struct dunlin_id *half, size_t heads,
                           const void *first, size_t first_len) {
  struct outcome o;
  struct dunlin_id id = test_id(1), expected, got;
  void *delta = NULL;
  size_t len;
  printf("name %s\n", name);
  begin_vector(&o, &id);
  OK(dunlin_doc_delta(doc, half, heads, &delta, &len));
  apply_delta(&o, delta, len);
  if (first) apply_delta(&o, first, first_len);
  dunlin_free(NULL, delta, len);
  OK(dunlin_doc_hash(doc, &expected));
  OK(dunlin_doc_hash(o.doc, &got));
  assert_memory_equal(&got, &expected, sizeof got);
  struct rng rng = rng_of(dunlin_doc_changes(doc));
  keep_cursors(&o, doc, &rng);
  end_vector(&o);
}

static void print_scenes(void) {
  for (size_t i = 0; i < scene_count; i++) {
    dunlin_doc *doc = scenes[i].make();
    print_document(scenes[i].name, doc, NULL, 0, NULL, 0);
    dunlin_doc_free(doc);
  }
}

/* One write to a text or a list of few elements, so that writes of several actors meet. */
static void edit_together(dunlin_doc *doc, struct rng *rng) {
  struct dunlin_value value;
  bool is_text = rng_chance(rng, 1, 2);
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key(is_text ? "text" : "list"), &value));
  dunlin_obj obj = value.as.obj;
  size_t size = is_text ? dunlin_text_size(doc, obj) : dunlin_list_size(doc, obj), what = rng_below(rng, size ? 5 : 2);
  char letter[] = {(char)('a' + rng_below(rng, 26)), 0};
  OK(dunlin_begin(doc));
  for (size_t i = 0, at = rng_below(rng, size + 1), run = 1 + rng_below(rng, 3); i < run && what < 2; i++) {
    if (is_text) OK(dunlin_text_splice(doc, obj, at, 0, letter, 1));
    else OK(dunlin_list_insert(doc, obj, at, str_value(letter)));
    at += what;
  }
  size_t at = rng_below(rng, size);
  if (what >= 2 && is_text) OK(dunlin_text_splice(doc, obj, at, 1, letter, what == 2));
  else if (what == 2) OK(dunlin_list_delete(doc, obj, at, 1));
  else if (what > 2) OK(dunlin_list_move(doc, obj, at, rng_below(rng, size)));
  OK(dunlin_commit(doc, 0, NULL));
}

/* Three replicas that edit and exchange, taken down in the middle and at the end. */
static void print_program(uint64_t seed, bool is_together) {
  enum { replicas = 3, steps = 40, most_heads = 64 };
  struct rng rng = rng_of(seed);
  dunlin_doc *docs[replicas];
  struct dunlin_id half[most_heads];
  void *first = NULL;
  size_t first_len = 0, heads = 0;
  for (size_t i = 0; i < replicas; i++) docs[i] = test_doc((uint8_t)(1 + i));
  OK(dunlin_begin(docs[0]));
  dunlin_map_child(docs[0], DUNLIN_ROOT, dunlin_key("text"), DUNLIN_TEXT);
  dunlin_map_child(docs[0], DUNLIN_ROOT, dunlin_key("list"), DUNLIN_LIST);
  OK(dunlin_commit(docs[0], 0, NULL));
  for (size_t i = 1; i < replicas; i++) test_send(docs[0], docs[i]);
  for (size_t step = 0; step < steps; step++) {
    dunlin_doc *doc = docs[rng_below(&rng, replicas)];
    if (rng_chance(&rng, 1, 4)) test_send(docs[rng_below(&rng, replicas)], doc);
    else if (is_together) edit_together(doc, &rng);
    else program_edit(doc, &rng);
    if (step == steps / 2) {
      const struct dunlin_id *now = dunlin_doc_heads(docs[0], &heads);
      assert_true(heads <= most_heads);
      if (heads) memcpy(half, now, heads * sizeof half[0]);
      OK(dunlin_doc_delta(docs[0], NULL, 0, &first, &first_len));
    }
  }
  test_send(docs[1], docs[0]);
  test_send(docs[2], docs[0]);
  char name[64];
  snprintf(name, sizeof name, is_together ? "random editing of one text and one list %llu" : "random program %llu",
           (unsigned long long)seed);
  print_document(name, docs[0], half, heads, first, first_len);
  dunlin_free(NULL, first, first_len);
  for (size_t i = 0; i < replicas; i++) dunlin_doc_free(docs[i]);
}

/* ---- From vectors ------------------------------------------------------------------------------------------- */

static unsigned digit(char c) {
  static const char digits[] = "0123456789abcdef";
  const char *at = c ? strchr(digits, c) : NULL;
  if (!at) fail_msg("not a hexadecimal digit: %c", c);
  return (unsigned)(at - digits);
}

static size_t from_hex(const char *hex, unsigned char *out) {
  size_t len = 0;
  for (; hex[2 * len]; len++) out[len] = (unsigned char)(digit(hex[2 * len]) << 4 | digit(hex[2 * len + 1]));
  return len;
}

static void read_cursor(struct outcome *o, char *line) {
  struct cursor_bytes *c = &o->cursors[o->cursor_count++];
  char *bytes = strchr(line, ' ');
  assert_true(bytes && o->cursor_count <= sizeof o->cursors / sizeof *o->cursors);
  *bytes++ = 0;
  bytes[strcspn(bytes, " ")] = 0;
  assert_true(strlen(line) == 2 * sizeof c->container && strlen(bytes) <= 2 * sizeof c->bytes);
  from_hex(line, c->container.bytes);
  c->len = from_hex(bytes, c->bytes);
}

static void apply_vectors(FILE *in) {
  struct outcome o = {0};
  char *line = NULL;
  size_t cap = 0;
  while (getline(&line, &cap, in) > 0) {
    line[strcspn(line, "\n")] = 0;
    char *value = line + strcspn(line, " ");
    if (*value) *value++ = 0;
    size_t size = strlen(value) / 2; /* exactly, so that a sanitizer sees what reads past it */
    unsigned char *bytes = malloc(size ? size : 1);
    assert_non_null(bytes);
    if (!strcmp(line, "name")) {
      if (o.doc) end_vector(&o);
      printf("name %s\n", value);
    } else if (!strcmp(line, "document")) {
      struct dunlin_id id = {{0}};
      assert_int_equal(from_hex(value, bytes), sizeof id);
      memcpy(&id, bytes, sizeof id);
      begin_vector(&o, &id);
    } else if (!strcmp(line, "delta")) {
      apply_delta(&o, bytes, from_hex(value, bytes));
    } else if (!strcmp(line, "cursor")) {
      read_cursor(&o, value);
    }
    free(bytes);
  }
  if (o.doc) end_vector(&o);
  free(line);
}

static void load_file(const void *data, size_t len) {
  dunlin_doc *doc = NULL;
  struct dunlin_id hash;
  void *delta = NULL;
  size_t delta_len;
  int error = dunlin_doc_load(NULL, data, len, &reader, &doc);
  if (!error) error = dunlin_doc_verify(doc);
  if (!error) error = dunlin_doc_delta(doc, NULL, 0, &delta, &delta_len);
  bool malformed = error == DUNLIN_EFORMAT || error == DUNLIN_ECORRUPT || error == DUNLIN_ELIMIT;
  if (error && !malformed && error != DUNLIN_ENEWER) fail_msg("%s", dunlin_error_name(error));
  printf("result %s\n", malformed ? "malformed" : error ? "newer" : "taken");
  if (!error) {
    print_changes(doc);
    OK(dunlin_doc_hash(doc, &hash));
    print_hex("hash", &hash, sizeof hash);
    dunlin_free(NULL, delta, delta_len);
  }
  dunlin_doc_free(doc);
}

static void load_files(FILE *in) {
  char *line = NULL;
  size_t cap = 0;
  while (getline(&line, &cap, in) > 0) {
    line[strcspn(line, "\n")] = 0;
    if (!strncmp(line, "name ", 5)) puts(line);
    if (strncmp(line, "file ", 5)) continue;
    size_t size = strlen(line + 5) / 2;
    unsigned char *bytes = malloc(size ? size : 1); /* exactly, for a sanitizer */
    assert_non_null(bytes);
    from_hex(line + 5, bytes);
    puts(line);
    load_file(bytes, size);
    free(bytes);
  }
  free(line);
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "apply")) {
    apply_vectors(stdin);
    return 0;
  }
  if (argc == 2 && !strcmp(argv[1], "load")) {
    load_files(stdin);
    return 0;
  }
  if (argc > 1) {
    fprintf(stderr, "usage: make_vectors [apply < vectors | load < files]\n");
    return 2;
  }
  print_scenes();
  uint64_t first = seed_first(), count = seed_count(20);
  for (uint64_t seed = first; seed < first + count; seed++) {
    print_program(seed, false);
    print_program(seed, true);
  }
  return 0;
}
