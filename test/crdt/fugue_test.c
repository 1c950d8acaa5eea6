/* The order of texts and lists is FugueMax (Weidner and Kleppmann, "The Art of the Fugue: Minimizing Interleaving in
 * Collaborative Text Editing", arXiv 2305.00583): random histories against a second implementation, and against the
 * definition.
 *
 * The second implementation is the paper's tree.  Each character is inserted as the right child of its left origin, or,
 * when its author knew a right child there, as the left child of its right origin.  Left siblings stand in the order of
 * their ids, right siblings in the reverse order of their right origins, ties by id.  An element's place does not
 * depend on which others are there, so one tree serves all replicas: what a replica has is a part of it.
 *
 * The *left origin* is the visible character before the place of insertion, or the start.  The *right origin* is what
 * comes after the left origin in the author's list, deleted characters included, or the end. */
#include "test/support/changes.h"

enum { max_elements = 600, max_changes = 256, max_typed = 12, max_replicas = 5, start = 0, end = max_elements };
enum { words = (max_changes + 63) / 64 };

struct element {
  int left, right; /* origins */
  int change;
  int child[2], next; /* of the tree: first left and right child, next sibling on the same side; 0 for none */
};

struct version {
  uint64_t has[words]; /* changes, parents included */
};

struct event {
  struct dunlin_change_info info;
  struct version past; /* and itself */
  int deleted[64], deleted_count;
};

/* Everything that ever happened, on whatever replica; element 0 is the start. */
struct history {
  bool is_list; /* a list of numbers instead of a text */
  struct element elements[max_elements];
  int element_count;
  struct event changes[max_changes];
  int change_count;
};

/* A list as one version has it, deleted characters included. */
struct list {
  int order[max_elements];
  bool deleted[max_elements]; /* by element */
  int count;
};

/* How often the conditions had something to say: a test of them that meets no case says nothing. */
static struct { size_t forward, backward, excused, ties, tombstones; } met;

static bool has(const struct version *v, int change) {
  return v->has[change / 64] >> (change % 64) & 1;
}
static void add(struct version *v, int change) {
  v->has[change / 64] |= UINT64_C(1) << (change % 64);
}
static void add_all(struct version *v, const struct version *other) {
  for (int i = 0; i < words; i++) v->has[i] |= other->has[i];
}

/* Characters are told apart by their scalar value: one to four bytes, never the same twice. */
static uint32_t scalar_of(int element) {
  return element % 5 == 4 ? 0x10000u + (uint32_t)element : 0x21u + 89u * (uint32_t)element;
}

/* ---- The tree ----------------------------------------------------------------------------------------------- */

/* The lower (actor, number, change id, index): elements are numbered in the order in which a change inserts them. */
static bool lower_id(const struct history *h, int a, int b) {
  const struct dunlin_change_info *x = &h->changes[h->elements[a].change].info;
  const struct dunlin_change_info *y = &h->changes[h->elements[b].change].info;
  int by_actor = memcmp(&x->actor, &y->actor, sizeof x->actor), by_id = memcmp(&x->id, &y->id, sizeof x->id);
  if (by_actor) return by_actor < 0;
  if (x->number != y->number) return x->number < y->number;
  return by_id ? by_id < 0 : a < b;
}

static void visit(const struct history *h, int element, int *order, int *count) {
  const struct element *e = &h->elements[element];
  for (int c = e->child[0]; c; c = h->elements[c].next) visit(h, c, order, count);
  order[(*count)++] = element;
  for (int c = e->child[1]; c; c = h->elements[c].next) visit(h, c, order, count);
}

/* All elements in order, the start first. */
static int whole_order(const struct history *h, int *order) {
  int count = 0;
  visit(h, start, order, &count);
  return count;
}

static void places(const int *order, int count, int *place) {
  for (int i = 0; i < max_elements; i++) place[i] = -1;
  for (int i = 0; i < count; i++) place[order[i]] = i;
  place[end] = max_elements;
}

/* Whether its author had another right child of the left origin before this element. */
static bool left_origin_has_right_child(const struct history *h, int element) {
  const struct element *e = &h->elements[element];
  for (int c = h->elements[e->left].child[1]; c; c = h->elements[c].next)
    if (has(&h->changes[e->change].past, h->elements[c].change)) return true;
  return false;
}

/* Puts an element into the tree; those that its change inserted before it are there. */
static void plant(struct history *h, int element) {
  struct element *e = &h->elements[element];
  int order[max_elements], place[max_elements + 1];
  int side = !left_origin_has_right_child(h, element);
  places(order, whole_order(h, order), place);
  int *at = &h->elements[side ? e->left : e->right].child[side];
  for (; *at; at = &h->elements[*at].next) {
    const struct element *other = &h->elements[*at];
    if (side && other->right != e->right) {
      if (place[other->right] < place[e->right]) break;
    } else if (lower_id(h, element, *at)) {
      break;
    }
  }
  e->next = *at;
  *at = element;
}

static void list_at(const struct history *h, const struct version *v, struct list *out) {
  int order[max_elements], count = whole_order(h, order);
  memset(out->deleted, 0, sizeof out->deleted);
  for (int i = 0; i < h->change_count; i++)
    for (int k = 0; has(v, i) && k < h->changes[i].deleted_count; k++) out->deleted[h->changes[i].deleted[k]] = true;
  out->count = 0;
  for (int i = 0; i < count; i++)
    if (order[i] == start || has(v, h->elements[order[i]].change)) out->order[out->count++] = order[i];
}

/* ---- The definition ----------------------------------------------------------------------------------------- */

/* Strong list specification: every element stands between its origins. */
static void check_between_origins(const struct history *h, const struct list *l, const int *place) {
  for (int i = 1; i < l->count; i++) {
    const struct element *e = &h->elements[l->order[i]];
    assert_in_range(place[e->left], 0, i - 1);
    assert_true(place[e->right] > i);
  }
}

/* Condition 1, forward non-interleaving: if A is the left origin of B, and B comes before all other elements whose left
 * origin is A, then B directly follows A. */
static void check_forward(const struct history *h, const struct list *l) {
  for (int a = 0; a < l->count; a++) {
    int b = 1;
    while (b < l->count && h->elements[l->order[b]].left != l->order[a]) b++;
    if (b == l->count) continue;
    if (b != a + 1) fail_msg("forward: %d, the first with left origin %d, does not follow it", b, a);
    met.forward++;
  }
}

/* Whether `a` descends from `ancestor` by left origins. */
static bool left_descendant(const struct history *h, int a, int ancestor) {
  while (a != ancestor && a != start) a = h->elements[a].left;
  return a == ancestor;
}

/* The exception to condition 2: A and B have different left origins, and between A's left origin and B stands a C that
 * does not descend from A's left origin by left origins.  Then condition 1 already puts C between A and B. */
static bool excused(const struct history *h, const struct list *l, const int *place, int a, int b) {
  int origin = h->elements[l->order[a]].left;
  if (origin == h->elements[l->order[b]].left) return false;
  for (int c = place[origin] + 1; c < b; c++) {
    if (left_descendant(h, l->order[c], origin)) continue;
    assert_true(c > a);
    return true;
  }
  return false;
}

/* Condition 2, backward non-interleaving: if B is the right origin of A, and A comes after all other elements whose
 * right origin is B, then B directly follows A, unless the exception holds. */
static void check_backward(const struct history *h, const struct list *l, const int *place) {
  for (int b = 1; b < l->count; b++) {
    int a = l->count - 1;
    while (a && h->elements[l->order[a]].right != l->order[b]) a--;
    if (!a) continue;
    bool exception = excused(h, l, place, a, b);
    if (a + 1 != b && !exception) fail_msg("backward: %d, the last with right origin %d, is not before it", a, b);
    met.backward++;
    met.excused += exception;
  }
}

/* Condition 3: of two elements with the same left origin and the same right origin, the one with the lower id comes
 * first. */
static void check_ties(const struct history *h, const struct list *l) {
  for (int i = 1; i < l->count; i++)
    for (int k = i + 1; k < l->count; k++) {
      const struct element *a = &h->elements[l->order[i]], *b = &h->elements[l->order[k]];
      if (a->left != b->left || a->right != b->right) continue;
      if (!lower_id(h, l->order[i], l->order[k])) fail_msg("tie: %d before %d", i, k);
      met.ties++;
    }
}

static void check_list(const struct history *h, const struct version *v) {
  struct list l;
  int place[max_elements + 1];
  list_at(h, v, &l);
  places(l.order, l.count, place);
  check_between_origins(h, &l, place);
  check_forward(h, &l);
  check_backward(h, &l, place);
  check_ties(h, &l);
  for (int i = 0; i < l.count; i++) met.tombstones += l.deleted[l.order[i]];
}

/* ---- Replicas ----------------------------------------------------------------------------------------------- */

static struct version version_of(const struct history *h, const dunlin_doc *doc) {
  struct version v = {{0}};
  struct dunlin_change_info info;
  for (int i = 0; i < h->change_count; i++)
    if (!dunlin_doc_find_change(doc, &h->changes[i].info.id, &info)) add(&v, i);
  return v;
}

static size_t read_list(const dunlin_doc *doc, dunlin_obj list, char *out) {
  size_t len = 0;
  for (size_t i = 0; i < dunlin_list_size(doc, list); i++) {
    struct dunlin_value v;
    OK(dunlin_list_get(doc, list, i, &v));
    len += utf8_put((uint8_t *)out + len, (uint32_t)v.as.integer);
  }
  return len;
}

/* The library shows what the tree says. */
static void check_content(const struct history *h, const dunlin_doc *doc) {
  struct version v = version_of(h, doc);
  struct dunlin_value seq;
  struct list l;
  char expected[4 * max_elements], got[4 * max_elements];
  size_t len = 0, got_len = 0;
  list_at(h, &v, &l);
  for (int i = 1; i < l.count; i++)
    if (!l.deleted[l.order[i]]) len += utf8_put((uint8_t *)expected + len, scalar_of(l.order[i]));
  if (!dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("s"), &seq))
    got_len = h->is_list ? read_list(doc, seq.as.obj, got) : dunlin_text_read(doc, seq.as.obj, got, sizeof got);
  assert_int_equal(got_len, len);
  assert_memory_equal(got, expected, len);
}

/* The place in `l` of the visible character number `index`, the start being number 0. */
static int visible_at(const struct list *l, size_t index) {
  int i = 0;
  for (; index; index--) do
      i++;
    while (l->deleted[l->order[i]]);
  return i;
}

static size_t visible_count(const struct list *l) {
  size_t n = 0;
  for (int i = 1; i < l->count; i++) n += !l->deleted[l->order[i]];
  return n;
}

/* One splice as a write; `scalars` of `inserted` are new. */
static void write_splice(const struct history *h, dunlin_doc *doc, size_t index, size_t remove,
                         const uint32_t *inserted, size_t scalars) {
  char utf8[4 * max_typed];
  size_t len = 0;
  dunlin_obj seq;
  seq = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("s"), h->is_list ? DUNLIN_LIST : DUNLIN_TEXT);
  if (!h->is_list) {
    for (size_t i = 0; i < scalars; i++) len += utf8_put((uint8_t *)utf8 + len, inserted[i]);
    OK(dunlin_text_splice(doc, seq, index, remove, utf8, len));
    return;
  }
  OK(dunlin_list_delete(doc, seq, index, remove));
  for (size_t i = 0; i < scalars; i++) OK(dunlin_list_insert(doc, seq, index + i, int_value(inserted[i])));
}

/* One splice, in the model's list and in the document. */
static void splice(struct history *h, struct list *l, dunlin_doc *doc, size_t index, size_t remove, size_t insert) {
  struct event *c = &h->changes[h->change_count];
  uint32_t inserted[max_typed] = {0};
  size_t count = 0;
  for (size_t i = 0; i < remove; i++) {
    int element = l->order[visible_at(l, index + 1)];
    l->deleted[element] = true;
    c->deleted[c->deleted_count++] = element;
  }
  for (int at = visible_at(l, index); count < insert && h->element_count < max_elements; at++) {
    int element = h->element_count++;
    struct element *e = &h->elements[element];
    *e = (struct element){.left = l->order[at], .change = h->change_count};
    e->right = at + 1 < l->count ? l->order[at + 1] : end;
    memmove(&l->order[at + 2], &l->order[at + 1], (size_t)(l->count - at - 1) * sizeof *l->order);
    l->order[at + 1] = element;
    l->count++;
    inserted[count++] = scalar_of(element);
  }
  write_splice(h, doc, index, remove, inserted, count);
}

/* Up to three splices anywhere, or at an end, where others write too. */
static void random_splices(struct history *h, struct list *l, dunlin_doc *doc, size_t deletions, struct rng *rng) {
  for (size_t splices = 1 + rng_below(rng, 3); splices; splices--) {
    size_t size = visible_count(l), index = rng_below(rng, size + 1), most = rng_chance(rng, 1, 6) ? max_typed : 3;
    size_t insert = rng_below(rng, most + 1), remove = 0;
    if (rng_chance(rng, 1, 3)) index = rng_below(rng, 2) ? 0 : size;
    if (rng_chance(rng, deletions, 10)) remove = rng_below(rng, most + 1);
    if (remove > size - index) remove = size - index;
    splice(h, l, doc, index, remove, insert);
  }
}

/* What the tree is told of a change must be what the library made of it. */
static void check_parents(const struct history *h, const dunlin_doc *doc, const struct event *c,
                          const struct version *before) {
  struct version v = {{0}};
  struct dunlin_id parent;
  for (size_t i = 0; i < c->info.parents; i++) {
    OK(dunlin_doc_parent(doc, &c->info.id, i, &parent));
    for (int k = 0; k < h->change_count; k++)
      if (!memcmp(&h->changes[k].info.id, &parent, sizeof parent)) add_all(&v, &h->changes[k].past);
  }
  assert_memory_equal(&v, before, sizeof v);
}

/* Opens a transaction at a version: usually all that the replica has, at times an earlier one. */
static bool open_at(const struct history *h, dunlin_doc *doc, struct version *v, struct rng *rng) {
  *v = version_of(h, doc);
  if (h->change_count && rng_chance(rng, 1, 6)) {
    int some[2] = {(int)rng_below(rng, (size_t)h->change_count), (int)rng_below(rng, (size_t)h->change_count)};
    if (has(v, some[0]) && has(v, some[1])) {
      struct dunlin_id heads[2] = {h->changes[some[0]].info.id, h->changes[some[1]].info.id};
      int error = dunlin_begin_at(doc, heads, 2);
      if (!error) {
        *v = h->changes[some[0]].past;
        add_all(v, &h->changes[some[1]].past);
        return true;
      }
      assert_int_equal(error, DUNLIN_EINVAL); /* its own last change is not in that past */
    }
  }
  int error = dunlin_begin(doc);
  if (error) assert_int_equal(error, DUNLIN_EINVAL); /* its actor is used by another, whose change came in */
  return !error;
}

/* Commits what was spliced into `l` at `before`; false when that made no change, or one that another made too. */
static bool commit(struct history *h, dunlin_doc *doc, const struct list *l, const struct version *before,
                   struct dunlin_id *id) {
  struct event *c = &h->changes[h->change_count];
  int committed = dunlin_commit(doc, 0, id);
  OK(committed);
  if (!committed) return false;
  for (int i = 0; i < h->change_count; i++)
    if (!memcmp(&h->changes[i].info.id, id, sizeof *id)) return false; /* two with one actor deleted the same */
  OK(dunlin_doc_find_change(doc, id, &c->info));
  check_parents(h, doc, c, before);
  add(&c->past, h->change_count++);
  for (int i = 1; i < h->element_count; i++)
    if (h->elements[i].change == h->change_count - 1) plant(h, i);
  struct list planted;
  list_at(h, &c->past, &planted);
  assert_int_equal(planted.count, l->count);
  assert_memory_equal(planted.order, l->order, (size_t)l->count * sizeof *l->order);
  return true;
}

/* One change of splices here and there, or some in a row of one character each: typing, prepending, backspace,
 * delete. */
static void edit(struct history *h, dunlin_doc *doc, size_t deletions, struct rng *rng) {
  enum { typing, prepending, backspace, deleting, anything };
  struct list l;
  struct version before;
  struct dunlin_id last;
  size_t kind = rng_below(rng, 2) ? anything : rng_below(rng, anything);
  if (h->change_count == max_changes || !open_at(h, doc, &before, rng)) return;
  list_at(h, &before, &l);
  size_t index = rng_below(rng, visible_count(&l) + 1), more = kind == anything ? 0 : rng_below(rng, 6);
  for (;; more--) {
    h->changes[h->change_count] = (struct event){.past = before};
    if (kind == anything) random_splices(h, &l, doc, deletions, rng);
    else if (kind == typing) splice(h, &l, doc, index++, 0, 1);
    else if (kind == prepending) splice(h, &l, doc, index, 0, 1);
    else if (kind == backspace && index) splice(h, &l, doc, --index, 1, 0);
    else if (kind == deleting && index < visible_count(&l)) splice(h, &l, doc, index, 1, 0);
    if (!commit(h, doc, &l, &before, &last) || !more) return;
    before = h->changes[h->change_count - 1].past;
    if (h->change_count == max_changes || h->element_count == max_elements) return;
    OK(dunlin_begin_at(doc, &last, 1));
  }
}

/* ---- Delivery ----------------------------------------------------------------------------------------------- */

/* The changes that a replica gives out are those that it has. */
static struct pieces take_apart(const dunlin_doc *from) {
  struct pieces p = pieces_of(from);
  struct dunlin_change_info info;
  assert_int_equal(p.count, dunlin_doc_changes(from));
  for (size_t i = 0; i < p.count; i++) OK(dunlin_doc_find_change(from, &p.changes[i].id, &info));
  return p;
}

/* Everything, or a part of it: the oldest changes, or some here and there that may have to wait for their parents. */
static void deliver(dunlin_doc *from, dunlin_doc *to, struct rng *rng) {
  if (rng_chance(rng, 1, 3)) {
    test_send(from, to);
    return;
  }
  struct pieces p = take_apart(from);
  if (rng_chance(rng, 2, 3)) {
    give_changes(to, p.changes, rng_below(rng, p.count + 1));
  } else {
    for (size_t i = 0; i < p.count; i++) {
      size_t k = rng_below(rng, p.count);
      if (rng_chance(rng, 1, 2)) give_change(to, &p.changes[k]);
    }
  }
  pieces_free(&p);
}

/* ---- Histories ---------------------------------------------------------------------------------------------- */

/* A fourth are of lists.  In one of eight, two replicas use the same actor, so that ties go as far as the change id. */
static void run(struct history *h, uint64_t seed) {
  struct rng rng = rng_of(seed);
  size_t replicas = 2 + rng_below(&rng, max_replicas - 1), steps = 20 + rng_below(&rng, 60);
  size_t deletions = rng_below(&rng, 6), deliveries = 1 + rng_below(&rng, 5);
  bool shared = rng_chance(&rng, 1, 8);
  dunlin_doc *docs[max_replicas];
  struct version v;
  memset(h, 0, sizeof *h);
  h->element_count = 1;
  h->is_list = rng_chance(&rng, 1, 4);
  for (size_t i = 0; i < replicas; i++) docs[i] = test_doc((uint8_t)(shared && i == 1 ? 1 : 1 + i));
  for (size_t i = 0; i < steps; i++) {
    dunlin_doc *doc = docs[rng_below(&rng, replicas)];
    if (rng_chance(&rng, deliveries, 10)) deliver(docs[rng_below(&rng, replicas)], doc, &rng);
    else edit(h, doc, deletions, &rng);
    check_content(h, doc);
  }
  for (size_t i = 0; i < replicas; i++) {
    v = version_of(h, docs[i]);
    check_list(h, &v);
  }
  for (size_t i = 1; i < replicas; i++) test_send(docs[i], docs[0]);
  for (size_t i = 0; i < replicas; i++) {
    test_send(docs[0], docs[i]);
    assert_int_equal(dunlin_doc_changes(docs[i]), h->change_count);
    check_content(h, docs[i]);
    assert_same_doc(docs[i], docs[0]);
  }
  v = version_of(h, docs[0]);
  check_list(h, &v);
  for (size_t i = 0; i < replicas; i++) dunlin_doc_free(docs[i]);
}

static void random_histories(void **state) {
  (void)state;
  uint64_t first = seed_first(), count = seed_count(10000);
  struct history *h = malloc(sizeof *h);
  assert_non_null(h);
  for (uint64_t seed = first; seed < first + count; seed++) {
    char again[64];
    snprintf(again, sizeof again, "TEST_SEED=%llu", (unsigned long long)seed);
    setenv("DUNLIN_RUNNING", again, 1);
    run(h, seed);
  }
  free(h);
  printf("seeds %llu to %llu: forward %zu, backward %zu (excused %zu), ties %zu, deleted %zu\n",
         (unsigned long long)first, (unsigned long long)(first + count - 1), met.forward, met.backward, met.excused,
         met.ties, met.tombstones);
  if (count >= 100) assert_true(met.forward && met.backward > met.excused && met.excused && met.ties && met.tombstones);
}

/* ---- Where FugueMax and Fugue differ ------------------------------------------------------------------------ */

static void type_at(dunlin_doc *doc, size_t index, const char *what) {
  dunlin_obj text;
  OK(dunlin_begin(doc));
  text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  OK(dunlin_text_splice(doc, text, index, 0, what, strlen(what)));
  OK(dunlin_commit(doc, 0, NULL));
}

/* The paper's figure 7: A, B and C at the start, all concurrent; X by one who has A and C, Y by one who has A and B,
 * both behind A.  Y belongs in front of B, its right origin, although its id is lower than that of X. */
static void right_siblings_stand_in_reverse_order_of_right_origins(void **state) {
  (void)state;
  for (int lower = 0; lower < 2; lower++) { /* which of both has the lower actor */
    dunlin_doc *a = test_doc(1), *b = test_doc(2), *c = test_doc(3);
    dunlin_doc *x = test_doc(lower ? 4 : 5), *y = test_doc(lower ? 5 : 4);
    struct dunlin_value text;
    type_at(a, 0, "A");
    type_at(b, 0, "B");
    type_at(c, 0, "C");
    test_send(a, x);
    test_send(c, x);
    type_at(x, 1, "X");
    test_send(a, y);
    test_send(b, y);
    type_at(y, 1, "Y");
    test_sync(x, y);
    test_send(y, a);
    assert_same_doc(x, y);
    assert_same_doc(a, y);
    OK(dunlin_map_get(x, DUNLIN_ROOT, dunlin_key("t"), &text));
    assert_text(x, text.as.obj, "AXYBC");
    dunlin_doc_free(a);
    dunlin_doc_free(b);
    dunlin_doc_free(c);
    dunlin_doc_free(x);
    dunlin_doc_free(y);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(right_siblings_stand_in_reverse_order_of_right_origins),
      cmocka_unit_test(random_histories),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (failed && getenv("DUNLIN_RUNNING")) printf("to run the last seed alone: %s\n", getenv("DUNLIN_RUNNING"));
  return failed;
}
