/* SPDX-License-Identifier: Apache-2.0 */
/* The chain's head, written down elsewhere from time to time: in a file, or by any command, which
 * gets the line on its standard input. A worker does it, no call waits for it, and it has its time.
 */
#include "sidecar/side_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct anchoring {
    struct side_job job;
    struct side_child *child;
    struct side_keeping keeping;
    char head[128], line[200];
    char error[200];
};

/* The last record that is on the disk for sure; one that is not might be lost, and then be missed.
 */
static bool head_read(const struct side *side, char out[128])
{
    char path[600];
    ssize_t count;
    int fd;

    (void)snprintf(path, sizeof path, "%s/head", side->home);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    count = read(fd, out, 127);
    (void)close(fd);
    out[count > 0 ? count : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return out[0] != '\0';
}

/* ---- a file ------------------------------------------------------------------------------- */

static void write_file(struct anchoring *anchoring)
{
    const char *path = anchoring->keeping.anchor_file;
    size_t length = strlen(anchoring->line);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    bool ok = fd >= 0 && write(fd, anchoring->line, length) == (ssize_t)length && fsync(fd) == 0;

    if (!ok)
        (void)snprintf(anchoring->error, sizeof anchoring->error, "%.120s: %s", path,
                       strerror(errno));
    if (fd >= 0)
        (void)close(fd);
}

static void run_command(struct anchoring *anchoring)
{
    char *words[SIDE_CHILD_WORDS + 1], *at = anchoring->keeping.anchor_words;
    unsigned count = 0;

    for (; *at != '\0' && count < SIDE_CHILD_WORDS; at += strlen(at) + 1)
        words[count++] = at;
    words[count] = NULL;
    (void)side_child_run(anchoring->child, words, environ, anchoring->line, anchoring->error,
                         sizeof anchoring->error);
}

/* ---- when --------------------------------------------------------------------------------- */

static void work_anchoring(struct side_job *job)
{
    struct anchoring *anchoring = (struct anchoring *)job;

    if (anchoring->keeping.anchor_file[0] != '\0')
        write_file(anchoring);
    else
        run_command(anchoring);
}

static void done_anchoring(struct side *side, struct side_job *job)
{
    struct anchoring *anchoring = (struct anchoring *)job;

    side->anchor.busy = false;
    memcpy(side->anchor.error, anchoring->error, sizeof side->anchor.error);
    if (anchoring->error[0] == '\0')
        memcpy(side->anchor.last, anchoring->head, sizeof side->anchor.last);
    else if (!side->on_demand)
        (void)fprintf(stderr, "flyballd: anchor: %s\n", anchoring->error);
    free(anchoring);
}

bool side_anchor_due(const struct side *side)
{
    char head[128];

    return side->keeping.anchor_ms > 0 && side->anchor.error[0] == '\0' && head_read(side, head) &&
           strcmp(head, side->anchor.last) != 0;
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
    struct side *side = data;
    struct anchoring *anchoring;
    char head[128], now[32];

    (void)fd, (void)what;
    if (side->anchor.busy || !head_read(side, head) || strcmp(head, side->anchor.last) == 0)
        return;
    anchoring = calloc(1, sizeof *anchoring);
    if (anchoring == NULL)
        return;
    anchoring->job.work = work_anchoring;
    anchoring->job.done = done_anchoring;
    anchoring->child = &side->anchor.child;
    anchoring->keeping = side->keeping;
    memcpy(anchoring->head, head, sizeof head);
    (void)snprintf(anchoring->line, sizeof anchoring->line, "%s %s\n",
                   side_time_text(side_now_ns(), now), head);
    side->anchor.busy = true;
    side_work(side->chores, &anchoring->job);
}

void side_keep(struct side *side, const struct side_keeping *keeping)
{
    int64_t before_ms = side->keeping.anchor_ms;

    if (keeping->retention_ms > 0)
        side->keeping.retention_ms = keeping->retention_ms;
    side->retention_ms = side->keeping.retention_ms;
    if (keeping->anchor_ms == 0)
        return;
    side->keeping.anchor_ms = keeping->anchor_ms;
    memcpy(side->keeping.anchor_file, keeping->anchor_file, sizeof keeping->anchor_file);
    memcpy(side->keeping.anchor_words, keeping->anchor_words, sizeof keeping->anchor_words);
    if (before_ms == keeping->anchor_ms)
        return;
    side_anchor_free(side);
    side->anchor.timer = event_new(side->base, -1, EV_PERSIST, on_timer, side);
    if (side->anchor.timer != NULL)
        (void)event_add(side->anchor.timer, &(struct timeval){keeping->anchor_ms / 1000,
                                                              keeping->anchor_ms % 1000 * 1000});
}

void side_anchor_free(struct side *side)
{
    if (side->anchor.timer != NULL)
        event_free(side->anchor.timer);
    side->anchor.timer = NULL;
}
