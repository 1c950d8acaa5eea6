/* put, del, add, edit, move, import: one document, one transaction. */
#include "cli/assign.h"
#include "cli/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What an edit does inside the transaction: 0, or an exit status after having reported. */
typedef int edit_fn(struct app *app, dunlin_doc *doc, void *ctx);

/* ---- Running an edit ---------------------------------------------------------------------------------------- */

/* Tries the edit on an empty document in memory, so that one that fails does not leave an empty document in the space.
 */
static int try_on_empty(struct app *app, edit_fn *edit, void *ctx) {
  dunlin_doc *scratch = NULL;
  int rc = dunlin_doc_new(NULL, &(struct dunlin_id){{0}}, &(struct dunlin_actor){{0}}, &scratch);
  if (!rc) rc = dunlin_begin(scratch);
  int status = rc ? app_fail_why(app, rc, NULL, "the document cannot be made") : edit(app, scratch, ctx);
  if (!rc) dunlin_abort(scratch);
  dunlin_doc_free(scratch);
  return status;
}

/* Opens the document for writing; makes it when the space has none of that name and the edit works on an empty one. */
static int open_for(struct app *app, const char *space_doc, bool create, edit_fn *edit, void *ctx,
                    dunlin_store_doc **out) {
  struct document_name name;
  int status = app_document(app, space_doc, &name);
  if (status) return status;
  int rc = dunlin_store_doc_open(app->opened, &name.space, dunlin_key(name.name), 0, out);
  if (rc == DUNLIN_ENOENT && !create) {
    return app_fail(app, rc, "'dunlin doc list SPACE' shows what there is", "there is no document %s", space_doc);
  }
  if (rc == DUNLIN_ENOENT) {
    status = try_on_empty(app, edit, ctx);
    if (status) return status;
    rc = dunlin_store_doc_open(app->opened, &name.space, dunlin_key(name.name), DUNLIN_CREATE, out);
  }
  return rc ? app_fail_why(app, rc, NULL, space_doc) : 0;
}

static void print_change(const struct app *app, bool changed, const struct dunlin_id *id) {
  char digits[65];
  if (!app->json) return;
  app_print_line(changed ? json_pack("{s:s}", "change", hex(id->bytes, ID_DIGITS, digits))
                         : json_pack("{s:n}", "change"));
}

static int run_edit(struct app *app, bool create, edit_fn *edit, void *ctx) {
  dunlin_store_doc *handle = NULL;
  int status = app_open(app);
  if (!status) status = open_for(app, app->args[0], create, edit, ctx, &handle);
  if (status) return app_close(app, status);
  dunlin_doc *doc = dunlin_store_doc_get(handle);
  struct dunlin_id id;
  int rc = dunlin_begin(doc);
  if (!rc) {
    status = edit(app, doc, ctx);
    if (status) dunlin_abort(doc);
    else rc = dunlin_commit(doc, app_now(), &id);
  }
  if (rc < 0) status = app_fail_why(app, rc, NULL, app->args[0]);
  dunlin_store_doc_close(handle);
  status = app_close(app, status);
  if (!status) print_change(app, rc == 1, &id);
  return status;
}

static int parse_number(struct app *app, const char *text, const char *what, long long min, long long *out) {
  char *end = NULL;
  errno = 0;
  *out = strtoll(text, &end, 10);
  if (end == text || *end || strchr(" \t\n+", text[0])) {
    return app_usage(app, NULL, "%s is a whole number, and '%s' is not", what, text);
  }
  if (errno || *out < min) return app_fail(app, DUNLIN_ERANGE, "choose another", "%s %s is out of range", what, text);
  return 0;
}

/* ---- put and import ----------------------------------------------------------------------------------------- */

struct put {
  struct pointer pointer;
  json_t *json;
};

static int put_edit(struct app *app, dunlin_doc *doc, void *ctx) {
  const struct put *put = ctx;
  struct place place;
  int status = place_find(app, doc, &put->pointer, true, &place);
  if (status) return status;
  if (place.root && (!json_is_container(put->json) || json_is_array(put->json))) {
    return app_fail(app, DUNLIN_EKIND, "give an object", "the root of a document is a map");
  }
  int rc = assign(doc, &place, put->json);
  return rc ? app_fail_why(app, rc, NULL, put->pointer.count ? put->pointer.text : "the root") : 0;
}

/* Checks and writes `put->json` (NULL: `error` says why it could not be read from `source`). */
static int put_json(struct app *app, struct put *put, const json_error_t *error, const char *source) {
  struct dunlin_why why = {""};
  if (!put->json) {
    int rc = json_error_code(error) == json_error_invalid_utf8 ? DUNLIN_EUTF8 : DUNLIN_EFORMAT;
    return app_fail(app, rc, "correct it", "%s is not JSON: line %d, column %d: %s", source, error->line, error->column,
                    error->text);
  }
  int rc = json_check(put->json, &why);
  if (rc) return app_fail(app, rc, "docs/json.md has the forms", "%s: %s", source, why.text);
  return run_edit(app, true, put_edit, put);
}

int cmd_put(struct app *app) {
  struct put put = {.json = NULL};
  json_error_t error;
  int status = pointer_parse(app, app->args[1], &put.pointer);
  if (status) return status;
  put.json = json_loads(app->args[2], JSON_FLAGS, &error);
  status = put_json(app, &put, &error, "the value");
  json_decref(put.json);
  pointer_free(&put.pointer);
  return status;
}

int cmd_import(struct app *app) {
  struct put put = {.pointer = {.text = ""}};
  json_error_t error;
  const char *path = app->args[1];
  bool from_stdin = strcmp(path, "-") == 0;
  FILE *in = from_stdin ? stdin : fopen(path, "re");
  if (!in) {
    return app_fail(app, errno == ENOENT ? DUNLIN_ENOENT : DUNLIN_EIO, "name a file with JSON, or - for stdin",
                    "%s cannot be read: %s", path, strerror(errno));
  }
  put.json = json_loadf(in, JSON_FLAGS, &error);
  bool failed = ferror(in);
  if (!from_stdin) fclose(in);
  int status = failed ? app_fail(app, DUNLIN_EIO, NULL, "%s cannot be read", path)
                      : put_json(app, &put, &error, from_stdin ? "stdin" : path);
  json_decref(put.json);
  return status;
}

/* ---- del ---------------------------------------------------------------------------------------------------- */

static int del_edit(struct app *app, dunlin_doc *doc, void *ctx) {
  const struct pointer *pointer = ctx;
  struct place place;
  int status = place_find_value(app, doc, pointer, &place);
  if (status) return status;
  if (place.root) return app_fail(app, DUNLIN_EINVAL, "empty it with put \"\" {}", "the root cannot be deleted");
  int rc = place_delete(doc, &place);
  return rc ? app_fail_why(app, rc, NULL, pointer->text) : 0;
}

int cmd_del(struct app *app) {
  struct pointer pointer;
  int status = pointer_parse(app, app->args[1], &pointer);
  if (!status) status = run_edit(app, false, del_edit, &pointer);
  pointer_free(&pointer);
  return status;
}

/* ---- add ---------------------------------------------------------------------------------------------------- */

struct add {
  struct pointer pointer;
  long long amount;
};

static int add_edit(struct app *app, dunlin_doc *doc, void *ctx) {
  const struct add *add = ctx;
  struct place place;
  int status = place_find(app, doc, &add->pointer, true, &place);
  if (status) return status;
  if (place.exists && place.value.kind != DUNLIN_COUNTER) {
    return app_fail(app, DUNLIN_EKIND, "write another path, or delete it first", "'%s' is %s, not a counter",
                    add->pointer.text, kind_words(place.value.kind));
  }
  dunlin_obj counter;
  int rc = place_child(doc, &place, DUNLIN_COUNTER, &counter);
  if (!rc) rc = dunlin_counter_add(doc, counter, add->amount);
  return rc ? app_fail_why(app, rc, NULL, add->pointer.text) : 0;
}

int cmd_add(struct app *app) {
  struct add add = {.amount = 0};
  int status = parse_number(app, app->args[2], "N", INT64_MIN, &add.amount);
  if (!status) status = pointer_parse(app, app->args[1], &add.pointer);
  if (!status) status = run_edit(app, true, add_edit, &add);
  pointer_free(&add.pointer);
  return status;
}

/* ---- edit --------------------------------------------------------------------------------------------------- */

struct splice {
  struct pointer pointer;
  long long at, remove;
  const char *text;
};

static int splice_edit(struct app *app, dunlin_doc *doc, void *ctx) {
  const struct splice *splice = ctx;
  struct place place;
  int status = place_find(app, doc, &splice->pointer, true, &place);
  if (status) return status;
  if (place.exists && place.value.kind != DUNLIN_TEXT) {
    return app_fail(app, DUNLIN_EKIND, "edit changes texts; replace the value with put, or delete it first",
                    "'%s' is %s, not a text", splice->pointer.text, kind_words(place.value.kind));
  }
  unsigned long long at = (unsigned long long)splice->at, remove = (unsigned long long)splice->remove;
  size_t size = place.exists ? dunlin_text_size(doc, place.value.as.obj) : 0;
  if (at > size || remove > size - at) {
    return app_fail(app, DUNLIN_ERANGE, "count Unicode characters from 0",
                    "'%s' has %zu characters, so %s %llu is out of range", splice->pointer.text, size,
                    at > size ? "position" : "deleting", at > size ? at : remove);
  }
  dunlin_obj text;
  int rc = place_child(doc, &place, DUNLIN_TEXT, &text);
  if (!rc) rc = dunlin_text_splice(doc, text, (size_t)at, (size_t)remove, splice->text, strlen(splice->text));
  return rc ? app_fail_why(app, rc, NULL, splice->pointer.text) : 0;
}

int cmd_edit(struct app *app) {
  struct splice splice = {.text = app->args[4]};
  json_t *utf8 = json_string(splice.text);
  json_decref(utf8);
  if (!utf8) return app_fail(app, DUNLIN_EUTF8, NULL, "the text '%s' is not valid UTF-8", splice.text);
  int status = parse_number(app, app->args[2], "POS", 0, &splice.at);
  if (!status) status = parse_number(app, app->args[3], "DELETE", 0, &splice.remove);
  if (!status) status = pointer_parse(app, app->args[1], &splice.pointer);
  if (!status) status = run_edit(app, true, splice_edit, &splice);
  pointer_free(&splice.pointer);
  return status;
}

/* ---- move --------------------------------------------------------------------------------------------------- */

struct move {
  struct pointer pointer;
  long long from, to;
};

static int move_edit(struct app *app, dunlin_doc *doc, void *ctx) {
  const struct move *move = ctx;
  struct place place;
  int status = place_find_value(app, doc, &move->pointer, &place);
  if (status) return status;
  if (place.value.kind != DUNLIN_LIST) {
    return app_fail(app, DUNLIN_EKIND, "name a list", "'%s' is %s, not a list", move->pointer.text,
                    kind_words(place.value.kind));
  }
  unsigned long long from = (unsigned long long)move->from, to = (unsigned long long)move->to;
  size_t size = dunlin_list_size(doc, place.value.as.obj);
  if (from >= size || to >= size) {
    return app_fail(app, DUNLIN_ERANGE, "the first is 0", "the list '%s' has %zu elements, so %llu is out of range",
                    move->pointer.text, size, from >= size ? from : to);
  }
  int rc = dunlin_list_move(doc, place.value.as.obj, (size_t)from, (size_t)to);
  return rc ? app_fail_why(app, rc, NULL, move->pointer.text) : 0;
}

int cmd_move(struct app *app) {
  struct move move = {.from = 0};
  int status = parse_number(app, app->args[2], "FROM", 0, &move.from);
  if (!status) status = parse_number(app, app->args[3], "TO", 0, &move.to);
  if (!status) status = pointer_parse(app, app->args[1], &move.pointer);
  if (!status) status = run_edit(app, false, move_edit, &move);
  pointer_free(&move.pointer);
  return status;
}
