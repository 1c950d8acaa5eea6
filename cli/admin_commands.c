/* init, space, doc, status, verify, passwd: the store and what it holds. */
#include "cli/json.h"
#include "cli/keys.h"
#include "persist/exchange.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

/* ---- init --------------------------------------------------------------------------------------------------- */

static json_t *key_json(struct app *app, enum dunlin_key_kind kind) {
  char path[PATH_MAX];
  if (kind == DUNLIN_KEY_PASSPHRASE) return json_pack("{s:s}", "kind", "passphrase");
  return json_pack("{s:s, s:s*}", "kind", "key file", "path", key_file_path(app, path) == 0 ? path : NULL);
}

static void print_key(struct app *app, enum dunlin_key_kind kind) {
  char path[PATH_MAX];
  if (kind == DUNLIN_KEY_PASSPHRASE) puts("key      a passphrase");
  else if (key_file_path(app, path) == 0) printf("key      %s\n", path);
}

int cmd_init(struct app *app) {
  int status = app_locate(app);
  if (!status) status = app_create(app, app->name);
  if (status) return status;
  int kind = dunlin_store_probe(app->dir, NULL);
  if (app->json) {
    app_print(json_pack("{s:s, s:o}", "store", app->dir, "key", key_json(app, (enum dunlin_key_kind)kind)));
  } else {
    printf("store    %s\n", app->dir);
    print_key(app, (enum dunlin_key_kind)kind);
  }
  return EXIT_DONE;
}

/* ---- space and doc ------------------------------------------------------------------------------------------ */

static size_t count_documents(struct app *app, const struct dunlin_id *space) {
  char name[DUNLIN_MAX_NAME + 1];
  size_t len, n = 0;
  while (dunlin_store_doc_list(app->opened, space, n, name, &len) == 0) n++;
  return n;
}

static json_t *space_json(struct app *app, const struct dunlin_space_info *space) {
  char id[65];
  return json_pack("{s:s, s:s, s:b, s:I, s:I}", "space", space->alias, "id", hex(space->id.bytes, ID_DIGITS, id),
                   "owner", space->owner, "members", (json_int_t)space->members, "documents",
                   (json_int_t)count_documents(app, &space->id));
}

static void print_space(struct app *app, const char *before, const struct dunlin_space_info *space) {
  char id[65];
  size_t documents = count_documents(app, &space->id);
  fputs(before, stdout);
  app_puts(space->alias, strlen(space->alias));
  printf("  %s  %s  %zu member%s  %zu document%s\n", hex(space->id.bytes, SHORT_DIGITS, id),
         space->owner ? "owner" : "writer", space->members, space->members == 1 ? "" : "s", documents,
         documents == 1 ? "" : "s");
}

int cmd_space_new(struct app *app) {
  struct dunlin_id id;
  char digits[65];
  int status = app_check_alias(app, app->args[0]);
  if (!status) status = app_open(app);
  if (status) return status;
  int rc = dunlin_space_new(app->opened, app->args[0], &id);
  if (rc == DUNLIN_EEXIST) {
    status = app_fail(app, rc, "choose another name", "there is a space '%s' already", app->args[0]);
  } else if (rc) {
    status = app_fail_why(app, rc, NULL, app->args[0]);
  }
  status = app_close(app, status);
  if (status) return status;
  if (app->json) app_print(json_pack("{s:s, s:s}", "space", app->args[0], "id", hex(id.bytes, ID_DIGITS, digits)));
  else printf("%s  %s\n", app->args[0], hex(id.bytes, SHORT_DIGITS, digits));
  return EXIT_DONE;
}

/* All spaces: as JSON, or printed behind `before`. */
static json_t *spaces_json(struct app *app) {
  struct dunlin_space_info space;
  json_t *list = json_array();
  for (size_t i = 0; dunlin_space_at(app->opened, i, &space) == 0; i++)
    json_array_append_new(list, space_json(app, &space));
  return list;
}

static void print_spaces(struct app *app, const char *before) {
  struct dunlin_space_info space;
  for (size_t i = 0; dunlin_space_at(app->opened, i, &space) == 0; i++) print_space(app, before, &space);
}

int cmd_space_list(struct app *app) {
  int status = app_open(app);
  if (status) return status;
  if (app->json) app_print(spaces_json(app));
  else print_spaces(app, "");
  return app_close(app, EXIT_DONE);
}

int cmd_doc_list(struct app *app) {
  struct dunlin_id space;
  char name[DUNLIN_MAX_NAME + 1];
  size_t len;
  int status = app_open(app);
  if (!status) status = app_space(app, app->args[0], &space);
  if (status) return app_close(app, status);
  json_t *list = json_array();
  for (size_t i = 0; dunlin_store_doc_list(app->opened, &space, i, name, &len) == 0; i++) {
    json_array_append_new(list, json_stringn(name, len));
    if (app->json) continue;
    app_puts(name, len);
    putchar('\n');
  }
  if (app->json) app_print(json_incref(list));
  json_decref(list);
  return app_close(app, EXIT_DONE);
}

/* ---- status ------------------------------------------------------------------------------------------------- */

/* Device `i` that shares a space with this one, without its keys: its name and id, and what it has not confirmed to
 * hold. */
static int peer_at(struct app *app, size_t i, char name[DUNLIN_MAX_NAME + 1], struct dunlin_id *id, uint64_t *unsent) {
  struct exchange_device device;
  int rc = exchange_device(app->opened, i, &device);
  if (rc) return rc;
  memcpy(name, device.name, sizeof device.name);
  *id = device.device;
  *unsent = exchange_unacknowledged(app->opened, id);
  sodium_memzero(&device, sizeof device);
  return 0;
}

static json_t *peers_json(struct app *app) {
  char name[DUNLIN_MAX_NAME + 1], digits[65];
  struct dunlin_id id;
  uint64_t unsent;
  json_t *list = json_array();
  for (size_t i = 0; peer_at(app, i, name, &id, &unsent) == 0; i++) {
    json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "name", name, "id", hex(id.bytes, ID_DIGITS, digits),
                                          "unsent", (json_int_t)unsent));
  }
  return list;
}

static void print_peers(struct app *app) {
  char name[DUNLIN_MAX_NAME + 1], digits[65];
  struct dunlin_id id;
  uint64_t unsent;
  for (size_t i = 0; peer_at(app, i, name, &id, &unsent) == 0; i++) {
    fputs("peer     ", stdout);
    app_puts(name, strlen(name));
    printf("  %s  %" PRIu64 " change%s not there yet\n", hex(id.bytes, SHORT_DIGITS, digits), unsent,
           unsent == 1 ? "" : "s");
  }
}

int cmd_status(struct app *app) {
  struct dunlin_store_info info;
  char id[65];
  int status = app_open(app);
  if (status) return status;
  int rc = dunlin_store_info(app->opened, &info);
  if (rc) return app_close(app, app_fail_why(app, rc, NULL, app->dir));
  if (app->json) {
    app_print(json_pack("{s:s, s:{s:s, s:s}, s:o, s:I, s:I, s:I, s:o, s:o}", "store", app->dir, "device", "name",
                        info.device_name, "id", hex(info.device.bytes, ID_DIGITS, id), "key",
                        key_json(app, info.key_kind), "runs", (json_int_t)info.runs, "entries",
                        (json_int_t)info.entries, "disk_bytes", (json_int_t)info.disk_bytes, "spaces", spaces_json(app),
                        "peers", peers_json(app)));
    return app_close(app, EXIT_DONE);
  }
  fputs("device   ", stdout);
  app_puts(info.device_name, strlen(info.device_name));
  printf("  %s\nstore    %s\n", hex(info.device.bytes, SHORT_DIGITS, id), app->dir);
  print_key(app, info.key_kind);
  printf("changes  %" PRIu64 " in %" PRIu64 " sealed runs, %" PRIu64 " bytes on disk\n", info.entries, info.runs,
         info.disk_bytes);
  print_spaces(app, "space    ");
  print_peers(app);
  return app_close(app, EXIT_DONE);
}

/* ---- verify ------------------------------------------------------------------------------------------------- */

struct faults {
  const struct app *app;
  json_t *lines;
};

static void on_fault(void *ctx, const char *line) {
  struct faults *faults = ctx;
  json_array_append_new(faults->lines, json_string(line));
  if (faults->app->json) return;
  app_puts(line, strlen(line));
  putchar('\n');
}

int cmd_verify(struct app *app) {
  struct dunlin_store_info info;
  int status = app_open(app);
  if (status) return status;
  struct faults faults = {.app = app, .lines = json_array()};
  int found = dunlin_store_verify(app->opened, on_fault, &faults);
  int rc = found < 0 ? found : dunlin_store_info(app->opened, &info);
  if (rc) {
    status = app_fail_why(app, rc, NULL, "the store could not be read through");
  } else if (found > 0) {
    status = app_fail(app, DUNLIN_ECORRUPT, "get the data back from another device", "%d fault%s in %s", found,
                      found == 1 ? "" : "s", app->dir);
  }
  if (!rc && app->json) {
    app_print(json_pack("{s:I, s:I, s:O}", "runs", (json_int_t)info.runs, "entries", (json_int_t)info.entries, "faults",
                        faults.lines));
  } else if (!status) {
    printf("no fault in %" PRIu64 " changes in %" PRIu64 " sealed runs\n", info.entries, info.runs);
  }
  json_decref(faults.lines);
  return app_close(app, status);
}

/* ---- passwd ------------------------------------------------------------------------------------------------- */

static int new_passphrase(struct app *app, struct passphrase *out) {
  struct passphrase again = {.len = 0};
  if (app->new_passphrase_file) return passphrase_from_file(app, app->new_passphrase_file, out);
  int status = passphrase_ask(app, "New passphrase", out);
  if (!status) status = passphrase_ask(app, "Again", &again);
  if (!status && (again.len != out->len || memcmp(again.text, out->text, out->len) != 0)) {
    status = app_fail(app, DUNLIN_EPASS, "type the same twice", "the two passphrases differ");
  }
  sodium_memzero(&again, sizeof again);
  return status;
}

static int rekey(struct app *app, enum dunlin_key_kind kind) {
  struct dunlin_store_key key = {.passphrase = NULL};
  struct passphrase passphrase = {.len = 0};
  struct dunlin_why why = {""};
  char key_file[PATH_MAX];
  int status;
  if (app->to_key_file && kind == DUNLIN_KEY_FILE) {
    return app_fail(app, DUNLIN_EEXIST, "'dunlin status' says where it is",
                    "the store is opened by a key file already");
  }
  if (app->to_key_file) {
    status = key_file_path(app, key_file);
    key.key_file = key_file;
  } else {
    status = new_passphrase(app, &passphrase);
    key.passphrase = passphrase.text;
    key.passphrase_len = passphrase.len;
  }
  int rc = status ? 0 : dunlin_store_rekey(app->opened, &key, &why);
  if (rc) status = app_fail_why(app, rc, &why, "the key could not be changed");
  sodium_memzero(&passphrase, sizeof passphrase);
  if (!status && kind == DUNLIN_KEY_FILE && key_file_path(app, key_file) == 0) {
    app_note(app, "the key file %s is no longer needed", key_file);
  }
  return status;
}

int cmd_passwd(struct app *app) {
  struct dunlin_store_info info;
  int status = app_open(app);
  if (status) return status;
  int rc = dunlin_store_info(app->opened, &info);
  status = rc ? app_fail_why(app, rc, NULL, app->dir) : rekey(app, info.key_kind);
  return app_close(app, status);
}
