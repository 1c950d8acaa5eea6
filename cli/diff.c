#include "cli/diff.h"

#include "cli/json.h"
#include "cli/place.h"

#include <stdlib.h>
#include <string.h>

static const json_t *text_of(const json_t *tree) {
  return tree ? json_object_get(tree, "$text") : NULL;
}

static bool is_map(const json_t *tree) {
  return json_is_object(tree) && json_is_container(tree) && !text_of(tree);
}

static void replaced(const char *path, size_t path_len, const json_t *before, const json_t *after, json_t *events) {
  json_t *event = json_pack("{s:s%}", "path", path, path_len);
  if (before) json_object_set_new(event, "old", json_untagged(before));
  if (after) json_object_set_new(event, "new", json_untagged(after));
  json_array_append_new(events, event);
}

static void spliced(const char *path, size_t path_len, size_t at, size_t removed, json_t *inserted, json_t *events) {
  json_array_append_new(events, json_pack("{s:s%, s:I, s:I, s:o}", "path", path, path_len, "at", (json_int_t)at,
                                          "delete", (json_int_t)removed, "insert", inserted));
}

/* Goes down to `token` under `path`. */
static void diff_below(const char *path, size_t path_len, const char *token, size_t token_len, const json_t *before,
                       const json_t *after, json_t *events) {
  size_t len = path_len;
  char *copy = malloc(path_len + 1);
  if (copy) memcpy(copy, path, path_len + 1);
  char *below = pointer_append(copy, token, token_len, &len);
  if (below) diff(below, len, before, after, events);
  free(below);
}

/* ---- Maps --------------------------------------------------------------------------------------------------- */

static void diff_member(const char *path, size_t path_len, void *it, const json_t *before, const json_t *after,
                        json_t *events) {
  size_t len = 0;
  char *key = json_key_to(json_object_iter_key(it), json_object_iter_key_len(it), &len);
  if (key) diff_below(path, path_len, key, len, before, after, events);
  free(key);
}

static void diff_maps(const char *path, size_t path_len, json_t *before, json_t *after, json_t *events) {
  for (void *it = json_object_iter(before); it; it = json_object_iter_next(before, it)) {
    const json_t *now = json_object_getn(after, json_object_iter_key(it), json_object_iter_key_len(it));
    diff_member(path, path_len, it, json_object_iter_value(it), now, events);
  }
  for (void *it = json_object_iter(after); it; it = json_object_iter_next(after, it)) {
    if (json_object_getn(before, json_object_iter_key(it), json_object_iter_key_len(it))) continue;
    diff_member(path, path_len, it, NULL, json_object_iter_value(it), events);
  }
}

/* ---- Texts -------------------------------------------------------------------------------------------------- */

static bool continues(char byte) {
  return ((unsigned char)byte & 0xc0) == 0x80; /* inside a character of UTF-8 */
}

static size_t count_characters(const char *utf8, size_t len) {
  size_t n = 0;
  for (size_t i = 0; i < len; i++) n += !continues(utf8[i]);
  return n;
}

static void diff_texts(const char *path, size_t path_len, const json_t *before, const json_t *after, json_t *events) {
  const char *a = json_string_value(before), *b = json_string_value(after);
  size_t a_len = json_string_length(before), b_len = json_string_length(after);
  size_t common = a_len < b_len ? a_len : b_len, head = 0, tail = 0;
  while (head < common && a[head] == b[head]) head++;
  if (head == a_len && head == b_len) return;
  while (head > 0 && (continues(a[head]) || continues(b[head]))) head--;
  while (tail < common - head && a[a_len - 1 - tail] == b[b_len - 1 - tail]) tail++;
  while (tail > 0 && continues(a[a_len - tail])) tail--;
  spliced(path, path_len, count_characters(a, head), count_characters(a + head, a_len - head - tail),
          json_stringn(b + head, b_len - head - tail), events);
}

/* ---- Lists -------------------------------------------------------------------------------------------------- */

static bool same_containers(const json_t *a, const json_t *b) {
  return (is_map(a) && is_map(b)) || (json_is_array(a) && json_is_array(b)) || (text_of(a) && text_of(b));
}

static void diff_lists(const char *path, size_t path_len, const json_t *before, const json_t *after, json_t *events) {
  size_t a_len = json_array_size(before), b_len = json_array_size(after);
  size_t common = a_len < b_len ? a_len : b_len, head = 0, tail = 0;
  while (head < common && json_same(json_array_get(before, head), json_array_get(after, head))) head++;
  while (tail < common - head &&
         json_same(json_array_get(before, a_len - 1 - tail), json_array_get(after, b_len - 1 - tail))) {
    tail++;
  }
  size_t removed = a_len - head - tail, added = b_len - head - tail;
  bool inside = removed == added; /* then it may be that only something inside the elements has changed */
  for (size_t i = head; inside && i < head + added; i++) {
    inside = same_containers(json_array_get(before, i), json_array_get(after, i));
  }
  for (size_t i = head; inside && i < head + added; i++) {
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%zu", i);
    diff_below(path, path_len, digits, (size_t)n, json_array_get(before, i), json_array_get(after, i), events);
  }
  if (inside) return;
  json_t *inserted = json_array();
  for (size_t i = head; i < head + added; i++) json_array_append_new(inserted, json_untagged(json_array_get(after, i)));
  spliced(path, path_len, head, removed, inserted, events);
}

void diff(const char *path, size_t path_len, const json_t *before, const json_t *after, json_t *events) {
  if (before && after) {
    if (is_map(before) && is_map(after)) {
      diff_maps(path, path_len, (json_t *)before, (json_t *)after, events);
      return;
    }
    if (json_is_array(before) && json_is_array(after)) {
      diff_lists(path, path_len, before, after, events);
      return;
    }
    if (text_of(before) && text_of(after)) {
      diff_texts(path, path_len, text_of(before), text_of(after), events);
      return;
    }
    if (json_same(before, after)) return;
  }
  if (before || after) replaced(path, path_len, before, after, events);
}
