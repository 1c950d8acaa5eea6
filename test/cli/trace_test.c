/* The trace reader: both kinds, plain and gzipped, and what it says of broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/trace.h"

static char dir[256];

static int set_up(void **state) {
  (void)state;
  const char *tmp = getenv("TMPDIR");
  snprintf(dir, sizeof dir, "%s/dunlin-trace-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  return rmdir(dir);
}

static const char *path_of(const char *name) {
  static char path[300];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return path;
}

static void write_file(const char *name, const void *data, size_t len) {
  FILE *file = fopen(path_of(name), "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, len, file), len);
  assert_int_equal(fclose(file), 0);
}

static void write_gzip(const char *name, const char *json, size_t len) {
  gzFile file = gzopen(path_of(name), "wb");
  assert_non_null(file);
  assert_int_equal(gzwrite(file, json, (unsigned)len), len);
  assert_int_equal(gzclose(file), Z_OK);
}

/* Reads what was written under `name` and removes it. */
static int read_back(const char *name, struct trace **out, struct dunlin_why *why) {
  int rc = trace_read(path_of(name), out, why);
  unlink(path_of(name));
  return rc;
}

static void refused(const char *json, int error, const char *sentence) {
  struct trace *trace = NULL;
  struct dunlin_why why = {0};
  write_file("t.json", json, strlen(json));
  int rc = read_back("t.json", &trace, &why);
  if (rc != error || !strstr(why.text, sentence)) print_error("%s\n  gave %d: %s\n", json, rc, why.text);
  assert_int_equal(rc, error);
  assert_non_null(strstr(why.text, sentence));
  assert_null(trace);
}

static const char sequential[] =
    "{\"startContent\": \"a\xc3\xa9\", \"endContent\": \"xa\\u0000\", \"txns\": ["
    "{\"time\": \"2021\", \"patches\": [[1, 1, \"\\u0000\"]]}, {\"patches\": [[0, 0, \"x\"], [3, 0, \"\"]]}]}";

static void check_sequential(struct trace *t) {
  assert_false(t->concurrent);
  assert_int_equal(t->agents, 1);
  assert_int_equal(t->txn_count, 2);
  assert_int_equal(t->start_len, 3);
  assert_int_equal(t->end_len, 3);
  assert_memory_equal(t->end, "xa", 3);
  assert_int_equal(t->txns[0].parent_count, 0);
  assert_int_equal(t->txns[1].parent_count, 1);
  assert_int_equal(t->parents[t->txns[1].parents], 0);
  assert_int_equal(t->txns[1].patch_count, 2);
  const struct trace_patch *p = &t->patches[t->txns[0].patches];
  assert_int_equal(p->at, 1);
  assert_int_equal(p->remove, 1);
  assert_int_equal(p->len, 1);
  assert_int_equal(t->text[p->offset], 0);
  trace_free(t);
}

static void test_sequential(void **state) {
  (void)state;
  struct trace *trace = NULL;
  struct dunlin_why why = {0};
  write_file("t.json", sequential, sizeof sequential - 1);
  assert_int_equal(read_back("t.json", &trace, &why), 0);
  check_sequential(trace);
  write_gzip("t.json.gz", sequential, sizeof sequential - 1);
  assert_int_equal(read_back("t.json.gz", &trace, &why), 0);
  check_sequential(trace);
}

static void test_concurrent(void **state) {
  (void)state;
  static const char json[] = "{\"kind\": \"concurrent\", \"endContent\": \"ab\", \"numAgents\": 2, \"txns\": ["
                             "{\"parents\": [], \"agent\": 0, \"patches\": [[0, 0, \"a\"]]}, {\"parents\": [0], "
                             "\"agent\": 1, \"patches\": []},"
                             "{\"parents\": [0], \"agent\": 0, \"patches\": [[1, 0, \"b\"]]}, {\"parents\": [1, 2], "
                             "\"agent\": 1, \"patches\": []}]}";
  struct trace *t = NULL;
  write_file("t.json", json, sizeof json - 1);
  assert_int_equal(read_back("t.json", &t, NULL), 0);
  assert_true(t->concurrent);
  assert_int_equal(t->agents, 2);
  assert_int_equal(t->txns[3].parent_count, 2);
  assert_int_equal(t->parents[t->txns[3].parents], 1);
  assert_int_equal(t->parents[t->txns[3].parents + 1], 2);
  assert_int_equal(t->txns[3].agent, 1);
  assert_int_equal(t->txns[3].patch_count, 0);
  trace_free(t);
}

static void test_not_traces(void **state) {
  (void)state;
  struct trace *trace = NULL;
  struct dunlin_why why = {0};
  assert_int_equal(trace_read(path_of("absent.json"), &trace, &why), DUNLIN_EIO);
  assert_non_null(strstr(why.text, "No such file"));
  refused("", DUNLIN_EFORMAT, "is empty");
  refused("{\"txns\": [}", DUNLIN_EFORMAT, "line 1, column");
  refused("[]", DUNLIN_EFORMAT, "not a JSON object");
  refused("{\"endContent\": \"\"}", DUNLIN_EFORMAT, "has no \"txns\"");
  refused("{\"txns\": []}", DUNLIN_EFORMAT, "has no \"endContent\"");
  refused("{\"txns\": [], \"txns\": []}", DUNLIN_EFORMAT, "duplicate");
  refused("{\"endContent\": 3, \"txns\": []}", DUNLIN_EFORMAT, "not a string");
  refused("{\"endContent\": \"\xc3\", \"txns\": []}", DUNLIN_EFORMAT, "unable to decode byte");
  refused("{\"kind\": \"other\", \"endContent\": \"\", \"txns\": []}", DUNLIN_EFORMAT, "neither sequential nor");
  refused("{\"kind\": \"concurrent\", \"endContent\": \"\", \"txns\": []}", DUNLIN_EFORMAT, "numAgents");
  refused("{\"kind\": \"concurrent\", \"numAgents\": 0, \"endContent\": \"\", \"txns\": []}", DUNLIN_EFORMAT,
          "numAgents");
}

#define SEQUENTIAL(txns) "{\"endContent\": \"\", \"startContent\": \"\xc3\xa9\", \"txns\": [" txns "]}"
#define CONCURRENT(txns) "{\"kind\": \"concurrent\", \"numAgents\": 2, \"endContent\": \"\", \"txns\": [" txns "]}"

static void test_bad_transactions(void **state) {
  (void)state;
  refused(SEQUENTIAL("{}"), DUNLIN_EFORMAT, "transaction 0 has no \"patches\"");
  refused(SEQUENTIAL("7"), DUNLIN_EFORMAT, "transaction 0 has no \"patches\"");
  refused(SEQUENTIAL("{\"patches\": [[0, 0]]}"), DUNLIN_EFORMAT, "a patch is not");
  refused(SEQUENTIAL("{\"patches\": [[0, 0, 1]]}"), DUNLIN_EFORMAT, "a patch is not");
  refused(SEQUENTIAL("{\"patches\": [[2, 0, \"x\"]]}"), DUNLIN_ERANGE, "position out of range");
  refused(SEQUENTIAL("{\"patches\": [[-1, 0, \"x\"]]}"), DUNLIN_ERANGE, "position out of range");
  refused(SEQUENTIAL("{\"patches\": [[1.5, 0, \"x\"]]}"), DUNLIN_ERANGE, "position out of range");
  refused(SEQUENTIAL("{\"patches\": [[0, 2, \"x\"]]}"), DUNLIN_ERANGE, "deletes more");
  refused(SEQUENTIAL("{\"patches\": [[1, 1, \"x\"]]}"), DUNLIN_ERANGE, "deletes more");
  refused(SEQUENTIAL("{\"patches\": [[0, 1, \"\"]]}, {\"patches\": [[0, 1, \"\"]]}"), DUNLIN_ERANGE, "transaction 1");
  refused(CONCURRENT("{\"agent\": 0, \"patches\": []}"), DUNLIN_EFORMAT, "has no \"parents\"");
  refused(CONCURRENT("{\"parents\": [0], \"agent\": 0, \"patches\": []}"), DUNLIN_EFORMAT, "not an earlier");
  refused(CONCURRENT("{\"parents\": [-1], \"agent\": 0, \"patches\": []}"), DUNLIN_EFORMAT, "not an earlier");
  refused(CONCURRENT("{\"parents\": [], \"agent\": 2, \"patches\": []}"), DUNLIN_EFORMAT, "agent");
  refused(CONCURRENT("{\"parents\": [], \"patches\": []}"), DUNLIN_EFORMAT, "agent");
  refused(CONCURRENT("{\"parents\": [], \"agent\": 0, \"patches\": [[1, 0, \"\"]]}"), DUNLIN_ERANGE, "out of range");
}

static void test_bad_gzip(void **state) {
  (void)state;
  struct trace *trace = NULL;
  struct dunlin_why why = {0};
  unsigned char data[512];
  write_gzip("t.json.gz", sequential, sizeof sequential - 1);
  FILE *file = fopen(path_of("t.json.gz"), "rb");
  size_t len = fread(data, 1, sizeof data, file);
  fclose(file);
  for (size_t cut = 1; cut < len; cut++) { /* every shorter file is refused */
    write_file("t.json.gz", data, cut);
    assert_int_equal(read_back("t.json.gz", &trace, &why), DUNLIN_EFORMAT);
  }
  write_file("t.json.gz", "{}", 2);
  assert_int_equal(read_back("t.json.gz", &trace, &why), DUNLIN_EFORMAT);
  assert_non_null(strstr(why.text, "not gzip"));
  data[len / 2] ^= 0x10;
  write_file("t.json.gz", data, len);
  assert_int_equal(read_back("t.json.gz", &trace, &why), DUNLIN_EFORMAT);
}

/* 300 000 transactions, more than the largest sequential trace of the collection, in well under ten seconds (about one,
 * without sanitizers). */
static void test_large(void **state) {
  (void)state;
  enum { COUNT = 300000 };
  size_t cap = COUNT * 80, len = 0;
  char *json = malloc(cap);
  assert_non_null(json);
  len += (size_t)snprintf(json, cap, "{\"endContent\": \"\", \"txns\": [");
  for (int i = 0; i < COUNT; i++)
    len +=
        (size_t)snprintf(json + len, cap - len,
                         "%s{\"time\": \"2021-04-19T06:06:58.219Z\", \"patches\": [[%d, 0, \"x\"]]}", i ? ", " : "", i);
  len += (size_t)snprintf(json + len, cap - len, "]}");
  write_gzip("t.json.gz", json, len);
  free(json);
  struct trace *trace = NULL;
  clock_t began = clock();
  assert_int_equal(read_back("t.json.gz", &trace, NULL), 0);
  double took = (double)(clock() - began) / CLOCKS_PER_SEC;
  print_message("%d transactions in %.2f s\n", COUNT, took);
  assert_int_equal(trace->txn_count, COUNT);
  assert_int_equal(trace->text_len, COUNT);
  assert_true(took < 10);
  trace_free(trace);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sequential),       cmocka_unit_test(test_concurrent), cmocka_unit_test(test_not_traces),
      cmocka_unit_test(test_bad_transactions), cmocka_unit_test(test_bad_gzip),   cmocka_unit_test(test_large),
  };
  return cmocka_run_group_tests_name("trace", tests, set_up, tear_down);
}
