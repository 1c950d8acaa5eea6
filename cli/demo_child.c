#include "cli/demo_child.h"

#include <stdlib.h>
#include <string.h>

struct child_write {
  uv_write_t request;
  char data[];
};

/* The child is gone when its process has ended, all that it wrote was read, and all handles are closed: lines that it
 * wrote before a kill count. */
static void on_closed(uv_handle_t *handle) {
  struct child *child = handle->data;
  if (--child->open) return;
  child->running = false;
  child->on_exit(child, child->signal, child->status);
}

static void close_when_done(struct child *child) {
  if (!child->exited || !child->drained || uv_is_closing((uv_handle_t *)&child->process)) return;
  uv_close((uv_handle_t *)&child->process, on_closed);
  uv_close((uv_handle_t *)&child->in, on_closed);
  uv_close((uv_handle_t *)&child->out, on_closed);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal) {
  struct child *child = process->data;
  child->exited = true;
  child->status = status;
  child->signal = signal;
  close_when_done(child);
}

static void on_room(uv_handle_t *handle, size_t size, uv_buf_t *out) {
  (void)size;
  struct child *child = handle->data;
  *out = uv_buf_init(child->room, sizeof child->room);
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *data) {
  struct child *child = stream->data;
  for (ssize_t i = 0; i < n; i++) {
    if (data->base[i] != '\n') {
      if (child->line_len < sizeof child->line - 1) child->line[child->line_len++] = data->base[i];
      continue;
    }
    child->line[child->line_len] = 0;
    child->line_len = 0;
    child->on_line(child, child->line);
  }
  if (n >= 0) return;
  uv_read_stop(stream);
  child->drained = true;
  close_when_done(child);
}

int child_start(struct child *child, char *const *args) {
  uv_stdio_container_t stdio[3] = {
      {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&child->in},
      {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&child->out},
      {.flags = UV_INHERIT_FD, .data.fd = 2},
  };
  uv_process_options_t options = {
      .exit_cb = on_process_exit, .file = args[0], .args = (char **)args, .stdio_count = 3, .stdio = stdio};
  uv_pipe_init(child->loop, &child->in, 0);
  uv_pipe_init(child->loop, &child->out, 0);
  child->process.data = child->in.data = child->out.data = child;
  child->running = true;
  child->exited = child->drained = false;
  child->open = 3;
  child->line_len = 0;
  int rc = uv_spawn(child->loop, &child->process, &options);
  if (!rc) rc = uv_read_start((uv_stream_t *)&child->out, on_room, on_output);
  return rc;
}

static void on_written(uv_write_t *request, int status) {
  (void)status; /* a child that was killed meanwhile is told again after its restart */
  free((struct child_write *)request);
}

void child_send(struct child *child, const char *line) {
  size_t len = strlen(line);
  if (!child->running || uv_is_closing((uv_handle_t *)&child->in)) return;
  struct child_write *write = malloc(sizeof *write + len + 1);
  if (!write) return;
  memcpy(write->data, line, len);
  write->data[len] = '\n';
  uv_buf_t out = uv_buf_init(write->data, (unsigned)len + 1);
  if (uv_write(&write->request, (uv_stream_t *)&child->in, &out, 1, on_written) < 0) free(write);
}

void child_kill(struct child *child, int signal) {
  if (child->running && !child->exited) uv_process_kill(&child->process, signal);
}
