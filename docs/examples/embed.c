/* Keeps notes and counts visits in the store argv[1]; every run goes on where the last one was. */
#include <dunlin/space.h>
#include <inttypes.h>
#include <stdio.h>

int main(int argc, char **argv) {
  struct dunlin_store_options options = dunlin_store_defaults();
  options.key.passphrase = "correct horse";
  options.key.passphrase_len = strlen(options.key.passphrase);
  dunlin_store *store = NULL;
  dunlin_store_doc *handle = NULL;
  struct dunlin_id space;
  int64_t count = 0;
  char text[64] = "";
  int rc = argc == 2 ? dunlin_store_create(argv[1], &options, NULL) : DUNLIN_EINVAL;
  if (!rc || rc == DUNLIN_EEXIST) rc = dunlin_store_open(argv[1], &options, &store, NULL);
  if (!rc) rc = dunlin_space_find(store, "home", &space);
  if (rc == DUNLIN_ENOENT) rc = dunlin_space_new(store, "home", &space);
  if (!rc) rc = dunlin_store_doc_open(store, &space, dunlin_key("travel"), DUNLIN_CREATE, &handle);
  dunlin_doc *doc = rc ? NULL : dunlin_store_doc_get(handle);
  if (doc && !(rc = dunlin_begin(doc))) {
    dunlin_obj trip = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("lisbon"), DUNLIN_MAP);
    dunlin_obj notes = dunlin_map_child(doc, trip, dunlin_key("notes"), DUNLIN_TEXT);
    dunlin_obj visits = dunlin_map_child(doc, trip, dunlin_key("visits"), DUNLIN_COUNTER);
    dunlin_text_splice(doc, notes, 0, dunlin_text_size(doc, notes), "Pack light.", 11);
    dunlin_counter_add(doc, visits, 1);
    rc = dunlin_commit(doc, 0, NULL); /* here comes out what went wrong above; when it returns, the change is on disk */
    if (rc > 0) rc = dunlin_counter_get(doc, visits, &count);
    if (dunlin_text_read(doc, notes, text, sizeof text - 1) < sizeof text)
      printf("%s visits: %" PRId64 "\n", text, count);
  }
  dunlin_store_doc_close(handle);
  dunlin_store_close(store);
  return rc ? fprintf(stderr, "%s\n", dunlin_error_text(rc)), 1 : 0;
}
