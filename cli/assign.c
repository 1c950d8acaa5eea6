#include "cli/assign.h"

#include "cli/json.h"

#include <stdlib.h>
#include <string.h>

/* ---- Maps --------------------------------------------------------------------------------------------------- */

/* Deletes key `i` of the map unless the object has it. */
static int delete_unless_in(dunlin_doc *doc, dunlin_obj map, size_t i, const json_t *object) {
  struct dunlin_bytes key;
  struct dunlin_value value;
  int rc = dunlin_map_at(doc, map, i, &key, &value);
  if (rc) return rc;
  size_t len = 0;
  char *name = json_key_from(key.data, key.len, &len), *copy = malloc(key.len + 1);
  rc = DUNLIN_ENOMEM;
  if (name && copy) {
    if (key.len) memcpy(copy, key.data, key.len); /* the borrowed key ends with the map's change */
    rc = json_object_getn(object, name, len) ? 0 : dunlin_map_delete(doc, map, (struct dunlin_bytes){copy, key.len});
  }
  free(name);
  free(copy);
  return rc;
}

static int assign_map(dunlin_doc *doc, dunlin_obj map, const json_t *object) {
  for (size_t i = dunlin_map_size(doc, map); i-- > 0;) {
    int rc = delete_unless_in(doc, map, i, object);
    if (rc) return rc;
  }
  json_t *members = (json_t *)object;
  for (void *it = json_object_iter(members); it; it = json_object_iter_next(members, it)) {
    size_t len = 0;
    char *key = json_key_to(json_object_iter_key(it), json_object_iter_key_len(it), &len);
    if (!key) return DUNLIN_ENOMEM;
    struct place place = place_key(doc, map, key, len);
    int rc = assign(doc, &place, json_object_iter_value(it));
    free(key);
    if (rc) return rc;
  }
  return 0;
}

/* ---- Lists -------------------------------------------------------------------------------------------------- */

/* The elements of the list as JSON, NULL when out of memory. */
static json_t *list_now(const dunlin_doc *doc, dunlin_obj list) {
  return json_from_value(doc, &(struct dunlin_value){.kind = DUNLIN_LIST, .as.obj = list}, TEXTS_PLAIN);
}

/* Elements that are equal at the beginning and at the end stay; those between are set one by one, the surplus is
 * deleted or inserted behind them. */
static int assign_list(dunlin_doc *doc, dunlin_obj list, const json_t *array) {
  json_t *now = list_now(doc, list);
  if (!now) return DUNLIN_ENOMEM;
  size_t old_size = json_array_size(now), new_size = json_array_size(array);
  size_t common = old_size < new_size ? old_size : new_size, head = 0, tail = 0;
  while (head < common && json_same(json_array_get(now, head), json_array_get(array, head))) head++;
  while (tail < common - head &&
         json_same(json_array_get(now, old_size - 1 - tail), json_array_get(array, new_size - 1 - tail))) {
    tail++;
  }
  json_decref(now);
  size_t set_end = common - tail;
  int rc = old_size > new_size ? dunlin_list_delete(doc, list, set_end, old_size - new_size) : 0;
  for (size_t i = head; !rc && i < new_size - tail; i++) {
    struct place place = place_element(doc, list, i);
    if (i >= set_end) place = (struct place){.append = true, .parent_kind = DUNLIN_LIST, .parent = list, .index = i};
    rc = assign(doc, &place, json_array_get(array, i));
  }
  return rc;
}

/* ---- Anything ----------------------------------------------------------------------------------------------- */

static int assign_scalar(dunlin_doc *doc, const struct place *place, const json_t *json) {
  struct dunlin_value value;
  void *owned = NULL;
  int rc = json_to_value(json, &value, &owned);
  if (!rc) rc = place_put(doc, place, value);
  free(owned);
  return rc;
}

/* Whether what is there reads as the JSON, though JSON has no such kind: a text, a counter, a max, a set. */
static bool reads_as(const dunlin_doc *doc, const struct place *place, const json_t *json) {
  if (!place->exists || place->value.kind < DUNLIN_TEXT) return false;
  json_t *now = json_from_value(doc, &place->value, TEXTS_PLAIN);
  bool same = now && json_same(now, json);
  json_decref(now);
  return same;
}

int assign(dunlin_doc *doc, const struct place *place, const json_t *json) {
  if (reads_as(doc, place, json)) return 0;
  if (!json_is_container(json)) return assign_scalar(doc, place, json);
  bool map = json_is_object(json);
  dunlin_obj obj;
  int rc = place_child(doc, place, map ? DUNLIN_MAP : DUNLIN_LIST, &obj);
  if (rc) return rc;
  return map ? assign_map(doc, obj, json) : assign_list(doc, obj, json);
}
