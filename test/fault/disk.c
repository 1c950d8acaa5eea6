#include "test/fault/disk_private.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct disk *disks;

static void *must(void *ptr) {
  if (!ptr) abort();
  return ptr;
}

/* Room for `need` elements in an array that doubles. */
static void *roomy(void *array, size_t *cap, size_t need, size_t size) {
  if (need <= *cap) return array;
  *cap = *cap * 2 > need ? *cap * 2 : need + 8;
  return must(realloc(array, *cap * size));
}

/* ---- Disks ----------------------------------------------------------------------------------------------------- */

static int add_size(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)path, (void)ftw;
  if (type == FTW_F) disks->size += (uint64_t)st->st_size; /* the disk being made is the first of the list */
  return 0;
}

struct disk *disk_new(const char *root) {
  struct disk *disk = must(calloc(1, sizeof *disk));
  if (!realpath(root, disk->root)) abort();
  disk->root_len = strlen(disk->root);
  if (snprintf(disk->kept, sizeof disk->kept, "%s.kept", disk->root) >= (int)sizeof disk->kept) abort();
  disk->limit = disk->off_after = UINT64_MAX;
  disk_lock();
  disk->next = disks;
  disks = disk;
  nftw(disk->root, add_size, 16, FTW_PHYS);
  disk_unlock();
  return disk;
}

static void forget_names(struct directory *directory) {
  for (size_t i = 0; i < directory->count; i++) {
    struct change_of_name *c = &directory->changes[i];
    if (c->kept) real.unlink(c->kept);
    if (c->file) c->file->removed = true; /* its inode may be used again */
    free(c->path);
    free(c->to);
    free(c->kept);
  }
  directory->count = 0;
}

void disk_free(struct disk *disk) {
  if (!disk) return;
  disk_lock();
  for (struct disk **at = &disks; *at; at = &(*at)->next)
    if (*at == disk) {
      *at = disk->next;
      break;
    }
  for (struct directory *d = disk->directories, *next; d; d = next) {
    next = d->next;
    forget_names(d);
    free(d->changes);
    free(d);
  }
  for (struct file *file = disk->files, *next; file; file = next) {
    next = file->next;
    free(file->changes);
    free(file->bytes);
    free(file);
  }
  record_free(disk->recording);
  rmdir(disk->kept);
  free(disk);
  disk_unlock();
}

struct disk *disk_of(const char *path) {
  for (struct disk *disk = disks; disk; disk = disk->next)
    if (!strncmp(path, disk->root, disk->root_len) && (path[disk->root_len] == '/' || !path[disk->root_len]))
      return disk;
  return NULL;
}

/* ---- Faults ---------------------------------------------------------------------------------------------------- */

void disk_fail(struct disk *disk, unsigned calls, uint64_t at, uint64_t times, int error) {
  disk_lock();
  disk->fail_calls = calls;
  disk->fail_at = at;
  disk->fail_times = times;
  disk->fail_error = error;
  disk->matched = 0;
  memset(disk->calls, 0, sizeof disk->calls);
  disk_unlock();
}

uint64_t disk_calls(const struct disk *disk, unsigned calls) {
  uint64_t count = 0;
  disk_lock();
  for (unsigned i = 0; i < 6; i++)
    if (calls >> i & 1) count += disk->calls[i];
  disk_unlock();
  return count;
}

int disk_call(struct disk *disk, enum disk_call call) {
  for (unsigned i = 0; i < 6; i++) disk->calls[i] += call >> i & 1;
  if (disk->off || !(disk->fail_calls & call)) return 0;
  uint64_t number = ++disk->matched;
  if (number < disk->fail_at || number - disk->fail_at >= disk->fail_times) return 0;
  return disk->fail_error == DISK_SHORT && call != DISK_WRITE ? 0 : disk->fail_error;
}

void disk_limit(struct disk *disk, uint64_t bytes) {
  disk_lock();
  disk->limit = bytes;
  disk_unlock();
}

uint64_t disk_size(const struct disk *disk) {
  disk_lock();
  uint64_t size = disk->size;
  disk_unlock();
  return size;
}

/* ---- Files ----------------------------------------------------------------------------------------------------- */

struct file *disk_file(struct disk *disk, int fd, const char *path) {
  struct stat st;
  if (fstat(fd, &st)) abort();
  struct file *file = disk->files;
  while (file && (file->removed || file->ino != st.st_ino || file->dev != st.st_dev)) file = file->next;
  if (!file) {
    file = must(calloc(1, sizeof *file));
    *file = (struct file){
        .next = disk->files, .disk = disk, .number = disk->file_count++, .dev = st.st_dev, .ino = st.st_ino};
    disk->files = file;
  }
  snprintf(file->path, sizeof file->path, "%s", path);
  return file;
}

static size_t keep_bytes(struct file *file, const void *data, size_t len) {
  size_t at = file->used;
  file->bytes = roomy(file->bytes, &file->bytes_cap, file->used + len, 1);
  if (data) memcpy(file->bytes + at, data, len);
  file->used += len;
  return at;
}

static struct change_of_file *new_change(struct file *file) {
  file->changes = roomy(file->changes, &file->cap, file->count + 1, sizeof *file->changes);
  return &file->changes[file->count++];
}

static off_t size_of(int fd) {
  struct stat st;
  if (fstat(fd, &st)) abort();
  return st.st_size;
}

/* Reads what the file holds now into file->bytes. */
static size_t keep_old(struct file *file, int fd, off_t at, size_t len) {
  size_t place = keep_bytes(file, NULL, len);
  if (!len) return place;
  bool readable = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
  int own = !readable ? real.open(file->path, O_RDONLY | O_CLOEXEC) : -1;
  for (size_t got = 0; got < len;) {
    ssize_t n = real.pread(readable ? fd : own, file->bytes + place + got, len - got, at + (off_t)got);
    if (n <= 0) abort();
    got += (size_t)n;
  }
  if (own >= 0) real.close(own);
  return place;
}

/* How many of `len` bytes at `at` there is space for. */
static size_t fitting(const struct disk *disk, off_t size, size_t len, off_t at) {
  off_t end = at + (off_t)len;
  if (end <= size || disk->limit == UINT64_MAX) return len;
  uint64_t room = disk->limit > disk->size ? disk->limit - disk->size : 0;
  uint64_t grows = (uint64_t)(end - size);
  if (grows <= room) return len;
  uint64_t lost = grows - room;
  return lost >= len ? 0 : len - (size_t)lost;
}

ssize_t file_pwrite(struct file *file, int fd, const void *data, size_t len, off_t at, bool durable) {
  struct disk *disk = file->disk;
  if (!len) return 0;
  off_t size = size_of(fd);
  len = fitting(disk, size, len, at);
  if (!len) {
    errno = ENOSPC;
    return -1;
  }
  /* A durable write with nothing before it that is not is simply on the medium. */
  if (!durable || file->count || disk->off) {
    size_t old_len = at >= size ? 0 : (size_t)(size - at) < len ? (size_t)(size - at) : len;
    struct change_of_file change = {.durable = durable && !disk->off,
                                    .lost = disk->off,
                                    .at = at,
                                    .len = (off_t)len,
                                    .old_size = size,
                                    .old_len = old_len};
    change.data = keep_bytes(file, data, len);
    change.old = keep_old(file, fd, at, old_len);
    *new_change(file) = change;
  }
  record_write(file, data, len, at, durable);
  if (real.pwrite(fd, data, len, at) != (ssize_t)len) abort();
  if (at + (off_t)len > size) disk->size += (uint64_t)(at + (off_t)len - size);
  disk_changed(disk);
  return (ssize_t)len;
}

int file_resize(struct file *file, int fd, off_t size) {
  struct disk *disk = file->disk;
  off_t old = size_of(fd);
  if (size > old && (uint64_t)(size - old) > (disk->limit > disk->size ? disk->limit - disk->size : 0)) {
    errno = ENOSPC;
    return -1;
  }
  struct change_of_file change = {.is_resize = true, .lost = disk->off, .at = size, .old_size = old};
  change.old_len = size < old ? (size_t)(old - size) : 0;
  change.old = keep_old(file, fd, size, change.old_len);
  *new_change(file) = change;
  record_resize(file, size);
  if (real.ftruncate(fd, size)) abort();
  disk->size += (uint64_t)size - (uint64_t)old;
  disk_changed(disk);
  return 0;
}

void file_synced(struct file *file) {
  if (file->disk->off) return;
  record_sync(file);
  file->count = file->used = 0;
  disk_changed(file->disk);
}

/* ---- Names ----------------------------------------------------------------------------------------------------- */

char *disk_parent(const char *path, char out[PATH_MAX]) {
  size_t len = strlen(path);
  while (len && path[len - 1] == '/') len--;
  while (len && path[len - 1] != '/') len--;
  while (len > 1 && path[len - 1] == '/') len--;
  memcpy(out, path, len);
  out[len] = 0;
  return out;
}

struct directory *disk_directory(struct disk *disk, const char *path) {
  char plain[PATH_MAX];
  snprintf(plain, sizeof plain, "%s", path);
  for (size_t len = strlen(plain); len > 1 && plain[len - 1] == '/';) plain[--len] = 0;
  for (struct directory *d = disk->directories; d; d = d->next)
    if (!strcmp(d->path, plain)) return d;
  struct directory *d = must(calloc(1, sizeof *d));
  d->next = disk->directories;
  memcpy(d->path, plain, sizeof plain);
  disk->directories = d;
  return d;
}

static void add_name(struct disk *disk, struct change_of_name change) {
  char parent[PATH_MAX];
  struct directory *d = disk_directory(disk, disk_parent(change.path, parent));
  d->changes = roomy(d->changes, &d->cap, d->count + 1, sizeof *d->changes);
  change.lost = disk->off;
  d->changes[d->count++] = change;
}

void name_created(struct disk *disk, const char *path, bool directory) {
  add_name(disk, (struct change_of_name){.what = directory ? NAME_MKDIR : NAME_CREATE, .path = must(strdup(path))});
  disk_changed(disk);
}

/* A hard link to what is at `path`, so that it can come back; NULL when nothing is there. */
static char *keep_file(struct disk *disk, const char *path) {
  char kept[PATH_MAX + 16];
  if (access(path, F_OK)) return NULL;
  real.mkdir(disk->kept, 0700);
  snprintf(kept, sizeof kept, "%s/%u", disk->kept, disk->kept_count++);
  if (link(path, kept)) abort();
  return must(strdup(kept));
}

static struct file *file_at(struct disk *disk, const char *path) {
  struct stat st;
  struct file *file = disk->files;
  if (lstat(path, &st)) return NULL;
  while (file && (file->removed || file->ino != st.st_ino || file->dev != st.st_dev)) file = file->next;
  return file;
}

int name_rename(struct disk *disk, const char *from, const char *to) {
  struct stat st = {.st_size = 0};
  struct file *replaced = file_at(disk, to);
  char *kept = keep_file(disk, to);
  if (kept && lstat(to, &st)) abort();
  if (real.rename(from, to)) {
    if (kept) real.unlink(kept);
    free(kept);
    return -1;
  }
  for (struct file *file = disk->files; file; file = file->next)
    if (!strcmp(file->path, from)) snprintf(file->path, sizeof file->path, "%s", to);
  disk->size -= (uint64_t)st.st_size;
  record_name(disk, NAME_RENAME, from, to, NULL);
  add_name(
      disk,
      (struct change_of_name){
          .what = NAME_RENAME, .path = must(strdup(from)), .to = must(strdup(to)), .kept = kept, .file = replaced});
  disk_changed(disk);
  return 0;
}

int name_unlink(struct disk *disk, const char *path) {
  struct stat st = {.st_size = 0};
  struct file *file = file_at(disk, path);
  char *kept = keep_file(disk, path);
  if (!kept) {
    errno = ENOENT;
    return -1;
  }
  if (lstat(path, &st) || real.unlink(path)) abort();
  disk->size -= (uint64_t)st.st_size;
  record_name(disk, NAME_UNLINK, path, NULL, NULL);
  add_name(disk, (struct change_of_name){.what = NAME_UNLINK, .path = must(strdup(path)), .kept = kept, .file = file});
  disk_changed(disk);
  return 0;
}

void directory_synced(struct disk *disk, struct directory *directory) {
  if (disk->off) return;
  record_directory_sync(disk, directory->path);
  forget_names(directory);
  disk_changed(disk);
}

/* ---- Losing power ------------------------------------------------------------------------------------------------ */

void disk_changed(struct disk *disk) {
  if (disk->off || disk->off_after == UINT64_MAX) return;
  if (disk->off_after) disk->off_after--;
  if (!disk->off_after) disk->off = true;
}

void disk_power_off_after(struct disk *disk, uint64_t changes) {
  disk_lock();
  disk->off_after = changes;
  if (!changes) disk->off = true;
  disk_unlock();
}

void disk_power_off(struct disk *disk) {
  disk_power_off_after(disk, 0);
}

bool disk_powered(const struct disk *disk) {
  disk_lock();
  bool off = disk->off;
  disk_unlock();
  return !off;
}

uint64_t disk_unsynced(const struct disk *disk) {
  uint64_t bytes = 0;
  disk_lock();
  for (const struct file *file = disk->files; file; file = file->next)
    for (size_t i = 0; i < file->count; i++)
      if (!file->changes[i].durable && !file->changes[i].is_resize) bytes += (uint64_t)file->changes[i].len;
  disk_unlock();
  return bytes;
}

static void put(int fd, const char *data, size_t len, off_t at) {
  if (real.pwrite(fd, data, len, at) != (ssize_t)len) abort();
}

static void take_back(const struct file *file, int fd, const struct change_of_file *c) {
  if (real.ftruncate(fd, c->old_size)) abort();
  if (c->old_len) put(fd, file->bytes + c->old, c->old_len, c->at);
}

/* Does a change again: whole, or (torn) some of its sectors. */
static void do_again(const struct file *file, int fd, const struct change_of_file *c, struct rng *torn) {
  if (c->is_resize) {
    if (real.ftruncate(fd, c->at)) abort();
    return;
  }
  if (!torn) {
    put(fd, file->bytes + c->data, (size_t)c->len, c->at);
    return;
  }
  for (off_t done = 0; done < c->len;) {
    off_t in_sector = (off_t)DISK_SECTOR - (c->at + done) % (off_t)DISK_SECTOR;
    off_t len = c->len - done < in_sector ? c->len - done : in_sector;
    if (rng_chance(torn, 1, 2)) put(fd, file->bytes + c->data + done, (size_t)len, c->at + done);
    done += len;
  }
}

/* What came after the power went is taken back; of the rest each change has its own fate, when `rng` draws one. */
static void settle_file(struct file *file, struct rng *rng) {
  size_t kept = rng ? 0 : file->count;
  while (kept && file->changes[kept - 1].lost) kept--;
  if (kept == file->count) return;
  int fd = real.open(file->path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return; /* it has been removed */
  for (size_t i = file->count; i-- > kept;) take_back(file, fd, &file->changes[i]);
  /* Most often all writes or none arrived; the states between are the interesting ones. */
  unsigned usual = rng ? (unsigned)rng_below(rng, 3) : 0;
  for (size_t i = kept; i < file->count && !file->changes[i].lost; i++) {
    const struct change_of_file *c = &file->changes[i];
    unsigned fate = rng_chance(rng, 1, 2) ? usual : (unsigned)rng_below(rng, 3); /* kept, dropped, torn */
    if (c->durable || fate == 0) do_again(file, fd, c, NULL);
    else if (fate == 2 && !c->is_resize) do_again(file, fd, c, rng);
  }
  real.close(fd);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

static void undo_name(const struct change_of_name *c) {
  switch (c->what) {
    case NAME_CREATE: real.unlink(c->path); break;
    case NAME_MKDIR: nftw(c->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS); break;
    case NAME_RENAME:
      real.rename(c->to, c->path);
      if (c->kept) real.rename(c->kept, c->to);
      break;
    case NAME_UNLINK: real.rename(c->kept, c->path); break;
  }
}

static void recount(struct disk *disk) {
  struct disk *first = disks;
  disk->size = 0;
  disks = disk; /* for add_size() */
  nftw(disk->root, add_size, 16, FTW_PHYS);
  disks = first;
}

void disk_power_on(struct disk *disk, struct rng *rng) {
  disk_lock();
  for (struct file *file = disk->files; file; file = file->next) settle_file(file, rng);
  for (struct directory *d = disk->directories; d; d = d->next) {
    size_t survive = d->count;
    while (survive && d->changes[survive - 1].lost) survive--;
    if (rng) survive = rng_below(rng, survive + 1);
    for (size_t i = d->count; i-- > survive;) undo_name(&d->changes[i]);
    forget_names(d);
  }
  for (struct file *file = disk->files, *next; file; file = next) {
    next = file->next;
    free(file->changes);
    free(file->bytes);
    free(file);
  }
  disk->files = NULL;
  disk->off = false;
  disk->off_after = UINT64_MAX;
  recount(disk);
  disk_unlock();
}

void disk_rot(struct disk *disk, const char *name, struct rng *rng, unsigned count) {
  char path[PATH_MAX + 256];
  struct stat st;
  snprintf(path, sizeof path, "%s/%s", disk->root, name);
  int fd = real.open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) || !st.st_size) abort();
  for (unsigned i = 0; i < count; i++) {
    off_t at = (off_t)rng_below(rng, (size_t)st.st_size);
    char byte;
    if (real.pread(fd, &byte, 1, at) != 1) abort();
    byte = (char)(byte ^ (1 << rng_below(rng, 8)));
    put(fd, &byte, 1, at);
  }
  const struct timespec times[2] = {st.st_atim, st.st_mtim};
  futimens(fd, times);
  real.close(fd);
}
