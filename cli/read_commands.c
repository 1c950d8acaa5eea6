/* get, export, conflicts, log: what is in a document. */
#include "cli/json.h"
#include "cli/place.h"

#include <dunlin/history.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- get and export ----------------------------------------------------------------------------------------- */

static int print_value(struct app *app, dunlin_doc *doc, const struct pointer *pointer, enum json_texts texts) {
  struct place place;
  int status = place_find_value(app, doc, pointer, &place);
  if (status) return status;
  json_t *json = json_from_value(doc, &place.value, texts);
  if (!json) return app_fail(app, DUNLIN_ENOMEM, NULL, "the document does not fit in memory");
  app_print(json);
  return EXIT_DONE;
}

static int get(struct app *app, const char *path, enum json_texts texts) {
  struct pointer pointer;
  dunlin_store_doc *handle = NULL;
  int status = pointer_parse(app, path, &pointer);
  if (status) return status;
  status = app_open(app);
  if (!status) status = app_read_document(app, app->args[0], &handle);
  if (!status) status = print_value(app, dunlin_store_doc_get(handle), &pointer, texts);
  if (handle) dunlin_store_doc_close(handle);
  pointer_free(&pointer);
  return app_close(app, status);
}

int cmd_get(struct app *app) {
  return get(app, app->arg_count > 1 ? app->args[1] : "", TEXTS_MARKED);
}

int cmd_export(struct app *app) {
  return get(app, "", TEXTS_PLAIN);
}

/* ---- conflicts ---------------------------------------------------------------------------------------------- */

/* Concurrent value `i` of a place. */
static int value_at(const dunlin_doc *doc, const struct place *place, size_t i, struct dunlin_value *out) {
  if (place->parent_kind == DUNLIN_LIST) return dunlin_list_conflict(doc, place->parent, place->index, i, out);
  return dunlin_map_conflict(doc, place->parent, place->key, i, out);
}

/* The values of a place that differ, the winner first; several writes of one value are no conflict for a reader. */
static json_t *values_of(const dunlin_doc *doc, const struct place *place) {
  json_t *values = json_array();
  struct dunlin_value value;
  for (size_t i = 0; value_at(doc, place, i, &value) == 0; i++) {
    json_t *json = json_from_value(doc, &value, TEXTS_PLAIN);
    bool seen = false;
    for (size_t j = 0; j < json_array_size(values) && !seen; j++) seen = json_same(json_array_get(values, j), json);
    if (seen) json_decref(json);
    else json_array_append_new(values, json);
  }
  return values;
}

static void find_conflicts(const dunlin_doc *doc, const struct dunlin_value *container, const char *path,
                           size_t path_len, json_t *out);

/* The place is named `token` in the container at `path`. */
static void conflicts_at(const dunlin_doc *doc, const struct place *place, const char *path, size_t path_len,
                         const char *token, size_t token_len, json_t *out) {
  size_t len = path_len;
  char *copy = malloc(path_len + 1);
  if (copy) memcpy(copy, path, path_len + 1);
  char *name = pointer_append(copy, token, token_len, &len);
  if (!name) return;
  json_t *values = values_of(doc, place);
  if (json_array_size(values) > 1) {
    json_array_append_new(out, json_pack("{s:s%, s:O}", "path", name, len, "values", values));
  }
  json_decref(values);
  find_conflicts(doc, &place->value, name, len, out);
  free(name);
}

static void find_conflicts(const dunlin_doc *doc, const struct dunlin_value *container, const char *path,
                           size_t path_len, json_t *out) {
  size_t size = container->kind == DUNLIN_MAP    ? dunlin_map_size(doc, container->as.obj)
                : container->kind == DUNLIN_LIST ? dunlin_list_size(doc, container->as.obj)
                                                 : 0;
  if (size == SIZE_MAX) size = 0; /* out of memory */
  for (size_t i = 0; i < size; i++) {
    struct dunlin_bytes key;
    struct dunlin_value value;
    char digits[24];
    if (container->kind == DUNLIN_LIST) {
      struct place place = place_element(doc, container->as.obj, i);
      int n = snprintf(digits, sizeof digits, "%zu", i);
      conflicts_at(doc, &place, path, path_len, digits, (size_t)n, out);
    } else if (dunlin_map_at(doc, container->as.obj, i, &key, &value) == 0) {
      struct place place = place_key(doc, container->as.obj, key.data, key.len);
      conflicts_at(doc, &place, path, path_len, key.data, key.len, out);
    }
  }
}

static void print_conflicts(const json_t *conflicts) {
  for (size_t i = 0; i < json_array_size(conflicts); i++) {
    const json_t *conflict = json_array_get(conflicts, i), *values = json_object_get(conflict, "values");
    const json_t *path = json_object_get(conflict, "path");
    app_puts(json_string_value(path), json_string_length(path));
    for (size_t j = 0; j < json_array_size(values); j++) {
      fputs("  ", stdout);
      json_print(stdout, json_array_get(values, j), false);
    }
    putchar('\n');
  }
}

int cmd_conflicts(struct app *app) {
  dunlin_store_doc *handle = NULL;
  int status = app_open(app);
  if (!status) status = app_read_document(app, app->args[0], &handle);
  if (!status) {
    struct place root = place_root();
    json_t *conflicts = json_array();
    find_conflicts(dunlin_store_doc_get(handle), &root.value, "", 0, conflicts);
    if (app->json) app_print(json_incref(conflicts));
    else print_conflicts(conflicts);
    json_decref(conflicts);
  }
  if (handle) dunlin_store_doc_close(handle);
  return app_close(app, status);
}

/* ---- log ---------------------------------------------------------------------------------------------------- */

static json_t *change_json(const dunlin_doc *doc, const struct dunlin_change_info *info) {
  char id[65], actor[65], time[JSON_TIME_MAX];
  json_t *parents = json_array();
  for (size_t i = 0; i < info->parents; i++) {
    struct dunlin_id parent;
    if (dunlin_doc_parent(doc, &info->id, i, &parent) != 0) break;
    json_array_append_new(parents, json_string(hex(parent.bytes, ID_DIGITS, id)));
  }
  if (info->time) json_time_format(info->time, time);
  return json_pack("{s:s, s:s?, s:s, s:I, s:o, s:I}", "change", hex(info->id.bytes, ID_DIGITS, id), "time",
                   info->time ? time : NULL, "actor", hex(info->actor.bytes, 2 * sizeof info->actor.bytes, actor),
                   "number", (json_int_t)info->number, "parents", parents, "operations", (json_int_t)info->operations);
}

static void print_change(const struct dunlin_change_info *info) {
  char id[65], actor[65], time[JSON_TIME_MAX] = "-";
  if (info->time) json_time_format(info->time, time);
  printf("%s  %-27s  actor %s #%" PRIu64 "  parents %zu  operations %zu\n", hex(info->id.bytes, SHORT_DIGITS, id), time,
         hex(info->actor.bytes, SHORT_DIGITS, actor), info->number, info->parents, info->operations);
}

int cmd_log(struct app *app) {
  dunlin_store_doc *handle = NULL;
  int status = app_open(app);
  if (!status) status = app_read_document(app, app->args[0], &handle);
  if (!status) {
    const dunlin_doc *doc = dunlin_store_doc_get(handle);
    json_t *list = json_array();
    for (size_t i = dunlin_doc_changes(doc); i-- > 0;) {
      struct dunlin_change_info info;
      if (dunlin_doc_change_at(doc, i, &info) != 0) break;
      if (app->json) json_array_append_new(list, change_json(doc, &info));
      else print_change(&info);
    }
    if (app->json) app_print(json_incref(list));
    json_decref(list);
  }
  if (handle) dunlin_store_doc_close(handle);
  return app_close(app, status);
}
