/* What was acknowledged, and which disks hold it: the promises that the fleet is held to.
 *
 * A change counts as held by a disk when it was acknowledged as durable there, or read from the store there.  When a
 * disk is lost (damaged, or set back to an older copy) what nobody else holds is lost with it; everything else must be
 * on every device in the end. */
#ifndef TEST_SIM_LEDGER_H
#define TEST_SIM_LEDGER_H

#include <dunlin/doc.h>

#include "test/sim/world.h"

struct ledger *ledger_new(struct world *world);
void ledger_free(struct ledger *ledger);

/* The device's own commit was acknowledged. */
void ledger_acked(struct ledger *ledger, unsigned device, unsigned doc, const struct dunlin_id *id);
/* The device's documents show it. */
void ledger_seen(struct ledger *ledger, unsigned device, const struct dunlin_id *id);
/* The device's disk is gone; what an older copy still has is told by ledger_seen() again. */
void ledger_lost(struct ledger *ledger, unsigned device);
/* What is acknowledged, not lost with its disks, and not in `doc`; 0 fails nothing.  Names the first in `text`. */
size_t ledger_missing(struct ledger *ledger, unsigned number, const dunlin_doc *doc, char *text, size_t cap);
size_t ledger_excused(const struct ledger *ledger);

#endif
