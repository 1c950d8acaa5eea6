/* Moving runs: the receiver asks for branches of which the peer has told it the ends, within its credit, and says which
 * entries of that log it has; the sender reads what comes after those from the store as the link drains; the receiver
 * stores what has come in batches. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "transport/session_private.h"

/* ---- Asking ------------------------------------------------------------------------------------------------------ */

static void want_clear(struct want *want) {
  want->active = false;
  want->length_count = 0;
  buf_free(&want->runs);
}

void transfer_free(struct session *s) {
  for (size_t i = 0; i < SESSION_WANTS; i++) {
    want_clear(&s->wants[i]);
    ENV_FREE_ARRAY(s->env, s->wants[i].lengths, s->wants[i].length_cap);
  }
}

/* One branch of a log at a time: the next may be a continuation of it. */
static bool is_asked_for(const struct session *s, const struct log_name *name) {
  for (size_t i = 0; i < SESSION_WANTS; i++)
    if (s->wants[i].active && log_name_equal(&s->wants[i].name, name)) return true;
  return false;
}

/* The next end to ask for: urgent before normal before bulk, and of one log the furthest. */
static struct tip_state *next_missing(struct session *s) {
  struct tip_state *best = NULL;
  for (size_t i = 0; i < s->logs.tip_count; i++) {
    struct tip_state *tip = &s->logs.tips[i];
    if (tip->refused || tip->stalled || is_asked_for(s, &tip->name)) continue;
    if (!best || tip->name.lane < best->name.lane ||
        (tip->count > best->count && log_name_equal(&tip->name, &best->name)))
      best = tip;
  }
  return best;
}

bool transfer_idle(const struct session *s) {
  for (size_t i = 0; i < SESSION_WANTS; i++)
    if (s->wants[i].active) return false;
  return true;
}

static void locate(struct session *s, struct buf *out, uint64_t n, const struct dunlin_id *entry) {
  uint8_t item[SESSION_LOCATOR_BYTES];
  put_be64(item, n);
  sync_tip_hash(s, entry, item + 8);
  if (out->len < SESSION_LOCATOR * SESSION_LOCATOR_BYTES) buf_append(out, item, sizeof item);
}

/* What we have of the log: the ends of our branches, and (`deep`) entries before those at distances that double. */
static int write_locator(struct session *s, const struct log_name *name, bool deep, struct buf *out) {
  size_t count;
  const struct log_state *log = logtable_find(&s->logs, name, &count);
  for (size_t i = 0; i < count; i++)
    if (log[i].count) locate(s, out, log[i].count, &log[i].tip);
  for (uint64_t back = 1; deep && back; back *= 2) {
    bool any = false;
    for (size_t i = 0; i < count; i++) {
      struct dunlin_id entry;
      if (log[i].count <= back) continue;
      int error = exchange_entry(s->store, name, &log[i].branch, log[i].count - back, &entry);
      if (error) return error;
      locate(s, out, log[i].count - back, &entry);
      any = true;
    }
    if (!any) break;
  }
  return out->error;
}

/* [10, id, log name, count, tip, locator, whole, bytes] */
static int send_want(struct session *s, struct want *want, struct tip_state *tip) {
  size_t branches;
  struct buf locator;
  buf_free(&want->runs);
  *want = (struct want){.active = true,
                        .deep = tip->deep,
                        .id = s->want_id++,
                        .name = tip->name,
                        .count = tip->count,
                        .lengths = want->lengths,
                        .length_cap = want->length_cap};
  memcpy(want->tip, tip->tip, sizeof want->tip);
  buf_init(&want->runs, s->env, SESSION_WANT_BYTES + DUNLIN_MAX_SEALED);
  buf_init(&locator, s->env, SESSION_LOCATOR * SESSION_LOCATOR_BYTES);
  int error = write_locator(s, &want->name, want->deep, &locator);
  size_t begin = message_begin(s, MESSAGE_WANT, 10);
  struct buf *out = session_out(s);
  mp_write_uint(out, want->id);
  sync_write_log_name(out, &want->name);
  mp_write_uint(out, want->count);
  mp_write_bin(out, want->tip, sizeof want->tip);
  mp_write_bin(out, locator.data, locator.len);
  mp_write_bool(out, want->deep || !logtable_find(&s->logs, &want->name, &branches));
  mp_write_uint(out, SESSION_WANT_BYTES);
  buf_free(&locator);
  if (error)
    return session_fail(s, error, "cannot read our own store for %s: %s", s->address, dunlin_error_text(error));
  return message_end(s, begin);
}

int transfer_request(struct session *s) {
  for (size_t i = 0; i < SESSION_WANTS; i++) {
    if (s->wants[i].active) continue;
    struct tip_state *tip = next_missing(s);
    if (!tip) return 0;
    int error = send_want(s, &s->wants[i], tip);
    if (error) return error;
  }
  return 0;
}

/* ---- Receiving --------------------------------------------------------------------------------------------------- */

static struct want *find_want(struct session *s, uint64_t id) {
  for (size_t i = 0; i < SESSION_WANTS; i++)
    if (s->wants[i].active && s->wants[i].id == id) return &s->wants[i];
  return NULL;
}

static int ingest_runs(struct session *s, const struct want *want) {
  struct dunlin_bytes *runs = env_calloc(s->env, want->length_count, sizeof *runs);
  if (!runs) return DUNLIN_ENOMEM;
  const uint8_t *at = want->runs.data;
  for (size_t i = 0; i < want->length_count; at += want->lengths[i++])
    runs[i] = (struct dunlin_bytes){at, want->lengths[i]};
  int result = exchange_ingest(s->store, &want->name, runs, want->length_count);
  env_free(s->env, runs, want->length_count * sizeof *runs);
  return result;
}

/* Stores what has come of a branch. */
static int flush(struct session *s, struct want *want) {
  if (!want->length_count) return 0;
  size_t branches = exchange_branches(s->store, &want->name);
  int result = ingest_runs(s, want);
  buf_clear(&want->runs);
  want->length_count = 0;
  if (result == DUNLIN_EAUTH || result == DUNLIN_EFORMAT || result == DUNLIN_ECONFLICT || result == DUNLIN_ELIMIT) {
    sync_refuse(s, &want->name, result);
    return 0;
  }
  if (result == DUNLIN_ENOENT) return 0; /* a gap: nothing is new */
  if (result < 0)
    return session_fail(s, result, "cannot store what %s sent: %s", s->address, dunlin_error_text(result));
  if (!result) return 0;
  s->counts.runs_received += (uint64_t)result;
  want->fresh = true;
  session_event(s, DUNLIN_NODE_RECEIVED, &want->name.space, 0, "");
  if (exchange_is_own(s->store, &want->name))
    session_event(s, DUNLIN_NODE_COPIED, &want->name.space, 0,
                  "this store was copied, or set back to an older copy; it goes on under new writers");
  if (branches && exchange_branches(s->store, &want->name) > branches)
    session_event(s, DUNLIN_NODE_FORKED, &want->name.space, 0,
                  "a writer's log has two branches, as when a store was copied; both are kept");
  return 0;
}

/* [11, id, sealed run] */
int transfer_run_message(struct session *s, struct mp_reader *r) {
  uint64_t id = mp_read_uint(r, UINT64_MAX);
  struct dunlin_bytes sealed = mp_read_bin(r, DUNLIN_MAX_SEALED);
  struct want *want = mp_end(r) ? NULL : find_want(s, id);
  struct seal_header header;
  if (!want || want->received >= SESSION_WANT_BYTES || seal_header_read(sealed.data, sealed.len, &header) ||
      header.lane != want->name.lane)
    return session_broken(s, "a run that was not asked for");
  want->received += sealed.len;
  int error = ENV_GROW(s->env, want->lengths, want->length_cap, want->length_count + 1);
  if (!error) buf_append(&want->runs, sealed.data, sealed.len);
  if (!error) error = want->runs.error;
  if (error) return session_fail(s, error, "out of memory while talking to %s", s->address);
  want->lengths[want->length_count++] = sealed.len;
  return want->runs.len >= SESSION_WANT_BYTES ? flush(s, want) : 0;
}

/* [12, id]: all that was asked for has come, or all that there is. */
int transfer_done_message(struct session *s, struct mp_reader *r) {
  uint64_t id = mp_read_uint(r, UINT64_MAX);
  struct want *want = mp_end(r) ? NULL : find_want(s, id);
  if (!want) return session_broken(s, "the end of a range that was not asked for");
  int error = flush(s, want);
  struct tip_state *tip = logtable_find_tip(&s->logs, &want->name, want->count, want->tip);
  /* What brought nothing may do so when the peer hears more of what we have; after that there is no use in asking. */
  if (tip && !want->fresh && want->deep) tip->stalled = true;
  if (tip && !want->fresh) tip->deep = true;
  want_clear(want);
  return error;
}

/* ---- Sending ----------------------------------------------------------------------------------------------------- */

/* The entry behind the last one of the branch that the peer says it has; 0: it has none, and does not want all of
 * it. */
static uint64_t serve_from(struct session *s, const struct serve *serve, struct dunlin_bytes locator, bool whole) {
  uint64_t from = whole;
  for (const uint8_t *at = locator.data, *end = at + locator.len; at < end; at += SESSION_LOCATOR_BYTES) {
    struct dunlin_id entry;
    uint8_t ours[8];
    uint64_t n = get_be64(at);
    if (!n || n < from || exchange_entry(s->store, &serve->name, &serve->branch, n, &entry)) continue;
    sync_tip_hash(s, &entry, ours);
    if (!sodium_memcmp(ours, at + 8, sizeof ours)) from = n + 1;
  }
  return from;
}

int transfer_want_message(struct session *s, struct mp_reader *r) {
  struct serve serve = {.id = mp_read_uint(r, UINT64_MAX)};
  sync_read_log_name(r, &serve.name);
  uint64_t count = mp_read_uint(r, INT64_MAX);
  const uint8_t *tip = mp_read_bin_exact(r, 8);
  struct dunlin_bytes locator = mp_read_bin(r, SESSION_LOCATOR * SESSION_LOCATOR_BYTES);
  bool whole = mp_read_bool(r);
  serve.left = (size_t)mp_read_uint(r, SESSION_WANTS * SESSION_WANT_BYTES);
  if (mp_end(r) || !count || !serve.left || locator.len % SESSION_LOCATOR_BYTES)
    return session_broken(s, "a malformed request");
  if (s->serve_count == SESSION_SERVES) return session_broken(s, "more requests than the credit allows");
  int error = sync_look(s);
  if (error) return error;
  size_t at = 0;
  struct log_state *log = sync_space(s, serve.name.space.bytes) ? sync_resolve(s, &serve.name, count, tip, &at) : NULL;
  if (log) {
    serve.branch = log->branch;
    serve.next = serve_from(s, &serve, locator, whole);
  }
  s->serves[s->serve_count++] = serve;
  return 0;
}

static int send_done(struct session *s, struct serve *serve) {
  size_t begin = message_begin(s, MESSAGE_DONE, 1);
  mp_write_uint(session_out(s), serve->id);
  size_t at = (size_t)(serve - s->serves);
  memmove(serve, serve + 1, (--s->serve_count - at) * sizeof *serve);
  return message_end(s, begin);
}

/* Sends the next run of a range; its end when there is none, or the space is not the peer's to see. */
static int serve_run(struct session *s, struct serve *serve) {
  if (!serve->next || !sync_space(s, serve->name.space.bytes)) return send_done(s, serve);
  uint64_t reaches = 0;
  buf_clear(&s->scratch);
  int error = exchange_branch_run(s->store, &serve->name, &serve->branch, serve->next, &s->scratch, &reaches);
  if (error == DUNLIN_ENOENT) return send_done(s, serve);
  if (error)
    return session_fail(s, error, "cannot read our own store for %s: %s", s->address, dunlin_error_text(error));
  size_t begin = message_begin(s, MESSAGE_RUN, 2);
  mp_write_uint(session_out(s), serve->id);
  mp_write_bin(session_out(s), s->scratch.data, s->scratch.len);
  error = message_end(s, begin);
  if (error) return error;
  s->counts.runs_sent++;
  serve->next = reaches + 1;
  if (s->scratch.len >= serve->left) return send_done(s, serve);
  serve->left -= s->scratch.len;
  return 0;
}

/* Urgent logs first, then in the order of asking. */
int transfer_serve(struct session *s) {
  int error = 0;
  while (!error && s->serve_count && frame_waiting(&s->writer) < SESSION_FILL) {
    struct serve *first = &s->serves[0];
    for (size_t i = 1; i < s->serve_count; i++)
      if (s->serves[i].name.lane < first->name.lane) first = &s->serves[i];
    error = serve_run(s, first);
  }
  return error;
}
