/* The oracle against the library on random programs, and what void changes do in it. */
#include "test/crdt/program.h"

#include "test/oracle/support.h"
#include "test/support/changes.h"

/* ---- Replicas, each with an oracle that follows it --------------------------------------------------------------- */

enum { replicas = 3 };

struct replica {
  dunlin_doc *doc;
  struct oracle *oracle;
  struct dunlin_id fed[64]; /* the version that the oracle has; when there are more heads it gets some changes twice */
  size_t fed_count;
};

static void open_replicas(struct replica *r) {
  for (size_t i = 0; i < replicas; i++)
    r[i] = (struct replica){.doc = test_doc((uint8_t)(1 + i)), .oracle = test_oracle()};
}

static void close_replicas(struct replica *r) {
  for (size_t i = 0; i < replicas; i++) {
    dunlin_doc_free(r[i].doc);
    oracle_free(r[i].oracle);
  }
}

static void assert_agree(const struct oracle *oracle, const dunlin_doc *doc) {
  assert_int_equal(oracle_changes(oracle), dunlin_doc_changes(doc));
  assert_shows_like(oracle, doc);
}

/* Gives the oracle what its document has got since, in the document's order. */
static void follow(struct replica *r) {
  void *delta;
  size_t len, count;
  OK(dunlin_doc_delta(r->doc, r->fed, r->fed_count, &delta, &len));
  OK(oracle_apply(r->oracle, delta, len));
  dunlin_free(NULL, delta, len);
  const struct dunlin_id *heads = dunlin_doc_heads(r->doc, &count);
  r->fed_count = count < 64 ? count : 64;
  if (count) memcpy(r->fed, heads, r->fed_count * sizeof *heads);
}

/* Random edits and exchanges; who is `apart` writes and gets, and nobody gets from it. */
static void run_program(struct replica *r, struct rng *rng, size_t steps, size_t apart) {
  for (size_t i = 0; i < steps; i++) {
    size_t who = rng_below(rng, replicas), from = rng_below(rng, replicas);
    if (rng_below(rng, 4)) program_edit(r[who].doc, rng);
    else if (from != apart) test_send(r[from].doc, r[who].doc);
    follow(&r[who]);
    assert_agree(r[who].oracle, r[who].doc);
  }
}

static void exchange_all(struct replica *r) {
  for (size_t i = 1; i < replicas; i++) test_send(r[i].doc, r[0].doc);
  for (size_t i = 1; i < replicas; i++) test_send(r[0].doc, r[i].doc);
  for (size_t i = 0; i < replicas; i++) follow(&r[i]);
}

/* ---- Void changes ------------------------------------------------------------------------------------------------ */

enum { chosen_max = 512 };

/* Some of the document's changes. */
static size_t choose_changes(const dunlin_doc *doc, struct rng *rng, struct dunlin_id *out) {
  size_t count = 0, share = 1 + rng_below(rng, 4);
  struct dunlin_change_info info;
  for (size_t i = 0; i < dunlin_doc_changes(doc) && count < chosen_max; i++) {
    OK(dunlin_doc_change_at(doc, i, &info));
    if (rng_chance(rng, share, 8)) out[count++] = info.id;
  }
  return count;
}

/* Makes some changes of replicas that are equal void and back. */
static void check_void(struct replica *r, struct rng *rng) {
  struct dunlin_id chosen[chosen_max], whole, with_void;
  size_t count = choose_changes(r[0].doc, rng, chosen);
  oracle_hash(r[0].oracle, &whole);
  OK(oracle_set_void(r[0].oracle, chosen, count));
  oracle_hash(r[0].oracle, &with_void);
  /* In whatever order the changes came, and when the set was there before them. */
  for (size_t i = 1; i < replicas; i++) {
    struct oracle *early = test_oracle();
    OK(oracle_set_void(early, chosen, count));
    test_feed(early, r[i].doc);
    assert_oracle_hash(early, &with_void);
    oracle_free(early);
    OK(oracle_set_void(r[i].oracle, chosen, count));
    assert_oracle_hash(r[i].oracle, &with_void);
  }
  OK(oracle_set_void(r[0].oracle, NULL, 0));
  assert_oracle_hash(r[0].oracle, &whole);
}

/* ---- Random runs ------------------------------------------------------------------------------------------------- */

typedef void one_run(uint64_t seed);

static void run_all(one_run *one, uint64_t usual) {
  uint64_t first = seed_first(), count = seed_count(usual);
  for (uint64_t seed = first; seed < first + count; seed++) {
    char again[64];
    snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
    setenv("DUNLIN_RUNNING", again, 1);
    one(seed);
  }
}

static void compare_one(uint64_t seed) {
  struct rng rng = rng_of(seed);
  struct replica r[replicas];
  open_replicas(r);
  run_program(r, &rng, 40, replicas);
  exchange_all(r);
  for (size_t i = 0; i < replicas; i++) assert_agree(r[i].oracle, r[i].doc);
  assert_same_doc(r[0].doc, r[1].doc);
  close_replicas(r);
}

static void random_programs_hash_alike(void **state) {
  (void)state;
  run_all(compare_one, 2000);
}

/* ---- One text and one list, edited by all ------------------------------------------------------------------------ */

static dunlin_obj root_child(const dunlin_doc *doc, const char *key) {
  struct dunlin_value v;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key(key), &v));
  return v.as.obj;
}

static void edit_shared_text(dunlin_doc *doc, struct rng *rng) {
  static const char typed[] = "the quick brown fox jumps over the lazy dog, again and again";
  dunlin_obj text = root_child(doc, "t");
  size_t size = dunlin_text_size(doc, text), at = rng_below(rng, size + 1), room = size - at;
  /* Mostly at few places, so that insertions there tie. */
  if (rng_below(rng, 2)) at = size / 2, room = size - at;
  size_t remove = rng_below(rng, 3) ? 0 : rng_below(rng, room < 30 ? room + 1 : 30);
  OK(dunlin_text_splice(doc, text, at, remove, typed, 1 + rng_below(rng, rng_below(rng, 4) ? 5 : sizeof typed - 1)));
}

static void edit_shared_list(dunlin_doc *doc, struct rng *rng) {
  dunlin_obj list = root_child(doc, "l");
  size_t size = dunlin_list_size(doc, list), at = rng_below(rng, size);
  size_t near_end = size < 4 ? size : 4;
  switch (rng_below(rng, size ? 6 : 1)) {
    case 0: OK(dunlin_list_insert(doc, list, rng_below(rng, size + 1), int_value((int64_t)size))); break;
    case 1: OK(dunlin_list_delete(doc, list, at, 1)); break;
    case 2: OK(dunlin_list_set(doc, list, at, int_value(-1))); break;
    case 3: OK(dunlin_list_insert(doc, list, 0, int_value((int64_t)size))); break;
    default: OK(dunlin_list_move(doc, list, rng_below(rng, near_end), at));
  }
}

static void edit_shared(dunlin_doc *doc, struct rng *rng) {
  OK(dunlin_begin(doc));
  for (size_t writes = 1 + rng_below(rng, 3); writes; writes--) {
    if (rng_below(rng, 2)) edit_shared_text(doc, rng);
    else edit_shared_list(doc, rng);
  }
  OK(dunlin_commit(doc, 0, NULL));
}

static void sequences_one(uint64_t seed) {
  struct rng rng = rng_of(seed);
  struct replica r[replicas];
  open_replicas(r);
  OK(dunlin_begin(r[0].doc));
  dunlin_map_child(r[0].doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  dunlin_map_child(r[0].doc, DUNLIN_ROOT, dunlin_key("l"), DUNLIN_LIST);
  OK(dunlin_commit(r[0].doc, 0, NULL));
  exchange_all(r);
  for (size_t i = 0; i < 120; i++) {
    size_t who = rng_below(&rng, replicas);
    if (rng_below(&rng, 8)) edit_shared(r[who].doc, &rng);
    else test_send(r[rng_below(&rng, replicas)].doc, r[who].doc);
    follow(&r[who]);
    if (i % 10 == 0) assert_agree(r[who].oracle, r[who].doc);
  }
  exchange_all(r);
  for (size_t i = 0; i < replicas; i++) assert_agree(r[i].oracle, r[i].doc);
  check_void(r, &rng);
  close_replicas(r);
}

static void sequences_edited_by_all_hash_alike(void **state) {
  (void)state;
  run_all(sequences_one, 100);
}

/* ---- Refused changes --------------------------------------------------------------------------------------------- */

struct spoiling {
  struct oracle *oracle;
  size_t count;
};

/* The change with one more row, a deletion far out of range, as a delta: all before that is to be taken back. */
static void spoil(const struct change_id_bytes *given, struct buf *delta) {
  struct change change;
  struct buf spoiled;
  buf_init(&spoiled, dunlin_env_default(), 1 << 20);
  OK(change_parse(given->bytes, &change));
  const uint8_t *rest = change.rows.end, *end = (const uint8_t *)given->bytes.data + given->bytes.len;
  mp_write_array(&spoiled, *(const uint8_t *)given->bytes.data & 15u);
  mp_write_bin(&spoiled, change.parents, 32 * change.parent_count + (change.actor ? 16 : 0));
  mp_write_uint(&spoiled, change.number);
  mp_write_bin(&spoiled, change.containers, change.container_count * sizeof *change.containers);
  mp_write_array(&spoiled, 3 * (change.row_count + 1));
  buf_append(&spoiled, change.rows.at, (size_t)(rest - change.rows.at));
  write_row(&spoiled, OP_DELETE, 1000000, 1);
  buf_append(&spoiled, rest, (size_t)(end - rest));
  struct change_id_bytes one = named(&spoiled);
  OK(delta_write(delta, &one, 1));
  buf_free(&spoiled);
}

static int feed_spoiled_first(void *ctx, const struct change_id_bytes *change) {
  struct spoiling *s = ctx;
  struct dunlin_id before;
  struct buf delta;
  buf_init(&delta, dunlin_env_default(), 1 << 20);
  oracle_hash(s->oracle, &before);
  spoil(change, &delta);
  for (int times = 0; times < 2; times++) OK(oracle_apply(s->oracle, delta.data, delta.len));
  assert_oracle_hash(s->oracle, &before);
  assert_int_equal(oracle_refused(s->oracle), ++s->count);
  buf_clear(&delta);
  OK(delta_write(&delta, change, 1));
  OK(oracle_apply(s->oracle, delta.data, delta.len));
  buf_free(&delta);
  return 0;
}

static void refuse_one(uint64_t seed) {
  struct rng rng = rng_of(seed);
  struct replica r[replicas];
  struct spoiling s = {.oracle = test_oracle()};
  struct dunlin_id id = test_id(1);
  void *delta;
  size_t len;
  open_replicas(r);
  run_program(r, &rng, 40, replicas);
  exchange_all(r);
  OK(dunlin_doc_delta(r[0].doc, NULL, 0, &delta, &len));
  OK(delta_read(NULL, &id, delta, len, feed_spoiled_first, &s));
  assert_agree(s.oracle, r[0].doc);
  assert_int_equal(s.count, dunlin_doc_changes(r[0].doc));
  dunlin_free(NULL, delta, len);
  oracle_free(s.oracle);
  close_replicas(r);
}

static void a_refused_change_leaves_no_trace(void **state) {
  (void)state;
  run_all(refuse_one, 300);
}

/* ---- Changes written by hand ------------------------------------------------------------------------------------- */

/* A change by actor 7 that makes a map of that generation at key `m`; the first without a parent. */
static struct change_id_bytes make_child(struct buf *out, const struct dunlin_id *parent, uint64_t number,
                                         const struct container_id *map, uint32_t generation) {
  struct dunlin_actor actor = {{7}};
  buf_clear(out);
  write_head(out, 6, parent, parent ? 1 : 0, parent ? NULL : &actor, number, map);
  mp_write_array(out, 3);
  write_row(out, OP_MAP_CHILD, DUNLIN_MAP, 1);
  mp_write_str(out, "", 0);
  mp_write_array(out, 2);
  mp_write_str(out, "m", 1);
  mp_write_uint(out, generation);
  return named(out);
}

static int give(struct oracle *oracle, dunlin_doc *doc, const struct change_id_bytes *change) {
  struct buf delta;
  buf_init(&delta, dunlin_env_default(), 1 << 20);
  OK(delta_write(&delta, change, 1));
  OK(dunlin_doc_apply(doc, delta.data, delta.len, NULL));
  int error = oracle_apply(oracle, delta.data, delta.len);
  buf_free(&delta);
  assert_agree(oracle, doc);
  return error;
}

static void what_builds_on_a_refused_change_is_left_out(void **state) {
  (void)state;
  struct oracle *oracle = test_oracle();
  dunlin_doc *doc = test_doc(1);
  struct container_id root = {{DUNLIN_MAP}};
  struct buf bytes;
  buf_init(&bytes, dunlin_env_default(), 1 << 20);
  struct change_id_bytes change = make_child(&bytes, NULL, 0, &root, 5);
  OK(give(oracle, doc, &change));
  for (uint64_t number = 1; number < 4; number++) {
    change = make_child(&bytes, &change.id, number, &root, 0);
    OK(give(oracle, doc, &change));
  }
  assert_int_equal(oracle_refused(oracle), 1);
  assert_int_equal(oracle_changes(oracle), 0);
  buf_free(&bytes);
  dunlin_doc_free(doc);
  oracle_free(oracle);
}

static void a_change_without_its_parent_is_asked_for_again(void **state) {
  (void)state;
  struct oracle *oracle = test_oracle();
  dunlin_doc *doc = test_doc(1);
  struct container_id root = {{DUNLIN_MAP}};
  struct buf first, second;
  buf_init(&first, dunlin_env_default(), 1 << 20);
  buf_init(&second, dunlin_env_default(), 1 << 20);
  struct change_id_bytes parent = make_child(&first, NULL, 0, &root, 0);
  struct change_id_bytes child = make_child(&second, &parent.id, 1, &root, 1);
  FAILS(give(oracle, doc, &child), DUNLIN_ENOENT);
  struct buf delta;
  buf_init(&delta, dunlin_env_default(), 1 << 20);
  struct change_id_bytes both[] = {parent, child};
  OK(delta_write(&delta, both, 2));
  OK(oracle_apply(oracle, delta.data, delta.len));
  OK(dunlin_doc_apply(doc, delta.data, delta.len, NULL));
  assert_int_equal(oracle_changes(oracle), 2);
  assert_agree(oracle, doc);
  buf_free(&delta);
  buf_free(&first);
  buf_free(&second);
  dunlin_doc_free(doc);
  oracle_free(oracle);
}

static void containers_nest_as_deep_as_the_limit(void **state) {
  (void)state;
  struct oracle *oracle = test_oracle();
  dunlin_doc *doc = test_doc(1);
  struct container_id map = {{DUNLIN_MAP}};
  struct change_id_bytes change = {.bytes = {NULL, 0}};
  struct buf bytes;
  buf_init(&bytes, dunlin_env_default(), 1 << 20);
  for (uint64_t depth = 1; depth <= DUNLIN_MAX_DEPTH; depth++) {
    change = make_child(&bytes, depth > 1 ? &change.id : NULL, depth - 1, &map, 0);
    OK(give(oracle, doc, &change));
    uint8_t fixed[] = {DUNLIN_MAP, 0, 0, 0, 0, 'm'};
    struct dunlin_bytes parts[] = {{&map, sizeof map}, {fixed, sizeof fixed}};
    struct dunlin_id id = env_hash(dunlin_env_default(), "dunlin.child.1", parts, 2);
    memcpy(map.bytes + 1, id.bytes + 1, sizeof map.bytes - 1);
  }
  assert_int_equal(oracle_changes(oracle), DUNLIN_MAX_DEPTH - 1);
  assert_int_equal(oracle_refused(oracle), 1);
  buf_free(&bytes);
  dunlin_doc_free(doc);
  oracle_free(oracle);
}

static void a_void_operation_of_unknown_kind_hides_nothing(void **state) {
  (void)state;
  struct oracle *oracle = test_oracle();
  dunlin_doc *doc = test_doc(1);
  struct dunlin_actor actor = {{7}};
  struct container_id root = {{DUNLIN_MAP}};
  struct dunlin_id before, hidden;
  struct buf bytes;
  buf_init(&bytes, dunlin_env_default(), 1 << 20);
  oracle_hash(oracle, &before);
  mp_write_array(&bytes, 4);
  mp_write_bin(&bytes, &actor, sizeof actor);
  mp_write_uint(&bytes, 0);
  mp_write_bin(&bytes, &root, sizeof root);
  mp_write_array(&bytes, 3);
  mp_write_uint(&bytes, 0x40);
  mp_write_uint(&bytes, 0);
  mp_write_uint(&bytes, 1);
  struct change_id_bytes change = named(&bytes);
  OK(give(oracle, doc, &change));
  oracle_hash(oracle, &hidden);
  assert_memory_not_equal(&hidden, &before, sizeof before);
  OK(oracle_set_void(oracle, &change.id, 1));
  assert_oracle_hash(oracle, &before);
  buf_free(&bytes);
  dunlin_doc_free(doc);
  oracle_free(oracle);
}

/* A change by actor 7 with one row after another, of which each takes a key `k` and a generation or a kind of
 * container, or nothing. */
static struct change_id_bytes write_change(struct buf *out, const struct dunlin_id *parent, uint64_t number,
                                           const struct container_id *container, const struct change_row *rows,
                                           size_t count) {
  struct dunlin_actor actor = {{7}};
  size_t values = 0;
  for (size_t i = 0; i < count; i++) values += rows[i].kind & OP_VALUES;
  buf_clear(out);
  mp_write_array(out, values ? 6 : 4);
  mp_write_bin(out, parent ? (const void *)parent : &actor, parent ? sizeof *parent : sizeof actor);
  mp_write_uint(out, number);
  mp_write_bin(out, container, sizeof *container);
  mp_write_array(out, 3 * count);
  for (size_t i = 0; i < count; i++) {
    mp_write_uint(out, rows[i].container << OP_KIND_BITS | rows[i].kind);
    mp_write_uint(out, rows[i].a);
    mp_write_uint(out, rows[i].len);
  }
  if (values) mp_write_str(out, "", 0);
  if (values) mp_write_array(out, values);
  for (size_t i = 0; i < count; i++) {
    if (rows[i].kind == OP_MAP_CHILD) mp_write_str(out, "k", 1);
    if (rows[i].kind & OP_VALUES) mp_write_uint(out, rows[i].kind == OP_MAP_CHILD ? 0 : DUNLIN_COUNTER);
  }
  return named(out);
}

static struct container_id child_at_k(const struct container_id *parent, enum dunlin_kind kind) {
  uint8_t fixed[] = {(uint8_t)kind, 0, 0, 0, 0, 'k'};
  struct dunlin_bytes parts[] = {{parent, sizeof *parent}, {fixed, sizeof fixed}};
  struct dunlin_id hash = env_hash(dunlin_env_default(), "dunlin.child.1", parts, 2);
  struct container_id id = {{(uint8_t)kind}};
  memcpy(id.bytes + 1, hash.bytes + 1, sizeof id.bytes - 1);
  return id;
}

static struct container_id counter_in_list(const struct dunlin_id *change, uint32_t index) {
  uint8_t fixed[] = {DUNLIN_COUNTER, 0, 0, 0, (uint8_t)index};
  struct dunlin_bytes parts[] = {{change, sizeof *change}, {fixed, sizeof fixed}};
  struct dunlin_id hash = env_hash(dunlin_env_default(), "dunlin.item.1", parts, 2);
  struct container_id id = {{DUNLIN_COUNTER}};
  memcpy(id.bytes + 1, hash.bytes + 1, sizeof id.bytes - 1);
  return id;
}

/* In the root or in a list at its key `k`, after an unknown operation there or in what one makes, each kind of row that
 * makes a container does so; a next change writes to it by its id. */
static void what_is_made_after_an_unknown_operation_has_its_id(void **state) {
  (void)state;
  const struct container_id root = {{DUNLIN_MAP}}, list = child_at_k(&root, DUNLIN_LIST);
  const struct {
    const struct container_id *in;
    struct change_row rows[2];
    bool has_id;
  } cases[] = {
      {&root, {{0x40, 0, 0, 1}, {OP_MAP_CHILD, 0, DUNLIN_LIST, 1}}, true},
      {&root, {{0x48, 0, 0, 1}, {OP_LIST_CHILD, 1, 3, 1}}, true},
      {&root, {{0x48, 0, 0, 1}, {OP_MAP_CHILD, 1, DUNLIN_LIST, 1}}, false},
      {&root, {{0x40, 0, 0, 1}, {OP_LIST_CHILD, 0, 0, 1}}, false},
      {&list, {{0x40, 0, 0, 1}, {OP_LIST_CHILD, 0, 9, 1}}, true},
      {&list, {{0x40, 0, 0, 1}, {OP_LIST_SET_CHILD, 0, 9, 1}}, true},
      {&list, {{0x40, 0, 0, 1}, {OP_MAP_CHILD, 0, DUNLIN_LIST, 1}}, false},
  };
  struct buf bytes;
  buf_init(&bytes, dunlin_env_default(), 1 << 20);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct oracle *oracle = test_oracle();
    dunlin_doc *doc = test_doc(1);
    struct change_row make_list = {OP_MAP_CHILD, 0, DUNLIN_LIST, 1}, unknown = {0x40, 0, 0, 1};
    struct change_id_bytes change =
        write_change(&bytes, NULL, 0, &root, cases[i].in == &list ? &make_list : &unknown, 1);
    OK(give(oracle, doc, &change));
    change = write_change(&bytes, &change.id, 1, cases[i].in, cases[i].rows, 2);
    OK(give(oracle, doc, &change));
    bool is_map = cases[i].rows[1].kind == OP_MAP_CHILD;
    struct container_id made = is_map ? child_at_k(cases[i].in, DUNLIN_LIST) : counter_in_list(&change.id, 1);
    change = write_change(&bytes, &change.id, 2, &made, &unknown, 1);
    OK(give(oracle, doc, &change));
    assert_int_equal(oracle_changes(oracle), cases[i].has_id ? 3 : 2);
    dunlin_doc_free(doc);
    oracle_free(oracle);
  }
  buf_free(&bytes);
}

/* ---- Void changes on random programs ----------------------------------------------------------------------------- */

static void void_one(uint64_t seed) {
  struct rng rng = rng_of(seed);
  struct replica r[replicas];
  open_replicas(r);
  run_program(r, &rng, 40, replicas);
  exchange_all(r);
  check_void(r, &rng);
  close_replicas(r);
}

static void void_and_back_gives_the_same_hash(void **state) {
  (void)state;
  run_all(void_one, 500);
}

static size_t changes_of(const dunlin_doc *doc, uint8_t actor, struct dunlin_id *out, size_t max) {
  size_t count = 0;
  struct dunlin_change_info info;
  for (size_t i = 0; i < dunlin_doc_changes(doc); i++) {
    OK(dunlin_doc_change_at(doc, i, &info));
    if (info.actor.bytes[0] != actor) continue;
    assert_true(count < max);
    out[count++] = info.id;
  }
  return count;
}

static void without_one(uint64_t seed) {
  struct rng rng = rng_of(seed);
  struct replica r[replicas];
  struct dunlin_id own[256], without;
  open_replicas(r);
  run_program(r, &rng, 40, 2);
  test_sync(r[0].doc, r[1].doc);
  OK(dunlin_doc_hash(r[0].doc, &without));
  test_send(r[2].doc, r[0].doc);
  follow(&r[0]);
  assert_agree(r[0].oracle, r[0].doc);
  OK(oracle_set_void(r[0].oracle, own, changes_of(r[0].doc, 3, own, 256)));
  assert_oracle_hash(r[0].oracle, &without);
  close_replicas(r);
}

static void an_actor_that_nobody_builds_on_is_as_if_absent(void **state) {
  (void)state;
  run_all(without_one, 500);
}

/* ---- Changes that no honest replica would write ------------------------------------------------------------------ */

enum { pool_max = 512, rows_max = 64 };

/* Material for made-up changes: real ones, and the containers that they write to. */
struct pool {
  struct change_id_bytes changes[pool_max]; /* bytes are owned */
  struct container_id containers[pool_max];
  size_t change_count, container_count;
};

static int keep(void *ctx, const struct change_id_bytes *given) {
  struct pool *p = ctx;
  struct change change;
  void *copy = malloc(given->bytes.len);
  assert_true(copy && p->change_count < pool_max);
  memcpy(copy, given->bytes.data, given->bytes.len);
  p->changes[p->change_count++] = (struct change_id_bytes){given->id, {copy, given->bytes.len}};
  OK(change_parse(given->bytes, &change));
  for (size_t i = 0; i < change.container_count && p->container_count < pool_max; i++)
    p->containers[p->container_count++] = change.containers[i];
  return 0;
}

static void pool_fill(struct pool *p, const dunlin_doc *doc) {
  struct dunlin_id id = test_id(1);
  void *delta;
  size_t len;
  OK(dunlin_doc_delta(doc, NULL, 0, &delta, &len));
  OK(delta_read(NULL, &id, delta, len, keep, p));
  dunlin_free(NULL, delta, len);
}

static void pool_free(struct pool *p) {
  for (size_t i = 0; i < p->change_count; i++) free((void *)(uintptr_t)p->changes[i].bytes.data);
  free(p);
}

/* One or two parents from the whole history, so that the operations mean something else there; by an actor never seen,
 * or by one of the parents' in a fork.  Gives the number to go with it. */
static uint64_t write_strange_refs(const struct pool *p, const dunlin_doc *doc, struct rng *rng, struct buf *refs) {
  struct dunlin_actor fresh = {{9, (uint8_t)rng_below(rng, 256), (uint8_t)rng_below(rng, 256)}};
  struct dunlin_change_info a, b;
  OK(dunlin_doc_find_change(doc, &p->changes[rng_below(rng, p->change_count)].id, &a));
  OK(dunlin_doc_find_change(doc, &p->changes[rng_below(rng, p->change_count)].id, &b));
  if (rng_below(rng, 2)) b = a;
  int order = memcmp(&a.id, &b.id, sizeof a.id);
  size_t by = rng_below(rng, 4);
  if (by && order > 0) {
    struct dunlin_change_info swap = a;
    a = b;
    b = swap;
  }
  buf_append(refs, &a.id, sizeof a.id);
  if (order) buf_append(refs, &b.id, sizeof b.id);
  if (by == 1) buf_append(refs, &b.actor, sizeof b.actor); /* wrong where it is implied */
  else if (by) buf_append(refs, &fresh, sizeof fresh);
  return by == 0 ? a.number + 1 + (order ? rng_below(rng, 3) : 0) : by == 1 ? b.number + 1 : 0;
}

/* Whether `a` must be 0. */
static bool has_no_index(uint8_t kind) {
  return kind == OP_MAP_DELETE || kind == OP_MAP_DELETE_OVER || kind == OP_COUNTER_ADD || kind == OP_OFFER ||
         kind == OP_SET_REMOVE;
}

/* Changes a row, or adds one that takes nothing from the other columns; `containers` is how many there are to write
 * to. */
static size_t twist_rows(struct change_row *rows, size_t count, size_t containers, struct rng *rng) {
  static const uint8_t unknown[] = {0x40, 0x48, OP_DELETE, OP_DELETE};
  struct change_row *row = &rows[rng_below(rng, count)];
  switch (rng_below(rng, 4)) {
    case 0:
      if (row->kind != OP_MAP_CHILD && !has_no_index(row->kind)) row->a = (uint32_t)rng_below(rng, 9);
      break;
    case 1: row->container = (uint32_t)rng_below(rng, containers); break;
    case 2: break;
    default:
      memmove(row + 1, row, (size_t)(rows + count++ - row) * sizeof *row);
      *row = (struct change_row){unknown[rng_below(rng, 4)], (uint32_t)rng_below(rng, containers),
                                 (uint32_t)rng_below(rng, 6), 1};
  }
  return count;
}

/* Whether each mark still begins and ends in two rows that stand together: what does not is of no form. */
static bool marks_whole(const struct change_row *rows, size_t count) {
  bool is_open = false;
  for (size_t i = 0; i < count; i++) {
    if (op_ends_mark(rows[i].kind) != is_open) return false;
    if (is_open && (rows[i].a <= rows[i - 1].a || rows[i].container != rows[i - 1].container)) return false;
    is_open = op_starts_mark(rows[i].kind);
  }
  return !is_open;
}

static void write_rows(struct change change, struct rng *rng, struct buf *out) {
  struct change_row rows[rows_max], twisted[rows_max];
  size_t count = 0;
  for (; count < change.row_count && count < rows_max - 1; count++) rows[count] = change_next_row(&change.rows);
  assert_int_equal(count, change.row_count);
  /* Only containers that the change does not make: those it makes are there from some row on. */
  if (change.container_count) {
    memcpy(twisted, rows, count * sizeof *rows);
    size_t twisted_count = twist_rows(twisted, count, change.container_count, rng);
    if (marks_whole(twisted, twisted_count)) {
      memcpy(rows, twisted, twisted_count * sizeof *rows);
      count = twisted_count;
    }
  }
  mp_write_array(out, 3 * count);
  for (size_t i = 0; i < count; i++) {
    mp_write_uint(out, rows[i].container << OP_KIND_BITS | rows[i].kind);
    mp_write_uint(out, rows[i].a);
    mp_write_uint(out, rows[i].len);
  }
}

/* A change like one of the pool, with other parents, containers, rows. */
static struct change_id_bytes make_up(const struct pool *p, const dunlin_doc *doc, struct rng *rng, struct buf *out) {
  const struct change_id_bytes *given = &p->changes[rng_below(rng, p->change_count)];
  struct change change;
  struct buf bin;
  OK(change_parse(given->bytes, &change));
  const uint8_t *rest = change.rows.end, *end = (const uint8_t *)given->bytes.data + given->bytes.len;
  buf_clear(out);
  buf_init(&bin, out->env, 1 << 20);
  mp_write_array(out, *(const uint8_t *)given->bytes.data & 15u);
  uint64_t number = change.number;
  if (rng_below(rng, 4)) number = write_strange_refs(p, doc, rng, &bin);
  else buf_append(&bin, change.parents, 32 * change.parent_count + (change.actor ? 16 : 0));
  mp_write_bin(out, bin.data, bin.len);
  mp_write_uint(out, number + !rng_below(rng, 30));
  buf_clear(&bin);
  for (size_t i = 0; i < change.container_count; i++)
    buf_append(&bin, rng_below(rng, 3) ? &change.containers[i] : &p->containers[rng_below(rng, p->container_count)],
               sizeof *change.containers);
  mp_write_bin(out, bin.data, bin.len);
  write_rows(change, rng, out);
  buf_append(out, rest, (size_t)(end - rest));
  buf_free(&bin);
  return named(out);
}

static void give_to_both(struct replica *r, const struct change_id_bytes *change, struct pool *pool) {
  struct buf delta;
  struct dunlin_applied applied;
  size_t refused = oracle_refused(r->oracle);
  buf_init(&delta, dunlin_env_default(), 1 << 20);
  OK(delta_write(&delta, change, 1));
  OK(dunlin_doc_apply(r->doc, delta.data, delta.len, &applied));
  OK(oracle_apply(r->oracle, delta.data, delta.len));
  assert_agree(r->oracle, r->doc);
  if (oracle_refused(r->oracle) != refused) assert_int_equal(applied.refused, 1);
  if (applied.applied && pool->change_count < pool_max) keep(pool, change);
  buf_free(&delta);
}

static void strange_one(uint64_t seed) {
  struct rng rng = rng_of(seed);
  struct replica r[replicas];
  struct pool *pool = calloc(1, sizeof *pool);
  struct buf change;
  assert_non_null(pool);
  open_replicas(r);
  buf_init(&change, dunlin_env_default(), 1 << 20);
  run_program(r, &rng, 40, replicas);
  exchange_all(r);
  pool_fill(pool, r[0].doc);
  for (int i = 0; i < 60 && pool->container_count; i++) {
    struct change_id_bytes made_up = make_up(pool, r[0].doc, &rng, &change);
    give_to_both(&r[0], &made_up, pool);
  }
  follow(&r[0]);
  exchange_all(r);
  for (size_t i = 0; i < replicas; i++) assert_agree(r[i].oracle, r[i].doc);
  check_void(r, &rng);
  buf_free(&change);
  pool_free(pool);
  close_replicas(r);
}

static void made_up_changes_are_judged_alike(void **state) {
  (void)state;
  run_all(strange_one, 500);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_programs_hash_alike),
      cmocka_unit_test(sequences_edited_by_all_hash_alike),
      cmocka_unit_test(a_refused_change_leaves_no_trace),
      cmocka_unit_test(what_builds_on_a_refused_change_is_left_out),
      cmocka_unit_test(a_change_without_its_parent_is_asked_for_again),
      cmocka_unit_test(containers_nest_as_deep_as_the_limit),
      cmocka_unit_test(a_void_operation_of_unknown_kind_hides_nothing),
      cmocka_unit_test(what_is_made_after_an_unknown_operation_has_its_id),
      cmocka_unit_test(made_up_changes_are_judged_alike),
      cmocka_unit_test(void_and_back_gives_the_same_hash),
      cmocka_unit_test(an_actor_that_nobody_builds_on_is_as_if_absent),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (failed && getenv("DUNLIN_RUNNING")) printf("to run the last seed alone: %s\n", getenv("DUNLIN_RUNNING"));
  return failed;
}
