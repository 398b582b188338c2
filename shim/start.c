/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a sidecar from inside a governed process, without the host noticing: the middle child is
 * made without an exit signal, so that the host's SIGCHLD and wait() see nothing; the sidecar
 * itself belongs to init (or the launcher). It keeps nothing of the host: no descriptor, no signal
 * state, no environment but a few names. It says on a pipe when it is ready, or why it is not. */
#include "shim/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RETRY_AFTER_MS 1000 /* after a failed start, refuse at once for so long */

extern char **environ;

struct plan {
    char program[600], home[520], ready[24];
    char *argv[6];
    char *environment[16];
    int ready_fd;
};

/* What a sidecar may inherit: where to find the user's files, proxies and CAs are the run's. */
static void environment_pick(struct plan *plan)
{
    static const char *const wanted[] = {"PATH=",
                                         "HOME=",
                                         "USER=",
                                         "LOGNAME=",
                                         "LANG=",
                                         "LC_ALL=",
                                         "TZ=",
                                         "XDG_CONFIG_HOME=",
                                         "TMPDIR=",
                                         "XDG_RUNTIME_DIR=",
                                         "FLYBALL_CONFIG=",
                                         "FLYBALL_LOG="};
    size_t used = 0;

    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
            if (strncmp(*entry, wanted[i], strlen(wanted[i])) == 0 &&
                used + 1 < sizeof plan->environment / sizeof plan->environment[0])
                plan->environment[used++] = *entry;
    plan->environment[used] = NULL;
}

/* build/release/libflyball.so has flyballd beside it; PREFIX/lib/flyball/ has it in PREFIX/bin. */
static bool program_find(struct plan *plan, const char *directory)
{
    static const char *const places[] = {"%s/flyballd", "%s/../../bin/flyballd"};

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        (void)snprintf(plan->program, sizeof plan->program, places[i], directory);
        if (access(plan->program, X_OK) == 0)
            return true;
    }
    return false;
}

static void plan_make(struct plan *plan, const char *home, int ready_fd)
{
    (void)snprintf(plan->home, sizeof plan->home, "%s", home);
    (void)snprintf(plan->ready, sizeof plan->ready, "%d", ready_fd);
    plan->argv[0] = plan->program;
    plan->argv[1] = (char *)(uintptr_t) "--home";
    plan->argv[2] = plan->home;
    plan->argv[3] = (char *)(uintptr_t) "--ready-fd";
    plan->argv[4] = plan->ready;
    plan->argv[5] = NULL;
    plan->ready_fd = ready_fd;
    environment_pick(plan);
}

/* In the sidecar-to-be. Only system calls from here on: we are a copy of a process with threads. */
static void become_sidecar(const struct plan *plan)
{
    struct sigaction initial = {.sa_handler = SIG_DFL};
    sigset_t none;
    int null;
    char failed[32];

    (void)fcntl(plan->ready_fd, F_SETFD, 0);
    (void)setsid();
    (void)!chdir("/");
    null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        (void)dup2(null, fd);
    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &initial, NULL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (plan->ready_fd > 3)
        (void)syscall(SYS_close_range, 3u, (unsigned)plan->ready_fd - 1, 0u);
    (void)syscall(SYS_close_range, (unsigned)plan->ready_fd + 1, ~0u, 0u);
    /* Not libc's: of a governed process that would be our own, which puts the preload back. */
    (void)syscall(SYS_execve, plan->program, plan->argv, plan->environment);
    (void)snprintf(failed, sizeof failed, "E%d\n", errno);
    (void)!write(plan->ready_fd, failed, strlen(failed));
    _exit(127);
}

/* Raw clone: fork() would run the host's atfork handlers and make a child that it can see. */
static bool plan_run(const struct plan *plan)
{
    sigset_t all, before;
    long middle;
    int status;

    /* The host's handlers must not run in the copy: become_sidecar() takes them away. */
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    middle = syscall(SYS_clone, 0UL, NULL, NULL, NULL, NULL);
    if (middle == 0) {
        if (syscall(SYS_clone, (unsigned long)SIGCHLD, NULL, NULL, NULL, NULL) == 0)
            become_sidecar(plan);
        _exit(0);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    while (middle > 0 && waitpid((pid_t)middle, &status, __WCLONE) < 0 && errno == EINTR)
        ;
    return middle > 0;
}

/* One line: "ready", "E<errno>" from exec, or the sidecar's own words for why it cannot serve. */
static size_t read_line(int fd, char *text, size_t size)
{
    int64_t until = client_now_ms() + CLIENT_START_MS;
    size_t used = 0;

    while (used < size - 1) {
        struct pollfd ready = {fd, POLLIN, 0};
        int64_t left = until - client_now_ms();
        ssize_t count;

        if (left <= 0 || (poll(&ready, 1, (int)left) <= 0 && errno != EINTR))
            break;
        count = read(fd, text + used, 1);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0 || text[used] == '\n')
            break;
        used++;
    }
    text[used] = '\0';
    return used;
}

static bool outcome(int fd, const struct plan *plan, char *reason_out, size_t reason_size)
{
    char text[400];
    size_t used = read_line(fd, text, sizeof text);

    if (strcmp(text, "ready") == 0)
        return true;
    if (text[0] == 'E')
        (void)snprintf(reason_out, reason_size, "%s: %s", plan->program,
                       strerrordesc_np(atoi(text + 1)));
    else
        (void)snprintf(reason_out, reason_size, "%s",
                       used > 0 ? text : "the sidecar ended without a word");
    return false;
}

static bool start_once(const struct client_place *place, char *reason_out, size_t reason_size)
{
    struct plan plan;
    int ends[2];
    bool ok;

    if (!program_find(&plan, place->directory)) {
        (void)snprintf(reason_out, reason_size, "there is no flyballd in or beside %s",
                       place->directory);
        return false;
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        (void)snprintf(reason_out, reason_size, "pipe: %s", strerrordesc_np(errno));
        return false;
    }
    ends[0] = client_fd_away(ends[0]);
    ends[1] = client_fd_away(ends[1]);
    plan_make(&plan, place->home, ends[1]);
    ok = plan_run(&plan);
    (void)close(ends[1]);
    if (!ok)
        (void)snprintf(reason_out, reason_size, "clone: %s", strerrordesc_np(errno));
    else
        ok = outcome(ends[0], &plan, reason_out, reason_size);
    (void)close(ends[0]);
    return ok;
}

/* The last failure, for a second: a program that retries would start a process each time. The text
 * has one user at a time; who finds it taken does without. */
static atomic_llong failed_ms;
static atomic_flag text_taken = ATOMIC_FLAG_INIT;
static char failed_text[256];

static bool failed_just_now(char *reason_out, size_t reason_size)
{
    long long when = atomic_load(&failed_ms);

    if (when == 0 || client_now_ms() - when >= RETRY_AFTER_MS)
        return false;
    (void)snprintf(reason_out, reason_size, "the sidecar could not be started a moment ago");
    if (!atomic_flag_test_and_set(&text_taken)) {
        (void)snprintf(reason_out, reason_size, "%s", failed_text);
        atomic_flag_clear(&text_taken);
    }
    return true;
}

int client_turn(const char *home)
{
    char path[600];
    int fd;

    (void)snprintf(path, sizeof path, "%s/start", home);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 ? client_fd_away(fd) : -1;
}

bool client_turn_take(int turn)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return turn < 0 || fcntl(turn, F_OFD_SETLK, &whole) == 0 ||
           (errno != EAGAIN && errno != EACCES);
}

/* A copy of the descriptor in a child of the host's would keep the lock: it is let go by name. */
void client_turn_end(int turn)
{
    struct flock over = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

    if (turn < 0)
        return;
    (void)fcntl(turn, F_OFD_SETLK, &over);
    (void)close(turn);
}

bool client_start(const struct client_place *place, char *reason_out, size_t reason_size)
{
    if (failed_just_now(reason_out, reason_size))
        return false;
    if (start_once(place, reason_out, reason_size)) {
        atomic_store(&failed_ms, 0);
        return true;
    }
    if (!atomic_flag_test_and_set(&text_taken)) {
        (void)snprintf(failed_text, sizeof failed_text, "%s", reason_out);
        atomic_flag_clear(&text_taken);
    }
    atomic_store(&failed_ms, client_now_ms());
    return false;
}
