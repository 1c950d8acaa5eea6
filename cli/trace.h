/* Editing traces: recorded histories of a text, in the JSON form of the public editing-traces collection
 * (https://github.com/josephg/editing-traces), plain or gzipped.
 *
 *   sequential   {"startContent": "", "endContent": "...",
 *                 "txns": [{"patches": [[pos, deleted, "inserted"], ...]}, ...]}
 *   concurrent   {"kind": "concurrent", "endContent": "...", "numAgents": 2,
 *                 "txns": [{"parents": [index, ...], "agent": 0, "patches": ...}, ...]}
 *
 * Positions count Unicode scalar values.  A sequential trace is given out as a concurrent one with one agent, each
 * transaction having the one before as its only parent. */
#ifndef CLI_TRACE_H
#define CLI_TRACE_H

#include <dunlin/dunlin.h>

#define TRACE_MAX_BYTES (512u * 1024 * 1024) /* of JSON: five times the largest trace of the collection */
#define TRACE_MAX_AGENTS 65536u

struct trace_patch {
  uint32_t at, remove;  /* scalar values */
  uint32_t offset, len; /* the inserted text: `len` bytes at `text + offset` */
};

struct trace_txn {
  uint32_t agent;
  uint32_t parents, parent_count; /* indexes of transactions: from `parents + parents` */
  uint32_t patches, patch_count;
};

struct trace {
  bool concurrent;
  size_t agents;
  struct trace_txn *txns;
  size_t txn_count;
  struct trace_patch *patches;
  size_t patch_count;
  uint32_t *parents;
  size_t parent_count;
  char *text; /* all inserted text in a row */
  size_t text_len;
  char *start, *end; /* content before and after, UTF-8, may hold NUL */
  size_t start_len, end_len;
};

/* Reads and checks a trace: every parent is an earlier transaction; in a sequential trace every position is inside the
 * text (in a concurrent one that depends on merging; a position is only checked against all text inserted before).
 * DUNLIN_EIO, DUNLIN_EFORMAT, DUNLIN_ERANGE, DUNLIN_ELIMIT, DUNLIN_ENOMEM, with a sentence in `why`. */
DUNLIN_MUST_USE int trace_read(const char *path, struct trace **out, struct dunlin_why *why);
void trace_free(struct trace *trace);

#endif
