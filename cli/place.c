#include "cli/place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *kind_words(enum dunlin_kind kind) {
  switch (kind) {
    case DUNLIN_NULL: return "null";
    case DUNLIN_BOOL: return "a bool";
    case DUNLIN_INT: return "a number";
    case DUNLIN_FLOAT: return "a real number";
    case DUNLIN_STRING: return "a string";
    case DUNLIN_BYTES: return "bytes";
    case DUNLIN_TIME: return "a time";
    case DUNLIN_MAP: return "a map";
    case DUNLIN_LIST: return "a list";
    case DUNLIN_TEXT: return "a text";
    case DUNLIN_COUNTER: return "a counter";
    case DUNLIN_MAX: return "a max";
    case DUNLIN_MIN: return "a min";
    case DUNLIN_FIRST: return "a first";
    case DUNLIN_SET:
    case DUNLIN_GROWING_SET: return "a set";
  }
  return "of an unknown kind";
}

/* ---- Pointers ----------------------------------------------------------------------------------------------- */

/* Replaces ~1 and ~0 in place; false when a '~' stands before anything else. */
static bool unescape(char *token) {
  char *to = token;
  for (const char *at = token; *at; at++) {
    if (*at != '~') {
      *to++ = *at;
      continue;
    }
    at++;
    if (*at != '0' && *at != '1') return false;
    *to++ = *at == '0' ? '~' : '/';
  }
  *to = 0;
  return true;
}

static int bad_pointer(struct app *app, const char *text, const char *reason) {
  return app_fail(app, DUNLIN_EINVAL, "write it like /a/b, /list/3 or /list/- (~1 for /, ~0 for ~)", "the path '%s' %s",
                  text, reason);
}

int pointer_parse(struct app *app, const char *text, struct pointer *out) {
  *out = (struct pointer){.text = text};
  json_t *utf8 = json_string(text);
  json_decref(utf8);
  if (!utf8) return app_fail(app, DUNLIN_EUTF8, NULL, "the path '%s' is not valid UTF-8", text);
  if (!*text) return 0;
  if (*text != '/') return bad_pointer(app, text, "does not begin with /");
  size_t count = 0;
  for (const char *at = text; *at; at++) count += *at == '/';
  out->tokens = calloc(count, sizeof *out->tokens);
  for (const char *at = text; out->tokens && at;) {
    const char *end = strchr(at + 1, '/');
    char *token = end ? strndup(at + 1, (size_t)(end - at - 1)) : strdup(at + 1);
    if (!token) break;
    out->tokens[out->count++] = token;
    if (!unescape(token)) {
      pointer_free(out);
      return bad_pointer(app, text, "has a ~ that is not ~0 or ~1");
    }
    at = end;
  }
  if (out->count == count) return 0;
  pointer_free(out);
  return app_fail(app, DUNLIN_ENOMEM, NULL, "out of memory");
}

void pointer_free(struct pointer *pointer) {
  for (size_t i = 0; i < pointer->count; i++) free(pointer->tokens[i]);
  free(pointer->tokens);
  pointer->tokens = NULL;
  pointer->count = 0;
}

char *pointer_append(char *pointer, const char *token, size_t len, size_t *pointer_len) {
  char *out = pointer ? realloc(pointer, *pointer_len + 1 + 2 * len + 1) : NULL;
  if (!out) {
    free(pointer);
    return NULL;
  }
  char *to = out + *pointer_len;
  *to++ = '/';
  for (size_t i = 0; i < len; i++) {
    if (token[i] == '~' || token[i] == '/') {
      *to++ = '~';
      *to++ = token[i] == '~' ? '0' : '1';
    } else {
      *to++ = token[i];
    }
  }
  *to = 0;
  *pointer_len = (size_t)(to - out);
  return out;
}

/* The first `count` tokens as a pointer again, for messages; for free(). */
static char *pointer_prefix(const struct pointer *pointer, size_t count) {
  size_t len = 0;
  char *out = strdup("");
  for (size_t i = 0; i < count; i++) out = pointer_append(out, pointer->tokens[i], strlen(pointer->tokens[i]), &len);
  return out;
}

/* ---- Places ------------------------------------------------------------------------------------------------- */

struct place place_root(void) {
  return (struct place){.root = true, .exists = true, .value = {.kind = DUNLIN_MAP, .as.obj = DUNLIN_ROOT}};
}

struct place place_key(const dunlin_doc *doc, dunlin_obj map, const void *key, size_t len) {
  struct place place = {.parent_kind = DUNLIN_MAP, .parent = map, .key = {key, len}};
  place.exists = dunlin_map_get(doc, map, (struct dunlin_bytes){key, len}, &place.value) == 0;
  return place;
}

struct place place_element(const dunlin_doc *doc, dunlin_obj list, size_t index) {
  struct place place = {.parent_kind = DUNLIN_LIST, .parent = list, .index = index};
  place.exists = dunlin_list_get(doc, list, index, &place.value) == 0;
  place.append = !place.exists;
  return place;
}

bool place_index(const char *token, size_t *out) {
  size_t digits = strspn(token, "0123456789");
  if (digits == 0 || token[digits] || (digits > 1 && token[0] == '0')) return false;
  errno = 0;
  *out = strtoul(token, NULL, 10);
  if (errno) *out = SIZE_MAX; /* beyond every list */
  return true;
}

/* Goes to what token `i` names in the list or map `at`. */
static int step(struct app *app, const dunlin_doc *doc, const struct pointer *pointer, size_t i,
                const struct dunlin_value *at, struct place *out) {
  const char *token = pointer->tokens[i];
  size_t index = 0;
  if (at->kind == DUNLIN_MAP) {
    *out = place_key(doc, at->as.obj, token, strlen(token));
    return 0;
  }
  char *where = pointer_prefix(pointer, i);
  int status = 0;
  if (at->kind != DUNLIN_LIST) {
    status = app_fail(app, DUNLIN_EKIND, "choose a path through maps and lists, or delete that first",
                      "'%s' is %s, so '%s' leads nowhere", where, kind_words(at->kind), pointer->text);
  } else if (strcmp(token, "-") == 0) {
    *out = place_element(doc, at->as.obj, dunlin_list_size(doc, at->as.obj));
  } else if (!place_index(token, &index)) {
    status = app_fail(app, DUNLIN_EINVAL, "give the number of an element, or - for behind the last",
                      "'%s' is a list and has no '%s'", where, token);
  } else if (index >= dunlin_list_size(doc, at->as.obj)) {
    status = app_fail(app, DUNLIN_ERANGE, "the first is 0, and - is behind the last",
                      "the list '%s' has %zu elements, so %s is out of range", where, dunlin_list_size(doc, at->as.obj),
                      token);
  } else {
    *out = place_element(doc, at->as.obj, index);
  }
  free(where);
  return status;
}

static int missing(struct app *app, const struct pointer *pointer, size_t count) {
  char *where = pointer_prefix(pointer, count);
  int status =
      app_fail(app, DUNLIN_ENOENT, "'dunlin get SPACE/DOC' shows what there is", "there is nothing at '%s'", where);
  free(where);
  return status;
}

int place_find(struct app *app, dunlin_doc *doc, const struct pointer *pointer, bool create, struct place *out) {
  *out = place_root();
  for (size_t i = 0; i < pointer->count; i++) {
    if (!out->exists && !create) return missing(app, pointer, i);
    if (!out->exists) {
      int rc = place_child(doc, out, DUNLIN_MAP, &out->value.as.obj);
      if (rc) return app_fail_why(app, rc, NULL, pointer->text);
      out->value.kind = DUNLIN_MAP;
    }
    struct dunlin_value at = out->value;
    int status = step(app, doc, pointer, i, &at, out);
    if (status) return status;
  }
  return 0;
}

int place_find_value(struct app *app, dunlin_doc *doc, const struct pointer *pointer, struct place *out) {
  int status = place_find(app, doc, pointer, false, out);
  if (!status && !out->exists) status = missing(app, pointer, pointer->count);
  return status;
}

int place_put(dunlin_doc *doc, const struct place *place, struct dunlin_value value) {
  if (place->root) return DUNLIN_EINVAL;
  if (place->parent_kind == DUNLIN_MAP) return dunlin_map_put(doc, place->parent, place->key, value);
  if (place->append) return dunlin_list_insert(doc, place->parent, place->index, value);
  return dunlin_list_set(doc, place->parent, place->index, value);
}

int place_child(dunlin_doc *doc, const struct place *place, enum dunlin_kind kind, dunlin_obj *out) {
  *out = place->value.as.obj;
  if (place->root) return kind == DUNLIN_MAP ? 0 : DUNLIN_EINVAL;
  if (place->parent_kind == DUNLIN_MAP) /* also when it is there: this settles a conflict with something else */
    *out = dunlin_map_child(doc, place->parent, place->key, kind);
  else if (place->exists && place->value.kind == kind) return 0;
  else if (place->append) *out = dunlin_list_insert_child(doc, place->parent, place->index, kind);
  else *out = dunlin_list_set_child(doc, place->parent, place->index, kind);
  return dunlin_txn_error(doc);
}

int place_delete(dunlin_doc *doc, const struct place *place) {
  if (place->root) return DUNLIN_EINVAL;
  if (place->parent_kind == DUNLIN_MAP) return dunlin_map_delete(doc, place->parent, place->key);
  return dunlin_list_delete(doc, place->parent, place->index, 1);
}
