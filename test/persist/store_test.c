/* A store by its public functions: creating, opening, each error by name, documents, processes. */
#include <limits.h>
#include <pthread.h>
#include <signal.h>

#include "test/persist/store_support.h"

static void create_open_reopen(void **state) {
  (void)state;
  struct place place = place_new();
  struct dunlin_id space, found;
  struct dunlin_why why;
  place_create(&place, "laptop");
  assert_int_equal(dunlin_store_probe(place.dir, &why), DUNLIN_KEY_FILE);

  dunlin_store *store = place_open(&place);
  OK(dunlin_space_new(store, "home", &space));
  FAILS(dunlin_space_new(store, "home", &found), DUNLIN_EEXIST);
  dunlin_store_doc *doc = doc_open(store, &space, "todo", DUNLIN_CREATE);
  assert_int_equal(put_int(doc, "a", 1), 1);
  assert_int_equal(put_int(doc, "a", 1), 0); /* nothing to commit */
  assert_int_equal(put_int(doc, "b", 2), 1);
  uint64_t durable;
  OK(dunlin_store_doc_durable(doc, &durable));
  assert_int_equal(durable, 2);
  FAILS(dunlin_store_close(store), DUNLIN_ESTATE);
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(store));

  store = place_open(&place);
  OK(dunlin_space_find(store, "home", &found));
  assert_memory_equal(&found, &space, sizeof space);
  doc = doc_open(store, &space, "todo", 0);
  assert_int_equal(get_int(doc, "a"), 1);
  assert_int_equal(get_int(doc, "b"), 2);
  OK(dunlin_store_doc_durable(doc, &durable));
  assert_int_equal(durable, 2);
  assert_int_equal(put_int(doc, "c", 3), 1);
  char name[DUNLIN_MAX_NAME + 1];
  size_t len;
  OK(dunlin_store_doc_list(store, &space, 0, name, &len));
  assert_string_equal(name, "todo");
  FAILS(dunlin_store_doc_list(store, &space, 1, name, &len), DUNLIN_ENOENT);
  struct dunlin_store_info info;
  OK(dunlin_store_info(store, &info));
  assert_string_equal(info.device_name, "laptop");
  assert_int_equal(info.entries, 4); /* three puts and the directory's */
  assert_int_equal(dunlin_store_verify(store, print_fault, NULL), 0);
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(store));
  place_remove(&place);
}

static void document_errors(void **state) {
  (void)state;
  struct place place = place_new();
  struct dunlin_id space, nowhere = {{1}};
  dunlin_store_doc *doc = NULL;
  place_create(&place, "laptop");
  dunlin_store *store = place_open(&place);
  OK(dunlin_space_new(store, "home", &space));
  FAILS(dunlin_store_doc_open(store, &nowhere, dunlin_key("x"), DUNLIN_CREATE, &doc), DUNLIN_ENOENT);
  FAILS(dunlin_store_doc_open(store, &space, dunlin_key("x"), 0, &doc), DUNLIN_ENOENT);
  FAILS(dunlin_store_doc_open(store, &space, dunlin_key(""), DUNLIN_CREATE, &doc), DUNLIN_EINVAL);
  FAILS(dunlin_store_doc_open(store, &space, dunlin_key("\xff"), DUNLIN_CREATE, &doc), DUNLIN_EUTF8);
  FAILS(dunlin_store_doc_open(store, &space, dunlin_key("x"), 64, &doc), DUNLIN_EINVAL);
  char longest[DUNLIN_MAX_NAME + 2];
  memset(longest, 'n', sizeof longest);
  FAILS(dunlin_store_doc_open(store, &space, (struct dunlin_bytes){longest, DUNLIN_MAX_NAME + 1}, DUNLIN_CREATE, &doc),
        DUNLIN_ELIMIT);
  OK(dunlin_store_doc_open(store, &space, (struct dunlin_bytes){longest, DUNLIN_MAX_NAME}, DUNLIN_CREATE, &doc));
  dunlin_store_doc_close(doc);
  doc = doc_open(store, &space, "x", DUNLIN_CREATE);
  dunlin_store_doc *reader = doc_open(store, &space, "x", DUNLIN_READONLY);
  FAILS(put_int(reader, "a", 1), DUNLIN_EPERM);
  OK(dunlin_begin(dunlin_store_doc_get(doc)));
  FAILS(dunlin_store_doc_pull(doc, NULL), DUNLIN_ESTATE);
  dunlin_abort(dunlin_store_doc_get(doc));
  dunlin_store_doc_close(reader);
  dunlin_store_doc_close(doc);

  /* All writer slots taken. */
  dunlin_store_doc *docs[DUNLIN_MAX_WRITERS];
  for (size_t i = 0; i < DUNLIN_MAX_WRITERS; i++) docs[i] = doc_open(store, &space, "x", 0);
  FAILS(dunlin_store_doc_open(store, &space, dunlin_key("x"), 0, &doc), DUNLIN_EBUSY);
  for (size_t i = 0; i < DUNLIN_MAX_WRITERS; i++) dunlin_store_doc_close(docs[i]);
  doc = doc_open(store, &space, "x", 0);
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(store));
  place_remove(&place);
}

static void write_file(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void opening_errors(void **state) {
  (void)state;
  struct place place = place_new();
  struct dunlin_why why = {""};
  char path[PATH_MAX];
  FAILS(place_try(&place, &why), DUNLIN_ENOSTORE);
  assert_non_null(strstr(why.text, place.dir));
  OK(mkdir(place.dir, 0700));
  FAILS(place_try(&place, &why), DUNLIN_ENOSTORE);
  snprintf(path, sizeof path, "%s/novel.txt", place.dir);
  write_file(path, "It was a dark and stormy night");
  FAILS(place_try(&place, &why), DUNLIN_ENOTSTORE);
  struct dunlin_store_options options = place_options(&place, "x");
  FAILS(dunlin_store_create(place.dir, &options, &why), DUNLIN_ENOTSTORE);
  assert_int_equal(access(path, F_OK), 0); /* and nothing was touched */
  unlink(path);
  place_create(&place, "laptop");
  FAILS(dunlin_store_create(place.dir, &options, &why), DUNLIN_EEXIST);
  assert_int_equal(place_try(&place, &why), 0);

  /* Keys. */
  dunlin_store *store = NULL;
  options.key = (struct dunlin_store_key){.passphrase = "guess", .passphrase_len = 5};
  FAILS(dunlin_store_open(place.dir, &options, &store, &why), DUNLIN_ENOKEY);
  options.key = (struct dunlin_store_key){0};
  FAILS(dunlin_store_open(place.dir, &options, &store, &why), DUNLIN_ENOKEY);
  options.key.key_file = "/nonexistent/key";
  FAILS(dunlin_store_open(place.dir, &options, &store, &why), DUNLIN_ENOKEY);
  options.size = 1;
  FAILS(dunlin_store_open(place.dir, &options, &store, &why), DUNLIN_EINVAL);

  /* Another version: byte 11 is the last of the version. */
  snprintf(path, sizeof path, "%s/store", place.dir);
  int fd = open(path, O_RDWR);
  assert_int_equal(pwrite(fd, "\x63", 1, 11), 1);
  FAILS(place_try(&place, &why), DUNLIN_EVERSION);
  assert_int_equal(pwrite(fd, "\x01", 1, 11), 1);
  assert_int_equal(place_try(&place, &why), 0);
  close(fd);

  /* The data file cut to nothing, or gone. */
  snprintf(path, sizeof path, "%s/data.mdb", place.dir);
  OK(truncate(path, 0));
  FAILS(place_try(&place, &why), DUNLIN_ECORRUPT);
  unlink(path);
  FAILS(place_try(&place, &why), DUNLIN_ECORRUPT);
  place_remove(&place);
}

static void passphrase_and_rekey(void **state) {
  (void)state;
  struct place place = place_new();
  struct dunlin_why why = {""};
  struct dunlin_id space;
  dunlin_store *store = NULL;
  struct dunlin_store_options options = place_options(&place, "laptop"), wrong;
  options.key = (struct dunlin_store_key){.passphrase = "correct horse", .passphrase_len = 13};
  OK(dunlin_store_create(place.dir, &options, &why));
  assert_int_equal(dunlin_store_probe(place.dir, &why), DUNLIN_KEY_PASSPHRASE);
  wrong = options;
  wrong.key.passphrase_len = 12;
  FAILS(dunlin_store_open(place.dir, &wrong, &store, &why), DUNLIN_EPASS);
  OK(dunlin_store_open(place.dir, &options, &store, &why));
  OK(dunlin_space_new(store, "home", &space));
  struct dunlin_store_key file = {.key_file = place.key};
  OK(dunlin_store_rekey(store, &file, &why));
  struct dunlin_store_info info;
  OK(dunlin_store_info(store, &info));
  assert_int_equal(info.key_kind, DUNLIN_KEY_FILE);
  OK(dunlin_store_close(store));
  FAILS(dunlin_store_open(place.dir, &options, &store, &why), DUNLIN_ENOKEY);
  store = place_open(&place);
  OK(dunlin_space_find(store, "home", &space));
  OK(dunlin_store_close(store));
  place_remove(&place);
}

static void twice_and_fork(void **state) {
  (void)state;
  NEEDS_FORK();
  struct place place = place_new();
  struct dunlin_why why = {""};
  struct dunlin_id space;
  place_create(&place, "laptop");
  dunlin_store *store = place_open(&place);
  OK(dunlin_space_new(store, "home", &space));
  dunlin_store_doc *doc = doc_open(store, &space, "x", DUNLIN_CREATE);
  FAILS(place_try(&place, &why), DUNLIN_EBUSY);
  pid_t pid = fork();
  if (pid == 0) {
    struct dunlin_space_info info;
    struct dunlin_id other;
    uint64_t seen = 0;
    bool refused = dunlin_space_at(store, 0, &info) == DUNLIN_ESTATE &&
                   dunlin_space_new(store, "other", &other) == DUNLIN_ESTATE && put_int(doc, "a", 1) == DUNLIN_ESTATE &&
                   dunlin_store_doc_pull(doc, NULL) == DUNLIN_ESTATE && dunlin_store_flush(store) == DUNLIN_ESTATE &&
                   dunlin_store_wait(store, &seen, 0) == DUNLIN_ESTATE && dunlin_store_close(store) == DUNLIN_ESTATE;
    /* But the child may open the store for itself. */
    _exit(refused && place_try(&place, &why) == 0 ? 0 : 1);
  }
  assert_int_equal(child_status(pid), 0);
  assert_int_equal(put_int(doc, "a", 2), 1);
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(store));
  assert_int_equal(place_try(&place, &why), 0);
  place_remove(&place);
}

/* A creation that was cut off before its header leaves nothing that the next one minds. */
static void creation_cut_off(void **state) {
  (void)state;
  struct place place = place_new();
  struct dunlin_why why = {""};
  char path[PATH_MAX];
  place_create(&place, "first");
  snprintf(path, sizeof path, "%s/store", place.dir);
  unlink(path);
  FAILS(place_try(&place, &why), DUNLIN_ENOSTORE);
  place_create(&place, "second");
  dunlin_store *store = place_open(&place);
  struct dunlin_store_info info;
  OK(dunlin_store_info(store, &info));
  assert_string_equal(info.device_name, "second");
  OK(dunlin_store_close(store));
  place_remove(&place);
}

static void two_handles(void **state) {
  (void)state;
  struct place place = place_new();
  struct dunlin_id space;
  place_create(&place, "laptop");
  dunlin_store *store = place_open(&place);
  OK(dunlin_space_new(store, "home", &space));
  dunlin_store_doc *a = doc_open(store, &space, "x", DUNLIN_CREATE), *b = doc_open(store, &space, "x", 0);
  struct dunlin_actor actor_a = dunlin_store_doc_actor(a), actor_b = dunlin_store_doc_actor(b);
  assert_memory_not_equal(&actor_a, &actor_b, sizeof actor_a);
  dunlin_store_doc_mode(b, DUNLIN_GROUP);
  for (int i = 0; i < 50; i++) {
    assert_int_equal(put_int(a, "a", i), 1);
    assert_int_equal(put_int(b, "b", i), 1);
    assert_int_equal(put_int(b, "both", i), 1);
  }
  assert_int_equal(put_int(a, "both", 1000), 1);
  OK(dunlin_store_flush(store));
  uint64_t durable;
  OK(dunlin_store_doc_durable(b, &durable));
  assert_int_equal(durable, 100);
  struct dunlin_applied applied;
  OK(dunlin_store_doc_pull(a, &applied));
  assert_int_equal(applied.applied, 100);
  OK(dunlin_store_doc_pull(b, &applied));
  assert_int_equal(applied.applied, 51);
  OK(dunlin_store_doc_pull(b, &applied));
  assert_int_equal(applied.applied + applied.duplicates, 0);
  assert_same_doc(dunlin_store_doc_get(a), dunlin_store_doc_get(b));
  dunlin_store_doc_close(a);
  dunlin_store_doc_close(b);
  assert_int_equal(dunlin_store_verify(store, print_fault, NULL), 0);
  OK(dunlin_store_close(store));
  place_remove(&place);
}

/* What is queued at close is written by close; what is queued when the handle closes is not lost either. */
static void group_close(void **state) {
  (void)state;
  struct place place = place_new();
  struct dunlin_id space;
  place_create(&place, "laptop");
  dunlin_store *store = place_open(&place);
  OK(dunlin_space_new(store, "home", &space));
  dunlin_store_doc *doc = doc_open(store, &space, "x", DUNLIN_CREATE);
  dunlin_store_doc_mode(doc, DUNLIN_GROUP);
  for (int i = 0; i < 5000; i++) assert_int_equal(put_int(doc, "n", i), 1);
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(store));
  store = place_open(&place);
  doc = doc_open(store, &space, "x", 0);
  assert_int_equal(get_int(doc, "n"), 4999);
  assert_int_equal(dunlin_doc_changes(dunlin_store_doc_get(doc)), 5000);
  struct dunlin_store_info info;
  OK(dunlin_store_info(store, &info));
  assert_true(info.runs < 2500); /* many share a run */
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(store));
  place_remove(&place);
}

/* The largest change there may be goes in, incompressible, and comes out. */
static void largest_change(void **state) {
  (void)state;
  struct place place = place_new();
  struct dunlin_id space;
  struct rng rng = rng_of(7);
  place_create(&place, "laptop");
  dunlin_store *store = place_open(&place);
  OK(dunlin_space_new(store, "home", &space));
  dunlin_store_doc *doc = doc_open(store, &space, "x", DUNLIN_CREATE);
  dunlin_store_doc_mode(doc, DUNLIN_GROUP);
  /* More than may be queued: the commits wait for one another. */
  for (int i = 0; i < 20; i++) assert_int_equal(put_blob(doc, "big", &rng, DUNLIN_MAX_VALUE), 1);
  OK(dunlin_store_flush(store));
  assert_int_equal(dunlin_store_verify(store, print_fault, NULL), 0);
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(store));
  place_remove(&place);
}

static void *interrupt_soon(void *ctx) {
  usleep(50000);
  dunlin_store_interrupt(ctx);
  return NULL;
}

static void waiting(void **state) {
  (void)state;
  NEEDS_FORK();
  struct place place = place_new();
  struct dunlin_id space;
  place_create(&place, "laptop");
  dunlin_store *store = place_open(&place);
  uint64_t seen = 0;
  assert_int_equal(dunlin_store_wait(store, &seen, 0), 0);
  OK(dunlin_space_new(store, "home", &space));
  dunlin_store_doc *doc = doc_open(store, &space, "x", DUNLIN_CREATE);
  assert_int_equal(dunlin_store_wait(store, &seen, 0), 1);
  assert_int_equal(seen, 1);
  assert_int_equal(dunlin_store_wait(store, &seen, 20), 0);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, store), 0);
  assert_int_equal(dunlin_store_wait(store, &seen, -1), 0);
  pthread_join(thread, NULL);
  dunlin_store_interrupt(store); /* before the call: it returns at once, and only that one */
  assert_int_equal(dunlin_store_wait(store, &seen, 60000), 0);
  assert_int_equal(dunlin_store_wait(store, &seen, 30), 0);

  /* Another process commits. */
  pid_t pid = fork();
  if (pid == 0) {
    usleep(30000);
    dunlin_store *mine = place_open(&place);
    dunlin_store_doc *x = doc_open(mine, &space, "x", 0);
    int r = put_int(x, "a", 5);
    dunlin_store_doc_close(x);
    _exit(r == 1 && !dunlin_store_close(mine) ? 0 : 1);
  }
  assert_int_equal(dunlin_store_wait(store, &seen, 20000), 1);
  assert_int_equal(child_status(pid), 0);
  OK(dunlin_store_doc_pull(doc, NULL));
  assert_int_equal(get_int(doc, "a"), 5);
  dunlin_store_doc_close(doc);
  OK(dunlin_store_close(store));
  place_remove(&place);
}

static void on_signal(int signal) {
  (void)signal;
}

/* A signal that the program blocks waits for it: the store's own thread takes none. */
static void signals_are_for_the_program(void **state) {
  (void)state;
  struct place place = place_new();
  struct sigaction action = {.sa_handler = on_signal}, before;
  const struct timespec patience = {1, 0}, while_another_thread_may_take_it = {0, 50000000};
  sigset_t one, mask;
  place_create(&place, "laptop");
  dunlin_store *store = place_open(&place);
  sigemptyset(&one);
  sigaddset(&one, SIGUSR1);
  OK(sigaction(SIGUSR1, &action, &before));
  OK(pthread_sigmask(SIG_BLOCK, &one, &mask));
  OK(kill(getpid(), SIGUSR1));
  nanosleep(&while_another_thread_may_take_it, NULL);
  assert_int_equal(sigtimedwait(&one, NULL, &patience), SIGUSR1);
  OK(pthread_sigmask(SIG_SETMASK, &mask, NULL));
  OK(sigaction(SIGUSR1, &before, NULL));
  OK(dunlin_store_close(store));
  place_remove(&place);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(create_open_reopen),
      cmocka_unit_test(document_errors),
      cmocka_unit_test(opening_errors),
      cmocka_unit_test(passphrase_and_rekey),
      cmocka_unit_test(twice_and_fork),
      cmocka_unit_test(creation_cut_off),
      cmocka_unit_test(two_handles),
      cmocka_unit_test(group_close),
      cmocka_unit_test(largest_change),
      cmocka_unit_test(waiting),
      cmocka_unit_test(signals_are_for_the_program),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
