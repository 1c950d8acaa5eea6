/* A proxy between real sockets that does to a stream what networks and people in the middle do.
 *
 * It listens on a port of the loopback, passes what comes on to another port there, on a thread of its own, and mangles
 * the pieces of either direction by seed and settings, which may change while it runs.  What a piece is depends on the
 * machine's speed, so a seed repeats the kind of trouble, not its place; for exact repetition there is the
 * simulator. */
#ifndef TEST_FAULT_PROXY_H
#define TEST_FAULT_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct proxy;

enum proxy_direction { PROXY_FROM_CALLER = 1, PROXY_FROM_CALLED = 2, PROXY_BOTH = 3 };

/* Zeros: everything passes at once. */
struct proxy_settings {
  unsigned delay_ms, jitter_ms;
  unsigned drop, duplicate, reorder, flip; /* of 1000 pieces so many */
  unsigned bytes_per_second;               /* 0: as fast as it goes */
  bool stalled;                            /* takes everything and passes nothing on until this is over */
};

/* Aborts the test when it cannot listen. */
struct proxy *proxy_start(unsigned target_port, uint64_t seed);
void proxy_stop(struct proxy *proxy);
unsigned proxy_port(const struct proxy *proxy);

void proxy_set(struct proxy *proxy, enum proxy_direction direction, const struct proxy_settings *settings);
/* Ends all connections. */
void proxy_cut(struct proxy *proxy);
/* Turns callers away from now on, or not any more. */
void proxy_refuse(struct proxy *proxy, bool refuse);
/* `watch` is given every piece as it came, from the proxy's thread. */
void proxy_watch(struct proxy *proxy, void (*watch)(void *ctx, enum proxy_direction from, const void *data, size_t len),
                 void *ctx);
/* Pieces that were dropped, doubled, swapped or altered. */
uint64_t proxy_mangled(const struct proxy *proxy);

#endif
