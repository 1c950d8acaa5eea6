/* Changes that came before their parents.  Each waits for one of the missing ones at a time.  When that has come the
 * change is *ready*, and so it is when the parent was refused, since then it is refused too.  What is ready stays in
 * the queue until it was judged: where memory runs out, the next call goes on.
 *
 * The queue is bounded.  What does not fit is left out and must be given again, which whoever feeds the document from a
 * store does as soon as other changes have come (persist/store_doc.c): so nobody can keep others' changes out by
 * filling it. */
#include <string.h>

#include "crdt/internal.h"

/* What a change that waits takes beside its bytes: its place, and slots in tables that are never fuller than three
 * quarters, and at times just over half that. */
#define PENDING_COST (sizeof(struct pending) + 4 * sizeof(struct idmap_slot))

void pending_init(struct pending_queue *q, uint64_t seed) {
  *q = (struct pending_queue){.free = IDMAP_NONE, .ready = IDMAP_NONE, .ready_last = IDMAP_NONE};
  q->waiting.seed = q->places.seed = q->refused.seed = seed;
}

void pending_free(struct pending_queue *q, const struct dunlin_env *env) {
  for (size_t i = 0; i < q->count; i++)
    env_free(env, (void *)(uintptr_t)q->list[i].change.bytes.data, q->list[i].change.bytes.len);
  ENV_FREE_ARRAY(env, q->list, q->cap);
  ENV_FREE_ARRAY(env, q->refused_ids, q->refused_cap);
  idmap_free(&q->waiting, env);
  idmap_free(&q->places, env);
  idmap_free(&q->refused, env);
}

/* A change waits once for each author that it is said to be by. */
static struct dunlin_id key_of(const struct dunlin_id *id, const struct dunlin_actor *author) {
  struct dunlin_id key = *id;
  if (!author) return key;
  for (size_t i = 0; i < sizeof author->bytes; i++) key.bytes[i] ^= author->bytes[i];
  key.bytes[sizeof key.bytes - 1] ^= 1; /* not that of no author, whatever the author's bytes */
  return key;
}

static size_t cost_of(const struct change_id_bytes *change) {
  return change->bytes.len + PENDING_COST;
}

/* ---- In and out --------------------------------------------------------------------------------------------- */

int pending_add(dunlin_doc *doc, const struct change_id_bytes *change, const struct dunlin_actor *author,
                const struct dunlin_id *missing) {
  struct pending_queue *q = &doc->pending;
  struct dunlin_id key = key_of(&change->id, author);
  uint32_t at = q->free, next = idmap_get(&q->waiting, missing);
  if (idmap_get(&q->places, &key) != IDMAP_NONE) return 0;
  if (cost_of(change) > DUNLIN_MAX_PENDING - q->bytes) return DUNLIN_ELIMIT;
  if (at == IDMAP_NONE) at = (uint32_t)q->count;
  if (ENV_GROW(doc->env, q->list, q->cap, at + 1)) return DUNLIN_ENOMEM;
  void *bytes = env_alloc(doc->env, change->bytes.len);
  int error = bytes ? idmap_put(&q->places, doc->env, &key, at) : DUNLIN_ENOMEM;
  if (!error) {
    error = idmap_put(&q->waiting, doc->env, missing, at);
    if (error) idmap_remove(&q->places, &key);
  }
  if (error) {
    env_free(doc->env, bytes, change->bytes.len);
    return error;
  }
  if (at == q->count) q->count++;
  else q->free = q->list[at].next;
  memcpy(bytes, change->bytes.data, change->bytes.len);
  q->list[at] =
      (struct pending){.change = {change->id, {bytes, change->bytes.len}, NULL}, .has_author = author, .next = next};
  if (author) q->list[at].author = *author;
  q->used++;
  q->bytes += cost_of(change);
  return 0;
}

/* The first of those that are ready leaves the queue. */
static void drop_ready(dunlin_doc *doc) {
  struct pending_queue *q = &doc->pending;
  uint32_t at = q->ready;
  struct pending *p = &q->list[at];
  struct dunlin_id key = key_of(&p->change.id, p->has_author ? &p->author : NULL);
  idmap_remove(&q->places, &key);
  q->ready = p->next;
  q->bytes -= cost_of(&p->change);
  q->used--;
  env_free(doc->env, (void *)(uintptr_t)p->change.bytes.data, p->change.bytes.len);
  *p = (struct pending){.next = q->free};
  q->free = at;
}

/* What waited for the change is ready, behind what was so before. */
static void wake(dunlin_doc *doc, const struct dunlin_id *id) {
  struct pending_queue *q = &doc->pending;
  uint32_t first = q->waiting.used ? idmap_get(&q->waiting, id) : IDMAP_NONE;
  if (first == IDMAP_NONE) return;
  idmap_remove(&q->waiting, id);
  if (q->ready == IDMAP_NONE) q->ready = first;
  else q->list[q->ready_last].next = first;
  while (q->list[first].next != IDMAP_NONE) first = q->list[first].next;
  q->ready_last = first;
}

/* ---- What was refused --------------------------------------------------------------------------------------- */

bool pending_refused(const dunlin_doc *doc, const struct dunlin_id *id) {
  const struct idmap *refused = &doc->pending.refused;
  return refused->used && idmap_get(refused, id) != IDMAP_NONE;
}

/* Without memory, and when it is forgotten for others, what builds on it waits as if the change had never come. */
static void remember(dunlin_doc *doc, const struct dunlin_id *id) {
  struct pending_queue *q = &doc->pending;
  if (pending_refused(doc, id)) return;
  if (q->refused_count < DUNLIN_MAX_REFUSED) {
    if (ENV_GROW(doc->env, q->refused_ids, q->refused_cap, q->refused_count + 1)) return;
  } else {
    idmap_remove(&q->refused, &q->refused_ids[q->refused_next]);
  }
  if (idmap_put(&q->refused, doc->env, id, 1)) return;
  if (q->refused_count < DUNLIN_MAX_REFUSED) q->refused_count++;
  q->refused_ids[q->refused_next] = *id;
  q->refused_next = (q->refused_next + 1) % DUNLIN_MAX_REFUSED;
}

int pending_judged(dunlin_doc *doc, const struct dunlin_id *id, int outcome, struct dunlin_applied *result) {
  if (outcome < 0 && outcome != DUNLIN_EREFUSED && outcome != DUNLIN_EAUTH) return outcome;
  result->applied += outcome == 1;
  result->refused += outcome < 0;
  if (outcome == DUNLIN_EREFUSED) remember(doc, id);
  if (outcome == 1 || outcome == DUNLIN_EREFUSED) wake(doc, id); /* else its true author may still bring it */
  return 0;
}

/* ---- Going on ----------------------------------------------------------------------------------------------- */

/* Looks for the parents that were not there before.  DUNLIN_ENOENT: `missing` is not there either; DUNLIN_EREFUSED: and
 * will not be. */
static int find_more(dunlin_doc *doc, struct pending *p, struct dunlin_id *missing) {
  struct mp_reader r = mp_reader_of(p->change.bytes.data, p->change.bytes.len);
  mp_read_array(&r, 7);
  struct dunlin_bytes refs = mp_read_bin(&r, SIZE_MAX);
  for (; p->found < refs.len / sizeof *missing; p->found++) {
    uint32_t change;
    memcpy(missing->bytes, (const uint8_t *)refs.data + p->found * sizeof *missing, sizeof *missing);
    int error = names_find(doc, missing, &change);
    if (error) return error;
    if (change == IDMAP_NONE) return pending_refused(doc, missing) ? DUNLIN_EREFUSED : DUNLIN_ENOENT;
  }
  return 0;
}

/* The first of those that are ready has to wait again. */
static int wait_again(dunlin_doc *doc, const struct dunlin_id *missing) {
  struct pending_queue *q = &doc->pending;
  uint32_t at = q->ready, next = idmap_get(&q->waiting, missing);
  int error = idmap_put(&q->waiting, doc->env, missing, at);
  if (error) return error;
  q->ready = q->list[at].next;
  q->list[at].next = next;
  return 0;
}

int pending_go_on(dunlin_doc *doc, struct dunlin_applied *result) {
  struct pending_queue *q = &doc->pending;
  int error = 0;
  while (!error && q->ready != IDMAP_NONE) {
    struct pending *p = &q->list[q->ready];
    struct dunlin_id id = p->change.id, missing;
    int outcome = find_more(doc, p, &missing);
    if (!outcome) outcome = take_change(doc, &p->change, p->has_author ? &p->author : NULL, &missing);
    if (outcome == DUNLIN_ENOENT) {
      error = wait_again(doc, &missing);
      continue;
    }
    error = pending_judged(doc, &id, outcome, result);
    if (!error) drop_ready(doc);
  }
  return error;
}

/* ---- Checking ----------------------------------------------------------------------------------------------- */

/* How many there are from `first` on; more than there can be when they go round. */
static size_t chain_length(const struct pending_queue *q, uint32_t first, bool is_free) {
  size_t length = 0;
  for (uint32_t at = first; at != IDMAP_NONE && length <= q->count; at = q->list[at].next, length++)
    if (at >= q->count || !q->list[at].change.bytes.data != is_free) return q->count + 1;
  return length;
}

int pending_check(const dunlin_doc *doc) {
  const struct pending_queue *q = &doc->pending;
  size_t used = 0, bytes = 0, linked = chain_length(q, q->ready, false);
  for (size_t i = 0; i < q->count; i++) {
    const struct pending *p = &q->list[i];
    if (!p->change.bytes.data) continue;
    struct dunlin_id key = key_of(&p->change.id, p->has_author ? &p->author : NULL);
    if (idmap_get(&q->places, &key) != i) return DUNLIN_ECORRUPT;
    used++;
    bytes += cost_of(&p->change);
  }
  for (size_t i = 0; i < q->waiting.cap; i++)
    if (q->waiting.slots[i].value != IDMAP_NONE) linked += chain_length(q, q->waiting.slots[i].value, false);
  if (used != q->used || bytes != q->bytes || linked != used || q->places.used != used) return DUNLIN_ECORRUPT;
  return used + chain_length(q, q->free, true) == q->count ? 0 : DUNLIN_ECORRUPT;
}
