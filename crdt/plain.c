/* Plain values: from any msgpack to a tree with canonical bytes. */
#include "crdt/plain.h"

#include "crdt/value.h"

/* ---- Reading any msgpack ------------------------------------------------------------------------------------ */

struct parser {
  struct plain *plain;
  const uint8_t *at, *end;
  bool bounded;
};

static int take(struct parser *p, size_t len, const uint8_t **out) {
  if (len > (size_t)(p->end - p->at)) return DUNLIN_EFORMAT;
  *out = p->at;
  p->at += len;
  return 0;
}

static int take_be(struct parser *p, size_t len, uint64_t *out) {
  const uint8_t *raw;
  int error = take(p, len, &raw);
  *out = 0;
  for (size_t i = 0; !error && i < len; i++) *out = *out << 8 | raw[i];
  return error;
}

static int parse_unsigned(struct parser *p, size_t len, struct dunlin_value *value) {
  uint64_t v;
  int error = take_be(p, len, &v);
  if (error) return error;
  if (v > INT64_MAX) return DUNLIN_ERANGE;
  value->kind = DUNLIN_INT;
  value->as.integer = (int64_t)v;
  return 0;
}

static int parse_signed(struct parser *p, size_t len, struct dunlin_value *value) {
  uint64_t v;
  int error = take_be(p, len, &v);
  if (error) return error;
  value->kind = DUNLIN_INT;
  switch (len) {
    case 1: value->as.integer = (int8_t)v; break;
    case 2: value->as.integer = (int16_t)v; break;
    case 4: value->as.integer = (int32_t)v; break;
    default: value->as.integer = (int64_t)v;
  }
  return 0;
}

static int parse_float(struct parser *p, size_t len, struct dunlin_value *value) {
  uint64_t bits;
  int error = take_be(p, len, &bits);
  if (error) return error;
  value->kind = DUNLIN_FLOAT;
  if (len == 4) {
    uint32_t narrow = (uint32_t)bits;
    float v;
    memcpy(&v, &narrow, sizeof v);
    value->as.real = v;
  } else {
    memcpy(&value->as.real, &bits, sizeof bits);
  }
  return 0;
}

/* An extension of `len` bytes: only times have a meaning. */
static int parse_extension(struct parser *p, uint64_t len, struct dunlin_value *value) {
  uint64_t type, us;
  int error = take_be(p, 1, &type);
  if (!error && (type != MP_EXT_TIME || len != 8)) error = DUNLIN_EFORMAT;
  if (!error) error = take_be(p, 8, &us);
  if (error) return error;
  value->kind = DUNLIN_TIME;
  value->as.time = (int64_t)us;
  return 0;
}

static int parse_string(struct parser *p, uint64_t len, bool is_text, struct dunlin_value *value) {
  const uint8_t *data;
  int error = len > SIZE_MAX ? DUNLIN_EFORMAT : take(p, (size_t)len, &data);
  if (error) return error;
  if (is_text && !utf8_valid(data, (size_t)len, NULL)) return DUNLIN_EUTF8;
  value->kind = is_text ? DUNLIN_STRING : DUNLIN_BYTES;
  value->as.string = (struct dunlin_bytes){data, (size_t)len};
  return 0;
}

/* A value's first byte, and what is not a container; of a container the kind and how many members it says it has. */
static int parse_head(struct parser *p, struct dunlin_value *value, uint64_t *members) {
  const uint8_t *lead;
  int error = take(p, 1, &lead);
  if (error) return error;
  uint8_t b = *lead;
  *value = (struct dunlin_value){.kind = DUNLIN_NULL};
  if (b <= 0x7f || b >= 0xe0) {
    value->kind = DUNLIN_INT;
    value->as.integer = (int8_t)b;
    return 0;
  }
  if (b <= 0x9f) {
    value->kind = b <= 0x8f ? DUNLIN_MAP : DUNLIN_LIST;
    *members = b & 15u;
    return 0;
  }
  if (b <= 0xbf) return parse_string(p, b & 31u, true, value);
  uint64_t len;
  switch (b) {
    case 0xc0: return 0;
    case 0xc2:
    case 0xc3:
      value->kind = DUNLIN_BOOL;
      value->as.boolean = b == 0xc3;
      return 0;
    case 0xc4:
    case 0xc5:
    case 0xc6:
      error = take_be(p, (size_t)1 << (b - 0xc4), &len);
      return error ? error : parse_string(p, len, false, value);
    case 0xc7:
    case 0xc8:
    case 0xc9: error = take_be(p, (size_t)1 << (b - 0xc7), &len); return error ? error : parse_extension(p, len, value);
    case 0xca: return parse_float(p, 4, value);
    case 0xcb: return parse_float(p, 8, value);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf: return parse_unsigned(p, (size_t)1 << (b - 0xcc), value);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3: return parse_signed(p, (size_t)1 << (b - 0xd0), value);
    case 0xd7: return parse_extension(p, 8, value);
    case 0xd9:
    case 0xda:
    case 0xdb:
      error = take_be(p, (size_t)1 << (b - 0xd9), &len);
      return error ? error : parse_string(p, len, true, value);
    case 0xdc:
    case 0xdd: value->kind = DUNLIN_LIST; return take_be(p, b == 0xdc ? 2 : 4, members);
    case 0xde:
    case 0xdf: value->kind = DUNLIN_MAP; return take_be(p, b == 0xde ? 2 : 4, members);
    default: return DUNLIN_EFORMAT;
  }
}

static int parse_key(struct parser *p, struct dunlin_bytes *out) {
  struct dunlin_value key;
  uint64_t members;
  int error = parse_head(p, &key, &members);
  if (error) return error;
  if (key.kind != DUNLIN_STRING) return DUNLIN_EFORMAT;
  if (key.as.string.len > DUNLIN_MAX_KEY) return DUNLIN_ELIMIT;
  *out = key.as.string;
  return 0;
}

/* ---- The order of keys -------------------------------------------------------------------------------------- */

int bytes_compare(struct dunlin_bytes a, struct dunlin_bytes b) {
  size_t shorter = a.len < b.len ? a.len : b.len;
  int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
  return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Sorts `count` members from `first` on, which `next` links, and cuts them off from what follows. */
static uint32_t sort_members(struct plain_node *nodes, uint32_t first, uint32_t count) {
  if (count == 1) {
    nodes[first].next = PLAIN_NONE;
    return first;
  }
  uint32_t half = first;
  for (uint32_t i = 0; i < count / 2; i++) half = nodes[half].next;
  uint32_t b = sort_members(nodes, half, count - count / 2), a = sort_members(nodes, first, count / 2);
  uint32_t head = PLAIN_NONE, *link = &head;
  while (a != PLAIN_NONE && b != PLAIN_NONE) {
    uint32_t *lower = bytes_compare(nodes[a].key, nodes[b].key) <= 0 ? &a : &b;
    *link = *lower;
    link = &nodes[*lower].next;
    *lower = *link;
  }
  *link = a != PLAIN_NONE ? a : b;
  return head;
}

static bool is_sorted(const struct plain_node *nodes, uint32_t first) {
  for (uint32_t i = first; nodes[i].next != PLAIN_NONE; i = nodes[i].next)
    if (bytes_compare(nodes[i].key, nodes[nodes[i].next].key) >= 0) return false;
  return true;
}

/* DUNLIN_EFORMAT: a key is there twice. */
static int order_keys(struct plain *plain, struct plain_node *map) {
  if (!map->count || is_sorted(plain->nodes, map->first)) return 0;
  map->first = sort_members(plain->nodes, map->first, map->count);
  return is_sorted(plain->nodes, map->first) ? 0 : DUNLIN_EFORMAT;
}

/* ---- The tree ----------------------------------------------------------------------------------------------- */

static int parse_value(struct parser *p, unsigned depth, uint32_t *out);

static int parse_members(struct parser *p, uint32_t container, uint64_t count, unsigned depth) {
  struct plain *plain = p->plain;
  bool is_map = plain->nodes[container].value.kind == DUNLIN_MAP;
  uint32_t last = PLAIN_NONE;
  if (depth == DUNLIN_MAX_DEPTH) return DUNLIN_ELIMIT;
  if (count > (uint64_t)(p->end - p->at)) return DUNLIN_EFORMAT; /* a member takes a byte at least */
  for (uint64_t i = 0; i < count; i++) {
    struct dunlin_bytes key = {NULL, 0};
    uint32_t member;
    int error = is_map ? parse_key(p, &key) : 0;
    if (!error) error = parse_value(p, depth + 1, &member);
    if (error) return error;
    plain->nodes[member].key = key;
    if (last == PLAIN_NONE) plain->nodes[container].first = member;
    else plain->nodes[last].next = member;
    last = member;
  }
  plain->nodes[container].count = (uint32_t)count;
  return is_map ? order_keys(plain, &plain->nodes[container]) : 0;
}

static int parse_value(struct parser *p, unsigned depth, uint32_t *out) {
  struct plain *plain = p->plain;
  if (plain->count >= (p->bounded ? DUNLIN_MAX_PLAIN_VALUES : PLAIN_NONE)) return DUNLIN_ELIMIT;
  if (ENV_GROW(plain->env, plain->nodes, plain->cap, plain->count + 1)) return DUNLIN_ENOMEM;
  uint64_t members = 0;
  struct plain_node node = {.first = PLAIN_NONE, .next = PLAIN_NONE};
  int error = parse_head(p, &node.value, &members);
  if (error) return error;
  *out = (uint32_t)plain->count++;
  plain->nodes[*out] = node;
  return node.value.kind >= DUNLIN_MAP ? parse_members(p, *out, members, depth) : 0;
}

/* Writes a node's canonical bytes, and notes where they lie. */
static void write_node(struct plain *plain, struct plain_node *node) {
  struct buf *out = &plain->bytes;
  size_t start = out->len;
  if (node->value.kind < DUNLIN_MAP) value_write(out, &node->value);
  else plain_write_head(out, node->value.kind == DUNLIN_MAP, node->count);
  for (uint32_t i = node->first; i != PLAIN_NONE && !out->error; i = plain->nodes[i].next) {
    if (node->value.kind == DUNLIN_MAP) mp_write_str(out, plain->nodes[i].key.data, plain->nodes[i].key.len);
    write_node(plain, &plain->nodes[i]);
  }
  node->at = (uint32_t)start;
  node->len = (uint32_t)(out->len - start);
}

int plain_open(struct plain *plain, const struct dunlin_env *env, struct dunlin_bytes bytes, bool bounded) {
  size_t max = bounded ? DUNLIN_MAX_PLAIN : UINT32_MAX;
  *plain = (struct plain){.env = env};
  buf_init(&plain->bytes, env, max);
  if (bytes.len > max) return DUNLIN_ELIMIT;
  if (!bytes.data) return bytes.len ? DUNLIN_EINVAL : DUNLIN_EFORMAT;
  struct parser p = {plain, bytes.data, (const uint8_t *)bytes.data + bytes.len, bounded};
  uint32_t root;
  int error = parse_value(&p, 0, &root);
  if (!error && p.at != p.end) error = DUNLIN_EFORMAT;
  if (!error) {
    write_node(plain, &plain->nodes[0]);
    error = plain->bytes.error;
  }
  if (error) plain_close(plain);
  return error;
}

void plain_close(struct plain *plain) {
  ENV_FREE_ARRAY(plain->env, plain->nodes, plain->cap);
  buf_free(&plain->bytes);
  plain->nodes = NULL;
  plain->count = plain->cap = 0;
}

/* ---- Heads -------------------------------------------------------------------------------------------------- */

static size_t head_of(uint8_t head[5], bool is_map, size_t count) {
  if (count <= 15) {
    head[0] = (uint8_t)((is_map ? 0x80 : 0x90) | count);
    return 1;
  }
  uint8_t wide = count > 0xffff;
  head[0] = (uint8_t)((is_map ? 0xde : 0xdc) + wide);
  size_t len = wide ? 4 : 2;
  for (size_t i = len; i; i--, count >>= 8) head[i] = (uint8_t)count;
  return 1 + len;
}

void plain_write_head(struct buf *out, bool is_map, size_t count) {
  uint8_t head[5];
  size_t len = head_of(head, is_map, count);
  buf_append(out, head, len);
}

void plain_insert_head(struct buf *out, size_t start, bool is_map, size_t count) {
  uint8_t head[5];
  size_t len = head_of(head, is_map, count), behind = out->len - start;
  if (!buf_extend(out, len)) return;
  memmove(out->data + start + len, out->data + start, behind);
  memcpy(out->data + start, head, len);
}
