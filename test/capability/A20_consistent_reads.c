/* A reader with a copy of the document sees one version, while another thread writes ten thousand changes. */
#include <dunlin/history.h>
#include <pthread.h>

#include "test/support/support.h"

enum { writes = 10000, fields = 8 };

/* All fields are written together, always with one number. */
static void write_record(dunlin_doc *doc, int64_t n) {
  OK(dunlin_begin(doc));
  dunlin_obj record = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("record"), DUNLIN_MAP);
  for (char key[] = "a"; *key < 'a' + fields; ++*key) OK(dunlin_map_put(doc, record, dunlin_key(key), int_value(n)));
  OK(dunlin_commit(doc, 0, NULL));
}

static void *write_on(void *ctx) {
  for (int64_t n = 1; n <= writes; n++) write_record(ctx, n);
  return NULL;
}

static int64_t read_record(const dunlin_doc *doc) {
  struct dunlin_value record, v;
  int64_t n = -1;
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("record"), &record));
  for (char key[] = "a"; *key < 'a' + fields; ++*key) {
    OK(dunlin_map_get(doc, record.as.obj, dunlin_key(key), &v));
    if (n < 0) n = v.as.integer;
    assert_int_equal(v.as.integer, n); /* no torn record */
  }
  return n;
}

static void a_copy_stays(void **state) {
  (void)state;
  dunlin_doc *doc = test_doc(1), *copy;
  struct dunlin_actor reader = {{9}};
  struct dunlin_id before, after;
  pthread_t writer;
  write_record(doc, 0);
  OK(dunlin_doc_hash(doc, &before));
  OK(dunlin_doc_copy(doc, &reader, &copy));
  assert_int_equal(pthread_create(&writer, NULL, write_on, doc), 0);
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(read_record(copy), 0);
    OK(dunlin_doc_hash(copy, &after));
    assert_memory_equal(&after, &before, sizeof after);
  }
  assert_int_equal(pthread_join(writer, NULL), 0);
  assert_int_equal(read_record(copy), 0);
  assert_int_equal(read_record(doc), writes);
  dunlin_doc_free(copy);
  OK(dunlin_doc_copy(doc, &reader, &copy));
  assert_int_equal(read_record(copy), writes);
  dunlin_doc_free(copy);
  dunlin_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_copy_stays)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
