/* A device process as the coordinator sees it: started, spoken to by lines, killed, started again. */
#ifndef CLI_DEMO_CHILD_H
#define CLI_DEMO_CHILD_H

#include <uv.h>

#include "cli/demo.h"

struct child {
  void *ctx; /* for the two callbacks */
  void (*on_line)(struct child *child, char *line);
  void (*on_exit)(struct child *child, int signal, int64_t status); /* when its last line has been read */
  uv_loop_t *loop;
  unsigned index;

  uv_process_t process;
  uv_pipe_t in, out;
  bool running, exited, drained;
  unsigned open; /* handles that are not closed yet */
  int64_t status;
  int signal;
  char line[DEMO_LINE_MAX];
  size_t line_len;
  char room[4096]; /* that libuv reads into */
};

/* Starts `args` (NULL-terminated).  0 or a libuv error. */
int child_start(struct child *child, char *const *args);
/* Sends a line; nothing happens when the child is not there. */
void child_send(struct child *child, const char *line);
void child_kill(struct child *child, int signal);

#endif
