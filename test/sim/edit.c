/* What users do: one transaction over all kinds of containers, on a document of a fixed shape. */
#include <string.h>

#include "test/sim/device.h"

#define KEY(s) (s), sizeof(s) - 1

/* Here and below one number is drawn after the other, in statements of their own: else the compiler says what a seed
 * means. */
static struct dunlin_value any_value(struct rng *rng, char scratch[64]) {
  int64_t number;
  switch (rng_below(rng, 6)) {
    case 0: return dunlin_null();
    case 1: return dunlin_bool(rng_chance(rng, 1, 2));
    case 2: number = (int64_t)rng_next(rng); return dunlin_int(number >> rng_below(rng, 63));
    case 3: return dunlin_float((double)rng_below(rng, 1000) / 8);
    case 4: return dunlin_time((int64_t)rng_next(rng) >> 16);
    default: {
      int len = snprintf(scratch, 64, "%s %zu", SIM_MARKER, rng_below(rng, 100000));
      return dunlin_string_len(scratch, (size_t)len);
    }
  }
}

static void edit_map(dunlin_doc *doc, dunlin_obj map, struct rng *rng) {
  char key[16], scratch[64];
  int len = snprintf(key, sizeof key, "key %zu", rng_below(rng, 24));
  dunlin_obj child;
  switch (rng_below(rng, 8)) {
    case 0: dunlin_map_delete(doc, map, (struct dunlin_bytes){key, (size_t)len}); break;
    case 1:
      child = dunlin_map_child(doc, map, dunlin_key("child"), DUNLIN_MAP);
      dunlin_map_put(doc, child, (struct dunlin_bytes){key, (size_t)len}, any_value(rng, scratch));
      break;
    case 2: dunlin_map_delete(doc, map, dunlin_key("child")); break;
    case 3: {
      struct dunlin_value v;
      if (!dunlin_map_get(doc, map, dunlin_key("child"), &v) && v.kind == DUNLIN_MAP)
        dunlin_map_touch(doc, map, dunlin_key("child"));
      break;
    }
    default: dunlin_map_put(doc, map, (struct dunlin_bytes){key, (size_t)len}, any_value(rng, scratch));
  }
}

static void edit_list(dunlin_doc *doc, dunlin_obj list, struct rng *rng) {
  char scratch[64];
  size_t size = dunlin_list_size(doc, list), at = rng_below(rng, size);
  struct dunlin_value value;
  dunlin_obj child;
  switch (size > 60 ? 7 : size ? rng_below(rng, 7) : 0) {
    case 0:
    case 1:
      value = any_value(rng, scratch);
      dunlin_list_insert(doc, list, rng_below(rng, size + 1), value);
      break;
    case 2:
      child = dunlin_list_insert_child(doc, list, at, DUNLIN_MAP);
      dunlin_map_put(doc, child, dunlin_key("title"), any_value(rng, scratch));
      break;
    case 3: dunlin_list_set(doc, list, at, any_value(rng, scratch)); break;
    case 4:
    case 5: dunlin_list_move(doc, list, at, rng_below(rng, size)); break;
    case 6: dunlin_list_delete(doc, list, at, 1); break;
    default: dunlin_list_delete(doc, list, at, size - at < 5 ? size - at : 5);
  }
}

static void mark_text(dunlin_doc *doc, dunlin_obj text, struct rng *rng) {
  static const char *const names[] = {"bold", "link", "note"};
  char scratch[64];
  size_t size = dunlin_text_size(doc, text), from = rng_below(rng, size + 1), to = from + rng_below(rng, 20);
  const char *name = names[rng_below(rng, 3)];
  unsigned grows = (unsigned)rng_below(rng, 4);
  dunlin_text_mark(doc, text, from, to < size ? to : size, dunlin_key(name), any_value(rng, scratch), grows);
}

static void edit_text(dunlin_doc *doc, dunlin_obj text, struct rng *rng) {
  static const char *const words[] = {"the ", "tide ", "\xc3\xa9t\xc3\xa9 ", "\xf0\x9f\xa6\x86", SIM_MARKER, "\n", "a"};
  size_t size = dunlin_text_size(doc, text), at = rng_below(rng, size + 1), remove = 0;
  const char *word = words[rng_below(rng, sizeof words / sizeof *words)];
  if (size > 2000 || rng_chance(rng, 1, 4)) remove = rng_below(rng, size > 2000 ? 200 : 8);
  if (remove > size - at) remove = size - at;
  dunlin_text_splice(doc, text, at, remove, word, strlen(word));
}

static void edit_counter(dunlin_doc *doc, dunlin_obj counter, struct rng *rng) {
  dunlin_counter_add(doc, counter, (int64_t)rng_below(rng, 21) - 10);
}

static void edit_something(dunlin_doc *doc, struct rng *rng) {
  switch (rng_below(rng, 9)) {
    case 0: edit_map(doc, DUNLIN_ROOT, rng); break;
    case 1:
    case 2: edit_map(doc, dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("map"), DUNLIN_MAP), rng); break;
    case 3:
    case 4: edit_list(doc, dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("list"), DUNLIN_LIST), rng); break;
    case 5: edit_counter(doc, dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("count"), DUNLIN_COUNTER), rng); break;
    case 6: mark_text(doc, dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("text"), DUNLIN_TEXT), rng); break;
    default: edit_text(doc, dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("text"), DUNLIN_TEXT), rng);
  }
}

int edit_draw(dunlin_doc *doc, struct rng *rng) {
  for (size_t writes = 1 + rng_below(rng, 3); writes; writes--) edit_something(doc, rng);
  return 1;
}
