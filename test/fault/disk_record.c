#include "test/fault/disk_private.h"
void record_write(struct file *file, const void *data, size_t len, off_t at, bool durable) {
  (void)file, (void)data, (void)len, (void)at, (void)durable;
}
void record_resize(struct file *file, off_t size) {
  (void)file, (void)size;
}
void record_sync(struct file *file) {
  (void)file;
}
void record_name(struct disk *disk, enum name_change what, const char *path, const char *to, const struct file *file) {
  (void)disk, (void)what, (void)path, (void)to, (void)file;
}
void record_directory_sync(struct disk *disk, const char *path) {
  (void)disk, (void)path;
}
void record_free(struct recording *recording) {
  (void)recording;
}
