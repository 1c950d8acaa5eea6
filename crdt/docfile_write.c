/* Writing the compact form of a document. */
#include <stdlib.h>
#include <string.h>

#include "crdt/docfile.h"
#include "crdt/docfile_values.h"

/* A column of integers. */
struct ints {
  struct buf bytes;
  size_t count;
};

struct writer {
  bool compressed;
  dunlin_doc *doc;
  struct buf sections[DOCFILE_SECTIONS];
  struct planes_cuts cuts[DOCFILE_SECTIONS];
  struct ints columns[6];
  uint32_t *actors; /* of each actor its number in the file; LV_NONE: it has no changes */
  uint32_t actor_count;
  struct docfile_cursors cursors;
  struct sorted *sorted; /* of each container, the entries of maps */
  uint32_t **ranks;      /* likewise, for ranks_of() */
  struct keys_out keys;
  struct scalars_out scalars; /* of the section that is being written */
};

static void put_uint(struct ints *column, uint64_t v) {
  mp_write_uint(&column->bytes, v);
  column->count++;
}

static void put_int(struct ints *column, int64_t v) {
  mp_write_int(&column->bytes, v);
  column->count++;
}

/* Appends the numbers of a column, which is empty then, when it is known how many they are. */
static void put_numbers(struct buf *out, struct ints *column) {
  buf_append(out, column->bytes.data, column->bytes.len);
  if (column->bytes.error) out->error = column->bytes.error;
  buf_clear(&column->bytes);
  column->count = 0;
}

static void put_column(struct buf *out, struct ints *column) {
  mp_write_array(out, column->count);
  put_numbers(out, column);
}

/* ---- State -------------------------------------------------------------------------------------------------- */

/* Actors are numbered as their first changes come. */
static int number_actors(struct writer *w) {
  const struct graph *g = &w->doc->graph;
  w->actors = env_alloc(w->doc->env, g->actor_count * sizeof *w->actors);
  if (!w->actors) return DUNLIN_ENOMEM;
  memset(w->actors, 0xff, g->actor_count * sizeof *w->actors);
  for (size_t i = 0; i < g->run_count; i++)
    if (w->actors[g->runs[i].actor] == LV_NONE) w->actors[g->runs[i].actor] = w->actor_count++;
  return 0;
}

/* One more than the highest number of an actor's changes. */
static uint32_t numbers_of(const struct graph *g, const struct graph_actor *a) {
  uint32_t numbers = 0;
  for (size_t i = 0; i < a->run_count; i++) {
    uint32_t run = a->runs[i], end = run + 1 < g->run_count ? g->runs[run + 1].change : g->changes;
    uint32_t next = g->runs[run].number + (end - g->runs[run].change);
    if (next > numbers) numbers = next;
  }
  return numbers;
}

static void write_actors(struct writer *w, struct buf *out) {
  const struct graph *g = &w->doc->graph;
  uint32_t done = 0;
  mp_write_bin_head(out, w->actor_count * sizeof(struct dunlin_actor));
  for (size_t i = 0; i < g->run_count && done < w->actor_count; i++) {
    uint32_t actor = g->runs[i].actor;
    if (w->actors[actor] != done) continue;
    done++;
    buf_append(out, g->actors[actor].name.bytes, sizeof(struct dunlin_actor));
    put_uint(&w->columns[0], g->actors[actor].changes);
    put_uint(&w->columns[1], numbers_of(g, &g->actors[actor]));
  }
  put_numbers(out, &w->columns[0]);
  put_numbers(out, &w->columns[1]);
}

static int write_heads(struct writer *w, struct buf *out) {
  dunlin_doc *doc = w->doc;
  const struct graph *g = &doc->graph;
  for (size_t i = 0; i < g->head_count; i++) {
    struct graph_op head = graph_op(g, g->heads[i]);
    put_uint(&w->columns[0], g->changes - 1 - head.change);
    put_uint(&w->columns[0], g->lvs - 1 - g->heads[i]);
    put_uint(&w->columns[0], g->heads[i] - graph_start(g, head.change)); /* its length less one */
    put_uint(&w->columns[0], w->actors[head.actor]);
    put_uint(&w->columns[0], head.number);
    put_uint(&w->columns[0], head.lamport);
  }
  mp_write_uint(out, g->head_count);
  put_numbers(out, &w->columns[0]);
  for (size_t i = 0; i < g->head_count; i++) {
    struct dunlin_id id;
    int error = names_id(doc, graph_change_at(g, g->heads[i]), &id);
    if (error) return error;
    buf_append(out, id.bytes, sizeof id.bytes);
  }
  return out->error;
}

static uint32_t flags_of(const dunlin_doc *doc) {
  uint32_t flags = 0;
  for (size_t i = 0; i < doc->graph.actor_count; i++)
    if (doc->graph.actors[i].forked) flags |= FLAG_PLAIN;
  for (size_t i = 0; i < doc->container_count; i++)
    for (size_t k = 0; k < doc->containers[i]->log.count; k++)
      if (doc->containers[i]->log.runs[k].idle) flags |= FLAG_IDLE;
  return flags;
}

static int by_key(const void *a, const void *b) {
  const struct map_entry *x = *(const struct map_entry *const *)a, *y = *(const struct map_entry *const *)b;
  return key_compare(map_key(x), map_key(y));
}

/* Entries that say nothing are left out: what is in them came from transactions that were aborted, or is deleted. */
static bool says_something(const struct map_entry *entry) {
  return entry->reg.count || entry->generation >= 0;
}

/* The entries of a map that are written, in the order of their keys. */
struct sorted {
  const struct map_entry **list;
  size_t count, cap;
};

/* Sorts each map's entries, and gives their keys numbers. */
static int write_keys(struct writer *w, struct buf *out) {
  const dunlin_doc *doc = w->doc;
  for (size_t c = 0; c < doc->container_count; c++) {
    if (doc->containers[c]->kind != DUNLIN_MAP) continue;
    const struct map *map = &doc->containers[c]->as.map;
    struct sorted *sorted = &w->sorted[c];
    if (ENV_GROW(doc->env, sorted->list, sorted->cap, map->count)) return DUNLIN_ENOMEM;
    for (size_t i = 0; i < map->count; i++) {
      if (!says_something(&map->entries[i])) continue;
      sorted->list[sorted->count++] = &map->entries[i];
      if (keys_place(&w->keys, map_key(&map->entries[i])) == UINT32_MAX) return DUNLIN_ENOMEM;
    }
    if (sorted->count) qsort(sorted->list, sorted->count, sizeof *sorted->list, by_key);
  }
  w->keys.cuts = &w->cuts[DOCFILE_STATE];
  return keys_write(&w->keys, out);
}

/* The entries of a set in byte order; freed by the caller, set->count of them. */
static const struct map_entry **sorted_entries(const struct map *map, size_t *count) {
  const struct map_entry **list = env_alloc(map->env, map->count * sizeof *list);
  *count = 0;
  for (size_t i = 0; list && i < map->count; i++)
    if (says_something(&map->entries[i])) list[(*count)++] = &map->entries[i];
  if (list && *count) qsort(list, *count, sizeof *list, by_key);
  return list;
}

static int write_set(const dunlin_doc *doc, const struct map *set, struct buf *out) {
  size_t count;
  const struct map_entry **list = sorted_entries(set, &count);
  if (!list) return DUNLIN_ENOMEM;
  mp_write_uint(out, count);
  for (size_t i = 0; i < count; i++) {
    const struct reg *reg = &list[i]->reg;
    struct dunlin_bytes key = map_key(list[i]);
    buf_append(out, key.data, key.len);
    mp_write_uint(out, reg->count);
    for (uint32_t k = 0; k < reg->count; k++) mp_write_uint(out, doc->graph.lvs - 1 - reg_at(reg, k)->lv);
  }
  env_free(set->env, list, set->count * sizeof *list);
  return 0;
}

static void write_offer(const dunlin_doc *doc, const struct container *c, struct buf *out) {
  const struct reg *reg = &c->as.offer;
  mp_write_uint(out, reg->count);
  if (reg->count && c->kind == DUNLIN_FIRST) mp_write_uint(out, doc->graph.lvs - 1 - reg_at(reg, 0)->lv);
  if (reg->count) value_write(out, &reg_at(reg, 0)->value);
}

static int write_contents(struct writer *w, uint32_t container, struct buf *out) {
  const struct container *c = w->doc->containers[container];
  mp_write_uint(out, c->log.ops);
  if (c->kind == DUNLIN_MAP) mp_write_uint(out, w->sorted[container].count);
  if (is_set(c->kind)) return write_set(w->doc, &c->as.map, out);
  if (is_offer(c->kind)) write_offer(w->doc, c, out);
  if (c->kind == DUNLIN_LIST) mp_write_uint(out, c->as.list->list.size);
  if (c->kind == DUNLIN_COUNTER) mp_write_int(out, c->as.counter);
  if (c->kind != DUNLIN_TEXT) return 0;
  int error = docfile_write_marks(w->doc, c, out);
  if (error) return error;
  size_t bytes = text_bytes(&c->as.text->text);
  mp_write_uint(out, c->as.text->text.size - c->as.text->text.anchors);
  mp_write_uint(out, bytes);
  uint8_t *at = buf_extend(&w->sections[DOCFILE_TEXT], bytes);
  if (bytes && !at) return w->sections[DOCFILE_TEXT].error;
  if (bytes) text_copy(&c->as.text->text, &w->doc->text, at);
  return 0;
}

/* A live write, and the slot of its key. */
struct live {
  const struct reg_write *write;
  uint32_t slot, at;
};

struct registers_out {
  struct planes_out keys, generations, sizes, classes;
  struct diffs_out lvs;
  struct live *list;
  size_t count, cap;
};

static int add_register(struct writer *w, struct registers_out *r, const struct reg *reg, uint32_t slot) {
  const dunlin_doc *doc = w->doc;
  if (ENV_GROW(doc->env, r->list, r->cap, r->count + reg->count)) return DUNLIN_ENOMEM;
  planes_add(&r->sizes, reg->count < 2 ? 1 - reg->count : reg->count); /* mostly it is one: 0 */
  for (uint32_t i = 0; i < reg->count; i++) {
    const struct reg_write *write = reg_at(reg, i);
    diffs_add(&r->lvs, doc->graph.lvs - 1 - (int64_t)write->lv, 0);
    planes_add(&r->classes, write->class);
    r->list[r->count] = (struct live){write, slot, (uint32_t)r->count};
    r->count++;
  }
  return 0;
}

static int add_map(struct writer *w, struct registers_out *r, const struct sorted *sorted) {
  uint32_t next = 0;
  int error = 0;
  for (size_t i = 0; !error && i < sorted->count; i++) {
    uint32_t key = w->keys.numbers[keys_place(&w->keys, map_key(sorted->list[i]))]; /* it is there */
    planes_add(&r->keys, key - next);
    planes_add(&r->generations, (uint64_t)(sorted->list[i]->generation + 1));
    error = add_register(w, r, &sorted->list[i]->reg, key + 1);
    next = key + 1;
  }
  return error;
}

static int add_list(struct writer *w, struct registers_out *r, const struct list *list) {
  int error = 0;
  for (uint32_t at = 0, count; !error && at < list->size; at += count) {
    const uint32_t *elements = list_run(list, at, &count);
    for (uint32_t i = 0; !error && i < count; i++) error = add_register(w, r, &list->elements[elements[i]], 0);
  }
  return error;
}

static int by_lv(const void *a, const void *b) {
  const struct live *x = a, *y = b;
  if (x->write->lv != y->write->lv) return x->write->lv < y->write->lv ? -1 : 1;
  return (x->at > y->at) - (x->at < y->at);
}

/* The values come in the order in which they were written: what follows in time mostly is alike. */
static void write_live(struct writer *w, struct registers_out *r, struct buf *out) {
  planes_write(&r->keys, out);
  planes_write(&r->generations, out);
  planes_write(&r->sizes, out);
  diffs_write(&r->lvs, 1, out);
  planes_write(&r->classes, out);
  if (r->count) qsort(r->list, r->count, sizeof *r->list, by_lv);
  for (size_t i = 0; i < r->count; i++) scalars_add(&w->scalars, &r->list[i].write->value, r->list[i].slot);
  scalars_write(&w->scalars, w->keys.count + 1, out);
}

static int write_registers(struct writer *w, struct buf *out) {
  const dunlin_doc *doc = w->doc;
  struct planes_out planes = {.env = doc->env, .cuts = &w->cuts[DOCFILE_STATE]};
  struct registers_out r = {planes, planes, planes, planes, {planes, planes}, NULL, 0, 0};
  int error = 0;
  scalars_init(&w->scalars, doc->env, &w->cuts[DOCFILE_STATE], DOCFILE_SECTION_MAX);
  for (size_t i = 0; !error && i < doc->container_count; i++) {
    const struct container *c = doc->containers[i];
    if (c->kind == DUNLIN_MAP) error = add_map(w, &r, &w->sorted[i]);
    if (c->kind == DUNLIN_LIST) error = add_list(w, &r, &c->as.list->list);
  }
  if (!error) write_live(w, &r, out);
  planes_free(&r.keys);
  planes_free(&r.generations);
  planes_free(&r.sizes);
  planes_free(&r.classes);
  diffs_free(&r.lvs);
  ENV_FREE_ARRAY(doc->env, r.list, r.cap);
  scalars_free(&w->scalars);
  return error ? error : out->error;
}

/* The places of a map's entries among those that are written; NULL when out of memory.  Worked out once for each
 * map. */
static const uint32_t *ranks_of(struct writer *w, uint32_t container) {
  const struct map *map = &w->doc->containers[container]->as.map;
  const struct sorted *sorted = &w->sorted[container];
  if (w->ranks[container]) return w->ranks[container];
  uint32_t *ranks = env_alloc(map->env, map->count * sizeof *ranks);
  for (size_t i = 0; ranks && i < sorted->count; i++) ranks[sorted->list[i] - map->entries] = (uint32_t)i;
  w->ranks[container] = ranks;
  return ranks;
}

/* Whether the container's id follows from its key. */
static bool is_derived(dunlin_doc *doc, const struct container *c) {
  const struct container *parent = doc->containers[c->parent];
  if (parent->kind != DUNLIN_MAP || c->entry >= parent->as.map.count) return false;
  const struct map_entry *entry = &parent->as.map.entries[c->entry];
  if (entry->generation < (int64_t)c->generation) return false;
  struct container_id id = child_id(doc, &parent->id, map_key(entry), c->kind, c->generation);
  return !memcmp(id.bytes, c->id.bytes, sizeof id.bytes);
}

static void write_containers(struct writer *w, struct buf *out) {
  const dunlin_doc *doc = w->doc;
  struct buf names;
  buf_init(&names, doc->env, DOCFILE_SECTION_MAX);
  for (uint32_t i = 1; i < doc->container_count; i++) {
    const struct container *c = doc->containers[i];
    uint32_t place = c->provisional ? PLACE_NONE : is_derived(w->doc, c) ? PLACE_ENTRY : PLACE_NAMED;
    if (place == PLACE_NAMED) buf_append(&names, c->id.bytes, sizeof c->id.bytes);
    if (place == PLACE_ENTRY) {
      const uint32_t *ranks = ranks_of(w, c->parent);
      if (!ranks) out->error = DUNLIN_ENOMEM;
      else place += ranks[c->entry];
    }
    put_uint(&w->columns[0], c->parent);
    put_uint(&w->columns[0], (uint64_t)c->kind);
    put_uint(&w->columns[0], place);
    put_uint(&w->columns[0], place < PLACE_ENTRY ? 0 : c->generation);
  }
  put_column(out, &w->columns[0]);
  mp_write_bin(out, names.data, names.len);
  if (names.error) out->error = names.error;
  buf_free(&names);
}

static int write_state(struct writer *w) {
  const dunlin_doc *doc = w->doc;
  struct buf *out = &w->sections[DOCFILE_STATE];
  int error = write_keys(w, out);
  if (error) return error;
  write_actors(w, out);
  put_uint(&w->columns[0], doc->graph.changes);
  put_uint(&w->columns[0], doc->graph.lvs);
  put_uint(&w->columns[0], column_end(&doc->text));
  put_uint(&w->columns[0], column_end(&doc->values));
  put_uint(&w->columns[0], flags_of(doc));
  put_numbers(out, &w->columns[0]);
  error = write_heads(w, out);
  mp_write_bin(out, doc->void_ids, doc->void_count * sizeof *doc->void_ids);
  write_containers(w, out);
  for (uint32_t i = 0; !error && i < doc->container_count; i++) error = write_contents(w, i, out);
  return error ? error : write_registers(w, out);
}

/* ---- History ------------------------------------------------------------------------------------------------ */

static int latest_first(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x < y) - (x > y);
}

/* A parent that is not its actor's newest: whose it is, and how many changes that actor has made since. */
static void put_parent(struct writer *w, struct docfile_actors *actors, uint32_t change, struct ints *columns) {
  const struct graph *g = &w->doc->graph;
  uint32_t run = graph_run_of(g, change), actor = w->actors[g->runs[run].actor];
  put_uint(&columns[3], actor == docfile_other(actors) ? 0 : actor + 1);
  put_uint(&columns[4], actors->counts[actor] - 1 - (actors->firsts[run] + change - g->runs[run].change));
}

/* The parents of a run: the latest first, which is shortest.  Where actors have forked they stay in the order in which
 * they came: of two that are the actor's previous change, the first one is meant. */
static void put_parents(struct writer *w, struct docfile_actors *actors, const struct graph_run *run, bool forked,
                        struct ints *columns) {
  const struct graph *g = &w->doc->graph;
  uint32_t parents[DUNLIN_MAX_PARENTS], own = 0;
  for (uint32_t k = 0; k < run->parent_count; k++) parents[k] = graph_change_at(g, g->parents[run->parents + k]);
  if (run->parent_count > 1 && !forked) qsort(parents, run->parent_count, sizeof *parents, latest_first);
  for (uint32_t k = 0; k < run->parent_count; k++) {
    if (parents[k] == actors->newest[actors->now] && (!k || !forked)) own = 1;
    else put_parent(w, actors, parents[k], columns);
  }
  put_uint(&columns[2], 2 * (run->parent_count - own) + own);
}

/* The graph's runs: actor; how many changes; how many parents, and whether the actor's newest change is one; the other
 * parents; and by how much its number differs from the actor's next, when any does. */
static int write_runs(struct writer *w, struct buf *out) {
  const struct graph *g = &w->doc->graph;
  struct ints *columns = w->columns;
  struct docfile_actors actors;
  bool forked = false;
  int error = docfile_actors_init(&actors, g->env, w->actor_count, g->run_count);
  if (error) return error;
  for (size_t i = 0; i < g->actor_count; i++) forked |= g->actors[i].forked;
  for (size_t i = 0; i < g->run_count; i++) {
    const struct graph_run *run = &g->runs[i];
    uint32_t count = (i + 1 < g->run_count ? run[1].change : g->changes) - run->change;
    docfile_actors_turn(&actors, w->actors[run->actor], i);
    put_uint(&columns[0], actors.now);
    put_uint(&columns[1], count);
    put_parents(w, &actors, run, forked, columns);
    if (forked) put_uint(&columns[5], actors.numbers[actors.now] - run->number);
    docfile_actors_done(&actors, run->change, count, run->number);
  }
  for (size_t i = 0; i < 6; i++) put_column(out, &columns[i]);
  docfile_actors_free(&actors);
  return 0;
}

/* How many changes have this length, or this time, and which, in a row. */
static void write_lengths(struct writer *w, struct buf *out) {
  const struct graph *g = &w->doc->graph;
  int64_t time = 0;
  for (size_t i = 0; i < g->length_count; i++) {
    const struct graph_length *l = &g->lengths[i];
    put_uint(&w->columns[0], (i + 1 < g->length_count ? l[1].change : g->changes) - l->change);
    put_uint(&w->columns[1], l->length);
  }
  put_column(out, &w->columns[0]);
  put_column(out, &w->columns[1]);
  for (size_t i = 0; i < g->time_count; i++) {
    put_uint(&w->columns[0], g->times[i].change - (i ? g->times[i - 1].change : 0));
    put_int(&w->columns[1], (int64_t)((uint64_t)g->times[i].time - (uint64_t)time));
    time = g->times[i].time;
  }
  put_column(out, &w->columns[0]);
  put_column(out, &w->columns[1]);
}

static void write_owners(struct writer *w, struct buf *out) {
  const dunlin_doc *doc = w->doc;
  for (size_t i = 0; i < doc->owner_count; i++) {
    const struct owner *o = &doc->owners[i];
    put_uint(&w->columns[0], o->container);
    put_uint(&w->columns[1], (i + 1 < doc->owner_count ? o[1].lv : doc->graph.lvs) - o->lv);
  }
  put_column(out, &w->columns[0]);
  put_column(out, &w->columns[1]);
  for (size_t i = 0; i < doc->maker_count; i++) put_uint(&w->columns[0], doc->makers[i].container);
  put_column(out, &w->columns[0]);
  uint32_t end = 0;
  for (size_t i = doc->voids.count; i-- > 0;) {
    put_uint(&w->columns[0], doc->voids.list[i].from - end);
    put_uint(&w->columns[0], doc->voids.list[i].to - doc->voids.list[i].from);
    end = doc->voids.list[i].to;
  }
  put_column(out, &w->columns[0]);
}

/* How a run is written; `*from` and `*end` are where it begins and ends, for the difference of indexes. */
static uint32_t code_of(const struct op_run *run, uint32_t cursor, uint32_t *from, uint32_t *end) {
  uint32_t direction = run->kind == OP_DELETE ? run->at : 0;
  *from = *end = run->a;
  if (run->idle || (run->kind != OP_TEXT_INSERT && run->kind != OP_DELETE))
    return CODE_OTHER + run->kind * 4u + run->idle * 2048u + direction;
  if (run->kind == OP_TEXT_INSERT) {
    *end += run->len;
    return CODE_INSERT;
  }
  bool before = direction == DIRECTION_NONE && cursor == run->a + run->len;
  if (direction == DIRECTION_FORWARD) return CODE_FORWARD;
  if (direction == DIRECTION_BACKWARD || before) *from += run->len;
  return direction == DIRECTION_BACKWARD ? CODE_BACKWARD : before ? CODE_DELETE_BEFORE : CODE_DELETE;
}

static void write_log(struct writer *w, const struct oplog *log, struct buf *out) {
  const struct graph *g = &w->doc->graph;
  struct docfile_cursors *cursors = &w->cursors;
  docfile_cursors_begin(cursors);
  for (size_t i = 0; i < log->count; i++) {
    uint32_t *cursor = docfile_cursor(cursors, g, log->runs[i].lv), before = *cursor, from;
    put_uint(&w->columns[0], code_of(&log->runs[i], before, &from, cursor));
    int64_t by = (int64_t)from - before;
    put_uint(&w->columns[1], by < 0 ? (uint64_t)(-2 * by - 1) : (uint64_t)(2 * by));
    put_uint(&w->columns[2], log->runs[i].len);
  }
  for (size_t i = 0; i < 3; i++) put_column(out, &w->columns[i]);
}

/* The values of all operations. */
struct values_out {
  struct mp_reader in;
  struct planes_out keys, numbers;
  struct diffs_out amounts;
};

static int add_values(struct writer *w, struct values_out *v, uint8_t kind) {
  enum part parts[3];
  uint32_t count = op_parts(kind, parts), slot = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (parts[i] == PART_KEY) {
      uint32_t place = keys_place(&w->keys, mp_read_str(&v->in, DUNLIN_MAX_KEY));
      if (place == UINT32_MAX) return DUNLIN_ENOMEM;
      planes_add(&v->keys, place);
      slot = place + 1;
    }
    struct dunlin_value value;
    if (parts[i] == PART_SCALAR) value = value_read(&v->in), scalars_add(&w->scalars, &value, slot);
    if (parts[i] == PART_NUMBER) planes_add(&v->numbers, mp_read_uint(&v->in, UINT64_MAX));
    if (parts[i] == PART_AMOUNT) diffs_add(&v->amounts, mp_read_int(&v->in), 0);
  }
  return 0;
}

/* Goes through all operations in order. */
static int gather_values(struct writer *w, struct values_out *v) {
  const dunlin_doc *doc = w->doc;
  int error = 0;
  for (size_t o = 0; !error && o < doc->owner_count; o++) {
    const struct oplog *log = &doc->containers[doc->owners[o].container]->log;
    uint32_t from = doc->owners[o].lv, to = o + 1 < doc->owner_count ? doc->owners[o + 1].lv : doc->graph.lvs;
    for (size_t i = oplog_from(log, from); !error && i < log->count && log->runs[i].lv < to; i++) {
      const struct op_run *run = &log->runs[i];
      for (uint32_t k = run->kind & OP_VALUES ? run->len : 0; !error && k; k--) error = add_values(w, v, run->kind);
    }
  }
  return error;
}

static int write_values(struct writer *w, struct buf *out) {
  const dunlin_doc *doc = w->doc;
  struct planes_out planes = {.env = doc->env, .cuts = &w->cuts[DOCFILE_HISTORY]};
  struct values_out v = {mp_reader_of(doc->values.buf.data, doc->values.buf.len), planes, planes, {planes, planes}};
  scalars_init(&w->scalars, doc->env, &w->cuts[DOCFILE_HISTORY], DOCFILE_SECTION_MAX);
  int error = doc->values.buf.len > DOCFILE_SECTION_MAX ? DUNLIN_ELIMIT : gather_values(w, &v);
  w->keys.cuts = &w->cuts[DOCFILE_HISTORY];
  if (!error) error = keys_write(&w->keys, out);
  for (size_t i = 0; !error && i < v.keys.count; i++) v.keys.list[i] = w->keys.numbers[v.keys.list[i]];
  planes_write(&v.keys, out);
  planes_write(&v.numbers, out);
  diffs_write(&v.amounts, 1, out);
  scalars_write(&w->scalars, w->keys.count + 1, out);
  planes_free(&v.keys);
  planes_free(&v.numbers);
  diffs_free(&v.amounts);
  scalars_free(&w->scalars);
  return error ? error : out->error;
}

static int write_history(struct writer *w) {
  const dunlin_doc *doc = w->doc;
  struct buf *out = &w->sections[DOCFILE_HISTORY];
  int error = write_runs(w, out);
  if (!error) error = docfile_cursors_init(&w->cursors, &doc->graph);
  if (error) return error;
  write_lengths(w, out);
  write_owners(w, out);
  for (size_t i = 0; i < doc->container_count; i++) write_log(w, &doc->containers[i]->log, out);
  error = write_values(w, out);
  if (error) return error;
  if (flags_of(doc) & FLAG_PLAIN) {
    buf_append(&w->sections[DOCFILE_GONE], doc->text.buf.data, doc->text.buf.len);
    return error;
  }
  return error ? error : docfile_write_gone(w->doc, &w->sections[DOCFILE_GONE]);
}

/* ---- The file ----------------------------------------------------------------------------------------------- */

/* Appends the frame of each piece of a section, in `*used` bytes at `out` of `cap`.  DUNLIN_ERANGE: they need more. */
static int pack_pieces(struct writer *w, enum docfile_section section, uint8_t *out, size_t cap, size_t *used) {
  const struct dunlin_env *env = w->doc->env;
  const struct buf *raw = &w->sections[section];
  const struct planes_cuts *cuts = &w->cuts[section];
  /* The history gets a tenth smaller; deleted text gains one or two parts in a hundred for twice the time, and what
   * opens a document gains little and takes longer to read then. */
  struct dunlin_packing packing = {.thorough = section == DOCFILE_HISTORY};
  if (section == DOCFILE_GONE)
    packing.prefix = (struct dunlin_bytes){w->sections[DOCFILE_TEXT].data, w->sections[DOCFILE_TEXT].len};
  int error = 0;
  size_t at = 0;
  *used = 0;
  for (size_t i = 0; !error && i <= cuts->count; i++) {
    size_t end = i < cuts->count ? cuts->list[i] : raw->len, len = 0;
    if (end == at) continue;
    packing.data = (struct dunlin_bytes){raw->data + at, end - at};
    packing.out = out + *used;
    packing.cap = cap - *used;
    error = env->compress(env->ctx, &packing, &len);
    *used += len;
    at = end;
  }
  return error;
}

/* Compresses a section into `out`, or keeps it as it is when that does not make it smaller. */
static int pack(struct writer *w, enum docfile_section section, struct buf *out) {
  const struct dunlin_env *env = w->doc->env;
  struct buf *raw = &w->sections[section];
  enum { least = 256 }; /* what fewer bytes gain is not worth a decompressor */
  size_t cap = raw->len < least ? 0 : raw->len - 1, len = 0;
  int error = DUNLIN_ERANGE;
  uint8_t *packed = NULL;
  if (cap && w->compressed && env->compress) {
    packed = env_alloc(env, cap);
    if (!packed) return DUNLIN_ENOMEM;
    error = pack_pieces(w, section, packed, cap, &len);
  }
  if (!error) buf_append(out, packed, len);
  else if (error == DUNLIN_ERANGE) buf_append(out, raw->data, raw->len);
  env_free(env, packed, cap);
  return error == DUNLIN_ERANGE ? out->error : error ? error : out->error;
}

/* Compresses all sections; but as many as must stay as they are, the shortest first. */
static int pack_all(struct writer *w, struct buf packed[DOCFILE_SECTIONS]) {
  size_t raw[DOCFILE_SECTIONS], lengths[DOCFILE_SECTIONS];
  int error = 0;
  for (int i = 0; !error && i < DOCFILE_SECTIONS; i++) {
    error = w->sections[i].error ? w->sections[i].error : pack(w, (enum docfile_section)i, &packed[i]);
    raw[i] = w->sections[i].len;
    lengths[i] = packed[i].len;
  }
  while (!error && !docfile_ratio_is_fair(raw, lengths)) {
    int least = -1;
    for (int i = 0; i < DOCFILE_SECTIONS; i++)
      if (lengths[i] < raw[i] && (least < 0 || raw[i] < raw[least])) least = i;
    buf_clear(&packed[least]);
    buf_append(&packed[least], w->sections[least].data, raw[least]);
    lengths[least] = raw[least];
    error = packed[least].error;
  }
  return error;
}

static int write_file(struct writer *w, struct buf *out) {
  const dunlin_doc *doc = w->doc;
  struct buf packed[DOCFILE_SECTIONS];
  uint64_t raw = 0;
  for (int i = 0; i < DOCFILE_SECTIONS; i++) raw += w->sections[i].len;
  int error = doc->graph.lvs > docfile_most_lvs(raw) || doc->graph.lvs >= DOCFILE_LVS ? DUNLIN_ELIMIT : 0;
  for (int i = 0; i < DOCFILE_SECTIONS; i++) buf_init(&packed[i], doc->env, SIZE_MAX / 2);
  if (!error) error = pack_all(w, packed);
  buf_append(out, DOCFILE_MAGIC, sizeof DOCFILE_MAGIC - 1);
  mp_write_uint(out, DOCFILE_VERSION);
  mp_write_bin(out, doc->id.bytes, sizeof doc->id.bytes);
  for (int i = 0; i < DOCFILE_SECTIONS; i++) {
    mp_write_uint(out, w->sections[i].len);
    mp_write_uint(out, packed[i].len);
  }
  for (int i = 0; i < DOCFILE_SECTIONS; i++) {
    buf_append(out, packed[i].data, packed[i].len);
    buf_free(&packed[i]);
  }
  return error ? error : out->error;
}

static int save(dunlin_doc *doc, bool compressed, struct buf *out) {
  struct writer w = {.doc = doc, .compressed = compressed};
  for (int i = 0; i < DOCFILE_SECTIONS; i++) buf_init(&w.sections[i], doc->env, DOCFILE_SECTION_MAX);
  for (int i = 0; i < 6; i++) buf_init(&w.columns[i].bytes, doc->env, DOCFILE_SECTION_MAX);
  w.keys = (struct keys_out){.env = doc->env, .seed = doc->seed};
  w.sorted = env_calloc(doc->env, doc->container_count, sizeof *w.sorted);
  w.ranks = env_calloc(doc->env, doc->container_count, sizeof *w.ranks);
  int error = w.ranks && w.sorted ? number_actors(&w) : DUNLIN_ENOMEM;
  if (!error) error = write_state(&w);
  if (!error) error = write_history(&w);
  if (!error) error = write_file(&w, out);
  for (int i = 0; i < DOCFILE_SECTIONS; i++) {
    buf_free(&w.sections[i]);
    ENV_FREE_ARRAY(doc->env, w.cuts[i].list, w.cuts[i].cap);
  }
  for (int i = 0; i < 6; i++) buf_free(&w.columns[i].bytes);
  ENV_FREE_ARRAY(doc->env, w.actors, doc->graph.actor_count);
  docfile_cursors_free(&w.cursors, doc->env);
  keys_free(&w.keys);
  for (size_t i = 0; w.sorted && i < doc->container_count; i++)
    ENV_FREE_ARRAY(doc->env, w.sorted[i].list, w.sorted[i].cap);
  ENV_FREE_ARRAY(doc->env, w.sorted, doc->container_count);
  for (size_t i = 0; w.ranks && i < doc->container_count; i++)
    if (w.ranks[i]) ENV_FREE_ARRAY(doc->env, w.ranks[i], doc->containers[i]->as.map.count);
  ENV_FREE_ARRAY(doc->env, w.ranks, doc->container_count);
  return error;
}

int docfile_save(const dunlin_doc *shown, bool compressed, void **out, size_t *len) {
  dunlin_doc *doc =
      (dunlin_doc *)(uintptr_t)shown; /* kept ids and what history is in memory are no part of the state */
  struct buf file;
  if (doc->open.is_open) return DUNLIN_ESTATE;
  buf_init(&file, doc->env, SIZE_MAX / 2);
  int error = 0;
  if (doc->file && doc->file->changes == doc->graph.changes) {
    buf_append(&file, doc->file->bytes, doc->file->len);
  } else {
    error = docfile_load(doc);
    for (uint32_t i = 0; !error && i < doc->container_count; i++) error = container_show(doc, i);
    if (!error) error = save(doc, compressed, &file);
  }
  if (!error) error = buf_take(&file, out, len);
  buf_free(&file);
  return error;
}

int dunlin_doc_save(const dunlin_doc *doc, void **out, size_t *len) {
  return docfile_save(doc, true, out, len);
}
