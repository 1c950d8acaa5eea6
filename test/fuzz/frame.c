/* The frame reader against a second one, of ten lines: whatever plain text a peer seals, cut into whatever frames, and
 * however the wire is cut on its way, the messages that come out are those of the plain text, and it is refused at the
 * same place.  Frames that were not sealed by the peer give nothing.
 *
 * Input: flags; then frames: a chunk of plain text each (or, with FLAG_WIRE, bytes of the wire as they are); how the
 * wire is cut follows from the byte after the flags. */
#include "test/fuzz/fuzz.h"

#include "test/fault/seeded.h"
#include "transport/frame.h"

#define FLAG_WIRE 1u

static const uint8_t key[NOISE_KEY] = "a key of thirty-two bytes, here";

/* What must come out of the plain text: messages, then 0 or DUNLIN_EFORMAT. */
struct expected {
  struct fuzz_in plain;
};

static int expected_next(struct expected *e, struct dunlin_bytes *message) {
  if (e->plain.left < 4) return 0;
  size_t len = get_be32(e->plain.at);
  if (len > FRAME_MAX_MESSAGE) return DUNLIN_EFORMAT;
  if (e->plain.left - 4 < len) return 0;
  fuzz_take(&e->plain, 4);
  *message = fuzz_take(&e->plain, len);
  return 1;
}

/* Reads the wire in pieces of `step` bytes, each on its own in memory, and compares. */
static int read_wire(struct frame_reader *r, const struct buf *wire, size_t step, struct expected *e) {
  int result = 0;
  for (size_t at = 0; at < wire->len && result >= 0; at += step) {
    size_t left = wire->len - at < step ? wire->len - at : step;
    uint8_t *piece = fuzz_copy((struct dunlin_bytes){wire->data + at, left});
    const uint8_t *next = piece;
    struct dunlin_bytes message, wanted;
    while ((result = frame_read(r, &next, &left, &message)) == 1) {
      CHECK(e && expected_next(e, &wanted) == 1);
      CHECK(message.len == wanted.len && (!wanted.len || !memcmp(message.data, wanted.data, wanted.len)));
      fuzz_accepted++;
    }
    CHECK(result < 0 || !left);
    free(piece);
  }
  return result;
}

static void seal_frames(struct fuzz_in *in, struct buf *wire, struct buf *plain) {
  struct noise_cipher cipher = {.nonce = 0};
  memcpy(cipher.key, key, sizeof key);
  while (in->left) {
    struct dunlin_bytes text = fuzz_chunk(in);
    if (!text.len) continue;
    uint8_t *at = buf_extend(wire, 2 + text.len + NOISE_TAG);
    CHECK(at);
    at[0] = (uint8_t)((text.len + NOISE_TAG) >> 8);
    at[1] = (uint8_t)(text.len + NOISE_TAG);
    CHECK(!noise_seal(&cipher, text.data, text.len, at + 2));
    buf_append(plain, text.data, text.len);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_in in = fuzz_in_of(data, size);
  uint8_t flags = fuzz_byte(&in), cut = fuzz_byte(&in);
  struct buf wire = fuzz_buf(), plain = fuzz_buf();
  struct seeded memory;
  struct frame_reader reader;
  seeded_init(&memory, 1);
  frame_reader_init(&reader, &memory.env);
  memcpy(reader.cipher.key, key, sizeof key);
  if (flags & FLAG_WIRE) buf_append(&wire, in.at, in.left);
  else seal_frames(&in, &wire, &plain);
  struct expected e = {{plain.data, plain.len}};
  int result = read_wire(&reader, &wire, cut ? cut : wire.len + 1, &e);
  if (!(flags & FLAG_WIRE)) {
    struct dunlin_bytes more;
    CHECK(result == expected_next(&e, &more));
  }
  CHECK(result <= 0 && result != DUNLIN_ENOMEM);
  CHECK(memory.peak <= 4 * FRAME_MAX_MESSAGE);
  frame_reader_free(&reader);
  CHECK(!memory.live);
  buf_free(&wire);
  buf_free(&plain);
  return 0;
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  static const uint8_t two[] = {0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 0}, begun[] = {0, 0, 0, 5, 'd', 'e'},
                       rest[] = {'f', 'g', 'h', 0, 0, 0, 1, 'i', 0, 16};
  for (uint8_t cut = 0; cut < 3; cut++) {
    char name[] = "cut-0";
    struct buf input = fuzz_buf();
    fuzz_put_byte(&input, 0);
    fuzz_put_byte(&input, (uint8_t)(cut * 7));
    fuzz_put_chunk(&input, (struct dunlin_bytes){two, sizeof two});
    fuzz_put_chunk(&input, (struct dunlin_bytes){begun, sizeof begun});
    fuzz_put_chunk(&input, (struct dunlin_bytes){rest, sizeof rest});
    name[4] = (char)('0' + cut);
    fuzz_emit_buf(emit, ctx, name, &input);
  }
}
