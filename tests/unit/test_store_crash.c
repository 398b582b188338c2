/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger under kill -9. A child works on it at random and tells of every commit; it dies
 * wherever it is, by the parent's hand or at one of its own writes, even in the middle of one. What
 * it had told must be there, the proof must hold, and every call must come to its end.
 * FLYBALL_CRASH_ROUNDS: how often (200). */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "tests/unit/chance.h"
#include "tests/unit/store_test.h"

#define ROUNDS_OF_A_LEDGER 10u
#define CALLS              4096u /* of one ledger */
#define TOLD_MAX           24u   /* of one commit */
#define PAGE               4096u

/* ---- dying at a write --------------------------------------------------------------------- */

static long writes_left = -1; /* -1: no death of its own */

static bool dies_now(void)
{
    return writes_left >= 0 && writes_left-- == 0;
}

static void die(void)
{
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

/* A write is cut at pages, as the kernel cuts it. */
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    bool now = dies_now();
    size_t part = now ? count / PAGE / 2 * PAGE : count;
    ssize_t done = part > 0 || !now ? syscall(SYS_pwrite64, fd, bytes, part, offset) : 0;

    if (now)
        die();
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    bool now = dies_now();
    ssize_t done = syscall(SYS_writev, fd, parts, now ? count / 2 : count);

    if (now)
        die();
    return done;
}

int fdatasync(int fd)
{
    if (dies_now())
        die();
    return (int)syscall(SYS_fdatasync, fd);
}

/* ---- the child ---------------------------------------------------------------------------- */

struct told {
    uint64_t seq;
    uint8_t head[32];
    unsigned count;
    struct {
        uint32_t call;
        uint8_t state; /* enum store_call_state */
    } calls[TOLD_MAX];
};
_Static_assert(sizeof(struct told) <= 512, "one write to the pipe is whole");

struct child {
    struct ledger ledger;
    struct chance chance;
    uint8_t states[CALLS]; /* 0: not admitted */
    uint32_t next;         /* call */
    struct told told;
};

static void must(bool right)
{
    if (!right)
        _exit(3);
}

static void tell(struct child *child, uint32_t call, uint8_t state)
{
    child->states[call] = state;
    child->told.calls[child->told.count].call = call;
    child->told.calls[child->told.count++].state = state;
}

static enum store_err admit_next(struct child *child)
{
    uint32_t call = child->next;
    struct store_event event;
    struct store_scope_key key;
    struct store_call row;
    enum store_err err;

    admission_make(&event, 1 + call % 2, call, 1000, 500);
    (void)scope_see_run(&event, 1 + call % 2);
    store_scope_name(&key, GOV_SESSION, "nightly");
    scope_see(&event, &key)->limit[GOV_COST] = 1000000000;
    err = store_admit(child->ledger.store, &event, &row);
    if (err == STORE_OK) {
        child->next++;
        tell(child, call, STORE_CALL_HELD);
    }
    return err;
}

static void act(struct child *child)
{
    struct chance *chance = &child->chance;
    uint32_t call = 1 + (uint32_t)chance_below(chance, child->next);
    uint32_t late = call > 20 ? call - (uint32_t)chance_below(chance, 20) : call;
    enum store_end end = (enum store_end)(1 + chance_below(chance, 3));

    switch (chance_below(chance, 4)) {
    case 0:
        if (child->next < CALLS)
            must(admit_next(child) == STORE_OK);
        break;
    case 1:
        if (child->states[late] == STORE_CALL_HELD) {
            must(sent(&child->ledger, late) == STORE_OK);
            tell(child, late, STORE_CALL_SENT);
        }
        break;
    case 2:
        if (child->states[late] == STORE_CALL_SENT && end == STORE_RELEASED)
            end = STORE_UNKNOWN;
        if (child->states[late] == STORE_CALL_HELD || child->states[late] == STORE_CALL_SENT) {
            must(settle(&child->ledger, late, end, end == STORE_RELEASED ? 0 : 700,
                        end == STORE_RELEASED ? 0 : 300) == STORE_OK);
            tell(child, late, STORE_CALL_ENDED);
        }
        break;
    default:
        if (child->states[late] == STORE_CALL_HELD || child->states[late] == STORE_CALL_SENT) {
            uint8_t id[16];

            id_make(id, 'c', late);
            must(store_progress_put(child->ledger.store, id, child, 64 + late % 64) == STORE_OK);
        }
        break;
    }
}

static void child_live(struct child *child, int pipe_fd, unsigned seed)
{
    struct store_error error;

    child->chance.state = seed;
    if (seed % 2 == 0)
        writes_left = (long)chance_below(&child->chance, 120);
    must(store_open(child->ledger.home, false, &child->ledger.store, &error) == STORE_OK);
    for (unsigned step = 0; step < 400; step++) {
        struct store_view *view;

        child->told.count = 0;
        must(store_begin(child->ledger.store) == STORE_OK);
        for (int64_t i = chance_below(&child->chance, TOLD_MAX); i > 0; i--)
            act(child);
        must(store_commit(child->ledger.store, chance_one_in(&child->chance, 2)) == STORE_OK);
        must(store_view_open(child->ledger.store, &view) == STORE_OK);
        store_view_head(view, &child->told.seq, child->told.head);
        store_view_close(view);
        must(write(pipe_fd, &child->told, sizeof child->told) == sizeof child->told);
    }
    _exit(0);
}

/* ---- the parent --------------------------------------------------------------------------- */

struct story {
    char home[64];
    uint8_t states[CALLS]; /* what is known to be committed */
    uint64_t seq;
    uint8_t head[32];
};

static unsigned deaths;

static void listen_to(int pipe_fd, pid_t pid, struct story *story, int64_t patience)
{
    struct told told;

    while (read(pipe_fd, &told, sizeof told) == sizeof told) {
        for (unsigned i = 0; i < told.count; i++)
            story->states[told.calls[i].call] = told.calls[i].state;
        story->seq = told.seq;
        memcpy(story->head, told.head, sizeof told.head);
        if (patience-- == 0)
            (void)kill(pid, SIGKILL);
    }
}

static void child_run(struct story *story, unsigned seed, uint32_t next)
{
    static struct child child; /* too large for a stack */
    int fds[2], status;
    pid_t pid;

    memset(&child, 0, sizeof child);
    memcpy(child.ledger.home, story->home, sizeof child.ledger.home);
    memcpy(child.states, story->states, sizeof child.states);
    child.next = next;
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(fds[0]);
        child_live(&child, fds[1], seed);
    }
    (void)close(fds[1]);
    listen_to(fds[0], pid, story, seed % 2 == 0 ? INT64_MAX : seed / 2 % 23);
    (void)close(fds[0]);
    assert_true(waitpid(pid, &status, 0) == pid);
    deaths += WIFSIGNALED(status);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        fail_msg("round %u: the child failed with %d", seed, WEXITSTATUS(status));
}

/* What was told is there; what was not may be, whole. Returns the next call's number. */
static uint32_t compare(struct ledger *ledger, struct story *story, unsigned seed)
{
    struct store_view *view = view_of(ledger);
    struct store_proof proof;
    uint8_t head[32], id[16];
    uint32_t call;
    uint64_t seq;

    store_view_head(view, &seq, head);
    if (seq < story->seq || seq > story->seq + TOLD_MAX)
        fail_msg("round %u: %llu records, %llu were told of", seed, (unsigned long long)seq,
                 (unsigned long long)story->seq);
    assert_int_equal(store_verify(view, story->seq > 0 ? story->head : NULL, NULL, NULL, &proof),
                     STORE_OK);
    if (!proof.chain || !proof.sums || !proof.caps || (story->seq > 0 && !proof.head_known))
        fail_msg("round %u: not proven: %s", seed,
                 proof.what[0] != '\0' ? proof.what : "another chain");
    for (call = 1; call < CALLS; call++) {
        struct store_call row;
        enum store_err err;

        id_make(id, 'c', call);
        err = store_view_call(view, id, &row);
        if ((err == STORE_OK ? row.state : 0) < story->states[call])
            fail_msg("round %u: call %u was told to be in state %u and is in %u", seed, call,
                     story->states[call], err == STORE_OK ? row.state : 0);
        if (err != STORE_OK)
            break;
        story->states[call] = row.state;
    }
    store_view_close(view);
    return call;
}

/* No call is stuck: each of those in flight can be ended, and then nothing is held. */
static void end_all(struct ledger *ledger, struct story *story)
{
    struct store_scope_key session;
    struct store_counter counters[3];

    begin(ledger);
    for (uint32_t call = 1; call < CALLS; call++)
        if (story->states[call] == STORE_CALL_HELD || story->states[call] == STORE_CALL_SENT) {
            assert_int_equal(settle(ledger, call, STORE_UNKNOWN, 1000, 500), STORE_OK);
            story->states[call] = STORE_CALL_ENDED;
        }
    commit(ledger);
    store_scope_name(&session, GOV_SESSION, "nightly");
    counters[0] = counter_of_run(ledger, 1);
    counters[1] = counter_of_run(ledger, 2);
    counters[2] = counter_of(ledger, &session);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(counters[i].in_flight, 0);
        for (unsigned dim = 0; dim < GOV_DIMS; dim++)
            assert_int_equal(counters[i].held[dim], 0);
    }
    assert_int_equal(counters[2].charged[GOV_COST],
                     counters[0].charged[GOV_COST] + counters[1].charged[GOV_COST]);
    expect_proven(ledger, "after all calls were ended");
}

static void live(unsigned first, unsigned rounds)
{
    static struct story story;
    struct ledger ledger;
    uint32_t next = 1;

    memset(&story, 0, sizeof story);
    ledger_new(&ledger);
    run_new(&ledger, 1);
    run_new(&ledger, 2);
    store_close(ledger.store);
    memcpy(story.home, ledger.home, sizeof story.home);
    for (unsigned round = first; round < first + rounds; round++) {
        struct store_view *view;

        child_run(&story, round, next);
        ledger_open(&ledger, false);
        next = compare(&ledger, &story, round);
        if (round % 3 == 0)
            end_all(&ledger, &story);
        view = view_of(&ledger);
        store_view_head(view, &story.seq, story.head);
        store_view_close(view);
        store_close(ledger.store);
    }
    home_remove(ledger.home);
}

static void what_was_committed_survives_a_kill(void **state)
{
    unsigned rounds = chance_rounds("FLYBALL_CRASH_ROUNDS", 200);

    (void)state;
    for (unsigned round = 0; round < rounds; round += ROUNDS_OF_A_LEDGER)
        live(round, rounds - round < ROUNDS_OF_A_LEDGER ? rounds - round : ROUNDS_OF_A_LEDGER);
    assert_true(deaths >= rounds - rounds / 10); /* few outlive what they have to do */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_committed_survives_a_kill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
