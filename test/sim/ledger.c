#include "test/sim/ledger.h"

#include <dunlin/history.h>
#include <stdlib.h>
#include <string.h>

struct promise {
  struct dunlin_id id;
  unsigned author, doc;
  uint64_t at;
  uint32_t holders; /* a bit for each device */
  bool acked, used;
};

/* A hash table with open addressing over ids, which are hashes. */
struct ledger {
  struct world *world;
  struct promise *slots;
  size_t cap, count;
};

struct ledger *ledger_new(struct world *world) {
  struct ledger *ledger = calloc(1, sizeof *ledger);
  if (!ledger) abort();
  ledger->world = world;
  return ledger;
}

void ledger_free(struct ledger *ledger) {
  free(ledger->slots);
  free(ledger);
}

static struct promise *slot_of(const struct ledger *ledger, const struct dunlin_id *id) {
  uint64_t hash;
  memcpy(&hash, id->bytes, sizeof hash);
  size_t i = (size_t)hash & (ledger->cap - 1);
  while (ledger->slots[i].used && memcmp(&ledger->slots[i].id, id, sizeof *id)) i = (i + 1) & (ledger->cap - 1);
  return &ledger->slots[i];
}

static void grow(struct ledger *ledger) {
  struct ledger old = *ledger;
  ledger->cap = old.cap ? old.cap * 2 : 1024;
  ledger->slots = calloc(ledger->cap, sizeof *ledger->slots);
  if (!ledger->slots) abort();
  for (size_t i = 0; i < old.cap; i++)
    if (old.slots[i].used) *slot_of(ledger, &old.slots[i].id) = old.slots[i];
  free(old.slots);
}

static struct promise *promise_of(struct ledger *ledger, const struct dunlin_id *id) {
  if (2 * (ledger->count + 1) > ledger->cap) grow(ledger);
  struct promise *promise = slot_of(ledger, id);
  if (promise->used) return promise;
  *promise = (struct promise){.id = *id, .used = true};
  ledger->count++;
  return promise;
}

void ledger_acked(struct ledger *ledger, unsigned device, unsigned doc, const struct dunlin_id *id) {
  struct promise *promise = promise_of(ledger, id);
  promise->author = device;
  promise->doc = doc;
  promise->at = ledger->world->now;
  promise->acked = true;
  promise->holders |= 1u << device;
  ledger->world->counts.acked++;
}

void ledger_seen(struct ledger *ledger, unsigned device, const struct dunlin_id *id) {
  promise_of(ledger, id)->holders |= 1u << device;
}

void ledger_lost(struct ledger *ledger, unsigned device) {
  for (size_t i = 0; i < ledger->cap; i++) ledger->slots[i].holders &= ~(1u << device);
}

size_t ledger_missing(struct ledger *ledger, unsigned number, const dunlin_doc *doc, char *text, size_t cap) {
  size_t missing = 0;
  for (size_t i = 0; i < ledger->cap; i++) {
    const struct promise *promise = &ledger->slots[i];
    struct dunlin_change_info info;
    if (!promise->acked || promise->doc != number || !promise->holders) continue;
    if (!dunlin_doc_find_change(doc, &promise->id, &info)) continue;
    if (!missing++)
      snprintf(text, cap, "the change %02x%02x.. of device %u, acknowledged at %.3f s", promise->id.bytes[0],
               promise->id.bytes[1], promise->author, (double)promise->at / 1000);
  }
  return missing;
}

size_t ledger_excused(const struct ledger *ledger) {
  size_t count = 0;
  for (size_t i = 0; i < ledger->cap; i++) count += ledger->slots[i].acked && !ledger->slots[i].holders;
  return count;
}
