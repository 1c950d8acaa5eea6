/* The demo: a coordinator and two devices, three processes.
 *
 * The coordinator starts the devices as child processes, gives them commands on their standard input and reads lines
 * from their standard output; all TCP between them goes through its proxy.  Either device may be killed at any moment
 * and be started again on the same store: what it has done it reads from the store, the rest is commanded again.
 *
 *   to a device     invite | join INVITATION | meet | go PHASE UNTIL | edit COUNT SEED | hash | export FILE |
 *                   rekey PASSPHRASE | quit
 *   from a device   open | port PORT | invitation LINE | have HANDLE COUNT | durable HANDLE COUNT | ready |
 *                   state PHASE LEFT WAITING OWN CHANGES EDITED | hash HASH CHANGES LENGTH SAME | exported | rekeyed |
 *                   closed SENTENCE | error SENTENCE
 *
 * A HANDLE is 0 for the handle that makes the offline edits (and, on device a, the set-up), 1 + i for the device's i-th
 * writer.  Writer w belongs to device w mod 2. */
#ifndef CLI_DEMO_H
#define CLI_DEMO_H

#include <dunlin/node.h>

#include "cli/trace.h"

#define DEMO_DEVICES 2u
#define DEMO_WRITERS 60u /* of a device; two of a store's 64 slots are taken by the handles beside them */
#define DEMO_HANDLES (DEMO_WRITERS + 1)
#define DEMO_BLOCKS 20u /* in which the devices take turns, in a sequential trace */
#define DEMO_MARKER_MAX 64u
#define DEMO_LINE_MAX 1024u /* of a line between coordinator and device; an invitation has at most 512 bytes */

/* ---- The plan: which device makes which change, on which (cli/demo_plan.c) ------------------------------------ */

#define PLAN_NO_NUMBER UINT32_MAX

struct plan_txn {
  uint32_t writer, number;        /* it is this writer's change `number`; PLAN_NO_NUMBER: it changes nothing */
  uint32_t parents, parent_count; /* of those that change something: from `plan->parents + parents` */
};

struct plan {
  const struct trace *trace; /* borrowed */
  struct plan_txn *txns;
  uint32_t *parents;
  size_t parent_count, parent_cap;
  size_t writers;
  size_t changes; /* transactions that change something */
};

/* 0, DUNLIN_ENOMEM, or DUNLIN_ELIMIT: more concurrent branches than the two devices have writers. */
int plan_make(const struct trace *trace, struct plan *out);
void plan_free(struct plan *plan);

/* ---- Offline edits (cli/demo_edits.c) ------------------------------------------------------------------------- */

/* Makes the containers beside the trace's text, and the trace's start content; one transaction. */
int edits_set_up(dunlin_doc *doc, const struct trace *trace);
/* Makes offline edit `k` of device `device` (0 or 1), one transaction.  Some of both devices' edits are at the same
 * places. */
int edits_make(dunlin_doc *doc, unsigned device, unsigned k, unsigned seed, const char *marker);

/* ---- A device ------------------------------------------------------------------------------------------------- */

struct demo_device_options {
  unsigned index;    /* 0 is device a, the owner of the space */
  const char *store; /* directory */
  const char *key_file;
  const char *trace;
  const char *proxy; /* HOST:PORT under which device a is reached */
  const char *marker;
  unsigned pace_us; /* pause between small steps, so that kills meet work */
};
int demo_device_run(const struct demo_device_options *options);

/* ---- The coordinator ------------------------------------------------------------------------------------------ */

struct demo_options {
  const char *program; /* argv[0] of the devices */
  const char *trace;
  const char *keep; /* directory to leave the stores in, or NULL */
  unsigned kills, seed;
  bool verbose;
};
int demo_coordinate(const struct demo_options *options);

#endif
