/* Small documents, each of which shows one part of the format. */
#ifndef TEST_FORMAT_SCENES_H
#define TEST_FORMAT_SCENES_H

#include "test/crdt/program.h"

struct scene {
  const char *name;
  dunlin_doc *(*make)(void); /* the caller frees it */
};
extern const struct scene scenes[];
extern const size_t scene_count;

#endif
