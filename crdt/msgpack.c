#include "crdt/msgpack.h"

#include <msgpack/pack.h>
#include <string.h>

/* ---- Reading ------------------------------------------------------------------------------------------------ */

struct mp_reader mp_reader_of(const void *data, size_t len) {
  const uint8_t *at = data;
  return (struct mp_reader){.at = at, .end = at ? at + len : at};
}

void mp_fail(struct mp_reader *r) {
  r->error = DUNLIN_EFORMAT;
  r->at = r->end;
}

#define FOUR(type) type, type, type, type
#define SIXTEEN(type) FOUR(type), FOUR(type), FOUR(type), FOUR(type)
const uint8_t mp_types[256] = {
    /* 00 */ SIXTEEN(MP_UINT),
    SIXTEEN(MP_UINT),
    SIXTEEN(MP_UINT),
    SIXTEEN(MP_UINT),
    /* 40 */ SIXTEEN(MP_UINT),
    SIXTEEN(MP_UINT),
    SIXTEEN(MP_UINT),
    SIXTEEN(MP_UINT),
    /* 80 */ SIXTEEN(MP_BAD),
    SIXTEEN(MP_ARRAY),
    SIXTEEN(MP_STR),
    SIXTEEN(MP_STR),
    /* c0 */ MP_NIL,
    MP_BAD,
    MP_BOOL,
    MP_BOOL,
    MP_BIN,
    MP_BIN,
    MP_BIN,
    MP_BAD,
    /* c8 */ MP_BAD,
    MP_BAD,
    MP_BAD,
    MP_FLOAT,
    FOUR(MP_UINT),
    /* d0 */ FOUR(MP_INT),
    MP_BAD,
    MP_BAD,
    MP_BAD,
    MP_TIME,
    /* d8 */ MP_BAD,
    MP_STR,
    MP_STR,
    MP_STR,
    MP_ARRAY,
    MP_ARRAY,
    MP_BAD,
    MP_BAD,
    /* e0 */ SIXTEEN(MP_INT),
    SIXTEEN(MP_INT)};

/* `len` bytes, or NULL and an error. */
static const uint8_t *take(struct mp_reader *r, size_t len) {
  if (r->error || (size_t)(r->end - r->at) < len) {
    mp_fail(r);
    return NULL;
  }
  const uint8_t *at = r->at;
  r->at += len;
  return at;
}

static uint64_t take_be(struct mp_reader *r, size_t len) {
  const uint8_t *p = take(r, len);
  uint64_t v = 0;
  for (size_t i = 0; p && i < len; i++) v = v << 8 | p[i];
  return v;
}

/* A big-endian number of `len` bytes that would not have fitted in the next shorter form, whose maximum is `below`. */
static uint64_t take_shortest(struct mp_reader *r, size_t len, uint64_t below) {
  uint64_t v = take_be(r, len);
  if (v <= below) mp_fail(r);
  return r->error ? 0 : v;
}

void mp_read_nil(struct mp_reader *r) {
  const uint8_t *p = take(r, 1);
  if (p && *p != 0xc0) mp_fail(r);
}

bool mp_read_bool(struct mp_reader *r) {
  const uint8_t *p = take(r, 1);
  if (p && *p != 0xc2 && *p != 0xc3) mp_fail(r);
  return p && *p == 0xc3;
}

uint64_t mp_read_long_uint(struct mp_reader *r, uint64_t max) {
  size_t left = (size_t)(r->end - r->at);
  uint64_t v = 0;
  if (left >= 2 && r->at[0] == 0xcc && r->at[1] > 0x7f) { /* the two that are read most */
    v = r->at[1];
    r->at += 2;
  } else if (left >= 3 && r->at[0] == 0xcd && r->at[1]) {
    v = (uint64_t)r->at[1] << 8 | r->at[2];
    r->at += 3;
  } else {
    const uint8_t *p = take(r, 1);
    if (!p) return 0;
    v = *p;
    if (v == 0xcc) v = take_shortest(r, 1, 0x7f);
    else if (v == 0xcd) v = take_shortest(r, 2, 0xff);
    else if (v == 0xce) v = take_shortest(r, 4, 0xffff);
    else if (v == 0xcf) v = take_shortest(r, 8, 0xffffffff);
    else if (v > 0x7f) mp_fail(r);
  }
  if (v > max) mp_fail(r);
  return r->error ? 0 : v;
}

static int64_t read_negative(struct mp_reader *r) {
  const uint8_t *p = take(r, 1);
  if (!p) return 0;
  int64_t v = 0, above = 0;
  switch (*p) {
    case 0xd0: v = (int8_t)take_be(r, 1), above = -32; break;
    case 0xd1: v = (int16_t)take_be(r, 2), above = INT8_MIN; break;
    case 0xd2: v = (int32_t)take_be(r, 4), above = INT16_MIN; break;
    case 0xd3: v = (int64_t)take_be(r, 8), above = INT32_MIN; break;
    default:
      if (*p < 0xe0) mp_fail(r);
      v = (int8_t)*p;
  }
  if (v >= above) mp_fail(r);
  return r->error ? 0 : v;
}

int64_t mp_read_long_int(struct mp_reader *r) {
  return mp_peek(r) == MP_INT ? read_negative(r) : (int64_t)mp_read_uint(r, INT64_MAX);
}

double mp_read_float(struct mp_reader *r) {
  const uint8_t *p = take(r, 9);
  if (!p) return 0;
  uint64_t bits = get_be64(p + 1);
  double v;
  memcpy(&v, &bits, sizeof v);
  if (*p != 0xcb || (v != v && bits != 0x7ff8000000000000)) mp_fail(r);
  return r->error ? 0 : v;
}

int64_t mp_read_time(struct mp_reader *r) {
  const uint8_t *p = take(r, 10);
  if (p && (p[0] != 0xd7 || p[1] != MP_EXT_TIME)) mp_fail(r);
  return r->error ? 0 : (int64_t)get_be64(p + 2);
}

static struct dunlin_bytes take_bytes(struct mp_reader *r, size_t len, size_t max) {
  if (len > max) mp_fail(r);
  const uint8_t *p = take(r, len);
  return p ? (struct dunlin_bytes){p, len} : (struct dunlin_bytes){"", 0};
}

/* Whether no byte has its highest bit; a few loads, which may overlap, for what is short. */
static bool all_ascii(const uint8_t *p, size_t len) {
  uint64_t eight, any = 0;
  uint32_t first, last;
  if (len < sizeof first) return !len || !((p[0] | p[len / 2] | p[len - 1]) & 0x80);
  if (len < sizeof eight) {
    memcpy(&first, p, sizeof first);
    memcpy(&last, p + len - sizeof last, sizeof last);
    return !((first | last) & 0x80808080u);
  }
  for (size_t i = 0; i + sizeof eight < len; i += sizeof eight) {
    memcpy(&eight, p + i, sizeof eight);
    any |= eight;
  }
  memcpy(&eight, p + len - sizeof eight, sizeof eight);
  return !((any | eight) & 0x8080808080808080u);
}

struct dunlin_bytes mp_read_long_text(struct mp_reader *r, size_t max, size_t *scalars) {
  const uint8_t *p = take(r, 1);
  size_t len = 0;
  if (!p) return (struct dunlin_bytes){"", 0};
  if (*p == 0xd9) len = take_shortest(r, 1, 31);
  else if (*p == 0xda) len = take_shortest(r, 2, 0xff);
  else if (*p == 0xdb) len = take_shortest(r, 4, 0xffff);
  else if (*p >= 0xa0 && *p <= 0xbf) len = *p & 31u;
  else mp_fail(r);
  struct dunlin_bytes s = take_bytes(r, len, max);
  if (utf8_valid(s.data, s.len, scalars)) return s;
  mp_fail(r);
  return (struct dunlin_bytes){"", 0};
}

struct dunlin_bytes mp_read_str(struct mp_reader *r, size_t max) {
  size_t left = (size_t)(r->end - r->at), len = left ? *r->at ^ 0xa0u : 32;
  if (len > 31 || len >= left || len > max || !all_ascii(r->at + 1, len)) return mp_read_long_text(r, max, NULL);
  struct dunlin_bytes s = {r->at + 1, len};
  r->at += 1 + len;
  return s;
}

struct dunlin_bytes mp_read_long_bin(struct mp_reader *r, size_t max) {
  const uint8_t *p = take(r, 1);
  size_t len = 0;
  if (!p) return (struct dunlin_bytes){"", 0};
  if (*p == 0xc4) len = take_be(r, 1);
  else if (*p == 0xc5) len = take_shortest(r, 2, 0xff);
  else if (*p == 0xc6) len = take_shortest(r, 4, 0xffff);
  else mp_fail(r);
  return take_bytes(r, len, max);
}

const uint8_t *mp_read_bin_exact(struct mp_reader *r, size_t len) {
  static const uint8_t zeros[64];
  struct dunlin_bytes b = mp_read_bin(r, len);
  if (b.len == len && !r->error) return b.data;
  mp_fail(r);
  return zeros;
}

size_t mp_read_long_array(struct mp_reader *r, size_t max) {
  const uint8_t *p = take(r, 1);
  size_t count = 0;
  if (!p) return 0;
  if (*p == 0xdc) count = take_shortest(r, 2, 15);
  else if (*p == 0xdd) count = take_shortest(r, 4, 0xffff);
  else if (*p >= 0x90 && *p <= 0x9f) count = *p & 15u;
  else mp_fail(r);
  if (count > max || count > (size_t)(r->end - r->at)) mp_fail(r);
  return r->error ? 0 : count;
}

void mp_skip(struct mp_reader *r) {
  switch (mp_peek(r)) {
    case MP_NIL: mp_read_nil(r); break;
    case MP_BOOL: mp_read_bool(r); break;
    case MP_UINT:
    case MP_INT: mp_read_int(r); break;
    case MP_FLOAT: mp_read_float(r); break;
    case MP_STR: mp_read_str(r, SIZE_MAX); break;
    case MP_BIN: mp_read_bin(r, SIZE_MAX); break;
    case MP_TIME: mp_read_time(r); break;
    case MP_ARRAY:
    case MP_BAD: mp_fail(r);
  }
}

const uint8_t *mp_pass(const uint8_t *at, size_t count) {
  for (; count; count--) {
    uint8_t b = *at;
    if (b <= 0x7f || b >= 0xe0) at += 1;
    else if (b >= 0xa0 && b <= 0xbf) at += 1 + (b & 31u);
    else switch (b) {
        case 0xc4:
        case 0xd9: at += 2 + at[1]; break;
        case 0xc5:
        case 0xda: at += 3 + ((size_t)at[1] << 8 | at[2]); break;
        case 0xc6:
        case 0xdb: at += 5 + (size_t)get_be32(at + 1); break;
        case 0xcc:
        case 0xd0: at += 2; break;
        case 0xcd:
        case 0xd1: at += 3; break;
        case 0xce:
        case 0xd2: at += 5; break;
        case 0xcb:
        case 0xcf:
        case 0xd3: at += 9; break;
        case 0xd7: at += 10; break;
        default: at += 1; /* nil, booleans */
      }
  }
  return at;
}

int mp_end(const struct mp_reader *r) {
  return r->error || r->at != r->end ? DUNLIN_EFORMAT : 0;
}

/* ---- Writing ------------------------------------------------------------------------------------------------ */

static int append(void *out, const char *data, size_t len) {
  buf_append(out, data, len);
  return 0; /* the buffer keeps its error */
}

static msgpack_packer packer(struct buf *out) {
  msgpack_packer pk;
  msgpack_packer_init(&pk, out, append);
  return pk;
}

void mp_write_nil(struct buf *out) {
  msgpack_packer pk = packer(out);
  msgpack_pack_nil(&pk);
}

void mp_write_bool(struct buf *out, bool v) {
  msgpack_packer pk = packer(out);
  if (v) msgpack_pack_true(&pk);
  else msgpack_pack_false(&pk);
}

/* Heads of the kinds that a hot path writes, without the packer: `lead` and `len` bytes of `v`, big-endian. */
static void write_head(struct buf *out, uint8_t lead, uint64_t v, size_t len) {
  uint8_t raw[9] = {lead};
  for (size_t i = len; i; i--, v >>= 8) raw[i] = (uint8_t)v;
  buf_append(out, raw, 1 + len);
}

static void write_byte(struct buf *out, uint8_t byte) {
  buf_append(out, &byte, 1);
}

void mp_write_uint(struct buf *out, uint64_t v) {
  if (v <= 0x7f) write_byte(out, (uint8_t)v);
  else if (v <= 0xff) write_head(out, 0xcc, v, 1);
  else if (v <= 0xffff) write_head(out, 0xcd, v, 2);
  else if (v <= 0xffffffff) write_head(out, 0xce, v, 4);
  else write_head(out, 0xcf, v, 8);
}

void mp_write_int(struct buf *out, int64_t v) {
  if (v >= 0) mp_write_uint(out, (uint64_t)v);
  else if (v >= -32) write_byte(out, (uint8_t)v);
  else if (v >= INT8_MIN) write_head(out, 0xd0, (uint64_t)v, 1);
  else if (v >= INT16_MIN) write_head(out, 0xd1, (uint64_t)v, 2);
  else if (v >= INT32_MIN) write_head(out, 0xd2, (uint64_t)v, 4);
  else write_head(out, 0xd3, (uint64_t)v, 8);
}

void mp_write_float(struct buf *out, double v) {
  uint64_t bits = 0x7ff8000000000000;
  if (v == v) memcpy(&bits, &v, sizeof bits);
  uint8_t raw[9] = {0xcb};
  put_be64(raw + 1, bits);
  buf_append(out, raw, sizeof raw);
}

void mp_write_time(struct buf *out, int64_t us) {
  uint8_t raw[8];
  put_be64(raw, (uint64_t)us);
  msgpack_packer pk = packer(out);
  msgpack_pack_ext_with_body(&pk, raw, sizeof raw, MP_EXT_TIME);
}

void mp_write_str_head(struct buf *out, size_t len) {
  if (len <= 31) write_byte(out, (uint8_t)(0xa0 | len));
  else if (len <= 0xff) write_head(out, 0xd9, len, 1);
  else if (len <= 0xffff) write_head(out, 0xda, len, 2);
  else write_head(out, 0xdb, len, 4);
}

void mp_write_str(struct buf *out, const void *data, size_t len) {
  mp_write_str_head(out, len);
  buf_append(out, data, len);
}

void mp_write_bin_head(struct buf *out, size_t len) {
  uint8_t head[2] = {0xc4, (uint8_t)len};
  if (len <= 0xff) buf_append(out, head, sizeof head);
  else if (len <= 0xffff) write_head(out, 0xc5, len, 2);
  else write_head(out, 0xc6, len, 4);
}

void mp_write_bin(struct buf *out, const void *data, size_t len) {
  mp_write_bin_head(out, len);
  buf_append(out, data, len);
}

void mp_write_array(struct buf *out, size_t count) {
  if (count <= 15) write_byte(out, (uint8_t)(0x90 | count));
  else if (count <= 0xffff) write_head(out, 0xdc, count, 2);
  else write_head(out, 0xdd, count, 4);
}

/* ---- UTF-8 -------------------------------------------------------------------------------------------------- */

/* Length of the well-formed sequence at `p` (Unicode 15, table 3-7), 0 when there is none. */
static size_t sequence(const uint8_t *p, size_t left) {
  uint8_t a = p[0];
  if (a < 0x80) return 1;
  size_t len = a >= 0xc2 && a <= 0xdf ? 2 : a >= 0xe0 && a <= 0xef ? 3 : a >= 0xf0 && a <= 0xf4 ? 4 : 0;
  if (!len || left < len) return 0;
  uint8_t low = a == 0xe0 ? 0xa0 : a == 0xf0 ? 0x90 : 0x80;
  uint8_t high = a == 0xed ? 0x9f : a == 0xf4 ? 0x8f : 0xbf;
  if (p[1] < low || p[1] > high) return 0;
  for (size_t i = 2; i < len; i++)
    if ((p[i] & 0xc0) != 0x80) return 0;
  return len;
}

bool utf8_valid(const void *data, size_t len, size_t *scalars) {
  const uint8_t *p = data;
  size_t count = 0;
  enum { is_short = 64 }; /* what is longer and not ASCII is not gone through twice */
  if (len <= is_short && all_ascii(p, len)) {
    if (scalars) *scalars = len;
    return true;
  }
  for (size_t i = 0; i < len;) {
    uint64_t eight;
    if (len - i >= sizeof eight && (memcpy(&eight, p + i, sizeof eight), !(eight & 0x8080808080808080u))) {
      i += sizeof eight;
      count += sizeof eight;
      continue;
    }
    size_t n = sequence(p + i, len - i);
    if (!n) return false;
    i += n;
    count++;
  }
  if (scalars) *scalars = count;
  return true;
}

size_t utf8_skip(const void *data, size_t scalars) {
  const uint8_t *p = data, *at = p;
  while (scalars) {
    uint64_t eight; /* there are as many bytes as scalar values at least */
    if (scalars >= sizeof eight && (memcpy(&eight, at, sizeof eight), !(eight & 0x8080808080808080u))) {
      at += sizeof eight;
      scalars -= sizeof eight;
      continue;
    }
    at += *at < 0x80 ? 1 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
    scalars--;
  }
  return (size_t)(at - p);
}

uint32_t utf8_next(const uint8_t **at) {
  const uint8_t *p = *at;
  if (p[0] < 0x80) return *at += 1, p[0];
  if (p[0] < 0xe0) return *at += 2, (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
  if (p[0] < 0xf0) return *at += 3, (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
  *at += 4;
  return (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
}

size_t utf8_put(uint8_t out[4], uint32_t c) {
  if (c < 0x80) return out[0] = (uint8_t)c, 1;
  if (c < 0x800) {
    out[0] = (uint8_t)(0xc0 | c >> 6);
    out[1] = (uint8_t)(0x80 | (c & 0x3f));
    return 2;
  }
  if (c < 0x10000) {
    out[0] = (uint8_t)(0xe0 | c >> 12);
    out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c & 0x3f));
    return 3;
  }
  out[0] = (uint8_t)(0xf0 | c >> 18);
  out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
  out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
  out[3] = (uint8_t)(0x80 | (c & 0x3f));
  return 4;
}
