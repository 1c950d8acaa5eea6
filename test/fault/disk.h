/* A disk that fails and loses power, under the real file calls of a test program.
 *
 * Linked into a test, disk.c puts its own open, write, pwrite, writev, fsync, ftruncate, rename, unlink and the like
 * before the C library's, for the program itself and for the libraries that it loads (LMDB).  Files below a disk's root
 * are watched, all others pass through.  The files themselves are real (best on a tmpfs) and hold what the system's
 * cache would hold, so mapped memory shows it; what has reached the medium is kept beside: a write is on the medium
 * once the file was synced, or at once through a descriptor opened with O_DSYNC or O_SYNC; a new name once its
 * directory was synced.  Syncing costs nothing here.
 *
 * Files that a program maps for writing (LMDB's lock.mdb) cannot be watched and pass through, and so do calls that
 * neither dunlin nor LMDB makes: dup, openat, fallocate, readv and the like.  Thread-safe. */
#ifndef TEST_FAULT_DISK_H
#define TEST_FAULT_DISK_H

#include <stdbool.h>

#include "test/support/rng.h"

#define DISK_SECTOR 512u /* what a medium writes whole or not at all */

struct disk;

/* Watches everything below `root`, an existing directory; what is there counts as being on the medium.  Aborts the test
 * when something cannot be had: it is no part of what is tested. */
struct disk *disk_new(const char *root);
void disk_free(struct disk *disk); /* the files stay */

/* ---- Faults ------------------------------------------------------------------------------------------------- */

enum disk_call {
  DISK_OPEN = 1,    /* open of an existing file, for reading or writing */
  DISK_READ = 2,    /* read, pread */
  DISK_WRITE = 4,   /* write, pwrite, writev, pwritev */
  DISK_SYNC = 8,    /* fsync, fdatasync */
  DISK_RESIZE = 16, /* ftruncate */
  DISK_NAME = 32,   /* open that creates, rename, unlink, mkdir */
  DISK_CHANGE = DISK_WRITE | DISK_SYNC | DISK_RESIZE | DISK_NAME,
};
#define DISK_SHORT (-1) /* instead of an errno: half of the bytes are written, and the count says so */

/* The calls number `at` (from 1, of those in `calls` from now on) up to `at + times - 1` fail with `error`, an errno or
 * DISK_SHORT (which leaves other calls than writes alone).  A failed sync leaves the file's unsynced writes as they
 * are, neither on the medium nor forgotten.  `times` 0: no more faults. */
void disk_fail(struct disk *disk, unsigned calls, uint64_t at, uint64_t times, int error);
/* Calls of these kinds since the last disk_fail(). */
uint64_t disk_calls(const struct disk *disk, unsigned calls);
/* The sizes of all files together may not grow beyond this: ENOSPC, after the part that fits. UINT64_MAX: no limit. */
void disk_limit(struct disk *disk, uint64_t bytes);
/* The sizes of all its files together, as disk_limit() counts them. */
uint64_t disk_size(const struct disk *disk);

/* ---- Losing power ------------------------------------------------------------------------------------------- */

/* From now on nothing reaches the medium any more, and nothing of it will be there after disk_power_on(), although the
 * program sees its calls succeed: they are the last words of a program that is being torn down. */
void disk_power_off(struct disk *disk);
/* The same in the middle of something: after `changes` more successful changing calls (0: at once). */
void disk_power_off_after(struct disk *disk, uint64_t changes);
bool disk_powered(const struct disk *disk);
/* No file of the disk is open any more.  Of what was not on the medium each sector of each write, each change of a size
 * and each change of names is there or not, as `rng` decides (names of one directory in their order: a prefix of them;
 * rename whole or not at all); then all that is left is on the medium, and calls work again.  NULL: everything was kept
 * (only the program died). */
void disk_power_on(struct disk *disk, struct rng *rng);
/* Bytes that are written and not on the medium. */
uint64_t disk_unsynced(const struct disk *disk);

/* Flips `count` random bits of the file `name` (below the root), on the medium too; its times stay. */
void disk_rot(struct disk *disk, const char *name, struct rng *rng, unsigned count);

/* ---- Recording, and every state that a crash could have left -------------------------------------------------- */

/* Records every change from now on, with the state at this moment as its beginning. */
void disk_record(struct disk *disk);
/* Puts a mark between two changes: "what this number stands for is promised from here on". */
void disk_mark(struct disk *disk, uint64_t mark);
/* How many changes were recorded. */
size_t disk_recorded(const struct disk *disk);

/* Makes in `dir` (its content is replaced) what the medium could hold when power was lost right after change number
 * `at` (0: none of them), with what was not synced by then kept, dropped or torn as `rng` decides; NULL: all of it
 * dropped.  Returns the last mark before that moment, 0 when there is none.  Going forward from one `at` to the next is
 * cheap. */
uint64_t disk_state(struct disk *disk, size_t at, struct rng *rng, const char *dir);

#endif
