/* C21: every kind of value goes into a document, to another replica as a delta, and comes out the same to the byte. */
#include "test/support/plain.h"

/* About a thousand random values, in one array. */
static struct buf random_values(struct rng *rng, size_t *values) {
  enum { most = 1000 };
  struct buf out;
  size_t left = most, count = 0;
  buf_init(&out, dunlin_env_default(), SIZE_MAX);
  while (left) {
    random_plain(rng, &out, 1, &left);
    count++;
  }
  plain_insert_head(&out, 0, false, count);
  *values += most;
  return out;
}

static void check_element(const dunlin_doc *doc, dunlin_obj list, const struct plain *plain, struct rng *rng) {
  struct dunlin_value got;
  size_t size = dunlin_list_size(doc, list), at = rng_below(rng, size);
  const struct plain_node *node = plain_at(plain, plain->nodes[0].first);
  assert_int_equal(size, plain->nodes[0].count);
  for (size_t i = 0; i < at; i++) node = plain_at(plain, node->next);
  OK(dunlin_list_get(doc, list, at, &got));
  if (node->value.kind < DUNLIN_MAP) assert_true(value_same(&got, &node->value));
  else assert_int_equal(got.kind, node->value.kind);
}

static void a_million_values_come_back(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(1000);
  size_t values = 0;
  for (uint64_t seed = first; seed < first + count; seed++) {
    struct rng rng = rng_of(plain_seed = seed);
    dunlin_doc *from = test_doc(1), *to = test_doc(2);
    struct buf given = random_values(&rng, &values);
    struct dunlin_value list;
    struct plain plain;
    void *out = NULL;
    size_t len = 0;
    OK(plain_open(&plain, dunlin_env_default(), buf_bytes(&given), true));
    OK(dunlin_begin(from));
    OK(dunlin_write_plain(from, DUNLIN_ROOT, dunlin_key("v"), buf_bytes(&given)));
    OK(dunlin_commit(from, 0, NULL));
    assert_int_equal(test_send(from, to).applied, 1);
    assert_same_doc(from, to);
    OK(dunlin_map_get(to, DUNLIN_ROOT, dunlin_key("v"), &list));
    check_element(to, list.as.obj, &plain, &rng);
    OK(dunlin_read_plain(to, list.as.obj, &out, &len));
    assert_plain_bytes((struct dunlin_bytes){out, len}, plain_bytes(&plain, plain.nodes));
    dunlin_free(NULL, out, len);
    plain_close(&plain);
    buf_free(&given);
    dunlin_doc_free(from);
    dunlin_doc_free(to);
  }
  plain_seed = 0;
  print_message("%zu values\n", values);
}

/* What another replica has at a root key. */
static struct dunlin_value sent(struct dunlin_bytes key, struct dunlin_value value, dunlin_doc **other) {
  dunlin_doc *doc = test_doc(1);
  struct dunlin_value got;
  *other = test_doc(2);
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, key, value));
  OK(dunlin_commit(doc, 0, NULL));
  test_send(doc, *other);
  dunlin_doc_free(doc);
  OK(dunlin_map_get(*other, DUNLIN_ROOT, key, &got));
  assert_true(value_same(&got, &value));
  return got;
}

static void each_kind_keeps_its_bits(void **state) {
  (void)state;
  static const char omega[] = "\xce\xa9\x30", twice[] = "\xc3\x8e\xc2\xa9\x30", nul[] = "a\0b";
  const struct dunlin_value values[] = {
      {.kind = DUNLIN_NULL},
      {.kind = DUNLIN_BOOL, .as.boolean = true},
      {.kind = DUNLIN_BOOL, .as.boolean = false},
      {.kind = DUNLIN_INT, .as.integer = INT64_MIN},
      {.kind = DUNLIN_INT, .as.integer = INT64_MAX},
      {.kind = DUNLIN_INT, .as.integer = 0},
      {.kind = DUNLIN_FLOAT, .as.real = 0.0},
      {.kind = DUNLIN_FLOAT, .as.real = -0.0},
      {.kind = DUNLIN_FLOAT, .as.real = 5e-324},
      {.kind = DUNLIN_FLOAT, .as.real = __builtin_nan("")},
      {.kind = DUNLIN_STRING, .as.string = {"", 0}},
      {.kind = DUNLIN_STRING, .as.string = {omega, 3}},
      {.kind = DUNLIN_STRING, .as.string = {twice, 5}},
      {.kind = DUNLIN_STRING, .as.string = {nul, 3}},
      {.kind = DUNLIN_BYTES, .as.string = {"\xff\0", 2}},
      {.kind = DUNLIN_TIME, .as.time = 1795249509000001},
      {.kind = DUNLIN_TIME, .as.time = INT64_MIN},
  };
  enum { count = sizeof values / sizeof *values };
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; k < count; k++) assert_int_equal(value_same(&values[i], &values[k]), i == k);
    dunlin_doc *other;
    (void)sent((struct dunlin_bytes){nul, 3}, values[i], &other);
    dunlin_doc_free(other);
  }
}

/* Keys are opaque: neither what is encoded twice nor what a NUL cuts off is the same. */
static void keys_are_what_they_are(void **state) {
  (void)state;
  dunlin_doc *other;
  struct dunlin_value value;
  (void)sent(dunlin_key("\xce\xa9\x30"), int_value(0), &other);
  FAILS(dunlin_map_get(other, DUNLIN_ROOT, dunlin_key("\xc3\x8e\xc2\xa9\x30"), &value), DUNLIN_ENOENT);
  assert_reads(other, DUNLIN_ROOT, "{'\xce\xa9\x30': 0}");
  dunlin_doc_free(other);
  (void)sent((struct dunlin_bytes){"a\0b", 3}, int_value(0), &other);
  FAILS(dunlin_map_get(other, DUNLIN_ROOT, dunlin_key("a"), &value), DUNLIN_ENOENT);
  dunlin_doc_free(other);
  (void)sent(dunlin_key(""), (struct dunlin_value){.kind = DUNLIN_NULL},
             &other); /* there, and null; others are missing */
  assert_int_equal(dunlin_map_size(other, DUNLIN_ROOT), 1);
  FAILS(dunlin_map_get(other, DUNLIN_ROOT, dunlin_key("0"), &value), DUNLIN_ENOENT);
  dunlin_doc_free(other);
}

static void a_depth_bomb_is_an_error(void **state) {
  (void)state;
  static const size_t depths[] = {DUNLIN_MAX_DEPTH, 33, 1000, 1000000};
  dunlin_doc *doc = test_doc(1);
  struct dunlin_merge *merge;
  for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
    for (int maps = 0; maps < 2; maps++) {
      struct buf bomb;
      buf_init(&bomb, dunlin_env_default(), SIZE_MAX);
      for (size_t d = 0; d < depths[i]; d++) buf_append(&bomb, maps ? "\x81\xa1k" : "\x91", maps ? 3 : 1);
      mp_write_nil(&bomb);
      OK(dunlin_begin(doc));
      FAILS(dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), buf_bytes(&bomb)), DUNLIN_ELIMIT);
      FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_ELIMIT);
      if (depths[i] > DUNLIN_MAX_DEPTH)
        FAILS(dunlin_merge3(NULL, buf_bytes(&bomb), buf_bytes(&bomb), buf_bytes(&bomb), &merge), DUNLIN_ELIMIT);
      buf_free(&bomb);
    }
  }
  assert_int_equal(dunlin_doc_changes(doc), 0);
  dunlin_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_million_values_come_back),
      cmocka_unit_test(each_kind_keeps_its_bits),
      cmocka_unit_test(keys_are_what_they_are),
      cmocka_unit_test(a_depth_bomb_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
