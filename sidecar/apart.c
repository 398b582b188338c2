/* SPDX-License-Identifier: Apache-2.0 */
/* Work in a process of its own: LMDB trusts the pages of its file, and whoever reads damaged ones
 * may die of it. Who asked for the work lives on, and can tell. */
#include "sidecar/sidecar.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What ends a process that follows a pointer into nowhere, reads behind a file's end, finds that
 * something cannot be, or goes round in a circle. */
static const int deaths[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU};
#define DEATHS (sizeof deaths / sizeof deaths[0])

/* Of the processor: many times what reading takes. */
#define LEAST_S        20
#define BYTES_A_SECOND (4 << 20)

#define LOOK_NS 2000000 /* from one look whether it has ended to the next */

/* None of the descriptors is needed to read what is mapped; a connection that the other process
 * closes has to end. */
static void be_apart(pid_t parent, int64_t bytes)
{
    rlim_t most_s = (rlim_t)(LEAST_S + bytes / BYTES_A_SECOND);
    struct rlimit limit;
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(SIDE_APART_MOST);
    for (unsigned i = 0; i < DEATHS; i++)
        (void)signal(deaths[i], SIG_DFL);
    if (getrlimit(RLIMIT_CPU, &limit) == 0 && most_s < limit.rlim_cur) {
        limit.rlim_cur = most_s;
        (void)setrlimit(RLIMIT_CPU, &limit);
    }
    (void)close_range(STDERR_FILENO + 1, ~0U, 0);
}

static int code_of(int status, char *why, size_t size)
{
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    if (number == 0)
        return WEXITSTATUS(status);
    (void)snprintf(why, size, "whoever reads the ledger dies of it (%s): its file is damaged",
                   sigdescr_np(number));
    for (unsigned i = 0; i < DEATHS; i++)
        if (deaths[i] == number)
            return SIDE_APART_DIED;
    (void)snprintf(why, size, "the process that reads the ledger was ended: %s",
                   sigdescr_np(number));
    return SIDE_APART_NONE;
}

int64_t side_ledger_bytes(const char *home)
{
    char path[700];
    struct stat info;

    (void)snprintf(path, sizeof path, "%s/ledger.mdb", home);
    return stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
}

static atomic_bool stopping;

void side_apart_stop(void)
{
    atomic_store(&stopping, true);
}

/* It is a copy of one thread of a process with several: should it wait for what another one had, it
 * would for ever. */
static pid_t wait_for(pid_t pid, int *status)
{
    const struct timespec look = {0, LOOK_NS};
    pid_t ended;

    do {
        if (atomic_load(&stopping))
            (void)kill(pid, SIGKILL);
        ended = waitpid(pid, status, WNOHANG);
        if (ended == 0)
            (void)nanosleep(&look, NULL);
    } while (ended == 0 || (ended < 0 && errno == EINTR));
    return ended;
}

int side_apart(int (*work)(void *data), void *data, int64_t bytes, char *why, size_t size)
{
    pid_t parent = getpid(), pid;
    int status;

    *why = '\0';
    pid = fork();
    if (pid == 0) {
        be_apart(parent, bytes);
        _exit(work(data));
    }
    if (pid > 0 && wait_for(pid, &status) == pid)
        return code_of(status, why, size);
    (void)snprintf(why, size, "there is no process to read the ledger in: %s", strerror(errno));
    return SIDE_APART_NONE;
}
