/* Preloaded into a test: writing to a file called data.mdb fails with ENOSPC while the file named by NOSPACE_WHEN exists.
 * Its content, a number, is how many more writes go well first. */
#undef _FILE_OFFSET_BITS /* both names of each function are wanted, not one renamed to the other */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static __thread int inside;

static int is_data(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t len = readlink(link, path, sizeof path - 1);
  if (len < 8) return 0;
  path[len] = 0;
  return !strcmp(path + len - 8, "data.mdb");
}

/* Whether this call is to fail; counts down. */
static int full(int fd) {
  const char *control = getenv("NOSPACE_WHEN");
  if (inside || !control || !is_data(fd)) return 0;
  inside = 1;
  long left = 1;
  FILE *file = fopen(control, "r+");
  if (file) {
    if (fscanf(file, "%ld", &left) != 1) left = 0;
    if (left > 0) {
      rewind(file);
      fprintf(file, "%ld      ", left - 1);
    }
    fclose(file);
  }
  inside = 0;
  if (!file || left > 0) return 0;
  errno = ENOSPC;
  return 1;
}

#pragma GCC visibility push(default)
#define NEXT(type, name) ((type)(uintptr_t)dlsym(RTLD_NEXT, name))

ssize_t pwrite(int fd, const void *data, size_t len, off_t at) {
  return full(fd) ? -1 : NEXT(ssize_t(*)(int, const void *, size_t, off_t), "pwrite")(fd, data, len, at);
}
ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at) {
  return full(fd) ? -1 : NEXT(ssize_t(*)(int, const void *, size_t, off64_t), "pwrite64")(fd, data, len, at);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  return full(fd) ? -1 : NEXT(ssize_t(*)(int, const struct iovec *, int, off_t), "pwritev")(fd, parts, count, at);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  return full(fd) ? -1 : NEXT(ssize_t(*)(int, const struct iovec *, int, off64_t), "pwritev64")(fd, parts, count, at);
}
ssize_t write(int fd, const void *data, size_t len) {
  return full(fd) ? -1 : NEXT(ssize_t(*)(int, const void *, size_t), "write")(fd, data, len);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
  return full(fd) ? -1 : NEXT(ssize_t(*)(int, const struct iovec *, int), "writev")(fd, parts, count);
}
int fdatasync(int fd) {
  return full(fd) ? -1 : NEXT(int (*)(int), "fdatasync")(fd);
}
int ftruncate(int fd, off_t len) {
  return full(fd) ? -1 : NEXT(int (*)(int, off_t), "ftruncate")(fd, len);
}
int ftruncate64(int fd, off64_t len) {
  return full(fd) ? -1 : NEXT(int (*)(int, off64_t), "ftruncate64")(fd, len);
}
#pragma GCC visibility pop
