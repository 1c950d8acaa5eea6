#include "transport/session.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "transport/session_private.h"

/* ---- Life --------------------------------------------------------------------------------------------------- */

static void copy_text(char *out, size_t cap, const char *text) {
  snprintf(out, cap, "%s", text);
}

int session_new(const struct session_config *config, uint64_t now, struct session **out) {
  const struct dunlin_env *env = exchange_env(config->store);
  struct session *s = env_calloc(env, 1, sizeof *s);
  if (!s) return DUNLIN_ENOMEM;
  s->env = env;
  s->store = config->store;
  copy_text(s->address, sizeof s->address, config->address);
  s->initiator = config->initiator;
  s->joining = config->invitation != NULL;
  if (config->invitation) s->invitation = *config->invitation;
  s->alias = config->alias;
  s->handshake_ms = config->handshake_ms;
  s->start = s->now = s->last_received = now;
  s->logs.env = env;
  buf_init(&s->handshake_in, env, 256);
  buf_init(&s->scratch, env, FRAME_MAX_MESSAGE);
  frame_reader_init(&s->reader, env);
  frame_writer_init(&s->writer, env, SESSION_OUTPUT);
  int error = handshake_start(s, config->psk);
  if (error) {
    session_free(s);
    return error;
  }
  *out = s;
  return 0;
}

void session_free(struct session *s) {
  if (!s) return;
  sync_free(s);
  frame_reader_free(&s->reader);
  frame_writer_free(&s->writer);
  buf_free(&s->handshake_in);
  buf_free(&s->scratch);
  const struct dunlin_env *env = s->env;
  sodium_memzero(s, sizeof *s);
  env_free(env, s, sizeof *s);
}

bool session_over(const struct session *s) {
  return s->phase == PHASE_OVER;
}

int session_error(const struct session *s) {
  return s->error;
}

const char *session_why(const struct session *s) {
  return s->why;
}

bool session_established(const struct session *s, struct dunlin_id *device) {
  bool known = !sodium_is_zero(s->device.bytes, sizeof s->device.bytes);
  if (known && device) *device = s->device;
  return known;
}

bool session_key_refused(const struct session *s) {
  return s->initiator && s->phase == PHASE_OVER && s->noise.at == 1 && !s->handshake_in.len &&
         (s->error == DUNLIN_ESTRANGER || s->error == DUNLIN_EAUTH);
}

struct session_counts session_counts(const struct session *s) {
  return s->counts;
}

/* ---- Messages out ------------------------------------------------------------------------------------------- */

size_t message_begin(struct session *s, enum message_type type, size_t fields) {
  size_t begin = frame_begin(&s->writer);
  mp_write_array(session_out(s), 1 + fields);
  mp_write_uint(session_out(s), type);
  return begin;
}

int message_end(struct session *s, size_t begin) {
  int error = frame_end(&s->writer, begin);
  if (!error) return 0;
  if (error == DUNLIN_ELIMIT) return session_fail(s, DUNLIN_EPEER, "%s does not read what it asks for", s->address);
  return session_fail(s, error, "out of memory while talking to %s", s->address);
}

static void write_bye(struct session *s, int error) {
  size_t begin = message_begin(s, MESSAGE_BYE, 1);
  mp_write_uint(session_out(s), (uint64_t) - (int64_t)error);
  if (frame_end(&s->writer, begin)) return; /* then the link just closes */
}

int session_fail(struct session *s, int error, const char *format, ...) {
  if (s->phase == PHASE_OVER) return s->error;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(s->why, sizeof s->why, format, arguments);
  va_end(arguments);
  if (s->phase != PHASE_HANDSHAKE) write_bye(s, error);
  s->phase = PHASE_OVER;
  s->error = error;
  return error;
}

int session_broken(struct session *s, const char *what) {
  return session_fail(s, DUNLIN_EPEER, "%s broke the protocol (%s); is it a newer version?", s->address, what);
}

void session_leave(struct session *s, int error) {
  if (s->phase == PHASE_OVER) return;
  if (error) session_fail(s, error, "%s", dunlin_error_text(error));
  else session_fail(s, 0, "%s", "");
}

/* ---- Events ------------------------------------------------------------------------------------------------- */

void session_event(struct session *s, enum dunlin_node_event_kind kind, const struct dunlin_id *space, int error,
                   const char *text) {
  struct dunlin_node_event event = {.kind = kind, .error = error, .device = s->device};
  if (space) event.space = *space;
  copy_text(event.text, sizeof event.text, text);
  if (s->event_count) { /* a repetition says nothing new */
    struct dunlin_node_event *last = &s->events[(s->event_first + s->event_count - 1) % SESSION_EVENTS];
    if (last->kind == kind && !error && !last->error && !id_compare(&last->space, &event.space)) return;
  }
  if (s->event_count == SESSION_EVENTS) s->event_count--; /* they are taken after every call; a call makes a few */
  s->events[(s->event_first + s->event_count++) % SESSION_EVENTS] = event;
}

bool session_next_event(struct session *s, struct dunlin_node_event *out) {
  if (!s->event_count) return false;
  *out = s->events[s->event_first];
  s->event_first = (s->event_first + 1) % SESSION_EVENTS;
  s->event_count--;
  return true;
}

/* ---- Messages in -------------------------------------------------------------------------------------------- */

/* What the peer's parting code means to whoever reads it here. */
static const char *parting(int error) {
  switch (error) {
    case DUNLIN_EUSED: return "the invitation was used already; ask for a new one";
    case DUNLIN_EEXPIRED: return "the invitation has expired; ask for a new one";
    case DUNLIN_ENOENT: return "the invitation is not known any more; ask for a new one";
    case DUNLIN_ESTRANGER: return "the peer shares no space with this device; join one with an invitation";
    case DUNLIN_ENEWER: return "the peer speaks another version of the protocol";
    case DUNLIN_EPEER: return "the peer says that we broke the protocol";
    case DUNLIN_EAUTH: return "the peer could not verify what we sent";
    default: return dunlin_error_text(error);
  }
}

static int bye_message(struct session *s, struct mp_reader *r) {
  uint64_t code = mp_read_uint(r, 1000);
  if (mp_end(r)) return session_broken(s, "a malformed farewell");
  int error = -(int)code;
  s->phase = PHASE_OVER;
  s->error = error;
  if (error) snprintf(s->why, sizeof s->why, "%s closed the connection: %s", s->address, parting(error));
  return error;
}

static int ping_message(struct session *s, struct mp_reader *r) {
  if (mp_end(r)) return session_broken(s, "a malformed ping");
  return message_end(s, message_begin(s, MESSAGE_PONG, 0));
}

typedef int message_handler(struct session *s, struct mp_reader *r);

static int pong_message(struct session *s, struct mp_reader *r) {
  return mp_end(r) ? session_broken(s, "a malformed pong") : 0;
}

/* Each message, the phase that it belongs to, and its fields behind the type. */
static const struct message_row {
  message_handler *handle;
  enum phase phase;
  size_t fields;
} rows[] = {
    [MESSAGE_HELLO] = {handshake_hello, PHASE_HELLO, 5},
    [MESSAGE_WELCOME] = {handshake_welcome, PHASE_JOIN, 1},
    [MESSAGE_JOINED] = {handshake_joined, PHASE_JOIN, 0},
    [MESSAGE_BYE] = {bye_message, PHASE_OVER, 1}, /* PHASE_OVER: in any phase */
    [MESSAGE_PING] = {ping_message, PHASE_OVER, 0},
    [MESSAGE_PONG] = {pong_message, PHASE_OVER, 0},
    [MESSAGE_SUMMARY] = {sync_summary_message, PHASE_SYNC, 1},
    [MESSAGE_MEMBERS] = {sync_members_message, PHASE_SYNC, 2},
    [MESSAGE_HAVE] = {sync_have_message, PHASE_SYNC, 2},
    [MESSAGE_WANT] = {transfer_want_message, PHASE_SYNC, 10},
    [MESSAGE_RUN] = {transfer_run_message, PHASE_SYNC, 2},
    [MESSAGE_DONE] = {transfer_done_message, PHASE_SYNC, 1},
    [MESSAGE_ACK] = {sync_ack_message, PHASE_SYNC, 6},
};

static int handle_message(struct session *s, struct dunlin_bytes message) {
  struct mp_reader r = mp_reader_of(message.data, message.len);
  size_t fields = mp_read_array(&r, 16);
  size_t type = mp_read_uint(&r, sizeof rows / sizeof *rows - 1);
  if (r.error || !rows[type].handle || fields != 1 + rows[type].fields) return session_broken(s, "an unknown message");
  if (rows[type].phase != PHASE_OVER && rows[type].phase != s->phase)
    return session_broken(s, "a message out of its order");
  return rows[type].handle(s, &r);
}

static int read_messages(struct session *s, const uint8_t *at, size_t left) {
  while (s->phase != PHASE_OVER) {
    struct dunlin_bytes message;
    int result = frame_read(&s->reader, &at, &left, &message);
    if (result == 0) break;
    if (result == DUNLIN_EAUTH) return session_fail(s, result, "what came from %s was altered on its way", s->address);
    if (result == DUNLIN_ENOMEM) return session_fail(s, result, "out of memory while talking to %s", s->address);
    if (result < 0) return session_broken(s, "a frame that cannot be");
    result = handle_message(s, message);
    if (result < 0) return result;
  }
  return s->error;
}

int session_receive(struct session *s, uint64_t now, const void *data, size_t len) {
  s->now = now;
  if (s->phase == PHASE_OVER || !len) return s->error;
  const uint8_t *at = data;
  if (s->phase == PHASE_HANDSHAKE) {
    int error = handshake_receive(s, &at, &len);
    if (error || s->phase == PHASE_HANDSHAKE) return error;
    s->last_received = now;
  }
  /* Only whole frames of the peer's are a sign of life: after a length that was altered on its way, bytes that come are
   * none. */
  uint64_t frames = s->reader.frames;
  int error = read_messages(s, at, len);
  if (s->reader.frames != frames) {
    s->last_received = now;
    s->pinged = false;
  }
  if (!error && s->phase == PHASE_SYNC) error = sync_step(s);
  return error;
}

int session_eof(struct session *s, const char *why) {
  if (s->phase == PHASE_OVER) return s->error;
  if (why) return session_fail(s, DUNLIN_ENET, "the connection to %s was lost: %s", s->address, why);
  if (s->phase != PHASE_HANDSHAKE) return session_fail(s, DUNLIN_ENET, "the connection to %s was lost", s->address);
  if (!s->initiator) return session_fail(s, DUNLIN_ENET, "%s hung up during the handshake", s->address);
  if (s->noise.at > 1 || s->handshake_in.len)
    return session_fail(s, DUNLIN_EAUTH, "%s hung up during the handshake", s->address);
  if (s->joining)
    return session_fail(s, DUNLIN_EAUTH,
                        "%s does not know this invitation: it has expired or is not meant for it; "
                        "ask for a new one",
                        s->address);
  return session_fail(s, DUNLIN_ESTRANGER,
                      "no device that shares a space with this one answers at %s; join one of its "
                      "spaces with an invitation",
                      s->address);
}

int session_store_changed(struct session *s, uint64_t now) {
  s->now = now;
  return s->phase == PHASE_SYNC ? sync_step(s) : s->error;
}

/* ---- Time --------------------------------------------------------------------------------------------------- */

uint64_t session_deadline(const struct session *s) {
  if (s->phase == PHASE_HANDSHAKE || s->phase == PHASE_HELLO) return s->start + s->handshake_ms;
  return s->pinged ? s->last_ping + SESSION_SILENCE_MS - SESSION_PING_MS : s->last_received + SESSION_PING_MS;
}

int session_tick(struct session *s, uint64_t now) {
  s->now = now;
  if (s->phase == PHASE_OVER || now < session_deadline(s)) return s->error;
  if (s->phase == PHASE_HANDSHAKE || s->phase == PHASE_HELLO)
    return session_fail(s, DUNLIN_ETIMEOUT, "%s stopped answering in the middle of the handshake", s->address);
  if (s->pinged)
    return session_fail(s, DUNLIN_ETIMEOUT, "%s has not answered for %u seconds", s->address,
                        SESSION_SILENCE_MS / 1000);
  s->pinged = true;
  s->last_ping = now;
  return message_end(s, message_begin(s, MESSAGE_PING, 0));
}

/* ---- Bytes out ---------------------------------------------------------------------------------------------- */

int session_output(struct session *s, uint64_t now, struct dunlin_bytes *out) {
  s->now = now;
  *out = (struct dunlin_bytes){NULL, 0};
  if (s->phase == PHASE_SYNC) {
    int error = transfer_serve(s);
    if (error && s->phase != PHASE_OVER) return error;
  }
  int error = frame_output(&s->writer, out);
  if (error) return session_fail(s, error, "cannot send to %s: %s", s->address, dunlin_error_text(error));
  return 0;
}

void session_sent(struct session *s, size_t len) {
  frame_sent(&s->writer, len);
}
