#include "cli/demo_proxy.h"

#include <stdlib.h>
#include <string.h>

/* A side that has this much waiting to be written makes us stop reading from the other. */
#define PROXY_QUEUE (1u << 20)
#define PROXY_READ (64u * 1024)

struct proxy_side {
  uv_tcp_t tcp;
  struct proxy_link *link;
};

/* sides[0] is the caller, sides[1] the device that is called. */
struct proxy_link {
  struct proxy *proxy;
  struct proxy_link *next, **slot;
  struct proxy_side sides[2];
  uv_connect_t connect;
  int open; /* handles that are not closed yet */
  char buffer[PROXY_READ];
};

struct proxy_write {
  uv_write_t request;
  struct proxy_side *to;
  char data[];
};

static uv_stream_t *stream_of(struct proxy_side *side) {
  return (uv_stream_t *)&side->tcp;
}

static struct proxy_side *other(struct proxy_side *side) {
  return &side->link->sides[side == &side->link->sides[0]];
}

static void on_closed(uv_handle_t *handle) {
  struct proxy_side *side = handle->data;
  struct proxy_link *link = side->link;
  if (--link->open == 0) free(link);
}

static void link_close(struct proxy_link *link) {
  if (uv_is_closing((uv_handle_t *)&link->sides[0].tcp)) return;
  *link->slot = link->next;
  if (link->next) link->next->slot = link->slot;
  for (int i = 0; i < 2; i++) uv_close((uv_handle_t *)&link->sides[i].tcp, on_closed);
}

static void on_room(uv_handle_t *handle, size_t size, uv_buf_t *out) {
  (void)size;
  struct proxy_side *side = handle->data;
  *out = uv_buf_init(side->link->buffer, PROXY_READ);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *data);

static void on_written(uv_write_t *request, int status) {
  struct proxy_write *write = (struct proxy_write *)request;
  struct proxy_side *to = write->to;
  free(write);
  if (status < 0) link_close(to->link);
  else if (!uv_is_closing((uv_handle_t *)&to->tcp)) /* a stream that is being read already says so: fine */
    uv_read_start(stream_of(other(to)), on_room, on_read);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *data) {
  struct proxy_side *from = stream->data, *to = other(from);
  struct proxy *proxy = from->link->proxy;
  if (n == 0) return;
  struct proxy_write *write = n > 0 ? malloc(sizeof *write + (size_t)n) : NULL;
  if (!write) {
    link_close(from->link);
    return;
  }
  proxy->bytes[to == &from->link->sides[0]] += (uint64_t)n;
  fwrite(data->base, 1, (size_t)n, proxy->capture); /* errors are looked at once, when the capture is searched */
  write->to = to;
  memcpy(write->data, data->base, (size_t)n);
  uv_buf_t out = uv_buf_init(write->data, (unsigned)n);
  if (uv_write(&write->request, stream_of(to), &out, 1, on_written) < 0) {
    free(write);
    link_close(from->link);
  } else if (uv_stream_get_write_queue_size(stream_of(to)) > PROXY_QUEUE) {
    uv_read_stop(stream);
  }
}

static void on_connected(uv_connect_t *connect, int status) {
  struct proxy_link *link = connect->data;
  if (uv_is_closing((uv_handle_t *)&link->sides[0].tcp)) return;
  for (int i = 0; i < 2 && status >= 0; i++) {
    uv_tcp_nodelay(&link->sides[i].tcp, 1);
    status = uv_read_start(stream_of(&link->sides[i]), on_room, on_read);
  }
  if (status < 0) link_close(link);
}

static void on_caller(uv_stream_t *listener, int status) {
  struct proxy *proxy = listener->data;
  struct proxy_link *link = status < 0 ? NULL : calloc(1, sizeof *link);
  if (!link) return;
  link->proxy = proxy;
  link->connect.data = link;
  for (int i = 0; i < 2; i++) {
    uv_tcp_init(proxy->loop, &link->sides[i].tcp);
    link->sides[i].tcp.data = &link->sides[i];
    link->sides[i].link = link;
    link->open++;
  }
  link->next = proxy->links;
  link->slot = &proxy->links;
  if (link->next) link->next->slot = &link->next;
  proxy->links = link;
  struct sockaddr_in to;
  uv_ip4_addr("127.0.0.1", (int)proxy->target, &to);
  if (uv_accept(listener, stream_of(&link->sides[0])) < 0 || proxy->cut || !proxy->target ||
      uv_tcp_connect(&link->connect, &link->sides[1].tcp, (struct sockaddr *)&to, on_connected) < 0)
    link_close(link);
}

int proxy_start(struct proxy *proxy, uv_loop_t *loop, FILE *capture) {
  *proxy = (struct proxy){.loop = loop, .capture = capture};
  struct sockaddr_in at;
  struct sockaddr_storage got;
  int len = sizeof got;
  uv_ip4_addr("127.0.0.1", 0, &at);
  uv_tcp_init(loop, &proxy->listener);
  proxy->listener.data = proxy;
  int rc = uv_tcp_bind(&proxy->listener, (struct sockaddr *)&at, 0);
  if (!rc) rc = uv_listen((uv_stream_t *)&proxy->listener, 16, on_caller);
  if (!rc) rc = uv_tcp_getsockname(&proxy->listener, (struct sockaddr *)&got, &len);
  if (rc) return rc;
  memcpy(&at, &got, sizeof at);
  proxy->port = ntohs(at.sin_port);
  return 0;
}

void proxy_drop(struct proxy *proxy) {
  while (proxy->links) link_close(proxy->links);
}

void proxy_stop(struct proxy *proxy) {
  proxy_drop(proxy);
  if (proxy->loop && !uv_is_closing((uv_handle_t *)&proxy->listener)) uv_close((uv_handle_t *)&proxy->listener, NULL);
}
