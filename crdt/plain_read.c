/* What a document shows, as plain values. */
#include "crdt/internal.h"
#include "crdt/plain.h"
#include "crdt/value.h"

static void write_text(const dunlin_doc *doc, dunlin_obj text, struct buf *out) {
  size_t len = dunlin_text_read(doc, text, NULL, 0);
  if (len > UINT32_MAX) {
    out->error = len == SIZE_MAX ? DUNLIN_ENOMEM : DUNLIN_ELIMIT;
    return;
  }
  mp_write_str_head(out, len);
  char *at = (char *)buf_extend(out, len);
  if (at && dunlin_text_read(doc, text, at, len) != len) out->error = DUNLIN_ENOMEM;
}

static void write_map(const dunlin_doc *doc, dunlin_obj map, struct buf *out) {
  size_t count = dunlin_map_size(doc, map);
  plain_write_head(out, true, count);
  for (size_t i = 0; i < count && !out->error; i++) {
    struct dunlin_bytes key;
    struct dunlin_value value;
    int error = dunlin_map_at(doc, map, i, &key, &value);
    if (error) {
      out->error = error;
    } else {
      mp_write_str(out, key.data, key.len);
      plain_of_value(doc, &value, out);
    }
  }
}

static void write_list(const dunlin_doc *doc, dunlin_obj list, struct buf *out) {
  size_t count = dunlin_list_size(doc, list);
  if (count == SIZE_MAX) {
    out->error = DUNLIN_ENOMEM;
    return;
  }
  plain_write_head(out, false, count);
  for (size_t i = 0; i < count && !out->error; i++) {
    struct dunlin_value value;
    int error = dunlin_list_get(doc, list, i, &value);
    if (error) out->error = error;
    else plain_of_value(doc, &value, out);
  }
}

static void write_set(const dunlin_doc *doc, dunlin_obj set, struct buf *out) {
  size_t count = dunlin_set_size(doc, set);
  plain_write_head(out, false, count);
  for (size_t i = 0; i < count && !out->error; i++) {
    struct dunlin_value value;
    int error = dunlin_set_at(doc, set, i, &value);
    if (error) out->error = error;
    else value_write(out, &value);
  }
}

/* What has been offered and shows, or nil. */
static void write_offered(const dunlin_doc *doc, dunlin_obj obj, struct buf *out) {
  struct dunlin_value value;
  if (dunlin_offered(doc, obj, &value)) value.kind = DUNLIN_NULL;
  value_write(out, &value);
}

/* Goes down as far as containers do, which is not far (DUNLIN_MAX_DEPTH). */
void plain_of_value(const dunlin_doc *doc, const struct dunlin_value *value, struct buf *out) {
  int64_t sum = 0;
  if (out->error) return;
  switch (value->kind) {
    case DUNLIN_NULL:
    case DUNLIN_BOOL:
    case DUNLIN_INT:
    case DUNLIN_FLOAT:
    case DUNLIN_STRING:
    case DUNLIN_BYTES:
    case DUNLIN_TIME: value_write(out, value); break;
    case DUNLIN_MAP: write_map(doc, value->as.obj, out); break;
    case DUNLIN_LIST: write_list(doc, value->as.obj, out); break;
    case DUNLIN_TEXT: write_text(doc, value->as.obj, out); break;
    case DUNLIN_COUNTER:
      if (dunlin_counter_get(doc, value->as.obj, &sum)) sum = 0; /* it is a counter */
      mp_write_int(out, sum);
      break;
    case DUNLIN_MAX:
    case DUNLIN_MIN:
    case DUNLIN_FIRST: write_offered(doc, value->as.obj, out); break;
    case DUNLIN_SET:
    case DUNLIN_GROWING_SET: write_set(doc, value->as.obj, out); break;
    default: mp_write_nil(out); /* a kind of a later version */
  }
}

int dunlin_read_plain(const dunlin_doc *doc, dunlin_obj obj, void **out, size_t *len) {
  struct dunlin_value value = {.kind = dunlin_obj_kind(doc, obj), .as.obj = obj};
  struct buf bytes;
  if (value.kind == DUNLIN_NULL) return DUNLIN_EKIND;
  buf_init(&bytes, doc->env, UINT32_MAX);
  plain_of_value(doc, &value, &bytes);
  int error = bytes.error ? bytes.error : buf_take(&bytes, out, len);
  buf_free(&bytes);
  return error;
}
