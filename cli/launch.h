/* SPDX-License-Identifier: Apache-2.0 */
/* A run's launcher, inside: what run.c prepares and launch.c supervises. */
#ifndef FLYBALL_LAUNCH_H
#define FLYBALL_LAUNCH_H

#include <sys/types.h>

#include "cli/cli.h"

#define LAUNCH_PATIENCE_MS 10000 /* for the run to be in the ledger */
#define LAUNCH_TERM_MS     5000  /* between TERM and KILL */

struct launch {
    bool help;
    struct side_spec spec;
    const char *summary_file;
    bool ungovernable; /* asked for a level that this version does not reach */
    char **argv;       /* CMD and its arguments */
    char path[1024];
    char preload[700];
    struct client_link link;
    char run_id[40], token[40];
    /* while it runs */
    pid_t child;
    int signals;         /* signalfd */
    int terminal;        /* the descriptor whose terminal CMD has; -1: none */
    int64_t deadline_ms; /* monotonic; INT64_MAX: none */
    int64_t kill_ms;     /* when KILL follows TERM; INT64_MAX: not yet */
    int64_t attach_ms;   /* when to look for a new sidecar; INT64_MAX: it is there */
    int attach_wait_ms;
    bool governor_ended; /* the governor ended CMD */
    bool interrupted;    /* a signal to us ended it */
    bool over;
    int status; /* of waitpid */
};

/* Starts CMD, watches over it, closes the run, prints the summary. The exit code. */
int launch_supervise(struct launch *launch);
/* Tells people what the sidecar has to say while CMD runs; true: CMD has to end. */
bool launch_notice(const char *text);
/* After the end: closes the run, prints one line, writes --summary. */
void launch_summary(struct launch *launch, int exit_code);

#endif
