/* Values as JSON and back, places made equal, and differences, on documents in memory. */
#include "cli/assign.h"
#include "cli/diff.h"
#include "cli/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse(const char *text) {
  json_error_t error;
  json_t *json = json_loads(text, JSON_FLAGS, &error);
  if (!json) fail_msg("%s: %s", text, error.text);
  return json;
}

static void assert_line(const json_t *json, const char *expected) {
  char *line = json_line(json);
  assert_non_null(line);
  assert_string_equal(line, expected);
  free(line);
}

/* ---- Scalars ------------------------------------------------------------------------------------------------ */

static void test_times(void **state) {
  (void)state;
  static const struct {
    int64_t us;
    const char *text;
  } cases[] = {
      {0, "{\"$time\": \"1970-01-01T00:00:00Z\"}"},
      {-1, "{\"$time\": \"1969-12-31T23:59:59.999999Z\"}"},
      {1, "{\"$time\": \"1970-01-01T00:00:00.000001Z\"}"},
      {-62167219200000000, "{\"$time\": \"0000-01-01T00:00:00Z\"}"},
      {-62167219200000001, "{\"$time\": -62167219200000001}"},
      {253402300799999999, "{\"$time\": \"9999-12-31T23:59:59.999999Z\"}"},
      {253402300800000000, "{\"$time\": 253402300800000000}"},
      {951782400000000, "{\"$time\": \"2000-02-29T00:00:00Z\"}"},
      {INT64_MIN, "{\"$time\": -9223372036854775808}"},
      {INT64_MAX, "{\"$time\": 9223372036854775807}"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct dunlin_value value = {.kind = DUNLIN_TIME, .as.time = cases[i].us}, back;
    json_t *json = json_from_value(NULL, &value, TEXTS_PLAIN);
    void *owned;
    assert_line(json, cases[i].text);
    assert_int_equal(json_to_value(json, &back, &owned), 0);
    assert_int_equal(back.kind, DUNLIN_TIME);
    assert_true(back.as.time == cases[i].us);
    json_decref(json);
  }
}

static void test_floats(void **state) {
  (void)state;
  const double cases[] = {0.0,        -0.0, 0.1,      1.0 / 3,  1e22, 5e-324, 1.7976931348623157e308,
                          -123456.75, NAN,  INFINITY, -INFINITY};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct dunlin_value value = {.kind = DUNLIN_FLOAT, .as.real = cases[i]}, back;
    json_t *json = json_from_value(NULL, &value, TEXTS_PLAIN);
    char *line = json_line(json);
    json_t *again = parse(line);
    void *owned;
    assert_int_equal(json_to_value(again, &back, &owned), 0);
    assert_int_equal(back.kind, DUNLIN_FLOAT);
    assert_true(isnan(cases[i]) ? isnan(back.as.real) : memcmp(&back.as.real, &cases[i], sizeof cases[i]) == 0);
    free(line);
    json_decref(json);
    json_decref(again);
  }
}

static void test_keys(void **state) {
  (void)state;
  static const struct {
    const char *key;
    size_t len;
    const char *json;
  } cases[] = {{"", 0, ""},
               {"a", 1, "a"},
               {"$", 1, "$$"},
               {"$$a", 3, "$$$a"},
               {"a$", 2, "a$"},
               {"a\0b", 3, "$key:YQBi"},
               {"\0", 1, "$key:AA=="},
               {"$key:AA==", 9, "$$key:AA=="}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t len = 0, back_len = 0;
    char *json = json_key_from(cases[i].key, cases[i].len, &len);
    assert_string_equal(json, cases[i].json);
    assert_int_equal(len, strlen(cases[i].json));
    char *back = json_key_to(json, len, &back_len);
    assert_int_equal(back_len, cases[i].len);
    assert_memory_equal(back, cases[i].key, back_len);
    free(json);
    free(back);
  }
  const char *bad[] = {"$", "$a", "$key:", "$key:*", "$key:YQ", "$bytes"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    size_t len = 0;
    char *key = json_key_to(bad[i], strlen(bad[i]), &len);
    if (strcmp(bad[i], "$key:") == 0) assert_int_equal(len, 0); /* the empty key, in a longer way */
    else assert_null(key);
    free(key);
  }
}

static void test_bad_forms(void **state) {
  (void)state;
  const char *bad[] = {"{\"$time\": \"2026-02-30T00:00:00Z\"}",
                       "{\"$time\": \"2026-01-01T24:00:00Z\"}",
                       "{\"$time\": \"2026-01-01T00:00:00\"}",
                       "{\"$time\": \"2026-01-01T00:00:00.Z\"}",
                       "{\"$time\": \"2026-01-01T00:00:00.0000001Z\"}",
                       "{\"$time\": \"+026-01-01T00:00:00Z\"}",
                       "{\"$time\": 1.5}",
                       "{\"$time\": null}",
                       "{\"$float\": 1}",
                       "{\"$float\": \"-nan\"}",
                       "{\"$bytes\": \"A\"}",
                       "{\"$bytes\": \"AA=\"}",
                       "{\"$bytes\": []}",
                       "[{\"a\": {\"$b\": 1}}]",
                       "{\"$text\": \"x\"}",
                       "{\"$key:YBiQ\": 1}",
                       "{\"$bytes\": \"\", \"$time\": 1}"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct dunlin_why why = {""};
    json_t *json = parse(bad[i]);
    if (json_check(json, &why) != DUNLIN_EFORMAT || !why.text[0]) fail_msg("%s was taken", bad[i]);
    json_decref(json);
  }
}

/* ---- Documents ---------------------------------------------------------------------------------------------- */

static dunlin_doc *new_doc(void) {
  dunlin_doc *doc = NULL;
  assert_int_equal(dunlin_doc_new(NULL, &(struct dunlin_id){{1}}, &(struct dunlin_actor){{1}}, &doc), 0);
  return doc;
}

static json_t *whole(const dunlin_doc *doc, enum json_texts texts) {
  struct place root = place_root();
  json_t *json = json_from_value(doc, &root.value, texts);
  assert_non_null(json);
  return json;
}

/* Makes the document equal to the text and gives what the commit gave. */
static int make_equal(dunlin_doc *doc, const char *text) {
  struct place root = place_root();
  json_t *json = parse(text), *now;
  assert_int_equal(dunlin_begin(doc), 0);
  assert_int_equal(assign(doc, &root, json), 0);
  int rc = dunlin_commit(doc, 0, NULL);
  now = whole(doc, TEXTS_PLAIN);
  if (!json_same(now, json)) {
    char *line = json_line(now);
    fail_msg("%s became %s", text, line);
  }
  json_decref(now);
  json_decref(json);
  return rc;
}

/* A text with marks shows them where they are asked for, and is a string elsewhere. */
static void test_marks_show(void **state) {
  (void)state;
  dunlin_doc *doc = new_doc();
  assert_int_equal(dunlin_begin(doc), 0);
  dunlin_obj text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("u"), DUNLIN_TEXT);
  struct dunlin_value yes = {.kind = DUNLIN_BOOL, .as.boolean = true};
  assert_int_equal(dunlin_text_splice(doc, text, 0, 0, "abcd", 4), 0);
  assert_int_equal(dunlin_text_mark(doc, text, 0, 3, dunlin_key("$b"), yes, 0), 0);
  assert_int_equal(dunlin_text_mark(doc, text, 2, 3, dunlin_key("i"), yes, 0), 0);
  assert_int_equal(dunlin_commit(doc, 0, NULL), 1);
  const char *const expected[] = {
      [TEXTS_PLAIN] = "{\"t\": \"abcd\", \"u\": \"\"}",
      [TEXTS_TAGGED] = "{\"t\": {\"$text\": \"abcd\"}, \"u\": {\"$text\": \"\"}}",
      [TEXTS_MARKED] = "{\"t\": {\"$marks\": [{\"from\": 0, \"marks\": {\"$$b\": true}, \"to\": 2}, "
                       "{\"from\": 2, \"marks\": {\"$$b\": true, \"i\": true}, \"to\": 3}], \"$text\": \"abcd\"}, "
                       "\"u\": \"\"}",
  };
  for (enum json_texts texts = TEXTS_PLAIN; texts <= TEXTS_MARKED; texts++) {
    json_t *json = whole(doc, texts);
    char *line = json_line(json);
    assert_string_equal(line, expected[texts]);
    free(line);
    json_decref(json);
  }
  dunlin_doc_free(doc);
}

static void test_assign_makes_equal(void **state) {
  (void)state;
  const char *states[] = {"{}",
                          "{\"a\": 1}",
                          "{\"a\": [1, 2, 3]}",
                          "{\"a\": [3, 1]}",
                          "{\"a\": {\"b\": [[], {}, null]}}",
                          "{\"a\": [{\"x\": 1}, [1], \"s\"]}",
                          "{\"a\": [[1, 2], {\"x\": 2}, \"s\"]}",
                          "{\"$$\": {\"$bytes\": \"AAEC\"}, \"\": -0.0}",
                          "{\"\": 0.0}",
                          "{\"$key:YQBi\": {\"$time\": \"1970-01-01T00:00:05Z\"}}",
                          "{\"a\": [0, 0, 0, 0, 0, 0]}",
                          "{\"a\": [0, 1, 0]}",
                          "{\"a\": \"x\"}"};
  size_t n = sizeof states / sizeof *states;
  dunlin_doc *doc = new_doc();
  for (size_t from = 0; from < n; from++) {
    for (size_t to = 0; to < n; to++) {
      make_equal(doc, states[from]);
      make_equal(doc, states[to]);
      assert_int_equal(make_equal(doc, states[to]), 0);
    }
  }
  dunlin_doc_free(doc);
}

static void test_equal_texts_and_counters_stay(void **state) {
  (void)state;
  dunlin_doc *doc = new_doc();
  dunlin_obj text, counter;
  struct dunlin_value value;
  assert_int_equal(dunlin_begin(doc), 0);
  text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  assert_int_equal(dunlin_text_splice(doc, text, 0, 0, "abc", 3), 0);
  counter = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("c"), DUNLIN_COUNTER);
  assert_int_equal(dunlin_counter_add(doc, counter, 4), 0);
  assert_int_equal(dunlin_commit(doc, 0, NULL), 1);
  assert_int_equal(make_equal(doc, "{\"t\": \"abc\", \"c\": 4}"), 0);
  assert_int_equal(make_equal(doc, "{\"t\": \"abc\", \"c\": 4.0}"), 1);
  assert_int_equal(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("t"), &value), 0);
  assert_int_equal(value.kind, DUNLIN_TEXT);
  assert_int_equal(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("c"), &value), 0);
  assert_int_equal(value.kind, DUNLIN_FLOAT);
  dunlin_doc_free(doc);
}

static void test_equal_sets_and_peaks_stay(void **state) {
  (void)state;
  dunlin_doc *doc = new_doc();
  struct dunlin_value value, one = {.kind = DUNLIN_INT, .as.integer = 1}, two = {.kind = DUNLIN_INT, .as.integer = 2};
  assert_int_equal(dunlin_begin(doc), 0);
  dunlin_obj set = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("s"), DUNLIN_SET);
  assert_int_equal(dunlin_set_add(doc, set, two), 0);
  assert_int_equal(dunlin_set_add(doc, set, one), 0);
  assert_int_equal(dunlin_offer(doc, dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("m"), DUNLIN_MAX), two), 0);
  dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("f"), DUNLIN_FIRST);
  assert_int_equal(dunlin_commit(doc, 0, NULL), 1);
  assert_int_equal(make_equal(doc, "{\"s\": [1, 2], \"m\": 2, \"f\": null}"), 0);
  assert_int_equal(make_equal(doc, "{\"s\": [2, 1], \"m\": 2, \"f\": null}"), 1);
  assert_int_equal(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("s"), &value), 0);
  assert_int_equal(value.kind, DUNLIN_LIST);
  assert_int_equal(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("m"), &value), 0);
  assert_int_equal(value.kind, DUNLIN_MAX);
  dunlin_doc_free(doc);
}

/* ---- Differences -------------------------------------------------------------------------------------------- */

static void assert_diff(const char *before, const char *after, const char *expected) {
  json_t *a = before ? parse(before) : NULL, *b = after ? parse(after) : NULL, *events = json_array();
  diff("/p", 2, a, b, events);
  assert_line(events, expected);
  json_decref(a);
  json_decref(b);
  json_decref(events);
}

static void test_diff(void **state) {
  (void)state;
  assert_diff(NULL, NULL, "[]");
  assert_diff("1", "1", "[]");
  assert_diff("0.0", "-0.0", "[{\"new\": -0.0, \"old\": 0.0, \"path\": \"/p\"}]");
  assert_diff(NULL, "{\"a\": {\"$text\": \"x\"}}", "[{\"new\": {\"a\": \"x\"}, \"path\": \"/p\"}]");
  assert_diff("{\"$time\": 1}", "{\"$time\": 2}",
              "[{\"new\": {\"$time\": 2}, \"old\": {\"$time\": 1}, \"path\": \"/p\"}]");
  assert_diff("{\"$$a/b~\": 1}", "{}", "[{\"old\": 1, \"path\": \"/p/$a~1b~0\"}]");
  assert_diff("{\"$text\": \"\xc3\xa9x\"}", "{\"$text\": \"\xc3\xa8x\"}",
              "[{\"at\": 0, \"delete\": 1, \"insert\": \"\xc3\xa8\", \"path\": \"/p\"}]");
  assert_diff("{\"$text\": \"\xc3\xa9\"}", "{\"$text\": \"\xe3\xa9\xa9\"}",
              "[{\"at\": 0, \"delete\": 1, \"insert\": \"\xe3\xa9\xa9\", \"path\": \"/p\"}]");
  assert_diff("{\"$text\": \"aaa\"}", "{\"$text\": \"aa\"}",
              "[{\"at\": 2, \"delete\": 1, \"insert\": \"\", \"path\": \"/p\"}]");
  assert_diff("[1, 2, 3]", "[1, 3]", "[{\"at\": 1, \"delete\": 1, \"insert\": [], \"path\": \"/p\"}]");
  assert_diff("[1, 1]", "[1, 1, 1]", "[{\"at\": 2, \"delete\": 0, \"insert\": [1], \"path\": \"/p\"}]");
  assert_diff("[{\"a\": 1}, [2]]", "[{\"a\": 2}, [3]]",
              "[{\"new\": 2, \"old\": 1, \"path\": \"/p/0/a\"}, {\"at\": 0, \"delete\": 1, \"insert\": [3], \"path\": "
              "\"/p/1\"}]");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_times),
      cmocka_unit_test(test_floats),
      cmocka_unit_test(test_keys),
      cmocka_unit_test(test_bad_forms),
      cmocka_unit_test(test_marks_show),
      cmocka_unit_test(test_assign_makes_equal),
      cmocka_unit_test(test_equal_texts_and_counters_stay),
      cmocka_unit_test(test_equal_sets_and_peaks_stay),
      cmocka_unit_test(test_diff),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
