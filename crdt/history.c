/* Changes as their authors made them, put together again from the containers' logs. */
#include <string.h>

#include "crdt/internal.h"

/* ---- Columns ------------------------------------------------------------------------------------------------ */

/* Passes over the values of `count` operations from offset `at` on. */
static uint32_t skip_operations(const struct column *values, uint32_t at, uint8_t kind, uint32_t count) {
  const uint8_t *from = column_at(values, at);
  return at + (uint32_t)(mp_pass(from, (size_t)(kind & OP_VALUES) * count) - from);
}

/* The offset of the scalar value that comes `scalars` before the one at `at`. */
static uint32_t go_back(const struct column *text, uint32_t at, uint32_t scalars) {
  const uint8_t *p = column_at(text, at);
  for (; scalars; scalars--) do
      at--;
    while ((*--p & 0xc0) == 0x80);
  return at;
}

uint32_t history_text_at(dunlin_doc *doc, uint32_t at, uint32_t scalars) {
  enum { near = 64 }; /* so little is passed over at once */
  const struct column *text = &doc->text;
  struct column_place *last = &doc->text.last;
  if (!doc->text_wide) return at + scalars;
  if (scalars < near) return at + (uint32_t)utf8_skip(column_at(text, at), scalars);
  if (last->from != at || last->scalars / 2 > scalars) *last = (struct column_place){at, 0, at};
  if (last->scalars > scalars) last->at = go_back(text, last->at, last->scalars - scalars);
  else last->at += (uint32_t)utf8_skip(column_at(text, last->at), scalars - last->scalars);
  last->scalars = scalars;
  return last->at;
}

uint32_t history_place(dunlin_doc *doc, const struct op_run *run, uint32_t skipped) {
  if (run->kind & OP_TEXT) return history_text_at(doc, run->at, skipped);
  return skip_operations(&doc->values, run->at, run->kind, skipped);
}

/* ---- Rows --------------------------------------------------------------------------------------------------- */

static int add_row(dunlin_doc *doc, struct row row) {
  struct rows *rows = &doc->rows;
  if (ENV_GROW(doc->env, rows->list, rows->cap, rows->count + 1)) return DUNLIN_ENOMEM;
  rows->list[rows->count++] = row;
  return 0;
}

/* The number of a container for the change that has stamp `self`, and whether it counts among those made. */
static int refer(dunlin_doc *doc, uint32_t container, uint64_t self, struct row *row) {
  struct rows *rows = &doc->rows;
  struct container *c = doc->containers[container];
  row->made = c->made_stamp == self;
  if (!row->made && c->ref_stamp != self) {
    if (ENV_GROW(doc->env, rows->containers, rows->container_cap, rows->container_count + 1)) return DUNLIN_ENOMEM;
    c->ref_stamp = self;
    c->ref = (uint32_t)rows->container_count;
    rows->containers[rows->container_count++] = container;
  }
  row->container = row->made ? c->made_ref : c->ref;
  return 0;
}

uint32_t history_made(const dunlin_doc *doc, uint32_t lv) {
  size_t low = 0, high = doc->maker_count;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (doc->makers[mid].lv <= lv) low = mid;
    else high = mid;
  }
  return doc->makers[low].container;
}

/* Notes the container that the creating operation `lv` made, number `made` of the change. */
static void note_made(dunlin_doc *doc, uint32_t lv, uint32_t made, uint64_t self) {
  struct container *c = doc->containers[history_made(doc, lv)];
  if (c->made_stamp == self) return;
  c->made_stamp = self;
  c->made_ref = made;
}

/* The part of the columns that the piece takes. */
static void note_columns(dunlin_doc *doc, const struct op_run *run, struct op_piece piece) {
  struct rows *rows = &doc->rows;
  if (run->kind & OP_TEXT) {
    uint32_t from = history_text_at(doc, run->at, piece.skipped);
    if (rows->text_from == rows->text_to) rows->text_from = from;
    rows->text_to = history_text_at(doc, from, piece.len);
  } else if (run->kind & OP_VALUES) {
    uint32_t from = skip_operations(&doc->values, run->at, run->kind, piece.skipped);
    if (!rows->value_count) rows->values_from = from;
    rows->values_to = skip_operations(&doc->values, from, run->kind, piece.len);
    rows->value_count += (size_t)(run->kind & OP_VALUES) * piece.len;
  }
}

static int add_piece(dunlin_doc *doc, uint32_t container, const struct op_run *run, struct op_piece piece,
                     uint64_t self, uint32_t *made) {
  struct row row = {.kind = run->kind, .a = piece.a, .len = piece.len};
  int error = refer(doc, container, self, &row);
  note_columns(doc, run, piece);
  if (run->kind != OP_MAP_SET) {
    if (!error) error = add_row(doc, row);
    if (run->kind & OP_CREATES) note_made(doc, piece.lv, (*made)++, self);
    return error;
  }
  row.len = 1; /* a run of sets is a row each */
  for (uint32_t i = 0; !error && i < piece.len; i++) error = add_row(doc, row);
  return error;
}

/* The entry of the owners that holds `lv`. */
static size_t owner_at(const dunlin_doc *doc, uint32_t lv) {
  size_t low = 0, high = doc->owner_count;
  if (high && doc->owners[high - 1].lv <= lv) return high - 1;
  while (high - low > 1) {
    size_t mid = (low + high) / 2;
    if (doc->owners[mid].lv <= lv) low = mid;
    else high = mid;
  }
  return low;
}

int history_rows(dunlin_doc *doc, uint32_t change) {
  bool open = change == doc->graph.changes;
  uint32_t lv = graph_start(&doc->graph, change), made = 0;
  uint32_t end = open ? lv + doc->open.index : graph_start(&doc->graph, change + 1);
  uint64_t self = ++doc->stamp;
  int error = 0;
  doc->rows.count = doc->rows.container_count = doc->rows.value_count = 0;
  doc->rows.text_from = doc->rows.text_to = doc->rows.values_from = doc->rows.values_to = 0;
  for (size_t o = owner_at(doc, lv); !error && o < doc->owner_count && doc->owners[o].lv < end; o++) {
    uint32_t container = doc->owners[o].container;
    uint32_t to = o + 1 < doc->owner_count && doc->owners[o + 1].lv < end ? doc->owners[o + 1].lv : end;
    const struct oplog *log = &doc->containers[container]->log;
    if (doc->owners[o].lv > lv) lv = doc->owners[o].lv;
    for (size_t i = oplog_from(log, lv); !error && i < log->count && log->runs[i].lv < to; i++)
      error = add_piece(doc, container, &log->runs[i], op_piece(&log->runs[i], lv, to), self, &made);
  }
  return error;
}

/* ---- Bytes -------------------------------------------------------------------------------------------------- */

/* How many elements a change has from its rows on; doc->rows has them. */
static size_t count_elements(const dunlin_doc *doc, int64_t time) {
  const struct rows *rows = &doc->rows;
  return time ? 4 : rows->value_count ? 3 : rows->text_to > rows->text_from ? 2 : 1;
}

/* Writes the ids of the containers that are named by id. */
static void write_containers(const dunlin_doc *doc, struct buf *out) {
  for (size_t i = 0; i < doc->rows.container_count; i++)
    buf_append(out, doc->containers[doc->rows.containers[i]]->id.bytes, sizeof(struct container_id));
}

/* Writes the elements from the rows on. */
static void write_columns(const dunlin_doc *doc, int64_t time, struct buf *out) {
  const struct rows *rows = &doc->rows;
  size_t elements = count_elements(doc, time);
  mp_write_array(out, 3 * rows->count);
  for (size_t i = 0; i < rows->count; i++) {
    const struct row *row = &rows->list[i];
    uint64_t container = row->container + (row->made ? rows->container_count : 0);
    if (container >= 1u << (32 - OP_KIND_BITS)) out->error = DUNLIN_ELIMIT;
    mp_write_uint(out, container << OP_KIND_BITS | row->kind);
    mp_write_uint(out, row->a);
    mp_write_uint(out, row->len);
  }
  uint32_t text = rows->text_to - rows->text_from, values = rows->values_to - rows->values_from;
  if (elements > 1) mp_write_str(out, text ? column_at(&doc->text, rows->text_from) : NULL, text);
  if (elements > 2) mp_write_array(out, rows->value_count);
  if (values) buf_append(out, column_at(&doc->values, rows->values_from), values);
  if (elements > 3) mp_write_int(out, time);
}

/* The parents in the order of `refs`, in doc->ordered: the actor's own previous change, if it is one, then the others
 * sorted.  `*own` says whether it is. */
static int order_parents(dunlin_doc *doc, const uint32_t *parents, size_t count, struct graph_op self, bool *own) {
  *own = false;
  if (ENV_GROW(doc->env, doc->ordered, doc->ordered_cap, count)) return DUNLIN_ENOMEM;
  struct name *list = doc->ordered;
  for (size_t i = 0; i < count; i++) {
    struct graph_op parent = graph_op(&doc->graph, parents[i]);
    struct name name = {.change = parent.change};
    int error = names_id(doc, parent.change, &name.id);
    if (error) return error;
    size_t at = i;
    /* Of two, in a fork, the one that came first stands first. */
    if (!*own && parent.actor == self.actor && parent.number + 1 == self.number) {
      memmove(list + 1, list, at * sizeof *list);
      at = 0;
      *own = true;
    } else {
      for (; at > *own && id_compare(&list[at - 1].id, &name.id) > 0; at--) list[at] = list[at - 1];
    }
    list[at] = name;
  }
  return 0;
}

static const uint32_t *parents_of(const dunlin_doc *doc, uint32_t change, uint32_t *one, size_t *count) {
  const struct graph *g = &doc->graph;
  if (change == g->changes) {
    *count = g->open.parent_count;
    return g->open.parents;
  }
  return graph_parents_at(g, graph_run_of(g, change), graph_start(g, change), one, count);
}

int history_change(dunlin_doc *doc, uint32_t change, struct buf *out) {
  uint32_t one;
  size_t count;
  bool own;
  const uint32_t *parents = parents_of(doc, change, &one, &count);
  struct graph_op self = graph_op(&doc->graph, graph_start(&doc->graph, change));
  int64_t time = change == doc->graph.changes ? doc->graph.open.time : graph_time_of(&doc->graph, change);
  int error = change == doc->graph.changes ? names_prepare(doc) : 0; /* so that the ids of parents are at hand */
  if (!error) error = order_parents(doc, parents, count, self, &own);
  if (!error) error = history_rows(doc, change);
  if (error) return error;
  mp_write_array(out, 3 + count_elements(doc, time));
  mp_write_bin_head(out, 32 * count + (own ? 0 : sizeof(struct dunlin_actor)));
  for (size_t i = 0; i < count; i++) buf_append(out, doc->ordered[i].id.bytes, 32);
  if (!own) buf_append(out, doc->graph.actors[self.actor].name.bytes, sizeof(struct dunlin_actor));
  mp_write_uint(out, self.number);
  mp_write_bin_head(out, doc->rows.container_count * sizeof(struct container_id));
  write_containers(doc, out);
  write_columns(doc, time, out);
  return out->error;
}

/* ---- Deltas ------------------------------------------------------------------------------------------------- */

/* What goes into a delta, and what the next change may refer to. */
struct delta_out {
  const struct lv_ranges *ranges; /* the latest first */
  uint32_t written;
  struct container_id last[DELTA_REPEAT];
  size_t last_count; /* SIZE_MAX: too many, or no change yet */
};

/* How many changes before the next one `change` stands in the delta; 0 when it is not in it. */
static uint32_t distance(const dunlin_doc *doc, const struct delta_out *d, uint32_t change) {
  uint32_t at = 0;
  for (size_t i = d->ranges->count; i-- > 0;) {
    uint32_t first = graph_change_at(&doc->graph, d->ranges->list[i].from);
    uint32_t end = graph_change_at(&doc->graph, d->ranges->list[i].to - 1) + 1;
    if (change < first) return 0;
    if (change < end) return d->written - (at + (change - first));
    at += end - first;
  }
  return 0;
}

static void write_parents(const dunlin_doc *doc, const struct delta_out *d, size_t count,
                          const struct dunlin_actor *actor, struct buf *out) {
  size_t far = 0;
  mp_write_array(out, count);
  for (size_t i = 0; i < count; i++) {
    uint32_t back = distance(doc, d, doc->ordered[i].change);
    mp_write_uint(out, back);
    far += !back;
  }
  mp_write_bin_head(out, 32 * far + (actor ? sizeof *actor : 0));
  for (size_t i = 0; far && i < count; i++)
    if (!distance(doc, d, doc->ordered[i].change)) buf_append(out, doc->ordered[i].id.bytes, 32);
  if (actor) buf_append(out, actor->bytes, sizeof *actor);
}

static void write_delta_containers(const dunlin_doc *doc, struct delta_out *d, struct buf *out) {
  size_t count = doc->rows.container_count;
  bool same = d->last_count == count;
  for (size_t i = 0; same && i < count; i++)
    same = !memcmp(&d->last[i], &doc->containers[doc->rows.containers[i]]->id, sizeof *d->last);
  if (same) {
    mp_write_nil(out);
    return;
  }
  mp_write_bin_head(out, count * sizeof(struct container_id));
  write_containers(doc, out);
  d->last_count = count <= DELTA_REPEAT ? count : SIZE_MAX;
  for (size_t i = 0; i < count && count <= DELTA_REPEAT; i++) d->last[i] = doc->containers[doc->rows.containers[i]]->id;
}

static int write_delta_change(dunlin_doc *doc, struct delta_out *d, uint32_t change, struct buf *out) {
  const struct graph *g = &doc->graph;
  uint32_t lv = graph_start(g, change), run = graph_run_at(g, lv), one;
  struct graph_op self = graph_op(g, lv);
  size_t count;
  int64_t time = graph_time_of(g, change);
  bool next = g->runs[run].change != change && distance(doc, d, change - 1) == 1, own = true;
  const uint32_t *parents = graph_parents_at(g, run, lv, &one, &count);
  /* Looking ids up may write out other changes: before the rows. */
  int error = next ? 0 : order_parents(doc, parents, count, self, &own);
  if (!error) error = history_rows(doc, change);
  if (error) return error;
  mp_write_array(out, count_elements(doc, time) + (next ? 2 : 4));
  if (next) {
    mp_write_nil(out);
  } else {
    write_parents(doc, d, count, own ? NULL : &g->actors[self.actor].name, out);
    mp_write_uint(out, self.number);
  }
  write_delta_containers(doc, d, out);
  write_columns(doc, time, out);
  d->written++;
  return out->error;
}

int history_delta(dunlin_doc *doc, const struct lv_ranges *ranges, struct buf *out) {
  struct delta_out d = {.ranges = ranges, .last_count = SIZE_MAX};
  const struct graph *g = &doc->graph;
  size_t count = 0;
  int error = 0;
  for (size_t i = 0; i < ranges->count; i++)
    count += graph_change_at(g, ranges->list[i].to - 1) + 1 - graph_change_at(g, ranges->list[i].from);
  if (count > DUNLIN_MAX_DELTA_CHANGES) return DUNLIN_ELIMIT;
  mp_write_array(out, 2);
  mp_write_uint(out, 1);
  mp_write_array(out, count);
  for (size_t i = ranges->count; !error && i-- > 0;) {
    uint32_t change = graph_change_at(g, ranges->list[i].from), end = graph_change_at(g, ranges->list[i].to - 1) + 1;
    for (; !error && change < end; change++) error = write_delta_change(doc, &d, change, out);
  }
  return error;
}
