/* Text with marks: what is bold, and what links where; and the spans that a screen would show. */
#include <dunlin/doc.h>
#include <stdio.h>

static int write_marked(dunlin_doc *doc) {
  int rc = dunlin_begin(doc);
  if (rc) return rc;
  dunlin_obj notes = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("notes"), DUNLIN_TEXT);
  dunlin_text_splice(doc, notes, 0, 0, "Pack light.", 11);
  dunlin_text_mark(doc, notes, 5, 10, dunlin_key("bold"), dunlin_bool(true), DUNLIN_GROWS_AT_END);
  dunlin_text_mark(doc, notes, 0, 10, dunlin_key("link"), dunlin_string("#list"), 0);
  dunlin_text_splice(doc, notes, 10, 0, "ly", 2); /* bold goes on here, and the link does not */
  return dunlin_commit(doc, 0, NULL);
}

static int show_marks(const dunlin_doc *doc, dunlin_obj text, size_t at) {
  struct dunlin_bytes key;
  struct dunlin_value value;
  int rc = dunlin_text_span_mark(doc, text, at, 0, &key, &value);
  for (size_t i = 1; !rc; i++) {
    printf(" ");
    fwrite(key.data, 1, key.len, stdout);
    rc = dunlin_text_span_mark(doc, text, at, i, &key, &value);
  }
  puts("");
  return rc == DUNLIN_ENOENT ? 0 : rc;
}

static int show(const dunlin_doc *doc) {
  struct dunlin_span span;
  void *part;
  size_t len;
  int rc = 0;
  dunlin_obj notes = dunlin_map_obj(doc, DUNLIN_ROOT, dunlin_key("notes"), DUNLIN_TEXT);
  for (size_t at = 0; !rc && at < dunlin_text_size(doc, notes); at = span.to) {
    rc = dunlin_text_span(doc, notes, at, &span);
    if (!rc) rc = dunlin_text_part(doc, notes, span.from, span.to, &part, &len);
    if (rc) break;
    printf("[");
    fwrite(part, 1, len, stdout);
    printf("]");
    dunlin_free(NULL, part, len);
    rc = show_marks(doc, notes, at);
  }
  return rc;
}

int main(void) {
  dunlin_doc *doc = NULL;
  int rc = dunlin_doc_new(NULL, NULL, NULL, &doc);
  if (!rc) rc = write_marked(doc);
  if (rc >= 0) rc = show(doc);
  dunlin_doc_free(doc);
  if (rc) fprintf(stderr, "%s\n", dunlin_error_text(rc));
  return rc ? 1 : 0;
}
