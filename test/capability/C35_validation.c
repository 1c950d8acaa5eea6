/* Rules of an application's own: what would break them is not committed here.  What others have committed is taken in
 * nevertheless, so that replicas stay equal; leaving that out is another matter (void changes, history.h). */
#include <dunlin/plain.h>
#include <dunlin/slice.h>
#include <dunlin/undo.h>

#include "test/capability/device.h"

struct rule {
  size_t least, most;
  int asked;
};

/* A string or a text between two lengths, in bytes. */
static int keeps_length(void *user, const dunlin_doc *doc, const struct dunlin_value *value, struct dunlin_why *why) {
  struct rule *rule = user;
  size_t len = 0;
  rule->asked++;
  if (value && value->kind == DUNLIN_STRING) len = value->as.string.len;
  if (value && value->kind == DUNLIN_TEXT) len = dunlin_text_size(doc, value->as.obj);
  if (len >= rule->least && len <= rule->most) return 0;
  snprintf(why->text, sizeof why->text, "%zu characters, not %zu to %zu", len, rule->least, rule->most);
  return -1;
}

static struct dunlin_value letters(size_t count) {
  static char many[600];
  memset(many, 'b', sizeof many);
  return dunlin_string_len(many, count);
}

static dunlin_doc *device(uint8_t actor, struct rule *bio) {
  dunlin_doc *doc = test_doc(actor);
  *bio = (struct rule){0, 500, 0};
  OK(dunlin_doc_set_validator(doc, DUNLIN_ROOT, dunlin_key("/profile/bio"), keeps_length, bio));
  return doc;
}

static dunlin_obj begin_profile(dunlin_doc *doc) {
  OK(dunlin_begin(doc));
  return dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("profile"), DUNLIN_MAP);
}

static void a_bio_of_501_characters(void **state) {
  (void)state;
  struct rule bio;
  struct dunlin_why why;
  struct dunlin_value value;
  dunlin_doc *doc = device(1, &bio);
  dunlin_obj profile = begin_profile(doc);
  OK(dunlin_map_put(doc, profile, dunlin_key("bio"), letters(501)));
  OK(dunlin_map_put(doc, profile, dunlin_key("name"), dunlin_string("Ann")));
  FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_EINVAL);
  assert_int_equal(dunlin_doc_changes(doc), 0);
  assert_int_equal(dunlin_txn_error(doc), 0); /* still open, with all that was written */
  FAILS(dunlin_txn_validate(doc, &why), DUNLIN_EINVAL);
  assert_string_equal(why.text, "/profile/bio: 501 characters, not 0 to 500");
  OK(dunlin_path_get(doc, DUNLIN_ROOT, dunlin_key("/profile/bio"), &value));
  assert_int_equal(value.as.string.len, 501);
  OK(dunlin_map_put(doc, profile, dunlin_key("bio"), letters(500)));
  OK(dunlin_txn_validate(doc, NULL));
  assert_int_equal(dunlin_commit(doc, 0, NULL), 1);
  OK(dunlin_path_get(doc, DUNLIN_ROOT, dunlin_key("/profile/name"), &value));
  assert_string(value, "Ann");
  profile = begin_profile(doc);
  OK(dunlin_map_put(doc, profile, dunlin_key("bio"), letters(501)));
  FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_EINVAL);
  dunlin_abort(doc); /* the other way out */
  FAILS(dunlin_txn_error(doc), DUNLIN_ESTATE);
  OK(dunlin_path_get(doc, DUNLIN_ROOT, dunlin_key("/profile/bio"), &value));
  assert_int_equal(value.as.string.len, 500);
  dunlin_doc_free(doc);
}

/* Whatever way it is written. */
static void every_way_there_is_asked_about(void **state) {
  (void)state;
  struct rule bio, name = {3, 100, 0};
  dunlin_doc *doc = device(1, &bio);
  dunlin_undo *undo;
  OK(dunlin_doc_set_validator(doc, DUNLIN_ROOT, dunlin_key("/profile/name"), keeps_length, &name));
  dunlin_obj profile = begin_profile(doc);
  FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_EINVAL); /* no name yet */
  OK(dunlin_map_put(doc, profile, dunlin_key("name"), dunlin_string("Ann")));
  dunlin_obj text = dunlin_map_child(doc, profile, dunlin_key("bio"), DUNLIN_TEXT);
  OK(dunlin_text_splice(doc, text, 0, 0, "plays the harp", 14));
  assert_int_equal(dunlin_commit(doc, 0, NULL), 1);
  OK(dunlin_undo_new(doc, 10, &undo));
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, text, 0, 0, letters(500).as.string.data, 500));
  FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_EINVAL);
  dunlin_abort(doc);
  OK(dunlin_begin(doc));
  OK(dunlin_map_delete(doc, DUNLIN_ROOT, dunlin_key("profile")));
  FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_EINVAL); /* takes the name away */
  dunlin_abort(doc);
  struct dunlin_path_op op = {.kind = DUNLIN_OP_SET, .path = dunlin_key("/profile"), .value = {"\x81\xa4name\xa1x", 8}};
  OK(dunlin_begin(doc));
  OK(dunlin_path_apply(doc, DUNLIN_ROOT, &op));
  FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_EINVAL);
  dunlin_abort(doc);
  dunlin_slice *slice;
  OK(dunlin_slice_new(doc, dunlin_key("/profile"), &slice));
  op.path = dunlin_key("");
  FAILS(dunlin_slice_apply(slice, &op, 1, 0), DUNLIN_EINVAL);
  dunlin_slice_free(slice);
  int asked = bio.asked + name.asked;
  put(doc, "theme", dunlin_string("dark")); /* elsewhere: nobody is asked */
  begin_profile(doc);
  OK(dunlin_map_put(doc, profile, dunlin_key("town"), dunlin_string("Ely")));
  assert_int_equal(dunlin_commit(doc, 0, NULL), 1);
  assert_int_equal(bio.asked + name.asked, asked);
  name.least = 4; /* what an undo would bring back is judged as well */
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, profile, dunlin_key("name"), dunlin_string("Anna")));
  assert_int_equal(dunlin_commit(doc, 0, NULL), 1);
  FAILS(dunlin_undo_back(undo, 0, NULL), DUNLIN_EINVAL);
  FAILS(dunlin_txn_error(doc), DUNLIN_ESTATE); /* nothing is left open */
  OK(dunlin_doc_set_validator(doc, DUNLIN_ROOT, dunlin_key("/profile/name"), NULL, NULL));
  assert_int_equal(dunlin_undo_back(undo, 0, NULL), 1);
  dunlin_undo_free(undo);
  dunlin_doc_free(doc);
}

/* A device without the rule writes what breaks it: replicas stay equal, and what is not concerned can be written. */
static void what_others_wrote_is_taken_in(void **state) {
  (void)state;
  struct rule bio;
  dunlin_doc *a = device(1, &bio), *b = test_doc(2);
  dunlin_obj profile = begin_profile(b);
  OK(dunlin_map_put(b, profile, dunlin_key("bio"), letters(501)));
  assert_int_equal(dunlin_commit(b, 0, NULL), 1);
  test_sync(a, b);
  assert_same_doc(a, b);
  profile = begin_profile(a);
  OK(dunlin_map_put(a, profile, dunlin_key("name"), dunlin_string("Ann")));
  assert_int_equal(dunlin_commit(a, 0, NULL), 1);
  assert_int_equal(bio.asked, 0);
  dunlin_doc_free(a);
  dunlin_doc_free(b);
}

/* It does not matter how the document is made again. */
static void void_changes_leave_the_rules(void **state) {
  (void)state;
  struct rule bio;
  struct dunlin_id id;
  dunlin_doc *doc = device(1, &bio);
  OK(dunlin_begin(doc));
  OK(dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("k"), dunlin_int(1)));
  OK(dunlin_commit(doc, 0, &id));
  OK(dunlin_doc_set_void(doc, &id, 1));
  OK(dunlin_map_put(doc, begin_profile(doc), dunlin_key("bio"), letters(501)));
  FAILS(dunlin_doc_set_validator(doc, DUNLIN_ROOT, dunlin_key(""), NULL, NULL), DUNLIN_ESTATE);
  FAILS(dunlin_commit(doc, 0, NULL), DUNLIN_EINVAL);
  dunlin_abort(doc);
  FAILS(dunlin_doc_set_validator(doc, DUNLIN_ROOT, dunlin_key("no/path"), keeps_length, &bio), DUNLIN_EPATH);
  dunlin_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_bio_of_501_characters),
      cmocka_unit_test(every_way_there_is_asked_about),
      cmocka_unit_test(what_others_wrote_is_taken_in),
      cmocka_unit_test(void_changes_leave_the_rules),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
