/* What happens to a simulated fleet from outside: a list of actions in the order of time, made by a seed or read from a
 * file.
 *
 * The text form, one action a line, is what a failing run is shrunk to and what people write by hand:
 *
 *   seed 17             the seed of everything that is not in the list: delays, torn sectors, keys
 *   devices 5           the first `devices` devices join at the beginning
 *   12.500 edit 3 77    at 12.5 s device 3 makes the edit that the number 77 stands for
 *
 * Numbers are decimal; '#' begins a comment. */
#ifndef TEST_SIM_SCRIPT_H
#define TEST_SIM_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_MAX_DEVICES 32u

enum verb {
  VERB_EDIT,    /* edit D N: one transaction, drawn from N */
  VERB_STOP,    /* stop D: the app is closed */
  VERB_START,   /* start D: and opened again */
  VERB_KILL,    /* kill D MS: kill -9, started again after MS milliseconds */
  VERB_POWER,   /* power D CALLS MS: power is lost after that many more changes of its disk; back after MS */
  VERB_CUT,     /* cut A B MS: what A sends to B does not arrive for that long */
  VERB_SPLIT,   /* split MASK MS: devices in the mask and the others do not reach each other */
  VERB_WEATHER, /* weather LOSS DELAY JITTER MANGLE MS: of 1000 pieces LOSS are lost and sent again later,
                   MANGLE dropped, doubled, swapped or altered; DELAY and JITTER in milliseconds */
  VERB_CLOCK,   /* clock D S: its wall clock jumps by that many seconds, which may be negative */
  VERB_FAULT,   /* fault D KIND AFTER TIMES MS: disk calls fail: KIND 1 EIO, 2 ENOSPC, 3 a short count */
  VERB_FULL,    /* full D BYTES MS: that much free space is left */
  VERB_ROT,     /* rot D BITS MS: stopped hard, and bits of its data file flip */
  VERB_BACKUP,  /* backup D: stopped, its files copied aside, started */
  VERB_RESTORE, /* restore D MS: stopped hard, the copy put back in place */
  VERB_CLONE,   /* clone D E: device E starts from a copy of the files of D; both go on */
  VERB_JOIN,    /* join E: a new device joins */
  VERB_HOSTILE, /* hostile D SEED MS: what it says to its peers is altered by somebody who has its keys */
  VERB_CALM,    /* calm: everything is mended, and the fleet must become equal */
  VERB_COUNT,
};
#define ACTION_ARGS 5u

struct action {
  uint64_t at; /* milliseconds */
  enum verb verb;
  int64_t args[ACTION_ARGS];
};

struct script {
  uint64_t seed;
  unsigned devices;
  struct action *actions;
  size_t count, cap;
};

const char *verb_name(enum verb verb);
size_t verb_args(enum verb verb);

struct script_wishes {
  unsigned devices;
  double days;    /* a fraction is fine */
  bool gentle;    /* no file is lost or copied, and nobody lies */
  bool mailbox;   /* one more device, which is always on and never edits */
  double trouble; /* 1: as much as befalls people who have little luck; more: that many times as much */
};
/* Everything that befalls a fleet, each device making 60 edits an hour on average. */
void script_make(struct script *script, uint64_t seed, const struct script_wishes *wishes);
/* Reads one; on a fault says line and reason on stderr and returns false. */
bool script_read(struct script *script, const char *path);
void script_print(const struct script *script, FILE *out);
void action_print(const struct action *action, FILE *out);
void script_add(struct script *script, struct action action);
void script_free(struct script *script);

#endif
