/* The compact form of a document: all of it, its history too, in few bytes; docs/format.md, "Document", says every one.
 *
 *   magic and version ‖ header ‖ text ‖ state ‖ history ‖ gone
 *
 *   text     what the texts show, in a row
 *   state    what is needed to read the document and to write to it: actors, heads, containers, keys, counters
 *   history  the graph and the containers' logs, column by column, and the values column
 *   gone     the inserted characters that no text shows any more; `text` is the prefix of its compression
 *
 * Opening a document reads the first two.  The graph then knows only the heads, the logs are empty but know how many
 * operations they have, and the columns begin where the file's end.  That is enough to edit, and to take in what was
 * made on top of these heads.  What needs more calls docfile_load() first, which decodes the rest and puts it in front.
 *
 * Where an inserted character came from is not written: its place in the text follows from replaying the operations.
 * Both sides do that. */
#ifndef CRDT_DOCFILE_H
#define CRDT_DOCFILE_H

#include "crdt/internal.h"
#include "crdt/survivors.h"

#define DOCFILE_MAGIC "dunlin doc"
#define DOCFILE_VERSION 1u
#define DOCFILE_SECTION_MAX 0x40000000u /* bytes of a section */

#define DOCFILE_LVS 0x20000000u   /* operations: what the walker can hold */
#define DOCFILE_FREE_LVS 65536u   /* so many operations for nothing ... */
#define DOCFILE_LVS_PER_BYTE 256u /* ... and so many more for each byte of the sections */
/* A deletion takes no bytes of its own, so operations can be many more than bytes, but not without end. */
static inline uint64_t docfile_most_lvs(uint64_t raw) {
  return DOCFILE_FREE_LVS + raw * DOCFILE_LVS_PER_BYTE;
}

/* A few bytes must not become very many: text and what is gone are held once, each byte of the others can take some
 * forty.  With this, nothing under 1 KiB makes anybody ask for more than 16 MiB at once. */
#define DOCFILE_FREE_RAW 65536u
#define DOCFILE_TEXT_RATIO 16000u
#define DOCFILE_RATIO 384u
static inline bool docfile_ratio_is_fair(const size_t raw[4], const size_t packed[4]) {
  uint64_t all = 0, heavy = (uint64_t)raw[1] + raw[2], bytes = 0;
  for (int i = 0; i < 4; i++) {
    all += raw[i];
    bytes += packed[i];
  }
  return all <= DOCFILE_FREE_RAW + DOCFILE_TEXT_RATIO * bytes && heavy <= DOCFILE_FREE_RAW + DOCFILE_RATIO * bytes;
}

enum docfile_flag {
  FLAG_IDLE = 1, /* there are operations that have no effect, since a version did not know them */
  FLAG_PLAIN =
      2, /* `gone` has all inserted text in order: an actor has forked, what it wrote is ordered by ids, and these
                   * follow from texts */
  FLAG_ALL = 3,
};

/* How a container's id is found. */
enum docfile_name {
  PLACE_NONE,  /* it has none */
  PLACE_NAMED, /* it is written */
  PLACE_ENTRY, /* + e: by the key of entry e of its parent, a map */
};

enum docfile_section { DOCFILE_TEXT, DOCFILE_STATE, DOCFILE_HISTORY, DOCFILE_GONE, DOCFILE_SECTIONS };

/* How a run of a log is written: text is mostly the first few. */
enum docfile_code {
  CODE_INSERT,        /* OP_TEXT_INSERT */
  CODE_DELETE,        /* DIRECTION_NONE, `a` counted from where the run before ended */
  CODE_FORWARD,       /* DIRECTION_FORWARD, likewise */
  CODE_BACKWARD,      /* DIRECTION_BACKWARD, its upper end counted */
  CODE_DELETE_BEFORE, /* DIRECTION_NONE, its upper end counted and there */
  CODE_OTHER,         /* + 4 x kind + 2048 x idle + direction */
};

/* The part of a document that is still in its file. */
struct docfile {
  uint8_t *bytes; /* the file, owned */
  size_t len;
  struct docfile_place {
    size_t at, packed, raw;
  } sections[DOCFILE_SECTIONS];
  uint32_t changes, lvs; /* in it */
  uint32_t text_bytes, values_bytes;
  uint32_t flags;
  bool wanted;      /* a text has to be made again from the history, which cannot be decoded inside a change */
  uint32_t *actors; /* of each actor of the file its number in the graph */
  size_t actor_count;
  uint32_t *shown; /* of each container of the file, when it is a text, how many characters it shows */
  uint32_t *ops;   /* of each container how many operations there are on it */
  size_t container_count;
};

/* Of a text's operations, those whose characters show; and the first that has not been gone through. */
struct docfile_text {
  struct survivors shown;
  size_t next;
};
/* Where inserted characters come from. */
struct docfile_texts {
  const uint8_t *shown, *gone; /* `gone`: what of it is left */
  size_t shown_at, gone_left;  /* how much of `shown` has been used; how many scalar values are left */
};
/* Writes the inserted characters that do not show, docfile_text.c.  DUNLIN_ENOMEM. */
int docfile_write_gone(dunlin_doc *doc, struct buf *out);
/* Finds out which characters of a text show, and where these stand in `in->shown`: `shown` of them, with the anchors of
 * its state between.  DUNLIN_EFORMAT, DUNLIN_ENOMEM. */
int docfile_place_text(struct docfile_texts *in, struct docfile_text *text, const struct container *container,
                       const struct graph *graph, const struct oplog *log, const struct lv_ranges *voids,
                       uint32_t shown);
/* Appends the characters of a run; those of one log come in order, all logs in that of the operations.  `*wide`: there
 * are some that are not ASCII. */
int docfile_take_text(struct docfile_texts *in, struct docfile_text *text, const struct op_run *run, struct buf *out,
                      bool *wide);

/* Decodes what is still in the file and puts it before all that came later; 0 when there is nothing.  Not while a
 * change is open: DUNLIN_ESTATE.  DUNLIN_ECORRUPT, DUNLIN_ENOMEM; the document is as it was then. */
int docfile_load(dunlin_doc *doc);
/* docfile_load(), when a version lacks something of the file in its past. */
int docfile_need(dunlin_doc *doc, const uint32_t *version, size_t count);
/* docfile_load(), when a change is in the file. */
int docfile_need_change(dunlin_doc *doc, uint32_t change);
void docfile_free(dunlin_doc *doc);

/* A section as it was before it was compressed; `*own`: to be freed, with the raw length. DUNLIN_EFORMAT,
 * DUNLIN_ENEWER, DUNLIN_ENOMEM. */
int docfile_unpack(const dunlin_doc *doc, enum docfile_section section, const uint8_t *prefix, const uint8_t **out,
                   uint8_t **own);

/* The anchors and marks of a text, docfile_marks.c; a text without any has no bytes of these.  Reading: DUNLIN_EFORMAT,
 * DUNLIN_ENOMEM. */
int docfile_write_marks(dunlin_doc *doc, const struct container *text, struct buf *out);
int docfile_read_marks(dunlin_doc *doc, struct marks *marks, struct mp_reader *r);
/* Fills a rope with the text and the anchors that were read, between its characters. */
int docfile_load_text(const struct marks *marks, struct rope *rope, const uint8_t *utf8, size_t bytes,
                      uint32_t scalars);
/* Whether the marks of a log are as in changes: the start of each and its end stand together, and alone never. */
bool docfile_marks_pair(const struct graph *graph, const struct oplog *log);
/* Whether anchor `i` of a text's state, with so many characters before it, is that of an operation. */
bool docfile_mark_is(const struct marks *marks, uint32_t i, uint32_t characters, const struct op_run *run);
/* Whether the marks of the state, in winner order, are the operations': DUNLIN_ECORRUPT, DUNLIN_ENOMEM. */
int docfile_marks_agree(const struct marks *marks, const struct graph *graph, const struct oplog *log,
                        const struct column *values);

/* Fills maps and lists; how many registers each container has is in file->shown.  docfile_registers.c */
struct keys_in;
int docfile_read_registers(dunlin_doc *doc, struct keys_in *names, struct mp_reader *r);
/* A generation that no child is known to have yet; when the containers are named it becomes the real one. */
static inline int64_t docfile_unproven(int64_t generation) {
  return generation < 0 ? generation : -2 - generation;
}

/* A column of integers, to be read in step with others. */
struct column_in {
  struct mp_reader r;
  size_t count; /* how many are left */
};
/* Takes so many numbers out of `r`, or an array of them. */
struct column_in docfile_numbers(struct mp_reader *r, size_t count);
struct column_in docfile_column(struct mp_reader *r);
/* The next number, below `end`; 0 and an error in `r` when there is none. */
uint32_t docfile_take(struct column_in *column, struct mp_reader *r, uint64_t end);
int64_t docfile_take_int(struct column_in *column, struct mp_reader *r);
uint64_t docfile_take_long(struct column_in *column, struct mp_reader *r);

/* What writer and reader know about the actors while they go through the graph's runs. */
struct docfile_actors {
  const struct dunlin_env *env;
  uint32_t *counts;  /* of each actor: how many changes it has made so far, */
  uint32_t *newest;  /* the last of them, */
  uint32_t *numbers; /* and its next number */
  uint32_t *firsts;  /* of each run: how many changes its actor had made before */
  size_t actor_count, run_count;
  uint32_t now, last, other; /* the actor of this run, of the one before, and the last one that is not the latter */
};
int docfile_actors_init(struct docfile_actors *actors, const struct dunlin_env *env, size_t count, size_t runs);
void docfile_actors_free(struct docfile_actors *actors);
/* Run `run` is this actor's. */
void docfile_actors_turn(struct docfile_actors *actors, uint32_t actor, size_t run);
/* It has `count` changes from `change` on. */
void docfile_actors_done(struct docfile_actors *actors, uint32_t change, uint32_t count, uint32_t number);
/* Who most likely made a run's other parent: the last one to make changes beside its actor; LV_NONE. */
uint32_t docfile_other(const struct docfile_actors *actors);

/* Where each actor was at work last in a container: its next operation is most likely there. */
struct docfile_cursors {
  struct docfile_cursor {
    uint64_t stamp;
    uint32_t at;
  } * list; /* of each actor of the graph */
  size_t count;
  uint64_t stamp;
  size_t run; /* of the graph */
};
int docfile_cursors_init(struct docfile_cursors *cursors, const struct graph *graph);
void docfile_cursors_free(struct docfile_cursors *cursors, const struct dunlin_env *env);
/* For the next container. */
void docfile_cursors_begin(struct docfile_cursors *cursors);
/* The cursor of who made an operation, which comes after those asked for before. */
uint32_t *docfile_cursor(struct docfile_cursors *cursors, const struct graph *graph, uint32_t lv);

/* dunlin_doc_save(); when not `compressed`, of sections as they are. */
int docfile_save(const dunlin_doc *doc, bool compressed, void **out, size_t *len);

#endif
