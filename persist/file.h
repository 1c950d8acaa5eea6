/* Small files that must be there whole or not at all: the store's header and the key file. */
#ifndef PERSIST_FILE_H
#define PERSIST_FILE_H

#include <dunlin/dunlin.h>

/* Makes the directory `path` and those above it that are missing (mode 0700), each made durable.  `path` may end in
 * '/'.  0 when it is there; DUNLIN_EIO, DUNLIN_ENOSPC. */
int file_make_dirs(const char *path, struct dunlin_why *why);
/* The same for the directory that `path` lies in. */
int file_make_parents(const char *path, struct dunlin_why *why);

/* fsync() that reaches the medium on systems where that is another call.  0, or -1 with errno. */
int file_sync(int fd);

/* Writes `path` (mode 0600) through "<path>.tmp", fsync, rename, fsync of the directory.  A temporary file that a crash
 * left is replaced; two processes that do this in one directory wait for each other.  DUNLIN_EEXIST when the file is
 * there and `replace` is not set; DUNLIN_EIO, DUNLIN_ENOSPC: then the file is whole, the old or the new one. */
int file_write(const char *path, struct dunlin_bytes content, bool replace, struct dunlin_why *why);

/* Reads a regular file of at most `cap` bytes; `len` may be one more than `cap`, when there is more.  DUNLIN_ENOENT,
 * DUNLIN_EKIND: not a regular file; DUNLIN_EIO.  `out` has room for cap + 1 bytes. */
int file_read(const char *path, uint8_t *out, size_t cap, size_t *len, struct dunlin_why *why);

#endif
