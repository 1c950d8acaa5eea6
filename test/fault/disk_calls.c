/* The file calls of the whole test program, in front of the C library's: they look whether a disk is meant, and pass
 * through if not.  Both names of each call are needed: LMDB was built without 64-bit offsets in its calls, dunlin
 * with. */
#undef _FILE_OFFSET_BITS
#include "test/fault/disk_private.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct real_calls real;

/* Recursive, because a sanitizer that has something to report from in here opens files, too. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#define FDS 4096 /* descriptors above that are not watched */
static struct watched {
  struct file *file;
  struct disk *disk;           /* of a directory */
  struct directory *directory; /* or this */
  bool durable;                /* O_DSYNC or O_SYNC */
} watched[FDS];

#define FIND(name) (*(void **)(void *)&real.name = dlsym(RTLD_NEXT, #name))
static void find_real(void) {
  FIND(open), FIND(close), FIND(pwrite), FIND(pread), FIND(read), FIND(lseek), FIND(fsync), FIND(ftruncate),
      FIND(rename);
  FIND(unlink), FIND(mkdir);
}

__attribute__((constructor)) static void find_early(void) {
  pthread_once(&once, find_real);
}

void disk_lock(void) {
  pthread_once(&once, find_real);
  pthread_mutex_lock(&lock);
}

void disk_unlock(void) {
  pthread_mutex_unlock(&lock);
}

static struct watched *watch_of(int fd) {
  return fd >= 0 && fd < FDS && (watched[fd].file || watched[fd].directory) ? &watched[fd] : NULL;
}

/* ---- Opening ----------------------------------------------------------------------------------------------------- */

static int open_watched(struct disk *disk, const char *path, int flags, mode_t mode) {
  bool there = !faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW), creates = (flags & O_CREAT) && !there;
  int error = disk_call(disk, creates ? DISK_NAME : DISK_OPEN);
  if (error > 0) {
    errno = error;
    return -1;
  }
  int fd = real.open(path, flags & ~O_TRUNC, mode);
  if (fd < 0 || fd >= FDS) return fd;
  struct stat st;
  if (fstat(fd, &st)) abort();
  if (S_ISDIR(st.st_mode)) {
    watched[fd] = (struct watched){.disk = disk, .directory = disk_directory(disk, path)};
    return fd;
  }
  if (!S_ISREG(st.st_mode)) return fd;
  watched[fd] = (struct watched){.file = disk_file(disk, fd, path), .durable = (flags & (O_DSYNC | O_SYNC)) != 0};
  if (creates) {
    record_name(disk, NAME_CREATE, path, NULL, watched[fd].file);
    name_created(disk, path, false);
  }
  if (there && (flags & O_TRUNC) && st.st_size) file_resize(watched[fd].file, fd, 0);
  return fd;
}

static int open_any(const char *path, int flags, mode_t mode) {
  disk_lock();
  struct disk *disk = path[0] == '/' ? disk_of(path) : NULL;
  int fd = disk ? open_watched(disk, path, flags, mode) : real.open(path, flags, mode);
  disk_unlock();
  return fd;
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static ssize_t pwrite_watched(struct watched *w, int fd, const void *data, size_t len, off_t at) {
  int error = disk_call(w->file->disk, DISK_WRITE);
  if (error > 0) {
    errno = error;
    return -1;
  }
  if (error == DISK_SHORT) len = (len + 1) / 2;
  return file_pwrite(w->file, fd, data, len, at, w->durable);
}

/* NULL: not watched, the caller passes it through. */
static struct watched *begin(int fd) {
  disk_lock();
  struct watched *w = watch_of(fd);
  if (w && w->file) return w;
  disk_unlock();
  return NULL;
}

/* The parts of a vector in a row; to be freed. */
static char *join(const struct iovec *parts, int count, size_t *len) {
  *len = 0;
  for (int i = 0; i < count; i++) *len += parts[i].iov_len;
  char *all = malloc(*len + 1), *at = all;
  if (!all) abort();
  for (int i = 0; i < count; at += parts[i++].iov_len)
    if (parts[i].iov_len) memcpy(at, parts[i].iov_base, parts[i].iov_len);
  return all;
}

/* At the file's own offset, which it moves. */
static ssize_t write_watched(struct watched *w, int fd, const void *data, size_t len) {
  off_t at = (fcntl(fd, F_GETFL) & O_APPEND) ? real.lseek(fd, 0, SEEK_END) : real.lseek(fd, 0, SEEK_CUR);
  ssize_t n = pwrite_watched(w, fd, data, len, at);
  if (n > 0) real.lseek(fd, at + n, SEEK_SET);
  return n;
}

static int sync_any(int fd, const char *name) {
  disk_lock();
  struct watched *w = watch_of(fd);
  int error = 0, result = 0;
  if (!w) {
    disk_unlock();
    return ((int (*)(int))(uintptr_t)dlsym(RTLD_NEXT, name))(fd);
  }
  error = disk_call(w->file ? w->file->disk : w->disk, DISK_SYNC);
  if (error > 0) errno = error, result = -1;
  else if (w->file) file_synced(w->file);
  else directory_synced(w->disk, w->directory);
  disk_unlock();
  return result;
}

static int resize_any(int fd, off_t size) {
  struct watched *w = begin(fd);
  if (!w) return real.ftruncate(fd, size);
  int error = disk_call(w->file->disk, DISK_RESIZE), result = -1;
  if (error > 0) errno = error;
  else result = file_resize(w->file, fd, size);
  disk_unlock();
  return result;
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

/* The disk of a name that is about to change; NULL: none.  `error` as of disk_call(). */
static struct disk *begin_name(const char *path, int *error) {
  disk_lock();
  struct disk *disk = path[0] == '/' ? disk_of(path) : NULL;
  *error = disk ? disk_call(disk, DISK_NAME) : 0;
  if (disk) return disk;
  disk_unlock();
  return NULL;
}

static int end_name(int error, int result) {
  if (error > 0) errno = error, result = -1;
  int saved = errno;
  disk_unlock();
  errno = saved;
  return result;
}

/* ---- What is put in front of the C library ----------------------------------------------------------------------- */

#pragma GCC visibility push(default)

static mode_t mode_of(int flags, va_list args) {
  return flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(args, unsigned) : 0;
}

int open(const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  mode_t mode = mode_of(flags, args);
  va_end(args);
  return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  mode_t mode = mode_of(flags, args);
  va_end(args);
  return open_any(path, flags, mode);
}

int close(int fd) {
  disk_lock();
  if (fd >= 0 && fd < FDS) watched[fd] = (struct watched){0};
  int result = real.close(fd);
  disk_unlock();
  return result;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at) {
  struct watched *w = begin(fd);
  if (!w) return real.pwrite(fd, data, len, at);
  ssize_t n = pwrite_watched(w, fd, data, len, at);
  disk_unlock();
  return n;
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t at) {
  return pwrite(fd, data, len, (off_t)at);
}

#define NEXT(type, name) ((type)(uintptr_t)dlsym(RTLD_NEXT, name))

ssize_t write(int fd, const void *data, size_t len) {
  struct watched *w = begin(fd);
  if (!w) return NEXT(ssize_t(*)(int, const void *, size_t), "write")(fd, data, len);
  ssize_t n = write_watched(w, fd, data, len);
  disk_unlock();
  return n;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  struct watched *w = begin(fd);
  if (!w) return NEXT(ssize_t(*)(int, const struct iovec *, int), "writev")(fd, parts, count);
  size_t len;
  char *all = join(parts, count, &len);
  ssize_t n = write_watched(w, fd, all, len);
  disk_unlock();
  free(all);
  return n;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  struct watched *w = begin(fd);
  if (!w) return NEXT(ssize_t(*)(int, const struct iovec *, int, off_t), "pwritev")(fd, parts, count, at);
  size_t len;
  char *all = join(parts, count, &len);
  ssize_t n = pwrite_watched(w, fd, all, len, at);
  disk_unlock();
  free(all);
  return n;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  return pwritev(fd, parts, count, (off_t)at);
}

static int fail_read(int fd) {
  struct watched *w = begin(fd);
  int error = w ? disk_call(w->file->disk, DISK_READ) : 0;
  if (w) disk_unlock();
  if (error > 0) errno = error;
  return error > 0;
}

ssize_t read(int fd, void *data, size_t len) {
  return fail_read(fd) ? -1 : real.read(fd, data, len);
}

ssize_t pread(int fd, void *data, size_t len, off_t at) {
  return fail_read(fd) ? -1 : real.pread(fd, data, len, at);
}

ssize_t pread64(int fd, void *data, size_t len, off64_t at) {
  return pread(fd, data, len, (off_t)at);
}

int fsync(int fd) {
  return sync_any(fd, "fsync");
}

int fdatasync(int fd) {
  return sync_any(fd, "fdatasync");
}

int ftruncate(int fd, off_t size) {
  return resize_any(fd, size);
}

int ftruncate64(int fd, off64_t size) {
  return resize_any(fd, (off_t)size);
}

int rename(const char *from, const char *to) {
  int error;
  struct disk *disk = begin_name(from, &error);
  if (!disk) return real.rename(from, to);
  return end_name(error, error > 0 ? -1 : name_rename(disk, from, to));
}

int unlink(const char *path) {
  int error;
  struct disk *disk = begin_name(path, &error);
  if (!disk) return real.unlink(path);
  return end_name(error, error > 0 ? -1 : name_unlink(disk, path));
}

int mkdir(const char *path, mode_t mode) {
  int error, result = -1;
  struct disk *disk = begin_name(path, &error);
  if (!disk) return real.mkdir(path, mode);
  if (error <= 0) result = real.mkdir(path, mode);
  if (!result) {
    record_name(disk, NAME_MKDIR, path, NULL, NULL);
    name_created(disk, path, true);
  }
  return end_name(error, result);
}

#pragma GCC visibility pop
