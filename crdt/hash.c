/* The document hash: of what can be reached, with all that decides what it will show next.  docs/format.md, "State". */
#include "crdt/docfile.h"

static void write_container(dunlin_doc *doc, uint32_t container, struct buf *out);

/* All live writes in winner order, each with what orders it; then each container among them, once. */
static void write_register(dunlin_doc *doc, const struct reg *reg, struct buf *out) {
  mp_write_array(out, reg->count);
  for (uint32_t i = 0; i < reg->count; i++) {
    const struct reg_write *write = reg_at(reg, i);
    struct graph_op op = graph_op(&doc->graph, write->lv);
    struct dunlin_id id;
    int error = names_id(doc, op.change, &id);
    if (error) out->error = error;
    mp_write_array(out, 6);
    mp_write_uint(out, write->class);
    mp_write_uint(out, op.lamport);
    mp_write_bin(out, doc->graph.actors[op.actor].name.bytes, sizeof(struct dunlin_actor));
    mp_write_bin(out, id.bytes, sizeof id.bytes);
    mp_write_uint(out, (uint64_t)write->value.kind);
    if (write->value.kind < DUNLIN_MAP) value_write(out, &write->value);
    else mp_write_bin(out, doc->containers[write->value.as.obj.index]->id.bytes, sizeof(struct container_id));
  }
  const struct reg_write *w;
  for (struct distinct pass = distinct_of(doc, reg); (w = distinct_next(&pass));)
    if (w->value.kind >= DUNLIN_MAP) write_container(doc, w->value.as.obj.index, out);
}

static void write_map(dunlin_doc *doc, struct map *map, struct buf *out) {
  size_t size = map_size(map);
  mp_write_array(out, size);
  for (size_t i = 0; i < size; i++) {
    const struct map_entry *entry = map_nth(map, i);
    if (!entry) {
      out->error = DUNLIN_ENOMEM;
      return;
    }
    struct dunlin_bytes key = map_key(entry);
    mp_write_str(out, key.data, key.len);
    write_register(doc, &entry->reg, out);
  }
}

/* Members in the order of their bytes, each with who added it. */
static void write_set(dunlin_doc *doc, struct map *set, struct buf *out) {
  size_t size = map_size(set);
  mp_write_array(out, size);
  for (size_t i = 0; i < size; i++) {
    const struct map_entry *entry = map_nth(set, i);
    if (!entry) {
      out->error = DUNLIN_ENOMEM;
      return;
    }
    struct dunlin_bytes key = map_key(entry);
    buf_append(out, key.data, key.len);
    write_register(doc, &entry->reg, out);
  }
}

/* The place of an offer decides only which of several is the first. */
static void write_offer(dunlin_doc *doc, const struct container *c, struct buf *out) {
  const struct reg *reg = &c->as.offer;
  if (c->kind == DUNLIN_FIRST) {
    write_register(doc, reg, out);
    return;
  }
  mp_write_array(out, reg->count);
  if (reg->count) value_write(out, &reg_at(reg, 0)->value);
}

static void write_list(dunlin_doc *doc, uint32_t container, struct buf *out) {
  const struct list *list = &doc->containers[container]->as.list->list;
  int error = container_show(doc, container);
  if (error) out->error = error;
  mp_write_array(out, list->size);
  for (uint32_t at = 0, count; at < list->size; at += count) {
    const uint32_t *elements = list_run(list, at, &count);
    for (uint32_t i = 0; i < count; i++) write_register(doc, &list->elements[elements[i]], out);
  }
}

static void append(void *ctx, const void *utf8, size_t bytes) {
  buf_append(ctx, utf8, bytes);
}

/* Each mark: where its anchors are, whether it grows at its start and end, who made it, what it says. */
static int write_marks(dunlin_doc *doc, const struct container *c, struct buf *out) {
  struct mark_list marks = {0};
  int error = marks_collect(doc, c, &marks);
  if (!error && marks.count) mp_write_array(out, marks.count);
  for (size_t i = 0; !error && i < marks.count; i++) {
    const struct mark *mark = &marks.list[i];
    struct graph_op op = graph_op(&doc->graph, mark->lv);
    struct dunlin_id id;
    error = names_id(doc, op.change, &id);
    if (error) break;
    mp_write_array(out, 9);
    mp_write_uint(out, mark->start);
    mp_write_uint(out, mark->end);
    mp_write_uint(out, mark->start_grows + 2u * mark->end_grows);
    mp_write_uint(out, op.lamport);
    mp_write_bin(out, doc->graph.actors[op.actor].name.bytes, sizeof(struct dunlin_actor));
    mp_write_bin(out, id.bytes, sizeof id.bytes);
    mp_write_str(out, mark->key.data, mark->key.len);
    mp_write_uint(out, (uint64_t)mark->value.kind);
    value_write(out, &mark->value);
  }
  mark_list_free(&marks, doc->env);
  return error;
}

static void write_text(dunlin_doc *doc, uint32_t container, struct buf *out) {
  const struct text *text = &doc->containers[container]->as.text->text;
  int error = container_show(doc, container);
  if (error) out->error = error;
  if (!error && text->anchors) error = write_marks(doc, doc->containers[container], out);
  if (error) out->error = error;
  mp_write_uint(out, text->size - text->anchors);
  text_each(text, &doc->text, append, out);
}

static void write_container(dunlin_doc *doc, uint32_t container, struct buf *out) {
  struct container *c = doc->containers[container];
  mp_write_bin(out, c->id.bytes, sizeof c->id.bytes);
  if (c->unknown_now) {
    mp_write_nil(out); /* what it holds is for newer versions to say */
    return;
  }
  switch (c->kind) {
    case DUNLIN_MAP: write_map(doc, &c->as.map, out); break;
    case DUNLIN_LIST: write_list(doc, container, out); break;
    case DUNLIN_TEXT: write_text(doc, container, out); break;
    case DUNLIN_COUNTER: mp_write_int(out, c->as.counter); break;
    case DUNLIN_MAX:
    case DUNLIN_MIN:
    case DUNLIN_FIRST: write_offer(doc, c, out); break;
    case DUNLIN_SET:
    case DUNLIN_GROWING_SET: write_set(doc, &c->as.map, out); break;
    default: mp_write_nil(out);
  }
}

int dunlin_doc_hash(const dunlin_doc *shown, struct dunlin_id *out) {
  dunlin_doc *doc = (dunlin_doc *)(uintptr_t)shown; /* kept ids are no part of the state */
  if (doc->open.is_open) return DUNLIN_ESTATE;
  struct buf state;
  buf_init(&state, doc->env, SIZE_MAX / 2);
  int error = docfile_load(doc); /* writes are shown with who made them */
  if (!error) write_container(doc, 0, &state);
  struct dunlin_bytes parts[] = {{doc->id.bytes, sizeof doc->id.bytes}, {state.data, state.len}};
  if (!error) error = state.error;
  if (!error) *out = env_hash(doc->env, "dunlin.state.1", parts, 2);
  buf_free(&state);
  return error;
}
