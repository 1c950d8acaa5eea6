/* Test vectors are read from docs/format.md, so that the page and the code cannot drift apart.  Include after
 * cmocka.h. */
#ifndef TEST_PERSIST_VECTORS_H
#define TEST_PERSIST_VECTORS_H

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Finds the line "NAME = HEX" of docs/format.md; it goes on in lines that begin with a space. */
static inline size_t vector_find(const char *page, const char *name, uint8_t *out, size_t cap) {
  char key[80];
  size_t len = 0;
  snprintf(key, sizeof key, "\n%s = ", name);
  const char *at = strstr(page, key);
  if (!at) fail_msg("no vector %s on the page", name);
  at += strlen(key);
  const char *end = strchr(at, '\n');
  while (end && end[1] == ' ') end = strchr(end + 1, '\n');
  assert_non_null(end);
  assert_int_equal(sodium_hex2bin(out, cap, at, (size_t)(end - at), " \n", &len, NULL), 0);
  return len;
}

/* The page that DUNLIN_FORMAT_PAGE names; free it. */
static inline char *vector_page(void) {
  const char *path = getenv("DUNLIN_FORMAT_PAGE");
  FILE *file = path ? fopen(path, "rb") : NULL;
  if (!file) fail_msg("DUNLIN_FORMAT_PAGE does not name docs/format.md");
  char *text = calloc(1, 1 << 20);
  assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
  fclose(file);
  return text;
}

#endif
