#include "crdt/docfile_values.h"

#include <string.h>

/* ---- Planes ------------------------------------------------------------------------------------------------- */

void planes_add(struct planes_out *p, uint64_t v) {
  if (!p->error) p->error = ENV_GROW(p->env, p->list, p->cap, p->count + 1);
  if (!p->error) p->list[p->count++] = v;
}

static int note_cut(struct planes_out *p, size_t at) {
  struct planes_cuts *cuts = p->cuts;
  if (ENV_GROW(p->env, cuts->list, cuts->cap, cuts->count + 1)) return DUNLIN_ENOMEM;
  if (!cuts->count || cuts->list[cuts->count - 1] != at) cuts->list[cuts->count++] = at;
  return 0;
}

static uint32_t width_of(const struct planes_out *p) {
  uint64_t any = 0;
  uint32_t width = 0;
  for (size_t i = 0; i < p->count; i++) any |= p->list[i];
  for (; any; any >>= 8) width++;
  return width;
}

/* The numbers without their width. */
static void write_planes(struct planes_out *p, uint32_t width, struct buf *out) {
  if (p->error) out->error = p->error;
  for (uint32_t k = 0; k <= width && p->cuts && p->count >= PLANES_LONG && !out->error; k++)
    out->error = note_cut(p, out->len + k * p->count);
  uint8_t *at = p->count && width ? buf_extend(out, p->count * width) : NULL;
  for (uint32_t k = width; at && k-- > 0; at += p->count)
    for (size_t i = 0; i < p->count; i++) at[i] = (uint8_t)(p->list[i] >> 8 * k);
  p->count = 0;
}

void planes_write(struct planes_out *p, struct buf *out) {
  uint32_t width = width_of(p);
  if (p->count) mp_write_uint(out, width);
  write_planes(p, width, out);
}

void planes_free(struct planes_out *p) {
  ENV_FREE_ARRAY(p->env, p->list, p->cap);
  *p = (struct planes_out){.env = p->env};
}

struct planes_in planes_read(struct mp_reader *r, size_t count) {
  return planes_read_width(r, count, count ? (uint32_t)mp_read_uint(r, 8) : 0);
}

struct planes_in planes_read_width(struct mp_reader *r, size_t count, uint32_t width) {
  struct planes_in p = {.at = r->at};
  if (!count) return p;
  if (width && count > (size_t)(r->end - r->at) / width) mp_fail(r);
  if (r->error) return p;
  p = (struct planes_in){.at = r->at, .count = count, .width = width};
  r->at += count * width;
  bool needed = !width;
  for (size_t i = 0; !needed && i < count; i++) needed = p.at[i];
  if (!needed) mp_fail(r); /* one byte less would have done */
  return p;
}

uint64_t planes_take(struct planes_in *p, struct mp_reader *r, uint64_t end) {
  uint64_t v = 0;
  if (p->next == p->count) {
    mp_fail(r);
    return 0;
  }
  const uint8_t *at = p->at + p->next++;
  for (uint32_t k = p->width; k; k--, at += p->count) v = v << 8 | *at;
  if (v < end) return v;
  mp_fail(r);
  return 0;
}

/* ---- Differences -------------------------------------------------------------------------------------------- */

static uint64_t zigzag(uint64_t v) {
  return v >> 63 ? ~(v << 1) : v << 1;
}

static uint64_t unzigzag(uint64_t v) {
  return v & 1u ? ~(v >> 1) : v >> 1;
}

static uint32_t bits_of(uint64_t v) {
  uint32_t bits = 0;
  for (; v >= 256; v >>= 8) bits += 8;
  for (; v; v >>= 1) bits++;
  return bits;
}

void diffs_add(struct diffs_out *d, int64_t v, size_t slot) {
  planes_add(&d->numbers, (uint64_t)v);
  planes_add(&d->slots, slot);
}

/* Replaces the numbers by their differences. */
static void take_differences(struct diffs_out *d, enum diff diff, uint64_t *last) {
  uint64_t one = 0;
  for (size_t i = 0; diff != DIFF_NONE && i < d->numbers.count; i++) {
    uint64_t v = d->numbers.list[i], *before = diff == DIFF_SLOT ? &last[d->slots.list[i]] : &one;
    d->numbers.list[i] = zigzag(v - *before);
    *before = v;
  }
}

static enum diff best_difference(const struct diffs_out *d, uint64_t *last) {
  uint64_t bits[DIFFS] = {0}, one = 0;
  for (size_t i = 0; i < d->numbers.count; i++) {
    uint64_t v = d->numbers.list[i], *before = &last[d->slots.list[i]];
    bits[DIFF_NONE] += bits_of(v);
    bits[DIFF_LAST] += bits_of(zigzag(v - one));
    bits[DIFF_SLOT] += bits_of(zigzag(v - *before));
    one = *before = v;
  }
  enum diff best = DIFF_NONE;
  if (bits[DIFF_LAST] < bits[best]) best = DIFF_LAST;
  return bits[DIFF_SLOT] < bits[best] ? DIFF_SLOT : best;
}

void diffs_write(struct diffs_out *d, size_t slots, struct buf *out) {
  if (!out->error) out->error = d->numbers.error ? d->numbers.error : d->slots.error;
  if (out->error || !d->numbers.count) return;
  const struct dunlin_env *env = d->numbers.env;
  uint64_t *last = env_calloc(env, slots, sizeof *last);
  if (!last) {
    out->error = DUNLIN_ENOMEM;
    return;
  }
  enum diff diff = best_difference(d, last);
  memset(last, 0, slots * sizeof *last);
  take_differences(d, diff, last);
  uint32_t width = width_of(&d->numbers);
  mp_write_uint(out, 16 * diff + width);
  write_planes(&d->numbers, width, out);
  d->slots.count = 0;
  ENV_FREE_ARRAY(env, last, slots);
}

void diffs_free(struct diffs_out *d) {
  planes_free(&d->numbers);
  planes_free(&d->slots);
}

int diffs_read(struct diffs_in *d, const struct dunlin_env *env, struct mp_reader *r, size_t count, size_t slots) {
  *d = (struct diffs_in){.env = env, .slots = slots};
  if (!count) return r->error;
  uint32_t head = (uint32_t)mp_read_uint(r, 16 * (DIFFS - 1) + 8), width = head % 16;
  d->diff = (enum diff)(head / 16);
  if (width > 8) mp_fail(r);
  d->numbers = planes_read_width(r, count, width);
  if (r->error || d->diff != DIFF_SLOT) return r->error;
  d->last = env_calloc(env, slots, sizeof *d->last);
  return d->last ? 0 : DUNLIN_ENOMEM;
}

int64_t diffs_take(struct diffs_in *d, struct mp_reader *r, size_t slot) {
  uint64_t *before = d->diff == DIFF_SLOT ? &d->last[slot] : &d->one;
  if (d->numbers.next == d->numbers.count) mp_fail(r);
  if (r->error) return 0;
  uint64_t v = 0;
  const uint8_t *at = d->numbers.at + d->numbers.next++;
  for (uint32_t k = d->numbers.width; k; k--, at += d->numbers.count) v = v << 8 | *at;
  if (d->diff != DIFF_NONE) *before = v = unzigzag(v) + *before;
  return (int64_t)v;
}

void diffs_in_free(struct diffs_in *d) {
  ENV_FREE_ARRAY(d->env, d->last, d->slots);
  d->last = NULL;
}

/* ---- Scalars ------------------------------------------------------------------------------------------------ */

void scalars_init(struct scalars_out *s, const struct dunlin_env *env, struct planes_cuts *cuts, size_t max) {
  struct planes_out planes = {.env = env, .cuts = cuts};
  *s = (struct scalars_out){
      .ints = {planes, planes}, .times = {planes, planes}, .floats = planes, .lengths = planes, .children = planes};
  buf_init(&s->tags, env, max);
  buf_init(&s->bytes, env, max);
}

void scalars_add(struct scalars_out *s, const struct dunlin_value *v, size_t slot) {
  uint8_t tag = (uint8_t)v->kind;
  uint64_t bits = 0x7ff8000000000000; /* every NaN becomes the one NaN */
  switch (v->kind) {
    case DUNLIN_NULL: break;
    case DUNLIN_BOOL:
      if (v->as.boolean) tag = TAG_TRUE;
      break;
    case DUNLIN_INT: diffs_add(&s->ints, v->as.integer, slot); break;
    case DUNLIN_TIME: diffs_add(&s->times, v->as.time, slot); break;
    case DUNLIN_FLOAT:
      if (v->as.real == v->as.real) memcpy(&bits, &v->as.real, sizeof bits);
      planes_add(&s->floats, bits);
      break;
    case DUNLIN_STRING:
    case DUNLIN_BYTES:
      planes_add(&s->lengths, v->as.string.len);
      buf_append(&s->bytes, v->as.string.data, v->as.string.len);
      break;
    default: /* they mostly come in the order in which they were made */
      tag = TAG_CHILD;
      planes_add(&s->children, zigzag((uint64_t)v->as.obj.index - s->next_child));
      s->next_child = v->as.obj.index + 1;
  }
  buf_append(&s->tags, &tag, 1);
}

void scalars_write(struct scalars_out *s, size_t slots, struct buf *out) {
  buf_append(out, s->tags.data, s->tags.len);
  diffs_write(&s->ints, slots, out);
  diffs_write(&s->times, slots, out);
  planes_write(&s->floats, out);
  planes_write(&s->lengths, out);
  planes_write(&s->children, out);
  buf_append(out, s->bytes.data, s->bytes.len);
  if (s->tags.error || s->bytes.error) out->error = s->tags.error ? s->tags.error : s->bytes.error;
}

void scalars_free(struct scalars_out *s) {
  buf_free(&s->tags);
  buf_free(&s->bytes);
  diffs_free(&s->ints);
  diffs_free(&s->times);
  planes_free(&s->floats);
  planes_free(&s->lengths);
  planes_free(&s->children);
}

/* How many bytes these strings have. */
static size_t all_lengths(struct planes_in lengths, struct mp_reader *r) {
  size_t sum = 0, left = (size_t)(r->end - r->at);
  for (size_t i = 0; i < lengths.count && !r->error; i++) {
    size_t len = (size_t)planes_take(&lengths, r, DUNLIN_MAX_VALUE + 1);
    if (len > left - sum) mp_fail(r);
    sum += len;
  }
  return r->error ? 0 : sum;
}

int scalars_read(struct scalars_in *s, const struct dunlin_env *env, struct mp_reader *r, size_t count, size_t slots,
                 bool children) {
  size_t counts[256] = {0}, kinds = children ? TAGS : TAG_CHILD, known = 0;
  *s = (struct scalars_in){.tags = r->at, .left = count};
  if (count > (size_t)(r->end - r->at)) mp_fail(r);
  if (r->error) return r->error;
  for (size_t i = 0; i < count; i++) counts[s->tags[i]]++;
  for (size_t i = 0; i < kinds; i++) known += counts[i];
  r->at += count;
  if (known != count) mp_fail(r);
  int error = diffs_read(&s->ints, env, r, counts[DUNLIN_INT], slots);
  if (!error) error = diffs_read(&s->times, env, r, counts[DUNLIN_TIME], slots);
  if (error) return error;
  s->floats = planes_read(r, counts[DUNLIN_FLOAT]);
  s->lengths = planes_read(r, counts[DUNLIN_STRING] + counts[DUNLIN_BYTES]);
  s->children = planes_read(r, counts[TAG_CHILD]);
  s->bytes_left = all_lengths(s->lengths, r);
  s->bytes = r->at;
  r->at += s->bytes_left;
  return r->error;
}

static struct dunlin_bytes take_bytes(struct scalars_in *s, struct mp_reader *r) {
  size_t len = (size_t)planes_take(&s->lengths, r, s->bytes_left + 1); /* their sum was looked at */
  struct dunlin_bytes bytes = {s->bytes, len};
  s->bytes += len;
  s->bytes_left -= len;
  return bytes;
}

static double take_float(struct scalars_in *s, struct mp_reader *r) {
  uint64_t bits = planes_take(&s->floats, r, UINT64_MAX);
  double v;
  memcpy(&v, &bits, sizeof v);
  if (v != v && bits != 0x7ff8000000000000) mp_fail(r);
  return r->error ? 0 : v;
}

static uint32_t take_child(struct scalars_in *s, struct mp_reader *r) {
  uint64_t child = s->next_child + unzigzag(planes_take(&s->children, r, UINT64_MAX));
  if (child >= UINT32_MAX) mp_fail(r);
  s->next_child = (uint32_t)child + 1;
  return r->error ? 0 : (uint32_t)child;
}

struct dunlin_value scalars_take(struct scalars_in *s, struct mp_reader *r, size_t slot) {
  struct dunlin_value v = {.kind = DUNLIN_NULL};
  if (!s->left) mp_fail(r);
  if (r->error) return v;
  uint8_t tag = *s->tags++;
  s->left--;
  switch (tag) {
    case DUNLIN_NULL: break;
    case DUNLIN_BOOL:
    case TAG_TRUE: v.kind = DUNLIN_BOOL, v.as.boolean = tag == TAG_TRUE; break;
    case DUNLIN_INT: v.kind = DUNLIN_INT, v.as.integer = diffs_take(&s->ints, r, slot); break;
    case DUNLIN_TIME: v.kind = DUNLIN_TIME, v.as.time = diffs_take(&s->times, r, slot); break;
    case DUNLIN_FLOAT: v.kind = DUNLIN_FLOAT, v.as.real = take_float(s, r); break;
    case DUNLIN_STRING:
      v.kind = DUNLIN_STRING, v.as.string = take_bytes(s, r);
      if (!utf8_valid(v.as.string.data, v.as.string.len, NULL)) mp_fail(r);
      break;
    case DUNLIN_BYTES: v.kind = DUNLIN_BYTES, v.as.string = take_bytes(s, r); break;
    default: v.kind = DUNLIN_MAP, v.as.obj.index = take_child(s, r);
  }
  return v;
}

void scalars_end(const struct scalars_in *s, struct mp_reader *r) {
  if (s->left || s->bytes_left) mp_fail(r);
}

void scalars_in_free(struct scalars_in *s) {
  if (s->ints.env) diffs_in_free(&s->ints);
  if (s->times.env) diffs_in_free(&s->times);
}

/* ---- Operations --------------------------------------------------------------------------------------------- */

void values_in_init(struct values_in *v, const struct dunlin_env *env) {
  *v = (struct values_in){.amounts.env = env};
  keys_in_init(&v->names, env);
}

void values_count(uint8_t kind, uint32_t operations, uint64_t counts[PARTS]) {
  enum part parts[3];
  for (uint32_t k = op_parts(kind, parts); k--;) counts[parts[k]] += operations;
}

int values_read(struct values_in *v, const struct dunlin_env *env, struct mp_reader *r, const uint64_t counts[PARTS]) {
  v->old = v->names.count;
  int error = keys_read(&v->names, r, NULL);
  if (error) return error;
  v->keys = planes_read(r, counts[PART_KEY]);
  v->numbers = planes_read(r, counts[PART_NUMBER]);
  error = diffs_read(&v->amounts, env, r, counts[PART_AMOUNT], 1);
  return error ? error : scalars_read(&v->scalars, env, r, counts[PART_SCALAR], v->names.count + 1, false);
}

void values_take(struct values_in *v, uint8_t kind, struct buf *out, struct mp_reader *r) {
  enum part parts[3];
  uint32_t count = op_parts(kind, parts);
  size_t slot = 0;
  for (uint32_t i = 0; i < count && !r->error; i++) {
    if (parts[i] == PART_KEY) {
      uint64_t number = planes_take(&v->keys, r, v->names.count);
      if (r->error) return;
      struct dunlin_bytes key = keys_get(&v->names, number);
      v->names.list[number].used = true;
      slot = (size_t)number + 1;
      mp_write_str(out, key.data, key.len);
    }
    struct dunlin_value value;
    if (parts[i] == PART_SCALAR) value = scalars_take(&v->scalars, r, slot), value_write(out, &value);
    if (parts[i] == PART_NUMBER) mp_write_uint(out, planes_take(&v->numbers, r, UINT64_MAX));
    if (parts[i] == PART_AMOUNT) mp_write_int(out, diffs_take(&v->amounts, r, 0));
  }
}

void values_end(const struct values_in *v, struct mp_reader *r) {
  scalars_end(&v->scalars, r);
  if (!keys_in_order(&v->names, v->old)) mp_fail(r);
}

void values_in_free(struct values_in *v) {
  keys_in_free(&v->names);
  diffs_in_free(&v->amounts);
  scalars_in_free(&v->scalars);
}
