/* dunlin - local-first state that converges between devices, without a server.
 *
 * Rules that hold for every function of this library, said once:
 *
 * Errors     A function that returns `int` gives 0 (or a count, where it says so) or a negative enum
 *            dunlin_error.  A call that fails leaves its objects as they were, unless it says otherwise.
 *            dunlin_error_name() and dunlin_error_text() put an error into words; there is no "last error".
 * Ownership  `const` pointers that you pass in are read during the call and never kept.  Pointers that you
 *            get out are borrowed, and the function names the end of their life; what you own has exactly one
 *            dunlin_*_free() or dunlin_*_close(), which takes NULL without complaint.
 * Strings    Pointer beside length, UTF-8, may hold NUL.  Names of files and devices are C strings.
 * Times      Signed 64-bit microseconds since 1970-01-01 UTC.  They are shown, never used to decide.
 * Threads    A document belongs to one thread at a time.  A store may be used from many threads.  Those that the
 *            library makes take no signals.
 * Globals    None.  Nothing here opens a file, starts a thread or reads a clock unless its name says so.
 */
#ifndef DUNLIN_DUNLIN_H
#define DUNLIN_DUNLIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined __GNUC__
#define DUNLIN_API __attribute__((visibility("default")))
#define DUNLIN_MUST_USE __attribute__((warn_unused_result))
#else
#define DUNLIN_API
#define DUNLIN_MUST_USE
#endif

enum dunlin_error {
  DUNLIN_OK = 0,
  /* The caller's argument or timing. */
  DUNLIN_EINVAL = -1,    /* an argument makes no sense */
  DUNLIN_ERANGE = -2,    /* an index or a number is out of range */
  DUNLIN_EKIND = -3,     /* the thing there is of another kind */
  DUNLIN_EUTF8 = -4,     /* a string is not valid UTF-8 */
  DUNLIN_ELIMIT = -5,    /* larger than a limit of <dunlin/limits.h> */
  DUNLIN_ENOENT = -6,    /* there is no such thing */
  DUNLIN_EEXIST = -7,    /* it is there already */
  DUNLIN_ESTATE = -8,    /* not now: a transaction is open, or none is, or the handle is closing */
  DUNLIN_ECONFLICT = -9, /* the document has moved on since the version you named */
  DUNLIN_EPERM = -10,    /* your role in the space does not allow it */
  DUNLIN_EPATH = -11,    /* the path leads nowhere */
  /* Bytes from elsewhere. */
  DUNLIN_EFORMAT = -20,  /* malformed or non-canonical bytes */
  DUNLIN_EREFUSED = -21, /* well-formed, but not a valid change for this document */
  DUNLIN_ENEWER = -22,   /* needs a newer version of this library */
  DUNLIN_EAUTH = -23,    /* a signature, key or authentication tag does not match */
  /* The store. */
  DUNLIN_ENOSTORE = -40,  /* there is no store in that directory */
  DUNLIN_ENOTSTORE = -41, /* the directory holds something that is not a store */
  DUNLIN_EVERSION = -42,  /* a store written by another version */
  DUNLIN_EPASS = -43,     /* wrong passphrase or key file */
  DUNLIN_ENOKEY = -44,    /* a passphrase or key file is needed and was not given */
  DUNLIN_EBUSY = -45,     /* the store is open already in this process, or all writer slots are taken */
  DUNLIN_ECORRUPT = -46,  /* stored data is damaged; nothing was changed */
  DUNLIN_EIO = -47,       /* the system failed to read or write */
  DUNLIN_ENOSPC = -48,    /* no space left on the device */
  /* Peers. */
  DUNLIN_ENET = -60,      /* no connection to the peer */
  DUNLIN_EPEER = -61,     /* the peer broke the protocol */
  DUNLIN_ETIMEOUT = -62,  /* the peer stopped answering */
  DUNLIN_EADDR = -63,     /* an address is not understood, or its port is in use */
  DUNLIN_EINVITE = -64,   /* not an invitation, or damaged in transit */
  DUNLIN_EUSED = -65,     /* the invitation was used already */
  DUNLIN_EEXPIRED = -66,  /* the invitation has expired */
  DUNLIN_ESTRANGER = -67, /* the peer shares no space with this device */
  /* No memory.  A document is as it was and can be used on; of a store or a node only the close function may be
   * called. */
  DUNLIN_ENOMEM = -100,
};

/* The error's constant in letters ("DUNLIN_ERANGE"), and what it means in a few words of English. Static. */
DUNLIN_API const char *dunlin_error_name(int error);
DUNLIN_API const char *dunlin_error_text(int error);

/* One sentence about a failure, where a code alone would not help; filled by the functions that take it. */
struct dunlin_why {
  char text[256];
};

/* 32 bytes that name a document, a change, a space or a device; 16 that name an actor. */
struct dunlin_id {
  uint8_t bytes[32];
};
struct dunlin_actor {
  uint8_t bytes[16];
};

/* Borrowed bytes: a key, a path, a string. */
struct dunlin_bytes {
  const void *data;
  size_t len;
};
/* Those of a C string, without its NUL. */
static inline struct dunlin_bytes dunlin_key(const char *text) {
  struct dunlin_bytes bytes = {text, strlen(text)};
  return bytes;
}

/* What the library needs from outside.  Every member is called with `ctx`.
 * realloc: as realloc(3), with the old size given; new_size 0 frees and gives NULL.
 * hash:    BLAKE2b-256 of the parts in a row, personalised by `label` (at most 16 bytes).
 * random:  fills `out`; 0 or DUNLIN_EIO.
 * now:     the wall clock in microseconds; may be NULL in an environment for documents alone.
 * log:     one line of English, never with user content; may be NULL.
 * compress, decompress: see struct dunlin_packing; both NULL: documents are saved as they are, and saved ones that are
 *          compressed cannot be loaded. */
struct dunlin_packing {
  struct dunlin_bytes data;
  struct dunlin_bytes prefix; /* what both sides know already; may be empty */
  void *out;
  size_t cap;    /* room at `out` */
  bool thorough; /* to compress: rather small than soon */
};
struct dunlin_env {
  size_t size; /* sizeof(struct dunlin_env) */
  void *ctx;
  void *(*realloc)(void *ctx, void *ptr, size_t old_size, size_t new_size);
  void (*hash)(void *ctx, const char *label, const struct dunlin_bytes *parts, size_t count, uint8_t out[32]);
  int (*random)(void *ctx, void *out, size_t len);
  int64_t (*now)(void *ctx);
  void (*log)(void *ctx, int level, const char *text);
  /* One zstd frame that declares its content size.  `*len`: how much was written.  DUNLIN_ERANGE: there is no room for
   * it; DUNLIN_ENOMEM. */
  int (*compress)(void *ctx, const struct dunlin_packing *packing, size_t *len);
  /* Fills `out` to `cap` exactly.  `data` is zstd frames, one or several in a row, whose contents follow each other;
   * with a prefix always one.  Other bytes, or more of them, are DUNLIN_EFORMAT; DUNLIN_ENOMEM. */
  int (*decompress)(void *ctx, const struct dunlin_packing *packing);
};

/* The C library's allocator and clock, libsodium's hash and randomness, no log.  Lives for ever; wherever a
 * function takes an environment, NULL means this one. */
DUNLIN_API const struct dunlin_env *dunlin_env_default(void);

/* Frees bytes that the library handed out with a length. */
DUNLIN_API void dunlin_free(const struct dunlin_env *env, void *data, size_t len);

#ifdef __cplusplus
}
#endif
#endif
