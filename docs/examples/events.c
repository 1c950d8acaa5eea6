/* A view that follows a text of a document: it is told what went and what came, and where. */
#include <dunlin/events.h>
#include <dunlin/history.h>
#include <stdio.h>

static int write_at(dunlin_doc *doc, size_t index, size_t remove, const char *words) {
  int rc = dunlin_begin(doc);
  if (rc) return rc;
  dunlin_obj notes = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("notes"), DUNLIN_TEXT);
  dunlin_text_splice(doc, notes, index, remove, words, strlen(words));
  return dunlin_commit(doc, 0, NULL);
}

/* A screen would change what it shows; this one tells about it. */
static int refresh(dunlin_doc *doc) {
  struct dunlin_event event;
  int rc = dunlin_next_event(doc, &event);
  for (; rc > 0; rc = dunlin_next_event(doc, &event)) {
    fwrite(event.path.data, 1, event.path.len, stdout);
    if (event.kind == DUNLIN_EVENT_SPLICE) {
      printf(" at %zu: %zu went, came [", event.at, event.removed);
      fwrite(event.text.data, 1, event.text.len, stdout);
      puts(event.origin == DUNLIN_ORIGIN_LOCAL ? "]" : "] from others");
    } else {
      puts(event.has ? " is new: read it" : " is gone");
    }
  }
  return rc;
}

int main(void) {
  dunlin_doc *shown = NULL, *other = NULL;
  int rc = dunlin_doc_new(NULL, NULL, NULL, &shown);
  if (!rc) rc = dunlin_watch(shown, DUNLIN_ROOT, dunlin_key("/notes"), 0);
  if (rc >= 0) rc = write_at(shown, 0, 0, "Pack light.");
  if (rc >= 0) rc = refresh(shown);
  if (rc >= 0) rc = dunlin_doc_copy(shown, NULL, &other);
  if (rc >= 0) rc = write_at(other, 5, 5, "towels");
  if (rc >= 0) rc = dunlin_doc_merge(shown, other, NULL);
  if (rc >= 0) rc = refresh(shown);
  if (rc >= 0) rc = write_at(shown, 0, 0, "Now: ");
  if (rc >= 0) rc = refresh(shown);
  dunlin_doc_free(shown);
  dunlin_doc_free(other);
  if (rc < 0) fprintf(stderr, "%s\n", dunlin_error_text(rc));
  return rc < 0 ? 1 : 0;
}
