/* Named scenarios: histories that went wrong in libraries of this kind, or that the papers of the field discuss. */
#include "test/crdt/scenario.h"

/* ---- Runs at one place -------------------------------------------------------------------------------------- */

/* Each of the three types its letters, one change a letter, at those indexes: into an empty text and into "<>". */
static void runs(const char *typed[actor_count], const size_t indexes[3], const char *expected) {
  for (size_t inside = 0; inside < 2; inside++) {
    dunlin_doc *docs[actor_count];
    char what[16];
    three(docs);
    type(docs[0], 0, 0, inside ? "<>" : "?");
    if (!inside) type(docs[0], 0, 1, "");
    share(docs);
    for (size_t i = 0; i < 3; i++)
      for (size_t who = 0; who < actor_count; who++)
        type(docs[who], indexes[i] + inside, 0, (char[]){typed[who][i], 0});
    snprintf(what, sizeof what, inside ? "<%s>" : "%s", expected);
    all_end_with(docs, actor_count, 1680, text_is, what); /* 9! / 3!^3 */
    free_all(docs);
  }
}

static void forward_runs(void **state) {
  (void)state;
  runs((const char *[]){"123", "abc", "xyz"}, (size_t[]){0, 1, 2}, "123abcxyz");
}

static void backward_runs(void **state) {
  (void)state;
  runs((const char *[]){"321", "cba", "zyx"}, (size_t[]){0, 0, 0}, "123abcxyz");
}

static void runs_with_tails(void **state) {
  (void)state;
  runs((const char *[]){"213", "bac", "yxz"}, (size_t[]){0, 0, 2}, "123abcxyz");
}

static void local_before_concurrent(void **state) {
  (void)state;
  dunlin_doc *docs[actor_count];
  three(docs);
  type(docs[0], 0, 0, "a");
  type(docs[0], 1, 0, "c");
  share(docs);
  type(docs[0], 1, 0, "d");
  type(docs[1], 1, 0, "b");
  type(docs[2], 1, 0, "e");
  all_end_with(docs, actor_count, 6, text_is, "adbec");
  free_all(docs);
  /* The others have seen "a" alone. */
  three(docs);
  type(docs[1], 0, 0, "a");
  test_send(docs[1], docs[0]);
  test_send(docs[1], docs[2]);
  type(docs[1], 1, 0, "c");
  type(docs[1], 1, 0, "d");
  type(docs[0], 1, 0, "b");
  type(docs[2], 1, 0, "e");
  all_end_with(docs, actor_count, 12, text_is, "abdce"); /* c is a right child of a like b and e, d a left child of c */
  free_all(docs);
}

/* ---- Lists -------------------------------------------------------------------------------------------------- */

static void element_moved_twice(void **state) {
  (void)state;
  dunlin_doc *docs[actor_count];
  three(docs);
  make_list(docs[0], "abcd");
  share(docs);
  move(docs[0], 0, 3);
  move(docs[1], 0, 1);
  move(docs[2], 0, 2);
  all_end_with(docs, actor_count, 6, list_is, "bcad"); /* equal lamports: the highest actor's move */
  move(docs[0], 2, 0);
  move(docs[0], 0, 1); /* the higher lamport */
  move(docs[2], 2, 3);
  all_end_with(docs, actor_count, 18, list_is, "bacd");
  /* A deletion wins over concurrent moves. */
  move(docs[0], 1, 3);
  move(docs[2], 1, 0);
  OK(dunlin_begin(docs[1]));
  OK(dunlin_list_delete(docs[1], at(docs[1], "l"), 1, 1));
  commit(docs[1]);
  all_end_with(docs, actor_count, 108, list_is, "bcd");
  free_all(docs);
}

/* Two neighbours are moved away while one's text and the other's map are edited, and a third neighbour's place is
 * taken. */
static void range_move_and_edit(void **state) {
  (void)state;
  dunlin_doc *docs[actor_count];
  dunlin_obj list, inner;
  three(docs);
  OK(dunlin_begin(docs[0]));
  list = child(docs[0], "l", DUNLIN_LIST);
  inner = dunlin_list_insert_child(docs[0], list, 0, DUNLIN_TEXT);
  OK(dunlin_text_splice(docs[0], inner, 0, 0, "one", 3));
  inner = dunlin_list_insert_child(docs[0], list, 1, DUNLIN_MAP);
  OK(dunlin_map_put(docs[0], inner, dunlin_key("n"), int_value(2)));
  OK(dunlin_list_insert(docs[0], list, 2, str_value("c")));
  OK(dunlin_list_insert(docs[0], list, 3, str_value("d")));
  commit(docs[0]);
  share(docs);
  OK(dunlin_begin(docs[0]));
  OK(dunlin_list_move(docs[0], at(docs[0], "l"), 0, 3));
  OK(dunlin_list_move(docs[0], at(docs[0], "l"), 0, 3));
  commit(docs[0]);
  list_is(docs[0], "cd[one]2");
  OK(dunlin_begin(docs[1]));
  OK(dunlin_text_splice(docs[1], in_list(docs[1], 0), 3, 0, "!", 1));
  OK(dunlin_map_put(docs[1], in_list(docs[1], 1), dunlin_key("n"), int_value(7)));
  OK(dunlin_list_set(docs[1], at(docs[1], "l"), 2, str_value("C")));
  commit(docs[1]);
  OK(dunlin_begin(docs[2]));
  OK(dunlin_text_splice(docs[2], in_list(docs[2], 0), 0, 1, "O", 1));
  OK(dunlin_list_insert(docs[2], at(docs[2], "l"), 1, str_value("x")));
  commit(docs[2]);
  all_end_with(docs, actor_count, 6, list_is, "xCd[One!]7");
  free_all(docs);
}

/* Every read of the list and of what is in it. */
static void read_everything(const dunlin_doc *doc) {
  char text[64];
  dunlin_obj list = at(doc, "l");
  size_t size = dunlin_list_size(doc, list);
  struct dunlin_value v;
  for (size_t i = 0; i < size; i++) {
    OK(dunlin_list_conflict(doc, list, i, 0, &v));
    OK(dunlin_list_get(doc, list, i, &v));
    if (v.kind == DUNLIN_TEXT)
      assert_int_equal(dunlin_text_read(doc, v.as.obj, text, sizeof text), dunlin_text_size(doc, v.as.obj));
  }
  FAILS(dunlin_list_get(doc, list, size, &v), DUNLIN_ERANGE);
}

static void move_then_snapshot(void **state) {
  (void)state;
  dunlin_doc *docs[actor_count];
  dunlin_obj text;
  three(docs);
  make_list(docs[0], "abc");
  OK(dunlin_begin(docs[0]));
  text = dunlin_list_insert_child(docs[0], at(docs[0], "l"), 0, DUNLIN_TEXT);
  OK(dunlin_text_splice(docs[0], text, 0, 0, "in", 2));
  commit(docs[0]);
  for (size_t from = 0; from < 4; from++)
    for (size_t to = 0; to < 4; to++) {
      if (from != to) move(docs[0], from, to);
      dunlin_doc *copy = test_doc(50);
      char was[64], is[64];
      test_send(docs[0], copy);
      assert_same_doc(copy, docs[0]);
      read_everything(copy);
      read_list(docs[0], was);
      list_is(copy, was);
      if (from == 3) { /* the copy is as good as the first: it can be edited, and that comes back */
        move(copy, 0, 3);
        read_list(copy, is);
        test_sync(copy, docs[0]);
        assert_same_doc(copy, docs[0]);
        list_is(docs[0], is);
      }
      dunlin_doc_free(copy);
    }
  free_all(docs);
}

/* ---- Children and values at one key ------------------------------------------------------------------------- */

static void counter_is(const dunlin_doc *doc, const void *what) {
  int64_t n;
  OK(dunlin_counter_get(doc, at(doc, "c"), &n));
  assert_true(n == *(const int64_t *)what);
}

static void count_up(dunlin_doc *doc, int64_t amount, bool touch) {
  OK(dunlin_begin(doc));
  OK(dunlin_counter_add(doc, child(doc, "c", DUNLIN_COUNTER), amount));
  if (touch) OK(dunlin_map_touch(doc, DUNLIN_ROOT, dunlin_key("c")));
  commit(doc);
}

/* The rule: a deletion beats increments that it has not seen, unless their author touched the counter; then all
 * count. */
static void counter_and_delete(void **state) {
  (void)state;
  for (int touch = 0; touch < 2; touch++) {
    dunlin_doc *docs[actor_count];
    three(docs);
    count_up(docs[0], 1, false);
    share(docs);
    for (size_t i = 0; i < actor_count; i++) count_up(docs[i], INT64_MAX, false); /* modulo 2^64 */
    all_end_with(docs, actor_count, 6, counter_is, &(int64_t){INT64_MAX - 1});
    count_up(docs[0], 5, false);
    drop(docs[1], "c");
    count_up(docs[2], 7, touch);
    if (touch) all_end_with(docs, actor_count, 36, counter_is, &(int64_t){INT64_MIN + 10});
    else all_end_with(docs, actor_count, 36, key_is_absent, "c");
    if (!touch) {
      count_up(docs[0], 2, false); /* a fresh one */
      count_up(docs[1], 3, false);
      all_end_with(docs, actor_count, 72, counter_is, &(int64_t){5});
    }
    free_all(docs);
  }
}

static void fresh_child(const dunlin_doc *doc, const void *what) {
  struct dunlin_value v;
  FAILS(dunlin_map_conflict(doc, DUNLIN_ROOT, dunlin_key("c"), 1, &v), DUNLIN_ENOENT);
  assert_int_equal(dunlin_map_size(doc, at(doc, "c")), *(const size_t *)what);
  absent(doc, at(doc, "c"), "x");
}

static void recreate_after_overwrite(void **state) {
  (void)state;
  dunlin_doc *docs[actor_count];
  three(docs);
  put_in(docs[0], "c", "x", 1);
  share(docs);
  put(docs[1], "c", 5);
  share(docs);
  make(docs[2], "c", DUNLIN_MAP);
  all_end_with(docs, actor_count, 1, fresh_child, &(size_t){0});
  free_all(docs);
  /* With an edit inside that the overwriting has not seen. */
  three(docs);
  put_in(docs[0], "c", "x", 1);
  share(docs);
  put(docs[1], "c", 5);
  put_in(docs[2], "c", "x", 2);
  share(docs);
  assert_true(number_at(docs[2], DUNLIN_ROOT, "c") == 5);
  put_in(docs[0], "c", "y", 3);
  all_end_with(docs, actor_count, 2, fresh_child, &(size_t){1});
  free_all(docs);
}

static void delete_on_both_recreate_on_both(void **state) {
  (void)state;
  dunlin_doc *docs[actor_count];
  three(docs);
  put_in(docs[0], "c", "x", 1);
  share(docs);
  for (size_t i = 0; i < actor_count; i++) {
    drop(docs[i], "c");
    put_in(docs[i], "c", (char[]){(char)('a' + i), 0}, 1);
  }
  all_end_with(docs, actor_count, 90, fresh_child, &(size_t){3}); /* 6! / 2!^3 */
  free_all(docs);
}

/* What is at the key "k", by kinds: the winner first. */
static void kinds_are(const dunlin_doc *doc, const void *what) {
  const enum dunlin_kind *kinds = what;
  struct dunlin_value v;
  size_t i = 0;
  for (; kinds[i]; i++) {
    OK(dunlin_map_conflict(doc, DUNLIN_ROOT, dunlin_key("k"), i, &v));
    assert_int_equal(v.kind, kinds[i]);
    if (v.kind == DUNLIN_MAP) assert_int_equal(dunlin_map_size(doc, v.as.obj), 1);
    if (v.kind == DUNLIN_LIST) assert_int_equal(dunlin_list_size(doc, v.as.obj), 1);
    if (v.kind == DUNLIN_TEXT) assert_text(doc, v.as.obj, "t");
  }
  FAILS(dunlin_map_conflict(doc, DUNLIN_ROOT, dunlin_key("k"), i, &v), DUNLIN_ENOENT);
}

static void kinds_in_conflict(void **state) {
  (void)state;
  static const enum dunlin_kind made[actor_count] = {DUNLIN_MAP, DUNLIN_LIST, DUNLIN_TEXT};
  for (size_t settler = 0; settler < actor_count; settler++)
    for (size_t kept = 0; kept < actor_count; kept++) {
      dunlin_doc *docs[actor_count];
      struct dunlin_value v;
      three(docs);
      put_in(docs[0], "k", "in", 1);
      OK(dunlin_begin(docs[1]));
      OK(dunlin_list_insert(docs[1], child(docs[1], "k", DUNLIN_LIST), 0, int_value(1)));
      commit(docs[1]);
      OK(dunlin_begin(docs[2]));
      OK(dunlin_text_splice(docs[2], child(docs[2], "k", DUNLIN_TEXT), 0, 0, "t", 1));
      commit(docs[2]);
      all_end_with(docs, actor_count, 6, kinds_are, (enum dunlin_kind[]){DUNLIN_TEXT, DUNLIN_LIST, DUNLIN_MAP, 0});
      OK(dunlin_map_conflict(docs[settler], DUNLIN_ROOT, dunlin_key("k"), actor_count - 1 - kept, &v));
      OK(dunlin_begin(docs[settler]));
      assert_int_equal(child(docs[settler], "k", made[kept]).index, v.as.obj.index);
      commit(docs[settler]);
      all_end_with(docs, actor_count, 6, kinds_are, (enum dunlin_kind[]){made[kept], 0});
      free_all(docs);
    }
}

/* ---- Sessions that overlap ---------------------------------------------------------------------------------- */

struct message {
  size_t to;
  void *delta;
  size_t len;
};

static bool same_heads(const dunlin_doc *a, const dunlin_doc *b) {
  size_t n, m;
  const struct dunlin_id *x = dunlin_doc_heads(a, &n), *y = dunlin_doc_heads(b, &m);
  return n == m && (!n || !memcmp(x, y, n * sizeof *x));
}

/* Takes the oldest message in, or a later one. */
static void receive(dunlin_doc *docs[], struct message *queue, size_t *count, size_t which) {
  OK(dunlin_doc_apply(docs[queue[which].to], queue[which].delta, queue[which].len, NULL));
  dunlin_free(NULL, queue[which].delta, queue[which].len);
  memmove(&queue[which], &queue[which + 1], (--*count - which) * sizeof *queue);
}

static void send_later(dunlin_doc *docs[], size_t from, size_t to, struct message *queue, size_t *count) {
  size_t heads;
  const struct dunlin_id *since = dunlin_doc_heads(docs[to], &heads);
  struct message *m = &queue[(*count)++];
  m->to = to;
  OK(dunlin_doc_delta(docs[from], since, heads, &m->delta, &m->len));
}

/* A map, a scalar or nothing at the key that all three write. */
static void write_nested_or_scalar(dunlin_doc *doc, size_t which, struct rng *rng) {
  if (which == 0) put(doc, "k", (int64_t)rng_next(rng));
  else if (which < 3) put_in(doc, "k", which == 1 ? "x" : "y", (int64_t)rng_next(rng));
  else if (dunlin_map_size(doc, DUNLIN_ROOT)) drop(doc, "k");
}

/* Whoever has the same heads is equal, with messages still under way; at the end nothing is under way and all are. */
static void nested_and_scalar(void **state) {
  (void)state;
  uint64_t first = seed_first(), seeds = seed_count(300);
  for (uint64_t seed = first; seed < first + seeds; seed++) {
    struct rng rng = rng_of(seed);
    dunlin_doc *docs[actor_count];
    struct message queue[16];
    size_t waiting = 0;
    three(docs);
    char again[64];
    snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
    setenv("DUNLIN_RUNNING", again, 1);
    for (int step = 0; step < 60; step++) {
      size_t who = rng_below(&rng, actor_count);
      if (rng_chance(&rng, 1, 3)) write_nested_or_scalar(docs[who], rng_below(&rng, 4), &rng);
      else if (waiting == 16 || (waiting && rng_chance(&rng, 1, 2)))
        receive(docs, queue, &waiting, rng_below(&rng, waiting));
      else send_later(docs, who, (who + 1 + rng_below(&rng, 2)) % actor_count, queue, &waiting);
      for (size_t a = 0; a < actor_count; a++)
        if (same_heads(docs[a], docs[who])) assert_same_doc(docs[a], docs[who]);
      gives_out_what_it_has(docs[who]);
    }
    while (waiting) receive(docs, queue, &waiting, 0);
    share(docs);
    for (size_t i = 0; i < actor_count; i++) {
      assert_true(same_heads(docs[i], docs[0]));
      assert_same_doc(docs[i], docs[0]);
      assert_int_equal(dunlin_doc_pending(docs[i]), 0);
    }
    free_all(docs);
  }
  unsetenv("DUNLIN_RUNNING");
}

static void nested_wins_or_loses(const dunlin_doc *doc, const void *what) {
  struct dunlin_value v;
  (void)what;
  assert_true(number_at(doc, DUNLIN_ROOT, "k") == 7); /* equal lamports: the highest actor */
  OK(dunlin_map_conflict(doc, DUNLIN_ROOT, dunlin_key("k"), 1, &v));
  assert_int_equal(v.kind, DUNLIN_MAP);
  assert_true(number_at(doc, v.as.obj, "x") == 1);
  assert_true(number_at(doc, v.as.obj, "y") == 2); /* one child, though made by two */
  FAILS(dunlin_map_conflict(doc, DUNLIN_ROOT, dunlin_key("k"), 2, &v), DUNLIN_ENOENT);
}

static void nested_and_scalar_in_every_order(void **state) {
  (void)state;
  dunlin_doc *docs[actor_count];
  three(docs);
  put_in(docs[0], "k", "x", 1);
  put_in(docs[1], "k", "y", 2);
  put(docs[2], "k", 7);
  all_end_with(docs, actor_count, 6, nested_wins_or_loses, NULL);
  free_all(docs);
}

/* ---- Keys and forks ----------------------------------------------------------------------------------------- */

/* One makes the key, all three delete it, each after having seen it; the others' deletions find nothing.  One more
 * deletes a key that never was, in a change that does something else too.  In all orders of the actors' ids. */
static void delete_of_absent(void **state) {
  (void)state;
  static const size_t roles[][actor_count] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
    dunlin_doc *docs[actor_count], *maker;
    three(docs);
    maker = docs[roles[i][0]];
    put(maker, "k", 1);
    test_send(maker, docs[roles[i][1]]);
    test_send(maker, docs[roles[i][2]]);
    drop(maker, "k");
    drop(docs[roles[i][1]], "k");
    OK(dunlin_begin(docs[roles[i][2]]));
    OK(dunlin_map_delete(docs[roles[i][2]], DUNLIN_ROOT, dunlin_key("k")));
    OK(dunlin_map_delete(docs[roles[i][2]], DUNLIN_ROOT, dunlin_key("k")));
    OK(dunlin_map_delete(docs[roles[i][2]], DUNLIN_ROOT, dunlin_key("never")));
    OK(dunlin_map_put(docs[roles[i][2]], DUNLIN_ROOT, dunlin_key("other"), int_value(1)));
    commit(docs[roles[i][2]]);
    all_end_with(docs, actor_count, 6, key_is_absent, "k");
    OK(dunlin_begin(maker));
    OK(dunlin_map_delete(maker, DUNLIN_ROOT, dunlin_key("k")));
    assert_int_equal(dunlin_commit(maker, 0, NULL), 0); /* nothing to do: no change */
    assert_int_equal(dunlin_doc_changes(maker), 4);
    free_all(docs);
  }
}

/* Forks from now and from an earlier version, all go on, and come together. */
static void import_into_a_fork(void **state) {
  (void)state;
  dunlin_doc *docs[actor_count];
  docs[0] = test_doc(1);
  type(docs[0], 0, 0, "base");
  docs[2] = test_doc(3);
  test_send(docs[0], docs[2]); /* a fork of what there is now */
  type(docs[0], 4, 0, " text");
  docs[1] = test_doc(2);
  test_send(docs[0], docs[1]);
  type(docs[0], 0, 4, "BASE");
  type(docs[1], 9, 0, "!");
  type(docs[1], 0, 0, ">");
  type(docs[2], 4, 0, "?");
  put(docs[2], "k", 1);
  all_end_with(docs, actor_count, 45, text_is, "BASE> text!?");
  /* A fork of the fork, imported by the first. */
  dunlin_doc *again = test_doc(4);
  test_send(docs[1], again);
  type(again, 4, 1, "");
  type(docs[0], 12, 0, ".");
  test_sync(again, docs[0]);
  assert_same_doc(again, docs[0]);
  text_is(docs[0], "BASE text!?.");
  dunlin_doc_free(again);
  free_all(docs);
}

/* The text, with brackets around what is bold. */
static void marked_text_is(const dunlin_doc *doc, const void *what) {
  char text[64], shown[128];
  size_t size = dunlin_text_read(doc, at(doc, "t"), text, sizeof text), out = 0;
  struct dunlin_span span = {0};
  for (size_t i = 0; i < size; i = span.to) {
    OK(dunlin_text_span(doc, at(doc, "t"), i, &span));
    if (span.marks) shown[out++] = '[';
    for (; i < span.to; i++) shown[out++] = text[i];
    if (span.marks) shown[out++] = ']';
  }
  shown[out] = 0;
  assert_string_equal(shown, (const char *)what);
}

static void bold(dunlin_doc *doc, size_t from, size_t to, unsigned flags) {
  OK(dunlin_begin(doc));
  OK(dunlin_text_mark(doc, at(doc, "t"), from, to, dunlin_key("bold"), int_value(1), flags));
  commit(doc);
}

/* One marks abc in -abc- while another types < at its start and a third > at its end.  `typed`: whoever marks has typed
 * m and n at the edges before, which the others had not seen. */
static void mark_edges(const size_t roles[actor_count], unsigned flags, bool typed) {
  dunlin_doc *docs[actor_count];
  bool at_start = flags & DUNLIN_GROWS_AT_START, at_end = flags & DUNLIN_GROWS_AT_END;
  bool m_first = typed && roles[0] < roles[1], n_last = typed && roles[2] < roles[0];
  char expected[32];
  /* What is typed inside of m or n is in the range whatever grows. */
  snprintf(expected, sizeof expected, "-%s%s%s%sabc%s%s%s%s-", at_start || m_first ? "[" : "",
           typed && m_first ? "m" : "", at_start || m_first ? "<" : "<[", typed && !m_first ? "m" : "",
           typed && !n_last ? "n" : "", at_end || n_last ? ">" : "]>", typed && n_last ? "n" : "",
           at_end || n_last ? "]" : "");
  three(docs);
  type(docs[roles[0]], 0, 0, "-abc-");
  test_send(docs[roles[0]], docs[roles[1]]);
  test_send(docs[roles[0]], docs[roles[2]]);
  if (typed) type(docs[roles[0]], 1, 0, "m");
  if (typed) type(docs[roles[0]], 5, 0, "n");
  bold(docs[roles[0]], 1, typed ? 6 : 4, flags);
  type(docs[roles[1]], 1, 0, "<");
  type(docs[roles[2]], 4, 0, ">");
  all_end_with(docs, actor_count, typed ? 20 : 6, marked_text_is, expected);
  free_all(docs);
}

static void mark_at_both_edges(void **state) {
  (void)state;
  static const size_t roles[][actor_count] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
    for (unsigned flags = 0; flags < 4; flags++) {
      mark_edges(roles[i], flags, false);
      mark_edges(roles[i], flags, true);
    }
}

/* Two make one word bold while apart, each in a way of their own; then one of them, who has seen only their own mark,
 * types behind it: inside of both marks that grow, outside of both that do not. */
static void marks_on_one_word(void **state) {
  (void)state;
  for (unsigned grows = 0; grows <= DUNLIN_GROWS_AT_END; grows += DUNLIN_GROWS_AT_END)
    for (size_t writer = 0; writer < 2; writer++) {
      dunlin_doc *docs[actor_count];
      three(docs);
      type(docs[2], 0, 0, "-abc-");
      test_send(docs[2], docs[0]);
      test_send(docs[2], docs[1]);
      bold(docs[0], 1, 4, grows);
      bold(docs[1], 1, 4, grows);
      type(docs[writer], 4, 0, "!");
      all_end_with(docs, actor_count, 3, marked_text_is, grows ? "-[abc!]-" : "-[abc]!-");
      free_all(docs);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(forward_runs),
      cmocka_unit_test(backward_runs),
      cmocka_unit_test(runs_with_tails),
      cmocka_unit_test(local_before_concurrent),
      cmocka_unit_test(element_moved_twice),
      cmocka_unit_test(range_move_and_edit),
      cmocka_unit_test(move_then_snapshot),
      cmocka_unit_test(counter_and_delete),
      cmocka_unit_test(recreate_after_overwrite),
      cmocka_unit_test(delete_on_both_recreate_on_both),
      cmocka_unit_test(kinds_in_conflict),
      cmocka_unit_test(nested_and_scalar),
      cmocka_unit_test(nested_and_scalar_in_every_order),
      cmocka_unit_test(delete_of_absent),
      cmocka_unit_test(import_into_a_fork),
      cmocka_unit_test(mark_at_both_edges),
      cmocka_unit_test(marks_on_one_word),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (failed && getenv("DUNLIN_RUNNING")) printf("to run the last seed alone: %s\n", getenv("DUNLIN_RUNNING"));
  return failed;
}
