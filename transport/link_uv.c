#include "transport/link_uv.h"

#include <stdio.h>
#include <string.h>

#include "crdt/buf.h"

struct link_uv {
  struct link link;
  struct link_loop *loop;
  const struct link_owner *owner;
  void *ctx;
  uv_tcp_t tcp;
  uv_getaddrinfo_t resolve;
  uv_connect_t connect;
  uv_write_t write;
  uv_shutdown_t shutdown;
  struct addrinfo *addresses, *next; /* to connect to, one after another */
  struct buf out;                    /* of the write under way */
  bool has_tcp, resolving, open, writing, finishing, ended, closing;
};

struct link_listener {
  struct link_loop *loop;
  uv_tcp_t tcp;
  link_accepted *accepted;
  void *ctx;
};

static const struct link_kind kind;

static struct link_uv *uv_of(struct link *link) {
  return (struct link_uv *)link;
}

/* ---- Ending ---------------------------------------------------------------------------------------------------- */

static void link_free(struct link_uv *link) {
  uv_freeaddrinfo(link->addresses);
  buf_free(&link->out);
  env_free(link->loop->env, link, sizeof *link);
}

/* The link goes when neither libuv's handle nor a resolver request knows of it any more. */
static void on_closed(uv_handle_t *handle) {
  struct link_uv *link = handle->data;
  link->has_tcp = false;
  if (!link->resolving) link_free(link);
}

static void close_link(struct link *base) {
  struct link_uv *link = uv_of(base);
  if (link->closing) return;
  link->closing = true;
  if (link->resolving) uv_cancel((uv_req_t *)&link->resolve);
  if (link->has_tcp && !uv_is_closing((uv_handle_t *)&link->tcp)) uv_close((uv_handle_t *)&link->tcp, on_closed);
  else if (!link->has_tcp && !link->resolving) link_free(link);
}

static void reset_link(struct link *base) {
  struct link_uv *link = uv_of(base);
  if (link->closing) return;
  link->closing = true;
  if (uv_tcp_close_reset(&link->tcp, on_closed)) uv_close((uv_handle_t *)&link->tcp, on_closed);
}

static void tell_end(struct link_uv *link, const char *why) {
  if (link->ended || link->closing || !link->owner) return;
  link->ended = true;
  link->open = false;
  link->owner->ended(link->ctx, why);
}

/* ---- Reading --------------------------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out) {
  (void)suggested;
  struct link_uv *link = handle->data;
  *out = uv_buf_init((char *)link->loop->read, LINK_READ);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *data) {
  struct link_uv *link = stream->data;
  if (link->closing || len == 0) return;
  if (len > 0) {
    link->owner->received(link->ctx, (const uint8_t *)data->base, (size_t)len);
    return;
  }
  uv_read_stop(stream);
  tell_end(link, len == UV_EOF ? NULL : uv_strerror((int)len));
}

static int begin(struct link_uv *link) {
  link->open = true;
  uv_tcp_nodelay(&link->tcp, 1);
  return uv_read_start((uv_stream_t *)&link->tcp, on_alloc, on_read);
}

/* ---- Writing --------------------------------------------------------------------------------------------------- */

static bool is_busy(const struct link *base) {
  const struct link_uv *link = (const struct link_uv *)base;
  return !link->open || link->writing || link->finishing;
}

static void on_shutdown(uv_shutdown_t *request, int status) {
  (void)request, (void)status;
}

/* What fails here shows in the next read, or in the owner's patience. */
static void shut_down(struct link_uv *link) {
  if (uv_shutdown(&link->shutdown, (uv_stream_t *)&link->tcp, on_shutdown)) uv_read_stop((uv_stream_t *)&link->tcp);
}

static void on_written(uv_write_t *request, int status) {
  struct link_uv *link = request->handle->data;
  link->writing = false;
  if (link->closing) return;
  if (status) tell_end(link, uv_strerror(status));
  else if (link->finishing) shut_down(link);
  else link->owner->drained(link->ctx);
}

static size_t write_link(struct link *base, const void *data, size_t len) {
  struct link_uv *link = uv_of(base);
  if (is_busy(base) || !len) return 0;
  if (len > LINK_WRITE) len = LINK_WRITE;
  buf_clear(&link->out);
  buf_append(&link->out, data, len);
  if (link->out.error) return 0;
  uv_buf_t piece = uv_buf_init((char *)link->out.data, (unsigned)len);
  int status = uv_write(&link->write, (uv_stream_t *)&link->tcp, &piece, 1, on_written);
  link->writing = !status;
  return len; /* after an error the next read tells */
}

static void finish_link(struct link *base) {
  struct link_uv *link = uv_of(base);
  if (link->finishing || !link->open) return;
  link->finishing = true;
  if (!link->writing) shut_down(link);
}

/* ---- Connecting ------------------------------------------------------------------------------------------------ */

static struct link_uv *link_new(struct link_loop *loop) {
  struct link_uv *link = env_calloc(loop->env, 1, sizeof *link);
  if (!link) return NULL;
  link->link.kind = &kind;
  link->loop = loop;
  link->tcp.data = link->resolve.data = link->connect.data = link;
  buf_init(&link->out, loop->env, LINK_WRITE);
  if (uv_tcp_init(&loop->uv, &link->tcp)) {
    link_free(link);
    return NULL;
  }
  link->has_tcp = true;
  return link;
}

static void connect_next(struct link_uv *link, int status);

/* A handle that failed to connect cannot be used again: closed, and a new one made in its place. */
static void on_replaced(uv_handle_t *handle) {
  struct link_uv *link = handle->data;
  link->has_tcp = false;
  if (link->closing) {
    link_free(link);
    return;
  }
  int status = uv_tcp_init(&link->loop->uv, &link->tcp);
  link->has_tcp = !status;
  connect_next(link, status);
}

static void on_connected(uv_connect_t *request, int status) {
  struct link_uv *link = request->data;
  if (link->closing) return;
  if (!status) status = begin(link);
  if (!status) link->owner->opened(link->ctx);
  else if (link->next) uv_close((uv_handle_t *)&link->tcp, on_replaced);
  else tell_end(link, uv_strerror(status));
}

static void connect_next(struct link_uv *link, int status) {
  if (!status && link->next) {
    const struct sockaddr *to = link->next->ai_addr;
    link->next = link->next->ai_next;
    status = uv_tcp_connect(&link->connect, &link->tcp, to, on_connected);
    if (!status) return;
  }
  tell_end(link, uv_strerror(status ? status : UV_EADDRNOTAVAIL));
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses) {
  struct link_uv *link = request->data;
  link->resolving = false;
  link->addresses = link->next = addresses;
  if (link->closing) {
    if (!link->has_tcp) link_free(link);
    return;
  }
  connect_next(link, status);
}

static const struct addrinfo tcp_hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

int link_uv_connect(struct link_loop *loop, const char *text, const struct link_owner *owner, void *ctx,
                    struct link **out) {
  struct address address;
  int error = address_parse(text, &address);
  struct link_uv *link = error ? NULL : link_new(loop);
  if (!link) return error ? error : DUNLIN_ENOMEM;
  link->owner = owner;
  link->ctx = ctx;
  if (uv_getaddrinfo(&loop->uv, &link->resolve, on_resolved, address.host, address.port, &tcp_hints)) {
    close_link(&link->link);
    return DUNLIN_EADDR;
  }
  link->resolving = true;
  *out = &link->link;
  return 0;
}

static int own_link(struct link *base, const struct link_owner *owner, void *ctx) {
  struct link_uv *link = uv_of(base);
  link->owner = owner;
  link->ctx = ctx;
  return begin(link) ? DUNLIN_ENET : 0;
}

static const struct link_kind kind = {own_link, is_busy, write_link, finish_link, close_link, reset_link};

/* ---- Listening ------------------------------------------------------------------------------------------------- */

static void on_connection(uv_stream_t *stream, int status) {
  struct link_listener *listener = stream->data;
  struct link_uv *link = status ? NULL : link_new(listener->loop);
  if (!link) return;
  struct sockaddr_storage from;
  int len = sizeof from;
  if (uv_accept(stream, (uv_stream_t *)&link->tcp) || uv_tcp_getpeername(&link->tcp, (struct sockaddr *)&from, &len)) {
    close_link(&link->link);
    return;
  }
  listener->accepted(listener->ctx, &link->link, (struct sockaddr *)&from);
}

static void on_listener_closed(uv_handle_t *handle) {
  struct link_listener *listener = handle->data;
  env_free(listener->loop->env, listener, sizeof *listener);
}

void link_listener_close(struct link_listener *listener) {
  if (listener) uv_close((uv_handle_t *)&listener->tcp, on_listener_closed);
}

static unsigned port_of(const uv_tcp_t *tcp) {
  struct sockaddr_storage at;
  int len = sizeof at;
  if (uv_tcp_getsockname(tcp, (struct sockaddr *)&at, &len)) return 0;
  return ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                        : ((struct sockaddr_in *)&at)->sin_port);
}

static int refuse_address(struct dunlin_why *why, const struct address *address, int status) {
  if (!why) return DUNLIN_EADDR;
  if (status == UV_EADDRINUSE)
    snprintf(why->text, sizeof why->text, "port %s is in use; choose another, or stop the program that listens there",
             address->port);
  else
    snprintf(why->text, sizeof why->text, "cannot listen on %.150s:%s: %s", address->host, address->port,
             uv_strerror(status));
  return DUNLIN_EADDR;
}

int link_uv_listen(struct link_loop *loop, const struct address *address, link_accepted *accepted, void *ctx,
                   struct link_listener **out, unsigned *port, struct dunlin_why *why) {
  struct link_listener *listener = env_calloc(loop->env, 1, sizeof *listener);
  if (!listener) return DUNLIN_ENOMEM;
  *listener = (struct link_listener){.loop = loop, .accepted = accepted, .ctx = ctx};
  listener->tcp.data = listener;
  int status = uv_tcp_init(&loop->uv, &listener->tcp);
  if (status) {
    env_free(loop->env, listener, sizeof *listener);
    return refuse_address(why, address, status);
  }
  uv_getaddrinfo_t resolve;
  status = uv_getaddrinfo(&loop->uv, &resolve, NULL, address->host, address->port, &tcp_hints); /* no callback: waits */
  if (!status) {
    status = uv_tcp_bind(&listener->tcp, resolve.addrinfo->ai_addr, 0);
    uv_freeaddrinfo(resolve.addrinfo);
  }
  if (!status)
    status = uv_listen((uv_stream_t *)&listener->tcp, 64, on_connection); /* libuv tells "in use" only here */
  if (status) {
    link_listener_close(listener);
    return refuse_address(why, address, status);
  }
  *port = port_of(&listener->tcp);
  *out = listener;
  return 0;
}
