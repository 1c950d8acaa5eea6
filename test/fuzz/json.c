/* JSON into a document and out again: whatever json_check() accepts is written to a document or refused as too large,
 * and what is exported then, imported into another document, is exported as the same.
 *
 * Input: the JSON text. */
#include "cli/assign.h"
#include "cli/json.h"
#include "test/fuzz/fuzz_doc.h"

/* Puts the value at /v of a new document, and exports it; NULL: refused as too large. */
static json_t *through_document(const json_t *json) {
  dunlin_doc *doc = fuzz_doc(NULL, 1);
  struct dunlin_value value;
  json_t *out = NULL;
  CHECK(!dunlin_begin(doc));
  struct place place = place_key(doc, DUNLIN_ROOT, "v", 1);
  int error = assign(doc, &place, json), committed = dunlin_commit(doc, 0, NULL);
  CHECK(!error || error == DUNLIN_ELIMIT);
  CHECK(error ? committed == error : committed == 1 || committed == DUNLIN_ELIMIT);
  if (committed == 1) {
    fuzz_read_doc(doc);
    CHECK(!dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("v"), &value));
    out = json_from_value(doc, &value, TEXTS_PLAIN);
    CHECK(out);
  }
  dunlin_doc_free(doc);
  return out;
}

static void check_accepted(const json_t *json) {
  struct dunlin_why why;
  json_error_t error;
  json_t *first = through_document(json);
  if (!first) return;
  char *line = json_line(first), *given = json_line(json);
  CHECK(line && !json_check(first, &why));
  json_t *read = json_loads(line, JSON_FLAGS, &error);
  CHECK(read && json_equal(read, first) && json_same(read, first)); /* json_same() prints, and sees the sign of zero */
  json_t *second = through_document(read);
  CHECK(second && json_same(first, second));
  if (!strchr(given, '$')) CHECK(!strcmp(given, line)); /* without special forms nothing is changed on the way */
  json_decref(first);
  json_decref(read);
  json_decref(second);
  free(line);
  free(given);
  fuzz_accepted++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct dunlin_why why = {""};
  json_error_t error;
  json_t *json = json_loadb((const char *)data, size, JSON_FLAGS, &error);
  if (!json) return 0;
  int refused = json_check(json, &why);
  CHECK(!refused || (refused < 0 && why.text[0]));
  if (!refused) check_accepted(json);
  json_decref(json);
  return 0;
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  static const char *const texts[][2] = {
      {"scalars", "[null, true, -9223372036854775808, 0.30000000000000004, -0.0, 1e22, 1.7976931348623157e308, "
                  "\"\\u00e9\\u0000\"]"},
      {"forms", "{\"a\": {\"$float\": \"nan\"}, \"b\": {\"$bytes\": \"AAE=\"}, \"c\": {\"$time\": "
                "\"2000-02-29T00:00:00.5Z\"}, \"d\": {\"$time\": -1}}"},
      {"keys", "{\"$$x\": {\"$key:YQBi\": []}, \"\": {}}"},
      {"nested", "[[[{\"k\": [{}]}]], {\"k\": {\"k\": 1}}]"},
      {"string", "\"text\""}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    emit(ctx, texts[i][0], (struct dunlin_bytes){texts[i][1], strlen(texts[i][1])});
}
