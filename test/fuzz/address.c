/* HOST:PORT: what address_parse() accepts is written back and read again as the same, and holds nothing that could not
 * be meant.
 *
 * Input: the text, up to its first NUL. */
#include "test/fuzz/fuzz.h"

#include "transport/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct address address, again;
  char *text = malloc(size + 1);
  CHECK(text);
  if (size) memcpy(text, data, size);
  text[size] = 0;
  memset(&address, 1, sizeof address);
  int error = address_parse(text, &address);
  CHECK(!error || error == DUNLIN_EADDR);
  if (!error) {
    char written[DUNLIN_MAX_NAME + 16];
    size_t host = strlen(address.host), port = strlen(address.port);
    CHECK(host && host <= DUNLIN_MAX_NAME && port && port <= 5 && atoi(address.port) <= 65535);
    CHECK(!strpbrk(address.host, "[] \t\r\n/"));
    snprintf(written, sizeof written, strchr(address.host, ':') ? "[%s]:%s" : "%s:%s", address.host, address.port);
    CHECK(!address_parse(written, &again));
    CHECK(!strcmp(address.host, again.host) && !strcmp(address.port, again.port));
    fuzz_accepted++;
  }
  free(text);
  return 0;
}

void fuzz_seeds(fuzz_emit *emit, void *ctx) {
  static const char *const texts[][2] = {{"name", "desk.example.org:7000"},
                                         {"v4", "192.0.2.1:0"},
                                         {"v6", "[2001:db8::1]:65535"},
                                         {"scope", "[fe80::1%eth0]:1"}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    emit(ctx, texts[i][0], (struct dunlin_bytes){texts[i][1], strlen(texts[i][1])});
}
