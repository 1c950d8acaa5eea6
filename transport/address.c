#include "transport/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <dunlin/dunlin.h>

static int parse_port(const char *text, char out[6]) {
  size_t len = strlen(text);
  unsigned port = 0;
  if (!len || len > 5 || strspn(text, "0123456789") != len) return DUNLIN_EADDR;
  for (size_t i = 0; i < len; i++) port = port * 10 + (unsigned)(text[i] - '0');
  if (port > 65535) return DUNLIN_EADDR;
  memcpy(out, text, len + 1);
  return 0;
}

int address_parse(const char *text, struct address *out) {
  const char *colon = strrchr(text, ':'), *host = text;
  if (!colon) return DUNLIN_EADDR;
  size_t len = (size_t)(colon - text);
  bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';
  if (brackets) host++, len -= 2;
  if (!len || len > DUNLIN_MAX_NAME) return DUNLIN_EADDR;
  for (size_t i = 0; i < len; i++)
    if ((host[i] == ':') > brackets || strchr("[] \t\r\n/", host[i])) return DUNLIN_EADDR;
  memcpy(out->host, host, len);
  out->host[len] = 0;
  return parse_port(colon + 1, out->port);
}

void address_text(const struct sockaddr *from, char *out, size_t cap) {
  char host[INET6_ADDRSTRLEN] = "?";
  unsigned port = 0;
  if (from->sa_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)from;
    inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    port = ntohs(v4->sin_port);
  } else if (from->sa_family == AF_INET6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)from;
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    port = ntohs(v6->sin6_port);
  }
  snprintf(out, cap, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}
