/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor of a run: the parent of its program, and of what that leaves behind. Hands over
 * the terminal, passes signals on, keeps the clock, takes the run to a restarted sidecar, ends the
 * program when the governor says so. */
#include "cli/launch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

/* ---- the terminal ------------------------------------------------------------------------- */

static int own_terminal(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (isatty(fd) && tcgetpgrp(fd) == getpgrp())
            return fd;
    return -1;
}

/* A background process that does this is stopped by SIGTTOU, which is blocked here. */
static void terminal_to(const struct launch *launch, pid_t group)
{
    if (launch->terminal >= 0)
        (void)tcsetpgrp(launch->terminal, group);
}

/* ---- starting ----------------------------------------------------------------------------- */

static void become_program(const struct launch *launch, const sigset_t *mask,
                           const struct sigaction *on_child)
{
    (void)setpgid(0, 0);
    terminal_to(launch, getpid());
    (void)sigaction(SIGCHLD, on_child, NULL);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    (void)execvp(launch->path, launch->argv);
    (void)fprintf(stderr, "flyball: %s: %s\n", launch->path, strerror(errno));
    _exit(errno == ENOENT ? CLI_NOT_FOUND : CLI_NOT_EXECUTABLE);
}

static bool start(struct launch *launch)
{
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    struct sigaction on_child; /* ignored by who started us: then we would wait in vain */
    sigset_t ours, before;

    sigemptyset(&ours);
    for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++)
        sigaddset(&ours, passed_on[i]);
    sigaddset(&ours, SIGCHLD);
    sigaddset(&ours, SIGTTOU);
    (void)sigprocmask(SIG_BLOCK, &ours, &before);
    sigdelset(&ours, SIGTTOU);
    (void)sigaction(SIGCHLD, &by_default, &on_child);
    launch->signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
    launch->terminal = own_terminal();
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* what CMD leaves behind stays below us */
    launch->child = fork();
    if (launch->child == 0)
        become_program(launch, &before, &on_child);
    if (launch->child < 0 || launch->signals < 0)
        return false;
    (void)setpgid(launch->child, launch->child);
    terminal_to(launch, launch->child);
    return true;
}

/* ---- ending ------------------------------------------------------------------------------- */

/* To CMD's group, and to what has left it. */
static void signal_all(struct launch *launch, int signal)
{
    (void)kill(-launch->child, signal);
    if (tree_read(&launch->tree, launch->sidecar))
        for (unsigned i = 1; i < launch->tree.count; i++)
            if (getpgid(launch->tree.pids[i]) != launch->child)
                (void)kill(launch->tree.pids[i], signal);
}

/* TERM now, KILL when it does not help. */
static void terminate(struct launch *launch)
{
    if (launch->governor_ended)
        return;
    launch->governor_ended = true;
    launch->kill_ms = client_now_ms() + LAUNCH_TERM_MS;
    signal_all(launch, SIGTERM);
    signal_all(launch, SIGCONT);
}

/* What a limit that is watched here says, once. */
static void exhausted(struct launch *launch, enum gov_dim dim)
{
    const struct gov_limit *limit = &launch->spec.limits[dim];
    char amount[SIDE_AMOUNT_TEXT];

    launch->exhausted[dim] = true;
    if (limit->policy == GOV_SOFT_WARN) /* the warning at 100 % says it */
        return;
    (void)cli_send(&launch->link,
                   json_pack("{s:s,s:s}", "verb", "run.exhausted", "dimension", gov_dim_name(dim)));
    if (limit->policy != GOV_HARD_STOP || launch->over)
        return;
    (void)fprintf(stderr, "flyball: the %s of this run is used up (%s); ending it\n",
                  gov_dim_phrase(dim), side_amount_text(dim, limit->amount, amount));
    terminate(launch);
}

static void check_ending(struct launch *launch, int64_t now_ms)
{
    static const enum gov_dim ending[] = {GOV_WALL, GOV_WRITES};

    for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++)
        if (!launch->exhausted[ending[i]] && measure_is_over(launch, ending[i], now_ms))
            exhausted(launch, ending[i]);
}

static void check_limits(struct launch *launch)
{
    int64_t now = client_now_ms();

    if (now >= launch->look_ms)
        measure_look(launch);
    check_ending(launch, now);
    if (now >= launch->kill_ms) {
        launch->kill_ms = INT64_MAX;
        signal_all(launch, SIGKILL);
    }
}

/* ---- children and signals ----------------------------------------------------------------- */

/* CMD was stopped from its terminal: so are we, and it goes on when we do. */
static void stop_along(struct launch *launch)
{
    int64_t since_ms = client_now_ms();

    terminal_to(launch, getpgrp());
    (void)raise(SIGSTOP);
    launch->measured.paused_ms += client_now_ms() - since_ms;
    launch->look_ms = launch->told_ms = 0;
    launch->terminal = own_terminal();
    terminal_to(launch, launch->child);
    (void)kill(-launch->child, SIGCONT);
}

/* A sidecar that was started below us has ended: what it wrote is about to be ours. */
static void look_at_dead(struct launch *launch)
{
    siginfo_t info = {0};

    if (launch->sidecar > 0 &&
        waitid(P_PID, (id_t)launch->sidecar, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == launch->sidecar) {
        launch->foreign_bytes += tree_written_by(launch->sidecar);
        launch->sidecar = 0;
    }
}

static void reap(struct launch *launch)
{
    int status;
    pid_t pid;

    look_at_dead(launch);
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (pid != launch->child)
            continue; /* an orphan that we adopted */
        if (WIFSTOPPED(status) && launch->held) {
            continue; /* a person has stopped it, and lets it go on */
        } else if (WIFSTOPPED(status) && launch->terminal >= 0) {
            stop_along(launch);
        } else if (!WIFSTOPPED(status)) {
            launch->over = true;
            launch->status = status;
        }
    }
}

static void read_signals(struct launch *launch)
{
    struct signalfd_siginfo info;

    while (read(launch->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            reap(launch);
        } else {
            launch->interrupted = true;
            (void)kill(-launch->child, (int)info.ssi_signo);
        }
    }
}

/* ---- the sidecar -------------------------------------------------------------------------- */

#define ATTACH_MOST_MS 2000 /* back-off: 50 ms, doubled up to this */

static void sidecar_lost(struct launch *launch)
{
    client_close(&launch->link);
    launch->attach_wait_ms = launch->attach_wait_ms == 0 ? 50 : 2 * launch->attach_wait_ms;
    if (launch->attach_wait_ms > ATTACH_MOST_MS)
        launch->attach_wait_ms = ATTACH_MOST_MS;
    launch->attach_ms = client_now_ms() + launch->attach_wait_ms;
}

static void sidecar_note(struct launch *launch)
{
    struct ucred peer = {0};
    socklen_t size = sizeof peer;

    if (getsockopt(launch->link.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
        launch->sidecar = peer.pid;
}

/* Governed calls are refused as long as there is none; the program itself goes on. */
static void sidecar_find(struct launch *launch)
{
    char reason[300];

    launch->attach_ms = INT64_MAX;
    if (!cli_connect(&launch->link, true, reason, sizeof reason) ||
        !cli_send_with(&launch->link,
                       json_pack("{s:s,s:s,s:s}", "verb", "run.attach", "run_id", launch->run_id,
                                 "token", launch->token),
                       launch->page_fd))
        sidecar_lost(launch);
    else
        sidecar_note(launch);
}

/* A pause by hand stops the process group; a question does not: the call that asks is held. */
static void obey(struct launch *launch, const char *text)
{
    struct launch_word word;

    launch_notice(text, &word);
    if (word.end)
        terminate(launch);
    if (!word.turned || launch->governor_ended)
        return;
    measure_turn(launch, &word);
    if (word.hold != launch->held)
        (void)kill(-launch->child, word.hold ? SIGSTOP : SIGCONT);
    launch->held = word.hold;
}

static void listen_to(struct launch *launch, struct cli_word *word)
{
    do {
        cli_listen(&launch->link, 0, word);
        if (word->said == CLI_SAID_LOST)
            sidecar_lost(launch);
        else if (word->said == CLI_SAID_DONE && word->status == 0)
            launch->attach_wait_ms = 0;
        else if (word->said == CLI_SAID_NOTICE)
            obey(launch, word->text);
    } while (word->said != CLI_SAID_NOTHING && word->said != CLI_SAID_LOST);
}

static bool sidecar_is_lost(const struct launch *launch)
{
    struct pollfd end = {launch->link.fd, 0, 0};

    return launch->link.fd < 0 || poll(&end, 1, 0) > 0;
}

/* When CMD has ended: what else it says than that it has the run is of no use any more. */
static void sidecar_regain(struct launch *launch, struct cli_word *word, int64_t until_ms)
{
    if (launch->link.fd >= 0 && sidecar_is_lost(launch))
        sidecar_lost(launch);
    while (launch->attach_wait_ms != 0 && client_now_ms() < until_ms) {
        if (launch->link.fd < 0) {
            (void)poll(NULL, 0, launch->attach_wait_ms);
            sidecar_find(launch);
            continue;
        }
        cli_listen(&launch->link, ATTACH_MOST_MS, word);
        if (word->said == CLI_SAID_LOST)
            sidecar_lost(launch);
        else if (word->said == CLI_SAID_DONE)
            launch->attach_wait_ms = 0;
    }
}

/* ---- the watch ---------------------------------------------------------------------------- */

static int next_ms(const struct launch *launch)
{
    int64_t nearest = launch->look_ms, now = client_now_ms();

    if (launch->kill_ms < nearest)
        nearest = launch->kill_ms;
    if (launch->attach_ms < nearest)
        nearest = launch->attach_ms;
    if (nearest == INT64_MAX)
        return -1;
    return nearest <= now ? 0 : (int)(nearest - now < 60000 ? nearest - now : 60000);
}

/* CMD has ended because the governor said so: what it left behind has to, as well. */
static bool is_ending(struct launch *launch)
{
    return launch->governor_ended && launch->kill_ms != INT64_MAX &&
           tree_read(&launch->tree, launch->sidecar) && launch->tree.count > 1;
}

static void watch(struct launch *launch, struct cli_word *word)
{
    while (!launch->over || is_ending(launch)) {
        struct pollfd ready[] = {{launch->signals, POLLIN, 0}, {launch->link.fd, POLLIN, 0}};

        (void)poll(ready, 2, next_ms(launch));
        if (ready[0].revents != 0)
            read_signals(launch);
        if (launch->link.fd >= 0 && ready[1].revents != 0)
            listen_to(launch, word);
        if (client_now_ms() >= launch->attach_ms)
            sidecar_find(launch);
        if (!launch->over || launch->governor_ended)
            check_limits(launch);
    }
}

static int exit_code_of(const struct launch *launch)
{
    if (launch->governor_ended)
        return CLI_GOVERNED;
    return WIFSIGNALED(launch->status) ? 128 + WTERMSIG(launch->status)
                                       : WEXITSTATUS(launch->status);
}

/* Tells what the run was until a sidecar has it: one that has died is followed by another. The exit
 * code. */
static int conclude(struct launch *launch, struct cli_word *word)
{
    const int64_t until_ms = client_now_ms() + LAUNCH_REGAIN_MS;
    bool closed;
    int code;

    measure_finish(launch);
    do {
        sidecar_regain(launch, word, until_ms);
        measure_tell(launch, client_now_ms());
        check_ending(launch, launch->begun_ms); /* more was written than we knew; its time is its
                                                   own */
        code = exit_code_of(launch);
        closed = launch_close(launch, code);
    } while (!closed && sidecar_is_lost(launch) && client_now_ms() < until_ms);
    client_close(&launch->link);
    if (closed)
        launch_summary(launch);
    else
        (void)cli_fail(0, "run %s: the sidecar is gone; the ledger has what was spent",
                       launch->run_id);
    return code;
}

int launch_supervise(struct launch *launch)
{
    struct cli_word *word = malloc(sizeof *word);
    int code;

    launch->kill_ms = launch->attach_ms = INT64_MAX;
    launch->can_measure = tree_can_measure();
    sidecar_note(launch);
    measure_begin(launch);
    if (word == NULL || !start(launch)) {
        free(word);
        return cli_fail(CLI_UNGOVERNABLE, "%s cannot be started: %s", launch->argv[0],
                        strerror(errno));
    }
    watch(launch, word);
    terminal_to(launch, getpgrp());
    code = conclude(launch, word);
    free(word);
    (void)close(launch->signals);
    return code;
}
