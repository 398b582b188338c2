/* SPDX-License-Identifier: Apache-2.0 */
/* The processes below this one, as /proc has them. */
#include "cli/tree.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- who ---------------------------------------------------------------------------------- */

static bool add(struct tree *tree, pid_t pid)
{
    if (tree->count == tree->size) {
        unsigned size = tree->size == 0 ? 64 : 2 * tree->size;
        pid_t *pids = realloc(tree->pids, size * sizeof *pids);

        if (pids == NULL)
            return false;
        tree->pids = pids;
        tree->size = size;
    }
    tree->pids[tree->count++] = pid;
    return true;
}

/* A thread's children: only it has them in its list. */
static bool add_children(struct tree *tree, const char *path, pid_t except)
{
    FILE *file = fopen(path, "re");
    bool ok = true;
    int pid;

    while (file != NULL && ok && fscanf(file, "%d", &pid) == 1)
        ok = pid == except || add(tree, pid);
    if (file != NULL)
        (void)fclose(file);
    return ok;
}

static bool add_below(struct tree *tree, pid_t pid, pid_t except)
{
    const struct dirent *thread;
    char path[320];
    bool ok = true;
    DIR *threads;

    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    threads = opendir(path);
    while (threads != NULL && ok && (thread = readdir(threads)) != NULL) {
        if (!isdigit((unsigned char)thread->d_name[0]))
            continue;
        (void)snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)pid, thread->d_name);
        ok = add_children(tree, path, except);
    }
    if (threads != NULL)
        (void)closedir(threads);
    return ok;
}

bool tree_read(struct tree *tree, pid_t except)
{
    bool ok;

    tree->count = 0;
    ok = add(tree, getpid());
    for (unsigned i = 0; ok && i < tree->count; i++)
        ok = add_below(tree, tree->pids[i], except);
    return ok;
}

void tree_release(struct tree *tree)
{
    free(tree->pids);
    *tree = (struct tree){NULL, 0, 0};
}

/* ---- what --------------------------------------------------------------------------------- */

/* Up to size - 1 bytes of a small file; "" when it cannot be read. */
static void slurp(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd >= 0 ? read(fd, out, size - 1) : 0;

    out[count > 0 ? count : 0] = '\0';
    if (fd >= 0)
        (void)close(fd);
}

static int64_t number_of(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at != NULL ? strtoll(at + strlen(name), NULL, 10) : 0;
}

static int64_t written_in(const char *path)
{
    char text[512];

    slurp(path, text, sizeof text);
    return number_of(text, "\nwrite_bytes: ") - number_of(text, "\ncancelled_write_bytes: ");
}

int64_t tree_written_by(pid_t pid)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%d/io", (int)pid);
    return written_in(path);
}

/* Of us only what came from those that we waited for: a thread's file is its own alone, and we are
 * one thread. */
int64_t tree_written(const struct tree *tree)
{
    int64_t sum = written_in("/proc/self/io") - written_in("/proc/thread-self/io");

    for (unsigned i = 1; i < tree->count; i++)
        sum += tree_written_by(tree->pids[i]);
    return sum;
}

bool tree_can_measure(void)
{
    return access("/proc/self/io", R_OK) == 0 && access("/proc/thread-self/io", R_OK) == 0 &&
           access("/proc/thread-self/children", R_OK) == 0;
}

/* Clock ticks after the boot; -1: it is gone. Its name, in brackets, may hold anything. */
static int64_t started_ticks(pid_t pid)
{
    char path[64], text[1024];
    const char *behind;
    long long ticks;

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    slurp(path, text, sizeof text);
    behind = strrchr(text, ')');
    return behind != NULL && sscanf(behind,
                                    ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
                                    "%*d %*d %*d %*d %*d %lld",
                                    &ticks) == 1
               ? ticks
               : -1;
}

int64_t tree_oldest_s(const struct tree *tree, pid_t but)
{
    int64_t first = INT64_MAX;
    struct timespec now;

    for (unsigned i = 1; i < tree->count; i++) {
        int64_t ticks = tree->pids[i] != but ? started_ticks(tree->pids[i]) : -1;

        if (ticks >= 0 && ticks < first)
            first = ticks;
    }
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return first == INT64_MAX ? 0 : now.tv_sec - first / sysconf(_SC_CLK_TCK);
}
