/* A mirror of what a document shows, read once and then kept up by events alone. */
#ifndef TEST_MIRROR_H
#define TEST_MIRROR_H

#include <dunlin/events.h>

#include "test/support/support.h"

struct mirror;

struct mirror *mirror_read(const dunlin_doc *doc);
void mirror_free(struct mirror *mirror);
/* Brings in one event; at a reset it is read again. */
void mirror_apply(struct mirror *mirror, const dunlin_doc *doc, const struct dunlin_event *event);
/* Brings in the next events of the document until there are none. */
void mirror_follow(struct mirror *mirror, dunlin_doc *doc);
/* Fails the test when the mirror is not what the document shows. */
void mirror_check(struct mirror *mirror, const dunlin_doc *doc);

#endif
