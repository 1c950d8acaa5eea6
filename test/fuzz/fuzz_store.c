#include "test/fuzz/fuzz_store.h"

#include <sodium.h>
#include <unistd.h>

#include "persist/store_doc.h"

static struct fuzz_store f;
static char dir[300], key_path[320], data_path[320];
static struct dunlin_bytes data_file;

static void open_store(void) {
  struct dunlin_store_options options = dunlin_store_defaults();
  struct dunlin_why why = {""};
  seeded_init(&f.memory, 2);
  f.memory.clock = 1700000000000000;
  options.env = &f.memory.env;
  options.key.key_file = key_path;
  options.stepped = true;
  if (dunlin_store_open(dir, &options, &f.store, &why)) fuzz_fail(__FILE__, __LINE__, why.text);
}

static void create_store(void) {
  struct dunlin_store_options options = dunlin_store_defaults();
  struct dunlin_why why = {""};
  snprintf(dir, sizeof dir, "%.250s/store", fuzz_directory());
  snprintf(key_path, sizeof key_path, "%.250s/key", fuzz_directory());
  snprintf(data_path, sizeof data_path, "%s/data.mdb", dir);
  seeded_init(&f.memory, 1);
  f.memory.clock = 1700000000000000;
  options.env = &f.memory.env;
  options.key.key_file = key_path;
  options.device_name = "host";
  if (dunlin_store_create(dir, &options, &why)) fuzz_fail(__FILE__, __LINE__, why.text);
}

static void make_guest(void) {
  uint8_t seed[32] = {9};
  crypto_sign_seed_keypair(f.guest.self.device.bytes, f.guest.sign_secret, seed);
  memset(f.guest.noise_secret, 3, 32);
  CHECK(!crypto_scalarmult_base(f.guest.self.noise_public, f.guest.noise_secret));
  memset(f.guest.self.contact, 4, 32);
  snprintf(f.guest.self.name, sizeof f.guest.self.name, "guest");
}

static void write_doc(const struct dunlin_id *space) {
  dunlin_store_doc *handle;
  CHECK(!dunlin_store_doc_open(f.store, space, dunlin_key("d"), DUNLIN_CREATE, &handle));
  dunlin_doc *doc = dunlin_store_doc_get(handle);
  for (int i = 0; i < 3; i++) {
    CHECK(!dunlin_begin(doc));
    dunlin_map_put(doc, DUNLIN_ROOT, dunlin_key("k"), (struct dunlin_value){.kind = DUNLIN_INT, .as.integer = i});
    CHECK(dunlin_commit(doc, 0, NULL) == 1);
  }
  dunlin_store_doc_close(handle);
}

struct fuzz_store *fuzz_store(void) {
  struct buf welcome = fuzz_buf();
  struct space *space = NULL;
  if (f.store) return &f;
  create_store();
  open_store();
  make_guest();
  CHECK(!dunlin_space_new(f.store, "home", &f.space) && !dunlin_space_new(f.store, "secret", &f.secret));
  CHECK(!exchange_admit(f.store, &f.space, &f.guest.self, &welcome));
  CHECK(!space_read(dunlin_env_default(), (struct dunlin_bytes){welcome.data, welcome.len}, true, &space));
  f.keys = space->keys;
  space_free(space);
  buf_free(&welcome);
  write_doc(&f.space);
  write_doc(&f.secret);
  CHECK(!dunlin_store_close(f.store));
  CHECK(!f.memory.live);
  data_file = fuzz_read_file(data_path);
  open_store();
  return &f;
}

void fuzz_store_reset(struct fuzz_store *s) {
  CHECK(!dunlin_store_close(s->store));
  CHECK(!s->memory.live);
  fuzz_write_file(data_path, data_file);
  open_store();
}

/* ---- The guest's log --------------------------------------------------------------------------------------------- */

struct log_name fuzz_guest_log(const struct fuzz_store *s, uint8_t lane) {
  return (struct log_name){.space = s->space, .device = s->guest.self.device, .actor = {{7, 7, 7}}, .lane = lane};
}

int fuzz_guest_seal(const struct fuzz_store *s, const struct log_name *log, uint64_t first, uint32_t count,
                    const struct dunlin_id *tip, struct dunlin_bytes data, struct buf *sealed) {
  struct log_keys keys;
  log_keys_derive(&keys, &s->keys, log);
  return seal_run(sealed, &keys, log, first, count, tip, s->guest.sign_secret, data);
}

struct dunlin_id fuzz_home_head(const struct fuzz_store *s) {
  uint8_t heads[64 * 32];
  struct dunlin_id head;
  struct buf ops = fuzz_buf();
  struct dunlin_bytes last = {"", 0};
  CHECK(!exchange_members_write(s->store, &s->space, &ops));
  struct mp_reader r = mp_reader_of(ops.data, ops.len);
  for (size_t left = mp_read_array(&r, SPACE_MAX_OPS); left; left--) {
    mp_read_array(&r, 2);
    last = mp_read_bin(&r, SPACE_MAX_BYTES);
    mp_read_bin_exact(&r, 64);
  }
  CHECK(!mp_end(&r) && last.len < sizeof heads);
  head = env_hash(dunlin_env_default(), "dunlin.member.1", &last, 1);
  buf_free(&ops);
  return head;
}

struct dunlin_bytes fuzz_guest_delta(const struct fuzz_store *s, const struct log_name *log) {
  struct dunlin_id id = doc_id_of_name(dunlin_env_default(), &s->space, "d", 1);
  dunlin_doc *doc;
  dunlin_obj text;
  void *data;
  size_t len;
  CHECK(!dunlin_doc_new(NULL, &id, &log->actor, &doc));
  CHECK(!dunlin_begin(doc));
  text = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT);
  dunlin_text_splice(doc, text, 0, 0, "word", 4);
  CHECK(dunlin_commit(doc, 5, NULL) == 1);
  CHECK(!dunlin_begin(doc));
  dunlin_text_splice(doc, text, 1, 2, "xyz", 3);
  CHECK(dunlin_commit(doc, 0, NULL) == 1);
  CHECK(!dunlin_doc_delta(doc, NULL, 0, &data, &len));
  dunlin_doc_free(doc);
  return (struct dunlin_bytes){data, len};
}
