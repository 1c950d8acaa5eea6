/* Rules of the application that local changes have to keep, each for a place named by its path. */
#include <stdio.h>
#include <string.h>

#include "crdt/internal.h"
#include "crdt/plain.h"

struct validator {
  dunlin_obj base;
  struct dunlin_bytes path; /* owned */
  dunlin_validator *ask;
  void *user;
};

/* ---- Setting ------------------------------------------------------------------------------------------------ */

static void validator_free(dunlin_doc *doc, struct validator *v) {
  env_free(doc->env, (void *)(uintptr_t)v->path.data, v->path.len);
}

void validators_free(dunlin_doc *doc) {
  while (doc->validator_count) validator_free(doc, &doc->validators[--doc->validator_count]);
  ENV_FREE_ARRAY(doc->env, doc->validators, doc->validator_cap);
}

static int check_path(struct dunlin_bytes path) {
  struct path_token token;
  int error = path.len && !path.data ? DUNLIN_EINVAL : 0;
  for (size_t steps = 0; !error && path.len; steps++)
    error = steps < DUNLIN_MAX_DEPTH ? path_next(&path, &token) : DUNLIN_EPATH;
  return error;
}

int dunlin_doc_set_validator(dunlin_doc *doc, dunlin_obj base, struct dunlin_bytes path, dunlin_validator *ask,
                             void *user) {
  if (doc->open.is_open) return DUNLIN_ESTATE;
  if (base.index >= doc->container_count) return DUNLIN_EINVAL;
  int error = check_path(path);
  if (error) return error;
  size_t at = 0;
  while (at < doc->validator_count &&
         (doc->validators[at].base.index != base.index || !bytes_same(doc->validators[at].path, path)))
    at++;
  if (at == doc->validator_count && ask) {
    if (ENV_GROW(doc->env, doc->validators, doc->validator_cap, at + 1)) return DUNLIN_ENOMEM;
    void *copy = env_alloc(doc->env, path.len);
    if (!copy) return DUNLIN_ENOMEM;
    if (path.len) memcpy(copy, path.data, path.len);
    doc->validators[doc->validator_count++] = (struct validator){base, {copy, path.len}, NULL, NULL};
  }
  if (ask) {
    doc->validators[at].ask = ask;
    doc->validators[at].user = user;
  } else if (at < doc->validator_count) {
    validator_free(doc, &doc->validators[at]);
    memmove(&doc->validators[at], &doc->validators[at + 1], (--doc->validator_count - at) * sizeof *doc->validators);
  }
  return 0;
}

/* ---- Asking ------------------------------------------------------------------------------------------------- */

/* Marks all that the transaction has written to, and what that lies in. */
static uint64_t mark_written(dunlin_doc *doc) {
  uint64_t stamp = ++doc->stamp;
  for (size_t i = 0; i < doc->open.touched_count; i++) {
    uint32_t at = doc->open.touched[i];
    while (doc->containers[at]->listed != stamp) {
      doc->containers[at]->listed = stamp;
      at = doc->containers[at]->parent; /* the root's is the root */
    }
  }
  return stamp;
}

/* Whether what shows there may be of the open transaction. */
static bool wrote(const dunlin_doc *doc, const struct container *c, const struct path_token *token) {
  if (c->touched != doc->open.stamp || c->kind != DUNLIN_MAP) return c->touched == doc->open.stamp;
  const struct map_entry *entry = map_find(&c->as.map, (struct dunlin_bytes){token->text, token->len});
  return !entry || !entry->reg.count || reg_at(&entry->reg, 0)->lv >= doc->open.lv;
}

/* What is at the place; `*asks`: it may be other than before the transaction.  DUNLIN_EPATH: nothing. */
static int find_place(const dunlin_doc *doc, const struct validator *v, uint64_t stamp, struct dunlin_value *value,
                      bool *asks) {
  struct path_token token;
  struct dunlin_bytes rest = v->path;
  *asks = false;
  for (;;) {
    struct dunlin_bytes before = {v->path.data, v->path.len - rest.len};
    int error = dunlin_path_get(doc, v->base, before, value);
    if (error || value->kind < DUNLIN_MAP) return error;
    const struct container *c = doc->containers[value->as.obj.index];
    if (!rest.len) *asks |= c->listed == stamp;
    if (!rest.len) return 0;
    error = path_next(&rest, &token);
    if (error) return error;
    *asks |= wrote(doc, c, &token);
  }
}

/* Puts the path before what the validator said, as far as there is room. */
static void say(const struct validator *v, struct dunlin_why *why) {
  struct dunlin_why said = *why;
  said.text[sizeof said.text - 1] = 0;
  int shown = v->path.len < sizeof said.text / 2 ? (int)v->path.len : (int)(sizeof said.text / 2);
  int room = (int)sizeof why->text - shown - 3;
  snprintf(why->text, sizeof why->text, "%.*s: %.*s", shown, (const char *)v->path.data, room, said.text);
}

static int ask(const dunlin_doc *doc, const struct validator *v, uint64_t stamp, struct dunlin_why *why) {
  struct dunlin_value value;
  bool asks;
  int error = find_place(doc, v, stamp, &value, &asks);
  bool is_there = !error;
  if (error && error != DUNLIN_EPATH) return error;
  if (!asks) return 0;
  *why = (struct dunlin_why){{0}};
  if (!v->ask(v->user, doc, is_there ? &value : NULL, why)) return 0;
  say(v, why);
  return DUNLIN_EINVAL;
}

int dunlin_txn_validate(dunlin_doc *doc, struct dunlin_why *why) {
  struct dunlin_why unwanted;
  int error = txn_writable(doc);
  if (error || !doc->validator_count) return error;
  uint64_t stamp = mark_written(doc);
  for (size_t i = 0; !error && i < doc->validator_count; i++)
    error = ask(doc, &doc->validators[i], stamp, why ? why : &unwanted);
  return error;
}
