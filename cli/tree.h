/* SPDX-License-Identifier: Apache-2.0 */
/* The processes below this one: which there are, what they have written to disk, how long the
 * oldest lives. For a subreaper, which has all of them below it until they end.
 *
 * The model. The kernel counts what every process writes (/proc/PID/io), and adds the count of a
 * child to its parent's when that waits for it. So the sum over those that live, and over us who
 * wait for orphans, misses no child that ended, however short its life; but for children of a
 * process that ignores SIGCHLD, for whom nobody waits.
 *
 * Caveats. Parents are read before their children: what moves up meanwhile is missed until the next
 * look, never counted twice. */
#ifndef FLYBALL_TREE_H
#define FLYBALL_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tree {
    pid_t *pids; /* the root first, parents before their children */
    unsigned count, size;
};

/* Whether this kernel, here, shows what is needed. */
bool tree_can_measure(void);
/* Reads who lives below us, but for one process (0: none) and what is below that. False: out of
 * memory. */
bool tree_read(struct tree *tree, pid_t except);
/* What it wrote to disk itself, and those that it waited for: written minus cancelled; 0 when it is
 * gone, or not ours to see. */
int64_t tree_written_by(pid_t pid);
/* What those of the last tree_read() wrote in all, ended ones included, without our own writing. */
int64_t tree_written(const struct tree *tree);
/* The age of the oldest of them that is not this one, in seconds; 0: there is none. */
int64_t tree_oldest_s(const struct tree *tree, pid_t but);
void tree_release(struct tree *tree);

#endif
