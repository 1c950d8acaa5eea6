/* Maps and lists inside each other: a trip with a list of days. */
#include <dunlin/doc.h>
#include <inttypes.h>
#include <stdio.h>

static int plan(dunlin_doc *doc) {
  int rc = dunlin_begin(doc);
  if (rc) return rc;
  dunlin_obj trip = dunlin_map_child(doc, DUNLIN_ROOT, dunlin_key("trip"), DUNLIN_MAP);
  dunlin_map_put(doc, trip, dunlin_key("title"), dunlin_string("Lisbon"));
  dunlin_map_put(doc, trip, dunlin_key("nights"), dunlin_int(3));
  dunlin_obj days = dunlin_map_child(doc, trip, dunlin_key("days"), DUNLIN_LIST);
  dunlin_list_append(doc, days, dunlin_string("Sintra"));
  dunlin_list_append(doc, days, dunlin_string("beach"));
  dunlin_list_append(doc, days, dunlin_string("museum"));
  dunlin_list_move(doc, days, 2, 0);
  dunlin_obj day = dunlin_list_insert_child(doc, days, 3, DUNLIN_MAP);
  dunlin_map_put(doc, day, dunlin_key("train"), dunlin_bool(true));
  return dunlin_commit(doc, 0, NULL); /* the first thing that went wrong above comes out here */
}

static void show_day(const dunlin_doc *doc, struct dunlin_value day) {
  if (day.kind == DUNLIN_STRING) {
    fwrite(day.as.string.data, 1, day.as.string.len, stdout);
  } else if (day.kind == DUNLIN_MAP) {
    printf("a map of %zu", dunlin_map_size(doc, day.as.obj));
  }
  puts("");
}

static int show(const dunlin_doc *doc) {
  struct dunlin_value day;
  int rc = 0;
  dunlin_obj trip = dunlin_map_obj(doc, DUNLIN_ROOT, dunlin_key("trip"), DUNLIN_MAP);
  dunlin_obj days = dunlin_map_obj(doc, trip, dunlin_key("days"), DUNLIN_LIST);
  printf("nights: %" PRId64 "\n", dunlin_map_int(doc, trip, dunlin_key("nights"), 1)); /* 1 if there were none */
  for (size_t i = 0; !rc && i < dunlin_list_size(doc, days); i++) {
    rc = dunlin_list_get(doc, days, i, &day);
    if (!rc) show_day(doc, day);
  }
  return rc;
}

int main(void) {
  dunlin_doc *doc = NULL;
  int rc = dunlin_doc_new(NULL, NULL, NULL, &doc);
  if (!rc) rc = plan(doc);
  if (rc >= 0) rc = show(doc);
  dunlin_doc_free(doc);
  if (rc) fprintf(stderr, "%s\n", dunlin_error_text(rc));
  return rc ? 1 : 0;
}
