#include "cli/demo.h"

#include <stdio.h>
#include <string.h>

/* The seeded generator of the edits: xorshift64*.  Its quality does not matter, only that a restarted device makes the
 * edit again that it made before. */
static unsigned draw(uint64_t *state, size_t below) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return (unsigned)((*state * 0x2545f4914f6cdd1dULL >> 33) % (below ? below : 1));
}

static dunlin_obj child(const dunlin_doc *doc, const char *key) {
  struct dunlin_value value;
  if (dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key(key), &value) || value.kind < DUNLIN_MAP) return DUNLIN_ROOT;
  return value.as.obj; /* a wrong kind shows at the first write */
}

int edits_set_up(dunlin_doc *doc, const struct trace *trace) {
  static const char *const birds[] = {"dunlin", "knot",  "sanderling", "turnstone",
                                      "ruff",   "stint", "curlew",     "whimbrel"};
  static const char notes[] = "Notes that both devices write on.\n";
  int rc = dunlin_begin(doc);
  if (rc) return rc;
  /* Errors stick to the transaction: the commit returns the first one. */
  dunlin_obj text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("text"), DUNLIN_TEXT);
  dunlin_obj more = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("notes"), DUNLIN_TEXT);
  dunlin_obj list = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("list"), DUNLIN_LIST);
  dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("keys"), DUNLIN_MAP);
  dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("count"), DUNLIN_COUNTER);
  if (trace->start_len) dunlin_text_splice(doc, text, 0, 0, trace->start, trace->start_len);
  dunlin_text_splice(doc, more, 0, 0, notes, sizeof notes - 1);
  for (size_t i = 0; i < sizeof birds / sizeof *birds; i++) dunlin_list_insert(doc, list, i, dunlin_string(birds[i]));
  rc = dunlin_commit(doc, 0, NULL);
  return rc < 0 ? rc : 0;
}

/* `shared` drives what both devices do at the same places, `own` the rest. */
static void edit_notes(dunlin_doc *doc, const char *words, uint64_t *shared, uint64_t *own) {
  dunlin_obj notes = child(doc, "notes");
  size_t size = dunlin_text_size(doc, notes);
  size_t at = draw(shared, 2) ? draw(shared, size < 30 ? size : 30) : draw(own, size + 1);
  size_t remove = at + 3 <= size && draw(own, 3) == 0 ? draw(own, 3) + 1 : 0;
  dunlin_text_splice(doc, notes, at, remove, words, strlen(words));
}

static void edit_list(dunlin_doc *doc, const char *words, uint64_t *shared, uint64_t *own) {
  dunlin_obj list = child(doc, "list");
  size_t size = dunlin_list_size(doc, list);
  unsigned kind = draw(shared, 5);
  size_t at = draw(shared, 2) ? draw(shared, size < 8 ? size : 8) : draw(own, size);
  if (size < 4 || kind < 2) dunlin_list_insert(doc, list, at, dunlin_string(words));
  else if (kind == 2) dunlin_list_set(doc, list, at, dunlin_string(words));
  else if (kind == 3) dunlin_list_move(doc, list, at, draw(own, size));
  else dunlin_list_delete(doc, list, at, 1);
}

static void edit_keys(dunlin_doc *doc, const char *words, uint64_t *shared, uint64_t *own) {
  dunlin_obj keys = child(doc, "keys");
  char key[16];
  int len = snprintf(key, sizeof key, "key %u", draw(shared, 6));
  if (draw(own, 5) == 0) dunlin_map_delete(doc, keys, (struct dunlin_bytes){key, (size_t)len});
  else dunlin_map_put(doc, keys, (struct dunlin_bytes){key, (size_t)len}, dunlin_string(words));
}

int edits_make(dunlin_doc *doc, unsigned device, unsigned k, unsigned seed, const char *marker) {
  uint64_t shared = 0x9e3779b97f4a7c15ULL * (seed + 1) + k, own = shared ^ (device + 1) * 0xd1b54a32d192ed03ULL;
  char words[DEMO_MARKER_MAX + 64];
  snprintf(words, sizeof words, "edit %u of device %c. ", k, 'a' + (int)device);
  for (unsigned i = 0; i < 8; i++) draw(&shared, 1), draw(&own, 1); /* small seeds need some rounds to spread */
  int rc = dunlin_begin(doc);
  if (rc) return rc;
  switch (k % 3) {
    case 0: edit_notes(doc, words, &shared, &own); break;
    case 1: edit_list(doc, words, &shared, &own); break;
    default: edit_keys(doc, words, &shared, &own);
  }
  if (k == 0) {
    snprintf(words, sizeof words, "%s by device %c", marker, 'a' + (int)device);
    dunlin_map_put(doc, child(doc, "keys"), dunlin_key(marker), dunlin_string(words));
  }
  /* Never 0, so every edit makes a change and the number of changes tells how far a device has come. */
  dunlin_counter_add(doc, child(doc, "count"), (int64_t)draw(&own, 100) + 1);
  rc = dunlin_commit(doc, 0, NULL);
  return rc < 0 ? rc : 0;
}
