/* The simulated network: byte streams between devices that are slow, lose, stall, break, or lie.
 *
 * A stream behaves as TCP does: what arrives, arrives in order and whole; what is lost is sent again later; what cannot
 * pass waits.  Only while the weather mangles do pieces get dropped, doubled, swapped or altered, as by somebody in the
 * middle. */
#ifndef TEST_SIM_NET_H
#define TEST_SIM_NET_H

#include "test/sim/world.h"
#include "transport/link.h"

struct net_weather {
  unsigned loss, delay, jitter, mangle; /* as in script.h */
};

struct net *net_new(struct world *world);
void net_free(struct net *net);

/* From `from` (a device) to the device behind `address`, for a link_driver. */
int net_connect(struct net *net, unsigned from, const char *address, const struct link_owner *owner, void *owner_ctx,
                struct link **out);
void net_address(unsigned device, char out[32]);

/* The process of a device has died, and its machine with it or not: then peers hear of it. */
void net_died(struct net *net, unsigned device, bool machine);

void net_cut(struct net *net, unsigned from, unsigned to, bool cut);
void net_weather(struct net *net, struct net_weather weather);
/* Nothing is cut, and the weather is fine. */
void net_mend(struct net *net);

#endif
