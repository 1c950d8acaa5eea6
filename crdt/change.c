#include "crdt/change.h"

#include <string.h>

/* ---- Reading a change --------------------------------------------------------------------------------------- */

static void skip_value(struct mp_reader *r) {
  switch (mp_peek(r)) {
    case MP_NIL: mp_read_nil(r); break;
    case MP_BOOL: mp_read_bool(r); break;
    case MP_UINT:
    case MP_INT: mp_read_int(r); break;
    case MP_FLOAT: mp_read_float(r); break;
    case MP_STR: mp_read_str(r, DUNLIN_MAX_VALUE); break;
    case MP_BIN: mp_read_bin(r, DUNLIN_MAX_VALUE); break;
    case MP_TIME: mp_read_time(r); break;
    case MP_ARRAY:
    case MP_BAD: mp_fail(r);
  }
}

static void skip_container_kind(struct mp_reader *r) {
  uint64_t kind = mp_read_uint(r, KIND_LAST);
  if (kind < DUNLIN_MAP) mp_fail(r);
}

/* Names are sorted, none is there twice. */
static void skip_names(struct mp_reader *r) {
  struct dunlin_bytes names = mp_read_bin(r, WRITE_NAMES_MAX * WRITE_NAME);
  const uint8_t *name = names.data;
  if (names.len % WRITE_NAME) mp_fail(r);
  for (size_t i = WRITE_NAME; !r->error && i < names.len; i += WRITE_NAME)
    if (memcmp(name + i - WRITE_NAME, name + i, WRITE_NAME) >= 0) mp_fail(r);
}

/* Passes over the values of one local version, checking the types of the kinds that are known. */
static void skip_values(struct mp_reader *r, uint8_t kind) {
  switch (kind) {
    case OP_LIST_CHILD:
    case OP_LIST_SET_CHILD: skip_container_kind(r); break;
    case OP_LIST_MOVE: mp_read_uint(r, UINT32_MAX); break;
    case OP_COUNTER_ADD: mp_read_int(r); break;
    case OP_MAP_DELETE: mp_read_str(r, DUNLIN_MAX_KEY); break;
    case OP_MAP_SET:
    case OP_MARK_START:
    case OP_MARK_START_GROWS:
      mp_read_str(r, DUNLIN_MAX_KEY);
      skip_value(r);
      break;
    case OP_MAP_CHILD:
      mp_read_str(r, DUNLIN_MAX_KEY);
      mp_read_uint(r, UINT32_MAX);
      break;
    case OP_MAP_SET_OVER:
      mp_read_str(r, DUNLIN_MAX_KEY);
      skip_value(r);
      skip_names(r);
      break;
    case OP_MAP_DELETE_OVER:
      mp_read_str(r, DUNLIN_MAX_KEY);
      skip_names(r);
      break;
    case OP_LIST_SET_OVER:
      skip_value(r);
      skip_names(r);
      break;
    default:
      for (unsigned i = 0; i < (kind & OP_VALUES); i++) skip_value(r);
  }
}

/* Whether `a` and `len` are of a form that the kind allows. */
static bool row_well_formed(const struct change_row *row) {
  bool single = row->kind & OP_CREATES;
  switch (row->kind) {
    case OP_MAP_CHILD:
      if (row->a < DUNLIN_MAP || row->a > (uint32_t)KIND_LAST) return false;
      break;
    case OP_DELETE:
    case OP_TEXT_INSERT:
    case OP_LIST_INSERT: /* of no effect, it may have any index; but not one behind the highest */
      if (row->a + (uint64_t)row->len > 1ull << 32) return false;
      break;
    case OP_MAP_DELETE:
    case OP_MAP_DELETE_OVER:
    case OP_COUNTER_ADD:
    case OP_OFFER:
    case OP_SET_REMOVE:
      if (row->a != 0) return false;
      single = true;
      break;
    case OP_MAP_SET:
    case OP_MAP_SET_OVER:
    case OP_LIST_SET:
    case OP_LIST_SET_OVER:
    case OP_LIST_MOVE:
    case OP_MARK_START:
    case OP_MARK_START_GROWS:
    case OP_MARK_END:
    case OP_MARK_END_GROWS: single = true; break;
    default: break;
  }
  if (row->kind & OP_TEXT && row->kind & OP_VALUES) return false;
  return row->len >= 1 && (!single || row->len == 1);
}

static bool has_names(uint8_t kind) {
  return kind == OP_MAP_SET_OVER || kind == OP_MAP_DELETE_OVER || kind == OP_LIST_SET_OVER;
}

/* Whether a row may follow: the start of a mark and its end stand together, and alone never. */
static bool marks_pair(const struct change_row *last, const struct change_row *row) {
  if (!op_starts_mark(last->kind)) return !op_ends_mark(row->kind);
  return op_ends_mark(row->kind) && row->container == last->container && row->a > last->a;
}

static int check_rows(struct change *change, struct mp_reader *values, size_t values_left) {
  struct mp_reader rows = change->rows;
  uint64_t scalars = 0, containers = change->container_count;
  struct change_row last = {0};
  for (size_t i = 0; i < change->row_count; i++) {
    struct change_row row = change_next_row(&rows);
    if (!row_well_formed(&row) || row.container >= containers) return DUNLIN_EFORMAT;
    if (!marks_pair(&last, &row)) return DUNLIN_EFORMAT;
    last = row;
    change->length += row.len;
    if (change->length > DUNLIN_MAX_DELTA_OPS) return DUNLIN_ELIMIT;
    if (row.kind & OP_TEXT) scalars += row.len;
    if (row.kind & OP_CREATES) containers++;
    change->has_names |= has_names(row.kind);
    uint64_t taken = (uint64_t)(row.kind & OP_VALUES) * row.len;
    if (taken > values_left) return DUNLIN_EFORMAT;
    values_left -= (size_t)taken;
    for (uint32_t k = 0; taken && k < row.len; k++) skip_values(values, row.kind);
  }
  if (change->scalars != scalars || values_left || op_starts_mark(last.kind)) return DUNLIN_EFORMAT;
  return values->error;
}

/* Parent ids must be sorted and different; the first may stand out when it is the actor's own. */
static bool parents_sorted(const struct change *change) {
  for (size_t i = change->actor ? 1 : 2; i < change->parent_count; i++)
    if (memcmp(change->parents + 32 * (i - 1), change->parents + 32 * i, 32) >= 0) return false;
  for (size_t i = 1; !change->actor && i < change->parent_count; i++)
    if (!memcmp(change->parents, change->parents + 32 * i, 32)) return false;
  return true;
}

static int parse_refs(struct dunlin_bytes refs, struct change *out) {
  const uint8_t *data = refs.data;
  out->parents = data;
  out->parent_count = refs.len / 32;
  if (out->parent_count > DUNLIN_MAX_PARENTS) return DUNLIN_ELIMIT;
  if (refs.len % 32 == 16) out->actor = (const struct dunlin_actor *)(data + 32 * out->parent_count);
  else if (refs.len % 32 || !refs.len) return DUNLIN_EFORMAT;
  return parents_sorted(out) ? 0 : DUNLIN_EFORMAT;
}

/* Reads the array of the rows, and the first of them. */
static void read_rows(struct mp_reader *r, struct change *out) {
  size_t ints = mp_read_array(r, SIZE_MAX);
  const uint8_t *start = r->at;
  if (!ints || ints % 3) mp_fail(r);
  out->row_count = ints / 3;
  out->first = change_next_row(r);
  for (size_t i = 3; i < ints; i++) mp_read_uint(r, UINT32_MAX);
  out->rows = (struct mp_reader){.at = start, .end = r->error ? start : r->at};
}

/* What stands before the rows. */
static int parse_head(struct mp_reader *r, struct change *out) {
  out->elements = mp_read_array(r, 7);
  if (out->elements < 4) return DUNLIN_EFORMAT;
  int error = parse_refs(mp_read_bin(r, SIZE_MAX), out);
  if (error) return error;
  out->number = mp_read_uint(r, INT64_MAX);
  struct dunlin_bytes ids = mp_read_bin(r, SIZE_MAX);
  if (ids.len % sizeof(struct container_id)) return DUNLIN_EFORMAT;
  out->containers = ids.data;
  out->container_count = ids.len / sizeof(struct container_id);
  return 0;
}

/* What stands from the rows on; `r` moves behind it. */
static int parse_rest(struct mp_reader *r, struct change *out) {
  const uint8_t *start = r->at;
  read_rows(r, out);
  if (out->elements > 4) out->text = mp_read_text(r, DUNLIN_MAX_CHANGE, &out->scalars);
  size_t values = out->elements > 5 ? mp_read_array(r, SIZE_MAX) : 0;
  if (r->error) return r->error;
  out->values = mp_reader_of(r->at, (size_t)(r->end - r->at));
  int error = check_rows(out, r, values);
  if (error) return error;
  out->values_end = r->at;
  if (out->elements > 6) out->time = mp_read_int(r);
  bool last_is_empty =
      (out->elements == 5 && !out->text.len) || (out->elements == 6 && !values) || (out->elements == 7 && !out->time);
  if (last_is_empty) mp_fail(r);
  out->rest = (struct dunlin_bytes){start, (size_t)(r->at - start)};
  return r->error;
}

/* The same for bytes that parse_rest() has accepted before. */
static void split_rest(struct mp_reader *r, struct change *out) {
  const uint8_t *start = r->at;
  read_rows(r, out);
  if (out->elements > 4) out->text = mp_read_text(r, DUNLIN_MAX_CHANGE, &out->scalars);
  size_t values = out->elements > 5 ? mp_read_array(r, SIZE_MAX) : 0;
  out->values = mp_reader_of(r->at, (size_t)(r->end - r->at));
  out->values_end = r->at = mp_pass(r->at, values);
  if (out->elements > 6) out->time = mp_read_int(r);
  out->rest = (struct dunlin_bytes){start, (size_t)(r->at - start)};
  struct mp_reader rows = out->rows;
  while (rows.at < rows.end) {
    struct change_row row = change_next_row(&rows);
    out->length += row.len;
    out->has_names |= has_names(row.kind);
  }
}

int change_parse(struct dunlin_bytes canonical, struct change *out) {
  *out = (struct change){.text = {"", 0}};
  if (canonical.len > DUNLIN_MAX_CHANGE) return DUNLIN_ELIMIT;
  struct mp_reader r = mp_reader_of(canonical.data, canonical.len);
  int error = parse_head(&r, out);
  if (!error) error = r.error;
  if (!error) error = parse_rest(&r, out);
  return error ? error : mp_end(&r);
}

/* As change_parse(), for bytes that it has accepted before. */
static int change_split(struct dunlin_bytes canonical, struct change *out) {
  *out = (struct change){.text = {"", 0}};
  struct mp_reader r = mp_reader_of(canonical.data, canonical.len);
  int error = parse_head(&r, out);
  if (!error) error = r.error;
  if (!error) split_rest(&r, out);
  return error ? error : r.error;
}

/* Writes what stands before the rows.  One of these is hashed with each change that comes in: most are written at
 * once. */
static void write_head(struct buf *out, const struct change *change) {
  enum { few = 15, most = 1 + 34 + 9 + 2 + few * sizeof *change->containers };
  size_t actor = change->actor ? sizeof *change->actor : 0;
  size_t containers = change->container_count * sizeof *change->containers;
  if (actor || change->parent_count != 1 || change->container_count > few || change->number > UINT16_MAX) {
    mp_write_array(out, change->elements);
    mp_write_bin_head(out, 32 * change->parent_count + actor);
    buf_append(out, change->parents, 32 * change->parent_count);
    if (actor) buf_append(out, change->actor, actor);
    mp_write_uint(out, change->number);
    mp_write_bin(out, change->containers, containers);
    return;
  }
  uint8_t *at = buf_extend(out, most);
  if (!at) return;
  uint16_t number = (uint16_t)change->number;
  *at++ = (uint8_t)(0x90 | change->elements);
  *at++ = 0xc4;
  *at++ = 32;
  memcpy(at, change->parents, 32);
  at += 32;
  if (number > 0xff) *at++ = 0xcd, *at++ = (uint8_t)(number >> 8);
  else if (number > 0x7f) *at++ = 0xcc;
  *at++ = (uint8_t)number;
  *at++ = 0xc4;
  *at++ = (uint8_t)containers;
  for (size_t i = 0; i < change->container_count; i++, at += sizeof *change->containers)
    memcpy(at, &change->containers[i], sizeof *change->containers);
  out->len = (size_t)(at - out->data);
}

int change_write(struct buf *out, const struct change *change) {
  write_head(out, change);
  buf_append(out, change->rest.data, change->rest.len);
  return out->error;
}

struct dunlin_id change_id(const struct dunlin_env *env, const struct dunlin_id *doc, struct dunlin_bytes canonical) {
  struct dunlin_bytes parts[] = {{doc->bytes, sizeof doc->bytes}, canonical};
  return env_hash(env, "dunlin.change.1", parts, 2);
}

/* ---- Deltas ------------------------------------------------------------------------------------------------- */

/* How many changes before `i` the change `id` stands; 0 when it is not among the last `window`. */
static size_t distance_to(const struct change_id_bytes *changes, size_t i, const uint8_t *id) {
  enum { window = 64 }; /* a parent further back costs 32 bytes instead of a search */
  for (size_t k = 1; k <= i && k <= window; k++)
    if (!memcmp(changes[i - k].id.bytes, id, 32)) return k;
  return 0;
}

static void write_parents(struct buf *out, const struct change_id_bytes *changes, size_t i,
                          const struct change *change) {
  size_t far = 0, actor = change->actor ? sizeof *change->actor : 0;
  mp_write_array(out, change->parent_count);
  for (size_t p = 0; p < change->parent_count; p++) {
    size_t k = distance_to(changes, i, change->parents + 32 * p);
    mp_write_uint(out, k);
    far += !k;
  }
  mp_write_bin_head(out, 32 * far + actor);
  for (size_t p = 0; far && p < change->parent_count; p++)
    if (!distance_to(changes, i, change->parents + 32 * p)) buf_append(out, change->parents + 32 * p, 32);
  if (actor) buf_append(out, change->actor, actor);
}

int delta_write(struct buf *out, const struct change_id_bytes *changes, size_t count) {
  struct change last = {0};
  mp_write_array(out, 2);
  mp_write_uint(out, 1);
  mp_write_array(out, count);
  for (size_t i = 0; i < count; i++) {
    struct change change;
    int error = change_split(changes[i].bytes, &change);
    if (error) return error;
    bool next = i && !change.actor && change.parent_count == 1 && change.number == last.number + 1 &&
                distance_to(changes, i, change.parents) == 1;
    bool same = i && change.container_count == last.container_count && change.container_count <= DELTA_REPEAT &&
                (!change.container_count ||
                 !memcmp(change.containers, last.containers, change.container_count * sizeof *change.containers));
    mp_write_array(out, next ? change.elements - 1 : change.elements + 1);
    if (next) {
      mp_write_nil(out);
    } else {
      write_parents(out, changes, i, &change);
      mp_write_uint(out, change.number);
    }
    if (same) mp_write_nil(out);
    else mp_write_bin(out, change.containers, change.container_count * sizeof *change.containers);
    buf_append(out, change.rest.data, change.rest.len);
    last = change;
  }
  return out->error;
}

/* State of reading a delta: what the next change may refer to. */
struct delta_reader {
  const struct dunlin_env *env;
  const struct dunlin_id *doc;
  size_t count;
  struct dunlin_id *ids; /* of the changes read so far */
  size_t done;
  uint64_t number; /* of the change before */
  uint64_t operations;
  const struct container_id *repeat; /* containers of the change before */
  size_t repeat_count;
  struct buf refs;   /* of a change that has parents in the delta */
  struct buf *bytes; /* what is hashed in front of a change's rows, or a change put together again */
  bool is_whole;     /* that is wanted */
  struct change change;
};

/* Parents of a delta's change as in `refs` of the canonical change. */
static void read_parents(struct delta_reader *d, struct mp_reader *r) {
  struct mp_reader parents = *r;
  size_t count = mp_read_array(r, DUNLIN_MAX_PARENTS), far = 0;
  for (size_t i = 0; i < count; i++) far += !mp_read_uint(r, d->done);
  struct dunlin_bytes ids = mp_read_bin(r, 32 * DUNLIN_MAX_PARENTS + 16);
  if (r->error || (ids.len != 32 * far && ids.len != 32 * far + 16)) {
    mp_fail(r);
    return;
  }
  if (far < count) {
    const uint8_t *at = ids.data, *end = at + ids.len;
    buf_clear(&d->refs);
    mp_read_array(&parents, DUNLIN_MAX_PARENTS);
    for (size_t i = 0; i < count; i++) {
      size_t distance = (size_t)mp_read_uint(&parents, d->done);
      buf_append(&d->refs, distance ? d->ids[d->done - distance].bytes : at, 32);
      if (!distance) at += 32;
    }
    buf_append(&d->refs, at, (size_t)(end - at)); /* the actor */
    ids = (struct dunlin_bytes){d->refs.data, d->refs.len};
  }
  r->error = d->refs.error ? d->refs.error : parse_refs(ids, &d->change);
}

static void read_containers(struct delta_reader *d, struct mp_reader *r) {
  if (mp_is_nil(r)) {
    r->at++;
    if (!d->done || d->repeat_count > DELTA_REPEAT) mp_fail(r);
  } else {
    struct dunlin_bytes ids = mp_read_bin(r, DUNLIN_MAX_CHANGE);
    if (ids.len % sizeof *d->repeat) mp_fail(r);
    d->repeat = ids.data;
    d->repeat_count = ids.len / sizeof *d->repeat;
  }
  d->change.containers = d->repeat;
  d->change.container_count = d->repeat_count;
}

/* What stands before the rows of the next change. */
static int read_head(struct delta_reader *d, struct mp_reader *r) {
  d->change = (struct change){.text = {"", 0}};
  size_t elements = mp_read_array(r, 8);
  bool next = mp_is_nil(r);
  size_t fixed = next ? 3 : 5;
  if (elements < fixed || elements > fixed + 3) return DUNLIN_EFORMAT;
  d->change.elements = elements - fixed + 4;
  if (next) {
    r->at++;
    if (!d->done || d->number == INT64_MAX) return DUNLIN_EFORMAT;
    d->change.parents = d->ids[d->done - 1].bytes;
    d->change.parent_count = 1;
    d->number++;
  } else {
    read_parents(d, r);
    if (r->error) return r->error;
    d->number = mp_read_uint(r, INT64_MAX);
  }
  d->change.number = d->number;
  read_containers(d, r);
  return r->error;
}

/* The id of the change at hand.  What is short is hashed in one piece. */
static int find_id(struct delta_reader *d, struct dunlin_id *out) {
  enum { is_short = 256, id_len = sizeof *d->doc };
  struct dunlin_bytes rest = d->change.rest;
  size_t apart = rest.len > is_short ? rest.len : 0;
  if (rest.len > DUNLIN_MAX_CHANGE) return DUNLIN_ELIMIT;
  buf_clear(d->bytes);
  buf_append(d->bytes, d->doc->bytes, id_len);
  write_head(d->bytes, &d->change);
  if (!apart) buf_append(d->bytes, rest.data, rest.len);
  if (d->bytes->error) return d->bytes->error;
  if (d->bytes->len - id_len + apart > DUNLIN_MAX_CHANGE) return DUNLIN_ELIMIT;
  struct dunlin_bytes parts[] = {{d->bytes->data, d->bytes->len}, rest};
  *out = env_hash(d->env, "dunlin.change.1", parts, apart ? 2 : 1);
  return 0;
}

static int check_form(struct delta_reader *d, struct mp_reader *r) {
  int error = parse_rest(r, &d->change);
  if (!error) error = find_id(d, &d->ids[d->done]);
  if (error) return error;
  d->operations += d->change.length;
  return d->operations > DUNLIN_MAX_DELTA_OPS ? DUNLIN_ELIMIT : 0;
}

static int hand_out(struct delta_reader *d, delta_each *each, void *ctx) {
  struct change_id_bytes change = {.id = d->ids[d->done], .parsed = &d->change};
  if (d->is_whole) {
    buf_clear(d->bytes);
    int error = change_write(d->bytes, &d->change);
    if (error) return error;
    change.bytes = (struct dunlin_bytes){d->bytes->data, d->bytes->len};
  }
  return each(ctx, &change);
}

/* Goes through all changes: the first time (no `each`) to check them, the second to hand them out. */
static int read_changes(struct delta_reader *d, struct mp_reader r, delta_each *each, void *ctx) {
  for (d->done = 0; d->done < d->count; d->done++) {
    int error = read_head(d, &r);
    if (error) return error;
    if (each) split_rest(&r, &d->change);
    error = each ? hand_out(d, each, ctx) : check_form(d, &r);
    if (error) return error;
  }
  return mp_end(&r);
}

/* Once is enough. */
static int read_one(struct delta_reader *d, struct mp_reader r, delta_each *each, void *ctx) {
  int error = read_head(d, &r);
  if (!error) error = check_form(d, &r);
  if (!error) error = mp_end(&r);
  return error ? error : hand_out(d, each, ctx);
}

static int read_all(struct delta_reader *d, struct mp_reader r, delta_each *each, void *ctx) {
  if (d->count > DUNLIN_MAX_DELTA_CHANGES) return DUNLIN_ELIMIT;
  struct dunlin_id only;
  d->ids = &only;
  if (d->count == 1) return read_one(d, r, each, ctx);
  d->ids = env_alloc(d->env, d->count * sizeof *d->ids);
  int error = d->ids ? read_changes(d, r, NULL, NULL) : DUNLIN_ENOMEM;
  if (!error) error = read_changes(d, r, each, ctx);
  ENV_FREE_ARRAY(d->env, d->ids, d->count);
  return error;
}

static int read_delta(struct delta_reader *d, struct dunlin_bytes delta, delta_each *each, void *ctx) {
  struct mp_reader r = mp_reader_of(delta.data, delta.len);
  if (mp_read_array(&r, 2) != 2) return DUNLIN_EFORMAT;
  uint64_t version = mp_read_uint(&r, UINT64_MAX);
  if (r.error) return DUNLIN_EFORMAT;
  if (version != 1) return DUNLIN_ENEWER;
  d->count = mp_read_array(&r, SIZE_MAX);
  if (r.error) return DUNLIN_EFORMAT;
  d->done = 0;
  d->number = d->operations = 0;
  d->repeat_count = 0;
  buf_init(&d->refs, d->env, 32 * DUNLIN_MAX_PARENTS + 16);
  int error = read_all(d, r, each, ctx);
  buf_free(&d->refs);
  return error;
}

int delta_read_parsed(const struct dunlin_env *env, const struct dunlin_id *doc, struct dunlin_bytes delta,
                      struct buf *bytes, delta_each *each, void *ctx) {
  struct delta_reader d; /* `change` is large, and written before it is read */
  d.env = env;
  d.doc = doc;
  d.bytes = bytes;
  d.is_whole = false;
  return read_delta(&d, delta, each, ctx);
}

int delta_read(const struct dunlin_env *env, const struct dunlin_id *doc, const void *data, size_t len,
               delta_each *each, void *ctx) {
  struct buf bytes;
  env = env_or_default(env);
  buf_init(&bytes, env, DUNLIN_MAX_CHANGE + 64);
  struct delta_reader d = {.env = env, .doc = doc, .bytes = &bytes, .is_whole = true};
  int error = read_delta(&d, (struct dunlin_bytes){data, len}, each, ctx);
  buf_free(&bytes);
  return error;
}
