#include "cli/app.h"

#include "cli/json.h"
#include "cli/keys.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Reporting ---------------------------------------------------------------------------------------------- */

/* What generally helps against an error. */
static const char *advice_for(int error) {
  switch (error) {
    case DUNLIN_ENOSTORE: return "make one with 'dunlin init', or name another with --store";
    case DUNLIN_ENOTSTORE: return "name a store, or an empty or new directory, with --store";
    case DUNLIN_EVERSION: return "use the dunlin that wrote it";
    case DUNLIN_EPASS: return "try again with the right one";
    case DUNLIN_ENOKEY: return "give it with --passphrase-file, DUNLIN_PASSPHRASE or --key-file";
    case DUNLIN_EBUSY: return "try again when other programs have finished with it";
    case DUNLIN_ECORRUPT: return "keep a copy, and join again from another device or restore a backup";
    case DUNLIN_EIO: return "look at the disk and at who may write to it";
    case DUNLIN_ENOSPC: return "make room and try again; nothing was changed";
    case DUNLIN_ENET:
    case DUNLIN_ETIMEOUT: return "see that the other device listens there and try again";
    case DUNLIN_EPEER:
    case DUNLIN_EAUTH: return "see that the address is that of a dunlin device of this space";
    case DUNLIN_ESTRANGER: return "join one of its spaces first";
    case DUNLIN_EADDR: return "give HOST:PORT with a free port (port 0 takes any)";
    case DUNLIN_EINVITE: return "copy the whole line again";
    case DUNLIN_EUSED:
    case DUNLIN_EEXPIRED: return "ask for a new one";
    case DUNLIN_EPERM: return "ask the owner of the space";
    case DUNLIN_EUTF8: return "write it in UTF-8";
    case DUNLIN_ELIMIT: return "make it smaller, or write it in parts";
    case DUNLIN_ENEWER: return "use a newer dunlin";
    case DUNLIN_ENOMEM: return "free some memory and try again";
    default: return "nothing was changed";
  }
}

/* Makes one line of text of whatever a file name or an argument may hold. */
static void clean(char *text) {
  json_t *valid = json_string(text);
  for (char *c = text; *c; c++) {
    if ((unsigned char)*c < 0x20 || *c == 0x7f || (!valid && (unsigned char)*c >= 0x80)) *c = '?';
  }
  json_decref(valid);
}

static void report(const struct app *app, int error, const char *message) {
  if (!app->json) {
    fprintf(stderr, "dunlin: %s\n", message);
    return;
  }
  json_t *json = json_pack("{s:s, s:s}", "error", dunlin_error_name(error), "message", message);
  json_print(stderr, json, false);
  fputc('\n', stderr);
  json_decref(json);
}

/* "What; advice" (without advice when that is empty), cleaned, for free(). */
static char *message_of(const char *advice, const char *what, va_list args) {
  char *text = NULL, *message = NULL;
  if (vasprintf(&text, what, args) < 0) return NULL;
  if (asprintf(&message, "%s%s%s", text, *advice ? "; " : "", advice) < 0) message = NULL;
  free(text);
  if (message) clean(message);
  return message;
}

int app_fail(struct app *app, int error, const char *advice, const char *what, ...) {
  va_list args;
  va_start(args, what);
  char *message = message_of(advice ? advice : advice_for(error), what, args);
  va_end(args);
  report(app, error, message ? message : "out of memory");
  free(message);
  return EXIT_FAILED;
}

int app_fail_why(struct app *app, int error, const struct dunlin_why *why, const char *what) {
  const char *reason = why && why->text[0] ? why->text : dunlin_error_text(error);
  const char *advice = strstr(reason, "; ") ? "" : NULL; /* some sentences say themselves what to do */
  if (*what && strstr(reason, what)) return app_fail(app, error, advice, "%s", reason);
  return app_fail(app, error, advice, "%s: %s", what, reason);
}

int app_usage(struct app *app, const char *command, const char *what, ...) {
  char advice[96];
  va_list args;
  snprintf(advice, sizeof advice, "see 'dunlin %s%s--help'", command ? command : "", command ? " " : "");
  va_start(args, what);
  char *message = message_of(advice, what, args);
  va_end(args);
  report(app, DUNLIN_EINVAL, message ? message : "out of memory");
  free(message);
  return EXIT_USAGE;
}

void app_note(const struct app *app, const char *what, ...) {
  char *text = NULL;
  va_list args;
  if (app->json) return;
  va_start(args, what);
  int n = vasprintf(&text, what, args);
  va_end(args);
  if (n < 0) return;
  clean(text);
  fprintf(stderr, "%s\n", text);
  free(text);
}

bool app_flush(void) {
  return fflush(stdout) == 0 && !ferror(stdout);
}

int app_finish(struct app *app, int status) {
  errno = 0;
  if (app_flush() || errno == EPIPE || errno == 0) return status;
  if (status != EXIT_DONE) return status;
  return app_fail(app, errno == ENOSPC ? DUNLIN_ENOSPC : DUNLIN_EIO, "look at where stdout goes",
                  "the output could not be written: %s", strerror(errno));
}

void app_puts(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    bool c1 = c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0; /* U+0080 to U+009F */
    if (c1) i++;
    putchar(c1 || c < 0x20 || c == 0x7f ? '?' : c);
  }
}

void app_print(json_t *json) {
  json_print(stdout, json, true);
  putchar('\n');
  json_decref(json);
}

void app_print_line(json_t *json) {
  json_print(stdout, json, false);
  putchar('\n');
  json_decref(json);
}

/* ---- The store's place -------------------------------------------------------------------------------------- */

int app_locate(struct app *app) {
  const char *named = app->store ? app->store : getenv("DUNLIN_STORE");
  const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
  char path[PATH_MAX];
  int n;
  if (named && *named) {
    n = snprintf(path, sizeof path, "%s", named);
  } else if ((data && *data) || (home && *home)) {
    bool from_data = data && *data;
    n = snprintf(path, sizeof path, "%s%s/dunlin", from_data ? data : home, from_data ? "" : "/.local/share");
  } else {
    return app_fail(app, DUNLIN_ENOSTORE, "set HOME, or name the store with --store", "there is no place for a store");
  }
  if (n >= (int)sizeof path)
    return app_fail(app, DUNLIN_ELIMIT, "choose a shorter one", "the store's path is too long");
  /* Absolute and without links, so that the key file is found however the store is named. */
  if (!realpath(path, app->dir)) memcpy(app->dir, path, (size_t)n + 1);
  return 0;
}

/* Makes the directory and those above it; true when this call made the last one. */
static int make_directory(struct app *app, bool *made) {
  char path[PATH_MAX];
  *made = false;
  memcpy(path, app->dir, strlen(app->dir) + 1);
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    mkdir(path, 0700); /* whether it worked shows below */
    *slash = '/';
  }
  if (mkdir(path, 0700) == 0) *made = true;
  else if (errno != EEXIST) {
    return app_fail(app, errno == ENOSPC ? DUNLIN_ENOSPC : DUNLIN_EIO, "choose a directory that can be written",
                    "the directory %s cannot be made: %s", path, strerror(errno));
  }
  if (realpath(path, app->dir)) return 0;
  return app_fail(app, DUNLIN_EIO, NULL, "the directory %s cannot be read: %s", path, strerror(errno));
}

/* ---- Opening ------------------------------------------------------------------------------------------------ */

static int open_failed(struct app *app, int error, const struct dunlin_why *why) {
  return app_fail_why(app, error, why, app->dir);
}

static void default_name(char out[DUNLIN_MAX_NAME + 1]) {
  if (gethostname(out, DUNLIN_MAX_NAME) != 0) out[0] = 0;
  out[DUNLIN_MAX_NAME] = 0;
  clean(out);
  if (!out[0]) memcpy(out, "device", 7);
}

int app_create(struct app *app, const char *device_name) {
  struct dunlin_store_options options = dunlin_store_defaults();
  struct dunlin_why why = {""};
  struct passphrase passphrase = {.len = 0};
  char key_file[PATH_MAX], name[DUNLIN_MAX_NAME + 1];
  bool given = false, made = false;
  int rc = 0;
  default_name(name);
  int status = passphrase_given(app, &passphrase, &given);
  if (!status) status = make_directory(app, &made);
  if (!status && !given) status = key_file_path(app, key_file);
  if (status) goto out;
  if (given) {
    options.key.passphrase = passphrase.text;
    options.key.passphrase_len = passphrase.len;
  } else {
    options.key.key_file = key_file;
  }
  options.device_name = device_name ? device_name : name;
  rc = dunlin_store_create(app->dir, &options, &why);
  if (rc == DUNLIN_EEXIST) {
    status = app_fail(app, rc, "use it as it is, or name another directory with --store", "%s holds a store already",
                      app->dir);
  } else if (rc) {
    status = open_failed(app, rc, &why);
  }
  if (rc && made) rmdir(app->dir);
out:
  sodium_memzero(&passphrase, sizeof passphrase);
  return status;
}

/* The key that the store asks for, into `key`, whose memory is `passphrase` or `key_file`. */
static int find_key(struct app *app, int kind, struct dunlin_store_key *key, struct passphrase *passphrase,
                    char key_file[PATH_MAX]) {
  bool given = false;
  int status;
  if (kind == DUNLIN_KEY_FILE) {
    if (app->passphrase_file) {
      return app_fail(app, DUNLIN_ENOKEY, "leave out --passphrase-file", "the store %s is opened by a key file",
                      app->dir);
    }
    status = key_file_path(app, key_file);
    key->key_file = key_file;
    return status;
  }
  status = passphrase_given(app, passphrase, &given);
  if (!status && !given) status = passphrase_ask(app, "Passphrase", passphrase);
  key->passphrase = passphrase->text;
  key->passphrase_len = passphrase->len;
  return status;
}

int app_open(struct app *app) {
  struct dunlin_store_options options = dunlin_store_defaults();
  struct dunlin_why why = {""};
  struct passphrase passphrase = {.len = 0};
  char key_file[PATH_MAX];
  int status = app_locate(app);
  if (status) return status;
  int kind = dunlin_store_probe(app->dir, &why);
  if (kind == DUNLIN_ENOSTORE) return app_fail(app, kind, NULL, "there is no store in %s", app->dir);
  if (kind < 0) return open_failed(app, kind, &why);
  status = find_key(app, kind, &options.key, &passphrase, key_file);
  if (!status) {
    int rc = dunlin_store_open(app->dir, &options, &app->opened, &why);
    if (rc) status = open_failed(app, rc, &why);
  }
  sodium_memzero(&passphrase, sizeof passphrase);
  return status;
}

int app_close(struct app *app, int status) {
  int rc = app->opened ? dunlin_store_close(app->opened) : 0;
  app->opened = NULL;
  if (rc == 0 || status != EXIT_DONE) return status;
  return open_failed(app, rc, NULL);
}

void app_end(struct app *app) {
  sodium_free(app->stdin_passphrase); /* wipes */
  app->stdin_passphrase = NULL;
  free(app->peers);
  app->peers = NULL;
}

/* ---- Spaces and documents ----------------------------------------------------------------------------------- */

int app_space(struct app *app, const char *alias_or_prefix, struct dunlin_id *out) {
  int rc = dunlin_space_find(app->opened, alias_or_prefix, out);
  if (rc == 0) return 0;
  if (rc == DUNLIN_EINVAL) {
    return app_fail(app, rc, "give more of its id", "several spaces have ids that begin with %s", alias_or_prefix);
  }
  if (rc == DUNLIN_ENOENT) {
    return app_fail(app, rc, "'dunlin space list' shows what there is", "there is no space '%s'", alias_or_prefix);
  }
  return app_fail_why(app, rc, NULL, "the space cannot be read");
}

int app_check_alias(struct app *app, const char *alias) {
  size_t len = strlen(alias);
  json_t *text = json_string(alias);
  bool good = text && len > 0 && len <= DUNLIN_MAX_NAME && !strchr(alias, '/');
  json_decref(text);
  for (size_t i = 0; i < len; i++) good = good && (unsigned char)alias[i] >= 0x20 && alias[i] != 0x7f;
  if (good) return 0;
  return app_fail(app, DUNLIN_EINVAL, "take 1 to 255 bytes of text without /", "a space cannot be called '%s'", alias);
}

int app_document(struct app *app, const char *space_doc, struct document_name *out) {
  char alias[DUNLIN_MAX_NAME + 1];
  const char *slash = strchr(space_doc, '/');
  size_t len = slash ? (size_t)(slash - space_doc) : 0;
  if (len == 0 || !slash[1]) return app_usage(app, NULL, "'%s' is not of the form SPACE/DOC", space_doc);
  if (len >= sizeof alias || strlen(slash + 1) > DUNLIN_MAX_NAME) {
    return app_fail(app, DUNLIN_ELIMIT, "choose a shorter one", "a name in SPACE/DOC is longer than %u bytes",
                    DUNLIN_MAX_NAME);
  }
  memcpy(alias, space_doc, len);
  alias[len] = 0;
  out->name = slash + 1;
  return app_space(app, alias, &out->space);
}

int app_read_document(struct app *app, const char *space_doc, dunlin_store_doc **out) {
  struct document_name doc;
  int status = app_document(app, space_doc, &doc);
  if (status) return status;
  int rc = dunlin_store_doc_open(app->opened, &doc.space, dunlin_key(doc.name), DUNLIN_READONLY, out);
  if (rc == DUNLIN_ENOENT) {
    return app_fail(app, rc, "'dunlin doc list SPACE' shows what there is", "there is no document %s", space_doc);
  }
  return rc ? app_fail_why(app, rc, NULL, space_doc) : 0;
}

const char *hex(const uint8_t *bytes, size_t digits, char out[65]) {
  for (size_t i = 0; i < digits && i < 64; i++) {
    out[i] = "0123456789abcdef"[(bytes[i / 2] >> (i % 2 ? 0 : 4)) & 15];
    out[i + 1] = 0;
  }
  return out;
}

int64_t app_now(void) {
  const struct dunlin_env *env = dunlin_env_default();
  return env->now(env->ctx);
}
