#include "test/sim/net.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "test/sim/device.h"

#define RESEND_MS 200u   /* a lost piece comes again after about that long */
#define BYTES_A_MS 1000u /* what a link carries */

enum piece_kind { PIECE_DATA, PIECE_OPEN, PIECE_FIN, PIECE_RESET };

struct piece {
  struct piece *next;
  enum piece_kind kind;
  uint64_t at; /* when it arrives */
  size_t len;
  uint8_t data[];
};

/* One side of a stream; `out` is what it has sent and the other has not got. */
struct wire_end {
  struct link link;
  struct wire *wire;
  unsigned device;
  const struct link_owner *owner;
  void *ctx;
  bool open, busy, finished;
  bool dead;   /* its process has died */
  bool closed; /* its owner is gone */
  struct piece *out, **out_tail;
  uint64_t out_at; /* when the last piece of it arrives */
  bool moving;     /* an arrival is under way */
};

struct wire {
  struct wire *next;
  struct net *net;
  uint64_t number;
  unsigned pending; /* events that know of it */
  bool accepted;
  struct wire_end ends[2]; /* 0 called */
};

struct net {
  struct world *world;
  struct wire *wires;
  uint64_t count;
  struct net_weather weather;
  bool cut[SIM_MAX_DEVICES][SIM_MAX_DEVICES];
  struct rng rngs[SIM_MAX_DEVICES][SIM_MAX_DEVICES]; /* of what the first sends the second */
};

static const struct net_weather fine = {.delay = 5, .jitter = 10};

struct net *net_new(struct world *world) {
  struct net *net = calloc(1, sizeof *net);
  if (!net) abort();
  net->world = world;
  net->weather = fine;
  for (unsigned a = 0; a < SIM_MAX_DEVICES; a++)
    for (unsigned b = 0; b < SIM_MAX_DEVICES; b++) net->rngs[a][b] = world_rng(world, "net", a * SIM_MAX_DEVICES + b);
  return net;
}

static void wire_free(struct wire *wire) {
  for (int side = 0; side < 2; side++)
    for (struct piece *piece = wire->ends[side].out, *next; piece; piece = next) {
      next = piece->next;
      free(piece);
    }
  free(wire);
}

void net_free(struct net *net) {
  for (struct wire *wire = net->wires, *next; wire; wire = next) {
    next = wire->next;
    wire_free(wire);
  }
  free(net);
}

static struct wire_end *other(struct wire_end *end) {
  return &end->wire->ends[end == &end->wire->ends[0]];
}

static void release(struct wire *wire) {
  if (wire->pending || !wire->ends[0].closed || !wire->ends[1].closed) return;
  for (struct wire **at = &wire->net->wires; *at; at = &(*at)->next)
    if (*at == wire) {
      *at = wire->next;
      break;
    }
  wire_free(wire);
}

static void later(struct wire *wire, uint64_t at, sim_fire *fire, struct wire_end *end) {
  wire->pending++;
  world_later(wire->net->world, at, fire, end, 0);
}

/* ---- Pieces on their way ----------------------------------------------------------------------------------------- */

static void arrive(void *ctx, uint64_t arg);

/* The first piece that waits sets out, unless it cannot pass. */
static void move(struct wire_end *from) {
  struct net *net = from->wire->net;
  if (from->moving || !from->out || net->cut[from->device][other(from)->device]) return;
  from->moving = true;
  later(from->wire, from->out->at, arrive, from);
}

static uint64_t travel(struct net *net, struct rng *rng, size_t len) {
  uint64_t ms = net->weather.delay + rng_below(rng, net->weather.jitter + 1) + len / BYTES_A_MS;
  while (rng_chance(rng, net->weather.loss, 1000)) ms += RESEND_MS + rng_below(rng, RESEND_MS);
  return ms;
}

static void append(struct wire_end *from, struct piece *piece, struct rng *rng) {
  struct net *net = from->wire->net;
  uint64_t at = net->world->now + travel(net, rng, piece->len);
  if (at > from->out_at) from->out_at = at;
  piece->at = from->out_at;
  piece->next = NULL;
  *from->out_tail = piece;
  from->out_tail = &piece->next;
  move(from);
}

static struct piece *piece_new(enum piece_kind kind, const void *data, size_t len) {
  struct piece *piece = malloc(sizeof *piece + len);
  if (!piece) abort();
  *piece = (struct piece){.kind = kind, .len = len};
  if (len) memcpy(piece->data, data, len);
  return piece;
}

static void send_piece(struct wire_end *from, enum piece_kind kind, const void *data, size_t len) {
  struct net *net = from->wire->net;
  struct rng *rng = &net->rngs[from->device][other(from)->device];
  if (kind != PIECE_DATA || !rng_chance(rng, net->weather.mangle, 1000)) {
    append(from, piece_new(kind, data, len), rng);
    return;
  }
  net->world->counts.mangled++;
  struct piece *piece = piece_new(kind, data, len);
  switch (rng_below(rng, 4)) {
    case 0: free(piece); return;                                  /* dropped */
    case 1: append(from, piece_new(kind, data, len), rng); break; /* doubled */
    case 2: piece->data[rng_below(rng, len)] ^= (uint8_t)(1u << rng_below(rng, 8)); break;
    default: { /* its halves swapped */
      size_t half = len / 2;
      memcpy(piece->data, (const uint8_t *)data + half, len - half);
      memcpy(piece->data + len - half, data, half);
    }
  }
  append(from, piece, rng);
}

/* Somebody calls: is there a node? */
static void knock(struct wire_end *caller) {
  struct wire *wire = caller->wire;
  struct world *world = wire->net->world;
  struct wire_end *end = &wire->ends[1];
  struct device *d = world->devices[end->device];
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(1024 + wire->number % 60000))};
  from.sin_addr.s_addr = htonl(0x0a000001u + (caller->device << 8)); /* 10.0.DEVICE.1: a network each */
  if (caller->closed || caller->dead) return;                        /* has given up since */
  if (!d || !d->powered) {
    end->closed = true; /* and nobody says so */
    return;
  }
  wire->accepted = true;
  if (d->process && d->process->hub_runs) device_accept(d, &end->link, (struct sockaddr *)&from);
  else link_reset(&end->link);
}

static void deliver(struct wire_end *to, const struct piece *piece) {
  struct wire_end *from = other(to);
  struct world *world = to->wire->net->world;
  trace(world, "net %u>%u #%" PRIu64 " %s %zu", from->device, to->device, to->wire->number,
        (const char *const[]){"data", "open", "fin", "reset"}[piece->kind], piece->len);
  if (piece->kind == PIECE_OPEN && from == &to->wire->ends[0]) {
    knock(from);
    return;
  }
  if (to->closed || to->dead) { /* nobody there any more: a machine that runs says so */
    struct device *d = world->devices[to->device];
    if (piece->kind == PIECE_DATA && d && d->powered) send_piece(to, PIECE_RESET, NULL, 0);
    return;
  }
  device_acts(world->devices[to->device]);
  switch (piece->kind) {
    case PIECE_OPEN:
      to->open = true;
      to->owner->opened(to->ctx);
      break;
    case PIECE_DATA: to->owner->received(to->ctx, piece->data, piece->len); break;
    case PIECE_FIN: to->owner->ended(to->ctx, NULL); break;
    case PIECE_RESET: to->owner->ended(to->ctx, to->open ? "connection reset by peer" : "connection refused"); break;
  }
}

static void arrive(void *ctx, uint64_t arg) {
  (void)arg;
  struct wire_end *from = ctx;
  struct wire *wire = from->wire;
  struct net *net = wire->net;
  from->moving = false;
  if (from->out && !net->cut[from->device][other(from)->device]) {
    struct piece *piece = from->out;
    from->out = piece->next;
    if (!from->out) from->out_tail = &from->out;
    deliver(other(from), piece);
    free(piece);
    move(from);
  }
  wire->pending--;
  release(wire);
}

/* ---- What the owner of an end may do ----------------------------------------------------------------------------- */

static int end_own(struct link *link, const struct link_owner *owner, void *ctx) {
  struct wire_end *end = (struct wire_end *)link;
  end->owner = owner;
  end->ctx = ctx;
  end->open = true;
  send_piece(end, PIECE_OPEN, NULL, 0);
  return 0;
}

static bool end_busy(const struct link *link) {
  const struct wire_end *end = (const struct wire_end *)link;
  return !end->open || end->busy || end->finished;
}

static void drained(void *ctx, uint64_t arg) {
  (void)arg;
  struct wire_end *end = ctx;
  struct wire *wire = end->wire;
  end->busy = false;
  if (!end->closed && !end->dead) {
    device_acts(wire->net->world->devices[end->device]);
    end->owner->drained(end->ctx);
  }
  wire->pending--;
  release(wire);
}

static size_t end_write(struct link *link, const void *data, size_t len) {
  struct wire_end *end = (struct wire_end *)link;
  struct net *net = end->wire->net;
  if (end_busy(link) || !len) return 0;
  if (len > LINK_WRITE) len = LINK_WRITE;
  world_watch(net->world, "what is sent", data, len);
  send_piece(end, PIECE_DATA, data, len);
  end->busy = true;
  later(end->wire, net->world->now + len / BYTES_A_MS, drained, end);
  return len;
}

static void end_finish(struct link *link) {
  struct wire_end *end = (struct wire_end *)link;
  if (end->finished || !end->open) return;
  end->finished = true;
  send_piece(end, PIECE_FIN, NULL, 0);
}

static void end_close(struct link *link) {
  struct wire_end *end = (struct wire_end *)link;
  if (end->closed) return;
  end_finish(link);
  end->closed = true;
  if (end == &end->wire->ends[0] && !end->wire->accepted) end->wire->ends[1].closed = true;
  release(end->wire);
}

static void end_reset(struct link *link) {
  struct wire_end *end = (struct wire_end *)link;
  if (end->closed) return;
  send_piece(end, PIECE_RESET, NULL, 0);
  end->finished = end->closed = true;
  release(end->wire);
}

static const struct link_kind wire_kind = {end_own, end_busy, end_write, end_finish, end_close, end_reset};

/* ---- From outside ------------------------------------------------------------------------------------------------ */

void net_address(unsigned device, char out[32]) {
  snprintf(out, 32, "device%u:7000", device);
}

int net_connect(struct net *net, unsigned from, const char *address, const struct link_owner *owner, void *owner_ctx,
                struct link **out) {
  unsigned to;
  if (sscanf(address, "device%u:7000", &to) != 1 || to >= SIM_MAX_DEVICES) return DUNLIN_EADDR;
  struct wire *wire = calloc(1, sizeof *wire);
  if (!wire) abort();
  wire->net = net;
  wire->number = ++net->count;
  wire->next = net->wires;
  net->wires = wire;
  for (int side = 0; side < 2; side++) {
    struct wire_end *end = &wire->ends[side];
    *end = (struct wire_end){.link = {&wire_kind}, .wire = wire, .device = side ? to : from};
    end->out_tail = &end->out;
  }
  wire->ends[0].owner = owner;
  wire->ends[0].ctx = owner_ctx;
  send_piece(&wire->ends[0], PIECE_OPEN, NULL, 0);
  *out = &wire->ends[0].link;
  return 0;
}

void net_died(struct net *net, unsigned device, bool machine) {
  for (struct wire *wire = net->wires; wire; wire = wire->next)
    for (int side = 0; side < 2; side++) {
      struct wire_end *end = &wire->ends[side];
      if (end->device != device || end->closed || (side == 1 && !wire->accepted)) continue;
      if (!machine) send_piece(end, PIECE_RESET, NULL, 0);
      end->finished = end->dead = true;
    }
}

void net_cut(struct net *net, unsigned from, unsigned to, bool cut) {
  if (net->cut[from][to] == cut) return;
  net->cut[from][to] = cut;
  if (cut) return;
  /* What waited comes with the next repetition. */
  struct rng *rng = &net->rngs[from][to];
  for (struct wire *wire = net->wires; wire; wire = wire->next)
    for (int side = 0; side < 2; side++) {
      struct wire_end *end = &wire->ends[side];
      if (end->device != from || other(end)->device != to || !end->out) continue;
      uint64_t at = net->world->now + rng_below(rng, 4 * RESEND_MS);
      for (struct piece *piece = end->out; piece; piece = piece->next)
        if (piece->at < at) piece->at = at;
      if (end->out_at < at) end->out_at = at;
      move(end);
    }
}

void net_weather(struct net *net, struct net_weather weather) {
  net->weather = weather;
}

void net_mend(struct net *net) {
  net->weather = fine;
  for (unsigned a = 0; a < SIM_MAX_DEVICES; a++)
    for (unsigned b = 0; b < SIM_MAX_DEVICES; b++) net_cut(net, a, b, false);
}
