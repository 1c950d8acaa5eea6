/* Looking through the files that the demo leaves: their size, and whether a marker can be read in them. */
#ifndef CLI_DEMO_SCAN_H
#define CLI_DEMO_SCAN_H

#include <stdbool.h>
#include <stdint.h>

struct scan {
  uint64_t bytes; /* in all files, as they are allocated on disk */
  uint64_t files;
  bool found; /* the marker is in one of them */
  char where[256];
};

/* Looks through a file, or all files below a directory.  0 or -1. */
int scan_path(const char *path, const char *marker, struct scan *out);

/* Whether two files hold the same bytes. */
bool scan_equal(const char *a, const char *b);

/* Removes a directory and what is in it. */
void scan_remove(const char *path);

#endif
