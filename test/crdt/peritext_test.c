/* What people expect of marks when they edit while apart: the examples of Litt, Lim, Kleppmann and van Hardenberg,
 * "Peritext: A CRDT for Collaborative Rich Text Editing" (CSCW 2022), each with either of the two first in the order of
 * actors, and where dunlin says otherwise (docs/decisions/marks.md). */
#include "crdt/doc.h"
#include "test/support/support.h"

static struct {
  dunlin_doc *alice, *bob;
  dunlin_obj text;
  uint8_t first; /* who is the lower actor: 1 Alice, 2 Bob */
} pair;

static void begin_with(const char *text) {
  struct dunlin_value value;
  dunlin_doc *origin = test_doc(9);
  OK(dunlin_begin(origin));
  OK(dunlin_text_splice(origin, dunlin_map_child(origin, DUNLIN_ROOT, dunlin_key("t"), DUNLIN_TEXT), 0, 0, text,
                        strlen(text)));
  OK(dunlin_commit(origin, 0, NULL));
  pair.alice = test_doc(pair.first);
  pair.bob = test_doc((uint8_t)(3 - pair.first));
  test_send(origin, pair.alice);
  test_send(origin, pair.bob);
  OK(dunlin_map_get(pair.alice, DUNLIN_ROOT, dunlin_key("t"), &value));
  pair.text = value.as.obj;
  dunlin_doc_free(origin);
}

static void write_over(dunlin_doc *doc, size_t at, size_t remove, const char *with) {
  OK(dunlin_begin(doc));
  OK(dunlin_text_splice(doc, pair.text, at, remove, with, strlen(with)));
  OK(dunlin_commit(doc, 0, NULL));
}

/* Bold grows at its end, links and comments do not. */
static void mark(dunlin_doc *doc, size_t from, size_t to, const char *key, const char *value) {
  struct dunlin_value says = value ? dunlin_string(value) : (struct dunlin_value){.kind = DUNLIN_NULL};
  bool grows = !strcmp(key, "bold") || !strcmp(key, "italic") || !strcmp(key, "color");
  OK(dunlin_begin(doc));
  OK(dunlin_text_mark(doc, pair.text, from, to, dunlin_key(key), says, grows ? DUNLIN_GROWS_AT_END : 0));
  OK(dunlin_commit(doc, 0, NULL));
}

/* The text with <key=value, ...: > around what is marked. */
static void render(const dunlin_doc *doc, char *out) {
  char text[200];
  size_t size = dunlin_text_read(doc, pair.text, text, sizeof text);
  struct dunlin_span span = {0};
  for (size_t at = 0; at < size; at = span.to) {
    OK(dunlin_text_span(doc, pair.text, at, &span));
    for (size_t i = 0; i < span.marks; i++) {
      struct dunlin_bytes key;
      struct dunlin_value value;
      OK(dunlin_text_span_mark(doc, pair.text, at, i, &key, &value));
      out += sprintf(out, "%s%.*s=%.*s", i ? "," : "<", (int)key.len, (const char *)key.data, (int)value.as.string.len,
                     (const char *)value.as.string.data);
    }
    out += sprintf(out, span.marks ? ":%.*s>" : "%.*s", (int)(span.to - span.from), text + span.from);
  }
  *out = 0;
}

/* What both show once they have heard of each other. */
static void ends(const char *expected) {
  char shown[400];
  test_sync(pair.alice, pair.bob);
  assert_same_doc(pair.alice, pair.bob);
  render(pair.alice, shown);
  assert_string_equal(shown, expected);
  render(pair.bob, shown);
  assert_string_equal(shown, expected);
  OK(doc_check(pair.alice, true));
  OK(doc_check(pair.bob, true));
  dunlin_doc_free(pair.alice);
  dunlin_doc_free(pair.bob);
}

#define EITHER_FIRST for (pair.first = 1; pair.first <= 2; pair.first++)

/* ---- The examples ------------------------------------------------------------------------------------------- */

static void what_is_inserted_in_bold_text_is_bold(void **state) {
  (void)state;
  EITHER_FIRST {
    begin_with("The fox jumped.");
    mark(pair.alice, 0, 15, "bold", "yes");
    write_over(pair.bob, 4, 0, "quick ");
    ends("<bold=yes:The quick fox jumped.>");
  }
}

static void overlapping_bold_is_bold_all_over(void **state) {
  (void)state;
  EITHER_FIRST {
    begin_with("The fox jumped.");
    mark(pair.alice, 0, 7, "bold", "yes");
    mark(pair.bob, 4, 14, "bold", "yes");
    ends("<bold=yes:The fox jumped>.");
  }
}

static void bold_and_italic_overlap(void **state) {
  (void)state;
  EITHER_FIRST {
    begin_with("The fox jumped.");
    mark(pair.alice, 0, 7, "bold", "yes");
    mark(pair.bob, 4, 14, "italic", "yes");
    ends("<bold=yes:The ><bold=yes,italic=yes:fox><italic=yes: jumped>.");
  }
}

static void of_two_colors_one_shows_where_both_are(void **state) {
  (void)state;
  EITHER_FIRST {
    begin_with("The fox jumped.");
    mark(pair.alice, 0, 7, "color", "red");
    mark(pair.bob, 4, 14, "color", "green");
    ends(pair.first == 2 ? "<color=red:The fox><color=green: jumped>." : "<color=red:The ><color=green:fox jumped>.");
  }
}

/* Bold is taken off one part while another is made bold. */
static void bold_and_not_bold_settle_alike(void **state) {
  (void)state;
  EITHER_FIRST {
    begin_with("The fox jumped.");
    mark(pair.alice, 0, 14, "bold", "yes");
    test_sync(pair.alice, pair.bob);
    mark(pair.alice, 0, 7, "bold", NULL);
    mark(pair.bob, 4, 14, "bold", "strong");
    ends(pair.first == 2 ? "The fox<bold=strong: jumped>." : "The <bold=strong:fox jumped>.");
  }
}

/* Who sees the other's mark first takes it back. */
static void a_later_mark_wins_over_what_it_has_seen(void **state) {
  (void)state;
  EITHER_FIRST {
    begin_with("The fox jumped.");
    mark(pair.alice, 0, 7, "bold", "yes");
    test_sync(pair.alice, pair.bob);
    mark(pair.bob, 4, 7, "bold", NULL);
    ends("<bold=yes:The >fox jumped.");
  }
}

static void comments_overlap_and_all_are_kept(void **state) {
  (void)state;
  EITHER_FIRST {
    begin_with("The fox jumped.");
    mark(pair.alice, 0, 7, "comment:1", "who");
    mark(pair.bob, 4, 14, "comment:2", "why");
    ends("<comment:1=who:The ><comment:1=who,comment:2=why:fox><comment:2=why: jumped>.");
  }
}

static void of_two_links_one_shows_where_both_are(void **state) {
  (void)state;
  EITHER_FIRST {
    begin_with("The fox jumped.");
    mark(pair.alice, 0, 7, "link", "a");
    mark(pair.bob, 4, 14, "link", "b");
    ends(pair.first == 2 ? "<link=a:The fox><link=b: jumped>." : "<link=a:The ><link=b:fox jumped>.");
  }
}

/* At its end bold goes on and a link does not; at its start neither does. */
static void bold_grows_at_its_end_and_links_do_not(void **state) {
  (void)state;
  const char *const keys[] = {"bold", "link"},
                    *const behind[] = {"The <bold=x:fox!> jumped.", "The <link=x:fox>! jumped."},
                    *const before[] = {"The !<bold=x:fox> jumped.", "The !<link=x:fox> jumped."};
  EITHER_FIRST for (int key = 0; key < 2; key++) for (int seen = 0; seen < 2; seen++) {
    begin_with("The fox jumped.");
    mark(pair.alice, 4, 7, keys[key], "x");
    if (seen) test_sync(pair.alice, pair.bob);
    write_over(pair.bob, 7, 0, "!");
    ends(behind[key]);
    begin_with("The fox jumped.");
    mark(pair.alice, 4, 7, keys[key], "x");
    if (seen) test_sync(pair.alice, pair.bob);
    write_over(pair.bob, 4, 0, "!");
    ends(before[key]);
  }
}

/* The word at the end of bold text, or of a link, is deleted while the other one types behind it, and in front of what
 * comes then. */
static void what_is_typed_behind_a_deleted_end_is_where_the_end_was(void **state) {
  (void)state;
  EITHER_FIRST {
    begin_with("The fox jumped.");
    mark(pair.alice, 0, 7, "bold", "yes");
    test_sync(pair.alice, pair.bob);
    write_over(pair.alice, 3, 4, "");
    write_over(pair.bob, 7, 0, "es");
    ends("<bold=yes:Thees> jumped.");
    begin_with("The fox jumped.");
    mark(pair.alice, 0, 7, "link", "a");
    test_sync(pair.alice, pair.bob);
    write_over(pair.alice, 3, 4, "");
    write_over(pair.bob, 7, 0, "es");
    ends("<link=a:The>es jumped.");
  }
}

/* Somebody who has seen neither the end nor what was deleted types at the place where both were. */
static void typing_where_an_end_lies_among_deleted_text(void **state) {
  (void)state;
  const char *const keys[] = {"bold", "link"}, *const shown[] = {"<bold=x:The!> jumped.", "<link=x:The>! jumped."};
  EITHER_FIRST for (int key = 0; key < 2; key++) {
    begin_with("The fox jumped.");
    mark(pair.alice, 0, 7, keys[key], "x");
    write_over(pair.alice, 3, 4, ""); /* the end stands where " fox" was */
    test_sync(pair.alice, pair.bob);
    write_over(pair.bob, 3, 0, "!");
    ends(shown[key]);
  }
}

/* One marks what the other one deletes: what is left of it is marked, and when nothing is, nothing. */
static void marking_what_is_deleted_meanwhile(void **state) {
  (void)state;
  EITHER_FIRST {
    begin_with("The fox jumped.");
    mark(pair.alice, 4, 14, "bold", "yes");
    write_over(pair.bob, 0, 8, "");
    ends("<bold=yes:jumped>.");
    begin_with("The fox jumped.");
    mark(pair.alice, 4, 7, "bold", "yes");
    write_over(pair.bob, 3, 5, "");
    ends("Thejumped.");
  }
}

/* Whoever has seen neither the deletion nor the mark types inside: marked, if the mark was made while apart from the
 * deletion.  If the mark went with the text, not; there Peritext would mark it. */
static void typing_into_marked_text_that_is_deleted_meanwhile(void **state) {
  (void)state;
  EITHER_FIRST {
    begin_with("The fox jumped.");
    mark(pair.alice, 4, 7, "bold", "yes");
    write_over(pair.bob, 4, 3, "");
    write_over(pair.bob, 4, 0, "cat");
    ends("The cat jumped.");
    begin_with("The fox jumped.");
    mark(pair.alice, 4, 7, "bold", "yes");
    test_sync(pair.alice, pair.bob);
    write_over(pair.alice, 4, 3, "");
    write_over(pair.bob, 5, 0, "!");
    ends("The ! jumped.");
  }
}

/* ---- With void changes -------------------------------------------------------------------------------------- */

static struct dunlin_id head(const dunlin_doc *doc) {
  size_t count;
  const struct dunlin_id *heads = dunlin_doc_heads(doc, &count);
  assert_int_equal(count, 1);
  return *heads;
}

/* One marks "abc" in "-abc-" while the other types "<" at its start and ">" at its end, each in a change; whichever of
 * the three are void, the others stand as they would. */
static void mark_at_both_edges_with_void_changes(void **state) {
  (void)state;
  EITHER_FIRST for (unsigned flags = 0; flags < 4; flags++) for (unsigned voids = 0; voids < 8; voids++) {
    char expected[40];
    begin_with("-abc-");
    OK(dunlin_begin(pair.alice));
    OK(dunlin_text_mark(pair.alice, pair.text, 1, 4, dunlin_key("b"), dunlin_string("x"), flags));
    OK(dunlin_commit(pair.alice, 0, NULL));
    write_over(pair.bob, 1, 0, "<");
    struct dunlin_id changes[3] = {head(pair.alice), head(pair.bob)}, set[3];
    write_over(pair.bob, 5, 0, ">");
    changes[2] = head(pair.bob);
    size_t count = 0;
    for (int i = 0; i < 3; i++)
      if (voids >> i & 1) set[count++] = changes[i];
    const char *start = voids & 2 ? "" : "<", *end = voids & 4 ? "" : ">";
    bool from = flags & DUNLIN_GROWS_AT_START, to = flags & DUNLIN_GROWS_AT_END;
    if (voids & 1) snprintf(expected, sizeof expected, "-%sabc%s-", start, end);
    else
      snprintf(expected, sizeof expected, "-%s<b=x:%sabc%s>%s-", from ? "" : start, from ? start : "", to ? end : "",
               to ? "" : end);
    test_send(pair.alice, pair.bob); /* before it is void, and after */
    OK(dunlin_doc_set_void(pair.alice, set, count));
    OK(dunlin_doc_set_void(pair.bob, set, count));
    ends(expected);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_inserted_in_bold_text_is_bold),
      cmocka_unit_test(overlapping_bold_is_bold_all_over),
      cmocka_unit_test(bold_and_italic_overlap),
      cmocka_unit_test(of_two_colors_one_shows_where_both_are),
      cmocka_unit_test(bold_and_not_bold_settle_alike),
      cmocka_unit_test(a_later_mark_wins_over_what_it_has_seen),
      cmocka_unit_test(comments_overlap_and_all_are_kept),
      cmocka_unit_test(of_two_links_one_shows_where_both_are),
      cmocka_unit_test(bold_grows_at_its_end_and_links_do_not),
      cmocka_unit_test(what_is_typed_behind_a_deleted_end_is_where_the_end_was),
      cmocka_unit_test(typing_where_an_end_lies_among_deleted_text),
      cmocka_unit_test(marking_what_is_deleted_meanwhile),
      cmocka_unit_test(typing_into_marked_text_that_is_deleted_meanwhile),
      cmocka_unit_test(mark_at_both_edges_with_void_changes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
