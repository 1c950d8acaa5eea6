/* dunlin - the program: options, help, and which command it is. */
#include "cli/app.h"

#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* ---- The commands ------------------------------------------------------------------------------------------- */

/* Long options that have no letter. */
enum option_id {
  OPT_STORE = 256,
  OPT_JSON,
  OPT_PASSPHRASE_FILE,
  OPT_KEY_FILE,
  OPT_HELP,
  OPT_VERSION, /* up to here for every command */
  OPT_NAME,
  OPT_AS,
  OPT_LISTEN,
  OPT_ADDRESS,
  OPT_EXPIRES,
  OPT_PEER,
  OPT_ONCE,
  OPT_NEW_PASSPHRASE_FILE,
  OPT_TO_KEY_FILE,
};
#define BIT(id) (1u << ((id)-OPT_STORE))

static const struct option long_options[] = {
    {"store", required_argument, NULL, OPT_STORE},
    {"json", no_argument, NULL, OPT_JSON},
    {"passphrase-file", required_argument, NULL, OPT_PASSPHRASE_FILE},
    {"key-file", required_argument, NULL, OPT_KEY_FILE},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {"name", required_argument, NULL, OPT_NAME},
    {"as", required_argument, NULL, OPT_AS},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"address", required_argument, NULL, OPT_ADDRESS},
    {"expires", required_argument, NULL, OPT_EXPIRES},
    {"peer", required_argument, NULL, OPT_PEER},
    {"once", no_argument, NULL, OPT_ONCE},
    {"new-passphrase-file", required_argument, NULL, OPT_NEW_PASSPHRASE_FILE},
    {"to-key-file", no_argument, NULL, OPT_TO_KEY_FILE},
    {NULL, 0, NULL, 0},
};

/* Arguments from number `literal` on may begin with '-': they are values, not options. */
struct command {
  const char *name, *sub; /* `sub`: the second word of "space new" */
  const char *usage;      /* what follows the name */
  int min, max, literal;
  unsigned options;
  int (*run)(struct app *app);
  const char *help;
};
#define NO_LITERALS 99

static const struct command commands[] = {
    {"init", NULL, "[--name NAME]", 0, 0, NO_LITERALS, BIT(OPT_NAME), cmd_init,
     "Makes a new store, which is a new device.  NAME is shown to other members; the host's name if it is not given.\n"
     "With a passphrase (--passphrase-file, DUNLIN_PASSPHRASE) that opens the store, else a new key file does.\n"},
    {"space", "new", "NAME", 1, 1, NO_LITERALS, 0, cmd_space_new,
     "Makes a space, a set of documents that will be shared.  NAME is what this store calls it.\n"},
    {"space", "list", "", 0, 0, NO_LITERALS, 0, cmd_space_list, "Shows the spaces of this store.\n"},
    {"doc", "list", "SPACE", 1, 1, NO_LITERALS, 0, cmd_doc_list, "Shows the names of the documents in a space.\n"},
    {"invite", NULL, "SPACE [--listen HOST:PORT] [--address HOST:PORT] [--expires MINUTES]", 1, 1, NO_LITERALS,
     BIT(OPT_LISTEN) | BIT(OPT_ADDRESS) | BIT(OPT_EXPIRES), cmd_invite,
     "Prints an invitation, one line, good for one device and for MINUTES (60), and waits until the guest has joined.\n"
     "It listens on 127.0.0.1 unless --listen says where; --address is what the guest calls when that differs.\n"
     "Whoever has the line can join: hand it over as you would a password.\n"},
    {"join", NULL, "INVITATION [--name NAME] [--as SPACE]", 1, 1, NO_LITERALS, BIT(OPT_NAME) | BIT(OPT_AS), cmd_join,
     "Joins the space that the invitation (\"-\": from stdin) is for, and prints what it is called here.\n"
     "Makes the store first if there is none, with NAME for the device.  SPACE is what this store shall call it.\n"},
    {"put", NULL, "SPACE/DOC PATH JSON", 3, 3, 2, 0, cmd_put,
     "Makes the place at PATH equal to JSON.\n"
     "PATH is a JSON pointer: /a/b, /list/3, /list/- behind the last element; \"\" is the root.\n"
     "An object or an array makes containers and changes only what differs in them; anything else makes a scalar.\n"
     "Maps that are missing on the way are made.\n"},
    {"get", NULL, "SPACE/DOC [PATH]", 1, 2, NO_LITERALS, 0, cmd_get,
     "Prints what is at PATH, or the whole document, as JSON with sorted keys, indented by two.\n"},
    {"del", NULL, "SPACE/DOC PATH", 2, 2, NO_LITERALS, 0, cmd_del, "Deletes a key of a map or an element of a list.\n"},
    {"add", NULL, "SPACE/DOC PATH N", 3, 3, 2, 0, cmd_add,
     "Adds N, which may be negative, to the counter at PATH, which is made when nothing is there.\n"},
    {"edit", NULL, "SPACE/DOC PATH POS DELETE TEXT", 5, 5, 2, 0, cmd_edit,
     "Deletes DELETE characters at POS of the text at PATH, and inserts TEXT there.\n"
     "Characters are Unicode scalar values, counted from 0.  The text is made when nothing is there.\n"},
    {"move", NULL, "SPACE/DOC PATH FROM TO", 4, 4, 2, 0, cmd_move,
     "Moves element FROM of the list at PATH so that it becomes element TO.\n"},
    {"watch", NULL, "SPACE/DOC [PATH]", 1, 2, NO_LITERALS, 0, cmd_watch,
     "Prints one JSON event a line for whatever happens at PATH, by other processes and peers too:\n"
     "{\"path\", \"old\", \"new\"}, and for texts and lists {\"path\", \"at\", \"delete\", \"insert\"}.\n"
     "The first line is {\"ready\": true}.\n"},
    {"conflicts", NULL, "SPACE/DOC", 1, 1, NO_LITERALS, 0, cmd_conflicts,
     "Shows the places that were written concurrently: path and values, the one that is shown elsewhere first.\n"
     "Any later write at such a place settles it.\n"},
    {"log", NULL, "SPACE/DOC", 1, 1, NO_LITERALS, 0, cmd_log, "Shows the changes of a document, the newest first.\n"},
    {"sync", NULL, "[--listen HOST:PORT] [--peer HOST:PORT]... [--once]", 0, 0, NO_LITERALS,
     BIT(OPT_LISTEN) | BIT(OPT_PEER) | BIT(OPT_ONCE), cmd_sync,
     "Keeps this store in step with other devices until it is interrupted.\n"
     "With --once it ends when it was in sync with every peer (or one that called), and with 1 if a peer failed.\n"},
    {"status", NULL, "", 0, 0, NO_LITERALS, 0, cmd_status, "Shows the device, the store, its key and its spaces.\n"},
    {"verify", NULL, "", 0, 0, NO_LITERALS, 0, cmd_verify,
     "Reads everything back and checks it; ends with 1 if something is damaged.\n"},
    {"passwd", NULL, "[--new-passphrase-file FILE | --to-key-file]", 0, 0, NO_LITERALS,
     BIT(OPT_NEW_PASSPHRASE_FILE) | BIT(OPT_TO_KEY_FILE), cmd_passwd,
     "Changes what opens the store: a new passphrase, from FILE or asked for on the terminal, or a key file.\n"},
    {"import", NULL, "SPACE/DOC FILE", 2, 2, NO_LITERALS, 0, cmd_import,
     "Makes the document equal to the JSON object in FILE (\"-\": stdin), in one change.\n"},
    {"export", NULL, "SPACE/DOC", 1, 1, NO_LITERALS, 0, cmd_export,
     "Prints the whole document as JSON; import reads it back equal, bytes and times too.\n"},
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands)

/* ---- Help --------------------------------------------------------------------------------------------------- */

static void print_usage_line(const struct command *c, const char *before) {
  printf("%s%s%s%s%s%s\n", before, c->name, c->sub ? " " : "", c->sub ? c->sub : "", *c->usage ? " " : "", c->usage);
}

static int help(const struct command *c) {
  if (c) {
    print_usage_line(c, "usage: dunlin [OPTIONS] ");
    printf("\n%s", c->help);
    return EXIT_DONE;
  }
  puts("dunlin - documents that every device keeps, changes offline and syncs with the others, without a server\n\n"
       "usage: dunlin [OPTIONS] COMMAND ...");
  for (size_t i = 0; i < COMMAND_COUNT; i++) print_usage_line(&commands[i], "  ");
  puts(
      "\noptions:\n"
      "  --store DIR             the store: else $DUNLIN_STORE, else ${XDG_DATA_HOME:-~/.local/share}/dunlin\n"
      "  --json                  results and errors as JSON\n"
      "  --passphrase-file FILE  the passphrase (\"-\": from stdin): else $DUNLIN_PASSPHRASE, else the terminal\n"
      "  --key-file FILE         the key file of a store without a passphrase: else $DUNLIN_KEY_FILE, else one in the\n"
      "                          configuration folder ('dunlin status' says where)\n"
      "  --help, --version       'dunlin COMMAND --help' explains a command\n\n"
      "SPACE is a name that this store gave to a space, or the beginning of its id.\n"
      "Values that begin with '-' may stand in put, add, edit and move as they are; elsewhere '--' ends the options.\n"
      "The exit status is 0 done, 1 failed, 2 wrong usage.");
  return EXIT_DONE;
}

/* ---- The command line --------------------------------------------------------------------------------------- */

struct line {
  int argc;
  char **argv;
  const struct command *command;
  const char *args[8];
  int arg_count;
  bool help, version;
};

/* Whether `c` may still be meant after the words that were given; its second word may be missing yet. */
static const struct command *find_command(const char *name, const char *sub) {
  for (size_t i = 0; i < COMMAND_COUNT; i++) {
    const struct command *c = &commands[i];
    if (strcmp(c->name, name) == 0 && (!sub || (c->sub && strcmp(c->sub, sub) == 0))) return c;
  }
  return NULL;
}

static int take_option(struct app *app, struct line *line, int id) {
  switch (id) {
    case OPT_STORE: app->store = optarg; break;
    case OPT_JSON: app->json = true; break;
    case OPT_PASSPHRASE_FILE: app->passphrase_file = optarg; break;
    case OPT_KEY_FILE: app->key_file = optarg; break;
    case OPT_HELP: line->help = true; break;
    case OPT_VERSION: line->version = true; break;
    case OPT_NAME: app->name = optarg; break;
    case OPT_AS: app->as = optarg; break;
    case OPT_LISTEN: app->listen = optarg; break;
    case OPT_ADDRESS: app->address = optarg; break;
    case OPT_EXPIRES: app->expires = optarg; break;
    case OPT_PEER: app->peers[app->peer_count++] = optarg; break; /* there is room for all of argv */
    case OPT_ONCE: app->once = true; break;
    case OPT_NEW_PASSPHRASE_FILE: app->new_passphrase_file = optarg; break;
    case OPT_TO_KEY_FILE: app->to_key_file = true; break;
    default: return EXIT_USAGE;
  }
  return 0;
}

static int read_option(struct app *app, struct line *line, int id) {
  const char *given = line->argv[optind - 1], *name = line->command ? line->command->name : NULL;
  if (id == ':') return app_usage(app, name, "%s wants a value", given);
  if (id == '?') return app_usage(app, name, "there is no option %s", given);
  if (id > OPT_VERSION && (!line->command || !(line->command->options & BIT(id)))) {
    return app_usage(app, name, "%s has no option %s", name ? name : "dunlin", given);
  }
  return take_option(app, line, id);
}

/* A word that is no option: the command, its second word, or an argument. */
static int read_word(struct app *app, struct line *line, const char *word, bool *wants_sub) {
  if (!line->command) {
    line->command = find_command(word, NULL);
    if (!line->command) return app_usage(app, NULL, "there is no command '%s'", word);
    *wants_sub = line->command->sub != NULL;
    return 0;
  }
  if (*wants_sub) {
    const struct command *c = find_command(line->command->name, word);
    if (!c) return app_usage(app, line->command->name, "there is no command '%s %s'", line->command->name, word);
    line->command = c;
    *wants_sub = false;
    return 0;
  }
  if (line->arg_count == line->command->max) {
    return app_usage(app, line->command->name, "'%s' is one argument too many", word);
  }
  line->args[line->arg_count++] = word;
  return 0;
}

/* Options may stand anywhere, but literal arguments are taken as they are. getopt's own reordering knows no literals,
 * so it is switched off ("+"), and words are taken out one by one. */
static int read_line(struct app *app, struct line *line, bool *wants_sub) {
  bool only_words = false;
  while (optind < line->argc) {
    bool literal = line->command && !*wants_sub && line->arg_count >= line->command->literal &&
                   line->arg_count < line->command->max;
    int status = 0;
    if (literal && !only_words && strcmp(line->argv[optind], "--help") == 0) literal = false;
    if (!literal && !only_words) {
      int before = optind, id = getopt_long(line->argc, line->argv, "+:", long_options, NULL);
      if (id != -1) {
        status = read_option(app, line, id);
        if (status) return status;
        continue;
      }
      if (optind > before) { /* it was "--" */
        only_words = true;
        continue;
      }
    }
    status = read_word(app, line, line->argv[optind++], wants_sub);
    if (status) return status;
  }
  return 0;
}

static int run(struct app *app, struct line *line) {
  bool wants_sub = false;
  int status = read_line(app, line, &wants_sub);
  const struct command *c = line->command;
  if (status) return status;
  if (line->version) return puts("dunlin " DUNLIN_VERSION) < 0 ? EXIT_FAILED : EXIT_DONE;
  if (line->help) return help(wants_sub ? NULL : c);
  if (!c) return app_usage(app, NULL, "a command is missing");
  if (wants_sub) return app_usage(app, NULL, "'%s' wants a second word", c->name);
  if (line->arg_count < c->min) return app_usage(app, c->name, "%s needs %s", c->name, c->usage);
  app->args = line->args;
  app->arg_count = line->arg_count;
  return c->run(app);
}

/* --json counts for errors in the command line, too, wherever it stands. */
static bool has_json(int argc, char **argv) {
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (strcmp(argv[i], "--json") == 0) return true;
  }
  return false;
}

int main(int argc, char **argv) {
  struct app app = {.json = has_json(argc, argv)};
  struct line line = {.argc = argc, .argv = argv};
  signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write(), which is told from others in app_finish() */
  if (sodium_init() < 0) return app_fail(&app, DUNLIN_EIO, "look at the system", "there is no randomness");
  app.peers = calloc((size_t)argc + 1, sizeof *app.peers);
  if (!app.peers) return app_fail(&app, DUNLIN_ENOMEM, NULL, "out of memory");
  opterr = 0;
  int status = app_finish(&app, run(&app, &line));
  app_end(&app);
  return status;
}
