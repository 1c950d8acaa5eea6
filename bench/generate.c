#include "bench/generate.h"

#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

/* ---- Building a trace --------------------------------------------------------------------------------------- */

struct builder {
  struct trace *trace;
  size_t txn_cap, patch_cap, parent_cap, text_cap;
  bool failed;
  uint64_t seed;
};

/* Room for `count` elements; false without memory. */
static bool grow(struct builder *b, void **list, size_t *cap, size_t count, size_t size) {
  if (b->failed || count <= *cap) return !b->failed;
  size_t wanted = count < 64 ? 128 : 2 * count;
  void *now = realloc(*list, wanted * size);
  b->failed = !now;
  if (!now) return false;
  *list = now;
  *cap = wanted;
  return true;
}
#define GROW(b, list, cap, count) grow(b, (void **)&(list), &(cap), count, sizeof *(list))

static bool builder_init(struct builder *b) {
  *b = (struct builder){.trace = calloc(1, sizeof *b->trace), .seed = 88172645463325252u};
  b->failed = !b->trace;
  return b->trace;
}

static struct trace *builder_end(struct builder *b) {
  if (!b->failed) return b->trace;
  trace_free(b->trace);
  return NULL;
}

static void add_txn(struct builder *b, uint32_t agent) {
  struct trace *t = b->trace;
  if (!GROW(b, t->txns, b->txn_cap, t->txn_count + 1)) return;
  t->txns[t->txn_count++] =
      (struct trace_txn){.agent = agent, .parents = (uint32_t)t->parent_count, .patches = (uint32_t)t->patch_count};
}

static void add_parent(struct builder *b, uint32_t parent) {
  struct trace *t = b->trace;
  if (!GROW(b, t->parents, b->parent_cap, t->parent_count + 1)) return;
  t->parents[t->parent_count++] = parent;
  t->txns[t->txn_count - 1].parent_count++;
}

static void add_patch(struct builder *b, size_t at, size_t remove, const char *text, size_t len) {
  struct trace *t = b->trace;
  if (!GROW(b, t->patches, b->patch_cap, t->patch_count + 1) || !GROW(b, t->text, b->text_cap, t->text_len + len))
    return;
  t->patches[t->patch_count++] =
      (struct trace_patch){(uint32_t)at, (uint32_t)remove, (uint32_t)t->text_len, (uint32_t)len};
  if (len) memcpy(t->text + t->text_len, text, len);
  t->text_len += len;
  t->txns[t->txn_count - 1].patch_count++;
}

static size_t below(struct builder *b, size_t limit) {
  return (size_t)(bench_random(&b->seed) % limit);
}

static char letter(struct builder *b) {
  return "etaoinshrdlcumwfgypbvk etaoins "[below(b, 31)];
}

/* ---- Again and again ---------------------------------------------------------------------------------------- */

static size_t scalars_of(const char *utf8, size_t len) {
  size_t count = 0;
  for (size_t i = 0; i < len; i++) count += ((unsigned char)utf8[i] & 0xc0u) != 0x80u;
  return count;
}

/* Transactions of the trace that no other builds on. */
static uint32_t *heads_of(const struct trace *trace, size_t *count) {
  bool *built_on = calloc(trace->txn_count + 1, sizeof *built_on);
  uint32_t *heads = malloc((trace->txn_count + 1) * sizeof *heads);
  *count = 0;
  for (size_t i = 0; built_on && i < trace->parent_count; i++) built_on[trace->parents[i]] = true;
  for (size_t i = 0; built_on && heads && i < trace->txn_count; i++)
    if (!built_on[i]) heads[(*count)++] = (uint32_t)i;
  if (!built_on) free(heads), heads = NULL;
  free(built_on);
  return heads;
}

/* The trace once more, behind `before` transactions and `shown` characters. */
static void repeat(struct builder *b, const struct trace *trace, size_t before, size_t shown, const uint32_t *heads,
                   size_t head_count) {
  for (size_t i = 0; !b->failed && i < trace->txn_count; i++) {
    const struct trace_txn *txn = &trace->txns[i];
    add_txn(b, txn->agent);
    for (uint32_t p = 0; !b->failed && p < txn->parent_count; p++)
      add_parent(b, (uint32_t)before + trace->parents[txn->parents + p]);
    for (size_t h = 0; !b->failed && before && !txn->parent_count && h < head_count; h++)
      add_parent(b, (uint32_t)(before - trace->txn_count) + heads[h]);
    for (uint32_t p = 0; !b->failed && p < txn->patch_count; p++) {
      const struct trace_patch *patch = &trace->patches[txn->patches + p];
      add_patch(b, shown + patch->at, patch->remove, trace->text + patch->offset, patch->len);
    }
  }
}

struct trace *generate_repeated(const struct trace *trace, size_t times) {
  struct builder b;
  size_t head_count, shown = scalars_of(trace->end, trace->end_len);
  if (trace->start_len || !builder_init(&b)) return NULL;
  uint32_t *heads = heads_of(trace, &head_count);
  b.failed = !heads;
  b.trace->concurrent = true;
  b.trace->agents = trace->agents;
  b.trace->end = malloc(times * trace->end_len + 1);
  b.failed |= !b.trace->end;
  for (size_t i = 0; !b.failed && i < times; i++) {
    repeat(&b, trace, i * trace->txn_count, i * shown, heads, head_count);
    memcpy(b.trace->end + i * trace->end_len, trace->end, trace->end_len);
    b.trace->end_len += trace->end_len;
  }
  free(heads);
  return builder_end(&b);
}

/* ---- One author --------------------------------------------------------------------------------------------- */

/* What a plain text editor would keep: the text with a gap where typing goes on. */
struct page {
  char *bytes;
  size_t gap, gap_end, cap;
};

static void move_gap(struct page *page, size_t at) {
  if (at < page->gap) memmove(page->bytes + page->gap_end - (page->gap - at), page->bytes + at, page->gap - at);
  else memmove(page->bytes + page->gap, page->bytes + page->gap_end, at - page->gap);
  page->gap_end = page->gap_end + at - page->gap;
  page->gap = at;
}

/* Where the author types next: mostly nearby, sometimes at the end or anywhere. */
static size_t next_place(struct builder *b, const struct page *page) {
  size_t size = page->gap + page->cap - page->gap_end, dice = below(b, 100);
  if (dice < 10) return size;
  if (dice < 15) return below(b, size + 1);
  size_t step = below(b, 400), back = page->gap < 200 ? page->gap : 200;
  size_t place = page->gap - back + step;
  return place < size ? place : size;
}

static void type_letter(struct builder *b, struct page *page) {
  char typed = letter(b);
  add_patch(b, page->gap, 0, &typed, 1);
  page->bytes[page->gap++] = typed;
}

struct trace *generate_sequential(size_t events) {
  enum { wrong_every = 70, leaves_every = 80 }; /* which makes runs of about 25 */
  struct builder b;
  if (!builder_init(&b)) return NULL;
  struct page page = {.bytes = malloc(events + 1), .gap_end = events + 1, .cap = events + 1};
  b.failed = !page.bytes;
  b.trace->agents = 1;
  for (size_t i = 0, back = 0; !b.failed && i < events; i++) {
    if (!i || (!back && !below(&b, leaves_every))) {
      move_gap(&page, next_place(&b, &page));
      add_txn(&b, 0);
      if (i && !b.failed) add_parent(&b, (uint32_t)(b.trace->txn_count - 2));
    }
    if (!back && !below(&b, wrong_every)) back = 1 + below(&b, 6);
    if (b.failed) break;
    if (back && page.gap) add_patch(&b, --page.gap, 1, NULL, 0), back--;
    else type_letter(&b, &page), back = 0;
  }
  if (!b.failed) move_gap(&page, page.gap + page.cap - page.gap_end);
  b.trace->end = page.bytes;
  b.trace->end_len = page.gap;
  return builder_end(&b);
}

/* ---- Many authors ------------------------------------------------------------------------------------------- */

/* A time of work by one author alone. */
struct branch {
  uint32_t author, tip; /* its last transaction */
  int64_t grown;        /* characters typed, less those deleted */
  uint64_t *past;       /* branches in its past and itself, a bit each */
};

struct crowd {
  struct builder b;
  struct branch *branches;
  size_t count, most, words;
  uint32_t *last; /* each author's latest branch; UINT32_MAX */
  uint32_t main;  /* the branch that the others find first */
};

static bool has(const uint64_t *past, size_t branch) {
  return past[branch / 64] >> branch % 64 & 1;
}

static void take_past(struct crowd *c, uint64_t *past, size_t branch) {
  for (size_t w = 0; w < c->words; w++) past[w] |= c->branches[branch].past[w];
}

/* How long the text is at least where all these branches are merged: a character that two of them deleted counts as
 * two. */
static size_t least_size(const struct crowd *c, const uint64_t *past) {
  int64_t size = 0;
  for (size_t i = 0; i < c->count; i++)
    if (has(past, i)) size += c->branches[i].grown;
  return size > 0 ? (size_t)size : 0;
}

/* What a new branch builds on: the author's own latest, a version of some time ago, and perhaps two that wait to be
 * merged. */
static size_t choose_parents(struct crowd *c, uint32_t author, uint32_t parents[4]) {
  size_t count = 0;
  if (!c->count) return 0;
  if (c->last[author] != UINT32_MAX) parents[count++] = c->last[author];
  size_t recent = c->count < 12 ? c->count : 12;
  parents[count++] = below(&c->b, 3) ? c->main : (uint32_t)(c->count - 1 - below(&c->b, recent));
  for (size_t tries = below(&c->b, 3); tries; tries--) {
    size_t other = c->count - 1 - below(&c->b, recent);
    if (!has(c->branches[c->main].past, other)) parents[count++] = (uint32_t)other;
  }
  return count;
}

/* Names the tips of these branches as parents, without those that others build on. */
static void name_parents(struct crowd *c, const uint32_t *parents, size_t count) {
  for (size_t i = 0; i < count && !c->b.failed; i++) {
    bool needed = true;
    for (size_t k = 0; k < count; k++)
      needed &= parents[k] == parents[i] ? k >= i : !has(c->branches[parents[k]].past, parents[i]);
    if (needed) add_parent(&c->b, c->branches[parents[i]].tip);
  }
}

/* One run of typing or deleting; gives the events that it took. */
static size_t work_at(struct crowd *c, struct branch *branch, size_t *place, size_t *size) {
  char text[50];
  size_t len = 5 + below(&c->b, 46);
  if (!below(&c->b, 3) || *place > *size) *place = below(&c->b, *size + 1);
  if (!below(&c->b, 4) && *size > 100 + len) {
    if (*place > *size - len) *place = *size - len;
    add_patch(&c->b, *place, len, NULL, 0);
    *size -= len;
    branch->grown -= (int64_t)len;
    return len;
  }
  for (size_t i = 0; i < len; i++) text[i] = letter(&c->b);
  add_patch(&c->b, *place, 0, text, len);
  *place += len;
  *size += len;
  branch->grown += (int64_t)len;
  return len;
}

/* A branch of so many events. */
static size_t add_branch(struct crowd *c, uint32_t author, size_t events) {
  uint32_t parents[4];
  size_t parent_count = choose_parents(c, author, parents), done = 0, at = c->count;
  struct branch *branch = &c->branches[at];
  *branch = (struct branch){.author = author, .past = calloc(c->words, sizeof *branch->past)};
  c->b.failed |= !branch->past;
  if (c->b.failed) return events;
  for (size_t i = 0; i < parent_count; i++) take_past(c, branch->past, parents[i]);
  size_t size = least_size(c, branch->past), place = below(&c->b, size + 1);
  for (bool first = true; done < events && !c->b.failed; first = false) {
    add_txn(&c->b, author);
    if (first) name_parents(c, parents, parent_count);
    else add_parent(&c->b, (uint32_t)(c->b.trace->txn_count - 2));
    if (!c->b.failed) done += work_at(c, branch, &place, &size);
  }
  branch->tip = (uint32_t)(c->b.trace->txn_count - 1);
  branch->past[at / 64] |= (uint64_t)1 << at % 64;
  if (!at || has(branch->past, c->main)) c->main = (uint32_t)at;
  c->last[author] = (uint32_t)at;
  c->count++;
  return done;
}

struct trace *generate_authors(size_t events, size_t authors) {
  enum { least = 200, spread = 1200 }; /* events of a branch */
  struct crowd c = {.most = events / least + 1, .words = events / least / 64 + 1};
  size_t done = 0;
  if (!builder_init(&c.b)) return NULL;
  c.branches = calloc(c.most, sizeof *c.branches);
  c.last = malloc((authors + 1) * sizeof *c.last);
  c.b.failed = !c.branches || !c.last;
  if (c.last) memset(c.last, 0xff, authors * sizeof *c.last);
  c.b.trace->concurrent = true;
  c.b.trace->agents = authors;
  while (!c.b.failed && done < events && c.count < c.most)
    done += add_branch(&c, (uint32_t)below(&c.b, authors), least + below(&c.b, spread));
  for (size_t i = 0; c.branches && i <= c.count && i < c.most; i++) free(c.branches[i].past);
  free(c.branches);
  free(c.last);
  return builder_end(&c.b);
}
