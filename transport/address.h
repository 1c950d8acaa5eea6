/* HOST:PORT as people write it. */
#ifndef TRANSPORT_ADDRESS_H
#define TRANSPORT_ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>

#include <dunlin/limits.h>

struct address {
  char host[DUNLIN_MAX_NAME + 1]; /* a name, or a numeric address without brackets */
  char port[6];                   /* decimal, 0 to 65535 */
};

/* "host:7000", "192.0.2.1:7000", "[2001:db8::1]:7000".  DUNLIN_EADDR for anything else; an IPv6 address without
 * brackets is refused, because its port cannot be told from its last group. */
int address_parse(const char *text, struct address *out);

/* "127.0.0.1:5000", "[::1]:5000". */
void address_text(const struct sockaddr *from, char *out, size_t cap);

#endif
