/* Hooks into library code without a switch in it: the linker puts __wrap_NAME in the place of NAME (--wrap). */
#ifndef TEST_SIM_WRAP_H
#define TEST_SIM_WRAP_H

#include "test/sim/device.h"

/* From now on calls of the library count as made by `d` (NULL: by nobody). */
void wrap_acting(struct device *d);

#endif
