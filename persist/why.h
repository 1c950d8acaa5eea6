/* The sentence that goes with an error. */
#ifndef PERSIST_WHY_H
#define PERSIST_WHY_H

#include <dunlin/dunlin.h>

/* Writes the sentence (cut to fit) when `why` is not NULL, and returns `error`. */
int why_fail(struct dunlin_why *why, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The error of a failed system call: DUNLIN_ENOSPC or DUNLIN_ENOMEM where errno says so, else DUNLIN_EIO. */
int why_errno(void);

/* Both: "cannot WHAT PATH: ..." with the system's words. */
int why_system(struct dunlin_why *why, const char *what, const char *path);

#endif
