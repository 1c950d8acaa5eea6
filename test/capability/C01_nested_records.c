/* Trees of records with keys: what three devices write while apart is all there when they have met. */
#include <dunlin/plain.h>

#include "test/capability/device.h"

enum { devices = 3, records = 10, fields = 10 };

/* Ten records of ten fields, a level down in a branch that all share, and each in a record that all share: 100 keys. */
static void write_own(dunlin_doc *doc, int device) {
  OK(dunlin_begin(doc));
  dunlin_obj people = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("people"), DUNLIN_MAP);
  for (int r = 0; r < records; r++) {
    char key[16];
    snprintf(key, sizeof key, "p%d", r);
    dunlin_obj person = dunlin_map_child(doc, people, dunlin_key(key), DUNLIN_MAP);
    for (int f = 0; f < fields; f++) {
      snprintf(key, sizeof key, "f%d.%d", device, f);
      OK(dunlin_map_put(doc, person, dunlin_key(key), dunlin_int(device * 1000 + r * 10 + f)));
    }
  }
  OK(dunlin_commit(doc, 0, NULL));
}

static void assert_all_there(const dunlin_doc *doc) {
  for (int d = 0; d < devices; d++) {
    for (int r = 0; r < records; r++) {
      for (int f = 0; f < fields; f++) {
        char path[64];
        struct dunlin_value value;
        snprintf(path, sizeof path, "/people/p%d/f%d.%d", r, d, f);
        OK(dunlin_path_get(doc, DUNLIN_ROOT, dunlin_key(path), &value));
        assert_int(value, d * 1000 + r * 10 + f);
      }
    }
  }
}

static void what_three_write_apart_is_all_there(void **state) {
  dunlin_doc *docs[devices];
  struct dunlin_value people, person;
  (void)state;
  for (uint8_t i = 0; i < devices; i++) write_own(docs[i] = test_doc((uint8_t)(i + 1)), i);
  sync_all(docs, devices);
  for (size_t i = 0; i < devices; i++) {
    assert_all_there(docs[i]);
    assert_same_doc(docs[0], docs[i]);
    OK(dunlin_map_get(docs[i], DUNLIN_ROOT, dunlin_key("people"), &people));
    assert_int_equal(dunlin_map_size(docs[i], people.as.obj), records);
    OK(dunlin_map_get(docs[i], people.as.obj, dunlin_key("p7"), &person));
    assert_int_equal(dunlin_map_size(docs[i], person.as.obj), devices * fields);
  }
  for (size_t i = 0; i < devices; i++) dunlin_doc_free(docs[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_three_write_apart_is_all_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
