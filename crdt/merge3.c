/* Merging what two have made of one plain value; and what makes one value into another, as operations. */
#include "crdt/plain.h"

#include "crdt/msgpack.h"

/* Bytes of all paths in a result: a long one, of which there is one in the input, may lead to any number of
 * conflicts. */
#define MERGE_PATHS_MAX (4 * DUNLIN_MAX_PLAIN)

/* What the caller sees, and what it lies in. */
struct merged {
  struct dunlin_merge shown; /* first */
  const struct dunlin_env *env;
  struct plain base, local, remote, result;
  struct buf value; /* the result in the making */
  struct buf paths; /* those of the conflicts and then of the operations, in a row */
  struct dunlin_path_op *ops;
  size_t op_cap;
  struct dunlin_merge_conflict *conflicts;
  size_t conflict_cap;
  struct buf path; /* of the place that is looked at */
};

/* One place in all three; NULL: not there. */
struct three {
  const struct plain_node *base, *local, *remote;
};

/* ---- Merging ------------------------------------------------------------------------------------------------ */

static bool is_kind(const struct plain_node *node, enum dunlin_kind kind) {
  return node && node->value.kind == kind;
}

static struct dunlin_bytes bytes_of(const struct plain *plain, const struct plain_node *node) {
  return node ? plain_bytes(plain, node) : (struct dunlin_bytes){NULL, 0};
}

static bool same(struct dunlin_bytes a, struct dunlin_bytes b) {
  return !a.data == !b.data && bytes_same(a, b);
}

static int append(struct merged *m, struct dunlin_bytes bytes) {
  buf_append(&m->value, bytes.data, bytes.len);
  return m->value.error;
}

static int merge_at(struct merged *m, struct three at, bool *there);

/* Neither side has what the base has, nor what the other has, and there is no finer way. */
static int conflict(struct merged *m, struct dunlin_bytes base, struct dunlin_bytes local, struct dunlin_bytes remote) {
  struct dunlin_merge *shown = &m->shown;
  if (ENV_GROW(m->env, m->conflicts, m->conflict_cap, shown->conflict_count + 1)) return DUNLIN_ENOMEM;
  m->conflicts[shown->conflict_count++] = (struct dunlin_merge_conflict){{NULL, m->path.len}, base, local, remote};
  buf_append(&m->paths, m->path.data, m->path.len);
  if (m->paths.error) return m->paths.error;
  /* What is not there is lower than anything: an edit wins over a deletion. */
  return append(m, bytes_compare(local, remote) > 0 ? local : remote);
}

/* Key by key, in order. */
static int merge_maps(struct merged *m, struct three maps) {
  size_t start = m->value.len, count = 0, depth = m->path.len;
  const struct plain_node *b = is_kind(maps.base, DUNLIN_MAP) ? plain_at(&m->base, maps.base->first) : NULL;
  const struct plain_node *l = plain_at(&m->local, maps.local->first), *r = plain_at(&m->remote, maps.remote->first);
  while (l || r) { /* what only the base has is gone on both sides */
    struct dunlin_bytes key = l && (!r || bytes_compare(l->key, r->key) <= 0) ? l->key : r->key;
    while (b && bytes_compare(b->key, key) < 0) b = plain_at(&m->base, b->next);
    struct three at = {b && bytes_same(b->key, key) ? b : NULL, l && bytes_same(l->key, key) ? l : NULL,
                       r && bytes_same(r->key, key) ? r : NULL};
    size_t before = m->value.len;
    bool there;
    mp_write_str(&m->value, key.data, key.len);
    path_push_key(&m->path, key);
    int error = m->path.error ? m->path.error : merge_at(m, at, &there);
    if (error) return error;
    m->path.len = depth;
    if (there) count++;
    else m->value.len = before;
    if (at.local) l = plain_at(&m->local, l->next);
    if (at.remote) r = plain_at(&m->remote, r->next);
  }
  plain_insert_head(&m->value, start, true, count);
  return m->value.error;
}

/* Elements that one side has inserted. */
struct inserted {
  const struct plain_list *list;
  size_t at, end;
};

static struct dunlin_bytes inserted_bytes(const struct inserted *in, size_t i) {
  return plain_bytes(in->list->plain, plain_element(in->list, i));
}

static int compare_inserted(const struct inserted *a, const struct inserted *b) {
  for (size_t i = a->at, j = b->at; i < a->end && j < b->end; i++, j++) {
    int order = bytes_compare(inserted_bytes(a, i), inserted_bytes(b, j));
    if (order) return order;
  }
  return 0;
}

static int append_inserted(struct merged *m, struct inserted *in, size_t *count) {
  int error = 0;
  for (; !error && in->at < in->end; in->at++, ++*count) error = append(m, inserted_bytes(in, in->at));
  return error;
}

static int merge_inserted(struct merged *m, struct inserted *a, struct inserted *b, size_t *count) {
  int error = 0;
  while (!error && a->at < a->end && b->at < b->end && same(inserted_bytes(a, a->at), inserted_bytes(b, b->at))) {
    error = append(m, inserted_bytes(a, a->at++));
    b->at++;
    ++*count;
  }
  bool swapped = compare_inserted(a, b) > 0; /* different at once, or one of them is empty */
  if (!error) error = append_inserted(m, swapped ? b : a, count);
  if (!error) error = append_inserted(m, swapped ? a : b, count);
  return error;
}

/* Element `i` of the base. */
static int merge_element(struct merged *m, const struct plain_script *l, const struct plain_script *r, size_t i,
                         size_t *count) {
  struct three at = {plain_element(&l->from, i), NULL, NULL};
  size_t depth = m->path.len;
  bool there;
  if (l->target[i] != PLAIN_NONE) at.local = plain_element(&l->to, l->target[i]);
  if (r->target[i] != PLAIN_NONE) at.remote = plain_element(&r->to, r->target[i]);
  path_push_index(&m->path, *count);
  int error = m->path.error ? m->path.error : merge_at(m, at, &there);
  m->path.len = depth;
  if (!error) *count += there;
  return error;
}

static int merge_scripts(struct merged *m, const struct plain_script *l, const struct plain_script *r) {
  size_t start = m->value.len, count = 0, size = l->from.count;
  struct inserted a = {&l->to, 0, 0}, b = {&r->to, 0, 0};
  int error = 0;
  for (size_t i = 0; !error && i <= size; i++) {
    /* What was inserted before an element that one side took out comes before the next that it left. */
    bool a_stays = i == size || l->target[i] != PLAIN_NONE, b_stays = i == size || r->target[i] != PLAIN_NONE;
    if (a_stays) a.end = i == size ? l->to.count : l->target[i];
    if (b_stays) b.end = i == size ? r->to.count : r->target[i];
    error = merge_inserted(m, &a, &b, &count);
    if (!error && i < size) error = merge_element(m, l, r, i, &count);
    if (i < size && a_stays) a.at = l->target[i] + 1;
    if (i < size && b_stays) b.at = r->target[i] + 1;
  }
  if (!error) plain_insert_head(&m->value, start, false, count);
  return error ? error : m->value.error;
}

/* Element by element; `*done` is false when the lists differ too much for that. */
static int merge_lists(struct merged *m, struct three lists, bool *done) {
  struct plain_script l, r;
  int error = plain_compare_lists(&l, m->env, &m->base, lists.base, &m->local, lists.local);
  if (error) return error;
  error = plain_compare_lists(&r, m->env, &m->base, lists.base, &m->remote, lists.remote);
  *done = !error && !l.rough && !r.rough;
  if (*done) error = merge_scripts(m, &l, &r);
  plain_script_free(&l);
  plain_script_free(&r);
  return error;
}

/* Writes what becomes of a place; `*there`: whether something does.  Goes down as far as values do
 * (DUNLIN_MAX_DEPTH). */
static int merge_at(struct merged *m, struct three at, bool *there) {
  struct dunlin_bytes base = bytes_of(&m->base, at.base), local = bytes_of(&m->local, at.local),
                      remote = bytes_of(&m->remote, at.remote);
  *there = true;
  if (same(local, remote) || same(remote, base)) {
    *there = local.data;
    return append(m, local);
  }
  if (same(local, base)) {
    *there = remote.data;
    return append(m, remote);
  }
  if (is_kind(at.local, DUNLIN_MAP) && is_kind(at.remote, DUNLIN_MAP)) return merge_maps(m, at);
  if (is_kind(at.base, DUNLIN_LIST) && is_kind(at.local, DUNLIN_LIST) && is_kind(at.remote, DUNLIN_LIST)) {
    bool done;
    int error = merge_lists(m, at, &done);
    if (error || done) return error;
  }
  return conflict(m, base, local, remote);
}

/* ---- Operations --------------------------------------------------------------------------------------------- */

/* What leads from one value to the other, at m->path. */
struct way {
  struct merged *m;
  const struct plain *from, *to;
};

static int add_op(struct merged *m, enum dunlin_op_kind kind, struct dunlin_bytes value, size_t index) {
  struct dunlin_merge *shown = &m->shown;
  if (ENV_GROW(m->env, m->ops, m->op_cap, shown->op_count + 1)) return DUNLIN_ENOMEM;
  m->ops[shown->op_count++] = (struct dunlin_path_op){kind, {NULL, m->path.len}, value, index};
  buf_append(&m->paths, m->path.data, m->path.len);
  return m->path.error ? m->path.error : m->paths.error;
}

static int way(const struct way *w, const struct plain_node *from, const struct plain_node *to);

static int map_way(const struct way *w, const struct plain_node *from, const struct plain_node *to) {
  struct merged *m = w->m;
  size_t depth = m->path.len;
  const struct plain_node *f = plain_at(w->from, from->first), *t = plain_at(w->to, to->first);
  int error = 0;
  while (!error && (f || t)) {
    int order = !f ? 1 : !t ? -1 : bytes_compare(f->key, t->key);
    path_push_key(&m->path, order <= 0 ? f->key : t->key);
    if (order < 0) error = add_op(m, DUNLIN_OP_DELETE, (struct dunlin_bytes){NULL, 0}, 0);
    else if (order > 0) error = add_op(m, DUNLIN_OP_SET, plain_bytes(w->to, t), 0);
    else error = way(w, f, t);
    m->path.len = depth;
    if (order <= 0) f = plain_at(w->from, f->next);
    if (order >= 0) t = plain_at(w->to, t->next);
  }
  return error;
}

static int list_way(const struct way *w, const struct plain_node *from, const struct plain_node *to) {
  struct merged *m = w->m;
  struct plain_script s;
  size_t depth = m->path.len, at = 0, j = 0;
  int error = plain_compare_lists(&s, m->env, w->from, from, w->to, to);
  if (error) return error;
  for (size_t i = 0; !error && i <= s.from.count; i++) {
    if (i < s.from.count && s.target[i] == PLAIN_NONE) {
      error = add_op(m, DUNLIN_OP_REMOVE, (struct dunlin_bytes){NULL, 0}, at);
      continue;
    }
    size_t until = i < s.from.count ? s.target[i] : s.to.count;
    for (; !error && j < until; j++, at++)
      error = add_op(m, DUNLIN_OP_INSERT, plain_bytes(w->to, plain_element(&s.to, j)), at);
    if (error || i == s.from.count) break;
    path_push_index(&m->path, at++);
    error = way(w, plain_element(&s.from, i), plain_element(&s.to, j++));
    m->path.len = depth;
  }
  plain_script_free(&s);
  return error;
}

static int way(const struct way *w, const struct plain_node *from, const struct plain_node *to) {
  if (w->m->path.error) return w->m->path.error;
  if (same(plain_bytes(w->from, from), plain_bytes(w->to, to))) return 0;
  if (is_kind(from, DUNLIN_MAP) && is_kind(to, DUNLIN_MAP)) return map_way(w, from, to);
  if (is_kind(from, DUNLIN_LIST) && is_kind(to, DUNLIN_LIST)) return list_way(w, from, to);
  return add_op(w->m, DUNLIN_OP_SET, plain_bytes(w->to, to), 0);
}

/* ---- All of it ---------------------------------------------------------------------------------------------- */

/* Nothing moves any more: says where the paths lie. */
static void show(struct merged *m) {
  const char *path = m->paths.len ? (const char *)m->paths.data : ""; /* there may be none, or only empty ones */
  for (size_t i = 0; i < m->shown.conflict_count; i++) {
    m->conflicts[i].path.data = path;
    path += m->conflicts[i].path.len;
  }
  for (size_t i = 0; i < m->shown.op_count; i++) {
    m->ops[i].path.data = path;
    path += m->ops[i].path.len;
  }
  m->shown.ops = m->ops;
  m->shown.conflicts = m->conflicts;
  m->shown.value = plain_bytes(&m->result, m->result.nodes);
}

static int merge_all(struct merged *m) {
  bool there;
  int error = merge_at(m, (struct three){m->base.nodes, m->local.nodes, m->remote.nodes}, &there);
  if (!error) error = plain_open(&m->result, m->env, (struct dunlin_bytes){m->value.data, m->value.len}, true);
  if (error) return error;
  struct way w = {m, &m->local, &m->result};
  error = way(&w, m->local.nodes, m->result.nodes);
  if (!error) show(m);
  return error;
}

int dunlin_merge3(const struct dunlin_env *given, struct dunlin_bytes base, struct dunlin_bytes local,
                  struct dunlin_bytes remote, struct dunlin_merge **out) {
  const struct dunlin_env *env = env_or_default(given);
  struct merged *m = env_calloc(env, 1, sizeof *m);
  if (!m) return DUNLIN_ENOMEM;
  m->env = m->base.env = m->local.env = m->remote.env = m->result.env = env;
  buf_init(&m->value, env, 2 * DUNLIN_MAX_PLAIN);
  buf_init(&m->paths, env, MERGE_PATHS_MAX);
  buf_init(&m->path, env, DUNLIN_MAX_DEPTH * (2 * DUNLIN_MAX_KEY + 1));
  int error = plain_open(&m->base, env, base, true);
  if (!error) error = plain_open(&m->local, env, local, true);
  if (!error) error = plain_open(&m->remote, env, remote, true);
  if (!error) error = merge_all(m);
  if (error) dunlin_merge_free(&m->shown);
  else *out = &m->shown;
  return error;
}

void dunlin_merge_free(struct dunlin_merge *merge) {
  struct merged *m = (struct merged *)merge; /* what is shown comes first */
  if (!m) return;
  plain_close(&m->base);
  plain_close(&m->local);
  plain_close(&m->remote);
  plain_close(&m->result);
  buf_free(&m->value);
  buf_free(&m->paths);
  buf_free(&m->path);
  ENV_FREE_ARRAY(m->env, m->ops, m->op_cap);
  ENV_FREE_ARRAY(m->env, m->conflicts, m->conflict_cap);
  env_free(m->env, m, sizeof *m);
}
