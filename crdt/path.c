/* Places in a document by JSON pointer. */
#include "crdt/internal.h"
#include "crdt/plain.h"

/* ---- Tokens ------------------------------------------------------------------------------------------------- */

void path_push_key(struct buf *path, struct dunlin_bytes key) {
  const char *at = key.data, *end = at + key.len;
  buf_append(path, "/", 1);
  while (at != end) {
    const char *from = at;
    while (at != end && *at != '~' && *at != '/') at++;
    buf_append(path, from, (size_t)(at - from));
    if (at != end) buf_append(path, *at++ == '~' ? "~0" : "~1", 2);
  }
}

void path_push_index(struct buf *path, size_t index) {
  char digits[20], *at = digits + sizeof digits;
  do *--at = (char)('0' + index % 10);
  while (index /= 10);
  buf_append(path, "/", 1);
  buf_append(path, at, (size_t)(digits + sizeof digits - at));
}

int path_next(struct dunlin_bytes *path, struct path_token *out) {
  const char *at = path->data, *end = at + path->len;
  if (*at++ != '/') return DUNLIN_EPATH;
  for (out->len = 0; at != end && *at != '/'; at++) {
    char c = *at;
    if (c == '~') {
      if (++at == end || (*at != '0' && *at != '1')) return DUNLIN_EPATH;
      c = *at == '0' ? '~' : '/';
    }
    if (out->len == sizeof out->text) return DUNLIN_EPATH;
    out->text[out->len++] = c;
  }
  *path = (struct dunlin_bytes){at, (size_t)(end - at)};
  return 0;
}

/* "0" or digits that do not begin with it. */
static int read_index(const struct path_token *token, size_t *out) {
  *out = 0;
  if (!token->len || token->len > 10 || (token->text[0] == '0' && token->len > 1)) return DUNLIN_EPATH;
  for (size_t i = 0; i < token->len; i++) {
    if (token->text[i] < '0' || token->text[i] > '9') return DUNLIN_EPATH;
    *out = *out * 10 + (size_t)(token->text[i] - '0');
  }
  return 0;
}

/* ---- Finding ------------------------------------------------------------------------------------------------ */

/* The last place that a path names: all before it is there. */
struct spot {
  dunlin_obj base;
  bool is_base; /* the path is empty, or `rest` ... */
  bool exists;
  struct plain_place place;
  struct path_token token;   /* of the place: its key */
  struct dunlin_value value; /* what is there */
  struct dunlin_bytes rest;  /* tokens behind the place, which is a missing key of a map then */
};

static int step(const dunlin_doc *doc, dunlin_obj container, struct spot *spot) {
  struct plain_place *place = &spot->place;
  *place = (struct plain_place){.parent = container, .key = {spot->token.text, spot->token.len}};
  enum dunlin_kind kind = dunlin_obj_kind(doc, container);
  if (kind == DUNLIN_MAP) {
    int error = dunlin_map_get(doc, container, place->key, &spot->value);
    spot->exists = !error;
    if (error != DUNLIN_ENOENT) return error;
    return utf8_valid(place->key.data, place->key.len, NULL) ? 0 : DUNLIN_EPATH;
  }
  if (kind != DUNLIN_LIST) return DUNLIN_EPATH;
  place->in_list = true;
  spot->exists = false;
  if (spot->token.len == 1 && spot->token.text[0] == '-') {
    place->is_new = true;
    place->index = dunlin_list_size(doc, container);
    if (place->index == SIZE_MAX) return DUNLIN_ENOMEM;
    return spot->rest.len ? DUNLIN_EPATH : 0;
  }
  int error = read_index(&spot->token, &place->index);
  if (!error) error = dunlin_list_get(doc, container, place->index, &spot->value);
  spot->exists = !error;
  return error == DUNLIN_ERANGE ? DUNLIN_EPATH : error;
}

/* Goes along a path as far as there is something. */
static int find(const dunlin_doc *doc, dunlin_obj base, struct dunlin_bytes path, struct spot *spot) {
  spot->is_base = spot->exists = true;
  spot->value = (struct dunlin_value){.kind = dunlin_obj_kind(doc, base), .as.obj = base};
  if (spot->value.kind == DUNLIN_NULL) return DUNLIN_EKIND;
  if (path.len && !path.data) return DUNLIN_EINVAL;
  spot->rest = path;
  while (spot->rest.len && spot->exists) {
    if (spot->value.kind < DUNLIN_MAP) return DUNLIN_EPATH;
    int error = path_next(&spot->rest, &spot->token);
    if (!error) error = step(doc, spot->value.as.obj, spot);
    if (error) return error;
    spot->is_base = false;
  }
  return 0;
}

/* find(), and something has to be there. */
static int find_there(const dunlin_doc *doc, dunlin_obj base, struct dunlin_bytes path, struct spot *spot) {
  int error = find(doc, base, path, spot);
  return error ? error : spot->exists ? 0 : DUNLIN_EPATH;
}

int dunlin_path_get(const dunlin_doc *doc, dunlin_obj base, struct dunlin_bytes path, struct dunlin_value *out) {
  struct spot spot;
  int error = find_there(doc, base, path, &spot);
  if (!error) *out = spot.value;
  return error;
}

/* ---- Operations --------------------------------------------------------------------------------------------- */

/* Looks whether the rest of a path can be made: keys of maps that will be new. */
static int check_rest(struct dunlin_bytes rest) {
  while (rest.len) {
    struct path_token token;
    int error = path_next(&rest, &token);
    if (!error && !utf8_valid(token.text, token.len, NULL)) error = DUNLIN_EPATH;
    if (error) return error;
  }
  return 0;
}

static int set(dunlin_doc *doc, dunlin_obj base, struct spot *spot, const struct plain *plain, bool merges) {
  if (spot->is_base) {
    int error = plain_put_in(doc, base, plain, &plain->nodes[0], merges);
    return error == DUNLIN_EKIND ? txn_fail(doc, error) : error;
  }
  int error = check_rest(spot->rest);
  if (error) return txn_fail(doc, error);
  while (spot->rest.len) {
    dunlin_obj made = dunlin_map_child(doc, spot->place.parent, spot->place.key, DUNLIN_MAP);
    if (made.index == DUNLIN_NONE.index) return txn_writable(doc);
    error = path_next(&spot->rest, &spot->token);
    if (error) return txn_fail(doc, error);
    spot->place = (struct plain_place){.parent = made, .key = {spot->token.text, spot->token.len}};
  }
  return plain_put(doc, &spot->place, plain, &plain->nodes[0], merges);
}

static int insert(dunlin_doc *doc, const struct spot *spot, const struct plain *plain, size_t index) {
  struct plain_place place = {.parent = spot->value.as.obj, .in_list = true, .is_new = true, .index = index};
  if (spot->value.kind != DUNLIN_LIST) return txn_fail(doc, DUNLIN_EPATH);
  size_t size = dunlin_list_size(doc, place.parent);
  if (size == SIZE_MAX || index > size) return txn_fail(doc, size == SIZE_MAX ? DUNLIN_ENOMEM : DUNLIN_ERANGE);
  return plain_put(doc, &place, plain, &plain->nodes[0], false);
}

static int apply_value(dunlin_doc *doc, dunlin_obj base, struct spot *spot, const struct dunlin_path_op *op) {
  struct plain plain;
  int error = plain_open(&plain, doc->env, op->value, true);
  if (error) return txn_fail(doc, error);
  if (op->kind == DUNLIN_OP_INSERT) error = insert(doc, spot, &plain, op->index);
  else error = set(doc, base, spot, &plain, op->kind == DUNLIN_OP_MERGE);
  plain_close(&plain);
  return error;
}

static int remove_element(dunlin_doc *doc, const struct spot *spot, size_t index) {
  if (spot->value.kind != DUNLIN_LIST) return txn_fail(doc, DUNLIN_EPATH);
  return dunlin_list_delete(doc, spot->value.as.obj, index, 1);
}

static int delete_spot(dunlin_doc *doc, const struct spot *spot) {
  const struct plain_place *place = &spot->place;
  if (spot->is_base) return txn_fail(doc, DUNLIN_EPATH);
  if (place->in_list) return dunlin_list_delete(doc, place->parent, place->index, 1);
  return dunlin_map_delete(doc, place->parent, place->key);
}

int dunlin_path_apply(dunlin_doc *doc, dunlin_obj base, const struct dunlin_path_op *op) {
  struct spot spot;
  int error = txn_writable(doc);
  if (error) return error;
  bool makes = op->kind == DUNLIN_OP_SET || op->kind == DUNLIN_OP_MERGE;
  if (!doc->graph.open.builds_on_all) error = DUNLIN_ESTATE;
  if (!error) error = makes ? find(doc, base, op->path, &spot) : find_there(doc, base, op->path, &spot);
  if (error) return txn_fail(doc, error);
  switch (op->kind) {
    case DUNLIN_OP_SET:
    case DUNLIN_OP_MERGE:
    case DUNLIN_OP_INSERT: return apply_value(doc, base, &spot, op);
    case DUNLIN_OP_REMOVE: return remove_element(doc, &spot, op->index);
    case DUNLIN_OP_DELETE: return delete_spot(doc, &spot);
  }
  return txn_fail(doc, DUNLIN_EINVAL);
}

int dunlin_path_apply_all(dunlin_doc *doc, dunlin_obj base, const struct dunlin_path_op *ops, size_t count) {
  int error = 0;
  for (size_t i = 0; !error && i < count; i++) error = dunlin_path_apply(doc, base, &ops[i]);
  return error;
}
