/* SPDX-License-Identifier: Apache-2.0 */
/* A command of the user's, run by a worker: it has its text on standard input, no other descriptor,
 * and its time. */
#include "sidecar/side_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A file has room for any text, and nobody has to write while it is read. -1: none to be had. */
static int input_open(const char *text)
{
    int fd = memfd_create("flyball-input", MFD_CLOEXEC);
    size_t length = strlen(text);

    if (fd >= 0 && (write(fd, text, length) != (ssize_t)length || lseek(fd, 0, SEEK_SET) != 0)) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static bool spawn(char *const *words, char *const *environment, int in, pid_t *pid_out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t pipe, none;
    int code;

    (void)sigemptyset(&none);
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawn_file_actions_adddup2(&actions, in, 0);
    (void)posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    (void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    (void)posix_spawn_file_actions_addclosefrom_np(&actions, 3); /* libraries open some */
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setsigdefault(&attributes, &pipe);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETSIGMASK);
    code = posix_spawnp(pid_out, words[0], &actions, &attributes, words, environment);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    errno = code;
    return code == 0;
}

/* What it left behind in its group goes with it. False: it was not through in time. */
static bool await(struct side_child *child, pid_t pid, int *status_out)
{
    struct pollfd end = {.fd = side_pidfd(pid), .events = POLLIN};
    bool in_time;

    child->pid = pid;
    if (child->stopping) /* it was said before there was a number to kill */
        (void)kill(-pid, SIGKILL);
    in_time = end.fd >= 0 && poll(&end, 1, SIDE_CHILD_MS) == 1;
    (void)kill(-pid, SIGKILL);
    if (end.fd >= 0)
        (void)close(end.fd);
    child->pid = 0; /* before the number can be another's */
    *status_out = 0;
    (void)waitpid(pid, status_out, 0);
    return in_time;
}

bool side_child_run(struct side_child *child, char *const *words, char *const *environment,
                    const char *text, char *error, size_t size)
{
    int in = input_open(text), status = 0;
    pid_t pid;

    *error = '\0';
    if (in < 0 || !spawn(words, environment, in, &pid))
        (void)snprintf(error, size, "%.120s: %s", words[0], strerror(errno));
    else if (!await(child, pid, &status))
        (void)snprintf(error, size, "%.120s: did not end within %d s", words[0],
                       SIDE_CHILD_MS / 1000);
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        (void)snprintf(error, size, "%.120s: ended with %d", words[0],
                       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    if (in >= 0)
        (void)close(in);
    return *error == '\0';
}

void side_child_stop(struct side_child *child)
{
    pid_t pid;

    child->stopping = true;
    pid = child->pid;
    if (pid > 0)
        (void)kill(-pid, SIGKILL);
}
