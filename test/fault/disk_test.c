/* The disk itself: what it promises in disk.h. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/uio.h>

#include "test/fault/disk.h"
#include "test/persist/store_support.h"

static struct place place;
static struct disk *disk;

static const char *path_of(const char *name) {
  static char path[400];
  snprintf(path, sizeof path, "%s/%s", place.root, name);
  return path;
}

static int begin(void **state) {
  (void)state;
  place = place_new();
  disk = disk_new(place.root);
  return 0;
}

static int finish(void **state) {
  (void)state;
  disk_free(disk);
  place_remove(&place);
  return 0;
}

static int open_file(const char *name, int flags) {
  int fd = open(path_of(name), O_RDWR | flags | O_CLOEXEC, 0600);
  if (fd < 0) fail_msg("cannot open %s", name);
  return fd;
}

static void sync_dir(void) {
  int fd = open(place.root, O_RDONLY | O_DIRECTORY);
  assert_int_equal(fsync(fd), 0);
  close(fd);
}

/* A file of `len` bytes that is on the medium, name and all. */
static int settled(const char *name, char fill, size_t len) {
  char bytes[8192];
  memset(bytes, fill, sizeof bytes);
  int fd = open_file(name, O_CREAT);
  assert_int_equal(pwrite(fd, bytes, len, 0), len);
  assert_int_equal(fsync(fd), 0);
  sync_dir();
  return fd;
}

static size_t content(const char *name, char out[8192]) {
  FILE *file = fopen(path_of(name), "rb");
  if (!file) return SIZE_MAX;
  size_t len = fread(out, 1, 8192, file);
  fclose(file);
  return len;
}

static void lose_power(uint64_t seed) {
  struct rng rng = rng_of(seed);
  disk_power_off(disk);
  disk_power_on(disk, &rng);
}

static void synced_is_kept(void **state) {
  (void)state;
  char bytes[8192];
  for (uint64_t seed = 0; seed < 20; seed++) {
    int fd = settled("file", (char)('a' + seed), 4096);
    assert_int_equal(disk_unsynced(disk), 0);
    close(fd);
    lose_power(seed);
    assert_int_equal(content("file", bytes), 4096);
    for (size_t i = 0; i < 4096; i++) assert_int_equal(bytes[i], 'a' + (int)seed);
  }
}

/* Over the seeds an unsynced write is kept, dropped and torn, and torn only between sectors. */
static void unsynced_is_kept_dropped_or_torn(void **state) {
  (void)state;
  char bytes[8192], fresh[2048];
  unsigned kept = 0, dropped = 0, torn = 0;
  memset(fresh, 'n', sizeof fresh);
  for (uint64_t seed = 0; seed < 60; seed++) {
    int fd = settled("file", 'o', 4096);
    assert_int_equal(pwrite(fd, fresh, sizeof fresh, 700), sizeof fresh);
    assert_int_equal(disk_unsynced(disk), sizeof fresh);
    close(fd);
    lose_power(seed);
    assert_int_equal(content("file", bytes), 4096);
    size_t news = 0;
    for (size_t i = 0; i < 4096; i++) {
      bool inside = i >= 700 && i < 700 + sizeof fresh;
      assert_true(bytes[i] == 'o' || (inside && bytes[i] == 'n'));
      if (inside && i > 700 && i % DISK_SECTOR) assert_int_equal(bytes[i], bytes[i - 1]);
      news += bytes[i] == 'n';
    }
    kept += news == sizeof fresh;
    dropped += news == 0;
    torn += news && news < sizeof fresh;
  }
  assert_true(kept > 5 && dropped > 5 && torn > 5);
}

static void writes_fare_apart(void **state) {
  (void)state;
  char bytes[8192], fresh[512];
  unsigned seen[4] = {0};
  memset(fresh, 'n', sizeof fresh);
  for (uint64_t seed = 0; seed < 60; seed++) {
    int fd = settled("file", 'o', 4096);
    assert_int_equal(pwrite(fd, fresh, sizeof fresh, 0), sizeof fresh);
    assert_int_equal(pwrite(fd, fresh, sizeof fresh, 2048), sizeof fresh);
    close(fd);
    lose_power(seed);
    content("file", bytes);
    seen[(bytes[0] == 'n') + 2 * (bytes[2048] == 'n')]++;
  }
  for (int i = 0; i < 4; i++) assert_true(seen[i] > 0);
}

static void synchronous_descriptors(void **state) {
  (void)state;
  char bytes[8192];
  for (uint64_t seed = 0; seed < 20; seed++) {
    int fd = settled("file", 'o', 4096), direct = open_file("file", O_DSYNC);
    bool later_lost = false;
    assert_int_equal(pwrite(fd, "lazy", 4, 1024), 4);
    assert_int_equal(pwrite(direct, "sure", 4, 0), 4);
    close(fd);
    close(direct);
    lose_power(seed);
    content("file", bytes);
    assert_memory_equal(bytes, "sure", 4);
    later_lost = memcmp(bytes + 1024, "lazy", 4) != 0;
    if (later_lost) return; /* the other one was not flushed with it */
  }
  fail_msg("a synchronous write took others with it");
}

static void growing_is_undone(void **state) {
  (void)state;
  char bytes[8192];
  bool lost = false, kept = false;
  for (uint64_t seed = 0; seed < 40; seed++) {
    int fd = settled("file", 'o', 1000);
    assert_int_equal(ftruncate(fd, 1000), 0);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(pwrite(fd, "more", 4, 6000), 4);
    close(fd);
    lose_power(seed);
    size_t len = content("file", bytes);
    assert_true(len == 1000 || len == 6004);
    lost |= len == 1000;
    kept |= len == 6004;
    unlink(path_of("file"));
    sync_dir();
  }
  assert_true(lost && kept);
}

static void names_need_their_directory(void **state) {
  (void)state;
  char bytes[8192];
  bool lost = false, kept = false;
  for (uint64_t seed = 0; seed < 40; seed++) {
    int fd = open_file("new", O_CREAT);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(fsync(fd), 0);
    close(fd);
    lose_power(seed);
    bool there = content("new", bytes) != SIZE_MAX;
    lost |= !there;
    kept |= there;
    if (there) unlink(path_of("new"));
    sync_dir();
  }
  assert_true(lost && kept);
}

static void renaming_is_atomic(void **state) {
  (void)state;
  char bytes[8192];
  bool before = false, after = false;
  for (uint64_t seed = 0; seed < 40; seed++) {
    close(settled("old", 'o', 10));
    close(settled("new", 'n', 10));
    char to[400];
    snprintf(to, sizeof to, "%s", path_of("old"));
    assert_int_equal(rename(path_of("new"), to), 0);
    lose_power(seed);
    assert_int_equal(content("old", bytes), 10); /* never absent */
    bool done = bytes[0] == 'n';
    assert_int_equal(content("new", bytes) == SIZE_MAX, done);
    before |= !done;
    after |= done;
  }
  assert_true(before && after);
}

static void removing_can_be_undone(void **state) {
  (void)state;
  char bytes[8192];
  bool back = false, gone = false;
  for (uint64_t seed = 0; seed < 40; seed++) {
    close(settled("file", 'o', 10));
    assert_int_equal(unlink(path_of("file")), 0);
    assert_int_equal(content("file", bytes), SIZE_MAX);
    lose_power(seed);
    bool there = content("file", bytes) == 10;
    back |= there;
    gone |= !there;
  }
  assert_true(back && gone);
}

/* A directory is a name like others, and takes what is in it along. */
static void directories_need_their_directory(void **state) {
  (void)state;
  bool lost = false, kept = false;
  for (uint64_t seed = 0; seed < 40; seed++) {
    char dir[400], name[410];
    snprintf(dir, sizeof dir, "%s/dir", place.root);
    snprintf(name, sizeof name, "%s/file", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(fsync(fd), 0);
    close(fd);
    lose_power(seed);
    bool there = !access(dir, F_OK);
    lost |= !there;
    kept |= there;
    unlink(name);
    rmdir(dir);
    sync_dir();
  }
  assert_true(lost && kept);
}

/* What a removed file had not synced says nothing about the next file that gets its inode. */
static void inodes_are_used_again(void **state) {
  (void)state;
  char bytes[8192];
  for (uint64_t seed = 0; seed < 40; seed++) {
    int fd = settled("first", '1', 4096);
    assert_int_equal(pwrite(fd, "unsynced", 8, 0), 8);
    close(fd);
    assert_int_equal(unlink(path_of("first")), 0);
    sync_dir();
    fd = settled("second", '2', 4096);
    close(fd);
    lose_power(seed);
    assert_int_equal(content("second", bytes), 4096);
    for (size_t i = 0; i < 4096; i++) assert_int_equal(bytes[i], '2');
    unlink(path_of("second"));
    sync_dir();
  }
}

static void sizes_are_counted(void **state) {
  (void)state;
  char to[400];
  close(settled("old", 'o', 10));
  close(settled("new", 'n', 30));
  assert_int_equal(disk_size(disk), 40);
  snprintf(to, sizeof to, "%s", path_of("old"));
  assert_int_equal(rename(path_of("new"), to), 0);
  assert_int_equal(disk_size(disk), 30);
  assert_int_equal(unlink(to), 0);
  assert_int_equal(disk_size(disk), 0);
}

/* A program that only died has lost nothing but what it did after. */
static void dying_without_power_loss(void **state) {
  (void)state;
  char bytes[8192];
  int fd = settled("file", 'o', 100);
  assert_int_equal(pwrite(fd, "kept", 4, 0), 4);
  disk_power_off(disk);
  assert_int_equal(pwrite(fd, "lost", 4, 4), 4); /* it succeeds, and is not to stay */
  assert_int_equal(fsync(fd), 0);
  assert_int_equal(pread(fd, bytes, 8, 0), 8);
  assert_memory_equal(bytes, "keptlost", 8);
  close(fd);
  disk_power_on(disk, NULL);
  assert_int_equal(content("file", bytes), 100);
  assert_memory_equal(bytes, "keptoooo", 8);
}

static void power_goes_in_the_middle(void **state) {
  (void)state;
  char bytes[8192];
  int fd = settled("file", 'o', 100);
  disk_power_off_after(disk, 2);
  assert_int_equal(pwrite(fd, "1", 1, 0), 1);
  assert_true(disk_powered(disk));
  assert_int_equal(fsync(fd), 0);
  assert_false(disk_powered(disk));
  assert_int_equal(pwrite(fd, "2", 1, 1), 1);
  assert_int_equal(fsync(fd), 0);
  close(fd);
  struct rng rng = rng_of(1);
  disk_power_on(disk, &rng);
  assert_true(disk_powered(disk));
  content("file", bytes);
  assert_memory_equal(bytes, "1o", 2);
}

static void calls_fail(void **state) {
  (void)state;
  char bytes[64];
  int fd = settled("file", 'o', 100);
  disk_fail(disk, DISK_WRITE, 2, 1, EIO);
  assert_int_equal(pwrite(fd, "a", 1, 0), 1);
  assert_int_equal(pwrite(fd, "b", 1, 1), -1);
  assert_int_equal(errno, EIO);
  assert_int_equal(pwrite(fd, "c", 1, 2), 1);
  assert_int_equal(disk_calls(disk, DISK_WRITE), 3);
  assert_int_equal(disk_calls(disk, DISK_SYNC), 0);
  disk_fail(disk, DISK_SYNC | DISK_READ, 1, UINT64_MAX, EIO);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(fsync(fd), -1);
    assert_int_equal(pread(fd, bytes, 1, 0), -1);
  }
  assert_int_equal(disk_unsynced(disk), 2); /* a failed sync has flushed nothing */
  disk_fail(disk, DISK_WRITE, 1, 1, DISK_SHORT);
  const struct iovec parts[] = {{(char[]){"0123"}, 4}, {(char[]){"4567"}, 4}};
  assert_int_equal(pwritev(fd, parts, 2, 10), 4);
  disk_fail(disk, DISK_NAME | DISK_OPEN, 1, UINT64_MAX, ENOSPC);
  assert_int_equal(open(path_of("other"), O_CREAT | O_RDWR, 0600), -1);
  assert_int_equal(errno, ENOSPC);
  assert_int_equal(open(path_of("file"), O_RDWR), -1);
  assert_int_equal(unlink(path_of("file")), -1);
  assert_int_equal(mkdir(path_of("dir"), 0700), -1);
  disk_fail(disk, 0, 0, 0, 0);
  assert_int_equal(fsync(fd), 0);
  assert_int_equal(disk_unsynced(disk), 0);
  close(fd);
}

static void a_full_disk(void **state) {
  (void)state;
  int fd = settled("file", 'o', 100);
  char bytes[64] = {0};
  disk_limit(disk, disk_size(disk) + 10);
  assert_int_equal(pwrite(fd, bytes, 64, 50), 60); /* what fits */
  assert_int_equal(pwrite(fd, bytes, 1, 110), -1);
  assert_int_equal(errno, ENOSPC);
  assert_int_equal(pwrite(fd, bytes, 64, 0), 64); /* no new space is needed */
  assert_int_equal(ftruncate(fd, 200), -1);
  disk_limit(disk, UINT64_MAX);
  assert_int_equal(pwrite(fd, bytes, 64, 110), 64);
  assert_int_equal(disk_size(disk), 174);
  close(fd);
}

static void rot_flips_bits(void **state) {
  (void)state;
  char bytes[8192];
  struct stat before, after;
  struct rng rng = rng_of(3);
  close(settled("file", 0, 4096));
  stat(path_of("file"), &before);
  disk_rot(disk, "file", &rng, 3);
  stat(path_of("file"), &after);
  assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
  content("file", bytes);
  unsigned flipped = 0;
  for (size_t i = 0; i < 4096; i++) flipped += (unsigned)__builtin_popcount((uint8_t)bytes[i]);
  assert_int_equal(flipped, 3);
}

/* What a recording says the medium held is what a loss of power at that moment leaves. */
static void states_of_a_recording(void **state) {
  (void)state;
  char bytes[8192];
  struct place copy = place_new();
  close(settled("base", 'b', 10));
  disk_record(disk);
  int fd = open_file("file", O_CREAT);            /* 1 */
  assert_int_equal(pwrite(fd, "first", 5, 0), 5); /* 2 */
  assert_int_equal(fsync(fd), 0);                 /* 3 */
  sync_dir();                                     /* 4 */
  disk_mark(disk, 7);
  assert_int_equal(pwrite(fd, "other", 5, 0), 5); /* 5 */
  assert_int_equal(fsync(fd), 0);                 /* 6 */
  disk_mark(disk, 8);
  close(fd);
  assert_int_equal(disk_recorded(disk), 6);
  static const struct {
    size_t at;
    uint64_t mark;
    const char *content; /* with everything unsynced dropped; NULL: no file */
  } rows[] = {{0, 0, NULL}, {3, 0, NULL}, {4, 7, "first"}, {5, 7, "first"}, {6, 8, "other"}, {2, 0, NULL}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char path[400];
    assert_int_equal(disk_state(disk, rows[i].at, NULL, copy.root), rows[i].mark);
    snprintf(path, sizeof path, "%s/file", copy.root);
    FILE *file = fopen(path, "rb");
    assert_int_equal(file == NULL, rows[i].content == NULL);
    if (file) {
      assert_int_equal(fread(bytes, 1, 5, file), 5);
      assert_memory_equal(bytes, rows[i].content, 5);
      fclose(file);
    }
    snprintf(path, sizeof path, "%s/base", copy.root);
    assert_int_equal(access(path, R_OK), 0);
  }
  bool first = false, second = false;
  for (uint64_t seed = 0; seed < 30; seed++) {
    struct rng rng = rng_of(seed);
    char path[400];
    disk_state(disk, 5, &rng, copy.root);
    snprintf(path, sizeof path, "%s/file", copy.root);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, 5, file), 5);
    fclose(file);
    first |= !memcmp(bytes, "first", 5);
    second |= !memcmp(bytes, "other", 5);
  }
  assert_true(first && second);
  place_remove(&copy);
}

static void other_files_pass_through(void **state) {
  (void)state;
  struct place elsewhere = place_new();
  struct disk *second = disk_new(elsewhere.root);
  char path[400];
  snprintf(path, sizeof path, "%s/file", elsewhere.root);
  disk_fail(disk, DISK_CHANGE, 1, UINT64_MAX, EIO);
  int fd = open(path, O_RDWR | O_CREAT, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "x", 1), 1);
  assert_int_equal(disk_unsynced(second), 1);
  assert_int_equal(disk_unsynced(disk), 0);
  close(fd);
  disk_free(second);
  place_remove(&elsewhere);
  disk_fail(disk, 0, 0, 0, 0);
}

static void *write_much(void *ctx) {
  int fd = *(int *)ctx;
  for (int i = 0; i < 500; i++)
    if (pwrite(fd, "x", 1, i) != 1 || (i % 50 == 0 && fsync(fd))) return ctx;
  return NULL;
}

static void threads(void **state) {
  (void)state;
  pthread_t workers[4];
  int fds[4];
  char name[16];
  for (int i = 0; i < 4; i++) {
    snprintf(name, sizeof name, "file%d", i);
    fds[i] = open_file(name, O_CREAT);
    assert_int_equal(pthread_create(&workers[i], NULL, write_much, &fds[i]), 0);
  }
  for (int i = 0; i < 4; i++) {
    void *failed;
    pthread_join(workers[i], &failed);
    assert_null(failed);
    close(fds[i]);
  }
}

#define WITH_DISK(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_DISK(synced_is_kept),
      WITH_DISK(unsynced_is_kept_dropped_or_torn),
      WITH_DISK(writes_fare_apart),
      WITH_DISK(synchronous_descriptors),
      WITH_DISK(growing_is_undone),
      WITH_DISK(names_need_their_directory),
      WITH_DISK(renaming_is_atomic),
      WITH_DISK(removing_can_be_undone),
      WITH_DISK(directories_need_their_directory),
      WITH_DISK(inodes_are_used_again),
      WITH_DISK(sizes_are_counted),
      WITH_DISK(dying_without_power_loss),
      WITH_DISK(power_goes_in_the_middle),
      WITH_DISK(calls_fail),
      WITH_DISK(a_full_disk),
      WITH_DISK(rot_flips_bits),
      WITH_DISK(states_of_a_recording),
      WITH_DISK(other_files_pass_through),
      WITH_DISK(threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
