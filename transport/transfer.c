/* Moving runs: the receiver asks for ranges, one a log at a time, within its credit; the sender reads them from the store as
 * the link drains; the receiver stores what has come in batches and acknowledges what is durable. */
#include <stdio.h>
#include <string.h>

#include "transport/session_private.h"

/* ---- Asking -------------------------------------------------------------------------------------------------------- */

static void want_clear(struct session *s, struct want *want) {
  struct log_state *log = want->active ? logtable_find(&s->logs, &want->name) : NULL;
  if (log) log->wanted = false;
  want->active = false;
  want->length_count = 0;
  buf_free(&want->runs);
}

void transfer_free(struct session *s) {
  for (size_t i = 0; i < SESSION_WANTS; i++) {
    want_clear(s, &s->wants[i]);
    ENV_FREE_ARRAY(s->env, s->wants[i].lengths, s->wants[i].length_cap);
  }
}

static bool is_missing(const struct log_state *log) {
  return log->theirs > log->count && !log->wanted && !log->refused && log->stalled != log->theirs;
}

/* The next log to ask for: urgent before normal before bulk. */
static struct log_state *next_missing(struct session *s) {
  struct log_state *best = NULL;
  for (size_t i = 0; i < s->logs.count; i++) {
    struct log_state *log = &s->logs.logs[i];
    if (is_missing(log) && (!best || log->name.lane < best->name.lane)) best = log;
  }
  return best;
}

bool transfer_idle(const struct session *s) {
  for (size_t i = 0; i < SESSION_WANTS; i++)
    if (s->wants[i].active) return false;
  return true;
}

/* [10, id, log name, first entry, bytes] */
static int send_want(struct session *s, struct want *want, struct log_state *log) {
  buf_free(&want->runs);
  *want = (struct want){.active = true,
                        .id = s->want_id++,
                        .name = log->name,
                        .from = log->count,
                        .next = log->count + 1,
                        .lengths = want->lengths,
                        .length_cap = want->length_cap};
  buf_init(&want->runs, s->env, SESSION_WANT_BYTES + DUNLIN_MAX_SEALED);
  log->wanted = true;
  size_t begin = message_begin(s, MESSAGE_WANT, 7);
  struct buf *out = session_out(s);
  mp_write_uint(out, want->id);
  sync_write_log_name(out, &want->name);
  mp_write_uint(out, want->next);
  mp_write_uint(out, SESSION_WANT_BYTES);
  return message_end(s, begin);
}

int transfer_request(struct session *s) {
  for (size_t i = 0; i < SESSION_WANTS; i++) {
    if (s->wants[i].active) continue;
    struct log_state *log = next_missing(s);
    if (!log) return 0;
    int error = send_want(s, &s->wants[i], log);
    if (error) return error;
  }
  return 0;
}

/* ---- Receiving ----------------------------------------------------------------------------------------------------- */

static struct want *find_want(struct session *s, uint64_t id) {
  for (size_t i = 0; i < SESSION_WANTS; i++)
    if (s->wants[i].active && s->wants[i].id == id) return &s->wants[i];
  return NULL;
}

static int send_ack(struct session *s, const struct log_state *log) {
  size_t begin = message_begin(s, MESSAGE_ACK, 5);
  sync_write_log_name(session_out(s), &log->name);
  mp_write_uint(session_out(s), log->count);
  return message_end(s, begin);
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

/* Stores what has come of a range, and acknowledges it. */
static int flush(struct session *s, struct want *want) {
  if (!want->length_count) return 0;
  int result = ingest_runs(s, want);
  buf_clear(&want->runs);
  want->length_count = 0;
  struct log_state *log = logtable_find(&s->logs, &want->name);
  if (!log) return 0;
  if (result == DUNLIN_EAUTH || result == DUNLIN_EFORMAT || result == DUNLIN_ECONFLICT) {
    sync_refuse(s, log, result);
    return 0;
  }
  if (result < 0 &&
      result != DUNLIN_ENOENT) /* ENOENT: a gap; then nothing is new, and the log is not asked for again */
    return session_fail(s, result, "cannot store what %s sent: %s", s->address, dunlin_error_text(result));
  s->counts.runs_received += result > 0 ? (uint64_t)result : 0;
  struct exchange_log held;
  if (exchange_log_find(s->store, &want->name, &held) || held.count <= log->count) return 0;
  log->count = held.count;
  log->tip = held.tip;
  s->dirty = true;
  session_event(s, DUNLIN_NODE_RECEIVED, &log->name.space, 0, "");
  return send_ack(s, log);
}

/* [11, id, sealed run] */
int transfer_run_message(struct session *s, struct mp_reader *r) {
  uint64_t id = mp_read_uint(r, UINT64_MAX);
  struct dunlin_bytes sealed = mp_read_bin(r, DUNLIN_MAX_SEALED);
  struct want *want = mp_end(r) ? NULL : find_want(s, id);
  struct seal_header header;
  if (!want || want->received >= SESSION_WANT_BYTES || seal_header_read(sealed.data, sealed.len, &header) ||
      header.lane != want->name.lane || header.first > want->next || header.first + header.count <= want->next)
    return session_broken(s, "a run that was not asked for");
  want->next = header.first + header.count;
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
  struct log_state *log = logtable_find(&s->logs, &want->name);
  if (log && log->count <= want->from) log->stalled = log->theirs;
  want_clear(s, want);
  return error;
}

/* ---- Sending ------------------------------------------------------------------------------------------------------- */

int transfer_want_message(struct session *s, struct mp_reader *r) {
  struct serve serve = {.id = mp_read_uint(r, UINT64_MAX)};
  sync_read_log_name(r, &serve.name);
  serve.next = mp_read_uint(r, INT64_MAX);
  serve.left = (size_t)mp_read_uint(r, SESSION_WANTS * SESSION_WANT_BYTES);
  if (mp_end(r) || !serve.next || !serve.left) return session_broken(s, "a malformed request");
  if (s->serve_count == SESSION_SERVES) return session_broken(s, "more requests than the credit allows");
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
  if (!sync_space(s, serve->name.space.bytes)) return send_done(s, serve);
  buf_clear(&s->scratch);
  int error = exchange_run(s->store, &serve->name, serve->next, &s->scratch);
  struct seal_header header = {.count = 0};
  if (error == DUNLIN_ENOENT) return send_done(s, serve);
  if (!error) error = seal_header_read(s->scratch.data, s->scratch.len, &header);
  if (!error && header.first + header.count <= serve->next) error = DUNLIN_ECORRUPT;
  if (error)
    return session_fail(s, error, "cannot read our own store for %s: %s", s->address, dunlin_error_text(error));
  size_t begin = message_begin(s, MESSAGE_RUN, 2);
  mp_write_uint(session_out(s), serve->id);
  mp_write_bin(session_out(s), s->scratch.data, s->scratch.len);
  error = message_end(s, begin);
  if (error) return error;
  s->counts.runs_sent++;
  serve->next = header.first + header.count;
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
