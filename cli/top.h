/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball top`, inside: what is shown (the model), how (the view), what keys do, and where the
 * model comes from (the feed). The model keeps the sidecar's answers as they came, as JSON.
 *
 * Caveats. View and keys know neither terminal nor sidecar nor clock. Text from the ledger is the
 * doing of whoever was governed: only the view brings it to a terminal, and it lets nothing pass
 * that is not printable in the locale's character set. */
#ifndef FLYBALL_CLI_TOP_H
#define FLYBALL_CLI_TOP_H

#include <poll.h>

#include "cli/cli.h"

/* In the order in which they stand on the screen; each is a list in the model, newest first. */
enum top_pane { TOP_RUNS, TOP_APPROVALS, TOP_CALLS, TOP_EVENTS, TOP_PANES };

#define TOP_ID     37u
#define TOP_SAYING 320u

/* What is being asked for in the last line. */
enum top_asks {
    TOP_ASKS_NOTHING,
    TOP_ASKS_AMOUNT,
    TOP_ASKS_REASON,
    TOP_ASKS_STOP,
    TOP_ASKS_EXTEND
};
struct top_prompt {
    enum top_asks asks;
    json_t *request;  /* what is sent when it has been answered */
    json_t *suggests; /* TOP_ASKS_AMOUNT: the question's suggestion */
    enum gov_dim dim; /* TOP_ASKS_AMOUNT */
    char label[160];
    char given[64]; /* the answer that stands there from the beginning */
    char text[200];
};

struct top_model {
    json_t *lists[TOP_PANES];
    bool loaded;             /* the lists have been read once */
    char run[TOP_ID];        /* the chosen one; "" there is none */
    char asked[TOP_ID];      /* the chosen question; the same */
    bool picked;             /* by a key */
    size_t first[TOP_PANES]; /* calls, events: the row at the top */
    enum top_pane pane;      /* where keys move */
    bool help;
    struct top_prompt prompt;
    char said[TOP_SAYING]; /* what came of the last key */
    bool said_bad;
    char trouble[TOP_SAYING]; /* why the lists are old; "" they are not */
    int64_t now_ns;
};
/* Everything empty; false: out of memory. */
bool top_model_init(struct top_model *model);
void top_model_release(struct top_model *model);
/* After a list has changed: a chosen one that is gone gives way to the first; so does a run that is
 * over, unless somebody has picked it. */
void top_model_settle(struct top_model *model);
/* An element's text, "" when it has none. */
const char *top_text(const json_t *object, const char *name);
/* The element that is chosen in a pane of runs or questions; NULL: none. */
const json_t *top_chosen(const struct top_model *model, enum top_pane pane);
/* The open question of a run; NULL: it has none. */
const json_t *top_question_of(const struct top_model *model, const char *run_id);
/* How much of an id people are shown: enough to tell runs apart, and for other commands. */
#define TOP_SHORT 13

/* ---- the view (top_view.c, top_line.c) ---------------------------------------------------- */

enum top_style { TOP_PLAIN, TOP_TITLE, TOP_HEAD, TOP_CHOSEN, TOP_WARN, TOP_BAD };

#define TOP_COLUMNS_MOST 500u
struct top_line {
    enum top_style style;
    unsigned columns; /* of the text, on a screen */
    unsigned width;   /* of the screen */
    size_t used;
    char text[4 * TOP_COLUMNS_MOST + 1]; /* printable, in the locale's character set */
};
struct top_screen {
    unsigned rows, columns;
    int cursor; /* the column of the last row where it stands; -1: out of sight */
    struct top_line *lines;
};
/* Lays the model out on rows x columns; more than TOP_COLUMNS_MOST are left empty. False: out of
 * memory. Released by top_screen_release, also before another layout. */
bool top_view(const struct top_model *model, unsigned rows, unsigned columns,
              struct top_screen *out);
void top_screen_release(struct top_screen *screen);

/* Text goes to the end of a line, cut at its width: what is not printable becomes \xNN. */
void top_put(struct top_line *line, const char *text);
/* The same, formatted; what it says must fit into TOP_SAYING. */
void top_format(struct top_line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same in a column of its own, blank-padded, with a blank behind; ends with ~ where it was cut.
 */
void top_cell(struct top_line *line, unsigned width, const char *text);
/* Fills up to a column. */
void top_fill(struct top_line *line, unsigned columns, char with);
/* Amounts for people: money to the micro-dollar, rounded up; time to the second. */
const char *top_amount(enum gov_dim dim, int64_t amount, char out[SIDE_AMOUNT_TEXT]);
/* "[####==....]" in so many columns: spent and held of a limit above 0. */
void top_gauge(struct top_line *line, unsigned width, int64_t spent, int64_t held, int64_t limit);

/* ---- keys (top_keys.c) -------------------------------------------------------------------- */

/* Beside bytes, as they are typed. */
enum top_key {
    TOP_KEY_UP = 256,
    TOP_KEY_DOWN,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_BACK,
    TOP_KEY_BACKTAB
};
/* What a key does to the model. An order for the sidecar (to be taken over), or NULL; *quit is set
 * when it ends the view. */
json_t *top_key(struct top_model *model, int key, bool *quit);

/* ---- the feed (top_feed.c) ---------------------------------------------------------------- */

struct top_feed;
/* NULL: out of memory. */
struct top_feed *top_feed_new(struct top_model *model);
void top_feed_free(struct top_feed *feed);
#define TOP_FEED_FDS 3
/* What to wait for, and for how long at most; returns how many. */
unsigned top_feed_wait(const struct top_feed *feed, struct pollfd fds[TOP_FEED_FDS], int *wait_ms);
/* Hears what has come, asks what it is time for. Never waits, but for a sidecar that it starts. */
void top_feed_go_on(struct top_feed *feed);
/* Reads again now; what else the run that was chosen until now has is forgotten. */
void top_feed_hurry(struct top_feed *feed);
/* Sends an order (the reference is taken); what came of it is said in the model. */
void top_feed_order(struct top_feed *feed, json_t *order);

#endif
