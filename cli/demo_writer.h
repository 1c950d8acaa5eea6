/* A writer of the demo: a handle of the history document that makes one writer's share of the trace. */
#ifndef CLI_DEMO_WRITER_H
#define CLI_DEMO_WRITER_H

#include "cli/demo.h"

/* What all writers of a device know. */
struct writer_world {
  const struct plan *plan;
  struct dunlin_actor actors[DEMO_WRITERS * DEMO_DEVICES]; /* of the writers */
  bool known[DEMO_WRITERS * DEMO_DEVICES];                 /* whether the actor is */
  struct dunlin_actor set_up;                              /* who made the set-up, its change 0 */
  bool set_up_known;
};

struct writer {
  const struct writer_world *world;
  uint32_t index;           /* in the plan */
  dunlin_store_doc *handle; /* borrowed */
  dunlin_doc *doc;
  dunlin_obj text;
  bool ready;            /* `text` and `last` are set */
  uint64_t next;         /* number of its next change */
  uint32_t next_txn;     /* the transaction of that change, or the number of transactions when all are made */
  struct dunlin_id last; /* id of its change next - 1 */
};

/* How many changes `actor` has made in the document. */
uint64_t writer_count(const dunlin_doc *doc, const struct dunlin_actor *actor);

/* Takes over from what the store holds: a restarted device carries on where it was. */
void writer_init(struct writer *writer, const struct writer_world *world, uint32_t index, dunlin_store_doc *handle);

/* Makes at most `most` transactions below `until`, as far as what they build on is here.  Returns how many, or an
 * error. */
int writer_step(struct writer *writer, uint32_t until, unsigned most);

/* How many of its transactions below `until` are not made. */
uint32_t writer_left(const struct writer *writer, uint32_t until);

#endif
