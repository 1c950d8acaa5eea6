/* An invitation line: what dunlin_invitation_parse() accepts has one form, so that writing what was read gives the same
 * line.
 *
 * Input: one byte; when it is odd, the rest is a body, which gets its checksum and base64 here; else the rest is the
 * line. */
#include <sodium.h>

#include "crdt/msgpack.h"
#include "persist/member.h"
#include "test/fuzz/fuzz.h"

#define PREFIX "dunlin1."

/* Appends the line of a body. */
static void write_line(struct buf *line, const void *body, size_t len) {
  struct buf whole = fuzz_buf();
  struct dunlin_id check = env_hash(dunlin_env_default(), "dunlin.line.1", &(struct dunlin_bytes){body, len}, 1);
  buf_append(&whole, body, len);
  buf_append(&whole, check.bytes, 8);
  size_t size = sodium_base64_encoded_len(whole.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  buf_append(line, PREFIX, strlen(PREFIX));
  sodium_bin2base64((char *)buf_extend(line, size), size, whole.data, whole.len,
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  line->len--; /* the NUL */
  buf_free(&whole);
}

static void write_body(struct buf *body, const struct dunlin_invitation *in) {
  mp_write_array(body, 4);
  mp_write_str(body, in->address, strlen(in->address));
  mp_write_bin(body, in->device.bytes, 32);
  mp_write_bin(body, in->secret, 32);
  mp_write_int(body, in->expires);
}

static struct dunlin_bytes trimmed(struct dunlin_bytes line) {
  const char *at = line.data, *end = at + line.len;
  while (at < end && strchr(" \t\r\n", *at) && *at) at++;
  while (end > at && strchr(" \t\r\n", end[-1]) && end[-1]) end--;
  return (struct dunlin_bytes){at, (size_t)(end - at)};
}

static void check_accepted(const struct dunlin_invitation *in, struct dunlin_bytes line) {
  struct buf body = fuzz_buf(), again = fuzz_buf();
  line = trimmed(line);
  CHECK(name_valid(in->address, strnlen(in->address, sizeof in->address)));
  write_body(&body, in);
  write_line(&again, body.data, body.len);
  CHECK(again.len == line.len && !memcmp(again.data, line.data, line.len));
  CHECK(line.len < DUNLIN_INVITATION_MAX);
  buf_free(&body);
  buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_in in = fuzz_in_of(data, size);
  struct dunlin_invitation invitation;
  struct buf line = fuzz_buf();
  if (fuzz_byte(&in) & 1) write_line(&line, in.at, in.left);
  else buf_append(&line, in.at, in.left);
  uint8_t *copy = fuzz_copy((struct dunlin_bytes){line.data, line.len});
  int error = dunlin_invitation_parse((const char *)copy, line.len, &invitation);
  CHECK(!error || error == DUNLIN_EINVITE);
  if (!error) {
    check_accepted(&invitation, (struct dunlin_bytes){copy, line.len});
    fuzz_accepted++;
  }
  free(copy);
  buf_free(&line);
  return 0;
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  struct dunlin_invitation in = {"desk.example.org:7000", {{1, 2, 3}}, {4, 5, 6}, 1700000000000000};
  struct buf input = fuzz_buf(), body = fuzz_buf();
  write_body(&body, &in);
  fuzz_put_byte(&input, 1);
  buf_append(&input, body.data, body.len);
  fuzz_emit_buf(emit, ctx, "body", &input);
  input = fuzz_buf();
  fuzz_put_byte(&input, 0);
  buf_append(&input, " \r\n", 3);
  write_line(&input, body.data, body.len);
  fuzz_put_byte(&input, '\n');
  fuzz_emit_buf(emit, ctx, "line", &input);
  buf_free(&body);
}
