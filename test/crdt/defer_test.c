/* Texts and lists that lag behind: what comes from others is judged when it comes, exactly, though it shows only when
 * somebody reads. */
#include "crdt/internal.h"
#include "test/fault/seeded.h"
#include "test/support/changes.h"

enum { kinds = 2 };
static const enum dunlin_kind both[kinds] = {DUNLIN_TEXT, DUNLIN_LIST};

/* The default environment by another address: builds with DUNLIN_CHECK look at every document of the default one after
 * each change, and looking brings in what waits. */
static const struct dunlin_env *unwatched(void) {
  static struct dunlin_env env;
  env = *dunlin_env_default();
  return &env;
}

static dunlin_doc *waiting_doc(uint8_t actor) {
  struct dunlin_id id = test_id(1);
  struct dunlin_actor a = {{actor}};
  dunlin_doc *doc = NULL;
  OK(dunlin_doc_new(unwatched(), &id, &a, &doc));
  return doc;
}

static dunlin_obj obj_of(const dunlin_doc *doc) {
  struct dunlin_value value;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("s"), &value));
  return value.as.obj;
}

static bool lags(const dunlin_doc *doc) {
  struct container *c = doc->containers[obj_of(doc).index];
  const struct op_run *last = &c->log.runs[c->log.count - 1];
  return last->lv + last->len > sequence_of(c)->shown;
}

static size_t size_of(const dunlin_doc *doc) {
  enum dunlin_kind kind = dunlin_obj_kind(doc, obj_of(doc));
  return kind == DUNLIN_TEXT ? dunlin_text_size(doc, obj_of(doc)) : dunlin_list_size(doc, obj_of(doc));
}

/* One change: `remove` items at `at`, then `put` new ones there. */
static void edit(dunlin_doc *doc, enum dunlin_kind kind, size_t at, size_t remove, size_t put) {
  OK(dunlin_begin(doc));
  dunlin_obj obj = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("s"), kind);
  if (kind == DUNLIN_TEXT) OK(dunlin_text_splice(doc, obj, at, remove, "xxxxxxxx", put));
  else {
    OK(dunlin_list_delete(doc, obj, at, remove));
    for (size_t i = 0; i < put; i++) OK(dunlin_list_insert(doc, obj, at, int_value((int64_t)i)));
  }
  OK(dunlin_commit(doc, 0, NULL));
}

/* A document with items of its own and a branch that came in turns with them, which waits; and the branch's author. */
static dunlin_doc *lagging(enum dunlin_kind kind, dunlin_doc **author) {
  dunlin_doc *doc = waiting_doc(1);
  *author = waiting_doc(2);
  edit(doc, kind, 0, 0, 6);
  test_send(doc, *author);
  for (int i = 0; i < 3; i++) {
    edit(doc, kind, 0, 0, 2);
    edit(*author, kind, 1, 2, 1);
    assert_int_equal(test_send(*author, doc).applied, 1);
  }
  edit(*author, kind, 0, 1, 0);
  assert_int_equal(test_send(*author, doc).applied, 1);
  assert_true(lags(doc));
  return doc;
}

struct write {
  uint8_t kind;
  size_t at, len;
  int64_t value; /* of moves the target */
};

/* Takes in a change by somebody new, of that one row, on the author's last one; whether it was accepted. */
static bool accepts(dunlin_doc *doc, const dunlin_doc *author, struct write row, uint8_t actor) {
  const struct dunlin_actor name = {{actor, 1}};
  struct buf change;
  size_t count;
  const struct dunlin_id *heads = dunlin_doc_heads(author, &count);
  buf_init(&change, dunlin_env_default(), 1 << 16);
  write_head(&change,
             row.kind & OP_VALUES ? 6
             : row.kind & OP_TEXT ? 5
                                  : 4,
             heads, 1, &name, 0, &doc->containers[obj_of(doc).index]->id);
  mp_write_array(&change, 3);
  write_row(&change, row.kind, row.at, row.len);
  if (row.kind & (OP_TEXT | OP_VALUES)) mp_write_str(&change, "x", row.kind == OP_TEXT_INSERT);
  if (row.kind & OP_VALUES) mp_write_array(&change, 1);
  if (row.kind & OP_VALUES) mp_write_int(&change, row.value);
  struct change_id_bytes one = named(&change);
  struct dunlin_applied applied = give_change(doc, &one);
  assert_int_equal(applied.applied + applied.refused, 1);
  buf_free(&change);
  return applied.applied;
}

static void an_index_is_judged_at_its_version_while_the_rest_waits(void **state) {
  (void)state;
  for (int i = 0; i < kinds; i++) {
    dunlin_doc *author, *doc = lagging(both[i], &author);
    bool list = both[i] == DUNLIN_LIST;
    size_t size = size_of(author);
    uint8_t insert = list ? OP_LIST_INSERT : OP_TEXT_INSERT;
    assert_false(accepts(doc, author, (struct write){OP_DELETE, size, 1, 0}, 10));
    assert_false(accepts(doc, author, (struct write){OP_DELETE, 0, size + 1, 0}, 11));
    assert_false(accepts(doc, author, (struct write){insert, size + 1, 1, 0}, 12));
    if (list) {
      assert_false(accepts(doc, author, (struct write){OP_LIST_SET, size, 1, 0}, 13));
      assert_false(accepts(doc, author, (struct write){OP_LIST_MOVE, size, 1, 0}, 14));
      assert_false(accepts(doc, author, (struct write){OP_LIST_MOVE, 0, 1, (int64_t)size + 1}, 15));
    }
    assert_true(lags(doc)); /* and none of these had it walked in */
    assert_int_equal(dunlin_doc_changes(doc), 8);
    assert_true(accepts(doc, author, (struct write){insert, size, 1, 0}, 20));
    assert_true(accepts(doc, author, (struct write){OP_DELETE, 0, size, 0}, 21));
    if (list) {
      assert_true(accepts(doc, author, (struct write){OP_LIST_SET, size - 1, 1, 0}, 22));
      assert_true(accepts(doc, author, (struct write){OP_LIST_MOVE, 0, 1, (int64_t)size}, 23));
    }
    OK(doc_check(doc, true));
    dunlin_doc_free(author);
    dunlin_doc_free(doc);
  }
}

static void what_waits_can_be_decoded_around(void **state) {
  (void)state;
  for (int i = 0; i < kinds; i++) {
    dunlin_doc *doc = NULL, *author = test_doc(2), *other = test_doc(1);
    const struct dunlin_actor actor = {{3}};
    struct dunlin_change_info info;
    void *file, *delta;
    size_t len, heads;
    edit(other, both[i], 0, 0, 6);
    edit(other, both[i], 1, 2, 1);
    test_send(other, author);
    OK(dunlin_doc_save(other, &file, &len));
    OK(dunlin_doc_load(unwatched(), file, len, &actor, &doc));
    dunlin_free(NULL, file, len);
    for (int k = 0; k < 4; k++) {
      edit(doc, both[i], 0, 0, 2);
      const struct dunlin_id since = *dunlin_doc_heads(author, &heads);
      edit(author, both[i], 1, 1, 2);
      OK(dunlin_doc_delta(author, &since, 1, &delta, &len));
      OK(dunlin_doc_apply(doc, delta, len, NULL));
      dunlin_free(NULL, delta, len);
    }
    assert_true(lags(doc) && doc->file);
    OK(dunlin_doc_change_at(doc, 0, &info)); /* which is in the file */
    assert_true(lags(doc) && !doc->file);
    test_send(doc, author);
    assert_same_doc(doc, author);
    OK(doc_check(doc, true));
    dunlin_doc_free(doc);
    dunlin_doc_free(author);
    dunlin_doc_free(other);
  }
}

static void note(dunlin_doc *doc, int64_t value) {
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("note"), int_value(value)));
  OK(dunlin_commit(doc, 0, NULL));
}

/* Nor does it have to be shown when its author writes elsewhere in between. */
static void it_waits_though_its_author_does_other_things_too(void **state) {
  (void)state;
  for (int i = 0; i < kinds; i++) {
    dunlin_doc *author, *doc = lagging(both[i], &author), *plain = test_doc(9);
    struct sequence *s = sequence_of(doc->containers[obj_of(doc).index]);
    uint32_t shown = s->shown;
    dunlin_doc *other = test_doc(3);
    note(author, 1);
    test_send(author, other); /* somebody else goes on with the branch */
    note(other, 2);
    edit(other, both[i], 0, 1, 2);
    test_send(other, doc);
    assert_int_equal(s->shown, shown);
    note(author, 3); /* and it forks */
    test_send(author, doc);
    assert_int_equal(s->shown, shown);
    test_send(doc, plain);
    assert_same_doc(doc, plain);
    assert_true(s->shown > shown);
    OK(doc_check(doc, true));
    dunlin_doc_free(other);
    dunlin_doc_free(plain);
    dunlin_doc_free(author);
    dunlin_doc_free(doc);
  }
}

/* Reading between changes, or during a transaction that is about something else, shows all that is there. */
static void what_waits_shows_whenever_it_is_read(void **state) {
  (void)state;
  for (int i = 0; i < kinds; i++) {
    dunlin_doc *author, *doc = lagging(both[i], &author), *plain = test_doc(9);
    test_send(doc, plain);
    size_t size = size_of(plain);
    OK(dunlin_begin(doc));
    OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("k"), int_value(1)));
    assert_true(lags(doc));
    assert_int_equal(size_of(doc), size);
    assert_false(lags(doc));
    dunlin_abort(doc);
    assert_same_doc(doc, plain);
    edit(author, both[i], 0, 0, 1);
    edit(author, both[i], 0, 0, 1);
    test_send(author, doc);
    assert_true(lags(doc));
    edit(doc, both[i], size, 0, 3); /* a local edit counts what shows */
    assert_int_equal(size_of(doc), size + 5);
    OK(doc_check(doc, true));
    dunlin_doc_free(plain);
    dunlin_doc_free(author);
    dunlin_doc_free(doc);
  }
}

static void set_all(dunlin_doc *doc, const char *value) {
  OK(dunlin_begin(doc));
  for (size_t i = size_of(doc); i-- > 0;) OK(dunlin_list_set(doc, obj_of(doc), i, str_value(value)));
  OK(dunlin_list_move(doc, obj_of(doc), 0, size_of(doc) - 1));
  OK(dunlin_commit(doc, 0, NULL));
}

/* A list's registers and order are taken back when only some of what waits could be brought in. */
static void a_list_that_could_not_be_read_is_as_it_was(void **state) {
  (void)state;
  dunlin_doc *from = test_doc(1), *authors[2] = {test_doc(2), test_doc(3)}, *doc = NULL;
  const struct dunlin_actor actor = {{5}};
  const struct dunlin_id id = test_id(1);
  struct dunlin_value value;
  struct seeded s;
  uint64_t failed = 0;
  edit(from, DUNLIN_LIST, 0, 0, 6);
  test_send(from, authors[0]);
  test_send(from, authors[1]);
  for (int i = 0; i < 8; i++) {
    set_all(authors[i % 2], i % 2 ? "one" : "two");
    edit(authors[i % 2], DUNLIN_LIST, 1, 1, 1);
    test_send(authors[i % 2], from);
  }
  seeded_init(&s, 1);
  OK(dunlin_doc_new(&s.env, &id, &actor, &doc));
  test_send(from, doc);
  assert_true(lags(doc));
  const struct container *c = doc->containers[obj_of(doc).index];
  const struct list *list = &c->as.list->list;
  size_t before = list->size;
  for (uint64_t n = 1; lags(doc); n++) {
    s.allocations = 0;
    s.fail_at = n;
    if (dunlin_list_size(doc, obj_of(doc)) != SIZE_MAX) continue;
    failed++;
    s.allocations = 0;
    FAILS(dunlin_list_get(doc, obj_of(doc), 0, &value), DUNLIN_ENOMEM);
    s.fail_at = 0;
    assert_int_equal(list->size, before);
    OK(list_agrees(list, &doc->graph, &c->log, &doc->voids, &doc->values, c->as.list->sequence.shown));
  }
  s.fail_at = 0;
  assert_true(failed > 20);
  assert_same_doc(doc, from);
  OK(doc_check(doc, true));
  dunlin_doc_free(doc);
  dunlin_doc_free(from);
  dunlin_doc_free(authors[0]);
  dunlin_doc_free(authors[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_index_is_judged_at_its_version_while_the_rest_waits),
      cmocka_unit_test(what_waits_can_be_decoded_around),
      cmocka_unit_test(it_waits_though_its_author_does_other_things_too),
      cmocka_unit_test(what_waits_shows_whenever_it_is_read),
      cmocka_unit_test(a_list_that_could_not_be_read_is_as_it_was),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
