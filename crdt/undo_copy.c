/* Copies of containers: an element that was deleted comes back as another one, and so does what is in it. */
#include <string.h>

#include "crdt/undo.h"

static int copy_child(dunlin_doc *doc, const struct dunlin_value *from, dunlin_obj to) {
  if (to.index == DUNLIN_NONE.index) return txn_writable(doc); /* the error has been noted */
  return undo_copy(doc, from->as.obj.index, to.index);
}

static int copy_map(dunlin_doc *doc, const struct map *from, dunlin_obj to) {
  int error = 0;
  for (size_t i = 0; !error && i < from->count; i++) {
    const struct map_entry *entry = &from->entries[i];
    if (!entry->reg.count) continue;
    const struct reg_write *write = reg_at(&entry->reg, 0);
    if (write->value.kind < DUNLIN_MAP)
      error = dunlin_map_put_class(doc, to, map_key(entry), write->value, write->class);
    else error = copy_child(doc, &write->value, dunlin_map_child(doc, to, map_key(entry), write->value.kind));
  }
  return error;
}

static int copy_set(dunlin_doc *doc, const struct map *from, dunlin_obj to) {
  int error = 0;
  for (size_t i = 0; !error && i < from->count; i++) {
    const struct map_entry *entry = &from->entries[i];
    struct dunlin_bytes key = map_key(entry);
    struct mp_reader r = mp_reader_of(key.data, key.len);
    if (entry->reg.count) error = dunlin_set_add(doc, to, value_read(&r));
  }
  return error;
}

static int copy_list(dunlin_doc *doc, const struct list *from, dunlin_obj to) {
  int error = 0;
  for (uint32_t i = 0; !error && i < from->size; i++) {
    const struct reg *reg = &from->elements[list_get(from, i)];
    struct dunlin_value value = {0};
    if (reg->count) value = reg_at(reg, 0)->value;
    if (value.kind < DUNLIN_MAP) error = dunlin_list_insert(doc, to, i, value);
    else error = copy_child(doc, &value, dunlin_list_insert_child(doc, to, i, value.kind));
  }
  return error;
}

static int copy_text(dunlin_doc *doc, const struct text *from, dunlin_obj to) {
  size_t len = text_bytes(from);
  char *utf8 = env_alloc(doc->env, len);
  if (!utf8) return txn_fail(doc, DUNLIN_ENOMEM);
  text_copy(from, &doc->text, utf8);
  int error = len ? dunlin_text_splice(doc, to, 0, 0, utf8, len) : 0;
  env_free(doc->env, utf8, len);
  return error;
}

int undo_copy(dunlin_doc *doc, uint32_t from, uint32_t to) {
  const struct container *c = doc->containers[from];
  dunlin_obj copy = {to};
  int error = container_show(doc, from);
  if (error) return txn_fail(doc, error);
  if (c->kind == DUNLIN_MAP) return copy_map(doc, &c->as.map, copy);
  if (is_set(c->kind)) return copy_set(doc, &c->as.map, copy);
  if (c->kind == DUNLIN_LIST) return copy_list(doc, &c->as.list->list, copy);
  if (c->kind == DUNLIN_TEXT) return copy_text(doc, &c->as.text->text, copy);
  if (c->kind == DUNLIN_COUNTER) return dunlin_counter_add(doc, copy, c->as.counter);
  if (is_offer(c->kind) && c->as.offer.count) return dunlin_offer(doc, copy, reg_at(&c->as.offer, 0)->value);
  return 0;
}

int dunlin_map_rename(dunlin_doc *doc, dunlin_obj map, struct dunlin_bytes from, struct dunlin_bytes to) {
  int error = txn_writable(doc);
  if (error) return error;
  uint8_t kept[KEY_NEAR]; /* a short key may be borrowed from its entry, which moves */
  if (from.data && from.len <= sizeof kept) from.data = memcpy(kept, from.data, from.len);
  const struct container *c = container_of(doc, map, DUNLIN_MAP);
  if (!c) return txn_fail(doc, DUNLIN_EKIND);
  const struct map_entry *entry = map_find(&c->as.map, from), *taken = map_find(&c->as.map, to);
  if (!entry || !entry->reg.count) return txn_fail(doc, DUNLIN_ENOENT);
  if (taken && taken->reg.count) return txn_fail(doc, DUNLIN_EEXIST);
  struct reg_write write = *reg_at(&entry->reg, 0);
  if (write.value.kind < DUNLIN_MAP) error = dunlin_map_put_class(doc, map, to, write.value, write.class);
  else error = copy_child(doc, &write.value, dunlin_map_child(doc, map, to, write.value.kind));
  return error ? error : dunlin_map_delete(doc, map, from);
}
