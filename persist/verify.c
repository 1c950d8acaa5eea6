/* Reading everything back: dunlin_store_verify(). */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "persist/pagecheck.h"
#include "persist/run.h"
#include "persist/store_doc.h"

struct verify {
  dunlin_store *store;
  void (*report)(void *ctx, const char *line);
  void *ctx;
  int faults;
};

__attribute__((format(printf, 2, 3))) static void fault(struct verify *v, const char *format, ...) {
  char line[320];
  va_list args;
  v->faults++;
  if (!v->report) return;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  v->report(v->ctx, line);
}

/* Within a writing transaction, so that no process changes the file meanwhile; nothing is written. */
static int check_pages(void *ctx, struct storage_txn *txn) {
  struct verify *v = ctx;
  struct dunlin_why why = {""};
  char path[4096];
  (void)txn;
  snprintf(path, sizeof path, "%s/data.mdb", v->store->dir);
  int r = pagecheck(v->store->env, path, &why);
  if (r == DUNLIN_ECORRUPT) fault(v, "data.mdb: %s", why.text);
  return r == DUNLIN_ECORRUPT ? 0 : r;
}

static int check_record(void *ctx, struct dunlin_bytes key, struct dunlin_bytes plain) {
  (void)ctx, (void)key, (void)plain;
  return 0;
}

static int check_records(void *ctx, struct storage_txn *txn) {
  struct verify *v = ctx;
  int r = record_each(&v->store->records, txn, 0, check_record, NULL);
  if (r == DUNLIN_ECORRUPT) fault(v, "a local record is damaged");
  return r == DUNLIN_ECORRUPT ? 0 : r;
}

/* One run: that it opens, continues the chain, and is signed. */
static int check_run(struct verify *v, const struct log *log, const struct run_ref *run, struct dunlin_id *tip) {
  struct seal_header header;
  uint8_t signature[64];
  uint64_t count = 0;
  struct buf raw;
  buf_init(&raw, v->store->env, DUNLIN_MAX_RAW);
  int r = index_open_run(v->store, log, run->arrival, &raw, &header, signature);
  if (!r) r = run_chain(v->store->env, (struct dunlin_bytes){raw.data, raw.len}, &log->name.actor, tip, &count);
  if (!r && count != run->count) r = DUNLIN_EFORMAT;
  if (!r) r = seal_check_signature(&log->keys, &log->name, &header, tip, signature);
  buf_free(&raw);
  return r;
}

static void log_fault(struct verify *v, const struct log *log, uint64_t entry, const char *what) {
  fault(v, "log %02x%02x%02x%02x: entries from %" PRIu64 " on: %s", log->start.bytes[0], log->start.bytes[1],
        log->start.bytes[2], log->start.bytes[3], entry, what);
}

static int check_log(struct verify *v, struct log *log) {
  struct index *index = &v->store->index;
  uint64_t beyond = 0, count = 0;
  struct dunlin_id tip;
  /* Chained first, so that runs that begin before the end of another find their place. */
  int r = index_chain(v->store, log, &count, &tip);
  for (size_t i = 0; !r; i++) {
    struct run_ref run = {0};
    pthread_mutex_lock(&index->lock);
    bool end = i >= log->run_count;
    if (!end) run = log->runs[i];
    if (log->beyond > log_count(log)) beyond = log->beyond;
    pthread_mutex_unlock(&index->lock);
    if (end) break;
    r = index_entry(v->store, log, run.first - 1, &tip);
    if (!r) r = check_run(v, log, &run, &tip);
    count = run.first;
  }
  if (r == DUNLIN_ENOMEM || r == DUNLIN_EIO) return r;
  if (r) log_fault(v, log, count + (r == DUNLIN_ECORRUPT), dunlin_error_text(r));
  if (!r && beyond)
    fault(v, "log %02x%02x%02x%02x: entries up to %" PRIu64 " are missing", log->start.bytes[0], log->start.bytes[1],
          log->start.bytes[2], log->start.bytes[3], beyond);
  return 0;
}

/* A document is sound when each of its changes has its parents and none was refused. */
static int check_doc(struct verify *v, const struct space *space, const struct dunlin_id *did, uint8_t lane,
                     const char *what, dunlin_doc **out) {
  struct dunlin_applied applied = {0};
  dunlin_doc *doc = NULL;
  struct doc_cursor cursor = doc_cursor_begin();
  int r = doc_reader(v->store, did, &doc);
  if (!r) r = doc_load(v->store, doc, did, space, lane, NULL, &cursor, &applied);
  size_t waiting = r ? 0 : dunlin_doc_pending(doc) + applied.left_out;
  if (waiting) fault(v, "%s: %zu changes lack a parent", what, waiting);
  if (!r && applied.refused) fault(v, "%s: %zu changes are not valid", what, applied.refused);
  if (r == DUNLIN_ECORRUPT) fault(v, "%s: cannot be read in full", what);
  if (!r && out) *out = doc;
  else dunlin_doc_free(doc);
  return r == DUNLIN_ECORRUPT ? 0 : r;
}

static int check_space(struct verify *v, const struct space *space) {
  struct dunlin_id did = doc_id_of_directory(v->store->env, &space->id);
  dunlin_doc *directory = NULL;
  dunlin_obj names;
  int r = check_doc(v, space, &did, LANE_URGENT, "the directory of a space", &directory);
  if (r || !directory) return r;
  if (!directory_names(directory, &names)) {
    struct dunlin_bytes key;
    struct dunlin_value value;
    char what[DUNLIN_MAX_NAME + 16];
    for (size_t i = 0; !r && !dunlin_map_at(directory, names, i, &key, &value); i++) {
      if (key.len > DUNLIN_MAX_NAME) continue; /* cannot be opened by that name: no document */
      did = doc_id_of_name(v->store->env, &space->id, key.data, key.len);
      snprintf(what, sizeof what, "document %.*s", (int)key.len, (const char *)key.data);
      r = check_doc(v, space, &did, LANE_NORMAL, what, NULL);
    }
  }
  dunlin_doc_free(directory);
  return r;
}

int dunlin_store_verify(dunlin_store *store, void (*report)(void *ctx, const char *line), void *ctx) {
  struct verify v = {.store = store, .report = report, .ctx = ctx};
  struct index *index = &store->index;
  int r = store_usable(store);
  if (!r) r = index_refresh(store);
  if (r >= 0) r = storage_write(store->storage, check_pages, &v);
  if (!r) r = storage_read(store->storage, check_records, &v);
  pthread_mutex_lock(&index->lock);
  size_t logs = index->log_count, spaces = index->space_count;
  uint64_t lost = index->lost;
  pthread_mutex_unlock(&index->lock);
  if (lost) fault(&v, "%" PRIu64 " runs belong to no log or are missing", lost);
  for (size_t i = 0; !r && i < logs + spaces; i++) {
    pthread_mutex_lock(&index->lock);
    struct log *log = i < logs ? index->logs[i] : NULL;
    const struct space *space = i < logs ? NULL : index->spaces[i - logs];
    pthread_mutex_unlock(&index->lock);
    r = log ? check_log(&v, log) : check_space(&v, space);
  }
  return r ? r : v.faults;
}
