#include "crdt/buf.h"

#include <string.h>

void buf_init(struct buf *buf, const struct dunlin_env *env, size_t max) {
  *buf = (struct buf){.env = env, .max = max};
}

void buf_free(struct buf *buf) {
  env_free(buf->env, buf->data, buf->cap);
  *buf = (struct buf){.env = buf->env, .max = buf->max};
}

uint8_t *buf_extend(struct buf *buf, size_t len) {
  if (buf->error || (!len && !buf->data)) return NULL;
  if (len > buf->max - buf->len) {
    buf->error = DUNLIN_ELIMIT;
    return NULL;
  }
  buf->error = ENV_GROW(buf->env, buf->data, buf->cap, buf->len + len);
  if (buf->error) return NULL;
  uint8_t *at = buf->data + buf->len;
  buf->len += len;
  return at;
}

void buf_append_slowly(struct buf *buf, const void *data, size_t len) {
  if (!len) return;
  uint8_t *at = buf_extend(buf, len);
  if (at) memcpy(at, data, len);
}

void buf_clear(struct buf *buf) {
  buf->len = 0;
  buf->error = 0;
}

int buf_take(struct buf *buf, void **out, size_t *len) {
  if (buf->error) return buf->error;
  size_t size = buf->len ? buf->len : 1;
  void *data = buf->env->realloc(buf->env->ctx, buf->data, buf->cap, size);
  if (!data) return DUNLIN_ENOMEM;
  *out = data;
  *len = buf->len;
  *buf = (struct buf){.env = buf->env, .max = buf->max};
  return 0;
}

void put_be32(uint8_t out[4], uint32_t v) {
  for (int i = 3; i >= 0; i--, v >>= 8) out[i] = (uint8_t)v;
}

void put_be64(uint8_t out[8], uint64_t v) {
  for (int i = 7; i >= 0; i--, v >>= 8) out[i] = (uint8_t)v;
}

uint32_t get_be32(const uint8_t in[4]) {
  uint32_t v = 0;
  for (int i = 0; i < 4; i++) v = v << 8 | in[i];
  return v;
}

uint64_t get_be64(const uint8_t in[8]) {
  uint64_t v = 0;
  for (int i = 0; i < 8; i++) v = v << 8 | in[i];
  return v;
}
