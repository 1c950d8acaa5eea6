#include "transport/frame.h"

#include <sodium.h>
#include <string.h>

/* ---- Reading ------------------------------------------------------------------------------------------------ */

void frame_reader_init(struct frame_reader *r, const struct dunlin_env *env) {
  *r = (struct frame_reader){.env = env};
  buf_init(&r->frame, env, 2 + NOISE_MAX);
  buf_init(&r->plain, env, FRAME_MAX_PLAIN);
  buf_init(&r->message, env, 4 + FRAME_MAX_MESSAGE);
}

/* Plain text holds names and membership; sealed runs are sealed, but cost nothing to wipe with it. */
static void wipe(struct buf *buf) {
  if (buf->data) sodium_memzero(buf->data, buf->cap);
  buf_free(buf);
}

void frame_reader_free(struct frame_reader *r) {
  sodium_memzero(&r->cipher, sizeof r->cipher);
  buf_free(&r->frame);
  wipe(&r->plain);
  wipe(&r->message);
}

static size_t get_be16(const uint8_t *p) {
  return (size_t)p[0] << 8 | p[1];
}

/* Moves bytes from the input until `buf` holds `want` of them; whether it does. */
static bool gather(struct buf *buf, size_t want, const uint8_t **at, size_t *left) {
  size_t take = want - buf->len < *left ? want - buf->len : *left;
  buf_append(buf, *at, take);
  *at += take;
  *left -= take;
  return buf->len == want;
}

/* 1 when a frame has been opened into r->plain. */
static int next_frame(struct frame_reader *r, const uint8_t **at, size_t *left) {
  if (r->frame.len < 2 && !gather(&r->frame, 2, at, left)) return r->frame.error;
  size_t len = get_be16(r->frame.data);
  if (len <= NOISE_TAG) return DUNLIN_EFORMAT;
  if (!gather(&r->frame, 2 + len, at, left)) return r->frame.error;
  buf_clear(&r->plain);
  r->plain_at = 0;
  uint8_t *out = buf_extend(&r->plain, len - NOISE_TAG);
  if (!out) return r->plain.error;
  int error = noise_open(&r->cipher, r->frame.data + 2, len, out);
  buf_clear(&r->frame);
  if (error) buf_clear(&r->plain);
  else r->frames++;
  return error ? error : 1;
}

/* 1 when a message is complete.  One that lies within this frame is given out where it is. */
static int next_message(struct frame_reader *r, struct dunlin_bytes *message) {
  size_t left = r->plain.len - r->plain_at;
  if (!left) return 0;
  const uint8_t *at = r->plain.data + r->plain_at;
  if (!r->message.len && left >= 4 && get_be32(at) <= left - 4) {
    *message = (struct dunlin_bytes){at + 4, get_be32(at)};
    r->plain_at += 4 + message->len;
    return 1;
  }
  bool complete = false;
  if (r->message.len >= 4 || gather(&r->message, 4, &at, &left)) {
    size_t len = get_be32(r->message.data);
    if (len > FRAME_MAX_MESSAGE) return DUNLIN_EFORMAT;
    complete = gather(&r->message, 4 + len, &at, &left);
    *message = (struct dunlin_bytes){r->message.data + 4, len};
  }
  r->plain_at = r->plain.len - left;
  if (r->message.error) return r->message.error;
  return complete;
}

int frame_read(struct frame_reader *r, const uint8_t **at, size_t *left, struct dunlin_bytes *message) {
  if (r->message.len >= 4 && r->message.len == 4 + (size_t)get_be32(r->message.data))
    buf_clear(&r->message); /* it was given out by the last call */
  for (;;) {
    int result = next_message(r, message);
    if (result) return result;
    result = next_frame(r, at, left);
    if (result <= 0) return result;
  }
}

/* ---- Writing ------------------------------------------------------------------------------------------------ */

/* Sealed bytes that `plain` bytes become: each frame adds its length and tag. */
static size_t sealed_size(size_t plain) {
  return plain + (plain + FRAME_MAX_PLAIN - 1) / FRAME_MAX_PLAIN * (2 + NOISE_TAG);
}

void frame_writer_init(struct frame_writer *w, const struct dunlin_env *env, size_t max) {
  *w = (struct frame_writer){.sent = 0};
  buf_init(&w->plain, env, max);
  buf_init(&w->wire, env, 2 * sealed_size(max));
}

void frame_writer_free(struct frame_writer *w) {
  sodium_memzero(&w->cipher, sizeof w->cipher);
  wipe(&w->plain);
  buf_free(&w->wire);
}

size_t frame_begin(struct frame_writer *w) {
  size_t begin = w->plain.len;
  buf_extend(&w->plain, 4);
  return begin;
}

int frame_end(struct frame_writer *w, size_t begin) {
  int error = w->plain.error;
  if (!error && w->plain.len - begin - 4 > FRAME_MAX_MESSAGE) error = DUNLIN_ELIMIT;
  if (!error) {
    put_be32(w->plain.data + begin, (uint32_t)(w->plain.len - begin - 4));
    return 0;
  }
  w->plain.len = begin;
  w->plain.error = 0;
  return error;
}

size_t frame_waiting(const struct frame_writer *w) {
  return w->plain.len + (w->wire.len - w->sent);
}

int frame_output(struct frame_writer *w, struct dunlin_bytes *out) {
  if (w->sent && w->sent == w->wire.len) w->sent = 0, buf_clear(&w->wire);
  size_t at = 0;
  while (at < w->plain.len && w->wire.max - w->wire.len >= sealed_size(FRAME_MAX_PLAIN)) {
    size_t len = w->plain.len - at < FRAME_MAX_PLAIN ? w->plain.len - at : FRAME_MAX_PLAIN;
    uint8_t *frame = buf_extend(&w->wire, 2 + len + NOISE_TAG);
    if (!frame) return w->wire.error;
    frame[0] = (uint8_t)((len + NOISE_TAG) >> 8);
    frame[1] = (uint8_t)(len + NOISE_TAG);
    int error = noise_seal(&w->cipher, w->plain.data + at, len, frame + 2);
    if (error) return error;
    at += len;
  }
  if (at) {
    memmove(w->plain.data, w->plain.data + at, w->plain.len - at);
    w->plain.len -= at;
  }
  *out = (struct dunlin_bytes){w->wire.data ? w->wire.data + w->sent : NULL, w->wire.len - w->sent};
  return 0;
}

void frame_sent(struct frame_writer *w, size_t len) {
  w->sent += len;
}
