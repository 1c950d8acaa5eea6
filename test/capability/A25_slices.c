/* One part of an app gets a handle to one part of the document, and can neither read nor write the rest. */
#include <dunlin/slice.h>

#include "test/support/support.h"

static struct dunlin_bytes plain(const char *bytes) {
  return dunlin_key(bytes);
}

static dunlin_doc *shop(void) {
  dunlin_doc *doc = test_doc(1);
  OK(dunlin_begin(doc));
  dunlin_obj cart = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("cart"), DUNLIN_MAP);
  dunlin_obj user = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("user"), DUNLIN_MAP);
  OK(dunlin_map_put(doc, cart, dunlin_key("total"), int_value(7)));
  OK(dunlin_map_put(doc, user, dunlin_key("name"), str_value("Ann")));
  OK(dunlin_commit(doc, 0, NULL));
  return doc;
}

static void only_its_own_part(void **state) {
  (void)state;
  dunlin_doc *doc = shop();
  dunlin_slice *cart, *none = NULL;
  struct dunlin_value v;
  void *bytes;
  size_t len;
  OK(dunlin_slice_new(doc, dunlin_key("/cart"), &cart));
  OK(dunlin_slice_get(cart, dunlin_key("/total"), &v));
  assert_int_equal(v.as.integer, 7);
  OK(dunlin_slice_get(cart, dunlin_key(""), &v));
  assert_int_equal(v.kind, DUNLIN_MAP);
  assert_int_equal(v.as.obj.index, DUNLIN_NONE.index);
  static const char *const outside[] = {"/user/name", "/../user/name", "user", "/cart/total", "/total/..", "//user"};
  for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
    FAILS(dunlin_slice_get(cart, dunlin_key(outside[i]), &v), DUNLIN_EPATH);
    FAILS(dunlin_slice_read(cart, dunlin_key(outside[i]), &bytes, &len), DUNLIN_EPATH);
  }
  OK(dunlin_slice_read(cart, dunlin_key(""), &bytes, &len));
  assert_int_equal(len, 8); /* {"total": 7} */
  dunlin_free(NULL, bytes, len);
  FAILS(dunlin_slice_read(cart, dunlin_key("/total"), &bytes, &len), DUNLIN_EKIND);
  struct dunlin_path_op op = {.kind = DUNLIN_OP_SET,
                              .path = dunlin_key("/user/name"),
                              .value = plain("\xa3"
                                             "Bob")};
  OK(dunlin_slice_apply(cart, &op, 1, 0)); /* a user of the cart */
  OK(dunlin_path_get(doc, DUNLIN_ROOT, dunlin_key("/user/name"), &v));
  assert_memory_equal(v.as.string.data, "Ann", 3);
  OK(dunlin_path_get(doc, DUNLIN_ROOT, dunlin_key("/cart/user/name"), &v));
  FAILS(dunlin_slice_new(doc, dunlin_key(""), &none), DUNLIN_EPATH);
  FAILS(dunlin_slice_new(doc, dunlin_key("cart"), &none), DUNLIN_EPATH);
  FAILS(dunlin_slice_part(cart, dunlin_key("/~5"), &none), DUNLIN_EPATH);
  dunlin_slice_free(cart);
  dunlin_slice_free(none);
  dunlin_doc_free(doc);
}

static void writes_are_whole(void **state) {
  (void)state;
  dunlin_doc *doc = shop();
  dunlin_slice *cart;
  struct dunlin_value v;
  OK(dunlin_slice_new(doc, dunlin_key("/cart"), &cart));
  struct dunlin_path_op ops[] = {{.kind = DUNLIN_OP_SET, .path = dunlin_key("/total"), .value = plain("\x08")},
                                 {.kind = DUNLIN_OP_REMOVE, .path = dunlin_key("/items"), .index = 0}};
  FAILS(dunlin_slice_apply(cart, ops, 2, 0), DUNLIN_EPATH);
  OK(dunlin_slice_get(cart, dunlin_key("/total"), &v));
  assert_int_equal(v.as.integer, 7);
  assert_int_equal(dunlin_slice_apply(cart, ops, 1, 0), 1);
  assert_int_equal(dunlin_slice_apply(cart, ops, 1, 0), 0);
  OK(dunlin_slice_get(cart, dunlin_key("/total"), &v));
  assert_int_equal(v.as.integer, 8);
  dunlin_slice_free(cart);
  dunlin_doc_free(doc);
}

static void events_are_relative(void **state) {
  (void)state;
  dunlin_doc *doc = shop();
  dunlin_slice *cart, *items;
  struct dunlin_event e;
  OK(dunlin_slice_new(doc, dunlin_key("/cart"), &cart));
  OK(dunlin_slice_part(cart, dunlin_key("/items"), &items));
  OK(dunlin_slice_watch(items, dunlin_key(""), 4));
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("carton"), int_value(1)));
  OK(dunlin_commit(doc, 0, NULL));
  assert_int_equal(dunlin_next_event(doc, &e), 0);
  struct dunlin_path_op op = {.kind = DUNLIN_OP_SET, .path = dunlin_key("/milk"), .value = plain("\x02")};
  OK(dunlin_slice_apply(items, &op, 1, 0));
  assert_int_equal(dunlin_next_event(doc, &e), 1);
  struct dunlin_event same = e;
  assert_true(dunlin_slice_event(cart, &same));
  assert_int_equal(same.path.len, strlen("/items"));
  assert_true(dunlin_slice_event(items, &e));
  assert_int_equal(e.path.len, 0); /* the map has come, with what is in it */
  assert_int_equal(dunlin_next_event(doc, &e), 0);
  op.value = plain("\x03");
  OK(dunlin_slice_apply(items, &op, 1, 0));
  assert_int_equal(dunlin_next_event(doc, &e), 1);
  assert_true(dunlin_slice_event(items, &e));
  assert_int_equal(e.path.len, strlen("/milk"));
  assert_memory_equal(e.path.data, "/milk", e.path.len);
  assert_int_equal(e.obj.index, DUNLIN_NONE.index);
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("cart"), int_value(0))); /* takes the part away */
  OK(dunlin_commit(doc, 0, NULL));
  assert_int_equal(dunlin_next_event(doc, &e), 1);
  same = e;
  assert_true(dunlin_slice_event(items, &same));
  assert_int_equal(same.kind, DUNLIN_EVENT_RESET);
  assert_true(dunlin_slice_event(cart, &e));
  assert_int_equal(e.kind, DUNLIN_EVENT_KEY);
  dunlin_slice_free(cart);
  dunlin_slice_free(items);
  dunlin_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(only_its_own_part),
      cmocka_unit_test(writes_are_whole),
      cmocka_unit_test(events_are_relative),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
