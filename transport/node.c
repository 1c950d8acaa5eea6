/* dunlin_node: a hub on a thread of its own, a queue of events, and an ear on the store. */
#include <dunlin/node.h>

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "persist/exchange.h"
#include "persist/signals.h"
#include "transport/hub.h"
#include "transport/link_uv.h"

#define QUEUE 256u      /* events that wait; then the oldest one that only repeats a state makes place */
#define REFRESH_MS 250u /* how often other processes' commits are looked for when nothing wakes us */

struct dunlin_node {
  struct hub hub;
  struct link_loop loop;
  struct link_listener *listener;
  dunlin_store *store;
  const struct dunlin_env *env;
  void (*wake)(void *ctx);
  void *wake_ctx;
  unsigned port;
  uv_thread_t thread;
  uv_async_t store_changed, stop;
  uv_fs_event_t watch;
  uv_timer_t refresh, alarm;
  bool watching;

  uv_mutex_t lock; /* for what follows */
  uv_cond_t arrived;
  struct dunlin_node_event events[QUEUE];
  size_t first, count;
  struct dunlin_node_stats stats;
};

struct dunlin_node_options dunlin_node_defaults(void) {
  return (struct dunlin_node_options){
      .size = sizeof(struct dunlin_node_options), .handshake_ms = 5000, .retry_ms = 1000};
}

/* ---- Events ------------------------------------------------------------------------------------------------------ */

static struct dunlin_node_event *event_at(struct dunlin_node *node, size_t i) {
  return &node->events[(node->first + i) % QUEUE];
}

/* Nobody takes events: the first that tells only of a state goes, else the first. */
static void make_place(struct dunlin_node *node) {
  size_t victim = 0;
  for (size_t i = node->count; i--;)
    if (event_at(node, i)->kind == DUNLIN_NODE_RECEIVED || event_at(node, i)->kind == DUNLIN_NODE_IN_SYNC) victim = i;
  for (size_t i = victim; i + 1 < node->count; i++) *event_at(node, i) = *event_at(node, i + 1);
  node->count--;
}

static void on_event(void *ctx, const struct dunlin_node_event *event) {
  struct dunlin_node *node = ctx;
  uv_mutex_lock(&node->lock);
  if (node->count == QUEUE) make_place(node);
  *event_at(node, node->count++) = *event;
  uv_cond_broadcast(&node->arrived);
  uv_mutex_unlock(&node->lock);
  if (node->wake) node->wake(node->wake_ctx);
}

int dunlin_node_next_event(struct dunlin_node *node, struct dunlin_node_event *out, int timeout_ms) {
  uint64_t start = uv_hrtime(), budget = timeout_ms > 0 ? (uint64_t)timeout_ms * 1000000u : 0;
  uv_mutex_lock(&node->lock);
  while (!node->count && timeout_ms) {
    uint64_t spent = uv_hrtime() - start;
    if (timeout_ms < 0) uv_cond_wait(&node->arrived, &node->lock);
    else if (spent >= budget || uv_cond_timedwait(&node->arrived, &node->lock, budget - spent)) break;
  }
  bool found = node->count > 0;
  if (found) {
    *out = node->events[node->first];
    node->first = (node->first + 1) % QUEUE;
    node->count--;
  }
  uv_mutex_unlock(&node->lock);
  return found;
}

static void on_count(void *ctx, const struct dunlin_node_stats *grown) {
  struct dunlin_node *node = ctx;
  uv_mutex_lock(&node->lock);
  node->stats.bytes_sent += grown->bytes_sent;
  node->stats.bytes_received += grown->bytes_received;
  node->stats.runs_sent += grown->runs_sent;
  node->stats.runs_received += grown->runs_received;
  node->stats.connections += grown->connections;
  uv_mutex_unlock(&node->lock);
}

struct dunlin_node_stats dunlin_node_stats(const struct dunlin_node *node) {
  uv_mutex_t *lock = (uv_mutex_t *)&node->lock; /* const to the caller: nothing it can see changes */
  uv_mutex_lock(lock);
  struct dunlin_node_stats stats = node->stats;
  uv_mutex_unlock(lock);
  return stats;
}

unsigned dunlin_node_port(const struct dunlin_node *node) {
  return node->port;
}

/* ---- The store's news -------------------------------------------------------------------------------------------- */

/* From any thread. */
static void on_commit(void *ctx) {
  struct dunlin_node *node = ctx;
  uv_async_send(&node->store_changed);
}

static void on_store_changed(uv_async_t *async) {
  struct dunlin_node *node = async->data;
  hub_store_changed(&node->hub);
}

static void look(struct dunlin_node *node) {
  if (exchange_refresh(node->store) > 0) hub_store_changed(&node->hub);
}

static void on_refresh(uv_timer_t *timer) {
  look(timer->data);
}

static void on_watch(uv_fs_event_t *watch, const char *name, int events, int status) {
  (void)name, (void)events, (void)status;
  look(watch->data);
}

/* ---- What the hub asks for --------------------------------------------------------------------------------------- */

static uint64_t loop_now(void *ctx) {
  struct dunlin_node *node = ctx;
  return uv_now(&node->loop.uv);
}

static int loop_connect(void *ctx, const char *address, const struct link_owner *owner, void *owner_ctx,
                        struct link **out) {
  struct dunlin_node *node = ctx;
  return link_uv_connect(&node->loop, address, owner, owner_ctx, out);
}

static void on_alarm(uv_timer_t *timer) {
  struct dunlin_node *node = timer->data;
  hub_tick(&node->hub);
}

static void loop_wake_at(void *ctx, uint64_t at) {
  struct dunlin_node *node = ctx;
  uint64_t now = uv_now(&node->loop.uv);
  if (uv_is_closing((uv_handle_t *)&node->alarm)) return;
  if (at == UINT64_MAX) uv_timer_stop(&node->alarm);
  else uv_timer_start(&node->alarm, on_alarm, at > now ? at - now : 0, 0);
}

/* The last handle that kept the loop going. */
static void on_stopped(void *ctx) {
  struct dunlin_node *node = ctx;
  uv_close((uv_handle_t *)&node->alarm, NULL);
}

static void on_accepted(void *ctx, struct link *link, const struct sockaddr *from) {
  struct dunlin_node *node = ctx;
  hub_accept(&node->hub, link, from);
}

/* ---- The thread -------------------------------------------------------------------------------------------------- */

static void on_stop(uv_async_t *async) {
  struct dunlin_node *node = async->data;
  uv_close((uv_handle_t *)&node->store_changed, NULL);
  uv_close((uv_handle_t *)&node->stop, NULL);
  uv_close((uv_handle_t *)&node->refresh, NULL);
  if (node->watching) uv_close((uv_handle_t *)&node->watch, NULL);
  link_listener_close(node->listener);
  hub_stop(&node->hub);
}

static void run(void *ctx) {
  struct dunlin_node *node = ctx;
  hub_start(&node->hub);
  uv_run(&node->loop.uv, UV_RUN_DEFAULT);
}

static int start_thread(struct dunlin_node *node) {
  sigset_t before = signals_block();
  int status = uv_thread_create(&node->thread, run, node);
  signals_restore(before);
  return status ? DUNLIN_ENOMEM : 0;
}

/* ---- Starting ---------------------------------------------------------------------------------------------------- */

static int explain(struct dunlin_why *why, int error, const char *text) {
  if (why) snprintf(why->text, sizeof why->text, "%s", text);
  return error;
}

static int explain_address(struct dunlin_why *why, const char *address) {
  if (why)
    snprintf(why->text, sizeof why->text, "\"%.100s\" is not an address; write HOST:PORT, with IPv6 in brackets",
             address);
  return DUNLIN_EADDR;
}

static int add_invitation(struct dunlin_node *node, const char *line, unsigned retry_ms, struct dunlin_why *why) {
  struct dunlin_invitation invitation;
  struct address address;
  int error = dunlin_invitation_parse(line, strlen(line), &invitation);
  if (error) return explain(why, error, "this is not an invitation, or it was damaged on its way; copy the whole line");
  if (invitation.expires <= node->env->now(node->env->ctx))
    error = explain(why, DUNLIN_EEXPIRED, "the invitation has expired; ask for a new one");
  if (!error && address_parse(invitation.address, &address)) error = explain_address(why, invitation.address);
  if (!error) error = hub_add_caller(&node->hub, invitation.address, retry_ms, &invitation);
  sodium_memzero(&invitation, sizeof invitation);
  return error;
}

static int add_all(struct dunlin_node *node, const struct dunlin_node_options *options, struct dunlin_why *why) {
  struct address address;
  int error = 0;
  if (options->listen && address_parse(options->listen, &address)) return explain_address(why, options->listen);
  if (options->listen)
    error = link_uv_listen(&node->loop, &address, on_accepted, node, &node->listener, &node->port, why);
  for (size_t i = 0; i < options->peer_count && !error; i++) {
    if (address_parse(options->peers[i], &address)) return explain_address(why, options->peers[i]);
    error = hub_add_caller(&node->hub, options->peers[i], options->retry_ms, NULL);
    if (error) explain(why, error, "too many peers");
  }
  if (options->invitation && !error) error = add_invitation(node, options->invitation, options->retry_ms, why);
  return error;
}

static void init_handles(struct dunlin_node *node) {
  uv_loop_t *loop = &node->loop.uv;
  uv_async_init(loop, &node->store_changed, on_store_changed);
  uv_async_init(loop, &node->stop, on_stop);
  uv_timer_init(loop, &node->refresh);
  uv_timer_init(loop, &node->alarm);
  node->alarm.data = node->store_changed.data = node->stop.data = node->refresh.data = node->watch.data = node;
  uv_timer_start(&node->refresh, on_refresh, REFRESH_MS, REFRESH_MS);
  const char *path = exchange_wake_path(node->store);
  uv_fs_event_init(loop, &node->watch);
  node->watching = true;
  if (path) (void)uv_fs_event_start(&node->watch, on_watch, path, 0); /* when it cannot be watched, the timer does */
}

static int subscribe(struct dunlin_node *node, struct dunlin_why *why) {
  int error = exchange_subscribe(node->store, on_commit, node);
  return error ? explain(why, error, "too many nodes use this store at a time") : 0;
}

static void release(struct dunlin_node *node) {
  hub_free(&node->hub);
  uv_cond_destroy(&node->arrived);
  uv_mutex_destroy(&node->lock);
  const struct dunlin_env *env = node->env;
  env_free(env, node, sizeof *node);
}

/* Runs the loop once more without a thread, to close what is open, after a start that failed. */
static void unwind(struct dunlin_node *node) {
  on_stop(&node->stop);
  uv_run(&node->loop.uv, UV_RUN_DEFAULT);
  uv_loop_close(&node->loop.uv);
  release(node);
}

int dunlin_node_start(dunlin_store *store, const struct dunlin_node_options *options, struct dunlin_node **out,
                      struct dunlin_why *why) {
  if (options->size != sizeof *options || (options->peer_count && !options->peers))
    return explain(why, DUNLIN_EINVAL, "the options are not from dunlin_node_defaults() of this version");
  if (sodium_init() < 0) return explain(why, DUNLIN_EIO, "the cryptographic library cannot be used");
  const struct dunlin_env *env = exchange_env(store);
  struct dunlin_node *node = env_calloc(env, 1, sizeof *node);
  if (!node) return explain(why, DUNLIN_ENOMEM, dunlin_error_text(DUNLIN_ENOMEM));
  node->store = store;
  node->env = env;
  node->wake = options->wake;
  node->wake_ctx = options->wake_ctx;
  node->loop.env = env;
  if (uv_loop_init(&node->loop.uv)) {
    env_free(env, node, sizeof *node);
    return explain(why, DUNLIN_ENOMEM, "cannot make an event loop");
  }
  const struct link_driver driver = {node, loop_now, loop_connect, loop_wake_at};
  hub_init(&node->hub, store, options, &driver);
  node->hub.event = on_event;
  node->hub.count = on_count;
  node->hub.stopped = on_stopped;
  node->hub.ctx = node;
  if (uv_mutex_init(&node->lock) || uv_cond_init(&node->arrived)) abort();
  init_handles(node);
  int error = add_all(node, options, why);
  if (!error) error = subscribe(node, why);
  if (!error && (error = start_thread(node))) {
    exchange_unsubscribe(store, on_commit, node);
    explain(why, error, "cannot start a thread");
  }
  if (error) {
    unwind(node);
    return error;
  }
  *out = node;
  return 0;
}

void dunlin_node_stop(struct dunlin_node *node) {
  if (!node) return;
  exchange_unsubscribe(node->store, on_commit, node);
  uv_async_send(&node->stop);
  uv_thread_join(&node->thread);
  int left = uv_loop_close(&node->loop.uv);
  assert(!left); /* every handle is closed, or uv_run() would not have returned */
  (void)left;
  release(node);
}
