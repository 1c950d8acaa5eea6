/* What the files that decode a saved history share: docfile_history.c and docfile_agree.c. */
#ifndef CRDT_DOCFILE_HISTORY_H
#define CRDT_DOCFILE_HISTORY_H

#include "crdt/docfile.h"
#include "crdt/docfile_values.h"

/* What takes the place of the document's stand-ins, when all of it is there. */
struct history {
  dunlin_doc *doc;
  const struct docfile *file;
  struct graph graph;
  struct container_history {
    struct oplog log;
    struct lv_set made;
    struct column_in codes, indexes;
    size_t next; /* run of the log that comes next in order */
    struct docfile_text text;
  } * containers;
  struct owner *owners, *makers;
  size_t owner_count, owner_cap, maker_count, maker_cap;
  struct lv_ranges voids;
  struct column text, values;
  struct docfile_texts texts;
};

/* Whether the state says what the history does, as far as that can be told without replaying everything.
 * DUNLIN_ECORRUPT, DUNLIN_EFORMAT, DUNLIN_ENOMEM. */
int docfile_agrees(const struct history *h);

#endif
