#include "cli/demo_scan.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PIECE (256u * 1024)
#define MARKER_MAX 64u

static int scan_file(const char *path, const struct stat *st, const char *marker, struct scan *out) {
  static char data[PIECE + MARKER_MAX];
  FILE *file = fopen(path, "rb");
  if (!file) return -1;
  size_t len = strlen(marker), kept = 0, n; /* the end of a piece is looked at again with the next one */
  while ((n = fread(data + kept, 1, PIECE, file)) > 0) {
    size_t held = kept + n;
    if (memmem(data, held, marker, len) && !out->found) {
      out->found = true;
      snprintf(out->where, sizeof out->where, "%s", path);
    }
    kept = held < len - 1 ? held : len - 1;
    memmove(data, data + held - kept, kept);
  }
  int failed = ferror(file);
  fclose(file);
  out->files++;
  out->bytes += (uint64_t)st->st_blocks * 512;
  return failed ? -1 : 0;
}

int scan_path(const char *path, const char *marker, struct scan *out) {
  struct stat st;
  if (strlen(marker) > MARKER_MAX || lstat(path, &st)) return -1;
  if (S_ISREG(st.st_mode)) return scan_file(path, &st, marker, out);
  if (!S_ISDIR(st.st_mode)) return 0;
  DIR *dir = opendir(path);
  if (!dir) return -1;
  int rc = 0;
  const struct dirent *entry;
  while (rc == 0 && (entry = readdir(dir))) {
    char inner[4096];
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    int n = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
    rc = n < 0 || (size_t)n >= sizeof inner ? -1 : scan_path(inner, marker, out);
  }
  closedir(dir);
  return rc;
}

bool scan_equal(const char *a, const char *b) {
  FILE *one = fopen(a, "rb"), *two = fopen(b, "rb");
  int x = 0, y = 0;
  while (one && two && x == y && x != EOF) {
    x = getc(one);
    y = getc(two);
  }
  bool equal = one && two && x == y && !ferror(one) && !ferror(two);
  if (one) fclose(one);
  if (two) fclose(two);
  return equal;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

void scan_remove(const char *path) {
  nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
