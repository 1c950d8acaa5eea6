/* A store for fuzz targets, the same in every process: its keys and ids come from a seed.  Made once, and put back to
 * how it was whenever an input has changed it. */
#ifndef TEST_FUZZ_STORE_H
#define TEST_FUZZ_STORE_H

#include "persist/member.h"
#include "test/fault/seeded.h"
#include "test/fuzz/fuzz.h"

struct fuzz_store {
  struct seeded memory; /* the store's environment */
  dunlin_store *store;
  struct dunlin_id space;  /* "home": of this device and the guest; its document "d" has a few changes */
  struct dunlin_id secret; /* "secret": of this device alone, with a document too */
  struct device guest;     /* a member whose keys the target has */
  struct space_keys keys;  /* of "home" */
};

struct fuzz_store *fuzz_store(void);
void fuzz_store_reset(struct fuzz_store *s);

/* A log of the guest, and a run of it with this data, sealed and signed as it should be. */
struct log_name fuzz_guest_log(const struct fuzz_store *s, uint8_t lane);
int fuzz_guest_seal(const struct fuzz_store *s, const struct log_name *log, uint64_t first, uint32_t count,
                    const struct dunlin_id *tip, struct dunlin_bytes data, struct buf *sealed);
/* The membership heads of "home", 32 bytes. */
struct dunlin_id fuzz_home_head(const struct fuzz_store *s);
/* A delta with two changes of a log's actor for the document "d" of "home"; for dunlin_free(NULL, ...). */
struct dunlin_bytes fuzz_guest_delta(const struct fuzz_store *s, const struct log_name *log);

#endif
