/* SPDX-License-Identifier: Apache-2.0 */
/* kill -9 of clients and of the sidecar, at random: `storm SEED KILLS CLIENTS BUILD [namespaces]
 * [stops]`. The clients work on a few runs whose limits hold most of them up, start sidecars as the
 * preloaded object does, and note in shared memory what they were told. Every so many kills all
 * die, the ledger has to come to rest with nothing held, and is compared with what was told
 * (storm_check.c); then another ledger begins. The waits here make kills random, they stand for
 * nothing. $TMPDIR: where the ledgers are (else memory). */
#include "tests/crash/storm.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILLS_OF_A_LEDGER 1000u
#define PATIENCE_MS       20000 /* after which a hold is called stuck */
#define STEP_NS           7000000
#define STOPPED_STEPS     50

static struct storm_shared *shared;
static struct storm_options options;
static struct client_place place;
static struct chance chance;
static struct storm_totals totals;
static struct storm_book book;
static pid_t pids[STORM_CLIENTS];
static unsigned stopped[STORM_CLIENTS]; /* steps until it may go on; 0: it runs */
static unsigned sidecar_stopped;
static pid_t sidecar; /* that was stopped */
static unsigned runs_used;

/* ---- processes ---------------------------------------------------------------------------- */

static pid_t spawn(void)
{
    if (!options.namespaces)
        return fork();
    return (pid_t)syscall(SYS_clone, (unsigned long)(CLONE_NEWPID | SIGCHLD), NULL, NULL, NULL,
                          NULL);
}

static void client_spawn(unsigned slot)
{
    uint64_t seed = chance_u64(&chance);

    atomic_store(&shared->clients[slot].count, 0);
    stopped[slot] = 0;
    (void)fflush(stdout);
    pids[slot] = spawn();
    if (pids[slot] < 0)
        ask_die("fork: %s", strerror(errno));
    if (pids[slot] == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        storm_client(shared, slot, &place, seed, !options.namespaces);
    }
}

static void client_kill(unsigned slot)
{
    int status;

    (void)kill(pids[slot], SIGKILL);
    if (waitpid(pids[slot], &status, 0) != pids[slot])
        ask_die("waitpid: %s", strerror(errno));
    if (WIFEXITED(status) ? WEXITSTATUS(status) != 0 : WTERMSIG(status) != SIGKILL)
        ask_die("a client ended with status 0x%x", (unsigned)status);
    totals.kills += WIFSIGNALED(status);
    storm_book_add(&book, &shared->clients[slot]);
}

static void reap(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, 0) != pid)
        ask_die("waitpid: %s", strerror(errno));
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
        ask_die("the sidecar died of signal %d", WTERMSIG(status));
}

/* Middle processes, and sidecars that found another one there. */
static void reap_orphans(void)
{
    siginfo_t info = {0};

    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
        for (unsigned i = 0; i < options.clients; i++)
            if (pids[i] == info.si_pid) { /* its journal is full */
                client_kill(i);
                client_spawn(i);
                info.si_pid = 0;
            }
        if (info.si_pid != 0)
            reap(info.si_pid);
        info.si_pid = 0;
    }
}

static struct client_link dial(void)
{
    struct client_link link;
    char reason[512] = "";
    bool started;
    int64_t until = client_now_ms() + PATIENCE_MS;

    while (!client_open(&link, &place, true, &started, reason, sizeof reason))
        if (client_now_ms() > until)
            ask_die("no sidecar can be started: %s", reason);
    return link;
}

static void sidecar_kill(void)
{
    pid_t pid = ask_sidecar_pid(&place);
    int64_t began = ask_now_us();
    unsigned next;

    if (pid == 0)
        return;
    (void)kill(pid, SIGKILL);
    reap(pid);
    sidecar_stopped = 0;
    next = atomic_load(&shared->generation) + 1;
    atomic_store(&shared->killed_us[next % STORM_GENERATIONS], (long long)began);
    atomic_store(&shared->first_us[next % STORM_GENERATIONS], 0);
    atomic_store(&shared->generation, next);
    totals.kills++;
    totals.sidecars++;
    if (options.namespaces) { /* one that a client started would be in its namespace */
        struct client_link link = dial();

        client_close(&link);
    }
}

/* ---- runs --------------------------------------------------------------------------------- */

/* Half of the runs end while calls of theirs are in flight. What is lost on the way is lost. */
static void run_close(unsigned number)
{
    struct client_link link = dial();
    char id[37], token[37], request[200], reply[4096];

    client_uuid_text(shared->runs[number].id, id);
    client_uuid_text(shared->runs[number].token, token);
    (void)snprintf(request, sizeof request,
                   "{\"verb\":\"run.attach\",\"run_id\":\"%s\",\"token\":\"%s\"}", id, token);
    if (ask_question(&link, request, reply, sizeof reply, 10000) == 0)
        (void)ask_question(&link, "{\"verb\":\"run.close\",\"exit\":0,\"state\":2}", reply,
                           sizeof reply, 10000);
    client_close(&link);
}

/* The limits hold a dozen calls at a time, and end the run after a few hundred. */
static void run_open(unsigned which)
{
    struct side_spec spec;
    struct ask_run run;
    bool opened = false;

    ask_spec(&spec);
    spec.limits[GOV_COST].amount = INT64_C(50000000) * (4 + chance_below(&chance, 60)) + 1;
    spec.limits[GOV_STEPS].amount = 50 + chance_below(&chance, 400);
    spec.busy_wait_ms = which == 0 ? (1 + chance_below(&chance, 2)) * 40 : 0;
    (void)snprintf(spec.session, sizeof spec.session, "storm");
    spec.session_limits[GOV_COST].amount = INT64_C(1000000000000000);
    spec.windows[0].scope = GOV_GLOBAL;
    spec.windows[0].window = GOV_DAILY;
    spec.windows[0].limits[GOV_COST] = (struct gov_limit){INT64_C(1000000000000000), GOV_HARD_STOP};
    spec.window_count = 1;
    while (!opened) {
        struct client_link link = dial();

        opened = ask_run_open(&link, &spec, &run);
        client_close(&link);
    }
    if (runs_used == STORM_RUNS)
        ask_die("too many runs for one ledger");
    shared->runs[runs_used] = run;
    atomic_store(&shared->current[which], runs_used++);
    atomic_fetch_and(&shared->used_up, ~(1u << which));
    totals.runs++;
}

static void runs_renew(void)
{
    unsigned bits = atomic_load(&shared->used_up);

    if (chance_one_in(&chance, 30)) /* one that goes on */
        bits |= 1u << chance_below(&chance, STORM_RUNS_OPEN);
    bits = runs_used < STORM_RUNS ? bits : 0;

    for (unsigned which = 0; which < STORM_RUNS_OPEN; which++)
        if ((bits & (1u << which)) != 0 && sidecar_stopped == 0) {
            unsigned old = atomic_load(&shared->current[which]);

            run_open(which);
            if (chance_one_in(&chance, 2))
                run_close(old);
        }
}

/* ---- a ledger ----------------------------------------------------------------------------- */

static void stop_or_go(void)
{
    unsigned slot = (unsigned)chance_below(&chance, options.clients);

    for (unsigned i = 0; i < options.clients; i++)
        if (stopped[i] > 0 && --stopped[i] == 0)
            (void)kill(pids[i], SIGCONT);
    if (sidecar_stopped > 0 && --sidecar_stopped == 0)
        (void)kill(sidecar, SIGCONT);
    if (stopped[slot] == 0 && chance_one_in(&chance, 4)) {
        (void)kill(pids[slot], SIGSTOP);
        stopped[slot] = (unsigned)(1 + chance_below(&chance, STOPPED_STEPS));
        totals.stops++;
    }
    if (sidecar_stopped == 0 && chance_one_in(&chance, 40) &&
        (sidecar = ask_sidecar_pid(&place)) != 0) {
        (void)kill(sidecar, SIGSTOP);
        sidecar_stopped = (unsigned)(1 + chance_below(&chance, 2 * STOPPED_STEPS));
        totals.stops++;
    }
}

static void step(void)
{
    const struct timespec pause = {0, chance_below(&chance, STEP_NS)};
    unsigned slot = (unsigned)chance_below(&chance, options.clients);

    (void)nanosleep(&pause, NULL);
    reap_orphans();
    if (options.stops)
        stop_or_go();
    runs_renew();
    if (chance_one_in(&chance, 16) && sidecar_stopped == 0) {
        sidecar_kill();
        return;
    }
    client_kill(slot);
    client_spawn(slot);
}

/* Nothing is in flight any more, in any run. */
static bool at_rest(void)
{
    static char reply[1 << 20];
    struct client_link link = dial();
    int code = ask_question(&link, "{\"verb\":\"runs\"}", reply, sizeof reply, 10000);
    const char *at = reply;

    client_close(&link);
    if (code != 0)
        return false;
    while ((at = strstr(at, "\"in_flight\":")) != NULL)
        if (atoi(at += strlen("\"in_flight\":")) != 0)
            return false;
    return true;
}

/* One pid, and no other. */
static bool only_child(pid_t pid)
{
    FILE *file = fopen("/proc/thread-self/children", "re");
    int count = 0, child, own = 0;

    if (file == NULL)
        ask_die("/proc/thread-self/children: %s", strerror(errno));
    for (; fscanf(file, "%d", &child) == 1; count++)
        own += child == pid;
    (void)fclose(file);
    return own == 1 && count == 1;
}

/* A client that was killed may have started a sidecar on the way. While there is one, it finds it
 * there and ends; after that one it would be the next. */
static void starters_end(void)
{
    pid_t lives = ask_sidecar_pid(&place);
    siginfo_t info;

    while (!only_child(lives)) {
        if (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) != 0)
            ask_die("waitid: %s", strerror(errno));
        reap(info.si_pid);
    }
}

static void restarts_note(void)
{
    unsigned last = atomic_load(&shared->generation);

    for (unsigned i = 1; i <= last && i < STORM_GENERATIONS; i++) {
        int64_t first = atomic_load(&shared->first_us[i]);

        if (first == 0)
            totals.unclaimed++; /* killed before it could say anything */
        else
            totals.restart_us[totals.restarts++] =
                (uint32_t)(first - atomic_load(&shared->killed_us[i]));
    }
}

static void ledger_storm(unsigned long kills)
{
    int64_t until;

    ask_home_make(&place, "storm");
    runs_used = 0;
    book.count = 0;
    atomic_store(&shared->generation, 0);
    atomic_store(&shared->used_up, 0);
    for (unsigned which = 0; which < STORM_RUNS_OPEN; which++)
        run_open(which);
    for (unsigned i = 0; i < options.clients; i++)
        client_spawn(i);
    while (totals.kills < kills)
        step();
    for (unsigned i = 0; i < options.clients; i++)
        client_kill(i);
    if (sidecar_stopped > 0)
        (void)kill(sidecar, SIGCONT);
    sidecar_stopped = 0;
    memset(pids, 0, sizeof pids);
    until = client_now_ms() + PATIENCE_MS;
    while (!at_rest())
        if (client_now_ms() > until)
            ask_die("holds are stuck in %s: no client lives", place.home);
    starters_end();
    ask_sidecar_end(&place);
    storm_check(place.home, &book, &totals);
    restarts_note();
    totals.ledgers++;
    ask_home_remove(&place);
}

/* ---- the program -------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void figures(void)
{
    size_t n = totals.restarts;

    qsort(totals.restart_us, n, sizeof totals.restart_us[0], by_size);
    printf("storm: seed %llu, %lu kills (%lu of the sidecar, %lu stops) of %u clients%s, %lu "
           "ledgers, %lu runs, %lu records\n",
           (unsigned long long)options.seed, totals.kills, totals.sidecars, totals.stops,
           options.clients, options.namespaces ? " in pid namespaces" : "", totals.ledgers,
           totals.runs, totals.records);
    printf(
        "storm: %lu admitted, %lu refused, %lu lost their sidecar, %lu claimed, %lu in silence\n",
        atomic_load(&shared->admitted), atomic_load(&shared->refused), atomic_load(&shared->lost),
        atomic_load(&shared->claimed), atomic_load(&shared->mute));
    printf("storm: %lu acknowledged holds and %lu acknowledged settlements: 0 lost, 0 stuck; caps "
           "hold at every admission\n",
           totals.holds, totals.settlements);
    if (n > 0)
        printf("storm: kill of the sidecar to the next one's first verdict: p50 %.1f ms, p99 %.1f "
               "ms, most %.1f ms (%zu; %lu were killed before)\n",
               totals.restart_us[n / 2] / 1000.0, totals.restart_us[n * 99 / 100] / 1000.0,
               totals.restart_us[n - 1] / 1000.0, n, totals.unclaimed);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        ask_die("usage: storm SEED KILLS CLIENTS BUILD [namespaces] [stops]");
    options.seed = strtoull(argv[1], NULL, 10);
    options.kills = (unsigned)atoi(argv[2]);
    options.clients = (unsigned)atoi(argv[3]);
    options.build = argv[4];
    for (int i = 5; i < argc; i++) {
        options.namespaces = options.namespaces || strcmp(argv[i], "namespaces") == 0;
        options.stops = options.stops || strcmp(argv[i], "stops") == 0;
    }
    if (options.kills == 0 || options.clients == 0 || options.clients > STORM_CLIENTS)
        ask_die("1 to %u clients, and kills", STORM_CLIENTS);
    chance.state = options.seed;
    (void)snprintf(place.directory, sizeof place.directory, "%s", options.build);
    totals.restart_us = calloc(options.kills, sizeof *totals.restart_us);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || totals.restart_us == NULL || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        ask_die("set-up: %s", strerror(errno));
    while (totals.kills < options.kills) {
        unsigned long until = totals.kills + KILLS_OF_A_LEDGER;

        ledger_storm(until < options.kills ? until : options.kills);
    }
    figures();
    free(totals.restart_us);
    free(book.calls);
    return 0;
}
