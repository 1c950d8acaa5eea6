/* A trace as deltas, for the cases that need its history. */
#ifndef BENCH_HISTORY_H
#define BENCH_HISTORY_H

#include "bench/bench.h"
#include "cli/trace.h"
#include "crdt/change.h"

/* One trace, and what the cases need of it again and again. */
struct text {
  struct bench *b;
  const char *name;
  struct trace *trace;
  struct buf deltas; /* one for each change, in a row */
  size_t *ends;      /* where each ends in `deltas` */
  size_t count;
  void *full; /* the delta of everything */
  size_t full_len;
  void *one; /* that of one transaction; NULL for a concurrent trace */
  size_t one_len;
  void *saved;
  size_t saved_len;
  void *other_edit; /* a delta of one more edit, by somebody else, on the saved version */
  size_t other_edit_len;
  bool generated;   /* the cases that a long history is for, and no others */
  bool other_order; /* its deltas, in another order, are to give the same document */
};

/* Runs the cases of a trace, and frees it. */
int text_cases(struct text *t);

/* Fills t->deltas, t->full and t->saved.  A trace without end content, which only merging gives, gets it from here. */
int history_write(struct text *t);
/* Fills t->other_edit: one more edit, by another device, on the saved version. */
int history_other_edit(struct text *t);
void history_free(struct text *t);
struct dunlin_bytes history_delta_at(const struct text *t, size_t i);
/* The commit hook that keeps each change as a delta of its own in a `struct text`. */
int history_keep(void *ctx, const struct dunlin_id *id, struct dunlin_bytes change);

/* Opens a transaction and gives the text. */
int history_begin(dunlin_doc *doc, dunlin_obj *out);
/* Types a sequential trace. */
int history_type(dunlin_doc *doc, const struct trace *trace, bool one_transaction);
/* 0 when the document's text is the trace's end content. */
int history_check(const dunlin_doc *doc, const struct trace *trace);

#endif
