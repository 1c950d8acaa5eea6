#include "persist/pagecheck.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crdt/env.h"
#include "persist/why.h"

/* The format of LMDB 0.9 (data version 1) on a 64-bit little-endian machine, as far as it is used here.
 *
 * A page is 4096 to 32768 bytes; all but the later pages of an overflow run begin with
 *     0  8  own number      8  2  pad (unused)     10  2  flags: 1 branch, 2 leaf, 4 overflow, 8 meta
 *    12  2  lower: end of the array of node offsets, which begins at 16   (overflow: 12  4  number of pages in the run)
 *    14  2  upper: begin of the nodes, which fill the page to its end without gaps, each at an even offset
 *
 * A node is
 *     0  4  leaf: length of the data; branch: low 32 bits of the child's page number
 *     4  2  leaf: flags: 1 the data is the number of an overflow run, 2 it is a tree; branch: high bits of the number
 *     6  2  length of the key       8  the key, then (leaf) the data
 *
 * A tree, in 48 bytes
 *     0  4  pad (0; in a meta's first tree: the page size)     4  2  flags     6  2  depth
 *     8  8  branch pages   16  8  leaf pages   24  8  overflow pages   32  8  entries   40  8  root (all ones: empty)
 *
 * Pages 0 and 1 are metas; transaction n writes meta n mod 2.  After the page's header
 *     0  4  0xbeefc0de     4  4  data version, 1     8  8  address (unused)     16  8  size of the map
 *    24 48  the free tree: keys are u64 transaction numbers, data a count and that many u64 page numbers, descending
 *    72 48  the main tree: records, and named trees
 *   120  8  last page in use    128  8  transaction
 */
#define PAGE_HEADER 16u
#define NODE_HEADER 8u
#define TREE_LEN 48u
#define META_LEN 136u
#define PAGE_MIN 4096u
#define PAGE_MAX 32768u
#define FLAG_BRANCH 1u
#define FLAG_LEAF 2u
#define FLAG_OVERFLOW 4u
#define FLAG_META 8u
#define NODE_OVERFLOW 1u
#define NODE_TREE 2u
#define TREE_INTEGER_KEYS 8u
#define MAGIC 0xbeefc0deu
#define NO_PAGE UINT64_MAX
#define KEY_MAX 511u
#define DEPTH_MAX 32u          /* of one tree: what a cursor of LMDB can hold */
#define LEVELS (2 * DEPTH_MAX) /* a named tree hangs below the main one */

_Static_assert(sizeof(size_t) == 8 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the layout above is the machine's");

enum kind { TREE_FREE, TREE_MAIN, TREE_NAMED };

struct tree {
  enum kind kind;
  uint16_t flags, depth;
  uint32_t pad;
  uint64_t branches, leaves, overflows, entries, root;
};

struct key {
  const uint8_t *data; /* NULL: no bound */
  size_t len;
};

struct node {
  struct key key;
  unsigned flags;
  uint64_t child;  /* of a branch's node */
  size_t data_len; /* as declared: in an overflow run when the flags say so */
};

struct check {
  const struct dunlin_env *env;
  struct dunlin_why *why;
  int fd;
  uint64_t file_size, txn;
  uint64_t page_count; /* pages in use: one more than the last */
  uint64_t seen_count;
  size_t page_size, node_max;
  uint8_t *seen;           /* one bit a page */
  uint8_t *filled;         /* scratch: which of a page's 2-byte units belong to a node */
  uint8_t *levels[LEVELS]; /* the page that is being looked at on each level */
};

static uint16_t get16(const uint8_t *at) {
  uint16_t v;
  memcpy(&v, at, sizeof v);
  return v;
}

static uint32_t get32(const uint8_t *at) {
  uint32_t v;
  memcpy(&v, at, sizeof v);
  return v;
}

static uint64_t get64(const uint8_t *at) {
  uint64_t v;
  memcpy(&v, at, sizeof v);
  return v;
}

static int damaged(struct check *c, uint64_t page, const char *what) {
  return why_fail(c->why, DUNLIN_ECORRUPT, "page %llu: %s", (unsigned long long)page, what);
}

/* ---- Pages -------------------------------------------------------------------------------------------------- */

static int read_at(struct check *c, uint64_t offset, uint8_t *out, size_t len) {
  while (len) {
    ssize_t n = pread(c->fd, out, len, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return why_system(c->why, "read", "the data file");
    if (n == 0) return why_fail(c->why, DUNLIN_ECORRUPT, "the data file is cut short");
    offset += (uint64_t)n;
    out += n;
    len -= (size_t)n;
  }
  return 0;
}

/* Counts pages [first, first + count) as used; each page is used once, as a node, by a record, or as free. */
static int claim(struct check *c, uint64_t first, uint64_t count) {
  if (first < 2 || first >= c->page_count || count > c->page_count - first)
    return damaged(c, first, "is not in the file's range");
  for (uint64_t i = first; i < first + count; i++) {
    if (c->seen[i / 8] & (1u << i % 8)) return damaged(c, i, "is used twice");
    c->seen[i / 8] |= (uint8_t)(1u << i % 8);
  }
  c->seen_count += count;
  return 0;
}

/* Claims pages that must be there to be read; free pages at the end of the file may never have been written. */
static int claim_written(struct check *c, uint64_t first, uint64_t count) {
  int error = claim(c, first, count);
  if (error) return error;
  if (first + count > c->file_size / c->page_size) return damaged(c, first, "is cut off");
  return 0;
}

/* Reads a branch or leaf page into the buffer of its level. */
static int read_page(struct check *c, uint64_t number, unsigned level, const uint8_t **out) {
  int error = claim_written(c, number, 1);
  if (error) return error;
  if (!c->levels[level]) c->levels[level] = env_alloc(c->env, c->page_size);
  if (!c->levels[level]) return DUNLIN_ENOMEM;
  *out = c->levels[level];
  error = read_at(c, number * c->page_size, c->levels[level], c->page_size);
  if (error) return error;
  return get64(*out) == number ? 0 : damaged(c, number, "carries another number");
}

/* ---- Nodes -------------------------------------------------------------------------------------------------- */

static size_t node_count(const uint8_t *page) {
  return (get16(page + 12) - PAGE_HEADER) / 2;
}

/* Node `i`; its offset has been checked. */
static struct node node_at(const uint8_t *page, size_t i, bool leaf) {
  const uint8_t *at = page + get16(page + PAGE_HEADER + 2 * i);
  struct node node = {.key = {at + NODE_HEADER, get16(at + 6)}};
  if (leaf) {
    node.flags = get16(at + 4);
    node.data_len = get32(at);
  } else {
    node.child = get32(at) | (uint64_t)get16(at + 4) << 32;
  }
  return node;
}

static const uint8_t *node_data(const struct node *node) { /* after check_layout() only */
  return node->key.data + node->key.len;
}

/* Bytes that the node takes in its page, made even. */
static size_t node_size(const struct node *node, bool leaf) {
  size_t size = NODE_HEADER + node->key.len;
  if (leaf) size += node->flags & NODE_OVERFLOW ? 8 : node->data_len;
  return (size + 1) & ~(size_t)1;
}

/* Whether the offsets and sizes of all nodes make sense: in the page, apart from each other, without gaps.  LMDB moves
 * nodes about on that understanding. */
static int check_layout(struct check *c, const uint8_t *page, bool leaf) {
  uint64_t number = get64(page);
  size_t lower = get16(page + 12), upper = get16(page + 14), total = 0;
  if (lower < PAGE_HEADER + 2 || lower % 2 || lower > upper || upper > c->page_size)
    return damaged(c, number, "the bounds of its free space are wrong");
  memset(c->filled, 0, c->page_size / 2);
  for (size_t i = 0; i < node_count(page); i++) {
    size_t offset = get16(page + PAGE_HEADER + 2 * i);
    if (offset < upper || offset % 2 || offset > c->page_size - NODE_HEADER)
      return damaged(c, number, "a node lies outside");
    struct node node = node_at(page, i, leaf);
    size_t size = node_size(&node, leaf);
    if (size > c->page_size - offset || size > c->node_max) return damaged(c, number, "a node is too large");
    if (memchr(c->filled + offset / 2, 1, size / 2)) return damaged(c, number, "two nodes overlap");
    memset(c->filled + offset / 2, 1, size / 2);
    total += size;
  }
  return total == c->page_size - upper ? 0 : damaged(c, number, "its nodes leave a gap");
}

static int compare(const struct tree *tree, const struct key *a, const struct key *b) {
  if (tree->kind == TREE_FREE) {
    uint64_t x = get64(a->data), y = get64(b->data);
    return x < y ? -1 : x > y;
  }
  int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
  return order ? order : a->len < b->len ? -1 : a->len > b->len;
}

/* The keys of a page rise strictly and lie in [low, high).  The first key of a branch page is never looked at by
 * LMDB. */
static int check_keys(struct check *c, const struct tree *tree, const uint8_t *page, bool leaf, struct key low,
                      struct key high) {
  uint64_t number = get64(page);
  struct key before = {0};
  for (size_t i = leaf ? 0 : 1; i < node_count(page); i++) {
    struct key key = node_at(page, i, leaf).key;
    bool fits = tree->kind == TREE_FREE ? key.len == 8 : key.len >= 1 && key.len <= KEY_MAX;
    if (!fits) return damaged(c, number, "a key has an impossible length");
    if (before.data && compare(tree, &before, &key) >= 0) return damaged(c, number, "its keys are out of order");
    if (low.data && compare(tree, &low, &key) > 0) return damaged(c, number, "a key is below its parent's");
    if (high.data && compare(tree, &key, &high) >= 0) return damaged(c, number, "a key is above its parent's");
    before = key;
  }
  return 0;
}

/* ---- Records ------------------------------------------------------------------------------------------------ */

/* Claims the overflow run of a record.  It may be longer than the data needs: LMDB overwrites in place. */
static int check_overflow(struct check *c, struct tree *counted, const struct node *node, uint64_t *first) {
  uint8_t header[PAGE_HEADER];
  uint64_t need = (PAGE_HEADER - 1 + (uint64_t)node->data_len) / c->page_size + 1;
  *first = get64(node_data(node));
  if (*first < 2 || *first >= c->page_count || (*first + 1) * c->page_size > c->file_size)
    return damaged(c, *first, "is not in the file's range");
  int error = read_at(c, *first * c->page_size, header, sizeof header);
  if (error) return error;
  if (get64(header) != *first || get16(header + 10) != FLAG_OVERFLOW)
    return damaged(c, *first, "is not the overflow page that it should be");
  uint64_t pages = get32(header + 12);
  if (pages < need) return damaged(c, *first, "has too few pages for its record");
  counted->overflows += pages;
  return claim_written(c, *first, pages);
}

/* Claims the pages that one record of the free tree lists. */
static int check_free_list(struct check *c, const uint8_t *list, size_t len) {
  uint64_t count = len >= 8 ? get64(list) : 0, before = NO_PAGE;
  if (len < 8 || len % 8 || count > len / 8 - 1)
    return why_fail(c->why, DUNLIN_ECORRUPT, "a free list has a wrong length");
  for (uint64_t i = 1; i <= count; i++) {
    uint64_t page = get64(list + 8 * i);
    if (page >= before) return damaged(c, page, "is out of order in a free list");
    int error = claim(c, page, 1);
    if (error) return error;
    before = page;
  }
  return 0;
}

static int check_free_record(struct check *c, const struct node *node, uint64_t overflow) {
  uint64_t txn = get64(node->key.data);
  if (!txn || txn > c->txn) return why_fail(c->why, DUNLIN_ECORRUPT, "a free list is of a transaction that never was");
  if (!(node->flags & NODE_OVERFLOW)) return check_free_list(c, node_data(node), node->data_len);
  uint8_t *list = env_alloc(c->env, node->data_len); /* not more than the file holds: the run was checked */
  if (!list) return DUNLIN_ENOMEM;
  int error = read_at(c, overflow * c->page_size + PAGE_HEADER, list, node->data_len);
  if (!error) error = check_free_list(c, list, node->data_len);
  env_free(c->env, list, node->data_len);
  return error;
}

static int check_tree(struct check *c, struct tree *tree, unsigned level);

static struct tree tree_read(const uint8_t *at, enum kind kind) {
  return (struct tree){.kind = kind,
                       .pad = get32(at),
                       .flags = get16(at + 4),
                       .depth = get16(at + 6),
                       .branches = get64(at + 8),
                       .leaves = get64(at + 16),
                       .overflows = get64(at + 24),
                       .entries = get64(at + 32),
                       .root = get64(at + 40)};
}

static int check_record(struct check *c, const struct tree *tree, struct tree *counted, const struct node *node,
                        uint64_t number, unsigned level) {
  uint64_t overflow = 0;
  counted->entries++;
  if (node->flags == NODE_TREE && tree->kind == TREE_MAIN) {
    if (node->data_len != TREE_LEN) return damaged(c, number, "the record of a named tree has a wrong length");
    struct tree named = tree_read(node_data(node), TREE_NAMED);
    return check_tree(c, &named, level + 1);
  }
  if (node->flags & ~NODE_OVERFLOW) return damaged(c, number, "a record has unknown flags");
  if (node->flags & NODE_OVERFLOW) {
    int error = check_overflow(c, counted, node, &overflow);
    if (error) return error;
  }
  return tree->kind == TREE_FREE ? check_free_record(c, node, overflow) : 0;
}

/* ---- Trees -------------------------------------------------------------------------------------------------- */

/* Walks the page `number`, `depth` levels above nothing (1: a leaf), and adds what is below to `counted`. */
static int check_page(struct check *c, const struct tree *tree, struct tree *counted, uint64_t number, unsigned depth,
                      unsigned level, struct key low, struct key high) {
  const uint8_t *page = NULL;
  bool leaf = depth == 1;
  int error = read_page(c, number, level, &page);
  if (error) return error;
  if (get16(page + 10) != (leaf ? FLAG_LEAF : FLAG_BRANCH)) return damaged(c, number, "is of a wrong kind");
  error = check_layout(c, page, leaf);
  if (!error) error = check_keys(c, tree, page, leaf, low, high);
  if (error) return error;
  size_t count = node_count(page);
  *(leaf ? &counted->leaves : &counted->branches) += 1;
  if (!leaf && count < 2) return damaged(c, number, "has a single branch"); /* LMDB asserts that it has not */

  for (size_t i = 0; i < count && !error; i++) {
    struct node node = node_at(page, i, leaf);
    if (leaf) {
      error = check_record(c, tree, counted, &node, number, level);
    } else {
      struct key until = i + 1 < count ? node_at(page, i + 1, false).key : high;
      error = check_page(c, tree, counted, node.child, depth - 1, level + 1, i ? node.key : low, until);
    }
  }
  return error;
}

/* Walks a whole tree, whose pages are read into the levels from `level` on. */
static int check_tree(struct check *c, struct tree *tree, unsigned level) {
  struct tree counted = {0};
  uint16_t flags = tree->kind == TREE_FREE ? TREE_INTEGER_KEYS : 0;
  if (tree->flags != flags || (tree->kind != TREE_FREE && tree->pad))
    return why_fail(c->why, DUNLIN_ECORRUPT, "a tree has flags that are never used here");
  if (tree->depth > DEPTH_MAX || (tree->depth == 0) != (tree->root == NO_PAGE))
    return why_fail(c->why, DUNLIN_ECORRUPT, "a tree has an impossible depth");
  int error = 0;
  if (tree->depth)
    error = check_page(c, tree, &counted, tree->root, tree->depth, level, (struct key){0}, (struct key){0});
  if (error) return error;
  if (counted.branches != tree->branches || counted.leaves != tree->leaves || counted.overflows != tree->overflows ||
      counted.entries != tree->entries)
    return why_fail(c->why, DUNLIN_ECORRUPT, "a tree does not have the pages and records that it counts");
  return 0;
}

/* ---- Metas -------------------------------------------------------------------------------------------------- */

/* Reads meta `slot` and checks what LMDB would take from either. */
static int read_meta(struct check *c, uint64_t slot, uint8_t meta[META_LEN]) {
  uint8_t page[PAGE_HEADER + META_LEN];
  int error = read_at(c, slot * c->page_size, page, sizeof page);
  if (error) return error;
  memcpy(meta, page + PAGE_HEADER, META_LEN);
  if (get64(page) != slot || get16(page + 10) != FLAG_META) return damaged(c, slot, "is not a meta page");
  if (get32(meta) != MAGIC || get32(meta + 4) != 1) return damaged(c, slot, "is not a meta page of this format");
  size_t size = get32(meta + 24);
  if (size < PAGE_MIN || size > PAGE_MAX || (size & (size - 1)) || (c->page_size && size != c->page_size))
    return damaged(c, slot, "has a wrong page size");
  if (get16(meta + 28) != TREE_INTEGER_KEYS) return damaged(c, slot, "has unknown flags");
  c->page_size = size;
  return 0;
}

/* Finds the newest of the two metas.  Transaction numbers follow each other; both are 0 in a new file. */
static int pick_meta(struct check *c, uint8_t meta[META_LEN]) {
  uint8_t other[META_LEN];
  int error = read_meta(c, 0, meta);
  if (error) return error;
  if (c->file_size < 2 * c->page_size) return why_fail(c->why, DUNLIN_ECORRUPT, "the data file is cut short");
  error = read_meta(c, 1, other);
  if (error) return error;
  uint64_t even = get64(meta + 128), odd = get64(other + 128);
  bool fresh = even == 0 && odd == 0, in_turn = even % 2 == 0 && odd % 2 == 1 && (even + 1 == odd || odd + 1 == even);
  if (!fresh && !in_turn) return damaged(c, 1, "the metas are not of consecutive transactions");
  if (odd > even) memcpy(meta, other, META_LEN);
  c->txn = odd > even ? odd : even;
  return 0;
}

/* A free page may lie beyond the end of the file, but then it is listed, in 8 bytes, in the file. */
static int set_range(struct check *c, const uint8_t *meta) {
  uint64_t last = get64(meta + 120), pages = c->file_size / c->page_size;
  if (last < 1 || last >= pages + c->file_size / 8) return damaged(c, last, "is past the end of the data file");
  c->page_count = last + 1;
  c->node_max = (((c->page_size - PAGE_HEADER) / 2) & ~(size_t)1) - 2; /* larger records go to overflow pages */
  c->seen = env_calloc(c->env, c->page_count / 8 + 1, 1);
  c->filled = env_alloc(c->env, c->page_size / 2);
  return c->seen && c->filled ? 0 : DUNLIN_ENOMEM;
}

static int check_file(struct check *c) {
  uint8_t meta[META_LEN];
  int error = pick_meta(c, meta);
  if (!error) error = set_range(c, meta);
  if (error) return error;
  struct tree spare = tree_read(meta + 24, TREE_FREE), main = tree_read(meta + 72, TREE_MAIN);
  error = check_tree(c, &main, 0);
  if (!error) error = check_tree(c, &spare, 0);
  if (error) return error;
  if (c->seen_count != c->page_count - 2)
    return why_fail(c->why, DUNLIN_ECORRUPT, "%llu pages are neither in use nor free",
                    (unsigned long long)(c->page_count - 2 - c->seen_count));
  return 0;
}

int pagecheck(const struct dunlin_env *env, const char *path, struct dunlin_why *why) {
  struct check c = {.env = env_or_default(env), .why = why};
  struct stat st;
  c.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (c.fd < 0) return errno == ENOENT ? 0 : why_system(why, "open", path);
  int error = fstat(c.fd, &st) ? why_system(why, "read", path) : 0;
  if (!error && !S_ISREG(st.st_mode)) error = why_fail(why, DUNLIN_ECORRUPT, "%s is not a file", path);
  c.file_size = error ? 0 : (uint64_t)st.st_size;
  if (c.file_size) error = check_file(&c);
  if (c.seen) env_free(c.env, c.seen, c.page_count / 8 + 1);
  if (c.filled) env_free(c.env, c.filled, c.page_size / 2);
  for (unsigned i = 0; i < LEVELS; i++)
    if (c.levels[i]) env_free(c.env, c.levels[i], c.page_size);
  close(c.fd);
  return error;
}
