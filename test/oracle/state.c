/* What shows: the document hash, and texts.  docs/format.md, "Document state". */
#include "test/oracle/private.h"

static void write_container(const struct oracle *o, uint32_t container, struct buf *out);

static bool live(const struct oracle *o, const struct oracle_write *w) {
  return !o->changes[w->change].is_void && !oracle_any_in_force(o, &w->over);
}

static bool write_wins(const struct oracle *o, const struct oracle_write *a, const struct oracle_write *b) {
  if (a->class != b->class) return a->class > b->class;
  return oracle_wins(o, a->change, a->index, b->change, b->index);
}

static size_t live_count(const struct oracle *o, const struct oracle_register *reg) {
  size_t count = 0;
  for (size_t i = 0; i < reg->count; i++) count += live(o, &reg->writes[i]);
  return count;
}

/* The live write that wins over all but those that win over `last`; NULL when there is none.  `last` NULL: the
 * winner. */
static const struct oracle_write *next_live(const struct oracle *o, const struct oracle_register *reg,
                                            const struct oracle_write *last) {
  const struct oracle_write *best = NULL;
  for (size_t i = 0; i < reg->count; i++) {
    const struct oracle_write *w = &reg->writes[i];
    if (!live(o, w) || w == last || (last && !write_wins(o, last, w))) continue;
    if (!best || write_wins(o, w, best)) best = w;
  }
  return best;
}

static bool came_before(const struct oracle *o, const struct oracle_register *reg, const struct oracle_write *write) {
  for (const struct oracle_write *w = next_live(o, reg, NULL); w != write; w = next_live(o, reg, w))
    if (w->value.kind >= DUNLIN_MAP && w->value.as.obj.index == write->value.as.obj.index) return true;
  return false;
}

static void write_register(const struct oracle *o, const struct oracle_register *reg, struct buf *out) {
  mp_write_array(out, live_count(o, reg));
  for (const struct oracle_write *w = next_live(o, reg, NULL); w; w = next_live(o, reg, w)) {
    const struct oracle_change *change = &o->changes[w->change];
    mp_write_array(out, 6);
    mp_write_uint(out, w->class);
    mp_write_uint(out, change->lamport);
    mp_write_bin(out, change->actor.bytes, sizeof change->actor.bytes);
    mp_write_bin(out, change->id.bytes, sizeof change->id.bytes);
    mp_write_uint(out, (uint64_t)w->value.kind);
    if (w->value.kind < DUNLIN_MAP) value_write(out, &w->value);
    else mp_write_bin(out, o->containers[w->value.as.obj.index]->id.bytes, sizeof(struct container_id));
  }
  for (const struct oracle_write *w = next_live(o, reg, NULL); w; w = next_live(o, reg, w))
    if (w->value.kind >= DUNLIN_MAP && !came_before(o, reg, w)) write_container(o, w->value.as.obj.index, out);
}

static int key_order(const void *a, const void *b) {
  struct dunlin_bytes x = (*(const struct oracle_entry *const *)a)->key,
                      y = (*(const struct oracle_entry *const *)b)->key;
  int order = memcmp(x.data, y.data, x.len < y.len ? x.len : y.len);
  return order ? order : (x.len > y.len) - (x.len < y.len);
}

/* Maps and sets: what shows, in byte order.  The keys of sets are values already, written whole. */
static void write_entries(const struct oracle *o, const struct oracle_container *c, struct buf *out) {
  const struct oracle_entry **sorted = calloc(c->entry_count + 1, sizeof *sorted);
  if (!sorted) abort();
  size_t count = 0;
  for (size_t i = 0; i < c->entry_count; i++)
    if (live_count(o, &c->entries[i].reg)) sorted[count++] = &c->entries[i];
  qsort(sorted, count, sizeof *sorted, key_order);
  mp_write_array(out, count);
  for (size_t i = 0; i < count; i++) {
    if (c->kind == DUNLIN_MAP) mp_write_str(out, sorted[i]->key.data, sorted[i]->key.len);
    else buf_append(out, sorted[i]->key.data, sorted[i]->key.len);
    write_register(o, &sorted[i]->reg, out);
  }
  free(sorted);
}

static void write_offered(const struct oracle *o, const struct oracle_container *c, struct buf *out) {
  const struct oracle_offer *shown = oracle_offered(o, c);
  mp_write_array(out, shown ? 1 : 0);
  if (!shown) return;
  if (c->kind == DUNLIN_FIRST) {
    const struct oracle_change *change = &o->changes[shown->change];
    mp_write_array(out, 6);
    mp_write_uint(out, 0);
    mp_write_uint(out, change->lamport);
    mp_write_bin(out, change->actor.bytes, sizeof change->actor.bytes);
    mp_write_bin(out, change->id.bytes, sizeof change->id.bytes);
    mp_write_uint(out, (uint64_t)shown->value.kind);
  }
  value_write(out, &shown->value);
}

static size_t shown_count(const struct oracle *o, const struct oracle_seq *seq) {
  size_t count = 0;
  for (uint32_t item = 0; item < seq->count; item++) count += oracle_shows(o, seq, item);
  return count;
}

static void write_list(const struct oracle *o, const struct oracle_seq *seq, struct buf *out) {
  mp_write_array(out, shown_count(o, seq));
  for (uint32_t item = 0; item != ORACLE_NONE; item = oracle_next(seq, item))
    if (oracle_shows(o, seq, item)) write_register(o, &seq->elements[seq->items[item].value].reg, out);
}

/* ---- Texts ------------------------------------------------------------------------------------------------------- */

/* The place of the other anchor of the mark that `start` begins, among what shows; 0: it does not show, or that is no
 * such anchor. */
static uint32_t end_of_mark(const struct oracle *o, const struct oracle_seq *seq, const struct oracle_item *start) {
  uint32_t at = 0;
  if (!op_starts_mark(start->kind)) return 0;
  for (uint32_t item = 0; item != ORACLE_NONE; item = oracle_next(seq, item)) {
    if (!oracle_shows(o, seq, item)) continue;
    if (seq->items[item].change == start->change && seq->items[item].index == start->index + 1) return at;
    at++;
  }
  return 0;
}

/* The marks that show, in the order of their first anchors; how many there are. */
static size_t write_marks(const struct oracle *o, const struct oracle_seq *seq, struct buf *out) {
  uint32_t at = 0;
  size_t count = 0;
  for (uint32_t item = 0; item != ORACLE_NONE; item = oracle_next(seq, item)) {
    const struct oracle_item *it = &seq->items[item];
    if (!oracle_shows(o, seq, item)) continue;
    uint32_t start = at++, end = end_of_mark(o, seq, it);
    if (!end) continue;
    const struct oracle_change *change = &o->changes[it->change];
    bool end_grows = false;
    for (uint32_t i = 0; i < seq->count; i++)
      if (seq->items[i].change == it->change && seq->items[i].index == it->index + 1)
        end_grows = seq->items[i].kind == OP_MARK_END_GROWS;
    mp_write_array(out, 9);
    mp_write_uint(out, start);
    mp_write_uint(out, end);
    mp_write_uint(out, (it->kind == OP_MARK_START_GROWS ? 1u : 0u) + (end_grows ? 2u : 0u));
    mp_write_uint(out, change->lamport);
    mp_write_bin(out, change->actor.bytes, sizeof change->actor.bytes);
    mp_write_bin(out, change->id.bytes, sizeof change->id.bytes);
    mp_write_str(out, it->mark_key.data, it->mark_key.len);
    mp_write_uint(out, (uint64_t)it->mark_value.kind);
    value_write(out, &it->mark_value);
    count++;
  }
  return count;
}

static size_t character_count(const struct oracle *o, const struct oracle_seq *seq) {
  size_t count = 0;
  for (uint32_t item = 0; item < seq->count; item++) count += !seq->items[item].kind && oracle_shows(o, seq, item);
  return count;
}

static void write_characters(const struct oracle *o, const struct oracle_seq *seq, struct buf *out) {
  uint8_t utf8[4];
  for (uint32_t item = 0; item != ORACLE_NONE; item = oracle_next(seq, item))
    if (!seq->items[item].kind && oracle_shows(o, seq, item))
      buf_append(out, utf8, utf8_put(utf8, seq->items[item].value));
}

static void write_text(const struct oracle *o, const struct oracle_seq *seq, struct buf *out) {
  struct buf marks;
  buf_init(&marks, dunlin_env_default(), SIZE_MAX / 2);
  size_t count = write_marks(o, seq, &marks);
  if (count) mp_write_array(out, count);
  buf_append(out, marks.data, marks.len);
  buf_free(&marks);
  mp_write_uint(out, character_count(o, seq));
  write_characters(o, seq, out);
}

static int64_t total(const struct oracle *o, const struct oracle_sum *sum) {
  uint64_t all = 0;
  for (size_t i = 0; i < sum->count; i++)
    if (!o->changes[sum->adds[i].change].is_void) all += (uint64_t)sum->adds[i].amount;
  return (int64_t)all;
}

static void write_container(const struct oracle *o, uint32_t container, struct buf *out) {
  const struct oracle_container *c = o->containers[container];
  mp_write_bin(out, c->id.bytes, sizeof c->id.bytes);
  if (oracle_any_in_force(o, &c->unknown)) {
    mp_write_nil(out);
    return;
  }
  switch (c->kind) {
    case DUNLIN_MAP: write_entries(o, c, out); break;
    case DUNLIN_LIST: write_list(o, &c->seq, out); break;
    case DUNLIN_TEXT: write_text(o, &c->seq, out); break;
    case DUNLIN_COUNTER: mp_write_int(out, total(o, &c->sum)); break;
    case DUNLIN_MAX:
    case DUNLIN_MIN:
    case DUNLIN_FIRST: write_offered(o, c, out); break;
    case DUNLIN_SET:
    case DUNLIN_GROWING_SET: write_entries(o, c, out); break;
    default: abort(); /* what an unknown operation made is in no register */
  }
}

void oracle_hash(const struct oracle *o, struct dunlin_id *out) {
  struct buf state;
  buf_init(&state, dunlin_env_default(), SIZE_MAX / 2);
  write_container(o, 0, &state);
  if (state.error) abort();
  struct dunlin_bytes parts[] = {{o->doc.bytes, sizeof o->doc.bytes}, {state.data, state.len}};
  *out = env_hash(dunlin_env_default(), "dunlin.state.1", parts, 2);
  buf_free(&state);
}

size_t oracle_text(const struct oracle *o, const struct container_id *id, char *out, size_t cap) {
  uint32_t container = oracle_container_find(o, id);
  if (container == ORACLE_NONE || o->containers[container]->kind != DUNLIN_TEXT) return 0;
  struct buf text;
  buf_init(&text, dunlin_env_default(), SIZE_MAX / 2);
  write_characters(o, &o->containers[container]->seq, &text);
  if (text.error) abort();
  size_t len = text.len;
  if (len && len <= cap) memcpy(out, text.data, len);
  buf_free(&text);
  return len;
}
