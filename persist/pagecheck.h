/* Reads an LMDB data file by pread(2) before LMDB maps it, because LMDB trusts what it maps: a flipped bit in a page
 * header is a signal there.  Every reachable page is checked for structure; see docs/decisions/pagecheck.md. */
#ifndef PERSIST_PAGECHECK_H
#define PERSIST_PAGECHECK_H

#include <dunlin/dunlin.h>

/* 0 when the file is sound, DUNLIN_ECORRUPT with a sentence in `why`, DUNLIN_EIO, DUNLIN_ENOMEM.  An absent or empty
 * file is sound (LMDB makes a new one).  The caller makes sure that no other process writes to it meanwhile. */
int pagecheck(const struct dunlin_env *env, const char *path, struct dunlin_why *why);

#endif
