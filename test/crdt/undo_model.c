#include "test/crdt/undo_model.h"

/* ---- What shows --------------------------------------------------------------------------------------------- */

static dunlin_obj child_of(const dunlin_doc *doc, const char *key, enum dunlin_kind kind) {
  return dunlin_map_obj(doc, DUNLIN_ROOT, dunlin_key(key), kind);
}

static void add_item(struct model *m, struct model_seq *seq, int item, int version) {
  HOLDS(m, !set_has(&seq->has, (size_t)item), "item %d is there twice", item);
  seq->items[seq->count] = item;
  seq->versions[seq->count++] = version;
  set_put(&seq->has, (size_t)item);
}

static void show_marks(const dunlin_doc *doc, dunlin_obj text, struct shown *out) {
  struct dunlin_span span;
  for (size_t at = 0; at < out->text.count; at = span.to) {
    OK(dunlin_text_span(doc, text, at, &span));
    for (size_t i = 0; i < span.marks; i++) {
      struct dunlin_bytes key;
      struct dunlin_value value;
      OK(dunlin_text_span_mark(doc, text, at, i, &key, &value));
      size_t k = (size_t)(*(const char *)key.data - 'x');
      for (size_t c = at; c < span.to; c++) out->marks[k][out->text.items[c]] = (int)value.as.integer;
    }
  }
}

/* Whether that value of an element is one that somebody else wrote to it, and not the one with which it came back. */
static bool is_foreign(const struct model *m, size_t r, int item, size_t version) {
  size_t change = m->item[item].written[version];
  int life = model_life(m, r, item);
  return m->change[change].author != r && life >= 0 && !set_has(&m->change[m->item[item].life[life].made].past, change);
}

static void show_list(struct model *m, size_t r, const dunlin_doc *doc, struct shown *out) {
  dunlin_obj list = child_of(doc, "l", DUNLIN_LIST);
  for (size_t i = 0, size = dunlin_list_size(doc, list); i < size; i++) {
    struct dunlin_value value;
    OK(dunlin_list_get(doc, list, i, &value));
    int item = (int)(value.as.integer / model_versions);
    add_item(m, &out->list, item, (int)(value.as.integer % model_versions));
    for (size_t k = 0; !dunlin_list_conflict(doc, list, i, k, &value); k++)
      if (is_foreign(m, r, item, (size_t)(value.as.integer % model_versions))) set_put(&out->foreign, (size_t)item);
  }
}

void model_show(struct model *m, size_t r, struct shown *out) {
  const dunlin_doc *doc = m->replica[r].doc;
  dunlin_obj text = child_of(doc, "t", DUNLIN_TEXT), set = child_of(doc, "s", DUNLIN_SET);
  uint8_t utf8[4 * model_items];
  memset(out, 0, sizeof *out);
  size_t len = dunlin_text_read(doc, text, (char *)utf8, sizeof utf8);
  for (size_t i = 0; i < len; i += 2) /* two bytes each: from U+0100 on */
    add_item(m, &out->text, ((utf8[i] & 31) << 6 | (utf8[i + 1] & 63)) - 0x100, 0);
  show_marks(doc, text, out);
  show_list(m, r, doc, out);
  for (size_t k = 0; k < model_keys; k++) {
    struct dunlin_value value;
    struct dunlin_bytes key = dunlin_key((char[]){(char)('0' + k), 0});
    for (size_t i = 0; i < model_conflicts && !dunlin_map_conflict(doc, DUNLIN_ROOT, key, i, &value); i++)
      out->keys[k].values[out->keys[k].count++] = (int)value.as.integer;
  }
  OK(dunlin_counter_get(doc, child_of(doc, "c", DUNLIN_COUNTER), &out->counter));
  for (size_t i = 0; i < model_members; i++)
    out->members |= (uint8_t)(dunlin_set_has(doc, set, int_value((int64_t)i)) << i);
}

/* ---- Which items show --------------------------------------------------------------------------------------- */

static bool counts(const struct model *m, size_t r, size_t change) {
  return set_has(&m->replica[r].known, change) && !set_has(&m->replica[r].voids, change);
}

/* How many deletions count of a life of an item. */
static size_t deletions(const struct model *m, size_t r, int item, size_t life) {
  size_t count = 0;
  for (size_t i = 0; i < m->item[item].life[life].deletions; i++)
    count += counts(m, r, m->item[item].life[life].deleted[i]);
  return count;
}

int model_life(const struct model *m, size_t r, int item) {
  for (size_t i = m->item[item].lives; i-- > 0;)
    if (counts(m, r, m->item[item].life[i].made) && !deletions(m, r, item, i)) return (int)i;
  return -1;
}

bool model_is_unnamed(const struct model *m, size_t r, int item) {
  int life = model_life(m, r, item);
  if (life < 0) return false;
  for (size_t i = 0; i < m->item[item].life[life].deletions; i++)
    if (set_has(&m->replica[r].known, m->item[item].life[life].deleted[i])) return true;
  return false;
}

void model_check_items(struct model *m, size_t r, const struct shown *now) {
  for (size_t i = 0; i < m->items; i++) {
    const struct model_seq *seq = m->item[i].is_element ? &now->list : &now->text;
    bool shows = model_life(m, r, (int)i) >= 0;
    HOLDS(m, set_has(&seq->has, i) == shows, "replica %zu: item %zu %s", r, i, shows ? "is missing" : "shows");
  }
}

/* ---- Items and an undo -------------------------------------------------------------------------------------- */

static const struct model_change *first_of(const struct model *m, const struct model_step *step) {
  return &m->change[step->changes[0]];
}

/* Whether nothing was void when the step was done, nor is now. */
static bool is_plain(const struct model *m, size_t r, const struct model_step *step) {
  return !step->had_voids && set_is_empty(&m->replica[r].voids);
}

/* Whether one of the step's changes that are not void has it. */
static bool step_has(const struct model *m, size_t r, const struct model_step *step, size_t field, int item) {
  for (size_t i = 0; i < step->count; i++) {
    const char *change = (const char *)&m->change[step->changes[i]];
    if (counts(m, r, step->changes[i]) && set_has((const model_set *)(const void *)(change + field), (size_t)item))
      return true;
  }
  return false;
}

static bool is_of_step(const struct model_step *step, size_t change) {
  for (size_t i = 0; i < step->count; i++)
    if (step->changes[i] == change) return true;
  return false;
}

/* Whether the step has deleted the item, nobody else has, and it is not there. */
static bool comes_back(const struct model *m, size_t r, const struct model_step *step, int item) {
  const struct model_item *it = &m->item[item];
  if (model_life(m, r, item) >= 0) return false;
  for (size_t life = 0; life < it->lives; life++) {
    if (is_of_step(step, it->life[life].made)) continue; /* it had made it itself */
    for (size_t i = 0; i < it->life[life].deletions; i++)
      if (is_of_step(step, it->life[life].deleted[i]) && counts(m, r, it->life[life].deleted[i]) &&
          counts(m, r, it->life[life].made) && deletions(m, r, item, life) == 1)
        return true;
  }
  return false;
}

static bool goes(const struct model *m, size_t r, const struct model_step *step, const struct shown *was, int item) {
  if (model_life(m, r, item) < 0 || !step_has(m, r, step, offsetof(struct model_change, inserted), item)) return false;
  if (model_is_unnamed(m, r, item)) return false;
  return !m->item[item].is_element || !set_has(&was->foreign, (size_t)item);
}

static void check_items(struct model *m, size_t r, const struct model_step *step, const struct shown *was,
                        const struct shown *now) {
  for (size_t i = 0; i < m->items; i++) {
    bool is_element = m->item[i].is_element;
    bool before = set_has(is_element ? &was->list.has : &was->text.has, i);
    bool after = set_has(is_element ? &now->list.has : &now->text.has, i);
    bool expected = before ? !goes(m, r, step, was, (int)i) : comes_back(m, r, step, (int)i);
    HOLDS(m, after == expected, "replica %zu, undone: %s %zu should %sbe there", r,
          is_element ? "element" : "character", i, expected ? "" : "not ");
  }
}

/* ---- Their order -------------------------------------------------------------------------------------------- */

static bool others_moved(const struct model *m, size_t r, const struct model_step *step, size_t item, bool ever) {
  for (size_t k = 0; k < m->changes; k++)
    if (set_has(&m->replica[r].known, k) && set_has(&m->change[k].moved, item) &&
        (ever || (m->change[k].author != r && !set_has(&first_of(m, step)->past, k))))
      return true;
  return false;
}

/* Whether somebody else has moved the element who had seen all of the step. */
static bool is_moved_since(const struct model *m, size_t r, const struct model_step *step, size_t item) {
  for (size_t k = 0; k < m->changes; k++)
    if (counts(m, r, k) && set_has(&m->change[k].moved, item) && m->change[k].author != r && m->change[k].is_edit &&
        set_has(&m->change[k].past, step->changes[step->count - 1]))
      return true;
  return false;
}

/* Whether the item is one that somebody else has brought back, beside what others inserted at the same time. */
static bool others_brought_back(const struct model *m, size_t r, const struct model_step *step, size_t item) {
  int life = model_life(m, r, (int)item);
  if (life <= 0) return false;
  size_t made = m->item[item].life[life].made;
  return m->change[made].author != r && !set_has(&first_of(m, step)->past, made);
}

/* Those of the items that are in both stand in the same order. */
static void same_order(struct model *m, const struct model_seq *a, const struct model_seq *b, const model_set *but) {
  size_t at = 0;
  for (size_t i = 0; i < a->count; i++) {
    size_t item = (size_t)a->items[i];
    if (set_has(but, item) || !set_has(&b->has, item)) continue;
    while (at < b->count && (set_has(but, (size_t)b->items[at]) || !set_has(&a->has, (size_t)b->items[at]))) at++;
    HOLDS(m, at < b->count && b->items[at] == (int)item, "item %zu is out of order", item);
    at++;
  }
}

static void check_order(struct model *m, size_t r, const struct model_step *step, const struct model_seq *was,
                        const struct model_seq *now, const struct model_seq *before) {
  model_set but = {{0}}, moved = {{0}};
  for (size_t i = 0; i < m->items; i++) {
    bool moves = step_has(m, r, step, offsetof(struct model_change, moved), (int)i);
    if (moves && !is_moved_since(m, r, step, i)) set_put(&but, i);
    if (others_moved(m, r, step, i, true) || others_brought_back(m, r, step, i)) set_put(&moved, i);
  }
  same_order(m, was, now, &but); /* what stayed */
  if (!is_plain(m, r, step)) return;
  same_order(m, before, now, &moved); /* what has come back */
  if (!step->is_edit) return;
  for (size_t i = 0; i < m->items; i++) { /* what went back to where it was */
    if (!set_has(&but, i) || !set_has(&before->has, i) || others_moved(m, r, step, i, false)) continue;
    bool was_moved = set_has(&moved, i);
    moved.words[i / 64] &= ~((uint64_t)1 << i % 64);
    same_order(m, before, now, &moved);
    if (was_moved) set_put(&moved, i);
  }
}

/* ---- Values of elements ------------------------------------------------------------------------------------- */

static int version_of(const struct model_seq *seq, size_t item) {
  for (size_t i = 0; i < seq->count; i++)
    if (seq->items[i] == (int)item) return seq->versions[i];
  return -1;
}

static bool others_wrote(const struct model *m, size_t r, const struct model_step *step, size_t item) {
  for (size_t k = 0; k < m->changes; k++)
    if (set_has(&m->replica[r].known, k) && set_has(&m->change[k].written, item) && m->change[k].author != r &&
        (!step->is_edit || !set_has(&first_of(m, step)->past, k)))
      return true;
  return false;
}

static void check_values(struct model *m, size_t r, const struct model_step *step, const struct shown *was,
                         const struct shown *now) {
  for (size_t i = 0; i < now->list.count; i++) {
    size_t item = (size_t)now->list.items[i];
    bool wrote = step_has(m, r, step, offsetof(struct model_change, written), (int)item);
    int old = version_of(&was->list, item), before = version_of(&step->before->list, item);
    if (old >= 0 && !wrote)
      HOLDS(m, now->list.versions[i] == old, "element %zu has changed: %d, %d before", item, now->list.versions[i],
            old);
    else if (is_plain(m, r, step) && before >= 0 && !others_wrote(m, r, step, item))
      HOLDS(m, now->list.versions[i] == before, "element %zu shows %d and not %d", item, now->list.versions[i], before);
  }
}

/* ---- Keys --------------------------------------------------------------------------------------------------- */

static bool wins(const struct model *m, int value, int over) {
  const struct model_change *a = &m->change[m->value_change[value]], *b = &m->change[m->value_change[over]];
  return a->lamport != b->lamport ? a->lamport > b->lamport : a->author > b->author;
}

static bool has_value(const struct shown *shown, size_t key, int value) {
  for (size_t i = 0; i < shown->keys[key].count; i++)
    if (shown->keys[key].values[i] == value) return true;
  return false;
}

/* What there was at a key before a step, and what was lost there; without what others have replaced since. */
struct befores {
  int values[2 * model_conflicts];
  size_t count;
};

static bool is_replaced(const struct model *m, const struct model_step *step, const struct shown *was, size_t key,
                        int value) {
  for (size_t k = 0; k < was->keys[key].count; k++) {
    int live = was->keys[key].values[k];
    if (set_has(&step->values, (size_t)live)) continue;
    if (live == value || set_has(&m->change[m->value_change[live]].past, m->value_change[value])) return true;
  }
  return false;
}

static void add_before(const struct model *m, const struct model_step *step, const struct shown *was, size_t key,
                       int value, struct befores *out) {
  if (is_replaced(m, step, was, key, value) || out->count == 2 * model_conflicts) return;
  out->values[out->count++] = value;
}

static struct befores befores_of(const struct model *m, size_t r, const struct model_step *step,
                                 const struct shown *was, size_t key) {
  const struct model_replica *rep = &m->replica[r];
  struct befores out = {.count = 0};
  for (size_t i = 0; i < step->before->keys[key].count; i++)
    add_before(m, step, was, key, step->before->keys[key].values[i], &out);
  for (size_t i = 0; i < rep->lost_count; i++) {
    const struct model_lost *lost = &rep->lost[i];
    bool is_live = has_value(was, key, lost->value) && set_has(&step->values, (size_t)lost->value);
    if (is_live && lost->change > step->changes[step->count - 1]) add_before(m, step, was, key, lost->lost, &out);
  }
  return out;
}

/* The one of them that would show now without the step; 0: nothing, or what others have written. */
static int value_before(const struct model *m, size_t r, const struct model_step *step, const struct shown *was,
                        size_t key) {
  struct befores befores = befores_of(m, r, step, was, key);
  int best = 0, other = 0;
  for (size_t i = 0; i < befores.count; i++)
    if (!best || wins(m, befores.values[i], best)) best = befores.values[i];
  for (size_t k = 0; k < was->keys[key].count && !other; k++)
    if (!set_has(&step->values, (size_t)was->keys[key].values[k])) other = was->keys[key].values[k];
  return best && other && wins(m, other, best) ? 0 : best;
}

void model_lose(struct model *m, size_t r, const struct model_step *step, size_t change, const struct shown *was,
                const struct shown *now) {
  struct model_replica *rep = &m->replica[r];
  for (size_t key = 0; key < model_keys; key++) {
    if (!now->keys[key].count || has_value(was, key, now->keys[key].values[0])) continue;
    struct befores befores = befores_of(m, r, step, was, key);
    for (size_t i = 0; i < befores.count && rep->lost_count < model_values; i++)
      if (befores.values[i] != now->keys[key].values[0])
        rep->lost[rep->lost_count++] = (struct model_lost){now->keys[key].values[0], befores.values[i], change};
  }
}

static bool is_written_since(const struct model *m, const struct model_step *step, const struct shown *was,
                             size_t key) {
  for (size_t i = 0; i < was->keys[key].count; i++)
    if (!set_has(&m->change[step->changes[step->count - 1]].past, m->value_change[was->keys[key].values[i]]))
      return true;
  return false;
}

static void check_key(struct model *m, size_t r, const struct model_step *step, const struct shown *was,
                      const struct shown *now, size_t key) {
  size_t own = 0, count = was->keys[key].count;
  for (size_t i = 0; i < count; i++) own += set_has(&step->values, (size_t)was->keys[key].values[i]);
  for (size_t i = 0; i < count; i++)
    if (!set_has(&step->values, (size_t)was->keys[key].values[i]))
      HOLDS(m, has_value(now, key, was->keys[key].values[i]), "key %zu: %d of others is gone", key,
            was->keys[key].values[i]);
  if (!is_plain(m, r, step)) return;
  bool is_deleted = step->deleted_keys >> key & 1, touches = step->touched_keys >> key & 1;
  if (!touches || (is_deleted ? is_written_since(m, step, was, key) : !own)) {
    HOLDS(m, now->keys[key].count == count, "key %zu has %zu values and not %zu", key, now->keys[key].count, count);
    HOLDS(m, !count || now->keys[key].values[0] == was->keys[key].values[0], "key %zu shows something else", key);
    return;
  }
  int before = value_before(m, r, step, was, key);
  if (!step->is_edit && count > own) return; /* what stood for what long ago is forgotten: */
  int shown = step->before->keys[key].count ? step->before->keys[key].values[0] : 0;
  if (before && now->keys[key].count && now->keys[key].values[0] == shown) before = shown;
  HOLDS(m, !before || (now->keys[key].count && now->keys[key].values[0] == before), "key %zu does not show %d", key,
        before);
  HOLDS(m, now->keys[key].count == count - own + (before != 0), "key %zu has %zu values", key, now->keys[key].count);
}

/* ---- Marks, counters, members -------------------------------------------------------------------------------- */

/* How many changes have marked texts under the key. */
static size_t count_marks(const struct model *m, size_t r, size_t key) {
  size_t count = 0;
  for (size_t k = 0; k < m->changes; k++) count += set_has(&m->replica[r].known, k) && m->change[k].marks >> key & 1;
  return count;
}

bool model_others_marked(const struct model *m, size_t r, const struct model_step *step, size_t key) {
  for (size_t k = 0; k < m->changes; k++)
    if (set_has(&m->replica[r].known, k) && (m->change[k].cuts || m->change[k].marks >> key & 1) &&
        m->change[k].author != r && (!step || !set_has(&first_of(m, step)->past, k)))
      return true;
  return false;
}

static void check_marks(struct model *m, size_t r, const struct model_step *step, const struct shown *was,
                        const struct shown *now, size_t key) {
  bool brings_back = false;
  for (size_t i = 0; i < now->text.count; i++) brings_back |= !set_has(&was->text.has, (size_t)now->text.items[i]);
  /* A mark that comes back with characters is a new one, which wins over all others. */
  bool others = model_others_marked(m, r, step, key) || (brings_back && count_marks(m, r, key) > 1);
  for (size_t i = 0; i < now->text.count; i++) {
    int item = now->text.items[i], mark = now->marks[key][item], old = was->marks[key][item];
    bool stayed = set_has(&was->text.has, (size_t)item);
    if (step->is_edit)
      HOLDS(m, !mark || !set_has(&step->marks, (size_t)mark), "character %d: mark %d is still there", item, mark);
    if (!others && step->is_edit && set_has(&step->before->text.has, (size_t)item))
      HOLDS(m, mark == step->before->marks[key][item], "character %d has mark %d and not %d", item, mark,
            step->before->marks[key][item]);
    else if (stayed && step->is_edit && !brings_back && !(step->unmarked >> key & 1) &&
             !set_has(&step->marks, (size_t)old))
      HOLDS(m, mark == old, "character %d has mark %d, %d before", item, mark, old);
  }
}

static bool others_toggled(const struct model *m, size_t r, const struct model_step *step, size_t member) {
  for (size_t k = 0; k < m->changes; k++)
    if (set_has(&m->replica[r].known, k) && m->change[k].members >> member & 1 && m->change[k].author != r &&
        !set_has(&first_of(m, step)->past, k))
      return true;
  return false;
}

static void check_members(struct model *m, size_t r, const struct model_step *step, const struct shown *was,
                          const struct shown *now) {
  int64_t amount = 0;
  uint8_t touched = 0;
  for (size_t i = 0; i < step->count; i++) {
    if (!counts(m, r, step->changes[i])) continue;
    amount += m->change[step->changes[i]].amount;
    touched |= m->change[step->changes[i]].members;
  }
  HOLDS(m, now->counter == was->counter - amount, "the counter went from %lld to %lld", (long long)was->counter,
        (long long)now->counter);
  for (size_t i = 0; i < model_members; i++) {
    bool before = step->before->members >> i & 1, old = was->members >> i & 1, is = now->members >> i & 1;
    if (!(touched >> i & 1)) HOLDS(m, is == old, "member %zu has changed", i);
    else if (is_plain(m, r, step) && !others_toggled(m, r, step, i))
      HOLDS(m, is == before, "member %zu is not what it was", i);
  }
}

void model_check_undone(struct model *m, size_t r, const struct model_step *step, const struct shown *was,
                        const struct shown *now) {
  check_items(m, r, step, was, now);
  check_order(m, r, step, &was->text, &now->text, &step->before->text);
  check_order(m, r, step, &was->list, &now->list, &step->before->list);
  check_values(m, r, step, was, now);
  for (size_t k = 0; k < model_keys; k++) check_key(m, r, step, was, now, k);
  if (is_plain(m, r, step))
    for (size_t k = 0; k < model_mark_keys; k++) check_marks(m, r, step, was, now, k);
  check_members(m, r, step, was, now);
}
