/* Opening a document: the registers of its maps and lists, which its saved form has column by column. */
#include <assert.h>
#include <string.h>

#include "crdt/docfile.h"
#include "crdt/docfile_values.h"

/* What all registers of maps and lists have, column by column.  The writes are put together in blocks, each of which
 * goes as soon as its writes are in their registers. */
enum { BLOCK = 1024 };
struct loose_write { /* a struct reg_write in fewer bytes */
  uint32_t lv, class;
  uint32_t kind : 8, len : 24; /* of a string */
  uint64_t bits;
};
static_assert(DUNLIN_MAX_VALUE < 1u << 24 && TAGS < 256, "they fit");

static void put_value(struct loose_write *write, const struct dunlin_value *value) {
  bool is_string = value->kind == DUNLIN_STRING || value->kind == DUNLIN_BYTES;
  write->kind = value->kind & 0xffu;
  write->len = is_string ? value->as.string.len & 0xffffffu : 0;
  memcpy(&write->bits, &value->as, sizeof write->bits);
}

static struct reg_write whole(const struct loose_write *write) {
  struct reg_write out = {.lv = write->lv, .class = write->class, .value.kind = (enum dunlin_kind)write->kind};
  memcpy(&out.value.as, &write->bits, sizeof write->bits);
  if (out.value.kind == DUNLIN_STRING || out.value.kind == DUNLIN_BYTES) out.value.as.string.len = write->len;
  return out;
}
struct registers_in {
  struct planes_in keys, generations, sizes, classes;
  struct loose_write **blocks;
  size_t count, next, block_count;
  struct keys_in *names;
};

static struct loose_write *write_at(const struct registers_in *in, size_t at) {
  return &in->blocks[at / BLOCK][at % BLOCK];
}

static void free_block(const struct dunlin_env *env, struct registers_in *in, size_t block) {
  ENV_FREE_ARRAY(env, in->blocks[block], BLOCK);
  in->blocks[block] = NULL;
}

static int make_blocks(const struct dunlin_env *env, struct registers_in *in) {
  in->block_count = (in->count + BLOCK - 1) / BLOCK;
  in->blocks = env_calloc(env, in->block_count, sizeof(struct loose_write *));
  for (size_t i = 0; in->blocks && i < in->block_count; i++) {
    in->blocks[i] = env_calloc(env, BLOCK, sizeof *in->blocks[i]);
    if (!in->blocks[i]) return DUNLIN_ENOMEM;
  }
  return in->blocks ? 0 : DUNLIN_ENOMEM;
}

/* How many registers there are, and how many of them have keys. */
static size_t count_registers(const dunlin_doc *doc, size_t *keyed) {
  size_t count = 0;
  *keyed = 0;
  for (size_t i = 0; i < doc->container_count; i++) {
    enum dunlin_kind kind = doc->containers[i]->kind;
    if (kind == DUNLIN_MAP) *keyed += doc->file->shown[i];
    if (kind == DUNLIN_MAP || kind == DUNLIN_LIST) count += doc->file->shown[i];
  }
  return count;
}

/* How many writes the next register has, at most `most`. */
static uint64_t take_size(struct planes_in *sizes, struct mp_reader *r, uint64_t most) {
  uint64_t code = planes_take(sizes, r, most + 2), size = code < 2 ? 1 - code : code;
  if (size > most) mp_fail(r);
  return r->error ? 0 : size;
}

/* A write by its operation, and which of all writes it is. */
struct placed_write {
  uint32_t lv, at;
};

/* Sorts by LV, keeping the order of equal ones: by 11 bits at a time, from the lowest on; `other` is as long. */
static struct placed_write *sort_writes(struct placed_write *list, struct placed_write *other, size_t count,
                                        uint32_t below) {
  enum { bits = 11, buckets = 1 << bits };
  for (uint32_t shift = 0; shift < 32 && below >> shift; shift += bits) {
    size_t starts[buckets + 1] = {0};
    for (size_t i = 0; i < count; i++) starts[(list[i].lv >> shift & (buckets - 1)) + 1]++;
    for (size_t i = 1; i < buckets; i++) starts[i] += starts[i - 1];
    for (size_t i = 0; i < count; i++) other[starts[list[i].lv >> shift & (buckets - 1)]++] = list[i];
    struct placed_write *sorted = other;
    other = list;
    list = sorted;
  }
  return list;
}

/* The slot of each write, for differences: that of its key, 0 in a list. */
static void note_slots(const dunlin_doc *doc, struct registers_in in, uint32_t *slots, struct mp_reader *r) {
  size_t at = 0;
  for (size_t i = 0; i < doc->container_count; i++) {
    bool map = doc->containers[i]->kind == DUNLIN_MAP;
    if (!map && doc->containers[i]->kind != DUNLIN_LIST) continue;
    uint64_t next = 0;
    for (uint32_t k = doc->file->shown[i]; k && !r->error; k--) {
      uint64_t key = map ? next + planes_take(&in.keys, r, in.names->count - next) : 0;
      if (map && !r->error) in.names->list[key].used = true;
      next = key + 1;
      for (uint64_t n = take_size(&in.sizes, r, in.count - at); n && !r->error; n--)
        slots[at++] = map ? (uint32_t)next : 0;
    }
  }
  if (at != in.count || !keys_in_order(in.names, 0)) mp_fail(r);
}

static int take_values(dunlin_doc *doc, struct registers_in *in, const struct placed_write *order,
                       const uint32_t *slots, struct mp_reader *r) {
  struct scalars_in scalars;
  int error = scalars_read(&scalars, doc->env, r, in->count, in->names->count + 1, true);
  for (size_t i = 0; !error && !r->error && i < in->count; i++) {
    struct dunlin_value value = scalars_take(&scalars, r, slots[order[i].at]);
    put_value(write_at(in, order[i].at), &value);
  }
  if (!error) scalars_end(&scalars, r);
  scalars_in_free(&scalars);
  return error ? error : r->error;
}

/* All live writes; their values, which come in the order of their LVs. */
static int read_writes(dunlin_doc *doc, struct registers_in *in, struct mp_reader *r) {
  uint32_t lvs = doc->file->lvs;
  struct diffs_in backs;
  struct placed_write *lists = env_alloc(doc->env, 2 * in->count * sizeof *lists);
  uint32_t *slots = env_alloc(doc->env, in->count * sizeof *slots);
  int error = diffs_read(&backs, doc->env, r, in->count, 1);
  in->classes = planes_read(r, in->count);
  if (!error && (!lists || !slots)) error = DUNLIN_ENOMEM;
  if (!error) error = make_blocks(doc->env, in);
  for (size_t i = 0; !error && i < in->count; i++) {
    uint64_t back = (uint64_t)diffs_take(&backs, r, 0);
    if (back >= lvs) error = DUNLIN_EFORMAT;
    lists[i] = (struct placed_write){(uint32_t)(lvs - 1 - back), (uint32_t)i};
    write_at(in, i)->lv = lists[i].lv;
    write_at(in, i)->class = (uint32_t)planes_take(&in->classes, r, (uint64_t)UINT32_MAX + 1);
  }
  if (!error) note_slots(doc, *in, slots, r);
  if (!error) error = r->error;
  const struct placed_write *order = error ? NULL : sort_writes(lists, lists + in->count, in->count, lvs);
  for (size_t i = 1; !error && i < in->count; i++)
    if (order[i - 1].lv == order[i].lv) error = DUNLIN_EFORMAT; /* an operation writes to one register, once */
  if (!error) error = take_values(doc, in, order, slots, r);
  env_free(doc->env, lists, 2 * in->count * sizeof *lists);
  env_free(doc->env, slots, in->count * sizeof *slots);
  diffs_in_free(&backs);
  return error;
}

static int fill_register(dunlin_doc *doc, struct registers_in *in, uint32_t container, struct reg *reg,
                         uint64_t writes) {
  int error = 0;
  uint32_t class = UINT32_MAX;
  bool is_list = doc->containers[container]->kind == DUNLIN_LIST;
  for (; !error && writes; writes--) {
    struct reg_write write = whole(write_at(in, in->next));
    if (write.class > class || (write.class && is_list)) return DUNLIN_EFORMAT; /* the highest wins */
    class = write.class;
    if (write.value.kind == DUNLIN_MAP) { /* whatever it is */
      uint32_t child = write.value.as.obj.index;
      const struct container *c = child && child < doc->container_count ? doc->containers[child] : NULL;
      if (!c || c->parent != container || c->kind < DUNLIN_MAP || class) return DUNLIN_EFORMAT;
      write.value.kind = c->kind;
    }
    error = reg_append(reg, doc->env, &write);
    if (!error && ++in->next % BLOCK == 0) free_block(doc->env, in, in->next / BLOCK - 1);
  }
  return error ? error : reg_complete(reg, doc->env);
}

static int fill_list(dunlin_doc *doc, struct registers_in *in, uint32_t container, struct mp_reader *r) {
  struct list *list = &doc->containers[container]->as.list->list;
  int error = 0;
  for (uint32_t i = 0; !error && i < doc->file->shown[container]; i++) {
    uint64_t writes = take_size(&in->sizes, r, in->count - in->next);
    error = writes ? list_reserve(list) : DUNLIN_EFORMAT;
    if (error) break;
    uint32_t element = list_new(list);
    list_insert(list, i, element);
    error = fill_register(doc, in, container, &list->elements[element], writes);
  }
  return error;
}

static int fill_map(dunlin_doc *doc, struct registers_in *in, uint32_t container, struct mp_reader *r) {
  struct map *map = &doc->containers[container]->as.map;
  size_t count = doc->file->shown[container];
  uint64_t key = 0;
  int error = map_reserve(map, count);
  for (size_t i = 0; !error && i < count; i++, key++) {
    key += planes_take(&in->keys, r, UINT64_MAX);
    uint32_t entry = map_append_kept(map, keys_get(in->names, key));
    if (entry == UINT32_MAX) return DUNLIN_ENOMEM;
    struct reg *reg = &map->entries[entry].reg;
    map->entries[entry].generation =
        docfile_unproven((int64_t)planes_take(&in->generations, r, (uint64_t)UINT32_MAX + 2) - 1);
    error = fill_register(doc, in, container, reg, take_size(&in->sizes, r, in->count - in->next));
    map_changed(map, false, reg->count);
    if (!reg->count && map->entries[entry].generation == -1) mp_fail(r); /* it says nothing */
  }
  return error;
}

int docfile_read_registers(dunlin_doc *doc, struct keys_in *names, struct mp_reader *r) {
  struct registers_in in = {.names = names};
  size_t keyed, count = count_registers(doc, &keyed);
  in.keys = planes_read(r, keyed);
  in.generations = planes_read(r, keyed);
  in.sizes = planes_read(r, count);
  if (count > doc->file->lvs) mp_fail(r); /* each was written by an operation at least */
  struct planes_in sizes = in.sizes;
  for (size_t i = 0; i < count && !r->error; i++) in.count += take_size(&sizes, r, doc->file->lvs - in.count);
  if (in.count > (size_t)(r->end - r->at)) mp_fail(r); /* of each there is a byte at least */
  int error = r->error ? r->error : read_writes(doc, &in, r);
  for (uint32_t i = 0; !error && i < doc->container_count; i++) {
    if (doc->containers[i]->kind == DUNLIN_MAP) error = fill_map(doc, &in, i, r);
    if (doc->containers[i]->kind == DUNLIN_LIST) error = fill_list(doc, &in, i, r);
    if (!error) error = r->error;
  }
  for (size_t i = 0; in.blocks && i < in.block_count; i++) free_block(doc->env, &in, i);
  ENV_FREE_ARRAY(doc->env, in.blocks, in.block_count);
  return error;
}
