/* SPDX-License-Identifier: Apache-2.0 */
/* A run's launcher, inside: what run.c prepares and launch.c supervises. */
#ifndef FLYBALL_LAUNCH_H
#define FLYBALL_LAUNCH_H

#include <sys/types.h>

#include "cli/cli.h"
#include "cli/tree.h"
#include "shim/page.h"

#define LAUNCH_PATIENCE_MS 10000 /* for the run to be in the ledger */
#define LAUNCH_TERM_MS     5000  /* between TERM and KILL */
#define LAUNCH_REGAIN_MS   3000  /* for a sidecar to be there, at the end */

/* Of the program, since it began. */
struct measured {
    int64_t written;   /* bytes, to disk */
    int64_t oldest_s;  /* its longest command, CMD itself apart */
    int64_t paused_ms; /* time that does not count */
    uint64_t sent;     /* bytes, without calls */
};

struct launch {
    bool help;
    struct side_spec spec;
    const char *summary_file;
    const char *resume; /* the run that goes on; NULL: a new one */
    bool ungovernable;  /* asked for a level that this version does not reach */
    char **argv;        /* CMD and its arguments */
    char path[1024];
    char preload[700];
    struct client_link link;
    char run_id[40], token[40];
    int64_t before[GOV_DIMS]; /* what a run that goes on had used */
    /* while it runs */
    pid_t child;
    int signals;       /* signalfd */
    int terminal;      /* the descriptor whose terminal CMD has; -1: none */
    int64_t begun_ms;  /* monotonic, as all of these */
    int64_t kill_ms;   /* when KILL follows TERM; INT64_MAX: not yet */
    int64_t attach_ms; /* when to look for a new sidecar; INT64_MAX: it is there */
    int attach_wait_ms;
    pid_t sidecar;         /* one that was started below us is not the program's; 0: not known */
    int64_t foreign_bytes; /* what such ones, that have ended, had written */
    bool can_measure;
    struct tree tree;
    int page_fd;       /* the page that the program's processes count in; -1: the sidecar's own */
    struct page *page; /* NULL: egress is not limited */
    struct measured measured, told;
    uint8_t logged[GOV_DIMS];            /* thresholds that the sidecar was told of: a bit each */
    bool exhausted[GOV_DIMS];            /* it was told of that as well */
    int64_t look_ms, looked_ms, told_ms; /* when to look next; the last times */
    bool held;                           /* CMD is stopped by a person, not from its terminal */
    int64_t idle_ms;                     /* of the clock: as the ledger has it, paused ... */
    int64_t idle_since_ms;               /* ... and since when it is; 0: it is not */
    bool governor_ended;                 /* the governor ended CMD */
    bool interrupted;                    /* a signal to us ended it */
    bool over;
    int status; /* of waitpid */
};

/* Starts CMD, watches over it, closes the run, prints the summary. The exit code. */
int launch_supervise(struct launch *launch);
/* measure.c. Begins; looks, when it is time; looks for the last time, when CMD has ended; tells the
 * sidecar what was seen, where there is one. */
void measure_begin(struct launch *launch);
void measure_look(struct launch *launch);
void measure_finish(struct launch *launch);
void measure_tell(struct launch *launch, int64_t now_ms);
/* The run's clock: time Paused does not count. */
int64_t measure_clock_ms(const struct launch *launch, int64_t now_ms);
/* A dimension that ends the program has passed its limit: the clock has come to it, more was
 * written than it. */
bool measure_is_over(const struct launch *launch, enum gov_dim dim, int64_t now_ms);
/* What the sidecar has to say while CMD runs: tells people, and what CMD has to do. */
struct launch_word {
    bool end;    /* CMD has to end */
    bool turned; /* the others count */
    bool paused;
    bool hold;                /* it is to be stopped, until it is not */
    int64_t left_ms;          /* of its wall clock; -1: it has no limit */
    int64_t limits[GOV_DIMS]; /* as they are now; 0: none */
};
void launch_notice(const char *text, struct launch_word *word_out);
/* measure.c: the clock and the limits are as the sidecar says. */
void measure_turn(struct launch *launch, const struct launch_word *word);
/* After the end. Closes the run, and waits until it is closed in the ledger, so that whoever asks
 * next sees it so; false: the sidecar is gone, or cannot. Prints one line, writes --summary. */
bool launch_close(struct launch *launch, int exit_code);
void launch_summary(const struct launch *launch);

#endif
