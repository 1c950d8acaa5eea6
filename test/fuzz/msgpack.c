/* Canonical msgpack: what the strict reader accepts has one encoding, so writing what was read gives the same bytes.
 *
 * Input: values in a row. */
#include "test/fuzz/fuzz.h"

#include "crdt/msgpack.h"

#define DEPTH_MAX 64u

static void copy_value(struct mp_reader *r, struct buf *out, unsigned depth) {
  struct dunlin_bytes bytes;
  switch (mp_peek(r)) {
    case MP_NIL:
      mp_read_nil(r);
      mp_write_nil(out);
      break;
    case MP_BOOL: mp_write_bool(out, mp_read_bool(r)); break;
    case MP_UINT: mp_write_uint(out, mp_read_uint(r, UINT64_MAX)); break;
    case MP_INT: mp_write_int(out, mp_read_int(r)); break;
    case MP_FLOAT: mp_write_float(out, mp_read_float(r)); break;
    case MP_TIME: mp_write_time(out, mp_read_time(r)); break;
    case MP_STR:
      bytes = mp_read_str(r, SIZE_MAX);
      CHECK(utf8_valid(bytes.data, bytes.len, NULL));
      mp_write_str(out, bytes.data, bytes.len);
      break;
    case MP_BIN:
      bytes = mp_read_bin(r, SIZE_MAX);
      mp_write_bin(out, bytes.data, bytes.len);
      break;
    case MP_ARRAY: {
      size_t count = mp_read_array(r, SIZE_MAX);
      if (depth == DEPTH_MAX) mp_fail(r);
      mp_write_array(out, count);
      for (size_t i = 0; i < count && !r->error; i++) copy_value(r, out, depth + 1);
      break;
    }
    case MP_BAD: mp_fail(r);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct mp_reader r = mp_reader_of(data, size);
  struct buf out = fuzz_buf();
  while (!r.error && r.at != r.end) copy_value(&r, &out, 0);
  if (!mp_end(&r)) {
    CHECK(!out.error && out.len == size && (!size || !memcmp(out.data, data, size)));
    fuzz_accepted++;
  } else {
    CHECK(r.error == DUNLIN_EFORMAT && mp_end(&r) == DUNLIN_EFORMAT);
    CHECK(!mp_read_uint(&r, UINT64_MAX) && !mp_read_bin(&r, 9).len && !mp_read_array(&r, 9)); /* the error stays */
  }
  buf_free(&out);
  return 0;
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  static const uint64_t numbers[] = {0, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, 1ull << 32, UINT64_MAX};
  static const int64_t negative[] = {-1,       -32, -33, -128, -129, -32768, -32769, INT32_MIN, (int64_t)INT32_MIN - 1,
                                     INT64_MIN};
  static uint8_t zeros[300];
  struct buf out = fuzz_buf();
  mp_write_array(&out, 20);
  for (size_t i = 0; i < 10; i++) mp_write_uint(&out, numbers[i]);
  for (size_t i = 0; i < 10; i++) mp_write_int(&out, negative[i]);
  fuzz_emit_buf(emit, ctx, "numbers", &out);
  out = fuzz_buf();
  mp_write_array(&out, 4);
  mp_write_nil(&out);
  mp_write_bool(&out, true);
  mp_write_array(&out, 3);
  mp_write_float(&out, -0.0);
  mp_write_float(&out, __builtin_nan(""));
  mp_write_float(&out, 1e300);
  mp_write_time(&out, -1);
  mp_write_str(&out, "\xc3\xa9\xf0\x9f\xa6\x86", 6);
  mp_write_str(&out, zeros, 40);
  mp_write_str(&out, zeros, 300);
  mp_write_bin(&out, zeros, 0);
  mp_write_bin(&out, zeros, 200);
  mp_write_bin(&out, zeros, 300);
  fuzz_emit_buf(emit, ctx, "others", &out);
}
