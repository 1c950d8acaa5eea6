#include "cli/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* ---- From a file and from the environment ------------------------------------------------------------------- */

/* Reads up to `max` bytes; -1 with errno, EFBIG when there is more. */
static ssize_t read_all(int fd, char *out, size_t max) {
  size_t len = 0;
  for (;;) {
    ssize_t n = read(fd, out + len, max - len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? -1 : (ssize_t)len;
    len += (size_t)n;
    if (len == max) {
      errno = EFBIG;
      return -1;
    }
  }
}

static int passphrase_check(struct app *app, const struct passphrase *p, const char *from) {
  if (p->len) return 0;
  return app_fail(app, DUNLIN_ENOKEY, "give one that is not", "the passphrase from %s is empty", from);
}

int passphrase_from_file(struct app *app, const char *path, struct passphrase *out) {
  bool from_stdin = strcmp(path, "-") == 0;
  int fd = from_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read_all(fd, out->text, sizeof out->text);
  int error = errno;
  if (fd >= 0 && !from_stdin) close(fd);
  if (n < 0) {
    return app_fail(app, DUNLIN_ENOKEY, "name a file that holds nothing but the passphrase",
                    "the passphrase cannot be read from %s: %s", path, strerror(error));
  }
  out->len = (size_t)n;
  if (out->len && out->text[out->len - 1] == '\n') out->len--;
  if (out->len && out->text[out->len - 1] == '\r') out->len--;
  return passphrase_check(app, out, from_stdin ? "stdin" : path);
}

/* Keeps what stdin gave for a second opening by the same command (join makes a store and opens it). */
static int passphrase_from_stdin(struct app *app, struct passphrase *out) {
  if (!app->stdin_passphrase) {
    int status = passphrase_from_file(app, "-", out);
    if (status) return status;
    app->stdin_passphrase = sodium_malloc(out->len);
    if (!app->stdin_passphrase) return app_fail(app, DUNLIN_ENOMEM, NULL, "no memory for the passphrase");
    memcpy(app->stdin_passphrase, out->text, out->len);
    app->stdin_passphrase_len = out->len;
  }
  memcpy(out->text, app->stdin_passphrase, app->stdin_passphrase_len);
  out->len = app->stdin_passphrase_len;
  return 0;
}

int passphrase_given(struct app *app, struct passphrase *out, bool *given) {
  *given = true;
  if (app->passphrase_file && strcmp(app->passphrase_file, "-") == 0) return passphrase_from_stdin(app, out);
  if (app->passphrase_file) return passphrase_from_file(app, app->passphrase_file, out);
  const char *env = getenv("DUNLIN_PASSPHRASE");
  *given = env != NULL;
  if (!env) return 0;
  out->len = strlen(env);
  if (out->len > sizeof out->text) {
    return app_fail(app, DUNLIN_ELIMIT, "shorten it", "the passphrase in DUNLIN_PASSPHRASE is longer than %u bytes",
                    PASSPHRASE_MAX);
  }
  memcpy(out->text, env, out->len);
  return passphrase_check(app, out, "DUNLIN_PASSPHRASE");
}

/* ---- From the terminal -------------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal) {
  interrupted = signal;
}

/* Reads a line.  Signals are let in while it waits, and only then, so that none comes unseen just before. */
static ssize_t read_line(int tty, char *out, size_t max, const sigset_t *waiting) {
  struct pollfd fd = {.fd = tty, .events = POLLIN};
  for (size_t len = 0; len < max; len++) {
    if (ppoll(&fd, 1, NULL, waiting) < 0) return -1;
    ssize_t n = read(tty, out + len, 1);
    if (n <= 0 || out[len] == '\n') return n < 0 ? -1 : (ssize_t)len;
  }
  return -1;
}

/* Asks for a line with the echo switched off.  Interrupted by a signal it switches the echo on again first. */
static ssize_t read_hidden(int tty, const char *prompt, char *out, size_t max) {
  const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  struct sigaction catch = {.sa_handler = on_interrupt}, before[4];
  struct termios shown, hidden;
  sigset_t caught, waiting;
  if (tcgetattr(tty, &shown) != 0) return -1;
  hidden = shown;
  hidden.c_lflag &= ~(tcflag_t)ECHO;
  sigemptyset(&catch.sa_mask);
  sigemptyset(&caught);
  for (size_t i = 0; i < 4; i++) sigaddset(&caught, signals[i]);
  pthread_sigmask(SIG_BLOCK, &caught, &waiting);
  for (size_t i = 0; i < 4; i++) sigaction(signals[i], &catch, &before[i]);
  tcsetattr(tty, TCSAFLUSH, &hidden);
  dprintf(tty, "%s: ", prompt);
  ssize_t len = read_line(tty, out, max, &waiting);
  dprintf(tty, "\n");
  tcsetattr(tty, TCSAFLUSH, &shown);
  for (size_t i = 0; i < 4; i++) sigaction(signals[i], &before[i], NULL);
  pthread_sigmask(SIG_SETMASK, &waiting, NULL);
  if (interrupted) raise(interrupted);
  return len;
}

int passphrase_ask(struct app *app, const char *prompt, struct passphrase *out) {
  int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  if (tty < 0) {
    return app_fail(app, DUNLIN_ENOKEY, "give it with --passphrase-file or in DUNLIN_PASSPHRASE",
                    "a passphrase is needed and there is no terminal to ask for it");
  }
  ssize_t n = read_hidden(tty, prompt, out->text, sizeof out->text);
  close(tty);
  if (n < 0) return app_fail(app, DUNLIN_ENOKEY, NULL, "no passphrase could be read from the terminal");
  out->len = (size_t)n;
  return passphrase_check(app, out, "the terminal");
}

/* ---- Key files ---------------------------------------------------------------------------------------------- */

int key_file_path(struct app *app, char out[PATH_MAX]) {
  const char *named = app->key_file ? app->key_file : getenv("DUNLIN_KEY_FILE");
  const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
  unsigned char hash[crypto_generichash_BYTES];
  char digits[65];
  int n;
  if (named && *named) {
    n = snprintf(out, PATH_MAX, "%s", named);
  } else if ((config && *config) || (home && *home)) {
    crypto_generichash(hash, sizeof hash, (const unsigned char *)app->dir, strlen(app->dir), NULL, 0);
    bool from_config = config && *config;
    n = snprintf(out, PATH_MAX, "%s%s/dunlin/%s.key", from_config ? config : home, from_config ? "" : "/.config",
                 hex(hash, 16, digits));
  } else {
    return app_fail(app, DUNLIN_ENOKEY, "set HOME or give --key-file",
                    "there is no configuration folder for the key file");
  }
  if (n < PATH_MAX) return 0;
  return app_fail(app, DUNLIN_ELIMIT, "choose a shorter one", "the path of the key file is too long");
}
