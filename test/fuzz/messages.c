/* A member gone bad: behind the handshake it says what it likes.  The session never crashes, keeps its memory within
 * bounds, says only messages that the protocol has, gives no run of a space that the peer is not in, and when it is
 * over says why.
 *
 * Input: flags, then messages, a chunk each; an empty chunk lets half a minute pass.  In chunks FUZZ_MARK and a number
 * stand for ids, signatures and runs: see known(). */
#include <sodium.h>

#include "persist/run.h"
#include "test/fuzz/fuzz_store.h"
#include "transport/session_private.h"

#define FLAG_HELLO 1u  /* the greeting is still to come */
#define FLAG_GUEST 2u  /* with it: the session calls with an invitation, and waits for the welcome */
#define FLAG_HOST 4u   /* with it: the session was called with an invitation */
#define FLAG_QUIET 8u  /* what the session says is not taken */
#define FLAG_TWICE 16u /* every message comes twice */
#define MESSAGES_MAX 64u

enum { SPACE, SECRET, DEVICE, HOST, ACTOR, SIGNATURE, TIP, RUN, WELCOME, HOST_ACTOR, HOST_TIP, SECRET_TIP, KNOWN };
static struct {
  struct dunlin_bytes known[KNOWN];
  uint8_t space_tag[8]; /* of "home" */
} f;

struct talk {
  struct fuzz_store *s;
  struct session *session;
  struct frame_writer writer;
  struct frame_reader reader;
  uint64_t now;
  bool twice;
};

/* ---- What a stranger cannot make up ------------------------------------------------------------------------------ */

static void know(unsigned which, const void *data, size_t len) {
  f.known[which] = (struct dunlin_bytes){fuzz_copy((struct dunlin_bytes){data, len}), len};
}

static struct dunlin_bytes known(void *ctx, uint8_t which) {
  (void)ctx;
  return f.known[which % KNOWN];
}

/* An entry as a session whose handshake hash is zeros calls it. */
static void know_tip(unsigned which, const struct dunlin_id *entry) {
  static const uint8_t hash[NOISE_HASH];
  const struct dunlin_bytes parts[] = {{hash, sizeof hash}, {entry->bytes, sizeof entry->bytes}};
  struct dunlin_id id = env_hash(dunlin_env_default(), "dunlin.tip.1", parts, 2);
  know(which, id.bytes, 8);
}

/* The guest's signature under a greeting, whose handshake hash is zeros. */
static void know_signature(const struct fuzz_store *s, bool initiator) {
  uint8_t data[13 + NOISE_HASH + 1] = "dunlin peer 1", signature[64];
  data[13 + NOISE_HASH] = initiator ? 1 : 2;
  crypto_sign_detached(signature, NULL, data, sizeof data, s->guest.sign_secret);
  free((void *)(uintptr_t)f.known[SIGNATURE].data);
  know(SIGNATURE, signature, sizeof signature);
}

/* Its first run, as a message has it: a bin. */
static void know_run(const struct fuzz_store *s) {
  struct log_name log = fuzz_guest_log(s, LANE_NORMAL);
  struct dunlin_id tip = chain_start(&log), head = fuzz_home_head(s), doc = {{1}};
  struct dunlin_bytes delta = fuzz_guest_delta(s, &log);
  struct buf data = fuzz_buf(), sealed = fuzz_buf(), bin = fuzz_buf();
  uint64_t count;
  mp_write_array(&data, 1);
  mp_write_array(&data, 3);
  mp_write_bin(&data, doc.bytes, 32);
  mp_write_bin(&data, head.bytes, 32);
  mp_write_bin(&data, delta.data, delta.len);
  CHECK(!run_chain(NULL, (struct dunlin_bytes){data.data, data.len}, NULL, &tip, &count));
  CHECK(!fuzz_guest_seal(s, &log, 1, (uint32_t)count, &tip, (struct dunlin_bytes){data.data, data.len}, &sealed));
  mp_write_bin(&bin, sealed.data, sealed.len);
  know(RUN, bin.data, bin.len);
  know_tip(TIP, &tip);
  dunlin_free(NULL, (void *)(uintptr_t)delta.data, delta.len);
  buf_free(&data);
  buf_free(&sealed);
  buf_free(&bin);
}

/* A welcome to a space of the guest's, as a bin. */
static void know_welcome(const struct fuzz_store *s, const struct exchange_identity *host) {
  struct seeded memory;
  struct space *space;
  struct buf welcome = fuzz_buf(), bin = fuzz_buf();
  struct exchange_device device = {.device = host->device};
  seeded_init(&memory, 5);
  memcpy(device.noise_public, host->noise_public, 32);
  memcpy(device.contact, host->contact, 32);
  memcpy(device.name, host->name, sizeof device.name);
  CHECK(!space_create(&memory.env, &s->guest, "theirs", &space));
  CHECK(space_grant(space, &s->guest, &device) == 1);
  space_write(space, &welcome);
  mp_write_bin(&bin, welcome.data, welcome.len);
  know(WELCOME, bin.data, bin.len);
  space_free(space);
  buf_free(&welcome);
  buf_free(&bin);
}

/* The log with the changes of a space's document "d". */
static void document_log(const struct fuzz_store *s, const struct dunlin_id *space, struct exchange_log *log) {
  size_t i = 0;
  do CHECK(!exchange_log(s->store, space, i++, log));
  while (!log->count || log->name.lane != LANE_NORMAL);
}

static void make(const struct fuzz_store *s) {
  struct exchange_identity host;
  struct exchange_log log;
  struct seal_header header;
  struct buf sealed = fuzz_buf();
  if (f.known[SPACE].data) return;
  exchange_identity(s->store, &host);
  know(SPACE, s->space.bytes, 32);
  know(SECRET, s->secret.bytes, 32);
  know(DEVICE, s->guest.self.device.bytes, 32);
  know(HOST, host.device.bytes, 32);
  know(ACTOR, fuzz_guest_log(s, 0).actor.bytes, 16);
  know_signature(s, true);
  know_run(s);
  know_welcome(s, &host);
  document_log(s, &s->secret, &log);
  know_tip(SECRET_TIP, &log.tip);
  document_log(s, &s->space, &log);
  know_tip(HOST_TIP, &log.tip);
  know(HOST_ACTOR, log.name.actor.bytes, 16);
  CHECK(!exchange_run(s->store, &log.name, 1, &sealed) && !seal_header_read(sealed.data, sealed.len, &header));
  memcpy(f.space_tag, header.space_tag, sizeof f.space_tag);
  buf_free(&sealed);
}

/* ---- A session that is past its handshake ------------------------------------------------------------------------ */

static void open_talk(struct talk *t, uint8_t flags) {
  struct dunlin_invitation invitation = {.device = t->s->guest.self.device};
  bool guest = flags & FLAG_HELLO && flags & FLAG_GUEST;
  struct session_config config = {.store = t->s->store, .address = "guest:1", .handshake_ms = 5000};
  config.initiator = guest;
  config.invitation = guest ? &invitation : NULL;
  CHECK(!session_new(&config, t->now, &t->session));
  struct session *s = t->session;
  struct dunlin_bytes said;
  CHECK(!session_output(s, t->now, &said));
  session_sent(s, said.len);
  s->phase = PHASE_HELLO;
  memcpy(s->remote_noise, t->s->guest.self.noise_public, sizeof s->remote_noise);
  memset(s->reader.cipher.key, 1, NOISE_KEY);
  memset(s->writer.cipher.key, 2, NOISE_KEY);
  frame_writer_init(&t->writer, dunlin_env_default(), 8u << 20);
  frame_reader_init(&t->reader, dunlin_env_default());
  memset(t->writer.cipher.key, 1, NOISE_KEY);
  memset(t->reader.cipher.key, 2, NOISE_KEY);
  if (flags & FLAG_HELLO && !guest && flags & FLAG_HOST) s->joining = true, s->invited = t->s->space;
  if (flags & FLAG_HELLO) return;
  s->device = t->s->guest.self.device;
  CHECK(!sync_start(s));
}

static void close_talk(struct talk *t) {
  session_free(t->session);
  frame_writer_free(&t->writer);
  frame_reader_free(&t->reader);
}

/* Everything that is said must be a message, and no run of another space. */
static void check_message(struct dunlin_bytes message) {
  struct mp_reader r = mp_reader_of(message.data, message.len);
  struct seal_header header;
  CHECK(mp_read_array(&r, 16) > 0);
  uint64_t type = mp_read_uint(&r, UINT64_MAX);
  CHECK(!r.error && type >= MESSAGE_HELLO && type <= MESSAGE_ACK);
  if (type != MESSAGE_RUN) return;
  mp_read_uint(&r, UINT64_MAX);
  struct dunlin_bytes sealed = mp_read_bin(&r, DUNLIN_MAX_SEALED);
  CHECK(!mp_end(&r) && !seal_header_read(sealed.data, sealed.len, &header));
  CHECK(!memcmp(header.space_tag, f.space_tag, sizeof f.space_tag));
}

static void hear(struct talk *t) {
  struct dunlin_bytes out, message;
  session_output(t->session, t->now, &out);
  CHECK(out.len <= SESSION_OUTPUT + SESSION_OUTPUT / 64);
  const uint8_t *at = out.data;
  size_t left = out.len;
  int result = 0;
  while (at && (result = frame_read(&t->reader, &at, &left, &message)) == 1) check_message(message);
  CHECK(!result);
  session_sent(t->session, out.len);
}

static void say(struct talk *t, struct dunlin_bytes message) {
  struct dunlin_bytes out;
  size_t begin = frame_begin(&t->writer);
  buf_append(&t->writer.plain, message.data, message.len);
  CHECK(!frame_end(&t->writer, begin) && !frame_output(&t->writer, &out));
  session_receive(t->session, t->now, out.data, out.len);
  frame_sent(&t->writer, out.len);
}

static void step(struct talk *t, struct dunlin_bytes chunk) {
  struct dunlin_node_event event;
  if (chunk.len) {
    struct buf message = fuzz_substitute(chunk, known, NULL);
    for (int i = 0; i < (t->twice ? 2 : 1); i++) say(t, (struct dunlin_bytes){message.data, message.len});
    buf_free(&message);
  } else {
    t->now += 30000;
    session_tick(t->session, t->now);
  }
  while (session_next_event(t->session, &event)) CHECK(event.kind);
  CHECK(t->session->serve_count <= SESSION_SERVES);
}

/* Whether the store has something now that it had not. */
static bool store_changed(const struct fuzz_store *s) {
  struct log_name log = fuzz_guest_log(s, LANE_NORMAL);
  struct exchange_log held;
  struct dunlin_space_info info;
  return !exchange_log_find(s->store, &log, &held) || !dunlin_space_at(s->store, 2, &info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_in in = fuzz_in_of(data, size);
  struct talk t = {.s = fuzz_store(), .now = 1};
  make(t.s);
  uint8_t flags = fuzz_byte(&in);
  t.twice = flags & FLAG_TWICE;
  know_signature(t.s, !(flags & FLAG_GUEST));
  size_t live = t.s->memory.live;
  t.s->memory.peak = live;
  open_talk(&t, flags);
  for (unsigned i = 0; in.left && i < MESSAGES_MAX; i++) {
    step(&t, fuzz_chunk(&in));
    if (!(flags & FLAG_QUIET)) hear(&t);
  }
  hear(&t);
  CHECK(t.s->memory.peak - live <= FUZZ_MEMORY);
  CHECK(session_error(t.session) <= 0 && (!session_error(t.session) || session_why(t.session)[0]));
  CHECK(session_over(t.session) || !session_error(t.session));
  fuzz_accepted += !session_over(t.session);
  close_talk(&t);
  if (store_changed(t.s)) fuzz_store_reset(t.s);
  return 0;
}

/* ---- Seeds ------------------------------------------------------------------------------------------------------- */

static struct buf begin(unsigned type, size_t fields) {
  struct buf message = fuzz_buf();
  mp_write_array(&message, 1 + fields);
  mp_write_uint(&message, type);
  return message;
}

static void put_id(struct buf *message, uint8_t which) {
  static const uint8_t lengths[KNOWN] = {
      32, 32, 32, 32, 16, 64, 8, [HOST_ACTOR] = 16, [HOST_TIP] = 8, [SECRET_TIP] = 8};
  if (lengths[which % KNOWN]) {
    fuzz_put_byte(message, 0xc4);
    fuzz_put_byte(message, lengths[which % KNOWN]);
  }
  fuzz_put_mark(message, which);
}

static void end(struct buf *input, struct buf *message) {
  fuzz_put_chunk(input, (struct dunlin_bytes){message->data, message->len});
  buf_free(message);
}

static void put_hello(struct buf *input, bool contact) {
  struct buf m = begin(MESSAGE_HELLO, 5);
  mp_write_uint(&m, SESSION_VERSION);
  put_id(&m, DEVICE);
  mp_write_str(&m, "guest", 5);
  put_id(&m, SIGNATURE);
  if (contact) put_id(&m, SPACE); /* any 32 bytes */
  else mp_write_nil(&m);
  end(input, &m);
}

static void put_summary(struct buf *input) {
  static const uint8_t other[16] = {1};
  struct buf m = begin(MESSAGE_SUMMARY, 1);
  mp_write_array(&m, 1);
  mp_write_array(&m, 3);
  put_id(&m, SPACE);
  mp_write_bin(&m, other, 16);
  mp_write_bin(&m, other, 8);
  end(input, &m);
}

static void put_have(struct buf *input, uint8_t device, uint8_t actor, uint64_t count, uint8_t tip) {
  struct buf m = begin(MESSAGE_HAVE, 2);
  put_id(&m, SPACE);
  mp_write_array(&m, 1);
  mp_write_array(&m, 5);
  put_id(&m, device);
  put_id(&m, actor);
  mp_write_uint(&m, LANE_NORMAL);
  mp_write_uint(&m, count);
  put_id(&m, tip);
  end(input, &m);
}

static void put_log(struct buf *m, uint8_t space) {
  put_id(m, space);
  put_id(m, HOST);
  put_id(m, HOST_ACTOR);
  mp_write_uint(m, LANE_NORMAL);
}

static void put_want(struct buf *input, uint8_t space) {
  struct buf m = begin(MESSAGE_WANT, 10);
  mp_write_uint(&m, 100); /* more than requests may wait */
  put_log(&m, space);
  mp_write_uint(&m, 3);
  put_id(&m, space == SECRET ? SECRET_TIP : HOST_TIP);
  mp_write_bin(&m, "\0\0\0\0\0\0\0\3locator", SESSION_LOCATOR_BYTES);
  mp_write_bool(&m, true);
  mp_write_uint(&m, 1000);
  end(input, &m);
}

static void put_run(struct buf *input) {
  struct buf m = begin(MESSAGE_RUN, 2);
  mp_write_uint(&m, 0);
  put_id(&m, RUN);
  end(input, &m);
  m = begin(MESSAGE_DONE, 1);
  mp_write_uint(&m, 0);
  end(input, &m);
}

static void put_small(struct buf *input) {
  struct buf m = begin(MESSAGE_ACK, 6);
  put_log(&m, SPACE);
  mp_write_uint(&m, 3);
  put_id(&m, HOST_TIP);
  end(input, &m);
  m = begin(MESSAGE_PING, 0);
  end(input, &m);
  m = begin(MESSAGE_PONG, 0);
  end(input, &m);
  m = begin(MESSAGE_MEMBERS, 2);
  put_id(&m, SPACE);
  mp_write_bin(&m, "\x90", 1);
  end(input, &m);
}

static void seed_of(fuzz_emit *emit, void *ctx, const char *name, uint8_t flags) {
  struct buf input = fuzz_buf(), m;
  fuzz_put_byte(&input, flags);
  if (flags & FLAG_HELLO) put_hello(&input, flags & FLAG_HOST);
  if (flags & FLAG_GUEST) {
    m = begin(MESSAGE_WELCOME, 1);
    put_id(&m, WELCOME);
    end(&input, &m);
  }
  if (flags & FLAG_HOST) {
    m = begin(MESSAGE_JOINED, 0);
    end(&input, &m);
  }
  put_summary(&input);
  put_have(&input, DEVICE, ACTOR, 2, TIP);
  put_run(&input);
  put_have(&input, HOST, HOST_ACTOR, 3, HOST_TIP);
  put_want(&input, SPACE);
  put_want(&input, SECRET);
  put_small(&input);
  put_summary(&input);
  fuzz_emit_buf(emit, ctx, name, &input);
}

/* As many requests as may wait: before the first summary nothing is served. */
static void seed_wants(fuzz_emit *emit, void *ctx) {
  struct buf input = fuzz_buf();
  fuzz_put_byte(&input, FLAG_QUIET);
  for (unsigned i = 0; i < SESSION_SERVES; i++) put_want(&input, SPACE);
  fuzz_emit_buf(emit, ctx, "wants", &input);
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  seed_wants(emit, ctx);
  seed_of(emit, ctx, "member", 0);
  seed_of(emit, ctx, "hello", FLAG_HELLO);
  seed_of(emit, ctx, "host", FLAG_HELLO | FLAG_HOST);
  seed_of(emit, ctx, "guest", FLAG_HELLO | FLAG_GUEST);
  seed_of(emit, ctx, "quiet", FLAG_QUIET);
}
