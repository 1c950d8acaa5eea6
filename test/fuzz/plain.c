/* Plain values from anybody.  What is accepted is what msgpack-c reads there too; its canonical form is accepted and
 * stays as it is; a document shows it after dunlin_write_plain(), which then has nothing more to write.  Three that are
 * accepted merge, the same with the sides swapped, and the operations lead to the merged value.  An operation by path
 * either is done or leaves everything as it was.
 *
 * Input: three values, each behind its length; then a byte for the kind of an operation, one for its index, and its
 * path; its value is the third. */
#include "crdt/doc.h"
#include "crdt/plain.h"
#include "test/fuzz/fuzz_doc.h"

#include <msgpack/unpack.h>

enum { VALUES = 3 };

/* ---- Another reader ----------------------------------------------------------------------------------------- */

static bool same_bytes(struct dunlin_bytes a, const char *data, uint32_t len) {
  return a.len == len && (!len || !memcmp(a.data, data, len));
}

static void check_scalar(const struct dunlin_value *v, const msgpack_object *o) {
  double real;
  switch (v->kind) {
    case DUNLIN_NULL: CHECK(o->type == MSGPACK_OBJECT_NIL); break;
    case DUNLIN_BOOL: CHECK(o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean == v->as.boolean); break;
    case DUNLIN_INT:
      if (v->as.integer < 0) CHECK(o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && o->via.i64 == v->as.integer);
      else CHECK(o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 == (uint64_t)v->as.integer);
      break;
    case DUNLIN_FLOAT:
      CHECK(o->type == MSGPACK_OBJECT_FLOAT32 || o->type == MSGPACK_OBJECT_FLOAT64);
      real = o->via.f64;
      CHECK((real != real && v->as.real != v->as.real) || !memcmp(&real, &v->as.real, sizeof real));
      break;
    case DUNLIN_STRING:
      CHECK(o->type == MSGPACK_OBJECT_STR && same_bytes(v->as.string, o->via.str.ptr, o->via.str.size));
      break;
    case DUNLIN_BYTES:
      CHECK(o->type == MSGPACK_OBJECT_BIN && same_bytes(v->as.string, o->via.bin.ptr, o->via.bin.size));
      break;
    default:
      CHECK(v->kind == DUNLIN_TIME && o->type == MSGPACK_OBJECT_EXT && o->via.ext.type == 1 && o->via.ext.size == 8);
      CHECK(get_be64((const uint8_t *)o->via.ext.ptr) == (uint64_t)v->as.time);
  }
}

static void check_same(const struct plain *plain, const struct plain_node *node, const msgpack_object *o) {
  const struct plain_node *member = plain_at(plain, node->first), *last = NULL;
  uint32_t count = 0;
  switch (node->value.kind) {
    case DUNLIN_MAP:
      CHECK(o->type == MSGPACK_OBJECT_MAP && o->via.map.size == node->count);
      for (; member; last = member, member = plain_at(plain, member->next), count++) {
        CHECK(!last || bytes_compare(last->key, member->key) < 0);
        uint32_t at = 0;
        while (at < node->count &&
               !same_bytes(member->key, o->via.map.ptr[at].key.via.str.ptr, o->via.map.ptr[at].key.via.str.size))
          at++;
        CHECK(at < node->count);
        check_same(plain, member, &o->via.map.ptr[at].val);
      }
      CHECK(count == node->count);
      break;
    case DUNLIN_LIST:
      CHECK(o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size == node->count);
      for (; member; member = plain_at(plain, member->next), count++)
        check_same(plain, member, &o->via.array.ptr[count]);
      CHECK(count == node->count);
      break;
    default: check_scalar(&node->value, o);
  }
}

/* ---- Values ------------------------------------------------------------------------------------------------- */

static bool is_error_of_a_value(int error) {
  return error == DUNLIN_EFORMAT || error == DUNLIN_EUTF8 || error == DUNLIN_ERANGE || error == DUNLIN_ELIMIT;
}

/* Whether it is accepted; then it stays open. */
static bool read_value(const struct dunlin_env *env, struct dunlin_bytes input, struct plain *plain) {
  struct plain again;
  int error = plain_open(plain, env, input, true);
  CHECK(!error || is_error_of_a_value(error));
  if (error) return false;
  msgpack_unpacked other;
  size_t at = 0;
  msgpack_unpacked_init(&other);
  CHECK(msgpack_unpack_next(&other, input.data, input.len, &at) == MSGPACK_UNPACK_SUCCESS && at == input.len);
  check_same(plain, plain->nodes, &other.data);
  msgpack_unpacked_destroy(&other);
  struct dunlin_bytes canonical = plain_bytes(plain, plain->nodes);
  CHECK(!plain_open(&again, env, canonical, true));
  CHECK(bytes_same(plain_bytes(&again, again.nodes), canonical));
  plain_close(&again);
  return true;
}

static void check_shows(const dunlin_doc *doc, struct dunlin_bytes canonical) {
  struct dunlin_value value;
  struct buf bytes = fuzz_buf();
  CHECK(!dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("v"), &value));
  plain_of_value(doc, &value, &bytes);
  CHECK(!bytes.error && bytes_same((struct dunlin_bytes){bytes.data, bytes.len}, canonical));
  buf_free(&bytes);
}

/* A text at "v", which stays one as long as strings are written. */
static void begin_with_text(dunlin_doc *doc) {
  CHECK(!dunlin_begin(doc));
  dunlin_obj text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("v"), DUNLIN_TEXT);
  CHECK(!dunlin_text_splice(doc, text, 0, 0, "caf\xc3\xa9 \xf0\x9f\xa6\x86", 10));
  CHECK(dunlin_commit(doc, 0, NULL) == 1);
}

/* Makes "v" hold the value, over what is there; false when a document cannot. */
static bool write_value(dunlin_doc *doc, struct dunlin_bytes input, const struct plain *plain) {
  struct dunlin_id before = fuzz_hash(doc);
  CHECK(!dunlin_begin(doc));
  int error = dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), input);
  int committed = dunlin_commit(doc, 0, NULL);
  if (error) {
    struct dunlin_id after = fuzz_hash(doc);
    CHECK(committed == error && is_error_of_a_value(error));
    CHECK(!memcmp(&before, &after, sizeof before));
    return false;
  }
  CHECK(committed >= 0 && plain);
  check_shows(doc, plain_bytes(plain, plain->nodes));
  CHECK(!dunlin_begin(doc));
  CHECK(!dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), plain_bytes(plain, plain->nodes)));
  CHECK(!dunlin_commit(doc, 0, NULL)); /* nothing to write */
  return true;
}

/* ---- Merging ------------------------------------------------------------------------------------------------ */

static void check_ops(dunlin_doc *doc, struct dunlin_bytes local, const struct dunlin_merge *merge) {
  struct dunlin_value value;
  CHECK(!dunlin_begin(doc));
  CHECK(!dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), local));
  CHECK(!dunlin_map_get(doc, DUNLIN_ROOT, dunlin_key("v"), &value));
  bool all = merge->op_count && !merge->ops[0].path.len && merge->ops[0].kind == DUNLIN_OP_SET;
  if (all) CHECK(!dunlin_write_plain(doc, DUNLIN_ROOT, dunlin_key("v"), merge->ops[0].value));
  else if (merge->op_count) CHECK(!dunlin_path_apply_all(doc, value.as.obj, merge->ops, merge->op_count));
  check_shows(doc, merge->value);
  dunlin_abort(doc);
}

static void check_merge(const struct dunlin_env *env, dunlin_doc *doc, const struct dunlin_bytes *inputs) {
  struct dunlin_merge *merge, *swapped;
  CHECK(!dunlin_merge3(env, inputs[0], inputs[1], inputs[2], &merge));
  CHECK(!dunlin_merge3(env, inputs[0], inputs[2], inputs[1], &swapped));
  CHECK(bytes_same(merge->value, swapped->value) && merge->conflict_count == swapped->conflict_count);
  for (size_t i = 0; i < merge->conflict_count; i++) {
    const struct dunlin_merge_conflict *a = &merge->conflicts[i], *b = &swapped->conflicts[i];
    CHECK(bytes_same(a->path, b->path) && bytes_same(a->local, b->remote) && bytes_same(a->remote, b->local));
    CHECK(!bytes_same(a->local, a->remote) && !bytes_same(a->local, a->base) && !bytes_same(a->remote, a->base));
  }
  check_ops(doc, inputs[1], merge);
  check_ops(doc, inputs[2], swapped);
  dunlin_merge_free(merge);
  dunlin_merge_free(swapped);
}

/* ---- Paths -------------------------------------------------------------------------------------------------- */

/* `shown`: what is at "v". */
static void check_path(dunlin_doc *doc, struct fuzz_in *in, struct dunlin_bytes value, struct dunlin_bytes shown) {
  struct dunlin_path_op op = {.kind = (enum dunlin_op_kind)(1 + fuzz_below(in, 6)), .value = value};
  op.index = fuzz_byte(in);
  op.path = fuzz_rest(in);
  struct dunlin_value found;
  struct dunlin_id before = fuzz_hash(doc);
  int error = dunlin_path_get(doc, DUNLIN_ROOT, op.path, &found);
  CHECK(!error || error == DUNLIN_EPATH);
  CHECK(!dunlin_begin(doc));
  error = dunlin_path_apply(doc, DUNLIN_ROOT, &op);
  if (error == DUNLIN_EPATH || error == DUNLIN_EINVAL) check_shows(doc, shown); /* nothing was written */
  int committed = dunlin_commit(doc, 0, NULL);
  if (error) {
    struct dunlin_id after = fuzz_hash(doc);
    CHECK(committed == error && !memcmp(&before, &after, sizeof before));
    return;
  }
  CHECK(committed >= 0);
  error = dunlin_path_get(doc, DUNLIN_ROOT, op.path, &found);
  bool is_map_key = op.kind == DUNLIN_OP_DELETE && error; /* of a list the next element stands there now */
  CHECK(!error || is_map_key || op.kind == DUNLIN_OP_SET || op.kind == DUNLIN_OP_MERGE); /* "-" */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct seeded memory;
  struct fuzz_in in = fuzz_in_of(data, size);
  struct dunlin_bytes inputs[VALUES];
  struct plain plain[VALUES];
  bool is_good[VALUES], written = true;
  seeded_init(&memory, 1);
  dunlin_doc *doc = fuzz_doc(&memory.env, 1);
  begin_with_text(doc);
  for (int i = 0; i < VALUES; i++) {
    inputs[i] = fuzz_chunk(&in);
    is_good[i] = read_value(&memory.env, inputs[i], &plain[i]);
    written &= write_value(doc, inputs[i], is_good[i] ? &plain[i] : NULL);
  }
  if (written) {
    check_merge(&memory.env, doc, inputs);
    check_path(doc, &in, inputs[2], plain_bytes(&plain[2], plain[2].nodes));
    fuzz_accepted++;
  }
  CHECK(!doc_check(doc, true));
  CHECK(memory.peak <= FUZZ_MEMORY);
  for (int i = 0; i < VALUES; i++)
    if (is_good[i]) plain_close(&plain[i]);
  dunlin_doc_free(doc);
  CHECK(!memory.live);
  return 0;
}

/* ---- Seeds -------------------------------------------------------------------------------------------------- */

#define BYTES(s)                                                                                                       \
  { (s), sizeof(s) - 1 }

static const struct {
  const char *name;
  struct dunlin_bytes values[VALUES];
  enum dunlin_op_kind kind;
  uint8_t index;
  const char *path;
} seeds[] = {
    {"scalars",
     {BYTES("\x96\xc0\xc3\x05\xd3\xff\xff\xff\xff\xff\xff\xff\xff\xcb\x3f\xf0\0\0\0\0\0\0\xd7\x01\0\0\0\0\0\0\0\x09"),
      BYTES("\x94\xca\x3f\x80\0\0\xd9\x02\xce\xa9\xc4\x02\xff\0\xcd\x12\x34"), BYTES("\xdc\0\x01\xc2")},
     DUNLIN_OP_INSERT,
     0,
     "/v"},
    {"maps",
     {BYTES("\x83\xa1"
            "b\x01\xa1"
            "a\x82\xa1"
            "x\x01\xa1"
            "y\x02\xa1"
            "c\x80"),
      BYTES("\x82\xa1"
            "b\x02\xa1"
            "a\x81\xa1"
            "x\x03"),
      BYTES("\x83\xa1"
            "b\x03\xa1"
            "a\x82\xa1"
            "x\x04\xa1"
            "y\x02\xa1"
            "d\x90")},
     DUNLIN_OP_SET,
     0,
     "/v/a/new/x"},
    {"lists",
     {BYTES("\x95\x01\x02\x03\x81\xa1"
            "k\x01\x05"),
      BYTES("\x96\x01\x07\x03\x81\xa1"
            "k\x02\x05\x06"),
      BYTES("\x97\0\x01\x02\x03\x81\xa1"
            "k\x03\x05\x08")},
     DUNLIN_OP_REMOVE,
     2,
     "/v"},
    {"texts",
     {BYTES("\xa6"
            "caf\xc3\xa8 "),
      BYTES("\xaa"
            "caf\xc3\xa9 noir"),
      BYTES("\xa0")},
     DUNLIN_OP_SET,
     0,
     "/v"},
    {"merging",
     {BYTES("\x91\x80"),
      BYTES("\x91\x81\xa1"
            "a\x01"),
      BYTES("\x81\xa1"
            "b\x02")},
     DUNLIN_OP_MERGE,
     0,
     "/v/~0~1/a"},
    {"deleting",
     {BYTES("\x92\x01\x02"), BYTES("\x92\x02\x01"),
      BYTES("\x81\xa1"
            "b\x91\x02")},
     DUNLIN_OP_DELETE,
     0,
     "/v/b/0"},
};

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
    struct buf out = fuzz_buf();
    for (int v = 0; v < VALUES; v++) fuzz_put_chunk(&out, seeds[i].values[v]);
    fuzz_put_byte(&out, (uint8_t)(seeds[i].kind - 1));
    fuzz_put_byte(&out, seeds[i].index);
    buf_append(&out, seeds[i].path, strlen(seeds[i].path));
    fuzz_emit_buf(emit, ctx, seeds[i].name, &out);
  }
}
