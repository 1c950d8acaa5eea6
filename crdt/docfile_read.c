/* Opening a document from its compact form. */
#include <stdlib.h>
#include <string.h>

#include "crdt/docfile.h"
#include "crdt/docfile_values.h"

/* ---- The file ----------------------------------------------------------------------------------------------- */

/* Where the sections lie. */
static int read_places(struct docfile *file, struct mp_reader *r) {
  size_t raw[DOCFILE_SECTIONS], packed[DOCFILE_SECTIONS];
  for (int i = 0; i < DOCFILE_SECTIONS; i++) {
    raw[i] = (size_t)mp_read_uint(r, DOCFILE_SECTION_MAX);
    packed[i] = (size_t)mp_read_uint(r, raw[i]);
  }
  if (!docfile_ratio_is_fair(raw, packed)) mp_fail(r);
  size_t left = (size_t)(r->end - r->at);
  for (int i = 0; i < DOCFILE_SECTIONS; i++) {
    if (packed[i] > left) mp_fail(r);
    if (r->error) return r->error;
    file->sections[i] = (struct docfile_place){file->len - left, packed[i], raw[i]};
    left -= packed[i];
  }
  return left ? DUNLIN_EFORMAT : 0;
}

static int read_header(struct docfile *file, struct dunlin_id *id) {
  const size_t magic = sizeof DOCFILE_MAGIC - 1;
  if (file->len < magic || memcmp(file->bytes, DOCFILE_MAGIC, magic)) return DUNLIN_EFORMAT;
  struct mp_reader r = mp_reader_of(file->bytes + magic, file->len - magic);
  uint64_t version = mp_read_uint(&r, UINT64_MAX);
  if (!r.error && version > DOCFILE_VERSION) return DUNLIN_ENEWER;
  if (version != DOCFILE_VERSION) mp_fail(&r);
  memcpy(id->bytes, mp_read_bin_exact(&r, sizeof id->bytes), sizeof id->bytes);
  return r.error ? r.error : read_places(file, &r);
}

int docfile_unpack(const dunlin_doc *doc, enum docfile_section section, const uint8_t *prefix, const uint8_t **out,
                   uint8_t **own) {
  const struct docfile_place *p = &doc->file->sections[section];
  *own = NULL;
  *out = doc->file->bytes + p->at;
  if (p->packed == p->raw) return 0;
  if (!doc->env->decompress) return DUNLIN_ENEWER;
  *own = env_alloc(doc->env, p->raw);
  if (!*own) return DUNLIN_ENOMEM;
  struct dunlin_packing packing = {.data = {*out, p->packed}, .out = *own, .cap = p->raw};
  if (prefix) packing.prefix = (struct dunlin_bytes){prefix, doc->file->sections[DOCFILE_TEXT].raw};
  int error = doc->env->decompress(doc->env->ctx, &packing);
  if (error) env_free(doc->env, *own, p->raw);
  if (error) *own = NULL;
  *out = *own;
  return error;
}

void docfile_free(dunlin_doc *doc) {
  struct docfile *file = doc->file;
  if (!file) return;
  env_free(doc->env, file->bytes, file->len);
  ENV_FREE_ARRAY(doc->env, file->actors, file->actor_count);
  ENV_FREE_ARRAY(doc->env, file->shown, file->container_count);
  ENV_FREE_ARRAY(doc->env, file->ops, file->container_count);
  env_free(doc->env, file, sizeof *file);
  doc->file = NULL;
}

/* ---- Actors, heads ------------------------------------------------------------------------------------------ */

static int read_actors(dunlin_doc *doc, struct mp_reader *r) {
  struct docfile *file = doc->file;
  struct dunlin_bytes names = mp_read_bin(r, SIZE_MAX);
  size_t count = names.len / sizeof(struct dunlin_actor);
  struct column_in changes = docfile_numbers(r, count), numbers = docfile_numbers(r, count);
  if (names.len % sizeof(struct dunlin_actor)) mp_fail(r);
  if (r->error) return r->error;
  file->actors = env_alloc(doc->env, count * sizeof *file->actors);
  if (!file->actors) return DUNLIN_ENOMEM;
  file->actor_count = count;
  for (size_t i = 0; i < count; i++) {
    struct dunlin_actor name;
    memcpy(name.bytes, (const uint8_t *)names.data + i * sizeof name, sizeof name);
    uint32_t actor = graph_actor(&doc->graph, &name);
    if (actor == IDMAP_NONE) return DUNLIN_ENOMEM;
    struct graph_actor *a = &doc->graph.actors[actor];
    if (a->changes) mp_fail(r); /* it was there before */
    a->changes = docfile_take(&changes, r, LV_LIMIT);
    a->before = docfile_take(&numbers, r, (uint64_t)a->changes + 1);
    if (!a->changes || !a->before) mp_fail(r);
    a->forked = a->before != a->changes;
    file->actors[i] = actor;
  }
  return r->error;
}

static int read_totals(dunlin_doc *doc, struct mp_reader *r) {
  struct docfile *file = doc->file;
  struct column_in totals = docfile_numbers(r, 5);
  file->changes = docfile_take(&totals, r, LV_LIMIT);
  file->lvs = docfile_take(&totals, r, DOCFILE_LVS);
  file->text_bytes = docfile_take(&totals, r, UINT32_MAX);
  file->values_bytes = docfile_take(&totals, r, UINT32_MAX);
  file->flags = docfile_take(&totals, r, FLAG_ALL + 1);
  uint64_t raw = 0, changes = 0;
  for (int i = 0; i < DOCFILE_SECTIONS; i++) raw += file->sections[i].raw;
  bool forked = false;
  for (size_t i = 0; i < file->actor_count; i++) {
    const struct graph_actor *a = &doc->graph.actors[file->actors[i]];
    changes += a->changes;
    forked |= a->forked;
  }
  if (forked != !!(file->flags & FLAG_PLAIN)) mp_fail(r);
  if (file->changes > file->lvs || !file->changes != !file->lvs || changes != file->changes) mp_fail(r);
  if (file->text_bytes > raw || file->values_bytes > DOCFILE_SECTION_MAX) mp_fail(r);
  if (!r->error && file->lvs > docfile_most_lvs(raw)) return DUNLIN_ELIMIT;
  return r->error;
}

/* A stand-in for the change of a head: what is made on top of it needs its place, author and lamport. */
static int add_head(dunlin_doc *doc, struct column_in *heads, struct mp_reader *r) {
  const struct docfile *file = doc->file;
  struct graph *g = &doc->graph;
  uint32_t change = file->changes - 1 - docfile_take(heads, r, file->changes);
  uint32_t last = file->lvs - 1 - docfile_take(heads, r, file->lvs);
  uint32_t length = 1 + docfile_take(heads, r, (uint64_t)last + 1);
  uint32_t actor = docfile_take(heads, r, file->actor_count);
  uint32_t number = docfile_take(heads, r, LV_LIMIT), lamport = docfile_take(heads, r, LV_LIMIT);
  if (r->error) return r->error;
  actor = file->actors[actor];
  struct graph_actor *a = &g->actors[actor];
  uint32_t start = last + 1 - length;
  if (number >= a->before || start < change) return DUNLIN_EFORMAT;
  if (g->run_count) {
    const struct graph_length *before = &g->lengths[g->length_count - 1];
    if (change <= before->change || start < before->lv + before->length + (change - before->change - 1))
      return DUNLIN_EFORMAT;
  }
  if (ENV_GROW(doc->env, g->runs, g->run_cap, g->run_count + 1) ||
      ENV_GROW(doc->env, g->lengths, g->length_cap, g->length_count + 1) ||
      ENV_GROW(doc->env, g->heads, g->head_cap, g->head_count + 1) ||
      ENV_GROW(doc->env, a->runs, a->run_cap, a->run_count + 1))
    return DUNLIN_ENOMEM;
  a->runs[a->run_count++] = (uint32_t)g->run_count;
  g->runs[g->run_count++] =
      (struct graph_run){.lv = start, .change = change, .actor = actor, .number = number, .lamport = lamport};
  g->lengths[g->length_count++] = (struct graph_length){start, change, length};
  g->heads[g->head_count++] = last;
  return 0;
}

static int read_heads(dunlin_doc *doc, struct mp_reader *r) {
  const struct docfile *file = doc->file;
  struct graph *g = &doc->graph;
  size_t count = (size_t)mp_read_uint(r, (size_t)(r->end - r->at) / sizeof(struct dunlin_id));
  struct column_in heads = docfile_numbers(r, 6 * count);
  const uint8_t *ids = r->at;
  int error = 0;
  if (count > (size_t)(r->end - r->at) / sizeof(struct dunlin_id) || !count != !file->changes) mp_fail(r);
  if (r->error) return r->error;
  r->at += count * sizeof(struct dunlin_id);
  for (size_t i = 0; !error && i < count; i++) error = add_head(doc, &heads, r);
  if (error) return error;
  if (count && (g->heads[count - 1] != file->lvs - 1 || g->runs[count - 1].change != file->changes - 1))
    return DUNLIN_EFORMAT;
  g->lvs = file->lvs;
  g->changes = file->changes;
  return names_begin(doc, ids);
}

static int read_voids(dunlin_doc *doc, struct mp_reader *r) {
  struct dunlin_bytes ids = mp_read_bin(r, SIZE_MAX);
  size_t count = ids.len / sizeof(struct dunlin_id);
  if (ids.len % sizeof(struct dunlin_id)) mp_fail(r);
  if (r->error || !count) return r->error;
  doc->void_ids = env_alloc(doc->env, ids.len);
  if (!doc->void_ids) return DUNLIN_ENOMEM;
  doc->void_count = count;
  memcpy(doc->void_ids, ids.data, ids.len);
  for (size_t i = 1; i < count; i++)
    if (id_compare(&doc->void_ids[i - 1], &doc->void_ids[i]) >= 0) return DUNLIN_EFORMAT;
  return 0;
}

/* ---- Containers --------------------------------------------------------------------------------------------- */

static int add_container(dunlin_doc *doc, struct column_in *in, struct mp_reader *r) {
  uint32_t parent = docfile_take(in, r, doc->container_count), kind = docfile_take(in, r, (uint64_t)KIND_LAST + 1);
  uint32_t place = docfile_take(in, r, UINT32_MAX), generation = docfile_take(in, r, (uint64_t)UINT32_MAX + 1);
  if (kind && kind < DUNLIN_MAP) mp_fail(r);
  if (r->error) return r->error;
  if (doc->containers[parent]->depth + 1u >= DUNLIN_MAX_DEPTH) return DUNLIN_EFORMAT;
  uint32_t at = container_new(doc, (enum dunlin_kind)kind, parent);
  if (at == IDMAP_NONE) return DUNLIN_ENOMEM;
  struct container *c = doc->containers[at];
  c->entry = place;
  c->generation = generation;
  /* Everything that is made from here on has seen all that made it. */
  if (ENV_GROW(doc->env, c->made.lvs, c->made.cap, 1)) return DUNLIN_ENOMEM;
  c->made.lvs[c->made.count++] = 0;
  return 0;
}

static int read_set(dunlin_doc *doc, uint32_t container, struct mp_reader *r) {
  struct map *set = &doc->containers[container]->as.map;
  uint32_t lvs = doc->file->lvs;
  size_t members = (size_t)mp_read_uint(r, (size_t)(r->end - r->at));
  for (size_t i = 0; i < members; i++) {
    const uint8_t *from = r->at;
    value_read(r);
    struct dunlin_bytes key = {from, (size_t)(r->at - from)};
    size_t writes = (size_t)mp_read_uint(r, (size_t)(r->end - r->at));
    if (r->error || !writes || key.len > DUNLIN_MAX_KEY || !lvs) return DUNLIN_EFORMAT;
    uint32_t entry = map_entry_of(set, key, (uint32_t)i);
    if (entry == UINT32_MAX) return DUNLIN_ENOMEM;
    if (entry != i) return DUNLIN_EFORMAT; /* twice */
    struct reg *reg = &set->entries[entry].reg;
    map_changed(set, false, true);
    for (; reg->count < writes;) {
      struct reg_write write = {.lv = lvs - 1 - (uint32_t)mp_read_uint(r, lvs - 1), .value = {.kind = DUNLIN_NULL}};
      if (reg_append(reg, doc->env, &write)) return DUNLIN_ENOMEM;
    }
    if (reg_complete(reg, doc->env)) return DUNLIN_ENOMEM;
    for (uint32_t k = 1; k < reg->count; k++)
      if (reg->as.many[k - 1].lv == reg->as.many[k].lv) return DUNLIN_EFORMAT;
  }
  return r->error;
}

static int read_offer(dunlin_doc *doc, struct container *c, struct mp_reader *r) {
  struct reg *reg = &c->as.offer;
  struct reg_write write = {.lv = 0};
  uint32_t lvs = doc->file->lvs;
  if (!mp_read_uint(r, 1)) return r->error;
  if (!lvs) return DUNLIN_EFORMAT;
  if (c->kind == DUNLIN_FIRST) write.lv = lvs - 1 - (uint32_t)mp_read_uint(r, lvs - 1);
  write.value = value_read(r);
  if (r->error || offer_check(c->kind, &write.value)) return DUNLIN_EFORMAT;
  return reg_append(reg, doc->env, &write);
}

static int read_text(dunlin_doc *doc, uint32_t container, struct mp_reader *r, const uint8_t **utf8,
                     const uint8_t *end) {
  struct text *text = &doc->containers[container]->as.text->text;
  struct marks *m = &doc->containers[container]->as.text->marks;
  int error = docfile_read_marks(doc, m, r);
  if (error) return error;
  uint32_t anchors = (uint32_t)m->anchor_count;
  uint32_t scalars = (uint32_t)mp_read_uint(r, DOCFILE_LVS);
  size_t bytes = (size_t)mp_read_uint(r, (uint64_t)(end - *utf8)), found;
  if (r->error) return r->error;
  if ((uint64_t)scalars + anchors > doc->containers[container]->log.ops || !utf8_valid(*utf8, bytes, &found) ||
      found != scalars || (anchors && m->anchors[anchors - 1].at > scalars + anchors - 1))
    return DUNLIN_EFORMAT;
  doc->text_wide |= bytes != scalars;
  if (anchors) error = docfile_load_text(m, &text->rope, *utf8, bytes, scalars);
  else if (bytes) error = rope_load(&text->rope, *utf8, bytes, scalars);
  text->size = error ? 0 : scalars + anchors;
  text->anchors = error ? 0 : anchors;
  doc->containers[container]->as.text->has_marks = anchors != 0;
  doc->file->shown[container] = scalars;
  *utf8 += bytes;
  return error;
}

/* Finds the key of a map's child.  A key's generation is that of its latest child. */
static int find_key(const dunlin_doc *doc, struct container *c, uint32_t entry) {
  struct container *parent = doc->containers[c->parent];
  if (parent->kind != DUNLIN_MAP || parent->provisional || entry >= parent->as.map.count) return DUNLIN_EFORMAT;
  int64_t *highest = &parent->as.map.entries[entry].generation;
  if (*highest < -1 && docfile_unproven(c->generation) == *highest) *highest = c->generation;
  else if (*highest < -1 ? docfile_unproven(c->generation) < *highest : c->generation > *highest) return DUNLIN_EFORMAT;
  c->entry = entry;
  return 0;
}

static int check_generations(const struct map *map) {
  for (size_t i = 0; i < map->count; i++)
    if (map->entries[i].generation < -1) return DUNLIN_EFORMAT;
  return 0;
}

/* Containers below maps are named by their keys, which are there now. */
static int name_containers(dunlin_doc *doc, struct mp_reader *ids) {
  for (uint32_t i = 1; i < doc->container_count; i++) {
    struct container *c = doc->containers[i];
    const struct container *parent = doc->containers[c->parent];
    struct container_id id;
    uint32_t place = c->entry;
    c->entry = 0;
    if ((place == PLACE_NONE) != (c->kind == DUNLIN_NULL)) return DUNLIN_EFORMAT;
    if (place == PLACE_NONE) continue;
    if (place == PLACE_NAMED) {
      if ((size_t)(ids->end - ids->at) < sizeof id) return DUNLIN_EFORMAT;
      memcpy(id.bytes, ids->at, sizeof id.bytes);
      ids->at += sizeof id.bytes;
      if (id.bytes[0] != (uint8_t)c->kind) return DUNLIN_EFORMAT;
    } else {
      int error = find_key(doc, c, place - PLACE_ENTRY);
      if (error) return error;
      id = child_id(doc, &parent->id, map_key(&parent->as.map.entries[c->entry]), c->kind, c->generation);
    }
    if (container_find(doc, &id) != IDMAP_NONE) return DUNLIN_EFORMAT;
    int error = container_index(doc, &id, i);
    if (error) return error;
  }
  int error = ids->at == ids->end ? 0 : DUNLIN_EFORMAT;
  for (size_t i = 0; !error && i < doc->container_count; i++)
    if (doc->containers[i]->kind == DUNLIN_MAP) error = check_generations(&doc->containers[i]->as.map);
  return error;
}

/* How many registers each container has is in file->shown; lists and maps are filled by read_registers(). */
static int read_contents(dunlin_doc *doc, struct mp_reader *r, const uint8_t *text) {
  const uint8_t *end = text + doc->file->sections[DOCFILE_TEXT].raw;
  uint64_t ops = 0;
  int error = 0;
  for (uint32_t i = 0; !error && i < doc->container_count; i++) {
    struct container *c = doc->containers[i];
    uint32_t *size = &doc->file->shown[i];
    c->log.ops = (uint32_t)mp_read_uint(r, doc->file->lvs);
    ops += doc->file->ops[i] = c->log.ops;
    if (c->kind == DUNLIN_MAP) *size = (uint32_t)mp_read_uint(r, c->log.ops);
    if (is_set(c->kind)) error = read_set(doc, i, r);
    if (is_offer(c->kind)) error = read_offer(doc, c, r);
    if (c->kind == DUNLIN_LIST) *size = (uint32_t)mp_read_uint(r, c->log.ops);
    if (c->kind == DUNLIN_COUNTER) c->as.counter = mp_read_int(r);
    if (c->kind == DUNLIN_TEXT) error = read_text(doc, i, r, &text, end);
  }
  if (error) return error;
  return text != end || ops != doc->file->lvs ? DUNLIN_EFORMAT : r->error;
}

static int read_containers(dunlin_doc *doc, struct keys_in *keys, struct mp_reader *r, const uint8_t *text) {
  struct column_in in = docfile_column(r);
  size_t count = in.count / 4 + 1;
  struct dunlin_bytes ids = mp_read_bin(r, SIZE_MAX);
  if (in.count % 4 || (count > 1 && !doc->file->lvs)) mp_fail(r);
  if (r->error) return r->error;
  int error = 0;
  for (size_t i = 1; !error && i < count; i++) error = add_container(doc, &in, r);
  if (error) return error;
  struct docfile *file = doc->file;
  file->container_count = count;
  file->shown = env_calloc(doc->env, count, sizeof *file->shown);
  file->ops = env_calloc(doc->env, count, sizeof *file->ops);
  if (!file->shown || !file->ops) return DUNLIN_ENOMEM;
  error = read_contents(doc, r, text);
  if (!error) error = docfile_read_registers(doc, keys, r);
  if (!error) error = mp_end(r);
  struct mp_reader names = mp_reader_of(ids.data, ids.len);
  return error ? error : name_containers(doc, &names);
}

static int read_state(dunlin_doc *doc) {
  const uint8_t *text, *state;
  struct keys_in keys;
  uint8_t *own_text = NULL, *own_state = NULL;
  const struct docfile_place *places = doc->file->sections;
  int error = docfile_unpack(doc, DOCFILE_TEXT, NULL, &text, &own_text);
  if (!error) error = docfile_unpack(doc, DOCFILE_STATE, NULL, &state, &own_state);
  struct mp_reader r = mp_reader_of(error ? NULL : state, error ? 0 : places[DOCFILE_STATE].raw);
  keys_in_init(&keys, doc->env);
  if (!error) error = keys_read(&keys, &r, NULL);
  if (!error) error = read_actors(doc, &r);
  if (!error) error = read_totals(doc, &r);
  if (!error) error = read_heads(doc, &r);
  if (!error) error = read_voids(doc, &r);
  if (!error) error = read_containers(doc, &keys, &r, text);
  bool far = false;
  for (size_t i = 0; i < keys.count; i++) far |= keys.list[i].len > KEY_NEAR;
  if (far) { /* the maps' keys lie there */
    doc->saved_keys = keys.bytes;
    keys.bytes = (struct buf){.env = doc->env};
  }
  keys_in_free(&keys);
  doc->text.base = doc->file->text_bytes;
  doc->values.base = doc->file->values_bytes;
  env_free(doc->env, own_text, places[DOCFILE_TEXT].raw);
  env_free(doc->env, own_state, places[DOCFILE_STATE].raw);
  return error;
}

/* ---- Documents that are opened whole ------------------------------------------------------------------------ */

/* What only replaying brings back: void changes; operations without effect, or of kinds that are not known; lists and
 * marks where actors have forked, since their order may hang on ids. */
static bool must_replay(const dunlin_doc *doc) {
  bool unknown = false, plain = doc->file->flags & FLAG_PLAIN;
  for (size_t i = 0; i < doc->container_count; i++) {
    unknown |= doc->containers[i]->kind == DUNLIN_NULL;
    unknown |= plain && (doc->containers[i]->kind == DUNLIN_LIST || doc->containers[i]->kind == DUNLIN_FIRST);
    unknown |= plain && doc->containers[i]->kind == DUNLIN_TEXT && doc->containers[i]->as.text->has_marks;
  }
  return unknown || doc->void_count || doc->file->flags & FLAG_IDLE;
}

static int replay(dunlin_doc *doc, dunlin_doc *fresh) {
  struct buf bytes;
  buf_init(&bytes, doc->env, SIZE_MAX / 2);
  int error = names_whole(doc);
  if (!error && doc->void_count) {
    fresh->void_ids = env_alloc(doc->env, doc->void_count * sizeof *fresh->void_ids);
    if (!fresh->void_ids) error = DUNLIN_ENOMEM;
    else memcpy(fresh->void_ids, doc->void_ids, doc->void_count * sizeof *fresh->void_ids);
    fresh->void_count = error ? 0 : doc->void_count;
  }
  for (uint32_t i = 0; !error && i < doc->graph.changes; i++) {
    struct change_id_bytes change = {.parsed = NULL};
    struct dunlin_id missing;
    buf_clear(&bytes);
    error = names_id(doc, i, &change.id);
    if (!error) error = history_change(doc, i, &bytes);
    if (error) break;
    change.bytes = (struct dunlin_bytes){bytes.data, bytes.len};
    int taken = take_change(fresh, &change, NULL, &missing);
    if (taken != 1) error = taken == DUNLIN_ENOMEM ? taken : DUNLIN_EFORMAT;
  }
  buf_free(&bytes);
  return error;
}

/* What the file says without its history is what its history makes. */
static int same_state(const dunlin_doc *saved, const dunlin_doc *replayed) {
  struct dunlin_id a, b;
  for (size_t i = 0; i < replayed->container_count; i++)
    if (replayed->containers[i]->unknown_now) return 0; /* the hash leaves out what it holds */
  int error = dunlin_doc_hash(saved, &a);
  if (!error) error = dunlin_doc_hash(replayed, &b);
  return error ? error : id_compare(&a, &b) ? DUNLIN_EFORMAT : 0;
}

static int same_generations(const struct map *saved, const struct map *replayed) {
  size_t count = 0, found = 0;
  for (size_t i = 0; i < replayed->count; i++) count += replayed->entries[i].generation >= 0;
  for (size_t i = 0; i < saved->count; i++) {
    const struct map_entry *entry = &saved->entries[i], *other = map_find(replayed, map_key(entry));
    if (entry->generation < 0) continue;
    if (!other || other->generation != entry->generation) return DUNLIN_EFORMAT;
    found++;
  }
  return count == found ? 0 : DUNLIN_EFORMAT;
}

/* Likewise what the hash leaves out: what cannot be reached, and generations. */
static int same_containers(const dunlin_doc *saved, const dunlin_doc *replayed) {
  int error = saved->container_count == replayed->container_count ? 0 : DUNLIN_EFORMAT;
  for (size_t i = 0; !error && i < saved->container_count; i++) {
    const struct container *c = saved->containers[i];
    if (c->provisional) continue;
    uint32_t at = container_find(replayed, &c->id);
    if (at == IDMAP_NONE || replayed->containers[at]->kind != c->kind) return DUNLIN_EFORMAT;
    if (c->kind == DUNLIN_MAP) error = same_generations(&c->as.map, &replayed->containers[at]->as.map);
  }
  return error;
}

int dunlin_doc_verify(const dunlin_doc *doc) {
  dunlin_doc *fresh = NULL, *own = (dunlin_doc *)(uintptr_t)doc; /* what is known of it grows, it does not change */
  if (doc->open.is_open) return DUNLIN_ESTATE;
  int error = dunlin_doc_new(doc->env, &doc->id, &doc->graph.actors[doc->actor].name, &fresh);
  if (!error) error = replay(own, fresh);
  if (!error) error = same_containers(doc, fresh);
  if (!error) error = same_state(doc, fresh);
  dunlin_doc_free(fresh);
  return error == DUNLIN_EFORMAT ? DUNLIN_ECORRUPT : error;
}

static int open_whole(dunlin_doc **doc) {
  dunlin_doc *fresh = NULL;
  int error = dunlin_doc_new((*doc)->env, &(*doc)->id, &(*doc)->graph.actors[(*doc)->actor].name, &fresh);
  if (!error) error = replay(*doc, fresh);
  if (!error) error = same_state(*doc, fresh);
  if (error) {
    dunlin_doc_free(fresh);
    return error;
  }
  dunlin_doc_free(*doc);
  *doc = fresh;
  return 0;
}

/* ---- Opening ------------------------------------------------------------------------------------------------ */

static int attach(dunlin_doc *doc, const struct docfile *file) {
  doc->file = env_alloc(doc->env, sizeof *doc->file);
  if (!doc->file) return DUNLIN_ENOMEM;
  *doc->file = *file;
  doc->file->bytes = env_alloc(doc->env, file->len);
  if (doc->file->bytes) memcpy(doc->file->bytes, file->bytes, file->len);
  return doc->file->bytes ? 0 : DUNLIN_ENOMEM;
}

int dunlin_doc_load(const struct dunlin_env *env, const void *data, size_t len, const struct dunlin_actor *actor,
                    dunlin_doc **out) {
  struct docfile file = {.bytes = (uint8_t *)(uintptr_t)data, .len = len}; /* read only, until it is copied */
  struct dunlin_id id;
  dunlin_doc *doc = NULL;
  int error = read_header(&file, &id);
  if (!error) error = dunlin_doc_new(env, &id, actor, &doc);
  if (error) return error;
  error = attach(doc, &file);
  if (!error) error = read_state(doc);
  for (size_t i = 0; !error && i < doc->container_count; i++) {
    struct sequence *s = sequence_of(doc->containers[i]);
    if (s) s->shown = doc->graph.lvs;
  }
  if (!error && must_replay(doc)) error = open_whole(&doc);
  if (!error && doc->file && !doc->file->changes) error = docfile_load(doc);
  if (error) dunlin_doc_free(doc);
  else *out = doc;
  return error == DUNLIN_ECORRUPT ? DUNLIN_EFORMAT : error;
}
