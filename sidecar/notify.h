/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the user's, and telling people: a part of side_int.h. */
#ifndef FLYBALL_SIDECAR_NOTIFY_H
#define FLYBALL_SIDECAR_NOTIFY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct side;
struct side_notice;
struct side_spec;
struct side_worker;

/* ---- commands (child.c) -------------------------------------------------------------------- */

#define SIDE_CHILD_MS    10000 /* what each has */
#define SIDE_CHILD_WORDS 64u
struct side_child {
    atomic_int pid; /* of the one that runs; 0: none */
    atomic_bool stopping;
};
/* In a worker: runs words (up to a NULL; the first a path, or a name in PATH) with text on its
 * standard input, and ends its process group after its time. False: error says why it did not end
 * well; never waits longer than SIDE_CHILD_MS. */
bool side_child_run(struct side_child *child, char *const *words, char *const *environment,
                    const char *text, char *error, size_t size);
/* From the loop: what runs is killed, now and from now on. */
void side_child_stop(struct side_child *child);

/* ---- telling people (notify.c) ------------------------------------------------------------- */

#define SIDE_NOTIFY_RULES 4u  /* of a configuration; each has a worker of its own */
#define SIDE_NOTIFY_MOST  32u /* that wait for one of them; more are dropped */
struct side_notify {
    struct side_worker *workers[SIDE_NOTIFY_RULES]; /* from the first that it has to tell on */
    struct side_child children[SIDE_NOTIFY_RULES];  /* what they run */
    unsigned waiting[SIDE_NOTIFY_RULES];
    unsigned long told, failed;
    char error[200]; /* of the last that failed */
};
/* What the configuration of a run, or of the run around it, asks to be told of. A notice of a
 * question is one while it is new to the run (asked_seq). */
void side_notify(struct side *side, const struct side_notice *notice);
/* A run that is asked for from inside another, or from where we do not see, has no say in it. */
void side_notify_check(struct side *side, struct side_spec *spec, pid_t asking);
bool side_notify_busy(const struct side *side);
/* What waits is dropped; returns when no worker is left. */
void side_notify_stop(struct side *side);

#endif
