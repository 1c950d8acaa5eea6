/* Who the peer is: psk selection, Noise, HELLO; and joining with an invitation. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "transport/session_private.h"

/* Wire sizes of the three messages: u16 length, and before the first the hint. */
static const size_t wire_size[3] = {2 + SESSION_HINT + 48, 2 + 96, 2 + 64};

/* ---- Which psk ---------------------------------------------------------------------------------------------- */

static void hint_of(const struct session *s, const uint8_t psk[32], const uint8_t ephemeral[32],
                    uint8_t out[SESSION_HINT]) {
  const struct dunlin_bytes parts[] = {{psk, 32}, {ephemeral, 32}};
  struct dunlin_id id = env_hash(s->env, "dunlin.psk.1", parts, 2);
  memcpy(out, id.bytes, SESSION_HINT);
  sodium_memzero(&id, sizeof id);
}

static bool select_one(struct session *s, const uint8_t psk[32], const uint8_t *first) {
  uint8_t hint[SESSION_HINT];
  hint_of(s, psk, first + SESSION_HINT, hint);
  if (sodium_memcmp(hint, first, SESSION_HINT)) return false;
  memcpy(s->psk, psk, sizeof s->psk);
  noise_set_psk(&s->noise, psk);
  return true;
}

/* Responder: finds the psk that the first message was made under, by hashing alone.  An invitation's means a guest. */
static int select_psk(struct session *s, const uint8_t *first) {
  struct exchange_identity self;
  exchange_identity(s->store, &self);
  bool found = select_one(s, self.contact, first);
  sodium_memzero(&self, sizeof self);
  if (found) return 0;
  uint8_t secrets[DUNLIN_MAX_INVITATIONS][32];
  size_t count = exchange_invitation_secrets(s->store, s->env->now(s->env->ctx), secrets, DUNLIN_MAX_INVITATIONS);
  for (size_t i = 0; i < count && !found; i++) found = select_one(s, secrets[i], first);
  sodium_memzero(secrets, sizeof secrets);
  s->joining = found;
  if (found) return 0;
  return session_fail(s, DUNLIN_EAUTH, "%s called under a key that is not ours: no member, and no open invitation",
                      s->address);
}

/* ---- Noise -------------------------------------------------------------------------------------------------- */

static int write_noise(struct session *s) {
  size_t hint = s->noise.at == 0 ? SESSION_HINT : 0, len = noise_message_size(&s->noise, 0);
  uint8_t *out = buf_extend(&s->writer.wire, 2 + hint + len);
  if (!out) return session_fail(s, s->writer.wire.error, "out of memory");
  out[0] = 0;
  out[1] = (uint8_t)(hint + len);
  int error = noise_write(&s->noise, NULL, 0, out + 2 + hint);
  if (error) return session_fail(s, error, "the key that %s sent cannot be", s->address);
  if (hint) hint_of(s, s->psk, out + 2 + hint, out + 2);
  return 0;
}

int handshake_start(struct session *s, const uint8_t psk[32]) {
  struct exchange_identity self;
  struct noise_keys keys;
  exchange_identity(s->store, &self);
  memcpy(keys.static_public, self.noise_public, NOISE_KEY);
  memcpy(keys.static_secret, self.noise_secret, NOISE_KEY);
  int error = s->env->random(s->env->ctx, keys.ephemeral_secret, NOISE_KEY);
  noise_start(&s->noise, &noise_xxpsk0, s->initiator, (struct dunlin_bytes){SESSION_PROLOGUE, strlen(SESSION_PROLOGUE)},
              &keys);
  sodium_memzero(&self, sizeof self);
  sodium_memzero(&keys, sizeof keys);
  if (error || !s->initiator) return error;
  memcpy(s->psk, psk, sizeof s->psk);
  noise_set_psk(&s->noise, psk);
  return write_noise(s);
}

static int write_hello(struct session *s);

/* Host: the guest has proved that it holds the secret.  From here on nobody else can use it. */
static int consume_invitation(struct session *s) {
  int error = exchange_invitation_consume(s->store, s->psk, s->remote_noise, s->env->now(s->env->ctx), &s->invited);
  if (!error) return 0;
  return session_fail(s, error, "%s came with an invitation that cannot be used: %s", s->address,
                      dunlin_error_text(error));
}

static int finish_noise(struct session *s) {
  noise_split(&s->noise, &s->writer.cipher, &s->reader.cipher);
  memcpy(s->hash, s->noise.hash, NOISE_HASH);
  memcpy(s->remote_noise, s->noise.remote_static, NOISE_KEY);
  noise_wipe(&s->noise);
  s->phase = PHASE_HELLO;
  if (s->joining && !s->initiator) {
    int error = consume_invitation(s);
    if (error) return error;
  }
  return write_hello(s);
}

/* What else an opening may be, for the sentence about it. */
static const char *guess(const uint8_t *data, size_t len) {
  static const char *const http[] = {"GET ", "POST", "HEAD", "PUT ", "HTTP", "OPTI", "DELE", "CONN", "PRI ", "PATC"};
  for (size_t i = 0; i < sizeof http / sizeof *http && len >= 4; i++)
    if (!memcmp(data, http[i], 4)) return " (looks like HTTP)";
  if (len >= 4 && !memcmp(data, "SSH-", 4)) return " (looks like SSH)";
  if (len >= 3 && data[0] >= 0x14 && data[0] <= 0x17 && data[1] == 3) return " (looks like TLS)";
  return "";
}

/* Eight bytes are enough to tell what else it is; whoever sends fewer runs into the deadline. */
static int check_opening(struct session *s) {
  const struct buf *in = &s->handshake_in;
  size_t want = wire_size[s->noise.at] - 2;
  if (in->len < 2 || (in->data[0] == 0 && in->data[1] == want) || in->len < 8) return 0;
  return session_fail(s, DUNLIN_EPEER, "%s does not speak dunlin%s", s->address, guess(in->data, in->len));
}

static int read_noise(struct session *s) {
  const uint8_t *message = s->handshake_in.data + 2;
  size_t len = s->handshake_in.len - 2, none = 0;
  uint8_t payload[NOISE_TAG];
  if (s->noise.at == 0) {
    int error = select_psk(s, message);
    if (error) return error;
    message += SESSION_HINT;
    len -= SESSION_HINT;
  }
  int error = noise_read(&s->noise, message, len, payload, &none);
  if (error) return session_fail(s, DUNLIN_EAUTH, "the handshake with %s does not verify", s->address);
  buf_clear(&s->handshake_in);
  if (s->noise.at < 3) error = write_noise(s);
  return !error && s->noise.at == 3 ? finish_noise(s) : error;
}

int handshake_receive(struct session *s, const uint8_t **at, size_t *left) {
  while (s->phase == PHASE_HANDSHAKE) {
    size_t want = wire_size[s->noise.at], take = want - s->handshake_in.len;
    if (take > *left) take = *left;
    buf_append(&s->handshake_in, *at, take);
    if (s->handshake_in.error) return session_fail(s, s->handshake_in.error, "out of memory");
    *at += take;
    *left -= take;
    int error = check_opening(s);
    if (error || s->handshake_in.len < want) return error;
    error = read_noise(s);
    if (error) return error;
  }
  return 0;
}

/* ---- HELLO -------------------------------------------------------------------------------------------------- */

/* What a device signs: this handshake, and on which side of it it stands. */
static void signed_bytes(const struct session *s, bool initiator, uint8_t out[NOISE_HASH + 1]) {
  memcpy(out, s->hash, NOISE_HASH);
  out[NOISE_HASH] = initiator ? 1 : 2;
}

/* [1, version, device, name, signature, contact key of a guest or nil] */
static int write_hello(struct session *s) {
  struct exchange_identity self;
  uint8_t data[NOISE_HASH + 1], signature[64];
  exchange_identity(s->store, &self);
  signed_bytes(s, s->initiator, data);
  exchange_sign(s->store, (struct dunlin_bytes){data, sizeof data}, signature);
  size_t begin = message_begin(s, MESSAGE_HELLO, 5);
  struct buf *out = session_out(s);
  mp_write_uint(out, SESSION_VERSION);
  mp_write_bin(out, self.device.bytes, 32);
  mp_write_str(out, self.name, strlen(self.name));
  mp_write_bin(out, signature, sizeof signature);
  if (s->joining && s->initiator) mp_write_bin(out, self.contact, 32);
  else mp_write_nil(out);
  sodium_memzero(&self, sizeof self);
  return message_end(s, begin);
}

/* A member calls or is called: it must be the device that its handshake key was granted to. */
static int check_member(struct session *s) {
  struct exchange_device known;
  for (size_t i = 0; !exchange_device(s->store, i, &known); i++) {
    if (id_compare(&known.device, &s->device)) continue;
    bool same = !sodium_memcmp(known.noise_public, s->remote_noise, NOISE_KEY);
    sodium_memzero(known.contact, sizeof known.contact);
    if (same) return 0;
    return session_fail(s, DUNLIN_EAUTH, "%s uses a key that was not granted to its device", s->address);
  }
  sodium_memzero(&known, sizeof known);
  return session_fail(s, DUNLIN_ESTRANGER,
                      "the device at %s shares no space with this one; join one of its spaces, or "
                      "invite it",
                      s->address);
}

/* Host: makes the guest a member and sends it the space. */
static int admit(struct session *s, const uint8_t contact[32]) {
  struct exchange_device guest = {.device = s->device};
  memcpy(guest.noise_public, s->remote_noise, 32);
  memcpy(guest.contact, contact, 32);
  memcpy(guest.name, s->name, sizeof guest.name);
  buf_clear(&s->scratch);
  int error = exchange_admit(s->store, &s->invited, &guest, &s->scratch);
  sodium_memzero(guest.contact, sizeof guest.contact);
  if (error) return session_fail(s, error, "cannot admit the guest from %s: %s", s->address, dunlin_error_text(error));
  size_t begin = message_begin(s, MESSAGE_WELCOME, 1);
  mp_write_bin(session_out(s), s->scratch.data, s->scratch.len);
  if (s->scratch.len) sodium_memzero(s->scratch.data, s->scratch.len); /* it holds the space's keys */
  return message_end(s, begin);
}

int handshake_hello(struct session *s, struct mp_reader *r) {
  if (mp_read_uint(r, UINT32_MAX) != SESSION_VERSION && !r->error)
    return session_fail(s, DUNLIN_ENEWER, "%s speaks another version of the protocol", s->address);
  struct dunlin_id device;
  uint8_t signature[64], contact[32] = {0}, data[NOISE_HASH + 1];
  memcpy(device.bytes, mp_read_bin_exact(r, 32), 32);
  struct dunlin_bytes name = mp_read_str(r, DUNLIN_MAX_NAME);
  memcpy(signature, mp_read_bin_exact(r, 64), 64);
  bool guest = mp_peek(r) != MP_NIL;
  if (guest) memcpy(contact, mp_read_bin_exact(r, 32), 32);
  else mp_read_nil(r);
  if (mp_end(r) || guest != (s->joining && !s->initiator) || memchr(name.data, 0, name.len))
    return session_broken(s, "a malformed greeting");
  signed_bytes(s, !s->initiator, data);
  if (exchange_check_signature(&device, (struct dunlin_bytes){data, sizeof data}, signature))
    return session_fail(s, DUNLIN_EAUTH, "%s does not prove which device it is", s->address);
  if (s->joining && s->initiator && id_compare(&device, &s->invitation.device))
    return session_fail(s, DUNLIN_EAUTH, "%s is not the device that made the invitation", s->address);
  s->device = device;
  memcpy(s->name, name.data, name.len);
  s->name[name.len] = 0;
  if (!s->joining) {
    int error = check_member(s);
    if (error) s->device = (struct dunlin_id){{0}};
    if (error) return error;
  }
  session_event(s, DUNLIN_NODE_CONNECTED, NULL, 0, "");
  if (!s->joining) return sync_start(s);
  s->phase = PHASE_JOIN;
  int error = s->initiator ? 0 : admit(s, contact);
  sodium_memzero(contact, sizeof contact);
  return error;
}

/* ---- Joining ------------------------------------------------------------------------------------------------ */

/* Guest: [5, welcome] */
int handshake_welcome(struct session *s, struct mp_reader *r) {
  struct dunlin_bytes welcome = mp_read_bin(r, FRAME_MAX_MESSAGE);
  if (mp_end(r) || !s->initiator) return session_broken(s, "a malformed welcome");
  int error = exchange_accept(s->store, welcome, s->alias, &s->invited);
  if (error)
    return session_fail(s, error, "the welcome of %s cannot be taken: %s", s->address, dunlin_error_text(error));
  session_event(s, DUNLIN_NODE_JOINED, &s->invited, 0, "");
  error = message_end(s, message_begin(s, MESSAGE_JOINED, 0));
  return error ? error : sync_start(s);
}

/* Host: [6] */
int handshake_joined(struct session *s, struct mp_reader *r) {
  if (mp_end(r) || s->initiator) return session_broken(s, "a malformed answer to the welcome");
  session_event(s, DUNLIN_NODE_GUEST, &s->invited, 0, "");
  return sync_start(s);
}
