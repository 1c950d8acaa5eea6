#include "transport/hub.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "transport/address.h"

struct connection {
  struct hub *hub;
  struct connection *next;
  struct link *link;
  struct session *session; /* NULL while a call is being put through */
  size_t caller;           /* whose call it is; SIZE_MAX: it was accepted */
  uint8_t psk[32];
  uint64_t deadline; /* of connecting, or of lingering; 0: the session's counts */
  bool established, lingering;
  struct session_counts counted;
  char address[DUNLIN_MAX_NAME + 1];
};

static uint64_t now_of(struct hub *hub) {
  return hub->driver.now(hub->driver.ctx);
}

static void rearm(struct hub *hub);

/* ---- Telling ----------------------------------------------------------------------------------------------------- */

static void grow_counts(struct hub *hub, uint64_t sent, uint64_t received) {
  struct dunlin_node_stats grown = {.bytes_sent = sent, .bytes_received = received};
  hub->count(hub->ctx, &grown);
}

static void count_session(struct connection *c) {
  struct session_counts counts = session_counts(c->session);
  struct dunlin_node_stats grown = {.runs_sent = counts.runs_sent - c->counted.runs_sent,
                                    .runs_received = counts.runs_received - c->counted.runs_received};
  bool established = session_established(c->session, NULL);
  grown.connections = established && !c->established; /* one that goes is taken off in close_connection() */
  c->established |= established;
  c->counted = counts;
  if (grown.runs_sent || grown.runs_received || grown.connections) c->hub->count(c->hub->ctx, &grown);
}

static struct caller *caller_of(struct connection *c) {
  return c->caller == SIZE_MAX ? NULL : &c->hub->callers[c->caller];
}

static void take_events(struct connection *c) {
  struct dunlin_node_event event;
  while (session_next_event(c->session, &event)) {
    struct caller *caller = caller_of(c);
    if (caller && event.kind == DUNLIN_NODE_CONNECTED) caller_connected(caller, &event.device);
    if (caller && event.kind == DUNLIN_NODE_JOINED) caller_joined(caller);
    if (caller && (event.kind == DUNLIN_NODE_IN_SYNC || event.kind == DUNLIN_NODE_RECEIVED)) caller_settled(caller);
    memcpy(event.address, c->address, sizeof event.address);
    c->hub->event(c->hub->ctx, &event);
  }
}

static void tell_closed(struct hub *hub, const char *address, const struct dunlin_id *device, int error,
                        const char *text) {
  struct dunlin_node_event event = {.kind = DUNLIN_NODE_CLOSED, .error = error};
  if (device) event.device = *device;
  snprintf(event.address, sizeof event.address, "%s", address);
  snprintf(event.text, sizeof event.text, "%s", error ? text : "");
  hub->event(hub->ctx, &event);
}

/* ---- Closing ----------------------------------------------------------------------------------------------------- */

static uint32_t jitter(struct hub *hub) {
  uint32_t value = 0;
  if (hub->env->random(hub->env->ctx, &value, sizeof value)) value = 0;
  return value;
}

static void drop(struct connection *c) {
  link_close(c->link);
  session_free(c->session);
  sodium_memzero(c->psk, sizeof c->psk);
  env_free(c->hub->env, c, sizeof *c);
}

/* Tells of the end, unless another key is tried first, and forgets the connection. */
static void close_connection(struct connection *c, int error, const char *text) {
  struct hub *hub = c->hub;
  struct caller *caller = caller_of(c);
  struct dunlin_id device = {{0}};
  bool known = c->session && session_established(c->session, &device);
  bool refused = c->session && session_key_refused(c->session), worth = true;
  if (caller) worth = caller_ended(caller, hub->store, error, refused, now_of(hub), jitter(hub));
  if (hub->stopping) worth = false;
  if (worth) tell_closed(hub, c->address, known ? &device : NULL, error, text);
  if (c->established) {
    struct dunlin_node_stats gone = {.connections = (size_t)-1};
    hub->count(hub->ctx, &gone);
  }
  for (struct connection **at = &hub->connections; *at; at = &(*at)->next)
    if (*at == c) {
      *at = c->next;
      break;
    }
  drop(c);
  rearm(hub);
}

static void close_after_session(struct connection *c) {
  close_connection(c, session_error(c->session), session_why(c->session));
}

/* ---- Feeding ----------------------------------------------------------------------------------------------------- */

/* Sends what the session has to say; when it is over and all is said, waits a little for the peer to close. */
static void pump(struct connection *c) {
  struct hub *hub = c->hub;
  struct dunlin_bytes out = {NULL, 0};
  take_events(c);
  if (!link_busy(c->link)) {
    session_output(c->session, now_of(hub), &out);
    size_t taken = link_write(c->link, out.data, out.len);
    session_sent(c->session, taken);
    if (taken) grow_counts(hub, taken, 0);
    take_events(c);
  }
  count_session(c);
  if (!session_over(c->session)) {
    rearm(hub);
    return;
  }
  if (!c->lingering) {
    c->lingering = true;
    c->deadline = now_of(hub) + HUB_LINGER_MS;
  }
  if (!link_busy(c->link) && !out.len) link_finish(c->link);
  if (!session_established(c->session, NULL) && session_error(c->session) == DUNLIN_EPEER) close_after_session(c);
  else rearm(hub);
}

static void on_received(void *ctx, const uint8_t *data, size_t len) {
  struct connection *c = ctx;
  grow_counts(c->hub, 0, len);
  if (c->lingering) return;
  session_receive(c->session, now_of(c->hub), data, len);
  pump(c);
}

static void on_drained(void *ctx) {
  pump(ctx);
}

static void on_ended(void *ctx, const char *why) {
  struct connection *c = ctx;
  char text[256];
  if (!c->session) {
    snprintf(text, sizeof text, "cannot reach %.150s: %s; is it running?", c->address,
             why ? why : "the connection closed");
    close_connection(c, DUNLIN_ENET, text);
    return;
  }
  if (!session_over(c->session)) session_eof(c->session, why);
  take_events(c);
  count_session(c);
  close_after_session(c);
}

static int begin_session(struct connection *c) {
  struct hub *hub = c->hub;
  struct caller *caller = caller_of(c);
  struct session_config config = {.store = hub->store,
                                  .address = c->address,
                                  .initiator = caller != NULL,
                                  .alias = hub->alias,
                                  .handshake_ms = hub->handshake_ms};
  if (caller && caller->joining) config.invitation = &caller->invitation;
  memcpy(config.psk, c->psk, sizeof config.psk);
  int error = session_new(&config, now_of(hub), &c->session);
  sodium_memzero(config.psk, sizeof config.psk);
  sodium_memzero(c->psk, sizeof c->psk);
  c->deadline = 0;
  return error;
}

static void on_opened(void *ctx) {
  struct connection *c = ctx;
  int error = begin_session(c);
  if (error) close_connection(c, error, dunlin_error_text(error));
  else pump(c);
}

static const struct link_owner link_calls = {on_opened, on_received, on_drained, on_ended};

/* ---- Accepting --------------------------------------------------------------------------------------------------- */

static size_t half_open(const struct hub *hub) {
  size_t count = 0;
  for (const struct connection *c = hub->connections; c; c = c->next) count += c->caller == SIZE_MAX && !c->established;
  return count;
}

void hub_accept(struct hub *hub, struct link *link, const struct sockaddr *from) {
  struct connection *c = NULL;
  if (hub->stopping || half_open(hub) >= HUB_HALF_OPEN || !limiter_take(&hub->limiter, from, now_of(hub) + 1) ||
      !(c = env_calloc(hub->env, 1, sizeof *c))) {
    link_reset(link);
    return;
  }
  *c = (struct connection){.hub = hub, .link = link, .caller = SIZE_MAX, .next = hub->connections};
  address_text(from, c->address, sizeof c->address);
  hub->connections = c;
  int error = begin_session(c);
  if (!error) error = link_own(link, &link_calls, c);
  if (error) close_connection(c, error, dunlin_error_text(error));
  else rearm(hub);
}

/* ---- Calling ----------------------------------------------------------------------------------------------------- */

static void call_failed(struct hub *hub, struct caller *caller, int error) {
  const char *text = dunlin_error_text(error);
  if (error == DUNLIN_ESTRANGER)
    text = "no device shares a space with this one yet; join a space with an invitation first";
  if (error == DUNLIN_EEXPIRED) text = "the invitation has expired; ask for a new one";
  if (caller_ended(caller, hub->store, error, false, now_of(hub), jitter(hub)))
    tell_closed(hub, caller->address, NULL, error, text);
}

static void call(struct hub *hub, size_t index) {
  struct caller *caller = &hub->callers[index];
  struct connection *c = env_calloc(hub->env, 1, sizeof *c);
  int error = c ? caller_psk(caller, hub->store, c->psk) : DUNLIN_ENOMEM;
  if (!error) error = hub->driver.connect(hub->driver.ctx, caller->address, &link_calls, c, &c->link);
  if (error) {
    if (c) sodium_memzero(c->psk, sizeof c->psk);
    env_free(hub->env, c, sizeof *c);
    call_failed(hub, caller, error);
    return;
  }
  c->hub = hub;
  c->caller = index;
  c->deadline = now_of(hub) + hub->handshake_ms;
  memcpy(c->address, caller->address, sizeof c->address);
  c->next = hub->connections;
  hub->connections = c;
}

int hub_add_caller(struct hub *hub, const char *address, unsigned retry_ms,
                   const struct dunlin_invitation *invitation) {
  if (hub->caller_count == HUB_MAX_CALLERS) return DUNLIN_ELIMIT;
  int error = ENV_GROW(hub->env, hub->callers, hub->caller_cap, hub->caller_count + 1);
  if (error) return error;
  struct caller *caller = &hub->callers[hub->caller_count++];
  caller_init(caller, address, retry_ms, 0);
  caller->joining = invitation != NULL;
  if (invitation) caller->invitation = *invitation;
  return 0;
}

/* ---- Time -------------------------------------------------------------------------------------------------------- */

static uint64_t deadline_of(const struct connection *c) {
  return c->deadline ? c->deadline : session_deadline(c->session);
}

static void tick(struct connection *c) {
  char text[256];
  if (!c->session) {
    snprintf(text, sizeof text, "cannot reach %.150s: it does not answer", c->address);
    close_connection(c, DUNLIN_ETIMEOUT, text);
  } else if (c->lingering) {
    close_after_session(c);
  } else {
    session_tick(c->session, now_of(c->hub));
    pump(c);
  }
}

void hub_tick(struct hub *hub) {
  hub->wake_at = UINT64_MAX;
  uint64_t now = now_of(hub);
  for (struct connection *c = hub->connections, *next; c; c = next) {
    next = c->next;
    if (deadline_of(c) <= now) tick(c);
  }
  for (size_t i = 0; i < hub->caller_count && !hub->stopping; i++)
    if (caller_due(&hub->callers[i], now)) call(hub, i);
  rearm(hub);
}

/* Asks to be woken at what comes first. */
static void rearm(struct hub *hub) {
  uint64_t first = UINT64_MAX;
  for (const struct connection *c = hub->connections; c; c = c->next)
    if (deadline_of(c) < first) first = deadline_of(c);
  for (size_t i = 0; i < hub->caller_count && !hub->stopping; i++)
    if (caller_deadline(&hub->callers[i]) < first) first = caller_deadline(&hub->callers[i]);
  if (first != hub->wake_at) hub->driver.wake_at(hub->driver.ctx, first);
  hub->wake_at = first;
  if (!hub->stopping || hub->connections || !hub->stopped) return;
  void (*stopped)(void *ctx) = hub->stopped;
  hub->stopped = NULL;
  stopped(hub->ctx);
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

void hub_init(struct hub *hub, dunlin_store *store, const struct dunlin_node_options *options,
              const struct link_driver *driver) {
  *hub = (struct hub){.driver = *driver,
                      .store = store,
                      .env = exchange_env(store),
                      .handshake_ms = options->handshake_ms,
                      .alias = options->join_alias,
                      .wake_at = UINT64_MAX};
}

void hub_start(struct hub *hub) {
  rearm(hub);
}

void hub_store_changed(struct hub *hub) {
  for (struct connection *c = hub->connections, *next; c; c = next) {
    next = c->next;
    if (!c->session || c->lingering) continue;
    session_store_changed(c->session, now_of(hub));
    pump(c);
  }
}

void hub_stop(struct hub *hub) {
  hub->stopping = true;
  for (struct connection *c = hub->connections, *next; c; c = next) {
    next = c->next;
    if (!c->session) {
      close_connection(c, 0, "");
      continue;
    }
    session_leave(c->session, 0);
    pump(c);
  }
  rearm(hub);
}

void hub_free(struct hub *hub) {
  for (struct connection *c = hub->connections, *next; c; c = next) {
    next = c->next;
    drop(c);
  }
  hub->connections = NULL;
  if (hub->callers) sodium_memzero(hub->callers, hub->caller_cap * sizeof *hub->callers);
  ENV_FREE_ARRAY(hub->env, hub->callers, hub->caller_cap);
}
