/* Where the key of the store comes from: a passphrase (file, environment, terminal) or a key file. */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include "cli/app.h"

#define PASSPHRASE_MAX 4096u

struct passphrase {
  char text[PASSPHRASE_MAX];
  size_t len;
};

/* Each gives 0, or an exit status after having reported.  The caller wipes. */

/* The file's content without the line feed at its end; "-" is stdin. */
int passphrase_from_file(struct app *app, const char *path, struct passphrase *out);
/* From --passphrase-file or $DUNLIN_PASSPHRASE; `*given` is false when there is neither. */
int passphrase_given(struct app *app, struct passphrase *out, bool *given);
/* Asks on the terminal, without showing what is typed; DUNLIN_ENOKEY when there is none. */
int passphrase_ask(struct app *app, const char *prompt, struct passphrase *out);

/* The key file of app->dir: --key-file, $DUNLIN_KEY_FILE, else one in the user's configuration folder named by a hash
 * of the store's absolute path.  Not in the store, because it would be copied with it. */
int key_file_path(struct app *app, char out[PATH_MAX]);

#endif
