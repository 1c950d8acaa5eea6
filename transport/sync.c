/* Keeping the common spaces in step: summaries, membership, who has which entries.
 *
 * Both sides open with a SUMMARY.  Where two summaries are equal nothing else is said; elsewhere each side tells what
 * it has (MEMBERS, HAVE), and asks for what it lacks (transfer.c).  From then on news is told as it comes, and a side
 * that has nothing left to ask for sends its new summary; equal summaries mean: in sync. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/session_private.h"

void sync_free(struct session *s) {
  transfer_free(s);
  ENV_FREE_ARRAY(s->env, s->spaces, s->space_cap);
  logtable_free(&s->logs);
}

struct space_state *sync_space(struct session *s, const uint8_t id[32]) {
  for (size_t i = 0; i < s->space_count; i++)
    if (!memcmp(s->spaces[i].id.bytes, id, 32)) return &s->spaces[i];
  return NULL;
}

/* ---- Hashes that belong to this session ------------------------------------------------------------------------ */

/* Under the handshake's hash, so that nobody can prepare a collision, and nothing links two sessions. */
static struct dunlin_id session_hash(const struct session *s, const char *label, const void *data, size_t len) {
  const struct dunlin_bytes parts[] = {{s->hash, sizeof s->hash}, {data, len}};
  return env_hash(s->env, label, parts, 2);
}

void sync_tip_hash(const struct session *s, const struct dunlin_id *entry, uint8_t out[8]) {
  struct dunlin_id id = session_hash(s, "dunlin.tip.1", entry->bytes, sizeof entry->bytes);
  memcpy(out, id.bytes, 8);
}

static void members_hash(const struct session *s, const struct dunlin_id *members, uint8_t out[8]) {
  struct dunlin_id id = session_hash(s, "dunlin.members.1", members->bytes, sizeof members->bytes);
  memcpy(out, id.bytes, 8);
}

static int by_bytes(const void *a, const void *b) {
  return id_compare(a, b);
}

/* Over the space, its membership and the last entry of every branch, sorted.  An entry's chain value stands for its
 * log, its number and everything before it. */
static int summarise(struct session *s, struct space_state *space) {
  buf_clear(&s->scratch);
  for (size_t i = 0; i < s->logs.count; i++) {
    const struct log_state *log = &s->logs.logs[i];
    if (log->count && !id_compare(&log->name.space, &space->id)) buf_append(&s->scratch, log->tip.bytes, 32);
  }
  if (s->scratch.error) return s->scratch.error;
  if (s->scratch.len) qsort(s->scratch.data, s->scratch.len / 32, 32, by_bytes);
  const struct dunlin_bytes parts[] = {
      {s->hash, sizeof s->hash}, {space->id.bytes, 32}, {space->members.bytes, 32}, {s->scratch.data, s->scratch.len}};
  struct dunlin_id sum = env_hash(s->env, "dunlin.summary.1", parts, 4);
  memcpy(space->summary, sum.bytes, sizeof space->summary);
  return 0;
}

/* ---- Looking at the store -------------------------------------------------------------------------------------- */

static int scan_failed(struct session *s, int error) {
  return session_fail(s, error, "cannot read our own store for %s: %s", s->address, dunlin_error_text(error));
}

static int scan_space(struct session *s, struct space_state *space) {
  struct exchange_log *logs = NULL;
  size_t count = 0;
  int error = exchange_members_hash(s->store, &space->id, &space->members);
  if (!error) error = exchange_logs(s->store, &space->id, &logs, &count);
  for (size_t i = 0; !error && i < count; i++) {
    struct log_state *state;
    error = logtable_add(&s->logs, &logs[i].name, &logs[i].branch, &state);
    if (error) break;
    state->count = logs[i].count;
    state->tip = logs[i].tip;
  }
  if (logs) env_free(s->env, logs, count * sizeof *logs);
  return error;
}

static int scan_spaces(struct session *s) {
  int error = 0;
  struct dunlin_id id;
  for (size_t i = 0; i < s->space_count; i++) s->spaces[i].present = false;
  for (size_t i = 0; !(error = exchange_common_space(s->store, &s->device, i, &id)); i++) {
    struct space_state *space = sync_space(s, id.bytes);
    if (!space) {
      if (s->space_count == SESSION_MAX_SPACES) return DUNLIN_ELIMIT;
      error = ENV_GROW(s->env, s->spaces, s->space_cap, s->space_count + 1);
      if (error) return error;
      space = &s->spaces[s->space_count++];
      *space = (struct space_state){.id = id};
    }
    space->present = true;
    error = scan_space(s, space);
    if (error) return error;
  }
  return error == DUNLIN_ENOENT ? 0 : error;
}

/* Spaces that are no longer common are not spoken of any more. */
static void drop_absent_spaces(struct session *s) {
  size_t kept = 0;
  for (size_t i = 0; i < s->space_count; i++)
    if (s->spaces[i].present) s->spaces[kept++] = s->spaces[i];
  s->space_count = kept;
}

struct log_state *sync_resolve(struct session *s, const struct log_name *name, uint64_t count, const uint8_t tip[8],
                               size_t *at) {
  size_t branches;
  struct log_state *log = logtable_find(&s->logs, name, &branches);
  while (*at < branches) {
    struct log_state *branch = &log[(*at)++];
    struct dunlin_id entry = branch->tip;
    uint8_t ours[8];
    if (count > branch->count) continue;
    if (count < branch->count && exchange_entry(s->store, name, &branch->branch, count, &entry)) continue;
    sync_tip_hash(s, &entry, ours);
    if (!sodium_memcmp(ours, tip, sizeof ours)) return branch;
  }
  return NULL;
}

/* The peer holds that entry, durably.  Whether we have it: 1 or 0. */
static int peer_has(struct session *s, const struct log_name *name, uint64_t count, const uint8_t tip[8]) {
  size_t at = 0;
  bool ours = false;
  for (struct log_state *log; (log = sync_resolve(s, name, count, tip, &at)); ours = true) {
    if (log->theirs < count) log->theirs = count;
    if (log->acked >= count) continue;
    log->acked = count;
    exchange_acknowledged(s->store, &s->device, &log->branch, count);
  }
  return ours;
}

/* [13, log name, count, tip]: we hold that entry, durably. */
static int send_ack(struct session *s, const struct tip_state *tip) {
  size_t begin = message_begin(s, MESSAGE_ACK, 6);
  sync_write_log_name(session_out(s), &tip->name);
  mp_write_uint(session_out(s), tip->count);
  mp_write_bin(session_out(s), tip->tip, sizeof tip->tip);
  return message_end(s, begin);
}

/* What has come since is not missing any more. */
static int settle_tips(struct session *s) {
  int error = 0;
  for (size_t i = 0; !error && i < s->logs.tip_count;) {
    const struct tip_state *tip = &s->logs.tips[i];
    if (!peer_has(s, &tip->name, tip->count, tip->tip)) {
      i++;
      continue;
    }
    error = send_ack(s, tip);
    logtable_drop_tip(&s->logs, i);
  }
  return error;
}

static int scan(struct session *s) {
  s->seen = exchange_version(s->store);
  int error = scan_spaces(s);
  if (error) return scan_failed(s, error);
  drop_absent_spaces(s);
  for (size_t i = 0; i < s->space_count; i++) {
    uint8_t before[16];
    memcpy(before, s->spaces[i].summary, sizeof before);
    error = summarise(s, &s->spaces[i]);
    if (error) return scan_failed(s, error);
    if (memcmp(before, s->spaces[i].summary, sizeof before)) s->unreported = true;
  }
  return settle_tips(s);
}

int sync_look(struct session *s) {
  return exchange_version(s->store) != s->seen ? scan(s) : 0;
}

/* ---- Summaries --------------------------------------------------------------------------------------------------- */

/* [7, [space, summary, members]...]: of the spaces whose summary the peer has not heard. */
static int send_summary(struct session *s) {
  size_t count = 0;
  for (size_t i = 0; i < s->space_count; i++) count += memcmp(s->spaces[i].summary, s->spaces[i].told, 16) != 0;
  if (!count && s->phase == PHASE_SYNC) return 0;
  size_t begin = message_begin(s, MESSAGE_SUMMARY, 1);
  struct buf *out = session_out(s);
  mp_write_array(out, count);
  for (size_t i = 0; i < s->space_count; i++) {
    struct space_state *space = &s->spaces[i];
    if (!memcmp(space->summary, space->told, 16)) continue;
    uint8_t members[8];
    members_hash(s, &space->members, members);
    mp_write_array(out, 3);
    mp_write_bin(out, space->id.bytes, 32);
    mp_write_bin(out, space->summary, 16);
    mp_write_bin(out, members, 8);
    memcpy(space->told, space->summary, 16);
  }
  return message_end(s, begin);
}

int sync_start(struct session *s) {
  int error = scan(s);
  if (!error) error = send_summary(s);
  if (!error) s->phase = PHASE_SYNC;
  return error;
}

/* The peer holds exactly what we hold of this space. */
static void all_is_theirs(struct session *s, struct space_state *space) {
  space->members_told = space->members;
  for (size_t i = 0; i < s->logs.count; i++) {
    struct log_state *log = &s->logs.logs[i];
    if (id_compare(&log->name.space, &space->id)) continue;
    log->told = log->count;
    if (log->theirs < log->count) log->theirs = log->count;
    if (log->acked < log->count) exchange_acknowledged(s->store, &s->device, &log->branch, log->count);
    log->acked = log->count;
  }
}

static void hear_summary(struct session *s, const uint8_t id[32], const uint8_t summary[16], const uint8_t members[8]) {
  struct space_state *space = sync_space(s, id);
  if (!space) return; /* we are not in it together, as far as we know */
  uint8_t ours[8];
  members_hash(s, &space->members, ours);
  space->listed = true;
  memcpy(space->theirs, summary, sizeof space->theirs);
  s->unreported = true;
  if (!memcmp(ours, members, sizeof ours)) space->members_told = space->members;
  if (!memcmp(space->summary, summary, sizeof space->summary)) all_is_theirs(s, space);
}

int sync_summary_message(struct session *s, struct mp_reader *r) {
  int error = sync_look(s);
  if (error) return error;
  for (size_t left = mp_read_array(r, SESSION_MAX_SPACES); left && !r->error; left--) {
    if (mp_read_array(r, 3) != 3) mp_fail(r);
    const uint8_t *id = mp_read_bin_exact(r, 32);
    const uint8_t *summary = mp_read_bin_exact(r, 16);
    const uint8_t *members = mp_read_bin_exact(r, 8);
    if (!r->error) hear_summary(s, id, summary, members);
  }
  if (mp_end(r)) return session_broken(s, "a malformed summary");
  s->started = true;
  return 0;
}

/* ---- Membership -------------------------------------------------------------------------------------------------- */

/* [8, space, operations] */
static int send_members(struct session *s, struct space_state *space) {
  buf_clear(&s->scratch);
  int error = exchange_members_write(s->store, &space->id, &s->scratch);
  if (error) return scan_failed(s, error);
  size_t begin = message_begin(s, MESSAGE_MEMBERS, 2);
  mp_write_bin(session_out(s), space->id.bytes, 32);
  mp_write_bin(session_out(s), s->scratch.data, s->scratch.len);
  space->members_told = space->members;
  return message_end(s, begin);
}

int sync_members_message(struct session *s, struct mp_reader *r) {
  struct dunlin_id id;
  memcpy(id.bytes, mp_read_bin_exact(r, 32), 32);
  struct dunlin_bytes operations = mp_read_bin(r, FRAME_MAX_MESSAGE);
  if (mp_end(r)) return session_broken(s, "malformed membership");
  if (!sync_space(s, id.bytes)) return 0;
  int result = exchange_members_read(s->store, &id, operations);
  if (result == DUNLIN_EAUTH || result == DUNLIN_EFORMAT) return session_broken(s, "membership that does not verify");
  if (result < 0)
    return session_fail(s, result, "cannot store what %s sent: %s", s->address, dunlin_error_text(result));
  return 0;
}

/* ---- Who has what ------------------------------------------------------------------------------------------------ */

void sync_write_log_name(struct buf *out, const struct log_name *name) {
  mp_write_bin(out, name->space.bytes, 32);
  mp_write_bin(out, name->device.bytes, 32);
  mp_write_bin(out, name->actor.bytes, 16);
  mp_write_uint(out, name->lane);
}

void sync_read_log_name(struct mp_reader *r, struct log_name *name) {
  memset(name, 0, sizeof *name);
  memcpy(name->space.bytes, mp_read_bin_exact(r, 32), 32);
  memcpy(name->device.bytes, mp_read_bin_exact(r, 32), 32);
  memcpy(name->actor.bytes, mp_read_bin_exact(r, 16), 16);
  name->lane = (uint8_t)mp_read_uint(r, LANE_BULK);
}

/* Whether the peer should be told of this log. */
static bool is_news(const struct log_state *log, const struct space_state *space) {
  return log->count > log->told && log->count > log->theirs && !id_compare(&log->name.space, &space->id);
}

static void write_have(struct session *s, struct log_state *log) {
  struct buf *out = session_out(s);
  uint8_t tip[8];
  sync_tip_hash(s, &log->tip, tip);
  mp_write_array(out, 5);
  mp_write_bin(out, log->name.device.bytes, 32);
  mp_write_bin(out, log->name.actor.bytes, 16);
  mp_write_uint(out, log->name.lane);
  mp_write_uint(out, log->count);
  mp_write_bin(out, tip, sizeof tip);
  log->told = log->count;
}

/* [9, space, [[device, actor, lane, count, tip]...]]: the next SESSION_HAVE_LOGS logs that are news; 1 when there were
 * any. */
static int send_have(struct session *s, const struct space_state *space) {
  size_t count = 0;
  for (size_t i = 0; i < s->logs.count && count < SESSION_HAVE_LOGS; i++) count += is_news(&s->logs.logs[i], space);
  if (!count) return 0;
  size_t begin = message_begin(s, MESSAGE_HAVE, 2);
  mp_write_bin(session_out(s), space->id.bytes, 32);
  mp_write_array(session_out(s), count);
  for (size_t i = 0; count; i++) {
    if (!is_news(&s->logs.logs[i], space)) continue;
    write_have(s, &s->logs.logs[i]);
    count--;
  }
  int error = message_end(s, begin);
  return error ? error : 1;
}

void sync_refuse(struct session *s, const struct log_name *name, int error) {
  bool told = false;
  for (size_t i = 0; i < s->logs.tip_count; i++) {
    struct tip_state *tip = &s->logs.tips[i];
    if (!log_name_equal(&tip->name, name)) continue;
    told |= tip->refused;
    tip->refused = true;
  }
  if (told) return;
  session_event(s, DUNLIN_NODE_REFUSED, &name->space, error,
                error == DUNLIN_ELIMIT ? "a writer's log has more branches than are kept; one was left alone"
                                       : "a writer's log that this peer holds does not verify and was left alone");
}

static int hear_have(struct session *s, const struct log_name *name, uint64_t count, const uint8_t tip[8]) {
  s->unreported = true;
  if (!count || peer_has(s, name, count, tip)) return 0;
  int error = logtable_add_tip(&s->logs, name, count, tip);
  if (error == DUNLIN_ELIMIT) return session_broken(s, "more logs than a session takes");
  if (error) return session_fail(s, error, "out of memory while talking to %s", s->address);
  return 0;
}

int sync_have_message(struct session *s, struct mp_reader *r) {
  struct log_name name = {.lane = 0};
  memcpy(name.space.bytes, mp_read_bin_exact(r, 32), 32);
  bool known = sync_space(s, name.space.bytes) != NULL;
  int error = sync_look(s);
  for (size_t left = mp_read_array(r, SESSION_HAVE_LOGS); left && !r->error && !error; left--) {
    if (mp_read_array(r, 5) != 5) mp_fail(r);
    memcpy(name.device.bytes, mp_read_bin_exact(r, 32), 32);
    memcpy(name.actor.bytes, mp_read_bin_exact(r, 16), 16);
    name.lane = (uint8_t)mp_read_uint(r, LANE_BULK);
    uint64_t count = mp_read_uint(r, INT64_MAX);
    const uint8_t *tip = mp_read_bin_exact(r, 8);
    if (known && !r->error) error = hear_have(s, &name, count, tip);
  }
  if (error) return error;
  return mp_end(r) ? session_broken(s, "a malformed list of logs") : 0;
}

int sync_ack_message(struct session *s, struct mp_reader *r) {
  struct log_name name;
  sync_read_log_name(r, &name);
  uint64_t count = mp_read_uint(r, INT64_MAX);
  const uint8_t *tip = mp_read_bin_exact(r, 8);
  if (mp_end(r)) return session_broken(s, "a malformed acknowledgement");
  if (sync_space(s, name.space.bytes)) peer_has(s, &name, count, tip);
  return 0;
}

/* ---- What is to be done now -------------------------------------------------------------------------------------- */

static int tell_news(struct session *s) {
  for (size_t i = 0; i < s->space_count; i++) {
    struct space_state *space = &s->spaces[i];
    if (!space->listed || !memcmp(space->summary, space->theirs, 16)) continue;
    int result = id_compare(&space->members, &space->members_told) ? send_members(s, space) : 0;
    if (!result) result = send_have(s, space);
    while (result == 1) result = send_have(s, space);
    if (result < 0) return result;
  }
  return 0;
}

/* When nothing is left to ask for: says what we hold now, and whether that is what the peer holds. */
static int settle(struct session *s) {
  if (!transfer_idle(s)) return 0;
  int error = send_summary(s);
  if (error || !s->unreported) return error;
  bool any = false;
  for (size_t i = 0; i < s->space_count; i++) {
    struct space_state *space = &s->spaces[i];
    if (!space->listed) continue;
    if (memcmp(space->summary, space->theirs, 16)) return 0;
    any = true;
  }
  if (!any) return 0;
  for (size_t i = 0; i < s->space_count; i++)
    if (s->spaces[i].listed) all_is_theirs(s, &s->spaces[i]);
  s->unreported = false;
  session_event(s, DUNLIN_NODE_IN_SYNC, s->space_count == 1 ? &s->spaces[0].id : NULL, 0, "");
  return 0;
}

int sync_step(struct session *s) {
  if (!s->started) return 0;
  int error = sync_look(s);
  if (!error) error = tell_news(s);
  if (!error) error = transfer_request(s);
  /* What another session has just brought counts too, or we would call ourselves in step without it. */
  if (!error) error = sync_look(s);
  if (!error) error = settle(s);
  if (!error) error = transfer_serve(s);
  return error;
}
