/* Reading a rope, and checking it. */
#include "crdt/rope_private.h"

#include <assert.h>

size_t rope_size(const struct rope *rope) {
  return rope->sum.scalars;
}
size_t rope_bytes(const struct rope *rope) {
  return rope->sum.bytes;
}
size_t rope_utf16(const struct rope *rope) {
  return (size_t)rope->sum.scalars + rope->sum.pairs - 2 * (size_t)rope->sum.anchors;
}
size_t rope_anchors(const struct rope *rope) {
  return rope->sum.anchors;
}

size_t rope_measure(const struct rope *rope, size_t at, size_t count) {
  return rope_convert(rope, ROPE_SCALARS, ROPE_BYTES, at + count) - rope_convert(rope, ROPE_SCALARS, ROPE_BYTES, at);
}

void rope_copy(const struct rope *rope, size_t at, size_t count, void *out) {
  size_t left = rope_measure(rope, at, count), n;
  const uint8_t *piece;
  struct rope_reader reader;
  rope_reader_init(&reader, rope, at);
  for (uint8_t *to = out; left; to += n, left -= n) {
    n = rope_read(&reader, &piece);
    if (n > left) n = left;
    memcpy(to, piece, n);
  }
}

static size_t sum_in(struct rope_sum sum, enum rope_unit unit) {
  switch (unit) {
    case ROPE_SCALARS: return sum.scalars;
    case ROPE_BYTES: return sum.bytes;
    case ROPE_CHARACTERS: return (size_t)sum.scalars - sum.anchors;
    case ROPE_ANCHORS: return sum.anchors;
    case ROPE_UTF8: return (size_t)sum.bytes - ROPE_ANCHOR_BYTES * (size_t)sum.anchors;
    default: return (size_t)sum.scalars + sum.pairs - 2 * (size_t)sum.anchors;
  }
}

/* Passes over words of which none holds the position, and takes what they count off it. */
static size_t words_before(const uint8_t *bytes, size_t size, enum rope_unit unit, size_t *at) {
  size_t offset = 0;
  for (; size - offset >= 8; offset += 8) {
    uint64_t word = utf8_word(bytes + offset), anchors = utf8_begins_anchor(word);
    size_t units = utf8_across(unit == ROPE_ANCHORS ? anchors : utf8_begins(word) - anchors);
    if (units > *at) break;
    *at -= units;
  }
  while (offset < size && utf8_continues(bytes[offset])) offset++; /* what began before is counted */
  return offset;
}

/* The byte of a leaf where the character begins that holds position `at` in one of the units that leave anchors out, or
 * the anchor. */
static size_t unit_offset(const uint8_t *bytes, size_t size, enum rope_unit unit, size_t at) {
  size_t offset = unit == ROPE_CHARACTERS || unit == ROPE_ANCHORS ? words_before(bytes, size, unit, &at) : 0;
  while (offset < size) {
    size_t units = bytes[offset] >= 0xfe ? 0 : bytes[offset] >= 0xf0 && unit == ROPE_UTF16 ? 2 : 1, next = offset + 1;
    while (next < size && utf8_continues(bytes[next])) next++;
    if (unit == ROPE_UTF8 && units) units = next - offset;
    if (unit == ROPE_ANCHORS) units = bytes[offset] >= 0xfe;
    if (units > at) break;
    at -= units;
    offset = next;
  }
  return offset;
}

size_t rope_convert(const struct rope *rope, enum rope_unit from, enum rope_unit to, size_t at) {
  if (from == to && to == ROPE_SCALARS) return at < rope->sum.scalars ? at : rope->sum.scalars;
  if (at >= sum_in(rope->sum, from)) return sum_in(rope->sum, to);
  struct rope_sum before = {0}, here = rope->sum;
  union rope_child child = rope->root;
  for (uint32_t l = 0; l < rope->height; l++) {
    const struct rope_node *node = child.node;
    uint32_t i = 0;
    for (; sum_in(row(node, i), from) <= at; i++) {
      at -= sum_in(row(node, i), from);
      sum_add(&before, row(node, i));
    }
    here = row(node, i);
    child = node->child[i];
  }
  size_t offset = at;
  const uint8_t *bytes = child.leaf->bytes;
  if (is_ascii(here)) return sum_in(before, to) + at;
  if (from == ROPE_SCALARS) offset = utf8_offset(bytes, here.bytes, at);
  else if (from != ROPE_BYTES) offset = unit_offset(bytes, here.bytes, from, at);
  while (utf8_continues(bytes[offset])) offset--;
  sum_add(&before, sum_of(bytes, (uint32_t)offset, false));
  return sum_in(before, to);
}

/* Anchors */

void rope_anchor_put(uint8_t out[ROPE_ANCHOR_BYTES], struct rope_anchor anchor) {
  uint64_t rest = anchor.lv | (uint64_t)anchor.is_opening << 32;
  out[0] = anchor.is_end ? 0xff : 0xfe;
  for (int i = 1; i < ROPE_ANCHOR_BYTES; i++, rest >>= 6) out[i] = (uint8_t)(0x80 | (rest & 0x3f));
}

struct rope_anchor rope_anchor_get(const uint8_t *bytes) {
  uint64_t rest = 0;
  for (int i = ROPE_ANCHOR_BYTES - 1; i; i--) rest = rest << 6 | (bytes[i] & 0x3fu);
  return (struct rope_anchor){(uint32_t)rest, *bytes == 0xff, rest >> 32 & 1};
}

bool rope_anchor_at(const struct rope *rope, size_t at, struct rope_anchor *anchor) {
  struct rope_reader reader;
  const uint8_t *piece;
  if (!rope->sum.anchors) return false;
  rope_reader_init(&reader, rope, at);
  if (!rope_read(&reader, &piece) || *piece < 0xfe) return false;
  *anchor = rope_anchor_get(piece);
  return true;
}

struct anchor_visit {
  rope_anchor_each *each;
  void *ctx;
  size_t from, to;
};

static int visit_leaf(const struct anchor_visit *visit, const uint8_t *bytes, uint32_t size, uint32_t at) {
  int error = 0;
  for (uint32_t i = 0; !error && i < size; i++) {
    if (utf8_continues(bytes[i])) continue;
    if (bytes[i] >= 0xfe && at >= visit->from && at < visit->to)
      error = visit->each(visit->ctx, at, rope_anchor_get(bytes + i));
    at++;
  }
  return error;
}

/* `at`: where the child begins. */
static int visit_below(const struct anchor_visit *visit, union rope_child child, uint32_t height, struct rope_sum sum,
                       uint32_t at) {
  int error = 0;
  if (!sum.anchors || at >= visit->to || at + sum.scalars <= visit->from) return 0;
  if (!height) return visit_leaf(visit, child.leaf->bytes, sum.bytes, at);
  for (uint32_t i = 0; !error && i < child.node->count; i++) {
    error = visit_below(visit, child.node->child[i], height - 1, row(child.node, i), at);
    at += child.node->scalars[i];
  }
  return error;
}

int rope_each_anchor(const struct rope *rope, size_t from, size_t to, rope_anchor_each *each, void *ctx) {
  struct anchor_visit visit = {each, ctx, from, to};
  return visit_below(&visit, rope->root, rope->height, rope->sum, 0);
}

void rope_reader_init(struct rope_reader *reader, const struct rope *rope, size_t at) {
  reader->height = rope->height;
  reader->bytes = 0;
  reader->piece = NULL;
  if (at >= rope->sum.scalars) return;
  struct rope_sum sum = rope->sum;
  union rope_child child = rope->root;
  uint32_t left = (uint32_t)at;
  for (uint32_t l = 0; l < rope->height; l++) {
    const struct rope_node *node = child.node;
    uint32_t i = 0;
    while (left >= node->scalars[i]) left -= node->scalars[i++];
    reader->node[l] = node;
    reader->index[l] = (uint8_t)i;
    sum = row(node, i);
    child = node->child[i];
  }
  uint32_t offset = leaf_offset(child.leaf->bytes, sum, left);
  reader->piece = child.leaf->bytes + offset;
  reader->bytes = sum.bytes - offset;
}

/* To the next leaf. */
static void advance(struct rope_reader *reader) {
  uint32_t level = reader->height;
  reader->bytes = 0;
  assert(level <= ROPE_HEIGHT);
  while (level && reader->index[level - 1] + 1u == reader->node[level - 1]->count) level--;
  if (!level) return;
  uint32_t i = ++reader->index[level - 1];
  for (; level < reader->height; level++, i = 0) {
    reader->node[level] = reader->node[level - 1]->child[i].node;
    reader->index[level] = 0;
  }
  reader->piece = reader->node[level - 1]->child[i].leaf->bytes;
  reader->bytes = reader->node[level - 1]->bytes[i];
}

size_t rope_read(struct rope_reader *reader, const uint8_t **piece) {
  size_t bytes = reader->bytes;
  *piece = reader->piece;
  if (bytes) advance(reader);
  return bytes;
}

/* Checking */

static bool same_sum(struct rope_sum a, struct rope_sum b) {
  return a.scalars == b.scalars && a.bytes == b.bytes && a.pairs == b.pairs && a.anchors == b.anchors;
}

/* Whether each first byte has as many others behind it as it says. */
static bool whole_characters(const uint8_t *bytes, uint32_t size) {
  for (uint32_t i = 0; i < size;) {
    uint32_t n = bytes[i] < 0x80 ? 1 : bytes[i] < 0xc0 ? 0 : bytes[i] < 0xe0 ? 2 : bytes[i] < 0xf0 ? 3 : 4;
    if (bytes[i] >= 0xfe) n = ROPE_ANCHOR_BYTES;
    if (!n || n > size - i) return false;
    for (i++; --n; i++)
      if (!utf8_continues(bytes[i])) return false;
  }
  return true;
}

static int check_leaf(const struct rope *rope, const struct rope_leaf *leaf, struct rope_sum sum, bool deep) {
  if (sum.bytes > rope->cap || (rope->height && !sum.bytes)) return -1;
  if (sum.scalars > sum.bytes || sum.pairs > sum.scalars || sum.anchors > sum.pairs) return -1;
  if (!deep || !sum.bytes) return 0;
  return whole_characters(leaf->bytes, sum.bytes) && same_sum(sum_of(leaf->bytes, sum.bytes, false), sum) ? 0 : -1;
}

static int check_below(const struct rope *rope, union rope_child child, uint32_t height, struct rope_sum sum,
                       bool deep) {
  if (!height) return check_leaf(rope, child.leaf, sum, deep);
  const struct rope_node *node = child.node;
  if (node->count < (height == rope->height ? 2 : 1) || node->count > ROPE_FANOUT) return -1;
  if (!same_sum(rows_sum(node, 0, node->count), sum)) return -1;
  for (uint32_t i = 0; i < node->count; i++)
    if (check_below(rope, node->child[i], height - 1, row(node, i), deep)) return -1;
  return 0;
}

/* Whether the finger is where its way leads to. */
static int check_finger(const struct rope *rope) {
  const struct rope_path *path = &rope->finger;
  if (!path->leaf) return 0;
  union rope_child child = rope->root;
  struct rope_sum sum = rope->sum;
  uint32_t start = 0;
  for (uint32_t l = 0; l < rope->height; l++) {
    if (path->node[l] != child.node || path->index[l] >= child.node->count) return -1;
    start += rows_sum(child.node, 0, path->index[l]).scalars;
    sum = row(child.node, path->index[l]);
    child = child.node->child[path->index[l]];
  }
  return path->leaf == child.leaf && path->start == start && same_sum(path->sum, sum) ? 0 : -1;
}

int rope_check(const struct rope *rope, bool deep) {
  size_t leaves = 0, nodes = 0;
  for (const struct rope_leaf *leaf = rope->spare_leaves; leaf; leaf = leaf->next) leaves++;
  for (const struct rope_node *node = rope->spare_nodes; node; node = node->child[0].node) nodes++;
  if (leaves != rope->spare_leaf_count || nodes != rope->spare_node_count) return -1;
  if (!rope->cap) return rope->height || rope->sum.bytes || rope->sum.scalars || rope->finger.leaf ? -1 : 0;
  if (rope->height > ROPE_HEIGHT || (rope->height && rope->cap != ROPE_LEAF)) return -1;
  if (check_below(rope, rope->root, rope->height, rope->sum, deep)) return -1;
  return check_finger(rope);
}
