#include "persist/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "persist/why.h"

/* ---- Directories -------------------------------------------------------------------------------------------- */

/* Writes the directory that `path` lies in: "." when it names none.  DUNLIN_EINVAL when it is too long. */
static int parent_of(const char *path, char out[PATH_MAX], struct dunlin_why *why) {
  size_t len = strlen(path);
  if (len >= PATH_MAX - sizeof ".tmp") return why_fail(why, DUNLIN_EINVAL, "the path is too long");
  while (len > 1 && path[len - 1] == '/') len--;
  while (len && path[len - 1] != '/') len--;
  while (len > 1 && path[len - 1] == '/') len--;
  memcpy(out, len ? path : ".", len ? len : 1);
  out[len ? len : 1] = 0;
  return 0;
}

int file_sync(int fd) {
#ifdef F_FULLFSYNC /* macOS: there fsync() leaves it to the drive when; not all file systems know this */
  if (!fcntl(fd, F_FULLFSYNC)) return 0;
#endif
  return fsync(fd);
}

static int sync_dir(const char *path, struct dunlin_why *why) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return why_system(why, "open", path);
  int error = file_sync(fd) ? why_system(why, "write", path) : 0;
  close(fd);
  return error;
}

int file_make_dirs(const char *path, struct dunlin_why *why) {
  char above[PATH_MAX];
  struct stat st;
  if (!stat(path, &st)) return S_ISDIR(st.st_mode) ? 0 : why_fail(why, DUNLIN_EIO, "%s is not a directory", path);
  if (errno != ENOENT) return why_system(why, "look at", path);
  int error = parent_of(path, above, why);
  if (error) return error;
  if (strcmp(above, path)) error = file_make_dirs(above, why); /* as deep as the path has parts */
  if (error) return error;
  if (mkdir(path, 0700) && errno != EEXIST) return why_system(why, "make the directory", path);
  return sync_dir(above, why);
}

int file_make_parents(const char *path, struct dunlin_why *why) {
  char above[PATH_MAX];
  int error = parent_of(path, above, why);
  return error ? error : file_make_dirs(above, why);
}

/* ---- Files -------------------------------------------------------------------------------------------------- */

static int write_all(int fd, struct dunlin_bytes content) {
  const char *at = content.data;
  for (size_t left = content.len; left;) {
    ssize_t n = write(fd, at, left);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return -1;
    at += n;
    left -= (size_t)n;
  }
  return file_sync(fd);
}

/* Writes the temporary file; nothing is left of it when that fails. */
static int write_temporary(const char *path, struct dunlin_bytes content, struct dunlin_why *why) {
  if (unlink(path) && errno != ENOENT) return why_system(why, "replace", path);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return why_system(why, "create", path);
  int error = write_all(fd, content) ? why_system(why, "write", path) : 0;
  if (close(fd) && !error) error = why_system(why, "write", path);
  if (error) unlink(path);
  return error;
}

int file_write(const char *path, struct dunlin_bytes content, bool replace, struct dunlin_why *why) {
  char above[PATH_MAX], temporary[PATH_MAX];
  struct stat st;
  int error = parent_of(path, above, why);
  if (error) return error;
  snprintf(temporary, sizeof temporary, "%s.tmp", path);

  /* The lock on the directory makes "is it there? then write" one step among those who write through here. */
  int dir = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return why_system(why, "open", above);
  while (flock(dir, LOCK_EX)) {
    if (errno == EINTR) continue;
    error = why_system(why, "lock", above);
    goto out;
  }
  if (!replace && !lstat(path, &st)) {
    error = why_fail(why, DUNLIN_EEXIST, "%s is there already", path);
    goto out;
  }
  error = write_temporary(temporary, content, why);
  if (error) goto out;
  if (rename(temporary, path)) {
    error = why_system(why, "create", path);
    unlink(temporary);
  } else if (file_sync(dir)) {
    error = why_system(why, "write", above);
  }
out:
  close(dir);
  return error;
}

int file_read(const char *path, uint8_t *out, size_t cap, size_t *len, struct dunlin_why *why) {
  struct stat st;
  size_t got = 0;
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a named pipe must not hold us up */
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return why_fail(why, DUNLIN_ENOENT, "there is no %s", path);
  if (fd < 0) return why_system(why, "open", path);
  int error = fstat(fd, &st) ? why_system(why, "read", path) : 0;
  if (!error && !S_ISREG(st.st_mode)) error = why_fail(why, DUNLIN_EKIND, "%s is not a file", path);
  while (!error && got <= cap) {
    ssize_t n = read(fd, out + got, cap + 1 - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) error = why_system(why, "read", path);
    if (n <= 0) break;
    got += (size_t)n;
  }
  close(fd);
  *len = got;
  return error;
}
