/* A simulated device: a disk, a store on it, a node's hub, an app with two documents open. */
#ifndef TEST_SIM_DEVICE_H
#define TEST_SIM_DEVICE_H

#include "test/fault/disk.h"
#include "test/fault/seeded.h"
#include "test/sim/net.h"
#include "transport/hub.h"

#define SIM_DOCS 2u /* "notes", committed durably, and "board", in groups */

/* Commits in a group that are not known to be durable yet. */
struct waiting {
  struct dunlin_id *ids;
  size_t count, cap;
  uint64_t base; /* how many commits were durable before them */
};

/* What lives in memory while the app runs. */
struct process {
  struct seeded seeded;
  dunlin_store *store;
  struct hub hub;
  bool hub_runs, stopping;
  dunlin_store_doc *docs[SIM_DOCS];
  size_t known[SIM_DOCS]; /* changes of the document that the ledger has heard of */
  struct waiting waiting;
  uint64_t hub_at, step_at; /* what they asked for */
  bool changed;             /* the store has something new */
};

struct device {
  struct world *world;
  unsigned number;
  char dir[280], store_dir[300], key[300], backup[300];
  struct disk *disk;
  struct process *process; /* NULL: not running */
  unsigned lives;          /* processes so far */
  bool made;               /* there is a store on the disk */
  bool wanted;             /* the app should run */
  bool joined;
  bool rotten;          /* its disk was damaged: the store may say so */
  bool dying;           /* being torn down: what it says does not count */
  bool powered;         /* the machine */
  unsigned wiped;       /* how often it began anew */
  bool copied;          /* another has, or had, the same keys */
  uint64_t set_back_at; /* when its files were last put back or thrown away */
  int64_t clock_off;    /* microseconds that its wall clock is off */
  uint64_t alarm_at;    /* when device_poll() comes next */
  char invitation[DUNLIN_INVITATION_MAX];
  struct rng hostile; /* state 0: honest */
};

struct device *device_new(struct world *world, unsigned number);
void device_free(struct device *d);

/* The first device makes the space; another gets an invitation from a device that runs and owns it, or tries again
 * later. */
void device_found(struct device *d);
void device_join(struct device *d);
/* Starts the app, if it is not running; a disk that fails is tried again later. */
void device_start(struct device *d);
/* Closes it as a user would. */
void device_stop(struct device *d);
/* Ends it at once; `power`: the machine too, with what its disk had not written. */
void device_die(struct device *d, bool power);
/* Throws the disk away: the device begins anew and joins again. */
void device_wipe(struct device *d);
void device_clone(struct device *d, struct device *from);
void device_backup(struct device *d);
void device_restore(struct device *d);
void device_edit(struct device *d, uint64_t number);
void device_accept(struct device *d, struct link *link, const struct sockaddr *from);
/* The library is about to work for this device: sets its clock. */
void device_acts(struct device *d);
/* To be looked at by then. */
void device_wake(struct device *d, uint64_t at);
/* Whether it takes part: runs, has joined, has its documents open. */
bool device_up(const struct device *d);
/* After a call that may have lost its power in the middle: buries the process when it did; then true. */
bool device_lost_power(struct device *d);

/* edit.c: one transaction on a document, drawn from `rng`; nothing is committed. */
int edit_draw(dunlin_doc *doc, struct rng *rng);

#endif
