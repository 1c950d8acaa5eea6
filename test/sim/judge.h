/* When everything is mended: waits for the fleet to become equal, and looks at everything that was promised. */
#ifndef TEST_SIM_JUDGE_H
#define TEST_SIM_JUDGE_H

#include "test/sim/device.h"

/* Waits, at most as long as reconnecting and catching up may take, and compares. */
void judge_calm(struct world *world);
/* At the very end: closes everything, verifies every store, opens each again, searches the disks for the marker. */
void judge_end(struct world *world);
/* `d` was told that it and the device with that key hold the same. */
void judge_in_sync(struct device *d, const struct dunlin_id *peer);

#endif
