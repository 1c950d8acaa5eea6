/* What the fuzz targets share.
 *
 * A target is one file with one property, said in the comment at its top.  Its entry point is libFuzzer's; AFL++ calls
 * the same one, and so does replay.c, which the ordinary tests run.  A target keeps nothing from one input to the next
 * that could change what the next one does, so a finding is reproduced by its input alone. */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crdt/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Hands out a few valid inputs of the target: what its corpus begins with. */
typedef void fuzz_emit(void *ctx, const char *name, struct dunlin_bytes input);
void fuzz_seeds(fuzz_emit *emit, void *ctx);

/* Counts the inputs that were accepted by what is tested, which every seed must be: a target whose valid inputs are all
 * refused would find nothing. */
extern uint64_t fuzz_accepted;

/* The property: holds in builds of every kind. */
#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) fuzz_fail(__FILE__, __LINE__, #condition);                                                       \
  } while (0)
_Noreturn void fuzz_fail(const char *file, int line, const char *what);

/* The most that an input of a few KiB may make the library allocate. */
#define FUZZ_MEMORY (16u << 20)

/* ---- Taking an input apart: at its end everything is 0 or empty ------------------------------------------------ */

struct fuzz_in {
  const uint8_t *at;
  size_t left;
};

struct fuzz_in fuzz_in_of(const uint8_t *data, size_t size);
uint8_t fuzz_byte(struct fuzz_in *in);
uint16_t fuzz_u16(struct fuzz_in *in);                         /* big-endian */
size_t fuzz_below(struct fuzz_in *in, size_t n);               /* one byte, or two when n is above 256; n 0 gives 0 */
struct dunlin_bytes fuzz_take(struct fuzz_in *in, size_t len); /* at most that */
struct dunlin_bytes fuzz_chunk(struct fuzz_in *in);            /* a u16 length, then the bytes */
struct dunlin_bytes fuzz_rest(struct fuzz_in *in);

/* A copy of its own on the heap, for free(), so that reading past its end is seen. */
uint8_t *fuzz_copy(struct dunlin_bytes bytes);

/* Copies bytes that a fuzzer can make up, and puts in what it cannot: FUZZ_MARK and a number stand for what `known`
 * gives for the number.  The input stays good when keys and ids change. */
#define FUZZ_MARK "\xfd\xfe\xfd\xfe"
typedef struct dunlin_bytes fuzz_known(void *ctx, uint8_t which);
struct buf fuzz_substitute(struct dunlin_bytes bytes, fuzz_known *known, void *ctx);
void fuzz_put_mark(struct buf *out, uint8_t which);

/* The other way round, for seeds. */
void fuzz_put_byte(struct buf *out, uint8_t byte);
void fuzz_put_chunk(struct buf *out, struct dunlin_bytes bytes);
struct buf fuzz_buf(void);
/* Emits what is in the buffer, and frees it. */
void fuzz_emit_buf(fuzz_emit *emit, void *ctx, const char *name, struct buf *input);

/* ---- Files ------------------------------------------------------------------------------------------------------ */

/* A new directory in $TMPDIR, /dev/shm or /tmp, removed when the process ends by itself. */
const char *fuzz_directory(void);
void fuzz_write_file(const char *path, struct dunlin_bytes bytes);
struct dunlin_bytes fuzz_read_file(const char *path); /* data for free() */

#endif
