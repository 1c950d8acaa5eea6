/* Runs a fuzz target without a fuzzer: on its seeds, on files and directories of inputs, and on random changes of all
 * of them.
 *
 *   replay [--seeds DIRECTORY] [--runs N] [FILE or DIRECTORY...]
 *
 * --seeds writes the target's seeds into a directory, and does nothing else.  Changed input number n is made from the
 * seed n alone: TEST_SEED=n with the same files makes that one again, TEST_RUNS says how many are made (1000, or
 * --runs). */
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/fuzz/fuzz.h"
#include "test/support/rng.h"

#define LENGTH_MAX 8192u

struct inputs {
  struct dunlin_bytes *list; /* the seeds first */
  size_t seeds, count, cap;
};

/* What is being done, for whoever reads of a crash. */
static char doing[1100];

static void say_what(void) {
  ssize_t ignored = write(2, doing, strlen(doing));
  (void)ignored;
}

static void on_signal(int signal_number) {
  say_what();
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

/* Sanitizers end the process their own way. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void run(struct dunlin_bytes input) {
  uint8_t *copy = fuzz_copy(input);
  CHECK(LLVMFuzzerTestOneInput(copy, input.len) == 0);
  free(copy);
}

static void keep(struct inputs *inputs, struct dunlin_bytes input) {
  if (inputs->count == inputs->cap) {
    inputs->cap = inputs->cap ? 2 * inputs->cap : 64;
    inputs->list = realloc(inputs->list, inputs->cap * sizeof *inputs->list);
    CHECK(inputs->list);
  }
  inputs->list[inputs->count++] = input;
}

/* ---- Seeds and files --------------------------------------------------------------------------------------------- */

static void keep_seed(void *ctx, const char *name, struct dunlin_bytes input) {
  snprintf(doing, sizeof doing, "in the seed %s\n", name);
  uint64_t before = fuzz_accepted;
  run(input);
  if (fuzz_accepted == before) {
    fprintf(stderr, "the seed %s was not accepted\n", name);
    exit(1);
  }
  keep(ctx, (struct dunlin_bytes){fuzz_copy(input), input.len});
}

static void write_seed(void *ctx, const char *name, struct dunlin_bytes input) {
  char path[512];
  snprintf(path, sizeof path, "%s/seed-%s", (const char *)ctx, name);
  fuzz_write_file(path, input);
}

static void run_file(struct inputs *inputs, const char *path) {
  struct dunlin_bytes input = fuzz_read_file(path);
  snprintf(doing, sizeof doing, "in the input %s\n", path);
  run(input);
  keep(inputs, input);
}

static int visible(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

/* In the order of names, so that a changed input is the same again. */
static void run_path(struct inputs *inputs, const char *path) {
  struct stat st;
  struct dirent **entries;
  if (stat(path, &st)) {
    fprintf(stderr, "%s is not there\n", path);
    exit(2);
  }
  if (!S_ISDIR(st.st_mode)) {
    run_file(inputs, path);
    return;
  }
  int count = scandir(path, &entries, visible, alphasort);
  CHECK(count >= 0);
  for (int i = 0; i < count; i++) {
    char file[1000];
    snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
    run_file(inputs, file);
    free(entries[i]);
  }
  free(entries);
}

/* ---- Changed inputs ---------------------------------------------------------------------------------------------- */

/* Puts `len` bytes of `from` at `at`, over `remove` bytes that are there. */
static size_t splice(uint8_t *data, size_t size, size_t at, size_t remove, const uint8_t *from, size_t len) {
  if (size - remove + len > LENGTH_MAX) return size;
  memmove(data + at + len, data + at + remove, size - at - remove);
  if (len) memcpy(data + at, from, len);
  return size - remove + len;
}

static size_t change_once(uint8_t *data, size_t size, const struct inputs *inputs, struct rng *rng) {
  static const uint8_t borders[] = {0, 1, 0x7f, 0x80, 0x90, 0xc0, 0xc4, 0xcc, 0xcf, 0xff};
  size_t at = rng_below(rng, size + 1), most = size - at < 16 ? size - at : 16, some = rng_below(rng, most + 1);
  const struct dunlin_bytes *other = &inputs->list[rng_below(rng, inputs->count)];
  size_t from = rng_below(rng, other->len), len = rng_below(rng, other->len - from < 64 ? other->len - from + 1 : 64);
  uint8_t byte = rng_below(rng, 2) ? (uint8_t)rng_next(rng) : borders[rng_below(rng, sizeof borders)];
  switch (rng_below(rng, 7)) {
    case 0:
      if (at < size) data[at] ^= (uint8_t)(1u << rng_below(rng, 8));
      return size;
    case 1:
      if (at < size) data[at] = byte;
      return size;
    case 2:
      if (at < size) data[at] = (uint8_t)(data[at] + rng_below(rng, 9) - 4);
      return size;
    case 3: return splice(data, size, at, 0, &byte, 1);
    case 4: return splice(data, size, at, some, NULL, 0);
    case 5: return splice(data, size, at, some, (const uint8_t *)other->data + from, len);
    default: return rng_below(rng, 8) ? splice(data, size, at, 0, (const uint8_t *)other->data + from, len) : at;
  }
}

static void run_changed(const struct inputs *inputs, uint64_t seed) {
  static uint8_t data[LENGTH_MAX];
  struct rng rng = rng_of(seed);
  /* Most inputs of a corpus are there because they are refused in some way; every second change is made to a seed. */
  const struct dunlin_bytes *base =
      &inputs->list[rng_below(&rng, rng_chance(&rng, 1, 2) ? inputs->seeds : inputs->count)];
  size_t size = base->len < LENGTH_MAX ? base->len : LENGTH_MAX;
  if (size) memcpy(data, base->data, size);
  for (size_t times = 1 + rng_below(&rng, 4); times; times--) size = change_once(data, size, inputs, &rng);
  snprintf(doing, sizeof doing, "to run this input alone: TEST_SEED=%llu\n", (unsigned long long)seed);
  run((struct dunlin_bytes){data, size});
}

static uint64_t number_of(const char *text) {
  return text ? strtoull(text, NULL, 10) : 0;
}

int main(int argc, char **argv) {
  struct inputs inputs = {0};
  const char *seed = getenv("TEST_SEED"), *wanted = getenv("TEST_RUNS");
  uint64_t runs = 1000, first = seed ? number_of(seed) : 1;
  signal(SIGABRT, on_signal);
  signal(SIGSEGV, on_signal);
  signal(SIGBUS, on_signal);
  if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(say_what);
  if (argc == 3 && !strcmp(argv[1], "--seeds")) {
    fuzz_seeds(write_seed, argv[2]);
    return 0;
  }
  int at = 1;
  if (argc > 2 && !strcmp(argv[1], "--runs")) runs = number_of(argv[2]), at = 3;
  if (wanted) runs = number_of(wanted);
  if (seed) runs = 1;
  fuzz_seeds(keep_seed, &inputs);
  inputs.seeds = inputs.count;
  for (; at < argc; at++) run_path(&inputs, argv[at]);
  size_t kept = inputs.count;
  for (uint64_t i = 0; i < runs; i++) run_changed(&inputs, first + i);
  printf("%zu seeds, %zu files, %llu changed inputs from seed %llu on: %llu accepted\n", inputs.seeds,
         kept - inputs.seeds, (unsigned long long)runs, (unsigned long long)first, (unsigned long long)fuzz_accepted);
  for (size_t i = 0; i < inputs.count; i++) free((void *)(uintptr_t)inputs.list[i].data);
  free(inputs.list);
  return 0;
}
