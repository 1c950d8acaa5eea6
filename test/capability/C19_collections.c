/* Collections by key: add, update, delete; one who deletes and one who updates at the same time leave no half
 * record. */
#include <dunlin/plain.h>

#include "test/capability/device.h"

static void add_job(dunlin_doc *doc) {
  OK(dunlin_begin(doc));
  dunlin_obj jobs = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("jobs"), DUNLIN_MAP);
  dunlin_obj job = dunlin_map_child(doc, jobs, dunlin_key("j1"), DUNLIN_MAP);
  OK(dunlin_map_put(doc, job, dunlin_key("title"), dunlin_string("render")));
  OK(dunlin_map_put(doc, job, dunlin_key("progress"), dunlin_int(10)));
  dunlin_map_child(doc, jobs, dunlin_key("j2"), DUNLIN_MAP);
  OK(dunlin_commit(doc, 0, NULL));
}

static void delete_job(dunlin_doc *doc) {
  dunlin_obj jobs = child(doc, "jobs", DUNLIN_MAP);
  OK(dunlin_begin(doc));
  OK(dunlin_map_delete(doc, jobs, dunlin_key("j1")));
  assert_int_equal(dunlin_commit(doc, 0, NULL), 1);
}

static void update_job(dunlin_doc *doc, bool keep) {
  struct dunlin_value job;
  dunlin_obj jobs = child(doc, "jobs", DUNLIN_MAP);
  OK(dunlin_map_get(doc, jobs, dunlin_key("j1"), &job));
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, job.as.obj, dunlin_key("progress"), dunlin_int(90)));
  if (keep) OK(dunlin_map_touch(doc, jobs, dunlin_key("j1")));
  assert_int_equal(dunlin_commit(doc, 0, NULL), 1);
}

/* Delete wins over what is changed inside, unless the editor says that the record is to stay: then all of it stays. */
static void deleted_or_whole(void **state) {
  (void)state;
  for (int keep = 0; keep < 2; keep++) {
    dunlin_doc *docs[2] = {test_doc(1), test_doc(2)};
    struct dunlin_value value;
    add_job(docs[0]);
    test_sync(docs[0], docs[1]);
    delete_job(docs[0]);
    update_job(docs[1], keep);
    test_sync(docs[0], docs[1]);
    for (int i = 0; i < 2; i++) {
      OK(dunlin_path_get(docs[i], DUNLIN_ROOT, dunlin_key("/jobs/j2"), &value));
      if (keep) {
        OK(dunlin_path_get(docs[i], DUNLIN_ROOT, dunlin_key("/jobs/j1/title"), &value));
        assert_string(value, "render");
        OK(dunlin_path_get(docs[i], DUNLIN_ROOT, dunlin_key("/jobs/j1/progress"), &value));
        assert_int(value, 90);
      } else {
        FAILS(dunlin_path_get(docs[i], DUNLIN_ROOT, dunlin_key("/jobs/j1"), &value), DUNLIN_EPATH);
      }
    }
    assert_same_doc(docs[0], docs[1]);
    for (int i = 0; i < 2; i++) dunlin_doc_free(docs[i]);
  }
}

static void a_record_made_again_is_a_fresh_one(void **state) {
  dunlin_doc *a = test_doc(1), *b = test_doc(2);
  struct dunlin_value value;
  (void)state;
  add_job(a);
  test_sync(a, b);
  delete_job(a);
  update_job(b, false);
  dunlin_obj jobs = child(a, "jobs", DUNLIN_MAP);
  OK(dunlin_begin(a));
  dunlin_obj job = dunlin_map_child(a, jobs, dunlin_key("j1"), DUNLIN_MAP);
  OK(dunlin_map_put(a, job, dunlin_key("title"), dunlin_string("upload")));
  OK(dunlin_commit(a, 0, NULL));
  test_sync(a, b);
  OK(dunlin_path_get(b, DUNLIN_ROOT, dunlin_key("/jobs/j1/title"), &value));
  assert_string(value, "upload");
  FAILS(dunlin_path_get(b, DUNLIN_ROOT, dunlin_key("/jobs/j1/progress"), &value), DUNLIN_EPATH);
  assert_same_doc(a, b);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(deleted_or_whole),
      cmocka_unit_test(a_record_made_again_is_a_fresh_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
