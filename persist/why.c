#include "persist/why.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int why_fail(struct dunlin_why *why, int error, const char *format, ...) {
  if (!why) return error;
  va_list args;
  va_start(args, format);
  vsnprintf(why->text, sizeof why->text, format, args);
  va_end(args);
  return error;
}

int why_errno(void) {
  if (errno == ENOSPC || errno == EDQUOT) return DUNLIN_ENOSPC;
  return errno == ENOMEM ? DUNLIN_ENOMEM : DUNLIN_EIO;
}

int why_system(struct dunlin_why *why, const char *what, const char *path) {
  int error = why_errno();
  return why_fail(why, error, "cannot %s %s: %s", what, path, strerror(errno)); /* %m is not portable */
}
