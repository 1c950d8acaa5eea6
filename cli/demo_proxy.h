/* The wire between the demo's devices: a TCP proxy on loopback that counts, records and can be cut. */
#ifndef CLI_DEMO_PROXY_H
#define CLI_DEMO_PROXY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <uv.h>

struct proxy_link;

struct proxy {
  uv_loop_t *loop; /* borrowed */
  uv_tcp_t listener;
  unsigned port;     /* that it listens on */
  unsigned target;   /* port of the device that is called; 0: not known yet, callers are turned away */
  bool cut;          /* callers are turned away */
  FILE *capture;     /* all bytes of both directions, in the order in which they came */
  uint64_t bytes[2]; /* from the caller, from the called */
  struct proxy_link *links;
};

/* Listens on a free port of 127.0.0.1.  0 or a libuv error. */
int proxy_start(struct proxy *proxy, uv_loop_t *loop, FILE *capture);
/* Ends all connections that there are. */
void proxy_drop(struct proxy *proxy);
/* Ends everything; the loop must run until its handles are closed. */
void proxy_stop(struct proxy *proxy);

#endif
