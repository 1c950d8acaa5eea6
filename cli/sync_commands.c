/* invite, join, sync: everything that talks to other devices. */
#include "cli/app.h"
#include "cli/json.h"
#include "cli/signals.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_US 60000000
#define LINGER_MS 300 /* how long a finished node stays, so that the peer hears the last acknowledgement */

/* A running node, and how many changes the store held when that was last told. */
struct talk {
  struct app *app;
  dunlin_node *node;
  uint64_t entries;
};

static uint64_t entries_now(struct app *app) {
  struct dunlin_store_info info;
  return dunlin_store_info(app->opened, &info) == 0 ? info.entries : 0;
}

static int talk_start(struct talk *talk, struct app *app, struct dunlin_node_options *options, const char *what) {
  struct dunlin_why why = {""};
  *talk = (struct talk){.app = app, .entries = entries_now(app)};
  options->wake = signals_wake;
  int rc = signals_catch(NULL);
  if (!rc) rc = dunlin_node_start(app->opened, options, &talk->node, &why);
  return rc ? app_fail_why(app, rc, &why, what) : 0;
}

static void talk_stop(struct talk *talk) {
  if (talk->node) dunlin_node_stop(talk->node);
  talk->node = NULL;
}

/* The next event: 1; 0 when `deadline` (microseconds since 1970, 0: none) has passed or a signal asked to end. */
static int talk_next(struct talk *talk, struct dunlin_node_event *event, int64_t deadline) {
  while (!signals_ended()) {
    if (dunlin_node_next_event(talk->node, event, 0) == 1) return 1;
    int64_t left = deadline ? deadline - app_now() : 0;
    if (deadline && left <= 0) return 0;
    signals_wait(deadline ? (int)(left / 1000 > 60000 ? 60000 : left / 1000 + 1) : -1);
  }
  return 0;
}

/* ---- Telling ------------------------------------------------------------------------------------------------ */

/* A device's name if it is a member of one of our spaces, else the beginning of its id. */
static void device_name(struct app *app, const struct dunlin_id *device, char out[DUNLIN_MAX_NAME + 1]) {
  struct dunlin_space_info space;
  struct dunlin_member member;
  char digits[65];
  for (size_t i = 0; dunlin_space_at(app->opened, i, &space) == 0; i++) {
    for (size_t j = 0; dunlin_space_member(app->opened, &space.id, j, &member) == 0; j++) {
      if (memcmp(&member.device, device, sizeof *device) != 0 || !member.name[0]) continue;
      memcpy(out, member.name, sizeof member.name);
      return;
    }
  }
  snprintf(out, DUNLIN_MAX_NAME + 1, "%s", hex(device->bytes, SHORT_DIGITS, digits));
}

static void space_alias(struct app *app, const struct dunlin_id *id, char out[DUNLIN_MAX_NAME + 1]) {
  struct dunlin_space_info space;
  char digits[65];
  for (size_t i = 0; dunlin_space_at(app->opened, i, &space) == 0; i++) {
    if (memcmp(&space.id, id, sizeof *id) != 0) continue;
    memcpy(out, space.alias, sizeof space.alias);
    return;
  }
  snprintf(out, DUNLIN_MAX_NAME + 1, "%s", hex(id->bytes, SHORT_DIGITS, digits));
}

static const char *event_words(enum dunlin_node_event_kind kind) {
  switch (kind) {
    case DUNLIN_NODE_CONNECTED: return "connected";
    case DUNLIN_NODE_IN_SYNC: return "in sync";
    case DUNLIN_NODE_RECEIVED: return "received";
    case DUNLIN_NODE_JOINED: return "joined";
    case DUNLIN_NODE_GUEST: return "guest";
    case DUNLIN_NODE_CLOSED: return "closed";
    case DUNLIN_NODE_REFUSED: return "refused";
    case DUNLIN_NODE_FORKED: return "forked";
    case DUNLIN_NODE_COPIED: return "copied";
  }
  return "unknown";
}

static void tell_json(const struct dunlin_node_event *event, const char *name, uint64_t received) {
  const char *error = event->error ? dunlin_error_name(event->error) : NULL;
  app_print_line(json_pack("{s:s, s:s, s:s, s:I, s:s*, s:s*}", "event", event_words(event->kind), "name", name,
                           "address", event->address, "received", (json_int_t)received, "error", error, "message",
                           error ? event->text : NULL));
  app_flush();
}

/* One line for an event: on stderr, or as JSON on stdout. */
static void tell(struct talk *talk, const struct dunlin_node_event *event) {
  struct app *app = talk->app;
  char name[DUNLIN_MAX_NAME + 1], alias[DUNLIN_MAX_NAME + 1];
  uint64_t received = 0;
  if (event->kind == DUNLIN_NODE_RECEIVED) return; /* told with the next "in sync" */
  device_name(app, &event->device, name);
  if (event->kind == DUNLIN_NODE_IN_SYNC) {
    uint64_t now = entries_now(app);
    received = now - talk->entries;
    talk->entries = now;
  }
  if (app->json) {
    tell_json(event, name, received);
  } else if (event->kind == DUNLIN_NODE_CONNECTED) {
    app_note(app, "connected to %s (%s)", name, event->address);
  } else if (event->kind == DUNLIN_NODE_IN_SYNC) {
    app_note(app, "in sync with %s (%s), received %" PRIu64 " change%s", name, event->address, received,
             received == 1 ? "" : "s");
  } else if (event->kind == DUNLIN_NODE_CLOSED || event->kind == DUNLIN_NODE_REFUSED) {
    const char *reason = event->text[0] ? event->text : dunlin_error_text(event->error);
    app_note(app, "%s: %s", event->address, event->error ? reason : "the peer left");
  } else if (event->kind == DUNLIN_NODE_FORKED || event->kind == DUNLIN_NODE_COPIED) {
    app_note(app, "note: %s", event->text);
  } else {
    space_alias(app, &event->space, alias);
    app_note(app, "%s has joined %s", event->kind == DUNLIN_NODE_GUEST ? name : "this device", alias);
  }
}

/* Lets the peer hear that we have everything, before the connection ends. */
static void linger(struct talk *talk) {
  struct dunlin_node_event event;
  int64_t deadline = app_now() + LINGER_MS * 1000;
  while (talk_next(talk, &event, deadline) == 1 && event.kind != DUNLIN_NODE_CLOSED) continue;
}

static bool is_failure(const struct dunlin_node_event *event) {
  return event->kind == DUNLIN_NODE_CLOSED || event->kind == DUNLIN_NODE_REFUSED;
}

static int report_failure(struct app *app, const struct dunlin_node_event *event, const char *what) {
  struct dunlin_why why;
  memcpy(why.text, event->text, sizeof why.text);
  if (event->error) return app_fail_why(app, event->error, &why, what);
  return app_fail(app, DUNLIN_ENET, "try again", "%s: the peer left before everything was exchanged", what);
}

/* ---- sync --------------------------------------------------------------------------------------------------- */

/* Which of the --peer addresses this is; peer_count when none. */
static size_t peer_index(const struct app *app, const char *address) {
  size_t i = 0;
  while (i < app->peer_count && strcmp(app->peers[i], address) != 0) i++;
  return i;
}

/* --once: until every peer was in sync or failed; with none, until one that called was in sync. */
static int sync_once(struct talk *talk) {
  struct app *app = talk->app;
  size_t waiting = app->peer_count ? app->peer_count : 1;
  bool *ended = calloc(app->peer_count + 1, sizeof *ended), heard = false;
  struct dunlin_node_event event;
  int status = EXIT_DONE;
  while (ended && waiting && talk_next(talk, &event, 0) == 1) {
    size_t i = peer_index(app, event.address);
    bool counts = (i < app->peer_count || app->peer_count == 0) && !ended[i];
    if (is_failure(&event) && counts && app->peer_count) {
      status = report_failure(app, &event, event.address);
    } else {
      tell(talk, &event);
      if (event.kind != DUNLIN_NODE_IN_SYNC) continue;
      heard = true;
    }
    if (!counts) continue;
    ended[i] = true;
    waiting--;
  }
  free(ended);
  if (!waiting && heard) linger(talk); /* also when another one has failed */
  return status;
}

static int sync_on(struct talk *talk) {
  struct dunlin_node_event event;
  while (talk_next(talk, &event, 0) == 1) tell(talk, &event);
  return EXIT_DONE;
}

static void tell_listening(struct talk *talk) {
  struct app *app = talk->app;
  const char *colon = strrchr(app->listen, ':');
  int host = colon ? (int)(colon - app->listen) : 0;
  unsigned port = dunlin_node_port(talk->node);
  app_note(app, "listening on %.*s:%u", host, app->listen, port);
  if (!app->json) return;
  char address[DUNLIN_MAX_NAME + 16];
  snprintf(address, sizeof address, "%.*s:%u", host, app->listen, port);
  app_print_line(json_pack("{s:s, s:s}", "event", "listening", "address", address));
  app_flush();
}

int cmd_sync(struct app *app) {
  struct talk talk = {.node = NULL};
  struct dunlin_node_options options = dunlin_node_defaults();
  if (!app->listen && !app->peer_count) return app_usage(app, "sync", "sync needs --listen or --peer");
  int status = app_open(app);
  if (status) return status;
  options.listen = app->listen;
  options.peers = app->peers;
  options.peer_count = app->peer_count;
  if (app->once) options.retry_ms = 0;
  status = talk_start(&talk, app, &options, app->listen ? app->listen : app->peers[0]);
  if (!status) {
    if (app->listen) tell_listening(&talk);
    status = app->once ? sync_once(&talk) : sync_on(&talk);
  }
  talk_stop(&talk);
  return app_close(app, status);
}

/* ---- invite ------------------------------------------------------------------------------------------------- */

/* What the guest shall call: --address, or the host of --listen with the port that was taken. */
static int invite_address(struct app *app, const char *listen, unsigned port, char out[DUNLIN_MAX_NAME + 1]) {
  const char *colon = strrchr(listen, ':');
  int n;
  if (app->address) {
    n = snprintf(out, DUNLIN_MAX_NAME + 1, "%s", app->address);
  } else {
    n = snprintf(out, DUNLIN_MAX_NAME + 1, "%.*s:%u", colon ? (int)(colon - listen) : 0, listen, port);
  }
  if (n <= (int)DUNLIN_MAX_NAME) return 0;
  return app_fail(app, DUNLIN_EADDR, NULL, "the address is too long");
}

static bool is_wildcard(const char *listen) {
  return strncmp(listen, "0.0.0.0:", 8) == 0 || strncmp(listen, "[::]:", 5) == 0;
}

/* Until a guest has joined and has everything. */
static int await_guest(struct talk *talk, int64_t deadline) {
  struct dunlin_node_event event;
  struct dunlin_id guest;
  bool came = false;
  while (talk_next(talk, &event, came ? 0 : deadline) == 1) {
    tell(talk, &event);
    bool same = came && memcmp(&guest, &event.device, sizeof guest) == 0;
    if (same && (event.kind == DUNLIN_NODE_IN_SYNC || is_failure(&event))) {
      if (event.kind == DUNLIN_NODE_IN_SYNC) linger(talk);
      return EXIT_DONE; /* joined in any case; what is missing comes with the next sync */
    }
    if (event.kind == DUNLIN_NODE_GUEST) {
      guest = event.device;
      came = true;
    }
  }
  if (came) return EXIT_DONE;
  if (signals_ended()) {
    return app_fail(talk->app, DUNLIN_ESTATE,
                    "it stays good until it expires: 'dunlin sync --listen' there takes the guest, too",
                    "the invitation was not waited for");
  }
  return app_fail(talk->app, DUNLIN_EEXPIRED, "invite again", "nobody came before the invitation expired");
}

static int invite(struct app *app, struct talk *talk, const struct dunlin_id *space, const char *listen,
                  int64_t valid) {
  char address[DUNLIN_MAX_NAME + 1], line[DUNLIN_INVITATION_MAX];
  int status = invite_address(app, listen, dunlin_node_port(talk->node), address);
  if (status) return status;
  int64_t deadline = app_now() + valid;
  int rc = dunlin_invite(app->opened, space, address, valid, line);
  if (rc == DUNLIN_EPERM) return app_fail(app, rc, NULL, "only the owner of '%s' invites to it", app->args[0]);
  if (rc) return app_fail_why(app, rc, NULL, "the invitation could not be made");
  if (app->json) app_print_line(json_pack("{s:s, s:s}", "invitation", line, "address", address));
  else puts(line);
  if (!app_flush()) return EXIT_DONE;
  app_note(app, "waiting at %s for the guest to run 'dunlin join INVITATION'", address);
  return await_guest(talk, deadline);
}

/* --expires in microseconds; an hour when it is not given. */
static int parse_expires(struct app *app, int64_t *valid) {
  char *end = NULL;
  const double max = 60 * 24 * 366; /* a year */
  double minutes = app->expires ? strtod(app->expires, &end) : 60;
  if (app->expires && (*end || end == app->expires || !(minutes > 0 && minutes <= max))) {
    return app_usage(app, "invite", "--expires is a number of minutes up to %.0f, and '%s' is not", max, app->expires);
  }
  *valid = (int64_t)(minutes * MINUTE_US);
  return 0;
}

int cmd_invite(struct app *app) {
  struct talk talk = {.node = NULL};
  struct dunlin_node_options options = dunlin_node_defaults();
  struct dunlin_id space;
  int64_t valid = 0;
  options.listen = app->listen ? app->listen : "127.0.0.1:0";
  int status = parse_expires(app, &valid);
  if (!status && is_wildcard(options.listen) && !app->address) {
    status = app_usage(app, "invite", "a guest cannot call %s: give --address HOST:PORT, too", options.listen);
  }
  if (!status) status = app_open(app);
  if (status) return status;
  status = app_space(app, app->args[0], &space);
  if (!status) status = talk_start(&talk, app, &options, options.listen);
  if (!status) status = invite(app, &talk, &space, options.listen, valid);
  talk_stop(&talk);
  return app_close(app, status);
}

/* ---- join --------------------------------------------------------------------------------------------------- */

/* Reads the invitation, from stdin if it is "-", and looks whether it can be used. */
static int read_invitation(struct app *app, char line[DUNLIN_INVITATION_MAX + 2], struct dunlin_id *host) {
  const char *given = app->args[0];
  struct dunlin_invitation invitation;
  if (strcmp(given, "-") == 0) {
    if (app->passphrase_file && strcmp(app->passphrase_file, "-") == 0) {
      return app_usage(app, "join", "the invitation and the passphrase cannot both come from stdin");
    }
    if (!fgets(line, DUNLIN_INVITATION_MAX + 2, stdin)) line[0] = 0;
  } else {
    snprintf(line, DUNLIN_INVITATION_MAX + 2, "%s", given);
  }
  int rc = dunlin_invitation_parse(line, strlen(line), &invitation);
  if (!rc && invitation.expires < app_now()) rc = DUNLIN_EEXPIRED;
  if (!rc) *host = invitation.device;
  sodium_memzero(&invitation, sizeof invitation);
  return rc ? app_fail_why(app, rc, NULL, "the invitation cannot be used") : 0;
}

/* A device's first command may be to join: then its store is made here. */
static int open_or_create(struct app *app, const struct dunlin_id *host) {
  int status = app_locate(app);
  if (status) return status;
  bool absent = dunlin_store_probe(app->dir, NULL) == DUNLIN_ENOSTORE;
  if (!absent && app->name) {
    return app_fail(app, DUNLIN_EEXIST, "leave out --name", "the store %s is there and has its name", app->dir);
  }
  if (absent) status = app_create(app, app->name);
  if (!status) status = app_open(app);
  if (status) return status;
  struct dunlin_store_info info;
  int rc = dunlin_store_info(app->opened, &info);
  if (rc) return app_fail_why(app, rc, NULL, app->dir);
  if (memcmp(&info.device, host, sizeof *host) != 0) return 0;
  return app_fail(app, DUNLIN_EINVAL, "use it on another device", "this device has made the invitation itself");
}

/* Until we are a member and have everything; gives the space. */
static int await_host(struct talk *talk, struct dunlin_id *space) {
  struct dunlin_node_event event;
  bool joined = false;
  while (talk_next(talk, &event, 0) == 1) {
    if (event.kind == DUNLIN_NODE_CLOSED && !joined) return report_failure(talk->app, &event, event.address);
    tell(talk, &event);
    if (event.kind == DUNLIN_NODE_JOINED) {
      *space = event.space;
      joined = true;
    }
    if (joined && is_failure(&event)) return EXIT_DONE; /* what is missing comes with the next sync */
    if (joined && event.kind == DUNLIN_NODE_IN_SYNC) {
      linger(talk);
      return EXIT_DONE;
    }
  }
  if (joined) return EXIT_DONE;
  return app_fail(talk->app, DUNLIN_ESTATE, "run it again", "interrupted before the other device answered");
}

int cmd_join(struct app *app) {
  struct talk talk = {.node = NULL};
  struct dunlin_node_options options = dunlin_node_defaults();
  struct dunlin_id space, host;
  char line[DUNLIN_INVITATION_MAX + 2], alias[DUNLIN_MAX_NAME + 1], digits[65];
  int status = app->as ? app_check_alias(app, app->as) : 0;
  if (!status) status = read_invitation(app, line, &host);
  if (!status) status = open_or_create(app, &host);
  if (status) return app_close(app, status);
  options.invitation = line;
  options.join_alias = app->as;
  options.retry_ms = 0;
  status = talk_start(&talk, app, &options, "the invitation cannot be used");
  if (!status) status = await_host(&talk, &space);
  talk_stop(&talk);
  if (!status) {
    space_alias(app, &space, alias);
    if (app->json) {
      app_print_line(json_pack("{s:s, s:s}", "space", alias, "id", hex(space.bytes, ID_DIGITS, digits)));
    } else {
      app_puts(alias, strlen(alias));
      putchar('\n');
    }
  }
  return app_close(app, status);
}
