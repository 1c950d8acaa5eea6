/* What every command of the program shares: its options, the open store, and the way it reports.
 *
 * A command returns the program's exit status: 0 done, 1 failed, 2 wrong usage.  Whoever finds an error reports it,
 * once, and hands the status up.  Results go to stdout, everything else to stderr. */
#ifndef CLI_APP_H
#define CLI_APP_H

#include <dunlin/node.h>

#include <jansson.h>
#include <limits.h>
#include <stdio.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct app {
  bool json;                                                                /* --json */
  const char *store;                                                        /* --store */
  const char *passphrase_file;                                              /* --passphrase-file, "-" is stdin */
  const char *key_file;                                                     /* --key-file */
  const char *name, *listen, *address, *as, *expires, *new_passphrase_file; /* options of single commands */
  bool once, to_key_file;
  const char **peers;
  size_t peer_count;

  const char *const *args; /* what follows the command's name */
  int arg_count;

  char dir[PATH_MAX]; /* the store's directory, absolute once the store is open */
  dunlin_store *opened;
  char *stdin_passphrase; /* what "--passphrase-file -" gave: stdin can be read once; guarded memory, wiped by app_end()
                           */
  size_t stdin_passphrase_len;
};

void app_end(struct app *app);

/* ---- Reporting ---------------------------------------------------------------------------------------------- */

/* One line on stderr: what was wrong, and what to do about it (NULL: what generally helps against this error).  Under
 * --json {"error", "message"}.  Bytes that are no text are shown as '?'.  Returns EXIT_FAILED. */
int app_fail(struct app *app, int error, const char *advice, const char *what, ...)
    __attribute__((format(printf, 4, 5)));
/* The same for an error of the library: `what` was being done, `why` (may be NULL) says more than the error's own text.
 */
int app_fail_why(struct app *app, int error, const struct dunlin_why *why, const char *what);
/* Wrong usage, with a pointer to --help of `command` (NULL: of the program).  Returns EXIT_USAGE. */
int app_usage(struct app *app, const char *command, const char *what, ...) __attribute__((format(printf, 3, 4)));
/* A remark on stderr that is no failure.  Under --json it is left out. */
void app_note(const struct app *app, const char *what, ...) __attribute__((format(printf, 2, 3)));
/* Flushes stdout and returns `status`, or EXIT_FAILED with a report when the output could not be written.  A reader
 * that has gone away is no failure. */
int app_finish(struct app *app, int status);
/* Flushes stdout at once: false when the reader has gone or nothing can be written (app_finish() tells which). */
bool app_flush(void);

/* Prints text on stdout that others have written (names, keys), with '?' for what could steer a terminal. */
void app_puts(const char *text, size_t len);
/* Prints `json` on stdout as indented or one-line JSON, and frees it. */
void app_print(json_t *json);
void app_print_line(json_t *json);

/* ---- The store ---------------------------------------------------------------------------------------------- */

/* Fills app->dir from --store, $DUNLIN_STORE or ${XDG_DATA_HOME:-~/.local/share}/dunlin. */
int app_locate(struct app *app);
/* Makes a new store there; reports. */
int app_create(struct app *app, const char *device_name);
/* Opens the store into app->opened, asking for the passphrase if need be; reports. */
int app_open(struct app *app);
/* Closes the store and returns `status`, or EXIT_FAILED with a report when the last flush failed. */
int app_close(struct app *app, int status);

/* ---- Spaces and documents ----------------------------------------------------------------------------------- */

int app_space(struct app *app, const char *alias_or_prefix, struct dunlin_id *out);
/* Whether a new space can be called so: 0, or an exit status after having reported. */
int app_check_alias(struct app *app, const char *alias);
struct document_name {
  struct dunlin_id space;
  const char *name; /* NUL-terminated: it came from the command line */
};
/* Splits SPACE/DOC and finds the space. */
int app_document(struct app *app, const char *space_doc, struct document_name *out);
/* Opens an existing document for reading. */
int app_read_document(struct app *app, const char *space_doc, dunlin_store_doc **out);

/* Lower-case hexadecimal; `digits` of them at most, and a NUL. */
const char *hex(const uint8_t *bytes, size_t digits, char out[65]);
#define ID_DIGITS 64u   /* of an id in full */
#define SHORT_DIGITS 8u /* enough to tell the ids of one screen apart */
int64_t app_now(void);  /* microseconds since 1970 */

/* ---- Commands ----------------------------------------------------------------------------------------------- */

int cmd_init(struct app *app);
int cmd_space_new(struct app *app);
int cmd_space_list(struct app *app);
int cmd_doc_list(struct app *app);
int cmd_invite(struct app *app);
int cmd_join(struct app *app);
int cmd_put(struct app *app);
int cmd_get(struct app *app);
int cmd_del(struct app *app);
int cmd_add(struct app *app);
int cmd_edit(struct app *app);
int cmd_move(struct app *app);
int cmd_watch(struct app *app);
int cmd_conflicts(struct app *app);
int cmd_log(struct app *app);
int cmd_sync(struct app *app);
int cmd_status(struct app *app);
int cmd_verify(struct app *app);
int cmd_passwd(struct app *app);
int cmd_import(struct app *app);
int cmd_export(struct app *app);

#endif
