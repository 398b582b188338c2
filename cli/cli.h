/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's command. Only this folder writes to stdout and exits.
 *
 * Exit codes: 0 done; 1 the thing asked about does not hold; 2 usage or configuration; 3 the
 * sidecar or the ledger is not to be had. `flyball run`: CMD's own; 124, 125, 126, 127 and 128+n as
 * env(1) has them. */
#ifndef FLYBALL_CLI_H
#define FLYBALL_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "shim/client.h"
#include "sidecar/sidecar.h"

enum cli_exit {
    CLI_OK = 0,
    CLI_NOT = 1,
    CLI_USAGE = 2,
    CLI_UNAVAILABLE = 3,
    CLI_GOVERNED = 124,     /* ended by the governor */
    CLI_UNGOVERNABLE = 125, /* CMD was not started */
    CLI_NOT_EXECUTABLE = 126,
    CLI_NOT_FOUND = 127,
};

struct cli_command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
    const char *help;                  /* the text of --help */
};
extern const struct cli_command cli_commands[]; /* ends with a NULL name */

/* An error in the way people expect: "flyball: ..." on stderr, a newline added. Returns code. */
int cli_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A whole file ("-": standard input), with a NUL behind it; free() it. NULL: told. */
char *cli_slurp(const char *path, size_t *bytes_out);
/* Prints what `flyball NAME --help` says. */
int cli_help(const char *name);
/* "flyball NAME: ... try --help". Returns CLI_USAGE. */
int cli_usage(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, of a verb behind the name that is none of verbs; NULL: none was given. */
int cli_no_verb(const char *name, const char *given, const char *verbs);

/* Since the epoch. */
int64_t cli_now_ns(void);
/* "2026-11-22", "2026-11-22T10:00:00Z", or how long ago: "90m". False: none of them. */
#define CLI_TIMES "2026-11-22, 2026-11-22T10:00:00Z or 90m"
bool cli_time_parse(const char *text, int64_t *ns_out);
/* DIM=VALUE: the dimension, and where the value begins. GOV_DIMS: it is not that; *error names what
 * (an option, say; "" none), the text, and what there is. */
enum gov_dim cli_dim_split(const char *text, const char *what, const char **value_out,
                           struct side_error *error);
/* The name of who asks, for the record. Static. */
const char *cli_login(void);

/* ---- asking the sidecar (ask.c) ----------------------------------------------------------- */

/* Where the state directory and our own programs are. False: there is no state directory. */
bool cli_place(struct client_place *place);
/* False: there is no ledger yet, so nothing can be asked about it. */
bool cli_ledger_is_there(void);
/* A connection, starting a sidecar when none runs and start says so. False: *reason says why not.
 */
bool cli_connect(struct client_link *link, bool start, char *reason, size_t reason_size);
/* Sends a question (the reference is taken). */
bool cli_send(const struct client_link *link, json_t *request);
/* The same, and a descriptor with it; -1: none. */
bool cli_send_with(const struct client_link *link, json_t *request, int fd);
/* A line of an answer. */
typedef void cli_each(void *data, const char *line, size_t length);
/* Asks, and calls each() for every line of the answer. The exit code of DONE; what it says is
 * printed. */
int cli_ask(json_t *request, cli_each *each, void *data);
/* The same; what it says goes to why, "" for nothing. */
int cli_question(json_t *request, cli_each *each, void *data, char *why, size_t why_size);
#define CLI_CLOSED "the sidecar closed the connection"
/* The next thing that the sidecar says on a link. */
enum cli_said { CLI_SAID_NOTHING, CLI_SAID_REPLY, CLI_SAID_DONE, CLI_SAID_NOTICE, CLI_SAID_LOST };
struct cli_word {
    enum cli_said said;
    int status;       /* CLI_SAID_DONE */
    char text[65536]; /* REPLY, NOTICE: the bytes; DONE: why */
    size_t length;
};
void cli_listen(const struct client_link *link, int wait_ms, struct cli_word *word);
/* A question that is open, for whoever waits for other things as well. Zeroed but for the link:
 * none is. */
struct cli_asking {
    struct client_link link; /* readable when there is something to hear */
    cli_each *each;
    void *data;
    struct cli_word *word; /* what was said last; NULL: no question is open */
    char *kept;            /* a line that has not ended */
    size_t used, size;
};
/* Asks (the reference is taken); each() is called by cli_asking_hear. False: reason says why not,
 * nothing is open. */
bool cli_asking_begin(struct cli_asking *asking, bool start, json_t *request, cli_each *each,
                      void *data, char *reason, size_t reason_size);
/* Hears the next word. CLI_SAID_DONE, CLI_SAID_LOST: it was the last. */
enum cli_said cli_asking_hear(struct cli_asking *asking, int wait_ms);
void cli_asking_end(struct cli_asking *asking); /* whether one is open or not */
/* A dimension's amount in a map of an answer. False: it is not there, or null. */
bool cli_amount_of(const json_t *map, enum gov_dim dim, int64_t *out);

/* side_apart() for what writes to stdout (whole.c). */
int cli_apart(int (*work)(void *data), void *data, int64_t bytes, char *why, size_t size);

/* ---- orders (orders.c) -------------------------------------------------------------------- */

/* Puts DIM=N into a map of a request; more than 0, once. False: error says what is wrong. */
bool cli_amount_put(json_t *request, const char *map_name, const char *text,
                    struct side_error *error);

/* ---- commands ----------------------------------------------------------------------------- */

int cli_run(int argc, char **argv);
int cli_read(int argc, char **argv); /* status, runs, calls, events, receipts: by argv[0] */
int cli_receipt(int argc, char **argv);
int cli_verify(int argc, char **argv);
int cli_export(int argc, char **argv);
int cli_backup(int argc, char **argv);
int cli_restore(int argc, char **argv);
int cli_compact(int argc, char **argv);
int cli_correct(int argc, char **argv);
int cli_reprice(int argc, char **argv);
int cli_order(int argc, char **argv); /* approvals, approve, ..., reset: by argv[0] */
int cli_override(int argc, char **argv);
int cli_top(int argc, char **argv);
int cli_meter(int argc, char **argv);
int cli_estimate_command(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_clock(int argc, char **argv);
int cli_route(int argc, char **argv);
int cli_registry(int argc, char **argv);
int cli_snapshot(int argc, char **argv);
int cli_profile(int argc, char **argv);
int cli_cooldown(int argc, char **argv);
int cli_prices(int argc, char **argv);
int cli_policy(int argc, char **argv);
int cli_mcp(int argc, char **argv);

/* ---- prices (prices.c, prices_print.c, prices_file.c) ------------------------------------- */

/* Prints a row as JSON, or for people as columns, the first below a heading. */
struct cli_price_printer {
    bool json;
    bool begun;
};
void cli_price_print(struct cli_price_printer *printer, const struct meter_price_line *line);
/* A price file over the shipped book; meter_price_book_free() it. CLI_OK, or the exit code of a
 * mistake that has been told: *out is as it was. */
int cli_price_file_read(const char *path, struct meter_price_book **out);
int cli_prices_import(int argc, char **argv);
int cli_prices_check(int argc, char **argv);

/* ---- operators' verbs (inside.c) ---------------------------------------------------------- */

/* Whether this command runs below a launcher. */
bool cli_inside_run(void);
/* Says so, and returns the exit code. what: "prices import". */
int cli_refuse_inside(const char *what);
/* An option's text into a request, as the ledger has room for it. name: run, session, actor or
 * reason. False: it is too long, empty, not UTF-8 or has control characters, as *error says. */
bool cli_text_put(json_t *request, const char *name, const char *text, struct side_error *error);

/* A governed program's start: how it can be governed, or why not (preflight.c). */
enum cli_flight { CLI_FLIES, CLI_IS_MISSING, CLI_IS_NO_PROGRAM, CLI_CANNOT_BE_GOVERNED };
enum cli_flight cli_preflight(const char *program, char *path_out, size_t path_size, char *why,
                              size_t why_size);
/* The file that is preloaded. False: it is not there, or its path cannot stand in LD_PRELOAD. */
bool cli_preload(char *out, size_t size, char *why, size_t why_size);

#endif
