/* Void changes: they stay in the graph and in what later changes' indexes mean, and have no effect. */
#include <stdlib.h>
#include <string.h>

#include "crdt/internal.h"

static int by_id(const void *a, const void *b) {
  return id_compare(a, b);
}

bool void_has(const dunlin_doc *doc, const struct dunlin_id *id) {
  return doc->void_count && bsearch(id, doc->void_ids, doc->void_count, sizeof *id, by_id);
}

int void_note(dunlin_doc *doc) {
  struct lv_ranges *v = &doc->voids;
  struct lv_range own = {doc->open.lv, doc->open.lv + doc->open.index};
  if (ENV_GROW(doc->env, v->list, v->cap, v->count + 1)) return DUNLIN_ENOMEM;
  memmove(v->list + 1, v->list, v->count * sizeof *v->list);
  v->list[0] = own;
  v->count++;
  return 0;
}
