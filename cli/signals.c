#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

static int wake_pipe[2];
static volatile sig_atomic_t ended;
static dunlin_store *waiting_store;

void signals_wake(void *unused) {
  (void)unused;
  int error = errno;
  ssize_t n = write(wake_pipe[1], "", 1); /* a full pipe wakes as well */
  (void)n;
  errno = error;
}

static void on_signal(int signal) {
  (void)signal;
  ended = 1;
  signals_wake(NULL);
  if (waiting_store) dunlin_store_interrupt(waiting_store);
}

int signals_catch(dunlin_store *store) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  if (pipe(wake_pipe) != 0) return DUNLIN_EIO;
  for (int i = 0; i < 2; i++) {
    fcntl(wake_pipe[i], F_SETFD, FD_CLOEXEC);
    fcntl(wake_pipe[i], F_SETFL, O_NONBLOCK);
  }
  waiting_store = store;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  return 0;
}

bool signals_ended(void) {
  return ended;
}

void signals_wait(int timeout_ms) {
  struct pollfd fd = {.fd = wake_pipe[0], .events = POLLIN};
  char drained[64];
  if (ended || poll(&fd, 1, timeout_ms) <= 0) return;
  while (read(wake_pipe[0], drained, sizeof drained) > 0) continue;
}
