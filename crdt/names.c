#include "crdt/names.h"

#include <stdlib.h>
#include <string.h>

#include "crdt/docfile.h"
#include "crdt/mix.h"

void names_init(struct names *n, const struct dunlin_env *env, uint64_t seed) {
  *n = (struct names){.memo.change = UINT32_MAX, .seed = seed};
  buf_init(&n->bytes, env, SIZE_MAX / 2);
}

void names_free(struct names *n) {
  const struct dunlin_env *env = n->bytes.env;
  ENV_FREE_ARRAY(env, n->kept, n->cap);
  ENV_FREE_ARRAY(env, n->recent, n->recent_cap);
  ENV_FREE_ARRAY(env, n->by_id, n->slots);
  ENV_FREE_ARRAY(env, n->by_change, n->slots);
  ENV_FREE_ARRAY(env, n->all, n->all_slots);
  buf_free(&n->bytes);
}

uint32_t names_tag(const struct names *n, const struct dunlin_id *id) {
  uint64_t word;
  memcpy(&word, id->bytes, sizeof word);
  return (uint32_t)mix_word(n->seed, word);
}

static bool same_id(const struct dunlin_id *a, const struct dunlin_id *b) {
  return a->bytes[0] == b->bytes[0] && !id_compare(a, b);
}

static uint32_t mix(uint32_t change) {
  uint32_t h = change * 0x9e3779b1u;
  return h ^ h >> 15;
}

/* ---- Those that are kept ------------------------------------------------------------------------------------ */

static size_t slot_of_id(const struct names *n, const struct dunlin_id *id) {
  size_t at = names_tag(n, id) & (n->slots - 1);
  while (n->by_id[at] && id_compare(&n->kept[n->by_id[at] - 1].id, id)) at = (at + 1) & (n->slots - 1);
  return at;
}

static size_t slot_of_change(const struct names *n, uint32_t change) {
  size_t at = mix(change) & (n->slots - 1);
  while (n->by_change[at] && n->kept[n->by_change[at] - 1].change != change) at = (at + 1) & (n->slots - 1);
  return at;
}

static int grow_slots(struct names *n, const struct dunlin_env *env) {
  size_t slots = n->slots ? 2 * n->slots : 16;
  uint32_t *by_id = env_calloc(env, slots, sizeof *by_id), *by_change = env_calloc(env, slots, sizeof *by_change);
  if (!by_id || !by_change) {
    ENV_FREE_ARRAY(env, by_id, slots);
    ENV_FREE_ARRAY(env, by_change, slots);
    return DUNLIN_ENOMEM;
  }
  ENV_FREE_ARRAY(env, n->by_id, n->slots);
  ENV_FREE_ARRAY(env, n->by_change, n->slots);
  n->by_id = by_id;
  n->by_change = by_change;
  n->slots = slots;
  for (size_t i = 0; i < n->count; i++) {
    by_id[slot_of_id(n, &n->kept[i].id)] = (uint32_t)i + 1;
    by_change[slot_of_change(n, n->kept[i].change)] = (uint32_t)i + 1;
  }
  return 0;
}

static int reserve(struct names *n, const struct dunlin_env *env, size_t more) {
  while ((n->count + more) * 4 > n->slots * 3)
    if (grow_slots(n, env)) return DUNLIN_ENOMEM;
  return ENV_GROW(env, n->kept, n->cap, n->count + more);
}

/* There is room. */
static void keep(struct names *n, uint32_t change, const struct dunlin_id *id) {
  size_t at = slot_of_change(n, change);
  if (n->by_change[at]) return;
  n->kept[n->count] = (struct name){*id, change};
  n->by_change[at] = n->by_id[slot_of_id(n, id)] = (uint32_t)++n->count;
}

static const struct dunlin_id *kept_id(const struct names *n, uint32_t change) {
  if (!n->slots) return NULL;
  uint32_t entry = n->by_change[slot_of_change(n, change)];
  return entry ? &n->kept[entry - 1].id : NULL;
}

/* ---- All of them -------------------------------------------------------------------------------------------- */

static void all_put(struct names *n, const struct dunlin_id *id, uint32_t change) {
  size_t at = names_tag(n, id) & (n->all_slots - 1);
  while (n->all[at].change != UINT32_MAX) at = (at + 1) & (n->all_slots - 1);
  n->all[at] = (struct names_entry){names_tag(n, id), change};
  n->all_used++;
}

/* Makes the table anew, twice as large as it must be; it goes when there is no memory for it. */
static int all_build(dunlin_doc *doc) {
  struct names *n = &doc->names;
  size_t slots = 64;
  int error = names_whole(doc);
  if (error) return error;
  while (slots < 2 * (size_t)doc->graph.changes) slots *= 2;
  ENV_FREE_ARRAY(doc->env, n->all, n->all_slots);
  n->all_slots = n->all_used = 0;
  n->all = env_alloc(doc->env, slots * sizeof *n->all);
  if (!n->all) return DUNLIN_ENOMEM;
  n->all_slots = slots;
  memset(n->all, 0xff, slots * sizeof *n->all);
  for (uint32_t change = 0; !error && change < doc->graph.changes; change++) {
    struct dunlin_id id;
    error = names_id(doc, change, &id);
    if (error) break;
    n->memo = (struct name){id, change}; /* the next one builds on it */
    all_put(n, &id, change);
  }
  if (!error) return 0;
  ENV_FREE_ARRAY(doc->env, n->all, n->all_slots);
  n->all = NULL;
  n->all_slots = 0;
  return error;
}

static int all_find(dunlin_doc *doc, const struct dunlin_id *id, uint32_t *change) {
  struct names *n = &doc->names;
  *change = IDMAP_NONE;
  if (!n->all || 4 * n->all_used > 3 * n->all_slots) {
    int error = all_build(doc);
    if (error) return error;
  }
  for (size_t at = names_tag(n, id) & (n->all_slots - 1); n->all[at].change != UINT32_MAX;
       at = (at + 1) & (n->all_slots - 1)) {
    struct dunlin_id own;
    if (n->all[at].tag != names_tag(n, id)) continue;
    int error = names_id(doc, n->all[at].change, &own);
    if (error) return error;
    if (!id_compare(&own, id)) {
      *change = n->all[at].change;
      return 0;
    }
  }
  return 0;
}

/* ---- Hashing ------------------------------------------------------------------------------------------------ */

/* Hashes one change, whose parents' ids are at hand. */
static int hash_change(dunlin_doc *doc, uint32_t change, struct dunlin_id *out) {
  struct names *n = &doc->names;
  buf_clear(&n->bytes);
  int error = history_change(doc, change, &n->bytes);
  if (error) return error;
  *out = change_id(doc->env, &doc->id, (struct dunlin_bytes){n->bytes.data, n->bytes.len});
  n->memo = (struct name){*out, change};
  return 0;
}

/* The id of a change when it is one of the last; NULL. */
static const struct dunlin_id *recent_id(const struct names *n, uint32_t change) {
  if (change >= n->done || change < n->base || n->done - change > NAMES_RECENT) return NULL;
  return &n->recent[change % NAMES_RECENT];
}

/* Notes the id of change n->done. */
static int note(dunlin_doc *doc, const struct dunlin_id *id) {
  struct names *n = &doc->names;
  uint32_t room = n->base ? NAMES_RECENT : n->done + 1;
  if (n->recent_cap < NAMES_RECENT && ENV_GROW(doc->env, n->recent, n->recent_cap, room)) return DUNLIN_ENOMEM;
  if (n->done % NAMES_EVERY == NAMES_EVERY - 1) {
    int error = reserve(n, doc->env, 1);
    if (error) return error;
    keep(n, n->done, id);
  }
  if (n->all) all_put(n, id, n->done);
  if (n->all && 8 * n->all_used > 7 * n->all_slots) { /* made again when it is needed again */
    ENV_FREE_ARRAY(doc->env, n->all, n->all_slots);
    n->all = NULL;
    n->all_slots = n->all_used = 0;
  }
  n->recent[n->done++ % NAMES_RECENT] = *id;
  return 0;
}

/* Changes that nobody has asked about yet are the end of the last run: its actor typed on. */
static int catch_up(dunlin_doc *doc) {
  struct names *n = &doc->names;
  while (n->done < doc->graph.changes) {
    struct dunlin_id id;
    const struct dunlin_id *last = n->done > n->base ? recent_id(n, n->done - 1) : kept_id(n, n->done - 1);
    if (n->done) n->memo = (struct name){*last, n->done - 1};
    int error = hash_change(doc, n->done, &id);
    if (!error) error = note(doc, &id);
    if (error) return error;
  }
  return 0;
}

/* The last change of an actor. */
static uint32_t last_change(const struct graph *g, const struct graph_actor *a) {
  uint32_t run = a->runs[a->run_count - 1];
  return (run + 1 < g->run_count ? g->runs[run + 1].change : g->changes) - 1;
}

int names_actor_last(dunlin_doc *doc, uint32_t actor, struct dunlin_id *out) {
  const struct graph_actor *a = &doc->graph.actors[actor];
  return a->run_count ? names_id(doc, last_change(&doc->graph, a), out) : DUNLIN_ENOENT;
}

int names_id(dunlin_doc *doc, uint32_t change, struct dunlin_id *out) {
  struct names *n = &doc->names;
  if (n->memo.change == change) {
    *out = n->memo.id;
    return 0;
  }
  int error = change >= n->done ? catch_up(doc) : 0;
  if (error) return error;
  const struct dunlin_id *kept = recent_id(n, change);
  if (!kept) kept = kept_id(n, change);
  if (kept) {
    *out = *kept;
    return 0;
  }
  if (change < n->base) {
    error = names_whole(doc);
    return error ? error : names_id(doc, change, out);
  }
  const struct graph_run *run = &doc->graph.runs[graph_run_of(&doc->graph, change)];
  uint32_t from = (change + 1) / NAMES_EVERY * NAMES_EVERY;
  if (from < n->base) from = n->base; /* the one before is a head of the file */
  bool memo_near = n->memo.change < change && n->memo.change >= run->change && n->memo.change + 1 >= from;
  if (memo_near) from = n->memo.change + 1;
  else if (from <= run->change) from = run->change; /* not before n->base */
  else n->memo = (struct name){*kept_id(n, from - 1), from - 1};
  for (; !error && from <= change; from++) error = hash_change(doc, from, out);
  return error;
}

/* ---- After opening ------------------------------------------------------------------------------------------ */

int names_begin(dunlin_doc *doc, const uint8_t *ids) {
  struct names *n = &doc->names;
  const struct graph *g = &doc->graph;
  int error = reserve(n, doc->env, g->head_count);
  for (size_t i = 0; !error && i < g->head_count; i++) {
    struct dunlin_id id;
    memcpy(id.bytes, ids + i * sizeof id.bytes, sizeof id.bytes);
    keep(n, graph_change_at(g, g->heads[i]), &id);
  }
  n->base = n->done = g->changes;
  return error;
}

static int by_change(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* The changes that runs of the graph begin on and end with, sorted; room for all parents and heads. */
static size_t list_ends(const struct graph *g, uint32_t *out) {
  size_t count = 0;
  for (const struct graph_run *r = g->runs; r < g->runs + g->run_count; r++)
    for (uint32_t i = 0; i < r->parent_count; i++) out[count++] = graph_change_at(g, g->parents[r->parents + i]);
  for (size_t i = 0; i < g->head_count; i++) out[count++] = graph_change_at(g, g->heads[i]); /* where nothing begins */
  qsort(out, count, sizeof *out, by_change);
  return count;
}

/* Whether the containers that a change made in lists have the ids that follow from its own: the file says these ids,
 * and what does not build on such a container would not show that they are others.  `*next`: of the makers. */
static bool items_agree(dunlin_doc *doc, uint32_t change, const struct dunlin_id *id, size_t *next) {
  uint32_t start = graph_start(&doc->graph, change), end = graph_start(&doc->graph, change + 1);
  for (; *next < doc->maker_count && doc->makers[*next].lv < end; ++*next) {
    const struct container *c = doc->containers[doc->makers[*next].container];
    if (c->provisional || doc->containers[c->parent]->kind != DUNLIN_LIST) continue;
    struct container_id own = item_child_id(doc, id, doc->makers[*next].lv - start, c->kind);
    if (memcmp(&own, &c->id, sizeof own)) return false;
  }
  return true;
}

/* Hashes all changes, and keeps those. */
static int hash_all(dunlin_doc *doc) {
  struct names *n = &doc->names;
  const struct graph *g = &doc->graph;
  size_t at = 0, next = 0, count = 0, room = g->parent_used + g->head_count;
  uint32_t *kept = env_alloc(doc->env, room * sizeof *kept);
  int error = kept ? 0 : DUNLIN_ENOMEM;
  if (!error) count = list_ends(g, kept);
  for (uint32_t change = 0; !error && change < g->changes; change++) {
    struct dunlin_id id;
    if (change) n->memo = (struct name){*recent_id(n, change - 1), change - 1};
    error = hash_change(doc, change, &id);
    if (!error && !items_agree(doc, change, &id, &next)) error = DUNLIN_ECORRUPT;
    if (!error) error = note(doc, &id);
    if (error || at == count || kept[at] != change) continue;
    error = reserve(n, doc->env, 1);
    if (!error) keep(n, change, &id);
    while (at < count && kept[at] == change) at++;
  }
  env_free(doc->env, kept, room * sizeof *kept);
  return error;
}

int names_whole(dunlin_doc *doc) {
  struct names *n = &doc->names, old;
  if (!n->base) return 0;
  int error = docfile_load(doc);
  if (error) return error;
  old = *n;
  names_init(n, doc->env, doc->seed);
  error = hash_all(doc);
  for (size_t i = 0; !error && i < old.count; i++) {
    struct dunlin_id id;
    if (old.kept[i].change >= old.base) continue;
    error = names_id(doc, old.kept[i].change, &id);
    if (!error && id_compare(&id, &old.kept[i].id)) error = DUNLIN_ECORRUPT;
  }
  if (error) {
    names_free(n);
    *n = old;
    return error;
  }
  names_free(&old);
  return 0;
}

/* ---- Asking ------------------------------------------------------------------------------------------------- */

int names_find(dunlin_doc *doc, const struct dunlin_id *id, uint32_t *change) {
  struct names *n = &doc->names;
  int error = catch_up(doc);
  *change = IDMAP_NONE;
  if (error || !n->done) return error;
  for (uint32_t at = n->done; at-- > n->base && n->done - at <= NAMES_RECENT;) {
    const struct dunlin_id *own = recent_id(n, at);
    if (!same_id(own, id)) continue;
    *change = at;
    return 0;
  }
  uint32_t entry = n->slots ? n->by_id[slot_of_id(n, id)] : 0;
  if (entry) {
    *change = n->kept[entry - 1].change;
    return 0;
  }
  return all_find(doc, id, change);
}

int names_find_last(dunlin_doc *doc, const struct dunlin_id *id, uint32_t *lv) {
  uint32_t change;
  int error = names_find(doc, id, &change);
  if (error || change == IDMAP_NONE) return error ? error : DUNLIN_ENOENT;
  *lv = graph_start(&doc->graph, change + 1) - 1;
  return 0;
}

/* How many of the runs of an actor that has not forked begin at or before a number. */
static size_t runs_from(const struct graph *g, const struct graph_actor *a, uint64_t number) {
  size_t low = 0, high = a->run_count;
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (g->runs[a->runs[mid]].number <= number) low = mid + 1;
    else high = mid;
  }
  return low;
}

int names_known(dunlin_doc *doc, uint32_t actor, uint64_t number, const struct dunlin_id *id, bool *known) {
  const struct graph *g = &doc->graph;
  const struct graph_actor *a = &g->actors[actor];
  *known = false;
  if (number >= a->changes) return 0;
  if (number < a->before) {
    int error = docfile_load(doc);
    if (error) return error;
    a = &g->actors[actor]; /* the graph is another */
  }
  enum { few = 8 };
  if (a->forked && a->run_count > few) {
    uint32_t change;
    int error = names_find(doc, id, &change);
    *known = !error && change != IDMAP_NONE;
    return error;
  }
  /* Of an actor that has not forked the numbers rise: just the run that may have it is looked at. */
  for (size_t i = a->forked ? a->run_count : runs_from(g, a, number); i-- > 0;) {
    const struct graph_run *run = &g->runs[a->runs[i]];
    uint32_t end = a->runs[i] + 1 < g->run_count ? run[1].change : g->changes;
    if (number < run->number || number - run->number >= end - run->change) continue;
    struct dunlin_id own;
    int error = names_id(doc, run->change + (uint32_t)(number - run->number), &own);
    *known = !error && !id_compare(&own, id);
    if (error || *known || !a->forked) return error;
  }
  return 0;
}

const struct dunlin_id *names_last(const struct names *n, uint32_t changes) {
  return n->done == changes && changes ? recent_id(n, changes - 1) : NULL;
}

int names_reserve_one(dunlin_doc *doc) {
  struct names *n = &doc->names;
  uint32_t changes = doc->graph.changes, room = n->base || changes >= NAMES_RECENT ? NAMES_RECENT : changes + 1;
  int error = changes % NAMES_EVERY == NAMES_EVERY - 1 ? reserve(n, doc->env, 1) : 0;
  return error ? error : ENV_GROW(doc->env, n->recent, n->recent_cap, room);
}

int names_prepare(dunlin_doc *doc) {
  struct names *n = &doc->names;
  struct graph *g = &doc->graph;
  bool goes_on = g->run_count && g->open.parent_count == 1 && g->open.parents[0] + 1 == g->lvs &&
                 g->runs[g->run_count - 1].actor == g->open.actor;
  int error = 0;
  if (doc->open.is_prepared) return 0; /* nothing may ask for memory behind the commit hook */
  if (g->open.goes_on) {
    error = names_reserve_one(doc);
    doc->open.is_prepared = !error;
    return error;
  }
  if (!goes_on) error = catch_up(doc);
  if (!error && !goes_on) error = reserve(n, doc->env, g->open.parent_count + 1);
  for (size_t i = 0; !error && !goes_on && i < g->open.parent_count; i++) {
    uint32_t change = graph_change_at(g, g->open.parents[i]);
    struct dunlin_id id;
    error = names_id(doc, change, &id);
    if (!error) keep(n, change, &id);
  }
  /* A run of the graph is over: others will build on its end. */
  const struct dunlin_id *end = error || goes_on || !g->changes ? NULL : recent_id(n, g->changes - 1);
  if (end) keep(n, g->changes - 1, end);
  if (!error) error = names_reserve_one(doc);
  doc->open.is_prepared = !error;
  return error;
}

void names_add(dunlin_doc *doc, const struct dunlin_id *id) {
  struct names *n = &doc->names;
  n->memo.change = UINT32_MAX;
  if (id && n->done + 1 == doc->graph.changes) (void)note(doc, id); /* else it is hashed when it is asked for */
}
