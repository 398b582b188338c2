/* SPDX-License-Identifier: Apache-2.0 */
/* Windows as the sidecar's writer keeps them, on clocks that the test sets: random lives of runs
 * with and without limits, with restarts, sleep, and clocks that are set back. Against the plain
 * model: a list of what was admitted, and when. */
#include "tests/unit/chance.h"
#include "tests/unit/writer.h"

#define ROLLING_S     100
#define ROLLING_LIMIT 7
#define DAILY_LIMIT   30
#define CALLS_MAX     4000

/* ---- clocks ------------------------------------------------------------------------------- */

static void sleeps(int64_t seconds)
{
    wall_s += seconds;
    boot_s += seconds;
}

/* ---- the writer --------------------------------------------------------------------------- */

struct life {
    struct ledger ledger;
    struct side_book *book;
    struct side_run *limited, *free, *clerk; /* clerk: free, of the agent that has a limit */
    int64_t at_s[CALLS_MAX];                 /* of admitted calls: when, as windows see it */
    bool of_clerk[CALLS_MAX];
    unsigned calls, number;
    int64_t left; /* of the rolling limit, as the last admission had it */
    int64_t latest_s;
};

static struct side_op *apply(struct life *life, struct side_op *op)
{
    bool durable = false;

    begin(&life->ledger);
    assert_true(side_apply(life->book, op, 0, &durable));
    commit(&life->ledger);
    assert_int_equal(op->result, STORE_OK);
    return op;
}

static struct side_run *run_of(struct life *life, bool limited, const char *agent)
{
    struct side_spec *spec = calloc(1, sizeof *spec);
    struct side_error error = {{0}};
    struct side_run *run;
    struct side_op *op;

    side_spec_init(spec);
    (void)snprintf(spec->agent, sizeof spec->agent, "%s", agent);
    (void)snprintf(spec->timezone, sizeof spec->timezone, "Australia/Lord_Howe");
    if (limited) {
        spec->window_count = 2;
        spec->windows[0] = (struct side_window){.scope = GOV_GLOBAL,
                                                .window = GOV_ROLLING,
                                                .duration_s = ROLLING_S,
                                                .limits = {[GOV_STEPS] = {ROLLING_LIMIT, 0}}};
        spec->windows[1] = (struct side_window){.scope = GOV_AGENT,
                                                .name = "clerk",
                                                .window = GOV_DAILY,
                                                .limits = {[GOV_STEPS] = {DAILY_LIMIT, 0}}};
    }
    run = side_run_new(spec, &error);
    free(spec);
    assert_non_null(run);
    op = side_op_new(SIDE_OP_RUN_OPEN, run, NULL, NULL);
    (void)snprintf(op->event.allocation.agent, sizeof op->event.allocation.agent, "%s", agent);
    side_tags_of(&op->event.allocation, &run->tags);
    side_op_free(apply(life, op));
    return run;
}

static bool admitted(struct life *life, struct side_run *run)
{
    struct side_op *op = side_op_new(SIDE_OP_ADMIT, run, NULL, NULL);
    bool admit;

    id_make(op->call_id, 'c', ++life->number);
    memcpy(op->request_hash, op->call_id, sizeof op->call_id);
    op->call.line = (struct meter_hold_line){
        .input_tokens = 1, .choices = 1, .full_cap = 1, .smallest_cap = 1, .priced = true};
    admit = apply(life, op)->verdict.outcome == GOV_ADMIT;
    for (unsigned i = 0; i < op->event.head.scope_count; i++)
        if (op->event.scopes[i].key.window == GOV_ROLLING)
            life->left = op->event.scopes[i].limit[GOV_STEPS];
    side_op_free(op);
    return admit;
}

static void end(struct life *life, struct side_run *run)
{
    struct side_op *op = side_op_new(SIDE_OP_SENT, run, NULL, NULL);

    id_make(op->call_id, 'c', life->number);
    side_op_free(apply(life, op));
    op = side_op_new(SIDE_OP_SETTLE, run, NULL, NULL);
    id_make(op->call_id, 'c', life->number);
    op->event.consumption.end = STORE_SETTLED;
    op->event.consumption.tokens_total = 2;
    side_op_free(apply(life, op));
}

/* ---- the model ---------------------------------------------------------------------------- */

static unsigned calls_after(const struct life *life, int64_t since_s)
{
    unsigned count = 0;

    for (unsigned i = 0; i < life->calls; i++)
        count += life->at_s[i] > since_s;
    return count;
}

static unsigned clerks_since(const struct life *life, int64_t since_s)
{
    unsigned count = 0;

    for (unsigned i = 0; i < life->calls; i++)
        count += life->of_clerk[i] && life->at_s[i] >= since_s;
    return count;
}

/* In the rolling window, and not in its present part. */
static unsigned calls_before_part(const struct life *life)
{
    int64_t part = gov_part_of(ROLLING_S), start = life->latest_s / part * part;

    return calls_after(life, start - gov_parts_before(ROLLING_S) * part - 1) -
           calls_after(life, start - 1);
}

static int64_t day_of(const struct life *life)
{
    int64_t start_s, end_s;

    gov_window_at(&life->free->zone->zone, GOV_DAILY, 0, life->latest_s, &start_s, &end_s);
    return start_s;
}

static void call(struct life *life, struct chance *chance, struct side_run *run, unsigned round)
{
    bool went = admitted(life, run), clerk = run != life->free;
    unsigned within, around, today;

    if (wall_s > life->latest_s)
        life->latest_s = wall_s;
    within = calls_after(life, life->latest_s - ROLLING_S);
    around = calls_after(life, life->latest_s - ROLLING_S - gov_part_of(ROLLING_S));
    today = clerks_since(life, day_of(life));
    if (run != life->limited) {
        assert_true(went);
    } else if (went && (within + 1 > ROLLING_LIMIT || today + 1 > DAILY_LIMIT)) {
        fail_msg("round %u: over, with %u calls in %u s and %u today", round, within + 1, ROLLING_S,
                 today + 1);
    } else if (!went && around + 1 <= ROLLING_LIMIT && today + 1 <= DAILY_LIMIT) {
        fail_msg("round %u: refused, with %u calls in a little more than %u s and %u today", round,
                 around, ROLLING_S, today);
    }
    if (!went)
        return;
    if (run == life->limited) /* what the parts before this one leave: what verify goes by */
        assert_int_equal(life->left, ROLLING_LIMIT - (int64_t)calls_before_part(life));
    assert_true(life->calls < CALLS_MAX);
    life->at_s[life->calls] = life->latest_s;
    life->of_clerk[life->calls++] = clerk;
    if (chance_one_in(chance, 2))
        end(life, run);
}

static void restart(struct life *life)
{
    side_book_free(life->book);
    store_close(life->ledger.store);
    ledger_open(&life->ledger, false);
    life->book = side_book_new(life->ledger.store);
}

static void live(struct chance *chance, unsigned round)
{
    struct life *life = calloc(1, sizeof *life);
    int64_t back_s;

    wall_s = 1775300000 + chance_below(chance, 200 * 86400);
    boot_s = 100000;
    ledger_new(&life->ledger);
    life->book = side_book_new(life->ledger.store);
    life->free = run_of(life, false, "cook");
    life->clerk = run_of(life, false, "clerk");
    for (int64_t i = chance_below(chance, 8); i > 0; i--) { /* nobody has a limit yet */
        call(life, chance, chance_one_in(chance, 2) ? life->free : life->clerk, round);
        sleeps(chance_below(chance, 20));
        wall_s -= chance_one_in(chance, 3) ? chance_below(chance, 90) : 0;
    }
    life->limited = run_of(life, true, "clerk");
    for (unsigned i = 0; i < 200; i++) {
        int64_t who = chance_below(chance, 8);

        call(life, chance, who == 0 ? life->free : who == 1 ? life->clerk : life->limited, round);
        if (chance_one_in(chance, 2))
            sleeps(chance_below(chance, 30));
        if (chance_one_in(chance, 40))
            sleeps(chance_below(chance, 20000));
        if (chance_one_in(chance, 60))
            sleeps(chance_below(chance, 3 * 86400));
        if (chance_one_in(chance, 30)) {
            back_s = chance_below(chance, 3) * chance_below(chance, 400);
            wall_s -= back_s;
        }
        if (chance_one_in(chance, 25))
            restart(life);
    }
    expect_proven(&life->ledger, "at the end of a random life");
    side_run_drop(life->limited);
    side_run_drop(life->free);
    side_run_drop(life->clerk);
    side_book_free(life->book);
    ledger_free(&life->ledger);
    free(life);
}

static void no_window_is_over_or_closed_without_need(void **state)
{
    struct chance chance = {.state = 20261130};
    unsigned rounds = chance_rounds("FLYBALL_WINDOW_ROUNDS", 60);

    (void)state;
    for (unsigned round = 0; round < rounds; round++)
        live(&chance, round);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_window_is_over_or_closed_without_need),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
