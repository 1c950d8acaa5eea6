/* Two write one key while apart: both values are kept, all replicas show the same one, and any later write settles
 * it. */
#include <dunlin/history.h>
#include <stdio.h>

static int put(dunlin_doc *doc, const char *title, uint32_t priority) {
  int rc = dunlin_begin(doc);
  if (rc) return rc;
  dunlin_map_put_class(doc, DUNLIN_ROOT, dunlin_key("title"), dunlin_string(title), priority);
  return dunlin_commit(doc, 0, NULL);
}

/* The value that shows comes first, then the others. */
static int show(const dunlin_doc *doc, const char *who) {
  struct dunlin_value value;
  printf("%s:", who);
  int rc = dunlin_map_conflict(doc, DUNLIN_ROOT, dunlin_key("title"), 0, &value);
  for (size_t i = 1; !rc; i++) {
    printf(" [");
    fwrite(value.as.string.data, 1, value.as.string.len, stdout);
    printf("]");
    rc = dunlin_map_conflict(doc, DUNLIN_ROOT, dunlin_key("title"), i, &value);
  }
  puts("");
  return rc == DUNLIN_ENOENT ? 0 : rc;
}

static int meet(dunlin_doc *a, dunlin_doc *b) {
  int rc = dunlin_doc_merge(a, b, NULL);
  return rc ? rc : dunlin_doc_merge(b, a, NULL);
}

int main(void) {
  enum { by_machine = 0, by_hand = 1 }; /* of writes made while apart, the highest class shows */
  dunlin_doc *laptop = NULL, *phone = NULL;
  int rc = dunlin_doc_new(NULL, NULL, NULL, &laptop);
  if (!rc) rc = dunlin_doc_copy(laptop, NULL, &phone);
  if (!rc) rc = put(laptop, "Lisbon in May", by_hand);
  if (rc >= 0) rc = put(phone, "IMG_0001", by_machine);
  if (rc >= 0) rc = meet(laptop, phone);
  if (!rc) rc = show(laptop, "laptop");
  if (!rc) rc = show(phone, "phone");
  if (!rc) rc = put(phone, "Lisbon by train", by_machine); /* has seen both, and replaces both */
  if (rc >= 0) rc = meet(laptop, phone);
  if (!rc) rc = show(laptop, "laptop");
  dunlin_doc_free(laptop);
  dunlin_doc_free(phone);
  if (rc) fprintf(stderr, "%s\n", dunlin_error_text(rc));
  return rc ? 1 : 0;
}
