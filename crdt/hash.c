/* The document hash: of what can be reached, with all that decides what it will show next.  docs/format.md, "State". */
#include "crdt/docfile.h"

#include <stdlib.h>

/* The place in the state where the id of a change belongs. */
struct id_place {
  size_t at;
  uint32_t change;
};

/* The state in the making.  Ids are put in at the end, in the order of changes: each follows from the one before it,
 * and asked for in any other order an old one takes the hashing of many. */
struct state {
  dunlin_doc *doc;
  struct buf out;
  struct id_place *ids;
  size_t id_count, id_cap;
};

static void write_id(struct state *s, uint32_t change) {
  static const uint8_t none[sizeof(struct dunlin_id)];
  mp_write_bin(&s->out, none, sizeof none);
  if (s->out.error) return;
  if (ENV_GROW(s->doc->env, s->ids, s->id_cap, s->id_count + 1)) s->out.error = DUNLIN_ENOMEM;
  else s->ids[s->id_count++] = (struct id_place){s->out.len - sizeof none, change};
}

static int by_change(const void *a, const void *b) {
  const struct id_place *x = a, *y = b;
  return (x->change > y->change) - (x->change < y->change);
}

static int put_ids_in(struct state *s) {
  struct dunlin_id id;
  int error = 0;
  if (s->id_count) qsort(s->ids, s->id_count, sizeof *s->ids, by_change);
  for (size_t i = 0; !error && i < s->id_count; i++) {
    if (!i || s->ids[i].change != s->ids[i - 1].change) error = names_id(s->doc, s->ids[i].change, &id);
    if (!error) memcpy(s->out.data + s->ids[i].at, id.bytes, sizeof id.bytes);
  }
  return error;
}

static void write_container(struct state *s, uint32_t container);

/* All live writes in winner order, each with what orders it; then each container among them, once. */
static void write_register(struct state *s, const struct reg *reg) {
  mp_write_array(&s->out, reg->count);
  for (uint32_t i = 0; i < reg->count; i++) {
    const struct reg_write *write = reg_at(reg, i);
    struct graph_op op = graph_op(&s->doc->graph, write->lv);
    mp_write_array(&s->out, 6);
    mp_write_uint(&s->out, write->class);
    mp_write_uint(&s->out, op.lamport);
    mp_write_bin(&s->out, s->doc->graph.actors[op.actor].name.bytes, sizeof(struct dunlin_actor));
    write_id(s, op.change);
    mp_write_uint(&s->out, (uint64_t)write->value.kind);
    if (write->value.kind < DUNLIN_MAP) value_write(&s->out, &write->value);
    else mp_write_bin(&s->out, s->doc->containers[write->value.as.obj.index]->id.bytes, sizeof(struct container_id));
  }
  const struct reg_write *w;
  for (struct distinct pass = distinct_of(s->doc, reg); (w = distinct_next(&pass));)
    if (w->value.kind >= DUNLIN_MAP) write_container(s, w->value.as.obj.index);
}

static void write_map(struct state *s, struct map *map) {
  size_t size = map_size(map);
  mp_write_array(&s->out, size);
  for (size_t i = 0; i < size; i++) {
    const struct map_entry *entry = map_nth(map, i);
    if (!entry) {
      s->out.error = DUNLIN_ENOMEM;
      return;
    }
    struct dunlin_bytes key = map_key(entry);
    mp_write_str(&s->out, key.data, key.len);
    write_register(s, &entry->reg);
  }
}

/* Members in the order of their bytes, each with who added it. */
static void write_set(struct state *s, struct map *set) {
  size_t size = map_size(set);
  mp_write_array(&s->out, size);
  for (size_t i = 0; i < size; i++) {
    const struct map_entry *entry = map_nth(set, i);
    if (!entry) {
      s->out.error = DUNLIN_ENOMEM;
      return;
    }
    struct dunlin_bytes key = map_key(entry);
    buf_append(&s->out, key.data, key.len);
    write_register(s, &entry->reg);
  }
}

/* The place of an offer decides only which of several is the first. */
static void write_offer(struct state *s, const struct container *c) {
  const struct reg *reg = &c->as.offer;
  if (c->kind == DUNLIN_FIRST) {
    write_register(s, reg);
    return;
  }
  mp_write_array(&s->out, reg->count);
  if (reg->count) value_write(&s->out, &reg_at(reg, 0)->value);
}

static void write_list(struct state *s, uint32_t container) {
  const struct list *list = &s->doc->containers[container]->as.list->list;
  int error = container_show(s->doc, container);
  if (error) s->out.error = error;
  mp_write_array(&s->out, list->size);
  for (uint32_t at = 0, count; at < list->size; at += count) {
    const uint32_t *elements = list_run(list, at, &count);
    for (uint32_t i = 0; i < count; i++) write_register(s, &list->elements[elements[i]]);
  }
}

static void append(void *ctx, const void *utf8, size_t bytes) {
  buf_append(ctx, utf8, bytes);
}

/* Each mark: where its anchors are, whether it grows at its start and end, who made it, what it says. */
static int write_marks(struct state *s, const struct container *c) {
  struct mark_list marks = {0};
  int error = marks_collect(s->doc, c, &marks);
  if (!error && marks.count) mp_write_array(&s->out, marks.count);
  for (size_t i = 0; !error && i < marks.count; i++) {
    const struct mark *mark = &marks.list[i];
    struct graph_op op = graph_op(&s->doc->graph, mark->lv);
    mp_write_array(&s->out, 9);
    mp_write_uint(&s->out, mark->start);
    mp_write_uint(&s->out, mark->end);
    mp_write_uint(&s->out, mark->start_grows + 2u * mark->end_grows);
    mp_write_uint(&s->out, op.lamport);
    mp_write_bin(&s->out, s->doc->graph.actors[op.actor].name.bytes, sizeof(struct dunlin_actor));
    write_id(s, op.change);
    mp_write_str(&s->out, mark->key.data, mark->key.len);
    mp_write_uint(&s->out, (uint64_t)mark->value.kind);
    value_write(&s->out, &mark->value);
  }
  mark_list_free(&marks, s->doc->env);
  return error;
}

static void write_text(struct state *s, uint32_t container) {
  const struct text *text = &s->doc->containers[container]->as.text->text;
  int error = container_show(s->doc, container);
  if (error) s->out.error = error;
  if (!error && text->anchors) error = write_marks(s, s->doc->containers[container]);
  if (error) s->out.error = error;
  mp_write_uint(&s->out, text->size - text->anchors);
  text_each(text, &s->doc->text, append, &s->out);
}

static void write_container(struct state *s, uint32_t container) {
  struct container *c = s->doc->containers[container];
  mp_write_bin(&s->out, c->id.bytes, sizeof c->id.bytes);
  if (c->unknown_now) {
    mp_write_nil(&s->out); /* what it holds is for newer versions to say */
    return;
  }
  switch (c->kind) {
    case DUNLIN_MAP: write_map(s, &c->as.map); break;
    case DUNLIN_LIST: write_list(s, container); break;
    case DUNLIN_TEXT: write_text(s, container); break;
    case DUNLIN_COUNTER: mp_write_int(&s->out, c->as.counter); break;
    case DUNLIN_MAX:
    case DUNLIN_MIN:
    case DUNLIN_FIRST: write_offer(s, c); break;
    case DUNLIN_SET:
    case DUNLIN_GROWING_SET: write_set(s, &c->as.map); break;
    default: mp_write_nil(&s->out);
  }
}

int dunlin_doc_hash(const dunlin_doc *shown, struct dunlin_id *out) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown; /* kept ids are no part of the state */
  if (doc->open.is_open) return DUNLIN_ESTATE;
  struct state s = {.doc = doc};
  buf_init(&s.out, doc->env, SIZE_MAX / 2);
  int error = docfile_load(doc); /* writes are shown with who made them */
  if (!error) write_container(&s, 0);
  if (!error) error = s.out.error;
  if (!error) error = put_ids_in(&s);
  struct dunlin_bytes parts[] = {{doc->id.bytes, sizeof doc->id.bytes}, {s.out.data, s.out.len}};
  if (!error) *out = env_hash(doc->env, "dunlin.state.1", parts, 2);
  ENV_FREE_ARRAY(doc->env, s.ids, s.id_cap);
  buf_free(&s.out);
  return error;
}
