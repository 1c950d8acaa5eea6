/* Undo takes back what was done here, and nothing of what somebody else has done meanwhile. */
#include <dunlin/history.h>
#include <dunlin/undo.h>
#include <stdio.h>

static int type(dunlin_doc *doc, size_t index, const char *words) {
  int rc = dunlin_begin(doc);
  if (rc) return rc;
  dunlin_obj notes = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("notes"), DUNLIN_TEXT);
  dunlin_text_splice(doc, notes, index, 0, words, strlen(words));
  return dunlin_commit(doc, 0, NULL);
}

static int show(const dunlin_doc *doc, const char *after) {
  void *text;
  size_t len;
  dunlin_obj notes = dunlin_map_obj(doc, DUNLIN_ROOT, dunlin_key("notes"), DUNLIN_TEXT);
  int rc = dunlin_text_part(doc, notes, 0, dunlin_text_size(doc, notes), &text, &len);
  if (rc) return rc;
  printf("%s: ", after);
  fwrite(text, 1, len, stdout);
  puts("");
  dunlin_free(NULL, text, len);
  return 0;
}

int main(void) {
  dunlin_doc *mine = NULL, *yours = NULL;
  dunlin_undo *undo = NULL;
  int rc = dunlin_doc_new(NULL, NULL, NULL, &mine);
  if (!rc) rc = type(mine, 0, "Pack.");
  if (rc >= 0) rc = dunlin_undo_new(mine, 100, &undo); /* what comes from now on can be undone */
  if (!rc) rc = dunlin_doc_copy(mine, NULL, &yours);
  if (!rc) rc = type(mine, 4, " light");
  if (rc >= 0) rc = type(yours, 5, " And passports!");
  if (rc >= 0) rc = dunlin_doc_merge(mine, yours, NULL);
  if (!rc) rc = show(mine, "both");
  if (!rc) rc = dunlin_undo_back(undo, 0, NULL);
  if (rc >= 0) rc = show(mine, "undone");
  if (!rc) rc = dunlin_undo_forth(undo, 0, NULL);
  if (rc >= 0) rc = show(mine, "redone");
  dunlin_undo_free(undo);
  dunlin_doc_free(mine);
  dunlin_doc_free(yours);
  if (rc) fprintf(stderr, "%s\n", dunlin_error_text(rc));
  return rc ? 1 : 0;
}
