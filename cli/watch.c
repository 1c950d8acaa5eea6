/* watch: one JSON event a line for whatever happens to a document, by whomever. */
#include "cli/diff.h"
#include "cli/json.h"
#include "cli/place.h"
#include "cli/signals.h"

#include <string.h>

/* What is at the pointer: tagged JSON, or NULL for nothing.  An index that is out of range is nothing, too. */
static json_t *state_at(const dunlin_doc *doc, const struct pointer *pointer) {
  struct place place = place_root();
  for (size_t i = 0; i < pointer->count && place.exists; i++) {
    struct dunlin_value at = place.value;
    size_t index = 0;
    if (at.kind == DUNLIN_MAP) place = place_key(doc, at.as.obj, pointer->tokens[i], strlen(pointer->tokens[i]));
    else if (at.kind == DUNLIN_LIST && place_index(pointer->tokens[i], &index))
      place = place_element(doc, at.as.obj, index);
    else return NULL;
  }
  return place.exists ? json_from_value(doc, &place.value, TEXTS_TAGGED) : NULL;
}

/* Prints what changed and returns the new state; false in `*open` when nobody reads any more. */
static json_t *show(const dunlin_doc *doc, const struct pointer *pointer, json_t *before, bool *open) {
  json_t *after = state_at(doc, pointer), *events = json_array();
  diff(pointer->text, strlen(pointer->text), before, after, events);
  for (size_t i = 0; i < json_array_size(events) && *open; i++) {
    app_print_line(json_incref(json_array_get(events, i)));
    *open = app_flush();
  }
  json_decref(events);
  json_decref(before);
  return after;
}

static int watch(struct app *app, dunlin_store_doc *handle, const struct pointer *pointer) {
  dunlin_doc *doc = dunlin_store_doc_get(handle);
  json_t *state = state_at(doc, pointer);
  uint64_t seen = 0;
  int rc = signals_catch(app->opened);
  app_print_line(json_pack("{s:b}", "ready", 1));
  for (bool open = app_flush(); open && rc >= 0 && !signals_ended();) {
    struct dunlin_applied applied = {0};
    rc = dunlin_store_wait(app->opened, &seen, -1);
    if (rc > 0) rc = dunlin_store_doc_pull(handle, &applied);
    if (rc >= 0 && applied.applied) state = show(doc, pointer, state, &open);
  }
  json_decref(state);
  return rc < 0 ? app_fail_why(app, rc, NULL, app->args[0]) : EXIT_DONE;
}

int cmd_watch(struct app *app) {
  struct pointer pointer;
  dunlin_store_doc *handle = NULL;
  int status = pointer_parse(app, app->arg_count > 1 ? app->args[1] : "", &pointer);
  if (status) return status;
  status = app_open(app);
  if (!status) status = app_read_document(app, app->args[0], &handle);
  if (!status) status = watch(app, handle, &pointer);
  if (handle) dunlin_store_doc_close(handle);
  pointer_free(&pointer);
  return app_close(app, status);
}
