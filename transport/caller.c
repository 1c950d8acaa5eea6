#include "transport/caller.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

void caller_init(struct caller *c, const char *address, unsigned retry_ms, uint64_t now) {
  *c = (struct caller){.retry_ms = retry_ms, .at = now, .delay_ms = retry_ms};
  snprintf(c->address, sizeof c->address, "%s", address);
}

bool caller_due(const struct caller *c, uint64_t now) {
  return now >= caller_deadline(c);
}

uint64_t caller_deadline(const struct caller *c) {
  return c->busy || c->given_up ? UINT64_MAX : c->at;
}

static bool is_known(const struct caller *c) {
  return !sodium_is_zero(c->known.bytes, sizeof c->known.bytes);
}

/* Key `at` of a round: the remembered device's first, then the others' in their order. */
static int key_at(const struct caller *c, dunlin_store *store, size_t at, uint8_t psk[32]) {
  struct exchange_device device;
  size_t place = 1;
  int error;
  bool known_there = false;
  for (size_t i = 0; is_known(c) && !(error = exchange_device(store, i, &device)); i++)
    if (!id_compare(&device.device, &c->known)) known_there = true;
  if (!known_there) place = 0;
  for (size_t i = 0; !(error = exchange_device(store, i, &device)); i++) {
    bool known = known_there && !id_compare(&device.device, &c->known);
    if ((known ? 0 : place++) == at) break;
  }
  if (!error) memcpy(psk, device.contact, 32);
  sodium_memzero(&device, sizeof device);
  return error;
}

int caller_psk(struct caller *c, dunlin_store *store, uint8_t psk[32]) {
  if (c->joining) {
    const struct dunlin_env *env = exchange_env(store);
    if (c->invitation.expires <= env->now(env->ctx)) return DUNLIN_EEXPIRED;
    memcpy(psk, c->invitation.secret, 32);
  } else {
    int error = key_at(c, store, c->tried, psk);
    if (error) return error == DUNLIN_ENOENT ? DUNLIN_ESTRANGER : error;
    c->tried++;
  }
  c->busy = true;
  return 0;
}

void caller_connected(struct caller *c, const struct dunlin_id *device) {
  c->known = *device;
  c->tried = 0;
}

void caller_settled(struct caller *c) {
  c->delay_ms = c->retry_ms;
}

void caller_joined(struct caller *c) {
  c->joining = false;
  sodium_memzero(&c->invitation, sizeof c->invitation);
}

/* What calling again with the same invitation would not change. */
static bool is_final(int error) {
  return error == DUNLIN_EUSED || error == DUNLIN_EEXPIRED || error == DUNLIN_EAUTH || error == DUNLIN_ENOENT ||
         error == DUNLIN_EEXIST || error == DUNLIN_EINVITE;
}

bool caller_ended(struct caller *c, dunlin_store *store, int error, bool key_refused, uint64_t now, uint32_t jitter) {
  c->busy = false;
  if (key_refused && !c->joining) {
    uint8_t psk[32];
    bool more = !key_at(c, store, c->tried, psk);
    sodium_memzero(psk, sizeof psk);
    if (more) {
      c->at = now;
      return false;
    }
  }
  c->tried = 0;
  c->given_up = !c->retry_ms || (c->joining && is_final(error));
  /* From three quarters of the delay to the whole of it, so that peers of one that was away do not come back as one. */
  c->at = now + c->delay_ms - c->delay_ms / 4 * (uint64_t)(jitter % 1024) / 1024;
  c->delay_ms = c->delay_ms > CALLER_MAX_DELAY_MS / 2 ? CALLER_MAX_DELAY_MS : c->delay_ms * 2;
  return true;
}
