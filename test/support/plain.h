/* Plain values for tests: from a notation that reads like JSON, at random, and back. */
#ifndef TEST_SUPPORT_PLAIN_H
#define TEST_SUPPORT_PLAIN_H

#include <dunlin/plain.h>

#include "crdt/msgpack.h"
#include "crdt/plain.h"
#include "crdt/value.h"
#include "test/support/support.h"

/* ---- Notation: null true false 1 -2 1.5 'string' [ ... ] { 'key': ... } ------------------------------------------ */

static inline const char *plain_space(const char *s) {
  while (*s == ' ') s++;
  return s;
}

static inline const char *plain_note(const char *s, struct buf *out);

/* What is between the brackets; the closing one ends it. */
static inline const char *plain_note_members(const char *s, struct buf *out, char close) {
  size_t start = out->len, count = 0;
  for (s = plain_space(s); *s != close; count++) {
    if (count) s = plain_space(s + 1); /* the comma */
    s = plain_note(s, out);
    if (close == '}') s = plain_note(plain_space(plain_space(s) + 1), out);
    s = plain_space(s);
    assert_true(*s == ',' || *s == close);
  }
  plain_insert_head(out, start, close == '}', count);
  return s + 1;
}

static inline const char *plain_note(const char *s, struct buf *out) {
  s = plain_space(s);
  if (*s == '{' || *s == '[') return plain_note_members(s + 1, out, *s == '{' ? '}' : ']');
  if (*s == '\'') {
    const char *end = strchr(s + 1, '\'');
    assert_non_null(end);
    mp_write_str(out, s + 1, (size_t)(end - s - 1));
    return end + 1;
  }
  if (!strncmp(s, "null", 4)) return mp_write_nil(out), s + 4;
  if (!strncmp(s, "true", 4)) return mp_write_bool(out, true), s + 4;
  if (!strncmp(s, "false", 5)) return mp_write_bool(out, false), s + 5;
  char *end;
  long long integer = strtoll(s, &end, 10);
  assert_true(end != s);
  if (*end == '.') mp_write_float(out, strtod(s, &end));
  else mp_write_int(out, integer);
  return end;
}

/* The value, for buf_free(). */
static inline struct buf plain_of(const char *notation) {
  struct buf out;
  buf_init(&out, dunlin_env_default(), SIZE_MAX);
  assert_int_equal(*plain_space(plain_note(notation, &out)), 0);
  assert_int_equal(out.error, 0);
  return out;
}
static inline struct dunlin_bytes buf_bytes(const struct buf *buf) {
  return (struct dunlin_bytes){buf->data, buf->len};
}

static inline void plain_print(const struct plain *plain, const struct plain_node *node, FILE *file) {
  const char *gap = "";
  bool is_map = node->value.kind == DUNLIN_MAP;
  switch (node->value.kind) {
    case DUNLIN_NULL: fprintf(file, "null"); break;
    case DUNLIN_BOOL: fprintf(file, node->value.as.boolean ? "true" : "false"); break;
    case DUNLIN_INT: fprintf(file, "%lld", (long long)node->value.as.integer); break;
    case DUNLIN_FLOAT: fprintf(file, "%#.17g", node->value.as.real); break;
    case DUNLIN_STRING:
      fprintf(file, "'%.*s'", (int)node->value.as.string.len, (const char *)node->value.as.string.data);
      break;
    case DUNLIN_BYTES: fprintf(file, "<%zu bytes>", node->value.as.string.len); break;
    case DUNLIN_TIME: fprintf(file, "@%lld", (long long)node->value.as.time); break;
    default:
      fprintf(file, is_map ? "{" : "[");
      for (const struct plain_node *m = plain_at(plain, node->first); m; m = plain_at(plain, m->next), gap = ", ") {
        fprintf(file, "%s", gap);
        if (is_map) fprintf(file, "'%.*s': ", (int)m->key.len, (const char *)m->key.data);
        plain_print(plain, m, file);
      }
      fprintf(file, is_map ? "}" : "]");
  }
}
/* The notation of a value, for free(). */
static inline char *plain_text(struct dunlin_bytes bytes) {
  struct plain plain;
  char *text = NULL;
  size_t len;
  FILE *file = open_memstream(&text, &len);
  assert_non_null(file);
  if (!bytes.data) {
    fprintf(file, "(nothing)");
  } else {
    OK(plain_open(&plain, dunlin_env_default(), bytes, false));
    plain_print(&plain, plain.nodes, file);
    plain_close(&plain);
  }
  fclose(file);
  return text;
}

static uint64_t plain_seed; /* of the run, for the message; 0: none */
static inline void assert_plain_bytes(struct dunlin_bytes got, struct dunlin_bytes expected) {
  if (got.len == expected.len && (!got.len || !memcmp(got.data, expected.data, got.len))) return;
  char *a = plain_text(got), *b = plain_text(expected);
  fail_msg("TEST_SEED=%llu: %s instead of %s", (unsigned long long)plain_seed, a, b);
}
static inline void assert_plain(struct dunlin_bytes got, const char *expected) {
  struct buf e = plain_of(expected); /* in any order of keys */
  struct plain plain;
  OK(plain_open(&plain, dunlin_env_default(), buf_bytes(&e), false));
  assert_plain_bytes(got, plain_bytes(&plain, plain.nodes));
  plain_close(&plain);
  buf_free(&e);
}
/* What a container of a document reads as. */
static inline void assert_reads(const dunlin_doc *doc, dunlin_obj obj, const char *expected) {
  void *out = NULL;
  size_t len = 0;
  OK(dunlin_read_plain(doc, obj, &out, &len));
  assert_plain((struct dunlin_bytes){out, len}, expected);
  dunlin_free(NULL, out, len);
}

/* ---- Merges ------------------------------------------------------------------------------------------------- */

/* Does the operations to a document that holds `local`, which must become the merged value. */
static inline void apply_ops(dunlin_doc *doc, struct dunlin_bytes local, const struct dunlin_merge *merge) {
  struct dunlin_value value;
  struct buf got;
  OK(dunlin_begin(doc));
  OK(dunlin_map_delete(doc, DUNLIN_ROOT, dunlin_key("v")));
  OK(dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), local));
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("v"), &value));
  if (merge->op_count && !merge->ops[0].path.len && merge->ops[0].kind == DUNLIN_OP_SET) /* all of it */
    OK(dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), merge->ops[0].value));
  else if (merge->op_count) OK(dunlin_path_apply_all(doc, value.as.obj, merge->ops, merge->op_count));
  OK(dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("v"), &value));
  buf_init(&got, dunlin_env_default(), SIZE_MAX);
  plain_of_value(doc, &value, &got);
  assert_plain_bytes(buf_bytes(&got), merge->value);
  buf_free(&got);
  dunlin_abort(doc);
}

/* ---- At random ---------------------------------------------------------------------------------------------- */

static inline void random_string(struct rng *rng, struct buf *out, bool bytes) {
  static const char *const pieces[] = {
      "a", "b", "", "\316\2510", "x~/y", "\xf0\x9f\xa6\x86", "long enough for a longer head"};
  uint8_t text[128];
  size_t len = 0, count = rng_below(rng, 4);
  for (size_t i = 0; i < count; i++) {
    const char *piece = pieces[rng_below(rng, sizeof pieces / sizeof *pieces)];
    memcpy(text + len, piece, strlen(piece));
    len += strlen(piece);
    if (rng_chance(rng, 1, 8)) text[len++] = 0;
  }
  if (bytes) mp_write_bin(out, text, len);
  else mp_write_str(out, text, len);
}

static inline void random_scalar(struct rng *rng, struct buf *out) {
  static const double reals[] = {0.0, -0.0, 1.0, 1e300, -1.5, __builtin_inf(), __builtin_nan("")};
  switch (rng_below(rng, 10)) {
    case 0: mp_write_nil(out); break;
    case 1: mp_write_bool(out, rng_chance(rng, 1, 2)); break;
    case 2: mp_write_int(out, (int64_t)(rng_next(rng) >> rng_below(rng, 64))); break;
    case 3: mp_write_int(out, -(int64_t)(rng_next(rng) >> (1 + rng_below(rng, 63)))); break;
    case 4: mp_write_float(out, reals[rng_below(rng, 7)]); break;
    case 5: random_string(rng, out, true); break;
    case 6: mp_write_time(out, (int64_t)rng_next(rng)); break;
    case 7: random_string(rng, out, false); break;
    default: mp_write_int(out, (int64_t)rng_below(rng, 4)); /* so that things are equal now and then */
  }
}

/* Appends a value of at most `budget` more values; takes them off. */
static inline void random_plain(struct rng *rng, struct buf *out, unsigned depth, size_t *budget) {
  size_t what = rng_below(rng, 10);
  if (*budget) --*budget;
  if (what < 4 || depth >= 6 || !*budget) {
    random_scalar(rng, out);
    return;
  }
  size_t start = out->len, count = 0, most = rng_below(rng, 6);
  if (what < 7) {
    for (; count < most && *budget; count++) random_plain(rng, out, depth + 1, budget);
  } else {
    for (char key = 'a'; key < 'h' && count < most && *budget; key++) {
      if (rng_chance(rng, 1, 2)) continue;
      char name[3] = {key, 0, '/'};
      mp_write_str(out, name, 1 + rng_below(rng, 3));
      random_plain(rng, out, depth + 1, budget);
      count++;
    }
  }
  plain_insert_head(out, start, what >= 7, count);
}

/* Appends a copy of a node with a few things changed in it; canonical. */
static inline void mutate_plain(struct rng *rng, const struct plain *plain, const struct plain_node *node,
                                struct buf *out, unsigned depth) {
  size_t budget = 6, start, count = 0;
  if (rng_chance(rng, 1, 12)) {
    random_plain(rng, out, depth, &budget);
    return;
  }
  if (node->value.kind < DUNLIN_MAP) {
    struct dunlin_bytes same = plain_bytes(plain, node);
    if (rng_chance(rng, 1, 5)) random_scalar(rng, out);
    else buf_append(out, same.data, same.len);
    return;
  }
  start = out->len;
  bool is_map = node->value.kind == DUNLIN_MAP;
  for (const struct plain_node *m = plain_at(plain, node->first); m; m = plain_at(plain, m->next)) {
    if (rng_chance(rng, 1, 8)) continue;
    if (!is_map && rng_chance(rng, 1, 8)) random_plain(rng, out, depth + 1, &budget), count++;
    if (is_map) mp_write_str(out, m->key.data, m->key.len);
    mutate_plain(rng, plain, m, out, depth + 1);
    count++;
  }
  if (rng_chance(rng, 1, 4)) {
    if (is_map) mp_write_str(out, rng_chance(rng, 1, 2) ? "z" : "zz", 2 - rng_below(rng, 2)); /* behind all others */
    random_plain(rng, out, depth + 1, &budget);
    count++;
  }
  plain_insert_head(out, start, is_map, count);
}

#endif
