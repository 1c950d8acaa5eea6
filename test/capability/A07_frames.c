/* A view that looks once a frame is told once of all that happened since, and writing never takes a frame. */
#include <dunlin/events.h>

#include <time.h>

#include "test/capability/device.h"

enum { frames = 60, writes = 500, frame_ns = 16000000 };

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void many_writes_are_one_event(void **state) {
  dunlin_doc *doc = test_doc(1);
  struct dunlin_event event;
  (void)state;
  OK(dunlin_watch(doc, DUNLIN_ROOT, dunlin_key("/cursor"), 0));
  for (int frame = 0; frame < frames; frame++) {
    for (int i = 1; i <= writes; i++) put(doc, "cursor", dunlin_int(frame * writes + i));
    assert_int_equal(dunlin_next_event(doc, &event), 1);
    if (frame > 0) assert_int(event.before, frame * writes);
    assert_int(event.after, (frame + 1) * writes);
    assert_int_equal(dunlin_next_event(doc, &event), 0);
  }
  dunlin_doc_free(doc);
}

/* A frame of typing at one place: one splice. */
static void many_letters_are_one_splice(void **state) {
  dunlin_doc *doc = test_doc(1);
  struct dunlin_event event;
  (void)state;
  dunlin_obj text = child(doc, "text", DUNLIN_TEXT);
  OK(dunlin_watch(doc, DUNLIN_ROOT, dunlin_key("/text"), 0));
  for (size_t i = 0; i < writes; i++) {
    OK(dunlin_begin(doc));
    OK(dunlin_text_splice(doc, text, i, 0, "x", 1));
    OK(dunlin_commit(doc, 0, NULL));
  }
  assert_int_equal(dunlin_next_event(doc, &event), 1);
  assert_int_equal(event.kind, DUNLIN_EVENT_SPLICE);
  assert_int_equal(event.at, 0);
  assert_int_equal(event.inserted, writes);
  assert_int_equal(dunlin_next_event(doc, &event), 0);
  dunlin_doc_free(doc);
}

static void a_write_takes_less_than_a_frame(void **state) {
  static int64_t took[frames * writes];
  dunlin_doc *doc = test_doc(1);
  struct dunlin_event event;
  (void)state;
  OK(dunlin_watch(doc, DUNLIN_ROOT, dunlin_key(""), 0));
  for (int i = 0; i < frames * writes; i++) {
    int64_t began = nanoseconds();
    put(doc, "cursor", dunlin_int(i));
    took[i] = nanoseconds() - began;
    if (i % writes == 0) assert_int_equal(dunlin_next_event(doc, &event), 1);
  }
  qsort(took, frames * writes, sizeof *took, compare);
  int64_t p99 = took[frames * writes * 99 / 100];
  print_message("99 of 100 local writes take less than %lld us\n", (long long)(p99 / 1000 + 1));
  assert_true(p99 < frame_ns);
  dunlin_doc_free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(many_writes_are_one_event),
      cmocka_unit_test(many_letters_are_one_splice),
      cmocka_unit_test(a_write_takes_less_than_a_frame),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
