/* What shows is kept as a tree; containers are known by their handles. */
#include "test/crdt/mirror.h"

struct item {
  char key[16];
  struct node *value;
};

/* What shows at a place: a scalar as text, or a container with what is in it. */
struct node {
  enum dunlin_kind kind;
  uint32_t obj;
  char scalar[64]; /* also a counter's value */
  struct {
    char key[16];
    struct node *value;
  } * items; /* of a map, sorted; of a list */
  size_t count;
  char *text;
};

struct mirror {
  struct node *root;
};

static struct node *read_value(const dunlin_doc *doc, const struct dunlin_value *value);

static void node_free(struct node *n) {
  if (!n) return;
  for (size_t i = 0; i < n->count; i++) node_free(n->items[i].value);
  free(n->items);
  free(n->text);
  free(n);
}

static void put_item(struct node *n, size_t at, struct dunlin_bytes key, struct node *value) {
  n->items = realloc(n->items, (n->count + 1) * sizeof *n->items);
  memmove(&n->items[at + 1], &n->items[at], (n->count - at) * sizeof *n->items);
  snprintf(n->items[at].key, sizeof n->items[at].key, "%.*s", (int)key.len, (const char *)key.data);
  n->items[at].value = value;
  n->count++;
}

static void drop_item(struct node *n, size_t at) {
  node_free(n->items[at].value);
  n->count--;
  memmove(&n->items[at], &n->items[at + 1], (n->count - at) * sizeof *n->items);
}

static void show_value(struct node *n, const struct dunlin_value *v) {
  switch (v->kind) {
    case DUNLIN_INT: snprintf(n->scalar, sizeof n->scalar, "%lld", (long long)v->as.integer); break;
    case DUNLIN_FLOAT: snprintf(n->scalar, sizeof n->scalar, "%.17g", v->as.real); break;
    case DUNLIN_STRING:
      snprintf(n->scalar, sizeof n->scalar, "%.*s", (int)v->as.string.len, (const char *)v->as.string.data);
      break;
    default: break;
  }
}

static void read_container(const dunlin_doc *doc, struct node *n) {
  dunlin_obj obj = {n->obj};
  struct dunlin_bytes key = {"", 0};
  struct dunlin_value value;
  int64_t count;
  if (n->kind == DUNLIN_MAP)
    for (size_t i = 0; !dunlin_map_at(doc, obj, i, &key, &value); i++) put_item(n, i, key, read_value(doc, &value));
  if (n->kind == DUNLIN_LIST)
    for (size_t i = 0; !dunlin_list_get(doc, obj, i, &value); i++) put_item(n, i, key, read_value(doc, &value));
  if (n->kind == DUNLIN_TEXT) {
    size_t len = dunlin_text_read(doc, obj, NULL, 0);
    n->text = calloc(len + 1, 1);
    assert_int_equal(dunlin_text_read(doc, obj, n->text, len), len);
  }
  if (n->kind == DUNLIN_SET || n->kind == DUNLIN_GROWING_SET)
    for (size_t i = 0; !dunlin_set_at(doc, obj, i, &value); i++) put_item(n, i, key, read_value(doc, &value));
  if (n->kind >= DUNLIN_MAX && n->kind <= DUNLIN_FIRST && !dunlin_offered(doc, obj, &value)) show_value(n, &value);
  if (n->kind == DUNLIN_COUNTER && !dunlin_counter_get(doc, obj, &count))
    snprintf(n->scalar, sizeof n->scalar, "%lld", (long long)count);
}

static struct node *read_value(const dunlin_doc *doc, const struct dunlin_value *v) {
  struct node *n = calloc(1, sizeof *n);
  n->kind = v->kind;
  show_value(n, v);
  if (v->kind < DUNLIN_MAP) return n;
  n->obj = v->as.obj.index;
  read_container(doc, n);
  return n;
}
struct mirror *mirror_read(const dunlin_doc *doc) {
  struct dunlin_value root = {.kind = DUNLIN_MAP, .as.obj = DUNLIN_ROOT};
  struct mirror *mirror = calloc(1, sizeof *mirror);
  mirror->root = read_value(doc, &root);
  return mirror;
}

void mirror_free(struct mirror *mirror) {
  node_free(mirror->root);
  free(mirror);
}

static int by_scalar(const void *a, const void *b) {
  const struct node *x = ((const struct item *)a)->value, *y = ((const struct item *)b)->value;
  int order = strcmp(x->scalar, y->scalar);
  return order ? order : (int)x->kind - (int)y->kind;
}

static void write_out(struct node *n, char **out, size_t *len) {
  char line[160];
  bool is_set = n->kind == DUNLIN_SET || n->kind == DUNLIN_GROWING_SET;
  if (is_set && n->count) qsort(n->items, n->count, sizeof *n->items, by_scalar);
  int size = snprintf(line, sizeof line, "%d %u %s[%zu]", (int)n->kind, n->obj, n->scalar, n->count);
  size_t text = n->text ? strlen(n->text) : 0;
  *out = realloc(*out, *len + (size_t)size + text + 1);
  memcpy(*out + *len, line, (size_t)size);
  if (text) memcpy(*out + *len + size, n->text, text);
  *len += (size_t)size + text;
  (*out)[*len] = 0;
  for (size_t i = 0; i < n->count; i++) {
    size_t key = strlen(n->items[i].key);
    *out = realloc(*out, *len + key + 1);
    memcpy(*out + *len, n->items[i].key, key + 1);
    *len += key;
    write_out(n->items[i].value, out, len);
  }
}

void mirror_check(struct mirror *mirror, const dunlin_doc *doc) {
  char *a = NULL, *b = NULL;
  size_t a_len = 0, b_len = 0;
  struct mirror *now = mirror_read(doc);
  write_out(mirror->root, &a, &a_len);
  write_out(now->root, &b, &b_len);
  assert_string_equal(a, b);
  free(a);
  free(b);
  mirror_free(now);
}

static struct node *find_obj(struct node *n, uint32_t obj) {
  if (n->kind >= DUNLIN_MAP && n->obj == obj) return n;
  for (size_t i = 0; i < n->count; i++) {
    struct node *found = find_obj(n->items[i].value, obj);
    if (found) return found;
  }
  return NULL;
}

/* ---- Keeping it up ------------------------------------------------------------------------------------------ */

/* How many units begin with this byte. */
static size_t units_at(char byte, enum dunlin_unit unit) {
  unsigned char c = (unsigned char)byte;
  if (unit == DUNLIN_UTF8) return 1;
  if (c >> 6 == 2) return 0;
  return unit == DUNLIN_UTF16 && c >= 0xf0 ? 2 : 1;
}

static size_t byte_of(const char *text, size_t at, enum dunlin_unit unit) {
  size_t i = 0;
  for (; text[i] && at; i++) {
    assert_true(at >= units_at(text[i], unit));
    at -= units_at(text[i], unit);
  }
  while (text[i] && !units_at(text[i], unit)) i++;
  return i;
}

static size_t units_of(struct dunlin_bytes text, enum dunlin_unit unit) {
  const char *p = text.data;
  size_t units = 0;
  for (size_t i = 0; i < text.len; i++) units += units_at(p[i], unit);
  return units;
}

static void splice_text(struct node *n, const struct dunlin_event *e, enum dunlin_unit unit) {
  size_t from = byte_of(n->text, e->at, unit), to = from + byte_of(n->text + from, e->removed, unit);
  size_t rest = strlen(n->text + to);
  char *text = calloc(from + e->text.len + rest + 1, 1);
  memcpy(text, n->text, from);
  if (e->text.len) memcpy(text + from, e->text.data, e->text.len);
  memcpy(text + from + e->text.len, n->text + to, rest);
  free(n->text);
  n->text = text;
  assert_int_equal(units_of(e->text, unit), e->inserted);
}

static void splice_list(struct node *n, const dunlin_doc *doc, const struct dunlin_event *e) {
  struct dunlin_bytes no_key = {"", 0};
  struct dunlin_value value;
  for (size_t i = 0; i < e->removed; i++) drop_item(n, e->at);
  for (size_t i = e->at; i < e->at + e->inserted; i++) {
    OK(dunlin_list_get(doc, e->obj, i, &value));
    put_item(n, i, no_key, read_value(doc, &value));
  }
}

/* What the mirror shows at a place must be what the event says was there. */
static void assert_was(const dunlin_doc *doc, const struct node *n, const struct dunlin_value *before) {
  if (before->kind >= DUNLIN_MAP) {
    assert_int_equal(n->obj, before->as.obj.index);
    return;
  }
  struct node *was = read_value(doc, before);
  assert_int_equal(n->kind, was->kind);
  assert_string_equal(n->scalar, was->scalar);
  node_free(was);
}

static void set_key(struct node *n, const dunlin_doc *doc, const struct dunlin_event *e) {
  char key[16];
  size_t at = 0;
  snprintf(key, sizeof key, "%.*s", (int)e->key.len, (const char *)e->key.data);
  while (at < n->count && strcmp(n->items[at].key, key) < 0) at++;
  bool had = at < n->count && !strcmp(n->items[at].key, key);
  assert_int_equal(had, e->had);
  if (had) {
    assert_was(doc, n->items[at].value, &e->before);
    drop_item(n, at);
  }
  if (e->has) put_item(n, at, e->key, read_value(doc, &e->after));
}

/* The mirror keeps members in any order. */
static void set_member(struct node *n, const dunlin_doc *doc, const struct dunlin_event *e) {
  struct dunlin_bytes no_key = {"", 0};
  size_t at = 0;
  assert_int_equal(e->had, !e->has);
  if (e->has) {
    put_item(n, n->count, no_key, read_value(doc, &e->after));
  } else {
    struct node *gone = read_value(doc, &e->before);
    while (at < n->count &&
           (n->items[at].value->kind != gone->kind || strcmp(n->items[at].value->scalar, gone->scalar)))
      at++;
    assert_true(at < n->count);
    drop_item(n, at);
    node_free(gone);
  }
}

void mirror_apply(struct mirror *mirror, const dunlin_doc *doc, const struct dunlin_event *e) {
  if (e->kind == DUNLIN_EVENT_RESET) {
    struct mirror *anew = mirror_read(doc);
    node_free(mirror->root);
    *mirror = *anew;
    free(anew);
    return;
  }
  struct node *n = find_obj(mirror->root, e->obj.index);
  assert_non_null(n); /* nothing is told about what does not show */
  switch (e->kind) {
    case DUNLIN_EVENT_KEY: set_key(n, doc, e); break;
    case DUNLIN_EVENT_MARKS:
    case DUNLIN_EVENT_CONFLICT: break;
    case DUNLIN_EVENT_ITEM:
      assert_was(doc, n->items[e->at].value, &e->before);
      node_free(n->items[e->at].value);
      n->items[e->at].value = read_value(doc, &e->after);
      break;
    case DUNLIN_EVENT_SPLICE:
      assert_true(e->removed || e->inserted);
      if (n->kind == DUNLIN_TEXT) splice_text(n, e, dunlin_doc_unit(doc));
      else splice_list(n, doc, e);
      break;
    case DUNLIN_EVENT_VALUE:
      n->scalar[0] = 0;
      if (e->has) show_value(n, &e->after);
      break;
    case DUNLIN_EVENT_MEMBER: set_member(n, doc, e); break;
    default: fail_msg("an event of kind %d", e->kind);
  }
}

void mirror_follow(struct mirror *mirror, dunlin_doc *doc) {
  struct dunlin_event e;
  int result;
  while ((result = dunlin_next_event(doc, &e)) > 0) mirror_apply(mirror, doc, &e);
  assert_int_equal(result, 0);
}
