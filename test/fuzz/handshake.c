/* The handshake, from both sides: a session that gets a handshake made with the right keys, with any byte of it
 * changed, is never past it, and unchanged it is; whatever else comes before, cut in any way, needs little memory.
 *
 * Input: flags, how the bytes are cut; then places in the stranger's bytes and what is changed there (exclusive or);
 * or, with FLAG_RAW, the bytes that come. */
#include <sodium.h>

#include "test/fuzz/fuzz_store.h"
#include "transport/session_private.h"

#define FLAG_INITIATOR 1u /* the session calls */
#define FLAG_RAW 2u
#define FIRST (2u + SESSION_HINT + 48u)
#define SECOND (2u + 96u)
#define THIRD (2u + 64u)

struct talk {
  struct fuzz_store *s;
  struct session *session;
  struct noise_handshake noise; /* the guest's */
  uint8_t cut;
  uint8_t change[FIRST + THIRD]; /* of what the guest says, in a row */
  size_t said;
};

static void receive(struct talk *t, const uint8_t *data, size_t len) {
  size_t step = t->cut ? t->cut : len + 1;
  for (size_t at = 0; at < len; at += step) {
    size_t n = len - at < step ? len - at : step;
    uint8_t *piece = fuzz_copy((struct dunlin_bytes){data + at, n});
    session_receive(t->session, 2, piece, n);
    free(piece);
  }
}

static void say(struct talk *t, uint8_t *data, size_t len) {
  for (size_t i = 0; i < len; i++) data[i] ^= t->change[t->said++];
  receive(t, data, len);
}

/* What the session says, of which at most `len` bytes are wanted. */
static bool hear(struct talk *t, uint8_t *out, size_t len) {
  struct dunlin_bytes said;
  if (session_output(t->session, 2, &said) || said.len < len) return false;
  memcpy(out, said.data, len);
  session_sent(t->session, said.len);
  return true;
}

static void start(struct talk *t, bool initiator, const uint8_t psk[32]) {
  struct noise_keys keys;
  memcpy(keys.static_public, t->s->guest.self.noise_public, 32);
  memcpy(keys.static_secret, t->s->guest.noise_secret, 32);
  memset(keys.ephemeral_secret, 5, 32);
  noise_start(&t->noise, &noise_xxpsk0, initiator, (struct dunlin_bytes){SESSION_PROLOGUE, strlen(SESSION_PROLOGUE)},
              &keys);
  noise_set_psk(&t->noise, psk);
}

static void answer(struct talk *t) {
  uint8_t first[FIRST], second[SECOND] = {0, 96}, none[16];
  size_t len;
  start(t, false, t->s->guest.self.contact);
  CHECK(hear(t, first, sizeof first));
  CHECK(!noise_read(&t->noise, first + 2 + SESSION_HINT, 48, none, &len));
  CHECK(!noise_write(&t->noise, NULL, 0, second + 2));
  say(t, second, sizeof second);
}

static void call(struct talk *t) {
  struct exchange_identity host;
  uint8_t first[FIRST] = {0, SESSION_HINT + 48}, second[SECOND], third[THIRD] = {0, 64}, none[16];
  size_t len;
  exchange_identity(t->s->store, &host);
  start(t, true, host.contact);
  CHECK(!noise_write(&t->noise, NULL, 0, first + 2 + SESSION_HINT));
  const struct dunlin_bytes parts[] = {{host.contact, 32}, {first + 2 + SESSION_HINT, 32}};
  struct dunlin_id hint = env_hash(dunlin_env_default(), "dunlin.psk.1", parts, 2);
  memcpy(first + 2, hint.bytes, SESSION_HINT);
  say(t, first, sizeof first);
  if (!hear(t, second, sizeof second)) return;
  if (noise_read(&t->noise, second + 2, 96, none, &len)) return;
  CHECK(!noise_write(&t->noise, NULL, 0, third + 2));
  say(t, third, sizeof third);
}

static bool read_changes(struct talk *t, struct fuzz_in *in, size_t len) {
  bool changed = false;
  while (in->left) {
    size_t at = fuzz_below(in, len);
    t->change[at] ^= fuzz_byte(in);
  }
  for (size_t i = 0; i < len; i++) changed |= t->change[i] != 0;
  return changed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_in in = fuzz_in_of(data, size);
  struct talk t = {.s = fuzz_store()};
  uint8_t flags = fuzz_byte(&in);
  bool initiator = flags & FLAG_INITIATOR, raw = flags & FLAG_RAW;
  struct session_config config = {
      .store = t.s->store, .address = "guest:1", .initiator = initiator, .handshake_ms = 5000};
  memcpy(config.psk, t.s->guest.self.contact, sizeof config.psk);
  t.cut = fuzz_byte(&in);
  size_t live = t.s->memory.live;
  t.s->memory.peak = live;
  CHECK(!session_new(&config, 1, &t.session));
  bool changed = raw || read_changes(&t, &in, initiator ? SECOND : FIRST + THIRD);
  if (raw) receive(&t, in.at, in.left);
  else if (initiator) answer(&t);
  else call(&t);
  bool passed = t.session->phase == PHASE_HELLO;
  CHECK(passed == !changed);
  CHECK(passed || t.session->phase == PHASE_HANDSHAKE || (session_over(t.session) && session_error(t.session) < 0));
  CHECK(!session_established(t.session, NULL));
  session_eof(t.session, NULL);
  CHECK(session_over(t.session) && session_why(t.session)[0]);
  session_free(t.session);
  CHECK(t.s->memory.live == live && t.s->memory.peak - live <= 1u << 20);
  fuzz_accepted += passed;
  return 0;
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  static const uint8_t called[] = {0, 0}, calls[] = {FLAG_INITIATOR, 3};
  emit(ctx, "called", (struct dunlin_bytes){called, sizeof called});
  emit(ctx, "calls", (struct dunlin_bytes){calls, sizeof calls});
}
