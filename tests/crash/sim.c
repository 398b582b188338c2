/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's core in a simulated world: `sim FIRST SEEDS [OPERATIONS]`. Time is a number, the
 * messages of every call (asked, sent, where the answer stands, ended) are delivered late, twice
 * and in any order, in transactions of any size; the process crashes: at a write of a commit, or
 * between two. A plain model (sim_model.c) says what every message has to be answered, and what all
 * sums are. What a seed leaves behind is hashed; the first seeds live twice, and must come out the
 * same to the bit. */
#include "tests/crash/sim.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPERATIONS    1000u
#define MESSAGES      4096u
#define REPLAYED      50u
#define BACK_S        (20 * 3600)
#define VERIFY_ONE_IN 4

struct sim_world sim_world = {.writes_left = -1};

void sim_wrong(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fprintf(stderr, "not ok: seed %llu, operation %u: ", (unsigned long long)sim_world.seed,
                  sim_world.operations);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void sim_must(enum store_err err, const char *what)
{
    if (err != STORE_OK)
        sim_wrong("%s: %s", what, store_strerror(err));
}

/* ---- what is under way --------------------------------------------------------------------- */

static void post(const struct sim_message *message)
{
    int64_t delay = chance_one_in(&sim_world.chance, 8) ? 400 : 40;

    if (sim_world.queued == MESSAGES)
        return; /* lost */
    sim_world.queue[sim_world.queued] = *message;
    sim_world.queue[sim_world.queued++].due =
        sim_world.operations + chance_below(&sim_world.chance, delay);
}

static void post_often(const struct sim_message *message)
{
    post(message);
    while (chance_one_in(&sim_world.chance, 4))
        post(message);
}

static void limits_of(struct sim_question *question)
{
    for (unsigned scope = 0; scope < SIM_SCOPES; scope++)
        for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
            if (chance_one_in(&sim_world.chance, 3))
                question->limits[scope][dim] =
                    1 + chance_below(&sim_world.chance, dim == GOV_STEPS ? 300 : 600000);
    if (chance_one_in(&sim_world.chance, 2))
        question->day_limits[GOV_COST] = 1 + chance_below(&sim_world.chance, 400000);
}

static void call_begin(void)
{
    struct chance *chance = &sim_world.chance;
    struct sim_message message;

    if (sim_world.calls == SIM_CALLS)
        return;
    memset(&message, 0, sizeof message);
    message.question.number = message.answer.number = sim_world.calls++;
    message.question.run = (unsigned)chance_below(chance, SIM_RUNS);
    message.question.hold[GOV_STEPS] = 1;
    message.question.hold[GOV_TOKENS] = chance_below(chance, 5000);
    message.question.hold[GOV_COST] = chance_below(chance, 9000);
    limits_of(&message.question);
    message.kind = chance_one_in(chance, 12) ? SIM_REFUSE : SIM_ADMIT;
    message.count = 1 + chance_below(chance, 5);
    post_often(&message);
    if (chance_one_in(chance, 12)) { /* another call under that id */
        message.question.content = 1;
        post(&message);
        message.question.content = 0;
    }
    message.kind = SIM_SAY_SENT;
    if (!chance_one_in(chance, 6))
        post_often(&message);
    message.kind = SIM_PROGRESS;
    if (chance_one_in(chance, 4))
        post_often(&message);
    message.kind = SIM_SETTLE;
    message.answer.end = (enum store_end)(1 + chance_below(chance, 3));
    message.answer.object = chance_one_in(chance, 10) ? (int)chance_below(chance, SIM_OBJECTS) : -1;
    message.answer.made = chance_one_in(chance, 3);
    if (message.answer.end != STORE_RELEASED) {
        message.answer.tokens = chance_below(chance, 6000); /* an overrun, now and then */
        message.answer.cost = chance_below(chance, 10000);
    } else {
        message.answer.object = -1;
    }
    post_often(&message);
}

/* One of those that are due, or else the next one. */
static bool next(struct sim_message *out)
{
    unsigned best = 0;

    if (sim_world.queued == 0)
        return false;
    for (unsigned i = 0; i < 8; i++) {
        unsigned other = (unsigned)chance_below(&sim_world.chance, sim_world.queued);

        if (sim_world.queue[other].due < sim_world.queue[best].due)
            best = other;
    }
    *out = sim_world.queue[best];
    sim_world.queue[best] = sim_world.queue[--sim_world.queued];
    return true;
}

static void time_pass(void)
{
    sim_world.now_s += chance_below(&sim_world.chance, 900);
    if (chance_one_in(&sim_world.chance, 60))
        sim_world.now_s -= chance_below(&sim_world.chance, BACK_S);
    if (sim_world.now_s < sim_world.latest_s - BACK_S)
        sim_world.now_s = sim_world.latest_s - BACK_S;
    if (sim_world.now_s < 0)
        sim_world.now_s = 0;
    if (sim_world.now_s >= SIM_DAYS * SIM_DAY_S)
        sim_world.now_s = SIM_DAYS * SIM_DAY_S - 1;
    if (sim_world.now_s > sim_world.latest_s)
        sim_world.latest_s = sim_world.now_s;
}

/* ---- a life --------------------------------------------------------------------------------- */

static void ledger_open(void)
{
    struct store_error error;

    if (store_open(sim_world.home[sim_world.at], false, &sim_world.store, &error) != STORE_OK)
        sim_wrong("open: %s", error.text);
}

/* What was not committed is said again. */
static void again(void)
{
    for (unsigned i = 0; i < sim_world.batched; i++)
        post(&sim_world.batch[i]);
}

static void reopen(bool copied)
{
    if (!copied)
        sim_home_copy();
    store_close(sim_world.store);
    sim_world.at = 1 - sim_world.at;
    ledger_open();
    sim_world.crashes++;
}

/* In the middle of the commit, or else after it. */
static void commit_and_crash(void)
{
    char why[200];

    sim_world.writes_left = (long)chance_below(&sim_world.chance, 8);
    sim_must(store_commit(sim_world.store, chance_one_in(&sim_world.chance, 2)), "commit");
    if (sim_world.writes_left >= 0) {
        sim_world.writes_left = -1;
        reopen(false);
        sim_compare(&sim_world.model, "after a crash that followed a commit");
        sim_world.before = sim_world.model;
        return;
    }
    reopen(true);
    sim_world.torn++;
    if (sim_ledger_is(&sim_world.model, why, sizeof why)) {
        sim_world.before = sim_world.model;
        return;
    }
    sim_compare(&sim_world.before, "after a crash in a commit");
    sim_world.model = sim_world.before;
    again();
}

static void transaction(void)
{
    unsigned size = (unsigned)(1 + chance_below(&sim_world.chance, 31));

    sim_must(store_begin(sim_world.store), "begin");
    for (sim_world.batched = 0; sim_world.batched < size;) {
        struct sim_message *message = &sim_world.batch[sim_world.batched];

        if (sim_world.queued < 60)
            call_begin();
        if (!next(message))
            break;
        time_pass();
        sim_deliver(message);
        sim_world.batched++;
        sim_world.operations++;
    }
    if (chance_one_in(&sim_world.chance, 12)) {
        store_abort(sim_world.store);
        sim_world.model = sim_world.before;
        again();
    } else if (chance_one_in(&sim_world.chance, 80)) { /* in a transaction */
        reopen(false);
        sim_world.model = sim_world.before;
        again();
        sim_compare(&sim_world.model, "after a crash in a transaction");
    } else if (chance_one_in(&sim_world.chance, 40)) {
        commit_and_crash();
    } else {
        sim_must(store_commit(sim_world.store, chance_one_in(&sim_world.chance, 2)), "commit");
        sim_world.before = sim_world.model;
    }
    if (chance_one_in(&sim_world.chance, 8))
        sim_compare(&sim_world.model, "after a transaction");
}

static void homes_clear(void)
{
    for (unsigned i = 0; i < 2; i++) {
        DIR *dir = opendir(sim_world.home[i]);
        const struct dirent *entry;

        while (dir != NULL && (entry = readdir(dir)) != NULL)
            if (strcmp(entry->d_name, "ballast") != 0) /* is long in the making */
                (void)unlinkat(dirfd(dir), entry->d_name, 0);
        if (dir != NULL)
            (void)closedir(dir);
    }
}

static void live(uint64_t seed, unsigned operations, uint8_t out[32])
{
    struct sim_message close = {.kind = SIM_CLOSE};

    sim_world.seed = seed;
    sim_world.chance.state = seed;
    sim_world.queued = sim_world.calls = sim_world.operations = 0;
    sim_world.now_s = chance_below(&sim_world.chance, 2 * SIM_DAY_S);
    sim_world.latest_s = sim_world.now_s;
    memset(&sim_world.model, 0, sizeof sim_world.model);
    homes_clear();
    ledger_open();
    sim_runs_begin();
    sim_world.days_count = chance_one_in(&sim_world.chance, 2);
    while (sim_world.operations < operations) {
        sim_world.days_count = sim_world.days_count || sim_world.operations > operations / 3;
        transaction();
        close.question.run = (unsigned)chance_below(&sim_world.chance, SIM_RUNS);
        if (sim_world.operations > operations * 9 / 10)
            post_often(&close);
    }
    sim_compare(&sim_world.model, "at the end");
    if (chance_one_in(&sim_world.chance, VERIFY_ONE_IN))
        sim_prove();
    sim_digest(out);
    store_close(sim_world.store);
}

/* ---- the program ---------------------------------------------------------------------------- */

static void homes_make(void)
{
    const char *dir = getenv("TMPDIR");

    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(sim_world.home[i], sizeof sim_world.home[i], "%s/flyball-sim-XXXXXX",
                       dir != NULL ? dir : "/dev/shm");
        if (mkdtemp(sim_world.home[i]) == NULL)
            sim_wrong("%s: %s", sim_world.home[i], strerror(errno));
    }
}

static void homes_remove(void)
{
    char path[96];

    homes_clear();
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/ballast", sim_world.home[i]);
        (void)unlink(path);
        (void)rmdir(sim_world.home[i]);
    }
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    unsigned operations = argc > 3 ? (unsigned)atoi(argv[3]) : OPERATIONS;
    static uint8_t left[REPLAYED][32];
    uint8_t now[32], all[64] = {0};
    unsigned long done = 0;

    if (seeds == 0) {
        (void)fputs("usage: sim FIRST SEEDS [OPERATIONS]\n", stderr);
        return 2;
    }
    homes_make();
    sim_world.queue = malloc(MESSAGES * sizeof *sim_world.queue);
    for (uint64_t i = 0; i < seeds + REPLAYED && (i < seeds || i - seeds < seeds); i++) {
        live(first + (i < seeds ? i : i - seeds), operations, now);
        done += sim_world.operations;
        if (i >= seeds && memcmp(now, left[i - seeds], sizeof now) != 0)
            sim_wrong("lived twice, and is another one");
        if (i < seeds && i < REPLAYED)
            memcpy(left[i], now, sizeof now);
        memcpy(all + 32, now, sizeof now);
        if (i < seeds)
            store_sha256(all, sizeof all, all);
    }
    homes_remove();
    free(sim_world.queue);
    printf("sim: %llu seeds from %llu, %lu operations, %u crashes (%u in a commit): as the model; "
           "%llu lived twice, the same; ",
           (unsigned long long)seeds, (unsigned long long)first, done, sim_world.crashes,
           sim_world.torn, (unsigned long long)(seeds < REPLAYED ? seeds : REPLAYED));
    for (unsigned i = 0; i < 8; i++)
        printf("%02x", all[i]);
    printf("\n");
    return 0;
}
