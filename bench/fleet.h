/* Devices in one process: each a store of its own on disk and a node on a thread, joined in one space over the
 * loopback. */
#ifndef BENCH_FLEET_H
#define BENCH_FLEET_H

#include <dunlin/node.h>

#include "bench/bench.h"

struct device {
  char dir[512];
  dunlin_store *store;
  dunlin_node *node;
  dunlin_store_doc *handle;
  dunlin_doc *doc;
  uint64_t seen; /* for dunlin_store_wait */
};

struct fleet {
  struct bench *bench;
  char root[400];
  struct dunlin_id space;
  struct device *devices; /* the first is the owner, and the others call it */
  size_t count;
};

/* Makes the stores (key files, so no time goes into passphrases), joins all in one space and opens one document on
 * each. No node runs then.  To be ended by fleet_free() even when it fails. */
int fleet_make(struct fleet *fleet, struct bench *b, size_t count);
void fleet_free(struct fleet *fleet);

/* Starts the nodes and waits until the owner is in sync with each; stops them. */
int fleet_connect(struct fleet *fleet);
void fleet_disconnect(struct fleet *fleet);

/* One typed character at the end of the document's text, durable. */
int device_type(struct device *device);
/* Takes in what has come until the document has that many changes; DUNLIN_ETIMEOUT after 30 s. */
int device_until(struct device *device, size_t changes);
/* The next event of that kind, passing over others; DUNLIN_ETIMEOUT after 30 s, or the event's error. */
int device_expect(struct device *device, enum dunlin_node_event_kind kind);

/* Bytes of the files in a directory; and removing one with its files. */
uint64_t directory_bytes(const char *dir);
void directory_remove(const char *dir);

#endif
