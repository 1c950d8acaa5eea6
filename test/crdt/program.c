#include "test/crdt/program.h"

#include "crdt/internal.h"

static const char *const keys[] = {"a", "b", "c", "d"};

/* A container to write to: walks from the root through random children. */
static dunlin_obj somewhere(const dunlin_doc *doc, struct rng *rng) {
  dunlin_obj obj = DUNLIN_ROOT;
  for (int steps = 0; steps < 4 && rng_below(rng, 4); steps++) {
    struct dunlin_value v = {.kind = DUNLIN_NULL};
    struct dunlin_bytes key;
    enum dunlin_kind kind = dunlin_obj_kind(doc, obj);
    int error = DUNLIN_ENOENT;
    if (kind == DUNLIN_MAP) error = dunlin_map_at(doc, obj, rng_below(rng, dunlin_map_size(doc, obj)), &key, &v);
    else if (kind == DUNLIN_LIST) error = dunlin_list_get(doc, obj, rng_below(rng, dunlin_list_size(doc, obj)), &v);
    if (error || v.kind < DUNLIN_MAP) break;
    obj = v.as.obj;
  }
  return obj;
}

static enum dunlin_kind any_kind(struct rng *rng) {
  return (enum dunlin_kind)(DUNLIN_MAP + rng_below(rng, DUNLIN_GROWING_SET - DUNLIN_MAP + 1));
}

static struct dunlin_value any_value(struct rng *rng) {
  switch (rng_below(rng, 4)) {
    case 0: return str_value(keys[rng_below(rng, 4)]);
    case 1: return (struct dunlin_value){.kind = DUNLIN_FLOAT, .as.real = (double)rng_below(rng, 9) / 2};
    case 2: return (struct dunlin_value){.kind = DUNLIN_NULL};
    default: return int_value((int64_t)rng_below(rng, 100) - 50);
  }
}

/* Some of a register's writes, which the next write is to name. */
static size_t some_writes(const struct reg *reg, struct rng *rng, uint32_t *out) {
  size_t count = 0;
  for (uint32_t i = 0; reg && i < reg->count && count < WRITE_NAMES_MAX; i++)
    if (rng_below(rng, 2)) out[count++] = reg_at(reg, i)->lv;
  return count;
}

int program_key_over(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes key, struct rng *rng) {
  const struct map_entry *entry = map_find(&doc->containers[map.index]->as.map, key);
  struct reg_write write = {.class = (uint32_t)rng_below(rng, 3)};
  write.value =
      any_value(rng); /* one after the other, so that a seed means the same to every compiler: here and below */
  uint32_t over[WRITE_NAMES_MAX];
  size_t count = some_writes(entry ? &entry->reg : NULL, rng, over);
  return txn_put_over(doc, map, key, rng_below(rng, 3) ? &write : NULL, over, count);
}

int program_element_over(dunlin_doc *doc, dunlin_obj list, size_t at, struct rng *rng) {
  const struct list *l = &doc->containers[list.index]->as.list->list;
  struct dunlin_value value = any_value(rng);
  uint32_t over[WRITE_NAMES_MAX];
  size_t count = some_writes(&l->elements[list_get(l, (uint32_t)at)], rng, over);
  return txn_set_over(doc, list, at, &value, over, count);
}

static int edit_map(dunlin_doc *doc, dunlin_obj map, struct rng *rng) {
  const char *key = keys[rng_below(rng, 4)];
  struct dunlin_value v;
  uint32_t class;
  switch (rng_below(rng, 10)) {
    case 0:
    case 1: return dunlin_map_put(doc, map, dunlin_key(key), any_value(rng));
    case 2: return dunlin_map_delete(doc, map, dunlin_key(key));
    case 3:
      if (dunlin_map_get(doc, map, dunlin_key(key), &v) || v.kind < DUNLIN_MAP) return 0;
      return dunlin_map_touch(doc, map, dunlin_key(key));
    case 4:
      class = (uint32_t)rng_below(rng, 3);
      return dunlin_map_put_class(doc, map, dunlin_key(key), any_value(rng), class);
    case 5: return program_key_over(doc, map, dunlin_key(key), rng);
    default: dunlin_map_child(doc, map, dunlin_key(key), any_kind(rng)); return dunlin_txn_error(doc);
  }
}

static int edit_list(dunlin_doc *doc, dunlin_obj list, struct rng *rng) {
  size_t size = dunlin_list_size(doc, list), at = rng_below(rng, size);
  size_t what = rng_below(rng, size ? 9 : 2);
  struct dunlin_value value;
  enum dunlin_kind kind;
  switch (what) {
    case 0:
      kind = any_kind(rng);
      dunlin_list_insert_child(doc, list, rng_below(rng, size + 1), kind);
      break;
    case 1:
    case 2: value = any_value(rng); return dunlin_list_insert(doc, list, rng_below(rng, size + 1), value);
    case 3: return dunlin_list_set(doc, list, at, any_value(rng));
    case 4: dunlin_list_set_child(doc, list, at, any_kind(rng)); break;
    case 5: return dunlin_list_delete(doc, list, at, 1 + rng_below(rng, size - at < 3 ? size - at : 3));
    case 6: return program_element_over(doc, list, at, rng);
    default: return dunlin_list_move(doc, list, at, rng_below(rng, size));
  }
  return dunlin_txn_error(doc);
}

static int edit_text(dunlin_doc *doc, dunlin_obj text, struct rng *rng) {
  static const char *const words[] = {"x", "yz", "\xc3\xa9t\xc3\xa9", "\xf0\x9f\xa6\x86", "hello"};
  enum dunlin_unit unit = dunlin_doc_unit(doc);
  size_t size = dunlin_text_size(doc, text);
  OK(dunlin_text_convert(doc, text, unit, size, DUNLIN_SCALARS, &size));
  size_t at = rng_below(rng, size + 1);
  size_t end = at + (rng_below(rng, 2) ? rng_below(rng, size - at < 4 ? size - at + 1 : 4) : 0);
  size_t marked = at + rng_below(rng, size - at + 1);
  OK(dunlin_text_convert(doc, text, DUNLIN_SCALARS, at, unit, &at));
  OK(dunlin_text_convert(doc, text, DUNLIN_SCALARS, end, unit, &end));
  OK(dunlin_text_convert(doc, text, DUNLIN_SCALARS, marked, unit, &marked));
  size_t remove = end - at;
  const char *word = remove && rng_below(rng, 2) ? "" : words[rng_below(rng, 5)];
  if (!rng_below(rng, 4)) {
    unsigned grows = (unsigned)rng_below(rng, 4);
    struct dunlin_value value = any_value(rng);
    return dunlin_text_mark(doc, text, at, marked, dunlin_key(keys[rng_below(rng, 4)]), value, grows);
  }
  return dunlin_text_splice(doc, text, at, remove, word, strlen(word));
}

/* Numbers that lie close together, of all kinds. */
static struct dunlin_value any_number(struct rng *rng) {
  static const double reals[] = {-0.0, 0.0, 1.5, -1.5, 0x1p63, -0x1p63, 0x1p53, 2};
  static const int64_t ints[] = {0, 1, 2, -1, -2, INT64_MAX, INT64_MIN, (1ll << 53) + 1};
  switch (rng_below(rng, 8)) {
    case 0: return (struct dunlin_value){.kind = DUNLIN_TIME, .as.time = (int64_t)rng_below(rng, 3) - 1};
    case 1:
    case 2: return (struct dunlin_value){.kind = DUNLIN_FLOAT, .as.real = reals[rng_below(rng, 8)]};
    case 3: return int_value(ints[rng_below(rng, 8)]);
    default: return int_value((int64_t)rng_below(rng, 9) - 4);
  }
}

static int edit_set(dunlin_doc *doc, dunlin_obj set, struct rng *rng) {
  bool removes = dunlin_obj_kind(doc, set) == DUNLIN_SET && rng_below(rng, 2);
  struct dunlin_value value = int_value((int64_t)rng_below(rng, 4));
  if (!rng_below(rng, 3)) value = str_value(keys[rng_below(rng, 4)]);
  return removes ? dunlin_set_remove(doc, set, value) : dunlin_set_add(doc, set, value);
}

int program_amount(dunlin_doc *doc, dunlin_obj obj, struct rng *rng) {
  switch (dunlin_obj_kind(doc, obj)) {
    case DUNLIN_MAX:
    case DUNLIN_MIN: return dunlin_offer(doc, obj, any_number(rng));
    case DUNLIN_FIRST: return dunlin_offer(doc, obj, any_value(rng));
    case DUNLIN_COUNTER: return dunlin_counter_add(doc, obj, (int64_t)rng_below(rng, 7) - 3);
    default: return edit_set(doc, obj, rng);
  }
}

static int edit_any(dunlin_doc *doc, dunlin_obj obj, struct rng *rng) {
  switch (dunlin_obj_kind(doc, obj)) {
    case DUNLIN_MAP: return edit_map(doc, obj, rng);
    case DUNLIN_LIST: return edit_list(doc, obj, rng);
    case DUNLIN_TEXT: return edit_text(doc, obj, rng);
    default: return program_amount(doc, obj, rng);
  }
}

void program_edit(dunlin_doc *doc, struct rng *rng) {
  int error = 0;
  OK(names_whole(doc));
  OK(dunlin_begin(doc));
  for (size_t writes = 1 + rng_below(rng, 3); !error && writes; writes--)
    error = edit_any(doc, somewhere(doc, rng), rng);
  if (error == DUNLIN_EREFUSED && doc->void_count) { /* what no change can say */
    dunlin_abort(doc);
    return;
  }
  OK(error);
  if (rng_below(rng, 10)) OK(dunlin_commit(doc, 0, NULL));
  else dunlin_abort(doc);
}
