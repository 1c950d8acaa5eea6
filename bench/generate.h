/* Long histories, made up by a fixed seed in the form of a trace. */
#ifndef BENCH_GENERATE_H
#define BENCH_GENERATE_H

#include "cli/trace.h"

/* A concurrent trace so many times in a row: each repetition's first transactions build on the heads of the one before,
 * and type at the end of what is there.  NULL without memory. */
struct trace *generate_repeated(const struct trace *trace, size_t times);

/* About so many events (characters typed and deleted) by one author: typing with backspaces, at a place of the text
 * after another.  A transaction is what is typed at one place. */
struct trace *generate_sequential(size_t events);

/* About so many events by so many authors, like a source repository's history: an author forks from a recent version,
 * works alone for hundreds to thousands of events, in runs of typing and deleting of 5 to 50 characters (a transaction
 * each), and merges what others have done when it begins again.  The end content is left open: only merging can
 * tell. */
struct trace *generate_authors(size_t events, size_t authors);

#endif
