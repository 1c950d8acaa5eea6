/* Versions, and taking changes in. */
#include "test/oracle/private.h"

/* ---- Sets of changes --------------------------------------------------------------------------------------------- */

void oracle_set_add(struct oracle_set *set, uint32_t change) {
  ORACLE_ROOM(set->changes, set->cap, set->count);
  set->changes[set->count++] = change;
}

void oracle_set_free(struct oracle_set *set) {
  ORACLE_FREE(set->changes, set->cap);
}

void oracle_set_drop(struct oracle_set *set, uint32_t change) {
  while (set->count && set->changes[set->count - 1] == change) set->count--;
}

bool oracle_any_in_version(const struct oracle *o, const struct oracle_set *set) {
  for (size_t i = 0; i < set->count; i++)
    if (o->in_version[set->changes[i]]) return true;
  return false;
}

bool oracle_any_in_force(const struct oracle *o, const struct oracle_set *set) {
  for (size_t i = 0; i < set->count; i++)
    if (!o->changes[set->changes[i]].is_void) return true;
  return false;
}

/* ---- Orders ------------------------------------------------------------------------------------------------------ */

bool oracle_before(const struct oracle *o, uint32_t change, uint32_t index, uint32_t other, uint32_t other_index) {
  if (change == other) return index < other_index;
  const struct oracle_change *a = &o->changes[change], *b = &o->changes[other];
  int order = actor_compare(&a->actor, &b->actor);
  if (order) return order < 0;
  if (a->number != b->number) return a->number < b->number;
  return id_compare(&a->id, &b->id) < 0;
}

bool oracle_wins(const struct oracle *o, uint32_t change, uint32_t index, uint32_t other, uint32_t other_index) {
  if (change == other) return index > other_index;
  const struct oracle_change *a = &o->changes[change], *b = &o->changes[other];
  if (a->lamport != b->lamport) return a->lamport > b->lamport;
  int order = actor_compare(&a->actor, &b->actor);
  return order ? order > 0 : id_compare(&a->id, &b->id) > 0;
}

/* ---- The version at which a change's operations are read --------------------------------------------------------- */

static void go_to(struct oracle *o, const struct oracle_set *parents) {
  if (parents->count == 1 && parents->changes[0] == o->version_of) return;
  o->version_of = ORACLE_NONE;
  if (o->count) memset(o->in_version, 0, o->count);
  for (size_t i = 0; i < parents->count; i++) o->in_version[parents->changes[i]] = 1;
  for (size_t i = o->count; i-- > 0;) {
    const struct oracle_set *above = &o->changes[i].parents;
    for (size_t k = 0; o->in_version[i] && k < above->count; k++) o->in_version[above->changes[k]] = 1;
  }
}

/* ---- A change ---------------------------------------------------------------------------------------------------- */

/* Whether actor and number are what they must be: the number after the highest in the version, and the actor left out
 * exactly when its previous change is a parent, which then comes first. */
static bool header_valid(const struct oracle *o, const struct change *change, const struct oracle_change *made) {
  uint64_t next = 0;
  for (size_t i = 0; i < o->count; i++) {
    const struct oracle_change *c = &o->changes[i];
    if (o->in_version[i] && !actor_compare(&c->actor, &made->actor) && c->number >= next) next = c->number + 1;
  }
  if (change->number != next) return false;
  for (size_t i = 0; next && i < made->parents.count; i++) {
    const struct oracle_change *parent = &o->changes[made->parents.changes[i]];
    if (!actor_compare(&parent->actor, &made->actor) && parent->number + 1 == next) return !change->actor && !i;
  }
  return change->actor;
}

/* Takes a change whose parents are there; DUNLIN_EREFUSED. */
static int take_change(struct oracle *o, const struct change_id_bytes *given, const struct change *change,
                       struct oracle_change *made) {
  made->id = given->id;
  made->number = change->number;
  made->actor = change->actor ? *change->actor : o->changes[made->parents.changes[0]].actor;
  made->is_void = idmap_get(&o->voids, &given->id) != IDMAP_NONE;
  for (size_t i = 0; i < made->parents.count; i++) {
    uint64_t above = o->changes[made->parents.changes[i]].lamport + 1;
    if (above > made->lamport) made->lamport = above;
  }
  go_to(o, &made->parents);
  if (!header_valid(o, change, made)) return DUNLIN_EREFUSED;
  ORACLE_ROOM(o->changes, o->cap, o->count);
  ORACLE_ROOM(o->in_version, o->version_cap, o->count);
  o->open = (uint32_t)o->count++;
  o->changes[o->open] = *made;
  o->in_version[o->open] = 1; /* an operation sees those before it in the change */
  o->version_of = o->open;
  if (!oracle_apply_rows(o, change) && oracle_is_canonical(o, change)) {
    if (idmap_put(&o->ids, dunlin_env_default(), &given->id, o->open)) abort();
    return 0;
  }
  oracle_take_back(o);
  o->version_of = ORACLE_NONE;
  o->count--;
  return DUNLIN_EREFUSED;
}

static void refuse(struct oracle *o, const struct dunlin_id *id) {
  if (idmap_put(&o->refused, dunlin_env_default(), id, 1)) abort();
}

/* Finds the parents' numbers.  DUNLIN_EREFUSED: one was refused; DUNLIN_ENOENT: one is missing. */
static int find_parents(const struct oracle *o, const struct change *change, struct oracle_set *parents) {
  int error = 0;
  for (size_t i = 0; i < change->parent_count && error != DUNLIN_EREFUSED; i++) {
    struct dunlin_id id;
    memcpy(id.bytes, change->parents + sizeof id * i, sizeof id);
    uint32_t parent = idmap_get(&o->ids, &id);
    if (parent != IDMAP_NONE) oracle_set_add(parents, parent);
    else error = idmap_get(&o->refused, &id) == IDMAP_NONE ? DUNLIN_ENOENT : DUNLIN_EREFUSED;
  }
  return error;
}

struct intake {
  struct oracle *oracle;
  bool left_out;
};

static int take_in(void *ctx, const struct change_id_bytes *given) {
  struct intake *in = ctx;
  struct oracle *o = in->oracle;
  struct change change;
  struct oracle_change made = {.number = 0};
  if (idmap_get(&o->ids, &given->id) != IDMAP_NONE || idmap_get(&o->refused, &given->id) != IDMAP_NONE) return 0;
  int error = change_parse(given->bytes, &change);
  if (error) return error;
  error = find_parents(o, &change, &made.parents);
  in->left_out |= error == DUNLIN_ENOENT;
  if (error == DUNLIN_EREFUSED) refuse(o, &given->id);
  if (!error) {
    error = take_change(o, given, &change, &made);
    if (!error) return 0;
    refuse(o, &given->id);
    o->refused_count++;
  }
  oracle_set_free(&made.parents);
  return 0;
}

/* ---- The oracle -------------------------------------------------------------------------------------------------- */

struct oracle *oracle_new(const struct dunlin_id *doc) {
  struct oracle *o = calloc(1, sizeof *o);
  if (!o) abort();
  o->doc = *doc;
  o->version_of = ORACLE_NONE;
  oracle_container_new(o, DUNLIN_MAP, 0)->id.bytes[0] = DUNLIN_MAP;
  return o;
}

void oracle_free(struct oracle *o) {
  if (!o) return;
  for (size_t i = 0; i < o->container_count; i++) oracle_container_free(o->containers[i]);
  for (size_t i = 0; i < o->count; i++) oracle_set_free(&o->changes[i].parents);
  ORACLE_FREE(o->containers, o->container_cap);
  ORACLE_FREE(o->changes, o->cap);
  ORACLE_FREE(o->in_version, o->version_cap);
  ORACLE_FREE(o->made, o->made_cap);
  idmap_free(&o->ids, dunlin_env_default());
  idmap_free(&o->refused, dunlin_env_default());
  idmap_free(&o->voids, dunlin_env_default());
  free(o);
}

int oracle_apply(struct oracle *o, const void *delta, size_t len) {
  struct intake in = {.oracle = o};
  int error = delta_read(dunlin_env_default(), &o->doc, delta, len, take_in, &in);
  return error ? error : in.left_out ? DUNLIN_ENOENT : 0;
}

size_t oracle_changes(const struct oracle *o) {
  return o->count;
}

size_t oracle_refused(const struct oracle *o) {
  return o->refused_count;
}

int oracle_set_void(struct oracle *o, const struct dunlin_id *changes, size_t count) {
  idmap_free(&o->voids, dunlin_env_default());
  for (size_t i = 0; i < count; i++)
    if (idmap_put(&o->voids, dunlin_env_default(), &changes[i], 1)) abort();
  for (size_t i = 0; i < o->count; i++) o->changes[i].is_void = idmap_get(&o->voids, &o->changes[i].id) != IDMAP_NONE;
  return 0;
}
