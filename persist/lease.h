/* Who uses a store: locks on bytes of DIR/lease, each held through a descriptor of its own (OFD locks belong to
 * descriptors, so two holders in one process exclude each other, and the system releases them whatever way a process
 * ends).
 *
 *   0 .. 63       writer slots, exclusive
 *   1000          shared by everybody who has the store open; exclusive while opening alone and while creating
 *   2000 + pid    exclusive: the store is open in that process */
#ifndef PERSIST_LEASE_H
#define PERSIST_LEASE_H

#include <dunlin/store.h>

struct lease {
  int presence, process; /* descriptors, -1 when there is none */
};

/* Takes presence and process locks.  `*alone` tells that nobody else has the store open: then others wait in
 * lease_open() until lease_share().  DUNLIN_EBUSY: open already in this process.  DUNLIN_EIO. */
int lease_open(struct lease *lease, const char *dir, bool *alone);
int lease_share(struct lease *lease);
void lease_close(struct lease *lease);

/* Takes the lowest free writer slot: its number, and a descriptor that holds it.  DUNLIN_EBUSY: all are taken. */
int lease_slot(const char *dir, uint8_t *slot, int *fd);
void lease_slot_release(uint8_t slot, int fd);

#endif
