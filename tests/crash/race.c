/* SPDX-License-Identifier: Apache-2.0 */
/* The last pico-dollar: `race SEED ROUNDS BUILD`. A round: 64 processes ask at the same moment for
 * what only a few of them can have: a limit of some holds, a pico-dollar more, or one less. As many
 * as fit are admitted, never one more, never one fewer; again after those have let go, and again
 * after some have spent. Then all may wait, and each lets go as soon as it is admitted: every one
 * of them gets its turn, and no hold is left. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/ask.h"
#include "tests/unit/chance.h"

#define RACERS           64u
#define ROUNDS_OF_LEDGER 200ul
#define MOST             5 /* holds that fit */

enum order { LET_GO, SPEND, TAKE_TURNS, GO_HOME };

static struct shared {
    pthread_barrier_t start, finish;
    struct ask_run run;
    enum order order;
    atomic_uint admitted, busy, exceeded;
    atomic_llong spent;
} * shared;

static struct client_place place;
static unsigned long rounds; /* so far */

/* ---- a racer -------------------------------------------------------------------------------- */

/* Half of them say so, half are just gone. */
static void let_go(struct client_link *link, struct chance *chance)
{
    if (chance_one_in(chance, 2) || !ask_end(link, false, true))
        client_close(link);
}

static void spend(struct client_link *link, struct chance *chance)
{
    unsigned input = (unsigned)(1 + chance_below(chance, 1000));

    if (!ask_sent(link) || !ask_answered(link, input, 3) || !ask_end(link, true, false))
        ask_die("the sidecar is gone");
    atomic_fetch_add(&shared->spent, (long long)input * ASK_INPUT_PUSD + 3 * ASK_OUTPUT_PUSD);
}

static void run_once(struct client_link *link, struct chance *chance)
{
    uint8_t id[16];
    char reason[64];

    client_uuid7(id);
    if (!ask_send(link, id, &shared->run, ASK_PLAIN))
        ask_die("the sidecar is gone");
    switch (ask_verdict(link, 10000, reason)) {
    case ASK_ADMITTED:
        atomic_fetch_add(&shared->admitted, 1);
        break;
    case ASK_REFUSED:
        atomic_fetch_add(strcmp(reason, "budget_busy") == 0 ? &shared->busy : &shared->exceeded, 1);
        (void)pthread_barrier_wait(&shared->finish);
        return;
    case ASK_LOST:
    case ASK_MUTE:
        ask_die("no verdict");
    }
    if (shared->order == TAKE_TURNS)
        let_go(link, chance);
    (void)pthread_barrier_wait(&shared->finish); /* all have their verdicts */
    if (shared->order == LET_GO)
        let_go(link, chance);
    else if (shared->order == SPEND)
        spend(link, chance);
}

static void racer(uint64_t seed)
{
    struct client_link link = CLIENT_LINK_NONE;
    struct chance chance = {seed};
    char reason[256];
    bool started;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        if (!client_live(&link) &&
            !client_open(&link, &place, false, &started, reason, sizeof reason))
            ask_die("%s", reason);
        (void)pthread_barrier_wait(&shared->start);
        if (shared->order == GO_HOME)
            exit(0);
        run_once(&link, &chance);
        (void)pthread_barrier_wait(&shared->start); /* all have done as they were told */
    }
}

/* ---- the referee ----------------------------------------------------------------------------- */

/* A question is answered when all that was said before is booked. */
static void catch_up(void)
{
    struct client_link link;
    char reply[65536], reason[256];
    bool started;

    if (!client_open(&link, &place, false, &started, reason, sizeof reason) ||
        ask_question(&link, "{\"verb\":\"status\"}", reply, sizeof reply, 10000) != 0)
        ask_die("the sidecar does not answer");
    client_close(&link);
}

static void ask_all(enum order order)
{

    rounds++;
    atomic_store(&shared->admitted, 0);
    atomic_store(&shared->busy, 0);
    atomic_store(&shared->exceeded, 0);
    shared->order = order;
    (void)pthread_barrier_wait(&shared->start);
    (void)pthread_barrier_wait(&shared->finish);
    (void)pthread_barrier_wait(&shared->start);
    catch_up();
}

static void expect(const char *what, unsigned want)
{
    unsigned admitted = atomic_load(&shared->admitted), busy = atomic_load(&shared->busy),
             exceeded = atomic_load(&shared->exceeded);

    if (admitted != want || admitted + busy + exceeded != RACERS)
        ask_die("round %lu, %s: %u admitted, %u busy, %u refused; %u fit", rounds, what, admitted,
                busy, exceeded, want);
    if (want > 0 && exceeded != 0)
        ask_die("round %lu, %s: %u were told that it is used up", rounds, what, exceeded);
}

static struct client_link run_open(int64_t limit_pusd, int64_t busy_wait_ms)
{
    struct client_link link;
    struct side_spec spec;
    char reason[256];
    bool started;

    ask_spec(&spec);
    spec.limits[GOV_COST].amount = limit_pusd;
    spec.busy_wait_ms = busy_wait_ms;
    if (!client_open(&link, &place, true, &started, reason, sizeof reason))
        ask_die("%s", reason);
    if (!ask_run_open(&link, &spec, &shared->run))
        ask_die("no run can be opened");
    return link;
}

static void run_close(struct client_link *link)
{
    char reply[4096];

    if (ask_question(link, "{\"verb\":\"run.close\",\"exit\":0,\"state\":2}", reply, sizeof reply,
                     10000) != 0)
        ask_die("a run cannot be closed");
    client_close(link);
}

static void race_for(struct chance *chance, int64_t hold)
{
    int64_t limit = hold * (1 + chance_below(chance, MOST)) + chance_below(chance, 3) - 1;
    struct client_link link = run_open(limit, 0);
    unsigned fit = (unsigned)(limit / hold);

    atomic_store(&shared->spent, 0);
    ask_all(LET_GO);
    expect("at first", fit);
    if (fit > 0) {
        ask_all(SPEND);
        expect("after all were let go", fit);
        fit = (unsigned)((limit - atomic_load(&shared->spent)) / hold);
        ask_all(LET_GO);
        expect("after some was spent", fit);
    }
    run_close(&link);
    limit = hold * (1 + chance_below(chance, MOST));
    link = run_open(limit, 60000);
    ask_all(TAKE_TURNS);
    expect("taking turns", RACERS);
    run_close(&link);
}

/* ---- a ledger ---------------------------------------------------------------------------------
 */

static void check(const char *home)
{
    struct store_error error;
    struct store *store;
    struct store_view *view;
    struct store_proof proof;
    struct store_call call;

    if (store_open(home, true, &store, &error) != STORE_OK ||
        store_view_open(store, &view) != STORE_OK ||
        store_verify(view, NULL, NULL, NULL, &proof) != STORE_OK)
        ask_die("%s", error.text);
    if (!proof.chain || !proof.sums || !proof.caps)
        ask_die("verify: record %llu: %s", (unsigned long long)proof.first_bad, proof.what);
    if (store_view_next_open(view, NULL, &call) == STORE_OK)
        ask_die("a hold is left, by the call of record %llu of %llu, in state %u",
                (unsigned long long)call.admission_seq, (unsigned long long)proof.records,
                call.state);
    store_view_close(view);
    store_close(store);
}

/* What a call holds: of a run that is for this alone. */
static int64_t hold_of(void)
{
    struct client_link link = run_open(0, 0), caller;
    struct store_error error;
    struct store *store;
    struct store_view *view;
    static struct store_event event;
    struct store_call call;
    char reason[256];
    uint8_t id[16];
    bool started;

    client_uuid7(id);
    if (!client_open(&caller, &place, false, &started, reason, sizeof reason) ||
        !ask_send(&caller, id, &shared->run, ASK_PLAIN) ||
        ask_verdict(&caller, 10000, reason) != ASK_ADMITTED || !ask_end(&caller, false, true))
        ask_die("no call is admitted: %s", reason);
    ask_sidecar_end(&place);
    client_close(&caller);
    client_close(&link);
    if (store_open(place.home, true, &store, &error) != STORE_OK ||
        store_view_open(store, &view) != STORE_OK || store_view_call(view, id, &call) != STORE_OK ||
        store_view_event(view, call.admission_seq, &event) != STORE_OK)
        ask_die("%s", error.text);
    store_view_close(view);
    store_close(store);
    return event.admission.hold[GOV_COST];
}

static void ledger_race(unsigned long until, struct chance *chance)
{
    pid_t pids[RACERS];
    struct client_link link;
    int64_t hold;
    int status;

    ask_home_make(&place, "race");
    hold = hold_of();
    link = run_open(0, 0); /* so that a sidecar is there */
    for (unsigned i = 0; i < RACERS; i++) {
        uint64_t seed = chance_u64(chance);

        pids[i] = fork();
        if (pids[i] == 0)
            racer(seed);
    }
    while (rounds < until)
        race_for(chance, hold);
    shared->order = GO_HOME;
    (void)pthread_barrier_wait(&shared->start);
    for (unsigned i = 0; i < RACERS; i++)
        if (waitpid(pids[i], &status, 0) != pids[i] || status != 0)
            ask_die("a racer failed");
    run_close(&link);
    ask_sidecar_end(&place);
    check(place.home);
    ask_home_remove(&place);
}

int main(int argc, char **argv)
{
    unsigned long wanted = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    pthread_barrierattr_t attributes;
    struct chance chance;

    if (wanted == 0 || argc < 4)
        ask_die("usage: race SEED ROUNDS BUILD");
    chance.state = strtoull(argv[1], NULL, 10);
    (void)snprintf(place.directory, sizeof place.directory, "%s", argv[3]);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || pthread_barrierattr_init(&attributes) != 0 ||
        pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) != 0 ||
        pthread_barrier_init(&shared->start, &attributes, RACERS + 1) != 0 ||
        pthread_barrier_init(&shared->finish, &attributes, RACERS + 1) != 0 ||
        prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        ask_die("set-up: %s", strerror(errno));
    while (rounds < wanted)
        ledger_race(rounds + ROUNDS_OF_LEDGER < wanted ? rounds + ROUNDS_OF_LEDGER : wanted,
                    &chance);
    printf("race: seed %s, %lu rounds of %u processes: never over, as many as fit, no false "
           "denial, no hold left\n",
           argv[1], rounds, RACERS);
    return 0;
}
