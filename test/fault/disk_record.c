#include "test/fault/disk_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What was done, in order.  A mark is no change. */
struct event {
  enum { EVENT_WRITE, EVENT_RESIZE, EVENT_SYNC, EVENT_NAME, EVENT_NAMES_SYNC, EVENT_MARK } what;
  unsigned file;
  bool durable;
  off_t at;
  size_t data, len;
  enum name_change name;
  char *path, *to;
  uint64_t mark;
};

/* A file as the medium has it at the cursor, and what is not on it. */
struct image {
  char *bytes;
  size_t size, cap;
  size_t *pending; /* numbers of events */
  size_t count, pending_cap;
};

/* A name on the medium; `file` UINT_MAX: a directory. */
struct name {
  char *path;
  unsigned file;
};

struct names {
  struct name *list;
  size_t count, cap;
};

struct recording {
  struct event *events;
  size_t count, cap, changes;
  char *bytes;
  size_t used, bytes_cap;
  struct image *images, *base; /* at the cursor, and at the beginning; of each file */
  size_t file_count, image_cap;
  struct names names, base_names;
  size_t *pending_names;
  size_t pending_count, pending_cap;
  size_t cursor, cursor_changes; /* events taken in, and changes among them */
  uint64_t mark;
};

static void *roomy(void *array, size_t *cap, size_t need, size_t size) {
  if (need <= *cap) return array;
  *cap = *cap * 2 > need ? *cap * 2 : need + 8;
  array = realloc(array, *cap * size);
  if (!array) abort();
  return array;
}

static char *copy_text(const char *text) {
  char *copy = text ? strdup(text) : NULL;
  if (text && !copy) abort();
  return copy;
}

/* ---- Recording --------------------------------------------------------------------------------------------------- */

static void add(struct disk *disk, struct event event) {
  struct recording *r = disk->recording;
  if (!r || disk->off) return;
  r->events = roomy(r->events, &r->cap, r->count + 1, sizeof *r->events);
  r->events[r->count++] = event;
  r->changes += event.what != EVENT_MARK;
}

void record_write(struct file *file, const void *data, size_t len, off_t at, bool durable) {
  struct recording *r = file->disk->recording;
  if (!r) return;
  r->bytes = roomy(r->bytes, &r->bytes_cap, r->used + len, 1);
  memcpy(r->bytes + r->used, data, len);
  add(file->disk,
      (struct event){
          .what = EVENT_WRITE, .file = file->number, .durable = durable, .at = at, .data = r->used, .len = len});
  r->used += len;
}

void record_resize(struct file *file, off_t size) {
  add(file->disk, (struct event){.what = EVENT_RESIZE, .file = file->number, .at = size});
}

void record_sync(struct file *file) {
  add(file->disk, (struct event){.what = EVENT_SYNC, .file = file->number});
}

void record_name(struct disk *disk, enum name_change what, const char *path, const char *to, const struct file *file) {
  if (!disk->recording || disk->off) return;
  add(disk, (struct event){.what = EVENT_NAME,
                           .name = what,
                           .path = copy_text(path),
                           .to = copy_text(to),
                           .file = file ? file->number : UINT_MAX});
}

void record_directory_sync(struct disk *disk, const char *path) {
  if (!disk->recording || disk->off) return;
  add(disk, (struct event){.what = EVENT_NAMES_SYNC, .path = copy_text(path)});
}

void disk_mark(struct disk *disk, uint64_t mark) {
  disk_lock();
  add(disk, (struct event){.what = EVENT_MARK, .mark = mark});
  disk_unlock();
}

size_t disk_recorded(const struct disk *disk) {
  disk_lock();
  size_t changes = disk->recording ? disk->recording->changes : 0;
  disk_unlock();
  return changes;
}

/* ---- Names and images -------------------------------------------------------------------------------------------- */

static struct name *find_name(struct names *names, const char *path) {
  for (size_t i = 0; i < names->count; i++)
    if (!strcmp(names->list[i].path, path)) return &names->list[i];
  return NULL;
}

static void drop_name(struct names *names, const char *path) {
  struct name *name = find_name(names, path);
  if (!name) return;
  free(name->path);
  *name = names->list[--names->count];
}

static void set_name(struct names *names, const char *path, unsigned file) {
  drop_name(names, path);
  names->list = roomy(names->list, &names->cap, names->count + 1, sizeof *names->list);
  names->list[names->count++] = (struct name){copy_text(path), file};
}

static void change_name(struct names *names, const struct event *event) {
  const struct name *from = event->name == NAME_RENAME ? find_name(names, event->path) : NULL;
  unsigned file = from ? from->file : event->file;
  switch (event->name) {
    case NAME_CREATE:
    case NAME_MKDIR: set_name(names, event->path, file); break;
    case NAME_RENAME:
      if (from) set_name(names, event->to, file);
      if (from) drop_name(names, event->path);
      break;
    case NAME_UNLINK: drop_name(names, event->path); break;
  }
}

static void copy_names(struct names *to, const struct names *from) {
  while (to->count) free(to->list[--to->count].path);
  for (size_t i = 0; i < from->count; i++) set_name(to, from->list[i].path, from->list[i].file);
}

static void free_names(struct names *names) {
  while (names->count) free(names->list[--names->count].path);
  free(names->list);
}

static struct image *image_of(struct recording *r, unsigned file) {
  size_t old = r->image_cap, cap = r->image_cap;
  if (file >= cap) {
    r->images = roomy(r->images, &r->image_cap, (size_t)file + 1, sizeof *r->images);
    r->base = roomy(r->base, &cap, (size_t)file + 1, sizeof *r->base);
    memset(r->images + old, 0, (r->image_cap - old) * sizeof *r->images);
    memset(r->base + old, 0, (r->image_cap - old) * sizeof *r->base);
  }
  return &r->images[file];
}

static void set_size(struct image *image, size_t size) {
  image->bytes = roomy(image->bytes, &image->cap, size, 1);
  if (size > image->size) memset(image->bytes + image->size, 0, size - image->size);
  image->size = size;
}

static void put_bytes(struct image *image, const char *data, size_t len, size_t at) {
  if (at + len > image->size) set_size(image, at + len);
  if (len) memcpy(image->bytes + at, data, len);
}

static void apply_whole(const struct recording *r, struct image *image, const struct event *event) {
  if (event->what == EVENT_RESIZE) set_size(image, (size_t)event->at);
  else put_bytes(image, r->bytes + event->data, event->len, (size_t)event->at);
}

static void apply_torn(const struct recording *r, struct image *image, const struct event *event, struct rng *rng) {
  for (size_t done = 0; done < event->len;) {
    size_t at = (size_t)event->at + done, len = DISK_SECTOR - at % DISK_SECTOR;
    if (len > event->len - done) len = event->len - done;
    if (rng_chance(rng, 1, 2)) put_bytes(image, r->bytes + event->data + done, len, at);
    done += len;
  }
}

static void copy_image(struct image *to, const struct image *from) {
  to->size = to->count = 0;
  put_bytes(to, from->bytes ? from->bytes : "", from->size, 0);
}

/* ---- Beginning --------------------------------------------------------------------------------------------------- */

static struct disk *walked; /* nftw() takes no context */

static int take_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  struct recording *r = walked->recording;
  (void)ftw;
  if (type == FTW_D && strcmp(path, walked->root)) set_name(&r->base_names, path, UINT_MAX);
  if (type != FTW_F) return 0;
  int fd = real.open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) abort();
  struct file *file = disk_file(walked, fd, path);
  (void)image_of(r, file->number);
  struct image *base = &r->base[file->number];
  set_size(base, (size_t)st->st_size);
  if (real.pread(fd, base->bytes, base->size, 0) != (ssize_t)base->size) abort();
  real.close(fd);
  set_name(&r->base_names, path, file->number);
  return 0;
}

/* Back to where the recording began. */
static void rewind_recording(struct recording *r) {
  for (size_t i = 0; i < r->image_cap; i++) copy_image(&r->images[i], &r->base[i]);
  copy_names(&r->names, &r->base_names);
  r->pending_count = r->cursor = r->cursor_changes = 0;
  r->mark = 0;
}

void record_free(struct recording *r) {
  if (!r) return;
  for (size_t i = 0; i < r->count; i++) {
    free(r->events[i].path);
    free(r->events[i].to);
  }
  for (size_t i = 0; i < r->image_cap; i++) {
    free(r->images[i].bytes);
    free(r->images[i].pending);
    free(r->base[i].bytes);
  }
  free_names(&r->names);
  free_names(&r->base_names);
  free(r->events);
  free(r->bytes);
  free(r->images);
  free(r->base);
  free(r->pending_names);
  free(r);
}

void disk_record(struct disk *disk) {
  disk_lock();
  record_free(disk->recording);
  disk->recording = calloc(1, sizeof *disk->recording);
  if (!disk->recording) abort();
  walked = disk;
  nftw(disk->root, take_entry, 16, FTW_PHYS);
  rewind_recording(disk->recording);
  disk_unlock();
}

/* ---- States ------------------------------------------------------------------------------------------------------ */

static bool same_parent(const char *path, const char *directory) {
  char parent[PATH_MAX];
  return !strcmp(disk_parent(path, parent), directory);
}

static void sync_names(struct recording *r, const char *directory) {
  size_t kept = 0;
  for (size_t i = 0; i < r->pending_count; i++) {
    const struct event *event = &r->events[r->pending_names[i]];
    if (same_parent(event->path, directory)) change_name(&r->names, event);
    else r->pending_names[kept++] = r->pending_names[i];
  }
  r->pending_count = kept;
}

/* Takes the next event in. */
static void advance(struct recording *r) {
  size_t number = r->cursor++;
  const struct event *event = &r->events[number];
  r->cursor_changes += event->what != EVENT_MARK;
  if (event->what == EVENT_MARK) {
    r->mark = event->mark;
  } else if (event->what == EVENT_NAMES_SYNC) {
    sync_names(r, event->path);
  } else if (event->what == EVENT_NAME) {
    r->pending_names = roomy(r->pending_names, &r->pending_cap, r->pending_count + 1, sizeof *r->pending_names);
    r->pending_names[r->pending_count++] = number;
  } else {
    struct image *image = image_of(r, event->file);
    if (event->what == EVENT_SYNC) {
      for (size_t i = 0; i < image->count; i++) apply_whole(r, image, &r->events[image->pending[i]]);
      image->count = 0;
      return;
    }
    image->pending = roomy(image->pending, &image->pending_cap, image->count + 1, sizeof *image->pending);
    image->pending[image->count++] = number;
  }
}

/* The names after a loss of power: of each directory's changes those up to a point. */
static void draw_names(struct recording *r, struct rng *rng, struct names *out) {
  char parent[PATH_MAX];
  copy_names(out, &r->names);
  for (size_t i = 0; i < r->pending_count; i++) {
    /* The first of a directory draws for all of it; the rest follow where they are met. */
    const char *path = r->events[r->pending_names[i]].path;
    disk_parent(path, parent);
    bool first = true;
    size_t count = 0;
    for (size_t k = 0; k < r->pending_count; k++) {
      if (!same_parent(r->events[r->pending_names[k]].path, parent)) continue;
      first &= k >= i;
      count++;
    }
    if (!first || !rng) continue;
    size_t survive = rng_below(rng, count + 1);
    for (size_t k = 0; k < r->pending_count && survive; k++) {
      const struct event *event = &r->events[r->pending_names[k]];
      if (!same_parent(event->path, parent)) continue;
      change_name(out, event);
      survive--;
    }
  }
}

static void draw_content(struct recording *r, unsigned file, struct rng *rng, struct image *out) {
  const struct image *image = image_of(r, file);
  unsigned usual = rng ? (unsigned)rng_below(rng, 3) : 1;
  copy_image(out, image);
  for (size_t i = 0; i < image->count; i++) {
    const struct event *event = &r->events[image->pending[i]];
    unsigned fate = rng && rng_chance(rng, 1, 2) ? (unsigned)rng_below(rng, 3) : usual; /* kept, dropped, torn */
    if (event->durable || fate == 0) apply_whole(r, out, event);
    else if (fate == 2 && event->what == EVENT_WRITE) apply_torn(r, out, event, rng);
  }
}

static void write_file(const char *path, const struct image *image) {
  int fd = real.open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || real.ftruncate(fd, (off_t)image->size)) abort();
  for (size_t done = 0; done < image->size;) {
    ssize_t n = real.pwrite(fd, image->bytes + done, image->size - done, (off_t)done);
    if (n <= 0) abort();
    done += (size_t)n;
  }
  real.close(fd);
}

/* Removes from `dir` what is not in `names`, whose paths lie below `root`. */
static void sweep(const char *dir, const char *root, const char *below, struct names *names) {
  char path[PATH_MAX], original[PATH_MAX];
  if (snprintf(path, sizeof path, "%s%s", dir, below) >= (int)sizeof path) abort();
  DIR *open = opendir(path);
  if (!open) return;
  for (struct dirent *entry; (entry = readdir(open));) {
    char next[PATH_MAX];
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    if (snprintf(next, sizeof next, "%s/%s", below, entry->d_name) >= (int)sizeof next ||
        snprintf(path, sizeof path, "%s%s", dir, next) >= (int)sizeof path ||
        snprintf(original, sizeof original, "%s%s", root, next) >= (int)sizeof original)
      abort();
    struct stat st;
    if (lstat(path, &st)) abort();
    if (S_ISDIR(st.st_mode)) sweep(dir, root, next, names);
    if (!find_name(names, original)) remove(path);
  }
  closedir(open);
}

static int by_length(const void *a, const void *b) {
  size_t x = strlen(((const struct name *)a)->path), y = strlen(((const struct name *)b)->path);
  return (x > y) - (x < y);
}

/* Whether the directory that the name is in is there: one that was lost took its content with it. */
static bool is_reachable(const struct disk *disk, struct names *names, const char *path) {
  char parent[PATH_MAX];
  disk_parent(path, parent);
  return !strcmp(parent, disk->root) || find_name(names, parent);
}

uint64_t disk_state(struct disk *disk, size_t at, struct rng *rng, const char *dir) {
  struct names names = {0};
  struct image image = {0};
  disk_lock();
  struct recording *r = disk->recording;
  if (at < r->cursor_changes) rewind_recording(r);
  while (r->cursor < r->count && (r->cursor_changes < at || r->events[r->cursor].what == EVENT_MARK)) advance(r);
  draw_names(r, rng, &names);
  if (names.count) qsort(names.list, names.count, sizeof *names.list, by_length);
  sweep(dir, disk->root, "", &names);
  for (size_t i = 0; i < names.count; i++) {
    char path[PATH_MAX];
    if (!is_reachable(disk, &names, names.list[i].path)) continue;
    if (snprintf(path, sizeof path, "%s%s", dir, names.list[i].path + disk->root_len) >= (int)sizeof path) abort();
    if (names.list[i].file == UINT_MAX) {
      if (real.mkdir(path, 0700) && errno != EEXIST) abort();
      continue;
    }
    draw_content(r, names.list[i].file, rng, &image);
    write_file(path, &image);
  }
  uint64_t mark = r->mark;
  free(image.bytes);
  free_names(&names);
  disk_unlock();
  return mark;
}
