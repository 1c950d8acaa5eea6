/* Slices: paths that begin at a place. */
#include <dunlin/slice.h>
#include <string.h>

#include "crdt/internal.h"
#include "crdt/plain.h"

struct dunlin_slice {
  dunlin_doc *doc;
  struct dunlin_bytes path; /* owned */
};

/* The path from the root; to be freed. */
static int whole_path(const dunlin_slice *s, struct dunlin_bytes path, struct dunlin_bytes *out) {
  if (path.len && (!path.data || *(const char *)path.data != '/')) return DUNLIN_EPATH;
  if (path.len > DUNLIN_MAX_VALUE) return DUNLIN_ELIMIT;
  char *whole = env_alloc(s->doc->env, s->path.len + path.len);
  if (!whole) return DUNLIN_ENOMEM;
  memcpy(whole, s->path.data, s->path.len);
  if (path.len) memcpy(whole + s->path.len, path.data, path.len);
  *out = (struct dunlin_bytes){whole, s->path.len + path.len};
  return 0;
}

static void path_free(const dunlin_slice *s, struct dunlin_bytes path) {
  env_free(s->doc->env, (void *)(uintptr_t)path.data, path.len);
}

static bool is_path(struct dunlin_bytes path) {
  struct path_token token;
  if (path.len && !path.data) return false;
  while (path.len)
    if (path_next(&path, &token)) return false;
  return true;
}

/* Takes the path over, which is the environment's memory. */
static int make(dunlin_doc *doc, struct dunlin_bytes path, dunlin_slice **out) {
  dunlin_slice *s = is_path(path) && path.len ? env_alloc(doc->env, sizeof *s) : NULL;
  if (!s) {
    int error = is_path(path) && path.len ? DUNLIN_ENOMEM : DUNLIN_EPATH;
    env_free(doc->env, (void *)(uintptr_t)path.data, path.len);
    return error;
  }
  *s = (dunlin_slice){doc, path};
  *out = s;
  return 0;
}

int dunlin_slice_part(const dunlin_slice *slice, struct dunlin_bytes path, dunlin_slice **out) {
  struct dunlin_bytes whole;
  int error = whole_path(slice, path, &whole);
  return error ? error : make(slice->doc, whole, out);
}

int dunlin_slice_new(dunlin_doc *doc, struct dunlin_bytes path, dunlin_slice **out) {
  const dunlin_slice all = {doc, {"", 0}};
  return dunlin_slice_part(&all, path, out);
}

void dunlin_slice_free(dunlin_slice *slice) {
  if (!slice) return;
  path_free(slice, slice->path);
  env_free(slice->doc->env, slice, sizeof *slice);
}

/* ---- Reading and writing ------------------------------------------------------------------------------------ */

static int get(const dunlin_slice *s, struct dunlin_bytes path, struct dunlin_value *out) {
  struct dunlin_bytes whole;
  int error = whole_path(s, path, &whole);
  if (error) return error;
  error = dunlin_path_get(s->doc, DUNLIN_ROOT, whole, out);
  path_free(s, whole);
  return error;
}

int dunlin_slice_get(const dunlin_slice *slice, struct dunlin_bytes path, struct dunlin_value *out) {
  int error = get(slice, path, out);
  if (!error && out->kind >= DUNLIN_MAP) out->as.obj = DUNLIN_NONE;
  return error;
}

int dunlin_slice_read(const dunlin_slice *slice, struct dunlin_bytes path, void **out, size_t *len) {
  struct dunlin_value value;
  int error = get(slice, path, &value);
  if (!error && value.kind < DUNLIN_MAP) error = DUNLIN_EKIND;
  return error ? error : dunlin_read_plain(slice->doc, value.as.obj, out, len);
}

int dunlin_slice_apply(dunlin_slice *slice, const struct dunlin_path_op *ops, size_t count, int64_t time) {
  int error = dunlin_begin(slice->doc);
  if (error) return error;
  for (size_t i = 0; !error && i < count; i++) {
    struct dunlin_path_op op = ops[i];
    error = whole_path(slice, ops[i].path, &op.path);
    if (error) break;
    error = dunlin_path_apply(slice->doc, DUNLIN_ROOT, &op);
    path_free(slice, op.path);
  }
  if (!error) error = dunlin_commit(slice->doc, time, NULL);
  if (error < 0) dunlin_abort(slice->doc);
  return error;
}

/* ---- Following ---------------------------------------------------------------------------------------------- */

int dunlin_slice_watch(dunlin_slice *slice, struct dunlin_bytes path, uint64_t tag) {
  struct dunlin_bytes whole;
  int error = whole_path(slice, path, &whole);
  if (error) return error;
  error = dunlin_watch(slice->doc, DUNLIN_ROOT, whole, tag);
  path_free(slice, whole);
  return error;
}

bool dunlin_slice_event(const dunlin_slice *slice, struct dunlin_event *event) {
  const char *path = event->path.data;
  size_t own = slice->path.len;
  if (event->kind == DUNLIN_EVENT_RESET) return true;
  if (event->path.len < own && !memcmp(path, slice->path.data, event->path.len) &&
      ((const char *)slice->path.data)[event->path.len] ==
          '/') { /* something on the way to it: all of it may be another now */
    *event = (struct dunlin_event){.kind = DUNLIN_EVENT_RESET, .origin = event->origin, .tag = event->tag};
    return true;
  }
  if (event->path.len < own || memcmp(path, slice->path.data, own)) return false;
  if (event->path.len > own && path[own] != '/') return false;
  event->path = (struct dunlin_bytes){path + own, event->path.len - own};
  event->obj = DUNLIN_NONE;
  if (event->before.kind >= DUNLIN_MAP) event->before.as.obj = DUNLIN_NONE;
  if (event->after.kind >= DUNLIN_MAP) event->after.as.obj = DUNLIN_NONE;
  return true;
}
