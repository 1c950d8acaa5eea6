/* What the parts of the disk share: disk.c (the model), disk_calls.c (the file calls), disk_record.c (states of a
 * crash).
 *
 * All of it is called with the one lock held, which disk_calls.c takes; `real` is the C library below it. */
#ifndef TEST_FAULT_DISK_PRIVATE_H
#define TEST_FAULT_DISK_PRIVATE_H

#include <limits.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "test/fault/disk.h"

/* The C library's own calls. */
struct real_calls {
  int (*open)(const char *path, int flags, ...);
  int (*close)(int fd);
  ssize_t (*pwrite)(int fd, const void *data, size_t len, off_t at);
  ssize_t (*pread)(int fd, void *data, size_t len, off_t at);
  ssize_t (*read)(int fd, void *data, size_t len);
  off_t (*lseek)(int fd, off_t at, int whence);
  int (*fsync)(int fd);
  int (*ftruncate)(int fd, off_t len);
  int (*rename)(const char *from, const char *to);
  int (*unlink)(const char *path);
  int (*mkdir)(const char *path, mode_t mode);
};
extern struct real_calls real;
void disk_lock(void);
void disk_unlock(void);

/* A change of a file's content or size that is not on the medium, or (`durable`) is, while others before it are not. */
struct change_of_file {
  bool is_resize, durable;
  bool lost;        /* made after the power went */
  off_t at, len;    /* bytes written at `at`; resize: new size `at` */
  off_t old_size;   /* of the file before */
  size_t data, old; /* in file->bytes: what was written; what was there before, of the range or cut off */
  size_t old_len;
};

struct file {
  struct file *next;
  struct disk *disk;
  unsigned number; /* for the record */
  dev_t dev;
  ino_t ino;
  bool removed;        /* it has no name any more, and its inode may be another's soon */
  char path[PATH_MAX]; /* a name of it, for opening it at power_on */
  struct change_of_file *changes;
  size_t count, cap;
  char *bytes;
  size_t used, bytes_cap;
};

enum name_change { NAME_CREATE, NAME_MKDIR, NAME_RENAME, NAME_UNLINK };

/* A change of names in one directory that is not on the medium. */
struct change_of_name {
  enum name_change what;
  bool lost;
  char *path, *to;   /* absolute; `to` of a rename */
  char *kept;        /* a hard link to what was replaced or removed; NULL: nothing was */
  struct file *file; /* that one, if it was ever opened */
};

struct directory {
  struct directory *next;
  char path[PATH_MAX];
  struct change_of_name *changes;
  size_t count, cap;
};

struct disk {
  struct disk *next;
  char root[PATH_MAX], kept[PATH_MAX]; /* `kept`: a directory beside the root for hard links */
  size_t root_len;
  struct file *files;
  struct directory *directories;
  unsigned file_count, kept_count;
  bool off;
  uint64_t off_after;
  unsigned fail_calls;
  uint64_t fail_at, fail_times;
  int fail_error;
  uint64_t calls[6]; /* of each kind */
  uint64_t matched;  /* of those that may fail */
  uint64_t size, limit;
  struct recording *recording; /* NULL */
};

/* The disk that a path lies on; NULL: none. */
struct disk *disk_of(const char *path);

/* A call of one kind is about to be made.  0: go on; > 0: fail with this errno; DISK_SHORT: half. */
int disk_call(struct disk *disk, enum disk_call call);
/* A changing call has succeeded: counts towards the loss of power. */
void disk_changed(struct disk *disk);

/* The file behind a descriptor that was just opened. */
struct file *disk_file(struct disk *disk, int fd, const char *path);
struct directory *disk_directory(struct disk *disk, const char *path); /* made when not known */

ssize_t file_pwrite(struct file *file, int fd, const void *data, size_t len, off_t at, bool durable);
int file_resize(struct file *file, int fd, off_t size);
void file_synced(struct file *file);
void name_created(struct disk *disk, const char *path, bool directory);
int name_rename(struct disk *disk, const char *from, const char *to);
int name_unlink(struct disk *disk, const char *path);
void directory_synced(struct disk *disk, struct directory *directory);
char *disk_parent(const char *path, char out[PATH_MAX]);

/* disk_record.c: does nothing unless it is recording. */
void record_write(struct file *file, const void *data, size_t len, off_t at, bool durable);
void record_resize(struct file *file, off_t size);
void record_sync(struct file *file);
void record_name(struct disk *disk, enum name_change what, const char *path, const char *to, const struct file *file);
void record_directory_sync(struct disk *disk, const char *path);
void record_free(struct recording *recording);

#endif
