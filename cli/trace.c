#include "cli/trace.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "crdt/msgpack.h"

struct reader {
  struct trace *trace;
  struct dunlin_why *why;
  const char *path;
  uint64_t inserted; /* scalar values inserted so far, the start content included */
  size_t patch_cap, parent_cap, text_cap;
};

__attribute__((format(printf, 3, 4))) static int fail(struct reader *r, int error, const char *format, ...) {
  char text[192];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (r->why) snprintf(r->why->text, sizeof r->why->text, "%.60s: %s", r->path, text);
  return error;
}

/* ---- The file ----------------------------------------------------------------------------------------------- */

struct contents {
  char *data;
  size_t len, cap;
};

static int read_some(struct reader *r, gzFile file, struct contents *c) {
  if (c->len == c->cap) {
    size_t cap = c->cap ? c->cap * 2 : 1u << 20;
    char *data = cap > 2 * (size_t)TRACE_MAX_BYTES ? NULL : realloc(c->data, cap);
    if (!data) return fail(r, DUNLIN_ENOMEM, "out of memory");
    c->data = data;
    c->cap = cap;
  }
  size_t room = c->cap - c->len;
  int n = gzread(file, c->data + c->len, room > 1u << 20 ? 1u << 20 : (unsigned)room);
  if (n < 0) return fail(r, DUNLIN_EFORMAT, "damaged gzip data");
  c->len += (size_t)n;
  if (c->len > TRACE_MAX_BYTES) return fail(r, DUNLIN_ELIMIT, "larger than %u MiB", TRACE_MAX_BYTES >> 20);
  return n;
}

/* Reads plain and gzipped files alike, which is what zlib does by itself. */
static int read_all(struct reader *r, struct contents *out) {
  gzFile file = gzopen(r->path, "rb");
  if (!file) return fail(r, DUNLIN_EIO, "%s", errno ? strerror(errno) : "cannot be opened");
  gzbuffer(file, 1u << 18);
  int n;
  while ((n = read_some(r, file, out)) > 0) continue;
  size_t name = strlen(r->path);
  if (n == 0 && gzdirect(file) && name > 3 && !strcmp(r->path + name - 3, ".gz"))
    n = fail(r, DUNLIN_EFORMAT, "is named .gz and is not gzip data");
  int closed = gzclose(file); /* tells of a file that ends too early */
  if (n == 0 && closed != Z_OK) n = fail(r, DUNLIN_EFORMAT, "the gzip data ends too early");
  return n;
}

/* ---- Transactions ------------------------------------------------------------------------------------------- */

static int grow(struct reader *r, void **array, size_t *cap, size_t need, size_t size) {
  if (need > UINT32_MAX) return fail(r, DUNLIN_ELIMIT, "too large");
  if (need <= *cap) return 0;
  size_t to = need + need / 2 + 64;
  void *grown = realloc(*array, to * size);
  if (!grown) return fail(r, DUNLIN_ENOMEM, "out of memory");
  *array = grown;
  *cap = to;
  return 0;
}

/* A JSON integer in 0..max. */
static bool number_in(const json_t *value, uint64_t max, uint32_t *out) {
  if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
  if ((uint64_t)json_integer_value(value) > max) return false;
  *out = (uint32_t)json_integer_value(value);
  return true;
}

/* `live` is the length of the text that the patch applies to (an upper bound of it, in a concurrent trace). */
static int read_patch(struct reader *r, size_t txn, const json_t *json, uint64_t *live) {
  struct trace *t = r->trace;
  struct trace_patch patch = {0};
  const json_t *text = json_array_get(json, 2);
  if (json_array_size(json) != 3 || !json_is_string(text))
    return fail(r, DUNLIN_EFORMAT, "transaction %zu: a patch is not [position, deleted, \"inserted\"]", txn);
  uint64_t most = *live < UINT32_MAX ? *live : UINT32_MAX;
  if (!number_in(json_array_get(json, 0), most, &patch.at))
    return fail(r, DUNLIN_ERANGE, "transaction %zu: position out of range", txn);
  if (!number_in(json_array_get(json, 1), most - patch.at, &patch.remove))
    return fail(r, DUNLIN_ERANGE, "transaction %zu: deletes more than there is", txn);
  patch.len = (uint32_t)json_string_length(text);
  patch.offset = (uint32_t)t->text_len;
  int rc = grow(r, (void **)&t->patches, &r->patch_cap, t->patch_count + 1, sizeof *t->patches);
  if (!rc) rc = grow(r, (void **)&t->text, &r->text_cap, t->text_len + patch.len, 1);
  if (rc) return rc;
  if (patch.len) memcpy(t->text + t->text_len, json_string_value(text), patch.len);
  t->text_len += patch.len;
  t->patches[t->patch_count++] = patch;
  size_t scalars = 0;
  if (!utf8_valid(json_string_value(text), patch.len, &scalars)) return fail(r, DUNLIN_EUTF8, "invalid UTF-8");
  *live += scalars;
  if (!t->concurrent) *live -= patch.remove;
  return 0;
}

static int read_parents(struct reader *r, size_t txn, const json_t *json) {
  struct trace *t = r->trace;
  if (!json_is_array(json)) return fail(r, DUNLIN_EFORMAT, "transaction %zu has no \"parents\"", txn);
  size_t count = json_array_size(json);
  int rc = grow(r, (void **)&t->parents, &r->parent_cap, t->parent_count + count, sizeof *t->parents);
  for (size_t i = 0; !rc && i < count; i++) {
    uint32_t parent;
    if (txn == 0 || !number_in(json_array_get(json, i), txn - 1, &parent))
      return fail(r, DUNLIN_EFORMAT, "transaction %zu has a parent that is not an earlier transaction", txn);
    t->parents[t->parent_count++] = parent;
  }
  return rc;
}

/* What stands for "parents" in a sequential trace. */
static int follow_on(struct reader *r, size_t txn) {
  struct trace *t = r->trace;
  if (txn == 0) return 0;
  int rc = grow(r, (void **)&t->parents, &r->parent_cap, t->parent_count + 1, sizeof *t->parents);
  if (!rc) t->parents[t->parent_count++] = (uint32_t)txn - 1;
  return rc;
}

static int read_txn(struct reader *r, size_t i, const json_t *json) {
  struct trace *t = r->trace;
  struct trace_txn *txn = &t->txns[i];
  txn->parents = (uint32_t)t->parent_count;
  int rc = t->concurrent ? read_parents(r, i, json_object_get(json, "parents")) : follow_on(r, i);
  if (rc) return rc;
  txn->parent_count = (uint32_t)t->parent_count - txn->parents;
  if (t->concurrent && !number_in(json_object_get(json, "agent"), t->agents - 1, &txn->agent))
    return fail(r, DUNLIN_EFORMAT, "transaction %zu has no \"agent\" below numAgents", i);
  const json_t *patches = json_object_get(json, "patches");
  if (!json_is_array(patches)) return fail(r, DUNLIN_EFORMAT, "transaction %zu has no \"patches\"", i);
  txn->patches = (uint32_t)t->patch_count;
  txn->patch_count = (uint32_t)json_array_size(patches);
  for (size_t p = 0; !rc && p < txn->patch_count; p++) rc = read_patch(r, i, json_array_get(patches, p), &r->inserted);
  return rc;
}

/* ---- The whole ---------------------------------------------------------------------------------------------- */

static int copy_string(struct reader *r, const json_t *json, const char *name, bool required, char **out, size_t *len) {
  const json_t *value = json_object_get(json, name);
  if (!value && required) return fail(r, DUNLIN_EFORMAT, "has no \"%s\"", name);
  if (value && !json_is_string(value)) return fail(r, DUNLIN_EFORMAT, "\"%s\" is not a string", name);
  *len = value ? json_string_length(value) : 0;
  *out = malloc(*len + 1);
  if (!*out) return fail(r, DUNLIN_ENOMEM, "out of memory");
  memcpy(*out, value ? json_string_value(value) : "", *len + 1);
  return 0;
}

static int read_kind(struct reader *r, const json_t *json) {
  struct trace *t = r->trace;
  const char *kind = json_string_value(json_object_get(json, "kind"));
  t->concurrent = kind && !strcmp(kind, "concurrent");
  t->agents = 1;
  if (kind && !t->concurrent && strcmp(kind, "sequential"))
    return fail(r, DUNLIN_EFORMAT, "\"kind\" is neither sequential nor concurrent");
  if (!t->concurrent) return 0;
  uint32_t agents = 0;
  if (!number_in(json_object_get(json, "numAgents"), TRACE_MAX_AGENTS, &agents) || agents == 0)
    return fail(r, DUNLIN_EFORMAT, "has no \"numAgents\" in 1..%u", TRACE_MAX_AGENTS);
  t->agents = agents;
  return 0;
}

static int read_document(struct reader *r, const json_t *json) {
  struct trace *t = r->trace;
  if (!json_is_object(json)) return fail(r, DUNLIN_EFORMAT, "is not a JSON object");
  int rc = read_kind(r, json);
  if (!rc) rc = copy_string(r, json, "startContent", false, &t->start, &t->start_len);
  if (!rc) rc = copy_string(r, json, "endContent", true, &t->end, &t->end_len);
  if (rc) return rc;
  const json_t *txns = json_object_get(json, "txns");
  if (!json_is_array(txns)) return fail(r, DUNLIN_EFORMAT, "has no \"txns\"");
  size_t scalars = 0, count = json_array_size(txns);
  if (!utf8_valid(t->start, t->start_len, &scalars)) return fail(r, DUNLIN_EUTF8, "invalid UTF-8");
  r->inserted = scalars;
  t->txns = calloc(count + 1, sizeof *t->txns);
  if (!t->txns || count > UINT32_MAX) return fail(r, DUNLIN_ENOMEM, "out of memory");
  t->txn_count = count;
  for (size_t i = 0; !rc && i < count; i++) rc = read_txn(r, i, json_array_get(txns, i));
  return rc;
}

int trace_read(const char *path, struct trace **out, struct dunlin_why *why) {
  struct reader r = {.trace = calloc(1, sizeof *r.trace), .why = why, .path = path};
  struct contents contents = {0};
  json_t *json = NULL;
  json_error_t error;
  int rc = r.trace ? read_all(&r, &contents) : fail(&r, DUNLIN_ENOMEM, "out of memory");
  if (!rc && contents.len == 0) rc = fail(&r, DUNLIN_EFORMAT, "is empty");
  if (rc) goto out;
  json = json_loadb(contents.data, contents.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
  free(contents.data); /* before the trace is built: JSON text and tree together are the peak */
  contents.data = NULL;
  rc = json ? read_document(&r, json)
            : fail(&r, DUNLIN_EFORMAT, "line %d, column %d: %.100s", error.line, error.column, error.text);
out:
  json_decref(json);
  free(contents.data);
  if (rc) trace_free(r.trace);
  else *out = r.trace;
  return rc;
}

void trace_free(struct trace *trace) {
  if (!trace) return;
  free(trace->txns);
  free(trace->patches);
  free(trace->parents);
  free(trace->text);
  free(trace->start);
  free(trace->end);
  free(trace);
}
