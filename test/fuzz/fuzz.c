#include "test/fuzz/fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t fuzz_accepted;

void fuzz_fail(const char *file, int line, const char *what) {
  fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
  abort();
}

/* ---- Taking an input apart --------------------------------------------------------------------------------------- */

struct fuzz_in fuzz_in_of(const uint8_t *data, size_t size) {
  return (struct fuzz_in){data, size};
}

struct dunlin_bytes fuzz_take(struct fuzz_in *in, size_t len) {
  if (len > in->left) len = in->left;
  struct dunlin_bytes taken = {len ? in->at : (const uint8_t *)"", len};
  if (len) in->at += len;
  in->left -= len;
  return taken;
}

uint8_t fuzz_byte(struct fuzz_in *in) {
  struct dunlin_bytes one = fuzz_take(in, 1);
  return one.len ? *(const uint8_t *)one.data : 0;
}

uint16_t fuzz_u16(struct fuzz_in *in) {
  uint8_t high = fuzz_byte(in);
  return (uint16_t)(high << 8 | fuzz_byte(in));
}

size_t fuzz_below(struct fuzz_in *in, size_t n) {
  if (n < 2) return 0;
  return (n > 256 ? fuzz_u16(in) : fuzz_byte(in)) % n;
}

struct dunlin_bytes fuzz_chunk(struct fuzz_in *in) {
  size_t len = fuzz_u16(in);
  return fuzz_take(in, len);
}

struct dunlin_bytes fuzz_rest(struct fuzz_in *in) {
  return fuzz_take(in, in->left);
}

uint8_t *fuzz_copy(struct dunlin_bytes bytes) {
  uint8_t *copy = malloc(bytes.len ? bytes.len : 1);
  CHECK(copy);
  if (bytes.len) memcpy(copy, bytes.data, bytes.len);
  return copy;
}

struct buf fuzz_substitute(struct dunlin_bytes bytes, fuzz_known *known, void *ctx) {
  const uint8_t *at = bytes.data;
  struct buf out = fuzz_buf();
  for (size_t i = 0; i < bytes.len; i++) {
    if (bytes.len - i > 4 && !memcmp(at + i, FUZZ_MARK, 4)) {
      struct dunlin_bytes real = known(ctx, at[i + 4]);
      if (real.len) buf_append(&out, real.data, real.len);
      i += 4;
    } else {
      buf_append(&out, at + i, 1);
    }
  }
  return out;
}

void fuzz_put_mark(struct buf *out, uint8_t which) {
  buf_append(out, FUZZ_MARK, 4);
  fuzz_put_byte(out, which);
}

/* ---- Seeds ------------------------------------------------------------------------------------------------------- */

struct buf fuzz_buf(void) {
  struct buf buf;
  buf_init(&buf, dunlin_env_default(), FUZZ_MEMORY);
  return buf;
}

void fuzz_put_byte(struct buf *out, uint8_t byte) {
  buf_append(out, &byte, 1);
}

void fuzz_put_chunk(struct buf *out, struct dunlin_bytes bytes) {
  CHECK(bytes.len <= UINT16_MAX);
  fuzz_put_byte(out, (uint8_t)(bytes.len >> 8));
  fuzz_put_byte(out, (uint8_t)bytes.len);
  buf_append(out, bytes.data, bytes.len);
}

void fuzz_emit_buf(fuzz_emit *emit, void *ctx, const char *name, struct buf *input) {
  CHECK(!input->error);
  emit(ctx, name, (struct dunlin_bytes){input->data, input->len});
  buf_free(input);
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static char directory[256];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

static void remove_directory(void) {
  nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_directory(void) {
  const char *tmp = getenv("TMPDIR");
  struct stat st;
  if (*directory) return directory;
  if (!tmp || !*tmp) tmp = stat("/dev/shm", &st) ? "/tmp" : "/dev/shm";
  snprintf(directory, sizeof directory, "%.200s/dunlin-fuzz-XXXXXX", tmp);
  CHECK(mkdtemp(directory));
  atexit(remove_directory);
  return directory;
}

void fuzz_write_file(const char *path, struct dunlin_bytes bytes) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  CHECK(fd >= 0);
  CHECK(write(fd, bytes.data, bytes.len) == (ssize_t)bytes.len);
  CHECK(!close(fd));
}

struct dunlin_bytes fuzz_read_file(const char *path) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  CHECK(fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode));
  size_t len = (size_t)st.st_size;
  uint8_t *data = malloc(len ? len : 1);
  CHECK(data && read(fd, data, len) == (ssize_t)len);
  close(fd);
  return (struct dunlin_bytes){data, len};
}
