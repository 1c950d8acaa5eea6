#include "persist/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PRESENCE 1000
#define PROCESS 2000

/* macOS has the same locks under the same names since 10.15 in a private header, with these numbers. */
#if defined __APPLE__ && !defined F_OFD_SETLK
#define F_OFD_SETLK 90
#define F_OFD_SETLKW 91
#endif

static int open_lease(const char *dir) {
  char path[4096];
  int len = snprintf(path, sizeof path, "%s/lease", dir);
  if (len < 0 || (size_t)len >= sizeof path) return -1;
  return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int lock_byte(int fd, short type, off_t at, bool wait) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
  int rc;
  do rc = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
  while (rc && errno == EINTR);
  if (!rc) return 0;
  return errno == EAGAIN || errno == EACCES ? DUNLIN_EBUSY : errno == ENOSPC ? DUNLIN_ENOSPC : DUNLIN_EIO;
}

/* Unlocks before closing: a child of fork() may still hold the descriptor, and with it the lock. */
static void drop(int *fd, off_t at) {
  if (*fd < 0) return;
  lock_byte(*fd, F_UNLCK, at, false);
  close(*fd);
  *fd = -1;
}

int lease_open(struct lease *lease, const char *dir, bool *alone) {
  *lease = (struct lease){.presence = open_lease(dir), .process = open_lease(dir)};
  int r = lease->presence < 0 || lease->process < 0 ? (errno == ENOSPC ? DUNLIN_ENOSPC : DUNLIN_EIO) : 0;
  if (!r) r = lock_byte(lease->process, F_WRLCK, PROCESS + getpid(), false);
  if (!r) {
    r = lock_byte(lease->presence, F_WRLCK, PRESENCE, false);
    *alone = !r;
    if (r == DUNLIN_EBUSY) r = lock_byte(lease->presence, F_RDLCK, PRESENCE, true);
  }
  if (!r) return 0;
  if (lease->presence >= 0) close(lease->presence);
  if (lease->process >= 0) close(lease->process);
  lease->presence = lease->process = -1;
  return r;
}

int lease_share(struct lease *lease) {
  return lock_byte(lease->presence, F_RDLCK, PRESENCE, false);
}

void lease_close(struct lease *lease) {
  drop(&lease->presence, PRESENCE);
  drop(&lease->process, PROCESS + getpid());
}

/* Takes that slot if it is free.  DUNLIN_EBUSY. */
static int take_slot(const char *dir, uint8_t slot, int *fd) {
  *fd = open_lease(dir);
  if (*fd < 0) return DUNLIN_EIO;
  int r = lock_byte(*fd, F_WRLCK, slot, false);
  if (!r) return 0;
  close(*fd);
  *fd = -1;
  return r;
}

int lease_slot(const char *dir, uint8_t *slot, int *fd) {
  int r = DUNLIN_EBUSY;
  for (unsigned i = 0; r == DUNLIN_EBUSY && i < DUNLIN_MAX_WRITERS; i++) {
    *slot = (uint8_t)i;
    r = take_slot(dir, *slot, fd);
  }
  return r;
}

void lease_slot_release(uint8_t slot, int fd) {
  drop(&fd, slot);
}
