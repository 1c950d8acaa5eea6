#include "bench/fleet.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const double patience = 30000; /* ms */

/* ---- Directories -------------------------------------------------------------------------------------------- */

uint64_t directory_bytes(const char *dir) {
  uint64_t sum = 0;
  struct stat st;
  char path[4096];
  DIR *d = opendir(dir);
  for (struct dirent *e; d && (e = readdir(d));) {
    snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    if (!stat(path, &st) && S_ISREG(st.st_mode)) sum += (uint64_t)st.st_size;
  }
  if (d) closedir(d);
  return sum;
}

void directory_remove(const char *dir) {
  char path[4096];
  DIR *d = opendir(dir);
  for (struct dirent *e; d && (e = readdir(d));) {
    snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    unlink(path);
  }
  if (d) closedir(d);
  rmdir(dir);
}

/* ---- Devices ------------------------------------------------------------------------------------------------ */

static int device_make(struct fleet *fleet, size_t i) {
  struct device *d = &fleet->devices[i];
  char key[512], name[32];
  struct dunlin_store_options options = dunlin_store_defaults();
  snprintf(d->dir, sizeof d->dir, "%s/%zu", fleet->root, i);
  snprintf(key, sizeof key, "%s/%zu.key", fleet->root, i);
  snprintf(name, sizeof name, "device%zu", i);
  options.key.key_file = key;
  options.device_name = name;
  int error = dunlin_store_create(d->dir, &options, NULL);
  return error ? error : dunlin_store_open(d->dir, &options, &d->store, NULL);
}

int device_expect(struct device *d, enum dunlin_node_event_kind kind) {
  struct dunlin_node_event event;
  for (double began = bench_now(); bench_now() - began < patience;) {
    if (dunlin_node_next_event(d->node, &event, 1000) <= 0) continue;
    if (event.kind == kind) return event.error;
  }
  return DUNLIN_ETIMEOUT;
}

static int listen_at(struct device *d, char address[32]) {
  struct dunlin_node_options options = dunlin_node_defaults();
  options.listen = "127.0.0.1:0";
  int error = dunlin_node_start(d->store, &options, &d->node, NULL);
  if (!error) snprintf(address, 32, "127.0.0.1:%u", dunlin_node_port(d->node));
  return error;
}

static int join(struct fleet *fleet, struct device *guest, const char *address) {
  struct dunlin_node_options options = dunlin_node_defaults();
  char line[DUNLIN_INVITATION_MAX];
  int error = dunlin_invite(fleet->devices[0].store, &fleet->space, address, (int64_t)60000000, line);
  options.invitation = line;
  if (!error) error = dunlin_node_start(guest->store, &options, &guest->node, NULL);
  if (!error) error = device_expect(guest, DUNLIN_NODE_IN_SYNC);
  dunlin_node_stop(guest->node);
  guest->node = NULL;
  return error;
}

static int open_doc(struct fleet *fleet, struct device *d, bool create) {
  int error =
      dunlin_store_doc_open(d->store, &fleet->space, dunlin_key("bench"), create ? DUNLIN_CREATE : 0, &d->handle);
  if (!error) d->doc = dunlin_store_doc_get(d->handle);
  return error;
}

int fleet_make(struct fleet *fleet, struct bench *b, size_t count) {
  char address[32];
  *fleet = (struct fleet){.bench = b, .devices = calloc(count, sizeof(struct device)), .count = count};
  if (!fleet->devices) return DUNLIN_ENOMEM;
  snprintf(fleet->root, sizeof fleet->root, "%s/dunlin-bench-XXXXXX", b->scratch);
  int error = mkdtemp(fleet->root) ? 0 : DUNLIN_EIO;
  for (size_t i = 0; i < count && !error; i++) error = device_make(fleet, i);
  struct device *owner = fleet->devices;
  if (!error) error = dunlin_space_new(owner->store, "bench", &fleet->space);
  if (!error) error = open_doc(fleet, owner, true);
  if (!error) error = device_type(owner);
  if (!error) error = listen_at(owner, address);
  for (size_t i = 1; i < count && !error; i++) {
    error = join(fleet, &fleet->devices[i], address);
    if (!error) error = open_doc(fleet, &fleet->devices[i], false);
  }
  fleet_disconnect(fleet);
  return error;
}

void fleet_free(struct fleet *fleet) {
  fleet_disconnect(fleet);
  for (size_t i = 0; fleet->devices && i < fleet->count; i++) {
    struct device *d = &fleet->devices[i];
    dunlin_store_doc_close(d->handle);
    dunlin_store_close(d->store);
    if (d->dir[0]) directory_remove(d->dir);
  }
  if (fleet->root[0]) directory_remove(fleet->root); /* the key files */
  free(fleet->devices);
  *fleet = (struct fleet){.count = 0};
}

int fleet_connect(struct fleet *fleet) {
  char address[32];
  int error = listen_at(&fleet->devices[0], address);
  for (size_t i = 1; i < fleet->count && !error; i++) {
    struct dunlin_node_options options = dunlin_node_defaults();
    const char *peers[] = {address};
    options.peers = peers;
    options.peer_count = 1;
    error = dunlin_node_start(fleet->devices[i].store, &options, &fleet->devices[i].node, NULL);
  }
  for (size_t i = 1; i < fleet->count && !error; i++) error = device_expect(&fleet->devices[i], DUNLIN_NODE_IN_SYNC);
  return error;
}

void fleet_disconnect(struct fleet *fleet) {
  for (size_t i = 0; fleet->devices && i < fleet->count; i++) {
    dunlin_node_stop(fleet->devices[i].node);
    fleet->devices[i].node = NULL;
  }
}

int device_type(struct device *d) {
  dunlin_obj text;
  int error = dunlin_begin(d->doc);
  if (!error) text = dunlin_map_child(d->doc, DUNLIN_ROOT, dunlin_key("text"), DUNLIN_TEXT);
  if (!error) error = dunlin_text_splice(d->doc, text, dunlin_text_size(d->doc, text), 0, "x", 1);
  if (!error) error = dunlin_commit(d->doc, 0, NULL);
  return error < 0 ? error : 0;
}

int device_until(struct device *d, size_t changes) {
  for (double began = bench_now(); bench_now() - began < patience;) {
    int error = dunlin_store_doc_pull(d->handle, NULL);
    if (error < 0 || dunlin_doc_changes(d->doc) >= changes) return error < 0 ? error : 0;
    error = dunlin_store_wait(d->store, &d->seen, 1000);
    if (error < 0) return error;
  }
  return DUNLIN_ETIMEOUT;
}
