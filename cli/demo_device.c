#include "cli/demo.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/demo_writer.h"
#include "cli/json.h"

/* Transactions between two looks at the commands, and when paced, so that a kill finds a device at work. */
#define STEP 500u
#define PACED_STEP 8u
#define REPORT_MS 50
#define IDLE_MS 20
#define REJOIN_MS 50

struct device {
  const struct demo_device_options *options;
  struct trace *trace;
  struct plan plan;
  struct writer_world world;
  dunlin_store *store;
  dunlin_node *node;
  struct dunlin_id space;
  bool member, ready, quit;

  dunlin_store_doc *agents, *edits; /* first and second handle, always, so that each gets its slot again */
  struct writer writers[DEMO_WRITERS];
  size_t writer_count;
  uint64_t durable[DEMO_HANDLES]; /* as last reported */
  uint64_t seen;

  char invitation[DUNLIN_INVITATION_MAX]; /* to join with */
  int64_t join_again;
  unsigned phase;
  uint32_t until;
  unsigned edits_wanted, edits_seed;
  bool edited, waiting;
  int64_t reported;

  char input[DEMO_LINE_MAX];
  size_t input_len;
};

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  putchar('\n');
  fflush(stdout);
}

static int complain(int error, const char *doing, const struct dunlin_why *why) {
  say("error %s: %s (%s)", doing, why && why->text[0] ? why->text : dunlin_error_text(error), dunlin_error_name(error));
  return error;
}

static void say_id(const char *before, const struct dunlin_id *id, const char *after) {
  char text[2 * sizeof id->bytes + 1];
  for (size_t i = 0; i < sizeof id->bytes; i++) snprintf(text + 2 * i, 3, "%02x", id->bytes[i]);
  say("%s%s%s", before, text, after);
}

/* ---- Store, space, documents -------------------------------------------------------------------------------- */

static int open_store(struct device *d) {
  struct dunlin_why why = {0};
  struct dunlin_store_options options = dunlin_store_defaults();
  char name[DEMO_MARKER_MAX + 16];
  snprintf(name, sizeof name, "%s device %c", d->options->marker, 'a' + (int)d->options->index);
  options.key.key_file = d->options->key_file;
  options.device_name = name;
  int rc = dunlin_store_open(d->options->store, &options, &d->store, &why);
  if (rc == DUNLIN_ENOSTORE || rc == DUNLIN_ENOTSTORE) { /* new, or killed while it was made */
    rc = dunlin_store_create(d->options->store, &options, &why);
    if (rc == 0) rc = dunlin_store_open(d->options->store, &options, &d->store, &why);
  }
  return rc ? complain(rc, "opening the store", &why) : 0;
}

static int find_space(struct device *d) {
  struct dunlin_space_info info;
  int rc = dunlin_space_at(d->store, 0, &info);
  if (rc == 0) d->space = info.id;
  else if (rc == DUNLIN_ENOENT && d->options->index != 0) return 0; /* waits for its invitation */
  else if (rc == DUNLIN_ENOENT) rc = dunlin_space_new(d->store, d->options->marker, &d->space);
  if (rc) return complain(rc, "making the space", NULL);
  d->member = true;
  return 0;
}

static int start_node(struct device *d) {
  struct dunlin_why why = {0};
  struct dunlin_node_options options = dunlin_node_defaults();
  dunlin_node_stop(d->node);
  d->node = NULL;
  options.retry_ms = 50; /* a restarted neighbour is back at once; the default would be the longest part of the demo */
  if (d->options->index == 0) options.listen = "127.0.0.1:0";
  else if (d->member) options.peers = &d->options->proxy, options.peer_count = 1;
  else options.invitation = d->invitation, options.join_alias = d->options->marker;
  int rc = dunlin_node_start(d->store, &options, &d->node, &why);
  if (rc) return complain(rc, "starting the node", &why);
  if (options.listen) say("port %u", dunlin_node_port(d->node));
  return 0;
}

static int open_handle(struct device *d, const char *name, dunlin_store_doc **out) {
  int rc = dunlin_store_doc_open(d->store, &d->space, dunlin_key(name), DUNLIN_CREATE, out);
  return rc ? complain(rc, "opening a document", NULL) : 0;
}

/* Says how many changes the handle has found of its own: they must include every one that was durable before a kill. */
static int say_have(size_t h, dunlin_store_doc *handle) {
  struct dunlin_actor actor = dunlin_store_doc_actor(handle);
  say("have %zu %llu", h, (unsigned long long)writer_count(dunlin_store_doc_get(handle), &actor));
  return 0;
}

static int open_documents(struct device *d) {
  int rc = open_handle(d, "agents", &d->agents);
  if (!rc) rc = open_handle(d, "history", &d->edits);
  if (!rc) rc = say_have(0, d->edits);
  for (uint32_t w = d->options->index; !rc && w < d->plan.writers; w += DEMO_DEVICES) {
    dunlin_store_doc *handle = NULL;
    rc = open_handle(d, "history", &handle);
    if (rc) break;
    dunlin_store_doc_mode(handle, DUNLIN_GROUP);
    writer_init(&d->writers[d->writer_count++], &d->world, w, handle);
    rc = say_have(d->writer_count, handle);
  }
  return rc;
}

static void close_documents(struct device *d) {
  while (d->writer_count) dunlin_store_doc_close(d->writers[--d->writer_count].handle);
  dunlin_store_doc_close(d->edits);
  dunlin_store_doc_close(d->agents);
}

/* The handle that shows the history: a writer's, because those are kept up to date anyway. */
static dunlin_store_doc *view(struct device *d) {
  return d->writer_count ? d->writers[0].handle : d->edits;
}

/* ---- Who writes as whom: the document of agents ------------------------------------------------------------- */

/* Registers `actor` under `key`; a restarted device must have got the same slot, hence the same actor, again. */
static int register_actor(struct device *d, const char *key, dunlin_store_doc *handle) {
  dunlin_doc *doc = dunlin_store_doc_get(d->agents);
  struct dunlin_actor actor = dunlin_store_doc_actor(handle);
  struct dunlin_value value;
  int rc = dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key(key), &value);
  if (rc == 0 && (value.kind != DUNLIN_BYTES || value.as.string.len != sizeof actor ||
                  memcmp(value.as.string.data, &actor, sizeof actor) != 0))
    return complain(DUNLIN_ESTATE, "getting the writer slots of before", NULL);
  if (rc != DUNLIN_ENOENT) return rc;
  value = (struct dunlin_value){.kind = DUNLIN_BYTES, .as.string = {&actor, sizeof actor}};
  rc = dunlin_begin(doc);
  if (rc == 0) dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key(key), value);
  if (rc == 0) rc = dunlin_commit(doc, 0, NULL);
  return rc < 0 ? complain(rc, "registering a writer", NULL) : 0;
}

static int register_writers(struct device *d) {
  char key[32];
  int rc = d->options->index == 0 ? register_actor(d, "set-up", d->edits) : 0;
  for (size_t i = 0; !rc && i < d->writer_count; i++) {
    snprintf(key, sizeof key, "writer %u", d->writers[i].index);
    rc = register_actor(d, key, d->writers[i].handle);
  }
  return rc;
}

static bool look_up(struct device *d, const char *key, struct dunlin_actor *out, bool *known) {
  struct dunlin_value value;
  if (*known) return true;
  if (dunlin_map_get(dunlin_store_doc_get(d->agents), DUNLIN_ROOT, dunlin_key(key), &value)) return false;
  if (value.kind != DUNLIN_BYTES || value.as.string.len != sizeof *out) return false;
  memcpy(out, value.as.string.data, sizeof *out);
  return *known = true;
}

/* Becomes ready once all writers are known and the set-up is here. */
static int get_ready(struct device *d) {
  dunlin_doc *history = dunlin_store_doc_get(d->edits);
  int rc = dunlin_store_doc_pull(d->agents, NULL);
  if (!rc) rc = dunlin_store_doc_pull(d->edits, NULL);
  if (!rc && d->options->index == 0 && dunlin_doc_changes(history) == 0) rc = edits_set_up(history, d->trace);
  if (rc) return complain(rc, "setting up", NULL);
  bool all = look_up(d, "set-up", &d->world.set_up, &d->world.set_up_known);
  char key[32];
  for (uint32_t w = 0; w < d->plan.writers; w++) {
    snprintf(key, sizeof key, "writer %u", w);
    all = look_up(d, key, &d->world.actors[w], &d->world.known[w]) && all;
  }
  if (!all || dunlin_doc_changes(history) == 0) return 0;
  d->ready = true;
  say("ready");
  return 0;
}

/* ---- Commands ----------------------------------------------------------------------------------------------- */

static int give_invitation(struct device *d) {
  char line[DUNLIN_INVITATION_MAX];
  if (!d->member) return 0; /* is asked again */
  int rc = dunlin_invite(d->store, &d->space, d->options->proxy, (int64_t)3600 * 1000000, line);
  if (rc) return complain(rc, "making an invitation", NULL);
  say("invitation %s", line);
  return 0;
}

static int give_hash(struct device *d) {
  dunlin_doc *doc = dunlin_store_doc_get(view(d));
  struct dunlin_id hash;
  struct dunlin_value text;
  int rc = dunlin_store_doc_pull(view(d), NULL);
  if (!rc) rc = dunlin_doc_hash(doc, &hash);
  if (!rc) rc = dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("text"), &text);
  if (rc) return complain(rc, "hashing", NULL);
  size_t len = dunlin_text_read(doc, text.as.obj, NULL, 0);
  char *read = malloc(len + 1), after[96];
  if (!read) return complain(DUNLIN_ENOMEM, "hashing", NULL);
  bool same = dunlin_text_read(doc, text.as.obj, read, len) == d->trace->end_len && !memcmp(read, d->trace->end, len);
  free(read);
  snprintf(after, sizeof after, " %zu %zu %d", dunlin_doc_changes(doc), dunlin_text_size(doc, text.as.obj), same);
  say_id("hash ", &hash, after);
  return 0;
}

static int give_export(struct device *d, const char *path) {
  FILE *file = fopen(path, "w");
  struct dunlin_value root = {.kind = DUNLIN_MAP, .as.obj = DUNLIN_ROOT};
  json_t *json = json_from_value(dunlin_store_doc_get(view(d)), &root, TEXTS_PLAIN);
  if (file && json) json_print(file, json, true);
  json_decref(json);
  bool failed = !file || !json || ferror(file);
  if (file && fclose(file)) failed = true;
  if (failed) return complain(DUNLIN_EIO, "writing the export", NULL);
  say("exported");
  return 0;
}

static int rekey(struct device *d, const char *passphrase) {
  struct dunlin_why why = {0};
  struct dunlin_store_key key = {.passphrase = passphrase, .passphrase_len = strlen(passphrase)};
  int rc = dunlin_store_rekey(d->store, &key, &why);
  if (rc) return complain(rc, "setting the passphrase", &why);
  say("rekeyed");
  return 0;
}

static int start_joining(struct device *d, const char *line) {
  if (d->member || d->options->index == 0) return 0;
  snprintf(d->invitation, sizeof d->invitation, "%s", line);
  return start_node(d);
}

static int obey(struct device *d, const char *line) {
  unsigned a, b;
  if (!strcmp(line, "invite")) return give_invitation(d);
  if (!strncmp(line, "join ", 5)) return start_joining(d, line + 5);
  if (!strcmp(line, "meet")) return d->member && d->options->index ? start_node(d) : 0;
  if (sscanf(line, "go %u %u", &a, &b) == 2) {
    d->phase = a;
    d->until = b;
    d->waiting = false; /* that was said of the phase before */
  } else if (sscanf(line, "edit %u %u", &a, &b) == 2) {
    d->edits_wanted = a;
    d->edits_seed = b;
    d->edited = d->waiting = false;
  } else if (!strcmp(line, "hash") && d->ready) return give_hash(d);
  else if (!strncmp(line, "export ", 7) && d->ready) return give_export(d, line + 7);
  else if (!strncmp(line, "rekey ", 6)) return rekey(d, line + 6);
  else if (!strcmp(line, "quit")) d->quit = true;
  return 0;
}

static int read_commands(struct device *d) {
  struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
  while (!d->quit && poll(&in, 1, 0) > 0) {
    ssize_t n = read(STDIN_FILENO, d->input + d->input_len, sizeof d->input - d->input_len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) d->quit = true; /* the coordinator is gone */
    else d->input_len += (size_t)n;
    char *end;
    while ((end = memchr(d->input, '\n', d->input_len))) {
      *end = 0;
      int rc = obey(d, d->input);
      if (rc) return rc;
      d->input_len -= (size_t)(end + 1 - d->input);
      memmove(d->input, end + 1, d->input_len);
    }
    if (d->input_len == sizeof d->input) return complain(DUNLIN_ELIMIT, "reading a command", NULL);
  }
  return 0;
}

/* ---- Work --------------------------------------------------------------------------------------------------- */

static int take_events(struct device *d) {
  struct dunlin_node_event event;
  bool joined = false;
  while (d->node && dunlin_node_next_event(d->node, &event, 0) == 1) {
    if (event.kind == DUNLIN_NODE_JOINED) joined = true;
    if (event.kind == DUNLIN_NODE_CLOSED && event.error) say("closed %s", event.text);
    if (event.kind == DUNLIN_NODE_CLOSED && !d->member && !d->join_again) d->join_again = now_ms() + REJOIN_MS;
  }
  if (joined) {
    d->join_again = 0;
    int rc = find_space(d);
    return rc ? rc : start_node(d);
  }
  if (d->join_again && !d->member && now_ms() >= d->join_again) {
    d->join_again = 0;
    return start_node(d);
  }
  return 0;
}

/* Edits that are missing, each durable by itself.  The set-up was device a's first change through the same handle. */
static int make_edits(struct device *d) {
  if (!d->edits_wanted || d->edited) return 0;
  dunlin_doc *doc = dunlin_store_doc_get(d->edits);
  struct dunlin_actor actor = dunlin_store_doc_actor(d->edits);
  int rc = dunlin_store_doc_pull(d->edits, NULL);
  uint64_t before = d->options->index == 0 ? 1 : 0, done = writer_count(doc, &actor) - before;
  for (uint64_t k = done; !rc && k < d->edits_wanted; k++)
    rc = edits_make(doc, d->options->index, (unsigned)k, d->edits_seed, d->options->marker);
  d->edited = rc == 0;
  return rc ? complain(rc, "editing while apart", NULL) : 0;
}

/* Reports what has become durable; true when all of its own is. */
static int report_durable(struct device *d, bool *all) {
  *all = true;
  for (size_t h = 0; h <= d->writer_count; h++) {
    dunlin_store_doc *handle = h ? d->writers[h - 1].handle : d->edits;
    uint64_t durable = 0, made = h ? d->writers[h - 1].next : 0; /* handle 0 commits durably */
    int rc = dunlin_store_doc_durable(handle, &durable);
    if (rc) return complain(rc, "asking what is durable", NULL);
    if (durable != d->durable[h]) say("durable %zu %llu", h, (unsigned long long)durable);
    d->durable[h] = durable;
    if (durable < made) *all = false;
  }
  return 0;
}

static void report_state(struct device *d) {
  uint32_t left = 0;
  uint64_t own = 0;
  for (size_t i = 0; i < d->writer_count; i++) left += writer_left(&d->writers[i], d->until);
  for (size_t h = 0; h <= d->writer_count; h++) own += d->durable[h];
  say("state %u %u %d %llu %zu %d", d->phase, left, d->waiting, (unsigned long long)own,
      dunlin_doc_changes(dunlin_store_doc_get(view(d))), d->edited);
  d->reported = now_ms();
}

/* One round through all writers.  `moved`: something was made or came in. */
static int work(struct device *d, bool *moved) {
  unsigned most = d->options->pace_us ? PACED_STEP : STEP;
  bool all_durable = false;
  struct dunlin_applied alone = {0};
  int rc = make_edits(d);
  if (!rc) rc = report_durable(d, &all_durable);
  if (!rc && d->writer_count == 0) rc = dunlin_store_doc_pull(d->edits, &alone);
  if (alone.applied) *moved = true;
  for (size_t i = 0; i < d->writer_count; i++) {
    struct dunlin_applied applied = {0};
    rc = rc ? rc : dunlin_store_doc_pull(d->writers[i].handle, &applied);
    int made = rc ? rc : writer_step(&d->writers[i], d->until, most);
    if (made < 0) return complain(made, "replaying the trace", NULL);
    if (made || applied.applied) *moved = true;
  }
  if (rc) return complain(rc, "taking in changes", NULL);
  bool waiting = !*moved && all_durable;
  bool news = waiting != d->waiting || *moved;
  d->waiting = waiting;
  if (news && (waiting || now_ms() >= d->reported + REPORT_MS)) report_state(d);
  return 0;
}

static int turn(struct device *d) {
  bool moved = false;
  int rc = read_commands(d);
  if (!rc && !d->quit) rc = take_events(d);
  if (rc || d->quit) return rc;
  if (d->member && !d->agents) {
    rc = open_documents(d);
    if (!rc) rc = register_writers(d);
  }
  if (!rc && d->agents && !d->ready) rc = get_ready(d);
  if (!rc && d->ready) rc = work(d, &moved);
  if (rc) return rc;
  if (!moved) (void)!dunlin_store_wait(d->store, &d->seen, IDLE_MS);
  if (d->options->pace_us) usleep(d->options->pace_us);
  return 0;
}

int demo_device_run(const struct demo_device_options *options) {
  struct dunlin_why why = {0};
  struct device *d = calloc(1, sizeof *d);
  if (!d) return complain(DUNLIN_ENOMEM, "starting", NULL);
  d->options = options;
  d->world.plan = &d->plan;
  int rc = trace_read(options->trace, &d->trace, &why);
  if (!rc) rc = plan_make(d->trace, &d->plan);
  if (rc) complain(rc, "reading the trace", &why);
  if (!rc) rc = open_store(d);
  if (!rc) rc = find_space(d);
  if (!rc) say("open");
  if (!rc && d->member) rc = start_node(d);
  while (!rc && !d->quit) rc = turn(d);
  dunlin_node_stop(d->node);
  close_documents(d);
  int closed = d->store ? dunlin_store_close(d->store) : 0;
  if (!rc && closed) rc = complain(closed, "closing the store", NULL);
  plan_free(&d->plan);
  trace_free(d->trace);
  free(d);
  return rc ? 1 : 0;
}
