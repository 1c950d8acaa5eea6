/* Frames: every split point, many messages in a frame, messages over many frames, bounds, tampering. */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transport/frame.h"

struct pair {
  struct frame_writer writer;
  struct frame_reader reader;
};

static void setup(struct pair *p) {
  static const uint8_t key[NOISE_KEY] = "a key of thirty-two bytes, here";
  frame_writer_init(&p->writer, dunlin_env_default(), 8u << 20);
  frame_reader_init(&p->reader, dunlin_env_default());
  memcpy(p->writer.cipher.key, key, sizeof key);
  memcpy(p->reader.cipher.key, key, sizeof key);
}

static void teardown(struct pair *p) {
  frame_writer_free(&p->writer);
  frame_reader_free(&p->reader);
}

/* The bytes of message `i` follow from its length and number, so that mixing any two up is seen. */
static uint8_t pattern(size_t message, size_t at) {
  return (uint8_t)(message * 31 + at * 7 + (at >> 8));
}

static void write_message(struct frame_writer *w, size_t i, size_t len) {
  size_t begin = frame_begin(w);
  uint8_t *out = buf_extend(&w->plain, len);
  for (size_t k = 0; k < len; k++) out[k] = pattern(i, k);
  assert_int_equal(frame_end(w, begin), 0);
}

static void check_message(struct dunlin_bytes got, size_t i, size_t len) {
  assert_int_equal(got.len, len);
  for (size_t k = 0; k < len; k++)
    if (((const uint8_t *)got.data)[k] != pattern(i, k)) fail_msg("message %zu differs at %zu", i, k);
}

static uint8_t *take_wire(struct frame_writer *w, size_t *len) {
  struct dunlin_bytes out;
  assert_int_equal(frame_output(w, &out), 0);
  uint8_t *copy = malloc(out.len ? out.len : 1);
  assert_non_null(copy);
  memcpy(copy, out.data, out.len);
  frame_sent(w, out.len);
  *len = out.len;
  return copy;
}

/* Feeds the wire in pieces that end at `cuts`, and checks all messages. */
static void read_all(struct frame_reader *r, const uint8_t *wire, size_t len, const size_t *cuts, size_t cut_count,
                     const size_t *lengths, size_t count) {
  size_t begin = 0, seen = 0;
  for (size_t c = 0; c <= cut_count; c++) {
    size_t end = c < cut_count ? cuts[c] : len, left = end - begin;
    uint8_t *piece = malloc(left ? left : 1); /* of its own, so that reading past it is seen */
    assert_non_null(piece);
    memcpy(piece, wire + begin, left);
    const uint8_t *at = piece;
    struct dunlin_bytes message;
    int result;
    while ((result = frame_read(r, &at, &left, &message)) == 1) {
      assert_true(seen < count);
      check_message(message, seen, lengths[seen]);
      seen++;
    }
    assert_int_equal(result, 0);
    assert_int_equal(left, 0);
    free(piece);
    begin = end;
  }
  assert_int_equal(seen, count);
}

/* Two frames of small messages, cut once at every byte. */
static void every_split_point(void **state) {
  (void)state;
  static const size_t lengths[] = {0, 1, 5, 0, 100, 3, 250};
  for (size_t cut = 0;; cut++) {
    struct pair p;
    setup(&p);
    for (size_t i = 0; i < 4; i++) write_message(&p.writer, i, lengths[i]);
    size_t len1, len2;
    uint8_t *wire1 = take_wire(&p.writer, &len1);
    for (size_t i = 4; i < 7; i++) write_message(&p.writer, i, lengths[i]);
    uint8_t *wire2 = take_wire(&p.writer, &len2);
    uint8_t *wire = malloc(len1 + len2);
    memcpy(wire, wire1, len1);
    memcpy(wire + len1, wire2, len2);
    if (cut <= len1 + len2) read_all(&p.reader, wire, len1 + len2, &cut, 1, lengths, 7);
    teardown(&p);
    free(wire), free(wire1), free(wire2);
    if (cut > len1 + len2) break;
  }
}

/* Messages whose lengths lie around the border of a frame, cut where the frames meet and around it. */
static void large_messages(void **state) {
  (void)state;
  static const size_t lengths[] = {FRAME_MAX_PLAIN - 4, FRAME_MAX_PLAIN - 5, 3, FRAME_MAX_PLAIN - 3,
                                   2 * FRAME_MAX_PLAIN, FRAME_MAX_MESSAGE,   0, 70000};
  const size_t count = sizeof lengths / sizeof *lengths;
  for (size_t shift = 0; shift < 6; shift++) {
    struct pair p;
    setup(&p);
    for (size_t i = 0; i < count; i++) write_message(&p.writer, i, lengths[i]);
    size_t len;
    uint8_t *wire = take_wire(&p.writer, &len);
    size_t cuts[64], n = 0;
    for (size_t at = 65537 - 3 + shift; at < len; at += 65537) cuts[n++] = at;
    read_all(&p.reader, wire, len, cuts, n, lengths, count);
    teardown(&p);
    free(wire);
  }
}

static void random_chunks(void **state) {
  (void)state;
  const char *given = getenv("DUNLIN_SEED");
  unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : 20261121;
  print_message("DUNLIN_SEED=%u\n", seed);
  srand(seed);
  for (int round = 0; round < 100; round++) {
    struct pair p;
    setup(&p);
    size_t lengths[50], cuts[200], n = 0, len;
    for (size_t i = 0; i < 50; i++) {
      lengths[i] = (size_t)rand() % (rand() % 10 ? 300 : 100000);
      write_message(&p.writer, i, lengths[i]);
    }
    uint8_t *wire = take_wire(&p.writer, &len);
    for (size_t at = 0; n < 200; cuts[n++] = at) {
      at += (size_t)rand() % (2 * len / 200);
      if (at > len) break;
    }
    read_all(&p.reader, wire, len, cuts, n, lengths, 50);
    teardown(&p);
    free(wire);
  }
}

static int read_error(const uint8_t *wire, size_t len) {
  struct pair p;
  setup(&p);
  struct dunlin_bytes message;
  int result;
  while ((result = frame_read(&p.reader, &wire, &len, &message)) == 1) continue;
  teardown(&p);
  return result;
}

static void every_flipped_bit(void **state) {
  (void)state;
  struct pair p;
  setup(&p);
  write_message(&p.writer, 0, 40);
  write_message(&p.writer, 1, 7);
  size_t len;
  uint8_t *wire = take_wire(&p.writer, &len);
  for (size_t bit = 0; bit < len * 8; bit++) {
    wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
    int error = read_error(wire, len);
    /* A larger length waits for more; nothing has been given out. */
    if (bit < 16) assert_true(error <= 0);
    else assert_int_equal(error, DUNLIN_EAUTH);
    wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  assert_int_equal(read_error(wire, len), 0);
  free(wire);
  teardown(&p);
}

static void lengths_that_cannot_be(void **state) {
  (void)state;
  for (unsigned len = 0; len <= NOISE_TAG; len++) {
    uint8_t wire[2 + NOISE_TAG] = {0, (uint8_t)len};
    assert_int_equal(read_error(wire, sizeof wire), DUNLIN_EFORMAT);
  }
  /* A message that declares one byte too many is refused at its length, before any of it has come. */
  for (uint32_t over = 0; over < 2; over++) {
    struct pair p;
    setup(&p);
    put_be32(buf_extend(&p.writer.plain, 4), FRAME_MAX_MESSAGE + over);
    size_t len;
    uint8_t *wire = take_wire(&p.writer, &len);
    assert_int_equal(read_error(wire, len), over ? DUNLIN_EFORMAT : 0);
    free(wire);
    teardown(&p);
  }
}

static void writer_is_bounded(void **state) {
  (void)state;
  struct frame_writer w;
  frame_writer_init(&w, dunlin_env_default(), 1000);
  size_t begin = frame_begin(&w);
  buf_extend(&w.plain, 990);
  assert_int_equal(frame_end(&w, begin), 0);
  begin = frame_begin(&w);
  buf_extend(&w.plain, 3);
  assert_int_equal(frame_end(&w, begin), DUNLIN_ELIMIT);
  assert_int_equal(frame_waiting(&w), 994); /* the refused message is gone, the other is whole */
  begin = frame_begin(&w);
  buf_extend(&w.plain, 2);
  assert_int_equal(frame_end(&w, begin), 0);
  frame_writer_free(&w);
  frame_writer_init(&w, dunlin_env_default(), 4u << 20);
  begin = frame_begin(&w);
  buf_extend(&w.plain, FRAME_MAX_MESSAGE + 1);
  assert_int_equal(frame_end(&w, begin), DUNLIN_ELIMIT);
  frame_writer_free(&w);
}

int main(void) {
  if (sodium_init() < 0) return 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_split_point), cmocka_unit_test(large_messages),
      cmocka_unit_test(random_chunks),     cmocka_unit_test(every_flipped_bit),
      cmocka_unit_test(writer_is_bounded), cmocka_unit_test(lengths_that_cannot_be),
  };
  return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
