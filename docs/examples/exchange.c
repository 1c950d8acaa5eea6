/* Two replicas exchange what the other has not: bytes that may go by any way, twice and in any order. */
#include <dunlin/doc.h>
#include <inttypes.h>
#include <stdio.h>

static int add(dunlin_doc *doc, const char *what, int64_t amount) {
  int rc = dunlin_begin(doc);
  if (rc) return rc;
  dunlin_obj counter = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key(what), DUNLIN_COUNTER);
  dunlin_counter_add(doc, counter, amount);
  return dunlin_commit(doc, 0, NULL);
}

/* What `from` has and `to` has not.  Over a wire, `to` sends what it has, in a few ids, and `from` answers with the
 * delta. */
static int send_missing(const dunlin_doc *from, dunlin_doc *to) {
  const struct dunlin_id *has;
  struct dunlin_applied applied;
  size_t count, len;
  void *delta;
  int rc = dunlin_doc_have(to, &has, &count);
  if (!rc) rc = dunlin_doc_delta(from, has, count, &delta, &len);
  if (rc) return rc;
  rc = dunlin_doc_apply(to, delta, len, &applied);
  if (!rc) printf("applied %zu, pending %zu\n", applied.applied, applied.pending);
  dunlin_free(NULL, delta, len);
  return rc;
}

static int show(const dunlin_doc *doc, const char *what) {
  int64_t n;
  int rc = dunlin_counter_get(doc, dunlin_map_obj(doc, DUNLIN_ROOT, dunlin_key(what), DUNLIN_COUNTER), &n);
  if (!rc) printf("%s: %" PRId64 "\n", what, n);
  return rc;
}

int main(void) {
  dunlin_doc *laptop = NULL, *phone = NULL;
  struct dunlin_id trip = {{1}}; /* replicas have the document's id in common, and each an actor of its own */
  int rc = dunlin_doc_new(NULL, &trip, NULL, &laptop);
  if (!rc) rc = dunlin_doc_new(NULL, &trip, NULL, &phone);
  if (!rc) rc = add(laptop, "trams", 2);
  if (rc >= 0) rc = add(laptop, "trams", 1);
  if (rc >= 0) rc = add(phone, "trams", 4);
  if (rc >= 0) rc = send_missing(laptop, phone);
  if (!rc) rc = send_missing(phone, laptop);
  if (!rc) rc = send_missing(phone, laptop);
  if (!rc) rc = show(laptop, "trams");
  if (!rc) rc = show(phone, "trams");
  dunlin_doc_free(laptop);
  dunlin_doc_free(phone);
  if (rc) fprintf(stderr, "%s\n", dunlin_error_text(rc));
  return rc ? 1 : 0;
}
