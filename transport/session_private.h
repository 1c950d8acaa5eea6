/* What the parts of a session share: session.c (life, bytes, time), handshake.c (who the peer is, joining), sync.c
 * (spaces), transfer.c (runs), logtable.c. */
#ifndef TRANSPORT_SESSION_PRIVATE_H
#define TRANSPORT_SESSION_PRIVATE_H

#include "crdt/msgpack.h"
#include "persist/exchange.h"
#include "transport/frame.h"
#include "transport/logtable.h"
#include "transport/noise.h"
#include "transport/session.h"

#define SESSION_VERSION 1u
#define SESSION_PROLOGUE "dunlin 1"
#define SESSION_HINT 8u /* bytes before the first Noise message that tell which psk */
#define SESSION_PING_MS 20000u
#define SESSION_SILENCE_MS 60000u
#define SESSION_EVENTS 16u
#define SESSION_MAX_SPACES 1024u
#define SESSION_WANTS 4u                  /* ranges asked for at a time ... */
#define SESSION_WANT_BYTES (256u * 1024)  /* ... of this many bytes each: together the credit of a link, 1 MiB */
#define SESSION_SERVES 16u                /* ranges that the peer may ask for at a time */
#define SESSION_FILL (256u * 1024)        /* runs are read from the store while less than this waits to be sent */
#define SESSION_OUTPUT (8u * 1024 * 1024) /* bytes of messages that may wait */
#define SESSION_HAVE_LOGS 1024u           /* tips in one HAVE */
#define SESSION_LOCATOR 32u               /* entries in one WANT ... */
#define SESSION_LOCATOR_BYTES 16u         /* ... of that many bytes */

enum message_type {
  MESSAGE_HELLO = 1,
  MESSAGE_BYE,
  MESSAGE_PING,
  MESSAGE_PONG,
  MESSAGE_WELCOME,
  MESSAGE_JOINED,
  MESSAGE_SUMMARY,
  MESSAGE_MEMBERS,
  MESSAGE_HAVE,
  MESSAGE_WANT,
  MESSAGE_RUN,
  MESSAGE_DONE,
  MESSAGE_ACK,
};

enum phase { PHASE_HANDSHAKE, PHASE_HELLO, PHASE_JOIN, PHASE_SYNC, PHASE_OVER };

/* A space that both sides may be members of.  Summaries and `members` are per session: see sync_summary(). */
struct space_state {
  struct dunlin_id id;
  struct dunlin_id members;      /* exchange_members_hash() */
  struct dunlin_id members_told; /* what it was when the peer had or was sent all of it */
  uint8_t summary[16], told[16]; /* ours now, and as the peer last heard it */
  uint8_t theirs[16];            /* the peer's, as last heard */
  bool listed;                   /* the peer names this space too */
  bool present;                  /* used while scanning */
};

/* A branch that we asked for. */
struct want {
  bool active, deep;
  uint64_t id;
  struct log_name name;
  uint64_t count; /* of the entry that the peer said it has, and that entry */
  uint8_t tip[8];
  size_t received;                           /* bytes */
  bool fresh;                                /* something of it was new */
  struct buf runs;                           /* not ingested yet, in a row ... */
  size_t *lengths, length_cap, length_count; /* ... of these lengths */
};

/* A branch that the peer asked for. */
struct serve {
  uint64_t id;
  struct log_name name;
  struct dunlin_id branch;
  uint64_t next; /* entry; 0: nothing more */
  size_t left;   /* bytes */
};

struct session {
  const struct dunlin_env *env;
  dunlin_store *store;
  char address[96]; /* for sentences; a longer one is cut */
  bool initiator, joining;
  struct dunlin_invitation invitation; /* guest */
  const char *alias;

  enum phase phase;
  int error;
  char why[256];
  uint64_t start, now, last_received, last_ping;
  bool pinged; /* and nothing has come since */
  unsigned handshake_ms;

  struct noise_handshake noise;
  struct buf handshake_in;
  uint8_t psk[32];
  uint8_t hash[NOISE_HASH]; /* of the handshake */
  uint8_t remote_noise[NOISE_KEY];
  struct frame_reader reader;
  struct frame_writer writer;
  struct buf scratch; /* membership messages and runs, on their way out */

  struct dunlin_id device; /* the peer's */
  char name[DUNLIN_MAX_NAME + 1];
  struct dunlin_id invited; /* the space that a guest joins */

  struct space_state *spaces;
  size_t space_cap, space_count;
  struct logtable logs;
  bool started;    /* the peer's first summary is here */
  uint64_t seen;   /* exchange_version() when it was last looked at */
  bool unreported; /* something has changed since the last IN_SYNC event */
  struct want wants[SESSION_WANTS];
  uint64_t want_id;
  struct serve serves[SESSION_SERVES];
  size_t serve_count;
  struct session_counts counts;

  struct dunlin_node_event events[SESSION_EVENTS];
  size_t event_first, event_count;
};

/* ---- session.c ---------------------------------------------------------------------------------------------- */

/* Ends the session with a sentence about it, telling the peer; returns `error`. */
int session_fail(struct session *s, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Ends it because the peer sent something that cannot be; `what` names it. */
int session_broken(struct session *s, const char *what);
/* A message: begin, write to session_out(), end. */
size_t message_begin(struct session *s, enum message_type type, size_t fields);
int message_end(struct session *s, size_t begin);
static inline struct buf *session_out(struct session *s) {
  return &s->writer.plain;
}
void session_event(struct session *s, enum dunlin_node_event_kind kind, const struct dunlin_id *space, int error,
                   const char *text);

/* ---- handshake.c -------------------------------------------------------------------------------------------- */

int handshake_start(struct session *s, const uint8_t psk[32]);
/* Takes bytes of the handshake; what lies behind it stays in `*at`, `*left`. */
int handshake_receive(struct session *s, const uint8_t **at, size_t *left);
int handshake_hello(struct session *s, struct mp_reader *r);
int handshake_welcome(struct session *s, struct mp_reader *r);
int handshake_joined(struct session *s, struct mp_reader *r);

/* ---- sync.c ------------------------------------------------------------------------------------------------- */

int sync_start(struct session *s);
void sync_free(struct session *s);
int sync_summary_message(struct session *s, struct mp_reader *r);
int sync_members_message(struct session *s, struct mp_reader *r);
int sync_have_message(struct session *s, struct mp_reader *r);
int sync_ack_message(struct session *s, struct mp_reader *r);
/* Does whatever is to be done now: called after every message and every change of the store. */
int sync_step(struct session *s);
/* The state of a space that is common, or NULL. */
struct space_state *sync_space(struct session *s, const uint8_t id[32]);

/* Leaves a log alone for the rest of the session, because of `error`, and reports it. */
void sync_refuse(struct session *s, const struct log_name *name, int error);
/* What an entry is called in this session. */
void sync_tip_hash(const struct session *s, const struct dunlin_id *entry, uint8_t out[8]);
/* The next branch of ours that has that entry in its past, from `*at` on, which moves behind it; NULL when there is
 * none.  `*at` begins at 0. */
struct log_state *sync_resolve(struct session *s, const struct log_name *name, uint64_t count, const uint8_t tip[8],
                               size_t *at);
/* Looks at the store, if there may be something new. */
int sync_look(struct session *s);

void sync_write_log_name(struct buf *out, const struct log_name *name); /* 4 fields */
void sync_read_log_name(struct mp_reader *r, struct log_name *name);

/* ---- transfer.c --------------------------------------------------------------------------------------------- */

int transfer_want_message(struct session *s, struct mp_reader *r);
int transfer_run_message(struct session *s, struct mp_reader *r);
int transfer_done_message(struct session *s, struct mp_reader *r);
/* Asks for what is missing, as far as the credit goes. */
int transfer_request(struct session *s);
/* Sends of what the peer asked for, as far as there is room. */
int transfer_serve(struct session *s);
bool transfer_idle(const struct session *s);
void transfer_free(struct session *s);

#endif
