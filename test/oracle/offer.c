/* What was offered to a max, min or first, and which of it shows. */
#include <math.h>

#include "test/oracle/private.h"

bool oracle_may_offer(enum dunlin_kind kind, const struct dunlin_value *value) {
  if (kind == DUNLIN_FIRST) return true;
  if (value->kind == DUNLIN_FLOAT) return !isnan(value->as.real);
  return value->kind == DUNLIN_INT || value->kind == DUNLIN_TIME;
}

void oracle_offer(struct oracle *o, struct oracle_container *c, struct dunlin_value value) {
  struct dunlin_bytes *s = &value.as.string;
  if (value.kind == DUNLIN_STRING || value.kind == DUNLIN_BYTES) {
    void *copy = malloc(s->len + 1);
    if (!copy) abort();
    if (s->len) memcpy(copy, s->data, s->len);
    s->data = copy;
  }
  ORACLE_ROOM(c->offers, c->offer_cap, c->offer_count);
  c->offers[c->offer_count++] = (struct oracle_offer){o->open, o->index, value};
}

void oracle_offers_take_back(struct oracle_container *c, uint32_t change) {
  while (c->offer_count && (change == ORACLE_NONE || c->offers[c->offer_count - 1].change == change)) {
    const struct dunlin_value *value = &c->offers[--c->offer_count].value;
    if (value->kind == DUNLIN_STRING || value->kind == DUNLIN_BYTES) free((void *)(uintptr_t)value->as.string.data);
  }
}

/* Numbers as sign and exact magnitude: 64 bits before the point, and the rest. */
struct exact {
  int side;                /* -1, 0, 1 */
  uint64_t whole;          /* of the magnitude */
  double rest;             /* below 1 */
  bool is_time, is_beyond; /* above all int64 and below infinity, on its side: then `rest` is all of it */
};

static struct exact exactly(const struct dunlin_value *value) {
  struct exact e = {.is_time = value->kind == DUNLIN_TIME};
  if (value->kind != DUNLIN_FLOAT) {
    int64_t v = e.is_time ? value->as.time : value->as.integer;
    e.side = (v > 0) - (v < 0);
    e.whole = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    return e;
  }
  double v = value->as.real, size = fabs(v);
  e.side = (v > 0) - (v < 0);
  e.is_beyond = size > 0x1p63;
  if (e.is_beyond) {
    e.rest = size;
    return e;
  }
  e.whole = (uint64_t)size;
  e.rest = size - (double)e.whole; /* above 2^53 there is none */
  return e;
}

/* Below 0, 0 or above it: which of two numbers is higher; of equal ones the kinds decide. */
static int compare(const struct dunlin_value *a, const struct dunlin_value *b) {
  struct exact x = exactly(a), y = exactly(b);
  int order = x.is_time - y.is_time;
  if (!order) order = x.side - y.side;
  if (!order) {
    order = x.is_beyond - y.is_beyond;
    if (!order) order = (x.whole > y.whole) - (x.whole < y.whole);
    if (!order) order = (x.rest > y.rest) - (x.rest < y.rest);
    order *= x.side;
  }
  if (!order) order = (a->kind == DUNLIN_FLOAT) - (b->kind == DUNLIN_FLOAT);
  if (!order && a->kind == DUNLIN_FLOAT) order = (signbit(b->as.real) != 0) - (signbit(a->as.real) != 0);
  return order;
}

const struct oracle_offer *oracle_offered(const struct oracle *o, const struct oracle_container *c) {
  const struct oracle_offer *best = NULL;
  for (size_t i = 0; i < c->offer_count; i++) {
    const struct oracle_offer *offer = &c->offers[i];
    if (o->changes[offer->change].is_void) continue;
    bool better = !best;
    if (best && c->kind == DUNLIN_FIRST)
      better = oracle_wins(o, best->change, best->index, offer->change, offer->index);
    else if (best)
      better =
          c->kind == DUNLIN_MAX ? compare(&offer->value, &best->value) > 0 : compare(&offer->value, &best->value) < 0;
    if (better) best = offer;
  }
  return best;
}
