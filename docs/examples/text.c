/* Two write one text: each in a replica of its own, at the same time.  Positions count UTF-16 units, as those of
 * JavaScript, Java and Windows do. */
#include <dunlin/history.h>
#include <stdio.h>

static int write_at(dunlin_doc *doc, size_t index, size_t remove, const char *words) {
  int rc = dunlin_begin(doc);
  if (rc) return rc;
  dunlin_obj notes = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("notes"), DUNLIN_TEXT);
  dunlin_text_splice(doc, notes, index, remove, words, strlen(words));
  return dunlin_commit(doc, 0, NULL);
}

static int show(const dunlin_doc *doc) {
  char text[256];
  dunlin_obj notes = dunlin_map_obj(doc, DUNLIN_ROOT, dunlin_key("notes"), DUNLIN_TEXT);
  size_t len = dunlin_text_read(doc, notes, text, sizeof text);
  if (len > sizeof text) return DUNLIN_ERANGE;
  fwrite(text, 1, len, stdout);
  printf(" (%zu)\n", dunlin_text_size(doc, notes));
  return 0;
}

int main(void) {
  dunlin_doc *mine = NULL, *yours = NULL;
  int rc = dunlin_doc_new(NULL, NULL, NULL, &mine);
  if (!rc) rc = dunlin_doc_set_unit(mine, DUNLIN_UTF16);
  if (!rc) rc = write_at(mine, 0, 0, "Belém, Sintra 🏖");
  if (rc >= 0) rc = dunlin_doc_copy(mine, NULL, &yours);
  if (!rc) rc = write_at(mine, 14, 2, "and the beach 🏖");
  if (rc >= 0) rc = write_at(yours, 5, 0, " by tram");
  if (rc >= 0) rc = dunlin_doc_merge(mine, yours, NULL);
  if (!rc) rc = dunlin_doc_merge(yours, mine, NULL);
  if (!rc) rc = show(mine);
  if (!rc) rc = show(yours);
  dunlin_doc_free(mine);
  dunlin_doc_free(yours);
  if (rc) fprintf(stderr, "%s\n", dunlin_error_text(rc));
  return rc ? 1 : 0;
}
