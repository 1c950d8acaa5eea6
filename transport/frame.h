/* Messages over a byte stream: what a link carries once the handshake is done.
 *
 *   message   u32 length | bytes         a stream of these, cut without regard to their borders, is the plain text of
 *   frame     u16 length | Noise message length 17 to 65535: at least one byte and the tag
 *
 * so small messages share a frame and large ones span several.  Both sides are bounded: a reader allocates for a
 * message only after its length has been checked, and never more than FRAME_MAX_MESSAGE. */
#ifndef TRANSPORT_FRAME_H
#define TRANSPORT_FRAME_H

#include <dunlin/limits.h>

#include "crdt/buf.h"
#include "transport/noise.h"

#define FRAME_MAX_MESSAGE (DUNLIN_MAX_SEALED + 4096u) /* a sealed run and what names it */
#define FRAME_MAX_PLAIN (NOISE_MAX - NOISE_TAG)

/* ---- Reading ------------------------------------------------------------------------------------------------ */

struct frame_reader {
  const struct dunlin_env *env;
  struct noise_cipher cipher;
  uint64_t frames;    /* that were the peer's */
  struct buf frame;   /* of the frame that is coming in: its length, then what is there of it */
  struct buf plain;   /* of the frame that has come in */
  size_t plain_at;    /* what of it has been given out */
  struct buf message; /* of the message that is coming in: its length, then what is there of it */
};

void frame_reader_init(struct frame_reader *r, const struct dunlin_env *env);
void frame_reader_free(struct frame_reader *r);

/* Takes bytes from `*at`, of which `*left` are there, until a message is complete: 1 and the message, borrowed until
 * the next call.  0: all bytes are taken and no message is complete.  DUNLIN_EFORMAT: a frame or message of a length
 * that cannot be.  DUNLIN_EAUTH: a frame that was not sealed by the peer as its next one.  DUNLIN_ENOMEM. */
int frame_read(struct frame_reader *r, const uint8_t **at, size_t *left, struct dunlin_bytes *message);

/* ---- Writing ------------------------------------------------------------------------------------------------ */

struct frame_writer {
  struct noise_cipher cipher;
  struct buf plain; /* messages that wait to be sealed */
  struct buf wire;  /* frames that wait to be sent; the first `sent` bytes are gone */
  size_t sent;
};

/* `max`: bytes of messages that may wait. */
void frame_writer_init(struct frame_writer *w, const struct dunlin_env *env, size_t max);
void frame_writer_free(struct frame_writer *w);

/* A message is what is appended to w->plain between begin and end.  DUNLIN_ELIMIT (too much waits), DUNLIN_ENOMEM. */
size_t frame_begin(struct frame_writer *w);
int frame_end(struct frame_writer *w, size_t begin);

/* Bytes that are not yet sent, sealed or not. */
size_t frame_waiting(const struct frame_writer *w);
/* Seals what waits and gives all bytes to send, borrowed until the next call on this writer. */
int frame_output(struct frame_writer *w, struct dunlin_bytes *out);
void frame_sent(struct frame_writer *w, size_t len);

#endif
