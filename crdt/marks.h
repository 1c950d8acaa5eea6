/* What marks a text has and where: docs/decisions/marks.md.
 *
 * A mark is two anchors in the text (rope.h), put there by two operations in a row: the one that starts it, by whose LV
 * it is known, and the one that ends it.  It counts while both are there.  Its key and value stay where the operation's
 * are, in the values column; those of a document whose history has not been decoded come from the state of its file.
 *
 * What shows is in an index (mark_index.h), made when somebody reads and kept up from then on. */
#ifndef CRDT_MARKS_H
#define CRDT_MARKS_H

#include <dunlin/doc.h>

#include "crdt/change.h"
#include "crdt/mark_index.h"
#include "crdt/rope.h"

struct container;
struct graph;

/* A mark from a document's file. */
struct mark_saved {
  uint32_t lv;
  uint32_t rank;           /* its place among them, the one that yields to all others first */
  struct dunlin_bytes key; /* owned, as are strings and bytes in the value */
  struct dunlin_value value;
};

struct mark {
  uint32_t lv;
  uint32_t start, end; /* where its anchors are */
  uint32_t from, to;   /* its first character, and the one behind its last */
  uint32_t rank;       /* among the marks of the list */
  bool start_grows, end_grows;
  struct dunlin_bytes key; /* borrowed */
  struct dunlin_value value;
};

/* All marks of a text, in the order of their first anchors. */
struct mark_list {
  struct mark *list;
  size_t count, cap;
};

/* An anchor from a document's file, to be compared when its history is decoded. */
struct mark_anchor {
  uint32_t at, lv;
  uint8_t kind;
};

/* The marks that show at a character, by the anchors that start them, in the order of their keys. */
struct mark_cover {
  uint32_t *list;
  size_t count, cap;
};

struct marks {
  struct mark_saved *saved; /* by LV */
  size_t saved_count, saved_cap;
  struct mark_anchor *anchors; /* in order */
  size_t anchor_count, anchor_cap;
  struct mark_index index;
  struct anchor_notes notes; /* what the index does not know yet */
  /* The span that was looked at last. */
  bool is_at;
  uint32_t edits; /* of the text then */
  uint32_t from, to;
  struct mark_cover here, beside;
};

static inline struct rope_anchor anchor_of(uint8_t kind, uint32_t lv) {
  return (struct rope_anchor){lv, op_ends_mark(kind), op_is_opening(kind)};
}

void marks_free(struct marks *marks, const struct dunlin_env *env);
/* Sorts numbers; qsort() hands its function no context. */
void marks_sort(uint32_t *list, size_t count, bool (*goes_before)(const void *ctx, uint32_t a, uint32_t b),
                const void *ctx);
/* Whether the mark that operation `lv` starts wins over another one. */
bool mark_wins(const dunlin_doc *doc, const struct marks *marks, uint32_t lv, uint32_t other);
/* Where its key and value are: in the file's marks, or in the values column.  DUNLIN_ECORRUPT. */
int marks_find(const dunlin_doc *doc, const struct container *text, uint32_t lv, bool *is_saved, uint32_t *at);
/* What is there, borrowed. */
void mark_content(const dunlin_doc *doc, const struct container *text, bool is_saved, uint32_t at,
                  struct dunlin_bytes *key, struct dunlin_value *value);
/* The text's log is here now, and takes the place of what came from the file. */
void marks_found(dunlin_doc *doc, struct container *text);
/* Whether what came from the file stands in winner order: DUNLIN_ECORRUPT if it does not; DUNLIN_ENOMEM. */
int marks_ranked(const struct marks *marks, const struct graph *graph);

/* The marks of a text as it shows.  The list is replaced.  DUNLIN_ENOMEM. */
int marks_collect(dunlin_doc *doc, const struct container *text, struct mark_list *list);
void mark_list_free(struct mark_list *list, const struct dunlin_env *env);

/* Whether every character from `from` to `to` - 1 has this value of the key already; DUNLIN_ENOMEM. */
int marks_say(dunlin_doc *doc, struct container *text, uint32_t from, uint32_t to, struct dunlin_bytes key,
              const struct dunlin_value *value, bool *same);

/* 0; DUNLIN_ECORRUPT when the index is not what the marks say; DUNLIN_ENOMEM. */
int marks_check(dunlin_doc *doc, struct container *text);

#endif
